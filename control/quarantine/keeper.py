"""The quarantine of this gateway for its pages: what lies there, and the threads that send, release and ask for orders.

A thread for each, because a large file on a slow line, a server that lets wait, and a relay that writes a mail are no
reason to wait for each other; what was ordered here waits for no server. A failure in here is logged and tried again;
mail and pages go on.
"""

import logging
import threading
from collections.abc import Callable
from typing import Final

from control.quarantine.forwarder import LAST_S, Forwarder
from control.quarantine.link import Link, LinkFailed
from control.quarantine.memory import Memory
from control.quarantine.releases import Releases, Story
from control.quarantine_server.protocol import WAIT_S
from engine import events
from engine.config import Settings
from engine.layout import Layout
from engine.quarantine.folder import Folder

FILE_NAME: Final = "quarantine.sqlite"
POLL_S: Final = 1.0
AGAIN_S: Final = 10.0  # after a failure of ours
LOOK_S: Final = 30.0  # how full it is, also while a file is on its way for long

log = logging.getLogger(__name__)


class Keeper:
    """settings: those in force; never raises. story: events of an SMTP ID. clock: seconds since 1970."""

    def __init__(
        self,
        layout: Layout,
        settings: Callable[[], Settings],
        host: Callable[[], str],
        event: Callable[[events.Event], None],
        story: Story,
        clock: Callable[[], float],
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._wake = threading.Event()
        self.folder = Folder(layout.quarantine)
        self.memory = Memory(layout.control / FILE_NAME)
        self.forwarder = Forwarder(layout.root, self.folder, settings, event, clock)
        self.releases = Releases(layout, self.folder, self.memory, settings, host, event, story, clock)
        self._failures = 0

    def start(self) -> None:
        for name, step in (
            ("forward", self._forward),
            ("look", self._look),
            ("release", self._release),
            ("ordered", self._carry_out),
            ("orders", self._ask),
        ):
            threading.Thread(target=self._run, args=(step,), name=f"quarantine-{name}", daemon=True).start()

    def stop(self) -> None:
        """What is under way is left to itself: all of it can be done again."""
        self._wake.set()
        self.memory.close()

    def _run(self, step: Callable[[], float]) -> None:
        """step: says how long to wait until the next one."""
        said = ""
        wait_s = 0.0
        while not self._wake.wait(wait_s):
            try:
                wait_s, said = step(), ""
            except Exception as error:
                wait_s = AGAIN_S
                if self._wake.is_set():
                    return
                if str(error) != said:  # it will be the same time and again
                    said = str(error)
                    log.exception("the quarantine is not looked after, trying again")

    def _forward(self) -> float:
        return 0.0 if self.forwarder.step() else POLL_S

    def _look(self) -> float:
        self.forwarder.look()
        return LOOK_S

    def _release(self) -> float:
        self.releases.step()
        return POLL_S

    def _carry_out(self) -> float:
        return 0.0 if self.releases.step_ordered(self._link()) else POLL_S

    def _ask(self) -> float:
        """For orders. Whether the server answers at all is told by who sends."""
        link = self._link()
        if link is None:
            return POLL_S
        try:
            orders = link.orders(WAIT_S)
        except LinkFailed as error:
            self._failures = min(self._failures + 1, 8)
            return max(error.retry_s, min(POLL_S * 2.0**self._failures, LAST_S))
        self._failures = 0
        for order in orders:
            self.releases.ordered(order)
        return AGAIN_S if orders else 0.0  # orders are told until they end

    def _link(self) -> Link | None:
        quarantine = self._settings().quarantine
        return Link(quarantine, self._layout.root) if quarantine.server else None
