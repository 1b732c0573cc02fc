"""Compiled help, packed and not, and what libmspack reads besides (SZDD)."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cext import mspack
from engine.scan.facts import Verdict
from engine.scan.formats import OPENERS, chm
from engine.scan.magic import identify
from tests.engine.scan.formats import archives_made as made
from tests.engine.scan.formats.chm_made import CHUNK_LEN, assembled, entry
from tests.engine.scan.formats.chm_made import chm as packed
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR, message, walk, walk_file

FILES = {"start.htm": made.TEXT, "scripts/virus.com": EICAR, "ü.bin": bytes(range(256)) * 300}
WAYS = {"packed": packed(FILES), "stored": packed(FILES, False), "by its span": packed(FILES, reset_table=False)}


def szdd(content: bytes) -> bytes:
    """Nothing in it refers to what came before."""
    out = b"SZDD\x88\xf0\x27\x33A_" + struct.pack("<L", len(content))
    return out + b"".join(b"\xff" + content[at : at + 8] for at in range(0, len(content), 8))


def contents(buf: bytes, room: Room | None = None) -> dict[str, bytes]:
    return {name: bytes(one.data) for name, one in Found(chm.members, buf, room).files.items()}


@pytest.mark.parametrize("way", WAYS)
def test_members(way: str) -> None:
    """CONT-01: found in mail."""
    buf = WAYS[way]
    assert identify(buf, 0, len(buf)) == "chm"
    found = Found(chm.members, buf)
    assert contents(buf) == FILES
    assert not found.gaps and not found.odd and all(one.complete for one in found.files.values())
    facts = walk(message("see", [("a.chm", buf)])).facts
    assert facts.verdict is Verdict.INFECTED and not facts.unscanned


@pytest.mark.parametrize("way", WAYS)
def test_cut_anywhere_is_never_clean(way: str) -> None:
    buf = WAYS[way]
    for end in range(8, len(buf), 997):
        assert walk_file(buf[:end], "a.chm").facts.unscanned, end


@pytest.mark.parametrize("way", WAYS)
def test_a_member_over_the_room_by_one(way: str) -> None:
    """CONT-04: what is compressed is one content, and cut as such."""
    size = 70_000
    buf = packed({"a": b"x" * size}, way != "stored", way != "by its span")
    for room, over in ((size, False), (size - 1, True)):
        (member,) = Found(chm.members, buf, Room(room)).files.values()
        assert (member.over, len(member.data)) == (over, room)


def test_what_the_compiler_adds_is_no_file_of_its_own() -> None:
    buf = assembled([entry("/#SYSTEM", 0, 0, 4), entry("/a.htm", 0, 4, 4), entry("/empty.txt", 0, 0, 0)], b"sys page")
    streams = {name: one.stream for name, one in Found(chm.members, buf).files.items()}
    assert streams == {"#SYSTEM": True, "a.htm": False, "empty.txt": False}


def test_what_cannot_be_is_told() -> None:
    """SCAN-07: places outside, sections that nobody knows, nothing to unpack, entries that go past their chunk."""
    entries = [entry("/outside", 0, 5, 9), entry("/other", 2, 0, 4), entry("/packed", 1, 0, 4)]
    found = Found(chm.members, assembled(entries, b"content"))
    assert [(one.name, one.complete) for one in found.files.values()] == [("outside", False), ("packed", False)]
    assert [(one.name, one.cause.value) for one in found.unread] == [("other", "unsupported")]
    assert found.gaps == [("damaged", "chm: compressed section")]
    wrong = entry("/a", 0, 0, 4)[:-1] + b"\xff" * 9
    assert "chm-directory" in Found(chm.members, assembled([wrong], b"content")).odd
    for broken in (b"ITSP", b"PMGL"):
        assert Found(chm.members, WAYS["packed"].replace(broken, b"none")).refused


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONT-07: chm._ENTRIES and chm._NUMBER_LEN, crossed by one."""
    for most, told in ((4, []), (3, [("limit", "chm: 3 entries of the directory")])):
        monkeypatch.setattr(chm, "_ENTRIES", most)
        assert Found(chm.members, packed(dict.fromkeys("abc", b"1"), False)).gaps == ([] if most == 4 else told)
    monkeypatch.setattr(chm, "_ENTRIES", 99)
    for length, odd in ((8, False), (9, True)):
        long = entry("/a", 0, 0, 1)[:-2] + b"\x80" * length + b"\0" + b"\1"
        assert bool(Found(chm.members, assembled([long], b"1")).odd) == odd


def test_twice_the_members_cost_twice() -> None:
    looks = []
    for count in (1000, 2000):
        room = Room()
        Found(chm.members, packed({str(one): b"1" for one in range(count)}), room)
        looks.append(room.looks)
    assert looks[1] <= 2.1 * looks[0]
    assert len(packed({str(one): b"" for one in range(1000)}, False)) > 2 * CHUNK_LEN  # in several chunks


def test_single_files() -> None:
    """CONT-01: SZDD, to the octet of the room; cut anywhere it is not clean."""
    buf = szdd(EICAR + made.TEXT)
    assert identify(buf, 0, len(buf)) == "mscompress"
    facts = walk(message("see", [("a.ex_", buf)])).facts
    assert facts.verdict is Verdict.INFECTED and not facts.unscanned
    for room, over in ((308, False), (307, True)):
        (member,) = Found(OPENERS["mscompress"], buf, Room(room)).files.values()
        assert (member.over, len(member.data)) == (over, room)
    assert all(walk_file(buf[:end], "a.ex_").facts.unscanned for end in range(8, len(buf), 29))


def test_followers_are_told() -> None:
    assert walk_file(b"KWAJ\x88\xf0\x27\xd1" + bytes(9), "a.ex_").facts.verdict is Verdict.UNSCANNED


def test_the_kernel_refuses_what_its_caller_may_not() -> None:
    with pytest.raises(ValueError, match="negative"):
        mspack.chm_section(b"", -1)
    assert mspack.expand(b"", 9) == (b"", False, False)
    assert mspack.chm_section(b"ITSF", 0) == (b"", False)


@settings(max_examples=150)
@given(st.sampled_from(sorted(WAYS)), st.lists(st.tuples(st.integers(0, 1 << 20), st.binary(min_size=1, max_size=4))))
def test_changed_octets_never_escape(way: str, changes: list[tuple[int, bytes]]) -> None:
    buf = bytearray(WAYS[way])
    for at, new in changes:
        at %= len(buf) - len(new)
        buf[at : at + len(new)] = new
    for member in Found(chm.members, bytes(buf), Room(1 << 15)).files.values():
        assert len(member.data) <= 1 << 15


def test_entries_behind_the_end_that_a_chunk_tells() -> None:
    """SCAN-07: other readers go by how many there are."""
    buf = bytearray(WAYS["stored"])
    at = buf.index(b"PMGL")
    hidden = buf.index(b"/scripts/virus.com", at) - 1
    buf[at + 4 : at + 8] = struct.pack("<L", at + CHUNK_LEN - hidden)
    facts = walk_file(bytes(buf).replace(EICAR, bytes(len(EICAR))), "a.chm").facts
    assert facts.verdict is Verdict.UNSCANNED


def names(*sections: str) -> bytes:
    listed = b"".join(struct.pack("<H", len(one)) + one.encode("utf-16-le") + b"\0\0" for one in sections)
    return struct.pack("<HH", len(listed) // 2 + 2, len(sections)) + listed


@pytest.mark.parametrize(
    ("sections", "more", "told"),
    [
        (("Uncompressed", "MSCompressed"), [], False),
        (("Uncompressed", "Other"), [], True),
        (("Uncompressed", "MSCompressed"), [entry("::DataSpace/NameList", 0, 0, 5)], True),
    ],
)
def test_where_a_section_is_by_its_name(sections: tuple[str, ...], more: list[bytes], told: bool) -> None:
    """AV-02: a reader goes by the list of names to the octets of a section; what is unpacked here is that of the usual
    name, by the first entry that says where that is."""
    listed = names(*sections)
    entries = [entry("/a.htm", 0, 0, 5), entry("::DataSpace/NameList", 0, 5, len(listed)), *more]
    found = Found(chm.members, assembled(entries, b"hello" + listed))
    assert ("chm-directory" in found.odd) is told
