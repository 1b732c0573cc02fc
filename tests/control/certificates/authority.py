"""A certificate authority for tests: issues for requests and for keys, with an intermediate or without."""

import datetime
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
SERVERS = ExtendedKeyUsageOID.SERVER_AUTH
CLIENTS = ExtendedKeyUsageOID.CLIENT_AUTH


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def pem(*things: Any) -> bytes:
    """Certificates and keys, in this order."""
    found = b""
    for one in things:
        if isinstance(one, x509.Certificate):
            found += one.public_bytes(Encoding.PEM)
        else:
            found += one.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return found


@dataclass
class Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def authority(self, name: str, days: float = 1000) -> "Authority":
        """One below it."""
        key = new_key()
        return Authority(_built(name, key.public_key(), self, days).sign(self.key, hashes.SHA256()), key)

    def issue(
        self,
        public: Any,
        *names: str,
        days: float = 90,
        begins: float = -1,
        usage: x509.ObjectIdentifier | None = SERVERS,
    ) -> x509.Certificate:
        """For hosts. days, begins: from now."""
        builder = _built(names[0] if names else "nobody", public, self, days, begins)
        if names:
            alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def root(name: str = "Root of tests") -> Authority:
    key = new_key()
    return Authority(_built(name, key.public_key(), None, 1000).sign(key, hashes.SHA256()), key)


def _built(
    name: str, public: Any, issuer: Authority | None, days: float, begins: float = -1
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() + begins * DAY)
        .not_valid_after(now() + days * DAY)
    )
