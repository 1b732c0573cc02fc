"""Certificates of clients, made for a test."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]
USAGE = ExtendedKeyUsageOID.CLIENT_AUTH


def certificate(
    folder: Path,
    name: str,
    signer: Signer | None = None,
    usage: x509.ObjectIdentifier = USAGE,
    ends: datetime.timedelta = datetime.timedelta(days=1),
) -> Signer:
    """NAME.pem in folder: certificate and key for a host, or an authority if it has no dot."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=2))
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca="." not in name, path_length=None), critical=True)
    )
    if "." in name:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    made = builder.sign(signer[1] if signer else key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    words = made.public_bytes(pem)
    words += key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / f"{name}.pem").write_bytes(words)
    return made, key
