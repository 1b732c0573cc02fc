"""LMTP next hops (RFC 2033): the session without sockets, and aiosmtpd's LMTP server over TCP and unix sockets."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import Envelope as PeerEnvelope
from aiosmtpd.smtp import Session as PeerSession
from hypothesis import given
from hypothesis import strategies as st

from engine.config import Route, TlsPolicy
from engine.delivery.client import Session
from engine.delivery.dialogue import State
from engine.delivery.envelope import Envelope
from engine.delivery.reply import Reply, own_words
from engine.events import ConnectedTo, Delivered, DeliveryFailed
from engine.queue.record import Recipient, Result
from tests.engine.delivery.peers import CONTENT, Outbound, Room, mail, run, settings_for, until

THREE = Envelope("a@example.org", [Recipient(f"{name}@example.com") for name in "bcd"], 8)
GREETING = b"220 hop LMTP\r\n"
PIPELINING = b"250-hop\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
CHUNKING = b"250-hop\r\n250-PIPELINING\r\n250 CHUNKING\r\n"


def ready(capabilities: bytes) -> Session:
    session = Session("gw.example.net", lmtp=True)
    session.receive(GREETING)
    assert session.output() == b"LHLO gw.example.net\r\n"
    session.receive(capabilities)
    assert session.state is State.READY
    return session


def test_each_accepted_recipient_has_its_own_reply() -> None:
    """RTE-05, RFC 2033 s4.2: in the order of the accepted ones."""
    session = ready(PIPELINING)
    session.begin(THREE, b"x\r\n")
    assert session.output().endswith(b"RCPT TO:<d@example.com>\r\nDATA\r\n")
    session.receive(b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 ok\r\n354 go\r\n")
    assert session.output() == b"x\r\n.\r\n"
    session.receive(b"452 4.2.2 full\r\n")
    assert not session.results
    session.receive(b"250 2.0.0 kept\r\n")
    assert session.state is State.READY
    assert session.results == [Reply(452, "4.2.2 full"), Reply(550, "5.1.1 no"), Reply(250, "2.0.0 kept")]
    session.begin(THREE, b"x\r\n")
    assert session.output().startswith(b"MAIL FROM")  # no RSET: the transaction ended by itself


def test_one_chunk_whose_replies_come_with_those_of_the_envelope() -> None:
    """RFC 2033 with CHUNKING: one reply for each accepted recipient after the last chunk."""
    session = ready(CHUNKING)
    session.begin(THREE, b"x\r\n")
    assert session.output().endswith(b"BDAT 3 LAST\r\nx\r\n")
    session.receive(b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 ok\r\n250 2.0.0 b\r\n550 5.7.1 d\r\n")
    assert session.state is State.READY
    assert session.results == [Reply(250, "2.0.0 b"), Reply(550, "5.1.1 no"), Reply(550, "5.7.1 d")]


def test_content_in_pieces_goes_by_data() -> None:
    session = ready(CHUNKING)
    session.begin(THREE, None)
    assert session.output().endswith(b"DATA\r\n")


@pytest.mark.parametrize("capabilities", [CHUNKING, b"250-hop\r\n250 CHUNKING\r\n"])
def test_nobody_accepted_is_one_reply_or_none(capabilities: bytes) -> None:
    session = ready(capabilities)
    session.begin(THREE, b"x\r\n")
    session.receive(b"250 ok\r\n" if b"PIPELINING" not in capabilities else b"")
    session.receive(b"550 5.1.1 no\r\n" * 3 if b"PIPELINING" not in capabilities else b"")
    if b"PIPELINING" in capabilities:
        session.receive(b"250 ok\r\n" + b"550 5.1.1 no\r\n" * 3 + b"503 5.5.1 nobody\r\n")
    assert session.state is State.READY
    assert session.results == [Reply(550, "5.1.1 no")] * 3


def test_content_wanted_for_nobody_ends_the_session() -> None:
    """RFC 2033 s4.2: no reply would follow it, so that what comes next could not be told apart."""
    session = ready(PIPELINING)
    session.begin(THREE, b"x\r\n")
    session.output()
    session.receive(b"250 ok\r\n" + b"550 5.1.1 no\r\n" * 3 + b"354 go\r\n")
    assert session.state is State.CLOSED and session.output() == b""
    assert session.results == [Reply(550, "5.1.1 no")] * 3


def test_data_refused_is_for_all_that_were_accepted() -> None:
    session = ready(PIPELINING)
    session.begin(THREE, b"x\r\n")
    session.receive(b"250 ok\r\n250 ok\r\n550 5.1.1 no\r\n250 ok\r\n451 4.3.0 later\r\n")
    assert session.results == [Reply(451, "4.3.0 later"), Reply(550, "5.1.1 no"), Reply(451, "4.3.0 later")]


def test_lost_between_two_replies() -> None:
    """PROC-11: who was answered has that answer, the others come again."""
    session = ready(PIPELINING)
    session.begin(THREE, b"x\r\n")
    session.receive(b"250 ok\r\n" * 4 + b"354 go\r\n250 2.0.0 b\r\n")
    session.close(own_words("4.4.2", "lost"))
    assert session.results == [Reply(250, "2.0.0 b"), Reply(0, "4.4.2 lost"), Reply(0, "4.4.2 lost")]


def test_one_reply_too_many_ends_the_session_and_changes_no_result() -> None:
    session = ready(PIPELINING)
    session.begin(THREE, b"x\r\n")
    session.receive(b"250 ok\r\n" * 4 + b"354 go\r\n" + b"250 2.0.0 kept\r\n" * 3)
    session.receive(b"250 2.0.0 who?\r\n")
    assert session.state is State.CLOSED
    assert session.results == [Reply(250, "2.0.0 kept")] * 3


def test_no_helo_where_lhlo_is_refused() -> None:
    session = Session("gw.example.net", lmtp=True)
    session.receive(GREETING)
    session.output()
    session.receive(b"500 5.5.1 SMTP only\r\n")
    assert session.state is State.CLOSED and session.output() == b""
    assert session.failure == own_words("4.5.0", "LHLO refused: 500 5.5.1 SMTP only")


@given(
    st.lists(st.tuples(st.booleans(), st.sampled_from([250, 452, 550])), min_size=1, max_size=6),
    st.booleans(),
    st.integers(1, 40),
)
def test_any_mixture_in_any_cut(fates: list[tuple[bool, int]], chunking: bool, size: int) -> None:
    """RFC 2033 s4.2: results are by recipient, whoever else was refused."""
    session = ready(CHUNKING if chunking else PIPELINING)
    session.begin(Envelope("", [Recipient(f"r{n}@example.com") for n in range(len(fates))], 3), b"x\r\n")
    said = b"250 ok\r\n" + b"".join(b"250 ok\r\n" if taken else b"550 5.1.1 no\r\n" for taken, _ in fates)
    if not any(taken for taken, _ in fates):
        said += b"503 5.5.1 nobody\r\n"
    elif not chunking:
        said += b"354 go\r\n"
    said += b"".join(b"%d r%d\r\n" % (code, n) for n, (taken, code) in enumerate(fates) if taken)
    for start in range(0, len(said), size):
        session.receive(said[start : start + size])
        session.output()
    assert session.state is State.READY
    wanted = [Reply(code, f"r{n}") if taken else Reply(550, "5.1.1 no") for n, (taken, code) in enumerate(fates)]
    assert session.results == wanted


class Boxes:
    """Takes mail for boxes and says for each what is in `answers`; None: hangs up before it."""

    def __init__(self, **answers: str | None) -> None:
        self.answers = answers
        self.taken: list[PeerEnvelope] = []
        self.protocols: list[LMTP] = []

    def protocol(self) -> Any:
        loop = asyncio.get_running_loop()
        self.protocols.append(LMTP(self, hostname="boxes.example", enable_SMTPUTF8=True, loop=loop))
        return self.protocols[-1]

    async def ended(self) -> None:
        """Its tasks swallow being cancelled: a loop that closes before their end never does."""
        await until(lambda: len(asyncio.all_tasks()) == 1)

    async def handle_RCPT(
        self, server: LMTP, session: PeerSession, envelope: PeerEnvelope, address: str, options: Sequence[str]
    ) -> str:
        name = address.partition("@")[0]
        if name not in self.answers:
            return "550 5.1.1 no such box"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: LMTP, session: PeerSession, envelope: PeerEnvelope) -> str:
        self.taken.append(envelope)
        replies: list[str] = []
        for address in envelope.rcpt_tos:
            answer = self.answers[address.partition("@")[0]]
            if answer is None:
                for line in replies:
                    await server.push(line)
                assert server.transport is not None
                server.transport.close()
                return ""
            replies.append(answer)
        return "\r\n".join(replies)


def through(room: Room, where: str, **delivery: Any) -> Outbound:
    return room.outbound(settings_for(1, Route("boxes.example", where), **delivery))


def test_mixed_results_from_a_real_server_and_a_kept_connection() -> None:
    """RTE-05, PROC-11: each recipient's own result."""

    async def test(room: Room) -> None:
        boxes = Boxes(here="250 2.1.5 in its box", full="452 4.2.2 box full", gone="550 5.2.1 closed")
        server = await asyncio.get_running_loop().create_server(boxes.protocol, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        out = through(room, f"lmtp:127.0.0.1:{port}")
        try:
            names = ("gone", "here", "nobody", "full")
            attempts = await out.deliverer.deliver(mail(*(f"{name}@boxes.example" for name in names)))
            wanted = {
                "gone": (Result.FAILED, "550 5.2.1 closed"),
                "here": (Result.DELIVERED, "250 2.1.5 in its box"),
                "nobody": (Result.FAILED, "550 5.1.1 no such box"),
                "full": (Result.PENDING, "452 4.2.2 box full"),
            }
            assert {names[one.recipient]: (one.result, one.reply) for one in attempts} == wanted
            assert {one.next_hop for one in attempts} == {f"[127.0.0.1]:{port}"}
            assert [event.forward_path for event in out.named(Delivered)] == ["here@boxes.example"]
            assert len(out.named(DeliveryFailed)) == 2
            content = boxes.taken[0].content
            assert isinstance(content, bytes) and content.endswith(CONTENT)
            big = b"Subject: big\r\n\r\n" + (b"." * 70 + b"\r\n") * 20_000
            (attempt,) = await out.deliverer.deliver(mail("here@boxes.example", content=big))
            assert attempt.result is Result.DELIVERED
            content = boxes.taken[-1].content
            assert isinstance(content, bytes) and content.endswith(big)
            assert len(boxes.protocols) == 1  # kept
            assert out.named(ConnectedTo)[-1].kind == "Cached"
        finally:
            await out.deliverer.close()
            server.close()
            await boxes.ended()
            await server.wait_closed()

    run(test)


def test_a_server_that_dies_between_two_replies(tmp_path: Path) -> None:
    """PROC-11, RFC 2033 s4.2: who was answered is delivered, the others are tried again, and by themselves."""

    async def test(room: Room) -> None:
        boxes = Boxes(first="250 2.1.5 first", second=None, third="250 2.1.5 third")
        path = str(tmp_path / "lmtp")
        server = await asyncio.get_running_loop().create_unix_server(boxes.protocol, path)
        out = through(room, f"lmtp:unix:{path}", tls=TlsPolicy.VERIFIED)  # it is not for sockets of this machine
        try:
            message = mail(*(f"{name}@boxes.example" for name in ("first", "second", "third")))
            attempts = await out.deliverer.deliver(message)
            assert [one.result for one in attempts] == [Result.DELIVERED, Result.PENDING, Result.PENDING]
            assert attempts[0].reply == "250 2.1.5 first"
            assert attempts[1].reply.startswith(f"4.4.2 connection to localhost[unix:{path}] lost")
            message.results[0] = Result.DELIVERED
            boxes.answers["second"] = "250 2.1.5 second"
            attempts = await out.deliverer.deliver(message)
            assert [one.reply for one in attempts] == ["250 2.1.5 second", "250 2.1.5 third"]
            assert boxes.taken[-1].rcpt_tos == ["second@boxes.example", "third@boxes.example"]
        finally:
            await out.deliverer.close()
            server.close()
            await boxes.ended()
            await server.wait_closed()

    run(test)


def test_no_socket_is_a_reason_to_wait(tmp_path: Path) -> None:
    async def test(room: Room) -> None:
        out = through(room, f"lmtp:unix:{tmp_path}/none")
        (attempt,) = await out.deliverer.deliver(mail("here@boxes.example"))
        assert attempt.result is Result.PENDING
        assert attempt.reply == f"4.4.1 connecting to localhost[unix:{tmp_path}/none]: No such file or directory"

    run(test)


def test_an_smtp_server_is_no_lmtp_server() -> None:
    """RFC 2033 s4.1: LHLO, and never HELO."""

    async def test(room: Room) -> None:
        hop = await room.hop()
        hop.answers["LHLO"] = lambda _: b"500 5.5.1 what?\r\n"
        out = through(room, f"lmtp:127.0.0.1:{hop.port}")
        (attempt,) = await out.deliverer.deliver(mail("here@boxes.example"))
        assert attempt.reply == "4.5.0 LHLO refused: 500 5.5.1 what?"
        assert not hop.said("HELO") and not hop.said("EHLO") and not hop.said("MAIL")

    run(test)
