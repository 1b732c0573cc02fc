"""DNS for everything that is looked up: delivery, relay rules, block lists, sender authentication.

Asynchronous, cached by TTL (also that there is nothing, RFC 2308), bounded. dnspython asks, over UDP and, for what is
too long for it, TCP; what it answers is kept here as finished tuples, because most mail goes to few domains and its
own cache would build a query for each hit. Lookups of one name at the same time share one query.

DNSSEC is validated by the name server, which says so with the AD bit. That bit is believed where nobody between can
set it: from a server on loopback, or one that the operator names (`dns.validating`). Validation in this process was
left out: each look-up would cost a chain of others and a millisecond for each signature, and root keys to keep.
"""

import asyncio
import ipaddress
import itertools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.resolver
import dns.reversename

from engine import limits
from engine.delivery.reply import Reply, own_words
from engine.delivery.route import address_text
from engine.dns import query
from engine.dns.cache import Answer, Cache, Key

Exchanges = tuple[tuple[int, str], ...]


class MailHosts(NamedTuple):
    """Hosts that take mail for a domain. authentic: DNSSEC proves that they do."""

    exchanges: Exchanges
    authentic: bool = False


class Addresses(NamedTuple):
    """Of a host, never empty. authentic: DNSSEC proves them. canonical: where aliases led to; empty: to none."""

    texts: tuple[str, ...]
    authentic: bool = False
    canonical: str = ""


def _is_believed(server: str, validating: Sequence[str]) -> bool:
    return server in validating or (bool(server) and ipaddress.ip_address(server).is_loopback)


def is_any_believed(servers: Sequence[str], validating: Sequence[str]) -> bool:
    """Whether what one of these name servers (none: the machine's) says of DNSSEC counts: else there is no DANE."""
    try:
        asked = servers or dns.resolver.Resolver().nameservers
    except dns.resolver.NoResolverConfiguration:
        return False
    return any(_is_believed(str(one).partition("#")[0], validating) for one in asked)


def _key(name: str, kind: str) -> Key:
    return name.removesuffix(".").lower(), kind


class _Server(dns.nameserver.Do53Nameserver):
    """One name server. silent: it gave no answer when it was last asked, so others go first."""

    def __init__(self, text: str) -> None:
        address, _, port = text.partition("#")
        super().__init__(address, int(port or 53))
        self.silent = False

    async def async_query(self, *arguments: Any, **named: Any) -> dns.message.Message:
        try:
            response = await super().async_query(*arguments, **named)
        except (dns.exception.Timeout, OSError):
            self.silent = True
            raise
        self.silent = False
        return response


class DnsFailure(Exception):
    """A lookup that gave nothing. `reply` says why, and whether for good."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply

    @property
    def permanent(self) -> bool:
        return self.reply.permanent


class _Refused(dns.exception.DNSException):
    """The only name server has no answer."""


def _refused(server: str) -> _Refused:
    return _Refused(f"{server} answers with an error")  # type: ignore[no-untyped-call]


class _Lookup:
    """A question under way. waiting: how many want its answer. lasting: it goes on also when nobody does any more."""

    __slots__ = ("lasting", "task", "waiting")

    def __init__(self, task: "asyncio.Task[Answer]") -> None:
        self.task = task
        self.waiting = 0
        self.lasting = False


def _forget(asking: dict[Key, _Lookup], key: Key, lookup: _Lookup) -> None:
    if asking.get(key) is lookup:
        del asking[key]


class Resolver:
    """Asks these name servers, or those of the machine if none are given.

    servers: addresses, or `address#port`, as the setting `dns.servers`. validating: addresses of those whose word on
    DNSSEC is believed beside servers on loopback (`dns.validating`). timeout_s: for one server's answer, then the
    next one is asked; lifetime_s: for one lookup. clock: seconds, monotonic. hosts_file is consulted first by
    `host_addresses` only: it speaks for hosts that the operator named, not for mail domains.
    """

    def __init__(
        self,
        servers: Sequence[str] = (),
        *,
        validating: Sequence[str] = (),
        timeout_s: float = 2.0,
        lifetime_s: float = 15.0,
        cache_entries: int = limits.DNS_CACHE_ENTRIES,
        clock: Callable[[], float] = time.monotonic,
        hosts_file: Path | None = Path("/etc/hosts"),
    ) -> None:
        self._servers = tuple(servers)
        self._validating = tuple(validating)
        self._timeout_s = timeout_s
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._hosts_file = hosts_file
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._cache = Cache(cache_entries, clock)
        self._asking: dict[Key, _Lookup] = {}
        self._slots = asyncio.Semaphore(limits.DNS_AT_ONCE)
        self._slots_of_senders = asyncio.Semaphore(limits.DNS_OF_SENDERS)

    def configure(self, servers: Sequence[str], validating: Sequence[str] = ()) -> None:
        """Ask these from now on. What others said is forgotten: they may be left because it was wrong."""
        if (tuple(servers), tuple(validating)) == (self._servers, self._validating):
            return
        self._servers = tuple(servers)
        self._validating = tuple(validating)
        self._resolver = None
        self._asking = {}
        self._cache.clear()

    async def exchanges(self, domain: str) -> Exchanges:
        """(preference, host) for mail to domain (an A-label name), sorted (RFC 5321 s5.1).

        Without MX the domain itself is the only one, with preference 0. Raises DnsFailure: 556 5.1.10 for a
        null MX (RFC 7505), 5.1.2 for a name that does not exist, 4.4.3 when DNS does not answer.
        """
        return (await self.mail_hosts(domain)).exchanges

    async def mail_hosts(self, domain: str) -> MailHosts:
        """As `exchanges`, and whether that is known for sure."""
        answer = await self.answer(domain, "MX")
        found = answer.records
        if found is None:
            raise DnsFailure(own_words("5.1.2", f"there is no domain {domain}"))
        hosts = [(int(mx.preference), mx.exchange.to_text(omit_final_dot=True).lower()) for mx in found]
        if hosts and all(host in ("", ".") for _, host in hosts):
            raise DnsFailure(Reply(556, f"5.1.10 {domain} accepts no mail (null MX)"))
        hosts = [(preference, host) for preference, host in hosts if host not in ("", ".")]
        if hosts:
            return MailHosts(tuple(sorted(hosts)[: limits.DNS_NAMES]), answer.authentic)
        await self.addresses(domain)  # implicit MX: raises if there is no address either
        return MailHosts(((0, domain),), answer.authentic)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The IPv6 and IPv4 addresses of host, never empty. An address is its own answer.

        Raises DnsFailure: 5.1.2 if there are none for good, 4.4.3 when DNS does not answer.
        """
        return (await self.proven_addresses(host)).texts

    async def proven_addresses(self, host: str) -> Addresses:
        """As `addresses`, and whether they are known for sure."""
        if own := address_text(host):
            return Addresses((own,))
        found: list[str] = []
        failure: DnsFailure | None = None
        exists = False
        authentic = True
        canonical = ""
        for result in await asyncio.gather(self.answer(host, "A"), self.answer(host, "AAAA"), return_exceptions=True):
            if isinstance(result, DnsFailure):
                failure = result
            elif isinstance(result, BaseException):
                raise result
            elif result.records is not None:
                exists = True
                canonical = canonical or result.canonical
                if result.records:
                    authentic = authentic and result.authentic
                    found += [record.address for record in result.records]
        if found:
            return Addresses(tuple(found[: limits.DNS_NAMES]), authentic, canonical)
        if failure is not None:
            raise failure
        what = f"{host} has no address" if exists else f"there is no host {host}"
        raise DnsFailure(own_words("5.1.2", what))

    async def host_addresses(self, host: str) -> tuple[str, ...]:
        """As `addresses`, for a host that the operator named: the machine's hosts file goes first."""
        return self._from_hosts_file(host) or await self.addresses(host)

    def is_in_hosts_file(self, host: str) -> bool:
        """Whether `host_addresses` asks no name server for it."""
        return bool(self._from_hosts_file(host))

    async def confirmed_names(self, address: str) -> tuple[str, ...]:
        """Names of address by PTR whose own addresses contain it (RELAY-08), lower case; empty if there are none.

        Raises DnsFailure (temporary) only if nothing was confirmed and DNS did not answer.
        """
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return ()
        pointers = await self.records(dns.reversename.from_address(str(ip)).to_text(omit_final_dot=True), "PTR")
        names = [record.target.to_text(omit_final_dot=True).lower() for record in pointers or ()][: limits.DNS_NAMES]
        confirmed: list[str] = []
        failure: DnsFailure | None = None
        for name in names:
            try:
                if any(ipaddress.ip_address(found) == ip for found in await self.addresses(name)):
                    confirmed.append(name)
            except DnsFailure as error:
                if not error.permanent:
                    failure = error
        if failure is not None and not confirmed:
            raise failure
        return tuple(confirmed)

    async def records(
        self, name: str, kind: str, *, fresh: bool = False, lasting: bool = True
    ) -> tuple[Any, ...] | None:
        """Records of a name, from the cache or asked for, as dnspython's objects; at most limits.DNS_RECORDS.

        None: there is no such name (NXDOMAIN). Empty: it exists without such records. Raises DnsFailure, and nothing
        else, when DNS does not answer. kind: "A", "TXT", ... fresh: ask in any case. lasting: the answer is kept for
        those to come, also if this caller gives up.
        """
        return (await self.answer(name, kind, fresh=fresh, lasting=lasting)).records

    async def answer(self, name: str, kind: str, *, fresh: bool = False, lasting: bool = True) -> Answer:
        """As `records`, with what else is known about them."""
        key = _key(name, kind)
        answer = None if fresh else self._cache.get(key)
        if answer is None:
            answer = await self._asked(key, lasting)
        if answer.failure is not None:
            raise DnsFailure(answer.failure)
        return answer

    async def claimed(self, name: str, kind: str) -> tuple[Any, ...] | None:
        """As `records`, of a name that a sender chose. Only limits.DNS_OF_SENDERS of these are under way at a time, and
        none that nobody waits for: however many names have no answer, they keep nothing else from being asked."""
        if self.knows(name, kind):
            return await self.records(name, kind)
        async with self._slots_of_senders:
            return await self.records(name, kind, lasting=False)

    def knows(self, name: str, kind: str) -> bool:
        """Whether `records` answers this from the cache, so that it need not be a task beside others."""
        return self._cache.get(_key(name, kind)) is not None

    async def texts(self, name: str) -> tuple[bytes, ...] | None:
        """TXT records of a name, the strings of each joined (RFC 7208 s3.3, RFC 6376 s3.6.2.2); else as `claimed`."""
        found = await self.claimed(name, "TXT")
        return None if found is None else tuple(b"".join(record.strings) for record in found)

    def forget(self, domain: str) -> None:
        """Drop what is cached of the names below domain."""
        self._cache.forget(_key(domain, "")[0])

    async def _asked(self, key: Key, lasting: bool) -> Answer:
        """Asked for now, or by others before: one that gives up must not fail them."""
        asking = self._asking
        lookup = asking.get(key)
        if lookup is None:
            lookup = asking[key] = _Lookup(asyncio.get_running_loop().create_task(self._ask(key)))
            lookup.task.add_done_callback(lambda _: _forget(asking, key, lookup))
        lookup.waiting += 1
        lookup.lasting = lookup.lasting or lasting
        try:
            return await asyncio.shield(lookup.task)
        finally:
            lookup.waiting -= 1
            if not lookup.waiting and not lookup.lasting:
                lookup.task.cancel()
                _forget(asking, key, lookup)  # at once: nobody may join it now

    async def _ask(self, key: Key) -> Answer:
        asking = self._asking
        async with self._slots:
            answer = await self._answer(*key)
        if asking is self._asking:  # else other servers were configured meanwhile
            self._cache.keep(key, answer)
        return answer

    async def _answer(self, name: str, kind: str) -> Answer:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            found = await self._asked_at_first(name, kind)
            if isinstance(found, query.Found):
                return self._kept(found.records, found.ttl, found.authentic, found.canonical)
            resolver = self._configured()
            cut = found is query.Odd.TRUNCATED
            left_s = resolver.lifetime - (loop.time() - began)
            result = await resolver.resolve(name, kind, tcp=cut, raise_on_no_answer=False, lifetime=left_s)
        except dns.resolver.NXDOMAIN as error:
            responses = error.responses()  # type: ignore[no-untyped-call]
            return self._kept(None, min(one.resolve_chaining().minimum_ttl for one in responses.values()))
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.BadEscape):
            return self._kept(None, limits.DNS_NEGATIVE_TTL_MAX_S)  # such a name cannot exist
        except (dns.name.IDNAException, UnicodeError):
            return self._kept(None, limits.DNS_NEGATIVE_TTL_MAX_S)
        except (dns.exception.DNSException, OSError) as error:
            reply = own_words("4.4.3", f"looking up {kind} of {name} failed: {error}")
            return Answer(None, self._clock() + limits.DNS_FAILURE_TTL_S, reply)
        chain = result.chaining_result
        authentic = bool(result.response.flags & dns.flags.AD) and self._believes(result.nameserver or "")
        canonical = query.name_text(chain.canonical_name) if chain.cnames else ""
        records = tuple(itertools.islice(result.rrset or (), limits.DNS_RECORDS))
        return self._kept(records, chain.minimum_ttl, authentic, canonical)

    async def _asked_at_first(self, name: str, kind: str) -> "query.Found | query.Odd | None":
        """The answer of the first server to one question, which is what nearly all look-ups take.

        Else None or what dnspython's resolver has to see to: other servers, more patience, TCP. Raises _Refused if
        there is nobody else to ask.
        """
        asked = query.question(name, kind)
        if not asked:
            return None
        resolver = self._configured()
        server = resolver.nameservers[0]
        assert isinstance(server, _Server)
        try:
            found = await query.ask(server.address, server.port, asked, min(resolver.timeout, resolver.lifetime))
        except OSError:
            server.silent = True
            return None
        server.silent = False
        if found is query.Odd.REFUSED and len(resolver.nameservers) == 1:
            raise _refused(server.address)
        if isinstance(found, query.Found) and found.authentic and not self._believes(server.address):
            return found._replace(authentic=False)
        return found

    def _kept(
        self, records: tuple[Any, ...] | None, ttl: float, authentic: bool = False, canonical: str = ""
    ) -> Answer:
        most = limits.DNS_TTL_MAX_S if records else limits.DNS_NEGATIVE_TTL_MAX_S
        return Answer(records, self._clock() + min(ttl, most), authentic=authentic, canonical=canonical)

    def _believes(self, server: str) -> bool:
        """Whether what this server says of DNSSEC counts."""
        return _is_believed(server, self._validating)

    def _configured(self) -> dns.asyncresolver.Resolver:
        # read late: a machine without resolv.conf must still deliver to addresses
        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=not self._servers)
            resolver.nameservers = [_Server(str(text)) for text in self._servers or resolver.nameservers]
            resolver.timeout = self._timeout_s
            resolver.lifetime = self._lifetime_s
            resolver.use_edns(0, 0, limits.DNS_UDP_LEN)
            resolver.flags = dns.flags.RD | dns.flags.AD
            self._resolver = resolver
        servers = [one for one in self._resolver.nameservers if isinstance(one, _Server)]
        if servers[0].silent:
            servers.sort(key=lambda one: one.silent)
            self._resolver.nameservers = servers
        return self._resolver

    def _from_hosts_file(self, host: str) -> tuple[str, ...]:
        if self._hosts_file is None:
            return ()
        try:
            lines = self._hosts_file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return ()  # a machine without a hosts file is in order
        found: list[str] = []
        for line in lines:
            address, *names = line.partition("#")[0].split() or [""]
            if host.lower() in (name.lower() for name in names) and address_text(address):
                found.append(address_text(address))
        return tuple(dict.fromkeys(found))
