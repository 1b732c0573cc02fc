"""Anchors of conditions: literals of which one occurs whenever the condition holds, as rare as can be.

A condition is evaluated only where one of its anchors occurred, so a set of many conditions costs what its literals
cost. Of `0&1&2` one sub-pattern is anchored; alternatives in a sub-pattern are written out where they are few.
"""

from collections.abc import Iterator
from functools import lru_cache

from signatures import hexpattern, logic, statistics
from signatures.hexpattern import Octets, OneOf
from signatures.model import Condition, Part, SubPattern

WINDOW = 7  # octets of a short filter's window: a shorter literal needs the automaton
MOST_LITERALS = 64  # of one sub-pattern
LONGEST = 256
SHORTEST = 2
_FEW = 16  # octets of written-out alternatives
_SHORT_WEIGHT = 1.0  # a literal that slows down every scan
_ALWAYS_WEIGHT = 0.01  # a condition that is evaluated in every scan, but at one place only
_ALWAYS_SPAN = 4096
_FOLD = bytes(octet | 0x20 for octet in range(256))

Literals = frozenset[tuple[bool, bytes]]  # folded (then in lower case), octets


def variants(sub: SubPattern) -> Iterator[tuple[hexpattern.Element, ...]]:
    """The sub-pattern as it stands and as 16-bit text, borders of a full word included."""
    for wide, elements in ((False, sub.elements), (True, sub.elements)):
        if not (sub.wide if wide else sub.plain):
            continue
        elements = hexpattern.widen(elements) if wide else elements
        if sub.fullword:
            kind = "wide" if wide else "word"
            elements = (hexpattern.Edge(kind, True), *elements, hexpattern.Edge(kind, False))
        yield elements


@lru_cache(1)
def _statistics() -> statistics.Statistics:
    return statistics.load()


def _weight(folded: bool, octets: bytes) -> float:
    """About the share of positions in ordinary content that hold it, or what a short one costs."""
    if len(octets) < WINDOW:
        return _SHORT_WEIGHT * float(16 ** (WINDOW - len(octets)))
    seen = octets.translate(_FOLD) if folded else octets
    grams = _statistics().grams(seen[:LONGEST])
    best = max(min(grams[at : at + 4]) for at in range(len(grams) - 3))
    return float(2 ** (-best / statistics.UNIT))


def _candidates(elements: tuple[hexpattern.Element, ...]) -> Iterator[tuple[bytes, ...]]:
    for first, e in enumerate(elements):
        if isinstance(e, Octets) and len(e.octets) >= SHORTEST:
            yield (e.octets[:LONGEST],)
        words: list[bytes] = [b""]
        for e in elements[first:]:
            if isinstance(e, Octets):
                words = [word + e.octets[:_FEW] for word in words]
                if len(e.octets) > _FEW:
                    break
            elif isinstance(e, OneOf) and not e.negated and len(words) * len(e.options) <= MOST_LITERALS:
                words = [word + option for word in words for option in e.options]
            else:
                break
            if min(map(len, words)) >= _FEW:
                break
        if len(words) > 1 and min(map(len, words)) >= SHORTEST:
            yield tuple(word[:LONGEST] for word in words)


def _best(elements: tuple[hexpattern.Element, ...], nocase: bool) -> tuple[float, Literals] | None:
    best: tuple[float, Literals] | None = None
    for words in _candidates(elements):
        literals = frozenset(
            (True, word.lower()) if nocase and word.lower() != word.upper() else (False, word) for word in words
        )
        weight = sum(_weight(folded, octets) for folded, octets in sorted(literals))
        if best is None or weight < best[0]:
            best = weight, literals
    return best


def _of_sub(sub: SubPattern) -> tuple[float, Literals | None] | None:
    """(weight, literals), or None for literals if it is looked at in every scan; None: it cannot be an anchor."""
    literals: Literals = frozenset()
    weight = 0.0
    possible = True
    for elements in variants(sub):
        found = _best(elements, sub.nocase)
        if found is None:
            possible = False
            break
        weight += found[0]
        literals |= found[1]
    placed = sub.start.origin not in ("anywhere", "in section", "version") and sub.start.span <= _ALWAYS_SPAN
    if placed and (not possible or weight > _ALWAYS_WEIGHT):
        return _ALWAYS_WEIGHT, None
    return (weight, literals) if possible else None


def choose(condition: Condition) -> tuple[Literals, frozenset[int], frozenset[int]] | None:
    """(its anchors, sub-patterns that are looked for at their place in every scan, all sub-patterns behind both).

    None: it may hold where nothing of it can be looked for.
    """
    parts = [_of_sub(sub) if isinstance(sub, SubPattern) else None for sub in condition.subs]
    covered = logic.cover(condition.logic, [None if part is None else part[0] for part in parts])
    if covered is None:
        return None
    literals: Literals = frozenset()
    placed = set()
    for index in covered[1]:
        part = parts[index]
        if part is not None and part[1] is not None:
            literals |= part[1]
        else:
            placed.add(index)
    return literals, frozenset(placed), covered[1]


def possible(condition: Condition) -> bool:
    """Whether choose would find something, at less cost."""

    def weight(sub: Part) -> float | None:
        if not isinstance(sub, SubPattern):
            return None
        near = sub.start.origin not in ("anywhere", "in section", "version") and sub.start.span <= _ALWAYS_SPAN
        return 0.0 if near or all(any(_candidates(elements)) for elements in variants(sub)) else None

    return logic.cover(condition.logic, [weight(sub) for sub in condition.subs]) is not None
