"""How the gateway does (STAT-01..30)."""

from control import figures, timeline
from control.actor import Scope
from control.figures import Group
from control.notices import Notice, notices
from control.operation import Answer, Call, Nothing, operation
from control.web import local_time


class Status(Answer, frozen=True):
    """now: seconds since 1970; now_text: for people, in the zone of the server. last_hour: messages of each minute."""

    now: int
    now_text: str
    groups: list[Group]
    notices: list[Notice]
    last_hour: dict[str, list[int]]


@operation("GET", "/status", Scope.STATUS)
def read(call: Call, given: Nothing) -> Status:
    """The figures of the Status page.

    Counters run since the last start of the service. The ids of figures are stable.
    """
    context = call.context
    now = context.now_us()
    with context.store.read() as view:
        return Status(
            now=now // 1_000_000,
            now_text=local_time(now, precise=True),
            groups=figures.status(context, view),
            notices=notices(context, view),
            last_hour={lane.id: lane.counts for lane in timeline.lanes(view, now)},
        )
