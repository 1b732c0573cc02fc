"""OneNote sections of both packagings."""

import struct

from engine.scan.formats import onenote
from tests.engine.scan.formats.rooms import Found, Room, fits

_SECTION = bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3") + bytes(32)
_PACKAGED = bytes.fromhex("2fe98d63d4a6c14b9a36b3fc2511a5b7")
_STORE = bytes.fromhex("e716e3bd65261145a4c48d4d0b7a9eac")
_NODES = (
    bytes.fromhex("c4f4f7f5b17a56a4") + struct.pack("<LLL", 16, 0, 0x094 | 23 << 10 | 10 << 23 | 1 << 31) + bytes(19)
)
_NAME = struct.pack("<HLL", 1, 0x1C001D9C, 4) + "a\0".encode("utf-16-le")
SEEDS: list[bytes] = [
    _SECTION + bytes(16) + _STORE + struct.pack("<Q", 5) + bytes(12) + b"abcde" + _NODES + _NAME,
    _SECTION + _PACKAGED + b"\x15" + struct.pack("<L", 0x12 | 4 << 17) + b"\x07abc" + _NAME,
    "<ifndf>{12345678-9abc-def0-1234-56789abcdef0}".encode("utf-16-le") + struct.pack("<L", 2) + b".\0a\0",
]


def one_input(data: bytes) -> None:
    for octets in (data, _SECTION + bytes(16) + data, _SECTION + _PACKAGED + data, SEEDS[0] + data):
        for member in Found(onenote.members, octets, Room(1 << 12)).files.values():
            assert fits(member, 1 << 12)
