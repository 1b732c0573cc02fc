"""The request to an authority: its fields, their rules, and the key (CERT-02, CERT-04).

The rules are those of RFC 5280 App. A.1 and of the requirements; authorities have more of their own (CERT-03). Names
that clients check stand in the extension subjectAltName, which is added here: the common name alone counts no more
(RFC 9525).
"""

import ipaddress
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Final

import iso3166
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from control.certificates.material import PrivateKey, Unfit
from engine.certificate import general_name
from engine.config import entries
from engine.smtp.address import BadAddress, a_labels

NAMES: Final = 50  # further ones, in one request
RSA_BITS: Final = 3072
ADVICE: Final = (
    "Look up what your authority asks for before you send the request: some refuse an IP address as common name, some"
    " want the name of the state spelled out in full."
)  # CERT-03


class KeyKind(StrEnum):
    EC = "ec"  # P-256
    RSA = "rsa"  # for authorities or clients that know nothing else


class Fields(msgspec.Struct, frozen=True):
    """CERT-02. country: two letters (ISO 3166-1). names: further hosts and addresses."""

    common_name: str = ""
    organization: str = ""
    unit: str = ""
    locality: str = ""
    state: str = ""
    country: str = ""
    email: str = ""
    names: tuple[str, ...] = ()
    key: KeyKind = KeyKind.EC


class Request(msgspec.Struct, frozen=True):
    key: PrivateKey
    request: x509.CertificateSigningRequest


# field, what a certificate calls it, how many characters it may have
_SUBJECT: Final = (
    ("country", NameOID.COUNTRY_NAME, 2),
    ("state", NameOID.STATE_OR_PROVINCE_NAME, 128),
    ("locality", NameOID.LOCALITY_NAME, 128),
    ("organization", NameOID.ORGANIZATION_NAME, 64),
    ("unit", NameOID.ORGANIZATIONAL_UNIT_NAME, 64),
    ("common_name", NameOID.COMMON_NAME, 64),
    ("email", NameOID.EMAIL_ADDRESS, 255),
)
_MISSING: Final = {
    "common_name": "is empty: write the name or the address by which browsers reach the gateway",
    "organization": "is empty: write the name of the organization as it is registered",
    "state": "is empty: where there are no states or provinces, repeat the city",
    "country": "is empty: choose one from the list",
}


def countries() -> list[tuple[str, str]]:
    """Code and name of each, by name."""
    return sorted(((one.alpha2, one.apolitical_name) for one in iso3166.countries), key=lambda one: _letters(one[1]))


def _letters(name: str) -> str:
    """Without accents, so that Åland comes before Albania."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().casefold()


def names_in(fields: Fields, own: Sequence[str]) -> tuple[str, ...]:
    """All names of the request, each once, the common name first.

    own: those of the gateway; of these, names without a dot mean nothing to an authority.
    """
    given = [name.strip() for name in (fields.common_name, *fields.names)]
    return tuple(dict.fromkeys(plain_name(name) for name in (*given, *(one for one in own if "." in one)) if name))


def check(fields: Fields) -> None:
    """Raises Unfit with everything that is wrong."""
    if problems := list(_problems(fields)):
        raise Unfit(*problems)


def make(fields: Fields, own: Sequence[str]) -> Request:
    """A new key and a request that it signs. Raises Unfit."""
    check(fields)
    key = new_key(fields.key)
    attributes = [x509.NameAttribute(oid, value) for name, oid, _ in _SUBJECT if (value := _value(fields, name))]
    return Request(key, signed(key, x509.Name(attributes), names_in(fields, own)))


def new_key(kind: KeyKind) -> PrivateKey:
    if kind is KeyKind.RSA:
        return rsa.generate_private_key(65537, RSA_BITS)
    return ec.generate_private_key(ec.SECP256R1())


def signed(key: PrivateKey, subject: x509.Name, names: Sequence[str]) -> x509.CertificateSigningRequest:
    alternatives = x509.SubjectAlternativeName([general_name(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(alternatives, critical=False)
    return builder.sign(key, hashes.SHA256())


def pem_of(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _problems(fields: Fields) -> Iterator[tuple[str, str]]:
    for name, _, length in _SUBJECT:
        value = getattr(fields, name).strip()
        if not value and name in _MISSING:
            yield name, _MISSING[name]
        elif len(value) > length and name != "country":
            yield name, f"has {len(value)} characters: certificates have room for {length}"
        elif not value.isprintable():
            yield name, "has characters that cannot be printed: write it in one line"
        elif error := _CHECKS.get(name, _nothing)(value):
            yield name, error
    if len(fields.names) > NAMES:
        yield "names", f"has {len(fields.names)} entries: authorities take {NAMES} at most"
    for name in fields.names[:NAMES]:
        if name.strip() and (error := _name_error(name.strip())):
            yield "names", error


def _nothing(value: str) -> str:
    return ""


def _name_error(name: str) -> str:
    if _is_address(name) or not entries.host_error(name.removeprefix("*.")):
        return ""
    return f"{name!r} is neither a host name such as gateway.example.com nor an IP address"


def _email_error(email: str) -> str:
    if not email:
        return ""
    return entries.address_error(email) or ("" if email.isascii() else "has characters beyond ASCII")


def _country_error(country: str) -> str:
    known = country.upper() in iso3166.countries_by_alpha2 and country.isupper()
    return "" if known else f"{country!r} is not in the list of countries: choose one from it"


_CHECKS: Final[dict[str, Callable[[str], str]]] = {
    "common_name": _name_error,
    "email": _email_error,
    "country": _country_error,
}


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def plain_name(name: str) -> str:
    """As it stands in a certificate. One that is no name stays as it is, to be told of."""
    if _is_address(name):
        return str(ipaddress.ip_address(name))
    star, host = ("*.", name[2:]) if name.startswith("*.") else ("", name)
    try:
        return star + a_labels(host.rstrip("."))
    except BadAddress:
        return name


def _value(fields: Fields, name: str) -> str:
    value: str = getattr(fields, name).strip()
    return plain_name(value) if name == "common_name" else value
