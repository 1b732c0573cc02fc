/* What the processor offers, asked once at import. Every kernel with a vector variant has a scalar twin that gives the
 * same result; other processors than x86-64 get the twins. */
#ifndef MW_CPU_H
#define MW_CPU_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MW_INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define MW_X86 1
#include <immintrin.h>
#define MW_TARGET(isa) __attribute__((target(isa)))
#else
#define MW_X86 0
#endif

/* Levels of vector code, for kernels that have more than one. */
enum { MW_SCALAR = 0, MW_AVX2 = 1, MW_AVX512 = 2 };

static inline int mw_has_avx2(void)
{
#if MW_X86
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") != 0;
#else
    return 0;
#endif
}

static inline int mw_has_sse42(void)
{
#if MW_X86
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") != 0;
#else
    return 0;
#endif
}

/* The best level here. MW_AVX512 means with byte permutation and compression (VBMI, VBMI2). */
static inline int mw_vector_level(void)
{
#if MW_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2"))
        return MW_AVX512;
#endif
    return mw_has_avx2() ? MW_AVX2 : MW_SCALAR;
}

#endif
