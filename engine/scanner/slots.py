"""Files that one scanner has open, by slot numbers: each descriptor is sent once.

They are told apart by device and inode, not by number: as long as the scanner has a file open, its inode is not given
to another, while the queue may close a descriptor and get its number again for another file at any time.
"""

import fcntl
import itertools
import os
from collections.abc import Sequence
from typing import Final, NamedTuple

from engine.scanner import protocol
from engine.scanner.job import Extent

SLOTS: Final = protocol.DESCRIPTORS  # that one scanner has; with those of one more frame below its descriptor limit
SLOT_IDLE_S: Final = 5.0  # an unused file is forgotten then, so that a deleted one gives its space back

_Key = tuple[int, int]  # device and inode


class Placed(NamedTuple):
    """forgotten: slots of which the scanner is told before. extents: (slot, offset, length). new: slots of the
    descriptors, which are read-only and the caller's to close."""

    forgotten: tuple[int, ...]
    extents: tuple[tuple[int, int, int], ...]
    new: tuple[int, ...]
    descriptors: list[int]


class _Slot:
    __slots__ = ("number", "used_s")

    def __init__(self, number: int, used_s: float) -> None:
        self.number = number
        self.used_s = used_s


class Slots:
    def __init__(self) -> None:
        self._known: dict[_Key, _Slot] = {}
        self._numbers = itertools.count()

    def place(self, extents: Sequence[Extent], now: float) -> Placed:
        """now: seconds, as in `idle`. Raises OSError; then nothing has changed."""
        by_fd: dict[int, int] = {}
        fresh: dict[_Key, _Slot] = {}
        descriptors: list[int] = []
        placed = []
        try:
            for extent in extents:
                number = by_fd.get(extent.fd)
                if number is None:
                    status = os.fstat(extent.fd)
                    key = (status.st_dev, status.st_ino)
                    slot = self._known.get(key) or fresh.get(key)
                    if slot is None:
                        descriptors.append(_read_only(extent.fd))
                        slot = fresh[key] = _Slot(next(self._numbers), now)
                    slot.used_s = now
                    number = by_fd[extent.fd] = slot.number
                placed.append((number, extent.offset, extent.length))
            forgotten = self._room_for(len(fresh), set(by_fd.values())) if fresh else ()
        except BaseException:
            for fd in descriptors:
                os.close(fd)
            raise
        self._known.update(fresh)
        return Placed(forgotten, tuple(placed), tuple(slot.number for slot in fresh.values()), descriptors)

    def idle(self, now: float) -> tuple[int, ...]:
        """Those that nothing has used for long: known no more, so the scanner has to be told."""
        return self._forget([key for key, slot in self._known.items() if now - slot.used_s > SLOT_IDLE_S])

    def _room_for(self, count: int, needed: set[int]) -> tuple[int, ...]:
        """The files that were not used for longest, which go so that there is room for `count` more."""
        surplus = len(self._known) + count - SLOTS
        if surplus <= 0:
            return ()
        others = sorted(
            (slot.used_s, slot.number, key) for key, slot in self._known.items() if slot.number not in needed
        )
        if len(others) < surplus:
            raise OSError(f"a message in more than {SLOTS} files")
        return self._forget([key for _, _, key in others[:surplus]])

    def _forget(self, keys: Sequence[_Key]) -> tuple[int, ...]:
        return tuple(self._known.pop(key).number for key in keys)


def _read_only(fd: int) -> int:
    """A new descriptor of the same file that cannot be written through. Raises OSError."""
    if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        return os.dup(fd)
    return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
