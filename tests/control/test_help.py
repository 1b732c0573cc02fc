"""The manual: a text for every page, at the page itself and under /help; links lead on; nothing in it is HTML."""

import re

import pytest

from control import help as manual
from control.navigation import PLACES, Place
from control.pages.windows import WINDOWS
from tests.control.harness import Browser, Gateway


def paths(place: Place) -> list[str]:
    return [path for one in place.places for path in paths(one)] if place.places else [place.path]


EVERY = [path for place in PLACES for path in paths(place)]


@pytest.fixture
def admin(gateway: Gateway) -> Browser:
    return gateway.admin()


@pytest.mark.parametrize("path", [path for path in EVERY if path != "/help"])
def test_every_page_has_a_text(path: str) -> None:
    """UI-05: each page has Help."""
    assert manual.help_for(path).name != manual.INDEX, (
        f"write control/help/manual/{path.strip('/').replace('/', '-')}.md"
    )


def test_help_is_at_each_form_and_on_pages_of_its_own(gateway: Gateway, admin: Browser) -> None:
    """UI-05."""
    page = admin.get("/blocking/content/configure").text
    text = manual.text("blocking-content")
    assert f'<a href="{text.address}">Help</a>' in page  # of every page, at its top
    assert "<summary>Help</summary>" in page and text.html in page
    own = admin.get(text.address).text
    assert (
        text.html in own and "<code>blocking.size.max_mb</code>" in own
    )  # words of settings come from their declaration
    assert '<a href="/blocking/content/configure">Content</a>' in own


def test_all_texts_are_listed(gateway: Gateway, admin: Browser) -> None:
    listed = re.findall(r'href="(/help/[^"]+)"', admin.get("/help").text)
    assert sorted(set(listed)) == [f"/help/{name}" for name in manual.names()]


@pytest.mark.parametrize("name", [*manual.names(), manual.INDEX])
def test_links_of_a_text_lead_to_texts(name: str) -> None:
    known = {f"/help/{one}" for one in manual.names()} | {"/help"} | set(EVERY)
    html = manual.text(name).html
    assert set(re.findall(r'href="([^"]+)"', html)) <= known
    assert not re.search(r"\sstyle=|<script|<img", html)


def test_raw_html_is_text() -> None:
    """Whoever writes a text cannot put a script on a page by accident."""
    assert "<b>" not in manual._MARKDOWN.render("a <b>word</b>\n\n<script>x</script>\n")


def test_what_is_no_page_of_the_manual_is_not_there(gateway: Gateway, admin: Browser) -> None:
    for name in ("nothing", "..%2f..%2fconftest", "index.md", "%00"):
        assert admin.get(f"/help/{name}").status == 404
    assert gateway.browser().get("/help").status == 303


def test_windows_find_their_help() -> None:
    assert {manual.help_for(window.path).name for window in WINDOWS} <= set(manual.names())
