/* What may spell out a file in a text, whoever looks for it then: lines that begin with a mark, pairs of octets that end
 * one or are in one, and long runs of base64. Nothing is read outside of p[0..n). */
#ifndef MW_SPELLED_H
#define MW_SPELLED_H

#include "html.h"
#include "span.h"

enum {
    MW_SPELLED_YENC = 1,
    MW_SPELLED_BINHEX = 2,
    MW_SPELLED_BEGIN = 4, /* UUE, XX and begin-base64 */
    MW_SPELLED_HTML = 8,
    MW_SPELLED_OFFICE = 16,
    MW_SPELLED_OPENPGP = 32,
    MW_SPELLED_ALL = 63
};
enum { MW_SPELLED_BINHEX_LEN = 25, MW_SPELLED_UTF16_LEN = 64 };

MW_INLINE int mw_spelled_word(const uint8_t *p, size_t n, const char *word, size_t m)
{
    return n >= m && memcmp(p, word, m) == 0;
}

/* What a line may announce that begins at p[0..n). All of the alphabet of BinHex lies from ! to r. */
static int mw_spelled_line(const uint8_t *p, size_t n)
{
    switch (p[0]) {
    case '=':
        return mw_spelled_word(p, n, "=ybegin ", 8) ? MW_SPELLED_YENC : 0;
    case '(':
        return mw_spelled_word(p, n, "(This file must be converted with BinHex", 40) ? MW_SPELLED_BINHEX : 0;
    case ':':
        if (n < MW_SPELLED_BINHEX_LEN)
            return 0;
        for (size_t i = 1; i < MW_SPELLED_BINHEX_LEN; i++)
            if (p[i] < '!' || p[i] > 'r')
                return 0;
        return MW_SPELLED_BINHEX;
    case 'b':
        return mw_spelled_word(p, n, "begin", 5) ? MW_SPELLED_BEGIN : 0;
    case '-':
        return mw_spelled_word(p, n, "-----BEGIN PGP MESSAGE", 22) ? MW_SPELLED_OPENPGP : 0;
    default:
        return 0;
    }
}

/* What p[i], p[i + 1] are the end of, a line end aside, or a part of; i + 1 < n. */
MW_INLINE int mw_spelled_pair(const uint8_t *p, size_t n, size_t i)
{
    if (mw_ends_line(p[i]))
        return mw_spelled_line(p + i + 1, n - i - 1);
    if (p[i] == 'D' && p[i + 1] == 'a') /* Data, as in binaryData */
        return n - i >= 4 && p[i + 2] == 't' && p[i + 3] == 'a' ? MW_SPELLED_OFFICE : 0;
    return mw_mark_at(p, n, i) ? MW_SPELLED_HTML : 0;
}

/* Of the pairs from p[at] on. */
static inline int mw_spelled_pairs_scalar(const uint8_t *p, size_t n, size_t at)
{
    int found = 0;
    for (; at + 1 < n; at++)
        found |= mw_spelled_pair(p, n, at);
    return found;
}

#if MW_X86
/* Each pair that is looked at closer is a bit: first octets that have it, second octets that have it. An octet's bits
 * are those that both of its nibbles have. */
MW_TARGET("avx2") static inline __m256i mw_spelled_class(__m256i v, __m256i low, __m256i high)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i upper = _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble);
    return _mm256_and_si256(_mm256_shuffle_epi8(low, _mm256_and_si256(v, nibble)), _mm256_shuffle_epi8(high, upper));
}

MW_TARGET("avx2") static inline int mw_spelled_pairs_avx2(const uint8_t *p, size_t n, size_t at)
{
    enum { EQ = 1, DA = 2, A_COLON = 4, SIX_FOUR = 8, B_PAREN = 16, PAREN = 32, B = 64, LINE = EQ | PAREN | B };
    /* first: CR 0D, LF 0A: LINE; D 44; A 41, a 61; 6 36; B 42, b 62 */
    const __m256i low1 = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, A_COLON, B_PAREN, 0, DA, 0, SIX_FOUR, 0, 0, 0,
                                                                   LINE, 0, 0, LINE, 0, 0));
    const __m256i high1 = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        LINE, 0, 0, SIX_FOUR, DA | A_COLON | B_PAREN, 0, A_COLON | B_PAREN, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    /* second: = 3D, : 3A, - 2D: EQ; ( 28: PAREN, B_PAREN; b 62: B; a 61: DA; : 3A: A_COLON; 4 34: SIX_FOUR */
    const __m256i low2 = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, DA, B, 0, SIX_FOUR, 0, 0, 0, PAREN | B_PAREN, 0, EQ | A_COLON, 0, 0, EQ, 0, 0));
    const __m256i high2 = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        0, 0, EQ | PAREN | B_PAREN, EQ | A_COLON | SIX_FOUR, 0, 0, B | DA, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    const __m256i zero = _mm256_setzero_si256();
    int found = 0;
    for (; n - at >= 33; at += 32) { /* the second load reaches p[at + 32] */
        __m256i first = mw_spelled_class(_mm256_loadu_si256((const __m256i *)(p + at)), low1, high1);
        __m256i second = mw_spelled_class(_mm256_loadu_si256((const __m256i *)(p + at + 1)), low2, high2);
        __m256i none = _mm256_cmpeq_epi8(_mm256_and_si256(first, second), zero);
        for (unsigned bits = ~(unsigned)_mm256_movemask_epi8(none); bits; bits &= bits - 1)
            found |= mw_spelled_pair(p, n, at + (size_t)__builtin_ctz(bits));
    }
    return found | mw_spelled_pairs_scalar(p, n, at);
}
#endif

/* p[0] counts as the begin of a line. least: octets of a run of base64. */
static inline int mw_spelled(const uint8_t *p, size_t n, size_t least, int wide)
{
    size_t end;
    int found = 0;
    if (n == 0)
        return 0;
    found = mw_spelled_line(p, n);
    if (n >= 2 && ((p[0] == 0xff && p[1] == 0xfe) || (p[0] == 0xfe && p[1] == 0xff)))
        found |= MW_SPELLED_HTML | MW_SPELLED_OFFICE; /* UTF-16: nothing in it stands as it is */
    if (memchr(p, 0, n < MW_SPELLED_UTF16_LEN ? n : MW_SPELLED_UTF16_LEN) != NULL)
        found |= MW_SPELLED_HTML;
    if (mw_spelled_word(p, n, "ID;", 3))
        found |= MW_SPELLED_OFFICE;
#if MW_X86
    if (wide)
        found |= mw_spelled_pairs_avx2(p, n, 0);
    else
#endif
        found |= mw_spelled_pairs_scalar(p, n, 0);
    (void)wide;
    if (!(found & MW_SPELLED_HTML) && mw_next_run(p, n, 0, least, &end) < n)
        found |= MW_SPELLED_HTML;
    return found;
}

#endif
