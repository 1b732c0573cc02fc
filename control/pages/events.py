"""The events of the journal, with a search in all fields; an SMTP ID tells the story of a message (PROC-25)."""

import datetime
import hashlib
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from starlette.responses import Response

from control.actor import Scope
from control.operations import events
from control.operations.events import EventsWanted, JournalEvent, JournalEvents
from control.page import Visit, page
from control.web import TEMPLATES, clock_time, local_time

PATH: Final = "/events"
VALUE_LEN: Final = 300  # of one field on the page; the journal has it whole
_NO_DETAILS: Final = frozenset({"event", "time", "smtp_id", "evidence"})  # columns; and what policy read, for programs


class Row(msgspec.Struct, frozen=True):
    time: str
    kind: str
    smtp_id: str
    details: list[tuple[str, str]]


class Asked(msgspec.Struct, frozen=True):
    """What was filled in above the list, as typed. mistake: of a time that is none."""

    q: str
    kind: str
    since: str
    until: str
    before: str
    mistake: str = ""

    @property
    def filters(self) -> dict[str, str]:
        """Of the address, without the place in the list."""
        named = {"q": self.q, "kind": self.kind, "since": self.since, "until": self.until}
        return {name: value for name, value in named.items() if value}


def _row(one: JournalEvent) -> Row:
    details = [
        (name.replace("_", " "), _text(value))
        for name, value in one.event.items()
        if name not in _NO_DETAILS and value not in ("", [], {})
    ]
    return Row(clock_time(one.time), kind_text(str(one.event["event"])), str(one.event.get("smtp_id", "")), details)


def kind_text(kind: str) -> str:
    return kind.replace("-", " ").capitalize()


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


def _asked(visit: Visit) -> tuple[Asked, EventsWanted]:
    names = ("q", "kind", "since", "until", "before")
    asked = Asked(**{name: visit.query(name) for name in names})
    since, until = _seconds(asked.since), _seconds(asked.until)
    if (asked.since and since is None) or (asked.until and until is None):
        asked = msgspec.structs.replace(asked, mistake="Write a time as in 2026-03-01 09:30.")
    wanted = EventsWanted(
        term=asked.q,
        kind=(asked.kind,) if asked.kind in events.KINDS else (),
        since=since or 0,
        until=until if until is not None else EventsWanted().until,
        before=asked.before,
    )
    return asked, wanted


def _seconds(text: str) -> int | None:
    """Of a time as a browser or a person writes it, in the zone of the server; None: it is none."""
    try:
        return max(0, int(datetime.datetime.fromisoformat(text).timestamp()))
    except (ValueError, OverflowError, OSError):
        return None


def show(visit: Visit) -> Response:
    asked, wanted = _asked(visit)
    found = events.read(visit.call, wanted)
    part = _part(asked, found)
    kinds = [(kind, kind_text(kind)) for kind in events.KINDS]
    return visit.render("events/events.html", asked=asked, kinds=kinds, version=_version(part["html"]), **part)


def renew(visit: Visit) -> Response:
    """The list anew, for a script that follows it; empty if it is what the page shows."""
    asked, wanted = _asked(visit)
    part = _part(asked, events.read(visit.call, wanted))
    version = _version(part["html"])
    html = "" if version == visit.query("shown") else part["html"]
    return Response(msgspec.json.encode({"version": version, "html": html}), media_type="application/json")


def _part(asked: Asked, found: JournalEvents) -> dict[str, Any]:
    number = len(found.events)
    many = f"{number} event{'s' if number != 1 else ''}"
    about = f" with “{asked.q}”" if asked.q else ""
    back_to = found.searched_back_to
    html = TEMPLATES.get_template("events/list.html").render(
        asked=asked,
        caption=f"{many}{about}, newest first",
        events=[_row(one) for one in found.events],
        older=f"{PATH}?{urlencode(asked.filters | {'before': found.next})}" if found.next else "",
        searched_back_to=local_time(back_to) if back_to is not None else "",
        zone=datetime.datetime.now().astimezone().tzname(),
    )
    return {"html": html}


def _version(html: str) -> str:
    return hashlib.sha256(html.encode()).hexdigest()[:16]


routes: Final = [page(PATH, Scope.MESSAGES, show), page(f"{PATH}/live", Scope.MESSAGES, renew, active=False)]
