"""Looking at the queues from outside, and changing them while no relay runs."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from engine.queue.errors import NoSuchMessage, QueueLocked
from engine.queue.listing import drop, move, read_queue
from engine.queue.record import Attempt, Result
from engine.queue.state import FAST, HOLD, SLOW
from tests.engine.queue.rooms import Room

Run = Callable[[Callable[[Room], Coroutine[Any, Any, None]]], None]


def listed(room: Room) -> list[tuple[str, str]]:
    return [(message.id, message.place) for message in read_queue(room.root)]


def test_everything_is_listed_once_while_the_relay_runs(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        messages = [await room.message(store, bytes(10_000), recipients=2) for _ in range(20)]
        arriving = store.begin(room.received())
        arriving.write(bytes(100_000))
        store.note(messages[0], Attempt(messages[0].id, 1, 1, Result.DELIVERED, "250", "mx"))
        await store.defer(messages[5], 9, "later")
        await store.hold(messages[6], "held")
        store.done(messages[7])
        await store.commit()
        fast = [(message.id, FAST) for index, message in enumerate(messages) if index not in (5, 6, 7)]
        assert listed(room) == [*fast, (messages[5].id, SLOW), (messages[6].id, HOLD)]
        assert next(read_queue(room.root)).results == [Result.PENDING, Result.DELIVERED]
        arriving.abort()

    run(test)


def test_changes_from_outside_wait_until_no_relay_runs(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        first, second, third = [(await room.message(store)).id for _ in range(3)]
        for change in (partial(drop, room.root, first), partial(move, room.root, first, HOLD)):
            with pytest.raises(QueueLocked):
                await asyncio.to_thread(change)
        await store.close()
        await asyncio.to_thread(move, room.root, first, HOLD)
        await asyncio.to_thread(move, room.root, second, SLOW)
        await asyncio.to_thread(drop, room.root, third)
        assert listed(room) == [(second, SLOW), (first, HOLD)]
        await asyncio.to_thread(move, room.root, first, SLOW)
        await asyncio.to_thread(drop, room.root, second)
        assert listed(room) == [(first, SLOW)]
        with pytest.raises(NoSuchMessage):
            await asyncio.to_thread(drop, room.root, second)
        with pytest.raises(ValueError, match="SMTP ID"):
            await asyncio.to_thread(drop, room.root, "../../etc")
        with pytest.raises(ValueError, match="neither"):
            await asyncio.to_thread(move, room.root, first, FAST)
        again = room.store()
        assert [(found.id, found.place, found.due_ns) for found in await again.open()] == [(first, SLOW, 0)]

    run(test)


def test_an_empty_directory_has_no_queue(run: Run) -> None:
    async def test(room: Room) -> None:
        assert listed(room) == []

    run(test)
