"""`mailward queue list`, `stats` and `trace` on a real gateway whose delivery is paused (DLV-01)."""

import subprocess

import msgspec
import pytest

from tests.system.harness import MAILWARD, Gateway

MAIL = b"Subject: s\r\n\r\nbody\r\n"


@pytest.fixture
def paused(gateway: Gateway) -> Gateway:
    gateway.configure(delivery={"pause": True}, routing={"local": [{"name": "example.com"}, {"name": "example.org"}]})
    gateway.start()
    gateway.send(MAIL, ["a@example.com"], "ann@one.example")
    gateway.send(MAIL, ["b@example.com", "c@example.org"], "bob@two.example")
    gateway.send(MAIL, ["d@example.org"], "")
    return gateway


def senders(gateway: Gateway, *arguments: str) -> list[str]:
    lines = gateway.queue("list", "--json", *arguments).stdout.splitlines()
    return sorted(msgspec.json.decode(line)["reverse_path"] for line in lines)


def test_filters_and_figures(paused: Gateway) -> None:
    """PROC-04: paused mail collects in the fast queue, and can be asked for."""
    assert senders(paused) == ["", "ann@one.example", "bob@two.example"]
    assert senders(paused, "--from", "ANN") == ["ann@one.example"]
    assert senders(paused, "--from", "<>") == [""]
    assert senders(paused, "--from", "ann") != senders(paused, "--from", "?nn")
    assert senders(paused, "--to", "*@example.org") == ["", "bob@two.example"]
    assert senders(paused, "--to", "*@example.org", "--from", "bob@*") == ["bob@two.example"]
    assert senders(paused, "--queue", "slow") == []
    assert senders(paused, "--older", "1h") == []
    assert "no message in the queue is like that" in paused.queue("list", "--older", "3d").stdout
    assert "2 more" in paused.queue("list", "--limit", "1").stdout
    wrong = paused.queue("list", "--older", "soon")
    assert wrong.returncode == 2 and "write 90s, 30m, 2h or 3d" in wrong.stderr
    shares = [msgspec.json.decode(line) for line in paused.queue("stats", "--json").stdout.splitlines()]
    assert [(share["domain"], share["total"]) for share in shares] == [("example.com", 2), ("example.org", 2)]
    assert all(share["ages"][0] == 2 for share in shares)
    assert "two.example" in paused.queue("stats", "--senders").stdout


def trace(gateway: Gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MAILWARD, "trace", f"--root={gateway.root}", *arguments], capture_output=True, text=True)


def test_a_message_is_traced_while_it_waits_and_after(paused: Gateway) -> None:
    """PROC-25: all events of a message, by its id or by an address."""
    first, second, _ = [event["smtp_id"] for event in paused.wait_event("accepted", 3)]
    told = trace(paused, "ann@one.example").stdout
    assert "accepted from ann@one.example for a@example.com" in told
    assert "connection from 127.0.0.1" in told
    assert "it waits in the fast queue" in told
    (line,) = trace(paused, "--json", second).stdout.splitlines()
    assert msgspec.json.decode(line)["smtp_id"] == second
    nothing = trace(paused, "nobody@example.net")
    assert nothing.returncode == 1 and "has no message with" in nothing.stderr
    assert paused.queue("drop", first).returncode == 0
    paused.wait_event("completed")
    told = trace(paused, first).stdout
    assert "dropped: dropped on request of the administrator" in told and "completed" in told
    assert "it waits" not in told
