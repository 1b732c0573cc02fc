"""Hosts of MX that are dead, or have become this gateway: what a message waits for them, and what the next one does."""

import socket
from collections.abc import Iterator

import msgspec
import pytest

from bench.ports import free_port
from engine import limits
from engine.config import MailListener, Route
from engine.delivery import connector
from engine.events import ConnectedTo
from engine.queue.record import Attempt, Result
from tests.engine.delivery.peers import Outbound, Room, mail, run, settings_for, until

DEAD = 4


@pytest.fixture
def port() -> Iterator[int]:
    """Where 127.0.0.2 to 127.0.0.5 give no answer: the backlogs of their sockets are full."""
    held: list[socket.socket] = []
    number = free_port()
    for host in range(2, 2 + DEAD):
        held.append(listener := socket.socket())
        listener.bind((f"127.0.0.{host}", number))
        listener.listen(0)
        for _ in range(4):
            held.append(one := socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
    yield number
    for one in held:
        one.close()


def zone(*preferences: int) -> dict[tuple[str, str], list[str]]:
    """hosts.example with a dead host for each preference, and one that lives."""
    mx = [f"{preference} dead{at}.example." for at, preference in enumerate(preferences)]
    addresses = {(f"dead{at}.example", "A"): [f"127.0.0.{2 + at}"] for at in range(len(preferences))}
    living = {("hosts.example", "MX"): [*mx, "90 alive.example."], ("alive.example", "A"): ["127.0.0.1"]}
    return living | addresses


def route(port: int) -> Route:
    return Route("mx.example", "hosts.example", port, mx=True)


async def deliver(out: Outbound) -> Attempt:
    (attempt,) = await out.deliverer.deliver(mail("to@mx.example"))
    return attempt


@pytest.mark.parametrize("preferences", [(10, 20, 30, 40), (10, 10, 10, 10)], ids=["one after the other", "equals"])
def test_dead_hosts_cost_one_message_a_moment_each(
    port: int, preferences: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """RTE-04, PROC-06: far less than the time-out to connect, and the next message nothing."""
    monkeypatch.setattr(connector, "GROUP_S", 0.05)

    async def test(room: Room) -> None:
        hop = await room.hop(port=port)
        names = await room.names(zone(*preferences))
        out = room.outbound(settings_for(1, route(port), connect_timeout_s=3000), names.resolver())
        assert (await deliver(out)).result is Result.DELIVERED
        known = out.deliverer.pool._connector._reach
        assert all(known.is_slow(f"127.0.0.{2 + at}") for at in range(DEAD)) or len(set(preferences)) == 1
        for at in range(DEAD):
            known.failed(f"127.0.0.{2 + at}")
        hop.drop()
        await until(lambda: not out.deliverer.pool.open)
        told = len(out.named(ConnectedTo))
        assert (await deliver(out)).result is Result.DELIVERED
        assert [one.result for one in out.named(ConnectedTo)[told:]] == ["ok"]  # none of the dead ones was asked

    run(test)


def test_all_that_are_dead_are_asked_again_together(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """RTE-04: the time-out to connect is that of all of them, and none is forgotten."""
    monkeypatch.setattr(connector, "GROUP_S", 0.05)
    monkeypatch.setattr("engine.delivery.reach.HEAD_START_S", 0.01)

    async def test(room: Room) -> None:
        names = await room.names(zone(10, 20, 30, 40))
        out = room.outbound(settings_for(1, route(port), connect_timeout_s=1, retry_first_s=1), names.resolver())
        for at in range(DEAD):
            out.deliverer.pool._connector._reach.failed(f"127.0.0.{2 + at}")
        attempt = await deliver(out)
        assert attempt.result is Result.PENDING
        tried = {one.server.partition("[")[0]: one.result for one in out.named(ConnectedTo)}
        assert set(tried) == {f"dead{at}.example" for at in range(DEAD)} | {"alive.example"}
        assert "refused" in tried.pop("alive.example")
        assert all("no answer within 1 s" in result for result in tried.values())

    run(test)


def test_no_further_host_is_tried_when_the_time_is_over(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """RTE-04: strangers name as many as they like; the message is tried again, and then those first that were not."""
    monkeypatch.setattr(connector, "GROUP_S", 0.05)
    monkeypatch.setattr(limits, "CONNECTING_S", 0.0)

    async def test(room: Room) -> None:
        hop = await room.hop(port=port)
        names = await room.names(zone(10, 20, 30, 40))
        out = room.outbound(settings_for(1, route(port), connect_timeout_s=3000), names.resolver())
        while (await deliver(out)).result is not Result.DELIVERED:
            assert not hop.connections
            out.deliverer.pool._lanes.clear()  # the time after which it is asked again is over
        assert [one.server.partition("[")[0] for one in out.named(ConnectedTo)] == [
            *(f"dead{at}.example" for at in range(DEAD)),
            "alive.example",
        ]

    run(test)


@pytest.mark.parametrize("preferred", [False, True], ids=["alone", "behind another host"])
def test_a_host_that_becomes_this_gateway(preferred: bool) -> None:
    """RTE-12: what counts is the address that is connected to, whatever DNS said before."""

    async def test(room: Room) -> None:
        hop = await room.hop(host="127.0.0.2")
        names = await room.names({("hosts.example", "MX"): ["10 alive.example.", "20 other.example."]})
        names.ttl = 0
        names.zone["alive.example", "A"] = ["127.0.0.2"]
        names.zone["other.example", "A"] = ["127.0.0.3"]
        settings = settings_for(1, route(hop.port))
        smtp = msgspec.structs.replace(settings.smtp, listen=MailListener("127.0.0.1", hop.port))
        out = room.outbound(msgspec.structs.replace(settings, smtp=smtp), names.resolver())
        assert (await deliver(out)).result is Result.DELIVERED
        hop.drop()
        await until(lambda: not out.deliverer.pool.open)
        own = await room.hop(port=hop.port)  # this gateway, so to speak
        if preferred:
            names.zone["alive.example", "A"], names.zone["other.example", "A"] = ["127.0.0.3"], ["127.0.0.1"]
        else:
            names.zone["alive.example", "A"] = ["127.0.0.1"]
        attempt = await deliver(out)
        assert attempt.reply.startswith("4.4.1 " if preferred else "5.4.6 ") and not own.connections
        assert attempt.result is (Result.PENDING if preferred else Result.FAILED)

    run(test)


def test_what_is_prepared_ends_with_the_attempt(port: int) -> None:
    """PROC-06: nobody waits for DNS of hosts that are not needed, or that somebody else wants to know of."""

    async def test(room: Room) -> None:
        hop = await room.hop(port=port)
        names = await room.names({("hosts.example", "MX"): ["10 alive.example.", "20 mute.example."]})
        names.zone["alive.example", "A"] = ["127.0.0.1"]
        names.silent.add("mute.example")
        out = room.outbound(settings_for(1, route(port)), names.resolver())
        assert (await deliver(out)).result is Result.DELIVERED
        assert not [question for question in names.asked if question[0] == "mute.example"]
        assert hop.connections == 1

    run(test)
