/* Choosing a coreset: projection, starting distances, greedy selection. Roth et al., "Towards Total
 * Recall in Industrial Anomaly Detection", CVPR 2022, as their published code does it. */
#include "bank/bank.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "base/threads.h"

enum { PIECE = 512, MOST_PROJECTION = 1 << 16 };

int64_t imiad_coreset_size(int64_t rows, double ratio)
{
    if (rows < 1 || !(ratio > 0 && ratio <= 1))
        return 0;
    return (int64_t)(ratio * (double)rows);
}

static bool projects(int64_t dimension, const imiad_coreset_options *o)
{
    return o->projection > 0 && o->projection != dimension;
}

uint64_t bank_selection_bytes(int64_t rows, int64_t dimension, const imiad_coreset_options *options)
{
    uint64_t n = (uint64_t)rows, d = (uint64_t)dimension, bytes = n * sizeof(float);
    if (projects(dimension, options))
        bytes += (n + d) * (uint64_t)options->projection * sizeof(float);
    size_t wanted = (size_t)imiad_coreset_size(rows, options->ratio);
    return bytes + wanted * sizeof(int64_t) + greedy_bytes((size_t)rows, wanted);
}

/* ---- projection ---- */

typedef struct projection {
    float *out;
    const float *rows, *matrix;
    size_t from, to; /* columns */
    const kernels *kernels;
} projection;

static void project_piece(void *context, size_t begin, size_t end)
{
    projection *p = context;
    p->kernels->products(p->out + begin * p->to, p->rows + begin * p->from, end - begin, p->matrix,
                         p->to, p->from);
}

static void draw_projection(float *matrix, size_t rows, size_t columns, uint64_t seed,
                            const char *purpose)
{
    random_stream stream = random_open(seed, purpose);
    double bound = 1 / sqrt((double)columns);
    for (size_t i = 0; i < rows * columns; ++i)
        matrix[i] = (float)random_between(&stream, -bound, bound);
}

imiad_status bank_project(float *out, const imiad_bank *bank, int64_t columns, const float *matrix,
                          uint64_t seed, const char *purpose)
{
    size_t from = (size_t)bank->dimension, to = (size_t)columns;
    float *drawn = NULL;
    if (!matrix) {
        drawn = malloc(from * to * sizeof *drawn);
        if (!drawn)
            return fail_memory("the random projection", from * to * sizeof *drawn);
        draw_projection(drawn, to, from, seed, purpose);
    }
    projection p = {out, bank->data, drawn ? drawn : matrix, from, to, kernels_best()};
    parallel_for((size_t)bank->rows, PIECE, project_piece, &p);
    free(drawn);
    int64_t row, column;
    if (find_not_finite(out, bank->rows, columns, &row, &column))
        return fail(IMIAD_NOT_FINITE, "the projection of row %" PRId64 " is not finite", row);
    return IMIAD_OK;
}

/* ---- the distances that the selection begins with ---- */

/* |row i of the matrix of all distances| = sqrt(sum_j |x_i - x_j|^2). With the mean m of all rows
 * that sum is n |x_i - m|^2 + sum_j |x_j - m|^2: no n x n matrix is needed. */
static imiad_status exact_start(float *distances, point_set points)
{
    size_t n = points.count, d = points.columns;
    double *mean = calloc(d + n, sizeof *mean), *spread = mean + d, total = 0;
    if (!mean)
        return fail_memory("the coreset selection", (d + n) * sizeof *mean);
    for (size_t i = 0; i < n; ++i)
        for (size_t j = 0; j < d; ++j)
            mean[j] += (double)points.rows[i * d + j] / (double)n;
    for (size_t i = 0; i < n; ++i) {
        for (size_t j = 0; j < d; ++j) {
            double off = (double)points.rows[i * d + j] - mean[j];
            spread[i] += off * off;
        }
        total += spread[i];
    }
    for (size_t i = 0; i < n; ++i)
        distances[i] = (float)sqrt((double)n * spread[i] + total);
    free(mean);
    return IMIAD_OK;
}

typedef struct mean_start {
    point_set points;
    const int64_t *starts;
    size_t count;
    float *distances;
    const kernels *kernels;
} mean_start;

static void mean_piece(void *context, size_t begin, size_t end)
{
    mean_start *m = context;
    size_t columns = m->points.columns;
    float squared[PIECE];
    double sums[PIECE] = {0};
    for (size_t s = 0; s < m->count; ++s) {
        m->kernels->squared_distances(squared, m->points.rows + (size_t)m->starts[s] * columns,
                                      m->points.rows + begin * columns, end - begin, columns);
        for (size_t i = 0; i < end - begin; ++i)
            sums[i] += (double)sqrtf(squared[i]);
    }
    for (size_t i = 0; i < end - begin; ++i)
        m->distances[begin + i] = (float)(sums[i] / (double)m->count);
}

/* Distinct rows; a bank of fewer rows gives them all, as the published code does. */
static size_t draw_starts(int64_t *starts, size_t count, int64_t rows, uint64_t seed)
{
    random_stream stream = random_open(seed, "coreset/starts");
    size_t drawn = 0;
    if (count > (size_t)rows)
        count = (size_t)rows;
    while (drawn < count) {
        int64_t row = (int64_t)random_below(&stream, (uint64_t)rows);
        size_t same = 0;
        while (same < drawn && starts[same] != row)
            ++same;
        if (same == drawn)
            starts[drawn++] = row;
    }
    return drawn;
}

static imiad_status approximate_start(float *distances, point_set points,
                                      const imiad_coreset_options *o)
{
    size_t count = (size_t)o->starts;
    int64_t *drawn = NULL;
    if (!o->start_rows) {
        drawn = malloc(count * sizeof *drawn);
        if (!drawn)
            return fail_memory("the starts of a coreset", count * sizeof *drawn);
        count = draw_starts(drawn, count, (int64_t)points.count, o->seed);
    }
    mean_start m = {points, drawn ? drawn : o->start_rows, count, distances, kernels_best()};
    parallel_for(points.count, PIECE, mean_piece, &m);
    free(drawn);
    return IMIAD_OK;
}

/* ---- selecting ---- */

static imiad_status check_options(const imiad_bank *bank, const imiad_coreset_options *o)
{
    if (!(o->ratio > 0 && o->ratio <= 1))
        return fail(IMIAD_OUT_OF_RANGE, "selecting a coreset: ratio is %g: it must be in 0<..1",
                    o->ratio);
    if (imiad_coreset_size(bank->rows, o->ratio) == 0)
        return fail(IMIAD_OUT_OF_RANGE,
                    "selecting a coreset: ratio %g of %" PRId64 " rows keeps none", o->ratio,
                    bank->rows);
    if (o->projection < 0 || o->projection > MOST_PROJECTION)
        return fail(IMIAD_OUT_OF_RANGE,
                    "selecting a coreset: projection is %" PRId32 ": it must be in 0..%d",
                    o->projection, MOST_PROJECTION);
    if (o->exact)
        return IMIAD_OK;
    if (o->starts < 1 || o->starts > MOST_PROJECTION)
        return fail(IMIAD_OUT_OF_RANGE,
                    "selecting a coreset: starts is %" PRId32 ": it must be in 1..%d", o->starts,
                    MOST_PROJECTION);
    for (int32_t i = 0; o->start_rows && i < o->starts; ++i)
        if (o->start_rows[i] < 0 || o->start_rows[i] >= bank->rows)
            return fail(IMIAD_OUT_OF_RANGE,
                        "selecting a coreset: start %" PRId64 " of %" PRId64 " rows",
                        o->start_rows[i], bank->rows);
    return IMIAD_OK;
}

/* Puts rows behind all others: no distance is below 0. */
static void pass_over(float *distances, size_t count, const coreset_mask *mask)
{
    size_t first = 0;
    for (size_t i = 1; i < count; ++i)
        if (distances[i] > distances[first])
            first = i;
    for (size_t i = 0; i < count; ++i)
        if (mask->left_out[i] && !(mask->first_anywhere && i == first))
            distances[i] = -1;
}

static imiad_status select_from(int64_t *picks, size_t wanted, point_set points,
                                const imiad_coreset_options *o, const coreset_mask *mask,
                                const progress *p)
{
    float *distances = malloc(points.count * sizeof *distances);
    if (!distances)
        return fail_memory("the coreset selection", points.count * sizeof *distances);
    imiad_status status =
        o->exact ? exact_start(distances, points) : approximate_start(distances, points, o);
    if (status == IMIAD_OK && mask)
        pass_over(distances, points.count, mask);
    if (status == IMIAD_OK)
        status = greedy_select(picks, wanted, points, distances, kernels_best(), p);
    free(distances);
    return status;
}

static imiad_status select_picks(int64_t *picks, size_t wanted, const imiad_bank *bank,
                                 const imiad_coreset_options *o, const coreset_mask *mask,
                                 const progress *p)
{
    point_set points = {bank->data, (size_t)bank->rows, (size_t)bank->dimension};
    if (!projects(bank->dimension, o))
        return select_from(picks, wanted, points, o, mask, p);
    size_t bytes = points.count * (size_t)o->projection * sizeof(float);
    float *projected = pages_take(bytes);
    if (!projected)
        return fail_memory("the projected rows", bytes);
    imiad_status status = bank_project(projected, bank, o->projection, o->projection_matrix,
                                       o->seed, "coreset/projection");
    points.rows = projected;
    points.columns = (size_t)o->projection;
    if (status == IMIAD_OK)
        status = select_from(picks, wanted, points, o, mask, p);
    pages_free(projected, bytes);
    return status;
}

/* The first `most` rows that stay; how many there are of them in all. */
static size_t keep_first(int64_t *picks, size_t most, const imiad_bank *bank,
                         const coreset_mask *mask)
{
    size_t kept = 0;
    for (int64_t i = 0; i < bank->rows; ++i)
        if (!mask || !mask->left_out[i]) {
            if (kept < most)
                picks[kept] = i;
            ++kept;
        }
    return kept;
}

imiad_status bank_select(int64_t *out, int64_t *count, const imiad_bank *bank,
                         const imiad_coreset_options *o, const coreset_mask *mask,
                         const progress *p)
{
    TRY(check_options(bank, o));
    TRY(bank_within_budget(bank, "selecting a coreset",
                           (uint64_t)bank->rows * (uint64_t)bank->dimension * sizeof(float) +
                               bank_selection_bytes(bank->rows, bank->dimension, o)));
    size_t wanted = (size_t)imiad_coreset_size(bank->rows, o->ratio);
    int64_t *picks = malloc(wanted * sizeof *picks);
    if (!picks)
        return fail_memory("the picks of a coreset", wanted * sizeof *picks);
    size_t kept = keep_first(picks, wanted, bank, mask);
    imiad_status status =
        kept > 0 ? IMIAD_OK
                 : fail(IMIAD_OUT_OF_RANGE,
                        "selecting a coreset: all %" PRId64 " rows are left out", bank->rows);
    wanted = wanted < kept ? wanted : kept;
    if (status == IMIAD_OK && o->ratio < 1)
        status = select_picks(picks, wanted, bank, o, mask, p);
    if (status == IMIAD_OK) {
        memcpy(out, picks, wanted * sizeof *picks);
        *count = (int64_t)wanted;
    }
    free(picks);
    return status;
}

/* ---- the public function ---- */

imiad_status imiad_bank_select(int64_t *out, const imiad_bank *bank,
                               const imiad_coreset_options *options,
                               imiad_progress_function function, void *user)
{
    if (!out || !bank || !options)
        return fail(IMIAD_INVALID_ARGUMENT, "selecting a coreset: %s is NULL",
                    !out    ? "out"
                    : !bank ? "bank"
                            : "options");
    imiad_coreset_options o = IMIAD_CORESET_OPTIONS_INIT;
    if (options->struct_size < offsetof(imiad_coreset_options, exact))
        return fail(IMIAD_INVALID_ARGUMENT,
                    "selecting a coreset: struct_size is %" PRIu32
                    ": set it with IMIAD_CORESET_OPTIONS_INIT",
                    options->struct_size);
    memcpy(&o, options, options->struct_size < sizeof o ? options->struct_size : sizeof o);
    progress p = {function, user};
    int64_t count;
    return bank_select(out, &count, bank, &o, NULL, &p);
}
