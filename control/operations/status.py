"""How the gateway does (STAT-01..30)."""

from typing import Literal

from control.actor import Scope
from control.operation import Answer, Call, Input, Nothing, operation
from control.status.board import lanes_of
from control.status.figures import Group
from control.status.notices import Notice
from control.status.readiness import readiness
from control.status.snapshot import snapshot
from control.status.timeline import SCALES
from control.web import local_time


class Status(Answer, frozen=True):
    """now: seconds since 1970; now_text: for people, in the zone of the server."""

    now: int
    now_text: str
    groups: list[Group]
    notices: list[Notice]


class TimelineOf(Input, frozen=True):
    span: Literal["hour", "day", "week"] = "hour"


class TimelineLane(Answer, frozen=True):
    """counts: one for each time in `starts`. is_queue: messages that were there at its end, and not that came in it."""

    id: str
    label: str
    counts: list[int]
    is_queue: bool


class Timeline(Answer, frozen=True):
    """starts: when the times begin that are counted, seconds since 1970; the last one goes on. seconds: of each."""

    span: str
    seconds: int
    starts: list[int]
    lanes: list[TimelineLane]


class Condition(Answer, frozen=True):
    """reasons: why it is not ready, in words. relays: whether each answers. unread: octets of the journal."""

    ready: bool
    reasons: tuple[str, ...]
    relays: dict[int, bool]
    unread: int


@operation("GET", "/status", Scope.STATUS)
def read(call: Call, given: Nothing) -> Status:
    """The figures of the Status page.

    Counters run since the last start of the service. The ids of figures are stable.
    """
    seen = snapshot(call.context)
    return Status(
        now=seen.now // 1_000_000,
        now_text=local_time(seen.now, precise=True),
        groups=seen.groups,
        notices=seen.notices,
    )


@operation("GET", "/status/timeline", Scope.STATUS)
def timeline(call: Call, given: TimelineOf) -> Timeline:
    """What was accepted, delivered, rejected, blocked and infected lately, and the lengths of the queues."""
    drawn = lanes_of(call.context, SCALES[given.span])
    return Timeline(
        span=given.span,
        seconds=drawn.scale.span // 1_000_000,
        starts=[start // 1_000_000 for start in drawn.starts],
        lanes=[
            TimelineLane(id=lane.id, label=lane.label, counts=lane.counts, is_queue=lane.is_queue)
            for lane in drawn.lanes
        ],
    )


@operation("GET", "/status/readiness", Scope.STATUS)
def condition(call: Call, given: Nothing) -> Condition:
    """Whether every part does its work, as /ready says to load balancers."""
    found = readiness(call.context)
    return Condition(ready=found.ready, reasons=found.reasons, relays=found.relays, unread=found.unread)
