/* What a PE file imports, in the one spelling whose digest is compared: "library.function,library.function,...", in lower
 * case, in the order of the file, without the usual endings of libraries; a function without a name is ordN.
 */
#ifndef MW_MATCH_IMPORTS_H
#define MW_MATCH_IMPORTS_H

#include <stdio.h>
#include <strings.h>

#include "match_executable.h"
#include "ordinals.h"

#define MW_IMPORT_LIBRARIES 1024
#define MW_IMPORT_FUNCTIONS 1024 /* of one library */
#define MW_IMPORT_NAME 256
#define MW_IMPORTS_LEN (1u << 20)

typedef struct {
    uint8_t *out; /* MW_IMPORTS_LEN octets */
    size_t len;
    int full;
} mw_imports;

/* Octets of the name at p[at:], cut at what no name has. */
static size_t mw_import_name(const uint8_t *p, size_t n, uint64_t at) {
    size_t len = 0;
    while (len < MW_IMPORT_NAME && at + len < n && p[at + len] > 0x20 && p[at + len] < 0x7F) len++;
    return len;
}

static void mw_import_put(mw_imports *t, const uint8_t *p, size_t len) {
    if (MW_IMPORTS_LEN - t->len < len) {
        t->full = 1;
        return;
    }
    for (size_t i = 0; i < len; i++) t->out[t->len++] = p[i] >= 'A' && p[i] <= 'Z' ? p[i] | 0x20 : p[i];
}

static void mw_import_one(mw_imports *t, const uint8_t *library, size_t library_len, const uint8_t *name, size_t len) {
    if (t->len) mw_import_put(t, (const uint8_t *)",", 1);
    mw_import_put(t, library, library_len);
    mw_import_put(t, (const uint8_t *)".", 1);
    mw_import_put(t, name, len);
}

static void mw_import_functions(mw_imports *t, const mw_program *x, const uint8_t *p, size_t n, uint64_t at,
                                const uint8_t *library, size_t len) {
    const unsigned width = x->wide ? 8 : 4;
    size_t shown = len;
    for (size_t i = 0; i < len; i++)
        if (library[i] == '.') {
            const char *end = (const char *)library + i;
            if (len - i >= 4 && (!strncasecmp(end, ".dll", 4) || !strncasecmp(end, ".ocx", 4) || !strncasecmp(end, ".sys", 4)))
                shown = i;
            break;
        }
    for (uint32_t i = 0; i < MW_IMPORT_FUNCTIONS && mw_within(at, width, n) && !t->full; i++, at += width) {
        uint64_t thunk = mw_uint(p + at, width, 0), name;
        if (!thunk) return;
        if (thunk >> (8 * width - 1)) {
            char number[16];
            const char *known = mw_ordinal_name(library, len, (uint32_t)thunk & 0xFFFF);
            if (!known) {
                snprintf(number, sizeof number, "ord%u", (unsigned)thunk & 0xFFFF);
                known = number;
            }
            mw_import_one(t, library, shown, (const uint8_t *)known, strlen(known));
        } else if (mw_pe_offset(x, (uint32_t)thunk, n, &name) && mw_within(name, 3, n)) {
            mw_import_one(t, library, shown, p + name + 2, mw_import_name(p, n, name + 2));
        }
    }
}

/* Write it to t->out. Without imports, or with more than there is room for, t->len is 0. */
static void mw_imports_read(mw_imports *t, const mw_program *x, const uint8_t *p, size_t n) {
    uint64_t at, name, thunks;
    t->len = 0;
    t->full = 0;
    if (x->format != MW_PE || !x->imports || !mw_pe_offset(x, x->imports, n, &at)) return;
    for (uint32_t i = 0; i < MW_IMPORT_LIBRARIES && mw_within(at, 20, n) && !t->full; i++, at += 20) {
        if (!mw_le32(p + at + 12)) break;
        if (!mw_pe_offset(x, mw_le32(p + at + 12), n, &name)) continue;
        uint32_t first = mw_le32(p + at);
        if ((first && mw_pe_offset(x, first, n, &thunks)) || mw_pe_offset(x, mw_le32(p + at + 16), n, &thunks))
            mw_import_functions(t, x, p, n, thunks, p + name, mw_import_name(p, n, name));
    }
    if (t->full) t->len = 0;
}

#endif
