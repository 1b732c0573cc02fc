"""Files that lie in pieces of a larger content, as on disks: not copied where they are in one piece."""

import abc
import io
from collections.abc import Iterable
from typing import Final

import msgspec

from engine.scan.mapped import Octets, part

HOLE: Final = -1  # in place of an offset: so many zeros
Extents = list[tuple[int, int]]  # offset and octets of each piece, in order


class Gathered(msgspec.Struct, frozen=True):
    """over: cut at the room that was left. complete: False if pieces lie outside, or there are too few of them.

    outside: some lie outside.
    """

    data: Octets
    over: bool
    complete: bool
    outside: bool = False


def add(extents: Extents, offset: int, length: int) -> None:
    """Put a piece behind the others, as one with the last if it goes on with it."""
    if extents:
        last, have = extents[-1]
        if (last + have == offset and last >= 0) or (last == offset == HOLE):
            extents[-1] = last, have + length
            return
    extents.append((offset, length))


def gather(buf: Octets, extents: Extents, size: int, room: int) -> Gathered:
    """The first size octets of what the extents make. Never raises. O(extents + octets given out)."""
    wanted = min(size, room)
    if extents and extents[0][1] >= wanted and 0 <= extents[0][0] <= len(buf) - wanted:
        return Gathered(part(buf, extents[0][0], extents[0][0] + wanted), size > room, True)
    out = io.BytesIO()
    have = 0
    outside = False
    view = memoryview(buf)
    for offset, length in extents:
        if have >= wanted:
            break
        length = min(length, wanted - have)
        if offset == HOLE:
            have += length
            out.seek(have - 1)
            out.write(b"\0")
            continue
        piece = view[min(offset, len(buf)) : min(offset + length, len(buf))]
        have += out.write(piece)
        if len(piece) < length:
            outside = True
            break
    return Gathered(out.getvalue(), size > room and have >= wanted, have >= wanted, outside)


class Disk(abc.ABC):
    """Octets that lie in an image in whatever order: a disk without holes of its own says so itself."""

    def __init__(self, buf: Octets, size: int, sector_len: int) -> None:
        self.buf = buf
        self.size = size
        self.sector_len = sector_len

    @abc.abstractmethod
    def where(self, at: int, length: int) -> Extents:
        """Where so many octets from an offset on lie in the image."""

    def read(self, at: int, length: int) -> bytes:
        """So many octets; what is not there is zero."""
        data = gather(self.buf, self.where(at, length), length, length).data
        return bytes(data).ljust(length, b"\0")

    def gather(self, extents: Iterable[tuple[int, int]], size: int, room: int) -> Gathered:
        """As gather() does, of extents on the disk; none is asked for behind one that lies outside of the image."""
        found: Extents = []
        left = min(size, room)
        for at, length in extents:
            if left <= 0 or (found and found[-1][0] != HOLE and sum(found[-1]) > len(self.buf)):
                break
            for offset, piece in [(HOLE, length)] if at == HOLE else self.where(at, min(length, left)):
                add(found, offset, piece)
            left -= length
        return gather(self.buf, found, size, room)
