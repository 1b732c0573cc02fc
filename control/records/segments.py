"""Segments of the journal: which blocks of lines can hold an event of some kind, or a term, and which cannot.

Theory of operation. The journal itself stays where the text is; nothing of it is copied. When a file has grown by a
segment, the segment is cut into blocks of whole lines, and for each block the times, the kinds of events and the
trigrams (engine.trigrams) in it are noted. A question for a term reads only blocks that have every trigram of it. That
costs a hundredth of a full-text index: about a microsecond an event, and a thirtieth of the size of the journal.

What has not become a segment yet, at most SEGMENT_LEN of each file, is read as it is by every question.
"""

import sqlite3
from typing import Final

import msgspec

from control.records import lines
from engine import trigrams
from engine.trigrams import ALL, BLOCKS, ROW_LEN, Matrix, fold

BLOCK_LEN: Final = 64 * 1024  # octets, to the end of a line; a line that is longer is a block of its own
SEGMENT_LEN: Final = BLOCKS * BLOCK_LEN
PART_ROWS: Final = 500  # of a slab: with the head of a record they just fill a page of 4096 octets
PARTS: Final = trigrams.ROWS // PART_ROWS + 1  # the last one is for kinds: a row each
OTHER_KIND: Final = PART_ROWS - 1  # all kinds after the first ones share a row: nobody has as many


def term_in_line(term: str) -> bytes:
    """How a folded line has this term in one of its values."""
    return fold(msgspec.json.encode(term)[1:-1])


class Kinds:
    """Numbers of the kinds of events, given as they occur."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._numbers: dict[str, int] = dict(connection.execute("SELECT name, id FROM kind"))

    def row(self, kind: str) -> int:
        return min(self._numbers.get(kind, OTHER_KIND), OTHER_KIND)

    def add(self, connection: sqlite3.Connection, kind: str) -> None:
        if kind not in self._numbers:
            self._numbers[kind] = len(self._numbers)
            connection.execute("INSERT INTO kind VALUES (?, ?)", (self._numbers[kind], kind))


def write_segment(connection: sqlite3.Connection, kinds: Kinds, file: int, start: int, text: bytes) -> int:
    """Note the blocks of text, which begins at octet start of the file and ends with a line.

    Returns how many octets of it are in the segment now: all, or what 64 blocks hold. Within a transaction.
    """
    segment = connection.execute("INSERT INTO segment (file) VALUES (?)", (file,)).lastrowid
    assert segment is not None
    matrix = Matrix()
    kind_rows = [0] * PART_ROWS
    blocks: list[tuple[int, ...]] = []
    at = 0
    while at < len(text) and len(blocks) < BLOCKS:
        end = _end_of_block(text, at)
        block, place = text[at:end], len(blocks)
        times = []
        for kind, time in filter(None, map(lines.place, block.split(b"\n"))):
            kinds.add(connection, kind)
            kind_rows[kinds.row(kind)] |= 1 << place
            times.append(time)
        matrix.mark(fold(block), place)
        blocks.append((segment, place, file, start + at, end - at, min(times, default=0), max(times, default=0)))
        at = end
    connection.executemany("INSERT INTO block VALUES (?, ?, ?, ?, ?, ?, ?)", blocks)
    connection.executemany("INSERT INTO gram VALUES (?, ?)", _parts(segment, bytes(matrix.octets), kind_rows))
    return at


def _end_of_block(text: bytes, at: int) -> int:
    if len(text) - at <= BLOCK_LEN:
        return len(text)
    end = text.rfind(b"\n", at, at + BLOCK_LEN) + 1
    return end or text.find(b"\n", at) + 1 or len(text)


def _parts(segment: int, octets: bytes, kind_rows: list[int]) -> list[tuple[int, bytes]]:
    length = PART_ROWS * ROW_LEN
    parts = [octets[at : at + length] for at in range(0, len(octets), length)]
    parts.append(b"".join(map(trigrams.row_octets, kind_rows)))
    return [(segment * PARTS + number, part) for number, part in enumerate(parts)]


def delete_segments(connection: sqlite3.Connection, file: int, limit: int) -> bool:
    """At most limit segments of a file. Returns whether that was all of them. Within a transaction."""
    rows = connection.execute("SELECT id FROM segment WHERE file = ? LIMIT ?", (file, limit)).fetchall()
    for (segment,) in rows:
        connection.execute("DELETE FROM gram WHERE id >= ? AND id < ?", (segment * PARTS, (segment + 1) * PARTS))
        connection.execute("DELETE FROM block WHERE segment = ?", (segment,))
        connection.execute("DELETE FROM segment WHERE id = ?", (segment,))
    return len(rows) < limit


class Sieve:
    """Which blocks may hold events that a question wants; asked segment by segment, remembered for one question.

    kinds: one of them; empty: any. term: in any value, except in events of the kinds `free`, which have it anyway.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        kinds: frozenset[str],
        term: bytes,
        free: frozenset[str] = frozenset(),
    ) -> None:
        self._connection = connection
        numbers = Kinds(connection)
        self._kinds = [numbers.row(kind) for kind in kinds]
        self._free = [numbers.row(kind) for kind in free]
        self._rows = trigrams.rows_of(term)
        self._columns: dict[int, int] = {}

    def lets_through(self, segment: int, place: int) -> bool:
        columns = self._columns.get(segment)
        if columns is None:
            columns = self._columns[segment] = self._look(segment)
        return bool(columns >> place & 1)

    def _look(self, segment: int) -> int:
        columns = ALL
        if self._kinds:
            columns = self._any_of(segment, self._kinds)
        if self._rows and columns:
            columns &= self._term(segment, columns) | (self._any_of(segment, self._free) if self._free else 0)
        return columns

    def _any_of(self, segment: int, rows: list[int]) -> int:
        part = self._part(segment, PARTS - 1)
        columns = 0
        for row in rows:
            columns |= trigrams.bits(part, row)
        return columns

    def _term(self, segment: int, columns: int) -> int:
        for place in self._rows:
            number, row = divmod(place, PART_ROWS)
            columns &= trigrams.bits(self._part(segment, number), row)
            if not columns:
                break
        return columns

    def _part(self, segment: int, number: int) -> bytes:
        rows = self._connection.execute("SELECT bits FROM gram WHERE id = ?", (segment * PARTS + number,)).fetchone()
        return bytes(rows[0])
