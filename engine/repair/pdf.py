"""PDF without what acts: scripts, programs that are started, attached files, rich media, XFA, what sends forms.

Everything is overwritten in place with as many octets, so that cross-reference tables, hint tables of linearized files
and older revisions stay true. Entries of dictionaries become blanks, dictionaries of actions are emptied, streams that
hold scripts or files become blanks without a filter, and object streams are packed again to their length.

Objects are looked for, not followed (engine.scan.formats.pdf_objects), so old revisions are cleaned as well.

Known gaps: encrypted documents are not cleaned, nor are object streams with a predictor that deflate cannot make
shorter; a signature on the document no longer holds afterwards.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from engine.repair.allowance import Allowance, Irregular, Spent
from engine.repair.packing import fitted
from engine.repair.pdf_spans import REF, Node, parse
from engine.repair.repaired import Repaired
from engine.scan.formats.pdf_objects import Objects, ObjectStream, TooMuch
from engine.scan.formats.pdf_streams import Stream, Streams, holds_objects
from engine.scan.formats.pdf_syntax import ARRAY, NAME, OPEN, STRING, Dict, Malformed, Name, Ref, unescaped

_SCRIPTS, _STARTS, _ATTACHED = "JavaScript", "actions that start programs", "attached files"
_SENDS, _RICH, _FORMS, _ALONE = "actions that send or fetch form data", "rich media", "XFA forms", "automatic actions"
# Entries that are taken out, whatever their value is.
_KEYS: Final = {
    b"JS": _SCRIPTS,
    b"JavaScript": _SCRIPTS,
    b"OnInstantiate": _SCRIPTS,
    b"AA": _ALONE,
    b"EF": _ATTACHED,
    b"EmbeddedFiles": _ATTACHED,
    b"XFA": _FORMS,
    b"RichMediaContent": _RICH,
    b"RichMediaSettings": _RICH,
}
# Types of actions (ISO 32000-2 s12.6.4) that are emptied.
_ACTIONS: Final = {
    b"JavaScript": _SCRIPTS,
    b"Launch": _STARTS,
    b"GoToE": _ATTACHED,
    b"SubmitForm": _SENDS,
    b"ImportData": _SENDS,
    b"RichMediaExecute": _RICH,
}
_URI: Final = b"URI"
_TELLING: Final = frozenset({*_KEYS, *_ACTIONS, b"OpenAction", b"EmbeddedFile", b"Encrypt"})
_REGULAR: Final = rb"[^\0\t\n\f\r ()<>\[\]{}/%]"
_MARKS: Final = re.compile(
    rb"/(?:(" + b"|".join(sorted(_TELLING)) + rb")(?!" + _REGULAR + rb")"
    + rb"|([^\0\t\n\f\r ()<>\[\]{}/%#]{0,16}+#" + _REGULAR + rb"{2,60}+)"
    + rb"|(URI)(?!" + _REGULAR + rb")\s*+(?!\(\s*+(?i:https?|mailto|ftp|tel):))"
)  # fmt: skip
_SCRIPT_LINK: Final = re.compile(rb"javascript:", re.I)
_IN_LINKS: Final = bytes(range(0x21)) + b"\xef\xbb\xbf\xfe\xff"  # marks of encodings, too
_KEYWORD: Final = re.compile(rb"(?<![A-Za-z])obj(?![A-Za-z])")
_HEAD_KEYS: Final = frozenset({b"Filter", b"DecodeParms", b"DP", b"Params", b"F", b"FFilter", b"FDecodeParms"})
_FLATE: Final = b"/FlateDecode"
_ENCRYPT: Final = b"Encrypt"


def cleaned(content: bytes) -> Repaired | None:
    """The document without what acts, as long as it was. None: nothing of that kind, or it cannot be changed."""
    try:
        return _Cleaning(content).run()
    except (Irregular, Malformed, Spent, TooMuch):
        return None


class _Text:
    """A stretch of objects that can be overwritten: the file, or a decoded object stream. inner: that stream."""

    def __init__(self, octets: bytes, inner: ObjectStream | None = None) -> None:
        self.octets = octets
        self.changed = bytearray(octets)
        self.inner = inner

    def blank(self, start: int, end: int) -> None:
        self.changed[start:end] = b" " * (end - start)

    def put(self, start: int, end: int, words: bytes) -> None:
        """words and blanks behind them; they are not longer than the place."""
        self.changed[start:end] = words.ljust(end - start)

    @property
    def touched(self) -> bool:
        return self.changed != self.octets


class _Cleaning:
    """One document while it is cleaned."""

    def __init__(self, content: bytes) -> None:
        self._allowance = Allowance()
        self._objects = Objects(content, self._allowance)
        self._found = Streams(self._objects, self._allowance)
        if self._found.gaps:
            raise Spent
        self._streams = [self._found.stream(place) for place in range(len(self._found))]
        self._file = _Text(content)
        self._packed: list[tuple[Stream, _Text]] = []
        self._done: dict[str, None] = {}
        self._hidden: set[int] = set()  # numbers of objects that are scripts or files
        self._seen: dict[int, int] = {}  # objects of one text that were looked at: start -> end

    def run(self) -> Repaired | None:
        for place, stream in enumerate(self._streams):
            if self._found.may_hold_objects(place) and holds_objects(stream.head):
                self._open(stream)
        for text in self._texts():
            self._seen.clear()
            for mark in self._marks(text):
                self._look(text, mark)
        for stream in self._streams:
            if stream.number in self._hidden or stream.head.get(b"Type") == b"EmbeddedFile":
                self._empty_stream(stream)
        for text in self._texts():
            self._empty_strings(text)
        for stream, text in self._packed:
            if text.touched:
                self._pack(stream, bytes(text.changed))
        if not self._file.touched:
            return None
        self._refuse_hidden()
        return Repaired(bytes(self._file.changed), tuple(self._done))

    def _refuse_hidden(self) -> None:
        """A cross-reference table may lead to objects amid the octets of a stream: those are not cleaned."""
        for stream in self._streams:
            self._objects.charge(stream.end - stream.start)
            octets = bytes(memoryview(self._file.changed)[stream.start : stream.end])
            if _KEYWORD.search(octets) and next(self._telling(octets, 0, len(octets)), -1) >= 0:
                raise Irregular

    def _texts(self) -> Iterator[_Text]:
        yield self._file
        for _, text in self._packed:
            yield text

    def _open(self, stream: Stream) -> None:
        ways = self._found.steps(stream.head)
        done, lost = self._found.decode(stream, ways[0], self._allowance.room())
        if len(ways) > 1 or lost or done.over or done.stopped or not done.ended:
            raise Irregular
        self._allowance.unpacked(2 * len(done.data))
        inner = ObjectStream(done.data, self._objects.resolved(stream.head.get(b"First")))
        self._objects.object_streams.append(inner)
        self._packed.append((stream, _Text(bytes(done.data), inner)))

    def _marks(self, text: _Text) -> Iterator[int]:
        """Offsets of names that mean something, outside of the octets of streams."""
        regions = [(0, len(text.octets))] if text.inner else list(self._outside())
        for start, end in regions:
            yield from self._telling(text.octets, start, end)

    def _telling(self, octets: bytes, start: int, end: int) -> Iterator[int]:
        for found in _MARKS.finditer(octets, start, end):
            if found[3] or (name := found[1] or unescaped(found[2])) in _TELLING or name == _URI:
                yield found.start()

    def _outside(self) -> Iterator[tuple[int, int]]:
        at = 0
        for stream in self._streams:
            if stream.start >= at:
                yield at, stream.start
            at = max(at, stream.end)
        yield at, len(self._file.octets)

    # --- objects --------------------------------------------------------------------------------------

    def _look(self, text: _Text, mark: int) -> None:
        """Clean the object in which mark lies, once."""
        if text.inner is None:
            start = self._objects.before(mark)
        else:
            offsets = text.inner.table[1]
            place = bisect_right(offsets, mark) - 1
            start = offsets[place] if place >= 0 else 0
        end = self._seen.get(start, -1)
        if end < 0:
            end = self._examine(text, start)
        while end <= mark:  # a trailer behind it, or what another reader takes for an object
            self._allowance.step()
            at = text.octets.find(b"<<", end, mark)
            end = mark if at < 0 else max(at + 2, self._examine(text, at))
            self._seen[start] = end  # marks come in order: what lies before this one is done
            if at < 0:
                break

    def _examine(self, text: _Text, start: int) -> int:
        """Clean the object there. Returns where it ends."""
        node = parse(text.octets, start, self._allowance)
        self._seen[start] = node.end if node is not None else start
        if node is None:
            return start
        if node.kind == NAME:
            if node.text in _ACTIONS and node.end - node.start >= 4:
                text.put(node.start, node.end, b"null")
                self._done[_ACTIONS[node.text]] = None
            return node.end
        self._walk(text, node, text.octets.startswith(b"stream", _skip(text.octets, node.end)))
        return node.end

    def _walk(self, text: _Text, top: Node, of_stream: bool) -> None:
        waiting = [top]
        while waiting:
            node = waiting.pop()
            self._allowance.step()
            if node.kind == OPEN:
                self._dictionary(text, node, of_stream and node is top)
            waiting.extend(node.items)

    def _dictionary(self, text: _Text, node: Node, of_stream: bool) -> None:
        for key, value in node.pairs():
            name = key.text
            if name == _ENCRYPT and value.kind in (REF, OPEN):
                raise Irregular
            if name in _KEYS:
                if name in (b"JS", b"OnInstantiate", b"XFA", b"EF"):
                    self._hide(value)
                text.blank(key.start, value.end)
                self._done[_KEYS[name]] = None
            elif name == b"OpenAction" and self._acts(text, value):
                text.blank(key.start, value.end)
                self._done[_ALONE] = None
            elif name == b"Type" and value.text == b"EmbeddedFile":
                text.blank(key.start, value.end)
                self._done[_ATTACHED] = None
        words = self._action(node)
        if words and not of_stream:
            text.blank(node.start + 2, node.end - 2)
            self._done[words] = None

    def _action(self, node: Node) -> str:
        """What an action does that must not happen; empty if it may, or if it is none."""
        for key, value in node.pairs():
            if key.text == b"S":
                kind = value.text if value.kind == NAME else None
                if value.kind == REF:
                    found = self._objects.resolved(Ref(value.number))
                    kind = bytes(found) if isinstance(found, Name) else None
                if kind in _ACTIONS:
                    return _ACTIONS[kind]
            elif key.text == _URI and _SCRIPT_LINK.match(self._link(value)):
                return _SCRIPTS
        return ""

    def _link(self, value: Node) -> bytes:
        """A link as readers take it: without controls, which are also what UTF-16 adds to ASCII."""
        text = value.text if value.kind == STRING else b""
        if value.kind == REF:
            found = self._objects.resolved(Ref(value.number))
            text = found if isinstance(found, bytes) and not isinstance(found, Name) else b""
        return text.translate(None, _IN_LINKS)

    def _acts(self, text: _Text, value: Node) -> bool:
        """Whether /OpenAction does more than go to a place in the document."""
        if value.kind == REF:
            found = self._objects.resolved(Ref(value.number))
        else:
            found = self._objects.read(text.octets, value.start)[0]
        return isinstance(found, Dict) and self._objects.resolved(found.get(b"S")) != b"GoTo"

    def _hide(self, value: Node) -> None:
        """Note all objects that value refers to, through arrays and dictionaries: their octets go."""
        numbers: list[int] = []
        waiting = [value]
        while waiting:
            node = waiting.pop()
            if node.kind == REF:
                numbers.append(node.number)
            waiting.extend(node.items)
        for number in numbers:
            if number not in self._hidden:
                self._hidden.add(number)
                for found in self._objects.definitions(number):
                    if isinstance(found, Dict | list):
                        entries = list(found.values()) if isinstance(found, Dict) else found
                        self._hidden.update(one.number for one in entries if isinstance(one, Ref) and _plain(found))

    # --- what scripts and files are made of -------------------------------------------------------------

    def _empty_stream(self, stream: Stream) -> None:
        starts = self._objects.starts
        place = bisect_right(starts, stream.start) - 1
        if place < 0 or (place + 1 < len(starts) and starts[place + 1] < stream.end and not stream.exact):
            raise Irregular  # by its length it reaches into what follows
        head = parse(self._file.octets, starts[place], self._allowance)
        if head is None or head.end > stream.start:
            raise Irregular
        for key, value in head.pairs():
            if key.text in _HEAD_KEYS or (key.text == b"Type" and value.text == b"EmbeddedFile"):
                self._file.blank(key.start, value.end)
        if stream.number not in self._hidden:
            self._done[_ATTACHED] = None
        self._file.blank(stream.start, stream.end)

    def _empty_strings(self, text: _Text) -> None:
        """Scripts that are strings of their own."""
        numbers, starts = (self._objects.numbers, self._objects.starts) if text.inner is None else text.inner.table
        for number, start in zip(numbers, starts, strict=True):
            if number in self._hidden:
                node = parse(text.octets, start, self._allowance)
                if node is not None and node.kind == STRING:
                    text.blank(node.start + 1, node.end - 1)
                elif node is not None and node.kind == ARRAY:
                    for one in node.items:
                        if one.kind == STRING:
                            text.blank(one.start + 1, one.end - 1)

    def _pack(self, stream: Stream, data: bytes) -> None:
        """A changed object stream, into the place of the old one."""
        ways = self._found.steps(stream.head)
        length = stream.end - stream.start
        if not ways[0]:
            self._file.changed[stream.start : stream.end] = data.ljust(length)[:length]
            return
        packed = fitted(data, length)
        head = parse(self._file.octets, self._objects.before(stream.start), self._allowance)
        if packed is None or head is None:
            raise Irregular
        for key, value in head.pairs():
            if key.text == b"Filter":
                if value.end - value.start < len(_FLATE):
                    raise Irregular
                self._file.put(value.start, value.end, _FLATE)
            elif key.text in (b"DecodeParms", b"DP"):
                self._file.blank(key.start, value.end)
        self._file.changed[stream.start : stream.end] = packed


def _plain(found: Dict | list[object]) -> bool:
    """Whether an object holds nothing but what it refers to: a list of XFA parts, or the files of /EF."""
    entries = list(found.values()) if isinstance(found, Dict) else found
    return all(isinstance(one, Ref | bytes) for one in entries)


def _skip(buf: bytes, at: int) -> int:
    while at < len(buf) and buf[at] in b"\0\t\n\f\r ":
        at += 1
    return at
