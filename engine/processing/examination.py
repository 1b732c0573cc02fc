"""A message between acceptance and delivery: a scanner reads it, DNS is asked, policy judges, and all of it is told."""

import asyncio
from collections.abc import Iterable

from engine import events, limits
from engine.config import SaveQueueFiles, Settings
from engine.diagnostics.queue_files import QueueFileSaver
from engine.judge import Judge, Judgement, judges, reads_content, unread
from engine.processing.quarantining import Quarantine
from engine.processing.services import Services
from engine.processing.telling import events_of
from engine.queue.record import BLOCKED, Crashed, Disposition, Edited, Started, Verdict
from engine.queue.state import MessageState
from engine.queue.store import Store
from engine.scan.outcome import Outcome
from engine.scanner.pool import PoolStopped, ScannerCrashed, ScannerPool


class Suspect(Exception):
    """Its processing crashed for the third time (PROC-12)."""


class Examination:
    """saver: copies messages for technicians (DIAG-01). quarantine: puts infected files aside (QRN-03)."""

    def __init__(
        self,
        services: Services,
        store: Store,
        pool: ScannerPool,
        judge: Judge,
        saver: QueueFileSaver | None = None,
        quarantine: Quarantine | None = None,
    ) -> None:
        self._services = services
        self._store = store
        self._pool = pool
        self._judge = judge
        self._saver = saver
        self._quarantine = quarantine

    async def examine(self, message: MessageState) -> Verdict | None:
        """Have it scanned and judged. Returns the verdict, which has been noted then; None: nothing is to be found out.

        Raises Suspect, and PoolStopped when the service stops.
        """
        if message.crashes:
            await self._save(message, SaveQueueFiles.ON_CRASH, "a relay or a scanner ended while it was examined")
        else:
            await self._save(message, SaveQueueFiles.ALL)
        if not judges(self._services.settings):
            return None
        inquiry = self._judge.begin(message)
        try:
            outcome = await self._scanned(message) if reads_content(inquiry.settings) else unread()
            if message.started and inquiry.asks:
                self._acquit(message, "it was read, and waits for DNS")
            judgement = await self._judge.finish(inquiry, outcome)
            put_aside = await self._put_aside(message, outcome, judgement, inquiry.settings)
        except (PoolStopped, asyncio.CancelledError):  # the service stops: that is no crash of the message
            if message.started:
                self._acquit(message, "the service was stopped")
            raise
        except Suspect:
            raise
        except Exception as error:
            await self._save(message, SaveQueueFiles.ON_SCAN_ERROR, f"internal error: {error!r}")
            raise
        finally:
            inquiry.close()
        verdict, error_words = self._settled(message, outcome, judgement, put_aside)
        if error_words:
            await self._save(message, SaveQueueFiles.ON_SCAN_ERROR, error_words)
        return verdict

    async def _save(self, message: MessageState, cause: SaveQueueFiles, words: str = "") -> None:
        if self._saver is not None and self._saver.wants(cause):
            await self._saver.save(message, cause, words)

    def _acquit(self, message: MessageState, why: str) -> None:
        """Whatever ends the relay from here on, it is not this message. One that its client gave up is nothing more."""
        if not message.done:
            self._store.note(message, Crashed(message.id, message.crashes, why))

    async def _scanned(self, message: MessageState) -> Outcome:
        def begun() -> None:
            """Only now: a relay that is killed must not blame what waits behind other messages (PROC-12)."""
            if not message.done:  # its client gave up
                self._store.note(message, Started(message.id))

        while message.crashes < limits.CRASHES_TO_HOLD:
            try:
                return await self._pool.examine(message.id, self._store.extents(message), begun)
            except ScannerCrashed as crash:
                count = message.crashes + 1
                self._store.note(message, Crashed(message.id, count, crash.detail))
                self._services.event(events.ScannerCrashed(smtp_id=message.id, count=count, reason=crash.detail))
                await self._save(message, SaveQueueFiles.ON_CRASH, crash.detail)
        raise Suspect(f"suspect: its processing crashed {message.crashes} times")

    async def _put_aside(
        self, message: MessageState, outcome: Outcome, judgement: Judgement, settings: Settings
    ) -> list[events.Event]:
        if self._quarantine is None or not outcome.facts.matches or judgement.disposition is Disposition.REFUSE:
            return []  # what is refused stays with its sender
        if message.started:
            self._acquit(message, "it was read, and its infected files are put aside")
        return await self._quarantine.take(message, outcome, judgement, settings)

    def _settled(
        self, message: MessageState, outcome: Outcome, judgement: Judgement, put_aside: Iterable[events.Event]
    ) -> tuple[Verdict, str]:
        """The verdict, and what kept the message from being examined, if anything did."""
        facts = outcome.facts
        blocked = judgement.removed
        # The verdict comes last: edits without one behind them are of a scan that did not end, and are void.
        if judgement.splices:
            self._store.note(message, Edited(message.id, judgement.splices))
        verdict = Verdict(
            message.id,
            BLOCKED if blocked else facts.verdict,
            judgement.disposition,
            judgement.reason,
            () if blocked else tuple(dict.fromkeys(match.name for match in facts.matches)),
            facts.subject,
            facts.definitions,
            tuple((one.to, one.subject) for one in judgement.forwards),
            judgement.results,
            suspect=judgement.disposition is outcome.disposition is Disposition.HOLD,
            doubt=judgement.doubt,
        )
        self._store.note(message, verdict)
        error = ""
        for event in events_of(verdict, outcome, judgement, put_aside):
            self._services.event(event)
            if isinstance(event, events.ScanError):
                error = event.description
        return verdict, error
