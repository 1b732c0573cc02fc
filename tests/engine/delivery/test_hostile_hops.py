"""Next hops that lie, stall and break off: nothing counts as delivered that was not taken, and nothing is kept."""

import asyncio

import pytest

from engine import limits
from engine.config import Route
from engine.delivery import connection
from engine.delivery.client import Session
from engine.delivery.dialogue import State
from engine.delivery.envelope import Envelope
from engine.delivery.reply import Reply
from engine.events import ConnectionClosed
from engine.queue.record import Recipient, Result
from tests.engine.delivery.peers import CONTENT, FULL, Room, mail, run, settings_for, until

ENVELOPE = Envelope("a@example.org", [Recipient("b@example.com"), Recipient("c@example.com")], 8)
PLAIN = ("8BITMIME",)
PIPELINING = (*PLAIN, "PIPELINING")
CHUNKING = (*PIPELINING, "CHUNKING")


def session_with(*capabilities: str, greeting: bytes = b"220 hop\r\n") -> Session:
    session = Session("gw.example.net")
    session.receive(greeting)
    lines = ["hop", *capabilities]
    session.receive("".join(f"250{' ' if one is lines[-1] else '-'}{one}\r\n" for one in lines).encode())
    return session


@pytest.mark.parametrize(
    ("capabilities", "replies"),
    [
        (PIPELINING, b"250 ok\r\n250 ok\r\n250 ok\r\n250 2.0.0 all is well\r\n"),  # DATA
        (PLAIN, b"250 ok\r\n250 ok\r\n250 ok\r\n250 2.0.0 all is well\r\n"),
        (PIPELINING, b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n354 go\r\n"),  # content
        (CHUNKING, b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n"),
        (PIPELINING, b"250 ok\r\n354 go\r\n250 ok\r\n"),  # RCPT
        (PLAIN, b"354 go\r\n"),  # MAIL
        (PIPELINING, b"250 ok\r\n250 ok\r\n250 ok\r\n399 go\r\n250 2.0.0 ok\r\n250 2.0.0 ok\r\n"),
    ],
)
def test_replies_out_of_step_are_no_delivery(capabilities: tuple[str, ...], replies: bytes) -> None:
    """PROC-11: what answers another command than it stands for says nothing of a message, now or later."""
    session = session_with(*capabilities)
    session.begin(ENVELOPE, b"x\r\n")
    for reply in replies.splitlines(keepends=True):
        session.receive(reply)
    assert session.state is State.CLOSED
    assert len(session.results) == 2
    assert not any(reply.positive or reply.permanent for reply in session.results)


def test_a_reply_too_many_does_not_count_for_the_next_message() -> None:
    """PROC-11: one that says 354 twice is one reply ahead. The message after it goes out on another connection."""

    async def test(room: Room) -> None:
        hop = await room.hop(PIPELINING)
        hop.answers["DATA"] = lambda _: b"354 go on\r\n354 go on\r\n"
        out = room.outbound(settings_for(hop.port))
        (attempt,) = await out.deliverer.deliver(mail("to@example.com"))
        assert attempt.result is Result.PENDING
        hop.taken.clear()
        hop.answers.clear()
        (attempt,) = await out.deliverer.deliver(mail("to@example.com"))
        assert (attempt.result, hop.connections) == (Result.DELIVERED, 2)
        assert [taken.body for taken in hop.taken] == [CONTENT]

    run(test)


@pytest.mark.parametrize("late", [b"220 go on\r\n", b"2", b"250-hop\r\n"])
def test_what_comes_in_the_clear_behind_starttls_ends_it(late: bytes) -> None:
    """RFC 3207 s6: in the same piece as the reply, and in the next one."""
    for cut in (False, True):
        session = session_with("STARTTLS")
        for piece in (b"220 go on\r\n", late) if cut else (b"220 go on\r\n" + late,):
            session.receive(piece)
        assert session.state is State.CLOSED
        assert session.failure == Reply(0, "4.7.0 octets in the clear after STARTTLS")


@pytest.mark.parametrize("size", ["\N{SUPERSCRIPT TWO}", "9" * 5000, "-1", "", "1.5"])
def test_odd_sizes_are_none(size: str) -> None:
    """RFC 1870: nothing that a host says raises."""
    session = session_with(f"SIZE {size}")
    assert (session.state, session.lacks(ENVELOPE)) == (State.READY, None)


def test_an_idle_host_cannot_refuse_what_it_was_not_given() -> None:
    """PROC-11: a refusal of nothing is none of the next message."""
    session = session_with(*CHUNKING)
    session.receive(b"554 5.7.1 idle for too long\r\n")
    session.begin(ENVELOPE, b"x\r\n")
    assert not any(reply.permanent for reply in session.results)


def test_a_host_that_does_not_read_loses_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """SMTP-05: also after it said that it is over, when a MiB is still to be written to it."""
    monkeypatch.setattr(connection, "SHUT_S", 0.05)
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hop\r\n")
        for answer in (b"250 hop\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            await reader.readline()
            writer.write(answer)
        await reader.read(1)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.1)  # the buffers of the kernel fill; less makes the test easier, not wrong
        writer.write(b"421 4.3.2 enough\r\n")
        await done.wait()
        writer.close()

    async def test(room: Room) -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1024)
        out = room.outbound(settings_for(server.sockets[0].getsockname()[1]))
        message = mail("to@example.com", content=b"Subject: large\r\n\r\n" + (b"x" * 70 + b"\r\n") * 400_000)
        (attempt,) = await out.deliverer.deliver(message)
        assert (attempt.result, attempt.reply) == (Result.PENDING, "421 4.3.2 enough")
        await until(lambda: out.named(ConnectionClosed))
        done.set()
        server.close()

    run(test)


@pytest.mark.parametrize(
    ("said", "messages"),
    [
        ("RCPTMAX=2", [2, 2, 1]),
        ("RCPTDOMAINMAX=1", [2, 1, 2]),
        ("RCPTMAX=1 MAILMAX=2", [1, 1, 1, 1, 1]),
        ("RCPTMAX=0 MAILMAX=x RCPTDOMAINMAX", [5]),
    ],
)
def test_limits_of_a_host_are_kept_to(said: str, messages: list[int]) -> None:
    """RFC 9422 s4: recipients, their domains, and messages of one connection; each recipient once."""
    to = ["a@one.example", "b@one.example", "c@two.example", "d@one.example", "e@one.example"]

    async def test(room: Room) -> None:
        hop = await room.hop((*FULL, f"LIMITS {said}"))
        out = room.outbound(settings_for(hop.port))
        attempts = await out.deliverer.deliver(mail(*to))
        assert [attempt.recipient for attempt in attempts] == [0, 1, 2, 3, 4]
        assert all(attempt.result is Result.DELIVERED for attempt in attempts)
        assert [len(taken.recipients) for taken in hop.taken] == messages
        assert hop.connections == (3 if "MAILMAX=2" in said else 1)

    run(test)


REPLIES = {
    "a million lines": b"250-PIPELINING\r\n" * 1_000_000,
    "a line without an end": b"250-" + b"x" * 1_000_000,
    "no reply": b"\x16\x03\x01\x02\x00\x01\x00" * 1000 + b"\n",
    "greetings without an end": b"220 hop\r\n" * 100_000,
}


@pytest.mark.parametrize("octets", REPLIES.values(), ids=REPLIES.keys())
def test_endless_replies_are_cut_off_at_once(octets: bytes) -> None:
    """SMTP-05: and the mail of others goes on meanwhile."""

    async def test(room: Room) -> None:
        bad, good = await room.hop(), await room.hop()
        bad.answers["GREETING"] = lambda _: octets
        out, other = room.outbound(settings_for(bad.port)), room.outbound(settings_for(good.port))
        (failed,), (fine,) = await asyncio.gather(
            out.deliverer.deliver(mail("to@example.com")), other.deliverer.deliver(mail("to@example.com"))
        )
        assert (failed.result, fine.result) == (Result.PENDING, Result.DELIVERED)
        assert failed.reply.startswith("4.")
        assert len(failed.reply) < 1100

    run(test)


def test_mx_hosts_without_an_answer_are_asked_for_at_once() -> None:
    """RTE-04, RTE-12: strangers name many; one after the other they would hold mail for minutes."""

    async def test(room: Room) -> None:
        hosts = [f"h{number}.example" for number in range(40)]
        names = await room.names({("many.example", "MX"): [f"10 {host}." for host in hosts]})
        names.silent = set(hosts)
        out = room.outbound(settings_for(1, Route("many.example")), names.resolver())
        found = asyncio.create_task(out.deliverer.deliver(mail("to@many.example")))
        await until(lambda: len({name for name, _ in names.asked} & names.silent) == limits.DNS_NAMES)
        found.cancel()
        await asyncio.gather(found, return_exceptions=True)

    run(test)
