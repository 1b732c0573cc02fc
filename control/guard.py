"""What every request has to pass and every response carries, whatever page it is for."""

import ipaddress
import math
import socket
from collections.abc import Callable, Iterable
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control.api.problem import problem
from control.certificates.challenges import Challenges
from control.patience import Patience
from engine.config import Settings

# Nothing from elsewhere, nothing inline, no frames around us.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    # Browsers heed it only once a certificate that they trust is installed, and never for addresses.
    "strict-transport-security": "max-age=31536000",
}


Tell = Callable[[str, str], None]  # client and what it did: told as a violation of HTTP (HTTP-07, ALR-12)


def client_of(scope: Scope) -> str:
    """Its address."""
    return str(scope["client"][0]) if scope.get("client") else ""


class SecureHeaders:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                # Style, script and icon may be kept, but are asked for again: an upgrade shows at once.
                static = scope["path"].startswith("/static/")
                headers.setdefault("cache-control", "no-cache" if static else "no-store")
            await send(message)

        await self._app(scope, receive, with_headers)


def _refusal(scope: Scope, status: int, text: str) -> Response:
    if scope["path"].startswith("/api/"):
        return problem(status, " ".join(text.split()))
    return PlainTextResponse(text, status_code=status)


class OutOfPatience:
    """Refuses all requests of a client that has broken HTTP too often in this minute (HTTP-07).

    Not those of somebody who is logged on: any page of the web can make a browser send what is refused here.
    """

    def __init__(
        self, app: ASGIApp, patience: Patience, is_logged_on: Callable[[Scope], bool] = lambda scope: False
    ) -> None:
        self._app = app
        self._patience = patience
        self._is_logged_on = is_logged_on

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left_s = self._patience.left_s(client_of(scope))
        if left_s <= 0 or await run_in_threadpool(self._is_logged_on, scope):
            await self._app(scope, receive, send)
            return
        seconds = math.ceil(left_s)
        text = f"Too many requests from your address were not as they should be. Wait {seconds} seconds.\n"
        refusal = _refusal(scope, 429, text)
        refusal.headers["retry-after"] = str(seconds)
        await refusal(scope, receive, send)


class KnownHost:
    """Refuses requests under a name that is not ours: some other site's name pointed at our address (DNS rebinding).

    An address in the Host field is let through: no other site can own it.
    """

    def __init__(self, app: ASGIApp, is_ours: Callable[[str], bool], tell: Tell, settings_file: str) -> None:
        """is_ours: of a host. settings_file: where its names are."""
        self._app = app
        self._is_ours = is_ours
        self._tell = tell
        self._settings_file = settings_file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = host_name(Headers(scope=scope).get("host", ""))
        if self._is_ours(host):
            await self._app(scope, receive, send)
            return
        await run_in_threadpool(self._tell, client_of(scope), f"a request for the unknown host {host[:255]!r}")
        text = (
            f"Mailward is not known by this name: {host[:255]!r}.\n"
            f"If it is right, add it to names under [web] in {self._settings_file}; else use the server's address.\n"
        )
        await _refusal(scope, 421, text)(scope, receive, send)


def host_name(field: str) -> str:
    """The host of a Host field, lower case, without port and brackets."""
    if field.startswith("["):
        return field[1:].partition("]")[0].lower()
    return field.partition(":")[0].rstrip(".").lower()


def is_known(host: str, settings: Settings) -> bool:
    return is_one_of(host, (settings.smtp.hostname, *settings.web.names))


def is_one_of(host: str, names: Iterable[str]) -> bool:
    """Or an address, or what the machine calls itself."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host in {name.rstrip(".").lower() for name in ("localhost", socket.gethostname(), *names) if name}
    return True


class RedirectToHttps:
    """All that the plain port does (HTTP-05, HTTP-06). Nothing that was sent in clear text is acted upon.

    challenges: what an authority looks for under a name before it issues a certificate (CERT-05).
    """

    def __init__(self, settings: Callable[[], Settings], https_port: int, tell: Tell, challenges: Challenges) -> None:
        self._settings = settings
        self._https_port = https_port
        self._tell = tell
        self._challenges = challenges

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        challenge = self._challenges.answer(scope["path"])
        if challenge is not None and scope["method"] == "GET":
            await PlainTextResponse(challenge, media_type="application/octet-stream")(scope, receive, send)
            return
        answer = self._answer(scope)
        if answer.status_code != 307:
            violation = "a request for an unknown host" if answer.status_code == 421 else "data sent without encryption"
            await run_in_threadpool(self._tell, client_of(scope), violation)
        await answer(scope, receive, send)

    def _answer(self, scope: Scope) -> Response:
        host = host_name(Headers(scope=scope).get("host", ""))
        if not is_known(host, self._settings()):
            return PlainTextResponse("Mailward is not known by this name. Use the server's address.\n", status_code=421)
        authority = f"[{host}]" if ":" in host else host
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse(
                f"This port is not encrypted, and what you sent was not used. Go to https://{authority}:{self._https_port}/\n",
                status_code=403,
            )
        return RedirectResponse(f"https://{authority}:{self._https_port}{scope['path']}", status_code=307)
