"""What a message passes through, in order, after it was accepted (PROC-02).

    accepted -> examined by a scanner -> policy and edits noted -> delivered -> completed
                     |                        |                       |
                     third crash: hold        hold, drop, bounce      some recipients left: slow queue

Every step is noted in the queue before the next one builds on it, so that a relay that dies goes on from the
last note. `Pipeline` holds no state of a message beyond what the queue knows.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Protocol

from engine import events, limits
from engine.config import Delivery, Settings
from engine.delivery import backoff
from engine.delivery.bounce import bounces_for
from engine.delivery.deliver import Deliverer
from engine.queue.errors import QueueFull
from engine.queue.record import Attempt, Crashed, Disposition, Edited, Received, Recipient, Result, Started
from engine.queue.record import Verdict as VerdictRecord
from engine.queue.state import FAST, SLOW, MessageState
from engine.queue.store import Store
from engine.scan.service import Outcome
from engine.scanner.pool import PoolStopped, ScannerCrashed, ScannerPool
from engine.slow import SlowQueue

IN_HAND = 500  # messages of one relay in work at once; the others wait in the fast queue, a few octets each
STOP_S = 10.0

log = logging.getLogger(__name__)


class Services(Protocol):
    """What the pipeline needs of its relay."""

    @property
    def settings(self) -> Settings: ...
    @property
    def hostname(self) -> str: ...
    @property
    def own_address(self) -> str:
        """Where mail is never delivered to, in lower case (SMTP-11)."""
        ...

    def event(self, event: events.Event) -> None: ...
    def next_smtp_id(self) -> str: ...


class Pipeline:
    def __init__(
        self,
        services: Services,
        store: Store,
        pool: ScannerPool,
        deliverer: Deliverer[MessageState],
        clock: Callable[[], int],
    ) -> None:
        """clock: nanoseconds since 1970."""
        self._services = services
        self._store = store
        self._pool = pool
        self._deliverer = deliverer
        self._clock = clock
        self._waiting: deque[MessageState] = deque()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        self._backoff = backoff.Backoff()
        self.slow = SlowQueue(self._retry, lambda: self.paused, clock, services.event)

    # --- entry and pace ---------------------------------------------------------------------------

    def submit(self, message: MessageState) -> None:
        """A message of the fast queue: new, or found there at start."""
        if message.place == SLOW:
            self.slow.add(message, self._keys(message))
            return
        if message.started:  # found at start: its relay ended while it was examined (PROC-12)
            self._store.note(message, Crashed(message.id, message.crashes + 1, "the relay ended during the scan"))
        self._waiting.append(message)
        self._take()

    def settings_changed(self) -> None:
        """Delivery may have been paused or resumed (DLV-01)."""
        self._take()
        self.slow.wake()

    def _take(self) -> None:
        while self._waiting and len(self._tasks) < IN_HAND and not self._stopping and not self.paused:
            message = self._waiting.popleft()
            if message.place == FAST:  # else it was moved out of the log meanwhile
                self._spawn(message, self._process(message))

    def relieve_log(self) -> None:
        """Copy what keeps old segments of the log from use into files of their own (called now and then)."""
        for message in self._store.crowded():
            if message.id not in self._tasks:
                self._spawn(message, self._defer(message, "waits for its turn"))

    @property
    def paused(self) -> bool:
        return self._services.settings.delivery.pause

    @property
    def backlog(self) -> int:
        return len(self._waiting) + len(self._tasks)

    def _spawn(self, message: MessageState, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[message.id] = task
        task.add_done_callback(lambda done: self._ended(message, done))

    def _ended(self, message: MessageState, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(message.id, None)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, PoolStopped):
            # Ours, not the message's fault: it stays in the queue and is tried again later.
            log.error("%s: processing failed, kept for another try", message.id, exc_info=error)
            self._services.event(events.ScanError(smtp_id=message.id, description=f"internal error: {error!r}"))
            message.due_ns = self._clock() + self._delivery.retry_first_s * backoff.S_NS
            self.slow.add(message, set())
        self._take()

    async def stop(self) -> None:
        """Finish what is in hand, as far as it takes no long; the rest resumes after the next start (PROC-14)."""
        self._stopping = True
        self.slow.stop()
        if self._tasks:
            _, left = await asyncio.wait(self._tasks.values(), timeout=STOP_S)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left)

    # --- the way of one message -------------------------------------------------------------------

    async def _process(self, message: MessageState) -> None:
        if message.verdict is not None:  # a retry, or found so at start
            if not await self._follow(message, message.verdict.disposition, message.verdict.reason):
                return
        elif not message.received.internal and not await self._examine(message):
            return
        await self._deliver(message)

    def _retry(self, message: MessageState) -> None:
        """A message of the slow queue that is due."""
        self._spawn(message, self._process(message))

    async def _examine(self, message: MessageState) -> bool:
        """Scan and note the verdict. Returns whether the message goes on to delivery."""
        if not self._services.settings.antivirus.enabled:
            return True
        while message.crashes < limits.CRASHES_TO_HOLD:
            self._store.note(message, Started(message.id))
            try:
                outcome = await self._pool.examine(message.id, self._store.extents(message))
            except ScannerCrashed as crash:
                count = message.crashes + 1
                self._store.note(message, Crashed(message.id, count, crash.detail))
                self._services.event(events.ScannerCrashed(smtp_id=message.id, count=count, reason=crash.detail))
            else:
                return await self._dispose(message, outcome)
        await self.hold(message, f"suspect: its processing crashed {message.crashes} times")
        return False

    async def _dispose(self, message: MessageState, outcome: Outcome) -> bool:
        facts = outcome.facts
        names = tuple(dict.fromkeys(match.name for match in facts.matches))
        # The verdict comes last: edits without one behind them are of a scan that did not end, and are void.
        if outcome.splices:
            self._store.note(message, Edited(message.id, tuple(outcome.splices)))
        self._store.note(
            message,
            VerdictRecord(
                message.id, facts.verdict, outcome.disposition, outcome.reason, names, facts.subject, facts.definitions
            ),
        )
        self._tell(message, outcome, names)
        return await self._follow(message, outcome.disposition, outcome.reason)

    async def _follow(self, message: MessageState, disposition: Disposition, reason: str) -> bool:
        """Do what policy decided. Returns whether the message goes on to delivery."""
        match disposition:
            case Disposition.DELIVER:
                return True
            case Disposition.HOLD:
                await self.hold(message, reason)
            case Disposition.DROP:
                self._drop(message, reason)
            case Disposition.BOUNCE:
                await self._return_to_sender(message, reason)
        return False

    def _tell(self, message: MessageState, outcome: Outcome, names: tuple[str, ...]) -> None:
        event, facts, smtp_id = self._services.event, outcome.facts, message.id
        causes = tuple(f"{one.part}: {one.cause} {one.detail}".rstrip() for one in facts.unscanned)
        event(
            events.Scanned(
                smtp_id=smtp_id,
                verdict=facts.verdict,
                subject=facts.subject,
                definitions=facts.definitions,
                signatures=names,
                unscanned=causes,
            )
        )
        for virus, part in outcome.logged:
            event(events.VirusLogged(smtp_id=smtp_id, virus=virus, part=part))
        for virus, part in outcome.deleted:
            event(events.FileDeleted(smtp_id=smtp_id, virus=virus, part=part))
        for part, file, reason in outcome.attachments_deleted:
            event(events.AttachmentDeleted(smtp_id=smtp_id, part=part, file=file, reason=reason))
        if causes:
            event(events.ScanError(smtp_id=smtp_id, description="; ".join(causes)))

    # --- ends -------------------------------------------------------------------------------------

    async def hold(self, message: MessageState, reason: str) -> None:
        await self._store.hold(message, reason)
        self._services.event(events.Held(smtp_id=message.id, reason=reason))

    def _drop(self, message: MessageState, reason: str) -> None:
        """PROC-16: nobody receives it, no bounce."""
        self._finish(message, Result.DROPPED, reason)
        received = message.received
        self._services.event(
            events.Dropped(
                smtp_id=message.id,
                reason=reason,
                reverse_path=received.reverse_path,
                forward_paths=tuple(one.address for one in received.recipients),
            )
        )
        self._complete(message)

    def drop(self, message: MessageState, reason: str) -> None:
        """A person's decision (command line, pages)."""
        self._drop(message, reason)

    async def _return_to_sender(self, message: MessageState, reason: str) -> None:
        """SCAN-08: by policy; never to the null reverse-path."""
        pending = [index for index, result in enumerate(message.results) if result is Result.PENDING]
        failures = self._finish(message, Result.FAILED, f"550 5.7.1 {reason}")
        for index in pending:
            address = message.received.recipients[index].address
            self._services.event(events.Bounced(smtp_id=message.id, forward_path=address, reason=reason))
        await self._bounce(message, failures)
        self._complete(message)

    def _finish(self, message: MessageState, result: Result, reply: str) -> list[Attempt]:
        """Give every recipient without a final result this one."""
        now = self._clock()
        attempts = [
            Attempt(message.id, now, index, result, reply, "")
            for index, before in enumerate(message.results)
            if before is Result.PENDING
        ]
        self._store.note(message, *attempts)
        return attempts

    def _complete(self, message: MessageState) -> None:
        self._store.done(message)
        self.slow.forget(message)
        self._services.event(events.Completed(smtp_id=message.id))

    # --- delivery ---------------------------------------------------------------------------------

    async def _deliver(self, message: MessageState) -> None:
        self._suppress_own(message)
        failed: list[Attempt] = []
        if message.pending:
            if message.place == FAST and self._is_hopeless(message):
                await self._defer(message, "the next hop did not answer a moment ago")
                return
            attempts = await self._deliverer.deliver(message)
            self._store.note(message, *attempts)
            self._learn(message, attempts)
            failed = [attempt for attempt in attempts if attempt.result is Result.FAILED]
        if message.pending and backoff.expired(message.received.time_ns, self._clock(), self._delivery):
            failed += self._expire(message)
        await self._bounce(message, failed)
        if message.pending:
            await self._defer(message, message.replies[message.pending[0]])
        else:
            self._complete(message)

    @property
    def _delivery(self) -> Delivery:
        return self._services.settings.delivery

    def _keys(self, message: MessageState) -> set[str]:
        """The next hops of the recipients that wait, as texts."""
        return {self._deliverer.key_of(message.received.recipients[index].address) for index in message.pending}

    def _is_hopeless(self, message: MessageState) -> bool:
        """Whether all its next hops were just found unreachable: then new mail does not wait for them (PROC-06)."""
        now = self._clock()
        return all(self._backoff.due_ns(key) > now for key in self._keys(message))

    def _learn(self, message: MessageState, attempts: Sequence[Attempt]) -> None:
        """Next hops that did not answer, and those that do again."""
        for attempt in attempts:
            key = self._deliverer.key_of(message.received.recipients[attempt.recipient].address)
            if not attempt.next_hop and attempt.result is Result.PENDING:
                self._backoff.failed(key, self._clock(), self._delivery)
            elif attempt.result is Result.DELIVERED and self._backoff.accepted(key):
                self.slow.next_hop_accepts(key)

    async def _defer(self, message: MessageState, reason: str) -> None:
        """Into the slow queue, to be tried when its first next hop is due."""
        keys = self._keys(message)
        now = self._clock()
        own_ns = now + backoff.interval_s(max(message.attempts, 1), self._delivery) * backoff.S_NS
        due_ns = min((self._backoff.due_ns(key) or own_ns for key in keys), default=own_ns)
        await self._store.defer(message, max(due_ns, now), reason)
        self.slow.add(message, keys)

    def _suppress_own(self, message: MessageState) -> None:
        """Mail to the account that our own mail comes from is never delivered (SMTP-11)."""
        own = self._services.own_address
        received = message.received
        for index, recipient in enumerate(received.recipients):
            if recipient.address.lower() == own and message.results[index] is Result.PENDING:
                reason = "mail to the gateway's own From account"
                attempt = Attempt(message.id, self._clock(), index, Result.SUPPRESSED, reason, "")
                self._store.note(message, attempt)
                self._services.event(
                    events.DeliverySuppressed(
                        smtp_id=message.id,
                        reverse_path=received.reverse_path,
                        forward_path=recipient.address,
                        reason=reason,
                    )
                )

    def _expire(self, message: MessageState) -> list[Attempt]:
        """The days are over (PROC-09): what is left fails with the last reason of the other side."""
        days = self._services.settings.delivery.days
        attempts = []
        for index, result in enumerate(message.results):
            if result is Result.PENDING:
                reply = f"554 5.4.7 not delivered within {days} days; last answer: {message.replies[index]}"
                attempts.append(Attempt(message.id, self._clock(), index, Result.FAILED, reply, ""))
                address = message.received.recipients[index].address
                self._services.event(
                    events.DeliveryFailed(
                        smtp_id=message.id, forward_path=address, reason=reply, client=message.received.client
                    )
                )
        self._store.note(message, *attempts)
        return attempts

    async def _bounce(self, message: MessageState, failed: Sequence[Attempt]) -> None:
        """Queue the DSN for failed recipients; it is durable before the original may end."""
        if not failed:
            return
        settings = self._services.settings
        made = bounces_for(
            message,
            failed,
            settings,
            lambda: self._store.content(message),
            self._clock(),
            hostname=self._services.hostname,
            headers_only=message.verdict is not None and message.verdict.disposition is Disposition.BOUNCE,
        )
        if made is None:
            return
        recipient, content = made
        received = Received(
            id=self._services.next_smtp_id(),
            time_ns=self._clock(),
            connection_id="",
            client="",
            client_port=0,
            helo="",
            protocol="",
            tls="",
            reverse_path="",
            recipients=(Recipient(recipient, notify="NEVER"),),
            smtputf8=not recipient.isascii(),
            internal=True,
        )
        draft = self._store.begin(received)
        draft.write(content)
        try:
            bounce = await draft.commit()
        except QueueFull:
            log.error("%s: the queue is full, its bounce is tried again with the message", message.id)
            raise
        self.submit(bounce)
