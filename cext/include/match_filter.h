/* The filter in front of the automaton: most octets cost a share of one wide load.
 *
 * The compiler picks in every literal the rarest window of seven octets and puts its four 4-grams into a blocked Bloom
 * filter (three bits of one 32-bit word). The text is looked at in every fourth position only: whatever the phase, one
 * of the four grams lies there. A survivor is tried at its four possible window starts: a bit of the window bitmap, the
 * slot of the window's hash, further hash bits, and only then the literal itself.
 *
 * A long filter does the same with 8-grams of windows of eleven octets. It costs twice the multiplications and pays when
 * a set is so large that ordinary text is full of its 4-grams.
 *
 * A tiny filter is for literals of four to six octets: one gram each, looked up at every position.
 *
 * One survivor can ask for at most 4 windows x MW_FILTER_BUCKET literals of MW_FILTER_LITERAL octets, so hostile text
 * costs a constant an octet; the compiler keeps that constant low by leaving long literals whose window repeats itself to
 * the automaton. A literal that was found is not compared again.
 *
 * Folded: letters are folded by setting bit 5 in text and literal alike. That also joins octets which are no letters,
 * which is harmless before the comparison.
 */
#ifndef MW_MATCH_FILTER_H
#define MW_MATCH_FILTER_H

#include "match.h"

#define MW_FILTER_STRIDE 4 /* of short and long filters; a tiny one looks at every position */
#define MW_GRAM_WORD 0x9E3779B1u
#define MW_GRAM_BITS 0x85EBCA77u
#define MW_GRAM_WORD_HIGH 0xC2B2AE3Du /* the same for the second half of an 8-gram */
#define MW_GRAM_BITS_HIGH 0x27D4EB2Fu
#define MW_WINDOW_HASH 0x9E3779B97F4A7C15ull
#define MW_WINDOW_TAIL 0xD6E8FEB86659FD93ull
#define MW_FOLD32 0x20202020u
#define MW_FOLD64 0x2020202020202020ull
#define MW_WINDOW_MASK 0x00FFFFFFFFFFFFFFull

static inline uint8_t mw_lower(uint8_t c) { return (uint8_t)(c - 'A') < 26 ? c | 0x20 : c; }

static int mw_literal_here(const uint8_t *literal, const uint8_t *p, size_t n, uint32_t folded) {
    if (!folded) return !memcmp(literal, p, n);
    size_t i = 0;
    for (; n - i >= 32; i += 32) { /* without a way out inside, so that it becomes vector code: hostile text gets here */
        uint8_t differs = 0;
        for (size_t k = i; k < i + 32; k++) differs |= literal[k] ^ mw_lower(p[k]);
        if (differs) return 0;
    }
    for (; i < n; i++)
        if (literal[i] != mw_lower(p[i])) return 0;
    return 1;
}

/* Hash of the window of gram + stride - 1 octets at p, of which left, no less than that, may be read. */
MW_INLINE uint64_t mw_window_hash(const uint8_t *p, size_t left, uint32_t gram, uint32_t stride, uint32_t folded) {
    uint64_t v = 0;
    if (stride == 1) {
        uint32_t four;
        memcpy(&four, p, 4);
        return (uint64_t)(folded ? four | MW_FOLD32 : four) * MW_WINDOW_HASH;
    }
    if (left >= 8)
        memcpy(&v, p, 8);
    else
        memcpy(&v, p, 7);
    v &= MW_WINDOW_MASK;
    if (folded) v |= MW_FOLD64 & MW_WINDOW_MASK;
    if (gram == 8) {
        uint32_t tail;
        memcpy(&tail, p + 7, 4);
        v ^= (uint64_t)(folded ? tail | MW_FOLD32 : tail) * MW_WINDOW_TAIL;
    }
    return v * MW_WINDOW_HASH;
}

static void mw_try_slot(const mw_filter *f, mw_scan *s, uint32_t folded, const uint8_t *p, size_t n, size_t at,
                        uint64_t hash) {
    uint64_t slot = hash >> (64 - f->header->slot_log2);
    uint32_t check = (uint32_t)(hash >> 16);
    for (uint32_t e = f->starts[slot]; e < f->starts[slot + 1] && !s->done; e++) {
        if (f->entries[e].check != check) continue;
        uint32_t id = f->entries[e].pattern;
        if (mw_seen(s, id)) continue;
        const mw_pattern *pattern = &s->image->patterns[id];
        if (at < pattern->window || n - (at - pattern->window) < pattern->length) continue;
        if (mw_literal_here(s->image->section[MW_SECTION_LITERALS] + pattern->literal, p + at - pattern->window,
                            pattern->length, folded))
            mw_hit(s, id);
    }
}

/* The gram at p[at:at+gram] passed the filter. */
MW_INLINE void mw_survivor(const mw_filter *f, mw_scan *s, uint32_t gram, uint32_t stride, uint32_t folded,
                           const uint8_t *p, size_t n, size_t at) {
    for (size_t phase = 0; phase < stride && phase <= at; phase++) {
        size_t start = at - phase;
        if (n - start < gram + stride - 1) continue;
        uint64_t hash = mw_window_hash(p + start, n - start, gram, stride, folded);
        uint64_t bit = hash >> (64 - f->header->bitmap_log2);
        if (f->bitmap[bit / 32] >> bit % 32 & 1) mw_try_slot(f, s, folded, p, n, start, hash);
    }
}

MW_INLINE int mw_gram_passes(const mw_filter *f, const uint8_t *p, uint32_t gram, uint32_t fold) {
    uint32_t low, high = 0;
    memcpy(&low, p, 4);
    low |= fold;
    uint32_t index = low * MW_GRAM_WORD, bits = low * MW_GRAM_BITS;
    if (gram == 8) {
        memcpy(&high, p + 4, 4);
        high |= fold;
        index += high * MW_GRAM_WORD_HIGH;
        bits += high * MW_GRAM_BITS_HIGH;
    }
    uint32_t word = f->words[index >> (32 - f->header->filter_log2)];
    return word >> (bits >> 27) & word >> (bits >> 22 & 31) & word >> (bits >> 17 & 31) & 1;
}

/* Look at p[from:n] in steps of the stride; from is a multiple of it. */
MW_INLINE void mw_filter_scalar(const mw_filter *f, mw_scan *s, uint32_t gram, uint32_t stride, uint32_t folded,
                                const uint8_t *p, size_t n, size_t from) {
    uint32_t fold = folded ? MW_FOLD32 : 0;
    for (size_t at = from; n >= gram && at <= n - gram && !s->done; at += stride)
        if (mw_gram_passes(f, p + at, gram, fold)) mw_survivor(f, s, gram, stride, folded, p, n, at);
}

#if MW_X86
/* Eight grams a step: the 32-bit lanes of one load are just the 4-grams at a stride of four, and those of the load four
 * octets further are their second halves. Reads p[0:n] only. */
MW_TARGET("avx2") MW_INLINE void mw_filter_avx2(const mw_filter *f, mw_scan *s, uint32_t gram, uint32_t stride, uint32_t folded,
                                                const uint8_t *p, size_t n) {
    const __m256i fold = _mm256_set1_epi32((int)(folded ? MW_FOLD32 : 0));
    const __m256i one = _mm256_set1_epi32(1), low5 = _mm256_set1_epi32(31);
    const __m128i shift = _mm_cvtsi32_si128((int)(32 - f->header->filter_log2));
    const int *words = (const int *)f->words;
    size_t at = 0;
    for (; n - at >= 31 + gram && !s->done; at += 32)
        for (size_t shift_at = at; shift_at < at + (stride == 1 ? 4 : 1); shift_at++) {
        __m256i low = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(p + shift_at)), fold);
        __m256i index = _mm256_mullo_epi32(low, _mm256_set1_epi32((int)MW_GRAM_WORD));
        __m256i bits = _mm256_mullo_epi32(low, _mm256_set1_epi32((int)MW_GRAM_BITS));
        if (gram == 8) {
            __m256i high = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(p + shift_at + 4)), fold);
            index = _mm256_add_epi32(index, _mm256_mullo_epi32(high, _mm256_set1_epi32((int)MW_GRAM_WORD_HIGH)));
            bits = _mm256_add_epi32(bits, _mm256_mullo_epi32(high, _mm256_set1_epi32((int)MW_GRAM_BITS_HIGH)));
        }
        __m256i word = _mm256_i32gather_epi32(words, _mm256_srl_epi32(index, shift), 4);
        __m256i need = _mm256_sllv_epi32(one, _mm256_srli_epi32(bits, 27));
        need = _mm256_or_si256(need, _mm256_sllv_epi32(one, _mm256_and_si256(_mm256_srli_epi32(bits, 22), low5)));
        need = _mm256_or_si256(need, _mm256_sllv_epi32(one, _mm256_and_si256(_mm256_srli_epi32(bits, 17), low5)));
        __m256i pass = _mm256_cmpeq_epi32(_mm256_and_si256(word, need), need);
        unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(pass));
        for (; mask && !s->done; mask &= mask - 1)
            mw_survivor(f, s, gram, stride, folded, p, n, shift_at + 4 * (size_t)__builtin_ctz(mask));
    }
    mw_filter_scalar(f, s, gram, stride, folded, p, n, at);
}

/* The same with sixteen lanes and a mask register. */
MW_TARGET("avx512f") MW_INLINE void mw_filter_avx512(const mw_filter *f, mw_scan *s, uint32_t gram, uint32_t stride, uint32_t folded,
                                                     const uint8_t *p, size_t n) {
    const __m512i fold = _mm512_set1_epi32((int)(folded ? MW_FOLD32 : 0));
    const __m512i one = _mm512_set1_epi32(1), low5 = _mm512_set1_epi32(31);
    const __m128i shift = _mm_cvtsi32_si128((int)(32 - f->header->filter_log2));
    size_t at = 0;
    for (; n - at >= 63 + gram && !s->done; at += 64)
        for (size_t shift_at = at; shift_at < at + (stride == 1 ? 4 : 1); shift_at++) {
        __m512i low = _mm512_or_si512(_mm512_loadu_si512(p + shift_at), fold);
        __m512i index = _mm512_mullo_epi32(low, _mm512_set1_epi32((int)MW_GRAM_WORD));
        __m512i bits = _mm512_mullo_epi32(low, _mm512_set1_epi32((int)MW_GRAM_BITS));
        if (gram == 8) {
            __m512i high = _mm512_or_si512(_mm512_loadu_si512(p + shift_at + 4), fold);
            index = _mm512_add_epi32(index, _mm512_mullo_epi32(high, _mm512_set1_epi32((int)MW_GRAM_WORD_HIGH)));
            bits = _mm512_add_epi32(bits, _mm512_mullo_epi32(high, _mm512_set1_epi32((int)MW_GRAM_BITS_HIGH)));
        }
        __m512i word = _mm512_i32gather_epi32(_mm512_srl_epi32(index, shift), f->words, 4);
        __m512i need = _mm512_sllv_epi32(one, _mm512_srli_epi32(bits, 27));
        need = _mm512_or_si512(need, _mm512_sllv_epi32(one, _mm512_and_si512(_mm512_srli_epi32(bits, 22), low5)));
        need = _mm512_or_si512(need, _mm512_sllv_epi32(one, _mm512_and_si512(_mm512_srli_epi32(bits, 17), low5)));
        unsigned mask = _mm512_cmpeq_epi32_mask(_mm512_and_si512(word, need), need);
        for (; mask && !s->done; mask &= mask - 1)
            mw_survivor(f, s, gram, stride, folded, p, n, shift_at + 4 * (size_t)__builtin_ctz(mask));
    }
    mw_filter_scalar(f, s, gram, stride, folded, p, n, at);
}
#endif

typedef void (*mw_filter_fn)(const mw_filter *f, mw_scan *s, uint32_t folded, const uint8_t *p, size_t n);

/* One function a gram length and instruction set, so that the inner loop holds no choice. */
#define MW_FILTER_FN(name, gram, stride, call, ...)                                                    \
    static void name(const mw_filter *f, mw_scan *s, uint32_t folded, const uint8_t *p, size_t n) {    \
        call(f, s, gram, stride, folded, p, n __VA_ARGS__);                                            \
    }
MW_FILTER_FN(mw_filter4_scalar, 4, 4, mw_filter_scalar, , 0)
MW_FILTER_FN(mw_filter8_scalar, 8, 4, mw_filter_scalar, , 0)
MW_FILTER_FN(mw_filter1_scalar, 4, 1, mw_filter_scalar, , 0)
#if MW_X86
MW_TARGET("avx2") MW_FILTER_FN(mw_filter4_avx2, 4, 4, mw_filter_avx2)
MW_TARGET("avx2") MW_FILTER_FN(mw_filter8_avx2, 8, 4, mw_filter_avx2)
MW_TARGET("avx2") MW_FILTER_FN(mw_filter1_avx2, 4, 1, mw_filter_avx2)
MW_TARGET("avx512f") MW_FILTER_FN(mw_filter4_avx512, 4, 4, mw_filter_avx512)
MW_TARGET("avx512f") MW_FILTER_FN(mw_filter8_avx512, 8, 4, mw_filter_avx512)
MW_TARGET("avx512f") MW_FILTER_FN(mw_filter1_avx512, 4, 1, mw_filter_avx512)
#endif

enum { MW_LEVEL_SCALAR = 0, MW_LEVEL_AVX2 = 1, MW_LEVEL_AVX512 = 2 };

static const mw_filter_fn mw_filter_table[3][3] = {
    {mw_filter4_scalar, mw_filter8_scalar, mw_filter1_scalar},
#if MW_X86
    {mw_filter4_avx2, mw_filter8_avx2, mw_filter1_avx2},
    {mw_filter4_avx512, mw_filter8_avx512, mw_filter1_avx512},
#endif
};

static int mw_filter_best_level(void) {
#if MW_X86
    if (__builtin_cpu_supports("avx512f")) return MW_LEVEL_AVX512;
    if (mw_has_avx2()) return MW_LEVEL_AVX2;
#endif
    return MW_LEVEL_SCALAR;
}

/* Every literal behind a filter that lies wholly in p[0:n]. level <= mw_filter_best_level(). */
static void mw_filters_run(mw_scan *s, const uint8_t *p, size_t n, int level) {
    for (uint32_t i = 0; i < MW_FILTERS && !s->done; i++)
        if (s->image->filter[i].header && mw_serves(s, s->image->filter[i].targets))
            mw_filter_table[level][i >> 1](&s->image->filter[i], s, i & 1, p, n);
}

#endif
