"""What one client may have and begin, and clients that talk too early or err (SMTP-06, SMTP-07, SMTP-14)."""

import asyncio
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import events
from engine.config import Relay, Settings
from engine.replies import Reply
from engine.smtp.client_limits import _ATTEMPTS, ClientLimits
from engine.smtp.dialogue import TURN_LEN
from engine.smtp.effect import Effect
from engine.smtp.shared import SharedCounts
from tests.engine.smtp.conftest import Run
from tests.engine.smtp.harness import ENVELOPE, HELLO, UPPER_S, Driver, Running, running, settings

ONE, OTHER = ip_address("192.0.2.1"), ip_address("192.0.2.2")
LINE = b"PROXY TCP4 192.0.2.%d 198.51.100.1 4242 25\r\n"


def made(hosts: tuple[str, ...] = (), **smtp: Any) -> ClientLimits[int]:
    return ClientLimits(with_hosts(hosts, **smtp), SharedCounts.create(1).clients(0))


class Relays:
    """Some that share what they count."""

    def __init__(self, number: int, **smtp: Any) -> None:
        self.shared = SharedCounts.create(number)
        self._settings = with_hosts((), **smtp)
        self.each = [self.begun(one) for one in range(number)]

    def begun(self, number: int) -> ClientLimits[int]:
        return ClientLimits(self._settings, self.shared.clients(number))


def with_hosts(hosts: tuple[str, ...], **smtp: Any) -> Settings:
    return Settings(smtp=settings(**smtp).smtp, relay=Relay(hosts=hosts))


def test_without_limits() -> None:
    counts = made()
    assert [counts.enter(number, ONE, 0.0) for number in range(1000)] == [None] * 1000


def test_connections_at_a_time() -> None:
    counts = made(max_per_client=2)
    assert [counts.enter(number, ONE, 0.0) for number in range(3)] == [None, None, Reply.TOO_MANY_OF_CLIENT]
    assert counts.enter(3, OTHER, 0.0) is None
    counts.leave(0)
    counts.leave(0)
    counts.leave(2)  # never came in
    assert counts.enter(4, ONE, 0.0) is None
    assert counts.enter(5, ONE, 0.0) is Reply.TOO_MANY_OF_CLIENT


def test_a_network_of_ipv6_is_one_client() -> None:
    """SMTP-19: addresses of one host, of which it has 2 to the 64th."""
    counts = made(max_per_client=1)
    assert counts.enter(1, ip_address("2001:db8:0:1::1"), 0.0) is None
    assert counts.enter(2, ip_address("2001:db8:0:1:ffff::2"), 0.0) is Reply.TOO_MANY_OF_CLIENT
    assert counts.enter(3, ip_address("2001:db8:0:2::1"), 0.0) is None


@pytest.mark.parametrize("rate", [1, 2, 7, 60, 1000])
def test_connections_in_a_minute(rate: int) -> None:
    """As many at once, and then one each time that its part of the minute is over."""
    counts = made(rate_per_client_per_minute=rate)
    assert [counts.enter(number, ONE, 5.0) for number in range(rate)] == [None] * rate
    assert counts.enter(rate, ONE, 5.0) is Reply.TOO_OFTEN
    assert counts.enter(rate, OTHER, 5.0) is None
    assert counts.enter(-1, ONE, 5.0 + 60 / rate) is None
    assert counts.enter(-2, ONE, 5.0 + 60 / rate) is Reply.TOO_OFTEN
    assert [counts.enter(-3 - number, ONE, 125.0) for number in range(rate)] == [None] * rate


def test_refused_ones_are_not_counted() -> None:
    counts = made(max_per_client=1, rate_per_client_per_minute=2)
    assert counts.enter(1, ONE, 0.0) is None
    assert [counts.enter(2, ONE, 0.0) for _ in range(9)] == [Reply.TOO_MANY_OF_CLIENT] * 9
    counts.leave(1)
    assert counts.enter(3, ONE, 0.0) is None
    counts.leave(3)
    assert [counts.enter(4, ONE, 0.0) for _ in range(9)] == [Reply.TOO_OFTEN] * 9
    assert counts.enter(5, ONE, 30.0) is None


def test_hosts_of_ours_and_proxies_are_not_counted() -> None:
    counts = made(
        ("192.0.2.0/24", "mail.example"),
        max_per_client=1,
        rate_per_client_per_minute=1,
        proxies=("10.0.0.1",),
        xclient=("10.0.0.2",),
    )
    for address, counted in (("192.0.2.9", False), ("10.0.0.1", False), ("10.0.0.2", False), ("10.0.0.3", True)):
        outcomes = {counts.enter(number, ip_address(address), 0.0) for number in range(3)}
        assert (outcomes != {None}) is counted


@pytest.mark.parametrize("last", [0, 1, 2])
def test_all_relays_together(last: int) -> None:
    """SMTP-06: the one too many is refused whichever relay takes it, and a place that one frees serves at another."""
    relays = Relays(3, max_per_client=4, rate_per_client_per_minute=6).each
    assert [relays[number % 3].enter(number, ONE, 0.0) for number in range(4)] == [None] * 4
    assert relays[last].enter(4, ONE, 0.0) is Reply.TOO_MANY_OF_CLIENT
    assert relays[last].enter(5, OTHER, 0.0) is None
    relays[1].leave(1)
    assert relays[last].enter(6, ONE, 0.0) is None
    relays[last].leave(6)
    assert relays[0].enter(7, ONE, 0.0) is None
    relays[0].leave(7)
    assert {relay.enter(8, ONE, 0.0) for relay in relays} == {Reply.TOO_OFTEN}
    assert relays[last].enter(9, ONE, 10.0) is None
    relays[last].leave(9)
    assert {relay.enter(8, ONE, 10.0) for relay in relays} == {Reply.TOO_OFTEN}


def test_a_relay_that_was_killed_gives_its_places_back() -> None:
    """SMTP-06: and what its clients have spent stays spent, also for the relay that takes its place."""
    relays = Relays(2, max_per_client=2, rate_per_client_per_minute=3)
    killed, other = relays.each
    assert [killed.enter(number, ONE, 0.0) for number in range(2)] == [None] * 2
    assert other.enter(2, ONE, 0.0) is Reply.TOO_MANY_OF_CLIENT
    relays.shared.clear(0)
    assert other.enter(3, ONE, 0.0) is None
    begun = relays.begun(0)
    assert {one.enter(4, ONE, 0.0) for one in (begun, other)} == {Reply.TOO_OFTEN}
    assert begun.enter(5, ONE, 20.0) is None
    assert other.enter(6, ONE, 40.0) is Reply.TOO_MANY_OF_CLIENT


class Interrupted(list[Any]):
    """The tables of the others: while one is asked, what may come between happens."""

    def __init__(self, tables: list[Any], meanwhile: Any) -> None:
        super().__init__(tables)
        self._meanwhile = meanwhile

    def __iter__(self) -> Any:
        meanwhile, self._meanwhile = self._meanwhile, None
        if meanwhile:
            yield from list(super().__iter__())
            meanwhile()
        else:
            yield from super().__iter__()


def test_two_relays_at_once_never_let_one_too_many_in() -> None:
    """SMTP-06: the other comes in between the look and the counting of this one, which steps back."""
    relays = Relays(2, max_per_client=1)
    one, other = relays.each
    one._shared._others = Interrupted(one._shared._others, lambda: other.enter(2, ONE, 0.0))
    assert one.enter(1, ONE, 0.0) is Reply.TOO_MANY_OF_CLIENT
    other.leave(2)
    assert one.enter(3, ONE, 0.0) is None


@given(st.integers(1, 4), st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 2)), max_size=60))
def test_counts_are_those_of_a_plain_model(most: int, steps: list[tuple[bool, int, int]]) -> None:
    """Whatever comes and goes: nobody has more than the limit, and nothing is left when all are gone."""
    counts = made(max_per_client=most)
    model: dict[int, int] = {}
    for comes, connection, client in steps:
        if not comes:
            counts.leave(connection)
            model.pop(connection, None)
        elif connection not in model:
            refusal = counts.enter(connection, ip_address(0xC0000200 + client), 0.0)
            assert (refusal is None) is (list(model.values()).count(client) < most)
            if refusal is None:
                model[connection] = client
    for connection in list(model):
        counts.leave(connection)
    assert not counts._open and not counts._clients


# --- with sockets ----------------------------------------------------------------------------------


async def refusals(one: Running) -> list[tuple[str, str]]:
    found = await one.gate.wait_for(events.Rejected)
    return [(event.client, event.reason) for event in found if isinstance(event, events.Rejected)]


def test_a_client_with_too_many_connections(run: Run) -> None:
    """SMTP-07 does not hold for these: 421 4.7.0 at once, with its events (RSMTP-01, RSMTP-06)."""

    async def main() -> None:
        async with running(settings(max_per_client=2)) as one:
            first = await one.greeted()
            await one.greeted()
            assert await (await one.connect()).reply() == Reply.TOO_MANY_OF_CLIENT.wire.decode()
            assert await refusals(one) == [("127.0.0.1", "connections")]
            assert (await first.ask(b"QUIT\r\n")).startswith("221")
            await one.gate.wait_for(events.Disconnected, 2)
            await one.greeted()

    run(main())


def test_a_client_that_connects_too_often(run: Run) -> None:
    async def main() -> None:
        async with running(settings(rate_per_client_per_minute=1)) as one:
            await (await one.greeted()).ask(b"QUIT\r\n")
            assert await (await one.connect()).reply() == Reply.TOO_OFTEN.wire.decode()
            assert await refusals(one) == [("127.0.0.1", "connections")]
            one.gate.settings = settings()
            one.server.apply(one.gate.settings)
            await one.greeted()

    run(main())


def test_clients_of_a_proxy_are_counted_each(run: Run) -> None:
    """SMTP-19: it is the client that counts, not the proxy."""

    async def main() -> None:
        async with running(settings(max_per_client=1, proxies=("127.0.0.1",))) as one:
            for number in (1, 2):
                peer = await one.connect()
                await peer.send(LINE % number)
                assert (await peer.reply()).startswith("220 ")
            more = await one.connect()
            await more.send(LINE % 1)
            assert (await more.reply()).startswith("421 4.7.0 ")
            assert await refusals(one) == [("192.0.2.1", "connections")]

    run(main())


def test_clients_that_xclient_names_are_counted_each(run: Run) -> None:
    async def main() -> None:
        async with running(settings(max_per_client=1, xclient=("127.0.0.1",))) as one:
            first = await one.greeted()
            for _ in range(3):  # the same client again takes no further place
                assert (await first.ask(b"XCLIENT ADDR=192.0.2.1\r\n")).startswith("220 ")
            second = await one.greeted()
            assert (await second.ask(b"XCLIENT ADDR=192.0.2.1\r\n")).startswith("421 4.7.0 ")
            assert await refusals(one) == [("192.0.2.1", "connections")]
            third = await one.greeted()
            assert (await third.ask(b"XCLIENT ADDR=192.0.2.2\r\n")).startswith("220 ")
            assert (await first.ask(b"XCLIENT ADDR=192.0.2.3\r\n")).startswith("220 ")
            assert (await (await one.greeted()).ask(b"XCLIENT ADDR=192.0.2.1\r\n")).startswith("220 ")

    run(main())


def test_a_client_that_talks_before_the_greeting(run: Run) -> None:
    """SMTP-14: told as a violation, and refused."""

    async def main() -> None:
        async with running(settings(greet_delay_ms=60_000)) as one:
            peer = await one.connect()
            await peer.send(HELLO)
            assert await peer.reply() == Reply.NOT_SYNCHRONIZED.wire.decode()
            (violation,) = await one.gate.wait_for(events.ProtocolViolation)
            assert violation.violation == "input before the greeting"
            await one.gate.wait_for(events.Disconnected)

    run(main())


def test_a_client_that_waits_is_greeted(run: Run) -> None:
    async def main() -> None:
        async with running(settings(greet_delay_ms=20)) as one:
            await one.greeted()
            gone = await one.connect()
            await gone.close()
            await one.gate.wait_for(events.Disconnected)

    run(main())


def test_hosts_of_ours_are_greeted_at_once(run: Run) -> None:
    async def main() -> None:
        async with running(with_hosts(("127.0.0.0/8",), greet_delay_ms=60_000)) as one:
            await one.greeted()

    run(main())


def test_stopping_does_not_wait_for_greetings(run: Run) -> None:
    async def main() -> None:
        async with running(settings(greet_delay_ms=60_000)) as one:
            peer = await one.connect()
            await one.gate.wait_for(events.ConnectionFrom)
            await one.server.shut_down()
            assert await peer.reply() == Reply.SHUTTING_DOWN.wire.decode()

    run(main())


def test_who_always_meets_another_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """SMTP-06: _ATTEMPTS times, if another relay counts one in and out again just then."""
    relay = Relays(2, max_per_client=1).each[0]
    seen: list[int] = []

    def open_elsewhere(_client: int) -> int:
        seen.append(len(seen) % 2)
        return seen[-1]

    monkeypatch.setattr(relay._shared, "open_elsewhere", open_elsewhere)
    assert relay.enter(1, ONE, 0.0) is Reply.TOO_MANY_OF_CLIENT
    assert len(seen) == 2 * _ATTEMPTS and not relay._open


BAD = b"NONSENSE\r\n"
UNWANTED = b"RCPT TO:<nobody@nowhere.invalid>\r\n"


@pytest.mark.parametrize(("delay_s", "turns"), [(0, 0), (1, 4)])
def test_each_error_is_a_turn(delay_s: int, turns: int) -> None:
    """SMTP-14: violations and refusals, in one read or in several; what is right costs nothing."""
    driver = Driver(settings(error_delay_s=delay_s))
    driver.feed(HELLO)
    driver.feed(b"NOOP\r\n")
    driver.feed(ENVELOPE + UNWANTED + UNWANTED + BAD + b"RSET\r\n")
    driver.feed(BAD)
    assert driver.trace.count(Effect.TURN) == turns
    assert driver.outcome.codes == [250, 250, 250, 250, 550, 550, 500, 250, 500]


class Timers:
    """call_later of a loop: what is put off for a second or more comes at once, and is told."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.delays: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_later(self, delay: float, callback: Any, *arguments: Any) -> asyncio.TimerHandle:
        if callback.__name__ == "_turn":
            self.delays.append(delay)
            delay = 0
        return self._loop.call_later(delay, callback, *arguments)


def test_errors_wait(run: Run, chatty: None) -> None:
    """SMTP-14: the reply comes, the next command waits; without the setting none does."""

    async def main() -> None:
        async with running() as one:
            timers = Timers(one.server.loop)
            one.server.loop = timers
            peer = await one.greeted()
            for delay_s, delays in ((0, []), (7, [7, 7])):
                one.gate.settings = settings(error_delay_s=delay_s)
                one.server.apply(one.gate.settings)
                assert (await peer.ask(b"NOOP\r\n")).startswith("250")
                await peer.send(BAD + BAD + b"NOOP\r\n")
                assert [(await peer.reply())[:3] for _ in range(3)] == ["500", "500", "250"]
                assert timers.delays == delays
            await peer.send(b"NOOP\r\n" * (2 * TURN_LEN))  # these have a turn, too, and no delay
            assert [(await peer.reply())[:3] for _ in range(2 * TURN_LEN)] == ["250"] * (2 * TURN_LEN)
            assert 0 in timers.delays and timers.delays.count(7) == 2

    run(main())


def test_a_client_that_goes_while_it_waits(run: Run) -> None:
    """And one that is told that the service stops, though it waits."""

    async def main() -> None:
        async with running(settings(error_delay_s=60)) as one:
            peer = await one.greeted()
            assert (await peer.ask(BAD)).startswith("500")
            await peer.close()
            stays = await one.greeted()
            assert (await stays.ask(BAD)).startswith("500")
            async with asyncio.timeout(UPPER_S):
                await one.server.shut_down()
            assert await stays.reply() == Reply.SHUTTING_DOWN.wire.decode()

    run(main())
