/* Compressed RTF (MS-OXRTFCP): octets and references into a ring of 4096, eight of either to a control octet.
 *
 * A reference may be cut by the end of a chunk, so its first octet is kept. It stands for at most 17 octets: output is at
 * most nine times the input, and ends at the limit that the caller names.
 */
#ifndef MW_LZFU_H
#define MW_LZFU_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MW_LZFU_NO_END = 1, MW_LZFU_OVER = 2 };
enum { MW_LZFU_RING = 4096, MW_LZFU_EXPANSION = 9 };

/* What the ring holds at first (MS-OXRTFCP s2.1.2.1): words that every RTF text has. */
static const char mw_lzfu_words[] =
    "{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans "
    "SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u"
    "\\tab\\tx";

typedef struct {
    int64_t left; /* octets that may still be output */
    uint32_t at;  /* where the ring is written next */
    int control;  /* what is left of the control octet, above it a 1 as its end; 1: a new one is due */
    int first;    /* of a reference whose second octet is due; -1: none */
    int done;
    int findings;
    uint8_t ring[MW_LZFU_RING];
} mw_lzfu;

static inline void mw_lzfu_start(mw_lzfu *s, int64_t limit)
{
    memset(s, 0, sizeof *s);
    memcpy(s->ring, mw_lzfu_words, sizeof mw_lzfu_words - 1);
    s->at = sizeof mw_lzfu_words - 1;
    s->control = 1;
    s->first = -1;
    s->left = limit;
}

static inline uint8_t *mw_lzfu_put(mw_lzfu *s, uint8_t c, uint8_t *out)
{
    s->ring[s->at] = c;
    s->at = (s->at + 1) & (MW_LZFU_RING - 1);
    if (s->left == 0) {
        s->findings |= MW_LZFU_OVER;
        s->done = 1;
        return out;
    }
    s->left--;
    *out++ = c;
    return out;
}

/* out has room for MW_LZFU_EXPANSION * (n + 1) octets, or for what is left. */
static uint8_t *mw_lzfu_feed(mw_lzfu *s, const uint8_t *p, size_t n, uint8_t *out)
{
    for (size_t i = 0; i < n && !s->done; i++) {
        if (s->control == 1) {
            s->control = p[i] | 0x100;
            continue;
        }
        if (s->first >= 0) {
            uint32_t from = (uint32_t)s->first << 4 | p[i] >> 4;
            int len = (p[i] & 0x0f) + 2;
            s->first = -1;
            s->control >>= 1;
            if (from == s->at) { /* the end, MS-OXRTFCP s2.2.3.1.2 */
                s->done = 1;
                break;
            }
            for (; len > 0 && !s->done; len--) {
                out = mw_lzfu_put(s, s->ring[from], out);
                from = (from + 1) & (MW_LZFU_RING - 1);
            }
        } else if (s->control & 1) {
            s->first = p[i];
        } else {
            s->control >>= 1;
            out = mw_lzfu_put(s, p[i], out);
        }
    }
    return out;
}

static inline void mw_lzfu_finish(mw_lzfu *s)
{
    if (!s->done)
        s->findings |= MW_LZFU_NO_END;
    s->done = 1;
}

/* Sum of the octets modulo 65536: the checksum of TNEF attributes (MS-OXTNEF s2.1.3.4). */
static uint32_t mw_octet_sum(const uint8_t *p, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += p[i];
    return sum & 0xffff;
}

#endif
