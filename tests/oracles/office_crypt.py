"""Encrypts packages as [MS-OFFCRYPTO] has it, in the agile form and in the standard one: the streams of the two."""

import base64
import hashlib
import struct
from collections.abc import Iterator

from Cryptodome.Cipher import AES

_SALT = bytes(range(16))
_KEY = bytes(range(40, 72))


def agile(package: bytes, password: str, rounds: int = 10, bits: int = 256, kind: str = "SHA512") -> dict[str, bytes]:
    hashed = getattr(hashlib, kind.lower())
    spun = hashed(_SALT + password.encode("utf-16-le")).digest()
    for number in range(rounds):
        spun = hashed(struct.pack("<L", number) + spun).digest()

    def sealed(block: str, octets: bytes) -> str:
        key = hashed(spun + bytes.fromhex(block)).digest()[: bits // 8].ljust(bits // 8, b"\x36")
        return base64.b64encode(AES.new(key, AES.MODE_CBC, iv=_SALT).encrypt(_padded(octets))).decode()

    key = _KEY[: bits // 8]
    salt = base64.b64encode(_SALT).decode()
    common = f'saltSize="16" blockSize="16" keyBits="{bits}" hashSize="{hashed().digest_size}" cipherAlgorithm="AES"'
    common += f' cipherChaining="ChainingModeCBC" hashAlgorithm="{kind}" saltValue="{salt}"'
    xml = (
        f'<?xml version="1.0"?><encryption><keyData {common}/><keyEncryptors><keyEncryptor><p:encryptedKey'
        f' spinCount="{rounds}" {common} encryptedVerifierHashInput="{sealed("fea7d2763b4b9e79", _SALT[::-1])}"'
        f' encryptedVerifierHashValue="{sealed("d7aa0f6d3061344e", hashed(_SALT[::-1]).digest())}"'
        f' encryptedKeyValue="{sealed("146e0be7abacd0d6", key)}"/></keyEncryptor></keyEncryptors></encryption>'
    )

    def segments() -> Iterator[bytes]:
        for number, at in enumerate(range(0, len(package), 4096)):
            iv = hashed(_SALT + struct.pack("<L", number)).digest()[:16]
            yield AES.new(key, AES.MODE_CBC, iv=iv).encrypt(_padded(package[at : at + 4096]))

    packed = struct.pack("<Q", len(package)) + b"".join(segments())
    return {"EncryptionInfo": struct.pack("<HHL", 4, 4, 0x40) + xml.encode(), "EncryptedPackage": packed}


def standard(package: bytes, password: str, bits: int = 128) -> dict[str, bytes]:
    spun = hashlib.sha1(_SALT + password.encode("utf-16-le")).digest()
    for number in range(50_000):
        spun = hashlib.sha1(struct.pack("<L", number) + spun).digest()
    last = hashlib.sha1(spun + bytes(4)).digest().ljust(64, b"\0")
    key = b"".join(hashlib.sha1(bytes(one ^ pad for one in last)).digest() for pad in (0x36, 0x5C))[: bits // 8]
    cipher = AES.new(key, AES.MODE_ECB)
    verifier = cipher.encrypt(_SALT[::-1]), cipher.encrypt(_padded(hashlib.sha1(_SALT[::-1]).digest()))
    name = "Microsoft Enhanced RSA and AES Cryptographic Provider\0".encode("utf-16-le")
    header = struct.pack("<8L", 0x24, 0, 0x660E, 0x8004, bits, 0x18, 0, 0) + name
    info = struct.pack("<HHLL", 3, 2, 0x24, len(header)) + header
    info += struct.pack("<L", 16) + _SALT + verifier[0] + struct.pack("<L", 20) + verifier[1]
    return {
        "EncryptionInfo": info,
        "EncryptedPackage": struct.pack("<Q", len(package)) + cipher.encrypt(_padded(package)),
    }


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 16)
