"""Packages that are read by tables of their own: xar, compiled help, sparse members of tar, what COMPRESS.EXE packed;
walked as files, with shapes that are as hostile as we know."""

import struct
import tarfile
import zlib
from collections.abc import Sequence
from typing import Final

from bench.growth_mail import file
from bench.growth_shapes import Parser, filled, halves, numbered, sized
from tests.engine.scan.formats.chm_made import assembled, chm, entry
from tests.engine.scan.formats.xar_made import data
from tests.engine.scan.test_tar_sparse import old_form

_EMPTY_BLOCK: Final = b"\0\0\0\xff\xff"
_GZIP: Final = "application/x-gzip"


def _xar(table: bytes, heap: bytes = b"", level: int = 0) -> bytes:
    """level 0: each octet of the table is one of the file."""
    packed = zlib.compress(b"<xar><toc>" + table + b"</toc></xar>", level)
    return struct.pack(">4sHHQQL", b"xar!", 28, 1, len(packed), len(table), 0) + packed + heap


def _xar_files(times: int, level: int = 0) -> bytes:
    stored = data(0, 4, 4, "application/octet-stream")
    return _xar(
        "".join(f"<file><name>{number}</name>{stored}</file>" for number in range(times)).encode(), b"heap", level
    )


def _xar_attributes(times: int) -> bytes:
    stored = data(0, 4, 4, "application/octet-stream", "ea")
    return _xar(f"<file><name>a</name>{stored * times}</file>".encode(), b"heap")


def _xar_long_paths(times: int) -> bytes:
    """Contents that lie in very long folders."""
    stored = data(0, 4, 4, "application/octet-stream", "ea")
    opens = f"<file><name>{'n' * 4000}</name>" * 50
    return _xar((opens + stored * times + "</file>" * 50).encode(), b"heap")


def xar_empty_blocks(times: int) -> bytes:
    """Contents that share one stream, which is long and yields nothing."""
    stream = b"\x78\x9c" + _EMPTY_BLOCK * (100 * times) + b"\x03\0"
    one = data(0, len(stream), 0, _GZIP)
    return _xar("".join(f"<file><name>{number}</name>{one}</file>" for number in range(times)).encode(), stream)


def _chm_entries(names: Sequence[str], section: int = 0) -> bytes:
    return assembled([entry(name, section, 0, 4) for name in names], b"heap")


def _tar_maps(times: int) -> bytes:
    return old_form([(2 * at, 1) for at in range(times)], 2 * times, b"a" * times)


def _tar_of_pax(text: bytes, stored: bytes, name: str = "a") -> bytes:
    pax = tarfile.TarInfo("pax")
    pax.size, pax.type = len(text), b"x"
    member = tarfile.TarInfo(name)
    member.size = len(stored)
    pieces = (pax.tobuf(tarfile.GNU_FORMAT), text, member.tobuf(tarfile.GNU_FORMAT), stored)
    return b"".join(one + bytes(-len(one) % 512) for one in pieces)


def _record(key: str, value: str) -> bytes:
    length = len(key) + len(value) + 3
    whole = length + len(str(length + len(str(length))))
    return f"{whole} {key}={value}\n".encode()


def _tar_listed(times: int) -> bytes:
    """A map in one record."""
    listed = ",".join(f"{2 * at},1" for at in range(times))
    records = [("GNU.sparse.map", listed), ("GNU.sparse.size", str(2 * times)), ("GNU.sparse.numblocks", str(times))]
    return _tar_of_pax(b"".join(_record(*one) for one in records), b"a" * times)


def _tar_numbers(times: int) -> bytes:
    """A map in a record for each number."""
    text = b"".join(
        _record("GNU.sparse.offset", str(2 * at)) + _record("GNU.sparse.numbytes", "1") for at in range(times)
    )
    return _tar_of_pax(_record("GNU.sparse.size", str(2 * times)) + text, b"a" * times)


def _tar_in_front(times: int) -> bytes:
    """A map in lines in front of what is stored."""
    lines = f"{times}\n" + "".join(f"{2 * at}\n1\n" for at in range(times))
    listed = lines.encode()
    records = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", str(2 * times))]
    stored = listed + bytes(-len(listed) % 512) + b"a" * times
    return _tar_of_pax(b"".join(_record(*one) for one in records), stored)


PARSERS: Final[dict[str, Parser]] = {
    "xar": (
        file,
        {
            "files": sized(_xar_files),
            "files, packed": sized(lambda times: _xar_files(times, 9), 16),
            "attributes of one file": sized(_xar_attributes),
            "long folders": sized(_xar_long_paths),
            "empty blocks, shared": sized(xar_empty_blocks),
            "elements in each other": sized(lambda times: _xar(b"<a>" * times + b"</a>" * times)),
            "table without end": sized(lambda times: _xar(b"<file><name>a</name>" * times)),
            "text": sized(lambda times: _xar(b"<file><name>" + b"a" * times + b"</name></file>")),
            "references": sized(lambda times: _xar(b"<file><name>" + b"&amp;" * times + b"</name></file>")),
            "marks of elements": sized(lambda times: _xar(b"<" * times)),
            "fields of an element": sized(
                lambda times: _xar(b"<file " + b"".join(b'a%d="" ' % at for at in range(times)) + b"/>")
            ),
        },
    ),
    "chm": (
        file,
        {
            "entries": sized(lambda times: _chm_entries([f"/{number}.htm" for number in range(times)])),
            "entries of a section that is not there": sized(
                lambda times: _chm_entries([f"/{number}.htm" for number in range(times)], 1)
            ),
            "packed": sized(lambda times: chm({"a": b"a" * times})),
        },
    ),
    "szdd": (
        file,
        {
            "literals": filled(b"\xffaaaaaaaa", b"SZDD\x88\xf0\x27\x33A\0\xff\xff\xff\0"),
            "repeated": filled(b"\0\0\xff" * 3, b"SZDD\x88\xf0\x27\x33A\0\xff\xff\xff\0"),
            "KWAJ": filled(b"\0", b"KWAJ\x88\xf0\x27\xd1"),
        },
    ),
    "sparse tar": (
        file,
        {
            "map in headers": sized(_tar_maps),
            "map in a record": sized(_tar_listed),
            "map in records": sized(_tar_numbers),
            "map in lines": sized(_tar_in_front),
            "members": filled(old_form([(4, 4)], 8, b"abcd")),
            "members of records": filled(_tar_of_pax(_record("GNU.sparse.map", "0,1,8,1"), b"ab")),
            "lines without end": filled(
                b"1\n", _tar_of_pax(_record("GNU.sparse.major", "1") + _record("GNU.sparse.realsize", "9"), b"")
            ),
            "maps, then zeros": halves(old_form([(4, 4)], 8, b"abcd"), bytes(512)),
            "numbers": numbered(b"%d,", _tar_of_pax(_record("GNU.sparse.map", "0,1"), b"")),
        },
    ),
}
