"""Files of the quarantine, each once by its digest, encrypted: they lie apart so that nothing can open them (QRN-06).

Under store/ a file's name is made of its digest and the key, in folders of its first two digits: it says nothing, and
has no ending that a system would start. It is written to store/coming/, synced, and renamed, so that it is there wholly
or not at all; what a crash leaves in coming/ is deleted at the next start.

    [magic 4][salt 8] and then pieces of PIECE_LEN octets, each followed by 16 that show a change (AES-256-GCM)

The nonce of a piece is the salt with its number, and its number and whether it is the last are bound to it: pieces
cannot be exchanged, repeated or cut off. The digest is bound to each, so that no file can take another's place.
"""

import hashlib
import hmac
import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from control.quarantine_server.layout import ServerLayout
from engine import durable

KEY_LEN: Final = 32
PIECE_LEN: Final = 1 << 20
_MAGIC: Final = b"MWQ1"
_SALT_LEN: Final = 8
_TAG_LEN: Final = 16
_HEAD_LEN: Final = len(_MAGIC) + _SALT_LEN


class Damaged(Exception):
    """A stored file is not as it was written."""


class Mismatch(Exception):
    """What came is not what was announced by its digest."""


class Vault:
    """Safe from any thread. The key is made by `make_key`; without it nothing in here can be read again."""

    def __init__(self, layout: ServerLayout) -> None:
        """Raises OSError, ValueError (no key)."""
        key = layout.key.read_bytes()
        if len(key) != KEY_LEN:
            raise ValueError(f"{layout.key} is no key of this server: put the right one back from a copy")
        self._layout = layout
        self._cipher = AESGCM(hmac.digest(key, b"content", "sha256"))
        self._names = hmac.digest(key, b"names", "sha256")

    def clear(self) -> None:
        """What was coming when the server was stopped; at its start only."""
        for path in self._layout.coming.iterdir():
            path.unlink()

    def begin(self, sha256: str) -> "Coming":
        """Raises OSError."""
        return Coming(self._layout.coming, self.path_of(sha256), self._cipher, sha256)

    def holds(self, sha256: str) -> bool:
        return self.path_of(sha256).exists()

    def pieces(self, sha256: str) -> Iterator[bytes]:
        """The file. Raises FileNotFoundError, Damaged, other OSError."""
        path = self.path_of(sha256)
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEAD_LEN)
            if len(head) < _HEAD_LEN or not head.startswith(_MAGIC):
                raise Damaged(f"{path} is not a file of this store")
            number, left = 0, size - _HEAD_LEN
            while left > 0 or not number:
                sealed = file.read(PIECE_LEN + _TAG_LEN)
                left -= len(sealed)
                try:
                    yield self._cipher.decrypt(_nonce(head, number), sealed, _bound(sha256, number, left <= 0))
                except InvalidTag:
                    raise Damaged(f"{path} was changed, or the key is another: restore it from a copy") from None
                number += 1

    def content(self, sha256: str) -> bytes:
        """Raises as `pieces`."""
        return b"".join(self.pieces(sha256))

    def delete(self, sha256: str) -> None:
        self.path_of(sha256).unlink(missing_ok=True)

    def path_of(self, sha256: str) -> Path:
        name = hmac.digest(self._names, sha256.encode("ascii"), "sha256").hex()
        return self._layout.store / name[:2] / name[2:]


class Coming:
    """A file on its way into the store. Not for several threads at once; `drop` ends it in any case.

    stored: octets on disk.
    """

    def __init__(self, directory: Path, target: Path, cipher: AESGCM, sha256: str) -> None:
        handle, name = tempfile.mkstemp(dir=directory)  # readable for nobody else
        self._file = os.fdopen(handle, "wb", buffering=0)  # so that closing never writes: the disk may be full
        self._name = name
        self._target = target
        self._cipher = cipher
        self._sha256 = sha256
        self._digest = hashlib.sha256()
        self._head = _MAGIC + secrets.token_bytes(_SALT_LEN)
        self._piece = bytearray()
        self._number = 0
        self.stored = 0
        self._put(self._head)

    def write(self, octets: bytes) -> None:
        """Raises OSError."""
        self._digest.update(octets)
        self._piece += octets
        while len(self._piece) > PIECE_LEN:  # never all of it: the last piece is marked
            self._seal(bytes(self._piece[:PIECE_LEN]), last=False)
            del self._piece[:PIECE_LEN]

    def seal(self) -> None:
        """Nothing more comes; what came is on disk, though not under its name. Raises Mismatch, OSError."""
        if self._digest.hexdigest() != self._sha256:
            raise Mismatch("its octets do not have the sha256 that was announced")
        self._seal(bytes(self._piece), last=True)
        os.fsync(self._file.fileno())
        self.stored = self._file.tell()
        self._file.close()

    def place(self) -> None:
        """After `seal`: under its name, also after a crash. Raises OSError."""
        if not self._target.parent.exists():
            self._target.parent.mkdir(mode=0o700, exist_ok=True)
            durable.sync(self._target.parent.parent)
        os.replace(self._name, self._target)
        durable.sync(self._target.parent)

    def drop(self) -> None:
        """What is not in its place, whatever has become of it."""
        self._file.close()
        Path(self._name).unlink(missing_ok=True)

    def _seal(self, piece: bytes, last: bool) -> None:
        nonce = _nonce(self._head, self._number)
        self._put(self._cipher.encrypt(nonce, piece, _bound(self._sha256, self._number, last)))
        self._number += 1

    def _put(self, octets: bytes) -> None:
        rest = memoryview(octets)
        while rest:
            rest = rest[self._file.write(rest) :]


def make_key(layout: ServerLayout) -> None:
    """Raises OSError; FileExistsError if there is one."""
    fd = os.open(layout.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(secrets.token_bytes(KEY_LEN))
        file.flush()
        os.fsync(fd)
    durable.sync(layout.root)


def _nonce(head: bytes, number: int) -> bytes:
    return head[len(_MAGIC) :] + number.to_bytes(4, "big")


def _bound(sha256: str, number: int, last: bool) -> bytes:
    return b"%s %d %d" % (sha256.encode("ascii"), number, last)
