"""The client session without sockets: octets in, octets out, in any cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import limits
from engine.delivery.client import Session
from engine.delivery.dialogue import State
from engine.delivery.envelope import Envelope
from engine.delivery.reply import Reply, ReplyError, ReplyParser, own_words
from engine.queue.record import Recipient

GREETING = b"220 hop ESMTP\r\n"
EHLO = b"250-hop\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250 %b\r\n"
ENVELOPE = Envelope("a@example.org", [Recipient("b@example.com"), Recipient("c@example.com")], 8)


def ready(last_keyword: bytes = b"CHUNKING") -> Session:
    session = Session("gw.example.net")
    session.receive(GREETING + EHLO % last_keyword)
    assert session.state is State.READY
    assert session.output() == b"EHLO gw.example.net\r\n"
    return session


def test_bdat_goes_out_in_one_piece() -> None:
    session = ready()
    session.begin(ENVELOPE, b"x\r\n.y\r\n")
    assert session.output() == (
        b"MAIL FROM:<a@example.org> SIZE=8 BODY=8BITMIME\r\n"
        b"RCPT TO:<b@example.com>\r\nRCPT TO:<c@example.com>\r\nBDAT 7 LAST\r\nx\r\n.y\r\n"
    )
    session.receive(b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 2.0.0 done\r\n")
    assert session.state is State.READY
    assert session.results == [Reply(250, "2.0.0 done"), Reply(550, "5.1.1 no")]


def test_data_is_stuffed_and_ended() -> None:
    session = ready(b"DSN")
    session.begin(ENVELOPE, b".x")
    assert session.output().endswith(b"DATA\r\n")
    session.receive(b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    assert session.output() == b"..x\r\n.\r\n"


def test_rset_only_when_it_is_needed() -> None:
    session = ready()
    session.begin(ENVELOPE, b"x\r\n")
    session.output()
    session.receive(b"250 ok\r\n550 no\r\n550 no\r\n503 no recipients\r\n")
    session.begin(ENVELOPE, b"x\r\n")
    assert session.output().startswith(b"RSET\r\nMAIL FROM")
    session.receive(b"250 ok\r\n250 ok\r\n250 ok\r\n250 ok\r\n250 done\r\n")
    session.begin(ENVELOPE, b"x\r\n")
    assert session.output().startswith(b"MAIL FROM")


def test_mail_refused_gives_all_recipients_that_reply() -> None:
    session = ready()
    session.begin(ENVELOPE, b"x\r\n")
    session.receive(b"550 5.7.1 not you\r\n503 5.5.1 mail first\r\n503 5.5.1 mail first\r\n503 5.5.1 what\r\n")
    assert session.results == [Reply(550, "5.7.1 not you")] * 2


def test_what_was_answered_before_the_connection_was_lost_counts() -> None:
    session = ready()
    session.begin(ENVELOPE, b"x\r\n")
    session.receive(b"250 ok\r\n550 5.1.1 no\r\n250 ok\r\n")
    session.close(own_words("4.4.2", "lost"))
    assert session.results == [Reply(550, "5.1.1 no"), Reply(0, "4.4.2 lost")]
    assert session.mail_answered


def test_a_reply_to_nothing_ends_the_session() -> None:
    session = ready()
    session.receive(b"250 hello?\r\n")
    assert session.state is State.CLOSED
    session.begin(ENVELOPE, b"x\r\n")  # lost between two tasks
    assert len(session.results) == 2
    assert not session.results[0].permanent


STAGES = (
    GREETING + EHLO % b"DSN",
    b"250 2.1.0 ok\r\n250-2.1.5 a\r\n250 2.1.5 b\r\n550 5.1.1 no\r\n354 go\r\n",
    b"250-2.0.0 done\r\n250 2.0.0 really\r\n",
)


def replay(size: int) -> tuple[list[Reply], bytes, State]:
    """The whole dialogue, what comes in cut into pieces of size octets."""
    session = Session("gw.example.net")
    out = b""
    for stage in STAGES:
        for start in range(0, len(stage), size):
            session.receive(stage[start : start + size])
            out += session.output()
        if not session.results and session.state is State.READY:
            session.begin(ENVELOPE, b"x\r\n")
            out += session.output()
    return session.results, out, session.state


def test_any_cut_gives_the_same_dialogue() -> None:
    whole = replay(10_000)
    assert whole[0] == [Reply(250, "2.0.0 done really", ("2.0.0 done", "really")), Reply(550, "5.1.1 no")]
    assert whole[2] is State.READY
    assert all(replay(size) == whole for size in range(1, 40))


_TEXT = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=20)


@given(
    st.lists(st.tuples(st.integers(200, 559), st.lists(_TEXT, min_size=1, max_size=4)), max_size=5),
    st.integers(1, 9),
)
@settings(max_examples=150)
def test_any_cut_gives_the_same_replies(replies: list[tuple[int, list[str]]], size: int) -> None:
    octets = b"".join(
        f"{code}{' ' if number + 1 == len(texts) else '-'}{text}\r\n".encode()
        for code, texts in replies
        for number, text in enumerate(texts)
    )
    whole = ReplyParser().feed(octets)
    parser = ReplyParser()
    cut = [reply for at in range(0, len(octets), size) for reply in parser.feed(octets[at : at + size])]
    assert cut == whole
    assert [reply.code for reply in whole] == [code for code, _ in replies]
    assert not parser.rest


def test_enhanced_codes_are_kept_once() -> None:
    (reply,) = ReplyParser().feed(b"550-5.7.1 we do\r\n550-5.7.1 not want\r\n550 5.7.1 this\r\n")
    assert str(reply) == "550 5.7.1 we do not want this"
    assert reply.enhanced == "5.7.1"
    assert Reply(451, "try later").enhanced == "4.0.0"


@pytest.mark.parametrize(
    "octets",
    [
        b"25\r\n",
        b"abc def\r\n",
        b"199 x\r\n",
        b"600 x\r\n",
        b"250-a\r\n" * (limits.REPLY_LINES + 1),
        b"2" * 20_000,
        b"250 " + b"x" * limits.REPLY_LEN + b"\r\n",
        b"250-a\r\n550 b\r\n",
        b"\n",
        "２５０ x\r\n".encode(),
    ],
)
def test_what_is_no_reply_or_too_much_of_one(octets: bytes) -> None:
    with pytest.raises(ReplyError):
        ReplyParser().feed(octets)


def test_code_alone_is_a_reply() -> None:
    assert ReplyParser().feed(b"250\r\n") == [Reply(250, "")]
