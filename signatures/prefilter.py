"""Building the filters in front of the automaton; cext/include/match_filter.h runs them.

From each literal the window is taken whose grams are rarest in ordinary files: seven octets with four 4-grams, or in a
large set of code eleven octets with four 8-grams, because ordinary files are full of the 4-grams of such a set.
Anchors that are not rare cost more than any inner loop, so choosing them is most of the speed.
"""

import struct
from array import array
from collections.abc import Mapping
from dataclasses import dataclass

from signatures.statistics import UNIT, Statistics

SHORT = 4  # octets of a gram
LONG = 8
STRIDE = 4
CROWDED_TEXT = 1 / 256  # share of ordinary text that passes a short filter, from which a long one is faster
LONGEST = 512  # MW_FILTER_LITERAL
BUCKET = 8  # MW_FILTER_BUCKET
REPEATING = 64  # longest literal whose window may repeat itself: a run of it survives everywhere, and each is compared
CROWDED = 8  # eighths of a bit that a window loses for each literal already in its slot

_MASK32 = (1 << 32) - 1
_MASK64 = (1 << 64) - 1
_GRAM_WORD, _GRAM_WORD_HIGH = 0x9E3779B1, 0xC2B2AE3D
_GRAM_BITS, _GRAM_BITS_HIGH = 0x85EBCA77, 0x27D4EB2F
_WINDOW_HASH, _WINDOW_TAIL = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
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


def _hash(window: bytes) -> int:
    """Of seven octets, and of four more in a long window."""
    value = int.from_bytes(window[:7], "little")
    if len(window) > 7:
        value ^= int.from_bytes(window[7:], "little") * _WINDOW_TAIL & _MASK64
    return value * _WINDOW_HASH & _MASK64


def _gram_bits(gram: bytes, log2: int) -> tuple[int, int]:
    """(word, mask) of a gram in a filter of 2**log2 words."""
    low, high = int.from_bytes(gram[:4], "little"), int.from_bytes(gram[4:], "little")
    word = low * _GRAM_WORD + high * _GRAM_WORD_HIGH & _MASK32
    bits = low * _GRAM_BITS + high * _GRAM_BITS_HIGH & _MASK32
    return word >> 32 - log2, 1 << (bits >> 27) | 1 << (bits >> 22 & 31) | 1 << (bits >> 17 & 31)


def _rarity(literal: bytes, gram: int, statistics: Statistics) -> list[int]:
    """By offset of a gram, in eighths of a bit."""
    fours = statistics.grams(literal)
    return fours if gram == SHORT else [a + b for a, b in zip(fours, fours[4:], strict=False)]


def _repeats(window: bytes) -> bool:
    """Whether the window lies in a run of itself more often than the stride."""
    return any(window[period:] == window[:-period] for period in range(1, STRIDE))


def _choose(literal: bytes, rarity: list[int], window: int, crowd: Mapping[int, int], slot_log2: int) -> int:
    """Offset of the best window whose slot has room, or -1."""
    best, best_value = -1, -1 << 30
    for at in range(len(literal) - window + 1):
        value = min(rarity[at : at + STRIDE])
        if value <= best_value or (len(literal) > REPEATING and _repeats(literal[at : at + window])):
            continue
        there = crowd.get(_hash(literal[at : at + window]) >> 64 - slot_log2, 0)
        if there < BUCKET and value - CROWDED * there > best_value:
            best, best_value = at, value - CROWDED * there
    return best


def _build(literals: Mapping[int, bytes], gram: int, statistics: Statistics) -> Filter:
    window_len = gram + STRIDE - 1
    slot_log2 = max(4, len(literals).bit_length() + 1)
    bitmap_log2 = slot_log2 + 3
    filter_log2 = next((log2 for most, log2 in _SIZES if len(literals) <= most), _LARGEST)
    words = array("I", bytes(4 << filter_log2))
    bitmap = array("I", bytes(1 << bitmap_log2 - 3))
    slots: dict[int, list[tuple[int, int]]] = {}
    crowd: dict[int, int] = {}
    windows: dict[int, int] = {}
    grams: dict[bytes, int] = {}
    for number, literal in sorted(literals.items(), key=lambda item: (item[1], item[0])):
        rarity = _rarity(literal, gram, statistics)
        at = _choose(literal, rarity, window_len, crowd, slot_log2)
        if at < 0:
            continue
        windows[number] = at
        window = literal[at : at + window_len]
        for phase in range(STRIDE):
            word, mask = _gram_bits(window[phase : phase + gram], filter_log2)
            words[word] |= mask
            grams[window[phase : phase + gram]] = rarity[at + phase]
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
    header = struct.pack("<6I8x", gram, window_len, filter_log2, bitmap_log2, slot_log2, len(windows))
    section = header + b"".join(part.tobytes() for part in (words, bitmap, starts, entries))
    return Filter(section, windows, sum(2 ** (-cost / UNIT) for cost in grams.values()))


def build(
    literals: Mapping[int, bytes], folded: bool, statistics: Statistics, *, long: bool | None = None
) -> dict[int, Filter]:
    """Lay out the filters, by length of their grams, of the literals that fit behind one.

    Folded literals are given in lower case. Those that are shorter than a window, longer than LONGEST, long but all of
    one short period, or whose every slot is full are left to the automaton. long: whether literals go behind a long
    filter if they can; None: if a short one would let too much ordinary text pass.
    """
    fitting = {k: v.translate(_FOLD) if folded else v for k, v in literals.items() if len(v) <= LONGEST}
    shorts = {k: v for k, v in fitting.items() if len(v) >= SHORT + STRIDE - 1}
    if not shorts:
        return {}
    built = {SHORT: _build(shorts, SHORT, statistics)}
    if long or (long is None and built[SHORT].share > CROWDED_TEXT):
        longs = {k: v for k, v in fitting.items() if len(v) >= LONG + STRIDE - 1}
        rest = {k: v for k, v in shorts.items() if k not in longs}
        built = {gram: _build(some, gram, statistics) for gram, some in ((SHORT, rest), (LONG, longs)) if some}
    return {gram: one for gram, one in built.items() if one.windows}
