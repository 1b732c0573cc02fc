"""The diagnostic files of one relay within their bounds: its share of size and number, and age (DIAG-02).

A file belongs to the relay that the id in its name tells of, as in the queue, so that relays never count or delete each
other's. The oldest file makes room for the next one. Nobody is ever told to wait or to fail: what cannot be written is
not kept, and `report` hears of it once until something can be written again. Mail goes first where the disk is nearly
full.
"""

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.diagnostics import files
from engine.limits import DIAGNOSTIC_FILES, MIB

FREE_PERCENT: Final = 5.0  # of the disk that diagnostics leave alone
PARTS: Final = 4  # one file is at most such a part of the share
DELETIONS: Final = 100  # at once
CUT: Final = b"-- cut here: there is no room for more of it\n"


def free_percent(directory: Path) -> float:
    """Of the space that the service may use. Raises OSError."""
    found = os.statvfs(directory)
    return 100.0 * found.f_bavail / max(1, found.f_blocks - found.f_bfree + found.f_bavail)


class Room:
    """max_mb: of all relays together. relays: how many share it. owns: whether a file of before is ours, by its id.

    Used in one event loop; only the writing of what `reserve` allowed may be done elsewhere.
    """

    def __init__(
        self,
        directory: Path,
        relays: int,
        owns: Callable[[str], bool],
        report: Callable[[str], None],
        free: Callable[[Path], float] = free_percent,
    ) -> None:
        self.directory = directory
        self.max_len = MIB
        self.max_files = max(2, DIAGNOSTIC_FILES // relays)
        self._relays = relays
        self._report = report
        self._free = free
        self._in_trouble = False
        found = [file for file in reversed(self._before()) if owns(file.id)]
        self._sizes = {file.name: file.size for file in found}  # oldest first
        self._total = sum(self._sizes.values())

    def apply(self, max_mb: int) -> None:
        self.max_len = max_mb * MIB // self._relays
        self._make_room(0, 0, "")

    @property
    def total_len(self) -> int:
        """Octets of our files."""
        return self._total

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def file_len(self) -> int:
        """Octets that one file may have."""
        return self.max_len // PARTS

    def __contains__(self, name: str) -> bool:
        return name in self._sizes

    def len_of(self, name: str) -> int:
        return self._sizes.get(name, 0)

    def holds(self, part: str) -> bool:
        """Whether part is in the name of a file. O(files)."""
        return any(part in name for name in self._sizes)

    def new(self, name: str) -> "File":
        """A file that begins to exist with its first octets."""
        return File(self, name)

    # --- writing ----------------------------------------------------------------------------------

    def reserve(self, name: str, length: int) -> bool:
        """Count length more octets of a file, which may be a new one. False: they must not be written."""
        is_new = name not in self._sizes
        if self.len_of(name) + length > self.file_len:
            return False
        try:
            if is_new:
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self._free(self.directory) < FREE_PERCENT:
                self.failed(f"less than {FREE_PERCENT:g} % of the disk are free: diagnostic files are not written")
                return False
        except OSError as error:
            self.failed(str(error))
            return False
        if not self._make_room(length, is_new, name):
            return False
        self._sizes[name] = self.len_of(name) + length
        self._total += length
        return True

    def append(self, name: str, octets: bytes) -> bool:
        """False: they were not written, and the file gets no more. A part of them may be there."""
        is_new = name not in self._sizes
        if not self.reserve(name, len(octets)):
            return False
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if is_new else 0)
        try:
            fd = os.open(self.directory / name, flags, 0o600)
            try:
                if os.write(fd, octets) != len(octets):
                    raise OSError(f"{name}: the disk is full")
            finally:
                os.close(fd)
        except FileNotFoundError:  # a person deleted it
            self._forget(name)
            return False
        except OSError as error:
            self.failed(str(error))
            if is_new:
                self.delete(name)
            return False
        self._in_trouble = False
        return True

    def failed(self, words: str) -> None:
        """Something could not be written."""
        if not self._in_trouble:
            self._in_trouble = True
            self._report(words)

    # --- making room ------------------------------------------------------------------------------

    def delete(self, name: str) -> None:
        """It may be gone already."""
        self._forget(name)
        try:
            (self.directory / name).unlink(missing_ok=True)
        except OSError as error:
            self.failed(str(error))

    def sweep(self, before: str) -> None:
        """Delete what is older than a time, as in names, or too much: some of it, if it is a lot."""
        for oldest in list(itertools.islice(self._sizes, DELETIONS)):
            if oldest >= before:
                break
            self.delete(oldest)
        self._make_room(0, 0, "")

    def _make_room(self, length: int, number: int, keeping: str) -> bool:
        """For so many octets more in a number of new files. False: there is none yet, or all but what is kept is gone.

        O(DELETIONS): mail waits meanwhile.
        """
        for oldest in list(itertools.islice(self._sizes, DELETIONS)) if self._is_full(length, number) else ():
            if oldest != keeping:
                self.delete(oldest)
            if not self._is_full(length, number):
                return True
        return not self._is_full(length, number)

    def _is_full(self, length: int, number: int) -> bool:
        return self._total + length > self.max_len or len(self._sizes) + number > self.max_files

    def _forget(self, name: str) -> None:
        self._total -= self._sizes.pop(name, 0)

    def _before(self) -> list[files.DiagnosticFile]:
        try:
            return files.listing(self.directory)
        except OSError as error:
            self.failed(str(error))
            return []


class File:
    """One file that grows."""

    __slots__ = ("_begun", "_room", "name")

    def __init__(self, room: Room, name: str) -> None:
        self.name = name
        self._room = room
        self._begun = False

    def append(self, octets: bytes) -> bool:
        """False: that was the last of it."""
        room, name = self._room, self.name
        if self._begun and name not in room:
            return False  # it made room for others
        if room.len_of(name) + len(octets) > room.file_len - len(CUT):
            room.append(name, CUT)
            return False
        written = room.append(name, octets)
        self._begun |= written
        return written

    def discard(self) -> None:
        """It is not wanted after all."""
        if self._begun:
            self._room.delete(self.name)
