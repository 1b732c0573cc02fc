/* Running a verified image over octets: hits, programs, and the Aho-Corasick tier.
 *
 * Work is bounded whatever the octets are. A pattern is run at most once a scan (programs cannot give another answer
 * the second time), and where a state's chain of suffix patterns meets one that was seen, the rest of the chain was
 * seen with it: so all chains together cost one step an octet plus one a pattern. Fail links cost at most one step an
 * octet on average, a sparse state at most MW_AC_SPARSE comparisons.
 */
#ifndef MW_MATCH_H
#define MW_MATCH_H

#include "image.h"

#define MW_NO_TARGET 0xFFFFu

typedef struct {
    size_t lo, hi; /* positions lo..hi */
} mw_range;

typedef struct {
    mw_range *at; /* ascending, apart from each other */
    size_t count, room;
} mw_ranges;

/* What one scan has found so far; owned by its caller, never shared. */
typedef struct {
    const mw_image *image;
    uint32_t target;   /* index in TARGETS, or MW_NO_TARGET: a type that no signature asks for */
    uint32_t around[MW_AROUND]; /* the same, of what the content lies in, innermost first */
    uint32_t families; /* 1 << MW_FAMILY_*, those that are reported */
    int first;         /* stop at the first report */
    int done;
    size_t found;
    int trusted; /* a digest of the trusted was met: nothing is reported in the end */
    int failed;  /* out of memory */
    int slow;    /* regular expressions took too long: nothing is known of the content */
    double regex_seconds; /* of processor time */
    uint64_t size;      /* of the content, where it is known */
    uint64_t *seen;     /* a bit a pattern */
    uint64_t *reported; /* a bit a signature */
    uint64_t *touched;  /* a bit a condition */
    uint32_t *queue;    /* the conditions that were touched, in this order */
    size_t queued, queue_room;
    mw_ranges now, next; /* of the sub-pattern under evaluation */
} mw_scan;

static int mw_scan_open(mw_scan *s, const mw_image *image, uint32_t target, uint32_t families, int first) {
    size_t seen = image->pattern_count / 64 + 1, reported = image->signature_count / 64 + 1;
    size_t touched = image->condition_count / 64 + 1;
    memset(s, 0, sizeof *s);
    s->image = image;
    s->target = target;
    for (int i = 0; i < MW_AROUND; i++) s->around[i] = MW_NO_TARGET;
    s->families = families;
    s->first = first;
    s->seen = (uint64_t *)calloc(seen + reported + touched, 8);
    if (!s->seen) return 0;
    s->reported = s->seen + seen;
    s->touched = s->reported + reported;
    return 1;
}

static void mw_scan_close(mw_scan *s) {
    free(s->seen);
    free(s->queue);
    free(s->now.at);
    free(s->next.at);
    memset(s, 0, sizeof *s);
}

static inline int mw_in_target(const mw_scan *s, uint32_t set) {
    return !set || (s->target < 64 && s->image->target_sets[set] >> s->target & 1);
}

/* Whether a tier holds anything for the scan's target. */
static inline int mw_serves(const mw_scan *s, uint64_t targets) {
    return targets == ~0ull || (s->target < 64 && targets >> s->target & 1);
}

/* Whether the condition is for this content at all. */
static inline int mw_concerns(const mw_scan *s, const mw_condition *c) {
    if (!mw_in_target(s, c->target) || s->size < c->size_min || s->size > c->size_max) return 0;
    return !c->container || (s->around[0] < 64 && s->image->target_sets[c->container] >> s->around[0] & 1);
}

/* An anchor of the condition occurred. */
static void mw_touch(mw_scan *s, uint32_t id) {
    const mw_condition *c = &s->image->conditions[id];
    uint64_t bit = 1ull << id % 64;
    if (s->touched[id / 64] & bit) return;
    if (!mw_concerns(s, c)) return;
    s->touched[id / 64] |= bit;
    if (s->queued == s->queue_room) {
        size_t room = s->queue_room ? 2 * s->queue_room : 64;
        uint32_t *queue = (uint32_t *)realloc(s->queue, room * sizeof *queue);
        if (!queue) {
            s->failed = 1;
            return;
        }
        s->queue = queue;
        s->queue_room = room;
    }
    s->queue[s->queued++] = id;
}

static void mw_report(mw_scan *s, uint32_t id) {
    uint64_t bit = 1ull << id % 64;
    uint8_t family = s->image->signatures[id].family;
    if (family == MW_FAMILY_TRUSTED) {
        s->trusted = 1;
        return;
    }
    if (!(s->families >> family & 1) || s->reported[id / 64] & bit) return;
    s->reported[id / 64] |= bit;
    s->found++;
    if (s->first) s->done = 1;
}

static void mw_run(mw_scan *s, uint32_t pc) {
    const mw_instruction *in = s->image->programs;
    for (;; pc++) switch (in[pc].op) {
        case MW_OP_TARGET:
            if (!mw_in_target(s, in[pc].b)) pc += in[pc].c;
            break;
        case MW_OP_REPORT:
            mw_report(s, in[pc].c);
            if (s->done) return;
            break;
        case MW_OP_TOUCH: mw_touch(s, in[pc].c); break;
        default: return; /* END */
        }
}

static inline int mw_seen(const mw_scan *s, uint32_t pattern) { return s->seen[pattern / 64] >> pattern % 64 & 1; }

/* pattern occurs. */
static void mw_hit(mw_scan *s, uint32_t pattern) {
    s->seen[pattern / 64] |= 1ull << pattern % 64;
    mw_run(s, s->image->patterns[pattern].program);
}

/* out: 1 + the longest pattern that ends here. */
static void mw_hit_chain(mw_scan *s, uint32_t out) {
    for (; out && !mw_seen(s, out - 1) && !s->done; out = s->image->patterns[out - 1].suffix) mw_hit(s, out - 1);
}

/* Advance the automaton over p[0:n] and return the new state, which the next piece of the same stream begins with.
 * The first state is 0. Dense states hold a final target for every class, so that only sparse ones need fail links. */
static uint32_t mw_ac_run(const mw_automaton *a, mw_scan *s, uint32_t state, const uint8_t *p, size_t n) {
    const uint32_t *states = a->states;
    const uint8_t *classes = a->classes;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = classes[p[i]];
        for (;;) {
            const uint32_t *w = states + state;
            const uint8_t *keys = (const uint8_t *)(w + 2);
            uint32_t count = keys[0], k = 1;
            if (count == MW_AC_DENSE) {
                state = w[3 + c];
                break;
            }
            while (k <= count && keys[k] != c) k++;
            if (k <= count) {
                state = w[mw_ac_head(count) + k - 1];
                break;
            }
            state = w[1];
        }
        if (states[state]) {
            mw_hit_chain(s, states[state]);
            if (s->done) break;
        }
    }
    return state;
}

#endif
