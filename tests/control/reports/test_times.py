"""Which time a report is about, and when one is due by mail: also where clocks change."""

import os
import time
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.reports.mailing import due
from control.reports.period import DAY_US, HOUR_US, NAMES, BadPeriod, Period, choose, field_text, named, parse
from control.reports.saved import Every, Schedule

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture(autouse=True, scope="module")
def berlin() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    ("name", "first", "until"),
    [
        ("today", "2026-03-30", "2026-03-31"),
        ("yesterday", "2026-03-29", "2026-03-30"),
        ("last-7-days", "2026-03-23", "2026-03-30"),
        ("last-30-days", "2026-02-28", "2026-03-30"),
        ("this-month", "2026-03-01", "2026-03-31"),
        ("last-month", "2026-02-01", "2026-03-01"),
    ],
)
def test_named_times_end_at_midnight(name: str, first: str, until: str) -> None:
    """RPT-02: yesterday was the day on which clocks went forward."""
    assert named(name, at("2026-03-30T14:00")) == Period(at(first), at(until))


def test_a_day_may_have_23_or_25_hours() -> None:
    spring, autumn = (named("yesterday", at(day)) for day in ("2026-03-30T01:00", "2026-10-26T01:00"))
    assert (spring.until - spring.first, autumn.until - autumn.first) == (DAY_US - HOUR_US, DAY_US + HOUR_US)


def test_nothing_chosen_is_the_whole_last_day() -> None:
    """RPT-02"""
    now = at("2026-05-05T10:00")
    assert choose("", "", "", now) == named("yesterday", now)


@given(st.sampled_from(sorted(NAMES)), st.integers(at("1990-01-02T00:00"), at("2100-01-01T00:00")))
def test_what_a_form_shows_is_what_it_gets_back(name: str, now: int) -> None:
    period = named(name, now)
    assert parse(field_text(period.first), field_text(period.until)) == period


@pytest.mark.parametrize(
    ("first", "until", "place"),
    [
        ("", "2026-03-01", "first"), ("x", "2026-03-01", "first"), ("2026-03-01", "2026-02-30", "until"),
        ("2026-03-02", "2026-03-01", "until"), ("0001-01-01", "2026-03-01", "first"),
        ("2026-03-01", "9999-12-31T23:59:59-23:59", "until"),
    ],
)  # fmt: skip
def test_mistakes_name_their_field(first: str, until: str, place: str) -> None:
    with pytest.raises(BadPeriod) as caught:
        parse(first, until)
    assert caught.value.place == place


def test_times_with_a_zone_are_of_that_zone() -> None:
    assert parse("2026-03-01T00:00Z", "2026-03-01T02:00+02:00") == Period(
        at("2026-03-01T01:00"), at("2026-03-01T01:00")
    )


@pytest.mark.parametrize(
    ("every", "now", "first", "until"),
    [
        ("day", "2026-03-30T06:29", "2026-03-28", "2026-03-29"),
        ("day", "2026-03-30T06:30", "2026-03-29", "2026-03-30"),
        ("week", "2026-03-30T06:29", "2026-03-16", "2026-03-23"),
        ("week", "2026-03-30T06:30", "2026-03-23", "2026-03-30"),
        ("week", "2026-04-05T23:59", "2026-03-23", "2026-03-30"),
        ("month", "2026-03-01T06:29", "2026-01-01", "2026-02-01"),
        ("month", "2026-03-01T06:30", "2026-02-01", "2026-03-01"),
        ("month", "2026-01-15T00:00", "2025-12-01", "2026-01-01"),
    ],
)
def test_which_report_is_due(every: Every, now: str, first: str, until: str) -> None:
    """EQ-24: of the day, week or month that is over, from its time of day on."""
    assert due(Schedule(every, 6, 30), at(now) / 1e6) == Period(at(first), at(until))


def test_never_is_never_due() -> None:
    assert due(Schedule("never"), at("2026-03-30T12:00") / 1e6) is None
