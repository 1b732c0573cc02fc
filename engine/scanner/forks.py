"""The relay's side of the server that forks its scanners (server.py): start it, ask it, start another when it ends.

Scanners are forked from the template of the definitions in force, which the server makes, and makes again if it ends.
Until server and template are ready no scanner starts; if they do not come to be ready, scanners are executed one by
one, or forked from the server and load the definitions by themselves, as on machines where there is neither: they cost
more memory then, and mail flows. A server is tried again now and then.
"""

import asyncio
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence

from engine.limits import CRASHES_TO_HOLD
from engine.scanner import server
from engine.scanner.child import Child, Forked, executed, reap_strays
from engine.scanner.job import DefinitionsFile
from engine.scanner.template import Orders, Template

READY_S = 60.0  # for its imports
FAILURES = 3  # in a row without having been ready; from then on scanners are executed
AGAIN_S = 60.0  # until it is tried again then
STRAYS_S = 1.0  # how often it is looked for processes of servers that have ended

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
        self._orders: Orders | None = None  # of a server that is ready
        self._is_ready = False
        self._failures = FAILURES if not server.possible() else 0
        self._running = False
        self._file: DefinitionsFile | None = None  # that scanners are forked with
        self._template: Template | None = None  # which has it
        self._template_deaths = 0  # in a row
        self._former: list[int] = []  # servers with processes left
        self._strays: asyncio.TimerHandle | None = None

    @property
    def has_server(self) -> bool:
        """Whether there is one, or will be in a moment."""
        return self._control is not None

    @property
    def can_prepare(self) -> bool:
        """Whether a template can be made now."""
        return self._is_ready

    @property
    def ready(self) -> bool:
        """Whether a scanner can be started now."""
        if not self._is_ready:
            return self._failures >= FAILURES
        return self._template is None or self._template.ready

    # --- templates ----------------------------------------------------------------------------------

    def prepare(self, file: DefinitionsFile, told: Callable[[Template], None]) -> Template:
        """Have definitions loaded, in a process that is the caller's until it is adopted. Raises OSError."""

        def start(descriptors: Sequence[int]) -> Forked:
            if self._orders is None:
                raise OSError("there is no server of scanners")
            return self._asked(self._orders, server.LOAD, descriptors)

        return Template(file, start, told)

    def adopt(self, file: DefinitionsFile, template: Template | None) -> None:
        """From now on scanners are forked with these definitions. file stays the caller's, and open until the next
        call. template: made by `prepare`; None: one is made if that is possible."""
        if self._template is not None:
            self._template.end()
        self._file, self._template, self._template_deaths = file, template, 0
        if template is not None:
            template.told = self._template_told
        elif self._is_ready:
            self._make_template()

    def _make_template(self) -> None:
        """If it cannot be made, or ends again and again, scanners load what they need by themselves."""
        self._template = None
        if self._file is not None and self._template_deaths < CRASHES_TO_HOLD:
            try:
                self._template = self.prepare(self._file, self._template_told)
            except OSError as error:
                log.warning("scanners load definitions by themselves: %s", error)

    def _template_told(self, template: Template) -> None:
        if template is not self._template:
            return
        if template.ended and self._running:
            self._template_deaths += 1
            log.warning("the template of scanners has ended%s", f": {template.refused}" if template.refused else "")
            self._make_template()
        if self.ready:
            self._on_ready()

    # --- the server ---------------------------------------------------------------------------------

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
        if self._strays is not None:
            self._strays.cancel()
            self._strays = None

    def renew(self) -> None:
        """Scanners from now on come of another server."""
        self._end()
        if self._running:
            self.start()

    def spawn(self, channel: int) -> Child:
        """Start a scanner on that descriptor. Raises OSError."""
        if self._template is not None and self._template.ready:
            child = self._template.spawn(channel)
            self._template_deaths = 0
            return child
        if self._orders is not None:
            return self._asked(self._orders, server.FORK, [channel])
        return executed(self._directly, channel)

    def _asked(self, orders: Orders, order: bytes, descriptors: Sequence[int]) -> Forked:
        """Raises OSError."""
        try:
            return orders.ask(order, descriptors)
        except OSError as error:
            log.warning("the server of scanners is started again: %s", error)
            self.renew()
            raise

    def _launch(self) -> bool:
        loop = asyncio.get_running_loop()
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with theirs:
                self._process = executed(self._arguments, theirs.fileno(), leads=True)
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
        if said and self._orders is not None:
            self._orders.take(said)
            return
        if said == server.READY and not self._is_ready:
            self._is_ready = True
            self._orders = Orders(control)
            self._failures = 0
            if self._timer is not None:
                self._timer.cancel()
            self._make_template()
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
        if self._template is not None:
            self._template.end()
            self._template = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)  # it holds nothing that could be lost
            self._process.wait()
            self._former.append(self._process.pid)
            self._process = None
            if self._strays is None:
                self._reap_strays()
        if self._orders is not None:
            self._orders.end()
            self._orders = None
        if self._control is not None:
            asyncio.get_running_loop().remove_reader(self._control.fileno())
            self._control.close()
            self._control = None

    def _reap_strays(self) -> None:
        self._strays = None
        if self._former:
            self._strays = asyncio.get_running_loop().call_later(STRAYS_S, self._reap_strays)
        self._former = [group for group in self._former if reap_strays(group)]
