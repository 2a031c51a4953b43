#include "detectors/patch_embedding.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/threads.h"

typedef struct tap {
    int32_t index; /* (channel * patch + row) * patch + column: unfold's order */
    float weight;
} tap;

/* The taps of every output on one level: those of output j are taps[first[j]] ..
 * taps[first[j+1]-1]. */
typedef struct level {
    int64_t channels;
    tap *taps;
    int64_t *first;
} level;

struct patch_embedding {
    int levels, patch;
    int64_t dimension;
    level level[PATCH_LEVELS];
};

/* ---- the table ---- */

/* Adaptive average pooling of n to m: output i is the mean of inputs begin..end-1. */
static void bin(int64_t *begin, int64_t *end, int64_t i, int64_t n, int64_t m)
{
    *begin = i * n / m;
    *end = ((i + 1) * n + m - 1) / m;
}

/* Adds the taps of one pooled value of a level, merging a tap that the last value had too. */
static void add_taps(level *l, int64_t *count, int64_t first, int64_t pooled, int64_t inputs,
                     int64_t level_dimension, double weight)
{
    int64_t begin, end;
    bin(&begin, &end, pooled, inputs, level_dimension);
    for (int64_t i = begin; i < end; ++i) {
        float share = (float)(weight / (double)(end - begin));
        if (*count > first && l->taps[*count - 1].index == i)
            l->taps[*count - 1].weight += share;
        else
            l->taps[(*count)++] = (tap){(int32_t)i, share};
    }
}

static imiad_status make_level(level *l, int number, const patch_embedding *e, int64_t channels,
                               int64_t level_dimension)
{
    int64_t inputs = channels * e->patch * e->patch, stacked = e->levels * level_dimension;
    /* bins overlap by at most one value at each end */
    size_t room = (size_t)(inputs + 2 * level_dimension + 2 * e->dimension) * 2;
    room += (size_t)(2 * e->dimension) * (size_t)(inputs / level_dimension + 2);
    l->channels = channels;
    l->taps = malloc(room * sizeof *l->taps);
    l->first = malloc((size_t)(e->dimension + 1) * sizeof *l->first);
    if (!l->taps || !l->first)
        return fail_memory("the patch embedding", room * sizeof *l->taps);
    int64_t count = 0;
    for (int64_t j = 0; j < e->dimension; ++j) {
        int64_t begin, end;
        l->first[j] = count;
        bin(&begin, &end, j, stacked, e->dimension);
        for (int64_t s = begin; s < end; ++s)
            if (s / level_dimension == number)
                add_taps(l, &count, l->first[j], s % level_dimension, inputs, level_dimension,
                         1.0 / (double)(end - begin));
    }
    l->first[e->dimension] = count;
    return IMIAD_OK;
}

imiad_status patch_embedding_create(patch_embedding **out, int levels, const int64_t *channels,
                                    int patch, int64_t level_dimension, int64_t dimension)
{
    patch_embedding *e = calloc(1, sizeof *e);
    if (!e)
        return fail_memory("the patch embedding", sizeof *e);
    *e = (patch_embedding){.levels = levels, .patch = patch, .dimension = dimension};
    for (int i = 0; i < levels; ++i) {
        imiad_status status = make_level(&e->level[i], i, e, channels[i], level_dimension);
        if (status != IMIAD_OK) {
            patch_embedding_free(e);
            return status;
        }
    }
    *out = e;
    return IMIAD_OK;
}

void patch_embedding_free(patch_embedding *e)
{
    if (!e)
        return;
    for (int i = 0; i < e->levels; ++i) {
        free(e->level[i].taps);
        free(e->level[i].first);
    }
    free(e);
}

/* ---- the C kernel ---- */

/* A level's planes with a border of zeros, so that every tap is one constant shift. */
typedef struct grid {
    int64_t height, width, pitch, plane; /* pitch and plane of the padded copy */
    float *padded;
} grid;

/* Bilinear resizing along one axis, align_corners false. */
typedef struct axis {
    int32_t *low, *high;
    float *fraction;
} axis;

typedef struct embedding_job {
    const patch_embedding *e;
    float *rows; /* of one image */
    grid grid[PATCH_LEVELS];
    axis y[PATCH_LEVELS], x[PATCH_LEVELS];
    atomic_bool starved;
} embedding_job;

enum { OUTPUTS = 16 }; /* planes made together: a cache line of every row */

__attribute__((target_clones("avx512f", "avx2", "default"))) static void
add_scaled(float *restrict sum, const float *restrict values, float weight, int64_t count)
{
    for (int64_t i = 0; i < count; ++i)
        sum[i] += weight * values[i];
}

/* One output of a level on its own grid, at the padded pitch. */
static void sum_taps(float *out, const grid *g, const level *l, int64_t j, int patch)
{
    int64_t run = g->height * g->pitch - (patch - 1);
    memset(out, 0, (size_t)(g->height * g->pitch) * sizeof *out);
    for (int64_t i = l->first[j]; i < l->first[j + 1]; ++i) {
        int64_t index = l->taps[i].index;
        int64_t column = index % patch, row = index / patch % patch,
                channel = index / patch / patch;
        add_scaled(out, g->padded + channel * g->plane + row * g->pitch + column, l->taps[i].weight,
                   run);
    }
}

__attribute__((target_clones("avx512f", "avx2", "default"))) static void
resize_row(float *restrict sum, const float *restrict low, const float *restrict high,
           float fraction, const axis *x, int64_t width)
{
    for (int64_t i = 0; i < width; ++i) {
        float f = x->fraction[i];
        float above = (1 - f) * low[x->low[i]] + f * low[x->high[i]];
        float below = (1 - f) * high[x->low[i]] + f * high[x->high[i]];
        sum[i] += (1 - fraction) * above + fraction * below;
    }
}

/* Adds a level's output to the sum on the first level's grid. */
static void add_level(float *sum, const float *values, const embedding_job *job, int number)
{
    const grid *g = &job->grid[number], *target = &job->grid[0];
    bool same = g->height == target->height && g->width == target->width;
    for (int64_t y = 0; y < target->height; ++y) {
        float *row = sum + y * target->width;
        if (same)
            for (int64_t x = 0; x < target->width; ++x)
                row[x] += values[y * g->pitch + x];
        else
            resize_row(row, values + job->y[number].low[y] * g->pitch,
                       values + job->y[number].high[y] * g->pitch, job->y[number].fraction[y],
                       &job->x[number], target->width);
    }
}

static void embed_outputs(void *context, size_t begin, size_t end)
{
    embedding_job *job = context;
    const patch_embedding *e = job->e;
    int64_t positions = job->grid[0].height * job->grid[0].width, most = 0;
    for (int i = 0; i < e->levels; ++i) {
        int64_t size = job->grid[i].height * job->grid[i].pitch;
        most = size > most ? size : most;
    }
    float *sums = calloc((size_t)(OUTPUTS * positions + most), sizeof *sums);
    if (!sums) {
        atomic_store(&job->starved, true);
        return;
    }
    float *values = sums + OUTPUTS * positions;
    for (size_t j = begin; j < end; ++j)
        for (int i = 0; i < e->levels; ++i)
            if (e->level[i].first[j] < e->level[i].first[j + 1]) {
                sum_taps(values, &job->grid[i], &e->level[i], (int64_t)j, e->patch);
                add_level(sums + (int64_t)(j - begin) * positions, values, job, i);
            }
    for (int64_t p = 0; p < positions; ++p)
        for (size_t j = begin; j < end; ++j)
            job->rows[p * e->dimension + (int64_t)j] = sums[(int64_t)(j - begin) * positions + p];
    free(sums);
}

static bool make_axis(axis *a, int64_t inputs, int64_t outputs)
{
    a->low = malloc((size_t)outputs * sizeof *a->low);
    a->high = malloc((size_t)outputs * sizeof *a->high);
    a->fraction = malloc((size_t)outputs * sizeof *a->fraction);
    if (!a->low || !a->high || !a->fraction)
        return false;
    float scale = (float)inputs / (float)outputs;
    for (int64_t i = 0; i < outputs; ++i) {
        float source = fmaxf(scale * ((float)i + 0.5f) - 0.5f, 0.0f);
        int64_t low = (int64_t)source;
        a->low[i] = (int32_t)low;
        a->high[i] = (int32_t)(low + 1 < inputs ? low + 1 : low);
        a->fraction[i] = source - (float)low;
    }
    return true;
}

static bool make_job(embedding_job *job, tensor *const *features)
{
    const patch_embedding *e = job->e;
    int border = e->patch / 2;
    for (int i = 0; i < e->levels; ++i) {
        grid *g = &job->grid[i];
        g->height = t_size(features[i], 2);
        g->width = t_size(features[i], 3);
        g->pitch = g->width + 2 * border;
        g->plane = (g->height + 2 * border) * g->pitch;
        g->padded = calloc((size_t)(e->level[i].channels * g->plane), sizeof *g->padded);
        if (!g->padded || !make_axis(&job->y[i], g->height, job->grid[0].height) ||
            !make_axis(&job->x[i], g->width, job->grid[0].width))
            return false;
    }
    return true;
}

static void free_job(embedding_job *job)
{
    for (int i = 0; i < job->e->levels; ++i) {
        free(job->grid[i].padded);
        for (int d = 0; d < 2; ++d) {
            axis *a = d ? &job->x[i] : &job->y[i];
            free(a->low);
            free(a->high);
            free(a->fraction);
        }
    }
}

static void pad_level(const grid *g, const float *planes, int64_t channels, int border)
{
    for (int64_t c = 0; c < channels; ++c)
        for (int64_t y = 0; y < g->height; ++y)
            memcpy(g->padded + c * g->plane + (y + border) * g->pitch + border,
                   planes + (c * g->height + y) * g->width, (size_t)g->width * sizeof *planes);
}

static void apply_kernel(float *rows, const patch_embedding *e, tensor *const *features)
{
    tensor *planes[PATCH_LEVELS];
    const float *data[PATCH_LEVELS];
    for (int i = 0; i < e->levels; ++i) {
        planes[i] = t_contiguous(features[i]);
        data[i] = t_data(planes[i]);
    }
    if (t_failed())
        return;
    embedding_job job = {.e = e};
    if (!make_job(&job, planes))
        atomic_store(&job.starved, true);
    int64_t count = t_size(planes[0], 0), positions = job.grid[0].height * job.grid[0].width;
    for (int64_t n = 0; n < count && !atomic_load(&job.starved); ++n) {
        for (int i = 0; i < e->levels; ++i) {
            const grid *g = &job.grid[i];
            int64_t size = e->level[i].channels * g->height * g->width;
            pad_level(g, data[i] + n * size, e->level[i].channels, e->patch / 2);
        }
        job.rows = rows + n * positions * e->dimension;
        parallel_for((size_t)e->dimension, OUTPUTS, embed_outputs, &job);
    }
    if (atomic_load(&job.starved))
        t_fail(IMIAD_NO_MEMORY, "out of memory in the patch embedding");
    free_job(&job);
}

/* ---- the same as convolutions, for devices ---- */

static tensor *dense_weight(const patch_embedding *e, const level *l, device d)
{
    int64_t inputs = l->channels * e->patch * e->patch;
    tensor *host = t_zeros(4, (int64_t[]){e->dimension, l->channels, e->patch, e->patch}, F32, CPU);
    float *weight = t_data(host);
    for (int64_t j = 0; weight && j < e->dimension; ++j)
        for (int64_t i = l->first[j]; i < l->first[j + 1]; ++i)
            weight[j * inputs + l->taps[i].index] = l->taps[i].weight;
    return t_to_device(host, d);
}

static void apply_convolutions(float *rows, const patch_embedding *e, tensor *const *features)
{
    int64_t height = t_size(features[0], 2), width = t_size(features[0], 3);
    tensor *sum = NULL;
    for (int i = 0; i < e->levels; ++i) {
        tensor *weight = dense_weight(e, &e->level[i], t_device(features[i]));
        tensor *share = t_conv2d(features[i], weight, NULL, 1, e->patch / 2, 1, 1);
        if (i > 0)
            share = t_interpolate(share, height, width, BILINEAR, false);
        sum = t_plus(sum, share);
    }
    tensor *out = t_contiguous(t_to_device(t_permute(sum, 4, (int[]){0, 2, 3, 1}), CPU));
    t_read(out, rows, (size_t)t_count(out) * sizeof *rows);
}

void patch_embedding_apply(float *rows, const patch_embedding *e, tensor *const *features,
                           bool convolve)
{
    scope s = scope_begin();
    if (convolve || t_device(features[0]).cuda)
        apply_convolutions(rows, e, features);
    else
        apply_kernel(rows, e, features);
    scope_return(&s, NULL);
}
