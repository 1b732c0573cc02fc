/* Evaluating conditions over whole content: sub-patterns with wildcards, their counts, and logic over them.
 *
 * A sub-pattern is a row of elements. It is evaluated for all positions at once: a set of positions where the next
 * element may begin, kept as ranges, is taken through the elements one by one. So a sub-pattern costs at most one pass
 * an element whatever gaps and alternatives it has, and nothing is ever tried twice. A condition is evaluated at most
 * once a scan.
 *
 * Regular expressions are another kind of sub-pattern (match_regex.h), with bounds of their own.
 *
 * A set that would need more than MW_RANGES ranges is joined with its gaps: only content made for that gets there, and
 * it can be found too much then, never too little.
 */
#ifndef MW_MATCH_CONDITION_H
#define MW_MATCH_CONDITION_H

#include "match_filter.h"
#include "match_compare.h"
#include "match_executable.h"
#include "match_regex.h"

#define MW_RANGES (1u << 20)
#define MW_COUNT_MAX (1u << 30)

/* --- Sets of positions -------------------------------------------------------------------------------------------- */

static int mw_ranges_room(mw_ranges *t) {
    if (t->count < t->room) return 1;
    size_t room = t->room ? 2 * t->room : 64;
    mw_range *at = (mw_range *)realloc(t->at, room * sizeof *at);
    if (!at) return 0;
    t->at = at;
    t->room = room;
    return 1;
}

/* lo is not below that of the last range. */
static void mw_add(mw_scan *s, mw_ranges *t, size_t lo, size_t hi) {
    if (t->count && (lo <= t->at[t->count - 1].hi + 1 || t->count == MW_RANGES)) {
        if (hi > t->at[t->count - 1].hi) t->at[t->count - 1].hi = hi;
        return;
    }
    if (!mw_ranges_room(t)) {
        s->failed = 1;
        return;
    }
    t->at[t->count].lo = lo;
    t->at[t->count++].hi = hi;
}

static int mw_range_order(const void *a, const void *b) {
    size_t x = ((const mw_range *)a)->lo, y = ((const mw_range *)b)->lo;
    return (x > y) - (x < y);
}

static void mw_sort(mw_scan *s, mw_ranges *t) {
    size_t count = t->count;
    if (!count) return;
    qsort(t->at, count, sizeof *t->at, mw_range_order);
    t->count = 0;
    for (size_t i = 0; i < count; i++) mw_add(s, t, t->at[i].lo, t->at[i].hi); /* writes behind what it reads */
}

/* Make room: sorted, and if that was not enough each two neighbours become one. */
static void mw_crowded(mw_scan *s, mw_ranges *t) {
    mw_sort(s, t);
    if (t->count < MW_RANGES / 2) return;
    size_t half = 0;
    for (size_t i = 0; i < t->count; i += 2, half++) {
        t->at[half].lo = t->at[i].lo;
        t->at[half].hi = t->at[i + (i + 1 < t->count)].hi;
    }
    t->count = half;
}

/* --- Elements ----------------------------------------------------------------------------------------------------- */

/* First position in from..last where needle[0:len] stands, or SIZE_MAX. p[0:last + len] can be read. */
static size_t mw_find(const uint8_t *p, size_t from, size_t last, const uint8_t *needle, size_t len, uint32_t folded) {
    size_t i = from, far = len - 1;
    while (far && !needle[far]) far--; /* in 16-bit text every other octet is zero */
#if MW_X86
    const uint8_t bit = folded ? 0x20 : 0;
    const __m128i fold = _mm_set1_epi8((char)bit);
    const __m128i head = _mm_set1_epi8((char)(needle[0] | bit)), tail = _mm_set1_epi8((char)(needle[far] | bit));
    for (; last >= i && last - i >= 15; i += 16) {
        __m128i a = _mm_or_si128(_mm_loadu_si128((const __m128i *)(p + i)), fold);
        __m128i b = _mm_or_si128(_mm_loadu_si128((const __m128i *)(p + i + far)), fold);
        unsigned mask =
            (unsigned)_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(a, head), _mm_cmpeq_epi8(b, tail)));
        for (; mask; mask &= mask - 1) {
            size_t at = i + (size_t)__builtin_ctz(mask);
            if (mw_literal_here(needle, p + at, len, folded)) return at;
        }
    }
#endif
    for (; i <= last; i++)
        if (mw_literal_here(needle, p + i, len, folded)) return i;
    return SIZE_MAX;
}

static inline int mw_masked_here(const uint8_t *values, const uint8_t *masks, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if ((p[i] & masks[i]) != values[i]) return 0;
    return 1;
}

static inline int mw_is_word(uint8_t c) {
    return (uint8_t)(c - '0') < 10 || (uint8_t)((c | 0x20) - 'a') < 26;
}

static int mw_edge_here(uint32_t kind, const uint8_t *p, size_t n, size_t at) {
    switch (kind) {
    case MW_EDGE_LEFT: return !at || !mw_is_word(p[at - 1]);
    case MW_EDGE_RIGHT: return at >= n || !mw_is_word(p[at]);
    case MW_EDGE_WIDE_LEFT: return at < 2 || p[at - 1] || !mw_is_word(p[at - 2]);
    case MW_EDGE_WIDE_RIGHT: return n - at < 2 || p[at + 1] || !mw_is_word(p[at]);
    case MW_EDGE_LINE_LEFT: return !at || p[at - 1] == '\n' || p[at - 1] == '\r';
    default: return at >= n || p[at] == '\n' || p[at] == '\r';
    }
}

static void mw_step_literal(mw_scan *s, const mw_element *e, const uint8_t *p, size_t n, uint32_t folded) {
    const uint8_t *needle = s->image->section[MW_SECTION_LITERALS] + e->a;
    for (size_t i = 0; i < s->now.count && n >= e->b; i++) {
        size_t last = s->now.at[i].hi < n - e->b ? s->now.at[i].hi : n - e->b;
        for (size_t at = s->now.at[i].lo; at <= last; at++) {
            at = mw_find(p, at, last, needle, e->b, folded);
            if (at == SIZE_MAX) break;
            mw_add(s, &s->next, at + e->b, at + e->b);
        }
    }
}

static void mw_step_masked(mw_scan *s, const mw_element *e, const uint8_t *p, size_t n) {
    const uint8_t *values = s->image->section[MW_SECTION_LITERALS] + e->a;
    for (size_t i = 0; i < s->now.count && n >= e->b; i++) {
        size_t last = s->now.at[i].hi < n - e->b ? s->now.at[i].hi : n - e->b;
        for (size_t at = s->now.at[i].lo; at <= last; at++)
            if (mw_masked_here(values, values + e->b, p + at, e->b)) mw_add(s, &s->next, at + e->b, at + e->b);
    }
}

static void mw_step_gap(mw_scan *s, const mw_element *e, size_t n) {
    for (size_t i = 0; i < s->now.count; i++) {
        size_t lo = s->now.at[i].lo, hi = s->now.at[i].hi;
        if (lo > n || n - lo < e->a) break;
        hi = e->b == MW_NO_LIMIT || hi > n || n - hi < e->b ? n : hi + e->b;
        mw_add(s, &s->next, lo + e->a, hi);
    }
}

static void mw_step_one_of(mw_scan *s, const mw_element *e, const uint8_t *p, size_t n) {
    const uint32_t folded = e->c & MW_ONE_OF_FOLDED, negated = e->c & MW_ONE_OF_NEGATED;
    for (size_t i = 0; i < s->now.count; i++)
        for (size_t at = s->now.at[i].lo; at <= s->now.at[i].hi && at < n; at++) {
            const uint8_t *option = s->image->section[MW_SECTION_LITERALS] + e->a;
            size_t length = option[0] | (size_t)option[1] << 8;
            int met = 0;
            for (uint32_t k = 0; k < e->b && !s->failed; k++, option += 2 + length) {
                length = option[0] | (size_t)option[1] << 8;
                if (n - at < length || !mw_literal_here(option + 2, p + at, length, folded)) continue;
                met = 1;
                if (negated) break;
                if (!mw_ranges_room(&s->next)) {
                    s->failed = 1;
                    return;
                }
                s->next.at[s->next.count].lo = s->next.at[s->next.count].hi = at + length;
                if (++s->next.count >= MW_RANGES) mw_crowded(s, &s->next);
            }
            if (negated && !met && n - at >= length) mw_add(s, &s->next, at + length, at + length);
        }
    if (!negated) mw_sort(s, &s->next);
}

static void mw_step_edge(mw_scan *s, const mw_element *e, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < s->now.count; i++)
        for (size_t at = s->now.at[i].lo; at <= s->now.at[i].hi && at <= n; at++)
            if (mw_edge_here(e->a, p, n, at)) mw_add(s, &s->next, at, at);
}

static void mw_step_compare(mw_scan *s, const mw_element *e, const uint8_t *p, size_t n) {
    mw_compare c;
    memcpy(&c, s->image->section[MW_SECTION_LITERALS] + e->a, sizeof c);
    for (size_t i = 0; i < s->now.count; i++)
        for (size_t at = s->now.at[i].lo; at <= s->now.at[i].hi && at <= n; at++)
            if (mw_compare_here(&c, p, n, at)) mw_add(s, &s->next, at, at);
}

/* What is asked of the content as a whole. */
static int mw_fact_holds(const mw_scan *s, const mw_element *e, const mw_program *x) {
    if (e->op == MW_ELEMENT_AROUND) {
        uint32_t target = s->around[e->a];
        return target < 64 && s->image->target_sets[e->b] >> target & 1;
    }
    uint64_t value = e->a == MW_PROGRAM_ENTRY ? x->entry : x->count;
    return x->format && value >= e->b && value <= e->c;
}

/* --- Sub-patterns ------------------------------------------------------------------------------------------------- */

/* Positions where the sub-pattern may begin; 0: none. */
static int mw_start(const mw_sub *b, const mw_program *x, size_t n, mw_range *r) {
    uint64_t base = 0, span = b->span;
    const mw_program_section *section = NULL;
    r->lo = 0;
    r->hi = n;
    if (b->from == MW_FROM_ANYWHERE) return 1;
    if (b->from == MW_FROM_END) {
        if (b->low > n) return 0;
        base = n - b->low;
        r->lo = base;
        r->hi = span > n - base ? n : base + span;
        return 1;
    }
    if (b->from != MW_FROM_START && !x->format) return 0;
    switch (b->from) {
    case MW_FROM_ENTRY:
        if (x->entry == UINT64_MAX) return 0;
        base = x->entry;
        break;
    case MW_FROM_SECTION:
    case MW_FROM_IN_SECTION:
        if (b->section >= x->count) return 0;
        section = &x->section[b->section];
        base = section->offset;
        break;
    case MW_FROM_LAST_SECTION:
        if (!x->count) return 0;
        base = x->section[x->count - 1].offset;
        break;
    default: break;
    }
    if (b->from == MW_FROM_IN_SECTION) {
        r->lo = base;
        r->hi = base + section->length;
        return section->length != 0;
    }
    uint64_t lo = base + b->low; /* a distance in front of base was wrapped around by its writer */
    if (lo > n) return 0;
    r->lo = lo;
    r->hi = span > n - lo ? n : lo + span;
    return 1;
}

/* All positions where it may begin. */
static void mw_starts(mw_scan *s, const mw_sub *b, const mw_program *x, size_t n) {
    mw_range start;
    s->now.count = 0;
    if (b->from == MW_FROM_VERSION)
        for (uint32_t i = 0; i < x->versions; i++) mw_add(s, &s->now, x->version[i], x->version[i]);
    else if (mw_start(b, x, n, &start))
        mw_add(s, &s->now, start.lo, start.hi);
}

/* How often it occurs, by ends. */
static uint64_t mw_count(mw_scan *s, const mw_sub *b, const mw_program *x, const uint8_t *p, size_t n) {
    uint64_t total = 0;
    mw_starts(s, b, x, n);
    if (b->elements && s->image->elements[b->element].op == MW_ELEMENT_REGEX) {
        for (size_t i = 0; i < s->now.count; i++)
            total += mw_regex_count(s, &s->image->elements[b->element], p, n, s->now.at[i].lo, s->now.at[i].hi);
        return total < MW_COUNT_MAX ? total : MW_COUNT_MAX;
    }
    for (uint32_t i = 0; i < b->elements && s->now.count && !s->failed; i++) {
        const mw_element *e = &s->image->elements[b->element + i];
        s->next.count = 0;
        switch (e->op) {
        case MW_ELEMENT_BYTES: mw_step_literal(s, e, p, n, 0); break;
        case MW_ELEMENT_FOLDED: mw_step_literal(s, e, p, n, 1); break;
        case MW_ELEMENT_MASKED: mw_step_masked(s, e, p, n); break;
        case MW_ELEMENT_GAP: mw_step_gap(s, e, n); break;
        case MW_ELEMENT_ONE_OF: mw_step_one_of(s, e, p, n); break;
        case MW_ELEMENT_COMPARE: mw_step_compare(s, e, p, n); break;
        case MW_ELEMENT_PROGRAM:
        case MW_ELEMENT_AROUND:
            if (mw_fact_holds(s, e, x)) continue;
            return 0;
        default: mw_step_edge(s, e, p, n); break;
        }
        mw_ranges swap = s->now;
        s->now = s->next;
        s->next = swap;
    }
    if (s->failed) return 0;
    for (size_t i = 0; i < s->now.count; i++) total += s->now.at[i].hi - s->now.at[i].lo + 1;
    return total < MW_COUNT_MAX ? total : MW_COUNT_MAX;
}

/* --- Logic -------------------------------------------------------------------------------------------------------- */

typedef struct {
    int truth;
    uint64_t count, which;
} mw_value;

static int mw_holds(mw_scan *s, const mw_condition *c, const mw_program *x, const uint8_t *p, size_t n) {
    mw_value stack[MW_EXPR_DEPTH + 1], *top = stack; /* top: the last one; stack[0] is not used */
    const uint32_t *w = s->image->expressions + c->expression, *end = w + c->words;
    while (w < end && !s->failed && !s->slow) {
        uint32_t op = *w & 0xFF, v = *w >> 8;
        w++;
        switch (op) {
        case MW_EXPR_SUB:
            top++;
            top->count = 0;
            for (uint32_t i = 0; i < v >> 16; i++) top->count += mw_count(s, &s->image->subs[*w + i], x, p, n);
            w++;
            top->truth = top->count != 0;
            top->which = top->truth ? 1ull << (v & 63) : 0;
            break;
        case MW_EXPR_AND:
        case MW_EXPR_OR:
            top--;
            top->truth = op == MW_EXPR_AND ? top->truth && top[1].truth : top->truth || top[1].truth;
            top->count += top[1].count;
            top->which |= top[1].which;
            if (!top->truth) top->count = top->which = 0; /* what is false counts nothing */
            break;
        case MW_EXPR_SKIP:
            if (!top->truth) w += v;
            break;
        case MW_EXPR_IF:
            if (top->truth) {
                top--;
            } else {
                top->count = top->which = 0;
                w += v;
            }
            break;
        default:
            top->truth = op == MW_EXPR_EQUAL  ? top->count == w[0]
                         : op == MW_EXPR_MORE ? top->count > w[0]
                                              : top->count < w[0];
            if (w[1] && (uint32_t)__builtin_popcountll(top->which) < w[1]) top->truth = 0;
            if (!top->truth) top->count = top->which = 0;
            w += 2;
        }
    }
    return !s->failed && !s->slow && stack[1].truth;
}

/* Report what the touched conditions, and those without an anchor, find in p[0:n], which is everything. */
static void mw_conditions_run(mw_scan *s, const mw_program *x, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < s->image->always_count && !s->done; i++) {
        const mw_always *a = &s->image->always[i];
        const mw_condition *c = &s->image->conditions[a->condition];
        if (mw_concerns(s, c) && mw_count(s, &s->image->subs[a->sub], x, p, n)) mw_touch(s, a->condition);
    }
    for (size_t i = 0; i < s->queued && !s->done && !s->failed && !s->slow; i++) {
        const mw_condition *c = &s->image->conditions[s->queue[i]];
        uint8_t family = s->image->signatures[c->signature].family;
        if (family <= MW_FAMILY_SPAM && !(s->families >> family & 1)) continue;
        if (s->reported[c->signature / 64] >> c->signature % 64 & 1) continue;
        if (mw_holds(s, c, x, p, n)) mw_report(s, c->signature);
    }
}

#endif
