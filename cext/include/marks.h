/* Marks that archives begin with, looked for in all of some octets. Nothing is read behind p[n-1]. */
#ifndef MW_MARKS_H
#define MW_MARKS_H

#include "cpu.h"

enum {
    MW_MARK_ZIP = 1,
    MW_MARK_7Z = 2,
    MW_MARK_RAR = 4,
    MW_MARK_CAB = 8,
    MW_MARK_LHA = 16,
    MW_MARK_GZIP = 32,
    MW_MARK_BZIP2 = 64,
    MW_MARK_XZ = 128,
    MW_MARK_LEN = 5
};

/* Which mark is at p[0..MW_MARK_LEN), or 0. That of lha has two octets before it, which differ. */
static inline unsigned mw_mark_at(const uint8_t *p)
{
    switch (p[0]) {
    case 'P':
        return memcmp(p, "PK\3\4", 4) == 0 ? MW_MARK_ZIP : 0;
    case '7':
        return memcmp(p, "7z\xbc\xaf\x27", 5) == 0 ? MW_MARK_7Z : 0;
    case 'R':
        return memcmp(p, "Rar!\x1a", 5) == 0 ? MW_MARK_RAR : 0;
    case 'M':
        return memcmp(p, "MSCF\0", 5) == 0 ? MW_MARK_CAB : 0;
    case 'B':
        return memcmp(p, "BZh", 3) == 0 && p[3] >= '1' && p[3] <= '9' && p[4] == '1' ? MW_MARK_BZIP2 : 0;
    case 0x1f:
        return p[1] == 0x8b && p[2] == 8 && p[3] < 0x20 ? MW_MARK_GZIP : 0;
    case 0xfd:
        return memcmp(p, "\xfd" "7zXZ", 5) == 0 ? MW_MARK_XZ : 0;
    case '-':
        return p[1] == 'l' && (p[2] == 'h' || p[2] == 'z') && p[4] == '-' ? MW_MARK_LHA : 0;
    }
    return 0;
}

/* First of the marks in `wanted` in p[from..n); n if there is none. */
static size_t mw_find_mark_scalar(const uint8_t *p, size_t n, size_t from, unsigned wanted)
{
    size_t i = from;
    for (; i < n && n - i >= MW_MARK_LEN; i++) {
        if (mw_mark_at(p + i) & wanted)
            return i;
    }
    return n;
}

#if MW_X86
/* Which marks have an octet with this nibble in the first place or the second, one bit a mark: low nibbles, then high. */
static const uint8_t mw_mark_nibbles[4][16] = {
    {0x01, 0, 0x44, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0x98, 0, 0x20},
    {0, 0x20, 0x10, 0x02, 0x48, 0x05, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80},
    {0, 0x04, 0, 0x08, 0, 0, 0, 0x80, 0, 0, 0x42, 0x21, 0x10, 0, 0, 0},
    {0, 0, 0, 0x80, 0x01, 0x48, 0x14, 0x02, 0x20, 0, 0, 0, 0, 0, 0, 0},
};

/* At 32 places at once: are the first two octets those of a mark? Only there the rest is compared. */
MW_TARGET("avx2")
static size_t mw_find_mark_avx2(const uint8_t *p, size_t n, size_t from, unsigned wanted)
{
    const __m256i nibble = _mm256_set1_epi8(0x0f), none = _mm256_setzero_si256();
    const __m256i bits = _mm256_set1_epi8((char)wanted);
    __m256i table[4];
    size_t i = from;
    for (int k = 0; k < 4; k++)
        table[k] = _mm256_and_si256(
            bits, _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)mw_mark_nibbles[k])));
    for (; i < n && n - i >= MW_MARK_LEN + 32; i += 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(p + i));
        __m256i w = _mm256_loadu_si256((const __m256i *)(p + i + 1));
        __m256i a = _mm256_shuffle_epi8(table[0], _mm256_and_si256(v, nibble));
        __m256i b = _mm256_shuffle_epi8(table[1], _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble));
        __m256i c = _mm256_shuffle_epi8(table[2], _mm256_and_si256(w, nibble));
        __m256i d = _mm256_shuffle_epi8(table[3], _mm256_and_si256(_mm256_srli_epi16(w, 4), nibble));
        __m256i both = _mm256_and_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, d));
        uint32_t hits = ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(both, none));
        for (; hits; hits &= hits - 1) {
            size_t at = i + (size_t)__builtin_ctz(hits);
            if (mw_mark_at(p + at) & wanted)
                return at;
        }
    }
    return mw_find_mark_scalar(p, n, i, wanted);
}
#endif

/* from <= n */
static inline size_t mw_find_mark(const uint8_t *p, size_t n, size_t from, unsigned wanted, int wide)
{
#if MW_X86
    if (wide)
        return mw_find_mark_avx2(p, n, from, wanted);
#endif
    (void)wide;
    return mw_find_mark_scalar(p, n, from, wanted);
}

#endif
