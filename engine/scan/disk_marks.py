"""Images of disks as they are, without a mark in front: told by what is behind their first sector, or at its end.

`disk` is what formats/disk.py reads: a boot sector of FAT or NTFS, or a table of partitions. The others are images and
file systems that further programs open, 7-Zip among them, and nobody here does.
"""

import struct
from collections.abc import Iterator
from typing import Final

from engine.scan.mapped import Octets

_SECTOR: Final = 512
_BOOT: Final = b"\x55\xaa"
GPT: Final = b"EFI PART"
_TABLE_OFF: Final = 446
_ENTRY_LEN: Final = 16
_SUPERBLOCK_OFF: Final = 1024  # of ext2 to ext4, and of HFS
_SUPERBLOCK_LEN: Final = 128
# Mark -> where it is, and what it is of.
_MARKS: Final = (
    (b"\x7f\x10\xda\xbe", 64, "vdi"),
    (b"NXSB", 32, "apfs"),
    (b"EXFAT   ", 3, "exfat"),
    (b"-FVE-FS-", 3, "bitlocker"),
    (b"Compressed ROMFS", 16, "cramfs"),
    (b"LABELONE", _SECTOR, "lvm"),
)
_DEEP_MARKS: Final = (
    (b"H+\0\4", _SUPERBLOCK_OFF, "hfs"),
    (b"HX\0\5", _SUPERBLOCK_OFF, "hfs"),
    (b"gDla\x34\0\0\0", 4096, "android-disk"),
)
UNOPENED: Final = frozenset({kind for _, _, kind in _MARKS + _DEEP_MARKS} | {"ext", "apm"})


def kinds(buf: Octets, start: int, end: int, head: bytes) -> Iterator[str]:
    """Types of image that buf[start:end] may be; head: its first 1024 octets at most. O(1)."""
    if len(head) < _SECTOR:
        return
    bootable = head[510:512] == _BOOT and (is_ntfs(head) or fat_fields(head) is not None or _is_table(head))
    if bootable or head[_SECTOR : _SECTOR + 8] == GPT:
        yield "disk"
    for mark, at, kind in _MARKS:
        if head.startswith(mark, at):
            yield kind
    for mark, at, kind in _DEEP_MARKS:
        if buf.startswith(mark, start + at) and start + at + len(mark) <= end:
            yield kind
    if head[:2] == b"ER" and head[_SECTOR : _SECTOR + 4] == b"PM\0\0":
        yield "apm"
    superblock = buf[start + _SUPERBLOCK_OFF : min(end, start + _SUPERBLOCK_OFF + _SUPERBLOCK_LEN)]
    if len(superblock) == _SUPERBLOCK_LEN:
        if superblock[56:58] == b"\x53\xef" and _is_ext(superblock):
            yield "ext"
        if superblock[:2] == b"BD" and _is_old_hfs(superblock):
            yield "hfs"


def is_ntfs(boot: bytes) -> bool:
    return boot[3:11] == b"NTFS    "


def fat_fields(boot: bytes) -> tuple[int, ...] | None:
    """(octets of a sector, sectors of a cluster, reserved, tables, root entries, sectors, sectors of a table) of a boot
    sector of FAT; None if it is none."""
    sector, cluster, reserved, tables, entries, total = struct.unpack_from("<HBHBHH", boot, 11)
    (table,) = struct.unpack_from("<H", boot, 22)
    large, large_table = struct.unpack_from("<LL", boot, 32)
    total, table = total or large, table or large_table
    sound = sector in (512, 1024, 2048, 4096) and cluster and not cluster & (cluster - 1)
    if not sound or not reserved or not 1 <= tables <= 4 or not table or not total or boot[0] not in (0xEB, 0xE9, 0x49):
        return None
    return sector, cluster, reserved, tables, entries, total, table


def _is_table(head: bytes) -> bool:
    """Whether a sector ends in a table of partitions that can be: the first sector, with its mark."""
    used = 0
    for at in range(_TABLE_OFF, _TABLE_OFF + 4 * _ENTRY_LEN, _ENTRY_LEN):
        status, kind, first, count = struct.unpack_from("<B3xB3xLL", head, at)
        if status not in (0, 0x80):
            return False
        used += bool(kind and first and count)
    return used > 0


def _is_ext(superblock: bytes) -> bool:
    """Length of blocks, state, what to do about errors, system that made it, revision."""
    (block,) = struct.unpack_from("<L", superblock, 24)
    state, errors = struct.unpack_from("<HH", superblock, 58)
    maker, revision = struct.unpack_from("<LL", superblock, 72)
    return bool(block <= 6 and state < 8 and errors <= 3 and maker <= 4 and revision <= 1)


def _is_old_hfs(superblock: bytes) -> bool:
    """Length of allocation blocks, and of the volume's name."""
    (block,) = struct.unpack_from(">L", superblock, 20)
    return bool(block > 0 and block % _SECTOR == 0 and 1 <= superblock[36] <= 27)
