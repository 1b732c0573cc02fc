/* Regular expressions in conditions, by PCRE2: what signatures of ClamAV are written in, with looks around and back
 * references, which no matcher does in linear time. They are therefore bounded:
 *
 * - One is tried only where its trigger, an expression over other sub-patterns, holds.
 * - From one start it takes MW_REGEX_STEPS steps at most; such a start counts as one where it does not match.
 * - All expressions of one scan have MW_REGEX_SECONDS of processor time together. A scan that needs more is given up as
 *   a whole: `slow` says so. A step may look at the whole content, so steps bound nothing by themselves: PCRE2 calls us
 *   before each item of an expression, and we look at the clock. Between two looks is one item, once over the content.
 *   An expression that these calls make too large is called at each start only, and gets the fewer steps the longer the
 *   content is.
 *
 * Each is compiled when it is first needed, once for each process, and kept with its image.
 */
#ifndef MW_MATCH_REGEX_H
#define MW_MATCH_REGEX_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <time.h>

#include "match.h"

#define MW_REGEX_STEPS 100000u
#define MW_REGEX_OCTETS 1000000000u /* steps times octets between two looks, where a start has only one */
#define MW_REGEX_FEW_STEPS 100u
#define MW_REGEX_HEAP_KIB 32768u
#define MW_REGEX_SECONDS 2.0
#define MW_REGEX_STRETCH 512u /* starts */

/* When a match is given up. tick: of a coarse clock, which is cheap to look at, when the other one was looked at last. */
typedef struct {
    double until; /* of this thread's processor time */
    struct timespec tick;
} mw_regex_watch;

static double mw_regex_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int mw_regex_look(pcre2_callout_block *block, void *of) {
    mw_regex_watch *watch = (mw_regex_watch *)of;
    struct timespec now;
    (void)block;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    if (now.tv_nsec == watch->tick.tv_nsec && now.tv_sec == watch->tick.tv_sec) return 0;
    watch->tick = now;
    return mw_regex_clock() > watch->until ? PCRE2_ERROR_CALLOUT : 0;
}

static void mw_regex_watched(pcre2_match_context *context, mw_regex_watch *watch, double seconds) {
    memset(watch, 0, sizeof *watch);
    watch->until = mw_regex_clock() + seconds;
    pcre2_set_callout(context, mw_regex_look, watch);
}

static uint32_t mw_regex_options(uint32_t flags) {
    uint32_t options = PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_USE_OFFSET_LIMIT | PCRE2_AUTO_CALLOUT;
    if (flags & MW_REGEX_NOCASE) options |= PCRE2_CASELESS;
    if (flags & MW_REGEX_DOTALL) options |= PCRE2_DOTALL;
    if (flags & MW_REGEX_LINES) options |= PCRE2_MULTILINE;
    if (flags & MW_REGEX_EXTENDED) options |= PCRE2_EXTENDED;
    if (flags & MW_REGEX_ANCHORED) options |= PCRE2_ANCHORED;
    if (flags & MW_REGEX_DOLLAR_END) options |= PCRE2_DOLLAR_ENDONLY;
    if (flags & MW_REGEX_UNGREEDY) options |= PCRE2_UNGREEDY;
    return options;
}

/* The same expression, with a call at each start. NULL if it cannot be had so either. */
static pcre2_code *mw_regex_of_starts(const uint8_t *text, size_t len, uint32_t options, pcre2_compile_context *context) {
    static const char front[] = "(?C)(?:";
    const size_t head = sizeof front - 1;
    int error;
    size_t at;
    pcre2_code *code;
    uint8_t *whole;
    if (len > 1 && text[0] == '(' && text[1] == '*') return NULL; /* a verb stands in front or nowhere */
    whole = (uint8_t *)malloc(head + len + 1);
    if (!whole) return NULL;
    memcpy(whole, front, head);
    memcpy(whole + head, text, len);
    whole[head + len] = ')';
    code = pcre2_compile(whole, head + len + 1, options, &error, &at, context);
    free(whole);
    return code;
}

/* From one start. */
static uint32_t mw_regex_steps(const pcre2_code *code, size_t n) {
    uint32_t options = 0;
    size_t steps = MW_REGEX_OCTETS / (n + 1);
    pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &options);
    if (options & PCRE2_AUTO_CALLOUT || steps > MW_REGEX_STEPS) return MW_REGEX_STEPS;
    return steps < MW_REGEX_FEW_STEPS ? MW_REGEX_FEW_STEPS : (uint32_t)steps;
}

/* Returns NULL and the error, with its offset, if text is no expression. */
static pcre2_code *mw_regex_compile(const uint8_t *text, size_t len, uint32_t flags, int *error, size_t *at) {
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    pcre2_code *code = NULL;
    *error = 0;
    *at = 0;
    if (!context) return NULL;
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(context, 250);
    code = pcre2_compile(text, len, mw_regex_options(flags), error, at, context);
    if (!code && *error == PCRE2_ERROR_PATTERN_TOO_LARGE)
        code = mw_regex_of_starts(text, len, mw_regex_options(flags) & ~(uint32_t)PCRE2_AUTO_CALLOUT, context);
    pcre2_compile_context_free(context);
    return code;
}

static void mw_regex_message(int error, char *text, size_t room) {
    if (pcre2_get_error_message(error, (PCRE2_UCHAR *)text, room) < 0) text[room - 1] = 0;
}

/* The compiled expression of an element: by whoever comes first, however many threads scan. NULL: no memory. */
static pcre2_code *mw_regex_of(mw_scan *s, const mw_element *e) {
    void **place = &s->image->regexes[mw_regex_number(e)];
    pcre2_code *code = (pcre2_code *)__atomic_load_n(place, __ATOMIC_ACQUIRE);
    if (!code) {
        int error;
        size_t at;
        void *none = NULL;
        code = mw_regex_compile(s->image->section[MW_SECTION_LITERALS] + e->a, e->b, mw_regex_flags(e), &error, &at);
        if (!code) return NULL;
        if (!__atomic_compare_exchange_n(place, &none, code, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
            pcre2_code_free(code);
            code = (pcre2_code *)none;
        }
    }
    return code;
}

static void mw_regexes_free(mw_image *m) {
    if (!m->regexes) return;
    for (size_t i = 0; i < m->regex_count; i++) pcre2_code_free((pcre2_code *)m->regexes[i]);
    free(m->regexes);
    m->regexes = NULL;
}

/* Whether it matches from a start in lo..hi. from: the first start behind the one that matched. */
static int mw_regex_from(mw_scan *s, const pcre2_code *code, pcre2_match_data *data, pcre2_match_context *context,
                         const uint8_t *p, size_t n, size_t lo, size_t hi, size_t *from) {
    size_t stretch = MW_REGEX_STRETCH;
    while (lo <= hi) {
        size_t last = hi - lo < stretch ? hi : lo + stretch - 1;
        double begun = mw_regex_clock();
        pcre2_set_offset_limit(context, last);
        int rc = pcre2_match(code, p, n, lo, 0, data, context);
        s->regex_seconds += mw_regex_clock() - begun;
        if (rc >= 0) {
            const size_t *found = pcre2_get_ovector_pointer(data);
            *from = found[1] > lo ? found[1] : lo + 1;
            return 1;
        }
        if (rc == PCRE2_ERROR_NOMEMORY) {
            s->failed = 1;
            return 0;
        }
        if (rc == PCRE2_ERROR_CALLOUT || s->regex_seconds > MW_REGEX_SECONDS) {
            s->slow = 1;
            return 0;
        }
        if (rc != PCRE2_ERROR_NOMATCH && last > lo) { /* some start needs too much: which one? */
            stretch = (last - lo + 1) / 2;
            continue;
        }
        lo = last + 1;
        stretch = MW_REGEX_STRETCH;
    }
    return 0;
}

/* How often it occurs where it may begin; once is enough unless all are asked for. */
static uint64_t mw_regex_count(mw_scan *s, const mw_element *e, const uint8_t *p, size_t n, size_t lo, size_t hi) {
    uint64_t count = 0;
    mw_regex_watch watch;
    pcre2_code *code = mw_regex_of(s, e);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    if (mw_regex_flags(e) & MW_REGEX_ANCHORED) hi = lo;
    if (code && data && context) {
        pcre2_set_match_limit(context, mw_regex_steps(code, n));
        pcre2_set_heap_limit(context, MW_REGEX_HEAP_KIB);
        mw_regex_watched(context, &watch, MW_REGEX_SECONDS - s->regex_seconds);
        while (!s->failed && !s->slow && lo <= hi && mw_regex_from(s, code, data, context, p, n, lo, hi, &lo)) {
            count++;
            if (!(mw_regex_flags(e) & MW_REGEX_ALL)) break;
        }
    } else {
        s->failed = 1;
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    return count;
}

#endif
