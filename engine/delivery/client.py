"""An SMTP or LMTP client session without I/O (RFC 5321, RFC 2033): octets of the next hop in, octets for it out.

    OPENING --(STARTTLS)--> TLS --tls_started()--> OPENING --> READY
    READY --begin()--> BUSY --(354, or recipients accepted for BDAT)--> CONTENT --content()--> BUSY --> READY
    any state --> CLOSED: `failure` says why

Each command that was sent has its handler in `_pending`, in order; each reply goes to the first one. With
PIPELINING (RFC 2920) the whole envelope goes out at once; with CHUNKING (RFC 3030) a small message goes with it.
When a transaction is over, `results` holds one reply for each recipient. Nothing is ever raised on what comes in.

By LMTP each recipient that was accepted has a reply of its own to the content, in order. Which they are is known when
the first one comes: the handler stays in `_pending` until all have theirs.

Known gap: BINARYMIME is not used.
"""

import re
from collections import deque
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from cext.smtp_data import dot_stuff
from engine.config import TlsPolicy
from engine.delivery.reply import Reply, ReplyError, ReplyParser, own_words
from engine.delivery.route import a_label
from engine.diagnostics import errors
from engine.diagnostics.conversation import Conversation
from engine.queue.record import Recipient

_UNSAFE = re.compile(r"[\x00-\x1f\x7f]")
_PARAMETER = re.compile(r"[!-~]{1,500}")  # an esmtp-value: graphic ASCII (RFC 5321 s4.1.2)
END_OF_DATA = b".\r\n"


class State(StrEnum):
    OPENING = "opening"
    TLS = "tls"  # the handshake is the edge's: call tls_started after it
    READY = "ready"
    BUSY = "busy"
    CONTENT = "content"  # content() is to be called with the pieces of the message
    CLOSED = "closed"


class Envelope(msgspec.Struct):
    """What one transaction carries. size: octets of the content.

    smtputf8: the content needs SMTPUTF8. require_tls: it must not go without TLS (RFC 8689). For a host that does not
    `takes_8bit`, it is in 7 bits.
    """

    reverse_path: str
    recipients: Sequence[Recipient]
    size: int
    smtputf8: bool = False
    require_tls: bool = False
    seven_bit_declared: bool = False
    ret: str = ""
    envid: str = ""


def is_utf8_path(path: str) -> bool:
    """Whether a path needs SMTPUTF8: its local part is not ASCII (a domain can go as A-labels)."""
    return not path.isascii() and not path.rpartition("@")[0].isascii()


def is_unsafe_path(path: str) -> bool:
    """Whether a path could end its command line and start another."""
    return _UNSAFE.search(path) is not None


class Session:
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
        self.results: list[Reply] = []
        self.capabilities: dict[str, str] = {}
        self.last_command = ""
        self.last_reply: Reply | None = None
        self.mail_answered = False  # until then a transaction may be tried again on another connection
        self._hostname = a_label(hostname)
        self._starttls = tls is not TlsPolicy.NONE and not secure
        self._insecure = tls in (TlsPolicy.REQUIRED, TlsPolicy.VERIFIED) and not secure  # nothing may be sent yet
        self._lmtp = lmtp
        self._parser = ReplyParser()
        self._pending: deque[Callable[[Reply], None]] = deque([self._on_greeting])
        self._out: list[bytes] = []
        self._needs_rset = False
        self._reset_transaction()

    def _reset_transaction(self) -> None:
        self._replies: list[Reply | None] = []
        self._accepted = 0
        self._answered = 0  # RCPTs
        self._mail_failure: Reply | None = None
        self._steps: deque[tuple[Callable[[Reply], None], bytes]] = deque()
        self._body: bytes | None = None
        self._chunking = False
        self._content_reply: Reply | None = None
        self._content_ended = False
        self._tail = b"\r\n"
        self._utf8 = False

    @property
    def closed(self) -> bool:
        return self.state is State.CLOSED

    @property
    def content_ended(self) -> bool:
        """Whether all of the content was sent: the server may have taken the message, whatever comes now."""
        return self._content_ended

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
            if reply.code == 421 or not self._pending:
                self.close(reply if reply.code >= 400 else own_words("4.5.0", f"a reply to nothing: {reply}"))
                return
            self._pending.popleft()(reply)
            if self.failure is not None:
                return
        # Octets behind the reply to STARTTLS were sent in the clear, maybe by somebody in between.
        if self.state is State.TLS and (replies[-1] is not self.last_reply or self._parser.rest):
            self.close(own_words("4.7.0", "octets in the clear after STARTTLS"))

    def close(self, failure: Reply) -> None:
        """The connection is lost or of no use any more. Recipients without a reply get this one."""
        if self.state is State.CLOSED:
            return
        if self.state in (State.BUSY, State.CONTENT):
            self._settle(self._mail_failure or failure)
        if self.record is not None and not failure.code:
            self.record.error(errors.of_failure(failure.enhanced), failure.text)
        self.failure = failure
        self.state = State.CLOSED
        self._pending.clear()
        self._out.clear()

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

    def _content(self, octets: bytes) -> None:
        self._out.append(octets)
        if self.record is not None:
            self.record.data(octets)

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
            keyword, _, parameters = line.strip().replace("=", " ", 1).partition(" ")
            self.capabilities[keyword.upper()] = parameters.upper()
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
        else:
            self._opened()  # opportunistic (DLV-06): it goes on in the clear

    def _opened(self) -> None:
        if self._insecure:
            self.close(own_words("4.7.4", "the next hop has to offer TLS, but does not offer STARTTLS"))
            return
        capabilities = self.capabilities
        self._pipelining = "PIPELINING" in capabilities
        self._bdat = "CHUNKING" in capabilities
        self._size = "SIZE" in capabilities
        self._max_size = int(capabilities.get("SIZE") or 0) if capabilities.get("SIZE", "").isdigit() else 0
        self._smtputf8 = "SMTPUTF8" in capabilities
        self.state = State.READY

    # --- transaction --------------------------------------------------------------------------------

    def lacks(self, envelope: Envelope) -> Reply | None:
        """Why this host cannot take the message at all, or None. Another host of the next hop may."""
        if self._max_size and envelope.size > self._max_size:
            text = f"the next hop takes at most {self._max_size} octets, the message has {envelope.size}"
            return own_words("5.3.4", text)
        if not self._smtputf8 and (envelope.smtputf8 or self._has_utf8_path(envelope)):
            return own_words("5.6.7", "the next hop does not offer SMTPUTF8, which the message needs")
        if envelope.require_tls and "REQUIRETLS" not in self.capabilities:
            text = "the sender requires TLS all the way (REQUIRETLS), which the next hop does not offer"
            return own_words("5.7.30", text)
        return None

    @staticmethod
    def _has_utf8_path(envelope: Envelope) -> bool:
        if is_utf8_path(envelope.reverse_path):
            return True
        return any(is_utf8_path(recipient.address) for recipient in envelope.recipients)

    def begin(self, envelope: Envelope, body: bytes | None) -> None:
        """Start a transaction: state READY, `lacks` was None, no path `is_unsafe_path`.

        A session that was CLOSED meanwhile gives its failure as the result.

        body: the content, to be sent with or directly after the envelope; None: it is to be given by `content`
        once the state is CONTENT.
        """
        self._reset_transaction()
        self.mail_answered = False
        if self.closed:  # lost between two tasks
            failure = self.failure or own_words("4.4.2", "the connection is closed")
            self.results = [failure] * len(envelope.recipients)
            return
        self.state = State.BUSY
        self._body = body
        # How many replies a chunk that failed has by LMTP is read in more than one way: there is one chunk or none.
        self._chunking = self._bdat and (body is not None or not self._lmtp)
        self._utf8 = self._smtputf8 and (envelope.smtputf8 or self._has_utf8_path(envelope))
        self._replies = [None] * len(envelope.recipients)
        steps = self._steps
        if self._needs_rset:
            steps.append((self._on_rset, b"RSET\r\n"))
            self._needs_rset = False
        steps.append((self._on_mail, self._mail(envelope)))
        for recipient in envelope.recipients:
            steps.append((self._on_rcpt, self._rcpt(recipient)))
        if not self._pipelining:
            self._step()
            return
        if not self._chunking:
            steps.append((self._on_data, b"DATA\r\n"))
            self.last_command = "DATA"
        elif body is not None:
            steps.append((self._on_last_chunk, b"BDAT %d LAST\r\n" % len(body)))
            self._content_ended = True
            self.last_command = "BDAT"
        else:
            self.last_command = "RCPT"
        self._pending.extend([handler for handler, _ in steps])
        for _, octets in steps:
            self._command(octets)
        steps.clear()
        if self._content_ended and body is not None:
            self._content(body)
            self._data_ended()

    def content(self, piece: bytes, last: bool) -> None:
        """The next piece of the content, in state CONTENT; after the last one the state is BUSY again.

        A transaction that has failed meanwhile leaves CONTENT by itself: look at the state before each piece.
        """
        if self._chunking:
            self._command((b"BDAT %d LAST\r\n" if last else b"BDAT %d\r\n") % len(piece))
            self._content(piece)
            self._data_ended()
            self._pending.append(self._on_last_chunk if last else self._on_chunk)
            self.last_command = "BDAT"
            self._content_ended = last
        else:
            self._content(dot_stuff(piece, self._tail.endswith(b"\n")))
            self._tail = (self._tail + piece[-2:])[-2:]
            if last:
                self._end_data()
        if last:
            self.state = State.BUSY

    def _end_data(self) -> None:
        self._content(END_OF_DATA if self._tail == b"\r\n" else b"\r\n" + END_OF_DATA)
        self._data_ended()
        self._pending.append(self._on_content)
        self._content_ended = True

    def _data_ended(self) -> None:
        if self.record is not None:
            self.record.data_ended()

    def _mail(self, envelope: Envelope) -> bytes:
        line = f"MAIL FROM:<{self._path(envelope.reverse_path)}>"
        if self._size:
            line += f" SIZE={envelope.size}"
        if self.takes_8bit and not envelope.seven_bit_declared:
            line += " BODY=8BITMIME"
        if self._utf8:
            line += " SMTPUTF8"
        if envelope.require_tls:
            line += " REQUIRETLS"
        if self.takes_dsn:
            line += _parameter("RET", envelope.ret) + _parameter("ENVID", envelope.envid)
        return f"{line}\r\n".encode()

    def _rcpt(self, recipient: Recipient) -> bytes:
        line = f"RCPT TO:<{self._path(recipient.address)}>"
        if self.takes_dsn and (recipient.notify or recipient.orcpt):
            line += _parameter("NOTIFY", recipient.notify) + _parameter("ORCPT", recipient.orcpt)
        return f"{line}\r\n".encode()

    def _path(self, path: str) -> str:
        if path.isascii() or self._utf8:
            return path
        local, _, domain = path.rpartition("@")
        return f"{local}@{a_label(domain)}"

    def _step(self) -> None:
        """Without PIPELINING: the next command, when the one before was answered."""
        if self._steps and not (self._mail_failure and self._steps[0][0] == self._on_rcpt):
            handler, octets = self._steps.popleft()
            self._send(octets[:4].decode("ascii").strip(), octets, handler)
            return
        self._steps.clear()
        if not self._accepted:
            self._finish()
        elif not self._chunking:
            self._send("DATA", b"DATA\r\n", self._on_data)
        else:
            self._recipients_answered()

    def _recipients_answered(self) -> None:
        """Content by BDAT goes out when it is known that somebody takes it."""
        if not self._accepted:
            self._finish()
            return
        self.state = State.CONTENT
        if self._body is not None:
            self.content(self._body, True)

    def _on_rset(self, reply: Reply) -> None:
        if not reply.positive:
            self.close(own_words("4.5.0", f"RSET refused: {reply}"))
        elif not self._pending:
            self._step()

    def _on_mail(self, reply: Reply) -> None:
        self.mail_answered = True
        if reply.positive:
            self._needs_rset = True  # until the transaction ends by itself
        else:
            self._mail_failure = reply
        if not self._pending:
            self._step()

    def _on_rcpt(self, reply: Reply) -> None:
        index = self._answered
        self._answered += 1
        if self._mail_failure is None and reply.positive:
            self._accepted += 1
        else:
            self._replies[index] = self._mail_failure or reply
        if self._pending:
            return
        if self._steps or not self._pipelining:
            self._step()
        else:
            self._recipients_answered()

    def _on_data(self, reply: Reply) -> None:
        if reply.code != 354:
            self._content_reply = reply
            self._finish()
        elif not self._accepted:  # RFC 2920 s3.1: nothing but the end of data may follow now
            if self._lmtp:  # RFC 2033 s4.2: 354 for nobody is an error, and no reply would follow
                self.close(own_words("4.5.0", "the next hop wants content for nobody"))
            else:
                self._end_data()
        else:
            self.last_command = "content"
            self.state = State.CONTENT
            if self._body is not None:
                self.content(self._body, True)

    def _on_content(self, reply: Reply) -> None:
        self._needs_rset = False  # whatever it said, the buffers are cleared (RFC 5321 s4.1.1.4)
        if self._lmtp and self._more_follow(reply, self._on_content):
            return
        self._content_reply = reply
        self._finish()

    def _on_chunk(self, reply: Reply) -> None:
        if reply.positive:
            return
        if self._content_reply is None:
            self._content_reply = reply
        if self.state is State.CONTENT:
            self.state = State.BUSY  # RFC 3030 s2: no more chunks, then RSET
            self._content_ended = True
        if not self._pending:
            self._finish()

    def _on_last_chunk(self, reply: Reply) -> None:
        if reply.positive:
            self._needs_rset = False
        if self._lmtp and self._more_follow(reply, self._on_last_chunk):
            return
        if self._content_reply is None:
            self._content_reply = reply
        self._finish()

    def _more_follow(self, reply: Reply, handler: Callable[[Reply], None]) -> bool:
        """RFC 2033 s4.2: a reply to the content is that of the next accepted recipient. Returns whether others wait."""
        waiting = [index for index, known in enumerate(self._replies) if known is None]
        if waiting:
            self._replies[waiting[0]] = reply
        if len(waiting) < 2:
            return False
        self._pending.appendleft(handler)
        return True

    def _finish(self) -> None:
        if self._pending:
            return
        self._settle(self._mail_failure or self._content_reply or own_words("4.5.0", "no recipient was answered"))
        self.state = State.READY

    def _settle(self, rest: Reply) -> None:
        """Give each recipient its reply: its own, or that of the content, or what ended it all."""
        self.results = [reply or rest for reply in self._replies]


def _parameter(name: str, value: str) -> str:
    return f" {name}={value}" if _PARAMETER.fullmatch(value) else ""
