"""Logging on and off (ACC-06, ACC-08, ACC-09)."""

import math
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from control.accounts import USERS, Attempt, Result
from control.authentication import SESSION_COOKIE, actor_of
from control.form import read_form
from control.page import PageRoute, render
from control.sessions import ID_LEN, form_token, new_id
from control.web import client_of, context_of, see_other
from engine import events

LOGON_COOKIE: Final = "__Host-mailward-logon"  # a session before logon, for the token of the logon form only
USER_LEN: Final = 64


def _cookie(response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="strict")


def _clear_cookie(response: Response, name: str) -> None:
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="strict")


def _page(request: Request, message: str, failed: bool, status: int = 200, user: str = "", to: str = "") -> Response:
    secret = request.cookies.get(LOGON_COOKIE, "")
    if len(secret) < ID_LEN:
        secret = new_id()
    response = render(
        request,
        "logon.html",
        status=status,
        message=message,
        failed=failed,
        user=user,
        next=_page_address(request, to),
        logon_token=form_token(secret),
    )
    _cookie(response, LOGON_COOKIE, secret)
    return response


def _page_address(request: Request, wanted: str) -> str:
    """Only ever one of our own pages: nobody is sent elsewhere by a crafted link."""
    pages = (route for route in request.app.routes if isinstance(route, PageRoute) and route.shown)
    return wanted if any(route.path_regex.match(wanted) for route in pages) else "/"


async def show(request: Request) -> Response:
    if await run_in_threadpool(actor_of, request, True) is not None:
        return see_other("/")
    context = context_of(request)
    to = request.query_params.get("next", "")
    if not await run_in_threadpool(context.accounts.any_password):
        return _page(request, "No password is set yet. On the server, run “mailward init”.", failed=True, to=to)
    minutes = context.settings().web.timeout_minutes
    messages = {
        "ended": f"Your session has ended: it does after {minutes} minute{'s' if minutes > 1 else ''} without activity."
        " Log on to go on.",
        "logged-off": "You are logged off.",
    }
    return _page(request, messages.get(request.query_params.get("why", ""), ""), failed=False, to=to)


async def log_on(request: Request) -> Response:
    try:
        fields = await read_form(request, request.cookies.get(LOGON_COOKIE, ""))
    except HTTPException as error:
        if error.status_code != 403:
            raise
        message = "You were not logged on: this form was too old, or cookies are switched off. Please try again."
        return _page(request, message, failed=True, status=403)
    context, client = context_of(request), client_of(request)
    user, to = fields.get("user")[:USER_LEN].strip(), _page_address(request, fields.get("next"))
    attempt = await run_in_threadpool(context.accounts.log_on, user, fields.get("password"), client)
    if attempt.result is not Result.WAIT:
        # People sometimes type their password into the other field: what is no user name is not written down.
        known = user if user in USERS else "(unknown)"
        result = "Succeeded" if attempt.result is Result.WELCOME else "Failed"
        logon = events.Logon(result=result, user=known, client=client, failures=attempt.failures)
        await run_in_threadpool(context.event, logon)
    if attempt.result is not Result.WELCOME:
        return _refusal(request, attempt, user, to)
    response = see_other(to)
    _cookie(response, SESSION_COOKIE, await run_in_threadpool(context.sessions.begin, user, client))
    _clear_cookie(response, LOGON_COOKIE)
    return response


def _refusal(request: Request, attempt: Attempt, user: str, to: str) -> Response:
    if attempt.result is Result.WRONG:
        message = "The user name or the password is wrong. Check that Caps Lock is off, and try again."
        return _page(request, message, failed=True, status=401, user=user, to=to)
    seconds = math.ceil(attempt.wait_s)
    message = (
        f"Too many attempts have failed. Wait {seconds} second{'s' if seconds > 1 else ''}, and try again."
        " Your password was not looked at this time."
    )
    response = _page(request, message, failed=True, status=429, user=user, to=to)
    response.headers["retry-after"] = str(seconds)
    return response


async def log_off(request: Request) -> Response:
    session_id = request.cookies.get(SESSION_COOKIE, "")
    await read_form(request, session_id)
    context = context_of(request)
    session = await run_in_threadpool(context.sessions.end, session_id)
    if session is not None:
        event = events.Logoff(result="Succeeded", user=session.user, client=client_of(request), reason="request")
        await run_in_threadpool(context.event, event)
    response = see_other("/logon", why="logged-off")
    _clear_cookie(response, SESSION_COOKIE)
    return response


routes: Final = [
    Route("/logon", show, methods=["GET"]),
    Route("/logon", log_on, methods=["POST"]),
    Route("/logoff", log_off, methods=["POST"]),
]
