"""Logic over the sub-patterns of a signature: `0&1`, `(0|1|2)>1`, `0=2`, `(0|1|2)>3,2`, numbered from 0.

As ClamAV reads it: & and | bind alike, from the right (`0&1|2&3` is `0&(1|(2&3))`), but in parentheses the last of them
binds least (`(0|1&2)` is `(0|1)&2`, `(0&1|2&3)` is `(0&(1|2))&3`). A block's `>n`, `<n` and `=n` compare the
sum of what its sub-patterns found; `,m` asks for so many different ones. A part that is false counts nothing, so
`(0&1)>1` needs both.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

MOST_SUBS = 64
DEEPEST = 32
MOST_TERMS = 256  # MW_EXPR_DEPTH of cext/include/image.h


class LogicError(ValueError):
    """What is wrong, and at which character, from 0."""

    def __init__(self, message: str, at: int = 0) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True)
class Sub:
    index: int


@dataclass(frozen=True, slots=True)
class Join:
    """op: & or |."""

    op: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class When:
    """Sub-pattern index, a regular expression, which is tried only if trigger holds and counts nothing otherwise."""

    trigger: "Node"
    index: int


@dataclass(frozen=True, slots=True)
class Count:
    """op: = > or <; different: least number of different sub-patterns."""

    op: str
    of: "Node"
    value: int
    different: int = 0


Node = Sub | When | Join | Count

_TOKEN = re.compile(r"\s*(\d+|[()&|=<>,])")


class _Parser:
    def __init__(self, text: str, subs: int) -> None:
        self.tokens: list[tuple[str, int]] = []
        self.subs = subs
        self.next = 0
        self.terms_seen = 0
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if not found:
                raise LogicError(f'"{text[at : at + 8]}" is not understood', at)
            self.tokens.append((found[1], found.start(1)))
            at = found.end()
        self.end = len(text)

    def peek(self) -> str:
        return self.tokens[self.next][0] if self.next < len(self.tokens) else ""

    def take(self, wanted: str = "") -> tuple[str, int]:
        if self.next >= len(self.tokens):
            raise LogicError(f'"{wanted}" is missing' if wanted else "ends too early", self.end)
        word, at = self.tokens[self.next]
        if wanted and word != wanted:
            raise LogicError(f'"{wanted}" instead of "{word}" is meant', at)
        self.next += 1
        return word, at

    def number(self) -> tuple[int, int]:
        word, at = self.take()
        if not word.isdigit() or len(word) > 9:
            raise LogicError(f'"{word}" is no number', at)
        return int(word), at

    def factor(self, depth: int) -> Node:
        if self.peek() == "(":
            _, at = self.take()
            if depth >= DEEPEST:
                raise LogicError("nested too deeply", at)
            node = self.terms(depth + 1)
            self.take(")")
        else:
            index, at = self.number()
            if index >= self.subs:
                raise LogicError(f"there is no sub-pattern {index}", at)
            self.terms_seen += 1
            if self.terms_seen > MOST_TERMS:
                raise LogicError(f"more than {MOST_TERMS} terms", at)
            node = Sub(index)
        while self.peek() in ("=", "<", ">"):
            op, _ = self.take()
            value, _ = self.number()
            different = 0
            if self.peek() == ",":
                self.take()
                different, _ = self.number()
            node = Count(op, node, value, different)
        return node

    def terms(self, depth: int) -> Node:
        nodes, ops = [self.factor(depth)], []
        while self.peek() in ("&", "|"):
            ops.append(self.take()[0])
            nodes.append(self.factor(depth))
        last, last_op = (nodes.pop(), ops.pop()) if depth and ops else (None, "")
        node = nodes.pop()
        while nodes:
            node = Join(ops.pop(), nodes.pop(), node)
        return Join(last_op, node, last) if last else node


def parse(text: str, subs: int) -> Node:
    """The expression over so many sub-patterns. Raises LogicError and nothing else."""
    parser = _Parser(text, subs)
    node = parser.terms(0)
    if parser.peek():
        word, at = parser.take()
        raise LogicError(f'"{word}" is left over', at)
    return node


def triggered(node: Node, triggers: Mapping[int, Node]) -> Node:
    """The expression with what its regular expressions wait for, by their indices. Raises LogicError if one of them
    waits for another.
    """
    match node:
        case Sub(index):
            trigger = triggers.get(index)
            if trigger is None:
                return node
            if leaves(trigger) & triggers.keys():
                raise LogicError("a regular expression waits for another one")
            return When(trigger, index)
        case When():
            return node
        case Join(op, left, right):
            return Join(op, triggered(left, triggers), triggered(right, triggers))
        case Count(op, of, value, different):
            return Count(op, triggered(of, triggers), value, different)


def leaves(node: Node) -> set[int]:
    """The sub-patterns that may be the first to be looked for."""
    match node:
        case Sub(index):
            return {index}
        case When(trigger, _):
            return leaves(trigger)
        case Join(_, left, right):
            return leaves(left) | leaves(right)
        case Count(_, of):
            return leaves(of)


def holds(node: Node, counts: list[int]) -> bool:
    """The value of an expression, slowly: what the matcher has to agree with."""
    return _value(node, counts)[0]


_FALSE: tuple[bool, int, frozenset[int]] = (False, 0, frozenset())


def _value(node: Node, counts: list[int]) -> tuple[bool, int, frozenset[int]]:
    match node:
        case Sub(index):
            return counts[index] > 0, counts[index], frozenset({index} if counts[index] else ())
        case When(trigger, index):
            return _value(Sub(index), counts) if holds(trigger, counts) else _FALSE
        case Join(op, left, right):
            a, b = _value(left, counts), _value(right, counts)
            if a[0] and b[0] if op == "&" else a[0] or b[0]:
                return True, a[1] + b[1], a[2] | b[2]
            return _FALSE
        case Count(op, of, value, different):
            _, total, which = _value(of, counts)
            truth = total == value if op == "=" else total > value if op == ">" else total < value
            return (True, total, which) if truth and len(which) >= different else _FALSE


def cover(node: Node, weight: list[float | None]) -> tuple[float, frozenset[int]] | None:
    """The cheapest set of sub-patterns of which one occurs whenever the expression is true, with its weight.

    weight: of each sub-pattern as an anchor; None: it cannot be one. None: there is no such set.
    """
    match node:
        case Sub(index):
            cost = weight[index]
            return None if cost is None else (cost, frozenset({index}))
        case When(trigger, _):
            return cover(trigger, weight)
        case Join("&", left, right):
            found = [c for c in (cover(left, weight), cover(right, weight)) if c is not None]
            return min(found, key=lambda c: (c[0], sorted(c[1])), default=None)
        case Join(_, left, right):
            return _union([cover(left, weight), cover(right, weight)])
        case Count(op, of, value, different):
            if not different and (op == "<" or (op == "=" and value == 0)):
                return None
            return cover(of, weight)


def _union(parts: list[tuple[float, frozenset[int]] | None]) -> tuple[float, frozenset[int]] | None:
    sets = [part[1] for part in parts if part is not None]
    if len(sets) < len(parts):
        return None
    return sum(part[0] for part in parts if part is not None), frozenset().union(*sets)
