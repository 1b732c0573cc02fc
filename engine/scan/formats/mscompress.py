"""Single files that Microsoft's COMPRESS.EXE packed (SZDD), through libmspack. Those of KWAJ are only told."""

from collections.abc import Iterator
from typing import Final

from cext import mspack
from engine.scan.facts import Cause
from engine.scan.formats.item import Item, Member, NotThis, Room, Unread
from engine.scan.mapped import Octets

_RATIO: Final = 16  # of a stretch that is repeated, and its flag, at most


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """One file. Raises NotThis if nothing of it can be had."""
    if buf.startswith(b"KWAJ"):
        yield Unread("", 0, Cause.UNSUPPORTED, "KWAJ")
        return
    data, whole, over = mspack.expand(buf, min(room.room(), _RATIO * len(buf)))
    if not whole and not data:
        raise NotThis("mscompress: data")
    at = 10 if buf.startswith(b"SZDD") else 8
    yield Member("", data, over, over or (whole and len(data) >= int.from_bytes(buf[at : at + 4], "little")))
