"""Signed mail for tests: keys made at run time, dkimpy as the signer, and as the other verifier."""

import asyncio
import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import dkim
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from engine.policy.evidence import Signature
from engine.scan.claims import collect
from engine.sender import dkim as verifier
from tests.engine.sender.zone import Zone

MESSAGE = (
    b"Received: by example.net; Sun, 22 Nov 2026 12:00:00 +0000\r\n"
    b"From: A Person <a@example.com>\r\nTo: user@example.org\r\nSubject: two  words\r\n and a fold\r\n"
    b"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n"
    b"\r\nA line.  Some \t more \r\n\r\nlast line\r\n\r\n\r\n"
)
NAME = "sel._domainkey.example.com"


@cache
def _rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return _rsa_key(bits)


def pem(bits: int = 2048) -> bytes:
    return rsa_key(bits).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


@cache
def ed25519_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


def rsa_record(bits: int = 2048, tags: bytes = b"v=DKIM1; k=rsa; ") -> bytes:
    return tags + b"p=" + base64.b64encode(der(rsa_key(bits)))


def der(key: rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def ed25519_record(tags: bytes = b"v=DKIM1; k=ed25519; ") -> bytes:
    return tags + b"p=" + base64.b64encode(ed25519_key().public_key().public_bytes_raw())


def signed(message: bytes = MESSAGE, **options: Any) -> bytes:
    """By dkimpy, relaxed/relaxed with RSA 2048 unless told otherwise."""
    options = {"canonicalize": (b"relaxed", b"relaxed"), "privkey": pem(), **options}
    if options.get("signature_algorithm") == b"ed25519-sha256":
        options["privkey"] = base64.b64encode(ed25519_key().private_bytes_raw())
    field: bytes = dkim.sign(message, b"sel", b"example.com", **options)
    return field + message


def hand_signed(
    message: bytes = MESSAGE,
    tags: Mapping[str, str | None] | None = None,
    key: rsa.RSAPrivateKey | None = None,
    fields: Sequence[bytes] = (b"from",),
) -> bytes:
    """simple/simple, any tags, a true signature whatever they say: None leaves one out. fields: all must be there."""
    header, _, body = message.partition(b"\r\n\r\n")
    body_hash = base64.b64encode(hashlib.sha256(body.rstrip(b"\r\n") + b"\r\n").digest()).decode()
    every: dict[str, str | None] = {
        "v": "1", "a": "rsa-sha256", "d": "example.com", "s": "sel", "h": ":".join(one.decode() for one in fields),
        "bh": body_hash, **(tags or {}),
    }  # fmt: skip
    own = "DKIM-Signature: " + "; ".join(f"{name}={value}" for name, value in every.items() if value is not None)
    own += "; b="
    lines = header.split(b"\r\n")
    named = [next(line for line in reversed(lines) if line.lower().startswith(one + b":")) for one in fields]
    octets = (key or rsa_key()).sign(b"\r\n".join([*named, own.encode()]), PKCS1v15(), SHA256())
    return own.encode() + base64.b64encode(octets) + b"\r\n" + message


def zone(record: bytes | None = None, name: str = NAME, **more: Any) -> Zone:
    return Zone({(name, "TXT"): [rsa_record() if record is None else record]}, **more)


def verify(message: bytes, resolver: Zone | None = None, now: float = 1_800_000_000.0) -> tuple[Signature, ...]:
    return asyncio.run(verifier.verify(resolver or zone(), collect(message), lambda: now))


def result(message: bytes, resolver: Zone | None = None, now: float = 1_800_000_000.0) -> tuple[str, str]:
    """Of its only signature."""
    (one,) = verify(message, resolver, now)
    return one.result, one.reason


def dkimpy_says(message: bytes, record: bytes) -> bool | None:
    """None for what is no message to it, such as one with white space before a colon."""
    try:
        return bool(dkim.DKIM(message).verify(dnsfunc=lambda name, timeout: record))
    except (dkim.MessageFormatError, IndexError):  # the latter if the first line continues another
        return None
    except dkim.DKIMException:
        return False
