"""Updates of the definitions: begin one, see how it goes, and what came of those before (DEF-07, DEF-08, DEF-13)."""

from control.actor import Scope
from control.operation import Answer, Call, Conflict, Nothing, Unavailable, operation
from control.updates.memory import Attempt, Later, Offered, Rescanned
from control.updates.session import Running


class UpdatesNow(Answer, frozen=True):
    """Times: microseconds since 1970, 0 for none. running, stage, user, since: of the session that runs, if one does.

    ends: of its stage at the latest. next: of the schedule. number, date: of the set in force, 0 if they are not known;
    days: how old it is; is_old: older than the settings want. problem: why no updates are made, if so. history: newest
    first. later: files that were delivered before they were known. offered: held mail that was examined again.
    rescanned: files of the quarantine that new definitions judge otherwise; to_rescan: files that are still to be
    examined.
    """

    running: bool
    stage: str
    ends: int
    user: str
    since: int
    next: int
    number: int
    source: str
    date: int
    days: int
    is_old: bool
    problem: str
    sources: list[str]
    history: list[Attempt]
    later: list[Later]
    offered: list[Offered]
    rescanned: list[Rescanned]
    to_rescan: int


@operation("GET", "/definitions/updates", Scope.DEFINITIONS)
def read(call: Call, given: Nothing) -> UpdatesNow:
    """Updates: what runs, what is next, and what came of those before."""
    updates = call.context.updates
    standing, memory = updates.standing(), updates.memory
    in_force = call.context.definitions.in_force()
    known = memory.of(in_force.revision) if in_force is not None else None
    date, days = updates.age()
    settings = call.context.settings().updates
    return UpdatesNow(
        running=standing.running,
        stage=standing.stage.text,
        ends=standing.stage.ends,
        user=standing.user,
        since=standing.since,
        next=standing.next,
        number=known.number if known else 0,
        source=known.source if known else "",
        date=date,
        days=days,
        is_old=bool(date and settings.oldest_days and days >= settings.oldest_days),
        problem=updates.problem,
        sources=[without_password(one) for one in settings.sources],
        history=list(memory.history),
        later=list(memory.later),
        offered=list(memory.offered),
        rescanned=list(memory.rescanned),
        to_rescan=memory.rescan.left if memory.rescan else 0,
    )


def without_password(source: str) -> str:
    """A source as it may be shown."""
    scheme, mark, rest = source.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}" if mark else source


@operation("POST", "/definitions/updates", Scope.DEFINITIONS_WRITE, errors=(Conflict, Unavailable), status=202)
def begin(call: Call, given: Nothing) -> UpdatesNow:
    """Look for new definitions now, whether the schedule is on or off (DEF-07, DEF-17).

    This answers at once; it can take minutes to find out if there is anything new. One runs at a time.
    """
    try:
        call.context.updates.now(call.actor.user)
    except Running as error:
        raise Conflict(f"Not begun: {error}.") from None
    except OSError as error:
        raise Unavailable(f"Not begun: {error}.") from None
    return read(call, given)
