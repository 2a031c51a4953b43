/* The two inner loops of resizing: portable, and for AVX2. Both give the same bytes. */
#ifndef IMAGE_RESIZE_KERNELS_H
#define IMAGE_RESIZE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Weights are integers of 22 bits, so that 8 bits of pixel, a bit of head room and a sign fit
 * beside them. */
enum { RESIZE_PRECISION = 32 - 8 - 2, RESIZE_HALF = 1 << (RESIZE_PRECISION - 1) };

/* The horizontal pass works on this many rows at a time, interleaved: value i of row r is byte
 * 8 i + r. */
enum { RESIZE_ROWS = 8 };

/* The filter of one direction: which source positions each result takes, and how much of each. */
typedef struct filter_bank {
    int64_t taps; /* weights a result has room for */
    int32_t *begin, *count;
    uint32_t *weights; /* taps for each result; those below zero as their complements */
} filter_bank;

typedef struct resize_kernels {
    const char *name;
    /* Filters interleaved rows of pixels of `channels` values; `count` results. */
    void (*across)(uint8_t *out, const uint8_t *in, size_t channels, const filter_bank *bank,
                   int32_t count);
    /* The weighted sum of `taps` rows of `bytes` bytes. */
    void (*down)(uint8_t *out, const uint8_t *const *rows, const uint32_t *weights, int32_t taps,
                 size_t bytes);
} resize_kernels;

extern const resize_kernels resize_portable;
const resize_kernels *resize_avx2(void); /* NULL where the machine or the build lacks it */
const resize_kernels *resize_best(void);

#endif
