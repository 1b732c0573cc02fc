"""Encrypted OpenDocument packages (ODF 1.2 part 3 s4.8): each file in the zip by itself, with a key of its own.

The manifest says how: a hash of the password, PBKDF2 with SHA-1, then AES in CBC mode, or Blowfish in CFB mode as older
versions had it, around what is deflated. A checksum of its first octets tells a wrong password.

Known gaps: packages that are encrypted as a whole (LibreOffice since 24.2).
"""

import binascii
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, Final
from xml.parsers import expat

import msgspec

from engine import limits
from engine.scan import zip_file
from engine.scan.ciphers import BLOCK_LEN, blowfish, cbc
from engine.scan.facts import Cause
from engine.scan.formats.item import Gap, Item, Member, Opened, Room
from engine.scan.formats.ooxml import ODF_MANIFEST
from engine.scan.inflate import inflate
from engine.scan.mapped import Octets

MANIFEST_LEN: Final = 4 << 20  # octets of a manifest that is read: some 4000 files
_SUMMED_LEN: Final = 1024
_BLOWFISH_IV_LEN: Final = 8
_START: Final[dict[str, Callable[[bytes], Any]]] = {
    "": hashlib.sha1,
    "SHA1": hashlib.sha1,
    "http://www.w3.org/2000/09/xmldsig#sha1": hashlib.sha1,
    "http://www.w3.org/2000/09/xmldsig#sha256": hashlib.sha256,
    "http://www.w3.org/2001/04/xmlenc#sha256": hashlib.sha256,
}
_SUM: Final[dict[str, Callable[[bytes], Any]]] = {
    "SHA1/1K": hashlib.sha1,
    "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0#sha1-1k": hashlib.sha1,
    "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0#sha256-1k": hashlib.sha256,
}
_AES: Final = {f"http://www.w3.org/2001/04/xmlenc#aes{bits}-cbc": bits // 8 for bits in (128, 192, 256)}
_BLOWFISH: Final = ("Blowfish CFB", "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0#blowfish")
_PBKDF2: Final = ("PBKDF2", "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0#pbkdf2")


class Seal(msgspec.Struct, frozen=True):
    """How one file is encrypted. path: in the package."""

    path: str
    start: Callable[[bytes], Any]
    sum_of: Callable[[bytes], Any]
    sum: bytes
    is_aes: bool
    key_len: int
    rounds: int
    salt: bytes
    iv: bytes

    def opens(self, word: str, octets: bytes | memoryview) -> bytes | None:
        """What is deflated, if this is the password."""
        start = self.start(word.encode("utf-8", "replace")).digest()
        key = hashlib.pbkdf2_hmac("sha1", start, self.salt, self.rounds, self.key_len)
        if self.is_aes:
            plain = cbc(key, self.iv).decrypt(octets)
            plain = plain[: -plain[-1]] if plain and 0 < plain[-1] <= BLOCK_LEN else plain
        else:
            plain = blowfish(key, self.iv).decrypt(octets)
        return plain if self.sum_of(plain[:_SUMMED_LEN]).digest() == self.sum else None


def members(buf: Octets, room: Room) -> Iterator[Item]:
    """What is encrypted in a package; one password is taken for all of it."""
    directory = zip_file.read(buf, True)
    entries = {entry.text_name: entry for entry in reversed(directory.entries if directory is not None else [])}
    manifest = entries.get(ODF_MANIFEST)
    xml = zip_file.unpack(buf, manifest, min(MANIFEST_LEN, room.room())) if manifest is not None else None
    seals, known = read(xml.data) if xml is not None and not xml.over else ([], False)
    word: str | None = None
    for seal in seals:
        room.check_time()
        entry = entries.get(seal.path)
        if entry is None or entry.method != zip_file.STORED or entry.flags & zip_file.ENCRYPTED:
            known = False
            continue
        octets = bytes(zip_file.stored(buf, entry, room.room() // 4).data)
        if seal.is_aes and len(octets) % BLOCK_LEN:
            known = False
            continue

        def opened(tried: str, seal: Seal = seal, octets: bytes = octets) -> tuple[str, bytes] | None:
            plain = seal.opens(tried, octets)
            return (tried, plain) if plain is not None else None

        found = room.keyring.find(opened) if word is None else room.keyring.attempt(opened, word)
        if found is None:
            known = False
            if word is None:
                break
            continue
        if word is None:
            word = found[0]
            yield Opened()
        content = inflate(memoryview(found[1]), room.room() // 2)
        del found, octets
        yield Member(f"{seal.path}/decrypted", content.data, content.over, content.complete, stream=True)
    if not known:
        yield Gap(Cause.ENCRYPTED, "opendocument")


def read(xml: bytes) -> tuple[list[Seal], bool]:
    """(how files are encrypted, whether that is all there is to know) of a manifest."""
    manifest = _Manifest()
    parser = expat.ParserCreate("utf-8")  # whatever it declares: no codec is looked for
    parser.StartDoctypeDeclHandler = manifest.doubt
    parser.StartElementHandler = manifest.start
    parser.EndElementHandler = manifest.end
    try:
        parser.Parse(xml, True)
    except expat.ExpatError:
        return [], False
    return manifest.seals, manifest.known and bool(manifest.seals)


class _Manifest:
    def __init__(self) -> None:
        self.seals: list[Seal] = []
        self.known = True
        self._path = ""
        self._said: dict[str, str] | None = None  # of the encryption of a file, by element and attribute

    def doubt(self, *_: object) -> None:
        self.known = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if name == "file-entry":
            self._path = _bare(attributes).get("full-path", "")
        elif name == "encryption-data":
            self.known = self.known and self._said is None
            self._said = _bare(attributes)
        elif self._said is not None and name in ("algorithm", "key-derivation", "start-key-generation"):
            self._said |= {f"{name}/{key}": value for key, value in _bare(attributes).items()}

    def end(self, tag: str) -> None:
        if tag.rpartition(":")[2] != "encryption-data" or self._said is None:
            return
        seal = _seal(self._path, self._said)
        self._said = None
        if seal is not None:
            self.seals.append(seal)
        else:
            self.known = False


def _bare(attributes: dict[str, str]) -> dict[str, str]:
    return {name.rpartition(":")[2]: value for name, value in attributes.items()}


def _seal(path: str, said: dict[str, str]) -> Seal | None:
    """None if it asks for what is not known here, or for too much."""
    method = said.get("algorithm/algorithm-name", "")
    if said.get("key-derivation/key-derivation-name") not in _PBKDF2:
        return None
    try:
        seal = Seal(
            path,
            _START[said.get("start-key-generation/start-key-generation-name", "")],
            _SUM[said["checksum-type"]],
            binascii.a2b_base64(said["checksum"]),
            method in _AES,
            int(said.get("key-derivation/key-size", _AES.get(method, 16))),
            int(said["key-derivation/iteration-count"]),
            binascii.a2b_base64(said["key-derivation/salt"]),
            binascii.a2b_base64(said["algorithm/initialisation-vector"]),
        )
    except (KeyError, ValueError):
        return None
    fits = (
        (method in _AES or method in _BLOWFISH)
        and 0 < seal.rounds <= limits.PASSWORD_ROUNDS
        and (seal.key_len == _AES[method] if seal.is_aes else 4 <= seal.key_len <= 56)
        and len(seal.iv) == (BLOCK_LEN if seal.is_aes else _BLOWFISH_IV_LEN)
    )
    return seal if fits else None
