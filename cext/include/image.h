/* The compiled definitions image: what signatures/image.py writes and the matcher reads.
 *
 * One file, little-endian, position independent (offsets only), mapped read-only and shared. Every section begins on
 * a 64-octet border. mw_image_open verifies all of it before the first use: magic, layout, length, CRC-32C, then every
 * offset, index and chain that the matcher will follow. After that the matcher trusts what it reads, so nothing may
 * change a mapped image: a new revision is a new file.
 *
 * A pattern hit does not name a signature: it runs the pattern's program, a few instructions that look at the scan's
 * target and then report. Conditions on offsets, counts or several patterns are further instructions, not another
 * layout.
 *
 * A section kind or instruction that this reader does not know is refused: skipping it would lose signatures silently.
 */
#ifndef MW_IMAGE_H
#define MW_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crc32c.h"

#define MW_IMAGE_LAYOUT 1
#define MW_IMAGE_HEADER_LEN 64
#define MW_IMAGE_ALIGN 64
#define MW_IMAGE_SECTIONS 64 /* capacity of the section table that a reader accepts */

#define MW_SECTION_STRINGS 1
#define MW_SECTION_TARGETS 2
#define MW_SECTION_SIGNATURES 3
#define MW_SECTION_PROGRAMS 4
#define MW_SECTION_PATTERNS 5
#define MW_SECTION_LITERALS 6
#define MW_SECTION_AUTOMATON_EXACT 7
#define MW_SECTION_AUTOMATON_FOLDED 8
#define MW_SECTION_FILTER_EXACT 9
#define MW_SECTION_FILTER_FOLDED 10
#define MW_SECTION_DIGEST_SIZES 11
#define MW_SECTION_DIGESTS 12
#define MW_SECTION_SUFFIXES 13
#define MW_SECTION_GLOBS 14
#define MW_SECTION_LONG_FILTER_EXACT 15
#define MW_SECTION_LONG_FILTER_FOLDED 16
#define MW_SECTION_KINDS 17

#define MW_OP_END 0    /* the program ends */
#define MW_OP_TARGET 1 /* skip c instructions unless the scan's target is b */
#define MW_OP_REPORT 2 /* signature c has matched */

#define MW_FAMILY_MALWARE 0
#define MW_FAMILY_SPAM 1

#define MW_PATTERN_FOLDED 1 /* ASCII letters match in either case; the literal is stored in lower case */

#define MW_DIGEST_MD5 1
#define MW_DIGEST_SHA1 2
#define MW_DIGEST_SHA256 4
#define MW_ANY_SIZE UINT64_MAX

#define MW_AC_CLASSES 256   /* octets of the class table in front of the states */
#define MW_AC_DENSE 255     /* count octet of a state that has one target for every class */
#define MW_AC_SPARSE 16     /* most transitions of a sparse state: bounds the search in it */
#define MW_PATTERN_LEN 4096 /* longest literal: bounds what a stream keeps of the past */
#define MW_GLOB_LEN 256
#define MW_FILTER_BUCKET 8 /* most patterns that share a slot: bounds the work that one survivor can ask for */
#define MW_FILTER_LITERAL 512 /* longest literal behind the filter, for the same reason; others go to the automaton */

typedef struct {
    uint8_t magic[8];
    uint32_t layout;
    uint32_t crc; /* CRC-32C of everything behind this field */
    uint64_t length;
    uint32_t section_count;
    uint32_t reserved;
    uint8_t revision[16]; /* ASCII, unused octets are NUL */
    uint8_t padding[16];
} mw_image_header;

typedef struct {
    uint32_t kind; /* ascending in the table */
    uint32_t reserved;
    uint64_t offset;
    uint64_t length;
} mw_section;

typedef struct {
    uint32_t off, len; /* in STRINGS */
} mw_string;

typedef struct {
    mw_string name;
    uint32_t target; /* index in TARGETS; 0 is any */
    uint8_t family, severity, kind, reserved;
} mw_signature;

typedef struct {
    uint8_t op, a;
    uint16_t b;
    uint32_t c;
} mw_instruction;

typedef struct {
    uint32_t literal; /* offset in LITERALS */
    uint32_t length;
    uint32_t window;  /* offset of the filter's window in the literal */
    uint32_t program; /* index in PROGRAMS */
    uint32_t suffix;  /* 1 + longest pattern of the same automaton that is a proper suffix of this; 0: none */
    uint32_t flags;
} mw_pattern;

typedef struct {
    uint64_t size;
    uint32_t kinds; /* MW_DIGEST_* to be computed for content of this size */
    uint32_t reserved;
} mw_digest_size; /* ascending by size; MW_ANY_SIZE comes last */

typedef struct {
    uint8_t digest[32]; /* unused octets are NUL */
    uint64_t size;
    uint32_t kind;
    uint32_t program;
} mw_digest; /* ascending by kind, digest, size */

typedef struct {
    mw_string text;
    uint32_t program;
    uint32_t reserved;
} mw_name; /* SUFFIXES: ascending by text; GLOBS: any order */

typedef struct {
    uint32_t gram;         /* octets of one look-up: 4, or 8 in a long filter */
    uint32_t window;       /* gram + stride - 1: holds a whole gram at any phase of the stride */
    uint32_t filter_log2;  /* 32-bit words of the gram filter */
    uint32_t bitmap_log2;  /* bits of the window bitmap */
    uint32_t slot_log2;    /* slots of the window table */
    uint32_t entries;
    uint32_t reserved[2];
} mw_filter_header; /* then: filter words, bitmap words, 2^slot_log2 + 1 starts, entries */

typedef struct {
    uint32_t check; /* further bits of the window's hash */
    uint32_t pattern;
} mw_filter_entry;

typedef struct {
    const uint8_t *classes;
    const uint32_t *states; /* NULL: no automaton */
    size_t words;
    uint32_t class_count;
} mw_automaton;

typedef struct {
    const mw_filter_header *header; /* NULL: no filter */
    const uint32_t *words, *bitmap, *starts;
    const mw_filter_entry *entries;
} mw_filter;

typedef struct {
    const uint8_t *base;
    size_t length;
    const uint8_t *section[MW_SECTION_KINDS];
    size_t section_len[MW_SECTION_KINDS];
    const mw_string *targets;
    const mw_signature *signatures;
    const mw_instruction *programs;
    const mw_pattern *patterns;
    const mw_digest_size *digest_sizes;
    const mw_digest *digests;
    const mw_name *suffixes, *globs;
    size_t target_count, signature_count, program_count, pattern_count;
    size_t digest_size_count, digest_count, suffix_count, glob_count;
    mw_automaton automaton[2]; /* exact, folded */
    mw_filter filter[4]; /* index & 1: folded; index & 2: long */
    uint32_t longest_filtered; /* longest literal behind a filter: what a stream has to look back */
    uint32_t longest_suffix;
} mw_image;

enum { MW_IMAGE_OK = 0, MW_NOT_AN_IMAGE, MW_WRONG_VERSION, MW_DAMAGED_IMAGE };

/* --- Verification ------------------------------------------------------------------------------------------------- */

static int mw_string_ok(const mw_image *m, mw_string s) {
    size_t n = m->section_len[MW_SECTION_STRINGS];
    return s.off <= n && s.len <= n - s.off;
}

static int mw_programs_ok(const mw_image *m) {
    for (size_t i = 0; i < m->program_count; i++) {
        const mw_instruction *in = &m->programs[i];
        switch (in->op) {
        case MW_OP_END: break;
        case MW_OP_TARGET: /* forward only, so every program ends */
            if (in->b >= m->target_count || in->c >= m->program_count - i - 1) return 0;
            break;
        case MW_OP_REPORT:
            if (in->c >= m->signature_count) return 0;
            break;
        default: return 0;
        }
    }
    return m->program_count == 0 || m->programs[m->program_count - 1].op == MW_OP_END;
}

static int mw_patterns_ok(const mw_image *m) {
    size_t literals = m->section_len[MW_SECTION_LITERALS];
    for (size_t i = 0; i < m->pattern_count; i++) {
        const mw_pattern *p = &m->patterns[i];
        if (p->length == 0 || p->length > MW_PATTERN_LEN || p->literal > literals || p->length > literals - p->literal)
            return 0;
        if (p->program >= m->program_count || p->window >= p->length) return 0;
        if (p->suffix > m->pattern_count) return 0;
        if (p->suffix && m->patterns[p->suffix - 1].length >= p->length) return 0; /* so every chain ends */
    }
    return 1;
}

/* Words in front of a state's targets: out, fail, then the count octet and the keys. */
static inline size_t mw_ac_head(uint32_t n) { return n == MW_AC_DENSE ? 3 : 2 + (1 + (size_t)n + 3) / 4; }

static int mw_automaton_ok(const mw_image *m, const mw_automaton *a, uint32_t folded) {
    uint8_t *starts = (uint8_t *)calloc(a->words / 8 + 1, 1);
    int ok = 0;
    size_t s, width;
    if (!starts) return -1;
    for (s = 0; s < a->words; s += width) { /* first pass: where states begin */
        if (a->words - s < 3) goto out;
        uint32_t n = ((const uint8_t *)(a->states + s))[8];
        if (n != MW_AC_DENSE && n > MW_AC_SPARSE) goto out;
        width = mw_ac_head(n) + (n == MW_AC_DENSE ? a->class_count : n);
        if (a->words - s < width) goto out;
        starts[s / 8] |= (uint8_t)(1u << s % 8);
    }
    if (((const uint8_t *)a->states)[8] != MW_AC_DENSE) goto out; /* the root ends every chain of fail links */
    for (s = 0; s < a->words; s += width) {
        const uint32_t *w = a->states + s;
        uint32_t n = ((const uint8_t *)w)[8];
        size_t head = mw_ac_head(n), targets = n == MW_AC_DENSE ? a->class_count : n;
        width = head + targets;
        if (w[0] > m->pattern_count) goto out;
        if (w[0] && (m->patterns[w[0] - 1].flags & MW_PATTERN_FOLDED) != folded) goto out;
        if (s && (w[1] >= s || !(starts[w[1] / 8] >> w[1] % 8 & 1))) goto out; /* fail links lead to the front */
        for (size_t i = 0; i < targets; i++) {
            uint32_t t = w[head + i];
            if (t >= a->words || !(starts[t / 8] >> t % 8 & 1)) goto out;
        }
    }
    ok = 1;
out:
    free(starts);
    return ok;
}

static int mw_filter_ok(const mw_image *m, const mw_filter *f, uint32_t folded) {
    const mw_filter_header *h = f->header;
    size_t slots = (size_t)1 << h->slot_log2;
    if (f->starts[0] != 0 || f->starts[slots] != h->entries) return 0;
    for (size_t i = 0; i < slots; i++)
        if (f->starts[i] > f->starts[i + 1] || f->starts[i + 1] - f->starts[i] > MW_FILTER_BUCKET) return 0;
    for (size_t i = 0; i < h->entries; i++) {
        if (f->entries[i].pattern >= m->pattern_count) return 0;
        const mw_pattern *p = &m->patterns[f->entries[i].pattern];
        if ((p->flags & MW_PATTERN_FOLDED) != folded) return 0;
        if (p->length > MW_FILTER_LITERAL || p->length - p->window < h->window) return 0;
    }
    return 1;
}

static int mw_names_ok(const mw_image *m, const mw_name *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!mw_string_ok(m, names[i].text) || names[i].text.len > MW_GLOB_LEN || names[i].program >= m->program_count)
            return 0;
    return 1;
}

static int mw_digests_ok(const mw_image *m) {
    for (size_t i = 0; i < m->digest_count; i++) {
        uint32_t k = m->digests[i].kind;
        if (k != MW_DIGEST_MD5 && k != MW_DIGEST_SHA1 && k != MW_DIGEST_SHA256) return 0;
        if (m->digests[i].program >= m->program_count) return 0;
    }
    for (size_t i = 1; i < m->digest_size_count; i++)
        if (m->digest_sizes[i - 1].size >= m->digest_sizes[i].size) return 0;
    return 1;
}

static int mw_automaton_open(mw_image *m, int kind, mw_automaton *a) {
    size_t n = m->section_len[kind];
    if (!m->section[kind]) return 1;
    if (n < MW_AC_CLASSES + 4 || (n - MW_AC_CLASSES) % 4 || (n - MW_AC_CLASSES) / 4 > UINT32_MAX) return 0;
    a->classes = m->section[kind];
    a->states = (const uint32_t *)(m->section[kind] + MW_AC_CLASSES);
    a->words = (n - MW_AC_CLASSES) / 4;
    a->class_count = 0;
    for (int i = 0; i < MW_AC_CLASSES; i++)
        if (a->classes[i] >= a->class_count) a->class_count = a->classes[i] + 1u;
    return 1;
}

static int mw_filter_open(mw_image *m, int kind, uint32_t gram, mw_filter *f) {
    size_t n = m->section_len[kind], need;
    const mw_filter_header *h = (const mw_filter_header *)m->section[kind];
    if (!h) return 1;
    if (n < sizeof *h || h->gram != gram || h->window != gram + 3) return 0;
    if (h->filter_log2 < 5 || h->filter_log2 > 24 || h->bitmap_log2 < 5 || h->bitmap_log2 > 32 || h->slot_log2 < 1 ||
        h->slot_log2 > 28)
        return 0;
    need = sizeof *h + ((size_t)4 << h->filter_log2) + ((size_t)1 << (h->bitmap_log2 - 3)) +
           4 * (((size_t)1 << h->slot_log2) + 1) + 8 * (size_t)h->entries;
    if (n != need) return 0;
    f->header = h;
    f->words = (const uint32_t *)(h + 1);
    f->bitmap = f->words + ((size_t)1 << h->filter_log2);
    f->starts = f->bitmap + ((size_t)1 << (h->bitmap_log2 - 5));
    f->entries = (const mw_filter_entry *)(f->starts + ((size_t)1 << h->slot_log2) + 1);
    return 1;
}

static int mw_sections_open(mw_image *m, const mw_image_header *h) {
    const mw_section *s = (const mw_section *)(m->base + MW_IMAGE_HEADER_LEN);
    size_t end;
    if (h->section_count > MW_IMAGE_SECTIONS) return MW_DAMAGED_IMAGE;
    end = MW_IMAGE_HEADER_LEN + h->section_count * sizeof *s;
    if (end > m->length) return MW_DAMAGED_IMAGE;
    for (uint32_t i = 0; i < h->section_count; i++) {
        if (s[i].kind == 0 || s[i].kind >= MW_SECTION_KINDS) return MW_WRONG_VERSION;
        if (i && s[i].kind <= s[i - 1].kind) return MW_DAMAGED_IMAGE;
        if (s[i].offset % MW_IMAGE_ALIGN || s[i].offset < end || s[i].offset > m->length ||
            s[i].length > m->length - s[i].offset)
            return MW_DAMAGED_IMAGE;
        end = s[i].offset + s[i].length;
        m->section[s[i].kind] = m->base + s[i].offset;
        m->section_len[s[i].kind] = s[i].length;
    }
    return MW_IMAGE_OK;
}

#define MW_TABLE(field, count, kind, type)                               \
    if (m->section_len[kind] % sizeof(type)) return MW_DAMAGED_IMAGE;    \
    m->field = (const type *)m->section[kind];                           \
    m->count = m->section_len[kind] / sizeof(type);

/* Verify base[0:length] and fill m. base must be 8-aligned; mw_crc32c_init() must have been called. Returns MW_IMAGE_OK or why not; -1 when out of memory. */
static int mw_image_open(mw_image *m, const uint8_t *base, size_t length) {
    const mw_image_header *h = (const mw_image_header *)base;
    int status;
    memset(m, 0, sizeof *m);
    if (length < 12 || memcmp(h->magic, "MWIMAGE\n", 8)) return MW_NOT_AN_IMAGE;
    if (h->layout != MW_IMAGE_LAYOUT) return MW_WRONG_VERSION;
    if (length < MW_IMAGE_HEADER_LEN || h->length != length) return MW_DAMAGED_IMAGE;
    if (mw_crc32c(0, base + 16, length - 16, mw_has_sse42()) != h->crc) return MW_DAMAGED_IMAGE;
    m->base = base;
    m->length = length;
    if ((status = mw_sections_open(m, h)) != MW_IMAGE_OK) return status;
    MW_TABLE(targets, target_count, MW_SECTION_TARGETS, mw_string)
    MW_TABLE(signatures, signature_count, MW_SECTION_SIGNATURES, mw_signature)
    MW_TABLE(programs, program_count, MW_SECTION_PROGRAMS, mw_instruction)
    MW_TABLE(patterns, pattern_count, MW_SECTION_PATTERNS, mw_pattern)
    MW_TABLE(digest_sizes, digest_size_count, MW_SECTION_DIGEST_SIZES, mw_digest_size)
    MW_TABLE(digests, digest_count, MW_SECTION_DIGESTS, mw_digest)
    MW_TABLE(suffixes, suffix_count, MW_SECTION_SUFFIXES, mw_name)
    MW_TABLE(globs, glob_count, MW_SECTION_GLOBS, mw_name)
    if (m->target_count == 0 || m->target_count > 0xFFFE) return MW_DAMAGED_IMAGE;
    for (size_t i = 0; i < m->target_count; i++)
        if (!mw_string_ok(m, m->targets[i])) return MW_DAMAGED_IMAGE;
    for (size_t i = 0; i < m->signature_count; i++)
        if (!mw_string_ok(m, m->signatures[i].name) || m->signatures[i].target >= m->target_count ||
            m->signatures[i].family > MW_FAMILY_SPAM)
            return MW_DAMAGED_IMAGE;
    if (!mw_programs_ok(m) || !mw_patterns_ok(m) || !mw_digests_ok(m)) return MW_DAMAGED_IMAGE;
    if (!mw_names_ok(m, m->suffixes, m->suffix_count) || !mw_names_ok(m, m->globs, m->glob_count))
        return MW_DAMAGED_IMAGE;
    for (size_t i = 0; i < m->suffix_count; i++)
        if (m->suffixes[i].text.len > m->longest_suffix) m->longest_suffix = m->suffixes[i].text.len;
    for (int fold = 0; fold < 2; fold++) {
        mw_automaton *a = &m->automaton[fold];
        if (!mw_automaton_open(m, MW_SECTION_AUTOMATON_EXACT + fold, a)) return MW_DAMAGED_IMAGE;
        if (a->states && (status = mw_automaton_ok(m, a, (uint32_t)fold)) != 1)
            return status < 0 ? -1 : MW_DAMAGED_IMAGE;
    }
    for (int i = 0; i < 4; i++) {
        mw_filter *f = &m->filter[i];
        int kind = (i & 2 ? MW_SECTION_LONG_FILTER_EXACT : MW_SECTION_FILTER_EXACT) + (i & 1);
        if (!mw_filter_open(m, kind, i & 2 ? 8 : 4, f)) return MW_DAMAGED_IMAGE;
        if (!f->header) continue;
        if (!mw_filter_ok(m, f, i & 1)) return MW_DAMAGED_IMAGE;
        for (size_t e = 0; e < f->header->entries; e++)
            if (m->patterns[f->entries[e].pattern].length > m->longest_filtered)
                m->longest_filtered = m->patterns[f->entries[e].pattern].length;
    }
    return MW_IMAGE_OK;
}

#undef MW_TABLE
#endif
