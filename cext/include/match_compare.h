/* Numbers in content, compared with those of a signature: binary ones, or digits as text.
 *
 * Digits are read as ClamAV reads them, so that its signatures mean the same here: white space in front is passed over
 * and makes what is read shorter, digits end at the first octet that is none, and no digit at all is the number 0,
 * unless the number has to be exact. A little-endian hexadecimal text has its pairs of digits turned around.
 */
#ifndef MW_MATCH_COMPARE_H
#define MW_MATCH_COMPARE_H

#include "image.h"

static inline int mw_digit(uint8_t c) {
    if ((uint8_t)(c - '0') < 10) return c - '0';
    c |= 0x20;
    return (uint8_t)(c - 'a') < 6 ? c - 'a' + 10 : 99;
}

static inline int mw_is_blank_octet(uint8_t c) { return c == ' ' || (c >= 9 && c <= 13); }

/* The number in p[0:len], with a sign and, if hexadecimal, 0x in front. Returns octets that belong to it, -1 if it is too
 * large. */
static int mw_number_read(const uint8_t *p, unsigned len, int base, int64_t *value) {
    unsigned at = 0, first;
    int negative = 0;
    uint64_t total = 0;
    if (at < len && (p[at] == '-' || p[at] == '+')) negative = p[at++] == '-';
    if (base == 16 && len - at > 2 && p[at] == '0' && (p[at + 1] | 0x20) == 'x' && mw_digit(p[at + 2]) < 16) at += 2;
    for (first = at; at < len && mw_digit(p[at]) < base; at++) {
        if (total > (uint64_t)INT64_MAX / (unsigned)base) return -1;
        total = total * (unsigned)base + (unsigned)mw_digit(p[at]);
        if (total > INT64_MAX) return -1;
    }
    *value = negative ? -(int64_t)total : (int64_t)total;
    return at == first ? 0 : (int)at;
}

static inline int mw_has_0x(const uint8_t *p, unsigned len) { return len >= 3 && p[0] == '0' && (p[1] | 0x20) == 'x'; }

static inline int mw_turnable(uint8_t c) { return mw_digit(c) < 16 || (c | 0x20) == 'x'; }

/* Turn pairs of digits around: "0x1234" and "1234" become "3412", of an odd number the first digit stands alone. What is
 * no digit makes all of it zeros from there on. Returns the new length, at most MW_COMPARE_LEN + 1. */
static unsigned mw_digits_turned(const uint8_t *p, unsigned len, uint8_t *out) {
    uint8_t digits[MW_COMPARE_LEN + 1];
    unsigned skip = mw_has_0x(p, len) ? 2 : 0, odd = len & 1;
    if (len == 1) {
        out[0] = p[0];
        return 1;
    }
    memset(digits, '0', sizeof digits);
    memcpy(digits + skip + odd, p + skip, len - skip);
    if (skip) {
        digits[0] = 'x'; /* ends the number, once it is turned around */
        if (!odd) digits[1] = 'x';
    }
    len += odd;
    memset(out, '0', len);
    for (unsigned i = 0; i < len; i += 2) {
        const uint8_t *pair = digits + len - i - 2;
        if (!mw_turnable(pair[0])) {
            memset(out, '0', len);
            continue;
        }
        out[i] = pair[0];
        if (!mw_turnable(pair[1]))
            memset(out, '0', len);
        else
            out[i + 1] = pair[1];
    }
    return len;
}

static int mw_text_number(const mw_compare *c, const uint8_t *p, int64_t *value) {
    uint8_t turned[MW_COMPARE_LEN + 1];
    unsigned len = c->length, pad = 0;
    int little = c->flags & MW_COMPARE_LITTLE, base = c->form == MW_COMPARE_DECIMAL ? 10 : 16, used;
    while (pad < len && mw_is_blank_octet(p[pad])) pad++;
    p += pad;
    len -= pad;
    if (c->form == MW_COMPARE_AUTO && !mw_has_0x(p, len)) {
        if (little) return 0;
        base = 10;
    }
    unsigned asked = len;
    if (base == 16 && little) {
        len = mw_digits_turned(p, len, turned);
        p = turned;
    }
    used = mw_number_read(p, len, base, value);
    if (used < 0) return 0;
    if (!used) *value = 0;
    return !(c->flags & MW_COMPARE_EXACT) || (!pad && (unsigned)used == asked);
}

/* Whether the comparison holds at position at <= n of p[0:n]. */
static int mw_compare_here(const mw_compare *c, const uint8_t *p, size_t n, size_t at) {
    int64_t from = (int64_t)at + c->offset, value = 0;
    if (from < 0 || (uint64_t)from > n || n - (uint64_t)from < c->length) return 0;
    p += from;
    if (c->form == MW_COMPARE_BINARY) {
        uint64_t bits = 0;
        for (unsigned i = 0; i < c->length; i++)
            bits |= (uint64_t)p[c->flags & MW_COMPARE_LITTLE ? i : c->length - 1u - i] << 8 * i;
        value = (int64_t)bits;
    } else if (!mw_text_number(c, p, &value)) {
        return 0;
    }
    for (int i = 0; i < c->count; i++)
        if (c->op[i] == '=' ? value != c->value[i] : c->op[i] == '<' ? value >= c->value[i] : value <= c->value[i]) return 0;
    return 1;
}

#endif
