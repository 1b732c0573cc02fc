"""What the postman must not forget, in SQLite: how far the journal was read, who was told when, mail that waits.

All of it changes in one transaction with the position in the journal, so that whenever the process dies each event has
either led to its mail, which then waits here, or will be read again. The file cannot be rebuilt: without it the journal
would be told a second time, so a new one begins with the present run of the service (`control/post/reader.py`).

Times of events are seconds since 1970, and rates go by them: they hold also when a backlog is read at once.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from control.transaction import transaction

HOUR_S: Final = 3600.0
SEEN: Final = 20_000  # events with mail that are remembered: a journal put back from a backup tells nobody twice
RATES: Final = 50_000  # who was told when; the hourly limits of rules.py keep it far below
INFECTED: Final = 100_000  # messages that the outbreak alert counts
WAITING: Final = 5_000  # mails: then the journal is read on only when relays have taken some

_SCHEMA = """
CREATE TABLE IF NOT EXISTS journal_file (
    name TEXT PRIMARY KEY, inode INTEGER NOT NULL, offset INTEGER NOT NULL, latest REAL NOT NULL,
    passed REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS began (since REAL NOT NULL);
CREATE TABLE IF NOT EXISTS seen (number INTEGER PRIMARY KEY AUTOINCREMENT, event BLOB UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS rate (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT UNIQUE NOT NULL, time REAL NOT NULL);
CREATE TABLE IF NOT EXISTS hour (key TEXT PRIMARY KEY, begins REAL NOT NULL, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS infected (smtp_id TEXT PRIMARY KEY, time REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS infected_time ON infected (time);
CREATE TABLE IF NOT EXISTS waiting (number INTEGER PRIMARY KEY AUTOINCREMENT, item BLOB NOT NULL);
"""


class Mail(msgspec.Struct, frozen=True, tag="mail"):
    """Ready to be handed over. word: names it to the relay. time: when it was written, seconds since 1970.

    about: SMTP ID of the message that it tells of.
    """

    word: str
    kind: str
    to: tuple[str, ...]
    content: bytes
    time: float
    about: str = ""


class Note(msgspec.Struct, frozen=True, tag="note"):
    """Mail that is not written, for the journal."""

    kind: str
    reason: str
    about: str = ""


class Pause(msgspec.Struct, frozen=True, tag="pause"):
    """Delivery is to be paused (OUT-05)."""


Item = Mail | Note | Pause


class Position(msgspec.Struct):
    """Of one journal file. latest: of the times of the events that were read. passed: latest of the file before it."""

    name: str
    inode: int
    offset: int = 0
    latest: float = 0.0
    passed: float = 0.0


class Memory:
    """One connection for one thread. Everything that changes does so inside `transaction`."""

    def __init__(self, path: Path) -> None:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")  # what was handed over must not wait here again
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error:
            self._connection.close()
            raise
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Item)

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it happens or, with an exception or the death of the process, nothing."""
        with transaction(self._connection):
            yield

    # --- position -----------------------------------------------------------------------------------

    def since(self) -> float | None:
        """Events before this time are nobody's business any more. None: this memory is new."""
        row = self._connection.execute("SELECT since FROM began").fetchone()
        return row[0] if row else None

    def begin(self, since: float) -> None:
        self._connection.execute("INSERT INTO began VALUES (?)", (since,))

    def positions(self) -> dict[str, Position]:
        rows = self._connection.execute("SELECT name, inode, offset, latest, passed FROM journal_file")
        return {row[0]: Position(*row) for row in rows}

    def keep_position(self, position: Position) -> None:
        values = msgspec.structs.astuple(position)
        self._connection.execute("INSERT OR REPLACE INTO journal_file VALUES (?, ?, ?, ?, ?)", values)

    def drop_position(self, name: str) -> None:
        self._connection.execute("DELETE FROM journal_file WHERE name = ?", (name,))

    def is_new(self, event: bytes) -> bool:
        """Whether this event, given as a digest, was not seen before; from now on it was."""
        cursor = self._connection.execute("INSERT OR IGNORE INTO seen (event) VALUES (?)", (event,))
        if not cursor.rowcount:
            return False
        self._connection.execute("DELETE FROM seen WHERE number <= ?", ((cursor.lastrowid or 0) - SEEN,))
        return True

    # --- rates --------------------------------------------------------------------------------------

    def first_within(self, key: str, time: float, seconds: float = HOUR_S) -> bool:
        """Whether key was not marked within that many seconds of time; marks it now if so."""
        row = self._connection.execute("SELECT time FROM rate WHERE key = ?", (key,)).fetchone()
        if row and abs(time - row[0]) < seconds:  # a clock that was set back must not silence anything for long
            return False
        cursor = self._connection.execute("INSERT OR REPLACE INTO rate (key, time) VALUES (?, ?)", (key, time))
        self._connection.execute("DELETE FROM rate WHERE number <= ?", ((cursor.lastrowid or 0) - RATES,))
        return True

    def below(self, key: str, time: float, most: int) -> bool:
        """Whether key was counted less than most times in the hour that time lies in; counts it if so."""
        row = self._connection.execute("SELECT begins, count FROM hour WHERE key = ?", (key,)).fetchone()
        begins, count = row if row and abs(time - row[0]) < HOUR_S else (time, 0)
        if count >= most:
            return False
        self._connection.execute("INSERT OR REPLACE INTO hour VALUES (?, ?, ?)", (key, begins, count + 1))
        return True

    # --- states -------------------------------------------------------------------------------------

    def get(self, key: str) -> str:
        row = self._connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return row[0] if row else ""

    def put(self, key: str, value: str) -> None:
        """An empty value forgets the key."""
        if value:
            self._connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))
        else:
            self._connection.execute("DELETE FROM state WHERE key = ?", (key,))

    def forget(self, prefix: str) -> None:
        """Every key that begins so."""
        self._connection.execute("DELETE FROM state WHERE substr(key, 1, ?) = ?", (len(prefix), prefix))

    def infected(self, smtp_id: str, time: float, window_s: float, most: int) -> int:
        """Note an infected message; returns how many there were in the window that ends with the latest one.

        Events of several relays come out of order, so those shortly after time count as well as those before. most:
        more are neither counted nor kept, but never more than INFECTED.
        """
        connection = self._connection
        connection.execute("DELETE FROM infected WHERE time < ? OR time > ?", (time - window_s, time + window_s))
        connection.execute("INSERT OR IGNORE INTO infected VALUES (?, ?)", (smtp_id, time))
        newest = "SELECT smtp_id FROM infected ORDER BY time DESC LIMIT -1 OFFSET ?"
        connection.execute(f"DELETE FROM infected WHERE smtp_id IN ({newest})", (min(most, INFECTED),))
        (latest,) = connection.execute("SELECT MAX(time) FROM infected").fetchone()
        (count,) = connection.execute("SELECT COUNT(*) FROM infected WHERE time >= ?", (latest - window_s,)).fetchone()
        return int(count)

    # --- what waits ---------------------------------------------------------------------------------

    def add(self, item: Item) -> None:
        self._connection.execute("INSERT INTO waiting (item) VALUES (?)", (self._encoder.encode(item),))

    def next(self) -> tuple[int, Item] | None:
        """(number, item) of the oldest that waits."""
        row = self._connection.execute("SELECT number, item FROM waiting ORDER BY number LIMIT 1").fetchone()
        return (row[0], self._decoder.decode(row[1])) if row else None

    def waiting(self) -> int:
        (count,) = self._connection.execute("SELECT COUNT(*) FROM waiting").fetchone()
        return int(count)

    def done(self, number: int) -> None:
        self._connection.execute("DELETE FROM waiting WHERE number = ?", (number,))
