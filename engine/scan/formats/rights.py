"""Rights-managed content that only a licence opens: messages (MS-OXORMMS) and protected files (.pfile)."""

from collections.abc import Iterator
from typing import Final

from engine.scan.facts import Cause
from engine.scan.formats.item import Gap, Item, Room
from engine.scan.mapped import Octets

MESSAGE: Final = b"\x76\xe8\x04\x60\xc4\x11\xe3\x86"
FILE: Final = b".pfile"


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """Nothing but the fact: what is inside is encrypted (ENC-07)."""
    room.check_time()
    yield Gap(Cause.ENCRYPTED, "rights-message" if buf.startswith(MESSAGE) else "rights-file")
