"""The files of the certificate: the one in force, the one before it, and a request that waits for its answer.

    tls/certificate.pem   in force; whoever serves TLS looks at it once a second (`engine/certificate.py`)
    tls/previous.pem      what it replaced, to go back to
    tls/request.pem       a key and what the authority was sent, until its answer is installed

A change is one rename. Whatever goes wrong before it leaves the certificate in force as it is (CERT-06). Keys are read
by the service account only, and nothing here returns one (CERT-04).
"""

import datetime
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from control.certificates import chain, material, request
from control.certificates.material import Material, PrivateKey, Unfit
from engine import certificate
from engine.certificate import Origin, Source
from engine.config import Settings
from engine.layout import Layout

PREVIOUS: Final = "previous.pem"
REQUEST: Final = "request.pem"
_NO_KEY: Final = (
    "has no private key here that it belongs to, since no request waits for an answer: make a request first, or give"
    " the private key along with the certificate"
)
_OTHER_KEY: Final = (
    "was not made for the request that waits, nor for the key in use: install the answer to that request, or give the"
    " private key along with the certificate"
)


class Link(msgspec.Struct, frozen=True):
    """One certificate of a chain."""

    subject: str
    issuer: str
    expires: datetime.datetime


class Installed(msgspec.Struct, frozen=True):
    """CERT-08. Times: UTC. source: None for a file that was put there by hand. fingerprint: SHA-256."""

    source: Source | None
    subject: str
    issuer: str
    names: tuple[str, ...]
    self_signed: bool
    key: str
    key_installed: datetime.datetime
    installed: datetime.datetime
    begins: datetime.datetime
    expires: datetime.datetime
    serial: str
    fingerprint: str
    chain: tuple[Link, ...]

    @property
    def warn_days(self) -> int:
        """From how many days before its end on that is said; of short ones a third, when they should be renewed."""
        return min(chain.WARN_DAYS, round((self.expires - self.begins) / datetime.timedelta(days=3)))


class Waiting(msgspec.Struct, frozen=True):
    """A request without its certificate yet. pem: what the authority is sent (CERT-04)."""

    made: datetime.datetime
    subject: str
    names: tuple[str, ...]
    pem: str


class Done(msgspec.Struct, frozen=True):
    """What was installed, and what is worth knowing about it."""

    installed: Installed
    remarks: tuple[str, ...] = ()


class Keeper:
    """Safe from any thread; one in a process, and one process changes these files. clock: seconds since 1970."""

    def __init__(self, layout: Layout, settings: Callable[[], Settings], clock: Callable[[], float]) -> None:
        self._in_force = layout.tls / certificate.FILE_NAME
        self._previous = layout.tls / PREVIOUS
        self._request = layout.tls / REQUEST
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()

    # --- what there is ------------------------------------------------------------------------------

    def installed(self) -> Installed | None:
        """None: there is none, or it cannot be read."""
        return _installed(self._in_force)

    def previous(self) -> Installed | None:
        return _installed(self._previous)

    def waiting(self) -> Waiting | None:
        """A request whose answer has not been installed."""
        octets = _octets(self._request)
        try:
            asked = x509.load_pem_x509_csr(octets)
        except ValueError:
            return None
        key, in_force = _key_of(octets), _leaf(_octets(self._in_force))
        if key is None or (in_force is not None and chain.belongs(key, in_force)):
            return None
        origin = certificate.origin_of(octets)
        names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return Waiting(
            made=_time(origin.key_made if origin else self._request.stat().st_mtime),
            subject=asked.subject.rfc4514_string(),
            names=tuple(str(getattr(name, "value", "")) for name in names),
            pem=asked.public_bytes(serialization.Encoding.PEM).decode(),
        )

    def host_names(self) -> tuple[str, ...]:
        """What a certificate should be for: names that mean something outside of this machine."""
        return tuple(name for name in certificate.own_names(self._settings()) if "." in name)

    # --- what changes it ----------------------------------------------------------------------------

    def ask(self, fields: request.Fields) -> Waiting:
        """Make a key and a request, in place of one that waits (CERT-04). Raises Unfit, OSError."""
        made = request.make(fields, self.host_names())
        origin = Origin(Source.REQUEST, round(self._clock()), 0)
        content = certificate.composed(
            origin, request.pem_of(made.key), made.request.public_bytes(serialization.Encoding.PEM)
        )
        with self._lock:
            certificate.put(self._request, content)
        waiting = self.waiting()
        assert waiting is not None
        return waiting

    def forget_request(self) -> bool:
        """Remove the request that waits, and its key. Returns whether there was one. Raises OSError."""
        with self._lock:
            there = self._request.exists()
            self._request.unlink(missing_ok=True)
        return there

    def install(self, octets: bytes, password: str = "") -> Done:
        """Put it in force, with the key that came along or the one it was requested with. Raises Unfit, OSError."""
        given = material.read(octets, password)
        if not given.certificates:
            raise Unfit(("certificate", "holds a private key only: add the certificate that belongs to it"))
        with self._lock:
            key, origin = self._key_for(given)
            return self._install(key, given.certificates, origin)

    def install_issued(self, key: PrivateKey, octets: bytes) -> Done:
        """What an ACME server issued for this key. Raises Unfit, OSError."""
        given = material.read(octets)
        with self._lock:
            return self._install(key, given.certificates, Origin(Source.ACME, round(self._clock()), 0))

    def restore(self) -> Done:
        """Go back to the one before; what was in force becomes that. Raises Unfit, OSError."""
        with self._lock:
            before, now = _octets(self._previous), _octets(self._in_force)
            found = _installed(self._previous)
            if found is None:
                raise Unfit(("certificate", "there is none from before: install one instead"))
            if found.expires.timestamp() <= self._clock():
                words = f"the one before expired on {found.expires:%Y-%m-%d}: install a new one instead"
                raise Unfit(("certificate", words))
            self._put(before)
            certificate.put(self._previous, now)
        return Done(found)

    def _key_for(self, given: Material) -> tuple[PrivateKey, Origin]:
        """CERT-06, CERT-07, CERT-09: the key given, else that of the request, else the one in use."""
        now = round(self._clock())
        used = _octets(self._in_force)
        kept = certificate.origin_of(used)
        key_made = kept.key_made if kept else now
        used_key = _key_of(used)
        if given.key is not None:
            same = used_key is not None and used_key.public_key() == given.key.public_key()
            return given.key, Origin(Source.UPLOAD, key_made if same else now, now)
        asked = _octets(self._request)
        asked_key, asked_at = _key_of(asked), certificate.origin_of(asked)
        if asked_key is not None and any(chain.belongs(asked_key, one) for one in given.certificates):
            return asked_key, Origin(Source.REQUEST, asked_at.key_made if asked_at else now, now)
        if used_key is not None and any(chain.belongs(used_key, one) for one in given.certificates):
            return used_key, Origin(kept.source if kept else Source.UPLOAD, key_made, now)
        raise Unfit(("certificate", _NO_KEY if asked_key is None else _OTHER_KEY))

    def _install(self, key: PrivateKey, certificates: tuple[x509.Certificate, ...], origin: Origin) -> Done:
        now = self._clock()
        found = chain.checked(key, certificates, self.host_names(), datetime.datetime.fromtimestamp(now, datetime.UTC))
        pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in found.chain)
        before = _octets(self._in_force)
        origin = msgspec.structs.replace(origin, installed=round(now))
        self._put(certificate.composed(origin, request.pem_of(key), pem))
        if before:
            certificate.put(self._previous, before)
        asked_key = _key_of(_octets(self._request))
        if asked_key is not None and asked_key.public_key() == key.public_key():
            self._request.unlink()
        installed = self.installed()
        assert installed is not None
        return Done(installed, found.remarks)

    def _put(self, content: bytes) -> None:
        """In force from now on, if OpenSSL can use it. Raises Unfit, OSError."""
        try:
            certificate.put(self._in_force, content, certificate.context_of)
        except ssl.SSLError as error:
            words = f"cannot be used for TLS ({error.reason or error}): ask the authority for a stronger one"
            raise Unfit(("certificate", words)) from None


def _octets(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _certificates(octets: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(octets)
    except ValueError:
        return []


def _leaf(octets: bytes) -> x509.Certificate | None:
    return next(iter(_certificates(octets)), None)


def _key_of(octets: bytes) -> PrivateKey | None:
    """Of one of our files: its first block."""
    try:
        return material.read(octets).key
    except Unfit:
        return None


def _installed(path: Path) -> Installed | None:
    octets = _octets(path)
    certificates = _certificates(octets)
    if not certificates:
        return None
    leaf, origin = certificates[0], certificate.origin_of(octets)
    written = path.stat().st_mtime
    return Installed(
        source=origin.source if origin else None,
        subject=leaf.subject.rfc4514_string(),
        issuer=leaf.issuer.rfc4514_string(),
        names=tuple(chain.names_of(leaf)),
        self_signed=chain.is_self_signed(leaf),
        key=_kind(leaf),
        key_installed=_time(origin.key_made if origin else written),
        installed=_time(origin.installed if origin else written),
        begins=leaf.not_valid_before_utc,
        expires=leaf.not_valid_after_utc,
        serial=f"{leaf.serial_number:x}",
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(":").upper(),
        chain=tuple(
            Link(chain.title(one.subject), chain.title(one.issuer), one.not_valid_after_utc) for one in certificates[1:]
        ),
    )


def _kind(leaf: x509.Certificate) -> str:
    public = leaf.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        return f"EC, {public.curve.name}"
    return f"RSA, {getattr(public, 'key_size', 0)} bits"


def _time(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
