"""A file as the octets of a walk, without reading all of it into memory.

Only the top of a message is walked as it lies in the file: what is taken out of it is an object of its own. So a walk
over a large message needs what its largest part needs, if the pages of each part are given back behind it.
"""

import mmap
import os
from typing import Final, TypeAlias

from cext.span import Span

WINDOW_LEN: Final = 4 << 20  # octets that are read on, at most, before pages are given back
_PAGE: Final = mmap.PAGESIZE


class Mapped(mmap.mmap):
    """A regular file of at least one octet, read only: `Mapped(fd)`. Who cuts the file meanwhile ends the process.

    Raises OSError and ValueError as mmap does.
    """

    def __new__(cls, fd: int) -> "Mapped":
        return super().__new__(cls, fd, os.fstat(fd).st_size, access=mmap.ACCESS_READ)

    def startswith(self, prefix: bytes | tuple[bytes, ...], start: int = 0) -> bool:
        """As bytes.startswith."""
        prefixes = prefix if isinstance(prefix, tuple) else (prefix,)
        return any(self[start : start + len(one)] == one for one in prefixes)

    def __contains__(self, sub: object) -> bool:
        """As of bytes: mmap compares single octets."""
        return isinstance(sub, bytes) and self.find(sub) >= 0

    def give_back(self, start: int, end: int) -> None:
        """The octets [start, end) will hardly be read again soon: their pages need not stay in this process.

        Neither need those in front of them, some of which the system brings in by itself beside what is read.
        """
        first, last = max(0, start - WINDOW_LEN) // _PAGE * _PAGE, end // _PAGE * _PAGE
        if last > first:
            self.madvise(mmap.MADV_DONTNEED, first, last - first)


# All of them: index, slices that are bytes, in, find, rfind, startswith, the buffer protocol.
Octets: TypeAlias = bytes | Mapped | Span


def part(buf: Octets, start: int, end: int) -> bytes | Span:
    """buf[start:end], not copied. It is kept in memory, or mapped, as long as that is."""
    return buf if type(buf) is bytes and start == 0 and end == len(buf) else Span(buf, start, end)


def held(octets: Octets) -> int:
    """How many octets are in memory for these alone: none of what lies in others."""
    return len(octets) if type(octets) is bytes else 0


def give_back(buf: Octets, start: int, end: int) -> None:
    """As Mapped does; nothing for octets in memory."""
    if type(buf) is Mapped:
        buf.give_back(start, end)
