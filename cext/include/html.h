/* What may announce a file spelled out in HTML or script: "data:", "base64," and "atob(", and long runs of base64.
 * Nothing is read outside of p[0..n). */
#ifndef MW_HTML_H
#define MW_HTML_H

#include "cpu.h"

enum { MW_MARK_NONE = 0, MW_MARK_DATA = 1, MW_MARK_BASE64 = 2, MW_MARK_ATOB = 3 };

/* Which mark ends with the two octets at p[i], p[i + 1], case ignored; i + 1 < n. */
static inline int mw_mark_at(const uint8_t *p, size_t n, size_t i)
{
    uint8_t a = (uint8_t)(p[i] | 0x20), b = p[i + 1];
    if (a == 'a' && b == ':')
        return i >= 3 && (p[i - 1] | 0x20) == 't' && (p[i - 2] | 0x20) == 'a' && (p[i - 3] | 0x20) == 'd' ? MW_MARK_DATA
                                                                                                          : 0;
    if (p[i] == '6' && b == '4')
        return i >= 4 && (p[i - 1] | 0x20) == 'e' && (p[i - 2] | 0x20) == 's' && (p[i - 3] | 0x20) == 'a' &&
                       (p[i - 4] | 0x20) == 'b' && n - i > 2 && (p[i + 2] == ',' || p[i + 2] == ' ')
                   ? MW_MARK_BASE64
                   : 0;
    if (a == 'b' && b == '(')
        return i >= 3 && (p[i - 1] | 0x20) == 'o' && (p[i - 2] | 0x20) == 't' && (p[i - 3] | 0x20) == 'a' ? MW_MARK_ATOB
                                                                                                          : 0;
    return 0;
}

/* Offset behind the last octet of the next mark in p[at..n) (of "base64" without its comma), and which one it is; a
 * mark may begin before at. n and 0 if there is none. */
static inline size_t mw_next_mark_scalar(const uint8_t *p, size_t n, size_t at, int *kind)
{
    for (; at + 1 < n; at++) {
        *kind = mw_mark_at(p, n, at);
        if (*kind)
            return at + 2;
    }
    *kind = 0;
    return n;
}

#if MW_X86
MW_TARGET("avx2") static inline size_t mw_next_mark_avx2(const uint8_t *p, size_t n, size_t at, int *kind)
{
    const __m256i a = _mm256_set1_epi8('a'), b = _mm256_set1_epi8('b'), six = _mm256_set1_epi8('6');
    const __m256i colon = _mm256_set1_epi8(':'), paren = _mm256_set1_epi8('('), four = _mm256_set1_epi8('4');
    const __m256i lower = _mm256_set1_epi8(0x20);
    for (; at < n && n - at >= 33; at += 32) { /* the second load reaches p[at + 32] */
        __m256i first = _mm256_loadu_si256((const __m256i *)(p + at));
        __m256i second = _mm256_loadu_si256((const __m256i *)(p + at + 1));
        __m256i folded = _mm256_or_si256(first, lower);
        __m256i data = _mm256_and_si256(_mm256_cmpeq_epi8(folded, a), _mm256_cmpeq_epi8(second, colon));
        __m256i base = _mm256_and_si256(_mm256_cmpeq_epi8(first, six), _mm256_cmpeq_epi8(second, four));
        __m256i atob = _mm256_and_si256(_mm256_cmpeq_epi8(folded, b), _mm256_cmpeq_epi8(second, paren));
        unsigned bits = (unsigned)_mm256_movemask_epi8(_mm256_or_si256(_mm256_or_si256(data, base), atob));
        for (; bits; bits &= bits - 1) {
            size_t i = at + (size_t)__builtin_ctz(bits);
            *kind = mw_mark_at(p, n, i);
            if (*kind)
                return i + 2;
        }
    }
    return mw_next_mark_scalar(p, n, at, kind);
}
#endif

static inline size_t mw_next_mark(const uint8_t *p, size_t n, size_t at, int *kind, int wide)
{
#if MW_X86
    if (wide)
        return mw_next_mark_avx2(p, n, at, kind);
#endif
    (void)wide;
    return mw_next_mark_scalar(p, n, at, kind);
}

/* Base64 of both alphabets, its padding, line ends, and the backslash that scripts put before either. */
static inline int mw_run_octet(uint8_t c)
{
    static const uint32_t in[8] = {0x00002400, 0x23FFA800, 0x97FFFFFE, 0x07FFFFFE, 0, 0, 0, 0};
    return (int)(in[c >> 5] >> (c & 31) & 1);
}

/* First run of at least `least` such octets in p[at..n): its offset, and the offset behind it; n if there is none.
 * 1 <= least. Looks at the last octet that a run here would need first, so that it reads a few in a hundred octets of
 * prose; none is read more than twice. */
static inline size_t mw_next_run(const uint8_t *p, size_t n, size_t at, size_t least, size_t *end)
{
    while (at < n && n - at >= least) {
        size_t i = at + least;
        while (i > at && mw_run_octet(p[i - 1]))
            i--;
        if (i == at) {
            i = at + least;
            while (i < n && mw_run_octet(p[i]))
                i++;
            *end = i;
            return at;
        }
        at = i;
    }
    return n;
}

#endif
