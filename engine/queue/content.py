"""The octets of a message, read in pieces from where they lie, with the edits of the rewriter applied."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Protocol

from engine import limits
from engine.queue.errors import QueueError
from engine.queue.record import Splice
from engine.queue.state import Run

PIECE_LEN = limits.BODY_CHUNK_LEN


class Readable(Protocol):
    def pread(self, length: int, offset: int) -> bytes: ...


class Octets:
    """Random access by offset in the message; offsets must not go back.

    file: where runs without a segment are. still: asked before each read; once False, the places are not ours any more.
    """

    def __init__(self, runs: Sequence[Run], file: Readable | None, still: Callable[[], bool]) -> None:
        self._runs = runs
        self._starts = [0, *accumulate(run.length for run in runs)]
        self._file = file
        self._still = still

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """Octets [start, end) of the message in pieces of at most PIECE_LEN. Raises QueueError, OSError."""
        while start < end:
            yield (piece := self.piece(start, end))
            start += len(piece)

    def piece(self, start: int, end: int) -> bytes:
        """Octets from start on, at least one, at most up to end. Raises QueueError, OSError."""
        if not self.still or not self._runs:
            raise QueueError("the message was moved or finished while it was read")
        index = bisect_right(self._starts, start) - 1
        run = self._runs[index]
        into = start - self._starts[index]
        return self._read(run, into, min(end - start, run.length - into, PIECE_LEN))

    @property
    def still(self) -> bool:
        """Whether they are where they were."""
        return self._still()

    def _read(self, run: Run, into: int, length: int) -> bytes:
        source = run.segment or self._file
        if source is None:
            raise QueueError("the message has no file of its own")
        data = source.pread(length, run.offset + into)
        if len(data) != length:
            raise QueueError(f"{length - len(data)} octets are missing from the queue file")
        return data


def cut(data: memoryview | bytes) -> Iterator[memoryview | bytes]:
    """The same octets in pieces of at most PIECE_LEN."""
    if len(data) <= PIECE_LEN:
        if data:
            yield data
        return
    view = memoryview(data)
    for at in range(0, len(data), PIECE_LEN):
        yield view[at : at + PIECE_LEN]


def spliced(
    splices: Sequence[Splice], size: int, pieces: Callable[[int, int], Iterator[memoryview | bytes]]
) -> Iterator[memoryview | bytes]:
    """The message as edited. size: octets as received; pieces(start, end) gives those."""
    at = 0
    for splice in splices:
        yield from pieces(at, splice.start)
        yield from cut(splice.data)
        at = splice.end
    yield from pieces(at, size)
