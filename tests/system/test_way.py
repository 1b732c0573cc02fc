"""One message's way through real processes: accepted, examined, cleaned, delivered, accounted for."""

import base64
import re
import smtplib
import socket
import ssl

import pytest

from control.samples import EICAR
from tests.system.harness import Gateway, Mailbox

CLEAN = b"From: a@example.net\r\nTo: user@example.com\r\nSubject: hello\r\n\r\nA line.\r\n.dot\r\n..\r\n"


def with_attachment(content: bytes, name: str = "eicar.com") -> bytes:
    return (
        b"From: a@example.net\r\nSubject: attached\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="b1"\r\n\r\npreamble stays\r\n--b1\r\n'
        b"Content-Type: text/plain\r\n\r\nsee attachment\r\n--b1\r\n"
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="'
        + name.encode()
        + b'"\r\n\r\n'
        + base64.encodebytes(content).replace(b"\n", b"\r\n")
        + b"--b1--\r\nepilogue stays\r\n"
    )


def untraced(content: bytes) -> bytes:
    """Without the first header field, which must be the gateway's Received."""
    match = re.match(rb"Received:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", content)
    assert match, content[:200]
    return content[match.end() :]


def test_clean_message_gains_one_received_field_and_nothing_else(running: tuple[Gateway, Mailbox]) -> None:
    """PROC-01, PROC-24."""
    gateway, mailbox = running
    gateway.send(CLEAN)
    (mail,) = mailbox.wait(1)
    assert untraced(mail.content) == CLEAN
    assert (mail.reverse_path, mail.forward_paths) == ("sender@example.net", ["user@example.com"])
    (accepted,) = gateway.wait_event("accepted")
    (delivered,) = gateway.wait_event("delivered")
    (completed,) = gateway.wait_event("completed")
    assert accepted["smtp_id"] == delivered["smtp_id"] == completed["smtp_id"]
    assert accepted["smtp_id"].encode() in mail.content.split(b"\r\n\r\n")[0]
    assert gateway.wait_event("scanned")[0]["verdict"] == "clean"


def test_infected_attachment_is_replaced_and_the_rest_stays(running: tuple[Gateway, Mailbox]) -> None:
    """AV-05, AV-07: delete, deliver, say so; STAT-28 counts the attachment."""
    gateway, mailbox = running
    original = with_attachment(EICAR)
    gateway.send(original)
    (mail,) = mailbox.wait(1)
    content = untraced(mail.content)
    kept = original.index(b"--b1\r\nContent-Type: application")
    assert content[:kept] == original[:kept]
    assert content.endswith(b"--b1--\r\nepilogue stays\r\n")
    assert b"eicar.com" in content and b"WDVPIVAl" not in content
    assert gateway.wait_event("file-deleted")[0]["part"] == "2"
    assert gateway.wait_event("attachment-deleted")[0]["file"] == "eicar.com"


def test_two_messages_on_one_connection_and_many_recipients(running: tuple[Gateway, Mailbox]) -> None:
    """PROC-11: results are per recipient."""
    gateway, mailbox = running
    with gateway.client() as smtp:
        smtp.sendmail("a@example.net", ["u1@example.com", "u2@example.com"], CLEAN)
        smtp.sendmail("a@example.net", ["u3@example.com"], CLEAN)
    gateway.wait_event("delivered", 3)
    paths = sorted(path for mail in mailbox.mail() for path in mail.forward_paths)
    assert paths == ["u1@example.com", "u2@example.com", "u3@example.com"]


def test_strangers_cannot_relay(running: tuple[Gateway, Mailbox]) -> None:
    """RELAY-01, RELAY-10, RELAY-11: only the foreign recipient is refused."""
    gateway, mailbox = running
    with gateway.client() as smtp:
        refused = smtp.sendmail("a@example.net", ["user@example.com", "x@elsewhere.example"], CLEAN)
    assert list(refused) == ["x@elsewhere.example"]
    assert refused["x@elsewhere.example"][0] == 550
    assert mailbox.wait(1)[0].forward_paths == ["user@example.com"]
    assert gateway.wait_event("rejected")[0]["reason"]


@pytest.mark.parametrize("sequence", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\r.\r\n", b"a\x00b"])
def test_smuggling_never_ends_data_and_is_refused(running: tuple[Gateway, Mailbox], sequence: bytes) -> None:
    """SMTP-15, SMTP-16: one refusal, and the embedded commands are never run."""
    gateway, mailbox = running
    with socket.create_connection(("127.0.0.1", gateway.smtp), 60) as sock:
        replies = sock.makefile("rb")
        assert replies.readline().startswith(b"220")
        sock.sendall(b"HELO x\r\n")
        assert replies.readline().startswith(b"250")
        for line in (b"MAIL FROM:<a@example.net>\r\n", b"RCPT TO:<user@example.com>\r\n", b"DATA\r\n"):
            sock.sendall(line)
            assert replies.readline()[:1] in b"23"
        smuggled = (
            b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<user@example.com>\r\nDATA\r\nSubject: evil\r\n\r\nx\r\n.\r\n"
        )
        sock.sendall(b"Subject: outer\r\n\r\nbody" + sequence + smuggled)
        assert replies.readline().startswith(b"550 5.6.0")
        sock.sendall(b"QUIT\r\n")
        assert replies.readline().startswith(b"221")
    gateway.wait_event("rejected")
    assert not gateway.events_so_far("accepted") and not mailbox.mail()


def test_starttls_with_the_generated_certificate(running: tuple[Gateway, Mailbox]) -> None:
    gateway, mailbox = running
    context = ssl.create_default_context(cafile=str(gateway.root / "tls" / "certificate.pem"))
    context.check_hostname = False
    with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=60) as smtp:
        assert smtp.starttls(context=context)[0] == 220
        smtp.sendmail("a@example.net", ["user@example.com"], CLEAN)
    (mail,) = mailbox.wait(1)
    assert b"with ESMTPS" in mail.content and b"TLSv1.3" in mail.content


def test_unscannable_mail_is_held_and_shown(running: tuple[Gateway, Mailbox]) -> None:
    """SCAN-07: an encrypted zip cannot be examined, so it waits for a person."""
    gateway, mailbox = running
    gateway.send(with_attachment(b"7z\xbc\xaf\x27\x1c" + b"\0" * 64, "closed.7z"))
    (held,) = gateway.wait_event("held")
    (line,) = list(gateway.queued())
    assert (line["queue"], line["id"]) == ("hold", held["smtp_id"])
    assert gateway.queue("drop", held["smtp_id"]).returncode == 0
    assert list(gateway.queued()) == [] and not mailbox.mail()
    gateway.wait_event("dropped")
