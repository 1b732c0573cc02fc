"""Report figures equal an independent count over the journal, for a day of generated traffic.

The day is written by the gateway's own JournalWriter. The count here reads the lines as plain JSON and knows nothing of
the store: no roll-ups, no index, no shared tables of names.
"""

import csv
import io
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control.records.follower import Follower
from control.records.store import Store
from control.reports import detail, sheet, summary
from control.reports.detail import Question
from control.reports.period import Period
from control.reports.rows import COLUMNS, ReportRow
from engine import events
from engine.ids import IdMaker
from engine.journal import JournalWriter, timestamp
from engine.replies import Reason

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
FIRST = 1_790_035_200 * SECOND  # midnight UTC of a day in September 2026, nanoseconds
MESSAGES = 1000
VIRUSES = ("Eicar-Test", "=cmd|' /C calc'!A0", "Win.Trojan.Agent-1", "<script>alert(1)</script>")
SUBJECTS = ("Rechnung für Sie", "СЧЁТ 17", "cheap, pills", "=HYPERLINK(1)", 'say "hot"')
FILES = ("a.exe", "Überweisung.scr", "b;c.js")


class Day:
    """Two relays, the supervisor and the pages, from the day before to the day after."""

    def __init__(self, root: Path) -> None:
        self.directory = root / "journal"
        self.random = random.Random(2026)
        self.store = Store(root / "events.sqlite", self.directory)
        self.directory.mkdir(exist_ok=True)
        self.follower = Follower(self.directory, self.store)
        self.now = FIRST - 3600 * SECOND
        self.writers = [JournalWriter(self.directory, f"relay-{number}", lambda flush: None) for number in (0, 1)]
        self.ids = [IdMaker(number, lambda: self.now) for number in (0, 1)]
        self.pages = JournalWriter(self.directory, "control")
        for number in range(MESSAGES):
            self.now += self.random.randrange(2 * (DAY + 7200 * SECOND) // MESSAGES)
            self._message(self.random.randrange(2))
            if number % 50 == 0:
                self._system()
            if number == MESSAGES // 2:
                self.flush()
                self.follower.poll()  # the other half is read later, behind it
        self.flush()

    def is_over(self) -> None:
        """Another day has begun, with nothing in it yet."""
        for path in list(self.directory.iterdir()):
            path.rename(path.with_name(path.name[: -len("YYYY-MM-DD.jsonl")] + "2026-09-22.jsonl"))
            path.touch()

    def flush(self) -> None:
        for writer in self.writers:
            writer.flush()

    def _at(self, after_ms: int) -> str:
        return timestamp(self.now + after_ms * 1_000_000)

    def _system(self) -> None:
        self.pages.write(events.Logon(time=self._at(0), result="Failed", user="admin", client="192.0.2.1"))
        self.pages.write(
            events.ObjectModified(time=self._at(1), object="smtp", user="admin", client="::1", modification="port 25")
        )

    def _message(self, relay: int) -> None:
        pick, chance = self.random.choice, self.random.random
        write, smtp_id = self.writers[relay].write, self.ids[relay].next()
        connection, client = smtp_id.lower(), f"198.51.100.{self.random.randrange(20)}"
        sender = pick(("a@example.org", "", "Straße@bücher.example", "+1@example.net"))
        to = tuple(f"user{self.random.randrange(40)}@example.com" for _ in range(self.random.randrange(1, 4)))
        write(events.ConnectionFrom(time=self._at(0), result="accepted", client=client, connection_id=connection))
        if chance() < 0.1:
            reason = str(pick(list(Reason)))
            write(
                events.Rejected(
                    time=self._at(1), client=client, connection_id=connection, reason=reason, reverse_path=sender
                )
            )
            return
        size, subject = self.random.randrange(5_000_000), pick(SUBJECTS) + f" {self.random.randrange(300)}"
        write(
            events.Accepted(
                time=self._at(2),
                smtp_id=smtp_id,
                reverse_path=sender,
                forward_paths=to,
                size=size,
                client=client,
                connection_id=connection,
            )
        )
        write(events.Scanned(time=self._at(5), smtp_id=smtp_id, verdict=pick(("clean", "infected")), subject=subject))
        for kind in (events.VirusLogged, events.FileRepaired, events.FileDeleted):
            for _ in range(self.random.randrange(3) if chance() < 0.1 else 0):
                virus = pick(VIRUSES)
                write(
                    kind(
                        time=self._at(6), smtp_id=smtp_id, virus=virus, part="2", reverse_path=sender, forward_paths=to
                    )
                )
        if chance() < 0.1:
            write(
                events.AttachmentDeleted(
                    time=self._at(7),
                    smtp_id=smtp_id,
                    part="3",
                    file=pick(FILES),
                    reason="file name",
                    reverse_path=sender,
                    forward_paths=to,
                )
            )
        if chance() < 0.1:
            handling = pick(("delete", "drop"))
            write(
                events.EncryptedContainer(time=self._at(7), smtp_id=smtp_id, part="4", file="x.zip", handling=handling)
            )
        if chance() < 0.1:
            write(
                events.SubjectBlocked(
                    time=self._at(8), smtp_id=smtp_id, reverse_path=sender, subject=subject, entry="*", handling="drop"
                )
            )
            write(events.Dropped(time=self._at(9), smtp_id=smtp_id, reason="subject"))
            return
        for path in to:
            self._delivery(relay, smtp_id, sender, path)
        write(events.Completed(time=self._at(90), smtp_id=smtp_id))

    def _delivery(self, relay: int, smtp_id: str, sender: str, path: str) -> None:
        write, result = self.writers[relay].write, self.random.random()
        if result < 0.05:
            write(events.Bounced(time=self._at(50), smtp_id=smtp_id, forward_path=path, reason="not wanted"))
        elif result < 0.1:
            write(events.DeliveryFailed(time=self._at(60), smtp_id=smtp_id, forward_path=path, reason="550 no"))
        else:
            write(
                events.Delivered(
                    time=self._at(70),
                    smtp_id=smtp_id,
                    reverse_path=sender,
                    forward_path=path,
                    server="192.0.2.25",
                    connection_id="c",
                )
            )


@pytest.fixture(scope="module", params=["followed", "indexed"])
def day(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """followed: as it is written, read as it stands. indexed: as of a day that is over, through segments and blocks."""
    made = Day(tmp_path_factory.mktemp("day"))
    if request.param == "indexed":
        made.is_over()
    made.follower.poll()
    yield made
    made.store.close()


def lines(day: Day, period: Period) -> list[dict[str, Any]]:
    """The independent reading: RFC 3339 times in UTC are in order as texts."""
    first, until = timestamp(period.first * 1000), timestamp(period.until * 1000)
    read = [json.loads(line) for path in day.directory.iterdir() for line in path.read_text().splitlines()]
    return [event for event in read if first <= event["time"] < until]


WHOLE = Period(FIRST // 1000, (FIRST + DAY) // 1000)
PERIODS = [
    WHOLE,
    Period(WHOLE.first + 1_234_567, WHOLE.until - 7_654_321),  # ragged at both ends
    Period(WHOLE.first + 3_600_000_000, WHOLE.first + 7_200_000_000),
    Period(WHOLE.first + 40_000_000_000, WHOLE.first + 40_030_000_000),  # less than a minute
    Period(WHOLE.first, WHOLE.first),
    Period(0, 1 << 52),
]


@pytest.mark.parametrize("period", PERIODS, ids=lambda period: f"{period.until - period.first} us")
def test_every_figure_of_the_summary(day: Day, period: Period) -> None:
    """RPT-01..04, RPT-08, RPT-10, RPT-11, RSUM-01..12, GAP-03, GAP-04, GAP-41."""
    seen = lines(day, period)
    count = Counter(event["event"] for event in seen)
    with day.store.read() as view:
        found = summary.summary(view, period)
    assert [(one.label, one.value) for one in found.messages] == [
        ("Messages accepted", count["accepted"]),
        ("Data accepted (KB)", (sum(e["size"] for e in seen if e["event"] == "accepted") + 1023) // 1024),
        ("Messages rejected", count["rejected"]),
        ("of these blocked by size", sum(e["event"] == "rejected" and e["reason"] == "size" for e in seen)),
        ("Messages bounced", count["bounced"]),
        ("Messages delivered", count["delivered"]),
        ("Message delivery failures", count["delivery-failed"]),
        ("Messages completed", count["completed"]),
        (
            "Encrypted files deleted",
            sum(e["event"] == "encrypted-container" and e["handling"] == "delete" for e in seen),
        ),
    ]
    infections = [count["virus-logged"], count["file-repaired"], count["file-deleted"], count["file-refused"]]
    assert [one.value for one in found.infections] == [*infections, sum(infections), 0]
    for listed, kinds, field in (
        (found.viruses, ("virus-logged", "file-repaired", "file-deleted", "file-refused"), "virus"),
        (found.subjects, ("subject-blocked",), "subject"),
        (found.attachments, ("attachment-deleted",), "file"),
    ):
        names = Counter(event[field] for event in seen if event["event"] in kinds)
        assert {one.name: one.count for one in listed.names} == names
        assert listed.total == names.total()
        assert [one.count for one in listed.names] == sorted(names.values(), reverse=True)


@pytest.mark.parametrize("period", PERIODS, ids=lambda period: f"{period.until - period.first} us")
def test_every_event_of_the_detail(day: Day, period: Period) -> None:
    """RPT-02, RPT-12, RPT-16: each event once, newest first, page by page and in a file."""
    expected = Counter((event["time"], event["event"]) for event in lines(day, period))
    with day.store.read() as view:
        rows, before = [], ""
        while True:
            found = detail.page(view, Question(period), 700, before)
            rows += found.rows
            if not found.next:
                break
            before = found.next
        everything = list(detail.every_row(view, Question(period)))
    assert Counter((timestamp(row.time * 1000), row.kind) for row in rows) == expected
    assert [row.time for row in rows] == sorted((row.time for row in rows), reverse=True)
    assert everything == rows
    records = list(csv.reader(io.StringIO(b"".join(sheet.octets(rows)).decode(), newline="")))
    assert records[0] == [head for _, head in COLUMNS]
    assert len(records) == len(rows) + 1


def found_rows(day: Day, kinds: tuple[str, ...], term: str) -> list[ReportRow]:
    with day.store.read() as view:
        return list(detail.every_row(view, Question(WHOLE, frozenset(kinds), term)))


@pytest.mark.parametrize("kinds", [("virus-logged",), ("accepted", "dropped"), ("logon", "object-modified"), ("held",)])
def test_chosen_actions(day: Day, kinds: tuple[str, ...]) -> None:
    """RPT-12, RPT-17."""
    expected = Counter(event["event"] for event in lines(day, WHOLE) if event["event"] in kinds)
    assert Counter(row.kind for row in found_rows(day, kinds, "")) == expected


@pytest.mark.parametrize(
    "term", ["STRAßE@", "bücher", "user17@", "сЧёт 17", "198.51.100.7", "calc'!a0", "zzz", "rs", "virus LOGGED"]
)
def test_search(day: Day, term: str) -> None:
    """RPT-13: the rows with the term are those that a look at all rows finds."""
    expected = [row for row in found_rows(day, (), "") if row.has(term)]
    assert found_rows(day, (), term) == expected
    assert bool(expected) == (term != "zzz")


def test_the_acceptance_of_a_message_has_its_subject(day: Day) -> None:
    """RMSG-01, RPT-13: also when only acceptances are asked for, and when only the subject has the term."""
    subjects = {e["smtp_id"]: e["subject"] for e in lines(day, Period(0, 1 << 52)) if e["event"] == "scanned"}
    accepted = found_rows(day, ("accepted",), "")
    assert {row.smtp_id: row.subject for row in accepted} == {row.smtp_id: subjects[row.smtp_id] for row in accepted}
    wanted = {row.smtp_id for row in accepted if "cheap, pills 1" in row.subject}
    assert {row.smtp_id for row in found_rows(day, ("accepted",), "CHEAP, pills 1")} == wanted != set()
