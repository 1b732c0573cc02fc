"""The database of who may enter: accounts, failed logons, sessions, tokens. It cannot be rebuilt.

Its schema is moved on step by step: PRAGMA user_version is the number of steps that it has seen. All that are due are
done, or none; what was released once is not changed any more.
"""

import contextlib
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from control.transaction import transaction
from engine.layout import Layout

FILE_NAME: Final = "access.sqlite"

_STEPS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "CREATE TABLE IF NOT EXISTS account ("
        "user TEXT PRIMARY KEY, hash TEXT NOT NULL, enabled INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS failure ("
        "subject TEXT PRIMARY KEY, count INTEGER NOT NULL, last REAL NOT NULL) WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS known_client ("
        "user TEXT NOT NULL, client TEXT NOT NULL, last REAL NOT NULL, PRIMARY KEY (user, client)) WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS session ("
        "id_hash BLOB PRIMARY KEY, user TEXT NOT NULL, client TEXT NOT NULL, active REAL NOT NULL) WITHOUT ROWID",
    ),
    (
        # Named accounts (ACC-11). The two built-in ones are always there; without a password nobody logs on to them.
        "ALTER TABLE account RENAME TO account_1",
        "CREATE TABLE account ("
        "user TEXT PRIMARY KEY, role TEXT NOT NULL, name TEXT NOT NULL DEFAULT '', email TEXT NOT NULL DEFAULT '',"
        " hash TEXT NOT NULL DEFAULT '', enabled INTEGER NOT NULL DEFAULT 0, last_logon REAL NOT NULL DEFAULT 0,"
        " secret BLOB, new_secret BLOB, last_step INTEGER NOT NULL DEFAULT 0,"
        " issuer TEXT NOT NULL DEFAULT '', subject TEXT NOT NULL DEFAULT '') WITHOUT ROWID",
        "INSERT INTO account (user, role, hash, enabled)"
        " SELECT user, CASE user WHEN 'report' THEN 'report-only' ELSE 'administrator' END, hash, enabled"
        " FROM account_1",
        "DROP TABLE account_1",
        "INSERT OR IGNORE INTO account (user, role) VALUES ('admin', 'administrator'), ('report', 'report-only')",
        "CREATE UNIQUE INDEX account_subject ON account (issuer, subject) WHERE issuer != ''",
        "ALTER TABLE session RENAME TO session_1",
        "CREATE TABLE session ("
        "id_hash BLOB PRIMARY KEY, user TEXT NOT NULL REFERENCES account ON DELETE CASCADE, client TEXT NOT NULL,"
        " began REAL NOT NULL, active REAL NOT NULL, how TEXT NOT NULL) WITHOUT ROWID",
        "INSERT INTO session SELECT id_hash, user, client, active, active, 'password' FROM session_1"
        " WHERE user IN (SELECT user FROM account)",
        "DROP TABLE session_1",
        "CREATE TABLE recovery_code ("
        "hash BLOB PRIMARY KEY, user TEXT NOT NULL REFERENCES account ON DELETE CASCADE) WITHOUT ROWID",
        "CREATE TABLE second_step ("
        "id_hash BLOB PRIMARY KEY, user TEXT NOT NULL REFERENCES account ON DELETE CASCADE,"
        " began REAL NOT NULL, failures INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID",
        "CREATE TABLE token ("
        "id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE,"
        " user TEXT NOT NULL REFERENCES account ON DELETE CASCADE, name TEXT NOT NULL, scopes TEXT NOT NULL,"
        " made REAL NOT NULL, expires REAL NOT NULL, last_used REAL NOT NULL DEFAULT 0,"
        " last_client TEXT NOT NULL DEFAULT '', UNIQUE (user, name)) WITHOUT ROWID",
        "CREATE TABLE sign_on ("
        "state_hash BLOB PRIMARY KEY, client TEXT NOT NULL, nonce TEXT NOT NULL, verifier TEXT NOT NULL,"
        " redirect TEXT NOT NULL, page TEXT NOT NULL, began REAL NOT NULL) WITHOUT ROWID",
    ),
)


class AccessDatabase:
    """One connection, one user at a time. `mailward init` may have the file open as well."""

    def __init__(self, root: Path) -> None:
        """Raises ValueError for a file that a newer Mailward has made."""
        directory = Layout(root).control
        directory.mkdir(parents=True, exist_ok=True, mode=0o750)
        path = directory / FILE_NAME
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10.0)
        self._connection.execute("PRAGMA journal_mode = WAL")
        try:
            self._move_on(path)
        except BaseException:
            self._connection.close()
            raise
        self._connection.execute("PRAGMA foreign_keys = ON")

    def _move_on(self, path: Path) -> None:
        with self.transaction() as connection:
            (seen,) = connection.execute("PRAGMA user_version").fetchone()
            if seen > len(_STEPS):
                raise ValueError(f"{path} was made by a newer Mailward: install that version, or restore a copy")
            for statement in (statement for step in _STEPS[seen:] for statement in step):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {len(_STEPS)}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Inside it nobody else reads or writes; all of it happens or, with an exception, nothing."""
        with self._lock, transaction(self._connection) as connection:
            yield connection

    def close(self) -> None:
        with self._lock:
            self._connection.close()
