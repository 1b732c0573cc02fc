"""What DNS answered, for as long as it may be used: a map with bounds in entries and octets."""

import time
from collections.abc import Callable
from typing import Any, Final

from engine import limits
from engine.delivery.reply import Reply

Key = tuple[str, str]  # name in lower case without a last dot, kind of records

_RECORD_LEN: Final = 200  # octets of one with nothing in it, roughly
_PIECE_LEN: Final = 48  # of a string or label, beside its octets: an answer of 64 KiB can have as many of them


class Answer:
    """records: empty for a name that exists without them; None for a name that does not exist.

    expires: by the clock of the cache. failure: there was no answer, and why. authentic: DNSSEC proves it, says a name
    server that is believed. canonical: where aliases led to; empty: there were none.
    """

    __slots__ = ("authentic", "canonical", "expires", "failure", "len", "records")

    def __init__(
        self,
        records: tuple[Any, ...] | None,
        expires: float,
        failure: Reply | None = None,
        *,
        authentic: bool = False,
        canonical: str = "",
    ) -> None:
        self.authentic = authentic
        self.canonical = canonical
        self.records = records
        self.expires = expires
        self.failure = failure
        self.len = sum(_len(record) for record in records or ())


def _len(record: Any) -> int:
    """Octets of memory, roughly: what senders can make large are the strings of TXT, names of MX and PTR, and data of
    TLSA."""
    name = getattr(record, "exchange", None) or getattr(record, "target", None)
    pieces = getattr(record, "strings", ()) if name is None else name.labels
    return _RECORD_LEN + len(getattr(record, "cert", b"")) + sum(_PIECE_LEN + len(piece) for piece in pieces)


class Cache:
    """clock: seconds, monotonic. len: octets of memory that all records in it take, roughly."""

    def __init__(self, entries: int = limits.DNS_CACHE_ENTRIES, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = entries
        self._clock = clock
        self._answers: dict[Key, Answer] = {}
        self.len = 0

    def __len__(self) -> int:
        return len(self._answers)

    def __contains__(self, key: Key) -> bool:
        return key in self._answers

    def get(self, key: Key) -> Answer | None:
        """What is known and has not expired."""
        answer = self._answers.get(key)
        return answer if answer is not None and answer.expires > self._clock() else None

    def keep(self, key: Key, answer: Answer) -> None:
        self._drop(key)
        if len(self._answers) >= self._most or self.len + answer.len > limits.DNS_CACHE_LEN:
            self._evict()
        self._answers[key] = answer
        self.len += answer.len

    def forget(self, below: str) -> None:
        """Drop what is known of names below this one, of which `below` is the key's name. O(entries)."""
        for key in [key for key in self._answers if key[0].endswith("." + below)]:
            self._drop(key)

    def clear(self) -> None:
        self._answers.clear()
        self.len = 0

    def _drop(self, key: Key) -> None:
        answer = self._answers.pop(key, None)
        if answer is not None:
            self.len -= answer.len

    def _evict(self) -> None:
        """Make room: what has expired and, if that is little, the oldest (dicts keep the order of insertion).

        A tenth at least, so that the next ones find room without a look at all others.
        """
        now = self._clock()
        for key in [key for key, answer in self._answers.items() if answer.expires <= now]:
            self._drop(key)
        while self._answers and (len(self) > self._most * 9 // 10 or self.len > limits.DNS_CACHE_LEN * 9 // 10):
            self._drop(next(iter(self._answers)))
