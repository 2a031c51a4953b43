#include "bank/kernels.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

#define NAME(word) word##_plain
#define NAME_TEXT  "plain"
#define TARGET
#define WIDTH 4
#define TILE  1
#include "bank/kernels_body.h"

#if defined(__x86_64__)
#define NAME(word) word##_avx2
#define NAME_TEXT  "avx2"
#define TARGET     __attribute__((target("avx2")))
#define WIDTH      8
#define TILE       2
#include "bank/kernels_body.h"

#define NAME(word) word##_avx512
#define NAME_TEXT  "avx512"
#define TARGET     __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw")))
#define WIDTH      16
#define TILE       4
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
