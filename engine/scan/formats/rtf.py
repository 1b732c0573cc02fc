"""Objects in RTF documents: OLE 1.0 objects in \\objdata, packed files in them, and other data spelled out in digits.

Where a document nests groups in such data, escapes digits, or sets \\bin where it does not belong, readers differ; then
the union of the readings is examined. What a reading finds that another one found already is not given out again.
"""

import hashlib
from collections.abc import Iterator
from typing import Final

from cext.rtf import ESCAPES, FLAT, GROUPS, NO_BIN, objects
from engine.scan.facts import Cause
from engine.scan.formats import package
from engine.scan.formats.cfb import MAGIC
from engine.scan.formats.item import Gap, Item, Member, Odd, Room
from engine.scan.mapped import Octets

OBJECTS: Final = 4_000  # of one document
_READINGS: Final = (0, GROUPS, FLAT, GROUPS | ESCAPES, NO_BIN, GROUPS | NO_BIN)


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """The objects of a document. A document without any is one without members; it never raises NotThis."""
    seen: set[bytes] = set()
    for reading in _READINGS:
        room.check_time()
        found, over, unclear = objects(buf, reading, room.room(), OBJECTS)
        for offset, octets in found:
            digest = hashlib.sha256(octets).digest()
            if octets and digest not in seen:
                seen.add(digest)
                yield from _object(offset, octets, room)
        if over:
            yield Gap(Cause.LIMIT, "rtf-objects")
        if not unclear:
            return
        if reading == 0:
            yield Odd("rtf-ambiguous")


def _object(offset: int, octets: bytes, room: Room) -> Iterator[Item]:
    name = f"object-{offset:x}"
    if octets.startswith(MAGIC):
        yield _cut(name, octets, room)
        return
    read = package.read_object(octets)
    packed = None
    if read is not None and read.data:
        packed = package.read_package(read.data, 0)
    if read is None or read.data == b"":
        at = octets.find(MAGIC)  # headers that do not hold together do not keep readers from what follows
        yield _cut(name, octets, room, plain=True)
        if at > 0:
            yield _cut(f"{name}/storage", octets[at:], room)
        return
    if packed is not None:
        yield Member(
            f"{name}/{packed.names[0]}",
            packed.data[: room.room()],
            len(packed.data) > room.room(),
            packed.complete,
            also=packed.names,
        )
        return
    at = read.data.find(MAGIC)
    yield _cut(name, read.data, room, plain=at > 0)
    if at > 0:
        yield _cut(f"{name}/storage", read.data[at:], room)


def _cut(name: str, octets: Octets, room: Room, plain: bool = False) -> Member:
    most = room.room()
    return Member(name, octets[:most], len(octets) > most, stream=True, plain=plain)
