"""DANE, MTA-STS and REQUIRETLS with real processes; name server, next hop and policy server are on loopback."""

import asyncio
import datetime
import re
import smtplib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop
from click.testing import CliRunner

from control.cli.trace import trace
from engine.delivery.security.policies import Policies
from engine.dns import Resolver
from engine.journal import JournalWriter
from engine.layout import Layout
from tests.control.harness import Browser
from tests.control.harness import Gateway as Pages
from tests.dns_server import scripted
from tests.engine.delivery.authorities import PolicyServer, policy, served, tlsa
from tests.engine.delivery.peers import FULL, Hop
from tests.engine.smtp.certificates import certificate
from tests.system.harness import PATIENCE_S, Gateway, until

CLEAN = b"From: a@example.net\r\nSubject: hello\r\n\r\nA line.\r\n"
MX = {
    "dane.example": "mx",
    "wrong.example": "wrong",
    "bogus.example": "bogus",
    "sts.example": "mx",
    "moved.example": "odd",
    "odd.example": "odd",
}
POLICIES = ("sts.example", "moved.example")  # which say that mx.example takes their mail


@dataclass
class Place:
    gateway: Gateway
    hop: Hop
    admin: Browser

    def fate(self, domain: str) -> tuple[str, str]:
        """Of the one recipient there: the event that tells it, and the reason."""
        event = self.gateway.wait_event("", forward_path=f"to@{domain}")[0]
        return event["event"], event.get("reason", "")

    def session(self, domain: str) -> list[str]:
        """The first one with a domain, as it is counted: kind of policy and result."""
        sessions = [event["session"].split(" ") for event in self.gateway.wait_event("tls-result", len(MX))]
        return next(words[:2] for words in sessions if words[3] == domain)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("tls")
    authority = certificate(folder, "authority")
    context, made = served(folder, "mx.example", authority)
    loop = uvloop.new_event_loop()
    hop = Hop((*FULL, "STARTTLS", "REQUIRETLS"))
    hop.context = context
    loop.run_until_complete(hop.start())

    zone = {(domain, "MX"): [f"10 {host}.example."] for domain, host in MX.items()}
    zone |= {(f"{host}.example", "A"): ["127.0.0.1"] for host in MX.values()}
    zone |= {(f"mta-sts.{domain}", "A"): ["127.0.0.1"] for domain in POLICIES}
    zone |= {(f"_mta-sts.{domain}", "TXT"): ['"v=STSv1; id=one;"'] for domain in POLICIES}
    at = f"_{hop.port}._tcp"
    zone |= {(f"{at}.mx.example", "TLSA"): [tlsa(made)], (f"{at}.wrong.example", "TLSA"): ["3 1 1 " + "ab" * 32]}
    routes = [{"name": domain, "host": domain, "port": hop.port, "mx": True} for domain in MX]
    with scripted(zone) as names:
        signed = {"dane.example", "wrong.example", "bogus.example", "mx.example"}
        names.signed = signed | {f"{at}.{name}" for name in signed}
        names.failing = {(f"{at}.bogus.example", "TLSA")}
        gateway = Gateway(folder / "gateway", {})
        gateway.configure(
            routing={"local": routes},
            dns={"servers": [names.address]},
            delivery={"public_authorities": str(folder / "authority.pem"), "retry_first_s": 3600},
        )
        for domain in POLICIES:
            context, _ = served(folder, f"mta-sts.{domain}", authority)
            loop.run_until_complete(fetch(domain, context, names.resolver(), gateway, folder / "authority.pem"))
        thread = threading.Thread(target=loop.run_forever, name="peers")
        thread.start()
        gateway.start()
        assert gateway.process is not None
        writer = JournalWriter(folder, "nobody")
        pages = Pages(gateway.root, gateway.process, gateway.https, gateway.http, -1, writer, writer)  # type: ignore[arg-type]
        try:
            yield Place(gateway, hop, pages.admin())
        finally:
            gateway.stop()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.run_until_complete(hop.stop())
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()


async def fetch(domain: str, context: ssl.SSLContext, resolver: Resolver, gateway: Gateway, authorities: Path) -> None:
    """Have its policy where the gateway keeps it: it fetches from port 443, which is not everybody's to listen at."""
    server = await PolicyServer(policy("mx.example")).start(context)
    trusting = ssl.create_default_context(cafile=str(authorities))
    policies = Policies(resolver, Layout(gateway.root).policies, lambda: trusting, lambda _: None, port=server.port)
    assert await policies.of(domain) is not None
    await policies.close()
    server.stop()


def submit(gateway: Gateway, domain: str, *options: str) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP("127.0.0.1", gateway.smtp, timeout=PATIENCE_S) as client:
        client.starttls(context=context)
        client.sendmail("", [f"to@{domain}"], CLEAN, mail_options=options)


def test_what_domains_and_senders_want_of_tls(place: Place) -> None:
    """DLV-06: TLSA right, wrong and bogus; a policy that names the host and one that does not; REQUIRETLS, which goes
    on only where it is proven; and the journal, `mailward trace` and the page of TLS tell it."""
    gateway = place.gateway
    for domain in MX:
        submit(gateway, domain)
    assert place.fate("dane.example") == ("delivered", "")
    assert place.fate("sts.example") == ("delivered", "")
    assert place.fate("odd.example") == ("delivered", "")  # publishes nothing
    name, reason = place.fate("wrong.example")
    assert (name, "is not what DANE says" in reason) == ("delivery-deferred", True)
    name, reason = place.fate("moved.example")
    assert (name, "the MTA-STS policy of the domain does not name odd.example" in reason) == ("delivery-deferred", True)
    name, reason = place.fate("bogus.example")
    assert (name, "as DANE cannot be checked" in reason) == ("delivery-deferred", True)
    assert len(place.hop.taken) == 3
    assert [place.session(domain) for domain in MX] == [
        ["tlsa", "success"],
        ["tlsa", "validation-failure"],
        ["tlsa", "dnssec-invalid"],
        ["sts", "success"],
        ["sts", "validation-failure"],
        ["no-policy-found", "success"],
    ]
    story = CliRunner().invoke(trace, [f"--root={gateway.root}", "to@wrong.example"])
    assert "no certificate of it matches a TLSA record" in story.stdout

    gateway.forget()
    place.hop.taken.clear()
    for domain in ("dane.example", "odd.example"):
        submit(gateway, domain, "REQUIRETLS")
    assert place.fate("dane.example") == ("delivered", "")
    assert [taken.mail.endswith(" REQUIRETLS") for taken in place.hop.taken] == [True]
    name, reason = place.fate("odd.example")
    assert (name, "5.7.30" in reason) == ("delivery-failed", True)

    today, day = datetime.date.today(), datetime.timedelta(days=1)
    times = f"first={today - day}&until={today + 2 * day}"

    def shown() -> dict[str, list[int]]:
        reply = place.admin.get(f"/api/v1/reports/tls?{times}")
        found: dict[str, Any] = msgspec.json.decode(reply.text) if reply.status == 200 else {"domains": []}
        counts = {one["domain"]: [one["succeeded"], one["failed"]] for one in found["domains"]}
        return counts if len(counts) == len(MX) and counts["odd.example"][1] else {}

    counts = until(shown, "all sessions are counted")
    assert counts["wrong.example"] == [0, 1] and counts["bogus.example"] == [0, 1] == counts["moved.example"]
    assert counts["sts.example"] == [1, 0]
    page = place.admin.get(f"/reports/tls?{times}").text
    rows = {domain: row for row in re.findall(r"<tr>.*?</tr>", page) for domain in MX if domain in row}
    assert "DANE cannot be checked: DNSSEC fails" in rows["bogus.example"]
    assert "MTA-STS" in rows["sts.example"]
