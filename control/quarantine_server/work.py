"""What a thread of the server does again and again, until it is stopped."""

import logging
import threading
from abc import ABC, abstractmethod
from typing import Final

log: Final = logging.getLogger(__name__)


class Work(threading.Thread, ABC):
    """look_s: seconds of rest between two looks; `wake` ends it. failing: what does not happen while looks fail."""

    def __init__(self, name: str, look_s: float, failing: str) -> None:
        super().__init__(name=name, daemon=True)
        self._look_s = look_s
        self._failing = failing
        self._ended = threading.Event()
        self._wake = threading.Event()

    @abstractmethod
    def look(self) -> None:
        """Do what is to be done; of long work, one piece after the other as long as `goes_on`. May raise anything."""

    @property
    def goes_on(self) -> bool:
        return not self._ended.is_set()

    def run(self) -> None:
        while self.goes_on:
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - the thread must go on: a full disk passes
                log.error("%s for now: %s: %s", self._failing, type(error).__name__, error)
            self._wake.wait(self._look_s)
            self._wake.clear()

    def stop(self, patience_s: float | None = None) -> None:
        """After the piece in hand. patience_s: how long that is waited for."""
        self._ended.set()
        self._wake.set()
        if self.is_alive():
            self.join(patience_s)

    def wake(self) -> None:
        """There is something new."""
        self._wake.set()
