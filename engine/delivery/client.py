"""A client's side of SMTP or LMTP transactions, without I/O: octets of the next hop in, octets for it out.

    READY --begin()--> BUSY --(354, or recipients accepted for BDAT)--> CONTENT --content()--> BUSY --> READY

With PIPELINING (RFC 2920) the whole envelope goes out at once; with CHUNKING (RFC 3030) a small message goes with it.
When a transaction is over, `results` holds one reply for each recipient. How a session begins is dialogue.py's.

A host may refuse what it announced. `refused` has those extensions then, and `again` whom to try without them: in the
same session, or in another one if this is CLOSED, because nobody knows what it takes the content for.

By LMTP each recipient that was accepted has a reply of its own to the content, in order. Which they are is known when
the first one comes: the handler stays in `_pending` until all have theirs.

Known gap: BINARYMIME is not used.
"""

import re
from collections import deque
from collections.abc import Callable, Sequence

from cext.smtp_data import dot_stuff
from engine.config import TlsPolicy
from engine.delivery.dialogue import Dialogue, State
from engine.delivery.envelope import Envelope, is_utf8_path
from engine.delivery.reply import Reply, own_words
from engine.delivery.route import a_label
from engine.queue.record import Recipient

_NOT_UNDERSTOOD = (500, 501, 502, 503, 504)
_PARAMETERS_REFUSED = (501, 504, 555)  # RFC 5321 s4.1.1.11
_PARAMETER = re.compile(r"[!-~]{1,500}")  # an esmtp-value: graphic ASCII (RFC 5321 s4.1.2)
END_OF_DATA = b".\r\n"


class Session(Dialogue):
    """A Dialogue that carries mail, one transaction after the other."""

    def __init__(
        self,
        hostname: str,
        *,
        tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC,
        secure: bool = False,
        lmtp: bool = False,
    ) -> None:
        super().__init__(hostname, tls=tls, secure=secure, lmtp=lmtp)
        self.results: list[Reply] = []
        self.refused: frozenset[str] = frozenset()
        self.again: list[int] = []
        self.mail_answered = False  # until then a transaction may be tried again on another connection
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
        self._some_settled = False
        self._tail = b"\r\n"
        self._utf8 = False
        self._dsn_sent: set[int] = set()  # RCPTs
        self._in_mail: set[str] = set()  # extensions that have parameters there
        self.refused = frozenset()
        self.again = []

    @property
    def content_ended(self) -> bool:
        """Whether all of the content was sent: the server may have taken the message, whatever comes now."""
        return self._content_ended

    def _content(self, octets: bytes) -> None:
        self._out.append(octets)
        if self.record is not None:
            self.record.data(octets)

    def _wants_more(self, handler: Callable[[Reply], None]) -> bool:
        return handler == self._on_data

    def _broken_off(self, failure: Reply) -> None:
        self._settle(self._mail_failure or failure)

    def lacks(self, envelope: Envelope) -> Reply | None:
        """Why this host cannot take the message at all, or None. Another host of the next hop may."""
        if self._max_size and envelope.size > self._max_size:
            text = f"the next hop takes at most {self._max_size} octets, the message has {envelope.size}"
            return own_words("5.3.4", text)
        if not self._smtputf8 and (envelope.smtputf8 or self._has_utf8_path(envelope)):
            return own_words("5.6.7", "the next hop does not offer SMTPUTF8, which the message needs")
        if envelope.require_tls and not self._lmtp and "REQUIRETLS" not in self.capabilities:
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
        for index, recipient in enumerate(envelope.recipients):
            steps.append((self._on_rcpt, self._rcpt(index, recipient)))
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
            self._in_mail.add("SIZE")
        if self.takes_8bit and not envelope.seven_bit_declared:
            line += " BODY=8BITMIME"
            self._in_mail.add("8BITMIME")
        if self._utf8:
            line += " SMTPUTF8"
        if envelope.require_tls and "REQUIRETLS" in self.capabilities:
            line += " REQUIRETLS"
        if self.takes_dsn:
            wishes = _parameter("RET", envelope.ret) + _parameter("ENVID", envelope.envid)
            line += wishes
            if wishes:
                self._in_mail.add("DSN")
        return f"{line}\r\n".encode()

    def _rcpt(self, index: int, recipient: Recipient) -> bytes:
        line = f"RCPT TO:<{self._path(recipient.address)}>"
        if self.takes_dsn and (recipient.notify or recipient.orcpt):
            line += _parameter("NOTIFY", recipient.notify) + _parameter("ORCPT", recipient.orcpt)
            self._dsn_sent.add(index)
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
            if _is_about(reply, _PARAMETERS_REFUSED):  # what gets lost least first
                self._refuse(self._in_mail - {"8BITMIME"} or self._in_mail, range(len(self._replies)))
        if not self._pending:
            self._step()

    def _on_rcpt(self, reply: Reply) -> None:
        index = self._answered
        self._answered += 1
        if self._mail_failure is None and reply.positive:
            self._accepted += 1
        else:
            self._replies[index] = self._mail_failure or reply
            if self._mail_failure is None and not self._taken_up(index, reply):
                return
        if self._pending:
            return
        if self._steps or not self._pipelining:
            self._step()
        else:
            self._recipients_answered()

    def _taken_up(self, index: int, reply: Reply) -> bool:
        """A recipient was refused: maybe for its parameters, maybe because commands came together. Whether to go on."""
        if index in self._dsn_sent and _is_about(reply, _PARAMETERS_REFUSED):
            self._refuse({"DSN"}, [*self.again, index])
        elif reply.code == 503 and self._pipelining and _is_about(reply, _NOT_UNDERSTOOD):
            self._refuse({"PIPELINING"}, [*self.again, index])
            if not self._content_ended:  # else whoever is accepted gets it now, and must not get it twice
                self._give_up("PIPELINING", reply)
                return False
        return True

    def _refuse(self, keywords: set[str], again: Sequence[int]) -> None:
        self.refused |= keywords
        self.again = list(again) if keywords else []

    def _give_up(self, keyword: str, reply: Reply) -> None:
        """Recipients without a reply, and those to try again, are for another connection."""
        again = set(self.again)
        self._refuse({keyword}, [n for n, known in enumerate(self._replies) if known is None or n in again])
        self.close(own_words("4.5.0", f"the next hop announces {keyword}, but does not understand it: {reply}"))

    def _on_data(self, reply: Reply) -> None:
        if self._accepted and self._pipelining and _is_about(reply, _NOT_UNDERSTOOD):
            self._give_up("PIPELINING", reply)
        elif reply.code != 354:
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
            if _is_about(reply, _NOT_UNDERSTOOD):
                self._give_up("CHUNKING", reply)
                return
            self._content_reply = reply
        if self.state is State.CONTENT:
            self.state = State.BUSY  # RFC 3030 s2: no more chunks, then RSET
            self._content_ended = True
        if not self._pending:
            self._finish()

    def _on_last_chunk(self, reply: Reply) -> None:
        if reply.positive:
            self._needs_rset = False
        elif (
            self._accepted
            and self._content_reply is None
            and not self._some_settled  # by LMTP: it does understand, and the others may have it
            and _is_about(reply, _NOT_UNDERSTOOD)
        ):
            self._give_up("CHUNKING", reply)
            return
        if self._lmtp and self._more_follow(reply, self._on_last_chunk):
            return
        if self._content_reply is None:
            self._content_reply = reply
        self._finish()

    def _more_follow(self, reply: Reply, handler: Callable[[Reply], None]) -> bool:
        """RFC 2033 s4.2: a reply to the content is that of the next accepted recipient. Returns whether others wait."""
        self._some_settled = True
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
        if "PIPELINING" in self.refused and not self._accepted and self._content_reply is not None:
            self._give_up("PIPELINING", self._content_reply)  # it may take the content for commands
            return
        self._settle(self._mail_failure or self._content_reply or own_words("4.5.0", "no recipient was answered"))
        self.state = State.READY

    def _settle(self, rest: Reply) -> None:
        """Give each recipient its reply: its own, or that of the content, or what ended it all."""
        self.results = [reply or rest for reply in self._replies]


def _is_about(reply: Reply, codes: tuple[int, ...]) -> bool:
    """Whether a command was refused for its form (RFC 3463 s3.6), and not for what it says."""
    return reply.code in codes and reply.enhanced.startswith(("5.0.", "5.5."))


def _parameter(name: str, value: str) -> str:
    return f" {name}={value}" if _PARAMETER.fullmatch(value) else ""
