"""Sessions of updates, from a real repository to a file in force (DEF-07, DEF-08, DEF-12, DEF-16, DEF-17)."""

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from control.actor import Actor, Role
from control.context import Context
from control.operation import Call, Nothing
from control.operations.definitions import read
from control.updates import memory as memories
from control.updates import session, trial
from control.updates.keeper import CRASHES, REQUEST, ask
from control.updates.memory import FAILED, HISTORY, NOTHING_NEW, SUCCEEDED, Attempt, Memory
from control.updates.session import Running, alone
from control.updates.trust import trust
from engine import config, events
from engine.config import Settings, Updates
from engine.journal import JournalWriter
from engine.layout import Layout
from signatures import image, vectors
from signatures.model import Literal, Signature
from tests.control.harness import wait_until
from tests.control.updates.publisher import Publisher, image_of

ADMIN = Actor("admin", Role.ADMINISTRATOR, frozenset(), "192.0.2.1")
DAY_S = 86_400.0


class Site:
    """The pages' rooms without pages, with a clock that can be set, and what they tell."""

    def __init__(self, root: Path, publisher: Publisher, **updates: object) -> None:
        layout = Layout(root)
        layout.make()
        given = {"sources": (str(publisher.repository.directory),), "canary_minutes": 0} | updates
        config.save(Settings(updates=Updates(**given)), layout.config)  # type: ignore[arg-type]
        (layout.definitions / "starter.mwd").write_bytes(image_of("Starter"))
        trust(publisher.root, layout.definitions / "trusted")
        self.late_s = 0.0
        self.context = Context(root, lambda: time.time() + self.late_s)
        self.context.follower.start()
        self.relay = JournalWriter(layout.journal, "relay-0")
        self.layout = layout

    def close(self) -> None:
        self.relay.close()
        self.context.close()

    @property
    def revision(self) -> str:
        found = self.context.definitions.in_force()
        return found.revision if found else ""

    @property
    def memory(self) -> Memory:
        return self.context.updates.memory

    def update(self, user: str = "admin") -> Attempt:
        self.context.updates.now(user)
        self.context.updates.step()
        return self.memory.history[0]

    def told(self, kind: str) -> list[dict[str, object]]:
        lines = "".join(path.read_text() for path in self.layout.journal.glob("control-*"))
        return [one for line in lines.splitlines() if (one := msgspec.json.decode(line))["event"] == kind]

    def tell(self, *told: events.Event) -> None:
        """As a relay; returns when it is known here."""
        for event in told:
            self.relay.write(event)
        self.relay.flush()
        kind = str(type(told[-1]).__struct_config__.tag)
        wait_until(lambda: bool(self.context.updates.journal(frozenset({kind}), 0)), kind)

    def look(self) -> None:
        """As the thread does some seconds later."""
        self.context.updates._watch_at = 0.0
        self.context.updates.step()


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Publisher:
    return Publisher(tmp_path_factory.mktemp("publisher"))


@pytest.fixture
def site(tmp_path: Path, publisher: Publisher) -> Iterator[Site]:
    one = Site(tmp_path, publisher)
    yield one
    one.close()


def published(publisher: Publisher, *names: str) -> tuple[int, str]:
    found = publisher.publish(*names).revision
    return found.number, found.image


def test_an_update_comes_into_force_and_says_so(site: Site, publisher: Publisher) -> None:
    """DEF-01, DEF-07, DEF-12, DEF-13, DEF-16: fetched, tested, in force, with number and date; the one before kept."""
    before = site.revision
    number, revision = published(publisher, "First", f"Of {site.layout.root.name}")
    attempt = site.update()
    assert (attempt.result, attempt.number, attempt.revision, attempt.user) == (SUCCEEDED, number, revision, "admin")
    assert site.revision == revision
    previous = site.context.definitions.previous()
    assert previous is not None and previous.revision == before
    known = site.memory.of(revision)
    assert known is not None and known.number == number and known.date
    (told,) = site.told("definitions-updated")
    assert (told["result"], told["revision"], told["number"]) == ("Succeeded", revision, number)
    assert str(told["date"]).startswith("20")
    (ended,) = site.told("definitions-update-session")
    assert (ended["result"], ended["user"]) == ("Succeeded", "admin")
    assert site.update().result == NOTHING_NEW
    assert len(site.told("definitions-updated")) == 1
    assert memories.read(site.layout.control / memories.FILE_NAME).history == site.memory.history


def test_a_failure_keeps_what_is_in_force(site: Site, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """DEF-12: for want of a source, or since the self-test says no; that one is not tried again, and can be chosen."""
    before = site.revision
    wrong = Signature("Wrong", Literal(b"what it looks for"), specimens=(b"something else",))
    octets = image.build([wrong], annexes={vectors.ANNEX: vectors.annex([wrong])})
    monkeypatch.setattr("tests.control.updates.publisher.image_of", lambda *names: octets)
    number, _ = published(publisher, "x")
    attempt = site.update()
    assert (attempt.result, site.revision) == (FAILED, before)
    assert "Wrong does not find its specimen" in attempt.reason and "stay" in attempt.reason
    (told,) = site.told("definitions-updated")
    assert (told["result"], told["number"]) == ("Failed", number)
    assert [one.name for one in site.context.definitions.others()] == [f"refused-{number}.mwd"]
    assert site.update().result == NOTHING_NEW, "it is not fetched again"
    timestamp = publisher.metadata / "timestamp.json"
    timestamp.rename(kept := timestamp.with_name("kept"))
    try:
        attempt = site.update()
    finally:
        kept.rename(timestamp)
    assert (attempt.result, site.revision) == (FAILED, before)


def test_a_set_that_would_stop_mail_or_let_all_through(
    site: Site, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DEF-16: signed as it may be, without signatures or with one that finds ordinary mail; also without any mail."""
    before = site.revision
    for signatures, why in (
        ((), "no signatures at all"),
        ((Signature("Everything", Literal(b"office ")),), "Everything is found in a mail of plain text"),
    ):
        octets = image.build(signatures)
        monkeypatch.setattr("tests.control.updates.publisher.image_of", lambda *names, octets=octets: octets)
        published(publisher, "x")
        attempt = site.update()
        assert (attempt.result, site.revision) == (FAILED, before)
        assert why in attempt.reason


def test_half_of_the_signatures_are_not_lost_at_once() -> None:
    """DEF-16"""
    most = trial.MANY
    for now, before in ((1, 0), (1, most - 1), (most // 2, most), (most, most * 2)):
        trial.counted(now, before)
    for now, before in ((0, 0), (most // 2 - 1, most), (1, 8_000_000)):
        with pytest.raises(trial.NotFit):
            trial.counted(now, before)


def test_one_at_a_time(site: Site) -> None:
    """DEF-08: a second request gets "already running", also while another process makes one."""
    site.context.updates.now("admin")
    assert site.context.updates.standing().running
    with pytest.raises(Running, match="already"):
        site.context.updates.now("admin")
    site.context.updates.step()
    assert not site.context.updates.standing().running
    with alone(site.layout):
        assert site.context.updates.standing().running
        with pytest.raises(Running):
            site.context.updates.now("admin")
        with pytest.raises(Running):
            ask(site.layout, "root")
    ask(site.layout, "root")
    site.context.updates.step()
    assert site.memory.history[0].user == "root"
    assert not (site.layout.run / REQUEST).exists()


def test_the_schedule_begins_sessions(tmp_path: Path, publisher: Publisher) -> None:
    """DEF-02, DEF-05, DEF-17: by the schedule, or by hand only where it is off."""
    site = Site(tmp_path, publisher, first="00:00")
    try:
        site.context.updates.step()
        assert not site.memory.history
        standing = site.context.updates.standing()
        assert standing.next > site.context.now_us()
        site.late_s = standing.next / 1e6 - time.time() + 1
        site.context.updates.step()
        assert [one.user for one in site.memory.history] == ["schedule"]
        site.context.updates.step()
        assert len(site.memory.history) == 1, "once"
        off = Settings(updates=Updates(enabled=False, sources=(str(publisher.repository.directory),)))
        config.save(off, site.layout.config)
        site.context.settings.reread()
        site.late_s += DAY_S
        site.context.updates.step()
        assert len(site.memory.history) == 1
        assert site.context.updates.standing().next == 0
        assert site.update().user == "admin"
    finally:
        site.close()


def test_a_canary_that_speaks_against_it(tmp_path: Path, publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    """DEF-16: verdicts of live mail that differ too much keep a set out of force; those within bounds let it in."""
    monkeypatch.setattr(session, "LOOK_S", 0.01)
    site = Site(tmp_path, publisher, canary_minutes=1)
    try:
        before, (number, revision) = site.revision, published(publisher, "Canary", tmp_path.name)
        told = threading.Thread(target=_says, args=(site, revision))
        told.start()
        attempt = site.update()
        told.join()
        assert (attempt.result, site.revision) == (FAILED, before)
        assert "finds something in 6 of 20 live messages" in attempt.reason
        assert not site.layout.candidate.exists()
        assert [one.number for one in site.memory.unwanted] == [number]
    finally:
        site.close()


def _says(site: Site, revision: str) -> None:
    wait_until(site.layout.candidate.exists, "the candidate is offered to the relays")
    site.tell(events.DefinitionsCompared(revision=revision, messages=20, found=("Canary",) * 6))


@pytest.mark.parametrize(
    ("compared", "why"),
    [
        ((), ""),
        ((events.DefinitionsCompared("r", 1000, ("A",) * 50),), ""),
        ((events.DefinitionsCompared("r", 10, ("A",) * 4),), ""),
        ((events.DefinitionsCompared("r", 50, ("A",)), events.DefinitionsCompared("r", 50, ("B",) * 5)), "6 of 100"),
        ((events.DefinitionsCompared("r", 100, (), ("A",) * 6),), "any more"),
        ((events.DefinitionsCompared("r", 10, before_ms=100, after_ms=500),), ""),
        ((events.DefinitionsCompared("r", 10, before_ms=100, after_ms=501),), "50 ms for each"),
        ((events.DefinitionsCompared("r", 1, crash="signal 11"),), "signal 11"),
    ],
)
def test_the_bounds_of_a_canary(compared: tuple[events.DefinitionsCompared, ...], why: str) -> None:
    """DEF-16"""
    assert why in trial.judged(compared)
    assert bool(why) == bool(trial.judged(compared))


@pytest.mark.parametrize("badly", ["refused", "crashes"])
def test_a_set_that_does_badly_is_taken_back(site: Site, publisher: Publisher, badly: str) -> None:
    """DEF-16: automatic roll back; and it is not fetched again."""
    before, (number, revision) = site.revision, published(publisher, badly, site.layout.root.name)
    site.update()
    assert site.revision == revision
    crashes = [events.ScannerCrashed(smtp_id=f"1CRASH{one}", count=1, reason="signal 11") for one in range(CRASHES)]
    if badly == "crashes":
        site.tell(*crashes[:-1])
        site.look()
        assert site.revision == revision, "hostile mail may do that"
        site.tell(crashes[-1])
        wait_until(lambda: len(site.context.updates.journal(frozenset({"scanner-crashed"}), 0)) == CRASHES, "all")
    else:
        site.tell(events.DefinitionsRefused(reason="3 scanners ended while they loaded them"))
    site.look()
    assert site.revision == before
    (told,) = site.told("definitions-rolled-back")
    assert (told["revision"], told["back_to"]) == (revision, before)
    assert [one.number for one in site.memory.unwanted] == [number]
    assert site.update().result == NOTHING_NEW
    assert site.revision == before


def test_who_rolls_back_keeps_it_so_until_there_is_a_newer_one(site: Site, publisher: Publisher) -> None:
    """DEF-16: by one control, and no schedule undoes it; nothing takes back what a person chose."""
    before = site.revision
    _, revision = published(publisher, "Unloved", site.layout.root.name)
    site.update()
    site.context.definitions.roll_back("admin", 0)
    assert site.update().result == NOTHING_NEW
    assert site.revision == before
    site.tell(events.DefinitionsRefused(reason="whatever"))
    site.look()
    assert site.revision == before
    call = Call(site.context, ADMIN)
    assert read(call, Nothing()).previous_was_left, "who goes on to them again is warned"
    site.context.definitions.roll_back("admin", 0)
    site.look()
    assert (site.revision, site.memory.unwanted) == (revision, ()), "doing it once more undoes it"
    newer = published(publisher, "Newer", site.layout.root.name)[1]
    assert site.update().result == SUCCEEDED
    assert site.revision == newer


def test_an_old_set_is_an_alarm(site: Site, publisher: Publisher) -> None:
    """DEF-13: once, and once more when newer ones came."""
    site.context.updates.step()
    assert site.told("definitions-old") == []
    site.late_s = 9 * DAY_S
    for _ in range(2):
        site.context.updates.step()
    (old,) = site.told("definitions-old")
    assert old["days"] == 9
    site.late_s = 0
    site.context.updates.step()
    assert [one.get("recovered", False) for one in site.told("definitions-old")] == [False, True]


def test_what_is_remembered_is_bounded() -> None:
    attempt, found = Attempt(1, 1, "admin", FAILED), Memory()
    for number in range(HISTORY + 1):
        found = found.with_attempt(msgspec.structs.replace(attempt, time=number))
        known = memories.Known(str(number), number, 0, "s")
        found = found.with_known(known).unwanting(known)
    assert len(found.history) == HISTORY and found.history[0].time == HISTORY
    assert len(found.known) == memories.KNOWN
    assert len(found.unwanted) == memories.UNWANTED


def test_an_update_that_a_restart_cuts_off_is_made_again(
    tmp_path: Path, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DEF-12: it is no failure, and counts as none; nothing is on trial after a start."""
    site = Site(tmp_path, publisher, canary_minutes=60)
    try:
        published(publisher, "CutOff", tmp_path.name)
        stopping = threading.Thread(target=_stops, args=(site,))
        stopping.start()
        site.context.updates.now("admin")
        site.context.updates.step()
        stopping.join()
        assert site.memory.history == () and site.told("definitions-update-session") == []
        assert site.memory.unwanted == ()
    finally:
        site.close()
    site = Site(tmp_path, publisher)
    try:
        assert site.context.updates.standing().user == "admin"
        site.context.updates.step()
        (attempt,) = site.memory.history
        assert (attempt.result, attempt.user, site.memory.begun) == (SUCCEEDED, "admin", "")
    finally:
        site.close()


def _stops(site: Site) -> None:
    wait_until(site.layout.candidate.exists, "the candidate is offered to the relays")
    site.context.updates.stop()


def test_one_that_was_killed_is_made_again_once(tmp_path: Path, publisher: Publisher) -> None:
    """What ends the pages with each update must not end them for ever; half files go, and the set on trial too."""
    Site(tmp_path, publisher).close()
    layout = Layout(tmp_path)
    memories.write(layout.control / memories.FILE_NAME, Memory(begun="schedule"))
    layout.candidate.write_bytes(b"on trial")
    half = layout.definitions / ".definitions-x"
    for path in (half, half.with_name(".definitions-y"), layout.run / ".definitions-z"):
        path.write_bytes(b"half")
        os.utime(path, (0, 0))
    os.utime(half.with_name(".definitions-y"))
    site = Site(tmp_path, publisher)
    seen: list[str] = []
    try:
        with alone(layout):
            site.context.updates.tidy()
            assert layout.candidate.exists(), "of another process"
        site.context.updates.tidy()
        assert not layout.candidate.exists()
        assert [path.name for path in layout.definitions.glob(".definitions-*")] == [".definitions-y"]
        assert not list(layout.run.glob(".definitions-*"))
        found = site.context.updates._begun

        def begun(stage: session.Stage) -> None:
            seen.append(memories.read(layout.control / memories.FILE_NAME).begun)
            found(stage)

        site.context.updates._begun = begun  # type: ignore[method-assign]
        site.context.updates.step()
        assert set(seen) == {""} and len(site.memory.history) == 1
    finally:
        site.close()


def test_a_full_disk_does_not_leave_an_update_running_for_ever(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """DEF-08: what came of it cannot be written, and yet the next may begin."""

    def full(path: Path, octets: bytes, mode: int = 0) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    site.context.updates.step()
    with monkeypatch.context() as disk:
        disk.setattr("engine.durable.put", full)
        site.context.updates.now("admin")
        with pytest.raises(OSError, match="No space"):
            site.context.updates.step()
    assert not site.context.updates.standing().running
    assert site.update("other").user == "other"


def test_the_clock_may_be_set_while_a_set_is_on_trial(
    tmp_path: Path, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DEF-16: back by a year, and the trial lasts as long as it should, and knows what speaks against the set."""
    monkeypatch.setattr(session, "LOOK_S", 0.01)
    monkeypatch.setattr(session, "MINUTE_S", 0.05)
    site = Site(tmp_path, publisher, canary_minutes=1)
    try:
        _, revision = published(publisher, "Clock", tmp_path.name)
        monkeypatch.setattr(site.context.definitions, "offer", lambda path: setattr(site, "late_s", -365 * DAY_S))
        firsts: list[int] = []

        def journal(kinds: frozenset[str], first: int) -> list[events.AnyEvent]:
            firsts.append(first)
            return [events.DefinitionsCompared(revision=revision, messages=one) for one in (1000, 234)]

        monkeypatch.setattr(site.context.updates, "journal", journal)
        attempt = site.update()
        assert (attempt.result, attempt.reason) == (SUCCEEDED, "tried on copies of 1,234 live messages")
        assert firsts[-1] <= site.context.now_us()
        watched = site.memory.watched
        site.late_s -= DAY_S
        site.look()
        assert watched is not None and site.memory.watched is not None
        assert site.memory.watched.until < watched.until, "it is not watched for a day longer"
    finally:
        site.close()


def test_what_was_not_foreseen_is_a_failure_that_people_see(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """DEF-12"""

    def wrong(*_: object, **__: object) -> None:
        raise ValueError("strange")

    monkeypatch.setattr("control.updates.fetch.fetch", wrong)
    attempt = site.update()
    assert attempt.result == FAILED and "strange" in attempt.reason
    assert len(site.told("definitions-update-session")) == 1


def test_a_request_that_cannot_be_read_is_one_all_the_same(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """DEF-07: such as one that root has left with strict rights."""
    path = site.layout.run / REQUEST
    path.symlink_to("/proc/self/mem")  # reading it is an error
    site.context.updates.step()
    assert site.memory.history[0].user == "command line" and not path.is_symlink()


def test_a_date_of_the_future_does_not_keep_a_set_young(site: Site) -> None:
    """DEF-13"""
    site.context.updates.step()
    far = memories.Known(site.revision, 1, 2**62, "s")
    site.context.updates._kept.value = site.memory.with_known(far)
    site.late_s = 9 * DAY_S
    assert site.context.updates.age()[1] == 9


def test_a_self_test_that_is_ended_from_outside_is_no_fault_of_the_set(
    site: Site, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DEF-16: a service that is stopped ends all its processes; the set may come into force afterwards."""
    monkeypatch.setattr(session, "LOOK_S", 0.01)
    published(publisher, "Outside", site.layout.root.name)
    with monkeypatch.context() as ended:
        done = subprocess.CompletedProcess[bytes]([], -signal.SIGTERM, b"", b"")
        ended.setattr("control.updates.trial.subprocess.run", lambda *_, **__: done)
        attempt = site.update()
    assert (attempt.result, site.memory.unwanted) == (FAILED, ()) and "from outside" in attempt.reason
    assert site.update().result == SUCCEEDED
