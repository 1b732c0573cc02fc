"""What is due, in which order, and by how many workers (PROC-06..08, DLV-01)."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from engine import events
from engine.queue.record import Received, Recipient
from engine.queue.state import SLOW, MessageState
from engine.slow import WORKERS, SlowQueue


class Room:
    def __init__(self) -> None:
        self.now_ns = 1_000
        self.paused = False
        self.given: list[str] = []
        self.told: list[events.Event] = []
        self.queue = SlowQueue(
            lambda one: self.given.append(one.id), lambda: self.paused, lambda: self.now_ns, self.told.append
        )
        self._count = 0

    def add(self, due_ns: int, *keys: str, own: bool = False) -> MessageState:
        self._count += 1
        smtp_id = f"{self._count:013}"
        message = MessageState(Received(smtp_id, 0, "", "", 0, "", "", "", "", (Recipient("a@b"),), internal=own))
        message.place, message.due_ns = SLOW, due_ns
        self.queue.add(message, set(keys))
        return message


def run(test: Callable[[Room], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        await test(Room())

    asyncio.run(whole())


def test_order_is_by_due_time_and_never_early() -> None:
    async def test(room: Room) -> None:
        room.paused = True
        late, later, early = room.add(900), room.add(2_000), room.add(800)
        room.paused = False
        room.queue.wake()
        assert room.given == [early.id, late.id]
        room.now_ns = 2_000
        room.queue.wake()
        assert room.given[2:] == [later.id]

    run(test)


def test_workers_are_bounded_and_come_back() -> None:
    async def test(room: Room) -> None:
        messages = [room.add(0) for _ in range(WORKERS + 5)]
        assert len(room.given) == WORKERS
        room.queue.forget(messages[0])  # held, done or dropped
        messages[1].due_ns = 5_000
        room.queue.add(messages[1], set())  # deferred again
        assert len(room.given) == WORKERS + 2
        assert room.queue.is_out(messages[2]) and not room.queue.is_out(messages[1])

    run(test)


def test_our_own_mail_has_workers_of_its_own() -> None:
    """GAP-44: alerts go out while all other mail waits for definitions; no more of them at once."""

    async def test(room: Room) -> None:
        for _ in range(WORKERS + 1):
            room.add(0)
        own = [room.add(0, own=True) for _ in range(WORKERS + 1)]
        assert room.given[WORKERS:] == [one.id for one in own[:-1]]
        room.queue.forget(own[0])
        room.queue.forget(own[0])
        assert room.given[2 * WORKERS :] == [own[-1].id]

    run(test)


def test_paused_queue_stands() -> None:
    async def test(room: Room) -> None:
        room.paused = True
        message = room.add(0)
        room.queue.due_now(message)
        assert not room.given
        room.paused = False
        room.queue.wake()
        assert room.given == [message.id]

    run(test)


def test_own_mail_is_not_paused() -> None:
    """DLV-01, GAP-44: in the order of due times with the rest otherwise, also after the clock was set."""

    async def test(room: Room) -> None:
        room.paused = True
        other, own, late = room.add(500), room.add(900, own=True), room.add(2_000, own=True)
        assert room.given == [own.id]
        room.queue.shift(500)
        room.now_ns = 2_500
        room.queue.wake()
        assert room.given == [own.id, late.id]
        room.paused = False
        room.queue.wake()
        assert room.given == [own.id, late.id, other.id]
        room.now_ns = 0
        first, second = room.add(20), room.add(10, own=True)
        room.now_ns = 30
        room.queue.wake()
        assert room.given[3:] == [second.id, first.id]

    run(test)


def test_due_now_is_once() -> None:
    async def test(room: Room) -> None:
        message = room.add(9_000)
        for _ in range(3):
            room.queue.due_now(message)
        assert room.given == [message.id]

    run(test)


def test_next_hop_that_accepts_brings_its_mail_to_the_front() -> None:
    """PROC-07, PROC-08."""

    async def test(room: Room) -> None:
        other, first, second = room.add(5_000, "x"), room.add(9_000, "y"), room.add(8_000, "y", "x")
        room.queue.next_hop_accepts("y")
        assert room.given == [first.id, second.id], "oldest first"
        stopped = room.told[-1]
        assert isinstance(stopped, events.ReorderingStopped) and stopped.moved == 2
        room.now_ns = 5_000
        room.queue.wake()
        assert room.given[-1] == other.id

    run(test)


def test_clock_that_is_set_keeps_the_waiting_times() -> None:
    async def test(room: Room) -> None:
        message = room.add(1_500)
        for by_ns in (10_000, -20_000, 10_000):
            room.now_ns += by_ns
            room.queue.shift(by_ns)
            assert message.due_ns - room.now_ns == 500 and not room.given
        room.now_ns += 500
        room.queue.wake()
        assert room.given == [message.id]

    run(test)


def test_stopped_queue_gives_nothing() -> None:
    async def test(room: Room) -> None:
        room.queue.stop()
        room.add(0)
        assert not room.given

    run(test)
