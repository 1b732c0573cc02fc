"""Certificates of clients. The one of the gateway itself is that of `engine/certificate.py`.

A relay grant may hang on the certificate of the client, so there is a second context that asks for it. OpenSSL ends the
handshake with one that it cannot verify, and Python offers no way to look at it all the same; yet honest clients have
such certificates and can do without a grant. So only clients are asked that a grant could be about, and one whose
certificate is not verified is not asked again for a while (`Unverified`): its next attempt is as if nobody had asked.
What was verified stands in the Received field of each message and in the journal (event client-certificate); of what
could not be verified the journal has the reason only.

Known gaps: a certificate whose extended key usage is for servers only is not verified, as by most mail servers.
"""

import hashlib
import ssl
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple, cast

from engine.certificate import server_context
from engine.limits import UNVERIFIED_S
from engine.relay_rule import plain_address
from engine.smtp.client_limits import client_key
from engine.smtp.client_table import Clients

_SUBJECT_LEN: Final = 256  # characters
_TOLD_LEN: Final = 64  # of these in Received; a common name has no more (X.520)
_NAMES: Final = {"commonName": "CN", "organizationName": "O", "organizationalUnitName": "OU", "countryName": "C"}


def asking_context(directory: Path, names: Sequence[str], authorities: Path | None) -> ssl.SSLContext:
    """As server_context, and asks for the certificate of the client, which may have none.

    authorities: PEM file of those who vouch for clients, or certificates of clients themselves; None: the authorities
    that this machine trusts. Raises OSError, ssl.SSLError also if the file holds none.
    """
    context = server_context(directory, *names)
    ask(context, authorities)
    return context


def ask(context: ssl.SSLContext, authorities: Path | None) -> None:
    """Make a server's context one that asks. Raises as asking_context."""
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if authorities is None:
        context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    else:
        context.load_verify_locations(authorities)


def verified_names(tls: ssl.SSLObject) -> tuple[str, ...]:
    """The DNS names of the client's certificate, which was verified; empty if it gave none."""
    certificate = tls.getpeercert() or {}
    alternatives: tuple[tuple[str, str], ...] = certificate.get("subjectAltName", ())  # type: ignore[assignment]
    return tuple(value for kind, value in alternatives if kind == "DNS")


class Certificate(NamedTuple):
    """Of a client, verified. subject: its parts as `name=value`, printable ASCII. sha256: of all of it."""

    subject: str
    sha256: str


def certificate_of(tls: ssl.SSLObject) -> Certificate | None:
    """None: it gave none, or was not asked."""
    octets = tls.getpeercert(binary_form=True)
    if not octets:
        return None
    parts = cast(Iterable[tuple[tuple[str, str], ...]], (tls.getpeercert() or {}).get("subject", ()))
    pairs = (f"{_NAMES.get(kind, kind)}={value}" for part in parts for kind, value in part)
    subject = ", ".join(pairs)[:_SUBJECT_LEN]
    plain = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in subject)
    return Certificate(plain, hashlib.sha256(octets).hexdigest())


def told(tls: ssl.SSLObject, certificate: Certificate | None) -> str:
    """A TLS session as the Received field has it."""
    cipher = tls.cipher()
    words = f"{tls.version()} {cipher[0] if cipher else ''}".strip()
    if certificate is None:
        return words
    return f"{words}, certificate verified: {certificate.subject[:_TOLD_LEN]} SHA-256 {certificate.sha256}"


class Unverified:
    """Clients whose certificates could not be verified, at any relay. clock: seconds, monotonic."""

    def __init__(self, clients: Clients, clock: Callable[[], float]) -> None:
        self._clients = clients
        self._clock = clock

    def add(self, address: str) -> None:
        self._clients.set_unasked_until(self._tag(address), self._clock() + UNVERIFIED_S)

    def __contains__(self, address: str) -> bool:
        return self._clients.unasked_until(self._tag(address)) > self._clock()

    def _tag(self, address: str) -> int:
        return self._clients.tag(client_key(plain_address(address)))
