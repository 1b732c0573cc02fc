"""One walk over a message or file: opens what can be opened, matches what is in it, and writes the ledger.

    message -> entity -> [reading] -> multipart: its parts, preamble and epilogue
                                   -> nested message: an entity
                                   -> leaf: decoded -> content
    content -> by type: archive -> members -> content ...; text -> UUE files -> content ...; else matched

Every content is decoded into one contiguous object, matched, and dropped; the tree keeps spans only (node.py).
Header sections are matched too; the octets of an opened container are matched behind its members, so that data
between them and digests of the whole are not missed, and names that a member already has are not reported again.
"""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from cext.mime import delimiters, header_end
from cext.uue import body_end, find_begin
from engine import limits
from engine.config import ScanLimits
from engine.scan import gzip_file, magic, tar_file, zip_file
from engine.scan.budget import Budget, OutOfTime
from engine.scan.decode import Undecodable, decode, encoded_room, span
from engine.scan.facts import Cause, Facts, Part
from engine.scan.formats import FINDERS, OPENERS
from engine.scan.formats.item import Gap, Item, NotThis, Odd, Opener, Unread
from engine.scan.header import clean_name, collect, filenames, parse, subject_text, text_of
from engine.scan.ledger import Ledger
from engine.scan.matcher import Matcher
from engine.scan.node import (
    ENTITY,
    FILE,
    GZIP,
    LEAF,
    MARGIN,
    MEMBER,
    MESSAGE,
    MULTIPART,
    TAR,
    TEXT,
    UUE,
    ZIP,
    Node,
)
from engine.scan.readings import Reading, guess_boundary, readings

if TYPE_CHECKING:
    from typing_extensions import Buffer

_TEXTUAL: Final = frozenset({"text", "html", "data", "mail"})
_IMAGES: Final = frozenset({"png", "gif", "jpeg", "tiff", "bmp"})
_LF, _CR = 10, 13
_HEADLESS: Final = Reading(LEAF, "text/plain", "", b"", "no header section")


class Walk(msgspec.Struct):
    """What a walk found. root lies in the octets that were walked."""

    facts: Facts
    root: Node


class Walker:
    """Walks one message or file after the other. clock: seconds, monotonic.

    image is read only; digests: also list SHA-256 of every part (for reports and comparisons; it is dear).
    """

    def __init__(
        self, image: Matcher, settings: ScanLimits, digests: bool = False, *, clock: Callable[[], float]
    ) -> None:
        self._image = image
        self._settings = settings
        self._digests = digests
        self._clock = clock

    def walk_message(self, data: "Buffer", deadline_s: float | None = None) -> Walk:
        """Walk a message as it came over SMTP. Never raises on content.

        deadline_s: on the clock; default is the limit on time from now. Cost O(len(data)) for each layer.
        """
        buf = data if isinstance(data, bytes) else bytes(data)
        return self._walk(lambda course: course.message(buf), deadline_s)

    def walk_file(self, data: "Buffer", name: str, deadline_s: float | None = None) -> Walk:
        """Walk a file whose base name is name; paths of its members begin with it."""
        buf = data if isinstance(data, bytes) else bytes(data)
        return self._walk(lambda course: course.file(buf, name), deadline_s)

    def _walk(self, begin: "Callable[[_Course], Node]", deadline_s: float | None) -> Walk:
        if deadline_s is None:
            deadline_s = self._clock() + self._settings.time_s
        course = _Course(self._image, Budget(self._settings, self._clock, deadline_s), self._digests)
        root = begin(course)
        return Walk(course.ledger.facts, root)


def looks_like_message(data: bytes, name: str) -> bool:
    """Whether a file on its own is to be walked as a message: by its first fields, or since it is called one."""
    return magic.identify(data, 0, len(data)) == "mail" or name.lower().endswith(".eml")


class _Place(msgspec.Struct, frozen=True):
    """Where in the nesting a part is. containers: opened around it (CONT-03); mime: multiparts and messages."""

    containers: int = 0
    mime: int = 0
    alternate: bool = False
    reading: str = ""


_TOP: Final = _Place()


class _Course:
    """The state of one walk."""

    def __init__(self, image: Matcher, budget: Budget, digests: bool) -> None:
        self.ledger = Ledger(image.revision)
        self._image = image
        self._budget = budget
        self._digests = digests

    # --- entries ------------------------------------------------------------------------------------

    def message(self, buf: bytes) -> Node:
        root = Node("", ENTITY, 0, 0, len(buf))
        self._in_time(lambda: self._entity(root, buf, "", _TOP, top=True))
        return root

    def file(self, buf: bytes, name: str) -> Node:
        base = clean_name(name) or "file"
        root = Node(base, FILE, 0, 0, len(buf), names=(base,))
        self._in_time(lambda: self._content(root, Part(base, filenames=root.names), buf, 0, len(buf), _TOP))
        return root

    def _in_time(self, walk: Callable[[], None]) -> None:
        try:
            walk()
        except OutOfTime:
            self.ledger.unscanned("", Cause.LIMIT, self._budget.time_limit)

    # --- MIME ---------------------------------------------------------------------------------------

    def _entity(
        self, node: Node, buf: bytes, prefix: str, place: _Place, digest: bool = False, top: bool = False
    ) -> None:
        """Walk buf[node.start:node.end] as an entity. node.part: its number; empty or ending in a separator: the
        entity of a whole message, whose number depends on whether it is a multipart. prefix: of its parts' numbers.
        """
        start, end = node.start, node.end
        if not self._budget.take_part():
            self.ledger.unscanned(node.part, Cause.LIMIT, f"{limits.MIME_PARTS} parts")
            return
        node.body = body = header_end(buf, start, end)
        header = buf[start:body]
        fields = collect(header, subject=top)
        if top:
            self.ledger.facts.subject = subject_text(fields.subject)
        content_types = [parse(one) for one in fields.content_types]
        if fields.content_types or fields.dispositions:
            node.names = filenames([parse(one) for one in fields.dispositions], content_types)
        if fields.bare_cr or fields.nul or fields.truncated:
            self._odd_header(node, fields.bare_cr, fields.nul, fields.truncated)
        whole = not node.part or node.part[-1] in "./"
        if header and not _begins_with_field(header):
            self._headless(node, buf, not (fields.content_types or fields.encodings), prefix, whole, place)
        found = readings(fields, content_types, digest)
        if len(found) == 1:
            self._read(node, buf, found[0], prefix, whole, place)
        else:
            self._read_all(node, buf, found, prefix, whole, place)
        if header:
            names = self._image.scan(header, "mail")
            if names:
                self.ledger.matched(node, names)

    def _headless(self, node: Node, buf: bytes, only: bool, prefix: str, whole: bool, place: _Place) -> None:
        """The header section does not begin with a field, so clients may show it as content.

        only: nothing in it says otherwise, and it is taken as content; else that is one more reading.
        """
        self.ledger.finding(node.part, "mime-no-header")
        if only:
            node.body = node.start
        else:
            self._alternate(node, buf, _HEADLESS, prefix, whole, place, node.start)

    def _odd_header(self, node: Node, bare_cr: bool, nul: bool, truncated: bool) -> None:
        if bare_cr:
            self.ledger.finding(node.part, "header-bare-cr")
        if nul:
            self.ledger.finding(node.part, "header-nul")
        if truncated:
            self.ledger.finding(node.part, "header-too-long", severe=True)

    def _read_all(
        self, node: Node, buf: bytes, found: tuple[Reading, ...], prefix: str, whole: bool, place: _Place
    ) -> None:
        """Walk the union of the readings: the first as node itself, the others as alternates below it."""
        self.ledger.finding(node.part, "mime-ambiguous")
        self._read(node, buf, found[0], prefix, whole, place)
        for reading in found[1:]:
            self._alternate(node, buf, reading, prefix, whole, place)

    def _alternate(
        self, node: Node, buf: bytes, reading: Reading, prefix: str, whole: bool, place: _Place, body: int = -1
    ) -> None:
        """Walk node by a further reading. body: where that one sees the body begin, if not where the first does."""
        if not self._budget.take_part():
            self.ledger.unscanned(node.part, Cause.LIMIT, f"{limits.MIME_PARTS} parts")
            return
        part = prefix if whole else node.part
        other = Node(
            part, ENTITY, node.start, node.body if body < 0 else body, node.end, names=node.names, alternate=True
        )
        node.children.append(other)
        inside = _Place(place.containers, place.mime, True, reading.why or reading.kind)
        self._read(other, buf, reading, prefix, whole, inside)

    def _read(self, node: Node, buf: bytes, reading: Reading, prefix: str, whole: bool, place: _Place) -> None:
        """Walk node by one reading. whole: node is the entity of a whole message."""
        if reading.kind == MULTIPART:
            if whole:
                node.part = prefix[:-1]
            if self._multipart(node, buf, reading, prefix if whole else f"{node.part}.", place):
                return
            self.ledger.finding(node.part, "multipart-without-delimiter")
        if whole:
            node.part = prefix + "1"
        if reading.kind == MESSAGE:
            self._message(node, buf, reading, place)
        else:
            self._leaf(node, buf, reading, place)
        if reading.content_type.startswith("multipart/") and not place.alternate:
            guess = guess_boundary(buf, node.body, node.end)
            if guess and guess != reading.boundary:
                assumed = Reading(MULTIPART, reading.content_type, "", guess, f"boundary {text_of(guess)!r}")
                self._alternate(node, buf, assumed, prefix, whole, place)

    def _multipart(self, node: Node, buf: bytes, reading: Reading, prefix: str, place: _Place) -> bool:
        """Walk the parts of a multipart. Returns False if no delimiter was found: then it is none."""
        if place.mime >= limits.MIME_DEPTH:
            self.ledger.unscanned(node.part, Cause.LIMIT, f"MIME depth {limits.MIME_DEPTH}")
            return True
        start, end = node.body, node.end
        if reading.encoding:
            self.ledger.finding(node.part, "multipart-encoded")
            content = self._decoded(node, buf, reading.encoding)
            if content is None:
                return False
            node.encoding = reading.encoding
            buf, start, end = content, 0, len(content)
        most = self._budget.parts_left + 2
        lines = delimiters(buf, start, end, reading.boundary, most)
        if not lines:
            node.encoding = ""
            return False
        if len(lines) >= most:
            self.ledger.unscanned(node.part, Cause.LIMIT, f"{limits.MIME_PARTS} parts")
        node.format = MULTIPART
        part = Part(
            node.part, reading.content_type, "multipart", node.names, end - start, end - start, "", True,
            place.containers,
        )  # fmt: skip
        part.reading = place.reading
        self.ledger.part(part)
        inside = _Place(place.containers, place.mime + 1, place.alternate, place.reading)
        self._parts(node, buf, start, end, lines, prefix, inside, reading.content_type == "multipart/digest")
        return True

    def _parts(
        self,
        node: Node,
        buf: bytes,
        start: int,
        end: int,
        lines: list[tuple[int, int, bool]],
        prefix: str,
        place: _Place,
        digest: bool,
    ) -> None:
        self._margin(node, buf, start, lines[0][0], "preamble", place)
        number = 0
        closed_at = -1
        for index, (_, behind, closes) in enumerate(lines):
            last = index + 1 == len(lines)
            stop = end if last else _before_line_end(buf, behind, lines[index + 1][0])
            if closed_at < 0 and closes:
                closed_at = index
                self._margin(node, buf, behind, end if last else lines[index + 1][0], "epilogue", place)
                continue
            if closes or (not last and behind == lines[index + 1][0]):
                continue  # two delimiters without an octet between them: no client sees a part there
            if closed_at >= 0 and not place.alternate:
                # Some clients do not stop at the first closing delimiter.
                self.ledger.finding(node.part, "multipart-goes-on-behind-its-end")
                place = _Place(place.containers, place.mime, True, "behind the closing delimiter")
            number += 1
            child = Node(f"{prefix}{number}", ENTITY, behind, behind, stop, alternate=place.alternate)
            node.children.append(child)
            self._entity(child, buf, f"{prefix}{number}.", place, digest)
        if closed_at < 0:
            self.ledger.finding(node.part, "multipart-not-closed")

    def _margin(self, node: Node, buf: bytes, start: int, end: int, name: str, place: _Place) -> None:
        """Preamble or epilogue: no client need show it, but some do, and UUE readers look at it."""
        if end - start <= 2 and not buf[start:end].strip():
            return
        part = f"{node.part}.{name}" if node.part else name
        child = Node(part, MARGIN, start, start, end, alternate=place.alternate)
        node.children.append(child)
        self._content(child, Part(part, reading=place.reading), buf, start, end, place)

    def _message(self, node: Node, buf: bytes, reading: Reading, place: _Place) -> None:
        """A nested message (RFC 2046 s5.2.1), encoded or not."""
        start, end = node.body, node.end
        if reading.encoding:
            content = self._decoded(node, buf, reading.encoding)
            if content is None:
                return
            if _begins_with_field(buf[start : start + limits.COMMAND_LINE_LEN]) and not place.alternate:
                self.ledger.finding(node.part, "message-not-encoded")  # though it says so: clients read it as it is
                plain = Reading(MESSAGE, reading.content_type, "", b"", "not encoded")
                self._alternate(node, buf, plain, f"{node.part}.", False, place)
            node.encoding = reading.encoding
            buf, start, end = content, 0, len(content)
        part = Part(
            node.part, reading.content_type, "mail", node.names, end - start, end - start, "", True, place.containers
        )
        part.reading = place.reading
        if self._digests:
            part.sha256 = hashlib.sha256(span(buf, start, end)).hexdigest()
        self.ledger.part(part)
        self._names(node)
        self._nested_message(node, buf, start, end, place)

    def _nested_message(self, node: Node, buf: bytes, start: int, end: int, place: _Place) -> None:
        if self._too_deep(node, buf, start, end, place):
            return
        separator = "." if node.role == ENTITY else "/"
        prefix = f"{node.part}{separator}"
        child = Node(prefix, ENTITY, start, start, end, alternate=place.alternate)
        node.format = MESSAGE
        node.children.append(child)
        inside = _Place(place.containers + 1, place.mime + 1, place.alternate, place.reading)
        self._entity(child, buf, prefix, inside)

    def _too_deep(self, node: Node, buf: bytes, start: int, end: int, place: _Place) -> bool:
        """Whether a container must stay closed because of the depth (CONT-03). It is matched as it is then."""
        if place.containers < self._budget.depth and place.mime < limits.MIME_DEPTH:
            return False
        self.ledger.unscanned(node.part, Cause.LIMIT, self._budget.depth_limit)
        self.ledger.matched(node, self._image.scan(span(buf, start, end)))
        return True

    def _leaf(self, node: Node, buf: bytes, reading: Reading, place: _Place) -> None:
        part = Part(node.part, reading.content_type, filenames=node.names, reading=place.reading)
        if not reading.encoding:
            self._content(node, part, buf, node.body, node.end, place)
        else:
            content = self._decoded(node, buf, reading.encoding)
            if content is None:  # cannot be decoded: what is there is matched as it is
                self._content(node, part, buf, node.body, node.end, place)
            else:
                node.encoding = reading.encoding
                self._content(node, part, content, 0, len(content), place)
        if reading.content_type == "message/partial":  # RFC 2046 s5.2.2: content comes in pieces, none is examined
            self.ledger.unscanned(node.part, Cause.UNSUPPORTED, "message/partial")

    def _decoded(self, node: Node, buf: bytes, encoding: str) -> bytes | None:
        """Content of an encoded entity, cut at the limits (then listed as unscanned), or None."""
        end = node.end
        room = self._budget.room()
        if end - node.body > encoded_room(encoding, room):
            self.ledger.unscanned(node.part, Cause.LIMIT, self._budget.room_limit())
            end = node.body + encoded_room(encoding, room)
        try:
            content, kinds = decode(encoding, buf, node.body, end)
        except Undecodable:
            self.ledger.finding(node.part, f"{encoding}-without-begin", severe=True)
            return None
        for kind in kinds:
            self.ledger.finding(node.part, kind)
        self._budget.spend(len(content))
        return content

    # --- contents -------------------------------------------------------------------------------------

    def _content(self, node: Node, part: Part, buf: bytes, start: int, end: int, place: _Place) -> None:
        """Examine the decoded octets buf[start:end] of node: open them, or match them."""
        part.type = kind = magic.identify(buf, start, end, part.content_type)
        part.size = end - start
        part.depth = place.containers
        self.ledger.part(part)
        if node.names:
            self._names(node)
        octets = span(buf, start, end)
        if self._digests:
            part.sha256 = hashlib.sha256(octets).hexdigest()
        if start == end:
            return
        part.examined = part.size
        if (kind in magic.OPENED or kind in OPENERS) and self._open(kind, node, part, buf, start, end, place):
            part.container = True
            names = self._image.scan(octets, kind)
            if names:
                below = {name for inner in node.everything() for name in inner.viruses}
                self.ledger.matched(node, tuple(name for name in names if name not in below))
            return
        names = self._image.scan(octets, "image" if kind in _IMAGES else kind)
        if names:
            self.ledger.matched(node, names)
        if kind in magic.UNOPENED:
            self.ledger.unscanned(node.part, Cause.UNSUPPORTED, kind)
        elif kind == "ole" and magic.is_encrypted_ole(span_bytes(buf, start, end)):
            self.ledger.unscanned(node.part, Cause.ENCRYPTED, kind)
        if kind in _TEXTUAL:
            self._text(node, buf, start, end, place)
        if kind not in magic.OPENED and buf.rfind(b"PK\x05\x06", max(start, end - zip_file.END_SEARCH_LEN), end) >= 0:
            self._zip(node, span_bytes(buf, start, end), place, local_only=False)

    def _names(self, node: Node) -> None:
        for name in node.names:
            found = self._image.match_name(name)
            if found:
                self.ledger.matched(node, found)

    def _open(self, kind: str, node: Node, part: Part, buf: bytes, start: int, end: int, place: _Place) -> bool:
        """Open a container by its type. Returns False if it is none after all."""
        if kind == "mail":
            self._nested_message(node, buf, start, end, place)
            return True
        content = span_bytes(buf, start, end)
        if place.containers >= self._budget.depth:
            self.ledger.unscanned(node.part, Cause.LIMIT, self._budget.depth_limit)
            return False
        if kind == "zip":
            return self._zip(node, content, place, local_only=True)
        if kind == "gzip":
            return self._gzip(node, content, place)
        if kind == "tar":
            return self._tar(node, content, place)
        return self._opened(node, content, OPENERS[kind], place)

    def _opened(self, node: Node, content: bytes, opener: Opener, place: _Place) -> bool:
        """Walk what an opener finds. Returns False if the content is not of its format after all."""
        try:
            for item in opener(content, self._budget):
                if not self._item(node, item, place):
                    break
        except NotThis as refusal:
            self.ledger.unscanned(node.part, Cause.DAMAGED, str(refusal))
            return False
        return True

    def _item(self, parent: Node, item: Item, place: _Place) -> bool:
        """Returns False when no more members are to be opened."""
        if isinstance(item, Odd):
            self.ledger.finding(parent.part, item.kind, item.severe)
            return True
        if isinstance(item, Gap):
            self.ledger.unscanned(parent.part, item.cause, item.detail)
            return True
        made = self._member(parent, item.name, place)
        if made is None:
            return False
        node, part, inside = made
        if isinstance(item, Unread):
            self._unread(node, part, item.size, inside, item.cause, item.detail)
            return True
        if item.over:
            self.ledger.unscanned(node.part, Cause.LIMIT, self._budget.room_limit())
        elif not item.complete:
            self.ledger.unscanned(node.part, Cause.DAMAGED, "member-data")
        if item.stream:
            node.names = part.filenames = ()
        self._budget.spend(len(item.data))
        self._content(node, part, item.data, 0, len(item.data), inside)
        return True

    def _text(self, node: Node, buf: bytes, start: int, end: int, place: _Place) -> None:
        """Look for UUE files and BinHex in a text. Its octets were matched already."""
        octets = span(buf, start, end)
        for finder in FINDERS:
            self._opened(node, bytes(octets), finder, place)
        if magic.is_binhex(buf, start, end):
            self.ledger.unscanned(node.part, Cause.UNSUPPORTED, "binhex")
        at = 0
        while (begin := find_begin(octets, at)) is not None:
            line, name_off, behind = begin
            at, _ = body_end(octets, behind, end - start)
            if place.containers >= self._budget.depth:
                self.ledger.unscanned(node.part, Cause.LIMIT, self._budget.depth_limit)
                return
            if not self._budget.take_file():
                self.ledger.unscanned(node.part, Cause.LIMIT, self._budget.files_limit)
                return
            name = clean_name(text_of(bytes(octets[name_off:behind]))) or "noname"
            child = Node(
                f"{node.part}/{name}", UUE, start + line, start + behind, start + at, "uue-body", names=(name,)
            )
            child.alternate = place.alternate
            if self._uue(child, buf, place):
                node.format = TEXT
                node.children.append(child)

    def _uue(self, node: Node, buf: bytes, place: _Place) -> bool:
        """Walk one UUE file. Returns False if there is nothing in it: a line of prose that begins like one."""
        room = self._budget.room()
        end = node.end
        if end - node.body > encoded_room("uue", room):
            self.ledger.unscanned(node.part, Cause.LIMIT, self._budget.room_limit())
            end = node.body + encoded_room("uue", room)
        content, kinds = decode("uue-body", buf, node.body, end)
        if not content:
            return False
        for kind in kinds:
            self.ledger.finding(node.part, kind)
        self._budget.spend(len(content))
        inside = _Place(place.containers + 1, place.mime, place.alternate, place.reading)
        self._content(
            node, Part(node.part, filenames=node.names, reading=place.reading), content, 0, len(content), inside
        )
        return True

    # --- archives -------------------------------------------------------------------------------------

    def _member(self, parent: Node, name: str, place: _Place) -> tuple[Node, Part, _Place] | None:
        """Node, ledger entry and place of the next member, or None when the limit on files is reached."""
        if not self._budget.take_file():
            self.ledger.unscanned(parent.part, Cause.LIMIT, self._budget.files_limit)
            return None
        shown = clean_name(name) or "noname"
        path = f"{parent.base}/{shown}"
        names: tuple[str, ...] = (shown,) if shown == name else (shown, name[: limits.NAME_LEN])
        base = shown.replace("\\", "/").rsplit("/", 1)[-1]
        if base and base != shown:
            names += (base,)
        node = Node(path, MEMBER, 0, 0, 0, names=names, alternate=place.alternate)
        parent.children.append(node)
        inside = _Place(place.containers + 1, place.mime, place.alternate, place.reading)
        return node, Part(path, filenames=(shown,), reading=place.reading), inside

    def _zip(self, node: Node, buf: bytes, place: _Place, local_only: bool) -> bool:
        if place.containers >= self._budget.depth:
            self.ledger.unscanned(node.part, Cause.LIMIT, self._budget.depth_limit)
            return False
        directory = zip_file.read(buf, local_only)
        if directory is None:
            if local_only:
                self.ledger.finding(node.part, "zip-without-directory", severe=True)
            return False
        node.format = ZIP
        for kind, severe in directory.problems.items():
            self.ledger.finding(node.part, kind, severe)
        for entry in directory.entries:
            if not entry.directory and not self._zip_entry(node, buf, entry, place):
                break
        return True

    def _zip_entry(self, parent: Node, buf: bytes, entry: zip_file.Entry, place: _Place) -> bool:
        """Returns False when no more members are to be opened."""
        made = self._member(parent, entry.text_name, place)
        if made is None:
            return False
        node, part, inside = made
        node.key = entry.header_off
        node.start, node.body = entry.header_off, entry.data_off
        node.end = entry.data_off + max(0, entry.packed_len)
        node.encoding = "zip"
        cause = None
        if not entry.readable:
            cause = (Cause.DAMAGED, "zip-local-header-missing")
        elif entry.flags & zip_file.ENCRYPTED:
            cause = (Cause.ENCRYPTED, "zip")
        elif entry.method not in (zip_file.STORED, zip_file.DEFLATED):
            cause = (Cause.UNSUPPORTED, f"zip method {entry.method}")
        if cause is not None:
            self._unread(node, part, entry.size, inside, *cause)
            return True
        content = zip_file.unpack(buf, entry, self._budget.room())
        if content.over:
            self.ledger.unscanned(node.part, Cause.LIMIT, self._budget.room_limit())
        elif not content.complete:
            self.ledger.unscanned(node.part, Cause.DAMAGED, "zip-data")
        elif entry.packed_len >= 0 and (content.used != entry.packed_len or len(content.data) != entry.size):
            self.ledger.finding(node.part, "zip-size")
        elif not zip_file.crc_agrees(entry, content.data):
            self.ledger.finding(node.part, "zip-crc")
        self._budget.spend(len(content.data))
        self._content(node, part, content.data, 0, len(content.data), inside)
        return True

    def _unread(self, node: Node, part: Part, size: int, place: _Place, cause: Cause, detail: str) -> None:
        """List a member whose content cannot be had. Its name is matched all the same."""
        part.size = size
        part.depth = place.containers
        self.ledger.part(part)
        self._names(node)
        self.ledger.unscanned(node.part, cause, detail)

    def _gzip(self, node: Node, buf: bytes, place: _Place) -> bool:
        """All gzip members together are one file; a later one that is itself a container is opened apart too."""
        first = gzip_file.header(buf, 0)
        if first is None:
            self.ledger.finding(node.part, "gzip-header", severe=True)
            return False
        made = self._member(node, gzip_file.contained_name(first[1], node.name), place)
        if made is None:
            return False
        child, part, inside = made
        child.encoding = "gzip"
        node.format = GZIP
        pieces: list[bytes] = []
        have = at = 0
        room = self._budget.room()
        while (member := gzip_file.unpack(buf, at, room - have)) is not None:
            pieces.append(member.data)
            have += len(member.data)
            at = member.end
            if member.over:
                self.ledger.unscanned(child.part, Cause.LIMIT, self._budget.room_limit())
                break
            if not member.complete:
                self.ledger.unscanned(child.part, Cause.DAMAGED, "gzip-data")
                break
            if not member.crc_agrees:
                self.ledger.finding(child.part, "gzip-crc")
            if len(pieces) > 1 and not self._budget.take_file():
                self.ledger.unscanned(child.part, Cause.LIMIT, self._budget.files_limit)
                break
        child.end = at
        if at < len(buf) and buf[at:].strip(b"\0"):
            self.ledger.finding(node.part, "gzip-trailing-data")
        self._budget.spend(have)
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._content(child, part, content, 0, len(content), inside)
        for piece in pieces[1:]:
            kind = magic.identify(piece, 0, len(piece))
            if kind in magic.OPENED or kind in magic.UNOPENED:
                apart = _Place(inside.containers, inside.mime, True, "gzip member by itself")
                other = Node(child.part, MEMBER, child.start, child.body, child.end, "gzip", alternate=True)
                node.children.append(other)
                self._content(other, Part(child.part, reading=apart.reading), piece, 0, len(piece), apart)
        return True

    def _tar(self, node: Node, buf: bytes, place: _Place) -> bool:
        node.format = TAR
        for entry in tar_file.members(buf):
            for kind, severe in entry.problems.items():
                self.ledger.finding(node.part, kind, severe)
            if not entry.file:
                self._budget.check_time()
                continue
            made = self._member(node, entry.name, place)
            if made is None:
                break
            child, part, inside = made
            child.key = entry.header_off
            child.start, child.body, child.end = entry.first_off, entry.data_off, entry.end
            if entry.size > self._budget.room():
                self.ledger.unscanned(child.part, Cause.LIMIT, self._budget.room_limit())
            if entry.sparse:
                self.ledger.unscanned(child.part, Cause.UNSUPPORTED, "sparse tar member")
            end = min(entry.end, entry.data_off + self._budget.room())
            self._budget.spend(end - entry.data_off)
            self._content(child, part, buf, entry.data_off, end, inside)
        return True


def span_bytes(buf: bytes, start: int, end: int) -> bytes:
    """buf[start:end] as an object of its own; no copy if it is all of buf."""
    return buf[start:end]


def _begins_with_field(header: bytes) -> bool:
    """Whether the first line is a header field (or a mailbox's From line, or empty)."""
    end = header.find(b"\n")
    line = header[: end if end >= 0 else len(header)]
    if line[:5] in (b"From ", b">From") or not line.strip():
        return True
    colon = line.find(b":")
    return colon > 0 and b" " not in line[:colon].rstrip()


def _before_line_end(buf: bytes, start: int, delimiter: int) -> int:
    """End of the content before a delimiter line: the line end in front of it belongs to the delimiter."""
    end = delimiter
    if end > start and buf[end - 1] == _LF:
        end -= 1
        if end > start and buf[end - 1] == _CR:
            end -= 1
    elif end > start and buf[end - 1] == _CR:
        end -= 1
    return end
