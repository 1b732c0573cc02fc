"""The database of who may enter: accounts, failed logons, sessions. Unlike the event store it cannot be rebuilt."""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.layout import Layout

FILE_NAME: Final = "access.sqlite"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS account (
    user TEXT PRIMARY KEY, hash TEXT NOT NULL, enabled INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failure (
    subject TEXT PRIMARY KEY, count INTEGER NOT NULL, last REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS known_client (
    user TEXT NOT NULL, client TEXT NOT NULL, last REAL NOT NULL, PRIMARY KEY (user, client)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS session (
    id_hash BLOB PRIMARY KEY, user TEXT NOT NULL, client TEXT NOT NULL, active REAL NOT NULL) WITHOUT ROWID;
"""


class AccessDatabase:
    """One connection, one user at a time. `mailward init` may have the file open as well."""

    def __init__(self, root: Path) -> None:
        directory = Layout(root).control
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        path = directory / FILE_NAME
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10.0)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.executescript(_SCHEMA)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Inside it nobody else reads or writes; all of it happens or, with an exception, nothing."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        with self._lock:
            self._connection.close()
