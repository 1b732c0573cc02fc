"""What the pages share: templates, the session of a request, forms, and answers."""

import asyncio
import datetime
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import jinja2
import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from control.accounts import ADMIN
from control.context import Context
from control.sessions import Session, form_token, is_form_token
from engine import events
from engine.limits import MIB
from engine.policy.metatags import clean

SESSION_COOKIE: Final = "__Host-mailward"
FORM_LEN: Final = 64 * 1024  # octets of a form
FORM_FIELDS: Final = 100
FORM_PATIENCE_S: Final = 10.0
PATH_LEN: Final = 200  # characters of an address in the journal
TOKEN_FIELD: Final = "token"

# path, label; the left pane (UI-01) shows the pages that exist
PAGES: Final = (("/status", "Status"), ("/queues", "Queues"), ("/events", "Events"))

View = Callable[[Request], Awaitable[Response]]
Page = Callable[[Request, Session], Response]


def context_of(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


def _local(microseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(microseconds / 1_000_000, datetime.UTC).astimezone()


def local_time(microseconds: int, precise: bool = False) -> str:
    """A time for people, in the zone of the server, which it names."""
    return _local(microseconds).strftime("%Y-%m-%d %H:%M:%S %Z" if precise else "%Y-%m-%d %H:%M %Z")


def clock_time(microseconds: int) -> str:
    """The same for columns whose head names the zone."""
    return _local(microseconds).strftime("%Y-%m-%d %H:%M:%S")


def size_text(octets: int) -> str:
    if octets < 1024:
        return f"{octets} B"
    return f"{octets / 1024:,.0f} KB" if octets < MIB else f"{octets / MIB:,.1f} MB"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clock": clock_time, "size": size_text}
    return environment


TEMPLATES: Final = _environment()


def render(
    request: Request, template: str, session: Session | None = None, status: int = 200, **values: Any
) -> Response:
    """An HTML page. session: whose left pane and log-off button to show, if any."""
    text = TEMPLATES.get_template(template).render(
        path=request.url.path,
        pages=PAGES if session is not None and session.user == ADMIN else (),
        session=session,
        token=form_token(request.cookies.get(SESSION_COOKIE, "")),
        zone=datetime.datetime.now().astimezone().tzname(),
        settings_problem=context_of(request).settings.problem if session is not None else "",
        **values,
    )
    return HTMLResponse(text, status)


def see_other(path: str, **query: str) -> Response:
    return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, status_code=303)


def json(value: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def client_of(request: Request) -> str:
    return request.client.host if request.client else ""


def find_session(request: Request, active: bool) -> Session | None:
    """The session that the cookie names. active: whether this request is activity (ACC-06)."""
    session_id = request.cookies.get(SESSION_COOKIE, "")
    return context_of(request).sessions.find(session_id, active) if session_id else None


def _unauthorized(request: Request, user: str) -> None:
    """ALR-15: a page or call was refused. Who is only shown where to log on was not."""
    path = clean(request.url.path, PATH_LEN)
    context_of(request).event(events.UnauthorizedAccess(client=client_of(request), path=path, user=user))


def admin_page(page: Page) -> View:
    """A page for administrators. Others are sent to log on, and come back to it afterwards."""

    def answer(request: Request) -> Response:
        session = find_session(request, active=True)
        if session is None:
            why = {"why": "ended"} if SESSION_COOKIE in request.cookies else {}
            return see_other("/logon", **why, next=request.url.path)
        if session.user != ADMIN:
            _unauthorized(request, session.user)
            return render(request, "report_only.html", session, status=403)  # ACC-02
        return page(request, session)

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(answer, request)

    return endpoint


def admin_api(answer: Page) -> View:
    """The same for scripts that refresh figures, which is not activity (ACC-06)."""

    def checked(request: Request) -> Response:
        session = find_session(request, active=False)
        if session is None:
            session_id = request.cookies.get(SESSION_COOKIE, "")
            if not session_id or not context_of(request).sessions.is_over(session_id):
                _unauthorized(request, "")
            return json({"error": "log on first"}, 401)
        if session.user != ADMIN:
            _unauthorized(request, session.user)
            return json({"error": "this account may only run reports"}, 403)
        return answer(request, session)

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(checked, request)

    return endpoint


async def read_form(request: Request, token_secret: str) -> dict[str, str]:
    """The fields of a form made for the session with this id. Raises HTTPException: 400, 403, 408, 413, 415."""
    try:
        return await _fields(request, token_secret)
    except HTTPException as error:
        violation = f"{request.url.path}: {error.detail}"
        await run_in_threadpool(context_of(request).http_violation, client_of(request), violation)
        raise


async def _fields(request: Request, token_secret: str) -> dict[str, str]:
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, "This form was sent from another site. Nothing was changed.")
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise HTTPException(415, "Only forms of these pages are accepted here.")
    body = bytearray()
    try:
        async with asyncio.timeout(FORM_PATIENCE_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > FORM_LEN:
                    raise HTTPException(413, "This form is too large.", headers={"connection": "close"})
    except TimeoutError:
        raise HTTPException(408, "The form did not arrive in time. Send it again.") from None
    try:
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS))
    except ValueError:
        raise HTTPException(400, "This form cannot be read. Load the page again.") from None
    if not token_secret or not is_form_token(token_secret, fields.get(TOKEN_FIELD, "")):
        raise HTTPException(403, "This form is too old or comes from another page. Load the page again and repeat.")
    return fields
