"""The fast queue as pages see it: read from the logs of the relays, and used again for a while if that took long.

While delivery is paused (DLV-01) a hundred thousand messages may be there, and reading them takes seconds. So what one
page has read serves the next ones for a few times as long as it took; then it is forgotten, since it takes memory.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.queue import listing
from engine.queue.state import MessageState

WORTH_S: Final = 0.1  # what is read sooner is always read anew
USED_FOR: Final = 4  # times as long as it took


class FastQueue:
    """Of one installation, from any thread: who asks while it is being read waits. clock: seconds, monotonic."""

    def __init__(self, root: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.root = root
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, MessageState] | None = None
        self._until = 0.0

    def read(self) -> dict[str, MessageState]:
        """To look at; not to be changed. Raises OSError."""
        with self._lock:
            if self._kept is not None and self._clock() < self._until:
                return self._kept
            began = self._clock()
            found = listing.read_fast(self.root)
            took = self._clock() - began
            if took >= WORTH_S:
                self._kept, self._until = found, self._clock() + USED_FOR * took
                forgetting = threading.Timer(USED_FOR * took, self._forget)
                forgetting.daemon = True
                forgetting.start()
            return found

    def _forget(self) -> None:
        with self._lock:
            if self._clock() >= self._until:
                self._kept = None
