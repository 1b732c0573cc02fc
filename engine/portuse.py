"""Who uses a port (SMTP-02, INST-06): for clear refusals instead of 'address already in use'."""

import errno
import os
import socket
from pathlib import Path

from engine.config import Listener


def user_of_port(listener: Listener) -> str:
    """The program that listens there, as in `master (process 812)`; empty if the port is free, as far as can be told.

    Raises OSError if nobody could listen there: no address of this machine, no such name.
    """
    with socket.socket(family_of(listener), socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # without SO_REUSEPORT: alone, or not at all
        try:
            sock.bind((listener.host, listener.port))
        except PermissionError:  # it needs root; whether it is free can be seen all the same
            return describe(holders(listener.port)) if _listening_inodes(listener.port) else ""
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return describe(holders(listener.port))
    return ""


def family_of(listener: Listener) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in listener.host else socket.AF_INET


def describe(pids: list[int]) -> str:
    """The holders of a port in words."""
    for pid in pids:
        try:
            return f"{Path(f'/proc/{pid}/comm').read_text().strip()} (process {pid})"
        except OSError:
            continue  # ended meanwhile
    return "another program"


def holders(port: int) -> list[int]:
    """The processes that listen on a port, as far as we may look into them."""
    inodes = _listening_inodes(port)
    return sorted(
        int(process.name)
        for process in Path("/proc").iterdir()
        if process.name.isdigit() and _has_socket(process, inodes)
    )


def _has_socket(process: Path, inodes: set[str]) -> bool:
    try:
        descriptors = os.listdir(process / "fd")
    except OSError:
        return False  # gone meanwhile, or not ours to look into
    for fd in descriptors:
        try:
            target = os.readlink(process / "fd" / fd)
        except OSError:
            continue  # closed meanwhile; of our own process, the one that the list was read from
        if target.startswith("socket:[") and target[8:-1] in inodes:
            return True
    return False


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue  # no IPv6 on this machine
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rsplit(":", 1)[1], 16) == port:  # 0A: listening
                found.add(fields[9])
    return found
