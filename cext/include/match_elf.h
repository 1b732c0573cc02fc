/* ELF: entry point by the program headers, sections by their table. Part of match_executable.h. */
#ifndef MW_MATCH_ELF_H
#define MW_MATCH_ELF_H

#define MW_ELF_SEGMENTS 256
#define MW_ELF_LOAD 1
#define MW_ELF_NOBITS 8

/* The field of a header at p, which differs in place and width between 32 and 64 bits. */
#define MW_FIELD(at32, len32, at64, len64) mw_uint(h + (x->wide ? (at64) : (at32)), x->wide ? (len64) : (len32), big)

static uint64_t mw_elf_entry(const mw_program *x, const uint8_t *p, size_t n, uint64_t table, uint32_t count,
                             uint32_t size, uint64_t entry, int big) {
    for (uint32_t i = 0; i < count && i < MW_ELF_SEGMENTS; i++, table += size) {
        if (!mw_within(table, x->wide ? 56 : 32, n)) break;
        const uint8_t *h = p + table;
        uint64_t offset = MW_FIELD(4, 4, 8, 8), address = MW_FIELD(8, 4, 16, 8), length = MW_FIELD(16, 4, 32, 8);
        if (mw_uint(h, 4, big) == MW_ELF_LOAD && entry >= address && entry - address < length && offset < n &&
            entry - address < n - offset)
            return offset + (entry - address);
    }
    return UINT64_MAX;
}

static void mw_elf_read(mw_program *x, const uint8_t *p, size_t n) {
    if (n < 52 || p[4] < 1 || p[4] > 2 || p[5] < 1 || p[5] > 2) return;
    const uint8_t *h = p;
    const int big = p[5] == 2;
    x->wide = p[4] == 2;
    if (x->wide && n < 64) return;
    uint64_t entry = MW_FIELD(24, 4, 24, 8), segments = MW_FIELD(28, 4, 32, 8), table = MW_FIELD(32, 4, 40, 8);
    uint32_t segment_len = (uint32_t)MW_FIELD(42, 2, 54, 2), segment_count = (uint32_t)MW_FIELD(44, 2, 56, 2);
    uint32_t section_len = (uint32_t)MW_FIELD(46, 2, 58, 2), section_count = (uint32_t)MW_FIELD(48, 2, 60, 2);
    x->format = MW_ELF;
    if (segment_len >= (x->wide ? 56u : 32u))
        x->entry = mw_elf_entry(x, p, n, segments, segment_count, segment_len, entry, big);
    if (section_len < (x->wide ? 64u : 40u)) return;
    for (uint32_t i = 0; i < section_count && i < MW_PROGRAM_SECTIONS; i++, table += section_len) {
        if (!mw_within(table, x->wide ? 64 : 40, n)) break;
        h = p + table;
        mw_program_section *s = &x->section[x->count++];
        s->address = MW_FIELD(12, 4, 16, 8);
        s->offset = MW_FIELD(16, 4, 24, 8);
        s->length = mw_uint(h + 4, 4, big) == MW_ELF_NOBITS ? 0 : MW_FIELD(20, 4, 32, 8);
        mw_section_cut(s, n);
    }
}

#undef MW_FIELD

#endif
