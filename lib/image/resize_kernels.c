#include "image/resize_kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

static inline uint8_t to_byte(uint32_t sum)
{
    int32_t value = (int32_t)sum >> RESIZE_PRECISION;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void across_portable(uint8_t *restrict out, const uint8_t *restrict in, size_t channels,
                            const filter_bank *bank, int32_t count)
{
    size_t pixel = channels * RESIZE_ROWS;
    for (int32_t x = 0; x < count; ++x) {
        const uint32_t *weights = bank->weights + x * bank->taps;
        const uint8_t *source = in + (size_t)bank->begin[x] * pixel;
        for (size_t c = 0; c < channels; ++c, source += RESIZE_ROWS, out += RESIZE_ROWS) {
            uint32_t sum[RESIZE_ROWS];
            for (int r = 0; r < RESIZE_ROWS; ++r)
                sum[r] = RESIZE_HALF;
            for (int32_t t = 0; t < bank->count[x]; ++t)
                for (int r = 0; r < RESIZE_ROWS; ++r)
                    sum[r] += source[(size_t)t * pixel + (size_t)r] * weights[t];
            for (int r = 0; r < RESIZE_ROWS; ++r)
                out[r] = to_byte(sum[r]);
        }
    }
}

static void down_portable(uint8_t *restrict out, const uint8_t *const *rows,
                          const uint32_t *weights, int32_t taps, size_t bytes)
{
    enum { BLOCK = 256 };
    uint32_t sum[BLOCK];
    for (size_t at = 0; at < bytes; at += BLOCK) {
        size_t count = bytes - at < BLOCK ? bytes - at : BLOCK;
        for (size_t i = 0; i < count; ++i)
            sum[i] = RESIZE_HALF;
        for (int32_t t = 0; t < taps; ++t)
            for (size_t i = 0; i < count; ++i)
                sum[i] += rows[t][at + i] * weights[t];
        for (size_t i = 0; i < count; ++i)
            out[at + i] = to_byte(sum[i]);
    }
}

const resize_kernels resize_portable = {"portable", across_portable, down_portable};

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i load8(const uint8_t *bytes)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)bytes));
}

/* Eight sums to eight bytes; the packing saturates. */
AVX2 static inline void store8(uint8_t *out, __m256i sum)
{
    __m256i values = _mm256_srai_epi32(sum, RESIZE_PRECISION);
    __m128i words =
        _mm_packus_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
    _mm_storel_epi64((__m128i *)out, _mm_packus_epi16(words, words));
}

AVX2 static inline __attribute__((always_inline)) void
across_channels(uint8_t *restrict out, const uint8_t *restrict in, size_t channels,
                const filter_bank *bank, int32_t count)
{
    size_t pixel = channels * RESIZE_ROWS;
    for (int32_t x = 0; x < count; ++x, out += pixel) {
        const uint32_t *weights = bank->weights + x * bank->taps;
        const uint8_t *source = in + (size_t)bank->begin[x] * pixel;
        __m256i sum[4];
        for (size_t c = 0; c < channels; ++c)
            sum[c] = _mm256_set1_epi32(RESIZE_HALF);
        for (int32_t t = 0; t < bank->count[x]; ++t, source += pixel) {
            __m256i weight = _mm256_set1_epi32((int32_t)weights[t]);
            for (size_t c = 0; c < channels; ++c)
                sum[c] = _mm256_add_epi32(
                    sum[c], _mm256_mullo_epi32(load8(source + c * RESIZE_ROWS), weight));
        }
        for (size_t c = 0; c < channels; ++c)
            store8(out + c * RESIZE_ROWS, sum[c]);
    }
}

/* One copy a pixel size, so that the sums stay in registers. */
AVX2 static void across_avx2(uint8_t *out, const uint8_t *in, size_t channels,
                             const filter_bank *bank, int32_t count)
{
    if (channels == 1)
        across_channels(out, in, 1, bank, count);
    else if (channels == 3)
        across_channels(out, in, 3, bank, count);
    else
        across_channels(out, in, 4, bank, count);
}

AVX2 static void down_avx2(uint8_t *out, const uint8_t *const *rows, const uint32_t *weights,
                           int32_t taps, size_t bytes)
{
    enum { GROUPS = 4, BLOCK = 8 * GROUPS };
    size_t at = 0;
    for (; at + BLOCK <= bytes; at += BLOCK) {
        __m256i sum[GROUPS];
        for (int g = 0; g < GROUPS; ++g)
            sum[g] = _mm256_set1_epi32(RESIZE_HALF);
        for (int32_t t = 0; t < taps; ++t) {
            __m256i weight = _mm256_set1_epi32((int32_t)weights[t]);
            for (int g = 0; g < GROUPS; ++g)
                sum[g] = _mm256_add_epi32(sum[g],
                                          _mm256_mullo_epi32(load8(rows[t] + at + 8 * g), weight));
        }
        for (int g = 0; g < GROUPS; ++g)
            store8(out + at + 8 * g, sum[g]);
    }
    for (; at < bytes; ++at) {
        uint32_t sum = RESIZE_HALF;
        for (int32_t t = 0; t < taps; ++t)
            sum += rows[t][at] * weights[t];
        out[at] = to_byte(sum);
    }
}

const resize_kernels *resize_avx2(void)
{
    static const resize_kernels kernels = {"AVX2", across_avx2, down_avx2};
    return __builtin_cpu_supports("avx2") ? &kernels : NULL;
}

#else

const resize_kernels *resize_avx2(void)
{
    return NULL;
}

#endif

const resize_kernels *resize_best(void)
{
    const resize_kernels *avx2 = resize_avx2();
    return avx2 ? avx2 : &resize_portable;
}
