"""Who uses a port (SMTP-02, INST-06): for clear refusals instead of 'address already in use'."""

import os
import socket
from pathlib import Path

from engine.config import Listener


def user_of_port(listener: Listener) -> str:
    """The program that listens there, as in `master (process 812)`; empty if the port is free."""
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((listener.host, listener.port))
        except PermissionError:
            return ""  # free as far as we can tell; binding needs root
        except OSError as error:
            return _holder(listener.port) or f"something else ({error.strerror})"
    return ""


def _holder(port: int) -> str:
    inodes = _listening_inodes(port)
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            for fd in (process / "fd").iterdir():
                target = os.readlink(fd)
                if target.startswith("socket:[") and target[8:-1] in inodes:
                    return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            continue  # gone meanwhile, or not ours to look into
    return ""


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
