"""The session without I/O: dialogues whole, cut and octet by octet, with what follows (SMTP-13..18)."""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from engine.limits import COMMAND_LINE_LEN, MIB, PROTOCOL_ERRORS
from engine.queue.record import Received, Recipient
from engine.replies import Reason, Reply
from engine.smtp.dialogue import TURN_LEN
from engine.smtp.effect import Effect
from engine.smtp.gate import ACCEPTED, Answer
from tests.engine.smtp.harness import ENVELOPE, HELLO, REFUSED, Driver, Outcome, settings, talk, talk_in_turn

MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


def data(content: bytes = MESSAGE) -> tuple[bytes, ...]:
    return ENVELOPE + b"DATA\r\n", content + b".\r\n"


def only_message(outcome: Outcome) -> tuple[Received, bytes]:
    (message,) = outcome.messages
    return message


# --- hello ----------------------------------------------------------------------------------------


def test_ehlo_announces_what_smtp_17_says() -> None:
    outcome = talk_in_turn(HELLO)
    assert outcome.replies[0] == "250-gate.example"
    assert {line[4:].split()[0] for line in outcome.replies[1:]} == {
        "SIZE",
        "PIPELINING",
        "8BITMIME",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
        "CHUNKING",
        "DSN",
        "LIMITS",
    }


def test_starttls_is_announced_only_with_a_certificate_and_not_twice() -> None:
    offered = talk(HELLO, b"STARTTLS\r\n", HELLO, tls_offered=True)
    assert offered.replies.count("250 STARTTLS") == 1
    assert offered.codes == [250, 220, 250]
    assert talk(HELLO, b"STARTTLS\r\n").codes == [250, 502]


def test_requiretls_is_announced_within_tls_and_kept() -> None:
    """DLV-06, RFC 8689 s2."""
    parameter = b"MAIL FROM:<a@c.example>"
    required = [one.replace(parameter, parameter + b" REQUIRETLS") for one in data()]
    outcome = talk(HELLO, b"STARTTLS\r\n", HELLO, *required, tls_offered=True)
    assert sum("REQUIRETLS" in line for line in outcome.replies) == 1
    assert only_message(outcome)[0].require_tls
    assert not only_message(talk(HELLO, *data()))[0].require_tls


def test_size_04_announces_the_limit() -> None:
    outcome = talk(HELLO, settings_=settings(max_mb=3))
    assert f"250-SIZE {3 * MIB}" in outcome.replies


def test_helo_is_answered_in_one_line() -> None:
    assert talk_in_turn(b"helo c.example\r\n").replies == ["250 gate.example"]


@pytest.mark.parametrize("line", [b"EHLO\r\n", b"HELO \r\n", b"EHLO a b\r\n", b"EHLO a(b\r\n", b"EHLO \xc3\xbc\r\n"])
def test_bad_hello_is_no_hello(line: bytes) -> None:
    outcome = talk_in_turn(line, b"MAIL FROM:<a@c.example>\r\n")
    assert outcome.codes[0] in (500, 501)
    assert outcome.codes[1] == 503


# --- messages -------------------------------------------------------------------------------------


def test_a_message() -> None:
    outcome = talk_in_turn(HELLO, *data(), b"QUIT\r\n")
    assert outcome.codes == [250, 250, 250, 354, 250, 221]
    assert outcome.closed and not outcome.violations
    received, content = only_message(outcome)
    assert content == MESSAGE
    assert received == Received(
        id="ID1",
        time_ns=1,
        connection_id="connection1",
        client="192.0.2.1",
        client_port=4242,
        helo="c.example",
        protocol="ESMTP",
        tls="",
        reverse_path="a@c.example",
        recipients=(Recipient("b@local.example"),),
    )


def test_many_messages_on_one_connection_with_input_behind_each_end() -> None:
    first, second = data(), data(b"second\r\n")
    outcome = talk(HELLO, first[0], first[1] + second[0], second[1] + b"RSET\r\nNOOP\r\nQUIT\r\n")
    assert outcome.codes == [250, 250, 250, 354, 250, 250, 250, 354, 250, 250, 250, 221]
    assert [content for _, content in outcome.messages] == [MESSAGE, b"second\r\n"]
    assert not outcome.violations


def test_envelope_parameters_are_kept() -> None:
    outcome = talk_in_turn(
        HELLO,
        b"MAIL FROM:<a@c.example> SIZE=20 BODY=7BIT RET=HDRS ENVID=Q1 SMTPUTF8\r\n",
        b"RCPT TO:<\xc5\xbc@local.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;z@x\r\n",
        b"RCPT TO:<b@local.example> NOTIFY=NEVER\r\n",
        b"DATA\r\n",
        b".\r\n",
    )
    received, content = only_message(outcome)
    assert (received.body, received.smtputf8, received.ret, received.envid) == ("7BIT", True, "HDRS", "Q1")
    assert received.recipients == (
        Recipient("ż@local.example", "SUCCESS,FAILURE", "rfc822;z@x"),
        Recipient("b@local.example", "NEVER"),
    )
    assert received.protocol == "UTF8SMTP"
    assert content == b""


def test_protocol_words() -> None:
    assert only_message(talk(b"HELO c\r\n", *data()))[0].protocol == "SMTP"
    after_tls = only_message(talk(HELLO, b"STARTTLS\r\n", HELLO, *data(), tls_offered=True))[0]
    assert (after_tls.protocol, after_tls.tls) == ("ESMTPS", "TLSv1.3 TEST")


def test_starttls_forgets_everything() -> None:
    outcome = talk(HELLO, ENVELOPE, b"STARTTLS\r\n", b"RCPT TO:<b@local.example>\r\n", tls_offered=True)
    assert outcome.codes == [250, 250, 250, 220, 503]


def test_null_reverse_path_and_postmaster() -> None:
    received, _ = only_message(talk(HELLO, b"MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nDATA\r\n", b".\r\n"))
    assert received.reverse_path == ""
    assert received.recipients == (Recipient("Postmaster@gate.example"),)


def test_an_address_in_the_place_of_another() -> None:
    """What was asked for with the recipient stays (RFC 3461)."""
    outcome = talk(
        HELLO,
        b"MAIL FROM:<>\r\nRCPT TO:<Postmaster> NOTIFY=NEVER\r\nRCPT TO:<admin@far.example>\r\nDATA\r\n",
        b".\r\n",
        decide=lambda path: Answer(instead="admin@far.example") if path == "Postmaster@gate.example" else ACCEPTED,
    )
    assert outcome.codes == [250, 250, 250, 250, 354, 250]
    assert only_message(outcome)[0].recipients == (Recipient("admin@far.example", "NEVER"),)


def test_relay_11_each_recipient_is_judged_on_its_own() -> None:
    outcome = talk(
        HELLO,
        b"MAIL FROM:<a@c.example>\r\nRCPT TO:<%s>\r\nRCPT TO:<b@local.example>\r\nDATA\r\n" % REFUSED.encode(),
        b".\r\n",
    )
    assert outcome.codes == [250, 250, 550, 250, 354, 250]
    assert only_message(outcome)[0].recipients == (Recipient("b@local.example"),)
    (rejection,) = outcome.rejections
    assert rejection == (Reason.RELAY, "a@c.example", REFUSED)
    assert not outcome.violations


def test_same_recipient_twice_is_one() -> None:
    outcome = talk(HELLO, ENVELOPE + b"RCPT TO:<b@local.example>\r\nDATA\r\n", b".\r\n")
    assert outcome.codes == [250, 250, 250, 250, 354, 250]
    assert len(only_message(outcome)[0].recipients) == 1


def test_smtp_18_too_many_recipients() -> None:
    rcpts = b"".join(b"RCPT TO:<b%d@local.example>\r\n" % number for number in range(4))
    outcome = talk(
        HELLO, b"MAIL FROM:<a@c.example>\r\n" + rcpts + b"DATA\r\n", b".\r\n", settings_=settings(max_recipients=3)
    )
    assert outcome.codes == [250, 250, 250, 250, 250, 452, 354, 250]
    assert [rejection.reason for rejection in outcome.rejections] == [Reason.RECIPIENTS]
    assert len(only_message(outcome)[0].recipients) == 3


def test_smtp_18_hops() -> None:
    def with_hops(count: int) -> Outcome:
        return talk_in_turn(HELLO, *data(b"Received: x\r\n" * count + MESSAGE), settings_=settings(max_hops=5))

    assert with_hops(5).codes[-1] == 250
    refused = with_hops(6)
    assert refused.replies[-1].startswith("554 5.4.6 ")
    assert not refused.messages
    assert [rejection.reason for rejection in refused.rejections] == [Reason.HOPS]


def test_size_04_declared_size() -> None:
    def declared(size: int) -> Outcome:
        return talk(HELLO, b"MAIL FROM:<a@c.example> SIZE=%d\r\n" % size, settings_=settings(max_mb=1))

    assert declared(MIB).codes[-1] == 250
    assert declared(MIB + 1).replies[-1].startswith("552 5.3.4 ")
    (rejection,) = declared(10**19).rejections
    assert rejection == (Reason.SIZE, "a@c.example", "")


def test_size_04_undeclared_size_is_read_to_the_end_and_not_kept() -> None:
    line = b"x" * 998 + b"\r\n"
    exact = line * (MIB // 1000) + b"y" * (MIB % 1000 - 2) + b"\r\n"
    assert talk(HELLO, *data(exact), settings_=settings(max_mb=1)).codes[-1] == 250
    driver = Driver(settings(max_mb=1))
    driver.feed(HELLO)
    driver.feed(ENVELOPE + b"DATA\r\n")
    driver.feed(exact)
    driver.feed(b"z\r\n")
    assert driver.trace[-1] is Effect.ABORT
    driver.feed(exact)
    driver.feed(b".\r\nNOOP\r\n")
    assert driver.outcome.replies[-2].startswith("552 5.3.4 ")
    assert driver.outcome.codes[-1] == 250
    assert not driver.outcome.messages


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"Subject: x\ny\r\n\r\nbody\r\n", Reason.LINE_ENDS),
        (b"Subject: x\r\n\r\nbo\rdy\r\n", Reason.LINE_ENDS),
        (b"Subject: x\r\n\r\nbo\ndy\r\n", Reason.LINE_ENDS),
        (b"Subject: x\r\n\r\nbo\0dy\r\n", Reason.NUL),
        (b"\0\r\n", Reason.NUL),
    ],
)
def test_smtp_15_and_16_after_the_true_end(content: bytes, reason: Reason) -> None:
    outcome = talk_in_turn(HELLO, *data(content), b"NOOP\r\n")
    assert outcome.replies[-2].startswith("550 5.6.0 ")
    assert outcome.codes[-1] == 250
    assert not outcome.messages
    assert [rejection.reason for rejection in outcome.rejections] == [reason]


def test_the_next_message_after_a_refused_one() -> None:
    outcome = talk_in_turn(HELLO, *data(b"a\nb\r\n"), *data())
    assert outcome.codes == [250, 250, 250, 354, 550, 250, 250, 354, 250]
    assert only_message(outcome)[1] == MESSAGE


# --- BDAT (RFC 3030) ------------------------------------------------------------------------------


def test_bdat() -> None:
    outcome = talk_in_turn(HELLO, ENVELOPE, b"BDAT 14\r\nSubject: x\r\n\r\nBDAT 6 LAST\r\nbody\r\nNOOP\r\n")
    assert outcome.codes == [250, 250, 250, 250, 250, 250]
    assert "14 octets" in outcome.replies[-3]
    assert only_message(outcome)[1] == b"Subject: x\r\n\r\nbody\r\n"


def test_bdat_takes_dots_as_they_are_and_may_be_empty() -> None:
    outcome = talk_in_turn(HELLO, ENVELOPE, b"BDAT 0\r\nBDAT 7\r\n.\r\n..\r\nBDAT 0 LAST\r\n")
    assert outcome.codes[-3:] == [250, 250, 250]
    assert only_message(outcome)[1] == b".\r\n..\r\n"


def test_bdat_content_is_never_a_command() -> None:
    outcome = talk_in_turn(HELLO, b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
    assert outcome.codes == [250, 503, 250]
    assert not outcome.closed


@pytest.mark.parametrize(
    ("chunks", "codes"),
    [
        (b"BDAT 4\r\na\nb\nBDAT 3 LAST\r\nc\r\nNOOP\r\n", [550, 503, 250]),
        (b"BDAT 2\r\na\rBDAT 3 LAST\r\n\nc\rNOOP\r\n", [250, 550, 250]),
        (b"BDAT 3 LAST\r\na\0bNOOP\r\n", [550, 250]),
    ],
)
def test_bdat_with_bad_octets(chunks: bytes, codes: list[int]) -> None:
    outcome = talk_in_turn(HELLO, ENVELOPE, chunks)
    assert outcome.codes[3:] == codes
    assert not outcome.messages and not outcome.violations


def test_bdat_too_big() -> None:
    chunk = b"BDAT %d\r\n" % (600 * 1024) + b"x" * (600 * 1024)
    outcome = talk(HELLO, ENVELOPE, chunk, chunk, b"BDAT 0 LAST\r\n", settings_=settings(max_mb=1))
    assert outcome.codes[3:] == [250, 552, 503]
    assert not outcome.messages and not outcome.violations


@pytest.mark.parametrize("argument", [b"99999999999999999999 LAST", b"-1", b"", b"2 MORE"])
def test_bdat_that_cannot_be_followed_closes(argument: bytes) -> None:
    outcome = talk_in_turn(HELLO, ENVELOPE, b"BDAT %s\r\nNOOP\r\n" % argument)
    assert outcome.codes[3:] in ([501], [552])
    assert outcome.closed


@pytest.mark.parametrize("command", [b"DATA\r\n", b"RCPT TO:<c@local.example>\r\n", b"MAIL FROM:<>\r\n"])
def test_what_may_not_follow_a_chunk(command: bytes) -> None:
    outcome = talk_in_turn(HELLO, ENVELOPE, b"BDAT 3\r\na\r\n", command, b"BDAT 0 LAST\r\n")
    assert outcome.codes[3:] == [250, 503, 250]
    assert only_message(outcome)[1] == b"a\r\n"


@pytest.mark.parametrize("command", [b"RSET\r\n", HELLO])
def test_rset_and_ehlo_end_a_chunked_message(command: bytes) -> None:
    driver = Driver()
    for group in (HELLO, ENVELOPE, b"BDAT 3\r\na\r\n", command, b"BDAT 0 LAST\r\n"):
        driver.feed(group)
    assert Effect.ABORT in driver.trace
    assert driver.outcome.codes[-1] == 503
    assert not driver.outcome.messages


# --- order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "code"),
    [
        ([b"MAIL FROM:<a@c.example>\r\n"], 503),
        ([HELLO, b"RCPT TO:<b@local.example>\r\n"], 503),
        ([HELLO, b"DATA\r\n"], 503),
        ([HELLO, b"MAIL FROM:<a@c.example>\r\nDATA\r\n"], 503),
        ([HELLO, b"MAIL FROM:<a@c.example>\r\nMAIL FROM:<a@c.example>\r\n"], 503),
        ([HELLO, ENVELOPE, HELLO, b"DATA\r\n"], 503),
        ([HELLO, ENVELOPE + b"RSET\r\nDATA\r\n"], 503),
        ([HELLO, b"DATA now\r\n"], 501),
        ([HELLO, b"RSET now\r\n"], 501),
        ([HELLO, b"QUIT now\r\n"], 501),
        ([HELLO, b"VRFY\r\n"], 501),
        ([b"\r\n"], 500),
        ([b"FROP\r\n"], 500),
        ([b"FROP \xf1\r\n"], 500),
        ([b"B52\r\n"], 500),
        ([b"BELL\b\r\n"], 500),
        ([b"NOOP \0\r\n"], 500),
        ([b"NOOP \t\x1b[2J\r\n"], 500),
        ([b"NOOP \xc3\xbc\r\n"], 500),
        ([b"NO\rOP\r\n"], 500),
        ([b"NOOP\r\r\n"], 500),
        ([b"NOOP\n"], 500),
        ([b"XCLIENT ADDR=10.0.0.1\r\n"], 500),
        ([b"PROXY TCP4 10.0.0.1 10.0.0.2 1 25\r\n"], 500),
        ([b"TURN\r\n"], 502),
        ([b"ETRN x\r\n"], 502),
        ([b"EXPN staff\r\n"], 502),
        ([HELLO, b"AUTH PLAIN !!!!\r\n"], 502),
    ],
)
def test_violations_are_answered_and_told(groups: list[bytes], code: int) -> None:
    outcome = talk_in_turn(*groups, b"NOOP\r\n")
    assert outcome.codes[-2:] == [code, 250]
    assert len(outcome.violations) == 1
    assert str(code) in outcome.violations[0]
    assert outcome.violations[0].isprintable()
    assert not outcome.closed


@pytest.mark.parametrize(
    "command", [b"NOOP\r\n", b"noop x y\r\n", b"RSET \t \r\n", b"HELP\r\n", b"HELP MAIL\r\n", b"VRFY root\r\n"]
)
def test_harmless_commands(command: bytes) -> None:
    outcome = talk_in_turn(command)
    assert outcome.codes in ([250], [214], [252])
    assert not outcome.violations


def test_smtp_14_the_tenth_violation_ends_the_session() -> None:
    outcome = talk_in_turn(*[b"junk\r\n"] * 1000)
    assert outcome.codes == [500] * PROTOCOL_ERRORS + [421]
    assert outcome.closed
    assert len(outcome.violations) == PROTOCOL_ERRORS
    assert [rejection.reason for rejection in outcome.rejections] == [Reason.PROTOCOL]


def test_what_was_pipelined_behind_a_refused_mail_is_no_violation() -> None:
    group = b"MAIL FROM:<a@c.example> SIZE=99999999999\r\n" + b"RCPT TO:<b@local.example>\r\n" * 50 + b"DATA\r\n"
    outcome = talk(HELLO, group)
    assert outcome.codes == [250, 552, *[503] * 51]
    assert not outcome.closed and not outcome.violations


def test_no_valid_recipients_is_no_violation() -> None:
    outcome = talk(HELLO, b"MAIL FROM:<a@c.example>\r\nRCPT TO:<%s>\r\nDATA\r\n" % REFUSED.encode())
    assert outcome.codes == [250, 250, 550, 554]
    assert not outcome.violations


# --- pipelining and synchronization (RFC 2920) ----------------------------------------------------


def test_a_group_is_answered_in_order() -> None:
    outcome = talk(HELLO, b"RSET\r\n" + ENVELOPE + b"DATA\r\n")
    assert outcome.codes == [250, 250, 250, 250, 354]
    assert not outcome.violations


@pytest.mark.parametrize("group", [HELLO + b"NOOP\r\n", b"VRFY x\r\nNOOP\r\n", b"HELP\r\nNOOP\r\n"])
def test_input_behind_a_synchronization_point_is_a_violation_and_answered_in_order(group: bytes) -> None:
    outcome = talk(group)
    assert len(outcome.codes) == 2 and outcome.codes[-1] == 250
    assert len(outcome.violations) == 1


def test_content_sent_before_354_ends_the_session() -> None:
    outcome = talk(HELLO, ENVELOPE + b"DATA\r\nSubject: x\r\n\r\nQUIT\r\n.\r\n")
    assert outcome.codes == [250, 250, 250, 554]
    assert outcome.closed and not outcome.messages and len(outcome.violations) == 1


def test_content_sent_before_the_refusal_of_data_is_answered_as_commands() -> None:
    group = b"MAIL FROM:<a@c.example>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: x\r\n\r\nQUIT\r\n.\r\n" % REFUSED.encode()
    outcome = talk(HELLO, group)
    assert outcome.codes == [250, 250, 550, 554, 500, 500, 221]
    assert not outcome.messages


def test_input_behind_starttls_ends_the_session() -> None:
    outcome = talk(HELLO, b"STARTTLS\r\nMAIL FROM:<evil@c.example>\r\n", tls_offered=True)
    assert outcome.codes == [250, 554]
    assert outcome.closed and len(outcome.violations) == 1


def test_starttls_with_an_argument_and_a_second_time() -> None:
    outcome = talk(
        HELLO, b"STARTTLS now\r\n", b"STARTTLS\r\n", b"STARTTLS\r\n", HELLO, b"STARTTLS\r\n", tls_offered=True
    )
    assert outcome.codes == [250, 501, 220, 503, 250, 503]


def test_nothing_runs_behind_quit() -> None:
    outcome = talk(b"QUIT\r\n" + HELLO)
    assert outcome.codes == [221]
    assert outcome.closed and len(outcome.violations) == 1


def test_others_get_a_turn(chatty: None) -> None:
    driver = Driver()
    driver.feed(b"NOOP\r\n" * (3 * TURN_LEN))
    assert driver.trace.count(Effect.TURN) == 3
    assert driver.outcome.codes == [250] * (3 * TURN_LEN)


# --- lines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [COMMAND_LINE_LEN + 1, 10 * COMMAND_LINE_LEN])
def test_line_too_long(length: int) -> None:
    outcome = talk_in_turn(b"NOOP " + b"a" * (length - 7) + b"\r\nNOOP\r\n")
    assert outcome.codes == [500, 250]
    assert "5.5.6" in outcome.replies[0]


def test_longest_line() -> None:
    assert talk_in_turn(b"NOOP " + b"a" * (COMMAND_LINE_LEN - 7) + b"\r\n").codes == [250]


def test_a_line_that_never_ends_takes_no_memory() -> None:
    driver = Driver()
    for _ in range(200):
        driver.feed(b"a" * 65536)
        assert len(driver.session._input.octets) <= COMMAND_LINE_LEN
    driver.feed(b"\r\nNOOP\r\n")
    assert driver.outcome.codes == [500, 250]


def test_bare_lf_is_refused_for_each_line_and_nothing_is_executed() -> None:
    outcome = talk_in_turn(b"EHLO c.example\nMAIL FROM:<a@c.example>\n", b"MAIL FROM:<a@c.example>\r\n")
    assert outcome.codes == [500, 500, 503]


@pytest.mark.parametrize(
    "verb", [b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"get /", b"CONNECT a:25 HTTP/1.0", b"PRI * HTTP/2.0"]
)
def test_http_is_shown_the_door_at_its_first_line(verb: bytes) -> None:
    outcome = talk_in_turn(verb + b"\r\nHost: mail\r\n\r\n" + HELLO)
    assert outcome.codes == [554]
    assert outcome.closed


def test_tls_on_the_plain_port() -> None:
    outcome = talk(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n\n\n")
    assert outcome.codes == [554]
    assert outcome.closed


# --- refusals of ours -----------------------------------------------------------------------------


def test_rej_01_at_the_next_mail() -> None:
    refusal: list[Reply] = []
    driver = Driver(refuse=lambda: refusal[0] if refusal else None)
    driver.feed(HELLO)
    driver.feed(ENVELOPE + b"DATA\r\n")
    refusal.append(Reply.REJECTING)
    driver.feed(b".\r\n")
    assert driver.outcome.codes[-1] == 250
    driver.feed(ENVELOPE)
    assert driver.outcome.replies[-1].startswith("421 4.3.2 ")
    assert driver.outcome.closed
    assert [rejection.reason for rejection in driver.outcome.rejections] == [Reason.REJECTING]


def test_begin_fails() -> None:
    by_data = talk(HELLO, ENVELOPE + b"DATA\r\n", b"NOOP\r\n", begin=Reply.QUEUE_FULL)
    assert by_data.codes == [250, 250, 250, 452, 250]
    by_bdat = talk_in_turn(HELLO, ENVELOPE, b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", begin=Reply.TRY_AGAIN)
    assert by_bdat.codes == [250, 250, 250, 451, 250]


def test_write_fails() -> None:
    outcome = talk_in_turn(HELLO, *data(), b"NOOP\r\n", write=Reply.QUEUE_FULL)
    assert outcome.codes == [250, 250, 250, 354, 452, 250]
    refused = talk_in_turn(HELLO, *data(b"a\nb\r\n"), write=Reply.QUEUE_FULL)
    assert refused.codes[-1] == 550  # that it will not be taken later either is the better answer
    by_bdat = talk_in_turn(HELLO, ENVELOPE, b"BDAT 3\r\na\r\nBDAT 0 LAST\r\n", write=Reply.QUEUE_FULL)
    assert by_bdat.codes[3:] == [452, 503]


def test_commit_fails() -> None:
    outcome = talk_in_turn(HELLO, *data(), *data(), commit=Reply.TRY_AGAIN)
    assert outcome.codes == [250, 250, 250, 354, 451, 250, 250, 354, 451]
    assert not outcome.messages


def test_a_421_for_a_recipient_ends_the_session() -> None:
    outcome = talk(HELLO, ENVELOPE, decide=lambda path: Answer(Reply.SHUTTING_DOWN))
    assert outcome.codes == [250, 250, 421]
    assert outcome.closed


def test_settings_in_force_count() -> None:
    driver = Driver()
    driver.feed(HELLO)
    driver.session.settings = settings(max_mb=1)
    driver.feed(b"MAIL FROM:<a@c.example> SIZE=2000000\r\n")
    assert driver.outcome.codes[-1] == 552


# --- any input ------------------------------------------------------------------------------------

HELLOS = [HELLO, b"HELO c\r\n", b"STARTTLS\r\n", b"QUIT\r\n", b"RSET\r\n", b"NOOP\r\n", b"VRFY x\r\n"]
MAILS = [b"MAIL FROM:<a@c.example>\r\n", b"MAIL FROM:<> SIZE=3\r\n", b"RCPT TO:<b@local.example>\r\n", ENVELOPE]
BODIES = [
    b"DATA\r\n",
    b"BDAT 5\r\n",
    b"BDAT 3 LAST\r\n",
    b"BDAT 0 LAST\r\n",
    b"Received: x\r\n",
    b"text\r\n",
    b"..\r\n",
]
ENDS = [b".\r\n", b".\n", b"\r.\r\n", b"\n.\n", b"\0", b"\r", b"\n", b"a" * 5000, b"\xff", b"\xc3\xbc"]
WORDS = st.sampled_from([*HELLOS, *MAILS, *BODIES, *ENDS])


@hypothesis_settings(max_examples=300, deadline=None)
@given(st.lists(WORDS, max_size=25), st.booleans())
def test_any_dialogue_holds_the_invariants(words: list[bytes], tls: bool) -> None:
    outcome = talk(*words, tls_offered=tls, settings_=settings(max_hops=2))
    for line in outcome.replies:
        assert line.isprintable() and line[:3].isdigit()
    for received, content in outcome.messages:
        assert received.recipients
        assert b"\0" not in content
        assert content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n")
    assert len(outcome.violations) <= PROTOCOL_ERRORS


@hypothesis_settings(max_examples=200, deadline=None)
@given(st.lists(WORDS, max_size=25), st.integers(1, 9))
def test_a_cut_in_the_body_changes_nothing(words: list[bytes], size: int) -> None:
    body = b"".join(words) + b"\r\n.\r\n"
    body = body[: (b"\r\n" + body).index(b"\r\n.\r\n") + 3]  # what comes behind it is another matter
    whole = talk(HELLO, ENVELOPE + b"DATA\r\n", body)
    pieces = (body[i : i + size] for i in range(0, len(body), size))
    cut = talk(HELLO, ENVELOPE + b"DATA\r\n", *pieces)
    assert cut.messages == whole.messages
    assert cut.codes == whole.codes
