"""The Status page (STAT-01..30, UI-07)."""

from typing import Final

from markupsafe import Markup
from starlette.responses import Response

from control.actor import Scope
from control.page import Visit, page
from control.status.board import board, live
from control.status.timeline import SCALES, Scale
from control.web import local_time


def _scale(visit: Visit) -> Scale:
    return SCALES.get(visit.query("span"), SCALES["hour"])


def show(visit: Visit) -> Response:
    scale = _scale(visit)
    made = board(visit.context, scale)
    return visit.render(
        "status/status.html",
        now=local_time(made.seen.now, precise=True),
        groups=made.seen.groups,
        live=Markup(made.html),
        version=made.version,
        scale=scale,
    )


def renew(visit: Visit) -> Response:
    """What has changed, for the script of the page."""
    return Response(live(visit.context, _scale(visit), visit.query("shown")), media_type="application/json")


routes: Final = [page("/status", Scope.STATUS, show), page("/status/live", Scope.STATUS, renew, active=False)]
