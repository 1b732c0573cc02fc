"""Hosts that announce extensions and refuse them: mail arrives without, and they are asked for it once only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import limits
from engine.delivery.client import Session
from engine.delivery.dialogue import State
from engine.delivery.envelope import Envelope
from engine.delivery.nexthop import Exchange
from engine.delivery.quirks import QUIRK_S, Quirks
from engine.queue.record import Recipient, Result
from tests.engine.delivery.peers import CONTENT, Answer, Room, mail, run, settings_for

TWO = (Recipient("b@example.com"), Recipient("c@example.com", notify="SUCCESS"))
ENVELOPE = Envelope("a@example.org", TWO, 8, ret="HDRS")
EHLO = b"220 hop\r\n250-hop\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 DSN\r\n"
ok = b"250 ok\r\n"


def after(replies: bytes, body: bytes | None = b"x\r\n") -> Session:
    session = Session("gw.example.net")
    session.receive(EHLO)
    session.begin(ENVELOPE, body)
    session.receive(replies)
    return session


def found(session: Session) -> tuple[State, set[str], list[int]]:
    return session.state, set(session.refused), session.again


@pytest.mark.parametrize("reply", [b"500 what\r\n", b"502 5.5.1 no\r\n", b"503 5.5.1 DATA first\r\n", b"504 no\r\n"])
def test_bdat_that_is_not_understood(reply: bytes) -> None:
    """SMTP-17, RFC 3030: whoever was accepted is for another connection, and nothing more is said on this one."""
    session = after(ok + b"550 5.1.1 no\r\n" + ok + reply + b"500 x\r\n")
    assert found(session) == (State.CLOSED, {"CHUNKING"}, [1])
    assert session.results[0].permanent and not session.results[1].permanent
    assert after(ok * 3, None).state is State.CONTENT
    large = after(ok * 3, None)
    large.content(b"x", last=False)
    large.receive(reply)
    assert found(large) == (State.CLOSED, {"CHUNKING"}, [0, 1])


def test_lmtp_has_a_reply_for_each() -> None:
    """RFC 2033 s4.2: what the second one is refused for says nothing of BDAT, and the others may have it."""
    session = Session("gw.example.net", lmtp=True)
    session.receive(EHLO)
    session.begin(ENVELOPE, b"x\r\n")
    session.receive(ok * 3 + ok + b"503 5.5.1 no\r\n")
    assert found(session) == (State.READY, set(), [])
    session.begin(ENVELOPE, b"x\r\n")
    session.receive(ok * 3 + b"500 what\r\n")
    assert found(session) == (State.CLOSED, {"CHUNKING"}, [0, 1])


@pytest.mark.parametrize("reply", [b"503 5.7.1 a virus\r\n", b"554 no\r\n", b"452 4.2.2 full\r\n"])
def test_content_that_is_refused_is_no_quirk(reply: bytes) -> None:
    session = after(ok * 3 + reply)
    assert found(session) == (State.READY, set(), [])
    nobody = after(ok + b"550 no\r\n" * 2 + b"503 5.5.1 nobody\r\n")
    assert found(nobody) == (State.READY, set(), [])


def test_parameters_that_are_refused() -> None:
    """SMTP-17, RFC 5321 s4.1.1.11: first without those that nobody misses, then without BODY."""
    session = after(b"555 what\r\n" + b"503 no\r\n" * 3)
    assert found(session) == (State.READY, {"SIZE", "DSN"}, [0, 1])
    session.output()
    session.do_without(session.refused)
    session.begin(ENVELOPE, b"x\r\n")
    assert session.output().startswith(b"MAIL FROM:<a@example.org> BODY=8BITMIME\r\nRCPT TO:<b@example.com>\r\n")
    session.receive(b"501 5.5.4 what\r\n" + b"503 no\r\n" * 3)
    assert session.refused == {"8BITMIME"}
    session.do_without(session.refused)
    session.begin(ENVELOPE, b"x\r\n")
    session.receive(b"501 what\r\n" + b"503 no\r\n" * 3)
    assert not session.refused and session.results[0].code == 501
    address = after(b"501 5.1.7 no such sender\r\n" + b"503 no\r\n" * 3)
    assert found(address) == (State.READY, set(), [])


def test_parameters_of_one_recipient() -> None:
    session = after(ok * 2 + b"501 what is NOTIFY\r\n" + ok)
    assert found(session) == (State.READY, {"DSN"}, [1])
    assert session.results[0].positive


def test_commands_that_came_together() -> None:
    """RFC 2920: 503 to what comes after a good reply means that it was not looked at."""
    session = after(ok + b"503 5.5.1 MAIL first\r\n" * 2 + ok)
    assert found(session) == (State.CLOSED, {"PIPELINING"}, [0, 1])
    one = after(ok * 2 + b"503 5.5.1 AUTH first\r\n" + ok)
    assert found(one) == (State.READY, {"PIPELINING"}, [1]) and one.results[0].positive
    other = after(ok + b"503 5.5.1 AUTH first\r\n" + ok * 2)
    assert found(other) == (State.READY, {"PIPELINING"}, [0]) and other.results[1].positive
    neither = after(ok + b"503 5.5.1 AUTH first\r\n" + ok + b"502 what\r\n")
    assert found(neither) == (State.CLOSED, {"PIPELINING", "CHUNKING"}, [0, 1])
    plain = Session("gw.example.net")
    plain.receive(EHLO.replace(b"CHUNKING", b"X"))
    plain.begin(ENVELOPE, b"x\r\n")
    plain.receive(ok * 3 + b"503 5.5.1 RCPT first\r\n")
    assert found(plain) == (State.CLOSED, {"PIPELINING"}, [0, 1])


@given(
    st.lists(st.sampled_from([ok, b"250-a\r\n250 b\r\n", b"501 x\r\n", b"503 x\r\n", b"555 5.5.4 x\r\n", b"354 x\r\n"]))
)
def test_whoever_is_tried_again_was_not_taken(replies: list[bytes]) -> None:
    """PROC-11: whatever a host says, nobody gets a message twice, and nobody is forgotten."""
    session = after(b"".join(replies))
    if session.state in (State.READY, State.CLOSED):
        assert len(session.results) == 2
        assert not any(session.results[index].positive for index in session.again)
    if len(replies) >= 4 and replies[0].startswith(b"250") and replies[3].startswith(b"250"):
        taken = {index for index in (0, 1) if replies[1 + index].startswith(b"250")}
        assert not taken.intersection(session.again)
        assert bool(session.again) == bool(session.refused)


@pytest.mark.parametrize(("verb", "word"), [("CHUNK", ""), ("MAIL", "SIZE="), ("MAIL", "BODY="), ("RCPT", "NOTIFY=")])
def test_mail_arrives_and_the_host_is_remembered(verb: str, word: str) -> None:
    """PROC-05, PROC-11: once for each recipient, and the next message costs nothing more."""
    eight = "Subject: x\r\n\r\n\u00e4\r\n".encode()

    async def test(room: Room) -> None:
        hop = await room.hop()

        def answer(argument: str) -> Answer:
            return b"504 what\r\n" if word in argument else ok

        hop.answers[verb] = answer
        out = room.outbound(settings_for(hop.port))
        for content in (CONTENT, eight):
            one = mail(TWO[0], TWO[1], content=content, ret="FULL")
            assert [one.result for one in await out.deliverer.deliver(one)] == [Result.DELIVERED] * 2
            taken = [line.partition(">")[0] for one in hop.taken for line in one.recipients]
            assert sorted(taken) == ["RCPT TO:<b@example.com", "RCPT TO:<c@example.com"]
            hop.taken.clear()
        asked = [line for line in hop.commands if word in line] if word else hop.said("BDAT")
        assert len(asked) == (2 if word == "BODY=" else 1)

    run(test)


def test_what_is_remembered_is_bounded_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BACKOFF_ENTRIES", 2)
    now = [0.0]
    quirks = Quirks(lambda: now[0])
    hosts = [Exchange(f"{number}.example") for number in range(3)]
    for host in hosts:
        quirks.add(host, frozenset({"SIZE"}))
    quirks.add(hosts[2], frozenset({"DSN"}))
    assert [set(quirks.of(host)) for host in hosts] == [set(), {"SIZE"}, {"SIZE", "DSN"}]
    now[0] += QUIRK_S
    assert not quirks.of(hosts[2])
