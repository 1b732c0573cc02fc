"""Archives and packed streams, walked as files, with shapes that are as hostile as we know."""

import bz2
import gzip
import lzma
import struct
import tarfile
import zlib
from typing import Final

from bench.growth_mail import file
from bench.growth_shapes import Parser, filled, numbered, sized
from tests.engine.scan.bombs import central, closed, local
from tests.engine.scan.formats import archives_made as made

_EMPTY_BLOCK: Final = b"\0\0\0\xff\xff"


# --- zip, gzip, tar ----------------------------------------------------------------------------------------


def _zip(times: int) -> bytes:
    one = local(b"a", 0, 1, 1, 0) + b"a"
    return closed(one * times, [central(b"a", 0, 1, 1, len(one) * at, 0) for at in range(times)])


def _zip_of_one(names: int, disagree: bool, times: int) -> bytes:
    """Entries of one local header with a name and an extra field as long as they may be."""
    front = (
        local(b"n" * names, 0, 1, 1, 8 if disagree else 0, b"\0\0\xff\xff"[: names and 4] + bytes(min(names, 60_000)))
        + b"a"
    )
    return closed(front, [central(b"", 0, 1, 1, 0, 0)] * times)


def _zip_of_headers(times: int) -> bytes:
    """Local headers whose names cover those behind them, each with its entry."""
    front = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, 1, 1, 65535, 0) * times + b"a" * 65536
    return closed(front, [central(b"b", 0, 1, 1, 30 * at, 0) for at in range(times)])


def _zip_of_empty_blocks(times: int) -> bytes:
    """Entries that share one stream, which is long and yields nothing."""
    packed = _EMPTY_BLOCK * (100 * times) + b"\x03\0"
    front = local(b"a", 0, len(packed), 0) + packed
    return closed(front, [central(b"a", 0, len(packed), 0, 0)] * (times * 2))


def _tar_header(name: str, size: int, kind: bytes = b"0") -> bytes:
    one = tarfile.TarInfo(name)
    one.size, one.type = size, kind
    return one.tobuf(tarfile.GNU_FORMAT)


def _pax(records: int, kind: bytes = b"g") -> bytes:
    text = b"".join(b"14 k%07d=v\n" % number for number in range(records))
    return _tar_header("pax", len(text), kind) + text + bytes(-len(text) % 512)


def _tar_of_a_long_name(times: int) -> bytes:
    """A name for all members, as long as half of it."""
    value = b"n" * (256 * times)
    record = b"%d path=%b\n" % (len(value) + 6 + len(str(len(value) + 20)), value)
    return _tar_header("pax", len(record), b"g") + record + bytes(-len(record) % 512) + _tar_header("d", 0) * times


def _tar_of_globals(times: int) -> bytes:
    return _pax(20 * times) + _tar_header("d", 0, b"5") * times + bytes(1024)


# --- 7z, rar, cab and the like -----------------------------------------------------------------------------


def _seven(header: bytes, packed: bytes = b"") -> bytes:
    start = struct.pack("<QQL", len(packed), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\x04" + struct.pack("<L", zlib.crc32(start)) + start + packed + header


def _count(value: int) -> bytes:
    return b"\xf0" + struct.pack("<L", value)


def _seven_folders(times: int) -> bytes:
    folders = b"\x07\x0b" + _count(times) + b"\0" + b"\x01\x01\0" * times + b"\x0c" + b"\1" * times + b"\0"
    return b"\x01\x04" + folders


def _seven_streams(record: bytes, times: int) -> bytes:
    return _seven(_seven_folders(times) + b"\x08" + record * times + b"\0\0\0")


def _seven_names(times: int) -> bytes:
    names = b"\0" + "".join(f"{number}\0" for number in range(times)).encode("utf-16-le")
    return _seven(b"\x01\x05" + _count(times) + b"\x11" + _count(len(names)) + names + b"\0\0")


PARSERS: Final[dict[str, Parser]] = {
    "zip": (
        file,
        {
            "entries": sized(_zip),
            "local headers": filled(local(b"a", 0, 1, 1, 0) + b"a"),
            "marks": filled(b"PK\3\4"),
            "marks of local headers": filled(b"PK\3\4" + bytes(26)),
            "end records": filled(b"PK\5\6", b"PK\3\4"),
            "headers that cover each other": sized(_zip_of_headers),
            "one header for all": sized(lambda times: _zip_of_one(65_000, False, times)),
            "one header for all, other method": sized(lambda times: _zip_of_one(65_000, True, times)),
            "empty blocks, shared": sized(_zip_of_empty_blocks),
            "headers without end": filled(
                struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, 1, 1, 60_000, 0), b"", b"a" * 60_000
            ),
            "headers, zero far": filled(
                struct.pack("<4s5H3L2H", b"PK\3\4", 20, 257, 8, 257, 257, 16843009, 16843009, 16843009, 60_000, 257),
                b"",
                b"a" * 30_000 + b"\0" * 60_000,
            ),
        },
    ),
    "gzip": (
        file,
        {
            "members": filled(gzip.compress(b"a")),
            "empty members": filled(gzip.compress(b"")),
            "headers": filled(b"\x1f\x8b\x08\0"),
            "names without end": filled(b"\x1f\x8b\x08\x08aaaaaaaaaaaaaaaaaaaa"),
            "empty blocks": filled(_EMPTY_BLOCK, b"\x1f\x8b\x08\0\0\0\0\0\0\0"),
            "zeros behind": filled(b"\0", gzip.compress(b"a")),
        },
    ),
    "tar": (
        file,
        {
            "members": filled(_tar_header("a", 0)),
            "directories": filled(_tar_header("a", 0, b"5")),
            "common records": sized(_tar_of_globals),
            "a common name": sized(_tar_of_a_long_name),
            "pax headers": filled(_pax(30, b"x"), b"", _tar_header("a", 0)),
            "long names": filled(_tar_header("a", 400, b"L") + b"a" * 512, b"", _tar_header("a", 0)),
            "broken": filled(b"a" * 512, _tar_header("a", 0)),
            "zeros": filled(b"\0", _tar_header("a", 0)),
        },
    ),
    "streams": (
        file,
        {
            "bzip2": filled(bz2.compress(b"a")),
            "xz": filled(lzma.compress(b"a")),
            "xz, padding": filled(b"\0\0\0\0", lzma.compress(b"a")),
            "lzma": filled(b"\0", lzma.compress(b"a" * 99, lzma.FORMAT_ALONE)),
            "zstd frames": filled(b"\x28\xb5\x2f\xfd\x20\x01\x09\0\0a"),
            "zstd, skippable": filled(b"\x50\x2a\x4d\x18\0\0\0\0", b"\x28\xb5\x2f\xfd\x20\x01\x09\0\0a"),
            "zstd, empty blocks": filled(b"\0\0\0", b"\x28\xb5\x2f\xfd\x20\x01"),
            "lz4 frames": filled(bytes.fromhex("04224d186040820100008061") + bytes(4)),
            "compress": filled(b"\0\xff", b"\x1f\x9d\x90"),
        },
    ),
    "7z": (
        file,
        {
            "names": sized(_seven_names),
            "folders": sized(lambda times: _seven(_seven_folders(times) + b"\0\0")),
            "digests of streams": sized(lambda times: _seven_streams(b"\x0a\1", times)),
            "sizes of streams": sized(lambda times: _seven_streams(b"\x09", times)),
            "streams of folders": sized(lambda times: _seven(_seven_folders(times) + b"\x08\0" * times + b"\0\0")),
            "archives": filled(made.seven_zip({"a": b"a"})),
        },
    ),
    "rar": (
        file,
        {
            "members": filled(made.rar4({"a": b"a"})[20:-7], made.rar4({})[:20]),
            "members of 5": filled(made.rar5({"a": b"a"})[len(made.rar5({})) - 8 : -8], made.rar5({})[:-8]),
            "archives": filled(made.rar5({"a": b"a"})),
            "zeros": filled(b"\0", made.rar4({"a": b"a"})),
            "signatures": filled(b"Rar!\x1a\x07\0"),
        },
    ),
    "cab, cpio, ar, iso, lha": (
        file,
        {
            "cab": filled(made.cab({"a": b"a"})),
            "cpio": numbered(
                b"070701" + b"00000000" * 4 + b"00000001" + b"00000000" * 6 + b"00000008" + b"00000000" + b"%07d\0\0\0"
            ),
            "ar": filled(b"a/              0           0     0     644     0         `\n", b"!<arch>\n"),
            "ar, long names": filled(
                b"#1/2000         0           0     0     644     10        `\naaaaaaaaaa", b"!<arch>\n"
            ),
            "lha": filled(made.lha({"a": b"a"})[:-1]),
            "lha headers": filled(b"\x14\0-lh5-" + bytes(16)),
            "iso": filled(b"\2CD001\1" + bytes(2041), bytes(32768) + b"\1CD001\1" + bytes(2041)),
        },
    ),
    "program": (
        file,
        {
            "marks of rar": filled(b"Rar!\x1a\x07\1\0", b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0"),
            "marks of cab": filled(b"MSCF\0\0\0\0", b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0"),
            "marks of lha": filled(b"-lh5-", b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0"),
            "zeros": filled(b"\0", b"MZ" + bytes(58) + b"\x40\0\0\0PE\0\0"),
        },
    ),
}
