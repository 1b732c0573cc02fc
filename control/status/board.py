"""The part of the Status page that changes by itself, written once for all who look at it.

Ten open pages cost the gateway little more than one: figures, lanes and HTML are made once a second, and a page is
sent the HTML only if it is another than the one it shows.
"""

import datetime
import hashlib
from typing import Final

import msgspec

from control.context import Context
from control.status.snapshot import Snapshot, snapshot
from control.status.timeline import SCALES, Lanes, Scale, lanes
from control.web import TEMPLATES, local_time

_VERSION_LEN: Final = 8  # octets


class Row(msgspec.Struct, frozen=True):
    """Of the table: when a bar begins, in the zone of the server, and the count of each lane."""

    time: str
    counts: list[int]


class Board(msgspec.Struct, frozen=True):
    """html: notices, lanes and their table. version: another one for other html."""

    seen: Snapshot
    html: str
    version: str


class Live(msgspec.Struct, frozen=True):
    """For the script of the page. figures, help: texts by the id of the figure. html: empty if the page has it."""

    now: str
    figures: dict[str, str]
    help: dict[str, str]
    version: str
    html: str


def board(context: Context, scale: Scale) -> Board:
    """Raises sqlite3.Error."""
    return context.recent.of(("board", scale.id), lambda: _made(context, scale))


def lanes_of(context: Context, scale: Scale) -> Lanes:
    """Raises sqlite3.Error."""
    return context.recent.of(("lanes", scale.id), lambda: _lanes(context, scale), scale.age_s)


def live(context: Context, scale: Scale, shown: str) -> bytes:
    """JSON of a Live. shown: version of the html that the page has."""
    made = board(context, scale)
    figures = [figure for group in made.seen.groups for figure in group.figures]
    return msgspec.json.encode(
        Live(
            now=local_time(made.seen.now, precise=True),
            figures={figure.id: figure.text for figure in figures},
            help={figure.id: figure.help for figure in figures if figure.help},
            version=made.version,
            html="" if shown == made.version else made.html,
        )
    )


def _lanes(context: Context, scale: Scale) -> Lanes:
    queues = snapshot(context).queues
    with context.store.read() as view:
        return lanes(view, scale, context.now_us(), queues)


def _made(context: Context, scale: Scale) -> Board:
    seen, drawn = snapshot(context), lanes_of(context, scale)
    rows = [
        Row(_begins(start, scale), [lane.counts[place] for lane in drawn.lanes])
        for place, start in enumerate(drawn.starts)
    ]
    html = TEMPLATES.get_template("status/live.html").render(
        notices=seen.notices, drawn=drawn, rows=rows[::-1], scales=list(SCALES.values())
    )
    return Board(seen, html, hashlib.sha256(html.encode()).hexdigest()[: 2 * _VERSION_LEN])


def _begins(start: int, scale: Scale) -> str:
    time = datetime.datetime.fromtimestamp(start / 1_000_000, datetime.UTC).astimezone()
    return time.strftime("%H:%M" if scale.id == "hour" else "%a %H:%M")
