/* What the processor itself can do, measured in the run that is compared with it: multiplications
 * and additions in registers, on one thread. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <stdint.h>

#include "base/progress.h"

#if defined __x86_64__
#include <immintrin.h>

enum { FLOOR_STEPS = 4000000, FLOOR_SUMS = 8 };

/* One step is an operation on each of eight independent sums: as many as two units of four cycles
 * each can have under way. The empty assembly keeps them in registers, and keeps them. */
#define FLOOR_LOOP(type, zero, operation)                                                          \
    type a = zero, b = zero, c = zero, d = zero, e = zero, f = zero, g = zero, h = zero;           \
    for (int64_t i = 0; i < FLOOR_STEPS; ++i) {                                                    \
        a = operation(a);                                                                          \
        b = operation(b);                                                                          \
        c = operation(c);                                                                          \
        d = operation(d);                                                                          \
        e = operation(e);                                                                          \
        f = operation(f);                                                                          \
        g = operation(g);                                                                          \
        h = operation(h);                                                                          \
        __asm__ volatile(""                                                                        \
                         : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(f), "+v"(g),          \
                           "+v"(h));                                                               \
    }

__attribute__((target("avx512f"))) static inline void floor_avx512(void)
{
    __m512 x = _mm512_set1_ps(1e-3f);
#define MULTIPLY_ADD(sum) _mm512_fmadd_ps(x, x, sum)
    FLOOR_LOOP(__m512, _mm512_setzero_ps(), MULTIPLY_ADD)
#undef MULTIPLY_ADD
}

__attribute__((target("avx512bf16"))) static inline void floor_bfloat16(void)
{
    __m512bh x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(1e-3f), _mm512_set1_ps(1e-3f));
#define MULTIPLY_ADD(sum) _mm512_dpbf16_ps(sum, x, x)
    FLOOR_LOOP(__m512, _mm512_setzero_ps(), MULTIPLY_ADD)
#undef MULTIPLY_ADD
}

__attribute__((target("avx2,fma"))) static inline void floor_avx2(void)
{
    __m256 x = _mm256_set1_ps(1e-3f);
#define MULTIPLY_ADD(sum) _mm256_fmadd_ps(x, x, sum)
    FLOOR_LOOP(__m256, _mm256_setzero_ps(), MULTIPLY_ADD)
#undef MULTIPLY_ADD
}

/* Operations a second; 0 where there is no such instruction. */
static inline double floor_rate(void (*loop)(void), int lanes)
{
    double best = 0;
    for (int round = 0; round < 3; ++round) {
        double begin = clock_seconds();
        loop();
        double rate = 2.0 * lanes * FLOOR_SUMS * FLOOR_STEPS / (clock_seconds() - begin);
        best = rate > best ? rate : best;
    }
    return best;
}

static inline double floor_float32(void)
{
    if (__builtin_cpu_supports("avx512f"))
        return floor_rate(floor_avx512, 16);
    return __builtin_cpu_supports("fma") ? floor_rate(floor_avx2, 8) : 0;
}

static inline double floor_bf16(void)
{
    return __builtin_cpu_supports("avx512bf16") ? floor_rate(floor_bfloat16, 32) : 0;
}

#else

static inline double floor_float32(void)
{
    return 0;
}

static inline double floor_bf16(void)
{
    return 0;
}

#endif
#endif
