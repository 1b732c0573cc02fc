"""What programs and the assistant find out about a real gateway: metrics, readiness, definitions, a test mail."""

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from signatures import image
from signatures.model import Literal, Signature
from tests.control.harness import Browser, Reply
from tests.system.harness import PASSWORD, Gateway, Mailbox, until

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
RESULTS = ("accepted", "rejected", "delivered", "dropped", "held", "forwarded")
QUEUES = ("fast_queue", "slow_queue", "hold_queue")
DASHBOARD = Path(__file__).parents[2] / "dashboards" / "mailward-grafana.json"


@pytest.fixture
def pages(running: tuple[Gateway, Mailbox]) -> Browser:
    return Browser(running[0].https)


@pytest.fixture(scope="module")
def cookies(shared: tuple[Gateway, Mailbox]) -> dict[str, str]:
    browser = Browser(shared[0].https)
    assert browser.log_on(password=PASSWORD).status == 303
    return browser.cookies


@pytest.fixture
def admin(running: tuple[Gateway, Mailbox], cookies: dict[str, str]) -> Browser:
    return Browser(running[0].https, dict(cookies))


@pytest.fixture
def ready(pages: Browser) -> Iterator[None]:
    until(lambda: pages.get("/ready").status == 200, "the gateway is ready")
    yield


def metrics(pages: Browser, accept: str = OPENMETRICS) -> dict[str, Metric]:
    reply = pages.get("/metrics", {"accept": accept})
    assert reply.status == 200
    assert reply.headers["content-type"].startswith(accept)
    parse = parse_openmetrics if accept == OPENMETRICS else parse_text
    return {family.name: family for family in parse(reply.text)}


def value(pages: Browser, name: str, **labels: str) -> float | None:
    for family in metrics(pages).values():
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return None


@pytest.mark.usefixtures("ready")
def test_mail_is_counted_as_on_the_status_page(
    running: tuple[Gateway, Mailbox], pages: Browser, admin: Browser
) -> None:
    """STAT-30: the same figures as metrics and in the REST interface; names are stable."""
    gateway, mailbox = running
    before = value(pages, "mailward_messages_total", result="delivered") or 0
    gateway.send(b"Subject: counted\r\n\r\nhello\r\n")
    mailbox.wait(1)
    until(
        lambda: (value(pages, "mailward_messages_total", result="delivered") or 0) > before,
        "the delivery is counted",
    )

    def shown() -> dict[str, float]:
        groups = msgspec.json.decode(admin.get("/api/v1/status").text)["groups"]
        return {figure["id"]: figure["value"] for group in groups for figure in group["figures"]}

    def figures() -> dict[str, float]:
        samples = [sample for family in metrics(pages).values() for sample in family.samples]
        found = {s.labels["result"]: s.value for s in samples if s.name == "mailward_messages_total"}
        queues = {f"{s.labels['queue']}_queue": s.value for s in samples if s.name == "mailward_queue_messages"}
        return {name: found[name] for name in RESULTS} | {name: queues[name] for name in QUEUES}

    until(lambda: figures().items() <= shown().items(), "both say the same, when the queue is empty for both")


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("accept", [OPENMETRICS, "text/plain"])
def test_what_senders_write_makes_no_series(running: tuple[Gateway, Mailbox], pages: Browser, accept: str) -> None:
    """Series are bounded: no label has values that mail can choose."""
    gateway, mailbox = running

    def series() -> set[tuple[str, str]]:
        found = metrics(pages, accept).values()
        return {(one.name, str(sorted(one.labels.items()))) for family in found for one in family.samples}

    before = series()
    gateway.send(b"Subject: one\r\n\r\nhello\r\n", sender="a-new-sender@elsewhere.example")
    mailbox.wait(1)
    assert series() == before
    assert len(before) < 100


@pytest.mark.usefixtures("ready")
def test_every_expression_of_the_dashboard_is_of_a_metric_that_exists(pages: Browser) -> None:
    existing = {sample.name for family in metrics(pages).values() for sample in family.samples}
    dashboard = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    expressions += [one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"]
    used = {name for expression in expressions for name in re.findall(r"mailward_\w+", expression)}
    assert len(used) > 15
    assert used <= existing
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)


@pytest.mark.usefixtures("ready")
def test_strangers_are_told_whether_it_lives_and_no_more(pages: Browser) -> None:
    assert (pages.get("/health").status, pages.get("/health").text) == (200, '{"alive":true}')
    until(lambda: pages.get("/ready").text == '{"ready":true,"reasons":[]}', "it is ready, and says no more")


def test_metrics_are_for_listed_hosts_and_tokens(running: tuple[Gateway, Mailbox], admin: Browser) -> None:
    """STAT-30, HTTP-08; ALR-15 tells of others."""
    gateway, _ = running
    gateway.configure(web={"metrics_clients": ["192.0.2.0/24"]})
    stranger = Browser(gateway.https)
    until(lambda: stranger.get("/metrics").status == 401, "the setting is in force")
    assert "add it to web.metrics_clients" in stranger.get("/metrics").text
    assert "mailward_" not in stranger.get("/metrics").text
    assert admin.get("/metrics").status == 200
    gateway.configure(web={"metrics_clients": ["192.0.2.1", "127.0.0.0/8"]})
    until(lambda: stranger.get("/metrics").status == 200, "the setting is in force")


@pytest.mark.usefixtures("ready")
def test_a_relay_that_is_stuck_makes_it_unready(running: tuple[Gateway, Mailbox], pages: Browser) -> None:
    gateway, _ = running
    (relay,) = gateway.pids("engine.relay")
    os.kill(relay, signal.SIGSTOP)
    try:
        until(lambda: pages.get("/ready").status == 503, "it is seen")
        assert pages.get("/ready").text == '{"ready":false,"reasons":["relay 0 does not answer"]}'
        assert value(pages, "mailward_relay_up", relay="0") == 0
        assert value(pages, "mailward_ready") == 0
    finally:
        os.kill(relay, signal.SIGCONT)
    until(lambda: pages.get("/ready").status == 200, "it is well again")


@pytest.mark.usefixtures("ready")
def test_definitions_come_into_force_while_mail_flows(
    running: tuple[Gateway, Mailbox], admin: Browser, pages: Browser
) -> None:
    """DEF-13, DEF-16: the relays load what the page puts there, and go back by one control."""
    gateway, mailbox = running
    words = b"words that only the new definitions know"
    new = image.build([Signature(name="Test.New", body=Literal(words))])
    mail = b"Subject: x\r\nContent-Type: application/octet-stream\r\n\r\n" + words + b"\r\n"
    before = value(pages, "mailward_definitions_signatures")
    headers = {"content-type": "application/json", "x-mailward-token": admin.token("/definitions")}
    body = msgspec.json.encode({"content": new})
    assert admin.request("POST", "/api/v1/definitions", body=body, headers=headers).status == 200
    until(lambda: value(pages, "mailward_definitions_signatures") == 1, "the relay says that it works with them")
    gateway.send(mail)
    gateway.wait_event("file-deleted")
    mailbox.wait(1)
    assert admin.request("POST", "/api/v1/definitions/rollback", body=b"{}", headers=headers).status == 200
    until(lambda: value(pages, "mailward_definitions_signatures") == before, "the former ones are back")
    mailbox.clear()
    gateway.send(mail)
    assert words in mailbox.wait(1)[0].content


def follow(admin: Browser, reply: Reply) -> str:
    """The page of the test mail, once it says how it ended."""
    assert reply.status == 303
    return until(
        lambda: text if "On its way" not in (text := admin.get(reply.headers["location"]).text) else "",
        "the page says what became of the test mail",
    )


def send(admin: Browser, to: str, kind: str) -> Reply:
    fields = {"token": admin.token("/assistant/mail"), "to": to, "kind": kind}
    return admin.request("POST", "/assistant/mail", fields)


def test_a_test_mail_is_shown_arriving(running: tuple[Gateway, Mailbox], admin: Browser) -> None:
    """INST-11, INST-12: it goes round, and its story is shown."""
    _, mailbox = running
    page = follow(admin, send(admin, "me@example.com", "plain"))
    assert "It has arrived" in page
    assert "accepted from &lt;&gt; for me@example.com" in page
    assert 'http-equiv="refresh"' not in page
    (mail,) = mailbox.wait(1)
    assert mail.forward_paths == ["me@example.com"]
    assert b"Subject: Mailward test mail\r\n" in mail.content


def test_the_test_virus_does_not_arrive(running: tuple[Gateway, Mailbox], admin: Browser) -> None:
    """AV-01, STAT-22"""
    _, mailbox = running
    page = follow(admin, send(admin, "me@example.com", "eicar"))
    assert "The test file was taken out, and the rest has arrived" in page
    (mail,) = mailbox.wait(1)
    assert b"WDVPIVAl" not in mail.content  # EICAR in base64 begins so


def test_a_test_mail_to_somebody_elses_domain_is_refused_in_words(
    running: tuple[Gateway, Mailbox], admin: Browser
) -> None:
    reply = send(admin, "somebody@elsewhere.example", "plain")
    assert reply.status == 503
    assert "The gateway did not take the test mail: 550" in reply.text
    assert "a domain that you serve" in reply.text


def test_the_test_of_ports_reaches_the_gateway_and_its_next_hop(
    running: tuple[Gateway, Mailbox], admin: Browser
) -> None:
    """INST-06, INST-07"""
    gateway, mailbox = running
    found = msgspec.json.decode(admin.get("/api/v1/assistant/ports").text)["checks"]
    own = next(one for one in found if one["what"] == f"Own SMTP port {gateway.smtp}")
    assert (own["outcome"], "with STARTTLS" in own["text"]) == ("good", True)
    hop = next(one for one in found if one["what"].startswith("Mail for example.com"))
    assert str(mailbox.port) in hop["what"]
    assert hop["outcome"] in ("good", "warn")  # the sink has no STARTTLS
    assert "It answers" in hop["text"]


@pytest.mark.usefixtures("ready")
def test_the_status_page_shows_when_the_service_was_started(admin: Browser) -> None:
    """INST-11, STAT-01..04"""
    shown = msgspec.json.decode(admin.get("/api/v1/status").text)
    figures = {figure["id"]: figure for group in shown["groups"] for figure in group["figures"]}
    assert figures["started"]["value"].endswith("Z")
    assert figures["running_s"]["value"] < 3600
    assert {"server", "version"} <= figures.keys()
