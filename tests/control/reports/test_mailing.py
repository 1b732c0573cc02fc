"""Reports that go out by mail: once for each time, with what the journal has, to a relay that answers."""

import email
import email.policy
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from control.post.handing import Taken
from control.records.follower import Follower
from control.records.store import Store
from control.reports import mailing, texts
from control.reports.mailing import Mailing
from control.reports.saved import SAVED, Full, SavedReport, SavedReports, Schedule, etag_of
from engine import events
from engine.config import Settings, Smtp
from engine.journal import JournalWriter, timestamp
from engine.layout import Layout

NOW = 1_790_064_000.0  # 2026-09-22, 08:00 UTC
DAILY = SavedReport(
    "Every day", schedule=Schedule("day", 0, 0, ("boss@example.com",)), sent_until=1_700_000_000_000_000
)


class Room:
    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.layout = Layout(root)
        self.layout.make()
        self.now = NOW
        self.answer = (Taken.YES, "")
        self.sent: list[tuple[str, tuple[str, ...], bytes]] = []
        self.told: list[events.Event] = []
        self.store = Store(root / "events.sqlite", self.layout.journal)
        writer = JournalWriter(self.layout.journal, "relay-0")
        for hours in range(1, 60):
            writer.write(
                events.VirusLogged(
                    time=timestamp(round((NOW - hours * 3600) * 1e9)), smtp_id="S", virus="=Worm\r\n.", part="2"
                )
            )
        writer.close()
        Follower(self.layout.journal, self.store).poll()
        self.saved = SavedReports(self.layout.control)
        monkeypatch.setattr(mailing, "hand_over", self._hand_over)
        settings: Callable[[], Settings] = lambda: Settings(smtp=Smtp(hostname="gate.example"))  # noqa: E731
        self.mailing = Mailing(
            self.layout, self.saved, self.store, settings, lambda: "gate.example", self.told.append, lambda: self.now
        )

    def _hand_over(self, layout: Layout, word: str, to: tuple[str, ...], content: bytes) -> tuple[Taken, str]:
        if self.answer[0] is Taken.YES:
            self.sent.append((word, to, content))
        return self.answer


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    return Room(tmp_path, monkeypatch)


def test_a_report_is_mailed_once_for_each_day(room: Room) -> None:
    """EQ-24: also after days in which nothing ran: the last day counts."""
    room.saved.put(DAILY)
    for _ in range(2):
        room.mailing.step()
    ((_, to, content),) = room.sent
    message = email.message_from_bytes(content, policy=email.policy.default)
    text = message.get_content()
    assert to == ("boss@example.com",) and message["subject"] == "gate.example: Every day"
    assert message["auto-submitted"] == "auto-generated"
    assert re.search(r"^  Infections logged +24\r?$", text, re.MULTILINE)
    assert re.search(r"^ +24  =Worm  \.\r?$", text, re.MULTILINE), "a name is one line, whatever it is"
    room.now += 3 * 86_400
    room.mailing.step()
    room.mailing.step()
    words = [word for word, _, _ in room.sent]
    assert len(words) == len(set(words)) == 2
    assert [type(event) for event in room.told] == [events.AlertSent, events.AlertSent]


def test_what_no_relay_takes_is_tried_again_under_the_same_word(room: Room) -> None:
    room.saved.put(DAILY)
    room.answer = (Taken.LATER, "no relay runs")
    room.mailing.step()
    assert not room.sent and not room.told
    room.answer = (Taken.YES, "")
    room.mailing.step()
    assert len(room.sent) == 1
    room.saved.put(DAILY)  # as if the note that it was sent had been lost
    room.mailing.step()
    assert room.sent[0][0] == room.sent[1][0], "the relay knows by it that it has it"


def test_what_a_relay_never_takes_is_told(room: Room) -> None:
    room.saved.put(DAILY)
    room.answer = (Taken.NEVER, "too large")
    room.mailing.step()
    room.mailing.step()
    (told,) = room.told
    assert isinstance(told, events.AlertSuppressed) and told.reason == "Every day: too large"


def test_without_recipients_or_time_nothing_is_mailed(room: Room) -> None:
    room.saved.put(SavedReport("a", schedule=Schedule("day")))
    room.saved.put(SavedReport("b", schedule=Schedule("never", recipients=("boss@example.com",))))
    room.mailing.step()
    assert not room.sent


def test_a_detail_report_by_mail_says_that_there_is_more(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is reached: 24 events are more than 5."""
    monkeypatch.setattr(texts, "ROWS", 5)
    room.saved.put(SavedReport("d", "detail", schedule=DAILY.schedule))
    room.mailing.step()
    text = email.message_from_bytes(room.sent[0][2], policy=email.policy.default).get_content()
    assert text.count("Virus logged") == 5 and "These are the newest 5." in text


def test_as_many_as_may_be_saved(tmp_path: Path) -> None:
    """The bound is crossed by one; changing one that there is still goes."""
    saved = SavedReports(tmp_path)
    for number in range(SAVED):
        saved.put(SavedReport(f"{number}"))
    with pytest.raises(Full):
        saved.put(SavedReport("one more"))
    assert saved.put(SavedReport("7", term="x")) and len(saved.all()) == SAVED


def test_only_the_one_that_was_looked_at_is_changed(tmp_path: Path) -> None:
    saved = SavedReports(tmp_path)
    first = SavedReport("a")
    saved.put(first)
    assert saved.put(SavedReport("a", term="x"), etag_of(first))
    assert not saved.put(SavedReport("a", term="y"), etag_of(first))
    saved.mark_sent("a", 7)
    found = saved.find("a")
    assert found is not None and (found.term, found.sent_until) == ("x", 7)
    assert saved.drop("a") and not saved.drop("a")
