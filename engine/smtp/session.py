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

import msgspec

from engine.config import Settings
from engine.limits import COMMAND_LINE_LEN, HARD_MESSAGE_LEN, MIB, PROTOCOL_ERRORS
from engine.queue.record import Received, Recipient
from engine.relay_rule import Field
from engine.replies import Reason, Reply, ehlo_lines
from engine.smtp.address import has_character
from engine.smtp.body import ChunkBody, DataBody
from engine.smtp.command import Mail, Refused, is_text, parse_bdat, parse_helo, parse_mail, parse_rcpt
from engine.smtp.gate import Answer, ClientInfo
from engine.smtp.header_condition import HeaderCondition

TURN_LEN: Final = 200  # commands run without letting other connections have a turn
_SHOWN_LEN = 80  # octets of an offending line that the event shows

HTTP_VERBS = frozenset(["GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "DELETE", "PATCH", "TRACE", "PRI"])
_NON_ASCII_VERBS = frozenset(("MAIL", "RCPT", "VRFY"))  # RFC 6531 s3.1
_TLS_HANDSHAKE = b"\x16\x03"


class Effect(Enum):
    """What the edge has to do. Those marked * want an answer before the session goes on."""

    SENDER = auto()  # a transaction with session.reverse_path has begun
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
    BODY = auto()
    SKIP = auto()  # a BDAT that is not wanted: its octets must not become commands
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
    _conditions: dict[tuple[Field, ...], str]
    _body: DataBody | ChunkBody | None

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
        self._skip_left = 0
        self._violation_count = 0
        self._turn_ends = TURN_LEN
        self._extended = False
        self._reset()

    # --- for the edge ----------------------------------------------------------------------------

    @property
    def in_body(self) -> bool:
        """Whether the octets of a message are being waited for."""
        return self._mode is _Mode.BODY or self._mode is _Mode.SKIP

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
                elif mode is _Mode.BODY:
                    body = self._body
                    assert body is not None
                    if body.ended:
                        effect = self._end_body(body)
                    elif self._offset < len(self._input):
                        effect = self._read_body(body)
                    else:
                        return None
                elif mode is _Mode.SKIP:
                    if not self._skipped():
                        return None
                    effect = None
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

    def answer_recipient(self, answer: Answer) -> None:
        self._mode = _Mode.COMMANDS
        address = self.recipient.address
        if answer.reply.code < 300:
            if answer.instead:
                self.recipient = msgspec.structs.replace(self.recipient, address=answer.instead)
                address = answer.instead
            self._recipients[address] = self.recipient
            if answer.fields:
                self._conditions.setdefault(answer.fields, address)
            self._say(answer.reply.wire)
        else:
            self._recipient_refused = True
            self._reject(answer.reply, address, answer.blank)

    def answer_begin(self, reply: Reply | None) -> None:
        """None: the draft is there; else what to say instead."""
        body = self._body
        assert body is not None
        if isinstance(body, ChunkBody):
            self._mode = _Mode.BODY
            if reply is not None:
                body.fail(reply)
        elif reply is None:
            self._mode = _Mode.BODY
            self._say(Reply.GO_AHEAD.wire)
        else:
            self._mode = _Mode.COMMANDS
            self._reject(reply)
            self._drop()

    def content_failed(self, reply: Reply) -> None:
        """Content could not be written: the rest of the message is read and not kept, then reply is said."""
        assert self._body is not None
        self._body.fail(reply)

    def answer_commit(self, reply: Reply | None, smtp_id: str) -> None:
        """None: the message is durable."""
        self._mode = _Mode.COMMANDS
        if reply is None:
            self._say(Reply.QUEUED.line(smtp_id))
        else:
            self._reject(reply)
        self._reset()

    def tls_started(self, description: str, names: tuple[str, ...] = ()) -> None:
        """All that was known is forgotten (RFC 3207 s4.2). names: of the client's certificate, verified."""
        self.client.tls = description
        self.client.tls_names = names
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

    def _on_mail(self, argument: str) -> Effect | None:
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
        reply = Reply.SENDER_OK
        if self._forbidden(mail.reverse_path):
            reply = Reply.BAD_SENDER_CHARACTERS
        elif mail.size > self._size_limit():
            reply = Reply.TOO_BIG
        if reply is Reply.SENDER_OK:
            self._say(reply.wire)
            return Effect.SENDER
        self._reject(reply)
        self._drop()
        return None

    def _on_rcpt(self, argument: str) -> Effect | None:
        mail = self._in_transaction()
        if len(self._recipients) >= self.settings.smtp.max_recipients:
            raise Refused(Reply.TOO_MANY_RECIPIENTS, violation=False)
        recipient = parse_rcpt(argument, self._extended, mail.smtputf8, self._hostname)
        if recipient.address in self._recipients:
            self._say(Reply.RECIPIENT_OK.wire)
            return None
        if self._forbidden(recipient.address):
            self._recipient_refused = True
            self._reject(Reply.BAD_RECIPIENT_CHARACTERS, recipient.address)
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
        self._body = DataBody(self._size_limit(), self.settings.smtp.max_hops, self._condition())
        self._mode = _Mode.ANSWER
        return Effect.BEGIN

    def _on_bdat(self, argument: str) -> Effect | None:
        length, last = parse_bdat(argument)
        if not self._recipients:
            self._skip_left = length
            self._mode = _Mode.SKIP
            return None
        begun = self._body is not None
        if not isinstance(self._body, ChunkBody):
            self._body = ChunkBody(self._size_limit(), self.settings.smtp.max_hops, self._condition())
        self._body.chunk(length, last)
        self._mode = _Mode.BODY if begun else _Mode.ANSWER
        return None if begun else Effect.BEGIN

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
        if self._body is not None:
            raise Refused(Reply.BAD_SEQUENCE)
        if self._offset < len(self._input):
            raise Refused(Reply.NOT_SYNCHRONIZED, closes=True)
        self._say(Reply.TLS_READY.wire)
        self._mode = _Mode.ANSWER
        return Effect.START_TLS

    def _on_unsupported(self, _argument: str) -> None:
        raise Refused(Reply.UNSUPPORTED)

    # --- the octets of a message -----------------------------------------------------------------

    def _read_body(self, body: DataBody | ChunkBody) -> Effect | None:
        """Content goes on, unless the message has become one that is refused: then the draft goes, once."""
        kept = body.kept
        self._offset = body.read(self._input, self._offset)
        if body.kept:
            self.content = body.content
            return Effect.CONTENT if body.content else None
        return Effect.ABORT if kept else None

    def _end_body(self, body: DataBody | ChunkBody) -> Effect | None:
        """All octets of DATA or of one BDAT are read: answer, or have it made durable."""
        self._mode = _Mode.COMMANDS
        refusal = body.verdict()
        if refusal is not None:
            denied = next(iter(self._conditions.values())) if refusal is Reply.RELAY_DENIED else ""
            self._reject(refusal, denied)
            self._drop()
            return Effect.ABORT if body.kept else None
        if body.last:
            self._mode = _Mode.ANSWER
            return Effect.COMMIT
        assert isinstance(body, ChunkBody)
        self._say(Reply.CHUNK_OK.line(str(body.chunk_len)))
        return None

    def _skipped(self) -> bool:
        """Whether all of an unwanted BDAT is read, and can be answered: raises Refused then."""
        end = min(len(self._input), self._offset + self._skip_left)
        self._skip_left -= end - self._offset
        self._offset = end
        if self._skip_left:
            return False
        self._mode = _Mode.COMMANDS
        self._in_transaction()
        raise self._no_recipients()

    def _condition(self) -> HeaderCondition | None:
        return HeaderCondition(self._conditions) if self._conditions else None

    def _forbidden(self, address: str) -> bool:
        """CHAR-01, CHAR-04: whoever the client is."""
        characters = self.settings.blocking.characters
        return characters.enabled and has_character(address, characters.characters)

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
        self._conditions = {}  # fields that recipients were accepted on, and the first of these
        self._body = None

    def _drop(self) -> None:
        """The transaction ended badly: what was pipelined behind it is out of order, yet no violation."""
        self._reset()
        self._mail_refused = True

    def _abandon(self) -> Effect | None:
        """The client ended the transaction; chunks may have been kept for it."""
        begun = self._body is not None
        self._reset()
        return Effect.ABORT if begun else None

    def _in_transaction(self) -> Mail:
        """The MAIL that began it. Raises Refused if there is none, or it is past its recipients."""
        if self._mail is None:
            raise Refused(Reply.NEED_MAIL, violation=not self._mail_refused)
        if self._body is not None:
            raise Refused(Reply.BAD_SEQUENCE)
        return self._mail

    def _no_recipients(self) -> Refused:
        if self._recipient_refused:
            return Refused(Reply.NO_VALID_RECIPIENTS, violation=False)
        return Refused(Reply.NEED_RCPT)

    # --- words -----------------------------------------------------------------------------------

    def _say(self, wire: bytes) -> None:
        self._replies.append(wire)

    def _reject(self, reply: Reply, forward_path: str = "", blank: str = "") -> None:
        """Refused by policy or for now: no violation of the client's."""
        self._say(reply.line(blank) if blank else reply.wire)
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
