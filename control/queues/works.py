"""Work on many messages that goes on while the page is long answered: how far it is, and how it ended.

Theory of operation. What a person asks for is done in a thread of its own, in batches, so that one can see how far it
is and stop it. Works are known by this process only: when it ends they end, after their batch, and what was done by
then stays done. Asking for the same again does the rest.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from control.queues import acts, relays
from control.queues.lines import Filter
from engine.command import IDS, Command

RUNNING_AT_ONCE: Final = 4
KEPT: Final = 50  # works that have ended
FAILURES_KEPT: Final = 200  # reasons of one work; others are only counted
_CHECKED: Final = 1000  # found messages between looks at whether to stop

log = logging.getLogger(__name__)


class TooMany(Exception):
    """As many works run as may at once."""


class Progress(msgspec.Struct):
    """One work as it is now. state: looking, running, done, failed, stopped. Times: microseconds since 1970.

    total: messages that are meant, so far while it is looking. done, failed_count: of them. error: why it ended early.
    """

    id: str
    act: str
    user: str
    started: int
    state: str = "looking"
    total: int = 0
    done: int = 0
    failed_count: int = 0
    failed: tuple[tuple[str, str], ...] = ()
    error: str = ""
    ended: int = 0
    unreached: bool = False  # no relay could be asked for anything

    @property
    def is_over(self) -> bool:
        return self.state in ("done", "failed", "stopped")


class Work:
    """One of them. ids: those that are meant, or a filter."""

    def __init__(self, progress: Progress, root: Path, command: Command, wanted: Sequence[str] | Filter) -> None:
        self._progress = progress
        self._root = root
        self._command = command
        self._wanted = wanted
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.over = threading.Event()

    def progress(self) -> Progress:
        with self._lock:
            return msgspec.structs.replace(self._progress)

    def stop(self) -> None:
        """After the batch that is being done."""
        self._stop.set()

    def run(self) -> None:
        """Never raises: how it went is told by progress()."""
        try:
            state = self._all() if self._is_flush() else self._in_batches()
            self._set(state=state)
        except (relays.NoAnswer, ValueError, OSError) as error:
            progress = self.progress()
            unreached = isinstance(error, relays.NoAnswer) and not progress.done and not progress.failed_count
            self._set(state="failed", error=str(error), unreached=unreached)
        except Exception as error:
            log.exception("work on queued messages failed")
            self._set(state="failed", error=f"this is a defect of Mailward: {error!r}; the log has more")

    def _is_flush(self) -> bool:
        """Relays know by themselves what waits in the slow queue."""
        return self._command.op == "retry" and self._wanted in (Filter(), Filter(acts.PLACES["retry"][0]))

    def _all(self) -> str:
        count = relays.for_all(self._root, self._command)
        self._set(total=count, done=count)
        return "done"

    def _in_batches(self) -> str:
        ids = list(self._found())
        self._set(state="running", total=len(ids))
        for at in range(0, len(ids), IDS):
            if self._stop.is_set():
                return "stopped"
            batch = ids[at : at + IDS]
            failed = relays.for_messages(self._root, self._command, batch)
            now = self.progress()
            self._set(
                done=now.done + len(batch) - len(failed),
                failed_count=now.failed_count + len(failed),
                failed=(*now.failed, *failed.items())[:FAILURES_KEPT],
            )
        return "stopped" if self._stop.is_set() and len(ids) < self.progress().total else "done"

    def _found(self) -> Iterator[str]:
        if not isinstance(self._wanted, Filter):
            yield from dict.fromkeys(self._wanted)
            return
        for number, smtp_id in enumerate(acts.meant(self._root, self._command.op, self._wanted), 1):
            if number % _CHECKED == 0:
                self._set(total=number)
            if self._stop.is_set():
                return
            yield smtp_id

    def _set(self, **values: object) -> None:
        with self._lock:
            for name, value in values.items():
                setattr(self._progress, name, value)


class Works:
    """All works of this process, from any thread. clock: microseconds since 1970."""

    def __init__(self, root: Path, clock: Callable[[], int]) -> None:
        self._root = root
        self._clock = clock
        self._lock = threading.Lock()
        self._works: dict[str, Work] = {}
        self._last = 0
        self._closed = False

    def start(
        self, command: Command, wanted: Sequence[str] | Filter, user: str, ended: Callable[[Progress], None]
    ) -> Work:
        """ended: called once with how it ended, before it counts as over. Raises TooMany."""
        with self._lock:
            if self._closed or sum(not work.over.is_set() for work in self._works.values()) >= RUNNING_AT_ONCE:
                raise TooMany
            self._last = max(self._last + 1, self._clock())
            progress = Progress(f"{self._last:x}", command.op, user, self._last)
            work = self._works[progress.id] = Work(progress, self._root, command, wanted)
            self._forget()
        threading.Thread(target=self._run, args=(work, ended), name="queue-work", daemon=True).start()
        return work

    def _run(self, work: Work, ended: Callable[[Progress], None]) -> None:
        try:
            work.run()
            work._set(ended=self._clock())
            ended(work.progress())
        finally:
            work.over.set()

    def _forget(self) -> None:
        over = [name for name, work in self._works.items() if work.over.is_set()]
        for name in over[: max(0, len(over) - KEPT)]:
            del self._works[name]

    def get(self, work_id: str) -> Work | None:
        with self._lock:
            return self._works.get(work_id)

    def every(self) -> list[Progress]:
        """Newest first."""
        with self._lock:
            works = list(self._works.values())
        return [work.progress() for work in reversed(works)]

    def close(self, patience_s: float = 5.0) -> None:
        """Let no work begin any more, and those that run end after their batch."""
        with self._lock:
            self._closed = True
            works = list(self._works.values())
        for work in works:
            work.stop()
        for work in works:
            work.over.wait(patience_s)
