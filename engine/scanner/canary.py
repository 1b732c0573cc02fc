"""New definitions on copies of live mail, before they come into force (DEF-16).

Theory of operation. While there is a candidate file, one scanner more runs at idle priority, so that it gets what
nobody else wants. Messages that were examined are copied, some at a time, and examined twice by it: with what is in
force and with the candidate. What differs, and the processor time of both, is an event; the pages judge. A message
that does not find it waiting for copies is not copied: a loaded gateway compares few, and is not slowed down.

Mail never waits for it, and nothing that fails in it is more than an event.
"""

import asyncio
import functools
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from engine import events
from engine.config import Settings
from engine.definitions import Mark, mark_of
from engine.limits import MIB
from engine.scan.outcome import Outcome
from engine.scanner import protocol
from engine.scanner.child import Starter
from engine.scanner.job import DefinitionsFile, Extent, Job
from engine.scanner.process import Scanner

BATCH: Final = 16  # messages
BATCH_S: Final = 2.0  # after which fewer do
REST_S: Final = 2.0  # between batches: 8 messages a second say enough, and cost the relay next to nothing
COPY_LEN: Final = MIB  # octets of one; the copying is done by the relay
PATIENCE: Final = 20  # deadlines of an ordinary scanner: it gets little time
NAMES: Final = 100  # in one event, each way
STOP_S: Final = 5.0
AGAIN_S: Final = 5.0  # after a scanner that could not be started, or ended
log = logging.getLogger(__name__)


class _Ended(Exception):
    """The scanner ended. is_fault: it did so by itself."""

    def __init__(self, detail: str, is_fault: bool) -> None:
        super().__init__(detail)
        self.is_fault = is_fault


class _Copy:
    """Octets of one message in memory; an Extent."""

    __slots__ = ("fd", "length", "offset", "smtp_id")

    def __init__(self, smtp_id: str, extents: Sequence[Extent]) -> None:
        """Raises OSError."""
        self.smtp_id = smtp_id
        self.offset, self.length = 0, sum(extent.length for extent in extents)
        self.fd = os.memfd_create("canary", os.MFD_CLOEXEC)
        try:
            for extent in extents:
                os.write(self.fd, os.pread(extent.fd, extent.length, extent.offset))
        except BaseException:
            os.close(self.fd)
            raise

    def close(self) -> None:
        os.close(self.fd)


class Canary:
    """Of one relay; an owner of its scanner. in_force: a descriptor of the definitions in use, which stays theirs.

    start: what starts a scanner. All calls are made in the thread of the event loop.
    """

    def __init__(
        self,
        settings: Settings,
        on_event: Callable[[events.Event], None],
        in_force: Callable[[], int | None],
        start: Starter,
    ) -> None:
        self._settings = settings
        self._event = on_event
        self._in_force = in_force
        self._start_scanner = start
        self._mark: Mark | None = None
        self._candidate: DefinitionsFile | None = None
        self._scanner: Scanner | None = None
        self._again_at = 0.0
        self._copies: list[_Copy] = []
        self._first_s = self._rests_until_s = 0.0
        self._batch: asyncio.Task[None] | None = None
        self._waited_for: tuple[Scanner, asyncio.Future[Any]] | None = None
        self._dying: set[Scanner] = set()
        self._all_reaped = asyncio.Event()
        self._numbers = 0

    # --- called by the relay ------------------------------------------------------------------------

    def apply(self, settings: Settings) -> None:
        self._settings = settings
        if self._scanner is not None:
            self._scanner.configure(bytes(protocol.encode(protocol.Configure(settings))))

    def look(self, path: Path) -> None:
        """Now and then: whether there is a candidate, and whether what was copied is to be examined."""
        mark = mark_of(path)
        if mark != self._mark:
            self._drop()
            self._mark = mark
            if mark is not None:
                self._take_up(path)
        if self._candidate is None:
            return
        now = asyncio.get_running_loop().time()
        if self._scanner is None:
            if now >= self._again_at:
                self._start()
            return
        self._scanner.look_after(now, protocol.deadline_s(self._settings) * PATIENCE)
        if self._copies and now - self._first_s > BATCH_S:
            self._begin()

    def offer(self, smtp_id: str, extents: Sequence[Extent]) -> None:
        """A message that was examined just now, whose files are still open. Never raises."""
        scanner = self._scanner
        if scanner is None or not scanner.ready or self._batch is not None or len(self._copies) == BATCH:
            return
        if sum(extent.length for extent in extents) > COPY_LEN:
            return
        now = asyncio.get_running_loop().time()
        if now < self._rests_until_s:
            return
        try:
            self._copies.append(_Copy(smtp_id, extents))
        except OSError as error:
            log.warning("message %s is not copied for new definitions: %s", smtp_id, error)
            return
        if len(self._copies) == 1:
            self._first_s = now
        if len(self._copies) == BATCH:
            self._begin()

    async def stop(self) -> None:
        self._mark = None
        self._drop()
        if self._dying:
            self._all_reaped.clear()
            try:
                await asyncio.wait_for(self._all_reaped.wait(), STOP_S)
            except TimeoutError:
                log.error("the scanner for new definitions does not end")

    # --- life ---------------------------------------------------------------------------------------

    def _take_up(self, path: Path) -> None:
        try:
            self._candidate = DefinitionsFile(0, os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            log.warning("the candidate %s cannot be read: %s", path, error)

    def _drop(self) -> None:
        if self._batch is not None:
            self._batch.cancel()
        scanner, self._scanner = self._scanner, None
        if scanner is not None:
            scanner.end("not needed any more")
        for copy in self._copies:
            copy.close()
        self._copies = []
        if self._candidate is not None:
            self._candidate.close()
            self._candidate = None

    def _start(self) -> None:
        self._again_at = asyncio.get_running_loop().time() + AGAIN_S
        try:
            self._scanner = Scanner(self, self._start_scanner)
        except OSError as error:
            log.warning("no scanner for new definitions can be started: %s", error)
            return
        self.apply(self._settings)

    def _begin(self) -> None:
        if self._batch is None and self._candidate is not None and (fd := self._in_force()) is not None:
            copies, self._copies = self._copies, []
            in_use = DefinitionsFile(0, os.dup(fd))
            self._batch = asyncio.get_running_loop().create_task(self._compare(copies, in_use, self._candidate))
            self._batch.add_done_callback(functools.partial(self._compared, copies, in_use))  # also if it never began

    def _compared(self, copies: list[_Copy], in_use: DefinitionsFile, batch: "asyncio.Task[None]") -> None:
        self._batch = None
        self._rests_until_s = asyncio.get_running_loop().time() + REST_S
        in_use.close()
        for copy in copies:
            copy.close()
        if not batch.cancelled() and (error := batch.exception()) is not None:
            log.error("new definitions cannot be compared with those in force", exc_info=error)

    # --- comparing ----------------------------------------------------------------------------------

    async def _compare(self, copies: list[_Copy], in_use: DefinitionsFile, candidate: DefinitionsFile) -> None:
        crash, revision = "", ""
        before: list[str] = []
        after: list[str] = []
        before_ms = after_ms = 0
        try:
            _, before, before_ms = await self._examined(copies, in_use)
            try:
                revision, after, after_ms = await self._examined(copies, candidate)
            except _Ended as ended:
                if not ended.is_fault:
                    raise
                crash, revision = str(ended), self._revision
        except _Ended as ended:
            log.info("new definitions are not compared just now: %s", ended)
            return
        pairs = list(zip(before, after, strict=False))
        self._event(
            events.DefinitionsCompared(
                revision=revision,
                messages=len(copies),
                found=tuple(new for old, new in pairs if new and not old)[:NAMES],
                gone=tuple(old for old, new in pairs if old and not new)[:NAMES],
                before_ms=before_ms,
                after_ms=after_ms,
                crash=crash,
            )
        )

    _revision = ""  # of the definitions that the scanner was given last

    async def _examined(self, copies: list[_Copy], file: DefinitionsFile) -> tuple[str, list[str], int]:
        """(revision, for each message a signature that matched or nothing, processor time in ms). Raises _Ended."""
        scanner = self._scanner
        if scanner is None:
            raise _Ended("there is no scanner", is_fault=False)
        self._numbers += 1
        file.serial = self._numbers
        answer: protocol.DefinitionsAnswer = await self._asked(scanner, lambda: scanner.use_definitions(file))
        if answer.refused:
            raise _Ended(f"they were refused: {answer.refused}", is_fault=True)
        self._revision = answer.revision
        begun_s, found = _processor_s(scanner.pid), []
        for copy in copies:
            self._numbers += 1
            future = asyncio.get_running_loop().create_future()
            job = Job(self._numbers, copy.smtp_id, [copy], future, _nothing)
            outcome: Outcome = await self._asked(scanner, functools.partial(scanner.examine, job), future)
            found.append(min((match.name for match in outcome.facts.matches), default=""))
        return answer.revision, found, round((_processor_s(scanner.pid) - begun_s) * 1000)

    async def _asked(
        self, scanner: Scanner, ask: Callable[[], None], future: "asyncio.Future[Any] | None" = None
    ) -> Any:
        """The answer of this scanner. Raises _Ended."""
        waited = future or asyncio.get_running_loop().create_future()
        self._waited_for = scanner, waited
        try:
            ask()
            return await waited
        except OSError as error:
            raise _Ended(str(error), is_fault=False) from None
        finally:
            self._waited_for = None

    # --- Owner: what the scanner tells --------------------------------------------------------------

    def greeted(self, scanner: Scanner, sandbox: protocol.Sandbox) -> None:
        try:
            os.sched_setscheduler(scanner.pid, os.SCHED_IDLE, os.sched_param(0))
        except OSError as error:
            log.warning("the scanner for new definitions has an ordinary priority: %s", error)

    def answered(self, scanner: Scanner, job: Job, outcome: Outcome | None) -> None:
        if not job.future.done():
            job.future.set_result(outcome)

    def definitions_answered(self, scanner: Scanner, answer: protocol.DefinitionsAnswer) -> None:
        if (waited := self._waiting_for(scanner)) is not None:
            waited.set_result(answer)

    def lost(self, scanner: Scanner) -> None:
        self._dying.add(scanner)
        if scanner is self._scanner:
            self._scanner = None
            self._again_at = asyncio.get_running_loop().time() + AGAIN_S

    def reaped(self, scanner: Scanner, detail: str) -> None:
        self._dying.discard(scanner)
        if not self._dying:
            self._all_reaped.set()
        if (waited := self._waiting_for(scanner)) is not None:
            waited.set_exception(_Ended(detail, is_fault="no answer" not in detail))

    def _waiting_for(self, scanner: Scanner) -> "asyncio.Future[Any] | None":
        """What this very scanner owes: one of an earlier candidate may end while the next is asked."""
        if self._waited_for is None or self._waited_for[0] is not scanner or self._waited_for[1].done():
            return None
        return self._waited_for[1]


def _nothing() -> None:
    pass


def _processor_s(pid: int) -> float:
    """Of another process, so far: its clock, as clock_getcpuclockid(3) makes the number of it. 0 if it has ended."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0
