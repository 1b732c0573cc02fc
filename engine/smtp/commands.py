"""What each command does (RFC 5321 s4.1.1): a handler takes the argument, says the reply or raises Refused, and returns
what has to be done outside."""

from collections.abc import Callable
from typing import Any, Final

from engine.replies import Reply, ehlo_lines
from engine.smtp import xclient
from engine.smtp.address import has_character
from engine.smtp.body import ChunkBody
from engine.smtp.command import Refused, parse_bdat, parse_helo, parse_mail, parse_rcpt
from engine.smtp.dialogue import Dialogue
from engine.smtp.effect import Effect, Mode
from engine.smtp.transaction import Transaction, limits_keyword, size_limit


class Commands(Dialogue):
    """The handlers."""

    def _hello(self, argument: str, extended: bool) -> Effect | None:
        self.client.helo = parse_helo(argument)
        self._extended = extended
        if extended:
            self._say(ehlo_lines(self._hostname, self._keywords()))
        else:
            self._say(Reply.HELO.line(self._hostname))
        self._leads_nowhere()
        return self._abandon()

    def _keywords(self) -> list[str]:
        keywords = ["PIPELINING", f"SIZE {size_limit(self.settings)}", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        keywords += ["CHUNKING", "DSN", limits_keyword(self.settings)]
        if self.tls_offered and not self.client.tls:
            keywords.append("STARTTLS")
        if self.client.tls:
            keywords.append("REQUIRETLS")
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
            raise Refused(Reply.NESTED_MAIL)
        self._drop()
        most = self.settings.smtp.max_messages_per_connection
        if most and self._messages >= most:
            raise Refused(Reply.ENOUGH_MESSAGES, violation=False)
        refusal = self._refuse()
        if refusal is not None:
            raise Refused(refusal, violation=False)
        mail = parse_mail(argument, self._extended, self.takes_auth, bool(self.client.tls))
        self._transaction = Transaction(mail)
        if self._forbidden(mail.reverse_path):
            reply = Reply.BAD_SENDER_CHARACTERS
        elif mail.size > size_limit(self.settings):
            reply = Reply.TOO_BIG
        else:
            self._mail_refused = False
            self._messages += 1
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
        self._mode = Mode.ANSWER
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
        self._mode = Mode.ANSWER
        return Effect.BEGIN

    def _on_bdat(self, argument: str) -> Effect | None:
        length, last = parse_bdat(argument)
        transaction = self._transaction
        if transaction is None or not transaction.recipients:
            self._skip_left = length
            self._mode = Mode.SKIP
            return None
        if isinstance(transaction.body, ChunkBody):
            transaction.body.chunk(length, last)
            self._mode = Mode.BODY
            return None
        transaction.begin_chunks(self.settings).chunk(length, last)
        self._mode = Mode.ANSWER
        return Effect.BEGIN

    def _on_rset(self, argument: str) -> Effect | None:
        if argument:
            raise Refused(Reply.SYNTAX)
        self._say(Reply.OK.wire)
        self._leads_nowhere()
        return self._abandon()

    def _on_noop(self, _argument: str) -> None:
        self._say(Reply.OK.wire)
        self._leads_nowhere()

    def _on_vrfy(self, argument: str) -> None:
        if not argument:
            raise Refused(Reply.SYNTAX)
        self._say(Reply.CANNOT_VERIFY.wire)  # whoever it is: nothing about users is told (RFC 5321 s7.3)
        self._leads_nowhere()

    def _on_help(self, _argument: str) -> None:
        self._say(Reply.HELP.wire)
        self._leads_nowhere()

    def _on_quit(self, argument: str) -> None:
        if argument:
            raise Refused(Reply.SYNTAX)
        self._say(Reply.BYE.wire)
        if self._input.waiting:
            self._violation("input behind QUIT")
        self._mode = Mode.CLOSING

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
        self._mode = Mode.ANSWER
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
        self._mode = Mode.ANSWER
        return Effect.CLIENT

    def _on_unsupported(self, _argument: str) -> None:
        raise Refused(Reply.UNSUPPORTED)

    def _forbidden(self, address: str) -> bool:
        """CHAR-01, CHAR-04: whoever the client is."""
        characters = self.settings.blocking.characters
        return characters.enabled and has_character(address, characters.characters)


Handlers = dict[str, Callable[[Any, str], Effect | None]]  # by verb; of the session that has them

HANDLERS: Final[Handlers] = {
    "EHLO": Commands._ehlo,
    "HELO": Commands._helo,
    "MAIL": Commands._on_mail,
    "RCPT": Commands._on_rcpt,
    "DATA": Commands._on_data,
    "BDAT": Commands._on_bdat,
    "RSET": Commands._on_rset,
    "NOOP": Commands._on_noop,
    "VRFY": Commands._on_vrfy,
    "HELP": Commands._on_help,
    "QUIT": Commands._on_quit,
    "STARTTLS": Commands._on_starttls,
    "XCLIENT": Commands._on_xclient,
    # RFC 5321 s3.8 and App. F.1, RFC 1985, RFC 4954: known, and not served (SMTP-13)
    **dict.fromkeys(["EXPN", "TURN", "ETRN", "ATRN", "SEND", "SOML", "SAML", "AUTH"], Commands._on_unsupported),
}
LAST_IN_GROUP: Final = frozenset(["EHLO", "HELO", "VRFY", "HELP"])
