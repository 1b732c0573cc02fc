"""The certificate for STARTTLS: a self-signed one is made at the first start, so that TLS is there from then on.

A real one takes its place by replacing the two files (CERT-06). Key: EC P-256 (RFC 8422), which is quick to make and
known to every client; TLS 1.2 is the least that is spoken (RFC 8996).
"""

import datetime
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CERTIFICATE = "smtp.crt"
KEY = "smtp.key"
_VALID = datetime.timedelta(days=3650)  # nobody checks it against a list, and nobody is there to renew it
_COMMON_NAME_LEN = 64  # RFC 5280 App. A.1, ub-common-name


def server_context(directory: Path, hostname: str) -> ssl.SSLContext:
    """Context of the certificate in directory, which is made if there is none.

    Raises OSError, ssl.SSLError (key and certificate do not belong together, or are none).
    """
    certificate, key = directory / CERTIFICATE, directory / KEY
    if not certificate.exists():
        make_certificate(certificate, key, [hostname])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.load_cert_chain(certificate, key)
    return context


def make_certificate(certificate: Path, key: Path, names: Sequence[str]) -> None:
    """Write a new key (mode 0600) and a certificate signed with it. names: hosts or addresses, the subject first.

    Of several processes at once one wins, and all see a pair that fits: the key is put in place first, without
    replacing another, and a certificate is then made for the key that is there. Raises OSError.
    """
    directory = certificate.parent
    private = ec.generate_private_key(ec.SECP256R1())
    _put(directory, key, _key_pem(private), 0o600)
    there = serialization.load_pem_private_key(key.read_bytes(), None)
    if not isinstance(there, ec.EllipticCurvePrivateKey):
        raise OSError(f"{key} is not an EC key")
    _put(directory, certificate, _self_signed(there, names), 0o644)


def _key_pem(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _self_signed(private: ec.EllipticCurvePrivateKey, names: Sequence[str]) -> bytes:
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
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(private, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM)


def _general_name(hostname: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(hostname))
    except ValueError:
        return x509.DNSName(hostname)


def _put(directory: Path, path: Path, content: bytes, mode: int) -> None:
    """Whole or not at all, and never in place of another file."""
    handle, name = tempfile.mkstemp(dir=directory, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)
    except FileExistsError:
        pass  # another process was quicker: what it made is used
    finally:
        os.unlink(name)
