"""What people paste or upload: a certificate with its chain, a key, or both, as PEM, DER, PKCS#7 or PKCS#12 (CERT-06,
CERT-07).

Text around PEM is passed over, since authorities send certificates in mail. Nothing here looks at what is certified.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12

MATERIAL_LEN: Final = 128 * 1024  # octets; ten certificates of 4 KiB and a key are less than half of it
CERTIFICATES: Final = 20
PASSWORD_LEN: Final = 1000
RSA_LEAST_BITS: Final = 2048
CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")  # what browsers and mail servers take
_PEM: Final = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]{1,40})-----[ \t\r]*\n(?:(?!-----).*\n)*?[ \t]*-----END \1-----", re.MULTILINE
)
_KEYS: Final = ("PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY")
_CERTIFICATES: Final = ("CERTIFICATE", "X509 CERTIFICATE", "PKCS7")

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Unfit(Exception):
    """What was given cannot be used: fields and what is wrong with each, with the remedy."""

    def __init__(self, *problems: tuple[str, str]) -> None:
        super().__init__("; ".join(text for _, text in problems))
        self.problems = problems


class Material(msgspec.Struct, frozen=True):
    """key: None if there was none. certificates: as they came."""

    key: PrivateKey | None
    certificates: tuple[x509.Certificate, ...]


def read(octets: bytes, password: str = "") -> Material:
    """password: of a key or of a PKCS#12 file. Raises Unfit, with the field `certificate` or `password`."""
    if len(octets) > MATERIAL_LEN:
        raise Unfit(
            ("certificate", f"is larger than {MATERIAL_LEN // 1024} KB: give one certificate with its chain only")
        )
    if len(password) > PASSWORD_LEN:
        raise Unfit(("password", f"is longer than {PASSWORD_LEN} characters"))
    if not octets.strip():
        raise Unfit(("certificate", "is empty: paste the certificate, from -----BEGIN to -----END and these lines too"))
    found = _from_pem(octets, password) if b"-----BEGIN" in octets else _from_der(octets, password)
    if len(found.certificates) > CERTIFICATES:
        raise Unfit(("certificate", f"holds more than {CERTIFICATES} certificates: give one with its chain only"))
    return found


def _from_pem(octets: bytes, password: str) -> Material:
    keys: list[PrivateKey] = []
    certificates: list[x509.Certificate] = []
    others = []
    normal = octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for match in _PEM.finditer(normal):
        label = match[1].decode()
        if label in _KEYS:
            keys.append(_key(match[0], password))
        elif label in _CERTIFICATES:
            certificates += _certificates(match[0], label)
        else:
            others.append(label)
    if not keys and not certificates:
        raise Unfit(("certificate", _nothing(others)))
    if len(keys) > 1:
        raise Unfit(("certificate", "holds more than one private key: give the one that belongs to the certificate"))
    return Material(keys[0] if keys else None, tuple(certificates))


def _nothing(others: list[str]) -> str:
    if "CERTIFICATE REQUEST" in others or "NEW CERTIFICATE REQUEST" in others:
        return "is the request: send that to the authority, and give here what it answers with"
    if others:
        return f"holds no certificate, but {others[0].lower()}: paste what begins with -----BEGIN CERTIFICATE-----"
    return "has no end, or is not as it was sent: copy it whole, with the lines -----BEGIN and -----END"


def _key(octets: bytes, password: str) -> PrivateKey:
    encrypted = b"ENCRYPTED" in octets
    try:
        key = serialization.load_pem_private_key(octets, password.encode() if encrypted and password else None)
    except TypeError:  # encrypted, and no password
        raise Unfit(("password", "is missing: the private key is encrypted")) from None
    except (ValueError, UnsupportedAlgorithm):
        if encrypted:
            raise Unfit(("password", "does not open the private key")) from None
        raise Unfit(("certificate", "has a private key that cannot be read: copy it whole")) from None
    return _usable(key)


def _usable(key: object) -> PrivateKey:
    match key:
        case rsa.RSAPrivateKey() if key.key_size >= RSA_LEAST_BITS:
            return key
        case ec.EllipticCurvePrivateKey() if key.curve.name in CURVES:
            return key
    words = (
        f"has a key that clients do not take: RSA with {RSA_LEAST_BITS} bits or more, or EC on P-256, P-384 or P-521"
    )
    raise Unfit(("certificate", words))


def _certificates(octets: bytes, label: str) -> list[x509.Certificate]:
    try:
        if label == "PKCS7":
            return pkcs7.load_pem_pkcs7_certificates(octets)
        return [x509.load_pem_x509_certificate(octets.replace(b"X509 CERTIFICATE", b"CERTIFICATE"))]
    except (ValueError, UnsupportedAlgorithm):
        words = "cannot be read: copy it whole, with the lines -----BEGIN and -----END, and without changes"
        raise Unfit(("certificate", words)) from None


def _from_der(octets: bytes, password: str) -> Material:
    for reader in (_der_certificate, _der_pkcs7):
        if found := list(reader(octets)):
            return Material(None, tuple(found))
    return _pkcs12(octets, password)


def _der_certificate(octets: bytes) -> Iterator[x509.Certificate]:
    try:
        yield x509.load_der_x509_certificate(octets)
    except ValueError:
        return


def _der_pkcs7(octets: bytes) -> Iterator[x509.Certificate]:
    try:
        yield from pkcs7.load_der_pkcs7_certificates(octets)
    except (ValueError, UnsupportedAlgorithm):
        return


def _pkcs12(octets: bytes, password: str) -> Material:
    try:
        bundle = pkcs12.load_pkcs12(octets, password.encode() if password else None)
    except UnsupportedAlgorithm:
        words = "is encrypted in a way that is not supported here: export it again with AES, or as PEM"
        raise Unfit(("certificate", words)) from None
    except (ValueError, TypeError) as error:
        raise Unfit(_why_not_pkcs12(octets, password, error)) from None
    certificates = [bundle.cert, *bundle.additional_certs]
    found = tuple(one.certificate for one in certificates if one is not None)
    return Material(None if bundle.key is None else _usable(bundle.key), found)


def _why_not_pkcs12(octets: bytes, password: str, error: Exception) -> tuple[str, str]:
    """A sequence that holds version 3 is a PKCS#12 file (RFC 7292 s4), whose password is then wrong or missing."""
    if octets[:1] == b"\x30" and b"\x02\x01\x03" in octets[:16]:
        if password:
            return "password", "does not open this PKCS#12 file, or the file is damaged"
        return "password", "is missing: a PKCS#12 file is opened with the one it was exported with"
    return "certificate", "is neither PEM, DER, PKCS#7 nor PKCS#12: ask the authority for PEM"
