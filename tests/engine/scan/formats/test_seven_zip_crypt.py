"""Encrypted 7z archives, with and without their password."""

import struct
import zlib
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import limits
from engine.scan.formats import OPENERS, seven_zip, seven_zip_crypt
from engine.scan.formats.item import Opened
from engine.scan.formats.seven_zip_folder import AES, Coder, Folder
from engine.scan.keyring import Keyring
from tests.engine.scan.formats import archives_made as made
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR
from tests.oracles import seven_zip_crypt as oracle
from tests.oracles.seven_zip_crypt import sealed

FILES: Final = {"a.txt": b"words " * 3000, "e.com": EICAR, "folder/b.txt": b"more"}
FORMS: Final[dict[str, dict[str, Any]]] = {
    "packed": {},
    "stored": {"packed": False},
    "names too": {"names": True},
    "names too, stored": {"names": True, "packed": False},
    "salt": {"salt": b"salted", "power": 13},
    "salt of 16": {"salt": bytes(range(16)), "names": True},
    "no rounds": {"power": 0x3F},
}


def opened(archive: bytes, *words: str, octets: int = 1 << 26) -> Found:
    room = Room(octets)
    room.keyring = Keyring(words)
    return Found(OPENERS["7z"], archive, room)


def told(found: Found) -> bool:
    return any(isinstance(one, Opened) for one in found.items)


@pytest.mark.parametrize("form", FORMS)
def test_a_password(form: str) -> None:
    """ENC-01: one that fits opens it; without it the archive is encrypted, and so are files whose names can be read."""
    archive = sealed(FILES, "Secret7ä", **FORMS[form])
    found = opened(archive, "wrong", "Secret7ä")
    assert {name: one.data for name, one in found.files.items()} == FILES
    assert all(one.complete for one in found.files.values())
    assert told(found) and not found.gaps and not found.unread
    for closed in (opened(archive), opened(archive, "secret7ä", "")):
        assert not closed.files and not told(closed)
        if FORMS[form].get("names"):
            assert closed.gaps == [("encrypted", "7z headers")]
        else:
            assert {(one.name, one.cause.value) for one in closed.unread} == {(name, "encrypted") for name in FILES}


def test_behind_a_program() -> None:
    """ENC-01: and one archive behind another one."""
    archive = sealed(FILES, "Secret7")
    found = opened(archive + sealed({"c.txt": b"third"}, "Secret7"), "Secret7")
    assert {*FILES, "c.txt"} == set(found.files) and not found.gaps


@pytest.mark.parametrize("names", [False, True])
def test_nothing_tells_a_wrong_password_without_checksums(names: bool) -> None:
    """ENC-01: then it is not opened, as what came out might be anything."""
    found = opened(sealed(FILES, "Secret7", sums=False, packed=False, names=names), "Secret7")
    assert not told(found) and not found.files
    assert {one.name for one in found.unread if one.cause.value == "encrypted"} == set(FILES)
    assert found.gaps == ([("encrypted", "7z")] if names else [])


def test_a_checksum_that_does_not_agree() -> None:
    """ENC-01: of the first file: the archive stays closed. Of a later one: it has a password of its own."""
    whole = sealed(FILES, "Secret7", packed=False)
    for content, opens in ((FILES["a.txt"], False), (EICAR, True)):
        sum_ = struct.pack("<L", zlib.crc32(content))
        found = seven_zip.start(whole, 0)
        assert found is not None
        header = whole[found[0] :].replace(sum_, b"\1\2\3\4")
        start = struct.pack("<QQL", found[0] - 32, len(header), zlib.crc32(header))
        archive = whole[:8] + struct.pack("<L", zlib.crc32(start)) + start + whole[32 : found[0]] + header
        closed = opened(archive, "Secret7")
        assert told(closed) is opens
        assert "e.com" in {one.name for one in closed.unread if one.cause.value == "encrypted"}


@pytest.mark.parametrize("names", [False, True])
def test_rounds_are_bounded(names: bool) -> None:
    """limits.PASSWORD_ROUNDS: a file that asks for more is not tried, and says so."""
    most = limits.PASSWORD_ROUNDS.bit_length() - 1
    assert names or told(opened(sealed({"a": b"words"}, "x", power=most), "x"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(oracle, "key", lambda *_: bytes(32))
        archive = sealed({"a": b"words"}, "x", power=most + 1, names=names)
    room = Room()
    room.keyring = Keyring(["x"])
    found = Found(OPENERS["7z"], archive, room)
    assert found.gaps == [("encrypted", f"7z: 2^{most + 1} rounds for a key")] and room.looks < 100


def test_salts_by_one() -> None:
    """seven_zip_crypt._SALTS"""
    coders = tuple(Coder(AES, bytes([0x80, 0x00, number])) for number in range(seven_zip_crypt._SALTS + 1))
    for count in (seven_zip_crypt._SALTS, seven_zip_crypt._SALTS + 1):
        lock = seven_zip_crypt.Lock(Room())
        lock.header(b"", Folder(coders[:count], crc=1))
        assert lock.cause == ("" if count == seven_zip_crypt._SALTS else "7z: more than 4 salts")


def test_no_room() -> None:
    """What cannot be held decrypted stays encrypted."""
    archive = sealed({"a": b"words" * 400}, "x", packed=False)
    assert told(opened(archive, "x", octets=4000 + 2 * 16))
    assert [one.cause.value for one in opened(archive, "x", octets=4000 - 1).unread] == ["encrypted"]


@settings(max_examples=40)
@given(
    st.text(max_size=20),
    st.sampled_from([0, 1, 7, 11, 12, 13, 0x3F]),
    st.binary(max_size=16),
)
def test_keys(word: str, power: int, salt: bytes) -> None:
    assert seven_zip_crypt.key(word, seven_zip_crypt.Seal(power, salt, b""), Room()) == oracle.key(word, power, salt)


def test_a_key_of_many_rounds() -> None:
    """Of which the counter takes three octets."""
    of = seven_zip_crypt.Seal(17, b"salt", b"")
    assert seven_zip_crypt.key("word", of, Room()) == oracle.key("word", 17, b"salt")


@settings(max_examples=40)
@given(
    st.dictionaries(st.text("abc/.", min_size=1, max_size=9), st.binary(min_size=1, max_size=300), min_size=1),
    st.booleans(),
    st.booleans(),
)
def test_what_was_put_in_comes_out(files: dict[str, bytes], packed: bool, names: bool) -> None:
    found = opened(sealed(files, "x", packed=packed, names=names), "x")
    assert [one.data for one in found.files.values()] == list(files.values()) and not found.gaps


@given(st.binary(max_size=30), st.integers(0, 400), st.sampled_from(sorted(FORMS)))
def test_damage_raises_nothing(junk: bytes, at: int, form: str) -> None:
    """And is never clean: what comes out is what was put in, or it is told."""
    whole = sealed({"a": b"words", "b": b"more"}, "x", **FORMS[form])
    at = min(at, len(whole) - 1)
    archive = whole[:at] + junk + whole[at + len(junk) :]
    found = opened(archive, "x")
    right = {one.data for one in found.files.values()} == {b"words", b"more"}
    assert right or found.refused or found.gaps or found.unread or not all(one.complete for one in found.files.values())


def test_archives_that_are_not_encrypted_are_read_as_before() -> None:
    found = opened(made.seven_zip(FILES), "x")
    assert {name: one.data for name, one in found.files.items()} == FILES and not told(found)
