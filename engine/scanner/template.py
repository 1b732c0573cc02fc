"""The relay's side of a template (server.py): a process that has loaded one set of definitions, and forks scanners."""

import array
import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from engine.scanner import server
from engine.scanner.child import Forked
from engine.scanner.job import DefinitionsFile
from engine.scanner.protocol import REASON_LEN

ANSWER_S: Final = 5.0  # for a fork, which takes a millisecond
LOAD_S: Final = 60.0  # for definitions; 300 YARA rules take half a second
REAP_S: Final = 0.02


class Orders:
    """What a server is asked for, and answers in that order: new processes. Nobody waits: a fork may take long on a
    loaded machine, and mail does not."""

    def __init__(self, control: socket.socket) -> None:
        """control: without blocking, and the caller's. The server is ready."""
        self._control = control
        self._pending: deque[Forked] = deque()
        self._said = b""

    def ask(self, order: bytes, descriptors: Sequence[int]) -> Forked:
        """Raises OSError. What cannot be forked ends with EX_OSERR."""
        self._control.sendmsg([order], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])
        self._pending.append(Forked(self._settle))
        return self._pending[-1]

    def take(self, said: bytes) -> None:
        """Octets that the server said."""
        self._said += said
        while len(self._said) >= server.PID.size and self._pending:
            (pid,) = server.PID.unpack_from(self._said)
            self._said = self._said[server.PID.size :]
            self._pending.popleft().began(pid)

    def end(self) -> None:
        """The server has ended, and what it has not told is not known. The channel is still open."""
        with contextlib.suppress(OSError):  # nothing more was said
            self.take(self._control.recv(server.PID.size * (len(self._pending) + 1)))
        while self._pending:
            self._pending.popleft().began(0)

    def _settle(self) -> None:
        try:
            self._control.settimeout(ANSWER_S)
            try:
                said = self._control.recv(server.PID.size)
            finally:
                self._control.setblocking(False)
        except OSError:
            said = b""
        if said:
            self.take(said)
            return
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)  # its answers would be taken for those to other questions
        self.end()


class Template:
    """All calls are made in the thread of the event loop, which outlives the process.

    told: called once when the definitions are loaded, and once when it ended by itself; never after `end`.
    """

    def __init__(
        self, file: DefinitionsFile, start: Callable[[Sequence[int]], Forked], told: Callable[["Template"], None]
    ) -> None:
        """start: makes the process, of the descriptors of its channel and of the file. Raises OSError."""
        self.key = file.key
        self.ready = False
        self.ended = False
        self.refused = ""  # why its definitions cannot be used
        self.told = told
        self._loop = asyncio.get_running_loop()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                self._process = start([theirs.fileno(), file.fd])
        except OSError:
            self._control.close()
            raise
        self._control.setblocking(False)
        self._orders = Orders(self._control)
        self._loop.add_reader(self._control.fileno(), self._readable)
        self._timer = self._loop.call_later(LOAD_S, self._too_late)

    @property
    def pid(self) -> int:
        return self._process.pid

    def spawn(self, channel: int) -> Forked:
        """Start a scanner on that descriptor. Raises OSError, also if the template turns out to have ended."""
        try:
            return self._orders.ask(server.FORK, [channel])
        except OSError:
            self._end_by_itself()
            raise

    def _readable(self) -> None:
        try:
            said = self._control.recv(server.PID.size + REASON_LEN * 4)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if said and self.ready:
            self._orders.take(said)
            return
        if said == server.READY:
            self.ready = True
            self._timer.cancel()
            self.told(self)
            return
        if said.startswith(server.REFUSED):
            self.refused = said[len(server.REFUSED) :].decode("utf-8", "replace")[:REASON_LEN]
        self._end_by_itself()

    def _too_late(self) -> None:
        self.refused = f"they could not be loaded within {LOAD_S:g} s"
        self._end_by_itself()

    def _end_by_itself(self) -> None:
        if not self.ended:
            self.end()
            self.told(self)

    def end(self) -> None:
        """It holds nothing that could be lost. Its scanners live on."""
        if self.ended:
            return
        self.ended, self.ready = True, False
        self._timer.cancel()
        self._loop.remove_reader(self._control.fileno())
        self._orders.end()
        self._control.close()
        self._process.kill()
        self._reap()

    def _reap(self) -> None:
        if self._process.poll() is None:
            self._loop.call_later(REAP_S, self._reap)
