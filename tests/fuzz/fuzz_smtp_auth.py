"""The AUTH exchange under any client: bounded credentials or a refusal, and never mail before the right ones."""

from base64 import b64encode

from engine.config import Settings
from engine.limits import AUTH_FAILURES, PROTOCOL_ERRORS, SUBMITTER_NAME_LEN
from engine.passwords import PASSWORD_MAX_LEN
from engine.replies import Reply
from engine.smtp.auth import Credentials
from engine.smtp.command import is_text
from engine.smtp.effect import Effect
from engine.smtp.gate import ACCEPTED, ClientInfo
from engine.smtp.submission import SubmissionSession

GOOD = Credentials("anna", "horse")
WORDS = [
    b"EHLO c.example\r\n",
    b"AUTH PLAIN ",
    b"AUTH LOGIN\r\n",
    b"AUTH PLAIN\r\n",
    b64encode(b"\0anna\0horse") + b"\r\n",
    b64encode(b"\0anna\0cow") + b"\r\n",
    b64encode(b"anna") + b"\r\n",
    b64encode(b"horse") + b"\r\n",
    b64encode(b"n" * 256) + b"\r\n",
    b"*\r\n",
    b"=\r\n",
    b"\r\n",
    b"MAIL FROM:<a@c.example> AUTH=<>\r\n",
    b"RCPT TO:<b@far.example>\r\n",
    b"DATA\r\n",
    b"x\r\n.\r\n",
    b"XCLIENT ADDR=192.0.2.9\r\n",
    b"a" * 5000,
]
SEEDS = [
    bytes([0x80, 0xFF, 0x81, 0x84, 0x8C, 0x8D, 0x8E, 0xFF, 0x8F]),
    bytes([0x80, 0xFF, 0x82, 0x86, 0x87, 0x8C, 0x8D, 0x8E, 0xFF, 0x8F]),
    bytes([0x80, 0xFF, 0x83, 0x84, 0x8C, 0x90, 0xFF, 0x80, 0xFF, 0x8C]),
    bytes([0x80, 0xFF, 0x81, 0x85, 0x81, 0x85, 0x81, 0x85, 0x8C]),
    bytes([0x80, 0xFF, 0x82, 0x89, 0x82, 0x86, 0x89, 0x81, 0x8A]),
]


def _reads(data: bytes) -> list[bytes]:
    reads = [b""]
    for octet in data:
        if octet == 0xFF:
            reads.append(b"")
        else:
            reads[-1] += WORDS[(octet - 0x80) % len(WORDS)] if octet >= 0x80 else bytes((octet,))
    return reads


def one_input(data: bytes) -> None:
    client = ClientInfo("192.0.2.1", 25, "connection1", tls="TLSv1.3")
    session = SubmissionSession(client, Settings(), "gate.example", lambda: None, xclient=True)
    failures = violations = 0
    right = closed = False
    for read in _reads(data):
        session.feed(read)
        while not closed and (effect := session.next()) is not None:
            if effect is Effect.AUTH:
                name, password = session.credentials
                assert 0 < len(name.encode()) <= SUBMITTER_NAME_LEN and is_text(name)
                assert 0 < len(password.encode()) <= PASSWORD_MAX_LEN
                right = session.credentials == GOOD
                failures += not right
                session.answer_auth(None if right else Reply.BAD_CREDENTIALS)
            elif effect is Effect.SENDER:
                assert right and client.submitter == "anna"
            elif effect is Effect.RECIPIENT:
                session.answer_recipient(ACCEPTED)
            elif effect is Effect.BEGIN:
                assert session.received("ID", 0).protocol in ("ESMTPSA", "SMTPSA")
                session.answer_begin(None)
            elif effect is Effect.COMMIT:
                session.answer_commit(None, "ID")
            elif effect is Effect.CLIENT:
                right = False
                session.answer_client(None)
            elif effect is Effect.CLOSE:
                closed = True
        violations += len(session.violations)
        session.violations.clear()
        for line in session.take_replies().split(b"\r\n")[:-1]:
            assert line[:3].isdigit() and line.decode().isprintable()
    assert failures <= AUTH_FAILURES and violations <= PROTOCOL_ERRORS
