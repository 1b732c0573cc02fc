"""What people do to queued messages (`mailward queue`), on real gateways with two relays, and on one that is down."""

import os
import stat
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from engine.command import IDS
from engine.ids import IdMaker
from engine.queue import framing
from engine.queue.disk import Disk
from engine.queue.files import MessageFiles
from engine.queue.record import Moved, Received, Recipient
from engine.queue.state import SLOW
from tests.system.harness import MAILWARD, Gateway, Mailbox, until
from tests.system.test_way import untraced, with_attachment

CLOSED = with_attachment(b"7z\xbc\xaf\x27\x1c" + bytes(64), "closed.7z")  # nobody can examine it, so it is held
HOUR_NS = 3600 * 10**9


@pytest.fixture
def holding(gateway: Gateway) -> Gateway:
    """Three held messages of two relays' gateway."""
    gateway.configure(processes={"relays": 2})
    gateway.start()
    for number in range(3):
        gateway.send(CLOSED, [f"u{number}@example.com"], f"s{number}@example.net")
    until(lambda: places(gateway) == {f"s{number}@example.net": "hold" for number in range(3)}, "all are held")
    return gateway


def places(gateway: Gateway) -> dict[str, str]:
    return {line["reverse_path"]: line["queue"] for line in gateway.queued() if line["reverse_path"]}


def id_of(gateway: Gateway, sender: str) -> str:
    return str(next(line["id"] for line in gateway.queued() if line["reverse_path"] == sender))


def done(answer: "subprocess.CompletedProcess[str]") -> tuple[str, int]:
    assert answer.returncode == 0, answer.stderr
    report = msgspec.json.decode(answer.stdout)
    return report["operation"], report["count"]


def scans(gateway: Gateway, smtp_id: str) -> int:
    paths = (gateway.root / "log" / "journal").glob("relay-*.jsonl")
    lines = [line for path in paths for line in path.read_text().splitlines()]
    return sum(smtp_id in line and '"scanned"' in line for line in lines)


def test_release_and_requeue(holding: Gateway, mailbox: Mailbox) -> None:
    """HOLD-01, HOLD-02: processed anew, or let go as it is; of all held ones at once, too."""
    first, second = id_of(holding, "s0@example.net"), id_of(holding, "s1@example.net")
    assert done(holding.queue("requeue", first, "--json")) == ("requeue", 1)
    until(lambda: scans(holding, first) == 2, "it is examined again")
    until(lambda: places(holding).get("s0@example.net") == "hold", "and held again")
    assert done(holding.queue("release", second, "--json")) == ("release", 1)
    (mail,) = mailbox.wait(1)
    assert untraced(mail.content) == CLOSED and mail.forward_paths == ["u1@example.com"]
    assert scans(holding, second) == 1, "not examined again"
    until(lambda: len(places(holding)) == 2, "gone")
    meant = holding.queue("release", "--from", "s*@example.net", "--dry-run", "--json")
    assert sorted(msgspec.json.decode(meant.stdout)["ids"]) == sorted(line["id"] for line in holding.queued())
    command = [*MAILWARD, "queue", "release", "--from=s", f"--root={holding.root}"]
    asked = subprocess.run(command, input="n\n", capture_output=True, text=True)
    assert asked.returncode == 1 and "release 2 messages? [y/N]" in asked.stderr
    assert set(places(holding).values()) == {"hold"}, "HOLD-06"
    assert done(holding.queue("release", "--from", "s*@example.net", "--yes", "--json")) == ("release", 2)
    mailbox.wait(3)
    until(lambda: not list(holding.queued()), "the queue is empty")


def test_what_cannot_be_done_is_said(holding: Gateway) -> None:
    smtp_id = id_of(holding, "s0@example.net")
    assert "in the hold queue already" in holding.queue("hold", smtp_id).stderr
    assert "name the messages to drop" in holding.queue("drop").stderr
    assert "either by ID, or by a filter" in holding.queue("drop", smtp_id, "--from", "x").stderr
    assert "not an SMTP ID" in holding.queue("drop", "../../etc").stderr
    missing = holding.queue("drop", smtp_id, "0" * 13, "--json")
    assert missing.returncode == 1
    report = msgspec.json.decode(missing.stdout)
    assert (report["count"], [one["id"] for one in report["failed"]]) == (1, ["0" * 13])
    assert list(places(holding)) == ["s1@example.net", "s2@example.net"]


def test_copies(holding: Gateway, mailbox: Mailbox) -> None:
    """HOLD-04, HOLD-05: with a warning, to one address, once for each time; the original stays."""
    smtp_id = id_of(holding, "s0@example.net")
    for wrong in (
        "",
        "nobody",
        "a@example.com,b@example.com",
        "<a@example.com>",
        "a@example.com\r\nBcc: b@example.com",
    ):
        assert "is not a mail address" in holding.queue("forward", smtp_id, "--to", wrong).stderr
    own = holding.queue("forward", smtp_id, "--to", "x@example.com", "--recipient", "u0@example.com")
    assert "either by ID, or by a filter" in own.stderr
    for count in (1, 2):
        assert done(
            holding.queue("forward", smtp_id, "--to", "boss@example.com", "--subject", "See\r\nX: this", "--json")
        ) == ("forward", 1)
        mail = mailbox.wait(count)[-1]
        assert mail.forward_paths == ["boss@example.com"] and mail.reverse_path == ""
        assert CLOSED in mail.content and b"Content-Type: message/rfc822" in mail.content
        assert b"wants you to have a copy" in mail.content and b"not scanned" in mail.content
        header = mail.content.partition(b"\r\n\r\n")[0]
        assert b"\r\nX:" not in header and b"Subject: See" in header
    assert places(holding)["s0@example.net"] == "hold"


def fill(gateway: Gateway, count: int) -> None:
    """Messages of three domains in the slow queue, due in an hour, as two relays left them."""

    class Careless(Disk):
        def fsync(self, fd: int) -> None: ...
        def sync_directory(self, path: Path) -> None: ...

    files = MessageFiles(gateway.root / "queue", Careless())
    files.prepare()
    makers = [IdMaker(number, time.time_ns) for number in range(2)]
    for number in range(count):
        smtp_id, now = makers[number % 2].next(), time.time_ns()
        recipients = (Recipient(f"u@d{number % 3}.example.com"),)
        received = Received(smtp_id, now, "", "192.0.2.9", 1, "h", "ESMTP", "", f"s{number}@example.net", recipients)
        moved = Moved(smtp_id, now, SLOW, "451 later", now + HOUR_NS, 1)
        files.write(SLOW, smtp_id, framing.encode(received), [b"Subject: s\r\n\r\nx\r\n"], [framing.encode(moved)])


def test_many_at_once(gateway: Gateway) -> None:
    """HOLD-03, PROC-06: more than a batch of either relay; the rest is flushed by its domain, then all of it."""
    gateway.configure(processes={"relays": 2}, delivery={"pause": True})
    fill(gateway, 3 * IDS)
    gateway.start()
    assert done(gateway.queue("drop", "--to", "*@d0.example.com", "--yes", "--json")) == ("drop", IDS)
    assert done(gateway.queue("hold", "--to", "*@d1.example.com", "--yes", "--json")) == ("hold", IDS)
    waiting = [line["queue"] for line in gateway.queued()]
    assert (waiting.count("slow"), waiting.count("hold"), len(waiting)) == (IDS, IDS, 2 * IDS)
    gateway.stop()
    gateway.start()
    assert len(list(gateway.queued())) == 2 * IDS, "nothing of it came back"
    assert done(gateway.queue("flush", "d0.example.com", "--json")) == ("flush", 0)
    assert done(gateway.queue("flush", "d2.example.com", "--json")) == ("flush", IDS)


def test_while_it_is_down(holding: Gateway, mailbox: Mailbox) -> None:
    """HOLD-01, PROC-14: on the files, and it counts at the next start."""
    ids = [id_of(holding, f"s{number}@example.net") for number in range(3)]
    assert holding.stop() == 0
    assert "start it with" in holding.queue("forward", ids[0], "--to", "x@example.com").stderr
    assert done(holding.queue("release", "--from", "s0", "--yes", "--json")) == ("release", 1)
    assert done(holding.queue("requeue", "--from", "s1", "--yes", "--json")) == ("requeue", 1)
    assert done(holding.queue("drop", ids[2], "--json")) == ("drop", 1)
    assert "not in the hold queue" in holding.queue("release", ids[0]).stderr
    assert places(holding) == {"s0@example.net": "slow", "s1@example.net": "slow"}
    holding.start()
    (mail,) = mailbox.wait(1)
    assert mail.forward_paths == ["u0@example.com"]
    until(lambda: places(holding) == {"s1@example.net": "hold"}, "the other one is held again")


@pytest.mark.parametrize("place", ["fast", "hold"])
def test_show(gateway: Gateway, tmp_path: Path, place: str) -> None:
    """PROC-25: header section, octets and history, wherever it waits; nothing in it steers the terminal."""
    content = b"Subject: a\x1b[2Jb\r\nX-Long: " + b"y" * 900 + b"\r\n\r\nbody \xff\r\n"
    gateway.configure(delivery={"pause": True})
    gateway.start()
    gateway.send(content)
    smtp_id = id_of(gateway, "sender@example.net")
    if place == "hold":
        assert gateway.queue("hold", smtp_id).returncode == 0
    target = tmp_path / "saved"
    for running in (True, False):
        shown = gateway.queue("show", smtp_id, "--headers", "--history", "--content", str(target)).stdout
        assert f"queue         {place}" in shown
        assert "Subject: a\N{REPLACEMENT CHARACTER}[2Jb" in shown and "\x1b" not in shown and "y" * 501 not in shown
        assert "body" not in shown and "accepted from sender@example.net" in shown
        assert target.read_bytes() == content and stat.S_IMODE(os.stat(target).st_mode) == 0o600
        again = gateway.queue("show", smtp_id, "--content", str(target))
        assert again.returncode == 1 and "name a new file" in again.stderr
        target.unlink()
        if running:
            gateway.stop()
    plain = msgspec.json.decode(gateway.queue("show", smtp_id, "--json", "--headers").stdout)
    assert len(plain["headers"]) == 2 and plain["history"] is None
    assert "there is no message" in gateway.queue("show", "0" * 13).stderr
    assert "not an SMTP ID" in gateway.queue("show", "../x").stderr
