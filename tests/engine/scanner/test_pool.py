"""The pool with real scanner processes: answers, blame, deadlines, swaps (PROC-12, PROC-15, SCAN-09)."""

import asyncio
import os
import signal
import sys

import pytest

from engine import events
from engine.config import Antivirus, Blocking, ContainerLimits, Settings, UnscannedAction
from engine.queue.record import Disposition
from engine.scan.facts import Cause, Verdict
from engine.scan.outcome import Outcome
from engine.scanner import pool, process, slots
from engine.scanner.pool import PoolStopped, ScannerCrashed
from engine.scanner.slots import SLOTS
from tests.engine.scanner.harness import UPPER_S, Bench, Extent, Runner


def _cause(outcome: Outcome) -> str:
    (unscanned,) = outcome.facts.unscanned
    assert unscanned.cause is Cause.ENGINE
    assert outcome.facts.verdict is Verdict.UNSCANNED
    return unscanned.detail


async def _crash(bench: Bench, content: bytes, smtp_id: str = "ID") -> str:
    with pytest.raises(ScannerCrashed) as crash:
        await bench.examine(content, smtp_id)
    return crash.value.detail


def test_a_message_is_examined_with_definitions(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        outcome = await bench.examine(b"echo hello")
        assert (outcome.reason, outcome.facts.definitions) == ("hello", "r1")
        loaded = await bench.event(events.DefinitionsLoaded)
        assert (loaded.revision, loaded.signatures) == ("r1", 2)

    with_pool(work)


def test_a_message_in_many_extents_and_files_is_read_in_order(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        first, second = bench.file(b"cho a|cd|"), bench.file(b"e|b|")
        extents = [Extent(second, 0, 1), Extent(first, 0, 6), Extent(second, 1, 2), Extent(first, 6, 2)]
        outcome = await bench.pool.examine("ID", extents)
        assert outcome.reason == "a||bcd"

    with_pool(work)


def test_one_message_of_a_scanner_has_begun_at_a_time(with_pool: Runner) -> None:
    """PROC-12: what is sent ahead is not blamed for what happens to the one before it."""

    async def work(bench: Bench) -> None:
        await bench.event(events.DefinitionsLoaded)
        told: list[str] = []

        async def examine(content: bytes, smtp_id: str) -> str:
            extents = [Extent(bench.file(content), 0, len(content))]
            return (await bench.pool.examine(smtp_id, extents, lambda: told.append(smtp_id))).reason

        assert await asyncio.gather(*(examine(b"echo x", number) for number in "12")) == ["x", "x"]
        assert told == ["1", "2"]
        waiting = [asyncio.ensure_future(examine(content, "3 or 4")) for content in (b"hang", b"echo c")]
        await asyncio.sleep(0)  # both run up to where they wait
        assert told == ["1", "2", "3 or 4"]
        await bench.pool.stop()
        for one in waiting:
            with pytest.raises(PoolStopped):
                await one
        assert told == ["1", "2", "3 or 4"]

    with_pool(work)


def test_a_large_message_and_a_small_one_behind_it(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        large = b"length " + bytes(range(256)) * 50_000
        outcome = await bench.examine(large)
        assert outcome.reason == f"{len(large)} {sum(large) & 0xFFFFFFFF}"
        small = b"length small"
        assert (await bench.examine(small)).reason == f"{len(small)} {sum(small)}"

    with_pool(work)


def test_every_answer_goes_to_its_message(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        outcomes = await asyncio.gather(*(bench.examine(b"echo %d" % number) for number in range(200)))
        assert [outcome.reason for outcome in outcomes] == [str(number) for number in range(200)]

    with_pool(work, count=2)


def test_more_files_than_a_scanner_may_have_open(with_pool: Runner) -> None:
    """Descriptors are forgotten when others need the room, and sent again when they are needed again."""

    async def work(bench: Bench) -> None:
        files = [bench.file(b"echo %03d" % number) for number in range(SLOTS + 50)]
        for _ in range(2):
            for number, fd in enumerate(files):
                outcome = await bench.pool.examine("ID", [Extent(fd, 0, 8)])
                assert outcome.reason == f"{number:03d}"

    with_pool(work)


def test_files_that_are_not_used_any_more_are_forgotten(with_pool: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deleted file gives its space back, and a file that is used again is sent again."""
    monkeypatch.setattr(slots, "SLOT_IDLE_S", 0.0)
    monkeypatch.setattr(pool, "TICK_S", 0.001)
    forgotten: list[int] = []
    forget = process.Scanner._forget

    def note(scanner: process.Scanner, numbers: tuple[int, ...]) -> None:
        forgotten.extend(numbers)
        forget(scanner, numbers)

    monkeypatch.setattr(process.Scanner, "_forget", note)

    async def work(bench: Bench) -> None:
        fd = bench.file(b"echo x")
        while len(forgotten) < 3:
            assert (await bench.pool.examine("ID", [Extent(fd, 0, 6)])).reason == "x"

    with_pool(work)


def test_a_message_in_too_many_files_is_refused_and_nothing_else_suffers(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        with pytest.raises(OSError, match="files"):
            await bench.pool.examine("ID", [Extent(bench.file(b"x"), 0, 1) for _ in range(SLOTS + 1)])
        assert (await bench.examine(b"echo on")).reason == "on"

    with_pool(work)


def test_a_descriptor_number_that_is_used_again_is_another_file(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        one, other = bench.file(b"echo one"), bench.file(b"echo two")
        number = os.dup(one)
        try:
            assert (await bench.pool.examine("ID", [Extent(number, 0, 8)])).reason == "one"
            os.dup2(other, number)
            assert (await bench.pool.examine("ID", [Extent(number, 0, 8)])).reason == "two"
        finally:
            os.close(number)

    with_pool(work)


@pytest.mark.parametrize(
    ("deed", "detail"),
    [(b"crash", "SIGSEGV"), (b"abort", "SIGABRT"), (b"leave", "exit status 3"), (b"exec", "forbidden system call")],
)
def test_a_crash_blames_its_message_and_the_others_are_answered(with_pool: Runner, deed: bytes, detail: str) -> None:
    """PROC-12: one crash is one count on one message."""

    async def work(bench: Bench) -> None:
        before = [asyncio.ensure_future(bench.examine(b"echo %d" % number)) for number in range(5)]
        blamed = asyncio.ensure_future(_crash(bench, deed, "BAD"))
        behind = [asyncio.ensure_future(bench.examine(b"echo %d" % number)) for number in range(5, 20)]
        assert detail in await blamed
        outcomes = await asyncio.gather(*before, *behind)
        assert [outcome.reason for outcome in outcomes] == [str(number) for number in range(20)]
        restarted = await bench.event(events.ProcessRestarted)
        assert detail in restarted.reason
        assert "BAD" in restarted.reason

    with_pool(work)


def test_crash_upon_crash_and_the_pool_lives_on(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        for _ in range(4):
            await _crash(bench, b"abort")
        assert (await bench.examine(b"echo alive")).facts.definitions == "r1"

    with_pool(work)


def test_the_deadline_ends_the_scanner_and_counts_as_a_crash(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        blamed = asyncio.ensure_future(_crash(bench, b"hang"))
        behind = asyncio.ensure_future(bench.examine(b"echo behind"))
        assert "no answer within" in await blamed
        assert (await behind).reason == "behind"

    with_pool(work, deadline_s=0.5)


def test_a_scanner_that_is_killed_while_idle_blames_nobody(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        await bench.examine(b"echo warm")
        for number in (1, 2):
            started = await bench.event(events.ScannerStarted, number)
            os.kill(started.pid, signal.SIGKILL)
            await bench.event(events.ProcessRestarted, number)
        assert (await bench.examine(b"echo on")).reason == "on"

    with_pool(work)


def test_a_memory_hog_is_an_unscanned_message_and_the_scanner_lives(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        assert "MemoryError" in _cause(await bench.examine(b"hog"))
        assert (await bench.examine(b"echo on")).reason == "on"
        assert not [event for event in bench.events if isinstance(event, events.ProcessRestarted)]

    with_pool(work)


@pytest.mark.parametrize("action", list(UnscannedAction))
def test_an_error_inside_is_unscanned_and_policy_decides(with_pool: Runner, action: UnscannedAction) -> None:
    """SCAN-09, SCAN-07: fail closed."""

    async def work(bench: Bench) -> None:
        outcome = await bench.examine(b"raise broken \xff")
        assert outcome.disposition is Disposition(action.value)
        assert "RuntimeError: broken" in _cause(outcome)
        assert "stand_in.py" in _cause(outcome)
        assert "RecursionError" in _cause(await bench.examine(b"recurse"))

    with_pool(work, settings=Settings(antivirus=Antivirus(unscanned=action)))


def test_octets_that_are_not_there_are_unscanned(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        outcome = await bench.pool.examine("ID", [Extent(bench.file(b"echo x"), 0, 7)])
        assert "ends at 6" in _cause(outcome)

    with_pool(work)


# --- answers that cannot be -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "deed",
    [
        b"frame \x01\x00\x00\x00\xc1",
        b"frame \x02\x00\x00\x00\x91\x09",
        b"frame \x05\x00\x00\x00\x93\x03\xcd\x01\x00",
        b"frame " + b"\x00\x20\x00\x00" + b"\x91" * 8192,
        b"announce 4294967295",
        b"announce 4194400",
        b"bad-splice",
    ],
)
def test_an_answer_that_cannot_be_is_a_crash(with_pool: Runner, deed: bytes) -> None:
    async def work(bench: Bench) -> None:
        blamed = asyncio.ensure_future(_crash(bench, deed))
        behind = asyncio.ensure_future(bench.examine(b"echo on"))
        assert await blamed
        assert (await behind).reason == "on"

    with_pool(work)


def test_splices_come_through(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        (splice,) = (await bench.examine(b"splice 2 4 3000000")).splices
        assert (splice.start, splice.end, len(splice.data)) == (2, 4, 3_000_000)

    with_pool(work)


@pytest.mark.parametrize("deed", [b"splice 4 2 0", b"splice 0 99 0", b"splice 0 0 5000000", b"many 5000"])
def test_an_honest_scanner_says_unscanned_instead_of_a_bad_answer(with_pool: Runner, deed: bytes) -> None:
    async def work(bench: Bench) -> None:
        assert "ProtocolError" in _cause(await bench.examine(deed))

    with_pool(work)


# --- settings and definitions ---------------------------------------------------------------------


def test_settings_apply_to_what_is_examined_from_then_on(with_pool: Runner) -> None:
    """PROC-15."""

    async def work(bench: Bench) -> None:
        before = [asyncio.ensure_future(bench.examine(b"echo")) for _ in range(3)]
        await asyncio.sleep(0)
        await bench.event(events.ScannerStarted)
        bench.pool.apply(Settings(blocking=Blocking(containers=ContainerLimits(depth=3))))
        assert (await bench.examine(b"echo")).facts.subject == "3"
        await asyncio.gather(*before)
        await _crash(bench, b"abort")
        assert (await bench.examine(b"echo")).facts.subject == "3"

    with_pool(work, settings=Settings(blocking=Blocking(containers=ContainerLimits(depth=7))))


def test_definitions_are_swapped_under_load(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        await bench.examine(b"echo warm")
        fd = bench.file(b"echo x")
        seen: list[str] = []

        async def load() -> None:
            while "r9" not in seen:
                outcome = await bench.pool.examine("ID", [Extent(fd, 0, 6)])
                assert not outcome.facts.unscanned
                seen.append(outcome.facts.definitions)

        senders = [asyncio.ensure_future(load()) for _ in range(6)]
        for number in range(2, 10):
            bench.pool.use_definitions(bench.definitions(b"definitions r%d x" % number))
            await bench.event(events.DefinitionsLoaded, number)
        await asyncio.wait_for(asyncio.gather(*senders), UPPER_S)
        assert seen == sorted(seen)
        await _crash(bench, b"abort")
        assert (await bench.examine(b"echo")).facts.definitions == "r9"

    with_pool(work)


@pytest.mark.parametrize(("content", "reason"), [(b"rubbish", "not definitions"), (b"", "0 octets")])
def test_refused_definitions_change_nothing(with_pool: Runner, content: bytes, reason: str) -> None:
    async def work(bench: Bench) -> None:
        await bench.examine(b"echo warm")
        bench.pool.use_definitions(bench.definitions(content))
        refused = await bench.event(events.DefinitionsRefused)
        assert reason in refused.reason
        assert (await bench.examine(b"echo")).facts.definitions == "r1"
        await _crash(bench, b"abort")
        assert (await bench.examine(b"echo")).facts.definitions == "r1"

    with_pool(work)


def test_definitions_that_end_the_scanner_are_refused_and_no_message_is_blamed(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        await bench.examine(b"echo warm")
        bench.pool.use_definitions(bench.definitions(b"deadly"))
        outcomes = await asyncio.gather(*(bench.examine(b"echo") for _ in range(5)))
        assert {outcome.facts.definitions for outcome in outcomes} == {"r1"}
        await bench.event(events.DefinitionsRefused)

    with_pool(work)


def test_scanners_killed_while_they_start_cost_no_definitions(with_pool: Runner) -> None:
    """Somebody's signal is no verdict on the definitions: without any, all mail would be held."""

    async def work(bench: Bench) -> None:
        for scanner in list(bench.pool._scanners):
            os.kill(scanner.pid, signal.SIGKILL)
        assert (await bench.examine(b"echo")).facts.definitions == "r1"

    with_pool(work)


def test_messages_wait_while_no_definitions_can_be_loaded(with_pool: Runner) -> None:
    """SCAN-07, PROC-15: what it does to mail, dropping it perhaps, cannot be undone, and a shortage passes."""

    async def work(bench: Bench) -> None:
        waiting = asyncio.ensure_future(bench.examine(b"echo"))
        await bench.event(events.DefinitionsRefused)
        bench.pool.use_definitions(bench.definitions(b"nor these"))
        await bench.event(events.DefinitionsRefused, 2)
        bench.pool.use_definitions(bench.definitions(b"definitions r1"))
        assert (await waiting).facts.definitions == "r1"

    with_pool(work, definitions=b"no such thing")


def test_the_same_definitions_are_not_loaded_twice(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        fd = bench.file(b"definitions r2")
        for _ in range(3):
            bench.pool.use_definitions(os.dup(fd))
        assert (await bench.examine(b"echo")).facts.definitions == "r2"
        bench.pool.use_definitions(os.dup(fd))
        await bench.examine(b"echo")
        revisions = [event.revision for event in bench.events if isinstance(event, events.DefinitionsLoaded)]
        assert revisions.count("r2") == 1

    with_pool(work)


# --- start and stop -------------------------------------------------------------------------------


def test_messages_wait_for_a_scanner_that_cannot_start(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        waiting = asyncio.ensure_future(bench.examine(b"echo"))
        for number in range(1, 5):
            restarted = await bench.event(events.ProcessRestarted, number)
            assert "exit status 9" in restarted.reason
        assert not waiting.done()
        await bench.pool.stop()
        with pytest.raises(PoolStopped):
            await waiting

    with_pool(work, command=[sys.executable, "-S", "-c", "raise SystemExit(9)"])


def test_a_program_that_is_not_there_makes_messages_wait(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        waiting = asyncio.ensure_future(bench.examine(b"echo"))
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()

    with_pool(work, command=["/nonexistent/scanner"])


def test_stop_ends_every_process_and_tells_what_was_not_examined(with_pool: Runner) -> None:
    """PROC-14."""

    async def work(bench: Bench) -> None:
        pids = [(await bench.event(events.ScannerStarted, number)).pid for number in (1, 2, 3)]
        left = [asyncio.ensure_future(bench.examine(b"hang")) for _ in range(9)]
        await asyncio.sleep(0)
        await bench.pool.stop()
        for future in left:
            with pytest.raises(PoolStopped):
                await future
        with pytest.raises(PoolStopped):
            await bench.pool.examine("ID", [])
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)

    with_pool(work, count=2)


def test_a_cancelled_examination_leaves_its_place(with_pool: Runner) -> None:
    async def work(bench: Bench) -> None:
        await bench.examine(b"echo warm")
        tasks = [asyncio.ensure_future(bench.examine(b"echo %d" % number)) for number in range(10)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        assert [(await task).reason for task in tasks[1::2]] == ["1", "3", "5", "7", "9"]

    with_pool(work)
