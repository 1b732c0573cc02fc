"""Conditions, slowly and straightforwardly: every start is tried, gaps and alternatives by backtracking over sets."""

import re

from signatures import logic
from signatures.hexpattern import NO_LIMIT, Edge, Element, Gap, Masked, Octets, OneOf
from signatures.model import Condition, Regex, SubPattern


def _word(octet: int) -> bool:
    return bytes((octet,)).isalnum()


def _edge(e: Edge, data: bytes, at: int, wide: bool) -> bool:
    line = e.kind == "line"
    if e.left:
        if at == 0:
            return True
        if wide:
            return at < 2 or data[at - 1] != 0 or not _word(data[at - 2])
        return data[at - 1] in b"\r\n" if line else not _word(data[at - 1])
    if at == len(data):
        return True
    if wide:
        return len(data) - at < 2 or data[at + 1] != 0 or not _word(data[at])
    return data[at] in b"\r\n" if line else not _word(data[at])


def _fold(octets: bytes, nocase: bool) -> bytes:
    return octets.lower() if nocase else octets


def ends(elements: tuple[Element, ...], data: bytes, at: int, nocase: bool) -> set[int]:
    """Where a match that begins at `at` may end."""
    if not elements:
        return {at}
    first, rest = elements[0], elements[1:]
    following: set[int] = set()
    match first:
        case Octets(octets):
            if _fold(data[at : at + len(octets)], nocase) == _fold(octets, nocase):
                following = {at + len(octets)}
        case Masked(values, masks):
            piece = data[at : at + len(values)]
            if len(piece) == len(values) and all(o & m == v for o, m, v in zip(piece, masks, values, strict=True)):
                following = {at + len(values)}
        case Gap(least, most):
            last = len(data) if most == NO_LIMIT else min(at + most, len(data))
            following = set(range(at + least, last + 1))
        case OneOf(options, negated):
            met = {o for o in options if _fold(data[at : at + len(o)], nocase) == _fold(o, nocase)}
            if not negated:
                following = {at + len(o) for o in met}
            elif not met and at + len(options[0]) <= len(data):
                following = {at + len(options[0])}
        case Edge(kind, _):
            following = {at} if _edge(first, data, at, kind == "wide") else set()
    return {end for position in following for end in ends(rest, data, position, nocase)}


def occurs(regex: Regex, data: bytes) -> int:
    """Once is enough. Python's expressions are those of PCRE as far as the tests go."""
    flags = (re.IGNORECASE if "i" in regex.flags else 0) | (re.DOTALL if "s" in regex.flags else 0)
    found = re.compile(regex.text, flags)
    low, span = (0, len(data)) if regex.start.origin == "anywhere" else (regex.start.low, regex.start.span)
    return int(any(found.match(data, at) for at in range(low, min(low + span, len(data)) + 1)))


def count(sub: SubPattern, variants: list[tuple[Element, ...]], data: bytes) -> int:
    """Number of ends, of each variant by itself."""
    start = sub.start
    match start.origin:
        case "anywhere":
            places = range(len(data) + 1)
        case "start":
            places = range(start.low, min(start.low + start.span, len(data)) + 1)
        case "end":
            base = len(data) - start.low
            places = range(base, min(base + start.span, len(data)) + 1) if base >= 0 else range(0)
        case _:
            raise NotImplementedError(start.origin)
    return sum(len({e for at in places for e in ends(v, data, at, sub.nocase)}) for v in variants)


def holds(condition: Condition, variants: list[list[tuple[Element, ...]]], data: bytes) -> bool:
    if not condition.size_min <= len(data) <= condition.size_max:
        return False
    counts = [
        occurs(sub, data) if isinstance(sub, Regex) else count(sub, v, data) if isinstance(sub, SubPattern) else 0
        for sub, v in zip(condition.subs, variants, strict=True)
    ]
    return logic.holds(condition.logic, counts)
