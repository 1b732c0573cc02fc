"""Keys in the place of ClamAV's, and what is signed with them."""

import gzip
import hashlib
import math
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

from control.updates.compiling import Keys
from signatures.clamav import cdiff, container


def _made() -> tuple[int, int]:
    """(modulus, its phi) of a key that goes with both exponents of ClamAV."""
    while True:
        key = rsa.generate_private_key(65537, 2048).private_numbers()
        phi = (key.p - 1) * (key.q - 1)
        if math.gcd(phi, cdiff.EXPONENT * container.KEY_EXPONENT) == 1:
            return key.public_numbers.n, phi


MODULUS, _PHI = _made()
KEYS: Final = Keys(str(MODULUS), str(MODULUS))


@cache
def _private(exponent: int) -> int:
    return pow(exponent, -1, _PHI)


def _digits(value: int) -> bytes:
    text = ""
    while value:
        value, digit = value >> 6, value & 63
        text += container._DIGITS[digit]
    return text.encode()


def signature_of(octets: bytes) -> bytes:
    """RSASSA-PSS, as ClamAV signs increments: with the bits of a key of 2048, whatever the key has."""
    salt = bytes(range(32))
    found = hashlib.sha256(bytes(8) + hashlib.sha256(octets).digest() + salt).digest()
    block = bytes(256 - 32 - 1 - 33) + b"\x01" + salt
    mask = b"".join(hashlib.sha256(found + one.to_bytes(4, "big")).digest() for one in range(8))
    masked = bytearray(one ^ other for one, other in zip(block, mask, strict=False))
    masked[0] &= 0x3F  # below the modulus
    value = int.from_bytes(bytes(masked) + found + b"\xbc", "big")
    return _digits(pow(value, _private(cdiff.EXPONENT), MODULUS))


def container_signature(digest: str) -> str:
    return _digits(pow(int(digest, 16), _private(container.KEY_EXPONENT), MODULUS)).decode()


def signed_diff(version: int, script: bytes) -> bytes:
    head = f"ClamAV-Diff:{version}:{len(script)}:".encode() + gzip.compress(script, mtime=0)
    return head + b":" + signature_of(head)
