"""The slow queue of one relay (PROC-06, PROC-07): messages that could not be delivered at once, retried when due.

It has workers of its own, so that a slow next hop never holds up new mail, and new mail never the retries. The
gateway's own mail has others: it is tried while delivery is paused (DLV-01, GAP-44), and alerts go out while other mail
waits for definitions.
"""

import asyncio
import heapq
from collections.abc import Callable, Mapping

from engine import events
from engine.queue.state import MessageState

WORKERS = 20  # for our own mail, and so many for all other
LOOK_AGAIN_S = 60.0  # at the latest: the clock may jump


class SlowQueue:
    """Messages by due time. retry: starts work on one message, and adds it again if it must wait on.

    clock: nanoseconds since 1970. paused: whether delivery is (DLV-01).
    """

    def __init__(
        self,
        retry: Callable[[MessageState], None],
        paused: Callable[[], bool],
        clock: Callable[[], int],
        event: Callable[[events.Event], None],
    ) -> None:
        self._retry = retry
        self._paused = paused
        self._clock = clock
        self._event = event
        self._own: list[tuple[int, str]] = []  # heaps of (due_ns, id): our own mail, and all other
        self._others: list[tuple[int, str]] = []
        self._messages: dict[str, MessageState] = {}
        self._keys: dict[str, set[str]] = {}  # of each message: the next hops that it waits for
        self._busy: set[str] = set()
        self._out = [0, 0]  # how many of these are not ours, and are
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False

    def __contains__(self, smtp_id: str) -> bool:
        return smtp_id in self._messages

    def is_out(self, message: MessageState) -> bool:
        """Whether it was given out by `retry` and did not come back yet, by add or forget."""
        return message.id in self._busy

    def messages(self) -> list[MessageState]:
        return list(self._messages.values())

    def add(self, message: MessageState, keys: set[str]) -> None:
        """Queue a message for its due_ns; one that is here already gets its new time. keys: its next hops."""
        self._came_back(message)
        self._messages[message.id] = message
        self._keys[message.id] = keys
        self._push(message)
        self.wake()

    def _push(self, message: MessageState) -> None:
        heap = self._own if message.received.internal else self._others
        heapq.heappush(heap, (message.due_ns, message.id))

    def forget(self, message: MessageState) -> None:
        """It is done, held or dropped; its place in the heap is skipped when it comes up."""
        if self._messages.pop(message.id, None) is not None:
            del self._keys[message.id]
            self._came_back(message)
            self.wake()

    def _came_back(self, message: MessageState) -> None:
        if message.id in self._busy:
            self._busy.discard(message.id)
            self._out[message.received.internal] -= 1

    def due_now(self, message: MessageState) -> None:
        """Unless it is in work already."""
        if message.id not in self._busy:
            message.due_ns = self._clock()
            self.add(message, self._keys.get(message.id, set()))

    def next_hop_accepts(self, key: str) -> None:
        """It failed before and takes mail again: what waits for it goes first, oldest first (PROC-07, PROC-08)."""
        waiting = [smtp_id for smtp_id, keys in self._keys.items() if key in keys and smtp_id not in self._busy]
        self._to_front(waiting)

    def sweep(self, accepting: Mapping[str, int]) -> None:
        """Bring to the front what could not reach a next hop before that one took mail, such as before a restart
        (PROC-07). accepting: when next hops took mail last. Says something only if it moved something (PROC-08)."""
        now = self._clock()
        waiting = [
            smtp_id
            for smtp_id, message in self._messages.items()
            if smtp_id not in self._busy
            and message.due_ns > now
            and not message.next_hop  # a host that answered gave its reasons to wait
            and any(accepting.get(key, 0) > message.attempted_ns for key in self._keys[smtp_id])
        ]
        if waiting:
            self._to_front(waiting)

    def _to_front(self, front: list[str]) -> None:
        """Oldest first."""
        begun = self._clock()
        self._event(events.ReorderingStarted())
        front.sort()
        for place, smtp_id in enumerate(front):
            message = self._messages[smtp_id]
            message.due_ns = begun - len(front) + place
            self._push(message)
        seconds = (self._clock() - begun) / 1e9
        self._event(events.ReorderingStopped(moved=len(front), seconds=round(seconds, 6)))
        self.wake()

    def shift(self, by_ns: int) -> None:
        """The clock was set forward by so much, or back: the time that is left for each message stays the same."""
        self._own, self._others = [], []
        for smtp_id, message in self._messages.items():
            if smtp_id not in self._busy:
                message.due_ns += by_ns
            self._push(message)
        self.wake()

    def wake(self) -> None:
        """Start what is due and set the timer for what comes next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._stopped:
            return
        now = self._clock()
        heaps = [(self._own, True)] if self._paused() else [(self._own, True), (self._others, False)]
        while ready := [heap for heap, own in heaps if heap and self._out[own] < WORKERS]:
            heap = min(ready, key=lambda heap: heap[0])
            due_ns, smtp_id = heap[0]
            message = self._messages.get(smtp_id)
            stale = message is None or smtp_id in self._busy or message.due_ns != due_ns
            if not stale and due_ns > now:
                delay_s = min((due_ns - now) / 1e9, LOOK_AGAIN_S)
                self._timer = asyncio.get_running_loop().call_later(delay_s, self.wake)
                return
            heapq.heappop(heap)
            if message is not None and not stale:
                self._busy.add(smtp_id)
                self._out[message.received.internal] += 1
                self._retry(message)

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
