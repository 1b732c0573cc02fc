"""A file as the octets of a walk, without reading all of it into memory.

Only the top of a message is walked as it lies in the file: what is taken out of it is an object of its own. So a walk
over a large message needs what its largest part needs, if the pages of each part are given back behind it.
"""

import mmap
import os
from typing import Final, TypeAlias

WINDOW_LEN: Final = 4 << 20  # octets that are read on, at most, before pages are given back
_PAGE: Final = mmap.PAGESIZE


class Mapped(mmap.mmap):
    """A regular file of at least one octet, read only: `Mapped(fd)`. Who cuts the file meanwhile ends the process.

    Raises OSError and ValueError as mmap does.
    """

    def __new__(cls, fd: int) -> "Mapped":
        return super().__new__(cls, fd, os.fstat(fd).st_size, access=mmap.ACCESS_READ)

    def give_back(self, start: int, end: int) -> None:
        """The octets [start, end) will hardly be read again soon: their pages need not stay in this process.

        Neither need those in front of them, some of which the system brings in by itself beside what is read.
        """
        first, last = max(0, start - WINDOW_LEN) // _PAGE * _PAGE, end // _PAGE * _PAGE
        if last > first:
            self.madvise(mmap.MADV_DONTNEED, first, last - first)


Octets: TypeAlias = bytes | Mapped  # both: index, slices that are bytes, find, rfind, the buffer protocol


def give_back(buf: Octets, start: int, end: int) -> None:
    """As Mapped does; nothing for octets in memory."""
    if type(buf) is Mapped:
        buf.give_back(start, end)
