"""Encrypted Office packages, with and without their password."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.scan.formats import office_crypt, office_locked, ole
from engine.scan.formats.item import Opened
from engine.scan.keyring import Keyring
from tests.engine.scan.formats.compound import compound
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR, walk_file, zipped
from tests.oracles.office_crypt import agile, standard

PACKAGE = zipped({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<w/>" * 3000, "word/a.bin": EICAR})
FORMS = {
    "agile": agile(PACKAGE, "Secret7"),
    "agile, SHA-1, 128 bits": agile(PACKAGE, "Secret7", 3, 128, "SHA1"),
    "agile, SHA-384, 192 bits": agile(PACKAGE, "Secret7", 3, 192, "SHA384"),
    "standard": standard(PACKAGE, "Secret7"),
}


def opened(streams: dict[str, bytes], *words: str, octets: int = 1 << 26) -> Found:
    room = Room(octets)
    room.keyring = Keyring(words)
    return Found(ole.members, compound({**streams}), room)


@pytest.mark.parametrize("form", FORMS)
def test_a_password(form: str) -> None:
    """ENC-01, ENC-07: one that fits opens it; without it the document is encrypted, as ever."""
    found = opened(FORMS[form], "wrong", "Secret7")
    assert found.files["document"].data == PACKAGE
    assert found.files["document"].complete and not found.gaps
    assert any(isinstance(one, Opened) for one in found.items)
    for closed in (opened(FORMS[form]), opened(FORMS[form], "secret7")):
        assert closed.gaps == [("encrypted", "office-package")] and "document" not in closed.files


def test_what_excel_opens_without_asking() -> None:
    """ENC-07: so do we, whatever the settings say; and nobody needs a password, so it is not encrypted."""
    data = compound({**agile(PACKAGE, office_locked.UNASKED[0])})
    walk = walk_file(data, "a.xlsx")
    assert [one.part.rpartition("/")[2] for one in walk.facts.matches] == ["a.bin"]
    assert not walk.root.encrypted and not walk.facts.unscanned
    assert "office-encrypted-without-password" in {one.kind for one in walk.facts.findings}


def test_a_package_is_cut_at_the_room() -> None:
    for streams in (FORMS["agile"], FORMS["standard"]):
        found = opened(streams, "Secret7", octets=200).files["document"]
        assert found.data == PACKAGE[: len(found.data)] and len(found.data) <= 200 and found.over


def test_rounds_are_bounded() -> None:
    """A file that asks for more is not tried: one try would take as long as it says."""
    info = agile(b"", "x", 1)["EncryptionInfo"]
    most = info.replace(b'spinCount="1"', b'spinCount="%d"' % limits.PASSWORD_ROUNDS)
    assert office_crypt.read(most) is not None
    assert office_crypt.read(info.replace(b'spinCount="1"', b'spinCount="%d"' % (limits.PASSWORD_ROUNDS + 1))) is None


def test_how_much_is_read_of_what_tells_the_key() -> None:
    """office_crypt.INFO_LEN by one."""
    info = agile(b"", "x", 1)["EncryptionInfo"]
    head, mark, rest = info.partition(b"<encryption>")
    spare = office_crypt.INFO_LEN - len(info)
    assert office_crypt.read(head + b" " * spare + mark + rest) is not None
    assert office_crypt.read(head + b" " * (spare + 1) + mark + rest) is None


def test_time_is_looked_at_while_it_hashes() -> None:
    room = Room()
    room.keyring = Keyring(["x"], time.monotonic)
    list(ole.members(compound({**FORMS["standard"]}), room))
    assert room.looks > 10


@given(st.binary(max_size=200), st.sampled_from(sorted(FORMS)), st.integers(0, 400))
def test_damage_raises_nothing(junk: bytes, form: str, at: int) -> None:
    info = FORMS[form]["EncryptionInfo"]
    for hostile in (junk, info[:at] + junk + info[at + len(junk) :], info[:at]):
        lock = office_crypt.read(hostile)
        if isinstance(lock, office_crypt.Agile) and lock.rounds <= 10:
            lock.opens("x", lambda: None)
    key = office_crypt.Key(b"k" * 16)
    assert len(key.package(junk, lambda: None)[0]) <= len(junk)


# --- what says one thing to one program and another to the next -----------------------------------------

UNASKED = office_locked.UNASKED[0]
CLOSED = ("encrypted", "office-package")


def _told(old: bytes, new: bytes, package: bytes = PACKAGE) -> Found:
    streams = agile(package, UNASKED)
    assert old in streams["EncryptionInfo"]
    return opened(streams | {"EncryptionInfo": streams["EncryptionInfo"].replace(old, new, 1)})


def test_what_tells_the_key_is_read_as_xml() -> None:
    """ENC-07, AV-02: programs do not see what stands in a comment, or an attribute of somebody else's."""
    assert _told(b"<keyData", b"<!-- <keyData saltValue='AAAA'/> --><keyData").files["document"].data == PACKAGE
    assert _told(b"<keyData", b"<keyData x:saltValue='AAAA' x:hashAlgorithm='SHA1'").files["document"].data == PACKAGE
    for twice in (b"<x:keyData/><keyData", b"<encryptedKey/><keyData", b"<b><keyData"):
        assert _told(b"<keyData", twice).gaps == [CLOSED]
    assert _told(b"<encryption>", b"<!DOCTYPE a><encryption>").gaps == [CLOSED]


def test_a_key_that_gives_no_package() -> None:
    """ENC-07, AV-02: it is another one that programs decrypt it with; what this one gives was not examined."""
    for old, new in ((b'keyBits="256"', b'keyBits="128"'), (b'saltValue="AAEC', b'saltValue="AAED')):
        found = _told(old, new)
        assert [cause for cause, _ in found.gaps] == ["encrypted"] and "document" not in found.files


@pytest.mark.parametrize("form", ["agile", "standard"])
@pytest.mark.parametrize("size", [0, 100, len(PACKAGE) - 16])
def test_a_size_that_is_too_small(form: str, size: int) -> None:
    """AV-02: some programs go by it, others read on."""
    streams = (agile if form == "agile" else standard)(PACKAGE, UNASKED)
    packed = size.to_bytes(8, "little") + streams["EncryptedPackage"][8:]
    found = opened(streams | {"EncryptedPackage": packed})
    assert found.files["document"].data == PACKAGE[:size]
    assert found.files["document with what is behind it"].data.startswith(PACKAGE)


def test_a_size_that_is_too_large() -> None:
    streams = agile(PACKAGE, UNASKED)
    found = opened(streams | {"EncryptedPackage": b"\xff" * 8 + streams["EncryptedPackage"][8:]})
    assert found.files["document"].data.startswith(PACKAGE)


@pytest.mark.parametrize("name", ["ENCRYPTEDPACKAGE", "encryptedpackage", "EncryptedPac\u212aage"])
def test_names_are_compared_as_programs_do(name: str) -> None:
    """ENC-07: by letters without their case; what one of another case holds was taken for a plain stream."""
    streams = agile(PACKAGE, UNASKED)
    renamed = {"ENCRYPTIONINFO": streams["EncryptionInfo"], name: streams["EncryptedPackage"]}
    assert opened(renamed).files["document"].data == PACKAGE
    assert opened({"WORDDOCUMENT": b"\xec\xa5" + bytes(8) + b"\0\1" + bytes(600)}).gaps == [("encrypted", "word")]


def test_two_streams_of_one_name() -> None:
    """ENC-07: programs take either."""
    streams = agile(PACKAGE, UNASKED)
    found = opened(streams | {"encryptedPACKAGE": agile(b"PK harmless", UNASKED)["EncryptedPackage"]})
    assert found.gaps == [("encrypted", "office-package: two streams of one name")] and "document" not in found.files
