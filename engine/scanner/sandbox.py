"""Closing the sandbox around this process, for good: what is not open yet can never be opened.

Theory of operation: five walls, each enough against most of what the others are for, because one may be missing on
an older kernel or have a hole. Limits (setrlimit) bound memory and descriptors. No capabilities. PR_SET_DUMPABLE 0
keeps other processes of the same user out of our memory. Landlock without any rule: no path can be used. The
seccomp filter (seccomp.py) leaves the calls that a scan needs. Time is not bounded here: the pool keeps a deadline
per message, which the scanner cannot touch, and the worker arms a timer as a backstop.

Everything the process needs must be imported and opened before. Errors of the kernel are degraded and reported
(`Sandbox.missing`), so that an operator sees what is in force; a programmer's mistake (a second thread, the wrong
parent) raises.

Known gaps: metadata calls on paths (stat, access) are refused by the filter only; without Landlock and without
seccomp the process still has the rights of its user on files. The octets of other messages in the same queue
segment can be read by a scanner that was taken over, and leave it only as an answer to the relay.
"""

import ctypes
import os
import platform
import resource
import signal
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from engine import limits
from engine.scanner import seccomp
from engine.scanner.protocol import Sandbox
from engine.scanner.syscalls import Machine, machine

OOM_SCORE = 500  # a scanner is replaced in a moment, a relay is not: the kernel shall take the scanner first

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38

# linux/seccomp.h
_SECCOMP_SET_MODE_FILTER = 1
_SECCOMP_FILTER_FLAG_TSYNC = 1

# linux/landlock.h: the file system rights that each ABI added, as the number of low bits known to it
_LANDLOCK_VERSION = 1
_LANDLOCK_FS_BITS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_LANDLOCK_NET = 0b11  # ABI 4: bind and connect TCP
_LANDLOCK_SCOPES = 0b11  # ABI 6: abstract Unix sockets, signals

_CAPABILITY_VERSION_3 = 0x20080522

_LIMITS = {
    resource.RLIMIT_AS: limits.SCANNER_ADDRESS_SPACE,
    resource.RLIMIT_NOFILE: limits.SCANNER_DESCRIPTORS,
    resource.RLIMIT_FSIZE: 0,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_NPROC: 0,
    resource.RLIMIT_MEMLOCK: 0,
    resource.RLIMIT_MSGQUEUE: 0,
}


class SandboxError(Exception):
    """The sandbox may not be closed here: a mistake in how the process was started."""


class _Kernel:
    """System calls by name; a failure is an OSError."""

    def __init__(self, table: Machine) -> None:
        self._numbers = table.numbers
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.syscall.restype = ctypes.c_long

    def call(self, name: str, *arguments: "int | bytes | ctypes.Array[ctypes.c_char] | None") -> int:
        """Every int goes as a long: the kernel reads whole registers."""
        passed = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
        return self._checked(name, self._libc.syscall(ctypes.c_long(self._numbers[name]), *passed))

    def prctl(self, option: int, value: int) -> None:
        zero = ctypes.c_ulong(0)
        self._checked("prctl", self._libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero))

    def _checked(self, name: str, result: int) -> int:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{name}: {os.strerror(number)}")
        return result


def enter(channel: int) -> Sandbox:
    """Close the sandbox; `channel` is the only descriptor that can be written to afterwards.

    Call once, in the only thread. Returns what is in force. Raises SandboxError, and nothing for a kernel that
    lacks something.
    """
    _check_single_thread()
    missing: list[str] = []
    _attempt(missing, "memory pressure score", _prefer_for_oom)
    for limit, value in _LIMITS.items():
        _limit(limit, value)
    table = machine(platform.machine())
    if table is None:
        return Sandbox(missing=(f"everything but limits: no system call table for {platform.machine()}",))
    kernel = _Kernel(table)
    dropped = _attempt(missing, "dropping capabilities", lambda: _drop_capabilities(kernel))
    _die_with_parent(kernel, channel)
    kernel.prctl(_PR_SET_DUMPABLE, 0)
    kernel.prctl(_PR_SET_NO_NEW_PRIVS, 1)
    abi = _restrict_paths(kernel, missing)
    filtered = _attempt(missing, "seccomp", lambda: _filter_calls(kernel, table, channel))
    return Sandbox(
        seccomp=filtered,
        landlock=abi,
        capabilities_dropped=dropped,
        address_space=limits.SCANNER_ADDRESS_SPACE,
        missing=tuple(missing),
    )


def _attempt(missing: list[str], what: str, step: Callable[[], None]) -> bool:
    try:
        step()
    except OSError as error:
        missing.append(f"{what}: {error}")
        return False
    return True


def _check_single_thread() -> None:
    """Landlock binds the calling thread only."""
    tasks = Path("/proc/self/task")
    if tasks.is_dir() and len(list(tasks.iterdir())) > 1:
        raise SandboxError("more than one thread runs: the others would stay outside")


def _prefer_for_oom() -> None:
    Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))


def _limit(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(limit, (value, value))


def _drop_capabilities(kernel: _Kernel) -> None:
    """Only of effect when started as root, where RLIMIT_NPROC and file permissions would not bind us."""
    kernel.call("capset", struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24))


def die_with_parent(channel: int) -> None:
    """For a process that has no sandbox: it ends with who made the channel. Raises SandboxError."""
    table = machine(platform.machine())
    if table is not None:
        _die_with_parent(_Kernel(table), channel)


def _die_with_parent(kernel: _Kernel, channel: int) -> None:
    """SIGKILL when the thread that started us ends. It may have ended before: then getppid is not who made the pair."""
    kernel.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with socket.socket(fileno=os.dup(channel)) as pair:
        pid, _, _ = struct.unpack("3i", pair.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    if os.getppid() != pid:
        raise SandboxError(f"the parent is {os.getppid()}, the relay was {pid}")


def _restrict_paths(kernel: _Kernel, missing: list[str]) -> int:
    """Landlock with every right handled and none granted. Returns the ABI, 0 if there is none."""
    try:
        abi = kernel.call("landlock_create_ruleset", None, 0, _LANDLOCK_VERSION)
        rights = (1 << _LANDLOCK_FS_BITS.get(abi, max(_LANDLOCK_FS_BITS.values()))) - 1
        network = _LANDLOCK_NET if abi >= 4 else 0
        scopes = _LANDLOCK_SCOPES if abi >= 6 else 0
        attributes = struct.pack("=QQQ", rights, network, scopes)
        attributes = attributes[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
        ruleset = kernel.call("landlock_create_ruleset", attributes, len(attributes), 0)
        try:
            kernel.call("landlock_restrict_self", ruleset, 0)
        finally:
            os.close(ruleset)
    except OSError as error:
        missing.append(f"Landlock: {error}")
        return 0
    for needed, what in ((3, "truncation"), (4, "TCP"), (5, "device ioctl"), (6, "signals and abstract sockets")):
        if abi < needed:
            missing.append(f"Landlock for {what}: the kernel has ABI {abi}, it came with {needed}")
    return abi


def _filter_calls(kernel: _Kernel, table: Machine, channel: int) -> None:
    code = ctypes.create_string_buffer(seccomp.program(table, os.getpid(), channel))
    instructions = (len(code) - 1) // 8  # struct sock_filter; the last octet is the terminator of ctypes
    program = struct.pack("HxxxxxxP", instructions, ctypes.addressof(code))
    failed = kernel.call("seccomp", _SECCOMP_SET_MODE_FILTER, _SECCOMP_FILTER_FLAG_TSYNC, program)
    if failed:
        raise SandboxError(f"thread {failed} stays outside the system call filter")
