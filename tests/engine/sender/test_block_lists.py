"""The client of block lists against rbldnsd, and against a server that answers what no list should (RFC 5782)."""

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from engine.alerts import alert_of
from engine.config import BlockList, BlockLists
from engine.dns import Resolver
from engine.events import BlockListUnusable, Event
from engine.policy.evidence import Listing
from engine.sender.block_lists import CODES, FAILURES, PAUSE_FIRST_S, PAUSE_LAST_S, TEST_S, BlockListClient, asked_as
from tests.dns_server import BlockListServer, Names, block_lists

LISTED = "192.0.2.7"
CLEAN = "192.0.2.8"
LISTED_6 = "2001:db8::7"
TEST_ENTRIES = {
    ("2.0.0.127.bl.example", "A"): ["127.0.0.2"],
    ("7.2.0.192.bl.example", "A"): ["127.0.0.4"],
}
ZONE = "$SOA 300 ns.bl.example root.bl.example 0 600 300 86400 300\n:127.0.0.2:\n127.0.0.2\n"


def of(*domains: str, **fields: object) -> BlockLists:
    return BlockLists(tuple(BlockList(one, enabled=True) for one in domains), **fields)  # type: ignore[arg-type]


class Room:
    """A client, its clock, and the events it wrote."""

    def __init__(self, resolver: Callable[..., Resolver]) -> None:
        self.now = 1000.0
        self.events: list[Event] = []
        self.resolver = resolver(clock=lambda: self.now)
        self.client = BlockListClient(self.resolver, self.events.append, lambda: self.now)

    async def ask(self, address: str, settings: BlockLists) -> tuple[Listing, ...]:
        return await self.client.ask(address, settings)

    async def codes(self, address: str, settings: BlockLists) -> list[tuple[str, ...]]:
        return [one.codes for one in await self.ask(address, settings)]

    @property
    def unusable(self) -> list[tuple[str, str]]:
        found = [one for one in self.events if isinstance(one, BlockListUnusable)]
        return [(one.list, one.reason) for one in found if not one.recovered]

    @property
    def recovered(self) -> list[str]:
        return [one.list for one in self.events if isinstance(one, BlockListUnusable) and one.recovered]

    async def idle(self) -> None:
        """Tests of lists that nobody waited for have ended."""
        while any(one.test is not None for one in self.client._lists.values()):
            await asyncio.sleep(0.001)


def with_rbldnsd(
    folder: Path, zones: dict[str, dict[str, str]], test: Callable[[Room, BlockListServer], Awaitable[None]]
) -> None:
    async def bounded(server: BlockListServer) -> None:
        async with asyncio.timeout(30):
            await test(Room(server.resolver), server)

    with block_lists(folder, zones) as server:
        uvloop.run(bounded(server))


def with_names(zone: dict[tuple[str, str], list[str]], test: Callable[[Room, Names], Awaitable[None]]) -> None:
    async def bounded() -> None:
        names = await Names(zone).start()
        try:
            async with asyncio.timeout(30):
                await test(Room(names.resolver), names)
        finally:
            names.stop()

    uvloop.run(bounded())


# --- questions ------------------------------------------------------------------------------------


@given(st.ip_addresses())
def test_addresses_are_asked_as_reverse_pointers_are(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """DNSBL-03: RFC 5782 s2.1 and s2.4."""
    asked = asked_as(str(ip))
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        assert asked == asked_as(str(ip.ipv4_mapped))
    else:
        assert asked in ("", ip.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa"))
        assert asked or not ip.is_global or ip in ipaddress.ip_network("fec0::/10")


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.4.4", "127.0.0.1", "127.8.8.8", "169.254.1.1", "100.64.0.1",
     "0.0.0.0", "::1", "::", "fe80::1", "fe80::1%eth0", "fd00::1", "::ffff:10.0.0.1", "", "mail.example"],
)  # fmt: skip
def test_inside_addresses_are_not_asked_about(address: str) -> None:
    """DNSBL-03."""

    async def test(room: Room, names: Names) -> None:
        assert await room.ask(address, of("bl.example")) == ()
        assert names.asked == []

    with_names(TEST_ENTRIES, test)


@pytest.mark.parametrize(
    "address", ["172.32.0.1", "192.0.2.7", "100.128.0.1", "11.0.0.1", "::ffff:192.0.2.7", "2001:db8::1"]
)
def test_other_addresses_are_asked_about(address: str) -> None:
    """DNSBL-03: a mapped address as the IPv4 address that it is."""
    assert asked_as(address)
    assert asked_as("::ffff:192.0.2.7") == "7.2.0.192"


def test_rbldnsd_names_hosts_with_their_codes(tmp_path: Path) -> None:
    """DNSBL-01, DNSBL-03: four lists at once, in the order of the settings, IPv4 and IPv6."""
    zones = {
        "one.example": {"ip4set": ZONE + f"{LISTED}\n"},
        "two.example": {"ip4set": ZONE + f"{LISTED} :127.0.0.9:\n"},
        "none.example": {"ip4set": ZONE},
        "both.example": {"ip4set": ZONE + f"{LISTED}\n", "ip6trie": ":127.0.0.6:\n2001:db8::/64\n"},
    }

    async def test(room: Room, server: BlockListServer) -> None:
        settings = of("two.example", "one.example", "none.example", "both.example")
        expected = [("127.0.0.9",), ("127.0.0.2",), (), ("127.0.0.2",)]
        assert await room.codes(LISTED, settings) == expected
        assert [one.list for one in await room.ask(LISTED, settings)] == [one.domain for one in settings.lists]
        assert await room.codes(CLEAN, settings) == [(), (), (), ()]
        assert await room.codes(LISTED_6, settings) == [(), (), (), ("127.0.0.6",)]
        assert room.events == []

    with_rbldnsd(tmp_path, zones, test)


def test_several_codes_of_one_list(tmp_path: Path) -> None:
    """DNSBL-04: all answers are kept, as numbers are ordered."""
    datasets = {"ip4set": ZONE + f"{LISTED} :127.0.0.10:\n", "ip4trie": f"{LISTED} :127.0.0.3:\n"}

    async def test(room: Room, server: BlockListServer) -> None:
        assert await room.codes(LISTED, of("bl.example")) == [("127.0.0.3", "127.0.0.10")]

    with_rbldnsd(tmp_path, {"bl.example": datasets}, test)


def test_a_list_that_is_not_checked_is_never_asked(tmp_path: Path) -> None:
    """DNSBL-02."""
    zones = {"on.example": {"ip4set": ZONE + f"{LISTED}\n"}, "off.example": {"ip4set": ZONE + f"{LISTED}\n"}}
    settings = BlockLists((BlockList("off.example"), BlockList("on.example", enabled=True)))

    async def test(room: Room, server: BlockListServer) -> None:
        assert [one.list for one in await room.ask(LISTED, settings)] == ["on.example"]
        assert await room.ask(LISTED, BlockLists((BlockList("off.example"),))) == ()
        assert "off.example" not in server.log.read_text()

    with_rbldnsd(tmp_path, zones, test)


def test_answers_are_kept_for_their_ttl_also_that_there_is_none(tmp_path: Path) -> None:
    """DNSBL-09: 2100 s by the server for what is listed, 300 s by its SOA for what is not."""

    async def test(room: Room, server: BlockListServer) -> None:
        settings = of("bl.example")
        for _ in range(3):
            assert await room.codes(LISTED, settings) == [("127.0.0.2",)]
            assert await room.codes(CLEAN, settings) == [()]
        assert server.asked("7.2.0.192.bl.example") == server.asked("8.2.0.192.bl.example") == 1
        room.now += 301
        for _ in range(3):
            assert await room.codes(LISTED, settings) == [("127.0.0.2",)]
            assert await room.codes(CLEAN, settings) == [()]
        assert (server.asked("7.2.0.192.bl.example"), server.asked("8.2.0.192.bl.example")) == (1, 2)
        room.now += 1800
        assert await room.codes(LISTED, settings) == [("127.0.0.2",)]
        assert server.asked("7.2.0.192.bl.example") == 2

    with_rbldnsd(tmp_path, {"bl.example": {"ip4set": ZONE + f"{LISTED}\n"}}, test)


def test_one_message_waits_for_one_round_trip(caplog: pytest.LogCaptureFixture) -> None:
    """DNSBL-09: all lists and their tests are asked at the same time, which the server sees as that many at once."""
    domains = ["a.example", "b.example", "c.example"]
    zone = {(f"2.0.0.127.{one}", "A"): ["127.0.0.2"] for one in domains}

    async def test(room: Room, names: Names) -> None:
        names.together = 4 * len(domains)  # a question and three for the test: none is answered before all are there
        await room.codes(LISTED, of(*domains))
        assert len(names.asked) == names.together
        names.together = len(domains)
        await room.codes(CLEAN, of(*domains))
        assert len(names.asked) == 5 * len(domains)

    with_names(zone, test)


# --- lists that must not be believed --------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("127.255.255.254", "does not answer public name servers"),
        ("127.255.255.255", "asked too often"),
        ("127.255.255.252", "not written correctly"),
        ("127.255.255.1", "an error code"),
        ("127.0.0.1", "refuses to answer"),
        ("192.0.2.99", "its domain has another owner"),
        ("128.0.0.2", "its domain has another owner"),
    ],
)
def test_an_error_for_every_host_is_no_listing(tmp_path: Path, answer: str, words: str) -> None:
    """DNSBL-04: the mistake that has refused all mail of many sites: the list answers all questions with an error."""
    zones = {"bl.example": {"ip4trie": f":{answer}:\n0.0.0.0/0\n"}, "good.example": {"ip4set": ZONE + f"{LISTED}\n"}}

    async def test(room: Room, server: BlockListServer) -> None:
        for address in (LISTED, CLEAN, "198.51.100.1"):
            bad, good = await room.ask(address, of("bl.example", "good.example"))
            assert bad.codes == () and words in bad.problem
            assert good.codes == (("127.0.0.2",) if address == LISTED else ())
        [(name, reason)] = room.unusable
        assert name == "bl.example" and answer in reason and words in reason
        asked = server.log.read_text().count("bl.example")
        await room.ask("198.51.100.2", of("bl.example"))
        assert server.log.read_text().count("bl.example") == asked  # left alone

    with_rbldnsd(tmp_path, zones, test)


def test_an_error_beside_codes_counts_for_all_of_them() -> None:
    """DNSBL-04: also when it stands behind more codes than are kept."""
    many = [f"127.0.0.{code}" for code in range(2, 40)]

    async def test(room: Room, names: Names) -> None:
        [listing] = await room.ask(LISTED, of("bl.example"))
        assert listing.codes == () and "127.255.255.254" in listing.problem

    with_names(TEST_ENTRIES | {("7.2.0.192.bl.example", "A"): [*many, "127.255.255.254"]}, test)


def test_codes_of_one_answer_are_bounded() -> None:
    """DNSBL-04."""
    zone = {
        (f"{count}.2.0.192.bl.example", "A"): [f"127.0.0.{code + 2}" for code in range(count)]
        for count in (CODES, CODES + 1)
    }

    async def test(room: Room, names: Names) -> None:
        for count in (CODES, CODES + 1):
            [listing] = await room.ask(f"192.0.2.{count}", of("bl.example"))
            assert len(listing.codes) == CODES

    with_names(TEST_ENTRIES | zone, test)


@pytest.mark.parametrize("entry", ["2.0.0.127.bl.example", "1.0.0.127.bl.example"])
def test_an_error_for_the_test_alone_is_enough(entry: str) -> None:
    """DNSBL-04."""

    async def test(room: Room, names: Names) -> None:
        [listing] = await room.ask(LISTED, of("bl.example"))
        assert listing.codes == () and "127.255.255.253, an error code" in listing.problem

    with_names(TEST_ENTRIES | {(entry, "A"): ["127.255.255.253"]}, test)


def test_a_list_that_fails_again_soon_is_left_alone_for_longer() -> None:
    """DNSBL-09: the pause begins anew only for a list that was well for longer than that."""

    async def test(room: Room, names: Names) -> None:
        settings = of("bl.example")
        error = {("8.2.0.192.bl.example", "A"): ["127.255.255.254"]}

        async def pause() -> float:
            """Make it fail; how long it is left alone then."""
            names.zone.update(error)
            room.resolver.forget("bl.example")
            await room.ask(CLEAN, settings)
            del names.zone["8.2.0.192.bl.example", "A"]
            [one] = room.client._lists.values()
            found = one.retry_at - room.now
            room.now = one.retry_at
            await room.ask(CLEAN, settings)
            await room.idle()
            assert await room.codes(LISTED, settings) == [("127.0.0.4",)]
            return found

        assert [await pause() for _ in range(3)] == [PAUSE_FIRST_S, 2 * PAUSE_FIRST_S, 4 * PAUSE_FIRST_S]
        room.now += 4 * PAUSE_FIRST_S
        assert await pause() == PAUSE_FIRST_S
        assert len(room.unusable) == 4

    with_names(TEST_ENTRIES, test)


def test_a_list_that_names_every_host_is_not_believed(tmp_path: Path) -> None:
    """DNSBL-04: RFC 5782 s5: 127.0.0.1 must not be listed."""

    async def test(room: Room, server: BlockListServer) -> None:
        assert await room.codes(CLEAN, of("bl.example")) == [()]
        [(_, reason)] = room.unusable
        assert "names every host" in reason

    with_rbldnsd(tmp_path, {"bl.example": {"ip4trie": ":127.0.0.2:\n0.0.0.0/0\n"}}, test)


def test_a_list_without_its_test_entry_is_not_believed(tmp_path: Path) -> None:
    """DNSBL-04: RFC 5782 s5: 127.0.0.2 must be listed."""

    async def test(room: Room, server: BlockListServer) -> None:
        assert await room.codes(LISTED, of("bl.example")) == [()]
        [(_, reason)] = room.unusable
        assert "does not name 127.0.0.2" in reason

    with_rbldnsd(tmp_path, {"bl.example": {"ip4set": f":127.0.0.2:\n{LISTED}\n"}}, test)


def test_a_list_that_names_all_of_ipv6_is_believed_about_ipv4(tmp_path: Path) -> None:
    """DNSBL-03, DNSBL-04: ::1 must not be listed; of ::ffff:127.0.0.1 rbldnsd thinks that it is IPv4."""
    datasets = {"ip4set": ZONE + f"{LISTED}\n", "ip6trie": ":127.0.0.2:\n0::/0\n"}

    async def test(room: Room, server: BlockListServer) -> None:
        assert await room.codes(LISTED, of("bl.example")) == [("127.0.0.2",)]
        assert await room.codes(LISTED_6, of("bl.example")) == [()]
        assert await room.codes(LISTED_6, of("bl.example")) == [()]
        [(_, reason)] = room.unusable
        assert "every IPv6 address" in reason

    with_rbldnsd(tmp_path, {"bl.example": datasets}, test)


def test_a_list_that_dies_by_naming_everybody_is_found_out(tmp_path: Path) -> None:
    """DNSBL-09: tested again before it is believed, and nothing that it said meanwhile comes back when it is well."""
    zone = f":127.0.0.2:\n127.0.0.2\n{LISTED}\n"

    async def test(room: Room, server: BlockListServer) -> None:
        settings = of("bl.example")
        assert await room.codes(LISTED, settings) == [("127.0.0.2",)]
        server.change("bl.example", "ip4trie", ":127.0.0.2:\n0.0.0.0/0\n")
        room.now += TEST_S
        assert await room.codes(CLEAN, settings) == [()]
        assert len(room.unusable) == 1
        assert await room.codes(LISTED, settings) == [()]
        server.change("bl.example", "ip4trie", zone)
        room.now += PAUSE_FIRST_S
        await room.ask("198.51.100.9", settings)
        await room.idle()
        assert await room.codes(CLEAN, settings) == [()]
        assert await room.codes(LISTED, settings) == [("127.0.0.2",)]
        assert len(room.unusable) == 1

    with_rbldnsd(tmp_path, {"bl.example": {"ip4trie": zone}}, test)


def test_a_dead_list_is_left_alone_for_longer_each_time() -> None:
    """DNSBL-09: a failing list is skipped for a while."""

    async def test(room: Room, names: Names) -> None:
        names.broken.add("*")
        settings = of("bl.example")
        for number in range(FAILURES):
            await room.ask(f"192.0.2.{number + 1}", settings)
            await room.idle()
        assert len(room.unusable) == 1
        pause = PAUSE_FIRST_S
        for _ in range(9):
            room.now += pause - 1
            asked = len(names.asked)
            await room.ask("198.51.100.1", settings)
            await room.idle()
            assert len(names.asked) == asked
            room.now += 1
            await room.ask("198.51.100.1", settings)
            await room.idle()
            assert len(names.asked) == asked + 3
            pause = min(2 * pause, PAUSE_LAST_S)
        assert len(room.unusable) == 1  # told once, not at each test
        assert room.recovered == []

        names.broken.clear()
        room.now += PAUSE_LAST_S
        await room.ask(CLEAN, settings)
        await room.idle()
        assert room.recovered == ["bl.example"]
        assert [alert_of(one) for one in room.events] == ["block_list", ""]  # people are told of the first only
        assert await room.codes(LISTED, settings) == [("127.0.0.4",)]

    with_names(TEST_ENTRIES, test)


@pytest.mark.parametrize("mood", ["broken", "silent", "refused", "garbage"])
def test_one_failure_is_no_listing_and_no_reason_to_stop(mood: str, caplog: pytest.LogCaptureFixture) -> None:
    """DNSBL-09: time-out or failure means not listed, and is logged; FAILURES clients in a row end the use."""

    async def test(room: Room, names: Names) -> None:
        settings = of("bl.example")
        assert await room.codes(LISTED, settings) == [("127.0.0.4",)]
        assert await room.codes(CLEAN, settings) == [()]
        room.resolver._configured().lifetime = 0.05  # from here on only the cache answers
        hosts = [f"198.51.100.{number}" for number in range(1, FAILURES + 1)]
        failing: set[str] = getattr(names, mood)
        failing.update(f"{asked_as(host)}.bl.example" for host in hosts)
        for host in hosts[:-1]:
            for _ in range(FAILURES):  # of one client they are one
                [listing] = await room.ask(host, settings)
                assert listing.codes == () and listing.problem
        assert any("bl.example" in record.message for record in caplog.records)
        assert room.unusable == []
        assert await room.codes(CLEAN, settings) == [()]  # an answer: counted anew
        for host in hosts[:-1]:
            await room.ask(host, settings)
        assert room.unusable == []
        await room.ask(hosts[-1], settings)
        [(_, reason)] = room.unusable
        assert f"{FAILURES} times in a row" in reason
        assert await room.codes(LISTED, settings) == [()]

    with caplog.at_level(logging.WARNING):
        with_names(TEST_ENTRIES, test)


def test_a_silent_list_costs_no_more_than_its_time_out_and_the_others_count() -> None:
    """DNSBL-09."""
    zone = TEST_ENTRIES | {("2.0.0.127.slow.example", "A"): ["127.0.0.2"]}

    async def test(room: Room, names: Names) -> None:
        names.silent.add("7.2.0.192.slow.example")
        slow, good = await room.ask(LISTED, of("slow.example", "bl.example", timeout_s=1))
        assert (slow.codes, good.codes) == ((), ("127.0.0.4",))
        assert "in time" in slow.problem

    with_names(zone, test)


def test_a_silent_test_costs_no_more_than_the_time_out() -> None:
    """DNSBL-09: also where the answer itself is in the cache."""

    async def test(room: Room, names: Names) -> None:
        settings = of("bl.example", timeout_s=1)
        assert await room.codes(LISTED, settings) == [("127.0.0.4",)]
        names.silent.add("1.0.0.127.bl.example")
        room.now += TEST_S
        [listing] = await room.ask(LISTED, settings)
        assert listing.codes == () and "in time" in listing.problem

    with_names(TEST_ENTRIES, test)


def test_a_list_whose_test_gets_no_answer_is_not_believed() -> None:
    """DNSBL-09: what was never tested names nobody, and neither does what cannot be tested any more."""

    async def test(room: Room, names: Names) -> None:
        settings = of("bl.example")
        names.broken.add("1.0.0.127.bl.example")
        assert await room.codes(LISTED, settings) == [()]
        assert room.unusable == []
        names.broken.clear()
        assert await room.codes(LISTED, settings) == [("127.0.0.4",)]
        names.broken.add("2.0.0.127.bl.example")
        room.now += TEST_S
        for _ in range(FAILURES):
            assert room.unusable == []
            assert await room.codes(LISTED, settings) == [()]
            room.now += 6.0  # beyond the time for which failures are cached
        assert len(room.unusable) == 1

    with_names(TEST_ENTRIES, test)


def test_a_list_is_tested_when_it_comes_into_use_again() -> None:
    """DNSBL-02: switched off and on."""

    async def test(room: Room, names: Names) -> None:
        await room.ask(LISTED, of("bl.example"))
        await room.ask(LISTED, of("other.example"))
        names.asked.clear()
        await room.ask(LISTED, of("bl.example"))
        assert ("1.0.0.127.bl.example", "A") in names.asked
        assert set(room.client._lists) == {"bl.example"}

    with_names(TEST_ENTRIES, test)


def test_settings_that_change_meanwhile_do_not_disturb_a_question() -> None:
    """DNSBL-02, PROC-15: it is answered by the settings that it was asked with."""

    async def test(room: Room, names: Names) -> None:
        names.delay_s = 0.02
        first = asyncio.create_task(room.codes(LISTED, of("bl.example")))
        while not names.asked:
            await asyncio.sleep(0.001)
        assert await room.codes(LISTED, of("other.example")) == [()]
        assert await first == [("127.0.0.4",)]

    with_names(TEST_ENTRIES, test)


def test_a_list_that_is_there_twice_is_asked_once() -> None:
    """DNSBL-01: without regard to case, a last dot, or how an international domain is written."""

    async def test(room: Room, names: Names) -> None:
        assert await room.codes(LISTED, of("bl.example", "BL.Example.")) == [("127.0.0.4",)]
        assert names.asked.count(("7.2.0.192.bl.example", "A")) == 1

    with_names(TEST_ENTRIES, test)


def test_a_caller_that_gives_up_leaves_the_answer_for_the_next() -> None:
    """DNSBL-09."""

    async def test(room: Room, names: Names) -> None:
        names.delay_s = 0.05
        asking = asyncio.create_task(room.ask(LISTED, of("bl.example")))
        while not names.asked:
            await asyncio.sleep(0.001)
        asking.cancel()
        assert await room.codes(LISTED, of("bl.example")) == [("127.0.0.4",)]
        assert len(names.asked) == 4

    with_names(TEST_ENTRIES, test)
