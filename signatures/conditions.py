"""Laying out conditions: elements, sub-patterns and postfix expressions, as cext/include/image.h has them."""

import struct
from array import array
from collections.abc import Mapping

from cext.automaton import REGEX_FLAGS
from signatures import anchors, hexpattern, logic
from signatures.hexpattern import FORMS, Compare, Edge, Gap, Masked, Octets, OneOf
from signatures.logic import Count, Join, Sub, When
from signatures.model import ORIGINS, PROGRAM_FACTS, Around, Condition, Part, ProgramFact, Regex, Start

BYTES, FOLDED, MASKED, GAP, ONE_OF, EDGE, REGEX, COMPARE, PROGRAM, AROUND = range(1, 11)
COMPARISON = struct.Struct("<3q4B2s2x")  # mw_compare
NEGATED, OPTIONS_FOLDED = 1, 2
EDGES = {"word": 0, "wide": 2, "line": 4}  # of the left; the right one is the next
EXPR_SUB, EXPR_AND, EXPR_OR, EXPR_EQUAL, EXPR_MORE, EXPR_LESS, EXPR_SKIP, EXPR_IF = range(1, 9)
_COMPARE = {"=": EXPR_EQUAL, ">": EXPR_MORE, "<": EXPR_LESS}
MOST_WORDS = 2048  # MW_EXPR_WORDS
RECORD = struct.Struct("<5I4x2Q")  # mw_condition: signature, target, expression, words, container, sizes


class TooComplex(ValueError):
    """An expression that the matcher would refuse."""


class Sections:
    """The sections under construction. blob: the literals, which anchors are added to later; sets: of TARGET_SETS."""

    def __init__(self, sets: Mapping[str, int]) -> None:
        self.sets = sets
        self.blob = bytearray()
        self.elements = bytearray()
        self.subs = bytearray()
        self.conditions = bytearray()
        self.expressions: array[int] = array("I")
        self.subs_of: list[list[tuple[int, int]]] = []  # by condition and sub-pattern: first variant, their number
        self.regexes: dict[tuple[bytes, int], int] = {}  # text and flags: its element
        self.known: dict[tuple[tuple[hexpattern.Element, ...], bool], tuple[int, int]] = {}

    def element(self, e: hexpattern.Element, nocase: bool) -> bytes:
        at = len(self.blob)
        match e:
            case Octets(octets):
                folded = nocase and octets.lower() != octets.upper()
                self.blob += octets.lower() if folded else octets
                fields = (FOLDED if folded else BYTES, at, len(octets), 0)
            case Masked(values, masks):
                self.blob += values + masks
                fields = (MASKED, at, len(values), 0)
            case Gap(least, most):
                fields = (GAP, least, most, 0)
            case OneOf(options, negated):
                words = sorted({o.lower() if nocase else o for o in options})
                for word in words:
                    self.blob += struct.pack("<H", len(word)) + word
                fields = (ONE_OF, at, len(words), negated * NEGATED | nocase * OPTIONS_FOLDED)
            case Edge(kind, left):
                fields = (EDGE, EDGES[kind] + (not left), 0, 0)
            case Compare():
                numbers = [value for _, value in e.tests] + [0]
                flags = e.little | e.exact << 1
                ops = "".join(op for op, _ in e.tests).encode()
                place = e.offset - e.back, *numbers[:2], FORMS.index(e.form), flags, e.length, len(e.tests)
                self.blob += COMPARISON.pack(*place, ops)
                fields = (COMPARE, at, COMPARISON.size, 0)
        return struct.pack("<B3xIII", *fields)

    def regex(self, regex: Regex) -> tuple[int, int]:
        """(its element, 1)."""
        flags = sum(REGEX_FLAGS[flag] for flag in set(regex.flags))
        number = len(self.regexes)
        known = self.regexes.setdefault((regex.text, flags), len(self.elements) // 16)
        if len(self.regexes) > number:
            self.elements += struct.pack("<B3xIII", REGEX, len(self.blob), len(regex.text), number << 8 | flags)
            self.blob += regex.text
        return known, 1

    def fact(self, fact: ProgramFact | Around) -> tuple[int, int]:
        """(its element, 1)."""
        if isinstance(fact, Around):
            self.elements += struct.pack("<B3xIII", AROUND, fact.depth, self.sets[fact.container], 0)
        else:
            self.elements += struct.pack("<B3xIII", PROGRAM, PROGRAM_FACTS.index(fact.fact), fact.least, fact.most)
        return len(self.elements) // 16 - 1, 1

    def record(self, elements: tuple[int, int], where: Start) -> None:
        low = where.low % (1 << 64)
        self.subs += struct.pack("<4I2Q", *elements, ORIGINS.index(where.origin), where.section, low, where.span)

    def sub(self, sub: Part) -> tuple[int, int]:
        """(index of its first variant, number of variants)."""
        first, count = len(self.subs) // 32, 0
        if isinstance(sub, Regex):
            self.record(self.regex(sub), sub.start)
            return first, 1
        if isinstance(sub, ProgramFact | Around):
            self.record(self.fact(sub), Start("start"))
            return first, 1
        for elements in anchors.variants(sub):
            key = (elements, sub.nocase)
            if key not in self.known:
                start = len(self.elements) // 16
                for e in elements:
                    self.elements += self.element(e, sub.nocase)
                self.known[key] = (start, len(elements))
            self.record(self.known[key], sub.start)
            count += 1
        return first, count

    def variants_of(self, condition: int, sub: int) -> range:
        """Indices of a sub-pattern's variants."""
        first, count = self.subs_of[condition][sub]
        return range(first, first + count)

    def words(self, node: logic.Node, first: frozenset[int], subs: list[tuple[int, int]]) -> list[int]:
        """Postfix. Of what is joined by &, the likeliest to fail comes first, and the rest is skipped if it does."""
        match node:
            case Sub(index):
                start, variants = subs[index]
                return [EXPR_SUB | (variants << 16 | index) << 8, start]
            case When(trigger, index):
                tail = self.words(Sub(index), first, subs)
                return [*self.words(trigger, first, subs), EXPR_IF | len(tail) << 8, *tail]
            case Join(op, left, right):
                if op == "&":
                    if not logic.leaves(left) & first and logic.leaves(right) & first:
                        left, right = right, left
                    head, tail = self.words(left, first, subs), self.words(right, first, subs)
                    return [*head, EXPR_SKIP | (len(tail) + 1) << 8, *tail, EXPR_AND]
                head, tail = self.words(left, first, subs), self.words(right, first, subs)
                return [*head, *tail, EXPR_OR]
            case Count(op, of, value, different):
                return [*self.words(of, first, subs), _COMPARE[op], value, different]

    def add(self, condition: Condition, signature: int, target: int, container: int, first: frozenset[int]) -> int:
        """Lay out one. first: sub-patterns that are the likeliest to fail. Returns its index."""
        subs = [self.sub(sub) for sub in condition.subs]
        self.subs_of.append(subs)
        words = self.words(condition.logic, first, subs)
        if len(words) > MOST_WORDS:
            raise TooComplex(f"{len(words)} words of logic")
        number = len(self.conditions) // RECORD.size
        sizes = condition.size_min, condition.size_max
        self.conditions += RECORD.pack(signature, target, len(self.expressions), len(words), container, *sizes)
        self.expressions.extend(words)
        return number


def too_complex(condition: Condition) -> bool:
    """Whether add would refuse it."""
    subs = [(0, 1)] * len(condition.subs)
    return len(Sections({}).words(condition.logic, frozenset(), subs)) > MOST_WORDS
