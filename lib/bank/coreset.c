/* Choosing a coreset: projection, starting distances, greedy selection. Roth et al., "Towards Total
 * Recall in Industrial Anomaly Detection", CVPR 2022, as their published code does it. */
#include "bank/coreset.h"

#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "base/threads.h"

enum { PIECE = 512, WIDENED = 32, MOST_PROJECTION = 1 << 16 };

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

int64_t bank_selection_size(int64_t rows, const imiad_coreset_options *options)
{
    if (options->rows != 0)
        return options->rows > 0 && options->rows <= rows ? options->rows : 0;
    return imiad_coreset_size(rows, options->ratio);
}

uint64_t bank_selection_bytes(int64_t rows, int64_t dimension, imiad_storage storage,
                              const imiad_coreset_options *o)
{
    uint64_t n = (uint64_t)rows, d = (uint64_t)dimension, columns = d;
    size_t wanted = (size_t)bank_selection_size(rows, o);
    uint64_t bytes = wanted * sizeof(int64_t);
    if (o->method == IMIAD_CORESET_RANDOM || (int64_t)wanted == rows)
        return bytes;
    if (projects(dimension, o)) {
        columns = (uint64_t)o->projection;
        bytes += (n + d) * columns * sizeof(float);
        if (storage != IMIAD_STORAGE_FLOAT32)
            bytes += (uint64_t)imiad_threads() * WIDENED * d * sizeof(float);
    }
    if (o->exact)
        bytes += (n + columns) * sizeof(double);
    return bytes + n * sizeof(float) + greedy_bytes((size_t)rows, (size_t)columns, wanted);
}

/* ---- projection ---- */

typedef struct projection {
    float *out;
    point_set rows;
    const float *matrix;
    size_t to; /* columns */
    atomic_bool no_memory;
    const kernels *kernels;
} projection;

static void project_rows(const projection *p, const float *rows, size_t begin, size_t count)
{
    p->kernels->products(p->out + begin * p->to, rows, count, p->matrix, p->to, p->rows.columns);
}

static void project_piece(void *context, size_t begin, size_t end)
{
    projection *p = context;
    if (p->rows.storage == IMIAD_STORAGE_FLOAT32) {
        project_rows(p, point_row(&p->rows, begin), begin, end - begin);
        return;
    }
    float *wide = malloc(WIDENED * p->rows.columns * sizeof *wide);
    if (!wide)
        atomic_store(&p->no_memory, true);
    for (size_t i = begin; wide && i < end; i += WIDENED) {
        size_t count = end - i < WIDENED ? end - i : WIDENED;
        p->kernels->widen[p->rows.storage](wide, point_row(&p->rows, i), count * p->rows.columns);
        project_rows(p, wide, i, count);
    }
    free(wide);
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
    projection p = {out, bank_points(bank), drawn ? drawn : matrix, to, false, kernels_best()};
    parallel_for((size_t)bank->rows, PIECE, project_piece, &p);
    free(drawn);
    if (atomic_load(&p.no_memory))
        return fail_memory("the projected rows", WIDENED * from * sizeof(float));
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
    for (size_t i = 0; i < n; ++i) {
        const void *row = point_row(&points, i);
        for (size_t j = 0; j < d; ++j)
            mean[j] += (double)widen_number(row, j, points.storage) / (double)n;
    }
    for (size_t i = 0; i < n; ++i) {
        const void *row = point_row(&points, i);
        for (size_t j = 0; j < d; ++j) {
            double off = (double)widen_number(row, j, points.storage) - mean[j];
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
    const point_set *p = &m->points;
    for (size_t i = begin; i < end; ++i) {
        double sum = 0;
        for (size_t s = 0; s < m->count; ++s)
            sum += (double)sqrtf(m->kernels->distance_between[p->storage](
                point_row(p, (size_t)m->starts[s]), point_row(p, i), p->columns));
        m->distances[i] = (float)(sum / (double)m->count);
    }
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

imiad_status coreset_options_check(const imiad_coreset_options *o, int64_t rows)
{
    if (o->rows != 0 && bank_selection_size(rows, o) == 0)
        return fail(IMIAD_OUT_OF_RANGE, "selecting a coreset: %" PRId64 " rows of %" PRId64,
                    o->rows, rows);
    if (o->rows == 0 && !(o->ratio > 0 && o->ratio <= 1))
        return fail(IMIAD_OUT_OF_RANGE, "selecting a coreset: ratio is %g: it must be in 0<..1",
                    o->ratio);
    if (bank_selection_size(rows, o) == 0)
        return fail(IMIAD_OUT_OF_RANGE,
                    "selecting a coreset: ratio %g of %" PRId64 " rows keeps none", o->ratio, rows);
    if (o->projection < 0 || o->projection > MOST_PROJECTION)
        return fail(IMIAD_OUT_OF_RANGE,
                    "selecting a coreset: projection is %" PRId32 ": it must be in 0..%d",
                    o->projection, MOST_PROJECTION);
    if (o->method != IMIAD_CORESET_GREEDY && o->method != IMIAD_CORESET_RANDOM)
        return fail(IMIAD_OUT_OF_RANGE, "selecting a coreset: method is %d: there is 0 and 1",
                    (int)o->method);
    if (o->exact || o->method == IMIAD_CORESET_RANDOM)
        return IMIAD_OK;
    if (o->starts < 1 || o->starts > MOST_PROJECTION)
        return fail(IMIAD_OUT_OF_RANGE,
                    "selecting a coreset: starts is %" PRId32 ": it must be in 1..%d", o->starts,
                    MOST_PROJECTION);
    for (int32_t i = 0; o->start_rows && i < o->starts; ++i)
        if (o->start_rows[i] < 0 || o->start_rows[i] >= rows)
            return fail(IMIAD_OUT_OF_RANGE,
                        "selecting a coreset: start %" PRId64 " of %" PRId64 " rows",
                        o->start_rows[i], rows);
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
    point_set points = bank_points(bank);
    if (!projects(bank->dimension, o))
        return select_from(picks, wanted, points, o, mask, p);
    size_t bytes = points.count * (size_t)o->projection * sizeof(float);
    float *projected = pages_take(bytes);
    if (!projected)
        return fail_memory("the projected rows", bytes);
    imiad_status status = bank_project(projected, bank, o->projection, o->projection_matrix,
                                       o->seed, "coreset/projection");
    points = (point_set){projected, points.count, (size_t)o->projection, IMIAD_STORAGE_FLOAT32};
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

/* One look at each row: it is picked with the probability of those that are still wanted among
 * those that are left (Knuth, The Art of Computer Programming 2, 3.4.2, algorithm S). */
static void pick_randomly(int64_t *picks, size_t wanted, size_t left, const imiad_bank *bank,
                          const coreset_mask *mask, uint64_t seed)
{
    random_stream stream = random_open(seed, "coreset/random");
    for (int64_t row = 0; wanted > 0; ++row) {
        if (mask && mask->left_out[row])
            continue;
        if (random_below(&stream, left--) >= wanted)
            continue;
        *picks++ = row;
        --wanted;
    }
}

imiad_status bank_select(int64_t *out, int64_t *count, const imiad_bank *bank,
                         const imiad_coreset_options *o, const coreset_mask *mask,
                         const progress *p)
{
    TRY(coreset_options_check(o, bank->rows));
    TRY(bank_within_budget(
        bank, "selecting a coreset",
        bank_bytes(bank) + bank_selection_bytes(bank->rows, bank->dimension, bank->storage, o)));
    size_t wanted = (size_t)bank_selection_size(bank->rows, o);
    int64_t *picks = malloc(wanted * sizeof *picks);
    if (!picks)
        return fail_memory("the picks of a coreset", wanted * sizeof *picks);
    size_t kept = keep_first(picks, wanted, bank, mask);
    imiad_status status =
        kept > 0 ? IMIAD_OK
                 : fail(IMIAD_OUT_OF_RANGE,
                        "selecting a coreset: all %" PRId64 " rows are left out", bank->rows);
    bool all = wanted == (size_t)bank->rows;
    wanted = wanted < kept ? wanted : kept;
    if (status == IMIAD_OK && !all && o->method == IMIAD_CORESET_RANDOM)
        pick_randomly(picks, wanted, kept, bank, mask, o->seed);
    else if (status == IMIAD_OK && !all)
        status = select_picks(picks, wanted, bank, o, mask, p);
    if (status == IMIAD_OK) {
        memcpy(out, picks, wanted * sizeof *picks);
        *count = (int64_t)wanted;
    }
    free(picks);
    return status;
}

/* ---- the public function ---- */

imiad_status coreset_options_read(imiad_coreset_options *out, const imiad_coreset_options *given,
                                  const char *doing)
{
    imiad_coreset_options o = IMIAD_CORESET_OPTIONS_INIT;
    if (given->struct_size < offsetof(imiad_coreset_options, exact))
        return fail(IMIAD_INVALID_ARGUMENT,
                    "%s: struct_size is %" PRIu32 ": set it with IMIAD_CORESET_OPTIONS_INIT", doing,
                    given->struct_size);
    memcpy(&o, given, given->struct_size < sizeof o ? given->struct_size : sizeof o);
    *out = o;
    return IMIAD_OK;
}

imiad_status imiad_bank_select(int64_t *out, const imiad_bank *bank,
                               const imiad_coreset_options *options,
                               imiad_progress_function function, void *user)
{
    if (!out || !bank || !options)
        return fail(IMIAD_INVALID_ARGUMENT, "selecting a coreset: %s is NULL",
                    !out    ? "out"
                    : !bank ? "bank"
                            : "options");
    imiad_coreset_options o;
    TRY(coreset_options_read(&o, options, "selecting a coreset"));
    progress p = {function, user};
    int64_t count;
    return bank_select(out, &count, bank, &o, NULL, &p);
}
