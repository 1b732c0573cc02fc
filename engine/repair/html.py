"""HTML and SVG without what acts: scripts, event handlers, URIs that run something, frames, objects, smuggled files.

Which tags a browser sees depends on states that hostile pages confuse: comments, raw text, foreign content, CDATA. So
no such state is followed here. Every `<` behind which a tag could begin is read as one, wherever it stands, and its
attributes lose what acts; that covers the tags of every reading, since all of them take attributes apart alike. What
is cut may bring pieces together that act: it is read again until nothing is found.

Everything else stays octet by octet. Encodings that keep ASCII are worked on as they are; UTF-16 and ISO-2022-JP only
where converting there and back gives the same octets.

Known gaps: a tag that is shown as text without its `<` being escaped (in a textarea, in CDATA) is cut like one that
acts.
"""

import re
from typing import Final

from cext.base64 import decode
from cext.html import next_run
from engine.repair.html_acts import BLOB, ENTITY, LOADS, SCRIPT, STYLE, WS, acts, style_acts
from engine.repair.repaired import Repaired
from engine.scan import magic
from engine.scan.formats.html import utf16

ROUNDS: Final = 8  # of reading it again; pieces nested deeper are made to withstand this
WORK: Final = 8  # octets of tags read in one round, in sizes of the text: each `<` in a tag without an end is read on
WORK_MIN: Final = 1 << 16
WORK_MOST: Final = 1 << 26  # octets of tags read in all rounds: some 15 s at worst, and no page of people has so many
TEXT_BLOB_LEN: Final = 1024  # of base64 in a text
_HEAD_LEN: Final = 2048

_START: Final = re.compile(rb"<([A-Za-z_:\x80-\xff][^" + WS + rb"/>]*+|[?!])")
_UNQUOTED: Final = rb"[^" + WS + rb">\"'][^" + WS + rb">]*+"
_ATTRIBUTE: Final = re.compile(
    rb"[" + WS + rb"/]*+([^" + WS + rb"/>][^" + WS + rb"/>=]*+)"
    rb"(?:[" + WS + rb"]*+=[" + WS + rb"]*+(?:\"([^\"]*+)(?:\"|\Z)|'([^']*+)(?:'|\Z)|(" + _UNQUOTED + rb")?+))?+"
)
_TAG_END: Final = re.compile(rb"[" + WS + rb"/]*+>?")
_SELF_CLOSED: Final = re.compile(rb"/[" + WS + rb"]*>\Z")
_IN_SCRIPT: Final = re.compile(rb"<!--|-->|<(/?)script(?=[" + WS + rb"/>])", re.I)
_CDATA: Final = re.compile(rb"[" + WS + rb"]*(?:/[/*]+[" + WS + rb"]*)?<!\[CDATA\[")
_XML: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?[" + WS + rb"]*+<(?:\?xml[" + WS + rb"]|(?:!doctype[" + WS + rb"]++)?svg[" + WS + rb">])", re.I
)
_STYLE_END: Final = re.compile(rb"</style", re.I)
_DOCTYPE: Final = re.compile(rb"!doctype(?:[^<>\[\"']|\"[^\"]*+\"|'[^']*+')*+", re.I)
_ENTITY: Final = rb"<!ENTITY\s++[\w.-]++\s++(?:\"https?:[^\"<&%]*+\"|'https?:[^'<&%]*+')\s*+>"
_ENTITIES: Final = re.compile(rb"\s*+(?:" + _ENTITY + rb"\s*+)*+")  # those that drawing programs write: namespaces
_SUBSET_END: Final = re.compile(rb"\][" + WS + rb"]*+>")
_INSTRUCTION: Final = re.compile(rb"\?(?!xml[" + WS + rb"?])", re.I)

_UTF7: Final = re.compile(rb"\+A[A-H]|utf-?7", re.I)  # an ASCII character in it begins so

_WITH_CONTENT: Final = frozenset({b"script", b"scriptlet", b"handler"})
_PICTURES: Final = frozenset({"png", "gif", "jpeg", "bmp", "tiff"})
_DULL: Final = frozenset({"data", "text", "empty", "mail", "arj", "compress", "cpio", "mp3"}) | _PICTURES

Cut = tuple[int, int, bytes]


class TooMuch(Exception):
    """Made so that reading it takes too long."""


def cleaned(content: bytes) -> Repaired | None:
    """The page without what acts, its readable text unchanged. None: nothing acts, or it cannot be read safely."""
    encoding = _encoding(content)
    narrow = content
    if encoding:
        try:
            narrow = content.decode(encoding).encode()
            if narrow.decode().encode(encoding) != content:
                return None
        except UnicodeError:
            return None
    found: dict[str, None] = {}
    try:
        text = _without(narrow, found)
    except TooMuch:
        return None
    result = text.decode().encode(encoding) if encoding else text
    if not found or _encoding(result) != encoding:  # what is at its begin now would have it read in another way
        return None
    return None if _acts_otherwise(result, encoding) else Repaired(result, tuple(found))


def _acts_otherwise(text: bytes, encoding: str) -> bool:
    """Whether a reader who takes it for another encoding would find what acts: the header of mail may name any."""
    readings = [text] if encoding else []
    if _UTF7.search(text):
        readings.append(text.decode("utf-7", "replace").encode("utf-8", "replace"))
    try:
        return any(_without(one, {}) != one for one in readings)
    except TooMuch:
        return True


def cleaned_wide(content: bytes) -> Repaired | None:
    """The same for what is told to be a text: only a page in UTF-16, whose octets show no tag."""
    encoding = utf16(content)
    if not encoding:
        return None
    head = content[:_HEAD_LEN].decode(encoding, "replace").encode().lstrip(b"\xef\xbb\xbf")
    return cleaned(content) if magic.identify(head, 0, len(head)) == "html" else None


def _encoding(content: bytes) -> str:
    """Of what is not a superset of ASCII; else empty. With its mark, which stays an octet sequence like any other."""
    if found := utf16(content):
        return found
    return "iso2022_jp_ext" if b"\x1b$" in content or b"\x1b(" in content else ""


def _without(text: bytes, found: dict[str, None]) -> bytes:
    most = WORK_MOST
    for _ in range(ROUNDS):
        reading = _Reading(text, found, most)
        cuts = reading.cuts()
        if not cuts:
            return text
        most -= reading.work
        text = _cut(text, cuts)
    raise TooMuch


def _cut(text: bytes, cuts: list[Cut]) -> bytes:
    """text without these stretches, which may overlap."""
    pieces: list[bytes] = []
    at = 0
    for start, end, instead in sorted(cuts):
        if start >= at:
            pieces += (text[at:start], instead)
        at = max(at, end)
    pieces.append(text[at:])
    return b"".join(pieces)


class _Reading:
    """One text, read once. found: what was cut, in words. most: octets of tags that may be read; work: that were."""

    def __init__(self, text: bytes, found: dict[str, None], most: int) -> None:
        self._text = text
        self._found = found
        self._cuts: list[Cut] = []
        self._most = min(max(WORK_MIN, WORK * len(text)), most)
        self.work = 0
        self._is_xml = _XML.match(text) is not None

    def cuts(self) -> list[Cut]:
        at = 0
        while (start := _START.search(self._text, at)) is not None:
            at = self._one(start)
        self._blobs()
        return self._cuts

    def _add(self, what: str, start: int, end: int, instead: bytes = b"") -> None:
        self._cuts.append((start, end, instead))
        self._found[what] = None

    def _work(self, octets: int) -> None:
        self.work += octets + 1
        if self.work > self._most:
            raise TooMuch

    def _one(self, start: re.Match[bytes]) -> int:
        """Read what begins here. Returns where to look on."""
        first = start[1]
        self._work(len(first))
        if first == b"?":
            return self._instruction(start.start())
        if first == b"!":
            return self._declaration(start.start())
        name = first.replace(b"\0", b"").lower()
        local = name.rpartition(b":")[2]
        end = self._tag(start.end(), name if name in LOADS else local)
        if local in _WITH_CONTENT:
            end = self._script_end(end, start.start())
            self._add(SCRIPT, start.start(), end)
            return end
        return self._style(end) if local == b"style" else start.start() + 1

    # --- tags -------------------------------------------------------------------------------------

    def _tag(self, at: int, name: bytes) -> int:
        """Cut what acts out of the attributes that begin at at. Returns the end of the tag."""
        text, begin = self._text, at
        while (attribute := _ATTRIBUTE.match(text, at)) is not None:
            at = attribute.end()
            value = attribute[2] or attribute[3] or attribute[4] or b""
            what = acts(name, attribute[1].replace(b"\0", b"").lower(), value)
            if what:
                self._add(what, attribute.start(1), at, b" ")
        found = _TAG_END.match(text, at)
        assert found is not None  # it matches nothing, too
        self._work(found.end() - begin)
        return found.end()

    def _script_end(self, at: int, start: int) -> int:
        """End of the script whose tag ends at at, its end tag included (HTML s13.2.5: escaped and double escaped)."""
        text = self._text
        if self._is_xml:
            if _SELF_CLOSED.search(text, start, at):
                return at
            data = _CDATA.match(text, at)
            if data is not None:
                close = text.find(b"]]>", data.end())
                self._work((close if close >= 0 else len(text)) - at)
                at = max(at, close)
        state = 0
        while (mark := _IN_SCRIPT.search(text, at)) is not None:
            self._work(mark.end() - at)
            at = mark.end()
            if mark[0] == b"<!--":
                state = state or 1
            elif mark[0] == b"-->":
                state = 0
            elif not mark[1]:
                state = 2 if state else 0
            elif state == 2:
                state = 1
            else:
                close = text.find(b">", at)
                return close + 1 if close >= 0 else len(text)
        return len(text)

    def _style(self, at: int) -> int:
        close = _STYLE_END.search(self._text, at)
        end = close.start() if close else len(self._text)
        self._work(end - at)
        if style_acts(self._text[at:end]):
            self._add(STYLE, at, end)
            return end
        return at

    # --- what else begins with `<` ----------------------------------------------------------------

    def _instruction(self, at: int) -> int:
        """A processing instruction but the declaration of XML: style sheets in XSL, imports of behaviours."""
        if _INSTRUCTION.match(self._text, at + 1) is None:
            return at + 2
        close = self._text.find(b"?>" if self._is_xml else b">", at)
        end = close + (2 if self._is_xml else 1) if close >= 0 else len(self._text)
        self._work(end - at)
        self._add(STYLE, at, end)
        return end

    def _declaration(self, at: int) -> int:
        """A document type with entities: they can spell what acts."""
        head = _DOCTYPE.match(self._text, at + 1)
        if head is None:
            return at + 2
        self._work(head.end() - at)
        if self._text[head.end() : head.end() + 1] != b"[":
            return at + 2
        plain = _ENTITIES.match(self._text, head.end() + 1)
        assert plain is not None  # it matches nothing, too
        self._work(plain.end() - at)
        if self._text[plain.end() : plain.end() + 1] == b"]":
            return plain.end()
        end = _SUBSET_END.search(self._text, plain.end())
        behind = end.end() - 1 if end else len(self._text)
        self._work(behind - at)
        self._add(ENTITY, head.end(), behind)
        return behind

    def _blobs(self) -> None:
        """Files in base64 that stand in the text itself."""
        at = 0
        while (run := next_run(self._text, at, TEXT_BLOB_LEN)) is not None:
            start, at = run
            data = decode(self._text[start : min(at, start + _HEAD_LEN)])[0]
            if magic.identify(data, 0, len(data)) not in _DULL and not self._is_picture(start):
                self._add(BLOB, start, at)

    def _is_picture(self, start: int) -> bool:
        return self._text[max(0, start - 8) : start].lower().endswith(b"base64,")
