"""The filter program, run by a small interpreter of classic BPF, for both machines."""

import errno
import mmap
import struct

import pytest

from engine.scanner import seccomp
from engine.scanner.syscalls import AARCH64, X86_64, Machine

PID, CHANNEL = 4711, 9
ALLOW, KILL, EPERM = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
MACHINES = pytest.mark.parametrize("machine", [X86_64, AARCH64], ids=["x86_64", "aarch64"])


def run(program: bytes, arch: int, number: int, arguments: tuple[int, ...]) -> int:
    padded = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("<iIQ6Q", number, arch, 0, *(one & (1 << 64) - 1 for one in padded))
    accumulator = 0
    at = 0
    while True:
        code, jump_true, jump_false, k = struct.unpack_from("=HBBI", program, 8 * at)
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, k)
            case 0x54:
                accumulator &= k
            case 0x15:
                at += jump_true if accumulator == k else jump_false
            case 0x35:
                at += jump_true if accumulator >= k else jump_false
            case 0x06:
                return int(k)
            case _:
                raise AssertionError(f"instruction {code:#x}")


def asked(machine: Machine, name: str, *arguments: int) -> int:
    program = seccomp.program(machine, PID, CHANNEL)
    return run(program, machine.audit_arch, machine.numbers[name], arguments)


@MACHINES
@pytest.mark.parametrize("name", ["pread64", "preadv", "futex", "brk", "munmap", "exit_group", "rt_sigreturn", "close"])
def test_what_a_scan_needs(machine: Machine, name: str) -> None:
    assert asked(machine, name, 1, 2, 3) == ALLOW


@MACHINES
def test_only_the_channel_is_written_to_and_heard(machine: Machine) -> None:
    for name in ("write", "recvmsg"):
        assert asked(machine, name, CHANNEL) == ALLOW
        for other in (0, 1, 2, CHANNEL - 1, CHANNEL + 1, -1):
            assert asked(machine, name, other) == EPERM


@MACHINES
def test_memory_is_private_and_never_code(machine: Machine) -> None:
    private, shared = mmap.MAP_PRIVATE, mmap.MAP_SHARED
    read, write, code = mmap.PROT_READ, mmap.PROT_WRITE, mmap.PROT_EXEC
    assert asked(machine, "mmap", 0, 4096, read | write, private | mmap.MAP_ANONYMOUS) == ALLOW
    assert asked(machine, "mmap", 0, 4096, read, private, 5) == ALLOW
    assert asked(machine, "mmap", 0, 4096, read | code, private) == EPERM
    assert asked(machine, "mmap", 0, 4096, read, shared, 5) == EPERM
    assert asked(machine, "mmap", 0, 4096, read, 3, 5) == EPERM  # MAP_SHARED_VALIDATE
    assert asked(machine, "mprotect", 0, 4096, read | write) == ALLOW
    assert asked(machine, "mprotect", 0, 4096, read | code) == EPERM


@MACHINES
def test_signals_go_to_itself_only(machine: Machine) -> None:
    assert asked(machine, "tgkill", PID, PID, 6) == ALLOW
    assert asked(machine, "tgkill", PID + 1, PID + 1, 6) == EPERM


@MACHINES
def test_descriptors_are_duplicated_and_no_more(machine: Machine) -> None:
    assert asked(machine, "fcntl", 3, 1030) == ALLOW
    for command in (0, 4, 1024, 1033):  # F_DUPFD, F_SETFL, F_SETLEASE, F_ADD_SEALS
        assert asked(machine, "fcntl", 3, command) == EPERM


@MACHINES
@pytest.mark.parametrize(
    "name", ["execve", "execveat", "ptrace", "connect", "process_vm_readv", "io_uring_setup", "bpf"]
)
def test_what_is_fatal(machine: Machine, name: str) -> None:
    assert asked(machine, name, CHANNEL) == KILL


@MACHINES
def test_every_other_number_is_refused(machine: Machine) -> None:
    program = seccomp.program(machine, PID, CHANNEL)
    known = set(machine.numbers.values())
    for number in range(600):
        if number not in known:
            assert run(program, machine.audit_arch, number, ()) == EPERM


@MACHINES
def test_other_tables_are_fatal(machine: Machine) -> None:
    program = seccomp.program(machine, PID, CHANNEL)
    for arch in (0x40000003, 0x40000028, X86_64.audit_arch ^ AARCH64.audit_arch ^ machine.audit_arch):
        assert run(program, arch, machine.numbers["read"], ()) == KILL
    x32 = run(program, machine.audit_arch, 0x40000000 | machine.numbers["read"], ())
    assert x32 == (KILL if machine is X86_64 else EPERM)


@MACHINES
def test_no_number_is_there_twice(machine: Machine) -> None:
    assert len(set(machine.numbers.values())) == len(machine.numbers)
