"""The fields before a message: Received (RFC 5321 s4.4), Authentication-Results (RFC 8601)."""

import email
import email.utils

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.delivery.trace import received_field, results_field, rfc5322
from engine.queue.record import Recipient
from tests.engine.delivery.peers import mail

AT = 1_700_000_000_123_456_789


def field(**changes: object) -> str:
    received = msgspec.structs.replace(mail("to@example.com").received, id="ID", time_ns=AT, **changes)
    octets = received_field(received, "gw.example.net")
    assert octets.endswith(b"\r\n")
    assert max(map(len, octets.split(b"\r\n"))) < 998
    return octets.decode()


def test_every_clause() -> None:
    assert field(tls="TLSv1.3 TLS_AES_256_GCM_SHA384", protocol="ESMTPS") == (
        "Received: from client.example.org ([192.0.2.7])\r\n"
        "\tby gw.example.net (Mailward) with ESMTPS\r\n"
        "\t(TLSv1.3 TLS_AES_256_GCM_SHA384) id ID\r\n"
        "\tfor <to@example.com>;\r\n"
        "\tTue, 14 Nov 2023 22:13:20 +0000\r\n"
    )


def test_ipv6_and_several_recipients_are_not_disclosed() -> None:
    text = field(client="2001:db8::7", recipients=(Recipient("a@example.com"), Recipient("b@example.com")))
    assert "([IPv6:2001:db8::7])" in text
    assert "for" not in text.partition("by")[2]


def test_hostile_helo_and_addresses_do_not_get_in() -> None:
    for helo in ("x\r\nX-Evil: yes", "a (b) c", "", "-", "x" * 5000, "ü"):
        text = field(helo=helo)
        assert text.startswith("Received: from [192.0.2.7] ([192.0.2.7])")
    assert "for" not in field(recipients=(Recipient("a>\r\nX-Evil: yes\r\n<b@example.com"),)).partition("by")[2]
    assert "ü" not in field(recipients=(Recipient("ü@example.com"),))
    assert "ü" in field(recipients=(Recipient("ü@example.com"),), smtputf8=True)
    longest = f"TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified: {'n' * 64} SHA-256 {'0' * 64}"
    assert f"({longest})" in field(tls=longest)
    assert field(tls="x)\r\nX-Evil: y").count("\r\n") == field(tls="x").count("\r\n")


def test_own_messages_have_no_from_clause() -> None:
    assert field(client="", helo="", protocol="").startswith("Received: by gw.example.net (Mailward) id ID")


def test_it_parses_as_one_field() -> None:
    parsed = email.message_from_string(field() + "Subject: x\r\n\r\n")
    assert parsed.keys() == ["Received", "Subject"]


def test_date() -> None:
    assert email.utils.parsedate_to_datetime(rfc5322(AT)).timestamp() == AT // 1_000_000_000


def test_results_stand_above_received() -> None:
    """PROC-24: the optional result field, a line for each result (RFC 8601 s4)."""
    field = results_field("gw.example.net; spf=pass smtp.mailfrom=a@example.com; dkim=none")
    assert field == (
        b"Authentication-Results: gw.example.net;\r\n\tspf=pass smtp.mailfrom=a@example.com;\r\n\tdkim=none\r\n"
    )


@given(st.text(max_size=3000))
def test_whatever_results_hold_it_is_one_field(body: str) -> None:
    field = results_field(body)
    assert field.endswith(b"\r\n")
    lines = field[:-2].split(b"\r\n")
    assert lines[0].startswith(b"Authentication-Results: ")
    assert all(line.startswith(b"\t") for line in lines[1:])
    assert max(map(len, lines)) <= 998
    assert not any(ord("\t") != octet < 32 for line in lines for octet in line)
