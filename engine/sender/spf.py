"""SPF: may this client use this reverse-path? (RFC 7208)

    result, domain = await check(resolver, "192.0.2.1", "mx.example.com", "someone@example.com")

The identity is that of MAIL FROM; for the null reverse-path postmaster@helo (s2.4). Every limit of s4.6.4 holds across
all records of one check: 10 terms that ask, 10 MX names of each, 10 PTR names of each, 2 answers without records. One
more is ours: octets of all records (limits.SPF_RECORDS_LEN), for each is parsed in full before its first term counts.

The library of PyPI (pyspf) asks synchronously and without our cache; it is an oracle in the tests.

Known gaps: the HELO identity is not checked besides (s2.3), since DMARC does not use it. Explanations (`exp`) are
checked for syntax but not fetched, since nothing is refused by SPF alone; so macros c, r and t are never expanded.
"""

import ipaddress
import re
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

from engine import limits
from engine.delivery.route import a_label
from engine.dns import DnsFailure, Resolver
from engine.relay_rule import Address, plain_address
from engine.sender.spf_record import Directive, Macro, Mechanism, Record, SyntaxFault, Text, is_spf, read

LOOKUPS: Final = 10  # terms that ask DNS, in all records of a check (s4.6.4)
VOID_LOOKUPS: Final = 2  # answers without records
NAMES: Final = 10  # MX or PTR names of one term
NAME_LEN: Final = 253

_USUAL_NAME: Final = re.compile(r"(?:[a-z0-9_\-]{1,63}\.)+[a-z0-9_\-]{1,63}")
_PLAIN: Final = re.compile(r"[a-z0-9_\-.]")


class _Ended(Exception):
    """The check ends here with this result: temperror or permerror."""

    def __init__(self, result: str) -> None:
        self.result = result


async def check(resolver: Resolver, address: str, helo: str, reverse_path: str) -> tuple[str, str]:
    """(result in the words of s2.6, domain that was checked). Never raises on what clients or DNS say.

    address: of the client; a mapped one (::ffff:192.0.2.1) counts as its IPv4 address. reverse_path: without angle
    brackets, empty for the null one. The domain is lower case, in A-labels.
    """
    local, domain = identity(helo, reverse_path)
    try:
        client = plain_address(address)
    except ValueError:
        return "none", domain
    try:
        return await _Check(resolver, client, helo, local, domain).host(domain), domain
    except _Ended as ended:
        return ended.result, domain


def identity(helo: str, reverse_path: str) -> tuple[str, str]:
    """(local part, domain) that is checked: the null reverse-path speaks for postmaster@helo (s2.4, s4.3)."""
    local, _, domain = (reverse_path or f"postmaster@{helo}").rpartition("@")
    return local or "postmaster", a_label(domain)


def is_mail_domain(domain: str) -> bool:
    """Whether an A-label name can have a record (s4.3): several labels, each of 1 to 63 octets; no address literal."""
    if _USUAL_NAME.fullmatch(domain):
        return len(domain) <= NAME_LEN
    labels = domain.removesuffix(".").split(".")
    return (
        len(domain) <= NAME_LEN
        and not domain.startswith("[")
        and len(labels) > 1
        and all(0 < len(label) <= 63 for label in labels)
    )


class _Check:
    """One check: what all its records share."""

    def __init__(self, resolver: Resolver, client: Address, helo: str, local: str, sender_domain: str) -> None:
        self._resolver = resolver
        self._client = client
        self._number = int(client)
        self._kind = "A" if client.version == 4 else "AAAA"
        self._helo = helo
        self._local = local
        self._sender_domain = sender_domain
        self._lookups = 0
        self._void = 0
        self._octets = 0

    async def host(self, domain: str) -> str:
        """check_host() of s4. Raises _Ended."""
        if not is_mail_domain(domain):
            return "none"
        record = await self._record(domain)
        if record is None:
            return "none"
        for directive in record.directives:
            if await self._matches(directive, domain):
                return directive.result
        if record.redirect and (target := await self._expand(record.redirect, domain)) is not None:
            self._count()
            result = await self.host(target)
            if result == "none":
                raise _Ended("permerror")  # s6.1
            return result
        return "neutral"

    async def _record(self, domain: str) -> Record | None:
        found = [
            text
            for record in await self._records(domain, "TXT", void=False)
            if is_spf(text := b"".join(record.strings))
        ]
        if not found:
            return None
        self._octets += len(found[0])
        if len(found) > 1 or self._octets > limits.SPF_RECORDS_LEN:
            raise _Ended("permerror")  # s4.5
        try:
            return read(found[0])
        except SyntaxFault:
            raise _Ended("permerror") from None

    # --- mechanisms (s5): whether one matches ------------------------------------------------------

    async def _matches(self, directive: Directive, domain: str) -> bool:
        mechanism = directive.mechanism
        if mechanism is Mechanism.ALL:
            return True
        if (network := directive.network) is not None:
            return self._client.version == network.version and self._number >> network.shift == network.prefix
        self._count()
        target = await self._expand(directive.domain, domain) if directive.domain else domain
        if target is None:
            return False
        match mechanism:
            case Mechanism.INCLUDE:
                return await self._includes(target)
            case Mechanism.EXISTS:
                return bool(await self._records(target, "A"))
            case Mechanism.A:
                return await self._is_address_of(target, directive)
            case Mechanism.MX:
                return await self._is_exchange_of(target, directive)
        return await self._is_named(target)

    async def _includes(self, target: str) -> bool:
        result = await self.host(target)
        if result == "none":
            raise _Ended("permerror")  # s5.2
        return result == "pass"

    async def _is_exchange_of(self, target: str, directive: Directive) -> bool:
        exchanges = await self._records(target, "MX")
        if len(exchanges) > NAMES:
            raise _Ended("permerror")
        hosts = [exchange.exchange.to_text(omit_final_dot=True) for exchange in exchanges]
        for host in hosts:
            if host not in ("", ".") and await self._is_address_of(host, directive):
                return True
        return False

    async def _is_address_of(self, host: str, directive: Directive) -> bool:
        shift = directive.shift[0 if self._client.version == 4 else 1]
        ours = self._number >> shift
        found = await self._records(host, self._kind)
        return any(_number(record.address) >> shift == ours for record in found)

    async def _is_named(self, target: str) -> bool:
        return await self._name_under(target.lower().removesuffix(".")) != ""

    async def _name_under(self, domain: str) -> str:
        """A confirmed name of the client that is domain or, failing that, lies under it; empty: none (s5.5)."""
        names = await self._pointers(void=True)
        below = [name for name in names if name.endswith("." + domain)]
        return await self._first_that_leads_back([name for name in names if name == domain] + below)

    async def _pointers(self, *, void: bool) -> list[str]:
        """Alleged names of the client; none if DNS does not answer (s5.5)."""
        try:
            found = await self._records(self._client.reverse_pointer, "PTR", void=void)
        except _Ended as ended:
            if ended.result == "permerror":
                raise
            return []
        return [pointer.target.to_text(omit_final_dot=True).lower() for pointer in found[:NAMES]]

    async def _first_that_leads_back(self, names: list[str]) -> str:
        for name in names:
            if await self._leads_back(name):
                return name
        return ""

    async def _leads_back(self, name: str) -> bool:
        try:
            found = await self._records(name, self._kind)
        except _Ended as ended:
            if ended.result == "permerror":
                raise
            return False  # s5.5: a failing name is skipped
        return any(_number(record.address) == self._number for record in found)

    # --- macros (s7) -------------------------------------------------------------------------------

    async def _expand(self, text: Text, domain: str) -> str | None:
        """A domain-spec as a name, cut from the left to its greatest length; None if it can match nothing."""
        parts = [part if isinstance(part, str) else await self._value(part, domain) for part in text]
        if None in parts:
            return None
        name = "".join(filter(None, parts)).lower().removesuffix(".")
        while len(name) > NAME_LEN:
            _, dot, name = name.partition(".")
            if not dot:
                return None
        return name

    async def _value(self, macro: Macro, domain: str) -> str | None:
        if macro.letter in "sl" and not self._local.isascii():
            return None  # RFC 8616 s4: such terms match nothing
        match macro.letter:
            case "s":
                value = f"{self._local}@{self._sender_domain}"
            case "l":
                value = self._local
            case "o":
                value = self._sender_domain
            case "d":
                value = domain
            case "i":
                value = str(self._client) if self._client.version == 4 else ".".join(f"{int(self._client):032x}")
            case "p":
                value = await self._validated_name(domain)
            case "v":
                value = "in-addr" if self._client.version == 4 else "ip6"
            case _:
                value = a_label(self._helo)
        labels = re.split("[" + re.escape(macro.split) + "]", value)
        if macro.reverse:
            labels.reverse()
        value = ".".join(labels[-macro.parts :])
        return quote(value, safe="-._~") if macro.escape else value

    async def _validated_name(self, domain: str) -> str:
        """Macro p (s7.3): as mechanism ptr finds it; else any confirmed name."""
        found = await self._name_under(domain) or await self._first_that_leads_back(await self._pointers(void=False))
        return found or "unknown"

    # --- DNS ---------------------------------------------------------------------------------------

    def _count(self) -> None:
        self._lookups += 1
        if self._lookups > LOOKUPS:
            raise _Ended("permerror")

    async def _records(self, name: str, kind: str, *, void: bool = True) -> tuple[Any, ...]:
        """Records, empty also for a name that does not exist. void: an empty answer counts. Raises _Ended."""
        text = dns_name(name)
        found: tuple[Any, ...] | None = ()
        if text:
            try:
                found = await self._resolver.claimed(text, kind)
            except DnsFailure:
                raise _Ended("temperror") from None
        if not found and void:
            self._void += 1
            if self._void > VOID_LOOKUPS:
                raise _Ended("permerror")
        return found or ()


def dns_name(name: str) -> str:
    """A name as dnspython reads one, whatever characters macros put there; empty: there cannot be such a name."""
    name = name.lower()
    if len(name) > NAME_LEN:
        return ""
    if _USUAL_NAME.fullmatch(name):
        return name
    if not name.isascii() or not all(0 < len(label) <= 63 for label in name.removesuffix(".").split(".")):
        return ""
    return "".join(one if _PLAIN.match(one) else f"\\{ord(one):03d}" for one in name)


@lru_cache(maxsize=4096)
def _number(address: str) -> int:
    return int(ipaddress.ip_address(address))
