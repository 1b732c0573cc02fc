"""Encrypted archives of RAR 3 and 4, with and without their password."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.scan.formats import OPENERS, rar_old_crypt
from engine.scan.keyring import Keyring
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.formats.test_rar_crypt import ENCRYPTED, FILES, contents, opened, told
from tests.oracles.rar_old_crypt import SALT, archive, file, key

WHOLE: Final = archive(*(file(*one, "Secret7") for one in FILES.items()))
HIDDEN: Final = archive(*(file(*one, "Secret7") for one in FILES.items()), password="Secret7")


@pytest.mark.parametrize("hidden", [False, True])
def test_a_password(hidden: bool) -> None:
    """ENC-01: one that fits opens it; without it the archive is encrypted, and so are files whose names can be read."""
    whole = HIDDEN if hidden else WHOLE
    found = opened(whole, "wrong", "Secret7")
    assert contents(found) == FILES and told(found) and not found.gaps and not found.unread
    for closed in (opened(whole), opened(whole, "secret7", "")):
        assert not closed.files and not told(closed)
        assert closed.gaps == ([("encrypted", "rar headers")] if hidden else [])
        assert {(one.name, one.cause.value) for one in closed.unread} == (set() if hidden else ENCRYPTED)


def test_large_files_and_those_of_no_password() -> None:
    blocks = [file("a.txt", b"words"), file("b.txt", b"more" * 9, "Secret7", large=True), file("c.txt", b"", "Secret7")]
    found = opened(archive(*blocks), "Secret7")
    assert contents(found) == {"a.txt": b"words", "b.txt": b"more" * 9, "c.txt": b""}
    assert not found.gaps and not found.unread


def test_nothing_tells_a_wrong_password() -> None:
    """ENC-01: where no file holds anything, or one is cut over volumes, nothing is opened."""
    for whole in (archive(file("a.txt", b"", "Secret7")), archive(file("a.txt", b"words", "Secret7", flags=2))):
        found = opened(whole, "Secret7")
        assert not told(found) and not found.files and {one.cause.value for one in found.unread} <= {"encrypted"}
    other = archive(file("a.txt", b"words", "Secret7"), file("b.txt", b"more", "other"))
    found = opened(other, "Secret7")
    assert contents(found) == {"a.txt": b"words"}
    assert [(one.name, one.cause.value) for one in found.unread] == [("b.txt", "encrypted")]


def test_a_cut_archive_is_not_whole() -> None:
    for cut in (14, 30, len(HIDDEN) - 1, len(HIDDEN) - 40):
        found = opened(HIDDEN[:cut], "Secret7")
        assert found.gaps or found.refused


def test_salts_by_one() -> None:
    """rar_old_crypt._SALTS: files beyond stay encrypted."""
    salts = [bytes([n]) * 8 for n in range(rar_old_crypt._SALTS + 1)]
    found = opened(archive(*(file(f"{salt[0]}.txt", b"words", "Secret7", salt=salt) for salt in salts)), "Secret7")
    assert len(found.files) == rar_old_crypt._SALTS
    assert [(one.name, one.cause.value) for one in found.unread] == [(f"{rar_old_crypt._SALTS}.txt", "encrypted")]


def test_keys() -> None:
    """And letters of two octets, and no salt; longer passwords than RAR hashes well are not tried."""
    for word, salt in (("Secret7", SALT), ("ключ", b"")):
        assert rar_old_crypt.key(word.encode("utf-16-le"), salt, Room()) == key(word, salt)
    for letters in (27, 28):
        room = Room()
        room.keyring = Keyring(["x" * letters])
        Found(OPENERS["rar"], WHOLE, room)
        assert (room.looks > 10) is (letters == 27)


@settings(max_examples=30)
@given(st.binary(max_size=20), st.integers(0, 300), st.booleans())
def test_damage_raises_nothing(junk: bytes, at: int, hidden: bool) -> None:
    whole = HIDDEN if hidden else WHOLE
    opened(whole[:at] + junk + whole[at + len(junk) :], "Secret7")
