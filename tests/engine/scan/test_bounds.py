"""Bounds of parsers of archives, each crossed by one; what lies behind a bound is told, never called clean."""

import bz2
import io
import struct
import tarfile
import zlib
from collections.abc import Callable

import pytest

from engine import limits
from engine.scan import tar_file, zip_file
from engine.scan.formats import OPENERS, archive, seven_zip, streams
from tests.engine.scan.bombs import central, closed, local
from tests.engine.scan.formats import archives_made as made
from tests.engine.scan.formats.rooms import Found
from tests.engine.scan.material import tarred, walk_file, zipped


def seven(header: bytes, packed: bytes = b"") -> bytes:
    start = struct.pack("<QQL", len(packed), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\x04" + struct.pack("<L", zlib.crc32(start)) + start + packed + header


def test_streams_behind_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-04: streams._STREAMS."""
    monkeypatch.setattr(streams, "_STREAMS", 4)
    assert not Found(OPENERS["bzip2"], bz2.compress(b"a") * 3).gaps
    assert Found(OPENERS["bzip2"], bz2.compress(b"a") * 4).gaps == [("limit", "bzip2: 4 streams behind one another")]


def test_archives_behind_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-04: archive._ARCHIVES."""
    one = made.rar5({"a.txt": made.TEXT})
    monkeypatch.setattr(archive, "_ARCHIVES", 3)
    assert not Found(OPENERS["rar"], one * 3).gaps
    assert Found(OPENERS["rar"], one * 4).gaps == [("limit", "3 archives behind one another")]


def test_end_records_of_a_zip() -> None:
    """CONT-01: zip_file._CANDIDATES. With more that lead nowhere it is read by local headers, called damaged."""
    false = b"PK\x05\x06" + b"\xff" * 30
    found = [zip_file.read(zipped({"a": b"1"}) + false * count) for count in (7, zip_file._CANDIDATES)]
    assert [one is not None and "zip-without-directory" in one.problems for one in found] == [False, True]
    assert all(one is not None and [entry.name for entry in one.entries] == [b"a"] for one in found)


def test_fields_in_front_of_zip64_sizes() -> None:
    """CONT-01: zip_file._EXTRA_FIELDS."""
    for before, size in ((zip_file._EXTRA_FIELDS - 1, 5), (zip_file._EXTRA_FIELDS, 0xFFFFFFFF)):
        extra = b"\xff\xff\0\0" * before + struct.pack("<2HQ", 1, 8, 5)
        assert zip_file._sizes64(extra, 0xFFFFFFFF, 1, 2, zip_file.Directory()) == (size, 1, 2)


def test_entries_of_a_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-07: zip_file._ENTRIES. Those behind it are found by their local headers or make the directory too long."""
    buf = zipped({str(number): b"1" for number in range(4)})
    for most, severe in ((4, False), (3, True)):
        monkeypatch.setattr(zip_file, "_ENTRIES", most)
        directory = zip_file.read(buf)
        assert directory is not None and any(directory.problems.values()) == severe


def test_marks_of_headers_outside_of_the_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-07: zip_file._HEADERS."""
    marks = b"PK\x03\x04" + bytes(30)
    buf = marks * 5 + zipped({"a": b"1"})
    for most, told in ((6, False), (5, True)):
        monkeypatch.setattr(zip_file, "_HEADERS", most)
        directory = zip_file.read(buf)
        assert directory is not None and ("zip-too-many-headers" in directory.problems) == told


def test_a_long_name_of_a_tar(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-01: tar_file._EXTENSION_LEN. A longer name is cut; the member stays."""
    for longer in (0, 1):
        monkeypatch.setattr(tar_file, "_EXTENSION_LEN", 300 - longer)
        (member,) = tar_file.members(tarred({"n" * 300: b"data"}, form=1))
        assert (len(member.name), member.size) == (300 - longer, 4)


def test_a_record_that_is_common_to_all_members_of_a_tar() -> None:
    """CONT-01: tar_file._COMMON_LEN. Each member would read a longer name anew; what has none of it is told."""
    for longer in (0, 1):
        name = "n" * (tar_file._COMMON_LEN + longer)
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"path": name}) as writing:
            writing.addfile(tarfile.TarInfo("a"))
        (member,) = tar_file.members(out.getvalue())
        assert (member.name, member.problems) == (("a", {"tar-common-header": True}) if longer else (name, {}))


@pytest.mark.parametrize("disagree", [False, True])
def test_headers_of_a_zip_that_lie_in_each_other(disagree: bool) -> None:
    """CONT-07: entries that share a header, or headers that cover each other, read its length and no more: half a
    megabyte had a gigabyte of names."""
    front = local(b"n" * 60_000, 0, 1, 1, 8 if disagree else 0) + b"a"
    for count, told in ((1, False), (3, True)):
        directory = zip_file.read(closed(front, [central(b"n", 0, 1, 1, 0, 0)] * count))
        assert directory is not None and ("zip-headers-overlap" in directory.problems) == told
        assert sum(len(entry.name) for entry in directory.entries) < 60_000 + 1000
        assert [entry.readable for entry in directory.entries if entry.name == b"n"] == [True] * 1 + [False] * (
            count - 1
        )


def test_members_of_a_7z(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-04: seven_zip.MEMBERS, of files, folders and streams each; what has more is told as over the limit."""
    cases: dict[str, Callable[[int], bytes]] = {
        "files": lambda count: b"\x01\x05" + bytes([count]) + b"\0" * (count + 1),
        "folders": lambda count: (
            b"\x01\x04\x07\x0b" + bytes([count]) + b"\0" + b"\x01\0" * count + b"\x0c" + b"\1" * count + bytes(3)
        ),
        "streams": lambda count: b"\x01\x04\x07\x0b\1\0\x01\0\x0c\1\0\x08\x0d" + bytes([count]) + bytes(3 + count),
    }
    monkeypatch.setattr(seven_zip, "MEMBERS", 5)
    for name, make in cases.items():
        for count in (5, 6):
            header = seven_zip.read(seven(make(count)), 0)
            assert header is not None and header.over == (count == 6), name
    assert Found(OPENERS["7z"], seven(cases["files"](6))).gaps == [("limit", "5 files of a 7z")]


def test_length_of_the_header_of_a_7z(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-07: seven_zip.HEADER_LEN. Of a longer one nothing is known, which is told."""
    archive = made.seven_zip({"a.txt": b"text"})
    found = seven_zip.start(archive, 0)
    assert found is not None
    for longer in (0, 1):
        monkeypatch.setattr(seven_zip, "HEADER_LEN", found[1] - longer)
        assert ("7z-header" in Found(OPENERS["7z"], archive).odd) == bool(longer)


def test_headers_of_a_7z_that_are_packed_in_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-03: seven_zip._ENCODED."""
    header, data = b"\x01\0", b""
    for _ in range(2):
        data += header
        at, size = len(data) - len(header), len(header)
        header = (
            b"\x17\x06" + bytes([at]) + b"\1\x09" + bytes([size]) + b"\0\x07\x0b\1\0\1\1\0\x0c" + bytes([size, 0, 0])
        )
    for most in (3, 2):
        monkeypatch.setattr(seven_zip, "_ENCODED", most)
        read = seven_zip.read(seven(header, data), 0)
        assert read is not None and read.known == (most == 3)


@pytest.mark.parametrize("record", [b"\x09", b"\x0a\1"])
def test_records_of_a_7z_come_once(record: bytes) -> None:
    """CONT-07: two octets that say something of all folders, again and again, took minutes."""
    folders = b"\x01\x04\x07\x0b\2\0\1\0\1\0\x0c\1\1\x0a\1" + bytes(9) + b"\x08"
    for count in (1, 2):
        header = seven_zip.read(seven(folders + record * count + bytes(12)), 0)
        assert header is not None and header.known == (count == 1)


def test_entries_of_a_zip_that_share_what_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-06: zip_file.PACKED_WORK: entries of one stream that yields nothing were each read anew."""
    packed = b"\0\0\0\xff\xff" * 80_000 + b"\x03\0"
    front = local(b"a", 0, len(packed), 0, 8) + packed
    monkeypatch.setattr(zip_file, "PACKED_WORK", 1)
    assert 3 * len(packed) < len(front) + limits.MIB < 4 * len(packed)
    for count, told in ((4, []), (5, ["zip: entries that lie in each other"])):
        facts = walk_file(closed(front, [central(b"a", 0, len(packed), 0, 0, 8)] * count), "a.zip").facts
        assert [one.detail for one in facts.unscanned] == told, count
