"""The test of ports: the own listener, every next hop, and the way out (INST-06, INST-07, INST-12). No mail is sent.

What answers may be anything: what is read of it, and the time, are bounded.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from control.assistant.checks import Check, bad, good, warn
from control.assistant.names import served
from engine.config import Listener, Settings
from engine.delivery.reply import Reply, ReplyError, ReplyParser
from engine.delivery.route import Decision, Host, Kind, Protocol, Router, a_label, domain_of
from engine.dns import Resolver
from engine.dns.resolver import DnsFailure
from engine.listening import addresses
from engine.policy.metatags import clean
from engine.portuse import user_of_port

HOSTS: Final = 50  # next hops of one test
AT_ONCE: Final = 16
PATIENCE_S: Final = 8.0  # for one host
CHUNK_LEN: Final = 4096
SHOWN_LEN: Final = 120  # characters of a greeting
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


class Talk(msgspec.Struct, frozen=True):
    """What an SMTP server said. problem: why there was no greeting, in words; then the rest is unknown."""

    problem: str = ""
    greeting: str = ""
    starttls: bool = False


def check_ports(settings: Settings, host: str) -> list[Check]:
    """host: what the gateway calls itself. For a thread; takes PATIENCE_S for each AT_ONCE hosts at most."""
    return asyncio.run(_test(settings, host))


async def _test(settings: Settings, host: str) -> list[Check]:
    resolver = Resolver(settings.dns.servers, timeout_s=2.0, lifetime_s=PATIENCE_S)
    places = asyncio.Semaphore(AT_ONCE)
    wanted = _wanted(settings, host)
    own = await _own(settings.smtp.listen, host)
    found = await asyncio.gather(*(_way(resolver, places, what, way, host) for what, way in wanted[:HOSTS]))
    rest = []
    if (more := len(wanted) - HOSTS) > 0:
        rest.append(warn("Further routes", f"{more} more were not tried: {HOSTS} are in one test."))
    return [own, *_pages(settings), *(check for some in found for check in some), *rest]


def _wanted(settings: Settings, host: str) -> list[tuple[str, Decision]]:
    """Each way that mail takes, once, and what it is for."""
    router = Router(settings.routing, [settings.smtp.listen, *settings.smtp.listeners], host)
    ways: dict[str, tuple[str, Decision]] = {}
    for domain in served(settings):
        way = router.route(domain)
        ways.setdefault(way.key, (f"Mail for {domain}", way))
    # Where all other mail goes: by MX that is tried with a domain that the administrators have.
    others = [domain_of(one) for one in settings.notifications.administrators]
    for domain in others[:1]:
        way = router.route(domain)
        ways.setdefault(way.key, (f"Mail to the outside, as to {domain}", way))
    if settings.routing.default_host:
        way = router.route("elsewhere.invalid")
        ways.setdefault(way.key, ("All other mail", way))
    return list(ways.values())


async def _own(listener: Listener, host: str) -> Check:
    what = f"Own SMTP port {listener.port}"
    talk = await talk_to(Host(_EVERYWHERE.get(listener.host, listener.host), listener.port), host)
    if talk.problem:
        holder = await asyncio.to_thread(_holder, listener)
        who = f"{holder} uses it" if holder else "nobody answers there"
        return bad(what, f"The gateway does not answer ({talk.problem}): {who}. Free the port, or choose another.")
    if host.lower() not in talk.greeting.lower():
        text = f"Somebody else answers: “{talk.greeting}”. Stop that program, or choose another port (INST-06)."
        return bad(what, text)
    if not talk.starttls:
        return warn(what, f"It answers as {host}, but without STARTTLS: look at the certificate.")
    return good(what, f"It answers as {host}, with STARTTLS.")


def _holder(listener: Listener) -> str:
    try:
        return user_of_port(listener)
    except OSError as error:
        return f"nobody can, since {listener.host} is no address of this machine ({error.strerror}), so nobody"


def _pages(settings: Settings) -> list[Check]:
    """INST-07: that they answer is seen by whoever reads this."""
    ports = {name: one.port for name, one in addresses(settings).items()}
    text = f"SMTP {ports['smtp']}, pages {ports['https']}, their unencrypted port {ports['http']}: all different."
    return [good("Ports of this gateway", text)]


async def _way(resolver: Resolver, places: asyncio.Semaphore, what: str, way: Decision, host: str) -> list[Check]:
    if way.kind is Kind.LOOP:
        return [bad(what, f"It would go to this gateway itself ({way.name}). Correct its route.")]
    if way.kind is Kind.NONE:
        return [bad(what, f"There is no way to {way.name or 'it'}. Correct its route.")]
    hosts: Sequence[Host] = [one for one in way.hosts if one.protocol is Protocol.SMTP]
    text = "It is not tried: this test speaks SMTP without TLS from the start. Send a test mail instead."
    others = [warn(f"{what}: {one}", text) for one in way.hosts if one.protocol is not Protocol.SMTP]
    try:
        if way.kind is Kind.MX:
            hosts = [Host(name, way.port) for _, name in await resolver.exchanges(a_label(way.name))][:1]
        reached = [(one, await resolver.host_addresses(one.name)) for one in hosts]
    except DnsFailure as error:
        return [bad(what, f"DNS does not tell where it goes: {error}.")]
    async with places:
        return [*[await _hop(f"{what}: {one}", Host(found[0], one.port), host) for one, found in reached], *others]


async def _hop(what: str, hop: Host, host: str) -> Check:
    talk = await talk_to(hop, host)
    if talk.problem:
        text = f"It cannot be reached: {talk.problem}. Check the address and port, and what a firewall lets out."
        return bad(what, text)
    if not talk.greeting.startswith("220"):
        return bad(what, f"It refuses: “{talk.greeting}”. Let its administrator accept mail from this gateway.")
    if not talk.starttls:
        return warn(what, f"It answers, without STARTTLS, so mail goes there unencrypted: “{talk.greeting}”.")
    return good(what, f"It answers, with STARTTLS: “{talk.greeting}”.")


async def talk_to(hop: Host, host: str) -> Talk:
    """Greeting, EHLO and QUIT. hop: with an address. host: for EHLO."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection(hop.name, hop.port)
            replies = _replies(reader)
            try:
                greeting = await anext(replies)
                writer.write(f"EHLO {a_label(host) or 'localhost'}\r\n".encode("ascii", "replace"))
                offered = await anext(replies)
                writer.write(b"QUIT\r\n")
            finally:
                writer.close()
    except TimeoutError:
        return Talk(f"no answer within {PATIENCE_S:.0f} seconds")
    except StopAsyncIteration:
        return Talk("it ended the connection at once")
    except OSError as error:
        return Talk(os.strerror(error.errno) if error.errno else clean(str(error), SHOWN_LEN))
    except ReplyError as error:
        return Talk(clean(str(error), SHOWN_LEN))
    words = {line.partition(" ")[0].upper() for line in offered.lines or (offered.text,)}
    return Talk(greeting=clean(f"{greeting.code} {greeting.text}", SHOWN_LEN), starttls="STARTTLS" in words)


async def _replies(reader: asyncio.StreamReader) -> AsyncIterator[Reply]:
    """Raises ReplyError when what comes is none, or too long."""
    parser = ReplyParser()
    while data := await reader.read(CHUNK_LEN):
        for reply in parser.feed(data):
            yield reply
