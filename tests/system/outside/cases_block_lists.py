"""Block lists from SMTP to the mailbox: rbldnsd says who is listed, clients have addresses of the outside world."""

import smtplib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dns_server import BlockListServer, block_lists
from tests.system.harness import PATIENCE_S, Gateway, Mail, Mailbox, until

LISTED, TWICE, CLEAN, OURS, LATER = "192.0.2.7", "192.0.2.8", "192.0.2.9", "192.0.2.10", "192.0.2.11"
ADMINISTRATOR = "postmaster@example.com"
CONTENT = b"From: a@sender.example\r\nSubject: hello\r\n\r\nA line.\r\n"
HEAD = "$SOA 300 ns.example root.example 0 600 300 86400 300\n:127.0.0.2:\n127.0.0.2\n"
ZONES = {
    "one.example": {"ip4set": HEAD + f"{LISTED}\n{TWICE}\n{OURS}\n"},
    "two.example": {"ip4set": HEAD + f"{TWICE} :127.0.0.4:\n"},
    "angry.example": {"ip4trie": ":127.255.255.254:\n0.0.0.0/0\n"},
}
FORWARD = {"to": "boss@example.com", "subject": "Listed"}


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BlockListServer]:
    with block_lists(tmp_path_factory.mktemp("lists"), ZONES) as server:
        yield server


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory, lists: BlockListServer) -> Iterator[tuple[Gateway, Mailbox]]:
    folder: Path = tmp_path_factory.mktemp("parties")
    box = Mailbox(folder / "mailbox")
    box.start()
    gateway = Gateway(folder / "gateway", {"example.com": box.port})
    gateway.configure(
        dns={"servers": [lists.address]},
        relay={"hosts": [OURS]},
        notifications={
            "administrators": [ADMINISTRATOR],
            "spam": {"sender": {"enabled": False}, "administrator": {"enabled": True}},
        },
    )
    gateway.start()
    yield gateway, box
    gateway.stop()
    box.stop()


@pytest.fixture
def gateway(parties: tuple[Gateway, Mailbox]) -> Gateway:
    parties[0].forget()
    return parties[0]


@pytest.fixture
def mailbox(parties: tuple[Gateway, Mailbox], gateway: Gateway) -> Mailbox:
    parties[1].clear()
    return parties[1]


def apply(gateway: Gateway, *domains: str, white_list: dict[str, Any] | None = None, **fields: Any) -> None:
    chosen = [{"domain": one, "enabled": True} for one in domains]
    sections = {"block_lists": {"lists": chosen, "forward": FORWARD} | fields, "white_list": white_list or {}}
    gateway.apply(blocking=sections)


def send(gateway: Gateway, client: str, sender: str = "a@sender.example") -> None:
    with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=PATIENCE_S, source_address=(client, 0)) as smtp:
        smtp.sendmail(sender, ["user@example.com"], CONTENT)


def arrived(mailbox: Mailbox) -> list[Mail]:
    """Besides what the administrator is told."""
    return [mail for mail in mailbox.mail() if mail.forward_paths != [ADMINISTRATOR]]


def completed(gateway: Gateway, smtp_id: str) -> None:
    gateway.wait_event("completed", smtp_id=smtp_id)


@pytest.mark.parametrize("action", ["drop", "log", "forward", "hold"])
def test_actions(gateway: Gateway, mailbox: Mailbox, action: str) -> None:
    """DNSBL-05, DNSBL-06, DNSBL-08, SNDR-06, GAP-06: the event has handling, From/To, SMTP ID, list and return code."""
    apply(gateway, "one.example", "two.example", action=action)
    send(gateway, TWICE)
    (event,) = gateway.wait_event("spam-list-block")
    assert event["handling"] == action
    assert event["client"] == TWICE
    assert (event["reverse_path"], event["forward_paths"]) == ("a@sender.example", ["user@example.com"])
    for words in ("one.example", "two.example", "127.0.0.2", "127.0.0.4"):
        assert words in event["reason"]
    (told,) = gateway.wait_event("notification-wanted")
    assert (told["kind"], told["audience"]) == ("spam", "administrator")
    if action == "log":
        (mail,) = until(lambda: arrived(mailbox), "the message")
        assert mail.content.endswith(CONTENT) and mail.forward_paths == ["user@example.com"]
    elif action == "forward":
        (mail,) = until(lambda: arrived(mailbox), "the forward")
        assert mail.forward_paths == ["boss@example.com"] and b"Subject: Listed" in mail.content
    elif action == "hold":
        gateway.wait_event("held")
        assert gateway.queue("drop", event["smtp_id"]).returncode == 0
    else:
        (dropped,) = gateway.wait_event("dropped")
        assert "one.example" in dropped["reason"]
        completed(gateway, event["smtp_id"])
        assert arrived(mailbox) == [] and not gateway.events_so_far("bounced")


def test_reject(gateway: Gateway, mailbox: Mailbox) -> None:
    """DNSBL-06, BLK-02: 554 5.7.1 after RCPT with the name of the list; the message is never taken."""
    apply(gateway, "one.example", "two.example", action="reject")
    with pytest.raises(smtplib.SMTPRecipientsRefused) as caught:
        send(gateway, LISTED)
    [(code, text)] = caught.value.recipients.values()
    assert code == 554 and text.startswith(b"5.7.1 ") and b"one.example" in text and b"two.example" not in text
    assert gateway.wait_event("rejected")
    assert not {"accepted", "spam-list-block"} & {event["event"] for event in gateway.events_so_far()}
    send(gateway, CLEAN)
    until(lambda: arrived(mailbox), "the message of another")


def test_who_is_not_blocked(gateway: Gateway, mailbox: Mailbox, lists: BlockListServer) -> None:
    """DNSBL-02, DNSBL-03, DNSBL-07, WL-01, WL-03: not listed, our own, loopback, on the white list."""
    apply(gateway, "one.example", white_list={"enabled": True, "domains": ["@friend.example"]})
    send(gateway, CLEAN)
    send(gateway, OURS)
    send(gateway, "127.0.0.1")
    send(gateway, LISTED, "a@friend.example")
    assert len(until(lambda: arrived(mailbox) if len(arrived(mailbox)) == 4 else [], "four messages")) == 4
    assert not gateway.events_so_far("spam-list-block")
    assert lists.asked("10.2.0.192.one.example") == 0


def test_codes_and_weights(gateway: Gateway, mailbox: Mailbox) -> None:
    """DNSBL-04: only these codes; and, beyond, a score that several lists have to reach."""
    codes = [{"domain": "one.example", "enabled": True, "codes_on": True, "codes": ["127.0.0.9"]}]
    apply(gateway, lists=codes)
    send(gateway, LISTED)
    until(lambda: arrived(mailbox), "a message with a code that does not count")
    mailbox.clear()
    apply(gateway, "one.example", "two.example", score=2)
    send(gateway, LISTED)
    until(lambda: arrived(mailbox), "a message that one of two lists names")
    send(gateway, TWICE)
    gateway.wait_event("spam-list-block")


def test_a_list_that_answers_errors_blocks_nobody(gateway: Gateway, mailbox: Mailbox) -> None:
    """DNSBL-04, DNSBL-09: mail flows, the other list counts, and the administrator is told."""
    apply(gateway, "angry.example", "one.example")
    send(gateway, CLEAN)
    until(lambda: arrived(mailbox), "the message")
    send(gateway, LISTED)
    (event,) = gateway.wait_event("spam-list-block")
    assert "angry.example" not in event["reason"]
    (unusable,) = gateway.wait_event("block-list-unusable")
    assert unusable["list"] == "angry.example" and "127.255.255.254" in unusable["reason"]


def test_a_list_that_is_gone_blocks_nobody(gateway: Gateway, mailbox: Mailbox) -> None:
    """DNSBL-09: there is no such zone."""
    apply(gateway, "gone.example")
    send(gateway, LATER)
    until(lambda: arrived(mailbox), "the message")
    assert not gateway.events_so_far("spam-list-block")
