"""AES and RC4, for what opens files that are encrypted.

The library loads each mode when it is first used, and so does its shared object: too late in the sandbox. So all that
are used here are loaded with this module; others are not to be asked for.
"""

from typing import Final, Protocol

from Cryptodome.Cipher import AES, ARC4
from Cryptodome.Util import Counter

BLOCK_LEN: Final = 16


class Cipher(Protocol):
    def encrypt(self, octets: bytes | bytearray | memoryview, /) -> bytes: ...

    def decrypt(self, octets: bytes | bytearray | memoryview, /) -> bytes: ...


def cbc(key: bytes, iv: bytes) -> Cipher:
    """AES with a key of 16, 24 or 32 octets, and an iv of BLOCK_LEN, as in all of these."""
    return AES.new(key, AES.MODE_CBC, iv=iv)


def ecb(key: bytes) -> Cipher:
    return AES.new(key, AES.MODE_ECB)


def little_counter(key: bytes) -> Cipher:
    """AES in counter mode; the counter is little-endian and begins with 1."""
    return AES.new(key, AES.MODE_CTR, counter=Counter.new(128, little_endian=True))


def rc4(key: bytes) -> Cipher:
    """key: of 1 to 256 octets."""
    return ARC4.new(key)


def _load() -> None:
    octets = bytes(BLOCK_LEN)
    for cipher in (cbc(octets, octets), ecb(octets), little_counter(octets), rc4(octets)):
        cipher.decrypt(octets)


_load()
