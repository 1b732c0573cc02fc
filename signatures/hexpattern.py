"""The text of a sub-pattern, as ClamAV writes it and our sources do: hexadecimal octets with wildcards.

a1 ?? a? ?a         octets; any octet; half of one
{n} {n-m} {-m} {n-} gaps; [n-m] is the same; * is any gap
(aa|bbcc) !(aa|bb)  one of these; none of these
(B) (W) (L)         a border of a word, of a line, at either end of the pattern
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby

NO_LIMIT = (1 << 32) - 1  # MW_NO_LIMIT of cext/include/image.h
MOST_TEXT = 1 << 16  # characters of one sub-pattern
MOST_OPTIONS = 1024
LONGEST_OPTION = 4096


class PatternError(ValueError):
    """What is wrong, and at which character of the text, from 0."""

    def __init__(self, message: str, at: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.at = at
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Octets:
    """A fixed run."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Masked:
    """Octets of which some bits are fixed: octet & mask == value."""

    values: bytes
    masks: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """least to most octets; most NO_LIMIT: any number."""

    least: int
    most: int


FORMS = ("hex", "decimal", "binary", "auto")  # MW_COMPARE_*
MOST_LEN = {"hex": 18, "decimal": 64, "binary": 8, "auto": 64}  # octets of a number
MOST_OFFSET = 1 << 32


@dataclass(frozen=True, slots=True)
class Compare:
    """No octets: a number that stands offset octets behind the begin of the match is as the tests say, all of them.

    back: octets between that begin and here. tests: of "=", "<" or ">", and a value.
    """

    offset: int
    form: str
    length: int
    tests: tuple[tuple[str, int], ...]
    little: bool = False
    exact: bool = False
    back: int = 0


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of the options, or none of them; those of a negated one are of one length."""

    options: tuple[bytes, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """No octets: the border of a word or of a line. kind: word or line; left: what is in front counts."""

    kind: str
    left: bool


Element = Octets | Masked | Gap | OneOf | Edge | Compare

_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<octets>(?:[0-9a-fA-F]{2})+)|(?P<any>(?:\?\?)+)|(?P<high>\?[0-9a-fA-F])|(?P<low>[0-9a-fA-F]\?)"
    r"|(?P<star>\*)|(?P<gap>[{\[][^}\]]*[}\]])|(?P<edge>!?\([BLW]\))|(?P<one>!?\([^()]*\))"
)
_GAP = re.compile(r"(\d{0,9})(-?)(\d{0,9})")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")


def _gap(text: str, at: int) -> Gap:
    found = _GAP.fullmatch(text[1:-1])
    if not found or not (found[1] or found[3]):
        raise PatternError(f'"{text}" is no gap', at, "{n}, {n-m}, {-m} or {n-}")
    least = int(found[1] or 0)
    most = least if not found[2] else int(found[3]) if found[3] else NO_LIMIT
    if least > most:
        raise PatternError(f'"{text}" ends before it begins', at)
    return Gap(least, most)


def _one_of(text: str, at: int) -> OneOf:
    negated = text[0] == "!"
    words = re.sub(r"\s+", "", text[1 + negated : -1]).split("|")
    if len(words) > MOST_OPTIONS:
        raise PatternError(f"{len(words)} alternatives", at, f"at most {MOST_OPTIONS}")
    for word in words:
        if not _HEX.fullmatch(word) or len(word) > 2 * LONGEST_OPTION:
            raise PatternError(f'alternative "{word[:40]}" is not made of whole octets', at)
    options = tuple(sorted({bytes.fromhex(word) for word in words}))
    if negated and len({len(option) for option in options}) > 1:
        raise PatternError("negated alternatives of several lengths", at)
    return OneOf(options, negated)


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise PatternError(f'"{text[at : at + 12]}" is not understood', at)
        if found.lastgroup and found.lastgroup != "space":
            yield found.lastgroup, found[0], at
        at = found.end()


def _elements(text: str) -> Iterator[Element]:
    last = len(re.sub(r"\s+$", "", text))
    for kind, word, at in _tokens(text):
        match kind:
            case "octets":
                yield Octets(bytes.fromhex(word))
            case "any":
                yield Gap(len(word) // 2, len(word) // 2)
            case "high":
                yield Masked(bytes((int(word[1], 16),)), b"\x0f")
            case "low":
                yield Masked(bytes((int(word[0], 16) << 4,)), b"\xf0")
            case "star":
                yield Gap(0, NO_LIMIT)
            case "gap":
                yield _gap(word, at)
            case "edge":
                if word[0] == "!":
                    raise PatternError("a negated border", at, "not supported")
                if at and at + len(word) != last:
                    raise PatternError("a border inside a pattern", at, "only at either end")
                yield Edge("line" if word[1] == "L" else "word", at == 0)
            case _:
                yield _one_of(word, at)


def _join(kind: type, run: list[Element]) -> Iterator[Element]:
    """Neighbours of one kind as one element."""
    if kind is Octets:
        yield Octets(b"".join(e.octets for e in run if isinstance(e, Octets)))
    elif kind is Masked:
        masked = [e for e in run if isinstance(e, Masked)]
        yield Masked(b"".join(e.values for e in masked), b"".join(e.masks for e in masked))
    elif kind is Gap:
        gaps = [e for e in run if isinstance(e, Gap)]
        yield Gap(min(sum(g.least for g in gaps), NO_LIMIT - 1), min(sum(g.most for g in gaps), NO_LIMIT))
    else:
        yield from run


def parse(text: str) -> tuple[Element, ...]:
    """The elements of a sub-pattern. Raises PatternError and nothing else."""
    if len(text) > MOST_TEXT:
        raise PatternError(f"{len(text)} characters", 0, f"at most {MOST_TEXT}")
    elements = [joined for kind, run in groupby(_elements(text), type) for joined in _join(kind, list(run))]
    if not any(isinstance(e, Octets | Masked | OneOf) for e in elements):
        raise PatternError("nothing but wildcards" if elements else "empty pattern")
    return tuple(elements)


def widen(elements: tuple[Element, ...]) -> tuple[Element, ...]:
    """The same of text in 16-bit units, little-endian: a zero behind each octet that the pattern gives."""
    wide: list[Element] = []
    for e in elements:
        match e:
            case Octets(octets):
                wide.append(Octets(b"".join(bytes((o, 0)) for o in octets)))
            case Masked(values, masks):
                zeros = (b"".join(bytes((v, 0)) for v in values), b"".join(bytes((m, 255)) for m in masks))
                wide.append(Masked(*zeros))
            case OneOf(options, negated):
                wide.append(OneOf(tuple(b"".join(bytes((o, 0)) for o in option) for option in options), negated))
            case Compare():
                wide.append(replace(e, back=2 * e.back))
            case _:
                wide.append(e)
    return tuple(wide)


def length(elements: tuple[Element, ...]) -> int | None:
    """Octets that a match has, None if that differs."""
    total = 0
    for e in elements:
        match e:
            case Octets(octets):
                total += len(octets)
            case Masked(values, _):
                total += len(values)
            case Gap(least, most) if least == most:
                total += least
            case OneOf(options, _) if len({len(option) for option in options}) == 1:
                total += len(options[0])
            case Edge() | Compare():
                pass
            case _:
                return None
    return total


def specimen(elements: tuple[Element, ...]) -> bytes:
    """Some octets that match, without what borders ask of their surroundings."""
    made = bytearray()
    for e in elements:
        match e:
            case Octets(octets):
                made += octets
            case Masked(values, _):
                made += values
            case Gap(least, _):
                made += b"\x01" * least
            case OneOf(options, False):
                made += options[0]
            case OneOf(options, True):
                length = len(options[0])
                made += next(bytes((c,)) * length for c in range(256) if bytes((c,)) * length not in options)
            case Edge() | Compare():
                pass
    return bytes(made)
