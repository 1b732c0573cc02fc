"""The relay's side of a template (server.py): a process that has loaded one set of definitions, and forks scanners."""

import array
import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Final

from engine.scanner import server
from engine.scanner.child import Forked
from engine.scanner.job import DefinitionsFile
from engine.scanner.protocol import REASON_LEN

ANSWER_S: Final = 5.0  # for a fork, which takes a millisecond
LOAD_S: Final = 60.0  # for definitions; 300 YARA rules take half a second
REAP_S: Final = 0.02


def ask(control: socket.socket, order: bytes, descriptors: Sequence[int]) -> int:
    """What a server answers: the number of the new process, or that of an error below 0. Raises OSError."""
    control.settimeout(ANSWER_S)
    try:
        control.sendmsg([order], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])
        answer = control.recv(server.PID.size)
    finally:
        control.setblocking(False)
    if len(answer) != server.PID.size:
        raise OSError("it has ended")
    return int(server.PID.unpack(answer)[0])


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
        self._loop.add_reader(self._control.fileno(), self._readable)
        self._timer = self._loop.call_later(LOAD_S, self._too_late)

    @property
    def pid(self) -> int:
        return self._process.pid

    def spawn(self, channel: int) -> Forked:
        """Start a scanner on that descriptor. Raises OSError, also if the template turns out to have ended."""
        try:
            pid = ask(self._control, server.FORK, [channel])
        except OSError:
            self._end_by_itself()
            raise
        if pid <= 0:
            raise OSError(-pid, "a scanner cannot be forked")
        return Forked(pid)

    def _readable(self) -> None:
        try:
            said = self._control.recv(server.PID.size + REASON_LEN * 4)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if said == server.READY and not self.ready:
            self.ready = True
            self._timer.cancel()
            self.told(self)
            return
        if said.startswith(server.REFUSED) and not self.ready:
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
        self._control.close()
        self._process.kill()
        self._reap()

    def _reap(self) -> None:
        if self._process.poll() is None:
            self._loop.call_later(REAP_S, self._reap)
