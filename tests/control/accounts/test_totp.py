"""RFC 4226 and RFC 6238 by their own tables, and that a code is good once."""

import base64
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.accounts import totp

SECRET = b"12345678901234567890"  # of both RFCs
HOTP = ("755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489")
TOTP = (
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
)


@pytest.mark.parametrize(("counter", "expected"), list(enumerate(HOTP)))
def test_rfc_4226_appendix_d(counter: int, expected: str) -> None:
    """ACC-11"""
    assert totp.code(SECRET, counter) == expected


@pytest.mark.parametrize(("time", "expected"), TOTP)
def test_rfc_6238_appendix_b(time: int, expected: str) -> None:
    """ACC-11"""
    assert totp.code(SECRET, time // totp.STEP_S, digits=8) == expected
    assert totp.step_of(SECRET, expected[2:], time, used=0) == time // totp.STEP_S


@given(st.integers(2, 2**40), st.integers(-5, 5), st.integers(-5, 5))
def test_a_code_is_good_near_its_time_and_after_the_last_one(step: int, off: int, used: int) -> None:
    """ACC-11: one step of skew, and none that was used, or is older than one that was."""
    now = step * totp.STEP_S + 7
    code = totp.code(SECRET, max(step + off, 0))
    found = totp.step_of(SECRET, code, now, used=step + used)
    if abs(off) <= totp.SKEW and off > used:
        assert found is not None
        assert totp.code(SECRET, found) == code
    elif found is not None:  # six digits may be the same by chance
        assert abs(found - step) <= totp.SKEW
        assert totp.code(SECRET, found) == code


@given(st.text(max_size=40))
def test_whatever_is_given_is_a_code_or_not(given_code: str) -> None:
    good = {totp.code(SECRET, step) for step in (999, 1000, 1001)}
    assert (totp.step_of(SECRET, given_code, 30_000, 0) is not None) == (given_code in good)


@given(st.binary(min_size=20, max_size=20), st.from_regex(r"[a-z0-9][a-z0-9._@+-]{0,63}", fullmatch=True))
def test_the_uri_says_all_that_an_authenticator_needs(secret: bytes, user: str) -> None:
    uri = urlsplit(totp.uri_of(secret, user, "mx.example.org"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == f"/Mailward mx.example.org:{user}"
    fields = {name: values[0] for name, values in parse_qs(uri.query).items()}
    assert base64.b32decode(fields.pop("secret") + "=" * (-len(secret) * 8 // 5 % 8)) == secret
    assert fields == {"issuer": "Mailward mx.example.org", "algorithm": "SHA1", "digits": "6", "period": "30"}
    assert base64.b32decode(totp.text_of(secret).replace(" ", "")) == secret


def test_the_qr_code_is_a_drawing_without_style_or_script() -> None:
    """ACC-11: the policy of the pages forbids both."""
    svg = totp.qr_code(totp.uri_of(SECRET, "admin", "mx.example.org"))
    tree = ElementTree.fromstring(svg)
    assert {element.tag.rpartition("}")[2] for element in tree.iter()} == {"svg", "g", "path"}
    assert not any("style" in element.attrib for element in tree.iter())
