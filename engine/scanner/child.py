"""One scanner process as its relay sees it: executed by itself, or forked. Both are children of the relay."""

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import engine

ENVIRONMENT = {"LANG": "C.UTF-8", "PYTHONPATH": str(Path(engine.__file__).parent.parent)}


class Child(Protocol):
    """What is used of subprocess.Popen."""

    @property
    def pid(self) -> int: ...
    def kill(self) -> None:
        """Without effect on one that has ended."""

    def poll(self) -> int | None:
        """Its exit status, or the number of a signal below 0; None while it runs."""


Starter = Callable[[int], Child]  # on a channel, by its descriptor; raises OSError


def executed(arguments: Sequence[str], channel: int, *, leads: bool = False) -> "subprocess.Popen[bytes]":
    """leads: a group of processes: itself and what it forks. Raises OSError."""
    return subprocess.Popen(
        [*arguments, str(channel)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(channel,),
        env=ENVIRONMENT,
        cwd="/",
        process_group=0 if leads else None,
    )


_told: Final[set[int]] = set()  # numbers of those that were forked, until they are reaped


def reap_strays(group: int) -> bool:
    """Reap those of a server that ended before it had told their numbers. Returns whether anybody of it is left."""
    while True:
        try:
            found = os.waitid(os.P_PGID, group, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
        if found is None or found.si_pid in _told:  # who knows it reaps it
            return True
        os.waitpid(found.si_pid, 0)


class Forked:
    """By a server, which tells its number a little later. settle: waits for that."""

    def __init__(self, settle: Callable[[], None]) -> None:
        self._settle = settle
        self._pid = 0
        self._status: int | None = None
        self._is_wanted = True

    @property
    def pid(self) -> int:
        """Waits if it is not known yet; 0 if there is no such process."""
        if not self._pid and self._status is None:
            self._settle()
        return self._pid

    def began(self, pid: int) -> None:
        """pid: not above 0 if it could not be forked."""
        if pid <= 0:
            self._status = os.EX_OSERR
            return
        self._pid = pid
        _told.add(pid)
        if not self._is_wanted:
            self.kill()

    def kill(self) -> None:
        self._is_wanted = False
        if self._pid and self.poll() is None:
            os.kill(self._pid, signal.SIGKILL)

    def poll(self) -> int | None:
        if self._status is None and self._pid:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
                _told.discard(pid)
        return self._status
