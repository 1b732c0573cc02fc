"""What an authority has to find on the plain port to believe that a name is ours (RFC 8555 s8.3).

Only this process puts anything here, and takes it away when the authority has looked: few at a time, for minutes.
"""

import threading
from typing import Final

PATH: Final = "/.well-known/acme-challenge/"


class Challenges:
    """Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, str] = {}

    def put(self, token: str, answer: str) -> None:
        with self._lock:
            self._answers[token] = answer

    def remove(self, token: str) -> None:
        with self._lock:
            self._answers.pop(token, None)

    def answer(self, path: str) -> str | None:
        """To a GET of this path; None: there is nothing for it."""
        with self._lock:
            return self._answers.get(path.removeprefix(PATH)) if path.startswith(PATH) else None
