"""Writes RAR 5 archives of stored files, encrypted as WinRAR does it: files alone, or headers too."""

import hashlib
import zlib

from Cryptodome.Cipher import AES

SALT = bytes(range(16))
IV = bytes(range(50, 66))
_SIGNATURE = b"Rar!\x1a\x07\x01\0"


def vint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def header(body: bytes) -> bytes:
    octets = vint(len(body)) + body
    return zlib.crc32(octets).to_bytes(4, "little") + octets


def _check(password: str, power: int, salt: bytes) -> bytes:
    value = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, (1 << power) + 32)
    folded = bytes(value[n] ^ value[8 + n] ^ value[16 + n] ^ value[24 + n] for n in range(8))
    return folded + hashlib.sha256(folded).digest()[:4]


def _seal(octets: bytes, password: str, power: int, salt: bytes) -> bytes:
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 1 << power)
    return AES.new(key, AES.MODE_CBC, iv=IV).encrypt(octets + bytes(-len(octets) % 16))


def file(
    name: str,
    octets: bytes,
    password: str = "",
    *,
    power: int = 4,
    salt: bytes = SALT,
    tweaked: bool = True,
    checked: bool = True,
    flags: int = 0,
) -> tuple[bytes, bytes]:
    """(header, data) of one file; without password: as it is."""
    data, extra = octets, b""
    if password:
        data = _seal(octets, password, power, salt)
        record = b"\1\0" + bytes([checked | tweaked << 1, power]) + salt + IV
        record += _check(password, power, salt) if checked else b""
        extra = vint(len(record)) + record
    time = b"\x04\x03\x02\x01"
    extra += b"\2\6\0"  # a record of another kind: an owner without name
    crc = zlib.crc32(octets) ^ (0xFFFF if password and tweaked else 0)
    body = b"\2" + vint(3 | flags) + vint(len(extra)) + vint(len(data)) + b"\x06" + vint(len(octets)) + b"\x20"
    body += time + crc.to_bytes(4, "little") + b"\0\1" + vint(len(name.encode())) + name.encode() + extra
    return header(body), data


def archive(*blocks: tuple[bytes, bytes], password: str = "", power: int = 4, main_flags: int = 0) -> bytes:
    """password: of the headers; then names are hidden."""
    whole = [(header(b"\1\0" + vint(main_flags)), b""), *blocks, (header(b"\5\0\0"), b"")]
    if not password:
        return _SIGNATURE + b"".join(head + data for head, data in whole)
    out = _SIGNATURE + header(b"\4\0\0\1" + bytes([power]) + SALT + _check(password, power, SALT))
    return out + b"".join(IV + _seal(head, password, power, SALT) + data for head, data in whole)
