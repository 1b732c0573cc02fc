/* Data that an RTF document holds in hexadecimal or raw (\bin): one pass over groups, control words and text.
 *
 * Readers differ in what they pass over inside of such data, and documents that hide something live on that. So the same
 * pass can be made in several readings (MW_RTF_*); whether they can differ at all is told by `unclear`. */
#ifndef MW_RTF_H
#define MW_RTF_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    MW_RTF_GROUPS = 1,   /* digits in groups inside of the data count, whatever these are for */
    MW_RTF_FLAT = 2,     /* only digits in the group of the data itself count */
    MW_RTF_ESCAPES = 4,  /* \'hh gives two digits */
    MW_RTF_NO_BIN = 8    /* \bin is passed over like any other word: what follows is text */
};

enum { MW_RTF_WORD_LEN = 32 };

typedef struct {
    size_t off;  /* of the control word in the document */
    size_t from; /* in out */
    size_t len;
} mw_rtf_blob;

typedef struct {
    uint8_t *out;
    size_t len, room, cap;
    mw_rtf_blob *blobs;
    size_t count, most, blob_cap;
    int over;    /* cut at room, or more blobs than most */
    int unclear; /* readings may differ */
    int failed;  /* no memory */
} mw_rtf;

static int mw_rtf_put(mw_rtf *s, const uint8_t *p, size_t n)
{
    if (n > s->room - s->len) {
        n = s->room - s->len;
        s->over = 1;
    }
    if (n > s->cap - s->len) {
        size_t cap = s->cap ? s->cap : 4096;
        uint8_t *grown;
        while (cap - s->len < n)
            cap *= 2;
        grown = realloc(s->out, cap);
        if (!grown) {
            s->failed = 1;
            return 0;
        }
        s->out = grown;
        s->cap = cap;
    }
    if (n) {
        memcpy(s->out + s->len, p, n);
        s->len += n;
    }
    return !s->over;
}

static int mw_rtf_begin(mw_rtf *s, size_t off)
{
    if (s->count == s->most) {
        s->over = 1;
        return 0;
    }
    if (s->count == s->blob_cap) {
        size_t cap = s->blob_cap ? s->blob_cap * 2 : 16;
        mw_rtf_blob *grown = realloc(s->blobs, cap * sizeof(mw_rtf_blob));
        if (!grown) {
            s->failed = 1;
            return 0;
        }
        s->blobs = grown;
        s->blob_cap = cap;
    }
    s->blobs[s->count].off = off;
    s->blobs[s->count].from = s->len;
    s->blobs[s->count++].len = 0;
    return 1;
}

static inline int mw_rtf_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline int mw_rtf_letter(uint8_t c)
{
    c |= 0x20;
    return c >= 'a' && c <= 'z';
}

static inline int mw_rtf_is(const uint8_t *p, size_t n, const char *word)
{
    size_t i;
    for (i = 0; i < n && word[i]; i++)
        if ((p[i] | 0x20) != (uint8_t)word[i])
            return 0;
    return i == n && !word[i];
}

/* The whole document p[0..n). Every turn of the outer loop takes at least one octet. State beside the output: counters. */
static void mw_rtf_read(mw_rtf *s, const uint8_t *p, size_t n, int reading)
{
    size_t i = 0;
    int64_t depth = 0, data_depth = 0, skip_depth = 0; /* skip_depth: a group inside of the data that is passed over */
    int in_data = 0, half = -1;
    while (i < n && !s->over && !s->failed) {
        uint8_t c = p[i];
        if (c == '{') {
            depth++;
            i++;
            if (in_data)
                s->unclear = 1;
            continue;
        }
        if (c == '}') {
            if (in_data && depth <= data_depth) {
                s->blobs[s->count - 1].len = s->len - s->blobs[s->count - 1].from;
                in_data = 0;
            }
            if (skip_depth && depth <= skip_depth)
                skip_depth = 0;
            depth--;
            i++;
            continue;
        }
        if (c == '\\') {
            size_t word = ++i, len, value = 0;
            int negative = 0, digits = 0;
            if (i == n)
                break;
            if (!mw_rtf_letter(p[i])) {
                if (p[i] == '*') {
                    if (in_data && depth > data_depth && !skip_depth && !(reading & MW_RTF_GROUPS))
                        skip_depth = depth;
                } else if (p[i] == '\'') {
                    if (in_data)
                        s->unclear = 1;
                    i++;
                    if (!(in_data && (reading & MW_RTF_ESCAPES)))
                        i += n - i < 2 ? n - i : 2;
                    continue;
                }
                i++;
                continue;
            }
            while (i < n && mw_rtf_letter(p[i]) && i - word < MW_RTF_WORD_LEN)
                i++;
            len = i - word;
            if (i < n && p[i] == '-') {
                negative = 1;
                i++;
            }
            while (i < n && p[i] >= '0' && p[i] <= '9' && digits < 10) {
                value = value * 10 + (p[i++] - '0');
                digits++;
            }
            if (i < n && p[i] == ' ')
                i++;
            if (mw_rtf_is(p + word, len, "bin") && digits && !negative && value) {
                size_t there = n - i < value ? n - i : value;
                if (!in_data)
                    s->unclear = 1;
                if (!(reading & MW_RTF_NO_BIN)) {
                    if (in_data && !skip_depth) {
                        half = -1;
                        mw_rtf_put(s, p + i, there);
                    }
                    i += there;
                }
            } else if (mw_rtf_is(p + word, len, "objdata") || mw_rtf_is(p + word, len, "datastore")) {
                if (in_data) {
                    s->blobs[s->count - 1].len = s->len - s->blobs[s->count - 1].from;
                    s->unclear = 1;
                }
                in_data = mw_rtf_begin(s, word - 1);
                data_depth = depth;
                skip_depth = 0;
                half = -1;
            }
            continue;
        }
        if (!in_data) {
            while (i < n && p[i] != '\\' && p[i] != '{' && p[i] != '}')
                i++;
            continue;
        }
        if (!skip_depth && !((reading & MW_RTF_FLAT) && depth > data_depth)) {
            uint8_t octets[256];
            size_t made = 0;
            for (; i < n && made < sizeof octets; i++) {
                int digit = mw_rtf_digit(p[i]);
                if (digit >= 0) {
                    if (half < 0) {
                        half = digit;
                    } else {
                        octets[made++] = (uint8_t)(half << 4 | digit);
                        half = -1;
                    }
                } else if (p[i] == '\\' || p[i] == '{' || p[i] == '}') {
                    break;
                }
            }
            mw_rtf_put(s, octets, made);
        } else {
            i++;
        }
    }
    if (in_data && s->count)
        s->blobs[s->count - 1].len = s->len - s->blobs[s->count - 1].from;
}

#endif
