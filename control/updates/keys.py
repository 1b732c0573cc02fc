"""Signing keys: a file each, `ROLE-ID.pem`, PKCS #8, perhaps under a passphrase. The ID begins the key's own.

A key counts only if the root names it for that role, so what else lies in the directories does no harm. Keys of the
root are needed only when keys change: they may lie where no machine of the network can see them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner

from engine import durable

ROLES: Final = ("root", "targets", "snapshot", "timestamp")
_SHOWN_LEN: Final = 12  # hexadecimal digits of the ID in the name
Passphrase = Callable[[Path], bytes | None]  # asked when a key needs one: None, there is none


class BadKey(Exception):
    """A key file that cannot be used. The text says which, and why."""


class Keys:
    """The key files of some directories. passphrase: for all of them, and for new ones if new_locked."""

    def __init__(self, directories: Sequence[Path], passphrase: Passphrase) -> None:
        self._directories = directories
        self._passphrase = passphrase

    def signers(self, role: str, ids: Sequence[str]) -> list[CryptoSigner]:
        """Those of the role that are here. Raises BadKey, OSError."""
        found: dict[str, CryptoSigner] = {}
        for key_id in ids:
            for directory in self._directories:
                path = directory / _name(role, key_id)
                if key_id not in found and path.exists():
                    signer = self._load(path)
                    if signer.public_key.keyid == key_id:
                        found[key_id] = signer
        return list(found.values())

    def generate(self, role: str, passphrase: bytes | None) -> CryptoSigner:
        """A new key, in a file of the first directory, durable before it is used. Raises OSError."""
        signer = CryptoSigner.generate_ed25519()
        private = load_pem_private_key(signer.private_bytes, None)
        locked = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
        octets = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
        directory = self._directories[0]
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / _name(role, signer.public_key.keyid)
        durable.put(path, octets)
        return signer

    def _load(self, path: Path) -> CryptoSigner:
        octets = path.read_bytes()
        try:
            try:
                key = load_pem_private_key(octets, None)
            except TypeError:  # it is under a passphrase
                key = load_pem_private_key(octets, self._passphrase(path))
        except (ValueError, TypeError) as error:
            raise BadKey(f"{path}: {'the passphrase is wrong' if b'ENCRYPTED' in octets else error}") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise BadKey(f"{path}: is no Ed25519 key")
        return CryptoSigner(key)


def _name(role: str, key_id: str) -> str:
    return f"{role}-{key_id[:_SHOWN_LEN]}.pem"
