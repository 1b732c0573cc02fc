/* The octet stream after DATA or BDAT (RFC 5321 s4.1.1.4, s4.5.2; RFC 3030).
 *
 * A machine of five phases decides octet by octet; it is the whole truth about where a message ends. Most octets never
 * reach it: a run kernel first finds how many octets in the middle of the text are ordinary, and these are copied as
 * one span. The end of data is the octets CRLF.CRLF and nothing else (or .CRLF as the very first octets), so that no
 * two parties can disagree about it. Whatever else claims to be a line end is an error, which is kept in mind while
 * the true end is still looked for: octets of a refused message are never taken for commands.
 */
#ifndef MW_SMTP_DATA_H
#define MW_SMTP_DATA_H

#include "cpu.h"

enum { MW_CR = 13, MW_LF = 10 };
enum { MW_BARE_CR = 1, MW_BARE_LF = 2, MW_NUL = 3 };

enum {
    MW_AT_LINE,  /* before the first octet, or behind CRLF */
    MW_IN_TEXT,  /* somewhere in a line */
    MW_AFTER_CR, /* the CR is held back until it is known whether it is bare */
    MW_AFTER_DOT,    /* line so far: "."; held back */
    MW_AFTER_DOT_CR, /* line so far: ".", CR; held back */
};

typedef struct {
    int64_t size;  /* octets of the message so far, those that were not put out included */
    int64_t limit; /* octets that are put out at most */
    int64_t hops;  /* Received fields */
    int phase;
    int error;
    int matched; /* octets of "received:" that this header line begins with; -1: another line */
    int header_open;
    int error_in_header;
    int done;
    int dots; /* dot-stuffed stream (DATA), or as it is (BDAT) */
    int wide; /* AVX2 may be used */
} mw_data;

typedef struct {
    uint8_t *at; /* NULL: count only */
    size_t len;
} mw_sink;

/* What a run stops at, besides a CR that is the last octet (its successor is unknown). */
enum {
    MW_STRICT = 1, /* NUL, CR without LF, LF without CR */
    MW_DOTS = 2,   /* a dot behind LF */
    MW_HEADER = 4, /* behind LF: a CR (perhaps the empty line), r or R (perhaps Received) */
};

/* The octet before p[0] counts as ordinary. Returns how many octets come before the first stop. A run never ends in
 * a CR, so the caller sees from its last two octets whether it ended a line. */
static size_t mw_data_run_scalar(const uint8_t *p, size_t n, unsigned stops)
{
    uint8_t prev = 'x';
    for (size_t i = 0; i < n; i++) {
        uint8_t c = p[i];
        if (stops & MW_STRICT) {
            if (c == 0 || (c == MW_LF && prev != MW_CR))
                return i;
            if (c == MW_CR && (i + 1 == n || p[i + 1] != MW_LF))
                return i;
        } else if (c == MW_CR && i + 1 == n) {
            return i;
        }
        if (prev == MW_LF) {
            if ((stops & MW_DOTS) && c == '.')
                return i;
            if ((stops & MW_HEADER) && (c == MW_CR || c == 'r' || c == 'R'))
                return i;
        }
        prev = c;
    }
    return n;
}

#if MW_X86
#define MW_EQ64(lo, hi, value)                                                                                         \
    ((uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8((lo), _mm256_set1_epi8((char)(value)))) |              \
     (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8((hi), _mm256_set1_epi8((char)(value)))) << 32)

/* 64 octets at a time as bit masks, bit k for octet k: shifting the mask of CR up by one says where an LF has to be.
 * Reads nothing behind p[n-1]: the last block is copied out and filled with ordinary octets. */
MW_TARGET("avx2") static size_t mw_data_run_avx2(const uint8_t *p, size_t n, unsigned stops)
{
    uint64_t cr_before = 0, lf_before = 0; /* bit 0: the last octet of the block before */
    uint8_t tail[64];
    for (size_t i = 0; i < n; i += 64) {
        const uint8_t *block = p + i;
        if (n - i < 64) {
            memset(tail, 'x', sizeof tail);
            memcpy(tail, block, n - i);
            block = tail;
        }
        __m256i lo = _mm256_loadu_si256((const __m256i *)block);
        __m256i hi = _mm256_loadu_si256((const __m256i *)(block + 32));
        uint64_t cr = MW_EQ64(lo, hi, MW_CR), lf = MW_EQ64(lo, hi, MW_LF), stop = 0;
        uint64_t behind_cr = cr << 1 | cr_before, behind_lf = lf << 1 | lf_before;
        if (stops & MW_STRICT) {
            uint64_t bare_cr = behind_cr & ~lf; /* marks the octet behind the bare CR */
            if (bare_cr & cr_before)
                return i - 1;
            stop = MW_EQ64(lo, hi, 0) | (lf & ~behind_cr) | bare_cr >> 1;
        }
        if (behind_lf) {
            if (stops & MW_DOTS)
                stop |= behind_lf & MW_EQ64(lo, hi, '.');
            if (stops & MW_HEADER)
                stop |= behind_lf & (cr | MW_EQ64(lo, hi, 'r') | MW_EQ64(lo, hi, 'R'));
        }
        if (stop)
            return i + (size_t)__builtin_ctzll(stop);
        cr_before = cr >> 63;
        lf_before = lf >> 63;
    }
    return n != 0 && p[n - 1] == MW_CR ? n - 1 : n;
}
#endif

static inline size_t mw_data_run(const uint8_t *p, size_t n, unsigned stops, int wide)
{
#if MW_X86
    if (wide)
        return mw_data_run_avx2(p, n, stops);
#endif
    (void)wide;
    return mw_data_run_scalar(p, n, stops);
}

static inline void mw_data_init(mw_data *s, int64_t limit, int dots, int wide)
{
    memset(s, 0, sizeof *s);
    s->limit = limit;
    s->phase = MW_AT_LINE;
    s->header_open = 1;
    s->dots = dots;
    s->wide = wide;
}

static inline void mw_data_fail(mw_data *s, int error)
{
    if (s->error == 0) {
        s->error = error;
        s->error_in_header = s->header_open;
    }
}

/* Counts len octets of the message; puts out those before the first error and within the limit. */
static inline void mw_data_put(mw_data *s, mw_sink *sink, const uint8_t *p, size_t len)
{
    if (s->error == 0 && s->size < s->limit) {
        uint64_t room = (uint64_t)(s->limit - s->size);
        size_t take = len <= room ? len : (size_t)room;
        if (sink->at != NULL)
            memcpy(sink->at + sink->len, p, take);
        sink->len += take;
    }
    s->size += (int64_t)len;
}

static inline void mw_data_match(mw_data *s, uint8_t c)
{
    static const char name[] = "received:";
    if (s->matched < 0)
        return;
    if (c >= 'A' && c <= 'Z')
        c |= 0x20;
    if (c != (uint8_t)name[s->matched]) {
        s->matched = -1;
    } else if (++s->matched == (int)sizeof name - 1) {
        s->hops++;
        s->matched = -1;
    }
}

/* An octet of a line, whatever a dot before it meant. */
static inline void mw_data_text(mw_data *s, mw_sink *sink, uint8_t c)
{
    if (c == MW_CR) {
        s->phase = MW_AFTER_CR;
        return;
    }
    s->phase = MW_IN_TEXT;
    if (c == MW_LF)
        mw_data_fail(s, MW_BARE_LF);
    else if (c == 0)
        mw_data_fail(s, MW_NUL);
    mw_data_put(s, sink, &c, 1);
    if (s->header_open && s->error == 0)
        mw_data_match(s, c);
}

static inline void mw_data_bare_cr(mw_data *s, mw_sink *sink)
{
    mw_data_fail(s, MW_BARE_CR);
    mw_data_put(s, sink, (const uint8_t *)"\r", 1);
}

static inline void mw_data_step(mw_data *s, mw_sink *sink, uint8_t c)
{
    switch (s->phase) {
    case MW_AFTER_CR:
        if (c == MW_LF) {
            if (s->matched == 0 && s->error == 0)
                s->header_open = 0; /* the empty line; once closed it stays closed */
            mw_data_put(s, sink, (const uint8_t *)"\r\n", 2);
            s->phase = MW_AT_LINE;
            s->matched = 0;
            return;
        }
        mw_data_bare_cr(s, sink);
        break;
    case MW_AFTER_DOT:
        if (c == MW_CR) {
            s->phase = MW_AFTER_DOT_CR;
            return;
        }
        break; /* the dot was stuffed: it is dropped, RFC 5321 s4.5.2 */
    case MW_AFTER_DOT_CR:
        if (c == MW_LF) {
            s->done = 1;
            return;
        }
        mw_data_bare_cr(s, sink);
        break;
    case MW_AT_LINE:
        if (c == '.' && s->dots) {
            s->phase = MW_AFTER_DOT;
            return;
        }
        break;
    default:
        break;
    }
    mw_data_text(s, sink, c);
}

/* Takes octets until the end of data or n. sink has room for n + 1 octets (one may have been held back) or is NULL.
 * Returns the number of octets used. */
static size_t mw_data_feed(mw_data *s, const uint8_t *in, size_t n, mw_sink *sink)
{
    size_t i = 0;
    while (i < n && !s->done) {
        int in_header = s->header_open && s->error == 0;
        if (s->phase == MW_IN_TEXT && !(in_header && s->matched > 0)) {
            unsigned stops = (s->error == 0 ? MW_STRICT : 0u) | (s->dots ? MW_DOTS : 0u) | (in_header ? MW_HEADER : 0u);
            size_t run = mw_data_run(in + i, n - i, stops, s->wide);
            if (run != 0) {
                mw_data_put(s, sink, in + i, run);
                i += run;
                s->matched = -1;
                if (run >= 2 && in[i - 1] == MW_LF && in[i - 2] == MW_CR) {
                    s->phase = MW_AT_LINE;
                    s->matched = 0;
                }
                if (i == n)
                    break;
            }
        }
        mw_data_step(s, sink, in[i++]);
    }
    return i;
}

/* Whether the whole chunk is body text that goes out as it came; if so it is accounted for. */
static int mw_data_pass(mw_data *s, const uint8_t *in, size_t n)
{
    unsigned stops = MW_STRICT | (s->dots ? MW_DOTS : 0u);
    if (n == 0 || s->header_open || s->error != 0 || s->done || s->phase > MW_IN_TEXT)
        return 0;
    if (s->size > s->limit || (uint64_t)(s->limit - s->size) < n)
        return 0;
    if (s->phase == MW_AT_LINE && s->dots && in[0] == '.')
        return 0;
    if (mw_data_run(in, n, stops, s->wide) != n)
        return 0;
    s->size += (int64_t)n;
    s->phase = in[n - 1] == MW_LF ? MW_AT_LINE : MW_IN_TEXT;
    s->matched = s->phase == MW_AT_LINE ? 0 : -1;
    return 1;
}

static inline size_t mw_dot_put(uint8_t *out, size_t made, const uint8_t *p, size_t len)
{
    if (out != NULL)
        memcpy(out + made, p, len);
    return made + len;
}

/* Writes p[0..n) with a dot before every dot that begins a line; out NULL: only counts. Returns the octets needed. */
static size_t mw_dot_stuff(const uint8_t *p, size_t n, int at_line, uint8_t *out, int wide)
{
    size_t i = 0, made = 0;
    if (n != 0 && at_line && p[0] == '.')
        made = mw_dot_put(out, made, p, 1);
    while (i < n) {
        size_t run = mw_data_run(p + i, n - i, MW_DOTS, wide);
        if (i + run < n && p[i + run] != '.')
            run = n - i; /* stopped at a CR that is last: nothing to stuff there */
        made = mw_dot_put(out, made, p + i, run);
        i += run;
        if (i < n)
            made = mw_dot_put(out, made, p + i, 1);
    }
    return made;
}

#endif
