"""Every page that can be reached, in every look, with hostile mail in all that it shows.

The pages are found by following links from the first one, so that a new one is looked at without being named here.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Final
from urllib.parse import parse_qsl, urljoin, urlsplit

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from control.app import routes
from control.navigation import PLACES, Place
from control.page import PageRoute
from tests.control import hostile
from tests.control.browser import Looks, looking
from tests.control.harness import Browser, Gateway

REQUESTS: Final = 400  # of one walk; far more than there are kinds of pages
PATHS: Final = [route.path for route in routes() if isinstance(route, PageRoute) and route.shown]
SECTIONS: Final = [place.label for place in PLACES]


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        target = dict(attrs).get("href")
        if tag == "a" and target is not None:
            self.found.append(target)


def kind_of(address: str) -> tuple[str, frozenset[str]]:
    """The same for addresses that are one page with other values: its route and the names of its query."""
    parts = urlsplit(address)
    route = next((path for path in PATHS if _pattern(path).fullmatch(parts.path)), parts.path)
    return route, frozenset(name for name, _ in parse_qsl(parts.query, keep_blank_values=True))


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path)))


class Walk:
    """pages: one address for each kind of page, in the order in which they are found, and what it says.

    dead: links that lead nowhere.
    """

    def __init__(self, admin: Browser) -> None:
        self.pages: dict[str, str] = {}
        self.dead: list[str] = []
        todo, kinds = [("", "/status")], {kind_of("/status")}
        for origin, address in todo:  # which grows
            assert len(todo) < REQUESTS
            for link in self._links(admin, origin, address):
                new = urljoin(address, link).partition("#")[0]
                if urlsplit(new).scheme:
                    self.dead.append(f"{address} leads out of here: {link}")
                elif kind_of(new) not in kinds:
                    kinds.add(kind_of(new))
                    todo.append((address, new))

    def _links(self, admin: Browser, origin: str, address: str) -> list[str]:
        reply = admin.get(address)
        if reply.status == 303:
            return [reply.headers["location"]]
        if reply.status != 200:
            self.dead.append(f"{origin} leads to {address}, which answers {reply.status}")
            return []
        if not reply.headers["content-type"].startswith("text/html"):
            return []
        self.pages[address] = reply.text
        parser = Links()
        parser.feed(reply.text)
        return parser.found


@pytest.fixture(scope="module")
def walk(filled: Gateway) -> Walk:
    return Walk(filled.admin())


@pytest.fixture(scope="module")
def looks(chromium: Chromium, filled: Gateway) -> Iterator[Looks]:
    with looking(chromium, filled) as found:
        yield found


def _section(address: str) -> str:
    path = urlsplit(address).path
    return next((place.label for place in PLACES if _holds(place, path)), "")


def _holds(place: Place, path: str) -> bool:
    """Also what lies beside its pages, such as a window that a page of it opens."""
    first = path.split("/")[1]
    return any(_holds(one, path) for one in place.places) or place.path.split("/")[1:2] == [first]


@pytest.mark.parametrize("section", [*SECTIONS, ""])
def test_pages(section: str, walk: Walk, looks: Looks) -> None:
    """UI-01, UI-02, HTTP-08: light and dark, wide and narrow, with scripts and without; axe-core finds nothing serious;
    nothing is asked for elsewhere, nothing breaks the policy, and nothing that hostile mail holds takes effect.
    """
    once: dict[str, str] = {}
    for address in walk.pages:
        if _section(address) == section:
            once.setdefault(kind_of(address)[0], address)
    faults = []
    for route, address in once.items():
        try:
            looks.check(address, name=route, prepare=harmless)
        except AssertionError as error:
            faults.append(str(error).partition("\nassert")[0])
    assert not faults, "\n".join(faults)


def harmless(page: Page) -> None:
    assert page.evaluate(hostile.NOTHING_RAN), page.url


def test_every_link_leads_to_a_page(walk: Walk) -> None:
    assert walk.dead == []


def test_hostile_words_are_shown(walk: Walk) -> None:
    """As text: were they not there at all, the tests above would say nothing."""
    assert {"/events", "/messages", "/queues/hold"} <= {
        kind_of(address)[0] for address, text in walk.pages.items() if "window.hostile" in text
    }


def test_every_place_can_be_reached(walk: Walk) -> None:
    """UI-01: the left pane and its tabs lead to every page that they declare."""
    reached = {urlsplit(address).path for address in walk.pages}
    assert {path for path in PATHS if path in declared(PLACES)} <= reached


def declared(places: tuple[Place, ...]) -> set[str]:
    return {path for place in places for path in (declared(place.places) if place.places else {place.path})}
