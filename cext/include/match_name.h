/* Declared file names against suffixes and globs. Both sides are UTF-8 and already folded by their writers. */
#ifndef MW_MATCH_NAME_H
#define MW_MATCH_NAME_H

#include "match.h"

static inline int mw_continues(uint8_t c) { return (c & 0xC0) == 0x80; }

/* '*' any octets, '?' one code point. On a mismatch only the last star takes one more octet: O(n * g), no recursion. */
static int mw_glob(const uint8_t *g, size_t glob_len, const uint8_t *p, size_t n) {
    size_t i = 0, k = 0, star = SIZE_MAX, mark = 0;
    while (i < n) {
        if (k < glob_len && g[k] == '*') {
            star = k++;
            mark = i;
        } else if (k < glob_len && g[k] == '?') {
            k++;
            i++;
            while (i < n && mw_continues(p[i])) i++;
        } else if (k < glob_len && g[k] == p[i]) {
            k++;
            i++;
        } else if (star != SIZE_MAX) {
            k = star + 1;
            i = ++mark;
        } else {
            return 0;
        }
    }
    while (k < glob_len && g[k] == '*') k++;
    return k == glob_len;
}

static int mw_name_compare(const mw_image *m, const mw_name *entry, const uint8_t *p, size_t n) {
    size_t len = entry->text.len, least = len < n ? len : n;
    int d = least ? memcmp(m->section[MW_SECTION_STRINGS] + entry->text.off, p, least) : 0;
    return d ? d : (len > n) - (len < n);
}

static void mw_match_suffix(mw_scan *s, const uint8_t *p, size_t n) {
    const mw_image *m = s->image;
    size_t low = 0, high = m->suffix_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int d = mw_name_compare(m, &m->suffixes[middle], p, n);
        if (d == 0) {
            mw_run(s, m->suffixes[middle].program);
            return;
        }
        if (d < 0)
            low = middle + 1;
        else
            high = middle;
    }
}

/* Run the programs of all names that p[0:n] satisfies. O(longest suffix * log suffixes + globs * n * their length). */
static void mw_match_name(mw_scan *s, const uint8_t *p, size_t n) {
    const mw_image *m = s->image;
    for (size_t i = n > m->longest_suffix ? n - m->longest_suffix : 0; i < n; i++) mw_match_suffix(s, p + i, n - i);
    for (size_t i = 0; i < m->glob_count; i++) {
        const mw_name *g = &m->globs[i];
        if (mw_glob(m->section[MW_SECTION_STRINGS] + g->text.off, g->text.len, p, n)) mw_run(s, g->program);
    }
}

#endif
