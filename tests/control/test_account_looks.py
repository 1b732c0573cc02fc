"""Accounts in a real Chromium: what no link leads to, in every look, for each role, and before a logon."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from control.access import AccessDatabase
from control.accounts import Accounts, Entry, Passwords, totp
from control.accounts.second_factor import SecondFactors
from control.accounts.tokens import Tokens
from control.actor import Role, Scope
from control.pages.logon import LOGON_COOKIE
from control.sessions import Sessions
from tests.control import axe
from tests.control.browser import Looks, looking, picture, too_wide, visiting
from tests.control.harness import PASSWORD, Gateway

ANNA = "the password of anna"


@pytest.fixture(scope="module")
def database(gateway: Gateway) -> Iterator[AccessDatabase]:
    """With an account anna, whose name is hostile, and tokens, one of which is over."""
    made = AccessDatabase(gateway.root)
    sessions = Sessions(made, time.time, lambda: 300.0)
    Accounts(made, Passwords(), sessions).make("anna", Role.ADMINISTRATOR, ANNA, "<b>Anna</b>" + "x" * 80)
    sessions.begin("anna", "2001:db8::1", "code")
    Tokens(made, time.time).make("anna", "a name with <i>marks</i> that is long enough to be cut off", list(Scope), 30)
    Tokens(made, lambda: time.time() - 3 * 24 * 3600).make("admin", "over", [Scope.STATUS], 1)
    yield made
    made.close()


@pytest.fixture(scope="module")
def looks(chromium: Chromium, gateway: Gateway, database: AccessDatabase) -> Iterator[Looks]:
    with looking(chromium, gateway) as found:
        yield found


FILLED = (
    "/configuration/accounts",
    "/configuration/accounts/account?user=anna",
    "/configuration/accounts/account?user=report",
    "/account",
)


@pytest.mark.parametrize("path", FILLED)
def test_pages_with_something_on_them(looks: Looks, path: str) -> None:
    """ACC-11, UI-02"""
    looks.check(path, name=f"filled-{path.replace('/', '-').replace('?', '-')}")


def test_mistakes_stand_beside_their_fields(looks: Looks) -> None:
    """ACC-05, UI-05: what is wrong is said to screen readers with the field."""

    def prepare(page: Page) -> None:
        page.get_by_label("User name").fill("Anna Smith")
        page.get_by_label("New password", exact=True).fill(ANNA)
        page.get_by_label("New password once more").fill(ANNA)
        looks.windows[0].troubles.clear()
        page.get_by_role("button", name="Make the account").click()
        field = page.get_by_label("User name")
        expect(field).to_have_value("Anna Smith")
        expect(field).to_have_attribute("aria-invalid", "true")
        expect(page.get_by_role("alert")).to_contain_text("is no user name")
        forget_refusals(looks)

    looks.check("/configuration/accounts/new", name="account-mistakes", prepare=prepare)


def forget_refusals(looks: Looks) -> None:
    """Chromium calls each answer of 4xx an error; these were wanted."""
    for window in looks.windows:
        window.troubles[:] = [one for one in window.troubles if "status of 422" not in one]


def test_a_token_is_shown_once(chromium: Chromium, gateway: Gateway, database: AccessDatabase) -> None:
    """ACC-11"""
    with visiting(chromium, gateway, width=390) as visitor:
        page = visitor.go("/account")
        page.get_by_label("Name", exact=True).fill("monitoring")
        page.get_by_label("see the status and its figures").check()
        page.get_by_role("button", name="Make the token").click()
        expect(page.locator("#secret")).to_contain_text("mw_")
        picture(page, "account-token-light-390")
        assert not too_wide(page)
        assert axe.violations(page, axe.EVERYTHING) == []
        secret = page.locator("#secret").inner_text()
        assert secret not in visitor.go("/account").content()


def test_asking_before_something_is_removed(looks: Looks) -> None:
    """UI-06"""

    def prepare(page: Page) -> None:
        page.get_by_role("button", name="Remove the account").click()
        expect(page.get_by_role("heading", name="Remove this account?")).to_be_visible()

    looks.check("/configuration/accounts/account?user=anna", name="account-remove", prepare=prepare)


def test_setting_up_the_second_factor_and_logging_on_with_it(
    chromium: Chromium, gateway: Gateway, database: AccessDatabase
) -> None:
    """ACC-11: the drawing is there, codes are shown once, and the logon asks for a second step."""
    factors = SecondFactors(database, time.time)
    with looking(chromium, gateway, gateway.session("anna")) as looks:
        secret = factors.begin("anna")
        looks.check("/account/second-factor", name="second-factor")
        page = looks.windows[0].go("/account/second-factor")
        expect(page.locator("svg.qr")).to_be_visible()
        page.get_by_label("Code").fill(totp.code(secret, int(time.time()) // totp.STEP_S))
        page.get_by_role("button", name="Switch the second factor on").click()
        expect(page.get_by_role("listitem").filter(has_text="-")).to_have_count(10)
    attempt = Entry(database, time.time, Passwords()).by_password("anna", ANNA, "127.0.0.1")
    with looking(chromium, gateway, {LOGON_COOKIE: attempt.step}) as looks:
        looks.check("/logon/code", name="logon-code")
    factors.remove("anna")


def test_logging_on_by_keyboard(chromium: Chromium, gateway: Gateway) -> None:
    """UI-01: the first field has the focus; Enter sends; then Status is there."""
    with visiting(chromium, gateway, session={}) as visitor:
        page = visitor.go("/logon")
        expect(page.locator("#user")).to_be_focused()  # by the browser, some time after the page is there
        page.keyboard.type("admin")
        page.keyboard.press("Tab")
        expect(page.locator("#password")).to_be_focused()
        page.keyboard.type(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Status")


def test_who_may_only_run_reports_sees_reporting_only(chromium: Chromium, gateway: Gateway) -> None:
    """UI-01, ACC-02: and what concerns himself."""
    report = gateway.report()
    with looking(chromium, gateway, report.cookies) as looks:
        looks.check("/account", name="account-report-only")
        looks.check("/status", name="not-allowed", status=403)
        pane = looks.windows[0].go("/account").get_by_role("navigation", name="Pages").get_by_role("link")
        assert set(pane.all_inner_texts()) <= {"Reporting", "My account", "Help"}
