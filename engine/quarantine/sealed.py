"""One quarantined file on disk: nothing of it can be read, started or exchanged without the key (QRN-03, QRN-06).

    [magic 4][salt 16] [pieces of PIECE_LEN, each + 16] [what is known of it, + 16][u32: octets of that, with the 16]

AES-256-GCM with a key for each file, made of the key of the quarantine and the salt. The nonce counts the pieces, and
says of which sort each is, so that none can be left out, repeated or moved; what is known of the file has its size.
It comes last because it holds the digest, which only the last octet settles.
"""

import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from engine import durable
from engine.quarantine.item import Item

KEY_LEN: Final = 32
KEY_NAME: Final = "key"
PIECE_LEN: Final = 256 * 1024
ITEM_LEN: Final = 4 * 1024 * 1024  # octets of what is known of a file: 1000 recipients and texts of limited length
_MAGIC: Final = b"MWQ2"
_SALT_LEN: Final = 16
_HEAD_LEN: Final = len(_MAGIC) + _SALT_LEN
_TAG_LEN: Final = 16
_LENGTH_LEN: Final = 4
_PIECE, _LAST, _ITEM = b"\0", b"\1", b"\2"


class Unreadable(Exception):
    """The file is damaged, or the key is another, in words for an operator."""


def key_of(directory: Path) -> bytes:
    """The key of the quarantine in directory, made if there is none. Raises OSError, Unreadable."""
    path = directory / KEY_NAME
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        durable.put_first(path, secrets.token_bytes(KEY_LEN))
        key = path.read_bytes()
    if len(key) != KEY_LEN:
        raise Unreadable(f"{path} is no key: put the right one back from a copy")
    return key


def sealed_len(size: int, item_len: int = 0) -> int:
    """Octets on disk of a file of size octets."""
    pieces = max(1, -(-size // PIECE_LEN))
    return _HEAD_LEN + size + pieces * _TAG_LEN + item_len + _TAG_LEN + _LENGTH_LEN


class Writer:
    """Writes one file. Every call may raise OSError; `abort` ends it then."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        salt = secrets.token_bytes(_SALT_LEN)
        self._head = _MAGIC + salt
        self._cipher = _cipher(key, salt)
        self._number = 0
        self._rest = bytearray()
        self._digest = hashlib.sha256()
        self.size = 0
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            self._put(self._head)
        except BaseException:
            self.abort()
            raise

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def write(self, octets: bytes) -> None:
        self._digest.update(octets)
        self._rest += octets
        while len(self._rest) > PIECE_LEN:  # never all of it: the last piece is of another sort
            self._seal(_PIECE, bytes(self._rest[:PIECE_LEN]))
            del self._rest[:PIECE_LEN]
        self.size += len(octets)  # now, so that one whose last piece did not fit is not taken for whole

    def finish(self, item: Item) -> int:
        """On disk when it returns, though not under its name. Returns its octets there."""
        self._seal(_LAST, bytes(self._rest))
        octets = msgspec.json.encode(item)
        self._put(self._sealed(_ITEM, octets))
        self._put((len(octets) + _TAG_LEN).to_bytes(_LENGTH_LEN, "big"))
        os.fsync(self._fd)
        length = os.lseek(self._fd, 0, os.SEEK_CUR)
        self._close()
        return length

    def abort(self) -> None:
        """Nothing of it stays. Never raises."""
        self._close()
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            return  # its directory cannot be written to: at the next start it is deleted

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _seal(self, sort: bytes, octets: bytes) -> None:
        self._put(self._sealed(sort, octets))

    def _sealed(self, sort: bytes, octets: bytes) -> bytes:
        self._number += 1
        return self._cipher.encrypt(_nonce(self._number, sort), octets, self._head)

    def _put(self, octets: bytes) -> None:
        rest = memoryview(octets)
        while rest:
            rest = rest[os.write(self._fd, rest) :]


def read_item(path: Path, key: bytes) -> Item:
    """What is known of a file. Raises Unreadable, OSError."""
    with path.open("rb") as file:
        return _read_item(file, key)[0]


def read_content(path: Path, key: bytes) -> tuple[Item, Iterator[bytes]]:
    """What is known of a file, and its octets in pieces. Raises Unreadable, OSError; the iterator does, too."""
    with path.open("rb") as file:
        item, cipher, head = _read_item(file, key)
    return item, _pieces(path, item, cipher, head)


def _read_item(file: BinaryIO, key: bytes) -> tuple[Item, AESGCM, bytes]:
    head = file.read(_HEAD_LEN)
    end = file.seek(0, os.SEEK_END)
    if len(head) < _HEAD_LEN or not head.startswith(_MAGIC) or end < _HEAD_LEN + _LENGTH_LEN:
        raise Unreadable(f"{file.name} is no file of the quarantine, or only a part of one")
    file.seek(end - _LENGTH_LEN)
    length = int.from_bytes(file.read(_LENGTH_LEN), "big")
    start = end - _LENGTH_LEN - length
    if length > ITEM_LEN or start < _HEAD_LEN:
        raise Unreadable(f"{file.name} is damaged: restore it from a copy")
    file.seek(start)
    sealed = file.read(length)
    cipher = _cipher(key, head[len(_MAGIC) :])
    # How many pieces there are is known from where they end.
    pieces = -(-(start - _HEAD_LEN) // (PIECE_LEN + _TAG_LEN))
    try:
        item = msgspec.json.decode(cipher.decrypt(_nonce(pieces + 1, _ITEM), sealed, head), type=Item)
    except (InvalidTag, msgspec.MsgspecError):
        raise Unreadable(f"{file.name} is damaged, or was written with another key: restore it from a copy") from None
    if sealed_len(item.size, length - _TAG_LEN) != end:
        raise Unreadable(f"{file.name} was cut: restore it from a copy")
    return item, cipher, head


def _pieces(path: Path, item: Item, cipher: AESGCM, head: bytes) -> Iterator[bytes]:
    left = item.size
    number = 0
    with path.open("rb") as file:
        file.seek(_HEAD_LEN)
        while left or not number:
            number += 1
            length = min(left, PIECE_LEN)
            left -= length
            try:
                yield cipher.decrypt(_nonce(number, _PIECE if left else _LAST), file.read(length + _TAG_LEN), head)
            except InvalidTag:
                raise Unreadable(f"{path} is damaged: restore it from a copy") from None


def _cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), KEY_LEN, salt, b"mailward quarantined file").derive(key))


def _nonce(number: int, sort: bytes) -> bytes:
    return number.to_bytes(11, "big") + sort
