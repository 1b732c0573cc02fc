"""Diagnostics of a running gateway: switched on by its settings, seen in files, no trouble for mail (DIAG-01..13)."""

import base64
import io
import re
import smtplib
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from control import support
from engine.diagnostics import files
from engine.diagnostics.files import DiagnosticFile
from engine.layout import Layout
from tests.system.harness import Gateway, Mailbox, until

MAIL = b"Subject: between us\r\n\r\nhello\r\n"
OFF = {"save_queue_files": "disable", "inbound": {}, "outbound": {}}
ALL = {"level": "all", "data": "summarize"}
Running = tuple[Gateway, Mailbox]


@pytest.fixture
def kept(running: Running) -> Path:
    """DiagDir, empty."""
    directory = Layout(running[0].root).diagnostics
    for file in files.listing(directory):
        files.delete(directory, file.name)
    return directory


def wait_files(directory: Path, count: int) -> list[DiagnosticFile]:
    """Oldest first."""
    found = until(lambda: found if len(found := files.listing(directory)) >= count else [], f"{count} files")
    return found[::-1]


def read(directory: Path, file: DiagnosticFile) -> str:
    with files.open_file(directory, file.name) as content:
        return content.read().decode()


def test_both_directions_of_one_message(running: Running, kept: Path) -> None:
    """DIAG-03, DIAG-04, DIAG-09, DIAG-10, DIAG-11, DIR-05: the message goes in by one log and out by another."""
    gateway, mailbox = running
    assert not kept.exists() or not files.listing(kept), "off by default"
    gateway.apply(diagnostics=OFF | {"inbound": ALL, "outbound": ALL})
    gateway.send(MAIL)
    mailbox.wait(1)
    found = {file.kind: file for file in wait_files(kept, 2)}
    (connected,) = [one for one in gateway.wait_event("connection-from") if one["connection_id"] == found["inbound"].id]
    assert connected["client"] == found["inbound"].subject == "127.0.0.1"
    assert found["outbound"].id in {one["connection_id"] for one in gateway.wait_event("connected-to")}
    inside, outside = read(kept, found["inbound"]), read(kept, found["outbound"])
    assert re.search(r"C: data\n.*S: 354 .*\n.*-- data: 4 lines, \d+ octets\n.*S: 250 2.0.0 ok, queued as ", inside)
    (accepted,) = gateway.wait_event("accepted")
    assert f"-- message {accepted['smtp_id']}\n" in outside and "-- data: " in outside
    assert "between us" not in inside + outside
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700 and kept == gateway.root / "queue" / "diagnosticfiles"
    gateway.apply(diagnostics=OFF)
    gateway.send(MAIL)
    mailbox.wait(2)
    gateway.wait_event("disconnected", 2)
    assert len(files.listing(kept)) == 2, "off again"


def test_errors_only(running: Running, kept: Path) -> None:
    """DIAG-04, DIAG-08, DIAG-13, SMTP-13: of many connections the one with the error is kept."""
    gateway, _ = running
    gateway.apply(diagnostics=OFF | {"inbound": {"level": "on-error", "errors": "unsupported"}})
    for command in ("NOOP", "TURN", "RCPT TO:<a@example.com>"):
        with gateway.client() as smtp:
            assert smtp.docmd(command)[0] in (250, 502, 503)
    gateway.wait_event("disconnected", 3)
    (log,) = wait_files(kept, 1)
    assert "C: TURN\n" in read(kept, log) and "!! unsupported error" in read(kept, log)
    gateway.apply(diagnostics=OFF)


def test_a_message_that_cannot_be_examined_is_copied(running: Running, kept: Path) -> None:
    """DIAG-01: as it was received, and told apart from those that can."""
    gateway, mailbox = running
    gateway.apply(diagnostics=OFF | {"save_queue_files": "on-scan-error"}, antivirus={"unscanned": "deliver"})
    broken = io.BytesIO()
    with zipfile.ZipFile(broken, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", "x" * 1000)
    octets = bytearray(broken.getvalue())
    octets[40:48] = b"\xff" * 8
    content = (
        b"Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(octets).replace(b"\n", b"\r\n")
    )
    gateway.send(MAIL)
    gateway.send(content)
    mailbox.wait(2)
    copy, envelope = sorted(wait_files(kept, 2), key=lambda file: file.suffix)
    (error,) = gateway.wait_event("scan-error")
    assert copy.id == envelope.id == error["smtp_id"]
    with files.open_file(kept, copy.name) as file:
        assert file.read() == content
    assert '"scan-error"' in read(kept, envelope)
    gateway.apply(diagnostics=OFF, antivirus={"unscanned": "hold"})


def test_what_cannot_be_written_is_told_and_mail_flows(running: Running, kept: Path) -> None:
    """DIAG-02, ALR-10."""
    gateway, mailbox = running
    aside = kept.with_name("aside")
    if kept.exists():
        kept.rename(aside)
    kept.write_text("in the way")
    gateway.apply(diagnostics=OFF | {"inbound": ALL, "outbound": ALL, "save_queue_files": "all"})
    for _ in range(3):
        gateway.send(MAIL)
    mailbox.wait(3)
    (told,) = gateway.wait_event("file-access-error")
    assert told["path"] == str(kept)
    kept.unlink()
    gateway.send(MAIL)
    wait_files(kept, 4)
    gateway.apply(diagnostics=OFF)


def test_secrets_of_authentication_are_nowhere(running: Running, kept: Path) -> None:
    """DIAG-12: neither in the log nor in the journal nor in the support bundle."""
    gateway, _ = running
    gateway.apply(diagnostics=OFF | {"inbound": {"level": "all", "data": "echo"}})
    secret = "AGpvaG4AaHVudGVyMg=="
    with gateway.client() as smtp:
        smtp.ehlo()
        assert smtp.docmd("AUTH", f"PLAIN {secret}")[0] == 502
        assert smtp.docmd("AUTH", "LOGIN")[0] == 502
        assert smtp.docmd(secret)[0] == 500
    gateway.wait_event("disconnected")
    (log,) = wait_files(kept, 1)
    assert "C: AUTH PLAIN ****\n" in read(kept, log) and secret not in read(kept, log)
    journal = "".join(path.read_text() for path in Layout(gateway.root).journal.iterdir())
    assert secret not in journal and "AUTH PLAIN ****" in journal
    gateway.apply(diagnostics=OFF)


def test_a_support_bundle_of_a_gateway_that_runs(running: Running) -> None:
    gateway, mailbox = running
    gateway.send(MAIL, sender="carol.person@example.net")
    mailbox.wait(1)
    with pytest.raises(smtplib.SMTPServerDisconnected), gateway.client() as smtp:
        smtp.docmd("GET", "/carol.person")
        smtp.docmd("NOOP")
    gateway.wait_event("completed")
    file = io.BytesIO()
    support.write(support.parts(gateway.root), file)
    file.seek(0)
    parts = {}
    with tarfile.open(fileobj=file) as archive:
        for entry in archive.getmembers():
            content = archive.extractfile(entry)
            assert content is not None
            parts[entry.name.partition("/")[2]] = content.read()
    whole = b"\n".join(parts.values())
    assert b"cannot be made" not in whole
    assert b"carol" not in whole and b"between us" not in whole
    for module in (b'"engine.relay"', b'"engine.scanner.worker"', b'"control.serve"'):
        assert module in parts["system.json"]
    assert b'"completed"' in parts["journal.jsonl"] and b"@example.net" in parts["journal.jsonl"]
