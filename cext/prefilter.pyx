# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True, language_level=3
# distutils: extra_compile_args=-O3
"""Laying out a filter in front of the automaton; include/match_filter.h runs it. The compiler's hot loop.

From each literal the window is taken whose grams are rarest in ordinary files and whose slot has room.
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort
from libc.math cimport exp2
from libc.string cimport memcmp, memcpy, memset

BUCKET = 8  # MW_FILTER_BUCKET
MOST = (1 << 24) - 1  # literals of one filter: MW_SLOT_START
REPEATING = 64  # longest literal whose window may repeat itself: a run of it survives everywhere, and each is compared
NEAR = 128  # a window that comes again within so many octets is taken only if the literal has no other

cdef enum:
    _BUCKET = 8
    _REPEATING = 64
    _NEAR = 128
    _LAST_CHOICE = 1 << 20
    _COMMON_LOG2 = 16
    _LONGEST = 512
    _SLOT_TAG = 24
    _MOST = (1 << 24) - 1

cdef double _COMMON = 1e-7  # of a gram that is rarer it does not matter whether the filter has it already

cdef uint64_t _WINDOW_HASH = 0x9E3779B97F4A7C15ULL
cdef uint64_t _WINDOW_TAIL = 0xD6E8FEB86659FD93ULL


cdef struct Entry:
    uint32_t slot
    uint32_t tag
    uint32_t check
    uint32_t number


cdef struct Gram:
    uint64_t octets
    uint32_t cost


cdef int _entry_order(const void *a, const void *b) noexcept nogil:
    cdef const Entry *x = <const Entry *>a
    cdef const Entry *y = <const Entry *>b
    if x.slot != y.slot:
        return 1 if x.slot > y.slot else -1
    if x.check != y.check:
        return 1 if x.check > y.check else -1
    return 1 if x.number > y.number else -1 if x.number < y.number else 0


cdef int _gram_order(const void *a, const void *b) noexcept nogil:
    cdef uint64_t x = (<const Gram *>a).octets
    cdef uint64_t y = (<const Gram *>b).octets
    return 1 if x > y else -1 if x < y else 0


cdef uint64_t _load(const uint8_t *p, size_t n) noexcept nogil:
    cdef uint64_t v = 0
    memcpy(&v, p, n)
    return v


cdef uint64_t _hash(const uint8_t *p, size_t window) noexcept nogil:
    cdef uint64_t v = _load(p, 7 if window > 7 else window)
    if window > 7:
        v ^= _load(p + 7, window - 7) * _WINDOW_TAIL
    return v * _WINDOW_HASH


cdef bint _repeats(const uint8_t *p, size_t window, size_t stride) noexcept nogil:
    """Whether the window lies in a run of itself more often than the stride."""
    cdef size_t period, i
    for period in range(1, stride):
        for i in range(window - period):
            if p[i + period] != p[i]:
                break
        else:
            return True
    return False


cdef bint _comes_again(const uint8_t *p, size_t length, size_t at, size_t window) noexcept nogil:
    """Whether p[at:at+window] is near to itself in p[0:length]: text that goes on like that has a survivor in each
    period, and all that follows is compared every time.
    """
    cdef size_t d
    for d in range(1, <size_t>_NEAR):
        if at >= d and not memcmp(p + at, p + at - d, window):
            return True
        if length - at >= window + d and not memcmp(p + at, p + at + d, window):
            return True
    return False


cdef bint _holds(const uint32_t *words, const uint8_t *p, int gram, int filter_log2) noexcept nogil:
    """Whether the filter lets this gram pass."""
    cdef uint32_t low = <uint32_t>_load(p, 4)
    cdef uint32_t high = <uint32_t>_load(p + 4, 4) if gram == 8 else 0
    cdef uint32_t at = low * <uint32_t>0x9E3779B1 + high * <uint32_t>0xC2B2AE3D
    cdef uint32_t bits = low * <uint32_t>0x85EBCA77 + high * <uint32_t>0x27D4EB2F
    cdef uint32_t word = words[at >> (32 - filter_log2)]
    return word >> (bits >> 27) & word >> (bits >> 22 & 31) & word >> (bits >> 17 & 31) & 1


cdef class Costs:
    """How rare sequences of four octets are, in eighths of a bit: by octet, by pair, and the commonest by themselves.

    octet: 256 costs, pair: 65536, common: records of a sequence of four and its cost, 5 octets each.
    """

    cdef bytes _octet_kept, _pair_kept
    cdef const uint8_t *_octet
    cdef const uint8_t *_pair
    cdef uint32_t *_keys
    cdef int32_t *_values  # -1: free

    def __cinit__(self, bytes octet, bytes pair, bytes common):
        cdef const uint8_t *p = common
        cdef uint32_t key, at
        cdef Py_ssize_t i
        if len(octet) != 256 or len(pair) != 65536 or len(common) % 5 or len(common) // 5 > 1 << _COMMON_LOG2 - 1:
            raise ValueError("not the costs of octets, pairs and sequences")
        self._octet_kept, self._pair_kept = octet, pair
        self._octet, self._pair = octet, pair
        self._keys = <uint32_t *>malloc(4 << _COMMON_LOG2)
        self._values = <int32_t *>malloc(4 << _COMMON_LOG2)
        if not self._keys or not self._values:
            raise MemoryError
        memset(self._values, 0xFF, 4 << _COMMON_LOG2)
        for i in range(len(common) // 5):
            memcpy(&key, p + 5 * i, 4)
            at = key * <uint32_t>0x9E3779B1 >> (32 - _COMMON_LOG2)
            while self._values[at] >= 0:
                at = at + 1 & ((1 << _COMMON_LOG2) - 1)
            self._keys[at] = key
            self._values[at] = p[5 * i + 4]

    def __dealloc__(self):
        free(self._keys)
        free(self._values)

    cdef void of(self, const uint8_t *p, size_t n, uint32_t *costs) noexcept nogil:
        """costs[0:n - 3] of the sequences that begin at each octet."""
        cdef const uint8_t *octet = self._octet
        cdef const uint8_t *pair = self._pair
        cdef uint32_t key, at, cost
        cdef size_t i
        for i in range(n - 3):
            cost = octet[p[i]] + pair[p[i] << 8 | p[i + 1]] + pair[p[i + 1] << 8 | p[i + 2]]
            cost += pair[p[i + 2] << 8 | p[i + 3]]
            memcpy(&key, p + i, 4)
            at = key * <uint32_t>0x9E3779B1 >> (32 - _COMMON_LOG2)
            while self._values[at] >= 0:
                if self._keys[at] == key:
                    if <uint32_t>self._values[at] < cost:
                        cost = self._values[at]
                    break
                at = at + 1 & ((1 << _COMMON_LOG2) - 1)
            costs[i] = cost

    def grams(self, const uint8_t[::1] literal not None) -> list:
        """Rarity of the sequence of four at each offset; literal of at least 4 octets, at most 4096."""
        cdef uint32_t costs[4096]
        cdef Py_ssize_t n = literal.shape[0]
        if not 4 <= n <= 4096:
            raise ValueError("literal of {} octets".format(n))
        self.of(&literal[0], n, costs)
        return [costs[i] for i in range(n - 3)]


def build(
    Costs costs not None,
    bytes blob not None,
    const uint32_t[::1] starts not None,
    const uint32_t[::1] numbers not None,
    int gram,
    int stride,
    int filter_log2,
    int phases_log2,
    int slot_log2,
):
    """Lay out a filter of literals: number numbers[i] is blob[starts[i]:starts[i + 1]], of gram + stride - 1 to 512
    octets; folded ones have bit 5 set in every octet.

    Returns (filter words, table of phases, starts and entries of the slots, offset of each literal's window or -1, share
    of positions in ordinary text that hold one of the grams).
    """
    cdef Py_ssize_t n = numbers.shape[0], i
    cdef size_t window = gram + stride - 1, at, phase, length
    cdef const uint8_t *octets = blob
    cdef const uint8_t *p
    cdef uint32_t cost[_LONGEST]
    cdef double share_of[_LONGEST]
    cdef double weight, lightest, rarest, here_share
    cdef uint32_t word, bits, low, high, here
    cdef uint64_t hashed, slot
    cdef int32_t best
    cdef Py_ssize_t entries = 0, grams = 0
    cdef double share = 0
    filter_words = bytearray(4 << filter_log2)
    phases = bytearray(1 << phases_log2)
    window_at = bytearray(4 * n)
    cdef uint32_t *words = <uint32_t *><uint8_t *>filter_words
    cdef uint8_t *phase_bits = phases
    cdef int32_t *windows = <int32_t *><uint8_t *>window_at
    cdef uint8_t *crowd = <uint8_t *>calloc(<size_t>1 << slot_log2, 1)
    cdef Entry *entry = <Entry *>malloc((n + 1) * sizeof(Entry))
    cdef Gram *seen = <Gram *>malloc((n * stride + 1) * sizeof(Gram))
    if not crowd or not entry or not seen or starts.shape[0] != n + 1 or starts[n] > len(blob):
        free(crowd)
        free(entry)
        free(seen)
        raise MemoryError if starts.shape[0] == n + 1 else ValueError("starts and numbers differ")
    with nogil:
        for i in range(n):
            p = octets + starts[i]
            length = starts[i + 1] - starts[i]
            best, lightest = -1, 1e12
            if window <= length <= _LONGEST and entries < _MOST:
                costs.of(p, length, cost)
                if gram == 8:
                    for at in range(length - 7):
                        # the halves of a gram are not independent of each other
                        cost[at] = max(cost[at], cost[at + 4]) + min(cost[at], cost[at + 4]) // 2
                for at in range(length - gram + 1):
                    share_of[at] = exp2(-<double>cost[at] / 8)
                for at in range(length - window + 1):
                    weight = 0
                    rarest = 1
                    for phase in range(<size_t>stride):
                        here_share = share_of[at + phase]
                        rarest = min(rarest, here_share)
                        if here_share > _COMMON:
                            # what other literals brought in costs nothing more: common grams are shared
                            if not _holds(words, p + at + phase, gram, filter_log2):
                                weight += here_share
                            hashed = _load(p + at + phase, gram) * _WINDOW_HASH
                            if not phase_bits[hashed >> (64 - phases_log2)] >> phase & 1:
                                weight += here_share / 2
                    here = crowd[_hash(p + at, window) >> (64 - slot_log2)]
                    weight = (weight + rarest) * (1 << here)
                    if here >= _BUCKET or weight >= lightest:
                        continue
                    if gram == 8 and _repeats(p + at, window, 2):
                        continue
                    if length > _REPEATING and _repeats(p + at, window, stride):
                        continue
                    if length > _REPEATING and _comes_again(p, length, at, window):
                        weight += _LAST_CHOICE
                        if weight >= lightest:
                            continue
                    best, lightest = <int32_t>at, weight
            windows[i] = best
            if best < 0:
                continue
            p += best
            for phase in range(<size_t>stride):
                low = <uint32_t>_load(p + phase, 4)
                high = <uint32_t>_load(p + phase + 4, 4) if gram == 8 else 0
                word = low * <uint32_t>0x9E3779B1 + high * <uint32_t>0xC2B2AE3D
                bits = low * <uint32_t>0x85EBCA77 + high * <uint32_t>0x27D4EB2F
                words[word >> (32 - filter_log2)] |= (
                    <uint32_t>1 << (bits >> 27) | <uint32_t>1 << (bits >> 22 & 31) | <uint32_t>1 << (bits >> 17 & 31)
                )
                hashed = (<uint64_t>high << 32 | low) * _WINDOW_HASH
                phase_bits[hashed >> (64 - phases_log2)] |= <uint8_t>(1 << phase)
                seen[grams].octets = <uint64_t>high << 32 | low
                seen[grams].cost = cost[<size_t>best + phase]
                grams += 1
            hashed = _hash(p, window)
            slot = hashed >> (64 - slot_log2)
            crowd[slot] += 1
            entry[entries].slot = <uint32_t>slot
            entry[entries].tag = <uint32_t>1 << (_SLOT_TAG + (hashed >> 13 & 7))
            entry[entries].check = <uint32_t>(hashed >> 16)
            entry[entries].number = numbers[i]
            entries += 1
        qsort(entry, entries, sizeof(Entry), _entry_order)
        qsort(seen, grams, sizeof(Gram), _gram_order)
    for i in range(grams):
        if i == 0 or seen[i].octets != seen[i - 1].octets:
            share += 2.0 ** (-(<double>seen[i].cost) / 8)
    slots = bytearray(4 * ((1 << slot_log2) + 1) + 8 * entries)
    cdef uint32_t *out = <uint32_t *><uint8_t *>slots
    cdef Py_ssize_t slot_count = <Py_ssize_t>1 << slot_log2
    with nogil:
        for i in range(entries):
            out[entry[i].slot + 1] += 1
        for i in range(slot_count):
            out[i + 1] += out[i]
        for i in range(entries):
            out[entry[i].slot] |= entry[i].tag
            out[slot_count + 1 + 2 * i] = entry[i].check
            out[slot_count + 2 + 2 * i] = entry[i].number
    free(crowd)
    free(entry)
    free(seen)
    return filter_words, phases, slots, window_at, share
