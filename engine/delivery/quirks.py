"""What hosts announce and do not honour, remembered for a while, so that only one message has to find out."""

import time
from collections.abc import Callable
from typing import Final

from engine import limits
from engine.delivery.nexthop import Exchange

QUIRK_S: Final = 3600.0  # then it is offered again: somebody may have put it right

_NONE: Final[frozenset[str]] = frozenset()


class Quirks:
    """Extensions to do without, by host. Bounded by limits.BACKOFF_ENTRIES: the oldest goes."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[Exchange, tuple[float, frozenset[str]]] = {}

    def of(self, host: Exchange) -> frozenset[str]:
        if not self._known:  # the way of most mail
            return _NONE
        until, keywords = self._known.get(host, (0.0, _NONE))
        return keywords if until > self._clock() else _NONE

    def add(self, host: Exchange, keywords: frozenset[str]) -> None:
        keywords |= self.of(host)
        self._known.pop(host, None)
        self._known[host] = (self._clock() + QUIRK_S, keywords)
        if len(self._known) > limits.BACKOFF_ENTRIES:
            del self._known[next(iter(self._known))]
