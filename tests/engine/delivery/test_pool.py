"""Kept connections: sharing, limits, ends (SMTP-05, RSMTP-02, RSMTP-04)."""

import asyncio

import pytest

from engine.config import Route
from engine.delivery import lane, pool
from engine.delivery.lane import FIRST_PLACES
from engine.events import ConnectedTo, ConnectionClosed
from engine.queue.record import Attempt, Result
from tests.engine.delivery.peers import CONTENT, Room, mail, run, settings_for, until


def all_delivered(attempts: list[list[Attempt]]) -> bool:
    return all(one.result is Result.DELIVERED for found in attempts for one in found)


def assert_stalled(attempts: list[Attempt]) -> None:
    (one,) = attempts
    assert one.result is Result.PENDING
    assert "waited for the connection" in one.reply


def test_a_connection_is_used_again_and_says_so_rsmtp_02() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port))
        for _ in range(3):
            assert all_delivered([await out.deliverer.deliver(mail("to@example.com"))])
        assert hop.connections == 1
        assert [event.kind for event in out.named(ConnectedTo)] == ["Actual", "Cached", "Cached"]
        assert len({event.connection_id for event in out.named(ConnectedTo)}) == 1

    run(test)


def test_many_messages_share_a_bounded_set_smtp_05() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port, max_outgoing=4))
        attempts = await asyncio.gather(*(out.deliverer.deliver(mail("to@example.com")) for _ in range(100)))
        assert all_delivered(attempts)
        assert len(hop.taken) == 100
        assert hop.connections <= 4

    run(test)


def test_the_maximum_holds_over_all_next_hops_and_none_starves() -> None:
    async def test(room: Room) -> None:
        one, two, three = [await room.hop() for _ in range(3)]
        routes = (Route("one.example", "127.0.0.1", one.port), Route("two.example", "127.0.0.1", two.port))
        out = room.outbound(settings_for(three.port, *routes, max_outgoing=2))
        most = 0

        def count(_: str) -> bytes:
            nonlocal most
            most = max(most, len(one.standing) + len(two.standing) + len(three.standing))
            return b"250 ok\r\n"

        for hop in (one, two, three):
            hop.answers["MAIL"] = count
        domains = ["one.example"] * 40 + ["two.example", "three.example"] * 5
        work = [asyncio.create_task(out.deliverer.deliver(mail(f"to@{domain}"))) for domain in domains]
        assert all_delivered(await asyncio.gather(*work))
        assert out.deliverer.pool.open <= 2
        assert most <= 3  # one may still be closing

    run(test)


def test_a_hanging_next_hop_leaves_room_for_others_proc_06() -> None:
    async def test(room: Room) -> None:
        hanging, good = await room.hop(), await room.hop()
        hanging.answers["MAIL"] = lambda _: b""
        out = room.outbound(settings_for(good.port, Route("slow.example", "127.0.0.1", hanging.port), max_outgoing=8))
        work = [asyncio.create_task(out.deliverer.deliver(mail("to@slow.example"))) for _ in range(20)]
        await until(lambda: hanging.connections == FIRST_PLACES)
        assert all_delivered([await out.deliverer.deliver(mail("to@example.com"))])
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        assert out.deliverer.pool.open == 1

    run(test)


def test_a_next_hop_that_takes_mail_gets_more_places_but_not_the_last_ones_proc_06() -> None:
    """PROC-06: also one that hangs after it took much leaves places to others."""

    async def test(room: Room) -> None:
        hanging, good = await room.hop(), await room.hop()
        out = room.outbound(settings_for(good.port, Route("slow.example", "127.0.0.1", hanging.port), max_outgoing=8))
        work = [asyncio.create_task(out.deliverer.deliver(mail("to@slow.example"))) for _ in range(50)]
        await asyncio.gather(*work)
        hanging.answers["MAIL"] = lambda _: b""
        work = [asyncio.create_task(out.deliverer.deliver(mail("to@slow.example"))) for _ in range(50)]
        await until(lambda: len(hanging.said("MAIL")) == 50 + 6)
        assert all_delivered([await out.deliverer.deliver(mail("to@example.com"))])
        assert out.deliverer.pool.open == 6 + 1  # six of eight: two must be free for each that it has, but for the last
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)

    run(test)


def test_hosts_that_say_nothing_leave_places_to_what_takes_mail_proc_06() -> None:
    async def test(room: Room) -> None:
        good = await room.hop()
        hanging = [await room.hop() for _ in range(12)]
        for hop in hanging:
            hop.answers["MAIL"] = lambda _: b""
        routes = [Route(f"slow{at}.example", "127.0.0.1", hop.port) for at, hop in enumerate(hanging)]
        out = room.outbound(settings_for(good.port, *routes, max_outgoing=4))
        assert all_delivered([await out.deliverer.deliver(mail("to@example.com"))])
        work = [asyncio.create_task(out.deliverer.deliver(mail(f"to@slow{at}.example"))) for at in range(12)]
        await until(lambda: sum(hop.connections for hop in hanging) >= 3)
        assert all_delivered([await out.deliverer.deliver(mail("to@example.com"))])
        assert out.deliverer.pool.open <= 4
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)

    run(test)


def test_hosts_that_say_nothing_after_the_content_leave_places_to_new_ones_proc_06() -> None:
    """PROC-06: they may have taken their mail, so that their places cannot be had for minutes."""

    async def test(room: Room) -> None:
        good = await room.hop()
        hanging = [await room.hop() for _ in range(4)]
        for hop in hanging:
            hop.answers["CHUNK"] = lambda _: b""
        routes = [Route(f"slow{at}.example", "127.0.0.1", hop.port) for at, hop in enumerate(hanging)]
        out = room.outbound(settings_for(good.port, *routes, max_outgoing=8))
        work = [asyncio.create_task(out.deliverer.deliver(mail(f"to@slow{at % 4}.example"))) for at in range(12)]
        await until(lambda: all(hop.said("BDAT") for hop in hanging))
        assert all_delivered([await out.deliverer.deliver(mail("to@example.com"))])
        assert [hop.connections for hop in hanging] == [1, 1, 1, 1]
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)

    run(test)


def test_the_place_of_what_does_not_move_goes_to_who_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """PROC-06: with every place taken by hosts that say nothing, mail to another next hop goes on."""
    monkeypatch.setattr(lane, "STALL_S", 0.2)
    monkeypatch.setattr(pool, "LOOK_S", 0.05)

    async def test(room: Room) -> None:
        good, silent, stopped, other = [await room.hop() for _ in range(4)]
        silent.answers["GREETING"] = lambda _: b""
        stopped.capabilities = ("PIPELINING",)  # with CHUNKING all is sent at once, and it may have taken it
        stopped.answers["MAIL"] = lambda _: b""
        ports = {"a": silent.port, "b": stopped.port, "c": other.port}
        routes = [Route(f"{name}.example", "127.0.0.1", port) for name, port in ports.items()]
        out = room.outbound(settings_for(good.port, *routes, max_outgoing=2))
        first, second = [asyncio.create_task(out.deliverer.deliver(mail(f"to@{one}.example"))) for one in "ab"]
        assert_stalled(await first)
        await until(lambda: stopped.said("MAIL") != [])
        third = asyncio.create_task(out.deliverer.deliver(mail("to@a.example")))
        assert all_delivered([await out.deliverer.deliver(mail("to@example.com"))])
        assert (await third)[0].result is Result.PENDING  # it is known to be down
        third = asyncio.create_task(out.deliverer.deliver(mail("to@c.example")))
        assert_stalled(await second)
        third.cancel()
        await asyncio.gather(third, return_exceptions=True)

    run(test)


def test_a_kept_connection_that_died_is_replaced_unseen() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port))
        await out.deliverer.deliver(mail("to@example.com"))
        hop.answers["MAIL"] = lambda _: None if hop.connections == 1 else b"250 ok\r\n"
        assert all_delivered([await out.deliverer.deliver(mail("to@example.com"))])
        assert [taken.body for taken in hop.taken] == [CONTENT, CONTENT]
        assert hop.connections == 2

    run(test)


def test_421_on_a_kept_connection_is_no_result() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port))
        await out.deliverer.deliver(mail("to@example.com"))
        hop.answers["MAIL"] = lambda _: b"421 4.4.2 idle\r\n" if hop.connections == 1 else b"250 ok\r\n"
        assert all_delivered([await out.deliverer.deliver(mail("to@example.com"))])
        assert out.named(ConnectionClosed)[0].last_response == "421 4.4.2 idle"

    run(test)


def test_it_is_tried_again_only_once() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port))
        await out.deliverer.deliver(mail("to@example.com"))
        hop.answers["MAIL"] = lambda _: None
        attempts = await out.deliverer.deliver(mail("to@example.com"))
        assert attempts[0].result is Result.PENDING
        assert hop.connections == 2

    run(test)


def test_a_connection_closed_while_idle_is_forgotten_rsmtp_04() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port))
        await out.deliverer.deliver(mail("to@example.com"))
        hop.drop()
        await until(lambda: out.deliverer.pool.open == 0)
        closed = out.named(ConnectionClosed)[0]
        assert (closed.last_command, closed.last_response) == ("BDAT", "250 2.0.0 queued")

    run(test)


def test_idle_connections_end_with_quit() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port, cache_idle_s=1))
        await out.deliverer.deliver(mail("to@example.com"))
        await until(lambda: hop.said("QUIT"))
        assert out.deliverer.pool.open == 0

    run(test)


def test_no_more_than_the_setting_stay_idle() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port, cached_connections=2))
        await asyncio.gather(*(out.deliverer.deliver(mail("to@example.com")) for _ in range(20)))
        assert out.deliverer.pool.open <= 2

    run(test)


def test_a_connection_that_became_idle_serves_whom_a_new_one_was_refused() -> None:
    """SMTP-05: nobody waited when it was given back, and nothing would have woken the one that came then."""

    async def test(room: Room) -> None:
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port))
        assert all_delivered([await out.deliverer.deliver(mail("to@example.com"))])
        (first,) = hop.standing
        connections = out.deliverer.pool
        lent = next(one for one in map(connections.take, list(connections._lanes)) if one is not None)
        assert lent.hop is not None
        hop.answers["GREETING"] = lambda _: b""
        other = asyncio.ensure_future(connections.acquire(lent.hop))
        await until(lambda: len(hop.standing) == 2)
        connections.release(lent)
        (second,) = hop.standing - {first}
        second.transport.write(b"421 4.7.0 too many\r\n")
        assert await other is lent

    run(test)


def test_a_next_hop_that_takes_only_some_connections_is_served_on_those() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        hop.answers["GREETING"] = lambda _: b"220 ok\r\n" if len(hop.standing) <= 2 else b"421 4.7.0 too many\r\n"
        out = room.outbound(settings_for(hop.port))
        attempts = await asyncio.gather(*(out.deliverer.deliver(mail("to@example.com")) for _ in range(30)))
        assert all_delivered(attempts)

    run(test)


def test_a_next_hop_that_is_down_fails_all_that_wait_at_once() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        out = room.outbound(settings_for(hop.port, max_outgoing=2))
        await hop.stop()
        attempts = await asyncio.gather(*(out.deliverer.deliver(mail("to@example.com")) for _ in range(30)))
        assert {one.result for found in attempts for one in found} == {Result.PENDING}
        assert all(one.reply.startswith("4.4.1 connecting to") for found in attempts for one in found)
        assert {one.next_hop for found in attempts for one in found} == {""}  # PROC-06: nobody answered
        assert len(out.named(ConnectedTo)) <= 2
        assert out.deliverer.pool.open == 0

    run(test)


def test_cancelled_delivery_gives_back_its_place_and_never_ends_the_message() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        hop.answers["CHUNK"] = lambda _: b""
        out = room.outbound(settings_for(hop.port, max_outgoing=1))
        work = [asyncio.create_task(out.deliverer.deliver(mail("to@example.com"))) for _ in range(5)]
        await until(lambda: hop.said("BDAT"))
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        await until(lambda: not hop.standing)
        assert out.deliverer.pool.open == 0
        hop.answers.clear()
        assert all_delivered([await out.deliverer.deliver(mail("to@example.com"))])

    run(test)


def test_close_ends_what_waits() -> None:
    async def test(room: Room) -> None:
        hop = await room.hop()
        hop.answers["MAIL"] = lambda _: b""
        out = room.outbound(settings_for(hop.port, max_outgoing=1))
        work = [asyncio.create_task(out.deliverer.deliver(mail("to@example.com"))) for _ in range(5)]
        await until(lambda: hop.said("MAIL"))
        await out.deliverer.close()
        attempts = await asyncio.gather(*work)
        assert {one.result for found in attempts for one in found} == {Result.PENDING}

    run(test)
