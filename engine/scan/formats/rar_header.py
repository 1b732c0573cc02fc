"""First headers of rar archives (old and RAR 5): which of the two, whether encrypted, whether one of several volumes.

Offsets are from the start of the octets. Never raises on content.
"""

import zlib
from typing import Final

import msgspec

SIGNATURE: Final = b"Rar!\x1a\x07"
_OLD: Final = SIGNATURE + b"\0"
_NEW: Final = SIGNATURE + b"\x01\0"
_HEADER_LEN: Final = 2 << 20  # RAR 5 allows no more


class Start(msgspec.Struct, frozen=True):
    """form: "rar" or "rar5". sound: the first header agrees with its checksum. volume: others belong to it."""

    form: str
    sound: bool
    volume: bool
    encrypted: bool


def read(buf: bytes, at: int) -> Start | None:
    if buf.startswith(_NEW, at):
        return _new(buf, at + len(_NEW))
    if buf.startswith(_OLD, at):
        return _old(buf, at + len(_OLD))
    return None


def _old(buf: bytes, at: int) -> Start:
    head = buf[at : at + 7]
    if len(head) < 7 or head[2] != 0x73:
        return Start("rar", False, False, False)
    flags = int.from_bytes(head[3:5], "little")
    length = int.from_bytes(head[5:7], "little")
    sound = length >= 13 and zlib.crc32(buf[at + 2 : at + length]) & 0xFFFF == int.from_bytes(head[:2], "little")
    return Start("rar", sound, bool(flags & 1), bool(flags & 0x80))


def _number(buf: bytes, at: int) -> tuple[int, int]:
    """(value, offset behind it) of a number of seven bits an octet, low ones first."""
    value = 0
    for shift in range(0, 70, 7):
        octet = buf[at] if at < len(buf) else 0
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            break
    return value, at


def _new(buf: bytes, at: int) -> Start:
    length, body = _number(buf, at + 4)
    crc = int.from_bytes(buf[at : at + 4], "little")
    sound = 0 < length <= _HEADER_LEN and crc == zlib.crc32(buf[at + 4 : body + length])
    kind, body = _number(buf, body)
    if kind == 4:
        return Start("rar5", sound, False, True)
    flags, body = _number(buf, body)
    if flags & 1:
        _, body = _number(buf, body)
    archive, _ = _number(buf, body)
    return Start("rar5", sound, kind == 1 and bool(archive & 1), False)
