"""Public keys that no library makes any more, in DER."""

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

_RSA = bytes.fromhex("300d06092a864886f70d0101010500")  # AlgorithmIdentifier of RFC 3279 s2.3.1


def spki(numbers: RSAPublicNumbers) -> bytes:
    """SubjectPublicKeyInfo of any modulus and exponent."""
    both = _integer(numbers.n) + _integer(numbers.e)
    return _tlv(0x30, _RSA + _tlv(0x03, b"\0" + _tlv(0x30, both)))


def _integer(value: int) -> bytes:
    return _tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _tlv(tag: int, content: bytes) -> bytes:
    if len(content) < 128:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size)]) + size + content
