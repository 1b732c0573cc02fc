/* Coverage of the kernels for the fuzzer: gcc's callbacks handed on to libFuzzer, as it lives inside atheris.
 *
 * gcc tells of every edge by a call and nothing more. One table of counters, indexed by a hash of the caller, makes
 * that what libFuzzer wants. libasan, which must be preloaded, has functions of the same names that do nothing and that
 * atheris would find first, so what atheris reports of Python code is handed on from here too. Until
 * mw_coverage_begin() nothing is counted. Single-threaded, as the fuzzer is.
 */
#include <stddef.h>
#include <stdint.h>

#define COUNTERS (1u << 16)

typedef struct {
    uintptr_t pc, flags;
} place;

static uint8_t counters[COUNTERS];
static place places[COUNTERS]; /* libFuzzer wants a place for every counter; it only prints them */
static int counting;

typedef void (*counters_fn)(uint8_t *begin, uint8_t *end);
typedef void (*places_fn)(const uintptr_t *begin, const uintptr_t *end);
typedef void (*compare_fn)(uint64_t one, uint64_t other);
typedef void (*switch_fn)(uint64_t value, uint64_t *cases);

static void ignore_compare(uint64_t one, uint64_t other) { (void)one, (void)other; }
static void ignore_switch(uint64_t value, uint64_t *cases) { (void)value, (void)cases; }

static compare_fn compare[8] = {ignore_compare, ignore_compare, ignore_compare, ignore_compare,
                                ignore_compare, ignore_compare, ignore_compare, ignore_compare};
static switch_fn compare_switch = ignore_switch;
static counters_fn take_counters;
static places_fn take_places;

/* take: libFuzzer's functions; to: those for comparisons of 1, 2, 4, 8 octets, the same with a constant. */
void mw_coverage_begin(counters_fn to_counters, places_fn to_places, compare_fn to[8], switch_fn to_switch) {
    for (size_t i = 0; i < COUNTERS; i++) places[i].pc = (uintptr_t)counters + i;
    for (int i = 0; i < 8; i++) compare[i] = to[i];
    compare_switch = to_switch;
    take_counters = to_counters;
    take_places = to_places;
    take_counters(counters, counters + COUNTERS);
    take_places((const uintptr_t *)places, (const uintptr_t *)(places + COUNTERS));
    counting = 1;
}

void __sanitizer_cov_8bit_counters_init(uint8_t *begin, uint8_t *end) {
    if (take_counters) take_counters(begin, end);
}

void __sanitizer_cov_pcs_init(const uintptr_t *begin, const uintptr_t *end) {
    if (take_places) take_places(begin, end);
}

void __sanitizer_cov_trace_pc(void) {
    if (!counting) return;
    uint64_t hash = (uint64_t)(uintptr_t)__builtin_return_address(0) * 0x9E3779B97F4A7C15ull;
    uint8_t *counter = &counters[hash >> 48];
    if (*counter != 255) ++*counter;
}

/* Compiled to jumps, so that libFuzzer sees the comparison's own place as its caller. */
void __sanitizer_cov_trace_cmp1(uint8_t one, uint8_t other) { compare[0](one, other); }
void __sanitizer_cov_trace_cmp2(uint16_t one, uint16_t other) { compare[1](one, other); }
void __sanitizer_cov_trace_cmp4(uint32_t one, uint32_t other) { compare[2](one, other); }
void __sanitizer_cov_trace_cmp8(uint64_t one, uint64_t other) { compare[3](one, other); }
void __sanitizer_cov_trace_const_cmp1(uint8_t one, uint8_t other) { compare[4](one, other); }
void __sanitizer_cov_trace_const_cmp2(uint16_t one, uint16_t other) { compare[5](one, other); }
void __sanitizer_cov_trace_const_cmp4(uint32_t one, uint32_t other) { compare[6](one, other); }
void __sanitizer_cov_trace_const_cmp8(uint64_t one, uint64_t other) { compare[7](one, other); }
void __sanitizer_cov_trace_switch(uint64_t value, uint64_t *cases) { compare_switch(value, cases); }
void __sanitizer_cov_trace_cmpf(float one, float other) { (void)one, (void)other; }
void __sanitizer_cov_trace_cmpd(double one, double other) { (void)one, (void)other; }
