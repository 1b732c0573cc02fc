"""The power fails at any step of the queue, and of the start after that: what was promised is there again, whole."""

import asyncio
import contextlib
import os
import random
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.ids import IdMaker
from engine.queue.record import Attempt, Result
from engine.queue.state import FAST, HOLD, SLOW, MessageState
from engine.queue.store import Store
from tests.engine.queue.power import PowerDisk
from tests.engine.queue.rooms import Room, octets, started

BODIES = [b"small\r\n", b"middle" * 900, b"large and long" * 5000]
MOMENTS = int(os.environ.get("MAILWARD_POWER", "4"))  # failures tried in each life
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["accept"] * 4 + ["attempt", "done", "done", "defer", "hold", "release", "abort", "sync"]),
        st.integers(0, 1000),
    ),
    min_size=1,
    max_size=20,
)


class Promised(NamedTuple):
    """From here on it is there."""

    id: str


class Going(NamedTuple):
    """It goes to that place, or leaves (empty), which may be seen from now on; arrived: and nothing else."""

    id: str
    place: str
    arrived: bool


class Life:
    """A store whose disk is watched, and what was done in it."""

    def __init__(self, root: Path, ids: IdMaker, bodies: dict[str, bytes], known: dict[str, set[str]]) -> None:
        """known: where each message may be at the start."""
        root.mkdir(exist_ok=True)
        self.room = Room(root)
        self.room.ids = ids
        self.disk = PowerDisk(root)
        self.room.disk = self.disk  # type: ignore[assignment]
        self.bodies = bodies
        self.known = known
        self.live: dict[str, MessageState] = {}

    async def run(self, operations: list[tuple[str, int]]) -> None:
        store = self.room.store()
        for message in await started(store):
            self.live[message.id] = message
        for name, number in operations:
            await self._do(store, name, number)
        await self.room.close()

    async def _do(self, store: Store, name: str, number: int) -> None:
        if name in ("accept", "abort"):
            await self._arrive(store, name, BODIES[number % len(BODIES)])
            return
        if name == "sync":
            await self._synced(store)
            return
        if not self.live:
            return
        message = self.live[sorted(self.live)[number % len(self.live)]]
        match name:
            case "attempt":
                store.note(message, Attempt(message.id, number, 0, Result.PENDING, "later", "mx"))
            case "done" if message.place != HOLD:
                self.disk.log.append(Going(message.id, "", arrived=False))
                store.done(message)
                del self.live[message.id]
            case "defer" if message.place != HOLD:
                await self._moves(message, SLOW, store.defer(message, number, "deferred"))
            case "hold" if message.place != HOLD:
                await self._moves(message, HOLD, store.hold(message, "held"))
            case "release" if message.place == HOLD:
                await self._moves(message, SLOW, store.release(message))

    async def _arrive(self, store: Store, name: str, body: bytes) -> None:
        draft = store.begin(self.room.received())
        self.bodies[draft.id] = body
        draft.write(body)
        if name == "abort":
            draft.abort()
            return
        self.live[draft.id] = await draft.commit()
        self.disk.log.append(Promised(draft.id))

    async def _moves(self, message: MessageState, place: str, moving: Awaitable[None]) -> None:
        self.disk.log.append(Going(message.id, place, arrived=False))
        await moving
        self.disk.log.append(Going(message.id, place, arrived=True))

    async def _synced(self, store: Store) -> None:
        leaving = {event.id for event in self.disk.log if isinstance(event, Going) and not event.place}
        await store.commit()
        await store.settled()
        self.disk.log += [Going(smtp_id, "", arrived=True) for smtp_id in leaving]

    def expected(self, moment: int) -> dict[str, set[str]]:
        """Where each message may be found; empty: nowhere."""
        places = {smtp_id: set(found) for smtp_id, found in self.known.items()}
        for event in self.disk.log[:moment]:
            if isinstance(event, Promised):
                places[event.id] = {FAST}
            elif isinstance(event, Going):
                places[event.id] = {event.place} | (set() if event.arrived else places.get(event.id, {FAST}))
        return places


async def found_in(room: Room, store: Store) -> dict[str, tuple[str, bytes]]:
    """What a start brings back, with held mail."""
    messages: list[Any] = await started(store)
    messages += [await store.load(path.stem) for path in (room.root / "queue" / HOLD).rglob("*.msg")]
    return {message.id: (message.place, octets(store, message)) for message in messages}


async def fail_anywhere(root: Path, lives: list[list[tuple[str, int]]], seed: int) -> None:
    dice = random.Random(seed)
    bodies: dict[str, bytes] = {}
    known: dict[str, set[str]] = {}
    ids = IdMaker(0, lambda: 1_700_000_000_000_000_000)
    for number, operations in enumerate(lives):
        life = Life(root / f"life{number}", ids, bodies, known)
        await life.run(operations)
        for attempt in range(MOMENTS):
            moment = dice.randrange(len(life.disk.log) + 1)
            left = root / f"life{number}-{attempt}"
            life.disk.lose(moment, left, dice)
            expected = life.expected(moment)
            again = PowerDisk(left)
            await _check(left, again, expected, bodies)
            twice = root / f"life{number}-{attempt}-again"  # and during the start after that, once more
            again.lose(dice.randrange(len(again.log) + 1), twice, dice)
            await _check(twice, PowerDisk(twice), expected, bodies)
        moment = dice.randrange(len(life.disk.log) + 1)
        life.disk.lose(moment, root / f"life{number + 1}", dice)
        known = life.expected(moment)


async def _check(root: Path, disk: PowerDisk, expected: dict[str, set[str]], bodies: dict[str, bytes]) -> None:
    room = Room(root)
    room.disk = disk  # type: ignore[assignment]
    store = room.store()
    found = await found_in(room, store)
    try:
        for smtp_id, places in expected.items():
            there = found[smtp_id][0] if smtp_id in found else ""
            assert there in places, (smtp_id, there, places, room.reports)
        for smtp_id, (_, body) in found.items():
            assert body == bodies[smtp_id]
    finally:
        with contextlib.suppress(Exception):
            await room.close()


@settings(max_examples=15, deadline=None)
@given(st.lists(OPERATIONS, min_size=1, max_size=2), st.integers(0, 1 << 30))
def test_what_was_promised_survives_a_power_failure_at_any_step(lives: list[list[tuple[str, int]]], seed: int) -> None:
    """PROC-03, PROC-14: sector by sector, name by name, also during the start after a failure."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(fail_anywhere(Path(folder), lives, seed))
