"""The Status page and its siblings for programs, with a real control process and no gateway behind it."""

import sqlite3
import time

import msgspec
import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from control.monitoring import is_listed
from engine import config, events
from engine.config import Settings
from tests.control.browser import visiting
from tests.control.harness import Browser, Gateway, wait_until


@pytest.fixture
def admin(gateway: Gateway) -> Browser:
    return gateway.admin()


def active(gateway: Gateway, admin: Browser, ago: float | None = None) -> float:
    """When the newest session was active, seconds ago; or make it so."""
    with sqlite3.connect(gateway.root / "control" / "access.sqlite") as connection:
        (newest,) = connection.execute("SELECT MAX(began) FROM session").fetchone()
        if ago is not None:
            connection.execute("UPDATE session SET active = ? WHERE began = ?", (time.time() - ago, newest))
        (found,) = connection.execute("SELECT active FROM session WHERE began = ?", (newest,)).fetchone()
    connection.close()
    return time.time() - float(found)


@pytest.mark.parametrize("path", ["/status/live?span=hour", "/events/live", "/api/v1/status", "/metrics"])
def test_what_is_asked_for_by_itself_is_no_activity(gateway: Gateway, admin: Browser, path: str) -> None:
    """ACC-06: a page that is left open does not keep its session."""
    active(gateway, admin, ago=100)
    assert admin.get(path).status == 200
    assert active(gateway, admin) > 99
    assert admin.get("/status").status == 200
    assert active(gateway, admin) < 99


def test_what_a_page_has_is_not_sent_again(admin: Browser) -> None:
    first = msgspec.json.decode(admin.get("/status/live").text)
    assert 'id="live"' in first["html"]
    again = msgspec.json.decode(admin.get(f"/status/live?shown={first['version']}").text)
    if again["version"] == first["version"]:  # else a minute has begun
        assert again["html"] == ""
    assert again["figures"].keys() == first["figures"].keys()


@pytest.mark.parametrize(("span", "bars"), [("hour", 60), ("day", 96), ("week", 84), ("<script>", 60)])
def test_the_time_is_chosen_by_a_link_and_drawn_as_a_table_too(admin: Browser, span: str, bars: int) -> None:
    """STAT-29, UI-07"""
    page = admin.get(f"/status?span={span}").text
    assert "<script>" not in page
    assert page.count('<th scope="row">', page.index("The same as numbers"), page.index("</details>")) == bars
    assert page.count('role="img"') == 8
    if bars != 60 or span == "hour":
        assert f'<a href="/status?span={span}" aria-current="true">' in page
        assert f'<a class="button" href="/status?span={span}">Refresh</a>' in page


def test_programs_get_the_same_lanes(admin: Browser) -> None:
    """STAT-30"""
    found = msgspec.json.decode(admin.get("/api/v1/status/timeline?span=day").text)
    assert (found["seconds"], len(found["starts"])) == (900, 96)
    assert [lane["id"] for lane in found["lanes"]] == [
        "accepted", "delivered", "rejected", "blocked", "infected", "fast", "slow", "hold",
    ]  # fmt: skip
    assert all(len(lane["counts"]) == 96 for lane in found["lanes"])
    assert admin.get("/api/v1/status/timeline?span=year").status == 422


@pytest.mark.parametrize(
    ("settings", "text", "link"),
    [
        (Settings(relay=config.Relay(allow_all=True)), "This is an open relay", "/blocking/relay"),
        (Settings(delivery=config.Delivery(pause=True)), "Delivery is paused", "/configuration/setup/delivery"),
        (
            Settings(delivery=config.Delivery(reject_incoming=True)),
            "Incoming mail is rejected",
            "/configuration/setup/delivery",
        ),
        (
            Settings(antivirus=config.Antivirus(enabled=False)),
            "Virus scanning is disabled",
            "/antivirus/settings/configure",
        ),
        (Settings(), "No administrator&#39;s address is set", "/assistant"),
    ],
)
def test_a_notice_leads_to_the_page_of_its_next_step(
    gateway: Gateway, admin: Browser, settings: Settings, text: str, link: str
) -> None:
    """RELAY-02, DLV-01, DLV-02, AV-01; the page is there."""
    config.save(settings, gateway.root / config.FILE_NAME)
    wait_until(lambda: text in admin.get("/status").text, text)
    notice = next(line for line in admin.get("/status").text.splitlines() if text in line)
    assert f'<a href="{link}">' in notice
    assert admin.get(link).status == 200


def test_relays_that_do_not_answer_are_told(gateway: Gateway, admin: Browser) -> None:
    config.save(Settings(processes=config.Processes(relays=1)), gateway.root / config.FILE_NAME)
    wait_until(lambda: "Relay 0 does not answer" in admin.get("/status").text, "there is none")
    config.save(Settings(processes=config.Processes(relays=2)), gateway.root / config.FILE_NAME)
    wait_until(lambda: "Relays 0, 1 do not answer" in admin.get("/status").text, "there are none")
    reply = gateway.browser().get("/ready")
    assert reply.status == 503
    assert set(msgspec.json.decode(reply.text)["reasons"]) >= {"relay 0 does not answer", "relay 1 does not answer"}
    assert str(gateway.root) not in reply.text


def test_a_browser_follows_the_events(chromium: Chromium, gateway: Gateway) -> None:
    with visiting(chromium, gateway) as visitor:
        page = visitor.go("/events?q=while-following")
        page.get_by_role("button", name="Follow").click()
        expect(page.get_by_text("Following", exact=True)).to_be_visible()
        gateway.journal.write(events.ScanError(smtp_id="1N4ABCDE00001", description="while-following <img src=x>"))
        gateway.journal.flush()
        expect(page.locator("tbody tr")).to_have_count(1)
        page.get_by_role("button", name="Stop following").click()
        expect(page.get_by_role("button", name="Follow", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    ("client", "networks", "listed"),
    [
        ("127.0.0.1", ("127.0.0.1", "::1"), True),
        ("::1", ("127.0.0.1", "::1"), True),
        ("::ffff:127.0.0.1", ("127.0.0.1",), True),
        ("127.0.0.2", ("127.0.0.1", "::1"), False),
        ("192.0.2.77", ("192.0.2.1/24",), True),
        ("192.0.3.1", ("192.0.2.0/24",), False),
        ("2001:db8::5", (" 2001:db8::/32 ", ""), True),
        ("", ("127.0.0.1",), False),
        ("a name", ("127.0.0.1",), False),
        ("127.0.0.1", (), False),
    ],
)
def test_who_may_read_the_metrics(client: str, networks: tuple[str, ...], listed: bool) -> None:
    """STAT-30"""
    assert is_listed(client, networks) is listed
