"""Whoever must be told gets mail: notifications and alerts of real processes, at the mailbox behind the gateway."""

import email
import email.policy
import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from bench.ports import free_port
from control.post.memory import Memory
from control.post.postman import FILE_NAME
from control.samples import EICAR
from engine.config import Alerts
from engine.layout import Layout
from tests.system.harness import MAILWARD, Gateway, Mail, Mailbox, until
from tests.system.test_way import with_attachment

ADMINISTRATOR = "postmaster@example.com"
ON = {"enabled": True}
BOTH = {"sender": ON, "administrator": ON}
ALL_ALERTS = dict.fromkeys(Alerts.__struct_fields__, True)
HOT = b"From: a@example.net\r\nSubject: a hot offer\r\n\r\nx\r\n"


def told_by(gateway: Gateway, **more: dict[str, Any]) -> None:
    settings: dict[str, dict[str, Any]] = {
        "smtp": {"hostname": "gw.example.com"},
        "notifications": {"administrators": [ADMINISTRATOR], "virus": BOTH, "content": BOTH},
        "blocking": {"subject": {"enabled": True, "lines": ["*hot*"]}},
    }
    gateway.configure(**(settings | more))


def parsed(mail: Mail) -> EmailMessage:
    message = email.message_from_bytes(mail.content, policy=email.policy.SMTPUTF8)
    assert isinstance(message, EmailMessage)
    return message


def own(mailbox: Mailbox) -> dict[tuple[str, str], EmailMessage]:
    """Mail that the gateway wrote itself, by recipient and subject; none of it may be there twice."""
    found: dict[tuple[str, str], EmailMessage] = {}
    seen: set[str] = set()
    for mail in mailbox.mail():
        message = parsed(mail)
        if message["Auto-Submitted"] == "auto-generated":
            (recipient,) = mail.forward_paths
            key = (recipient, str(message["Subject"]))
            assert message["Message-ID"] not in seen, f"twice: {key}"
            seen.add(message["Message-ID"])
            assert mail.reverse_path == "" and "mailward-noreply@gw.example.com" in message["From"]
            found[key] = message
    return found


def wait_for(mailbox: Mailbox, subject: str, to: str = ADMINISTRATOR) -> str:
    """The text of one mail of the gateway's own."""
    message = until(lambda: own(mailbox).get((to, subject)), f"{subject!r} to {to}")
    assert message is not None
    return str(message.get_content())


@pytest.fixture
def both(tmp_path: Path, mailbox: Mailbox) -> Iterator[Gateway]:
    """Set up for senders and administrators behind the same mailbox, not yet started."""
    one = Gateway(tmp_path / "gateway", {"example.com": mailbox.port, "example.net": mailbox.port})
    told_by(one)
    yield one
    one.stop()


def test_sender_and_administrator_are_told(both: Gateway, mailbox: Mailbox) -> None:
    """NTF-01, NTF-02, NTF-06, NTF-08, NTF-15, META-01, META-02, META-03, META-04, SMTP-09: what, of which message, and
    what became of it; the sender once an hour, administrators of each message.
    """
    both.start()
    both.send(with_attachment(EICAR))
    both.send(HOT)
    about = "From: sender@example.net, To: user@example.com"
    assert "eicar.com: EICAR-Test-File, deleted" in wait_for(
        mailbox, "Your message contained a virus", "sender@example.net"
    )
    text = wait_for(mailbox, "Virus detected")
    assert about in text and "eicar.com: EICAR-Test-File, deleted" in text and "was deleted" in text
    text = wait_for(mailbox, "Your message broke a content rule", "sender@example.net")
    assert about in text and 'subject "*hot*": a hot offer' in text and "dropped" not in text
    text = wait_for(mailbox, "Content rule violated")
    assert about in text and 'subject "*hot*": a hot offer' in text and "The message was dropped." in text
    before = len(mailbox.mail())
    both.send(HOT)
    until(lambda: len(mailbox.mail()) == before + 1, "the administrator hears of the second one")
    assert mailbox.mail()[-1].forward_paths == [ADMINISTRATOR]


def test_hostile_words_make_no_header_fields(both: Gateway, mailbox: Mailbox) -> None:
    """NTF-17: encoded line ends, markup and directions in a subject that the operator's text repeats in the Subject."""
    notice = {"enabled": True, "subject": "Blocked {$CONTENTINFO}", "text": "{$MSGINFO}\n{$CONTENTINFO}\n"}
    told_by(both, notifications={"administrators": [ADMINISTRATOR], "content": {"administrator": notice}})
    both.start()
    words = (
        b"=?utf-8?q?hot=0D=0ABcc:_victim@example.org=0D=0A=0D=0A<b>=E2=80=AEgnp?= =?utf-8?q?=3D?utf-8?q?=3D0ABcc:_x?="
    )
    both.send(b"From: a@example.net\r\nSubject: " + words + b"\r\n\r\nx\r\n")
    (mail,) = mailbox.wait(1)
    message = parsed(mail)
    assert set(message.keys()) == {
        "Received", "Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
        "Content-Transfer-Encoding",
    }  # fmt: skip
    assert mail.forward_paths == [ADMINISTRATOR]
    assert "victim" in message["Subject"] and message["Subject"].isprintable()
    assert message.get_content_type() == "text/plain" and "\u202e" not in message.get_content()
    assert len(message.get_content().splitlines()) == 2


def test_own_mail_goes_out_while_delivery_is_paused(both: Gateway, mailbox: Mailbox) -> None:
    """DLV-01, GAP-44: and the mail of others waits."""
    told_by(both, delivery={"pause": True}, alerts={"start": True, "smtp_violation": True})
    both.start()
    both.send(b"From: a@example.net\r\nSubject: waits\r\n\r\nx\r\n")
    wait_for(mailbox, "Gateway started")
    break_protocol(both)
    wait_for(mailbox, "SMTP protocol violation")
    assert [line["queue"] for line in both.queued()] == ["fast"]
    assert len(mailbox.mail()) == 2


def break_protocol(gateway: Gateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.smtp), 60) as sock:
        sock.sendall(b"NONSENSE\r\nQUIT\r\n")
        while sock.recv(4096):
            pass


def test_mail_to_the_own_account_is_dropped(both: Gateway, mailbox: Mailbox) -> None:
    """SMTP-11, NTF-15: it ends there, and nothing answers it."""
    hosts = [{"name": name, "host": "127.0.0.1", "port": mailbox.port} for name in ("gw.example.com", "example.com")]
    told_by(both, routing={"local": hosts})
    both.start()
    both.send(HOT.replace(b"hot", b"cold"), ["mailward-noreply@gw.example.com"])
    (suppressed,) = both.wait_event("delivery-suppressed")
    assert suppressed["forward_path"] == "mailward-noreply@gw.example.com"
    both.send(HOT, sender="mailward-noreply@gw.example.com")
    wait_for(mailbox, "Content rule violated")
    both.wait_event("completed", 3)
    assert {to for to, _ in own(mailbox)} == {ADMINISTRATOR}


def test_told_though_logging_is_off(both: Gateway, mailbox: Mailbox) -> None:
    """LOG-01: the journal has what somebody is told of, and how the definitions do, and nothing else."""
    told_by(both, logging={"enabled": False}, alerts={"start": True})
    both.start()
    both.send(HOT)
    wait_for(mailbox, "Gateway started")
    wait_for(mailbox, "Content rule violated")
    both.send(HOT)
    both.wait_event("notification-wanted", 3)  # two of the first message, and the administrator's of the second
    told = {event["event"] for event in both.wait_event("")}
    assert told - {"definitions-loaded"} == {"notification-wanted"}


def test_pages_that_are_killed_again_and_again(both: Gateway, mailbox: Mailbox) -> None:
    """NTF-15, ALR-03: kill -9 of the process that writes mail loses none and doubles none."""
    told_by(both, alerts={"smtp_violation": True}, processes={"relays": 1})
    both.start()
    for number in range(12):
        both.send(HOT, sender=f"s{number}@example.net")
        if number % 3 == 0:
            (pages,) = until(lambda: both.pids("control.serve"), "pages")
            os.kill(pages, signal.SIGKILL)
            wait_until_gone(both, pages)
    subject = "Your message broke a content rule"
    expected = {f"s{number}@example.net" for number in range(12)}
    until(lambda: {to for to, about in own_to_senders(mailbox) if about == subject} == expected, "every sender is told")
    until(
        lambda: sum(mail.forward_paths == [ADMINISTRATOR] for mail in mailbox.mail()) >= 12, "12 for the administrator"
    )
    assert len(own_to_senders(mailbox)) == 12
    assert sum(mail.forward_paths == [ADMINISTRATOR] for mail in mailbox.mail()) == 12


def wait_until_gone(gateway: Gateway, pid: int) -> None:
    until(lambda: pid not in gateway.pids("control.serve"), "the killed process is gone")


def own_to_senders(mailbox: Mailbox) -> list[tuple[str, str]]:
    found = [(mail.forward_paths[0], str(parsed(mail)["Subject"])) for mail in mailbox.mail()]
    return [one for one in found if one[0] != ADMINISTRATOR]


def nothing_waits(gateway: Gateway) -> None:
    """Mail is seen in the mailbox before its sender has noted that it is gone; who is killed between sends it again."""
    memory = Memory(Layout(gateway.root).control / FILE_NAME)
    until(lambda: memory.waiting() == 0 and not list(gateway.queued()), "no mail waits")
    memory.close()


def test_start_stop_and_crash(both: Gateway, mailbox: Mailbox) -> None:
    """ALR-01, ALR-02, ALR-03: the stop is told before the end; after a crash the start is not told besides."""
    told_by(both, alerts={"start": True, "start_after_crash": True, "stop": True})
    both.start()
    assert "Host: gw.example.com" in wait_for(mailbox, "Gateway started")
    assert both.stop() == 0
    assert "Host: gw.example.com" in wait_for(mailbox, "Gateway stopped")
    mailbox.clear()
    both.start()
    wait_for(mailbox, "Gateway started")
    nothing_waits(both)
    mailbox.clear()
    both.kill()
    both.start()
    wait_for(mailbox, "Gateway restarted after a crash")
    assert {subject for _, subject in own(mailbox)} == {"Gateway restarted after a crash"}


def test_settings_that_were_changed_while_nothing_ran(both: Gateway, mailbox: Mailbox) -> None:
    """ALR-07: one alert for a save, with the names of what was changed and no values; none without a change."""
    told_by(both, alerts={"configuration_changed": True, "start": True})
    both.start()
    wait_for(mailbox, "Gateway started")
    both.stop()
    mailbox.clear()
    both.configure(relay={"hosts": ["192.0.2.77"]}, delivery={"days": 9})
    both.start()
    text = wait_for(mailbox, "Configuration changed")
    assert "Settings: delivery.days, relay.hosts" in text.splitlines() and "192.0.2.77" not in text
    (applied,) = both.wait_service_event("configuration-applied")
    assert applied["changed"] == ["delivery.days", "relay.hosts"]


class Pages:
    """A client of the HTTPS port without a session."""

    def __init__(self, gateway: Gateway) -> None:
        self._port = gateway.https

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> tuple[int, str, str]:
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection("127.0.0.1", self._port, timeout=60, context=context)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers.get("set-cookie", ""), response.read().decode()
        finally:
            connection.close()

    def log_on(self, password: str) -> int:
        _, cookie, page = self.ask("GET", "/logon")
        token = re.findall(r'name="token" value="([0-9a-f]+)"', page)[0]
        form = urlencode({"token": token, "user": "admin", "password": password})
        kind = {"content-type": "application/x-www-form-urlencoded", "cookie": cookie.partition(";")[0]}
        return self.ask("POST", "/logon", form, **kind)[0]


def test_alerts_of_a_running_gateway(both: Gateway, mailbox: Mailbox) -> None:
    """ALR-06, ALR-07, ALR-08, ALR-09, ALR-10, ALR-11, ALR-12, ALR-13, ALR-14, ALR-15, OUT-01, OUT-05, GAP-16: each by
    what raises it, with client, file, or SMTP ID.
    """
    dead = free_port()
    told_by(
        both,
        alerts=ALL_ALERTS,
        routing={"local": [
            {"name": "example.com", "host": "127.0.0.1", "port": mailbox.port},
            {"name": "dead.example", "host": "127.0.0.1", "port": dead},
        ]},
        outbreak={"enabled": True, "messages": 2, "minutes": 5, "recipients": ["outbreak@example.com"], "pause": True},
    )  # fmt: skip
    both.start()
    pages = Pages(both)

    break_protocol(both)
    assert "Client: 127.0.0.1" in wait_for(mailbox, "SMTP protocol violation")

    assert pages.ask("GET", "/", Host="evil.example")[0] == 421
    assert "evil.example" in wait_for(mailbox, "HTTP protocol violation")

    assert pages.ask("GET", "/api/v1/status")[0] == 401
    assert "/api/v1/status" in wait_for(mailbox, "Unauthorized access attempt")

    assert [pages.log_on("wrong password") for _ in range(3)] == [401, 401, 401]
    assert "Client: 127.0.0.1" in wait_for(mailbox, "Repeated failed logons")

    both.send(HOT.replace(b"hot", b"cold"), ["user@dead.example"])
    assert str(dead) in wait_for(mailbox, "Cannot reach mail server")

    both.send(with_attachment(b"7z\xbc\xaf\x27\x1c" + bytes(64), "closed.7z"))
    (held,) = both.wait_event("held")
    assert held["smtp_id"] in wait_for(mailbox, "Suspect message held")
    assert held["smtp_id"] in wait_for(mailbox, "Message could not be taken apart")

    definitions = both.root / "definitions" / "starter.mwd"
    good = definitions.read_bytes()
    for number in range(3):
        definitions.write_bytes(b"garbage %d" % number)
        both.wait_event("definitions-refused", number + 1)
    assert str(definitions) in wait_for(mailbox, "File access error")
    wait_for(mailbox, "Definitions update failed")
    new = both.root / "definitions" / "new.mwd"
    compiled = subprocess.run(
        [*MAILWARD, "signatures", "compile", "signatures/definitions/eicar.toml", f"--output={new}"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert compiled.returncode == 0, compiled.stderr
    assert new.read_bytes() != good
    new.replace(definitions)
    wait_for(mailbox, "Definitions updated")

    both.configure(delivery={"days": 3}, dns={"servers": ["127.0.0.1"]})
    assert "Settings: delivery.days, dns.servers" in wait_for(mailbox, "Configuration changed")

    both.send(with_attachment(EICAR))
    both.send(with_attachment(EICAR))
    until(lambda: ("outbreak@example.com", "Possible virus outbreak") in own(mailbox), "the outbreak alert")
    until(lambda: (both.root / "mailward.toml").read_text().count("pause = true") == 2, "delivery is paused")


def test_report_of_mail_that_went_out(both: Gateway, mailbox: Mailbox) -> None:
    """The journal tells of each mail of our own, under the SMTP ID of the message that it is about."""
    both.start()
    both.send(HOT)
    wait_for(mailbox, "Content rule violated")

    def sent() -> list[dict[str, Any]]:
        lines = b"".join(path.read_bytes() for path in (both.root / "log" / "journal").glob("control-*.jsonl"))
        found = [msgspec.json.decode(line) for line in lines.split(b"\n")[:-1]]
        return [event for event in found if event["event"] == "alert-sent"]

    until(lambda: len(sent()) == 2, "both are told of")
    assert {one["kind"] for one in sent()} == {"content sender", "content administrator"}
    assert {one["smtp_id"] for one in sent()} == {both.wait_event("dropped")[0]["smtp_id"]}
