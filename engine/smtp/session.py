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

A session that goes on and on without a message is ended, whatever it says, when its next turn comes.

The tenth violation is answered, and then 421 ends the session (SMTP-14). What a pipelining client had to send before
it could know that MAIL was refused is answered 503 but is no violation.

Known gaps: BINARYMIME is not offered. HELO clients may pipeline without being told off.
"""

import msgspec

from engine.limits import COMMAND_LINE_LEN, FRUITFUL_CHUNK_LEN, FRUITLESS_COMMANDS
from engine.queue.record import Received
from engine.replies import Ending, Reply
from engine.smtp.body import ChunkBody, DataBody
from engine.smtp.command import Refused
from engine.smtp.commands import HANDLERS, LAST_IN_GROUP, Commands, Handlers
from engine.smtp.dialogue import SHOWN_LEN, TURN_LEN
from engine.smtp.effect import Effect, Mode
from engine.smtp.gate import Answer
from engine.smtp.lines import split_line
from engine.smtp.transaction import Transaction

HTTP_VERBS = frozenset(["GET", "POST", "PUT", "HEAD", "CONNECT", "OPTIONS", "DELETE", "PATCH", "TRACE", "PRI"])
_NON_ASCII_VERBS = frozenset(("MAIL", "RCPT", "VRFY"))  # RFC 6531 s3.1
_TLS_HANDSHAKE = b"\x16\x03"


class Session(Commands):
    """One connection from greeting to close, any number of mail transactions.

    settings: replace it when they change. tls_offered: whether STARTTLS is announced. xclient: whether the client may
    speak for others. refuse: asked at each MAIL (DLV-02). client: its helo and tls are kept up to date. record: of the
    conversation, if one is wanted (DIAG-03).

    After `next`: violations and rejections are lists for the edge to empty into events.
    Content never raises. Buffered input is what was fed last plus at most one command line.
    """

    _handlers: Handlers = HANDLERS

    def feed(self, octets: bytes) -> None:
        """Take input."""
        self._input.feed(octets)

    def next(self) -> Effect | None:
        """Go on until something has to be done outside. None: more input or an answer is needed."""
        while True:
            mode = self._mode
            try:
                if mode is Mode.COMMANDS:
                    if self.commands >= self._turn_ends:
                        self._turn_ends = self.commands + TURN_LEN
                        self._goes_somewhere()
                        return Effect.TURN
                    if not self.commands:
                        self._no_handshake()
                    line = self._input.line()
                    if line is None:
                        return None
                    self.commands += 1
                    effect = self._run(line)
                elif mode is Mode.BODY:
                    transaction = self._transaction
                    assert transaction is not None and transaction.body is not None
                    if transaction.body.ended:
                        effect = self._end_body(transaction, transaction.body)
                    elif self._input.waiting:
                        effect = self._read_body(transaction.body)
                    else:
                        return None
                elif mode is Mode.SKIP:
                    if not self._skipped():
                        return None
                    effect = None
                elif mode is Mode.CLOSING:
                    self._mode = Mode.CLOSED
                    return Effect.CLOSE
                else:
                    return None
            except Refused as refused:
                self._refused(refused)
            else:
                if effect is not None:
                    return effect

    def received(self, smtp_id: str, time_ns: int) -> Received:
        """Trace and envelope of the message that begins. Only upon Effect.BEGIN."""
        assert self._transaction is not None
        return self._transaction.received(self.client, self._extended, smtp_id, time_ns)

    # --- answers ---------------------------------------------------------------------------------

    def answer_recipient(self, answer: Answer) -> None:
        self._mode = Mode.COMMANDS
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
        self._mode = Mode.BODY
        if isinstance(body, ChunkBody):
            if reply is not None:
                body.fail(reply)
        elif reply is None:
            self._say(Reply.GO_AHEAD.wire)
        else:
            self._mode = Mode.COMMANDS
            self._reject(reply)
            self._drop()

    def content_failed(self, reply: Reply) -> None:
        """Content could not be written: the rest of the message is read and not kept, then reply is said."""
        assert self._transaction is not None and self._transaction.body is not None
        self._transaction.body.fail(reply)

    def answer_commit(self, reply: Reply | Ending | None, smtp_id: str) -> None:
        """None: the message is durable."""
        self._mode = Mode.COMMANDS
        self._junk_count = 0
        self._fruitful = self.commands
        if reply is None:
            self._say(Reply.QUEUED.line(smtp_id))
        elif isinstance(reply, Ending):
            self._end_message(reply)
        else:
            self._reject(reply)
        self._transaction = None

    def answer_client(self, refusal: Reply | None) -> None:
        """None: the client that was named is served, and greeted."""
        self._mode = Mode.COMMANDS
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
        self._mode = Mode.COMMANDS

    # --- command lines ---------------------------------------------------------------------------

    def _no_handshake(self) -> None:
        """Raises Refused if the client speaks TLS unasked: what follows is no line."""
        if self._input.octets.startswith(_TLS_HANDSHAKE):
            self._line = self._input.octets
            if self._record is not None:
                self._record.client(self._line[:SHOWN_LEN])
            raise Refused(Reply.NOT_SMTP, closes=True)

    def _goes_somewhere(self) -> None:
        """Refusals, recipients and tiny chunks are in order, and yet no client needs so many. Raises Refused."""
        if self.commands - self._fruitful >= max(FRUITLESS_COMMANDS, 2 * self.settings.smtp.max_recipients):
            raise Refused(Reply.FRUITLESS, violation=False)

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
        if verb in LAST_IN_GROUP and self._input.waiting:
            self._violation(f"input behind {verb} before its reply")
        return effect

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
        self._mode = Mode.COMMANDS
        if self._record is not None:
            self._record.data_ended()
        refusal = body.verdict()
        if refusal is not None:
            denied = next(iter(transaction.conditions.values())) if refusal is Reply.RELAY_DENIED else ""
            self._reject(refusal, denied)
            self._drop()
            return Effect.ABORT if body.kept else None
        if body.last:
            self._mode = Mode.ANSWER
            return Effect.COMMIT
        assert isinstance(body, ChunkBody)
        if body.chunk_len >= FRUITFUL_CHUNK_LEN:
            self._fruitful += 1
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
        self._mode = Mode.COMMANDS
        if self._record is not None:
            self._record.data_ended()
        raise self._in_transaction().no_recipients()
