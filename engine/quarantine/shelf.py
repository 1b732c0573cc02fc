"""The directory of the local quarantine, as one relay fills it (QRN-03, QRN-05).

It stays within its share of size and number, counted from the files whose SMTP IDs are of this relay, so that no relay
has to ask another. What is there stays: when the share is used up, new files are not taken. Age alone makes room here;
else the pages delete what the central server has, or a person.

A file is durable before the message goes on: written beside its place, synced, renamed, directory synced. Whatever
fails is told, and mail goes on.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine import durable
from engine.config import Quarantine
from engine.ids import relay_of
from engine.limits import MIB, QUARANTINE_ITEMS, QUARANTINE_TAKEN_LEN
from engine.quarantine import sealed
from engine.quarantine.folder import listed
from engine.quarantine.item import NEW, SUFFIX, Item, ids_of, item_id
from engine.scan.outcome import Taken

FREE_PERCENT: Final = 5.0  # of the disk that the quarantine leaves alone: mail needs it
EXPIRED: Final = 1000  # deleted in one sweep
_FULL: Final = (
    "the local quarantine is full: delete files, see to the central server, or raise quarantine.max_mb; what is in it"
    " stays"
)


class NoRoom(Exception):
    """Why nothing more is put aside, with the next step."""


class Shelf:
    """clock: nanoseconds since 1970. Safe from any thread; `room`, `keep`, `sweep` and `clear` block."""

    def __init__(
        self, directory: Path, relay: int, relays: int, settings: Quarantine, clock: Callable[[], int]
    ) -> None:
        self.directory = directory
        self._relay = relay
        self._relays = relays
        self._clock = clock
        self._lock = threading.Lock()
        self._counting = threading.Lock()
        self._key = b""
        self._sizes: dict[str, int] = {}  # of our files, by name
        self._used = 0  # octets of these
        self._is_counted = False
        self._kept: dict[str, int] = {}  # files that were kept while others were being counted
        self._coming = self._reserved = 0  # files that are being written, and their octets
        self.apply(settings)

    def apply(self, settings: Quarantine) -> None:
        self.max_len = settings.max_mb * MIB // self._relays
        self.max_items = max(1, QUARANTINE_ITEMS // self._relays)
        self._days = settings.days
        self._is_counted = False

    # --- room -------------------------------------------------------------------------------------

    def room(self) -> int:
        """Octets that the files of one message may have together. Raises NoRoom, sealed.Unreadable, OSError."""
        durable.make_directory(self.directory, 0o700)
        self._key = sealed.key_of(self.directory)  # each time: what is written must be readable with the one on disk
        found = os.statvfs(self.directory)
        if 100.0 * found.f_bavail / max(1, found.f_blocks - found.f_bfree + found.f_bavail) < FREE_PERCENT:
            raise NoRoom(f"less than {FREE_PERCENT:g} % of the disk are free, and mail needs them: make room")
        if not self._is_counted or self._left() <= 0:
            self._count()  # the pages may have deleted some
        if (left := self._left()) <= 0:
            raise NoRoom(_FULL)
        return min(left, QUARANTINE_TAKEN_LEN)

    def _left(self) -> int:
        """Octets, as if the next file were the only one. Below 0 also when there are too many."""
        if len(self._sizes) + self._coming >= self.max_items:
            return -1
        return self.max_len - self._used - self._reserved - sealed.sealed_len(0)

    def _count(self) -> None:
        """Without the lock: of many files this takes long, and mail must not wait for it."""
        with self._counting:
            self._kept = {}
            found = {
                name: length for name, length in listed(self.directory) if name.endswith(SUFFIX) and self._is_ours(name)
            }
            with self._lock:
                self._sizes = found | self._kept
                self._used = sum(self._sizes.values())
                self._is_counted = True

    def _is_ours(self, name: str) -> bool:
        found = ids_of(name)
        return found is not None and relay_of(found[0]) % self._relays == self._relay

    # --- filling ----------------------------------------------------------------------------------

    def begin(self, file: Taken, smtp_id: str, number: int) -> "Draft":
        """After `room`. number: of the file in its message. Raises NoRoom, OSError."""
        length = sealed.sealed_len(file.size)
        with self._lock:
            if length - sealed.sealed_len(0) > self._left():
                raise NoRoom(_FULL)
            writer = sealed.Writer(self.directory / f"{smtp_id}-{number:032x}{NEW}", self._key)
            self._reserved += length
            self._coming += 1
        return Draft(file, writer, length)

    def end(self, draft: "Draft") -> None:
        """Whatever became of it; nothing is left of one that was not kept."""
        draft.writer.abort()
        with self._lock:
            self._reserved -= draft.length
            self._coming -= 1

    def item_id(self, smtp_id: str, part: str, sha256: str) -> str:
        """After `room`."""
        return item_id(self._key, smtp_id, part, sha256)

    def keep(self, draft: "Draft", item: Item) -> None:
        """It is in the quarantine when this returns. Raises NoRoom, OSError: it is not."""
        length = draft.writer.finish(item)
        name = item.stem + SUFFIX
        with self._lock:
            before = self._sizes.get(name, 0)
            others = self._used - before + self._reserved - draft.length
            if others + length > self.max_len:
                raise NoRoom(_FULL)
            os.rename(draft.writer.path, self.directory / name)
            self._used += length - before
            self._sizes[name] = self._kept[name] = length
        durable.sync(self.directory)

    # --- age --------------------------------------------------------------------------------------

    def sweep(self) -> list[str]:
        """Delete what is too old, some of it if it is a lot. Returns the ids of these items. Raises OSError."""
        oldest_us = self._clock() // 1000 - self._days * 86_400_000_000
        if not self.directory.exists():
            return []
        self._count()
        gone = []
        for name in sorted(self._sizes)[:EXPIRED]:
            found = ids_of(name)
            if found is None or int(found[0][:11], 32) >= oldest_us:
                break
            (self.directory / name).unlink(missing_ok=True)
            gone.append(found[1])
            with self._lock:
                self._used -= self._sizes.pop(name, 0)
        return gone

    def clear(self) -> None:
        """Delete what was being written when this relay ended; at its start only. Raises OSError."""
        if self.directory.exists():
            for entry in os.scandir(self.directory):
                if entry.name.endswith(NEW) and self._is_ours(entry.name):
                    os.unlink(entry.path)


class Draft:
    """A file on its way. length: octets that are reserved for it."""

    __slots__ = ("file", "length", "writer")

    def __init__(self, file: Taken, writer: sealed.Writer, length: int) -> None:
        self.file = file
        self.writer = writer
        self.length = length


class Batch:
    """Takes what a scanner hands out of one message. Never raises: what cannot be written is not kept.

    drafts: those that were wholly written, when all is over. failed: why others were not.
    """

    def __init__(self, shelf: Shelf, smtp_id: str) -> None:
        self.drafts: list[Draft] = []
        self.failed = ""
        self._shelf = shelf
        self._smtp_id = smtp_id
        self._number = 0
        self._draft: Draft | None = None
        self._closed = False

    def begin(self, file: Taken) -> None:
        self._draft = None
        self._number += 1
        if self._closed:
            return
        try:
            self._draft = self._shelf.begin(file, self._smtp_id, self._number)
        except (NoRoom, OSError) as error:
            self.failed = str(error)
        else:
            self.drafts.append(self._draft)

    def write(self, octets: bytes) -> None:
        if self._draft is None or self._closed:
            return
        try:
            self._draft.writer.write(octets)
        except OSError as error:
            self.failed = str(error)
            self._draft = None

    def whole(self) -> list[Draft]:
        return [one for one in self.drafts if one.writer.size == one.file.size]

    def close(self) -> None:
        """Nothing is taken any more, and what was not kept is gone."""
        if not self._closed:
            self._closed = True
            for draft in self.drafts:
                self._shelf.end(draft)
