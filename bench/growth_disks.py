"""Images of disks and volumes, walked as files, with shapes that are as hostile as we know: FAT and NTFS in VHD and
VHDX, UDF. Written octet by octet: no program makes what these say."""

import struct
from collections.abc import Callable, Sequence
from typing import Final

from bench.growth_mail import file
from bench.growth_shapes import Parser, sized
from tests.engine.scan.formats.disk_made import SECTOR, logical, vhd, vhd_dynamic
from tests.engine.scan.formats.udf_made import tag

_END: Final = 0x0FFFFFFF
_AWAY: Final = 100_000  # a cluster behind the end of every image here
_CIRCLE: Final = 30_000  # as that


# --- FAT32: clusters of a sector, the root in cluster 2 ------------------------------------------------------


def _entry(number: int, first: int, size: int, kind: int = 0x20) -> bytes:
    return b"%08X   " % number + bytes([kind]) + bytes(8) + struct.pack("<H4xHL", first >> 16, first & 0xFFFF, size)


def _fat(table: Sequence[int], data: bytes, clusters: int = 1 << 20) -> bytes:
    """table: from cluster 2 on. data: of the clusters from there on."""
    packed = struct.pack(f"<LL{len(table)}L", _END, _END, *table)
    sectors = -(-len(packed) // SECTOR)
    boot = b"\xeb\x3c\x90made    " + struct.pack("<HBHBHHBH", SECTOR, 1, 1, 1, 0, 0, 0xF8, 0)
    boot = boot.ljust(32, b"\0") + struct.pack("<LLLL", clusters, sectors, 0, 2)
    return boot.ljust(510, b"\0") + b"\x55\xaa" + packed.ljust(sectors * SECTOR, b"\0") + data


def _fat_of(entries: Sequence[bytes], table: Callable[[int], Sequence[int]], data: bytes = b"") -> bytes:
    """A root with these entries; table, data: of what lies behind it, whose first cluster the table is given."""
    root = b"".join(entries)
    have = -(-len(root) // SECTOR) or 1
    chain = [*range(3, have + 2), _END]
    return vhd(_fat([*chain, *table(have + 2)], root.ljust(have * SECTOR, b"\0") + data))


def _root_clusters(times: int, each: int = 32) -> int:
    return -(-times * each // SECTOR)


def fat_files(times: int) -> bytes:
    first = 2 + _root_clusters(times)
    entries = [_entry(number, first + number, 9) for number in range(times)]
    return _fat_of(entries, lambda _: [_END] * times, b"".join(b"content".ljust(SECTOR) for _ in range(times)))


def _fat_files_in_pieces(times: int) -> bytes:
    """One file whose clusters follow each other from the last to the first."""
    return _fat_of(
        [_entry(0, 2 + times, SECTOR * times)],
        lambda first: [_END, *range(first, first + times - 1)],
        b"a" * SECTOR * times,
    )


def _fat_one_chain(times: int) -> bytes:
    """Files that all have the one chain, whose clusters are not there."""
    entries = [_entry(number, _AWAY, 1 << 30) for number in range(times)]
    return _fat_of(entries, lambda first: [0] * (_AWAY - first) + [_AWAY + 1 + number for number in range(8 * times)])


def _fat_circle(times: int) -> bytes:
    """Files that all have the one cluster, which follows itself and is not there."""
    return _fat_of(
        [_entry(number, _CIRCLE, 1 << 30) for number in range(times)], lambda first: [_CIRCLE] * (_CIRCLE + 1 - first)
    )


def fat_folders(times: int) -> bytes:
    """Directories that begin one cluster further into the one chain each, all empty."""
    first = 2 + _root_clusters(times)
    entries = [_entry(number, first + number, 0, 0x10) for number in range(times)]
    return _fat_of(entries, lambda at: [*range(at + 1, at + times), _END], bytes(SECTOR * times))


def _fat_folders_away(times: int) -> bytes:
    entries = [_entry(number, 200 + number, 0, 0x10) for number in range(times)]
    return _fat_of(entries, lambda at: range(at + 1, at + 300 + times))


def fat_deep(times: int) -> bytes:
    """Each directory in the one before."""
    folders = b"".join(_entry(number, 3 + number, 0, 0x10).ljust(SECTOR, b"\0") for number in range(1, times))
    folders += bytes(SECTOR)
    return _fat_of([_entry(0, 3, 0, 0x10)], lambda _: [_END] * times, folders)


def _fat_long_names(times: int) -> bytes:
    part = b"\x41" + b"a\0" * 5 + b"\x0f\0\0" + b"a\0" * 6 + b"\0\0" + b"a\0" * 2
    return _fat_of([part * 30 + _entry(number, 0, 0) for number in range(times)], lambda _: [])


# --- NTFS: clusters of a sector, records of two ------------------------------------------------------------


def _attribute(kind: int, content: bytes) -> bytes:
    length = -(-(24 + len(content)) // 8) * 8
    head = struct.pack("<LLBBHHHLHH", kind, length, 0, 0, 24, 0, 0, len(content), 24, 0)
    return (head + content).ljust(length, b"\0")


def _runs(size: int, runs: bytes, lowest: int = 0) -> bytes:
    length = -(-(64 + len(runs) + 1) // 8) * 8
    head = struct.pack(
        "<LLBBHHHQQHH4xQQQ", 0x80, length, 1, 0, 64, 0, 0, lowest, size // SECTOR, 64, 0, size, size, size
    )
    return (head + runs).ljust(length, b"\0")


def _named(parent: int, number: int) -> bytes:
    name = f"{number:08x}"
    return _attribute(0x30, struct.pack("<Q56xBB", parent, len(name), 1) + name.encode("utf-16-le"))


def _record(*attributes: bytes, folder: bool = False, base: int = 0, length: int = 1024) -> bytes:
    count = length // 512 + 1
    begin = 48 + -(-2 * count // 8) * 8
    head = b"FILE" + struct.pack("<HHQHHHHLLQ", 48, count, 0, 1, 1, begin, 1 + 2 * folder, 0, length, base)
    made = bytearray((head.ljust(begin, b"\0") + b"".join(attributes) + b"\xff" * 4).ljust(length, b"\0"))
    for number in range(1, count):
        end = 512 * number
        made[48 + 2 * number : 50 + 2 * number], made[end - 2 : end] = made[end - 2 : end], bytes(2)
    return bytes(made)


def _ntfs(records: Sequence[bytes], data: bytes = b"", table: bytes = b"", length: int = 1024) -> bytes:
    """records: from number 16 on. table: runs of the table instead of those that say where these lie."""
    size = (16 + len(records)) * length
    clusters = size // SECTOR
    runs = table or b"\x14" + struct.pack("<L", clusters) + b"\x01"
    told = size if not table else 1 << 40
    own = [_record(_runs(told, runs), length=length)] + [_record(length=length)] * 15
    boot = b"\xeb\x52\x90NTFS    " + struct.pack("<HB", SECTOR, 1)
    per_record = 256 - (length.bit_length() - 1)
    boot = boot.ljust(48, b"\0") + struct.pack("<QQB", 1, 1, per_record)
    return vhd(boot.ljust(510, b"\0") + b"\x55\xaa" + b"".join((*own, *records)) + data)


def ntfs_files(times: int) -> bytes:
    return _ntfs([_record(_named(5, number), _attribute(0x80, b"a" * 99)) for number in range(times)])


def _ntfs_names(times: int) -> bytes:
    one = b"".join(_named(5, number) for number in range(8))
    return _ntfs([_record(one, base=16)] * times)


def _ntfs_streams(times: int) -> bytes:
    def streams(number: int) -> bytes:
        named = b""
        for one in range(15):
            name = f"{15 * number + one:04x}".encode("utf-16-le")
            named += struct.pack("<LLBBHHHLHH", 0x80, 40, 0, 4, 24, 0, 0, 1, 32, 0) + name + b"a".ljust(8, b"\0")
        return named

    return _ntfs([_record(streams(number), base=16) for number in range(times)])


def _ntfs_pieces(times: int) -> bytes:
    """One file, in runs of a cluster that lie beside each other by turns; each record tells of some hundred."""
    count = 200
    some = b"\x11\x01\x02\x11\x01\xfe" * (count // 2)
    size = times * count * SECTOR
    first = [_record(_named(5, 1), _runs(size, b"\x11\x01\x40" + some[3:]))]
    return _ntfs(
        first + [_record(_runs(size, some, number * count), base=16) for number in range(1, times)], bytes(1 << 16)
    )


def ntfs_records_in_one_place(times: int) -> bytes:
    """Records that tell of the table are of one file, and say that it lies in one place again and again."""
    clusters = 2 * (17 + times)
    told = [
        _record(_runs(1 << 40, b"\x11\x02\x21" + b"\x11\x02\x00" * 290, clusters + number * 582), base=1 << 48)
        for number in range(times)
    ]
    return _ntfs(
        [_record(_named(5, 1), _attribute(0x80, b"a")), *told], table=b"\x14" + struct.pack("<L", clusters) + b"\x01"
    )


def ntfs_deep(times: int) -> bytes:
    return _ntfs(
        [_record(_named(14 + number, number), _attribute(0x80, b"a"), folder=True) for number in range(1, times + 1)]
    )


def _ntfs_circles(times: int) -> bytes:
    pairs = [
        _record(_named(17 + number - 2 * (number % 2), number), _attribute(0x80, b"a"), folder=True)
        for number in range(times)
    ]
    return _ntfs(pairs)


# --- images and partitions ---------------------------------------------------------------------------------


def _blocks(times: int) -> bytes:
    """A dynamic VHD of which all blocks are the one: a directory that goes on for ever, so to say."""
    block = b"".join(_entry(number, 0, 9) for number in range(16)) * 8
    bat_at = SECTOR + 1024
    at = bat_at + -(-4 * times // SECTOR) * SECTOR
    size = times * len(block)
    footer = struct.pack(">8sLLQL4sL4sQQLL", b"conectix", 2, 0x10000, SECTOR, 0, b"", 0, b"", size, size, 0, 3)
    footer = footer.ljust(SECTOR, b"\0")
    head = struct.pack(">8sQQLLL", b"cxsparse", 0xFFFFFFFFFFFFFFFF, bat_at, 0x10000, times, len(block))
    boot = _fat([_END], block)[: 2 * SECTOR]
    front = b"\xff" * SECTOR + (boot + block)[: len(block)]
    table = struct.pack(f">{times}L", (at) // SECTOR, *[(at + len(front)) // SECTOR] * (times - 1))
    return (
        footer + head.ljust(1024, b"\0") + table.ljust(at - bat_at, b"\xff") + front + b"\xff" * SECTOR + block + footer
    )


def _partitions(times: int) -> bytes:
    return vhd(logical([_fat([_END], _entry(1, 0, 0).ljust(SECTOR, b"\0"))] * times))


def _partition_circle(times: int) -> bytes:
    """A chain of logical partitions that leads to its own begin."""
    entry = struct.pack("<B3xB3xLLB3xB3xLL", 0, 7, 1, 1, 0, 5, 0, 1)
    head = (bytes(446) + struct.pack("<B3xB3xLL", 0, 5, 1, 9)).ljust(510, b"\0") + b"\x55\xaa"
    return vhd(head + (bytes(446) + entry).ljust(510, b"\0") + b"\x55\xaa" + bytes(SECTOR * times))


def _tables(times: int) -> bytes:
    return vhd(bytes(SECTOR - 2) + b"\x55\xaa" + (b"EFI PART".ljust(SECTOR, b"\0")) * times)


# --- UDF: blocks of 512, descriptors and data in one partition ---------------------------------------------

_BLOCK: Final = 512
_FIRST: Final = 84  # block of the partition: in front are marks and what leads to it, from the anchor at the end


def _long(length: int, block: int, partition: int = 0) -> bytes:
    return struct.pack("<LLH6x", length, block, partition)


def _node(kind: int, size: int, allocated: bytes, form: int = 0) -> bytes:
    icb = struct.pack("<LHHHBBLHH", 0, 4, 0, 1, 0, kind, 0, 0, form)
    body = icb + bytes(20) + struct.pack("<Q", size)
    return tag(261, 0, body.ljust(152, b"\0") + struct.pack("<LL", 0, len(allocated)) + allocated)


def _named_in_udf(number: int, block: int, marks: int = 0, partition: int = 0) -> bytes:
    text = b"\x08%08x" % number
    whole = tag(257, 0, struct.pack("<HBB", 1, marks, len(text)) + _long(_BLOCK, block, partition) + bytes(2) + text)
    return whole + bytes(-len(whole) % 4)


def _udf(blocks: Sequence[bytes], metadata: bytes = b"") -> bytes:
    """blocks: of the partition, the file set the first, the root's directory entry the second. metadata: pieces of a
    metadata partition, in which descriptors lie then."""
    number = 1 if metadata else 0
    made = [tag(256, 0, bytes(384) + _long(_BLOCK, 1, number)), *blocks]
    laid = b"".join(one.ljust(-(-len(one) // _BLOCK) * _BLOCK, b"\0") for one in made)
    maps = struct.pack("<BBHH", 1, 6, 1, 0)
    if metadata:
        where = len(laid) // _BLOCK
        laid += _node(250, 1 << 40, metadata).ljust(_BLOCK, b"\0")
        laid += bytes(-len(laid) % _BLOCK)
        maps += struct.pack("<BB2xB23s8xHHLLL", 2, 64, 0, b"*UDF Metadata Partition", 1, 0, where, where, 0)
        maps = maps.ljust(70, b"\0")
    body = bytes(4 + 64 + 128) + struct.pack("<L", _BLOCK) + bytes(32) + _long(_BLOCK, 0, number)
    body = (body + struct.pack("<LL", len(maps), 1 + number)).ljust(424, b"\0") + maps
    partition = struct.pack("<LHH", 1, 1, 0) + bytes(32 + 128) + struct.pack("<LLL", 1, _FIRST, 9999)
    image = bytearray(_FIRST * _BLOCK)
    for at, mark in enumerate((b"BEA01", b"NSR03", b"TEA01")):
        image[32768 + 2048 * at : 32768 + 2048 * at + 7] = b"\0" + mark + b"\1"
    sequence = (tag(5, 33, partition), tag(6, 34, body), tag(8, 35, bytes(496)))
    for sector, descriptor in enumerate(sequence, 80):
        image[sector * _BLOCK : sector * _BLOCK + len(descriptor)] = descriptor
    anchor = tag(2, _FIRST + len(laid) // _BLOCK, struct.pack("<LLLL", 3 * _BLOCK, 80, 0, 0)).ljust(_BLOCK, b"\0")
    return bytes(image) + laid + anchor


def _udf_of(entries: Sequence[bytes], following: Callable[[int], Sequence[bytes]]) -> bytes:
    """A root with these entries; following: the blocks behind it, whose first one's number is given."""
    listed = b"".join(entries)
    first = 2 + -(-len(listed) // _BLOCK)
    return _udf([_node(4, len(listed), struct.pack("<LL", len(listed), 2)), listed, *following(first)])


def _udf_files(times: int) -> bytes:
    first = 2 + -(-times * len(_named_in_udf(0, 0)) // _BLOCK)
    return _udf_of(
        [_named_in_udf(number, first + number) for number in range(times)],
        lambda _: [_node(5, 9, b"a" * 9, 3)] * times,
    )


def udf_one_node(times: int) -> bytes:
    """Files that all have the one descriptor, which has very many pieces."""
    length = len(_named_in_udf(0, 0)) * times
    first = 2 + -(-length // _BLOCK)
    pieces = struct.pack("<LL", 1, 0) * (8 * times)
    return _udf_of([_named_in_udf(number, first) for number in range(times)], lambda _: [_node(5, 8 * times, pieces)])


def udf_metadata(times: int) -> bytes:
    """A metadata partition in as many pieces as there are files in it, each found by way of them."""
    listed = b"".join(_named_in_udf(number, 3 + times // 8, 0, 1) for number in range(times))
    blocks = -(-len(listed) // _BLOCK)
    root = _node(4, len(listed), _long(len(listed), 2, 1), 1)
    file_at = 3 + times // 8
    made = [root, listed.ljust(max(blocks, file_at - 2) * _BLOCK, b"\0"), _node(5, 9, b"a" * 9, 3)]
    pieces = b"".join(struct.pack("<LL", _BLOCK, number) for number in range(8 * times))
    return _udf(made, pieces)


def _udf_chain(times: int) -> bytes:
    """Files whose allocation descriptors go on in descriptors that lead to each other."""
    length = len(_named_in_udf(0, 0)) * times
    first = 2 + -(-length // _BLOCK)
    chain = [
        tag(258, 0, struct.pack("<LL", 0, 8) + struct.pack("<LL", 3 << 30 | _BLOCK, first + 2 + number))
        for number in range(times)
    ]
    return _udf_of(
        [_named_in_udf(number, first) for number in range(times)],
        lambda _: [_node(5, 1 << 20, struct.pack("<LL", 3 << 30 | _BLOCK, first + 1)), *chain],
    )


def udf_deep(times: int) -> bytes:
    made: list[bytes] = []
    for number in range(times):
        inner = _named_in_udf(number, 4 + number, 2)
        made.append(_node(4, len(inner), inner, 3))
    return _udf_of([_named_in_udf(0, 3, 2)], lambda _: [*made, _node(4, 0, b"", 3)])


def udf_folders(times: int) -> bytes:
    """Directories whose octets are the same ones."""
    length = len(_named_in_udf(0, 0)) * times
    first = 2 + -(-length // _BLOCK)
    return _udf_of(
        [_named_in_udf(number, first + number, 2) for number in range(times)],
        lambda _: [_node(4, length, struct.pack("<LL", length, 2))] * times,
    )


PARSERS: Final[dict[str, Parser]] = {
    "fat": (
        file,
        {
            "files": sized(fat_files),
            "a file in pieces": sized(_fat_files_in_pieces),
            "one chain for all, not there": sized(_fat_one_chain),
            "chains in circles, not there": sized(_fat_circle),
            "directories in one chain": sized(fat_folders),
            "directories in one chain, not there": sized(_fat_folders_away),
            "directories in each other": sized(fat_deep),
            "long names": sized(_fat_long_names),
        },
    ),
    "ntfs": (
        file,
        {
            "files": sized(ntfs_files),
            "names of one file": sized(_ntfs_names),
            "streams of one file": sized(_ntfs_streams),
            "pieces of one file": sized(_ntfs_pieces),
            "records in one place": sized(ntfs_records_in_one_place),
            "directories in each other": sized(ntfs_deep),
            "directories in circles": sized(_ntfs_circles),
        },
    ),
    "vhd, partitions": (
        file,
        {
            "blocks in one place": sized(_blocks, 3),
            "logical partitions": sized(_partitions),
            "logical partitions in a circle": sized(_partition_circle),
            "tables": sized(_tables),
            "blocks": sized(lambda times: vhd_dynamic(fat_files(times)[:-SECTOR])),
        },
    ),
    "udf": (
        file,
        {
            "files": sized(_udf_files),
            "one descriptor for all": sized(udf_one_node),
            "metadata in pieces": sized(udf_metadata),
            "descriptors that lead to each other": sized(_udf_chain),
            "directories in each other": sized(udf_deep),
            "directories in one place": sized(udf_folders),
        },
    ),
}
