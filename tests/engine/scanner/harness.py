"""A pool of stand-in scanners on a real event loop, and messages in real files."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import uvloop

from engine import events
from engine.config import Settings
from engine.scan.outcome import Outcome
from engine.scanner.pool import ScannerPool

STAND_IN = [sys.executable, "-P", "-s", str(Path(__file__).with_name("stand_in.py"))]
UPPER_S = 60.0  # for what takes milliseconds: only a hang gets there

T = TypeVar("T")


class Extent(NamedTuple):
    fd: int
    offset: int
    length: int


class Bench:
    """One pool and what it told."""

    def __init__(self, directory: Path, count: int = 1, **options: Any) -> None:
        self._directory = directory
        self._files: list[int] = []
        self.events: list[events.Event] = []
        self._changed = asyncio.Event()
        options.setdefault("command", STAND_IN)
        self.pool = ScannerPool(count, options.pop("settings", Settings()), self._note, **options)

    def _note(self, event: events.Event) -> None:
        self.events.append(event)
        self._changed.set()

    async def event(self, kind: type[T], number: int = 1) -> T:
        """The event of this kind with that number, when it has come."""
        while True:
            found = [event for event in self.events if isinstance(event, kind)]
            if len(found) >= number:
                return found[number - 1]
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), UPPER_S)

    def file(self, content: bytes) -> int:
        path = self._directory / f"file{len(self._files)}"
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
        os.write(fd, content)
        self._files.append(fd)
        return fd

    def definitions(self, content: bytes) -> int:
        """A descriptor to be taken over."""
        return os.dup(self.file(content))

    async def examine(self, content: bytes, smtp_id: str = "ID") -> Outcome:
        fd = self.file(b"xxx" + content)
        return await asyncio.wait_for(self.pool.examine(smtp_id, [Extent(fd, 3, len(content))]), UPPER_S)

    async def close(self) -> None:
        await self.pool.stop()
        for fd in self._files:
            os.close(fd)


class Runner:
    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(
        self,
        work: Callable[[Bench], Awaitable[None]],
        count: int = 1,
        definitions: bytes = b"definitions r1 a b",
        **options: Any,
    ) -> None:
        async def run() -> None:
            bench = Bench(self._directory, count, **options)
            bench.pool.use_definitions(bench.definitions(definitions))
            await bench.pool.start()
            try:
                await work(bench)
            finally:
                await bench.close()

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run())
