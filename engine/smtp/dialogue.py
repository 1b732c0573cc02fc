"""What every session has: its state, what it says, and how it counts what goes wrong (SMTP-14)."""

from collections.abc import Callable
from typing import Final

from engine.config import ErrorClass, Settings
from engine.diagnostics import errors
from engine.diagnostics.conversation import Conversation
from engine.diagnostics.masking import AuthMask
from engine.limits import JUNK_COMMANDS, PROTOCOL_ERRORS
from engine.queue.record import Recipient
from engine.replies import Ending, Reply
from engine.smtp.command import Refused
from engine.smtp.effect import Effect, Mode, Rejection
from engine.smtp.gate import ClientInfo
from engine.smtp.lines import Input
from engine.smtp.transaction import Transaction

TURN_LEN: Final = 200  # commands run without letting other connections have a turn
SHOWN_LEN: Final = 80  # octets of an offending line that the event shows


class Dialogue:
    """Of one connection. What the edge gives and asks for is told at Session, which this is a part of."""

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
        self._replies: list[bytes] = []
        self._input = Input()
        self._mode = Mode.COMMANDS
        self._line = b""
        self._skip_left = 0
        self._violation_count = 0
        self._fruitful = 0  # commands until the last message, that included
        self._junk_count = 0  # commands that lead to no message, since the last one
        self._messages = 0  # transactions begun
        self._turn_ends = TURN_LEN
        self._extended = False
        self._transaction: Transaction | None = None
        self._mail_refused = False  # what was pipelined behind it is out of order, yet no violation

    # --- for the edge ----------------------------------------------------------------------------

    @property
    def in_body(self) -> bool:
        """Whether the octets of a message are being waited for."""
        return self._mode is Mode.BODY or self._mode is Mode.SKIP

    @property
    def busy(self) -> bool:
        """Whether an effect waits for its answer."""
        return self._mode is Mode.ANSWER

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

    def take_replies(self) -> bytes:
        """What is to be sent now, possibly nothing."""
        replies = self._replies
        if not replies:
            return b""
        wire = replies[0] if len(replies) == 1 else b"".join(replies)
        replies.clear()
        return wire

    def close(self, reply: Reply) -> None:
        """The edge ends the session (timeout, stop): reply is said, input is not read any more."""
        self._reject(reply)
        self._mode = Mode.CLOSED

    def wait(self) -> None:
        """Take no input until `resume`."""
        self._mode = Mode.ANSWER

    def resume(self) -> None:
        self._mode = Mode.COMMANDS

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
            self._mode = Mode.CLOSING

    def _end_message(self, ending: Ending) -> None:
        """A message was taken or refused while its client waited for that. Who did so has told the journal."""
        self._say(ending.wire)
        if ending.reply.reason is not None and self._record is not None:
            self._record.error(errors.of_ours(ending.reply))

    def _refused(self, refused: Refused) -> None:
        reply = refused.reply
        if refused.violation:
            self._say(reply.wire)
            line = ascii(self._mask.line(self._line)[:SHOWN_LEN])[2:-1]  # DIAG-12
            self._violation(f"{reply.code} {reply.text}: {line}", errors.of_ours(reply))
        else:
            self._reject(reply)
        if refused.closes:
            self._mode = Mode.CLOSING

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
        if self._violation_count >= PROTOCOL_ERRORS and self._mode is not Mode.CLOSING:
            self._reject(Reply.TOO_MANY_ERRORS)

    def _leads_nowhere(self) -> None:
        """A command that no message comes of: a few are in order, and a client that goes on with them wants no mail."""
        self._junk_count += 1
        if self._junk_count > JUNK_COMMANDS:
            self._violation(f"more than {JUNK_COMMANDS} commands without a message")
