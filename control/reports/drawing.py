"""The time of a report, drawn as the Status page draws it: a lane of bars for each kind of event."""

from typing import Final

import msgspec

from control.records.lines import HOUR, MINUTE
from control.records.view import View
from control.reports.period import Period
from control.status.timeline import EVENTS, Lane, lane

BARS: Final = 62  # at most: the days of two months
_SPANS: Final = (
    (MINUTE, "minute"),
    (5 * MINUTE, "five minutes"),
    (15 * MINUTE, "quarter of an hour"),
    (HOUR, "hour"),
    (3 * HOUR, "three hours"),
    (6 * HOUR, "six hours"),
    (24 * HOUR, "day"),
    (7 * 24 * HOUR, "week"),
    (28 * 24 * HOUR, "four weeks"),
)


class Drawing(msgspec.Struct, frozen=True):
    """span: microseconds of a bar; each: the same in words. starts: of each bar, microseconds since 1970."""

    span: int
    each: str
    starts: list[int]
    lanes: list[Lane]


def draw(view: View, period: Period, now: int) -> Drawing:
    """What the journal has of it; the first and the last bar may reach over its ends by less than a bar.

    What lies before all that is kept is left out, unless nothing else were left: then there are bars of nothing.
    """
    oldest = view.kept().first
    begins = oldest if oldest is not None and period.first < oldest < period.until else period.first
    first = begins // MINUTE * MINUTE
    until = max(first + MINUTE, min(period.until, now))
    span, each = next((one for one in _SPANS if first + one[0] * BARS >= until), _SPANS[-1])
    if span >= HOUR:
        first = first // HOUR * HOUR
    count = min(-(-(until - first) // span), BARS)
    counts = view.series(first, span, count, frozenset(kind for _, _, kind in EVENTS))
    lanes = [lane(name, label, counts[kind], is_queue=False) for name, label, kind in EVENTS]
    return Drawing(span, each, [first + number * span for number in range(count)], lanes)
