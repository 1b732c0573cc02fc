/* Stream filters and strings of PDF (ISO 32000-1 s7.3.4, s7.4) over whole buffers.
 *
 * Every reader goes from p to p + n and never past it. Output goes to a mw_grow, which stops at its limit: a filter
 * that wants to write more sets `over` and ends. No table is longer than its constant. */
#ifndef MW_PDF_H
#define MW_PDF_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MW_PDF_COLORS 64        /* 32 components are the most that other readers take */
#define MW_PDF_ROW (1u << 26)   /* octets of one predictor row; far above any image */
#define MW_LZW_CODES 4096

typedef struct {
    uint8_t* p;
    size_t len, cap, limit;
    int over;   /* there was more than limit */
    int failed; /* no memory */
} mw_grow;

/* Makes room for n more octets. Returns how many of them may be written: fewer than n at the limit. */
static inline size_t mw_grow_room(mw_grow* out, size_t n) {
    size_t left = out->limit - out->len;
    if (n > left) {
        out->over = 1;
        n = left;
    }
    if (out->cap - out->len < n) {
        size_t cap = out->cap * 2 + 4096;
        if (cap < out->len + n) cap = out->len + n;
        if (cap > out->limit) cap = out->limit;
        uint8_t* p = (uint8_t*)realloc(out->p, cap ? cap : 1);
        if (p == NULL) {
            out->failed = out->over = 1;
            return 0;
        }
        out->p = p;
        out->cap = cap;
    }
    return n;
}

static inline int mw_pdf_space(uint8_t c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0;
}

/* LZW, most significant bit first, codes of 9 to 12 bits. early: 1 as Adobe counts, 0 as GIF. Returns 1 if the end
 * mark was seen, else 0: the data ended or a code was none. */
static inline int mw_pdf_lzw(const uint8_t* p, size_t n, int early, mw_grow* out) {
    uint16_t prefix[MW_LZW_CODES];
    uint16_t length[MW_LZW_CODES];
    uint8_t last[MW_LZW_CODES], first[MW_LZW_CODES];
    uint32_t bits = 0, next = 258, width = 9, previous = MW_LZW_CODES;
    uint32_t have = 0, code, walk;
    size_t i = 0;
    for (code = 0; code < 256; code++) {
        prefix[code] = MW_LZW_CODES;
        length[code] = 1;
        last[code] = first[code] = (uint8_t)code;
    }
    for (;;) {
        while (have < width && i < n) {
            bits = (bits << 8) | p[i++];
            have += 8;
        }
        if (have < width) return 0;
        code = (bits >> (have - width)) & ((1u << width) - 1);
        have -= width;
        bits &= (1u << have) - 1;
        if (code == 257) return 1;
        if (code == 256) {
            next = 258;
            width = 9;
            previous = MW_LZW_CODES;
            continue;
        }
        if (code > next || (code >= 256 && previous == MW_LZW_CODES) || (code == next && next >= MW_LZW_CODES)) return 0;
        if (previous != MW_LZW_CODES && next < MW_LZW_CODES) { /* the entry that this code completes */
            prefix[next] = (uint16_t)previous;
            first[next] = first[previous];
            last[next] = first[code == next ? previous : code];
            length[next] = (uint16_t)(length[previous] + 1); /* at most 3839: no wrap */
            next++;
        } else if (code == next) {
            return 0;
        }
        {
            size_t want = length[code], may = mw_grow_room(out, want), at = want;
            for (walk = code; at > 0; walk = prefix[walk]) { /* length[] says how many links there are */
                at--;
                if (at < may) out->p[out->len + at] = last[walk];
            }
            out->len += may;
            if (out->over) return 0;
        }
        previous = code;
        if (next + (uint32_t)early >= (1u << width) && width < 12) width++;
    }
}

/* RunLengthDecode. Returns 1 if the end mark was seen. */
static inline int mw_pdf_run_length(const uint8_t* p, size_t n, mw_grow* out) {
    size_t i = 0, run, may;
    while (i < n) {
        uint8_t c = p[i++];
        if (c == 128) return 1;
        if (c < 128) {
            run = (size_t)c + 1;
            if (run > n - i) run = n - i;
            may = mw_grow_room(out, run);
            if (may) memcpy(out->p + out->len, p + i, may);
            i += run;
        } else {
            if (i == n) return 0;
            may = mw_grow_room(out, 257u - c);
            if (may) memset(out->p + out->len, p[i], may);
            i++;
        }
        out->len += may;
        if (out->over) return 0;
    }
    return 0;
}

/* ASCII85Decode; what is neither digit nor mark is passed over, as readers do. Returns 1 if the end mark was seen. */
static inline int mw_pdf_ascii85(const uint8_t* p, size_t n, mw_grow* out) {
    uint32_t value = 0;
    int have = 0, ended = 0, k;
    uint8_t octets[4];
    size_t i = 0, may;
    if (n >= 2 && p[0] == '<' && p[1] == '~') i = 2;
    for (; i < n && !ended; i++) {
        uint8_t c = p[i];
        if (c == '~') {
            ended = 1;
        } else if (c == 'z' && have == 0) {
            may = mw_grow_room(out, 4);
            if (may) memset(out->p + out->len, 0, may);
            out->len += may;
            if (out->over) return 0;
        } else if (c >= '!' && c <= 'u') {
            value = value * 85u + (uint32_t)(c - '!'); /* wraps as other readers' do */
            if (++have == 5) {
                octets[0] = (uint8_t)(value >> 24);
                octets[1] = (uint8_t)(value >> 16);
                octets[2] = (uint8_t)(value >> 8);
                octets[3] = (uint8_t)value;
                may = mw_grow_room(out, 4);
                if (may) memcpy(out->p + out->len, octets, may);
                out->len += may;
                if (out->over) return 0;
                value = 0;
                have = 0;
            }
        }
    }
    if (have > 1) {
        int keep = have - 1;
        for (; have < 5; have++) value = value * 85u + 84u;
        may = mw_grow_room(out, (size_t)keep);
        for (k = 0; k < (int)may; k++) out->p[out->len + (size_t)k] = (uint8_t)(value >> (24 - 8 * k));
        out->len += may;
    }
    return ended;
}

static inline int mw_pdf_hex(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* ASCIIHexDecode and hexadecimal strings; what is no digit is passed over. Returns the offset behind the end mark, or
 * 0 if there was none. */
static inline size_t mw_pdf_ascii_hex(const uint8_t* p, size_t n, mw_grow* out) {
    int high = -1;
    size_t i, end = 0;
    for (i = 0; i < n; i++) {
        int digit = mw_pdf_hex(p[i]);
        if (digit >= 0) {
            if (high < 0) {
                high = digit;
            } else {
                if (!mw_grow_room(out, 1)) return 0;
                out->p[out->len++] = (uint8_t)(high << 4 | digit);
                high = -1;
            }
        } else if (p[i] == '>') {
            end = i + 1;
            break;
        }
    }
    if (high >= 0 && mw_grow_room(out, 1)) out->p[out->len++] = (uint8_t)(high << 4);
    return end;
}

/* The literal string whose opening parenthesis is right before p. Returns the offset behind its closing one, or 0 if
 * there is none. */
static inline size_t mw_pdf_literal(const uint8_t* p, size_t n, mw_grow* out) {
    size_t i = 0, depth = 1;
    while (i < n) {
        uint8_t c = p[i++];
        if (c == '(') {
            depth++;
        } else if (c == ')') {
            if (--depth == 0) return i;
        } else if (c == '\\') {
            if (i == n) return 0;
            c = p[i++];
            if (c >= '0' && c <= '7') {
                int value = c - '0', k;
                for (k = 0; k < 2 && i < n && p[i] >= '0' && p[i] <= '7'; k++) value = value * 8 + (p[i++] - '0');
                c = (uint8_t)value;
            } else if (c == '\r') {
                if (i < n && p[i] == '\n') i++;
                continue;
            } else if (c == '\n') {
                continue;
            } else if (c == 'n') {
                c = '\n';
            } else if (c == 'r') {
                c = '\r';
            } else if (c == 't') {
                c = '\t';
            } else if (c == 'b') {
                c = '\b';
            } else if (c == 'f') {
                c = '\f';
            }
        } else if (c == '\r') { /* a line end counts as LF, whatever it is */
            if (i < n && p[i] == '\n') i++;
            c = '\n';
        }
        if (!mw_grow_room(out, 1)) return 0;
        out->p[out->len++] = c;
    }
    return 0;
}

static inline uint8_t mw_pdf_paeth(int a, int b, int c) {
    int pa = abs(b - c), pb = abs(a - c), pc = abs(a + b - 2 * c);
    return (uint8_t)(pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
}

/* Undoes PNG prediction (RFC 2083 s6) in place of out: rows of 1 + row octets in p, rows of row octets in out, which
 * has place for n. unit: octets of one pixel, at least 1. A last row may be short. Returns the octets written. */
static inline size_t mw_pdf_png(const uint8_t* p, size_t n, size_t row, size_t unit, uint8_t* out) {
    size_t i = 0, done = 0, k;
    const uint8_t* above = NULL;
    while (i < n) {
        uint8_t tag = p[i++];
        size_t m = n - i < row ? n - i : row;
        uint8_t* to = out + done;
        const uint8_t* from = p + i;
        for (k = 0; k < m; k++) {
            int left = k >= unit ? to[k - unit] : 0;
            int up = above != NULL ? above[k] : 0;
            int corner = above != NULL && k >= unit ? above[k - unit] : 0;
            uint8_t add = 0;
            if (tag == 1) add = (uint8_t)left;
            else if (tag == 2) add = (uint8_t)up;
            else if (tag == 3) add = (uint8_t)((left + up) / 2);
            else if (tag == 4) add = mw_pdf_paeth(left, up, corner);
            to[k] = (uint8_t)(from[k] + add);
        }
        above = to;
        done += m;
        i += m;
    }
    return done;
}

/* Undoes TIFF prediction of 8 and 16 bits a component in place; of fewer bits by way of single components. */
static inline void mw_pdf_tiff(uint8_t* p, size_t n, size_t row, size_t colors, unsigned bits) {
    size_t at, k;
    for (at = 0; at < n; at += row) {
        size_t m = n - at < row ? n - at : row;
        uint8_t* line = p + at;
        if (bits == 8) {
            for (k = colors; k < m; k++) line[k] = (uint8_t)(line[k] + line[k - colors]);
        } else if (bits == 16) {
            for (k = 2 * colors; k + 1 < m; k += 2) {
                unsigned sum = ((unsigned)line[k] << 8 | line[k + 1]) +
                               ((unsigned)line[k - 2 * colors] << 8 | line[k - 2 * colors + 1]);
                line[k] = (uint8_t)(sum >> 8);
                line[k + 1] = (uint8_t)sum;
            }
        } else { /* 1, 2 or 4 bits: components do not cross octets */
            unsigned mask = (1u << bits) - 1;
            uint8_t before[MW_PDF_COLORS] = {0};
            size_t per = 8 / bits, total = m * per;
            for (k = 0; k < total; k++) {
                unsigned shift = (unsigned)(8 - bits * (k % per + 1));
                uint8_t* octet = line + k / per;
                uint8_t value = (uint8_t)(((*octet >> shift) + before[k % colors]) & mask);
                before[k % colors] = value;
                *octet = (uint8_t)((*octet & ~(mask << shift)) | (unsigned)(value << shift));
            }
        }
    }
}

#endif
