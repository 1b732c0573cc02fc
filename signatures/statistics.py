"""How rare octets and pairs are in ordinary files: a table of 64 KB that anchors are chosen against.

The file `statistics.bin` holds 256 costs of an octet, then 256 x 256 costs of an octet after another, one octet each,
in eighths of a bit of information. It was counted over programs, libraries, pages, sources and compressed files of a
plain Linux system; `python -m signatures.statistics FILE...` counts anew and writes to standard output.
"""

import itertools
import math
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

UNIT = 8  # steps of a bit
_LEN = 256 + 65536


class Statistics:
    """Costs by octet and by pair; immutable."""

    def __init__(self, table: bytes) -> None:
        if len(table) != _LEN:
            raise ValueError(f"statistics of {len(table)} octets")
        self._octet = table[:256]
        self._pair = table[256:]

    def grams(self, literal: bytes) -> list[int]:
        """Rarity of the 4-gram at each offset of a literal, in eighths of a bit; literal of at least 4 octets."""
        octet, pair = self._octet, self._pair
        steps = [pair[a << 8 | b] for a, b in itertools.pairwise(literal)]
        return [octet[first] + x + y + z for first, x, y, z in zip(literal, steps, steps[1:], steps[2:], strict=False)]


def load() -> Statistics:
    """The table that ships with the compiler."""
    return Statistics(Path(__file__).with_name("statistics.bin").read_bytes())


def count(contents: Iterable[bytes]) -> bytes:
    """The table of some contents. What never occurred costs as if it had once."""
    pairs: Counter[tuple[int, int]] = Counter()
    for content in contents:
        pairs.update(itertools.pairwise(content))
    octets = [1 + sum(pairs[a, b] for b in range(256)) for a in range(256)]
    total = sum(octets)
    table = bytearray(min(255, round(-UNIT * math.log2(n / total))) for n in octets)
    for a in range(256):
        table.extend(min(255, round(-UNIT * math.log2((pairs[a, b] + 1) / (octets[a] + 256)))) for b in range(256))
    return bytes(table)


if __name__ == "__main__":
    sys.stdout.buffer.write(count(Path(name).read_bytes() for name in sys.argv[1:]))
