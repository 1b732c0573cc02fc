"""The test programs of Postfix around a gateway: smtp-source as client with many sessions, smtp-sink as a next hop that
refuses, breaks off, knows less or is slow. Run by `make peers`."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.system.harness import PATIENCE_S, Gateway, until

HOME = "home.example"
QUICK = {"retry_first_s": 1, "retry_last_s": 1, "greylist_retry_s": 1, "reply_timeout_s": 5}


@contextmanager
def sink(port: int, *options: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = ["smtp-sink", "-u", "nobody", "-m", "600", *options, f"127.0.0.1:{port}", "1000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        process.wait(PATIENCE_S)


@contextmanager
def gateway(folder: Path, port: int, **smtp: int) -> Iterator[Gateway]:
    folder.chmod(0o755)
    one = Gateway(folder / "gateway", {HOME: port}, relay_from="127.0.0.1")
    one.configure(smtp=smtp, delivery=QUICK)
    one.start()
    try:
        yield one
    finally:
        one.stop()


def source(one: Gateway, *options: str) -> None:
    command = ["smtp-source", *options, "-f", f"a@{HOME}", "-t", f"user@{HOME}", f"127.0.0.1:{one.smtp}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


COMMANDS = ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."]
KEPT = [
    *[("-r", one) for one in COMMANDS if one != "EHLO"],
    *[("-q", one) for one in COMMANDS],
    *[("-Q", one) for one in COMMANDS],
]


@pytest.mark.parametrize(("option", "command"), [*KEPT, ("-f", "CONNECT")])
def test_for_now(tmp_path: Path, option: str, command: str) -> None:
    """PROC-06, PROC-11: mail waits, whatever the next hop refuses for now or breaks off, and arrives later."""
    port = free_port()
    with gateway(tmp_path, port) as one:
        with sink(port, option, command):
            source(one, "-s", "2", "-m", "2")
            one.wait_event("delivery-deferred", 2)
        assert not one.events_so_far("delivered")
        with sink(port):
            one.wait_event("completed", 2)
        assert len(one.events_so_far("delivered")) == 2


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "."])
def test_for_good(tmp_path: Path, command: str) -> None:
    """PROC-11: mail that is refused for good ends; its sender hears of it."""
    port = free_port()
    with sink(port, "-f", command), gateway(tmp_path, port) as one:
        source(one, "-s", "2", "-m", "2")
        failed = one.wait_event("delivery-failed", 2, forward_path=f"user@{HOME}")
        assert all(event["reason"].startswith("500 ") for event in failed)
        assert not one.events_so_far("delivered")


LESS = ["-F", "-e", "-p", "-8", "-E", "-N", "-P", "-C", "-a"]
SLOW_AND_RUDE = ["-w 2", "-H 2", "-W RCPT:1", "-f EHLO", "-f RSET", "-f QUIT", "-q QUIT", "-t 1", "-T 64"]


@pytest.mark.parametrize("options", [*LESS, *SLOW_AND_RUDE])
def test_odd(tmp_path: Path, options: str) -> None:
    """SMTP-17: next hops that know less, are slow, or do not end well get all mail, once."""
    port = free_port()
    with sink(port, *options.split()), gateway(tmp_path, port) as one:
        source(one, "-s", "2", "-m", "6", "-l", "200000")
        one.wait_event("completed", 6)
        assert len(one.events_so_far("delivered")) == 6 and not one.events_so_far("delivery-failed")


SESSIONS, MESSAGES = 1000, 2000


@pytest.mark.parametrize("keep", [(), ("-d",)], ids=["closing", "keeping"])
@pytest.mark.parametrize("limits", [{"max_queued": SESSIONS}, {"max_incoming": SESSIONS}], ids=["waiting", "served"])
def test_a_thousand_sessions(tmp_path: Path, limits: dict[str, int], keep: tuple[str, ...]) -> None:
    """SMTP-06, SMTP-07: sessions above the maximum wait; nothing is refused or lost."""
    port = free_port()
    with sink(port), gateway(tmp_path, port, **limits) as one:
        source(one, "-s", str(SESSIONS), "-m", str(MESSAGES), "-l", "4096", *keep)
        one.wait_event("completed", MESSAGES)
        assert len(one.events_so_far("delivered")) == MESSAGES
        assert not one.events_so_far("rejected")
        begun = one.events_so_far("connection-from")
        queued, served = ({e["connection_id"] for e in begun if e["result"] == word} for word in ("queued", "accepted"))
        assert queued <= served and bool(queued) == ("max_queued" in limits)


def test_a_thousand_sessions_where_not_so_many_may_wait(tmp_path: Path) -> None:
    """SMTP-07: with the limits of a new gateway some get 421; what the others bring is delivered, and who comes
    later is served."""
    port = free_port()
    with sink(port), gateway(tmp_path, port) as one:
        options = ["-A", "-d", "-s", str(SESSIONS), "-m", str(SESSIONS), "-f", f"a@{HOME}", "-t", f"user@{HOME}"]
        subprocess.run(["smtp-source", *options, f"127.0.0.1:{one.smtp}"], capture_output=True, check=False)
        one.wait_event("connection-from", result="refused")
        source(one, "-s", "20", "-m", "100")
        until(lambda: not list(one.queued()), "all is delivered")
        accepted = len(one.events_so_far("accepted"))
        assert accepted >= 100 and accepted == len(one.wait_event("delivered", accepted))
