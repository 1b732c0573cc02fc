"""Who is logged on with a browser, and ending that (ACC-09, ACC-11)."""

from typing import Annotated

from msgspec import Meta

from control.actor import Scope
from control.operation import Answer, Call, Input, NotFound, Nothing, operation
from control.operations.accounts import BY_HAND
from control.sessions import Session

Key = Annotated[str, Meta(max_length=64)]


class SessionEntry(Answer, frozen=True):
    """how: password, code or sign-on. Times: seconds since 1970. own: the one that asks."""

    key: str
    user: str
    client: str
    how: str
    began: int
    active: int
    own: bool


class SessionList(Answer, frozen=True):
    """The one used last first."""

    sessions: list[SessionEntry]


class SessionKey(Input, frozen=True):
    """Which session."""

    key: Key


@operation("GET", "/sessions", Scope.ACCOUNTS)
def list_(call: Call, given: Nothing) -> SessionList:
    """Who is logged on with a browser."""
    return sessions_of(call, "")


@operation("DELETE", "/sessions/{key}", Scope.ACCOUNTS_WRITE, errors=(NotFound,))
def end(call: Call, given: SessionKey) -> None:
    """End a session."""
    end_one(call, given.key, "")


def sessions_of(call: Call, user: str) -> SessionList:
    """user: only of this account; empty for all."""
    return SessionList(sessions=[_session(call, one) for one in call.context.sessions.all(user)])


def end_one(call: Call, key: str, user: str) -> None:
    """Raises NotFound."""
    session = call.context.sessions.end_by_key(key, user)
    if session is None:
        raise NotFound("This session is not there any more: it has ended in the meantime.")
    call.context.logged_off([session], BY_HAND)
    call.modified(f"session of {session.user} from {session.client}", "ended")


def _session(call: Call, session: Session) -> SessionEntry:
    return SessionEntry(
        key=session.key,
        user=session.user,
        client=session.client,
        how=session.how,
        began=int(session.began),
        active=int(session.active),
        own=session.key == call.actor.key,
    )
