"""The pages as one ASGI application."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from control.authentication import actor_of
from control.guard import is_one_of
from control.navigation import first_page
from control.pages import logon
from control.quarantine_server import pages
from control.quarantine_server.context import ServerContext
from control.quarantine_server.settings import FILE_NAME
from control.site import STATIC, assemble
from control.web import entrance_of, see_other


async def _first(request: Request) -> Response:
    actor = await run_in_threadpool(actor_of, request, True)
    if actor is None:
        return see_other("/logon")
    return see_other(first_page(entrance_of(request).places, actor, request.app.state.paths))


def routes() -> list[BaseRoute]:
    return [Route("/", _first, methods=["GET"]), *logon.routes, *pages.routes, STATIC]


def make_app(context: ServerContext) -> ASGIApp:
    names = context.settings.web.names
    return assemble(context, routes(), lambda host: is_one_of(host, names), FILE_NAME)
