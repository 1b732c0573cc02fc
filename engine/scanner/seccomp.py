"""The system call filter of a scanner, as a classic BPF program (seccomp(2)). Pure: octets out, nothing installed.

Three answers, and why:

* ALLOW: what Python, malloc and the scan need on descriptors that they already have. Writing is allowed on the
  channel only, mapping never with PROT_EXEC and never shared, so that the octets of a queue file cannot be changed.
* KILL: what no library tries on its own: other programs, other processes, the network, kernel interfaces. Whoever
  asks for it runs somebody else's code. The process ends at once; the relay sees a crash, counts it on the message
  and holds the message at the third (PROC-12), so that an attack comes to light. With an error code it could go on
  probing and answer "clean" in the end.
* EPERM: all the rest. Libraries do ask in good faith (a file opened for a traceback, sysinfo, a thread that would
  be nice to have) and get on without; a new libc with a new favourite call must not cost anybody's mail.

A wrong architecture, and the x32 numbers on x86-64, are KILL: they reach other tables than the one checked here.
"""

import errno
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from engine.scanner.syscalls import X86_64, Machine

_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_EPERM = 0x00050000 | errno.EPERM

# linux/bpf_common.h: class, size, mode and jump codes
_LOAD = 0x20  # LD | W | ABS
_AND = 0x54  # ALU | AND | K
_JUMP_EQ = 0x15  # JMP | JEQ | K
_JUMP_GE = 0x35  # JMP | JGE | K
_RETURN = 0x06  # RET | K

# struct seccomp_data: int nr; u32 arch; u64 instruction_pointer; u64 args[6]. Both machines are little-endian.
_NR_OFF = 0
_ARCH_OFF = 4
_ARGS_OFF = 16
_X32_BIT = 0x40000000

_PROT_EXEC = 4
_MAP_TYPE = 0x0F
_MAP_PRIVATE = 2
_F_GETFD, _F_GETFL, _F_DUPFD_CLOEXEC = 1, 3, 1030


@dataclass(frozen=True)
class Check:
    """The low 32 bits of argument `arg`, under mask, must be one of values.

    The upper half is not looked at: all arguments checked here are ints to the kernel, or flags below bit 32.
    """

    arg: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF


# The busy ones first: the program is walked from the top for every call.
_FREE = (
    "preadv",
    "pread64",
    "munmap",
    "brk",
    "madvise",
    "mremap",
    "futex",
    "setitimer",
    "read",
    "readv",
    "preadv2",
    "lseek",
    "close",
    "clock_gettime",
    "gettimeofday",
    "clock_getres",
    "getrandom",
    "poll",
    "ppoll",
    "rt_sigreturn",
    "rt_sigaction",
    "rt_sigprocmask",
    "sigaltstack",
    "restart_syscall",
    "rseq",
    "membarrier",
    "sched_yield",
    "getrusage",
    "getpid",
    "gettid",
    "exit",
    "exit_group",
)

_FATAL = (
    "execve",
    "execveat",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "pidfd_open",
    "pidfd_getfd",
    "pidfd_send_signal",
    "kcmp",
    "connect",
    "bind",
    "listen",
    "accept",
    "accept4",
    "sendmsg",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "keyctl",
    "add_key",
    "request_key",
    "seccomp",
    "unshare",
    "setns",
    "mount",
    "umount2",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "pivot_root",
    "chroot",
    "open_by_handle_at",
    "name_to_handle_at",
    "memfd_create",
    "init_module",
    "finit_module",
    "delete_module",
    "kexec_load",
    "kexec_file_load",
    "reboot",
    "swapon",
    "swapoff",
    "acct",
    "quotactl",
    "personality",
    "capset",
    "setuid",
    "setgid",
    "setresuid",
    "setresgid",
    "setgroups",
)


def _instruction(code: int, k: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    """struct sock_filter: u16 code, u8 jt, u8 jf, u32 k."""
    return struct.pack("=HBBI", code, jump_true, jump_false, k)


def _answer(number: int, action: int) -> list[bytes]:
    return [_instruction(_JUMP_EQ, number, 0, 1), _instruction(_RETURN, action)]


def _checked(number: int, checks: Sequence[Check]) -> list[bytes]:
    """ALLOW if every check holds, else EPERM. The number is in the accumulator on entry, and again behind it."""
    body: list[bytes] = []
    for check in checks:
        body.append(_instruction(_LOAD, _ARGS_OFF + 8 * check.arg))
        body.append(_instruction(_AND, check.mask))
        last = len(check.values) - 1
        for index, value in enumerate(check.values):
            # A hit skips the other values and the refusal; the last miss falls into the refusal.
            body.append(_instruction(_JUMP_EQ, value, last - index + 1, 0))
        body.append(_instruction(_RETURN, _EPERM))
    body.append(_instruction(_RETURN, _ALLOW))
    return [_instruction(_JUMP_EQ, number, 0, len(body)), *body]


def program(machine: Machine, pid: int, channel: int) -> bytes:
    """The filter for the process `pid` whose only way out is the descriptor `channel`: packed struct sock_filter."""
    numbers = machine.numbers
    on_channel = Check(0, (channel,))
    checked = {
        "recvmsg": (on_channel,),
        "write": (on_channel,),
        "mmap": (Check(2, (0,), _PROT_EXEC), Check(3, (_MAP_PRIVATE,), _MAP_TYPE)),
        "mprotect": (Check(2, (0,), _PROT_EXEC),),
        "fcntl": (Check(1, (_F_DUPFD_CLOEXEC, _F_GETFD, _F_GETFL)),),  # mmap.mmap makes a duplicate of its own
        "tgkill": (Check(0, (pid,)),),  # abort()
    }
    out = [
        _instruction(_LOAD, _ARCH_OFF),
        _instruction(_JUMP_EQ, machine.audit_arch, 1, 0),
        _instruction(_RETURN, _KILL_PROCESS),
        _instruction(_LOAD, _NR_OFF),
    ]
    if machine is X86_64:
        out += [_instruction(_JUMP_GE, _X32_BIT, 0, 1), _instruction(_RETURN, _KILL_PROCESS)]
    for name, checks in checked.items():
        out += _checked(numbers[name], checks)
    for name in _FREE:
        if name in numbers:
            out += _answer(numbers[name], _ALLOW)
    for name in _FATAL:
        if name in numbers:
            out += _answer(numbers[name], _KILL_PROCESS)
    out.append(_instruction(_RETURN, _EPERM))
    return b"".join(out)
