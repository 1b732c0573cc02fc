"""What happened lately, drawn: a lane of bars for each kind of event and each queue, over an hour, a day or a week.

Lanes instead of lines in one field: accepted and delivered are nearly the same most of the time and would hide each
other. Each lane has its own scale, and says its highest bar in words. The SVG has no text in it, so that it may be
stretched to any width; words are HTML, and all of it is there as a table.
"""

from typing import Final

import msgspec

from control.records.lines import HOUR, MINUTE
from control.records.view import View
from control.status.figures import Queues

HEIGHT: Final = 24  # of a lane, in units of its view box; a bar has 1 of its width


class Scale(msgspec.Struct, frozen=True):
    """span: microseconds of a bar, of which a day is a multiple. each: what a bar stands for, in words.

    marks: below the lanes, at equal distances. age_s: for how long the lanes may be shown before they are drawn anew.
    """

    id: str
    label: str
    title: str
    bars: int
    span: int
    each: str
    marks: tuple[str, ...]
    age_s: float


SCALES: Final = {
    scale.id: scale
    for scale in (
        Scale(
            "hour", "Hour", "The last hour", 60, MINUTE, "minute", ("60 min ago", "45", "30", "15", "now"), age_s=1.0
        ),
        Scale(
            "day",
            "Day",
            "The last 24 hours",
            96,
            15 * MINUTE,
            "quarter of an hour",
            ("24 h ago", "18", "12", "6", "now"),
            age_s=5.0,
        ),
        Scale(
            "week",
            "Week",
            "The last 7 days",
            84,
            2 * HOUR,
            "two hours",
            ("7 days ago", "6", "5", "4", "3", "2", "1", "now"),
            age_s=30.0,
        ),
    )
}

# id, label, and which events: kinds as View.series takes them
EVENTS: Final = (
    ("accepted", "Accepted", "accepted"),
    ("delivered", "Delivered", "delivered"),
    ("rejected", "Rejected", "rejected"),
    ("blocked", "Blocked", "scanned/blocked"),
    ("infected", "Infected", "scanned/infected"),
)
QUEUES: Final = (("fast", "In the fast queue"), ("slow", "In the slow queue"), ("hold", "In the hold queue"))


class Lane(msgspec.Struct, frozen=True):
    """is_queue: how many there were, and not how many came: they have no sum. path: the bars, as SVG draws them."""

    id: str
    label: str
    counts: list[int]  # oldest first
    total: int
    highest: int
    is_queue: bool
    path: str


class Lanes(msgspec.Struct, frozen=True):
    """starts: when each bar begins, microseconds since 1970."""

    scale: Scale
    starts: list[int]
    lanes: list[Lane]


def lanes(view: View, scale: Scale, now_us: int, now: Queues | None = None) -> Lanes:
    """now_us: microseconds since 1970; the bar it lies in is the last one. now: the lengths of the queues at this time.

    That bar may have begun before any relay told them again.
    """
    first = (now_us // scale.span - scale.bars + 1) * scale.span
    counts = view.series(first, scale.span, scale.bars, frozenset(kind for _, _, kind in EVENTS))
    lengths = view.queue_lengths(first, scale.span, scale.bars)
    if now is not None:
        lengths[-1] = (now.fast, now.slow, now.hold)
    drawn = [lane(name, label, counts[kind], is_queue=False) for name, label, kind in EVENTS]
    drawn += [
        lane(name, label, [one[place] for one in lengths], is_queue=True) for place, (name, label) in enumerate(QUEUES)
    ]
    return Lanes(scale, [first + number * scale.span for number in range(scale.bars)], drawn)


def lane(name: str, label: str, counts: list[int], is_queue: bool) -> Lane:
    """counts: at least one."""
    highest = max(counts)
    bars = []
    for place, count in enumerate(counts):
        if count:
            height = max(1.5, round(HEIGHT * count / highest, 2))  # a single message is still seen
            bars.append(f"M{place}.1 {HEIGHT}v-{height:g}h.8v{height:g}z")
    return Lane(name, label, counts, sum(counts), highest, is_queue, "".join(bars))
