"""Submission at a running gateway: who logged on may send everywhere, and nobody else (RELAY-14)."""

import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.ports import free_port
from tests.dns_server import scripted
from tests.system.harness import MAILWARD, PATIENCE_S, Gateway, Mailbox, until

CONTENT = b"From: anna@example.com\r\nSubject: hello\r\n\r\nA line.\r\n"
SECRET = "correct horse battery"
ELSEWHERE = "friend@elsewhere.example"
ZONE = {  # a list has the client, and SPF forbids it
    ("2.0.0.127.bl.example", "A"): ["127.0.0.2"],
    ("1.0.0.127.bl.example", "A"): ["127.0.0.2"],
    ("example.com", "TXT"): ['"v=spf1 -all"'],
}


def context() -> ssl.SSLContext:
    """The certificate is the gateway's own."""
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


class Site:
    def __init__(self, gateway: Gateway, box: Mailbox) -> None:
        self.gateway, self.box = gateway, box
        self.submission, self.submissions, self.mx = free_port(), free_port(), free_port()

    def listeners(self) -> list[dict[str, object]]:
        at = {"host": "127.0.0.1"}
        return [
            {**at, "port": self.submission, "mode": "submission"},
            {**at, "port": self.submissions, "mode": "submission", "tls": "implicit"},
            {**at, "port": self.mx, "tls": "implicit"},
        ]

    def people(self, implicit: bool = False) -> smtplib.SMTP:
        """Past TLS and EHLO."""
        if implicit:
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                "127.0.0.1", self.submissions, timeout=PATIENCE_S, context=context()
            )
        else:
            client = smtplib.SMTP("127.0.0.1", self.submission, timeout=PATIENCE_S)
            client.starttls(context=context())
        client.ehlo()
        return client

    def submitter(self, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        command, *rest = arguments
        return subprocess.run(
            [*MAILWARD, "submitter", command, f"--root={self.gateway.root}", *rest],
            input=said,
            capture_output=True,
            text=True,
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("site")
    box = Mailbox(folder / "mailbox")
    box.start()
    gateway = Gateway(folder / "gateway", {"example.com": box.port})
    found = Site(gateway, box)
    with scripted(ZONE) as names:
        gateway.configure(
            dns={"servers": [names.address]},
            smtp={"listeners": found.listeners(), "submitters": "submitters"},
            authentication={"enabled": True},
            routing={"default_host": "127.0.0.1", "default_port": box.port},
            blocking={"block_lists": {"lists": [{"domain": "bl.example", "enabled": True}], "action": "reject"}},
        )
        added = found.submitter("add", "anna", "--password=-", said=SECRET + "\n")
        assert added.returncode == 0, added.stderr
        gateway.start()
        yield found
        gateway.stop()
    box.stop()


@pytest.mark.parametrize("implicit", [False, True])
def test_who_logs_on_may_send_everywhere(site: Site, implicit: bool) -> None:
    """RELAY-14: to other sites too; the journal says who, and neither block lists nor SPF are asked."""
    site.gateway.forget()
    site.box.clear()
    with site.people(implicit) as client:
        client.login("anna", SECRET)
        client.sendmail("anna@example.com", [ELSEWHERE], CONTENT)
    (mail,) = site.box.wait(1)
    assert mail.forward_paths == [ELSEWHERE]
    head = mail.content.partition(b"\r\n\r\n")[0]
    assert b"with ESMTPSA" in head and b"Authentication-Results" not in head
    (accepted,) = site.gateway.wait_event("accepted")
    assert accepted["submitter"] == "anna"
    (scanned,) = site.gateway.wait_event("scanned")
    assert scanned["evidence"]["envelope"]["submitter"] == "anna" and "listings" not in scanned["evidence"]


def test_without_logging_on_there_is_nothing(site: Site) -> None:
    """RELAY-14: 530 there, and at the other listeners no AUTH, however they are reached."""
    with site.people() as client:
        assert client.docmd("MAIL", "FROM:<anna@example.com>")[0] == 530
    with site.gateway.client() as client:
        client.starttls(context=context())
        client.ehlo()
        assert not client.has_extn("auth") and client.docmd("AUTH", "PLAIN AGEAYg==")[0] == 502
        assert client.mail("anna@example.com")[0] == 250
        assert client.rcpt(ELSEWHERE)[0] == 550
    with smtplib.SMTP_SSL("127.0.0.1", site.mx, timeout=PATIENCE_S, context=context()) as client:
        client.ehlo()
        assert not client.has_extn("auth") and not client.has_extn("starttls")


def test_wrong_passwords(site: Site) -> None:
    """RELAY-14: 535, an event that names the account and never what might be a password, and an end."""
    site.gateway.forget()
    with site.people() as client:
        for name, password in (("anna", "wrong"), ("nobody", SECRET)):
            with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                client.login(name, password, initial_response_ok=False)
            assert refused.value.smtp_code in (535, 421)
            if refused.value.smtp_code == 535:
                assert "5.7.8" in str(refused.value.smtp_error)
    told = site.gateway.wait_event("submitter-refused", 2)
    assert {event["submitter"] for event in told} <= {"anna", ""}
    assert all(event["client"] == "127.0.0.1" for event in told)


def test_submitters_come_and_go(site: Site) -> None:
    """RELAY-14: while it runs; what cannot be is said in words."""
    site.submitter("add", "otto", "--password=another password")
    assert site.submitter("list").stdout == "anna\notto\n"
    with site.people() as client:
        client.login("otto", "another password")
    assert site.submitter("remove", "otto").returncode == 0
    with site.people() as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login("otto", "another password")
    for arguments, words in (
        (("remove", "otto"), "there is no otto"),
        (("add", "a:b", f"--password={SECRET}"), "colon"),
        (("add", "otto", "--password=short"), "at least 12"),
    ):
        refused = site.submitter(*arguments)
        assert refused.returncode == 1 and words in refused.stderr
    assert site.submitter("add", "otto", said=SECRET + "\nsomething else\n").returncode == 1
    assert site.submitter("list").stdout == "anna\n"
    assert (site.gateway.root / "submitters").stat().st_mode & 0o777 == 0o600


def test_listeners_change_while_it_runs(site: Site) -> None:
    """SMTP-01, SMTP-04: a new one is there, one that is gone refuses, and open sessions go on."""
    client = site.people()
    try:
        gone, site.submission = site.submission, free_port()
        site.gateway.apply(smtp={"listeners": site.listeners()})
        until(lambda: "now listening on" in site.gateway.log(), "the supervisor listens")
        with site.people() as other:
            assert other.has_extn("auth")
        with pytest.raises(ConnectionRefusedError):
            smtplib.SMTP("127.0.0.1", gone, timeout=PATIENCE_S)
        assert client.noop()[0] == 250
        with site.gateway.client() as mx:
            assert mx.ehlo()[0] == 250
    finally:
        client.close()
