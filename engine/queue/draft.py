"""A message on its way in."""

import asyncio
from collections.abc import Callable
from typing import Final

from cext.crc32c import crc32c
from engine import limits
from engine.queue import framing
from engine.queue.errors import QueueFull
from engine.queue.log import Log
from engine.queue.record import Done, End, Received
from engine.queue.state import MessageState

SMALL_LEN: Final = 64 * 1024  # octets kept in memory until commit, and written in one go
MOST_PARTS: Final = 256
WAITING_LEN: Final = 1 << 20  # octets kept in memory until the log has its next segment
WAITING_TOTAL_LEN: Final = 64 << 20  # of all messages together: beyond that everybody waits, as the disk does


class Draft:
    """One message between DATA and the reply to its end. Begun by the store, ended by commit() or abort().

    Its client may wait for more than the disk: what is offered can be read, examined and even delivered before it is
    committed, or never is. Notes about it stay in memory until then. A restart finds no End, so it knows nothing of it.

    A message of at most SMALL_LEN octets costs no write before commit(). A larger one is appended as it arrives.
    Trouble on the way is kept for commit(), because the client listens only then.
    """

    __slots__ = (
        "_accept",
        "_buffered",
        "_crc",
        "_ended",
        "_epoch",
        "_error",
        "_kept",
        "_log",
        "_message",
        "_most",
        "_parts",
        "_spill",
    )

    def __init__(self, received: Received, log: Log, segment_len: int, accept: Callable[[MessageState], None]) -> None:
        self._message = MessageState(received)
        self._log = log
        self._accept = accept
        self._parts: list[bytes] = []
        self._buffered = 0
        self._kept = 0  # of these, as far as they are counted in the log
        self._crc = 0
        self._epoch = -1  # of the log when the first record was appended
        self._ended = False
        self._error: QueueFull | None = None
        self._most = min(limits.BODY_CHUNK_LEN, segment_len // 4)
        self._spill = min(SMALL_LEN, self._most)

    @property
    def message(self) -> MessageState:
        return self._message

    @property
    def id(self) -> str:
        return self._message.id

    @property
    def size(self) -> int:
        return self._message.size

    def write(self, data: bytes) -> None:
        """The next octets of the message; kept, not copied. Never raises on a full disk: commit() does."""
        self._message.size += len(data)
        if self._error is not None or not data:
            return
        self._crc = crc32c(data, self._crc)
        self._parts.append(data)
        self._buffered += len(data)
        if len(self._parts) > MOST_PARTS:  # many small ones would cost more than their octets
            self._parts = [b"".join(self._parts)]
        if self._buffered > self._spill and not self._may_wait():
            try:
                self._append(whole=False)
            except QueueFull as error:
                self._fail(error)

    def _may_wait(self) -> bool:
        """Until the log has room: writing now would block everybody."""
        more = self._buffered - self._kept
        if self._buffered >= WAITING_LEN or self._log.kept_back + more > WAITING_TOTAL_LEN:
            return False
        if not self._log.would_wait(self._buffered):
            return False
        self._keep(self._buffered)
        return True

    def _keep(self, octets: int) -> None:
        self._log.kept_back += octets - self._kept
        self._kept = octets

    async def ready(self) -> None:
        """For who has all octets at hand: waited for before each write(), other work of the event loop goes on."""
        await self._log.ready(self._buffered)
        await asyncio.sleep(0)

    async def offer(self) -> MessageState:
        """The message is complete, can be read, and nothing is promised: commit() or abort() follow, soon.

        What is not kept in memory is synced first: octets of which a failed sync says nothing must not be delivered.
        Raises QueueFull: abort() follows.
        """
        if self._ended:
            raise RuntimeError(f"draft {self.id} has ended")
        if self._error is not None:
            raise self._error
        if not await self._goes_on():
            return self._message
        self._gather(0)
        self._message.offered = self._message.refusable = True
        self._append(whole=True)
        self._log.write()
        if self._message.cached is None:
            await self._log.commit()
        self._check()
        return self._message

    async def _goes_on(self) -> bool:
        """Once the log has room: not if it was promised or forgotten meanwhile, which is not to be taken back."""
        await self._log.ready(self._buffered)
        return not self._ended

    @property
    def intact(self) -> bool:
        """Whether what was written so far can still be committed."""
        return self._epoch == self._log.epoch and not self._message.done

    async def commit(self) -> MessageState:
        """The message is complete: durable when this returns. The caller may say 250 then, and not before (PROC-03).

        Raises QueueFull: nothing is accepted, and nothing will be after a restart. Cancelled, it takes back likewise.
        """
        if self._ended:
            raise RuntimeError(f"draft {self.id} has ended")
        self._ended = True
        try:
            await self._log.ready(self._buffered)
            self._complete()
            await self._log.commit()
        except BaseException:
            self._take_back()
            raise
        self._accept(self._message)
        return self._message

    def abort(self) -> None:
        """Forget it: the client went away or was refused. What was appended has no End and so is nothing."""
        if not self._ended:
            self._ended = True
            self._take_back()

    # --- appending ---------------------------------------------------------------------------------

    def _complete(self) -> None:
        if self._error is not None:
            raise self._error
        message = self._message
        end = framing.encode(End(message.id, message.size, self._crc))
        self._gather(len(end))
        self._append(whole=True)
        message.committed = True  # from here on it may be on disk, complete
        self._log.append(message, end)
        message.offered = message.refusable = False
        notes, message.unwritten = message.unwritten, []
        for payload in notes:  # of what was offered: behind its End, and durable with it
            self._log.note(message, payload)
        self._check()

    def _gather(self, more: int) -> None:
        """A small message, and so many octets more, into one segment, so that only one has to wait for it."""
        if self._epoch < 0:
            self._first(3 * framing.HEADER_LEN + 64 + more + self._buffered)
            if len(self._parts) > 1:
                self._parts = [b"".join(self._parts)]
            self._message.cached = self._parts[0] if self._parts else b""

    def _first(self, octets: int) -> None:
        received = framing.encode(self._message.received)
        self._log.reserve(min(octets + len(received), self._log.most))
        self._epoch = self._log.epoch
        self._log.append(self._message, received)

    def _append(self, *, whole: bool) -> None:
        """What is buffered, in Body records; not whole: only so much that the rest is less than one of them."""
        self._keep(0)
        if self._epoch < 0:
            self._first(0)
        while self._buffered and (whole or self._buffered >= self._spill):
            parts, length = self._take(self._most)
            self._check()
            self._message.runs.append(self._log.body(self._message, parts, length))
        self._spill = self._most
        self._check()

    def _take(self, most: int) -> tuple[list[bytes], int]:
        """Up to so many octets from the front of the buffer."""
        if self._buffered <= most:
            parts, length = self._parts, self._buffered
            self._parts, self._buffered = [], 0
            return parts, length
        whole = b"".join(self._parts)
        self._parts, self._buffered = [whole[most:]], self._buffered - most
        return [whole[:most]], most

    # --- failing -----------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._epoch != self._log.epoch:
            raise QueueFull("a part of the message could not be written")
        if self._message.done:
            raise QueueFull("the message took too long to arrive, and the log needed its room")

    def _fail(self, error: QueueFull) -> None:
        self._error = error
        self._keep(0)
        self._parts, self._buffered = [], 0
        self._log.forget(self._message)

    def _take_back(self) -> None:
        message = self._message
        message.done, message.offered, message.refusable = True, False, False
        message.cached = None
        message.unwritten = []
        message.runs = []  # who still reads it finds that out: these places are not ours any more
        self._keep(0)
        self._parts, self._buffered = [], 0
        if message.committed:  # its End may reach the disk: say that it was not meant
            message.committed = False
            self._log.end(message, framing.encode(Done(message.id)))
        else:
            self._log.forget(message)
