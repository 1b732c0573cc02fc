/* Inflate of Deflate64 (method 9 of zip): deflate with a window of 64 KiB, lengths up to 65538 and two more distances.

   Codes are read bit by bit by the counts of their lengths: no table is built, so that a stream of many small blocks
   costs no more for its octets than one of few. Never reads outside of in, never writes outside of what it allocated. */
#ifndef MW_DEFLATE64_H
#define MW_DEFLATE64_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MW_D64_OK, MW_D64_DAMAGED, MW_D64_CUT, MW_D64_OVER, MW_D64_MEMORY };
enum { MW_D64_BITS = 15, MW_D64_LITERALS = 286, MW_D64_DISTANCES = 32 };

typedef struct {
    uint16_t count[MW_D64_BITS + 1];
    uint16_t symbol[MW_D64_LITERALS + 2];
} mw_d64_code;

typedef struct {
    const uint8_t *in;
    size_t n, at;
    uint64_t bits;
    unsigned have; /* valid bits; octets behind the end of input count as zeros, told by `cut` */
    int cut;
    uint8_t *out;
    size_t len, cap, room;
} mw_d64;

static inline uint32_t mw_d64_take(mw_d64 *s, unsigned count)
{
    uint32_t value;
    while (s->have < count) {
        if (s->at == s->n)
            s->cut = 1;
        else
            s->bits |= (uint64_t)s->in[s->at++] << s->have;
        s->have += 8;
    }
    value = (uint32_t)(s->bits & (((uint64_t)1 << count) - 1));
    s->bits >>= count;
    s->have -= count;
    return value;
}

/* Returns how many codes are left over: 0 for a complete code, below 0 for too many. */
static int mw_d64_build(mw_d64_code *code, const uint8_t *lengths, unsigned n)
{
    uint16_t offs[MW_D64_BITS + 1];
    int left = 1;
    memset(code->count, 0, sizeof code->count);
    for (unsigned i = 0; i < n; i++)
        code->count[lengths[i]]++;
    for (unsigned len = 1; len <= MW_D64_BITS; len++) {
        left = 2 * left - code->count[len];
        if (left < 0)
            return left;
    }
    offs[1] = 0;
    for (unsigned len = 1; len < MW_D64_BITS; len++)
        offs[len + 1] = offs[len] + code->count[len];
    for (unsigned i = 0; i < n; i++)
        if (lengths[i])
            code->symbol[offs[lengths[i]]++] = (uint16_t)i;
    return code->count[0] == n ? 0 : left;
}

/* The next symbol, -1 for a code that is none. */
static inline int mw_d64_symbol(mw_d64 *s, const mw_d64_code *code)
{
    int value = 0, first = 0, index = 0;
    for (unsigned len = 1; len <= MW_D64_BITS; len++) {
        value |= (int)mw_d64_take(s, 1);
        int count = code->count[len];
        if (value - count < first)
            return code->symbol[index + (value - first)];
        index += count;
        first = (first + count) << 1;
        value <<= 1;
    }
    return -1;
}

/* Room for more octets of output. */
static inline int mw_d64_grow(mw_d64 *s, size_t more)
{
    size_t cap = s->cap;
    uint8_t *out;
    if (s->cap - s->len >= more)
        return MW_D64_OK;
    if (more > s->room - s->len)
        return MW_D64_OVER;
    while (cap - s->len < more)
        cap = cap ? 2 * cap : 4096;
    if (cap > s->room)
        cap = s->room;
    out = realloc(s->out, cap);
    if (!out)
        return MW_D64_MEMORY;
    s->out = out;
    s->cap = cap;
    return MW_D64_OK;
}

static int mw_d64_stored(mw_d64 *s)
{
    unsigned len, check;
    int grown;
    (void)mw_d64_take(s, s->have & 7);
    len = mw_d64_take(s, 16);
    check = mw_d64_take(s, 16);
    if (s->cut)
        return MW_D64_CUT;
    if (len != (~check & 0xFFFF))
        return MW_D64_DAMAGED;
    for (unsigned i = 0; i < len; i++) {
        uint8_t octet = (uint8_t)mw_d64_take(s, 8);
        if (s->cut)
            return MW_D64_CUT;
        grown = mw_d64_grow(s, 1);
        if (grown)
            return grown;
        s->out[s->len++] = octet;
    }
    return MW_D64_OK;
}

static int mw_d64_codes(mw_d64 *s, const mw_d64_code *literals, const mw_d64_code *distances)
{
    static const uint16_t length_base[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                             31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 3};
    static const uint8_t length_extra[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                             2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 16};
    for (;;) {
        int symbol = mw_d64_symbol(s, literals), grown;
        size_t len, distance;
        unsigned extra;
        if (s->cut)
            return MW_D64_CUT;
        if (symbol < 0 || symbol > 285)
            return MW_D64_DAMAGED;
        if (symbol == 256)
            return MW_D64_OK;
        if (symbol < 256) {
            grown = mw_d64_grow(s, 1);
            if (grown)
                return grown;
            s->out[s->len++] = (uint8_t)symbol;
            continue;
        }
        len = length_base[symbol - 257] + mw_d64_take(s, length_extra[symbol - 257]);
        symbol = mw_d64_symbol(s, distances);
        if (symbol < 0 || symbol > 31)
            return s->cut ? MW_D64_CUT : MW_D64_DAMAGED;
        extra = symbol < 2 ? 0 : (unsigned)symbol / 2 - 1;
        distance = symbol < 2 ? (size_t)symbol + 1 : ((size_t)(2 | (symbol & 1)) << extra) + 1;
        distance += mw_d64_take(s, extra);
        if (s->cut)
            return MW_D64_CUT;
        if (distance > s->len)
            return MW_D64_DAMAGED;
        grown = mw_d64_grow(s, len);
        if (grown == MW_D64_OVER) {
            len = s->room - s->len;
            if (mw_d64_grow(s, len))
                return MW_D64_MEMORY;
        } else if (grown)
            return grown;
        for (size_t i = 0; i < len; i++, s->len++)
            s->out[s->len] = s->out[s->len - distance];
        if (grown)
            return grown;
    }
}

static int mw_d64_dynamic(mw_d64 *s)
{
    static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    uint8_t lengths[MW_D64_LITERALS + MW_D64_DISTANCES + 138 + 2] = {0};
    mw_d64_code literals, distances;
    unsigned nlit = mw_d64_take(s, 5) + 257, ndist = mw_d64_take(s, 5) + 1, ncode = mw_d64_take(s, 4) + 4, i;
    if (nlit > MW_D64_LITERALS)
        return MW_D64_DAMAGED;
    for (i = 0; i < ncode; i++)
        lengths[order[i]] = (uint8_t)mw_d64_take(s, 3);
    if (mw_d64_build(&literals, lengths, 19) != 0)
        return s->cut ? MW_D64_CUT : MW_D64_DAMAGED;
    for (i = 0; i < nlit + ndist;) {
        int symbol = mw_d64_symbol(s, &literals);
        unsigned repeat = 1;
        uint8_t value;
        if (s->cut)
            return MW_D64_CUT;
        if (symbol < 0)
            return MW_D64_DAMAGED;
        value = symbol < 16 ? (uint8_t)symbol : 0;
        if (symbol == 16) {
            if (i == 0)
                return MW_D64_DAMAGED;
            value = lengths[i - 1];
            repeat = 3 + mw_d64_take(s, 2);
        } else if (symbol == 17)
            repeat = 3 + mw_d64_take(s, 3);
        else if (symbol == 18)
            repeat = 11 + mw_d64_take(s, 7);
        if (i + repeat > nlit + ndist)
            return MW_D64_DAMAGED;
        while (repeat--)
            lengths[i++] = value;
    }
    if (s->cut)
        return MW_D64_CUT;
    int left = mw_d64_build(&literals, lengths, nlit);
    if (lengths[256] == 0 || left < 0 || (left > 0 && nlit - literals.count[0] != 1))
        return MW_D64_DAMAGED;
    left = mw_d64_build(&distances, lengths + nlit, ndist);
    if (left < 0 || (left > 0 && ndist - distances.count[0] != 1))
        return MW_D64_DAMAGED;
    return mw_d64_codes(s, &literals, &distances);
}

static int mw_d64_fixed(mw_d64 *s)
{
    uint8_t lengths[288];
    mw_d64_code literals, distances;
    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    (void)mw_d64_build(&literals, lengths, 288);
    memset(lengths, 5, 32);
    (void)mw_d64_build(&distances, lengths, 32);
    return mw_d64_codes(s, &literals, &distances);
}

/* Inflate in[0:n] into s->out, which the caller frees, at most room octets. s->at is then what was used of it. */
static int mw_d64_inflate(mw_d64 *s, const uint8_t *in, size_t n, size_t room)
{
    int last, result = MW_D64_OK;
    memset(s, 0, sizeof *s);
    s->in = in;
    s->n = n;
    s->room = room;
    do {
        last = (int)mw_d64_take(s, 1);
        switch (mw_d64_take(s, 2)) {
        case 0:
            result = mw_d64_stored(s);
            break;
        case 1:
            result = mw_d64_fixed(s);
            break;
        case 2:
            result = mw_d64_dynamic(s);
            break;
        default:
            result = MW_D64_DAMAGED;
        }
        if (result == MW_D64_OK && s->cut)
            result = MW_D64_CUT;
    } while (!last && result == MW_D64_OK);
    return result;
}

#endif
