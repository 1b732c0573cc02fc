"""Passwords that one walk may try at what is encrypted, within one bound on tries and one on seconds.

Openers ask it with a function that says what a password opens; who runs out of tries is refused, and the file stays
encrypted, as if nothing had been tried. What opened one file is tried first at the next.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

from engine import limits

Opened = TypeVar("Opened")

_CHARSETS: Final = ("utf-8", "cp1252", "cp437", "cp1251", "cp866")


class Keyring:
    """words: the likeliest first, limits.PASSWORDS at most. clock: seconds, monotonic.

    wanted: something was met that one more password might have opened.
    """

    def __init__(self, words: Sequence[str] = (), clock: Callable[[], float] = lambda: 0.0) -> None:
        self._words = list(words[: limits.PASSWORDS])
        self._clock = clock
        self._tries_left = limits.PASSWORD_TRIES
        self._time_left_s = limits.PASSWORD_S
        self.wanted = False

    def find(self, opened: Callable[[str], Opened | None]) -> Opened | None:
        """What `opened` gives for the first password that it gives anything for; None if there is none, or no try is
        left."""
        self.wanted = True
        for place, word in enumerate(self._words):
            found = self.attempt(opened, word)
            if found is not None:
                self._words.insert(0, self._words.pop(place))
                return found
        return None

    def attempt(self, opened: Callable[[str], Opened | None], word: str) -> Opened | None:
        """What `opened` gives for a word that need not be one of these; it counts as a try of the message."""
        if self._tries_left <= 0 or self._time_left_s < 0:
            return None
        self._tries_left -= 1
        begin = self._clock()
        try:
            return opened(word)
        finally:
            self._time_left_s -= self._clock() - begin


def spellings(word: str) -> Iterator[bytes]:
    """A password in the octets that programs make of it; in ASCII there is one way."""
    known = set()
    for charset in _CHARSETS:
        try:
            octets = word.encode(charset)
        except UnicodeEncodeError:
            continue
        if octets not in known:
            known.add(octets)
            yield octets
