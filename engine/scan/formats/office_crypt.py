"""Encrypted Office packages ([MS-OFFCRYPTO] s2.3.4): from a password to the zip inside, agile and standard forms.

A compound file holds `EncryptionInfo`, which tells how a password is tested, and `EncryptedPackage`. Excel opens what
was encrypted with one known password without asking.

Known gaps: extensible encryption, certificates in place of a password, ciphers other than AES in CBC mode.
"""

import binascii
import hashlib
import struct
from collections.abc import Callable
from typing import Any, Final
from xml.parsers import expat

import msgspec

from engine import limits
from engine.scan.ciphers import BLOCK_LEN, cbc, ecb

_SEGMENT_LEN: Final = 4096
_SIZE_LEN: Final = 8
_STANDARD_ROUNDS: Final = 50_000
_TICKS: Final = 8192  # rounds or segments between two looks at the clock
INFO_LEN: Final = 64 * 1024  # octets of EncryptionInfo that are read; ordinary ones have 1500
_VERIFIER_INPUT: Final = bytes.fromhex("fea7d2763b4b9e79")
_VERIFIER_VALUE: Final = bytes.fromhex("d7aa0f6d3061344e")
_KEY_VALUE: Final = bytes.fromhex("146e0be7abacd0d6")
HASHES: Final = {
    "SHA1": hashlib.sha1,
    "SHA-1": hashlib.sha1,
    "SHA256": hashlib.sha256,
    "SHA384": hashlib.sha384,
    "SHA512": hashlib.sha512,
    "MD5": hashlib.md5,
}
_STANDARD: Final = struct.Struct("<HHLL")
_HEADER: Final = struct.Struct("<8L")

Hash = Callable[[bytes], Any]
Tick = Callable[[], None]


class Key(msgspec.Struct, frozen=True):
    """Decrypts the package. hash: None in the standard form, whose blocks do not depend on each other."""

    key: bytes
    salt: bytes = b""
    hash: Hash | None = None

    def package(self, octets: bytes, tick: Tick) -> tuple[bytes, int]:
        """(what is in the stream EncryptedPackage, of how many octets of that it says that they are the zip)."""
        size = int.from_bytes(octets[:_SIZE_LEN], "little")
        end = len(octets) - max(0, len(octets) - _SIZE_LEN) % BLOCK_LEN  # whole blocks only
        view = memoryview(octets)
        if self.hash is None:
            return ecb(self.key).decrypt(view[_SIZE_LEN:end]), size
        out = bytearray()
        for number, at in enumerate(range(_SIZE_LEN, end, _SEGMENT_LEN)):
            if number % _TICKS == 0:
                tick()
            iv = self.hash(self.salt + number.to_bytes(4, "little")).digest()[:BLOCK_LEN]
            cipher = cbc(self.key, iv.ljust(BLOCK_LEN, b"\x36"))
            out += cipher.decrypt(view[at : min(end, at + _SEGMENT_LEN)])
        return bytes(out), size


class Agile(msgspec.Struct, frozen=True):
    """s2.3.4.10. Octets and numbers are those of the password's key encryptor; data_*: of the package."""

    rounds: int
    hash: Hash
    key_len: int
    salt: bytes
    verifier_input: bytes
    verifier_value: bytes
    key_value: bytes
    data_salt: bytes
    data_hash: Hash

    def opens(self, word: str, tick: Tick) -> Key | None:
        spun = _spun(self.hash, self.salt, word, self.rounds, tick)
        iv = self.salt[:BLOCK_LEN].ljust(BLOCK_LEN, b"\x36")

        def plain(block: bytes, octets: bytes) -> bytes:
            key = self.hash(spun + block).digest()[: self.key_len].ljust(self.key_len, b"\x36")
            return cbc(key, iv).decrypt(octets)

        said = plain(_VERIFIER_INPUT, self.verifier_input)[: len(self.salt)]
        value = self.hash(said).digest()
        if plain(_VERIFIER_VALUE, self.verifier_value)[: len(value)] != value:
            return None
        key = plain(_KEY_VALUE, self.key_value)[: self.key_len]
        return Key(key, self.data_salt, self.data_hash)


class Standard(msgspec.Struct, frozen=True):
    """s2.3.4.5: SHA-1 and AES in ECB mode."""

    key_len: int
    salt: bytes
    verifier: bytes
    verifier_hash: bytes

    def opens(self, word: str, tick: Tick) -> Key | None:
        spun = _spun(hashlib.sha1, self.salt, word, _STANDARD_ROUNDS, tick)
        last = hashlib.sha1(spun + bytes(4)).digest()
        halves = (bytes(octet ^ pad for octet in last.ljust(64, b"\0")) for pad in (0x36, 0x5C))
        key = b"".join(hashlib.sha1(half).digest() for half in halves)[: self.key_len]
        cipher = ecb(key)
        value = hashlib.sha1(cipher.decrypt(self.verifier)).digest()
        return Key(key) if cipher.decrypt(self.verifier_hash)[: len(value)] == value else None


class Lock(msgspec.Struct, frozen=True):
    """Tries passwords at one, and looks at the clock by tick meanwhile."""

    of: Agile | Standard
    tick: Tick

    def opens(self, word: str) -> Key | None:
        return self.of.opens(word, self.tick)


def read(info: bytes) -> Agile | Standard | None:
    """How a password is tested, from the stream EncryptionInfo; None if in no way that is known here."""
    major, minor = struct.unpack_from("<HH", info.ljust(4, b"\0"))
    if (major, minor) == (4, 4):
        return _agile(info[8:INFO_LEN])
    if minor == 2 and major in (2, 3, 4):
        return _standard(info)
    return None


class _Elements:
    """Attributes of the elements that tell the key, by their names without a prefix; all that are there."""

    def __init__(self) -> None:
        self.found: dict[str, list[dict[str, str]]] = {"keyData": [], "encryptedKey": []}

    def read(self, xml: bytes) -> bool:
        """Whether it is XML, and has one of each: of several, programs may take another one."""
        parser = expat.ParserCreate("utf-8")  # whatever it declares: no codec is looked for
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        try:
            parser.Parse(xml, True)
        except expat.ExpatError:
            return False
        return all(len(one) == 1 for one in self.found.values())

    def _refuse(self, *_: object) -> None:
        self.found = {"": []}

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if name in self.found:
            self.found[name].append(attributes)


def _agile(xml: bytes) -> Agile | None:
    elements = _Elements()
    if not elements.read(xml):
        return None
    (of_data,), (of_key,) = elements.found.values()
    try:
        found = Agile(
            int(of_key["spinCount"]),
            HASHES[of_key["hashAlgorithm"].upper()],
            int(of_key["keyBits"]) // 8,
            binascii.a2b_base64(of_key["saltValue"]),
            binascii.a2b_base64(of_key["encryptedVerifierHashInput"]),
            binascii.a2b_base64(of_key["encryptedVerifierHashValue"]),
            binascii.a2b_base64(of_key["encryptedKeyValue"]),
            binascii.a2b_base64(of_data["saltValue"]),
            HASHES[of_data["hashAlgorithm"].upper()],
        )
    except (KeyError, ValueError):
        return None
    told = {(one.get("cipherAlgorithm"), one.get("cipherChaining"), one.get("keyBits")) for one in (of_data, of_key)}
    blocks = (found.verifier_input, found.verifier_value, found.key_value)
    fits = (
        told == {("AES", "ChainingModeCBC", of_key["keyBits"])}
        and 0 <= found.rounds <= limits.PASSWORD_ROUNDS
        and found.key_len in (16, 24, 32)
        and all(one and len(one) % BLOCK_LEN == 0 for one in blocks)
        and len(found.key_value) >= found.key_len
    )
    return found if fits else None


def _standard(info: bytes) -> Standard | None:
    if len(info) < _STANDARD.size + _HEADER.size:
        return None
    _, _, _, header_len = _STANDARD.unpack_from(info)
    *_, bits, _, _, _ = _HEADER.unpack_from(info, _STANDARD.size)
    verifier = info[_STANDARD.size + header_len :]
    if bits not in (128, 192, 256) or len(verifier) < 72:
        return None
    return Standard(bits // 8, verifier[4:20], verifier[20:36], verifier[40:72])


def _spun(kind: Hash, salt: bytes, word: str, rounds: int, tick: Tick) -> bytes:
    digest: bytes = kind(salt + word.encode("utf-16-le", "replace")).digest()
    for number in range(rounds):
        if number % _TICKS == 0:
            tick()
        digest = kind(number.to_bytes(4, "little") + digest).digest()
    return digest
