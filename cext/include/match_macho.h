/* Mach-O: entry point and sections by the load commands. Part of match_executable.h.
 *
 * Known gaps: of a universal file the walker has the whole, and nothing is read of it here.
 */
#ifndef MW_MATCH_MACHO_H
#define MW_MATCH_MACHO_H

#define MW_MACHO_COMMANDS 256
#define MW_MACHO_SEGMENT 1
#define MW_MACHO_THREAD 4
#define MW_MACHO_UNIX_THREAD 5
#define MW_MACHO_SEGMENT_64 0x19
#define MW_MACHO_MAIN 0x80000028u

static void mw_macho_segment(mw_program *x, const uint8_t *p, size_t n, uint64_t at, uint64_t len, int wide, int big) {
    const uint64_t head = wide ? 72 : 56, each = wide ? 80 : 68;
    if (len < head) return;
    uint64_t count = mw_uint(p + at + (wide ? 64 : 48), 4, big);
    for (uint64_t i = 0, s_at = at + head; i < count && at + len - s_at >= each; i++, s_at += each) {
        if (x->count == MW_PROGRAM_SECTIONS) return;
        const uint8_t *h = p + s_at + 32; /* behind the names */
        mw_program_section *s = &x->section[x->count++];
        s->address = mw_uint(h, wide ? 8 : 4, big);
        s->length = mw_uint(h + (wide ? 8 : 4), wide ? 8 : 4, big);
        s->offset = mw_uint(h + (wide ? 16 : 8), 4, big);
        mw_section_cut(s, n);
    }
}

/* The program counter that a thread begins with, by the processor of the file; UINT64_MAX: not known. */
static uint64_t mw_macho_counter(const uint8_t *p, uint64_t at, uint64_t len, uint32_t processor, int big) {
    uint64_t place;
    unsigned width = 4;
    switch (processor) {
    case 7: place = 16 + 4 * 10; break; /* i386: eip */
    case 0x01000007: place = 16 + 8 * 16, width = 8; break; /* x86_64: rip */
    case 18: place = 16; break; /* powerpc: srr0 */
    case 12: place = 16 + 4 * 15; break; /* arm: pc */
    case 0x0100000C: place = 16 + 8 * 32, width = 8; break; /* arm64: pc */
    default: return UINT64_MAX;
    }
    return len >= place + width ? mw_uint(p + at + place, width, big) : UINT64_MAX;
}

static void mw_macho_read(mw_program *x, const uint8_t *p, size_t n) {
    static const uint8_t magic[4] = {0xFE, 0xED, 0xFA, 0xCE};
    const int big = p[0] == magic[0];
    uint8_t last = big ? p[3] : p[0];
    if (n < 28 || (last & 0xFE) != 0xCE) return;
    for (int i = 0; i < 3; i++)
        if (p[big ? i : 3 - i] != magic[i]) return;
    x->wide = last & 1;
    uint64_t at = x->wide ? 32 : 28, counter = UINT64_MAX;
    uint32_t processor = (uint32_t)mw_uint(p + 4, 4, big), count = (uint32_t)mw_uint(p + 16, 4, big);
    x->format = MW_MACHO;
    for (uint32_t i = 0; i < count && i < MW_MACHO_COMMANDS && mw_within(at, 8, n); i++) {
        uint32_t command = (uint32_t)mw_uint(p + at, 4, big);
        uint64_t len = mw_uint(p + at + 4, 4, big);
        if (len < 8 || !mw_within(at, len, n)) break;
        if (command == MW_MACHO_SEGMENT || command == MW_MACHO_SEGMENT_64)
            mw_macho_segment(x, p, n, at, len, command == MW_MACHO_SEGMENT_64, big);
        else if (command == MW_MACHO_THREAD || command == MW_MACHO_UNIX_THREAD)
            counter = mw_macho_counter(p, at, len, processor, big);
        else if (command == MW_MACHO_MAIN && len >= 16)
            x->entry = mw_uint(p + at + 8, 8, big);
        at += len;
    }
    for (uint32_t i = 0; i < x->count && counter != UINT64_MAX; i++) {
        const mw_program_section *s = &x->section[i];
        if (counter >= s->address && counter - s->address < s->length) {
            x->entry = s->offset + (counter - s->address);
            break;
        }
    }
    if (x->entry >= n) x->entry = UINT64_MAX;
}

#endif
