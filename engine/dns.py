"""DNS for delivery and relay rules: MX, addresses, confirmed PTR names; asynchronous, cached by TTL, bounded.

dnspython asks; what it answers is kept here as finished tuples, because most mail goes to few domains and its own
cache would build a query for each hit. Lookups of one name at the same time share one query.

Known gaps: DNSSEC is not looked at, so that DANE cannot be honoured yet.
"""

import asyncio
import ipaddress
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
import dns.reversename

from engine import limits
from engine.delivery.reply import Reply, own_words
from engine.delivery.route import address_text

Exchanges = tuple[tuple[int, str], ...]


class DnsFailure(Exception):
    """A lookup that gave nothing. `reply` says why, and whether for good."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply

    @property
    def permanent(self) -> bool:
        return self.reply.permanent


class _Answer:
    """records: empty for a name that exists without them; None for a name that does not exist."""

    __slots__ = ("expires", "failure", "records")

    def __init__(self, records: tuple[Any, ...] | None, expires: float, failure: Reply | None = None) -> None:
        self.records = records
        self.expires = expires
        self.failure = failure


class Resolver:
    """Asks the name servers of the machine, or those given (addresses; all at `port`).

    timeout_s: for one server's answer; lifetime_s: for one lookup. clock: seconds, monotonic. hosts_file is
    consulted first by `host_addresses` only: it speaks for hosts that the operator named, not for mail domains.
    """

    def __init__(
        self,
        nameservers: Sequence[str] | None = None,
        *,
        port: int = 53,
        timeout_s: float = 5.0,
        lifetime_s: float = 15.0,
        cache_entries: int = limits.DNS_CACHE_ENTRIES,
        clock: Callable[[], float] = time.monotonic,
        hosts_file: Path | None = Path("/etc/hosts"),
    ) -> None:
        self._nameservers = list(nameservers or ())
        self._port = port
        self._timeout_s = timeout_s
        self._lifetime_s = lifetime_s
        self._cache_entries = cache_entries
        self._clock = clock
        self._hosts_file = hosts_file
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._cache: dict[tuple[str, str], _Answer] = {}
        self._asking: dict[tuple[str, str], asyncio.Task[_Answer]] = {}

    async def exchanges(self, domain: str) -> Exchanges:
        """(preference, host) for mail to domain (an A-label name), sorted (RFC 5321 s5.1).

        Without MX the domain itself is the only one, with preference 0. Raises DnsFailure: 556 5.1.10 for a
        null MX (RFC 7505), 5.1.2 for a name that does not exist, 4.4.3 when DNS does not answer.
        """
        found = await self.records(domain, "MX")
        if found is None:
            raise DnsFailure(own_words("5.1.2", f"there is no domain {domain}"))
        hosts = [(int(mx.preference), mx.exchange.to_text(omit_final_dot=True).lower()) for mx in found]
        if hosts and all(host in ("", ".") for _, host in hosts):
            raise DnsFailure(Reply(556, f"5.1.10 {domain} accepts no mail (null MX)"))
        hosts = [(preference, host) for preference, host in hosts if host not in ("", ".")]
        if hosts:
            return tuple(sorted(hosts)[: limits.DNS_NAMES])
        await self.addresses(domain)  # implicit MX: raises if there is no address either
        return ((0, domain),)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The IPv6 and IPv4 addresses of host, never empty. An address is its own answer.

        Raises DnsFailure: 5.1.2 if there are none for good, 4.4.3 when DNS does not answer.
        """
        if own := address_text(host):
            return (own,)
        found: list[str] = []
        failure: DnsFailure | None = None
        exists = False
        for result in await asyncio.gather(self.records(host, "A"), self.records(host, "AAAA"), return_exceptions=True):
            if isinstance(result, DnsFailure):
                failure = result
            elif isinstance(result, BaseException):
                raise result
            elif result is not None:
                exists = True
                found += [record.address for record in result]
        if found:
            return tuple(found[: limits.DNS_NAMES])
        if failure is not None:
            raise failure
        what = f"{host} has no address" if exists else f"there is no host {host}"
        raise DnsFailure(own_words("5.1.2", what))

    async def host_addresses(self, host: str) -> tuple[str, ...]:
        """As `addresses`, for a host that the operator named: the machine's hosts file goes first."""
        return self._from_hosts_file(host) or await self.addresses(host)

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

    async def records(self, name: str, kind: str) -> tuple[Any, ...] | None:
        """Records of a name, from the cache or asked for, as dnspython's objects.

        None: there is no such name (NXDOMAIN). Empty: it exists without such records. Raises DnsFailure when DNS does
        not answer. kind: "A", "TXT", ...
        """
        key = (name, kind)
        answer = self._cache.get(key)
        if answer is None or answer.expires <= self._clock():
            task = self._asking.get(key)
            if task is None:
                task = asyncio.get_running_loop().create_task(self._ask(name, kind))
                self._asking[key] = task
                task.add_done_callback(lambda _: self._asking.pop(key, None))
            answer = await asyncio.shield(task)  # one caller that gives up must not fail the others
        if answer.failure is not None:
            raise DnsFailure(answer.failure)
        return answer.records

    async def _ask(self, name: str, kind: str) -> _Answer:
        answer = await self._answer(name, kind)
        if len(self._cache) >= self._cache_entries:
            self._evict()
        self._cache[name, kind] = answer
        return answer

    async def _answer(self, name: str, kind: str) -> _Answer:
        now = self._clock()
        try:
            result = await self._configured().resolve(name, kind, raise_on_no_answer=False)
        except dns.resolver.NXDOMAIN:
            return _Answer(None, now + limits.DNS_NEGATIVE_TTL_MAX_S)
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, UnicodeError):
            return _Answer(None, now + limits.DNS_NEGATIVE_TTL_MAX_S)  # such a name cannot exist
        except (dns.exception.DNSException, OSError) as error:
            reply = own_words("4.4.3", f"looking up {kind} of {name} failed: {error}")
            return _Answer(None, now + limits.DNS_FAILURE_TTL_S, reply)
        ttl = result.chaining_result.minimum_ttl
        if result.rrset is None:
            return _Answer((), now + min(ttl, limits.DNS_NEGATIVE_TTL_MAX_S))
        return _Answer(tuple(result.rrset), now + min(ttl, limits.DNS_TTL_MAX_S))

    def _configured(self) -> dns.asyncresolver.Resolver:
        # read late: a machine without resolv.conf must still deliver to addresses
        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=not self._nameservers)
            if self._nameservers:
                resolver.nameservers = self._nameservers
                resolver.port = self._port
            resolver.timeout = self._timeout_s
            resolver.lifetime = self._lifetime_s
            self._resolver = resolver
        return self._resolver

    def _evict(self) -> None:
        """Make room: what has expired, else the oldest tenth (dicts keep the order of insertion)."""
        now = self._clock()
        old = [key for key, answer in self._cache.items() if answer.expires <= now]
        for key in old or list(self._cache)[: max(1, self._cache_entries // 10)]:
            del self._cache[key]

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
