"""Building the filter in front of the automaton; cext/include/match_filter.h runs it.

From each literal the window of seven octets is taken whose four 4-grams are rarest in ordinary files. Anchors that are
not rare cost more than any inner loop, so choosing them is most of the speed.
"""

import struct
from array import array
from collections.abc import Mapping
from dataclasses import dataclass

from signatures.statistics import Statistics

GRAM = 4
STRIDE = 4
WINDOW = GRAM + STRIDE - 1
LONGEST = 512  # MW_FILTER_LITERAL
BUCKET = 8  # MW_FILTER_BUCKET
CROWDED = 8  # eighths of a bit that a window loses for each literal already in its slot

_MASK32 = (1 << 32) - 1
_MASK64 = (1 << 64) - 1
_GRAM_WORD = 0x9E3779B1
_GRAM_BITS = 0x85EBCA77
_WINDOW_HASH = 0x9E3779B97F4A7C15
_FOLD = bytes(octet | 0x20 for octet in range(256))
# Most literals for a filter of 2**n words. Small enough for its cache level beats sparse: 4 KB, 16 KB, ... 512 KB.
_SIZES = ((32, 10), (250, 12), (2_000, 13), (5_000, 14), (20_000, 15), (50_000, 16))


@dataclass(frozen=True, slots=True)
class Filter:
    """section: its octets; windows: where in each accepted literal its window begins."""

    section: bytes
    windows: dict[int, int]


def _hash(window: bytes) -> int:
    return int.from_bytes(window, "little") * _WINDOW_HASH & _MASK64


def _gram_bits(gram: bytes, log2: int) -> tuple[int, int]:
    """(word, mask) of a gram in a filter of 2**log2 words."""
    value = int.from_bytes(gram, "little")
    bits = value * _GRAM_BITS & _MASK32
    return (value * _GRAM_WORD & _MASK32) >> 32 - log2, 1 << (bits >> 27) | 1 << (bits >> 22 & 31) | 1 << (
        bits >> 17 & 31
    )


def _choose(literal: bytes, rarity: list[int], crowd: Mapping[int, int], slot_log2: int) -> int:
    """Offset of the best window whose slot has room, or -1. rarity: by offset of a gram, in eighths of a bit."""
    best, best_value = -1, -1 << 30
    for at in range(len(literal) - WINDOW + 1):
        value = min(rarity[at : at + STRIDE])
        if value <= best_value:
            continue
        there = crowd.get(_hash(literal[at : at + WINDOW]) >> 64 - slot_log2, 0)
        if there < BUCKET and value - CROWDED * there > best_value:
            best, best_value = at, value - CROWDED * there
    return best


def build(literals: Mapping[int, bytes], folded: bool, statistics: Statistics) -> Filter:
    """Lay out the filter of the literals that fit behind one; folded ones are given in lower case.

    Those shorter than WINDOW, longer than LONGEST, or whose every slot is full are left to the automaton.
    """
    fitting = {k: v.translate(_FOLD) if folded else v for k, v in literals.items() if WINDOW <= len(v) <= LONGEST}
    slot_log2 = max(4, len(fitting).bit_length() + 1)
    bitmap_log2 = slot_log2 + 3
    filter_log2 = next((log2 for most, log2 in _SIZES if len(fitting) <= most), 17)
    words = array("I", bytes(4 << filter_log2))
    bitmap = array("I", bytes(1 << bitmap_log2 - 3))
    slots: dict[int, list[tuple[int, int]]] = {}
    crowd: dict[int, int] = {}
    windows: dict[int, int] = {}
    for number, literal in sorted(fitting.items(), key=lambda item: (item[1], item[0])):
        at = _choose(literal, statistics.grams(literal), crowd, slot_log2)
        if at < 0:
            continue
        windows[number] = at
        window = literal[at : at + WINDOW]
        for phase in range(STRIDE):
            word, mask = _gram_bits(window[phase : phase + GRAM], filter_log2)
            words[word] |= mask
        value = _hash(window)
        bit, slot = value >> 64 - bitmap_log2, value >> 64 - slot_log2
        bitmap[bit // 32] |= 1 << bit % 32
        crowd[slot] = crowd.get(slot, 0) + 1
        slots.setdefault(slot, []).append((value >> 16 & _MASK32, number))
    starts, entries = array("I", [0]), array("I")
    for slot in range(1 << slot_log2):
        for entry in sorted(slots.get(slot, ())):
            entries.extend(entry)
        starts.append(len(entries) // 2)
    header = struct.pack("<6I8x", GRAM, WINDOW, filter_log2, bitmap_log2, slot_log2, len(windows))
    return Filter(header + b"".join(part.tobytes() for part in (words, bitmap, starts, entries)), windows)
