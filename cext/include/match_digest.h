/* Digest signatures: which digests a size asks for, and what a digest finds. */
#ifndef MW_MATCH_DIGEST_H
#define MW_MATCH_DIGEST_H

#include "match.h"

/* MW_DIGEST_* kinds that some signature asks for in content of this size. */
static uint32_t mw_kinds_at(const mw_digest_size *sizes, size_t count, uint64_t size) {
    size_t low = 0, high = count;
    uint32_t kinds = 0;
    if (high && sizes[high - 1].size == MW_ANY_SIZE) kinds = sizes[--high].kinds;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sizes[middle].size == size) return kinds | sizes[middle].kinds;
        if (sizes[middle].size < size)
            low = middle + 1;
        else
            high = middle;
    }
    return kinds;
}

static uint32_t mw_digest_kinds(const mw_image *m, uint64_t size) {
    return mw_kinds_at(m->digest_sizes, m->digest_size_count, size);
}

static uint32_t mw_section_kinds(const mw_image *m, uint64_t size) {
    return mw_kinds_at(m->section_sizes, m->section_size_count, size);
}

static uint32_t mw_import_kinds(const mw_image *m, uint64_t size) {
    return mw_kinds_at(m->import_sizes, m->import_size_count, size);
}

static void mw_digest_in(mw_scan *s, const mw_digest *digests, size_t count, uint32_t kind, const uint8_t *digest,
                         size_t digest_len, uint64_t size) {
    uint8_t key[32] = {0};
    size_t low = 0, high = count;
    memcpy(key, digest, digest_len < 32 ? digest_len : 32);
    while (low < high) { /* the first entry that is not less than (kind, key) */
        size_t middle = low + (high - low) / 2;
        const mw_digest *d = &digests[middle];
        if (d->kind < kind || (d->kind == kind && memcmp(d->digest, key, 32) < 0))
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < count && digests[low].kind == kind && !memcmp(digests[low].digest, key, 32); low++)
        if (digests[low].size == size || digests[low].size == MW_ANY_SIZE) mw_run(s, digests[low].program);
}

static void mw_match_digest(mw_scan *s, uint32_t kind, const uint8_t *digest, size_t digest_len, uint64_t size) {
    mw_digest_in(s, s->image->digests, s->image->digest_count, kind, digest, digest_len, size);
}

static void mw_match_section(mw_scan *s, uint32_t kind, const uint8_t *digest, size_t digest_len, uint64_t size) {
    mw_digest_in(s, s->image->section_digests, s->image->section_digest_count, kind, digest, digest_len, size);
}

static void mw_match_imports(mw_scan *s, uint32_t kind, const uint8_t *digest, size_t digest_len, uint64_t size) {
    mw_digest_in(s, s->image->import_digests, s->image->import_digest_count, kind, digest, digest_len, size);
}

#endif
