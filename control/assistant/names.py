"""The test of DNS: name servers, the own name in both directions, MX of what is served (INST-03..05, SYS-05)."""

import asyncio
import ipaddress
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import dns.reversename

from control.assistant.checks import Check, bad, good, warn
from engine.config import Settings
from engine.delivery.route import a_label, address_text
from engine.dns import Resolver
from engine.dns.resolver import DnsFailure

DOMAINS: Final = 50  # that are looked up in one test
PATIENCE_S: Final = 20.0  # for all of it
LOOKUP_S: Final = 6.0  # for one
RESOLV_CONF: Final = Path("/etc/resolv.conf")


def check_names(settings: Settings, host: str, resolv_conf: Path = RESOLV_CONF) -> list[Check]:
    """host: what the gateway calls itself. For a thread: it takes up to PATIENCE_S."""
    resolver = Resolver(settings.dns.servers, timeout_s=2.0, lifetime_s=LOOKUP_S, hosts_file=None)
    return [*_client(settings, resolv_conf), *asyncio.run(_asked(resolver, settings, host))]


def served(settings: Settings) -> list[str]:
    """The mail domains of the local routing list; wildcards, addresses and hosts in brackets are none."""
    names = (route.name.strip().rstrip(".").lower() for route in settings.routing.local)
    return list(dict.fromkeys(name for name in names if name and "*" not in name and not address_text(name)))


async def _asked(resolver: Resolver, settings: Settings, host: str) -> list[Check]:
    domains = served(settings)
    try:
        async with asyncio.timeout(PATIENCE_S):
            own, addresses = await _own_name(resolver, host)
            found = await asyncio.gather(*(_mx(resolver, one, host, addresses) for one in domains[:DOMAINS]))
    except TimeoutError:
        return [bad("Name servers", "They did not answer in time. Name others under Setup, Other (dns.servers).")]
    more = len(domains) - DOMAINS
    rest = [warn("Further domains", f"{more} more were not looked up: {DOMAINS} are in one test.")] if more > 0 else []
    return [*own, *found, *rest]


def _client(settings: Settings, resolv_conf: Path) -> Iterator[Check]:
    """INST-03: a DNS client with at least one name server and a domain."""
    what = "Name servers"
    if settings.dns.servers:
        yield good(what, f"{', '.join(settings.dns.servers)}, from the settings.")
        return
    try:
        lines = [line.split() for line in resolv_conf.read_text(errors="replace").splitlines()]
    except OSError:
        yield bad(what, f"{resolv_conf} cannot be read. Name your name servers in it, or in the settings (dns.servers)")
        return
    servers = [words[1] for words in lines if words[:1] == ["nameserver"] and len(words) > 1]
    if servers:
        yield good(what, f"{', '.join(servers)}, from {resolv_conf}.")
    else:
        yield bad(what, f"{resolv_conf} has no nameserver line. Add one, or set dns.servers in the settings.")
    if not any(words[0] in ("domain", "search") and len(words) > 1 for words in lines if words):
        yield warn("Domain of this machine", f"{resolv_conf} has no domain or search line. Mail works without it.")


async def _own_name(resolver: Resolver, host: str) -> tuple[list[Check], tuple[str, ...]]:
    """INST-04: name to address and address to name must agree. With the addresses."""
    what = f"Own name {host}"
    if "." not in host:
        text = "This is no full name, so other mail servers will distrust it. Write one such as mail.example.com."
        return [bad(what, text)], ()
    try:
        addresses = await resolver.addresses(a_label(host))
    except DnsFailure as error:
        if not error.permanent:
            return [bad(what, f"DNS did not answer: {error}. Check the name servers.")], ()
        text = "DNS knows no address of it. Add an A or AAAA record for it, or correct the name."
        return [bad(what, text)], ()
    found = [good(what, f"It has the address {', '.join(addresses)}.")]
    if not any(map(_is_here, addresses)):
        text = "None of these is an address of this machine. That is right only behind a firewall that passes them on."
        found.append(warn(what, text))
    found += await asyncio.gather(*(_back(resolver, host, address) for address in addresses))
    return found, addresses


async def _back(resolver: Resolver, host: str, address: str) -> Check:
    what = f"Address {address}"
    pointer = dns.reversename.from_address(address).to_text(omit_final_dot=True)
    try:
        records = await resolver.records(pointer, "PTR")
    except DnsFailure as error:
        return bad(what, f"DNS did not answer for its name: {error}.")
    names = [record.target.to_text(omit_final_dot=True).lower() for record in records or ()]
    if a_label(host) in names:
        return good(what, f"It leads back to {host}: both directions agree.")
    if not names:
        return bad(what, f"It has no name (PTR). Ask who gave you the address to set it to {host}.")
    return bad(what, f"Its name (PTR) is {', '.join(names)}. Have it set to {host}, or call the gateway by that name.")


async def _mx(resolver: Resolver, domain: str, host: str, own: Sequence[str]) -> Check:
    """INST-05: an MX record of the highest priority that names the gateway, or a firewall that leads there."""
    what = f"Mail for {domain}"
    try:
        exchanges = await resolver.exchanges(a_label(domain))
    except DnsFailure as error:
        if not error.permanent:
            return bad(what, f"DNS did not answer: {error}.")
        return bad(what, f"Nobody can send to it: {error.reply.text}. Add an MX record that names {host}.")
    best = [name for preference, name in exchanges if preference == exchanges[0][0]]
    if a_label(host) in best:
        return good(what, f"Its MX of the highest priority is {host}: mail comes here.")
    for name in best:
        try:
            if set(await resolver.addresses(name)) & set(own):
                return good(what, f"Its MX of the highest priority, {name}, has an address of this gateway.")
        except DnsFailure:
            continue  # the others may lead here
    text = (
        f"Its mail goes to {', '.join(best)} and not to this gateway. Once all tests are good, add an MX record with a"
        f" lower number that names {host}; behind a firewall, lead its port 25 here instead."
    )
    return warn(what, text)


def _is_here(address: str) -> bool:
    """Whether this machine has the address: only then can it be bound."""
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.bind((address, 0))
        except OSError:
            return False
    return True
