"""Delivery of one message to its next hops, and what follows from the answers (PROC-05..11).

Recipients that failed are noted when their bounce is durable, because nobody would make it afterwards; those that were
relayed are noted as that at once, so that they get it once, and are done with when the notice of it is durable. What
is left goes to the slow queue. A slow next hop holds up nobody else: of the messages of the fast queue only
FOR_ONE_HOP may be in delivery to one, fewer if there are several such, and the others are parked.
"""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from engine import events, limits
from engine.config import Delivery
from engine.delivery import backoff
from engine.delivery.bounce import wanted
from engine.delivery.deliver import Deliverer
from engine.delivery.reply import is_no_turn
from engine.processing.ends import Ends
from engine.processing.own_mail import OwnMail
from engine.processing.services import Services
from engine.queue.record import Attempt, Notice, Result, Told
from engine.queue.state import FAST, MessageState
from engine.queue.store import Store
from engine.slow import SlowQueue

IN_HAND: Final = 500  # messages of one relay in work at once; the others wait in the fast queue, a few octets each
FOR_ONE_HOP: Final = IN_HAND // 4  # of these in delivery to one next hop: a slow one must not hold up others (PROC-06)
UNSET_NS: Final = 1_577_836_800 * backoff.S_NS  # the year 2020: a clock that shows less was not set yet
_GREYLISTED: Final = re.compile("45[01] ")  # what hosts answer that want to see a client again


class Sending:
    """go_on: takes messages of the fast queue that were parked and may be sent now, before others."""

    def __init__(
        self,
        services: Services,
        store: Store,
        deliverer: Deliverer[MessageState],
        slow: SlowQueue,
        own_mail: OwnMail,
        ends: Ends,
        go_on: Callable[[Iterable[MessageState]], None],
        clock: Callable[[], int],
    ) -> None:
        self._services = services
        self._store = store
        self._deliverer = deliverer
        self._slow = slow
        self._own_mail = own_mail
        self._ends = ends
        self._go_on = go_on
        self._clock = clock
        self._sending: Counter[str] = Counter()  # messages of the fast queue in delivery, by next hop
        self._parked: dict[str, deque[MessageState]] = {}  # those for a next hop that has enough of them
        self._under_way: set[str] = set()  # messages of the fast queue that a next hop has to answer about
        self._backoff = backoff.Backoff()
        self._accepting: dict[str, int] = {}  # next hops that took mail since the last sweep, and when

    async def deliver(self, message: MessageState) -> None:
        """One attempt for every recipient without a result. Raises QueueFull: what was not noted is to be repeated."""
        if await self._suppress_own(message):
            return
        attempts: list[Attempt] = []
        if message.pending:
            keys = self.keys(message)
            if message.place == FAST:
                if self._is_hopeless(keys):
                    await self._defer(message, "the next hop did not answer a moment ago")
                    return
                if self._park(message, keys):
                    return
            elif self._is_hopeless(keys):  # it ends, or its sender is to be told of the delay
                await self.conclude(message, self._as_before(message))
                return
            attempts = await self._attempt(message, keys)
        await self.conclude(message, attempts)

    async def at_once(self, message: MessageState) -> list[Attempt] | None:
        """The same attempt, for a message whose client waits; None: not now, a queue has to do it. conclude() follows,
        unless nothing is left to do but to tell the client."""
        keys = self.keys(message)
        own = self._services.own_address
        if (
            self._delivery.pause
            or self._is_hopeless(keys)
            or any(self._sending[key] >= FOR_ONE_HOP for key in keys)
            or any(one.address.lower() == own for one in message.received.recipients)
        ):
            return None
        return await self._attempt(message, keys)

    def wait(self, message: MessageState) -> None:
        """Delivery is paused: it goes on when that is over, before others."""
        self._go_on((message,))

    async def conclude(self, message: MessageState, attempts: Sequence[Attempt]) -> None:
        """What follows from an attempt. Raises QueueFull: it is to be repeated."""
        failed = [attempt for attempt in attempts if attempt.result is Result.FAILED]
        if backoff.expired(self._waits_since_ns(message), self._clock(), self._delivery):
            failed += self._expire(message, {attempt.recipient for attempt in failed})
        if failed and message.received.forward_of:
            await self._keep_forward(message, failed[0].reply)
            return
        await self._own_mail.tell(message, Notice.FAILED, failed)
        self._store.note(message, *failed)
        await self._tell(message, Notice.RELAYED, message.relayed)
        if self._warning_ns(message) <= self._clock():
            unwarned = set(self._unwarned(message))
            await self._tell(message, Notice.DELAYED, [one for one in attempts if one.recipient in unwarned])
        if message.pending:
            await self._defer(message, message.replies[message.pending[0]])
        else:
            self._ends.complete(message)

    async def _tell(self, message: MessageState, notice: Notice, attempts: Sequence[Attempt]) -> None:
        """Once for each recipient (RFC 3461 s5.2)."""
        if attempts:
            await self._own_mail.tell(message, notice, attempts)
            self._store.note(message, Told(message.id, notice, tuple(one.recipient for one in attempts)))

    def _warning_ns(self, message: MessageState) -> int:
        return backoff.warning_ns(self._waits_since_ns(message), self._delivery)

    def _waits_since_ns(self, message: MessageState) -> int:
        """Its days begin now if it was accepted before the clock was set, after a start of the machine perhaps."""
        if message.waits_since_ns < UNSET_NS <= (now_ns := self._clock()):
            message.clock_ns += now_ns - message.waits_since_ns
        return message.waits_since_ns

    def _unwarned(self, message: MessageState) -> list[int]:
        """Of those that wait: whose sender wants to know of the delay and does not yet (DLV-05)."""
        if not message.received.reverse_path:
            return []
        recipients, warn_all = message.received.recipients, self._delivery.warn_of_delay
        return [
            index
            for index in message.pending
            if index not in message.warned and wanted(Notice.DELAYED, recipients[index], warn_all=warn_all)
        ]

    async def _keep_forward(self, message: MessageState, reason: str) -> None:
        """Nobody else has the message that a forward carries, and nobody would get a bounce of it."""
        about = f"the forward of {message.received.forward_of} cannot be delivered: {reason}"
        await self._ends.hold(message, about)

    async def _attempt(self, message: MessageState, keys: set[str]) -> list[Attempt]:
        """One for each recipient that waits. All but failures are noted."""
        if message.place != FAST:
            attempts = await self._deliverer.deliver(message)
        else:
            self._sending.update(keys)
            self._under_way.add(message.id)
            try:
                attempts = await self._deliverer.deliver(message)
            finally:
                self._under_way.discard(message.id)
                for key in keys:
                    self._sent(key)
            await self._store.at_rest(message)  # the log may have needed its room meanwhile
        if not message.done:  # it may be no longer in the log, while its client still waits
            self._store.note(message, *(attempt for attempt in attempts if attempt.result is not Result.FAILED))
            if any(attempt.result is Result.DELIVERED for attempt in attempts):
                self._store.write_soon(message)
        self._learn(message, attempts)
        return attempts

    def _as_before(self, message: MessageState) -> list[Attempt]:
        """What an attempt would come to now; it is not noted, since there was none."""
        return [
            Attempt(message.id, self._clock(), index, Result.PENDING, message.replies[index], message.next_hop)
            for index in message.pending
        ]

    def is_under_way(self, message: MessageState) -> bool:
        """Whether nothing is to be done with it until its next hops have answered: it can be moved."""
        return message.id in self._under_way

    def _sent(self, key: str) -> None:
        """One of those in delivery to a next hop is through: another one may go, after the last one all that wait."""
        self._sending[key] -= 1
        parked = self._parked.get(key)
        if not self._sending[key]:
            del self._sending[key]
            self._go_on(self._parked.pop(key, ()))
        elif parked:
            self._go_on((parked.popleft(),))

    def _park(self, message: MessageState, keys: set[str]) -> bool:
        """Whether it has to wait, in the fast queue, until others for the same next hop are through."""
        key = next((key for key in keys if self._has_enough(key)), None)
        if key is None:
            return False
        self._parked.setdefault(key, deque()).append(message)
        self._slow.forget(message.id)
        return True

    def _has_enough(self, key: str) -> bool:
        """Whether a next hop has its part of what may be in hand: a third of what no other has, so many may hang."""
        count = self._sending[key]
        return count >= max(1, (IN_HAND - self._sending.total()) * FOR_ONE_HOP // (IN_HAND - FOR_ONE_HOP))

    @property
    def _delivery(self) -> Delivery:
        return self._services.settings.delivery

    def keys(self, message: MessageState) -> set[str]:
        """The next hops of the recipients that wait, as texts."""
        return {self._deliverer.key_of(message.received.recipients[index].address) for index in message.pending}

    def queue_slow(self, message: MessageState) -> None:
        """Into the slow queue, for its due_ns."""
        self._waits_since_ns(message)
        self._slow.add(message, self.keys(message), unwarned=bool(self._unwarned(message)))

    def failing_until(self, key: str) -> int:
        """When a next hop that failed is to be tried again; 0: it did not fail."""
        return self._backoff.due_ns(key)

    def told_by(self, since_ns: int, *, unwarned: bool) -> int:
        """When a message that waits since then ends, or its sender is to be warned."""
        ends_ns = backoff.expires_ns(since_ns, self._delivery)
        return min(ends_ns, backoff.warning_ns(since_ns, self._delivery)) if unwarned else ends_ns

    def try_now(self, keys: Iterable[str]) -> None:
        """A person wants it, whatever is known of these next hops."""
        now = self._clock()
        for key in keys:
            self._backoff.try_now(key, now)

    def forget_failures(self) -> None:
        """The clock was set: the times at which next hops are to be tried again mean nothing any more."""
        self._backoff = backoff.Backoff()

    def sweep(self) -> None:
        """What waits for a next hop that is known to take mail need not wait (PROC-07)."""
        accepting, self._accepting = self._accepting, {}
        if accepting:
            self._slow.sweep(accepting)

    def _took_mail(self, key: str) -> None:
        self._accepting[key] = self._clock()
        if len(self._accepting) > limits.BACKOFF_ENTRIES:
            del self._accepting[next(iter(self._accepting))]

    def _is_hopeless(self, keys: set[str]) -> bool:
        """Whether all next hops were just found unreachable: then new mail does not wait for them (PROC-06)."""
        now = self._clock()
        return all(self._backoff.due_ns(key) > now for key in keys)

    def _learn(self, message: MessageState, attempts: Sequence[Attempt]) -> None:
        """Next hops that did not answer, and those that do again; forwards that arrived."""
        received = message.received
        for attempt in attempts:
            address = received.recipients[attempt.recipient].address
            key = self._deliverer.key_of(address)
            if attempt.next_hop:
                self._slow.answers(key)
            if attempt.result is Result.DELIVERED:
                if received.forward_of:
                    self._services.event(
                        events.Forwarded(smtp_id=received.forward_of, forward_path=address, forward_id=message.id)
                    )
                self._took_mail(key)
                if self._backoff.accepted(key):
                    self._slow.next_hop_accepts(key)
            elif not attempt.next_hop and attempt.result is Result.PENDING and not is_no_turn(attempt.reply):
                now = self._clock()
                if self._backoff.due_ns(key) <= now:  # the first of a round (ALR-14)
                    self._services.event(events.ConnectionFailed(server=key, reason=attempt.reply))
                self._backoff.failed(key, now, self._delivery)
                self._slow.fails(key)

    async def _defer(self, message: MessageState, reason: str) -> None:
        """Into the slow queue, to be tried when its first next hop is due."""
        keys = self.keys(message)
        now = self._clock()
        own_ns = now + backoff.interval_s(max(message.attempts, 1), self._delivery) * backoff.S_NS
        # A next hop whose time has come did answer, only not with 250: then the message has its own interval.
        due_ns = min((due if (due := self._backoff.due_ns(key)) > now else own_ns for key in keys), default=own_ns)
        if self._comes_soon(message):
            due_ns = min(due_ns, now + self._delivery.greylist_retry_s * backoff.S_NS)
        if due_ns > (warning_ns := self._warning_ns(message)) > now and self._unwarned(message):
            due_ns = warning_ns  # once more then, so that what is told of the delay is new
        await self._store.defer(message, due_ns, reason)
        self.queue_slow(message)

    @staticmethod
    def _comes_soon(message: MessageState) -> bool:
        """Whether it waits for its turn alone, or for a host that was asked once and may only want to see it again."""
        replies = [message.replies[index] for index in message.pending]
        if replies and all(map(is_no_turn, replies)):
            return True
        return message.attempts <= 1 and any(_GREYLISTED.match(reply) for reply in replies)

    async def _suppress_own(self, message: MessageState) -> bool:
        """Mail to the account that our own mail comes from is never delivered (SMTP-11, PROC-27).

        Returns whether that is the end of it.
        """
        own, reason = self._services.own_address, "mail to the gateway's own From account"
        received = message.received
        mine = [index for index in message.pending if received.recipients[index].address.lower() == own]
        if mine and received.forward_of:  # the settings were others when it was made
            await self._keep_forward(message, reason)
            return True
        for index in mine:
            self._store.note(message, Attempt(message.id, self._clock(), index, Result.SUPPRESSED, reason, ""))
            self._services.event(
                events.DeliverySuppressed(
                    smtp_id=message.id,
                    reverse_path=received.reverse_path,
                    forward_path=received.recipients[index].address,
                    reason=reason,
                )
            )
        return False

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
