"""Queued messages a page at a time, oldest first in each queue; bounded work however long the queues are."""

import time
from collections.abc import Callable
from typing import Final

import msgspec

from control.queues.fast import FastQueue
from control.queues.header import with_subject
from control.queues.lines import Filter, Line, line_of
from engine.queue import listing

PATIENCE_S: Final = 0.8  # of reading message files for one page: some 10,000 of them


class Found(msgspec.Struct, frozen=True):
    """next: give it as `after` to go on; empty: there is nothing further. looked_at: messages, for this page.

    Fewer lines than were asked for, and a `next`: the search ended for the time it took.
    """

    lines: list[Line]
    next: str
    looked_at: int


class Counted(msgspec.Struct, frozen=True):
    """complete: false if there may be more."""

    count: int
    complete: bool


def browse(
    fast: FastQueue, wanted: Filter, after: str, limit: int, clock: Callable[[], float] = time.monotonic
) -> Found:
    """after: `next` of the page before, or empty. Raises ValueError: it is none; OSError."""
    place, _, smtp_id = after.partition("-")
    if after and (place not in listing.ALL or not smtp_id):
        raise ValueError("that is no place in the queues")
    queue = listing.Queue(fast.root, wanted.places, fast.read)
    now, passes = time.time_ns(), wanted.matcher()
    lines: list[Line] = []
    began, looked_at, here = clock(), 0, after
    for message in queue.since(place, smtp_id):
        if len(lines) == limit or (looked_at and clock() - began > PATIENCE_S):
            return Found(lines, here, looked_at)
        looked_at += 1
        here = f"{message.place}-{message.id}"
        line = line_of(message, now)
        if passes(line):
            lines.append(with_subject(fast.root, message, line))
    return Found(lines, "", looked_at)


def count(
    fast: FastQueue, wanted: Filter, places: tuple[str, ...], clock: Callable[[], float] = time.monotonic
) -> Counted:
    """How many messages of these places a filter means, as far as that can be told in a moment. Raises OSError."""
    queue = listing.Queue(fast.root, places, fast.read)
    if not wanted.is_selective:
        return Counted(len(queue), True)
    now, passes, found = time.time_ns(), wanted.matcher(), 0
    began = clock()
    for message in queue:
        found += passes(line_of(message, now))
        if clock() - began > PATIENCE_S:
            return Counted(found, False)
    return Counted(found, True)
