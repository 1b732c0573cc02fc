"""The newest events of the journal, with a search in all fields; an SMTP ID tells the story of a message (PROC-25)."""

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from control.sessions import Session
from control.records.view import SEARCHED_EVENTS, StoredEvent
from control.web import admin_page, clock_time, context_of, render

SHOWN: Final = 200
QUERY_LEN: Final = 200
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


def page(request: Request, session: Session) -> Response:
    query = request.query_params.get("q", "").strip()[:QUERY_LEN]
    with context_of(request).store.read() as view:
        events = view.events(query, SHOWN)
    many = f"The newest {SHOWN}" if len(events) == SHOWN else f"{len(events)}"
    caption = f"{many} event{'s' if len(events) != 1 else ''}"
    return render(
        request,
        "events.html",
        session,
        query=query,
        caption=f"{caption} with “{query}”, newest first" if query else f"{caption}, newest first",
        events=[_row(event) for event in events],
        searched=SEARCHED_EVENTS,
    )


routes: Final = [Route("/events", admin_page(page), methods=["GET"])]
