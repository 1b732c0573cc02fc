"""The test programs of Postfix around a gateway: smtp-source as client, smtp-sink as a next hop that refuses and
breaks off. Run by `make peers`."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.system.harness import PATIENCE_S, Gateway

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
def gateway(folder: Path, port: int) -> Iterator[Gateway]:
    folder.chmod(0o755)
    one = Gateway(folder / "gateway", {HOME: port}, relay_from="127.0.0.1")
    one.configure(delivery=QUICK)
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
