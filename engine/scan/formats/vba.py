"""The modules of a VBA project (MS-OVBA): source text, decompressed, named by the project's directory.

A module stream holds compiled code first, then the compressed source at an offset that the stream `dir` tells. Where
that stream is missing or lies, the source is looked for by how it begins: a compressed container with `Attribut` at its
front. Compiled code is matched with the stream as it is.

Known gaps: p-code is not disassembled, so code whose source was taken away is seen as octets only.
"""

import re
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from cext.vba import decompress
from engine.scan.formats.item import Room

MODULES: Final = 4_000  # modules of one project
_VERSION, _MODULE_NAME, _STREAM_NAME, _STREAM_NAME_WIDE, _OFFSET = 0x09, 0x19, 0x1A, 0x32, 0x31
_CODE_PAGE = 0x03
# Signature octet, header of a compressed chunk, no copies among the first eight items: `Attribut`, as modules begin.
_SOURCE: Final = re.compile(rb"\x01.[\xb0-\xbf]\0Attribut", re.S)
_ATTRIBUTE: Final = re.compile(rb"(?:Attribute VB_|VERSION \d|BEGIN\b|END\b|  MultiUse|\s*$)")


class Module(msgspec.Struct):
    """One module as the stream `dir` tells it. offset: of the source in its stream."""

    name: str = ""
    stream: str = ""
    offset: int = 0


class Source(msgspec.Struct, frozen=True):
    """Source of one module. over, complete: as in item.Member."""

    data: bytes
    over: bool
    complete: bool


def modules(directory: bytes, room: Room) -> list[Module]:
    """The modules that a stream `dir` lists (MS-OVBA s2.3.4.2); what was read before it breaks, at most MODULES."""
    unpacked = decompress(directory, 0, room.room())
    if unpacked is None:
        return []
    found: list[Module] = []
    charset = "cp1252"
    for kind, value in _records(unpacked[0], room):
        if kind == _CODE_PAGE and len(value) >= 2:
            charset = f"cp{int.from_bytes(value[:2], 'little')}"
        elif kind == _MODULE_NAME:
            if len(found) == MODULES:
                break
            found.append(Module(_decoded(value, charset)))
        elif not found:
            continue
        elif kind == _STREAM_NAME:
            found[-1].stream = _decoded(value, charset)
        elif kind == _STREAM_NAME_WIDE:
            found[-1].stream = value.decode("utf-16-le", "replace")
        elif kind == _OFFSET and len(value) >= 4:
            found[-1].offset = int.from_bytes(value[:4], "little")
    return found


def _records(octets: bytes, room: Room) -> Iterator[tuple[int, bytes]]:
    at = 0
    while len(octets) - at >= 6:
        room.check_time()
        kind, size = struct.unpack_from("<HL", octets, at)
        if kind == _VERSION:
            size = 6  # though its length field says 4
        yield kind, octets[at + 6 : at + 6 + size]
        at += 6 + size


def source(stream: bytes, offset: int, room: Room) -> Source | None:
    """Source of the module in stream: at offset if there is one, else where it looks like one. None: there is none."""
    if 0 <= offset < len(stream):
        unpacked = decompress(stream, offset, room.room())
        if unpacked is not None and unpacked[0]:
            return Source(*unpacked[:3])
    begin = _SOURCE.search(stream)
    if begin is None:
        return None
    unpacked = decompress(stream, begin.start(), room.room())
    return None if unpacked is None else Source(*unpacked[:3])


def holds_code(text: bytes) -> bool:
    """Whether a source is more than the attributes that every empty module has. O(len(text)), stops at the first."""
    at = 0
    while at < len(text):
        end = text.find(b"\n", at)
        end = len(text) if end < 0 else end
        if not _ATTRIBUTE.match(text, at, end):
            return True
        at = end + 1
    return False


def _decoded(octets: bytes, charset: str) -> str:
    try:
        return octets.decode(charset, "replace")
    except LookupError:
        return octets.decode("latin-1")
