"""The events of the journal, as they stand there (LOG-05, PROC-25)."""

import typing
from typing import Annotated, Any, Final

import msgspec

from control.actor import Scope
from control.operation import Answer, Call, Input, Invalid, Mistake, operation
from control.records.lines import KIND_LEN
from control.records.reading import EVER, PATIENCE_S, Found, Query, StoredEvent
from control.records.view import View
from engine import events

SHOWN: Final = 200
KINDS: Final = tuple(sorted(str(one.__struct_config__.tag) for one in typing.get_args(events.AnyEvent)))
_SECONDS: Final = 1 << 40

Seconds = Annotated[int, msgspec.Meta(ge=0, le=_SECONDS)]


class EventsWanted(Input, frozen=True):
    """term: in any field, in any case. kind: none: all. since, until: seconds since 1970; until is not included.

    before: `next` of the page before this one.
    """

    term: Annotated[str, msgspec.Meta(max_length=200)] = ""
    kind: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=KIND_LEN)], ...], msgspec.Meta(max_length=20)] = ()
    since: Seconds = 0
    until: Seconds = _SECONDS
    before: Annotated[str, msgspec.Meta(max_length=60)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = SHOWN


class JournalEvent(Answer, frozen=True):
    """time: microseconds since 1970. event: as it stands in the journal."""

    time: int
    event: dict[str, Any]


class JournalEvents(Answer, frozen=True):
    """Newest first. next: pass it as `before` to go on; empty: there is nothing further.

    searched_back_to: a search that takes too long ends early; then, back to which time (microseconds since 1970) it
    has looked, and `next` goes on from there.
    """

    events: list[JournalEvent]
    next: str
    searched_back_to: int | None


@operation("GET", "/events", Scope.MESSAGES)
def read(call: Call, given: EventsWanted) -> JournalEvents:
    """Events of the journal, the newest first.

    Search in all fields, by kind and by time. The SMTP ID as `term` gives everything that happened to a message.
    """
    with call.context.store.read() as view:
        found = _found(view, given, PATIENCE_S)
    return JournalEvents(
        events=[JournalEvent(time=one.time, event=msgspec.json.decode(one.line)) for one in found.rows],
        next=found.next,
        searched_back_to=found.back_to if found.next and len(found.rows) < given.limit else None,
    )


def _found(view: View, given: EventsWanted, patience_s: float) -> Found[StoredEvent]:
    unknown = [kind for kind in given.kind if kind not in KINDS]
    if unknown:
        text = f"there is no event {unknown[0]}: {', '.join(KINDS)}"
        raise Invalid("There is no such kind of event.", (Mistake("kind", text),))
    query = Query(
        first=given.since * 1_000_000,
        until=min(given.until * 1_000_000, EVER),
        kinds=frozenset(given.kind),
        term=given.term,
    )
    try:
        return view.find(query, given.limit, given.before, patience_s)
    except ValueError:
        text = "is no place in a list of events: take `next` of an answer"
        raise Invalid(
            "This page is not there any more. Begin with the newest events.", (Mistake("before", text),)
        ) from None
