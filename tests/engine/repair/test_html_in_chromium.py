"""A real browser looks at pages before and after their repair: nothing runs any more, and what is read is the same."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Route, sync_playwright

from engine.repair import html
from tests.control.browser import CHROMIUM
from tests.engine.repair.pages import RAN, READ, RUNS

URL = "http://page.example/"
# Pictures and frames are there when a page is loaded; what they and the click lead to comes in the next turns.
_CLICK = """() => new Promise((done) => { const one = document.getElementById("c");
if (one) one.dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true}));
setTimeout(() => setTimeout(done, 0), 0); })"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield one
        one.close()


class Viewer:
    """Shows pages; nothing but the page itself can be fetched. said: what its scripts wrote to the console."""

    def __init__(self, context: BrowserContext) -> None:
        self._octets = b""
        self.said: list[str] = []
        context.route("**", self._serve)
        self._page = context.new_page()
        self._page.on("console", self._heard)

    def _serve(self, route: Route) -> None:
        if route.request.url == URL:
            route.fulfill(body=self._octets, content_type="text/html; charset=utf-8")
        else:
            route.fulfill(status=204)  # no picture, and no page to go to

    def _heard(self, message: ConsoleMessage) -> None:
        self.said.append(message.text)

    def show(self, octets: bytes) -> None:
        self._octets, self.said[:] = octets, []
        self._page.goto(URL)
        self._page.evaluate(_CLICK)

    def until_it_runs(self) -> None:
        if RAN not in self.said:
            self._page.wait_for_event("console", lambda message: RAN in message.text, timeout=20_000)

    def text(self, octets: bytes) -> str:
        """What is to be read."""
        self.show(octets)
        return self._page.inner_text("body")


@pytest.fixture(scope="module")
def viewer(browser: Browser) -> Iterator[Viewer]:
    context = browser.new_context()
    yield Viewer(context)
    context.close()


def page(piece: bytes) -> bytes:
    return b"<!doctype html><html><body>" + READ[0] + piece + b"</body></html>"


@pytest.mark.parametrize("number", range(len(RUNS)))
def test_it_runs_before_and_not_afterwards(viewer: Viewer, number: int) -> None:
    """AV-13: a fence for the test itself: each of them runs as it comes."""
    octets = page(RUNS[number])
    viewer.show(octets)
    viewer.until_it_runs()
    found = html.cleaned(octets)
    assert found is not None
    viewer.show(found.content)
    assert RAN not in viewer.said, found.content


def test_what_is_read_is_the_same(viewer: Viewer) -> None:
    """AV-13."""
    for piece in (b"<script>%s</script>", b"<p onclick=x>", b"<a href='javascript:x'>", b"<iframe srcdoc=x></iframe>"):
        octets = page(piece.join(READ))
        found = html.cleaned(octets)
        assert found is not None and viewer.text(found.content) == viewer.text(octets) != ""
