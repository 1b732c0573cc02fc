"""The slow queue of one relay (PROC-06): messages that could not be delivered at once, retried when due.

It has workers of its own, so that a slow next hop never holds up new mail, and new mail never the retries.
"""

import asyncio
import heapq
from collections.abc import Callable

from engine.config import Delivery
from engine.delivery import backoff
from engine.queue.state import MessageState

WORKERS = 20
DAY_NS = 86_400 * 1_000_000_000


class SlowQueue:
    """Messages by due time. retry: starts work on one message, and adds it again if it must wait."""

    def __init__(
        self,
        retry: Callable[[MessageState], None],
        settings: Callable[[], Delivery],
        clock: Callable[[], int],
    ) -> None:
        self._retry = retry
        self._settings = settings
        self._clock = clock
        self._heap: list[tuple[int, str]] = []
        self._messages: dict[str, MessageState] = {}
        self._busy: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: MessageState) -> None:
        """Queue a message for its due_ns; one that is here already is only given its new time."""
        self._busy.discard(message.id)
        self._messages[message.id] = message
        heapq.heappush(self._heap, (message.due_ns, message.id))
        self.wake()

    def add_after_failure(self, message: MessageState) -> None:
        """Our own failure: try again after the shortest interval, from wherever the message lies."""
        message.due_ns = self._clock() + self._settings().retry_first_s * 1_000_000_000
        self.add(message)

    def get(self, smtp_id: str) -> MessageState | None:
        return self._messages.get(smtp_id)

    def messages(self) -> list[MessageState]:
        return list(self._messages.values())

    def forget(self, message: MessageState) -> None:
        """It is done, held or dropped; its place in the heap is skipped when it comes up."""
        self._messages.pop(message.id, None)
        self._busy.discard(message.id)
        self.wake()

    def due_now(self, message: MessageState) -> None:
        message.due_ns = self._clock()
        self.add(message)

    def next_due(self, message: MessageState) -> int:
        """Nanoseconds since 1970 of the next try; the interval grows with each attempt."""
        settings = self._settings()
        now = self._clock()
        return now + backoff.interval_s(message.attempts, settings) * 1_000_000_000

    def expired(self, message: MessageState) -> bool:
        """Whether the days are over (DLV-04: counted from acceptance)."""
        return self._clock() - message.received.time_ns >= self._settings().days * DAY_NS

    def wake(self) -> None:
        """Start what is due and set the timer for what comes next."""
        if self._stopped:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._settings().pause:
            return
        now = self._clock()
        while self._heap and len(self._busy) < WORKERS:
            due_ns, smtp_id = self._heap[0]
            message = self._messages.get(smtp_id)
            if message is None or smtp_id in self._busy or message.due_ns != due_ns:
                heapq.heappop(self._heap)  # gone, in work, or queued again with another time
                continue
            if due_ns > now:
                delay = (due_ns - now) / 1e9
                self._timer = asyncio.get_running_loop().call_later(min(delay, 3600.0), self.wake)
                return
            heapq.heappop(self._heap)
            self._busy.add(smtp_id)
            self._retry(message)

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
