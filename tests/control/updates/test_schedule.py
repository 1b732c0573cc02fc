"""When updates are tried: the midnight rule and daylight saving (DEF-03..06)."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from control.updates.schedule import attempts, minutes_of, next_attempt
from control.updates.zone import SERVER, server_time
from engine.config import Days, Frequency, Updates

BERLIN = ZoneInfo("Europe/Berlin")  # forward at 02:00 on 2026-03-29, back at 03:00 on 2026-10-25
DAYS = Days.__struct_fields__
ZONES = [
    ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
]


def on(*names: str) -> Days:
    return Days(**{name: name in names for name in DAYS})


def times(updates: Updates, day: date, zone: ZoneInfo = BERLIN) -> list[str]:
    return [f"{one:%H:%M}" for one in attempts(updates, day, zone)]


def test_the_example_of_the_requirements() -> None:
    """DEF-05: Tuesday and Thursday, 06:00, every four hours; never 02:00; after 22:00 the next chosen day."""
    updates = Updates(days=on("tuesday", "thursday"), first="06:00", frequency=Frequency.HOURS_4)
    tuesday = date(2026, 11, 24)
    assert times(updates, tuesday) == ["06:00", "10:00", "14:00", "18:00", "22:00"]
    assert times(updates, tuesday + timedelta(days=1)) == []
    now, seen = datetime(2026, 11, 23, 12, 0, tzinfo=BERLIN), []
    for _ in range(11):
        found = next_attempt(updates, now)
        assert found is not None
        now = found
        seen.append(f"{found:%a %H:%M}")
    day = ["06:00", "10:00", "14:00", "18:00", "22:00"]
    assert seen == [*(f"Tue {one}" for one in day), *(f"Thu {one}" for one in day), "Tue 06:00"]


@pytest.mark.parametrize("frequency", Frequency)
def test_each_frequency(frequency: Frequency) -> None:
    """DEF-04: once a day, every 1, 2, 3, 4, 6, 8, 12 hours."""
    found = times(Updates(first="00:30", frequency=frequency), date(2026, 11, 24))
    assert found == [f"{hour:02}:30" for hour in range(0, 24, frequency.hours)]


def test_a_time_that_is_skipped_is_the_next_one_that_there_is() -> None:
    """DEF-06: 02:30 does not come on this day, so it is tried at 03:00; the others are as ever."""
    updates = Updates(first="01:30", frequency=Frequency.HOUR)
    found = times(updates, date(2026, 3, 29))
    assert found[:4] == ["01:30", "03:00", "03:30", "04:30"]
    assert len(found) == 23
    updates = Updates(first="02:00", frequency=Frequency.HOUR)
    assert times(updates, date(2026, 3, 29))[:2] == ["03:00", "04:00"], "two of one moment are one"


def test_a_time_that_comes_twice_is_tried_once() -> None:
    """DEF-06"""
    updates = Updates(first="02:30", frequency=Frequency.DAY)
    (found,) = attempts(updates, date(2026, 10, 25), BERLIN)
    assert found.astimezone(UTC) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "its first time"
    after = next_attempt(updates, found)
    assert after is not None and f"{after:%m-%d %H:%M}" == "10-26 02:30"
    again = next_attempt(updates, datetime(2026, 10, 25, 2, 20, tzinfo=BERLIN, fold=1))
    assert again is not None and f"{again:%m-%d %H:%M}" == "10-26 02:30", "not when it comes again"


def test_off_or_without_a_day_there_is_none() -> None:
    """DEF-02, DEF-03."""
    now = datetime(2026, 11, 24, tzinfo=BERLIN)
    assert next_attempt(Updates(enabled=False), now) is None
    assert next_attempt(Updates(days=on()), now) is None


@given(
    days=st.builds(Days, **dict.fromkeys(DAYS, st.booleans())),
    first=st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59)),
    frequency=st.sampled_from(Frequency),
    zone=st.sampled_from(ZONES),
    moment=st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
)
@example(Days(), "02:30", Frequency.HOUR, BERLIN, datetime(2026, 3, 29, 0, 59, tzinfo=UTC))
@example(Days(), "02:30", Frequency.HOUR, BERLIN, datetime(2026, 10, 25, 0, 59, tzinfo=UTC))
def test_the_next_one_is_the_first_of_all_that_come(
    days: Days, first: str, frequency: Frequency, zone: ZoneInfo, moment: datetime
) -> None:
    """DEF-03..06: against a list of all attempts of some days, made from the clock's minutes one by one."""
    updates = Updates(days=days, first=first, frequency=frequency)
    after = moment.astimezone(zone)
    found = next_attempt(updates, after)
    if not days.chosen:
        assert found is None
        return
    assert found is not None and found.astimezone(UTC) > moment
    assert found.weekday() in days.chosen
    assert (found.hour, found.minute) >= divmod(minutes_of(first), 60), "the day begins with the first time"
    wanted = {minutes_of(first) + step for step in range(0, 1440, frequency.hours * 60)}
    minute, since = moment.replace(second=0, microsecond=0), set[tuple[date, int]]()
    # No attempt is passed over: on the way there, no wall clock shows a time of the schedule for the first time.
    while (minute := minute + timedelta(minutes=1)) < found.astimezone(UTC) and len(since) < 3000:
        wall = minute.astimezone(zone)
        place = (wall.date(), wall.hour * 60 + wall.minute)
        if wall.weekday() in days.chosen and place[1] in wanted and not wall.fold:
            raise AssertionError(f"{wall} was passed over")
        since.add(place)


@given(st.floats(0, 4e9, allow_nan=False))
def test_the_zone_of_the_server_is_that_of_its_clock(seconds: float) -> None:
    seconds = float(int(seconds))
    wall = server_time(seconds)
    assert wall.timestamp() == seconds
    assert wall.replace(tzinfo=None) == datetime.fromtimestamp(seconds)
    assert wall.astimezone(UTC).astimezone(SERVER) == wall
