"""zip, gzip and tar: what is listed, what is unpacked, and what is told of hostile ones."""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.scan import gzip_file, tar_file, zip_file
from engine.scan.facts import Verdict
from engine.scan.inflate import inflate
from tests.engine.scan.material import gzipped, tarred, walk_file, zipped

FILES = {"a.txt": b"alpha " * 50, "dir/b.bin": bytes(range(256)), "c": b""}


def contents(buf: bytes) -> dict[str, bytes]:
    directory = zip_file.read(buf)
    assert directory is not None
    return {entry.text_name: zip_file.unpack(buf, entry, 1 << 20).data for entry in directory.entries}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_members(method: int) -> None:
    buf = zipped(FILES, method, b"a comment")
    directory = zip_file.read(buf)
    assert directory is not None and not directory.problems
    assert contents(buf) == FILES
    assert all(zip_file.crc_agrees(entry, FILES[entry.text_name]) for entry in directory.entries)


def test_prepended_and_appended_data_are_tolerated() -> None:
    buf = b"#!/bin/sh\nexit\n" + zipped(FILES) + b"trailing"
    directory = zip_file.read(buf)
    assert directory is not None
    assert contents(buf) == FILES
    assert directory.problems == {"zip-prepended-data": False, "zip-trailing-data": False}


def test_a_member_that_the_directory_leaves_out_is_listed() -> None:
    """Readers that go by local headers would extract it."""
    hidden = zipped({"hidden.exe": b"not in the directory"})
    local = hidden[: hidden.index(b"PK\x01\x02")]
    buf = local + zipped(FILES)
    directory = zip_file.read(buf)
    assert directory is not None
    assert directory.problems["zip-entry-not-in-directory"]
    assert contents(buf) == {**FILES, "hidden.exe": b"not in the directory"}


def test_headers_that_disagree_are_both_read() -> None:
    """The central directory says stored, the local header deflated."""
    buf = bytearray(zipped({"a": b"content " * 20}))
    central = buf.index(b"PK\x01\x02")
    struct.pack_into("<H", buf, central + 10, 0)
    directory = zip_file.read(bytes(buf))
    assert directory is not None
    assert directory.problems["zip-headers-disagree"]
    assert b"content " * 20 in [zip_file.unpack(bytes(buf), entry, 1000).data for entry in directory.entries]


def test_names_that_disagree_are_both_listed() -> None:
    buf = bytearray(zipped({"good.txt": b"x"}))
    buf[30:38] = b"evil.exe"
    directory = zip_file.read(bytes(buf))
    assert directory is not None
    assert directory.problems == {"zip-names-disagree": True}
    assert {entry.text_name for entry in directory.entries} == {"good.txt", "evil.exe"}


def test_a_missing_local_header_is_told() -> None:
    buf = bytearray(zipped({"a": b"b"}))
    buf[0:4] = b"XXXX"
    directory = zip_file.read(bytes(buf))
    assert directory is not None
    assert directory.problems["zip-local-header-missing"]
    assert not directory.entries[0].readable


def test_a_zip_that_lacks_its_directory_is_read_by_local_headers() -> None:
    buf = zipped(FILES)
    buf = buf[: buf.index(b"PK\x01\x02")]
    directory = zip_file.read(buf)
    assert directory is not None and directory.problems["zip-without-directory"]
    assert contents(buf) == FILES
    assert zip_file.read(buf, local_only=False) is None


class Unseekable(io.RawIOBase):
    """To this, archives are written from front to end: sizes follow the data."""

    def __init__(self) -> None:
        self.octets = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(memoryview(data))  # type: ignore[arg-type]
        self.octets += piece
        return len(piece)


def streamed(method: int) -> bytes:
    out = Unseekable()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("a.txt", FILES["a.txt"])
        archive.writestr("b", b"")
    return bytes(out.octets)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_sizes_behind_the_data_are_no_disagreement(method: int) -> None:
    directory = zip_file.read(streamed(method))
    assert directory is not None and not directory.problems
    assert directory.entries[0].flags & zip_file.DESCRIPTOR


@pytest.mark.parametrize("at", [0, 4, 8, 12])
def test_a_stored_member_whose_end_only_the_directory_tells(at: int) -> None:
    """CONT-01: who reads from the front sees another file, whatever is wrong: mark, CRC or one of the sizes."""
    buf = bytearray(streamed(zipfile.ZIP_STORED))
    buf[buf.index(b"PK\x07\x08") + at] ^= 1
    directory = zip_file.read(bytes(buf))
    assert directory is not None and directory.problems == {"zip-descriptor": True}
    assert walk_file(bytes(buf), "a.zip").facts.verdict is Verdict.UNSCANNED


def test_zip64_sizes() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("a", "w", force_zip64=True) as member:
        member.write(b"zip64 content")
    assert contents(out.getvalue()) == {"a": b"zip64 content"}


def test_unpacking_stops_at_the_room_given() -> None:
    bomb = zipped({"big": bytes(1_000_000)})
    directory = zip_file.read(bomb)
    assert directory is not None
    result = zip_file.unpack(bomb, directory.entries[0], 1000)
    assert (len(result.data), result.over) == (1000, True)


def test_inflate_gives_what_came_before_the_damage() -> None:
    content = bytes(range(256)) * 400
    packed = bytearray(zlib.compress(content, 0)[2:-4])
    packed[70_000:] = b"\xff" * 50
    result = inflate(memoryview(bytes(packed)), 1 << 20)
    assert not result.complete
    assert result.data[:60_000] == content[:60_000]
    assert not inflate(memoryview(b""), 10).complete


def test_gzip_member_and_name() -> None:
    member = gzip_file.unpack(gzipped(b"content", "stored.txt"), 0, 100)
    assert member is not None
    assert (member.data, member.name, member.complete, member.crc_agrees) == (b"content", b"stored.txt", True, True)
    damaged = gzip_file.unpack(gzip.compress(b"content")[:-8] + bytes(8), 0, 100)
    assert damaged is not None and not damaged.crc_agrees
    cut = gzip_file.unpack(gzip.compress(b"content" * 99)[:-9], 0, 1000)
    assert cut is not None and not cut.complete
    assert gzip_file.unpack(b"\x1f\x8b\x08", 0, 100) is None


@pytest.mark.parametrize(
    ("stored", "container", "expected"),
    [
        (b"dir/a.txt", "x.gz", "a.txt"),
        (b"", "2/a.tar.gz", "a.tar"),
        (b"", "a.TGZ", "a.tar"),
        (b"", "plain", "plain"),
        (b"", "", "content"),
    ],
)
def test_gzip_names(stored: bytes, container: str, expected: str) -> None:
    assert gzip_file.contained_name(stored, container) == expected


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tar_members(form: int) -> None:
    files = {**FILES, "deep/" * 20 + "name.txt": b"long", "ümlaut": b"u"}
    buf = tarred(files, form)
    found = list(tar_file.members(buf))
    assert {one.name: buf[one.data_off : one.end] for one in found} == files
    assert not any(one.problems for one in found)


def test_tar_links_and_directories_hold_nothing() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("x")
            info.type = kind
            archive.addfile(info)
    assert [one.file for one in tar_file.members(out.getvalue())] == [False, False, False]


def test_tar_goes_on_behind_damage_and_behind_its_end() -> None:
    one, two = tarred({"one": b"1"}), tarred({"two": b"2"})
    joined = list(tar_file.members(one + two))
    assert [member.name for member in joined] == ["one", "two"]
    assert joined[1].problems == {"tar-members-behind-end": False}
    broken = list(tar_file.members(one[:1024] + b"junk".ljust(512) + two))
    assert [member.name for member in broken] == ["one", "two"]
    assert broken[1].problems == {"tar-bad-header": True}


def test_a_truncated_tar_says_so() -> None:
    buf = tarred({"one": b"1" * 2000})[:1500]
    (member,) = tar_file.members(buf)
    assert member.problems == {"tar-truncated": True} and member.end == 1500


def _with_kind(header: bytes, kind: bytes) -> bytes:
    block = bytearray(header)
    block[156:157] = kind
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize("size", ["-1", "1e3", "9" * 16, ""])
def test_a_pax_size_that_cannot_be_is_told(size: str) -> None:
    """CONT-01: readers differ in how much of what follows belongs to the member."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("one")
        info.pax_headers = {"size": size, "comment": "c"}
        archive.addfile(info)
    (member,) = tar_file.members(out.getvalue())
    assert member.problems == {"tar-bad-size": True}


def test_extension_headers_of_solaris_are_files_too() -> None:
    """CONT-01: readers that do not know their kind make files of them."""
    buf = tarred({"ext": b"hidden"}, tarfile.USTAR_FORMAT)[:1024]
    found = list(tar_file.members(_with_kind(buf[:512], b"X") + buf[512:] + tarred({"one": b"1"})))
    assert [(one.name, one.file) for one in found] == [("ext", True), ("one", True)]


def test_a_tar_whose_first_header_is_damaged_is_read_on() -> None:
    """CONT-01: GNU tar skips to the next header and extracts what follows."""
    buf = bytearray(tarred({"one": b"1", "two": b"2"}, tarfile.USTAR_FORMAT))
    buf[148:155] = b"0000001"
    facts = walk_file(bytes(buf), "a.tar").facts
    assert facts.parts[0].type == "tar" and facts.verdict is Verdict.UNSCANNED
    assert [one.name for one in tar_file.members(bytes(buf)) if one.file] == ["two"]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([zipped(FILES), tarred(FILES), gzipped(b"x" * 99, "n")]), st.data())
def test_damaged_archives_never_raise(buf: bytes, data: st.DataObject) -> None:
    changed = bytearray(buf)
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, len(buf) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(changed[: data.draw(st.integers(0, len(buf)))])
    directory = zip_file.read(cut)
    for entry in directory.entries if directory else ():
        zip_file.unpack(cut, entry, 5000)
    list(tar_file.members(cut))
    gzip_file.unpack(cut, 0, 5000)
