"""The follower and its store: each journal line is counted exactly once, whatever happens to files and processes."""

import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.records.follower import CHUNK_LEN, Follower
from control.records.lines import MINUTE
from control.records.messages import Wanted
from control.records.reading import Query
from control.records.store import Store
from control.records.tallies import Totals
from engine import events
from engine.journal import JournalWriter, timestamp

SECOND = 1_000_000_000
BASE = 1_790_000_000 * SECOND  # some day in 2026, nanoseconds


class Desk:
    """A journal directory and what follows it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "journal"
        self.directory.mkdir()
        self.path = directory / "events.sqlite"
        self.store = Store(self.path, self.directory)
        self.follower = Follower(self.directory, self.store)

    def writer(self, process: str = "relay-0") -> JournalWriter:
        return JournalWriter(self.directory, process)

    def totals(self) -> dict[str, Totals]:
        with self.store.read() as view:
            return view.totals()

    def count(self, kind: str) -> int:
        return self.totals().get(kind, Totals()).count

    def restart(self) -> None:
        self.store.close()
        self.store = Store(self.path, self.directory)
        self.follower = Follower(self.directory, self.store)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()


def accepted(second: int, size: int = 100, smtp_id: str = "1N4ABCDE00001") -> events.Accepted:
    return events.Accepted(
        time=timestamp(BASE + second * SECOND),
        smtp_id=smtp_id,
        reverse_path="a@example.org",
        forward_paths=("b@example.com",),
        size=size,
        client="192.0.2.1",
        connection_id="1aaaaaaaaaa00",
    )


def started(second: int) -> events.ServiceStarted:
    return events.ServiceStarted(time=timestamp(BASE + second * SECOND), version="1.0")


def write(writer: JournalWriter, *all_events: events.Event) -> None:
    for event in all_events:
        writer.write(event)
    writer.close()


def test_counts_what_several_growing_files_say(desk: Desk) -> None:
    write(desk.writer("relay-0"), accepted(1, 100))
    write(desk.writer("relay-1"), accepted(2, 50))
    assert desk.follower.poll() == 2
    assert desk.totals()["accepted"] == Totals(2, 150)
    write(desk.writer("relay-1"), accepted(3, 7))
    assert desk.follower.poll() == 1
    assert desk.follower.poll() == 0
    assert desk.totals()["accepted"] == Totals(3, 157)


def test_goes_on_where_it_was_after_a_restart(desk: Desk) -> None:
    write(desk.writer(), accepted(1))
    desk.follower.poll()
    write(desk.writer(), accepted(2))
    desk.restart()
    assert desk.follower.poll() == 1
    assert desk.count("accepted") == 2


def test_a_torn_last_line_waits_until_it_is_whole(desk: Desk) -> None:
    write(desk.writer(), accepted(1), accepted(2))
    (path,) = desk.directory.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    desk.follower.poll()
    assert desk.count("accepted") == 1
    with path.open("ab") as file:
        file.write(whole[-20:])
    desk.follower.poll()
    assert desk.count("accepted") == 2


def test_passes_over_damage_and_counts_events_it_does_not_know(desk: Desk) -> None:
    path = desk.directory / "relay-0-2026-09-21.jsonl"
    good = b'{"event":"from-the-future","time":"2026-09-21T14:00:00.000001Z","smtp_id":"X","who":"knows"}\n'
    damage = [b'{"event":"accepted","ti\n', b"\xff\xfe\n", b"\n", b"[]\n", b'{"event":"accepted","time":"noon"}\n']
    path.write_bytes(b"".join([*damage, good]))
    assert desk.follower.poll() == 1
    assert desk.count("from-the-future") == 1
    with desk.store.read() as view:
        assert view.damaged() == len(damage)
        assert view.find(Query(term="knows"), 10).rows[0].kind == "from-the-future"


def test_a_line_without_end_does_not_stop_it_for_ever(desk: Desk) -> None:
    path = desk.directory / "relay-0-2026-09-21.jsonl"
    path.write_bytes(b"x" * (CHUNK_LEN + 5) + b"\n" + b'{"event":"held","time":"2026-09-21T14:00:00Z"}\n')
    desk.follower.poll()
    assert desk.count("held") == 1


def test_counters_run_since_the_last_start(desk: Desk) -> None:
    """SVC-05"""
    write(desk.writer("supervisor"), started(0), started(10))
    write(desk.writer("relay-0"), accepted(5), accepted(11), accepted(12))
    desk.follower.poll()
    assert desk.count("accepted") == 2


def test_a_start_that_is_read_late_takes_over_what_came_behind_it(desk: Desk) -> None:
    """Each process has its own file, so the order of reading is not the order of events (SVC-05)."""
    write(desk.writer("relay-0"), accepted(5, 5), accepted(15, 15), accepted(25, 25))
    desk.follower.poll()
    assert desk.totals()["accepted"] == Totals(3, 45)
    write(desk.writer("supervisor"), started(20))
    desk.follower.poll()
    assert desk.totals()["accepted"] == Totals(1, 25)
    write(desk.writer("supervisor-b"), started(10))  # older, and read later still
    desk.follower.poll()
    assert desk.totals()["accepted"] == Totals(1, 25)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60), st.booleans()), max_size=20), st.data())
def test_any_order_of_reading_gives_the_same_figures(
    tmp_path_factory: pytest.TempPathFactory, happened: list[tuple[int, int, bool]], data: st.DataObject
) -> None:
    desk = Desk(tmp_path_factory.mktemp("any"))
    try:
        for process, second, is_start in happened:
            event = started(second) if is_start else accepted(second, second)
            write(desk.writer(f"process-{process}"), event)
            if data.draw(st.booleans()):
                desk.follower.poll()
        desk.follower.poll()
        starts = [second for _, second, is_start in happened if is_start]
        counted = [s for _, s, is_start in happened if not is_start and s >= max(starts, default=0)]
        assert desk.totals().get("accepted", Totals()) == Totals(len(counted), sum(counted))
        before = desk.totals()
        desk.follower.rebuild()
        desk.follower.poll()
        assert desk.totals() == before
    finally:
        desk.store.close()


def test_a_replaced_or_shortened_file_is_read_again_from_the_start(desk: Desk) -> None:
    write(desk.writer(), accepted(1), accepted(2))
    desk.follower.poll()
    (path,) = desk.directory.iterdir()
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    desk.follower.poll()
    assert desk.count("accepted") == 1


def test_events_go_with_the_file_but_counters_stay(desk: Desk) -> None:
    """LOG-02, SVC-05"""
    write(desk.writer("relay-0"), accepted(1))
    write(desk.writer("relay-1"), accepted(2))
    desk.follower.poll()
    next(desk.directory.glob("relay-0*")).unlink()
    desk.follower.poll()
    with desk.store.read() as view:
        assert len(view.find(Query(term=""), 10).rows) == 1
    assert desk.count("accepted") == 2


def test_two_processes_that_follow_for_a_while_count_each_line_once(desk: Desk) -> None:
    """LOG-05, SVC-05: the process before a restart has not ended yet; each goes on from what the other one has read."""
    supervisor, relay = desk.writer("supervisor"), desk.writer()
    write(relay, accepted(0))
    desk.follower.poll()
    before = Store(desk.path, desk.directory)
    stale = {store: store.files() for store in (before, desk.store)}
    write(supervisor, started(1), started(2))
    write(relay, *(accepted(second) for second in range(3, 3003)))
    Follower(desk.directory, before).poll()
    for path in desk.directory.iterdir():  # as a poll that has looked at the table before the other one wrote
        file = stale[desk.store].get(path.name) or desk.store.add_file(path.name, path.stat().st_ino)
        octets = path.read_bytes()
        if path.name in stale[desk.store]:
            lines = octets[file.offset :].removesuffix(b"\n").split(b"\n")
            assert desk.store.ingest(file, lines, len(octets)) == 0
        assert file.offset == len(octets)
        assert not desk.store.index(file, whole=True) or file.indexed == len(octets)
    assert desk.count("accepted") == 3000
    write(supervisor, started(4000))
    assert desk.follower.poll() == 1
    assert Follower(desk.directory, before).poll() == 0
    write(relay, accepted(4001))
    assert Follower(desk.directory, before).poll() == 1
    assert desk.count("accepted") == 1, "both know of the last start"
    before.clear()
    with pytest.raises(sqlite3.Error, match="forgotten by another process"):
        desk.store.ingest(file, [], 0)
    assert desk.follower.poll() == 3005
    assert desk.count("accepted") == 1
    before.close()


def test_what_a_failed_transaction_remembered_is_forgotten(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """LOG-05: a start that was read and not committed is read again, also if the tables cannot be read in between."""
    supervisor = desk.writer("supervisor")
    write(supervisor, started(1))

    def fails(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr("control.records.store._advance", fails)
        with pytest.raises(sqlite3.Error):
            desk.follower.poll()
    write(supervisor, accepted(2))
    assert desk.follower.poll() == 2
    assert desk.count("accepted") == 1
    desk.restart()
    assert desk.store._runs == [0, (BASE + SECOND) // 1000]


def test_a_damaged_database_is_made_anew(desk: Desk) -> None:
    write(desk.writer(), accepted(1))
    desk.store.close()
    desk.path.write_bytes(b"this is not a database, it is a letter" * 100)
    desk.store = Store(desk.path, desk.directory)
    desk.follower = Follower(desk.directory, desk.store)
    desk.follower.poll()
    assert desk.count("accepted") == 1


def test_minutes_of_the_last_hour(desk: Desk) -> None:
    write(desk.writer(), accepted(0), accepted(1), accepted(3600 + 61))
    desk.follower.poll()
    first = BASE // 1000 // MINUTE * MINUTE
    with desk.store.read() as view:
        minutes = view.series(first, MINUTE, 62, frozenset({"accepted"}))["accepted"]
    assert sum(minutes) == 3
    assert minutes[0] == 2


def test_search_finds_words_in_any_field_and_the_story_of_an_id(desk: Desk) -> None:
    """RPT-13, PROC-25"""
    write(
        desk.writer(),
        accepted(1, smtp_id="1N4ABCDE00001"),
        accepted(2, smtp_id="1N4ABCDE00002"),
        events.Dropped(time=timestamp(BASE), smtp_id="1N4ABCDE00001", reason='50% of "it" is_odd'),
    )
    desk.follower.poll()
    with desk.store.read() as view:
        assert [event.kind for event in view.find(Query(term="1N4ABCDE00001"), 10).rows] == ["accepted", "dropped"]
        assert [event.kind for event in view.find(Query(term="1n4abcde00002"), 10).rows] == ["accepted"]
        assert len(view.find(Query(term="EXAMPLE.ORG"), 10).rows) == 2
        assert len(view.find(Query(term='50% of "it" is_'), 10).rows) == 1
        assert view.find(Query(term="is%odd"), 10).rows == []
        assert view.find(Query(term="configuration"), 10).rows == []
        assert len(view.find(Query(term=""), 2).rows) == 2


def test_messages_are_found_by_what_is_known_of_them(desk: Desk) -> None:
    """PROC-25"""
    write(
        desk.writer(),
        accepted(1, smtp_id="1N4ABCDE00001"),
        accepted(2, smtp_id="1N4ABCDE00002"),
        events.Scanned(time=timestamp(BASE + 3 * SECOND), smtp_id="1N4ABCDE00002", verdict="infected", subject="Über"),
        events.Held(time=timestamp(BASE + 4 * SECOND), smtp_id="1N4ABCDE00002", reason="a virus"),
    )
    desk.follower.poll()
    with desk.store.read() as view:
        newest = view.find_messages(Wanted(), limit=1)
        assert [(one.smtp_id, one.outcome) for one in newest.rows] == [("1N4ABCDE00002", "held")]
        older = view.find_messages(Wanted(), limit=1, before=newest.next)
        assert [(one.smtp_id, one.verdict) for one in older.rows] == [("1N4ABCDE00001", "")]
        for wanted in (Wanted(verdict="infected"), Wanted(subject="üB"), Wanted(smtp_id="00002")):
            assert [one.smtp_id for one in view.find_messages(wanted).rows] == ["1N4ABCDE00002"]
        assert len(view.find_messages(Wanted(address="B@EXAMPLE", client="192.0.2.1")).rows) == 2
        assert view.find_messages(Wanted(address="nobody@")).rows == []


def test_messages_are_found_by_what_became_of_them(desk: Desk) -> None:
    """PROC-25: the last of it, once for each message, however much later; the times asked for are of acceptance."""
    write(
        desk.writer(),
        accepted(1, smtp_id="1N4ABCDE00001"),
        accepted(2, smtp_id="1N4ABCDE00002"),
        events.Held(time=timestamp(BASE + 3 * SECOND), smtp_id="1N4ABCDE00001", reason="first"),
        events.Held(time=timestamp(BASE + 4 * SECOND), smtp_id="1N4ABCDE00002", reason="only"),
        events.Held(time=timestamp(BASE + 5 * SECOND), smtp_id="1N4ABCDE00001", reason="again"),
        events.Dropped(time=timestamp(BASE + 900 * SECOND), smtp_id="1N4ABCDE00002", reason="by hand"),
    )
    desk.follower.poll()
    with desk.store.read() as view:
        held, dropped = Wanted(outcome="held"), Wanted(outcome="dropped")
        assert [one.smtp_id for one in view.find_messages(held).rows] == ["1N4ABCDE00001"]
        assert [one.smtp_id for one in view.find_messages(dropped, until=BASE + 10 * SECOND).rows] == ["1N4ABCDE00002"]
        assert view.find_messages(dropped, first=BASE + 3 * SECOND).rows == []
        assert view.find_messages(Wanted(outcome="held", smtp_id="00002")).rows == []


def test_a_message_that_was_refused_while_its_client_waited_is_found(desk: Desk) -> None:
    """PROC-25, REJ-08: by what its sender was told and by what was found in it; attempts without content are not."""
    refused = partial(events.Rejected, client="192.0.2.1", connection_id="c1", reverse_path="a@example.net")
    write(
        desk.writer(),
        accepted(1, smtp_id="1N4ABCDE00001"),
        refused(time=timestamp(BASE + 2 * SECOND), reason="relay"),
        events.Scanned(time=timestamp(BASE + 3 * SECOND), smtp_id="1N4ABCDE00002", verdict="infected", subject="Über"),
        refused(
            time=timestamp(BASE + 4 * SECOND),
            reason="content",
            forward_path="b@x, c@x",
            smtp_id="1N4ABCDE00002",
            size=7,
        ),
    )
    desk.follower.poll()
    with desk.store.read() as view:
        for wanted in (
            Wanted(smtp_id="00002"),
            Wanted(subject="über", address="c@x"),
            Wanted(verdict="infected"),
            Wanted(outcome="rejected"),
            Wanted(outcome="rejected", address="a@example.net"),
        ):
            [found] = view.find_messages(wanted).rows
            assert (found.smtp_id, found.outcome, found.size) == ("1N4ABCDE00002", "rejected", 7)
            assert found.forward_paths == ("b@x", "c@x") and found.subject == "Über"
        assert [one.smtp_id for one in view.find_messages(Wanted()).rows] == ["1N4ABCDE00001"]


def test_a_search_ends_in_its_time_after_each_message(desk: Desk) -> None:
    """PROC-25: each message that is looked at costs reading; it goes on where it was."""
    write(desk.writer(), *(accepted(second, smtp_id=f"1N4ABCDE0000{second}") for second in range(1, 6)))
    desk.follower.poll()
    with desk.store.read() as view:
        seen, pages, before = [], 0, ""
        while True:
            found = view.find_messages(Wanted(client="192.0.2.1", address="a@example"), before=before, patience_s=0)
            seen += [one.smtp_id[-1] for one in found.rows]
            pages += 1
            if not found.next:
                break
            before = found.next
        assert seen == ["5", "4", "3", "2", "1"]
        assert 5 <= pages < 20
