"""The resolver against real DNS servers on loopback, and against one that answers as badly as it is told."""

import asyncio
import sys
from pathlib import Path

import dns.rdata
import pytest

from bench.ports import free_port
from engine import limits
from engine.dns import DnsFailure, Resolver
from engine.dns.cache import Answer, Cache
from tests.dns_server import dnsmasq
from tests.engine.delivery.peers import Room, run

ZONE = {
    ("example.com", "MX"): ["20 b.example.com.", "10 A.example.com."],
    ("a.example.com", "A"): ["192.0.2.1", "192.0.2.2"],
    ("a.example.com", "AAAA"): ["2001:db8::1"],
    ("plain.example", "A"): ["192.0.2.3"],
    ("empty.example", "TXT"): ['"nothing"'],
    ("null.example", "MX"): ["0 ."],
    ("1.2.0.192.in-addr.arpa", "PTR"): ["a.example.com.", "forged.example."],
    ("2.2.0.192.in-addr.arpa", "PTR"): ["forged.example."],
    ("forged.example", "A"): ["198.51.100.1"],
}


def reply_of(caught: pytest.ExceptionInfo[DnsFailure]) -> str:
    return str(caught.value.reply)


def test_mx_sorted_and_cached_until_the_ttl_is_over() -> None:
    async def test(room: Room) -> None:
        names = await room.names(ZONE)
        now = 0.0
        resolver = names.resolver(clock=lambda: now)
        for _ in range(3):
            assert await resolver.exchanges("example.com") == ((10, "a.example.com"), (20, "b.example.com"))
        assert names.asked == [("example.com", "MX")]
        now = names.ttl + 1.0
        await resolver.exchanges("example.com")
        assert len(names.asked) == 2

    run(test)


def test_lookups_of_one_name_at_the_same_time_ask_once() -> None:
    async def test(room: Room) -> None:
        names = await room.names(ZONE)
        resolver = names.resolver()
        await asyncio.gather(*(resolver.exchanges("example.com") for _ in range(20)))
        assert len(names.asked) == 1

    run(test)


def test_implicit_mx_and_addresses() -> None:
    async def test(room: Room) -> None:
        resolver = (await room.names(ZONE)).resolver()
        assert await resolver.exchanges("plain.example") == ((0, "plain.example"),)
        assert set(await resolver.addresses("a.example.com")) == {"192.0.2.1", "192.0.2.2", "2001:db8::1"}
        assert await resolver.addresses("192.0.2.9") == ("192.0.2.9",)

    run(test)


@pytest.mark.parametrize(
    ("domain", "reply", "permanent"),
    [
        ("null.example", "556 5.1.10", True),
        ("gone.example", "5.1.2 there is no domain", True),
        ("empty.example", "5.1.2 empty.example has no address", True),
        ("broken.example", "4.4.3", False),
        ("silent.example", "4.4.3", False),
        ("a..b", "5.1.2", True),
        ("x" * 64 + ".example", "5.1.2", True),
    ],
)
def test_failures(domain: str, reply: str, permanent: bool) -> None:
    async def test(room: Room) -> None:
        names = await room.names(ZONE)
        names.broken.add("broken.example")
        names.silent.add("silent.example")
        resolver = names.resolver(timeout_s=0.1, lifetime_s=0.2) if "silent" in domain else names.resolver()
        with pytest.raises(DnsFailure) as caught:
            await resolver.exchanges(domain)
        assert reply_of(caught).startswith(reply)
        assert caught.value.permanent is permanent

    run(test)


def test_one_broken_record_type_does_not_hide_the_other() -> None:
    async def test(room: Room) -> None:
        names = await room.names({("half.example", "A"): ["192.0.2.5"]})
        assert await names.resolver().addresses("half.example") == ("192.0.2.5",)

    run(test)


def test_confirmed_names_relay_08() -> None:
    async def test(room: Room) -> None:
        names = await room.names(ZONE)
        resolver = names.resolver()
        assert await resolver.confirmed_names("192.0.2.1") == ("a.example.com",)
        assert await resolver.confirmed_names("192.0.2.2") == ()
        assert await resolver.confirmed_names("192.0.2.77") == ()
        assert await resolver.confirmed_names("nonsense") == ()
        names.broken.add("3.2.0.192.in-addr.arpa")
        with pytest.raises(DnsFailure) as caught:
            await resolver.confirmed_names("192.0.2.3")
        assert not caught.value.permanent

    run(test)


def test_cache_is_bounded() -> None:
    async def test(room: Room) -> None:
        names = await room.names({})
        resolver = names.resolver(cache_entries=10)
        for number in range(35):
            with pytest.raises(DnsFailure):
                await resolver.exchanges(f"d{number}.example")
        assert len(resolver._cache) <= 10

    run(test)


def test_hosts_file_speaks_for_named_hosts_only(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n# 192.0.2.8 not\n192.0.2.9 Mail mail.example # x\n::1 localhost\nbad mail\n")

    async def test(room: Room) -> None:
        names = await room.names(ZONE)
        resolver = names.resolver(hosts_file=hosts)
        assert await resolver.host_addresses("mail") == ("192.0.2.9",)
        assert await resolver.host_addresses("localhost") == ("127.0.0.1", "::1")
        assert await resolver.host_addresses("plain.example") == ("192.0.2.3",)
        with pytest.raises(DnsFailure):
            await resolver.addresses("mail.example")

    run(test)


def test_a_caller_that_gives_up_does_not_fail_the_others() -> None:
    async def test(room: Room) -> None:
        names = await room.names(ZONE)
        resolver: Resolver = names.resolver()
        first = asyncio.create_task(resolver.exchanges("example.com"))
        second = asyncio.create_task(resolver.exchanges("example.com"))
        await asyncio.sleep(0)
        first.cancel()
        assert len(await second) == 2

    run(test)


# --- name servers of the settings -----------------------------------------------------------------


def test_dnsmasq_answers_everything_that_is_asked_for(tmp_path: Path) -> None:
    """DNSBL-09, RELAY-08: names as a real server gives them, over UDP and, what is too long for that, TCP."""
    longs = [",".join(f'"{letter * 200}"' for letter in letters) for letters in ("abcd", "efgh")]
    lines = [
        "mx-host=example.com,mail.example.com,10",
        "host-record=mail.example.com,192.0.2.1,2001:db8::1",
        'txt-record=example.com,"v=spf1 ","-all"',
        *(f"txt-record=long.example.com,{long}" for long in longs),
        "cname=alias.example.com,mail.example.com",
    ]
    with dnsmasq(tmp_path, lines) as server:

        async def test(room: Room) -> None:
            resolver = server.resolver()
            assert await resolver.exchanges("example.com") == ((10, "mail.example.com"),)
            assert set(await resolver.addresses("alias.example.com")) == {"192.0.2.1", "2001:db8::1"}
            assert await resolver.confirmed_names("192.0.2.1") == ("mail.example.com",)
            assert await resolver.texts("example.com") == (b"v=spf1 -all",)
            found = await resolver.texts("long.example.com") or ()
            assert sorted(found) == [long.replace('"', "").replace(",", "").encode() for long in longs]
            assert await resolver.texts("mail.example.com") == ()
            assert await resolver.texts("nowhere.example.com") is None
            for _ in range(3):
                await resolver.texts("EXAMPLE.com.")
            queries = [line for line in server.log.read_text().splitlines() if "query[TXT] example.com " in line]
            assert len(queries) == 1

        run(test)


def test_other_name_servers_make_what_the_first_ones_said_forgotten() -> None:
    """PROC-15: the setting dns.servers, while running."""

    async def test(room: Room) -> None:
        old = await room.names({("a.example", "A"): ["192.0.2.1"], ("slow.example", "A"): ["192.0.2.1"]})
        new = await room.names({("a.example", "A"): ["192.0.2.2"], ("slow.example", "A"): ["192.0.2.2"]})
        resolver = Resolver([old.address], hosts_file=None)
        assert await resolver.addresses("a.example") == ("192.0.2.1",)
        old.delay_s = 0.05
        asking = asyncio.create_task(resolver.addresses("slow.example"))
        while ("slow.example", "AAAA") not in old.asked:
            await asyncio.sleep(0.001)
        resolver.configure([new.address])
        assert await resolver.addresses("a.example") == ("192.0.2.2",)
        assert await asking == ("192.0.2.1",)
        assert await resolver.addresses("slow.example") == ("192.0.2.2",)
        resolver.configure([new.address])
        assert await resolver.addresses("a.example") == ("192.0.2.2",)
        assert new.asked.count(("a.example", "A")) == 1

    run(test)


def test_a_server_that_is_silent_is_asked_last_from_then_on() -> None:
    """DNSBL-09: one that is down costs a time-out once, not with each lookup."""

    async def test(room: Room) -> None:
        dead, alive = await room.names({}), await room.names({("a.example", "A"): ["192.0.2.1"]})
        dead.silent.add("*")
        resolver = Resolver([dead.address, alive.address], timeout_s=1.0, hosts_file=None)
        assert await resolver.records("a.example", "A")
        asked = len(dead.asked)
        assert asked > 0
        for number in range(5):
            assert await resolver.records(f"n{number}.example", "A") is None
        assert len(dead.asked) == asked
        dead.silent.clear()
        alive.silent.add("*")
        assert await resolver.records("b.example", "A") is None
        assert await resolver.records("c.example", "A") is None
        assert ("c.example", "A") not in alive.asked

    run(test)


def test_a_port_without_a_server_is_a_failure_and_the_next_one_is_asked() -> None:
    async def test(room: Room) -> None:
        alive = await room.names({("a.example", "A"): ["192.0.2.1"]})
        resolver = Resolver([f"127.0.0.1#{free_port()}", alive.address], timeout_s=0.1, hosts_file=None)
        assert await resolver.records("a.example", "A")

    run(test)


# --- bad answers ----------------------------------------------------------------------------------


def test_forged_answers_are_not_taken() -> None:
    """Those with another id, another name or another kind; the true one follows them."""

    async def test(room: Room) -> None:
        names = await room.names({("a.example", "A"): ["192.0.2.1"]})
        names.forged.add("*")
        [record] = await names.resolver().records("a.example", "A") or ()
        assert record.address == "192.0.2.1"
        assert await names.resolver().records("gone.example", "A") is None

    run(test)


@pytest.mark.parametrize("mood", ["garbage", "silent", "broken", "refused"])
def test_no_answer_is_a_temporary_failure(mood: str) -> None:
    """DNSBL-09."""

    async def test(room: Room) -> None:
        names = await room.names({("a.example", "A"): ["192.0.2.1"]})
        getattr(names, mood).add("*")
        resolver = names.resolver(timeout_s=0.05, lifetime_s=0.1)
        for _ in range(3):
            with pytest.raises(DnsFailure) as caught:
                await resolver.records("a.example", "A")
            assert not caught.value.permanent

    run(test)


def test_answers_of_a_usual_length_take_no_tcp() -> None:
    """A key of DKIM is longer than 512 octets, which is all that UDP holds without EDNS."""

    async def test(room: Room) -> None:
        names = await room.names({("key.example", "TXT"): [" ".join([f'"{"k" * 250}"'] * 4)]})
        assert await names.resolver().texts("key.example") == (b"k" * 1000,)
        assert names.asked_tcp == []

    run(test)


def test_a_truncated_answer_whose_tcp_is_silent_is_a_failure() -> None:
    async def test(room: Room) -> None:
        names = await room.names({("a.example", "A"): ["192.0.2.1"]})
        names.truncated.add("*")
        assert await names.resolver().records("a.example", "A")
        assert (len(names.asked), len(names.asked_tcp)) == (1, 1)
        names.silent_tcp.add("*")
        with pytest.raises(DnsFailure):
            await names.resolver(timeout_s=0.05, lifetime_s=0.1).records("a.example", "A")
        assert len(names.asked_tcp) >= 2

    run(test)


def test_a_loop_of_cnames_is_a_failure() -> None:
    async def test(room: Room) -> None:
        names = await room.names({("a.example", "CNAME"): ["b.example."], ("b.example", "CNAME"): ["a.example."]})
        with pytest.raises(DnsFailure):
            await names.resolver(lifetime_s=1.0).records("a.example", "A")

    run(test)


def test_names_that_cannot_exist_are_not_asked_for() -> None:
    async def test(room: Room) -> None:
        names = await room.names({})
        for name in ("a..example", "x" * 64 + ".example", ".".join("x" * 60 for _ in range(5)), "a\\999.example"):
            assert await names.resolver().records(name, "TXT") is None
        assert names.asked == []

    run(test)


# --- the cache ------------------------------------------------------------------------------------


def test_that_there_is_nothing_is_kept_as_long_as_the_zone_says() -> None:
    """DNSBL-09: negative answers by the SOA (RFC 2308 s5), with an upper bound of our own."""

    async def test(room: Room) -> None:
        names = await room.names({("a.example", "TXT"): ["x"]})
        now = 0.0
        resolver = names.resolver(clock=lambda: now)
        for ttl, kept in ((60, 60.0), (86400, limits.DNS_NEGATIVE_TTL_MAX_S)):
            names.negative_ttl = ttl
            for name, nothing in ((f"gone{ttl}.example", None), ("a.example", ())):
                now += limits.DNS_TTL_MAX_S
                names.asked.clear()
                assert await resolver.records(name, "A") == nothing
                now += kept - 1
                assert await resolver.records(name, "A") == nothing
                assert len(names.asked) == 1
                now += 1
                assert await resolver.records(name, "A") == nothing
                assert len(names.asked) == 2

    run(test)


def test_cache_is_bounded_by_octets() -> None:
    """Senders choose how long their TXT records are."""

    async def test(room: Room) -> None:
        record = " ".join(f'"{"x" * 250}"' for _ in range(200))
        names = await room.names({("*.example", "TXT"): [record], ("small.test", "TXT"): ["x"]})
        resolver = names.resolver()
        await resolver.records("n.example", "TXT")
        one = resolver._cache.len
        most = limits.DNS_CACHE_LEN // one
        resolver._cache.len = one * (most - 2)  # as if that many were there: to ask for them all takes seconds
        for number in range(2):
            await resolver.records(f"n{number}.example", "TXT")
        assert len(resolver._cache) == 3
        await resolver.records("small.test", "TXT")
        await resolver.records("n4.example", "TXT")
        assert len(resolver._cache) <= 1 and resolver._cache.len <= limits.DNS_CACHE_LEN

    run(test)


@pytest.mark.parametrize(
    ("kind", "text", "pieces"),
    [
        ("TXT", '"" ' * 1000, 1000),
        ("TXT", '"x" ' * 1000, 1000),
        ("MX", "1 " + "x." * 126, 127),
        ("PTR", "x." * 126, 127),
        ("TLSA", "3 0 0 " + "ab" * 20_000, 400),
    ],
)
def test_each_string_and_label_is_counted_as_memory(kind: str, text: str, pieces: int) -> None:
    """PROC-23: an answer of 64 KiB may be made of that many strings, which take more room than their octets."""
    record = dns.rdata.from_text("IN", kind, text)
    octets = sum(map(sys.getsizeof, getattr(record, "strings", ()))) + 8 * pieces
    cache = Cache()
    cache.keep(("a.example", kind), Answer((record,), 0.0))
    assert max(octets, 40 * pieces) <= cache.len <= 80 * pieces


def test_the_length_of_the_cache_is_counted_right() -> None:
    async def test(room: Room) -> None:
        names = await room.names({("a.x.example", "TXT"): ["12345"], ("b.example", "TXT"): ["1"]})
        now = 0.0
        resolver = names.resolver(clock=lambda: now)
        for name in ("a.x.example", "b.example", "gone.example", "b.example", "c.example", "a.x.example"):
            now += 4000
            await resolver.records(name, "TXT")
            assert resolver._cache.len == sum(answer.len for answer in resolver._cache._answers.values())
        resolver.forget("X.example.")
        assert ("a.x.example", "TXT") not in resolver._cache
        assert resolver._cache.len == sum(answer.len for answer in resolver._cache._answers.values())

    run(test)


def test_a_full_cache_makes_room_for_many() -> None:
    """Double the input, at most double the work: not one look at all entries for each new one."""

    async def test(room: Room) -> None:
        names = await room.names({})
        now = 0.0
        resolver = names.resolver(clock=lambda: now, cache_entries=100)
        looked = 0
        evict = resolver._cache._evict

        def counted() -> None:
            nonlocal looked
            looked += 1
            evict()

        resolver._cache._evict = counted  # type: ignore[method-assign]
        names.negative_ttl = 100
        for number in range(200):
            now += 1.0  # so that one expires with each that comes
            await resolver.records(f"n{number}.example", "A")
        assert 0 < looked <= 12

    run(test)


def test_lookups_at_once_are_bounded() -> None:
    """Each has a socket. One more waits for its turn, and nothing fails for that (DNSBL-09)."""

    async def test(room: Room) -> None:
        names = await room.names({})
        names.silent = {"*"}
        resolver = names.resolver(timeout_s=60.0, lifetime_s=60.0)
        wanted = [f"n{number}.example" for number in range(limits.DNS_AT_ONCE + 1)]
        asking = [asyncio.create_task(resolver.records(name, "A", lasting=False)) for name in wanted]
        while len(names.asked) < limits.DNS_AT_ONCE:
            await asyncio.sleep(0.002)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(names.asked) == limits.DNS_AT_ONCE
        asking[0].cancel()
        while len(names.asked) == limits.DNS_AT_ONCE:
            await asyncio.sleep(0.002)
        assert {name for name, _ in names.asked} == set(wanted)
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)

    run(test)


def test_names_that_nobody_answers_for_keep_no_others_from_being_asked() -> None:
    """PROC-23, DNSBL-09: however many of them senders choose."""

    async def test(room: Room) -> None:
        names = await room.names({("listed.bl.example", "A"): ["127.0.0.2"]})
        silent = [f"n{number}.example" for number in range(limits.DNS_OF_SENDERS + 50)]
        names.silent = set(silent)
        resolver = names.resolver(timeout_s=60.0, lifetime_s=60.0)
        asking = [asyncio.create_task(resolver.claimed(name, "TXT")) for name in silent]
        while len(names.asked) < limits.DNS_OF_SENDERS:
            await asyncio.sleep(0.002)
        assert await resolver.records("listed.bl.example", "A")
        assert len(names.asked) == limits.DNS_OF_SENDERS + 1, "one more of a sender's waits"
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)
        assert await resolver.claimed("listed.bl.example", "TXT") == ()

    run(test)


def test_what_nobody_waits_for_is_asked_no_more() -> None:
    """PROC-23: and who asks for it then begins anew."""

    async def test(room: Room) -> None:
        names = await room.names({("slow.example", "A"): ["192.0.2.1"]})
        names.silent = {"slow.example"}
        resolver = names.resolver(timeout_s=60.0, lifetime_s=60.0)
        before = asyncio.all_tasks()
        asking = asyncio.create_task(resolver.claimed("slow.example", "A"))
        while not names.asked:
            await asyncio.sleep(0.002)
        asking.cancel()
        await asyncio.wait((asking,))
        names.silent = set()
        assert await resolver.claimed("slow.example", "A")
        if left := asyncio.all_tasks() - before:
            await asyncio.wait(left)
        assert not resolver._asking

    run(test)


def test_records_of_one_answer_are_bounded() -> None:
    async def test(room: Room) -> None:
        zone = {
            (f"n{count}.example", "A"): [f"192.0.{number // 200}.{number % 200}" for number in range(count)]
            for count in (limits.DNS_RECORDS, limits.DNS_RECORDS + 1)
        }
        resolver = (await room.names(zone)).resolver()
        for name, _ in zone:
            assert len(await resolver.records(name, "A") or ()) == limits.DNS_RECORDS

    run(test)
