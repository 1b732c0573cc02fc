/* Base64 as mail clients decode it (RFC 2045 s6.8): octets outside of the alphabet are passed over, missing padding is
 * forgiven, and what follows padding is decoded as another text of its own.
 *
 * Whole groups of four are decoded a vector at a time. A line of 76 is two vectors and 12 more, so a vector that is not
 * valid to its end is decoded all the same, and only its valid whole groups count. Everything else (what stands between
 * the lines, groups that are torn by it, padding) goes through one step function that is also the streaming state.
 */
#ifndef MW_BASE64_H
#define MW_BASE64_H

#include "cpu.h"

enum { MW_B64_JUNK = 1, MW_B64_PADDING = 2, MW_B64_CONCATENATED = 4 };
enum { MW_B64_SLACK = 40 }; /* octets of room behind the output: vectors are stored whole, and a held group may end */

/* Kinds of octets, told from the 64 values by the two upper bits. */
enum { MW_B64_WHITE = 0x40, MW_B64_PAD = 0x80, MW_B64_OTHER = 0xc0, MW_B64_KIND = 0xc0 };

typedef struct {
    uint32_t bits; /* of the group that is open */
    int held;      /* values in it, 0 to 3 */
    int pad_due;   /* a group of two values ended with "=": a second one has to follow */
    int ended;     /* padding was seen since the last value */
    int findings;
} mw_b64;

static uint8_t mw_b64_value[256]; /* filled once at import, then read only */

static void mw_b64_init(void)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    memset(mw_b64_value, MW_B64_OTHER, sizeof mw_b64_value);
    for (int v = 0; v < 64; v++)
        mw_b64_value[(uint8_t)alphabet[v]] = (uint8_t)v;
    mw_b64_value['\r'] = mw_b64_value['\n'] = mw_b64_value[' '] = mw_b64_value['\t'] = MW_B64_WHITE;
    mw_b64_value['='] = MW_B64_PAD;
}

static inline void mw_b64_start(mw_b64 *s)
{
    memset(s, 0, sizeof *s);
}

/* Ends the open group with the octets that it holds whole: a single value holds none. */
static inline uint8_t *mw_b64_close(mw_b64 *s, uint8_t *out)
{
    if (s->held == 1)
        s->findings |= MW_B64_PADDING;
    if (s->held == 2)
        *out++ = (uint8_t)(s->bits >> 4);
    if (s->held == 3) {
        *out++ = (uint8_t)(s->bits >> 10);
        *out++ = (uint8_t)(s->bits >> 2);
    }
    s->held = 0;
    s->bits = 0;
    return out;
}

static inline uint8_t *mw_b64_pad(mw_b64 *s, uint8_t *out)
{
    if (s->held == 0) {
        if (!s->pad_due)
            s->findings |= MW_B64_PADDING;
        s->pad_due = 0;
        return out;
    }
    s->pad_due = s->held == 2;
    s->ended = 1;
    return mw_b64_close(s, out);
}

static inline uint8_t *mw_b64_step(mw_b64 *s, uint8_t c, uint8_t *out)
{
    uint8_t v = mw_b64_value[c];
    if (v == MW_B64_WHITE)
        return out;
    if (v == MW_B64_PAD)
        return mw_b64_pad(s, out);
    if (v == MW_B64_OTHER) {
        s->findings |= MW_B64_JUNK;
        return out;
    }
    if (s->ended) {
        s->findings |= MW_B64_CONCATENATED | (s->pad_due ? MW_B64_PADDING : 0);
        s->ended = s->pad_due = 0;
    }
    s->bits = s->bits << 6 | v;
    if (++s->held < 4)
        return out;
    out[0] = (uint8_t)(s->bits >> 16);
    out[1] = (uint8_t)(s->bits >> 8);
    out[2] = (uint8_t)s->bits;
    s->held = 0;
    s->bits = 0;
    return out + 3;
}

/* Steps until a group begins with a value again, or i == n. */
static inline uint8_t *mw_b64_realign(mw_b64 *s, const uint8_t *p, size_t n, size_t *i, uint8_t *out)
{
    do {
        out = mw_b64_step(s, p[*i], out);
        ++*i;
    } while (*i < n && (s->held != 0 || s->ended || mw_b64_value[p[*i]] >= MW_B64_WHITE));
    return out;
}

static uint8_t *mw_b64_feed_scalar(mw_b64 *s, const uint8_t *p, size_t n, uint8_t *out)
{
    size_t i = 0;
    while (i < n) {
        if (s->held == 0 && !s->ended) {
            for (; n - i >= 4; i += 4, out += 3) {
                uint8_t a = mw_b64_value[p[i]], b = mw_b64_value[p[i + 1]];
                uint8_t c = mw_b64_value[p[i + 2]], d = mw_b64_value[p[i + 3]];
                if ((a | b | c | d) & MW_B64_KIND)
                    break;
                out[0] = (uint8_t)(a << 2 | b >> 4);
                out[1] = (uint8_t)(b << 4 | c >> 2);
                out[2] = (uint8_t)(c << 6 | d);
            }
            if (i == n)
                break;
        }
        out = mw_b64_realign(s, p, n, &i, out);
    }
    return out;
}

#if MW_X86
/* One bit for each upper nibble that the alphabet uses; an octet is of the alphabet when its lower nibble's set holds
 * its upper nibble's bit. */
MW_TARGET("avx2") MW_INLINE uint32_t mw_b64_foreign(__m256i text, __m256i upper)
{
    const __m256i of_lower = _mm256_setr_epi8(0x2a, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3c, 0x15,
                                              0x14, 0x14, 0x14, 0x15, 0x2a, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e, 0x3e,
                                              0x3e, 0x3e, 0x3c, 0x15, 0x14, 0x14, 0x14, 0x15);
    const __m256i of_upper = _mm256_setr_epi8(0, 0, 1, 2, 4, 8, 16, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 8, 16,
                                              32, 0, 0, 0, 0, 0, 0, 0, 0);
    __m256i lower = _mm256_and_si256(text, _mm256_set1_epi8(0x0f));
    __m256i both = _mm256_and_si256(_mm256_shuffle_epi8(of_lower, lower), _mm256_shuffle_epi8(of_upper, upper));
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(both, _mm256_setzero_si256()));
}

/* 32 octets of the alphabet to 24; writes 32. */
MW_TARGET("avx2") MW_INLINE void mw_b64_decode32(__m256i text, __m256i upper, uint8_t *out)
{
    /* from an octet to its value: +19 for "+" ("/" needs 3 less), +4 for digits, -65 for A-Z, -71 for a-z */
    const __m256i offset = _mm256_setr_epi8(0, 0, 19, 4, -65, -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 19, 4, -65,
                                            -65, -71, -71, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i pick = _mm256_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1, 2, 1, 0, 6, 5, 4, 10,
                                          9, 8, 14, 13, 12, -1, -1, -1, -1);
    __m256i slash = _mm256_cmpeq_epi8(text, _mm256_set1_epi8('/'));
    __m256i value = _mm256_add_epi8(text, _mm256_shuffle_epi8(offset, upper));
    value = _mm256_add_epi8(value, _mm256_and_si256(slash, _mm256_set1_epi8(-3)));
    /* a, b, c, d of 6 bits: a * 64 + b and c * 64 + d in 16 bits each, then both in 24 of 32 bits */
    __m256i pairs = _mm256_maddubs_epi16(value, _mm256_set1_epi32(0x01400140));
    __m256i groups = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00011000));
    /* three octets of each, the highest first; then the 12 of each half side by side */
    groups = _mm256_shuffle_epi8(groups, pick);
    groups = _mm256_permutevar8x32_epi32(groups, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
    _mm256_storeu_si256((__m256i *)out, groups);
}

MW_TARGET("avx2") static uint8_t *mw_b64_feed_avx2(mw_b64 *s, const uint8_t *p, size_t n, uint8_t *out)
{
    size_t i = 0;
    while (n - i >= 32) {
        if (s->held == 0 && !s->ended) {
            __m256i text = _mm256_loadu_si256((const __m256i *)(p + i));
            __m256i upper = _mm256_and_si256(_mm256_srli_epi16(text, 4), _mm256_set1_epi8(0x0f));
            uint32_t foreign = mw_b64_foreign(text, upper);
            size_t whole = foreign ? (size_t)__builtin_ctz(foreign) & ~(size_t)3 : 32;
            mw_b64_decode32(text, upper, out);
            out += whole / 4 * 3;
            i += whole;
            if (whole == 32)
                continue;
        }
        out = mw_b64_realign(s, p, n, &i, out);
    }
    return mw_b64_feed_scalar(s, p + i, n - i, out);
}
#endif

/* out has room for n / 4 * 3 + MW_B64_SLACK octets. Returns where the output ends. */
static inline uint8_t *mw_b64_feed(mw_b64 *s, const uint8_t *p, size_t n, uint8_t *out, int wide)
{
#if MW_X86
    if (wide)
        return mw_b64_feed_avx2(s, p, n, out);
#endif
    (void)wide;
    return mw_b64_feed_scalar(s, p, n, out);
}

/* Writes at most two octets. */
static inline uint8_t *mw_b64_finish(mw_b64 *s, uint8_t *out)
{
    if (s->held != 0 || s->pad_due)
        s->findings |= MW_B64_PADDING;
    s->pad_due = 0;
    return mw_b64_close(s, out);
}

#endif
