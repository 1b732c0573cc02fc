/* Quoted-printable as mail clients decode it (RFC 2045 s6.7).
 *
 * Text between "=", CR and LF is copied as spans. White space that may turn out to end a line, or to stand behind a
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

static int8_t mw_qp_hex[256]; /* filled once at import, then read only */

static void mw_qp_init(void)
{
    memset(mw_qp_hex, -1, sizeof mw_qp_hex);
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

MW_INLINE uint8_t *mw_qp_run(mw_qp *s, const uint8_t *p, size_t n, uint8_t *out, mw_find3_fn find)
{
    size_t i = 0;
    int again;
    while (i < n) {
        if (s->phase != MW_QP_TEXT) {
            out = mw_qp_step(s, p[i], out, &again);
            i += !again;
            continue;
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
    return mw_qp_run(s, p, n, out, mw_find3_scalar);
}

#if MW_X86
MW_TARGET("avx2") static uint8_t *mw_qp_feed_avx2(mw_qp *s, const uint8_t *p, size_t n, uint8_t *out)
{
    return mw_qp_run(s, p, n, out, mw_find3_avx2);
}
#endif

/* out has room for n + MW_QP_HELD + 2 octets. Returns where the output ends. */
static inline uint8_t *mw_qp_feed(mw_qp *s, const uint8_t *p, size_t n, uint8_t *out, int wide)
{
#if MW_X86
    if (wide)
        return mw_qp_feed_avx2(s, p, n, out);
#endif
    (void)wide;
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
