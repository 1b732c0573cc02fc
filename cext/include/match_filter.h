/* The filter in front of the automaton: most octets cost a share of one wide load.
 *
 * The compiler picks in every literal the rarest window of seven octets and puts its four 4-grams into a blocked Bloom
 * filter (three bits of one 32-bit word). The text is looked at in every fourth position only: whatever the phase, one
 * of the four grams lies there.
 *
 * A long filter has 8-grams of windows of fifteen octets and looks at every eighth position: half the look-ups, and
 * ordinary text is not full of the grams of a large set.
 *
 * A tiny filter is for literals of four to six octets: one gram each, looked up at every position.
 *
 * Survivors are gathered, so that the search itself does not branch, and then go through stages, each of which asks
 * for the memory that the next one reads: the table of phases (at which places of a window is such a gram?), the word of
 * the window's slot (has it a window of this tag?), its entries (further bits of the hash), the pattern, the literal.
 *
 * One survivor can ask for at most `stride` windows x MW_FILTER_BUCKET literals of MW_FILTER_LITERAL octets, so hostile
 * text costs a constant an octet; the compiler keeps that constant low by leaving long literals whose window repeats
 * itself to the automaton. A literal that was found is not compared again.
 *
 * Folded: letters are folded by setting bit 5 in text and literal alike. That also joins octets which are no letters,
 * which is harmless before the comparison.
 */
#ifndef MW_MATCH_FILTER_H
#define MW_MATCH_FILTER_H

#include "match.h"

#define MW_FILTER_STRIDE 4 /* of a short filter; a tiny one looks at every position */
#define MW_LONG_STRIDE 8
#define MW_FILTER_BATCH 64                    /* survivors that are worth a look at their windows */
#define MW_FILTER_ROOM (MW_FILTER_BATCH + 64) /* one step more of the widest kernel */
#define MW_FILTER_LIKELY 64
#define MW_FILTER_SPAN (1 << 16) /* octets that are searched before their survivors are looked at: they stay cached */
#define MW_GRAM_WORD 0x9E3779B1u
#define MW_GRAM_BITS 0x85EBCA77u
#define MW_GRAM_WORD_HIGH 0xC2B2AE3Du /* the same for the second half of an 8-gram */
#define MW_GRAM_BITS_HIGH 0x27D4EB2Fu
#define MW_GRAM_WORD_BOTH ((uint64_t)MW_GRAM_WORD_HIGH << 32 | MW_GRAM_WORD)
#define MW_GRAM_BITS_BOTH ((uint64_t)MW_GRAM_BITS_HIGH << 32 | MW_GRAM_BITS)
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
        uint64_t tail;
        memcpy(&tail, p + 7, 8);
        v ^= (folded ? tail | MW_FOLD64 : tail) * MW_WINDOW_TAIL;
    }
    return v * MW_WINDOW_HASH;
}

MW_INLINE uint64_t mw_gram_hash(const uint8_t *p, uint32_t gram, uint32_t folded) {
    uint64_t v = 0;
    memcpy(&v, p, gram);
    if (folded) v |= gram == 8 ? MW_FOLD64 : MW_FOLD32;
    return v * MW_WINDOW_HASH;
}

/* Whether every long window over p[at:at+8] is one octet again and again: no literal has such a window. */
MW_INLINE int mw_in_run(const uint8_t *p, size_t n, size_t at) {
    uint64_t v[6];
    if (at < 7 || n - at < 15) return 0;
    memcpy(&v[0], p + at - 7, 8);
    memcpy(&v[1], p + at - 6, 8);
    memcpy(&v[2], p + at, 8);
    memcpy(&v[3], p + at + 1, 8);
    memcpy(&v[4], p + at + 6, 8);
    memcpy(&v[5], p + at + 7, 8);
    return !((v[0] ^ v[1]) | (v[2] ^ v[3]) | (v[4] ^ v[5]));
}

/* A window that may be there. */
typedef struct {
    uint64_t hash;
    size_t start;
} mw_try;

/* A literal that may be there: window and further bits of the hash are right. */
typedef struct {
    uint32_t pattern;
    size_t start;
} mw_likely;

static void mw_compare_likely(mw_scan *s, uint32_t folded, const uint8_t *p, size_t n, const mw_likely *likely,
                              size_t count) {
    const mw_pattern *patterns = s->image->patterns;
    const uint8_t *literals = s->image->section[MW_SECTION_LITERALS];
    for (size_t i = 0; i < count; i++) __builtin_prefetch(literals + patterns[likely[i].pattern].literal);
    for (size_t i = 0; i < count && !s->done; i++) {
        const mw_pattern *pattern = &patterns[likely[i].pattern];
        size_t at = likely[i].start;
        if (mw_seen(s, likely[i].pattern) || at < pattern->window) continue;
        at -= pattern->window;
        if (n - at < pattern->length) continue;
        if (mw_literal_here(literals + pattern->literal, p + at, pattern->length, folded)) mw_hit(s, likely[i].pattern);
    }
}

/* The grams at p[base + at[i]] passed the filter. In stages, so that what one stage reads was asked for in the one before. */
MW_INLINE void mw_survivors(const mw_filter *f, mw_scan *s, uint32_t gram, uint32_t stride, uint32_t folded,
                            const uint8_t *p, size_t n, size_t base, const uint32_t *at, size_t count) {
    size_t places[MW_FILTER_ROOM];
    mw_try tries[MW_FILTER_ROOM * MW_LONG_STRIDE];
    mw_likely likely[MW_FILTER_LIKELY + MW_FILTER_BUCKET];
    uint32_t keys[MW_FILTER_ROOM];
    const uint8_t *const phases = f->phases;
    const uint32_t *const starts = f->starts;
    const mw_filter_entry *const entries = f->entries;
    const uint32_t phases_shift = 64 - f->header->phases_log2, slot_shift = 64 - f->header->slot_log2;
    const size_t window = gram + stride - 1;
    size_t kept = 0, tried = 0, tagged = 0, found = 0;
    if (n < window) return;
    for (size_t i = 0; i < count; i++) {
        size_t place = base + at[i];
        keys[kept] = (uint32_t)(mw_gram_hash(p + place, gram, folded) >> phases_shift);
        places[kept] = place;
        __builtin_prefetch(&phases[keys[kept]]);
        kept += gram == 4 || !mw_in_run(p, n, place);
    }
    for (size_t i = 0; i < kept; i++) {
        uint32_t left = phases[keys[i]];
        do { /* mostly once: the first without a branch */
            size_t phase = (size_t)__builtin_ctz(left | 0x100);
            int fits = left && phase <= places[i] && n - (places[i] - phase) >= window;
            size_t start = fits ? places[i] - phase : 0;
            uint64_t hash = mw_window_hash(p + start, n - start, gram, stride, folded);
            tries[tried].hash = hash;
            tries[tried].start = start;
            __builtin_prefetch(&starts[hash >> slot_shift]);
            tried += (size_t)fits;
            left &= left - 1;
        } while (left);
    }
    for (size_t i = 0; i < tried; i++) { /* those whose slot holds a window of this tag stay */
        uint64_t hash = tries[i].hash;
        size_t start = tries[i].start;
        uint32_t slot = starts[hash >> slot_shift];
        tries[tagged].hash = hash;
        tries[tagged].start = start;
        __builtin_prefetch(&entries[slot & MW_SLOT_START]);
        tagged += slot >> mw_slot_tag(hash) & 1;
    }
    for (size_t i = 0; i < tagged && !s->done; i++) {
        uint64_t slot = tries[i].hash >> slot_shift;
        uint32_t check = (uint32_t)(tries[i].hash >> 16), end = starts[slot + 1] & MW_SLOT_START;
        for (uint32_t e = starts[slot] & MW_SLOT_START; e < end; e++) {
            if (entries[e].check != check || mw_seen(s, entries[e].pattern)) continue;
            __builtin_prefetch(&s->image->patterns[entries[e].pattern]);
            likely[found].pattern = entries[e].pattern;
            likely[found++].start = tries[i].start;
        }
        if (found >= MW_FILTER_LIKELY) {
            mw_compare_likely(s, folded, p, n, likely, found);
            found = 0;
        }
    }
    mw_compare_likely(s, folded, p, n, likely, found);
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
    uint32_t at[MW_FILTER_ROOM], fold = folded ? MW_FOLD32 : 0;
    if (n < gram) return;
    for (size_t i = from; i <= n - gram && !s->done;) {
        const size_t base = i;
        size_t count = 0;
        for (; i <= n - gram && i - base < MW_FILTER_SPAN && count < MW_FILTER_BATCH; i += stride) {
            at[count] = (uint32_t)(i - base);
            count += (size_t)mw_gram_passes(f, p + i, gram, fold);
        }
        mw_survivors(f, s, gram, stride, folded, p, n, base, at, count);
    }
}

#if MW_X86
/* The lanes of one load are the 4-grams at a stride of four. The two halves of an 8-gram at a stride of eight are two
 * lanes: each is multiplied by its own constant, their sum ends up in the even lane, and the even lanes of the next load
 * take the place of the odd ones. So a step looks at eight grams, of 32 or of 64 octets. Reads p[0:n] only. */
MW_TARGET("avx2") MW_INLINE void mw_filter_avx2(const mw_filter *f, mw_scan *s, uint32_t gram, uint32_t stride, uint32_t folded,
                                                const uint8_t *p, size_t n) {
    const __m256i fold = _mm256_set1_epi32((int)(folded ? MW_FOLD32 : 0));
    const __m256i one = _mm256_set1_epi32(1), low5 = _mm256_set1_epi32(31);
    const __m256i for_word = gram == 8 ? _mm256_set1_epi64x((int64_t)MW_GRAM_WORD_BOTH) : _mm256_set1_epi32((int)MW_GRAM_WORD);
    const __m256i for_bits = gram == 8 ? _mm256_set1_epi64x((int64_t)MW_GRAM_BITS_BOTH) : _mm256_set1_epi32((int)MW_GRAM_BITS);
    const __m128i shift = _mm_cvtsi32_si128((int)(32 - f->header->filter_log2));
    const int *words = (const int *)f->words;
    const size_t step = gram == 8 ? 64 : 32, last = step - 1 + (stride == 1 ? gram : 1);
    uint32_t found[MW_FILTER_ROOM];
    size_t at = 0;
    while (n > last && at < n - last && !s->done) {
        const size_t base = at;
        size_t count = 0;
        for (; at < n - last && at - base < MW_FILTER_SPAN && count < MW_FILTER_BATCH; at += step)
            for (size_t from = at; from < at + (stride == 1 ? 4 : 1); from++) {
                __m256i text = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(p + from)), fold);
                __m256i index = _mm256_mullo_epi32(text, for_word), bits = _mm256_mullo_epi32(text, for_bits);
                if (gram == 8) {
                    __m256i next = _mm256_or_si256(_mm256_loadu_si256((const __m256i *)(p + from + 32)), fold);
                    __m256i index2 = _mm256_mullo_epi32(next, for_word), bits2 = _mm256_mullo_epi32(next, for_bits);
                    index = _mm256_add_epi32(index, _mm256_srli_epi64(index, 32));
                    index2 = _mm256_add_epi32(index2, _mm256_slli_epi64(index2, 32));
                    index = _mm256_blend_epi32(index, index2, 0xAA);
                    bits = _mm256_add_epi32(bits, _mm256_srli_epi64(bits, 32));
                    bits2 = _mm256_add_epi32(bits2, _mm256_slli_epi64(bits2, 32));
                    bits = _mm256_blend_epi32(bits, bits2, 0xAA);
                }
                __m256i word = _mm256_i32gather_epi32(words, _mm256_srl_epi32(index, shift), 4);
                __m256i need = _mm256_sllv_epi32(one, _mm256_srli_epi32(bits, 27));
                need = _mm256_or_si256(need, _mm256_sllv_epi32(one, _mm256_and_si256(_mm256_srli_epi32(bits, 22), low5)));
                need = _mm256_or_si256(need, _mm256_sllv_epi32(one, _mm256_and_si256(_mm256_srli_epi32(bits, 17), low5)));
                __m256i pass = _mm256_cmpeq_epi32(_mm256_and_si256(word, need), need);
                unsigned mask = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(pass));
                for (; mask; mask &= mask - 1) {
                    uint32_t lane = (uint32_t)__builtin_ctz(mask);
                    found[count++] = (uint32_t)(from - base) + (gram == 8 ? (lane & 1) * 32 + (lane >> 1) * 8 : lane * 4);
                }
            }
        mw_survivors(f, s, gram, stride, folded, p, n, base, found, count);
    }
    mw_filter_scalar(f, s, gram, stride, folded, p, n, at);
}

/* The same with sixteen lanes; survivors are written down without a branch. */
MW_TARGET("avx512f") MW_INLINE void mw_filter_avx512(const mw_filter *f, mw_scan *s, uint32_t gram, uint32_t stride, uint32_t folded,
                                                     const uint8_t *p, size_t n) {
    const __m512i fold = _mm512_set1_epi32((int)(folded ? MW_FOLD32 : 0));
    const __m512i one = _mm512_set1_epi32(1), low5 = _mm512_set1_epi32(31);
    const __m512i for_word = gram == 8 ? _mm512_set1_epi64((int64_t)MW_GRAM_WORD_BOTH) : _mm512_set1_epi32((int)MW_GRAM_WORD);
    const __m512i for_bits = gram == 8 ? _mm512_set1_epi64((int64_t)MW_GRAM_BITS_BOTH) : _mm512_set1_epi32((int)MW_GRAM_BITS);
    const __m512i lanes = gram == 8 ? _mm512_setr_epi32(0, 64, 8, 72, 16, 80, 24, 88, 32, 96, 40, 104, 48, 112, 56, 120)
                                    : _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60);
    const __m128i shift = _mm_cvtsi32_si128((int)(32 - f->header->filter_log2));
    const int in_registers = f->header->filter_log2 == 5; /* all of the filter: a side filter costs next to nothing */
    const __m512i first = _mm512_loadu_si512(f->words), second = _mm512_loadu_si512(f->words + 16);
    const size_t step = gram == 8 ? 128 : 64, last = step - 1 + (stride == 1 ? gram : 1);
    uint32_t found[MW_FILTER_ROOM];
    size_t at = 0;
    while (n > last && at < n - last && !s->done) {
        const size_t base = at;
        size_t count = 0;
        for (; at < n - last && at - base < MW_FILTER_SPAN && count < MW_FILTER_BATCH; at += step)
            for (size_t from = at; from < at + (stride == 1 ? 4 : 1); from++) {
                __m512i text = _mm512_or_si512(_mm512_loadu_si512(p + from), fold);
                __m512i index = _mm512_mullo_epi32(text, for_word), bits = _mm512_mullo_epi32(text, for_bits);
                if (gram == 8) {
                    __m512i next = _mm512_or_si512(_mm512_loadu_si512(p + from + 64), fold);
                    __m512i index2 = _mm512_mullo_epi32(next, for_word), bits2 = _mm512_mullo_epi32(next, for_bits);
                    index = _mm512_add_epi32(index, _mm512_srli_epi64(index, 32));
                    index = _mm512_mask_add_epi32(index, 0xAAAA, index2, _mm512_slli_epi64(index2, 32));
                    bits = _mm512_add_epi32(bits, _mm512_srli_epi64(bits, 32));
                    bits = _mm512_mask_add_epi32(bits, 0xAAAA, bits2, _mm512_slli_epi64(bits2, 32));
                }
                index = _mm512_srl_epi32(index, shift);
                __m512i word = in_registers ? _mm512_permutex2var_epi32(first, index, second)
                                            : _mm512_i32gather_epi32(index, f->words, 4);
                __m512i need = _mm512_sllv_epi32(one, _mm512_srli_epi32(bits, 27));
                need = _mm512_or_si512(need, _mm512_sllv_epi32(one, _mm512_and_si512(_mm512_srli_epi32(bits, 22), low5)));
                need = _mm512_or_si512(need, _mm512_sllv_epi32(one, _mm512_and_si512(_mm512_srli_epi32(bits, 17), low5)));
                __mmask16 mask = _mm512_cmpeq_epi32_mask(_mm512_and_si512(word, need), need);
                __m512i places = _mm512_add_epi32(lanes, _mm512_set1_epi32((int)(from - base)));
                _mm512_storeu_si512(found + count, _mm512_maskz_compress_epi32(mask, places));
                count += (size_t)__builtin_popcount(mask);
            }
        mw_survivors(f, s, gram, stride, folded, p, n, base, found, count);
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
MW_FILTER_FN(mw_filter8_scalar, 8, 8, mw_filter_scalar, , 0)
MW_FILTER_FN(mw_filter1_scalar, 4, 1, mw_filter_scalar, , 0)
#if MW_X86
MW_TARGET("avx2") MW_FILTER_FN(mw_filter4_avx2, 4, 4, mw_filter_avx2)
MW_TARGET("avx2") MW_FILTER_FN(mw_filter8_avx2, 8, 8, mw_filter_avx2)
MW_TARGET("avx2") MW_FILTER_FN(mw_filter1_avx2, 4, 1, mw_filter_avx2)
MW_TARGET("avx512f") MW_FILTER_FN(mw_filter4_avx512, 4, 4, mw_filter_avx512)
MW_TARGET("avx512f") MW_FILTER_FN(mw_filter8_avx512, 8, 8, mw_filter_avx512)
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
