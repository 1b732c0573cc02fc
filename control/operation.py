"""One declaration for each thing that can be asked or done: pages call it, the API and its description come from it.

An operation is a function of a Call and one Struct of input; its annotations say what goes in and what comes out, its
docstring is what the description of the API says (first line: the summary). Fields of the input that stand in braces in
the path come from there; the others come from the query of a GET or DELETE, else from a JSON body. `if_match`, if the
input has it, is the If-Match field; `etag`, if the answer has it, the ETag field.

Pages call the function itself. So whatever a page can do, a program can do as well, with the same checks and events
(HTTP-08, ACC-10).
"""

import re
import typing
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from control.actor import Actor, Scope
from engine import events
from engine.policy.metatags import clean

if TYPE_CHECKING:
    from control.context import Context  # all of the gateway: other programs have operations' words, and not that

BODY_LEN: Final = 256 * 1024  # octets of a JSON body, unless the operation says otherwise
OBJECT_LEN: Final = 200  # characters, in the journal
_IN_PATH: Final = re.compile(r"\{(\w+)\}")


class Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operation is given."""


class Nothing(Input, frozen=True):
    """No input."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation returns. It may also return a Download, or None for "done"."""


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """A file. content: pieces of octets. inline: to look at in the browser, as text/plain only."""

    name: str
    media_type: str
    content: Iterator[bytes]
    inline: bool = False


class Mistake(msgspec.Struct, frozen=True):
    """One thing that is wrong with an input. place: the field, or the name of the setting."""

    place: str
    text: str


class Refused(Exception):
    """An operation that is not done, and why, in words with the next step. Subclasses have the HTTP status."""

    status: int = 400

    def __init__(self, text: str, mistakes: tuple[Mistake, ...] = ()) -> None:
        super().__init__(text)
        self.text = text
        self.mistakes = mistakes


class Forbidden(Refused):
    status = 403


class NotFound(Refused):
    status = 404


class Conflict(Refused):
    """It does not go with how things are now."""

    status = 409


class Stale(Refused):
    """Somebody else has changed it since it was read: If-Match does not hold."""

    status = 412


class Invalid(Refused):
    """The input is wrong; mistakes say where."""

    status = 422


class Unavailable(Refused):
    """Not now: a part of the gateway does not answer."""

    status = 503


class Call(msgspec.Struct, frozen=True):
    """On whose behalf an operation runs, and where."""

    context: "Context"
    actor: Actor

    def modified(self, thing: str, how: str) -> None:
        """Tell what was changed (ACC-10). Every operation that changes something tells so, once it is done."""
        self.context.event(
            events.ObjectModified(
                object=clean(thing, OBJECT_LEN),
                user=self.actor.user,
                client=self.actor.client,
                modification=clean(how, OBJECT_LEN),
            )
        )


Run = Callable[[Call, Any], Any]
_Run = TypeVar("_Run", bound=Run)


class Operation(msgspec.Struct, frozen=True):
    """path: below /api/v1. errors: those that it raises besides 401, 403, 422."""

    id: str
    method: str
    path: str
    scope: Scope
    given: type[Input]
    answer: Any
    run: Run
    errors: tuple[type[Refused], ...]
    body_len: int
    status: int

    @property
    def summary(self) -> str:
        return (self.run.__doc__ or "").partition("\n")[0].rstrip(".")

    @property
    def description(self) -> str:
        return " ".join((self.run.__doc__ or "").partition("\n")[2].split())

    @property
    def path_fields(self) -> frozenset[str]:
        return frozenset(_IN_PATH.findall(self.path))

    @property
    def has_body(self) -> bool:
        """Whether what is not in the path is sent as JSON."""
        rest = set(self.given.__struct_fields__) - self.path_fields - {"if_match"}
        return self.method in ("POST", "PUT", "PATCH") and bool(rest)

    @property
    def changes(self) -> bool:
        return self.method != "GET"


OPERATIONS: Final[dict[str, Operation]] = {}


def operation(
    method: str,
    path: str,
    scope: Scope,
    *,
    errors: tuple[type[Refused], ...] = (),
    body_len: int = BODY_LEN,
    status: int = 200,
) -> Callable[[_Run], _Run]:
    """Declare one. Its id is the name of its module and its own: `queues.drop`. An answer of None is sent as 204."""

    def declare(run: _Run) -> _Run:
        hints = typing.get_type_hints(run, include_extras=True)
        answer = hints["return"]
        names = list(hints)
        name = run.__name__.rstrip("_")
        one = Operation(
            id=f"{run.__module__.rpartition('.')[2]}.{name}",
            method=method,
            path=path,
            scope=scope,
            given=hints[names[1]],
            answer=answer,
            run=run,
            errors=errors,
            body_len=body_len,
            status=204 if answer is type(None) else status,
        )
        if one.id in OPERATIONS:
            raise ValueError(f"two operations have the id {one.id}")
        if not one.path_fields <= set(one.given.__struct_fields__):
            raise ValueError(f"{one.id}: its path has a field that its input has not")
        OPERATIONS[one.id] = one
        return run

    return declare
