"""Compressed streams and the packed members of zip archives: octets, and changes to one of every kind."""

import bz2
import lzma

from cext.deflate64 import decode
from engine.scan.formats import OPENERS
from engine.scan.magic import identify
from engine.scan.zip_file import METHODS, Entry, unpack
from tests.engine.scan.formats import archives_made as made
from tests.engine.scan.formats.rooms import Found, Room, fits

_TEXT = b"words " * 40
SEEDS: list[bytes] = [
    bz2.compress(_TEXT) * 2,
    lzma.compress(_TEXT) + bytes(4) + lzma.compress(_TEXT),
    lzma.compress(_TEXT, lzma.FORMAT_ALONE),
    made.lzip(_TEXT) * 2,
    made.zstd(_TEXT) * 2,
    made.compress(_TEXT[:200]),
]
_ROOM = 1 << 16
_KINDS = ("bzip2", "compress", "lz4", "lzip", "lzma", "xz", "zstd")


def one_input(data: bytes) -> None:
    _opened(data)
    octets, _, _, used = decode(data, _ROOM)
    assert len(octets) <= _ROOM and used <= len(data)
    if len(data) < 5:
        return
    for method in METHODS:
        entry = Entry(b"a", data[0], method, 0, len(data) - data[1] % 3, data[2], 0, data[3] % 4)
        assert len(unpack(data, entry, _ROOM).data) <= _ROOM
    changed = bytearray(SEEDS[data[0] % len(SEEDS)])
    for at in range(1, min(len(data) - 4, 41), 4):  # (offset in two octets, two octets that are put there)
        off = int.from_bytes(data[at : at + 2], "big") % len(changed)
        changed[off : off + 2] = data[at + 2 : at + 4]
    _opened(bytes(changed))


def _opened(data: bytes) -> None:
    kind = identify(data, 0, len(data))
    opener = OPENERS[kind if kind in _KINDS else _KINDS[len(data) % len(_KINDS)]]
    for member in Found(opener, data, Room(_ROOM)).files.values():
        assert fits(member, _ROOM)
