"""The durable queue of one relay process: where Mailward promises durability.

A message comes in through begin(), write() and commit(); when commit() returns, it is on disk with its envelope and
250 may be said (PROC-03). It then is in the fast queue, in the log of this relay (log.py). What cannot leave at once
is copied to a file of its own in slow/ or hold/ (files.py). Everything that happens to it is a record, so that a
restart at any moment goes on from the same state (PROC-14, SVC-03).

A message belongs to the relay that its id names: relay k of R owns ids and log directories n with n % R == k, so
that another number of relays finds everything again. A message that is in a file and in a log is in the file:
the log only had not heard of its end.
"""

import asyncio
import contextlib
import functools
import itertools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple, TypeVar
from weakref import WeakSet, WeakValueDictionary

from engine import ids, limits
from engine.queue import framing, recovery
from engine.queue.content import Octets, cut, spliced
from engine.queue.disk import Disk
from engine.queue.draft import Draft
from engine.queue.errors import NoSuchMessage, QueueError, QueueFull
from engine.queue.files import PLACES, MessageFiles
from engine.queue.lock import WAIT_S, Lock
from engine.queue.log import Log
from engine.queue.record import AnyRecord, Body, Done, Edited, End, Moved, Onward, Received
from engine.queue.replay import Broken, Ended
from engine.queue.state import FAST, HOLD, SLOW, MessageState, Run, split_splices

SEGMENT_LEN: Final = 16 * limits.MIB
MAX_LOG_LEN: Final = 1024 * limits.MIB
CACHE_LEN: Final = 64 * limits.MIB  # octets of small messages kept in memory until they are done
_FILE_THREADS: Final = 4
_BATCH: Final = 50  # messages read at a time at start, some 50 microseconds each
_REST: Final = 15  # times as long as that took nothing is read, while there is new mail to deal with
_REST_UNTIL_S: Final = 120.0  # then what waits has waited enough: it is read in minutes whatever else there is
_AGAIN_S: Final = 1.0
_SETTLE_S: Final = 10.0

T = TypeVar("T")
_logger = logging.getLogger("mailward.queue")


class Extent(NamedTuple):
    """Octets [offset, offset + length) of a descriptor that can only be read. owner keeps it open."""

    fd: int
    offset: int
    length: int
    owner: object = None


class Store:
    """One per relay process, used in one event loop. Other processes may read its files at any time (listing.py).

    messages: the unfinished ones of this relay that are in its log, by id. Those with files are loaded when asked for,
    and are known as long as somebody has them: there are never two objects for one message.
    newest: the last id that was found at start. found: what was in the slow queue then.
    """

    def __init__(
        self,
        root: Path,
        relay: int,
        relays: int,
        *,
        segment_len: int = SEGMENT_LEN,
        max_log_len: int = MAX_LOG_LEN,
        lock_wait_s: float = WAIT_S,
        disk: Disk | None = None,
        clock: Callable[[], int] = time.time_ns,
        report: Callable[[str], None] = _logger.warning,
    ) -> None:
        """root: the directory in which queue/ is. report: told of damage, and of trouble that nobody waits for."""
        if not 0 <= relay < relays <= ids.MAX_RELAYS:
            raise ValueError(f"relay {relay} of {relays}")
        self.messages: dict[str, MessageState] = {}
        self.newest = ""
        self._found: list[str] = []  # of the slow queue at start, not read yet
        self._unreadable: set[str] = set()  # of these, as was reported
        self._loaded: WeakValueDictionary[str, MessageState] = WeakValueDictionary()
        self._loading: dict[str, asyncio.Future[MessageState]] = {}
        self._ended: set[str] = set()  # done, and their files are still there
        self._root = root / "queue"
        self._relay = relay
        self._relays = relays
        self._segment_len = segment_len
        self._max_log_len = max_log_len
        self._lock_wait_s = lock_wait_s
        self._disk = disk or Disk()
        self._clock = clock
        self._report = report
        self._files = MessageFiles(self._root, self._disk)
        self._threads = ThreadPoolExecutor(_FILE_THREADS, "queue-files")
        self._locks: list[Lock] = []
        self._log: Log | None = None
        self._closing = False
        self._counts = {FAST: 0, SLOW: 0, HOLD: 0}
        self._cached_len = 0
        self._unwritten: set[MessageState] = set()
        self._leftover: set[MessageState] = set()  # finished ones whose files could not be removed
        self._unsaid: WeakSet[MessageState] = WeakSet()  # nor written to, as was reported
        self._tasks: set[asyncio.Task[None]] = set()
        self._idle: asyncio.TimerHandle | None = None

    # --- life --------------------------------------------------------------------------------------

    async def open(self) -> list[MessageState]:
        """Lock and replay. Returns every unfinished message of the log, oldest first.

        Those with files are counted only: slow ones are read by `found`. One with `started` was being scanned when its
        relay died (PROC-12).
        Raises QueueLocked, and QueueError if the files cannot be read or the directories not be made.
        """
        try:
            await self._open()
        except OSError as error:
            self._let_go()
            raise QueueError(str(error)) from error
        except BaseException:
            self._let_go()
            raise
        return sorted(self.messages.values(), key=lambda message: message.id)

    async def _open(self) -> None:
        own = self._root / "fast" / str(self._relay)
        for directory in (own, *(self._root / place for place in (*PLACES, "corrupt", "tmp"))):
            await self._run(self._disk.make_directories, directory)
        for directory in (self._root.parent, self._root, *(self._root / place for place in ("fast", *PLACES))):
            # Who made one below may have been killed before that was durable; what is synced in it would go with it.
            await self._run(self._disk.sync_directory, directory)
        for number in await self._run(recovery.owned, self._root, self._files, self._relay, self._relays):
            directory = self._root / "fast" / str(number)
            self._disk.make_directories(directory)
            lock = Lock(directory, self._disk)
            self._locks.append(lock)
            await lock.take(self._lock_wait_s)
        found = await self._run(
            recovery.recover, self._root, self._files, self._disk, self._relay, self._relays, self._report
        )
        self._log = log = Log(
            own,
            segment_len=self._segment_len,
            max_len=self._max_log_len,
            disk=self._disk,
            report=self._report,
        )
        log.start(found.segments, found.last_generation)
        for ended in found.ended:
            log.end(ended, framing.encode(Done(ended.id)))
        if found.ended:
            await log.commit()
        self.messages = {message.id: message for message in found.messages}
        self._found = found.slow
        self._counts = {FAST: len(found.messages), SLOW: len(found.slow), HOLD: len(found.held)}
        self.newest = max((*self.messages, *found.slow, *found.held), default="")

    async def found(self) -> AsyncIterator[list[MessageState]]:
        """What was in the slow queue at start, what was tried longest ago first, some at a time: to look at.

        Takes half a processor at most, and a sixteenth beside new mail, not for long. What cannot be read is for the
        next time; what moved is left out.
        """
        rests_until_s = time.monotonic() + _REST_UNTIL_S
        found, self._found = self._found, []
        found = await self._run(self._files.by_age, SLOW, self._while_open(found))
        for at in range(0, len(found), _BATCH):
            messages, damaged, used_s = await self._run(self._skim, found[at : at + _BATCH])
            for smtp_id in damaged:
                try:
                    messages.append(await self.load(smtp_id))
                except NoSuchMessage:
                    continue
                except QueueFull:
                    self._found.append(smtp_id)
            began = time.thread_time()
            yield messages
            used_s += time.thread_time() - began
            is_patient = self.messages and time.monotonic() < rests_until_s
            await asyncio.sleep(used_s * (_REST if is_patient else 1))

    def _while_open(self, ids: Iterable[str]) -> Iterator[str]:
        """These, for a thread: who stops does not wait until it has looked at all of them."""
        return itertools.takewhile(lambda _: not self._closing, ids)

    @property
    def unread(self) -> int:
        """For how many `found` is to be asked again: the disk or the system did not let it read all."""
        return len(self._found)

    def _skim(self, ids: list[str]) -> tuple[list[MessageState], list[str], float]:
        """Also what is damaged, and the processor time that it took."""
        messages, damaged, began = [], [], time.thread_time()
        for smtp_id in self._while_open(ids):
            try:
                messages.append(self._files.load(SLOW, smtp_id, skim=True))
            except FileNotFoundError:  # it was moved or ended meanwhile
                continue
            except Broken:
                damaged.append(smtp_id)
            except OSError as error:
                self._found.append(smtp_id)
                if smtp_id not in self._unreadable:
                    self._unreadable.add(smtp_id)
                    self._report(f"message {smtp_id} in the slow queue cannot be read, and is tried again: {error}")
        return messages, damaged, time.thread_time() - began

    async def close(self) -> None:
        """Write and sync everything, and let go. Raises QueueError if something could not be written."""
        self._closing = True
        if self._idle is not None:
            self._idle.cancel()
        try:
            await self._write_notes()
            if self._tasks:
                await asyncio.wait(self._tasks)
            if self._log is not None:
                await self._log.close()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        if self._log is not None:
            self._log.abandon()
            self._log = None
        self._threads.shutdown()
        for lock in self._locks:
            lock.release()
        self._locks.clear()

    @property
    def is_open(self) -> bool:
        return self._log is not None

    def lengths(self) -> tuple[int, int, int]:
        """Messages in the fast, slow and hold queues of this relay."""
        return self._counts[FAST], self._counts[SLOW], self._counts[HOLD]

    @property
    def is_crowded(self) -> bool:
        """Whether there is something for `crowded`: three quarters of the log are in use."""
        return self._log is not None and self._log.crowded

    def crowded(self) -> list[MessageState]:
        """Messages that should leave the log by defer(), oldest first, because they keep its segments from use.

        Empty as long as less than three quarters of the greatest length are in use.
        """
        log = self._opened()
        if not log.crowded:
            return []
        oldest = list(log.segments)[: max(len(log.segments) // 4, 1)]
        survivors = {message for segment in oldest for message in segment.live if self._is_ours(message)}
        return sorted(survivors, key=lambda message: message.id)

    def _is_ours(self, message: MessageState) -> bool:
        return self.messages.get(message.id) is message and message.place == FAST and not message.moving

    # --- in ----------------------------------------------------------------------------------------

    def begin(self, received: Received) -> Draft:
        return Draft(received, self._opened(), self._segment_len, self._accepted)

    def _accepted(self, message: MessageState) -> None:
        if message.cached is not None:
            if self._cached_len + message.size <= CACHE_LEN:
                self._cached_len += message.size
            else:
                message.cached = None
        self.messages[message.id] = message
        self._counts[FAST] += 1

    # --- notes -------------------------------------------------------------------------------------

    def note(self, message: MessageState, *records: AnyRecord) -> None:
        """Apply to the message at once, append without waiting: Started, Crashed, Verdict, Edited, Attempt,
        Told.

        They are durable after the next commit(), or a second or so later; of a message that is only offered, with it.
        """
        self._may_change(message)
        for record in records:
            if isinstance(record, Received | Body | End | Moved | Done):
                raise TypeError(f"{type(record).__name__} is not a note")
            message.apply(record)
            pieces = split_splices(record, limits.BODY_CHUNK_LEN) if isinstance(record, Edited) else [record]
            for piece in pieces:
                self._append(message, framing.encode(piece))

    def _append(self, message: MessageState, payload: bytes) -> None:
        if message.offered:
            message.unwritten.append(payload)
            return
        if message.place == FAST:
            self._opened().note(message, payload)
            return
        message.unwritten.append(payload)
        self._unwritten.add(message)
        self._later()

    def write_soon(self, message: MessageState) -> None:
        """What was noted of it goes into its file now, not in a second: a next hop took it, and something else is to be
        done before that can be the end of it."""
        if message.place != FAST and message.unwritten:
            self._spawn(self._write_now(message))

    async def _write_now(self, message: MessageState) -> None:
        with contextlib.suppress(QueueError):  # tried again in a second
            async with self._alone(message):
                await self._write_unwritten(message)

    def _later(self) -> None:
        """What waits for the disk is tried again."""
        if self._idle is None and self._log is not None:
            self._idle = asyncio.get_running_loop().call_later(_AGAIN_S, self._idle_now)

    def _idle_now(self) -> None:
        self._idle = None
        self._spawn(self._write_notes_quietly())

    async def _write_notes_quietly(self) -> None:
        try:
            await self._write_notes()
        except QueueError as error:
            self._report(f"notes about slow mail wait: {error}")
            self._later()
        for message in list(self._leftover):
            async with self._alone(message):
                await self._take_away(message)

    async def commit(self) -> None:
        """All that was noted so far is durable. Raises QueueFull: not so, but it is kept and tried again."""
        log = self._opened()
        await self._write_notes()
        await log.commit()
        if log.backlog:
            raise QueueFull(f"{log.backlog} notes wait for room")

    async def _write_notes(self) -> None:
        for message in list(self._unwritten):
            async with self._alone(message):
                await self._write_unwritten(message)

    async def _write_unwritten(self, message: MessageState, *more: bytes) -> None:
        self._unwritten.discard(message)
        if message.done:
            return
        payloads, message.unwritten = [*message.unwritten, *more], []
        if not payloads:
            return
        try:
            message.file_len = await self._run(
                self._files.append, message.place, message.id, message.file_len, message.file_records, payloads
            )
        except BaseException:
            message.unwritten[:0] = payloads[: len(payloads) - len(more)]
            if message.unwritten:
                self._unwritten.add(message)
            raise
        message.file_records += len(payloads)

    # --- places ------------------------------------------------------------------------------------

    async def defer(self, message: MessageState, due_ns: int, reason: str) -> None:
        """To the slow queue, or not to be tried again before due_ns if it is there (PROC-05, PROC-06).

        Results so far go with it. Extents from before are not valid any more. Raises QueueFull: it stays where it is.
        """
        await self._move(message, SLOW, due_ns, reason)

    async def hold(self, message: MessageState, reason: str) -> None:
        """To the hold queue, out of messages (PROC-12, PROC-13). Raises QueueFull: it stays where it is."""
        await self._move(message, HOLD, message.due_ns, reason)

    async def release(self, message: MessageState, reason: str = "released", onward: Onward = Onward.USUAL) -> None:
        """A held or slow message is due now, in the slow queue. A fast one goes there only to go on in another way."""
        if message.place != FAST or onward is not Onward.USUAL:
            await self._move(message, SLOW, 0, reason, onward)

    async def load(self, smtp_id: str) -> MessageState:
        """A message of this relay, wherever it is. Raises NoSuchMessage, and QueueFull: it cannot be read now."""
        while (known := self.known(smtp_id)) is None:
            if smtp_id in self._ended:
                raise NoSuchMessage(f"message {smtp_id} is finished")
            loading = self._loading.get(smtp_id)
            if loading is None:
                loading = self._loading[smtp_id] = asyncio.ensure_future(self._load(smtp_id))
                loading.add_done_callback(functools.partial(self._was_loaded, smtp_id))
            await asyncio.shield(loading)
        return known

    def _was_loaded(self, smtp_id: str, loading: "asyncio.Future[MessageState]") -> None:
        del self._loading[smtp_id]
        if not loading.cancelled():
            loading.exception()  # whoever waited for it has it

    def known(self, smtp_id: str) -> MessageState | None:
        """A message that is in memory."""
        return self.messages.get(smtp_id) or self._loaded.get(smtp_id)

    def in_memory(self) -> list[MessageState]:
        return [*self.messages.values(), *self._loaded.values()]

    async def _load(self, smtp_id: str) -> MessageState:
        for place in (HOLD, SLOW):
            try:
                message = await self._run(self._read, place, smtp_id)
            except QueueFull as error:
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise
            except Ended:  # the disk had refused to remove it
                await self._run(self._files.remove, place, smtp_id)
                self._counts[place] -= 1
            except Broken as error:
                aside = await self._run(self._files.set_aside, place, smtp_id)
                self._report(f"message {smtp_id} is damaged and now {aside}: {error}")
                self._counts[place] -= 1
            else:
                self._loaded[smtp_id] = message
                return message
        raise NoSuchMessage(f"no message {smtp_id} here")

    def _read(self, place: str, smtp_id: str) -> MessageState:
        message = self._files.load(place, smtp_id)
        self._files.cut(message)
        return message

    async def settled(self) -> None:
        """What done() ended so far has left the disk, as far as that takes no long."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=_SETTLE_S)

    async def _move(
        self, message: MessageState, place: str, due_ns: int, reason: str, onward: Onward = Onward.USUAL
    ) -> None:
        self._may_change(message)
        message.moving = True
        try:
            async with self._alone(message):
                moved = Moved(message.id, self._clock(), place, reason, due_ns, message.attempts, onward)
                if message.place == FAST:
                    await self._copy_out(message, moved)
                else:
                    await self._update(message, moved)
        finally:
            message.moving = False

    async def _copy_out(self, message: MessageState, moved: Moved) -> None:
        written = await self._run(recovery.copy_out, self._files, message, moved)
        self._opened().end(message, framing.encode(Done(message.id)))  # durable before the file may go: _remove
        self._uncache(message)
        self._counts[FAST] -= 1
        self._counts[moved.place] += 1
        recovery.now_in_file(message, moved, written)
        if message.stale == moved.place:  # its new file took that name
            message.stale = ""
        self._forget_stale(message)
        self.messages.pop(message.id, None)
        self._loaded[message.id] = message

    async def _update(self, message: MessageState, moved: Moved) -> None:
        await self._write_unwritten(message, framing.encode(moved))
        if moved.place != message.place:
            await self._run(self._files.move, message.id, message.place, moved.place)
            self._counts[message.place] -= 1
            self._counts[moved.place] += 1
        message.apply(moved)

    def done(self, message: MessageState) -> None:
        """Nothing is left to do for it (PROC-26). Its extents are not valid any more."""
        self._may_change(message)
        message.done = True
        self.messages.pop(message.id, None)
        self._loaded.pop(message.id, None)
        self._counts[message.place] -= 1
        self._uncache(message)
        self._unwritten.discard(message)
        if message.place == FAST:
            self._opened().end(message, framing.encode(Done(message.id)))
            self._forget_stale(message)
        else:
            self._ended.add(message.id)
            message.unwritten = [framing.encode(Done(message.id))]
            self._spawn(self._remove(message))
        message.runs = []

    async def _remove(self, message: MessageState) -> None:
        log = self._opened()
        async with self._alone(message):
            while message.segments:  # the log still has it alive, and without the file it would come back
                with contextlib.suppress(QueueFull):
                    await log.commit()
                if message.segments:  # it was refused, or waits for room: until this relay ends, perhaps
                    await self._say_ended(message)
                    if self._closing:
                        return
                    await asyncio.sleep(_AGAIN_S)
            await self._take_away(message)

    def _forget_stale(self, message: MessageState) -> None:
        """Its file of before the start would bring it back."""
        if message.stale:
            if message.done:
                self._ended.add(message.id)
            self._spawn(self._remove_stale(message.stale, message.id))
            message.stale = ""

    async def _remove_stale(self, place: str, smtp_id: str) -> None:
        while True:
            try:
                await self._run(self._files.remove, place, smtp_id)
            except QueueError:
                if self._closing:
                    return
                await asyncio.sleep(_AGAIN_S)
            else:
                self._ended.discard(smtp_id)
                return

    async def _take_away(self, message: MessageState) -> None:
        """Its file. What cannot be removed says at least that it is finished, so that no start delivers it again."""
        is_first = message not in self._leftover
        try:
            await self._run(self._files.remove, message.place, message.id)
            self._leftover.discard(message)
            self._ended.discard(message.id)
            return
        except QueueError as error:
            if is_first:
                self._report(f"message {message.id} is finished, but its file stays until it can be removed: {error}")
        self._leftover.add(message)
        self._later()
        await self._say_ended(message)

    async def _say_ended(self, message: MessageState) -> None:
        """In its file, whatever the log knows."""
        if not message.unwritten:
            return
        try:
            await self._run(
                self._files.append, message.place, message.id, message.file_len, message.file_records, message.unwritten
            )
            message.unwritten = []
        except QueueError as error:
            if isinstance(error.__cause__, FileNotFoundError):  # removed, though its directory was not synced
                return
            if message not in self._unsaid:
                self._unsaid.add(message)
                self._report(f"message {message.id} may be delivered again if the service starts before that: {error}")

    # --- out ---------------------------------------------------------------------------------------

    def extents(self, message: MessageState) -> list[Extent]:
        """Where the octets of the body as received are. Valid until done() or a move. Raises OSError."""
        file = None if message.place == FAST else self._files.open(message.place, message.id)
        found: list[Extent] = []
        for run in message.runs:
            if run.segment is not None:
                found.append(Extent(run.segment.read_fd, run.offset, run.length, run.segment))
            elif file is not None:
                found.append(Extent(file.fd, run.offset, run.length, file))
        return found

    def content(self, message: MessageState) -> Iterator[memoryview | bytes]:
        """The message with its edits, in pieces of at most 256 KiB, wherever it is moved meanwhile.

        Raises QueueError (finished meanwhile), OSError.
        """
        cached = message.cached
        if cached is not None:
            view = memoryview(cached)
            return spliced(message.splices, message.size, lambda start, end: cut(view[start:end]))
        octets = self._octets(message)

        def pieces(start: int, end: int) -> Iterator[bytes]:
            nonlocal octets
            while start < end:
                if not octets.still and not message.done:
                    octets = self._octets(message)
                yield (piece := octets.piece(start, end))
                start += len(piece)

        return spliced(message.splices, message.size, pieces)

    def _octets(self, message: MessageState) -> Octets:
        runs = message.runs
        file = None if message.place == FAST else self._files.open(message.place, message.id)
        return Octets(runs, file, lambda: message.runs is runs)

    async def at_rest(self, message: MessageState) -> None:
        """Wait until it is not on its way from one place to another; nothing can be noted about it meanwhile."""
        while message.moving:
            async with self._alone(message):
                pass

    # --- helpers -----------------------------------------------------------------------------------

    def _opened(self) -> Log:
        if self._log is None:
            raise QueueError("the queue is not open")
        return self._log

    def _may_change(self, message: MessageState) -> None:
        if message.done or message.moving:
            raise RuntimeError(f"message {message.id} is {'done' if message.done else 'being moved'}")

    def _uncache(self, message: MessageState) -> None:
        if message.cached is not None:
            self._cached_len -= message.size
            message.cached = None

    def _alone(self, message: MessageState) -> asyncio.Lock:
        """`async with` it: file operations of one message do not overlap."""
        if message.lock is None:
            message.lock = asyncio.Lock()
        return message.lock

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        """In a thread. An OSError comes as QueueFull, caused by it."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, function, *arguments)
        except OSError as error:
            raise QueueFull(str(error)) from error


__all__ = ["Draft", "Extent", "Run", "Store"]
