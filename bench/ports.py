"""Ports on loopback for processes that are told where to listen, also when many tests look for some at once."""

import random
import socket
from typing import Final

_FIRST: Final = 20_000
_BEYOND: Final = 32_768  # where the ports begin that Linux gives to clients and to who asks for any
_CHANCE: Final = random.SystemRandom()  # seeds of tests must not lead two of them to one port
_taken: Final[list[socket.socket]] = []


def free_port() -> int:
    """Free for TCP and UDP. No other process gets it from here while this one lives."""
    while True:
        port = _CHANCE.randrange(_FIRST, _BEYOND)
        mark = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            mark.bind(f"\0mailward-port-{port}")
            _try(port)
        except OSError:
            mark.close()
            continue
        _taken.append(mark)
        return port


def _try(port: int) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
        for sock in (udp, tcp):
            sock.bind(("127.0.0.1", port))
