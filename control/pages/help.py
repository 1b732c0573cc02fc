"""The manual as pages, and how each page finds its own (UI-05)."""

from typing import Final

from starlette.responses import Response

from control import help as manual
from control.actor import Scope
from control.navigation import PLACES, Place
from control.operation import NotFound
from control.page import Visit, page
from control.pages.windows import WINDOWS


def show(visit: Visit) -> Response:
    return visit.render("help/index.html", text=manual.text(manual.INDEX), sections=_sections())


def read(visit: Visit) -> Response:
    name = visit.request.path_params["name"]
    try:
        found = manual.text(name)
    except KeyError:
        raise NotFound("The manual has no such page. Look at its list of contents, under Help.") from None
    about = [window for window in WINDOWS if manual.help_for(window.path).name == name]
    settings = manual.settings_of([one.name for window in about for one in window.controls()])
    pages = [(window.title, window.back or window.path) for window in about]
    return visit.render("help/page.html", text=found, settings=settings, pages=pages)


def _sections() -> list[tuple[str, list[manual.HelpPage]]]:
    """As in the left pane; what belongs to no page of its own comes at the end."""
    found: list[tuple[str, list[manual.HelpPage]]] = []
    seen = {manual.INDEX}
    for place in PLACES:
        texts = [one for one in map(manual.help_for, _paths(place)) if one.name not in seen]
        unique = list({one.name: one for one in texts}.values())
        seen |= {one.name for one in unique}
        if unique:
            found.append((place.label, unique))
    rest = [manual.text(name) for name in manual.names() if name not in seen]
    return [*found, ("Further", rest)] if rest else found


def _paths(place: Place) -> list[str]:
    return [path for one in place.places for path in _paths(one)] if place.places else [place.path]


routes: Final = [page("/help", Scope.OWN, show), page("/help/{name}", Scope.OWN, read)]
