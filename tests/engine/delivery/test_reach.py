"""Addresses of one host: both families, one that hangs, those that refuse; and how much a next hop gets at a time."""

import asyncio
import random
import socket
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from bench.ports import free_port
from engine import limits
from engine.config import Route
from engine.delivery import reach
from engine.delivery.reach import SLOW_S, Reach
from engine.events import ConnectedTo
from engine.queue.record import Result
from tests.engine.delivery.peers import Room, mail, run, settings_for


class Spot(NamedTuple):
    address: str
    port: int


@pytest.fixture
def hanging() -> Iterator[tuple[str, int]]:
    """An IPv6 address and port where connections get no answer: the backlog of its socket is full."""
    with socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::1", free_port()))  # where a hop can listen at 127.0.0.1, too
        listener.listen(0)
        place = listener.getsockname()[:2]
        held = []
        for _ in range(4):
            one = socket.socket(socket.AF_INET6)
            one.setblocking(False)
            one.connect_ex(place)
            held.append(one)
        yield place
        for one in held:
            one.close()


def test_a_family_that_hangs_costs_a_moment_and_is_remembered(hanging: tuple[str, int]) -> None:
    """DLV-06, RFC 8305: mail is handed over by the other family, long before the time-out to connect."""
    address, port = hanging

    async def test(room: Room) -> None:
        hop = await room.hop(port=port)
        names = await room.names({("both.example", "AAAA"): [address], ("both.example", "A"): ["127.0.0.1"]})
        route = Route("here.example", "both.example", port)
        out = room.outbound(settings_for(1, route, connect_timeout_s=300), names.resolver())
        (attempt,) = await out.deliverer.deliver(mail("to@here.example"))
        assert attempt.result is Result.DELIVERED
        known = out.deliverer.pool._connector._reach
        assert known.is_slow(address) and known.ordered([address, "127.0.0.1"]) == ["127.0.0.1", address]
        assert [event.server for event in out.named(ConnectedTo)] == [f"both.example[127.0.0.1]:{port}"]
        assert len(hop.taken) == 1

    run(test)


def test_an_address_that_refuses_is_told_and_the_next_one_taken() -> None:
    """RTE-04: at once, without the head start."""

    async def test(room: Room) -> None:
        hop = await room.hop()
        names = await room.names({("both.example", "A"): ["127.0.0.1", "127.0.0.2"], ("both.example", "AAAA"): ["::1"]})
        route = Route("here.example", "both.example", hop.port)
        out = room.outbound(settings_for(1, route), names.resolver())
        (attempt,) = await out.deliverer.deliver(mail("to@here.example"))
        assert attempt.result is Result.DELIVERED
        told = out.named(ConnectedTo)
        assert told[-1].result == "ok" and all("refused" in event.result for event in told[:-1])
        await hop.stop()
        await out.deliverer.pool.close()
        again = room.outbound(settings_for(1, route), names.resolver())
        (attempt,) = await again.deliverer.deliver(mail("to@here.example"))
        assert attempt.result is Result.PENDING and attempt.reply.startswith("4.4.1 connecting to both.example[")
        assert len(again.named(ConnectedTo)) == 3

    run(test)


def test_all_that_hang_end_with_the_time_to_connect(hanging: tuple[str, int]) -> None:
    """DLV-06."""
    address, port = hanging

    async def test(room: Room) -> None:
        known = Reach(random.Random(1))
        with pytest.raises(reach.Unreachable, match=r"no answer within 0\.05 s") as caught:
            await known.first([Spot(address, port)] * 2, 0.05)
        assert caught.value.failed and known.is_slow(address)

    run(test)


def test_families_in_turn_and_every_address_sometimes_first() -> None:
    """RFC 5321 s5.1, RFC 8305 s4."""
    now = [0.0]
    known = Reach(random.Random(7), lambda: now[0])
    wide, narrow = ["2001:db8::1", "2001:db8::2"], ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    first: Counter[str] = Counter()
    for _ in range(50):
        order = known.ordered([*wide, *narrow])
        assert sorted(order) == sorted([*wide, *narrow])
        assert [":" in one for one in order] == [True, False, True, False, False]
        first[order[0]] += 1
    assert set(first) == set(wide)
    known.failed(wide[0])
    assert {known.ordered([*wide, *narrow])[-1] for _ in range(20)} == {wide[0]}
    now[0] += SLOW_S
    assert not known.is_slow(wide[0])
    known.failed(wide[0])
    known.answered(wide[0])
    assert not known.is_slow(wide[0])


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """DLV-06."""
    monkeypatch.setattr(limits, "ADDRESSES_SLOW", 3)
    known = Reach(random.Random(1))
    for number in range(4):
        known.failed(f"192.0.2.{number}")
    assert [known.is_slow(f"192.0.2.{number}") for number in range(4)] == [False, True, True, True]


@pytest.mark.parametrize(("of_route", "of_all", "most"), [(2, 0, 2), (0, 1, 1), (1, 3, 1)])
def test_connections_to_one_next_hop_are_bounded(of_route: int, of_all: int, most: int) -> None:
    """SMTP-05: by the route, else by the setting for all."""

    async def test(room: Room) -> None:
        hop = await room.hop()
        route = Route("here.example", "127.0.0.1", hop.port, connections=of_route)
        out = room.outbound(settings_for(1, route, connections=of_all))
        at_once: list[int] = []

        def content(_: str) -> bytes:
            at_once.append(len(hop.standing))
            return b"250 2.0.0 queued\r\n"

        hop.answers["CHUNK"] = content
        found = await asyncio.gather(*(out.deliverer.deliver(mail("to@here.example")) for _ in range(12)))
        assert all(attempt.result is Result.DELIVERED for (attempt,) in found)
        assert hop.connections <= most and max(at_once) <= most

    run(test)


def test_more_than_the_rate_waits_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """PROC-06: a route may limit messages a minute; what cannot go soon comes again, and no next hop counts as down."""

    async def test(room: Room) -> None:
        hop = await room.hop()
        quick = Route("quick.example", "127.0.0.1", hop.port, messages_per_minute=6_000)
        slow = Route("slow.example", "127.0.0.1", hop.port, messages_per_minute=1)
        out = room.outbound(settings_for(1, quick, slow))
        found = await asyncio.gather(*(out.deliverer.deliver(mail("to@quick.example")) for _ in range(4)))
        assert [attempt.result for (attempt,) in found] == [Result.DELIVERED] * 4
        monkeypatch.setattr(limits, "TURN_S", 0.0)
        found = await asyncio.gather(*(out.deliverer.deliver(mail("to@slow.example")) for _ in range(3)))
        assert [attempt.result for (attempt,) in found] == [Result.DELIVERED, Result.PENDING, Result.PENDING]
        reply = found[-1][0].reply
        assert reply.startswith("4.4.5 ") and "1 messages a minute" in reply
        assert len(hop.taken) == 5

    run(test)
