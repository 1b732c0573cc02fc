"""The relay's scanners: `count` that work and one spare, started and waiting, so that a crash costs almost nothing.

A message is given to the working scanner with the least in its pipe, or waits. When a scanner ends (crash, deadline,
an answer that cannot be), the message at the head of its pipe is to blame: `examine` raises ScannerCrashed for it.
The messages behind it go to the front of the line and are sent again; nobody learns of that. A scanner that cannot
start makes messages wait, never fail: they are durable, and starting is tried again, with growing delay.

Settings travel in the same pipes as messages, so each message is examined with what was current when it was given to
its scanner (PROC-15). New definitions come with scanners of their own, which take over when all are ready
(succession.py); where none can be forked, they travel in the pipes, too. A swap stalls nothing.

Known gaps: a message that was sent behind a slow one waits for it, also when another scanner becomes idle meanwhile.
"""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from engine import events
from engine.config import Settings
from engine.limits import CRASHES_TO_HOLD
from engine.scan.outcome import Outcome
from engine.scanner import process, protocol
from engine.scanner.canary import Canary
from engine.scanner.child import Starter, executed
from engine.scanner.forks import Forks
from engine.scanner.job import DefinitionsFile, Extent, Job
from engine.scanner.process import Scanner
from engine.scanner.succession import Succession

TICK_S = 0.25  # how exactly deadlines are kept
SPARES = 1
DELAY_FIRST_S, DELAY_LAST_S = 0.1, 5.0  # between starts of scanners that end without having answered anything
STOP_S = 5.0
REPLACED = "replaced"

log = logging.getLogger(__name__)


class ScannerCrashed(Exception):
    """The scanner ended, or ran out of time, on this very message. detail: how, in plain words."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class PoolStopped(Exception):
    """The pool was stopped before the message was examined; nothing is known about it."""


class ScannerPool:
    """Scanners of one relay. Everything is called in the thread of its event loop."""

    def __init__(
        self,
        count: int,
        settings: Settings,
        on_event: Callable[[events.Event], None],
        *,
        command: Sequence[str] | None = None,
        deadline_s: float | None = None,
    ) -> None:
        """command: what starts a scanner; else they are forked. deadline_s: for one message, else as the settings say
        (`deadline_s`).
        """
        self._count = count
        self._event = on_event
        directly = process.command() if command is None else command
        self._forks = Forks(self._can_fork, directly) if command is None else None
        self._start: Starter = self._forks.spawn if self._forks else lambda channel: executed(directly, channel)
        self._fixed_deadline_s = deadline_s
        self._scanners: list[Scanner] = []  # oldest first; the first `count` that are ready work
        self._working: list[Scanner] = []
        self._leaving: list[Scanner] = []  # replaced, with messages left in their pipes
        self._dying: dict[Scanner, Job | None] = {}  # until it is known how they ended, with the message to blame
        self._waiting: deque[Job] = deque()
        self._numbers = itertools.count(1)
        self._serials = itertools.count(1)
        self._definitions: DefinitionsFile | None = None  # accepted
        self._candidate: DefinitionsFile | None = None  # tried, and not yet accepted
        self._decided: Callable[[str], None] = lambda refused: None  # of the candidate
        self._succession: Succession | None = None  # of the candidate, if there is a server of scanners
        self._candidate_deaths = 0  # of scanners that were loading it
        self._failures = 0  # scanners in a row that answered nothing
        self._due = 0  # starts that wait for their delay
        self._timer: asyncio.TimerHandle | None = None
        self._running = False
        self._closing = False
        self._all_reaped = asyncio.Event()
        in_force = lambda: self._definitions.fd if self._definitions else None  # noqa: E731
        self.canary = Canary(settings, on_event, in_force, self._start)
        self._adopt(settings)

    # --- settings and definitions -----------------------------------------------------------------

    def apply(self, settings: Settings) -> None:
        """For all messages from now on."""
        self._adopt(settings)
        for scanner in (*self._scanners, *self._leaving):
            scanner.configure(self._configure)
        if self._succession is not None:
            self._succession.configure(self._configure)
        self.canary.apply(settings)

    def _adopt(self, settings: Settings) -> None:
        self._configure = bytes(protocol.encode(protocol.Configure(settings)))
        self._deadline_s = protocol.deadline_s(settings) if self._fixed_deadline_s is None else self._fixed_deadline_s

    def use_definitions(self, fd: int, decided: Callable[[str], None] = lambda refused: None) -> None:
        """Have messages examined with a definitions file; takes the descriptor over.

        The file must not be written to any more. The result is an event, DefinitionsLoaded or DefinitionsRefused;
        refused ones change nothing. The file that is in use already is not loaded again.

        decided: told why they are refused, or nothing. Not told about a file that was followed by another.
        """
        file = DefinitionsFile(next(self._serials), fd)
        newest = self._candidate or self._definitions
        if newest is not None and newest.key == file.key:
            file.close()
            return
        self._forget_candidate()
        self._candidate, self._decided, self._candidate_deaths = file, decided, 0
        if self._running:
            self._introduce(file)

    def _introduce(self, file: DefinitionsFile) -> None:
        if self._forks is not None and self._forks.has_server:
            self._succession = Succession(self, self._forks, file, self._count, self._configure)
            self._succession.advance()
        else:
            for scanner in self._scanners:
                scanner.use_definitions(file)

    def _forget_candidate(self) -> None:
        if self._succession is not None:
            self._succession.cancel()
            self._succession = None
        if self._candidate is not None:
            self._candidate.close()
            self._candidate = None

    def succeed(self, succession: Succession, answer: protocol.DefinitionsAnswer) -> None:
        """The scanners of the new definitions take over; those before them examine what they were given."""
        self._succession = None
        replaced, self._scanners = self._scanners, succession.scanners
        if self._forks is not None:
            self._forks.adopt(succession.file, succession.template)
        self._accept(succession.file, answer)
        self._leaving += replaced
        self._choose()
        for scanner in replaced:
            self._let_go(scanner)
        self._replenish()

    def _let_go(self, scanner: Scanner) -> None:
        if not any(isinstance(entry, Job) for entry in scanner.pipe):
            scanner.end(REPLACED)

    def fail(self, succession: Succession, reason: str) -> None:
        self._succession = None
        self._refuse(reason)
        self._replenish()

    def definitions_answered(self, scanner: Scanner, answer: protocol.DefinitionsAnswer) -> None:
        self._decide(scanner, answer)
        self._fill()  # its pipe has room again

    def _decide(self, scanner: Scanner, answer: protocol.DefinitionsAnswer) -> None:
        candidate = self._candidate
        if candidate is None or candidate.serial != answer.serial:  # the first answer was the one for all
            if answer.refused and self._definitions is not None and self._definitions.serial == answer.serial:
                log.error("scanner %d refused definitions that another took: %s", scanner.pid, answer.refused)
            return
        if answer.refused:
            self._refuse(answer.refused)
            return
        if self._forks is not None:
            self._forks.adopt(candidate, None)
        self._accept(candidate, answer)

    def _accept(self, file: DefinitionsFile, answer: protocol.DefinitionsAnswer) -> None:
        if self._definitions is not None:
            self._definitions.close()
        self._definitions, self._candidate = file, None
        self._event(events.DefinitionsLoaded(revision=answer.revision, signatures=answer.signatures))
        self._decided("")
        self._choose()

    def _refuse(self, reason: str) -> None:
        self._forget_candidate()
        reason = reason[: protocol.REASON_LEN]
        self._event(events.DefinitionsRefused(reason=reason))
        self._decided(reason)

    # --- messages ---------------------------------------------------------------------------------

    async def examine(
        self, smtp_id: str, extents: Sequence[Extent], begun: Callable[[], None] = lambda: None
    ) -> Outcome:
        """Have a message examined. The descriptors must stay open until this returns or raises.

        begun: called when it is the turn of this message and no other before it; perhaps not before this returns, and
        again if it has to begin anew with another scanner.

        Raises ScannerCrashed, PoolStopped, and OSError when the files cannot be handed over. Waits as long as there
        are no scanner and no definitions.
        """
        outcome: Outcome = await self._worked(smtp_id, extents, begun)
        self.canary.offer(smtp_id, extents)
        return outcome

    async def extract(self, smtp_id: str, extents: Sequence[Extent], intake: protocol.Intake) -> None:
        """Have files of a message, as they were received, put into an intake. As `examine` otherwise."""
        await self._worked(smtp_id, extents, lambda: None, intake)

    async def _worked(
        self,
        smtp_id: str,
        extents: Sequence[Extent],
        begun: Callable[[], None],
        intake: protocol.Intake | None = None,
    ) -> Any:
        if self._closing:
            raise PoolStopped
        job = Job(next(self._numbers), smtp_id, extents, asyncio.get_running_loop().create_future(), begun, intake)
        scanner = None if self._waiting else self._scanner_for(job.size)
        if scanner is None:
            self._waiting.append(job)
        else:
            scanner.examine(job)
        return await job.future

    def _scanner_for(self, size: int) -> Scanner | None:
        best = None
        for scanner in self._working:
            if scanner.has_room(size) and (best is None or len(scanner.pipe) < len(best.pipe)):
                best = scanner
        return best

    def _fill(self) -> None:
        """Give out what waits, in order, as far as pipes have room."""
        while self._waiting:
            job = self._waiting[0]
            if job.future.done():  # cancelled meanwhile
                self._waiting.popleft()
                continue
            scanner = self._scanner_for(job.size)
            if scanner is None:
                return
            self._waiting.popleft()
            try:
                scanner.examine(job)
            except OSError as error:
                job.future.set_exception(error)

    def answered(self, scanner: Scanner, job: Job, outcome: Outcome | None) -> None:
        if not job.future.done():
            job.future.set_result(outcome)
        self._failures = 0
        if scanner in self._leaving:
            self._let_go(scanner)
        elif self._waiting:
            self._fill()

    # --- scanners come and go ---------------------------------------------------------------------

    async def start(self) -> None:
        """Start the processes; does not wait for them."""
        self._running = True
        if self._forks is not None:
            self._forks.start()
        if self._candidate is not None:
            self._introduce(self._candidate)
        self._replenish()
        self._tick()

    def _replenish(self) -> None:
        while self._running and self._can_start() and len(self._scanners) + self._due < self._count + SPARES:
            if self._failures > 1:
                delay_s = min(DELAY_FIRST_S * 2.0 ** min(self._failures - 2, 16), DELAY_LAST_S)
                self._due += 1
                asyncio.get_running_loop().call_later(delay_s, self._start_due)
            elif not self._start_one():
                self._failures = max(self._failures, 1) + 1

    def _can_fork(self) -> None:
        """Called when there is a server of scanners, or when it is given up."""
        succession = self._succession
        if succession is not None and self._forks is not None and not self._forks.has_server:
            self._succession = None
            succession.cancel()
            self._introduce(succession.file)
        elif succession is not None:
            succession.advance()
        self._replenish()

    def _can_start(self) -> bool:
        """Not while the first definitions are loaded: there is nothing to examine messages with."""
        if self._definitions is None and self._succession is not None:
            return False
        return self._forks is None or self._forks.ready

    def _start_due(self) -> None:
        self._due -= 1
        if self._running and self._can_start() and not self._start_one():
            self._failures += 1
            self._replenish()

    def _start_one(self) -> bool:
        try:
            scanner = Scanner(self, self._start)
        except OSError as error:
            log.error("a scanner cannot be started: %s", error)
            return False
        self._scanners.append(scanner)
        scanner.configure(self._configure)
        for file in (self._definitions, self._candidate if self._succession is None else None):
            if file is not None:
                scanner.use_definitions(file)
        return True

    def greeted(self, scanner: Scanner, sandbox: protocol.Sandbox) -> None:
        self._event(
            events.ScannerStarted(
                pid=scanner.pid, seccomp=sandbox.seccomp, landlock=sandbox.landlock, missing=sandbox.missing
            )
        )
        if sandbox.missing:
            log.warning("scanner %d: sandbox without %s", scanner.pid, "; ".join(sandbox.missing))
        self._choose()

    def _choose(self) -> None:
        """Without definitions messages wait: a shortage passes, and what SCAN-07 does to mail cannot be undone."""
        ready = [scanner for scanner in self._scanners if scanner.ready] if self._definitions is not None else []
        self._working = ready[: self._count]
        self._fill()

    def lost(self, scanner: Scanner) -> None:
        is_leaving = scanner in self._leaving
        (self._leaving if is_leaving else self._scanners).remove(scanner)
        entries = list(scanner.pipe)
        head = entries.pop(0) if entries else None
        if isinstance(head, Job) and not head.sent:  # it cannot have seen it
            entries.insert(0, head)
            head = None
        self._dying[scanner] = head if isinstance(head, Job) else None
        if not self._running:
            return
        self._waiting.extendleft(entry for entry in reversed(entries) if isinstance(entry, Job))
        if is_leaving:
            self._fill()
            return
        if isinstance(head, DefinitionsFile) and head is self._candidate:
            self._candidate_deaths += 1  # one may be an accident, or somebody's signal
            if self._candidate_deaths >= CRASHES_TO_HOLD:
                self._refuse(f"{self._candidate_deaths} scanners ended while they loaded them")
        self._failures = 0 if scanner.answers else self._failures + 1
        self._choose()
        self._replenish()

    def reaped(self, scanner: Scanner, detail: str) -> None:
        job = self._dying.pop(scanner)
        if self._running and (job is not None or detail != REPLACED):
            if scanner.crashed and self._forks is not None:
                self._forks.renew()
                if self._succession is not None:
                    self._succession.restart()
            about = f" while it examined {job.smtp_id}" if job else ""
            log.warning("scanner %d ended%s: %s", scanner.pid, about, detail)
            self._event(events.ProcessRestarted(name="scanner", reason=detail + about))
        if not self._running and not self._dying:
            self._all_reaped.set()
        if job is not None and not job.future.done():
            job.future.set_exception(ScannerCrashed(detail))

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for scanner in (*self._scanners, *self._leaving):
            scanner.look_after(now, self._deadline_s)
        if self._succession is not None:
            self._succession.look_after(now, self._deadline_s)
        self._timer = loop.call_later(TICK_S, self._tick)

    async def stop(self) -> None:
        """End the scanners. Messages that are not examined yet get PoolStopped: they are in the queue (PROC-14)."""
        self._running = False
        self._closing = True
        await self.canary.stop()
        if self._forks is not None:
            self._forks.stop()
        if self._timer is not None:
            self._timer.cancel()
        jobs = [*self._waiting, *(job for job in self._dying.values() if job is not None)]
        for scanner in (*self._scanners, *self._leaving):
            jobs += [entry for entry in scanner.pipe if isinstance(entry, Job)]
        self._waiting.clear()
        for job in jobs:
            if not job.future.done():
                job.future.set_exception(PoolStopped())
        for scanner in (*self._scanners, *self._leaving):
            scanner.end("stopped")
        if self._dying:
            self._all_reaped.clear()  # the first may have been reaped before the second was ended
            try:
                await asyncio.wait_for(self._all_reaped.wait(), STOP_S)
            except TimeoutError:
                log.error("%d scanners do not end", len(self._dying))
        self._forget_candidate()
        if self._definitions is not None:
            self._definitions.close()
            self._definitions = None
