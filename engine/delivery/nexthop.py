"""From a routing decision to the hosts that are tried: MX lookup, our own name cut out (RTE-04, RTE-12)."""

import asyncio
import socket
import time
from collections.abc import Callable

import msgspec

from engine import limits
from engine.config import TlsPolicy
from engine.delivery.reply import Reply, own_words
from engine.delivery.route import Decision, Host, Kind, Router, address_text
from engine.delivery.security.policies import Policies
from engine.delivery.security.policy import Mode, Policy
from engine.dns import DnsFailure, Resolver

FOUND_S = 60.0  # a finding is kept this long; what is below it, DNS, has its own times


class Exchange(Host, frozen=True):
    """One host of a next hop. fixed: named by the operator, not by MX."""

    preference: int = 0
    fixed: bool = False


class NextHop(msgspec.Struct, frozen=True, cache_hash=True):
    """Hosts in order of preference, and what TLS they have to have. Equal next hops share connections: those of domains
    with the same hosts, but never those of another policy (DLV-06).

    signed: DNSSEC proves that these are the hosts of the domain. sts: the policy of the domain, without what only tells
    policies apart. require_tls: for mail that must not go without TLS (RFC 8689); relaxed: for mail whose sender wants
    it to arrive rather than to be safe, and for domains that the operator exempts. connections, messages_per_minute: at
    most; 0: no limit.
    """

    exchanges: tuple[Exchange, ...]
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    signed: bool = False
    sts: Policy | None = None
    require_tls: bool = False
    relaxed: bool = False
    connections: int = 0
    messages_per_minute: int = 0

    @property
    def guarded(self) -> bool:
        """Whether the domain may want more than the route."""
        return self.signed or self.sts is not None

    @property
    def fixed(self) -> bool:
        return self.exchanges[0].fixed

    def __str__(self) -> str:
        return ",".join(map(str, self.exchanges))


class Unroutable(Exception):
    """There is no next hop, now or for good: `reply` says which."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def is_machine_address(address: str) -> bool:
    """Whether an address (its text) is one of this machine: the kernel names it as the source. Sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))
            return bool(probe.getsockname()[0] == address)
        except OSError:
            return False  # not even a route to it


class NextHops:
    """Finds the next hop of a decision. router and policies (None: MTA-STS is off) may be replaced by `adopt` when
    settings change."""

    def __init__(
        self,
        router: Router,
        resolver: Resolver,
        hostname: str = "",
        is_machine: Callable[[str], bool] = is_machine_address,
        clock: Callable[[], float] = time.monotonic,
        policies: Policies | None = None,
    ) -> None:
        self._policies = policies
        self._resolver = resolver
        self._hostname = hostname
        self._is_machine = is_machine
        self._clock = clock
        self._found: dict[Decision, tuple[float, NextHop]] = {}
        self.router = router

    def adopt(self, router: Router, policies: Policies | None = None) -> None:
        self.router = router
        self._policies = policies
        self._found.clear()

    def known(self, decision: Decision) -> NextHop | None:
        """What was found a short time ago: the way of most mail, without a task switch."""
        found = self._found.get(decision)
        return found[1] if found is not None and found[0] > self._clock() else None

    async def find(self, decision: Decision) -> NextHop:
        """Raises Unroutable."""
        hop = self.known(decision)
        if hop is None:
            hop = await self._look_up(decision)
            if len(self._found) >= limits.ROUTE_MEMO_ENTRIES:
                self._found.clear()
            self._found[decision] = (self._clock() + FOUND_S, hop)
        return hop

    async def _look_up(self, decision: Decision) -> NextHop:
        if decision.kind is Kind.LOOP:
            raise Unroutable(loops_back(decision.name))
        if decision.kind is Kind.NONE:
            raise Unroutable(own_words("5.1.2", f"there is no route to {decision.name or 'an address without domain'}"))
        signed, policy = False, None
        if decision.kind is Kind.HOSTS:
            exchanges = [
                Exchange(host.name, host.port, host.protocol, index, fixed=True)
                for index, host in enumerate(decision.hosts)
            ]
        else:
            try:
                (found, signed), policy = await asyncio.gather(
                    self._resolver.mail_hosts(decision.name), self._policy(decision)
                )
            except DnsFailure as error:
                raise Unroutable(error.reply) from None
            exchanges = [Exchange(host, decision.port, preference=preference) for preference, host in found]
        kept = self._without_own(exchanges)
        if not kept:
            raise Unroutable(loops_back(decision.name or str(decision.hosts[0])))
        return NextHop(
            tuple(kept),
            decision.tls,
            signed=signed,
            sts=policy,
            relaxed=decision.exempt,
            connections=decision.connections,
            messages_per_minute=decision.messages_per_minute,
        )

    async def _policy(self, decision: Decision) -> Policy | None:
        if self._policies is None or decision.exempt or decision.tls is TlsPolicy.NONE:
            return None
        policy = await self._policies.of(decision.name)
        return Policy(policy.mode, policy.mx) if policy is not None and policy.mode is not Mode.NONE else None

    def _without_own(self, exchanges: list[Exchange]) -> list[Exchange]:
        """RFC 5321 s5.1: a host of our name goes, and all that are not more preferred than it."""
        for exchange in exchanges:
            own = self.router.is_own_name(exchange.name) or exchange.name == self._hostname.lower()
            if own and not exchange.fixed:
                return [other for other in exchanges if other.preference < exchange.preference]
        return exchanges

    def is_own(self, address: str, port: int) -> bool:
        """Whether a connection to it would come back to this gateway (RTE-12)."""
        return not address.startswith("/") and self.router.is_own(address_text(address), port, self._is_machine)


def loops_back(name: str) -> Reply:
    return own_words("5.4.6", f"mail for {name} would come back to this gateway")
