"""Work on many messages: in batches, with what went wrong, stopped by hand, and bounded."""

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from control.queues import acts, relays
from control.queues.lines import Filter
from control.queues.works import FAILURES_KEPT, KEPT, RUNNING_AT_ONCE, Progress, TooMany, Work, Works
from engine.command import IDS, Command

DROP = Command("drop")
Relays = Callable[[Path, Command, Sequence[str]], dict[str, str]]


def ids(count: int) -> list[str]:
    return [f"{number:013}" for number in range(count)]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Works]:
    ticks = iter(range(1, 10**6))
    kept = Works(tmp_path, lambda: next(ticks))
    yield kept
    kept.close()


def answering(monkeypatch: pytest.MonkeyPatch, answer: Relays) -> None:
    monkeypatch.setattr(relays, "for_messages", answer)


def ended(work: Work) -> Progress:
    assert work.over.wait(30)
    return work.progress()


def test_in_batches_of_what_a_relay_takes(made: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    """HOLD-03: each message once, however many; the end is told once, with its figures."""
    batches: list[list[str]] = []
    told: list[Progress] = []

    def answer(root: Path, command: Command, wanted: Sequence[str]) -> dict[str, str]:
        batches.append(list(wanted))
        return {wanted[0]: "it is not there"}

    answering(monkeypatch, answer)
    progress = ended(made.start(DROP, [*ids(IDS + 1), ids(1)[0]], "ann", told.append))
    assert [len(batch) for batch in batches] == [IDS, 1] and batches[0] + batches[1] == ids(IDS + 1)
    assert (progress.state, progress.total, progress.done, progress.failed_count) == ("done", IDS + 1, IDS - 1, 2)
    assert progress.failed == ((ids(1)[0], "it is not there"), (ids(IDS + 1)[-1], "it is not there"))
    assert [(one.done, one.user, one.ended > one.started) for one in told] == [(IDS - 1, "ann", True)]


def test_reasons_are_kept_up_to_a_bound(made: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, lambda root, command, wanted: dict.fromkeys(wanted, "no"))
    progress = ended(made.start(DROP, ids(FAILURES_KEPT), "ann", lambda _: None))
    assert len(progress.failed) == progress.failed_count == FAILURES_KEPT
    progress = ended(made.start(DROP, ids(FAILURES_KEPT + 1), "ann", lambda _: None))
    assert (len(progress.failed), progress.failed_count) == (FAILURES_KEPT, FAILURES_KEPT + 1)


def test_it_stops_after_the_batch_that_is_being_done(made: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def answer(root: Path, command: Command, wanted: Sequence[str]) -> dict[str, str]:
        begun.set()
        assert go_on.wait(30)
        return {}

    answering(monkeypatch, answer)
    work = made.start(DROP, ids(3 * IDS), "ann", lambda _: None)
    assert begun.wait(30) and work.progress().state == "running" and not work.progress().is_over
    work.stop()
    go_on.set()
    progress = ended(work)
    assert (progress.state, progress.done, progress.total) == ("stopped", IDS, 3 * IDS)


def test_it_can_be_stopped_while_it_looks_for_messages(made: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def meant(root: Path, act: str, wanted: Filter) -> Iterator[str]:
        yield from ids(5)
        begun.set()
        assert go_on.wait(30)
        yield from ids(10)[5:]

    monkeypatch.setattr(acts, "meant", meant)
    answering(monkeypatch, lambda root, command, wanted: pytest.fail("nothing is done after it was stopped"))
    work = made.start(DROP, Filter(sender="a"), "ann", lambda _: None)
    assert begun.wait(30)
    work.stop()
    go_on.set()
    assert ended(work).state == "stopped"


@pytest.mark.parametrize(("batch", "unreached"), [(1, True), (2, False)])
def test_a_relay_that_does_not_answer(
    made: Works, monkeypatch: pytest.MonkeyPatch, batch: int, unreached: bool
) -> None:
    """What was done before stays counted; whether nothing at all was done is told apart."""
    asked = iter(range(1, 10))

    def answer(root: Path, command: Command, wanted: Sequence[str]) -> dict[str, str]:
        if next(asked) == batch:
            raise relays.NoAnswer("a relay does not answer")
        return {}

    answering(monkeypatch, answer)
    progress = ended(made.start(DROP, ids(3 * IDS), "ann", lambda _: None))
    assert (progress.state, progress.error) == ("failed", "a relay does not answer")
    assert (progress.done, progress.unreached) == ((batch - 1) * IDS, unreached)


def test_a_defect_ends_the_work_and_says_so(made: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(root: Path, command: Command, wanted: Sequence[str]) -> dict[str, str]:
        raise RuntimeError("broken")

    answering(monkeypatch, answer)
    progress = ended(made.start(DROP, ids(1), "ann", lambda _: None))
    assert progress.state == "failed" and "broken" in progress.error


def test_all_of_the_slow_queue_is_left_to_the_relays(made: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    """HOLD-06: a retry of everything means what waits for its time, and no held message."""
    monkeypatch.setattr(relays, "for_all", lambda root, command: 7)
    answering(monkeypatch, lambda root, command, wanted: pytest.fail("no message is named"))
    for wanted in (Filter(), Filter("slow")):
        progress = ended(made.start(Command("retry"), wanted, "ann", lambda _: None))
        assert (progress.state, progress.total, progress.done) == ("done", 7, 7)


def test_so_many_at_once_and_no_more(made: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    def answer(root: Path, command: Command, wanted: Sequence[str]) -> dict[str, str]:
        assert go_on.wait(30)
        return {}

    answering(monkeypatch, answer)
    running = [made.start(DROP, ids(1), "ann", lambda _: None) for _ in range(RUNNING_AT_ONCE)]
    with pytest.raises(TooMany):
        made.start(DROP, ids(1), "ann", lambda _: None)
    go_on.set()
    assert all(ended(work).state == "done" for work in running)
    assert ended(made.start(DROP, ids(1), "ann", lambda _: None)).state == "done"


def test_the_newest_ones_are_remembered(made: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, lambda root, command, wanted: {})
    first = ended(made.start(DROP, ids(1), "ann", lambda _: None))
    for _ in range(KEPT):
        last = ended(made.start(DROP, ids(1), "ann", lambda _: None))
    assert made.every()[0].id == last.id and made.get(first.id) is not None
    ended(made.start(DROP, ids(1), "ann", lambda _: None))
    assert made.get(first.id) is None and len(made.every()) == KEPT + 1


def test_none_begins_when_the_pages_end(tmp_path: Path) -> None:
    made = Works(tmp_path, lambda: 1)
    made.close()
    with pytest.raises(TooMany):
        made.start(DROP, ids(1), "ann", lambda _: None)
