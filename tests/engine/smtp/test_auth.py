"""The AUTH exchange and the session of a submission listener, without sockets (RELAY-14, DIAG-12)."""

from base64 import b64encode
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.diagnostics.conversation import Conversation
from engine.limits import AUTH_FAILURES, COMMAND_LINE_LEN, SUBMITTER_NAME_LEN
from engine.passwords import PASSWORD_MAX_LEN
from engine.replies import Reply
from engine.smtp.auth import Credentials, Exchange
from engine.smtp.command import Refused, is_text
from engine.smtp.gate import ClientInfo
from tests.engine.smtp.harness import ENVELOPE, HELLO, Driver, Outcome

ANNA = Credentials("anna", "correct horse")
TLS = (HELLO, b"STARTTLS\r\n", HELLO)


def coded(octets: bytes) -> bytes:
    return b64encode(octets)


PLAIN = b"AUTH PLAIN " + coded(b"\0anna\0correct horse") + b"\r\n"
WRONG = b"AUTH PLAIN " + coded(b"\0anna\0wrong") + b"\r\n"
LOGIN = (b"AUTH LOGIN\r\n", coded(b"anna") + b"\r\n", coded(b"correct horse") + b"\r\n")


def driver() -> Driver:
    return Driver(tls_offered=True, auth=lambda found: None if found == ANNA else Reply.BAD_CREDENTIALS)


def submit(*segments: bytes) -> Outcome:
    one = driver()
    for segment in segments:
        one.feed(segment)
    return one.outcome


def last(*segments: bytes) -> str:
    return submit(*segments).replies[-1]


@pytest.mark.parametrize(
    "login",
    [
        [PLAIN],
        [PLAIN.lower().replace(coded(b"\0anna\0correct horse").lower(), coded(b"\0anna\0correct horse"))],
        [b"AUTH PLAIN " + coded(b"anna\0anna\0correct horse") + b"\r\n"],
        [b"AUTH PLAIN\r\n", coded(b"\0anna\0correct horse") + b"\r\n"],
        LOGIN,
        [b"AUTH LOGIN " + coded(b"anna") + b"\r\n", coded(b"correct horse") + b"\r\n"],
        [octet.to_bytes() for octet in b"".join(LOGIN)],
    ],
)
def test_who_logs_on_may_send(login: Sequence[bytes]) -> None:
    """RELAY-14: RFC 4954, with and without an initial response; RFC 3848 in the trace."""
    outcome = submit(*TLS, *login, ENVELOPE, b"DATA\r\n", b"x\r\n.\r\n")
    assert outcome.replies[-5].startswith("235 2.7.0") and outcome.codes[-5:] == [235, 250, 250, 354, 250]
    ((received, _),) = outcome.messages
    assert (received.submitter, received.protocol) == ("anna", "ESMTPSA") and not outcome.violations


def test_challenges() -> None:
    """RFC 4954 s4 and what programs expect of LOGIN."""
    assert last(*TLS, b"AUTH PLAIN\r\n") == "334 "
    assert submit(*TLS, *LOGIN).replies[-3:-1] == ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"]


def test_auth_is_offered_over_tls_only() -> None:
    """RELAY-14."""
    before, after = submit(HELLO), submit(*TLS)
    assert not any("AUTH" in line for line in before.replies)
    assert after.replies[-1] == "250 AUTH PLAIN LOGIN"


@pytest.mark.parametrize("mail", [b"MAIL FROM:<a@c.example>\r\n", ENVELOPE + b"DATA\r\n"])
@pytest.mark.parametrize("before", [(HELLO,), TLS])
def test_without_auth_there_is_no_mail(before: Sequence[bytes], mail: bytes) -> None:
    """RELAY-14: RFC 6409 s4.3."""
    outcome = submit(*before, mail)
    assert Reply.AUTH_NEEDED.wire.decode().rstrip() in outcome.replies and not outcome.messages
    assert len(outcome.violations) == 1  # what was pipelined behind it is none


@pytest.mark.parametrize(
    ("segments", "reply"),
    [
        ((HELLO, PLAIN), "538 5.7.11"),
        ((PLAIN,), "503 5.5.1"),
        ((HELLO, b"STARTTLS\r\n", PLAIN), "503 5.5.1"),
        ((HELLO, b"STARTTLS\r\n", b"HELO c.example\r\n", PLAIN), "503 5.5.1"),
        ((*TLS, PLAIN, PLAIN), "503 5.5.1"),
        ((*TLS, PLAIN, b"MAIL FROM:<>\r\n", PLAIN), "503 5.5.1"),
        ((*TLS, b"AUTH\r\n"), "501 5.5.4"),
        ((*TLS, b"AUTH CRAM-MD5\r\n"), "504 5.5.4"),
        ((*TLS, b"AUTH PLAIN =\r\n"), "501 5.5.2"),
        ((*TLS, b"AUTH PLAIN !!!!\r\n"), "501 5.5.2"),
        ((*TLS, b"AUTH PLAIN AGFubmE\r\n"), "501 5.5.2"),  # no padding
        ((*TLS, b"AUTH LOGIN YR==\r\n"), "501 5.5.2"),  # bits left over
        ((*TLS, b"AUTH LOGIN =\r\n"), "501 5.5.2"),
        ((*TLS, b"AUTH LOGIN\r\n", b"\r\n"), "501 5.5.2"),
        ((*TLS, b"AUTH LOGIN\r\n", b"YW5uYQ==\n"), "500 5.5.2"),
        ((*TLS, b"AUTH LOGIN\r\n", b"\xff\xff\r\n"), "501 5.5.2"),
        ((*TLS, b"AUTH LOGIN\r\n", coded(b"an\rna") + b"\r\n"), "501 5.5.2"),
        ((*TLS, b"AUTH LOGIN\r\n", coded(b"\xff") + b"\r\n"), "501 5.5.2"),
        ((*TLS, *LOGIN[:2], b"\r\n"), "501 5.5.2"),
        ((*TLS, *LOGIN[:2], coded(b"a\0b") + b"\r\n"), "501 5.5.2"),
        ((*TLS, b"AUTH LOGIN\r\n", b"*\r\n"), "501 5.7.0"),
        ((*TLS, *LOGIN[:2], b"*\r\n"), "501 5.7.0"),
        ((*TLS, b"AUTH PLAIN\r\n", b"*\r\n"), "501 5.7.0"),
        ((*TLS, b"AUTH PLAIN " + coded(b"boss\0anna\0correct horse") + b"\r\n"), "535 5.7.8"),
        ((*TLS, b"AUTH PLAIN " + coded(b"\0anna") + b"\r\n"), "501 5.5.2"),
        ((*TLS, b"AUTH PLAIN " + coded(b"\0anna\0a\0b") + b"\r\n"), "501 5.5.2"),
        ((*TLS, WRONG), "535 5.7.8"),
        ((*TLS, b"AUTH LOGIN\r\n", b"a" * COMMAND_LINE_LEN + b"\r\n"), "500 5.5.6"),
        ((*TLS, PLAIN, b"MAIL FROM:<> AUTH=a=b\r\n"), "501 5.5.4"),
        ((*TLS, PLAIN, b"MAIL FROM:<> AUTH=\r\n"), "501 5.5.4"),
        ((*TLS, PLAIN, b"MAIL FROM:<> AUTH=" + b"a" * 501 + b"\r\n"), "501 5.5.4"),
        ((*TLS, PLAIN, b"MAIL FROM:<> AUTH=" + b"a" * 500 + b"\r\n"), "250 2.1.0"),
        ((*TLS, PLAIN, b"MAIL FROM:<a@c.example> AUTH=<>\r\n"), "250 2.1.0"),
        ((*TLS, PLAIN, b"MAIL FROM:<a@c.example> AUTH=a+40c.example SIZE=9\r\n"), "250 2.1.0"),
    ],
)
def test_replies(segments: tuple[bytes, ...], reply: str) -> None:
    """RELAY-14: each branch of RFC 4954 s4, s5 and s6; what was refused leaves the session as it was."""
    if reply == "501 5.5.4" and b"AUTH=a=b" in segments[-1]:
        assert last(*segments) in [reply.wire.decode().rstrip() for reply in (Reply.SYNTAX, Reply.BAD_PARAMETER)]
    assert last(*segments).startswith(reply)
    if reply[0] != "2":
        assert submit(*segments, b"NOOP\r\n").codes[-1] == 250


@pytest.mark.parametrize(("name_len", "password_len", "code"), [(0, 0, 235), (1, 0, 501), (0, 1, 501)])
def test_lengths_by_one(name_len: int, password_len: int, code: int) -> None:
    name, password = b"n" * (SUBMITTER_NAME_LEN + name_len), b"p" * (PASSWORD_MAX_LEN + password_len)
    one = Driver(tls_offered=True, auth=lambda found: None)
    for segment in (*TLS, b"AUTH PLAIN " + coded(b"\0" + name + b"\0" + password) + b"\r\n"):
        one.feed(segment)
    assert one.outcome.codes[-1] == code


def test_three_failures_end_the_session() -> None:
    """RELAY-14: and two do not."""
    assert AUTH_FAILURES == 3
    assert submit(*TLS, WRONG, WRONG, PLAIN).codes[-3:] == [535, 535, 235]
    outcome = submit(*TLS, WRONG, WRONG, WRONG, PLAIN)
    assert outcome.codes[-4:] == [535, 535, 535, 421] and outcome.closed
    assert outcome.replies[-1] == Reply.TOO_MANY_FAILURES.wire.decode().rstrip()


def test_on_an_mx_listener_there_is_no_auth() -> None:
    """RELAY-14: nor its parameter of MAIL."""
    one = Driver(tls_offered=True)
    for segment in (*TLS, PLAIN, b"MAIL FROM:<a@c.example> AUTH=<>\r\n"):
        one.feed(segment)
    assert one.outcome.codes[-2:] == [502, 555] and not any("AUTH" in line for line in one.outcome.replies)


def test_who_is_named_by_xclient_has_not_logged_on() -> None:
    one = Driver(tls_offered=True, xclient=True, auth=lambda found: None)
    for segment in (*TLS, PLAIN, b"XCLIENT ADDR=192.0.2.7\r\n", HELLO, ENVELOPE):
        one.feed(segment)
    assert not one.client.submitter and 530 in one.outcome.codes


class _Log:
    def __init__(self) -> None:
        self.octets = b""

    def append(self, octets: bytes) -> bool:
        self.octets += octets
        return True

    def discard(self) -> None: ...


@pytest.mark.parametrize("name", [b"anna", b"quit+", b"rset=="])
def test_secrets_are_neither_recorded_nor_shown(name: bytes) -> None:
    """DIAG-12: also where a response looks like a command."""
    from engine.config import ConversationLog, LogLevel
    from engine.smtp.submission import SubmissionSession
    from tests.engine.smtp.harness import HOSTNAME, settings

    log = _Log()
    record = Conversation("", ConversationLog(level=LogLevel.ALL), lambda: 0, log)
    client = ClientInfo("192.0.2.1", 1, "c", tls="TLSv1.3")
    session = SubmissionSession(client, settings(), HOSTNAME, lambda: None, True, False, record)
    shown = []
    secret = b"quit+/==" if name == b"quit+" else coded(b"a secret word")
    for segment in (HELLO, b"AUTH LOGIN\r\n", coded(name) + b"\r\n", secret[:-1] + b"!\r\n", b"NOOP\r\n"):
        session.feed(segment)
        while session.next() is not None:
            pass
        shown += session.violations
    record.end("closed")
    assert secret[:6] not in log.octets and coded(name) not in log.octets
    assert b"a response to AUTH" in log.octets and b"NOOP" in log.octets
    assert shown and not any(secret[:6].decode() in words for words in shown)


@given(st.sampled_from(["PLAIN", "LOGIN", "plain", "X", ""]), st.lists(st.binary(max_size=80), max_size=4))
def test_an_exchange_only_refuses(mechanism: str, lines: list[bytes]) -> None:
    """Whatever comes, there are bounded credentials, a challenge or a refusal, after two responses at most."""
    try:
        exchange = Exchange(mechanism)
        for count, line in enumerate(lines):
            if exchange.credentials is not None:
                assert count <= 2
                break
            assert exchange.challenge.startswith(b"334 ")
            exchange.respond(line if count % 2 else coded(line) + b"\r\n")
    except Refused as refused:
        assert refused.reply.permanent
        return
    if exchange.credentials is not None:
        name, password = exchange.credentials
        assert 0 < len(name.encode()) <= SUBMITTER_NAME_LEN and 0 < len(password.encode()) <= PASSWORD_MAX_LEN
        assert is_text(name)


WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf", "Co", "Cn", "Zs")),
    min_size=1,
    max_size=20,
)


@given(WORDS, st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20), st.booleans())
def test_what_a_client_encodes_is_what_comes_out(name: str, password: str, initial: bool) -> None:
    plain = b64encode(b"\0" + name.encode() + b"\0" + password.encode()).decode()
    if initial:
        exchange = Exchange(f"PLAIN {plain}")
    else:
        exchange = Exchange("PLAIN")
        exchange.respond(plain.encode() + b"\r\n")
    login = Exchange("LOGIN")
    login.respond(b64encode(name.encode()) + b"\r\n")
    login.respond(b64encode(password.encode()) + b"\r\n")
    assert exchange.credentials == login.credentials == Credentials(name, password)
