"""The pages as one ASGI application. It has no state of its own: everything is in the Context it is given."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from control import monitoring
from control.actor import Scope
from control.api import routes as api
from control.assistant import memory
from control.authentication import actor_of
from control.context import Context
from control.guard import is_known
from control.navigation import first_page
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
    quarantine,
    queue_work,
    queued,
    queues,
    reports,
    settings,
    sign_on,
    status,
    tls_reports,
    updates,
)
from control.site import STATIC, assemble
from control.web import context_of, see_other
from engine.config import FILE_NAME


async def _first(request: Request) -> Response:
    actor = await run_in_threadpool(actor_of, request, True)
    if actor is None:
        return see_other("/logon")
    if actor.may(Scope.SETTINGS_WRITE) and await run_in_threadpool(_is_new, context_of(request)):
        return see_other(assistant.PATH)
    return see_other(first_page(context_of(request).places, actor, request.app.state.paths))


def _is_new(context: Context) -> bool:
    return memory.is_wanted(context.layout, context.settings())


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
        *updates.routes,
        *diagnostics.routes,
        *quarantine.routes,
        *assistant.routes,
        *reports.routes,
        *tls_reports.routes,
        *events.routes,
        *settings.routes,
        *policy.routes,
        *history.routes,
        *help.routes,
        *api.routes(),
        STATIC,
    ]


def make_app(context: Context) -> ASGIApp:
    """The application for the HTTPS port."""
    return assemble(context, routes(), lambda host: is_known(host, context.settings()), FILE_NAME)
