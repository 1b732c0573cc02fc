"""A postmaster at the pages of a running gateway: wrong password, logon, numbers that move with the mail."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.control.browser import CHROMIUM, picture
from tests.system.harness import PASSWORD, PATIENCE_S, Gateway, Mailbox


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(ignore_https_errors=True)
        context.set_default_timeout(PATIENCE_S * 1000)
        expect.set_options(timeout=PATIENCE_S * 1000)
        yield context.new_page()
        browser.close()


def test_status_moves_while_mail_flows(running: tuple[Gateway, Mailbox], page: Page) -> None:
    gateway, mailbox = running
    page.goto(f"http://127.0.0.1:{gateway.http}/")
    assert page.url.startswith(f"https://127.0.0.1:{gateway.https}/")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill("this is not it")
    page.get_by_role("button", name="Log on").click()
    expect(page.get_by_role("alert")).to_be_visible()
    picture(page, "wrong-password")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log on").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Status")
    expect(page.locator("[data-figure=accepted]")).to_have_text("0")
    for number in range(3):
        gateway.send(f"Subject: mail {number}\r\n\r\nbody\r\n".encode())
    mailbox.wait(3)
    expect(page.locator("[data-figure=accepted]")).to_have_text("3")
    expect(page.locator("[data-figure=delivered]")).to_have_text("3")
    picture(page, "status")
