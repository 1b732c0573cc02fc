"""NOTIFY=SUCCESS through real processes, from the client's command to the notice in the sender's mailbox."""

import email

from tests.system.harness import Gateway, Mailbox

CLEAN = b"From: a@example.com\r\nTo: user@example.com\r\nSubject: hello\r\n\r\nA line.\r\n"


def test_sender_is_told_that_a_host_without_dsn_took_it(running: tuple[Gateway, Mailbox]) -> None:
    """RFC 3461 s5.2.2: ENVID and ORCPT come back; who said NEVER is not named; the notice itself is not answered."""
    gateway, mailbox = running
    with gateway.client() as smtp:
        smtp.ehlo()
        assert smtp.has_extn("DSN")
        assert smtp.docmd("MAIL", "FROM:<sender@example.com> RET=FULL ENVID=my+2Did")[0] == 250
        assert smtp.docmd("RCPT", "TO:<user@example.com> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;was@example.org")[0] == 250
        assert smtp.docmd("RCPT", "TO:<silent@example.com> NOTIFY=NEVER")[0] == 250
        assert smtp.data(CLEAN)[0] == 250
    mails = mailbox.wait(2)
    (notice,) = [mail for mail in mails if mail.forward_paths == ["sender@example.com"]]
    assert notice.reverse_path == ""
    parsed = email.message_from_bytes(notice.content)
    assert parsed["Subject"] == "Your mail was passed on"
    text = parsed.as_string()
    for line in ("Action: relayed", "Original-Envelope-Id: my-id", "Original-Recipient: rfc822; was@example.org"):
        assert line in text
    assert "silent@" not in text and "A line." not in text
    gateway.wait_event("completed", 2)
    assert len(mailbox.mail()) == 2
