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
enum { MW_UUE_SLACK = 64 };     /* vectors are stored whole */
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

/* "begin", space, octal mode, space, name: the offset of the name, or 0. line has no line end. Behind three digits and
 * more the name may be missing: readers take the subject's or make one up. */
static size_t mw_uue_begins(const uint8_t *line, size_t n)
{
    size_t i = 6, digits = 0;
    if (n < 6 || memcmp(line, "begin ", 6) != 0)
        return 0;
    for (; i < n && line[i] >= '0' && line[i] <= '7'; i++)
        digits++;
    if (digits < 1 || digits > 6 || (i < n && line[i] != ' '))
        return 0;
    while (i < n && (line[i] == ' ' || line[i] == '\t'))
        i++;
    return i < n || digits >= 3 ? i : 0;
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

#if MW_X86
enum { MW_UUE_WIDE = 66 }; /* octets of a line of at most 48, with a length before and a line end behind */

/* 32 values in UUE to 24 octets; writes 32. */
MW_TARGET("avx2") MW_INLINE void mw_uue_decode32(__m256i text, uint8_t *out)
{
    const __m256i pick = _mm256_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1, 2, 1, 0, 6, 5, 4, 10,
                                          9, 8, 14, 13, 12, -1, -1, -1, -1);
    __m256i value = _mm256_and_si256(_mm256_sub_epi8(text, _mm256_set1_epi8(' ')), _mm256_set1_epi8(0x3f));
    /* as in base64.h: two values in 16 bits each, then four in 24 of 32 bits, then those side by side */
    __m256i pairs = _mm256_maddubs_epi16(value, _mm256_set1_epi32(0x01400140));
    __m256i groups = _mm256_shuffle_epi8(_mm256_madd_epi16(pairs, _mm256_set1_epi32(0x00011000)), pick);
    groups = _mm256_permutevar8x32_epi32(groups, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7));
    _mm256_storeu_si256((__m256i *)out, groups);
}

/* Which of 32 octets are none of UUE. */
MW_TARGET("avx2") MW_INLINE uint32_t mw_uue_foreign(__m256i text)
{
    __m256i off = _mm256_sub_epi8(text, _mm256_set1_epi8(' '));
    __m256i fits = _mm256_cmpeq_epi8(_mm256_min_epu8(off, _mm256_set1_epi8(0x40)), off);
    return ~(uint32_t)_mm256_movemask_epi8(fits);
}

/* Data lines of up to 48 octets that are as they should be, from p[*at] on, as long as there are any. Such a line holds
 * exactly the values that it needs, all of the alphabet, and ends there: so it cannot be a begin or end line. */
MW_TARGET("avx2,bmi")
static uint8_t *mw_uue_lines(mw_uue *s, const uint8_t *p, size_t n, size_t *at, int64_t base, uint8_t *out)
{
    size_t i = *at;
    while (n - i > MW_UUE_WIDE) {
        size_t len = mw_uue_value(p[i]), wanted = (len * 4 + 2) / 3, end = i + 1 + wanted;
        if (len == 0 || len > 48 || p[i] < ' ' || p[i] > '`' || !mw_ends_line(p[end]))
            break;
        __m256i low = _mm256_loadu_si256((const __m256i *)(p + i + 1));
        __m256i high = _mm256_loadu_si256((const __m256i *)(p + i + 33));
        uint64_t foreign = mw_uue_foreign(low) | (uint64_t)mw_uue_foreign(high) << 32;
        if ((foreign ? (size_t)__builtin_ctzll(foreign) : 64) < wanted)
            break;
        mw_uue_decode32(low, out);
        mw_uue_decode32(high, out + 24);
        out += len;
        s->credit += wanted + 2 - len; /* longer than what it stands for */
        i = end + 1 + (p[end] == '\r' && p[end + 1] == '\n');
    }
    if (i != *at) {
        if (s->credit > MW_UUE_CREDIT)
            s->credit = MW_UUE_CREDIT;
        s->line_off = base + (int64_t)i;
    }
    *at = i;
    return out;
}
#endif

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
#if MW_X86
        if (wide && s->held == 0) {
            out = mw_uue_lines(s, p, n, &i, base, out);
            if (i == n)
                break;
        }
#endif
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
    return n + s->credit + s->held + 2 + MW_UUE_SLACK;
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
