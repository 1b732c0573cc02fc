"""Times that a report is about (RPT-02): from inclusive, to exclusive, in the zone of the server unless it is said."""

import datetime
from typing import Final

import msgspec

DEFAULT: Final = "yesterday"  # the whole last day
NAMES: Final = {
    "today": "Today",
    "yesterday": "Yesterday",
    "last-7-days": "Last 7 days",
    "last-30-days": "Last 30 days",
    "this-month": "This month",
    "last-month": "Last month",
}
HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
_DAYS_BACK: Final = {"last-7-days": 7, "last-30-days": 30}


class Period(msgspec.Struct, frozen=True):
    """first, until: microseconds since 1970; first <= until."""

    first: int
    until: int


class BadPeriod(ValueError):
    """place: the field that is wrong."""

    def __init__(self, place: str, text: str) -> None:
        super().__init__(text)
        self.place = place


def named(name: str, now: int) -> Period:
    """One of NAMES, seen from a time. Days end at midnight of the server's zone. Raises BadPeriod."""
    today = datetime.datetime.fromtimestamp(now / 1_000_000, datetime.UTC).astimezone().date()
    day, month = datetime.timedelta(days=1), today.replace(day=1)
    match name:
        case "today":
            return days(today, today + day)
        case "yesterday":
            return days(today - day, today)
        case "last-7-days" | "last-30-days":
            return days(today - _DAYS_BACK[name] * day, today)
        case "this-month":
            return days(month, today + day)
        case "last-month":
            return days((month - day).replace(day=1), month)
    raise BadPeriod("period", f"There is no period “{name}”: choose one of {', '.join(NAMES)}, or give from and to.")


def days(first: datetime.date, until: datetime.date) -> Period:
    """From one midnight of the server's zone to another."""
    return Period(_midnight(first), _midnight(until))


def _midnight(day: datetime.date) -> int:
    return round(datetime.datetime.combine(day, datetime.time()).astimezone().timestamp() * 1_000_000)


def parse(first: str, until: str) -> Period:
    """Two times as people or programs write them. Raises BadPeriod."""
    period = Period(_time("first", first), _time("until", until))
    if period.first > period.until:
        raise BadPeriod("until", "The end lies before the beginning: exchange the two.")
    return period


def _time(place: str, text: str) -> int:
    try:
        return round(datetime.datetime.fromisoformat(text).astimezone().timestamp() * 1_000_000)
    except (ValueError, OverflowError, OSError):
        raise BadPeriod(place, "This is no time. Write it as in 2026-03-01T09:30, or with a zone.") from None


def field_text(time: int) -> str:
    """For the fields of a form: local, without a zone; what `parse` reads back, to the second."""
    local = datetime.datetime.fromtimestamp(time // 1_000_000, datetime.UTC).astimezone().replace(tzinfo=None)
    return local.isoformat(timespec="seconds" if local.second else "minutes")


def choose(period: str, first: str, until: str, now: int) -> Period:
    """The named one; or from and to; or, if nothing was chosen, the whole last day. Raises BadPeriod."""
    if period:
        return named(period, now)
    if first or until:
        return parse(first, until)
    return named(DEFAULT, now)
