"""What a page says once, after something was done: kept here for the moment between two requests."""

import hashlib
import threading
from typing import Final

KEPT: Final = 200  # sessions


class Flashes:
    """Safe from any thread. Texts are told apart by session, of which only a hash is kept."""

    def __init__(self) -> None:
        self._texts: dict[bytes, str] = {}
        self._lock = threading.Lock()

    def put(self, session_id: str, text: str) -> None:
        with self._lock:
            self._texts[_key(session_id)] = text
            while len(self._texts) > KEPT:
                del self._texts[next(iter(self._texts))]

    def take(self, session_id: str) -> str:
        """The text, once; or nothing."""
        with self._lock:
            return self._texts.pop(_key(session_id), "")


def _key(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode("utf-8", "replace")).digest()
