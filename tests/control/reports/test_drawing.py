"""The bars of a summary report (RPT-03)."""

from pathlib import Path

import pytest

from control.records.follower import Follower
from control.records.store import Store
from control.reports.drawing import draw
from control.reports.period import Period
from engine import events
from engine.journal import JournalWriter, timestamp

HOUR = 3_600_000_000
FIRST = 1_790_035_200_000_000  # midnight UTC of a day in September 2026, microseconds


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One message at noon, and nothing is kept of the time before."""
    journal = tmp_path / "journal"
    journal.mkdir()
    writer = JournalWriter(journal, "relay-0")
    noon = timestamp((FIRST + 12 * HOUR) * 1000)
    writer.write(
        events.Accepted(
            time=noon,
            smtp_id="1J0S1B8EFHT00",
            reverse_path="a@example.org",
            forward_paths=("b@example.com",),
            size=5,
            client="192.0.2.1",
            connection_id="1J0S1B8EFHU00",
        )
    )
    writer.flush()
    made = Store(tmp_path / "events.sqlite", journal)
    Follower(journal, made).poll()
    return made


@pytest.mark.parametrize(
    ("first", "until", "accepted"),
    [(0, 24, 1), (12, 13, 1), (-24, 0, 0), (0, 12, 0), (13, 14, 0), (24, 48, 0)],
)
def test_bars_are_of_the_period_and_of_nothing_else(store: Store, first: int, until: int, accepted: int) -> None:
    """RPT-02, RPT-18: also where nothing was kept yet."""
    period = Period(FIRST + first * HOUR, FIRST + until * HOUR)
    with store.read() as view:
        drawing = draw(view, period, FIRST + 72 * HOUR)
    assert sum(drawing.lanes[0].counts) == accepted
    assert period.first - drawing.span < drawing.starts[0] and drawing.starts[-1] < period.until
