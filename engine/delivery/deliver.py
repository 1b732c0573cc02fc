"""One message to its next hops: every recipient that has no result yet gets one attempt (PROC-11).

Recipients of one next hop share a transaction, at most limits.TRANSACTION_RECIPIENTS of them; next hops are served
at the same time. What becomes of a recipient is its own reply. A failure that is not understood is temporary.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from engine import limits
from engine.config import Settings
from engine.delivery.client import Envelope, is_unsafe_path, is_utf8_path
from engine.delivery.connection import ConnectFailed, Connection, Connector
from engine.delivery.nexthop import Exchange, NextHop, NextHops, Unroutable, is_machine_address
from engine.delivery.pool import Pool
from engine.delivery.reply import Reply, own_words
from engine.delivery.route import Decision, Router, domain_of
from engine.delivery.trace import received_field, results_field
from engine.dns import Resolver
from engine.events import Delivered, DeliveryDeferred, DeliveryFailed, Event
from engine.queue.record import Attempt, Received, Result, Splice

log = logging.getLogger(__name__)


class Message(Protocol):
    """What delivery needs of engine.queue.state.MessageState."""

    @property
    def id(self) -> str: ...
    @property
    def received(self) -> Received: ...
    @property
    def size(self) -> int: ...
    @property
    def results(self) -> Sequence[Result]: ...
    @property
    def splices(self) -> Sequence[Splice]: ...
    @property
    def authentication_results(self) -> str:
        """Body of an Authentication-Results field; empty: none."""
        ...


M = TypeVar("M", bound=Message)


class Fate(NamedTuple):
    """What one attempt gave. recipient: its index. server and connection_id: empty if there was no connection.

    takes_dsn: whether the server tells the sender what it wants to know.
    """

    recipient: int
    reply: Reply
    server: str = ""
    connection_id: str = ""
    takes_dsn: bool = False


class Mail(Generic[M]):
    """A message on its way out: our trace fields, then its content."""

    def __init__(self, message: M, content: Callable[[M], Iterator[bytes | memoryview]], hostname: str) -> None:
        self.received = message.received
        self._message = message
        self._content = content
        self._head = received_field(message.received, hostname)
        if body := message.authentication_results:
            self._head = results_field(body) + self._head
        self.size = len(self._head) + message.size
        for splice in message.splices:
            self.size += len(splice.data) - (splice.end - splice.start)
        self.body: bytes | None = None
        if self.size <= limits.COALESCE_LEN:
            self.body = b"".join((self._head, *content(message)))
            self.size = len(self.body)
        self._eight_bit: bool | None = None

    def pieces(self) -> Iterator[bytes]:
        """The octets to send, each piece the caller's own."""
        yield self._head
        for piece in self._content(self._message):
            yield piece if isinstance(piece, bytes) else bytes(piece)

    def eight_bit(self) -> bool:
        """Whether any octet is above 127. Reads the whole content once."""
        if self._eight_bit is None:
            if self.body is not None:
                self._eight_bit = not self.body.isascii()
            else:
                self._eight_bit = any(not piece.isascii() for piece in self.pieces())
        return self._eight_bit

    def eight_bit_header(self) -> bool:
        """Whether the header section has octets above 127; looks no further than limits.HEADER_LEN."""
        seen = b""
        for piece in (self.body,) if self.body is not None else self.pieces():
            seen += piece
            end = seen.find(b"\r\n\r\n")
            if end >= 0 or len(seen) >= limits.HEADER_LEN:
                return not seen[: end if end >= 0 else limits.HEADER_LEN].isascii()
        return not seen.isascii()


class Deliverer(Generic[M]):
    """Delivery of one relay. Methods are called on its event loop only.

    content: the octets of a message with its edits applied, in pieces of at most limits.BODY_CHUNK_LEN; event:
    takes what is for the journal; next_connection_id: names outgoing connections; clock_ns: since 1970.
    """

    def __init__(
        self,
        settings: Settings,
        router: Router,
        resolver: Resolver,
        content: Callable[[M], Iterator[bytes | memoryview]],
        event: Callable[[Event], None],
        next_connection_id: Callable[[], str],
        *,
        hostname: str = "",
        clock_ns: Callable[[], int] = time.time_ns,
        is_machine: Callable[[str], bool] = is_machine_address,
    ) -> None:
        self.hostname = hostname or settings.smtp.hostname or socket.gethostname()
        self._content = content
        self._event = event
        self._clock_ns = clock_ns
        self._next_hops = NextHops(router, resolver, self.hostname, is_machine)
        connector = Connector(settings.delivery, resolver, event, self.hostname, next_connection_id)
        self.pool = Pool(settings, connector, event)

    def apply(self, settings: Settings, router: Router) -> None:
        """Settings for the attempts to come (PROC-15, RTE-10)."""
        self._next_hops.adopt(router)
        self.pool.apply(settings)

    def key_of(self, forward_path: str) -> str:
        """The next hop of a recipient as a text: what waits for the same one has the same (PROC-07)."""
        return self._next_hops.router.route(domain_of(forward_path)).key

    async def close(self) -> None:
        await self.pool.close()

    async def deliver(self, message: M) -> list[Attempt]:
        """One Attempt for each recipient that is PENDING, by index. Never raises but for cancellation."""
        groups, fates = self._grouped(message)
        try:
            mail = Mail(message, self._content, self.hostname) if groups else None
        except Exception as error:
            log.error("%s: its content cannot be read", message.id, exc_info=error)
            fates += _all([index for indexes in groups.values() for index in indexes], _internal(error))
            mail = None
        if mail is not None:
            if len(groups) == 1:
                ((decision, indexes),) = groups.items()
                fates += await self._safely(mail, decision, indexes)
            else:
                for found in await asyncio.gather(
                    *(self._safely(mail, decision, indexes) for decision, indexes in groups.items())
                ):
                    fates += found
        now_ns = self._clock_ns()
        fates.sort()
        return [self._attempt(message, fate, now_ns) for fate in fates]

    def _grouped(self, message: M) -> tuple[dict[Decision, list[int]], list[Fate]]:
        """Recipients by routing decision; and those that no command line can carry."""
        groups: dict[Decision, list[int]] = {}
        fates: list[Fate] = []
        route = self._next_hops.router.route
        received = message.received
        bad_reverse_path = is_unsafe_path(received.reverse_path)
        for index, (recipient, result) in enumerate(zip(received.recipients, message.results, strict=True)):
            if result is not Result.PENDING:
                continue
            if bad_reverse_path or is_unsafe_path(recipient.address):
                status = "5.1.7" if bad_reverse_path else "5.1.3"
                fates.append(Fate(index, own_words(status, "an address with control characters")))
                continue
            groups.setdefault(route(domain_of(recipient.address)), []).append(index)
        return groups, fates

    async def _safely(self, mail: Mail[M], decision: Decision, indexes: list[int]) -> list[Fate]:
        try:
            hop = self._next_hops.known(decision) or await self._next_hops.find(decision)
            return await self._to_next_hop(mail, hop, indexes)
        except (Unroutable, ConnectFailed) as failure:
            return _all(indexes, failure.reply)
        except Exception as error:
            log.error("%s: delivery failed", mail.received.id, exc_info=error)
            return _all(indexes, _internal(error))

    async def _to_next_hop(self, mail: Mail[M], hop: NextHop, indexes: list[int]) -> list[Fate]:
        recipients = mail.received.recipients
        # One path that needs SMTPUTF8 must not spoil the transaction of the others.
        plain = [index for index in indexes if not is_utf8_path(recipients[index].address)]
        parts = [plain, [index for index in indexes if index not in plain]] if len(plain) < len(indexes) else [indexes]
        fates: list[Fate] = []
        for part in parts:
            rest = part
            while rest:
                batch, rest = rest[: limits.TRANSACTION_RECIPIENTS], rest[limits.TRANSACTION_RECIPIENTS :]
                try:
                    found = await self._transaction(mail, hop, batch)
                except ConnectFailed as failure:
                    if not fates:
                        raise
                    return [*fates, *_all([*batch, *rest], failure.reply)]  # what was delivered stays so
                too_many = [fate.recipient for fate in found if fate.reply.code == 452]
                if too_many and any(fate.reply.positive for fate in found):
                    rest = too_many + rest  # RFC 5321 s4.5.3.1.10: the rest in another transaction, at once
                    found = [fate for fate in found if fate.reply.code != 452]
                fates += found
        return fates

    async def _transaction(self, mail: Mail[M], hop: NextHop, indexes: list[int]) -> list[Fate]:
        """One transaction; on a kept connection that turns out dead, once more on a new one. Raises ConnectFailed."""
        received = mail.received
        envelope = Envelope(
            reverse_path=received.reverse_path,
            recipients=[received.recipients[index] for index in indexes],
            size=mail.size,
            eight_bit=mail.eight_bit,
            smtputf8=received.smtputf8 and mail.eight_bit_header(),
            seven_bit_declared=received.body == "7BIT",
            ret=received.ret,
            envid=received.envid,
        )
        connection = self.pool.take(hop) or await self.pool.acquire(hop)
        replies = await self._on(connection, envelope, mail)
        if not connection.session.mail_answered and connection.reused and connection.session.closed:
            connection = await self.pool.acquire(hop, fresh=True)
            replies = await self._on(connection, envelope, mail)
        without: list[Exchange] = []
        while isinstance(replies, _Lacks) and len(without) + 1 < len(hop.exchanges):
            without.append(connection.exchange)  # another host may offer what this one does not
            try:
                connection = await self.pool.acquire(hop, without=without)
            except ConnectFailed as failure:
                if failure.reply.permanent:
                    break
                raise
            replies = await self._on(connection, envelope, mail)
        if isinstance(replies, _Lacks):
            replies = [replies.reply] * len(indexes)
        server, connection_id = connection.server, connection.connection_id
        takes_dsn = connection.session.takes_dsn
        return [
            Fate(index, reply, server, connection_id, takes_dsn) for index, reply in zip(indexes, replies, strict=True)
        ]

    async def _on(self, connection: Connection, envelope: Envelope, mail: Mail[M]) -> "list[Reply] | _Lacks":
        """The transaction on a connection that is ours now, and is given back."""
        try:
            lacks = connection.session.lacks(envelope)
            if lacks is not None:
                return _Lacks(lacks)
            return await connection.transact(envelope, mail.body, mail.pieces)
        finally:
            self.pool.release(connection)

    # --- results ------------------------------------------------------------------------------------

    def _attempt(self, message: M, fate: Fate, now_ns: int) -> Attempt:
        received = message.received
        reply = fate.reply
        text = str(reply)
        recipient = received.recipients[fate.recipient]
        forward_path = recipient.address
        relayed = False
        if reply.positive:
            result = Result.DELIVERED
            relayed = bool(received.reverse_path) and not fate.takes_dsn and recipient.wants("SUCCESS")
            self._event(
                Delivered(
                    smtp_id=message.id,
                    reverse_path=received.reverse_path,
                    forward_path=forward_path,
                    server=fate.server,
                    connection_id=fate.connection_id,
                    client=received.client,
                    reply=text,
                    delay_ms=max(0, now_ns - received.time_ns) // 1_000_000,
                )
            )
        elif reply.permanent:
            result = Result.FAILED
            self._event(
                DeliveryFailed(
                    smtp_id=message.id,
                    forward_path=forward_path,
                    reason=text,
                    client=received.client,
                    server=fate.server,
                )
            )
        else:
            result = Result.PENDING
            self._event(
                DeliveryDeferred(smtp_id=message.id, forward_path=forward_path, reason=text, server=fate.server)
            )
        return Attempt(message.id, now_ns, fate.recipient, result, text, fate.server, relayed)


class _Lacks(NamedTuple):
    """A host cannot take the message at all, whoever it is for."""

    reply: Reply


def _all(indexes: Sequence[int], reply: Reply) -> list[Fate]:
    return [Fate(index, reply) for index in indexes]


def _internal(error: BaseException) -> Reply:
    return own_words("4.3.0", f"internal error: {type(error).__name__}")
