"""What the pages need to know of the journal, in SQLite: events, counters of each run of the service, minutes.

Theory of operation. The journal is the truth and this is a derived copy: everything here can be thrown away and read
again (`clear`). One thread writes; any thread reads through `read`, which gives one consistent snapshot. The offset
into a journal file moves in the same transaction as the events before it, so that each line is counted exactly once,
whenever the process dies.

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
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from control.records.view import View

SCHEMA_VERSION: Final = 1  # another number in the file: it is thrown away and read again from the journal
MINUTE: Final = 60_000_000
KIND_LEN: Final = 64  # a longer event name is not one
CHARTED: Final = frozenset({"accepted", "delivered", "rejected"})
KEPT_LATEST: Final = frozenset(
    {"service-started", "service-stopped", "definitions-loaded", "definitions-refused", "queue-lengths"}
)

_SCHEMA = """
CREATE TABLE journal_file (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, inode INTEGER NOT NULL,
    offset INTEGER NOT NULL DEFAULT 0, damaged INTEGER NOT NULL DEFAULT 0);
CREATE TABLE event (
    id INTEGER PRIMARY KEY, file INTEGER NOT NULL, time INTEGER NOT NULL, kind TEXT NOT NULL,
    amount INTEGER NOT NULL, smtp_id TEXT, line TEXT NOT NULL);
CREATE INDEX event_time ON event (time);
CREATE INDEX event_smtp_id ON event (smtp_id) WHERE smtp_id IS NOT NULL;
CREATE TABLE run (started INTEGER PRIMARY KEY);
CREATE TABLE total (
    run INTEGER NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL, amount INTEGER NOT NULL,
    PRIMARY KEY (run, kind)) WITHOUT ROWID;
CREATE TABLE minute (
    minute INTEGER NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (minute, kind)) WITHOUT ROWID;
CREATE TABLE latest (
    kind TEXT NOT NULL, process TEXT NOT NULL, time INTEGER NOT NULL, line TEXT NOT NULL,
    PRIMARY KEY (kind, process)) WITHOUT ROWID;
"""
_TABLES = ("journal_file", "event", "run", "total", "minute", "latest")

_ADD_TOTAL = (
    "INSERT INTO total VALUES (?, ?, ?, ?) ON CONFLICT (run, kind)"
    " DO UPDATE SET count = count + excluded.count, amount = amount + excluded.amount"
)
_ADD_MINUTE = (
    "INSERT INTO minute VALUES (?, ?, ?) ON CONFLICT (minute, kind) DO UPDATE SET count = count + excluded.count"
)
_KEEP_LATEST = (
    "INSERT INTO latest VALUES (?, ?, ?, ?) ON CONFLICT (kind, process)"
    " DO UPDATE SET time = excluded.time, line = excluded.line WHERE excluded.time >= time"
)


class _Line(msgspec.Struct):
    """The fields of an event that are counted or looked up. Others, and events of other versions, are let through."""

    event: str
    time: datetime
    process: str = ""
    smtp_id: str = ""
    size: int = 0
    verdict: str = ""

    @property
    def microseconds(self) -> int:
        return round(self.time.timestamp() * 1_000_000)

    @property
    def amount(self) -> int:
        """What is summed up besides the number of events: octets accepted; messages not wholly examined."""
        if self.event == "accepted":
            return self.size
        return int(self.event == "scanned" and self.verdict == "unscanned")


class JournalFile(msgspec.Struct):
    """How far one journal file was read. offset: octets, of whole lines only."""

    id: int
    name: str
    inode: int
    offset: int


class Store:
    """The writing side. Raises sqlite3.Error when the disk does not play along; nothing is half done then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._decode = msgspec.json.Decoder(_Line)
        try:
            self._open()
        except sqlite3.DatabaseError:
            self._throw_away()
            self._open()

    def _open(self) -> None:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        try:
            self._prepare()
        except sqlite3.Error:
            self._connection.close()
            raise

    def _prepare(self) -> None:
        connection = self._connection
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # what power failure takes is read again from the journal
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, SCHEMA_VERSION):
            raise sqlite3.DatabaseError(f"schema version {version}")
        if version == 0:
            connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        self._load_runs()

    def _throw_away(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _load_runs(self) -> None:
        rows = self._connection.execute("SELECT started FROM run ORDER BY started")
        self._runs = [0, *(started for (started,) in rows)]  # 0: before the first start that the journal knows

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def read(self) -> Iterator[View]:
        """A snapshot for one page: all its figures agree with each other."""
        connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            connection.execute("BEGIN")
            yield View(connection)
        finally:
            connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                self._load_runs()
                raise

    def files(self) -> dict[str, JournalFile]:
        with self._lock:
            rows = self._connection.execute("SELECT id, name, inode, offset FROM journal_file").fetchall()
        return {row[1]: JournalFile(*row) for row in rows}

    def add_file(self, name: str, inode: int) -> JournalFile:
        with self._transaction() as connection:
            cursor = connection.execute("INSERT INTO journal_file (name, inode) VALUES (?, ?)", (name, inode))
            assert cursor.lastrowid is not None
            return JournalFile(cursor.lastrowid, name, inode, 0)

    def ingest(self, file: JournalFile, lines: Sequence[bytes], offset: int) -> int:
        """Store whole lines (without their line ends) that end at offset. Returns how many were events.

        A line that is no event is counted as damaged and passed over.
        """
        events: list[tuple[_Line, bytes]] = []
        for line in lines:
            with contextlib.suppress(msgspec.DecodeError):  # torn by a crash, or edited by hand
                event = self._decode.decode(line)
                if len(event.event) <= KIND_LEN:
                    events.append((event, line))
        with self._transaction() as connection:
            for event, _ in events:
                if event.event == "service-started":
                    self._add_run(connection, event.microseconds)
            self._insert(connection, file, events)
            connection.execute(
                "UPDATE journal_file SET offset = ?, damaged = damaged + ? WHERE id = ?",
                (offset, len(lines) - len(events), file.id),
            )
        file.offset = offset
        return len(events)

    def _add_run(self, connection: sqlite3.Connection, started: int) -> None:
        """Begin a run, and move over to it what was counted for the run before although it came later."""
        place = bisect.bisect_left(self._runs, started)
        if place < len(self._runs) and self._runs[place] == started:
            return
        before = self._runs[place - 1]
        until = self._runs[place] if place < len(self._runs) else 1 << 62
        self._runs.insert(place, started)
        connection.execute("INSERT INTO run VALUES (?)", (started,))
        moved = connection.execute(
            "SELECT kind, COUNT(*), SUM(amount) FROM event WHERE time >= ? AND time < ? GROUP BY kind", (started, until)
        ).fetchall()
        connection.executemany(_ADD_TOTAL, [(before, kind, -count, -amount) for kind, count, amount in moved])
        connection.executemany(_ADD_TOTAL, [(started, kind, count, amount) for kind, count, amount in moved])

    def _insert(self, connection: sqlite3.Connection, file: JournalFile, events: Sequence[tuple[_Line, bytes]]) -> None:
        rows, latest = [], []
        counts: Counter[tuple[int, str]] = Counter()
        amounts: Counter[tuple[int, str]] = Counter()
        minutes: Counter[tuple[int, str]] = Counter()
        for event, line in events:
            time, kind, amount, text = event.microseconds, event.event, event.amount, line.decode()
            rows.append((file.id, time, kind, amount, event.smtp_id or None, text))
            run = self._runs[bisect.bisect_right(self._runs, time) - 1]
            counts[run, kind] += 1
            amounts[run, kind] += amount
            if kind in CHARTED:
                minutes[time // MINUTE, kind] += 1
            if kind in KEPT_LATEST:
                latest.append((kind, event.process, time, text))
        connection.executemany(
            "INSERT INTO event (file, time, kind, amount, smtp_id, line) VALUES (?, ?, ?, ?, ?, ?)", rows
        )
        connection.executemany(_ADD_TOTAL, [(*key, count, amounts[key]) for key, count in counts.items()])
        connection.executemany(_ADD_MINUTE, [(*key, count) for key, count in minutes.items()])
        connection.executemany(_KEEP_LATEST, latest)

    def expire(self, file: JournalFile) -> None:
        """The journal file was deleted by retention (LOG-02): its events go, the counters since the start stay."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM event WHERE file = ?", (file.id,))
            connection.execute("DELETE FROM journal_file WHERE id = ?", (file.id,))
            (oldest,) = connection.execute("SELECT COALESCE(MIN(time), 0) FROM event").fetchone()
            connection.execute("DELETE FROM minute WHERE minute < ?", (oldest // MINUTE,))

    def clear(self) -> None:
        """Forget everything, so that the journal is read again from its beginning."""
        with self._transaction() as connection:
            for table in _TABLES:
                connection.execute(f"DELETE FROM {table}")
            self._runs = [0]
