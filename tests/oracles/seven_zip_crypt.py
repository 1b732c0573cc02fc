"""Encrypts 7z archives as 7-Zip does: AES-256 in CBC mode over each packed stream, and over the header if asked for."""

import hashlib
import lzma
import struct
import zlib

from Cryptodome.Cipher import AES

IV = bytes(range(1, 17))
_LZMA2 = {"id": lzma.FILTER_LZMA2, "dict_size": 1 << 16}


def key(password: str, power: int, salt: bytes) -> bytes:
    octets = salt + password.encode("utf-16-le")
    if power == 0x3F:
        return octets[:32].ljust(32, b"\0")
    return hashlib.sha256(b"".join(octets + struct.pack("<Q", number) for number in range(1 << power))).digest()


def number(value: int) -> bytes:
    return bytes([value]) if value < 0x80 else b"\xf0" + struct.pack("<L", value)


class _Writer:
    def __init__(self, password: str, power: int, salt: bytes, packed: bool) -> None:
        self.cipher_key = key(password, power, salt)
        self.properties = bytes([0xC0 if salt else 0x40 | power, 0x0F])
        if salt:
            self.properties = bytes([0xC0 | power, len(salt) - 1 << 4 | 0x0F]) + salt
        self.properties += IV
        self.packed = packed
        self.data = b""

    def folder(self, octets: bytes, crc: bool = True, details: bytes = b"") -> bytes:
        """StreamsInfo of one folder that is added to the data."""
        plain = lzma.compress(octets, lzma.FORMAT_RAW, filters=[_LZMA2]) if self.packed else octets
        sealed = AES.new(self.cipher_key, AES.MODE_CBC, iv=IV).encrypt(plain + bytes(-len(plain) % 16))
        begin = len(self.data)
        self.data += sealed
        coders = b"\x24\x06\xf1\x07\x01" + number(len(self.properties)) + self.properties
        sizes = number(len(plain))
        if self.packed:
            coders += b"\x21\x21\1\x08" + b"\1\0"  # LZMA2, whose input is the output of the first one
            sizes += number(len(octets))
        out = b"\x06" + number(begin) + b"\1\x09" + number(len(sealed)) + b"\0"
        out += b"\x07\x0b\1\0" + bytes([2 if self.packed else 1]) + coders + b"\x0c" + sizes
        out += b"\x0a\1" + struct.pack("<L", zlib.crc32(octets)) if crc else b""
        return out + b"\0" + details + b"\0"


def sealed(
    members: dict[str, bytes],
    password: str,
    *,
    power: int = 2,
    salt: bytes = b"",
    packed: bool = True,
    names: bool = False,
    sums: bool = True,
) -> bytes:
    """A solid archive. names: its header is encrypted as well. sums: files have checksums."""
    writer = _Writer(password, power, salt, packed)
    contents = list(members.values())
    details = b"\x08\x0d" + number(len(contents)) + b"\x09" + b"".join(number(len(one)) for one in contents[:-1])
    details += b"\x0a\1" + b"".join(struct.pack("<L", zlib.crc32(one)) for one in contents) if sums else b""
    header = b"\1\4" + writer.folder(b"".join(contents), False, details + b"\0")
    listed = b"\0" + b"".join(name.encode("utf-16-le") + b"\0\0" for name in members)
    header += b"\5" + number(len(members)) + b"\x11" + number(len(listed)) + listed + b"\0\0"
    if names:
        header = b"\x17" + writer.folder(header)
    start = struct.pack("<QQL", len(writer.data), len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<L", zlib.crc32(start)) + start + writer.data + header
