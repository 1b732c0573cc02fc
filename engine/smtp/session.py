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

A command line with a bare CR or LF is refused with 500 (lines.py), a message with one is refused with 550 after its
true end (body.py). Both are the same choice (SMTP-15).

The tenth violation is answered, and then 421 ends the session (SMTP-14). What a pipelining client had to send before
it could know that MAIL was refused is answered 503 but is no violation.

Known gaps: BINARYMIME is not offered. HELO clients may pipeline without being told off.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final, NamedTuple

import msgspec

from engine.config import ErrorClass, Settings
from engine.diagnostics import errors
from engine.diagnostics.conversation import Conversation
from engine.diagnostics.masking import AuthMask
from engine.limits import COMMAND_LINE_LEN, PROTOCOL_ERRORS
from engine.queue.record import Received, Recipient
from engine.replies import Reason, Reply, ehlo_lines
from engine.smtp import xclient
from engine.smtp.address import has_character
from engine.smtp.body import ChunkBody, DataBody
from engine.smtp.command import Refused, parse_bdat, parse_helo, parse_mail, parse_rcpt
from engine.smtp.gate import Answer, ClientInfo
from engine.smtp.lines import Input, split_line
from engine.smtp.transaction import Transaction, size_limit

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
    AUTH = auto()  # * compare credentials: answer_auth (SubmissionSession)
    START_TLS = auto()  # * send the replies, shake hands: tls_started
    CLIENT = auto()  # * session.client is another one now (XCLIENT): answer_client
    TURN = auto()  # send the replies and come back soon: many commands were run, or one that went wrong
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

    settings: replace it when they change. tls_offered: whether STARTTLS is announced. xclient: whether the client may
    speak for others. refuse: asked at each MAIL (DLV-02). client: its helo and tls are kept up to date. record: of the
    conversation, if one is wanted (DIAG-03).

    After `next`: violations and rejections are lists for the edge to empty into events.
    Content never raises. Buffered input is what was fed last plus at most one command line.
    """

    takes_auth = False  # the parameter of MAIL that goes with AUTH

    def __init__(
        self,
        client: ClientInfo,
        settings: Settings,
        hostname: str,
        refuse: Callable[[], Reply | None],
        tls_offered: bool = False,
        xclient: bool = False,
        record: Conversation | None = None,
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
        self._xclient = xclient
        self._record = record
        self._mask = AuthMask()
        self._speaks_for_another = False
        self._handlers = HANDLERS
        self._replies: list[bytes] = []
        self._input = Input()
        self._mode = _Mode.COMMANDS
        self._line = b""
        self._skip_left = 0
        self._violation_count = 0
        self._turn_ends = TURN_LEN
        self._extended = False
        self._transaction: Transaction | None = None
        self._mail_refused = False  # what was pipelined behind it is out of order, yet no violation

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
    def in_transaction(self) -> bool:
        return self._transaction is not None

    @property
    def unread_len(self) -> int:
        """Octets that no command line or message has taken."""
        return len(self._input.octets) - self._input.offset

    @property
    def reverse_path(self) -> str:
        """Of the mail transaction; empty also when there is none."""
        return self._transaction.mail.reverse_path if self._transaction else ""

    def greet(self) -> None:
        self._say(Reply.GREETING.line(self._hostname))

    def feed(self, octets: bytes) -> None:
        """Take input."""
        self._input.feed(octets)

    def next(self) -> Effect | None:
        """Go on until something has to be done outside. None: more input or an answer is needed."""
        while True:
            mode = self._mode
            try:
                if mode is _Mode.COMMANDS:
                    if self.commands >= self._turn_ends:
                        self._turn_ends = self.commands + TURN_LEN
                        return Effect.TURN
                    if not self.commands:
                        self._no_handshake()
                    line = self._input.line()
                    if line is None:
                        return None
                    self.commands += 1
                    effect = self._run(line)
                elif mode is _Mode.BODY:
                    transaction = self._transaction
                    assert transaction is not None and transaction.body is not None
                    if transaction.body.ended:
                        effect = self._end_body(transaction, transaction.body)
                    elif self._input.waiting:
                        effect = self._read_body(transaction.body)
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
        assert self._transaction is not None
        return self._transaction.received(self.client, self._extended, smtp_id, time_ns)

    def close(self, reply: Reply) -> None:
        """The edge ends the session (timeout, stop): reply is said, input is not read any more."""
        self._reject(reply)
        self._mode = _Mode.CLOSED

    def wait(self) -> None:
        """Take no input until `resume`."""
        self._mode = _Mode.ANSWER

    def resume(self) -> None:
        self._mode = _Mode.COMMANDS

    # --- answers ---------------------------------------------------------------------------------

    def answer_recipient(self, answer: Answer) -> None:
        self._mode = _Mode.COMMANDS
        transaction, recipient = self._transaction, self.recipient
        assert transaction is not None
        if answer.reply.code >= 300:
            transaction.refused_any = True
            self._reject(answer.reply, recipient.address, answer.blank)
            return
        if answer.instead:
            recipient = msgspec.structs.replace(recipient, address=answer.instead)
        transaction.recipients[recipient.address] = recipient
        if answer.fields:
            transaction.conditions.setdefault(answer.fields, recipient.address)
        self._say(answer.reply.wire)

    def answer_begin(self, reply: Reply | None) -> None:
        """None: the draft is there; else what to say instead."""
        assert self._transaction is not None and self._transaction.body is not None
        body = self._transaction.body
        self._mode = _Mode.BODY
        if isinstance(body, ChunkBody):
            if reply is not None:
                body.fail(reply)
        elif reply is None:
            self._say(Reply.GO_AHEAD.wire)
        else:
            self._mode = _Mode.COMMANDS
            self._reject(reply)
            self._drop()

    def content_failed(self, reply: Reply) -> None:
        """Content could not be written: the rest of the message is read and not kept, then reply is said."""
        assert self._transaction is not None and self._transaction.body is not None
        self._transaction.body.fail(reply)

    def answer_commit(self, reply: Reply | None, smtp_id: str) -> None:
        """None: the message is durable."""
        self._mode = _Mode.COMMANDS
        if reply is None:
            self._say(Reply.QUEUED.line(smtp_id))
        else:
            self._reject(reply)
        self._transaction = None

    def answer_client(self, refusal: Reply | None) -> None:
        """None: the client that was named is served, and greeted."""
        self._mode = _Mode.COMMANDS
        if refusal is None:
            self.greet()
        else:
            self._reject(refusal)

    def tls_started(self, description: str, names: tuple[str, ...] = ()) -> None:
        """All that was known is forgotten (RFC 3207 s4.2). names: of the client's certificate, verified."""
        self.client.tls = description
        self.client.tls_names = () if self._speaks_for_another else names
        self.client.helo = ""
        self._extended = False
        self._input.clear()
        self._transaction = None
        self._mail_refused = False
        self._mode = _Mode.COMMANDS

    # --- command lines ---------------------------------------------------------------------------

    def _no_handshake(self) -> None:
        """Raises Refused if the client speaks TLS unasked: what follows is no line."""
        if self._input.octets.startswith(_TLS_HANDSHAKE):
            self._line = self._input.octets
            if self._record is not None:
                self._record.client(self._line[:_SHOWN_LEN])
            raise Refused(Reply.NOT_SMTP, closes=True)

    def _run(self, line: bytes) -> Effect | None:
        """Execute one command. Returns what has to be done outside. Raises Refused."""
        if len(line) > COMMAND_LINE_LEN:
            self._line = b""  # its start may be gone already
            if self._record is not None:
                self._record.note(f"a command line of more than {COMMAND_LINE_LEN} octets")
            raise Refused(Reply.LINE_TOO_LONG)
        self._line = line
        if self._record is not None:
            self._record.client(line)
        verb, argument = split_line(line)
        handler = self._handlers.get(verb)
        if handler is None:
            http = verb in HTTP_VERBS
            raise Refused(Reply.NOT_SMTP if http else Reply.UNKNOWN_COMMAND, closes=http)
        if not argument.isascii() and verb not in _NON_ASCII_VERBS:
            raise Refused(Reply.BAD_OCTETS)
        effect = handler(self, argument)
        if verb in _LAST_IN_GROUP and self._input.waiting:
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
        keywords = ["PIPELINING", f"SIZE {size_limit(self.settings)}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        keywords += ["CHUNKING", "DSN"]
        if self.tls_offered and not self.client.tls:
            keywords.append("STARTTLS")
        if self._xclient:
            keywords.append(xclient.KEYWORD)
        return keywords

    def _ehlo(self, argument: str) -> Effect | None:
        return self._hello(argument, True)

    def _helo(self, argument: str) -> Effect | None:
        return self._hello(argument, False)

    def _on_mail(self, argument: str) -> Effect | None:
        if not self.client.helo:
            raise Refused(Reply.SAY_HELLO)
        if self._transaction is not None:
            raise Refused(Reply.BAD_SEQUENCE)
        self._drop()
        refusal = self._refuse()
        if refusal is not None:
            raise Refused(refusal, violation=False)
        mail = parse_mail(argument, self._extended, self.takes_auth)
        self._transaction = Transaction(mail)
        if self._forbidden(mail.reverse_path):
            reply = Reply.BAD_SENDER_CHARACTERS
        elif mail.size > size_limit(self.settings):
            reply = Reply.TOO_BIG
        else:
            self._mail_refused = False
            self._say(Reply.SENDER_OK.wire)
            return Effect.SENDER
        self._reject(reply)
        self._drop()
        return None

    def _on_rcpt(self, argument: str) -> Effect | None:
        transaction = self._in_transaction()
        if len(transaction.recipients) >= self.settings.smtp.max_recipients:
            raise Refused(Reply.TOO_MANY_RECIPIENTS, violation=False)
        recipient = parse_rcpt(argument, self._extended, transaction.mail.smtputf8, self._hostname)
        if recipient.address in transaction.recipients:
            self._say(Reply.RECIPIENT_OK.wire)
            return None
        if self._forbidden(recipient.address):
            transaction.refused_any = True
            self._reject(Reply.BAD_RECIPIENT_CHARACTERS, recipient.address)
            return None
        self.recipient = recipient
        self._mode = _Mode.ANSWER
        return Effect.RECIPIENT

    def _on_data(self, argument: str) -> Effect:
        if argument:
            raise Refused(Reply.SYNTAX)
        transaction = self._in_transaction()
        if not transaction.recipients:
            raise transaction.no_recipients()
        if self._input.waiting:
            raise Refused(Reply.NOT_SYNCHRONIZED, closes=True)
        transaction.begin_data(self.settings)
        self._mode = _Mode.ANSWER
        return Effect.BEGIN

    def _on_bdat(self, argument: str) -> Effect | None:
        length, last = parse_bdat(argument)
        transaction = self._transaction
        if transaction is None or not transaction.recipients:
            self._skip_left = length
            self._mode = _Mode.SKIP
            return None
        if isinstance(transaction.body, ChunkBody):
            transaction.body.chunk(length, last)
            self._mode = _Mode.BODY
            return None
        transaction.begin_chunks(self.settings).chunk(length, last)
        self._mode = _Mode.ANSWER
        return Effect.BEGIN

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
        if self._input.waiting:
            self._violation("input behind QUIT")
        self._mode = _Mode.CLOSING

    def _on_starttls(self, argument: str) -> Effect:
        if not self.tls_offered:
            raise Refused(Reply.UNSUPPORTED)
        if argument:
            raise Refused(Reply.SYNTAX)
        if self.client.tls or not self.client.helo:
            raise Refused(Reply.ALREADY_TLS if self.client.tls else Reply.SAY_HELLO)
        if self._transaction is not None and self._transaction.body is not None:
            raise Refused(Reply.BAD_SEQUENCE)
        if self._input.waiting:
            raise Refused(Reply.NOT_SYNCHRONIZED, closes=True)
        self._say(Reply.TLS_READY.wire)
        self._mode = _Mode.ANSWER
        return Effect.START_TLS

    def _on_xclient(self, argument: str) -> Effect:
        if not self._xclient:
            raise Refused(Reply.UNKNOWN_COMMAND)
        if self._transaction is not None:
            raise Refused(Reply.BAD_SEQUENCE)
        named = xclient.parse(argument)
        if self._input.waiting:  # who said that, nobody knows
            raise Refused(Reply.NOT_SYNCHRONIZED, closes=True)
        named.apply(self.client)
        self._speaks_for_another = True
        self._extended = bool(named.extended)
        self._mail_refused = False
        self._mode = _Mode.ANSWER
        return Effect.CLIENT

    def _on_unsupported(self, _argument: str) -> None:
        raise Refused(Reply.UNSUPPORTED)

    # --- the octets of a message -----------------------------------------------------------------

    def _read_body(self, body: DataBody | ChunkBody) -> Effect | None:
        """Content goes on, unless the message has become one that is refused: then the draft goes, once."""
        kept = body.kept
        source = self._input
        start = source.offset
        source.offset = body.read(source.octets, start)
        if self._record is not None:
            self._record.data(source.octets[start : source.offset])
        if body.kept:
            self.content = body.content
            return Effect.CONTENT if body.content else None
        return Effect.ABORT if kept else None

    def _end_body(self, transaction: Transaction, body: DataBody | ChunkBody) -> Effect | None:
        """All octets of DATA or of one BDAT are read: answer, or have it made durable."""
        self._mode = _Mode.COMMANDS
        if self._record is not None:
            self._record.data_ended()
        refusal = body.verdict()
        if refusal is not None:
            denied = next(iter(transaction.conditions.values())) if refusal is Reply.RELAY_DENIED else ""
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
        source = self._input
        start = source.offset
        self._skip_left -= source.skip(self._skip_left)
        if self._record is not None:
            self._record.data(source.octets[start : source.offset])
        if self._skip_left:
            return False
        self._mode = _Mode.COMMANDS
        if self._record is not None:
            self._record.data_ended()
        raise self._in_transaction().no_recipients()

    def _forbidden(self, address: str) -> bool:
        """CHAR-01, CHAR-04: whoever the client is."""
        characters = self.settings.blocking.characters
        return characters.enabled and has_character(address, characters.characters)

    # --- transaction -----------------------------------------------------------------------------

    def _drop(self) -> None:
        """The transaction ended badly."""
        self._transaction = None
        self._mail_refused = True

    def _abandon(self) -> Effect | None:
        """The client ended the transaction (RFC 5321 s4.1.1.5); chunks may have been kept for it."""
        begun = self._transaction is not None and self._transaction.body is not None
        self._transaction = None
        self._mail_refused = False
        return Effect.ABORT if begun else None

    def _in_transaction(self) -> Transaction:
        """The one that is under way. Raises Refused if there is none, or it is past its recipients."""
        if self._transaction is None:
            raise Refused(Reply.NEED_MAIL, violation=not self._mail_refused)
        if self._transaction.body is not None:
            raise Refused(Reply.BAD_SEQUENCE)
        return self._transaction

    # --- words -----------------------------------------------------------------------------------

    def _say(self, wire: bytes) -> None:
        self._replies.append(wire)
        if self._record is not None:
            self._record.server(wire)

    def _reject(self, reply: Reply, forward_path: str = "", blank: str = "") -> None:
        """Refused by policy or for now: no violation of the client's."""
        self._say(reply.line(blank) if blank else reply.wire)
        if self._record is not None:
            self._record.error(errors.of_ours(reply))
        if reply.reason is not None:
            self.rejections.append(Rejection(reply.reason, self.reverse_path, forward_path))
            self._went_wrong()
        if reply.code == 421:
            self._mode = _Mode.CLOSING

    def _refused(self, refused: Refused) -> None:
        reply = refused.reply
        if refused.violation:
            self._say(reply.wire)
            line = ascii(self._mask.line(self._line)[:_SHOWN_LEN])[2:-1]  # DIAG-12
            self._violation(f"{reply.code} {reply.text}: {line}", errors.of_ours(reply))
        else:
            self._reject(reply)
        if refused.closes:
            self._mode = _Mode.CLOSING

    def _went_wrong(self) -> None:
        """The next command has to wait if that is wanted: the edge does so at a TURN with something to report."""
        if self.settings.smtp.error_delay_s:
            self._turn_ends = self.commands

    def _violation(self, words: str, error: ErrorClass = ErrorClass.PROTOCOL) -> None:
        """The client broke the protocol, or wants what is not served (SMTP-13, SMTP-14)."""
        self.violations.append(words)
        if self._record is not None:
            self._record.error(error)
        self._went_wrong()
        self._violation_count += 1
        if self._violation_count >= PROTOCOL_ERRORS and self._mode is not _Mode.CLOSING:
            self._reject(Reply.TOO_MANY_ERRORS)


HANDLERS: Final[dict[str, Callable[[Session, str], Effect | None]]] = {
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
    "XCLIENT": Session._on_xclient,
    # RFC 5321 s3.8 and App. F.1, RFC 1985, RFC 4954: known, and not served (SMTP-13)
    **dict.fromkeys(["EXPN", "TURN", "ETRN", "ATRN", "SEND", "SOML", "SAML", "AUTH"], Session._on_unsupported),
}
_LAST_IN_GROUP: Final = frozenset(["EHLO", "HELO", "VRFY", "HELP"])
