"""Compiled help, and files of SZDD."""

from engine.scan.formats import chm, mscompress
from tests.engine.scan.formats.chm_made import chm as packed
from tests.engine.scan.formats.rooms import Found, Room, fits

_FILES = {"a.htm": b"words " * 40, "d/b.bin": bytes(range(256))}
_WHOLE = [packed(_FILES), packed(_FILES, False), packed(_FILES, reset_table=False)]
_SZDD = b"SZDD\x88\xf0\x27\x33A\0\x10\0\0\0"
SEEDS: list[bytes] = [
    *_WHOLE,
    b"\0\0\0\0\0",
    b"\1\0\0\0\0",
    _SZDD + b"\xffabcdefgh\0\xf0\xf0",
]


def one_input(data: bytes) -> None:
    if not data:
        return
    changed = bytearray(_WHOLE[data[0] % len(_WHOLE)])
    for at in range(1, min(len(data) - 4, 161), 4):  # (offset in two octets, two octets that are put there)
        off = int.from_bytes(data[at : at + 2], "big") % len(changed)
        changed[off : off + 2] = data[at + 2 : at + 4]
    for opener, octets in (
        (chm.members, data),
        (chm.members, bytes(changed)),
        (mscompress.members, data),
        (mscompress.members, _SZDD + data),
    ):
        for member in Found(opener, octets, Room(1 << 14)).files.values():
            assert fits(member, 1 << 14)
