"""The queues as others see them: listed at any time without a lock, changed only while no relay runs."""

import asyncio
import itertools
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import cast

from engine import ids, limits
from engine.queue import recovery
from engine.queue.content import Octets
from engine.queue.disk import Disk
from engine.queue.errors import QueueError
from engine.queue.files import PLACES, MessageFiles, OpenFile
from engine.queue.framing import Reader
from engine.queue.record import Onward
from engine.queue.replay import Broken, Replay
from engine.queue.segment import Segment, generations, segment_path
from engine.queue.state import FAST, HOLD, MessageState
from engine.queue.store import Store

ALL = (FAST, *PLACES)
_SEGMENT_LEN = limits.RECORD_LEN + limits.MIB  # for a few records; the relay removes such segments again


class Queue:
    """Every unfinished message of all relays in these places: fast, slow, hold; in each by id, which is by time.

    root: the directory in which queue/ is. Reads files that are being written, so it shows a moment of each
    file, not of all at once: a message that moves meanwhile may be missing, none comes twice. Bodies are not
    verified, and the states are for looking at: their runs may be gone when you read this. Never raises on damage.
    The names of all files are read at first, each file only when it is its turn. fast: what gives the fast queue, if
    somebody has read it already.
    """

    def __init__(
        self, root: Path, places: Collection[str] = ALL, fast: Callable[[], dict[str, MessageState]] | None = None
    ) -> None:
        disk = Disk()
        base = root / "queue"
        self._files = MessageFiles(base, disk)
        self._fast = dict(fast() if fast else read_fast(root)) if FAST in places else {}
        self._filed = {place: sorted(self._files.ids(place)) for place in PLACES if place in places or self._fast}
        for found in self._filed.values():
            for smtp_id in found:
                self._fast.pop(smtp_id, None)
        self._filed = {place: found for place, found in self._filed.items() if place in places}

    def __len__(self) -> int:
        """How many there are, as far as names tell."""
        return len(self._fast) + sum(map(len, self._filed.values()))

    def __iter__(self) -> Iterator[MessageState]:
        return self.since("", "")

    def ids(self, place: str = "") -> list[str]:
        """As far as names tell, of one place or of all; no file is read."""
        fast = sorted(self._fast) if place in ("", FAST) else []
        filed = [found for name, found in self._filed.items() if place in ("", name)]
        return list(dict.fromkeys(itertools.chain(fast, *filed)))

    def since(self, place: str, smtp_id: str) -> Iterator[MessageState]:
        """Those behind that one, which need not be there any more. place: empty for all."""
        passed = ALL.index(place) if place in ALL else -1
        seen: set[str] = set()
        for number, current in enumerate(ALL):
            found = self.ids(current)
            if number <= passed:
                found = found[bisect_right(found, smtp_id) :] if number == passed else []
            for each in found:
                if current == FAST:
                    yield self._fast[each]
                elif each not in seen and (message := _load(self._files, current, each)) is not None:
                    seen.add(each)
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
            replay.feed(str(file), Reader(file.pread), generation, cast(Segment, file))  # to read from it is one
        states |= replay.states
    return states


def read_fast(root: Path) -> dict[str, MessageState]:
    """Every message that the logs of the relays still have, by id; some may have a file of their own by now.

    Some 20,000 a second.
    """
    return _read_logs(root / "queue", Disk())


def find(root: Path, smtp_id: str, fast: Callable[[], dict[str, MessageState]] | None = None) -> MessageState | None:
    """One unfinished message, wherever it is; fast: as of Queue. Raises ValueError: that is no SMTP ID."""
    ids.relay_of(smtp_id)
    disk = Disk()
    files = MessageFiles(root / "queue", disk)
    for place in PLACES:
        if (message := _load(files, place, smtp_id)) is not None:
            return message
    return (fast() if fast else read_fast(root)).get(smtp_id)


def octets(root: Path, message: MessageState) -> Iterator[bytes]:
    """The octets as received of a message that find() gave, in pieces, also while its relay works on it.

    Raises QueueError at the end: it was moved or finished meanwhile, so that these may not be its octets.
    """
    file = None
    if message.place != FAST:
        try:
            file = MessageFiles(root / "queue", Disk()).open(message.place, message.id)
        except FileNotFoundError:
            raise _moved(message) from None
    yield from Octets(message.runs, file, lambda: True).pieces(0, message.size)
    # A segment is used again when all of its messages are done. This one is not, so those were its octets.
    if file is None and message.id not in read_fast(root):
        raise _moved(message)


def _moved(message: MessageState) -> QueueError:
    return QueueError(f"message {message.id} was moved or finished while it was read: try again")


Change = Callable[[Store, MessageState], Awaitable[None]]


def holding(reason: str) -> Change:
    async def change(store: Store, message: MessageState) -> None:
        if message.place == HOLD:
            raise QueueError(f"{message.id} is in the hold queue already")
        await store.hold(message, reason)

    return change


def deferring(reason: str, onward: Onward = Onward.USUAL) -> Change:
    """Into the slow queue, due as soon as its relay runs."""

    async def change(store: Store, message: MessageState) -> None:
        if onward is Onward.AS_IS and message.place != HOLD:
            raise QueueError(f"{message.id} is not in the hold queue, but in the {message.place} queue")
        if message.place == FAST and onward is Onward.USUAL:
            await store.defer(message, 0, reason)
        else:
            await store.release(message, reason, onward)

    return change


async def dropping(store: Store, message: MessageState) -> None:
    store.done(message)


def change_all(root: Path, wanted: Iterable[str], change: Change) -> dict[str, str]:
    """Change messages while no relay runs. Returns why some were not, by id.

    Blocks; not for use inside an event loop. Raises QueueLocked: a relay runs, ask that one; QueueError: the queue
    cannot be opened; ValueError: one of these is not an SMTP ID.
    """
    by_relay: dict[int, list[str]] = {}
    for smtp_id in dict.fromkeys(wanted):
        by_relay.setdefault(ids.relay_of(smtp_id), []).append(smtp_id)
    failed: dict[str, str] = {}
    for number, own in sorted(by_relay.items()):
        asyncio.run(_change(root, number, own, change, failed))
    return failed


async def _change(root: Path, number: int, wanted: list[str], change: Change, failed: dict[str, str]) -> None:
    # With the greatest number of relays, each owns the ids that carry its number, and no others.
    store = Store(root, number, ids.MAX_RELAYS, segment_len=_SEGMENT_LEN, lock_wait_s=0.0)
    await store.open()
    try:
        for smtp_id in wanted:
            try:
                await change(store, await store.load(smtp_id))
            except QueueError as error:
                failed[smtp_id] = str(error)
    finally:
        await store.close()
