"""DANE for SMTP (RFC 7672): the TLSA records of a host, and the certificates that it shows.

Nothing counts that DNSSEC does not prove. What DNS does not answer for a host in a signed zone is no proof of absence:
whoever stands in between could make it so. Such a host is not used for now.

Deviations: DANE-TA(2) records that hold a bare key of an authority which the server does not send along match nothing.
"""

import hashlib
import ssl
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from engine.delivery.route import address_text
from engine.delivery.security.names import fits
from engine.dns import DnsFailure, Resolver

TA: Final = 2  # DANE-TA: an authority, and the certificate has to be for the name of the host
EE: Final = 3  # DANE-EE: the certificate of the host itself, whatever it says
_DIGEST_LEN: Final = {1: 32, 2: 64}
RECORDS: Final = 32  # of one host that are looked at
CHAIN: Final = 16  # certificates of one host that are: OpenSSL takes as many as fit into 100 KiB


class Tlsa(msgspec.Struct, frozen=True):
    """RFC 6698 s2.1, of a usage that SMTP knows."""

    usage: int
    selector: int
    matching: int
    data: bytes

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"


class Tlsas(msgspec.Struct, frozen=True):
    """What is published for a host. name: where, which is also what is said in SNI (RFC 7672 s3.2.2).

    records: empty if none of them is of use; then TLS is a must, without a look at certificates (RFC 7672 s2.2).
    """

    name: str
    records: tuple[Tlsa, ...]


class Unproven(Exception):
    """Whether a host has TLSA records cannot be told: it is not to be used now. Its text says why."""


async def look_up(resolver: Resolver, host: str, port: int) -> Tlsas | None:
    """The TLSA records of a host, or None if it has none that count. Raises Unproven."""
    if address_text(host):
        return None
    try:
        found = await resolver.proven_addresses(host)
    except DnsFailure:
        return None  # told when connecting
    bases = [host]
    if found.canonical and found.authentic:
        bases = [found.canonical, host]  # RFC 7672 s2.2.2: where aliases led to goes first
    elif not found.authentic and not (found.canonical and await _is_proven_alias(resolver, host)):
        return None  # not proven: of use is only a name that is itself an alias in a signed zone (RFC 7672 s2.2.3)
    for base in bases:
        try:
            answer = await resolver.answer(f"_{port}._tcp.{base}", "TLSA")
        except DnsFailure as error:
            raise Unproven(f"TLSA records of {base} cannot be looked up: {error.reply.text}") from None
        if answer.records and answer.authentic:
            return Tlsas(base, usable(answer.records))
    return None


async def _is_proven_alias(resolver: Resolver, host: str) -> bool:
    try:
        answer = await resolver.answer(host, "CNAME")
    except DnsFailure as error:
        raise Unproven(f"the alias {host} cannot be looked up: {error.reply.text}") from None
    return bool(answer.records) and answer.authentic


def usable(records: Iterable[Any]) -> tuple[Tlsa, ...]:
    """Those that SMTP may go by (RFC 7672 s3.1), and of digests only the strongest (RFC 7671 s9). Never raises.

    records: dnspython's, of any content.
    """
    kept: dict[Tlsa, None] = {}
    for record in list(records)[:RECORDS]:
        one = Tlsa(int(record.usage), int(record.selector), int(record.mtype), bytes(record.cert))
        if one.usage not in (TA, EE) or one.selector not in (0, 1):
            continue
        if one.matching == 0:
            if _is_der(one):
                kept[one] = None
        elif _DIGEST_LEN.get(one.matching) == len(one.data):
            kept[one] = None
    strongest = {(one.usage, one.selector) for one in kept if one.matching == 2}
    return tuple(one for one in kept if one.matching != 1 or (one.usage, one.selector) not in strongest)


def _is_der(record: Tlsa) -> bool:
    """Whether whole data is what its selector says: else it can match nothing, and must not look as if it could."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        if record.selector == 0:
            x509.load_der_x509_certificate(record.data)
        else:
            load_der_public_key(record.data)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        return False
    return True


def chain_of(tls: ssl.SSLObject) -> list[bytes]:
    """The certificates that the server sent, its own first, in DER."""
    inner = getattr(tls, "_sslobj", None)
    get = getattr(tls, "get_unverified_chain", None) or getattr(inner, "get_unverified_chain", None)
    if get is not None:
        return [one if isinstance(one, bytes) else one.public_bytes(_der()) for one in get() or ()]
    own = tls.getpeercert(binary_form=True)
    return [own] if own else []


def _der() -> int:
    import _ssl

    return int(_ssl.ENCODING_DER)


def refusal(chain: Sequence[bytes], tlsas: Tlsas, names: Iterable[str]) -> str:
    """Why these certificates do not fit the records, in plain words; empty: one of them fits. Never raises.

    chain: as chain_of. names: what the host may be called, for DANE-TA (RFC 7672 s3.2.2).
    """
    if not chain:
        return "the server showed no certificate"
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    unreadable = (
        ValueError,
        TypeError,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    )
    try:
        return _refusal(chain[:CHAIN], tlsas, tuple(names))
    except unreadable as error:
        return f"its certificate cannot be read: {error}"


def _refusal(chain: Sequence[bytes], tlsas: Tlsas, names: Sequence[str]) -> str:
    if any(one.usage == EE and _matches(one, chain[0]) for one in tlsas.records):
        return ""
    reason = "no certificate of it matches a TLSA record"
    for one in tlsas.records:
        if one.usage != TA:
            continue
        candidates = list(chain[1:])
        if one.selector == 0 and one.matching == 0:
            candidates.append(one.data)
        for anchor in candidates:
            if _matches(one, anchor):
                reason = _not_vouched_for(chain, anchor) or _wrong_name(chain[0], names)
                if not reason:
                    return ""
    return reason


def _matches(record: Tlsa, certificate: bytes) -> bool:
    octets = certificate
    if record.selector == 1:
        from cryptography import x509
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        key = x509.load_der_x509_certificate(certificate).public_key()
        octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if record.matching == 1:
        octets = hashlib.sha256(octets).digest()
    elif record.matching == 2:
        octets = hashlib.sha512(octets).digest()
    return octets == record.data


def _not_vouched_for(chain: Sequence[bytes], anchor: bytes) -> str:
    """OpenSSL's own verdict, with this certificate as the only authority, be it one that signed itself or not."""
    from OpenSSL import crypto

    def loaded(der: bytes) -> crypto.X509:
        return crypto.load_certificate(crypto.FILETYPE_ASN1, der)

    store = crypto.X509Store()
    try:
        store.add_cert(loaded(anchor))
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
        between = [loaded(one) for one in chain[1:] if one != anchor]
        crypto.X509StoreContext(store, loaded(chain[0]), between).verify_certificate()
    except (crypto.Error, crypto.X509StoreContextError) as error:
        return f"the authority of its TLSA record does not vouch for its certificate: {error}"
    return ""


def _wrong_name(certificate: bytes, names: Sequence[str]) -> str:
    from cryptography import x509

    extensions = x509.load_der_x509_certificate(certificate).extensions
    try:
        known = extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        known = []
    if any(fits(name, pattern) for name in names for pattern in known):
        return ""
    return f"its certificate is not good for {names[0]}"
