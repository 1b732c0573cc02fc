"""Every criterion with every action, through a running gateway: what arrived, what the journal says, who is to be told.

Settings are changed while it runs, as a postmaster does.
"""

import base64
import io
import re
import smtplib
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from control.samples import EICAR
from tests.dns_server import dnsmasq
from tests.system.harness import Gateway, Mail, Mailbox, until

BOSS = "boss@example.com"
ADMINISTRATOR = "postmaster@example.com"
FORWARD = {"to": BOSS, "subject": "Please look at this"}
KINDS = ("virus", "content", "container", "encrypted", "spam")


def encrypted_zip(name: str = "secret.txt") -> bytes:
    """A zip archive whose only member claims to be encrypted."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(name, b"words that nobody may read")
    octets = bytearray(made.getvalue())
    octets[6] |= 1
    octets[octets.index(b"PK\1\2") + 8] |= 1
    return bytes(octets)


def nested_zip(depth: int) -> bytes:
    inner = b"innermost words"
    for level in range(depth):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"level{level}.zip" if level else "words.txt", inner)
        inner = made.getvalue()
    return inner


def message(subject: str = "hello", sender: str = "ann@sender.example", **files: bytes) -> bytes:
    """files: attachments by name, with _ for the dot."""
    head = f"From: Ann <{sender}>\r\nTo: user@example.com\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n".encode()
    if not files:
        return head + b"\r\nA line.\r\n"
    parts = [b"Content-Type: text/plain\r\n\r\nsee attachment"]
    for name, content in files.items():
        fields = f'Content-Disposition: attachment; filename="{name.replace("_", ".")}"\r\n'.encode()
        encoded = base64.encodebytes(content).replace(b"\n", b"\r\n").removesuffix(b"\r\n")
        parts.append(
            b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
            + fields + b"\r\n" + encoded
        )  # fmt: skip
    delimited = b"".join(b"\r\n--b1\r\n" + part for part in parts)
    return head + b"Content-Type: multipart/mixed; boundary=b1\r\n" + delimited + b"\r\n--b1--\r\n"


def untraced(content: bytes) -> bytes:
    """Without the header fields that the gateway puts in front: Received, perhaps Authentication-Results before it."""
    for name in (rb"Authentication-Results", rb"Received"):
        content = re.sub(rb"^" + name + rb":[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", b"", content)
    return content


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    records = ["txt-record=_dmarc.forged.example,v=DMARC1; p=reject", 'txt-record=forged.example,"v=spf1 -all"']
    with dnsmasq(tmp_path_factory.mktemp("dns"), records) as server:
        yield server.address


@pytest.fixture
def policy(running: tuple[Gateway, Mailbox], names: str) -> tuple[Gateway, Mailbox]:
    gateway, mailbox = running
    settings = {kind: {"sender": {"enabled": True}, "administrator": {"enabled": True}} for kind in KINDS}
    gateway.configure(notifications={"administrators": [ADMINISTRATOR], **settings}, dns={"servers": [names]})
    return gateway, mailbox


def apply(gateway: Gateway, **blocking: dict[str, Any]) -> None:
    """These criteria and no others; DMARC needs its results."""
    off: dict[str, Any] = {"subject": {}, "files": {}, "containers": {}, "encrypted": {}, "senders": {}, "dmarc": {}}
    authentication = {"enabled": "dmarc" in blocking, "timeout_s": 10}
    gateway.apply(blocking=off | blocking, authentication=authentication)


CRITERIA: dict[str, tuple[dict[str, Any], bytes, str, str, str]] = {
    # section of the settings: (its values, a message, event, kind of notification, what the event must say)
    "subject": ({"lines": ["*offer*"]}, message("A special OFFER"), "subject-blocked", "content", "*offer*"),
    "containers": ({"depth": 2}, message(deep_zip=nested_zip(4)), "container-limit-exceeded", "container", "2"),
    "encrypted": ({}, message(locked_zip=encrypted_zip()), "encrypted-container", "encrypted", "locked.zip"),
    "senders": ({"addresses": [".bad.example"]}, message(sender="x@very.bad.example"), "sender-blocked", "spam", "bad"),
    "dmarc": ({"corroborated": False}, message(sender="ann@forged.example"), "dmarc-failed", "spam", "reject"),
}


def settings_for(section: str, action: str) -> dict[str, Any]:
    values = dict(CRITERIA[section][0])
    if section != "containers":
        values["enabled"] = True
    values["reject" if section == "dmarc" else "action"] = action
    return {section: values | {"forward": FORWARD}}


def sent(gateway: Gateway, section: str, action: str) -> tuple[str, dict[str, Any]]:
    """Apply one criterion, send its message. Returns (SMTP ID, event of the criterion)."""
    apply(gateway, **settings_for(section, action))
    _, content, event, kind, words = CRITERIA[section]
    gateway.send(content, sender="envelope@forged.example" if section == "dmarc" else "envelope@sender.example")
    (found,) = gateway.wait_event(event)
    assert found["handling"] == action
    assert words in str(found)
    told = gateway.wait_event("notification-wanted", 1 if section == "dmarc" else 2)
    assert {one["kind"] for one in told} == {kind}
    expected = {"administrator"} if section == "dmarc" else {"administrator", "sender"}  # NTF-15
    assert {one["audience"] for one in told} == expected
    return found["smtp_id"], found


def wait_completed(gateway: Gateway, smtp_id: str) -> None:
    gateway.wait_event("completed", smtp_id=smtp_id)


def others(mailbox: Mailbox) -> list[Mail]:
    """Mail besides the notifications."""
    return [mail for mail in mailbox.mail() if mail.forward_paths != [ADMINISTRATOR]]


@pytest.mark.parametrize("section", CRITERIA)
def test_drop(policy: tuple[Gateway, Mailbox], section: str) -> None:
    """PROC-16, SUBJ-01, SUBJ-03, CONT-01, CONT-08, ENC-02, SNDR-01, SNDR-05, SNDR-06: nobody gets it."""
    gateway, mailbox = policy
    smtp_id, _ = sent(gateway, section, "drop")
    (dropped,) = gateway.wait_event("dropped")
    assert dropped["smtp_id"] == smtp_id and dropped["reason"]
    wait_completed(gateway, smtp_id)
    assert others(mailbox) == []
    assert not gateway.events_so_far("bounced")


@pytest.mark.parametrize("section", CRITERIA)
def test_log_only(policy: tuple[Gateway, Mailbox], section: str) -> None:
    """PROC-17, PROC-24, ENC-05, CONT-08: it arrives as it was sent; what could not be unpacked is SCAN-07's."""
    gateway, mailbox = policy
    smtp_id, _ = sent(gateway, section, "log")
    if section == "containers":
        (held,) = gateway.wait_event("held")
        assert "depth" in held["reason"]
        assert gateway.queue("drop", smtp_id).returncode == 0
        return
    (mail,) = until(lambda: others(mailbox), "the message")
    assert untraced(mail.content) == CRITERIA[section][1]
    assert mail.forward_paths == ["user@example.com"]


@pytest.mark.parametrize("section", CRITERIA)
def test_forward(policy: tuple[Gateway, Mailbox], section: str) -> None:
    """PROC-18, BLK-04, SUBJ-03, SNDR-05, ENC-02: one address gets it whole, with a note; its recipients do not."""
    gateway, mailbox = policy
    smtp_id, _ = sent(gateway, section, "forward")
    (mail,) = until(lambda: others(mailbox), "the forward")
    assert mail.forward_paths == [BOSS]
    head = mail.content.split(b"\r\n\r\n")[0]
    assert b"Subject: Please look at this" in head
    assert CRITERIA[section][1].rstrip(b"\r\n") in mail.content
    assert smtp_id.encode() in mail.content
    (forwarded,) = gateway.wait_event("forwarded")
    assert forwarded["forward_path"] == BOSS
    wait_completed(gateway, smtp_id)


@pytest.mark.parametrize("section", CRITERIA)
def test_hold(policy: tuple[Gateway, Mailbox], section: str) -> None:
    """PROC-19: it waits for a person, who may let it go."""
    gateway, mailbox = policy
    smtp_id, _ = sent(gateway, section, "hold")
    gateway.wait_event("held")
    assert [one["queue"] for one in gateway.queued() if one["id"] == smtp_id] == ["hold"]
    assert others(mailbox) == []
    assert gateway.queue("drop", smtp_id).returncode == 0


def test_encrypted_containers_are_deleted_by_default(policy: tuple[Gateway, Mailbox]) -> None:
    """ENC-01, ENC-02, ENC-03, ENC-04, BLK-01: a text stands in the place of the container."""
    gateway, mailbox = policy
    apply(gateway)
    gateway.send(message(locked_zip=encrypted_zip(), notes_txt=b"notes that stay"))
    (mail,) = until(lambda: others(mailbox), "the message")
    assert b"DELETED0.TXT" in mail.content
    assert base64.b64encode(b"notes that stay") in mail.content
    assert base64.b64encode(encrypted_zip())[:40] not in mail.content
    (deleted,) = gateway.wait_event("attachment-deleted")
    assert (deleted["file"], deleted["reason"]) == ("locked.zip", "encrypted")


def test_files_are_deleted_by_name(policy: tuple[Gateway, Mailbox]) -> None:
    """FILE-01, FILE-04, FILE-05, META-06: by any of its names; the message is delivered without it."""
    gateway, mailbox = policy
    apply(gateway, files={"enabled": True})
    gateway.send(message(HARMLESS_EXE=b"words", notes_txt=b"notes that stay"))
    (mail,) = until(lambda: others(mailbox), "the message")
    assert base64.b64encode(b"notes that stay") in mail.content
    assert base64.b64encode(b"words") + b"\r\n" not in mail.content
    assert b"HARMLESS.EXE" in mail.content, "the text names the file"
    (deleted,) = gateway.wait_event("attachment-deleted")
    assert (deleted["file"], deleted["reason"]) == ("HARMLESS.EXE", "file name")
    (blocked,) = gateway.wait_event("file-name-blocked")
    assert (blocked["entry"], blocked["handling"]) == ("*.exe", "delete")


def test_what_blocking_removes_is_not_scanned(policy: tuple[Gateway, Mailbox]) -> None:
    """PROC-02: no virus is reported of a message that a subject line drops."""
    gateway, _ = policy
    apply(gateway, subject={"enabled": True, "lines": ["bad news"], "action": "drop"})
    gateway.send(message("bad news", eicar_com=EICAR))
    gateway.wait_event("completed")
    assert not {"file-deleted", "virus-logged"} & {event["event"] for event in gateway.events_so_far()}
    gateway.send(message("good news", eicar_com=EICAR))
    assert gateway.wait_event("file-deleted")


def test_several_violations_are_all_told_and_the_strongest_wins(policy: tuple[Gateway, Mailbox]) -> None:
    """PROC-19, PROC-20: in their order; two forwards go to both addresses."""
    gateway, mailbox = policy
    other = {"to": "other@example.com", "subject": "This one too"}
    apply(
        gateway,
        senders={"enabled": True, "addresses": ["@sender.example"], "action": "forward", "forward": other},
        subject={"enabled": True, "lines": ["*offer*"], "action": "forward", "forward": FORWARD},
        files={"enabled": True},
    )
    gateway.send(message("an offer", x_exe=b"words"))
    mails = until(lambda: others(mailbox) if len(others(mailbox)) == 2 else [], "both forwards")
    assert {path for mail in mails for path in mail.forward_paths} == {BOSS, "other@example.com"}
    told = [event["event"] for event in gateway.events_so_far() if event["event"].endswith("-blocked")]
    assert told == ["sender-blocked", "subject-blocked", "file-name-blocked"]
    assert {one["kind"] for one in gateway.wait_event("notification-wanted", 2)} == {"content", "spam"}


def test_refusals_during_smtp(policy: tuple[Gateway, Mailbox]) -> None:
    """SIZE-03, CHAR-03, RELAY-01, RELAY-12, NTF-14, BLK-02: nothing is accepted, nobody is notified."""
    gateway, mailbox = policy
    gateway.apply(
        blocking={"size": {"enabled": True, "max_mb": 1}, "characters": {"enabled": True, "characters": "%!"}}
    )
    with gateway.client() as smtp:
        smtp.ehlo()
        assert smtp.docmd("MAIL", "FROM:<a@b.example> SIZE=1048577")[0] == 552
        assert smtp.docmd("MAIL", "FROM:<a%c@b.example>")[0] == 553
        assert smtp.docmd("MAIL", "FROM:<a@b.example>")[0] == 250
        assert smtp.docmd("RCPT", "TO:<b!c@example.com>")[0] == 553
        assert smtp.docmd("RCPT", "TO:<b@elsewhere.example>")[0] == 550
        smtp.rset()
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            smtp.sendmail("a@b.example", ["user@example.com"], b"x" * 1_100_000)
        assert refused.value.smtp_code == 552
    reasons = {event["reason"] for event in gateway.wait_event("rejected", 4)}
    assert reasons == {"size", "address-characters", "anti-relay"}
    assert not gateway.events_so_far("notification-wanted") and others(mailbox) == []


def test_a_change_counts_within_a_second_and_refuses_nobody(policy: tuple[Gateway, Mailbox]) -> None:
    """PROC-15: one connection sends all the while; it is neither refused nor ended."""
    gateway, _ = policy
    apply(gateway)
    with gateway.client() as smtp:
        smtp.sendmail("a@b.example", ["user@example.com"], message("an offer"))
        for action in ("drop", "log", "drop"):
            apply(gateway, subject={"enabled": True, "lines": ["*offer*"], "action": action})
            gateway.forget()
            smtp.sendmail("a@b.example", ["user@example.com"], message("an offer"))
            (blocked,) = gateway.wait_event("subject-blocked")
            assert blocked["handling"] == action
