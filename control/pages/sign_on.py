"""Signing on at an identity provider: the way there and back (ACC-09, ACC-11)."""

import re
from typing import Final

import anyio.to_thread
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from control.accounts import AccountError, directory
from control.accounts.sign_on import Identity
from control.accounts.sign_on_error import SignOnError
from control.operations.accounts import sentence
from control.page import render
from control.pages.logon import let_in, logon_page, page_address
from control.web import client_of, context_of
from engine import events

BACK: Final = "/logon/sign-on/back"
_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")
# Lax and not Strict: the provider sends the browser back, and it must bring this cookie along.
COOKIE: Final = "__Host-mailward-sign-on"


async def begin(request: Request) -> Response:
    context, client = context_of(request), client_of(request)
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise HTTPException(400, "The name that you reach these pages by is not understood.")
    redirect = f"https://{host}{BACK}"
    page = page_address(request, request.query_params.get("next", ""))
    try:
        address, state = await anyio.to_thread.run_sync(
            context.sign_on.begin, redirect, page, client, limiter=context.sign_on_threads
        )
    except SignOnError as error:
        return logon_page(request, str(error), failed=True, status=503)
    response = RedirectResponse(address, 303)
    response.set_cookie(COOKIE, state, path="/", secure=True, httponly=True, samesite="lax")
    return response


async def finish(request: Request) -> Response:
    """A page and not a redirection: only a visit that begins here brings the cookie of the new session along."""
    context = context_of(request)
    cookie, given = request.cookies.get(COOKIE, ""), dict(request.query_params)
    try:
        identity, page = await anyio.to_thread.run_sync(
            context.sign_on.finish, cookie, given, limiter=context.sign_on_threads
        )
        user = await run_in_threadpool(_account, request, identity)
    except (SignOnError, AccountError) as error:
        failed = events.Logon(result="Failed", user="(unknown)", client=client_of(request), failures=0)
        await run_in_threadpool(context.refused, client_of(request), failed)
        text = sentence(error) if isinstance(error, AccountError) else str(error)
        response = logon_page(request, text, failed=True, status=401)
    else:
        response = render(request, "signed_on.html", next=page, user=user)
        await let_in(request, response, user, "sign-on")
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
    return response


def _account(request: Request, identity: Identity) -> str:
    context = context_of(request)
    user, changed = directory.sign_on(
        context.access,
        identity.issuer,
        identity.subject,
        identity.user,
        identity.role,
        identity.name,
        identity.email,
        context.clock(),
    )
    if changed:
        context.event(
            events.ObjectModified(object=f"account {user}", user=user, client=client_of(request), modification=changed)
        )
    return user


routes: Final = [Route("/logon/sign-on", begin, methods=["GET"]), Route(BACK, finish, methods=["GET"])]
