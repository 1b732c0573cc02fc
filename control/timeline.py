"""The last hour, minute by minute, as bars: one lane each for accepted, delivered and rejected messages.

Lanes instead of lines in one field: accepted and delivered are nearly the same most of the time and would hide each
other. Each lane has its own scale, and says its highest minute in words. The SVG has no text in it, so that it may be
stretched to any width; words are HTML.
"""

from typing import Final

import msgspec

from control.records.store import MINUTE
from control.records.view import View

MINUTES: Final = 60
HEIGHT: Final = 24  # of a lane, in units of its view box; a minute is 1 wide
LANES: Final = (("accepted", "Accepted"), ("delivered", "Delivered"), ("rejected", "Rejected"))


class Bar(msgspec.Struct, frozen=True):
    """In units of the view box; y grows downwards. ago: minutes before this one."""

    x: float
    y: float
    height: float
    count: int
    ago: int


class Lane(msgspec.Struct, frozen=True):
    id: str
    label: str
    counts: list[int]  # oldest first
    total: int
    highest: int
    bars: list[Bar]


def lanes(view: View, now_us: int) -> list[Lane]:
    """now_us: microseconds since 1970; the minute it lies in is the last one."""
    counts = view.minutes(now_us // MINUTE - MINUTES + 1, MINUTES)
    return [_lane(kind, label, counts.get(kind, [0] * MINUTES)) for kind, label in LANES]


def _lane(kind: str, label: str, counts: list[int]) -> Lane:
    highest = max(counts)
    bars = []
    for minute, count in enumerate(counts):
        if count:
            height = max(1.5, round(HEIGHT * count / highest, 2))  # a single message is still seen
            bars.append(Bar(minute + 0.1, HEIGHT - height, height, count, MINUTES - 1 - minute))
    return Lane(kind, label, counts, sum(counts), highest, bars)
