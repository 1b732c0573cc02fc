/* The compiled definitions image: what signatures/image.py writes and the matcher reads.
 *
 * One file, little-endian, position independent (offsets only), mapped read-only and shared. Every section begins on
 * a 64-octet border. mw_image_open verifies all of it before the first use: magic, layout, length, CRC-32C, then every
 * offset, index and chain that the matcher will follow. After that the matcher trusts what it reads, so nothing may
 * change a mapped image: a new revision is a new file.
 *
 * A pattern hit does not name a signature: it runs the pattern's program, a few instructions that look at the scan's
 * target and then report, or touch a condition. Conditions (wildcards, offsets, counts, several sub-patterns) are
 * evaluated once, at the end of a scan, and only where one of their anchors occurred.
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

#define MW_IMAGE_LAYOUT 6
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
#define MW_SECTION_TARGET_SETS 17
#define MW_SECTION_ELEMENTS 18
#define MW_SECTION_SUBS 19
#define MW_SECTION_CONDITIONS 20
#define MW_SECTION_EXPRESSIONS 21
#define MW_SECTION_ALWAYS 22
#define MW_SECTION_SECTION_DIGESTS 23
#define MW_SECTION_SECTION_SIZES 24
#define MW_SECTION_TINY_FILTER_EXACT 25
#define MW_SECTION_TINY_FILTER_FOLDED 26
#define MW_SECTION_ANNEXES 27
#define MW_SECTION_ANNEX_OCTETS 28
#define MW_SECTION_IMPORT_DIGESTS 29
#define MW_SECTION_IMPORT_SIZES 30
#define MW_SECTION_KINDS 31

#define MW_OP_END 0    /* the program ends */
#define MW_OP_TARGET 1 /* skip c instructions unless the scan's target is in set b */
#define MW_OP_REPORT 2 /* signature c has matched */
#define MW_OP_TOUCH 3  /* condition c is worth evaluating */

#define MW_FAMILY_MALWARE 0
#define MW_FAMILY_SPAM 1
#define MW_FAMILY_TRUSTED 2 /* not reported: content with such a digest matches nothing else */

#define MW_PATTERN_FOLDED 1 /* ASCII letters match in either case; the literal is stored in lower case */

#define MW_DIGEST_MD5 1
#define MW_DIGEST_SHA1 2
#define MW_DIGEST_SHA256 4
#define MW_ANY_SIZE UINT64_MAX

/* Elements of a sub-pattern. Each takes the set of positions where it may begin to the set of those where it ends. */
#define MW_ELEMENT_BYTES 1  /* a: offset in LITERALS, b: length */
#define MW_ELEMENT_FOLDED 2 /* the same, stored in lower case, ASCII letters in either case */
#define MW_ELEMENT_MASKED 3 /* b values at a, then b masks: octet & mask == value */
#define MW_ELEMENT_GAP 4    /* a to b octets; MW_NO_LIMIT: any number */
#define MW_ELEMENT_ONE_OF 5 /* b options at a, each a length (u16) and octets; c: flags below */
#define MW_ELEMENT_EDGE 6   /* no octets; a: MW_EDGE_* */
#define MW_ELEMENT_REGEX 7  /* alone in its sub-pattern; text in LITERALS, a: offset, b: length; c: number << 8 | flags */

#define MW_ELEMENT_COMPARE 8 /* no octets; a number near here, as the mw_compare of b octets at a says */
#define MW_ELEMENT_PROGRAM 9 /* no octets; of a program, by a: MW_PROGRAM_*, the number is b to c */
#define MW_ELEMENT_AROUND 10 /* no octets; the content lies in a type of set b, a containers further out */

#define MW_PROGRAM_ENTRY 0
#define MW_PROGRAM_SECTION_COUNT 1
#define MW_AROUND 16 /* containers around content that are told apart */

#define MW_COMPARE_HEX 0
#define MW_COMPARE_DECIMAL 1
#define MW_COMPARE_BINARY 2
#define MW_COMPARE_AUTO 3 /* hexadecimal behind 0x, else decimal */
#define MW_COMPARE_LITTLE 1 /* of flags */
#define MW_COMPARE_EXACT 2  /* all of its octets are digits */
#define MW_COMPARE_LEN 64

#define MW_REGEX_NOCASE 1
#define MW_REGEX_DOTALL 2
#define MW_REGEX_LINES 4      /* ^ and $ match at lines */
#define MW_REGEX_EXTENDED 8   /* blanks and comments in it mean nothing */
#define MW_REGEX_ANCHORED 16
#define MW_REGEX_DOLLAR_END 32
#define MW_REGEX_UNGREEDY 64
#define MW_REGEX_ALL 128 /* every match counts, not only the first */

#define MW_ONE_OF_NEGATED 1 /* none of the options, which are of one length */
#define MW_ONE_OF_FOLDED 2

#define MW_EDGE_LEFT 0  /* no letter or digit in front */
#define MW_EDGE_RIGHT 1 /* none behind */
#define MW_EDGE_WIDE_LEFT 2
#define MW_EDGE_WIDE_RIGHT 3
#define MW_EDGE_LINE_LEFT 4 /* a line end or the border of the content */
#define MW_EDGE_LINE_RIGHT 5
#define MW_EDGES 6

#define MW_NO_LIMIT UINT32_MAX

/* Where a sub-pattern may begin: at low, and up to span octets behind it, counted from ... */
#define MW_FROM_ANYWHERE 0
#define MW_FROM_START 1
#define MW_FROM_END 2   /* here low counts towards the front */
#define MW_FROM_ENTRY 3 /* these need a program: PE, ELF or Mach-O */
#define MW_FROM_SECTION 4 /* of number `section` */
#define MW_FROM_LAST_SECTION 5
#define MW_FROM_IN_SECTION 6 /* wholly inside section `section` */
#define MW_FROM_VERSION 7    /* at a name of the version information of a PE file */
#define MW_FROM_KINDS 8

/* Expressions are postfix; a value is (truth, sum of counts, set of sub-patterns that occurred), nothing
 * of it if it is false. */
#define MW_EXPR_SUB 1  /* v: variants << 16 | bit of the sub-pattern; next word: index in SUBS of the first variant */
#define MW_EXPR_AND 2
#define MW_EXPR_OR 3
#define MW_EXPR_EQUAL 4 /* next words: count, least number of different sub-patterns */
#define MW_EXPR_MORE 5
#define MW_EXPR_LESS 6
#define MW_EXPR_SKIP 7 /* v words, if the value on top is false */
#define MW_EXPR_IF 8   /* takes the value on top away; if it is false, puts nothing there and skips v words */
#define MW_EXPR_OPS 9
#define MW_EXPR_WORDS 2048
#define MW_EXPR_DEPTH 256

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
    uint32_t target; /* index in TARGET_SETS; 0 is any */
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
    uint8_t op, reserved[3];
    uint32_t a, b, c;
} mw_element;

typedef struct {
    int64_t offset; /* from here */
    int64_t value[2];
    uint8_t form, flags, length, count; /* length: octets that are read; count: of values, all of which must hold */
    uint8_t op[2];                      /* = < > */
    uint8_t reserved[2];
} mw_compare; /* in LITERALS, not aligned */

typedef struct {
    uint32_t element, elements; /* range in ELEMENTS */
    uint32_t from, section;
    uint64_t low, span;
} mw_sub;

typedef struct {
    uint32_t condition; /* is worth evaluating where this sub-pattern, which may begin at few places only, occurs */
    uint32_t sub;
} mw_always;

typedef struct {
    uint32_t signature;
    uint32_t target; /* index in TARGET_SETS */
    uint32_t expression, words;
    uint32_t container; /* index in TARGET_SETS: what the content has to lie in */
    uint32_t reserved;
    uint64_t size_min, size_max;
} mw_condition;

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
    mw_string name;
    uint64_t offset, length; /* in ANNEX_OCTETS */
} mw_annex; /* octets that travel with the signatures, for others to read */

typedef struct {
    uint32_t gram;         /* octets of one look-up: 4, or 8 in a long filter */
    uint32_t window;       /* gram + stride - 1: holds a whole gram at any phase of the stride; stride 1 in a tiny one */
    uint32_t filter_log2;  /* 32-bit words of the gram filter */
    uint32_t phases_log2;  /* octets of the table of phases */
    uint32_t slot_log2;    /* slots of the window table */
    uint32_t entries;
    uint32_t reserved[2];
} mw_filter_header; /* then: filter words, phases, 2^slot_log2 + 1 starts, entries */

#define MW_SLOT_START 0xFFFFFFu /* of a word of starts; above it a bit for each tag that one of the slot's windows has */
#define MW_SLOT_TAG 24

/* Which bit of its slot a window sets. */
static inline uint32_t mw_slot_tag(uint64_t hash) { return MW_SLOT_TAG + (hash >> 13 & 7); }

typedef struct {
    uint32_t check; /* further bits of the window's hash */
    uint32_t pattern;
} mw_filter_entry;

typedef struct {
    const uint8_t *classes;
    const uint32_t *states; /* NULL: no automaton */
    size_t words;
    uint32_t class_count;
    uint64_t targets; /* a bit for each target that some pattern of it is for */
} mw_automaton;

typedef struct {
    const mw_filter_header *header; /* NULL: no filter */
    const uint32_t *words, *starts;
    const uint8_t *phases; /* by a gram's hash: a bit for each place in a window that such a gram has */
    const mw_filter_entry *entries;
    uint64_t targets;
} mw_filter;

#define MW_FILTERS 6 /* exact and folded: of 4-grams, of 8-grams, of one 4-gram a literal */

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
    const mw_annex *annexes;
    size_t target_count, signature_count, program_count, pattern_count;
    size_t digest_size_count, digest_count, suffix_count, glob_count, annex_count;
    const uint64_t *target_sets; /* a bit a target; the first is all of them */
    const mw_element *elements;
    const mw_sub *subs;
    const mw_condition *conditions;
    const uint32_t *expressions;
    const mw_always *always;
    const mw_digest *section_digests; /* of sections of a PE file */
    const mw_digest_size *section_sizes;
    size_t target_set_count, element_count, sub_count, condition_count, expression_count, always_count;
    const mw_digest *import_digests; /* of what a PE file imports */
    const mw_digest_size *import_sizes;
    size_t section_digest_count, section_size_count, import_digest_count, import_size_count;
    int asks_versions; /* has sub-patterns in version information */
    size_t regex_count;
    void **regexes; /* of a matcher: compiled ones by their number, at first use */
    int trusts; /* has signatures of MW_FAMILY_TRUSTED */
    mw_automaton automaton[2]; /* exact, folded */
    mw_filter filter[MW_FILTERS]; /* index & 1: folded; index / 2: short, long, tiny */
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
            if (in->b >= m->target_set_count || in->c >= m->program_count - i - 1) return 0;
            break;
        case MW_OP_REPORT:
            if (in->c >= m->signature_count) return 0;
            break;
        case MW_OP_TOUCH:
            if (in->c >= m->condition_count) return 0;
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
    if (f->starts[0] & MW_SLOT_START || f->starts[slots] != h->entries) return 0;
    for (size_t i = 0; i < slots; i++) {
        uint32_t from = f->starts[i] & MW_SLOT_START, to = f->starts[i + 1] & MW_SLOT_START;
        if (from > to || to - from > MW_FILTER_BUCKET) return 0;
    }
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

static int mw_annexes_ok(const mw_image *m) {
    uint64_t room = m->section_len[MW_SECTION_ANNEX_OCTETS];
    for (size_t i = 0; i < m->annex_count; i++) {
        const mw_annex *a = &m->annexes[i];
        if (!mw_string_ok(m, a->name) || a->offset > room || a->length > room - a->offset) return 0;
    }
    return 1;
}

static int mw_digests_ok(const mw_image *m, const mw_digest *digests, size_t count, const mw_digest_size *sizes,
                         size_t size_count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t k = digests[i].kind;
        if (k != MW_DIGEST_MD5 && k != MW_DIGEST_SHA1 && k != MW_DIGEST_SHA256) return 0;
        if (digests[i].program >= m->program_count) return 0;
    }
    for (size_t i = 1; i < size_count; i++)
        if (sizes[i - 1].size >= sizes[i].size) return 0;
    return 1;
}

static int mw_one_of_ok(const mw_image *m, const mw_element *e) {
    const uint8_t *blob = m->section[MW_SECTION_LITERALS];
    size_t at = e->a, end = m->section_len[MW_SECTION_LITERALS], length = 0;
    if (!e->b || at > end) return 0;
    for (uint32_t i = 0; i < e->b; i++) {
        if (end - at < 2) return 0;
        size_t n = blob[at] | (size_t)blob[at + 1] << 8;
        if (!n || end - at - 2 < n) return 0;
        if (e->c & MW_ONE_OF_NEGATED && i && n != length) return 0;
        length = n;
        at += 2 + n;
    }
    return 1;
}

static int mw_compare_ok(const mw_image *m, const mw_element *e) {
    mw_compare c;
    if (e->b != sizeof c) return 0;
    memcpy(&c, m->section[MW_SECTION_LITERALS] + e->a, sizeof c);
    if (c.form > MW_COMPARE_AUTO || !c.length || c.length > MW_COMPARE_LEN || !c.count || c.count > 2) return 0;
    if (c.form == MW_COMPARE_BINARY && (c.length > 8 || c.length & (c.length - 1))) return 0;
    for (int i = 0; i < c.count; i++)
        if (c.op[i] != '=' && c.op[i] != '<' && c.op[i] != '>') return 0;
    return c.offset > -(1ll << 32) && c.offset < 1ll << 32;
}

static inline size_t mw_regex_number(const mw_element *e) { return e->c >> 8; }
static inline uint32_t mw_regex_flags(const mw_element *e) { return e->c & 0xFF; }

static int mw_elements_ok(mw_image *m) {
    size_t literals = m->section_len[MW_SECTION_LITERALS];
    for (size_t i = 0; i < m->element_count; i++) {
        const mw_element *e = &m->elements[i];
        uint64_t octets = e->op == MW_ELEMENT_MASKED ? 2 * (uint64_t)e->b : e->b;
        switch (e->op) {
        case MW_ELEMENT_BYTES:
        case MW_ELEMENT_FOLDED:
        case MW_ELEMENT_MASKED:
            if (!e->b || e->a > literals || octets > literals - e->a) return 0;
            break;
        case MW_ELEMENT_GAP:
            if (e->a > e->b) return 0;
            break;
        case MW_ELEMENT_ONE_OF:
            if (!mw_one_of_ok(m, e)) return 0;
            break;
        case MW_ELEMENT_EDGE:
            if (e->a >= MW_EDGES) return 0;
            break;
        case MW_ELEMENT_REGEX: /* numbered in their order */
            if (!e->b || e->a > literals || e->b > literals - e->a || mw_regex_number(e) != m->regex_count) return 0;
            m->regex_count++;
            break;
        case MW_ELEMENT_COMPARE:
            if (e->a > literals || octets > literals - e->a || !mw_compare_ok(m, e)) return 0;
            break;
        case MW_ELEMENT_PROGRAM:
            if (e->a > MW_PROGRAM_SECTION_COUNT) return 0;
            break;
        case MW_ELEMENT_AROUND:
            if (e->a >= MW_AROUND || e->b >= m->target_set_count) return 0;
            break;
        default: return 0;
        }
    }
    for (size_t i = 0; i < m->sub_count; i++) {
        const mw_sub *b = &m->subs[i];
        if (b->element > m->element_count || b->elements > m->element_count - b->element) return 0;
        for (uint32_t k = 0; k < b->elements && m->regex_count; k++)
            if (m->elements[b->element + k].op == MW_ELEMENT_REGEX && b->elements > 1) return 0;
        if (b->from >= MW_FROM_KINDS) return 0;
        m->asks_versions |= b->from == MW_FROM_VERSION;
    }
    return 1;
}

/* Every operand is there, the stack never runs over, and a skip lands where the stack is as it was. */
static int mw_expression_ok(const mw_image *m, const mw_condition *c) {
    uint16_t landing[MW_EXPR_WORDS + 1]; /* 1 + depth that a skip brings there */
    const uint32_t *w = m->expressions + c->expression;
    uint32_t depth = 0;
    if (c->words > MW_EXPR_WORDS) return 0;
    memset(landing, 0, sizeof landing);
    for (uint32_t i = 0; i < c->words;) {
        uint32_t op = w[i] & 0xFF, v = w[i] >> 8, width = 1;
        if (landing[i] && landing[i] != depth + 1) return 0;
        switch (op) {
        case MW_EXPR_SUB:
            width = 2;
            if (c->words - i < 2 || (v & 0xFF) >= 64 || !(v >> 16) || depth >= MW_EXPR_DEPTH) return 0;
            if (w[i + 1] > m->sub_count || v >> 16 > m->sub_count - w[i + 1]) return 0;
            depth++;
            break;
        case MW_EXPR_AND:
        case MW_EXPR_OR:
            if (depth < 2) return 0;
            depth--;
            break;
        case MW_EXPR_EQUAL:
        case MW_EXPR_MORE:
        case MW_EXPR_LESS:
            width = 3;
            if (c->words - i < 3 || depth < 1) return 0;
            break;
        case MW_EXPR_SKIP:
            if (depth < 1 || v >= c->words - i) return 0;
            landing[i + 1 + v] = (uint16_t)(depth + 1);
            break;
        case MW_EXPR_IF:
            if (depth < 1 || v >= c->words - i) return 0;
            landing[i + 1 + v] = (uint16_t)(depth + 1);
            depth--;
            break;
        default: return 0;
        }
        for (uint32_t k = 1; k < width; k++)
            if (landing[i + k]) return 0;
        i += width;
    }
    return depth == 1 && (!landing[c->words] || landing[c->words] == 2);
}

static int mw_conditions_ok(const mw_image *m) {
    for (size_t i = 0; i < m->condition_count; i++) {
        const mw_condition *c = &m->conditions[i];
        if (c->signature >= m->signature_count || c->target >= m->target_set_count) return 0;
        if (c->container >= m->target_set_count) return 0;
        if (c->expression > m->expression_count || c->words > m->expression_count - c->expression) return 0;
        if (!mw_expression_ok(m, c)) return 0;
    }
    for (size_t i = 0; i < m->always_count; i++)
        if (m->always[i].condition >= m->condition_count || m->always[i].sub >= m->sub_count) return 0;
    return 1;
}

static inline size_t mw_ac_width(const mw_automaton *a, size_t state) {
    uint32_t n = ((const uint8_t *)(a->states + state))[8];
    return mw_ac_head(n) + (n == MW_AC_DENSE ? a->class_count : n);
}

/* A bit for each target for which the program does anything. */
static uint64_t mw_targets_of(const mw_image *m, uint32_t pc) {
    uint64_t targets = 0, gate = ~0ull;
    for (const mw_instruction *in = m->programs + pc; in->op != MW_OP_END; in++) {
        if (in->op == MW_OP_TARGET) {
            gate = in->c == 1 ? m->target_sets[in->b] : ~0ull;
            continue;
        }
        if (in->op == MW_OP_REPORT) targets |= gate;
        if (in->op == MW_OP_TOUCH) targets |= m->target_sets[m->conditions[in->c].target];
        gate = ~0ull;
    }
    return targets;
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

static int mw_filter_open(mw_image *m, int kind, uint32_t gram, uint32_t window, mw_filter *f) {
    size_t n = m->section_len[kind], need;
    const mw_filter_header *h = (const mw_filter_header *)m->section[kind];
    if (!h) return 1;
    if (n < sizeof *h || h->gram != gram || h->window != window) return 0;
    if (h->filter_log2 < 5 || h->filter_log2 > 24 || h->phases_log2 < 2 || h->phases_log2 > 29 || h->slot_log2 < 1 ||
        h->slot_log2 > 28)
        return 0;
    need = sizeof *h + ((size_t)4 << h->filter_log2) + ((size_t)1 << h->phases_log2) +
           4 * (((size_t)1 << h->slot_log2) + 1) + 8 * (size_t)h->entries;
    if (n != need) return 0;
    f->header = h;
    f->words = (const uint32_t *)(h + 1);
    f->phases = (const uint8_t *)(f->words + ((size_t)1 << h->filter_log2));
    f->starts = (const uint32_t *)(f->phases + ((size_t)1 << h->phases_log2));
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
    MW_TABLE(target_sets, target_set_count, MW_SECTION_TARGET_SETS, uint64_t)
    MW_TABLE(elements, element_count, MW_SECTION_ELEMENTS, mw_element)
    MW_TABLE(subs, sub_count, MW_SECTION_SUBS, mw_sub)
    MW_TABLE(conditions, condition_count, MW_SECTION_CONDITIONS, mw_condition)
    MW_TABLE(expressions, expression_count, MW_SECTION_EXPRESSIONS, uint32_t)
    MW_TABLE(always, always_count, MW_SECTION_ALWAYS, mw_always)
    MW_TABLE(section_digests, section_digest_count, MW_SECTION_SECTION_DIGESTS, mw_digest)
    MW_TABLE(section_sizes, section_size_count, MW_SECTION_SECTION_SIZES, mw_digest_size)
    MW_TABLE(import_digests, import_digest_count, MW_SECTION_IMPORT_DIGESTS, mw_digest)
    MW_TABLE(import_sizes, import_size_count, MW_SECTION_IMPORT_SIZES, mw_digest_size)
    MW_TABLE(annexes, annex_count, MW_SECTION_ANNEXES, mw_annex)
    if (m->target_count == 0 || m->target_count > 64 || m->target_set_count == 0) return MW_DAMAGED_IMAGE;
    for (size_t i = 0; i < m->target_count; i++)
        if (!mw_string_ok(m, m->targets[i])) return MW_DAMAGED_IMAGE;
    for (size_t i = 0; i < m->signature_count; i++)
        if (!mw_string_ok(m, m->signatures[i].name) || m->signatures[i].target >= m->target_set_count ||
            m->signatures[i].family > MW_FAMILY_TRUSTED)
            return MW_DAMAGED_IMAGE;
    for (size_t i = 0; i < m->signature_count; i++) m->trusts |= m->signatures[i].family == MW_FAMILY_TRUSTED;
    if (!mw_programs_ok(m) || !mw_patterns_ok(m) || !mw_elements_ok(m) || !mw_conditions_ok(m)) return MW_DAMAGED_IMAGE;
    if (!mw_digests_ok(m, m->digests, m->digest_count, m->digest_sizes, m->digest_size_count) ||
        !mw_digests_ok(m, m->section_digests, m->section_digest_count, m->section_sizes, m->section_size_count) ||
        !mw_digests_ok(m, m->import_digests, m->import_digest_count, m->import_sizes, m->import_size_count))
        return MW_DAMAGED_IMAGE;
    if (!mw_names_ok(m, m->suffixes, m->suffix_count) || !mw_names_ok(m, m->globs, m->glob_count) || !mw_annexes_ok(m))
        return MW_DAMAGED_IMAGE;
    for (size_t i = 0; i < m->suffix_count; i++)
        if (m->suffixes[i].text.len > m->longest_suffix) m->longest_suffix = m->suffixes[i].text.len;
    for (int fold = 0; fold < 2; fold++) {
        mw_automaton *a = &m->automaton[fold];
        if (!mw_automaton_open(m, MW_SECTION_AUTOMATON_EXACT + fold, a)) return MW_DAMAGED_IMAGE;
        if (a->states && (status = mw_automaton_ok(m, a, (uint32_t)fold)) != 1)
            return status < 0 ? -1 : MW_DAMAGED_IMAGE;
        for (size_t w = 0; w < a->words; w += mw_ac_width(a, w))
            if (a->states[w]) a->targets |= mw_targets_of(m, m->patterns[a->states[w] - 1].program);
    }
    for (int i = 0; i < MW_FILTERS; i++) {
        static const struct {
            int kind;
            uint32_t gram, window;
        } tiers[MW_FILTERS / 2] = {
            {MW_SECTION_FILTER_EXACT, 4, 7}, {MW_SECTION_LONG_FILTER_EXACT, 8, 15}, {MW_SECTION_TINY_FILTER_EXACT, 4, 4}};
        mw_filter *f = &m->filter[i];
        if (!mw_filter_open(m, tiers[i / 2].kind + (i & 1), tiers[i / 2].gram, tiers[i / 2].window, f))
            return MW_DAMAGED_IMAGE;
        if (!f->header) continue;
        if (!mw_filter_ok(m, f, i & 1)) return MW_DAMAGED_IMAGE;
        for (size_t e = 0; e < f->header->entries; e++)
            if (m->patterns[f->entries[e].pattern].length > m->longest_filtered)
                m->longest_filtered = m->patterns[f->entries[e].pattern].length;
        for (size_t e = 0; e < f->header->entries && f->targets != ~0ull; e++)
            f->targets |= mw_targets_of(m, m->patterns[f->entries[e].pattern].program);
    }
    return MW_IMAGE_OK;
}

#undef MW_TABLE
#endif
