"""What makes pages an application, whatever program they belong to: refusals, failures, what each request passes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from starlette.types import Scope as AsgiScope

from control.api.problem import problem
from control.entrance import Entrance
from control.guard import KnownHost, OutOfPatience, SecureHeaders
from control.page import PageRoute, render

_TITLES: Final = {
    403: "Not allowed",
    404: "There is no such page",
    405: "Not possible here",
    500: "Something went wrong",
}
_TEXTS: Final = {
    404: "The address may have been mistyped, or the page has moved.",
    405: "This address does not take that kind of request.",
}
STATIC: Final = Mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = _TEXTS.get(error.status_code, error.detail)
    if request.url.path.startswith("/api/"):
        response = problem(error.status_code, text)
    else:
        title = _TITLES.get(error.status_code, "This request was refused")
        response = render(request, "message.html", status=error.status_code, title=title, text=text)
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


async def _failed(request: Request, error: Exception) -> Response:
    """Our fault. The text tells nothing of the inside; the log has it all."""
    if request.url.path.startswith("/api/"):
        return problem(500, "This was our mistake. Mail is not affected. The service's log tells more.")
    text = "This page could not be made. Mail is not affected. Try again; if it stays so, look into the service's log."
    return render(request, "message.html", status=500, title=_TITLES[500], text=text)


def assemble(
    context: Entrance, routes: Sequence[BaseRoute], is_ours: Callable[[str], bool], settings_file: str
) -> ASGIApp:
    """is_ours: of the host that is asked for. settings_file: where the names are that we answer to."""
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refused, Exception: _failed})
    app.state.context = context
    app.state.paths = frozenset(route.path for route in app.routes if isinstance(route, PageRoute) and route.shown)
    known = KnownHost(app, is_ours, context.http_violation, settings_file)

    def is_logged_on(scope: AsgiScope) -> bool:
        session_id = HTTPConnection(scope).cookies.get(context.session_cookie, "")
        return bool(session_id) and context.sessions.find(session_id, active=False) is not None

    return SecureHeaders(OutOfPatience(known, context.patience, is_logged_on))
