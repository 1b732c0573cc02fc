"""Zip members of every method that is unpacked, and of those that are not (CONT-01, ENC-01)."""

import bz2
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable

import pytest

from engine.scan.facts import Cause, Verdict
from engine.scan.zip_file import BZIP2, DEFLATE64, LZMA, XZ, ZSTD, ZSTD_OLD
from tests.engine.scan.formats import archives_made as made
from tests.engine.scan.material import EICAR, VIRUS, walk_file

CONTENT = EICAR + made.TEXT


def _lzma(content: bytes) -> bytes:
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16}]
    packed = lzma.compress(content, lzma.FORMAT_ALONE, filters=filters)
    return b"\x13\x00\x05\0" + packed[:5] + packed[13:]


def _deflate64(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 8, zlib.Z_HUFFMAN_ONLY)
    return packer.compress(content) + packer.flush()


PACKERS: dict[int, Callable[[bytes], bytes]] = {
    BZIP2: bz2.compress,
    LZMA: _lzma,
    XZ: lzma.compress,
    DEFLATE64: _deflate64,
}
PACKED = {method: pack(CONTENT) for method, pack in PACKERS.items()}
PACKED |= {ZSTD: made.zstd(CONTENT), ZSTD_OLD: made.zstd(CONTENT)}


def zipped(method: int, packed: bytes, content: bytes = CONTENT, flags: int = 0) -> bytes:
    name = b"virus.com"
    fields = (20, flags, method, 0, 0, zlib.crc32(content), len(packed), len(content), len(name), 0)
    local = b"PK\x03\x04" + struct.pack("<5H3L2H", *fields) + name + packed
    central = b"PK\x01\x02" + struct.pack("<6H3L5H2L", 20, *fields, 0, 0, 0, 0, 0) + name
    return local + central + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(local), 0)


@pytest.mark.parametrize("method", PACKED)
def test_method(method: int) -> None:
    facts = walk_file(zipped(method, PACKED[method], flags=2 if method == LZMA else 0), "a.zip").facts
    assert [one.name for one in facts.matches] == [VIRUS]
    assert facts.parts[1].size == len(CONTENT)
    assert not facts.unscanned and not facts.findings


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_python_wrote(method: int) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("a.com", CONTENT)
        archive.writestr("b.txt", made.TEXT)
        archive.writestr("empty", b"")
    facts = walk_file(out.getvalue(), "a.zip").facts
    assert facts.verdict is Verdict.INFECTED and not facts.unscanned
    assert [part.size for part in facts.parts[1:]] == [len(CONTENT), len(made.TEXT), 0]


@pytest.mark.parametrize("method", PACKED)
def test_cut_or_damaged_is_unscanned(method: int) -> None:
    packed = PACKED[method]
    for broken in (packed[:-12], packed[:9], b"", b"\xff" * len(packed)):
        facts = walk_file(zipped(method, broken, b"\xff" * 800), "a.zip").facts
        assert {one.cause for one in facts.unscanned} == {Cause.DAMAGED}, broken[:9]


@pytest.mark.parametrize("method", PACKERS)
def test_over_the_limit_by_one(method: int) -> None:
    content = bytes(1 << 20)
    packed = PACKERS[method]
    for more, limited in ((b"", False), (b"\0", True)):
        facts = walk_file(
            zipped(method, packed(content + more), content + more, 2 if method == LZMA else 0), "a", file_mb=1
        ).facts
        assert [one.cause for one in facts.unscanned] == ([Cause.LIMIT] if limited else [])


def test_dictionary_over_the_limit() -> None:
    packed = bytearray(PACKED[LZMA])
    packed[5:9] = b"\xff" * 4
    assert walk_file(zipped(LZMA, bytes(packed), flags=2), "a.zip").facts.unscanned


@pytest.mark.parametrize("method", [1, 6, 97, 98])
def test_methods_that_are_not_unpacked(method: int) -> None:
    (one,) = walk_file(zipped(method, b"x" * 30), "a.zip").facts.unscanned
    assert (one.cause, one.detail) == (Cause.UNSUPPORTED, f"zip method {method}")


@pytest.mark.parametrize("method", [BZIP2, 99])
def test_encrypted(method: int) -> None:
    (one,) = walk_file(zipped(method, b"x" * 30, flags=1), "a.zip").facts.unscanned
    assert one.cause is Cause.ENCRYPTED
