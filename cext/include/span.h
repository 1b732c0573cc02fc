/* Searching in octets: the first of a few values, and a line by how it begins. Nothing is read behind p[n-1]. */
#ifndef MW_SPAN_H
#define MW_SPAN_H

#include "cpu.h"

/* First octet of p[0..n) that is a, b or c; n if there is none. */
MW_INLINE size_t mw_find3_scalar(const uint8_t *p, size_t n, uint8_t a, uint8_t b, uint8_t c)
{
    size_t i = 0;
    while (i < n && p[i] != a && p[i] != b && p[i] != c)
        i++;
    return i;
}

MW_INLINE int mw_ends_line(uint8_t c)
{
    return c == '\r' || c == '\n';
}

/* First line in p[from..n) that begins with needle[0..m); n if there is none. p[from] counts as the begin of a line.
 * 1 <= m, and the needle holds neither CR nor LF: so no comparison runs past its line, and hostile text that agrees with
 * a long needle almost everywhere costs no more than reading it once. */
static size_t mw_find_line_scalar(const uint8_t *p, size_t n, size_t from, const uint8_t *needle, size_t m)
{
    for (size_t i = from; i < n && n - i >= m; i++) {
        if ((i == from || mw_ends_line(p[i - 1])) && memcmp(p + i, needle, m) == 0)
            return i;
    }
    return n;
}

#if MW_X86
MW_TARGET("avx2") static inline size_t mw_find3_avx2(const uint8_t *p, size_t n, uint8_t a, uint8_t b, uint8_t c)
{
    const __m256i va = _mm256_set1_epi8((char)a), vb = _mm256_set1_epi8((char)b), vc = _mm256_set1_epi8((char)c);
    size_t i = 0;
    for (; n - i >= 32; i += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(p + i));
        __m256i ab = _mm256_or_si256(_mm256_cmpeq_epi8(v, va), _mm256_cmpeq_epi8(v, vb));
        uint32_t hits = (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(ab, _mm256_cmpeq_epi8(v, vc)));
        if (hits)
            return i + (size_t)__builtin_ctz(hits);
    }
    return i + mw_find3_scalar(p + i, n - i, a, b, c);
}

/* At 32 places at once: does a line end before, and do the needle's first and last octet agree? Only there is the whole
 * compared. */
MW_TARGET("avx2")
static size_t mw_find_line_avx2(const uint8_t *p, size_t n, size_t from, const uint8_t *needle, size_t m)
{
    const __m256i first = _mm256_set1_epi8((char)needle[0]), last = _mm256_set1_epi8((char)needle[m - 1]);
    const __m256i cr = _mm256_set1_epi8('\r'), lf = _mm256_set1_epi8('\n');
    size_t i = from;
    if (n - from >= m && memcmp(p + from, needle, m) == 0)
        return from;
    for (i++; i < n && n - i >= m + 31; i += 32) {
        __m256i before = _mm256_loadu_si256((const __m256i *)(p + i - 1));
        __m256i line = _mm256_or_si256(_mm256_cmpeq_epi8(before, cr), _mm256_cmpeq_epi8(before, lf));
        __m256i a = _mm256_cmpeq_epi8(first, _mm256_loadu_si256((const __m256i *)(p + i)));
        __m256i b = _mm256_cmpeq_epi8(last, _mm256_loadu_si256((const __m256i *)(p + i + m - 1)));
        uint32_t hits = (uint32_t)_mm256_movemask_epi8(_mm256_and_si256(line, _mm256_and_si256(a, b)));
        for (; hits; hits &= hits - 1) {
            size_t at = i + (size_t)__builtin_ctz(hits);
            if (memcmp(p + at, needle, m) == 0)
                return at;
        }
    }
    for (; i < n && n - i >= m; i++) {
        if (mw_ends_line(p[i - 1]) && memcmp(p + i, needle, m) == 0)
            return i;
    }
    return n;
}
#endif

static inline size_t mw_find3(const uint8_t *p, size_t n, uint8_t a, uint8_t b, uint8_t c, int wide)
{
#if MW_X86
    if (wide)
        return mw_find3_avx2(p, n, a, b, c);
#endif
    (void)wide;
    return mw_find3_scalar(p, n, a, b, c);
}

/* from <= n */
static inline size_t mw_find_line(const uint8_t *p, size_t n, size_t from, const uint8_t *needle, size_t m, int wide)
{
#if MW_X86
    if (wide)
        return mw_find_line_avx2(p, n, from, needle, m);
#endif
    (void)wide;
    return mw_find_line_scalar(p, n, from, needle, m);
}

/* First CR or LF from i on, or n. */
static inline size_t mw_line_end(const uint8_t *p, size_t n, size_t i, int wide)
{
    return i + mw_find3(p + i, n - i, '\r', '\n', '\n', wide);
}

/* Behind the line end at i (CRLF, LF or CR), or n. */
MW_INLINE size_t mw_next_line(const uint8_t *p, size_t n, size_t i)
{
    if (i < n && p[i] == '\r' && n - i > 1 && p[i + 1] == '\n')
        return i + 2;
    return i < n ? i + 1 : n;
}

#endif
