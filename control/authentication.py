"""Who sends a request: the session of its cookie, or the token of its Authorization field."""

from typing import Final

from starlette.requests import Request

from control.actor import Actor
from control.web import client_of, entrance_of
from engine import events
from engine.policy.metatags import clean

SESSION_COOKIE: Final = "__Host-mailward"  # of the gateway; each program has its own: cookies do not know of ports
PATH_LEN: Final = 200  # characters of an address in the journal


def session_id_of(request: Request) -> str:
    """What the cookie says; empty if there is none."""
    return request.cookies.get(entrance_of(request).session_cookie, "")


def actor_of(request: Request, active: bool) -> Actor | None:
    """active: whether this request is activity, which keeps a session alive (ACC-06).

    Who sends an Authorization field is whom it names, or nobody: a cookie beside it does not count.
    """
    context, client = entrance_of(request), client_of(request)
    if "authorization" in request.headers:
        scheme, _, secret = request.headers["authorization"].partition(" ")
        token = context.tokens.find(secret.strip(), client) if scheme.lower() == "bearer" else None
        if token is None:
            return None
        return Actor(token.user, token.role, token.allowed, client, session=False, expires=token.expires)
    session_id = session_id_of(request)
    session = context.sessions.find(session_id, active) if session_id else None
    if session is None:
        return None
    return Actor(session.user, session.role, context.role_scopes[session.role], client, key=session.key)


def has_ended(request: Request) -> bool:
    """Whether the cookie names a session of ours that is over: a page that was left open goes on asking."""
    session_id = session_id_of(request)
    if not session_id or "authorization" in request.headers:
        return False
    return entrance_of(request).sessions.is_over(session_id)


def unauthorized(request: Request, user: str) -> None:
    """ALR-15: a page or call was refused. Who is only shown where to log on was not."""
    path = clean(request.url.path, PATH_LEN)
    client = client_of(request)
    entrance_of(request).refused(client, events.UnauthorizedAccess(client=client, path=path, user=user))
