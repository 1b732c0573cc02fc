"""Entries of lists with wildcards: `*` is any text, also none; `?` is one character (SUBJ-02, FILE-02).

An entry matches a whole text, without regard to case or to how Unicode spells the same characters. An entry is cut at
its `*` and the pieces are looked for one after the other, each at its first place: no entry can make it backtrack.
Cost O(length of text * length of the longest piece).
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

_SIMPLE: Final = re.compile(r"(\*?)([^*?]*)(\*?)", re.S)  # a `*` at either end, and no other wildcard


def folded(text: str) -> str:
    """text as it is compared: without case, and compatible forms of a character as one."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


class Entry:
    """One entry."""

    def __init__(self, entry: str) -> None:
        self.entry = entry
        first, *others = entry.split("*")
        self._open = bool(others)  # there is a `*`
        self._first = _Piece(first)
        self._last = _Piece(others.pop() if others else "")
        self._between = [_Piece(one) for one in others if one]

    def matches(self, text: str) -> bool:
        """text: folded."""
        at, end = self._first.length, len(text) - self._last.length
        if not self._first.at(text, 0) or (at != len(text) if not self._open else end < at):
            return False
        for piece in self._between:
            found = piece.find(text, at, end)
            if found < 0:
                return False
            at = found + piece.length
        return self._last.at(text, end)


class _Piece:
    """What stands between two `*`: as many characters, some of which may be any."""

    def __init__(self, words: str) -> None:
        fixed = [folded(one) for one in words.split("?")]  # apart: no form of another character becomes a wildcard
        self.length = sum(map(len, fixed)) + len(fixed) - 1
        self._text = fixed[0]
        self._pattern = re.compile(".".join(map(re.escape, fixed)), re.S) if len(fixed) > 1 else None

    def at(self, text: str, start: int) -> bool:
        if self._pattern is None:
            return text.startswith(self._text, start)
        return self._pattern.match(text, start) is not None

    def find(self, text: str, start: int, end: int) -> int:
        if self._pattern is None:
            return text.find(self._text, start, end)
        found = self._pattern.search(text, start, end)
        return -1 if found is None else found.start()


class Patterns:
    """A list of entries. Those of a simple shape are tried all at once, as no text matches any of them mostly."""

    def __init__(self, entries: tuple[str, ...]) -> None:
        self._entries = [Entry(one) for one in entries]
        simple = {one: _SIMPLE.fullmatch(one) for one in entries}
        shapes: dict[tuple[bool, bool], list[str]] = {}
        for found in filter(None, simple.values()):
            shapes.setdefault((bool(found[1]), bool(found[3])), []).append(folded(found[2]))
        self._whole = frozenset(shapes.get((False, False), ()))
        self._ends = tuple(shapes.get((True, False), ()))
        self._begins = tuple(shapes.get((False, True), ()))
        self._holds = tuple(shapes.get((True, True), ()))
        self._others = [one for one in self._entries if simple[one.entry] is None]

    def first(self, text: str) -> str | None:
        """The first entry of the list that matches, as it was written, or None."""
        text = folded(text)
        if (
            text in self._whole
            or text.endswith(self._ends)
            or text.startswith(self._begins)
            or any(map(text.__contains__, self._holds))
            or any(one.matches(text) for one in self._others)
        ):
            return next((one.entry for one in self._entries if one.matches(text)), None)
        return None


@lru_cache(maxsize=16)
def compiled(entries: tuple[str, ...]) -> Patterns:
    """The patterns of a list of the settings, made once."""
    return Patterns(entries)
