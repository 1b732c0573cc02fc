"""Harmless programs, and what file infectors would have made of them. Nothing in them could run: their code is text."""

import struct
from collections.abc import Sequence

MARK = b"MAILWARD-TEST-INFECTOR-1"
ALIGNMENT = 0x200
_BASE = 0x1000


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % ALIGNMENT)


def program(sections: Sequence[bytes] = (b"the code of a program", b"its data"), entry: int = _BASE) -> bytes:
    """A PE file with these sections, at 0x1000, 0x2000 ... in memory."""
    optional = struct.pack("<HBB9L", 0x10B, 0, 0, 0, 0, 0, entry, _BASE, 0, 0x400000, _BASE, ALIGNMENT)
    optional += struct.pack("<6H4L", 4, 0, 0, 0, 4, 0, 0, _BASE * (len(sections) + 1), ALIGNMENT * 2, 0) + bytes(8)
    optional = optional.ljust(96 + 128, b"\0")
    headers = b"MZ".ljust(0x3C, b"\0") + struct.pack("<L", 0x40) + b"PE\0\0"
    headers += struct.pack("<2H3L2H", 0x14C, len(sections), 0, 0, 0, len(optional), 0x102) + optional
    at, table = ALIGNMENT * 2, b""
    for number, octets in enumerate(sections):
        length = len(_padded(octets))
        table += struct.pack("<8s6L2HL", b".%d" % number, len(octets), _BASE * (number + 1), length, at, 0, 0, 0, 0, 0)
        at += length
    return (headers + table).ljust(ALIGNMENT * 2, b"\0") + b"".join(map(_padded, sections))


CLEAN = program()


def new_section() -> bytes:
    """A section more, which begins with the mark and the entry point that the program had."""
    return program((b"the code of a program", b"its data", MARK + struct.pack("<L", _BASE)), 3 * _BASE)


def appended() -> bytes:
    """Its last section is longer, and its first octets are kept at the end, changed by a key."""
    octets = bytearray(CLEAN)
    kept = bytes(octet ^ 0x5A for octet in octets[: ALIGNMENT * 2])
    octets[2:8] = b"behind"
    return bytes(octets) + MARK + kept + b"\x5a"


def prepended() -> bytes:
    return b"MZ" + MARK.ljust(62, b".") + CLEAN


def in_a_gap() -> bytes:
    """It lies between the end of the code and the end of its section, and the first octets of the code lead there."""
    octets = bytearray(CLEAN)
    code = ALIGNMENT * 2
    octets[code + 0x100 : code + 0x100 + len(MARK) + 5] = MARK + octets[code : code + 5]
    octets[code : code + 5] = b"\xe9" + struct.pack("<L", 0x100 - 5)
    return bytes(octets)


RECIPES = {
    "new section": [
        f"expect {MARK.hex()} at section(last)",
        f"entry = u32(section(last) + {len(MARK)})",
        "remove section(last)",
    ],
    "appended": [
        f"expect {MARK.hex()} at end - 1 - {ALIGNMENT * 2} - {len(MARK)}",
        f"xor u8(end - 1) from end - 1 - {ALIGNMENT * 2} length {ALIGNMENT * 2}",
        f"copy end - 1 - {ALIGNMENT * 2} to 0 length {ALIGNMENT * 2}",
        "cut section_end(last) to end",
    ],
    "prepended": [f"expect {MARK.hex()} at 2", "cut 0 to 64"],
    "in a gap": [
        "expect e9 at entry",
        f"copy entry + 5 + u32(entry + 1) + {len(MARK)} to entry length 5",
        f"write {bytes(len(MARK) + 5).hex()} to entry + 256",
    ],
}
INFECTED = {"new section": new_section(), "appended": appended(), "prepended": prepended(), "in a gap": in_a_gap()}
