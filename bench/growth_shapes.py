"""How inputs of bench.growth are made: from a length to octets of about that length."""

import re
from collections.abc import Callable
from functools import cache
from typing import Final

Shape = Callable[[int], bytes]
Parser = tuple[Callable[[bytes], object], dict[str, Shape]]
_NUMBER: Final = re.compile(rb"(?<!%)%0?\d*d")


def filled(unit: bytes, head: bytes = b"", tail: bytes = b"") -> Shape:
    """The unit again and again."""
    return lambda length: head + unit * max(1, (length - len(head) - len(tail)) // len(unit)) + tail


def nested(opens: bytes, closes: bytes = b"", head: bytes = b"", middle: bytes = b"", tail: bytes = b"") -> Shape:
    """One in the other."""

    def make(length: int) -> bytes:
        times = max(1, (length - len(head) - len(middle) - len(tail)) // (len(opens) + len(closes)))
        return head + opens * times + middle + closes * times + tail

    return make


def halves(first: bytes, second: bytes, head: bytes = b"", tail: bytes = b"") -> Shape:
    """The one again and again, behind it the other: what begins in the first half may go on to the end."""
    return lambda length: (
        head + first * max(1, length // 2 // len(first)) + second * max(1, length // 2 // len(second)) + tail
    )


def numbered(unit: bytes, head: bytes = b"", tail: bytes = b"") -> Shape:
    """The unit with a number in it, each another one: nothing is the same twice."""

    numbers = len(_NUMBER.findall(unit))

    def make(length: int) -> bytes:
        pieces, have, number = [head], len(head) + len(tail), 0
        while have < length:
            pieces.append(unit % ((number,) * numbers))
            have += len(pieces[-1])
            number += 1
        return b"".join(pieces) + tail

    return make


def sized(make: Callable[[int], bytes], least: int = 1) -> Shape:
    """Of what is made by a count: make(times) has about `length` octets."""

    @cache
    def lengths() -> tuple[int, int, int]:
        few, far = len(make(16)), 512  # far enough apart for what comes in blocks
        while len(make(16 + far)) < few + 4096 and far < 1 << 16:
            far *= 4
        return few, len(make(16 + far)) - few, far

    def shape(length: int) -> bytes:
        few, more, far = lengths()
        return make(max(least, 16 + (length - few) * far // max(1, more)))

    return shape
