"""The pages over real TLS connections, as a browser without scripts sees them."""

import http.client
import re
import sqlite3
import time
from urllib.parse import urlencode

import msgspec
import pytest

from control.form import FORM_FIELDS, FORM_LEN
from control.history.keeper import Author, Keeper
from engine import events
from engine.journal import timestamp
from engine.layout import Layout
from engine.policy.evidence import Evidence, Header
from engine.queue.disk import Disk
from engine.queue.files import MessageFiles
from engine.queue.record import Attempt, Moved, Received, Recipient, Result
from tests.control.harness import PASSWORD, PATIENCE_S, Browser, Gateway, wait_until


def journal_of(gateway: Gateway, kind: str) -> list[dict[str, str]]:
    lines = "".join(path.read_text() for path in sorted((gateway.root / "log" / "journal").glob("control-*")))
    return [event for event in map(msgspec.json.decode, lines.splitlines()) if event["event"] == kind]


def figures(browser: Browser) -> dict[str, object]:
    reply = browser.get("/api/v1/status")
    assert reply.status == 200
    groups = msgspec.json.decode(reply.text)["groups"]
    return {figure["id"]: figure["value"] for group in groups for figure in group["figures"]}


@pytest.fixture
def admin(gateway: Gateway) -> Browser:
    return gateway.admin()


@pytest.fixture(autouse=True)
def forgotten_failures(gateway: Gateway) -> None:
    """The tests share one client address: what one of them failed must not make the next one wait."""
    with sqlite3.connect(gateway.root / "control" / "access.sqlite") as connection:
        connection.execute("DELETE FROM failure")
    connection.close()


@pytest.mark.parametrize("path", ["/status", "/queues/overview", "/events", "/events?q=x"])
def test_pages_need_a_logon(gateway: Gateway, path: str) -> None:
    reply = gateway.browser().get(path)
    assert reply.status == 303
    assert reply.headers["location"] == "/logon?" + urlencode({"next": path.partition("?")[0]})


def test_figures_need_a_logon(gateway: Gateway) -> None:
    reply = gateway.browser().get("/api/v1/status")
    assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
    assert reply.headers["content-type"] == "application/problem+json"
    assert msgspec.json.decode(reply.text)["title"] == "Log on first"
    assert gateway.browser().get("/status/live").status == 401


def test_every_answer_carries_the_security_headers(gateway: Gateway, admin: Browser) -> None:
    for path in ("/status", "/logon", "/nowhere", "/api/v1/status", "/static/mailward.css"):
        headers = admin.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["strict-transport-security"].startswith("max-age=")
        assert headers["cache-control"] == ("no-cache" if path.startswith("/static/") else "no-store")
        assert "server" not in headers


def test_nothing_on_the_pages_is_inline(gateway: Gateway, admin: Browser) -> None:
    for path in ("/status", "/queues/overview", "/events"):
        text = admin.get(path).text
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


def test_log_on_and_off_are_noted_and_shown(gateway: Gateway) -> None:
    """ACC-09, RSYS-01, RSYS-02"""
    browser = gateway.browser()
    logons, logoffs = len(journal_of(gateway, "logon")), len(journal_of(gateway, "logoff"))
    reply = browser.log_on(to="/events")
    assert (reply.status, reply.headers["location"]) == (303, "/events")
    page = browser.get("/status").text
    assert "Logged on as </span><b>admin</b>" in page
    reply = browser.request("POST", "/logoff", {"token": browser.token("/status")})
    assert (reply.status, reply.headers["location"]) == (303, "/logon?why=logged-off")
    assert "You are logged off." in browser.get("/logon?why=logged-off").text
    assert browser.get("/status").status == 303
    (logon,) = journal_of(gateway, "logon")[logons:]
    assert (logon["result"], logon["user"], logon["client"]) == ("Succeeded", "admin", "127.0.0.1")
    (logoff,) = journal_of(gateway, "logoff")[logoffs:]
    assert (logoff["result"], logoff["user"], logoff["reason"]) == ("Succeeded", "admin", "request")


def test_a_session_cannot_be_used_after_logging_off(gateway: Gateway, admin: Browser) -> None:
    kept = dict(admin.cookies)
    admin.request("POST", "/logoff", {"token": admin.token("/status")})
    admin.cookies = kept
    assert admin.get("/status").status == 303


def test_the_cookie_is_for_this_host_and_not_for_scripts(gateway: Gateway) -> None:
    browser = gateway.browser()
    line = browser.log_on().headers.get_all("set-cookie", [])[0]
    name, *attributes = line.split("; ")
    assert name.startswith("__Host-")
    assert {attribute.lower() for attribute in attributes} == {"httponly", "path=/", "samesite=strict", "secure"}


def test_a_wrong_password_says_what_to_do(gateway: Gateway) -> None:
    browser = gateway.browser()
    known = len(journal_of(gateway, "logon"))
    reply = browser.log_on(password="not the password")
    assert reply.status == 401
    assert "The user name or the password is wrong. Check that Caps Lock is off, and try again." in reply.text
    reply = browser.log_on(user="my secret password", password="x")
    assert reply.status == 401
    told = journal_of(gateway, "logon")[known:]
    assert [(event["result"], event["user"]) for event in told] == [("Failed", "admin"), ("Failed", "(unknown)")]


def test_too_many_failures_make_wait(gateway: Gateway) -> None:
    """ACC-08"""
    browser = gateway.browser()
    statuses = [browser.log_on(password="not the password").status for _ in range(4)]
    assert statuses == [401, 401, 401, 429]
    reply = browser.log_on()
    assert reply.status == 429
    assert int(reply.headers["retry-after"]) >= 1
    assert "try again" in reply.text


def test_only_our_pages_can_come_next(gateway: Gateway) -> None:
    for to in ("https://evil.example/", "//evil.example/", "/logoff", "/api/v1/status"):
        assert gateway.browser().log_on(to=to).headers["location"] == "/"
    assert gateway.browser().log_on(to="/queues/overview").headers["location"] == "/queues/overview"


def test_forms_need_the_token_of_their_session(gateway: Gateway, admin: Browser) -> None:
    other = gateway.admin()
    assert admin.request("POST", "/logoff", {}).status == 403
    assert admin.request("POST", "/logoff", {"token": other.token("/status")}).status == 403
    token = admin.token("/status")
    assert admin.request("POST", "/logoff", {"token": token}, headers={"sec-fetch-site": "cross-site"}).status == 403
    assert admin.get("/status").status == 200
    browser = gateway.browser()
    reply = browser.request("POST", "/logon", {"user": "admin", "password": PASSWORD, "token": "0" * 64})
    assert reply.status == 403
    assert "Please try again" in reply.text


def test_a_session_that_timed_out_leads_to_the_logon(gateway: Gateway, admin: Browser) -> None:
    """ACC-06, ACC-09"""
    known = len(journal_of(gateway, "logoff"))
    with sqlite3.connect(gateway.root / "control" / "access.sqlite") as connection:
        connection.execute("UPDATE session SET active = active - 301")
    connection.close()
    assert admin.get("/api/v1/status").status == 401
    reply = admin.get("/queues/overview")
    assert reply.headers["location"] == "/logon?why=ended&next=%2Fqueues%2Foverview"
    assert "after 5 minutes without activity" in admin.get(reply.headers["location"]).text
    wait_until(lambda: len(journal_of(gateway, "logoff")) > known, "the timeout is noted")
    assert {event["reason"] for event in journal_of(gateway, "logoff")[known:]} == {"timeout"}


def test_figures_move_with_the_journal(gateway: Gateway, admin: Browser) -> None:
    """STAT-07, STAT-14..23, STAT-25..28, SVC-05; PROC-18, GAP-21: forwarded when delivered."""
    gateway.start_service()
    wait_until(lambda: figures(admin)["accepted"] == 0, "a start sets the counters to zero")
    gateway.accept("1N4ABCDE00001", size=3 * 1024 * 1024)
    gateway.accept("1N4ABCDE00002", size=1024 * 1024 // 2)
    for event in (
        events.Delivered(
            smtp_id="1N4ABCDE00001", reverse_path="a@b", forward_path="c@d", server="x", connection_id="1"
        ),
        events.Rejected(client="192.0.2.1", connection_id="1", reason="relay"),
        events.Dropped(smtp_id="1N4ABCDE00002", reason="virus"),
        events.Held(smtp_id="1N4ABCDE00002", reason="encrypted"),
        events.Forwarding(smtp_id="1N4ABCDE00002", forward_path="e@f", forward_id="1N4ABCDE00003", reason="subject"),
        events.Forwarding(smtp_id="1N4ABCDE00002", forward_path="g@h", forward_id="1N4ABCDE00004", reason="subject"),
        events.Forwarded(smtp_id="1N4ABCDE00002", forward_path="e@f", forward_id="1N4ABCDE00003"),
        events.FileDeleted(smtp_id="1N4ABCDE00001", virus="Test", part="2"),
        events.VirusLogged(smtp_id="1N4ABCDE00001", virus="Test", part="3"),
        events.FileRepaired(smtp_id="1N4ABCDE00001", virus="Test", part="4"),
        events.AttachmentDeleted(smtp_id="1N4ABCDE00001", part="2", file="a.exe", reason="virus"),
        events.Scanned(smtp_id="1N4ABCDE00001", verdict="clean"),
        events.Scanned(smtp_id="1N4ABCDE00002", verdict="unscanned"),
        events.QueueLengths(fast=1, slow=22, hold=3),
        events.DefinitionsLoaded(revision="r-77", signatures=1234),
    ):
        gateway.journal.write(event)
    wait_until(lambda: figures(admin).get("definitions") == "r-77", "the last event has arrived")
    expected = {
        "accepted": 2, "delivered": 1, "rejected": 1, "dropped": 1, "held": 1, "forwarded": 1,
        "attachments": 1, "deleted": 1, "logged": 1, "repaired": 1, "infections": 3, "unscanned": 1,
        "fast_queue": 1, "slow_queue": 22, "hold_queue": 3, "received_mb": 3.5,
    }  # fmt: skip
    shown = figures(admin)
    assert {name: shown[name] for name in expected} == expected
    page = admin.get("/status").text
    assert '<td data-figure="slow_queue" class="number">22</td>' in page
    assert "1,234 signatures" in page
    assert "Accepted, the last hour: 2 in all" in page
    assert '<a class="button" href="/status?span=hour">Refresh</a>' in page  # UI-07


def test_what_is_switched_off_is_told(gateway: Gateway, admin: Browser) -> None:
    """STAT-05, STAT-08, STAT-09: as the settings are, a moment after they were changed."""

    def told() -> list[object]:
        shown = figures(admin)
        return [shown[name] for name in ("scanning", "delivery", "incoming")]

    def change(value: bool | None) -> None:
        off = None if value is None else not value
        values = {"antivirus.enabled": off, "delivery.pause": value, "delivery.reject_incoming": value}
        Keeper(Layout(gateway.root)).save(None, values, Author("", "", 1), "changed")

    assert told() == ["Enabled", "Delivery", "Accept"]
    try:
        change(True)
        wait_until(lambda: told() == ["Disabled", "Pause", "Reject"], "the page follows the settings")
        change(False)
        wait_until(lambda: told() == ["Enabled", "Delivery", "Accept"], "and back")
    finally:
        change(None)


def test_what_senders_write_stays_text(gateway: Gateway, admin: Browser) -> None:
    gateway.accept("1N4ABCDE0000X".replace("X", "9"), subject="<script>alert(1)</script>")
    wait_until(lambda: "alert(1)" in admin.get("/events?q=alert").text, "the event is there")
    text = admin.get("/events?q=%3Cscript%3Ealert").text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_the_story_of_a_message(gateway: Gateway, admin: Browser) -> None:
    """PROC-25"""
    gateway.accept("1N4ABCDEV0001")
    gateway.accept("1N4ABCDEV0002")
    wait_until(lambda: "1N4ABCDEV0002" in admin.get("/events").text, "both are there")
    assert 'href="/events?q=1N4ABCDEV0001"' in admin.get("/events").text
    text = admin.get("/events?q=1N4ABCDEV0001").text
    assert "1N4ABCDEV0002" not in text
    assert "No event contains “nothing like this”" in admin.get("/events?q=nothing+like+this").text


def test_what_programs_read_is_left_out_and_tables_are_words(gateway: Gateway, admin: Browser) -> None:
    evidence = Evidence(header=Header(subject="only for programs"))
    gateway.journal.write(events.Scanned(smtp_id="1N4ABCDEV0003", verdict="clean", evidence=evidence))
    told = {"DISPOSITION": "The message was dropped.", "SPAMINFO": "a list"}
    gateway.journal.write(
        events.NotificationWanted(smtp_id="1N4ABCDEV0003", kind="spam", audience="administrator", values=told)
    )
    wait_until(lambda: "SPAMINFO" in admin.get("/events").text, "both are there")
    text = admin.get("/events?q=1N4ABCDEV0003").text
    assert "only for programs" not in text
    assert "DISPOSITION: The message was dropped.; SPAMINFO: a list" in text


def put_into_queue(gateway: Gateway, place: str, smtp_id: str, reason: str) -> None:
    files = MessageFiles(gateway.root / "queue", Disk())
    files.prepare()
    body = b"Subject: x\r\n\r\nhello\r\n"
    now = time.time_ns()
    recipients = (Recipient("b@example.com"), Recipient("c@example.com"))
    received = Received(
        smtp_id, now, "1n4abc0000000", "192.0.2.7", 25, "mx.example.org", "ESMTP", "", "<i>@example.org", recipients
    )
    attempts = [Attempt(smtp_id, now, 0, Result.PENDING, "451 4.7.1 greylisted", "10.0.0.5:25")]
    notes = [*attempts, Moved(smtp_id, now, place, reason, now)]
    files.write(place, smtp_id, msgspec.msgpack.encode(received), [body], list(map(msgspec.msgpack.encode, notes)))


def test_the_queues_page(gateway: Gateway, admin: Browser) -> None:
    assert 'data-queue="hold">0 <small>messages<' in admin.get("/queues/overview").text
    put_into_queue(gateway, "slow", "1N4ABCDE00010", "")
    put_into_queue(gateway, "hold", "1N4ABCDE00020", "a part is encrypted")
    damaged = gateway.root / "queue" / "hold" / "00" / "1N4ABCDE00030.msg"
    damaged.parent.mkdir(exist_ok=True)
    damaged.write_bytes(b"nothing of the kind")
    wait_until(
        lambda: 'data-queue="hold">2 <small>messages<' in admin.get("/queues/overview").text,
        "what was put there counts",
    )
    assert 'data-queue="slow">1 <small>message<' in admin.get("/queues/overview").text
    slow = admin.get("/queues/slow").text
    assert "451 4.7.1 greylisted" in slow
    assert "b@example.com" in slow and "and 1 more</small>" in slow
    assert "&lt;i&gt;@example.org" in slow
    hold = admin.get("/queues/hold").text
    assert "a part is encrypted" in hold
    assert "1N4ABCDE00030" not in hold, "a damaged file does not break the list; its relay deals with it"


def test_the_report_account_sees_no_other_pages(gateway: Gateway) -> None:
    """ACC-02"""
    browser = gateway.report()
    for path in ("/status", "/queues/overview", "/events"):
        reply = browser.get(path)
        assert reply.status == 403
        assert "may not see this page" in reply.text
        assert 'href="/status"' not in reply.text
    assert browser.get("/api/v1/status").status == 403
    assert browser.request("POST", "/logoff", {"token": browser.token("/status")}).status == 303


def test_other_names_are_refused(gateway: Gateway) -> None:
    browser = gateway.browser()
    browser.host = "evil.example"
    reply = browser.get("/logon")
    assert reply.status == 421
    assert "add it to names under [web]" in reply.text
    browser.host = f"localhost:{gateway.https_port}"
    assert browser.get("/logon").status == 200


def test_request_bodies_are_bounded(gateway: Gateway, admin: Browser) -> None:
    reply = admin.request("POST", "/logoff", body=b"token=" + b"x" * (FORM_LEN + 1))
    assert reply.status == 413
    many = b"&".join(b"a=1" for _ in range(FORM_FIELDS + 1))
    assert admin.request("POST", "/logoff", body=many).status == 400
    assert admin.request("POST", "/logoff", body=b"{}", headers={"content-type": "application/json"}).status == 415
    assert admin.request("POST", "/logoff", body=b"token=%ff\xff").status == 400


def test_errors_have_a_page_in_plain_words(gateway: Gateway, admin: Browser) -> None:
    reply = admin.get("/nowhere")
    assert reply.status == 404
    assert "There is no such page" in reply.text
    assert admin.get("/logoff").status == 405
    assert admin.get("/static/../serve.py").status == 404
    assert admin.get("/static/%2e%2e/serve.py").status == 404


def test_the_plain_port_only_redirects(gateway: Gateway) -> None:
    """HTTP-06, GAP-14: what came in clear text is not acted upon."""

    def ask(method: str, path: str, host: str = "127.0.0.1") -> tuple[int, str | None]:
        connection = http.client.HTTPConnection("127.0.0.1", gateway.http_port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, headers={"host": f"{host}:{gateway.http_port}"})
            response = connection.getresponse()
            return response.status, response.headers["location"]
        finally:
            connection.close()

    assert ask("GET", "/status") == (307, f"{gateway.url}/status")
    assert ask("GET", "//evil.example/x") == (307, f"{gateway.url}//evil.example/x")
    assert ask("POST", "/logon") == (403, None)
    assert ask("GET", "/", "evil.example") == (421, None)


def test_times_have_a_zone(gateway: Gateway, admin: Browser) -> None:
    """GAP-36"""
    gateway.journal.write(events.ProcessRestarted(time=timestamp(0), name="relay-0", reason="signal 9"))
    zone = time.strftime("%Z")
    assert re.search(
        rf"As of <span[^>]*>\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d {re.escape(zone)}<", admin.get("/status").text
    )
