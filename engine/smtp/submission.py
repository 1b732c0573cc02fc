"""The session of a submission listener (RFC 6409): mail only after AUTH (RFC 4954), and AUTH only over TLS (RFC 8314).

What a client says during an exchange is a secret: it is neither recorded nor shown (DIAG-12). The third failure ends
the session; how long a failure takes is the affair of who compares the passwords (submitters.py).
"""

from typing import Any, Final

from engine.diagnostics.masking import MASK
from engine.limits import AUTH_FAILURES, COMMAND_LINE_LEN
from engine.replies import Reply
from engine.smtp.auth import MECHANISMS, Credentials, Exchange
from engine.smtp.command import Refused
from engine.smtp.commands import HANDLERS
from engine.smtp.effect import Effect
from engine.smtp.session import Session

_KEYWORD: Final = " ".join(("AUTH", *MECHANISMS))


class SubmissionSession(Session):
    """As Session. credentials: to be compared upon Effect.AUTH."""

    takes_auth = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.credentials = Credentials("", "")
        self._exchange: Exchange | None = None
        self._failures = 0

    def answer_auth(self, refusal: Reply | None) -> None:
        """None: the client is who it says."""
        self.resume()
        name, self.credentials = self.credentials.name, Credentials("", "")
        if refusal is None:
            self.client.submitter = name
            self._say(Reply.AUTHENTICATED.wire)
            return
        self._reject(refusal)
        if refusal is Reply.BAD_CREDENTIALS:
            self._failures += 1
            if self._failures >= AUTH_FAILURES:
                self._reject(Reply.TOO_MANY_FAILURES)

    def tls_started(self, description: str, names: tuple[str, ...] = ()) -> None:
        super().tls_started(description, names)
        self.client.submitter = ""

    def _run(self, line: bytes) -> Effect | None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return super()._run(line)
        self._line = MASK
        if self._record is not None:
            self._record.note("a response to AUTH")
        if len(line) > COMMAND_LINE_LEN:
            raise Refused(Reply.LINE_TOO_LONG)
        exchange.respond(line)
        return self._go_on(exchange)

    def _go_on(self, exchange: Exchange) -> Effect | None:
        if exchange.credentials is None:
            self._exchange = exchange
            self._say(exchange.challenge)
            return None
        self.credentials = exchange.credentials
        self.wait()
        return Effect.AUTH

    def _keywords(self) -> list[str]:
        return [*super()._keywords(), _KEYWORD] if self.client.tls else super()._keywords()

    def _on_auth(self, argument: str) -> Effect | None:
        if not self.client.helo or not self._extended:
            raise Refused(Reply.SAY_HELLO)
        if not self.client.tls:
            raise Refused(Reply.ENCRYPTION_NEEDED)
        if self.client.submitter:
            raise Refused(Reply.LOGGED_ON)
        if self.in_transaction:
            raise Refused(Reply.BAD_SEQUENCE)
        return self._go_on(Exchange(argument))

    def _on_mail(self, argument: str) -> Effect | None:
        if not self.client.submitter and self.client.helo:
            self._drop()
            raise Refused(Reply.AUTH_NEEDED)
        return super()._on_mail(argument)

    def _on_xclient(self, argument: str) -> Effect:
        """Whoever is named has not logged on."""
        effect = super()._on_xclient(argument)
        self.client.submitter = ""
        return effect


SubmissionSession._handlers = {
    **HANDLERS,
    "AUTH": SubmissionSession._on_auth,
    "MAIL": SubmissionSession._on_mail,
    "XCLIENT": SubmissionSession._on_xclient,
}
