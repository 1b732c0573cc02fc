"""Whether a certificate may be installed, and what is worth knowing about it (CERT-06).

Refused: what does not belong to the key, has expired, is not valid yet or is not for servers, and would only make
clients turn away. Said, but not refused: what may be as it should be, such as an authority of one's own that nobody
else knows.
"""

import datetime
import ipaddress
import ssl
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from control.certificates.material import PrivateKey, Unfit

WARN_DAYS: Final = 30  # CERT-08
SKEW: Final = datetime.timedelta(minutes=5)  # by which our clock may be behind the authority's


class Checked(msgspec.Struct, frozen=True):
    """chain: the certificate of the server first, each signed by the one behind it."""

    chain: tuple[x509.Certificate, ...]
    remarks: tuple[str, ...]


def belongs(key: PrivateKey, certificate: x509.Certificate) -> bool:
    return _public(key) == _public(certificate)


def checked(
    key: PrivateKey, certificates: Sequence[x509.Certificate], names: Sequence[str], now: datetime.datetime
) -> Checked:
    """names: what the gateway is reached by. Raises Unfit."""
    own = [one for one in certificates if belongs(key, one)]
    if not own:
        raise Unfit(("certificate", "does not belong to the private key: it was made for another request"))
    leaf = max(own, key=lambda one: one.not_valid_after_utc)
    _refuse(leaf, now)
    chain, left = _ordered(leaf, certificates)
    return Checked(tuple(chain), (*_remarks(chain, names, now), *(_left_out(one) for one in left)))


def names_of(certificate: x509.Certificate) -> list[str]:
    """The hosts and addresses that it is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    hosts = names.get_values_for_type(x509.DNSName)
    return [*hosts, *map(str, names.get_values_for_type(x509.IPAddress))]


def title(name: x509.Name) -> str:
    """What people know an owner or an authority by."""
    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        if found := name.get_attributes_for_oid(oid):
            return str(found[0].value)
    return name.rfc4514_string()


def covers(certified: str, name: str) -> bool:
    """A wildcard stands for one label, the first (RFC 9525 s6.3)."""
    try:
        return ipaddress.ip_address(certified) == ipaddress.ip_address(name)
    except ValueError:
        certified, name = certified.lower().rstrip("."), name.lower().rstrip(".")
        return certified == name or (certified[:2] == "*." and certified[2:] == name.partition(".")[2])


def is_self_signed(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject


def _public(thing: PrivateKey | x509.Certificate) -> bytes:
    try:
        public = thing.public_key()
    except (ValueError, UnsupportedAlgorithm):  # of a kind that our keys are not
        return b""
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _refuse(leaf: x509.Certificate, now: datetime.datetime) -> None:
    if leaf.not_valid_after_utc <= now:
        words = f"expired on {_day(leaf.not_valid_after_utc)}: ask the authority for a new one"
        raise Unfit(("certificate", words))
    if leaf.not_valid_before_utc > now + SKEW:
        begins = leaf.not_valid_before_utc
        words = f"is not valid before {begins:%Y-%m-%d %H:%M} UTC: install it then, or check the clock of this server"
        raise Unfit(("certificate", words))
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    except ValueError:
        raise Unfit(("certificate", "has extensions that cannot be read: ask the authority for another")) from None
    if not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & set(usage):
        raise Unfit(("certificate", "is not for servers: ask the authority for one for a web or mail server"))


def _ordered(
    leaf: x509.Certificate, certificates: Sequence[x509.Certificate]
) -> tuple[list[x509.Certificate], list[x509.Certificate]]:
    """The chain as far as it goes, and what is no part of it."""
    chain = [leaf]
    left = [one for one in dict.fromkeys(certificates) if one != leaf]
    while not is_self_signed(chain[-1]):
        issuer = next((one for one in left if _issued(one, chain[-1])), None)
        if issuer is None:
            break
        left.remove(issuer)
        chain.append(issuer)
    return chain, left


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    if issuer.subject != certificate.issuer:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _remarks(chain: Sequence[x509.Certificate], names: Sequence[str], now: datetime.datetime) -> Iterator[str]:
    leaf, last = chain[0], chain[-1]
    certified = names_of(leaf)
    missing = [name for name in names if not any(covers(one, name) for one in certified)]
    if missing:
        found = ", ".join(certified[:10]) or "no name at all"
        yield f"It is not for {', '.join(missing)}, but for {found}: browsers warn of it under other names."
    days = (leaf.not_valid_after_utc - now).days
    if days < WARN_DAYS:
        yield f"It expires soon, on {_day(leaf.not_valid_after_utc)}."
    for one in chain[1:]:
        if not one.not_valid_before_utc <= now < one.not_valid_after_utc:
            whose = title(one.subject)
            yield f"The certificate of {whose} in the chain is not valid now: ask the authority for its present one."
    if is_self_signed(leaf):
        yield "It is signed by itself: browsers warn of it until they are told to trust it."
    elif not is_self_signed(last) and not _is_known(last.issuer):
        yield (
            f"The chain ends with {title(last.subject)}, and this server does not know its authority,"
            f" {title(last.issuer)}. If the authority sent intermediate certificates, install them along with it."
            " If it is your own authority, its certificate has to be known to browsers."
        )


def _is_known(authority: x509.Name) -> bool:
    """Whether the machine trusts an authority of this name: it stands in the authority's own certificate as it is."""
    name = authority.public_bytes()
    return any(name in octets for octets in ssl.create_default_context().get_ca_certs(binary_form=True))


def _left_out(certificate: x509.Certificate) -> str:
    return f"The certificate of {title(certificate.subject)} was left out: it is no part of the chain."


def _day(time: datetime.datetime) -> str:
    return f"{time:%Y-%m-%d}"
