/* What signatures ask of a PE file: where its entry point and its sections lie in the file. Reads the headers only. */
#ifndef MW_MATCH_PE_H
#define MW_MATCH_PE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MW_PE_SECTIONS 96

typedef struct {
    uint32_t address, virtual_len; /* in memory, from the image's base */
    uint64_t offset, length;       /* in the file; rounded to the file's alignment, cut at its end */
} mw_pe_section;

typedef struct {
    int valid;
    uint64_t entry; /* offset in the file */
    uint32_t count;
    mw_pe_section section[MW_PE_SECTIONS];
} mw_pe;

static inline uint32_t mw_le16(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8; }
static inline uint32_t mw_le32(const uint8_t *p) { return mw_le16(p) | mw_le16(p + 2) << 16; }

/* Sets entry to the file offset of a relative address, or returns 0. */
static int mw_pe_offset(const mw_pe *pe, uint32_t address, uint64_t headers, uint64_t n, uint64_t *offset) {
    for (uint32_t i = pe->count; i-- > 0;) {
        const mw_pe_section *s = &pe->section[i];
        if (s->length && s->address <= address && address - s->address < s->length) {
            *offset = s->offset + (address - s->address);
            return *offset < n;
        }
    }
    if (address < headers && address < n) {
        *offset = address;
        return 1;
    }
    return 0;
}

/* Read p[0:n]; pe->valid says whether it is a PE file with sections. Constant work. */
static void mw_pe_read(mw_pe *pe, const uint8_t *p, size_t n) {
    memset(pe, 0, sizeof *pe);
    if (n < 0x40 || p[0] != 'M' || p[1] != 'Z') return;
    uint64_t at = mw_le32(p + 0x3C);
    if (at > n || n - at < 24 + 64 || memcmp(p + at, "PE\0\0", 4)) return;
    uint32_t count = mw_le16(p + at + 6), optional = mw_le16(p + at + 20);
    const uint8_t *o = p + at + 24;
    uint32_t entry = mw_le32(o + 16), align = mw_le32(o + 36), headers = mw_le32(o + 60);
    uint64_t table = at + 24 + optional;
    if (!count || count > MW_PE_SECTIONS) return;
    if (!align) align = 1;
    for (uint32_t i = 0; i < count; i++, table += 40) {
        if (table > n || n - table < 40) return;
        const uint8_t *t = p + table;
        mw_pe_section *s = &pe->section[pe->count++];
        uint64_t raw_len = mw_le32(t + 16), raw = mw_le32(t + 20);
        s->virtual_len = mw_le32(t + 8);
        s->address = mw_le32(t + 12);
        s->offset = raw / align * align;
        s->length = (raw_len + align - 1) / align * align;
        if (s->length && raw_len && raw < n && raw + s->length > n) s->length = raw_len; /* padding may be left out */
        if (s->offset >= n) s->offset = s->length = 0;
        if (s->length > n - s->offset) s->length = n - s->offset;
    }
    pe->valid = 1;
    if (!mw_pe_offset(pe, entry, headers, n, &pe->entry)) pe->entry = UINT64_MAX;
}

#endif
