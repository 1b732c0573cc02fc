"""How many violations of HTTP a client gets away with: the rest of that minute it is refused, and no more is told."""

import threading
from collections.abc import Callable
from typing import Final

VIOLATIONS: Final = 60  # a minute; people with old forms and wrong names come nowhere near
WINDOW_S: Final = 60.0
CLIENTS_KEPT: Final = 10_000


class Patience:
    """Safe from any thread. clock: seconds. HTTP-07."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._clients: dict[str, tuple[float, int]] = {}  # when its minute began, and how many since
        self._lock = threading.Lock()

    def count(self, client: str) -> int:
        """One more. Returns how many it has had in this minute."""
        with self._lock:
            began, number = self._current(client)
            self._clients.pop(client, None)
            self._clients[client] = (began, number + 1)
            if len(self._clients) > CLIENTS_KEPT:
                del self._clients[next(iter(self._clients))]
            return number + 1

    def left_s(self, client: str) -> float:
        """Seconds until this client is listened to again; 0 if it is now."""
        with self._lock:
            began, number = self._current(client)
            return began + WINDOW_S - self._clock() if number >= VIOLATIONS else 0.0

    def _current(self, client: str) -> tuple[float, int]:
        now = self._clock()
        began, number = self._clients.get(client, (now, 0))
        return (began, number) if 0 <= now - began < WINDOW_S else (now, 0)
