"""What people do to queued messages: by their ids, or to all that a filter means.

Held messages are not tried unless a person says so (HOLD-06), so a filter that names no queue does not always mean all.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from control.queues.lines import Filter, line_of
from engine.queue import listing
from engine.queue.state import FAST, HOLD, SLOW

PLACES: Final = {
    "retry": (SLOW,),
    "requeue": (SLOW, HOLD),
    "release": (HOLD,),
    "hold": (FAST, SLOW),
    "drop": (FAST, SLOW, HOLD),
    "forward": (FAST, SLOW, HOLD),
}


def places_of(act: str, wanted: Filter) -> tuple[str, ...]:
    return (wanted.queue,) if wanted.queue else PLACES[act]


def meant(root: Path, act: str, wanted: Filter) -> Iterator[str]:
    """Ids of the messages that the act is done to. Of a filter that does not look at messages, by their names alone."""
    queue = listing.Queue(root, places_of(act, wanted))
    if not wanted.is_selective:
        yield from queue.ids()
        return
    now, passes = time.time_ns(), wanted.matcher()
    for message in queue:
        if passes(line_of(message, now)):
            yield message.id
