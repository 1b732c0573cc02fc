"""Works on the queues, and how long these are (STAT-25..27)."""

from engine.events.base import Event, MessageEvent


class QueueMoved(MessageEvent, tag="queue-moved"):
    place: str
    reason: str


class QueueLengths(Event, tag="queue-lengths"):
    """Written by each relay once a minute and when they change: STAT-25..27. Each length is of that relay."""

    fast: int
    slow: int
    hold: int


class ReorderingStarted(Event, tag="reordering-started"):
    """PROC-08: mail for a next hop that takes mail again is brought to the front of the slow queue."""


class ReorderingStopped(Event, tag="reordering-stopped"):
    moved: int
    seconds: float


class SlowQueueRead(Event, tag="slow-queue-read"):
    """A relay knows what waited when it started, if anything did, and tries it when it is due.

    left: could not be read yet.
    """

    messages: int
    left: int
    seconds: float


QueueEvents = QueueMoved | QueueLengths | ReorderingStarted | ReorderingStopped | SlowQueueRead
