"""Events out of many blocks and files: none missing, none twice, newest first, whatever the blocks are like."""

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.records import segments, store
from control.records.follower import Follower
from control.records.lines import MINUTE
from control.records.messages import Wanted
from control.records.reading import Query, StoredEvent
from control.records.store import Store
from control.records.view import View
from engine import events
from engine.ids import IdMaker
from engine.journal import JournalWriter, timestamp

FIRST = 1_790_035_200_000_000  # microseconds
EVENTS = 3000
KINDS = ("accepted", "delivered", "held", "completed", "kind-of-tomorrow")
WORDS = ("Müller", "СЧЁТ", "invoice", "x", "a.b@example.org", 'quoted "it"', "back\\slash", "50%_off")


class Archive:
    """Three processes whose clocks jump; blocks of 40 lines or so, and a tail of each file that is not indexed yet."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "journal"
        self.directory.mkdir()
        self.path = root / "events.sqlite"
        self.store = Store(self.path, self.directory)
        self.follower = Follower(self.directory, self.store)
        chance = random.Random(5)
        self.all: list[tuple[int, str, str]] = []
        texts = {process: [b"damaged\n"] for process in ("relay-0", "relay-1", "control")}
        for number in range(EVENTS):
            process, kind = chance.choice(list(texts)), chance.choice(KINDS)
            time = FIRST + number * 2_000_000 + chance.randrange(-300, 300) * 1_000_000
            fields = {
                "smtp_id": f"1N4ABCDE{chance.randrange(500):05d}",
                "words": chance.choice(WORDS),
                "number": number,
            }
            line = json.dumps({"event": kind, "time": timestamp(time * 1000), **fields}, ensure_ascii=False)
            self.all.append((time, kind, line))
            texts[process].append(line.encode() + b"\n")
        for process, lines in texts.items():
            (self.directory / f"{process}-2026-09-22.jsonl").write_bytes(b"".join(lines))
        self.follower.poll()
        self.all.sort()

    def close(self) -> None:
        self.store.close()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "BLOCK_LEN", 1500)
        patch.setattr(segments, "SEGMENT_LEN", 30_000)
        made = Archive(tmp_path_factory.mktemp("archive"))
        yield made
        made.close()


def everything(view: View, query: Query, limit: int = 97, patience_s: float = 10.0) -> list[StoredEvent]:
    rows, before = [], ""
    while True:
        found = view.find(query, limit, before, patience_s)
        rows += found.rows
        if not found.next:
            return rows
        assert len(found.rows) == limit or found.back_to is not None
        before = found.next


def brute(archive: Archive, query: Query) -> list[tuple[int, str, str]]:
    return [
        (time, kind, line)
        for time, kind, line in reversed(archive.all)
        if query.first <= time < query.until
        and (not query.kinds or kind in query.kinds)
        and (query.term.casefold() in json.loads(line)["words"].casefold() or kind in query.free)
    ]


def test_the_archive_has_segments_and_tails(archive: Archive) -> None:
    files = archive.store.files().values()
    assert all(0 < file.indexed < file.offset for file in files)


MIDDLE = FIRST + EVENTS * 1_000_000
QUERIES = [
    Query(),
    Query(first=MIDDLE),
    Query(until=MIDDLE),
    Query(first=MIDDLE, until=MIDDLE + 30 * 1_000_000),
    Query(first=MIDDLE, until=MIDDLE),
    Query(kinds=frozenset({"held"})),
    Query(kinds=frozenset({"held", "kind-of-tomorrow"}), first=MIDDLE),
    Query(kinds=frozenset({"never-seen"})),
    *(Query(term=word.swapcase()) for word in WORDS),
    Query(term="müller", kinds=frozenset({"delivered"})),
    Query(term="müller", kinds=frozenset({"delivered", "held"}), free=frozenset({"held"})),
    Query(term="invoice", free=frozenset({"completed"})),
    Query(term="not in any of them"),
]


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: f"{query.term}{sorted(query.kinds)}{query.first}")
@pytest.mark.parametrize("limit", [97, 100_000])
def test_finds_what_a_look_at_everything_finds(archive: Archive, query: Query, limit: int) -> None:
    """RPT-12, RPT-13: page by page or at once."""
    with archive.store.read() as view:
        found = everything(view, query, limit)
    expected = brute(archive, query)
    assert [event.time for event in found] == [time for time, _, _ in expected]
    assert sorted((event.time, event.kind, event.line) for event in found) == sorted(expected)


def test_a_search_that_takes_too_long_can_be_gone_on_with(archive: Archive) -> None:
    """Without any patience each page ends after a block, and says how far back it has looked."""
    query = Query(term="сЧёТ")
    with archive.store.read() as view:
        first = view.find(query, 1000, patience_s=0.0)
        assert first.next and first.back_to is not None and len(first.rows) < 1000
        assert all(event.time > first.back_to for event in first.rows)
        found = everything(view, query, 1000, patience_s=0.0)
    assert [event.time for event in found] == [time for time, _, _ in brute(archive, query)]


@pytest.mark.parametrize("before", ["x", "1.2", "1.2.3.4", "-1.0.0", "1.0.0 ", "9" * 19 + ".0.0", "١.٠.٠"])
def test_refuses_what_is_no_place_in_a_list(archive: Archive, before: str) -> None:
    with archive.store.read() as view, pytest.raises(ValueError):
        view.find(Query(), 10, before)


def test_sums_of_any_time(archive: Archive) -> None:
    """Whole hours and minutes, and what is left at the edges."""
    chance = random.Random(6)
    with archive.store.read() as view:
        for _ in range(30):
            first, until = sorted(FIRST + chance.randrange(-MINUTE, EVENTS * 2_100_000) for _ in range(2))
            counts = view.tally(first, until).counts
            for kind in KINDS:
                assert counts[kind] == sum(first <= time < until and one == kind for time, one, _ in archive.all)


def test_series_and_names(archive: Archive) -> None:
    with archive.store.read() as view:
        series = view.series(FIRST, 5 * MINUTE, 22, frozenset({"held", "scanned/infected"}))
    expected = [0] * 22
    for time, kind, _ in archive.all:
        if kind == "held" and time >= FIRST:
            expected[(time - FIRST) // (5 * MINUTE)] += 1
    assert series == {"held": expected, "scanned/infected": [0] * 22}


def test_retention_goes_in_small_steps_and_takes_everything_of_a_file(tmp_path: Path) -> None:
    """LOG-02, RPT-18: figures, blocks and names of a deleted day are gone, those of others stay."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "BLOCK_LEN", 1500)
        patch.setattr(segments, "SEGMENT_LEN", 30_000)
        patch.setattr(store, "EXPIRED_ROWS", 32)
        made = Archive(tmp_path)
        gone = made.directory / "relay-0-2026-09-22.jsonl"
        lines = gone.read_text().splitlines()[1:]
        gone.unlink()
        with made.store.read() as view:  # deleted, and not noticed yet: no page fails for that
            assert len(everything(view, Query())) == EVENTS - len(lines)
        made.follower.poll()
        with made.store.read() as view:
            assert len(everything(view, Query())) == view.tally(0, 1 << 60).counts.total() == EVENTS - len(lines)
        connection = made.store._connection
        for table in ("tally", "named", "queue", "block", "segment"):
            rows = connection.execute(f"SELECT COUNT(*) FROM {table} WHERE file NOT IN (SELECT id FROM journal_file)")
            assert rows.fetchone() == (0,), table
        (grams,) = connection.execute("SELECT COUNT(*) FROM gram").fetchone()
        (kept,) = connection.execute("SELECT COUNT(*) FROM segment").fetchone()
        assert grams == kept * segments.PARTS and kept
        made.close()


def test_times_while_logging_was_off(tmp_path: Path) -> None:
    """LOG-01, RPT-18: from each switching off to the next switching on; from ever, if only that is known."""
    made = Archive(tmp_path)
    writer = JournalWriter(made.directory, "supervisor")
    for second, enabled in ((10, True), (20, False), (30, True), (40, False)):
        writer.write(events.LoggingSwitched(time=timestamp((FIRST + second * 1_000_000) * 1000), enabled=enabled))
    writer.close()
    made.follower.poll()
    with made.store.read() as view:
        kept = view.kept()
    assert kept.first == made.all[0][0] and kept.last == made.all[-1][0]
    at = [(begin - FIRST, end - FIRST) for begin, end in kept.off[1:2]]
    assert kept.off[0] == (0, FIRST + 10_000_000) and at == [(20_000_000, 30_000_000)]
    assert kept.off[2][0] == FIRST + 40_000_000 and len(kept.off) == 3
    made.close()


def test_messages_by_what_is_told_later(tmp_path: Path) -> None:
    """PROC-25: subject and verdict come with the examination; one that was examined again counts as it was last."""
    made = Archive(tmp_path)
    now = FIRST
    ids = IdMaker(0, lambda: now * 1000)
    writer = JournalWriter(made.directory, "relay-0")
    names = [ids.next() for _ in range(3)]

    def at(second: int) -> str:
        return timestamp((FIRST + second * 1_000_000) * 1000)

    for number, name in enumerate(names):
        writer.write(
            events.Accepted(
                time=at(number), smtp_id=name, reverse_path="Straße@example.org", forward_paths=("b@example.com",),
                size=1, client="192.0.2.1", connection_id="c",
            )
        )  # fmt: skip
        writer.write(events.Scanned(time=at(10 + number), smtp_id=name, verdict="infected", subject=f"Über {number}"))
    writer.write(events.Scanned(time=at(20), smtp_id=names[0], verdict="clean", subject="Über 0"))
    writer.close()
    made.follower.poll()

    def found(wanted: Wanted) -> list[str]:
        with made.store.read() as view:
            return [one.smtp_id for one in view.find_messages(wanted).rows]

    assert found(Wanted(verdict="infected")) == [names[2], names[1]]
    assert found(Wanted(verdict="clean")) == [names[0]]
    assert found(Wanted(subject="über")) == [names[0], names[2], names[1]]
    assert found(Wanted(subject="ÜBER 1", address="STRAßE@")) == [names[1]]
    assert found(Wanted(smtp_id=names[2].lower())) == [names[2]]
    made.close()
