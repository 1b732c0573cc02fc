"""Listening sockets: bound before root is given up, several for one port, and clear words when that fails (SMTP-02)."""

import errno
import os
import socket
from collections.abc import Callable
from itertools import product
from pathlib import Path
from string import ascii_lowercase
from typing import Final, NamedTuple

from engine import portuse
from engine.config import Acceptance, FurtherListener, Listener, ListenMode, ListenTls, MailListener, Settings

BACKLOG = 1024
WEB: Final = ("http", "https")


class Kind(NamedTuple):
    """What is served where a client arrives. submission: people, after AUTH. implicit: TLS comes first. accept: when
    it is told that a message was taken."""

    submission: bool = False
    implicit: bool = False
    accept: Acceptance = Acceptance.QUEUE

    @property
    def code(self) -> str:
        """One character, in which processes tell each other."""
        return ascii_lowercase[_KINDS.index(self)]

    @classmethod
    def of(cls, code: str) -> "Kind":
        return _KINDS[ascii_lowercase.index(code)]


MX: Final = Kind()
_KINDS: Final = [Kind(*one) for one in product((False, True), (False, True), Acceptance)]


class Entrance(NamedTuple):
    """A listening socket of one relay."""

    sock: socket.socket
    kind: Kind = MX


class CannotListen(Exception):
    """Why, in words for the operator."""


class Listeners:
    """Where an installation listens, and its sockets: for each listener of mail one for each relay, and one for plain
    pages, one for pages by TLS. Names are those of the settings that say where, but for `smtp`, `http` and `https`.
    """

    def __init__(self, settings: Settings, relays: int, ours: Callable[[int], bool]) -> None:
        """ours: whether a process belongs to this installation. Raises CannotListen."""
        self._ours = ours
        self._relays = relays
        self.addresses = addresses(settings)
        self.sockets = self._bind(self.addresses)

    def change(self, settings: Settings) -> list[str]:
        """Listen where new settings say: all of it or, raising CannotListen, nothing of it (SMTP-04).

        Returns the names of what has new sockets. The old ones are closed here; processes have copies of theirs.
        """
        wanted = addresses(settings)
        changed = {name: listener for name, listener in wanted.items() if listener != self.addresses.get(name)}
        gone = [name for name in self.addresses if name not in wanted]
        fresh = self._bind(changed)
        for name in (*fresh, *gone):
            _close(self.sockets.pop(name, []))
        self.sockets |= fresh
        self.addresses = wanted
        return [*changed, *gone]

    def of_relay(self, number: int) -> list["Entrance"]:
        """Where this relay takes mail."""
        names = [name for name in self.addresses if name not in WEB]
        return [Entrance(self.sockets[name][number], kind_of(self.addresses[name])) for name in names]

    def close(self) -> None:
        for sockets in self.sockets.values():
            _close(sockets)

    def _bind(self, wanted: dict[str, Listener]) -> dict[str, list[socket.socket]]:
        bound: dict[str, list[socket.socket]] = {}
        try:
            for name, listener in wanted.items():
                bound[name] = bind(listener, 1 if name in WEB else self._relays, self._ours)
        except CannotListen:
            for sockets in bound.values():
                _close(sockets)
            raise
        return bound


def addresses(settings: Settings) -> dict[str, Listener]:
    further = {f"smtp.listeners[{index}]": one for index, one in enumerate(settings.smtp.listeners)}
    return {"smtp": settings.smtp.listen, "http": settings.web.http, "https": settings.web.https, **further}


def kind_of(listener: Listener) -> Kind:
    accept = listener.accept if isinstance(listener, MailListener) else Acceptance.QUEUE
    if not isinstance(listener, FurtherListener):
        return Kind(accept=accept)
    return Kind(listener.mode is ListenMode.SUBMISSION, listener.tls is ListenTls.IMPLICIT, accept)


def _close(sockets: list[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def bind(listener: Listener, count: int, ours: Callable[[int], bool]) -> list[socket.socket]:
    """Listening sockets that share one address by SO_REUSEPORT. Raises CannotListen.

    That option would let any program of the same user share the port, and get a part of the connections. So the port
    must be free, but for processes of ours: those of a predecessor that was killed are just about to end.
    """
    found: list[socket.socket] = []
    try:
        if portuse.user_of_port(listener):
            pids = portuse.holders(listener.port)
            if not pids or not all(map(ours, pids)):
                others = [pid for pid in pids if not ours(pid)]
                raise CannotListen(
                    f"cannot listen on {listener}: it is in use by {portuse.describe(others)}; "
                    "stop that or choose another port"
                )
        for _ in range(count):
            sock = socket.socket(portuse.family_of(listener), socket.SOCK_STREAM)
            found.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind((listener.host, listener.port))
            sock.listen(BACKLOG)
            sock.setblocking(False)
    except OSError as error:
        _close(found)
        raise CannotListen(f"cannot listen on {listener}: {_reason(error, listener)}") from None
    return found


def _reason(error: OSError, listener: Listener) -> str:
    if isinstance(error, socket.gaierror):
        return f"{listener.host!r} is not an address, nor a name of one"
    if error.errno == errno.EACCES:
        return "only root may take ports below 1024; start mailward as root, it gives that up when it has them"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"this machine has no address {listener.host}"
    if error.errno == errno.EADDRINUSE:
        return "the port is in use by another program"
    return error.strerror or str(error)


def belongs_to(root: Path) -> Callable[[int], bool]:
    """Tells whether a process is one of the installation in root."""
    mark = f"--root={root}".encode()

    def ours(pid: int) -> bool:
        if pid == os.getpid():
            return True
        try:
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return True  # it has ended, and holds nothing any more
        return mark in arguments and any(module in arguments for module in (b"engine.relay", b"control.serve"))

    return ours
