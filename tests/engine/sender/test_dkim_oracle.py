"""DKIM against dkimpy and OpenDKIM: what they sign we verify, and after any change all say the same."""

import re

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.engine.sender import signing
from tests.engine.sender.signing import dkimpy_says, result, signed, zone
from tests.oracles import opendkim

RECORD = signing.rsa_record(1024)
FORMS = [(header, body) for header in (b"simple", b"relaxed") for body in (b"simple", b"relaxed")]
FOLDS = [b"\r\n folded", b"\r\n\t \r\n twice"]
VALUES = [b"a@example.com", b" ", b"\t", b"  x", b"words and  more", b"caf\xc3\xa9", b":;=", *FOLDS]
FIELDS = [b"From: b@example.net\r\n", b"X-One: 1\r\n"]
INSTEAD = [b"", b" ", b"\t", b"x", b"\r\n", b"\r\n ", b"\r\n\r\n", b";", *FIELDS]
NO_FIELD = ("policy", "a line of the header section is no field")
values = st.lists(st.sampled_from(VALUES), max_size=5).map(b"".join)
names = st.sampled_from([b"To", b"Subject", b"subject", b"X-One", b"Received", b"Date", b"List-Id"])
BODY = [b"\r\n", b" ", b"\t", b"word", b".", b"\r\n\r\n", b" \r\n", b"caf\xe9", b"=20"]
bodies = st.lists(st.sampled_from(BODY), max_size=12).map(b"".join)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    fields = [name + b":" + value for name, value in draw(st.lists(st.tuples(names, values), max_size=6))]
    fields.insert(draw(st.integers(0, len(fields))), b"From: a@example.com")
    return b"\r\n".join(fields) + b"\r\n\r\n" + draw(bodies) + b"\r\n"


@st.composite
def changes(draw: st.DrawFn) -> tuple[float, int, bytes]:
    """(where, octets that go, octets that come)."""
    return draw(st.floats(0, 1)), draw(st.integers(0, 3)), draw(st.sampled_from(INSTEAD))


def changed(message: bytes, change: tuple[float, int, bytes]) -> bytes:
    where, gone, come = change
    at = int(where * len(message))
    text = message[:at] + come + message[at + gone :]
    text = re.sub(rb"\r(?!\n)|(?<!\r)\n", b"", text)  # mail with CR or LF alone is not accepted (SMTP-16)
    return text if text.endswith(b"\r\n") else text + b"\r\n"


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("algorithm", [b"rsa-sha256", b"ed25519-sha256"])
def test_all_forms_and_algorithms(form: tuple[bytes, bytes], algorithm: bytes) -> None:
    """WL-05, RFC 6376 s3.4, RFC 8463: and one changed octet of header or body is noticed."""
    record = signing.ed25519_record() if algorithm == b"ed25519-sha256" else signing.rsa_record()
    message = signed(canonicalize=form, signature_algorithm=algorithm)
    assert result(message, zone(record)) == ("pass", "")
    assert result(message.replace(b"two  words", b"two  wOrds"), zone(record))[0] == "fail"
    assert result(message.replace(b"last line", b"lost line"), zone(record)) == ("fail", "the body was changed")


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(messages(), st.sampled_from(FORMS), st.booleans(), st.none() | changes())
@example(b"From: a@example.com\r\nX-One::;=\r\n\r\n\r\n", FORMS[0], False, (0.9764, 0, b"From: b@example.net\r\n"))
def test_agrees_with_dkimpy(
    message: bytes, form: tuple[bytes, bytes], oversigned: bool, change: tuple[float, int, bytes] | None
) -> None:
    """WL-05: signed by dkimpy, changed anywhere, verified by both."""
    record = signing.rsa_record(1024)
    include = [b"from", b"subject", b"to", b"x-one", b"list-id", b"list-id"] if oversigned else None
    text = signed(message, canonicalize=form, include_headers=include, privkey=signing.pem(1024))
    if change is None:
        assert result(text, zone(record)) == ("pass", "")
    else:
        before, text = text, changed(text, change)
        assume(text.count(b"=") == before.count(b"="))  # it does not take base64 without padding
        ours = [(one.result, one.reason) for one in signing.verify(text, zone(record))]
        # A line such as ":;=" in the header is in order for dkimpy; for us it is policy.
        assert ours == [NO_FIELD] or dkimpy_says(text, record) in (None, ("pass", "") in ours), (text, ours)


@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(messages(), st.sampled_from(FORMS), st.none() | changes())
def test_agrees_with_opendkim(
    tmp_path_factory: pytest.TempPathFactory,
    message: bytes,
    form: tuple[bytes, bytes],
    change: tuple[float, int, bytes] | None,
) -> None:
    """WL-05: signed by OpenDKIM, changed anywhere, verified by both."""
    folder = tmp_path_factory.getbasetemp()
    date = b"" if b"\r\ndate:" in b"\r\n" + message.lower() else b"Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n"
    text = opendkim.signed(date + message, signing.pem(1024), *form)
    assert result(text, zone(RECORD)) == ("pass", "")
    if change is not None:
        text = changed(text, change)
        theirs = opendkim.verifies(text, signing.NAME, RECORD, folder)
        ours = [one.result for one in signing.verify(text, zone(RECORD))]
        # For OpenDKIM a From field on top that nobody signed is in order; for us it is policy.
        assert theirs is None or ours == ["policy"] or ("pass" in ours) == theirs, (text, ours)
