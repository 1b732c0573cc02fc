"""Objects of PDF with the places where each part of them is written, so that parts can be overwritten in place."""

from typing import Final

import msgspec

from cext.pdf import hex_string, literal_string
from engine.repair.allowance import Allowance, Irregular
from engine.scan.formats.pdf_syntax import (
    ARRAY,
    ARRAY_END,
    CLOSE,
    DEPTH,
    HEX,
    NAME,
    OPEN,
    STRING,
    TOKEN,
    TOKENS,
    WORD,
    unescaped,
)

REF: Final = 0
_ENDS: Final = frozenset({b"endobj", b"stream", b"endstream", b"obj", b"xref", b"startxref"})


class Node(msgspec.Struct):
    """kind: as in pdf_syntax; OPEN is a dictionary, HEX counts as STRING. start, end: offsets of its octets.

    text: of a name, unescaped, or of a string; number: of a reference. items: of an array; of a dictionary, key and
    value in turn.
    """

    kind: int
    start: int
    end: int
    text: bytes = b""
    number: int = -1
    items: list["Node"] = []

    def pairs(self) -> list[tuple["Node", "Node"]]:
        """Keys and values of a dictionary; what has no key is left out."""
        found: list[tuple[Node, Node]] = []
        at = 0
        while at + 1 < len(self.items):
            if self.items[at].kind == NAME:
                found.append((self.items[at], self.items[at + 1]))
                at += 2
            else:
                at += 1
        return found

    def get(self, key: bytes) -> "Node | None":
        """The last value of a key, as readers take it."""
        return next((value for name, value in reversed(self.pairs()) if name.text == key), None)


def parse(buf: bytes, at: int, allowance: Allowance) -> Node | None:
    """The object at buf[at:], read as pdf_syntax reads it; None if there is none.

    Raises Irregular for one that is not closed or nested too deep: it cannot be told where it ends.
    """
    stack: list[Node] = []
    for _ in range(TOKENS):
        allowance.step()
        found = TOKEN.match(buf, at)
        if found is None:
            break
        kind = found.lastindex or 0
        start, at = found.start(kind) if kind else found.end() - 1, found.end()
        if kind == NAME:
            node = Node(NAME, start - 1, at, unescaped(found[NAME]))
        elif kind == WORD:
            word = found[WORD]
            if word in _ENDS:
                break
            node = Node(WORD, start, at, word)
            if word == b"R" and stack and _ends_in_numbers(stack[-1].items):
                first = stack[-1].items[-2]
                del stack[-1].items[-2:]
                node = Node(REF, first.start, at, number=int(first.text))
        elif kind in (STRING, HEX):
            text, end = (literal_string if kind == STRING else hex_string)(buf, at)
            if end < 0:
                break
            node, at = Node(STRING, start, end, text), end
        elif kind in (OPEN, ARRAY):
            if len(stack) >= DEPTH:
                raise Irregular
            stack.append(Node(kind, start, at, items=[]))
            continue
        elif kind in (CLOSE, ARRAY_END):
            if not stack:
                break
            if kind == ARRAY_END and stack[-1].kind == OPEN:
                continue  # no array is open
            while kind == CLOSE and stack[-1].kind == ARRAY and len(stack) > 1:
                _close(stack, start)
            node = stack.pop()
            node.end = at
        else:  # a brace or a stray parenthesis
            if not stack:
                break
            continue
        if not stack:
            return node
        stack[-1].items.append(node)
    if stack:
        raise Irregular
    return None


def _ends_in_numbers(items: list[Node]) -> bool:
    return len(items) >= 2 and all(
        one.kind == WORD and one.text.isdigit() and len(one.text) <= 10 for one in items[-2:]
    )


def _close(stack: list[Node], at: int) -> None:
    made = stack.pop()
    made.end = at
    stack[-1].items.append(made)
