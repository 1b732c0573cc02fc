"""The relay's side of the server that forks its scanners (server.py): start it, ask it, start another when it ends.

Until it is ready no scanner starts; if it does not come to be ready, scanners are executed one by one, as on machines
where there is none: they cost more memory then, and mail flows. It is tried again now and then.
"""

import array
import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence

from engine.scanner import server
from engine.scanner.child import Child, Forked, executed

ANSWER_S = 5.0  # for a fork, which takes a millisecond
READY_S = 60.0  # for its imports
FAILURES = 3  # in a row without having been ready; from then on scanners are executed
AGAIN_S = 60.0  # until it is tried again then

log = logging.getLogger(__name__)


def command() -> list[str]:
    """What starts the server; the number of its channel follows."""
    return [sys.executable, "-P", "-s", "-m", "engine.scanner.server"]


class Forks:
    """One server at a time. Everything is called in the thread of the event loop, which outlives all scanners."""

    def __init__(
        self, on_ready: Callable[[], None], directly: Sequence[str], arguments: Sequence[str] | None = None
    ) -> None:
        """on_ready: called when scanners can be started. directly: what executes one where there is no server."""
        self._on_ready = on_ready
        self._directly = directly
        self._arguments = command() if arguments is None else arguments
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._timer: asyncio.TimerHandle | None = None  # until it should be ready, or is tried again
        self._is_ready = False
        self._failures = FAILURES if not server.possible() else 0
        self._running = False

    @property
    def ready(self) -> bool:
        """Whether a scanner can be started now."""
        return self._is_ready or self._failures >= FAILURES

    def start(self) -> None:
        self._running = True
        while self._failures < FAILURES and not self._launch():
            self._failures += 1
        self._try_later()

    def _try_later(self) -> None:
        if self._control is None and server.possible():
            self._timer = asyncio.get_running_loop().call_later(AGAIN_S, self._again)

    def _again(self) -> None:
        if not self._launch():
            self._try_later()

    def stop(self) -> None:
        self._running = False
        self._end()

    def renew(self) -> None:
        """Scanners from now on come of another server."""
        self._end()
        if self._running:
            self.start()

    def spawn(self, channel: int) -> Child:
        """Start a scanner on that descriptor. Raises OSError."""
        if self._is_ready and self._control is not None:
            try:
                pid = self._ask(self._control, channel)
            except OSError as error:
                log.warning("the server of scanners is started again: %s", error)
                self.renew()
                raise
            if pid <= 0:  # such as no memory; another server would not have more
                raise OSError(-pid, os.strerror(-pid))
            return Forked(pid)
        return executed(self._directly, channel)

    def _ask(self, control: socket.socket, channel: int) -> int:
        """Its answer: the number of the scanner, or that of an error below 0. Raises OSError."""
        control.settimeout(ANSWER_S)
        try:
            control.sendmsg([server.FORK], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [channel]))])
            answer = control.recv(server.PID.size)
        finally:
            control.setblocking(False)
        if len(answer) != server.PID.size:
            raise OSError("it has ended")
        return int(server.PID.unpack(answer)[0])

    def _launch(self) -> bool:
        loop = asyncio.get_running_loop()
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                self._process = executed(self._arguments, theirs.fileno())
        except OSError as error:
            control.close()
            log.error("the server of scanners cannot be started: %s", error)
            return False
        control.setblocking(False)
        self._control = control
        loop.add_reader(control.fileno(), self._readable)
        self._timer = loop.call_later(READY_S, self._readable)
        return True

    def _readable(self) -> None:
        """It is ready, or it has ended, or it takes too long."""
        control = self._control
        if control is None:
            return
        try:
            said = control.recv(server.PID.size)
        except BlockingIOError:
            if self._is_ready:
                return
            said = b""
        except OSError:
            said = b""
        if said == server.READY and not self._is_ready:
            self._is_ready = True
            self._failures = 0
            if self._timer is not None:
                self._timer.cancel()
            self._on_ready()
            return
        if not self._is_ready:
            self._failures += 1
        log.warning("the server of scanners has ended%s", "" if self._is_ready else " before it was ready")
        self.renew()
        if self.ready:
            self._on_ready()

    def _end(self) -> None:
        self._is_ready = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._control is not None:
            asyncio.get_running_loop().remove_reader(self._control.fileno())
            self._control.close()
            self._control = None
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)  # it holds nothing that could be lost
            self._process.wait()
            self._process = None
