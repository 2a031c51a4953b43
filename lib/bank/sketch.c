#include "bank/sketch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "base/threads.h"

enum { DIRECTIONS = SKETCH - 1, SAMPLE = 2048, ROUNDS = 4 };

static void find_mean(float *mean, point_set points, size_t stride)
{
    double *sum = (double *)calloc(points.columns, sizeof *sum);
    size_t count = 0;
    if (!sum) { /* any centre is correct */
        memset(mean, 0, points.columns * sizeof *mean);
        return;
    }
    for (size_t i = 0; i < points.count; i += stride, ++count) {
        const void *row = point_row(&points, i);
        for (size_t j = 0; j < points.columns; ++j)
            sum[j] += (double)widen_number(row, j, points.storage);
    }
    for (size_t j = 0; j < points.columns; ++j)
        mean[j] = (float)(sum[j] / (double)count);
    free(sum);
}

/* Gram-Schmidt, twice over, in double. A direction that vanishes becomes zero, which is correct. */
static void orthonormalise(float *directions, double *work, size_t columns)
{
    for (size_t t = 0; t < DIRECTIONS; ++t) {
        double *v = work + t * columns;
        double before = 0, norm = 0;
        for (size_t j = 0; j < columns; ++j) {
            v[j] = (double)directions[t * columns + j];
            before += v[j] * v[j];
        }
        for (size_t pass = 0; pass < 2; ++pass)
            for (size_t s = 0; s < t; ++s) {
                const double *q = work + s * columns;
                double along = 0;
                for (size_t j = 0; j < columns; ++j)
                    along += v[j] * q[j];
                for (size_t j = 0; j < columns; ++j)
                    v[j] -= along * q[j];
            }
        for (size_t j = 0; j < columns; ++j)
            norm += v[j] * v[j];
        double scale = norm > 1e-12 * before && norm > 1e-60 ? 1 / sqrt(norm) : 0;
        for (size_t j = 0; j < columns; ++j)
            directions[t * columns + j] = (float)(v[j] *= scale);
    }
}

static size_t sample_stride(size_t count)
{
    return count / SAMPLE + 1;
}

static size_t sample_bytes(size_t count, size_t columns)
{
    size_t rows = (count - 1) / sample_stride(count) + 1;
    return (rows * (columns + DIRECTIONS) + 2 * DIRECTIONS * columns + 2) * sizeof(float);
}

uint64_t sketcher_bytes(size_t count, size_t columns)
{
    return count ? sample_bytes(count, columns) + SKETCH * columns * sizeof(float) : 0;
}

/* Subspace iteration on a sample: Q <- orthonormal(X^T (X Q)) turns Q towards the directions of the
 * largest variance. */
static imiad_status find_directions(sketcher *s, point_set points, const kernels *k)
{
    size_t columns = points.columns, stride = sample_stride(points.count), count = 0;
    size_t rows = (points.count - 1) / stride + 1, bytes = sample_bytes(points.count, columns);
    float *sample = malloc(bytes);
    if (!sample)
        return fail_memory("the sketches", bytes);
    float *along = sample + rows * columns;
    double *work = (double *)(void *)(sample + (rows * (columns + DIRECTIONS) + 1) / 2 * 2);
    for (size_t i = 0; i < points.count; i += stride, ++count) {
        float *row = sample + count * columns;
        k->widen[points.storage](row, point_row(&points, i), columns);
        k->subtract(row, row, s->mean, columns);
    }
    random_stream random = random_open(0, "bank/sketch");
    for (size_t i = 0; i < DIRECTIONS * columns; ++i)
        s->directions[i] = (float)random_between(&random, -1, 1);
    orthonormalise(s->directions, work, columns);
    for (int round = 0; round < ROUNDS; ++round) {
        k->products(along, sample, rows, s->directions, DIRECTIONS, columns);
        memset(s->directions, 0, DIRECTIONS * columns * sizeof *s->directions);
        for (size_t i = 0; i < rows; ++i)
            for (size_t t = 0; t < DIRECTIONS; ++t)
                k->add_multiple(s->directions + t * columns, along[i * DIRECTIONS + t],
                                sample + i * columns, columns);
        orthonormalise(s->directions, work, columns);
    }
    free(sample);
    return IMIAD_OK;
}

imiad_status sketcher_create(sketcher *out, point_set points, const kernels *k)
{
    size_t bytes = SKETCH * points.columns * sizeof(float);
    sketcher s = {points.columns, malloc(bytes), NULL};
    if (!s.mean)
        return fail_memory("the sketches", bytes);
    s.directions = s.mean + points.columns;
    find_mean(s.mean, points, points.count / (16 * SAMPLE) + 1);
    imiad_status status = find_directions(&s, points, k);
    if (status != IMIAD_OK)
        sketcher_free(&s);
    else
        *out = s;
    return status;
}

void sketcher_free(sketcher *s)
{
    free(s->mean);
    *s = (sketcher){0};
}

float sketch_rows(float *out, const sketcher *s, point_set points, size_t begin, size_t count,
                  const kernels *k)
{
    size_t columns = s->columns;
    float *rest = malloc(columns * sizeof *rest), reach = 0;
    if (!rest)
        return INFINITY;
    for (size_t i = 0; i < count; ++i) {
        float *sketch = out + i * SKETCH, square = 0;
        k->widen[points.storage](rest, point_row(&points, begin + i), columns);
        k->subtract(rest, rest, s->mean, columns);
        k->products(sketch, s->directions, DIRECTIONS, rest, 1, columns);
        for (size_t t = 0; t < DIRECTIONS; ++t) {
            square += sketch[t] * sketch[t];
            k->add_multiple(rest, -sketch[t], s->directions + t * columns, columns);
        }
        float left;
        k->products(&left, rest, 1, rest, 1, columns);
        sketch[DIRECTIONS] = sqrtf(left);
        float far = sqrtf(square + left);
        if (!(far < SKETCH_REACH)) /* or not a number */
            reach = INFINITY;
        else if (far > reach)
            reach = far;
    }
    free(rest);
    return reach;
}

sketch_slack sketch_slack_of(size_t columns, float reach)
{
    float unit = 0x1p-24f, n = (float)columns / LANES + 16;
    return (sketch_slack){1 + (2 * n + 100) * unit, 32 * n * unit * reach + 1e-18f};
}
