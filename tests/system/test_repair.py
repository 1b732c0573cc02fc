"""Repair through real processes: repaired, scanned again, delivered, accounted for."""

from control.samples import EICAR
from tests.system.harness import Gateway, Mailbox
from tests.system.test_way import untraced

BEFORE = (
    b"From: a@example.net\r\nSubject: offer\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b1"\r\n\r\npreamble stays\r\n--b1\r\n'
    b"Content-Type: text/plain\r\n\r\nsee the page\r\n--b1\r\n"
    b'Content-Type: text/html; charset=utf-8\r\nContent-Disposition: attachment; filename="page.html"\r\n\r\n'
)
SCRIPT = b"<script>x = '" + EICAR + b"'</script>"
PAGE = b"<html><body>\r\n<h1>Offer</h1>\r\n<p>All of it can be read.</p>\r\n</body></html>\r\n"
BEHIND = b"--b1--\r\nepilogue stays\r\n"


def test_a_page_is_repaired_and_all_else_stays(running: tuple[Gateway, Mailbox]) -> None:
    """AV-04, AV-05, AV-12, AV-13, RBLK-02: delivered without its script, octet by octet as it was around it. Text of a
    page is nobody's to cut: what is found there goes with the file."""
    gateway, mailbox = running
    gateway.send(BEFORE + PAGE.replace(b"<p>", SCRIPT + b"<p>") + BEHIND)
    (mail,) = mailbox.wait(1)
    assert untraced(mail.content) == BEFORE + PAGE + BEHIND
    (repaired,) = gateway.wait_event("file-repaired")
    assert (repaired["part"], repaired["file"], repaired["done"]) == ("2", "page.html", "scripts")
    assert "EICAR" in repaired["virus"].upper()
    gateway.wait_event("completed")
    assert not {"file-deleted", "attachment-deleted"} & {event["event"] for event in gateway.events_so_far()}

    gateway.send(BEFORE + PAGE.replace(b"<p>", SCRIPT + b"<p>" + EICAR) + BEHIND)
    _, mail = mailbox.wait(2)
    assert b"DELETED0.TXT" in mail.content and b"All of it can be read" not in mail.content
    assert gateway.wait_event("file-deleted")[0]["part"] == "2"
    gateway.wait_event("completed", 2)
    assert len(gateway.events_so_far("file-repaired")) == 1
