"""The queues as others see them: listed at any time without a lock, changed only while no relay runs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from engine import ids, limits
from engine.queue import recovery
from engine.queue.disk import Disk
from engine.queue.files import PLACES, MessageFiles, OpenFile
from engine.queue.framing import Reader
from engine.queue.replay import Broken, Replay
from engine.queue.segment import generations, segment_path
from engine.queue.state import HOLD, SLOW, MessageState
from engine.queue.store import Store

_SEGMENT_LEN = limits.RECORD_LEN + limits.MIB  # for a few records; the relay removes such segments again


def read_queue(root: Path) -> Iterator[MessageState]:
    """Every unfinished message of all relays: fast, slow, hold; in each place by id, which is by time.

    root: the directory in which queue/ is. Reads files that are being written, so it shows a moment of each
    file, not of all at once: a message that moves meanwhile may be missing, none comes twice. Bodies are not
    verified, and the states are for looking at: their runs may be gone when you read this. Never raises on damage.
    """
    disk = Disk()
    base = root / "queue"
    files = MessageFiles(base, disk)
    fast = _read_logs(base, disk)
    filed = {place: sorted(files.ids(place)) for place in PLACES}
    for found in filed.values():
        for smtp_id in found:
            fast.pop(smtp_id, None)
    yield from (fast[smtp_id] for smtp_id in sorted(fast))
    seen: set[str] = set()
    for place, found in filed.items():
        for smtp_id in found:
            message = None if smtp_id in seen else _load(files, place, smtp_id)
            if message is not None:
                seen.add(smtp_id)
                yield message


def _load(files: MessageFiles, place: str, smtp_id: str) -> MessageState | None:
    try:
        return files.load(place, smtp_id, skim=True)
    except (Broken, FileNotFoundError):  # its relay deals with the one, and has caused the other
        return None


def _read_logs(base: Path, disk: Disk) -> dict[str, MessageState]:
    states: dict[str, MessageState] = {}
    for number in recovery.logs(base):
        replay = Replay(skim=True)
        directory = base / "fast" / str(number)
        for generation in generations(directory):
            try:
                file = OpenFile(segment_path(directory, generation), disk)
            except FileNotFoundError:  # recycled meanwhile: everything in it was done
                continue
            replay.feed(str(file), Reader(file.pread), generation, None)
        states |= replay.states
    return states


def move(root: Path, smtp_id: str, place: str, reason: str = "moved by hand") -> None:
    """Move a message to slow (due now) or hold while no relay runs.

    Blocks; not for use inside an event loop. Raises QueueLocked: its relay runs, ask that one; NoSuchMessage;
    QueueError; ValueError: not an SMTP ID or not a place.
    """
    if place not in PLACES:
        raise ValueError(f"{place!r} is neither {SLOW} nor {HOLD}")

    async def change(store: Store, message: MessageState) -> None:
        if place == HOLD:
            await store.hold(message, reason)
        else:
            await store.defer(message, 0, reason)

    asyncio.run(_change(root, smtp_id, change))


def drop(root: Path, smtp_id: str) -> None:
    """Remove a message while no relay runs. Blocks and raises as move() does."""

    async def change(store: Store, message: MessageState) -> None:
        store.done(message)

    asyncio.run(_change(root, smtp_id, change))


async def _change(root: Path, smtp_id: str, change: Callable[[Store, MessageState], Awaitable[None]]) -> None:
    # With the greatest number of relays, each owns the ids that carry its number, and no others.
    store = Store(root, ids.relay_of(smtp_id), ids.MAX_RELAYS, segment_len=_SEGMENT_LEN, lock_wait_s=0.0)
    await store.open()
    try:
        await change(store, await store.load(smtp_id))
    finally:
        await store.close()
