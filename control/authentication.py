"""Who sends a request: the session of its cookie, or the token of its Authorization field."""

from typing import Final

from starlette.requests import Request

from control.accounts import ADMIN
from control.actor import ROLE_SCOPES, Actor, Role
from control.web import client_of, context_of
from engine import events
from engine.policy.metatags import clean

SESSION_COOKIE: Final = "__Host-mailward"
PATH_LEN: Final = 200  # characters of an address in the journal


def actor_of(request: Request, active: bool) -> Actor | None:
    """active: whether this request is activity, which keeps a session alive (ACC-06)."""
    session_id = request.cookies.get(SESSION_COOKIE, "")
    session = context_of(request).sessions.find(session_id, active) if session_id else None
    if session is None:
        return None
    role = Role.ADMINISTRATOR if session.user == ADMIN else Role.REPORT_ONLY
    return Actor(session.user, role, ROLE_SCOPES[role], client_of(request))


def has_ended(request: Request) -> bool:
    """Whether the cookie names a session of ours that is over: a page that was left open goes on asking."""
    session_id = request.cookies.get(SESSION_COOKIE, "")
    return bool(session_id) and context_of(request).sessions.is_over(session_id)


def unauthorized(request: Request, user: str) -> None:
    """ALR-15: a page or call was refused. Who is only shown where to log on was not."""
    path = clean(request.url.path, PATH_LEN)
    context_of(request).event(events.UnauthorizedAccess(client=client_of(request), path=path, user=user))
