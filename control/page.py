"""How a page is declared: its path, what an account must be allowed to see it, and a function of the Visit.

    routes = [page("/queues/hold", Scope.QUEUES, show), form("/queues/hold/drop", Scope.QUEUES_WRITE, drop)]

The function runs in a thread. It calls operations (control/operations) with `visit.call`, never the parts below them.
"""

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from control.actor import Actor, Scope
from control.authentication import actor_of, session_id_of, unauthorized
from control.entrance import Entrance
from control.form import FORM_LEN, Fields, read_form
from control.navigation import Navigation, navigation
from control.operation import Call, Download, Refused
from control.sessions import form_token
from control.web import TEMPLATES, entrance_of, see_other

QUERY_LEN: Final = 200  # characters of one value of an address


C = TypeVar("C", bound=Entrance)


class AnyVisit(Generic[C]):
    """One request for a page, by somebody who may. fields: of the form that was sent, if one was.

    context: of the program whose page it is.
    """

    def __init__(self, request: Request, actor: Actor, fields: Fields) -> None:
        self.request = request
        self.context: C = request.app.state.context
        self.actor = actor
        self.fields = fields

    @property
    def session_id(self) -> str:
        return session_id_of(self.request)

    def query(self, name: str, default: str = "") -> str:
        """A value of the address, of limited length and without blanks around it."""
        return self.request.query_params.get(name, default)[:QUERY_LEN].strip()

    def render(self, template: str, status: int = 200, **values: Any) -> Response:
        return render(self.request, template, self.actor, status, **values)

    def done(self, path: str, text: str, **query: str) -> Response:
        """Go on to a page of ours, which says once what was done."""
        self.context.flashes.put(self.session_id, text)
        return see_other(path, **query)

    def nothing_done(self, path: str, text: str) -> Response:
        """As done, where there was nothing to do: it is not shown as a success."""
        self.context.flashes.put(self.session_id, text, "info")
        return see_other(path)

    def confirm(self, title: str, text: str, button: str, back: str, danger: bool = True) -> Response:
        """Ask first (UI-06), on a page of its own: its form sends the same fields again, with `confirmed` besides."""
        kept = [(name, value) for name, value in self.fields.pairs if name not in ("token", "confirmed")]
        values: dict[str, Any] = {
            "title": title,
            "text": text,
            "button": button,
            "back": back,
            "danger": danger,
            "kept": kept,
        }
        return self.render("confirm.html", action=self.request.url.path, **values)

    @property
    def confirmed(self) -> bool:
        return self.fields.get("confirmed") == "yes"

    def download(self, file: Download) -> Response:
        return download(file)


if TYPE_CHECKING:
    from control.context import Context  # all of the gateway: other programs with pages do without

    _OfGateway = AnyVisit[Context]
else:
    _OfGateway = AnyVisit


class Visit(_OfGateway):
    """To a page of the gateway."""

    def __init__(self, request: Request, actor: Actor, fields: Fields) -> None:
        super().__init__(request, actor, fields)
        self.call = Call(self.context, actor)


V = TypeVar("V", bound=AnyVisit[Any])
Show = Callable[[V], Response]
Kind = Callable[[Request, Actor, Fields], V]  # the class of visits that a page takes


class PageRoute(Route):
    """scope: what an account must be allowed; a test goes over all of them with every role."""

    scope: Scope

    @property
    def shown(self) -> bool:
        """Whether it is a page to go to, and not a form that is sent."""
        return "GET" in (self.methods or ())


def page(path: str, scope: Scope, show: Show[Visit], *, active: bool = True) -> PageRoute:
    """A page to look at (GET). active: false for what a script asks for by itself (ACC-06)."""
    return page_of(Visit, path, scope, show, active=active)


def form(path: str, scope: Scope, take: Show[Visit], *, length: int = FORM_LEN, uploads: bool = False) -> PageRoute:
    """A form that is sent (POST). length: octets of all it may send; uploads: whether files are among that."""
    return form_of(Visit, path, scope, take, length=length, uploads=uploads)


def page_of(kind: Kind[V], path: str, scope: Scope, show: Show[V], *, active: bool = True) -> PageRoute:
    """`page` for pages of another program."""

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(_answer, request, scope, kind, show, Fields(()), active)

    return _route(path, endpoint, "GET", scope)


def form_of(
    kind: Kind[V], path: str, scope: Scope, take: Show[V], *, length: int = FORM_LEN, uploads: bool = False
) -> PageRoute:
    """`form` for pages of another program."""

    async def endpoint(request: Request) -> Response:
        # Looked at twice: nobody without a session makes us read a form, and it may end while the form comes in.
        if (refusal := await run_in_threadpool(_refused, request, scope)) is not None:
            return refusal
        fields = await read_form(request, session_id_of(request), length, uploads)
        return await run_in_threadpool(_answer, request, scope, kind, take, fields)

    return _route(path, endpoint, "POST", scope)


def _route(path: str, endpoint: Any, method: str, scope: Scope) -> PageRoute:
    route = PageRoute(path, endpoint, methods=[method])
    route.scope = scope
    return route


def _admit(request: Request, scope: Scope, active: bool) -> Actor | Response:
    """Who has no session is sent to log on, and comes back afterwards; who may not is told so (ACC-02, ALR-15)."""
    actor = actor_of(request, active)
    if actor is None:
        if not active:
            return render(request, "message.html", None, 401, title="Logged off", text="Your session has ended.")
        why = {"why": "ended"} if session_id_of(request) else {}
        return see_other("/logon", **why, next=request.url.path)
    if not actor.may(scope):
        unauthorized(request, actor.user)
        return render(request, "not_allowed.html", actor, status=403)
    return actor


def _refused(request: Request, scope: Scope) -> Response | None:
    admitted = _admit(request, scope, active=True)
    return admitted if isinstance(admitted, Response) else None


def _answer(
    request: Request, scope: Scope, kind: Kind[V], show: Show[V], fields: Fields, active: bool = True
) -> Response:
    actor = _admit(request, scope, active)
    if isinstance(actor, Response):
        return actor
    try:
        return show(kind(request, actor, fields))
    except Refused as error:
        title = "This is not there" if error.status == 404 else "This was not done"
        mistakes = [mistake.text for mistake in error.mistakes]
        return render(request, "message.html", actor, error.status, title=title, text=error.text, mistakes=mistakes)


def render(request: Request, template: str, actor: Actor | None = None, status: int = 200, **values: Any) -> Response:
    """An HTML page. actor: whose pane and log-off button to show, if any."""
    context, path = entrance_of(request), request.url.path
    session_id = session_id_of(request)
    text = TEMPLATES.get_template(template).render(
        path=path,
        navigation=navigation(context.places, actor, path, request.app.state.paths)
        if actor is not None
        else Navigation(),
        actor=actor,
        token=form_token(session_id),
        flash=context.flashes.take(session_id) if actor is not None else None,
        zone=datetime.datetime.now().astimezone().tzname(),
        help_address=context.help_address(path) if actor is not None else "",
        brand=context.brand,
        settings_problem=context.settings_problem if actor is not None and actor.may(Scope.SETTINGS) else "",
        **{"mistakes": ()} | values,
    )
    return HTMLResponse(text, status)


def download(file: Download) -> Response:
    """A file to keep, or text to look at; never anything that a browser would run."""
    kind = "inline" if file.inline else "attachment"
    media_type = "text/plain; charset=utf-8" if file.inline else file.media_type
    name = "".join(one if one.isascii() and (one.isalnum() or one in "._-") else "_" for one in file.name)
    response = StreamingResponse(file.content, media_type=media_type)
    response.headers["content-disposition"] = f'{kind}; filename="{name}"'
    return response
