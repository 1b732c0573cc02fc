"""Try a message: what policy would do to a file, a text, or mail that came here; it is taken apart in a sandbox."""

import re
import sys
from pathlib import Path

import msgspec
import pytest

from control.rehearsal import sandboxed
from engine import config
from engine.config import Settings
from engine.layout import Layout
from engine.queue.record import Disposition
from engine.scan.facts import Cause, Verdict
from signatures.compile import compile_sources, starter
from tests.control.filled import Form
from tests.control.harness import Browser, Gateway, Reply, wait_until

PATH = "/blocking/try"
EICAR = "X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
STRICT = """
[[routing.local]]
name = "example.com"
[blocking.size]
enabled = true
max_mb = 1
[blocking.subject]
enabled = true
lines = ["*lottery*"]
"""
MESSAGE = (
    "From: <b>evil</b> <a@example.net>\r\nTo: b@example.com\r\n"
    "Subject: lottery <script>alert(1)</script>\r\n\r\nhello\r\n"
)


@pytest.fixture(scope="module", autouse=True)
def definitions(gateway: Gateway) -> None:
    (Layout(gateway.root).definitions / "starter.mwd").write_bytes(compile_sources(starter()))
    Layout(gateway.root).config.write_text(STRICT)


@pytest.fixture
def admin(gateway: Gateway) -> Browser:
    wait_until(lambda: "example.com" in gateway.admin().get("/configuration/routing").text, "settings are read")
    return gateway.admin()


def tried(browser: Browser, **fields: str) -> Reply:
    return browser.request("POST", PATH, Form.of(browser, PATH).fields | fields)


def test_a_message_that_is_pasted_is_judged_rule_by_rule(gateway: Gateway, admin: Browser) -> None:
    """BLK-01, SUBJ-02: the entry that matched is named; a sender's words are text, not markup."""
    reply = tried(admin, pasted=MESSAGE, forward_paths="b@example.com")
    assert reply.status == 200
    assert "Verdict: drop" in reply.text and "*lottery*" in reply.text
    assert "&lt;script&gt;alert(1)" in reply.text and "<script>alert" not in reply.text
    assert not list((gateway.root / "queue").rglob("*.eml"))


def test_a_file_is_uploaded_and_scanned_in_a_sandbox(gateway: Gateway, admin: Browser) -> None:
    """An infected file may be tried: it never reaches the process of the pages as anything but octets."""
    form = Form.of(admin, PATH)
    boundary = "xYzZy"
    infected = MESSAGE.replace("lottery", "hello").replace("hello\r\n", f"{EICAR}\r\n")
    parts = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in form.fields.items()
        if name not in ("file", "")
    )
    parts += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.eml"\r\n'
        f"Content-Type: message/rfc822\r\n\r\n{infected}\r\n--{boundary}--\r\n"
    )
    reply = admin.request(
        "POST", PATH, body=parts.encode(), headers={"content-type": f"multipart/form-data; boundary={boundary}"}
    )
    assert reply.status == 200, reply.text
    assert re.search(r"<th scope=\"row\">Virus scan</th><td[^>]*>infected</td>", reply.text)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Choose a file with a message"),
        ({"pasted": "x", "client": "nobody"}, "is not an IP address"),
        ({"pasted": "x", "reverse_path": "two words"}, "is not a mail address"),
        ({"pasted": "x", "forward_paths": "b@example.com\r\nc"}, "is not a mail address"),
        ({"smtp_id": "nonsense"}, "NONSENSE"),
        ({"smtp_id": "<script>"}, "&lt;SCRIPT&gt;"),
    ],
)
def test_what_cannot_be_tried_is_told_in_words(
    gateway: Gateway, admin: Browser, fields: dict[str, str], words: str
) -> None:
    """UI-05."""
    reply = tried(admin, **fields)
    assert reply.status in (404, 422) and words in reply.text
    assert "<script>" not in reply.text


def test_mail_that_was_delivered_is_judged_by_what_the_journal_keeps(gateway: Gateway, admin: Browser) -> None:
    gateway.accept("1J0S016G4NL00", size=3 * 1024 * 1024)
    gateway.journal.flush()
    wait_until(lambda: "1J0S016G4NL00" in admin.get("/events").text, "the message is known")
    reply = tried(admin, smtp_id="1j0s016g4nl00")
    assert reply.status == 200, reply.text
    assert "Verdict: refused" in reply.text and "what the journal keeps" in reply.text


def test_programs_can_try_too(gateway: Gateway, admin: Browser) -> None:
    """HTTP-08."""
    headers = {"x-mailward-token": admin.token("/status"), "content-type": "application/json"}
    body = msgspec.json.encode({"message": MESSAGE.encode()})
    reply = admin.request("POST", "/api/v1/policy/try", body=body, headers=headers)
    assert reply.status == 200 and msgspec.json.decode(reply.text)["fate"] == "drop"


def test_what_makes_the_scanner_end_is_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SCAN-07, SCAN-09: never clean, and the page does not fail with it."""
    image = tmp_path / "starter.mwd"
    image.write_bytes(compile_sources(starter()))
    good = sandboxed.examined(MESSAGE.encode(), Settings(), image)
    assert good.facts.verdict is Verdict.CLEAN and good.disposition is Disposition.DELIVER
    monkeypatch.setattr(sys, "executable", "/bin/false")
    ended = sandboxed.examined(MESSAGE.encode(), Settings(), image)
    assert [one.cause for one in ended.facts.unscanned] == [Cause.ENGINE]
    assert ended.disposition is Disposition.HOLD
    assert Settings().antivirus.unscanned == config.UnscannedAction.HOLD
