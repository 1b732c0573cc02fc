"""Compressed containers of VBA projects, and project directories."""

from cext.vba import decompress
from engine.scan.formats import vba
from tests.engine.scan.formats.rooms import Room
from tests.oracles.vba import compress

SEEDS: list[bytes] = [compress(b"Attribute VB_Name\r\n" * 400), compress(bytes(range(256)) * 20), b"\x01\0\xb0x" * 9]


def one_input(data: bytes) -> None:
    for most in (0, 100, 1 << 20):
        found = decompress(data, 0, most)
        assert found is None or (len(found[0]) <= most and found[3] <= len(data))
    room = Room(1 << 16)
    vba.modules(data, room)
    vba.modules(compress(data), room)
    vba.source(data, len(data) // 2, room)
    packed = compress(data)
    back = decompress(packed, 0, 2 * len(data) + 8192)
    assert (back is None) == (not data)
    assert back is None or (back[0][: len(data)] == data and back[2])
