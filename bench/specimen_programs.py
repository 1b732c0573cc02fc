"""Programs with as many sections as are asked for, and octets at places in them: also entry points and versions."""

import struct
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from signatures.model import ProgramFact, Start
from tests.signatures import programs

Overlay = list[int | None]
Made = tuple[Start, Overlay]

_ALIGN: Final = 512
_ROOM: Final = 1 << 16  # of a section at least: what lies in front of an entry point, too
_FIRST: Final = 0x1000  # address and place of the first section
_BASE: Final = 0x400000


def made(kind: str, at: Sequence[Made], facts: Sequence[ProgramFact], salt: bytes) -> bytearray:
    """A program of this kind. What begins at a place of the file itself is left to others.

    salt: what makes its sections differ from those of others.
    """
    wanted = {fact.fact: fact for fact in facts}
    count = wanted["sections"].least if "sections" in wanted else 1
    count = max(count, 1, *(start.section + 1 for start, _ in at if start.origin in ("section", "in section")), 1)
    room = max([_ROOM, *(2 * len(octets) + abs(start.low) for start, octets in at if abs(start.low) < 1 << 24)])
    room = (room + _FIRST - 1) // _FIRST * _FIRST
    entry = _FIRST + room // 2
    if "entry point" in wanted:
        entry = max(wanted["entry point"].least, min(entry, wanted["entry point"].most))
    content = bytearray(_FIRST + count * room)
    head = MAKERS[kind](count, room, entry)
    content[: len(head)] = head
    for number in range(count):
        mark = sha256(b"%d %s" % (number, salt)).hexdigest().encode()
        content[_FIRST + number * room + 512 : _FIRST + number * room + 512 + len(mark)] = mark
    inside = [_FIRST + 1024] * count  # where the next octets of "in section" go
    versions = []
    for start, octets in at:
        match start.origin:
            case "entry":
                place = entry + start.low
            case "section":
                place = _FIRST + start.section * room + start.low
            case "last section":
                place = _FIRST + (count - 1) * room + start.low
            case "in section":
                place = start.section * room + inside[start.section]
                inside[start.section] += len(octets) + 16
            case "version":
                versions.append(octets)
                continue
            case _:
                continue
        for number, one in enumerate(octets):
            if one is not None and 0 <= place + number < len(content):
                content[place + number] = one
    if versions and kind == "pe":
        return _with_version(versions)
    return content


def _with_version(versions: Sequence[Overlay]) -> bytearray:
    """A matcher looks for strings of the version where they begin: each pattern is the name and value of one."""
    strings = {}
    for octets in versions:
        text = bytes(one or 0 for one in octets).decode("utf-16-le", "replace")
        name, _, value = text.partition("\0")
        strings[name] = value.strip("\0")
    return bytearray(programs.pe(strings))


def _pe(count: int, room: int, entry: int) -> bytes:
    table = bytes(8 * 16)
    head = struct.pack("<HBBIIIII", 0x10B, 1, 0, count * room, 0, 0, entry, _FIRST) + struct.pack("<II", _FIRST, _BASE)
    image = _FIRST + count * room
    head += struct.pack("<IIHHHHHHIIIIHH", 0x1000, _ALIGN, 4, 0, 0, 0, 4, 0, 0, image, _FIRST, 0, 3, 0)
    head += bytes(16) + struct.pack("<II", 0, 16) + table
    coff = struct.pack("<HHIIIHH", 0x14C, count, 0, 0, 0, len(head), 0x102)
    sections = b""
    for number in range(count):
        place = _FIRST + number * room
        name = f".s{number}".encode()
        sections += struct.pack("<8s6IHHI", name, room, place, room, place, 0, 0, 0, 0, 0x60000020)
    return b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + coff + head + sections


def _elf(count: int, room: int, entry: int) -> bytes:
    """Sections are counted with the first, which is none."""
    size = _FIRST + count * room
    head = b"\x7fELF\1\1\1" + bytes(9)
    head += struct.pack("<HHI3II6H", 2, 3, 1, _BASE + entry, 52, 84, 0, 52, 32, 1, 40, count, 0)
    segment = struct.pack("<8I", 1, 0, _BASE, _BASE, size, size, 5, 4096)
    table = bytes(40)
    for number in range(1, count):
        place = _FIRST + number * room
        table += struct.pack("<10I", 0, 1, 2, _BASE + place, place, room, 0, 0, 1, 0)
    return head + segment + table


def _macho(count: int, room: int, entry: int) -> bytes:
    commands = 56 + 68 * count + 16 + 64
    head = struct.pack("<7I", 0xFEEDFACE, 7, 3, 2, 2, commands, 0)
    size = _FIRST + count * room
    segment = struct.pack("<II16s4I4I", 1, 56 + 68 * count, b"__TEXT", _BASE, size, 0, size, 7, 5, count, 0)
    for number in range(count):
        place = _FIRST + number * room
        fields = struct.pack("<3I", _BASE + place, room, place)
        segment += f"__s{number}".encode().ljust(16, b"\0") + b"__TEXT".ljust(16, b"\0") + fields + bytes(24)
    registers = bytes(40) + struct.pack("<I", _BASE + entry) + bytes(20)
    return head + segment + struct.pack("<4I", 5, 80, 1, 16) + registers


MAKERS: Final[dict[str, Callable[[int, int, int], bytes]]] = {"pe": _pe, "elf": _elf, "macho": _macho}
