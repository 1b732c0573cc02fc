"""What is done to SMTP servers: smuggling, injection, probing, exhaustion. Each class has cases; none gets through."""

import itertools

import pytest

from engine.config import Relay
from engine.limits import FRUITFUL_CHUNK_LEN, FRUITLESS_COMMANDS, PROTOCOL_ERRORS
from engine.relay_rule import Decision, RelayRule, Source
from engine.smtp import session
from engine.smtp.address import domain_of
from engine.smtp.dialogue import TURN_LEN
from engine.smtp.gate import ACCEPTED, Answer
from tests.engine.smtp.harness import DENIED, ENVELOPE, HELLO, Outcome, each_octet, settings, talk, talk_in_turn

OUTER = b"Subject: outer\r\n\r\nfirst"
INNER = b"MAIL FROM:<ceo@local.example>\r\nRCPT TO:<b@local.example>\r\nDATA\r\nSubject: inner\r\n\r\nsecond\r\n.\r\n"
TO_DATA = (HELLO, ENVELOPE, b"DATA\r\n")

LINE_ENDS = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\r\0\n", b"\0\r\n", b"\r\n\0", b"\n\r", b"\v", b"\xe2\x80\xa8")
TRUE_END = b"\r\n.\r\n"
PAIRS = itertools.product(LINE_ENDS, LINE_ENDS)
FALSE_ENDS = [before + b"." + after for before, after in PAIRS if TRUE_END not in before + b"." + after]


def test_there_are_false_ends() -> None:
    assert len(FALSE_ENDS) > 90


@pytest.mark.parametrize("end", FALSE_ENDS, ids=repr)
def test_smuggling_one_end_of_data_for_all(end: bytes) -> None:
    """Whatever looks like an end of data to somebody else is content or the reason of a refusal, never an end."""
    outcome = talk_in_turn(*TO_DATA, OUTER + end + INNER, b"QUIT\r\n")
    assert outcome.codes[:4] == [250, 250, 250, 354]
    assert outcome.codes[4:] in ([250, 221], [550, 221])
    assert len(outcome.messages) == (1 if outcome.codes[4] == 250 else 0)
    for received, content in outcome.messages:
        assert received.reverse_path == "a@c.example"
        assert b"Subject: inner" in content
        assert b"\r" not in content.replace(b"\r\n", b"") and b"\n" not in content.replace(b"\r\n", b"")


def test_smuggling_in_chunks_where_dots_end_nothing() -> None:
    content = OUTER + b"\r\n.\r\n" + INNER
    outcome = talk_in_turn(HELLO, ENVELOPE, b"BDAT %d LAST\r\n" % len(content) + content, b"QUIT\r\n")
    assert outcome.codes == [250, 250, 250, 250, 221]
    assert outcome.messages[0][1] == content


@pytest.mark.parametrize(
    ("wire", "content"),
    [
        (b".\r\n", b""),
        (b"Subject: x\r\n\r\n.\r\n", b"Subject: x\r\n\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"x\r\n..a\r\n...b\r\n.c\r\n.\r\n", b"x\r\n.a\r\n..b\r\nc\r\n"),
        (b"x\r\n. \r\n.\r\n", b"x\r\n \r\n"),
    ],
)
def test_the_end_of_data_and_stuffed_dots(wire: bytes, content: bytes) -> None:
    outcome = talk_in_turn(*TO_DATA, wire)
    assert [data for _, data in outcome.messages] == [content]


def test_the_end_is_not_seen_before_its_last_octet() -> None:
    segments = [b"x\r", b"\n", b".", b"\r", b"\n"]
    for count in range(len(segments)):
        assert not talk(*TO_DATA, *segments[:count]).messages
    assert talk(*TO_DATA, *segments).messages[0][1] == b"x\r\n"


def test_half_a_message_is_none() -> None:
    outcome = talk(*TO_DATA, b"Subject: x\r\n\r\nhalf a mess")
    assert outcome.codes == [250, 250, 250, 354] and not outcome.messages


def test_long_text_lines_pass_whole() -> None:
    line = b"A" * 100_000 + b"\r\n"
    assert talk(*TO_DATA, line + b".\r\n").messages[0][1] == line


@pytest.mark.parametrize("verb", [b"MAIL FROM:<%s@c.example>", b"RCPT TO:<%s@x>", b"EHLO %s", b"%s", b"HELP %s"])
def test_overlong_commands(verb: bytes) -> None:
    outcome = talk_in_turn(verb % (b"a" * 5000) + b"\r\n", b"NOOP\r\n")
    assert outcome.codes == [500, 250]


@pytest.mark.parametrize(
    "hello",
    [
        b"EHLO c.example\nX-Injected: 1\r\n",
        b"EHLO c.example\rX-Injected: 1\r\n",
        b"EHLO c.example\r\r\n",
        b"EHLO c.example\0\r\n",
        b"EHLO c\x1b[31m\r\n",
        b"EHLO c\xe2\x80\xa8X-Injected:1\r\n",
        b"EHLO c\xc2\x85X-Injected:1\r\n",
        b"HELO (c)\r\n",
    ],
)
def test_nothing_is_injected_by_the_greeting(hello: bytes) -> None:
    outcome = talk_in_turn(hello, ENVELOPE + b"DATA\r\n")
    assert all(code in (500, 501, 503) for code in outcome.codes)


@pytest.mark.parametrize(
    "path",
    [
        b"<a@c.example\r\nX-Injected: 1>",
        b"<a\rb@c.example>",
        b'<"a\nb"@c.example>',
        b'<"a\0b"@c.example>',
        b"<a@c.example> ENVID=x+0D+0AX-Injected:1",
        b"<a@c.example>\tSIZE=1",
    ],
)
def test_nothing_is_injected_by_the_envelope(path: bytes) -> None:
    outcome = talk_in_turn(HELLO, b"MAIL FROM:" + path + b"\r\n")
    assert all(code >= 500 for code in outcome.codes[1:])


def test_injection_in_pipelined_content_before_the_replies() -> None:
    """A refused recipient must not turn content into a transaction: the session ends after too many errors."""
    content = b"Subject: x\r\n" * PROTOCOL_ERRORS + INNER
    group = b"MAIL FROM:<a@c.example>\r\nRCPT TO:<nobody@nowhere.invalid>\r\nDATA\r\n" + content
    outcome = talk(HELLO, group)
    assert outcome.codes == [250, 250, 550, 554, *[500] * PROTOCOL_ERRORS, 421]
    assert outcome.closed and not outcome.messages


@pytest.mark.parametrize("verb", [b"GET", b"POST", b"PUT", b"HEAD", b"CONNECT", b"OPTIONS"])
def test_http_requests_carry_no_commands(verb: bytes) -> None:
    request = verb + b" / HTTP/1.1\r\nHost: mail\r\nContent-Length: 90\r\n\r\n" + HELLO + ENVELOPE + b"DATA\r\n"
    for outcome in (talk(request), talk(*each_octet(request))):
        assert outcome.codes == [554] and outcome.closed


@pytest.mark.parametrize("inject", [b"MAIL FROM:<evil@c.example>\r\n", b"RSET\r\n", b"\r\n", b"x"])
def test_plaintext_behind_starttls(inject: bytes) -> None:
    outcome = talk(HELLO, b"STARTTLS\r\n" + inject, HELLO, tls_offered=True)
    assert outcome.codes == [250, 554] and outcome.closed


@pytest.mark.parametrize(
    "command",
    [b"XCLIENT ADDR=10.0.0.1 NAME=x", b"XFORWARD ADDR=10.0.0.1", b"PROXY TCP4 10.0.0.1 10.0.0.2 1 25", b"XEXCH50 1 2"],
)
def test_nobody_can_say_who_they_are(command: bytes) -> None:
    outcome = talk_in_turn(HELLO, command + b"\r\n", ENVELOPE + b"DATA\r\n", b".\r\n")
    assert outcome.codes == [250, 500, 250, 250, 354, 250]
    assert outcome.messages[0][0].client == "192.0.2.1"
    assert not any(line[4:].startswith("X") for line in outcome.replies)


def test_users_cannot_be_probed() -> None:
    answers = {talk(b"VRFY %s\r\n" % user).replies[0] for user in (b"root", b"nobody", b"a@local.example")}
    assert len(answers) == 1
    assert talk(b"EXPN staff\r\n").codes == [502]


@pytest.mark.parametrize("line", [b"AUTH PLAIN", b"AUTH PLAIN !!!!", b"AUTH FOO", b"AUTH LOGIN dXNlcg=="])
def test_auth_is_not_offered(line: bytes) -> None:
    outcome = talk_in_turn(HELLO, line + b"\r\n*\r\n")
    assert outcome.codes == [250, 502, 500]
    assert not any("AUTH" in reply for reply in outcome.replies)


def relayed(path: bytes) -> Outcome:
    """RCPT through a rule that knows local.example only."""
    rule = RelayRule(Relay(), lambda domain: domain == "local.example")

    def decide(forward_path: str) -> Answer:
        decision = rule.decide(Source("192.0.2.1"), domain_of(forward_path)).decision
        return ACCEPTED if decision is Decision.ALLOWED else DENIED

    return talk(HELLO, b"MAIL FROM:<a@c.example>\r\nRCPT TO:" + path + b"\r\n", decide=decide)


@pytest.mark.parametrize(
    "path",
    [
        b"<victim@far.example>",
        b"<@local.example:victim@far.example>",
        b"<victim@FAR.example>",
        b"<victim@[192.0.2.7]>",
        b'<"victim@local.example"@far.example>',
        b"<victim@local.example.far.example>",
        b"<victim@far-local.example>",
    ],
)
def test_relay_tricks_are_refused(path: bytes) -> None:
    assert relayed(path).codes[-1] == 550


@pytest.mark.parametrize(
    "path", [b"<far.example!victim>", b"<victim>", b"<victim@local.example@far.example>", b"<@local.example>"]
)
def test_relay_tricks_that_are_no_paths(path: bytes) -> None:
    assert relayed(path).codes[-1] == 501


@pytest.mark.parametrize("path", [b"<victim%far.example@local.example>", b'<"victim@far.example"@local.example>'])
def test_local_parts_are_not_unfolded(path: bytes) -> None:
    """RELAY-13: they stay what they are, at the local destination."""
    assert relayed(path).codes[-1] == 250


def test_null_reverse_path_with_many_recipients() -> None:
    outcome = talk(HELLO, b"MAIL FROM:<>\r\nRCPT TO:<b1@local.example>\r\nRCPT TO:<b2@local.example>\r\n")
    assert outcome.codes == [250, 250, 250, 250]


@pytest.mark.parametrize("size", [b"999999999999", b"9" * 20, b"2147483648", b"18446744073709551616"])
def test_size_does_not_overflow(size: bytes) -> None:
    assert talk(HELLO, b"MAIL FROM:<a@c.example> SIZE=" + size + b"\r\n").codes[-1] == 552


def test_endless_recipients_commands_and_errors_are_bounded() -> None:
    rcpts = b"".join(b"RCPT TO:<b%d@local.example>\r\n" % number for number in range(1500))
    outcome = talk(HELLO, b"MAIL FROM:<a@c.example>\r\n" + rcpts)
    assert outcome.codes.count(452) == 500
    assert talk(b"\r\n" * 1000).codes == [500] * PROTOCOL_ERRORS + [421]


@pytest.mark.parametrize(
    "line",
    [
        b"RCPT TO:<b@local.example>\r\n",
        b"RCPT TO:<b@far.example>\r\n",
        b"BDAT 0\r\n",
    ],
)
def test_whatever_is_said_without_end(line: bytes) -> None:
    """SMTP-14: refusals and empty chunks, FRUITLESS_COMMANDS of them."""
    begun = len((HELLO + ENVELOPE).splitlines())
    assert not talk(HELLO, ENVELOPE, line * (FRUITLESS_COMMANDS - begun - 1)).closed
    outcome = talk(HELLO, ENVELOPE, line * FRUITLESS_COMMANDS)
    assert outcome.closed and outcome.codes[-1] == 421
    assert len(outcome.codes) == FRUITLESS_COMMANDS + 1


@pytest.mark.parametrize(("length", "closed"), [(FRUITFUL_CHUNK_LEN, False), (FRUITFUL_CHUNK_LEN - 1, True)])
def test_a_message_may_come_in_many_chunks(length: int, closed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """SMTP-17: as many as there are, if they are worth a command."""
    monkeypatch.setattr(session, "FRUITLESS_COMMANDS", 2 * TURN_LEN)
    chunk = b"BDAT %d\r\n" % length + b"a" * length
    outcome = talk(HELLO, ENVELOPE, chunk * (5 * TURN_LEN), b"BDAT 0 LAST\r\n", settings_=settings(max_recipients=1))
    assert (outcome.closed, bool(outcome.messages)) == (closed, not closed)


def test_messages_make_up_for_what_was_said() -> None:
    many = b"RCPT TO:<b@local.example>\r\n" * (FRUITLESS_COMMANDS - TURN_LEN)
    outcome = talk(HELLO, *([ENVELOPE + many + b"DATA\r\n", b"\r\n.\r\n"] * 3))
    assert len(outcome.messages) == 3 and not outcome.closed
