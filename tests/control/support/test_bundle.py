"""The support bundle of an installation with secrets planted everywhere (ACC, DIAG-02)."""

import io
import json
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.access import AccessDatabase
from control.accounts import set_password
from control.support import bundle, journal, parts, write
from engine import config, events
from engine.certificate import FILE_NAME, server_context
from engine.diagnostics import files
from engine.journal import JournalWriter
from engine.layout import Layout
from engine.policy.evidence import Evidence, Header
from engine.queue import framing
from engine.queue.disk import Disk
from engine.queue.files import MessageFiles
from engine.queue.record import Received, Recipient

SECRET = "planted-secret"
PASSWORD = "correct horse planted-secret battery"
PERSON = "alice.planted"
MAILWARD = [sys.executable, "-m", "control.cli"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("installation") / "root"
    layout = Layout(root)
    layout.make()
    settings = config.Settings(
        notifications=config.Notifications(administrators=(f"{PERSON}@example.com",)),
        outbreak=config.Outbreak(text=f"call {SECRET}"),
        smtp=config.Smtp(hostname="gw.example.com"),
        routing=config.Routing(default_host="10.9.8.7"),
    )
    config.save(settings, layout.config)
    with layout.config.open("a") as file:
        file.write(f"# {SECRET}\n")
    set_password(root, "admin", PASSWORD)
    server_context(layout.tls, "gw.example.com")
    writer = JournalWriter(layout.journal, "relay-0")
    for event in (
        events.ServiceStarted(version="1"),
        events.Accepted(
            smtp_id="0123456789ABC", reverse_path=f"{PERSON}@example.net", forward_paths=(f"bob.{PERSON}@example.com",),
            size=5, client="192.0.2.7", connection_id="c", subject=SECRET,
        ),
        events.Scanned(
            smtp_id="0123456789ABC", verdict="clean", subject=SECRET,
            evidence=Evidence(header=Header(subject=SECRET, senders=(f"{PERSON}@example.net",))),
        ),
        events.ProtocolViolation(client="192.0.2.7", connection_id="c", violation=f"500 not known: {SECRET}"),
        events.Logon(result="Failed", user=PERSON, client="192.0.2.8"),
        events.DeliveryDeferred(
            smtp_id="0123456789ABC", forward_path=f"{PERSON}@example.com", reason=f"450 4.2.0 {SECRET}"
        ),
        events.ScannerCrashed(smtp_id="0123456789ABC", count=1, reason="signal 9"),
    ):  # fmt: skip
        writer.write(event)
    writer.close()
    received = Received(
        "0123456789ABC", 1, "c", "192.0.2.7", 1, "h", "ESMTP", "", f"{PERSON}@example.net",
        (Recipient(f"{PERSON}@example.com"),),
    )  # fmt: skip
    waiting = MessageFiles(layout.queue, Disk())
    waiting.prepare()

    waiting.write("hold", received.id, framing.encode(received), [f"Subject: {SECRET}\r\n".encode()], [])
    layout.diagnostics.mkdir()
    for kind, suffix in (("inbound", "log"), ("queue", "eml")):
        name = files.name_of("20261122T153353Z", kind, "0123456789abc", "192.0.2.7", suffix)
        (layout.diagnostics / name).write_text(SECRET)
    return root


def made(root: Path) -> dict[str, bytes]:
    file = io.BytesIO()
    sizes = write(parts(root), file, now=0)
    file.seek(0)
    with tarfile.open(fileobj=file) as archive:
        members = {
            entry.name.removeprefix("mailward-support-19700101T000000Z/"): entry for entry in archive.getmembers()
        }
        found = {}
        for name, entry in members.items():
            content = archive.extractfile(entry)
            assert content is not None and entry.isreg()
            found[name] = content.read()
    assert {name: len(content) for name, content in found.items()} == sizes
    return found


def secrets(root: Path) -> Iterator[bytes]:
    """Everything that must not be in it."""
    yield from (SECRET.encode(), PERSON.encode(), b"alice", b"planted-", PASSWORD.encode())
    database = AccessDatabase(root)
    with database.transaction() as connection:
        hashes = [row[0] for row in connection.execute("SELECT hash FROM account WHERE hash IS NOT NULL")]
    database.close()
    assert hashes
    yield from (one.encode() for one in hashes if one)
    yield b"$argon2"
    key = (Layout(root).tls / FILE_NAME).read_bytes()
    yield from (line for line in key.splitlines() if len(line) > 40)
    yield b"PRIVATE KEY"


def test_nothing_of_people_mail_and_keys_is_in_it(root: Path) -> None:
    """DIAG-02: what is kept for technicians is not sent to them by this way."""
    found = made(root)
    whole = b"\n".join(found.values())
    lower = whole.lower()
    for secret in secrets(root):
        assert secret.lower() not in lower, secret
    assert b"~" in found["journal.jsonl"]


def test_what_it_tells(root: Path) -> None:
    found = made(root)
    assert list(found) == [part.name for part in parts(root)]
    assert not [name for name, content in found.items() if b"cannot be made" in content]
    assert b'smtp.hostname = "gw.example.com"' in found["settings.txt"]
    assert b'routing.default_host = "10.9.8.7"' in found["settings.txt"]
    told = [json.loads(line) for line in found["journal.jsonl"].splitlines()]
    assert [event["event"] for event in told][:2] == ["service-started", "accepted"]
    assert told[1]["client"] == "192.0.2.7" and told[1]["reverse_path"].endswith("@example.net")
    trouble = [json.loads(line)["event"] for line in found["trouble.jsonl"].splitlines()]
    assert trouble == ["service-started", "scanner-crashed"]
    queues = json.loads(found["queues.json"])
    assert queues["places"]["hold"]["messages"] == 1 and queues["messages"] == 1
    system = json.loads(found["system.json"])
    assert system["processors"] and system["disks"][str(root)]["free"] and system["memory_kb"]["MemTotal"]
    assert json.loads(found["versions.json"])["packages"]["msgspec"]
    about = json.loads(found["files.json"])
    assert len(about["certificates"]) == 1 and len(about["diagnostics"]) == 2


def test_broken_things_are_told_in_their_place(tmp_path: Path) -> None:
    """It is asked for when something is broken."""
    layout = Layout(tmp_path)
    found = made(tmp_path)
    assert b"cannot be" in found["files.json"] or json.loads(found["files.json"])["journal"] == []
    layout.make()
    layout.config.write_text(f"[smtp]\nhostname = '{SECRET} and'\nport = 3\n")
    found = made(tmp_path)
    assert b"smtp.port, line 3" in found["settings.txt"] and SECRET.encode() not in found["settings.txt"]
    layout.queue.rmdir()
    layout.queue.write_text("no directory")
    assert b"This part cannot be made" in made(tmp_path)["queues.json"]


def test_parts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "PART_LEN", 100)
    for length, expected in ((100, b"x" * 99 + b"\n"), (101, b"(cut: the beginning is left out)\n")):
        part = bundle.Part("x", "", lambda length=length: b"x" * (length - 1) + b"\n")  # type: ignore[misc]
        assert bundle._bounded(part) == expected


def test_the_newest_events_of_all_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Across days, processes and pieces that are read; what is no event is passed over; the reading is bounded."""
    for number in range(60):
        path = tmp_path / f"relay-{number % 2}-2026-11-{20 + number // 30}.jsonl"
        with path.open("a") as file:
            file.write(
                json.dumps({"event": "low-disk" if number % 10 == 0 else "other", "time": f"{number:03}"}) + "\n"
            )
    with path.open("a") as file:
        file.write('no event\n[1]\n{"event": 3}\n{"event": "torn')
    for length in (50, 1 << 20):
        monkeypatch.setattr(journal, "PIECE_LEN", length)
        assert [event["time"] for event in journal.newest(tmp_path, 25)] == [f"{number:03}" for number in range(35, 60)]
        low = journal.newest(tmp_path, 4, frozenset(["low-disk"]))
        assert [event["time"] for event in low] == ["020", "030", "040", "050"]
        assert len(journal.newest(tmp_path, 1000)) == 60
    monkeypatch.setattr(journal, "LOOKED_AT_LEN", 2000)
    assert 0 < len(journal.newest(tmp_path, 1000)) < 60
    monkeypatch.setattr(journal, "PIECE_LEN", 50)
    assert 0 < len(journal.newest(tmp_path, 1000)) < 60


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MAILWARD, "support", "bundle", *arguments], capture_output=True, text=True)


def test_command(root: Path, tmp_path: Path) -> None:
    """It says what is in the bundle before it makes it, writes for its caller only, and overwrites nothing."""
    listed = run(f"--root={root}", "--list")
    assert [line.split()[0] for line in listed.stdout.splitlines()] == [part.name for part in parts(root)]
    target = tmp_path / "b.tar.gz"
    first = run(f"--root={root}", "-o", str(target))
    assert first.returncode == 0 and first.stdout.startswith(listed.stdout)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with tarfile.open(target) as archive:
        assert len(archive.getnames()) == len(parts(root))
    again = run(f"--root={root}", "-o", str(target))
    assert again.returncode == 1 and "is there already" in again.stderr
    nowhere = run(f"--root={root}", "-o", str(tmp_path / "no" / "b"))
    assert nowhere.returncode == 1 and "cannot be written: No such file" in nowhere.stderr
