"""The table of replies: classes, codes, public text (RFC 5321 s4.2, RFC 3463, section 28 of the requirements)."""

import re

import pytest

from engine.replies import Reason, Reply, ehlo_lines


@pytest.mark.parametrize("reply", list(Reply), ids=lambda reply: reply.name)
def test_each_status(reply: Reply) -> None:
    assert re.fullmatch(rb"[2-5][0-5][0-9] [ -~]+\r\n", reply.wire)
    assert len(reply.wire) <= 512  # RFC 5321 s4.5.3.1.5
    assert reply.transient == (reply.code // 100 == 4)
    assert reply.permanent == (reply.code // 100 == 5)
    if reply.enhanced:
        assert re.fullmatch(r"[245]\.[0-7]\.[0-9]{1,2}", reply.enhanced)
        assert int(reply.enhanced[0]) == reply.code // 100
        assert reply.wire.startswith(f"{reply.code} {reply.enhanced} ".encode())
    else:
        assert reply.code < 400  # RFC 2034 s4: only greeting, hello and 354 go without


@pytest.mark.parametrize(
    ("reply", "code", "enhanced", "reason"),
    [
        (Reply.REJECTING, 421, "4.3.2", Reason.REJECTING),  # REJ-01
        (Reply.BAD_SENDER_CHARACTERS, 553, "5.1.7", Reason.CHARACTERS),  # REJ-02
        (Reply.BAD_RECIPIENT_CHARACTERS, 553, "5.1.3", Reason.CHARACTERS),
        (Reply.RELAY_DENIED, 550, "5.7.1", Reason.RELAY),  # REJ-03
        (Reply.TOO_BIG, 552, "5.3.4", Reason.SIZE),  # REJ-04
        (Reply.BAD_LINE_ENDS, 550, "5.6.0", Reason.LINE_ENDS),  # REJ-05
        (Reply.NUL_CHARACTERS, 550, "5.6.0", Reason.NUL),  # REJ-06
        (Reply.BLOCK_LISTED, 554, "5.7.1", Reason.BLOCK_LIST),  # REJ-07
        (Reply.TOO_MANY_RECIPIENTS, 452, "4.5.3", Reason.RECIPIENTS),  # REJ-08
        (Reply.TOO_MANY_HOPS, 554, "5.4.6", Reason.HOPS),
        (Reply.TOO_MANY_CONNECTIONS, 421, "4.7.0", Reason.CONNECTIONS),
        (Reply.TOO_MANY_OF_CLIENT, 421, "4.7.0", Reason.CONNECTIONS),
        (Reply.TOO_OFTEN, 421, "4.7.0", Reason.CONNECTIONS),
        (Reply.TOO_MANY_ERRORS, 421, "4.7.0", Reason.PROTOCOL),
        (Reply.QUEUE_FULL, 452, "4.3.1", None),
        (Reply.TRY_AGAIN, 451, "4.3.0", None),
        (Reply.SHUTTING_DOWN, 421, "4.3.2", None),
    ],
)
def test_promised_codes(reply: Reply, code: int, enhanced: str, reason: Reason | None) -> None:
    assert (reply.code, reply.enhanced, reply.reason) == (code, enhanced, reason)


def test_every_reason_has_a_reply() -> None:
    assert {reply.reason for reply in Reply if reply.reason} == set(Reason)


def test_statuses_with_the_same_words_stay_apart() -> None:
    assert len({reply.value for reply in Reply}) == len(Reply.__members__)


def test_blank_is_filled_once() -> None:
    assert Reply.QUEUED.line("0123%s") == b"250 2.0.0 ok, queued as 0123%s\r\n"
    assert Reply.GREETING.line("gate.example") == b"220 gate.example ESMTP\r\n"


def test_ehlo_lines() -> None:
    assert ehlo_lines("gate.example", ["A", "B"]) == b"250-gate.example\r\n250-A\r\n250 B\r\n"
    assert ehlo_lines("gate.example", []) == b"250 gate.example\r\n"


def test_who_breaks_the_order_is_told_what_is_in_order() -> None:
    """RFC 5321 s4.1.4: 503, with the command that is wanted first."""
    wanted = {
        "NESTED_MAIL": "RSET",
        "BAD_SEQUENCE": "RSET",
        "SAY_HELLO": "EHLO",
        "NEED_MAIL": "MAIL",
        "NEED_RCPT": "RCPT",
    }
    assert {name: command in Reply[name].text for name, command in wanted.items()} == dict.fromkeys(wanted, True)
