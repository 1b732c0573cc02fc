"""Bounds of parsers of archives, each crossed by one; what lies behind a bound is told, never called clean."""

import bz2
import struct

import pytest

from engine.scan import tar_file, zip_file
from engine.scan.formats import OPENERS, archive, streams
from tests.engine.scan.formats import archives_made as made
from tests.engine.scan.formats.rooms import Found
from tests.engine.scan.material import tarred, zipped


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
