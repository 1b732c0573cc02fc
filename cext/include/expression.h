/* Regular expressions over short texts. From one start an expression takes MW_EXPRESSION_STEPS steps at most, a text has
 * MW_EXPRESSION_LEN starts at most, and a search takes MW_EXPRESSION_SECONDS at most. */
#ifndef MW_EXPRESSION_H
#define MW_EXPRESSION_H

#include "match_regex.h"

#define MW_EXPRESSION_LEN 1024
#define MW_EXPRESSION_STEPS 100000u
#define MW_EXPRESSION_SECONDS 1.0 /* of processor time */

/* 1 and where it occurs first; 0: nowhere; -1: too many steps; -2: out of memory. */
static int mw_expression_search(const pcre2_code *code, const uint8_t *p, size_t n, size_t *start, size_t *end) {
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    int rc = PCRE2_ERROR_NOMEMORY;
    mw_regex_watch watch;
    if (data && context) {
        pcre2_set_match_limit(context, MW_EXPRESSION_STEPS);
        pcre2_set_heap_limit(context, MW_REGEX_HEAP_KIB);
        mw_regex_watched(context, &watch, MW_EXPRESSION_SECONDS);
        rc = pcre2_match(code, p, n, 0, 0, data, context);
        if (rc >= 0) {
            const size_t *found = pcre2_get_ovector_pointer(data);
            *start = found[0];
            *end = found[1];
        }
    }
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    return rc >= 0 ? 1 : rc == PCRE2_ERROR_NOMATCH ? 0 : rc == PCRE2_ERROR_NOMEMORY ? -2 : -1;
}

#endif
