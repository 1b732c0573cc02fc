"""Logging on and off: a password, a code where the account has a second factor (ACC-06, ACC-08, ACC-09, ACC-11)."""

import math
from collections.abc import Callable
from typing import Any, Final

import anyio.to_thread
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from control.accounts import Attempt, Result
from control.authentication import SESSION_COOKIE, actor_of, session_id_of
from control.form import Fields, read_form
from control.page import PageRoute, render
from control.sessions import ID_LEN, form_token, new_id
from control.web import client_of, entrance_of, see_other
from engine import events

_BEFORE: Final = "-logon"  # behind the name of the session's cookie: for the tokens of these forms only
LOGON_COOKIE: Final = SESSION_COOKIE + _BEFORE  # of the gateway
USER_LEN: Final = 64

_WHY: Final = {
    "logged-off": "You are logged off.",
    "password": "Your password is changed. Log on with it.",
    "again": "That took too long, or too many codes were wrong. Please begin again.",
}


def _logon_cookie(request: Request) -> str:
    return entrance_of(request).session_cookie + _BEFORE


def _secret(request: Request) -> str:
    """Of who is not logged on yet; empty if there is none."""
    return request.cookies.get(_logon_cookie(request), "")


def _cookie(response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="strict")


def _clear_cookie(response: Response, name: str) -> None:
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="strict")


def logon_page(
    request: Request, message: str, failed: bool, status: int = 200, template: str = "logon.html", **values: str
) -> Response:
    secret = _secret(request)
    if len(secret) < ID_LEN:
        secret = new_id()
    shown: dict[str, Any] = {"user": "", "message": message, "failed": failed, **values}
    shown |= {"next": page_address(request, values.get("next", "")), "logon_token": form_token(secret)}
    shown["sign_on"] = entrance_of(request).sign_on.label
    response = render(request, template, None, status, **shown)
    _cookie(response, _logon_cookie(request), secret)
    return response


def page_address(request: Request, wanted: str) -> str:
    """Only ever one of our own pages: nobody is sent elsewhere by a crafted link."""
    pages = (route for route in request.app.routes if isinstance(route, PageRoute) and route.shown)
    return wanted if any(page.path_regex.fullmatch(wanted) for page in pages) else "/"


async def show(request: Request) -> Response:
    if await run_in_threadpool(actor_of, request, True) is not None:
        return see_other("/")
    context = entrance_of(request)
    to = request.query_params.get("next", "")
    if not await run_in_threadpool(context.accounts.any_password):
        return logon_page(request, "No password is set yet. On the server, run “mailward init”.", failed=True, next=to)
    minutes = context.timeout_minutes
    ended = (
        f"Your session has ended: it does after {minutes} minute{'s' if minutes > 1 else ''} without activity."
        " Log on to go on."
    )
    messages = {"ended": ended, **_WHY}
    return logon_page(request, messages.get(request.query_params.get("why", ""), ""), failed=False, next=to)


async def log_on(request: Request) -> Response:
    fields = await _form(request, "logon.html")
    if isinstance(fields, Response):
        return fields
    user, to = fields.get("user")[:USER_LEN].strip(), page_address(request, fields.get("next"))
    attempt = await _try(request, entrance_of(request).entry.by_password, user, fields.get("password"))
    if attempt.result is Result.WELCOME:
        return await begin(request, attempt.user, "password", to)
    if attempt.result is Result.CODE:
        response = see_other("/logon/code", next=to)
        _cookie(response, _logon_cookie(request), attempt.step)
        return response
    wrong = "The user name or the password is wrong. Check that Caps Lock is off, and try again."
    return _refusal(request, attempt, wrong, "logon.html", user=user, next=to)


async def show_code(request: Request) -> Response:
    if not _secret(request):
        return see_other("/logon")
    return logon_page(request, "", failed=False, template="logon_code.html", next=request.query_params.get("next", ""))


async def enter_code(request: Request) -> Response:
    fields = await _form(request, "logon_code.html")
    if isinstance(fields, Response):
        return fields
    context, to = entrance_of(request), page_address(request, fields.get("next"))
    attempt = await _try(request, context.entry.by_code, _secret(request), fields.get("code"))
    if attempt.result is Result.ENDED:
        return see_other("/logon", why="again", next=to)
    if attempt.result is not Result.WELCOME:
        wrong = "This code is wrong, or was used before. Wait for the next one, and check that the clock is right."
        return _refusal(request, attempt, wrong, "logon_code.html", next=to)
    text = "You have used a recovery code, which is good only once." if attempt.recovery else ""
    return await begin(request, attempt.user, "code", to, text)


async def _form(request: Request, template: str) -> Fields | Response:
    try:
        return await read_form(request, _secret(request))
    except HTTPException as error:
        if error.status_code != 403:
            raise
        message = "You were not logged on: this form was too old, or cookies are switched off. Please try again."
        return logon_page(request, message, failed=True, status=403, template=template)


async def _try(request: Request, enter: Callable[[str, str, str], Attempt], first: str, second: str) -> Attempt:
    limiter = entrance_of(request).logon_threads
    attempt = await anyio.to_thread.run_sync(enter, first, second, client_of(request), limiter=limiter)
    if attempt.result is Result.WRONG:
        await tell(request, "Failed", attempt.user, attempt.failures)
    return attempt


async def tell(request: Request, result: str, user: str, failures: int = 0) -> None:
    # People sometimes type their password into the other field: what is no user name is not written down.
    logon = events.Logon(result=result, user=user or "(unknown)", client=client_of(request), failures=failures)
    await run_in_threadpool(entrance_of(request).event, logon)


async def begin(request: Request, user: str, how: str, to: str, text: str = "") -> Response:
    """A session under a new id, and on to the page. text: what that page says once."""
    response = see_other(to)
    await let_in(request, response, user, how, text)
    return response


async def let_in(request: Request, response: Response, user: str, how: str, text: str = "") -> None:
    """The same for an answer of one's own."""
    await tell(request, "Succeeded", user)
    await _end(request)
    context = entrance_of(request)
    session_id = await run_in_threadpool(context.sessions.begin, user, client_of(request), how)
    if text:
        context.flashes.put(session_id, text)
    _cookie(response, context.session_cookie, session_id)
    _clear_cookie(response, _logon_cookie(request))


def _refusal(request: Request, attempt: Attempt, wrong: str, template: str, **values: str) -> Response:
    if attempt.result is Result.WRONG:
        return logon_page(request, wrong, failed=True, status=401, template=template, **values)
    seconds = math.ceil(attempt.wait_s)
    message = (
        f"Too many attempts have failed. Wait {seconds} second{'s' if seconds > 1 else ''}, and try again."
        " What you sent was not looked at this time."
    )
    response = logon_page(request, message, failed=True, status=429, template=template, **values)
    response.headers["retry-after"] = str(seconds)
    return response


async def log_off(request: Request) -> Response:
    await read_form(request, session_id_of(request))
    await _end(request)
    response = see_other("/logon", why="logged-off")
    _clear_cookie(response, entrance_of(request).session_cookie)
    return response


async def _end(request: Request) -> None:
    """The session that the browser has, if any."""
    context = entrance_of(request)
    session = await run_in_threadpool(context.sessions.end, session_id_of(request))
    if session is not None:
        event = events.Logoff(result="Succeeded", user=session.user, client=client_of(request), reason="request")
        await run_in_threadpool(context.event, event)


routes: Final = [
    Route("/logon", show, methods=["GET"]),
    Route("/logon", log_on, methods=["POST"]),
    Route("/logon/code", show_code, methods=["GET"]),
    Route("/logon/code", enter_code, methods=["POST"]),
    Route("/logoff", log_off, methods=["POST"]),
]
