#include "detectors/parts/merge_reduce.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/threads.h"

/* ---- farthest first ---- */

enum { GRAIN = 256 };

typedef struct lowering {
    const float *rows;
    const double *from; /* columns */
    double *squares;    /* of each row to the nearest pick so far */
    int64_t columns;
} lowering;

__attribute__((target_clones("avx2", "default"))) static double
square_between(const float *row, const double *from, int64_t columns)
{
    double sums[8] = {0}, sum = 0;
    int64_t c = 0;
    for (; c + 8 <= columns; c += 8)
        for (int i = 0; i < 8; ++i) {
            double d = (double)row[c + i] - from[c + i];
            sums[i] += d * d;
        }
    for (; c < columns; ++c) {
        double d = (double)row[c] - from[c];
        sum += d * d;
    }
    for (int i = 0; i < 8; ++i)
        sum += sums[i];
    return sum;
}

static void lower(void *context, size_t begin, size_t end)
{
    const lowering *l = context;
    for (size_t i = begin; i < end; ++i) {
        double square = square_between(l->rows + (int64_t)i * l->columns, l->from, l->columns);
        l->squares[i] = square < l->squares[i] ? square : l->squares[i];
    }
}

static int64_t first_largest(const double *values, int64_t count)
{
    int64_t best = 0;
    for (int64_t i = 1; i < count; ++i)
        best = values[i] > values[best] ? i : best;
    return best;
}

static void find_mean(double *mean, const float *rows, int64_t count, int64_t columns)
{
    memset(mean, 0, (size_t)columns * sizeof *mean);
    for (int64_t i = 0; i < count; ++i)
        for (int64_t c = 0; c < columns; ++c)
            mean[c] += (double)rows[i * columns + c];
    for (int64_t c = 0; c < columns; ++c)
        mean[c] /= (double)count;
}

static void forget_distances(double *squares, int64_t count)
{
    for (int64_t i = 0; i < count; ++i)
        squares[i] = INFINITY;
}

/* Each pick lowers the distances, beginning with the mean, which is none. */
static void pick(int64_t *picks, int64_t wanted, const lowering *l, double *from, int64_t count)
{
    find_mean(from, l->rows, count, l->columns);
    forget_distances(l->squares, count);
    for (int64_t i = 0; i < wanted; ++i) {
        parallel_for((size_t)count, GRAIN, lower, (void *)l);
        picks[i] = first_largest(l->squares, count);
        for (int64_t c = 0; c < l->columns; ++c)
            from[c] = (double)l->rows[picks[i] * l->columns + c];
        if (i == 0)
            forget_distances(l->squares, count);
    }
}

imiad_status farthest_first(int64_t *picks, const float *rows, int64_t count, int64_t columns,
                            int64_t wanted)
{
    if (wanted >= count) {
        for (int64_t i = 0; i < count; ++i)
            picks[i] = i;
        return IMIAD_OK;
    }
    double *squares = malloc((size_t)(count + columns) * sizeof *squares);
    if (!squares)
        return fail_memory("a choice of rows", (size_t)(count + columns) * sizeof *squares);
    const lowering l = {rows, squares + count, squares, columns};
    pick(picks, wanted, &l, squares + count, count);
    free(squares);
    return IMIAD_OK;
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
    *out = (row_block){count, malloc(measured), malloc(given), malloc(rows * sizeof(int64_t))};
    if (out->measured && out->given && out->sources)
        return IMIAD_OK;
    row_block_free(out);
    return fail_memory("rows of a bank", measured + given);
}

static void copy_rows(row_block *out, int64_t to, const row_block *in, int64_t from, int64_t count,
                      const merge_reduce *m)
{
    int64_t measured = m->measured_columns, given = m->given_columns;
    memcpy(out->measured + to * measured, in->measured + from * measured,
           (size_t)(count * measured) * sizeof(float));
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

imiad_status merge_reduce_finish(row_block *out, merge_reduce *m, int64_t rows)
{
    row_block all;
    TRY(make_block(&all, 0, m));
    for (int level = 0; level < MOST_LEVELS; ++level)
        if (m->levels[level].count > 0)
            TRY(join(&all, &all, &m->levels[level], m));
    imiad_status status = reduce(&all, rows, m);
    if (status != IMIAD_OK)
        row_block_free(&all);
    else
        *out = all;
    return status;
}

void merge_reduce_free(merge_reduce *m)
{
    for (int level = 0; level < MOST_LEVELS; ++level)
        row_block_free(&m->levels[level]);
}
