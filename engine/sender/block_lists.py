"""The client of DNS block lists (RFC 5782).

A list that is dead, parked, out of reach or angry with our name server answers something as well, and whoever takes
that for "listed" refuses all mail; so a list has to prove itself. It is tested when it comes into use, and again before
an answer is believed whenever the last test is TEST_S old: 127.0.0.2 must be listed, 127.0.0.1 must not (s5). The test
is asked beside the question, so it costs no time. An answer that is none (an error code, an address outside
127.0.0.0/8), a failed test, or FAILURES clients in a row without an answer make the list unusable: that is an event,
what was heard of it is forgotten, and it is tested again after a pause that grows while it fails.

IPv6 is tested only for listing everything, and with ::1: many lists do not have ::ffff:127.0.0.2, and rbldnsd, which
most of them use, takes such addresses for IPv4, so that they tell nothing.

Known gaps: names of lists in the message itself (URIs, domains) are not asked about; texts of lists are not shown.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any, Final

from engine.config import BlockLists
from engine.dns import DnsFailure, Resolver
from engine.events import BlockListUnusable, Event
from engine.policy.addresses import domain as plain_domain
from engine.policy.evidence import Listing
from engine.relay_rule import plain_address

TEST_S: Final = 300.0  # a list that starts to list everything is believed so long, and as long as its answers' TTL
FAILURES: Final = 3
PAUSE_FIRST_S: Final = 60.0
PAUSE_LAST_S: Final = 3600.0
CODES: Final = 16  # of one answer that are kept

# Hosts that no public list can know. Documentation networks are not among them: they do not occur, and tests need them.
_INSIDE: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
        "::/127", "fc00::/7", "fe80::/10", "fec0::/10",
    )
)  # fmt: skip
_ERRORS: Final = {  # what lists say with the codes that they agree on
    "127.0.0.1": "it refuses to answer",
    "127.255.255.252": "its name is not written correctly",
    "127.255.255.254": "it does not answer public name servers: use one of your own (dns.servers)",
    "127.255.255.255": "it was asked too often: get an account with it or remove it",
}

log = logging.getLogger(__name__)


@lru_cache(maxsize=4096)
def asked_as(address: str) -> str:
    """What stands before the domain of a list in a question about a host (RFC 5782 s2.1, s2.4).

    Empty if no list is asked about it: private, loopback and link-local addresses (DNSBL-03), and what is no address.
    """
    try:
        ip = plain_address(address)
    except ValueError:
        return ""
    if any(ip in network for network in _INSIDE):
        return ""
    if isinstance(ip, IPv6Address):
        return ".".join(reversed(ip.packed.hex()))
    return ".".join(str(octet) for octet in reversed(ip.packed))


_LISTED: Final = "2.0.0.127"
_UNLISTED: Final = "1.0.0.127"
_UNLISTED_6: Final = ".".join(reversed(IPv6Address("::1").packed.hex()))


class _List:
    """What is known of one list."""

    def __init__(self, domain: str) -> None:
        self.domain = domain  # as A-labels
        self.good = False  # passed its last test and has not failed since
        self.good_since = -math.inf
        self.tested_at = -math.inf
        self.problem = ""  # why it is not used; empty before its first test
        self.retry_at = math.inf
        self.pause_s = PAUSE_FIRST_S
        self.without_answer: set[str] = set()  # clients, since the last answer
        self.names_all_ipv6 = False
        self.test: asyncio.Task[None] | None = None


class BlockListClient:
    """One for each relay: it remembers which lists are usable, and asks through the relay's cache."""

    def __init__(
        self, resolver: Resolver, event: Callable[[Event], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """event: writes to the journal (BlockListUnusable). clock: seconds, monotonic."""
        self._resolver = resolver
        self._event = event
        self._clock = clock
        self._settings: BlockLists | None = None
        self._lists: dict[str, _List] = {}

    async def ask(self, address: str, settings: BlockLists) -> tuple[Listing, ...]:
        """What each list that is switched on says about the client, within settings.timeout_s. Never raises.

        In the order of the settings; all are asked at once, those whose answer is in the cache not at all (DNSBL-09).
        Empty for addresses that nobody is asked about. Hosts of relay.hosts are the caller's to leave out (DNSBL-03).
        """
        host = asked_as(address)
        if not host:
            return ()
        if settings is not self._settings:
            self._adopt(settings)
        found: dict[str, tuple[_List, Listing | asyncio.Task[Listing]]] = {}
        for setting in settings.lists:
            domain = plain_domain(setting.domain)
            if not setting.enabled or domain in found:  # DNSBL-02
                continue
            one = self._lists.get(domain) or self._lists.setdefault(domain, _List(domain))
            asking = self._ask(one, host)
            if one.good and not self._is_due(one) and self._resolver.knows(f"{host}.{domain}", "A"):
                found[domain] = one, await asking  # does not wait for anything
            else:
                found[domain] = one, asyncio.get_running_loop().create_task(asking)
        tasks = [said for _, said in found.values() if isinstance(said, asyncio.Task)]
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=settings.timeout_s)
            return tuple(self._outcome(one, host, said) for one, said in found.values())
        finally:
            for task in tasks:
                task.cancel()

    def _outcome(self, one: _List, host: str, found: "Listing | asyncio.Task[Listing]") -> Listing:
        if isinstance(found, Listing):
            return found
        if found.done():
            return found.result()
        return self._no_answer(one, host, "it did not answer in time")

    def _adopt(self, settings: BlockLists) -> None:
        """A list that was switched off meanwhile is tested when it comes into use again."""
        used = {plain_domain(one.domain) for one in settings.lists if one.enabled}
        self._lists = {domain: one for domain, one in self._lists.items() if domain in used}
        self._settings = settings

    async def _ask(self, one: _List, host: str) -> Listing:
        test = self._test_if_due(one)
        if one.problem:
            return Listing(one.domain, problem=one.problem)
        if one.names_all_ipv6 and len(host) == len(_UNLISTED_6):
            return Listing(one.domain, problem=f"{one.domain} names every IPv6 address")
        try:
            records = await self._resolver.records(f"{host}.{one.domain}", "A")
        except DnsFailure as error:
            return self._no_answer(one, host, str(error))
        codes = _codes(records)
        if wrong := _wrong(codes):
            self._unusable(one, wrong)
        elif test is not None:
            await asyncio.shield(test)
        if one.problem or self._is_due(one):
            return Listing(one.domain, problem=one.problem or "it could not be tested yet")
        one.without_answer.clear()
        return Listing(one.domain, codes[:CODES])

    def _no_answer(self, one: _List, question: str, why: str) -> Listing:
        log.warning("block list %s gave no answer about %s: %s", one.domain, question, why)
        one.without_answer.add(question)
        if len(one.without_answer) >= FAILURES and not one.problem:
            self._unusable(one, f"it gave no answer {FAILURES} times in a row: {why}")
        return Listing(one.domain, problem=why)

    # --- whether a list can be used -----------------------------------------------------------------

    def _is_due(self, one: _List) -> bool:
        now = self._clock()
        return now >= one.retry_at if one.problem else now - one.tested_at >= TEST_S

    def _test_if_due(self, one: _List) -> "asyncio.Task[None] | None":
        """The test that has to end before an answer is believed."""
        if one.test is None and self._is_due(one):
            one.test = asyncio.get_running_loop().create_task(self._test(one))
        return one.test

    async def _test(self, one: _List) -> None:
        try:
            found = await asyncio.gather(
                *(
                    self._resolver.records(f"{host}.{one.domain}", "A", fresh=True)
                    for host in (_LISTED, _UNLISTED, _UNLISTED_6)
                ),
                return_exceptions=True,
            )
            self._tested(one, found)
        finally:
            one.test = None

    def _tested(self, one: _List, found: list[Any]) -> None:
        if one.problem and self._clock() < one.retry_at:
            return  # it was found unusable meanwhile
        for result in found[:2]:
            if isinstance(result, DnsFailure):
                if one.problem:
                    self._unusable(one, str(result))
                else:  # once may be chance; FAILURES in a row are not
                    self._no_answer(one, f"its test ({len(one.without_answer) + 1})", str(result))
                return
        listed, unlisted, unlisted_6 = ([] if isinstance(result, DnsFailure) else _codes(result) for result in found)
        if wrong := _wrong((*listed, *unlisted)):
            self._unusable(one, wrong)
        elif not listed:
            self._unusable(one, "it does not name 127.0.0.2, as every list does: its domain is wrong, or it is gone")
        elif unlisted:
            self._unusable(one, "it names 127.0.0.1, as no list does: it names every host")
        else:
            self._usable(one)
            if unlisted_6 and not one.names_all_ipv6:
                self._event(BlockListUnusable(list=one.domain, reason="it names every IPv6 address; IPv4 is in order"))
            one.names_all_ipv6 = bool(unlisted_6)

    def _usable(self, one: _List) -> None:
        one.tested_at = self._clock()
        if not one.good:
            one.good_since = one.tested_at
        if one.problem:
            self._resolver.forget(one.domain)  # what it said while it was broken must not come back
            reason = "it passed its test and is used again"
            self._event(BlockListUnusable(list=one.domain, reason=reason, recovered=True))
            log.info("block list %s is used again", one.domain)
        one.good, one.problem = True, ""

    def _unusable(self, one: _List, why: str) -> None:
        now = self._clock()
        if one.problem or now - one.good_since < one.pause_s:
            one.pause_s = min(2 * one.pause_s, PAUSE_LAST_S)
        else:
            one.pause_s = PAUSE_FIRST_S
        if not one.problem:
            self._event(BlockListUnusable(list=one.domain, reason=why))
            log.warning("block list %s is not used for now: %s", one.domain, why)
        one.good, one.problem, one.retry_at = False, why, now + one.pause_s
        one.without_answer.clear()


def _codes(records: tuple[Any, ...] | None) -> tuple[str, ...]:
    """The distinct answers, in their order as numbers."""
    return tuple(str(code) for code in sorted({IPv4Address(record.address) for record in records or ()}))


def _wrong(codes: tuple[str, ...]) -> str:
    """What makes this no answer of a working list, in words; empty if it is one (DNSBL-04)."""
    for code in codes:
        if words := _ERRORS.get(code):
            return f"it answered {code}: {words}"
        if code.startswith("127.255.255."):
            return f"it answered {code}, an error code"
        if not code.startswith("127."):
            return f"it answered {code}, which no list does: its domain has another owner, or the name server lies"
    return ""
