/* A scan whose octets come in pieces of any size.
 *
 * The automaton needs only its state. The filter compares literals in place, so it needs what came before: small pieces
 * are gathered in a buffer that keeps the last `lookback` octets, large ones are scanned where they lie after the border
 * was scanned in the buffer. Seeing an octet twice is harmless: a pattern is run once.
 */
#ifndef MW_MATCH_STREAM_H
#define MW_MATCH_STREAM_H

#include "match_filter.h"

#define MW_STREAM_BLOCK 65536

typedef struct {
    mw_scan scan;
    uint32_t state[2];
    int level;
    uint8_t *buffer; /* lookback + MW_STREAM_BLOCK octets, and lookback more for a border; NULL: no filter */
    size_t lookback, held;
    int fresh; /* the buffer holds octets that were not scanned */
} mw_stream;

/* Both tiers over p[0:n], which is everything. */
static void mw_scan_all(mw_scan *s, const uint8_t *p, size_t n, int level) {
    mw_filters_run(s, p, n, level);
    for (int fold = 0; fold < 2; fold++)
        if (s->image->automaton[fold].states && !s->done && mw_serves(s, s->image->automaton[fold].targets))
            mw_ac_run(&s->image->automaton[fold], s, 0, p, n);
}

static int mw_stream_open(mw_stream *t, const mw_image *image, uint32_t target, uint32_t families, int level) {
    memset(t, 0, sizeof *t);
    if (!mw_scan_open(&t->scan, image, target, families, 0)) return 0;
    t->level = level;
    if (!image->longest_filtered) return 1;
    t->lookback = image->longest_filtered - 1;
    t->buffer = (uint8_t *)malloc(2 * t->lookback + MW_STREAM_BLOCK);
    return t->buffer != NULL;
}

static void mw_stream_close(mw_stream *t) {
    mw_scan_close(&t->scan);
    free(t->buffer);
    t->buffer = NULL;
}

static void mw_stream_flush(mw_stream *t) {
    if (t->fresh) mw_filters_run(&t->scan, t->buffer, t->held, t->level);
    t->fresh = 0;
    if (t->held > t->lookback) {
        memmove(t->buffer, t->buffer + t->held - t->lookback, t->lookback);
        t->held = t->lookback;
    }
}

static void mw_stream_append(mw_stream *t, const uint8_t *p, size_t n) {
    if (!n) return;
    memcpy(t->buffer + t->held, p, n);
    t->held += n;
    t->fresh = 1;
}

static void mw_stream_feed(mw_stream *t, const uint8_t *p, size_t n) {
    const size_t capacity = t->lookback + MW_STREAM_BLOCK;
    for (int fold = 0; fold < 2; fold++)
        if (t->scan.image->automaton[fold].states)
            t->state[fold] = mw_ac_run(&t->scan.image->automaton[fold], &t->scan, t->state[fold], p, n);
    if (!t->buffer) return;
    if (n > MW_STREAM_BLOCK) { /* lookback < MW_STREAM_BLOCK < n */
        mw_stream_append(t, p, t->lookback);
        mw_stream_flush(t);
        mw_filters_run(&t->scan, p, n, t->level);
        memcpy(t->buffer, p + n - t->lookback, t->lookback);
        t->held = t->lookback;
        return;
    }
    while (n) {
        size_t take = capacity - t->held < n ? capacity - t->held : n;
        mw_stream_append(t, p, take);
        p += take;
        n -= take;
        if (t->held == capacity) mw_stream_flush(t);
    }
}

#endif
