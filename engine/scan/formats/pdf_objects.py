"""Where the objects of a PDF are: found by looking for them, not by the cross-reference table.

A reader follows the table, or looks for objects when it is broken; what either finds begins with `N G obj`, and every
stream has its keyword in the file. So looking for the words finds what all readers find, old revisions and objects
that no table names included. The table itself adds nothing and is not read.

Work that is not linear (objects read twice, strings without end, streams that reach into each other) is charged to
an allowance in proportion to the file; beyond it the rest is not examined, and the opener says so.
"""

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from engine import limits
from engine.scan.formats.item import Room
from engine.scan.formats.pdf_security import Security, decrypted
from engine.scan.formats.pdf_syntax import Malformed, Ref, Value, parse
from engine.scan.mapped import Octets

_OBJ: Final = re.compile(rb"obj")
_HEADER: Final = re.compile(rb"(?<!\d)(\d{1,10})[\0\t\n\f\r ]+(\d{1,5})[\0\t\n\f\r ]*\Z")
_HEADER_LEN: Final = 40
_TABLE: Final = re.compile(rb"(?:[\0\t\n\f\r ]*+\d{1,10}(?=[\0\t\n\f\r ]|\Z))*+")
_SEARCHES: Final = 64  # objects that are looked up one by one; for more an index is made
_DEFINITIONS: Final = 8  # of one object number, latest first
_WORK: Final = 16  # times the length of the file; ordinary ones need 2


class TooMuch(Exception):
    """The allowance for work is used up."""


class ObjectStream:
    """An object stream (ISO 32000-1 s7.5.7). data: decoded. first: what its dictionary says of where objects begin."""

    def __init__(self, data: Octets, first: Value) -> None:
        self.data = data
        self._first = first if type(first) is int and 0 <= first <= len(data) else 0
        self._table: tuple[array[int], array[int]] | None = None

    @property
    def table(self) -> "tuple[array[int], array[int]]":
        """(numbers of its objects, offsets of them in data, in order). Only few documents need it."""
        if self._table is None:
            self._table = self._read_table()
        return self._table

    def names(self, number: int) -> bool:
        """Whether the octets of its table hold that number: much cheaper than the table."""
        return self.data.find(b"%d" % number, 0, self._first) >= 0

    def _read_table(self) -> "tuple[array[int], array[int]]":
        words = _TABLE.match(self.data, 0, self._first)
        assert words is not None  # it matches nothing, too
        given = array("q", map(int, words[0].replace(b"\0", b" ").split()))
        numbers, offsets = given[::2], given[1::2]
        pairs = [
            (self._first + offset, number)
            for number, offset in zip(numbers, offsets, strict=False)
            if offset < len(self.data) - self._first
        ]
        pairs.sort()
        return array("q", (number for _, number in pairs)), array("q", (at for at, _ in pairs))


class Objects:
    """The objects of one PDF. buf: the whole file. numbers, starts: of the objects in the file, in order; an object
    begins behind its `obj`.
    """

    def __init__(self, buf: Octets, room: Room) -> None:
        self.buf = buf
        self.numbers = array("q")
        self.starts = array("q")
        self.object_streams: list[ObjectStream] = []
        self._work = _WORK * len(buf) + limits.MIB
        self.security: Security | None = None  # what the document was encrypted with, if that is known
        self._parsed: tuple[Octets, int, Value, int] = (b"", -1, None, 0)
        self._searches = 0
        # Where objects of each number are: `latest` place of it, and for each place the one before it.
        self._latest: dict[int, int] = {}
        self._previous = array("q")
        self._place_at = array("q")
        self._place_in = array("q")  # number of the object stream, -1: the file
        self._indexed = -1  # object streams whose objects are in this index; -1: nor are those of the file
        self._find(room)

    def _find(self, room: Room) -> None:
        buf = self.buf
        for count, found in enumerate(_OBJ.finditer(buf)):
            at = found.start()
            if not count & 0xFFFF:
                room.check_time()
            if at and buf[at - 1] == 0x64:  # endobj
                continue
            header = _HEADER.search(buf[max(0, at - _HEADER_LEN) : at])
            if header is not None:
                self.numbers.append(int(header[1]))
                self.starts.append(at + 3)

    def drop(self, spans: list[tuple[int, int]]) -> None:
        """Forget the objects that begin in one of spans, which are in order."""
        kept = [place for place, at in enumerate(self.starts) if not _inside(spans, at)]
        self.numbers = array("q", (self.numbers[place] for place in kept))
        self.starts = array("q", (self.starts[place] for place in kept))

    def charge(self, octets: int) -> None:
        self._work -= octets
        if self._work < 0:
            raise TooMuch

    def before(self, at: int) -> int:
        """Where the object begins in which at lies."""
        place = bisect_right(self.starts, at) - 1
        return self.starts[place] if place >= 0 else 0

    def identity(self, at: int) -> tuple[int, int]:
        """(number, generation) of the object in which at lies."""
        place = bisect_right(self.starts, at) - 1
        if place < 0:
            return 0, 0
        begin = self.starts[place] - 3
        header = _HEADER.search(self.buf[max(0, begin - _HEADER_LEN) : begin])
        return self.numbers[place], int(header[2]) if header is not None else 0

    def unlock(self, security: Security) -> None:
        """From now on strings of the file are decrypted."""
        self.security = security
        self._parsed = (b"", -1, None, 0)

    def object_at(self, buf: Octets, at: int) -> tuple[Value, int]:
        """The object there, None if there is none. The last one is remembered."""
        known_in, known, value, end = self._parsed
        if known != at or known_in is not buf:
            value, end = self.read(buf, at)
            self._parsed = (buf, at, value, end)
        return value, end

    def read(self, buf: Octets, at: int) -> tuple[Value, int]:
        try:
            value, end = parse(buf, at)
        except Malformed as failure:
            self.charge(4 * (failure.at - at) + 64)
            return None, failure.at
        self.charge(end - at)
        if self.security is not None and buf is self.buf:
            number, generation = self.identity(at)
            string = self.security.string
            value = decrypted(value, lambda octets: string(number, generation, octets))
        return value, end

    def resolved(self, value: Value) -> Value:
        """value, or if it is a reference, the latest object of that number that is not one itself; None if there is
        none.
        """
        if not isinstance(value, Ref):
            return value
        for one in self.definitions(value.number):
            if not isinstance(one, Ref):
                return one
        return None

    def definitions(self, number: int) -> list[Value]:
        """Objects of that number, the latest first; those in object streams count as later than those in the file."""
        if self._searches < _SEARCHES:
            self._searches += 1
            places = self._search(number)
        else:
            places = self._look_up(number)
        return [self.read(buf, at)[0] for buf, at in places]

    def _search(self, number: int) -> list[tuple[Octets, int]]:
        found: list[tuple[Octets, int]] = []
        for buf, numbers, starts in self._tables(number):
            self.charge(len(numbers))
            at = -1
            for _ in range(numbers.count(number)):
                at = numbers.index(number, at + 1)
                found.append((buf, starts[at]))
        return found[: -_DEFINITIONS - 1 : -1]

    def _tables(self, number: int) -> "Iterator[tuple[Octets, array[int], array[int]]]":
        """(octets, numbers of the objects in them, where these begin): of the file, and of object streams that may
        have that number.
        """
        yield self.buf, self.numbers, self.starts
        for one in self.object_streams:
            if one.names(number):
                yield one.data, *one.table

    def _look_up(self, number: int) -> list[tuple[Octets, int]]:
        self._index()
        found: list[tuple[Octets, int]] = []
        place = self._latest.get(number, -1)
        while place >= 0 and len(found) < _DEFINITIONS:
            inner = self._place_in[place]
            found.append((self.buf if inner < 0 else self.object_streams[inner].data, self._place_at[place]))
            place = self._previous[place]
        return found

    def _index(self) -> None:
        """Bring the index up to date. Objects past the limit are not in it: references to them lead nowhere."""
        if self._indexed < 0:
            self._indexed = 0
            for number, at in zip(self.numbers, self.starts, strict=True):
                self._add(number, at, -1)
        while self._indexed < len(self.object_streams):
            for number, at in zip(*self.object_streams[self._indexed].table, strict=True):
                self._add(number, at, self._indexed)
            self._indexed += 1

    def _add(self, number: int, at: int, inner: int) -> None:
        place = len(self._place_at)
        if place < limits.PDF_OBJECTS:
            self._previous.append(self._latest.get(number, -1))
            self._place_at.append(at)
            self._place_in.append(inner)
            self._latest[number] = place

    def holder(self, inner: ObjectStream | None, at: int) -> Value:
        """The whole object in which at lies, in the file or in an object stream."""
        if inner is None:
            return self.object_at(self.buf, self.before(at))[0]
        _, offsets = inner.table
        place = bisect_right(offsets, at) - 1
        return self.object_at(inner.data, offsets[place] if place >= 0 else 0)[0]


def _inside(spans: list[tuple[int, int]], at: int) -> bool:
    place = bisect_right(spans, at, key=lambda span: span[0]) - 1
    return place >= 0 and at < spans[place][1]
