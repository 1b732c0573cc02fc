"""What many ask for at the same moment is found out once, and told to all of them."""

import logging
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

AGE_S: Final = 1.0
T = TypeVar("T")
log = logging.getLogger(__name__)


class _Kept:
    __slots__ = ("at", "lock", "renewing", "value")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.at = float("-inf")
        self.value: Any = None
        self.renewing = False


class Recent:
    """Safe from any thread; who asks while another one finds out waits for that. clock: seconds, monotonic.

    Keys are of the program, never of a request: nothing is ever forgotten.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[Hashable, _Kept] = {}

    def of(self, key: Hashable, make: Callable[[], T], age_s: float = AGE_S, stale_s: float = 0.0) -> T:
        """What `make` gave no longer than age_s ago, or gives now. What it raises is not kept.

        stale_s: for so long after that, nobody waits: the old answer is given while a thread finds out the new one.
        """
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            age = self._clock() - kept.at
            if age_s <= age < age_s + stale_s and not kept.renewing:
                kept.renewing = True
                threading.Thread(target=self._renew, args=(kept, make), daemon=True).start()
            if age < age_s + stale_s:
                value: T = kept.value
                return value
        with kept.lock:
            if self._clock() - kept.at >= age_s:
                self._put(kept, make())
            found: T = kept.value
        return found

    def _put(self, kept: _Kept, value: Any) -> None:
        with self._lock:
            kept.value, kept.at, kept.renewing = value, self._clock(), False

    def _renew(self, kept: _Kept, make: Callable[[], Any]) -> None:
        try:
            self._put(kept, make())
        except Exception:
            log.exception("cannot be found out anew")  # whoever asks next, once this is too old, gets to hear why
            with self._lock:
                kept.renewing = False
