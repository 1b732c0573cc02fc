"""The certificate of the pages: a self-signed one is made at the first start, so that logons are never in clear."""

import socket
import ssl
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509

from engine.config import Settings
from engine.layout import Layout
from engine.smtp.tls import make_certificate

CERTIFICATE: Final = "web.crt"  # with its chain
KEY: Final = "web.key"


class Certificate(msgspec.Struct, frozen=True):
    """STAT-13, CERT-08. Times: microseconds since 1970."""

    self_signed: bool
    installed: int
    expires: int


def tls_context(root: Path, settings: Settings) -> ssl.SSLContext:
    """For the HTTPS port; makes key and certificate if there are none. Raises OSError, ssl.SSLError."""
    directory = Layout(root).tls
    certificate, key = directory / CERTIFICATE, directory / KEY
    if not certificate.exists() and not key.exists():
        make_certificate(
            certificate, key, [settings.smtp.hostname or socket.gethostname(), *settings.web.names, "localhost"]
        )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def read(root: Path) -> Certificate | None:
    """What is installed now, or None if it cannot be read."""
    file = Layout(root).tls / CERTIFICATE
    try:
        certificate = x509.load_pem_x509_certificates(file.read_bytes())[0]
        changed = file.stat().st_mtime
    except (OSError, ValueError):
        return None
    return Certificate(
        self_signed=certificate.issuer == certificate.subject,
        installed=round(changed * 1_000_000),
        expires=round(certificate.not_valid_after_utc.timestamp() * 1_000_000),
    )
