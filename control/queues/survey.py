"""A count over all queues, for a page: what waits for whom and since when.

Reading 100,000 message files takes some seconds. So it is done beside the page, once for all who ask: the page waits a
moment for the end and shows as much as is counted by then. A finished count that took long is used again for ten times
that time, so that open pages cost a tenth of a processor at most.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

import msgspec

from control.queues.fast import FastQueue
from control.queues.lines import line_of, time_of
from control.queues.shares import Share, Shares, by_domain, by_next_hop, by_sender
from engine.queue import listing

PATIENCE_S: Final = 0.7
WORTH_S: Final = 0.3  # what is counted sooner is always counted anew
STEP_S: Final = 0.5  # between what the page may see of a count that goes on
_STEP: Final = 500  # messages between looks at the clock
_REST: Final = 10  # times what a count took
_KEYS: Final = {"domain": by_domain, "next_hop": by_next_hop, "sender": by_sender}


class Survey(msgspec.Struct, frozen=True):
    """lengths, oldest: by queue; oldest is when the oldest message came, 0 for an empty queue, in microseconds.

    shares: by what they are grouped by. counted of total messages; the rest is not in them yet.
    """

    lengths: dict[str, int]
    oldest: dict[str, int]
    shares: dict[str, list[Share]]
    counted: int
    total: int

    @property
    def complete(self) -> bool:
        return self.counted == self.total


class Surveys:
    """Of one installation; from any thread. clock: seconds, monotonic."""

    def __init__(self, fast: FastQueue, clock: Callable[[], float] = time.monotonic) -> None:
        self._fast = fast
        self._clock = clock
        self._lock = threading.Lock()
        self._running: _Count | None = None
        self._valid_until = 0.0
        self._latest: Survey | None = None

    def read(self, patience_s: float = PATIENCE_S) -> Survey:
        """Raises OSError."""
        with self._lock:
            if self._latest is not None and self._clock() < self._valid_until:
                return self._latest
            count = self._running
            if count is None:
                count = self._running = _Count(self._fast, self._ended)
                count.start()
        count.done.wait(patience_s)
        count.shown.wait()  # names are read at once
        if count.error is not None:
            raise count.error
        return count.survey

    def forget(self) -> None:
        """Something was done to the queues: the next page is not to show what was before."""
        with self._lock:
            self._valid_until = 0.0
            self._running = None  # what began before is not waited for

    def _ended(self, count: "_Count", took_s: float) -> None:
        with self._lock:
            if self._running is not count:
                return
            self._running = None
            self._latest = count.survey if count.error is None else None
            self._valid_until = self._clock() + took_s * _REST if took_s >= WORTH_S else 0.0


class _Count(threading.Thread):
    """One count, in a thread of its own. shown: there is something in survey."""

    def __init__(self, fast: FastQueue, ended: Callable[["_Count", float], None]) -> None:
        super().__init__(name="queue-survey", daemon=True)
        self._fast = fast
        self._report = ended
        self.survey = Survey({}, {}, {}, 0, 0)
        self.shown, self.done = threading.Event(), threading.Event()
        self.error: OSError | None = None

    def run(self) -> None:
        began = time.monotonic()
        try:
            self._count()
        except OSError as error:
            self.error = error
        finally:
            self._report(self, time.monotonic() - began)
            self.shown.set()
            self.done.set()

    def _count(self) -> None:
        queue = listing.Queue(self._fast.root, fast=self._fast.read)
        names = {place: queue.ids(place) for place in listing.ALL}
        lengths = {place: len(found) for place, found in names.items()}
        oldest = {place: time_of(found[0]) if found else 0 for place, found in names.items()}
        total = sum(lengths.values())
        groups = {name: Shares(key) for name, key in _KEYS.items()}

        def publish(counted: int) -> float:
            shares = {name: group.every() for name, group in groups.items()}
            self.survey = Survey(lengths, oldest, shares, counted, total)
            self.shown.set()
            return time.monotonic()

        published = publish(0)
        now = time.time_ns()
        for number, message in enumerate(queue, 1):
            line = line_of(message, now)
            for group in groups.values():
                group.add(line)
            if number % _STEP == 0 and time.monotonic() - published > STEP_S:
                published = publish(min(number, total - 1))
        publish(total)  # what is missing was delivered meanwhile
