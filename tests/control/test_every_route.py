"""Every route of the application: with every role, with and without its scope, with a session that ended, with none.

The application's own table is walked, so that a route that is new tomorrow is walked tomorrow. Each answers as its
declaration says; each refusal is told (ALR-15); none changes anything, since no request carries the token of a page.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest
from starlette.routing import BaseRoute, Mount, Route

from control.actor import ROLE_SCOPES, Role, Scope
from control.api.routes import ApiRoute
from control.app import routes
from control.authentication import SESSION_COOKIE
from control.page import PageRoute
from engine import events
from tests.control.asgi import House, Reply

# Routes that are neither pages nor operations. Whom they serve, each of them has to say for itself, and here.
EVERYBODY: Final = {
    ("GET", "/"): {303},
    ("GET", "/logon"): {200, 303},
    ("POST", "/logon"): {403},  # without the token of its form
    ("GET", "/logon/code"): {200, 303},
    ("POST", "/logon/code"): {403},
    ("POST", "/logoff"): {403},
    ("GET", "/logon/sign-on"): {503},  # switched off
    ("GET", "/logon/sign-on/back"): {401},
    ("GET", "/health"): {200},
    ("GET", "/ready"): {200, 503},
}
TELLING: Final = {"/logon/sign-on/back"}  # of a failed logon
PROGRAMS: Final = {("GET", "/metrics"): Scope.STATUS}
PASSWORDS: Final = {"admin": "correct horse battery", "report": "only for the reports"}


@dataclass(frozen=True)
class Somebody:
    """scopes: what he may; None if he is nobody. ended: he was somebody. about: he has this scope only, or not."""

    name: str
    scopes: frozenset[Scope] | None
    cookies: dict[str, str]
    headers: dict[str, str]
    ended: bool = False
    about: Scope | None = None


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("root"))
    for user, password in PASSWORDS.items():
        made.context.accounts.set_password(user, password)
    report = made.context.accounts.find("report")
    assert report is not None
    made.context.accounts.change(report, enabled=True)
    yield made
    made.close()


@pytest.fixture(scope="module")
def people(house: House) -> list[Somebody]:
    sessions, tokens = house.context.sessions, house.context.tokens
    found = [Somebody("nobody", None, {}, {}), Somebody("a stranger", None, {SESSION_COOKIE: "x" * 43}, {})]
    for user, role in (("admin", Role.ADMINISTRATOR), ("report", Role.REPORT_ONLY)):
        session_id = sessions.begin(user, "192.0.2.1")
        found.append(Somebody(user, ROLE_SCOPES[role], {SESSION_COOKIE: session_id}, {}))
    over = sessions.begin("admin", "192.0.2.1")
    sessions.end(over)
    found.append(Somebody("who has logged off", None, {SESSION_COOKIE: over}, {}, ended=True))
    for scope in Scope:
        for scopes in (frozenset({scope}), frozenset(Scope) - {scope}):
            _, secret = tokens.make("admin", f"{scope} {len(scopes)}", scopes, 366)
            found.append(Somebody(f"token {scope}", scopes, {}, {"authorization": f"Bearer {secret}"}, about=scope))
    id_, revoked = tokens.make("admin", "revoked", list(Scope), 1)
    tokens.revoke(id_)
    found.append(Somebody("a revoked token", None, {}, {"authorization": f"Bearer {revoked}"}))
    _, old = tokens.make("report", "too old", [Scope.REPORTS], 1)
    house.now += 24 * 3600.0
    found.append(Somebody("a token too old", None, {}, {"authorization": f"Bearer {old}"}))
    admin = found[2]
    found.append(Somebody("admin beside a bad token", None, admin.cookies, {"authorization": "Bearer mw_x"}))
    with house.context.access.transaction() as connection:
        connection.execute("UPDATE session SET active = ?", (house.now,))
    return found


def declared() -> Iterator[tuple[str, Route]]:
    """Each method and route; static files are looked at on their own."""
    for route in routes():
        if isinstance(route, Mount):
            assert route.path == "/static"
            continue
        assert isinstance(route, Route)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield method, route


def address(route: BaseRoute) -> str:
    """With something in the place of its fields that is not there; the query is one that no operation has."""
    assert isinstance(route, Route)
    return re.sub(r"\{\w+(:int)?\}", "1", route.path) + "?unheard-of=1"


def ask(house: House, method: str, route: Route, who: Somebody) -> Reply:
    """As a form of another site would: without the token of a page, and with a body that is no JSON."""
    headers = who.headers | {"content-type": "application/x-www-form-urlencoded"}
    client = f"198.51.{len(house.told) // 200 % 250}.{len(house.told) % 200}"  # or it would be out of patience
    body = b"x=1" if method != "GET" else b""
    return house.request(method, address(route), who.cookies, headers, body, client)


@pytest.mark.parametrize(
    ("method", "route"), [pytest.param(method, route, id=f"{method} {route.path}") for method, route in declared()]
)
def test_every_route_answers_as_declared(house: House, people: list[Somebody], method: str, route: Route) -> None:
    """ACC-01, ACC-02, ACC-11, ALR-15, HTTP-08, UI-01"""
    for who in people:
        if who.about not in (None, getattr(route, "scope", None)):
            continue
        known = len(house.told)
        reply = ask(house, method, route, who)
        news = house.told[known:]
        refusals = [event for event in news if isinstance(event, events.UnauthorizedAccess)]
        forged = [event for event in news if isinstance(event, events.HttpViolation)]
        assert reply.status < 500 or reply.status == 503, (who.name, reply)
        told = check(method, route, who, reply)
        assert len(refusals) == told, (who.name, reply.status)
        assert len(forged) == (reply.status == 403 and not told), (who.name, reply.status)
        assert len(news) == len(refusals) + len(forged) + (reply.status == 401 and route.path in TELLING)


def check(method: str, route: Route, who: Somebody, reply: Reply) -> int:
    """Returns how many refusals are to be told."""
    if (method, route.path) in EVERYBODY:
        assert reply.status in EVERYBODY[method, route.path]
        return 0
    if (method, route.path) in PROGRAMS:
        scope, page = PROGRAMS[method, route.path], False
    else:
        assert isinstance(route, PageRoute | ApiRoute), f"say in this test whom {method} {route.path} serves"
        if route.scope is None:
            assert (reply.status, method) == (200, "GET")
            return 0
        scope, page = route.scope, isinstance(route, PageRoute)
    if who.scopes is None:
        return check_nobody(route, who, reply, page)
    if scope not in who.scopes:
        assert reply.status == 403, who.name
        if page:
            assert "may not see this page" in reply.text
        return 1
    if method == "GET" or not (page or who.cookies):
        assert reply.status not in (401, 403), (who.name, reply.text)
    else:  # what changes something wants more than a session: a form of ours
        assert reply.status == 403, (who.name, reply.text)
        assert "form" in reply.text if page else "the token of its page" in reply.text
    return 0


def check_nobody(route: Route, who: Somebody, reply: Reply, page: bool) -> int:
    if page:
        assert reply.status in (303, 401)
        if reply.status == 303:
            assert reply.headers["location"].startswith("/logon?")
        return 0
    assert reply.status == 401
    assert "Bearer" in reply.headers["www-authenticate"]
    return 0 if who.ended and isinstance(route, ApiRoute) else 1


def test_other_methods_are_refused(house: House, people: list[Somebody]) -> None:
    """HTTP-07, HTTP-08: whoever asks."""
    every = list(declared())
    for path in sorted({address(route).partition("?")[0] for _, route in every}):
        methods = {method for method, route in every if route.path_regex.match(path)}
        for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - methods:
            reply = house.request(method, path, people[2].cookies)
            assert reply.status == 405, (method, path)


def test_report_only_reaches_reports_the_own_account_and_help_alone() -> None:
    """ACC-02, UI-01: by declaration, which the walk above has held."""
    scopes = ROLE_SCOPES[Role.REPORT_ONLY]
    pages = {route.path for _, route in declared() if isinstance(route, PageRoute) and route.scope in scopes}
    assert {path.split("/")[1] for path in pages} <= {"reports", "account", "help"}
    calls = {route.path for _, route in declared() if isinstance(route, ApiRoute) and route.scope in scopes}
    assert {path.split("/")[3] for path in calls} <= {"reports", "account", "help"}


def test_static_files_are_for_everybody_and_nothing_else_is(house: House) -> None:
    """HTTP-01: the style of the logon page; no way out of that folder."""
    assert house.request("GET", "/static/mailward.css").status == 200
    for path in (
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/",
    ):
        assert house.request("GET", path).status in (404, 405), path
