"""Secrets of AUTH exchanges (DIAG-12)."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.diagnostics.masking import AuthMask

SECRET = b"AGpvaG4Ac2VjcmV0"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"AUTH PLAIN AGpvaG4Ac2VjcmV0\r\n", b"AUTH PLAIN ****\r\n"),
        (b"auth plain AGpvaG4Ac2VjcmV0\r\n", b"AUTH PLAIN ****\r\n"),
        (b"AUTH LOGIN\r\n", b"AUTH LOGIN ****\r\n"),
        (b"AUTH AGpvaG4Ac2VjcmV0\r\n", b"AUTH ****\r\n"),  # a secret where the mechanism should be
        (b" AUTH PLAIN AGpvaG4Ac2VjcmV0\n", b"AUTH PLAIN ****\n"),
        (b"AUTHPLAIN AGpvaG4Ac2VjcmV0\r\n", b"AUTH ****\r\n"),
        (b"AUTH\tPLAIN\tAGpvaG4Ac2VjcmV0", b"AUTH PLAIN ****"),
        (b"\x00\xffAUTH PLAIN AGpvaG4Ac2VjcmV0\r\n", b"AUTH PLAIN ****\r\n"),
        (b"MAIL FROM:<auth@example.net> AUTH=<>\r\n", b"MAIL FROM:<auth@example.net> AUTH=<>\r\n"),
        (b"NOOP AUTH\r\n", b"NOOP AUTH\r\n"),
    ],
)
def test_only_the_mechanism_is_shown(line: bytes, shown: bytes) -> None:
    """DIAG-12."""
    assert AuthMask().line(line) == shown


def test_what_follows_is_masked_until_a_command() -> None:
    """DIAG-12: user and password of LOGIN come on lines of their own, whatever we answered."""
    mask = AuthMask()
    lines = [b"AUTH LOGIN\r\n", b"am9obg==\r\n", b"QUIT\r\n", SECRET + b"\r\n", b"*\r\n"]
    assert [mask.line(line) for line in lines] == [
        b"AUTH LOGIN ****\r\n", b"****\r\n", b"QUIT\r\n", b"****\r\n", b"****\r\n"
    ]  # fmt: skip


@given(st.binary(max_size=20), st.sampled_from([b"AUTH", b"auth", b"Auth"]), st.binary(min_size=8, max_size=40))
def test_no_secret_passes(noise: bytes, verb: bytes, secret: bytes) -> None:
    """DIAG-12."""
    encoded = base64.b64encode(b"\x00" + secret)
    mask = AuthMask()
    blanks = bytes(octet for octet in noise if not chr(octet).isalpha() and octet != 10)
    for line in (blanks + verb + b" " + encoded, b"AUTH PLAIN " + encoded, encoded, blanks + encoded):
        assert encoded not in mask.line(line + b"\r\n")
    assert mask.line(b"RSET\r\n") == b"RSET\r\n"
