"""How rare octets are in ordinary files: the table that anchors are chosen against.

`statistics.bin` holds 256 costs of an octet, then 256 x 256 costs of an octet after another, then the commonest
sequences of four octets with their costs (pairs alone take code such as prologues and padding for rare). A cost is one
octet: information in eighths of a bit. It was counted over programs, libraries, pages, sources and compressed files of
a plain Linux system; `python -m signatures.statistics FILE...` counts anew and writes to standard output.
"""

import itertools
import math
import struct
import sys
from array import array
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from cext.prefilter import Costs

UNIT = 8  # steps of a bit
COMMONEST = 16_384  # sequences of four that are kept
_PAIRS_LEN = 256 + 65536


class Statistics:
    """Costs by octet, pair and common sequence; immutable."""

    def __init__(self, table: bytes) -> None:
        if len(table) < _PAIRS_LEN or (len(table) - _PAIRS_LEN) % 5:
            raise ValueError(f"statistics of {len(table)} octets")
        self.costs = Costs(table[:256], table[256:_PAIRS_LEN], table[_PAIRS_LEN:])

    def grams(self, literal: bytes) -> list[int]:
        """Rarity of the sequence of four at each offset, in eighths of a bit; literal of 4 to 4096 octets."""
        return self.costs.grams(literal)


def load() -> Statistics:
    """The table that ships with the compiler."""
    return Statistics(Path(__file__).with_name("statistics.bin").read_bytes())


def _cost(count: int, total: int) -> int:
    return min(255, round(-UNIT * math.log2(count / total)))


def _fours(content: bytes) -> Iterable[int]:
    """Every sequence of four, as a little-endian number."""
    for start in range(4):
        numbers = array("I")
        numbers.frombytes(content[start : start + (len(content) - start) // 4 * 4])
        yield from numbers


def count(contents: Iterable[bytes]) -> bytes:
    """The table of some contents. What never occurred costs as if it had once."""
    pairs: Counter[tuple[int, int]] = Counter()
    fours: Counter[int] = Counter()
    for content in contents:
        pairs.update(itertools.pairwise(content))
        fours.update(_fours(content))
    octets = [1 + sum(pairs[a, b] for b in range(256)) for a in range(256)]
    table = bytearray(_cost(n, sum(octets)) for n in octets)
    for a in range(256):
        table.extend(_cost(pairs[a, b] + 1, octets[a] + 256) for b in range(256))
    total = fours.total()
    common = sorted(fours.items(), key=lambda item: (-item[1], item[0]))[:COMMONEST]
    for four, times in sorted(common):
        table += struct.pack("<IB", four, _cost(times, total))
    return bytes(table)


if __name__ == "__main__":
    sys.stdout.buffer.write(count(Path(name).read_bytes() for name in sys.argv[1:]))
