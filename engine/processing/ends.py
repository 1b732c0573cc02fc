"""The ways in which a message ends or is set aside, by policy or by a person (PROC-16, PROC-18)."""

from collections.abc import Callable
from typing import assert_never

from engine import events
from engine.processing.own_mail import OwnMail
from engine.processing.services import Services
from engine.queue.record import Attempt, Disposition, Notice, Result, Verdict
from engine.queue.state import MessageState
from engine.queue.store import Store
from engine.slow import SlowQueue


class Ends:
    """clock: nanoseconds since 1970."""

    def __init__(
        self, services: Services, store: Store, slow: SlowQueue, own_mail: OwnMail, clock: Callable[[], int]
    ) -> None:
        self._services = services
        self._store = store
        self._slow = slow
        self._own_mail = own_mail
        self._clock = clock

    async def follow(self, message: MessageState, verdict: Verdict) -> bool:
        """Do what policy decided. Returns whether the message goes on to delivery. Raises QueueFull: to be repeated."""
        match verdict.disposition:
            case Disposition.DELIVER:
                return True
            case Disposition.HOLD:
                await self.hold(message, verdict.reason, verdict.suspect)
            case Disposition.DROP | Disposition.REFUSE:  # the latter is told to a client that waits, and is in no queue
                self.drop(message, verdict.reason)
            case Disposition.BOUNCE:
                await self._return_to_sender(message, verdict.reason)
            case Disposition.FORWARD:
                await self._forward(message, verdict)
            case never:
                assert_never(never)
        return False

    async def hold(self, message: MessageState, reason: str, suspect: bool = False) -> None:
        """Raises QueueFull: it stays where it was. suspect: people are told of it (ALR-08)."""
        await self._store.hold(message, reason)
        self._slow.forget(message.id)
        self._services.event(events.Held(smtp_id=message.id, reason=reason, suspect=suspect))

    def drop(self, message: MessageState, reason: str) -> None:
        """PROC-16: nobody receives it, no bounce. Told first: nothing else is left of it when the queue forgets it."""
        received = message.received
        self._services.event(
            events.Dropped(
                smtp_id=message.id,
                reason=reason,
                reverse_path=received.reverse_path,
                forward_paths=tuple(one.address for one in received.recipients),
            )
        )
        self._store.note(message, *self._all(message, Result.DROPPED, reason))
        self.complete(message)

    async def _return_to_sender(self, message: MessageState, reason: str) -> None:
        """SCAN-08: by policy; never to the null reverse-path."""
        failures = self._all(message, Result.FAILED, f"550 5.7.1 {reason}")
        await self._own_mail.tell(message, Notice.FAILED, failures)
        self._store.note(message, *failures)
        for failure in failures:
            address = message.received.recipients[failure.recipient].address
            self._services.event(events.Bounced(smtp_id=message.id, forward_path=address, reason=reason))
        self.complete(message)

    async def _forward(self, message: MessageState, verdict: Verdict) -> None:
        """PROC-18: to one address for each criterion that says so, in place of its recipients (PROC-19)."""
        own = self._services.own_address  # mail to it is never delivered (SMTP-11)
        forwards = [(to, subject) for to, subject in verdict.forwards if to.lower() != own]
        if not forwards:
            await self.hold(message, f"there is no address to forward it to; {verdict.reason}")
            return
        for to, subject in forwards:
            await self._own_mail.forward(message, to, subject, verdict.reason)
        self._store.note(message, *self._all(message, Result.FORWARDED, verdict.reason))
        self.complete(message)

    def _all(self, message: MessageState, result: Result, reply: str) -> list[Attempt]:
        """This result for every recipient without a final one."""
        now = self._clock()
        return [Attempt(message.id, now, index, result, reply, "") for index in message.pending]

    def complete(self, message: MessageState) -> None:
        """PROC-26."""
        self._store.done(message)
        self._slow.forget(message.id)
        self._services.event(events.Completed(smtp_id=message.id))
