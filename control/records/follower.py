"""Follows the journal: reads what processes append to their files into the store, about twice a second.

A file that was replaced or has become shorter is not the one that was read: everything is read again then, which
is always possible and always right. A file that is gone was deleted by retention, and its events go too.
"""

import logging
import os
import sqlite3
import threading
from pathlib import Path
from typing import Final

from control.records.store import JournalFile, Store
from engine.journal import SUFFIX

POLL_S: Final = 0.5
CHUNK_LEN: Final = 4 << 20  # octets of one read and one transaction; a line is never longer
log = logging.getLogger(__name__)


class Follower:
    """Use `poll` alone, or `start` and `stop` for a thread that polls. The store has no other writer."""

    def __init__(self, directory: Path, store: Store) -> None:
        self._directory = directory
        self._store = store
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._rebuild = False
        self.problem = ""

    def poll(self) -> int:
        """Read all that is new. Returns the number of events. Raises OSError, sqlite3.Error; then call again."""
        present = files_of(self._directory)
        known = self._store.files()
        if self._rebuild or any(_replaced(known[name], present[name]) for name in known.keys() & present.keys()):
            self._store.clear()
            self._rebuild = False
            known = {}
        for name in known.keys() - present.keys():
            self._store.expire(known[name])
        events = 0
        newest = {_process(name): name for name in sorted(present, key=_by_day)}
        for name in sorted(present, key=_by_day):
            file = known.get(name) or self._store.add_file(name, present[name].st_ino)
            if present[name].st_size > file.offset:
                events += self._read(file)
            over = newest[_process(name)] != name  # another day has begun: nothing will follow
            while not self._stopping and self._store.index(file, whole=over):
                pass
        return events

    def rebuild(self) -> None:
        """Throw away what was read and read the journal from its beginning, at the next poll."""
        self._rebuild = True
        self._wake.set()

    def _read(self, file: JournalFile) -> int:
        """What is torn at the end stays unread until its line end is there, or until it is too long to be a line."""
        events = 0
        with (self._directory / file.name).open("rb", buffering=0) as journal:
            while not self._stopping:
                journal.seek(file.offset)
                chunk = journal.read(CHUNK_LEN)
                whole = chunk.rfind(b"\n") + 1
                if not whole and len(chunk) == CHUNK_LEN:
                    whole = CHUNK_LEN
                if not whole:
                    return events
                events += self._store.ingest(file, chunk[:whole].removesuffix(b"\n").split(b"\n"), file.offset + whole)
                self._store.index(file, whole=False)
        return events

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="journal-follower", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            try:
                self.poll()
            except (OSError, sqlite3.Error) as error:
                if not self.problem:
                    log.error("cannot follow the journal, trying again: %s", error)
                self.problem = str(error)
            else:
                self.problem = ""
            self._wake.wait(POLL_S)


def files_of(directory: Path) -> dict[str, os.stat_result]:
    """The files of the journal. Raises OSError."""
    with os.scandir(directory) as entries:
        found = [entry for entry in entries if entry.name.endswith(SUFFIX)]
        return {entry.name: entry.stat() for entry in found if entry.is_file()}


def _replaced(known: JournalFile, present: os.stat_result) -> bool:
    return present.st_ino != known.inode or present.st_size < known.offset


def _process(name: str) -> str:
    return name[: -len("-YYYY-MM-DD") - len(SUFFIX)]


def _by_day(name: str) -> tuple[str, str]:
    """Days in order, so that each start is read soon after the day it belongs to."""
    return name[-len("YYYY-MM-DD") - len(SUFFIX) :], name
