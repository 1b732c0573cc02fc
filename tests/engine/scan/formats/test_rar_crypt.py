"""Encrypted RAR 5 archives, with and without their password."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.scan.formats import OPENERS, rar_crypt
from engine.scan.formats.item import Opened
from engine.scan.keyring import Keyring
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR
from tests.oracles.rar_crypt import archive, file, header

FILES: Final = {"a.txt": b"words " * 3000, "e.com": EICAR, "folder/b.txt": b"more"}
ENCRYPTED: Final = {(name, "encrypted") for name in FILES}


def opened(octets: bytes, *words: str, room: int = 1 << 26) -> Found:
    given_room = Room(room)
    given_room.keyring = Keyring(words)
    return Found(OPENERS["rar"], octets, given_room)


def told(found: Found) -> bool:
    return any(isinstance(one, Opened) for one in found.items)


def contents(found: Found) -> dict[str, bytes]:
    return {name: bytes(one.data) for name, one in found.files.items() if one.complete}


@pytest.mark.parametrize("tweaked", [False, True])
@pytest.mark.parametrize("hidden", ["", "Secret7ä"])
def test_a_password(tweaked: bool, hidden: str) -> None:
    """ENC-01: one that fits opens it; without it the archive is encrypted, and so are files whose names can be read."""
    whole = archive(*(file(*one, "Secret7ä", tweaked=tweaked) for one in FILES.items()), password=hidden)
    found = opened(whole, "wrong", "Secret7ä")
    assert contents(found) == FILES and told(found) and not found.gaps and not found.unread
    for closed in (opened(whole), opened(whole, "secret7ä", "")):
        assert not closed.files and not told(closed)
        assert closed.gaps == ([("encrypted", "rar headers")] if hidden else [])
        assert {(one.name, one.cause.value) for one in closed.unread} == (set() if hidden else ENCRYPTED)


def test_files_of_other_passwords_and_of_none() -> None:
    """ENC-01: what the password does not open stays encrypted, and what has none is read."""
    blocks = [file("a.txt", b"words"), file("e.com", EICAR, "Secret7"), file("c.txt", b"c", "other", salt=bytes(16))]
    found = opened(archive(*blocks), "Secret7")
    assert contents(found) == {"a.txt": b"words", "e.com": EICAR} and told(found)
    assert [(one.name, one.cause.value) for one in found.unread] == [("c.txt", "encrypted")]


def test_what_lies_behind_and_between() -> None:
    """Archives behind one another; services such as comments are left out."""
    service = header(b"\3\2\4" + b"\0\4\0\0\1\3CMT"), b"word"
    first = archive(file("a.txt", b"words", "x"), service, password="x")
    found = opened(first + archive(file("b.txt", b"more", "x")), "x")
    assert contents(found) == {"a.txt": b"words", "b.txt": b"more"} and not found.gaps


def test_nothing_tells_a_wrong_password() -> None:
    """ENC-01: then it is not opened; neither are parts of files."""
    for one in (file("a.txt", b"words", "x", checked=False), file("a.txt", b"words", "x", flags=0x10)):
        found = opened(archive(one), "x")
        assert not told(found) and not found.files
        assert [(one.name, one.cause.value) for one in found.unread] == [("a.txt", "encrypted")]


def test_a_cut_archive_is_not_whole() -> None:
    whole = archive(*(file(*one, "x") for one in FILES.items()), password="x")
    for cut in (20, 60, len(whole) - 1, len(whole) - 40):
        assert opened(whole[:cut], "x").gaps


def test_rounds_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """limits.PASSWORD_ROUNDS: a file that asks for more is not tried."""
    for more, opens in ((32, True), (31, False)):
        monkeypatch.setattr(limits, "PASSWORD_ROUNDS", 16 + more)
        for hidden in ("", "x"):
            assert told(opened(archive(file("a.txt", b"words", "x"), password=hidden), "x")) is opens


def test_salts_by_one() -> None:
    """rar_crypt._SALTS: files beyond stay encrypted."""
    blocks = [file(f"{n}.txt", b"words", "x", salt=bytes([n]) * 16) for n in range(rar_crypt._SALTS + 1)]
    found = opened(archive(*blocks), "x")
    assert len(found.files) == rar_crypt._SALTS and [one.name for one in found.unread] == [f"{rar_crypt._SALTS}.txt"]


def test_no_room() -> None:
    """What cannot be held decrypted stays encrypted."""
    whole = archive(file("a.txt", b"words" * 400, "x"))
    assert told(opened(whole, "x", room=2 * len(whole)))
    assert [one.cause.value for one in opened(whole, "x", room=2 * len(whole) - 1).unread] == ["encrypted"]


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=5), st.booleans(), st.sampled_from(["", "x"]))
def test_what_was_put_in_comes_out(files: list[bytes], tweaked: bool, hidden: str) -> None:
    named = {str(number): octets for number, octets in enumerate(files)}
    found = opened(archive(*(file(*one, "x", tweaked=tweaked) for one in named.items()), password=hidden), "x")
    assert contents(found) == named and not found.gaps


@given(st.binary(max_size=30), st.integers(0, 400), st.sampled_from(["", "x"]))
def test_damage_raises_nothing(junk: bytes, at: int, hidden: str) -> None:
    whole = archive(file("a", b"words", "x"), file("b", b"more", "x"), password=hidden)
    opened(whole[:at] + junk + whole[at + len(junk) :], "x")
