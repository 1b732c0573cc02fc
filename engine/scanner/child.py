"""One scanner process as its relay sees it: executed by itself, or forked. Both are children of the relay."""

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

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


def executed(arguments: Sequence[str], channel: int) -> "subprocess.Popen[bytes]":
    """Raises OSError."""
    return subprocess.Popen(
        [*arguments, str(channel)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(channel,),
        env=ENVIRONMENT,
        cwd="/",
    )


class Forked:
    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def poll(self) -> int | None:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status
