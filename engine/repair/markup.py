"""XML of office documents, read by expat and changed where it stands: elements cut, emptied, other attribute values.

What is not touched stays octet by octet, unless the part is written in UTF-16 or a charset of Windows: it becomes UTF-8
then. A part that is not well-formed, or has a document type, is refused: Office does not read it either.
"""

import re
from collections.abc import Callable, Collection
from typing import Final
from xml.parsers import expat

import msgspec

from engine.repair.allowance import Allowance, Irregular

TEXT_LEN: Final = 1 << 16  # characters of one element that are kept
_DECLARATION: Final = re.compile(rb"<\?xml[^>]*?\?>")
_ENCODING: Final = re.compile(rb"""\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_HEAD: Final = re.compile(rb"""<[^\s/>]++(?:\s++[^\s=/>]++\s*+=\s*+(?:"[^"]*+"|'[^']*+'))*+\s*+/?>""")
_ATTRIBUTE: Final = re.compile(rb"""\s([^\s=/>"']++)\s*+=\s*+("[^"]*+"|'[^']*+')""")
_DECIDING: Final = frozenset({
    "Type", "Target", "TargetMode", "PartName", "ContentType", "fldCharType", "instr", "action", "function",
    "vbProcedure", "xlm", "refreshOnLoad", "interval", "ddeService", "ddeTopic", "href", "formula", "full-path",
    "dde-application", "dde-topic", "dde-item",
})  # fmt: skip
_CHARSETS: Final = {"windows-1252": "cp1252", "windows-1251": "cp1251", "iso-8859-1": "latin-1", "us-ascii": "ascii"}
_BOMS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_SIGNS: Final = ((b"&", b"&amp;"), (b"<", b"&lt;"), (b">", b"&gt;"), (b'"', b"&quot;"))


class Element(msgspec.Struct):
    """name: without its prefix. attributes: by their names without prefix. text: directly in it, TEXT_LEN at most.

    start, inner: where its tag begins and ends. close, end: the same of its end tag; as long as it is open -1.
    """

    name: str
    attributes: dict[str, str]
    start: int
    inner: int
    text: str = ""
    close: int = -1
    end: int = -1


class Markup:
    """One part while it is changed."""

    def __init__(self, octets: bytes, allowance: Allowance) -> None:
        self.octets = utf8(octets)
        allowance.unpacked(len(self.octets))
        self._allowance = allowance
        self._edits: list[tuple[int, int, bytes]] = []
        self._names: Collection[str] | None = ()
        self._open: list[Element | None] = []
        self._visit: Callable[[Element], None] = _nothing

    def walk(
        self,
        names: Collection[str] | None,
        visit: Callable[[Element], None],
    ) -> None:
        """Call visit with each element of these names, or with all, when it ends. Raises Irregular."""
        self._names, self._visit = names, visit
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        self._parser = parser
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._refuse
        try:
            parser.Parse(self.octets, True)
        except expat.ExpatError as failure:
            raise Irregular from failure

    def _refuse(self, *_: object) -> None:
        raise Irregular

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._allowance.step()
        local = name.rpartition(":")[2]
        element = None
        if self._names is None or local in self._names:
            start = self._parser.CurrentByteIndex
            head = _HEAD.match(self.octets, start)
            if head is None:
                raise Irregular
            plain = {key.rpartition(":")[2]: value for key, value in attributes.items()}
            if len(plain) < len(attributes) and _twice(attributes):
                raise Irregular
            element = Element(local, plain, start, head.end())
        self._open.append(element)

    def _text(self, text: str) -> None:
        if self._open and (element := self._open[-1]) is not None:
            element.text += text[: TEXT_LEN - len(element.text)]

    def _end(self, name: str) -> None:
        element = self._open.pop()
        if element is None:
            return
        if self.octets[element.inner - 2] == 0x2F:  # <a/>
            element.close = element.end = element.inner
        else:
            element.close = self._parser.CurrentByteIndex
            element.end = self.octets.index(b">", element.close) + 1
        self._visit(element)

    # --- changes --------------------------------------------------------------------------------------

    def cut(self, element: Element) -> None:
        """Take it out with all that is in it. It has ended."""
        self._edits.append((element.start, element.end, b""))

    def empty(self, element: Element) -> None:
        """Take out what is in it. It has ended."""
        if element.close > element.inner:
            self._edits.append((element.inner, element.close, b""))

    def set(self, element: Element, values: dict[str, str]) -> None:
        """Other values of attributes that it has, by their names without prefix."""
        for found in _ATTRIBUTE.finditer(self.octets, element.start, element.inner):
            value = values.get(found[1].rpartition(b":")[2].decode("utf-8", "replace"))
            if value is not None:
                octets = value.encode("utf-8", "replace")
                for sign, escaped in _SIGNS:
                    octets = octets.replace(sign, escaped)
                self._edits.append((found.start(2), found.end(2), b'"' + octets + b'"'))

    def without(self, element: Element, names: Collection[str]) -> None:
        """Take out attributes, by their names without prefix."""
        for found in _ATTRIBUTE.finditer(self.octets, element.start, element.inner):
            if found[1].rpartition(b":")[2].decode("utf-8", "replace") in names:
                self._edits.append((found.start(), found.end(), b""))

    @property
    def changed(self) -> bool:
        return bool(self._edits)

    def result(self) -> bytes:
        """The part with all changes; those within what is cut vanish with it."""
        pieces: list[bytes] = []
        at = 0
        for start, end, octets in sorted(self._edits, key=lambda one: (one[0], -one[1])):
            if start >= at:
                pieces += (self.octets[at:start], octets)
                at = end
        pieces.append(self.octets[at:])
        return b"".join(pieces)


def _twice(attributes: Collection[str]) -> bool:
    """Whether one that decides is there in two namespaces: readers take that of their own."""
    names = [name for key in attributes if (name := key.rpartition(":")[2]) in _DECIDING]
    return len(set(names)) < len(names)


def _nothing(_: Element) -> None:
    """For who does not want to know of the beginning of elements."""


def utf8(octets: bytes) -> bytes:
    """The part in UTF-8, without a declared encoding if it had another one. Raises Irregular."""
    encoding = ""
    for mark, name in _BOMS:
        if octets.startswith(mark):
            if name == "utf-8":
                octets = octets[len(mark) :]
            else:
                encoding, octets = name, octets[len(mark) :]
            break
    else:
        if octets[:2] in (b"<\0", b"\0<"):
            encoding = "utf-16-le" if octets[:1] == b"<" else "utf-16-be"
    if not encoding:
        declared = _ENCODING.search(found[0]) if (found := _DECLARATION.match(octets)) else None
        named = declared[1].decode().lower() if declared else "utf-8"
        if octets.lstrip()[:1] not in (b"<", b""):
            raise Irregular  # EBCDIC, say
        if named in ("utf-8", "utf8"):
            return octets
        if named not in _CHARSETS:
            raise Irregular
        encoding = _CHARSETS[named]
    try:
        octets = octets.decode(encoding).encode("utf-8")
    except UnicodeError as failure:
        raise Irregular from failure
    return _DECLARATION.sub(lambda found: _ENCODING.sub(b"", found[0]), octets, count=1)
