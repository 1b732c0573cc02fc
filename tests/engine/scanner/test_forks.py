"""AV-02, PROC-12: scanners are forked from a server that has everything imported, and are as safe as those executed."""

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from engine import events
from engine.scanner import forks
from engine.scanner.child import ENVIRONMENT
from engine.scanner.forks import Forks
from signatures.compile import compile_sources, starter
from tests.engine.scanner.harness import UPPER_S, Bench, Runner

MAIL = b"From: a@example.org\r\nSubject: hello\r\n\r\nhello\r\n"
PRIVATE_KIB = 10 * 1024  # of a second scanner, on top of what it shares


def private_kib(pid: int) -> int:
    fields = dict(line.split(":") for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    return sum(int(fields[name].split()[0]) for name in ("Private_Dirty", "Private_Clean"))


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


def test_forked_scanners(with_pool: Runner) -> None:
    """They are children of the relay, in their sandbox, of little memory; a crash brings another server."""
    image = compile_sources(starter())

    async def work(bench: Bench) -> None:
        pool = bench.pool
        pool.use_definitions(bench.definitions(image))
        started = [await bench.event(events.ScannerStarted, number) for number in (1, 2, 3)]
        for scanner in started:
            assert scanner.seccomp and not scanner.missing
            assert parent_of(scanner.pid) == os.getpid()
            assert b"engine.scanner.worker" in Path(f"/proc/{scanner.pid}/cmdline").read_bytes()
        for _ in range(8):
            assert (await bench.examine(MAIL)).facts.definitions
        assert all(private_kib(scanner.pid) < PRIVATE_KIB for scanner in started)

        assert pool._forks is not None and pool._forks._process is not None
        server = pool._forks._process
        assert b"engine.scanner.server" in Path(f"/proc/{server.pid}/cmdline").read_bytes()
        os.kill(started[0].pid, signal.SIGSEGV)
        ended = await bench.event(events.ProcessRestarted)
        assert "SIGSEGV" in ended.reason
        assert pool._forks._process is not server and server.poll() is not None
        await bench.event(events.ScannerStarted, 4)
        assert (await bench.examine(MAIL)).facts.definitions

        os.kill(pool._forks._process.pid, signal.SIGKILL)  # scanners do not mind
        assert (await bench.examine(MAIL)).facts.definitions
        os.kill(started[1].pid, signal.SIGKILL)
        await bench.event(events.ScannerStarted, 5)
        assert (await bench.examine(MAIL)).facts.definitions

    with_pool(work, count=2, command=None)


def test_without_a_server_scanners_are_executed() -> None:
    """Mail flows, also when the server cannot come to be ready."""

    async def work() -> None:
        ready = asyncio.Event()
        broken = Forks(ready.set, [sys.executable, "-c", "pass"], [sys.executable, "-c", "pass"])
        broken.start()
        await asyncio.wait_for(ready.wait(), UPPER_S)
        assert broken.ready
        ours, theirs = socket.socketpair()
        with ours, theirs:
            child = broken.spawn(theirs.fileno())
            assert isinstance(child, subprocess.Popen)
            child.wait()
        broken.stop()

    asyncio.run(work())


STUB = """
import os, socket, sys
from pathlib import Path
from engine.scanner import server
control = socket.socket(fileno=int(sys.argv[2]))
if Path(sys.argv[1]).exists():
    control.sendall(server.READY)
    while control.recv(1):
        control.sendall(server.PID.pack(-11))
"""


def test_a_server_is_kept_when_it_cannot_fork_and_tried_again_when_it_was_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No memory for a moment does not make scanners cost more for ever."""
    monkeypatch.setattr(forks, "AGAIN_S", 0.01)
    flag = tmp_path / "flag"

    async def work() -> None:
        ready = asyncio.Event()
        served = Forks(ready.set, [sys.executable, "-c", "pass"], [sys.executable, "-c", STUB, str(flag)])
        served.start()
        await asyncio.wait_for(ready.wait(), UPPER_S)
        assert served.ready and served._control is None  # given up: scanners are executed
        ready.clear()
        flag.touch()
        while not served._is_ready:
            await asyncio.wait_for(ready.wait(), UPPER_S)
            ready.clear()
        process = served._process
        ours, theirs = socket.socketpair()
        with ours, theirs:
            child = served.spawn(theirs.fileno())
            async with asyncio.timeout(UPPER_S):
                while child.poll() is None:
                    await asyncio.sleep(0.001)
        assert (child.pid, child.poll()) == (0, os.EX_OSERR)
        assert served._process is process and process is not None and process.poll() is None
        served.stop()
        assert process.poll() is not None

    asyncio.run(work())


FORGETFUL = """
import os, socket, sys
from pathlib import Path
from engine.scanner import server
control = socket.socket(fileno=int(sys.argv[2]))
control.sendall(server.READY)
control.recv(1)
if server.Fork()() == 0:
    Path(sys.argv[1]).write_text(str(os.getpid()))
os._exit(0)
"""


def test_a_server_ends_before_it_has_told_whom_it_forked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows of that process, and yet it does not stay in the list of processes for ever."""
    monkeypatch.setattr(forks, "STRAYS_S", 0.01)
    note = tmp_path / "pid"

    async def work() -> None:
        ready = asyncio.Event()
        arguments = [sys.executable, "-c", FORGETFUL, str(note)]
        served = Forks(ready.set, [sys.executable, "-c", "pass"], arguments)
        served.start()
        await asyncio.wait_for(ready.wait(), UPPER_S)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            child = served.spawn(theirs.fileno())
            async with asyncio.timeout(UPPER_S):
                while child.poll() is None:
                    await asyncio.sleep(0.001)
                while not note.exists() or not note.read_text():
                    await asyncio.sleep(0.001)
                while Path("/proc", note.read_text()).exists():
                    await asyncio.sleep(0.001)
        assert child.pid == 0
        served.stop()

    asyncio.run(work())


SCRIPT = """
import asyncio, sys
from engine import events
from engine.config import Settings
from engine.scanner.pool import ScannerPool

async def main():
    told = asyncio.Event()
    def note(event):
        if isinstance(event, events.ScannerStarted):
            print(event.pid, pool._forks._process.pid, flush=True)
    pool = ScannerPool(1, Settings(), note)
    await pool.start()
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_everything_ends_with_the_relay() -> None:
    relay = subprocess.Popen([sys.executable, "-c", SCRIPT], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    assert relay.stdout is not None
    pids = [int(word) for word in relay.stdout.readline().split()]
    watched = [os.pidfd_open(pid) for pid in pids]
    relay.kill()
    relay.wait()
    relay.stdout.close()
    for fd in watched:
        assert select.select([fd], [], [], 60)[0]
        os.close(fd)
