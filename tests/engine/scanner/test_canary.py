"""New definitions on copies of live mail, with real scanners (DEF-16)."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from engine import events
from engine.scanner import canary, process
from engine.scanner.canary import BATCH, COPY_LEN
from signatures import image
from signatures.model import Literal, Signature
from tests.engine.scanner.harness import Bench, Extent

MAIL = b"From: a@example.com\r\nSubject: x\r\n\r\n%s\r\n"


def image_of(**patterns: str) -> bytes:
    return image.build([Signature(name=name, body=Literal(text.encode())) for name, text in patterns.items()])


OLD, NEW = image_of(Old="old virus"), image_of(New="new virus")


class Trial:
    """A pool with the old definitions; the candidate lies at `path`."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = bench
        self.path = folder / "candidate.mwd"

    def offer(self, content: bytes) -> None:
        self.path.with_suffix(".half").write_bytes(content)
        self.path.with_suffix(".half").rename(self.path)
        self.bench.pool.canary.look(self.path)

    async def looking(self) -> None:
        """The relay's tick, many times as fast, until the candidate's scanner is there."""
        while self.scanner is None or not self.scanner.ready:
            self.bench.pool.canary.look(self.path)
            await asyncio.sleep(0.01)

    @property
    def scanner(self) -> process.Scanner | None:
        return self.bench.pool.canary._scanner

    async def mail(self, *texts: bytes) -> None:
        for text in texts:
            await self.bench.examine(MAIL % text)

    async def compared(self, number: int = 1) -> events.DefinitionsCompared:
        waiting = asyncio.ensure_future(self.bench.event(events.DefinitionsCompared, number))
        while not waiting.done():
            self.bench.pool.canary.look(self.path)
            await asyncio.wait([waiting], timeout=0.02)
        return waiting.result()


Run = Callable[[Callable[[Trial], Awaitable[None]]], None]


@pytest.fixture
def with_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(canary, "AGAIN_S", 0.0)

    def run(work: Callable[[Trial], Awaitable[None]]) -> None:
        async def whole() -> None:
            bench = Bench(tmp_path, command=process.command())
            bench.pool.use_definitions(bench.definitions(OLD))
            await bench.pool.start()
            try:
                await bench.event(events.DefinitionsLoaded)
                await work(Trial(bench, tmp_path))
            finally:
                await bench.close()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(whole())

    return run


def test_what_new_definitions_do_otherwise_is_told(with_trial: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """DEF-16: on copies, by one scanner more, at idle priority; what is in force judges the mail meanwhile."""
    monkeypatch.setattr(canary, "BATCH_S", 0.0)

    async def work(trial: Trial) -> None:
        await trial.mail(b"before there is a candidate")
        trial.offer(NEW)
        await trial.looking()
        assert trial.scanner is not None
        assert os.sched_getscheduler(trial.scanner.pid) == os.SCHED_IDLE
        await trial.mail(b"old virus", b"new virus", b"both old virus and new virus", b"nothing")
        told = await trial.compared()
        assert (told.messages, told.found, told.gone, told.crash) == (4, ("New",), ("Old",), "")
        assert told.revision == image.describe(NEW).revision
        outcome = await trial.bench.examine(MAIL % b"new virus")
        assert not outcome.facts.matches, "they are not in force"
        trial.path.unlink()
        trial.bench.pool.canary.look(trial.path)
        assert trial.scanner is None

    with_trial(work)


def test_a_full_batch_does_not_wait_and_copies_are_bounded(with_trial: Run) -> None:
    async def work(trial: Trial) -> None:
        trial.offer(NEW)
        await trial.looking()
        extent = Extent(trial.bench.file(bytes(COPY_LEN + 1)), 0, COPY_LEN + 1)
        trial.bench.pool.canary.offer("LARGE", [extent])
        fd = trial.bench.file(MAIL % b"new virus")
        for _ in range(BATCH + 1):
            trial.bench.pool.canary.offer("ID", [Extent(fd, 0, 30)])
        told = await trial.compared()
        assert told.messages == BATCH, "neither the large one nor one more than there is room for"
        trial.bench.pool.canary.offer("ID", [Extent(fd, 0, 30)])
        assert not trial.bench.pool.canary._copies, "it rests between batches"

    with_trial(work)


def test_definitions_that_the_scanner_refuses_are_told_of(with_trial: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "BATCH_S", 0.0)

    async def work(trial: Trial) -> None:
        trial.offer(NEW[:-1])
        await trial.looking()
        await trial.mail(b"anything")
        assert "refused" in (await trial.compared()).crash

    with_trial(work)


def test_another_candidate_takes_the_place_of_the_first(with_trial: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(canary, "BATCH_S", 0.0)

    async def work(trial: Trial) -> None:
        trial.offer(NEW)
        await trial.looking()
        await trial.mail(b"copied, and thrown away")
        other = image_of(Other="other virus")
        trial.offer(other)
        await trial.looking()
        await trial.mail(b"other virus")
        told = await trial.compared()
        assert (told.revision, told.found) == (image.describe(other).revision, ("Other",))

    with_trial(work)


def test_a_batch_that_never_began_leaves_nothing_behind(with_trial: Run) -> None:
    """Else nothing would be compared any more, and every set would pass."""

    async def work(trial: Trial) -> None:
        trial.offer(NEW)
        await trial.looking()
        canary_ = trial.bench.pool.canary
        fd = trial.bench.file(MAIL % b"anything")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(BATCH):
            canary_.offer("ID", [Extent(fd, 0, 30)])
        batch = canary_._batch
        assert batch is not None and len(os.listdir("/proc/self/fd")) > before
        canary_._drop()
        await asyncio.wait([batch])
        await asyncio.sleep(0)
        assert batch.cancelled() and canary_._batch is None
        assert len(os.listdir("/proc/self/fd")) <= before

    with_trial(work)


def test_the_end_of_an_earlier_scanner_does_not_end_what_the_next_is_asked(with_trial: Run) -> None:
    """It is reaped late on a busy machine."""

    async def work(trial: Trial) -> None:
        trial.offer(NEW)
        await trial.looking()
        earlier = trial.scanner
        assert earlier is not None
        trial.offer(image_of(Other="other virus"))
        await trial.looking()
        canary_ = trial.bench.pool.canary
        mail = MAIL % b"other virus"
        fd = trial.bench.file(mail)
        for _ in range(BATCH):
            canary_.offer("ID", [Extent(fd, 0, len(mail))])
        while canary_._waited_for is None:
            await asyncio.sleep(0)
        canary_.reaped(earlier, "ended by signal 9")
        assert (await trial.compared()).found == ("Other",) * BATCH
        while earlier._process.poll() is None:  # nobody waits for it any more after what was said of it here
            await asyncio.sleep(0.001)

    with_trial(work)
