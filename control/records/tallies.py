"""How many events of which kind and name, minute by minute and hour by hour.

A sum over any time takes whole hours, whole minutes at both ends, and what is left at the edges from the events
themselves. Sums are kept for each journal file, so that they go with it (LOG-02).
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from control.records.lines import HOUR, HOURLY, MINUTE, NAMED, Line

SPANS: Final = (HOUR, MINUTE)  # microseconds; the larger ones first
_ADD = (
    "INSERT INTO tally VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (file, span, at, kind)"
    " DO UPDATE SET count = count + excluded.count, amount = amount + excluded.amount"
)
_ADD_NAMED = (
    "INSERT INTO named VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (file, span, at, kind, name)"
    " DO UPDATE SET count = count + excluded.count"
)


class Totals(msgspec.Struct, frozen=True):
    """Of one kind of event. amount: see control.records.lines; octets for `accepted`."""

    count: int = 0
    amount: int = 0


class Tally:
    """Sums of some events. names: by kind and name (control.records.lines.NAMED)."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.amounts: Counter[str] = Counter()
        self.names: dict[str, Counter[str]] = {}

    def add(self, line: Line, named: bool) -> None:
        self.counts[line.event] += 1
        self.amounts[line.event] += line.amount
        if named and (name := line.name):
            self.add_name(line.event, name, 1)

    def add_name(self, kind: str, name: str, count: int) -> None:
        self.names.setdefault(kind, Counter())[name] += count

    def totals(self) -> dict[str, Totals]:
        return {kind: Totals(count, self.amounts[kind]) for kind, count in self.counts.items()}


class Minutes:
    """Sums of some events, minute by minute; flat, since most minutes have few."""

    def __init__(self, events: Iterable[tuple[Line, int]]) -> None:
        self._counts: dict[tuple[int, str], int] = {}
        self._amounts: dict[tuple[int, str], int] = {}
        self._names: dict[tuple[int, str, str], int] = {}
        counts, amounts, names = self._counts, self._amounts, self._names
        for line, time in events:
            key = (time // MINUTE, line.event)
            counts[key] = counts.get(key, 0) + 1
            if amount := line.amount:
                amounts[key] = amounts.get(key, 0) + amount
            if line.event in NAMED and (name := line.name):
                named = (*key, name)
                names[named] = names.get(named, 0) + 1

    def totals(self) -> dict[str, Totals]:
        """Of all minutes."""
        counts: Counter[str] = Counter()
        amounts: Counter[str] = Counter()
        for (minute, kind), count in self._counts.items():
            counts[kind] += count
            amounts[kind] += self._amounts.get((minute, kind), 0)
        return {kind: Totals(count, amounts[kind]) for kind, count in counts.items()}

    def write(self, connection: sqlite3.Connection, file: int) -> None:
        """Add them to the sums of a file, also of its hours. Within a transaction."""
        for span in SPANS:
            minutes = span // MINUTE
            counts: Counter[tuple[int, str]] = Counter()
            amounts: Counter[tuple[int, str]] = Counter()
            names: Counter[tuple[int, str, str]] = Counter()
            for (minute, kind), count in self._counts.items():
                counts[minute // minutes, kind] += count
            for (minute, kind), amount in self._amounts.items():
                amounts[minute // minutes, kind] += amount
            for (minute, kind, name), count in self._names.items():
                if span == HOUR or kind not in HOURLY:
                    names[minute // minutes, kind, name] += count
            connection.executemany(_ADD, [(file, span, *key, count, amounts[key]) for key, count in counts.items()])
            connection.executemany(_ADD_NAMED, [(file, span, *key, count) for key, count in names.items()])


def delete(connection: sqlite3.Connection, file: int, limit: int) -> bool:
    """At most limit rows of a file from each table. Returns whether that was all. Within a transaction."""
    done = True
    for table, key in (("tally", "span, at, kind"), ("named", "span, at, kind, name"), ("queue", "minute")):
        gone = connection.execute(
            f"DELETE FROM {table} WHERE file = ? AND ({key}) IN (SELECT {key} FROM {table} WHERE file = ? LIMIT ?)",
            (file, file, limit),
        ).rowcount
        done = done and gone < limit
    return done


def pieces(first: int, until: int) -> Iterator[tuple[int, int, int]]:
    """A time, cut into (span, from, to): whole hours, whole minutes, and span 0 for what is left at the edges."""
    yield from _pieces(first, until, SPANS)


def _pieces(first: int, until: int, spans: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    if first >= until:
        return
    if not spans:
        yield 0, first, until
        return
    span, *smaller = spans
    start, end = -(-first // span) * span, until // span * span
    if start >= end:
        yield from _pieces(first, until, tuple(smaller))
        return
    yield from _pieces(first, start, tuple(smaller))
    yield span, start, end
    yield from _pieces(end, until, tuple(smaller))


def read(
    connection: sqlite3.Connection, tally: Tally, span: int, first: int, until: int, named: Iterable[str] = ()
) -> None:
    """Add what is noted for whole spans. named: the kinds of which names are wanted."""
    between = (span, first // span, until // span)
    rows = connection.execute(
        "SELECT kind, SUM(count), SUM(amount) FROM journal_file CROSS JOIN tally ON file = journal_file.id"
        " WHERE span = ? AND at >= ? AND at < ? GROUP BY kind",
        between,
    )
    for kind, count, amount in rows:
        tally.counts[kind] += count
        tally.amounts[kind] += amount
    kinds = tuple(named)
    names = connection.execute(
        "SELECT kind, named.name, SUM(count) FROM journal_file CROSS JOIN named ON file = journal_file.id"
        f" WHERE span = ? AND at >= ? AND at < ? AND kind IN ({', '.join('?' * len(kinds))}) GROUP BY kind, named.name",
        (*between, *kinds),
    )
    for kind, name, count in names:
        tally.add_name(kind, name, count)


# CROSS JOIN makes SQLite take the files one after the other, each with the range of its key; else it reads all of it.


def series(
    connection: sqlite3.Connection, first: int, span: int, count: int, kinds: frozenset[str]
) -> dict[str, list[int]]:
    """See control.records.view.View.series."""
    base = HOUR if first % HOUR == 0 and span % HOUR == 0 else MINUTE
    found = {kind: [0] * count for kind in kinds}
    values = (base, first // base, (first + span * count) // base)
    for name in sorted(kinds):
        kind, _, named = name.partition("/")
        table, wanted = ("named", (kind, named)) if named else ("tally", (kind,))
        rows = connection.execute(
            f"SELECT at, SUM(count) FROM journal_file CROSS JOIN {table} ON file = journal_file.id"
            f" WHERE span = ? AND at >= ? AND at < ? AND kind = ?{' AND named.name = ?' if named else ''} GROUP BY at",
            (*values, *wanted),
        )
        for at, number in rows:
            found[name][(at * base - first) // span] += number
    return found


def queue_series(connection: sqlite3.Connection, first: int, span: int, count: int) -> list[tuple[int, int, int]]:
    """See control.records.view.View.queue_lengths."""
    found = [(0, 0, 0)] * count
    rows = connection.execute(
        "SELECT place, SUM(fast), SUM(slow), SUM(hold) FROM"
        " (SELECT file, minute, (minute * ?1 - ?2) / ?3 AS place, fast, slow, hold,"
        " MAX(minute) OVER (PARTITION BY file, (minute * ?1 - ?2) / ?3) AS newest"
        " FROM journal_file CROSS JOIN queue ON file = journal_file.id"
        " WHERE minute >= ?2 / ?1 AND minute < (?2 + ?3 * ?4) / ?1)"
        " WHERE minute = newest GROUP BY place",
        (MINUTE, first, span, count),
    )
    for place, *lengths in rows:
        found[place] = tuple(lengths)
    return found
