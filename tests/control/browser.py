"""Pages in a real Chromium, in every look: light and dark, wide and narrow, with scripts and without.

with visiting(chromium, gateway) as visitor:        # logged on as admin; troubles fail the test at the end
    visitor.go("/queues").get_by_role("button", name="Drop").click()

check(chromium, gateway, "/queues")                 # all looks of a page, with pictures and axe-core
check(chromium, gateway, "/queues", name="queues-asked", prepare=lambda page: page.click("text=Drop"))
"""

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, Protocol
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Request, expect, sync_playwright

from tests.control import axe
from tests.control.harness import PATIENCE_S

CHROMIUM: Final = "/usr/bin/chromium"
MS: Final = PATIENCE_S * 1000
WIDTHS: Final = (1280, 390)
HEIGHT: Final = 800
PICTURES: Final = os.environ.get("MAILWARD_PICTURES", "")  # a folder; empty: none are taken, they take their time

Scheme = Literal["light", "dark"]
SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")

# What axe-core tries in which look: colors do not change with the width.
RULES: Final[dict[tuple[Scheme, int], dict[str, Any]]] = {
    ("light", WIDTHS[0]): axe.EVERYTHING,
    ("dark", WIDTHS[0]): axe.COLORS,
    ("light", WIDTHS[1]): axe.EVERYTHING,
}

# Before any script of the page: what its policy refuses is an error, as are scripts and elements of hostile mail.
_WATCH: Final = """document.addEventListener("securitypolicyviolation",
    e => console.error(`against the policy: ${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber}`))"""
# What sticks out of the window on the right, unless it scrolls in a frame of its own.
_TOO_WIDE: Final = """() => [...document.querySelectorAll("body *")]
    .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5 && !e.closest(".scroll"))
    .map(e => e.outerHTML.slice(0, 100))"""
_OUTLINE: Final = """() => [
    ...[...document.querySelectorAll("h1, h2, h3")].filter(e => e.checkVisibility())
        .map(e => `${e.tagName} ${e.innerText}`),
    ...[...document.forms].map(form => `${form.method} ${new URL(form.action).pathname} `
        + [...form.elements].map(e => e.name).filter(name => name).sort().join(" "))]"""


class Site(Protocol):
    """What has pages: a gateway, or a central quarantine server."""

    @property
    def url(self) -> str: ...

    def session(self) -> dict[str, str]:
        """The cookies of a new session of admin."""
        ...


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for the tests of a module; the fixture of this name gives it."""
    expect.set_options(timeout=MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


class Visitor:
    """Somebody with a window of their own. troubles: what no page may do, in the order in which it was done."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.troubles: list[str] = []
        self._refused = ""  # the address of a page that is refused, which Chromium calls an error, too
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.troubles.append(f"a script failed: {error}"))
        page.on("dialog", self._asked)
        page.on("request", self._requested)

    def go(self, path: str, status: int = 200) -> Page:
        """status: of the answer, which is asserted."""
        self._refused = self.url + path if status >= 400 else ""
        answer = self.page.goto(self.url + path)
        assert answer is not None and answer.status == status, f"{path} answers {answer and answer.status}"
        return self.page

    def assert_quiet(self) -> None:
        """Nothing that no page may do was done since the last time."""
        troubles, self.troubles = self.troubles, []
        assert troubles == [], self.page.url

    def _said(self, message: ConsoleMessage) -> None:
        expected = self._refused and message.location.get("url") == self._refused
        if message.type in ("error", "warning") and not expected:
            self.troubles.append(f"{message.type}: {message.text}")

    def _asked(self, dialog: Dialog) -> None:
        self.troubles.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != self.url:
            self.troubles.append(f"asked elsewhere: {request.url}")


@contextlib.contextmanager
def visiting(
    chromium: Browser,
    gateway: Site,
    *,
    session: dict[str, str] | None = None,
    scheme: Scheme = "light",
    width: int = WIDTHS[0],
    scripts: bool = True,
) -> Iterator[Visitor]:
    """session: cookies; those of a new session of admin if None, {} for nobody. Troubles fail the test when it ends."""
    context = chromium.new_context(
        ignore_https_errors=True,
        color_scheme=scheme,
        viewport={"width": width, "height": HEIGHT},
        java_script_enabled=scripts,
        reduced_motion="reduce",
    )
    try:
        context.set_default_timeout(MS)
        context.add_init_script(_WATCH)
        for name, value in (gateway.session() if session is None else session).items():
            context.add_cookies(
                [{"name": name, "value": value, "url": gateway.url, "secure": True, "sameSite": "Strict"}]
            )
        visitor = Visitor(context.new_page(), gateway.url)
        yield visitor
        visitor.assert_quiet()
    finally:
        context.close()


class Looks:
    """Windows of one person, for each look."""

    def __init__(self, windows: list[Visitor], plain: Visitor) -> None:
        """windows: for WIDTHS. plain: without scripts."""
        self.windows = windows
        self.plain = plain

    def check(
        self,
        path: str,
        *,
        name: str = "",
        status: int = 200,
        prepare: Callable[[Page], object] = lambda page: None,
    ) -> None:
        """A page in every look. prepare: what to do on it before it is looked at. name: of the pictures."""
        name = name or path
        outlines: list[list[str]] = []
        for width, visitor in zip(WIDTHS, self.windows, strict=True):
            visitor.troubles.clear()  # of a page before that failed
            page = visitor.go(path, status)
            outlines.append(outline(page))
            prepare(page)
            for scheme in SCHEMES:
                page.emulate_media(color_scheme=scheme)
                picture(page, f"{name}-{scheme}-{width}")
                where = f"{path}, {scheme}, {width} pixels"
                assert not (wide := too_wide(page)), f"{where}, is too wide: {wide}"
                if rules := RULES.get((scheme, width)):
                    assert not (found := axe.violations(page, rules)), f"{where}, is not for everybody: {found}"
            visitor.assert_quiet()
        assert outline(self.plain.go(path, status)) == outlines[0], f"{path} without scripts"


@contextlib.contextmanager
def looking(chromium: Browser, gateway: Site, session: dict[str, str] | None = None) -> Iterator[Looks]:
    """session: cookies; those of a new session of admin if None, {} for nobody."""
    cookies = gateway.session() if session is None else session
    with contextlib.ExitStack() as stack:
        windows = [stack.enter_context(visiting(chromium, gateway, session=cookies, width=width)) for width in WIDTHS]
        plain = stack.enter_context(visiting(chromium, gateway, session=cookies, scripts=False))
        yield Looks(windows, plain)


def picture(page: Page, name: str) -> None:
    """For people to look at (`make pictures`)."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{picture_name(name)}.png", full_page=True, animations="disabled")


def picture_name(path: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-") or "first"


def outline(page: Page) -> list[str]:
    """Its headings and forms, as far as they can be seen."""
    found: list[str] = page.evaluate(_OUTLINE)
    assert found, page.url
    return found


def too_wide(page: Page) -> list[str]:
    """What makes it scroll sideways (WCAG 1.4.10)."""
    found: list[str] = page.evaluate(_TOO_WIDE)
    return found
