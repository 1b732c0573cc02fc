"""Building the filters in front of the automaton: cext/prefilter.pyx lays out, cext/include/match_filter.h runs.

From each literal the window is taken whose grams are rarest in ordinary files: seven octets with four 4-grams, or
fifteen octets with eight 8-grams, which halves the look-ups and keeps out ordinary files, which are full of the 4-grams
of a large set. What is too short for that goes behind a tiny filter, one 4-gram each.
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
LONG_STRIDE = 8
BUCKET = prefilter.BUCKET
MOST = prefilter.MOST
MANY = 50_000  # literals from which a long filter is faster even if others need a short one beside it
CROWDED_TEXT = 1 / 256  # share of ordinary text that passes a short filter, from which a long one is faster

_GRAM = {SHORT: (4, STRIDE), LONG: (8, LONG_STRIDE), TINY: (4, 1)}  # octets of a gram, positions between two look-ups
_FOLD = bytes(octet | 0x20 for octet in range(256))
# Most literals for a filter of 2**n words. Small enough for its cache level beats sparse: 4 KB, 16 KB, ... 1 MB;
# 32 words fit into registers.
_SIZES = ((10, 5), (32, 10), (250, 12), (2_000, 13), (5_000, 14), (20_000, 15), (50_000, 16), (150_000, 17))
_LARGEST = 18
_CACHED = 5_000  # literals up to which a small filter is worth more than a sparse one


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
    phases_log2 = slot_log2 + (2 if tier == LONG else 1 if tier == SHORT else 0)
    filter_log2 = next((log2 for most, log2 in _SIZES if len(literals) <= most), _LARGEST)
    if tier == LONG and len(literals) > _CACHED:  # twice the grams
        filter_log2 += 1
    order = sorted(literals.items(), key=lambda item: (item[1], item[0]))
    starts, numbers = array("I", [0]), array("I", [number for number, _ in order])
    at = 0
    for _, octets in order:
        at += len(octets)
        starts.append(at)
    words, phases, slots, windows, share = prefilter.build(
        statistics.costs,
        b"".join(octets for _, octets in order),
        starts,
        numbers,
        gram,
        stride,
        filter_log2,
        phases_log2,
        slot_log2,
    )
    found = {number: at for number, at in zip(numbers, array("i", bytes(windows)), strict=True) if at >= 0}
    header = struct.pack("<6I8x", gram, gram + stride - 1, filter_log2, phases_log2, slot_log2, len(found))
    return Filter(header + words + phases + slots, found, share)


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
        longs = {k: v for k, v in shorts.items() if len(v) >= window_len(LONG)}
        pays = len(longs) == len(shorts) or len(longs) > MANY or built[SHORT].share > CROWDED_TEXT
        if longs and (long or (long is None and pays)):
            built = {LONG: _build(longs, LONG, statistics)}
            if rest := {k: v for k, v in shorts.items() if k not in built[LONG].windows}:
                built[SHORT] = _build(rest, SHORT, statistics)
    if tinies:
        built[TINY] = _build(tinies, TINY, statistics)
    return {tier: one for tier, one in built.items() if one.windows}
