"""A scanner whose examination does what the message says: the real process, sandbox and channel around it.

Run by a pool as `python stand_in.py FD`. The first word of a message is the deed, the rest its argument.
"""

import contextlib
import ctypes
import errno
import gc
import mmap
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable

from engine.config import Settings
from engine.queue.record import Splice
from engine.scan.facts import Facts, Match
from engine.scan.outcome import Outcome
from engine.scanner import protocol, worker
from engine.scanner.syscalls import machine

CHANNEL = int(sys.argv[1])
PARENT = os.getppid()
LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = machine(os.uname().machine)
MAGIC = b"definitions "


class Definitions:
    """`definitions REVISION` and whatever follows."""

    def __init__(self, data: mmap.mmap) -> None:
        content = data[:]
        if content.startswith(b"deadly"):
            os.abort()
        if not content.startswith(MAGIC):
            raise ValueError("not definitions")
        self.revision = content.split()[1].decode()
        self.signatures = len(content.split()) - 2

    def scan(self, data: object, target: str = "any", *, container: str = "") -> tuple[str, ...]:
        """`die` is the end of the scanner, `virus` one."""
        octets = bytes(data)  # type: ignore[call-overload]
        if octets.startswith(b"die"):
            os.abort()
        return ("Virus",) if octets.startswith(b"virus") else ()

    def match_name(self, filename: str) -> tuple[str, ...]:
        return ()

    def annex(self, name: str) -> memoryview | None:
        return None


def raw(name: str, *arguments: int | bytes | None) -> str:
    assert NUMBERS is not None
    ctypes.set_errno(0)
    passed = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = LIBC.syscall(ctypes.c_long(NUMBERS.numbers[name]), *passed)
    return "succeeded" if result >= 0 else errno.errorcode[ctypes.get_errno()]


def _open(path: bytes) -> str:
    os.open(path, os.O_RDONLY)
    return "succeeded"


def _write_file(path: bytes) -> str:
    os.open(path, os.O_WRONLY | os.O_CREAT)
    return "succeeded"


def _socket(_: bytes) -> str:
    socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    return "succeeded"


def _fork(_: bytes) -> str:
    if os.fork() == 0:
        os._exit(0)
    return "succeeded"


def _kill_parent(_: bytes) -> str:
    os.kill(PARENT, signal.SIGKILL)
    return "succeeded"


def _map_code(_: bytes) -> str:
    mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ | mmap.PROT_EXEC)
    return "succeeded"


def _make_code(_: bytes) -> str:
    page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return raw("mprotect", address, 4096, mmap.PROT_READ | mmap.PROT_EXEC)


def _write_elsewhere(_: bytes) -> str:
    """Every descriptor but the channel: the message's own file, the definitions, stderr."""
    for fd in range(64):
        if fd == CHANNEL:
            continue
        with contextlib.suppress(OSError):
            os.write(fd, b"x")
            return f"succeeded on {fd}"
        with contextlib.suppress(OSError):
            os.pwrite(fd, b"x", 0)
            return f"succeeded on {fd}"
    return "EPERM"


def _change_shared(_: bytes) -> str:
    """The queue file through a shared mapping."""
    for fd in range(3, 64):
        if fd == CHANNEL:
            continue
        try:
            mmap.mmap(fd, 4096, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
        except OSError:
            continue
        return "succeeded"
    return "EPERM"


def _chdir(path: bytes) -> str:
    os.chdir(path)
    return "succeeded"


def _unlink(path: bytes) -> str:
    os.unlink(path)
    return "succeeded"


def _hog(_: bytes) -> str:
    held = []
    while True:
        held.append(bytes(64 << 20))  # zeros that are not touched: the limit is what is tested, not the machine


def _raise(text: bytes) -> str:
    raise RuntimeError(text.decode("utf-8", "surrogateescape"))


def _recurse(_: bytes) -> str:
    return _recurse(_)


def _crash(_: bytes) -> str:
    return ctypes.string_at(1).decode()


def _abort(_: bytes) -> str:
    os.abort()


def _hang(_: bytes) -> str:
    while True:
        pass


def _leave(_: bytes) -> str:
    os._exit(3)


def _decode(name: bytes) -> str:
    return b"~~".decode(name.decode()) or "nothing"


def _raw_frame(frame: bytes) -> str:
    os.write(CHANNEL, frame)
    _hang(b"")
    return ""


def _announce(length: bytes) -> str:
    return _raw_frame(struct.pack("<I", int(length)))


DEEDS: dict[str, Callable[[bytes], str]] = {
    "open": _open,
    "openat2": lambda path: raw("open_by_handle_at", 0, 0, 0),
    "write-file": _write_file,
    "socket": _socket,
    "connect": lambda _: raw("connect", 0, 0, 0),
    "exec": lambda _: str(os.execv("/bin/true", ["true"])),
    "fork": _fork,
    "ptrace": lambda _: raw("ptrace", 16, PARENT, 0, 0),
    "process-vm": lambda _: raw("process_vm_readv", PARENT, 0, 0, 0, 0, 0),
    "io-uring": lambda _: raw("io_uring_setup", 1, 0),
    "send-descriptor": lambda _: raw("sendmsg", CHANNEL, 0, 0),
    "kill-parent": _kill_parent,
    "map-code": _map_code,
    "make-code": _make_code,
    "write-elsewhere": _write_elsewhere,
    "change-shared": _change_shared,
    "list": lambda path: str(os.listdir(path)),
    "chdir": _chdir,
    "unlink": _unlink,
    "stat": lambda path: f"succeeded {os.stat(path)}",
    "hog": _hog,
    "raise": _raise,
    "recurse": _recurse,
    "crash": _crash,
    "abort": _abort,
    "hang": _hang,
    "leave": _leave,
    "decode": _decode,
    "frame": _raw_frame,
    "announce": _announce,
}


def examine(content: bytes, image: worker.Definitions, settings: Settings) -> Outcome:
    deed, _, argument = content.partition(b" ")
    outcome = Outcome(
        facts=Facts(subject=f"{settings.blocking.containers.depth}", definitions=image.revision),
    )
    name = deed.decode()
    if name == "echo":
        outcome.reason = argument.decode()
    elif name == "length":
        outcome.reason = f"{len(content)} {sum(content) & 0xFFFFFFFF}"
    elif name == "many":
        outcome.facts.matches = [Match("x" * 1000, "1") for _ in range(int(argument.split()[0]))]
    elif name == "splice":
        start, end, length = map(int, argument.split())
        outcome.splices = [Splice(start, end, bytes(length))]
    elif name == "bad-splice":
        # Past the check of an honest worker: what a scanner that was taken over would say.
        protocol.check_splices = lambda splices, size: None
        outcome.splices = [Splice(0, len(content) + 1, b"")]
    elif name in DEEDS:
        try:
            outcome.reason = DEEDS[name](argument)
        except OSError as error:
            outcome.reason = errno.errorcode[error.errno or 0]
    return outcome


if __name__ == "__main__":
    gc.collect()
    os._exit(worker.serve(CHANNEL, Definitions, examine))
