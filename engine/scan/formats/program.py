"""What programs carry: archives behind their code, and installers. Yields nothing for a program that is only one.

Archives of 7z, rar, cab and lha are opened; installers of formats of their own are told as a Gap, never called clean.
Known gaps: packed code (UPX and the like) is matched as it is; archives in programs of DOS are not
looked for.
"""

import re
from collections.abc import Iterator
from typing import Final

from engine.scan.facts import Cause
from engine.scan.formats import archive, lha
from engine.scan.formats.item import Gap, Item, NotThis, Odd, Room
from engine.scan.mapped import Octets, part

_LHA: Final = re.compile(rb"-l(?:h[0-7dx]|z[45s])-")
_CANDIDATES: Final = 1000  # marks of lha that are looked at
# All of a row's marks together are of one kind of installer.
_INSTALLERS: Final = (
    ((b"\xef\xbe\xad\xdeNullsoftInst",), "NSIS installer"),
    ((b"Inno Setup Setup Data (",), "Inno Setup installer"),
    ((b"AU3!EA05",), "AutoIt program"),
    ((b"AU3!EA06",), "AutoIt program"),
    ((b"InstallShield\0", b"ISc("), "InstallShield installer"),
)


def carried(buf: Octets, room: Room) -> Iterator[Item]:
    yield from archive.behind(buf, room)
    yield from _lha(buf, room)
    for marks, name in _INSTALLERS:
        room.check_time()
        if all(mark in buf for mark in marks):
            yield Gap(Cause.UNSUPPORTED, name)


def _lha(buf: Octets, room: Room) -> Iterator[Item]:
    for number, mark in enumerate(_LHA.finditer(buf)):
        room.check_time()
        if number == _CANDIDATES:
            yield Gap(Cause.LIMIT, f"{_CANDIDATES} signatures of archives in a program")
            return
        if mark.start() >= 2 and lha.sound(buf, mark.start() - 2):
            yield Odd("self-extracting-lha")
            try:
                yield from lha.members(part(buf, mark.start() - 2, len(buf)), room)
            except NotThis as refusal:
                yield Gap(Cause.DAMAGED, str(refusal))
            return
