/* PE: entry point, sections, version information. Part of match_executable.h. */
#ifndef MW_MATCH_PE_H
#define MW_MATCH_PE_H

#define MW_PE_SECTIONS 96
#define MW_PE_ENTRIES 256 /* of a directory of resources that are looked at */
#define MW_PE_RESOURCES 16 /* pieces of version information */
#define MW_PE_VERSION 16
#define MW_PE_VERSION_HEAD 92 /* up to the first block: sizes, "VS_VERSION_INFO", its fixed part */

/* Sets *offset to the file offset of a relative address, or returns 0. */
static int mw_pe_offset(const mw_program *x, uint32_t address, uint64_t n, uint64_t *offset) {
    for (uint32_t i = x->count; i-- > 0;) {
        const mw_program_section *s = &x->section[i];
        if (s->length && s->address <= address && address - s->address < s->length) {
            *offset = s->offset + (address - s->address);
            return *offset < n;
        }
    }
    if (address < x->headers && address < n) {
        *offset = address;
        return 1;
    }
    return 0;
}

static void mw_pe_read(mw_program *x, const uint8_t *p, size_t n) {
    if (n < 0x40) return;
    uint64_t at = mw_le32(p + 0x3C);
    if (at > n || n - at < 24 + 64 || memcmp(p + at, "PE\0\0", 4)) return;
    uint32_t count = mw_le16(p + at + 6), optional = mw_le16(p + at + 20);
    const uint8_t *o = p + at + 24;
    uint32_t entry = mw_le32(o + 16), align = mw_le32(o + 36);
    uint64_t table = at + 24 + optional;
    x->wide = mw_le16(o) == 0x20B;
    x->headers = mw_le32(o + 60);
    if (!count || count > MW_PE_SECTIONS) return;
    if (!align) align = 1;
    for (uint32_t i = 0; i < count; i++, table += 40) {
        if (!mw_within(table, 40, n)) return;
        const uint8_t *t = p + table;
        mw_program_section *s = &x->section[x->count++];
        uint64_t raw_len = mw_le32(t + 16), raw = mw_le32(t + 20);
        s->address = mw_le32(t + 12);
        s->offset = raw / align * align;
        s->length = (raw_len + align - 1) / align * align;
        if (s->length && raw_len && raw < n && raw + s->length > n) s->length = raw_len; /* padding may be left out */
        mw_section_cut(s, n);
    }
    uint64_t directories = x->wide ? 112 : 96;
    if (optional >= directories + 24 && mw_within(at + 24, directories + 24, n)) {
        uint32_t known = mw_le32(o + directories - 4);
        if (known > 1) x->imports = mw_le32(o + directories + 8);
        if (known > 2) x->resources = mw_le32(o + directories + 16);
    }
    x->format = MW_PE;
    if (!mw_pe_offset(x, entry, n, &x->entry)) x->entry = UINT64_MAX;
}

/* --- Version information ------------------------------------------------------------------------------------------ */

static inline uint64_t mw_four(uint64_t size) { return (size + 3) & ~3ull; }

/* Whether ASCII text stands at p in 16-bit units, its zero included. */
static int mw_pe_wide_text(const uint8_t *p, const char *text) {
    for (size_t i = 0;; i++) {
        if (p[2 * i] != (uint8_t)text[i] || p[2 * i + 1]) return 0;
        if (!text[i]) return 1;
    }
}

/* The strings of a table in p[at:end]: each has its length, the length of its value in units, a type and a name. */
static void mw_pe_version_strings(mw_program *x, const uint8_t *p, uint64_t at, uint64_t end) {
    while (x->versions < MW_VERSION_KEYS && end - at > 6) {
        uint64_t size = mw_le16(p + at), value = 2ull * mw_le16(p + at + 2), name = 6;
        if (size <= 6 || size > end - at) return;
        while (name + 1 < size && mw_le16(p + at + name)) name += 2;
        if (name + 1 < size && mw_four(name + 2) < size && mw_four(name + 2) + value <= size)
            x->version[x->versions++] = at + 6;
        if (mw_four(size) >= end - at) return;
        at += mw_four(size);
    }
}

/* Version information in p[at:end]. */
static void mw_pe_version(mw_program *x, const uint8_t *p, uint64_t at, uint64_t end) {
    if (end - at < MW_PE_VERSION_HEAD || !mw_pe_wide_text(p + at + 6, "VS_VERSION_INFO")) return;
    uint64_t size = mw_le16(p + at);
    if (size < end - at) end = at + size;
    if (end - at < MW_PE_VERSION_HEAD || mw_le16(p + at + 2) != 52) return;
    at += MW_PE_VERSION_HEAD;
    while (end - at > 6 + 30 + 24) {
        uint64_t block = mw_le16(p + at);
        if (block <= 6 || block > end - at) return;
        if (block > 36 && mw_pe_wide_text(p + at + 6, "StringFileInfo")) {
            uint64_t table = at + 36, last = at + block;
            while (last - table > 24) { /* sizes, type, and a name of eight digits */
                uint64_t len = mw_le16(p + table);
                if (len <= 24 || len > last - table) break;
                mw_pe_version_strings(x, p, table + 24, table + len);
                if (mw_four(len) >= last - table) break;
                table += mw_four(len);
            }
        }
        if (mw_four(block) >= end - at) return;
        at += mw_four(block);
    }
}

/* Where the entries of a directory of resources are, and how many. root: of all of them; at: of this one. */
static uint32_t mw_pe_entries(const uint8_t *p, size_t n, uint64_t at) {
    if (!mw_within(at, 16, n)) return 0;
    uint32_t count = mw_le16(p + at + 12) + mw_le16(p + at + 14);
    uint64_t room = (n - at - 16) / 8;
    if (count > MW_PE_ENTRIES) count = MW_PE_ENTRIES;
    return count < room ? count : (uint32_t)room;
}

static int mw_pe_key_order(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void mw_pe_versions(mw_program *x, const uint8_t *p, size_t n) {
    const uint32_t below = 0x80000000u;
    uint64_t root;
    uint32_t read = 0;
    if (!x->resources || !mw_pe_offset(x, x->resources, n, &root)) return;
    uint32_t types = mw_pe_entries(p, n, root);
    for (uint32_t i = 0; i < types; i++) {
        const uint8_t *e = p + root + 16 + 8 * i;
        if (mw_le32(e) != MW_PE_VERSION || !(mw_le32(e + 4) & below)) continue;
        uint64_t names = root + (mw_le32(e + 4) & ~below);
        uint32_t name_count = mw_pe_entries(p, n, names);
        for (uint32_t j = 0; j < name_count && read < MW_PE_RESOURCES; j++) {
            uint32_t to = mw_le32(p + names + 16 + 8 * j + 4);
            uint64_t languages = root + (to & ~below);
            uint32_t count = to & below ? mw_pe_entries(p, n, languages) : 0;
            for (uint32_t k = 0; k < count && read < MW_PE_RESOURCES; k++) {
                uint64_t leaf = root + mw_le32(p + languages + 16 + 8 * k + 4), data;
                if (!mw_within(leaf, 16, n) || !mw_pe_offset(x, mw_le32(p + leaf), n, &data)) continue;
                uint64_t len = mw_le32(p + leaf + 4);
                read++;
                mw_pe_version(x, p, data, len < n - data ? data + len : n);
            }
        }
    }
    qsort(x->version, x->versions, sizeof *x->version, mw_pe_key_order);
}

#endif
