"""The SMTP server session without I/O: octets in, replies and effects out (RFC 5321, 1870, 2034, 2920, 3030, 3207,
3461, 6152, 6531).

    session.feed(octets)
    while (effect := session.next()) is not None:
        ...  # do it, and answer those that want an answer
    send(session.take_replies())

`next` runs the session until something has to be done outside, which it returns as an Effect; until an effect that
wants an answer has got it, `next` returns None and input just waits. The outcome does not depend on how the input is
cut, with one exception that is wanted: input that must not be there yet (RFC 2920 s3.1) can only be seen when it is.

- Behind DATA that would be answered 354, and behind STARTTLS: 554 and the end of the session, as what follows is
  content or plaintext that someone wants to be taken for commands (CVE-2011-0411 and SMTP smuggling).
- Behind EHLO, HELO, VRFY, HELP and QUIT: counted as a protocol violation; the replies stay in order. NOOP is
  left out, because nothing can be gained by it.

Line ends: only CRLF. A command line that ends in a bare LF, or has a bare CR in it, is refused with 500 and not
executed; a message with one is refused with 550 after its true end. Both are the same choice (SMTP-15).

The tenth violation is answered, and then 421 ends the session (SMTP-14). What a pipelining client had to send before
it could know that MAIL was refused is answered 503 but is no violation.

Known gaps: BINARYMIME and AUTH are not offered. HELO clients may pipeline without being told off.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple

from cext.smtp_data import NUL, ChunkChecker, DataDecoder
from engine.config import Settings
from engine.limits import COMMAND_LINE_LEN, HARD_MESSAGE_LEN, MIB, PROTOCOL_ERRORS
from engine.queue.record import Received, Recipient
from engine.replies import Reason, Reply, ehlo_lines
from engine.smtp.command import Mail, Refused, is_text, parse_bdat, parse_helo, parse_mail, parse_rcpt
from engine.smtp.gate import ClientInfo

TURN_LEN: Final = 200  # commands run without letting other connections have a turn
_SHOWN_LEN = 80  # octets of an offending line that the event shows

HTTP_VERBS = frozenset(["GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "DELETE", "PATCH", "TRACE", "PRI"])
_NON_ASCII_VERBS = frozenset(("MAIL", "RCPT", "VRFY"))  # RFC 6531 s3.1
_TLS_HANDSHAKE = b"\x16\x03"


class Effect(Enum):
    """What the edge has to do. Those marked * want an answer before the session goes on."""

    RECIPIENT = auto()  # * ask about session.recipient: answer_recipient
    BEGIN = auto()  # * begin a draft of session.received(...): answer_begin
    CONTENT = auto()  # write session.content to the draft; content_failed if that cannot be
    ABORT = auto()  # forget the draft
    COMMIT = auto()  # * make the draft durable: answer_commit
    START_TLS = auto()  # * send the replies, shake hands: tls_started
    TURN = auto()  # send the replies and come back soon: many commands were run
    CLOSE = auto()  # send the replies, forget a draft, close


class _Mode(Enum):
    COMMANDS = auto()
    DATA = auto()
    CHUNK = auto()
    ANSWER = auto()  # an effect waits for its answer
    CLOSING = auto()  # Effect.CLOSE is due
    CLOSED = auto()


class Rejection(NamedTuple):
    """One refusal to be counted (REJ-01..08)."""

    reason: Reason
    reverse_path: str
    forward_path: str


class Session:
    """One connection from greeting to close, any number of mail transactions.

    settings: replace it when they change. tls_offered: whether STARTTLS is announced.
    refuse: asked at each MAIL (DLV-02). client: its helo and tls are kept up to date.

    After `next`: violations and rejections are lists for the edge to empty into events.
    Content never raises. Buffered input is what was fed last plus at most one command line.
    """

    _mail: Mail | None
    _recipients: dict[str, Recipient]
    _checker: DataDecoder | ChunkChecker | None
    _refusal: Reply | None

    def __init__(
        self,
        client: ClientInfo,
        settings: Settings,
        hostname: str,
        refuse: Callable[[], Reply | None],
        tls_offered: bool = False,
    ) -> None:
        self.client = client
        self.settings = settings
        self.tls_offered = tls_offered
        self.violations: list[str] = []
        self.rejections: list[Rejection] = []
        self.recipient = Recipient("")
        self.content: bytes = b""
        self.commands = 0  # executed so far, refused ones too
        self._hostname = hostname
        self._refuse = refuse
        self._replies: list[bytes] = []
        self._input = b""
        self._offset = 0
        self._mode = _Mode.COMMANDS
        self._line = b""
        self._overlong = False
        self._violation_count = 0
        self._turn_ends = TURN_LEN
        self._extended = False
        self._reset()

    # --- for the edge ----------------------------------------------------------------------------

    @property
    def in_body(self) -> bool:
        """Whether the octets of a message are being waited for."""
        return self._mode is _Mode.DATA or self._mode is _Mode.CHUNK

    @property
    def busy(self) -> bool:
        """Whether an effect waits for its answer."""
        return self._mode is _Mode.ANSWER

    @property
    def reverse_path(self) -> str:
        """Of the mail transaction; empty also when there is none."""
        return self._mail.reverse_path if self._mail else ""

    def greet(self) -> None:
        self._say(Reply.GREETING.line(self._hostname))

    def feed(self, octets: bytes) -> None:
        """Take input. Copies only what an incomplete command line left over."""
        if self._offset < len(self._input):
            self._input = self._input[self._offset :] + octets
        else:
            self._input = octets
        self._offset = 0

    def next(self) -> Effect | None:
        """Go on until something has to be done outside. None: more input or an answer is needed."""
        while True:
            mode = self._mode
            try:
                if mode is _Mode.COMMANDS:
                    if self.commands >= self._turn_ends:
                        self._turn_ends = self.commands + TURN_LEN
                        return Effect.TURN
                    if not self._next_line():
                        return None
                    self.commands += 1
                    effect = self._run(self._line)
                elif mode is _Mode.DATA:
                    if self._offset == len(self._input):
                        return None
                    effect = self._read_data()
                elif mode is _Mode.CHUNK:
                    if self._chunk_left and self._offset == len(self._input):
                        return None
                    effect = self._read_chunk()
                elif mode is _Mode.CLOSING:
                    self._mode = _Mode.CLOSED
                    return Effect.CLOSE
                else:
                    return None
            except Refused as refused:
                self._refused(refused)
            else:
                if effect is not None:
                    return effect

    def take_replies(self) -> bytes:
        """What is to be sent now, possibly nothing."""
        replies = self._replies
        if not replies:
            return b""
        wire = replies[0] if len(replies) == 1 else b"".join(replies)
        replies.clear()
        return wire

    def received(self, smtp_id: str, time_ns: int) -> Received:
        """Trace and envelope of the message that begins. Only upon Effect.BEGIN."""
        mail, client = self._mail, self.client
        assert mail is not None
        protocol = "UTF8SMTP" if mail.smtputf8 else "ESMTP" if self._extended else "SMTP"
        return Received(
            id=smtp_id,
            time_ns=time_ns,
            connection_id=client.connection_id,
            client=client.address,
            client_port=client.port,
            helo=client.helo,
            protocol=protocol + "S" if client.tls else protocol,  # RFC 3848, RFC 6531 s4.3
            tls=client.tls,
            reverse_path=mail.reverse_path,
            recipients=tuple(self._recipients.values()),
            body=mail.body or "8BITMIME",
            smtputf8=mail.smtputf8,
            ret=mail.ret,
            envid=mail.envid,
        )

    def close(self, reply: Reply) -> None:
        """The edge ends the session (timeout, stop): reply is said, input is not read any more."""
        self._reject(reply)
        self._mode = _Mode.CLOSED

    # --- answers ---------------------------------------------------------------------------------

    def answer_recipient(self, reply: Reply | None) -> None:
        """None or a 2xx: accepted."""
        self._mode = _Mode.COMMANDS
        if reply is None or reply.code < 300:
            self._recipients[self.recipient.address] = self.recipient
            self._say(Reply.RECIPIENT_OK.wire)
        else:
            self._recipient_refused = True
            self._reject(reply, self.recipient.address)

    def answer_begin(self, reply: Reply | None) -> None:
        """None: the draft is there; else what to say instead."""
        if isinstance(self._checker, ChunkChecker):
            self._mode = _Mode.CHUNK
            self._refusal = reply
        elif reply is None:
            self._mode = _Mode.DATA
            self._say(Reply.GO_AHEAD.wire)
        else:
            self._mode = _Mode.COMMANDS
            self._reject(reply)
            self._drop()

    def content_failed(self, reply: Reply) -> None:
        """Content could not be written: the rest of the message is read and not kept, then reply is said."""
        self._failed = True
        self._refusal = reply

    def answer_commit(self, reply: Reply | None, smtp_id: str) -> None:
        """None: the message is durable."""
        self._mode = _Mode.COMMANDS
        if reply is None:
            self._say(Reply.QUEUED.line(smtp_id))
        else:
            self._reject(reply)
        self._reset()

    def tls_started(self, description: str) -> None:
        """All that was known is forgotten (RFC 3207 s4.2)."""
        self.client.tls = description
        self.client.helo = ""
        self._extended = False
        self._input = b""
        self._offset = 0
        self._reset()
        self._mode = _Mode.COMMANDS

    # --- command lines ---------------------------------------------------------------------------

    def _next_line(self) -> bool:
        """Whether there is a next line, then in _line with its line end. Of one too long only the end is kept."""
        data, start = self._input, self._offset
        if not self.commands and data.startswith(_TLS_HANDSHAKE):
            self._line = data
            raise Refused(Reply.NOT_SMTP, closes=True)
        end = data.find(b"\n", start) + 1
        if end:
            self._offset = end
            self._line = data[start:end]
            return True
        if len(data) - start >= COMMAND_LINE_LEN:
            self._overlong = True
        if self._overlong:
            self._input = b""
            self._offset = 0
        return False

    def _run(self, line: bytes) -> Effect | None:
        """Execute one command. Returns what has to be done outside. Raises Refused."""
        if self._overlong or len(line) > COMMAND_LINE_LEN:
            self._overlong = False
            self._line = b""  # its start may be gone already
            raise Refused(Reply.LINE_TOO_LONG)
        if not line.endswith(b"\r\n"):
            raise Refused(Reply.BAD_LINE_END)
        try:
            text = line[:-2].decode().rstrip(" \t")  # RFC 5321 s4.1.1: trailing white space is tolerated
        except UnicodeDecodeError:
            raise Refused(Reply.BAD_OCTETS) from None
        if not is_text(text):
            raise Refused(Reply.BAD_LINE_END if "\r" in text else Reply.BAD_OCTETS)
        verb, _, argument = text.partition(" ")
        verb = verb.upper()
        handler = _HANDLERS.get(verb)
        if handler is None:
            http = verb in HTTP_VERBS
            raise Refused(Reply.NOT_SMTP if http else Reply.UNKNOWN_COMMAND, closes=http)
        if not argument.isascii() and verb not in _NON_ASCII_VERBS:
            raise Refused(Reply.BAD_OCTETS)
        effect = handler(self, argument)
        if verb in _LAST_IN_GROUP and self._offset < len(self._input):
            self._violation(f"input behind {verb} before its reply")
        return effect

    def _hello(self, argument: str, extended: bool) -> Effect | None:
        self.client.helo = parse_helo(argument)
        self._extended = extended
        if extended:
            self._say(ehlo_lines(self._hostname, self._keywords()))
        else:
            self._say(Reply.HELO.line(self._hostname))
        return self._abandon()

    def _keywords(self) -> list[str]:
        keywords = ["PIPELINING", f"SIZE {self._size_limit()}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        keywords += ["CHUNKING", "DSN"]
        if self.tls_offered and not self.client.tls:
            keywords.append("STARTTLS")
        return keywords

    def _ehlo(self, argument: str) -> Effect | None:
        return self._hello(argument, True)

    def _helo(self, argument: str) -> Effect | None:
        return self._hello(argument, False)

    def _on_mail(self, argument: str) -> None:
        if not self.client.helo:
            raise Refused(Reply.SAY_HELLO)
        if self._mail is not None:
            raise Refused(Reply.BAD_SEQUENCE)
        self._drop()
        refusal = self._refuse()
        if refusal is not None:
            raise Refused(refusal, violation=False)
        self._mail = mail = parse_mail(argument, self._extended)
        self._mail_refused = False
        if mail.size > self._size_limit():
            self._reject(Reply.TOO_BIG)
            self._drop()
            return
        self._say(Reply.SENDER_OK.wire)

    def _on_rcpt(self, argument: str) -> Effect | None:
        mail = self._in_transaction()
        if len(self._recipients) >= self.settings.smtp.max_recipients:
            raise Refused(Reply.TOO_MANY_RECIPIENTS, violation=False)
        recipient = parse_rcpt(argument, self._extended, mail.smtputf8, self._hostname)
        if recipient.address in self._recipients:
            self._say(Reply.RECIPIENT_OK.wire)
            return None
        self.recipient = recipient
        self._mode = _Mode.ANSWER
        return Effect.RECIPIENT

    def _on_data(self, argument: str) -> Effect:
        if argument:
            raise Refused(Reply.SYNTAX)
        self._in_transaction()
        if not self._recipients:
            raise self._no_recipients()
        if self._offset < len(self._input):
            raise Refused(Reply.NOT_SYNCHRONIZED, closes=True)
        self._checker = DataDecoder(self._size_limit())
        self._mode = _Mode.ANSWER
        return Effect.BEGIN

    def _on_bdat(self, argument: str) -> Effect | None:
        self._chunk_len, self._chunk_last = parse_bdat(argument)
        self._chunk_left = self._chunk_len
        if self._recipients and self._checker is None:
            self._checker = ChunkChecker(self._size_limit())
            self._mode = _Mode.ANSWER
            return Effect.BEGIN
        self._mode = _Mode.CHUNK  # also if it is not wanted: its octets must not become commands
        return None

    def _on_rset(self, argument: str) -> Effect | None:
        if argument:
            raise Refused(Reply.SYNTAX)
        self._say(Reply.OK.wire)
        return self._abandon()

    def _on_noop(self, _argument: str) -> None:
        self._say(Reply.OK.wire)

    def _on_vrfy(self, argument: str) -> None:
        if not argument:
            raise Refused(Reply.SYNTAX)
        self._say(Reply.CANNOT_VERIFY.wire)  # whoever it is: nothing about users is told (RFC 5321 s7.3)

    def _on_help(self, _argument: str) -> None:
        self._say(Reply.HELP.wire)

    def _on_quit(self, argument: str) -> None:
        if argument:
            raise Refused(Reply.SYNTAX)
        self._say(Reply.BYE.wire)
        if self._offset < len(self._input):
            self._violation("input behind QUIT")
        self._mode = _Mode.CLOSING

    def _on_starttls(self, argument: str) -> Effect:
        if not self.tls_offered:
            raise Refused(Reply.UNSUPPORTED)
        if argument:
            raise Refused(Reply.SYNTAX)
        if self.client.tls or not self.client.helo:
            raise Refused(Reply.ALREADY_TLS if self.client.tls else Reply.SAY_HELLO)
        if self._checker is not None:
            raise Refused(Reply.BAD_SEQUENCE)
        if self._offset < len(self._input):
            raise Refused(Reply.NOT_SYNCHRONIZED, closes=True)
        self._say(Reply.TLS_READY.wire)
        self._mode = _Mode.ANSWER
        return Effect.START_TLS

    def _on_unsupported(self, _argument: str) -> None:
        raise Refused(Reply.UNSUPPORTED)

    # --- the octets of a message -----------------------------------------------------------------

    def _read_data(self) -> Effect | None:
        decoder = self._checker
        assert isinstance(decoder, DataDecoder)
        data, offset = self._input, self._offset
        content = decoder.feed(memoryview(data)[offset:] if offset else data)
        self._offset = offset + decoder.consumed
        if decoder.done:
            self._mode = _Mode.CHUNK  # with nothing left to read: its end is handled alike
            self._chunk_left = 0
            self._chunk_last = True
        return self._judge(content)

    def _read_chunk(self) -> Effect | None:
        if not self._chunk_left:
            return self._end_chunk()
        data, offset = self._input, self._offset
        end = min(len(data), offset + self._chunk_left)
        piece = data[offset:end]
        self._offset = end
        self._chunk_left -= len(piece)
        if not isinstance(self._checker, ChunkChecker):
            return None
        self._checker.feed(piece)
        return self._judge(piece)

    def _judge(self, content: bytes) -> Effect | None:
        """Content goes on, unless the message has become one that is refused: then the draft goes, once."""
        checker = self._checker
        assert checker is not None
        if self._failed or self._refusal is not None:
            return None
        if checker.error or checker.too_big or checker.hops > self.settings.smtp.max_hops:
            self._failed = True
            return Effect.ABORT
        if not content:
            return None
        self.content = content
        return Effect.CONTENT

    def _end_chunk(self) -> Effect | None:
        """All octets of DATA or of one BDAT are read: answer, or have it made durable."""
        self._mode = _Mode.COMMANDS
        checker = self._checker
        if checker is None:  # a BDAT that was not wanted
            self._in_transaction()
            raise self._no_recipients()
        if self._chunk_last and isinstance(checker, ChunkChecker):
            checker.finish()
        refusal = self._content_refusal()
        if refusal is not None:
            failed = self._failed
            self._reject(refusal)
            self._drop()
            return None if failed else Effect.ABORT
        if self._chunk_last:
            self._mode = _Mode.ANSWER
            return Effect.COMMIT
        self._say(Reply.CHUNK_OK.line(str(self._chunk_len)))
        return None

    def _content_refusal(self) -> Reply | None:
        """Judged at the end and in this order, so that it does not depend on how the octets came."""
        checker = self._checker
        assert checker is not None
        if checker.error:
            return Reply.NUL_CHARACTERS if checker.error == NUL else Reply.BAD_LINE_ENDS
        if checker.too_big:
            return Reply.TOO_BIG
        if checker.hops > self.settings.smtp.max_hops:
            return Reply.TOO_MANY_HOPS
        return self._refusal

    def _size_limit(self) -> int:
        size = self.settings.blocking.size
        return size.max_mb * MIB if size.enabled else HARD_MESSAGE_LEN

    # --- transaction -----------------------------------------------------------------------------

    def _reset(self) -> None:
        """No mail transaction (RFC 5321 s4.1.1.5)."""
        self._mail = None
        self._mail_refused = False
        self._recipients = {}
        self._recipient_refused = False
        self._checker = None
        self._failed = False  # the draft is gone, what is still read is not kept
        self._refusal = None  # trouble of ours that ends this message
        self._chunk_left = 0
        self._chunk_len = 0
        self._chunk_last = False

    def _drop(self) -> None:
        """The transaction ended badly: what was pipelined behind it is out of order, yet no violation."""
        self._reset()
        self._mail_refused = True

    def _abandon(self) -> Effect | None:
        """The client ended the transaction; chunks may have been kept for it."""
        begun = self._checker is not None
        self._reset()
        return Effect.ABORT if begun else None

    def _in_transaction(self) -> Mail:
        """The MAIL that began it. Raises Refused if there is none, or it is past its recipients."""
        if self._mail is None:
            raise Refused(Reply.NEED_MAIL, violation=not self._mail_refused)
        if self._checker is not None:
            raise Refused(Reply.BAD_SEQUENCE)
        return self._mail

    def _no_recipients(self) -> Refused:
        if self._recipient_refused:
            return Refused(Reply.NO_VALID_RECIPIENTS, violation=False)
        return Refused(Reply.NEED_RCPT)

    # --- words -----------------------------------------------------------------------------------

    def _say(self, wire: bytes) -> None:
        self._replies.append(wire)

    def _reject(self, reply: Reply, forward_path: str = "") -> None:
        """Refused by policy or for now: no violation of the client's."""
        self._say(reply.wire)
        if reply.reason is not None:
            self.rejections.append(Rejection(reply.reason, self.reverse_path, forward_path))
        if reply.code == 421:
            self._mode = _Mode.CLOSING

    def _refused(self, refused: Refused) -> None:
        reply = refused.reply
        if refused.violation:
            self._say(reply.wire)
            self._violation(f"{reply.code} {reply.text}: {ascii(self._line[:_SHOWN_LEN])[2:-1]}")
        else:
            self._reject(reply)
        if refused.closes:
            self._mode = _Mode.CLOSING

    def _violation(self, words: str) -> None:
        """The client broke the protocol, or wants what is not served (SMTP-13, SMTP-14)."""
        self.violations.append(words)
        self._violation_count += 1
        if self._violation_count >= PROTOCOL_ERRORS and self._mode is not _Mode.CLOSING:
            self._reject(Reply.TOO_MANY_ERRORS)


_HANDLERS: Final[dict[str, Callable[[Session, str], Effect | None]]] = {
    "EHLO": Session._ehlo,
    "HELO": Session._helo,
    "MAIL": Session._on_mail,
    "RCPT": Session._on_rcpt,
    "DATA": Session._on_data,
    "BDAT": Session._on_bdat,
    "RSET": Session._on_rset,
    "NOOP": Session._on_noop,
    "VRFY": Session._on_vrfy,
    "HELP": Session._on_help,
    "QUIT": Session._on_quit,
    "STARTTLS": Session._on_starttls,
    # RFC 5321 s3.8 and App. F.1, RFC 1985, RFC 4954: known, and not served (SMTP-13)
    **dict.fromkeys(["EXPN", "TURN", "ETRN", "ATRN", "SEND", "SOML", "SAML", "AUTH"], Session._on_unsupported),
}
_LAST_IN_GROUP: Final = frozenset(["EHLO", "HELO", "VRFY", "HELP"])
