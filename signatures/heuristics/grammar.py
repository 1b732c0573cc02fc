"""From `[[mark]]` and `[[family]]` tables to marks and families: every mistake of a table reported, none thrown."""

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Final

from signatures import grammar
from signatures.diagnostics import SourceError, did_you_mean
from signatures.heuristics.model import FEATURES, MOST, SUBJECTS, Family, Reason
from signatures.model import FileName, Signature
from signatures.source import UNKNOWN_KEYS, Table

KEYS: Final = ("name", "of", "needs", "low", "medium", "high", "reasons", "comment")
REASON_KEYS: Final = ("feature", "points", "words", "least", "most")
LEVELS: Final = ("low", "medium", "high")
MOST_FAMILIES: Final = 100
MOST_REASONS: Final = 60
MOST_NEEDS: Final = 16
MOST_POINTS: Final = 1000
WORDS_LEN: Final = 120
_FAMILY: Final = re.compile(r"[A-Z][A-Za-z0-9]{2,39}")
_MARK: Final = re.compile(r"[a-z]{2,12}\.[a-z0-9-]{2,40}")


def mark(table: Table) -> tuple[Signature | None, list[SourceError]]:
    """What a `[[mark]]` looks for; its name is the feature."""
    found, errors = grammar.signature(table)
    name = table.values.get("name")
    if isinstance(name, str) and not _MARK.fullmatch(name):
        hint = "subject and feature in lower case, such as code.download"
        errors.append(table.error(f'"{name}" is no name of a mark', hint, "name", name))
    elif name in FEATURES:
        errors.append(table.error(f'"{name}" is found by code', "take another name", "name", str(name)))
    for key in ("family", "severity"):
        if key in table.values:
            errors.append(table.error(f'a mark has no "{key}"', "families give it its weight", key))
    if found is not None and isinstance(found.body, FileName):
        errors.append(table.error("a mark looks into content", "names of files are features already", "filename"))
    return (None if errors else found), errors


def families(tables: Sequence[Table], marks: Iterable[str]) -> tuple[list[Family], list[SourceError]]:
    """The families of these tables. marks: names of all marks."""
    known = FEATURES | set(marks)
    found: list[Family] = []
    errors: list[SourceError] = []
    taken: dict[str, Table] = {}
    for table in tables:
        reader = _Reader(table, known)
        family = reader.family()
        errors.extend(reader.errors)
        if family is not None:
            found.append(family)
        name = table.values.get("name")
        if isinstance(name, str) and (other := taken.setdefault(name, table)) is not table:
            errors.append(table.error(f'name "{name}" is taken', f"by {other.path}, line {other.line}", "name", name))
    if len(tables) > MOST_FAMILIES:
        errors.append(tables[MOST_FAMILIES].error(f"more than {MOST_FAMILIES} families"))
    return found, errors


class _Reader:
    """One `[[family]]` table under inspection."""

    def __init__(self, table: Table, known: Iterable[str]) -> None:
        self._table = table
        self._known = frozenset(known)
        self.errors: list[SourceError] = []

    def family(self) -> Family | None:
        values = self._table.values
        for key in islice((key for key in values if key not in KEYS), UNKNOWN_KEYS):
            self._wrong(f'unknown key "{key}"', did_you_mean(key, KEYS), key)
        name = values.get("name", "")
        if not isinstance(name, str) or not _FAMILY.fullmatch(name):
            self._wrong("family without a name", 'a word with a capital, such as name = "ScriptDropper"', "name")
        low, medium, high = (self._level(level) for level in LEVELS)
        set_ones = [level for level in (low, medium, high) if level]
        if not self.errors and (not set_ones or set_ones != sorted(set_ones, reverse=True)):
            self._wrong("a higher level must need fewer points", "low >= medium >= high; 0: not at that level", "low")
        of = tuple(self._words("of", SUBJECTS))
        needs = tuple(
            tuple(one.split("|"))
            for one in self._words("needs", None)
            if all(self._is_known(feature, "needs") for feature in one.split("|"))
        )
        if len(needs) > MOST_NEEDS:
            self._wrong(f"more than {MOST_NEEDS} needs", "", "needs")
        reasons = tuple(self._reasons())
        if self.errors:
            return None
        return Family(name, of, needs, low, medium, high, reasons)

    def _wrong(self, message: str, hint: str = "", key: str | None = None, within: str = "") -> None:
        """At within, on the line of key or, if lists go on there, on one behind it."""
        error = self._table.error(message, hint, key, within)
        if within and within not in error.text:
            for number, line in enumerate(self._table.lines):
                if self._table.line + number > error.line and (at := line.find(within)) >= 0:
                    error = SourceError(error.path, self._table.line + number, at + 1, message, line, hint, len(within))
                    break
        self.errors.append(error)

    def _level(self, level: str) -> int:
        value = self._table.values.get(level)
        if type(value) is not int or not 0 <= value <= 10 * MOST_POINTS:
            self._wrong(f'"{level}" is not a number of points', f"write {level} = 100", level)
            return 0
        return value

    def _words(self, key: str, known: Sequence[str] | None) -> list[str]:
        value = self._table.values.get(key, [])
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            self._wrong(f'"{key}" is not a list of words', f'write {key} = ["..."]', key)
            return []
        for one in value:
            if known is not None and one not in known:
                self._wrong(f'unknown word "{one}" in "{key}"', did_you_mean(one, known), key, one)
        return value

    def _is_known(self, feature: str, key: str) -> bool:
        if feature in self._known:
            return True
        self._wrong(f'nothing finds "{feature}"', did_you_mean(feature, sorted(self._known)), key, feature)
        return False

    def _reasons(self) -> list[Reason]:
        value = self._table.values.get("reasons")
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_REASONS:
            self._wrong(f'"reasons" is not a list of 1 to {MOST_REASONS} reasons', "", "reasons")
            return []
        found = (self._reason(one) for one in value)
        return [one for one in found if one is not None]

    def _reason(self, item: Any) -> Reason | None:
        if not isinstance(item, dict) or not isinstance(item.get("feature"), str):
            self._wrong("reason without a feature", '{ feature = "...", points = 10, words = "..." }', "reasons")
            return None
        feature, words, points = item["feature"], item.get("words"), item.get("points")
        before = len(self.errors)
        self._is_known(feature, "reasons")
        for key in islice((key for key in item if key not in REASON_KEYS), UNKNOWN_KEYS):
            self._wrong(f'unknown key "{key}" of a reason', did_you_mean(key, REASON_KEYS), "reasons", key)
        if type(points) is not int or not -MOST_POINTS <= points <= MOST_POINTS or not points:
            self._wrong(f'points of "{feature}" are not a number', f"up to {MOST_POINTS}", "reasons", feature)
        if not isinstance(words, str) or not 1 <= len(words) <= WORDS_LEN:
            self._wrong(f'no words for "{feature}"', "what people are told, in few words", "reasons", feature)
        least, most = item.get("least", 1), item.get("most", MOST)
        if type(least) is not int or type(most) is not int or not 0 <= least <= most <= MOST:
            self._wrong(f'"least" and "most" of "{feature}" are no range', "", "reasons", feature)
        if len(self.errors) > before:
            return None
        assert isinstance(points, int) and isinstance(words, str)
        return Reason(feature, points, words, least, most)
