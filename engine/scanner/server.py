"""Forks scanners: `python -m engine.scanner.server FD`, started by the relay's pool, never by hand.

A scanner by itself has 20 MB that nobody else can use, nearly all of it the interpreter and its modules. This process
imports them once; a scanner forked from it shares them, and owns what it writes (3 MB). It serves nobody but its relay
and reads nothing of strangers.

It loads no definitions. For each set it forks a *template*, which loads the set (YARA rules are text until somebody
compiles them) and then does what its maker does: it forks scanners, which have the set from the start and share what
came of it. So new definitions that cannot be loaded, or end who loads them, cost a process that nobody waits for; and
what the old ones took goes with their template.

Scanners and templates are made with CLONE_PARENT: they are children of the relay, as one that was executed is. So the
relay learns how they ended, the kernel ends them with the relay (PR_SET_PDEATHSIG), and the end of who made them is no
concern of theirs.

All scanners of one server have their memory laid out alike. Who made one crash shall not go on trying with what was
learned of that: the pool starts another server whenever a scanner crashed, so that a layout lasts for as many crashes
as there are scanners.
"""

import gc

if __name__ == "__main__":  # what it imports stays
    gc.disable()

import array
import ctypes
import os
import resource
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from engine import limits
from engine.scanner.job import key_of
from engine.scanner.sandbox import die_with_parent

if TYPE_CHECKING:
    from engine.scanner.worker import Examiner, Loader, Prepared

READY = struct.pack("=i", 0)
REFUSED = struct.pack("=i", -1)  # by a template, instead of READY; the reason follows
PID = struct.Struct("=i")
FORK = b"f"  # with the channel of a scanner
LOAD = b"l"  # with the channel of a template, and a definitions file that nobody writes to any more

_CLONE = {"x86_64": 56, "aarch64": 220}  # asm/unistd.h
_CLONE_PARENT = 0x00008000  # linux/sched.h
_LARGE_LEN = 100_000  # octets: below what gets pages of its own
_SORTINGS = 50  # each sorts 10,000 pieces at most
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


class Server:
    """One process that forks others, at its relay's orders."""

    def __init__(self, control: socket.socket, load: "Loader", examine: "Examiner") -> None:
        self._control = control
        self._load = load
        self._examine = examine
        self._fork = Fork()
        self._prepared: Prepared | None = None

    def serve(self) -> int:
        """Until the relay is gone; in a child, its whole life. Returns the exit status."""
        try:
            return self._serve()
        except ConnectionError:  # the relay wants nothing of it any more
            return os.EX_OK

    def _serve(self) -> int:
        self._control.sendall(READY)
        while True:
            order, descriptors = self._order()
            if (order, len(descriptors)) not in ((FORK, 1), (LOAD, 2)):
                return os.EX_OK
            try:
                pid = self._fork()
            except OSError as error:
                pid = -(error.errno or 1)
            if pid == 0:
                self._control.close()
                return self._scan(*descriptors) if order == FORK else self._become_template(*descriptors)
            for fd in descriptors:
                os.close(fd)
            self._control.sendall(PID.pack(pid))

    def _order(self) -> tuple[bytes, list[int]]:
        descriptors = array.array("i")
        message, ancillary, _, _ = self._control.recvmsg(1, socket.CMSG_SPACE(2 * descriptors.itemsize))
        for level, kind, octets in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(octets)
        return message, descriptors.tolist()

    # --- what children do ---------------------------------------------------------------------------

    def _scan(self, channel: int) -> int:
        from engine.scanner import worker

        _name_as_worker()
        return worker.serve(channel, self._load, self._examine, self._prepared)

    def _become_template(self, control: int, definitions: int) -> int:
        from engine.scanner import worker

        self._control = socket.socket(fileno=control)
        die_with_parent(control)
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (limits.SCANNER_ADDRESS_SPACE, hard))
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # mail goes first
        try:
            self._prepared = worker.prepare(definitions, key_of(definitions), self._load)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with them, the relay is told
            self._control.sendall(REFUSED + worker.refusal(error).encode("utf-8", "backslashreplace"))
            return os.EX_DATAERR
        os.close(definitions)
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        _settle()
        return self.serve()


def _settle() -> None:
    """What is never looked at is never written to, and stays shared.

    malloc(3) puts off sorting what was freed until somebody asks for more than it has at hand, and writes to every
    piece then. Compiling leaves tens of thousands of them: each scanner would get most of the heap for itself.
    """
    gc.collect()
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    for _ in range(_SORTINGS):
        libc.free(libc.malloc(_LARGE_LEN))
    libc.malloc_trim(0)
    for _ in range(_SORTINGS):
        libc.free(libc.malloc(_LARGE_LEN))
    gc.freeze()


def _name_as_worker() -> None:
    """Lists of processes tell scanners from the server by their arguments; the kernel shows them from our memory."""
    at = int(Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()[_ARG_START - 2])
    shown = Path("/proc/self/cmdline").read_bytes()
    place = shown.find(b"engine.scanner.server")
    if place >= 0:
        ctypes.memmove(at + place + len(b"engine.scanner."), b"worker", len(b"worker"))


def main() -> int:
    from engine.scan.knowledge import load  # not for relays, which import this module
    from engine.scan.service import examine
    from engine.scanner import worker

    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the service: the relay ends first, and this with it
        signal.signal(number, signal.SIG_IGN)
    control = socket.socket(fileno=int(sys.argv[1]))
    die_with_parent(control.fileno())
    worker.preload()
    gc.enable()
    _settle()
    return Server(control, load, examine).serve()


if __name__ == "__main__":
    os._exit(main())
