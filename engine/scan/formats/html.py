"""Files that are spelled out in HTML and script: data: URIs, and base64 that a script would turn into a file.

    data:TYPE;base64,...   every one, with the name of a download attribute in the same tag (RFC 2397)
    data:TYPE,...          those with percent signs or entities in them
    atob("...")            every one
    a long run of base64   what decodes to a file or to HTML ("smuggling"), whatever the script does with it;
                           hexadecimal, too

A text in UTF-16 is one member, narrowed to UTF-8, so that signatures and finders see it as others.

Known gaps: literals in pieces that the script puts together, lists of numbers, and codes of the script's own; percent
encoded data: URIs only with `data:` written plainly.
"""

import io
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from cext.base64 import Base64Decoder, decode
from cext.html import ATOB, BASE64, next_mark, next_run
from engine import limits
from engine.scan import magic
from engine.scan.facts import Cause
from engine.scan.formats.escapes import STEP_LEN, entities_replaced, narrow, plain_base64, unescaped
from engine.scan.formats.item import Gap, Item, Member, Odd, Room
from engine.scan.header import text_of
from engine.scan.mapped import Octets

RUN_LEN: Final = 256  # octets of base64 from which on a run is looked at; most of what is shorter are tokens in links
_HEAD_LEN: Final = 2048  # octets of base64 that tell what a run is
_BIG_LEN: Final = 48 * 1024  # runs of which all is decoded: some formats have their mark only at 32 KiB
_LINE_STARTS: Final = 4  # lines of text without space before a run of base64 that are passed over
_PLAIN_WORK: Final = 4
_TAG_LEN: Final = 1024  # octets around a data: URI in which its tag is looked for
_TIGHT: Final = re.compile(rb"[A-Za-z0-9+/=_%&#;\\-]*+")
_LOOSE: Final = re.compile(rb"[A-Za-z0-9+/=_%&#;\\\s-]*+")
_UNQUOTED: Final = re.compile(rb"[^\s\"'<>)]*+")
_BEFORE: Final = re.compile(rb"[dD][aA][tT][aA]:([A-Za-z0-9.+/-]{0,100})((?:;[^,;\"'<>]{0,100}+)*;)base64\Z", re.I)
_PLAIN: Final = re.compile(rb"([A-Za-z0-9.+/-]{0,100}+)((?:;[^,;\"'<>\s]{0,100}+){0,5}+),")
_BEFORE_LEN: Final = 400
_LITERAL: Final = re.compile(rb"\s*+(?:[\"'`]|%22|&quot;)([A-Za-z0-9+/=_\\\s-]{16,}+)")
_DOWNLOAD: Final = re.compile(
    rb"\bdownload\s*+=\s*+(?:\"([^\"<>]{1,1024})\"|'([^'<>]{1,1024})'|([^\s\"'<>]{1,1024}))", re.I
)
_SCRIPT_NAME: Final = re.compile(rb"\.download\s*+=\s*+(?:\"([^\"\r\n]{1,1024})\"|'([^'\r\n]{1,1024})')", re.I)
_PE_AT: Final = 60  # where a program says at which offset its PE header is
_PIECE: Final = re.compile(rb"[^=]++=*+")
_HEX: Final = re.compile(rb"[0-9A-Fa-f\r\n\\]++")
_DULL: Final = frozenset({"data", "text", "empty", "mail"})
# Marks of two octets, which every 65536th token in a link begins with.
_WEAK: Final = frozenset({"arj", "bmp", "compress", "cpio", "mp3"})
_HARMLESS: Final = _DULL | _WEAK | {"png", "gif", "jpeg", "tiff"}
_UTF16: Final = ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """Yield the files in a text. Ordinary text costs little more than reading it once."""
    if encoding := utf16(buf):
        yield _narrowed(buf, encoding, room)
    finder = _Finder(buf, room)
    yield from finder.marked()
    yield from finder.runs()


def utf16(buf: Octets) -> str:
    """Name of the encoding if buf is text in UTF-16, by its mark or by its zeros; else empty."""
    for mark, encoding in _UTF16:
        if buf.startswith(mark):
            return encoding
    head = buf[:64]
    if 0 in head and len(head) >= 16:
        if head[1::2].count(0) * 10 >= len(head) * 4 and 0 not in head[::2]:
            return "utf-16-le"
        if head[::2].count(0) * 10 >= len(head) * 4 and 0 not in head[1::2]:
            return "utf-16-be"
    return ""


def _narrowed(buf: Octets, encoding: str, room: Room) -> Member:
    most = room.room()
    text = narrow(buf, encoding, most + 1)
    return Member("utf-8", text[:most], over=len(text) > most, stream=True)


class _Finder:
    """One text. spans: of the base64 that was decoded, in order."""

    def __init__(self, buf: Octets, room: Room) -> None:
        self._buf = buf
        self._room = room
        self._most = _PLAIN_WORK * len(buf)  # octets of data: URIs that may still be read; they can overlap
        self._quotes: dict[bytes, tuple[int, int]] = {}
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._count = 0
        self._script_name = ""
        self._looked = False

    # --- data: URIs and atob() ------------------------------------------------------------------------

    def marked(self) -> Iterator[Item]:
        buf, at = self._buf, 0
        while (mark := next_mark(buf, at)) is not None:
            self._room.check_time()
            at, kind = mark
            if kind == BASE64:
                comma = at
                while comma < len(buf) and comma - at < 8 and buf[comma] == 0x20:
                    comma += 1
                if buf[comma : comma + 1] == b",":
                    at, item = self._base64(at, comma + 1)
                    if item is not None:
                        yield item
            elif kind == ATOB:
                at, items = self._atob(at)
                yield from items
            else:
                at, item = self._plain(at)
                if item is not None:
                    yield item

    def _base64(self, mark: int, start: int) -> tuple[int, Item | None]:
        """The data: URI whose data begins at start. mark: behind its word base64."""
        buf = self._buf
        before = _BEFORE.search(buf[max(0, mark - _BEFORE_LEN) : mark])
        begin = mark - len(before[0]) if before else mark
        quoted = before is None or buf[max(0, begin - 1) : begin] in (b'"', b"'", b"`")
        found = (_LOOSE if quoted else _TIGHT).match(buf, start)
        assert found is not None  # it matches nothing, too
        end = found.end()
        if end - start < 4:
            return end, None
        self._starts.append(start)
        self._ends.append(end)
        data, over = self._decoded(buf, start, end)
        if not data:
            return end, None
        name = self._download(begin, end)
        subtype = text_of(before[1]).rsplit("/", 1)[-1] if before else ""
        return end, Member(name or self._name("data", subtype), data, over=over, stream=not name)

    def _plain(self, start: int) -> tuple[int, Item | None]:
        """A data: URI without base64 whose type begins at start."""
        buf = self._buf
        head = _PLAIN.match(buf, start)
        if head is None or head[2].lower().endswith(b"base64"):
            return start, None
        at = head.end()
        end = self._quote(buf[max(0, start - 6) : start - 5], at)
        if end < 0:
            found = _UNQUOTED.match(buf, at)
            assert found is not None  # it matches nothing, too
            end = found.end()
        self._most -= end - at
        if self._most < 0:
            return len(buf), Gap(Cause.LIMIT, "data: URIs that overlap")
        if buf.find(b"%", at, end) < 0 and buf.find(b"&", at, end) < 0:
            return at, None  # it was matched as it stands
        name = self._download(start, end)
        subtype = text_of(head[1]).rsplit("/", 1)[-1]
        most = self._room.room()
        whole = io.BytesIO()
        for piece in unescaped(buf, at, end):
            self._room.check_time()
            whole.write(piece)
            if whole.tell() > most:
                break
        data = whole.getvalue()
        # What is in the value is looked for in the member, and not here once more: that would double at each level.
        return end, Member(name or self._name("data", subtype), data[:most], over=len(data) > most, stream=not name)

    def _quote(self, quote: bytes, at: int) -> int:
        """Offset of the next such quotation mark, or -1. Remembered: what has no end costs one search."""
        if quote not in (b'"', b"'", b"`"):
            return -1
        begin, found = self._quotes.get(quote, (0, -2))
        if begin > at or (found != -1 and found < at):
            found = self._buf.find(quote, at)
            self._quotes[quote] = (at, found)
        return found

    def _atob(self, at: int) -> tuple[int, list[Item]]:
        found = _LITERAL.match(self._buf, at)
        if found is None:
            return at, []
        self._starts.append(found.start(1))
        self._ends.append(found.end(1))
        data, over = self._decoded(self._buf, *found.span(1))
        kind = magic.identify(data, 0, len(data))
        items: list[Item] = [] if kind in _HARMLESS else [Odd("html-smuggling")]
        if data:
            items.append(self._script_file(kind, data, over))
        return found.end(), items

    def _download(self, start: int, end: int) -> str:
        """Name in the download attribute of the tag in which buf[start:end] is."""
        buf = self._buf
        begin = buf.rfind(b"<", max(0, start - _TAG_LEN), start)
        behind = buf.find(b">", end, end + _TAG_LEN)
        if begin < 0 or behind < 0:
            return ""
        found = _DOWNLOAD.search(buf[begin:start]) or _DOWNLOAD.search(buf[end:behind])
        return _shown(found[found.lastindex or 0]) if found else ""

    def _decoded(self, buf: Octets, start: int, end: int) -> tuple[bytes, bool]:
        """What base64 in buf[start:end] holds, with whatever HTML, URIs and scripts escape in it."""
        most = self._room.room()
        if end - start <= STEP_LEN:
            body = b"".join(unescaped(buf, start, end))
            data = decode(plain_base64(body))[0]
            return data[:most], len(data) > most
        decoder = Base64Decoder()
        whole = io.BytesIO()
        for body in unescaped(buf, start, end):
            self._room.check_time()
            whole.write(decoder.feed(plain_base64(body)))
            if whole.tell() > most:
                break
        whole.write(decoder.finish())
        over = whole.tell() > most
        whole.truncate(min(whole.tell(), most))
        return whole.getvalue(), over

    # --- long runs ------------------------------------------------------------------------------------

    def runs(self) -> Iterator[Item]:
        buf, at = self._buf, 0
        while (run := next_run(buf, at, RUN_LEN)) is not None:
            self._room.check_time()
            start, at = run
            if not self._known(start, at):
                for piece in _PIECE.finditer(buf, start, at):
                    if piece.end() - piece.start() >= RUN_LEN:
                        yield from self._literal(*piece.span())

    def _known(self, start: int, end: int) -> bool:
        place = bisect_right(self._starts, end) - 1
        return place >= 0 and self._ends[place] > start

    def _literal(self, start: int, end: int) -> Iterator[Item]:
        """The file that the text is in base64 or in hexadecimal, if it is one."""
        buf = self._buf
        for begin in _line_starts(buf, start, end):
            kind = self._kind(buf[begin : min(end, begin + _HEAD_LEN)])
            if kind or end - begin >= _BIG_LEN:
                is_hex = _HEX.fullmatch(buf, begin, end) is not None
                data, over = self._from_hex(buf, begin, end) if is_hex else self._decoded(buf, begin, end)
                known = kind or magic.identify(data, 0, len(data))
                if known not in _HARMLESS and (self._download_name() or not _by_chance(known, data)):
                    yield Odd("html-smuggling")
                yield self._script_file(known, data, over)
                return

    def _script_file(self, kind: str, data: bytes, over: bool) -> Member:
        name = self._download_name()
        return Member(name or self._name("script", kind), data, over=over, stream=not name)

    def _kind(self, head: bytes) -> str:
        """Type of what head decodes to, empty for what may be a token as well."""
        if head.startswith(b"="):
            return ""
        tries = [decode(plain_base64(head[: len(head) // 4 * 4]))[0]]  # nothing in a run is escaped but its line ends
        if _HEX.fullmatch(head):
            tries.append(self._from_hex(head, 0, len(head))[0])
        for data in tries:
            kind = magic.identify(data, 0, len(data))
            if kind not in _DULL and kind not in _WEAK:
                return kind
        return ""

    def _from_hex(self, buf: Octets, start: int, end: int) -> tuple[bytes, bool]:
        most = self._room.room()
        whole = io.BytesIO()
        odd = b""
        while start < end and whole.tell() <= most:
            digits = odd + buf[start : min(end, start + STEP_LEN)].translate(None, b"\r\n\\")
            start += STEP_LEN
            even = len(digits) & ~1
            odd = digits[even:]
            whole.write(bytes.fromhex(digits[:even].decode("ascii")))
        over = whole.tell() > most
        whole.truncate(min(whole.tell(), most))
        return whole.getvalue(), over

    def _download_name(self) -> str:
        """The name that a script of this text gives to what it lets the reader save."""
        if not self._looked:
            self._looked = True
            found = _SCRIPT_NAME.search(self._buf) or _DOWNLOAD.search(self._buf)
            self._script_name = _shown(found[found.lastindex or 0]) if found else ""
        return self._script_name

    def _name(self, stem: str, ending: str) -> str:
        self._count += 1
        ending = ending.split("+", 1)[0][:20]
        return f"{stem}-{self._count}.{ending}" if ending else f"{stem}-{self._count}"


def _by_chance(kind: str, data: bytes) -> bool:
    """Whether only two octets say what data is: it is examined as that, and nobody is said to have hidden it."""
    if kind == "pe":
        header = int.from_bytes(data[_PE_AT : _PE_AT + 4], "little")
        return header >= min(len(data), _HEAD_LEN) and not data.startswith(b"PE\0\0", header)
    return kind == "script" and not data[:_PE_AT].isascii()


def _line_starts(buf: Octets, start: int, end: int) -> Iterator[int]:
    """Where base64 may begin in a run: lines without a space may precede it."""
    at = start
    for _ in range(_LINE_STARTS):
        yield at
        at = buf.find(b"\n", at, min(end, at + _HEAD_LEN)) + 1
        if at == 0 or end - at < 16:
            return


def _shown(name: bytes) -> str:
    return entities_replaced(text_of(name))[: limits.NAME_LEN]
