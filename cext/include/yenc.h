/* The body of a yEnc block: every octet is shifted by 42, and "=" escapes those that transports would spoil.
 *
 * Line ends mean nothing but for what stands at the begin of a line: "=yend" and "=ybegin " end the body. So up to seven
 * octets at the begin of a line are held back until it is clear that they are no such word. Output is never longer than
 * input. The vector variant looks for escapes, line ends and their conflicts in 64 octets at once, and squeezes the rest
 * together; what it cannot decide goes through the step function, which is also the streaming state.
 */
#ifndef MW_YENC_H
#define MW_YENC_H

#include "span.h"

enum { MW_YENC_NO_END = 1, MW_YENC_ESCAPE = 2 };
enum { MW_YENC_WORD = 8 }; /* length of "=ybegin " */
enum { MW_YENC_SLACK = 64 + MW_YENC_WORD };

typedef struct {
    int64_t body_len; /* octets of the stream before the line that ended the body; final when done */
    int done;
    int dots;       /* a dot at the begin of a line was doubled by the transport */
    int escaped;    /* "=" was seen: the next octet is shifted by 106 */
    int line_start; /* nothing of this line was seen but what is held */
    int findings;
    int held;
    uint8_t word[MW_YENC_WORD];
} mw_yenc;

static inline void mw_yenc_start(mw_yenc *s, int dots)
{
    memset(s, 0, sizeof *s);
    s->line_start = 1;
    s->dots = dots;
}

/* 0: word[0..n) begins no line that ends a body; 1: it may; 2: it does. */
static int mw_yenc_word(const uint8_t *word, int n)
{
    static const char end[] = "=yend", begin[] = "=ybegin ";
    int of_end = n < 5 ? n : 5;
    if (memcmp(word, end, (size_t)of_end) == 0)
        return n >= 5 ? 2 : 1;
    if (memcmp(word, begin, (size_t)n) == 0)
        return n >= MW_YENC_WORD ? 2 : 1;
    return 0;
}

/* An octet that is not held. */
static inline uint8_t *mw_yenc_octet(mw_yenc *s, uint8_t c, uint8_t *out)
{
    if (c == '\r' || c == '\n') {
        if (s->escaped)
            s->findings |= MW_YENC_ESCAPE;
        s->escaped = 0;
        s->line_start = 1;
        return out;
    }
    s->line_start = 0;
    if (s->escaped) {
        s->escaped = 0;
        *out++ = (uint8_t)(c - 106);
    } else if (c == '=') {
        s->escaped = 1;
    } else {
        *out++ = (uint8_t)(c - 42);
    }
    return out;
}

static uint8_t *mw_yenc_unhold(mw_yenc *s, uint8_t *out)
{
    int held = s->held;
    s->held = 0;
    for (int k = 0; k < held; k++)
        out = mw_yenc_octet(s, s->word[k], out);
    return out;
}

/* off: of c in the stream. */
static inline uint8_t *mw_yenc_step(mw_yenc *s, uint8_t c, int64_t off, uint8_t *out)
{
    if (s->held != 0 || (s->line_start && c == '=')) {
        s->word[s->held++] = c;
        int is = mw_yenc_word(s->word, s->held);
        if (is == 2) {
            s->done = 1;
            s->body_len = off + 1 - s->held;
            if (s->held == MW_YENC_WORD)
                s->findings |= MW_YENC_NO_END;
        } else if (is == 0) {
            out = mw_yenc_unhold(s, out);
        }
        return out;
    }
    if (s->dots && s->line_start && c == '.') {
        s->line_start = 0;
        return out;
    }
    return mw_yenc_octet(s, c, out);
}

static uint8_t *mw_yenc_feed_scalar(mw_yenc *s, const uint8_t *p, size_t n, int64_t base, uint8_t *out)
{
    size_t i = 0;
    while (i < n && !s->done) {
        if (!s->line_start && !s->escaped && s->held == 0) {
            for (; i < n && p[i] != '=' && p[i] != '\r' && p[i] != '\n'; i++)
                *out++ = (uint8_t)(p[i] - 42);
            if (i == n)
                break;
        }
        out = mw_yenc_step(s, p[i], base + (int64_t)i, out);
        i++;
    }
    return out;
}

#if MW_X86
/* Stores are whole vectors: out has MW_YENC_SLACK octets of room behind what the rest of the input can yield. */
MW_TARGET("avx2") static uint8_t *mw_yenc_feed_avx2(mw_yenc *s, const uint8_t *p, size_t n, int64_t base, uint8_t *out)
{
    const __m256i eq = _mm256_set1_epi8('='), cr = _mm256_set1_epi8('\r'), lf = _mm256_set1_epi8('\n');
    size_t i = 0;
    while (n - i >= 34 && !s->done) {
        if (!s->line_start && !s->escaped && s->held == 0) {
            __m256i v = _mm256_loadu_si256((const __m256i *)(p + i));
            __m256i ends = _mm256_or_si256(_mm256_cmpeq_epi8(v, cr), _mm256_cmpeq_epi8(v, lf));
            uint32_t hits = (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(ends, _mm256_cmpeq_epi8(v, eq)));
            size_t text = hits ? (size_t)__builtin_ctz(hits) : 32;
            _mm256_storeu_si256((__m256i *)out, _mm256_add_epi8(v, _mm256_set1_epi8(-42)));
            out += text;
            i += text;
            if (text == 32)
                continue;
            if (p[i] == '=' && !mw_ends_line(p[i + 1])) {
                *out++ = (uint8_t)(p[i + 1] - 106);
                i += 2;
                continue;
            }
        }
        out = mw_yenc_step(s, p[i], base + (int64_t)i, out);
        i++;
    }
    return mw_yenc_feed_scalar(s, p + i, n - i, base + (int64_t)i, out);
}

/* 64 octets a round. Left to the step function: "=" at the begin of a line, "=" behind "=" or before a line end, and a
 * dot at the begin of a line where dots were doubled. */
MW_TARGET("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,popcnt,bmi")
static uint8_t *mw_yenc_feed_avx512(mw_yenc *s, const uint8_t *p, size_t n, int64_t base, uint8_t *out)
{
    const __m512i less42 = _mm512_set1_epi8(-42), less64 = _mm512_set1_epi8(-64);
    size_t i = 0;
    while (n - i >= 64 && !s->done) {
        if (!s->escaped && s->held == 0) {
            __m512i v = _mm512_loadu_si512(p + i);
            uint64_t eq = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('='));
            uint64_t ends = _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\r')) |
                            _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('\n'));
            uint64_t begins = ends << 1 | (uint64_t)(s->line_start != 0);
            uint64_t stops = (eq & (begins | eq << 1)) | (ends & eq << 1);
            if (s->dots)
                stops |= begins & _mm512_cmpeq_epi8_mask(v, _mm512_set1_epi8('.'));
            size_t len = stops ? (size_t)__builtin_ctzll(stops) : 64;
            uint64_t part = stops ? ((uint64_t)1 << len) - 1 : ~(uint64_t)0;
            uint64_t keep = ~(eq | ends) & part;
            __m512i value = _mm512_add_epi8(v, less42);
            value = _mm512_mask_add_epi8(value, eq << 1, value, less64);
            _mm512_storeu_si512(out, _mm512_maskz_compress_epi8(keep, value));
            out += __builtin_popcountll(keep);
            i += len;
            if (len != 0) {
                s->escaped = (int)(eq >> (len - 1) & 1);
                s->line_start = (int)(ends >> (len - 1) & 1);
            }
            if (len == 64)
                continue;
        }
        out = mw_yenc_step(s, p[i], base + (int64_t)i, out);
        i++;
    }
    return mw_yenc_feed_scalar(s, p + i, n - i, base + (int64_t)i, out);
}
#endif

/* base: octets of the stream before p; what is held belongs to them. out has room for n + MW_YENC_SLACK octets. level:
 * see mw_vector_level. */
static inline uint8_t *mw_yenc_feed(mw_yenc *s, const uint8_t *p, size_t n, int64_t base, uint8_t *out, int level)
{
#if MW_X86
    if (level >= MW_AVX512)
        return mw_yenc_feed_avx512(s, p, n, base, out);
    if (level >= MW_AVX2)
        return mw_yenc_feed_avx2(s, p, n, base, out);
#endif
    (void)level;
    return mw_yenc_feed_scalar(s, p, n, base, out);
}

/* Writes at most MW_YENC_WORD octets. total: octets of the stream. */
static uint8_t *mw_yenc_finish(mw_yenc *s, int64_t total, uint8_t *out)
{
    if (s->done)
        return out;
    out = mw_yenc_unhold(s, out);
    s->findings |= MW_YENC_NO_END | (s->escaped ? MW_YENC_ESCAPE : 0);
    s->body_len = total;
    s->done = 1;
    return out;
}

/* Offset of the first line from p[i] on that ends a body, or n. */
static size_t mw_yenc_body_end(const uint8_t *p, size_t n, size_t i, int wide)
{
    while (i < n) {
        i = mw_find_line(p, n, i, (const uint8_t *)"=y", 2, wide);
        if (i == n)
            break;
        int len = n - i < MW_YENC_WORD ? (int)(n - i) : MW_YENC_WORD;
        if (mw_yenc_word(p + i, len) == 2)
            return i;
        i += 2;
        i = i < n ? mw_next_line(p, n, mw_line_end(p, n, i, wide)) : n;
    }
    return n;
}

#endif
