"""Encrypted OpenDocument packages, with and without their password."""

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.config import ContainerLimits
from engine.scan.formats import odf_crypt
from engine.scan.formats.item import Opened
from engine.scan.keyring import Keyring
from engine.scan.walk import Walker
from tests.engine.scan.formats.rooms import Found, Room
from tests.engine.scan.material import EICAR, VIRUS, Clock, Matcher
from tests.oracles.odf_crypt import data, package

FILES: Final = {"content.xml": b"<words/>" * 3000, "Object 1/e.bin": EICAR, "meta.xml": b"<more/>"}
FORMS: Final[dict[str, dict[str, Any]]] = {"AES": {}, "AES, SHA-1": {"start": "sha1"}, "Blowfish": {"old": True}}
CLOSED: Final = [("encrypted", "opendocument")]


def opened(whole: bytes, *words: str, octets: int = 1 << 26) -> Found:
    room = Room(octets)
    room.keyring = Keyring(words)
    return Found(odf_crypt.members, whole, room)


def told(found: Found) -> bool:
    return any(isinstance(one, Opened) for one in found.items)


@pytest.mark.parametrize("form", FORMS)
def test_a_password(form: str) -> None:
    """ENC-01, ENC-07: one that fits opens it; without it the document is encrypted, as ever."""
    whole = package(FILES, "Secret7ä", **FORMS[form])
    found = opened(whole, "wrong", "Secret7ä")
    assert {name.removesuffix("/decrypted"): one.data for name, one in found.files.items()} == FILES
    assert told(found) and not found.gaps
    for closed in (opened(whole), opened(whole, "secret7ä")):
        assert closed.gaps == CLOSED and not closed.files and not told(closed)


def test_in_a_walk() -> None:
    """ENC-01: what is inside is matched; the document still counts as encrypted."""
    whole = package(FILES, "Secret7")
    for words, names in ((("Secret7",), [VIRUS]), ((), [])):
        walk = Walker(Matcher(), ContainerLimits(), passwords=words, clock=Clock()).walk_file(whole, "a.odt")
        assert [one.name for one in walk.facts.matches] == names and walk.root.encrypted
        assert bool(walk.facts.unscanned) is (not words)


def test_what_is_not_all_opened_is_not_examined() -> None:
    """ENC-07: other passwords, files that are not there, methods that are not known, two keys of one file."""
    assert opened(package(FILES, "x", others={"meta.xml": "y"}), "x", "y").gaps == CLOSED
    for more in (
        '<m:file-entry m:full-path="gone.xml">' + data(bytes(32), 10, False) + "</m:file-entry>",
        '<m:file-entry m:full-path="meta.xml">' + data(bytes(32), 10, False) + "</m:file-entry>",
        '<m:file-entry m:full-path="a"><m:encryption-data m:checksum="" m:checksum-type="SHA9"/></m:file-entry>',
        "<m:encryption-data><m:encryption-data/></m:encryption-data>",
    ):
        found = opened(package(FILES, "x", more=more), "x")
        assert found.gaps == CLOSED and len(found.files) == len(FILES)
    for more in ("<", "<!DOCTYPE a>"):
        found = opened(package(FILES, "x", more=more), "x")
        assert found.gaps == CLOSED and not found.files


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """limits.PASSWORD_ROUNDS and odf_crypt.MANIFEST_LEN by one."""
    monkeypatch.setattr(limits, "PASSWORD_ROUNDS", 10)
    for rounds, opens in ((10, True), (11, False)):
        assert told(opened(package(FILES, "x", rounds=rounds), "x")) is opens
    whole = package({"a": b"words"}, "x")
    begin, end = whole.index(b"<?xml"), whole.index(b"</m:manifest>") + len("</m:manifest>")
    for length, opens in ((end - begin, True), (end - begin - 1, False)):
        monkeypatch.setattr(odf_crypt, "MANIFEST_LEN", length)
        assert told(opened(whole, "x")) is opens


@given(st.binary(max_size=3000), st.sampled_from(sorted(FORMS)))
def test_what_was_put_in_comes_out(octets: bytes, form: str) -> None:
    found = opened(package({"a": octets}, "x", **FORMS[form]), "x")
    assert found.files["a/decrypted"].data == octets and not found.gaps


@given(st.binary(max_size=60), st.integers(0, 900))
def test_damage_raises_nothing(junk: bytes, at: int) -> None:
    whole = package({"a": b"words"}, "x")
    opened(whole[:at] + junk + whole[at + len(junk) :], "x")
    begin, end = whole.index(b"<?xml"), whole.index(b"</m:manifest>") + len("</m:manifest>")
    xml = whole[begin:end]
    for seal in odf_crypt.read(xml[:at] + junk + xml[at + len(junk) :])[0]:
        if seal.rounds <= 100:
            seal.opens("x", bytes(32))
