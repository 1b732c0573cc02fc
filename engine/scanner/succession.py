"""New definitions on their way into force: a template loads them, then as many scanners as work are forked from it.

The scanners at work go on meanwhile with what they have, and are not disturbed: nothing is loaded in them. When all
successors are ready they take over between two messages, and those before them end with what is still in their pipes.
So a message is examined with one whole set, mail never waits for a set to be loaded, and what the old set took in
memory goes with the processes that had it.

Definitions that cannot be loaded, or end three of those that load them, are refused; those in force stay.
"""

import asyncio
import functools
import logging
from collections.abc import Callable
from typing import Final, Protocol

from engine.limits import CRASHES_TO_HOLD
from engine.scan.outcome import Outcome
from engine.scanner import protocol
from engine.scanner.forks import Forks
from engine.scanner.job import DefinitionsFile, Job
from engine.scanner.process import Owner, Scanner
from engine.scanner.template import Template

AGAIN_S: Final = 0.2  # after one of its processes could not be started, or ended
log = logging.getLogger(__name__)


class Parent(Owner, Protocol):
    """Who the scanners will belong to: the pool."""

    def succeed(self, succession: "Succession", answer: protocol.DefinitionsAnswer) -> None:
        """All are ready: take over `scanners`, `template` and `file`."""

    def fail(self, succession: "Succession", reason: str) -> None:
        """The definitions are refused."""


class Succession:
    """The owner of its scanners until they take over. Everything is called in the thread of the event loop."""

    def __init__(self, parent: Parent, forks: Forks, file: DefinitionsFile, count: int, configure: bytes) -> None:
        """count: scanners that are needed. configure: the frame of the settings. file stays the caller's."""
        self._parent = parent
        self._forks = forks
        self._count = count
        self._configure = configure
        self._loop = asyncio.get_running_loop()
        self.file = file
        self.scanners: list[Scanner] = []
        self.template: Template | None = None
        self._deaths = 0
        self._over = False
        self._timer: asyncio.TimerHandle | None = None
        self._answer: protocol.DefinitionsAnswer | None = None

    # --- called by the pool -------------------------------------------------------------------------

    def advance(self) -> None:
        """Do what can be done next, if there is a server that can do it."""
        if self._over or self._timer is not None:
            return
        if self.template is None:
            if self._forks.can_prepare:
                self._attempt(self._prepare)
        elif self.template.ready:
            waiting = any(scanner.pipe for scanner in self.scanners)  # one after the other: mail goes first
            if not waiting and len(self.scanners) < self._count:
                self._attempt(functools.partial(self._start_one, self.template))
            elif not waiting and self._answer is not None:
                self._over = True
                for scanner in self.scanners:
                    scanner.owner = self._parent
                self._parent.succeed(self, self._answer)

    def restart(self) -> None:
        """With other processes: those of before are not trusted any more."""
        self._drop()
        self.advance()

    def configure(self, frame: bytes) -> None:
        self._configure = frame
        for scanner in self.scanners:
            scanner.configure(frame)

    def look_after(self, now: float, deadline_s: float) -> None:
        for scanner in list(self.scanners):
            scanner.look_after(now, deadline_s)

    def cancel(self) -> None:
        self._over = True
        self._drop()

    # --- steps --------------------------------------------------------------------------------------

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except OSError as error:
            log.warning("new definitions wait: %s", error)
            self._later()

    def _prepare(self) -> None:
        self.template = self._forks.prepare(self.file, self._told)

    def _told(self, template: Template) -> None:
        if template is not self.template or self._over:
            return
        if not template.ended:
            self.advance()
            return
        self._drop()
        if template.refused:
            self._fail(template.refused)
        else:
            self._died()

    def _start_one(self, template: Template) -> None:
        scanner = Scanner(self, template.spawn)
        self.scanners.append(scanner)
        scanner.configure(self._configure)
        scanner.use_definitions(self.file)

    def _died(self) -> None:
        """One may be an accident, or somebody's signal."""
        self._deaths += 1
        if self._deaths >= CRASHES_TO_HOLD:
            self._fail(f"{self._deaths} processes ended while they loaded them")
        else:
            self._later()

    def _later(self) -> None:
        if self._timer is None and not self._over:
            self._timer = self._loop.call_later(AGAIN_S, self._due)

    def _due(self) -> None:
        self._timer = None
        self.advance()

    def _fail(self, reason: str) -> None:
        self.cancel()
        self._parent.fail(self, reason)

    def _drop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.template is not None:
            self.template.end()
            self.template = None
        ended, self.scanners = self.scanners, []
        for scanner in ended:
            scanner.end("not needed any more")
        self._answer = None

    # --- Owner: what its scanners tell --------------------------------------------------------------

    def greeted(self, scanner: Scanner, sandbox: protocol.Sandbox) -> None:
        self._parent.greeted(scanner, sandbox)

    def answered(self, scanner: Scanner, job: Job, outcome: Outcome | None) -> None:
        """They are given no messages."""

    def definitions_answered(self, scanner: Scanner, answer: protocol.DefinitionsAnswer) -> None:
        if self._over or scanner not in self.scanners:
            return
        if answer.refused:
            self._fail(answer.refused)
        else:
            self._answer = answer
            self.advance()

    def lost(self, scanner: Scanner) -> None:
        if scanner in self.scanners:
            self.scanners.remove(scanner)
            if not self._over:
                self._died()

    def reaped(self, scanner: Scanner, detail: str) -> None:
        if not self._over:
            log.warning("scanner %d ended while it took up new definitions: %s", scanner.pid, detail)
