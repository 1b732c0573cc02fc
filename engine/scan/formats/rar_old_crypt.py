"""Encrypted archives of RAR 2.9 to 4: the same archive without its encryption, in memory, if a password is known.

Nothing tells a wrong password but the checksum of what a file unpacks to, so that the first one is unpacked with each.
AES-128 in CBC mode; the key is a hash of password, salt and a counter, again and again.

Known gaps: RAR 2 and older; volumes; passwords of more than 27 letters, which RAR hashes with an error; archives whose
first encrypted file libarchive does not unpack (solid ones, and those that need a program).
"""

import hashlib
import struct
import zlib
from collections.abc import Iterator
from typing import Final

import msgspec

from cext.archive import END, OK, WARN, Reader
from engine import limits
from engine.scan.ciphers import BLOCK_LEN, cbc
from engine.scan.formats.item import Room
from engine.scan.formats.rar_crypt import Plain
from engine.scan.formats.rar_header import OLD, OLD_HEAD
from engine.scan.mapped import Octets

_MAIN, _FILE, _END = 0x73, 0x74, 0x7B
_LEAST_LEN: Final = 7  # of a header
_SPLIT, _LOCKED, _LARGE, _SALTED, _LONG = 0x03, 0x04, 0x100, 0x400, 0x8000
_HIDDEN: Final = 0x80  # of the main header
_FILE_LEN: Final = 32
_SALT_LEN: Final = 8
_OLDEST: Final = 29  # version of the first that used AES
_STORED: Final = 0x30
_TURNS: Final = 16
_TURN_LEN: Final = 0x4000  # rounds between two octets of the iv
_WORD_LEN: Final = 54  # octets of a password in UTF-16
_SALTS: Final = 4  # of keys of one archive: writers use one, and each costs as much as a password
_PIECE_LEN: Final = 1 << 20  # read between two looks at the clock


class _Block(msgspec.Struct, frozen=True):
    """head: the whole header. data, end: offsets of what follows it. locked: it is an encrypted file."""

    kind: int
    flags: int
    head: bytes
    data: int
    end: int

    @property
    def locked(self) -> bool:
        return self.kind == _FILE and bool(self.flags & _LOCKED)


def archive(buf: Octets, at: int, room: Room) -> Plain | None:
    """The archive at offset at as it would be without encryption."""
    if 2 * (len(buf) - at) > room.room():
        return None
    lock = _Lock(buf, at + len(OLD), room)
    return room.keyring.find(lock.opened)


def key(word: bytes, salt: bytes, room: Room) -> tuple[bytes, bytes]:
    """(key, iv) of a password in UTF-16."""
    start = word + salt
    step = len(start) + 3
    buf = bytearray((start + bytes(3)) * _TURN_LEN)
    buf[len(start) :: step] = bytes(range(256)) * (_TURN_LEN >> 8)
    hashed = hashlib.sha1()
    iv = bytearray()
    for turn in range(_TURNS):
        room.check_time()
        high = b"".join(bytes([(turn << 6 | number) & 0xFF]) * 256 for number in range(_TURN_LEN >> 8))
        buf[len(start) + 1 :: step] = high
        buf[len(start) + 2 :: step] = bytes([turn >> 2]) * _TURN_LEN
        hashed.update(buf[:step])
        iv.append(hashed.digest()[19])
        hashed.update(memoryview(buf)[step:])
    return struct.pack("<4L", *struct.unpack_from(">4L", hashed.digest())), bytes(iv)


class _Lock:
    def __init__(self, buf: Octets, at: int, room: Room) -> None:
        self._buf = buf
        self._at = at
        self._room = room
        self._salts: set[bytes] = set()
        self._word = b""
        self._keys: dict[bytes, tuple[bytes, bytes]] = {}

    def opened(self, word: str) -> Plain | None:
        self._word = word.encode("utf-16-le", "replace")
        self._keys.clear()
        if len(self._word) > _WORD_LEN:
            return None
        first = next((block for block in self._blocks() if block.locked and any(block.head[11:15])), None)
        if first is None or not self._right(first):
            return None
        out = [OLD]
        end = self._at
        last = 0
        for block in self._blocks():
            self._room.check_time()
            end, last = block.end, block.kind
            if block.kind == _FILE and block.flags & _SPLIT:
                return None
            out += self._plain(block)
        return Plain(b"".join(out), end, last == _END or end == len(self._buf))  # old ones have no end header

    def _right(self, block: _Block) -> bool:
        """Whether a file agrees with its checksum, by itself."""
        if block.flags & _SPLIT:
            return False
        reader = Reader(b"".join([OLD, _header(_MAIN, 0, bytes(6)), *self._plain(block)]), "rar")
        most = self._room.room()
        if reader.next() not in (OK, WARN) or reader.encrypted:
            return False
        while most >= 0:
            most -= len(reader.read(_PIECE_LEN))
            if reader.status != OK:
                return bool(reader.status == END and not reader.error)
            self._room.check_time()
        return False

    def _plain(self, block: _Block) -> list[bytes]:
        data = self._buf[block.data : block.end]
        if block.kind == _MAIN:
            return [_header(_MAIN, block.flags & ~_HIDDEN, block.head[_LEAST_LEN:])]
        if not block.locked or len(block.head) < _FILE_LEN or block.head[24] < _OLDEST:
            return [block.head, data]
        large = 8 if block.flags & _LARGE else 0
        begin = _FILE_LEN + large + int.from_bytes(block.head[26:28], "little")
        salt = block.head[begin : begin + _SALT_LEN] if block.flags & _SALTED else b""
        found = self._key(salt)
        if found is None:
            return [block.head, data]
        plain = cbc(*found).decrypt(data[: len(data) // BLOCK_LEN * BLOCK_LEN])
        size = int.from_bytes(block.head[11:15], "little")
        if large:
            size |= int.from_bytes(block.head[36:40], "little") << 32
        if block.head[25] == _STORED:  # libarchive does not look at the checksum of such a file
            plain = plain[:size]
            if zlib.crc32(plain) != int.from_bytes(block.head[16:20], "little"):
                return [block.head, data]
        length = len(plain).to_bytes(8, "little")
        rest = length[:4] + block.head[11:_FILE_LEN]
        if large:
            rest += length[4:] + block.head[36:40]
        rest += block.head[_FILE_LEN + large : begin] + block.head[begin + len(salt) :]
        return [_header(_FILE, block.flags & ~(_LOCKED | _SALTED), rest), plain]

    def _blocks(self) -> Iterator[_Block]:
        """Headers, up to the one that ends the archive, or that is damaged, or for which the password is wrong."""
        hidden = False
        at = self._at
        for _ in range(limits.SCAN_FILES):
            head, data = self._header(at, hidden)
            if len(head) < _LEAST_LEN:
                return
            kind, flags, length = OLD_HEAD.unpack_from(head, 2)
            head = head[:length]
            if len(head) < max(length, _LEAST_LEN) or not _MAIN <= kind <= _END:
                return
            if hidden and zlib.crc32(head[2:]) & 0xFFFF != int.from_bytes(head[:2], "little"):
                return
            size = int.from_bytes(head[7:11], "little") if kind == _FILE or flags & _LONG else 0
            if kind == _FILE and flags & _LARGE:
                size |= int.from_bytes(head[32:36], "little") << 32
            block = _Block(kind, flags, head, data, data + (0 if kind == _END else size))
            hidden = hidden or (kind == _MAIN and bool(flags & _HIDDEN))
            yield block
            if kind == _END or block.end > len(self._buf):
                return
            at = block.end

    def _header(self, at: int, hidden: bool) -> tuple[bytes, int]:
        """(octets that begin with the header, offset behind it)."""
        if not hidden:
            length = int.from_bytes(self._buf[at + 5 : at + 7], "little")
            return self._buf[at : at + length], at + length
        found = self._key(self._buf[at : at + _SALT_LEN])
        at += _SALT_LEN
        first = self._buf[at : at + BLOCK_LEN]
        if found is None or len(first) < BLOCK_LEN:
            return b"", at
        length = int.from_bytes(cbc(*found).decrypt(first)[5:7], "little")
        octets = self._buf[at : at + -(-length // BLOCK_LEN) * BLOCK_LEN]
        behind = at + len(octets)
        return cbc(*found).decrypt(octets[: len(octets) // BLOCK_LEN * BLOCK_LEN]), behind

    def _key(self, salt: bytes) -> tuple[bytes, bytes] | None:
        self._salts.add(salt)
        if len(self._salts) > _SALTS:
            return None
        if salt not in self._keys:
            self._keys[salt] = key(self._word, salt, self._room)
        return self._keys[salt]


def _header(kind: int, flags: int, rest: bytes) -> bytes:
    octets = OLD_HEAD.pack(kind, flags, _LEAST_LEN + len(rest)) + rest
    return (zlib.crc32(octets) & 0xFFFF).to_bytes(2, "little") + octets
