"""The pages as one ASGI application. It has no state of its own: everything is in the Context it is given."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from starlette.types import Scope as AsgiScope

from control import monitoring
from control.actor import Scope
from control.api import routes as api
from control.api.problem import problem
from control.assistant import memory
from control.authentication import SESSION_COOKIE, actor_of
from control.context import Context
from control.guard import KnownHost, OutOfPatience, SecureHeaders
from control.navigation import first_page
from control.page import PageRoute, render
from control.pages import (
    account,
    accounts,
    assistant,
    certificates,
    definitions,
    diagnostics,
    events,
    help,
    history,
    logon,
    messages,
    policy,
    queue_work,
    queued,
    queues,
    reports,
    settings,
    sign_on,
    status,
)
from control.web import context_of, see_other

_TITLES = {403: "Not allowed", 404: "There is no such page", 405: "Not possible here", 500: "Something went wrong"}
_TEXTS = {
    404: "The address may have been mistyped, or the page has moved.",
    405: "This address does not take that kind of request.",
}


async def _first(request: Request) -> Response:
    actor = await run_in_threadpool(actor_of, request, True)
    if actor is None:
        return see_other("/logon")
    if actor.may(Scope.SETTINGS_WRITE) and await run_in_threadpool(_is_new, context_of(request)):
        return see_other(assistant.PATH)
    return see_other(first_page(actor, request.app.state.paths))


def _is_new(context: Context) -> bool:
    return memory.is_wanted(context.layout, context.settings())


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


def routes() -> list[BaseRoute]:
    """All that is answered; a page is a PageRoute with its scope."""
    return [
        Route("/", _first, methods=["GET"]),
        *logon.routes,
        *sign_on.routes,
        *account.routes,
        *accounts.routes,
        *certificates.routes,
        *monitoring.routes,
        *status.routes,
        *queues.routes,
        *queued.routes,
        *queue_work.routes,
        *messages.routes,
        *definitions.routes,
        *diagnostics.routes,
        *assistant.routes,
        *reports.routes,
        *events.routes,
        *settings.routes,
        *policy.routes,
        *history.routes,
        *help.routes,
        *api.routes(),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
    ]


def make_app(context: Context) -> ASGIApp:
    """The application for the HTTPS port."""
    app = Starlette(routes=routes(), exception_handlers={HTTPException: _refused, Exception: _failed})
    app.state.context = context
    app.state.paths = frozenset(route.path for route in app.routes if isinstance(route, PageRoute) and route.shown)
    known = KnownHost(app, context.settings, context.http_violation)

    def is_logged_on(scope: AsgiScope) -> bool:
        session_id = HTTPConnection(scope).cookies.get(SESSION_COOKIE, "")
        return bool(session_id) and context.sessions.find(session_id, active=False) is not None

    return SecureHeaders(OutOfPatience(known, context.patience, is_logged_on))
