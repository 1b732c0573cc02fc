"""The certificate for STARTTLS: a self-signed one is made at the first start, so that TLS is there from then on.

A real one takes its place by replacing the two files (CERT-06). Key: EC P-256 (RFC 8422), which is quick to make and
known to every client; TLS 1.2 is the least that is spoken (RFC 8996).

A relay grant may hang on the certificate of the client, so there is a second context that asks for it. OpenSSL ends the
handshake with one that it cannot verify, and Python offers no way to look at it all the same; yet honest clients have
such certificates and can do without a grant. So only clients are asked that a grant could be about, and one whose
certificate is not verified is not asked again for a while (`Unverified`): its next attempt is as if nobody had asked.

Known gaps: a certificate whose extended key usage is for servers only is not verified, as by most mail servers.
"""

import datetime
import ipaddress
import os
import ssl
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from engine.limits import UNVERIFIED_CLIENTS, UNVERIFIED_S

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


def asking_context(directory: Path, hostname: str, authorities: Path | None) -> ssl.SSLContext:
    """As server_context, and asks for the certificate of the client, which may have none.

    authorities: PEM file of those who vouch for clients, or certificates of clients themselves; None: the authorities
    that this machine trusts. Raises OSError, ssl.SSLError also if the file holds none.
    """
    context = server_context(directory, hostname)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if authorities is None:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    else:
        context.load_verify_locations(authorities)
    return context


def verified_names(tls: ssl.SSLObject) -> tuple[str, ...]:
    """The DNS names of the client's certificate, which was verified; empty if it gave none."""
    certificate = tls.getpeercert() or {}
    alternatives: tuple[tuple[str, str], ...] = certificate.get("subjectAltName", ())  # type: ignore[assignment]
    return tuple(value for kind, value in alternatives if kind == "DNS")


class Unverified:
    """Addresses of clients whose certificates could not be verified. clock: seconds, monotonic.

    The oldest of UNVERIFIED_CLIENTS makes room: it would lose another handshake, no more.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: dict[str, float] = {}

    def add(self, address: str) -> None:
        self._until.pop(address, None)
        if len(self._until) >= UNVERIFIED_CLIENTS:
            del self._until[next(iter(self._until))]
        self._until[address] = self._clock() + UNVERIFIED_S

    def __contains__(self, address: str) -> bool:
        return self._until.get(address, 0.0) > self._clock()


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
