"""Archives through libarchive and liblhasa: every format, cut, locked, behind the end, too large (CONT-01)."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import limits
from engine.scan.facts import Cause, Verdict
from engine.scan.formats import CARRIERS, OPENERS, archive, lha
from engine.scan.magic import identify
from tests.engine.scan.formats import archives_made as made
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR, VIRUS, walk_file

MEMBERS = {"readme.txt": made.TEXT, "dir/virus.com": EICAR, "last.bin": bytes(range(256)) * 8}
FLAT = {name.replace("/", "_"): content for name, content in MEMBERS.items()}
MAKERS: dict[str, tuple[str, Callable[[dict[str, bytes]], bytes]]] = {
    "rar": ("rar", made.rar4),
    "rar5": ("rar", made.rar5),
    "cab": ("cab", made.cab),
    "cab stored": ("cab", lambda members: made.cab(members, packed=False)),
    "7z": ("7z", made.seven_zip),
    "lha": ("lha", made.lha),
    "cpio": ("cpio", made.cpio),
    "ar": ("ar", made.ar),
    "rpm": ("rpm", made.rpm),
}
MADE = {name: (kind, make(FLAT)) for name, (kind, make) in MAKERS.items()}


@pytest.mark.parametrize("name", MADE)
def test_members(name: str) -> None:
    kind, octets = MADE[name]
    assert identify(octets, 0, len(octets)) == kind
    found = Found(OPENERS[kind], octets)
    have = {one: member.data for one, member in found.files.items()}
    assert [have[one] for one in have] == list(FLAT.values())
    assert not found.gaps and not found.unread and all(one.complete for one in found.files.values())
    facts = walk_file(octets, f"a.{kind}").facts
    assert [one.name for one in facts.matches] == [VIRUS]
    assert not facts.unscanned


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("7z", ["--format=7zip"]),
        ("7z", ["--format=7zip", "--options=compression=bzip2"]),
        ("7z", ["--format=7zip", "--options=compression=ppmd"]),
        ("7z", ["--format=7zip", "--options=compression=deflate"]),
        ("iso", ["--format=iso9660"]),
        ("cpio", ["--format=cpio"]),
        ("ar", ["--format=arbsd"]),
        ("tar", ["--format=pax"]),
        ("compress", ["--format=pax", "-Z"]),
        ("lz4", ["--format=pax", "--lz4"]),
        ("zstd", ["--format=pax", "--zstd"]),
        ("lzip", ["--format=pax", "--lzip"]),
        ("xz", ["--format=pax", "-J"]),
        ("bzip2", ["--format=pax", "-j"]),
        ("lzma", ["--format=pax", "--lzma"]),
    ],
)
def test_what_another_program_wrote(tmp_path: Path, kind: str, options: list[str]) -> None:
    octets = made.by_bsdtar(tmp_path, FLAT, *options)
    assert identify(octets, 0, len(octets)) == kind
    walk = walk_file(octets, f"a.{kind}")
    have = {part.size for part in walk.facts.parts}
    assert {len(content) for content in FLAT.values()} <= have
    assert [one.name for one in walk.facts.matches] == [VIRUS]
    assert not walk.facts.unscanned


def test_encrypted_members_and_headers() -> None:
    for octets, kind in (
        (made.rar4(FLAT, file_flags=4), "rar"),
        (made.rar5(FLAT, encrypted=True), "rar"),
        (made.seven_zip(FLAT, b"\x06\xf1\x07\x01", bytes([0x13, 0])), "7z"),
    ):
        found = Found(OPENERS[kind], octets)
        assert [(one.name, one.cause) for one in found.unread] == [(name, Cause.ENCRYPTED) for name in FLAT]
    for octets in (made.rar5_encrypted_headers(), made.rar4({}, archive_flags=0x80)):
        assert [cause for cause, _ in Found(OPENERS["rar"], octets).gaps] == ["encrypted"]


def test_one_of_several_volumes() -> None:
    for octets, kind in (
        (made.rar4(FLAT, archive_flags=1), "rar"),
        (made.rar5(FLAT, archive_flags=1), "rar"),
        (made.cab(FLAT, flags=0), "cab"),
    ):
        assert bool(Found(OPENERS[kind], octets).gaps) == (kind == "rar")
    first = made.seven_zip(FLAT)[:-20]
    assert "volumes" in Found(OPENERS["7z"], first).refused
    assert walk_file(first, "a.7z.001").facts.unscanned


def test_dictionaries_up_to_the_limit() -> None:
    """PROC-23: a header of a few octets must not make a decoder take gigabytes."""
    for over in (0, 1):
        properties = b"\x5d" + (limits.DICTIONARY_LEN + over).to_bytes(4, "little")
        found = Found(OPENERS["7z"], made.seven_zip(FLAT, b"\x03\x01\x01", properties))
        causes = {one.cause for one in found.unread} | {Cause(cause) for cause, _ in found.gaps}
        assert (Cause.LIMIT in causes) == bool(over)
    assert {one.name for one in found.unread} == set(FLAT)


@pytest.mark.parametrize(("files", "streams"), [(90_000_000, -1), (-1, 90_000_000)])
def test_counts_that_a_header_cannot_hold(files: int, streams: int) -> None:
    """PROC-23: libarchive takes memory for each file that is announced."""
    found = Found(OPENERS["7z"], made.seven_zip(FLAT, files=files, streams=streams))
    assert [cause for cause, _ in found.gaps] == [Cause.DAMAGED]
    assert not found.files


@pytest.mark.parametrize("name", ["rar", "rar5", "cab", "7z", "lha", "cpio"])
def test_archives_behind_one_another(name: str) -> None:
    kind, octets = MADE[name]
    other = MAKERS[name][1]({"second.txt": b"second" * 30})
    for between in (b"", bytes(7)) if kind != "lha" else (b"",):
        members = [one.data for one in Found(OPENERS[kind], octets + between + other).files.values()]
        sizes = {len(part) for part in members} | {
            part.size for part in walk_file(octets + between + other, "a").facts.parts
        }
        assert len(b"second" * 30) in sizes


@pytest.mark.parametrize("name", ["rar", "cab", "7z", "lha", "cpio"])
def test_another_archive_behind_the_end(name: str) -> None:
    kind, _ = MADE[name]
    other = made.rar5({"hidden.com": EICAR}) if kind != "rar" else made.cab({"hidden.com": EICAR})
    clean = MAKERS[name][1]({"a.txt": made.TEXT})
    assert walk_file(clean + other, "a").facts.verdict is Verdict.INFECTED


@pytest.mark.parametrize("name", MADE)
def test_cut_anywhere_is_never_clean_of_what_is_missing(name: str) -> None:
    kind, octets = MADE[name]
    for end in range(12, len(octets) - 1, max(1, len(octets) // 40)):
        found = Found(OPENERS[kind], octets[:end])
        whole = [one.data for one in found.files.values() if one.complete]
        partial = found.refused or found.gaps or found.unread or any(not one.complete for one in found.files.values())
        assert partial or len(whole) == len(FLAT) or found.odd or kind in ("ar", "cpio", "lha"), end


@pytest.mark.parametrize("name", MADE)
def test_a_member_over_the_room_by_one(name: str) -> None:
    kind, octets = MADE[name]
    largest = max(len(content) for content in FLAT.values())
    for room, over in ((largest, False), (largest - 1, True)):
        found = Found(OPENERS[kind], octets, Room(room))
        assert any(one.over for one in found.files.values()) == over
        assert all(len(one.data) <= room for one in found.files.values())


@pytest.mark.parametrize("carried", ["rar", "rar5", "cab", "7z", "lha"])
def test_programs_that_carry_an_archive(carried: str) -> None:
    octets = made.program(MADE[carried][1])
    facts = walk_file(octets, "setup.exe").facts
    assert facts.verdict is Verdict.INFECTED
    assert facts.parts[0].type == "pe"
    assert len(facts.parts) == 1 + len(FLAT)


def test_a_program_that_only_names_signatures_is_clean() -> None:
    assert not Found(CARRIERS["pe"], made.program(b"")).items
    assert walk_file(made.program(b""), "rar.exe").facts.verdict is Verdict.CLEAN


def test_marks_of_lha_in_a_program_up_to_the_limit() -> None:
    """CONT-01: what is behind more of them than are looked at is not called clean."""
    for count, limited in ((1000, False), (1001, True)):
        found = Found(CARRIERS["pe"], b"MZ" + b"..-lh5-" * count + bytes(40))
        assert bool(found.gaps) == limited


@pytest.mark.parametrize("level_2", [b"", b"\0", b"..-lh5-"])
def test_headers_of_lha_of_level_2_in_a_program(level_2: bytes) -> None:
    """CONT-01: they have no checksum of one octet: what follows the member tells."""
    head = b"\x1a\0-lh0-" + struct.pack("<LLLBBHBH", 4, 4, 0, 0x20, 2, 0, 0x4D, 0)
    assert len(head) == 26
    assert lha.sound(head + b"data" + level_2, 0)
    assert not lha.sound(head + b"data" + b"any other octets", 0)
    assert not lha.sound(head[:23], 0)


@pytest.mark.parametrize(
    "marks", [(b"\xef\xbe\xad\xdeNullsoftInst",), (b"AU3!EA05",), (b"AU3!EA06",), (b"ISc(", b"InstallShield\0")]
)
def test_installers_that_are_not_opened_are_told(marks: tuple[bytes, ...]) -> None:
    """CONT-01: what an installer carries was not examined, so it is not clean; half of its marks mean nothing."""
    assert walk_file(made.program(b"..".join(marks)), "setup.exe").facts.verdict is Verdict.UNSCANNED
    if len(marks) > 1:
        assert walk_file(made.program(marks[0]), "setup.exe").facts.verdict is Verdict.CLEAN


def test_both_trees_of_an_image_are_walked(tmp_path: Path) -> None:
    octets = made.by_bsdtar(tmp_path, {"a file with a long name.txt": made.TEXT}, "--format=iso9660")
    found = Found(OPENERS["iso"], octets)
    assert [one.data for one in found.files.values()] == [made.TEXT]  # once, though it is in two trees


def test_work_grows_with_the_members() -> None:
    looks = []
    for count in (100, 200):
        room = Room()
        Found(OPENERS["cpio"], made.cpio({f"{one}.txt": made.TEXT for one in range(count)}), room)
        looks.append(room.looks)
    assert looks[1] <= 2.1 * looks[0]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(MADE)), st.integers(0, 1 << 16), st.binary(min_size=1, max_size=8))
def test_changed_octets_never_escape(name: str, at: int, new: bytes) -> None:
    kind, octets = MADE[name]
    at %= len(octets)
    changed = octets[:at] + new + octets[at + len(new) :]
    room = Room(1 << 20)
    for member in Found(archive.opener(kind) if kind != "lha" else OPENERS["lha"], changed, room).files.values():
        assert len(member.data) <= 1 << 20


@pytest.mark.parametrize(
    ("name", "closed"), [("a.7z.002", True), ("b.ZIP.011", True), ("b.z01", True), ("b.bin", False)]
)
def test_further_volumes_are_known_by_name_only(name: str, closed: bool) -> None:
    """Their octets look like nothing, and only all parts together can be opened."""
    assert bool(walk_file(bytes(range(256)), name).facts.unscanned) == closed


def test_names_in_the_data_of_an_ar_up_to_the_limit() -> None:
    """CONT-01: a member that would be all name (BSD) is content for readers that do not know the form."""
    for over in (0, 1):
        length = limits.NAME_LEN + over
        head = b"#1/%-13d%-12d%-6d%-6d%-8s%-10d`\n" % (length, 0, 0, 0, b"100644", length + 4)
        found = Found(OPENERS["ar"], b"!<arch>\n" + head + b"n" * length + b"data")
        assert [len(one.data) for one in found.files.values()] == [4, length + 4][: 1 + over]


def test_signatures_in_a_program_up_to_the_limit() -> None:
    for count, limited in ((999, False), (1000, True)):
        found = Found(CARRIERS["pe"], b"MZ" + b"Rar!\x1a\x07\0 " * count)
        assert bool(found.gaps) == limited


def test_names_of_a_cpio_up_to_the_limit() -> None:
    """PROC-23: a header may ask for 4 GB for its name, and so for as much memory."""
    plain = made.cpio({"a.txt": made.TEXT, "b.txt": made.TEXT})
    second = plain.index(b"070701", 6)
    for length, limited in ((0xFFFFF, False), (0x100000, True), (0xFFFFFFFF, True)):
        found = Found(OPENERS["cpio"], plain[: second + 94] + b"%08X" % length + plain[second + 102 :])
        assert (("limit", "cpio: a name of 1 MiB or more") in found.gaps) == limited
        assert found.gaps
