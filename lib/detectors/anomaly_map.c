#include "detectors/anomaly_map.h"

#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clones.h"
#include "base/error.h"
#include "base/threads.h"

tensor *map_upsample(tensor *maps, int64_t height, int64_t width)
{
    if (t_size(maps, 1) == height && t_size(maps, 2) == width)
        return maps;
    return t_squeeze(t_interpolate(t_unsqueeze(maps, 1), height, width, BILINEAR, false), 1);
}

typedef struct smoothing {
    float *maps;
    int64_t height, width;
    int radius;
    double *kernel; /* radius + 1 weights: the middle, then outwards */
    atomic_bool starved;
} smoothing;

/* The mirror images of a position outside 0..size-1. */
static int64_t mirror(int64_t i, int64_t size)
{
    int64_t period = 2 * size;
    i %= period;
    if (i < 0)
        i += period;
    return i < size ? i : period - 1 - i;
}

/* out = kernel * rows of `lines`: lines[radius + i] is the i-th row, mirrored rows around it. */
CLONES static void weigh(float *out, const float *const *lines, const double *kernel, int radius,
                         int64_t count, double *sum)
{
    for (int64_t x = 0; x < count; ++x)
        sum[x] = kernel[0] * (double)lines[radius][x];
    for (int k = radius; k >= 1; --k) { /* SciPy's order of summation */
        const float *before = lines[radius - k], *after = lines[radius + k];
        for (int64_t x = 0; x < count; ++x)
            sum[x] += kernel[k] * ((double)before[x] + (double)after[x]);
    }
    for (int64_t x = 0; x < count; ++x)
        out[x] = (float)sum[x];
}

static void smooth_rows(const smoothing *s, const float *in, float *out, double *sum,
                        const float **lines)
{
    for (int64_t y = 0; y < s->height; ++y) {
        for (int k = -s->radius; k <= s->radius; ++k)
            lines[s->radius + k] = in + mirror(y + k, s->height) * s->width;
        weigh(out + y * s->width, lines, s->kernel, s->radius, s->width, sum);
    }
}

/* Along a row the neighbours are the same row shifted: one padded copy serves all of them. */
static void smooth_columns(const smoothing *s, const float *in, float *out, double *sum,
                           const float **lines, float *padded)
{
    for (int k = 0; k <= 2 * s->radius; ++k)
        lines[k] = padded + k;
    for (int64_t y = 0; y < s->height; ++y) {
        const float *row = in + y * s->width;
        for (int64_t x = -s->radius; x < s->width + s->radius; ++x)
            padded[x + s->radius] = row[mirror(x, s->width)];
        weigh(out + y * s->width, lines, s->kernel, s->radius, s->width, sum);
    }
}

static void smooth_maps(void *context, size_t begin, size_t end)
{
    smoothing *s = context;
    size_t size = (size_t)(s->height * s->width), padded = (size_t)(s->width + 2 * s->radius);
    float *half = malloc((size + padded) * sizeof *half);
    double *sum = malloc((size_t)s->width * sizeof *sum);
    const float **lines = malloc((2 * (size_t)s->radius + 1) * sizeof *lines);
    for (size_t i = begin; half && sum && lines && i < end; ++i) {
        float *map = s->maps + i * size;
        smooth_rows(s, map, half, sum, lines);
        smooth_columns(s, half, map, sum, lines, half + size);
    }
    if (!half || !sum || !lines)
        atomic_store(&s->starved, true);
    free(half);
    free(sum);
    free(lines);
}

imiad_status map_smooth(float *maps, int64_t count, int64_t height, int64_t width, double sigma)
{
    if (sigma <= 0)
        return IMIAD_OK;
    int radius = (int)(4 * sigma + 0.5);
    double *kernel = malloc((size_t)(radius + 1) * sizeof *kernel), total = 0;
    if (!kernel)
        return fail_memory("a Gaussian", (size_t)(radius + 1) * sizeof *kernel);
    for (int k = 0; k <= radius; ++k) {
        kernel[k] = exp(-0.5 * k * k / (sigma * sigma));
        total += k ? 2 * kernel[k] : kernel[k];
    }
    for (int k = 0; k <= radius; ++k)
        kernel[k] /= total;
    smoothing s = {maps, height, width, radius, kernel, false};
    parallel_for((size_t)count, 1, smooth_maps, &s);
    free(kernel);
    return atomic_load(&s.starved) ? fail_memory("smoothing", (size_t)(height * width) * 4)
                                   : IMIAD_OK;
}
