"""Vault and index together: items come in and go out, whatever happens in between.

A file is in place, and on disk, before the index names it, and is deleted after the index has forgotten it. So a crash
leaves at most a file that nothing names; `Store.clear` deletes it at the next start. More than a few of those come from
another key or an older index: they stay.
"""

import errno
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from control.quarantine_server import settings as server_settings
from control.quarantine_server.index import GONE_KEPT, Entry, Index, words_of
from control.quarantine_server.layout import ServerLayout
from control.quarantine_server.protocol import Item
from control.quarantine_server.vault import Coming, Vault

DAY_US: Final = 86_400_000_000
AGED_AT_ONCE: Final = 500  # items; the others a moment later
LOST: Final = 20  # files that nothing names, and that a crash, or a disk that did not let delete, may have left
log: Final = logging.getLogger(__name__)
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Full(Exception):
    """Nothing more is taken, and why, for the operators of both sides."""


class TooLarge(Exception):
    """This file is never taken, unless the settings change."""


class Differs(Exception):
    """There is another content under this id."""


class Store:
    """Safe from any thread. now_us: microseconds since 1970."""

    def __init__(self, layout: ServerLayout, bounds: server_settings.Store, now_us: Callable[[], int]) -> None:
        """Raises OSError, ValueError, sqlite3.Error."""
        self._layout = layout
        self.bounds = bounds
        self._now_us = now_us
        self.vault = Vault(layout)
        self.index = Index(layout.index)
        self._placing = threading.Lock()  # files appear and disappear in step with the index
        totals = self.index.totals()
        self._items, self._octets = totals.items, totals.octets

    def clear(self) -> int:
        """What a crash left; before anything is served. Returns how many files no item had.

        Raises ValueError: with this key none of the files is there.
        """
        self.vault.clear()
        with self.index.transaction() as connection:
            known = {self.vault.path_of(sha256) for (sha256,) in connection.execute("SELECT sha256 FROM content")}
        there = set(self._layout.store.glob("??/*"))
        if known and there and not known & there:
            raise ValueError(f"{self._layout.key} is the key of another store: put the right one back from a copy")
        lost = there - known
        if len(lost) > LOST:
            log.error(
                "%d files in %s belong to no item, and stay: index.sqlite is an older one, or was lost. Restore the"
                " right one from a copy, or delete these files.",
                len(lost),
                self._layout.store,
            )
            return 0
        for path in lost:
            path.unlink()
        return len(lost)

    def close(self) -> None:
        self.index.close()

    @property
    def coming(self) -> Path:
        """Where there is room for files that go as they came."""
        return self._layout.coming

    @property
    def item_len(self) -> int:
        return self.bounds.item_mb << 20

    def why_full(self, more: int = 0) -> str:
        """Empty: there is room for so many octets."""
        if self._items >= self.bounds.max_items:
            return f"it holds {self._items:,} items, which is the most: delete some, or raise store.max_items"
        if self._octets + more > self.bounds.max_gb << 30:
            return f"its files have reached the {self.bounds.max_gb} GB of store.max_gb: delete some, or raise it"
        return ""

    @property
    def fullness(self) -> int:
        """Percent of the bound that is nearest."""
        return int(max(self._octets * 100 / (self.bounds.max_gb << 30), self._items * 100 / self.bounds.max_items))

    # --- coming in ----------------------------------------------------------------------------------

    def known(self, gateway: str, item: Item) -> bool:
        """Whether this item is here with its file, or was and has been deleted. Raises Differs."""
        with self.index.transaction() as connection:
            row = connection.execute(
                "SELECT sha256, 0 FROM item WHERE gateway = ? AND id = ?"
                " UNION ALL SELECT sha256, 1 FROM gone WHERE gateway = ? AND id = ?",
                (gateway, item.id) * 2,
            ).fetchone()
        if row is not None and row[0] != item.sha256:
            raise Differs
        return row is not None and (bool(row[1]) or self.vault.holds(item.sha256))

    def begin(self, item: Item) -> Coming:
        """Raises TooLarge, Full, OSError."""
        if item.size > self.item_len:
            raise TooLarge(f"it has {item.size:,} octets: this server takes {self.item_len:,} (store.item_mb)")
        if why := self.why_full(item.size):
            raise Full(why)
        return self.vault.begin(item.sha256)

    def keep(self, gateway: str, item: Item, coming: Coming) -> None:
        """On disk afterwards. Raises Mismatch, Full, OSError, sqlite3.Error: then nothing was kept."""
        coming.seal()
        with self._placing:
            if why := self.why_full():
                raise Full(why)
            new = False
            try:
                with self.index.transaction() as connection:
                    new, kept = self._named(connection, gateway, item, coming)
                    if new or not self.vault.holds(item.sha256):  # it may have been lost: here it is again
                        coming.place()
            except BaseException:
                if new:
                    self.vault.delete(item.sha256)
                raise
            self._items += kept
            self._octets += coming.stored if new else 0

    def _named(self, connection: sqlite3.Connection, gateway: str, item: Item, coming: Coming) -> tuple[bool, bool]:
        """Whether the content, and whether the item are new."""
        now = self._now_us()
        new = connection.execute(
            "INSERT OR IGNORE INTO content (sha256, size, stored, added) VALUES (?, ?, ?, ?)",
            (item.sha256, item.size, coming.stored, now),
        ).rowcount
        kept = connection.execute(
            "INSERT OR IGNORE INTO item (gateway, id, sha256, received, words, item) VALUES (?, ?, ?, ?, ?, ?)",
            (gateway, item.id, item.sha256, now, words_of(item), msgspec.json.encode(item)),
        ).rowcount
        return bool(new), bool(kept)

    # --- going out ----------------------------------------------------------------------------------

    def delete(self, numbers: Sequence[int]) -> int:
        """Items, and contents that no item has any more. Those that are on their way to somebody stay.

        Returns how many were deleted.
        """
        count = 0
        for number in numbers:
            with self._placing:
                count += self._delete(number)
        return count

    def _delete(self, number: int) -> bool:
        with self.index.transaction() as connection:
            entry = self.index.entry_in(connection, number)
            if entry is None or _is_on_its_way(connection, number):
                return False
            sha256 = entry.item.sha256
            connection.execute(
                "INSERT OR REPLACE INTO gone (gateway, id, sha256) VALUES (?, ?, ?)",
                (entry.gateway, entry.item.id, sha256),
            )
            connection.execute("DELETE FROM gone WHERE number <= (SELECT MAX(number) FROM gone) - ?", (GONE_KEPT,))
            connection.execute("DELETE FROM item WHERE number = ?", (number,))
            last = not connection.execute("SELECT 1 FROM item WHERE sha256 = ? LIMIT 1", (sha256,)).fetchone()
            if last:
                (stored,) = connection.execute("SELECT stored FROM content WHERE sha256 = ?", (sha256,)).fetchone()
                connection.execute("DELETE FROM content WHERE sha256 = ?", (sha256,))
        self._items -= 1
        if last:
            self._octets -= stored
            try:
                self.vault.delete(sha256)
            except OSError as error:
                log.error("a file that no item has any more cannot be deleted, until the next start: %s", error)
        return True

    def delete_aged(self) -> int:
        """Those older than the bound, some at a time. Returns how many."""
        if not self.bounds.max_days:
            return 0
        oldest = self._now_us() - self.bounds.max_days * DAY_US
        with self.index.transaction() as connection:
            rows = connection.execute(
                "SELECT number FROM item WHERE received < ? AND state NOT IN ('ordered', 'picked-up')"
                " ORDER BY received LIMIT ?",
                (oldest, AGED_AT_ONCE),
            ).fetchall()
        return self.delete([number for (number,) in rows])

    def entry(self, number: int) -> Entry | None:
        return self.index.entry(number)


def _is_on_its_way(connection: sqlite3.Connection, number: int) -> bool:
    row = connection.execute("SELECT 1 FROM release WHERE item = ? AND state = 'picked-up'", (number,)).fetchone()
    return row is not None
