"""A client's side of an SMTP or LMTP session until it is ready for mail, without I/O (RFC 5321, RFC 2033, RFC 3207).

    OPENING --(STARTTLS)--> TLS --tls_started()--> OPENING --> READY
    any state --> CLOSED: `failure` says why

Each command that was sent has its handler in `_pending`, in order; each reply goes to the first one. Transactions are
client.py's. Nothing is ever raised on what comes in.
"""

import re
from collections import deque
from collections.abc import Callable
from enum import StrEnum

from engine.config import TlsPolicy
from engine.delivery.reply import Reply, ReplyError, ReplyParser, own_words
from engine.delivery.route import a_label
from engine.diagnostics import errors
from engine.diagnostics.conversation import Conversation

_NUMBER = re.compile(r"[0-9]{1,18}")


class State(StrEnum):
    OPENING = "opening"
    TLS = "tls"  # the handshake is the edge's: call tls_started after it
    READY = "ready"
    BUSY = "busy"
    CONTENT = "content"  # content() is to be called with the pieces of the message
    CLOSED = "closed"


class Dialogue:
    """One connection's session. hostname: what we say in EHLO. tls: what the host has to offer; that its certificate is
    looked at is the edge's. secure: TLS has begun already.

    record: of the conversation, if one is wanted (DIAG-03); each attempt to deliver has one of its own.
    """

    def __init__(
        self,
        hostname: str,
        *,
        tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC,
        secure: bool = False,
        lmtp: bool = False,
    ) -> None:
        self.state = State.OPENING
        self.record: Conversation | None = None
        self.failure: Reply | None = None
        self.capabilities: dict[str, str] = {}
        self.last_command = ""
        self.last_reply: Reply | None = None
        self._hostname = a_label(hostname)
        self._starttls = tls is not TlsPolicy.NONE and not secure
        self._insecure = tls in (TlsPolicy.REQUIRED, TlsPolicy.VERIFIED) and not secure  # nothing may be sent yet
        self._lmtp = lmtp
        self._limits: dict[str, str] = {}
        self._parser = ReplyParser()
        self._pending: deque[Callable[[Reply], None]] = deque([self._on_greeting])
        self._out: list[bytes] = []

    @property
    def closed(self) -> bool:
        return self.state is State.CLOSED

    @property
    def takes_dsn(self) -> bool:
        """Whether the host takes over what the sender wants to be told (RFC 3461); known from READY on."""
        return "DSN" in self.capabilities

    @property
    def takes_8bit(self) -> bool:
        """Whether content may have octets above 127 (RFC 6152); known from READY on."""
        return "8BITMIME" in self.capabilities

    # --- octets -------------------------------------------------------------------------------------

    def output(self) -> bytes:
        """What is to be written now; may be empty."""
        out = self._out
        if not out:
            return b""
        octets = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return octets

    def receive(self, data: bytes) -> None:
        """Octets of the next hop, cut anywhere. Look at `state` and `output` after it."""
        if self.closed:
            return
        if self.record is not None:
            self.record.server(data)
        try:
            replies = self._parser.feed(data)
        except ReplyError as error:
            self.close(own_words("4.5.0", f"protocol error of the next hop: {error}"))
            return
        for reply in replies:
            if self.state is State.TLS:
                break
            self.last_reply = reply
            if self.record is not None and reply.code >= 400:
                self.record.error(errors.of_reply(reply.code, reply.enhanced))
            if reply.code == 421:
                self.close(reply)
                return
            if not self._pending:  # also a refusal for good: of what, nobody can tell
                self.close(own_words("4.5.0", f"a reply to nothing: {reply}"))
                return
            handler = self._pending.popleft()
            if reply.code < 400 and (reply.code >= 300) is not self._wants_more(handler):
                self.close(own_words("4.5.0", f"replies of the next hop are out of step: {reply}"))
                return
            handler(reply)
            if self.failure is not None:
                return
        # Octets behind the reply to STARTTLS were sent in the clear, maybe by somebody in between.
        if self.state is State.TLS and (not replies or replies[-1] is not self.last_reply or self._parser.rest):
            self.close(own_words("4.7.0", "octets in the clear after STARTTLS"))

    def close(self, failure: Reply) -> None:
        """The connection is lost or of no use any more. Recipients without a reply get this one."""
        if self.state is State.CLOSED:
            return
        if self.state in (State.BUSY, State.CONTENT):
            self._broken_off(failure)
        if self.record is not None and not failure.code:
            self.record.error(errors.of_failure(failure.enhanced), failure.text)
        self.failure = failure
        self.state = State.CLOSED
        self._pending.clear()
        self._out.clear()

    def _wants_more(self, handler: Callable[[Reply], None]) -> bool:
        """Whether the good reply for this handler is one that asks for content (3xx)."""
        return False

    def _broken_off(self, failure: Reply) -> None:
        """A transaction was under way."""

    def quit(self) -> None:
        """Say goodbye; the session is CLOSED after it."""
        if self.state is State.READY:
            self._command(b"QUIT\r\n")
            self.last_command = "QUIT"
            self.state = State.CLOSED

    # --- opening ------------------------------------------------------------------------------------

    def tls_started(self) -> None:
        """The handshake is done: what was learned before is void (RFC 3207 s4.2)."""
        self._starttls = self._insecure = False
        self.state = State.OPENING
        self._say_ehlo()

    def _say_ehlo(self) -> None:
        verb = "LHLO" if self._lmtp else "EHLO"
        self._send(verb, f"{verb} {self._hostname}\r\n".encode("ascii", "replace"), self._on_ehlo)

    def _send(self, name: str, octets: bytes, handler: Callable[[Reply], None]) -> None:
        self.last_command = name
        self._command(octets)
        self._pending.append(handler)

    def _command(self, line: bytes) -> None:
        self._out.append(line)
        if self.record is not None:
            self.record.client(line)

    def _on_greeting(self, reply: Reply) -> None:
        if reply.code == 220:
            self._say_ehlo()
        elif reply.code == 521:
            self.close(reply)  # RFC 7504: never takes mail
        else:
            self.close(own_words("4.3.2", f"greeting refused: {reply}"))

    def _on_ehlo(self, reply: Reply) -> None:
        if not reply.positive:
            self.capabilities = {}
            if self._lmtp:
                self.close(own_words("4.5.0", f"LHLO refused: {reply}"))
                return
            self._send("HELO", f"HELO {self._hostname}\r\n".encode("ascii", "replace"), self._on_helo)
            return
        self.capabilities = {}
        for line in reply.lines[1:]:
            keyword, *parameters = re.split("[ =]", line.strip(), maxsplit=1)  # `AUTH=` is an old habit
            self.capabilities[keyword.upper()] = "".join(parameters).upper()
        if self._starttls and "STARTTLS" in self.capabilities:
            self._send("STARTTLS", b"STARTTLS\r\n", self._on_starttls)
        else:
            self._opened()

    def _on_helo(self, reply: Reply) -> None:
        if reply.positive:
            self._opened()
        else:
            self.close(own_words("4.5.0", f"EHLO and HELO refused: {reply}"))

    def _on_starttls(self, reply: Reply) -> None:
        if reply.code == 220:
            self.state = State.TLS
        elif self._insecure:
            self.close(own_words("4.7.4", f"the next hop has to offer TLS, but refused STARTTLS: {reply}"))
        else:  # opportunistic (DLV-06): in the clear on another connection, since some end this one
            self.close(own_words("4.7.4", f"the next hop offers TLS, but refused STARTTLS: {reply}"))

    def _opened(self) -> None:
        if self._insecure:
            self.close(own_words("4.7.4", "the next hop has to offer TLS, but does not offer STARTTLS"))
            return
        self._learn()
        self.state = State.READY

    def do_without(self, keywords: frozenset[str]) -> None:
        """Extensions that the host announces and does not honour: in READY, and from then on, they are not offered."""
        if not keywords.isdisjoint(self.capabilities):
            self.capabilities = {name: value for name, value in self.capabilities.items() if name not in keywords}
            self._learn()

    def _learn(self) -> None:
        capabilities = self.capabilities
        self._pipelining = "PIPELINING" in capabilities
        self._bdat = "CHUNKING" in capabilities
        self._size = "SIZE" in capabilities
        self._max_size = _number(capabilities.get("SIZE", ""))
        self._smtputf8 = "SMTPUTF8" in capabilities
        self._limits = dict(one.partition("=")[::2] for one in capabilities.get("LIMITS", "").split())

    def limit(self, name: str) -> int:
        """How many the host takes, by LIMITS (RFC 9422 s4): MAILMAX, RCPTMAX, RCPTDOMAINMAX. 0: it does not say."""
        return _number(self._limits.get(name, ""))


def _number(text: str) -> int:
    return int(text) if _NUMBER.fullmatch(text) else 0
