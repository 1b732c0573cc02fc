"""What the settings file was, each time it was changed: its text, what changed, when and by whom."""

import contextlib
import errno
import os
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from control.history.change import Change
from control.transaction import transaction

FILE_NAME: Final = "settings.sqlite"
KEPT: Final = 500  # revisions; a file of a few kilobytes is packed to one
BY_HAND: Final = "by hand"
FIRST: Final = "first seen"


class Revision(msgspec.Struct, frozen=True):
    """One state of the file. time: seconds since 1970. how: in words. user: empty if it was not done here."""

    number: int
    time: int
    user: str
    client: str
    how: str
    changes: tuple[Change, ...]


class Revisions:
    """One user at a time, over all processes: whoever is inside `open` is alone with the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    @contextlib.contextmanager
    def open(cls, directory: Path) -> Iterator["Revisions"]:
        """All that is added inside is kept or, with an exception, nothing. Raises OSError, for what SQLite says too."""
        path = directory / FILE_NAME
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        try:
            with transaction(connection):
                connection.execute(
                    "CREATE TABLE IF NOT EXISTS revision (number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER"
                    " NOT NULL, user TEXT NOT NULL, client TEXT NOT NULL, how TEXT NOT NULL, changes BLOB NOT NULL,"
                    " text BLOB NOT NULL)"
                )
                yield cls(connection)
        except sqlite3.Error as error:
            raise OSError(errno.EIO, str(error), str(path)) from error
        finally:
            connection.close()

    def add(self, time: int, user: str, client: str, how: str, changes: tuple[Change, ...], text: str) -> int:
        """Its number. The oldest ones go when there are more than KEPT."""
        packed = zlib.compress(msgspec.json.encode(changes)), zlib.compress(text.encode())
        number = self._connection.execute(
            "INSERT INTO revision (time, user, client, how, changes, text) VALUES (?, ?, ?, ?, ?, ?)",
            (time, user, client, how, *packed),
        ).lastrowid
        assert number is not None
        self._connection.execute("DELETE FROM revision WHERE number <= ?", (number - KEPT,))
        return number

    def newest(self, count: int, before: int | None = None) -> list[Revision]:
        """Newest first; before: only those with smaller numbers."""
        rows = self._connection.execute(
            "SELECT number, time, user, client, how, changes FROM revision"
            " WHERE ?1 IS NULL OR number < ?1 ORDER BY number DESC LIMIT ?2",
            (before, count),
        )
        return [_revision(row) for row in rows]

    def find(self, number: int) -> tuple[Revision, str] | None:
        """With its text."""
        row = self._connection.execute(
            "SELECT number, time, user, client, how, changes, text FROM revision WHERE number = ?", (number,)
        ).fetchone()
        return (_revision(row), _text(row[6])) if row else None

    def last_text(self) -> str | None:
        row = self._connection.execute("SELECT text FROM revision ORDER BY number DESC LIMIT 1").fetchone()
        return _text(row[0]) if row else None


def _revision(row: tuple[int, int, str, str, str, bytes, *tuple[object, ...]]) -> Revision:
    number, time, user, client, how, packed = row[:6]
    changes = msgspec.json.decode(zlib.decompress(packed), type=tuple[Change, ...])
    return Revision(number, time, user, client, how, changes)


def _text(packed: bytes) -> str:
    return zlib.decompress(packed).decode()
