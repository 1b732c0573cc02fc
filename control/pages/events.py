"""The newest events of the journal, with a search in all fields; an SMTP ID tells the story of a message (PROC-25)."""

from typing import Any, Final

import msgspec
from starlette.responses import Response

from control.actor import Scope
from control.page import Visit, page
from control.records.reading import Query, StoredEvent
from control.web import clock_time, local_time

SHOWN: Final = 200
VALUE_LEN: Final = 300  # of one field on the page; the journal has it whole
_NO_DETAILS: Final = frozenset({"event", "time", "smtp_id", "evidence"})  # columns; and what policy read, for programs


class Row(msgspec.Struct, frozen=True):
    time: str
    kind: str
    smtp_id: str
    details: list[tuple[str, str]]


def _row(event: StoredEvent) -> Row:
    fields: dict[str, Any] = msgspec.json.decode(event.line)
    details = [
        (name.replace("_", " "), _text(value))
        for name, value in fields.items()
        if name not in _NO_DETAILS and value not in ("", [], {})
    ]
    kind = event.kind.replace("-", " ").capitalize()
    return Row(clock_time(event.time), kind, str(fields.get("smtp_id", "")), details)


def _text(value: object) -> str:
    if isinstance(value, list):
        text = ", ".join(map(str, value))
    elif isinstance(value, dict):
        text = "; ".join(f"{name}: {one}" for name, one in value.items())
    elif isinstance(value, bool):
        text = "yes" if value else "no"
    else:
        text = str(value)
    return text if len(text) <= VALUE_LEN else text[:VALUE_LEN] + "…"


def show(visit: Visit) -> Response:
    query = visit.query("q")
    with visit.context.store.read() as view:
        found = view.find(Query(term=query), SHOWN)
    events = found.rows
    many = f"The newest {SHOWN}" if len(events) == SHOWN else f"{len(events)}"
    caption = f"{many} event{'s' if len(events) != 1 else ''}"
    return visit.render(
        "events.html",
        query=query,
        caption=f"{caption} with “{query}”, newest first" if query else f"{caption}, newest first",
        events=[_row(event) for event in events],
        searched_back_to=local_time(found.back_to) if found.back_to is not None and len(events) < SHOWN else "",
    )


routes: Final = [page("/events", Scope.MESSAGES, show)]
