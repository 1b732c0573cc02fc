"""What clients of the pages do that they should not becomes an event (HTTP-07, ALR-12, ALR-13, ALR-15)."""

import http.client
import socket
import ssl
from pathlib import Path
from typing import Any

import msgspec
import pytest

import control.sessions
from control.access import AccessDatabase
from control.authentication import SESSION_COOKIE
from control.form import FORM_LEN
from control.sessions import Sessions
from tests.control.harness import Browser, Gateway, wait_until


class Journal:
    """Events of the control process from here on."""

    def __init__(self, gateway: Gateway) -> None:
        self._folder = gateway.root / "log" / "journal"
        self._begin = len(self._all())

    def _all(self) -> list[dict[str, Any]]:
        lines = b"".join(path.read_bytes() for path in sorted(self._folder.glob("control-*.jsonl")))
        return [msgspec.json.decode(line) for line in lines.split(b"\n")[:-1]]

    def of(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self._all()[self._begin :] if event["event"] == name]

    def one(self, name: str) -> dict[str, Any]:
        wait_until(lambda: len(self.of(name)) > 0, f"an event {name}")
        (event,) = self.of(name)
        return event


@pytest.fixture
def journal(gateway: Gateway) -> Journal:
    return Journal(gateway)


def test_unknown_host(gateway: Gateway, journal: Journal) -> None:
    """ALR-12: another site's name; what it was stands in the event, cleaned and cut (NTF-17)."""
    assert Browser(gateway.https_port, host="evil\x7f" + "x" * 5000 + ".example").get("/status").status == 421
    event = journal.one("http-violation")
    assert event["client"] == "127.0.0.1" and "unknown host" in event["violation"]
    assert event["violation"].isprintable() and len(event["violation"]) <= 300


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"token=0&user=admin", {}, 403),
        (b"x" * (FORM_LEN + 1), {}, 413),
        (b"{}", {"content-type": "application/json"}, 415),
        (b"a=\xff", {}, 400),
        (b"a=1", {"sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_forms_that_are_refused(
    gateway: Gateway, journal: Journal, body: bytes, headers: dict[str, str], status: int
) -> None:
    """ALR-12: forged, too large, of another kind, unreadable, from another site."""
    browser = gateway.admin()
    assert browser.request("POST", "/logoff", body=body, headers=headers).status == status
    assert journal.one("http-violation")["violation"].startswith("/logoff: ")


@pytest.mark.parametrize("port", ["http_port", "https_port"])
def test_what_is_not_http(gateway: Gateway, journal: Journal, port: str) -> None:
    """ALR-12: on both ports; the client gets 400."""
    with socket.create_connection(("127.0.0.1", getattr(gateway, port)), 30) as plain:
        sock = ssl._create_unverified_context().wrap_socket(plain) if port == "https_port" else plain
        sock.sendall(b"EHLO example.com\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 400")
        sock.close()
    assert journal.one("http-violation")["violation"] == "a request that is not HTTP"


def test_data_sent_in_clear_text(gateway: Gateway, journal: Journal) -> None:
    """ALR-12, HTTP-06"""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.http_port, timeout=30)
    connection.request("POST", "/logon", b"password=secret")
    assert connection.getresponse().status == 403
    connection.close()
    event = journal.one("http-violation")
    assert "without encryption" in event["violation"] and "secret" not in event["violation"]


def test_calls_without_a_session(gateway: Gateway, journal: Journal) -> None:
    """ALR-15: also with an id that was never ours."""
    assert gateway.browser().get("/api/v1/status").status == 401
    event = journal.one("unauthorized-access")
    assert (event["client"], event["path"]) == ("127.0.0.1", "/api/v1/status")
    assert Browser(gateway.https_port, {SESSION_COOKIE: "x" * 43}).get("/api/v1/status").status == 401
    wait_until(lambda: len(journal.of("unauthorized-access")) == 2, "the second one")


def test_report_only_administrator(gateway: Gateway, journal: Journal) -> None:
    """ALR-15, ACC-02: each refused page and call, with the user."""
    browser = gateway.report()
    assert (browser.get("/queues/overview").status, browser.get("/api/v1/status").status) == (403, 403)
    wait_until(lambda: len(journal.of("unauthorized-access")) == 2, "both")
    assert [(one["path"], one["user"]) for one in journal.of("unauthorized-access")] == [
        ("/queues/overview", "report"),
        ("/api/v1/status", "report"),
    ]


def test_a_page_that_was_left_open_is_no_attempt(gateway: Gateway, journal: Journal) -> None:
    """ALR-15: nor is who is shown where to log on."""
    assert gateway.browser().get("/status").status == 303
    browser = gateway.admin()
    cookies = dict(browser.cookies)
    token = browser.token("/status")
    assert browser.request("POST", "/logoff", {"token": token}).status == 303
    assert Browser(gateway.https_port, cookies).get("/api/v1/status").status == 401
    gateway.browser().get("/api/v1/status")  # this one is
    assert journal.one("unauthorized-access")["path"] == "/api/v1/status"


def test_failures_are_counted_in_events(gateway: Gateway, journal: Journal) -> None:
    """ALR-13, ACC-08: and a good logon begins anew."""
    browser = gateway.browser()
    assert browser.log_on(password="wrong").status == browser.log_on(password="wrong").status == 401
    assert browser.log_on().status == 303
    assert [(one["result"], one.get("failures", 0)) for one in journal.of("logon")] == [
        ("Failed", 1),
        ("Failed", 2),
        ("Succeeded", 0),
    ]


def test_sessions_that_ended_are_known_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ALR-15: a bounded number of them."""
    monkeypatch.setattr(control.sessions, "ENDED_KEPT", 3)
    database = AccessDatabase(tmp_path)
    now = 1000.0
    sessions = Sessions(database, lambda: now, lambda: 300.0)
    left_open = sessions.begin("admin", "192.0.2.1")
    assert sessions.is_over(left_open)  # there at all
    now += 301
    assert sessions.find(left_open, active=True) is None and sessions.is_over(left_open)
    sessions.end_timed_out()
    assert sessions.is_over(left_open) and not sessions.is_over("another")
    for still_known in (True, True, False):
        sessions.end(sessions.begin("admin", "192.0.2.1"))
        assert sessions.is_over(left_open) is still_known
    assert not sessions.is_over(left_open)
    database.close()
