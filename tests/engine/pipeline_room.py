"""A pipeline on a real store, for tests that fail in between what they like."""

import asyncio
import shutil
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from engine import events
from engine.config import BlockLists, Delivery, Settings
from engine.diagnostics.queue_files import QueueFileSaver
from engine.ids import IdMaker
from engine.judge import Judge
from engine.pipeline import Pipeline
from engine.policy.evidence import Listing
from engine.queue.record import Attempt, Received, Recipient, Result
from engine.queue.state import MessageState
from engine.queue.store import Extent, Store
from engine.scan.facts import Facts
from engine.scan.outcome import Outcome
from tests.engine.queue.rooms import FaultyDisk

PATIENCE_S = 60.0
HOUR_NS = 3_600 * 1_000_000_000
SEGMENT_LEN = 1 << 16
DELIVERY = Delivery(retry_first_s=600, retry_last_s=7200)


class Room:
    """A pipeline on a real store. Scanner and next hop do as `outcome` and `answer` say; the clock stands."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.disk = FaultyDisk()
        self.settings = Settings(delivery=DELIVERY)
        self.hostname, self.own_address = "gateway.example", "mailward-noreply@gateway.example"
        self.now_ns = 1_900_000_000 * 1_000_000_000
        self.ids = IdMaker(0, lambda: self.now_ns)
        self.told: list[events.Event] = []
        self.examined: list[str] = []
        self.attempted: list[tuple[str, list[int]]] = []
        self.in_delivery: set[str] = set()
        self.outcome: Callable[[str], Outcome] = lambda smtp_id: Outcome(Facts())
        self.answer: Callable[[str, str], Result] = lambda smtp_id, address: Result.DELIVERED
        self.listings: tuple[Listing, ...] = ()
        self.asked: list[str] = []  # clients, of block lists
        self.sent: list[tuple[Received, bytes]] = []  # delivered, each message with its content
        self.takes_dsn = False
        self.words = "the other side's words"
        self.next_hop = "mail.example[192.0.2.1]:25"
        self.gates: dict[str, asyncio.Event] = {}  # a delivery to that domain waits for it
        self.scan_gate = asyncio.Event()
        self.scan_gate.set()
        self.saver: QueueFileSaver | None = None
        self.store: Store
        self.pipeline: Pipeline

    async def open(self) -> None:
        self.store = Store(self.root, 0, 1, segment_len=SEGMENT_LEN, lock_wait_s=0, disk=self.disk, report=print)
        self.pipeline = self.make_pipeline()
        for message in await self.store.open():
            self.pipeline.submit(message)
        if self.store.newest:
            self.ids.seen(self.store.newest)
        await self.pipeline.take_found()

    def make_pipeline(self) -> Pipeline:
        judge = Judge(self, self, self, self.is_ours)  # type: ignore[arg-type]
        return Pipeline(self, self.store, self, self, judge, lambda: self.now_ns, self.saver)  # type: ignore[arg-type]

    async def close(self) -> None:
        await self.pipeline.stop()
        await self.store.close()

    async def die_and_start(self) -> None:
        """Go on with the files as a relay finds them whose predecessor was killed now."""
        self.store._opened()._flush()
        await self.store._write_notes()
        root = self.root.with_name(self.root.name + "x")
        shutil.copytree(self.root, root, ignore_dangling_symlinks=True)
        for task in self.pipeline._tasks.values():
            task.cancel()
        await self.close()
        self.root = root
        self.examined.clear()
        await self.open()

    async def accept(
        self, *recipients: str | Recipient, sender: str = "sender@example.net", body: bytes = b"x", **fields: Any
    ) -> MessageState:
        received = Received(
            self.ids.next(), self.now_ns, "c", "192.0.2.9", 1, "h", "ESMTP", "", sender,
            tuple(Recipient(one) if isinstance(one, str) else one for one in recipients or ("user@example.com",)),
            **fields,
        )  # fmt: skip
        draft = self.store.begin(received)
        draft.write(b"Subject: s\r\n\r\n" + body + b"\r\n")
        message = await draft.commit()
        self.pipeline.submit(message)
        return message

    async def until(self, condition: Callable[[], object], what: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(0.002)
        assert condition(), what

    def said(self, kind: type[events.Event]) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]

    # --- what the pipeline asks ---

    def event(self, event: events.Event) -> None:
        self.told.append(event)

    def next_smtp_id(self) -> str:
        return self.ids.next()

    async def examine(self, smtp_id: str, extents: Sequence[Extent], begun: Callable[[], None]) -> Outcome:
        begun()
        self.examined.append(smtp_id)
        await self.scan_gate.wait()
        return self.outcome(smtp_id)

    async def is_ours(self, client: str) -> bool:
        return False

    async def ask(self, address: str, settings: BlockLists) -> tuple[Listing, ...]:
        self.asked.append(address)
        return self.listings

    def key_of(self, forward_path: str) -> str:
        return forward_path.rpartition("@")[2]

    async def deliver(self, message: MessageState) -> list[Attempt]:
        pending = message.pending
        self.attempted.append((message.id, pending))
        self.in_delivery.add(message.id)
        early = b"".join(self.store.content(message)) if message.offered else b""  # small ones are read at once
        try:
            for index in pending:
                gate = self.gates.get(self.key_of(message.received.recipients[index].address))
                if gate is not None:
                    await gate.wait()
        finally:
            self.in_delivery.discard(message.id)
        answers = [self.answer(message.id, message.received.recipients[index].address) for index in pending]
        if Result.DELIVERED in answers:
            self.sent.append((message.received, early or b"".join(self.store.content(message))))
        return [
            Attempt(
                message.id,
                self.now_ns,
                index,
                answer,
                self.words,
                self.next_hop,
                self.relays(answer, message.received.recipients[index]),
            )
            for index, answer in zip(pending, answers, strict=True)
        ]

    def relays(self, answer: Result, recipient: Recipient) -> bool:
        return answer is Result.DELIVERED and not self.takes_dsn and recipient.wants("SUCCESS")


def run(root: Path, test: Callable[[Room], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        room = Room(root)
        await room.open()
        try:
            await test(room)
        finally:
            room.disk.heal()
            await room.close()

    asyncio.run(whole())


def files(room: Room, place: str) -> list[str]:
    return sorted(path.stem for path in (room.root / "queue" / place).glob("*/*.msg"))
