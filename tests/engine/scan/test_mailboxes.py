"""Addresses of From fields (SNDR-02)."""

import email.utils

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.scan import mailboxes
from engine.scan.mailboxes import addresses


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"alice@example.com", ["alice@example.com"]),
        (b"Alice Liddell <Alice@Example.COM>", ["alice@example.com"]),
        (b"alice@example.com, Bob <bob@example.net>", ["alice@example.com", "bob@example.net"]),
        (b'"boss@bank.example" <evil@example.org>', ["evil@example.org"]),  # a display name is no address
        (b"boss@bank.example <evil@example.org>", ["evil@example.org"]),
        (b"<evil@example.org> boss@bank.example", ["evil@example.org"]),
        (
            b"friends: a@example.com, b@example.com; , c@example.com",
            ["a@example.com", "b@example.com", "c@example.com"],
        ),
        (b"undisclosed-recipients:;", []),
        (b"a@example.com (x@example.net (y@example.net))", ["a@example.com"]),
        (b"(x@example.net) A (z) <a@example.com>", ["a@example.com"]),
        (b'"Last, First" <a@example.com>', ["a@example.com"]),
        (b'"odd name"@example.com', ["odd name@example.com"]),
        (b'"plain"@example.com', ["plain@example.com"]),
        (b"a @ example . com", ["a@example.com"]),
        (b"<@relay.example:a@example.com>", ["a@example.com"]),
        (b"a@example.com.", ["a@example.com"]),
        ("Jörg <jörg@example.com>".encode(), ["jörg@example.com"]),
        ("jörg@bücher.example".encode(), ["jörg@bücher.example"]),
        (b"=?utf-8?q?J=C3=B6rg_=3Cx=40example=2Enet=3E?= <a@example.com>", ["a@example.com"]),
        (b"=?utf-8?q?evil=40example=2Eorg?=", ["evil@example.org"]),
        (b"=?utf-8?q?Boss_=3Cevil=40example=2Eorg=3E?=", ["evil@example.org"]),
        (b"<=?utf-8?q?evil?=@example.org>", ["evil@example.org"]),
        (b"a@[192.0.2.1]", ["a@[192.0.2.1]"]),
        (b"a@example.com; b@example.com", ["a@example.com", "b@example.com"]),
        (b"<a@example.com", ["a@example.com"]),
        (b'"never closed <a@example.com>', []),
        (b"(never closed <a@example.com>", []),
        (b"a@example.com <>", ["a@example.com"]),
        (b"Bob at example", []),
        (b"@example.com", []),
        (b"", []),
    ],
)
def test_addresses(field: bytes, expected: list[str]) -> None:
    """SNDR-02: every address of a multi-address From counts; display names, comments and group names do not."""
    assert list(addresses([field])) == expected


def test_several_fields_count_and_each_address_once() -> None:
    """SNDR-02."""
    assert addresses([b"a@example.com", b"B <b@example.com>, A@EXAMPLE.com"]) == ("a@example.com", "b@example.com")


@pytest.mark.parametrize(
    "field",
    [
        b'"Boss"' + b" " * 70_000 + b"<boss@example.com>",
        b'"' + b"x" * 70_000 + b'" <boss@example.com>',
        b"(" + b"x" * 70_000 + b") boss@example.com",
        b'"Boss"' + b" " * (64 * 1024 - 20) + b"<boss@example.com>",
    ],
)
def test_padding_hides_nobody(field: bytes) -> None:
    """SNDR-02, PROC-20: mail clients show the name, and answer that address."""
    assert "boss@example.com" in addresses([field])


def test_there_is_a_bound() -> None:
    """Crossed by one (limits.FROM_ADDRESSES)."""
    many = ", ".join(f"u{number}@example.com" for number in range(limits.FROM_ADDRESSES + 1)).encode()
    assert len(addresses([many])) == limits.FROM_ADDRESSES
    assert addresses([b"a" * limits.PATH_LEN + b"@example.com"]) == ()


ATOM = st.text("abcdefgh0123456789-_+", min_size=1, max_size=8)
ADDRESS = st.tuples(ATOM, ATOM).map(lambda one: f"{one[0]}@{one[1].strip('-_+') or 'x'}.example")
NAME = st.sampled_from(["", "Alice", '"Liddell, Alice"', "(c@x.example)", "=?utf-8?q?a=40b=2Ec?=", "Dr. A. (x) L"])


@given(st.lists(st.tuples(NAME, ADDRESS), max_size=5))
def test_it_agrees_with_what_the_library_reads(mailboxes: list[tuple[str, str]]) -> None:
    """SNDR-02: on fields by the book."""
    field = ", ".join(f"{name} <{address}>" for name, address in mailboxes)
    expected = [address for _, address in email.utils.getaddresses([field])]
    assert list(addresses([field.encode()])) == list(dict.fromkeys(filter(None, expected)))


@given(st.binary(max_size=200) | st.text('<>@,;:"\\()[] ab.=?', max_size=60).map(str.encode))
def test_nothing_breaks_it(field: bytes) -> None:
    for address in addresses([field]):
        local, at, domain = address.rpartition("@")
        assert at and local and domain and address.isprintable() and address == address.lower()


def test_the_length_that_is_read_in_full() -> None:
    """PROC-23: mailboxes._FIELD_LEN: in what is longer by one, words at its end count whatever they stand in."""
    end = b' quoted@in.example" <a@b.example>'
    for longer in (0, 1):
        field = b'"' + b"x" * (mailboxes._FIELD_LEN - len(end) - 1 + longer) + end
        assert ("quoted@in.example" in mailboxes.addresses([field])) == bool(longer)
        assert "a@b.example" in mailboxes.addresses([field])
