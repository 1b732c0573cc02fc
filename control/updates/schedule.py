"""When new definitions are looked for (DEF-02..06). Pure: times come in and go out, in the zone of the server.

On each chosen day attempts are made from the first time on, at the frequency, until midnight, which ends the day. The
times are those that a clock on the wall shows: where it skips one, the attempt is made at the next minute that there
is, and where it shows one twice, at its first.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from engine.config.updates import Updates

_DAY_MINUTES: Final = 24 * 60
_WEEK: Final = 8  # days ahead in which a chosen one comes, today's passed times included


def minutes_of(first: str) -> int:
    """Minutes from midnight, of HH:MM. Raises ValueError."""
    hours, _, minutes = first.partition(":")
    if len(hours) != 2 or len(minutes) != 2 or not (hours + minutes).isascii() or not (hours + minutes).isdigit():
        raise ValueError(first)
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError(first)
    return int(hours) * 60 + int(minutes)


def next_attempt(updates: Updates, after: datetime) -> datetime | None:
    """The first time of the schedule that is later than `after`; None: it is off, or has no day.

    after: aware, in the zone that the schedule is of.
    """
    if not updates.enabled or not updates.days.chosen:
        return None
    zone = after.tzinfo
    assert zone is not None
    moment = after.astimezone(UTC)
    for ahead in range(_WEEK):
        day = after.date() + timedelta(days=ahead)
        for attempt in attempts(updates, day, zone):
            if attempt.astimezone(UTC) > moment:
                return attempt
    return None


def attempts(updates: Updates, day: date, zone: tzinfo) -> Iterator[datetime]:
    """All attempts of one day, each at another moment, rising; none if the day is not chosen."""
    if day.weekday() not in updates.days.chosen:
        return
    before = None
    for minutes in range(minutes_of(updates.first), _DAY_MINUTES, updates.frequency.hours * 60):
        found = _that_there_is(day, minutes, zone)
        if found is not None and (before is None or found.astimezone(UTC) > before.astimezone(UTC)):
            yield found
            before = found


def _that_there_is(day: date, minutes: int, zone: tzinfo) -> datetime | None:
    """The first minute from this one on that a clock on the wall shows on that day; None: there is none any more."""
    for one in range(minutes, _DAY_MINUTES):
        local = datetime(day.year, day.month, day.day, *divmod(one, 60), tzinfo=zone)  # fold 0: of two, the first
        if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
            return local
    return None
