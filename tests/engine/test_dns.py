"""The resolver against a real DNS server on loopback."""

import asyncio
from pathlib import Path

import pytest

from engine.dns import DnsFailure, Resolver
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
        with pytest.raises(DnsFailure) as caught:
            await names.resolver(timeout_s=0.1, lifetime_s=0.2).exchanges(domain)
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
