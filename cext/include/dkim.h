/* Canonicalization of bodies (RFC 6376 s3.4). */
#ifndef MW_DKIM_H
#define MW_DKIM_H

#include "section.h"

/* Without the CRLFs at the end of p[from..n), and, relaxed, without white space before each of them and at n. */
static inline size_t mw_dkim_body_end(const uint8_t *p, size_t from, size_t n, int relaxed)
{
    for (;;) {
        while (relaxed && n > from && mw_is_blank(p[n - 1]))
            n--;
        if (n - from < 2 || p[n - 1] != '\n' || p[n - 2] != '\r')
            return n;
        n -= 2;
    }
}

/* A tab, or a space that is followed by a blank or CR or ends the text: the begin of white space that may change. Any
 * other octet stands for itself, single spaces between words too. */
MW_INLINE int mw_dkim_changes(const uint8_t *p, size_t n, size_t i)
{
    return p[i] == '\t' || (p[i] == ' ' && (n - i < 2 || mw_is_blank(p[i + 1]) || p[i + 1] == '\r'));
}

#if MW_X86
/* At 32 places at once; reads one octet behind them, so it leaves the last ones of the text to the caller. */
MW_TARGET("avx2") static size_t mw_dkim_plain_avx2(const uint8_t *p, size_t n, size_t i, size_t stop)
{
    const __m256i space = _mm256_set1_epi8(' '), tab = _mm256_set1_epi8('\t'), cr = _mm256_set1_epi8('\r');
    for (; stop - i >= 32 && n - i >= 33; i += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(p + i));
        __m256i next = _mm256_loadu_si256((const __m256i *)(p + i + 1));
        __m256i blank = _mm256_or_si256(_mm256_cmpeq_epi8(next, space), _mm256_cmpeq_epi8(next, tab));
        __m256i ends = _mm256_or_si256(blank, _mm256_cmpeq_epi8(next, cr));
        __m256i first = _mm256_and_si256(_mm256_cmpeq_epi8(v, space), ends);
        uint32_t hits = (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(_mm256_cmpeq_epi8(v, tab), first));
        if (hits)
            return i + (size_t)__builtin_ctz(hits);
    }
    return i;
}
#endif

/* First octet of p[i..stop) that mw_dkim_changes, or stop. i <= stop <= n */
static inline size_t mw_dkim_plain(const uint8_t *p, size_t n, size_t i, size_t stop, int wide)
{
#if MW_X86
    if (wide)
        i = mw_dkim_plain_avx2(p, n, i, stop);
#endif
    (void)wide;
    while (i < stop && !mw_dkim_changes(p, n, i))
        i++;
    return i;
}

/* Writes the relaxed form of p[*at..n) until room is full, and sets *at to where to go on. Each turn copies what stays as
 * it is (as far as there is room), or reads all of one run of white space: so *at never lies inside of a run. */
static size_t mw_dkim_relaxed(const uint8_t *p, size_t *at, size_t n, uint8_t *out, size_t room, int wide)
{
    size_t i = *at, made = 0;
    while (i < n && made < room) {
        size_t stop = n - i < room - made ? n : i + (room - made);
        size_t same = mw_dkim_plain(p, n, i, stop, wide) - i;
        memcpy(out + made, p + i, same);
        i += same;
        made += same;
        if (i == stop)
            continue;
        while (i < n && mw_is_blank(p[i]))
            i++;
        if (n - i < 2 || p[i] != '\r' || p[i + 1] != '\n')
            out[made++] = ' ';
    }
    *at = i;
    return made;
}

#endif
