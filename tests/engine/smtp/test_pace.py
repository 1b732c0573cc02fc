"""Slow clients while others wait for a place (SMTP-07), and commands that lead nowhere."""

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import events
from engine.certificate import server_context
from engine.limits import HURRIED_RATE, HURRIED_S, HURRIED_SESSION_S, JUNK_COMMANDS, PROTOCOL_ERRORS
from engine.listening import Kind
from engine.smtp import pace, server
from engine.smtp.pace import Pace
from tests.engine.smtp.conftest import Run
from tests.engine.smtp.harness import ENVELOPE, HELLO, Peer, Running, running, settings, talk

TOO_SLOW = "421 4.4.2 too slow while others wait, try again later\r\n"


def test_a_command_that_takes_too_long() -> None:
    """SMTP-07: the time runs from when others began to wait."""
    one = Pace()
    one.useful(0.0)
    assert not one.too_slow(50.0, "NOOP", False)
    one.taken += 1_000_000  # octets of a line that does not end are no progress
    assert not one.too_slow(50.0 + HURRIED_S - 0.01, "NOOP", False)
    assert one.too_slow(50.0 + HURRIED_S, "NOOP", False)
    assert not one.too_slow(50.0 + HURRIED_S, "RSET", False)


def test_time_of_ours_does_not_count() -> None:
    one = Pace()
    for seconds in range(300):
        assert not one.too_slow(float(seconds), None, False)
    one.useful(300.0)
    assert not one.too_slow(300.0, "MAIL", False)
    assert not one.too_slow(300.0 + HURRIED_S - 0.01, "MAIL", False)


def test_a_session_without_a_message() -> None:
    """SMTP-07: NOOP now and then keeps no place."""
    one = Pace()
    one.useful(10.0)
    assert not one.too_slow(10.0, 0, False)
    for seconds in range(1, int(HURRIED_SESSION_S)):
        assert not one.too_slow(10.0 + seconds, seconds, False)
    last = int(HURRIED_SESSION_S) - 1
    assert not one.too_slow(10.0 + HURRIED_SESSION_S, last, True)
    assert one.too_slow(10.0 + HURRIED_SESSION_S, last, False)


@pytest.mark.parametrize(("short_by", "slow"), [(0, False), (1, True)])
def test_octets_of_a_message(short_by: int, slow: bool) -> None:
    one = Pace()
    assert not one.too_slow(0.0, "DATA", True)
    one.taken += int(HURRIED_RATE * HURRIED_S) - short_by
    assert one.too_slow(HURRIED_S, "DATA", True) is slow


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(0, 6000)), max_size=40))
def test_who_is_ended_was_slow(steps: list[tuple[int, int]]) -> None:
    """Whoever sends at that rate all the time is never ended; whoever sends nothing always is."""
    fair, silent = Pace(), Pace()
    now, ended = 0.0, False
    for seconds, extra in steps:
        now += seconds
        fair.taken += HURRIED_RATE * seconds + extra
        assert not fair.too_slow(now, "DATA", True)
        ended = silent.too_slow(now, "DATA", True) or ended
    assert ended is (sum(seconds for seconds, _ in steps[1:]) >= HURRIED_S)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LOOK_S", 0.01)
    monkeypatch.setattr(pace, "HURRIED_S", 0.0)


async def others_come(one: Running) -> Peer:
    peer = await one.connect()
    await one.gate.wait_for(events.ConnectionFrom, 2)
    return peer


def begun(words: bytes) -> bytes:
    return HELLO + ENVELOPE + words


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"EHLO c.exa", id="half a command"),
        pytest.param(begun(b"DATA\r\n"), id="the start of a message"),
        pytest.param(begun(b"BDAT 1000 LAST\r\nSubject"), id="the start of a chunk"),
    ],
)
def test_who_waits_gets_the_place_of_who_is_slow(run: Run, hurried: None, said: bytes) -> None:
    """SMTP-07: a place is not held by saying little; the one who waits is greeted, and what was begun is forgotten."""

    async def main() -> None:
        async with running(settings(max_incoming=1)) as one:
            slow = await one.connect()
            assert (await slow.reply()).startswith("220 ")
            await slow.send(said)
            if b"DATA" in said:
                while not (await slow.reply()).startswith("354"):
                    pass
                await slow.send(b"S")
            other = await others_come(one)
            assert (await slow.rest()).decode().endswith(TOO_SLOW)
            assert (await other.reply()).startswith("220 ")
            assert (await other.ask(HELLO)).startswith("250")
            assert not one.gate.stored
            assert all(draft.aborted for draft in one.gate.drafts)
            (told,) = await one.gate.wait_for(events.Rejected)
            assert told.reason == "connections"

    run(main())


def test_nobody_is_hurried_while_there_are_places(run: Run, hurried: None) -> None:
    async def main() -> None:
        async with running(settings(max_incoming=2)) as one:
            first = await one.greeted()
            second = await one.greeted()
            for peer in (first, second) * 20:
                assert (await peer.ask(b"NOOP\r\n")).startswith("250 ")
            assert not one.server._admission.crowded

    run(main())


def test_who_does_not_read_is_slow_too(run: Run, hurried: None) -> None:
    """SMTP-07: replies that nobody reads keep no place either."""

    async def main() -> None:
        async with running(settings(max_incoming=1), send_len=4096) as one:
            slow = await one.connect(limit=1, receive_len=4096)
            slow.writer.write(HELLO + ENVELOPE + b"RCPT TO:<b@local.example>\r\n" * 20_000)
            other = await others_come(one)
            assert (await other.reply()).startswith("220 ")
            slow.writer.transport.abort()

    run(main())


def test_a_handshake_that_does_not_go_on(run: Run, hurried: None, tmp_path: Path) -> None:
    """SMTP-07, SMTP-17: a place is not held by half a handshake."""
    tls: ssl.SSLContext = server_context(tmp_path, "gate.example")

    async def main() -> None:
        async with running(settings(max_incoming=1), tls=tls, kind=Kind(implicit=True)) as one:
            slow = await one.connect()
            await slow.send(b"\x16\x03\x01")
            other = await others_come(one)
            assert await slow.rest() == b""
            await one.gate.wait_for(events.ConnectionFrom, 3)
            told = await one.gate.wait_for(events.ProtocolViolation)
            assert "too slow while others wait" in told[0].violation
            await other.close()

    run(main())


@pytest.mark.parametrize("word", [b"NOOP", b"RSET", b"VRFY a", b"HELP", b"EHLO c.example", b"HELO c.example"])
def test_commands_that_lead_nowhere(word: bytes) -> None:
    """SMTP-14: a hundred are in order; then each is an error, and the tenth of them ends the session."""
    line = word + b"\r\n"
    assert not talk(*([line] * JUNK_COMMANDS)).violations
    one_more = talk(*([line] * (JUNK_COMMANDS + 1)))
    assert one_more.violations == [f"more than {JUNK_COMMANDS} commands without a message"] and not one_more.closed
    ended = talk(*([line] * (JUNK_COMMANDS + PROTOCOL_ERRORS)))
    assert ended.closed and ended.replies[-1].startswith("421 4.7.0")


def test_a_message_makes_up_for_them() -> None:
    segments = [HELLO] + [b"RSET\r\n"] * (JUNK_COMMANDS - 1) + [ENVELOPE, b"DATA\r\n", b"\r\n.\r\n"]
    assert not talk(*segments, *[b"RSET\r\n"] * JUNK_COMMANDS).violations


def test_limits_are_announced_and_kept() -> None:
    """SMTP-17, SMTP-18: LIMITS (RFC 9422); what is announced is what holds."""
    transaction = (b"MAIL FROM:<a@c.example>\r\n", b"RCPT TO:<b@local.example>\r\n", b"RSET\r\n")
    assert "250 LIMITS RCPTMAX=1000" in talk(HELLO).replies
    assert not talk(HELLO, *transaction * 50).closed
    limited = settings(max_messages_per_connection=2, max_recipients=3)
    outcome = talk(HELLO, *transaction * 2, settings_=limited)
    assert "250 LIMITS MAILMAX=2 RCPTMAX=3" in outcome.replies and not outcome.closed
    outcome = talk(HELLO, *transaction * 3, settings_=limited)
    assert outcome.closed and outcome.replies[-1].startswith("421 4.7.0 enough messages")
    assert not outcome.violations
    recipients = b"".join(b"RCPT TO:<%d@local.example>\r\n" % number for number in range(4))
    assert talk(HELLO, transaction[0], recipients, settings_=limited).codes[-4:] == [250, 250, 250, 452]
