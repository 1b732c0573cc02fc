"""Every reason of rejection over a real socket: the reply, the one event, and the counter that it ends in."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from control.records.follower import Follower
from control.records.store import Store
from engine import events
from engine.config import Blocking, Characters, Settings, Size, Smtp
from engine.events import Rejected
from engine.journal import JournalWriter
from engine.relay_rule import Field
from engine.replies import Reason, Reply
from engine.smtp.gate import ACCEPTED, Answer
from tests.engine.smtp.conftest import Run
from tests.engine.smtp.harness import HOSTNAME, REFUSED, UPPER_S, Peer, Running, running

SETTINGS = Settings(
    smtp=Smtp(hostname=HOSTNAME, max_recipients=2, max_hops=2, max_incoming=1, max_queued=0),
    blocking=Blocking(size=Size(enabled=True, max_mb=1), characters=Characters(enabled=True)),
)
MAIL = b"MAIL FROM:<a@c.example>\r\n"
LONG = b"x" * 998 + b"\r\n"
SENDER, RECIPIENT = "a@c.example", "b@local.example"
MANY = ("b0@local.example", "b1@local.example", "b2@local.example")

Case = Callable[[Running], Awaitable[str]]


async def in_turn(peer: Peer, *commands: bytes) -> str:
    """The last reply."""
    reply = ""
    for command in commands:
        reply = await peer.ask(command)
    return reply


def dialogue(*commands: bytes) -> Case:
    async def case(one: Running) -> str:
        return await in_turn(await one.greeted(), *commands)

    return case


def rcpt(forward_path: str) -> bytes:
    return f"RCPT TO:<{forward_path}>\r\n".encode()


def content(octets: bytes) -> Case:
    return dialogue(MAIL, rcpt(RECIPIENT), b"DATA\r\n", octets)


def chunk(octets: bytes) -> Case:
    return dialogue(MAIL, rcpt(RECIPIENT), b"BDAT %d LAST\r\n%s" % (len(octets), octets))


async def at_connect(one: Running) -> str:
    one.gate.refusal = Reply.REJECTING
    return await (await one.connect()).reply()


async def at_mail(one: Running) -> str:
    peer = await one.greeted()
    one.gate.refusal = Reply.REJECTING
    return await peer.ask(MAIL)


async def listed(one: Running) -> str:
    def sender() -> asyncio.Future[Answer]:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, Answer(Reply.BLOCK_LISTED, "bl.example"))
        return future

    one.gate.sender = sender
    return await in_turn(await one.greeted(), MAIL, b"RCPT TO:<b@local.example>\r\n")


async def without_field(one: Running) -> str:
    one.gate.decide = lambda path: Answer(fields=(Field("x-tenant", "t"),))
    return await content(b"X-Tenant: other\r\n\r\nbody\r\n.\r\n")(one)


async def crowded(one: Running) -> str:
    await one.greeted()
    return await (await one.connect()).reply()


async def hopeless(one: Running) -> str:
    peer = await one.greeted()
    await peer.send(b"junk\r\n" * 10)
    for _ in range(10):
        await peer.reply()
    return await peer.reply()


def row(name: str, case: Case, reply: str, reason: Reason, sender: str = SENDER, recipient: str = "") -> ParameterSet:
    return pytest.param(case, reply, reason, (sender, recipient), id=name)


TABLE = [
    row("REJ-01 at connect", at_connect, "421 4.3.2 ", Reason.REJECTING, ""),
    row("REJ-01 at MAIL", at_mail, "421 4.3.2 ", Reason.REJECTING, ""),
    row("REJ-02 at MAIL", dialogue(b"MAIL FROM:<a%b@c.example>\r\n"), "553 5.1.7 ", Reason.CHARACTERS, "a%b@c.example"),
    row(
        "REJ-02 at RCPT",
        dialogue(MAIL, rcpt("x!b@b.example")),
        "553 5.1.3 ",
        Reason.CHARACTERS,
        SENDER,
        "x!b@b.example",
    ),
    row("REJ-03 at RCPT", dialogue(MAIL, rcpt(REFUSED)), "550 5.7.1 ", Reason.RELAY, SENDER, REFUSED),
    row("REJ-03 for want of a field", without_field, "550 5.7.1 ", Reason.RELAY, SENDER, RECIPIENT),
    row("REJ-04 at MAIL", dialogue(b"MAIL FROM:<a@c.example> SIZE=1048577\r\n"), "552 5.3.4 ", Reason.SIZE),
    row("REJ-04 at DATA", content(LONG * 1100 + b".\r\n"), "552 5.3.4 ", Reason.SIZE),
    row("REJ-04 at BDAT", chunk(LONG * 1100), "552 5.3.4 ", Reason.SIZE),
    row("REJ-05 at DATA", content(b"Subject: x\ny: z\r\n\r\n.\r\n"), "550 5.6.0 ", Reason.LINE_ENDS),
    row("REJ-05 at BDAT", chunk(b"Subject: x\ry: z\r\n\r\n"), "550 5.6.0 ", Reason.LINE_ENDS),
    row("REJ-06 at DATA", content(b"Subject: x\r\n\r\nbo\0dy\r\n.\r\n"), "550 5.6.0 ", Reason.NUL),
    row("REJ-06 at BDAT", chunk(b"Subject: x\r\n\r\n\0"), "550 5.6.0 ", Reason.NUL),
    row("REJ-07 at RCPT", listed, "554 5.7.1 ", Reason.BLOCK_LIST, SENDER, RECIPIENT),
    row("REJ-08 recipients", dialogue(MAIL, *map(rcpt, MANY)), "452 4.5.3 ", Reason.RECIPIENTS),
    row("REJ-08 hops", content(b"Received: x\r\n" * 3 + b"\r\n.\r\n"), "554 5.4.6 ", Reason.HOPS),
    row("REJ-08 connections", crowded, "421 4.7.0 ", Reason.CONNECTIONS, ""),
    row("REJ-08 protocol errors", hopeless, "421 4.7.0 ", Reason.PROTOCOL, ""),
]


@pytest.mark.parametrize(("case", "reply", "reason", "paths"), TABLE)
def test_each_reason(run: Run, tmp_path: Path, case: Case, reply: str, reason: Reason, paths: tuple[str, str]) -> None:
    """REJ-01..08, BLK-02, SIZE-03, CHAR-03, RELAY-12, DNSBL-06, NTF-14: one reply, one event, one in the counter.

    Nothing is queued, so that no notification can come of it: notifications are written for queued messages.
    """
    store = Store(tmp_path / "events.sqlite", tmp_path / "journal")
    journal = JournalWriter(tmp_path / "journal", "relay-0")

    async def main() -> None:
        async with running(SETTINGS) as one:
            assert (await case(one)).startswith(reply)
            (rejected,) = await one.gate.wait_for(Rejected)
            assert isinstance(rejected, Rejected)
            assert rejected.reason == reason
            assert (rejected.reverse_path, rejected.forward_path) == paths
            assert rejected.client == "127.0.0.1" and rejected.connection_id
            assert not one.gate.stored and not one.gate.accepted_ids
            for event in one.gate.events:
                journal.write(event)

    try:
        run(main())
        journal.close()
        Follower(tmp_path / "journal", store).poll()
        with store.read() as view:
            assert view.totals()["rejected"].count == 1
            assert "accepted" not in view.totals()
    finally:
        store.close()


def test_every_reason_is_in_the_table() -> None:
    """But for those that only clients hear that wait, of which tests/system/test_before_queue.py tells."""
    assert {case.values[2] for case in TABLE} == set(Reason) - {Reason.CONTENT, Reason.NEXT_HOP}


def test_a_verdict_on_the_sender_is_awaited_at_each_recipient_and_found_out_once(run: Run) -> None:
    """DNSBL-06, DNSBL-07: from MAIL on; recipients that are refused otherwise do not wait for it."""

    async def main() -> None:
        async with running() as one:
            asked: list[asyncio.Future[Answer]] = []

            def sender() -> asyncio.Future[Answer]:
                asked.append(asyncio.get_running_loop().create_future())
                return asked[-1]

            one.gate.sender = sender
            peer = await one.greeted()
            assert (await peer.ask(MAIL)).startswith("250 ")
            assert len(asked) == 1
            assert (await peer.ask(b"RCPT TO:<%s>\r\n" % REFUSED.encode())).startswith("550 5.7.1 relaying")
            await peer.send(b"RCPT TO:<b@local.example>\r\nRCPT TO:<c@local.example>\r\nDATA\r\n")
            asked[0].set_result(Answer(Reply.BLOCK_LISTED, "bl.example"))
            for _ in range(2):
                assert await peer.reply() == Reply.BLOCK_LISTED.line("bl.example").decode()
            assert (await peer.reply()).startswith("554 5.5.1 ")
            assert len(asked) == 1
            assert (await peer.ask(b"RSET\r\n")).startswith("250 ")
            assert (await peer.ask(MAIL)).startswith("250 ")
            await peer.send(b"RCPT TO:<b@local.example>\r\n")
            asked[1].set_result(ACCEPTED)
            assert (await peer.reply()).startswith("250 2.1.5")
            assert (await peer.ask(b"RSET\r\n")).startswith("250 ")
            assert (await peer.ask(MAIL)).startswith("250 ")
            peer.writer.transport.abort()
            await one.gate.wait_for(events.Disconnected)
            assert asked[2].cancelled()

    run(main())


def test_a_verdict_that_fails_is_none(run: Run) -> None:
    """DNSBL-09: what goes wrong speaks for the sender."""

    async def main() -> None:
        async with running() as one:
            asked: list[asyncio.Future[Answer]] = []

            def sender() -> asyncio.Future[Answer]:
                asked.append(asyncio.get_running_loop().create_future())
                return asked[-1]

            one.gate.sender = sender
            peer = await one.greeted()
            assert (await peer.ask(MAIL)).startswith("250 ")
            await peer.send(b"RCPT TO:<b@local.example>\r\n")
            async with asyncio.timeout(UPPER_S):
                asked[0].set_exception(RuntimeError("secret detail"))
            assert (await peer.reply()).startswith("250 2.1.5")
            assert (await peer.ask(b"RSET\r\n")).startswith("250 ")

            def broken() -> asyncio.Future[Answer]:
                raise RuntimeError("secret detail")

            one.gate.sender = broken
            assert (await peer.ask(MAIL)).startswith("250 ")
            assert (await peer.ask(b"RCPT TO:<b@local.example>\r\n")).startswith("250 2.1.5")

    run(main())
