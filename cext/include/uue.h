/* The body of a UUE file (uuencode of POSIX): lines of a length octet and groups of four octets for three.
 *
 * A line is decoded when its end is seen; until then at most its first MW_UUE_LINE octets are held. Space and backquote
 * both are zero. Transports cut trailing spaces off lines, so what a line lacks are zeros. But two octets can ask for
 * 63, and encoded text must not expand: beyond a fixed credit, output stays below input.
 */
#ifndef MW_UUE_H
#define MW_UUE_H

#include "span.h"

enum { MW_UUE_NO_END = 1, MW_UUE_JUNK = 2, MW_UUE_SHORT = 4 };
enum { MW_UUE_LINE = 128 };     /* octets of a line that count; data need 1 + 84 */
enum { MW_UUE_CREDIT = 65536 }; /* octets that output may be ahead of input */

typedef struct {
    int64_t body_len; /* octets of the stream that belong to the file; final when done */
    int64_t line_off; /* where the current line begins in the stream */
    int done;
    int lf_due; /* the end line ended with CR: an LF belongs to it */
    int findings;
    size_t credit;
    size_t held;
    uint8_t line[MW_UUE_LINE];
} mw_uue;

static inline void mw_uue_start(mw_uue *s)
{
    memset(s, 0, sizeof *s);
    s->credit = MW_UUE_CREDIT;
}

/* "begin", space, octal mode, space, name: the offset of the name, or 0. line has no line end. */
static size_t mw_uue_begins(const uint8_t *line, size_t n)
{
    size_t i = 6, digits = 0;
    if (n < 6 || memcmp(line, "begin ", 6) != 0)
        return 0;
    for (; i < n && line[i] >= '0' && line[i] <= '7'; i++)
        digits++;
    if (digits < 1 || digits > 6 || i == n || line[i] != ' ')
        return 0;
    while (i < n && (line[i] == ' ' || line[i] == '\t'))
        i++;
    return i < n ? i : 0;
}

static int mw_uue_ends(const uint8_t *line, size_t n)
{
    if (n < 3 || memcmp(line, "end", 3) != 0)
        return 0;
    for (size_t i = 3; i < n; i++)
        if (line[i] != ' ' && line[i] != '\t')
            return 0;
    return 1;
}

static inline uint32_t mw_uue_value(uint8_t c)
{
    return (uint32_t)(c - ' ') & 0x3f;
}

/* Writes len octets, 1 to 63, from the n <= 84 octets at p; what is missing counts as zero. */
static inline void mw_uue_groups(const uint8_t *p, size_t n, uint8_t *out, size_t len)
{
    for (; n >= 4 && len >= 3; p += 4, n -= 4, out += 3, len -= 3) {
        uint32_t v = mw_uue_value(p[0]) << 18 | mw_uue_value(p[1]) << 12 | mw_uue_value(p[2]) << 6 | mw_uue_value(p[3]);
        out[0] = (uint8_t)(v >> 16);
        out[1] = (uint8_t)(v >> 8);
        out[2] = (uint8_t)v;
    }
    for (size_t done = 0; done < len; done += 3) {
        uint32_t v = 0;
        for (int k = 0; k < 4; k++, n -= n != 0)
            v = v << 6 | (n != 0 ? mw_uue_value(*p++) : 0);
        for (size_t k = 0; k < 3 && done + k < len; k++)
            out[done + k] = (uint8_t)(v >> (16 - 8 * k));
    }
}

/* One data line. Writes at most 63 octets, and over all lines no more than their octets and the first credit. */
static uint8_t *mw_uue_data(mw_uue *s, const uint8_t *line, size_t n, uint8_t *out)
{
    size_t len = mw_uue_value(line[0]), wanted, there = n - 1;
    int foreign = 0;
    if (line[0] < ' ' || line[0] > '`') {
        s->findings |= MW_UUE_JUNK;
        return out;
    }
    wanted = (len * 4 + 2) / 3; /* 6 bits each */
    if (there > wanted)
        there = wanted; /* a checksum, or filling */
    for (size_t i = 1; i <= there; i++)
        foreign |= line[i] < ' ' || line[i] > '`';
    if (foreign)
        s->findings |= MW_UUE_JUNK;
    s->credit += n + 1;
    if (there < wanted) {
        s->findings |= MW_UUE_SHORT;
        if (len > s->credit)
            len = there * 3 / 4;
    }
    mw_uue_groups(line + 1, there, out, len);
    s->credit -= len;
    if (s->credit > MW_UUE_CREDIT)
        s->credit = MW_UUE_CREDIT;
    return out + len;
}

/* A whole line without its end, of which n <= MW_UUE_LINE octets count; behind: where the next one begins. */
static uint8_t *mw_uue_line(mw_uue *s, const uint8_t *line, size_t n, int64_t behind, uint8_t *out)
{
    if (mw_uue_ends(line, n)) {
        s->done = 1;
        s->body_len = behind;
    } else if (mw_uue_begins(line, n)) {
        s->done = 1; /* another file begins: it is not hidden in this one */
        s->body_len = s->line_off;
        s->findings |= MW_UUE_NO_END;
    } else if (n != 0) {
        out = mw_uue_data(s, line, n, out);
    }
    s->line_off = behind;
    return out;
}

static inline void mw_uue_hold(mw_uue *s, const uint8_t *p, size_t n)
{
    size_t room = MW_UUE_LINE - s->held;
    if (n > room)
        n = room;
    memcpy(s->line + s->held, p, n);
    s->held += n;
}

/* base: octets of the stream before p. out has room for mw_uue_room(). Returns where the output ends. CRLF is a line
 * end and an empty line behind it, which means nothing. */
static uint8_t *mw_uue_feed(mw_uue *s, const uint8_t *p, size_t n, int64_t base, uint8_t *out, int wide)
{
    size_t i = 0;
    if (s->lf_due && n != 0) {
        s->lf_due = 0;
        s->body_len += p[0] == '\n';
    }
    while (i < n && !s->done) {
        size_t end = mw_line_end(p, n, i, wide);
        if (end == n || s->held != 0) {
            mw_uue_hold(s, p + i, end - i);
            if (end == n)
                break;
            size_t held = s->held;
            s->held = 0;
            out = mw_uue_line(s, s->line, held, base + (int64_t)end + 1, out);
        } else {
            size_t len = end - i < MW_UUE_LINE ? end - i : MW_UUE_LINE;
            out = mw_uue_line(s, p + i, len, base + (int64_t)end + 1, out);
        }
        i = end + 1;
        if (s->done && p[end] == '\r' && s->body_len == base + (int64_t)i) {
            s->lf_due = i == n;
            s->body_len += i < n && p[i] == '\n';
        }
    }
    return out;
}

static inline size_t mw_uue_room(const mw_uue *s, size_t n)
{
    return n + s->credit + s->held + 2;
}

/* The last line may lack its end. total: octets of the stream. Writes at most 63 octets. */
static uint8_t *mw_uue_finish(mw_uue *s, int64_t total, uint8_t *out)
{
    if (!s->done)
        out = mw_uue_line(s, s->line, s->held, total, out);
    s->held = 0;
    s->lf_due = 0;
    if (!s->done) {
        s->findings |= MW_UUE_NO_END;
        s->body_len = total;
        s->done = 1;
    }
    return out;
}

/* Offset behind the file whose body begins at p[i], and whether it ends with an end line. */
static size_t mw_uue_body_end(const uint8_t *p, size_t n, size_t i, int *ended, int wide)
{
    *ended = 0;
    while (i < n) {
        size_t end = mw_line_end(p, n, i, wide), len = end - i < MW_UUE_LINE ? end - i : MW_UUE_LINE;
        if (mw_uue_begins(p + i, len))
            return i;
        *ended = mw_uue_ends(p + i, len);
        i = mw_next_line(p, n, end);
        if (*ended)
            break;
    }
    return i;
}

#endif
