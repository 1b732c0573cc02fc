"""Paths, mailboxes and domains (RFC 5321 s4.1.2, RFC 6531 s3.3, RELAY-13)."""

import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.limits import PATH_LEN
from engine.smtp.address import BadAddress, a_labels, address_literal, check_mailbox, domain_of, split_path


@pytest.mark.parametrize(
    "mailbox",
    [
        "a@c.example",
        "first.last+tag@c.example",
        "!#$%&'*+/=?^_`{|}~-@c.example",
        '"a b"@c.example',
        '"a\\"b>@c"@c.example',
        '""@c.example',
        "a@localhost",
        "a@[192.0.2.1]",
        "a@[IPv6:2001:db8::1]",
        "a@xn--bcher-kva.example",
        "a@my_host.example",
        "x" * 100 + "@c.example",
        "użytkownik@c.example",
        "a@bücher.example",
        '"ż ó"@bücher.example',
        "user%far.example@local.example",
        "far.example!user@local.example",
    ],
)
def test_mailboxes(mailbox: str) -> None:
    check_mailbox(mailbox)
    assert domain_of(mailbox).isascii()


@pytest.mark.parametrize(
    "mailbox",
    [
        "",
        "a",
        "@c.example",
        "a@",
        "a@@c.example",
        "a b@c.example",
        ".a@c.example",
        "a.@c.example",
        "a..b@c.example",
        "a@.example",
        "a@c..example",
        "a@c.example.",
        "a@-c.example",
        "a@c-.example",
        "a@c.exam ple",
        "a@" + "b" * 64 + ".example",
        "a@" + ".".join(["b" * 60] * 5),
        "a@[192.0.2.256]",
        "a@[192.0.2.1",
        "a@192.0.2.1]",
        "a@[IPv6:2001:db8::g]",
        "a@[2001:db8::1]",
        "a@[x:y]",
        '"a@c.example',
        '"a"b@c.example',
        'a"b"@c.example',
        "a\r@c.example",
        "a\n@c.example",
        "a\0@c.example",
        "a@c.example\n",
        "a@c\n",
        '"a\r\nb"@c.example',
        "a,b@c.example",
        "a<b@c.example",
        "a@\u2028.example",
        "x" * PATH_LEN + "@c.example",
        "a@" + "ü" * 300 + ".example",
    ],
)
def test_what_is_no_mailbox(mailbox: str) -> None:
    with pytest.raises(BadAddress):
        check_mailbox(mailbox)


def test_domain_of() -> None:
    assert domain_of("a@C.Example") == "c.example"
    assert domain_of("a@BÜCHER.example") == "xn--bcher-kva.example"
    assert domain_of('"x@y"@c.example') == "c.example"
    assert domain_of("user%far.example@local.example") == "local.example"
    assert domain_of("a@[192.0.2.1]") == "[192.0.2.1]"
    assert domain_of("a@[ipv6:2001:DB8:0::1]") == "[IPv6:2001:db8::1]"
    with pytest.raises(BadAddress):
        domain_of("")


def test_address_literals() -> None:
    assert address_literal("[192.0.2.1]") == ipaddress.ip_address("192.0.2.1")
    with pytest.raises(BadAddress):
        address_literal("192.0.2.1")


@pytest.mark.parametrize(
    ("text", "mailbox", "rest"),
    [
        ("<>", "", ""),
        ("<> SIZE=1", "", " SIZE=1"),
        ("<a@c.example>", "a@c.example", ""),
        ("<a@c.example> BODY=7BIT", "a@c.example", " BODY=7BIT"),
        ('<"a>b"@c.example> X', '"a>b"@c.example', " X"),
        ('<"a\\">b"@c.example>X', '"a\\">b"@c.example', "X"),
        ("<@x.example,@y.example:a@c.example>", "a@c.example", ""),
        ("<@x.example:a@c.example>", "a@c.example", ""),
    ],
)
def test_paths(text: str, mailbox: str, rest: str) -> None:
    assert split_path(text) == (mailbox, rest)


@pytest.mark.parametrize(
    "text",
    ["", "a@c.example", "<a@c.example", '<"a>', "<@x.example>", "<@x.example:>", "<@:a@b>", "<@x,y:a@b>", "<"],
)
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(BadAddress):
        split_path(text)


@given(st.text(max_size=60))
def test_nothing_but_bad_address_is_raised(text: str) -> None:
    for read in (check_mailbox, a_labels, address_literal, domain_of, split_path):
        with contextlib.suppress(BadAddress):
            read(text)


@given(st.text(alphabet='ab.@"\\ <>[]é-', max_size=12))
def test_a_checked_mailbox_has_a_domain_and_no_loose_bracket(text: str) -> None:
    try:
        check_mailbox(text)
    except BadAddress:
        return
    assert domain_of(text)
    assert split_path(f"<{text}>") == (text, "")
