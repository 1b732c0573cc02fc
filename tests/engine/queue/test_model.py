"""Any sequence of operations, cut off by a kill or a power failure, against a model that is a dictionary."""

import asyncio
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.queue.record import Attempt, Notice, Result, Told
from engine.queue.state import FAST, HOLD, SLOW, MessageState
from engine.queue.store import Store
from tests.engine.queue.rooms import FaultyDisk, Room, octets

BODIES = [b"", b"small\r\n", b"middle" * 3000, b"large and long" * 9000]
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["accept"] * 4 + ["attempt"] * 2 + ["done"] * 2 + ["defer", "hold", "release", "abort", "told"]
        ),
        st.integers(0, 1000),
    ),
    max_size=25,
)


class Known(NamedTuple):
    body: bytes
    place: str
    results: tuple[Result, ...]
    attempts: int
    relayed: tuple[int, ...] = ()
    warned: frozenset[int] = frozenset()


Model = dict[str, Known]


async def apply(room: Room, store: Store, live: dict[str, MessageState], model: Model, name: str, number: int) -> None:
    """One operation on the store and on the model."""
    if name == "accept":
        body = BODIES[number % len(BODIES)]
        message = await room.message(store, body, recipients=2)
        live[message.id], model[message.id] = message, Known(body, FAST, (Result.PENDING,) * 2, 0)
    elif name == "abort":
        draft = store.begin(room.received())
        draft.write(BODIES[number % len(BODIES)])
        draft.abort()
    elif model:
        smtp_id = sorted(model)[number % len(model)]
        await change(store, live[smtp_id], model, name, number)


async def change(store: Store, message: MessageState, model: Model, name: str, number: int) -> None:
    known = model[message.id]
    match name:
        case "done" if known.place != HOLD:
            store.done(message)
            del model[message.id]
        case "attempt":
            index, result = number % 2, [Result.PENDING, Result.DELIVERED, Result.FAILED][number % 3]
            owed = result is Result.DELIVERED and number % 4 < 2
            store.note(message, Attempt(message.id, number, index, result, "reply", "mx", owed))
            results, relayed = list(known.results), known.relayed
            if results[index] is Result.PENDING:
                results[index] = result
                relayed += (index,) * owed
            attempts = message.attempts
            model[message.id] = known._replace(results=tuple(results), attempts=attempts, relayed=relayed)
        case "told":
            index, notice = number % 2, Notice.RELAYED if number % 3 else Notice.DELAYED
            store.note(message, Told(message.id, notice, (index,)))
            if notice is Notice.DELAYED:
                model[message.id] = known._replace(warned=known.warned | {index})
            else:
                model[message.id] = known._replace(relayed=tuple(one for one in known.relayed if one != index))
        case "defer" if known.place != HOLD:
            await store.defer(message, number, "deferred")
            model[message.id] = known._replace(place=SLOW)
        case "hold" if known.place != HOLD:
            await store.hold(message, "held")
            model[message.id] = known._replace(place=HOLD)
        case "release" if known.place != FAST:
            await store.release(message)
            model[message.id] = known._replace(place=SLOW)


async def everything(store: Store, ids: Sequence[str]) -> Model:
    """What a store holds after open()."""
    files = [path for place in (SLOW, HOLD) for path in (store._root / place).rglob("*.msg")]
    filed = [await store.load(path.stem) for path in files if path.stem in ids]
    return {
        message.id: Known(
            octets(store, message),
            message.place,
            tuple(message.results),
            message.attempts,
            tuple(one.recipient for one in message.relayed),
            message.warned,
        )
        for message in [*store.messages.values(), *filed]
    }


async def settle(store: Store) -> None:
    """Everything that was begun is on disk."""
    await store.commit()
    while store._tasks:
        await asyncio.wait(store._tasks)


async def live_again_and_again(root: Path, lives: list[list[tuple[str, int]]]) -> None:
    room = Room(root)
    model: Model = {}
    for operations in [*lives, []]:
        store = await room.opened()
        assert await everything(store, [*model]) == model
        live = {smtp_id: await store.load(smtp_id) for smtp_id in model}
        for name, number in operations:
            await apply(room, store, live, model, name, number)
        await settle(store)
        killed = room
        room = killed.snapshot()
        await killed.close()
        assert killed.reports == []


@settings(max_examples=50, deadline=None)
@given(st.lists(OPERATIONS, min_size=1, max_size=3))
def test_a_restart_at_any_point_gives_the_same_state(lives: list[list[tuple[str, int]]]) -> None:
    """PROC-14: what was written and committed is there again, and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(live_again_and_again(Path(folder) / "mail", lives))


class ForgetfulDisk(FaultyDisk):
    """Remembers what the octets were before each write that no later fdatasync covers."""

    def __init__(self) -> None:
        super().__init__()
        self.unsynced: list[tuple[int, Path, int, bytes]] = []

    def pwritev(self, fd: int, buffers: Sequence[bytes], offset: int) -> int:
        path = Path(f"/proc/self/fd/{fd}").readlink()
        before = path.read_bytes()[offset : offset + sum(map(len, buffers))]
        written = super().pwritev(fd, buffers, offset)
        self.unsynced.append((fd, path, offset, before))
        return written

    def fdatasync(self, fd: int) -> None:
        covered = [write for write in self.unsynced if write[0] == fd]
        super().fdatasync(fd)
        self.unsynced = [write for write in self.unsynced if write not in covered]

    def fsync(self, fd: int) -> None:
        super().fsync(fd)
        self.unsynced = [write for write in self.unsynced if write[0] != fd]

    def lose(self, old: Path, new: Path, dice: random.Random) -> None:
        """In the copy `new` of `old`: any part of what was not synced never reached the disk, sector by sector."""
        for _, path, offset, before in reversed(self.unsynced):
            target = new / path.relative_to(old)
            if target.suffix != ".seg" or not target.exists():
                continue
            with target.open("r+b") as file:
                for at in range(0, len(before), 512):
                    if dice.random() < 0.5:
                        file.seek(offset + at)
                        file.write(before[at : at + 512])


async def lose_power(root: Path, operations: list[tuple[str, int]], seed: int) -> None:
    room = Room(root)
    room.disk = disk = ForgetfulDisk()
    store = await room.opened()
    live: dict[str, MessageState] = {}
    model: Model = {}
    ever: dict[str, bytes] = {}
    for name, number in operations:
        await apply(room, store, live, model, name, number)
        ever |= {smtp_id: known.body for smtp_id, known in model.items()}
    late = [store.begin(room.received()) for _ in range(2)]
    for draft in late:
        draft.write(BODIES[seed % len(BODIES)])
        ever[draft.id] = BODIES[seed % len(BODIES)]
    committing = [asyncio.ensure_future(draft.commit()) for draft in late]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    copy = room.snapshot()
    disk.lose(room.root, copy.root, random.Random(seed))
    await asyncio.gather(*committing)
    after = await copy.opened()
    found = await everything(after, [*model])
    assert model.keys() <= found.keys()
    for smtp_id, known in found.items():
        assert known.body == ever[smtp_id]
        if smtp_id in model:
            assert (known.place == HOLD) == (model[smtp_id].place == HOLD)
    await copy.close()
    await room.close()


@settings(max_examples=50, deadline=None)
@given(OPERATIONS, st.integers(0, 1 << 30))
def test_a_power_failure_takes_only_what_was_not_promised(operations: list[tuple[str, int]], seed: int) -> None:
    """PROC-03: accepted mail is there, whole. The last notes may be lost: at worst a finished message returns."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(lose_power(Path(folder) / "mail", operations, seed))
