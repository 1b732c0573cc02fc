"""A scanner that was taken over tries its ways out, inside the real sandbox; every one is shut (SCAN-09, PROC-12)."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from engine import events
from engine.scanner.child import ENVIRONMENT
from engine.scanner.pool import ScannerCrashed
from tests.engine.scanner.harness import STAND_IN, Bench, Extent, Runner

# Deeds that no library does in good faith: the process ends at once.
FATAL = ("exec", "ptrace", "connect", "process-vm", "io-uring", "send-descriptor", "openat2")

REFUSED = (
    b"open /etc/passwd",
    b"open /proc/self/maps",
    b"open /proc/self/fd/0",
    b"write-file /tmp/mailward-left-by-a-scanner",
    b"list /",
    b"list /proc",
    b"chdir /",
    b"unlink /tmp/mailward-left-by-a-scanner",
    b"stat /etc/passwd",
    b"socket",
    b"fork",
    b"kill-parent",
    b"map-code",
    b"make-code",
    b"write-elsewhere",
    b"change-shared",
)


def test_what_is_refused(with_pool: Runner) -> None:
    """TMP-01: nothing is written while scanning, so nothing of it is left behind, and no directory is needed for it."""

    async def work(bench: Bench) -> None:
        for deed in REFUSED:
            outcome = await bench.examine(deed)
            assert outcome.reason in ("EPERM", "EACCES"), deed
        assert not [event for event in bench.events if isinstance(event, events.ProcessRestarted)]

    with_pool(work)


@pytest.mark.parametrize("deed", FATAL)
def test_what_is_fatal(with_pool: Runner, deed: str) -> None:
    async def work(bench: Bench) -> None:
        with pytest.raises(ScannerCrashed, match="forbidden system call"):
            await bench.examine(deed.encode())

    with_pool(work)


def test_a_message_cannot_be_changed_through_its_descriptor(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        content = b"write-elsewhere" + bytes(5000)
        fd = bench.file(content)
        await bench.pool.examine("ID", [Extent(fd, 0, len(b"write-elsewhere"))])
        assert os.pread(fd, 10_000, 0) == content

    with_pool(work)


def test_character_sets_are_loaded_before(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        for name in ("shift_jis", "gb18030", "koi8-r", "utf-16", "windows-1252", "hz"):
            assert not (await bench.examine(b"decode " + name.encode())).facts.unscanned, name

    with_pool(work)


def test_it_says_what_is_in_force(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        started = await bench.event(events.ScannerStarted)
        assert started.seccomp == ("seccomp" not in "".join(started.missing))
        assert (started.landlock == 0) == any(line.startswith("Landlock:") for line in started.missing)

    with_pool(work)


def test_a_scanner_that_is_not_the_child_of_its_relay_refuses_to_start(tmp_path: Path) -> None:
    """Nobody would end it when the relay ends."""
    script = (
        "import os, socket, sys\n"
        "ours, theirs = socket.socketpair()\n"
        "theirs.set_inheritable(True)\n"
        "if os.fork() == 0:\n"
        "    if os.fork() == 0:\n"
        "        os.dup2(int(sys.argv[1]), 1)\n"
        "        os.execv(sys.argv[2], [*sys.argv[2:], str(theirs.fileno())])\n"
        "    os.wait()\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "2", *STAND_IN], env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )
    assert "SandboxError" in done.stderr


def test_scanners_end_with_their_relay() -> None:
    """Also a busy one, and when the relay is killed."""
    script = (
        "import os, socket, subprocess, sys, time\n"
        "ours, theirs = socket.socketpair()\n"
        "child = subprocess.Popen([*sys.argv[1:], str(theirs.fileno())], pass_fds=(theirs.fileno(),))\n"
        "theirs.close()\n"
        "ours.recv(1)\n"
        "print(child.pid, flush=True)\n"
        "keep = os.dup(ours.fileno())\n"
        "sys.stdin.read()\n"
    )
    relay = subprocess.Popen(
        [sys.executable, "-c", script, *STAND_IN], env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert relay.stdout is not None
    assert relay.stdin is not None
    scanner = int(relay.stdout.readline())
    watch = os.pidfd_open(scanner)
    relay.kill()
    relay.wait()
    relay.stdin.close()
    relay.stdout.close()
    try:
        assert select.select([watch], [], [], 60)[0], "the scanner outlived its relay"
    finally:
        os.close(watch)
