"""Starts supervisors, at orders on its standard input: `python -m bench.faults.nursery --root=ROOT engine.relay`.

It has imported what any process of a gateway needs. What is executed otherwise (supervisor, relay, pages, server of
scanners) is forked here, with the same arguments and descriptors: a start costs a quarter of a second rather than some
seconds, which most of twenty kills of everything would be spent on. All else of a start is as ever.

Who asks whom a port belongs to (engine/listening.py) takes what is forked for a relay by these arguments. For each line
of its input it starts a supervisor, says `pid N`, and says `ended STATUS` when that has ended.
"""

import contextlib
import ctypes
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import control.cli.serve
import control.sandbox
import control.serve
import engine.relay
import engine.scanner.server
import engine.scanner.worker
from bench.faults.board import Role
from control.quarantine_server import sandboxed
from control.updates import trial
from engine import supervisor
from engine.queue.store import Store
from engine.scanner import child

SUPERVISOR = "control.cli"
SEGMENT_LEN = 4 << 20  # a quarter of what is usual: its log makes, changes and reuses segments while it is watched
MAINS: dict[str, tuple[Role, Callable[[], int | None]]] = {
    SUPERVISOR: (Role.SUPERVISOR, control.cli.main),
    "engine.relay": (Role.RELAY, engine.relay.main),
    "control.serve": (Role.CONTROL, control.serve.main),
    "engine.scanner.server": (Role.OTHER, engine.scanner.server.main),  # what it forks are scanners
    "engine.scanner.worker": (Role.SCANNER, engine.scanner.worker.main),
    "control.quarantine_server.sandboxed": (Role.OTHER, lambda: sandboxed._main(int(sys.argv[1]), Path(sys.argv[2]))),
    "control.updates.trial": (Role.OTHER, lambda: trial._main(Path(sys.argv[1]))),
}
_BECOME = ctypes.CDLL(None).faults_become


class Forked(subprocess.Popen[bytes]):
    """In place of Popen([PYTHON, ..., "-m", MODULE, ...])."""

    def _execute_child(self, args: Sequence[Any], executable: Any, preexec_fn: Any, close_fds: bool,
                       pass_fds: Sequence[int], cwd: str | None, env: Any, *others: Any) -> None:  # fmt: skip
        words = [str(one) for one in args]
        pipes = others[3:9]
        said = pipes[3]  # where its standard output goes, or -1
        self._child_created = True
        self.pid = os.fork()
        if self.pid == 0:
            if said >= 0:
                os.dup2(said, 1)
            _live(words[words.index("-m") + 1 :], {*pass_fds}, cwd, leads=others[-1] == 0)
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def _live(words: list[str], descriptors: set[int], cwd: str | None = None, *, leads: bool = False) -> None:
    """The life of a process that was forked, in place of an execve."""
    status: object = os.EX_SOFTWARE
    try:
        _forget(descriptors)
        if leads:
            os.setpgid(0, 0)
        if cwd is not None:
            os.chdir(cwd)
        role, main = MAINS[words[0]]
        _BECOME(int(role))
        sys.argv = words
        status = main()
    except SystemExit as error:
        status = error.code
    except BaseException:  # noqa: BLE001 - nothing is above it
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(status if isinstance(status, int) else int(status is not None))


def _forget(descriptors: set[int]) -> None:
    """What an execve takes away, and the orders."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2 and fd not in descriptors:
            with contextlib.suppress(OSError):  # that of this very list
                os.close(fd)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


class _Subprocess:
    """What is used of the module, with another Popen."""

    Popen = Forked
    DEVNULL = subprocess.DEVNULL
    TimeoutExpired = subprocess.TimeoutExpired

    @staticmethod
    def run(words: Sequence[str], *, stdin: int, capture_output: bool, timeout: float) -> Any:
        with Forked(words, stdin=stdin, stdout=subprocess.PIPE) as process:
            try:
                said, _ = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            return subprocess.CompletedProcess(words, process.returncode, said, b"")


def main() -> None:
    (Store.__init__.__kwdefaults__ or {})["segment_len"] = SEGMENT_LEN
    supervisor.RESTART_DELAYS_S = (0.0,) * 5  # however often it was killed
    for room in (supervisor, child, trial, control.sandbox):
        room.subprocess = _Subprocess  # type: ignore[attr-defined]
    engine.scanner.worker.preload()
    gc.collect()
    gc.freeze()  # or each process looks through all of it
    while sys.stdin.readline():
        if (pid := os.fork()) == 0:
            os.setsid()
            _live([SUPERVISOR, "serve", sys.argv[1]], set())
        print(f"pid {pid}", flush=True)
        _, status = os.waitpid(pid, 0)
        print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    main()
