#include "bank/merge_reduce.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bank/coreset.h"
#include "base/error.h"
#include "base/threads.h"

/* ---- farthest first ---- */

enum { PIECE = 256 };

typedef struct measuring {
    const float *rows, *from;
    size_t columns;
    float *squares;
    const kernels *kernels;
} measuring;

static void measure_piece(void *context, size_t begin, size_t end)
{
    const measuring *m = context;
    m->kernels->squared_distances(m->squares + begin, m->from, m->rows + begin * m->columns,
                                  end - begin, m->columns);
}

static void measure(float *squares, const float *from, point_set points)
{
    measuring m = {points.rows, from, points.columns, squares, kernels_best()};
    parallel_for(points.count, PIECE, measure_piece, &m);
}

static int64_t first_largest(const float *values, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; ++i)
        best = values[i] > values[best] ? i : best;
    return (int64_t)best;
}

/* sums: scratch of as many columns. */
static void find_mean(float *mean, double *sums, const float *rows, int64_t count, int64_t columns)
{
    memset(sums, 0, (size_t)columns * sizeof *sums);
    for (int64_t i = 0; i < count; ++i)
        for (int64_t c = 0; c < columns; ++c)
            sums[c] += (double)rows[i * columns + c];
    for (int64_t c = 0; c < columns; ++c)
        mean[c] = (float)(sums[c] / (double)count);
}

/* The first pick is measured from the mean, all others from picks. */
static imiad_status pick(int64_t *picks, int64_t wanted, float *distances, const float *mean,
                         point_set points)
{
    const float *rows = points.rows;
    measure(distances, mean, points);
    picks[0] = first_largest(distances, points.count);
    measure(distances, rows + (size_t)picks[0] * points.columns, points);
    for (size_t i = 0; i < points.count; ++i)
        distances[i] = sqrtf(distances[i]);
    return wanted > 1 ? greedy_select(picks + 1, (size_t)wanted - 1, points, distances,
                                      kernels_best(), NULL)
                      : IMIAD_OK;
}

imiad_status farthest_first(int64_t *picks, const float *rows, int64_t count, int64_t columns,
                            int64_t wanted)
{
    if (wanted >= count) {
        for (int64_t i = 0; i < count; ++i)
            picks[i] = i;
        return IMIAD_OK;
    }
    size_t bytes =
        (size_t)columns * (sizeof(double) + sizeof(float)) + (size_t)count * sizeof(float);
    double *sums = malloc(bytes);
    if (!sums)
        return fail_memory("a choice of rows", bytes);
    float *mean = (float *)(sums + columns), *distances = mean + columns;
    const point_set points = {rows, (size_t)count, (size_t)columns, IMIAD_STORAGE_FLOAT32};
    find_mean(mean, sums, rows, count, columns);
    imiad_status status = pick(picks, wanted, distances, mean, points);
    free(sums);
    return status;
}

/* ---- blocks ---- */

void row_block_free(row_block *b)
{
    free(b->measured);
    free(b->given);
    free(b->sources);
    *b = (row_block){0};
}

static imiad_status make_block(row_block *out, int64_t count, const merge_reduce *m)
{
    size_t rows = (size_t)count;
    size_t measured = rows * (size_t)m->measured_columns * sizeof(float);
    size_t given = rows * (size_t)m->given_columns * sizeof(float);
    *out = (row_block){count, malloc(measured), given > 0 ? malloc(given) : NULL,
                       malloc(rows * sizeof(int64_t))};
    if (out->measured && (out->given || given == 0) && out->sources)
        return IMIAD_OK;
    row_block_free(out);
    return fail_memory("rows of a bank", measured + given);
}

static void copy_rows(row_block *out, int64_t to, const row_block *in, int64_t from, int64_t count,
                      const merge_reduce *m)
{
    int64_t measured = m->measured_columns, given = m->given_columns;
    if (count == 0)
        return;
    memcpy(out->measured + to * measured, in->measured + from * measured,
           (size_t)(count * measured) * sizeof(float));
    if (given > 0)
        memcpy(out->given + to * given, in->given + from * given,
               (size_t)(count * given) * sizeof(float));
    memcpy(out->sources + to, in->sources + from, (size_t)count * sizeof(int64_t));
}

/* Puts the chosen rows in the place of all. */
static imiad_status reduce(row_block *block, int64_t wanted, const merge_reduce *m)
{
    if (wanted >= block->count)
        return IMIAD_OK;
    row_block kept;
    int64_t *picks = malloc((size_t)wanted * sizeof *picks);
    if (!picks)
        return fail_memory("a choice of rows", (size_t)wanted * sizeof *picks);
    imiad_status status =
        farthest_first(picks, block->measured, block->count, m->measured_columns, wanted);
    if (status == IMIAD_OK)
        status = make_block(&kept, wanted, m);
    if (status == IMIAD_OK) {
        for (int64_t i = 0; i < wanted; ++i)
            copy_rows(&kept, i, block, picks[i], 1, m);
        row_block_free(block);
        *block = kept;
    }
    free(picks);
    return status;
}

/* Takes over both; they are gone after a failure too. */
static imiad_status join(row_block *out, row_block *a, row_block *b, const merge_reduce *m)
{
    row_block both;
    imiad_status status = make_block(&both, a->count + b->count, m);
    if (status == IMIAD_OK) {
        copy_rows(&both, 0, a, 0, a->count, m);
        copy_rows(&both, a->count, b, 0, b->count, m);
    }
    row_block_free(a);
    row_block_free(b);
    if (status == IMIAD_OK)
        *out = both;
    return status;
}

/* ---- levels ---- */

imiad_status merge_reduce_add(merge_reduce *m, row_block *block)
{
    row_block carried = *block;
    *block = (row_block){0};
    imiad_status status = reduce(&carried, m->block_rows, m);
    int level = 0;
    for (; status == IMIAD_OK && m->levels[level].count > 0; ++level) {
        status = join(&carried, &m->levels[level], &carried, m);
        if (status != IMIAD_OK)
            return status;
        status = reduce(&carried, m->block_rows, m);
    }
    if (status == IMIAD_OK)
        m->levels[level] = carried;
    else
        row_block_free(&carried);
    return status;
}

imiad_status merge_reduce_look(row_block *out, const merge_reduce *m, const row_block *waiting,
                               int64_t rows)
{
    row_block all;
    int64_t count = waiting->count, at = waiting->count;
    for (int level = 0; level < MOST_LEVELS; ++level)
        count += m->levels[level].count;
    TRY(make_block(&all, count, m));
    copy_rows(&all, 0, waiting, 0, waiting->count, m);
    for (int level = 0; level < MOST_LEVELS; ++level) {
        copy_rows(&all, at, &m->levels[level], 0, m->levels[level].count, m);
        at += m->levels[level].count;
    }
    imiad_status status = reduce(&all, rows, m);
    if (status != IMIAD_OK)
        row_block_free(&all);
    else
        *out = all;
    return status;
}

imiad_status merge_reduce_finish(row_block *out, merge_reduce *m, int64_t rows)
{
    const row_block none = {0};
    TRY(merge_reduce_look(out, m, &none, rows));
    merge_reduce_free(m);
    return IMIAD_OK;
}

void merge_reduce_free(merge_reduce *m)
{
    for (int level = 0; level < MOST_LEVELS; ++level)
        row_block_free(&m->levels[level]);
}
