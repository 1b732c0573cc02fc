"""ActiveMime files: the VBA project that Word and Excel keep beside a document saved as a web page (editdata.mso).

The octets behind some header are one zlib stream with a compound file in it. The header is not documented; the stream
is tried where known versions keep it, else it is looked for.
"""

from collections.abc import Iterator
from typing import Final

from engine.scan.facts import Cause
from engine.scan.formats.item import Gap, Item, Member, NotThis, Room
from engine.scan.inflate import inflate
from engine.scan.mapped import Octets

MAGIC: Final = b"ActiveMime\0\0"
_USUAL: Final = (0x32, 0x22A)
_ZLIB: Final = (b"\x78\x9c", b"\x78\x01", b"\x78\x5e", b"\x78\xda")
_LOOKED_AT: Final = 4096


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """The one file inside. Raises NotThis without the mark at the front."""
    if not buf.startswith(MAGIC):
        raise NotThis("activemime-header")
    return _members(buf, room)


def _members(buf: Octets, room: Room) -> Iterator[Item]:
    marked = [at for at in range(12, min(len(buf), _LOOKED_AT)) if buf[at : at + 2] in _ZLIB]
    for at in dict.fromkeys([one for one in _USUAL if one in marked] + marked[:16]):
        room.check_time()
        unpacked = inflate(memoryview(buf)[at + 2 :], room.room())
        if unpacked.data and (unpacked.complete or unpacked.over or at in _USUAL):
            yield Member("editdata", unpacked.data, unpacked.over, unpacked.complete, stream=True)
            return
    yield Gap(Cause.DAMAGED, "activemime-data")
