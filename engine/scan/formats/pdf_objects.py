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
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from cext.pdf import hex_string, literal_string
from engine import limits
from engine.scan.formats.item import Room
from engine.scan.formats.pdf_security import Security, decrypted
from engine.scan.formats.pdf_syntax import (
    ARRAY,
    ARRAY_END,
    CLOSE,
    HEX,
    OPEN,
    STRING,
    TOKEN,
    Malformed,
    Ref,
    Value,
    parse,
)
from engine.scan.mapped import Octets

_OBJ: Final = re.compile(rb"obj")
_HEADER: Final = re.compile(rb"(?<!\d)(\d{1,10})[\0\t\n\f\r ]+(\d{1,5})[\0\t\n\f\r ]*\Z")
_HEADER_LEN: Final = 40
_TABLE: Final = re.compile(rb"(?:[\0\t\n\f\r ]*+\d{1,10}(?=[\0\t\n\f\r ]|\Z))*+")
_SEARCHES: Final = 64  # objects that are looked up one by one; for more an index is made
DEFINITIONS: Final = 8  # of one object number, latest first
_WORK: Final = 16  # times the length of the file; ordinary ones need 2
_STRING_WORK: Final = 200  # of one string that is decrypted, which takes some 10 us
_WHITE: Final = b"\0\t\n\f\r "
_BEHIND_WORD: Final = (b"", *(bytes([octet]) for octet in _WHITE + b"()<>[]{}/%"))
_DIGITS: Final = b"0123456789"
_OF_NUMBERS: Final = b"0123456789.+-eE"  # readers take 7.0 for 7, and 50e-1 for 5
# What may hold any octets, but for strings with parentheses in them, which are rare; and what is left of others then.
# What is not closed stays, and each octet is looked at twice at most: so it is with a backslash, which may hide others.
_STRINGS: Final = re.compile(
    rb"\((?:[^()\\]++|\\.)*+\)|(\((?:[^()\\]++|\\.)*+\Z|\\.)|(?<!<)<[^<>()%]*+>|%[^\r\n]*+", re.S
)
_OPEN: Final = re.compile(rb"[()%]")


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
        self.irregular = False  # some word that may begin an object has no number that all readers take for the same
        self._work = _WORK * len(buf) + limits.MIB
        self._check_time = room.check_time
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
            begin = max(0, at - _HEADER_LEN)
            header = _HEADER.search(buf[begin:at])
            if header is not None:
                self.numbers.append(int(header[1]))
                self.starts.append(at + 3)
                begin += header.start()
                self.irregular |= begin > 0 and buf[begin - 1] in _OF_NUMBERS
            elif at and buf[at - 1] in _WHITE and buf[at + 3 : at + 4] in _BEHIND_WORD:
                self.irregular = True

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

    def named(self, place: int) -> tuple[int, int]:
        """(number, generation) of an object by its place in the file, -1: of none. The generation is 0 unless somebody
        needs it to decrypt."""
        if place < 0:
            return -1, 0
        return self.numbers[place], int(self._header(place)[1][2]) if self.security is not None else 0

    def _header(self, place: int) -> tuple[int, re.Match[bytes]]:
        """(where its number begins, the words that begin it) of an object in the file."""
        end = self.starts[place] - 3
        begin = max(0, end - _HEADER_LEN)
        header = _HEADER.search(self.buf[begin:end])
        assert header is not None  # _find found it by this
        return begin + header.start(), header

    def beyond_doubt(self, marks: Iterable[int]) -> bool:
        """Whether each object ends before the next one begins, and none begins in a string or a comment of another: if
        not, readers may differ in the number of what lies there, and so in its key. marks: offsets of the keywords
        behind which streams begin, in order. O(file) at the pace of a regular expression, if it is ordinary.
        """
        if self.irregular:
            return False
        keywords = iter((*marks, len(self.buf)))
        mark = next(keywords)
        for place, begin in enumerate(self.starts):
            if not place & 0xFFF:
                self._check_time()
            while mark < begin:
                mark = next(keywords)
            last = place + 1 == len(self.starts)
            end = min(mark, len(self.buf) if last else self._header(place + 1)[0])
            if end < begin or (end < len(self.buf) and not self._closed(begin, end)):
                return False
        return True

    def halved(self, offsets: Iterable[int]) -> bool:
        """Whether one of the offsets, at which a table says that objects begin, is within the number of one: its reader
        sees 4 0 obj where 44 0 obj stands, and takes another key."""
        for at in offsets:
            if 0 < at < len(self.buf) and self.buf[at] in _DIGITS and self.buf[at - 1] in _DIGITS:
                place = bisect_right(self.starts, at)
                if place < len(self.starts) and self._header(place)[0] < at:
                    return True
        return False

    def _closed(self, begin: int, end: int) -> bool:
        """Whether no string, comment, array or dictionary that begins in buf[begin:end] goes on behind it."""
        whole = self.buf[begin:end]
        rest = _STRINGS.sub(rb"\1", whole)
        in_comment = whole.find(b"%", max(whole.rfind(b"\n"), whole.rfind(b"\r")) + 1) >= 0
        if not in_comment and _OPEN.search(rest) is None and rest.count(b"[") == rest.count(b"]"):
            opened = rest.count(b"<<")
            if 2 * opened == rest.count(b"<") == rest.count(b">") == 2 * rest.count(b">>"):
                return True
        depth, at = 0, begin
        while (token := TOKEN.match(self.buf, at)) is not None and token.start(token.lastindex or 0) < end:
            kind, at = token.lastindex, token.end()
            if kind in (STRING, HEX):
                at = (literal_string if kind == STRING else hex_string)(self.buf, at)[1]
            depth += (kind in (OPEN, ARRAY)) - (kind in (CLOSE, ARRAY_END))
            self.charge(at - token.start() if at >= 0 else len(self.buf) - token.start())
            if not begin <= at <= end or depth < 0:
                return False
        return not depth and token is not None and token.start(token.lastindex or 0) == end

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
            number, generation = self.named(bisect_right(self.starts, at) - 1)
            value = decrypted(value, partial(self._string, self.security, number, generation))
        return value, end

    def _string(self, security: Security, number: int, generation: int, octets: bytes) -> bytes:
        self.charge(_STRING_WORK)
        return security.string(number, generation, octets)

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
        return found[: -DEFINITIONS - 1 : -1]

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
        while place >= 0 and len(found) < DEFINITIONS:
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
