"""The way of messages from one connection into the queue, one at a time. What goes wrong becomes a reply, and is logged
under the SMTP ID: never an exception for the connection, and never a 250."""

import logging
from typing import TYPE_CHECKING

from engine.config import Acceptance
from engine.queue.errors import QueueFull
from engine.replies import Ending, Reply
from engine.smtp.gate import ClientInfo, Gate

if TYPE_CHECKING:
    from engine.processing.offers import Offer
    from engine.queue.store import Draft
    from engine.smtp.session import Session

log = logging.getLogger("mailward.smtp")


class Intake:
    """Of one connection. smtp_id: of the message that began last."""

    def __init__(self, gate: Gate, client: ClientInfo, accept: Acceptance = Acceptance.QUEUE) -> None:
        self.smtp_id = ""
        self._accept = accept
        self._offer: Offer | None = None
        self._gate = gate
        self._client = client
        self._draft: Draft | None = None

    @property
    def under_way(self) -> bool:
        """Whether content is being taken."""
        return self._draft is not None

    def begin(self, session: "Session", time_ns: int) -> Reply | None:
        """None: the draft is there; else what to say instead."""
        self.smtp_id = self._gate.next_smtp_id()
        try:
            self._draft = self._gate.begin(session.received(self.smtp_id, time_ns))
        except QueueFull as error:
            return self._no_room(error)
        except Exception:
            log.exception("message %s: cannot begin", self.smtp_id)
            return Reply.TRY_AGAIN
        return None

    def write(self, content: bytes) -> Reply | None:
        """None: it is kept; else the draft is gone, and this is to be said at the end."""
        assert self._draft is not None
        try:
            self._draft.write(content)
            return None
        except QueueFull as error:
            reply = self._no_room(error)
        except Exception:
            log.exception("message %s: cannot be stored", self.smtp_id)
            reply = Reply.TRY_AGAIN
        self.abort()
        return reply

    def complete(self) -> "Draft":
        """All content is there: the draft, for commit. No abort reaches it any more."""
        draft, self._draft = self._draft, None
        assert draft is not None
        return draft

    async def commit(self, draft: "Draft") -> Reply | Ending | None:
        """None: the message is durable and handed on."""
        if self._accept is not Acceptance.QUEUE:
            self._offer = self._gate.offer(draft, self._accept, self._client)
        if self._offer is None:
            return await self._enqueue(draft)
        try:
            return await self._offer.answer
        finally:
            self._offer = None

    def hurry(self) -> None:
        """Who waits shall have an answer soon, also if the waiting has not begun yet."""
        self._accept = Acceptance.QUEUE
        if self._offer is not None:
            self._offer.hurry()

    def give_up(self) -> bool:
        """The client has left. Returns whether the message whose end it has sent is forgotten."""
        return self._offer is not None and self._offer.give_up()

    async def _enqueue(self, draft: "Draft") -> Reply | None:
        try:
            message = await draft.commit()
        except QueueFull as error:
            return self._no_room(error)
        except Exception:
            log.exception("message %s: cannot be made durable", self.smtp_id)
            return Reply.TRY_AGAIN
        try:
            self._gate.accepted(message, self._client)
        except Exception:  # it is durable: 250 is true, and the queue is read again at the next start
            log.exception("message %s: accepted, but not handed on", self.smtp_id)
        return None

    def abort(self) -> None:
        """Forget what is under way, if anything."""
        draft, self._draft = self._draft, None
        if draft is not None:
            try:
                draft.abort()
            except Exception:
                log.exception("message %s: its draft could not be ended", self.smtp_id)

    def _no_room(self, error: QueueFull) -> Reply:
        log.error("message %s: %s", self.smtp_id, error)
        return Reply.QUEUE_FULL
