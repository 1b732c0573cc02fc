"""The SMTP session under any client: what it accepts is sound, what it buffers is bounded, and it says only its words.

Octets 0x80.. are opcodes for whole commands and odd ends, so that short inputs get far; 0xff ends a read.
"""

import ipaddress

from engine.config import Blocking, Characters, Settings, Size, Smtp
from engine.limits import COMMAND_LINE_LEN, PROTOCOL_ERRORS
from engine.relay_rule import Field
from engine.replies import Reply
from engine.smtp.address import check_mailbox, domain_of
from engine.smtp.effect import Effect
from engine.smtp.gate import ACCEPTED, Answer, ClientInfo
from engine.smtp.session import Session

WORDS = [
    b"EHLO c.example\r\n",
    b"HELO c\r\n",
    b"MAIL FROM:<a@c.example> SIZE=9\r\n",
    b"MAIL FROM:<",
    b"MAIL FROM:<> ",
    b"RCPT TO:<b@local.example>\r\n",
    b"RCPT TO:<x@local.example>\r\n",
    b"RCPT TO:<",
    b"> ",
    b"DATA\r\n",
    b"BDAT 9\r\n",
    b"BDAT 5 LAST\r\n",
    b"BDAT ",
    b"RSET\r\n",
    b"STARTTLS\r\n",
    b"NOOP\r\n",
    b"Received: x\r\n",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\r.\r",
    b".\r\n",
    b"\r\n",
    b"ORCPT=rfc822;",
    b"NOTIFY=",
    b"ENVID=",
    b"SMTPUTF8 ",
    b"a" * 5000,
    b"X-Tenant: t\r\n",
    b"RCPT TO:<grant@far.example>\r\n",
    b"%",
    b"XCLIENT ADDR=192.0.2.9 NAME=[UNAVAILABLE]\r\n",
    b"XCLIENT HELO=c.example PROTO=ESMTP ADDR=IPV6:2001:db8::1 PORT=",
]
SETTINGS = Settings(
    smtp=Smtp(max_recipients=3, max_hops=2),
    blocking=Blocking(size=Size(enabled=True, max_mb=1), characters=Characters(enabled=True)),
)
GRANTED = Answer(fields=(Field("x-tenant", "t"),))


DENIED = Answer(Reply.RELAY_DENIED)
SEEDS = [  # a granted recipient, with and without the field, and a character that is not accepted
    bytes([0x80, 0xFF, 0x82, 0x85, 0x9C, 0x89, 0xFF, 0x9B, 0x95, 0x94]),
    bytes([0x80, 0xFF, 0x82, 0x9C, 0x89, 0xFF, 0x95, 0x9B, 0x94]),
    bytes([0x80, 0xFF, 0x83, 0x9D]) + b"@b.c>\r\n",
    bytes([0x80, 0xFF, 0x9E, 0xFF, 0x80, 0xFF, 0x82, 0x85, 0x89, 0xFF, 0x95, 0x94]),
    bytes([0x9F]) + b"25 NAME=a+2Eb LOGIN=x+40y\r\n",
]


def _decide(address: str) -> Answer:
    if domain_of(address) != "far.example":
        return ACCEPTED
    return GRANTED if address.startswith("grant@") else DENIED


def _reads(data: bytes) -> list[bytes]:
    reads = [b""]
    for octet in data:
        if octet == 0xFF:
            reads.append(b"")
        else:
            reads[-1] += WORDS[(octet - 0x80) % len(WORDS)] if octet >= 0x80 else bytes((octet,))
    return reads


def one_input(data: bytes) -> None:
    client = ClientInfo("192.0.2.1", 25, "connection1")
    session = Session(client, SETTINGS, "gate.example", lambda: None, tls_offered=True, xclient=True)
    draft: list[bytes] | None = None
    violations = 0
    closed = granted = False
    for read in _reads(data):
        session.feed(read)
        while (effect := session.next()) is not None:
            if effect is Effect.RECIPIENT:
                address = session.recipient.address
                check_mailbox(address)
                session.answer_recipient(_decide(address))
            elif effect is Effect.BEGIN:
                assert draft is None
                draft = []
                received = session.received("ID", 0)
                assert 0 < len(received.recipients) <= 3
                assert not any(set("%!") & set(one.address) for one in received.recipients)
                assert not set("%!") & set(received.reverse_path)
                granted = any(one.address.startswith("grant@far") for one in received.recipients)
                assert all(text.isprintable() for text in (received.helo, received.envid, received.protocol))
                session.answer_begin(None)
            elif effect is Effect.CONTENT:
                assert draft is not None
                draft.append(session.content)
            elif effect is Effect.ABORT:
                draft = None
            elif effect is Effect.COMMIT:
                assert draft is not None
                content = b"".join(draft)
                assert b"\0" not in content
                assert content.count(b"\r") == content.count(b"\n") == content.count(b"\r\n")
                assert not granted or b"x-tenant: t\r\n" in content.partition(b"\r\n\r\n")[0].lower() + b"\r\n"
                draft = None
                session.answer_commit(None, "ID")
            elif effect is Effect.START_TLS:
                session.tls_started("TLSv1.3")
            elif effect is Effect.CLIENT:
                assert client.address == str(ipaddress.ip_address(client.address))
                assert all(text.isprintable() for text in (client.helo, *(client.names or ())))
                assert client.proxy == "192.0.2.1" and not client.tls_names
                session.answer_client(None)
            elif effect is Effect.CLOSE:
                closed = True
        violations += len(session.violations)
        assert all(words.isprintable() and len(words) < 500 for words in session.violations)
        session.violations.clear()
        for line in session.take_replies().split(b"\r\n")[:-1]:
            assert line[:3].isdigit() and line.decode().isprintable()
        assert len(session._input.octets) - session._input.offset <= len(read) + COMMAND_LINE_LEN
        if closed:
            break
    assert violations <= PROTOCOL_ERRORS
