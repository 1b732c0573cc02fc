"""Encrypted RAR 5 archives: the same archive without its encryption, in memory, if a password is known.

Keys come of PBKDF2; 64 further bits of it tell a wrong password, and what does not have them is not opened. Each header
is encrypted by itself if names are hidden, and each file in any case (AES-256 in CBC mode). What has another password
than the rest stays as it is. Left out are comments, recovery records and the like, which are no members.

Known gaps: RAR 4 and older; volumes.
"""

import hashlib
import zlib
from collections.abc import Iterator
from typing import Final

import msgspec

from engine import limits
from engine.scan.ciphers import BLOCK_LEN, cbc
from engine.scan.formats.item import Room
from engine.scan.formats.rar_header import HEADER_LEN, NEW, number
from engine.scan.mapped import Octets

_MAIN, _FILE, _SERVICE, _CRYPT, _END = range(1, 6)
_EXTRA, _DATA, _SPLIT = 1, 2, 0x18  # flags of a header
_TIME, _SUM, _UNKNOWN_SIZE = 2, 4, 8  # flags of a file
_CHECKED, _TWEAKED = 1, 2  # flags of encryption
_SOLID: Final = 4
_HASHED: Final = 2  # record with another checksum
_SALT_LEN: Final = 16
_CHECK_LEN: Final = 8
_CHECK_ROUNDS: Final = 32  # more than for the key
_SALTS: Final = 4  # of keys of one archive: writers use one, and each costs as much as a password
_METHOD: Final = 0x380
_LAST: Final = 0x40  # flag of a block of packed octets


class Plain(msgspec.Struct, frozen=True):
    """octets: of an archive. end: offset behind the encrypted one. whole: no header of that is missing at its end."""

    octets: bytes
    end: int
    whole: bool = True


class _Seal(msgspec.Struct, frozen=True):
    power: int
    salt: bytes
    check: bytes
    tweaked: bool = False
    iv: bytes = b""


class _Block(msgspec.Struct, frozen=True):
    """body: of a header, from its kind on. data, end: offsets of what follows it."""

    kind: int
    flags: int
    body: bytes
    rest: int
    extra: int
    data: int
    end: int


def archive(buf: Octets, at: int, room: Room) -> Plain | None:
    """The archive at offset at as it would be without encryption, as far as one password opens it."""
    if 2 * (len(buf) - at) > room.room():
        return None
    lock = _Lock(buf, at + len(NEW), room)
    return room.keyring.find(lock.opened)


class _Lock:
    def __init__(self, buf: Octets, at: int, room: Room) -> None:
        self._buf = buf
        self._at = at
        self._room = room
        self._salts: set[tuple[int, bytes]] = set()
        self._word = ""
        self._checks: dict[_Seal, bool] = {}
        self._keys: dict[tuple[int, bytes], bytes] = {}

    def opened(self, word: str) -> Plain | None:
        self._word = word
        self._checks.clear()
        self._keys.clear()
        out = [NEW]
        end = self._at
        found = split = False
        for block in self._blocks():
            self._room.check_time()
            end = block.end
            if block.kind == _MAIN:
                archive_flags, _ = number(block.body, block.rest)
                out.append(_header(bytes([_MAIN, 0]) + _vint(archive_flags & _SOLID)))
            elif block.kind == _CRYPT:
                found = True
            elif block.kind == _FILE:
                split = split or bool(block.flags & _SPLIT)
                decrypted = self._file(block)
                found = found or decrypted is not None
                out += decrypted or [_header(block.body), self._buf[block.data : block.end]]
            elif block.kind == _END:
                out.append(_header(bytes([_END, 0, 0])))
        return Plain(b"".join(out), end) if found and not split else None

    def _blocks(self) -> Iterator[_Block]:
        """Headers, up to the one that ends the archive, or that is damaged, or for which the password is wrong."""
        key = b""
        at = self._at
        for _ in range(limits.SCAN_FILES):
            head, data = self._header(at, key)
            length, begin = number(head, 4)
            if not 0 < length <= HEADER_LEN or len(head) < begin + length:
                return
            if zlib.crc32(head[4 : begin + length]) != int.from_bytes(head[:4], "little"):
                return
            block = _block(head[begin : begin + length], data)
            if block.kind == _CRYPT:
                seal = _seal(block.body, block.rest, 0)
                if key or seal is None or not self._is_right(seal):
                    return
                key = self._key(seal)
            yield block
            if block.kind == _END or block.end > len(self._buf):
                return
            at = block.end

    def _header(self, at: int, key: bytes) -> tuple[bytes, int]:
        """(octets that begin with the header, offset behind it)."""
        if not key:
            length, begin = number(self._buf, at + 4)
            return self._buf[at : begin + min(length, HEADER_LEN)], begin + length
        iv = self._buf[at : at + BLOCK_LEN]
        at += BLOCK_LEN
        first = self._buf[at : at + BLOCK_LEN]
        if len(first) < BLOCK_LEN:
            return b"", at
        length, begin = number(cbc(key, iv).decrypt(first), 4)
        padded = -(-(begin + min(length, HEADER_LEN)) // BLOCK_LEN) * BLOCK_LEN
        octets = self._buf[at : at + padded]
        return cbc(key, iv).decrypt(octets[: len(octets) // BLOCK_LEN * BLOCK_LEN]), at + padded

    def _file(self, block: _Block) -> list[bytes] | None:
        """Header and octets of a file, decrypted; None if it is not encrypted, or not with this password."""
        seal: _Seal | None = None
        others: list[bytes] = []
        for record in _records(block.body[block.extra :]):
            kind, at = number(record, 0)
            if kind == 1:
                seal = _seal(record, at, BLOCK_LEN)
            elif kind != _HASHED:
                others.append(_vint(len(record)) + record)
        data = self._buf[block.data : block.end]
        if seal is None or len(data) % BLOCK_LEN or not self._is_right(seal):
            return None
        specific = block.body[block.rest : block.extra]
        flags, after = number(specific, 0)
        size, at = number(specific, after)
        _, at = number(specific, at)
        at += 4 if flags & _TIME else 0
        behind = at + (4 if flags & _SUM else 0)
        method, _ = number(specific, behind)
        if seal.tweaked:  # its checksum is of no use without the key
            flags &= ~_SUM
        else:
            at = behind
        plain = cbc(self._key(seal), seal.iv).decrypt(data)
        if method & _METHOD:
            plain = plain[: _packed_len(plain, self._room)]
        elif not flags & _UNKNOWN_SIZE:
            plain = plain[:size]
        extra = b"".join(others)
        body = _vint(_FILE) + _vint(block.flags & ~(_EXTRA | _DATA) | _DATA | (_EXTRA if extra else 0))
        body += (_vint(len(extra)) if extra else b"") + _vint(len(plain))
        return [_header(body + _vint(flags) + specific[after:at] + specific[behind:] + extra), plain]

    def _is_right(self, seal: _Seal) -> bool:
        """Whether the word is the password of what is sealed so."""
        known = _Seal(seal.power, seal.salt, seal.check)
        if known not in self._checks:
            self._salts.add((seal.power, seal.salt))
            if len(self._salts) > _SALTS:
                return False
            value = self._derived(seal, _CHECK_ROUNDS)
            folded = [value[n] ^ value[n + 8] ^ value[n + 16] ^ value[n + 24] for n in range(_CHECK_LEN)]
            self._checks[known] = bytes(folded) == seal.check
        return self._checks[known]

    def _key(self, seal: _Seal) -> bytes:
        known = seal.power, seal.salt
        if known not in self._keys:
            self._keys[known] = self._derived(seal, 0)
        return self._keys[known]

    def _derived(self, seal: _Seal, more: int) -> bytes:
        word = self._word.encode("utf-8", "replace")
        return hashlib.pbkdf2_hmac("sha256", word, seal.salt, (1 << seal.power) + more)


def _block(body: bytes, behind: int) -> _Block:
    kind, at = number(body, 0)
    flags, at = number(body, at)
    extra_len = data_len = 0
    if flags & _EXTRA:
        extra_len, at = number(body, at)
    if flags & _DATA:
        data_len, at = number(body, at)
    return _Block(kind, flags, body, at, max(at, len(body) - extra_len), behind, behind + data_len)


def _packed_len(octets: bytes, room: Room) -> int:
    """How many octets of a packed file come before its padding."""
    at = 0
    while at < len(octets):
        room.check_time()
        flags = octets[at]
        begin = at + 3 + (flags >> 3 & 3)
        at = begin + int.from_bytes(octets[at + 2 : begin], "little")
        if flags & _LAST:
            break
    return at


def _records(extra: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(extra):
        length, at = number(extra, at)
        yield extra[at : at + length]
        at += length


def _seal(octets: bytes, at: int, iv_len: int) -> _Seal | None:
    """What stands behind the kind of an encryption header or record; None if no password can be told by it, or if it
    asks for too much."""
    version, at = number(octets, at)
    flags, at = number(octets, at)
    values = octets[at : at + 1 + _SALT_LEN + iv_len + _CHECK_LEN]
    if version or not flags & _CHECKED or len(values) < 1 + _SALT_LEN + iv_len + _CHECK_LEN:
        return None
    salt, iv, check = values[1:17], values[17 : 17 + iv_len], values[17 + iv_len :]
    if values[0] > 62 or (1 << values[0]) + _CHECK_ROUNDS > limits.PASSWORD_ROUNDS:
        return None
    return _Seal(values[0], salt, check, bool(flags & _TWEAKED), iv)


def _vint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _header(body: bytes) -> bytes:
    octets = _vint(len(body)) + body
    return zlib.crc32(octets).to_bytes(4, "little") + octets
