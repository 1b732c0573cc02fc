"""What the gate decides about the senders and recipients of one connection.

A verdict on the sender is begun at MAIL and said at RCPT, to recipients that are accepted otherwise (DNSBL-06). A
decision on a recipient that fails is a 451; a verdict on the sender that fails is none (DNSBL-09).
"""

import asyncio
import logging
from collections.abc import Awaitable
from typing import Final

from engine.replies import Reply
from engine.smtp.gate import Answer, ClientInfo, Gate

_NO_DECISION: Final = "connection %s: no decision on a recipient"

log = logging.getLogger("mailward.smtp")


class Decisions:
    """Of one connection: `mail` begins a transaction, `cancel` ends all."""

    def __init__(self, gate: Gate, client: ClientInfo) -> None:
        self._gate = gate
        self._client = client
        self._sender: asyncio.Future[Answer] | None = None

    def mail(self, reverse_path: str) -> None:
        self.cancel()
        try:
            self._sender = self._gate.mail(self._client, reverse_path)
        except Exception:
            log.exception("connection %s: nothing is asked about the sender", self._client.connection_id)

    def rcpt(self, reverse_path: str, forward_path: str) -> Answer | Awaitable[Answer]:
        """What is said, or something for `settle`."""
        try:
            answer = self._gate.rcpt(self._client, reverse_path, forward_path)
        except Exception:
            log.exception(_NO_DECISION, self._client.connection_id)
            return Answer(Reply.TRY_AGAIN)
        if not isinstance(answer, Answer):
            return answer
        if self._sender is None or answer.reply.code >= 300:
            return answer
        return self._with_sender(answer) if self._sender.done() else self._when_known(answer)

    async def settle(self, answer: Awaitable[Answer]) -> Answer:
        """Raises nothing."""
        try:
            return await self._when_known(await answer)
        except Exception:
            log.exception(_NO_DECISION, self._client.connection_id)
            return Answer(Reply.TRY_AGAIN)

    def cancel(self) -> None:
        if self._sender is not None:
            self._sender.cancel()
            self._sender = None

    async def _when_known(self, answer: Answer) -> Answer:
        if self._sender is None or answer.reply.code >= 300:
            return answer
        await asyncio.wait((self._sender,))
        return self._with_sender(answer)

    def _with_sender(self, answer: Answer) -> Answer:
        """What is said to an accepted recipient, now that the sender is known."""
        sender = self._sender
        if sender is None or sender.cancelled():
            return answer
        if (error := sender.exception()) is not None:
            log.error("connection %s: nothing known of the sender", self._client.connection_id, exc_info=error)
            return answer
        of_sender = sender.result()
        return answer if of_sender.reply.code < 300 else of_sender
