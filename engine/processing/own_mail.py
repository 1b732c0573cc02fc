"""Mail that the gateway writes itself: notices of failure, delay and relaying, forwards, and what it is given to send
(notifications, alerts).

It has the null reverse-path, so that nothing answers it and no loop begins, is not scanned, and goes out also while
delivery is paused (DLV-01, GAP-44). Each is durable before the message that it is about counts as dealt with: after a
crash in between somebody may hear of it twice, but never not at all.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence

from engine import events, forward, limits
from engine.delivery.bounce import notice_for
from engine.processing.services import Services
from engine.queue.errors import QueueFull
from engine.queue.record import Attempt, Disposition, Notice, Received, Recipient
from engine.queue.state import MessageState
from engine.queue.store import Draft, Store

_SAID = {
    Notice.FAILED: "could not be delivered",
    Notice.DELAYED: "is delayed",
    Notice.RELAYED: "was passed on",
}

log = logging.getLogger(__name__)


class OwnMail:
    """submit: takes a message of the fast queue on its way. clock: nanoseconds since 1970."""

    def __init__(
        self, services: Services, store: Store, submit: Callable[[MessageState], None], clock: Callable[[], int]
    ) -> None:
        self._services = services
        self._store = store
        self._submit = submit
        self._clock = clock
        self._found = asyncio.Event()  # all that was in the queue at start
        self._stopped = False  # before that was known
        self._words: dict[str, str] = {}  # that name what was given to send lately, with SMTP IDs

    async def send(self, recipients: Sequence[str], content: bytes, word: str = "") -> str:
        """Queue a message. Returns its SMTP ID when it is durable. Raises QueueFull.

        word: names it. What was queued under a word before is not queued again, as far as the last WORDS are known, and
        after a restart those of what is still in the queue; until that is read, words are refused.
        """
        if known := self._sent_as(word):
            return known
        draft = self._begin(recipients, word=word)
        draft.write(content)
        return await self._commit(draft)

    async def send_pieces(self, recipients: Sequence[str], pieces: AsyncIterator[bytes], word: str) -> str:
        """As `send`, for what is large. Raises QueueFull, and what the pieces raise: nothing is queued then."""
        if known := self._sent_as(word):
            return known
        draft = self._begin(recipients, word=word)
        try:
            async for piece in pieces:
                await draft.ready()
                draft.write(piece)
        except BaseException:
            draft.abort()
            raise
        return await self._commit(draft)

    def _sent_as(self, word: str) -> str:
        """Who asks does not wait here: others do behind it, and it may have asked more than once by then."""
        known = self._words.get(word, "")
        if word and not known and (self._stopped or not self._found.is_set()):
            raise QueueFull("the relay may have sent this before, and has not read yet what waits")
        return known

    async def _is_forwarded(self, message: MessageState, word: str) -> bool:
        """Nothing was, of what came after the start: new mail does not wait for what is read."""
        if message.id <= self._store.newest:
            await self._found.wait()
            return bool(self._sent_as(word))
        return word in self._words

    def all_known(self) -> None:
        """What was in the queue at start is remembered now."""
        self._found.set()

    def stop(self) -> None:
        """Who waits for what was in the queue at start waits for nothing."""
        if not self._found.is_set():
            self._stopped = True
            self._found.set()

    def remember(self, message: MessageState) -> None:
        """A message of the queue: also one of before the start."""
        if word := message.received.word:
            self._words[word] = message.id
            if len(self._words) > limits.OWN_MAIL_WORDS:
                del self._words[next(iter(self._words))]

    async def tell(self, message: MessageState, notice: Notice, attempts: Sequence[Attempt]) -> None:
        """Queue the DSN about these recipients, if one is to be sent. Raises QueueFull.

        Not to a sender that is forged, as far as that is known: only the journal is told then.
        """
        if not attempts:
            return
        made = notice_for(
            message,
            notice,
            attempts,
            self._services.settings,
            lambda: self._store.content(message),
            self._clock(),
            hostname=self._services.hostname,
            headers_only=message.received.require_tls
            or (message.verdict is not None and message.verdict.disposition is Disposition.BOUNCE),
        )
        if made is None:
            return
        recipient, content = made
        doubt = message.verdict.doubt if message.verdict is not None else ""
        if doubt and not self._services.settings.delivery.tell_doubtful_senders:
            self._services.event(
                events.NoticeSuppressed(
                    smtp_id=message.id,
                    reverse_path=recipient,
                    forward_paths=tuple(message.received.recipients[one.recipient].address for one in attempts),
                    reason=f"it {_SAID[notice]}; {doubt}",
                )
            )
            return
        try:
            await self._commit(self._notice((recipient,), content, message.received.require_tls))
        except QueueFull:
            log.error("%s: the queue is full, its sender is told later that it %s", message.id, _SAID[notice])
            raise

    async def forward(
        self, message: MessageState, to: str, subject: str, reason: str, *, is_copy: bool = False
    ) -> None:
        """Queue a message for somebody else, as it was received (PROC-18). Raises QueueFull.

        is_copy: besides what becomes of the message itself, because a person wants it so (HOLD-04). Else it is queued
        once for each address, however often it is tried because there was no room for that of another (PROC-19).
        """
        word = "" if is_copy else f"forward {message.id} {to.lower()}"
        if word and await self._is_forwarded(message, word):
            return
        services = self._services
        survey = forward.Survey()
        for piece in self._store.content(message):
            survey.feed(piece)
            await asyncio.sleep(0)  # it may be large, and others have their turn
        letter = forward.Letter(
            to=to,
            subject=subject,
            reason=reason,
            hostname=services.hostname,
            from_name=services.settings.smtp.from_name,
            from_address=services.own_address,
            now_ns=self._clock(),
            is_copy=is_copy,
            boundary=f"mailward-{secrets.token_hex(16)}",  # nobody who wrote the message could know it
        )
        draft = self._begin((to,), forward_of=message.id, word=word, require_tls=message.received.require_tls)
        try:
            draft.write(forward.head(message.received, letter, survey))
            for piece in self._store.content(message):
                await draft.ready()
                draft.write(bytes(piece))
            draft.write(forward.tail(letter))
        except BaseException:
            draft.abort()
            raise
        forward_id = await self._commit(draft)
        services.event(events.Forwarding(smtp_id=message.id, forward_path=to, forward_id=forward_id, reason=reason))

    def _notice(self, recipients: Sequence[str], content: bytes, require_tls: bool) -> Draft:
        """What is told of a message that must not go without TLS must not either (RFC 8689 s5)."""
        draft = self._begin(recipients, require_tls=require_tls)
        draft.write(content)
        return draft

    def _begin(
        self, recipients: Sequence[str], *, forward_of: str = "", word: str = "", require_tls: bool = False
    ) -> Draft:
        return self._store.begin(
            Received(
                id=self._services.next_smtp_id(),
                time_ns=self._clock(),
                connection_id="",
                client="",
                client_port=0,
                helo="",
                protocol="",
                tls="",
                reverse_path="",
                recipients=tuple(Recipient(one, notify="NEVER") for one in recipients),
                smtputf8=not all(one.isascii() for one in recipients),
                internal=True,
                forward_of=forward_of,
                word=word,
                require_tls=require_tls,
            )
        )

    async def _commit(self, draft: Draft) -> str:
        message = await draft.commit()
        self._submit(message)  # and is remembered
        return message.id
