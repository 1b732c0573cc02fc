"""Wildcards of lists (SUBJ-02, FILE-02)."""

import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine.policy.patterns import Entry, Patterns, compiled, folded

LETTERS = st.text("aAbB.?*é ", max_size=12)


def naive(entry: str, text: str) -> bool:
    """What an entry means, one character after the other."""
    if not entry:
        return not text
    if entry[0] == "*":
        return any(naive(entry[1:], text[at:]) for at in range(len(text) + 1))
    if not text:
        return False
    return (entry[0] == "?" or entry[0].lower() == text[0].lower()) and naive(entry[1:], text[1:])


@pytest.mark.parametrize(
    ("entry", "text", "matches"),
    [
        ("*hot*", "so HOT today", True),
        ("*hot*", "cold", False),
        ("hot", "so hot", False),  # without wildcards: the whole of it
        ("hot", "HOT", True),
        ("h?t", "hat", True),
        ("h?t", "ht", False),
        ("a*b*c", "a--b--c", True),
        ("a*a", "a", False),
        ("*.exe", "INVOICE.EXE", True),
        ("*.exe", "exe", False),
        ("badnews.*", "BadNews.doc", True),
        ("", "", True),
        ("", "x", False),
        ("*", "", True),
        ("straße", "STRASSE", True),
        ("*ﬁnal*", "the FINAL offer", True),
        ("*free*", "ＦＲＥＥ money", True),
        ("cafe\u0301", "CAFÉ", True),
        ("a＊b", "axb", False),  # a wide asterisk is no wildcard
        ("a.c", "abc", False),
        ("(x", "(X", True),
    ],
)
def test_entries(entry: str, text: str, matches: bool) -> None:
    """SUBJ-02: case does not count, nor how Unicode spells it; FILE-02: `*` for name or extension."""
    assert Entry(entry).matches(folded(text)) is matches
    assert (Patterns((entry,)).first(text) == entry) is matches


@given(LETTERS, LETTERS)
@example("a?*", "a")
@example("*?", "")
@example("a*?b", "ab")
@example("*a*a", "a")
def test_it_is_what_a_naive_matcher_says(entry: str, text: str) -> None:
    """SUBJ-02."""
    assert Entry(entry).matches(folded(text)) is naive(unicodedata.normalize("NFKC", entry), text)


@given(st.lists(LETTERS | st.text("a?*", max_size=3), max_size=9), LETTERS)
def test_the_first_entry_in_the_order_of_the_list_is_named(entries: list[str], text: str) -> None:
    """SUBJ-04: the first matching entry in list order is reported."""
    expected = next((one for one in entries if naive(one, text)), None)
    assert compiled(tuple(entries)).first(text) == expected


def test_no_entry_makes_it_backtrack() -> None:
    """Work grows with the text, not with the number of ways to read an entry: this would take 2^60 steps."""

    class Counted(str):
        """Counts how often it is searched."""

        __slots__ = ()
        searches = 0

        def find(self, *args: Any) -> int:
            Counted.searches += 1
            return super().find(*args)

    entry = Entry("a*" * 60 + "b")
    assert not entry.matches(Counted("a" * 5000 + "c"))
    assert 0 < Counted.searches <= 60
    assert not Entry("*?" * 60 + "x").matches("y" * 1000)


def test_of_a_long_list_only_entries_whose_words_occur_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """SUBJ-02, SUBJ-04: the cost of a subject does not grow with the list."""
    tried = 0
    matches = Entry.matches

    def counted(entry: Entry, text: str) -> bool:
        nonlocal tried
        tried += 1
        return matches(entry, text)

    monkeypatch.setattr(Entry, "matches", counted)
    words = [f"w{number:05}w" for number in range(10_000)]
    entries = [one for word in words for one in (f"*{word}*", f"*{word}", f"{word}?*", word)]
    patterns = Patterns(tuple(entries))
    assert patterns.first("nothing of it") is None
    assert tried == 0
    assert patterns.first("say w00007w") == "*w00007w*"
    assert patterns.first("w09999w") == "*w09999w*"
    assert tried == 2
    assert Patterns(("?", "*w1w", "w1w", "*w*")).first("W1W") == "*w1w"
    assert Patterns(("?*?", "w1w", "*w*")).first("W1W") == "?*?"
    assert Patterns(("x*", "w1w", "*w*")).first("W1W") == "w1w"
