"""The edge with real sockets, on both event loops."""

import asyncio
import logging
import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path
from unittest import mock

import pytest

from engine import events
from engine.certificate import FILE_NAME, server_context
from engine.config import Acceptance
from engine.limits import DATA_TOTAL_TIMEOUT_S
from engine.queue.errors import QueueFull
from engine.replies import Reply
from engine.smtp.gate import ACCEPTED, Answer, ClientInfo
from engine.smtp.intake import Intake
from tests.engine.smtp.conftest import Run
from tests.engine.smtp.harness import DENIED, ENVELOPE, HELLO, HOSTNAME, UPPER_S, MemoryGate, Peer, running, settings

MESSAGE = b"Subject: x\r\n\r\nbody\r\n"


async def to_data(peer: Peer) -> None:
    await peer.send(ENVELOPE + b"DATA\r\n")
    assert [(await peer.reply())[:3] for _ in range(3)] == ["250", "250", "354"]


async def deliver(peer: Peer, content: bytes = MESSAGE) -> str:
    await to_data(peer)
    return await peer.ask(content + b".\r\n")


def test_a_message_is_stored_and_handed_on(run: Run) -> None:
    async def main() -> None:
        async with running() as one:
            peer = await one.greeted()
            assert await deliver(peer) == "250 2.0.0 ok, queued as ID2\r\n"
            ((received, content),) = one.gate.stored
            assert content == MESSAGE
            assert (received.client, received.client_port) == ("127.0.0.1", peer.writer.get_extra_info("sockname")[1])
            assert one.gate.accepted_ids == ["ID2"]
            assert await peer.ask(b"QUIT\r\n") == Reply.BYE.wire.decode()
            assert await peer.rest() == b""
            await peer.close()
            (accepted,) = await one.gate.wait_for(events.ConnectionFrom)
            (gone,) = await one.gate.wait_for(events.Disconnected)
            assert (accepted.result, gone.side) == ("accepted", "server")

    run(main())


def test_smtplib(run: Run) -> None:
    def send(port: int) -> None:
        message = EmailMessage()
        message["Subject"] = "zażółć"
        message.set_content(".\n..\n" + "text\n" * 1000)
        with smtplib.SMTP("127.0.0.1", port, local_hostname="c.example", timeout=UPPER_S) as client:
            for _ in range(3):
                client.send_message(message, "a@c.example", ["b@local.example", "nobody@nowhere.invalid"])

    async def main() -> None:
        async with running() as one:
            await asyncio.to_thread(send, one.port)
            assert len(one.gate.stored) == 3
            assert b"\r\n.\r\n..\r\n" in one.gate.stored[0][1]

    run(main())


def test_a_large_message_octet_for_octet(run: Run) -> None:
    content = b"".join(b"%07d and some more text to fill the line with\r\n" % number for number in range(100_000))

    async def main() -> None:
        async with running() as one:
            assert (await deliver(await one.greeted(), content)).startswith("250 ")
            assert one.gate.stored[0][1] == content

    run(main())


def test_a_group_of_everything_in_one_write(run: Run) -> None:
    async def main() -> None:
        async with running() as one:
            peer = await one.greeted()
            await to_data(peer)
            await peer.send(b"first\r\n.\r\n" + ENVELOPE + b"DATA\r\n")
            assert [(await peer.reply())[:3] for _ in range(4)] == ["250", "250", "250", "354"]
            await peer.send(b"second\r\n.\r\nQUIT\r\n")
            assert [(await peer.reply())[:3] for _ in range(2)] == ["250", "221"]
            assert [content for _, content in one.gate.stored] == [b"first\r\n", b"second\r\n"]

    run(main())


def test_a_client_waits_for_354_while_mail_comes_faster_than_it_leaves(run: Run) -> None:
    async def main() -> None:
        async with running() as one:
            one.gate.full = asyncio.get_running_loop().create_future()
            peer = await one.greeted()
            await peer.send(ENVELOPE + b"DATA\r\n")
            assert [(await peer.reply())[:3] for _ in range(2)] == ["250", "250"]
            assert not one.gate.drafts
            one.gate.full.set_result(None)
            assert (await peer.reply()).startswith("354")
            await peer.send(MESSAGE + b".\r\n")
            assert (await peer.reply()).startswith("250 ")

    run(main())


def test_a_client_that_leaves_while_it_waits_leaves_nothing_behind(run: Run) -> None:
    async def main() -> None:
        async with running() as one:
            one.gate.full = asyncio.get_running_loop().create_future()
            peer = await one.greeted()
            await peer.send(ENVELOPE + b"DATA\r\n")
            assert [(await peer.reply())[:3] for _ in range(2)] == ["250", "250"]
            peer.writer.transport.abort()
            await one.gate.wait_for(events.Disconnected)
            assert one.gate.full.cancelled()
            assert not one.gate.drafts

    run(main())


def test_input_waits_while_the_message_is_made_durable(run: Run, chatty: None) -> None:
    async def main() -> None:
        async with running() as one:
            peer = await one.greeted()
            await to_data(peer)
            one.gate.may_commit.clear()
            await peer.send(MESSAGE + b".\r\nNOOP\r\n")
            async with asyncio.timeout(UPPER_S):
                await one.gate.committing.wait()
            await peer.send(b"NOOP\r\n" * 20_000)
            assert not one.gate.stored
            one.gate.may_commit.set()
            assert (await peer.reply()).startswith("250 2.0.0 ok, queued as ")
            for _ in range(20_001):
                assert (await peer.reply()).startswith("250 ")

    run(main())


def test_replies_that_nobody_reads_are_not_piled_up(run: Run, chatty: None) -> None:
    count = 50_000

    async def main() -> None:
        async with running(send_len=4096) as one:
            peer = await one.connect(limit=1024, receive_len=4096)
            assert (await peer.reply()).startswith("220 ")
            (connection,) = one.server.connections
            peer.writer.write(b"RSET\r\n" * count)
            async with asyncio.timeout(UPPER_S):
                while not connection._choked or connection._transport.is_reading():
                    await asyncio.sleep(0)
            assert len(connection._session._input.octets) < 1 << 20
            assert connection._transport.get_write_buffer_size() < 1 << 20
            async with asyncio.timeout(UPPER_S):
                answers = await peer.reader.readexactly(count * len(Reply.OK.wire))
            assert answers == Reply.OK.wire * count

    run(main())


def test_a_decision_that_takes_time(run: Run) -> None:
    async def main() -> None:
        async with running() as one:
            asked: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            one.gate.decide = lambda path: asked if path.startswith("slow") else ACCEPTED
            peer = await one.greeted()
            await peer.send(b"MAIL FROM:<a@c.example>\r\nRCPT TO:<slow@x.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n")
            assert (await peer.reply()).startswith("250 2.1.0")
            asked.set_result(DENIED)
            assert [(await peer.reply())[:3] for _ in range(3)] == ["550", "250", "354"]
            (rejected,) = await one.gate.wait_for(events.Rejected)
            assert (rejected.reason, rejected.forward_path) == ("anti-relay", "slow@x.example")

    run(main())


def test_the_client_goes_while_a_decision_is_awaited(run: Run) -> None:
    async def main() -> None:
        async with running() as one:
            asked: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            one.gate.decide = lambda path: asked
            peer = await one.greeted()
            await peer.send(ENVELOPE)
            assert (await peer.reply()).startswith("250 2.1.0")
            peer.writer.transport.abort()
            await one.gate.wait_for(events.Disconnected)
            async with asyncio.timeout(UPPER_S):
                while not asked.cancelled():
                    await asyncio.sleep(0)

    run(main())


@pytest.mark.parametrize("where", ["rcpt", "await", "begin", "write", "commit", "accepted"])
def test_a_gate_that_fails_costs_a_451_and_no_more(run: Run, where: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with running() as one:
            gate, trouble = one.gate, RuntimeError("secret detail")

            async def later(path: str) -> Answer:
                raise trouble

            def now(path: str) -> Answer:
                raise trouble

            peer = await one.greeted()
            if where in ("rcpt", "await"):
                gate.decide = now if where == "rcpt" else later
                await peer.send(ENVELOPE)
                await peer.reply()
                answer = await peer.reply()
            else:
                setattr(gate, "fail_" + where, trouble)
                await peer.send(ENVELOPE + b"DATA\r\n")
                answers = [await peer.reply() for _ in range(3)]
                answer = answers[-1] if where == "begin" else await peer.ask(MESSAGE + b".\r\n")
            assert answer.startswith("250 2.0.0" if where == "accepted" else "451 4.3.0 ")
            assert "secret" not in answer
            assert (await peer.ask(b"NOOP\r\n")).startswith("250 ")
            assert len([record for record in caplog.records if record.name == "mailward.smtp"]) == 1
            assert len(gate.stored) == (where == "accepted")

    with caplog.at_level(logging.WARNING):
        run(main())


@pytest.mark.parametrize("where", ["begin", "write", "commit"])
def test_a_full_queue_is_a_452(run: Run, where: str) -> None:
    async def main() -> None:
        async with running() as one:
            peer = await one.greeted()
            setattr(one.gate, "fail_" + where, QueueFull("no room"))
            await peer.send(ENVELOPE + b"DATA\r\n")
            answers = [await peer.reply() for _ in range(3)]
            answer = answers[-1] if where == "begin" else await peer.ask(MESSAGE + b".\r\n")
            assert answer.startswith("452 4.3.1 ")
            setattr(one.gate, "fail_" + where, None)
            assert (await deliver(peer)).startswith("250 ")

    run(main())


@pytest.mark.parametrize("part", [b"", b"Subject: x\r\n\r\nhalf a mess", b"x\r\n.\r"])
def test_a_client_that_goes_in_the_middle_leaves_nothing(run: Run, part: bytes) -> None:
    async def main() -> None:
        async with running() as one:
            peer = await one.greeted()
            await to_data(peer)
            await peer.send(part)
            await peer.close()
            (gone,) = await one.gate.wait_for(events.Disconnected)
            assert gone.side == "client"
            assert [draft.aborted for draft in one.gate.drafts] == [True]
            assert not one.gate.stored
            assert one.shared.slots.open() == 0

    run(main())


def test_a_client_that_goes_during_the_commit_leaves_a_message(run: Run) -> None:
    """RFC 1047: it may come twice, but never be lost; and a stop waits for it."""

    async def main() -> None:
        async with running() as one:
            peer = await one.greeted()
            await to_data(peer)
            one.gate.may_commit.clear()
            await peer.send(MESSAGE + b".\r\n")
            async with asyncio.timeout(UPPER_S):
                await one.gate.committing.wait()
            (connection,) = one.server.connections
            connection.abort()
            await one.gate.wait_for(events.Disconnected)
            assert one.shared.slots.open() == 0
            stopping = asyncio.create_task(one.server.shut_down(UPPER_S))
            await asyncio.sleep(0)
            assert not stopping.done()
            one.gate.may_commit.set()
            async with asyncio.timeout(UPPER_S):
                await stopping
            assert one.gate.accepted_ids == ["ID2"]
            assert not any(draft.aborted for draft in one.gate.drafts)

    run(main())


def test_half_closed_after_the_end_of_data(run: Run) -> None:
    async def main() -> None:
        async with running() as one:
            peer = await one.greeted()
            await to_data(peer)
            one.gate.may_commit.clear()
            await peer.send(MESSAGE + b".\r\n")
            peer.writer.write_eof()
            async with asyncio.timeout(UPPER_S):
                await one.gate.committing.wait()
            one.gate.may_commit.set()
            assert (await peer.reply()).startswith("250 ")
            assert await peer.rest() == b""

    run(main())


def test_a_refused_draft_is_aborted_at_once(run: Run) -> None:
    async def main() -> None:
        async with running() as one:
            peer = await one.greeted()
            assert (await deliver(peer, b"a\nb\r\n")).startswith("550 5.6.0 ")
            (draft,) = one.gate.drafts
            assert draft.aborted
            (rejected,) = await one.gate.wait_for(events.Rejected)
            assert (rejected.reason, rejected.reverse_path) == ("line-terminators", "a@c.example")
            assert (await deliver(peer)).startswith("250 ")

    run(main())


def test_violations_are_told_and_end_the_connection(run: Run) -> None:
    async def main() -> None:
        async with running() as one:
            peer = await one.greeted()
            await peer.send(b"junk\r\n" * 1000)
            answers = (await peer.rest()).decode().splitlines()
            assert [line[:3] for line in answers] == ["500"] * 10 + ["421"]
            told = await one.gate.wait_for(events.ProtocolViolation, 10)
            assert all(event.connection_id == "connection1" and event.client == "127.0.0.1" for event in told)
            assert len(told) == 10

    run(main())


def test_rej_01_at_connect_and_at_the_next_mail(run: Run) -> None:
    async def main() -> None:
        async with running() as one:
            early = await one.greeted()
            one.gate.refusal = Reply.REJECTING
            late = await one.connect()
            assert (await late.reply()).startswith("421 4.3.2 ")
            assert await late.rest() == b""
            assert (await early.ask(b"MAIL FROM:<a@c.example>\r\n")).startswith("421 4.3.2 ")
            assert await early.rest() == b""
            reasons = [event.reason for event in await one.gate.wait_for(events.Rejected, 2)]
            assert reasons == ["reject-incoming"] * 2

    run(main())


# --- admission ------------------------------------------------------------------------------------


def test_smtp_07_the_one_too_many_waits_for_its_greeting(run: Run) -> None:
    async def main() -> None:
        async with running(settings(max_incoming=1, max_queued=1)) as one:
            first = await one.greeted()
            second = await one.connect()
            await one.gate.wait_for(events.ConnectionFrom, 2)
            third = await one.connect()
            assert (await third.reply()).startswith("421 4.7.0 ")
            assert (one.shared.slots.open(), one.shared.slots.waiting()) == (1, 1)
            await first.close()
            assert (await second.reply()).startswith("220 ")
            assert (await deliver_after_hello(second)).startswith("250 ")
            results = [event.result for event in await one.gate.wait_for(events.ConnectionFrom, 4)]
            assert results == ["accepted", "queued", "refused", "accepted"]

    run(main())


async def deliver_after_hello(peer: Peer) -> str:
    await peer.ask(HELLO)
    return await deliver(peer)


def test_a_place_that_another_relay_frees(run: Run) -> None:
    async def main() -> None:
        async with running(settings(max_incoming=1)) as one:
            one.shared.slots.set(0, 0, 0)
            first = await one.greeted()
            second = await one.connect()
            await one.gate.wait_for(events.ConnectionFrom, 2)
            one.gate.settings = settings(max_incoming=2)
            one.server.apply(one.gate.settings)
            assert (await second.reply()).startswith("220 ")
            await first.close()

    run(main())


def test_one_who_waits_may_go(run: Run) -> None:
    async def main() -> None:
        async with running(settings(max_incoming=1)) as one:
            await one.greeted()
            waiting = await one.connect()
            await one.gate.wait_for(events.ConnectionFrom, 2)
            await waiting.close()
            await one.gate.wait_for(events.Disconnected)
            assert (one.shared.slots.open(), one.shared.slots.waiting()) == (1, 0)

    run(main())


def test_input_before_the_greeting(run: Run) -> None:
    async def main() -> None:
        async with running(settings(max_incoming=1)) as one:
            await one.greeted()
            hasty = await one.connect()
            await one.gate.wait_for(events.ConnectionFrom, 2)
            await hasty.send(HELLO)
            assert (await hasty.reply()).startswith("554 5.5.0 ")
            await one.gate.wait_for(events.ProtocolViolation)

    run(main())


def test_waiting_that_ends_for_all_at_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each end frees a place that the others are asked about: that must not nest."""
    monkeypatch.setattr("engine.smtp.admission.CONNECT_QUEUE_TIMEOUT_S", 0.0)

    async def main() -> None:
        async with running(settings(max_incoming=1, max_queued=100)) as one:
            await one.greeted()
            crowd = [await one.connect() for _ in range(60)]
            for peer in crowd:
                assert (await peer.reply()).startswith("421 4.7.0 ")

    run(main())


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of server and client."""
    directory: Path = tmp_path_factory.mktemp("tls")
    server = server_context(directory, HOSTNAME)
    return server, ssl.create_default_context(cafile=str(directory / FILE_NAME))


Tls = tuple[ssl.SSLContext, ssl.SSLContext]


def test_starttls(run: Run, tls: Tls) -> None:
    async def main() -> None:
        async with running(tls=tls[0]) as one:
            peer = await one.greeted()
            assert (await peer.ask(b"STARTTLS\r\n")).startswith("220 2.0.0 ")
            await peer.start_tls(tls[1])
            assert (await peer.ask(b"MAIL FROM:<a@c.example>\r\n")).startswith("503 ")
            assert "STARTTLS" not in await peer.ask(HELLO)
            assert (await deliver(peer, b"x" * 998 + b"\r\n" + MESSAGE * 20_000)).startswith("250 ")
            assert (await deliver(peer)).startswith("250 ")
            received = one.gate.stored[0][0]
            assert received.protocol == "ESMTPS"
            assert received.tls.startswith("TLSv1.")
            assert (await peer.ask(b"QUIT\r\n")).startswith("221 ")
            assert await peer.rest() == b""

    run(main())


def test_plaintext_behind_starttls_ends_the_connection(run: Run, tls: Tls) -> None:
    async def main() -> None:
        async with running(tls=tls[0]) as one:
            peer = await one.greeted()
            assert (await peer.ask(b"STARTTLS\r\nMAIL FROM:<evil@c.example>\r\n")).startswith("554 5.5.0 ")
            assert await peer.rest() == b""
            await one.gate.wait_for(events.ProtocolViolation)

    run(main())


def test_plaintext_in_place_of_a_handshake(run: Run, tls: Tls) -> None:
    async def main() -> None:
        async with running(tls=tls[0]) as one:
            peer = await one.greeted()
            assert (await peer.ask(b"STARTTLS\r\n")).startswith("220 ")
            await peer.send(b"MAIL FROM:<evil@c.example>\r\n")
            assert b"250" not in await peer.rest()
            (violation,) = await one.gate.wait_for(events.ProtocolViolation)
            assert "TLS" in violation.violation
            await one.gate.wait_for(events.Disconnected)
            assert one.shared.slots.open() == 0
            assert not one.server.connections

    run(main())


def test_gone_before_the_handshake(run: Run, tls: Tls) -> None:
    async def main() -> None:
        async with running(tls=tls[0]) as one:
            peer = await one.greeted()
            assert (await peer.ask(b"STARTTLS\r\n")).startswith("220 ")
            await peer.close()
            await one.gate.wait_for(events.Disconnected)
            assert not one.server.connections

    run(main())


# --- time and stop --------------------------------------------------------------------------------


def test_a_silent_client_times_out(run: Run) -> None:
    async def main() -> None:
        async with running(settings(command_timeout_s=1)) as one:
            peer = await one.greeted()
            await peer.send(b"NOO")  # octets are no command
            assert (await peer.reply()).startswith("421 4.4.2 ")
            assert await peer.rest() == b""

    run(main())


def test_a_silent_client_times_out_in_data(run: Run) -> None:
    async def main() -> None:
        async with running(settings(data_timeout_s=1)) as one:
            peer = await one.greeted()
            await to_data(peer)
            assert one.server.loop.time() + DATA_TOTAL_TIMEOUT_S > next(iter(one.server.connections))._deadline
            await peer.send(b"Subject: x\r\n")
            (connection,) = one.server.connections
            async with asyncio.timeout(UPPER_S):
                while not one.gate.drafts[0].data:
                    await asyncio.sleep(0)
            assert connection._deadline <= one.server.loop.time() + 1.5
            connection._deadline = 0.0
            connection._tick()
            assert (await peer.reply()).startswith("421 4.4.2 ")
            assert one.gate.drafts[0].aborted

    run(main())


def test_shut_down_tells_everyone_after_the_commit_under_way(run: Run) -> None:
    async def main() -> None:
        async with running(settings(max_incoming=3)) as one:
            idle, sending, committing = [await one.greeted() for _ in range(3)]
            waiting = await one.connect()
            await one.gate.wait_for(events.ConnectionFrom, 4)
            await to_data(sending)
            await to_data(committing)
            one.gate.may_commit.clear()
            await committing.send(MESSAGE + b".\r\n")
            async with asyncio.timeout(UPPER_S):
                await one.gate.committing.wait()
            stopping = asyncio.create_task(one.server.shut_down(UPPER_S))
            for peer in (idle, sending, waiting):
                assert (await peer.reply()).startswith("421 4.3.2 ")
                assert await peer.rest() == b""
            assert not stopping.done()
            one.gate.may_commit.set()
            assert (await committing.reply()).startswith("250 2.0.0 ok, queued as ")
            assert (await committing.reply()).startswith("421 4.3.2 ")
            async with asyncio.timeout(UPPER_S):
                await stopping
            assert len(one.gate.stored) == 1
            assert sum(draft.aborted for draft in one.gate.drafts) == 1
            with pytest.raises(OSError):
                await one.connect()

    run(main())


def test_settings_count_for_open_connections(run: Run) -> None:
    async def main() -> None:
        async with running() as one:
            peer = await one.greeted()
            one.gate.settings = settings(max_mb=1)
            assert (await peer.ask(b"MAIL FROM:<a@c.example> SIZE=2000000\r\n")).startswith("552 ")

    run(main())


def test_who_would_begin_to_wait_while_the_service_stops_is_queued() -> None:
    """PROC-14: nobody waits for an examination that a stop has overtaken, or the stop would take as long."""

    async def main() -> None:
        gate = MemoryGate(settings())
        intake = Intake(gate, ClientInfo("192.0.2.1", 1, "c1"), Acceptance.SCAN)
        offered = mock.Mock(return_value=None)
        with mock.patch.object(gate, "offer", offered):
            intake.hurry()
            draft = mock.AsyncMock()
            assert await intake.commit(draft) is None
        draft.commit.assert_awaited_once()
        offered.assert_not_called()

    asyncio.run(main())
