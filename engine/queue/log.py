"""The fast log of one relay: many messages in preallocated segments, made durable together.

Theory of operation. A record is put into a batch in memory; its place in the file is known at once. The batch is
written with one pwritev at the latest at the end of the event-loop iteration. commit() promises a sync: fdatasync
runs in a thread of its own, one at a time, and whoever comes while it runs shares the next one. Notes about a
message ride along and wait for nobody; a timer syncs what nothing else has synced.

Segments are used strictly in order of age, and the oldest is used anew only when every message with a record in
it is done and that is durable. So the end of a message always outlives its other records, and there is no
cleaning, no index and no compaction.

There is always one empty segment ahead, made in a second thread. New mail may not be written when it cannot be made:
what remains of the current one is kept for notes about mail that was promised already. While it is being made, which
takes half a second on a busy disk, new mail waits in memory (`would_wait`), and the event loop does not.

Errors. After a failed write or fdatasync nobody knows what is on the disk, and asking again would lie (Linux drops
the dirty pages). So everything not yet durable fails, the segment is never written again, and the notes since the
last good sync are repeated in a fresh one.

Known gaps: damage to the very last records of a segment cannot be told from a torn tail.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future as ThreadFuture
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

from engine.queue import framing, segment
from engine.queue.disk import Disk
from engine.queue.errors import QueueFull
from engine.queue.segment import Segment
from engine.queue.state import MessageState, Run

IDLE_SYNC_S: Final = 1.0  # what a power failure may cost in notes: results of deliveries, never mail
SPARE_SEGMENTS: Final = 4  # finished ones kept for use anew; more are removed
BATCH_LEN: Final = 4 << 20  # a batch that grows beyond is written at once


class Note(NamedTuple):
    message: MessageState
    payload: bytes
    ends: bool  # a Done: it holds no segment, and frees those of the message once it is durable


class Log:
    """Owned by one store, used in one event loop. Not thread-safe; its two threads see only what it hands them."""

    def __init__(
        self, directory: Path, *, segment_len: int, max_len: int, disk: Disk, report: Callable[[str], None]
    ) -> None:
        """segment_len, max_len: octets. report: told of trouble that nobody waits for."""
        self._directory = directory
        self._segment_len = segment_len
        self._most = max(max_len // segment_len, 3)
        self._disk = disk
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._sync_thread = ThreadPoolExecutor(1, "queue-sync")
        self._segment_thread = ThreadPoolExecutor(1, "queue-segment")
        self._segments: deque[Segment] = deque()
        self._current: Segment | None = None
        self._last_generation = 0
        self._ahead: ThreadFuture[Segment] | None = None
        self._reused: Segment | None = None  # the oldest one, of which the one ahead is made
        self._trimming: ThreadFuture[list[Segment]] | None = None
        self._trim_due_s = 0.0
        self._batch: list[bytes] = []
        self._batch_off = 0
        self._batch_len = 0
        self._dirty: list[Segment] = []  # written to since the last sync
        self._tick_due = False
        self._idle: asyncio.TimerHandle | None = None
        self._syncing: asyncio.Future[None] | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._is_closed = False
        self._notes: list[Note] = []  # not durable yet
        self._backlog: list[Note] = []  # there was no room for them
        self._ended: list[MessageState] = []  # their Done is not durable yet
        self.kept_back = 0  # octets of drafts that wait in memory for the next segment
        self.epoch = 0  # counts failures: what was appended in an earlier epoch and not committed is lost

    # --- life --------------------------------------------------------------------------------------

    def start(self, segments: Iterable[Segment], last_generation: int) -> None:
        """Take over what a replay found, oldest first, and begin a new generation. Raises OSError on a failed sync."""
        for old in segments:
            self._disk.fdatasync(old.fd)  # the replay may have seen what only the page cache knew
            old.sick = old.length != self._segment_len  # made with other settings: not to be used again
            self._segments.append(old)
        self._last_generation = last_generation
        try:
            self._switch()
            self._ready_ahead()  # with two, a disk that fills up later cannot stop the log
        except QueueFull as error:  # what is there can still be delivered
            self._report(f"no new mail for now: {error}")
        self._trim()

    def abandon(self) -> None:
        """Stop the threads, also after a start that failed."""
        self._is_closed = True
        self._sync_thread.shutdown()
        self._segment_thread.shutdown()

    async def close(self) -> None:
        """Write and sync what there is; then nothing may be called any more. Raises QueueFull if that fails."""
        if self._idle is not None:
            self._idle.cancel()
        try:
            self._drain()
            await self.commit()
            if self._backlog:
                raise QueueFull("there was no room for the last notes")
        finally:
            while self._syncing is not None:
                await asyncio.wait([self._syncing])
            if self._idle is not None:
                self._idle.cancel()
            self._current = None
            self.abandon()
            self._ahead = None
            self._segments.clear()
            self._dirty.clear()

    @property
    def segments(self) -> Sequence[Segment]:
        """Oldest first; the last one is being written."""
        return self._segments

    @property
    def most(self) -> int:
        """Octets that one reserve() can ask for."""
        return self._segment_len

    @property
    def crowded(self) -> bool:
        """Over three quarters of the log are in use: its oldest messages should leave it."""
        return len(self._segments) * 4 > self._most * 3

    @property
    def backlog(self) -> int:
        return len(self._backlog)

    # --- append ------------------------------------------------------------------------------------

    def reserve(self, octets: int) -> None:
        """Make room for so many octets of new mail in the current segment. Raises QueueFull."""
        if octets > self._segment_len:
            raise QueueFull(f"a record of {octets} octets does not fit into a segment")
        room = self._room
        if room < octets:
            self._ready_ahead()
            self._switch()
        elif room < self._segment_len // 2:
            self._ready_ahead(wait=room < self._kept // 2)

    def would_wait(self, octets: int) -> bool:
        """Whether reserve() for these, and a little more, might block until the next segment is made."""
        if self._room - octets >= self._kept or self._current is None:
            return False
        if self._ahead is None and (len(self._segments) < self._most or self._finished(0)):
            self._segment_ahead()
        return self._ahead is not None and not self._ahead.done()

    async def ready(self, octets: int = 0) -> None:
        """Wait until there is room for so many octets, or it is known that there will be none."""
        while self._ahead is not None and self.would_wait(octets):
            await asyncio.wait([asyncio.wrap_future(self._ahead)])

    @property
    def _kept(self) -> int:
        """Octets of a segment that are kept for notes, and for the ends of what was begun."""
        return self._segment_len // 4

    def append(self, message: MessageState, payload: bytes) -> None:
        """One record of new mail. Raises QueueFull."""
        self.reserve(framing.HEADER_LEN + len(payload))
        self._hold(message, self._put(payload))

    def body(self, message: MessageState, parts: Sequence[bytes], length: int) -> Run:
        """One Body record; parts are its octets, length how many. Returns where they will be. Raises QueueFull."""
        front_len = framing.body_overhead(message.id)
        self.reserve(front_len + length)
        current = self._here()
        run = Run(current, current.offset + front_len, length)
        front = framing.body_front(message.id, parts, length, current.generation, current.sequence)
        self._extend(current, [front, *parts], front_len + length)
        self._hold(message, current)
        return run

    def note(self, message: MessageState, payload: bytes) -> None:
        """One record about a message, without waiting. What finds no room stays in memory until there is some."""
        self._backlog.append(Note(message, payload, False))
        self._drain()

    def end(self, message: MessageState, done: bytes) -> None:
        """Note its Done; its segments become free when that is durable."""
        self._backlog.append(Note(message, done, True))
        self._drain()

    def forget(self, message: MessageState) -> None:
        """Free its segments now: it has no End."""
        self._free(message)
        self._trim()

    def _free(self, message: MessageState) -> None:
        for held in message.segments:
            held.live.discard(message)
        message.segments = []

    def _hold(self, message: MessageState, held: Segment) -> None:
        if held not in message.segments:
            message.segments.append(held)
            held.live.add(message)

    def _put(self, payload: bytes) -> Segment:
        current = self._here()
        data = framing.frame(payload, current.generation, current.sequence)
        self._extend(current, [data], len(data))
        return current

    def _extend(self, current: Segment, buffers: list[bytes], length: int) -> None:
        if not self._batch:
            self._batch_off = current.offset
        self._batch += buffers
        self._batch_len += length
        current.offset += length
        current.sequence += 1
        if self._batch_len > BATCH_LEN:
            self._flush()
        else:
            self._tick_soon()

    def _drain(self) -> None:
        """Append the notes that wait, in their order, as far as there is room."""
        backlog, self._backlog = self._backlog, []
        for index, note in enumerate(backlog):
            if not self._room_for_note(framing.HEADER_LEN + len(note.payload)):
                self._backlog += backlog[index:]
                break
            self._notes.append(note)  # first, so that a failure inside _put finds it
            written = self._put(note.payload)
            if note.ends:
                self._ended.append(note.message)
            elif not note.message.done:
                self._hold(note.message, written)
        self._idle_later()

    def _room_for_note(self, octets: int) -> bool:
        if self._room < octets:
            try:
                self._switch()
            except QueueFull as error:
                self._report(f"notes wait for room: {error}")
                return False
        return not self._backlog  # else a failure meanwhile has put older notes there, and they go first

    # --- write and sync ----------------------------------------------------------------------------

    def write(self) -> None:
        """Hand what was appended to the kernel now: it can be read then, and is not durable. A failure counts epoch."""
        self._flush()

    def commit(self) -> "asyncio.Future[None]":
        """Done when all that was appended so far is durable. Fails with QueueFull, and then nothing of it counts."""
        if self._backlog:
            self._drain()
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append(waiter)
        self._tick_soon()
        return waiter

    def _tick_soon(self) -> None:
        if not self._tick_due:
            self._tick_due = True
            self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        self._tick_due = False
        self._flush()
        if self._waiters and self._syncing is None:
            self._sync()

    def _flush(self) -> None:
        if not self._batch:
            return
        current = self._here()
        batch, self._batch, self._batch_len = self._batch, [], 0
        if current not in self._dirty:
            self._dirty.append(current)
        try:
            self._disk.write_all(current.fd, batch, self._batch_off)
        except OSError as error:
            self._fail(error, [], [])

    def _idle_later(self) -> None:
        if self._idle is None:
            self._idle = self._loop.call_later(IDLE_SYNC_S, self._idle_now)

    def _idle_now(self) -> None:
        self._idle = None
        if self._backlog:
            self._drain()
        self._flush()
        if self._syncing is None and self._dirty:
            self._sync()
        self._trim()

    def _sync(self) -> None:
        waiters, self._waiters = self._waiters, []
        notes, self._notes = self._notes, []
        ended, self._ended = self._ended, []
        dirty, self._dirty = self._dirty, []
        self._syncing = self._loop.run_in_executor(self._sync_thread, _sync_all, self._disk, dirty)

        def synced(result: "asyncio.Future[None]") -> None:
            self._syncing = None
            error = result.exception()
            if error is None:
                self._durable(waiters, ended)
            else:
                self._notes[:0] = notes
                self._fail(error, dirty, waiters)
            if self._waiters:
                self._tick_soon()
            elif self._notes or self._backlog:
                self._idle_later()

        self._syncing.add_done_callback(synced)

    def _durable(self, waiters: list["asyncio.Future[None]"], ended: list[MessageState]) -> None:
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        for message in ended:
            self._free(message)
        self._trim()

    def _fail(self, error: BaseException, dirty: list[Segment], waiters: list["asyncio.Future[None]"]) -> None:
        """Nothing since the last good sync counts. Goes on in a fresh segment, if there is one."""
        self.epoch += 1
        self._report(f"queue log: {error}")
        waiters = waiters + self._waiters
        self._waiters = []
        self._batch, self._batch_len = [], 0
        for sick in (*dirty, *self._dirty, *filter(None, [self._current])):
            sick.sick = True
        self._dirty = []
        self._backlog = self._notes + self._backlog
        self._notes = []
        self._ended = []  # their Done is among the notes
        self._current = None  # whatever comes next has to switch
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(QueueFull(f"not durable: {error}"))
        self._drain()

    # --- segments ----------------------------------------------------------------------------------

    @property
    def _room(self) -> int:
        return 0 if self._current is None else self._current.room

    def _here(self) -> Segment:
        if self._current is None:
            raise RuntimeError("no room was made")
        return self._current

    def _switch(self) -> None:
        """Go on in the segment ahead. Raises QueueFull."""
        self._flush()
        self._segment_ahead()
        try:
            fresh = self._take_ahead()
        except OSError as error:
            raise QueueFull(f"no new segment: {error}") from error
        self._segments.append(fresh)
        self._current = fresh
        if len(self._segments) < self._most:
            self._segment_ahead()

    def _ready_ahead(self, *, wait: bool = True) -> None:
        """Raises QueueFull unless the segment ahead is there, or without wait may be there soon."""
        if self._ahead is None and len(self._segments) >= self._most and not self._finished(0):
            self._evict()
            raise QueueFull("the log has reached its greatest length")
        self._segment_ahead()
        ahead = self._ahead
        try:
            if ahead is not None and (wait or ahead.done()):
                ahead.result()
        except OSError as error:
            self._none_ahead()
            raise QueueFull(f"no new segment: {error}") from error

    def _segment_ahead(self) -> None:
        """Have the next segment made, of the oldest one if that is finished."""
        if self._ahead is not None:
            if not self._ahead.done() or self._ahead.exception() is None:
                return
            self._none_ahead()  # it failed; perhaps there is room now
        if self._trimming is not None:  # order on the disk is order of age: one change at a time
            self._trimmed(wait=True)
        self._last_generation = generation = segment.next_generation(self._last_generation)
        if self._finished(0) and not self._segments[0].sick:
            self._reused = old = self._segments.popleft()
            self._ahead = self._segment_thread.submit(segment.recycle, old, generation, self._disk)
        else:
            self._ahead = self._segment_thread.submit(
                segment.create, self._directory, generation, self._segment_len, self._disk
            )

    def _none_ahead(self) -> None:
        """It could not be made. Nothing younger may go before the one that it was to be made of, which is the oldest
        again at once: the ends of its messages may be in any younger one."""
        self._ahead = None
        if self._reused is not None:
            self._segments.appendleft(self._reused)
            self._reused = None

    def _take_ahead(self) -> Segment:
        if self._ahead is None:
            raise RuntimeError("no segment was asked for")
        try:
            fresh = self._ahead.result()
        except OSError:
            self._none_ahead()
            raise
        self._ahead = self._reused = None
        return fresh

    def _finished(self, index: int) -> bool:
        if index >= len(self._segments):
            return False
        found = self._segments[index]
        return found is not self._current and not found.live and found not in self._dirty

    def _trim(self) -> None:
        """Remove finished segments at the old end: sick ones, and more than SPARE_SEGMENTS."""
        if self._is_closed:
            return
        if self._trimming is not None and not self._trimmed(wait=False):
            return
        if self._loop.time() < self._trim_due_s or (self._ahead is not None and not self._ahead.done()):
            self._idle_later()
            return
        if self._ahead is not None and self._ahead.exception() is not None:
            self._none_ahead()
        free = next(index for index in range(len(self._segments) + 1) if not self._finished(index))
        old: list[Segment] = []
        while free and (free > SPARE_SEGMENTS or self._segments[0].sick):
            old.append(self._segments.popleft())
            free -= 1
        if old:
            self._trimming = self._segment_thread.submit(self._remove, old)
            self._trimming.add_done_callback(self._trim_again)

    def _trim_again(self, _: object) -> None:
        self._loop.call_soon_threadsafe(self._trim)  # close() waits for this thread

    def _remove(self, old: list[Segment]) -> list[Segment]:
        """Oldest first, each durably before the next. Returns those that are still there."""
        try:
            while old:
                self._disk.unlink(old[0].path)
                self._disk.sync_directory(self._directory)
                del old[0]
        except OSError as error:
            self._report(f"cannot remove {old[0].path.name}: {error}")
        return old

    def _trimmed(self, *, wait: bool) -> bool:
        if self._trimming is not None and (wait or self._trimming.done()):
            if left := self._trimming.result():
                self._segments.extendleft(reversed(left))
                self._trim_due_s = self._loop.time() + IDLE_SYNC_S
                self._idle_later()
            self._trimming = None
        return self._trimming is None

    def _evict(self) -> None:
        """The log is full: mail that is still arriving may not keep its oldest segment from use."""
        for message in list(self._segments[0].live):
            if not (message.committed or message.offered or message.done):
                message.done = True  # its draft sees that and fails
                self.forget(message)


def _sync_all(disk: Disk, dirty: list[Segment]) -> None:
    for written in dirty:
        disk.fdatasync(written.fd)
