/* What signatures ask of a program: where its entry point and its sections lie in the file, and, of a PE file, its
 * version information. Reads headers only, of PE, ELF and Mach-O; every loop has a bound of its own.
 */
#ifndef MW_MATCH_EXECUTABLE_H
#define MW_MATCH_EXECUTABLE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MW_PROGRAM_SECTIONS 256
#define MW_VERSION_KEYS 128

enum { MW_NO_PROGRAM = 0, MW_PE, MW_ELF, MW_MACHO };

typedef struct {
    uint64_t address;        /* in memory; of a PE file from the image's base */
    uint64_t offset, length; /* in the file, cut at its end; of a PE file rounded to the file's alignment */
} mw_program_section;

typedef struct {
    int format;     /* MW_NO_PROGRAM: nothing of the rest holds */
    int wide;       /* 64 bits */
    uint64_t entry; /* offset in the file; UINT64_MAX: outside of it */
    uint32_t count;
    mw_program_section section[MW_PROGRAM_SECTIONS];
    uint64_t headers; /* of a PE file: octets that are mapped as they stand */
    uint32_t imports, resources; /* addresses of directories, 0: none */
    uint32_t versions;
    uint64_t version[MW_VERSION_KEYS]; /* where the names of the version information begin, ascending */
} mw_program;

/* An integer of 1 to 8 octets. */
static inline uint64_t mw_uint(const uint8_t *p, unsigned len, int big) {
    uint64_t value = 0;
    for (unsigned i = 0; i < len; i++) value |= (uint64_t)p[big ? len - 1 - i : i] << 8 * i;
    return value;
}

static inline uint32_t mw_le16(const uint8_t *p) { return (uint32_t)mw_uint(p, 2, 0); }
static inline uint32_t mw_le32(const uint8_t *p) { return (uint32_t)mw_uint(p, 4, 0); }

/* Whether p[at:at + len] can be read. */
static inline int mw_within(uint64_t at, uint64_t len, uint64_t n) { return at <= n && len <= n - at; }

/* What of a section lies in the file. */
static inline void mw_section_cut(mw_program_section *s, uint64_t n) {
    if (s->offset >= n) s->offset = s->length = 0;
    if (s->length > n - s->offset) s->length = n - s->offset;
}

#include "match_elf.h"
#include "match_macho.h"
#include "match_pe.h"

/* Read p[0:n]; x->format says what it is. versions: whether version information is wanted. */
static void mw_program_read(mw_program *x, const uint8_t *p, size_t n, int versions) {
    memset(x, 0, offsetof(mw_program, section));
    x->versions = x->imports = x->resources = 0;
    x->entry = UINT64_MAX;
    if (n < 4) return;
    if (p[0] == 'M' && p[1] == 'Z') {
        mw_pe_read(x, p, n);
        if (x->format && versions) mw_pe_versions(x, p, n);
    } else if (!memcmp(p, "\x7f" "ELF", 4)) {
        mw_elf_read(x, p, n);
    } else {
        mw_macho_read(x, p, n);
    }
    if (!x->format) x->count = 0;
}

#endif
