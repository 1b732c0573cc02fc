"""The tables of the store, and the one connection that writes to them.

    journal_file  how far each file was read (`offset`) and put into segments (`indexed`)
    segment       64 blocks of one file: about 4 MiB of the journal
    block         whole lines, about 64 KiB; where they lie, and the times of the earliest and the latest of them
    gram          which blocks of a segment contain which trigrams (engine.trigrams) and which kinds of events
    tally, named  events by minute and by hour, of each file: by kind, and by kind and name (control.records.lines)
    run, total    counters of each run of the service
    queue         lengths of the queues, minute by minute
    latest        the last event of some kinds, of each process

Everything of one file lies together in each table or is found by an index, so that retention deletes ranges.
"""

import os
import sqlite3
from pathlib import Path
from typing import Final

VERSION: Final = 3  # another number in the file: it is thrown away and read again from the journal

_TABLES: Final = {
    "journal_file": "id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, inode INTEGER NOT NULL,"
    " offset INTEGER NOT NULL DEFAULT 0, indexed INTEGER NOT NULL DEFAULT 0, damaged INTEGER NOT NULL DEFAULT 0,"
    " first INTEGER, last INTEGER",
    "kind": "id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL",
    "segment": "id INTEGER PRIMARY KEY, file INTEGER NOT NULL",
    "block": "segment INTEGER NOT NULL, place INTEGER NOT NULL, file INTEGER NOT NULL, start INTEGER NOT NULL,"
    " length INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,"
    " PRIMARY KEY (segment, place)) WITHOUT ROWID",
    "gram": "id INTEGER PRIMARY KEY, bits BLOB NOT NULL",
    "tally": "file INTEGER NOT NULL, span INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,"
    " count INTEGER NOT NULL, amount INTEGER NOT NULL, PRIMARY KEY (file, span, at, kind)) WITHOUT ROWID",
    "named": "file INTEGER NOT NULL, span INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,"
    " name TEXT NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (file, span, at, kind, name)) WITHOUT ROWID",
    "queue": "file INTEGER NOT NULL, minute INTEGER NOT NULL, fast INTEGER NOT NULL, slow INTEGER NOT NULL,"
    " hold INTEGER NOT NULL, PRIMARY KEY (file, minute)) WITHOUT ROWID",
    "run": "started INTEGER PRIMARY KEY",
    "total": "run INTEGER NOT NULL, kind TEXT NOT NULL, count INTEGER NOT NULL, amount INTEGER NOT NULL,"
    " PRIMARY KEY (run, kind)) WITHOUT ROWID",
    "latest": "kind TEXT NOT NULL, process TEXT NOT NULL, time INTEGER NOT NULL, line TEXT NOT NULL,"
    " PRIMARY KEY (kind, process)) WITHOUT ROWID",
}
_INDEXES: Final = (
    "CREATE INDEX segment_file ON segment (file)",
    "CREATE INDEX block_last ON block (last, first)",
)


def connect(path: Path) -> sqlite3.Connection:
    """The writing connection; a file that is no store of this version is made anew. Raises sqlite3.Error, OSError."""
    try:
        return _open(path)
    except sqlite3.DatabaseError:
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _open(path)


def _open(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # what power failure takes is read again from the journal
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"schema version {version}")
        if version == 0:
            tables = [f"CREATE TABLE {name} ({_closed(columns)}" for name, columns in _TABLES.items()]
            statements = "; ".join(["BEGIN", *tables, *_INDEXES, f"PRAGMA user_version = {VERSION}", "COMMIT"])
            connection.executescript(statements)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _closed(columns: str) -> str:
    return columns if columns.endswith("WITHOUT ROWID") else columns + ")"


def forget_everything(connection: sqlite3.Connection) -> None:
    for table in _TABLES:
        connection.execute(f"DELETE FROM {table}")
