"""The Status page (STAT-01..30, UI-07)."""

from typing import Any, Final

from starlette.responses import HTMLResponse, Response

from control import figures, timeline
from control.actor import Scope
from control.context import Context
from control.notices import notices
from control.page import Visit, page
from control.records.view import View
from control.web import TEMPLATES, local_time


def _live(context: Context, view: View) -> dict[str, Any]:
    return {"notices": notices(context, view), "lanes": timeline.lanes(view, context.now_us())}


def show(visit: Visit) -> Response:
    context = visit.context
    with context.store.read() as view:
        return visit.render(
            "status.html",
            now=local_time(context.now_us(), precise=True),
            groups=figures.status(context, view),
            **_live(context, view),
        )


def live(visit: Visit) -> Response:
    """The notices and the bars alone, as HTML, for the script of the page."""
    context = visit.context
    with context.store.read() as view:
        return HTMLResponse(TEMPLATES.get_template("live.html").render(_live(context, view)))


routes: Final = [page("/status", Scope.STATUS, show), page("/status/live", Scope.STATUS, live, active=False)]
