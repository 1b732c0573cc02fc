"""Which relays answer on their command sockets: all are asked at once, and have one second together."""

import selectors
import socket
import time
from typing import Final

import msgspec

from engine.command import Answer, Command
from engine.config import Settings
from engine.layout import Layout

PATIENCE_S: Final = 1.0
ANSWER_LEN: Final = 4096
_QUESTION: Final = msgspec.json.encode(Command(op="lengths")) + b"\n"  # changes nothing


def answering(layout: Layout, settings: Settings, cores: int) -> dict[int, bool]:
    """By number of the relay. cores: of the machine, which is how many there are unless the settings say."""
    numbers = range(settings.processes.relays or cores)
    found = dict.fromkeys(numbers, False)
    with selectors.DefaultSelector() as selector:
        for number in numbers:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(PATIENCE_S)
            try:
                sock.connect(str(layout.command_socket(number)))
                sock.sendall(_QUESTION)
            except OSError:
                sock.close()
            else:
                selector.register(sock, selectors.EVENT_READ, number)
        _listen(selector, found)
        for key in list(selector.get_map().values()):
            _close(selector, key)
    return found


def _listen(selector: selectors.BaseSelector, found: dict[int, bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while selector.get_map() and (left := deadline - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            found[key.data] = _says_yes(key)
            _close(selector, key)


def _says_yes(key: selectors.SelectorKey) -> bool:
    assert isinstance(key.fileobj, socket.socket)
    try:
        return msgspec.json.decode(key.fileobj.recv(ANSWER_LEN), type=Answer).ok
    except (OSError, msgspec.MsgspecError):
        return False


def _close(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    assert isinstance(key.fileobj, socket.socket)
    selector.unregister(key.fileobj)
    key.fileobj.close()
