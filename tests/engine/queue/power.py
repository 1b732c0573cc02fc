"""A disk that knows what a power failure may leave of it: what was synced, and any part of what was not."""

import os
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from engine.queue.disk import Disk

SECTOR = 512


class Entry(NamedTuple):
    """A change of names: `name` in `folder` is that file from now on, or nothing. half: its other part, of a rename."""

    folder: Path
    name: str
    file: "File | None"
    half: "Entry | None" = None


class Change(NamedTuple):
    """Octets of a file from `offset` on; data None: it ends there."""

    file: "File"
    offset: int
    data: bytes | None


class Synced(NamedTuple):
    """Everything about it that was begun before `since` is on disk."""

    what: "File | Path"
    since: int


class File:
    """One inode. octets: as they were when the disk was first seen."""

    def __init__(self, octets: bytes = b"") -> None:
        self.octets = octets


class PowerDisk(Disk):
    """log: what happened, in order, also what the test put there itself."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log: list[object] = []
        self._lock = threading.Lock()
        self._first = {path: File(path.read_bytes()) for path in sorted(root.rglob("*")) if path.is_file()}
        self._folders = {root.parent, root, *(path for path in root.rglob("*") if path.is_dir())}
        self._files = dict(self._first)
        self._open: dict[int, File | Path] = {}

    # --- what the queue calls --------------------------------------------------------------------------

    def open(self, path: Path | str, flags: int) -> int:
        path = Path(path)
        with self._lock:
            fd = super().open(path, flags)
            if flags & os.O_DIRECTORY:
                self._open[fd] = path
                return fd
            if path not in self._files:
                self._files[path] = file = File()
                self.log.append(Entry(path.parent, path.name, file))
            elif flags & os.O_TRUNC:
                self.log.append(Change(self._files[path], 0, None))
            self._open[fd] = self._files[path]
            return fd

    def pwritev(self, fd: int, buffers: Sequence[bytes], offset: int) -> int:
        with self._lock:
            self.log.append(Change(self._file(fd), offset, b"".join(buffers)))
            return super().pwritev(fd, buffers, offset)

    def allocate(self, fd: int, length: int) -> None:
        with self._lock:
            self.log.append(Change(self._file(fd), length, b""))
            super().allocate(fd, length)

    def truncate(self, fd: int, length: int) -> None:
        with self._lock:
            self.log.append(Change(self._file(fd), length, None))
            super().truncate(fd, length)

    def fdatasync(self, fd: int) -> None:
        self.fsync(fd)

    def fsync(self, fd: int) -> None:
        with self._lock:
            since = len(self.log)
        with self._lock:
            self.log.append(Synced(self._open[fd], since))

    def rename(self, source: Path, target: Path) -> None:
        with self._lock:
            super().rename(source, target)
            file = self._files.pop(source)
            self._files[target] = file
            self.log.append(Entry(target.parent, target.name, file, Entry(source.parent, source.name, None)))

    def unlink(self, path: Path) -> None:
        with self._lock:
            super().unlink(path)
            del self._files[path]
            self.log.append(Entry(path.parent, path.name, None))

    def mkdir(self, path: Path) -> None:
        with self._lock:
            super().mkdir(path)
            self._folders.add(path)
            self.log.append(Entry(path.parent, path.name, File()))

    def _file(self, fd: int) -> File:
        file = self._open[fd]
        assert isinstance(file, File)
        return file

    # --- what is left ----------------------------------------------------------------------------------

    def lose(self, moment: int, target: Path, dice: random.Random) -> None:
        """What may be there after a failure when so much of the log had happened, as the folder `target`."""
        durable: dict[object, int] = {}
        for event in self.log[:moment]:
            if isinstance(event, Synced):
                durable[event.what] = max(durable.get(event.what, 0), event.since)
        octets: dict[File, bytearray] = {}
        for place, event in enumerate(self.log[:moment]):
            if isinstance(event, Change):
                content = octets.setdefault(event.file, bytearray(event.file.octets))
                _change(content, event, dice, certain=place < durable.get(event.file, 0))
        for path, file in self._names(moment, durable, dice).items():
            if all(folder in self._there for folder in path.parents if folder.is_relative_to(self.root)):
                copy = target / path.relative_to(self.root)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(octets.get(file, file.octets))
        target.mkdir(exist_ok=True)

    def _names(self, moment: int, durable: dict[object, int], dice: random.Random) -> dict[Path, File]:
        """Of each directory what happened up to some moment, not before its last sync."""
        names = dict(self._first)
        made = {entry.folder / entry.name for entry in self.log if isinstance(entry, Entry) and self._is_folder(entry)}
        self._there = self._folders - made
        ended: set[Path] = set()  # directories of which nothing later got to the disk
        for place, event in enumerate(self.log[:moment]):
            if not isinstance(event, Entry):
                continue
            halves = [event, *([event.half] if event.half else [])]
            for half in halves:  # a disk may have one of the two without the other, but never the removal alone
                certain = place < durable.get(half.folder, 0)
                if half.folder in ended or (not certain and dice.random() < 0.4):
                    ended.add(half.folder)
                    break
                path = half.folder / half.name
                if self._is_folder(half):
                    self._there.add(path)
                elif half.file is None:
                    names.pop(path, None)
                else:
                    names[path] = half.file
        return names

    def _is_folder(self, entry: Entry) -> bool:
        return entry.folder / entry.name in self._folders


def _change(content: bytearray, change: Change, dice: random.Random, *, certain: bool) -> None:
    if change.data is None:
        if certain or dice.random() < 0.5:
            del content[change.offset :]
        return
    kept = 1.0 if certain else dice.choice((0.0, 0.5, 1.0))
    if change.data == b"":
        if dice.random() < kept:
            content.extend(bytes(max(change.offset - len(content), 0)))
        return
    at = 0
    while at < len(change.data):  # sector by sector of the disk
        size = SECTOR - (change.offset + at) % SECTOR
        if dice.random() < kept:
            start = change.offset + at
            piece = change.data[at : at + size]
            content.extend(bytes(max(start - len(content), 0)))
            content[start : start + len(piece)] = piece
        at += size
