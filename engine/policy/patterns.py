"""Entries of lists with wildcards: `*` is any text, also none; `?` is one character (SUBJ-02, FILE-02).

An entry matches a whole text, without regard to case or to how Unicode spells the same characters. An entry is cut at
its `*` and the pieces are looked for one after the other, each at its first place: no entry can make it backtrack.
Cost O(length of text * length of the longest piece).
"""

import re
import unicodedata
from typing import Final

import ahocorasick

from engine.policy.once import once

_WILDCARD: Final = re.compile(r"[*?]")


def folded(text: str) -> str:
    """text as it is compared: without case, and compatible forms of a character as one."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


class Entry:
    """One entry."""

    def __init__(self, entry: str) -> None:
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
    """A list of entries. One is tried only where its longest piece without wildcards occurs: few are in any text."""

    def __init__(self, entries: tuple[str, ...]) -> None:
        self._texts = entries
        self._entries: dict[int, Entry] = {}  # those that were tried, by place in the list
        self._whole: dict[str, int] = {}  # those without wildcards
        places: dict[str, list[int]] = {}  # of the others, by that piece
        for place, entry in enumerate(entries):
            pieces = _WILDCARD.split(entry)
            if len(pieces) == 1:
                self._whole.setdefault(folded(entry), place)
            else:
                places.setdefault(max(map(folded, pieces), key=len), []).append(place)
        self._anywhere = places.pop("", [])  # nothing but wildcards
        self._pieces = _automaton(places) if places else None

    def first(self, text: str) -> str | None:
        """The first entry of the list that matches, as it was written, or None."""
        text = folded(text)
        having = {*self._anywhere}
        if self._pieces is not None:
            for _, places in self._pieces.iter(text):
                having.update(places)
        whole = self._whole.get(text)
        for place in sorted(having):
            if whole is not None and whole < place:
                break
            if self._entry(place).matches(text):
                return self._texts[place]
        return None if whole is None else self._texts[whole]

    def _entry(self, place: int) -> Entry:
        entry = self._entries.get(place)
        if entry is None:
            entry = self._entries[place] = Entry(self._texts[place])
        return entry


def _automaton(values: dict[str, list[int]]) -> ahocorasick.Automaton:
    automaton = ahocorasick.Automaton()
    for words, value in values.items():
        automaton.add_word(words, value)
    automaton.make_automaton()
    return automaton


compiled: Final = once(Patterns)
