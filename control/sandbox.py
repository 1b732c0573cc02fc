"""A process in the scanner's sandbox that is asked one thing about octets of strangers, and ends.

A module that has such a question makes a Reader with its own name, and is what runs in the process as well (`python -m
MODULE FD ARGUMENTS`). There it takes what was sent (`given`), loads what it needs, closes the sandbox around itself
(`close`), and only then looks at the octets. It costs some tenths of a second. That a process ended or took too long
is an answer too; what it means is for the module to say.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from typing import Final

from engine.scanner import sandbox

AT_ONCE: Final = 2  # processes of one reader


class Busy(Exception):
    """As many as may run at once do, and take their time."""


class Reader:
    """module: its name. answer_len: octets of an answer, at most; what comes after them is left out."""

    def __init__(self, module: str, answer_len: int) -> None:
        self._module = module
        self._answer_len = answer_len
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def ask(self, pieces: Iterable[bytes], patience_s: float, *arguments: str) -> bytes:
        """patience_s: to wait for a turn, and then again for the answer.

        Raises Busy, ConnectionError (it ended), TimeoutError, and what reading the pieces raises.
        """
        if not self._turns.acquire(timeout=patience_s):
            raise Busy
        try:
            return self._asked(pieces, time.monotonic() + patience_s, arguments)
        finally:
            self._turns.release()

    def _asked(self, pieces: Iterable[bytes], deadline: float, arguments: tuple[str, ...]) -> bytes:
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-s", "-m", self._module, str(theirs.fileno()), *arguments],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                )
            try:
                return self._exchange(ours, pieces, deadline)
            finally:
                process.kill()
                process.wait()

    def _exchange(self, ours: socket.socket, pieces: Iterable[bytes], deadline: float) -> bytes:
        for piece in pieces:
            ours.settimeout(max(0.01, deadline - time.monotonic()))
            ours.sendall(piece)
        ours.shutdown(socket.SHUT_WR)
        answer = bytearray()
        while len(answer) <= self._answer_len:
            ours.settimeout(max(0.01, deadline - time.monotonic()))
            piece = ours.recv(1 << 16)
            if not piece:
                break
            answer += piece
        return bytes(answer)


# --- inside of the process ------------------------------------------------------------------------


def given(fd: int) -> bytes:
    """All that was sent."""
    with socket.socket(fileno=os.dup(fd)).makefile("rb") as file:
        return file.read()


def close(fd: int, processor_s: float) -> None:
    """From here on it can do nothing but to think and to write to the channel, for so long."""
    from engine.scanner.worker import preload  # with the whole scanner

    preload()
    sandbox.enter(fd)
    signal.setitimer(signal.ITIMER_PROF, processor_s)


def answer(fd: int, octets: bytes) -> int:
    rest = memoryview(octets)
    while rest:
        rest = rest[os.write(fd, rest) :]
    return os.EX_OK
