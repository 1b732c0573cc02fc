"""Archives that libarchive and liblhasa read: octets by their type, and changes to one of every format."""

from engine.scan.formats import CARRIERS, OPENERS
from engine.scan.magic import identify
from tests.engine.scan.formats import archives_made as made
from tests.engine.scan.formats.rooms import Found, Room, fits

_FILES = {"a.txt": b"words " * 40, "b.bin": bytes(range(256))}
SEEDS: list[bytes] = [
    made.rar4(_FILES),
    made.rar5(_FILES),
    made.rar5(_FILES, encrypted=True),
    made.cab(_FILES),
    made.seven_zip(_FILES),
    made.lha(_FILES),
    made.cpio(_FILES),
    made.ar(_FILES),
    made.rpm(_FILES),
    made.program(made.seven_zip(_FILES)),
]
_ROOM = 1 << 16
_KINDS = ("7z", "ar", "cab", "cpio", "iso", "lha", "rar", "rpm")


def one_input(data: bytes) -> None:
    _opened(data)
    if len(data) < 5:
        return
    changed = bytearray(SEEDS[data[0] % len(SEEDS)])
    for at in range(1, min(len(data) - 4, 41), 4):  # (offset in two octets, two octets that are put there)
        off = int.from_bytes(data[at : at + 2], "big") % len(changed)
        changed[off : off + 2] = data[at + 2 : at + 4]
    _opened(bytes(changed))


def _opened(data: bytes) -> None:
    kind = identify(data, 0, len(data))
    opener = CARRIERS.get(kind) or OPENERS[kind if kind in _KINDS else _KINDS[len(data) % len(_KINDS)]]
    for member in Found(opener, data, Room(_ROOM)).files.values():
        assert fits(member, _ROOM)
