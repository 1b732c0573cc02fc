"""One SMTP connection: drives a Session (session.py) with the octets of a transport, on uvloop or asyncio.

    octets -> session.feed -> effects -> gate and draft -> answers -> replies -> one write

Whatever arrives in one read is run in one go, and all its replies leave in one write. While something is waited for
(a decision on a recipient, the disk, a client that does not read its replies) input stays in the session: reading is
paused with the first octets that come meanwhile, so one read at most is buffered.

One timer for a connection: it looks at a deadline that moves, and is set anew only when it has run off.

Ending: the last replies are sent, then the write side is closed and input thrown away for a moment. A close with
unread input would make the kernel reset the connection and might take the reply from the client (RFC 1122 s4.2.2.13).
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Final, cast

from engine.config import ErrorClass
from engine.diagnostics.conversation import Conversation
from engine.limits import DATA_TOTAL_TIMEOUT_S, MIB
from engine.listening import MX, Kind
from engine.relay_rule import plain_address
from engine.replies import Reply
from engine.smtp.admission import Place
from engine.smtp.decisions import Decisions
from engine.smtp.effect import Effect
from engine.smtp.gate import Answer, ClientInfo
from engine.smtp.intake import Intake
from engine.smtp.pace import Pace
from engine.smtp.reporter import Reporter
from engine.smtp.session import Session
from engine.smtp.submission import SubmissionSession
from engine.smtp.tls import certificate_of, told, verified_names

if TYPE_CHECKING:
    from engine.queue.store import Draft
    from engine.smtp.server import SmtpServer

TLS_HANDSHAKE_TIMEOUT_S: Final = 30.0
LINGER_S: Final = 2.0  # for the client to read the last reply
LINGER_LEN: Final = 4 * MIB  # octets thrown away meanwhile
EARLY_LEN: Final = 64 * 1024  # octets that may come before a handshake begins, or follow its last flight

log = logging.getLogger("mailward.smtp")


class Connection(asyncio.Protocol):
    """Made by the server for each accepted socket; tells it when it is gone."""

    _transport: asyncio.Transport
    _session: Session
    _reporter: Reporter
    _intake: Intake
    _decisions: Decisions
    client: ClientInfo
    _record: Conversation | None = None

    def __init__(self, server: "SmtpServer", kind: Kind = MX, client: tuple[str, int, str] | None = None) -> None:
        """client: its address and port, and the address of the proxy that says so; None: it is the peer itself."""
        self._server = server
        self._kind = kind
        self._named = client
        self._gate = server.gate
        self._loop = server.loop
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        self._body_deadline = 0.0
        self._commands_seen = 0
        self._greeted = False
        self._pace = Pace()
        self._turn_due = False  # many commands were run: others first
        self._choked = False  # the client does not read
        self._mute = kind.implicit  # until there is TLS nothing can be said
        self._half_closed = False  # the client has sent all it will
        self._committing = False
        self._stopping = False
        self._handshaking = False
        self._early = b""
        self._ended = False  # by us: input is thrown away
        self._lingered_len = 0
        self._lost = False

    # --- transport callbacks ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has no base class
        peer = self._named or transport.get_extra_info("peername")
        if not peer:  # gone before it was accepted
            self._lost = True
            self._transport.abort()
            return
        gate = self._gate
        address = plain_address(peer[0])
        self.client = ClientInfo(str(address), peer[1], gate.next_connection_id())
        if self._named:
            self.client.proxy = self._named[2]
        server = self._server
        recorder = server.recorder
        self._record = record = recorder.inbound(self.client) if recorder is not None else None
        self._reporter = Reporter(gate, self.client)
        self._intake = Intake(gate, self.client, self._kind.accept)
        self._decisions = Decisions(gate, self.client)
        self._session = (SubmissionSession if self._kind.submission else Session)(
            self.client,
            gate.settings,
            server.hostname,
            gate.refuse_connection,
            tls_offered=server.tls is not None,
            xclient=server.may_name_clients(address),
            record=record,
        )
        server.connections.add(self)
        self._handshaking = self._kind.implicit  # which waits for a place, as the greeting does
        refusal = server.refuse(self, address)
        if refusal is not None:
            self._refuse(refusal)
            return
        place = server.enter(self)
        if place is Place.OPEN:
            self.admitted()
        elif place is Place.WAITING:
            self._reporter.connection("queued")
        else:
            self._refuse(Reply.TOO_MANY_CONNECTIONS)

    def data_received(self, data: bytes) -> None:
        if self._ended or self._lost:
            self._linger(len(data))
        elif self._handshaking:
            self._early += data
            if len(self._early) > EARLY_LEN:
                self._fail("too much input around the TLS handshake")
        elif not self._greeted:
            self._reporter.violation("input before the greeting")
            self._say_last(Reply.NOT_SYNCHRONIZED)
        else:
            self._pace.taken += len(data)
            self._session.feed(data)
            if self._held():
                self._transport.pause_reading()
            else:
                self._run()

    def eof_received(self) -> bool:
        """Kept open for writing if replies are still owed to commands that are complete, above all to the end of data.

        Not for a decision on a recipient: without DATA, which has to wait for it, nothing can come of it. And who waits
        for more than the disk, and has nothing more to say, is taken to be gone: it will come again.
        """
        self._half_closed = True
        if self._committing and not self._session.unread_len and self._give_up():
            return False
        owed = self._committing or self._turn_due or self._choked
        return owed and not self._ended and not self.client.tls

    def pause_writing(self) -> None:
        self._choked = True

    def resume_writing(self) -> None:
        self._choked = False
        if not self._ended and self._greeted and not self._held():
            self._resume()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._lost:
            return
        self._lost = True
        if self._timer is not None:
            self._timer.cancel()
        self._intake.abort()
        self._decisions.cancel()
        if self._committing:
            self._give_up()
        if self._task is not None and not self._committing:  # what is being made durable is accepted
            self._task.cancel()
        side = "server" if self._ended else "client"
        self._reporter.disconnected(side)
        if self._record is not None:
            self._end_record(self._record, side, exc)
        if self._committing:  # the server waits for that, the place does not
            self._server.leave(self)
        else:
            self._server.gone(self)

    def _end_record(self, record: Conversation, side: str, exc: Exception | None) -> None:
        """A client that leaves in the middle of a message, or without all of a command, did not mean to (DIAG-06)."""
        session = self._session
        if session.unread_len and not self._ended:
            record.note(f"{session.unread_len} octets that are no whole line")
        if exc is not None:
            record.error(ErrorClass.COMMUNICATION, str(exc))
        elif not self._ended and (session.in_transaction or session.unread_len):
            record.error(ErrorClass.COMMUNICATION, "the connection ended before its time")
        record.end(f"closed by the {side}")

    # --- admission -------------------------------------------------------------------------------

    def admitted(self) -> None:
        """There is a place: greet, perhaps after a while in which a client has to be silent."""
        self._reporter.connection("accepted")
        if not self._kind.implicit:
            self._welcome()
        elif self._server.tls is None:
            self._fail("TLS is wanted, and there is no certificate")
        else:
            self._task = self._loop.create_task(self._start_tls())

    def _welcome(self) -> None:
        delay_s = 0.0 if self._kind.submission else self._server.greet_delay_s(self.client)
        if delay_s:
            self._timer = self._loop.call_later(delay_s, self._greet)
        else:
            self._greet()

    def _greet(self) -> None:
        self._greeted = True
        self._pace.useful(self._loop.time())
        self._session.greet()
        self._flush()
        self._deadline = self._loop.time() + self._gate.settings.smtp.command_timeout_s
        self._timer = self._loop.call_at(self._deadline, self._tick)

    def expired(self) -> None:
        """No place became free in time (SMTP-07)."""
        self._refuse(Reply.TOO_MANY_CONNECTIONS)

    def hurry(self) -> None:
        """Others wait for a place."""
        if self._ended or self._lost:
            return
        session = self._session
        if self._handshaking:
            key: object = "handshake" if self._task is not None else None  # or it waits for its place
        elif not self._greeted or self._turn_due or session.busy:
            key = None
        else:
            key = session.commands, session.in_body
        if self._pace.too_slow(self._loop.time(), key, session.in_body):
            if self._handshaking:
                self._fail("TLS handshake too slow while others wait")
            else:
                self._say_last(Reply.TOO_SLOW)

    def stop(self) -> None:
        """The service stops: 421, after the message that is being made durable has got its reply."""
        self._stopping = True
        if self._lost or self._committing:
            self._intake.hurry()
            return
        if self._ended:
            self._transport.close()
            return
        if self._handshaking:
            self._fail()
            return
        self._say_last(Reply.SHUTTING_DOWN)

    def abort(self) -> None:
        """Close at once, whatever is under way."""
        self._transport.abort()

    # --- the session -----------------------------------------------------------------------------

    def _held(self) -> bool:
        """Whether input has to wait."""
        return self._turn_due or self._choked or self._session.busy

    def _run(self) -> None:
        session = self._session
        session.settings = self._gate.settings
        try:
            while (effect := session.next()) is not None:
                if not self._perform(effect):
                    break
        except Exception:
            log.exception("connection %s: the session failed", self.client.connection_id)
            self._say_last(Reply.TRY_AGAIN)
            return
        if self._ended:
            return
        self._flush()
        self._move_deadline()
        if self._half_closed and not self._held():
            self._end()

    def _resume(self) -> None:
        """What was waited for is there: go on with the input that has come meanwhile."""
        self._run()
        if not self._ended and not self._lost and not self._held() and not self._half_closed:
            self._transport.resume_reading()

    def _perform(self, effect: Effect) -> bool:
        """Returns whether the session can go on at once."""
        if effect is Effect.CONTENT:
            reply = self._intake.write(self._session.content)
            if reply is not None:
                self._session.content_failed(reply)
        elif effect is Effect.RECIPIENT:
            return self._ask_recipient()
        elif effect is Effect.SENDER:
            self._decisions.mail(self._session.reverse_path)
        elif effect is Effect.BEGIN:
            room = self._gate.room()
            if room is not None:
                self._task = self._loop.create_task(self._begin_later(room))
                return False
            self._begin()
        elif effect is Effect.COMMIT:
            self._committing = True
            self._task = self._loop.create_task(self._commit(self._intake.complete()))
            return False
        elif effect is Effect.ABORT:
            self._intake.abort()
        elif effect is Effect.CLIENT:
            refusal = self._server.refuse(self, plain_address(self.client.address))
            self._reporter.connection("accepted" if refusal is None else "refused")
            self._session.answer_client(refusal)
        elif effect is Effect.TURN:
            session = self._session
            wrong = session.violations or session.rejections
            self._turn_due = True
            self._loop.call_later(session.settings.smtp.error_delay_s if wrong else 0, self._turn)
            return False
        elif effect is Effect.AUTH:
            self._task = self._loop.create_task(self._authenticate())
            return False
        elif effect is Effect.START_TLS:
            self._transport.pause_reading()  # what comes now belongs to the handshake
            self._handshaking = True
            self._task = self._loop.create_task(self._start_tls())
            return False
        else:
            self._intake.abort()
            self._flush()
            self._end()
            return False
        return True

    def _turn(self) -> None:
        self._turn_due = False
        if not self._lost and not self._ended and not self._held():
            self._resume()

    def _ask_recipient(self) -> bool:
        session = self._session
        answer = self._decisions.rcpt(session.reverse_path, session.recipient.address)
        if isinstance(answer, Answer):
            session.answer_recipient(answer)
            return True
        self._task = self._loop.create_task(self._await_recipient(answer))
        return False

    async def _await_recipient(self, answer: Awaitable[Answer]) -> None:
        settled = await self._decisions.settle(answer)
        self._task = None
        if not self._lost and not self._ended:
            self._session.answer_recipient(settled)
            self._resume()

    def _begin(self) -> None:
        reply = self._intake.begin(self._session, self._server.clock())
        self._body_deadline = self._loop.time() + DATA_TOTAL_TIMEOUT_S
        self._session.answer_begin(reply)

    async def _begin_later(self, room: Awaitable[None]) -> None:
        await room
        self._task = None
        if not self._lost and not self._ended:
            self._begin()
            self._resume()

    async def _commit(self, draft: "Draft") -> None:
        reply = await self._intake.commit(draft)
        self._task = None
        self._committing = False
        if self._lost:
            self._server.gone(self)
            return
        self._session.answer_commit(reply, self._intake.smtp_id)
        self._pace.useful(self._loop.time())
        if self._stopping:
            self._say_last(Reply.SHUTTING_DOWN)
        elif not self._ended:
            self._resume()

    def _give_up(self) -> bool:
        """The client has left before its message was taken. Returns whether that is forgotten."""
        if not self._intake.give_up():
            return False
        self._committing = False
        if self._task is not None:
            self._task.cancel()
        return True

    async def _authenticate(self) -> None:
        session = self._session
        assert isinstance(session, SubmissionSession)
        try:
            refusal = await self._gate.authenticate(self.client, session.credentials)
        except Exception:
            log.exception("connection %s: no decision on an AUTH", self.client.connection_id)
            refusal = Reply.AUTH_LATER
        self._task = None
        if not self._lost and not self._ended:
            session.answer_auth(refusal)
            self._resume()

    # --- TLS -------------------------------------------------------------------------------------

    async def _start_tls(self) -> None:
        context = self._server.tls_for(self.client)
        if self._early:
            self._loop.call_soon(self._hand_on)
        try:
            transport = await self._loop.start_tls(
                self._transport, self, context, server_side=True, ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT_S
            )
        except ssl.SSLCertVerificationError as error:
            self._task = None
            self._server.unverified.add(self.client.address)
            words = "connection %s: certificate of %s: %s; it will not be asked for again for a day"
            self._reporter.certificate(None, error.verify_message)
            log.warning(words, self.client.connection_id, self.client.address, error.verify_message)
            self._fail()
            return
        except (TimeoutError, OSError) as error:  # ssl.SSLError is an OSError
            self._task = None
            self._fail(f"TLS handshake failed: {_reason(error)}")
            return
        self._task = None
        if self._lost or transport is None:
            return
        self._transport = transport
        self._handshaking = self._mute = False
        tls = transport.get_extra_info("ssl_object")
        names = verified_names(tls) if context is self._server.asking else ()
        certificate = certificate_of(tls)
        self._reporter.certificate(certificate)
        words = told(tls, certificate)
        if self._record is not None:
            self._record.note(f"TLS begins: {words}")
        self._session.tls_started(words, names)
        if not self._greeted:
            self._welcome()
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    def _hand_on(self) -> None:
        """What came before the handshake could begin belongs to it: it has the transport now, and has not looked yet.

        There is no other way to keep it: uvloop reads as soon as there is a connection, whether or not it was paused.
        """
        handshake = cast(asyncio.BufferedProtocol, self._transport.get_protocol())
        early, self._early = self._early, b""
        while early:
            buffer = memoryview(handshake.get_buffer(len(early)))
            taken = min(len(early), len(buffer))
            buffer[:taken] = early[:taken]
            handshake.buffer_updated(taken)
            early = early[taken:]

    # --- time ------------------------------------------------------------------------------------

    def _move_deadline(self) -> None:
        """A command has to be complete in time, so octets do not move the deadline; those of a message do."""
        session = self._session
        if session.in_body:
            self._deadline = self._loop.time() + self._gate.settings.smtp.data_timeout_s
        elif session.commands != self._commands_seen:
            self._commands_seen = session.commands
            self._deadline = self._loop.time() + self._gate.settings.smtp.command_timeout_s
        if self._intake.under_way:
            self._deadline = min(self._deadline, self._body_deadline)

    def _tick(self) -> None:
        if self._ended or self._lost:
            return
        now = self._loop.time()
        if self._session.busy or self._handshaking or self._turn_due:  # we are the ones who take time
            self._deadline = now + self._gate.settings.smtp.command_timeout_s
        if now < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._tick)
        else:
            self._say_last(Reply.TIMEOUT)

    # --- words and ends --------------------------------------------------------------------------

    def _flush(self) -> None:
        session = self._session
        if session.violations or session.rejections:
            self._reporter.drain(session)
        replies = session.take_replies()
        if replies and not self._mute and not self._transport.is_closing():
            self._transport.write(replies)

    def _refuse(self, reply: Reply) -> None:
        """No session for this client."""
        self._reporter.connection("refused")
        self._say_last(reply)

    def _say_last(self, reply: Reply) -> None:
        self._intake.abort()
        if self._task is not None and not self._committing:
            self._task.cancel()
            self._task = None
        self._session.close(reply)
        self._flush()
        self._end()

    def _fail(self, violation: str = "") -> None:
        """The handshake came to nothing: there is no channel left to say so."""
        self._ended = True
        if not self._lost:
            if violation:
                self._reporter.violation(violation)
            if self._record is not None:
                self._record.error(ErrorClass.COMMUNICATION, violation or "the TLS handshake was given up")
            transport = self._transport
            self.connection_lost(None)
            transport.abort()

    def _end(self) -> None:
        """All is said. The place is free for others from now on."""
        if self._ended or self._lost:
            return
        self._ended = True
        self._server.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        transport = self._transport
        if self._half_closed or self._stopping or not self._greeted or self.client.tls:
            transport.close()
        elif not transport.is_closing():
            transport.write_eof()
            transport.resume_reading()
        self._timer = self._loop.call_later(LINGER_S, transport.abort)

    def _linger(self, length: int) -> None:
        self._lingered_len += length
        if self._lingered_len > LINGER_LEN:
            self._transport.abort()


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or type(error).__name__
