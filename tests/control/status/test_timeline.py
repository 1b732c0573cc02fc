"""The drawn time lines of the Status page, over a store that read a journal."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from control.records.follower import Follower
from control.records.lines import HOUR, MINUTE
from control.records.store import Store
from control.status.figures import Queues
from control.status.timeline import HEIGHT, SCALES, Lane, lanes
from engine import events
from engine.journal import JournalWriter, timestamp

NOW = 495_000 * HOUR + 31 * MINUTE + 7_000_000  # microseconds since 1970: 31 minutes past an hour


class Past:
    def __init__(self, folder: Path) -> None:
        journal = folder / "journal"
        journal.mkdir()
        self._writer = JournalWriter(journal, "relay-0")
        self._store = Store(folder / "events.sqlite", journal)
        self._follower = Follower(journal, self._store)

    def write(self, event: events.Event, ago: int) -> None:
        """ago: microseconds before NOW."""
        event.time = timestamp((NOW - ago) * 1000)
        self._writer.write(event)

    def lanes(self, scale: str, now: Queues | None = None) -> dict[str, Lane]:
        self._writer.flush()
        self._follower.poll()
        with self._store.read() as view:
            return {lane.id: lane for lane in lanes(view, SCALES[scale], NOW, now).lanes}

    def close(self) -> None:
        self._writer.close()
        self._store.close()


@pytest.fixture
def past(tmp_path: Path) -> Iterator[Past]:
    one = Past(tmp_path)
    yield one
    one.close()


def rejected() -> events.Rejected:
    return events.Rejected(client="192.0.2.1", connection_id="1", reason="relay")


def scanned(verdict: str) -> events.Scanned:
    return events.Scanned(smtp_id="1N4ABCDE00001", verdict=verdict)


@pytest.mark.parametrize("name", SCALES)
def test_each_event_is_in_the_bar_of_its_time(past: Past, name: str) -> None:
    """STAT-15..23, STAT-25..27 as time lines: the first and the last bar, and what lies just before the first."""
    scale = SCALES[name]
    first = (NOW // scale.span - scale.bars + 1) * scale.span
    past.write(rejected(), 0)
    past.write(rejected(), NOW - first)
    past.write(rejected(), NOW - first + 1)  # a microsecond too early
    past.write(rejected(), NOW - first - scale.span)  # the second bar begins
    lane = past.lanes(name)["rejected"]
    assert (lane.counts[0], lane.counts[1], lane.counts[-1]) == (1, 1, 1)
    assert (lane.total, lane.highest, len(lane.counts)) == (3, 1, scale.bars)


@pytest.mark.parametrize("name", SCALES)
def test_blocked_and_infected_are_told_apart_by_the_verdict(past: Past, name: str) -> None:
    for verdict in ("clean", "infected", "infected", "blocked", "unscanned"):
        past.write(scanned(verdict), 0)
    found = past.lanes(name)
    assert (found["infected"].counts[-1], found["blocked"].counts[-1]) == (2, 1)
    assert found["accepted"].total == 0


@pytest.mark.parametrize("name", SCALES)
def test_queues_show_what_was_told_last(past: Past, name: str) -> None:
    """STAT-25..27"""
    scale = SCALES[name]
    past.write(events.QueueLengths(fast=9, slow=9, hold=9), scale.span)
    past.write(events.QueueLengths(fast=1, slow=0, hold=4), 1_000)
    past.write(events.QueueLengths(fast=2, slow=0, hold=5), 0)
    found = past.lanes(name)
    assert [found[queue].counts[-1] for queue in ("fast", "slow", "hold")] == [2, 0, 5]
    assert found["hold"].counts[-2] == 9
    assert found["fast"].is_queue


def test_a_minute_that_has_just_begun_shows_the_queues_as_they_are(past: Past) -> None:
    past.write(events.QueueLengths(fast=1, slow=2, hold=3), MINUTE)
    assert [past.lanes("hour")[queue].counts[-2:] for queue in ("fast", "slow", "hold")] == [[1, 0], [2, 0], [3, 0]]
    found = past.lanes("hour", Queues(4, 5, 6))
    assert [found[queue].counts[-2:] for queue in ("fast", "slow", "hold")] == [[1, 4], [2, 5], [3, 6]]


def test_the_highest_bar_fills_the_lane_and_the_smallest_is_seen(past: Past) -> None:
    for _ in range(1000):
        past.write(rejected(), 0)
    past.write(rejected(), 3 * MINUTE)
    lane = past.lanes("hour")["rejected"]
    assert lane.path == f"M56.1 {HEIGHT}v-1.5h.8v1.5zM59.1 {HEIGHT}v-{HEIGHT}h.8v{HEIGHT}z"
    assert past.lanes("hour")["accepted"].path == ""


def test_two_relays_are_one_gateway(past: Past, tmp_path: Path) -> None:
    other = JournalWriter(tmp_path / "journal", "relay-1")
    other.write(events.QueueLengths(time=timestamp(NOW * 1000), fast=1, slow=2, hold=3))
    other.close()
    past.write(events.QueueLengths(fast=10, slow=20, hold=30), 0)
    found = past.lanes("day")
    assert [found[queue].counts[-1] for queue in ("fast", "slow", "hold")] == [11, 22, 33]
