"""Settings changed in the browser change what the running gateway does, and the browser says when they do."""

import smtplib

from engine import config
from tests.control.filled import Form
from tests.control.harness import Browser
from tests.system.harness import PASSWORD, Gateway, Mailbox, until

MIB = 1 << 20
LARGE = b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" + (b"y" * 76 + b"\r\n") * (MIB // 78 + 1)


def save(browser: Browser, path: str, typed: dict[str, str]) -> str:
    """Returns what the page says afterwards."""
    form = Form.of(browser, path)
    form.fields |= typed
    preview = form.press(browser)
    assert preview.status == 200, preview.text
    done = Form(preview.text, path).press(browser, ("do", "save"))
    assert done.status == 303, done.text
    return browser.get(path).text


def refused(gateway: Gateway, content: bytes) -> int:
    try:
        gateway.send(content)
    except smtplib.SMTPResponseException as error:
        return error.smtp_code
    return 0


def test_a_limit_that_is_set_in_the_browser_is_kept_by_smtp(running: tuple[Gateway, Mailbox]) -> None:
    """UI-05, PROC-15, SIZE-01, SIZE-03, ALR-07: by a form, without a restart; and taken back by the history."""
    gateway, mailbox = running
    browser = Browser(gateway.https)
    assert browser.log_on("admin", PASSWORD).status == 303
    assert refused(gateway, LARGE) == 0
    mailbox.wait(1)
    path = "/blocking/content/configure"
    said = save(browser, path, {"blocking.size.enabled": "yes", "blocking.size.max_mb": "1"})
    assert "Saved: 2 settings changed. The gateway works by it now." in said
    assert ">In force<" in said
    until(lambda: refused(gateway, LARGE) == 552, "the limit holds")
    changed = gateway.wait_service_event("configuration-applied")[-1]["changed"]
    assert changed == ["blocking.size.enabled", "blocking.size.max_mb"]
    history = Form.of(browser, "/configuration/history")
    asked = browser.request("POST", history.action, history.fields | {"do": "undo"})
    assert "Take this change back" in asked.text
    browser.request("POST", history.action, history.fields | {"do": "undo", "confirmed": "yes"})
    until(lambda: refused(gateway, LARGE) == 0, "the limit is gone")
    assert not config.load(gateway.root / config.FILE_NAME).blocking.size.enabled


def arrived(mailbox: Mailbox) -> bool:
    return any(b"Subject: waits" in one.content for one in mailbox.mail())


def test_mail_is_paused_and_goes_on_by_a_check_box(running: tuple[Gateway, Mailbox]) -> None:
    """DLV-01, DLV-03."""
    gateway, mailbox = running
    browser = Browser(gateway.https)
    browser.log_on("admin", PASSWORD)
    path = "/configuration/setup/delivery"
    save(browser, path, {"delivery.pause": "yes"})
    gateway.wait_event("configuration-adopted")
    gateway.send(b"Subject: waits\r\n\r\nx\r\n")
    gateway.wait_event("accepted")
    assert not arrived(mailbox)
    save(browser, path, {"delivery.pause": "no"})
    until(lambda: arrived(mailbox), "it goes on")
