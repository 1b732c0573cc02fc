"""What lies in the quarantine, in SQLite: items, their contents, orders, samples, and who did what.

An item is one file of one mail; several may have one content. A commit is on disk (WAL, synchronous FULL): the answer
to a gateway waits for it. Who deletes an item leaves its id behind, so that a repeated upload does not bring it back.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from control.quarantine_server.protocol import ENDED, Item, OrderResult, OrderState
from control.transaction import transaction

GONE_KEPT: Final = 1_000_000
AUDIT_KEPT: Final = 100_000
WORDS_LEN: Final = 20_000  # characters of an item that a search looks at
PAGE: Final = 50
SEARCH_LEN: Final = 200
_SCHEMA: Final = (
    "CREATE TABLE content (sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL, stored INTEGER NOT NULL,"
    " added INTEGER NOT NULL, revision TEXT NOT NULL DEFAULT '', verdict TEXT NOT NULL DEFAULT '',"
    " names TEXT NOT NULL DEFAULT '[]', change TEXT NOT NULL DEFAULT '', changed INTEGER NOT NULL DEFAULT 0)"
    " WITHOUT ROWID",
    "CREATE INDEX content_revision ON content (revision)",
    "CREATE INDEX content_change ON content (change) WHERE change != ''",
    "CREATE TABLE item (number INTEGER PRIMARY KEY AUTOINCREMENT, gateway TEXT NOT NULL, id TEXT NOT NULL,"
    " sha256 TEXT NOT NULL REFERENCES content, received INTEGER NOT NULL, state TEXT NOT NULL DEFAULT '',"
    " words TEXT NOT NULL, item BLOB NOT NULL, UNIQUE (gateway, id))",
    "CREATE INDEX item_content ON item (sha256)",
    "CREATE INDEX item_received ON item (received)",
    "CREATE INDEX item_gateway ON item (gateway, number)",
    "CREATE INDEX item_state ON item (state, number) WHERE state != ''",
    "CREATE TABLE gone (number INTEGER PRIMARY KEY AUTOINCREMENT, gateway TEXT NOT NULL, id TEXT NOT NULL,"
    " sha256 TEXT NOT NULL, UNIQUE (gateway, id))",
    "CREATE TABLE release (id TEXT PRIMARY KEY, item INTEGER NOT NULL REFERENCES item ON DELETE CASCADE,"
    " gateway TEXT NOT NULL, recipients TEXT NOT NULL, note TEXT NOT NULL, user TEXT NOT NULL, time INTEGER NOT NULL,"
    " state TEXT NOT NULL, result BLOB, changed INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX release_open ON release (gateway, time) WHERE state IN ('ordered', 'picked-up')",
    "CREATE INDEX release_item ON release (item)",
    "CREATE TABLE sample (sha256 TEXT PRIMARY KEY REFERENCES content ON DELETE CASCADE, state TEXT NOT NULL,"
    " user TEXT NOT NULL, time INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL,"
    " answer TEXT NOT NULL DEFAULT '') WITHOUT ROWID",
    "CREATE INDEX sample_due ON sample (due) WHERE state = 'waiting'",
    "CREATE TABLE audit (number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, user TEXT NOT NULL,"
    " client TEXT NOT NULL, deed TEXT NOT NULL, item INTEGER NOT NULL)",
    "CREATE INDEX audit_item ON audit (item)",
)
VERSION: Final = 1


class Filter(msgspec.Struct, frozen=True):
    """Which items. state: of the last order, or `named`, `clean` (what a scan again came to), `sample`."""

    text: str = ""
    gateway: str = ""
    state: str = ""


class Entry(msgspec.Struct, frozen=True):
    """An item as it lies here. Times: microseconds since 1970. state: of its last order, if there was one.

    verdict, names: of the last scan here, with the definitions of that revision; empty: none yet. change: how that
    differs from what was known before: `named` or `clean`. sample: the state of its submission.
    """

    number: int
    gateway: str
    received: int
    item: Item
    state: str
    verdict: str
    names: tuple[str, ...]
    revision: str
    change: str
    sample: str = ""
    sample_answer: str = ""


class Release(msgspec.Struct, frozen=True):
    """An order. result: what the gateway said last."""

    id: str
    item: int
    gateway: str
    recipients: tuple[str, ...]
    note: str
    user: str
    time: int
    state: OrderState
    result: OrderResult | None
    changed: int


class Deed(msgspec.Struct, frozen=True):
    time: int
    user: str
    client: str
    deed: str
    item: int


class Totals(msgspec.Struct, frozen=True):
    """octets: on disk, of files."""

    items: int
    contents: int
    octets: int
    oldest: int


_ENTRY: Final = (
    "SELECT item.number, item.gateway, item.received, item.item, item.state, content.verdict, content.names,"
    " content.revision, content.change, coalesce(sample.state, ''), coalesce(sample.answer, '')"
    " FROM item JOIN content USING (sha256) LEFT JOIN sample USING (sha256)"
)
_RELEASE: Final = "SELECT id, item, gateway, recipients, note, user, time, state, result, changed FROM release"


class Index:
    """Safe from any thread: one connection, one user at a time. What must happen together runs in one `transaction`."""

    def __init__(self, path: Path) -> None:
        """Raises sqlite3.Error; ValueError for a file of a newer version."""
        path.touch(mode=0o600)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10.0)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        with self.transaction() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise ValueError(f"{path} was made by a newer Mailward: install that version, or restore a copy")
            for statement in _SCHEMA if version == 0 else ():
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, transaction(self._connection) as connection:
            yield connection

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    # --- looking ------------------------------------------------------------------------------------

    def page(self, wanted: Filter, before: int = 0, limit: int = PAGE) -> list[Entry]:
        """The newest of these; before: only items with smaller numbers."""
        condition, values = _condition(wanted, before)
        with self.transaction() as connection:
            rows = connection.execute(
                f"{_ENTRY} WHERE {condition} ORDER BY item.number DESC LIMIT ?", (*values, limit)
            ).fetchall()
        return list(map(_entry, rows))

    def entry(self, number: int) -> Entry | None:
        with self.transaction() as connection:
            row = connection.execute(f"{_ENTRY} WHERE item.number = ?", (number,)).fetchone()
        return _entry(row) if row else None

    def of_content(self, sha256: str, but: int = 0, limit: int = PAGE) -> list[Entry]:
        """Items with this content, the newest first; but: not this one."""
        with self.transaction() as connection:
            rows = connection.execute(
                f"{_ENTRY} WHERE item.sha256 = ? AND item.number != ? ORDER BY item.number DESC LIMIT ?",
                (sha256, but, limit),
            ).fetchall()
        return list(map(_entry, rows))

    def totals(self) -> Totals:
        with self.transaction() as connection:
            items, oldest = connection.execute("SELECT COUNT(*), coalesce(MIN(received), 0) FROM item").fetchone()
            contents, octets = connection.execute("SELECT COUNT(*), coalesce(SUM(stored), 0) FROM content").fetchone()
        return Totals(items, contents, octets, oldest)

    def last_of(self, gateway: str) -> tuple[int, int]:
        """How many items a gateway has here, and when the last one came."""
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT COUNT(*), coalesce(MAX(received), 0) FROM item WHERE gateway = ?", (gateway,)
            ).fetchone()
        return int(row[0]), int(row[1])

    def releases(self, number: int) -> list[Release]:
        """Orders about an item, the last one first."""
        with self.transaction() as connection:
            rows = connection.execute(f"{_RELEASE} WHERE item = ? ORDER BY time DESC", (number,)).fetchall()
        return list(map(_release, rows))

    def open_releases(self, gateway: str, limit: int) -> list[tuple[Release, Entry]]:
        """Orders of a gateway that have not ended, the oldest first."""
        with self.transaction() as connection:
            rows = connection.execute(
                f"{_RELEASE} WHERE gateway = ? AND state IN ('ordered', 'picked-up') ORDER BY time LIMIT ?",
                (gateway, limit),
            ).fetchall()
            releases = list(map(_release, rows))
            return [(one, entry) for one in releases if (entry := self.entry_in(connection, one.item)) is not None]

    def open_release(self, gateway: str, order: str) -> tuple[Release, Entry] | None:
        """This order of this gateway, also if it has ended."""
        with self.transaction() as connection:
            row = connection.execute(f"{_RELEASE} WHERE gateway = ? AND id = ?", (gateway, order)).fetchone()
            if row is None:
                return None
            release = _release(row)
            entry = self.entry_in(connection, release.item)
        return None if entry is None else (release, entry)

    def deeds(self, number: int = 0, limit: int = 200) -> list[Deed]:
        """What people did, the last first; number: to one item."""
        with self.transaction() as connection:
            rows = connection.execute(
                "SELECT time, user, client, deed, item FROM audit WHERE ? IN (0, item) ORDER BY number DESC LIMIT ?",
                (number, limit),
            ).fetchall()
        return [Deed(*row) for row in rows]

    # --- changing -----------------------------------------------------------------------------------

    def note(self, now: int, user: str, client: str, deed: str, number: int) -> None:
        """Who did what (to which item; 0: to none)."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO audit (time, user, client, deed, item) VALUES (?, ?, ?, ?, ?)",
                (now, user, client, deed, number),
            )
            connection.execute("DELETE FROM audit WHERE number <= (SELECT MAX(number) FROM audit) - ?", (AUDIT_KEPT,))

    def result(self, gateway: str, order: str, result: OrderResult, now: int) -> bool:
        """What a gateway says of an order. False: it has no such order. After its end nothing changes any more."""
        with self.transaction() as connection:
            row = connection.execute(
                "SELECT state, item FROM release WHERE gateway = ? AND id = ?", (gateway, order)
            ).fetchone()
            if row is None:
                return False
            if OrderState(row[0]) in ENDED:
                return True
            connection.execute(
                "UPDATE release SET state = ?, result = ?, changed = ? WHERE id = ?",
                (result.state, msgspec.json.encode(result), now, order),
            )
            connection.execute("UPDATE item SET state = ? WHERE number = ?", (result.state, row[1]))
        return True

    def entry_in(self, connection: sqlite3.Connection, number: int) -> Entry | None:
        """`entry` in a transaction of the caller."""
        row = connection.execute(f"{_ENTRY} WHERE item.number = ?", (number,)).fetchone()
        return _entry(row) if row else None


def words_of(item: Item) -> str:
    """What a search looks at, without regard to case."""
    texts = (item.name, *item.viruses, item.sender, item.subject, item.smtp_id, item.sha256, *item.recipients)
    return "\n".join(texts)[:WORDS_LEN].casefold()


def _condition(wanted: Filter, before: int) -> tuple[str, list[object]]:
    conditions, values = ["TRUE"], list[object]()
    if before:
        conditions.append("item.number < ?")
        values.append(before)
    if wanted.text:
        conditions.append("instr(item.words, ?)")
        values.append(wanted.text[:SEARCH_LEN].casefold())
    if wanted.gateway:
        conditions.append("item.gateway = ?")
        values.append(wanted.gateway)
    match wanted.state:
        case "named" | "clean":
            conditions.append("content.change = ?")
            values.append(wanted.state)
        case "sample":
            conditions.append("sample.state != ''")
        case "":
            pass
        case _:
            conditions.append("item.state = ?")
            values.append(wanted.state)
    return " AND ".join(conditions), values


def _entry(row: tuple[int, str, int, bytes, str, str, str, str, str, str, str]) -> Entry:
    number, gateway, received, item, state, verdict, names, revision, change, sample, answer = row
    return Entry(
        number,
        gateway,
        received,
        msgspec.json.decode(item, type=Item),
        state,
        verdict,
        tuple(msgspec.json.decode(names, type=list[str])),
        revision,
        change,
        sample,
        answer,
    )


def _release(row: tuple[str, int, str, str, str, str, int, str, bytes | None, int]) -> Release:
    id_, item, gateway, recipients, note, user, time, state, result, changed = row
    return Release(
        id_,
        item,
        gateway,
        tuple(msgspec.json.decode(recipients, type=list[str])),
        note,
        user,
        time,
        OrderState(state),
        None if result is None else msgspec.json.decode(result, type=OrderResult),
        changed,
    )
