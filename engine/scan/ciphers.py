"""AES, RC4 and Blowfish, for what opens files that are encrypted.

The library loads each mode when it is first used, and so does its shared object: too late in the sandbox. So all that
are used here are loaded with this module; others are not to be asked for.
"""

from typing import Final, Protocol

from Cryptodome.Cipher import AES, ARC4, Blowfish
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


def blowfish(key: bytes, iv: bytes) -> Cipher:
    """In CFB mode of 64 bits. key: of 4 to 56 octets; iv: of 8."""
    return Blowfish.new(key, Blowfish.MODE_CFB, iv=iv, segment_size=64)


def _load() -> None:
    octets = bytes(BLOCK_LEN)
    for cipher in (cbc(octets, octets), ecb(octets), little_counter(octets), rc4(octets), blowfish(octets, octets[:8])):
        cipher.decrypt(octets)


_load()
