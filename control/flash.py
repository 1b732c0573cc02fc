"""What a page says once, after something was done: kept here for the moment between two requests."""

import hashlib
import threading
from typing import Final, Literal

import msgspec

KEPT: Final = 200  # sessions


class Flash(msgspec.Struct, frozen=True):
    """level: how the page shows it, as a success or as a mere notice."""

    text: str
    level: Literal["good", "info"] = "good"


class Flashes:
    """Safe from any thread. Texts are told apart by session, of which only a hash is kept."""

    def __init__(self) -> None:
        self._texts: dict[bytes, Flash] = {}
        self._lock = threading.Lock()

    def put(self, session_id: str, text: str, level: Literal["good", "info"] = "good") -> None:
        with self._lock:
            self._texts[_key(session_id)] = Flash(text, level)
            while len(self._texts) > KEPT:
                del self._texts[next(iter(self._texts))]

    def take(self, session_id: str) -> Flash | None:
        """What was put, once."""
        with self._lock:
            return self._texts.pop(_key(session_id), None)


def _key(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode("utf-8", "replace")).digest()
