"""What sessions ask about senders and recipients: relay rules with names, block lists with action Reject, against
real DNS servers (RELAY-08, DNSBL-06, DNSBL-07, DNSBL-09)."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import pytest

from engine.config import Blocking, BlockList, BlockLists, Grant, ListAction, Notifications, Relay, Settings, WhiteList
from engine.dns import Resolver
from engine.events import Event
from engine.reception import Reception
from engine.relay_rule import Field
from engine.replies import Reply
from engine.sender.block_lists import BlockListClient
from engine.smtp.address import a_labels
from engine.smtp.gate import ACCEPTED, Answer, ClientInfo
from tests.dns_server import Names, block_lists, scripted

LISTED, CLEAN = "192.0.2.7", "192.0.2.8"
ASKED = ("7.2.0.192", "2.0.0.127")
ZONES = {"bl.example": {"ip4set": f":127.0.0.2:listed\n127.0.0.2\n{LISTED}\n"}}
REJECT = BlockLists(lists=(BlockList("bl.example", enabled=True),), action=ListAction.REJECT, timeout_s=1)


def reception(
    resolver: Resolver,
    lists: BlockLists = REJECT,
    relay: Relay | None = None,
    white_list: WhiteList | None = None,
    administrators: tuple[str, ...] = (),
    local: tuple[str, ...] = ("local.example",),
) -> Reception:
    blocking = Blocking(block_lists=lists, white_list=white_list or WhiteList())
    settings = Settings(
        relay=relay or Relay(), blocking=blocking, notifications=Notifications(administrators=administrators)
    )
    events: list[Event] = []
    return Reception(settings, local.__contains__, resolver, BlockListClient(resolver, events.append), "Gate.example")


def client(address: str) -> ClientInfo:
    return ClientInfo(address, 25, "connection1")


async def verdict(one: Reception, address: str, reverse_path: str = "a@far.example") -> Answer | None:
    """What is said of the sender; None: nothing was asked."""
    future = one.mail(client(address), reverse_path)
    return None if future is None else await future


async def to(one: Reception, forward_path: str, who: ClientInfo, reverse_path: str = "a@far.example") -> Answer:
    answer = one.rcpt(who, reverse_path, forward_path)
    return await answer if isinstance(answer, Awaitable) else answer


def test_a_listed_client_is_refused_by_name_of_the_list(tmp_path: Path) -> None:
    """DNSBL-05, DNSBL-06: 554 5.7.1 with the list's name."""
    with block_lists(tmp_path, ZONES) as server:

        async def main() -> None:
            one = reception(server.resolver())
            answer = await verdict(one, LISTED)
            assert answer == Answer(Reply.BLOCK_LISTED, "bl.example")
            assert answer.reply.line(answer.blank).startswith(b"554 5.7.1 client is on the block list bl.example, ")
            assert await verdict(one, CLEAN) == ACCEPTED

        asyncio.run(main())


def test_names_of_lists_fit_a_reply() -> None:
    """DNSBL-06, RFC 5321 s4.5.3.1.5: in ASCII, and cut where a line ends."""

    async def main() -> None:
        lists = tuple(BlockList(f"blü{number}.example", enabled=True) for number in range(40))
        zone = {(f"{at}.{a_labels(one.domain)}", "A"): ["127.0.0.2"] for at in ASKED for one in lists}
        names = await Names(zone).start()
        try:
            one = reception(names.resolver(), BlockLists(lists=lists, action=ListAction.REJECT, timeout_s=10))
            answer = await verdict(one, LISTED)
        finally:
            names.stop()
        assert answer is not None and answer.reply is Reply.BLOCK_LISTED
        line = answer.reply.line(answer.blank)
        assert b"the block list xn--bl0-ioa.example, xn--bl1-ioa.example" in line
        assert len(line) <= 512

    asyncio.run(main())


def test_the_white_list_comes_first(tmp_path: Path) -> None:
    """DNSBL-07, WL-01, WL-03, WL-05: its senders are not looked up, nor refused where the message has to confirm it."""
    with block_lists(tmp_path, ZONES) as server:

        async def main() -> None:
            for confirmed in (False, True):
                white = WhiteList(enabled=True, domains=("@good.example",), confirmed=confirmed)
                one = reception(server.resolver(), white_list=white)
                assert await verdict(one, LISTED, "a@good.example") is None
            off = WhiteList(enabled=False, domains=("@good.example",))
            assert await verdict(reception(server.resolver(), white_list=off), LISTED, "a@good.example") != ACCEPTED
            assert server.asked("7.2.0.192.bl.example") == 1
            assert await verdict(one, LISTED, "a@bad.example") == Answer(Reply.BLOCK_LISTED, "bl.example")

        asyncio.run(main())


def test_listed_relay_hosts_and_inside_addresses_are_not_looked_up(tmp_path: Path) -> None:
    """DNSBL-03"""
    inside = {"bl.example": {"ip4set": f":127.0.0.2:listed\n127.0.0.2\n{LISTED}\n10.0.0.1\n192.168.0.1\n"}}
    with block_lists(tmp_path, inside) as server:

        async def main() -> None:
            one = reception(server.resolver(), relay=Relay(hosts=(LISTED,)))
            for address in (LISTED, "127.0.0.1", "10.0.0.1", "192.168.0.1", "::1", "fe80::1"):
                assert await verdict(one, address) == ACCEPTED

        asyncio.run(main())
        assert server.asked("7.2.0.192.bl.example") == server.asked("1.0.0.10.bl.example") == 0


@pytest.mark.parametrize("action", [action for action in ListAction if action is not ListAction.REJECT])
def test_other_actions_wait_for_the_message(action: ListAction) -> None:
    """DNSBL-06, BLK-02: nothing is asked during SMTP then; nor with no list switched on."""

    async def main() -> None:
        resolver = Resolver(["127.0.0.1#1"])
        lists = BlockLists(lists=(BlockList("bl.example", enabled=True),), action=action)
        assert await verdict(reception(resolver, lists), LISTED) is None
        off = BlockLists(lists=(BlockList("bl.example", enabled=False),), action=ListAction.REJECT)
        assert await verdict(reception(resolver, off), LISTED) is None

    asyncio.run(main())


ZONE = {
    ("1.2.0.192.in-addr.arpa", "PTR"): ["mail.site.example."],
    ("mail.site.example", "A"): ["192.0.2.1"],
    ("2.2.0.192.in-addr.arpa", "PTR"): ["mail.site.example."],
    ("2.0.0.127.bl.example", "A"): ["127.0.0.2"],
    ("1.2.0.192.bl.example", "A"): ["127.0.0.2"],
    ("2.2.0.192.bl.example", "A"): ["127.0.0.2"],
}


@pytest.mark.parametrize("trouble", ["silent", "broken", "refused", "garbage"])
def test_dns_trouble_speaks_for_the_sender(trouble: str) -> None:
    """DNSBL-09: within its time-out, whichever lookup it is."""

    async def main() -> None:
        names = await Names(ZONE).start()
        try:
            getattr(names, trouble).add("*")
            assert await verdict(reception(names.resolver()), "192.0.2.1") == ACCEPTED
            by_name = reception(names.resolver(), relay=Relay(hosts=("other.example",)))
            assert await verdict(by_name, "192.0.2.1") == ACCEPTED
        finally:
            names.stop()

    asyncio.run(main())


def test_hosts_are_known_by_confirmed_names() -> None:
    """RELAY-03, RELAY-08, DNSBL-03: a PTR record without the address record that leads back is worth nothing."""

    async def main() -> None:
        names = await Names(ZONE).start()
        try:
            one = reception(names.resolver(), relay=Relay(hosts=("*.site.example",)))
            ours, theirs = client("192.0.2.1"), client("192.0.2.2")
            assert await to(one, "b@far.example", ours) == ACCEPTED
            assert ours.names == ("mail.site.example",)
            assert await to(one, "b@far.example", theirs) == Answer(Reply.RELAY_DENIED)
            assert one.rcpt(client("192.0.2.2"), "", "b@local.example") == ACCEPTED
            assert await verdict(one, "192.0.2.1") == ACCEPTED
            assert await verdict(one, "192.0.2.2") == Answer(Reply.BLOCK_LISTED, "bl.example")
        finally:
            names.stop()

    asyncio.run(main())


def test_a_grant_becomes_a_condition_on_the_message() -> None:
    """RELAY-01: by address at once, by name after a lookup."""

    async def main() -> None:
        names = await Names(ZONE).start()
        try:
            grants = (
                Grant(network="198.51.100.0/24", header="X-Tenant", value="t"),
                Grant(network="mail.site.example", sender_domains=("@far.example",), header="X-Other", value="o"),
            )
            one = reception(names.resolver(), relay=Relay(grants=grants))
            by_address = await to(one, "b@other.example", client("198.51.100.1"), "a@b.example")
            assert by_address == Answer(fields=(Field("x-tenant", "t"),))
            assert await to(one, "b@other.example", client("192.0.2.1")) == Answer(fields=(Field("x-other", "o"),))
            assert await to(one, "b@other.example", client("192.0.2.2")) == Answer(Reply.RELAY_DENIED)
            assert await to(one, "b@local.example", client("198.51.100.1")) == ACCEPTED
        finally:
            names.stop()

    asyncio.run(main())


def test_who_has_logged_on_may_send_everywhere() -> None:
    """RELAY-14: no name is looked up for it, and no list is asked about it."""
    with scripted({}) as names:

        async def main() -> None:
            one = reception(names.resolver(), relay=Relay(hosts=("*.site.example",)))
            anna = client(LISTED)
            anna.submitter = "anna"
            assert one.mail(anna, "a@far.example") is None
            assert one.rcpt(anna, "a@far.example", "b@elsewhere.example") == ACCEPTED
            assert await to(one, "b@elsewhere.example", client(LISTED)) == Answer(Reply.RELAY_DENIED)

        asyncio.run(main())


def test_mail_for_the_postmaster_is_taken_from_everybody() -> None:
    """RFC 5321 s4.5.1: by its own route, else for the first administrator, else there is nobody."""
    resolver, who = Resolver(["127.0.0.1#1"]), client("192.0.2.1")
    administrators = ("admin@far.example", "second@far.example")
    one = reception(resolver, administrators=administrators)
    assert one.rcpt(who, "", "POSTMASTER@gate.example") == Answer(instead="admin@far.example")
    assert one.rcpt(who, "", "xpostmaster@gate.example") == Answer(Reply.RELAY_DENIED)
    assert one.rcpt(who, "", "postmaster@far.example") == Answer(Reply.RELAY_DENIED)
    routed = reception(resolver, administrators=administrators, local=("gate.example",))
    assert routed.rcpt(who, "", "Postmaster@Gate.example") == ACCEPTED
    assert reception(resolver).rcpt(who, "", "Postmaster@Gate.example") == Answer(Reply.RELAY_DENIED)
