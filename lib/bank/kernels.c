#include "bank/kernels.h"

#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))

/* The plain products of codes; below, the same with products of pairs and of fours. */
static void code_products(int32_t *out, const int8_t *a, const uint8_t *const *b, size_t count)
{
    for (size_t r = 0; r < CODES; ++r) {
        int32_t sum = 0;
        for (size_t i = 0; i < count; ++i)
            sum += a[i] * b[r][i];
        out[r] = sum;
    }
}

static void tile_products(int32_t *out, const int8_t *queries, size_t groups,
                          const uint8_t *const *rows, size_t count)
{
    for (size_t g = 0; g < groups; ++g, queries += LANES * count)
        for (size_t r = 0; r < TILE_ROWS; ++r) {
            int32_t sum[LANES] = {0};
            for (size_t i = 0; i < count; i += 4)
                for (size_t l = 0; l < LANES; ++l)
                    for (size_t j = 0; j < 4; ++j)
                        sum[l] += rows[r][i + j] * queries[i * LANES + 4 * l + j];
            memcpy(out + r * TILE_QUERIES + g * LANES, sum, sizeof sum);
        }
}

#if defined(__x86_64__)
INLINE int32_t four_parts(const uint8_t *code)
{
    int32_t parts;
    memcpy(&parts, code, sizeof parts);
    return parts;
}

/* Its products of pairs have 16 bits: 2 * 127 * 127 still fits. */
__attribute__((target("avx2"))) static void code_products_256(int32_t *out, const int8_t *a,
                                                              const uint8_t *const *b, size_t count)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sum[CODES];
    for (size_t r = 0; r < CODES; ++r)
        sum[r] = _mm256_setzero_si256();
    for (size_t i = 0; i < count; i += 32) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(a + i));
        for (size_t r = 0; r < CODES; ++r) {
            __m256i code = _mm256_loadu_si256((const __m256i *)(const void *)(b[r] + i));
            __m256i pairs = _mm256_maddubs_epi16(code, x);
            sum[r] = _mm256_add_epi32(sum[r], _mm256_madd_epi16(pairs, ones));
        }
    }
    for (size_t r = 0; r < CODES; ++r) {
        __m128i half =
            _mm_add_epi32(_mm256_castsi256_si128(sum[r]), _mm256_extracti128_si256(sum[r], 1));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
        out[r] = _mm_cvtsi128_si32(half) + _mm_extract_epi32(half, 1);
    }
}

/* A group of queries and four rows at once. */
__attribute__((target("avx2"))) static void tile_products_256(int32_t *out, const int8_t *queries,
                                                              size_t groups,
                                                              const uint8_t *const *rows,
                                                              size_t count)
{
    enum { HIGH = 4, WIDE = 2 };
    const __m256i ones = _mm256_set1_epi16(1);
    for (size_t g = 0; g < groups; ++g, queries += LANES * count)
        for (size_t top = 0; top < TILE_ROWS; top += HIGH) {
            __m256i sum[HIGH][WIDE];
            for (size_t r = 0; r < HIGH; ++r)
                for (size_t w = 0; w < WIDE; ++w)
                    sum[r][w] = _mm256_setzero_si256();
            for (size_t i = 0; i < count; i += 4)
                for (size_t r = 0; r < HIGH; ++r) {
                    __m256i row = _mm256_set1_epi32(four_parts(rows[top + r] + i));
                    for (size_t w = 0; w < WIDE; ++w) {
                        const void *from = queries + (i + w * 2) * LANES;
                        __m256i pairs = _mm256_maddubs_epi16(row, _mm256_loadu_si256(from));
                        sum[r][w] = _mm256_add_epi32(sum[r][w], _mm256_madd_epi16(pairs, ones));
                    }
                }
            for (size_t r = 0; r < HIGH; ++r)
                memcpy(out + (top + r) * TILE_QUERIES + g * LANES, sum[r], sizeof sum[r]);
        }
}

/* Half of the rows and all queries at once, which fills the registers. */
__attribute__((target("avx512f,avx512vnni"))) INLINE void
tile_products_of(int32_t *out, const int8_t *queries, size_t groups, const uint8_t *const *rows,
                 size_t count)
{
    enum { HIGH = TILE_ROWS / 2 };
    __m512i sum[HIGH][TILE_QUERIES / LANES];
    for (size_t r = 0; r < HIGH; ++r)
        for (size_t g = 0; g < groups; ++g)
            sum[r][g] = _mm512_setzero_si512();
    for (size_t i = 0; i < count; i += 4) {
        __m512i fours[TILE_QUERIES / LANES];
        for (size_t g = 0; g < groups; ++g)
            fours[g] = _mm512_loadu_si512(queries + g * LANES * count + i * LANES);
        for (size_t r = 0; r < HIGH; ++r) {
            __m512i row = _mm512_set1_epi32(four_parts(rows[r] + i));
            for (size_t g = 0; g < groups; ++g)
                sum[r][g] = _mm512_dpbusd_epi32(sum[r][g], row, fours[g]);
        }
    }
    for (size_t r = 0; r < HIGH; ++r)
        for (size_t g = 0; g < groups; ++g)
            _mm512_storeu_si512(out + r * TILE_QUERIES + g * LANES, sum[r][g]);
}

__attribute__((target("avx512f,avx512vnni"))) static void
tile_products_512(int32_t *out, const int8_t *queries, size_t groups, const uint8_t *const *rows,
                  size_t count)
{
    for (size_t top = 0; top < TILE_ROWS;
         top += TILE_ROWS / 2, rows += TILE_ROWS / 2, out += TILE_ROWS / 2 * TILE_QUERIES)
        switch (groups) { /* loops of known length unroll */
        case 1:
            tile_products_of(out, queries, 1, rows, count);
            break;
        case 2:
            tile_products_of(out, queries, 2, rows, count);
            break;
        case 3:
            tile_products_of(out, queries, 3, rows, count);
            break;
        default:
            tile_products_of(out, queries, 4, rows, count);
        }
}

__attribute__((target("avx512f,avx512vnni"))) static void
code_products_512(int32_t *out, const int8_t *a, const uint8_t *const *b, size_t count)
{
    __m512i sum[CODES];
    for (size_t r = 0; r < CODES; ++r)
        sum[r] = _mm512_setzero_si512();
    for (size_t i = 0; i < count; i += 64)
        for (size_t r = 0; r < CODES; ++r)
            sum[r] = _mm512_dpbusd_epi32(sum[r], _mm512_loadu_si512(b[r] + i),
                                         _mm512_loadu_si512(a + i));
    for (size_t r = 0; r < CODES; ++r)
        out[r] = _mm512_reduce_add_epi32(sum[r]);
}
#endif

#define NAME(word)         word##_plain
#define NAME_TEXT          "plain"
#define CODE_PRODUCTS      code_products
#define TILE_PRODUCTS      tile_products
#define CROWD              150
#define CODE_MOST          127
#define ADD_SQUARE(sum, d) ((sum) + (d) * (d))
#define TARGET
#define WIDTH 4
#define TILE  1
#if defined(__x86_64__)
#define LESS(a, b)         _mm_movemask_ps(_mm_cmplt_ps(a, b))
#define LESS_DOUBLES(a, b) _mm_movemask_pd(_mm_cmplt_pd(a, b))
#else
#define LESS_DOUBLES(a, b) ((a[0] < b[0]) | (a[1] < b[1]) << 1)
#define LESS(a, b)         ((a[0] < b[0]) | (a[1] < b[1]) << 1 | (a[2] < b[2]) << 2 | (a[3] < b[3]) << 3)
#endif
#include "bank/kernels_body.h"

#if defined(__x86_64__)
#define NAME(word)         word##_avx2
#define NAME_TEXT          "avx2"
#define CODE_PRODUCTS      code_products_256
#define TILE_PRODUCTS      tile_products_256
#define CROWD              90
#define CODE_MOST          63
#define ADD_SQUARE(sum, d) _mm256_fmadd_ps(d, d, sum)
#define TARGET             __attribute__((target("avx2,fma")))
#define WIDTH              8
#define TILE               2
#define LESS(a, b)         _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ))
#define LESS_DOUBLES(a, b) _mm256_movemask_pd(_mm256_cmp_pd(a, b, _CMP_LT_OQ))
#include "bank/kernels_body.h"

#define NAME(word)         word##_avx512
#define NAME_TEXT          "avx512"
#define CODE_PRODUCTS      code_products_512
#define TILE_PRODUCTS      tile_products_512
#define CROWD              45
#define CODE_MOST          127
#define ADD_SQUARE(sum, d) _mm512_fmadd_ps(d, d, sum)
#define TARGET             __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx512vnni")))
#define WIDTH              16
#define TILE               4
#define LESS(a, b)         _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ)
#define LESS_DOUBLES(a, b) _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ)
#include "bank/kernels_body.h"
#endif

const kernels *kernels_at(kernel_level level)
{
#if defined(__x86_64__)
    if (level == KERNEL_AVX512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                       __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512vnni")
                   ? &kernels_avx512
                   : NULL;
    if (level == KERNEL_AVX2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &kernels_avx2
                                                                               : NULL;
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
