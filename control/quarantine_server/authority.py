"""The server's own certificate authority: who gateways trust, and how the server knows who comes (QRN-04).

It certifies the server, once, and each gateway that is enrolled. What is believed of a gateway is not the name in its
certificate alone, but that this very certificate lies in the directory of those enrolled: to take it away from there is
to revoke it, at the next request. Keys are EC P-256. The private key of a gateway is nowhere but in the file that is
handed over.
"""

import datetime
import os
import re
import ssl
from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from control.quarantine_server.layout import ServerLayout
from engine import certificate

NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")  # of a gateway: it is a file name, too
_YEARS: Final = datetime.timedelta(days=3650)
_BEFORE: Final = datetime.timedelta(hours=1)  # clocks differ
_SUFFIX: Final = ".pem"


class EnrolmentError(Exception):
    """Why a gateway is not enrolled or not taken off, in words with the next step."""


def make(layout: ServerLayout, names: Sequence[str]) -> None:
    """A new authority, and the server's certificate for these names. Raises OSError, BadAddress."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Mailward quarantine authority")
    now = datetime.datetime.now(datetime.UTC)
    built = (
        _builder(name, name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certifies=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate.put(layout.authority, _pem_key(key) + _pem(built))
    certify_server(layout, names)


def certify_server(layout: ServerLayout, names: Sequence[str]) -> None:
    """A new certificate for the port of the gateways. Raises OSError, BadAddress."""
    issuer_key, issuer = _authority(layout)
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = x509.SubjectAlternativeName([certificate.general_name(name) for name in names])
    built = (
        _builder(_name("Mailward quarantine server"), issuer.subject, key.public_key(), _now(), issuer_key)
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    certificate.put(layout.server_certificate, _pem_key(key) + _pem(built))


def enroll(layout: ServerLayout, name: str) -> bytes:
    """The file for a new gateway: key, certificate, authority. Raises EnrolmentError, OSError."""
    if not NAME.fullmatch(name):
        raise EnrolmentError(
            f"{name[:63]!r} is no name for a gateway: use up to 63 small letters, digits and . _ -, a letter or digit"
            " first"
        )
    path = layout.enrolled / (name + _SUFFIX)
    if path.exists():
        raise EnrolmentError(f"there is a gateway {name} already: take it off first, or choose another name")
    issuer_key, issuer = _authority(layout)
    key = ec.generate_private_key(ec.SECP256R1())
    built = (
        _builder(_name(name), issuer.subject, key.public_key(), _now(), issuer_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    certificate.put(path, _pem(built))
    return _pem_key(key) + _pem(built) + _pem(issuer)


def withdraw(layout: ServerLayout, name: str) -> None:
    """It is refused from its next request on. Raises EnrolmentError, OSError."""
    if name not in enrolled(layout):
        known = ", ".join(enrolled(layout)) or "none"
        raise EnrolmentError(f"there is no gateway {name[:63]!r}: enrolled are {known}")
    os.unlink(layout.enrolled / (name + _SUFFIX))


def enrolled(layout: ServerLayout) -> list[str]:
    return sorted(path.stem for path in layout.enrolled.glob("*" + _SUFFIX))


def who(layout: ServerLayout, der: bytes) -> str:
    """The gateway whose certificate this is; empty if it is not enrolled. The chain was checked by TLS."""
    try:
        (common,) = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        return ""
    name = str(common.value)
    if not NAME.fullmatch(name):
        return ""
    try:
        known = (layout.enrolled / (name + _SUFFIX)).read_bytes()
    except FileNotFoundError:
        return ""
    return name if ssl.PEM_cert_to_DER_cert(known.decode("ascii")) == der else ""


def server_context(layout: ServerLayout) -> ssl.SSLContext:
    """For the port of the gateways: nobody gets beyond TLS without a certificate of ours. Raises OSError."""
    context = certificate.context_of(layout.server_certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    _, issuer = _authority(layout)
    context.load_verify_locations(cadata=_pem(issuer).decode("ascii"))
    return context


def _authority(layout: ServerLayout) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    octets = layout.authority.read_bytes()
    key = serialization.load_pem_private_key(octets, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key, x509.load_pem_x509_certificate(octets)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
    issuer_key: ec.EllipticCurvePrivateKey | None = None,
) -> x509.CertificateBuilder:
    """issuer_key: None if it certifies itself."""
    authority = issuer_key.public_key() if issuer_key is not None else public
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + _YEARS)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
    )


def _usage(certifies: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certifies,
        key_cert_sign=certifies,
        crl_sign=certifies,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    oid: ObjectIdentifier = NameOID.COMMON_NAME
    return x509.Name([x509.NameAttribute(oid, common)])


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _pem(built: x509.Certificate) -> bytes:
    return built.public_bytes(serialization.Encoding.PEM)


def _pem_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
