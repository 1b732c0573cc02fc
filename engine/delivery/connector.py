"""Connecting to a next hop: through its hosts and their addresses, until one has greeted us and is good enough.

What a host has to have is security/demand.py's to say (DLV-06). A host that does not have it is one that cannot be used
now, and the next one is tried. Only OPPORTUNISTIC goes on in the clear where STARTTLS is accepted and then comes to
nothing, on a new connection; so does a domain whose MTA-STS policy is only being tested. A socket of this machine has
no TLS, whatever the policy: nothing leaves the machine.
"""

import asyncio
import contextlib
import itertools
import random
import socket
import ssl
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from engine import limits
from engine.config import Delivery, TlsPolicy
from engine.delivery.client import Session
from engine.delivery.connection import Connection, Handshake, Untrusted
from engine.delivery.contexts import Contexts, Unreadable
from engine.delivery.dialogue import State
from engine.delivery.nexthop import Exchange, NextHop, loops_back
from engine.delivery.reach import Reach, Unreachable
from engine.delivery.reply import Reply, own_words
from engine.delivery.route import Protocol, address_text
from engine.delivery.security.demand import Demand, Unfit, demand
from engine.delivery.security.results import SUCCESS, Kind, outcome_of, result
from engine.delivery.trace import address_literal
from engine.diagnostics.recorder import Recorder
from engine.dns import DnsFailure, Resolver
from engine.events import ConnectedTo, Event

GROUP_S: Final = 5.0  # for hosts of one preference to take a connection while there are others: three SYNs


class ConnectFailed(Exception):
    """No host of a next hop could be used. `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class Connector:
    """Opens connections. root: where files with authorities are below, unless their paths are absolute. is_own: whether
    this gateway answers at an address and port; asked of what is connected to, whatever DNS said before (RTE-12)."""

    def __init__(
        self,
        delivery: Delivery,
        resolver: Resolver,
        event: Callable[[Event], None],
        hostname: str,
        next_connection_id: Callable[[], str],
        rng: random.Random | None = None,
        recorder: Recorder | None = None,
        root: Path = Path(),
        is_own: Callable[[str, int], bool] = lambda address, port: False,
    ) -> None:
        self._is_own = is_own
        self._resolver = resolver
        self._event = event
        self._hostname = hostname
        self._next_connection_id = next_connection_id
        self._rng = rng or random.Random()
        self._recorder = recorder
        self._root = root
        self._reach = Reach(self._rng)
        self.apply(delivery)

    def apply(self, delivery: Delivery) -> None:
        """Settings for connections to come."""
        self._delivery = delivery
        self.contexts = Contexts(delivery, self._root)

    async def open(self, hop: NextHop, without: Collection[Exchange] = (), domain: str = "") -> Connection:
        """A connection in READY to the first host that takes us, in order of preference, equals at random.

        domain: that it is opened for, if MX leads from it: how TLS went is told of it (RFC 8460). Raises ConnectFailed:
        permanent only if that is true of every host.
        """
        failures: list[Reply] = []
        connection = await self._first_of(hop, self._groups(hop, without), domain, failures)
        if connection is not None:
            return connection
        lasting = [reply for reply in failures if not reply.permanent] or failures
        raise ConnectFailed(lasting[-1] if lasting else own_words("4.4.4", f"{hop} has no host"))

    async def _first_of(
        self, hop: NextHop, groups: list[list[Exchange]], domain: str, failures: list[Reply]
    ) -> Connection | None:
        clock = asyncio.get_running_loop().time
        last_s = float(self._delivery.connect_timeout_s)
        end = clock() + limits.CONNECTING_S
        slow: list[_Place] = []
        preparing: list[asyncio.Future[list[list[_Place]]]] = []

        def prepare(group: list[Exchange]) -> None:
            found = (self._prepared(hop, exchange, domain, failures) for exchange in group)
            preparing.append(asyncio.gather(*found))

        try:
            for number, group in enumerate(groups):
                if number == 0:
                    prepare(group)
                elif number == 1:  # the rest at once: DNS of many that are dead would take its time for each
                    for other in groups[1:]:
                        prepare(other)
                places = [place for found in await preparing[number] for place in found]
                if own := next((place for place in places if self._is_own(place.address, place.port)), None):
                    failures.append(loops_back(own.attempt.exchange.name))  # RFC 5321 s5.1: with all less preferred
                    break
                slow += [place for place in places if self._reach.is_slow(place.address)]
                places = [place for place in places if place not in slow]
                others = number + 1 < len(groups) or bool(slow)
                connection = await self._through(places, min(GROUP_S, last_s) if others else last_s, failures)
                if connection is not None or (places and clock() >= end):
                    return connection
            return await self._through(slow, last_s, failures)
        finally:
            for one in preparing:
                one.cancel()

    def _groups(self, hop: NextHop, without: Collection[Exchange]) -> list[list[Exchange]]:
        """The hosts by preference, equals at random."""
        exchanges = list(hop.exchanges)
        if not hop.fixed:
            self._rng.shuffle(exchanges)
            exchanges.sort(key=lambda exchange: exchange.preference)
        exchanges = [exchange for exchange in exchanges if exchange not in without]
        return [list(group) for _, group in itertools.groupby(exchanges, lambda exchange: exchange.preference)]

    async def _prepared(self, hop: NextHop, exchange: Exchange, domain: str, failures: list[Reply]) -> "list[_Place]":
        """Where a host is, and what it has to have; none: it cannot be used."""
        try:
            addresses = await self._addresses(exchange)
            wanted = await demand(hop, exchange, self._resolver, dane=self._delivery.dane)
        except DnsFailure as error:
            # a host that the operator named is put right by the operator: never for good
            wrong = exchange.fixed and error.permanent
            failures.append(own_words("4.4.4", error.reply.text.partition(" ")[2]) if wrong else error.reply)
            return []
        except Unfit as error:
            self._tell(domain, error.kind, error.outcome, exchange, "", error.reply)
            failures.append(error.reply)
            return []
        attempt = _Attempt(hop, exchange, wanted, domain)
        return [_Place(address, exchange.port, attempt) for address in self._reach.ordered(addresses)]

    async def _addresses(self, exchange: Exchange) -> tuple[str, ...]:
        if exchange.is_socket:
            return (exchange.name,)
        if exchange.fixed:
            return await self._resolver.host_addresses(exchange.name)
        return await self._resolver.addresses(exchange.name)

    async def _through(self, places: "list[_Place]", timeout_s: float, failures: list[Reply]) -> Connection | None:
        """The first of them that takes a connection and is good enough."""
        while places:
            try:
                reached = await self._reach.first(places, timeout_s)
            except Unreachable as error:
                failures += [self._unreached(place, words) for place, words in error.failed]
                return None
            failures += [self._unreached(place, words) for place, words in reached.failed]
            found = await self._try(reached.place.attempt, reached.place.address, reached.sock)
            if isinstance(found, Connection):
                return found
            failures.append(found)
            places = reached.rest
        return None

    async def _try(self, attempt: "_Attempt", address: str, sock: socket.socket | None) -> Connection | Reply:
        found = await self._once(attempt, address, sock)
        weaker = attempt.weaker()
        if isinstance(found, _TlsFailed) and weaker is not None:
            found = await self._once(weaker, address, None)
            last = weaker.weaker()
            if isinstance(found, _TlsFailed) and last is not None:
                found = await self._once(last, address, None)
        return found.reply if isinstance(found, _TlsFailed) else found

    async def _once(
        self, attempt: "_Attempt", address: str, sock: socket.socket | None
    ) -> "Connection | Reply | _TlsFailed":
        exchange, wanted = attempt.exchange, attempt.demand
        connection = self._connection(exchange, address, wanted.tls)
        connection.begin_record()
        try:
            failure = await self._established(connection, address, attempt, sock)
        except BaseException:
            connection.abort(own_words("4.3.0", "given up"))
            raise
        reply = failure.reply if isinstance(failure, _TlsFailed) else failure
        if reply is not None:
            connection.end_record(f"no connection: {reply}")
        self._connected(connection, reply)
        outcome = failure.outcome if isinstance(failure, _TlsFailed) else SUCCESS if connection.tls else ""
        offered = connection.session.capabilities
        if (
            not outcome
            and wanted.tls is not TlsPolicy.NONE
            and offered
            and (reply is None or "STARTTLS" not in offered)
        ):
            failure = _TlsFailed(reply, "starttls-not-supported") if reply is not None else None
            outcome = "starttls-not-supported"
        if outcome:
            outcome = wanted.outcome if outcome == SUCCESS and wanted.outcome else outcome
            self._tell(attempt.domain, wanted.kind, outcome, exchange, address, reply)
        if reply is None:
            return connection
        if isinstance(failure, _TlsFailed) and failure.lasting and attempt.hop.require_tls:
            text = f"the sender requires TLS (REQUIRETLS), and it cannot be had: {reply.text.partition(' ')[2]}"
            return own_words("5.7.30", text)
        return failure if isinstance(failure, _TlsFailed) else reply

    def _connection(self, exchange: Exchange, address: str, tls: TlsPolicy) -> Connection:
        session = Session(
            self._hostname,
            tls=tls,
            secure=exchange.protocol is Protocol.SMTPS,
            lmtp=exchange.protocol is Protocol.LMTP,
        )
        timeout_s = float(self._delivery.reply_timeout_s)
        server = _server(exchange, address)
        number = self._next_connection_id()
        return Connection(exchange, server, number, session, timeout_s, self._event, self._recorder)

    def _connected(self, connection: Connection, failure: Reply | None) -> None:
        self._event(
            ConnectedTo(
                result="ok" if failure is None else str(failure),
                server=connection.server,
                connection_id=connection.connection_id,
                kind="Actual",
                tls=connection.tls,
            )
        )

    def _tell(
        self, domain: str, kind: Kind, outcome: str, exchange: Exchange, address: str, reply: Reply | None
    ) -> None:
        if domain:
            reason = reply.text if reply is not None else ""
            self._event(result(domain, kind, outcome, host=exchange.name, address=address, reason=reason))

    def _unreached(self, place: "_Place", words: str) -> Reply:
        connection = self._connection(place.attempt.exchange, place.address, TlsPolicy.NONE)
        connection.begin_record()
        reply = self._unreachable(connection, words)
        connection.end_record(f"no connection: {reply}")
        self._connected(connection, reply)
        return reply

    async def _established(
        self, connection: Connection, address: str, attempt: "_Attempt", sock: socket.socket | None
    ) -> "Reply | _TlsFailed | None":
        """Connect and open. Returns why it failed, or None."""
        timeout_s = self._delivery.connect_timeout_s
        try:
            tls = self._handshake(attempt)
        except Unreadable as error:
            connection.session.close(error.reply)
            if sock is not None:
                sock.close()
            return error.reply
        try:
            async with asyncio.timeout(timeout_s):
                await self._connect(connection, address, tls, sock)
        except TimeoutError:
            return self._unreachable(connection, f"no answer within {timeout_s} s")
        except (ssl.SSLError, Untrusted) as error:
            return self._tls_failed(connection, error)
        except OSError as error:
            return self._unreachable(connection, error.strerror or str(error))
        try:
            await connection.open(tls, float(timeout_s))
        except (OSError, ValueError, Untrusted) as error:  # ValueError: a host name that TLS cannot carry
            return self._tls_failed(connection, error)
        if connection.session.state is State.READY:
            return None
        with contextlib.suppress(OSError):
            connection.quit()
        failure = connection.session.failure or own_words("4.4.2", f"{connection.server} closed the connection")
        if connection.session.last_command != "STARTTLS":
            return failure
        refused = connection.session.last_reply
        if failure.enhanced == "4.7.4" and refused is not None:
            return _TlsFailed(failure, "starttls-not-supported", lasting=refused.permanent)
        return _TlsFailed(failure, "validation-failure", lasting=False)

    def _handshake(self, attempt: "_Attempt") -> Handshake:
        wanted, name = attempt.demand, attempt.exchange.name
        if wanted.tls is not TlsPolicy.VERIFIED:
            return Handshake(self.contexts.unchecked, name)
        if wanted.tlsas is not None:
            names = tuple(dict.fromkeys((wanted.tlsas.name, name, *filter(None, (attempt.domain,)))))
            return Handshake(self.contexts.unchecked, wanted.tlsas.name, wanted.tlsas, names)
        return Handshake(self.contexts.public() if wanted.public else self.contexts.verifying(), name)

    async def _connect(self, connection: Connection, address: str, tls: Handshake, sock: socket.socket | None) -> None:
        loop = asyncio.get_running_loop()
        exchange = connection.exchange
        if exchange.is_socket:
            if sock is not None:
                await loop.create_unix_connection(lambda: connection, sock=sock)
            else:
                await loop.create_unix_connection(lambda: connection, address)
            return
        place = {"sock": sock} if sock is not None else {"host": address, "port": exchange.port}
        if exchange.protocol is Protocol.SMTPS:
            await loop.create_connection(lambda: connection, **place, ssl=tls.context, server_hostname=tls.name)
            connection.tls_begun(tls)
        else:
            await loop.create_connection(lambda: connection, **place)

    @staticmethod
    def _tls_failed(connection: Connection, error: Exception) -> "_TlsFailed":
        if isinstance(error, ssl.SSLCertVerificationError):
            name = connection.exchange.name
            text = f"the certificate of {connection.server} is not good for {name}: {error.verify_message}"
        elif isinstance(error, Untrusted):
            text = (
                f"{connection.server} is not what DANE says: {error}. Its postmaster has to publish the right records"
            )
        else:
            text = f"TLS with {connection.server} failed: {error}"
        reply = own_words("4.7.5", text)
        connection.abort(reply)
        return _TlsFailed(reply, outcome_of(error), lasting=isinstance(error, ssl.SSLCertVerificationError | Untrusted))

    @staticmethod
    def _unreachable(connection: Connection, words: str) -> Reply:
        reply = own_words("4.4.1", f"connecting to {connection.server}: {words}")
        connection.session.close(reply)
        return reply


def _server(exchange: Exchange, address: str) -> str:
    """The server of a connection as events, the journal and notices name it: `host[address]:port`."""
    if exchange.is_socket:
        return f"localhost[unix:{address}]"
    literal = address_literal(address)
    name = literal if address_text(exchange.name) else f"{exchange.name}{literal}"
    return f"{name}:{exchange.port}"


class _Attempt(msgspec.Struct, frozen=True):
    """What is tried at the addresses of a host. domain: that results are told of; empty: they are not."""

    hop: NextHop
    exchange: Exchange
    demand: Demand
    domain: str

    def weaker(self) -> "_Attempt | None":
        """The same with less, where TLS came to nothing; None: that is not allowed."""
        wanted = self.demand
        if wanted.lenient:
            less = Demand(self.hop.tls)
        elif wanted.tls is TlsPolicy.OPPORTUNISTIC:
            less = Demand(TlsPolicy.NONE)
        else:
            return None
        return msgspec.structs.replace(self, demand=less, domain="")  # a session is told of once


class _Place(NamedTuple):
    address: str
    port: int
    attempt: _Attempt


class _TlsFailed:
    """TLS came to nothing: where less is allowed, the host is tried again. outcome: see security.results. lasting: it
    would be no better later on."""

    __slots__ = ("lasting", "outcome", "reply")

    def __init__(self, reply: Reply, outcome: str, *, lasting: bool = True) -> None:
        self.reply = reply
        self.outcome = outcome
        self.lasting = lasting
