"""Encryption of Office documents before 2007 ([MS-OFFCRYPTO] s2.3.5 to s2.3.7): from a password to plain octets.

    Rc4         40 bits with MD5, or 40 to 128 with SHA-1 (CryptoAPI): a key for each block of a stream
    Obfuscated  XOR with 16 octets made of the password, as Excel does it (method 1)

Known gaps: obfuscation of Word (method 2).
"""

import hashlib
import struct
from collections.abc import Callable
from typing import Any, Final

import msgspec

from engine.scan.ciphers import Cipher, rc4
from engine.scan.mapped import Octets

HEADER_LEN: Final = 4096  # octets of an encryption header that are read; ordinary ones have some 200
_OLD_LEN: Final = 52
_VERSION: Final = struct.Struct("<HH")
_MODERN: Final = struct.Struct("<LL5L")  # flags, length; flags, extra, cipher, hash, bits
_RC4_ID: Final = 0x6801
_SHA1_ID: Final = 0x8004
_SALT_LEN: Final = 16
_EXPORT_KEY_LEN: Final = 5  # a key of 40 bits has zeros behind it, others have not
_TICKS: Final = 1024  # blocks between two looks at the clock
_PAD: Final = bytes.fromhex("bbffffbaffffb98000be0f00bf0f00")
_MASK_LEN: Final = 16
_WORD_LEN: Final = 15  # of a password that obfuscates

Hash = Callable[[bytes], Any]
Tick = Callable[[], None]


class Keys(msgspec.Struct, frozen=True):
    """Of a document: each block has its own. hash: of secret and number of the block."""

    secret: bytes
    hash: Hash
    key_len: int

    def cipher(self, block: int) -> Cipher:
        key: bytes = self.hash(self.secret + block.to_bytes(4, "little")).digest()[: self.key_len]
        return rc4(key.ljust(16, b"\0") if self.key_len == _EXPORT_KEY_LEN else key)

    def stream(self, octets: Octets, block_len: int, tick: Tick) -> bytearray:
        """A stream whose blocks are numbered from 0. What is plain in it comes out as junk."""
        out = bytearray()
        view = memoryview(octets)
        for number, at in enumerate(range(0, len(view), block_len)):
            if number % _TICKS == 0:
                tick()
            out += self.cipher(number).decrypt(view[at : at + block_len])
        return out


class Rc4(msgspec.Struct, frozen=True):
    """How a password is tested. key_len: 0 in the form of Office 97."""

    key_len: int
    salt: bytes
    verifier: bytes
    verifier_hash: bytes

    def opens(self, word: str) -> Keys | None:
        octets = word.encode("utf-16-le", "replace")
        if self.key_len:
            keys = Keys(hashlib.sha1(self.salt + octets).digest(), hashlib.sha1, self.key_len)
        else:
            short = hashlib.md5(octets).digest()[:_EXPORT_KEY_LEN]
            short = hashlib.md5((short + self.salt) * 16).digest()[:_EXPORT_KEY_LEN]
            keys = Keys(short, hashlib.md5, 16)
        cipher = keys.cipher(0)
        value = keys.hash(cipher.decrypt(self.verifier)).digest()
        return keys if cipher.decrypt(self.verifier_hash) == value else None


def read(header: bytes) -> Rc4 | None:
    """From an encryption header; None if it asks for what is not known here."""
    if len(header) < _VERSION.size:
        return None
    major, minor = _VERSION.unpack_from(header)
    if (major, minor) == (1, 1):
        salt, verifier, value = header[4:20], header[20:36], header[36:_OLD_LEN]
        return Rc4(0, salt, verifier, value) if len(value) == 16 else None
    if minor != 2 or major not in (2, 3, 4) or len(header) < _VERSION.size + _MODERN.size:
        return None
    _, length, _, _, cipher, hashed, bits = _MODERN.unpack_from(header, _VERSION.size)
    begin = _VERSION.size + 8 + length
    salt_len = int.from_bytes(header[begin : begin + 4], "little")
    salt, verifier, value = header[begin + 4 : begin + 20], header[begin + 20 : begin + 36], header[begin + 40 :][:20]
    bits = bits or 40
    fits = (
        cipher in (0, _RC4_ID)
        and hashed in (0, _SHA1_ID)
        and 40 <= bits <= 128
        and bits % 8 == 0
        and salt_len == _SALT_LEN
        and len(value) == 20
    )
    return Rc4(bits // 8, salt, verifier, value) if fits else None


class Mask(msgspec.Struct, frozen=True):
    """octets: that hide those of a workbook."""

    octets: bytes


class Obfuscated(msgspec.Struct, frozen=True):
    key: int
    verifier: int

    def opens(self, word: str) -> Mask | None:
        octets = bytes(ord(char) & 0xFF or ord(char) >> 8 & 0xFF for char in word[:_WORD_LEN])
        if not octets or _verifier(octets) != self.verifier or _key(octets) != self.key:
            return None
        pair = self.key.to_bytes(2, "little")
        mixed = (one ^ pair[place & 1] for place, one in enumerate((octets + _PAD)[:_MASK_LEN]))
        return Mask(bytes((one >> 1 | one << 7) & 0xFF for one in mixed))


def _verifier(word: bytes) -> int:
    value = 0
    for octet in (*reversed(word), len(word)):
        value = (value >> 14 & 1 | value << 1 & 0x7FFF) ^ octet
    return value ^ 0xCE4B


def _key(word: bytes) -> int:
    """The tables of s2.3.7.2 are the steps of a register that is fed back."""
    key, base, end = 0, 0x8000, 0xFFFF
    for octet in reversed(word):
        for bit in range(8):
            base, end = _stepped(base), _stepped(end)
            if octet & 0x7F & 1 << bit:
                key ^= base
    return key ^ end


def _stepped(value: int) -> int:
    value = (value << 1 | value >> 15) & 0xFFFF
    return value ^ 0x1020 if value & 1 else value
