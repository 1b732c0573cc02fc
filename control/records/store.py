"""What the pages need to know of the journal, in SQLite: figures, and where in the journal which events are.

Theory of operation. The journal is the truth and this is a derived copy: everything here can be thrown away and read
again (`clear`). One thread writes; any thread reads through `read`, which gives one consistent snapshot. The offset
into a journal file moves in the same transaction as the figures of the events before it, so that each line is counted
exactly once, whenever the process dies. The process before may still be writing while this one begins: each transaction
looks whether anybody else has written, and goes on from what it finds.

Counters run since the last start of the service (SVC-05). Files of several processes are read one after the other, so
an event may come in long before the start that it belongs behind: totals are therefore kept for each run, an event
counts for the run that its own time falls into, and when a start comes to light late, what was counted too early is
moved over to it.

Times are integers: microseconds since 1970, UTC.
"""

import bisect
import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from control.records import lines, schema, segments, tallies
from control.records.lines import MINUTE, Line
from control.records.reading import EVER, Reader
from control.records.tallies import Minutes
from control.records.view import View
from control.transaction import transaction

KEPT_LATEST: Final = frozenset(
    {"service-started", "service-stopped", "definitions-loaded", "definitions-refused", "queue-lengths"}
)
EXPIRED_ROWS: Final = 20_000  # and a sixteenth as many segments: what one transaction of retention deletes

_ADD_TOTAL = (
    "INSERT INTO total VALUES (?, ?, ?, ?) ON CONFLICT (run, kind)"
    " DO UPDATE SET count = count + excluded.count, amount = amount + excluded.amount"
)
_KEEP_LATEST = (
    "INSERT INTO latest VALUES (?, ?, ?, ?) ON CONFLICT (kind, process)"
    " DO UPDATE SET time = excluded.time, line = excluded.line WHERE excluded.time >= time"
)


class JournalFile(msgspec.Struct):
    """How far one journal file was read, and made into segments: octets, of whole lines only."""

    id: int
    name: str
    inode: int
    offset: int
    indexed: int


class Store:
    """The writing side. Raises sqlite3.Error when the disk does not play along; nothing is half done then."""

    def __init__(self, path: Path, journal: Path) -> None:
        self._path = path
        self._journal = journal
        self._lock = threading.Lock()
        self._connection = schema.connect(path)
        self._version: int | None = None
        self._load()

    def _load(self) -> None:
        """What is remembered of the tables, unless nobody else has written since. Raises sqlite3.Error."""
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            return
        rows = self._connection.execute("SELECT started FROM run ORDER BY started")
        self._runs: list[int] = [
            0,
            *(started for (started,) in rows),
        ]  # 0: before the first start that the journal knows
        self._kinds = segments.Kinds(self._connection)
        self._version = version

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def read(self) -> Iterator[View]:
        """A snapshot for one page: all its figures agree with each other."""
        connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            connection.execute("BEGIN")
            with contextlib.closing(Reader(connection, self._journal)) as reader:
                yield View(reader)
        finally:
            connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                with transaction(self._connection) as connection:
                    self._load()
                    yield connection
            except BaseException:
                self._version = None  # what is remembered may not have happened
                raise

    def files(self) -> dict[str, JournalFile]:
        with self._lock:
            rows = self._connection.execute("SELECT id, name, inode, offset, indexed FROM journal_file").fetchall()
        return {row[1]: JournalFile(*row) for row in rows}

    def add_file(self, name: str, inode: int) -> JournalFile:
        with self._transaction() as connection:
            connection.execute("INSERT OR IGNORE INTO journal_file (name, inode) VALUES (?, ?)", (name, inode))
            row = connection.execute("SELECT id, inode, offset, indexed FROM journal_file WHERE name = ?", (name,))
            number, *known = row.fetchone()
            return JournalFile(number, name, *known)

    def ingest(self, file: JournalFile, texts: Sequence[bytes], offset: int) -> int:
        """Count whole lines (without their line ends) that end at offset. Returns how many were events.

        A line that is no event is counted as damaged and passed over. If somebody else has read on meanwhile nothing is
        counted, and the file is as they left it.
        """
        read = [(text, *found) for text in texts if (found := lines.read(text)) is not None]
        with self._transaction() as connection:
            if not _is_as_known(connection, file):
                return 0
            for _, line, time in read:
                if line.event == "service-started":
                    self._add_run(connection, time)
            self._count(connection, file, [(line, time) for _, line, time in read])
            latest = [
                (line.event, line.process, time, text.decode())
                for text, line, time in read
                if line.event in KEPT_LATEST
            ]
            connection.executemany(_KEEP_LATEST, latest)
            _advance(connection, file, offset, len(texts) - len(read), [time for _, _, time in read])
        file.offset = offset
        return len(read)

    def _count(self, connection: sqlite3.Connection, file: JournalFile, read: Sequence[tuple[Line, int]]) -> None:
        for run, some in self._by_run(read).items():
            minutes = Minutes(some)
            minutes.write(connection, file.id)
            rows = [(run, kind, total.count, total.amount) for kind, total in minutes.totals().items()]
            connection.executemany(_ADD_TOTAL, rows)
        queues = [
            (file.id, time // MINUTE, line.fast, line.slow, line.hold)
            for line, time in read
            if line.event == "queue-lengths"
        ]
        connection.executemany("INSERT OR REPLACE INTO queue VALUES (?, ?, ?, ?, ?)", queues)

    def _by_run(self, read: Sequence[tuple[Line, int]]) -> dict[int, Sequence[tuple[Line, int]]]:
        times = [time for _, time in read]
        if not times or self._run_of(min(times)) == self._run_of(max(times)):
            return {self._run_of(times[0]): read} if times else {}
        runs: dict[int, list[tuple[Line, int]]] = {}
        for line, time in read:
            runs.setdefault(self._run_of(time), []).append((line, time))
        return {**runs}

    def _run_of(self, time: int) -> int:
        run: int = self._runs[bisect.bisect_right(self._runs, time) - 1]
        return run

    def _add_run(self, connection: sqlite3.Connection, started: int) -> None:
        """Begin a run, and move over to it what was counted for the run before although it came later."""
        place = bisect.bisect_left(self._runs, started)
        if place < len(self._runs) and self._runs[place] == started:
            return
        before = self._runs[place - 1]
        until = self._runs[place] if place < len(self._runs) else EVER
        self._runs.insert(place, started)
        connection.execute("INSERT INTO run VALUES (?)", (started,))
        with contextlib.closing(Reader(connection, self._journal)) as reader:
            moved = View(reader).tally(started, until).totals()
        connection.executemany(_ADD_TOTAL, [(before, kind, -one.count, -one.amount) for kind, one in moved.items()])
        connection.executemany(_ADD_TOTAL, [(started, kind, one.count, one.amount) for kind, one in moved.items()])

    def index(self, file: JournalFile, whole: bool) -> bool:
        """Make one segment of what was read, if there is enough. whole: of what is left, too: nothing follows.

        Returns whether it did. Raises OSError besides.
        """
        length = min(segments.SEGMENT_LEN, file.offset - file.indexed)
        if length < (1 if whole else segments.SEGMENT_LEN):
            return False
        with (self._journal / file.name).open("rb", buffering=0) as journal:
            text = os.pread(journal.fileno(), length, file.indexed)
        if length == segments.SEGMENT_LEN:
            text = text[: text.rfind(b"\n") + 1] or text
        with self._transaction() as connection:
            if not _is_as_known(connection, file):
                return True
            indexed = file.indexed + segments.write_segment(connection, self._kinds, file.id, file.indexed, text)
            connection.execute("UPDATE journal_file SET indexed = ? WHERE id = ?", (indexed, file.id))
        file.indexed = indexed
        return True

    def expire(self, file: JournalFile) -> None:
        """The journal file was deleted by retention (LOG-02): all of it goes, but for counters since the start.

        A large file goes in several transactions, and can be gone on with after a crash between them.
        """
        done = False
        while not done:
            with self._transaction() as connection:
                done = segments.delete_segments(connection, file.id, EXPIRED_ROWS // 16)
                done = tallies.delete(connection, file.id, EXPIRED_ROWS) and done
                if done:
                    connection.execute("DELETE FROM journal_file WHERE id = ?", (file.id,))

    def clear(self) -> None:
        """Forget everything, so that the journal is read again from its beginning."""
        with self._transaction() as connection:
            schema.forget_everything(connection)
            self._version = None


def _is_as_known(connection: sqlite3.Connection, file: JournalFile) -> bool:
    """Whether nobody else has gone on with it; else it is now as they left it. Raises sqlite3.Error: it is gone."""
    wanted = "SELECT offset, indexed FROM journal_file WHERE id = ? AND name = ?"
    found = connection.execute(wanted, (file.id, file.name)).fetchone()
    if found is None:
        raise sqlite3.OperationalError(f"{file.name} was forgotten by another process")
    before = (file.offset, file.indexed)
    file.offset, file.indexed = found
    return bool(found == before)


def _advance(
    connection: sqlite3.Connection, file: JournalFile, offset: int, damaged: int, times: Sequence[int]
) -> None:
    connection.execute(
        "UPDATE journal_file SET offset = ?, damaged = damaged + ? WHERE id = ?", (offset, damaged, file.id)
    )
    if times:
        connection.execute(
            "UPDATE journal_file SET first = MIN(COALESCE(first, ?), ?), last = MAX(COALESCE(last, ?), ?) WHERE id = ?",
            (min(times), min(times), max(times), max(times), file.id),
        )
