"""The directory of the local quarantine as the pages look at it: list, read, delete. Relays fill it (shelf.py)."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from engine import durable
from engine.quarantine import sealed
from engine.quarantine.item import SUFFIX, Item, ids_of

KNOWN: Final = 10_000  # files of which the pages remember what they read, some 2 KiB each
FEW: Final = 20  # recipients; a file with more is read again


class Entry(msgspec.Struct, frozen=True):
    """One file as it lies there. length: octets on disk."""

    name: str
    id: str
    smtp_id: str
    length: int


def listed(directory: Path) -> Iterator[tuple[str, int]]:
    """Names of files and their octets on disk. Others delete meanwhile, and that ends no listing. Raises OSError."""
    try:
        listing = os.scandir(directory)
    except FileNotFoundError:
        return  # nothing was ever put aside
    with listing:
        for entry in listing:
            try:
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if stat.S_ISREG(found.st_mode):
                yield entry.name, found.st_size


class Folder:
    """Safe from any thread. Nothing is opened by a name that does not stand in the listing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._known: dict[str, Item | None] = {}  # what is known of KNOWN files, which never changes

    def entries(self) -> list[Entry]:
        """Newest first. Raises OSError."""
        found = [
            Entry(name, ids[1], ids[0], length)
            for name, length in listed(self.directory)
            if name.endswith(SUFFIX) and (ids := ids_of(name)) is not None
        ]
        found.sort(key=lambda one: one.name, reverse=True)
        names = {one.name for one in found}
        for gone in [name for name in list(self._known) if name not in names]:  # others add to it meanwhile
            self._known.pop(gone, None)
        return found

    def item(self, entry: Entry) -> Item | None:
        """What is known of it; None if it cannot be read, which is remembered. Raises OSError."""
        if entry.name in self._known:
            return self._known[entry.name]
        try:
            item = sealed.read_item(self.directory / entry.name, self._key())
        except sealed.Unreadable:
            item = None
        if len(self._known) < KNOWN and (item is None or len(item.recipients) <= FEW):
            self._known[entry.name] = item
        return item

    def find(self, item_id: str) -> Entry | None:
        """Raises OSError."""
        return next((entry for entry in self.entries() if entry.id == item_id), None)

    def content(self, entry: Entry) -> tuple[Item, Iterator[bytes]]:
        """Raises sealed.Unreadable, OSError; the iterator does, too."""
        return sealed.read_content(self.directory / entry.name, self._key())

    def delete(self, entry: Entry) -> bool:
        """Whether it was there. Durable. Raises OSError."""
        try:
            (self.directory / entry.name).unlink()
        except FileNotFoundError:
            return False
        durable.sync(self.directory)
        return True

    def _key(self) -> bytes:
        return sealed.key_of(self.directory)
