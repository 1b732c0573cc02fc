"""Archives that lie in content of another type, behind a picture or behind a few words: 7-Zip, WinRAR and others look
for the mark of an archive in all of a file, whatever it begins with. A zip that ends in a directory is found by that.

The first of each kind whose header is sound is handed out, with all that is behind it: only a zip says where it ends.
Two passes over the octets.
"""

import zlib
from collections.abc import Iterator
from typing import Final

from cext.marks import ALL, BZIP2, CAB, GZIP, LHA, RAR, SEVEN_ZIP, XZ, ZIP, find_mark
from engine.scan import gzip_file, magic, zip_file
from engine.scan.facts import Cause
from engine.scan.formats import archive, lha
from engine.scan.formats.item import Gap, Item, Member, Odd, Room
from engine.scan.mapped import Octets, part

_KINDS: Final = dict(zip(b"P7RM-\x1fB\xfd", (ZIP, SEVEN_ZIP, RAR, CAB, LHA, GZIP, BZIP2, XZ), strict=True))
_NAMES: Final = {
    ZIP: "zip",
    SEVEN_ZIP: "7z",
    RAR: "rar",
    CAB: "cab",
    LHA: "lha",
    GZIP: "gzip",
    BZIP2: "bzip2",
    XZ: "xz",
}
_TRIED: Final = 1024  # octets of a gzip member of which so many have to come to more than _INFLATED, or to its end
_INFLATED: Final = 64
_CANDIDATES: Final = 1000  # marks that are looked at


def members(buf: Octets, room: Room) -> Iterator[Item]:
    if zip_file.read(buf, local_only=False) is None:  # else who opens it by its directory has it all
        yield from _found(buf, room, ZIP)
    yield from _found(buf, room, ALL & ~ZIP)


def _found(buf: Octets, room: Room, wanted: int) -> Iterator[Item]:
    at = 0
    for _ in range(_CANDIDATES):
        room.check_time()
        at = find_mark(buf, at + 1, wanted) if at < len(buf) else -1
        if at < 0:
            return
        kind = _KINDS[buf[at]]
        begin = at - 2 if kind == LHA else at
        if begin > 0 and _sound(buf, begin, kind):
            end = zip_file.end_of(buf, begin) if kind == ZIP else -1
            if end < 0:
                wanted &= ~kind
            else:
                at = end - 1
            yield Odd(f"{_NAMES[kind]}-in-other-content")
            yield Member("", part(buf, begin, len(buf) if end < 0 else end), stream=True, kind=_NAMES[kind])
    yield Gap(Cause.LIMIT, f"{_CANDIDATES} signatures of archives in other content")


def _sound(buf: Octets, at: int, kind: int) -> bool:
    if kind == ZIP:
        return zip_file.sound(buf, at)
    if kind == LHA:
        return lha.sound(buf, at)
    if kind == GZIP:
        tried = gzip_file.unpack(buf[at : at + _TRIED], 0, _INFLATED)
        return tried is not None and (tried.over or tried.complete)
    if kind == BZIP2:
        return magic.identify(buf, at, len(buf)) == "bzip2"
    if kind == XZ:
        return zlib.crc32(buf[at + 6 : at + 8]) == int.from_bytes(buf[at + 8 : at + 12], "little")
    return archive.sound(buf, at, _NAMES[kind])
