"""What programs ask that watch over the gateway: /metrics, /health and /ready. None of them needs a session.

/health and /ready are for everybody and say nothing that helps an attacker. /metrics is for listed hosts
(`web.metrics_clients`) and for tokens with the right status:read.
"""

import ipaddress
from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from control.actor import Scope
from control.authentication import actor_of, unauthorized
from control.status.metrics import exposition
from control.status.readiness import readiness
from control.web import client_of, context_of

ACCEPT_LEN: Final = 500  # characters


async def _health(request: Request) -> Response:
    """This process lives: it answers."""
    return _json({"alive": True}, 200)


async def _ready(request: Request) -> Response:
    found = await run_in_threadpool(readiness, context_of(request))
    return _json({"ready": found.ready, "reasons": found.reasons}, 200 if found.ready else 503)


async def _metrics(request: Request) -> Response:
    return await run_in_threadpool(_figures, request)


def _figures(request: Request) -> Response:
    context, client = context_of(request), client_of(request)
    if not is_listed(client, context.settings().web.metrics_clients):
        actor = actor_of(request, active=False)
        if actor is None or not actor.may(Scope.STATUS):
            unauthorized(request, actor.user if actor is not None else "")
            text = (
                f"{client} may not read this: add it to web.metrics_clients, or send a token that may read the status."
            )
            status = 401 if actor is None else 403
            return PlainTextResponse(text + "\n", status, {"www-authenticate": "Bearer"} if status == 401 else None)
    body, media_type = exposition(context, request.headers.get("accept", "")[:ACCEPT_LEN])
    return Response(body, headers={"content-type": media_type})


def is_listed(client: str, networks: tuple[str, ...]) -> bool:
    """networks: as in the settings, where they were checked."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(
        address in ipaddress.ip_network(network.strip(), strict=False) for network in networks if network.strip()
    )


def _json(value: object, status: int) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


routes: Final = [
    Route("/health", _health, methods=["GET"]),
    Route("/ready", _ready, methods=["GET"]),
    Route("/metrics", _metrics, methods=["GET"]),
]
