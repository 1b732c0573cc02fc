/* Quoted-printable as mail clients decode it (RFC 2045 s6.7).
 *
 * Text between "=", CR and LF is copied as spans; the vector variants decode 64 octets at once where nothing in them has
 * to be held back. White space that may turn out to end a line, or to stand behind a
 * soft break's "=", is held back in a buffer of fixed size; a run that outgrows it is kept as text, whole, so that
 * hostile text cannot make memory grow and the result does not depend on how the stream is cut.
 */
#ifndef MW_QUOTED_PRINTABLE_H
#define MW_QUOTED_PRINTABLE_H

#include "span.h"

enum { MW_QP_ESCAPE = 1 };
enum { MW_QP_HELD = 1024 }; /* longest run of white space that is removed; a line has 76 octets by the RFC */

enum {
    MW_QP_TEXT,
    MW_QP_EQUALS,     /* "=", then white space (held) */
    MW_QP_DIGIT,      /* "=" and one hexadecimal digit */
    MW_QP_SOFT_CR,    /* soft break that ended with CR: an LF belongs to it */
};

typedef struct {
    int phase;
    int digit; /* the octet behind "=" in MW_QP_DIGIT */
    int kept;  /* this run of white space outgrew the buffer */
    int findings;
    size_t held;
    uint8_t white[MW_QP_HELD];
} mw_qp;

/* filled once at import, then read only */
static int8_t mw_qp_hex[256];
static uint8_t mw_qp_kept[256][8]; /* which of eight octets a mask keeps; the rest does not matter */

static void mw_qp_init(void)
{
    memset(mw_qp_hex, -1, sizeof mw_qp_hex);
    for (int mask = 0; mask < 256; mask++)
        for (uint8_t octet = 0, kept = 0; octet < 8; octet++)
            if (mask >> octet & 1)
                mw_qp_kept[mask][kept++] = octet;
    for (int v = 0; v < 16; v++) {
        mw_qp_hex[(uint8_t)"0123456789ABCDEF"[v]] = (int8_t)v;
        mw_qp_hex[(uint8_t)"0123456789abcdef"[v]] = (int8_t)v;
    }
}

static inline void mw_qp_start(mw_qp *s)
{
    s->phase = MW_QP_TEXT;
    s->digit = s->kept = s->findings = 0;
    s->held = 0;
}

static inline int mw_qp_white(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* The held white space stands within its line after all. */
static inline uint8_t *mw_qp_flush(mw_qp *s, uint8_t *out)
{
    if (s->held != 0)
        memcpy(out, s->white, s->held);
    out += s->held;
    s->held = 0;
    s->kept = 0;
    return out;
}

static inline void mw_qp_drop(mw_qp *s)
{
    s->held = 0;
    s->kept = 0;
}

/* The "=" (and the digit) that were held back stand for themselves. */
static inline uint8_t *mw_qp_literal(mw_qp *s, uint8_t *out)
{
    s->findings |= MW_QP_ESCAPE;
    *out++ = '=';
    if (s->phase == MW_QP_DIGIT)
        *out++ = (uint8_t)s->digit;
    s->phase = MW_QP_TEXT;
    return out;
}

static inline uint8_t *mw_qp_hold(mw_qp *s, const uint8_t *p, size_t n, uint8_t *out)
{
    if (!s->kept && n <= MW_QP_HELD - s->held) {
        memcpy(s->white + s->held, p, n);
        s->held += n;
        return out;
    }
    out = mw_qp_flush(s, out);
    s->kept = 1;
    memcpy(out, p, n);
    return out + n;
}

/* p[0..n) holds no "=", CR or LF, and follows text or begins a line; p[0..readable) may be read. Most spans are short,
 * and 16 octets are copied in less time than it takes to call memcpy; out has room for them by MW_QP_HELD. */
MW_INLINE uint8_t *mw_qp_span(mw_qp *s, const uint8_t *p, size_t n, size_t readable, uint8_t *out)
{
    size_t text = n;
    while (text != 0 && mw_qp_white(p[text - 1]))
        text--;
    if (text != 0) {
        out = mw_qp_flush(s, out);
        if (text <= 16 && readable >= 16)
            memcpy(out, p, 16);
        else
            memcpy(out, p, text);
        out += text;
    }
    return text == n ? out : mw_qp_hold(s, p + text, n - text, out);
}

/* One octet while the phase is not MW_QP_TEXT. Sets *again when c is still to be read, as text. */
static uint8_t *mw_qp_step(mw_qp *s, uint8_t c, uint8_t *out, int *again)
{
    *again = 0;
    switch (s->phase) {
    case MW_QP_SOFT_CR:
        s->phase = MW_QP_TEXT;
        *again = c != '\n';
        return out;
    case MW_QP_DIGIT:
        if (mw_qp_hex[c] >= 0) {
            *out++ = (uint8_t)(mw_qp_hex[s->digit] << 4 | mw_qp_hex[c]);
            s->phase = MW_QP_TEXT;
            return out;
        }
        break;
    default: /* MW_QP_EQUALS */
        if (mw_qp_white(c) && s->held < MW_QP_HELD) {
            s->white[s->held++] = c;
            return out;
        }
        if (c == '\r' || c == '\n') {
            mw_qp_drop(s);
            s->phase = c == '\r' ? MW_QP_SOFT_CR : MW_QP_TEXT;
            return out;
        }
        if (s->held == 0 && mw_qp_hex[c] >= 0) {
            s->phase = MW_QP_DIGIT;
            s->digit = c;
            return out;
        }
    }
    *again = 1;
    return mw_qp_literal(s, out); /* white space behind the "=" stays held: it may still end the line */
}

/* What "=" begins, as long as it is seen whole and needs nothing held back. Leaves i at an octet that is no such "=". */
MW_INLINE uint8_t *mw_qp_escapes(mw_qp *s, const uint8_t *p, size_t n, size_t *at, uint8_t *out)
{
    size_t i = *at;
    while (n - i > 2 && p[i] == '=') {
        uint8_t a = p[i + 1], b = p[i + 2];
        if (mw_qp_hex[a] >= 0 && mw_qp_hex[b] >= 0) {
            *out++ = (uint8_t)(mw_qp_hex[a] << 4 | mw_qp_hex[b]);
            i += 3;
        } else if (a == '\r' && b == '\n') {
            i += 3;
        } else if (mw_qp_white(a) || a == '\r' || a == '\n') {
            break;
        } else {
            s->findings |= MW_QP_ESCAPE;
            *out++ = '=';
            i++;
        }
    }
    *at = i;
    return out;
}

typedef size_t (*mw_find3_fn)(const uint8_t *, size_t, uint8_t, uint8_t, uint8_t);
/* Decodes from p[*at] on as long as it can; called in MW_QP_TEXT with nothing held. */
typedef uint8_t *(*mw_qp_blocks_fn)(const uint8_t *p, size_t n, size_t *at, uint8_t *out);

MW_INLINE uint8_t *mw_qp_run(mw_qp *s, const uint8_t *p, size_t n, uint8_t *out, mw_find3_fn find,
                             mw_qp_blocks_fn blocks)
{
    size_t i = 0;
    int again;
    while (i < n) {
        if (s->phase != MW_QP_TEXT) {
            out = mw_qp_step(s, p[i], out, &again);
            i += !again;
            continue;
        }
        if (blocks && s->held == 0 && !s->kept) {
            out = blocks(p, n, &i, out);
            if (i == n)
                break;
        }
        size_t text = find(p + i, n - i, '=', '\r', '\n');
        out = mw_qp_span(s, p + i, text, n - i, out);
        i += text;
        if (i == n)
            break;
        if (p[i] == '=') {
            out = mw_qp_flush(s, out);
            out = mw_qp_escapes(s, p, n, &i, out);
            if (i < n && p[i] == '=') {
                s->phase = MW_QP_EQUALS;
                i++;
            }
        } else {
            mw_qp_drop(s); /* trailing white space is none of the sender's, RFC 2045 s6.7 (3) */
            *out++ = p[i++];
        }
    }
    return out;
}

static uint8_t *mw_qp_feed_scalar(mw_qp *s, const uint8_t *p, size_t n, uint8_t *out)
{
    return mw_qp_run(s, p, n, out, mw_find3_scalar, NULL);
}

#if MW_X86
/* How far a block of 64 octets can be decoded, given what stands where in it (bit k: octet k). valid: "=" that begins an
 * escape; soft3, soft2: a soft break of CRLF or LF; equals: every "="; white, ends: blanks and CR or LF; next: the octet
 * behind the block. Stops at every other "=", and at white space that a line end follows, or that reaches the end of the
 * block and may go on. *keep: octets that yield output; the result is how many are used up. */
MW_TARGET("popcnt,bmi,lzcnt")
MW_INLINE size_t mw_qp_plan(uint64_t equals, uint64_t valid, uint64_t soft3, uint64_t soft2, uint64_t white,
                            uint64_t ends, uint8_t next, uint64_t *keep)
{
    uint64_t drop = valid << 1 | valid << 2 | soft3 | soft3 << 1 | soft3 << 2 | soft2 | soft2 << 1;
    uint64_t stops = equals & ~(valid | soft3 | soft2);
    uint64_t before_end = white & (ends >> 1 | (uint64_t)(mw_ends_line(next) || mw_qp_white(next)) << 63);
    *keep = ~drop;
    if (before_end) {
        /* back to where the first such run of white space begins */
        size_t last = (size_t)__builtin_ctzll(before_end);
        uint64_t below = ~white & (((uint64_t)1 << last) - 1);
        stops |= (uint64_t)1 << (below ? 64 - (size_t)__builtin_clzll(below) : 0);
    }
    if (stops) {
        size_t len = (size_t)__builtin_ctzll(stops);
        *keep &= ((uint64_t)1 << len) - 1;
        return len;
    }
    uint64_t three = valid | soft3;
    return 64 + ((three >> 63) ? 2 : ((three >> 62 | soft2 >> 63) & 1));
}

MW_TARGET("avx2") MW_INLINE uint64_t mw_qp_mask(__m256i low, __m256i high)
{
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

MW_TARGET("avx2") MW_INLINE __m256i mw_qp_are(__m256i v, char c)
{
    return _mm256_cmpeq_epi8(v, _mm256_set1_epi8(c));
}

/* All bits of the octets that are hexadecimal digits. */
MW_TARGET("avx2") MW_INLINE __m256i mw_qp_are_digits(__m256i v)
{
    __m256i digit = _mm256_sub_epi8(v, _mm256_set1_epi8('0'));
    __m256i letter = _mm256_sub_epi8(_mm256_or_si256(v, _mm256_set1_epi8(0x20)), _mm256_set1_epi8('a'));
    return _mm256_or_si256(_mm256_cmpeq_epi8(_mm256_min_epu8(digit, _mm256_set1_epi8(9)), digit),
                           _mm256_cmpeq_epi8(_mm256_min_epu8(letter, _mm256_set1_epi8(5)), letter));
}

/* Values of hexadecimal digits; of other octets anything below 16. */
MW_TARGET("avx2") MW_INLINE __m256i mw_qp_digits(__m256i v)
{
    __m256i letter = _mm256_and_si256(_mm256_cmpgt_epi8(v, _mm256_set1_epi8('9')), _mm256_set1_epi8(9));
    return _mm256_and_si256(_mm256_add_epi8(v, letter), _mm256_set1_epi8(0x0f));
}

/* 32 octets at p, every "=" of v (the same octets) as what its two digits stand for. Reads p[0..34). */
MW_TARGET("avx2") MW_INLINE __m256i mw_qp_values(const uint8_t *p, __m256i v)
{
    __m256i upper = mw_qp_digits(_mm256_loadu_si256((const __m256i *)(p + 1)));
    __m256i lower = mw_qp_digits(_mm256_loadu_si256((const __m256i *)(p + 2)));
    return _mm256_blendv_epi8(v, _mm256_or_si256(_mm256_slli_epi16(upper, 4), lower), mw_qp_are(v, '='));
}

/* Out of the 64 octets of two vectors those that keep names, eight at a time. Writes 64 octets. */
MW_TARGET("avx2,popcnt") MW_INLINE uint8_t *mw_qp_squeeze(__m256i low, __m256i high, uint64_t keep, uint8_t *out)
{
    uint8_t octets[64];
    _mm256_storeu_si256((__m256i *)octets, low);
    _mm256_storeu_si256((__m256i *)(octets + 32), high);
    for (int k = 0; k < 64; k += 8, keep >>= 8) {
        __m128i kept = _mm_loadl_epi64((const __m128i *)mw_qp_kept[keep & 0xff]);
        _mm_storel_epi64((__m128i *)out, _mm_shuffle_epi8(_mm_loadl_epi64((const __m128i *)(octets + k)), kept));
        out += __builtin_popcountll(keep & 0xff);
    }
    return out;
}

MW_TARGET("avx2,popcnt,bmi,lzcnt")
static uint8_t *mw_qp_blocks_avx2(const uint8_t *p, size_t n, size_t *at, uint8_t *out)
{
    size_t i = *at;
    while (n - i >= 66) {
        __m256i low = _mm256_loadu_si256((const __m256i *)(p + i));
        __m256i high = _mm256_loadu_si256((const __m256i *)(p + i + 32));
        uint64_t equals = mw_qp_mask(mw_qp_are(low, '='), mw_qp_are(high, '='));
        uint64_t white = mw_qp_mask(_mm256_or_si256(mw_qp_are(low, ' '), mw_qp_are(low, '\t')),
                                    _mm256_or_si256(mw_qp_are(high, ' '), mw_qp_are(high, '\t')));
        uint64_t cr = mw_qp_mask(mw_qp_are(low, '\r'), mw_qp_are(high, '\r'));
        uint64_t lf = mw_qp_mask(mw_qp_are(low, '\n'), mw_qp_are(high, '\n'));
        uint64_t valid = 0, soft3 = 0, soft2 = 0, keep;
        uint8_t next = p[i + 64], second = p[i + 65];
        if (equals) {
            uint64_t digit = mw_qp_mask(mw_qp_are_digits(low), mw_qp_are_digits(high));
            uint64_t next_digit = mw_qp_hex[next] >= 0, second_digit = mw_qp_hex[second] >= 0;
            uint64_t lf1 = lf >> 1 | (uint64_t)(next == '\n') << 63;
            valid = equals & (digit >> 1 | next_digit << 63) & (digit >> 2 | next_digit << 62 | second_digit << 63);
            soft2 = equals & lf1;
            soft3 = equals & (cr >> 1 | (uint64_t)(next == '\r') << 63) & (lf1 >> 1 | (uint64_t)(second == '\n') << 63);
            low = mw_qp_values(p + i, low); /* every "=" that is kept is one that becomes its octet */
            high = mw_qp_values(p + i + 32, high);
        }
        size_t len = mw_qp_plan(equals, valid, soft3, soft2, white, cr | lf, next, &keep);
        if (keep == ~(uint64_t)0) {
            _mm256_storeu_si256((__m256i *)out, low);
            _mm256_storeu_si256((__m256i *)(out + 32), high);
            out += 64;
        } else {
            out = mw_qp_squeeze(low, high, keep, out);
        }
        i += len;
        if (len < 64)
            break;
    }
    *at = i;
    return out;
}

MW_TARGET("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi,bmi2,lzcnt")
static uint8_t *mw_qp_blocks_avx512(const uint8_t *p, size_t n, size_t *at, uint8_t *out)
{
    /* values of the octets 0-127; 0x80 for those that are no digit */
    const __m512i digits0 = _mm512_loadu_si512(mw_qp_hex), digits1 = _mm512_loadu_si512(mw_qp_hex + 64);
    size_t i = *at;
    while (n - i >= 66) {
        __m512i v = _mm512_loadu_si512(p + i);
        uint64_t equals = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('='));
        uint64_t white = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8(' ')) |
                         _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\t'));
        uint64_t ends = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\r')) |
                        _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\n'));
        uint64_t valid = 0, soft3 = 0, soft2 = 0, keep;
        if (equals) {
            __m512i v1 = _mm512_loadu_si512(p + i + 1), v2 = _mm512_loadu_si512(p + i + 2);
            __m512i upper = _mm512_permutex2var_epi8(digits0, v1, digits1);
            __m512i lower = _mm512_permutex2var_epi8(digits0, v2, digits1);
            __m512i wrong = _mm512_ternarylogic_epi32(_mm512_or_si512(upper, lower), v1, v2, 0xfe);
            valid = equals & ~_mm512_movepi8_mask(wrong);
            uint64_t cr1 = _mm512_mask_cmpeq_epi8_mask(equals, v1, _mm512_set1_epi8('\r'));
            soft3 = _mm512_mask_cmpeq_epi8_mask(cr1, v2, _mm512_set1_epi8('\n'));
            soft2 = _mm512_mask_cmpeq_epi8_mask(equals, v1, _mm512_set1_epi8('\n'));
            upper = _mm512_slli_epi16(_mm512_and_si512(upper, _mm512_set1_epi8(0x0f)), 4);
            v = _mm512_mask_blend_epi8(valid, v, _mm512_or_si512(upper, lower));
        }
        size_t len = mw_qp_plan(equals, valid, soft3, soft2, white, ends, p[i + 64], &keep);
        _mm512_storeu_si512(out, _mm512_maskz_compress_epi8(keep, v));
        out += __builtin_popcountll(keep);
        i += len;
        if (len < 64)
            break;
    }
    *at = i;
    return out;
}

MW_TARGET("avx2") static uint8_t *mw_qp_feed_avx2(mw_qp *s, const uint8_t *p, size_t n, uint8_t *out)
{
    return mw_qp_run(s, p, n, out, mw_find3_avx2, mw_qp_blocks_avx2);
}

MW_TARGET("avx2") static uint8_t *mw_qp_feed_avx512(mw_qp *s, const uint8_t *p, size_t n, uint8_t *out)
{
    return mw_qp_run(s, p, n, out, mw_find3_avx2, mw_qp_blocks_avx512);
}
#endif

/* out has room for n + MW_QP_HELD + 2 octets. level: see mw_vector_level. Returns where the output ends. */
static inline uint8_t *mw_qp_feed(mw_qp *s, const uint8_t *p, size_t n, uint8_t *out, int level)
{
#if MW_X86
    if (level >= MW_AVX512)
        return mw_qp_feed_avx512(s, p, n, out);
    if (level >= MW_AVX2)
        return mw_qp_feed_avx2(s, p, n, out);
#endif
    (void)level;
    return mw_qp_feed_scalar(s, p, n, out);
}

/* Writes at most two octets. The end of the data ends its last line: the line end before a boundary delimiter is not
 * part of the entity, so a soft break may lack its own. */
static inline uint8_t *mw_qp_finish(mw_qp *s, uint8_t *out)
{
    if (s->phase == MW_QP_DIGIT)
        out = mw_qp_literal(s, out);
    mw_qp_drop(s);
    s->phase = MW_QP_TEXT;
    return out;
}

#endif
