"""Lists of MAPI properties as TNEF encapsulates them (MS-OXTNEF s2.1.3.1.1)."""

import struct
from typing import Final

import msgspec

from engine import limits
from engine.scan.formats.item import Room
from engine.scan.mapped import Octets

STRING: Final = 0x001E
UNICODE: Final = 0x001F
BINARY: Final = 0x0102
OBJECT: Final = 0x000D
_SEVERAL: Final = 0x1000
_VARIABLE: Final = frozenset({STRING, UNICODE, BINARY, OBJECT})
# Octets of values that have no length in front, filling included.
_FIXED: Final = {
    0x0000: 0, 0x0001: 4, 0x0002: 4, 0x0003: 4, 0x0004: 4, 0x0005: 8, 0x0006: 8, 0x0007: 8, 0x000A: 4, 0x000B: 4,
    0x0014: 8, 0x0040: 8, 0x0048: 16,
}  # fmt: skip
_U32: Final = struct.Struct("<I")
_TAG: Final = struct.Struct("<HH")
_NAMED: Final = 0x8000  # tags from here on carry their set and name
_GUID_LEN: Final = 16
_TIME_EACH: Final = 256  # lengths read


class Property(msgspec.Struct, frozen=True):
    """value: the first of several, a part of what was read."""

    tag: int
    kind: int
    value: memoryview


class _Short(Exception):
    """The list ends before it should."""


class _Reader:
    def __init__(self, buf: Octets, start: int, end: int, room: Room) -> None:
        self._buf, self._at, self._end = memoryview(buf), start, end
        self._room = room
        self._reads = 0

    def skip(self, length: int) -> int:
        """Offset of what is passed over."""
        at = self._at
        if self._end - at < length:
            raise _Short
        self._at = at + length
        return at

    def u32(self) -> int:
        self._reads += 1
        if self._reads % _TIME_EACH == 0:
            self._room.check_time()
        value: int = _U32.unpack_from(self._buf, self.skip(4))[0]
        return value

    def tag(self) -> tuple[int, int]:
        kind, tag = _TAG.unpack_from(self._buf, self.skip(_TAG.size))
        return kind, tag

    def padded(self, wanted: bool) -> memoryview:
        """A value behind its length, filled up to a multiple of 4."""
        length = self.u32()
        at = self.skip(length)
        self._at = min(self._end, self._at + -length % 4)  # the last one may lack its filling
        return self._buf[at : at + length if wanted else at]


def properties(buf: Octets, start: int, end: int, room: Room) -> tuple[list[Property], bool]:
    """(properties of variable length in buf[start:end], whether the list could be read to its end)."""
    found: list[Property] = []
    reader = _Reader(buf, start, end, room)
    try:
        count = reader.u32()
        for index in range(count):
            if index >= limits.MAPI_PROPERTIES:
                return found, False
            kind, tag = reader.tag()
            if tag >= _NAMED:
                reader.skip(_GUID_LEN)
                if reader.u32() == 0:
                    reader.skip(4)
                else:
                    reader.padded(False)
            if not _value(reader, kind, tag, found):
                return found, False
    except _Short:
        return found, False
    return found, True


def _value(reader: _Reader, kind: int, tag: int, found: list[Property]) -> bool:
    """Read the values of one property. Returns False for a kind that is unknown: its length is, too."""
    single = kind & ~_SEVERAL
    if single in _VARIABLE:
        count = reader.u32()
        for index in range(count):
            value = reader.padded(index == 0)
            if index == 0:
                found.append(Property(tag, single, value))
        return True
    if single not in _FIXED:
        return False
    reader.skip((reader.u32() if kind & _SEVERAL else 1) * _FIXED[single])
    return True


def text(octets: bytes, kind: int) -> str:
    """A string property or attribute without the NUL that ends it."""
    if kind == UNICODE:
        return octets.decode("utf-16-le", "replace").split("\0", 1)[0]
    octets = octets.split(b"\0", 1)[0]
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")
