"""What a message passes through, in order, after it was accepted (PROC-02).

    accepted -> examined by a scanner -> policy and edits noted -> delivered -> completed
                     |                        |                       |
                     third crash: hold        hold, drop, bounce      some recipients left: slow queue

Every step is noted in the queue before the next one builds on it, so that a relay that dies goes on from the
last note. `Pipeline` holds no state of a message beyond what the queue knows. One thing is the other way round: that
recipients failed is noted when their bounce is durable, because nobody would make it afterwards.

One message is in work once: by a task of its own, or claimed for what a person wants done with it.
"""

import asyncio
import contextlib
import logging
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Protocol

from engine import events, limits
from engine.config import Delivery, Settings
from engine.delivery import backoff
from engine.delivery.bounce import bounces_for
from engine.delivery.deliver import Deliverer
from engine.queue.errors import QueueError, QueueFull
from engine.queue.record import Attempt, Crashed, Disposition, Edited, Received, Recipient, Result, Started
from engine.queue.record import Verdict as VerdictRecord
from engine.queue.state import FAST, HOLD, SLOW, MessageState
from engine.queue.store import Store
from engine.scan.service import Outcome
from engine.scanner.pool import PoolStopped, ScannerCrashed, ScannerPool
from engine.slow import SlowQueue

IN_HAND = 500  # messages of one relay in work at once; the others wait in the fast queue, a few octets each
FOR_ONE_HOP = IN_HAND // 4  # of these in delivery to one next hop: a slow one must not hold up the others (PROC-06)
NO_ROOM_S = 30  # until something that found no room in the queue is tried again
STOP_S = 10.0

log = logging.getLogger(__name__)


class Busy(Exception):
    """The message is in work just now."""


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
        self._claimed: set[str] = set()
        self._sending: Counter[str] = Counter()  # messages of the fast queue in delivery, by next hop
        self._parked: dict[str, deque[MessageState]] = {}  # those for a next hop that has enough of them
        self._relief_due_ns = 0
        self._stopping = False
        self._backoff = backoff.Backoff()
        self.slow = SlowQueue(self._retry, lambda: self.paused, clock, services.event)

    # --- entry and pace ---------------------------------------------------------------------------

    def submit(self, message: MessageState) -> None:
        """A message of the fast queue: new, or found there or in the slow queue at start."""
        if message.started:  # found at start: its relay ended while it was examined (PROC-12)
            self._store.note(message, Crashed(message.id, message.crashes + 1, "the relay ended during the scan"))
        if message.place == SLOW:
            # Never later than the settings allow: the clock may have been wrong when the time was written.
            message.due_ns = min(message.due_ns, self._clock() + self._longest_ns)
            self.slow.add(message, self._keys(message))
            return
        self._waiting.append(message)
        self._take()

    def settings_changed(self) -> None:
        """Delivery may have been paused or resumed (DLV-01)."""
        self._take()
        self.slow.wake()

    def _take(self) -> None:
        while self._waiting and len(self._tasks) < IN_HAND and not self._stopping and not self.paused:
            message = self._waiting.popleft()
            # Else it was moved out of the log or ended meanwhile, or is here a second time.
            if message.place == FAST and not message.done and not self.is_busy(message):
                self._spawn(message, self._process(message))

    def relieve_log(self) -> None:
        """Copy what keeps old segments of the log from use into files of their own (called now and then)."""
        if self._stopping or self._clock() < self._relief_due_ns:
            return
        for message in self._store.crowded():
            if not self.is_busy(message):
                self._spawn(message, self._relieve(message))

    async def _relieve(self, message: MessageState) -> None:
        try:
            keys = self._keys(message)
            await self._store.defer(message, self._clock(), "waits for its turn")
            self.slow.add(message, keys)
        except QueueFull as error:
            log.warning("%s: cannot leave the log for the slow queue: %s", message.id, error)
            self._relief_due_ns = self._clock() + NO_ROOM_S * backoff.S_NS
            self._waiting.append(message)

    def clock_moved(self, by_ns: int) -> None:
        """The clock of the machine was set: what waits goes on waiting as long as it would have."""
        self._backoff = backoff.Backoff()
        self._relief_due_ns = 0
        self.slow.shift(by_ns)

    @property
    def paused(self) -> bool:
        return self._services.settings.delivery.pause

    def is_busy(self, message: MessageState) -> bool:
        """Whether something works on it."""
        return message.id in self._tasks or message.id in self._claimed

    @contextlib.contextmanager
    def claim(self, message: MessageState) -> Iterator[None]:
        """Nothing else works on it meanwhile. Raises Busy."""
        if self.is_busy(message):
            raise Busy
        self._claimed.add(message.id)
        try:
            yield
        finally:
            self._claimed.discard(message.id)
            self._free(message)

    def _spawn(self, message: MessageState, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[message.id] = task
        task.add_done_callback(lambda done: self._ended(message, done))

    def _ended(self, message: MessageState, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(message.id, None)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, PoolStopped):
            self._failed(message, error)
        self._free(message)
        self._take()

    def _failed(self, message: MessageState, error: BaseException) -> None:
        """Ours, not the message's fault: it stays in the queue and is tried again later."""
        delay_s = self._delivery.retry_first_s
        if isinstance(error, QueueFull):
            log.error("%s: kept for another try, there is no room in the queue: %s", message.id, error)
            delay_s = min(delay_s, NO_ROOM_S)
        else:
            log.error("%s: processing failed, kept for another try", message.id, exc_info=error)
            self._services.event(events.ScanError(smtp_id=message.id, description=f"internal error: {error!r}"))
        if message.done:
            self.slow.forget(message)
        else:
            message.due_ns = self._clock() + delay_s * backoff.S_NS
            self.slow.add(message, set())

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
        """A message of the slow queue that is due; one that is in work just now, as soon as it is not any more."""
        if not self.is_busy(message):
            self._spawn(message, self._process(message))

    def _free(self, message: MessageState) -> None:
        """Nothing works on it any more."""
        if self.slow.is_out(message) and not self._stopping:
            self._retry(message)

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
            except (PoolStopped, asyncio.CancelledError):  # the service stops: that is no crash of the message
                self._store.note(message, Crashed(message.id, message.crashes, "the service was stopped"))
                raise
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
        """Raises QueueFull: it stays where it was."""
        await self._store.hold(message, reason)
        self.slow.forget(message)
        self._services.event(events.Held(smtp_id=message.id, reason=reason))

    def _drop(self, message: MessageState, reason: str) -> None:
        """PROC-16: nobody receives it, no bounce."""
        self._store.note(message, *self._ends(message, Result.DROPPED, reason))
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

    async def _return_to_sender(self, message: MessageState, reason: str) -> None:
        """SCAN-08: by policy; never to the null reverse-path."""
        failures = self._ends(message, Result.FAILED, f"550 5.7.1 {reason}")
        await self._bounce(message, failures)
        self._store.note(message, *failures)
        for failure in failures:
            address = message.received.recipients[failure.recipient].address
            self._services.event(events.Bounced(smtp_id=message.id, forward_path=address, reason=reason))
        self._complete(message)

    def _ends(self, message: MessageState, result: Result, reply: str) -> list[Attempt]:
        """This result for every recipient without a final one."""
        now = self._clock()
        return [Attempt(message.id, now, index, result, reply, "") for index in message.pending]

    def _complete(self, message: MessageState) -> None:
        self._store.done(message)
        self.slow.forget(message)
        self._services.event(events.Completed(smtp_id=message.id))

    # --- decisions of a person (command line, pages) --------------------------------------------------

    async def hold_by_hand(self, message: MessageState, reason: str) -> None:
        """Raises Busy, and QueueFull: then it goes on as before."""
        with self.claim(message):
            try:
                await self.hold(message, reason)
            except QueueError:
                self._go_on(message)
                raise

    def drop_by_hand(self, message: MessageState, reason: str) -> None:
        """Raises Busy."""
        with self.claim(message):
            self._drop(message, reason)

    async def retry_by_hand(self, message: MessageState, reason: str) -> None:
        """A held one is processed anew (HOLD-02), a slow one is due now. Raises Busy, QueueFull: nothing changed."""
        with self.claim(message):
            if message.place == HOLD:
                await self._store.release(message, reason)
                self._services.event(events.QueueMoved(smtp_id=message.id, place=SLOW, reason=reason))
        self.slow.due_now(message)

    def _go_on(self, message: MessageState) -> None:
        """What a person wanted came to nothing."""
        if message.place == FAST:
            self.slow.forget(message)
            self._waiting.append(message)
        elif message.place == SLOW:
            self.slow.add(message, self._keys(message))

    # --- delivery ---------------------------------------------------------------------------------

    async def _deliver(self, message: MessageState) -> None:
        self._suppress_own(message)
        failed: list[Attempt] = []
        if message.pending:
            keys = self._keys(message)
            if message.place == FAST:
                if self._is_hopeless(keys):
                    await self._defer(message, "the next hop did not answer a moment ago")
                    return
                if self._park(message, keys):
                    return
            attempts = await self._attempt(message, keys)
            failed = [attempt for attempt in attempts if attempt.result is Result.FAILED]
            self._store.note(message, *(attempt for attempt in attempts if attempt.result is not Result.FAILED))
            self._learn(message, attempts)
        if backoff.expired(message.received.time_ns, self._clock(), self._delivery):
            failed += self._expire(message, {attempt.recipient for attempt in failed})
        await self._bounce(message, failed)
        self._store.note(message, *failed)
        if message.pending:
            await self._defer(message, message.replies[message.pending[0]])
        else:
            self._complete(message)

    async def _attempt(self, message: MessageState, keys: set[str]) -> list[Attempt]:
        if message.place != FAST:
            return await self._deliverer.deliver(message)
        self._sending.update(keys)
        try:
            return await self._deliverer.deliver(message)
        finally:
            for key in keys:
                self._sent(key)

    def _sent(self, key: str) -> None:
        """One of those in delivery to a next hop is through: another one may go, after the last one all that wait."""
        self._sending[key] -= 1
        parked = self._parked.get(key)
        if not self._sending[key]:
            del self._sending[key]
            self._waiting.extendleft(reversed(self._parked.pop(key, ())))
        elif parked:
            self._waiting.appendleft(parked.popleft())

    def _park(self, message: MessageState, keys: set[str]) -> bool:
        """Whether it has to wait, in the fast queue, until others for the same next hop are through."""
        key = next((key for key in keys if self._sending[key] >= FOR_ONE_HOP), None)
        if key is None:
            return False
        self._parked.setdefault(key, deque()).append(message)
        self.slow.forget(message)
        return True

    @property
    def _delivery(self) -> Delivery:
        return self._services.settings.delivery

    def _keys(self, message: MessageState) -> set[str]:
        """The next hops of the recipients that wait, as texts."""
        return {self._deliverer.key_of(message.received.recipients[index].address) for index in message.pending}

    @property
    def _longest_ns(self) -> int:
        """Nothing waits longer than that for its next attempt."""
        return max(self._delivery.retry_first_s, self._delivery.retry_last_s) * backoff.S_NS

    def _is_hopeless(self, keys: set[str]) -> bool:
        """Whether all next hops were just found unreachable: then new mail does not wait for them (PROC-06)."""
        now = self._clock()
        return all(self._backoff.due_ns(key) > now for key in keys)

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
        # A next hop whose time has come did answer, only not with 250: then the message has its own interval.
        due_ns = min((due if (due := self._backoff.due_ns(key)) > now else own_ns for key in keys), default=own_ns)
        await self._store.defer(message, due_ns, reason)
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

    def _expire(self, message: MessageState, failed: set[int]) -> list[Attempt]:
        """The days are over (PROC-09): what is left fails with the last reason of the other side."""
        days = self._delivery.days
        attempts = []
        for index in message.pending:
            if index in failed:
                continue
            reply = f"554 5.4.7 not delivered within {days} days; last answer: {message.replies[index]}"
            attempts.append(Attempt(message.id, self._clock(), index, Result.FAILED, reply, ""))
            address = message.received.recipients[index].address
            self._services.event(
                events.DeliveryFailed(
                    smtp_id=message.id, forward_path=address, reason=reply, client=message.received.client
                )
            )
        return attempts

    async def _bounce(self, message: MessageState, failed: Sequence[Attempt]) -> None:
        """Queue the DSN for failed recipients. It is durable when this returns: only then they may count as failed."""
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
