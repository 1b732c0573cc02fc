"""What must not be forgotten of releases, in SQLite: who ordered them, whether the mail is queued, what came of it.

An order of the central server is remembered before anything is done about it, so that it is never done twice.
"""

import os
import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from control.quarantine_server.protocol import ENDED, OrderState, RecipientResult
from control.transaction import transaction
from engine.quarantine.item import Item

KEPT: Final = 10_000  # releases; the oldest that have ended go
OPEN: Final = 10_000  # releases of the central server; it tells of further ones again
AT_ONCE: Final = 1000  # that are looked at
_SCHEMA = """
CREATE TABLE IF NOT EXISTS release (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE NOT NULL, item TEXT NOT NULL, state TEXT NOT NULL,
    record BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS release_item ON release (item);
CREATE INDEX IF NOT EXISTS release_state ON release (state);
"""


class Release(msgspec.Struct, frozen=True):
    """id: of the order, or drawn here. ordered: by the central server. by: a user, here or there. time: since 1970.

    smtp_id: of the mail, once it is queued. text: why there is none, or what helps. reported: what the server was told
    last; gone: it does not want to hear of it any more. claimed: it knows that it cannot withdraw it any more.
    """

    id: str
    item: Item
    recipients: tuple[str, ...]
    by: str
    time: float
    note: str = ""
    ordered: bool = False
    state: OrderState = OrderState.ORDERED
    smtp_id: str = ""
    text: str = ""
    results: tuple[RecipientResult, ...] = ()
    changed: float = 0.0
    reported: str = ""
    gone: bool = False
    claimed: bool = False

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def report(self) -> str:
        """What is to be told to the server, in one word that differs from the last one when something has changed."""
        return f"{self.state} {self.smtp_id} {len(self.results)}"

    @property
    def is_to_be_reported(self) -> bool:
        is_news = self.state is not OrderState.ORDERED and self.reported != self.report
        return self.ordered and not self.gone and is_news

    @property
    def is_open(self) -> bool:
        """Whether something is still to be done about it."""
        return not self.ended or self.is_to_be_reported


class IsOpen(Exception):
    """The same file is being released to the same person already."""


class Memory:
    """Safe from any thread. Every call may raise sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10.0)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(_SCHEMA)
        self._decoder = msgspec.msgpack.Decoder(Release)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def add(self, release: Release) -> bool:
        """Whether it is new, and there is room for it. Raises IsOpen, for one that was ordered here."""
        with self._lock, transaction(self._connection) as connection:
            if release.ordered:
                (count,) = connection.execute("SELECT count(*) FROM release WHERE state = 'open'").fetchone()
                if count >= OPEN:
                    return False
            else:
                rows = connection.execute(
                    "SELECT record FROM release WHERE state = 'open' AND item = ?", (release.item.id,)
                ).fetchall()
                others = [self._decoder.decode(row[0]) for row in rows]
                if any(not one.ended and set(one.recipients) & set(release.recipients) for one in others):
                    raise IsOpen
            cursor = connection.execute(
                "INSERT OR IGNORE INTO release (id, item, state, record) VALUES (?, ?, ?, ?)",
                (release.id, release.item.id, _state(release), msgspec.msgpack.encode(release)),
            )
            last = "SELECT max(number) FROM release"
            connection.execute(f"DELETE FROM release WHERE state = 'closed' AND number <= ({last}) - ?", (KEPT,))
            return cursor.rowcount > 0

    def put(self, release: Release) -> None:
        with self._lock, transaction(self._connection) as connection:
            connection.execute(
                "UPDATE release SET state = ?, record = ? WHERE id = ?",
                (_state(release), msgspec.msgpack.encode(release), release.id),
            )

    def open(self, after: int = 0) -> tuple[list[Release], int]:
        """Some about which something is still to be done, oldest first, and after what the others follow; 0: no others.

        So none has to wait for those before it.
        """
        with self._lock:
            rows = self._connection.execute(
                "SELECT number, record FROM release WHERE state = 'open' AND number > ? ORDER BY number LIMIT ?",
                (after, AT_ONCE),
            ).fetchall()
        return [self._decoder.decode(row[1]) for row in rows], rows[-1][0] if len(rows) == AT_ONCE else 0

    def wanted(self) -> set[str]:
        """Items that an order of the central server is still to be carried out about."""
        with self._lock:
            rows = self._connection.execute("SELECT DISTINCT item FROM release WHERE state = 'open'").fetchall()
        return {row[0] for row in rows}

    def latest(self, limit: int) -> list[Release]:
        return self._found("ORDER BY number DESC LIMIT ?", limit)

    def of(self, items: Iterable[str]) -> dict[str, Release]:
        """The newest release of each of these items."""
        found: dict[str, Release] = {}
        for item in items:
            for release in self._found("WHERE item = ? ORDER BY number DESC LIMIT 1", item):
                found[item] = release
        return found

    def get(self, release: str) -> Release | None:
        return next(iter(self._found("WHERE id = ?", release)), None)

    def _found(self, where: str, *values: str | int) -> list[Release]:
        with self._lock:
            rows = self._connection.execute(f"SELECT record FROM release {where}", values).fetchall()
        return [self._decoder.decode(row[0]) for row in rows]


def _state(release: Release) -> str:
    return "open" if release.is_open else "closed"
