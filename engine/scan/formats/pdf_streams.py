"""The streams of a PDF: where each begins and ends, what its dictionary says, and what is in it.

Keywords are looked for in the whole file; the dictionary is the object that ends right before one.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from itertools import zip_longest
from typing import Final

import msgspec

from engine import limits
from engine.scan.formats.item import Room
from engine.scan.formats.pdf_filters import Decoded, Step, decode, full_name
from engine.scan.formats.pdf_objects import Objects, TooMuch
from engine.scan.formats.pdf_security import IN_CLEAR
from engine.scan.formats.pdf_syntax import Dict, Malformed, Name, Ref, Value, parse
from engine.scan.mapped import Octets

_STREAM: Final = re.compile(rb"stream")
_BEFORE_STREAM: Final = re.compile(rb">>(?:[\0\t\n\f\r ]++|%[^\r\n]*+[\r\n])*+\Z")
# What most streams have before them; reading these without the parser saves a third of the time.
_SIMPLE: Final = re.compile(
    rb"\s*+<<\s*+(?:/Length\s++(\d{1,10})\s*+/Filter\s*+/FlateDecode|/Filter\s*+/FlateDecode\s*+/Length\s++(\d{1,10}))"
    rb"\s*+>>\s*+\Z"
)
_SIMPLE_LEN: Final = 80
_FLATE: Final = Name(b"FlateDecode")
_FLATE_WAYS: Final = [[Step(b"FlateDecode")]]
_OBJECTS_HEAD: Final = (b"ObjStm", b"First", b"#")
_TABLE_HEAD: Final = (b"/W", b"#")
_ENTRY: Final = re.compile(rb"(?<!\d)(\d{1,18}+)[\0\t\n\f\r ]++\d{1,10}+[\0\t\n\f\r ]++n")
_HEADER_ROOM: Final = 1024 + 5  # in which the mark of a PDF is looked for
_LINE_END: Final = re.compile(rb"[ \t]*(?:\r\n|\n|\r)|")
_BODY_END: Final = re.compile(rb"[\0\t\n\f\r ]*(?:endstream|endobj)")
_LOOSE_LEN: Final = 4096  # octets before a stream in which its dictionary is looked for if no object begins there
_LOOSE_TRIES: Final = 200  # such searches in one file: each is dear, and each is a severe finding already
_EXTENSIONS: Final = 4  # `endstream` in its own data that a stream may pass over
_READINGS: Final = 8  # ways to read one dictionary that are tried


def holds_objects(head: Dict) -> bool:
    """Whether a reader may take a stream for one of objects: they go by the table, not by its /Type."""
    return b"First" in head or head.get(b"Type") == b"ObjStm" or b"ObjStm" in head.doubles.get(b"Type", ())


class Stream(msgspec.Struct):
    """number, generation: of its object, -1 if unknown. head: its dictionary; loose: not found as it should be.

    start: its first octet in the file. end: behind the last one by its length or the next endstream, whichever is
    later. exact: both agree.
    """

    number: int
    generation: int
    head: Dict
    loose: bool
    start: int
    end: int
    exact: bool


class Streams:
    """The streams among objects, by their number in the file. gaps: what was left out."""

    def __init__(self, objects: Objects, room: Room) -> None:
        self.objects = objects
        self.gaps: list[str] = []
        self.nested: list[tuple[int, int]] = []  # stored files that are PDFs: opened on their own
        self._buf = objects.buf
        self._expanded = limits.SCAN_TOTAL_LEN
        self._marks = array("q")  # offsets of the keywords, in order
        self._next_end = (0, -2)
        self._loose_tries = 0
        self._find(room)

    def _find(self, room: Room) -> None:
        buf = self._buf
        skip = 0
        for count, found in enumerate(_STREAM.finditer(buf)):
            at = found.start()
            if not count & 0xFFFF:
                room.check_time()
            if at < skip or (at >= 3 and buf[at - 3 : at] == b"end"):
                continue
            if not _follows_dictionary(buf, at) and not self._ends_dictionary(at):
                continue
            if len(self._marks) >= limits.PDF_STREAMS:
                self.gaps.append(f"{limits.PDF_STREAMS} streams")
                break
            self._marks.append(at)
            start = _body(buf, at)
            if buf.startswith(b"%PDF", start):
                stream = self.stream(len(self._marks) - 1)
                if stream.exact and not stream.head.get(b"Filter"):
                    skip = stream.end
                    self.nested.append((start, skip))
        if self.nested:
            self.objects.drop(self.nested)

    def _ends_dictionary(self, at: int) -> bool:
        """Whether the keyword at `at` ends a dictionary that was never closed."""
        buf = self._buf
        if at == 0 or buf[at - 1] not in b"\n\r \t\0\f" or buf[at + 6 : at + 7] not in (b"\r", b"\n"):
            return False
        value, end = self.objects.object_at(buf, self.objects.before(at))
        return isinstance(value, Dict) and end == at

    def __len__(self) -> int:
        return len(self._marks)

    def beyond_doubt(self, room: Room) -> bool:
        """See Objects.beyond_doubt. Of all tables that say where objects begin, none says otherwise."""
        base = max(0, self._buf.find(b"%PDF-", 0, _HEADER_ROOM))  # offsets count from there, for some
        return self.objects.beyond_doubt(self._marks) and not self.objects.halved(
            at + shift for at in self._table_offsets(room) for shift in {0, base}
        )

    def _table_offsets(self, room: Room) -> Iterator[int]:
        """Where objects begin by the tables of the file (s7.5.4) and those in streams (s7.5.8)."""
        for entry in _ENTRY.finditer(self._buf):
            yield int(entry[1])
        for place in range(len(self)):
            if not place & 0xFF:
                room.check_time()
            if self._says(place, _TABLE_HEAD):
                stream = self.stream(place)
                widths = self.objects.resolved(stream.head.get(b"W"))
                if isinstance(widths, list):
                    yield from self._entries(stream, [self.objects.resolved(one) for one in widths[:3]], room)

    def _entries(self, stream: Stream, widths: list[Value], room: Room) -> Iterator[int]:
        if len(widths) < 3 or not all(type(one) is int and 0 <= one <= 8 for one in widths) or not sum(widths):
            return
        try:
            ways = self.steps(stream.head)
        except Malformed:
            return
        for steps in ways:
            data = bytes(self.decode(stream, steps, room.room() // 4)[0].data)
            kind_len, offset_len, _ = widths
            for at in range(0, len(data) - sum(widths) + 1, sum(widths)):
                if not kind_len or int.from_bytes(data[at : at + kind_len], "big") == 1:
                    yield int.from_bytes(data[at + kind_len : at + kind_len + offset_len], "big")

    def may_hold_objects(self, place: int) -> bool:
        """Whether stream number `place` may be an object stream, by a look at what stands before it."""
        return self._says(place, _OBJECTS_HEAD)

    def _says(self, place: int, words: tuple[bytes, ...]) -> bool:
        """Whether one of the words stands before stream number `place`, where its dictionary is."""
        mark = self._marks[place]
        begin = max(self.objects.before(mark), self._marks[place - 1] if place else 0)
        return any(self._buf.find(word, begin, mark) >= 0 for word in words)

    def stream(self, place: int) -> Stream:
        mark = self._marks[place]
        number, generation, head, loose = self._head(mark)
        start = _body(self._buf, mark)
        end, exact = self._end(start, head)
        return Stream(number, generation, head, loose, start, end, exact)

    def _head(self, mark: int) -> tuple[int, int, Dict, bool]:
        objects = self.objects
        place = bisect_right(objects.starts, mark) - 1
        for back in (place, place - 1):
            if back < 0:
                break
            if mark - objects.starts[back] < _SIMPLE_LEN and (
                simple := _SIMPLE.match(self._buf[objects.starts[back] : mark])
            ):
                head = Dict()
                head[b"Length"], head[b"Filter"] = int(simple[1] or simple[2]), _FLATE
                return *objects.named(back), head, False
            value, end = objects.object_at(self._buf, objects.starts[back])
            if isinstance(value, Dict) and end <= mark and _blank(self._buf, end, mark):
                return *objects.named(back), value, False
        return *objects.named(place), self._loose_head(mark), True

    def _loose_head(self, mark: int) -> Dict:
        """The longest dictionary that ends right before mark."""
        self._loose_tries += 1
        if self._loose_tries > _LOOSE_TRIES:
            return Dict()
        at = max(0, mark - _LOOSE_LEN)
        part = self._buf[at:mark]
        begin = part.find(b"<<")
        while begin >= 0:
            self.objects.charge(len(part) - begin)
            try:
                value, end = parse(part, begin)
            except Malformed:
                pass
            else:
                if isinstance(value, Dict) and _blank(part, end, len(part)):
                    return value
            begin = part.find(b"<<", begin + 1)
        return Dict()

    def _end(self, start: int, head: Dict) -> tuple[int, bool]:
        buf = self._buf
        length = self.objects.resolved(head.get(b"Length"))
        declared = -1
        if type(length) is int and 0 <= length <= len(buf) - start:
            declared = start + length
            if _BODY_END.match(buf, declared):
                return declared, True
        end = self._endstream(start)
        if end < 0:
            end = len(buf)
        elif buf[end - 2 : end] == b"\r\n":
            end -= 2
        elif end > start and buf[end - 1] in b"\r\n":
            end -= 1
        end = max(start, end)
        if declared > end:
            self.objects.charge(declared - end)
            end = declared
        return end, False

    def _endstream(self, at: int) -> int:
        """Offset of the next endstream, or -1. Remembered, so that streams without end cost one search."""
        begin, found = self._next_end
        if begin <= at and (found == -1 or found >= at):
            return found
        found = self._buf.find(b"endstream", at)
        self._next_end = (at, found)
        return found

    def readings(self, stream: Stream) -> list[int]:
        """The ways in which a stream of an encrypted document may be encrypted; see Security.readings."""
        security = self.objects.security
        return [IN_CLEAR] if security is None else security.readings(stream.head, self._crypt(stream.head))

    def decode(self, stream: Stream, steps: list[Step], room: int, reading: int = IN_CLEAR) -> tuple[Decoded, bool]:
        """(what is in the stream, whether the search for its end was given up). reading: one of readings()."""
        end = stream.end
        self.objects.charge(max(0, end - stream.start))  # lengths may lead over each other
        done = decode(self._plain(stream, end, room, reading), steps, room)
        self._expand(done)
        if not steps or done.first_ended or done.over or done.broken or done.stopped == steps[0].name:
            return done, False
        for _ in range(_EXTENSIONS):
            mark = self._buf.find(b"endstream", end)
            following = self._buf.find(b"endstream", mark + 9) if mark >= 0 else -1
            end = following if following >= 0 else len(self._buf)
            self.objects.charge(end - stream.start)
            longer = decode(self._plain(stream, end, room, reading), steps, room)
            self._expand(longer)
            if longer.first_ended or longer.over:
                return longer, False
            if longer.broken or steps[0].name != b"FlateDecode" or end == len(self._buf):
                return done, False
        return done, True

    def _plain(self, stream: Stream, end: int, room: int, reading: int) -> bytes | memoryview:
        """The octets of a stream up to end, decrypted. Raises TooMuch."""
        raw = memoryview(self._buf)[stream.start : end]
        security = self.objects.security
        if security is None or reading == IN_CLEAR:
            return raw
        if len(raw) > room:
            raise TooMuch
        return security.plain(reading, stream.number, stream.generation, raw)

    def _crypt(self, head: Dict) -> bytes | None:
        """The crypt filter that a stream names itself (s7.4.10)."""
        for name, given in zip_longest(self._listed(head.get(b"Filter")), self._listed(head.get(b"DecodeParms"))):
            if name == b"Crypt":
                named = self.objects.resolved(given.get(b"Name")) if isinstance(given, Dict) else None
                return bytes(named) if isinstance(named, Name) else b"Identity"
        return None

    def _expand(self, done: Decoded) -> None:
        self._expanded -= len(done.data)
        if self._expanded < 0:
            raise TooMuch

    def file_regions(self) -> Iterator[tuple[int, int]]:
        """Stretches of the file outside of stored PDFs."""
        at = 0
        for start, end in self.nested:
            yield at, start
            at = end
        yield at, len(self._buf)

    def steps(self, head: Dict) -> list[list[Step]]:
        """Filters of a stream: one list for each way to read its dictionary. Raises Malformed for what is none."""
        filters = head.get(b"Filter")
        short = head.get(b"F")  # an abbreviation, if it is not the name of a file that has the stream's octets
        plain = not head.doubles and b"DecodeParms" not in head and b"DP" not in head
        if plain and filters == _FLATE and type(filters) is Name:
            return _FLATE_WAYS
        ways: list[list[Step]] = []
        given = [head.get(b"Filter"), *head.doubles.get(b"Filter", ())]
        if isinstance(short, Name | list | Ref) and self._names(short):
            given.append(short)
        for filters in given[:_READINGS]:
            for params in [
                head.get(b"DecodeParms", head.get(b"DP")), *head.doubles.get(b"DecodeParms", ())
            ][:_READINGS]:  # fmt: skip
                way = self._way(filters, params)
                if way not in ways:
                    ways.append(way)
        return ways

    def _names(self, value: Value) -> bool:
        """Whether it is a name or names: filters."""
        found = self.objects.resolved(value)
        return isinstance(found, Name) or (isinstance(found, list) and any(isinstance(one, Name) for one in found))

    def _way(self, filters: Value, params: Value) -> list[Step]:
        names = self._listed(filters)
        given = self._listed(params)
        way = []
        for place, name in enumerate(names):
            if not isinstance(name, Name):
                raise Malformed(0)
            step = full_name(bytes(name))
            given_here = given[place] if place < len(given) else None
            if step == b"Crypt" and (self.objects.security is not None or _is_identity(given_here)):
                continue
            way.append(self._step(step, given_here))
        return way

    def _listed(self, value: Value) -> list[Value]:
        found = self.objects.resolved(value)
        if found is None:
            if isinstance(value, Ref):
                raise Malformed(0)
            return []
        return [self.objects.resolved(one) for one in found[:100]] if isinstance(found, list) else [found]

    def _step(self, name: bytes, params: Value) -> Step:
        if not isinstance(params, Dict):
            return Step(name)

        def number(key: bytes, default: int) -> int:
            value = self.objects.resolved(params.get(key))
            return int(value) if isinstance(value, int | float) and abs(value) < 2**31 else default

        return Step(
            name, number(b"Predictor", 1), number(b"Colors", 1), number(b"BitsPerComponent", 8),
            number(b"Columns", 1), bool(number(b"EarlyChange", 1)),
        )  # fmt: skip


def _follows_dictionary(buf: Octets, mark: int) -> bool:
    """Whether a dictionary ends before the keyword at mark, white space and comments apart."""
    at = mark - 1
    while at >= 0 and mark - at < 32 and buf[at] in b"\n\r \t\0\f":
        at -= 1
    if at > 0 and buf[at] == 0x3E and buf[at - 1] == 0x3E:
        return True
    if at < 0:
        return False
    before = buf[max(0, mark - 256) : mark]
    return (end := before.rfind(b">>")) >= 0 and _BEFORE_STREAM.match(before, end) is not None


def _blank(buf: Octets, start: int, end: int) -> bool:
    return (end - start < 512 and not buf[start:end].strip(b"\0\t\n\f\r ")) or (
        end - start < 512 and _BEFORE_STREAM.match(b">>" + buf[start:end]) is not None
    )


def _body(buf: Octets, mark: int) -> int:
    """First octet behind the keyword and its line end."""
    found = _LINE_END.match(buf, mark + 6)
    assert found is not None  # it matches nothing, too
    return found.end()


def _is_identity(params: Value) -> bool:
    return not isinstance(params, Dict) or params.get(b"Name", b"Identity") == b"Identity"
