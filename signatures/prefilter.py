"""Building the filters in front of the automaton: cext/prefilter.pyx lays out, cext/include/match_filter.h runs.

From each literal the window is taken whose grams are rarest in ordinary files: seven octets with four 4-grams, or in a
large set of code eleven octets with four 8-grams, because ordinary files are full of the 4-grams of such a set. What is
too short for that goes behind a tiny filter, one 4-gram each.
Anchors that are not rare cost more than any inner loop, so choosing them is most of the speed.
"""

import struct
from array import array
from collections.abc import Mapping
from dataclasses import dataclass

from cext import prefilter
from signatures.statistics import Statistics

SHORT, LONG, TINY = range(3)
LONGEST = 512  # MW_FILTER_LITERAL
STRIDE = 4
BUCKET = prefilter.BUCKET
CROWDED_TEXT = 1 / 256  # share of ordinary text that passes a short filter, from which a long one is faster

_GRAM = {SHORT: (4, STRIDE), LONG: (8, STRIDE), TINY: (4, 1)}  # octets of a gram, positions between two look-ups
_FOLD = bytes(octet | 0x20 for octet in range(256))
# Most literals for a filter of 2**n words. Small enough for its cache level beats sparse: 4 KB, 16 KB, ... 1 MB.
_SIZES = ((32, 10), (250, 12), (2_000, 13), (5_000, 14), (20_000, 15), (50_000, 16), (150_000, 17))
_LARGEST = 18


@dataclass(frozen=True, slots=True)
class Filter:
    """section: its octets; windows: where in each accepted literal its window begins.

    share: of the positions in ordinary text that hold one of its grams, as the statistics have it.
    """

    section: bytes
    windows: dict[int, int]
    share: float


def window_len(tier: int) -> int:
    """Octets that a literal needs to have for a filter of this tier."""
    gram, stride = _GRAM[tier]
    return gram + stride - 1


def _build(literals: Mapping[int, bytes], tier: int, statistics: Statistics) -> Filter:
    gram, stride = _GRAM[tier]
    slot_log2 = max(4, len(literals).bit_length() + 1)
    bitmap_log2 = slot_log2 + 3
    filter_log2 = next((log2 for most, log2 in _SIZES if len(literals) <= most), _LARGEST)
    order = sorted(literals.items(), key=lambda item: (item[1], item[0]))
    starts, numbers = array("I", [0]), array("I", [number for number, _ in order])
    at = 0
    for _, octets in order:
        at += len(octets)
        starts.append(at)
    words, bitmap, slots, windows, share = prefilter.build(
        statistics.costs,
        b"".join(octets for _, octets in order),
        starts,
        numbers,
        gram,
        stride,
        filter_log2,
        bitmap_log2,
        slot_log2,
    )
    found = {number: at for number, at in zip(numbers, array("i", bytes(windows)), strict=True) if at >= 0}
    header = struct.pack("<6I8x", gram, gram + stride - 1, filter_log2, bitmap_log2, slot_log2, len(found))
    return Filter(header + words + bitmap + slots, found, share)


def build(
    literals: Mapping[int, bytes], folded: bool, statistics: Statistics, *, long: bool | None = None
) -> dict[int, Filter]:
    """Lay out the filters, by tier, of the literals that fit behind one.

    Folded literals are given in lower case. Those that are shorter than a gram, longer than LONGEST, long but all of
    one short period, or whose every slot is full are left to the automaton. long: whether literals go behind a long
    filter if they can; None: if a short one would let too much ordinary text pass.
    """
    fitting = {k: v.translate(_FOLD) if folded else v for k, v in literals.items() if len(v) <= LONGEST}
    shorts = {k: v for k, v in fitting.items() if len(v) >= window_len(SHORT)}
    tinies = {k: v for k, v in fitting.items() if window_len(TINY) <= len(v) < window_len(SHORT)}
    built = {}
    if shorts:
        built[SHORT] = _build(shorts, SHORT, statistics)
        if long or (long is None and built[SHORT].share > CROWDED_TEXT):
            longs = {k: v for k, v in fitting.items() if len(v) >= window_len(LONG)}
            rest = {k: v for k, v in shorts.items() if k not in longs}
            built = {tier: _build(some, tier, statistics) for tier, some in ((SHORT, rest), (LONG, longs)) if some}
    if tinies:
        built[TINY] = _build(tinies, TINY, statistics)
    return {tier: one for tier, one in built.items() if one.windows}
