"""Objects of PDF as they are written (ISO 32000-1 s7.2, s7.3), read the tolerant way in which readers read them.

Names are `Name` with #xx undone, strings are bytes with escapes undone, `12 0 R` is a Ref. A dictionary keeps the last
value of a key that it has twice, and the others in `doubles`: readers differ. To most of them an unknown word is a
value, here null; what those take from it that pass over the word is among the doubles.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from cext.pdf import hex_string, literal_string
from engine.scan.mapped import Octets

DEPTH: Final = 64  # nested arrays and dictionaries; readers stop at about 100
TOKENS: Final = 500_000  # of one object
_SPACE: Final = rb"\0\t\n\f\r "
_REGULAR: Final = rb"[^\0\t\n\f\r ()<>\[\]{}/%]"
_BLANK: Final = rb"(?:[" + _SPACE + rb"]++|%[^\r\n]*+)*+"
TOKEN: Final = re.compile(
    _BLANK + rb"(?:/(" + _REGULAR + rb"*+)|(<<)|(>>)|(\[)|(\])|(\()|(<)|(" + _REGULAR + rb"++)|(.))", re.S
)
# What TOKEN found, by its last group; the last one is any other octet.
NAME, OPEN, CLOSE, ARRAY, ARRAY_END, STRING, HEX, WORD = range(1, 9)
_ESCAPE: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
_REST_OF_REF: Final = re.compile(_BLANK + rb"\d{1,10}" + _BLANK + rb"R(?!" + _REGULAR + rb")")
_ENDS: Final = frozenset({b"endobj", b"stream", b"endstream", b"obj", b"xref", b"startxref"})
_WORDS: Final = {b"true": True, b"false": False, b"null": None}


class Malformed(ValueError):
    """No object here, or one that no reader would take. at: how far it was read."""

    def __init__(self, at: int) -> None:
        super().__init__(at)
        self.at = at


class Name(bytes):
    """A name without its slash."""


class Ref(msgspec.Struct, frozen=True):
    number: int


class Dict(dict[bytes, Any]):
    """doubles: values of keys that came before with another value."""

    def __init__(self) -> None:
        super().__init__()
        self.doubles: dict[bytes, list[Any]] = {}

    def put(self, key: bytes, value: Any) -> None:
        if key in self and self[key] != value:
            self.doubles.setdefault(key, []).append(self[key])
        self[key] = value


_UNKNOWN: Final = object()  # in place of a word that means nothing
Value = Any  # Name | bytes | int | float | bool | None | Ref | Dict | list of these


def unescaped(name: bytes) -> bytes:
    """A name with #xx undone."""
    if b"#" not in name:
        return name
    return _ESCAPE.sub(lambda found: bytes((int(found[1], 16),)), name)


def parse(buf: Octets, at: int) -> tuple[Value, int]:
    """(the object at buf[at:], offset behind it). White space and comments may precede it.

    Raises Malformed. A container that lacks its end reaches to the next endobj or stream. O(octets read).
    """
    stack: list[tuple[bool, list[Value]]] = []  # (whether a dictionary, what is in it so far)
    top: list[Value] | None = None
    odd = False  # there are unknown words in it
    for _ in range(TOKENS):
        found = TOKEN.match(buf, at)
        if found is None:
            raise Malformed(len(buf))
        kind = found.lastindex
        at = found.end()
        value: Value
        if kind == NAME:
            value = Name(unescaped(found[NAME]))
        elif kind == WORD:
            word = found[WORD]
            if word in _ENDS:
                if top is None:
                    raise Malformed(at)
                return _closed(stack, odd), at - len(word)
            if word == b"R":
                if top is not None and len(top) >= 2 and type(top[-1]) is int and type(top[-2]) is int:
                    del top[-1]
                    top[-1] = Ref(top[-1])
                    continue
                _inside(top, at).append(_UNKNOWN)
                odd = True
                continue
            if word in _WORDS:
                value = _WORDS[word]
            else:
                number = _number(word)
                if number is None:
                    _inside(top, at).append(_UNKNOWN)
                    odd = True
                    continue
                value = number
                if top is None and type(number) is int and (rest := _REST_OF_REF.match(buf, at)):
                    return Ref(number), rest.end()
        elif kind == STRING:
            value, at = _string(literal_string, buf, at)
        elif kind == HEX:
            value, at = _string(hex_string, buf, at)
        elif kind in (OPEN, ARRAY):
            if len(stack) >= DEPTH:
                raise Malformed(at)
            top = []
            stack.append((kind == OPEN, top))
            continue
        elif kind in (CLOSE, ARRAY_END):
            if top is None:
                raise Malformed(at)
            if kind == ARRAY_END and stack[-1][0]:
                continue  # no array is open
            while kind == CLOSE and not stack[-1][0] and any(one[0] for one in stack):
                _close(stack, odd)
            value = _made(*stack.pop(), odd)
            top = stack[-1][1] if stack else None
        else:  # a brace or a stray parenthesis
            inside = _inside(top, at)
            if found[0][-1] in b"{}":
                inside.append(_UNKNOWN)
                odd = True
            continue
        if top is None:
            return value, at
        top.append(value)
    raise Malformed(at)


def _inside(top: list[Value] | None, at: int) -> list[Value]:
    """What a word that means nothing is in; outside of a container there is no object."""
    if top is None:
        raise Malformed(at)
    return top


def _string(read: Callable[[Octets, int], tuple[bytes, int]], buf: Octets, at: int) -> tuple[bytes, int]:
    octets, end = read(buf, at)
    if end < 0:
        raise Malformed(len(buf))
    return octets, end


def _number(word: bytes) -> int | float | None:
    """Readers take 12, +12, -.5, 4., and some --5."""
    if len(word) > 32:
        return None
    try:
        return int(word)
    except ValueError:
        pass
    if word.strip(b"+-.0123456789"):
        return None
    try:
        return float(word)
    except ValueError:
        return 0


def _close(stack: list[tuple[bool, list[Value]]], odd: bool) -> None:
    made = _made(*stack.pop(), odd)
    stack[-1][1].append(made)


def _closed(stack: list[tuple[bool, list[Value]]], odd: bool) -> Value:
    while len(stack) > 1:
        _close(stack, odd)
    return _made(*stack.pop(), odd)


def _made(dictionary: bool, items: list[Value], odd: bool) -> Value:
    if odd and any(one is _UNKNOWN for one in items):
        made = _made(dictionary, [None if one is _UNKNOWN else one for one in items], False)
        if dictionary:
            other = _made(True, [one for one in items if one is not _UNKNOWN], False)
            for key, value in other.items():
                if key not in made or made[key] != value:
                    made.doubles.setdefault(key, []).append(value)
        return made
    if not dictionary:
        return items
    made = Dict()
    inside: list[Dict] = []
    at = 0
    while at < len(items):
        key = items[at]
        if not isinstance(key, Name):  # a value without key; of what begins there, readers pass over the mark only
            at += 1
            if isinstance(key, Dict | list):
                inside.append(key if isinstance(key, Dict) else _made(True, key, False))
        elif at + 1 < len(items):
            made.put(bytes(key), items[at + 1])
            at += 2
        else:
            made.put(bytes(key), None)
            at += 1
    for one in inside:
        for name, value in one.items():
            if name not in made:
                made[name] = value
            elif made[name] != value:
                made.doubles.setdefault(name, []).append(value)
    return made
