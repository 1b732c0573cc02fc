/* Canonicalization of bodies (RFC 6376 s3.4). */
#ifndef MW_DKIM_H
#define MW_DKIM_H

#include "section.h"

/* Without the CRLFs at the end of p[from..n), and, relaxed, without white space before each of them and at n. */
static inline size_t mw_dkim_body_end(const uint8_t *p, size_t from, size_t n, int relaxed)
{
    for (;;) {
        while (relaxed && n > from && mw_is_blank(p[n - 1]))
            n--;
        if (n - from < 2 || p[n - 1] != '\n' || p[n - 2] != '\r')
            return n;
        n -= 2;
    }
}

/* Spans without white space are copied whole. Up to here words are looked through octet by octet: most are shorter, and
 * for them a vector load costs more than it saves. */
#define MW_DKIM_WORD 16

/* Writes the relaxed form of p[*at..n) until room is full, and sets *at to where to go on. Each turn reads a span
 * without white space (as far as there is room), or all of one run of white space: so *at never lies inside of a run. */
static size_t mw_dkim_relaxed(const uint8_t *p, size_t *at, size_t n, uint8_t *out, size_t room, int wide)
{
    size_t i = *at, made = 0;
    while (i < n && made < room) {
        if (!mw_is_blank(p[i])) {
            size_t most = n - i < room - made ? n - i : room - made;
            size_t word = most < MW_DKIM_WORD ? most : MW_DKIM_WORD, k = 0;
            while (k < word && !mw_is_blank(p[i + k])) {
                out[made + k] = p[i + k];
                k++;
            }
            if (k == word && k < most && !mw_is_blank(p[i + k])) {
                size_t more = mw_find3(p + i + k, most - k, ' ', '\t', '\t', wide);
                memcpy(out + made + k, p + i + k, more);
                k += more;
            }
            i += k;
            made += k;
        } else {
            while (i < n && mw_is_blank(p[i]))
                i++;
            if (n - i < 2 || p[i] != '\r' || p[i + 1] != '\n')
                out[made++] = ' ';
        }
    }
    *at = i;
    return made;
}

#endif
