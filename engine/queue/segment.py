"""Segments: the files of a fast log, each `<generation as 16 hex digits>.seg` in the directory of its relay.

A segment is written full of zeros once and made durable with its directory, so that a later fdatasync has no
metadata to write. It is recycled by giving the file the name of a new generation: same inode, same octets, which
nobody can read any more because they carry the old generation.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engine import limits
from engine.queue.disk import Disk

if TYPE_CHECKING:
    from engine.queue.state import MessageState

SUFFIX: Final = ".seg"
_ZEROS: Final = bytes(limits.MIB)


class Segment:
    """One open segment. Owns its descriptors: `fd` to append, `read_fd` to hand out; closed when nobody holds it.

    offset, sequence: of the next record. live: messages with a record in it that are not done.
    sick: a write or sync failed; it is not to be used again once it is empty.
    """

    __slots__ = (
        "__weakref__",
        "_disk",
        "fd",
        "generation",
        "length",
        "live",
        "offset",
        "path",
        "read_fd",
        "sequence",
        "sick",
    )

    def __init__(self, path: Path, generation: int, length: int, disk: Disk) -> None:
        self.path = path
        self.generation = generation
        self.length = length
        self.offset = 0
        self.sequence = 0
        self.live: set[MessageState] = set()
        self.sick = False
        self._disk = disk
        self.fd = self.read_fd = -1
        self.fd = disk.open(path, os.O_RDWR)
        self.read_fd = disk.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        for fd in (self.fd, self.read_fd):
            if fd >= 0:
                self._disk.close(fd)

    @property
    def room(self) -> int:
        return self.length - self.offset

    def pread(self, length: int, offset: int) -> bytes:
        return self._disk.pread(self.read_fd, length, offset)


def segment_path(directory: Path, generation: int) -> Path:
    return directory / f"{generation:016x}{SUFFIX}"


def generations(directory: Path) -> list[int]:
    """The generations of the segments in a directory, oldest first. Other names there are left alone."""
    return sorted(_generations(directory))


def _generations(directory: Path) -> Iterator[int]:
    for name in os.listdir(directory):
        stem, dot, suffix = name.partition(".")
        if dot + suffix == SUFFIX and len(stem) == 16 and all(c in "0123456789abcdef" for c in stem):
            yield int(stem, 16)


def next_generation(last: int) -> int:
    """Counts in the upper half, so that names sort by age; the lower half is random (framing.py says why)."""
    return (last >> 32) + 1 << 32 | secrets.randbits(32)


def create(directory: Path, generation: int, length: int, disk: Disk) -> Segment:
    """A new segment, zeroed and durable. Raises OSError, and then there is no such file."""
    path = segment_path(directory, generation)
    fd = disk.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        try:
            disk.allocate(fd, length)  # says at once whether there is room
            for offset in range(0, length, len(_ZEROS)):
                disk.write_all(fd, [_ZEROS[: length - offset]], offset)
            disk.fsync(fd)
        finally:
            disk.close(fd)
        disk.sync_directory(directory)
        return Segment(path, generation, length, disk)
    except OSError:
        disk.unlink(path)
        raise


def recycle(old: Segment, generation: int, disk: Disk) -> Segment:
    """Give the file of a finished segment a new life. Raises OSError; old.path is right in any case.

    Only the oldest of a log may be recycled: the end of a message may be recorded in any younger one.
    """
    path = segment_path(old.path.parent, generation)
    disk.rename(old.path, path)
    old.path = path
    disk.sync_directory(path.parent)
    return Segment(path, generation, old.length, disk)
