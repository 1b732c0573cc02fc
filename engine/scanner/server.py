"""Forks scanners: `python -m engine.scanner.server FD`, started by the relay's pool, never by hand.

A scanner by itself has 20 MB that nobody else can use, nearly all of it the interpreter and its modules. This process
imports them once; a scanner forked from it shares them, and owns what it writes (3 MB). It serves nobody but its relay
and reads nothing of strangers.

A scanner is made with CLONE_PARENT: it is a child of the relay, as one that was executed is. So the relay learns how it
ended, the kernel ends it with the relay (PR_SET_PDEATHSIG), and the end of this process is no concern of its scanners.

All scanners of one server have their memory laid out alike. Who made one crash shall not go on trying with what was
learned of that: the pool starts another server whenever a scanner crashed, so that a layout lasts for as many crashes
as there are scanners.
"""

import array
import ctypes
import gc
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from engine.scanner.sandbox import die_with_parent

READY = struct.pack("=i", 0)
PID = struct.Struct("=i")
FORK = b"f"

_CLONE = {"x86_64": 56, "aarch64": 220}  # asm/unistd.h
_CLONE_PARENT = 0x00008000  # linux/sched.h
_ARG_START = 47  # field of /proc/PID/stat, from 0


def possible() -> bool:
    """Whether scanners can be forked on this machine."""
    return os.uname().machine in _CLONE


class Fork:
    """fork(2) whose child is a sibling. Python's own has no such choice."""

    def __init__(self) -> None:
        self._python = ctypes.pythonapi
        self._libc = ctypes.PyDLL(None, use_errno=True)  # holds the interpreter's lock: the child has it then
        self._libc.syscall.restype = ctypes.c_long
        self._arguments = [
            ctypes.c_long(_CLONE[os.uname().machine]),
            ctypes.c_long(_CLONE_PARENT),
            *[ctypes.c_long(0)] * 4,
        ]

    def __call__(self) -> int:
        """0 in the child, its number here. Raises OSError."""
        self._python.PyOS_BeforeFork()
        pid = int(self._libc.syscall(*self._arguments))
        error = ctypes.get_errno()
        if pid == 0:
            self._python.PyOS_AfterFork_Child()
            return 0
        self._python.PyOS_AfterFork_Parent()
        if pid < 0:
            raise OSError(error, os.strerror(error))
        return pid


def _name_as_worker() -> None:
    """Lists of processes tell scanners from the server by their arguments; the kernel shows them from our memory."""
    at = int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[_ARG_START - 2])
    shown = Path("/proc/self/cmdline").read_bytes()
    place = shown.find(b"engine.scanner.server")
    if place >= 0:
        ctypes.memmove(at + place + len(b"engine.scanner."), b"worker", len(b"worker"))


def serve(control: socket.socket, live: Callable[[int], int]) -> None:
    """Fork whenever the relay asks, until it is gone. live: the life of a scanner on a channel."""
    fork = Fork()
    control.sendall(READY)
    while True:
        descriptors = array.array("i")
        message, ancillary, _, _ = control.recvmsg(1, socket.CMSG_SPACE(descriptors.itemsize))
        for level, kind, octets in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(octets)
        if message != FORK or len(descriptors) != 1:
            return
        channel = descriptors[0]
        try:
            pid = fork()
        except OSError as error:
            pid = -(error.errno or 1)
        if pid == 0:
            control.close()
            _name_as_worker()
            os._exit(live(channel))
        os.close(channel)
        control.sendall(PID.pack(pid))


def main() -> int:
    from engine.scan.knowledge import load  # not for relays, which import this module
    from engine.scan.service import examine
    from engine.scanner import worker

    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the service: the relay ends first, and this with it
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    die_with_parent(control.fileno())
    worker.preload()
    gc.collect()
    gc.freeze()  # what is never looked at is never written to, and stays shared
    serve(control, lambda channel: worker.serve(channel, load, examine))
    return os.EX_OK


if __name__ == "__main__":
    os._exit(main())
