"""The pages in a real Chromium."""

import sqlite3
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.control.browser import Visitor, too_wide, visiting
from tests.control.harness import PASSWORD, Gateway


@pytest.fixture
def page(chromium: Browser, gateway: Gateway) -> Iterator[Page]:
    """At the logon page."""
    with visiting(chromium, gateway, session={}) as visitor:
        page = visitor.go("/logon")
        yield page
        visitor.troubles.clear()  # a wrong password is refused, which Chromium calls an error


@pytest.fixture
def visitor(chromium: Browser, gateway: Gateway) -> Iterator[Visitor]:
    """Logged on, at the Status page."""
    with visiting(chromium, gateway) as visitor:
        expect(visitor.go("/status").get_by_role("heading", level=1)).to_have_text("Status")
        yield visitor


@pytest.fixture
def inside(visitor: Visitor) -> Page:
    return visitor.page


def log_on(page: Page, password: str = PASSWORD) -> None:
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log on").click()


def figure(page: Page, name: str) -> str:
    return page.locator(f"[data-figure={name}]").inner_text()


def test_a_wrong_password_then_the_right_one(page: Page) -> None:
    log_on(page, "not the password")
    expect(page.get_by_role("alert")).to_contain_text("Check that Caps Lock is off, and try again.")
    expect(page.get_by_label("User name")).to_have_value("admin")
    expect(page.get_by_label("Password")).to_be_focused()
    log_on(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Status")
    expect(page.get_by_role("navigation").get_by_role("link", name="Status")).to_have_attribute("aria-current", "page")


def test_numbers_and_bars_move_when_the_journal_grows(inside: Page, gateway: Gateway) -> None:
    page = inside
    gateway.start_service()
    expect(page.locator("[data-figure=accepted]")).to_have_text("0")
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    for number in range(3):
        gateway.accept(f"1N4ABCDE0000{number}")
    expect(page.locator("[data-figure=accepted]")).to_have_text("3")
    expect(page.locator("svg.accepted path[d*=M]")).to_be_attached()


def test_live_numbers_can_be_paused(inside: Page, gateway: Gateway) -> None:
    """WCAG 2.2.2"""
    page = inside
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused")).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def test_log_off(inside: Page) -> None:
    page = inside
    page.get_by_role("button", name="Log off").click()
    expect(page.get_by_role("status")).to_have_text("You are logged off.")
    page.go_back()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log on")


def test_a_timeout_leads_to_the_logon_and_back(visitor: Visitor, gateway: Gateway) -> None:
    """ACC-06: although the page refreshes its figures all the time."""
    page = visitor.page
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    with sqlite3.connect(gateway.root / "control" / "access.sqlite") as connection:
        connection.execute("UPDATE session SET active = active - 301")
    connection.close()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log on")
    expect(page.get_by_role("status")).to_contain_text("without activity")
    log_on(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Status")
    visitor.troubles.clear()  # the figures were refused meanwhile


def test_everything_works_without_scripts(chromium: Browser, gateway: Gateway) -> None:
    with visiting(chromium, gateway, session={}, scripts=False) as visitor:
        walk_without_scripts(visitor.go("/logon"), gateway)


def walk_without_scripts(page: Page, gateway: Gateway) -> None:
    log_on(page)
    gateway.start_service()
    gateway.accept("1N4ABCDEV0007")
    for _ in range(100):  # the journal is followed twice a second
        page.get_by_role("link", name="Refresh").click()
        if figure(page, "accepted") == "1":
            break
    assert figure(page, "accepted") == "1"
    assert page.locator("svg.accepted path[d*=M]").count() == 1
    page.get_by_role("navigation").get_by_role("link", name="Events").click()
    page.get_by_role("link", name="1N4ABCDEV0007").first.click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("navigation").get_by_role("link", name="Queues").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Queues")
    page.get_by_role("button", name="Log off").click()
    expect(page.get_by_text("You are logged off.")).to_be_visible()


def test_nothing_breaks_the_content_security_policy(inside: Page, gateway: Gateway) -> None:
    said: list[str] = []
    inside.on("console", lambda message: said.append(message.text))
    inside.on("pageerror", lambda error: said.append(str(error)))
    for path in ("/queues/overview", "/events", "/status"):
        inside.goto(gateway.url + path)
    with inside.expect_response("**/status/live?*"):
        pass
    expect(inside.get_by_text("Live", exact=True)).to_be_visible()
    assert said == []


def test_no_page_scrolls_sideways(inside: Page, gateway: Gateway) -> None:
    """WCAG 1.4.10, down to 320 pixels."""
    gateway.accept("1N4ABCDE00001", subject="long" * 100)
    for path in ("/status", "/queues/overview", "/events"):
        inside.goto(gateway.url + path)
        for width in (320, 390, 800, 1600):
            inside.set_viewport_size({"width": width, "height": 700})
            assert too_wide(inside) == [], (path, width)


def test_the_keyboard_reaches_the_content_first(inside: Page) -> None:
    """WCAG 2.4.1"""
    page = inside
    page.goto(page.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_the_list_of_events_is_followed_until_it_is_not(visitor: Visitor, gateway: Gateway) -> None:
    """LOG-05, ACC-06: only when asked to; what is new comes by itself then, and stops coming."""
    page = visitor.go("/events?q=followed")
    expect(page.get_by_text("No event")).to_be_visible()
    follow = page.get_by_role("button", name="Follow")
    expect(page.get_by_text("Following", exact=True)).to_have_count(0)
    follow.click()
    expect(page.get_by_text("Following", exact=True)).to_be_visible()
    gateway.accept("1N4ABCDE0F001", subject="followed")
    gateway.journal.flush()
    expect(page.get_by_role("link", name="1N4ABCDE0F001")).to_be_visible()
    page.get_by_role("button", name="Stop following").click()
    expect(page.get_by_text("Following", exact=True)).to_be_hidden()
    expect(follow).to_be_visible()
