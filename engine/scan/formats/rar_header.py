"""First headers of rar archives (old and RAR 5): which of the two, whether encrypted, whether one of several volumes.

Offsets are from the start of the octets. Never raises on content.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from engine import limits
from engine.scan.mapped import Octets

SIGNATURE: Final = b"Rar!\x1a\x07"
OLD: Final = SIGNATURE + b"\0"
NEW: Final = SIGNATURE + b"\x01\0"
OLD_HEAD: Final = struct.Struct("<BHH")
HEADER_LEN: Final = 2 << 20  # RAR 5 allows no more


class File(msgspec.Struct, frozen=True):
    name: str
    size: int
    encrypted: bool
    packed: int = -1


class Listing(msgspec.Struct):
    """files in order. end: offset behind the last header and its data. ended: there the archive says it ends."""

    files: list[File] = []
    end: int = 0
    ended: bool = False


class Start(msgspec.Struct, frozen=True):
    """form: "rar" or "rar5". sound: the first header agrees with its checksum. volume: others belong to it."""

    form: str
    sound: bool
    volume: bool
    encrypted: bool


def read(buf: Octets, at: int) -> Start | None:
    if buf.startswith(NEW, at):
        return _new(buf, at + len(NEW))
    if buf.startswith(OLD, at):
        return _old(buf, at + len(OLD))
    return None


def _old(buf: Octets, at: int) -> Start:
    head = buf[at : at + 7]
    if len(head) < 7 or head[2] != 0x73:
        return Start("rar", False, False, False)
    flags = int.from_bytes(head[3:5], "little")
    length = int.from_bytes(head[5:7], "little")
    sound = length >= 13 and zlib.crc32(buf[at + 2 : at + length]) & 0xFFFF == int.from_bytes(head[:2], "little")
    return Start("rar", sound, bool(flags & 1), bool(flags & 0x80))


def number(buf: Octets, at: int) -> tuple[int, int]:
    """(value, offset behind it) of a number of seven bits an octet, low ones first."""
    value = 0
    for shift in range(0, 70, 7):
        octet = buf[at] if at < len(buf) else 0
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            break
    return value, at


def _new(buf: Octets, at: int) -> Start:
    length, body = number(buf, at + 4)
    crc = int.from_bytes(buf[at : at + 4], "little")
    sound = 0 < length <= HEADER_LEN and crc == zlib.crc32(buf[at + 4 : body + length])
    kind, body = number(buf, body)
    if kind == 4:
        return Start("rar5", sound, False, True)
    flags, body = number(buf, body)
    if flags & 1:
        _, body = number(buf, body)
    archive, _ = number(buf, body)
    return Start("rar5", sound, kind == 1 and bool(archive & 1), False)


def listing(buf: Octets, at: int, form: str, tick: Callable[[], None]) -> Listing:
    """What the headers behind the signature at offset at say, up to the first that cannot be followed.

    Only what is needed to tell encrypted files, to name what a decoder does not get to, and to see whether anything
    is missing at the end. tick is called for each header; each step goes on by 7 octets at least.
    """
    found = Listing()
    if form == "rar5":
        _new_listing(buf, at + len(NEW), found, tick)
    else:
        _old_listing(buf, at + len(OLD), found, tick)
    return found


def _old_listing(buf: Octets, at: int, found: Listing, tick: Callable[[], None]) -> None:
    while len(buf) - at >= 7 and len(found.files) < limits.SCAN_FILES:
        tick()
        kind, flags, length = OLD_HEAD.unpack_from(buf, at + 2)
        if length < 7 or not 0x72 <= kind <= 0x7B:
            break
        data_len = 0
        if flags & 0x8000 or kind == 0x74:
            data_len = int.from_bytes(buf[at + 7 : at + 11], "little")
        if kind == 0x74 and length >= 32:
            name_len = int.from_bytes(buf[at + 26 : at + 28], "little")
            name_off = at + (40 if flags & 0x100 else 32)
            if flags & 0x100:
                data_len |= int.from_bytes(buf[at + 32 : at + 36], "little") << 32
            name = buf[name_off : name_off + name_len].split(b"\0", 1)[0].replace(b"\\", b"/")
            if flags & 0xE0 != 0xE0:  # a directory
                size = int.from_bytes(buf[at + 11 : at + 15], "little")
                found.files.append(File(name.decode("utf-8", "replace"), size, bool(flags & 4), data_len))
        at += length + (0 if kind == 0x7B else data_len)
        if kind == 0x7B:
            found.ended = True
            break
    found.ended = found.ended or at == len(buf)  # old archives have no end header
    found.end = min(at, len(buf))


def _new_listing(buf: Octets, at: int, found: Listing, tick: Callable[[], None]) -> None:
    while len(buf) - at >= 7 and len(found.files) < limits.SCAN_FILES:
        tick()
        length, body = number(buf, at + 4)
        end = body + length
        kind, pos = number(buf, body)
        if not 0 < length <= HEADER_LEN or kind > 5:
            break
        flags, pos = number(buf, pos)
        extra_len = data_len = 0
        if flags & 1:
            extra_len, pos = number(buf, pos)
        if flags & 2:
            data_len, pos = number(buf, pos)
        if kind == 2:
            found.files.extend(_new_file(buf, pos, end - min(extra_len, length), end, data_len))
        at = end + data_len
        if kind == 5:
            found.ended = at <= len(buf)
            break
    found.end = min(at, len(buf))


def _new_file(buf: Octets, pos: int, extra: int, end: int, packed: int) -> Iterator[File]:
    flags, pos = number(buf, pos)
    size, pos = number(buf, pos)
    _, pos = number(buf, pos)
    pos += (4 if flags & 2 else 0) + (4 if flags & 4 else 0)
    _, pos = number(buf, pos)
    _, pos = number(buf, pos)
    name_len, pos = number(buf, pos)
    encrypted = False
    while extra < end:
        length, extra = number(buf, extra)
        encrypted = encrypted or number(buf, extra)[0] == 1
        extra += max(1, length)
    if not flags & 1:
        yield File(buf[pos : min(end, pos + name_len)].decode("utf-8", "replace"), size, encrypted, packed)
