"""Header fields of mail that the gateway writes itself (SMTP-09, NTF-17)."""

from email import message_from_bytes, policy
from email.headerregistry import Address

from hypothesis import given
from hypothesis import strategies as st

from engine.delivery import fields

TEXT = st.text(max_size=500)


@given(TEXT)
def test_a_subject_is_read_as_it_was_written(text: str) -> None:
    """RFC 2047: what can be shown of its first 400 characters."""
    field = fields.subject(text)
    assert field.isascii() and all(len(line) <= 998 for line in field.split("\r\n"))
    parsed = message_from_bytes(field.encode() + b"\r\n\r\n", policy=policy.SMTP)
    shown = "".join(one for one in str(parsed["Subject"] or "") if one.isalnum())
    assert shown == "".join(one for one in text[:400] if one.isalnum())


def test_a_subject_that_looks_encoded_is_read_as_it_was_written() -> None:
    """RFC 2047."""
    text = "=?utf-8?q?look?= at this"
    parsed = message_from_bytes(fields.subject(text).encode() + b"\r\n\r\n", policy=policy.SMTP)
    assert str(parsed["Subject"]) == text


def test_names_and_addresses() -> None:
    """SMTP-09."""
    field = fields.sender('J\u00f6rg "X"\r\nBcc: a@b', "noreply@b\u00fccher.example")
    parsed = message_from_bytes(field.encode() + b"\r\n\r\n", policy=policy.SMTP)
    (address,) = parsed["From"].addresses
    assert isinstance(address, Address)
    assert address.addr_spec == "noreply@xn--bcher-kva.example"
    assert "J\u00f6rg" in address.display_name and parsed["Bcc"] is None
    assert fields.sender("", "a@example.com") == "From: <a@example.com>"
    assert fields.sender('"\\', "a@example.com") == "From: <a@example.com>"
    assert fields.path("J\u00f6rg@b\u00fccher.example") == "J\u00f6rg@b\u00fccher.example", "RFC 6531 alone carries it"
