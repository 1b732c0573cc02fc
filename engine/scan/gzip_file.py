"""gzip files (RFC 1952): one or more members, whose contents belong together. Never raises on content."""

import struct
from typing import Final

import msgspec
from isal import isal_zlib

from engine.scan.inflate import inflate
from engine.scan.mapped import Octets

_HEADER_CRC: Final = 2
_EXTRA: Final = 4
_NAME: Final = 8
_COMMENT: Final = 16
_RESERVED: Final = 0xE0
_EXTENSIONS: Final = (
    *((one, ".tar") for one in (".tgz", ".taz", ".tbz", ".tbz2", ".tb2", ".txz", ".tlz", ".tzst", ".tz2")),
    (".svgz", ".svg"),
    *((one, "") for one in (".gz", ".z", ".bz2", ".bz", ".xz", ".lzma", ".lz", ".zst", ".zstd", ".lz4")),
)


class Member(msgspec.Struct):
    """One gzip member: header at start, deflate stream at data_off, all with its trailer before end."""

    start: int
    data_off: int
    end: int
    name: bytes
    data: bytes
    complete: bool = True
    over: bool = False
    crc_agrees: bool = True


def header(buf: Octets, at: int) -> tuple[int, bytes] | None:
    """(offset of the deflate stream, stored name) of the member at offset at, or None if none begins there."""
    if len(buf) - at < 18 or buf[at : at + 3] != b"\x1f\x8b\x08" or buf[at + 3] & _RESERVED:
        return None
    flags = buf[at + 3]
    pos = at + 10
    name = b""
    if flags & _EXTRA:
        pos += 2 + int.from_bytes(buf[pos : pos + 2], "little")
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            end = buf.find(b"\0", pos)
            if end < 0:
                return None
            if flag == _NAME:
                name = buf[pos:end]
            pos = end + 1
    if flags & _HEADER_CRC:
        pos += 2
    return (pos, name) if pos <= len(buf) else None


def unpack(buf: Octets, at: int, room: int) -> Member | None:
    """The member at offset at with at most room octets of content, or None if none begins there."""
    found = header(buf, at)
    if found is None:
        return None
    data_off, name = found
    result = inflate(memoryview(buf)[data_off:], room)
    end = data_off + result.used
    member = Member(at, data_off, min(len(buf), end + 8), name, result.data, result.complete, result.over)
    if result.complete:
        if len(buf) - end < 8:
            member.complete = False
        else:
            crc, size = struct.unpack_from("<2L", buf, end)
            member.crc_agrees = crc == isal_zlib.crc32(result.data) and size == len(result.data) & 0xFFFFFFFF
    return member


def contained_name(stored: bytes, container: str) -> str:
    """Name of the content: the stored one, else the container's without its extension."""
    if stored:
        return stored.decode("utf-8", "replace").replace("\\", "/").rsplit("/", 1)[-1]
    base = container.rsplit("/", 1)[-1]
    lower = base.lower()
    for extension, other in _EXTENSIONS:
        if lower.endswith(extension) and len(base) > len(extension):
            return base[: -len(extension)] + other
    return base or "content"
