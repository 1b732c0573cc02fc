"""UDF volumes: every way to tell where a file lies, images of both kinds, descriptors that lie."""

import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.scan.facts import Verdict
from engine.scan.formats import OPENERS, udf
from engine.scan.magic import identify
from tests.engine.scan.formats import archives_made as made
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.formats.udf_made import SECTOR, Udf, by_genisoimage, without_iso
from tests.engine.scan.material import EICAR, message, walk, walk_file

FILES = {"readme.txt": made.TEXT, "a/b/virus.com": EICAR, "a/ünï.bin": bytes(range(256)) * 20, "empty": b""}
KINDS: dict[str, dict[str, Any]] = {
    "short": {},
    "long": {"form": "long"},
    "pieces": {"pieces": 3},
    "long pieces": {"form": "long", "pieces": 2},
    "chained": {"pieces": 3, "chained": True},
    "extended": {"extended": True},
    "metadata": {"metadata": True, "extended": True, "form": "long"},
    "blocks of 512": {"block": 512, "pieces": 2},
    "blocks of 4096": {"block": 4096},
}
EMBEDDED = {"readme.txt": made.TEXT, "virus.com": EICAR}


def contents(buf: bytes, room: Room | None = None) -> dict[str, bytes]:
    return {name: bytes(one.data) for name, one in Found(OPENERS["udf"], buf, room).files.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_members(kind: str) -> None:
    """CONT-01: found in mail, whatever way leads to them."""
    image = Udf(FILES, **KINDS[kind]).image
    assert identify(image, 0, len(image)) == "udf"
    found = Found(OPENERS["udf"], image)
    assert contents(image) == FILES
    assert not found.gaps and not found.unread and not found.odd
    facts = walk(message("see", [("a.img", image)])).facts
    assert facts.verdict is Verdict.INFECTED and not facts.unscanned


def test_files_in_their_descriptors() -> None:
    assert contents(Udf(EMBEDDED, form="embedded").image) == EMBEDDED


def test_named_streams_and_deleted_files() -> None:
    image = Udf(FILES, extended=True, streams={"readme.txt": {"hidden.exe": EICAR}}, deleted=frozenset({"empty"})).image
    have = contents(image)
    assert have.pop("readme.txt/hidden.exe") == EICAR
    assert have == {name: content for name, content in FILES.items() if name != "empty"}


class _Unmarked(Udf):
    """Entries of directories do not say that they are."""

    def _named(self, name: str, marks: int, block: int) -> bytes:
        return super()._named(name, marks & ~2 if name else marks, block)


def test_a_directory_that_its_entry_calls_a_file() -> None:
    """AV-02: some readers go by the file entry alone."""
    assert contents(_Unmarked({"a/b/virus.com": EICAR}).image) == {"a/b/virus.com": EICAR}


def test_what_another_program_wrote(tmp_path: Path) -> None:
    """CONT-01: the trees of an image with both are walked; the same file is told once, another one in UDF is."""
    files = {name: content for name, content in FILES.items() if name.isascii()}
    both = by_genisoimage(tmp_path, files)
    assert identify(both, 0, len(both)) == "iso"
    alone = without_iso(both)
    assert identify(alone, 0, len(alone)) == "udf"
    for image in (both, alone):
        found = Found(OPENERS[identify(image, 0, len(image))], image)
        assert sorted(bytes(one.data) for one in found.files.values()) == sorted(files.values())
        assert not found.gaps and not found.unread


def test_a_name_that_only_one_tree_has(tmp_path: Path) -> None:
    """FILE-01: with the octets of a file that another tree has under a harmless name."""
    image = bytearray(by_genisoimage(tmp_path, {"letter.txt": made.TEXT}))
    at = image.find(b"\x08letter.txt")
    entry = at - 38
    assert at > 0 and image[entry : entry + 2] == b"\x01\x01"
    image[at : at + 11] = b"\x08letter.exe"
    names = {name.lower() for name in Found(OPENERS["iso"], bytes(image)).files}
    assert "letter.txt" in names and "letter.exe" in names


def test_marks_of_udf_without_a_volume(tmp_path: Path) -> None:
    """SCAN-07: readers may find what we do not; the tree beside it is walked all the same."""
    image = bytearray(made.by_bsdtar(tmp_path, {"a.txt": made.TEXT}, "--format=iso9660"))
    image[SECTOR * 20 + 1 : SECTOR * 20 + 6] = b"NSR02"
    found = Found(OPENERS["iso"], bytes(image))
    assert found.gaps == [("damaged", "udf: no volume")] and len(found.files) == 1


def test_both_kinds_where_the_mark_of_udf_is_in_front() -> None:
    """SCAN-07: the type is told by the first mark; that the other volume cannot be read is told too."""
    image = bytearray(Udf({"a.txt": made.TEXT}).image)
    image[SECTOR * 20 : SECTOR * 20 + 6] = b"\x01CD001"
    found = Found(OPENERS["udf"], bytes(image))
    assert set(found.files) == {"a.txt"} and found.gaps


@pytest.mark.parametrize("kind", KINDS)
def test_cut_anywhere_is_never_clean(kind: str) -> None:
    image = Udf(FILES, **KINDS[kind]).image
    for end in range(34_000, len(image.rstrip(b"\0")), max(len(image) // 60, 1)):
        assert walk_file(image[:end], "a.img").facts.unscanned, end


def test_a_member_over_the_room_by_one() -> None:
    """CONT-04: in one piece, in several, and in its descriptor."""
    options: dict[str, Any]
    for size, options in ((6000, {}), (6000, {"pieces": 2}), (1500, {"form": "embedded"})):
        image = Udf({"a": b"x" * size}, **options).image
        for room, over in ((size, False), (size - 1, True)):
            (member,) = Found(OPENERS["udf"], image, Room(room)).files.values()
            assert (member.over, len(member.data)) == (over, room)


def test_what_is_not_read_is_told() -> None:
    """SCAN-07: virtual partitions, other strategies of ICBs, partitions that are not there."""
    image = Udf(FILES, metadata=True, extended=True).image
    virtual = image.replace(b"*UDF Metadata Partition", b"*UDF Virtual Partition\0")
    assert Found(OPENERS["udf"], virtual).gaps == [("unsupported", "udf: virtual partition")]
    unknown = image.replace(b"*UDF Metadata Partition", b"*UDF Quantum Partition\0\0"[:23])
    assert Found(OPENERS["udf"], unknown).gaps == [("unsupported", "udf: unknown partition")]
    other = Udf(FILES).image.replace(struct.pack("<LHHHBB", 0, 4, 0, 1, 0, 5), struct.pack("<LHHHBB", 0, 3, 0, 1, 0, 5))
    causes = {(one.name, one.cause.value) for one in Found(OPENERS["udf"], other).unread}
    assert causes == {(name, "unsupported") for name in FILES}


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-07, PROC-23: udf._ENTRIES, udf._DIRECTORIES_LEN, udf._EXTENTS, udf._DESCRIPTORS and udf._DEPTH."""
    image = Udf(dict.fromkeys("abcd", b"1")).image
    for most, told in ((6, 0), (5, 1)):  # the directory around counts, and what is left is not asked for
        monkeypatch.setattr(udf, "_ENTRIES", most)
        assert len(Found(OPENERS["udf"], image).gaps) == told
    monkeypatch.setattr(udf, "_ENTRIES", 99)
    length = 40 + 4 * 40
    for most, told in ((length + 1, 0), (length, 1)):
        monkeypatch.setattr(udf, "_DIRECTORIES_LEN", most)
        assert len(Found(OPENERS["udf"], image).gaps) == told
    monkeypatch.setattr(udf, "_DIRECTORIES_LEN", 1 << 20)
    pieces = Udf({"a": bytes(SECTOR * 5)}, pieces=5).image
    for most, told in ((6, 0), (5, 1)):
        monkeypatch.setattr(udf, "_EXTENTS", most)
        assert len(Found(OPENERS["udf"], pieces).unread) == told
    for most, told in ((3, 0), (2, 1)):
        monkeypatch.setattr(udf, "_DESCRIPTORS", most)
        assert len(Found(OPENERS["udf"], image).gaps) == told
    monkeypatch.setattr(udf, "_DESCRIPTORS", 99)
    deep = Udf({"a/b/c/d": b"1"}).image
    for most, name in ((3, "a/b/c/d"), (2, "b/c/d")):
        monkeypatch.setattr(udf, "_DEPTH", most)
        assert list(contents(deep)) == [name]


def test_directories_in_circles_end() -> None:
    """PROC-23: each is read once."""
    image = bytearray(Udf({"a/b.txt": b"1"}).image)
    at = image.find(b"\x08a")
    root = image[at - 18 : at - 14]
    image[at - 14 : at - 10] = root  # what is called a is no directory now, or the root again
    Found(OPENERS["udf"], bytes(image))
    looks = []
    for count in (300, 600):
        room = Room()
        Found(OPENERS["udf"], Udf({f"{one}/x": b"" for one in range(count)}).image, room)
        looks.append(room.looks)
    assert looks[1] <= 2.1 * looks[0]


@settings(max_examples=150)
@given(st.sampled_from(sorted(KINDS)), st.lists(st.tuples(st.integers(0, 1 << 16), st.binary(min_size=1, max_size=4))))
def test_changed_octets_never_escape(kind: str, changes: list[tuple[int, bytes]]) -> None:
    image = bytearray(_IMAGES[kind])
    block = KINDS[kind].get("block", SECTOR)
    for at, new in changes:  # descriptors lie in three places
        at = (80 * block, 256 * block, 300 * block)[at % 3] + at // 3 % (4 * block if at % 3 == 0 else 20 * block)
        image[at : at + len(new)] = new
    for member in Found(OPENERS["udf"], bytes(image), Room(1 << 16)).files.values():
        assert len(member.data) <= 1 << 16


_IMAGES = {kind: Udf(FILES, **options).image for kind, options in KINDS.items()}
