"""What watches over the pages in a browser sees what it is there for."""

import pytest
from playwright.sync_api import Browser, Page

from tests.control import axe, hostile
from tests.control.browser import looking, picture_name, visiting
from tests.control.harness import Gateway


def put(page: Page, html: str) -> None:
    page.evaluate("html => document.querySelector('main').insertAdjacentHTML('beforeend', html)", html)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("console.error('broken')", "error: broken"),
        ("setTimeout(() => { throw new Error('broken') })", "a script failed: broken"),
        ("alert('broken')", "a dialog: broken"),
        ("new Image().src = 'http://127.0.0.1:9/x'", "asked elsewhere: http://127.0.0.1:9/x"),
        (
            "document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\">x</p>')",
            "against the policy: style-src",
        ),
    ],
    ids=["console", "script", "dialog", "elsewhere", "policy"],
)
def test_faults_are_told(chromium: Browser, gateway: Gateway, fault: str, said: str) -> None:
    with visiting(chromium, gateway) as visitor:
        page = visitor.go("/events")
        visitor.assert_quiet()
        page.evaluate(f"() => {{ {fault} }}")
        page.wait_for_function("new Promise(done => requestAnimationFrame(() => setTimeout(() => done(true))))")
        assert [one for one in visitor.troubles if said in one], visitor.troubles
        visitor.troubles.clear()


@pytest.mark.parametrize(
    ("html", "rule"),
    [("<img src=/static/icon.svg>", "image-alt"), ("<input name=q>", "label"), ("<a href=/x></a>", "link-name")],
)
def test_what_not_everybody_can_use_is_found(chromium: Browser, gateway: Gateway, html: str, rule: str) -> None:
    with visiting(chromium, gateway) as visitor:
        page = visitor.go("/events")
        assert axe.violations(page, axe.EVERYTHING) == []
        put(page, html)
        assert [one.partition(":")[0] for one in axe.violations(page, axe.EVERYTHING)] == [rule]


def test_pages_that_are_too_wide_or_bad_to_read_or_not_there(chromium: Browser, gateway: Gateway) -> None:
    with looking(chromium, gateway) as looks:
        with pytest.raises(AssertionError, match=r"light, 1280 pixels, is too wide.*x{50}"):
            looks.check("/events", name="fault", prepare=lambda page: put(page, f"<nobr>{'x' * 500}</nobr>"))
        with pytest.raises(AssertionError, match=r"dark, 1280 pixels, is not for everybody.*color-contrast"):
            looks.check("/events", name="fault", prepare=black_letters)
        with pytest.raises(AssertionError, match=r"light, 1280 pixels, is not for everybody.*1:1 contrast"):
            looks.check("/events", name="fault", prepare=letters_like_their_ground)
        with pytest.raises(AssertionError, match="answers 404"):
            looks.check("/nothing")
        looks.check("/nothing", name="fault", status=404)


def letters_like_their_ground(page: Page) -> None:
    page.evaluate("() => Object.assign(document.querySelector('h1').style, {color: '#777', background: '#777'})")


def black_letters(page: Page) -> None:
    put(page, "<p id=letters>letters</p>")
    page.evaluate("document.getElementById('letters').style.color = '#111'")


def test_what_needs_scripts_is_found(chromium: Browser, gateway: Gateway) -> None:
    """A heading or a form that is there with scripts only."""
    with looking(chromium, gateway) as looks, pytest.raises(AssertionError, match="without scripts"):
        looks.plain.page.route("**/*", lambda route: route.fulfill(body="<h1>Mailward</h1>", content_type="text/html"))
        looks.check("/events", name="fault")


@pytest.mark.parametrize(
    "html", ["<mailward-hostile></mailward-hostile>", "<a href=' JavaScript:x'>x</a>", "<p mailward-hostile=1>x</p>"]
)
def test_markup_of_hostile_mail_is_found(chromium: Browser, gateway: Gateway, html: str) -> None:
    with visiting(chromium, gateway) as visitor:
        page = visitor.go("/events")
        assert page.evaluate(hostile.NOTHING_RAN)
        put(page, html)
        assert not page.evaluate(hostile.NOTHING_RAN)


def test_names_of_pictures() -> None:
    assert [picture_name(path) for path in ("/", "/queues/hold?q=1", "/a/{id}")] == ["first", "queues-hold-q-1", "a-id"]
