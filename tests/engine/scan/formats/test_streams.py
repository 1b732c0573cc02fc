"""Compressed streams: alone, behind one another, cut, damaged, with other things behind them, too large (CONT-01)."""

import bz2
import lzma
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import limits
from engine.scan.facts import Cause, Verdict
from engine.scan.formats import OPENERS
from engine.scan.formats.streams import raw_lzma
from engine.scan.magic import identify
from tests.engine.scan.formats import archives_made as made
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR, tarred, walk_file

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda content: lzma.compress(content, lzma.FORMAT_ALONE),
    "lzip": made.lzip,
    "zstd": made.zstd,
    "compress": made.compress,
}
TEXT = made.TEXT[:200]


def _names(kind: str) -> str:
    return {"bzip2": "a.txt.bz2", "lzip": "a.txt.lz", "zstd": "a.txt.zst", "compress": "a.txt.Z"}.get(
        kind, f"a.txt.{kind}"
    )


@pytest.mark.parametrize("kind", PACKERS)
def test_one_member_named_like_the_file(kind: str) -> None:
    octets = PACKERS[kind](TEXT)
    assert identify(octets, 0, len(octets)) == kind
    facts = walk_file(octets, _names(kind)).facts
    assert [part.part for part in facts.parts][1:] == [f"{_names(kind)}/a.txt"]
    assert (facts.parts[1].size, facts.verdict) == (len(TEXT), Verdict.CLEAN)


@pytest.mark.parametrize("kind", [one for one in PACKERS if one != "compress"])
def test_a_tar_inside_is_opened(kind: str) -> None:
    octets = PACKERS[kind](tarred({"virus.com": EICAR}))
    facts = walk_file(octets, f"a.tar.{kind}").facts
    assert facts.parts[2].filenames == ("virus.com",)
    assert facts.verdict is Verdict.INFECTED


@pytest.mark.parametrize("kind", ["bzip2", "xz", "lzip", "zstd"])
def test_streams_behind_one_another_are_one_file(kind: str) -> None:
    pack = PACKERS[kind]
    found = Found(OPENERS[kind], pack(TEXT[:7]) + pack(TEXT[7:]))
    assert [one.data for one in found.files.values()] == [TEXT]
    assert not found.gaps and not found.odd


@pytest.mark.parametrize("kind", ["bzip2", "xz", "lzip", "zstd"])
def test_behind_the_end(kind: str) -> None:
    octets = PACKERS[kind](TEXT)
    assert Found(OPENERS[kind], octets + bytes(40)).odd == set()
    junk = Found(OPENERS[kind], octets + b"junk " * 9)
    assert junk.odd == {f"{kind}-trailing-data"} and list(junk.files) == [""]
    archive = made.rar5({"a": EICAR})
    hidden = Found(OPENERS[kind], octets + archive)
    assert hidden.files["trailing data"].data == archive
    assert hidden.files[""].data == TEXT


@pytest.mark.parametrize("kind", PACKERS)
def test_over_the_room_by_one(kind: str) -> None:
    octets = PACKERS[kind](TEXT)
    for room, over in ((len(TEXT), False), (len(TEXT) - 1, True), (0, True)):
        (member,) = Found(OPENERS[kind], octets, Room(room)).files.values()
        assert (member.over, member.data) == (over, TEXT[:room])


@pytest.mark.parametrize("kind", [one for one in PACKERS if one != "compress"])
def test_cut_anywhere_is_not_complete(kind: str) -> None:
    octets = PACKERS[kind](TEXT)
    for end in range(1, len(octets) - (20 if kind == "lzip" else 1)):
        found = Found(OPENERS[kind], octets[:end])
        assert found.refused or found.unread or found.gaps, end
        assert all(TEXT.startswith(one.data) and not one.complete for one in found.files.values())


def test_what_came_before_damage_is_kept() -> None:
    noise = random.Random(1).randbytes(500_000)
    octets = bytearray(bz2.compress(noise, 1))
    octets[-200] ^= 0xFF
    (member,) = Found(OPENERS["bzip2"], bytes(octets)).files.values()
    assert not member.complete and noise.startswith(member.data) and len(member.data) > 100_000


def test_dictionaries_over_the_limit() -> None:
    """PROC-23: thirteen octets may name a dictionary of 4 GiB."""
    alone = b"\x5d" + (0xFFFFFFFF).to_bytes(4, "little") + b"\xff" * 8 + lzma.compress(TEXT, lzma.FORMAT_ALONE)[13:]
    (unread,) = Found(OPENERS["lzma"], alone).unread
    assert unread.cause is Cause.LIMIT
    lzip = bytearray(made.lzip(TEXT))
    lzip[5] = 29
    assert Found(OPENERS["lzip"], bytes(lzip)).unread[0].cause is Cause.LIMIT
    raw_lzma(93, limits.DICTIONARY_LEN)
    with pytest.raises(ValueError, match="dictionary"):
        raw_lzma(93, limits.DICTIONARY_LEN + 1)


def test_work_grows_with_the_octets() -> None:
    looks = []
    for count in (1, 2):
        room = Room()
        Found(OPENERS["bzip2"], bz2.compress(TEXT) * (500 * count), room)
        looks.append(room.looks)
    assert looks[1] <= 2.1 * looks[0]


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=1, max_size=5000), st.sampled_from(["bzip2", "xz", "lzma", "lzip", "zstd"]))
def test_round_trip(content: bytes, kind: str) -> None:
    (member,) = Found(OPENERS[kind], PACKERS[kind](content)).files.values()
    assert member.data == content and member.complete


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(PACKERS)), st.integers(0, 1 << 12), st.binary(min_size=1, max_size=6))
def test_changed_octets_never_escape(kind: str, at: int, new: bytes) -> None:
    octets = PACKERS[kind](TEXT)
    at %= len(octets)
    for member in Found(OPENERS[kind], octets[:at] + new + octets[at + len(new) :], Room(4096)).files.values():
        assert len(member.data) <= 4096
