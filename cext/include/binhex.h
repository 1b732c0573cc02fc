/* BinHex 4.0 (RFC 1741 appendix A): text to octets, and runs of octets that were packed as octet, 0x90, count.
 *
 * The text is decoded first; then the runs in it are counted, and expanded to just that room: two octets may stand for
 * 255, so output ends at the limit that the caller names.
 */
#ifndef MW_BINHEX_H
#define MW_BINHEX_H

#include "span.h"

enum { MW_BINHEX_JUNK = 1, MW_BINHEX_NO_END = 2, MW_BINHEX_RUN = 4, MW_BINHEX_OVER = 8 };
enum { MW_BINHEX_FIRST = 24 }; /* values that a first line has at least: the header alone needs 32 */
enum { MW_BINHEX_MARK = 0x90 };

/* Kinds of octets, told from the 64 values by the two upper bits. */
enum { MW_BINHEX_WHITE = 0x40, MW_BINHEX_COLON = 0x80, MW_BINHEX_OTHER = 0xc0, MW_BINHEX_KIND = 0xc0 };

typedef struct {
    int64_t body_len; /* octets of the stream up to and including the closing colon; final when done */
    int64_t left;     /* octets that may still be output */
    uint32_t bits;    /* of the group that is open */
    int held;         /* values in it, 0 to 3 */
    int done;
    int findings;
    int marked; /* 0x90 was seen: a count has to follow */
    int any;    /* there is a last octet, that a run may repeat */
    uint8_t last;
} mw_binhex;

static uint8_t mw_binhex_value[256]; /* filled once at import, then read only */

static void mw_binhex_init(void)
{
    static const char alphabet[] = "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr";
    memset(mw_binhex_value, MW_BINHEX_OTHER, sizeof mw_binhex_value);
    for (int v = 0; v < 64; v++)
        mw_binhex_value[(uint8_t)alphabet[v]] = (uint8_t)v;
    mw_binhex_value['\r'] = mw_binhex_value['\n'] = MW_BINHEX_WHITE;
    mw_binhex_value[' '] = mw_binhex_value['\t'] = MW_BINHEX_WHITE;
    mw_binhex_value[':'] = MW_BINHEX_COLON;
}

static inline void mw_binhex_start(mw_binhex *s, int64_t limit)
{
    memset(s, 0, sizeof *s);
    s->left = limit;
}

/* Whether a colon and enough values stand at p[0..n). */
static int mw_binhex_begins(const uint8_t *p, size_t n)
{
    if (n < 1 + MW_BINHEX_FIRST || p[0] != ':')
        return 0;
    for (size_t i = 1; i <= MW_BINHEX_FIRST; i++)
        if (mw_binhex_value[p[i]] & MW_BINHEX_KIND)
            return 0;
    return 1;
}

/* Text to packed octets; out has room for n / 4 * 3 + 4. base: octets of the stream before p. Stops behind a colon. */
static uint8_t *mw_binhex_text(mw_binhex *s, const uint8_t *p, size_t n, int64_t base, uint8_t *out)
{
    size_t i = 0;
    while (i < n && !s->done) {
        if (s->held == 0) {
            for (; n - i >= 4; i += 4, out += 3) {
                uint8_t a = mw_binhex_value[p[i]], b = mw_binhex_value[p[i + 1]];
                uint8_t c = mw_binhex_value[p[i + 2]], d = mw_binhex_value[p[i + 3]];
                if ((a | b | c | d) & MW_BINHEX_KIND)
                    break;
                out[0] = (uint8_t)(a << 2 | b >> 4);
                out[1] = (uint8_t)(b << 4 | c >> 2);
                out[2] = (uint8_t)(c << 6 | d);
            }
            if (i == n)
                break;
        }
        uint8_t v = mw_binhex_value[p[i++]];
        if (v == MW_BINHEX_OTHER) {
            s->findings |= MW_BINHEX_JUNK;
        } else if (v == MW_BINHEX_COLON) {
            s->done = 1;
            s->body_len = base + (int64_t)i;
        } else if (v != MW_BINHEX_WHITE) {
            /* an octet is whole with its last bit: what is open holds 6, 4 or 2 bits of the next */
            s->bits = s->bits << 6 | v;
            s->held = (s->held + 1) & 3;
            if (s->held != 1)
                *out++ = (uint8_t)(s->bits >> (6 - 2 * ((s->held + 3) & 3)));
        }
    }
    return out;
}

/* Where the next mark is in p[0..n), or n. */
__attribute__((noinline)) static size_t mw_binhex_mark(const uint8_t *p, size_t n)
{
    const uint8_t *mark = memchr(p, MW_BINHEX_MARK, n);
    return mark ? (size_t)(mark - p) : n;
}

/* Octets that p[0..n) expands to, if it is all output. */
static size_t mw_binhex_count(const mw_binhex *s, const uint8_t *p, size_t n)
{
    size_t i = 0, total = 0;
    int marked = s->marked, any = s->any;
    while (i < n) {
        if (marked) {
            size_t count = p[i++];
            marked = 0;
            if (count == 0) {
                total++;
                any = 1;
            } else if (any) {
                total += count - 1;
            }
            continue;
        }
        size_t text = mw_binhex_mark(p + i, n - i);
        total += text;
        any |= text != 0;
        i += text;
        marked = i < n;
        i += i < n;
    }
    return total;
}

static inline size_t mw_binhex_allow(mw_binhex *s, size_t n)
{
    if ((int64_t)n > s->left) {
        n = (size_t)s->left;
        s->findings |= MW_BINHEX_OVER;
    }
    s->left -= (int64_t)n;
    return n;
}

/* Expands p[0..n) to out, which has room for what mw_binhex_count says or for what is left, whichever is less. */
static uint8_t *mw_binhex_expand(mw_binhex *s, const uint8_t *p, size_t n, uint8_t *out)
{
    size_t i = 0;
    while (i < n) {
        size_t len;
        if (s->marked) {
            size_t count = p[i++];
            s->marked = 0;
            if (count == 0) {
                s->last = MW_BINHEX_MARK;
                s->any = 1;
                count = 2;
            } else if (!s->any) {
                s->findings |= MW_BINHEX_RUN; /* nothing to repeat */
                continue;
            }
            len = mw_binhex_allow(s, count - 1);
            memset(out, s->last, len);
            out += len;
            continue;
        }
        size_t text = mw_binhex_mark(p + i, n - i);
        if (text != 0) {
            len = mw_binhex_allow(s, text);
            memcpy(out, p + i, len);
            out += len;
            s->last = p[i + text - 1];
            s->any = 1;
        }
        i += text;
        s->marked = i < n;
        i += i < n;
    }
    return out;
}

static inline void mw_binhex_finish(mw_binhex *s, int64_t total)
{
    if (s->marked)
        s->findings |= MW_BINHEX_RUN;
    s->marked = 0;
    if (!s->done) {
        s->findings |= MW_BINHEX_NO_END;
        s->body_len = total;
        s->done = 1;
    }
}

#endif
