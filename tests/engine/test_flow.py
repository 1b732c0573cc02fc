"""Arrival adapts to departure: who may begin a message, and when."""

import asyncio

import pytest

from engine import flow
from engine.flow import AHEAD, Flow


class Queue:
    def __init__(self) -> None:
        self.ahead = 0
        self.crowded = False
        self.flow = Flow(lambda: self.ahead, lambda: self.crowded)

    def hold(self, count: int) -> list[asyncio.Future[None]]:
        found = [self.flow.room() for _ in range(count)]
        assert None not in found
        return [one for one in found if one is not None]


def going(held: list[asyncio.Future[None]]) -> int:
    return sum(one.done() for one in held)


def test_nobody_waits_while_little_is_ahead() -> None:
    async def main() -> None:
        queue = Queue()
        queue.ahead = AHEAD - 1
        assert queue.flow.room() is None
        queue.ahead = AHEAD
        (held,) = queue.hold(1)
        queue.ahead = AHEAD - 1
        assert queue.flow.room() is not None  # first come, first served
        queue.flow.examined()
        await held

    asyncio.run(main())


def test_as_many_come_as_leave_and_all_when_the_load_is_over() -> None:
    async def main() -> None:
        queue = Queue()
        queue.ahead = AHEAD + 5
        held = queue.hold(20)
        queue.flow.examined()
        assert going(held) == 1
        queue.ahead = AHEAD - 1
        queue.flow.examined()
        assert [one.done() for one in held] == [True] * 3 + [False] * 17
        queue.ahead = AHEAD // 2
        queue.flow.examined()
        assert going(held) == 20
        queue.ahead = 0
        assert queue.flow.room() is None

    asyncio.run(main())


def test_a_full_queue_takes_one_for_each_that_leaves() -> None:
    async def main() -> None:
        queue = Queue()
        queue.crowded = True
        held = queue.hold(3)
        queue.flow.examined()
        assert going(held) == 0
        queue.flow.left()
        assert going(held) == 1
        queue.crowded = False
        queue.flow.examined()
        assert going(held) == 3

    asyncio.run(main())


def test_a_client_that_left_uses_up_nothing() -> None:
    async def main() -> None:
        queue = Queue()
        queue.ahead = AHEAD
        gone, waits = queue.hold(2)
        gone.cancel()
        queue.flow.examined()
        assert waits.done()

    asyncio.run(main())


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "HOLD_S", 0.01)

    async def main() -> None:
        queue = Queue()
        queue.ahead = AHEAD
        await asyncio.wait_for(queue.hold(1)[0], 60)

    asyncio.run(main())
