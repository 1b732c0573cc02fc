/* Lines of header sections. */
#ifndef MW_SECTION_H
#define MW_SECTION_H

#include "span.h"

/* End of the line that begins at i < n: the first CR or LF, or n. Notes in flags (mime.pyx) what mail may not hold. */
static inline size_t mw_section_line(const uint8_t *p, size_t n, size_t i, int *flags, int wide)
{
    for (;;) {
        i += mw_find3(p + i, n - i, '\r', '\n', 0, wide);
        if (i == n || p[i] == '\n')
            return i;
        if (p[i] == '\r') {
            if (n - i < 2 || p[i + 1] != '\n')
                *flags |= 2;
            return i;
        }
        *flags |= 1;
        i++;
    }
}

MW_INLINE int mw_is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

#if MW_X86
MW_TARGET("avx2") static inline size_t mw_trailing_blank_avx2(const uint8_t *p, size_t n, size_t i)
{
    const __m256i space = _mm256_set1_epi8(' '), tab = _mm256_set1_epi8('\t');
    const __m256i cr = _mm256_set1_epi8('\r'), lf = _mm256_set1_epi8('\n');
    for (; n - i >= 33; i += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(p + i));
        __m256i next = _mm256_loadu_si256((const __m256i *)(p + i + 1));
        __m256i blank = _mm256_or_si256(_mm256_cmpeq_epi8(v, space), _mm256_cmpeq_epi8(v, tab));
        __m256i ends = _mm256_or_si256(_mm256_cmpeq_epi8(next, cr), _mm256_cmpeq_epi8(next, lf));
        if (!_mm256_testz_si256(blank, ends))
            break;
    }
    return i;
}
#endif

/* Whether a line of p[from..n) ends with a space or tab. */
static inline int mw_trailing_blank(const uint8_t *p, size_t n, size_t from, int wide)
{
    size_t i = from;
#if MW_X86
    if (wide)
        i = mw_trailing_blank_avx2(p, n, i);
#endif
    (void)wide;
    for (; i + 1 < n; i++) {
        if (mw_is_blank(p[i]) && mw_ends_line(p[i + 1]))
            return 1;
    }
    return 0;
}

#endif
