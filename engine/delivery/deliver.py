"""One message to its next hops: every recipient that has no result yet gets one attempt (PROC-11).

Recipients of one next hop share a transaction, at most limits.TRANSACTION_RECIPIENTS of them; next hops are served
at the same time. What becomes of a recipient is its own reply. A failure that is not understood is temporary.
"""

import asyncio
import itertools
import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, NamedTuple

import msgspec

from engine import limits
from engine.config import ErrorClass, Settings
from engine.delivery.connection import Connection
from engine.delivery.connector import ConnectFailed, Connector
from engine.delivery.envelope import Envelope, is_unsafe_path, is_utf8_path
from engine.delivery.mail import M, Mail, SevenBit
from engine.delivery.nexthop import Exchange, NextHop, NextHops, Unroutable, is_machine_address
from engine.delivery.parts import Unconvertible
from engine.delivery.pool import Pool
from engine.delivery.quirks import Quirks
from engine.delivery.reply import Reply, own_words
from engine.delivery.route import Decision, Kind, Router, domain_of
from engine.delivery.security.policies import Policies
from engine.diagnostics.recorder import Recorder
from engine.dns import Resolver
from engine.events import Converted, Delivered, DeliveryDeferred, DeliveryFailed, Event
from engine.queue.record import Attempt, Result

log = logging.getLogger(__name__)


class Fate(NamedTuple):
    """What one attempt gave. recipient: its index. server and connection_id: empty if there was no connection.

    takes_dsn: whether the server tells the sender what it wants to know.
    """

    recipient: int
    reply: Reply
    server: str = ""
    connection_id: str = ""
    takes_dsn: bool = False


class Deliverer(Generic[M]):
    """Delivery of one relay. Methods are called on its event loop only.

    content: the octets of a message with its edits applied, in pieces of at most limits.BODY_CHUNK_LEN; event:
    takes what is for the journal; next_connection_id: names outgoing connections; clock_ns: since 1970; root: of the
    installation. policies: where those of MTA-STS are kept (None: in memory); policy_port: of their servers. relays:
    how many share the limits of a next hop.
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
        recorder: Recorder | None = None,
        root: Path = Path(),
        policies: Path | None = None,
        relays: int = 1,
        policy_port: int = 443,
    ) -> None:
        self.hostname = hostname or settings.smtp.hostname or socket.gethostname()
        self._content = content
        self._event = event
        self._clock_ns = clock_ns
        connector = Connector(
            settings.delivery,
            resolver,
            event,
            self.hostname,
            next_connection_id,
            recorder=recorder,
            root=root,
            is_own=lambda address, port: self._next_hops.is_own(address, port),
        )
        self._quirks = Quirks()
        self.pool = Pool(settings, connector, event, relays)
        self._policies = Policies(resolver, policies, lambda: connector.contexts.public(), event, port=policy_port)
        self._next_hops = NextHops(
            router, resolver, self.hostname, is_machine, policies=self._policies if settings.delivery.mta_sts else None
        )

    def apply(self, settings: Settings, router: Router) -> None:
        """Settings for the attempts to come (PROC-15, RTE-10)."""
        self._next_hops.adopt(router, self._policies if settings.delivery.mta_sts else None)
        self.pool.apply(settings)

    def key_of(self, forward_path: str) -> str:
        """The next hop of a recipient as a text: what waits for the same one has the same (PROC-07)."""
        return self._next_hops.router.route(domain_of(forward_path)).key

    async def close(self) -> None:
        await self._policies.close()
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
            domain = decision.name if decision.kind is Kind.MX else ""
            return await self._to_next_hop(mail, _for(mail, hop), indexes, domain)
        except (Unroutable, ConnectFailed) as failure:
            return _all(indexes, failure.reply)
        except Exception as error:
            log.error("%s: delivery failed", mail.received.id, exc_info=error)
            return _all(indexes, _internal(error))

    async def _to_next_hop(self, mail: Mail[M], hop: NextHop, indexes: list[int], domain: str) -> list[Fate]:
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
                    if hop.messages_per_minute:
                        await self.pool.turn(hop)
                    found = await self._transaction(mail, hop, batch, domain)
                except ConnectFailed as failure:
                    if not fates:
                        raise
                    return [*fates, *_all([*batch, *rest], failure.reply)]  # what was delivered stays so
                # Without a fate: the host said beforehand that it takes fewer (RFC 9422), or refused what it offers
                dealt_with = {fate.recipient for fate in found}
                rest = [index for index in batch if index not in dealt_with] + rest
                too_many = [fate.recipient for fate in found if fate.reply.code == 452]
                if too_many and any(fate.reply.positive for fate in found):
                    rest = too_many + rest  # RFC 5321 s4.5.3.1.10: the rest in another transaction, at once
                    found = [fate for fate in found if fate.reply.code != 452]
                fates += found
        return fates

    async def _transaction(self, mail: Mail[M], hop: NextHop, indexes: list[int], domain: str) -> list[Fate]:
        """One transaction; on a kept connection that turns out dead, once more on a new one. Raises ConnectFailed.

        Those for whom it has to be tried again, on another connection, have no fate.
        """
        received = mail.received
        envelope = Envelope(
            reverse_path=received.reverse_path,
            recipients=[received.recipients[index] for index in indexes],
            size=mail.size,
            smtputf8=received.smtputf8 and mail.eight_bit_header(),
            require_tls=hop.require_tls,
            seven_bit_declared=received.body == "7BIT",
            ret=received.ret,
            envid=received.envid,
        )
        connection = self.pool.take(hop) or await self.pool.acquire(hop, domain=domain)
        alone = len(hop.exchanges) == 1
        replies = await self._on(connection, envelope, mail, convert=alone)
        if not connection.session.mail_answered and connection.reused and connection.session.closed:
            connection = await self.pool.acquire(hop, fresh=True, domain=domain)
            replies = await self._on(connection, envelope, mail, convert=alone)
        lacking: dict[Exchange, bool] = {}  # whether it could take a conversion
        while isinstance(replies, _Lacks):
            lacking[connection.exchange] = replies.convertible
            if len(lacking) == len(hop.exchanges):
                break
            try:  # another host may offer what this one does not
                connection = await self.pool.acquire(hop, without=list(lacking), domain=domain)
            except ConnectFailed as failure:
                if failure.reply.permanent or any(lacking.values()):
                    break
                raise
            replies = await self._on(connection, envelope, mail)
        if isinstance(replies, _Lacks) and any(lacking.values()):  # better converted than not at all
            unable = [exchange for exchange, convertible in lacking.items() if not convertible]
            connection = await self.pool.acquire(hop, without=unable, domain=domain)
            replies = await self._on(connection, envelope, mail, convert=True)
        if isinstance(replies, _Lacks):
            replies = [replies.reply] * len(indexes)
        server, connection_id = connection.server, connection.connection_id
        takes_dsn = connection.session.takes_dsn
        return [
            Fate(index, reply, server, connection_id, takes_dsn)
            for index, reply in zip(indexes, replies, strict=False)
            if reply is not None
        ]

    async def _on(
        self, connection: Connection, envelope: Envelope, mail: Mail[M], *, convert: bool = False
    ) -> "list[Reply | None] | _Lacks":
        """The transaction on a connection that is ours now, and is given back. convert: to 7bit, if need be. None: this
        recipient has to be tried on another connection."""
        session = connection.session
        envelope = _within(envelope, session.limit("RCPTMAX"), session.limit("RCPTDOMAINMAX"))
        connection.begin_record(mail.received.id)
        try:
            session.do_without(self._quirks.of(connection.exchange))
            return await self._offered(connection, envelope, mail, convert=convert)
        except Unconvertible as refused:
            text = f"the next hop does not offer 8BITMIME, and the message cannot be converted: {refused}"
            return self._lacking(connection, own_words("5.6.3", text))
        finally:
            connection.end_record("the attempt is over")
            self.pool.release(connection)

    async def _offered(
        self, connection: Connection, envelope: Envelope, mail: Mail[M], *, convert: bool
    ) -> "list[Reply | None] | _Lacks":
        """Once more without what the host refuses though it announced it. Raises Unconvertible."""
        session = connection.session
        sent: Mail[M] | SevenBit = mail
        lacks = session.lacks(envelope)
        if lacks is None and not session.takes_8bit and mail.eight_bit():
            if not convert:
                reply = own_words("5.6.3", "the next hop does not offer 8BITMIME")
                return self._lacking(connection, reply, convertible=True)
            sent = await self._converted(mail, connection.server)
            envelope = msgspec.structs.replace(envelope, size=sent.size)
            lacks = session.lacks(envelope)
        if lacks is not None:
            return self._lacking(connection, lacks)
        replies: list[Reply | None] = [*await connection.transact(envelope, sent.body, sent.pieces)]
        refused, again = session.refused, session.again
        if session.closed:
            if refused:
                self._quirks.add(connection.exchange, refused)
                for index in again:
                    replies[index] = None
        elif refused:
            session.do_without(refused)
            rest = msgspec.structs.replace(envelope, recipients=[envelope.recipients[index] for index in again])
            found = await self._offered(connection, rest, mail, convert=convert)
            if isinstance(found, _Lacks):
                if len(again) == len(replies):
                    return found
                found = [found.reply] * len(again)
            if any(one is None or one.positive for one in found):  # it was that
                self._quirks.add(connection.exchange, refused)
            for index, answer in zip(again, found, strict=True):
                replies[index] = answer
        return replies

    @staticmethod
    def _lacking(connection: Connection, reply: Reply, *, convertible: bool = False) -> "_Lacks":
        if connection.session.record is not None:
            connection.session.record.error(ErrorClass.LOCAL, reply.text)
        return _Lacks(reply, convertible)

    async def _converted(self, mail: Mail[M], server: str) -> SevenBit:
        """Raises Unconvertible. What is converted once serves all next hops that need it."""
        known = mail.converted
        converted = await mail.seven_bit()
        if not known:
            self._event(Converted(smtp_id=mail.received.id, server=server, breaks=converted.breaks))
        return converted

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
    """A host cannot take the message, whoever it is for. convertible: it could take a conversion."""

    reply: Reply
    convertible: bool = False


def _for(mail: Mail[M], hop: NextHop) -> NextHop:
    """The next hop as this message may use it (RFC 8689)."""
    if mail.received.require_tls:
        return msgspec.structs.replace(hop, require_tls=True)
    if hop.guarded and mail.tls_not_required():
        return msgspec.structs.replace(hop, relaxed=True)
    return hop


def _within(envelope: Envelope, recipients: int, domains: int) -> Envelope:
    """With as many recipients, from the first on, as a host takes in one transaction; 0: any."""
    kept = list(envelope.recipients[: recipients or None])
    if domains:
        known = dict.fromkeys(domain_of(one.address) for one in kept)
        taken = list(known)[:domains]
        kept = list(itertools.takewhile(lambda one: domain_of(one.address) in taken, kept))
    return envelope if len(kept) == len(envelope.recipients) else msgspec.structs.replace(envelope, recipients=kept)


def _all(indexes: Sequence[int], reply: Reply) -> list[Fate]:
    """Without a server: nobody answered, which is what back-off goes by (PROC-06)."""
    return [Fate(index, reply) for index in indexes]


def _internal(error: BaseException) -> Reply:
    return own_words("4.3.0", f"internal error: {type(error).__name__}")
