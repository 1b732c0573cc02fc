"""Encrypts OpenDocument packages as ODF 1.2 (AES) and older versions (Blowfish) have it."""

import base64
import hashlib
import io
import zipfile
import zlib

from Cryptodome.Cipher import AES, Blowfish

_SALT, _IV = bytes(range(16)), bytes(range(20, 36))
_NAMES = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"


def _sealed(octets: bytes, password: str, rounds: int, old: bool, start: str) -> tuple[bytes, bytes]:
    """(what is stored, checksum)"""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    plain = deflate.compress(octets) + deflate.flush()
    if old:
        key = hashlib.pbkdf2_hmac("sha1", hashlib.sha1(password.encode()).digest(), _SALT, rounds, 16)
        cipher = Blowfish.new(key, Blowfish.MODE_CFB, iv=_IV[:8], segment_size=64)
        return cipher.encrypt(plain), hashlib.sha1(plain[:1024]).digest()
    key = hashlib.pbkdf2_hmac("sha1", hashlib.new(start, password.encode()).digest(), _SALT, rounds, 32)
    pad = 16 - len(plain) % 16
    sealed = AES.new(key, AES.MODE_CBC, iv=_IV).encrypt(plain + bytes(pad - 1) + bytes([pad]))
    return sealed, hashlib.sha256(plain[:1024]).digest()


def data(checksum: bytes, rounds: int, old: bool, start: str = "sha256") -> str:
    """The element that says how a file is encrypted."""
    said = base64.b64encode(checksum).decode(), base64.b64encode(_IV[:8] if old else _IV).decode()
    method = "Blowfish CFB" if old else "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
    kind = "SHA1/1K" if old else f"{_NAMES}#sha256-1k"
    key = "" if old else 'm:key-size="32" '
    xml = f'<m:encryption-data m:checksum-type="{kind}" m:checksum="{said[0]}">'
    xml += f'<m:algorithm m:algorithm-name="{method}" m:initialisation-vector="{said[1]}"/>'
    if not old:
        xml += f'<m:start-key-generation m:start-key-generation-name="http://www.w3.org/2000/09/xmldsig#{start}"/>'
    salt = base64.b64encode(_SALT).decode()
    xml += f'<m:key-derivation m:key-derivation-name="PBKDF2" {key}m:iteration-count="{rounds}" m:salt="{salt}"/>'
    return xml + "</m:encryption-data>"


def package(
    files: dict[str, bytes],
    password: str,
    *,
    rounds: int = 10,
    old: bool = False,
    start: str = "sha256",
    more: str = "",
    others: dict[str, str] | None = None,
) -> bytes:
    """more: elements of the manifest behind those of files. others: files that have another password."""
    out = io.BytesIO()
    xml = f'<?xml version="1.0" encoding="UTF-8"?><m:manifest xmlns:m="{_NAMES}">'
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        for name, octets in files.items():
            sealed, checksum = _sealed(octets, (others or {}).get(name, password), rounds, old, start)
            archive.writestr(name, sealed)
            xml += f'<m:file-entry m:full-path="{name}" m:size="{len(octets)}">'
            xml += data(checksum, rounds, old, start) + "</m:file-entry>"
        archive.writestr("META-INF/manifest.xml", xml + more + "</m:manifest>")
    return out.getvalue()
