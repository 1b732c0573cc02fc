"""Connecting to a next hop: through its hosts and their addresses, until one has greeted us and is good enough.

What TLS a host has to have is the policy of its next hop (DLV-06). A host that cannot have it is one that cannot be
used now, and the next one is tried. Only OPPORTUNISTIC goes on in the clear where STARTTLS is accepted and then comes
to nothing, on a new connection. A socket of this machine has no TLS, whatever the policy: nothing leaves the machine.

Known gaps: no MTA-STS and no DANE, so VERIFIED by MX is as good as the answer of DNS.
"""

import asyncio
import contextlib
import random
import ssl
from collections.abc import Callable, Collection
from pathlib import Path

from engine.config import Delivery, TlsPolicy
from engine.delivery.client import Session, State
from engine.delivery.connection import Connection
from engine.delivery.contexts import Contexts
from engine.delivery.nexthop import Exchange, NextHop
from engine.delivery.reply import Reply, own_words
from engine.delivery.route import Protocol, address_text
from engine.delivery.trace import address_literal
from engine.diagnostics.recorder import Recorder
from engine.dns import DnsFailure, Resolver
from engine.events import ConnectedTo, Event


class ConnectFailed(Exception):
    """No host of a next hop could be used. `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class Connector:
    """Opens connections. root: where delivery.tls_authorities is below, unless it is absolute."""

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
    ) -> None:
        self._resolver = resolver
        self._event = event
        self._hostname = hostname
        self._next_connection_id = next_connection_id
        self._rng = rng or random.Random()
        self._recorder = recorder
        self._root = root
        self.apply(delivery)

    def apply(self, delivery: Delivery) -> None:
        """Settings for connections to come."""
        self._delivery = delivery
        self._contexts = Contexts(self._root / delivery.tls_authorities if delivery.tls_authorities else None)

    async def open(self, hop: NextHop, without: Collection[Exchange] = ()) -> Connection:
        """A connection in READY to the first host that takes us, in order of preference, equals at random.

        Raises ConnectFailed: permanent only if that is true of every host.
        """
        failures: list[Reply] = []
        for exchange in self._ordered(hop):
            if exchange in without:
                continue
            try:
                addresses = list(await self._addresses(exchange))
            except DnsFailure as error:
                # a host that the operator named is put right by the operator: never for good
                wrong = exchange.fixed and error.permanent
                failures.append(own_words("4.4.4", error.reply.text.partition(" ")[2]) if wrong else error.reply)
                continue
            self._rng.shuffle(addresses)
            policy = TlsPolicy.NONE if exchange.is_socket else hop.tls
            for address in addresses:
                result = await self._try(exchange, address, policy)
                if isinstance(result, Connection):
                    return result
                failures.append(result)
        lasting = [reply for reply in failures if not reply.permanent] or failures
        raise ConnectFailed(lasting[-1] if lasting else own_words("4.4.4", f"{hop} has no host"))

    def _ordered(self, hop: NextHop) -> list[Exchange]:
        exchanges = list(hop.exchanges)
        if not hop.fixed:
            self._rng.shuffle(exchanges)
            exchanges.sort(key=lambda exchange: exchange.preference)
        return exchanges

    async def _addresses(self, exchange: Exchange) -> tuple[str, ...]:
        if exchange.is_socket:
            return (exchange.name,)
        if exchange.fixed:
            return await self._resolver.host_addresses(exchange.name)
        return await self._resolver.addresses(exchange.name)

    async def _try(self, exchange: Exchange, address: str, policy: TlsPolicy) -> Connection | Reply:
        result = await self._once(exchange, address, policy)
        if isinstance(result, _TlsFailed) and policy is TlsPolicy.OPPORTUNISTIC:
            result = await self._once(exchange, address, TlsPolicy.NONE)
        return result.reply if isinstance(result, _TlsFailed) else result

    async def _once(self, exchange: Exchange, address: str, policy: TlsPolicy) -> "Connection | Reply | _TlsFailed":
        connection = Connection(
            exchange,
            _server(exchange, address),
            self._next_connection_id(),
            Session(
                self._hostname,
                tls=policy,
                secure=exchange.protocol is Protocol.SMTPS,
                lmtp=exchange.protocol is Protocol.LMTP,
            ),
            float(self._delivery.reply_timeout_s),
            self._event,
            self._recorder,
        )
        connection.begin_record()
        try:
            reply = await self._established(connection, address, policy)
        except BaseException:
            connection.abort(own_words("4.3.0", "given up"))
            raise
        result = reply or connection
        if reply is not None:
            connection.end_record(f"no connection: {reply}")
        tls_failed = isinstance(result, Reply) and connection.session.last_command == "STARTTLS"
        words = "ok" if reply is None else str(reply)
        self._event(
            ConnectedTo(
                result=words,
                server=connection.server,
                connection_id=connection.connection_id,
                kind="Actual",
                tls=connection.tls,
            )
        )
        return _TlsFailed(result) if tls_failed and isinstance(result, Reply) else result

    async def _established(self, connection: Connection, address: str, policy: TlsPolicy) -> Reply | None:
        """Connect and open. Returns why it failed, or None."""
        timeout_s = self._delivery.connect_timeout_s
        try:
            context = self._contexts.of(policy)
        except OSError as error:
            path = self._delivery.tls_authorities
            reply = own_words("4.7.5", f"delivery.tls_authorities {path} cannot be read: {error.strerror or error}")
            connection.session.close(reply)
            return reply
        try:
            async with asyncio.timeout(timeout_s):
                await self._connect(connection, address, context)
        except TimeoutError:
            return self._unreachable(connection, f"no answer within {timeout_s} s")
        except ssl.SSLError as error:
            return self._tls_failed(connection, error)
        except OSError as error:
            return self._unreachable(connection, error.strerror or str(error))
        try:
            await connection.open(context, float(timeout_s))
        except (OSError, ValueError) as error:  # ValueError: a host name that TLS cannot carry
            return self._tls_failed(connection, error)
        if connection.session.state is State.READY:
            return None
        with contextlib.suppress(OSError):
            connection.quit()
        return connection.session.failure or own_words("4.4.2", f"{connection.server} closed the connection")

    async def _connect(self, connection: Connection, address: str, context: ssl.SSLContext) -> None:
        loop = asyncio.get_running_loop()
        exchange = connection.exchange
        if exchange.is_socket:
            await loop.create_unix_connection(lambda: connection, address)
        elif exchange.protocol is Protocol.SMTPS:
            await loop.create_connection(
                lambda: connection, address, exchange.port, ssl=context, server_hostname=exchange.name
            )
            connection.tls_begun(context)
        else:
            await loop.create_connection(lambda: connection, address, exchange.port)

    @staticmethod
    def _tls_failed(connection: Connection, error: Exception) -> Reply:
        if isinstance(error, ssl.SSLCertVerificationError):
            name = connection.exchange.name
            text = f"the certificate of {connection.server} is not good for {name}: {error.verify_message}"
        else:
            text = f"TLS with {connection.server} failed: {error}"
        reply = own_words("4.7.5", text)
        connection.abort(reply)
        return reply

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


class _TlsFailed:
    """STARTTLS was accepted and then came to nothing: where the policy allows, the host is tried in the clear."""

    __slots__ = ("reply",)

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
