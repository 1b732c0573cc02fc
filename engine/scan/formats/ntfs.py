"""NTFS on a disk: every file whose record is in use, by way of the records rather than of the directories.

Named streams are told as such. Cost: O(records + octets of files).
Known gaps, each told: what the file system compressed (LZNT1) or encrypted.
"""

import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from engine.scan.facts import Cause
from engine.scan.formats.extents import HOLE, Disk, Extents, add
from engine.scan.formats.item import Entry, Gap, Item, Member, NotThis, Odd, Room, Unread

_KEPT_LEN: Final = 50 << 20  # octets of records in use: 50,000 as they usually are; the limit on files is lower
_ALL: Final = 1_000_000  # records that are looked at, in use or not
_AGAIN: Final = 2  # times the length of the image that is read of records: the first of them again, once all are known
_ATTRIBUTES: Final = 1_000  # of one record
_RUNS: Final = 100_000  # pieces of one file
_DEPTH: Final = 64  # directories in each other that a name tells of
_NAME, _DATA, _REPARSE, _END = 0x30, 0x80, 0xC0, 0xFFFFFFFF
_IN_USE, _FOLDER = 1, 2
_COMPRESSED, _ENCRYPTED = 0x00FF, 0x4000
_DOS: Final = 2  # namespace of short names
# Names of the first records, which are of the file system itself.
_OWN: Final = (
    "$MFT", "$MFTMirr", "$LogFile", "$Volume", "$AttrDef", ".", "$Bitmap", "$Boot", "$BadClus", "$Secure", "$UpCase",
    "$Extend",
)  # fmt: skip
_FIRST: Final = 16  # record that is anybody else's
_LINKS: Final = frozenset(  # tags of reparse points that lead elsewhere by a name: links, mount points, apps
    tag.to_bytes(4, "little") for tag in (0xA000000C, 0xA0000003, 0xA000001D, 0x8000001B, 0x80000023)
)
_ROOT: Final = 5
_JOURNAL: Final = ("$Extend/$UsnJrnl", "$J")
_REFERENCE: Final = (1 << 48) - 1


class _Stream(msgspec.Struct):
    """pieces: first cluster in the file -> runs there. resident: the content itself."""

    size: int = 0
    written: int = -1  # octets of it that were; what is behind them is zero, whatever lies there
    flags: int = 0
    pieces: dict[int, bytes] = {}
    resident: bytes | None = None


class _File(msgspec.Struct):
    folder: bool = False
    based: bool = False  # its own record was met, not only further ones of it
    names: list[tuple[int, int, str]] = []  # parent, namespace, name
    streams: dict[str, _Stream] = {}
    elsewhere: bool = False  # a filter of Windows gives the content, not what is in it


def files(disk: Disk, start: int, room: Room) -> Iterator[Item]:
    """Raises NotThis if there is no table of records."""
    boot = disk.read(start, 512)
    sector, cluster = struct.unpack_from("<HB", boot, 11)
    cluster_len = sector * (cluster if cluster <= 0x80 else 1 << 256 - cluster)
    per_record = boot[64]
    record_len = per_record * cluster_len if per_record < 0x80 else 1 << 256 - per_record
    if sector not in (512, 1024, 2048, 4096) or not 0 < cluster_len <= 1 << 21 or not 512 <= record_len <= 1 << 16:
        raise NotThis("ntfs: boot sector")
    walk = _Walk(disk, start, cluster_len, record_len, room)
    yield from walk.files(int.from_bytes(boot[48:56], "little"))


class _Walk:
    def __init__(self, disk: Disk, start: int, cluster_len: int, record_len: int, room: Room) -> None:
        self._disk = disk
        self._start = start
        self._cluster_len = cluster_len
        self._record_len = record_len
        self._room = room
        self._files: dict[int, _File] = {}
        self._kept = 0
        self._left = _AGAIN * len(disk.buf)
        self._broken = False

    def files(self, first: int) -> Iterator[Item]:
        head = self._disk.read(self._start + first * self._cluster_len, self._record_len)
        self._record(0, head)
        table = self._files[0].streams.get("") if 0 in self._files else None
        if table is None or table.resident is not None:
            raise NotThis("ntfs: no table of records")
        extents = self._extents(table)
        if _length(extents) < table.size:  # records in this part of it tell of the rest
            self._records(extents, _ALL)
            extents = self._extents(table)
            self._files.clear()
            self._kept = 0
            self._record(0, head)
        if _length(extents) < table.size:
            self._broken = True
        count = min(table.size, _length(extents)) // self._record_len
        if count > _ALL:
            yield Gap(Cause.LIMIT, f"ntfs: {_ALL} records")
        self._records(extents, min(count, _ALL))
        self._room.keep(self._kept)
        if self._kept > _KEPT_LEN:
            yield Gap(Cause.LIMIT, f"ntfs: {_KEPT_LEN} octets of records in use")
        if self._left < 0:
            yield Gap(Cause.LIMIT, "ntfs: records that lie in the same place")
        if self._broken:
            yield Odd("ntfs-record", severe=True)
        for number, file in self._files.items():
            yield from self._streams(number, file)

    def _records(self, extents: Extents, count: int) -> None:
        number = 0
        for at, length in extents:
            if at == HOLE:
                number += length // self._record_len
                continue
            for offset in range(0, length - self._record_len + 1, self._record_len):
                if number >= count or self._left < 0 or self._kept > _KEPT_LEN:
                    return
                if number % 64 == 0:
                    self._room.check_time()
                self._record(number, self._disk.read(at + offset, self._record_len))
                number += 1

    def _record(self, number: int, record: bytes) -> None:
        """Take in what a record says; of one with another base, for that."""
        if not record.startswith(b"FILE"):
            if record.strip(b"\0"):
                self._broken = True
            return
        self._left -= len(record)
        fixed = _fixed_up(record)
        if fixed is None:
            self._broken = True
            return
        at, flags = struct.unpack_from("<HH", fixed, 20)
        base = int.from_bytes(fixed[32:40], "little")  # that of record 0 has a number of its sequence
        if not flags & _IN_USE:
            return
        self._kept += len(record)
        if self._kept > _KEPT_LEN:
            return
        file = self._files.setdefault(base & _REFERENCE if base else number, _File())
        if not base:
            file.folder, file.based = bool(flags & _FOLDER), True
        for _ in range(_ATTRIBUTES):
            if len(fixed) - at < 24:
                break
            kind, length = struct.unpack_from("<LL", fixed, at)
            if kind == _END:
                return
            if length < 24 or length > len(fixed) - at:
                break
            self._attribute(file, kind, fixed[at : at + length])
            at += length
        self._broken = True

    def _attribute(self, file: _File, kind: int, octets: bytes) -> None:
        distant, name_len = octets[8], octets[9]
        name_off, flags = struct.unpack_from("<HH", octets, 10)
        if kind == _NAME and not distant:
            length, begin = struct.unpack_from("<LH", octets, 16)
            content = octets[begin : begin + length]
            if len(content) >= 66:
                name = content[66 : 66 + 2 * content[64]].decode("utf-16-le", "replace")
                file.names.append((int.from_bytes(content[:6], "little"), content[65], name))
        elif kind == _REPARSE:
            begin = int.from_bytes(octets[20:22], "little")
            file.elsewhere |= bool(distant) or octets[begin : begin + 4] not in _LINKS
        elif kind == _DATA:
            name = octets[name_off : name_off + 2 * name_len].decode("utf-16-le", "replace")
            stream = file.streams.setdefault(name, _Stream())
            if not distant:
                length, begin = struct.unpack_from("<LH", octets, 16)
                self._broken |= bool(stream.pieces) or stream.resident not in (None, octets[begin : begin + length])
                stream.resident = octets[begin : begin + length]
                stream.size = length
            elif len(octets) >= 64:
                (lowest,) = struct.unpack_from("<Q", octets, 16)
                (runs,) = struct.unpack_from("<H", octets, 32)
                if not lowest:
                    stream.size, stream.written = struct.unpack_from("<QQ", octets, 48)
                    stream.flags = flags
                self._broken |= stream.resident is not None or stream.pieces.get(lowest, octets[runs:]) != octets[runs:]
                stream.pieces[lowest] = octets[runs:]

    def _extents(self, stream: _Stream) -> Extents:
        """On the disk, in the order of the file; what is missing in between ends it."""
        found: Extents = []
        cluster = 0
        for lowest, runs in sorted(stream.pieces.items()):
            if lowest > cluster:
                break
            place = at = 0
            while at < len(runs) and runs[at] and len(found) < _RUNS:
                length_len, place_len = runs[at] & 15, runs[at] >> 4
                length = int.from_bytes(runs[at + 1 : at + 1 + length_len], "little")
                at += 1 + length_len
                if not length:
                    break
                if place_len:
                    place += int.from_bytes(runs[at : at + place_len], "little", signed=True)
                    at += place_len
                where = self._start + place * self._cluster_len if place_len else HOLE
                if where < HOLE or length > 1 << 40:
                    self._broken = True
                    return found
                add(found, where, length * self._cluster_len)
                cluster += length
        return found

    def _path(self, number: int, file: _File) -> str:
        names: list[str] = []
        while len(names) < _DEPTH and file.names:
            parent, _, name = min(file.names, key=lambda one: one[1] == _DOS)
            names.append(name)
            around = self._files.get(parent)
            if parent in (_ROOT, number) or around is None:
                break
            number, file = parent, around
        return "/".join(reversed(names))

    def _streams(self, number: int, file: _File) -> Iterator[Item]:
        path = self._path(number, file)
        own = number < len(_OWN) and path in ("", _OWN[number])
        if len(_OWN) <= number < _FIRST and not path and not any(stream.size for stream in file.streams.values()):
            return  # one of those that are kept for later
        also = tuple(dict.fromkeys(name for _, _, name in file.names if name != path.rpartition("/")[2]))
        for name, stream in file.streams.items():
            self._room.check_time()
            if (own and (not name or name.startswith("$"))) or (path, name) == _JOURNAL:
                continue  # tables and logs of the file system: their octets were matched with the image
            path = path or f"record {number}"
            beside = bool(name) or path.startswith("$Extend/")
            if file.elsewhere and not name and stream.size:
                yield Unread(path, stream.size, Cause.UNSUPPORTED, "ntfs: content that a filter of Windows makes")
            yield self._content(f"{path}:{name}" if name else path, stream, beside, also)

    def _content(self, path: str, stream: _Stream, beside: bool, also: tuple[str, ...]) -> Item:
        if stream.flags & _ENCRYPTED:
            return Unread(path, stream.size, Cause.ENCRYPTED, "ntfs")
        if stream.resident is not None:
            most = self._room.room()
            return Member(path, stream.resident[:most], len(stream.resident) > most, stream=beside, also=also)
        if stream.flags & _COMPRESSED and stream.size:
            return Unread(path, stream.size, Cause.UNSUPPORTED, "ntfs: compressed by the file system")
        extents = self._extents(stream)
        if 0 <= stream.written < stream.size and _length(extents) >= stream.size:
            extents = _zeros_behind(extents, stream.written)
        content = self._disk.gather(extents, stream.size, self._room.room())
        entry = None if beside else Entry(stream.size, stream.size)
        return Member(path, content.data, content.over, content.complete, stream=beside, also=also, entry=entry)


def _zeros_behind(extents: Extents, length: int) -> Extents:
    """The same, with a hole behind the first length octets."""
    found: Extents = []
    for at, have in extents:
        take = min(have, max(0, length))
        length -= take
        if take:
            add(found, at, take)
        if take < have:
            add(found, HOLE, have - take)
    return found


def _length(extents: Extents) -> int:
    return sum(length for _, length in extents)


def _fixed_up(record: bytes) -> bytes | None:
    """The record with the ends of its sectors in place, None if they tell that it was not written as a whole."""
    begin, count = struct.unpack_from("<HH", record, 4)
    if begin + 2 * count > len(record) or not count:
        return None
    made = bytearray(record)
    mark = record[begin : begin + 2]
    for number in range(1, count):
        end = 512 * number
        if end > len(record) or record[end - 2 : end] != mark:
            return None
        made[end - 2 : end] = record[begin + 2 * number : begin + 2 * number + 2]
    return bytes(made)
