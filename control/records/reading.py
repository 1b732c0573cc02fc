"""Reading events back from the journal: newest first, page by page, only the blocks that can hold what is wanted."""

import heapq
import itertools
import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Generic, Literal, TypeVar

import msgspec

from control.records import lines
from control.records.segments import Sieve, term_in_line
from engine.trigrams import fold, fold_for

EVER: Final = 1 << 62  # microseconds since 1970
PATIENCE_S: Final = 1.5  # of one search; it can be gone on with
_CURSOR: Final = re.compile(r"[0-9]{1,18}\.[0-9]{1,9}\.[0-9]{1,15}")
Row = TypeVar("Row")


class StoredEvent(msgspec.Struct, frozen=True):
    """time: microseconds since 1970. line: the event as it stands in the journal, at this octet of this file."""

    time: int
    kind: str
    line: str
    file: int = 0
    offset: int = 0


class Query(msgspec.Struct, frozen=True):
    """Which events: from first to before until, of these kinds (none: all), with this term in the line.

    term: in any case. free: kinds that need not have the term.
    """

    first: int = 0
    until: int = EVER
    kinds: frozenset[str] = frozenset()
    term: str = ""
    free: frozenset[str] = frozenset()


class Found(msgspec.Struct, Generic[Row], frozen=True):
    """One page of a list. next: pass it as `before` to go on where this page ends; empty: there is nothing further.

    Fewer rows than were asked for, and a `next`: the search ended for the time it took. It has looked at everything
    after `back_to`, microseconds since 1970.
    """

    rows: list[Row]
    next: str = ""
    back_to: int | None = None


class _File(msgspec.Struct, frozen=True):
    id: int
    name: str
    offset: int
    indexed: int
    first: int
    last: int


class _Block(msgspec.Struct, frozen=True):
    """What lies together. last: no event in it is later."""

    last: int
    file: int
    start: int
    length: int


class Reader:
    """Of one snapshot. A journal file that retention has deleted meanwhile has no events any more."""

    def __init__(self, connection: sqlite3.Connection, directory: Path) -> None:
        self.connection = connection
        self._directory = directory
        rows = connection.execute(
            "SELECT id, name, offset, indexed, COALESCE(first, 0), COALESCE(last, 0) FROM journal_file"
        )
        self._files = {row[0]: _File(*row) for row in rows}
        self._open: dict[int, int] = {}
        self._tails: dict[int, bytes] = {}

    def close(self) -> None:
        for fd in self._open.values():
            os.close(fd)
        self._open.clear()

    def page(
        self, query: Query, limit: int, before: str, row: Callable[[StoredEvent], Row | None], patience_s: float
    ) -> Found[Row]:
        """Rows that `row` makes of the newest events; events for which it gives None are passed over.

        before: `next` of the page before this one. Raises ValueError if it is none, OSError.
        """
        deadline = time.monotonic() + patience_s
        found: list[Row] = []
        position = _position(before)
        for event in self._newest(query, position):
            if not isinstance(event, StoredEvent):
                if time.monotonic() > deadline and event + 1 < position[0]:  # further back than it began
                    return Found(found, f"{event + 1}.0.0", event)
                continue
            if (made := row(event)) is not None:
                found.append(made)
            if len(found) == limit or time.monotonic() > deadline:  # a row may take reading of its own
                return Found(found, f"{event.time}.{event.file}.{event.offset}", event.time)
        return Found(found)

    def _newest(self, query: Query, before: tuple[int, int, int]) -> Iterator[StoredEvent | int]:
        """Events in order; between them times, back to which all have been given."""
        term = term_in_line(query.term)
        until = min(query.until, before[0] + 1)
        ready: list[tuple[int, int, int, str, bytes]] = []  # a heap; the newest on top
        for block in self._blocks(query.first, until, Sieve(self.connection, query.kinds, term, query.free)):
            while ready and -ready[0][0] > block.last:
                yield _event(heapq.heappop(ready))
            yield block.last
            for at, kind, offset, line in self._matching(block, query, term):
                if at < until and (at, block.file, offset) < before:
                    heapq.heappush(ready, (-at, -block.file, -offset, kind, line))
        while ready:
            yield _event(heapq.heappop(ready))

    def _blocks(self, first: int, until: int, sieve: Sieve) -> Iterator[_Block]:
        """Those that may hold events of this time, the ones that end last in front."""
        tails = sorted(self._unindexed(first, until), key=_last, reverse=True)
        return heapq.merge(tails, self._indexed(first, until, sieve, "DESC"), key=_last, reverse=True)

    def _unindexed(self, first: int, until: int) -> Iterator[_Block]:
        for file in self._files.values():
            if file.offset > file.indexed and file.last >= first and file.first < until:
                yield _Block(file.last, file.id, file.indexed, file.offset - file.indexed)

    def _indexed(self, first: int, until: int, sieve: Sieve, order: Literal["ASC", "DESC"]) -> Iterator[_Block]:
        rows = self.connection.execute(
            "SELECT segment, place, last, file, start, length FROM block WHERE last >= ? AND first < ?"
            f" ORDER BY last {order}",
            (first, until),
        )
        for segment, place, *block in rows:
            if sieve.lets_through(segment, place):
                yield _Block(*block)

    def _matching(self, block: _Block, query: Query, term: bytes) -> Iterator[tuple[int, str, int, bytes]]:
        text = self._text(block)
        folded = fold_for(text, query.term) if term else b""
        if term and not query.free and term not in folded:
            return
        folded_lines = iter(folded.split(b"\n")) if term else None
        offset = block.start
        for line in text.split(b"\n"):
            has_term = folded_lines is None or term in next(folded_lines)
            if (has_term or query.free) and (place := lines.place(line)) is not None:
                kind, at = place
                if query.first <= at and (not query.kinds or kind in query.kinds) and (has_term or kind in query.free):
                    yield at, kind, offset, line
            offset += len(line) + 1

    def lines_of(self, smtp_id: str, first: int) -> Iterator[bytes]:
        """Lines with this ID, of blocks that end at this time or later; the earliest block in front."""
        wanted = smtp_id.encode()
        indexed = self._indexed(first, EVER, Sieve(self.connection, frozenset(), fold(wanted)), "ASC")
        for block in itertools.chain(indexed, self._unindexed(first, EVER)):
            text = self._text(block)
            at = text.find(wanted)
            while at >= 0:
                end = text.find(b"\n", at)
                end = len(text) if end < 0 else end
                yield text[text.rfind(b"\n", 0, at) + 1 : end]
                at = text.find(wanted, end)

    def counted_lines(self, first: int, until: int) -> Iterator[lines.Line]:
        """All events of this time, in no order."""
        for block in self._blocks(first, until, Sieve(self.connection, frozenset(), b"")):
            for line in self._text(block).split(b"\n"):
                found = lines.read(line)
                if found is not None and first <= found[1] < until:
                    yield found[0]

    def _text(self, block: _Block) -> bytes:
        file = self._files.get(block.file)
        if file is None:
            return b""
        is_tail = block.start == file.indexed
        text = self._tails.get(block.file) if is_tail else None
        if text is None:
            try:
                text = self._read(file, block)
            except FileNotFoundError:
                text = b""
            if is_tail:
                self._tails[block.file] = text
        return text

    def _read(self, file: _File, block: _Block) -> bytes:
        fd = self._open.get(file.id)
        if fd is None:
            fd = self._open[file.id] = os.open(self._directory / file.name, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(fd, block.length, block.start)


def _last(block: _Block) -> int:
    return block.last


def _event(ready: tuple[int, int, int, str, bytes]) -> StoredEvent:
    at, file, offset, kind, line = ready
    return StoredEvent(-at, kind, line.decode(errors="replace"), -file, -offset)


def _position(before: str) -> tuple[int, int, int]:
    if not before:
        return EVER, 0, 0
    if not _CURSOR.fullmatch(before):
        raise ValueError("not a place in a list of events")
    at, file, offset = map(int, before.split("."))
    return at, file, offset
