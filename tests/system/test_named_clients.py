"""Clients that a proxy or an XCLIENT host names, through real processes: every check is about them (SMTP-19)."""

import smtplib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dns_server import scripted
from tests.system.harness import PATIENCE_S, Gateway, Mailbox

PROXY, FILTER = "127.0.0.9", "127.0.0.8"
OURS, LISTED, PERMITTED, OTHER = "192.0.2.6", "192.0.2.7", "192.0.2.9", "2001:db8::9"
CONTENT = b"From: a@sender.example\r\nSubject: hello\r\n\r\nA line.\r\n"
ZONE = {
    ("2.0.0.127.bl.example", "A"): ["127.0.0.2"],  # the entry for tests, which every list has
    ("7.2.0.192.bl.example", "A"): ["127.0.0.2"],
    ("sender.example", "TXT"): ['"v=spf1 ip4:192.0.2.9 ip4:127.0.0.0/8 -all"'],
}


class From(smtplib.SMTP):
    """A client whose connection comes from an address, and begins with octets."""

    def __init__(self, port: int, address: str, first: bytes = b"") -> None:
        self._from, self._first = address, first
        super().__init__("127.0.0.1", port, local_hostname="c.example", timeout=PATIENCE_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        sock = socket.create_connection((host, port), timeout, source_address=(self._from, 0))
        sock.sendall(self._first)
        return sock


def by_proxy(port: int, client: str) -> smtplib.SMTP:
    kind, there = ("TCP6", "2001:db8::1") if ":" in client else ("TCP4", "198.51.100.1")
    return From(port, PROXY, f"PROXY {kind} {client} {there} 4242 25\r\n".encode())


def by_xclient(port: int, client: str) -> smtplib.SMTP:
    smtp = From(port, FILTER)
    smtp.ehlo()
    assert smtp.has_extn("xclient")
    address = f"IPV6:{client}" if ":" in client else client
    assert smtp.docmd("XCLIENT", f"ADDR={address} PORT=4242 NAME=[UNAVAILABLE]")[0] == 220
    return smtp


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Mailbox]]:
    folder: Path = tmp_path_factory.mktemp("parties")
    box = Mailbox(folder / "mailbox")
    box.start()
    gateway = Gateway(folder / "gateway", {"example.com": box.port})
    lists = [{"domain": "bl.example", "enabled": True}]
    with scripted(ZONE) as names:
        gateway.configure(
            dns={"servers": [names.address]},
            smtp={"proxies": [PROXY], "xclient": [FILTER]},
            relay={"hosts": [OURS]},
            authentication={"enabled": True},
            routing={"default_host": "127.0.0.1", "default_port": box.port},
            blocking={"block_lists": {"lists": lists, "action": "reject"}},
        )
        gateway.start()
        yield gateway, box
        gateway.stop()
    box.stop()


@pytest.mark.parametrize("by", [by_proxy, by_xclient])
def test_every_check_is_about_the_client_that_is_named(
    parties: tuple[Gateway, Mailbox], by: Callable[[int, str], smtplib.SMTP]
) -> None:
    """SMTP-19, RELAY-04, DNSBL-06, RSMTP-01: relay rule, block lists, SPF, Received and events."""
    gateway, box = parties
    gateway.forget()
    box.clear()
    codes = {}
    for client in (OURS, LISTED, PERMITTED, OTHER):
        with by(gateway.smtp, client) as smtp:
            smtp.ehlo()
            smtp.mail("a@sender.example")
            codes[client] = [smtp.rcpt(address)[0] for address in ("user@far.example", "user@example.com")]
    assert codes == {OURS: [250, 250], LISTED: [550, 554], PERMITTED: [550, 250], OTHER: [550, 250]}
    for number, (client, spf) in enumerate(((PERMITTED, b"spf=pass"), (OTHER, b"spf=fail")), 1):
        with by(gateway.smtp, client) as smtp:
            smtp.ehlo()  # smtplib does not know that XCLIENT begins anew
            smtp.sendmail("a@sender.example", ["user@example.com"], CONTENT)
        content = box.wait(number)[-1].content
        literal = f"[IPv6:{client}]" if ":" in client else f"[{client}]"
        assert f"\r\nReceived: from c.example ({literal})" in "\r\n" + content.decode()
        assert spf in content.partition(b"Received:")[0]
        assert gateway.wait_event("accepted", number)[-1]["client"] == client
    begun = gateway.wait_event("connection-from", 6, proxy=PROXY if by is by_proxy else FILTER)
    assert {event["client"] for event in begun} == {OURS, LISTED, PERMITTED, OTHER}


def test_others_name_nobody(parties: tuple[Gateway, Mailbox]) -> None:
    """SMTP-14, RELAY-04: neither by a header nor by XCLIENT."""
    gateway, _ = parties
    with gateway.client() as smtp:
        smtp.ehlo()
        assert not smtp.has_extn("xclient")
        assert smtp.docmd("XCLIENT", f"ADDR={OURS}")[0] == 500
        assert smtp.docmd("PROXY", f"TCP4 {OURS} 198.51.100.1 4242 25")[0] == 500
        smtp.mail("a@sender.example")
        assert smtp.rcpt("user@far.example")[0] == 550
