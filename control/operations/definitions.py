"""Which definitions are in force, and putting others there (DEF-13, DEF-16)."""

from typing import Annotated, Final

import msgspec

from control.actor import Scope
from control.definitions import DefinitionsFile, Record, Unfit
from control.operation import Answer, Call, Conflict, Input, Invalid, Mistake, NotFound, Nothing, Unavailable, operation
from engine import events
from engine.definitions import DefinitionsRefused
from engine.limits import MIB

UPLOAD_LEN: Final = 32 * MIB  # octets; larger files are copied into the directory of definitions and chosen there
FOUND: Final = 200  # signatures
_UPLOADED: Final = "uploaded"
_BASE64_LEN: Final = UPLOAD_LEN // 3 * 4 + 1024


class Definitions(Answer, frozen=True):
    """in_force: None if there is no such file. outcome: of the last attempt to load a file: Succeeded, Failed, Never.

    attempt: its time, microseconds since 1970. reason: why it failed. previous_was_left: those before were taken back,
    by a person or since they did not do well.
    """

    in_force: DefinitionsFile | None
    record: Record | None
    previous: DefinitionsFile | None
    previous_was_left: bool
    others: list[DefinitionsFile]
    attempt: int
    outcome: str
    reason: str


class NewDefinitions(Input, frozen=True):
    """content: a compiled image, in base64."""

    content: Annotated[bytes, msgspec.Meta(min_length=1, max_length=UPLOAD_LEN)]


class DefinitionsName(Input, frozen=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class SignatureSearch(Input, frozen=True):
    """name: a part of it, in any case."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Signature(Answer, frozen=True):
    """target: in which kinds of content it is looked for. kind: what it looks for."""

    name: str
    target: str
    family: str
    severity: str
    kind: str


class Signatures(Answer, frozen=True):
    """more: whether there are others, which are not in the list."""

    signatures: list[Signature]
    more: bool


@operation("GET", "/definitions", Scope.DEFINITIONS)
def read(call: Call, given: Nothing) -> Definitions:
    """Which definitions are in force, who put them there, and what became of the last file."""
    library = call.context.definitions
    previous, unwanted = library.previous(), call.context.updates.memory.unwanted
    attempt, outcome, reason = _attempt(call)
    return Definitions(
        in_force=library.in_force(),
        record=library.record(),
        previous=previous,
        previous_was_left=previous is not None and any(one.revision == previous.revision for one in unwanted),
        others=library.others(),
        attempt=attempt,
        outcome=outcome,
        reason=reason,
    )


def _attempt(call: Call) -> tuple[int, str, str]:
    with call.context.store.read() as view:
        told = view.latest("definitions-loaded")[:1] + view.latest("definitions-refused")[:1]
    latest = max(told, key=lambda event: event.time, default=None)
    if latest is None:
        return 0, "Never", ""
    if latest.kind == "definitions-loaded":
        return latest.time, "Succeeded", ""
    return latest.time, "Failed", msgspec.json.decode(latest.line, type=events.DefinitionsRefused).reason


@operation("POST", "/definitions", Scope.DEFINITIONS_WRITE, errors=(Unavailable,), body_len=_BASE64_LEN)
def install(call: Call, given: NewDefinitions) -> DefinitionsFile:
    """Put a definitions file in force.

    It is checked in full first; the relays load it beside the one in use, within a second or two. The one before is
    kept, to go back to.
    """
    context = call.context
    try:
        found = context.definitions.install(given.content, call.actor.user, context.now_us(), _UPLOADED)
    except Unfit as error:
        raise _unfit("content", error) from None
    except OSError as error:
        raise _not_written(error) from None
    call.modified("Definitions", f"{_UPLOADED}, revision {found.revision}")
    return found


@operation("POST", "/definitions/files/{name}", Scope.DEFINITIONS_WRITE, errors=(NotFound, Unavailable))
def choose(call: Call, given: DefinitionsName) -> DefinitionsFile:
    """Put a file of the directory of definitions in force.

    This is the way for files that are too large to be sent: copy them into that directory of the server first.
    """
    context = call.context
    try:
        found = context.definitions.choose(given.name, call.actor.user, context.now_us())
    except FileNotFoundError:
        raise NotFound("There is no such file in the directory of definitions any more. Load the page again.") from None
    except Unfit as error:
        raise _unfit("name", error) from None
    except OSError as error:
        raise _not_written(error) from None
    call.modified("Definitions", f"from the file {given.name}, revision {found.revision}")
    return found


@operation("POST", "/definitions/rollback", Scope.DEFINITIONS_WRITE, errors=(Conflict, Unavailable))
def roll_back(call: Call, given: Nothing) -> DefinitionsFile:
    """Go back to the definitions before these (DEF-16).

    The two change places: doing it once more undoes it.
    """
    context = call.context
    try:
        found = context.definitions.roll_back(call.actor.user, context.now_us())
    except FileNotFoundError:
        raise Conflict("There are no definitions to go back to: none were replaced yet.") from None
    except Unfit as error:
        raise Conflict(f"The definitions before these cannot be used: {error}. Those in force stay.") from None
    except OSError as error:
        raise _not_written(error) from None
    call.modified("Definitions", f"rolled back to revision {found.revision}")
    return found


@operation("GET", "/definitions/signatures", Scope.DEFINITIONS, errors=(Unavailable,))
def find(call: Call, given: SignatureSearch) -> Signatures:
    """Look up signatures in force by a part of their name.

    At most 200 are told, in the order of their names.
    """
    try:
        found = call.context.definitions.find(given.name, FOUND + 1)
    except (OSError, DefinitionsRefused):
        raise Unavailable("The definitions file cannot be read. Put another one in force.") from None
    return Signatures(
        signatures=[
            Signature(name=one.name, target=one.target, family=one.family, severity=one.severity, kind=one.kind)
            for one in found[:FOUND]
        ],
        more=len(found) > FOUND,
    )


def _unfit(place: str, error: Unfit) -> Invalid:
    text = f"This file cannot be used: {error}. The definitions in force stay."
    return Invalid(text, (Mistake(place, f"is no usable definitions file: {error}"),))


def _not_written(error: OSError) -> Unavailable:
    return Unavailable(
        f"The file could not be written ({error.strerror}): check the space and the rights of the directory of"
        " definitions. Those in force stay."
    )
