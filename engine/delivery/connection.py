"""The uvloop edge of a client session: TLS, one transaction at a time, time-outs, flow control.

A transaction costs one wake-up of its task: the edge wakes it only when the session needs it.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from typing import NamedTuple, cast

from engine.delivery.client import Session
from engine.delivery.dialogue import State
from engine.delivery.envelope import Envelope
from engine.delivery.nexthop import Exchange, NextHop
from engine.delivery.reply import Reply, own_words
from engine.delivery.security import dane
from engine.delivery.security.dane import Tlsas
from engine.diagnostics.recorder import Recorder
from engine.events import ConnectionClosed, Event

HIGH_WATER = 1 << 20  # octets waiting in the transport before a large content pauses
SHUT_S = 10.0  # for what was written before an end in order


class Handshake(NamedTuple):
    """How TLS begins. name: for SNI. tlsas: what the certificate has to fit beside what the context looks at; names:
    what the host may be called, for that."""

    context: ssl.SSLContext
    name: str
    tlsas: Tlsas | None = None
    names: tuple[str, ...] = ()

    def refusal(self, tls: ssl.SSLObject) -> str:
        """Why the certificate is not good enough; empty: it is."""
        return dane.refusal(dane.chain_of(tls), self.tlsas, self.names) if self.tlsas is not None else ""

    @property
    def word(self) -> str:
        if self.tlsas is not None:
            return "verified by DANE"
        return "not verified" if self.context.verify_mode is ssl.CERT_NONE else "verified"


class Untrusted(Exception):
    """The certificate is not one that TLSA records want. Its text says why."""


class Connection(asyncio.Protocol):
    """One connection to one address. Owned by the pool, lent to one transaction at a time."""

    def __init__(
        self,
        exchange: Exchange,
        server: str,
        connection_id: str,
        session: Session,
        reply_timeout_s: float,
        event: Callable[[Event], None],
        recorder: Recorder | None = None,
    ) -> None:
        self.exchange = exchange
        self.server = server
        self.connection_id = connection_id
        self.session = session
        self.hop: NextHop | None = None  # set by the pool
        self.uses = 0  # transactions begun
        self.idle_since = 0.0
        self.tls = ""
        self.on_lost: Callable[[Connection], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reply_timeout_s = reply_timeout_s
        self._event = event
        self._recorder = recorder
        self._attempts = 0
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._paused = False
        self._deadline = 0.0  # loop time at which a reply is overdue; 0: none is awaited
        self._timer: asyncio.TimerHandle | None = None
        self._opened = False
        self._lost = False

    @property
    def reused(self) -> bool:
        """Whether its last transaction was not its first one."""
        return self.uses > 1

    @property
    def usable(self) -> bool:
        """Whether it may carry one more message."""
        if self.session.state is not State.READY or self._lost:
            return False
        most = self.session.limit("MAILMAX")
        return not most or self.uses < most

    @property
    def waits_since(self) -> float:
        """Loop time since which nothing has moved that is waited for; 0: nothing is."""
        return self._deadline - self._reply_timeout_s if self._deadline else 0.0

    # --- protocol callbacks -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport.set_write_buffer_limits(high=HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        session = self.session
        last_reply = session.last_reply
        session.receive(data)
        self._write(session.output())
        if self._deadline and session.last_reply is not last_reply:  # a reply has to be whole in time
            self._deadline = self._loop.time() + self._reply_timeout_s
        if session.state is not State.BUSY and session.state is not State.OPENING:
            self._wake()
            if session.state is State.CLOSED:
                self._shut()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._deadline = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.session.close(own_words("4.4.2", f"connection to {self.server} lost{f': {exc}' if exc else ''}"))
        self.end_record("connection lost")
        self._resume()
        self._wake()
        if self._opened:
            reply = self.session.last_reply
            self._event(
                ConnectionClosed(
                    server=self.server,
                    connection_id=self.connection_id,
                    last_command=self.session.last_command,
                    last_response=str(reply) if reply else "",
                )
            )
        if self.on_lost is not None:
            self.on_lost(self)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._resume()

    def _resume(self) -> None:
        self._paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def _write(self, octets: bytes) -> None:
        if octets and self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _shut(self) -> None:
        """In order; but a host that does not read what waits for it may not keep the connection."""
        if self._transport is None or self._lost:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(SHUT_S, self._transport.abort)
        self._transport.close()

    # --- records of conversations (DIAG-10) -----------------------------------------------------------

    def begin_record(self, smtp_id: str = "") -> None:
        """An attempt begins; opening a connection belongs to the first one on it. smtp_id: of its message."""
        session = self.session
        if session.record is None and self._recorder is not None:
            self._attempts += 1
            session.record = self._recorder.outbound(self.server, self.connection_id, self._attempts)
            if session.record is not None and self._opened:
                session.record.note("on a connection that was kept open")
        if session.record is not None and smtp_id:
            session.record.note(f"message {smtp_id}")

    def end_record(self, words: str) -> None:
        record, self.session.record = self.session.record, None
        if record is not None:
            record.end(words)

    # --- waiting ------------------------------------------------------------------------------------

    async def _settled(self) -> None:
        """Until the session needs the task: ready, closed, TLS or content."""
        while self.session.state is State.BUSY or self.session.state is State.OPENING:
            self._expect_reply()
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._deadline = 0.0

    def _expect_reply(self) -> None:
        # One timer for many transactions: it looks at the deadline when it fires, and is hardly ever set anew.
        self._deadline = self._loop.time() + self._reply_timeout_s
        if self._timer is None:
            self._timer = self._loop.call_later(self._reply_timeout_s, self._overdue)

    def _overdue(self) -> None:
        self._timer = None
        if not self._deadline:
            return
        left = self._deadline - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._overdue)
            return
        what = self.session.last_command or "the connection"
        self.abort(own_words("4.4.2", f"{self.server} did not answer {what} within {self._reply_timeout_s:g} s"))

    # --- life ---------------------------------------------------------------------------------------

    async def open(self, tls: Handshake, handshake_timeout_s: float) -> None:
        """From the greeting to READY, through STARTTLS if the session wants it. Raises OSError (also TLS), Untrusted,
        or leaves the session CLOSED with its failure."""
        await self._settled()
        if self.session.state is State.TLS:
            assert self._transport is not None
            transport = await self._loop.start_tls(
                self._transport,
                self,
                tls.context,
                server_hostname=tls.name,
                ssl_handshake_timeout=handshake_timeout_s,
            )
            if transport is None:
                raise ConnectionResetError("connection lost during the TLS handshake")
            self._transport = transport
            transport.set_write_buffer_limits(high=HIGH_WATER)
            self.tls_begun(tls)
            self.session.tls_started()
            self._write(self.session.output())
            await self._settled()
        self._opened = self.session.state is State.READY

    def tls_begun(self, tls: Handshake) -> None:
        """Note what the handshake came to. Raises Untrusted."""
        assert self._transport is not None
        reason = tls.refusal(self._transport.get_extra_info("ssl_object"))
        if reason:
            raise Untrusted(reason)
        cipher = self._transport.get_extra_info("cipher")
        if cipher:
            self.tls = f"{cipher[1]} {cipher[0]} {tls.word}"
        if self.session.record is not None:
            self.session.record.note(f"TLS begins: {self.tls}")

    async def transact(
        self, envelope: Envelope, body: bytes | None, pieces: Callable[[], Iterator[bytes]]
    ) -> list[Reply]:
        """One transaction: a reply for each recipient of the envelope, in order.

        body: the whole content, or None if it is large: then it is read from `pieces`. Failures of the network
        are replies; what `pieces` raises ends the connection and is raised.
        """
        session = self.session
        self.uses += 1
        try:
            session.begin(envelope, body)
            self._write(session.output())
            await self._settled()
            if session.state is State.CONTENT:
                await self._stream(pieces())
                await self._settled()
        except BaseException:
            # cancelled, or the content cannot be read: no end of data may ever be sent for half a message
            self.abort(own_words("4.3.0", "the transaction was given up"))
            raise
        return session.results

    async def _stream(self, pieces: Iterator[bytes]) -> None:
        session = self.session
        previous: bytes | None = None
        for piece in pieces:
            if previous is not None and not await self._piece(previous, last=False):
                return
            previous = piece
        if session.state is State.CONTENT:
            await self._piece(previous or b"", last=True)

    async def _piece(self, piece: bytes, *, last: bool) -> bool:
        """Write one piece when there is room. Returns whether more is wanted."""
        session = self.session
        if self._paused and not self._lost:
            self._expect_reply()  # a host that does not read is as bad as one that does not answer
            self._drained = self._loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = None
        if session.state is not State.CONTENT:
            return False
        session.content(piece, last)
        self._write(session.output())
        return True

    def abort(self, failure: Reply) -> None:
        """Drop the connection at once."""
        self.session.close(failure)
        self._resume()
        self._wake()
        if self._transport is not None:
            self._transport.abort()

    def quit(self) -> None:
        """End an idle connection in order; its reply to QUIT is not waited for."""
        self.session.quit()
        self._write(self.session.output())
        self._shut()
