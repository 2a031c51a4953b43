#include "bank/kernels.h"

#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

#define NAME(word) word##_plain
#define NAME_TEXT  "plain"
#define TARGET
#define WIDTH 4
#define TILE  1
#if defined(__x86_64__)
#define LESS(a, b) _mm_movemask_ps(_mm_cmplt_ps(a, b))
#else
#define LESS(a, b) ((a[0] < b[0]) | (a[1] < b[1]) << 1 | (a[2] < b[2]) << 2 | (a[3] < b[3]) << 3)
#endif
#include "bank/kernels_body.h"

#if defined(__x86_64__)
#define NAME(word) word##_avx2
#define NAME_TEXT  "avx2"
#define TARGET     __attribute__((target("avx2")))
#define WIDTH      8
#define TILE       2
#define LESS(a, b) _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ))
#include "bank/kernels_body.h"

#define NAME(word) word##_avx512
#define NAME_TEXT  "avx512"
#define TARGET     __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw")))
#define WIDTH      16
#define TILE       4
#define LESS(a, b) _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ)
#include "bank/kernels_body.h"
#endif

const kernels *kernels_at(kernel_level level)
{
#if defined(__x86_64__)
    if (level == KERNEL_AVX512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")
                   ? &kernels_avx512
                   : NULL;
    if (level == KERNEL_AVX2)
        return __builtin_cpu_supports("avx2") ? &kernels_avx2 : NULL;
#endif
    return level == KERNEL_PLAIN ? &kernels_plain : NULL;
}

const kernels *kernels_best(void)
{
    const kernels *found = NULL;
    for (int level = KERNEL_LEVELS - 1; !found; --level)
        found = kernels_at((kernel_level)level);
    return found;
}
