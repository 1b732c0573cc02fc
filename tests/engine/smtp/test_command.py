"""Arguments of commands (RFC 5321 s4.1.1, 1870, 3030, 3461, 6152, 6531)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.limits import HARD_MESSAGE_LEN
from engine.queue.record import Recipient
from engine.replies import Reply
from engine.smtp.command import Mail, Refused, is_text, parse_bdat, parse_helo, parse_mail, parse_rcpt

PATH = "FROM:<a@c.example>"


def refusal(argument: str, extended: bool = True) -> Reply:
    with pytest.raises(Refused) as refused:
        parse_mail(argument, extended)
    return refused.value.reply


def rcpt_refusal(argument: str, smtputf8: bool = False) -> Reply:
    with pytest.raises(Refused) as refused:
        parse_rcpt(argument, True, smtputf8, "gate.example")
    return refused.value.reply


@pytest.mark.parametrize(
    ("argument", "mail"),
    [
        (PATH, Mail("a@c.example")),
        ("from:  <a@c.example>", Mail("a@c.example")),
        ("FROM:<>", Mail("")),
        (PATH + " SIZE=0", Mail("a@c.example")),
        (PATH + " size=12345  body=8bitmime", Mail("a@c.example", 12345, "8BITMIME")),
        (PATH + " SIZE=99999999999999999999", Mail("a@c.example", 99999999999999999999)),
        (PATH + " RET=hdrs ENVID=QQ+20314159", Mail("a@c.example", ret="HDRS", envid="QQ+20314159")),
        ("FROM:<ż@bücher.example> SMTPUTF8", Mail("ż@bücher.example", smtputf8=True)),
        ("FROM:<@x.example,@y.example:a@c.example>", Mail("a@c.example")),
    ],
)
def test_mail(argument: str, mail: Mail) -> None:
    assert parse_mail(argument, True) == mail


def test_requiretls_is_a_parameter_within_tls_only() -> None:
    """DLV-06, RFC 8689 s2: without a value."""
    assert parse_mail(PATH + " REQUIRETLS", True, secure=True) == Mail("a@c.example", require_tls=True)
    assert refusal(PATH + " REQUIRETLS") is Reply.UNKNOWN_PARAMETER
    with pytest.raises(Refused) as refused:
        parse_mail(PATH + " REQUIRETLS=yes", True, secure=True)
    assert refused.value.reply is Reply.BAD_PARAMETER


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("", Reply.SYNTAX),
        ("TO:<a@c.example>", Reply.SYNTAX),
        ("FROM <a@c.example>", Reply.SYNTAX),
        ("FROM:a@c.example", Reply.BAD_REVERSE_PATH),
        ("FROM:<a@c.example", Reply.BAD_REVERSE_PATH),
        ("FROM:<a>", Reply.BAD_REVERSE_PATH),
        (PATH + "SIZE=1", Reply.SYNTAX),
        (PATH + " =1", Reply.SYNTAX),
        (PATH + " SIZE=1=2", Reply.SYNTAX),
        (PATH + " SIZE", Reply.BAD_PARAMETER),
        (PATH + " SIZE=", Reply.BAD_PARAMETER),
        (PATH + " SIZE=-1", Reply.BAD_PARAMETER),
        (PATH + " SIZE=abc", Reply.BAD_PARAMETER),
        (PATH + " SIZE=１２ SMTPUTF8", Reply.BAD_PARAMETER),
        (PATH + " SIZE=" + "9" * 21, Reply.BAD_PARAMETER),
        (PATH + " SIZE=1 SIZE=2", Reply.BAD_PARAMETER),
        (PATH + " BODY=BINARYMIME", Reply.BAD_PARAMETER),
        (PATH + " BODY", Reply.BAD_PARAMETER),
        (PATH + " SMTPUTF8=YES", Reply.BAD_PARAMETER),
        (PATH + " RET=NONE", Reply.BAD_PARAMETER),
        (PATH + " ENVID=", Reply.BAD_PARAMETER),
        (PATH + " ENVID=a+0D+0Ab", Reply.BAD_PARAMETER),
        (PATH + " ENVID=a+7F", Reply.BAD_PARAMETER),
        (PATH + " ENVID=a+2", Reply.BAD_PARAMETER),
        (PATH + " ENVID=a+2b", Reply.BAD_PARAMETER),
        (PATH + " ENVID=" + "a" * 101, Reply.BAD_PARAMETER),
        (PATH + " FOO=BAR", Reply.UNKNOWN_PARAMETER),
        (PATH + " AUTH=<>", Reply.UNKNOWN_PARAMETER),
        (PATH + " NOTIFY=NEVER", Reply.UNKNOWN_PARAMETER),
        ("FROM:<ż@c.example>", Reply.NEEDS_SMTPUTF8_SENDER),
        ("FROM:<a@bücher.example>", Reply.NEEDS_SMTPUTF8_SENDER),
    ],
)
def test_mail_refused(argument: str, reply: Reply) -> None:
    assert refusal(argument) is reply


def test_parameters_need_ehlo() -> None:
    assert refusal(PATH + " SIZE=1", extended=False) is Reply.UNKNOWN_PARAMETER
    assert parse_mail(PATH, False) == Mail("a@c.example")


@pytest.mark.parametrize(
    ("argument", "recipient"),
    [
        ("TO:<b@local.example>", Recipient("b@local.example")),
        ("to: <b@local.example>", Recipient("b@local.example")),
        ("TO:<b@local.example> notify=Never", Recipient("b@local.example", "NEVER")),
        ("TO:<b@local.example> NOTIFY=SUCCESS,delay,FAILURE", Recipient("b@local.example", "SUCCESS,DELAY,FAILURE")),
        ("TO:<b@local.example> ORCPT=rfc822;b+2Bx@y", Recipient("b@local.example", "", "rfc822;b+2Bx@y")),
        ("TO:<postMaster>", Recipient("postMaster@gate.example")),
    ],
)
def test_rcpt(argument: str, recipient: Recipient) -> None:
    assert parse_rcpt(argument, True, False, "gate.example") == recipient


def test_utf8_original_recipient() -> None:
    argument = "TO:<ż@local.example> ORCPT=utf-8;ż@local.example"
    assert parse_rcpt(argument, True, True, "gate.example").orcpt == "utf-8;ż@local.example"
    assert rcpt_refusal(argument, smtputf8=False) is Reply.BAD_PARAMETER


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("", Reply.SYNTAX),
        ("TO:<>", Reply.BAD_FORWARD_PATH),
        ("TO:b@local.example", Reply.BAD_FORWARD_PATH),
        ("TO:<far.example!victim>", Reply.BAD_FORWARD_PATH),
        ("TO:<b@local.example> NOTIFY=", Reply.BAD_PARAMETER),
        ("TO:<b@local.example> NOTIFY=NEVER,DELAY", Reply.BAD_PARAMETER),
        ("TO:<b@local.example> NOTIFY=DELAY,DELAY", Reply.BAD_PARAMETER),
        ("TO:<b@local.example> NOTIFY=MAYBE", Reply.BAD_PARAMETER),
        ("TO:<b@local.example> ORCPT=b@local.example", Reply.BAD_PARAMETER),
        ("TO:<b@local.example> ORCPT=rfc822;", Reply.BAD_PARAMETER),
        ("TO:<b@local.example> ORCPT=rfc822;a+0Ab", Reply.BAD_PARAMETER),
        ("TO:<b@local.example> ORCPT=;b", Reply.BAD_PARAMETER),
        ("TO:<b@local.example> ORCPT=rfc822;" + "b" * 500, Reply.BAD_PARAMETER),
        ("TO:<b@local.example> SIZE=1", Reply.UNKNOWN_PARAMETER),
        ("TO:<ż@local.example>", Reply.NEEDS_SMTPUTF8_RECIPIENT),
    ],
)
def test_rcpt_refused(argument: str, reply: Reply) -> None:
    assert rcpt_refusal(argument) is reply


@pytest.mark.parametrize(
    ("argument", "chunk"), [("0", (0, False)), ("14", (14, False)), ("6 last", (6, True)), ("006 LAST", (6, True))]
)
def test_bdat(argument: str, chunk: tuple[int, bool]) -> None:
    assert parse_bdat(argument) == chunk


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("", Reply.BAD_CHUNK_SIZE),
        ("-1", Reply.BAD_CHUNK_SIZE),
        ("x LAST", Reply.BAD_CHUNK_SIZE),
        ("1 FIRST", Reply.BAD_CHUNK_SIZE),
        ("1  LAST", Reply.BAD_CHUNK_SIZE),
        ("99999999999999999999 LAST", Reply.TOO_BIG),
        (str(HARD_MESSAGE_LEN + 1), Reply.TOO_BIG),
    ],
)
def test_bdat_refused(argument: str, reply: Reply) -> None:
    with pytest.raises(Refused) as refused:
        parse_bdat(argument)
    assert refused.value.reply is reply
    assert refused.value.closes


@pytest.mark.parametrize("name", ["c.example", "[192.0.2.1]", "[IPv6:2001:db8::1]", "WIN_PC", "localhost"])
def test_helo(name: str) -> None:
    assert parse_helo(name) == name


@pytest.mark.parametrize(
    "name", ["", "a b", "a(b", "a\rb", "a\nb", "a\n", "a\0", "a\x1b[2J", "ü.example", "a" * 256, "a;b", '"a"']
)
def test_helo_refused(name: str) -> None:
    with pytest.raises(Refused):
        parse_helo(name)


def test_text() -> None:
    assert is_text("MAIL FROM:<żółć@bücher.example>")
    assert is_text("نامه\u200cای")
    for character in "\0\t\n\r\x1b\x7f\x85\u2028\u202e\ufeff":
        assert not is_text(f"a{character}b")


@given(st.text(max_size=80))
def test_nothing_but_refused_is_raised(text: str) -> None:
    for read in (
        parse_bdat,
        parse_helo,
        lambda argument: parse_mail("FROM:" + argument, True),
        lambda argument: parse_rcpt("TO:" + argument, True, True, "gate.example"),
        lambda argument: parse_mail(PATH + " " + argument, True),
        lambda argument: parse_rcpt("TO:<b@local.example> " + argument, True, False, "gate.example"),
    ):
        with contextlib.suppress(Refused):
            read(text)
