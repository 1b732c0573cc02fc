"""Images of disks: as they are, VHD (fixed, dynamic), VHDX; their partitions (MBR, GPT), and file systems in them: FAT
and NTFS. A boot sector that may be of both is read as both.

Nothing is put together but what is read: a disk says where its octets lie in the image, absent blocks are zeros.
Cost: O(tables + octets of files); a file in one piece is not copied.
Known gaps, each told: differencing disks, logs of VHDX that were not applied, further file systems.
"""

import struct
from collections.abc import Callable, Iterator
from typing import Final

from engine.scan.disk_marks import GPT, fat_fields, is_ntfs
from engine.scan.facts import Cause
from engine.scan.formats import fat, ntfs
from engine.scan.formats.extents import HOLE, Disk, Extents, add
from engine.scan.formats.item import Gap, Item, NotThis, Odd, Room
from engine.scan.mapped import Octets

_SECTOR: Final = 512
_FOOTER: Final = struct.Struct(">8sLLQL4sL4sQQLL")
_FIXED, _DYNAMIC = 2, 3
_BLOCKS: Final = 1 << 20  # of an image, where each may lie elsewhere: 4 MB of table, 2 TB of disk
_PARTITIONS: Final = 128  # of one disk, logical ones included
_KIB64: Final = 1 << 16
_BAT: Final = bytes.fromhex("6677c22d23f600429d64115e9bfd4a08")
_METADATA: Final = bytes.fromhex("06a27c8b90479a4bb8fe575f050f886e")
_PARAMETERS: Final = bytes.fromhex("3767a1ca36fa434db3b633f0aa44e76b")
_SIZE: Final = bytes.fromhex("2442a52f1bcd7648b2115dbed83bf4b8")
_SECTOR_LEN: Final = bytes.fromhex("1dbf41816fa90947ba47f233a8faab5f")
_EXTENDED: Final = frozenset({0x05, 0x0F, 0x85})
_PROTECTIVE: Final = 0xEE
_UNUSED: Final = bytes(16)

Files = Callable[[Disk, int, Room], Iterator[Item]]


class _Whole(Disk):
    """As it lies in the image."""

    def where(self, at: int, length: int) -> Extents:
        return [(at, length)]


class _Blocks(Disk):
    """Blocks of one length, each where a table says."""

    def __init__(self, buf: Octets, size: int, sector_len: int, block_len: int, places: list[int]) -> None:
        super().__init__(buf, size, sector_len)
        self._block_len = block_len
        self._places = places

    def where(self, at: int, length: int) -> Extents:
        found: Extents = []
        while length > 0:
            number, inside = divmod(at, self._block_len)
            take = min(length, self._block_len - inside)
            place = self._places[number] if number < len(self._places) else HOLE
            if number >= len(self._places):
                take = length
            add(found, HOLE if place == HOLE else place + inside, take)
            if place > len(self.buf):
                break  # so that what yields nothing does not cost anything
            at += take
            length -= take
        return found


def raw(buf: Octets, room: Room) -> Iterator[Item]:
    """A disk as it is, or a part of one."""
    yield from _partitions(_Whole(buf, len(buf), _SECTOR), room)


def vhd(buf: Octets, room: Room) -> Iterator[Item]:
    """By the footer, and by the copy of it in front: readers differ in which they follow, so all disks that they tell
    of are read. Raises NotThis if there is neither."""
    found: dict[tuple[int, ...], int] = {}
    for at in (len(buf) - _SECTOR, len(buf) - _SECTOR + 1, 0):
        if at >= 0 and len(buf) - at >= _FOOTER.size and buf[at : at + 8] == b"conectix":
            fields = _FOOTER.unpack(buf[at : at + _FOOTER.size])
            found.setdefault((fields[3], fields[9], fields[11]), at)
    if not found:
        raise NotThis("vhd: no footer")
    if len(found) > 1:
        yield Odd("vhd-footers-differ")
    for (table_at, size, kind), at in found.items():
        if kind == _FIXED:
            have = at or len(buf)
            if size > have:
                yield Gap(Cause.DAMAGED, "vhd: cut")
            yield from _partitions(_Whole(buf, min(size, have), _SECTOR), room)
        elif kind == _DYNAMIC:
            yield from _dynamic(buf, table_at, size, room)
        else:
            yield Gap(Cause.UNSUPPORTED, "vhd: differencing disk" if kind == 4 else f"vhd: type {kind}")


def _dynamic(buf: Octets, table_at: int, size: int, room: Room) -> Iterator[Item]:
    head = buf[table_at : table_at + 36]
    if len(head) < 36 or not head.startswith(b"cxsparse"):
        yield Gap(Cause.DAMAGED, "vhd: no header of a dynamic disk")
        return
    bat_at, _, blocks, block_len = struct.unpack_from(">QLLL", head, 16)
    if block_len < _SECTOR or block_len & (block_len - 1):
        yield Gap(Cause.DAMAGED, "vhd: length of blocks")
        return
    table = buf[bat_at : bat_at + 4 * min(blocks, _BLOCKS)]
    if blocks > _BLOCKS:
        yield Gap(Cause.LIMIT, f"vhd: {_BLOCKS} blocks")
    elif len(table) < 4 * blocks:
        yield Gap(Cause.DAMAGED, "vhd: the table of blocks is cut")
    bitmap_len = -(-block_len // _SECTOR // 8 // _SECTOR) * _SECTOR
    places = [
        HOLE if sector == 0xFFFFFFFF else sector * _SECTOR + bitmap_len
        for (sector,) in struct.iter_unpack(">L", table[: len(table) & ~3])
    ]
    if max(places, default=0) >= len(buf):
        yield Gap(Cause.DAMAGED, "vhd: blocks outside of the image")
    room.keep(40 * len(places))
    yield from _partitions(_Blocks(buf, size, _SECTOR, block_len, places), room)


def vhdx(buf: Octets, room: Room) -> Iterator[Item]:
    """MS-VHDX. Both tables of regions count, whatever their checksums: readers take the other if one is wrong. Raises
    NotThis if there are none."""
    found = _regions(buf)
    if not found:
        raise NotThis("vhdx: no tables")
    if any(buf[at : at + 4] == b"head" and buf[at + 48 : at + 64] != _UNUSED for at in (_KIB64, 2 * _KIB64)):
        yield Gap(Cause.UNSUPPORTED, "vhdx: a log that was not applied")
    if len(found) > 1:
        yield Odd("vhdx-regions-differ")
    for regions in found:
        try:
            yield from _by_regions(buf, regions, room)
        except NotThis as refusal:
            yield Gap(Cause.DAMAGED, str(refusal))


def _by_regions(buf: Octets, regions: dict[bytes, tuple[int, int]], room: Room) -> Iterator[Item]:
    """Raises NotThis if it has not yielded anything."""
    if _BAT not in regions or _METADATA not in regions:
        raise NotThis("vhdx: no tables")
    items = _metadata(buf, regions[_METADATA][0])
    if any(len(items.get(item, b"")) < length for item, length in ((_PARAMETERS, 8), (_SIZE, 8), (_SECTOR_LEN, 4))):
        raise NotThis("vhdx: metadata")
    block_len, flags = struct.unpack_from("<LL", items[_PARAMETERS])
    (size,) = struct.unpack_from("<Q", items[_SIZE])
    (sector_len,) = struct.unpack_from("<L", items[_SECTOR_LEN])
    if flags & 2:
        yield Gap(Cause.UNSUPPORTED, "vhdx: differencing disk")
        return
    if not 1 << 20 <= block_len <= 1 << 28 or block_len & (block_len - 1) or sector_len not in (512, 4096):
        raise NotThis("vhdx: length of blocks")
    ratio = (sector_len << 23) // block_len  # of blocks between two entries for bitmaps
    blocks = -(-size // block_len)
    at, length = regions[_BAT]
    wanted = min(blocks, _BLOCKS)
    table = buf[at : at + min(length, 8 * (wanted + wanted // ratio + 1))]
    if blocks > _BLOCKS:
        yield Gap(Cause.LIMIT, f"vhdx: {_BLOCKS} blocks")
    elif len(table) < 8 * (blocks + max(0, blocks - 1) // ratio):
        yield Gap(Cause.DAMAGED, "vhdx: the table of blocks is cut")
    places = [
        (entry >> 20) << 20 if entry & 7 in (6, 7) else HOLE
        for number, (entry,) in enumerate(struct.iter_unpack("<Q", table[: len(table) & ~7]))
        if (number + 1) % (ratio + 1)
    ]
    if max(places, default=0) >= len(buf):
        yield Gap(Cause.DAMAGED, "vhdx: blocks outside of the image")
    room.keep(40 * len(places))
    yield from _partitions(_Blocks(buf, size, sector_len, block_len, places), room)


def _regions(buf: Octets) -> list[dict[bytes, tuple[int, int]]]:
    """What -> (offset, octets), from each of the two tables that is one; one if they say the same."""
    found: list[dict[bytes, tuple[int, int]]] = []
    for at in (3 * _KIB64, 4 * _KIB64):
        table = buf[at : at + _KIB64]
        if table.startswith(b"regi") and len(table) == _KIB64:
            count = min(int.from_bytes(table[8:12], "little"), 2047)
            regions: dict[bytes, tuple[int, int]] = {
                table[one : one + 16]: struct.unpack_from("<QL", table, one + 16)
                for one in range(16, 16 + 32 * count, 32)
            }
            if regions not in found:
                found.append(regions)
    return found


def _metadata(buf: Octets, at: int) -> dict[bytes, bytes]:
    table = buf[at : at + _KIB64]
    if not table.startswith(b"metadata") or len(table) < _KIB64:
        return {}
    count = min(int.from_bytes(table[10:12], "little"), 2047)
    found = {}
    for one in range(32, 32 + 32 * count, 32):
        offset, length = struct.unpack_from("<LL", table, one + 16)
        found[table[one : one + 16]] = buf[at + offset : at + offset + min(length, 64)]
    return found


def _partitions(disk: Disk, room: Room) -> Iterator[Item]:
    """What lies in the file systems of a disk; without partitions it is one itself. What is both is read as both."""
    head = disk.read(0, disk.sector_len)
    whole = _file_systems(head)
    if whole:
        yield from _files(disk, 0, whole, room)
    found: list[tuple[int, int]] = []
    gap: Gap | None = None
    if head[510:512] == b"\x55\xaa":
        found, gap = _listed(disk, head, room)
    if disk.read(disk.sector_len, len(GPT)) == GPT:  # whether the MBR tells of it or not
        more, damage = _by_guid(disk)
        found += [one for one in more if one not in found]
        gap = gap or damage
    if gap is not None and not whole:
        yield gap
    if not found and not whole:
        yield Gap(Cause.UNSUPPORTED, "disk without partitions that are known")
    elif len(dict(found)) < len(found):
        yield Odd("disk-partitions-overlap")
    for start, length in dict(found).items():
        room.check_time()
        known = _file_systems(disk.read(start, _SECTOR)) if start or not whole else []
        if known:
            yield from _files(disk, start, known, room)
        elif not whole and disk.read(start, min(length, _KIB64)).strip(b"\0"):  # what was never formatted has no files
            yield Gap(Cause.UNSUPPORTED, "file system of a partition")


def _files(disk: Disk, start: int, known: list[Files], room: Room) -> Iterator[Item]:
    for files in known:
        try:
            yield from files(disk, start, room)
        except NotThis as refusal:
            yield Gap(Cause.DAMAGED, str(refusal))


def _file_systems(boot: bytes) -> list[Files]:
    """Readers of what a boot sector may be of: Windows tells FAT by its fields, whatever name stands in them."""
    is_fat = boot[510:512] == b"\x55\xaa" and fat_fields(boot) is not None
    return [files for known, files in ((is_ntfs(boot), ntfs.files), (is_fat, fat.files)) if known]


def _listed(disk: Disk, head: bytes, room: Room) -> tuple[list[tuple[int, int]], Gap | None]:
    """(offset, octets) of partitions: by the MBR and the chains from it, and by GPT if the MBR protects one."""
    found: list[tuple[int, int]] = []
    unit = disk.sector_len
    waiting = [(head, 0)]
    outer = seen = 0
    gap: Gap | None = None
    while waiting:
        sector, base = waiting.pop()
        room.check_time()
        for at in range(446, 510, 16):
            kind, (first, count) = sector[at + 4], struct.unpack_from("<LL", sector, at + 8)
            if kind == _PROTECTIVE and not base:
                more, gap = _by_guid(disk)
                found += [one for one in more if one not in found]
                continue
            if not kind or not count:
                continue
            seen += 1
            if seen > _PARTITIONS:
                return found, Gap(Cause.LIMIT, f"{_PARTITIONS} partitions")
            if kind in _EXTENDED:
                outer = outer or first
                at_sector = first if not base else outer + first
                following = disk.read(at_sector * unit, unit)
                if following[510:512] == b"\x55\xaa":
                    waiting.append((following, at_sector))
            else:
                found.append(((base + first) * unit, count * unit))
    return found, gap


def _by_guid(disk: Disk) -> tuple[list[tuple[int, int]], Gap | None]:
    """By the table in front and by its copy at the end, which readers take if a checksum of the first is wrong."""
    unit = disk.sector_len
    found: list[tuple[int, int]] = []
    gap: Gap | None = None
    heads = [disk.read(at, unit) for at in (unit, max(0, disk.size // unit - 1) * unit)]
    if not any(head.startswith(b"EFI PART") for head in heads):
        return [], Gap(Cause.DAMAGED, "disk: no GPT")
    for head in heads:
        if not head.startswith(b"EFI PART"):
            continue
        at, count, length = struct.unpack_from("<QLL", head, 72)
        if length < 128 or length > 4096:
            gap = Gap(Cause.DAMAGED, "disk: GPT")
            continue
        for number in range(min(count, _PARTITIONS)):
            entry = disk.read(at * unit + number * length, 128)
            if entry[:16] != _UNUSED:
                first, last = struct.unpack_from("<QQ", entry, 32)
                one = first * unit, max(0, last - first + 1) * unit
                if one not in found:
                    found.append(one)
        if count > _PARTITIONS and disk.read(at * unit + _PARTITIONS * length, 128)[:16] != _UNUSED:
            gap = Gap(Cause.LIMIT, f"{_PARTITIONS} partitions")
    return found, gap
