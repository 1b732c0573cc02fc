"""Messages whose clients wait for what becomes of them, before anything is promised (`accept` of a listener).

    written, not ended -> examined and judged -> scan: durable -> 250, and goes on as any other
                                  |              deliver: tried at once -> all next hops took it: 250, and nothing stays
                                  |                                     -> all refused it: their reply
                                  550                                  -> anything else: durable -> 250

One way for all: the stages are those of engine/pipeline.py, and at any moment a message may become one of the queue,
by its End in the log: that is the promise, and 250 follows. It does so as soon as there is something that only a queue
can do (hold, forward, retry, bounce, tell of success), when something fails that is no fault of the message, when its
client has waited for long enough, and when the service stops. Until then it can be forgotten without a trace on disk:
refused, taken by its next hops, or left by its client. So what was not promised is not found by a restart.

What remains, as in all of SMTP (RFC 1047): a relay that dies after a next hop took the message, or after its End is on
disk, and before its client has read 250, makes the client send it again.

SMTP has one reply for all recipients. If next hops take it for some and refuse it for others, it is accepted, and the
sender hears of the others by a bounce.

Once all next hops took a message it is durable with them: then its client hears 250, though our own log may fail in
that moment. A promise that fails while they are being asked waits for what they say.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Final

from engine import events, limits
from engine.config import Acceptance
from engine.processing.ends import Ends
from engine.processing.examination import Examination, Suspect
from engine.processing.sending import Sending
from engine.processing.services import Services
from engine.queue.draft import Draft
from engine.queue.errors import QueueFull
from engine.queue.record import Attempt, Disposition, Result, Verdict
from engine.queue.state import MessageState
from engine.replies import Ending, Reply

RECIPIENTS_TOLD: Final = 10  # in the event of a message that was refused
REPLY_LEN: Final = 400  # characters of a next hop's words in a reply of ours, whose lines may have 512 (RFC 5321)

log = logging.getLogger(__name__)


class Offer:
    """One such message. answer: what to tell its client; cancelled if the client gave up."""

    def __init__(
        self,
        draft: Draft,
        accept: Acceptance,
        accepted: Callable[[MessageState], None],
        event: Callable[[events.Event], None],
    ) -> None:
        """accepted: told of it when it is durable or delivered, before the client is."""
        self.draft = draft
        self.delivers = accept is Acceptance.DELIVER
        self.message = draft.message
        self.answer: asyncio.Future[Ending | Reply] = asyncio.get_running_loop().create_future()
        self.task: asyncio.Task[None] | None = None
        self._accepted = accepted
        self._event = event
        self._promising: asyncio.Task[bool] | None = None
        self._in_delivery = False
        self._taken: Ending | None = None  # by all next hops
        self._unkept: Reply | None = None  # what to tell its client if they do not take it

    @property
    def is_open(self) -> bool:
        """Whether nothing was promised or told."""
        return self._promising is None and not self.answer.done()

    async def promise(self) -> bool:
        """Make it durable, and say so, once. Returns whether it is: else its client was told, and it is gone."""
        if self._promising is None:
            if self.answer.done():
                return False
            self._begin()
        assert self._promising is not None
        return await asyncio.shield(self._promising)

    def _begin(self) -> None:
        self.message.refusable = False  # from now on, though its End comes in a moment
        self._promising = asyncio.get_running_loop().create_task(self._promise())

    async def _promise(self) -> bool:
        try:
            await self.draft.commit()
        except Exception as error:
            if isinstance(error, QueueFull):
                log.error("message %s: %s", self.message.id, error)
            else:
                log.exception("message %s: cannot be made durable", self.message.id)
            reply = Reply.QUEUE_FULL if isinstance(error, QueueFull) else Reply.TRY_AGAIN
            # What is larger is read while it is sent, and has no place in the log any more.
            if self._in_delivery and self.message.size <= limits.COALESCE_LEN // 2:
                self._unkept = reply
            elif self._taken is not None:
                self._say_taken(self._taken)
            else:
                self._say(reply)
                self._stop_work()
            return False
        self._tell_accepted()
        self._say(Ending(Reply.QUEUED, Reply.QUEUED.line(self.message.id)))
        return True

    def hurry(self) -> None:
        """Its client shall wait no longer: promise it, unless it is being refused."""
        verdict = self.message.verdict
        if self.is_open and not (verdict is not None and verdict.disposition is Disposition.REFUSE):
            self._begin()

    def give_up(self) -> bool:
        """Its client has left. Returns whether the message is forgotten: else it is promised or answered already."""
        if not self.is_open:
            return False
        self.answer.cancel()
        self.draft.abort()
        self._stop_work()
        received = self.message.received
        self._event(
            events.Abandoned(
                smtp_id=self.message.id,
                client=received.client,
                connection_id=received.connection_id,
                reverse_path=received.reverse_path,
                forward_paths=tuple(one.address for one in received.recipients),
            )
        )
        return True

    def refuse(self, ending: Ending | Reply) -> None:
        self.draft.abort()
        self._say(ending)
        if isinstance(ending, Ending) and ending.reply.reason is not None:
            received = self.message.received
            paths = [one.address for one in received.recipients]
            more = f" and {len(paths) - RECIPIENTS_TOLD} more" if len(paths) > RECIPIENTS_TOLD else ""
            self._event(
                events.Rejected(
                    client=received.client,
                    connection_id=received.connection_id,
                    reason=ending.reply.reason,
                    reverse_path=received.reverse_path,
                    forward_path=", ".join(paths[:RECIPIENTS_TOLD]) + more,
                    smtp_id=self.message.id,
                    reply=ending.text,
                    size=self.message.size,
                )
            )

    def delivery_begins(self) -> None:
        self._in_delivery = True

    def delivery_ends(self, taken: Ending | None) -> None:
        """taken: what to tell the client if all next hops took it, else None."""
        self._in_delivery = False
        self._taken = taken
        if self._unkept is None:
            return
        if taken is not None:
            self._say_taken(taken)
        else:
            self._say(self._unkept)

    def done_with(self) -> None:
        """The next hops have it all, and nothing is left to do."""
        assert self._taken is not None
        self._tell_accepted()
        self.draft.abort()
        self._say(self._taken)

    def _say_taken(self, ending: Ending) -> None:
        log.error("message %s: its next hops took it, but the queue could not note that", self.message.id)
        self._tell_accepted()
        self._say(ending)

    def _tell_accepted(self) -> None:
        try:
            self._accepted(self.message)
        except Exception:  # 250 is true all the same
            log.exception("message %s: accepted, but not told", self.message.id)

    def _say(self, ending: Ending | Reply) -> None:
        if not self.answer.done():
            self.answer.set_result(ending)

    def _stop_work(self) -> None:
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()


class Offers:
    """spawn: has the work on a message done as that on any other of the queue; None: there is too much."""

    def __init__(
        self,
        services: Services,
        examination: Examination,
        ends: Ends,
        sending: Sending,
        spawn: Callable[[MessageState, Coroutine[None, None, None]], "asyncio.Task[None] | None"],
    ) -> None:
        self._services = services
        self._examination = examination
        self._ends = ends
        self._sending = sending
        self._spawn = spawn
        self._open: set[Offer] = set()

    def take(self, draft: Draft, accept: Acceptance, accepted: Callable[[MessageState], None]) -> Offer | None:
        """None: too many wait, or too much is in work; it has to go the way by the queue."""
        if accept is Acceptance.QUEUE or len(self._open) >= self._services.settings.smtp.before_queue.waiting:
            return None
        offer = Offer(draft, accept, accepted, self._services.event)
        work = self._work(offer)
        offer.task = self._spawn(offer.message, work)
        if offer.task is None:
            work.close()
            return None
        self._open.add(offer)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self._services.settings.smtp.before_queue.wait_s, offer.hurry)

        def answered(_: object) -> None:
            timer.cancel()
            self._open.discard(offer)

        offer.answer.add_done_callback(answered)
        return offer

    def hurry(self) -> None:
        """The service stops: nobody waits any longer."""
        for offer in list(self._open):
            offer.hurry()

    async def _work(self, offer: Offer) -> None:
        try:
            if offer.is_open:
                await offer.draft.offer()
        except QueueFull as error:
            if offer.is_open:
                log.error("message %s: %s", offer.message.id, error)
                offer.refuse(Reply.QUEUE_FULL)
                return
        if not offer.is_open and not await offer.promise():
            return
        try:
            await self._process(offer)
        except Exception:
            if not offer.message.committed and not await offer.promise():
                log.exception("message %s: its examination failed, and it cannot be kept", offer.message.id)
                return
            raise  # as that of any message of the queue

    async def _process(self, offer: Offer) -> None:
        message = offer.message
        try:
            verdict = await self._examination.examine(message)
        except Suspect as suspect:
            if await offer.promise():
                await self._ends.hold(message, str(suspect), suspect=True)
            return
        if verdict is not None and verdict.disposition is Disposition.REFUSE:
            offer.refuse(_refusal(verdict))
        elif verdict is not None and verdict.disposition is not Disposition.DELIVER:
            if await offer.promise():
                await self._ends.follow(message, verdict)
        elif offer.delivers and offer.is_open and offer.draft.intact:
            await self._deliver(offer)
        else:
            await self._go_on(offer)

    async def _go_on(self, offer: Offer) -> None:
        """As any message of the queue."""
        if not await offer.promise():
            return
        if self._services.settings.delivery.pause:
            self._sending.wait(offer.message)
        else:
            await self._sending.deliver(offer.message)

    async def _deliver(self, offer: Offer) -> None:
        message = offer.message
        taken: Ending | None = None
        offer.delivery_begins()
        try:
            attempts = await self._sending.at_once(message)
            if attempts and all(one.result is Result.DELIVERED for one in attempts):
                taken = _delivered(message.id, attempts)
        finally:
            offer.delivery_ends(taken)
        if attempts is None:
            await self._go_on(offer)
            return
        failed = [one for one in attempts if one.result is Result.FAILED]
        if offer.is_open and len(failed) == len(attempts):
            offer.refuse(_refused_by_next_hop(message.id, failed))
        elif offer.is_open and taken is not None and not message.relayed:
            offer.done_with()
            self._services.event(events.Completed(smtp_id=message.id))
        elif await offer.promise():
            await self._sending.conclude(message, attempts)


def _refusal(verdict: Verdict) -> Ending:
    reply = Reply.INFECTED if verdict.signatures else Reply.AGAINST_RULES
    return Ending(reply, reply.line(verdict.id))


def _delivered(smtp_id: str, attempts: Sequence[Attempt]) -> Ending:
    said = _words(attempts[0].reply)
    return Ending(Reply.DELIVERED, Reply.DELIVERED.line(f"{smtp_id}: {said}" if said else smtp_id))


def _refused_by_next_hop(smtp_id: str, failed: Sequence[Attempt]) -> Ending:
    """What the first of them said, with its own codes: SMTP has no reply for each recipient."""
    said = _words(failed[0].reply)
    code = said[:4] if said[:1] == "5" and said[:3].isdigit() and said[3:4] == " " else ""
    line = f"{code or '550 '}{said.removeprefix(code)}; reference {smtp_id}\r\n"
    return Ending(Reply.NEXT_HOP_REFUSES, line.encode())


def _words(reply: str) -> str:
    """As much of it as a line of ours can carry: whoever wrote it, ASCII without control characters."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in reply[:REPLY_LEN]).strip()
