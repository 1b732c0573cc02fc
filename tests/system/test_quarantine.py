"""Infected files are put aside as they came, on a running gateway, and mail never suffers for it (QRN)."""

import hashlib
import os
import signal
from typing import Any

import pytest

from control.samples import EICAR
from engine.limits import MIB
from engine.quarantine.folder import Folder
from tests.engine.scan.material import message, nested, zipped
from tests.system.harness import Gateway, Mailbox, until

FILE = EICAR + b"\r\n"  # the test file may have white space behind it


def folder(gateway: Gateway) -> Folder:
    return Folder(gateway.root / "quarantine")


def emptied(gateway: Gateway) -> Folder:
    found = folder(gateway)
    for entry in found.entries():
        found.delete(entry)
    return found


@pytest.fixture
def keeping(running: tuple[Gateway, Mailbox]) -> tuple[Gateway, Mailbox]:
    """Everything infected is put aside."""
    gateway, mailbox = running
    gateway.apply(antivirus={"enabled": True, "detected": "repair"}, quarantine={"what": "all"})
    emptied(gateway)
    return gateway, mailbox


def test_the_original_is_kept_and_the_mail_goes_on(keeping: tuple[Gateway, Mailbox]) -> None:
    """QRN-03, QRN-10, QRN-12, AV-11, RBLK-04: in an archive in a nested message; nothing of it is readable on disk."""
    gateway, mailbox = keeping
    inner = message("words\n", [("order.zip", zipped({"good.txt": b"harmless", "bad.com": FILE}))])
    gateway.send(nested(inner))
    [mail] = mailbox.wait(1)
    assert EICAR not in mail.content
    [event] = gateway.wait_event("file-quarantined")
    found = folder(gateway)
    [entry] = found.entries()
    item = found.item(entry)
    assert item is not None
    content = b"".join(found.content(entry)[1])
    assert content == FILE and item.sha256 == hashlib.sha256(FILE).hexdigest() == event["sha256"]
    assert (item.id, item.size, item.fate) == (event["item"], event["size"], "deleted")
    assert (event["file"], event["part"]) == ("bad.com", item.part) and item.part.endswith("order.zip/bad.com")
    assert item.viruses and item.viruses[0] in event["virus"] and item.revision
    assert (item.sender, item.recipients) == ("sender@example.net", ("user@example.com",))
    assert item.smtp_id == event["smtp_id"] == gateway.wait_event("accepted")[-1]["smtp_id"]
    for path in (gateway.root / "quarantine").rglob("*"):
        octets = path.read_bytes()
        assert EICAR not in octets and b"bad.com" not in octets and EICAR[::-1] not in octets
        assert path.stat().st_mode & 0o077 == 0


def test_each_infected_file_is_one(keeping: tuple[Gateway, Mailbox]) -> None:
    """AV-11, QRN-10: counted by file, not by message."""
    gateway, mailbox = keeping
    gateway.send(message("t\n", [("a.com", FILE), ("b.zip", zipped({"c.com": FILE, "d.com": FILE}))]))
    mailbox.wait(1)
    events = gateway.wait_event("file-quarantined", 3)
    assert sorted(event["file"] for event in events) == ["a.com", "c.com", "d.com"]
    assert len(folder(gateway).entries()) == 3


def test_nothing_is_kept_unless_it_is_wanted(keeping: tuple[Gateway, Mailbox]) -> None:
    """QRN-01, QRN-02, QRN-11: nothing by default; unrepaired needs that viruses are repaired; the file is deleted."""
    gateway, mailbox = keeping
    infected = message("t\n", [("a.com", FILE)])
    gateway.apply(quarantine={"what": "nothing"})
    gateway.send(infected)
    [mail] = mailbox.wait(1)
    assert EICAR not in mail.content and folder(gateway).entries() == []
    gateway.apply(quarantine={"what": "unrepaired"}, antivirus={"detected": "delete"})
    gateway.send(infected)
    mailbox.wait(2)
    assert folder(gateway).entries() == []
    gateway.apply(antivirus={"detected": "repair"})
    gateway.send(infected)
    mailbox.wait(3)
    gateway.wait_event("file-quarantined")
    assert len(folder(gateway).entries()) == 1
    gateway.apply(quarantine={"what": "all"})


def test_a_full_quarantine_does_not_stop_mail(keeping: tuple[Gateway, Mailbox]) -> None:
    """QRN-05: the bound holds, what is there stays, somebody is told, and mail goes on."""
    gateway, mailbox = keeping
    gateway.send(message("t\n", [("one.com", FILE)]))
    gateway.wait_event("file-quarantined")
    [kept] = folder(gateway).entries()
    filler = gateway.root / "quarantine" / f"{kept.smtp_id}-{'f' * 32}.item"
    with filler.open("wb") as file:
        file.truncate(16 * MIB - kept.length - 1)
    gateway.apply(quarantine={"max_mb": 16})
    gateway.send(message("t\n", [("two.com", FILE)]))
    assert all(EICAR not in mail.content for mail in mailbox.wait(2))
    [event] = gateway.wait_event("quarantine-failed")
    assert "full" in event["reason"] and event["smtp_id"] == gateway.wait_event("accepted", 2)[-1]["smtp_id"]
    assert len(folder(gateway).entries()) == 2 and len(gateway.events_so_far("file-quarantined")) == 1
    filler.unlink()
    gateway.send(message("t\n", [("three.com", FILE)]))
    gateway.wait_event("file-quarantined", 2)
    gateway.apply(quarantine={"max_mb": 1024})


def test_killed_relays_and_scanners_lose_nothing(keeping: tuple[Gateway, Mailbox]) -> None:
    """QRN-05, QRN-12, PROC-03: every message arrives clean, and every original is in the quarantine."""
    gateway, mailbox = keeping
    count = 24
    for number in range(count):
        gateway.send(message(f"number {number}\n", [(f"n{number}.zip", zipped({f"f{number}.com": FILE}))]))
        if number % 6 == 5:
            module = "engine.relay" if number % 12 == 5 else "engine.scanner.worker"
            victims = until(lambda module=module: gateway.pids(module), f"a {module} runs")  # type: ignore[misc]
            os.kill(victims[0], signal.SIGKILL)
            until(lambda: gateway.pids("engine.relay"), "the relay runs again")
            until(lambda: _answers(gateway), "mail is taken again")
    arrived = until(lambda: mailbox.mail() if len(mailbox.mail()) >= count else [], "all mail")
    assert all(EICAR not in one.content for one in arrived)
    found = folder(gateway)

    def names() -> set[str]:
        return {item.name for entry in found.entries() if (item := found.item(entry)) is not None}

    until(lambda: names() == {f"f{number}.com" for number in range(count)}, "every original")  # some mail came twice
    until(lambda: not list(gateway.queued()), "the queue is empty")
    assert not list((gateway.root / "quarantine").glob("*.new"))


def _answers(gateway: Gateway) -> Any:
    try:
        with gateway.client() as smtp:
            return smtp.noop()[0] == 250
    except OSError:
        return False
