"""Fuzz target: the SMTP client session, fed with whatever a next hop may say."""

from engine import limits
from engine.config import TlsPolicy
from engine.delivery.client import Session
from engine.delivery.dialogue import State
from engine.delivery.envelope import Envelope
from engine.queue.record import Recipient

BODY = b"Subject: x\r\n\r\n.line\r\n"


def one_input(data: bytes) -> None:
    """First octet: how data is cut and which content is sent; the rest is what comes in."""
    if not data:
        return
    size = 1 + data[0] % 31
    whole = BODY if data[0] & 0x20 else None
    envelope = Envelope(
        "from@example.org",
        [Recipient("a@example.com", notify="FAILURE"), Recipient("b@example.com")],
        len(BODY),
    )
    policy = TlsPolicy.VERIFIED if data[0] & 0x40 else TlsPolicy.OPPORTUNISTIC
    session = Session("gw.example.net", tls=policy if data[0] & 0x80 else TlsPolicy.NONE, lmtp=data[0] % 31 % 2 == 1)
    transactions = 0
    for start in range(1, len(data), size):
        session.receive(data[start : start + size])
        if session.state is State.TLS:
            session.tls_started()
        if session.state is State.READY and session.lacks(envelope) is None:
            if transactions:
                assert len(session.results) == len(envelope.recipients)
            session.begin(envelope, whole)
            transactions += 1
        if session.state is State.CONTENT:
            session.content(BODY, True)
        out = session.output()
        assert len(out) <= limits.REPLY_LEN
        assert session.last_reply is None or len(session.last_reply.text) <= limits.REPLY_TEXT_LEN
    if session.state is State.CLOSED:
        assert session.failure is not None
        assert transactions == 0 or len(session.results) == len(envelope.recipients)
