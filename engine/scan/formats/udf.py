"""UDF volumes (ECMA-167, OSTA UDF 1.02 to 2.60): what lies in them as files, deleted ones not.

All volumes that any anchor leads to are read, by the main and by the reserve sequence, each once: readers differ in
which they try first. Partitions of type 1, sparable ones, as long as nothing was spared, and metadata partitions.
Cost: O(octets of descriptors and directories + octets of files); a file in one piece is not copied.
Known gaps: virtual partitions (of discs that are written once) and ICB strategy 4096 are told, not read.
"""

import bisect
import itertools
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from engine.scan.facts import Cause
from engine.scan.formats.extents import HOLE, Extents, Gathered, add, gather
from engine.scan.formats.item import Entry, Gap, Item, Member, Odd, Room, Unread
from engine.scan.mapped import Octets

_SECTORS: Final = (2048, 512, 4096)
_DESCRIPTORS: Final = 256  # of one volume descriptor sequence that are read
_EXTENTS: Final = 100_000  # pieces of one file
_ENTRIES: Final = 200_000  # of all directories; the limit on files is lower, this one bounds time
_DIRECTORIES_LEN: Final = 64 << 20  # octets of all directories: many can be said to lie in the same place
_AGAIN: Final = 2  # times the length of the image that all directories have: each lies somewhere else
_FOLLOWED: Final = 4  # times the length of the image that allocation descriptors have: each is read once, or twice
_DEPTH: Final = 64  # directories in each other that a name tells of
_ANCHOR, _POINTER, _PARTITION, _LOGICAL, _END = 2, 3, 5, 6, 8
_FILE_SET, _FILE_ID, _ALLOCATION, _INDIRECT, _FILE, _EXTENDED = 256, 257, 258, 259, 261, 266
_DIRECTORY, _STREAMS = 4, 13
_LONG_AD: Final = struct.Struct("<LLH")
_LENGTH: Final = (1 << 30) - 1  # of an extent; its kind is above
_KINDS: Final = {
    b"*UDF Virtual Partition": "virtual",
    b"*UDF Sparable Partition": "sparable",
    b"*UDF Metadata Partition": "metadata",
}


class _Damaged(Exception):
    """Words for what cannot be read."""


class _Unsupported(Exception):
    """Words for what is not read."""


class _Limit(_Unsupported):
    """Words for the bound that was reached."""


class _Place(msgspec.Struct, frozen=True):
    """Of a descriptor: block in a partition, by the partition's number among the maps."""

    block: int
    partition: int


class _Partition(msgspec.Struct, frozen=True):
    """start: offset in the image. pieces, begins: of the metadata file, and where in it each begins."""

    kind: str
    start: int
    pieces: Extents = []
    begins: tuple[int, ...] = (0,)


class _Volume(msgspec.Struct):
    """left: octets of allocation descriptors that may still be followed."""

    block_len: int
    root: _Place
    left: int
    room: Room
    partitions: list[_Partition] = []

    @property
    def key(self) -> tuple[object, ...]:
        return self.block_len, self.root, tuple((one.kind, one.start) for one in self.partitions)

    def follow(self, octets: int) -> None:
        self.left -= octets
        if self.left < 0:
            raise _Limit("pieces that are told of again and again")
        self.room.check_time()


class _Node(msgspec.Struct):
    kind: int
    size: int
    extents: Extents
    embedded: tuple[int, int] | None = None  # offset and octets, if the content is in the descriptor
    streams: _Place | None = None


def _tag(buf: Octets, at: int) -> int:
    """Identifier of the descriptor at at, 0 if its checksum tells that there is none."""
    head = buf[at : at + 16] if at >= 0 else b""
    if len(head) < 16 or (sum(head) - head[4]) & 0xFF != head[4]:
        return 0
    return head[0] | head[1] << 8


def _number(buf: Octets, at: int, length: int = 4) -> int:
    return int.from_bytes(buf[at : at + length], "little")


def volumes(buf: Octets, room: Room) -> Iterator[Item]:
    """Files of all volumes. Yields nothing but a Gap if there are none that can be read."""
    found: dict[tuple[object, ...], _Volume] = {}
    words = "udf: no volume"
    for sector_len, main, length in _sequences(buf):
        room.check_time()
        try:
            volume = _volume(buf, sector_len, main, length, room)
        except _Damaged as damage:
            words = f"udf: {damage}"
            continue
        found.setdefault(volume.key, volume)
    if not found:
        yield Gap(Cause.DAMAGED, words)
    elif len(found) > 1:
        yield Odd("udf-volumes")
    for volume in found.values():
        yield from _Walk(buf, volume, room).files()


def _sequences(buf: Octets) -> Iterator[tuple[int, int, int]]:
    """(sector length, offset, octets) of the sequences that anchors tell of."""
    seen = set()
    for sector_len in _SECTORS:
        last = len(buf) // sector_len
        for sector in dict.fromkeys((256, 512, last - 1, last - 257, last - 256)):
            at = sector * sector_len
            if _tag(buf, at) != _ANCHOR or _number(buf, at + 12) != sector:
                continue
            for extent in (at + 16, at + 24):
                one = (sector_len, _number(buf, extent + 4) * sector_len, _number(buf, extent) & _LENGTH)
                if one[2] and one not in seen:
                    seen.add(one)
                    yield one


def _volume(buf: Octets, sector_len: int, at: int, length: int, room: Room) -> _Volume:
    """The volume of one sequence: of descriptors of one kind the one with the highest number."""
    logical: tuple[int, int] | None = None
    partitions: dict[int, tuple[int, int]] = {}  # number -> (number of the descriptor, offset in the image)
    end = at + length
    for _ in range(_DESCRIPTORS):
        if at >= min(end, len(buf)):
            break
        tag = _tag(buf, at)
        number = _number(buf, at + 16)
        if tag == _POINTER:
            length, at = _number(buf, at + 20) & _LENGTH, _number(buf, at + 24) * sector_len
            end = at + length
            continue
        if tag == _END:
            break
        if tag == _PARTITION:
            known = partitions.get(_number(buf, at + 22, 2))
            if known is None or known[0] <= number:
                partitions[_number(buf, at + 22, 2)] = number, _number(buf, at + 188) * sector_len
        elif tag == _LOGICAL and (logical is None or logical[0] <= number):
            logical = number, at
        at += sector_len
    if logical is None:
        raise _Damaged("no logical volume")
    return _logical(buf, logical[1], {key: start for key, (_, start) in partitions.items()}, room)


def _logical(buf: Octets, at: int, starts: dict[int, int], room: Room) -> _Volume:
    block_len = _number(buf, at + 212)
    if block_len not in (512, 1024, 2048, 4096, 8192, 16384, 32768):
        raise _Damaged("block length")
    _, block, partition = _LONG_AD.unpack(buf[at + 248 : at + 258].ljust(_LONG_AD.size, b"\0"))
    volume = _Volume(block_len, _Place(block, partition), _FOLLOWED * len(buf), room)
    begin = at + 440
    end = begin + min(_number(buf, at + 264), 64 * 64)
    metadata = []
    while begin < end and len(volume.partitions) < 64:
        kind, length = (*buf[begin : begin + 2], 0, 0)[:2]
        if length < 6:
            break
        if kind == 1:
            name, number = "plain", _number(buf, begin + 4, 2)
        else:
            name = _KINDS.get(buf[begin + 5 : begin + 28].rstrip(b"\0"), "unknown")
            number = _number(buf, begin + 38, 2)
        if name == "metadata":
            metadata.append((len(volume.partitions), number, begin))
        volume.partitions.append(_Partition(name, starts.get(number, -1)))
        begin += length
    for place, number, begin in metadata:
        _add_metadata(buf, volume, place, starts.get(number, -1), begin)
    return volume


def _add_metadata(buf: Octets, volume: _Volume, place: int, start: int, begin: int) -> None:
    """The pieces of a metadata partition: those of its file, else of the mirror of that."""
    volume.partitions.append(_Partition("plain", start))
    try:
        for field in (40, 44):
            try:
                node = _node(buf, volume, _Place(_number(buf, begin + field), len(volume.partitions) - 1))
            except (_Damaged, _Unsupported):
                continue
            begins = (0, *itertools.accumulate(length for _, length in node.extents))
            volume.partitions[place] = _Partition("metadata", start, node.extents, begins)
            return
    finally:
        volume.partitions.pop()


def _where(volume: _Volume, place: _Place, length: int) -> Extents:
    """Where so many octets from a block of a partition on lie in the image."""
    if place.partition >= len(volume.partitions):
        raise _Damaged("partition number")
    partition = volume.partitions[place.partition]
    if partition.kind in ("virtual", "unknown"):
        raise _Unsupported(f"{partition.kind} partition")
    if partition.start < 0:
        raise _Damaged("partition without a place")
    at = place.block * volume.block_len
    if partition.kind != "metadata":
        return [(partition.start + at, length)]
    found: Extents = []
    first = bisect.bisect_right(partition.begins, at) - 1
    for number in range(first, len(partition.pieces)):
        if length <= 0:
            break
        offset, have = partition.pieces[number]
        inside = at - partition.begins[number]
        take = min(length, have - inside)
        found.append((HOLE if offset == HOLE else offset + inside, take))
        length -= take
        at += take
    if length > 0:
        raise _Damaged("outside of the metadata")
    return found


def _offset(volume: _Volume, place: _Place) -> int:
    return _where(volume, place, 1)[0][0]


def _node(buf: Octets, volume: _Volume, place: _Place) -> _Node:
    """What a file entry says. Raises _Damaged and _Unsupported."""
    at = _offset(volume, place)
    tag = _tag(buf, at)
    if tag == _INDIRECT or (tag in (_FILE, _EXTENDED) and _number(buf, at + 20, 2) != 4):
        raise _Unsupported("ICB strategy")
    if tag not in (_FILE, _EXTENDED):
        raise _Damaged("no file entry")
    fixed = 176 if tag == _FILE else 216
    attributes_len, length = _number(buf, at + fixed - 8), _number(buf, at + fixed - 4)
    node = _Node(_number(buf, at + 27, 1), _number(buf, at + 56, 8), [])
    if tag == _EXTENDED:
        stream_len, block, partition = _LONG_AD.unpack(buf[at + 152 : at + 162].ljust(_LONG_AD.size, b"\0"))
        node.streams = _Place(block, partition) if stream_len & _LENGTH else None
    begin = at + fixed + attributes_len
    form = _number(buf, at + 34, 2) & 7
    if form == 3:
        node.embedded = begin, min(length, volume.block_len)
    elif form > 1:
        raise _Unsupported("extended allocation descriptors")
    else:
        _allocated(buf, volume, place.partition, begin, length, 16 if form else 8, node)
    return node


def _allocated(buf: Octets, volume: _Volume, partition: int, begin: int, length: int, step: int, node: _Node) -> None:
    """Follow allocation descriptors, as far as the size of the file needs them."""
    have = 0
    end = begin + length
    for _ in range(_EXTENTS):
        if end - begin < step or have >= node.size:
            return
        volume.follow(step)
        field = buf[begin : begin + step]
        begin += step
        if len(field) < step:
            raise _Damaged("allocation descriptors")
        octets, block, *_ = _LONG_AD.unpack(field.ljust(_LONG_AD.size, b"\0")[: _LONG_AD.size])
        where = int.from_bytes(field[8:10], "little") if step == 16 else partition
        kind, octets = octets >> 30, octets & _LENGTH
        if kind == 3:
            volume.follow(volume.block_len)
            at = _offset(volume, _Place(block, where))
            if _tag(buf, at) != _ALLOCATION:
                raise _Damaged("allocation extent")
            begin, end = at + 24, at + 24 + _number(buf, at + 20)
            continue
        if not octets:
            return
        if kind:
            add(node.extents, HOLE, octets)
        else:
            lying = _where(volume, _Place(block, where), octets)
            volume.follow(step * (len(lying) - 1))
            for offset, piece in lying:
                add(node.extents, offset, piece)
        have += octets
        if len(node.extents) > _EXTENTS:
            break
    raise _Limit(f"more than {_EXTENTS} pieces")


class _Walk:
    """The directories of one volume, each once."""

    def __init__(self, buf: Octets, volume: _Volume, room: Room) -> None:
        self._buf = buf
        self._volume = volume
        self._room = room
        self._entries = _ENTRIES
        self._octets = min(_DIRECTORIES_LEN, _AGAIN * len(buf))

    def files(self) -> Iterator[Item]:
        volume = self._volume
        try:
            at = _offset(volume, volume.root)
            if _tag(self._buf, at) != _FILE_SET:
                raise _Damaged("no file set")
        except _Damaged as damage:
            yield Gap(Cause.DAMAGED, f"udf: {damage}")
            return
        except _Unsupported as refusal:
            yield Gap(Cause.UNSUPPORTED, f"udf: {refusal}")
            return
        roots = [_LONG_AD.unpack(self._buf[at + 400 : at + 410].ljust(_LONG_AD.size, b"\0"))]
        if _number(self._buf, at + 464) & _LENGTH:  # of the volume itself, since UDF 2.00
            roots.append(_LONG_AD.unpack(self._buf[at + 464 : at + 474].ljust(_LONG_AD.size, b"\0")))
        waiting: list[tuple[_Place, tuple[str, ...]]] = [(_Place(block, number), ()) for _, block, number in roots]
        seen = {place for place, _ in waiting}
        while waiting:
            place, path = waiting.pop()
            for item in self._directory(place, path):
                if isinstance(item, tuple):
                    if item[0] not in seen:
                        seen.add(item[0])
                        waiting.append(item)
                else:
                    yield item
            if self._entries <= 0 or self._octets <= 0:
                yield Gap(Cause.LIMIT, f"udf: more than {_ENTRIES} entries of directories")
                return

    def _directory(self, place: _Place, path: tuple[str, ...]) -> Iterator[Item | tuple[_Place, tuple[str, ...]]]:
        """Files in it, and places of the directories in it."""
        self._room.check_time()
        try:
            node = _node(self._buf, self._volume, place)
        except (_Damaged, _Unsupported) as fault:
            yield _unread("/".join(path), fault)
            return
        if node.kind not in (_DIRECTORY, _STREAMS):
            yield Gap(Cause.DAMAGED, "udf: a directory that is none")
            return
        content = self._content(node, min(self._octets, self._room.room()))
        data = content.data
        self._octets -= max(1, len(data))
        if not content.complete or content.over:
            yield Gap(Cause.LIMIT if content.over else Cause.DAMAGED, "udf: a directory that is cut")
        at = 0
        while len(data) - at >= 38 and self._entries > 0:
            self._entries -= 1
            if _tag(data, at) != _FILE_ID:
                yield Gap(Cause.DAMAGED, "udf: an entry of a directory")
                return
            marks, name_len = data[at + 18], data[at + 19]
            _, block, number = _LONG_AD.unpack(data[at + 20 : at + 30])
            name_off = at + 38 + _number(data, at + 36, 2)
            name = _name(data[name_off : name_off + name_len])
            at = -(-(name_off + name_len) // 4) * 4
            if marks & (4 | 8):  # deleted, or the directory around
                continue
            below = (*path[-_DEPTH:], name)
            if marks & 2:
                yield _Place(block, number), below
            else:
                yield from self._file(_Place(block, number), below)

    def _file(self, place: _Place, path: tuple[str, ...]) -> Iterator[Item | tuple[_Place, tuple[str, ...]]]:
        self._room.check_time()
        name = "/".join(path)
        try:
            node = _node(self._buf, self._volume, place)
        except (_Damaged, _Unsupported) as fault:
            yield _unread(name, fault)
            return
        if node.kind in (_DIRECTORY, _STREAMS):  # some readers go by this, not by the mark of the entry
            yield place, path
            return
        content = self._content(node, self._room.room())
        yield Member(name, content.data, content.over, content.complete, entry=Entry(node.size, node.size))
        if node.streams is not None:
            yield node.streams, path

    def _content(self, node: _Node, room: int) -> Gathered:
        extents = node.extents if node.embedded is None else [node.embedded]
        return gather(self._buf, extents, node.size, room)


def _unread(name: str, fault: _Damaged | _Unsupported) -> Unread:
    cause = Cause.LIMIT if isinstance(fault, _Limit) else Cause.UNSUPPORTED
    cause = Cause.DAMAGED if isinstance(fault, _Damaged) else cause
    return Unread(name, 0, cause, f"udf: {fault}")


def _name(octets: bytes) -> str:
    """OSTA compressed Unicode: of 8 or of 16 bits."""
    if octets[:1] in (b"\x10", b"\xff"):
        return octets[1:].decode("utf-16-be", "replace")
    return octets[1:].decode("latin-1")
