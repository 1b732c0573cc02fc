"""The certificate of the installation: one for STARTTLS and for the pages, in one file with its key and its chain.

One file, because a rename then replaces all of it at once: no process ever sees a key beside a certificate that is not
its own. Its first lines say where it comes from; OpenSSL passes over them (RFC 7468 s5.2). A self-signed one is made at
the first start, so that TLS is there from then on. Its key is EC P-256 (RFC 8422), which is quick to make and known to
every client; TLS 1.2 is the least that is spoken (RFC 8996).

Whoever serves TLS looks at the file's mark now and then and loads it anew: connections go on with the old one.
"""

import datetime
import ipaddress
import socket
import ssl
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engine import durable
from engine.config import Settings
from engine.smtp.address import a_labels

FILE_NAME: Final = "certificate.pem"  # key, certificate, chain
# Of TLS 1.2: forward secrecy, no SHA-1. What is usual is up to who built the interpreter: some take all of OpenSSL's.
_SUITES: Final = "ECDH+AESGCM:ECDH+CHACHA20:ECDH+AES:DHE+AESGCM:DHE+AES:!aNULL:!aDSS:!SHA1:!AESCCM:!PSK:!SRP"
_VALID: Final = datetime.timedelta(days=3650)  # nobody checks it against a list, and nobody is there to renew it
_COMMON_NAME_LEN: Final = 64  # RFC 5280 App. A.1, ub-common-name
_HEADER_LINES: Final = 10


class Source(StrEnum):
    """Where the certificate comes from."""

    SELF_MADE = "self-made"
    REQUEST = "request"
    UPLOAD = "upload"
    ACME = "acme"


class Origin(msgspec.Struct, frozen=True):
    """The first lines of the file. Times: seconds since 1970. key_made: when the key was installed (CERT-08)."""

    source: Source
    key_made: int
    installed: int


def own_names(settings: Settings) -> tuple[str, ...]:
    """What the gateway is reached by, the name in greetings first."""
    return (settings.smtp.hostname or socket.gethostname(), *settings.web.names, "localhost")


def server_context(directory: Path, *names: str) -> ssl.SSLContext:
    """Context of the certificate in directory, which is made for these names if there is none.

    Raises OSError, ssl.SSLError (key and certificate do not belong together, or are none).
    """
    path = directory / FILE_NAME
    if not path.exists():
        durable.put_first(path, self_signed(names))
    return context_of(path)


def context_of(path: Path) -> ssl.SSLContext:
    """For a server. Raises OSError, ssl.SSLError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(_SUITES)
    context.load_cert_chain(path)
    return context


def composed(origin: Origin, key: bytes, chain: bytes) -> bytes:
    """The file. key, chain: PEM."""
    lines = (f"{name}: {getattr(origin, name)}" for name in Origin.__struct_fields__)
    return "\n".join(["The private key and the certificate of Mailward", *lines, ""]).encode() + key + chain


def origin_of(content: bytes) -> Origin | None:
    """None: it was put there by hand, without these lines."""
    fields: dict[str, str] = {}
    for line in content.split(b"\n", _HEADER_LINES)[:_HEADER_LINES]:
        name, _, value = line.decode("ascii", "replace").partition(": ")
        fields[name] = value
    try:
        return msgspec.convert(fields, Origin, strict=False)
    except msgspec.ValidationError:
        return None


def self_signed(names: Sequence[str]) -> bytes:
    """A new key and a certificate signed with it, as a file. names: hosts or addresses, the subject first."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:_COMMON_NAME_LEN])])
    now = datetime.datetime.now(datetime.UTC)
    public = private.public_key()
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks differ
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(private, hashes.SHA256())
    )
    key = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    time = int(now.timestamp())
    return composed(Origin(Source.SELF_MADE, time, time), key, built.public_bytes(serialization.Encoding.PEM))


def general_name(name: str) -> x509.GeneralName:
    """An address is named as one. Raises BadAddress if a name beyond ASCII is no domain."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name if name.isascii() else a_labels(name))


def put(path: Path, content: bytes, check: Callable[[Path], object] | None = None) -> None:
    """Whole or not at all, in place of what is there; only the service account may read it.

    check: is given the new file before it takes the place, and raises if it must not. Raises OSError, and what it does.
    """
    with durable.replacing(path, 0o600) as new:
        new.write_bytes(content)
        if check is not None:
            check(new)
