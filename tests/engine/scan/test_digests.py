"""Digests of attachments in the evidence, for definitions that come later (DEF-12)."""

import hashlib
from email.message import EmailMessage

import pytest

from engine.config import Settings, Updates
from engine.policy.evidence import File
from engine.scan import digests
from engine.scan.service import examine
from tests.engine.scan.material import Matcher

FILES = {"one.bin": b"content of one", "two.txt": b"another content", "three.bin": b"\0\1\2"}


def files(settings: Settings) -> dict[str, File]:
    message = EmailMessage()
    message["Subject"] = "files"
    message.set_content("a body without a name")
    for name, content in FILES.items():
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return {file.name: file for file in examine(message.as_bytes(), Matcher(), settings).evidence.files}


def test_attachments_have_their_digest_if_that_is_asked_for() -> None:
    """DEF-12"""
    found = files(Settings())
    assert {name: file.sha256 for name, file in found.items()} == {
        name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()
    }
    off = files(Settings(updates=Updates(digest_days=0)))
    assert [file.sha256 for file in off.values()] == ["", "", ""]


def test_no_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(FILES) <= digests.COUNT
    monkeypatch.setattr(digests, "COUNT", len(FILES) - 1)
    assert [bool(file.sha256) for file in files(Settings()).values()] == [True, True, False]
