"""Sparse members of tar archives: every form that GNU tar writes, read as it reads them, and maps that lie."""

import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.scan import tar_file, tar_sparse
from engine.scan.facts import Verdict
from tests.engine.scan.material import EICAR, message, tarred, walk, walk_file, zipped

HOLES = {70_000: b"words", 200_000: EICAR, 300_000: b"end"}
MANY = {number * 20_000 + 9000: b"stretch %d" % number for number in range(30)}  # more than fit into one header
FORMS = ("gnu", "0.0", "0.1", "1.0")


def with_holes(stretches: dict[int, bytes], size: int) -> bytes:
    content = bytearray(size)
    for at, data in stretches.items():
        content[at : at + len(data)] = data
    return bytes(content)


MADE = {"holes.bin": (HOLES, 400_000), "many.bin": (MANY, 700_001), "none.bin": ({0: b""}, 50_000)}
FILES = {name: with_holes(*of) for name, of in MADE.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sparse")
    for name, (stretches, size) in MADE.items():
        with (made / name).open("wb") as file:
            for at, data in stretches.items():
                file.seek(at)
                file.write(data)
            file.truncate(size)
    return made


def packed(folder: Path, form: str) -> bytes:
    options = ["--format=gnu"] if form == "gnu" else ["--format=pax", f"--sparse-version={form}"]
    command = ["tar", "-S", "--hole-detection=raw", *options, "-C", str(folder), "-cf", "-", *FILES]
    return subprocess.run(command, check=True, capture_output=True).stdout


def old_form(stretches: list[tuple[int, int]], size: int, stored: bytes, name: str = "one") -> bytes:
    """A member of the old form, whose map is what is asked for."""
    header = bytearray(tarred({name: stored}, tarfile.GNU_FORMAT)[:512])
    header[156:157] = b"S"
    fields = [b"%011o\0%011o\0" % one for one in stretches]
    header[386:482] = b"".join(fields[:4]).ljust(96, b"\0")
    header[482] = len(fields) > 4
    header[483:495] = b"%011o\0" % size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    blocks = b""
    for at in range(4, len(fields), 21):
        blocks += b"".join(fields[at : at + 21]).ljust(504, b"\0") + bytes([at + 21 < len(fields)]) + bytes(7)
    return bytes(header) + blocks + stored + bytes(-len(stored) % 512)


def pax_form(records: list[tuple[bytes, bytes]], stored: bytes) -> bytes:
    text = b""
    for key, value in records:
        record = b" %s=%s\n" % (key, value)
        length = len(record) + len(str(len(record) + 3))
        text += b"%d" % length + record
    header = bytearray(tarred({"p": text}, tarfile.GNU_FORMAT)[:512])
    header[156:157] = b"x"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + text + bytes(-len(text) % 512) + tarred({"one": stored}, tarfile.GNU_FORMAT)


@pytest.mark.parametrize("form", FORMS)
def test_what_gnu_tar_wrote(folder: Path, form: str) -> None:
    """CONT-01: the octets are those of the files, holes included, and mail with them is infected."""
    buf = packed(folder, form)
    found = {one.name: one for one in tar_file.members(buf)}
    for name, content in FILES.items():
        sparse = found[name].sparse
        assert sparse is not None and sparse.fits(found[name].size)
        assert tar_sparse.expand(buf, found[name].data_off, sparse, 1 << 20) == content
    facts = walk(message("see", [("a.tar", buf)])).facts
    assert facts.verdict is Verdict.INFECTED and not facts.unscanned


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("part", [0.4, 0.7, 0.95])
def test_cut_is_never_clean(folder: Path, form: str, part: float) -> None:
    buf = packed(folder, form).rstrip(b"\0")
    facts = walk_file(buf[: int(len(buf) * part)], "a.tar").facts
    assert facts.unscanned


@pytest.mark.parametrize(
    ("stretches", "size"),
    [([(0, 4)], 100), ([(0, 6)], 100), ([(96, 5)], 100), ([(0, 2), (1, 2)], 100), ([(0, 5)], 4), ([], 100)],
)
def test_maps_that_do_not_fit_are_told(stretches: list[tuple[int, int]], size: int) -> None:
    """SCAN-07: readers differ in what they make of them; what follows is read."""
    facts = walk_file(old_form(stretches, size, b"abcde") + tarred({"two": EICAR}), "a.tar").facts
    assert [(one.part, one.detail) for one in facts.unscanned] == [("a.tar/one", "tar-sparse")]
    assert facts.verdict is Verdict.INFECTED


@pytest.mark.parametrize(
    "records",
    [
        [(b"GNU.sparse.size", b"100"), (b"GNU.sparse.map", b"0,5,6")],
        [(b"GNU.sparse.size", b"100"), (b"GNU.sparse.map", b"0,x")],
        [(b"GNU.sparse.size", b"-1"), (b"GNU.sparse.map", b"0,5")],
        [(b"GNU.sparse.map", b"0,5")],
        [(b"GNU.sparse.size", b"100")],
        [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"9")],
    ],
)
def test_records_that_make_no_map_are_told(records: list[tuple[bytes, bytes]]) -> None:
    facts = walk_file(pax_form(records, b"abcde"), "a.tar").facts
    assert "tar-sparse" in {one.detail for one in facts.unscanned}


def test_what_is_stored_is_opened_too() -> None:
    """CONT-01: a reader that knows no holes makes a zip of it, one that does does not."""
    inner = zipped({"a.com": EICAR})
    half = len(inner) // 2
    assert EICAR not in inner
    buf = old_form([(1 << 16, half), (0, len(inner) - half)], (1 << 16) + half, inner)
    assert walk_file(buf + bytes(1024), "a.tar").facts.verdict is Verdict.INFECTED


def test_stretches_of_a_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """PROC-23: tar_sparse._STRETCHES, in every form, crossed by one."""
    text = b"".join(b",%d,1" % (2 * at) for at in range(6))[1:]
    pairs = [
        record
        for at in range(6)
        for record in ((b"GNU.sparse.offset", b"%d" % (2 * at)), (b"GNU.sparse.numbytes", b"1"))
    ]
    lines = b"6\n" + b"".join(b"%d\n1\n" % (2 * at) for at in range(6))
    size = (b"GNU.sparse.size", b"12")
    newest = [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.realsize", b"12")]
    archives = (
        old_form([(2 * at, 1) for at in range(6)], 12, b"abcdef"),
        pax_form([size, (b"GNU.sparse.map", text)], b"abcdef"),
        pax_form([size, *pairs], b"abcdef"),
        pax_form(newest, lines.ljust(512, b"\0") + b"abcdef"),
    )
    for most, told in ((6, set()), (5, {"long map of a sparse file"})):
        monkeypatch.setattr(tar_sparse, "_STRETCHES", most)
        for buf in archives:
            facts = walk_file(buf + bytes(1024), "a.tar").facts
            assert {one.detail for one in facts.unscanned} == told


def test_holes_count_for_the_limit_on_a_file() -> None:
    """CONT-04: by what readers would write, to the octet."""
    for size, over in ((1 << 20, False), ((1 << 20) + 1, True)):
        buf = old_form([(5, 5)], size, b"abcde") + bytes(1024)
        found = walk_file(buf, "a.tar", file_mb=1)
        assert bool(found.facts.unscanned) == over
        assert found.facts.parts[1].size == 1 << 20


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=9), st.integers(0, 60), st.integers(0, 60))
def test_as_writing_with_seeks(stretches: list[tuple[int, int]], size: int, room: int) -> None:
    stored = bytes(range(1, 1 + sum(length for _, length in stretches)))
    found = tar_sparse.Sparse(size, stretches)
    wanted, at = bytearray(size), 0
    for offset, length in stretches:
        if found.fits(len(stored)):
            wanted[offset : offset + length] = stored[at : at + length]
        at += length
    if found.fits(len(stored)):
        assert tar_sparse.expand(stored, 0, found, room) == wanted[:room]
