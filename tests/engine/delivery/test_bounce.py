"""Delivery status notifications (RFC 3461, RFC 3464, PROC-09, DLV-05), read back with the standard library's parser."""

import email
import email.message
import email.policy
from typing import Any

import pytest

from engine import limits
from engine.config import Delivery, Settings, Smtp
from engine.delivery.advice import next_step
from engine.delivery.bounce import notice_for
from engine.delivery.trace import rfc5322
from engine.queue.record import Attempt, Notice, Recipient, Result
from tests.engine.delivery.peers import Mail, mail

SETTINGS = Settings(smtp=Smtp(hostname="gw.example.net"))
CONTENT = b"From: a@example.org\r\nSubject: hello\r\n\r\nbody\r\n"
REFUSED = "550 5.1.1 no such user"


def bounce(
    message: Mail, *replies: str, notice: Notice = Notice.FAILED, settings: Settings = SETTINGS, **options: Any
) -> tuple[str, bytes] | None:
    attempts = [
        Attempt(message.id, 1_700_000_000_000_000_000, index, Result.FAILED, reply, "mx.example[192.0.2.9]:25")
        for index, reply in enumerate(replies)
        if reply
    ]
    return notice_for(message, notice, attempts, settings, message.pieces, 1_700_000_001_000_000_000, **options)


def parts(message: Mail, *replies: str, **options: Any) -> tuple[email.message.EmailMessage, list[Any]]:
    made = bounce(message, *replies, **options)
    assert made is not None
    assert made[0] == message.received.reverse_path
    octets = made[1]
    assert b"\n" not in octets.replace(b"\r\n", b"")
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    parsed = email.message_from_bytes(octets, policy=email.policy.default)
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "delivery-status"
    assert not parsed.defects
    return parsed, list(parsed.iter_parts())


def test_three_parts() -> None:
    message = mail("b@example.com", "c@example.com", content=CONTENT, envid="abc+2Bd")
    parsed, (text, status, original) = parts(message, REFUSED, "")
    assert parsed["To"] == "from@example.org"
    assert parsed["Auto-Submitted"] == "auto-replied"
    words = text.get_content()
    assert "<b@example.com>" in words
    assert "c@example.com" not in words
    assert "mx.example answered: 550 5.1.1 no such user" in words
    assert "There is no such mailbox" in " ".join(words.split())
    blocks = [dict(block.items()) for block in status.get_payload()]
    assert blocks[0]["Reporting-MTA"] == "dns; gw.example.net"
    assert blocks[0]["Original-Envelope-Id"] == "abc+d"
    assert blocks[1]["Final-Recipient"] == "rfc822; b@example.com"
    assert blocks[1]["Action"] == "failed"
    assert blocks[1]["Status"] == "5.1.1"
    assert blocks[1]["Remote-MTA"] == "dns; mx.example"
    assert blocks[1]["Diagnostic-Code"] == f"smtp; {REFUSED}"
    assert original.get_content_type() == "message/rfc822"
    assert original.get_payload(0).as_bytes().replace(b"\n", b"\r\n") == CONTENT


def test_never_for_the_null_reverse_path_proc_09() -> None:
    assert bounce(mail("b@example.com", sender=""), REFUSED) is None


@pytest.mark.parametrize(
    ("notify", "told"), [("", True), ("NEVER", False), ("SUCCESS,DELAY", False), ("success,failure", True)]
)
def test_notify(notify: str, told: bool) -> None:
    assert (bounce(mail(Recipient("b@example.com", notify=notify)), REFUSED) is not None) is told


def test_only_those_who_want_to_know_are_named() -> None:
    message = mail(Recipient("b@example.com", notify="NEVER"), Recipient("c@example.com", orcpt="rfc822;x+2By@e.com"))
    made = bounce(message, REFUSED, REFUSED)
    assert made is not None
    assert b"b@example.com" not in made[1]
    assert b"Original-Recipient: rfc822; x+y@e.com" in made[1]


@pytest.mark.parametrize(
    ("ret", "size", "kind"),
    [
        ("", 100, "message/rfc822"),
        ("", limits.BOUNCE_DEFAULT_LEN + 1, "text/rfc822-headers"),
        ("FULL", limits.BOUNCE_DEFAULT_LEN + 1, "message/rfc822"),
        ("HDRS", 100, "text/rfc822-headers"),
    ],
)
def test_ret(ret: str, size: int, kind: str) -> None:
    message = mail("b@example.com", content=CONTENT + b"0123456\r\n" * (size // 9 + 1), ret=ret)
    original = parts(message, REFUSED)[1][2]
    assert original.get_content_type() == kind
    assert b"Subject: hello" in original.as_bytes()
    if kind != "message/rfc822":
        assert b"0123456" not in original.as_bytes()


def test_headers_only_when_the_content_may_be_dangerous() -> None:
    message = mail("b@example.com", content=CONTENT, ret="FULL")
    assert parts(message, REFUSED, headers_only=True)[1][2].get_content_type() == "text/rfc822-headers"


def test_endless_header_is_cut() -> None:
    message = mail("b@example.com", content=b"X-Y: z\r\n" * 50_000)
    made = bounce(message, REFUSED)
    assert made is not None
    assert len(made[1]) < limits.BOUNCE_HEADER_LEN + 5000


def test_own_words_have_no_remote_mta() -> None:
    made = bounce(mail("b@example.com"), "5.4.6 mail for x would come back to this gateway")
    assert made is not None
    assert b"Remote-MTA" not in made[1]
    assert b"Status: 5.4.6" in made[1]


def test_hostile_replies_and_addresses_stay_on_their_lines() -> None:
    made = bounce(mail("b\r\nX-Evil: 1@example.com", sender="a\r\nBcc: x@example.org"), "550 a\r\n\r\nX-Evil: 2")
    assert made is not None
    assert b"\nX-Evil" not in made[1]
    assert b"\nBcc" not in made[1]


def test_boundary_is_not_in_the_original() -> None:
    message = mail("b@example.com")
    message.content = CONTENT + f"--mailward-{message.id}\r\n".encode()
    assert parts(message, REFUSED)[1][2].get_content_type() == "message/rfc822"


def test_utf8_types_rfc_6533() -> None:
    message = mail("grün@example.com", content="Subject: Grüße\r\n\r\n".encode(), smtputf8=True)
    _, (_, status, original) = parts(message, "550 5.6.7 kein Empfänger")
    assert status.get_content_type() == "message/global-delivery-status"
    assert original.get_content_type() == "message/global"
    made = bounce(message, REFUSED)
    assert made is not None
    assert "Final-Recipient: utf-8; grün@example.com".encode() in made[1]


def test_relayed() -> None:
    """RFC 3461 s5.2.2: what was asked for, with the header section only, whatever RET says."""
    message = mail(Recipient("b@example.com", notify="SUCCESS", orcpt="rfc822;b@example.org"), envid="abc", ret="FULL")
    parsed, (text, status, original) = parts(message, "250 2.1.5 queued as 5.1.1", notice=Notice.RELAYED)
    assert parsed["Subject"] == "Your mail was passed on"
    assert "mx.example answered: 250 2.1.5" in text.get_content()
    assert "What to do" not in text.get_content() and "does not tell of deliveries" in text.get_content()
    blocks = [dict(block.items()) for block in status.get_payload()]
    assert blocks[0]["Original-Envelope-Id"] == "abc"
    assert blocks[1]["Original-Recipient"] == "rfc822; b@example.org"
    assert (blocks[1]["Action"], blocks[1]["Status"]) == ("relayed", "2.1.5")
    assert "Will-Retry-Until" not in blocks[1]
    assert original.get_content_type() == "text/rfc822-headers"


def test_delayed() -> None:
    """DLV-05, RFC 3464 s2.3.9: with the time until which it is tried, which the days of DLV-04 give."""
    message = mail(Recipient("b@example.com", notify="DELAY,FAILURE"))
    settings = Settings(smtp=Smtp(hostname="gw.example.net"), delivery=Delivery(days=2))
    parsed, (text, status, original) = parts(message, "451 4.7.1 greylisted", notice=Notice.DELAYED, settings=settings)
    until = rfc5322(message.received.time_ns + 2 * 86_400 * 1_000_000_000)
    assert parsed["Subject"] == "Delayed mail: still on its way"
    assert until in text.get_content() and "need not" in text.get_content()
    blocks = [dict(block.items()) for block in status.get_payload()]
    assert (blocks[1]["Action"], blocks[1]["Status"]) == ("delayed", "4.7.1")
    assert blocks[1]["Will-Retry-Until"] == until
    assert original.get_content_type() == "text/rfc822-headers"


@pytest.mark.parametrize(
    ("notice", "reply", "status"),
    [
        (Notice.RELAYED, "250 ok", b"2.0.0"),
        (Notice.RELAYED, "250 5.1.1 ok", b"2.0.0"),
        (Notice.DELAYED, "4.4.1 cannot connect", b"4.4.1"),
        (Notice.DELAYED, "", b"4.0.0"),
    ],
)
def test_class_of_the_status_is_that_of_the_notice(notice: Notice, reply: str, status: bytes) -> None:
    message = mail(Recipient("b@example.com", notify="SUCCESS,DELAY"))
    attempt = Attempt(message.id, 1, 0, Result.PENDING, reply, "mx.example:25")
    made = notice_for(message, notice, [attempt], SETTINGS, message.pieces, 2)
    assert made is not None and b"Status: " + status + b"\r\n" in made[1]


@pytest.mark.parametrize(
    ("notice", "notify", "warn_all", "told"),
    [
        (Notice.RELAYED, "", True, False),
        (Notice.RELAYED, "FAILURE,DELAY", True, False),
        (Notice.RELAYED, "never", True, False),
        (Notice.RELAYED, "success", False, True),
        (Notice.DELAYED, "", False, False),
        (Notice.DELAYED, "", True, True),
        (Notice.DELAYED, "FAILURE,SUCCESS", True, False),
        (Notice.DELAYED, "NEVER", True, False),
        (Notice.DELAYED, "SUCCESS,DELAY", False, True),
    ],
)
def test_who_is_told(notice: Notice, notify: str, warn_all: bool, told: bool) -> None:
    """RFC 3461 s4.1, DLV-05: what NOTIFY names; without it of delays only if the settings say so."""
    settings = Settings(delivery=Delivery(warn_of_delay=warn_all))
    message = mail(Recipient("b@example.com", notify=notify))
    assert (bounce(message, "250 ok", notice=notice, settings=settings) is not None) is told
    nobody = mail(Recipient("b@example.com", notify=notify), sender="")
    assert bounce(nobody, "250 ok", notice=notice, settings=settings) is None


def test_status_without_enhanced_code_and_next_steps() -> None:
    made = bounce(mail("b@example.com"), "554 go away")
    assert made is not None
    assert b"Status: 5.0.0" in made[1]
    assert next_step("5.2.2").startswith("The mailbox is full")
    assert next_step("5.7.99") == next_step("5.7.1")
    assert next_step("9.9.9") == next_step("5.0.0")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (CONTENT + b"x" * 998 + b"\r\n", "message/rfc822"),
        (CONTENT + b"x" * 999 + b"\r\n", "text/rfc822-headers"),
        (CONTENT + b"x" * 999, "text/rfc822-headers"),
        (b"X-Long: " + b"y" * 5000 + b"\r\n" + CONTENT, "text/rfc822-headers"),
        (b"X-Long: " + "\u00fc".encode() * 3000 + b"\r\n" + CONTENT, "message/global-headers"),
    ],
    ids=["998", "999", "999 without an end", "field", "field of UTF-8"],
)
def test_lines_that_mail_cannot_have_are_not_returned(content: bytes, kind: str) -> None:
    """RFC 5322 s2.1.1, RFC 6522: whatever came in, what we write is legal and can be read back."""
    original = parts(mail("b@example.com", content=content, ret="FULL"), REFUSED)[1][2]
    assert original.get_content_type() == kind
    if kind != "message/rfc822":
        octets = original.get_payload(decode=True) if not original.is_multipart() else b""
        head = content.partition(b"\r\n\r\n")[0]
        assert not octets or octets.replace(b"\r\n", b"\n").strip() == head.replace(b"\r\n", b"\n").strip()


@pytest.mark.parametrize("letter", ["x", "\u00e4", "\U0001f600"])
def test_long_addresses_and_replies_stay_on_legal_lines(letter: str) -> None:
    """RFC 5322 s2.1.1: SMTP takes longer paths than a line of mail; the reply is cut before."""
    address = letter * ((limits.PATH_LEN - 60) // len(letter.encode())) + "@example.com"
    recipient = Recipient(address, orcpt="rfc822;" + "y" * 900 + "@example.com")
    message = mail(recipient, content=CONTENT, envid="z" * 900, smtputf8=True)
    parts(message, "550 5.1.1 " + letter * 990)  # looks at all lines
    made = bounce(message, "550 5.1.1 " + letter * 990)
    assert made is not None
    unfolded = made[1].decode().replace("\r\n\t", "")
    kind = "rfc822" if letter.isascii() else "utf-8"
    assert f"Final-Recipient:{kind};{address}\r\nAction: failed\r\nStatus: 5.1.1\r\n" in unfolded.replace(
        "Recipient: ", "Recipient:"
    ).replace(f"{kind}; ", f"{kind};")
    assert "y" * 900 + "@example.com" in unfolded and "z" * 900 in unfolded
