"""What a message passes through, in order, after it was accepted (PROC-02).

    accepted -> examined and judged -> policy and edits noted -> delivered -> completed
                     |                        |                       |
                     third crash: hold        hold, drop, bounce,     some recipients left: slow queue
                                              forward

Every step is noted in the queue before the next one builds on it, so that a relay that dies goes on from the
last note. Nothing here holds state of a message beyond what the queue knows. One thing is the other way round: that
recipients failed or were forwarded is noted when their bounce or forward is durable, because nobody would make it
afterwards. The stages are in engine/processing.

One message is in work once: by a task of its own, or claimed for what a person wants done with it.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Sequence

from engine import events
from engine.config import Acceptance
from engine.delivery import backoff
from engine.delivery.deliver import Deliverer
from engine.diagnostics.queue_files import QueueFileSaver
from engine.flow import Flow
from engine.judge import Judge
from engine.processing.ends import Ends
from engine.processing.examination import Examination, Suspect
from engine.processing.offers import Offer, Offers
from engine.processing.own_mail import OwnMail
from engine.processing.quarantining import Quarantine
from engine.processing.sending import FOR_ONE_HOP, IN_HAND, Sending
from engine.processing.services import Services
from engine.queue.draft import Draft
from engine.queue.errors import NoSuchMessage, QueueError, QueueFull
from engine.queue.record import Crashed, Onward
from engine.queue.state import FAST, HOLD, SLOW, MessageState
from engine.queue.store import Store
from engine.scanner.pool import PoolStopped, ScannerPool
from engine.slow import SlowQueue, domains_of

SWEEP_S = 300  # between periodic reorderings of the slow queue
NO_ROOM_S = 30  # until something that found no room in the queue is tried again
STOP_S = 10.0
OWN_IN_HAND = 20  # of our own mail, beyond IN_HAND: alerts go out, too, while all else waits for definitions

log = logging.getLogger(__name__)


class Busy(Exception):
    """The message is in work just now."""


class Pipeline:
    def __init__(
        self,
        services: Services,
        store: Store,
        pool: ScannerPool,
        deliverer: Deliverer[MessageState],
        judge: Judge,
        clock: Callable[[], int],
        saver: QueueFileSaver | None = None,
        quarantine: Quarantine | None = None,
    ) -> None:
        """clock: nanoseconds since 1970. saver: copies messages for technicians. quarantine: puts files aside."""
        self._services = services
        self._store = store
        self._clock = clock
        self._waiting: deque[MessageState] = deque()
        self._turn_missed: dict[str, MessageState] = {}  # it was their turn while they were busy
        self._own: deque[MessageState] = deque()  # our own mail, which does not wait while delivery is paused
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._moves: set[asyncio.Task[None]] = set()  # of messages that wait in their own tasks for a next hop
        self._claimed: set[str] = set()
        self._relief_due_ns = self._sweep_due_ns = 0
        self._stopping = False
        self._unexamined: set[str] = set()
        self.flow = Flow(self._ahead, lambda: store.is_crowded)
        self.slow = SlowQueue(self._retry, lambda: self.paused, clock, services.event, self)
        self._all_found = False
        self._flushed: set[str] = set()  # domains, before all that was there at start was read
        self._shifted_ns = 0  # by how much the clock was set since the start
        self._own_mail = OwnMail(services, store, self.submit, clock)
        self._examination = Examination(services, store, pool, judge, saver, quarantine)
        self._ends = Ends(services, store, self.slow, self._own_mail, clock)
        self._sending = Sending(services, store, deliverer, self.slow, self._own_mail, self._ends, self._first, clock)
        self._offers = Offers(services, self._examination, self._ends, self._sending, self._work_on)

    # --- entry and pace ---------------------------------------------------------------------------

    def submit(self, message: MessageState) -> None:
        """A message of the fast queue: new, or found there at start."""
        self._note_crash(message)
        self._own_mail.remember(message)
        self._line(message).append(message)
        if message.verdict is None and not message.received.internal:
            self._unexamined.add(message.id)
        self._take()

    async def take_found(self) -> None:
        """What was in the slow queue at start, while new mail flows already. Once, before anything is noted of it."""
        began = time.monotonic()
        try:
            count = await self._take_found()
        except Exception:
            self._own_mail.all_known()  # as far as it will be
            raise
        self._own_mail.all_known()
        seconds = round(time.monotonic() - began, 3)
        if count or self._store.unread:
            self._services.event(events.SlowQueueRead(messages=count, left=self._store.unread, seconds=seconds))
        while self._store.unread:
            await asyncio.sleep(NO_ROOM_S)
            await self._take_found()
        self._all_found = True
        self._flushed.clear()

    async def _take_found(self) -> int:
        """Returns how many these were."""
        count = 0
        async for messages in self._store.found():
            count += len(messages)
            for message in messages:
                try:
                    await self._take_one(message)
                except Exception as error:  # noqa: BLE001 - what is wrong with one keeps no other from being found
                    self._failed(message.id, error, message)
        return count

    async def _take_one(self, message: MessageState) -> None:
        if message.started and message.id not in self.slow and self._store.known(message.id) is None:
            with contextlib.suppress(NoSuchMessage, QueueFull):  # then that is found out at its turn
                message = await self.load(message.id)
        known = self._store.known(message.id)
        if message.id in self.slow or known not in (None, message):  # somebody asked for it
            return
        if known is not None:
            self._note_crash(message)
        self._queue_slow(message)

    async def load(self, smtp_id: str) -> MessageState:
        """A message of this relay, also a held one. Raises NoSuchMessage, QueueFull: it cannot be read now."""
        is_new = self._store.known(smtp_id) is None
        message = await self._store.load(smtp_id)
        if is_new:
            if smtp_id in self.slow:
                message.clock_ns = self.slow.since_ns(smtp_id) - message.received.time_ns - message.held_ns
            elif message.place == SLOW:
                self._note_crash(message)
                self._queue_slow(message)
        return message

    def _was_flushed(self, message: MessageState) -> bool:
        """Whether a person wanted it tried before it was read."""
        return bool(self._flushed) and not self._flushed.isdisjoint({"", *domains_of(message)})

    def _note_crash(self, message: MessageState) -> None:
        if message.started:  # found at start: its relay ended while it was examined (PROC-12)
            self._store.note(message, Crashed(message.id, message.crashes + 1, "the relay ended during the scan"))

    def _queue_slow(self, message: MessageState) -> None:
        """One that was found there at start."""
        self._own_mail.remember(message)
        # Never later than the settings allow: the clock may have been wrong when the time was written.
        message.due_ns = min(message.due_ns + self._shifted_ns, self._clock() + self._longest_ns)
        if self._was_flushed(message):
            message.due_ns = 0
        message.clock_ns = self._shifted_ns
        self._sending.queue_slow(message)

    def offer(self, draft: Draft, accept: Acceptance, accepted: Callable[[MessageState], None]) -> Offer | None:
        """A message whose client waits; None: it cannot be waited for now, and has to be committed first.

        accepted: told when it is durable or delivered. It is in work then: no submit() follows.
        """
        return self._offers.take(draft, accept, accepted)

    async def submit_own(self, recipients: Sequence[str], content: bytes, word: str = "") -> str:
        """Mail that the gateway itself wants sent (notifications, alerts), also while delivery is paused (GAP-44).

        content: the whole message, CRLF line ends. word: names it; what was submitted under it is not queued again.
        Returns the SMTP ID when it is durable, of the earlier one for a known word. Raises QueueFull.
        """
        return await self._own_mail.send(recipients, content, word)

    async def submit_pieces(self, recipients: Sequence[str], pieces: AsyncIterator[bytes], word: str) -> str:
        """As `submit_own`, for what is large; raises what the pieces raise, too."""
        return await self._own_mail.send_pieces(recipients, pieces, word)

    def settings_changed(self) -> None:
        """Delivery may have been paused or resumed (DLV-01)."""
        self._take()
        self.slow.look_again()

    def _ahead(self) -> int:
        """Messages that are to be examined before one that comes now. While delivery is paused none is."""
        return 0 if self.paused else len(self._unexamined)

    def _line(self, message: MessageState) -> deque[MessageState]:
        return self._own if message.received.internal else self._waiting

    def _first(self, messages: Iterable[MessageState]) -> None:
        """These may go on, before others."""
        for message in reversed(list(messages)):
            self._line(message).appendleft(message)

    def _take(self) -> None:
        while not self._stopping:
            in_hand = len(self._tasks)
            if self._own and in_hand < IN_HAND + OWN_IN_HAND:
                message = self._own.popleft()
            elif self._waiting and not self.paused and in_hand < IN_HAND:
                message = self._waiting.popleft()
            else:
                return
            if message.place != FAST or message.done:
                self._examined(message.id)
                continue  # it was moved out of the log or ended meanwhile
            if self.is_busy(message):  # with its last steps perhaps, after which nobody would think of it
                self._turn_missed[message.id] = message
            else:
                self._spawn(message.id, self._process(message), message)

    def relieve_log(self) -> None:
        """Copy what keeps old segments of the log from use into files of their own (called now and then).

        Also what is in delivery: a next hop that says nothing must not bring all mail to a stop.
        """
        if self._stopping or self._clock() < self._relief_due_ns:
            return
        for message in self._store.crowded():
            if not self.is_busy(message):
                self._spawn(message.id, self._relieve(message), message)
            elif self._sending.is_under_way(message):
                task = asyncio.get_running_loop().create_task(self._move(message))
                self._moves.add(task)
                task.add_done_callback(self._moves.discard)

    def sweep(self) -> None:
        """Reorder the slow queue, every SWEEP_S (called now and then, PROC-07)."""
        now = self._clock()
        if now >= self._sweep_due_ns and not self._stopping:
            self._sweep_due_ns = now + SWEEP_S * backoff.S_NS
            self._sending.sweep()

    async def _relieve(self, message: MessageState) -> None:
        try:
            await self._store.defer(message, self._clock(), "waits for its turn")
            self._sending.queue_slow(message)
        except QueueFull as error:
            log.warning("%s: cannot leave the log for the slow queue: %s", message.id, error)
            self._relief_due_ns = self._clock() + NO_ROOM_S * backoff.S_NS
            self._line(message).append(message)

    async def _move(self, message: MessageState) -> None:
        """Its delivery goes on, and reads it where it is then."""
        if message.moving or not self._sending.is_under_way(message):
            return
        try:
            await self._store.defer(message, self._clock(), "is in delivery")
        except QueueFull as error:
            log.warning("%s: cannot leave the log during its delivery: %s", message.id, error)
            self._relief_due_ns = self._clock() + NO_ROOM_S * backoff.S_NS

    def clock_moved(self, by_ns: int) -> None:
        """The clock of the machine was set: what waits goes on waiting as long as it would have (DLV-04)."""
        self._shifted_ns += by_ns
        for message in self._store.in_memory():
            message.clock_ns += by_ns
            if message.place == SLOW:
                message.due_ns += by_ns
        self._sending.forget_failures()
        self._relief_due_ns = self._sweep_due_ns = 0
        self.slow.shift(by_ns)

    @property
    def paused(self) -> bool:
        return self._services.settings.delivery.pause

    @property
    def _longest_ns(self) -> int:
        """Nothing waits longer than that for its next attempt."""
        delivery = self._services.settings.delivery
        return max(delivery.retry_first_s, delivery.retry_last_s) * backoff.S_NS

    def failing_until(self, key: str) -> int:
        return self._sending.failing_until(key)

    def told_by(self, since_ns: int, *, unwarned: bool) -> int:
        return self._sending.told_by(since_ns, unwarned=unwarned)

    def is_busy(self, message: MessageState) -> bool:
        """Whether something works on it."""
        return self._is_busy(message.id)

    def _is_busy(self, smtp_id: str) -> bool:
        return smtp_id in self._tasks or smtp_id in self._claimed

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
            self._free(message.id)
            self._take()

    def _work_on(self, message: MessageState, work: Coroutine[None, None, None]) -> "asyncio.Task[None] | None":
        if self._stopping or len(self._tasks) >= IN_HAND:
            return None
        return self._spawn(message.id, work, message)

    def _spawn(
        self, smtp_id: str, work: Coroutine[None, None, None], message: MessageState | None = None
    ) -> "asyncio.Task[None]":
        """message: to be known until the end of the work, wherever it is moved; nothing else may think of it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[smtp_id] = task
        task.add_done_callback(lambda done: self._ended(smtp_id, done, message))
        return task

    def _ended(self, smtp_id: str, task: "asyncio.Task[None]", message: MessageState | None) -> None:
        self._tasks.pop(smtp_id, None)
        self._examined(smtp_id)
        self.flow.left()
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, PoolStopped):
            self._failed(smtp_id, error, message)
        self._free(smtp_id)
        self._take()

    def _examined(self, smtp_id: str) -> None:
        """Or whatever it came to: nothing waits for its examination now."""
        if smtp_id in self._unexamined:
            self._unexamined.discard(smtp_id)
            self.flow.examined()

    def _failed(self, smtp_id: str, error: BaseException, message: MessageState | None) -> None:
        """Ours, not the message's fault: it stays in the queue and is tried again later."""
        delay_s = self._services.settings.delivery.retry_first_s
        if isinstance(error, QueueFull):
            log.error("%s: kept for another try, there is no room in the queue: %s", smtp_id, error)
            delay_s = min(delay_s, NO_ROOM_S)
        else:
            log.error("%s: processing failed, kept for another try", smtp_id, exc_info=error)
            self._services.event(events.ScanError(smtp_id=smtp_id, description=f"internal error: {error!r}"))
        due_ns = self._clock() + delay_s * backoff.S_NS
        message = message or self._store.known(smtp_id)
        if message is not None and message.place != HOLD and not message.done:
            message.due_ns = due_ns
            self.slow.add(message, ())
        elif smtp_id in self.slow:  # it could not even be read; if it is done or held, that is found out then
            self.slow.postpone(smtp_id, due_ns)

    async def stop(self) -> None:
        """Finish what is in hand, as far as it takes no long; the rest resumes after the next start (PROC-14)."""
        self._stopping = True
        self._own_mail.stop()
        self._offers.hurry()
        self.slow.stop()
        if self._moves:
            await asyncio.wait(self._moves)
        if self._tasks:
            _, left = await asyncio.wait(self._tasks.values(), timeout=STOP_S)
            for task in left:
                task.cancel()
            if left:
                await asyncio.wait(left)

    # --- the way of one message -------------------------------------------------------------------

    async def _process(self, message: MessageState) -> None:
        verdict = message.verdict  # there already: a retry, or found so at start
        if verdict is None and not message.received.internal:
            try:
                verdict = await self._examination.examine(message)
                self._examined(message.id)
            except Suspect as suspect:
                await self._ends.hold(message, str(suspect), suspect=True)
                return
        if verdict is None or await self._ends.follow(message, verdict):
            await self._sending.deliver(message)

    def _retry(self, smtp_id: str) -> None:
        """A message of the slow queue that is due; one that is in work just now, as soon as it is not any more."""
        if not self._is_busy(smtp_id):
            self._spawn(smtp_id, self._load_and_process(smtp_id))

    async def _load_and_process(self, smtp_id: str) -> None:
        try:
            message = await self.load(smtp_id)
        except NoSuchMessage:
            self.slow.forget(smtp_id)
            return
        if message.place == HOLD:
            self.slow.forget(smtp_id)
        else:
            await self._process(message)

    def _free(self, smtp_id: str) -> None:
        """Nothing works on it any more."""
        missed = self._turn_missed.pop(smtp_id, None)
        if self._stopping:
            return
        if self.slow.is_out(smtp_id):
            self._retry(smtp_id)
        elif missed is not None:
            self._first((missed,))

    # --- decisions of a person (command line, pages) ----------------------------------------------

    async def hold_by_hand(self, message: MessageState, reason: str) -> None:
        """Raises Busy, and QueueFull: then it goes on as before."""
        with self.claim(message):
            try:
                await self._ends.hold(message, reason)
            except QueueError:
                self._go_on(message)
                raise

    def drop_by_hand(self, message: MessageState, reason: str) -> None:
        """Raises Busy."""
        with self.claim(message):
            self._ends.drop(message, reason)

    async def retry_by_hand(self, message: MessageState, reason: str, onward: Onward = Onward.USUAL) -> None:
        """A held one is processed anew (HOLD-02), a slow one is due now. Raises Busy, QueueFull: nothing changed.

        onward: whether it goes on in another way, wherever it is: delivered as it is, or processed anew.
        """
        with self.claim(message):
            if message.place == HOLD or onward is not Onward.USUAL:
                await self._store.release(message, reason, onward)
                self._services.event(events.QueueMoved(smtp_id=message.id, place=SLOW, reason=reason))
                self._sending.queue_slow(message)
        self._sending.try_now(self.slow.keys(message.id))
        self.slow.due_now(message.id)

    def flush(self, domain: str) -> int:
        """All that waits for a domain, or the whole slow queue, is due now. Returns how many."""
        if not self._all_found:
            self._flushed.add(domain)
        count, keys = self.slow.flush(domain)
        self._sending.try_now(keys)
        self.slow.wake()
        return count if domain or self._all_found else max(count, self._store.lengths()[1])

    def retry_waiting(self, smtp_id: str) -> bool:
        """As retry_by_hand, without reading it; False: it has to be read."""
        if smtp_id not in self.slow or self._is_busy(smtp_id):
            return False
        self._sending.try_now(self.slow.keys(smtp_id))
        self.slow.due_now(smtp_id)
        return True

    async def forward_by_hand(self, message: MessageState, to: str, subject: str, reason: str) -> None:
        """A copy for somebody; the original stays where it is (HOLD-04, HOLD-05). Raises Busy, QueueFull."""
        with self.claim(message):
            try:
                await self._own_mail.forward(message, to, subject, reason, is_copy=True)
            finally:
                if message.place == FAST:  # it may have been its turn meanwhile
                    self._go_on(message)

    def _go_on(self, message: MessageState) -> None:
        """What a person wanted came to nothing."""
        if message.place == FAST:
            self.slow.forget(message.id)
            self._line(message).append(message)
        elif message.place == SLOW:
            self._sending.queue_slow(message)


__all__ = ["FOR_ONE_HOP", "IN_HAND", "Busy", "Pipeline"]
