"""Looking at the queues from outside, and changing them while no relay runs."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from engine.queue.errors import QueueLocked
from engine.queue.listing import Change, Queue, change_all, deferring, dropping, holding
from engine.queue.record import Attempt, Onward, Result
from engine.queue.state import FAST, HOLD, SLOW
from tests.engine.queue.rooms import Room, started

Run = Callable[[Callable[[Room], Coroutine[Any, Any, None]]], None]


def listed(room: Room) -> list[tuple[str, str]]:
    return [(message.id, message.place) for message in Queue(room.root)]


async def changed(room: Room, wanted: list[str], change: Change) -> dict[str, str]:
    return await asyncio.to_thread(change_all, room.root, wanted, change)


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
        assert next(iter(Queue(room.root))).results == [Result.PENDING, Result.DELIVERED]
        arriving.abort()

    run(test)


def test_changes_from_outside_wait_until_no_relay_runs(run: Run) -> None:
    async def test(room: Room) -> None:
        store = await room.opened()
        first, second, third = [(await room.message(store)).id for _ in range(3)]
        with pytest.raises(QueueLocked):
            await asyncio.to_thread(change_all, room.root, [first], dropping)
        await store.close()
        assert await changed(room, [first], holding("by hand")) == {}
        assert await changed(room, [second], deferring("by hand")) == {}
        assert await changed(room, [third], dropping) == {}
        assert listed(room) == [(second, SLOW), (first, HOLD)]
        assert list(await changed(room, [first], holding("by hand"))) == [first], "it is there"
        assert list(await changed(room, [second, first], deferring("by hand", Onward.AS_IS))) == [second], "not held"
        assert await changed(room, [second], dropping) == {}
        assert listed(room) == [(first, SLOW)]
        assert list(await changed(room, [second], dropping)) == [second]
        with pytest.raises(ValueError, match="SMTP ID"):
            await changed(room, ["../../etc"], dropping)
        again = room.store()
        assert [(found.id, found.place, found.due_ns) for found in await started(again)] == [(first, SLOW, 0)]

    run(test)


def test_an_empty_directory_has_no_queue(run: Run) -> None:
    async def test(room: Room) -> None:
        assert listed(room) == []

    run(test)
