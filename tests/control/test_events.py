"""The Events page and its operation: search, filters, pages, and following it."""

import time

import msgspec
import pytest

from control.operations.events import KINDS, SHOWN
from engine import events
from engine.journal import timestamp
from tests.control.harness import Browser, Gateway, wait_until

HOUR_NS = 3600 * 10**9


@pytest.fixture(scope="module")
def past(gateway: Gateway) -> None:
    """SHOWN + 1 violations, and one of an hour ago."""
    gateway.journal.write(
        events.ProtocolViolation(
            time=timestamp(time.time_ns() - HOUR_NS), client="192.0.2.9", connection_id="1", violation="an old one"
        )
    )
    for number in range(SHOWN + 1):
        gateway.journal.write(
            events.ProtocolViolation(client="192.0.2.1", connection_id="1", violation=f"number {number:03}!")
        )
    gateway.journal.write(
        events.Rejected(client="192.0.2.1", connection_id="1", reason="relay", reverse_path="<script>@x")
    )
    gateway.journal.flush()
    browser = gateway.admin()
    wait_until(lambda: "&lt;script&gt;@x" in browser.get("/events?kind=rejected").text, "the journal was read")


@pytest.fixture
def admin(gateway: Gateway, past: None) -> Browser:
    return gateway.admin()


def asked(admin: Browser, query: str) -> list[dict[str, str]]:
    reply = admin.get(f"/api/v1/events{query}")
    assert reply.status == 200, reply.text
    return [one["event"] for one in msgspec.json.decode(reply.text)["events"]]


def test_pages_lead_to_older_events_without_gap_or_repeat(admin: Browser) -> None:
    """PROC-25, LOG-05"""
    seen: list[str] = []
    query = "?kind=protocol-violation&term=number&limit=70"
    while query:
        found = msgspec.json.decode(admin.get(f"/api/v1/events{query}").text)
        seen += [one["event"]["violation"] for one in found["events"]]
        query = f"?kind=protocol-violation&term=number&limit=70&before={found['next']}" if found["next"] else ""
    assert seen == [f"number {number:03}!" for number in reversed(range(SHOWN + 1))]


def test_the_page_has_as_many_as_are_shown_and_a_way_to_older_ones(admin: Browser) -> None:
    page = admin.get("/events?kind=protocol-violation&q=number").text
    assert f"{SHOWN} events with “number”, newest first" in page
    assert "number 001!" in page
    assert "number 000!" not in page
    older = page.split('<a class="button" href="')[1].split('"')[0].replace("&amp;", "&")
    following = admin.get(older).text
    assert "number 000!" in following
    assert "number 001!" not in following
    assert '<a class="button" href="/events?' in following, "and back to the newest"


def test_kind_and_time_narrow_the_list(admin: Browser) -> None:
    now = int(time.time())
    assert [one["event"] for one in asked(admin, "?kind=rejected")] == ["rejected"]
    old = asked(admin, f"?kind=protocol-violation&until={now - 1800}")
    assert [one["violation"] for one in old] == ["an old one"]
    assert asked(admin, f"?kind=protocol-violation&since={now - 1800}&term=old") == []
    both = asked(admin, "?kind=rejected&kind=logon")
    assert {one["event"] for one in both} <= {"rejected", "logon"}
    local = time.strftime("%Y-%m-%dT%H:%M", time.localtime(now - 1800))
    page = admin.get(f"/events?until={local}").text
    assert "an old one" in page
    assert "number" not in page.split("<tbody>")[1]


@pytest.mark.parametrize(
    "query", ["kind=nothing", "before=1", "before=x.y.z", "limit=0", "limit=1001", "since=-1", "term=" + "x" * 201]
)
def test_what_is_no_search_is_refused_in_words(admin: Browser, query: str) -> None:
    reply = admin.get(f"/api/v1/events?{query}")
    assert reply.status == 422
    assert msgspec.json.decode(reply.text)["errors"]


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "<script>", "9999-12-31T23:59:59-23:59", "0001-01-01"])
def test_a_time_that_is_none_is_told_and_kept(admin: Browser, since: str) -> None:
    page = admin.get(f"/events?since={since}")
    assert page.status == 200
    assert "<script>&" not in page.text
    if since in ("yesterday", "2026-13-01", "<script>"):
        assert "Write a time as in" in page.text


def test_a_list_that_is_followed_is_sent_only_when_it_has_changed(gateway: Gateway, admin: Browser) -> None:
    first = msgspec.json.decode(admin.get("/events/live?q=follow-me").text)
    assert "No event contains" in first["html"]
    again = msgspec.json.decode(admin.get(f"/events/live?q=follow-me&shown={first['version']}").text)
    assert again == {"version": first["version"], "html": ""}
    gateway.journal.write(events.ScanError(smtp_id="1N4ABCDE00001", description="follow-me <b>"))
    gateway.journal.flush()
    wait_until(
        lambda: "follow-me &lt;b&gt;" in admin.get(f"/events/live?q=follow-me&shown={first['version']}").text,
        "the new event is shown",
    )


def test_every_kind_of_event_can_be_chosen(admin: Browser) -> None:
    page = admin.get("/events").text
    assert "accepted" in KINDS and "queue-lengths" in KINDS
    assert all(f'<option value="{kind}"' in page for kind in KINDS)
