"""Encrypts documents as Office before 2007 did ([MS-OFFCRYPTO] s2.3.5 to s2.3.7, [MS-XLS], [MS-DOC], [MS-PPT])."""

import hashlib
import struct
from collections.abc import Callable
from typing import TypeAlias

from Cryptodome.Cipher import ARC4

SALT = bytes(range(16))
VERIFIER = bytes(range(100, 116))
Record: TypeAlias = tuple[int, bytes]
Crypt: TypeAlias = Callable[[int, bytes], bytes]  # (block, octets)
_PAD = (0xBB, 0xFF, 0xFF, 0xBA, 0xFF, 0xFF, 0xB9, 0x80, 0x00, 0xBE, 0x0F, 0x00, 0xBF, 0x0F, 0x00)


def rc4(key: bytes, octets: bytes) -> bytes:
    return ARC4.new(key).encrypt(octets)


def old(password: str) -> tuple[bytes, Crypt]:
    """(encryption header, cipher) of 40 bits."""
    first = hashlib.md5(password.encode("utf-16-le")).digest()[:5]
    second = hashlib.md5((first + SALT) * 16).digest()[:5]

    def crypt(block: int, octets: bytes) -> bytes:
        return rc4(hashlib.md5(second + struct.pack("<L", block)).digest(), octets)

    sealed = crypt(0, VERIFIER + hashlib.md5(VERIFIER).digest())
    return struct.pack("<HH", 1, 1) + SALT + sealed, crypt


def modern(password: str, bits: int = 128) -> tuple[bytes, Crypt]:
    """(encryption header, cipher) of CryptoAPI."""
    first = hashlib.sha1(SALT + password.encode("utf-16-le")).digest()

    def crypt(block: int, octets: bytes) -> bytes:
        key = hashlib.sha1(first + struct.pack("<L", block)).digest()[: (bits or 40) // 8]
        return rc4(key + bytes(11) if len(key) == 5 else key, octets)

    name = "Microsoft Enhanced Cryptographic Provider v1.0\0".encode("utf-16-le")
    header = struct.pack("<8L", 4, 0, 0x6801, 0x8004, bits, 1, 0, 0) + name
    sealed = crypt(0, VERIFIER + hashlib.sha1(VERIFIER).digest())
    head = struct.pack("<HHLL", 2, 2, 4, len(header)) + header
    return head + struct.pack("<L", 16) + SALT + sealed[:16] + struct.pack("<L", 20) + sealed[16:], crypt


def blocks(crypt: Crypt, octets: bytes, length: int) -> bytes:
    return b"".join(crypt(at // length, octets[at : at + length]) for at in range(0, len(octets), length))


# --- Excel --------------------------------------------------------------------------------------------


def records(*given: Record) -> bytes:
    return b"".join(struct.pack("<HH", kind, len(data)) + data for kind, data in given)


BOF: Record = (0x0809, struct.pack("<8H", 0x0600, 5, 0, 0, 0, 0, 0, 0))
_PLAIN = {0x0809, 0x002F, 0x0194, 0x0195, 0x00E1, 0x0196, 0x0138}


def workbook(header: bytes, crypt: Crypt, *given: Record) -> bytes:
    start = records(BOF, (0x2F, b"\1\0" + header))
    whole = start + records(*given)
    sealed = bytearray(blocks(crypt, whole, 1024))
    sealed[: len(start)] = start
    at = len(start)
    for kind, data in given:
        plain = 4 + (len(data) if kind in _PLAIN else 4 if kind == 0x85 else 0)
        sealed[at : at + plain] = whole[at : at + plain]
        at += 4 + len(data)
    return bytes(sealed)


def _rotated(value: int, bits: int, width: int) -> int:
    return (value << bits | value >> width - bits) & (1 << width) - 1


def mask(password: str) -> tuple[int, int, bytes]:
    """(key, verifier, the octets that are mixed in)."""
    key = 0
    base, end = 0x8000, 0xFFFF
    for char in reversed(password):
        for bit in range(8):
            base, end = (one ^ (0x1020 if one & 1 else 0) for one in (_rotated(base, 1, 16), _rotated(end, 1, 16)))
            key ^= base if ord(char) & 0x7F & 1 << bit else 0
    key ^= end
    verifier = 0
    for octet in [*map(ord, reversed(password)), len(password)]:
        verifier = ((verifier >> 14) & 1 | (verifier << 1) & 0x7FFF) ^ octet
    padded = [*map(ord, password), *_PAD][:16]
    mixed = bytes(_rotated(one ^ (key >> 8 if n & 1 else key & 255), 7, 8) for n, one in enumerate(padded))
    return key, verifier ^ 0xCE4B, mixed


def obfuscated(password: str, *given: Record, old_form: bool = False) -> bytes:
    key, verifier, mixed = mask(password)
    out = records(BOF, (0x2F, (b"" if old_form else b"\0\0") + struct.pack("<HH", key, verifier)))
    for kind, data in given:
        at = len(out) + 4
        sealed = bytes(_rotated(octet, 5, 8) ^ mixed[(at + len(data) + n) % 16] for n, octet in enumerate(data))
        plain = len(data) if kind in _PLAIN else 4 if kind == 0x85 else 0
        out += records((kind, data[:plain] + sealed[plain:]))
    return out


# --- Word ---------------------------------------------------------------------------------------------


def word(header: bytes, crypt: Crypt, text: bytes, table: bytes, data: bytes = b"", flags: int = 0) -> dict[str, bytes]:
    head = struct.pack("<5HHHL", 0xA5EC, 0xC1, 0, 0x409, 0, 0x0300 | flags, 0xBF, len(header)).ljust(68, b"\0")
    streams = {
        "WordDocument": head + blocks(crypt, head + text, 512)[68:],
        "1Table": header + blocks(crypt, header + table, 512)[len(header) :],
    }
    return streams | ({"Data": blocks(crypt, data, 512)} if data else {})


# --- PowerPoint ---------------------------------------------------------------------------------------


def atom(kind: int, data: bytes, instance: int = 0) -> bytes:
    return struct.pack("<HHL", instance << 4, kind, len(data)) + data


def slides(header: bytes, crypt: Crypt, objects: list[bytes], before: int = 0) -> dict[str, bytes]:
    """objects: records, that get numbers from 1 on."""
    stream = b""
    offsets = []
    for number, octets in enumerate(objects, 1):
        offsets.append(len(stream))
        stream += crypt(number, octets)
    offsets.append(len(stream))
    stream += struct.pack("<HHL", 0xF, 0x2F14, len(header)) + header
    directory = len(stream)
    listed = b""
    for at in range(0, len(offsets), 4000):
        some = offsets[at : at + 4000]
        listed += struct.pack(f"<{1 + len(some)}L", at + 1 | len(some) << 20, *some)
    stream += atom(0x1772, listed)
    edit = len(stream)
    stream += atom(0x0FF5, struct.pack("<6LHHL", 0, 0, before, directory, 1, len(offsets), 1, 0, len(offsets)))
    user = struct.pack("<HHLLLL", 0, 0x0FF6, 32, 20, 0xF3D1C4DF, edit).ljust(40, b"\0")
    return {"Current User": user, "PowerPoint Document": stream}


def picture(crypt: Crypt, octets: bytes, kind: int = 0xF01E, instance: int = 0x6E0) -> bytes:
    """One picture of the stream Pictures: each field of it by itself."""
    digests = 2 if instance in (0x217, 0x6E1) else 1
    tag = 34 if kind == 0xF01A else 1
    fields = [bytes(16)] * digests + [b"\xff" * tag, octets]
    head = struct.pack("<HHL", instance << 4, kind, sum(map(len, fields)))
    return b"".join(crypt(0, one) for one in (head, *fields))


def properties(crypt: Crypt, named: dict[str, bytes], sealed: bool = False) -> bytes:
    body = b""
    listed = struct.pack("<L", len(named))
    for block, (name, octets) in enumerate(named.items(), 1):
        listed += struct.pack("<LLHBBL", 8 + len(body), len(octets), block & 0xFFFF, len(name), 1, 0)
        listed += name.encode("utf-16-le") + b"\0\0"
        body += crypt(block & 0xFFFF, octets)
    head = struct.pack("<LL", 8 + len(body), len(listed) - 4)
    return (crypt(0, head) if sealed else head) + body + crypt(0, listed)
