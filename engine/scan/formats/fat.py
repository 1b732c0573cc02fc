"""FAT12, FAT16 and FAT32 on a disk: files of its directories, deleted ones not.

Cost: O(table + octets of directories and files). Known gaps: exFAT is another format, and not read.
"""

import struct
import sys
from array import array
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from engine.scan.disk_marks import fat_fields
from engine.scan.facts import Cause
from engine.scan.formats.extents import Disk
from engine.scan.formats.item import Entry, Gap, Item, Member, NotThis, Odd, Room

_TABLE_LEN: Final = 16 << 20  # octets of a table that are read: 4 million clusters
_ENTRIES: Final = 200_000  # of all directories; the limit on files is lower, this one bounds time
_DIRECTORY_LEN: Final = 65_536 * 32  # as much as one may have
_DIRECTORIES_LEN: Final = 64 << 20  # octets of all directories: many can be said to lie in the same place
_AGAIN: Final = 2  # times the length of the image that all directories have: each lies somewhere else
_DEPTH: Final = 64  # directories in each other that a name tells of
_LONG, _VOLUME, _FOLDER = 0x0F, 0x08, 0x10
_STRETCH: Final = 8  # clusters in a row that are followed before it is looked whether they are there
_NAME_PARTS: Final = ((1, 11), (14, 26), (28, 32))


class _Shape(msgspec.Struct, frozen=True):
    """Offsets and lengths in octets. bits: of an entry of the table; doubtful: readers may take another number."""

    bits: int
    table: int
    table_len: int
    root: int
    root_len: int
    root_cluster: int
    data: int
    cluster_len: int
    clusters: int
    doubtful: bool


def _shape(boot: bytes, start: int) -> _Shape:
    fields = fat_fields(boot)
    if fields is None:
        raise NotThis("fat: boot sector")
    sector, cluster, reserved, tables, entries, total, table = fields
    root = reserved + tables * table
    data = root + -(-entries * 32 // sector)
    clusters = (total - data) // cluster if total > data else 0
    bits = 12 if clusters < 4085 else 16
    if boot[22:24] == b"\0\0":  # the length of a table stands in the field that FAT32 has for it
        bits = 32
    doubtful = (bits == 32) is not (entries == 0) or (bits < 32 and clusters >= 65525)
    flags = int.from_bytes(boot[40:42], "little") if bits == 32 else 0
    active = flags & 15 if flags & 0x80 else 0  # of the tables, where they are not copies of one
    return _Shape(
        bits,
        start + (reserved + active * table) * sector,
        table * sector,
        start + root * sector,
        entries * 32,
        int.from_bytes(boot[44:48], "little") if bits == 32 else 0,
        start + data * sector,
        cluster * sector,
        clusters,
        doubtful,
    )


def files(disk: Disk, start: int, room: Room) -> Iterator[Item]:
    """Raises NotThis if there is no boot sector."""
    walk = _Walk(disk, _shape(disk.read(start, 512), start), room)
    yield from walk.files()


class _Walk:
    def __init__(self, disk: Disk, shape: _Shape, room: Room) -> None:
        self._disk = disk
        self._shape = shape
        self._room = room
        self._entries = _ENTRIES
        self._octets = min(_DIRECTORIES_LEN, _AGAIN * len(disk.buf))
        length = min(shape.table_len, (shape.clusters + 2) * shape.bits // 8 + 2)
        self._cut = length > _TABLE_LEN
        length = min(length, _TABLE_LEN)
        table = disk.read(shape.table, length)
        room.keep(length)
        self._table = _numbers(table, shape.bits)

    def files(self) -> Iterator[Item]:
        shape = self._shape
        if shape.doubtful:
            yield Odd("fat-bits", severe=True)
        if self._cut:
            yield Gap(Cause.LIMIT, f"fat: table of more than {_TABLE_LEN >> 20} MB")
        root: Iterable[tuple[int, int]] = [(shape.root, shape.root_len)]
        if shape.bits == 32:
            root = self._chain(shape.root_cluster, _DIRECTORY_LEN)
        waiting: list[tuple[Iterable[tuple[int, int]], tuple[str, ...]]] = [(root, ())]
        seen: set[int] = set()
        while waiting:
            extents, path = waiting.pop()
            self._room.check_time()
            most = min(_DIRECTORY_LEN, self._octets, self._room.room())
            content = self._disk.gather(extents, _DIRECTORY_LEN, most)
            data = bytes(content.data)
            if not data:
                yield Gap(Cause.DAMAGED, "fat: a directory that has no place")
            elif content.outside:
                yield Gap(Cause.DAMAGED, "fat: a directory that is cut")
            elif len(data) >= most:
                yield Gap(Cause.LIMIT, "fat: a directory that is too long")
            for name, attributes, first, size in self._listed(data):
                below = (*path[-_DEPTH:], name)
                if not attributes & _FOLDER:
                    yield self._file(below, first, size)
                elif first not in seen:
                    seen.add(first)
                    waiting.append((self._chain(first, _DIRECTORY_LEN), below))
            self._octets -= len(data)
            if self._entries <= 0 or self._octets <= 0:
                yield Gap(Cause.LIMIT, f"fat: {_ENTRIES} entries of directories")
                return

    def _listed(self, data: bytes) -> Iterator[tuple[str, int, int, int]]:
        """(name, attributes, first cluster, size) of each entry that counts."""
        long: list[str] = []
        for at in range(0, len(data) - 31, 32):
            mark, attributes = data[at], data[at + 11]
            if not mark:
                return
            self._entries -= 1
            if self._entries <= 0:
                return
            if mark == 0xE5:
                long.clear()
            elif attributes & 0x3F == _LONG:
                units = b"".join(data[at + begin : at + end] for begin, end in _NAME_PARTS)
                long.insert(0, units.decode("utf-16-le", "replace").split("\0", 1)[0])
                del long[20:]
            elif attributes & _VOLUME:
                long.clear()
            else:
                name = "".join(long) or _short(data[at : at + 11])
                long.clear()
                if data[at : at + 11].rstrip(b" ") not in (b".", b".."):
                    high, low, size = struct.unpack_from("<H4xHL", data, at + 20)
                    yield name, attributes, (high << 16 if self._shape.bits == 32 else 0) | low, size

    def _file(self, path: tuple[str, ...], first: int, size: int) -> Item:
        self._room.check_time()
        most = self._room.room()
        content = self._disk.gather(self._chain(first, min(size, most)), size, most)
        return Member("/".join(path), content.data, content.over, content.complete, entry=Entry(size, size))

    def _chain(self, cluster: int, size: int) -> Iterator[tuple[int, int]]:
        """Where a chain lies, as far as size needs it: one in circles ends there too."""
        shape = self._shape
        left = -(-size // shape.cluster_len)
        while left > 0 and 2 <= cluster < shape.clusters + 2:
            first, count = cluster, 0
            while count < min(left, _STRETCH) and cluster == first + count and cluster < shape.clusters + 2:
                cluster = self._table[cluster] & 0x0FFFFFFF if cluster < len(self._table) else 0
                count += 1
            yield shape.data + (first - 2) * shape.cluster_len, count * shape.cluster_len
            left -= count


def _numbers(table: bytes, bits: int) -> "array[int]":
    if bits == 12:
        found = array("L")
        for at in range(0, len(table) - 2, 3):
            three = int.from_bytes(table[at : at + 3], "little")
            found.append(three & 0xFFF)
            found.append(three >> 12)
        return found
    found = array("H" if bits == 16 else "I")
    found.frombytes(table[: len(table) // (bits // 8) * (bits // 8)])
    if sys.byteorder == "big":
        found.byteswap()
    return found


def _short(field: bytes) -> str:
    name, extension = field[:8].rstrip(b" "), field[8:11].rstrip(b" ")
    if name.startswith(b"\x05"):
        name = b"\xe5" + name[1:]
    return (name + (b"." + extension if extension else b"")).decode("cp437")
