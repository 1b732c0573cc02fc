"""What is pasted or uploaded: PEM in mail, DER, PKCS#7, PKCS#12; nothing of it raises anything but Unfit."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from control.certificates import request
from control.certificates.material import CERTIFICATES, MATERIAL_LEN, PASSWORD_LEN, Unfit, read
from tests.control.certificates.authority import new_key, pem, root

KEY = new_key()
ROOT = root()
LEAF = ROOT.issue(KEY.public_key(), "gate.example.com")


def refused(octets: bytes, password: str = "") -> tuple[str, str]:
    with pytest.raises(Unfit) as caught:
        read(octets, password)
    (problem,) = caught.value.problems
    return problem


def same_key(one: object) -> bool:
    return isinstance(one, ec.EllipticCurvePrivateKey) and one.public_key() == KEY.public_key()


def test_pem_within_a_mail() -> None:
    """CERT-06: pasted with header and footer, as it came."""
    found = read(
        b"Hello,\n\nyour certificate:\n\n" + pem(LEAF) + b"\nand its chain\n" + pem(ROOT.certificate) + b"\n-- \nCA"
    )
    assert found.certificates == (LEAF, ROOT.certificate)
    assert found.key is None


@pytest.mark.parametrize("ending", [b"\r\n", b"\r", b"\n"])
def test_pem_with_any_line_ends(ending: bytes) -> None:
    assert read(pem(LEAF).replace(b"\n", ending)).certificates == (LEAF,)


def test_key_and_certificate_in_one_pem() -> None:
    """CERT-07"""
    found = read(pem(KEY, LEAF))
    assert same_key(found.key)
    assert found.certificates == (LEAF,)


def test_an_older_form_of_key_and_label() -> None:
    old = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    labelled = pem(LEAF).replace(b"CERTIFICATE", b"X509 CERTIFICATE")
    found = read(old + labelled)
    assert same_key(found.key)
    assert found.certificates == (LEAF,)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_an_encrypted_key_needs_its_password(form: PrivateFormat) -> None:
    locked = KEY.private_bytes(Encoding.PEM, form, BestAvailableEncryption(b"sesame")) + pem(LEAF)
    assert same_key(read(locked, "sesame").key)
    assert refused(locked) == ("password", "is missing: the private key is encrypted")
    assert refused(locked, "wrong") == ("password", "does not open the private key")


def bundle(password: bytes | None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return pkcs12.serialize_key_and_certificates(b"gate", KEY, LEAF, [ROOT.certificate], encryption)


@pytest.mark.parametrize("password", ["", "sesame", "gr\u00fc\u00dfe"])
def test_pkcs12(password: str) -> None:
    """CERT-07"""
    found = read(bundle(password.encode()), password)
    assert same_key(found.key)
    assert found.certificates == (LEAF, ROOT.certificate)


def test_pkcs12_with_another_password() -> None:
    assert refused(bundle(b"sesame"))[0] == "password"
    assert "missing" in refused(bundle(b"sesame"))[1]
    assert "does not open" in refused(bundle(b"sesame"), "wrong")[1]


def test_pkcs7_and_der() -> None:
    for encoding in (Encoding.PEM, Encoding.DER):
        found = read(pkcs7.serialize_certificates([LEAF, ROOT.certificate], encoding))
        assert set(found.certificates) == {LEAF, ROOT.certificate}
    assert read(LEAF.public_bytes(Encoding.DER)).certificates == (LEAF,)


def test_the_request_is_not_the_certificate() -> None:
    asked = request.make(request.Fields("gate.example.com", "O", state="S", country="DE"), ())
    place, text = refused(asked.request.public_bytes(Encoding.PEM))
    assert place == "certificate"
    assert "is the request" in text


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"", "is empty"),
        (b" \r\n ", "is empty"),
        (b"hello", "neither PEM, DER, PKCS#7 nor PKCS#12"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n", "has no end"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "cannot be read"),
        (b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", "private key that cannot be read"),
        (b"-----BEGIN PKCS7-----\nMIIB\n-----END PKCS7-----\n", "cannot be read"),
        (b"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n", "but public key"),
        (b"\x30\x82\x01\x01\x02\x01\x03" + bytes(250), "PKCS#12"),
        (pem(KEY, new_key(), LEAF), "more than one private key"),
    ],
)
def test_what_cannot_be_read_is_told(octets: bytes, words: str) -> None:
    """CERT-06"""
    assert words in refused(octets)[1]


def test_keys_that_clients_do_not_take() -> None:
    for key in (
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 1024),
        ec.generate_private_key(ec.SECP256K1()),
    ):
        assert "clients do not take" in refused(pem(key))[1]


def test_bounds() -> None:
    many = pem(LEAF) * CERTIFICATES
    assert len(read(many).certificates) == CERTIFICATES
    assert f"more than {CERTIFICATES}" in refused(many + pem(LEAF))[1]
    padded = pem(LEAF).ljust(MATERIAL_LEN)
    assert read(padded).certificates == (LEAF,)
    assert "larger than 128 KB" in refused(padded + b" ")[1]
    assert "does not open" in refused(bundle(b"sesame"), "x" * PASSWORD_LEN)[1]
    assert refused(bundle(b"sesame"), "x" * (PASSWORD_LEN + 1))[0] == "password"


VALID = [
    pem(LEAF),
    pem(KEY),
    bundle(b""),
    LEAF.public_bytes(Encoding.DER),
    b"-----BEGIN CERTIFICATE-----\n",
    b"-----",
    b"\n",
]


@pytest.mark.filterwarnings(
    "ignore::UserWarning"
)  # what the library says of files that are not quite as they should be
@given(st.lists(st.sampled_from(VALID) | st.binary(max_size=40), max_size=5), st.data())
def test_nothing_else_is_raised(pieces: list[bytes], data: st.DataObject) -> None:
    octets = bytearray(b"".join(pieces))
    for _ in range(data.draw(st.integers(0, 4)) if octets else 0):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(octets))
    except Unfit as error:
        assert all(place in ("certificate", "password") and text for place, text in error.problems)


def test_many_beginnings_take_no_time_to_speak_of() -> None:
    """A pattern that looked back would need hours for this."""
    assert "has no end" in refused((b"-----BEGIN CERTIFICATE-----\n" * 5_000)[: MATERIAL_LEN - 10])[1]
    assert "has no end" in refused(b"-----BEGIN A-----\n" + b"x\n" * 60_000)[1]
