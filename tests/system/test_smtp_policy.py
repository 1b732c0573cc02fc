"""Policy during SMTP with real processes: what is said, what the journal tells, and that nothing else comes of it."""

import smtplib
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.engine.smtp.certificates import certificate
from tests.system.harness import Gateway, Mailbox, until

CLEAN = b"From: a@example.net\r\nSubject: hello\r\n\r\nA line.\r\n"
FAR = "user@far.example"
MIB = 1 << 20


def refusal(gateway: Gateway, recipient: str, content: bytes = CLEAN, sender: str = "a@example.net") -> tuple[int, str]:
    """Code and text of the reply that ended it; (250, "") if all was accepted."""
    text: bytes | str
    with gateway.client() as smtp:
        try:
            smtp.sendmail(sender, [recipient], content)
        except smtplib.SMTPRecipientsRefused as error:
            ((code, text),) = error.recipients.values()
        except smtplib.SMTPResponseException as error:
            code, text = error.smtp_code, error.smtp_error
        else:
            return 250, ""
    return code, text.decode() if isinstance(text, bytes) else text


def asked(gateway: Gateway, recipient: str, sender: str = "a@example.net") -> int:
    """What RCPT is answered, without a message."""
    with gateway.client() as smtp:
        smtp.ehlo()
        smtp.mail(sender)
        return smtp.rcpt(recipient)[0]


def everywhere(mailbox: Mailbox) -> dict[str, Any]:
    return {"default_host": "127.0.0.1", "default_port": mailbox.port}


@pytest.fixture(autouse=True)
def as_before(request: pytest.FixtureRequest) -> Any:
    """The shared gateway has the settings again that it started with."""
    if "running" not in request.fixturenames:
        yield
        return
    gateway = request.getfixturevalue("running")[0]
    path = gateway.root / "mailward.toml"
    before = path.read_bytes()
    yield
    path.write_bytes(before)
    until(lambda: (asked(gateway, FAR), asked(gateway, "x%y@example.com")) == (550, 250), "all is as before")


def test_characters_and_size_take_effect_while_it_runs(running: tuple[Gateway, Mailbox]) -> None:
    """CHAR-01, CHAR-03, CHAR-04, SIZE-01, SIZE-03, SIZE-04, REJ-02, REJ-04, NTF-14, PROC-15: also for a listed host."""
    gateway, mailbox = running
    assert refusal(gateway, "x%y@example.com")[0] == 250
    mailbox.wait(1)
    notices = {"administrators": ["admin@example.com"], "content": {"administrator": {"enabled": True}}}
    gateway.configure(
        blocking={"characters": {"enabled": True}, "size": {"enabled": True, "max_mb": 1}},
        relay={"hosts": ["127.0.0.1"]},
        notifications=notices,
    )
    until(lambda: asked(gateway, "x%y@example.com") == 553, "characters are refused")
    assert refusal(gateway, "x%y@example.com")[1].startswith("5.1.3 ")
    assert refusal(gateway, "user@example.com", sender="a!b@example.net")[:1] == (553,)
    large = CLEAN + b"x" * 998 + b"\r\n"
    large += (b"y" * 998 + b"\r\n") * ((MIB - len(large)) // 1000)
    assert refusal(gateway, "user@example.com", large)[0] == 250
    code, text = refusal(gateway, "user@example.com", large + b"z" * 998 + b"\r\n")
    assert code == 552 and text.startswith("5.3.4 ")
    reasons = [event["reason"] for event in gateway.wait_event("rejected", 4)]
    assert set(reasons) == {"address-characters", "size"}
    assert [mail.forward_paths for mail in mailbox.wait(2)] == [["x%y@example.com"], ["user@example.com"]]


def test_a_cloud_may_relay_for_one_tenant_only(running: tuple[Gateway, Mailbox]) -> None:
    """RELAY-01, RELAY-11, RELAY-12, REJ-03: the address is not enough, its field is."""
    gateway, mailbox = running
    grant = {"network": "127.0.0.0/8", "header": "X-MS-Exchange-CrossTenant-Id", "value": "our-tenant"}
    gateway.configure(relay={"grants": [grant]}, routing=everywhere(mailbox))
    ours = b"X-MS-Exchange-CrossTenant-Id: our-tenant\r\n" + CLEAN
    until(lambda: asked(gateway, FAR) == 250, "the grant is in force")
    assert refusal(gateway, FAR, ours)[0] == 250
    assert mailbox.wait(1)[0].forward_paths == [FAR]
    code, text = refusal(gateway, FAR, ours.replace(b"our-", b"their-"))
    assert code == 550 and text.startswith("5.7.1 ")
    rejected = gateway.wait_event("rejected")[-1]
    assert (rejected["reason"], rejected["forward_path"]) == ("anti-relay", FAR)
    assert refusal(gateway, "user@example.com", CLEAN)[0] == 250
    mailbox.wait(2)


def test_a_partner_may_relay_by_its_certificate(running: tuple[Gateway, Mailbox], tmp_path: Path) -> None:
    """RELAY-01: a client without certificate stays as welcome as before."""
    gateway, mailbox = running
    authority = certificate(tmp_path, "authority")
    certificate(tmp_path, "out.partner.example", authority)
    (gateway.root / "partners.pem").write_bytes((tmp_path / "authority.pem").read_bytes())
    grant = {"tls_name": "out.partner.example", "sender_domains": ["@partner.example"]}
    gateway.configure(relay={"grants": [grant], "authorities": "partners.pem"}, routing=everywhere(mailbox))

    def reply(name: str, sender: str) -> int:
        context = ssl._create_unverified_context()
        if name:
            context.load_cert_chain(tmp_path / f"{name}.pem")
        with gateway.client() as smtp:
            smtp.starttls(context=context)
            smtp.ehlo()
            smtp.mail(sender)
            return smtp.rcpt(FAR)[0]

    until(lambda: reply("out.partner.example", "a@partner.example") == 250, "the grant holds")
    assert reply("out.partner.example", "a@other.example") == 550
    assert reply("", "a@partner.example") == 550
    assert asked(gateway, FAR, "a@partner.example") == 550


def test_allow_mode_and_listed_hosts(running: tuple[Gateway, Mailbox]) -> None:
    """RELAY-02, RELAY-03, RELAY-07, PROC-15"""
    gateway, mailbox = running
    for relay in ({"allow_all": True}, {"allow_all": False, "hosts": ["127.0.*"]}):
        gateway.configure(relay={"allow_all": False, "hosts": []}, routing=everywhere(mailbox))
        until(lambda: asked(gateway, FAR) == 550, "strangers cannot relay")
        mailbox.clear()
        gateway.configure(relay=relay)
        until(lambda: asked(gateway, FAR) == 250, "it is allowed")
        assert refusal(gateway, FAR)[0] == 250
        assert mailbox.wait(1)[0].forward_paths == [FAR]


def test_mail_for_our_postmaster_reaches_the_administrator(running: tuple[Gateway, Mailbox]) -> None:
    """RFC 5321 s4.5.1"""
    gateway, mailbox = running
    gateway.configure(notifications={"administrators": ["admin@example.com"]})
    until(lambda: asked(gateway, "Postmaster") == 250, "the postmaster gets mail")
    assert refusal(gateway, "Postmaster")[0] == 250
    assert mailbox.wait(1)[0].forward_paths == ["admin@example.com"]
