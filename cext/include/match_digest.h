/* Digest signatures: which digests a size asks for, and what a digest finds. */
#ifndef MW_MATCH_DIGEST_H
#define MW_MATCH_DIGEST_H

#include "match.h"

/* MW_DIGEST_* kinds that some signature asks for in content of this size. */
static uint32_t mw_digest_kinds(const mw_image *m, uint64_t size) {
    size_t low = 0, high = m->digest_size_count;
    uint32_t kinds = 0;
    if (high && m->digest_sizes[high - 1].size == MW_ANY_SIZE) kinds = m->digest_sizes[--high].kinds;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->digest_sizes[middle].size == size) return kinds | m->digest_sizes[middle].kinds;
        if (m->digest_sizes[middle].size < size)
            low = middle + 1;
        else
            high = middle;
    }
    return kinds;
}

static void mw_match_digest(mw_scan *s, uint32_t kind, const uint8_t *digest, size_t digest_len, uint64_t size) {
    const mw_image *m = s->image;
    uint8_t key[32] = {0};
    size_t low = 0, high = m->digest_count;
    memcpy(key, digest, digest_len < 32 ? digest_len : 32);
    while (low < high) { /* the first entry that is not less than (kind, key) */
        size_t middle = low + (high - low) / 2;
        const mw_digest *d = &m->digests[middle];
        if (d->kind < kind || (d->kind == kind && memcmp(d->digest, key, 32) < 0))
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < m->digest_count && m->digests[low].kind == kind && !memcmp(m->digests[low].digest, key, 32); low++)
        if (m->digests[low].size == size || m->digests[low].size == MW_ANY_SIZE) mw_run(s, m->digests[low].program);
}

#endif
