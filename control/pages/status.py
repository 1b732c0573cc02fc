"""The Status page and the same figures for scripts (STAT-01..30, UI-07)."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from control import figures, timeline
from control.context import Context
from control.notices import notices
from control.sessions import Session
from control.records.view import View
from control.web import TEMPLATES, admin_api, admin_page, context_of, json, local_time, render


def _now_us(context: Context) -> int:
    return round(context.clock() * 1_000_000)


def _live(context: Context, view: View) -> dict[str, Any]:
    return {"notices": notices(context, view), "lanes": timeline.lanes(view, _now_us(context))}


def page(request: Request, session: Session) -> Response:
    context = context_of(request)
    with context.store.read() as view:
        return render(
            request,
            "status.html",
            session,
            now=local_time(_now_us(context), precise=True),
            groups=figures.status(context, view),
            **_live(context, view),
        )


def api(request: Request, session: Session) -> Response:
    context = context_of(request)
    now = _now_us(context)
    with context.store.read() as view:
        return json(
            {
                "now": now // 1_000_000,
                "now_text": local_time(now, precise=True),
                "groups": figures.status(context, view),
                "notices": notices(context, view),
                "last_hour": {lane.id: lane.counts for lane in timeline.lanes(view, now)},
            }
        )


def live(request: Request, session: Session) -> Response:
    """The notices and the bars alone, as HTML, for the script of the page."""
    context = context_of(request)
    with context.store.read() as view:
        return HTMLResponse(TEMPLATES.get_template("live.html").render(_live(context, view)))


routes: Final = [
    Route("/status", admin_page(page), methods=["GET"]),
    Route("/api/status", admin_api(api), methods=["GET"]),
    Route("/api/status/live", admin_api(live), methods=["GET"]),
]
