"""The queues a page at a time, counted and surveyed: all of it, each once, in bounded time."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control.queues import browse as browsing
from control.queues import survey as surveying
from control.queues.acts import meant
from control.queues.browse import browse, count
from control.queues.fast import FastQueue
from control.queues.lines import Filter, Line, line_of
from control.queues.survey import Surveys
from engine.ids import IdMaker
from engine.queue import framing, listing
from engine.queue.disk import Disk
from engine.queue.files import MessageFiles
from engine.queue.record import Attempt, Received, Recipient, Result
from engine.queue.state import HOLD, SLOW, MessageState

NOW_NS = 10**18


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five messages in the slow queue and two in the hold queue, of two next hops."""
    base = tmp_path_factory.mktemp("root")
    files = MessageFiles(base / "queue", Disk())
    files.prepare()
    clock = itertools.count(NOW_NS, 10**9)
    maker = IdMaker(0, lambda: next(clock))
    for number, place in enumerate([SLOW] * 5 + [HOLD] * 2):
        smtp_id = maker.next()
        received = Received(
            smtp_id, NOW_NS, "c", "192.0.2.1", 1, "h", "SMTP", "", f"s{number}@a.example", (Recipient("u@B.example"),)
        )
        attempt = Attempt(smtp_id, NOW_NS, 0, Result.PENDING, "451 later", f"mx{number % 2}.example:25")
        files.write(place, smtp_id, framing.encode(received), [b"\r\n"], [framing.encode(attempt)])
    return base


def pages(root: Path, wanted: Filter, limit: int, clock: Iterator[float] | None = None) -> Iterator[list[str]]:
    after = ""
    while True:
        found = browse(FastQueue(root), wanted, after, limit, clock.__next__ if clock else (lambda: 0.0))
        yield [line.reverse_path[:2] for line in found.lines]
        if not found.next:
            return
        after = found.next


@pytest.mark.parametrize("limit", [1, 2, 7, 8])
def test_page_by_page_each_once_oldest_first(root: Path, limit: int) -> None:
    """HOLD-01, STAT-26, STAT-27: over the border of two queues too."""
    found = list(pages(root, Filter(), limit))
    assert list(itertools.chain(*found)) == [f"s{number}" for number in range(7)]
    assert all(len(page) == limit for page in found[:-1])
    assert list(itertools.chain(*pages(root, Filter("hold"), limit))) == ["s5", "s6"]
    assert list(itertools.chain(*pages(root, Filter(next_hop="MX1."), limit))) == ["s1", "s3", "s5"]


def test_a_search_that_takes_too_long_goes_on_where_it_was(root: Path) -> None:
    clock = itertools.count(0.0, browsing.PATIENCE_S)  # each look at it is as late as can be borne
    found = list(pages(root, Filter(sender="s6"), 10, clock))
    assert len(found) > 2 and list(itertools.chain(*found)) == ["s6"]


def test_a_place_that_is_none_is_refused(root: Path) -> None:
    for wrong in ("x", "fast", "slow-", "elsewhere-0000000000000"):
        with pytest.raises(ValueError, match="no place"):
            browse(FastQueue(root), Filter(), wrong, 10)
    assert browse(FastQueue(root), Filter(), "hold-" + "V" * 13, 10).lines == []


def test_counting(root: Path) -> None:
    """Of a filter that looks at messages, as far as it gets in a moment."""
    assert count(FastQueue(root), Filter(), listing.ALL) == browsing.Counted(7, True)
    assert count(FastQueue(root), Filter("hold"), ("hold",)) == browsing.Counted(2, True)
    assert count(FastQueue(root), Filter(sender="s"), (SLOW, HOLD)) == browsing.Counted(7, True)
    late = itertools.count(0.0, browsing.PATIENCE_S + 0.1)
    assert count(FastQueue(root), Filter(sender="s"), (SLOW, HOLD), late.__next__) == browsing.Counted(1, False)


def test_what_a_filter_means_for_each_act(root: Path) -> None:
    """HOLD-06: held messages only where they are named, or where the act is about them."""
    assert [len(list(meant(root, act, Filter()))) for act in ("retry", "release", "drop", "hold")] == [5, 2, 7, 5]
    assert len(list(meant(root, "retry", Filter("hold")))) == 2
    assert len(list(meant(root, "retry", Filter(sender="s5")))) == 0
    assert len(list(meant(root, "requeue", Filter(sender="s5")))) == 1


def test_survey(root: Path) -> None:
    """STAT-25..27: lengths and the oldest by names, recipients by next hop, domain and sender."""
    survey = Surveys(FastQueue(root)).read(30)
    assert survey.complete and survey.lengths == {"fast": 0, "slow": 5, "hold": 2}
    assert survey.oldest == {"fast": 0, "slow": NOW_NS // 1000, "hold": NOW_NS // 1000 + 5_000_000}
    assert {one.domain: one.total for one in survey.shares["next_hop"]} == {"mx0.example:25": 4, "mx1.example:25": 3}
    assert [(one.domain, one.total) for one in survey.shares["domain"]] == [("b.example", 7)]
    assert [(one.domain, one.ages[-1]) for one in survey.shares["sender"]] == [("a.example", 7)]


def test_one_count_at_a_time_and_its_result_is_used_for_a_while(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pages ask: a long queue is read by one thread, and shown as far as it is."""
    now, begun, go_on, made = 0.0, threading.Event(), threading.Event(), []
    list_queues = listing.Queue

    def slowly(message: MessageState, now_ns: int) -> Line:
        begun.set()
        assert go_on.wait(30)
        return line_of(message, now_ns)

    def counted(base: Path, **how: Any) -> listing.Queue:
        made.append(base)
        return list_queues(base, **how)

    monkeypatch.setattr(surveying, "WORTH_S", 0.0)
    monkeypatch.setattr(surveying, "line_of", slowly)
    monkeypatch.setattr(listing, "Queue", counted)
    surveys = Surveys(FastQueue(root), lambda: now)
    assert surveys.read(0.0).counted == 0 and begun.wait(30)
    assert surveys.read(0.0).total == 7 and len(made) == 1
    go_on.set()
    assert surveys.read(30).complete and surveys.read(30).complete and len(made) == 1
    now = 1e9
    assert surveys.read(30).complete and len(made) == 2
    surveys.forget()
    assert surveys.read(30).complete and len(made) == 3, "something was done to the queues"


@pytest.mark.parametrize(
    ("content", "subject"),
    [
        (b"From: a\r\nsubject:  =?utf-8?q?x?= \x1b\r\n\r\n", "=?utf-8?q?x?= \ufffd"),
        (b"From: a\r\n\r\nSubject: of the body\r\n", ""),
        (b"Subject: " + b"x" * 600 + b"\r\n", "x" * 500 + "..."),
        (b"\r\n", ""),
        (b"", ""),
    ],
)
def test_the_subject_of_what_no_scan_has_read(tmp_path: Path, content: bytes, subject: str) -> None:
    """HOLD-01: as received, of a message that was held because it ended the scanner."""
    files = MessageFiles(tmp_path / "queue", Disk())
    files.prepare()
    smtp_id = IdMaker(0, lambda: NOW_NS).next()
    received = Received(smtp_id, NOW_NS, "c", "192.0.2.1", 1, "h", "SMTP", "", "", (Recipient("u@b.example"),))
    files.write(HOLD, smtp_id, framing.encode(received), [content] if content else [], [])
    (line,) = browse(FastQueue(tmp_path), Filter(), "", 1).lines
    assert line.subject == subject
