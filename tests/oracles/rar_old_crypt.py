"""Writes archives of RAR 3 with stored files, encrypted as RAR does it: files alone, or headers too."""

import hashlib
import struct
import zlib
from functools import cache

from Cryptodome.Cipher import AES

SALT = bytes(range(8))
_SIGNATURE = b"Rar!\x1a\x07\0"


@cache
def key(password: str, salt: bytes) -> tuple[bytes, bytes]:
    """(key, iv)"""
    start = password.encode("utf-16-le") + salt
    hashed = hashlib.sha1()
    iv = b""
    for turn in range(16):
        for number in range(turn << 14, turn + 1 << 14):
            hashed.update(start + struct.pack("<L", number)[:3])
            if not number & 0x3FFF:
                iv += hashed.digest()[19:]
    return struct.pack("<4L", *struct.unpack(">4L", hashed.digest()[:16])), iv


def header(kind: int, flags: int, rest: bytes) -> bytes:
    octets = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
    return struct.pack("<H", zlib.crc32(octets) & 0xFFFF) + octets


def _seal(octets: bytes, password: str, salt: bytes) -> bytes:
    made, iv = key(password, salt)
    return AES.new(made, AES.MODE_CBC, iv=iv).encrypt(octets + bytes(-len(octets) % 16))


def file(
    name: str, octets: bytes, password: str = "", *, salt: bytes = SALT, large: bool = False, flags: int = 0
) -> tuple[bytes, bytes]:
    """(header, data) of one file; without password: as it is."""
    data = _seal(octets, password, salt) if password else octets
    flags |= 0x8000 | (0x404 if password else 0) | (0x100 if large else 0)
    rest = struct.pack(
        "<LLBLLBBHL", len(data), len(octets), 3, zlib.crc32(octets), 0x21 << 16, 29, 0x30, len(name), 0x81A4
    )
    rest += (bytes(8) if large else b"") + name.encode() + (salt if password else b"")
    return header(0x74, flags, rest), data


def archive(*blocks: tuple[bytes, bytes], password: str = "") -> bytes:
    """password: of the headers; then names are hidden."""
    main = _SIGNATURE + header(0x73, 0x80 if password else 0, bytes(6))
    whole = [*blocks, (header(0x7B, 0x4000, b""), b"")]
    if not password:
        return main + b"".join(head + data for head, data in whole)
    return main + b"".join(SALT + _seal(head, password, SALT) + data for head, data in whole)
