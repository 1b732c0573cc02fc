"""What the Status page, the API and the metrics tell, found out once a second however many ask (STAT-30)."""

import msgspec

from control.context import Context
from control.records.reading import StoredEvent
from control.records.tallies import Totals
from control.status import figures
from control.status.figures import Group, Queues
from control.status.notices import Notice, notices


class Snapshot(msgspec.Struct, frozen=True):
    """now, started: microseconds since 1970; started 0: not in the journal. queues: None before they are told."""

    now: int
    started: int
    totals: dict[str, Totals]
    queues: Queues | None
    definitions: StoredEvent | None
    groups: list[Group]
    notices: list[Notice]


def snapshot(context: Context) -> Snapshot:
    """Raises sqlite3.Error."""
    return context.recent.of("status", lambda: _taken(context))


def _taken(context: Context) -> Snapshot:
    with context.store.read() as view:
        totals, queues = view.totals(), figures.queues_now(view)
        loaded = view.latest("definitions-loaded")
        return Snapshot(
            now=context.now_us(),
            started=view.started() or 0,
            totals=totals,
            queues=queues,
            definitions=loaded[0] if loaded else None,
            groups=figures.status(context, view, totals, queues),
            notices=notices(context, view),
        )
