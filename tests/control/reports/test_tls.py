"""How TLS to other domains went: counted from the journal, as a page and as the document of RFC 8460."""

import json
import time
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from control.reports import tls
from control.reports.period import Period
from engine import config, events
from engine.config import Dns
from engine.delivery.security.policies import Kept, Policies
from engine.delivery.security.policy import parse
from engine.delivery.security.results import Kind, result
from engine.dns import is_any_believed
from engine.journal import timestamp
from tests.control.harness import Gateway, wait_until

NOW = time.time_ns()
HOUR_NS = 3_600_000_000_000
TIMES = urlencode({"first": timestamp(NOW - HOUR_NS), "until": timestamp(NOW + HOUR_NS)})


def written(kind: Kind, outcome: str, domain: str = "one.example", **where: str) -> events.TlsResult:
    event = result(domain, kind, outcome, **where)
    event.time = timestamp(NOW)
    return event


@pytest.fixture(scope="module")
def known(gateway: Gateway) -> Gateway:
    write = gateway.journal.write
    for _ in range(3):
        write(written(Kind.STS, "success", host="mx.one.example", address="192.0.2.1"))
    for _ in range(2):
        write(written(Kind.STS, "certificate-expired", host="mx.one.example", address="192.0.2.1"))
    write(written(Kind.NONE, "success", "two.example"))
    write(events.TlsResult(time=timestamp(NOW), session="<script> is no session"))
    write(events.AlertSent(time=timestamp(NOW + 300_000_000_000), kind="x", recipients=1))  # the hour goes on
    folder = gateway.root / "mta-sts"
    policies = Policies(None, folder, lambda: None, lambda _: None)  # type: ignore[arg-type,return-value]
    octets = b"version: STSv1\nmode: enforce\nmx: mx.one.example\nmax_age: 86400\n"
    policies._save(Kept("one.example", NOW / 1e9, parse(octets, "1")))
    gateway.journal.flush()
    return gateway


def test_the_page_and_the_document(known: Gateway) -> None:
    """DLV-06, RFC 8460: what kept mail from whom, in plain words, and the report for the domain's postmaster."""
    browser = known.admin()
    wait_until(lambda: "two.example" in browser.get(f"/reports/tls?{TIMES}").text, "the journal is read")
    text = browser.get(f"/reports/tls?{TIMES}").text
    assert "2 × certificate expired: <bdi>mx.one.example</bdi> [192.0.2.1]" in text
    assert text.index("one.example") < text.index("two.example")
    answer = browser.get(f"/reports/tls/document?domain=one.example&{TIMES}")
    assert answer.headers["content-type"] == "application/tlsrpt+json"
    report = json.loads(answer.text)
    (policy,) = report["policies"]
    assert policy["policy"] == {
        "policy-type": "sts",
        "policy-domain": "one.example",
        "policy-string": ["version: STSv1", "mode: enforce", "mx: mx.one.example", "max_age: 86400"],
        "mx-host": ["mx.one.example"],
    }
    assert policy["summary"] == {"total-successful-session-count": 3, "total-failure-session-count": 2}
    assert policy["failure-details"] == [
        {
            "result-type": "certificate-expired",
            "failed-session-count": 2,
            "receiving-mx-hostname": "mx.one.example",
            "receiving-ip": "192.0.2.1",
        }
    ]
    assert report["date-range"]["start-datetime"].endswith("Z") and report["report-id"].count("@") == 1
    assert browser.get(f"/reports/tls/document?domain=nobody.example&{TIMES}").status == 404


def test_rows_are_bounded() -> None:
    """RFC 8460: as many kinds of failures as a report is good for; their number still counts them all."""
    sessions = {result("a.example", Kind.NONE, "validation-failure", host=f"h{n}").session: 1 for n in range(101)}
    (one,) = tls.gather(sessions)
    assert len(one.failures) == tls.FAILURES and one.failed == 101


def test_a_document_without_a_policy() -> None:
    """RFC 8460 s4: of DANE and of domains that publish nothing."""
    sessions = tls.gather({result("a.example", Kind.TLSA, "dnssec-invalid").session: 4, "nonsense": 1})
    period = Period(1_700_000_000_000_000, 1_700_086_400_000_000)
    report: dict[str, Any] = json.loads(tls.document(sessions, period, (), organization="gw", contact="a@gw"))
    assert report["report-id"] == "2023-11-14.a.example@gw"
    assert report["policies"][0]["policy"] == {"policy-type": "tlsa", "policy-domain": "a.example"}
    assert report["policies"][0]["failure-details"] == [{"result-type": "dnssec-invalid", "failed-session-count": 4}]


def test_the_page_says_when_dane_does_nothing(known: Gateway) -> None:
    """DLV-06: a name server elsewhere that nobody vouches for is not believed, and mail goes on without DANE."""
    browser, path = known.admin(), known.root / config.FILE_NAME
    before = path.read_bytes()
    settings = config.load(path)

    def says(dns: Dns) -> None:
        config.save(msgspec.structs.replace(settings, dns=dns), path)

    try:
        says(Dns(servers=("192.0.2.53",)))
        wait_until(lambda: "DANE is switched on, but does nothing" in browser.get("/reports/tls").text, "it is told")
        says(Dns(servers=("192.0.2.53",), validating=("192.0.2.53",)))
        wait_until(lambda: "DANE is switched on" not in browser.get("/reports/tls").text, "it is told no more")
    finally:
        path.write_bytes(before)


def test_which_name_servers_are_believed() -> None:
    """DLV-06: on this machine, and those that the operator vouches for."""
    assert is_any_believed(["192.0.2.53", "127.0.0.1#5300"], ())
    assert is_any_believed(["192.0.2.53#53"], ["192.0.2.53"])
    assert not is_any_believed(["192.0.2.53"], ["192.0.2.54"])
