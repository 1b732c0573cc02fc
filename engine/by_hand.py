"""What people want done with queued messages: the commands of one relay (command.py says how they look)."""

import asyncio
from collections.abc import Callable
from typing import Final

from engine.command import ON_MESSAGES, Answer, Command, CommandFailed
from engine.config.entries import address_error
from engine.delivery.reply import printable
from engine.ids import relay_of
from engine.pipeline import Busy, Pipeline
from engine.processing.release import Release
from engine.queue.errors import QueueError
from engine.queue.record import Onward
from engine.queue.state import FAST, HOLD, MessageState
from engine.queue.store import Store

BY_HAND: Final = "on request of the administrator"
SUBJECT_LEN: Final = 400  # characters of the subject of a copy; longer ones are cut
_AT_ONCE: Final = 4  # messages of a batch: as many as the store has threads, which wait for the disk


class ByHand:
    """Relay `number` of `count`. own_address: that nothing is ever delivered to (SMTP-11). release: from quarantine."""

    def __init__(
        self,
        store: Store,
        pipeline: Pipeline,
        number: int,
        count: int,
        own_address: Callable[[], str],
        release: Release | None = None,
    ) -> None:
        self._store = store
        self._release = release
        self._pipeline = pipeline
        self._number = number
        self._count = count
        self._own_address = own_address

    async def perform(self, command: Command) -> Answer:
        """Raises CommandFailed, QueueError: nothing was changed."""
        if command.op == "lengths":
            return Answer(True, count=sum(self._store.lengths()))
        if command.op == "submit":
            await self._pipeline.submit_own(command.to, command.content, command.id)
            return Answer(True, count=1)
        if command.op == "submit-item":
            if self._release is None:
                raise CommandFailed("there is no quarantine here")
            return Answer(True, count=1, id=await self._release.send(command))
        assert command.op in ON_MESSAGES
        if command.op == "forward":
            self._check_forward(command)
        if command.ids:
            return await self._batch(command)
        if command.op == "retry":
            return Answer(True, count=self._pipeline.flush(command.domain.lower()))
        raise CommandFailed(f"{command.op}: no messages are named")

    def _check_forward(self, command: Command) -> None:
        """HOLD-04: exactly one address."""
        (to,) = command.to if len(command.to) == 1 else ("",)
        if error := address_error(to):
            raise CommandFailed(f"{printable(to)!r} {error}")
        if to.lower() == self._own_address():
            raise CommandFailed(f"{to} is the address that Mailward sends from: mail to it is never delivered")

    async def _batch(self, command: Command) -> Answer:
        """Those of the batch that are ours, a few at once: their files are synced one by one."""
        mine = iter([smtp_id for smtp_id in command.ids if self._owner(smtp_id) == self._number])
        count, failed = 0, []

        async def work() -> None:
            nonlocal count
            for smtp_id in mine:
                try:
                    await self._do(command, smtp_id)
                    count += 1
                except (CommandFailed, QueueError) as error:
                    failed.append((smtp_id, str(error)))
                await asyncio.sleep(0)  # not all of these wait for anything, and mail has its turn

        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
        await self._store.settled()
        return Answer(True, count=count, failed=tuple(failed))

    async def _do(self, command: Command, smtp_id: str) -> None:
        if command.op == "retry" and self._pipeline.retry_waiting(smtp_id):
            return
        try:
            await self._change(command, await self._pipeline.load(smtp_id))
        except Busy:
            raise CommandFailed(f"{smtp_id} is being processed just now: try again in a moment") from None

    async def _change(self, command: Command, message: MessageState) -> None:
        pipeline = self._pipeline
        match command.op:
            case "retry":
                if message.place == FAST and message.id not in pipeline.slow:
                    raise CommandFailed(f"{message.id} is being processed already")
                await pipeline.retry_by_hand(message, f"processed again {BY_HAND}")
            case "requeue":
                await pipeline.retry_by_hand(message, f"processed again {BY_HAND}", Onward.ANEW)
            case "release":
                if message.place != HOLD:
                    raise CommandFailed(f"{message.id} is not in the hold queue, but in the {message.place} queue")
                await pipeline.retry_by_hand(message, f"released {BY_HAND}", Onward.AS_IS)
            case "drop":
                pipeline.drop_by_hand(message, f"dropped {BY_HAND}")
            case "hold":
                if message.place == HOLD:
                    raise CommandFailed(f"{message.id} is in the hold queue already")
                await pipeline.hold_by_hand(message, f"held {BY_HAND}")
            case "forward":
                subject = printable(command.subject)[:SUBJECT_LEN] or f"Message {message.id}"
                await pipeline.forward_by_hand(message, command.to[0], subject, f"forwarded {BY_HAND}")

    def _owner(self, smtp_id: str) -> int:
        try:
            return relay_of(smtp_id) % self._count
        except ValueError as error:
            raise CommandFailed(str(error)) from None
