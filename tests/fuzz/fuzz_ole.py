"""Compound files and what their streams carry: octets, and changes to files of every kind that is told apart."""

from engine.scan.formats import ole
from tests.engine.scan.formats.compound import compound, native, packed, project
from tests.engine.scan.formats.rooms import Found, Room, fits

SEEDS: list[bytes] = [
    compound({"small": b"s" * 100, "large": bytes(9000), "in": {"deep": {"stream": b"d" * 70}}}),
    compound({"large": bytes(9000), "in": {"stream": b"d" * 70}}, 4),
    compound({"Macros": project({"M": "Sub A()\r\nEnd Sub\r\n"}), "WordDocument": b"\xec\xa5" + bytes(40)}),
    compound({"\x01Ole10Native": native(packed("a", "b", "c", b"content", ("C:\\x.exe",)))}),
    compound({"Workbook": b"\x09\x08\x10\0" + bytes(16) + b"\x85\0\x08\0\0\0\0\0\0\1\1A", "Current User": bytes(20)}),
    compound({"PowerPoint Document": b"\x10\0\x11\x10\x10\0\0\0" + bytes(4) + b"\x78\x9c" + bytes(40)}),
    compound(
        {
            "__properties_version1.0": bytes(32),
            "__attach_version1.0_#00000000": {"__substg1.0_37010102": b"a", "__substg1.0_3707001F": b"n\0"},
            "__substg1.0_10090102": bytes(8) + b"LZFu" + bytes(40),
        }
    ),
]
_ROOM = 1 << 16


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
    for member in Found(ole.members, data, Room(_ROOM)).files.values():
        assert fits(member, _ROOM)
