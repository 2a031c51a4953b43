#include "detectors/parts/outlier_factors.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bank/kernels.h"
#include "base/error.h"
#include "base/threads.h"
#include "detectors/parts/position_gaussians.h"

enum {
    BLOCK_BYTES = 8 << 20, /* of the rows that are measured between two looks at the listener */
    GRAIN = 8              /* positions of a piece of work */
};

/* Some positions, each with all its rows together. */
typedef struct block {
    const float *rows; /* positions x images x columns */
    int64_t positions, images, columns;
    float *out; /* positions x images */
} block;

/* ---- local outlier factor ---- */

typedef struct neighbourhood {
    int64_t count;    /* neighbours of each row */
    int64_t *indices; /* images x count, nearest first */
    double *distances;
    double *densities; /* lrd */
    float *squares;    /* of one row from all */
} neighbourhood;

static void neighbourhood_free(neighbourhood *h)
{
    free(h->indices);
    free(h->distances);
    free(h->densities);
    free(h->squares);
}

static bool neighbourhood_make(neighbourhood *h, int64_t images, int64_t neighbours)
{
    size_t n = (size_t)images;
    h->count = neighbours < images - 1 ? neighbours : images - 1;
    h->indices = malloc(n * (size_t)h->count * sizeof *h->indices);
    h->distances = malloc(n * (size_t)h->count * sizeof *h->distances);
    h->densities = malloc(n * sizeof *h->densities);
    h->squares = malloc(n * sizeof *h->squares);
    return h->indices && h->distances && h->densities && h->squares;
}

/* The nearest others of row i, from h->squares. */
static void find_neighbours(neighbourhood *h, int64_t i, int64_t images)
{
    int64_t *indices = h->indices + i * h->count, held = 0;
    for (int64_t j = 0; j < images; ++j) {
        if (j == i || (held == h->count && h->squares[j] >= h->squares[indices[held - 1]]))
            continue;
        int64_t at = held < h->count ? held++ : held - 1;
        for (; at > 0 && h->squares[j] < h->squares[indices[at - 1]]; --at)
            indices[at] = indices[at - 1];
        indices[at] = j;
    }
    for (int64_t j = 0; j < held; ++j)
        h->distances[i * h->count + j] = sqrt((double)h->squares[indices[j]]);
}

static void local_outlier_factors(float *out, neighbourhood *h, const float *rows, int64_t images,
                                  int64_t columns, double least)
{
    int64_t k = h->count;
    for (int64_t i = 0; i < images; ++i) {
        kernels_best()->squared_distances(h->squares, rows + i * columns, rows, (size_t)images,
                                          (size_t)columns);
        find_neighbours(h, i, images);
    }
    for (int64_t i = 0; i < images; ++i) {
        double reach = 0;
        for (int64_t j = i * k; j < (i + 1) * k; ++j)
            reach += fmax(h->distances[(h->indices[j] + 1) * k - 1], h->distances[j]);
        h->densities[i] = 1 / (reach / (double)k + least);
    }
    for (int64_t i = 0; i < images; ++i) {
        double sum = 0;
        for (int64_t j = i * k; j < (i + 1) * k; ++j)
            sum += h->densities[h->indices[j]];
        out[i] = (float)(sum / (double)k / h->densities[i]);
    }
}

typedef struct lof_job {
    const block *block;
    int64_t neighbours;
    double least;
    atomic_bool starved;
} lof_job;

static void lof_some(void *context, size_t begin, size_t end)
{
    lof_job *job = context;
    const block *b = job->block;
    neighbourhood h = {0};
    if (!neighbourhood_make(&h, b->images, job->neighbours))
        atomic_store(&job->starved, true);
    else
        for (int64_t p = (int64_t)begin; p < (int64_t)end; ++p)
            local_outlier_factors(b->out + p * b->images, &h, b->rows + p * b->images * b->columns,
                                  b->images, b->columns, job->least);
    neighbourhood_free(&h);
}

static imiad_status measure_lof(const block *b, int64_t neighbours, double least)
{
    lof_job job = {.block = b, .neighbours = neighbours, .least = least};
    parallel_for((size_t)b->positions, GRAIN, lof_some, &job);
    return atomic_load(&job.starved)
               ? fail_memory("local outlier factors", (size_t)(b->images * neighbours) * 16)
               : IMIAD_OK;
}

/* ---- the others ---- */

static void nearest_some(void *context, size_t begin, size_t end)
{
    const block *b = context;
    for (int64_t p = (int64_t)begin; p < (int64_t)end; ++p)
        for (int64_t i = 0; i < b->images; ++i) {
            const float *rows = b->rows + p * b->images * b->columns;
            float least = INFINITY;
            for (int64_t j = 0; j < b->images; ++j)
                if (j != i)
                    least = fminf(least, kernels_best()->squared_distance(rows + i * b->columns,
                                                                          rows + j * b->columns,
                                                                          (size_t)b->columns));
            b->out[p * b->images + i] = 1 + sqrtf(least);
        }
}

static imiad_status measure_nearest(const block *b, int64_t neighbours, double least)
{
    parallel_for((size_t)b->positions, GRAIN, nearest_some, (void *)b);
    return IMIAD_OK;
}

static imiad_status measure_gaussian(const block *b, int64_t neighbours, double ridge)
{
    position_gaussians g = {.epsilon = ridge};
    scope s = scope_begin();
    tensor *rows = t_from(b->rows, 3, (int64_t[]){b->positions, b->images, b->columns}, F32, CPU);
    tensor *taken = t_clone(rows); /* the fit keeps it or frees it */
    if (!t_failed() && t_try(gaussians_fit(&g, t_keep(taken), NULL))) {
        tensor *distances = gaussians_distances(&g, rows); /* images x positions */
        const float *values = t_data(t_contiguous(t_transpose(distances, 0, 1)));
        for (int64_t i = 0; values && i < b->positions * b->images; ++i)
            b->out[i] = 1 + values[i];
    }
    gaussians_free(&g);
    return scope_end(&s);
}

/* ---- all of them ---- */

typedef struct outlier_method {
    const char *name;
    imiad_status (*measure)(const block *b, int64_t neighbours, double regulariser);
    double regulariser;
} outlier_method;

static const outlier_method methods[] = {{"lof", measure_lof, 1e-10},
                                         {"lof_gpu", measure_lof, 1e-6},
                                         {"nearest", measure_nearest, 0},
                                         {"gaussian", measure_gaussian, 0.01}};

static const outlier_method *find_method(const char *name)
{
    const outlier_method *m = methods;
    while (strcmp(m->name, name) != 0)
        ++m;
    return m;
}

/* Between the order of the bank, image by image, and that of a block. */
static void gather(float *block_rows, const patch_rows *rows, int64_t first, int64_t positions)
{
    for (int64_t p = 0; p < positions; ++p)
        for (int64_t i = 0; i < rows->images; ++i)
            memcpy(block_rows + (p * rows->images + i) * rows->columns,
                   rows->values + (i * rows->positions + first + p) * rows->columns,
                   (size_t)rows->columns * sizeof(float));
}

static void scatter(float *out, const patch_rows *rows, int64_t first, const block *b)
{
    for (int64_t p = 0; p < b->positions; ++p)
        for (int64_t i = 0; i < rows->images; ++i)
            out[i * rows->positions + first + p] = b->out[p * rows->images + i];
}

static imiad_status measure_blocks(float *out, const patch_rows *rows, float *room, int64_t most,
                                   const outlier_method *method, int64_t neighbours,
                                   const progress *p)
{
    block b = {room, 0, rows->images, rows->columns, room + most * rows->images * rows->columns};
    for (int64_t first = 0; first < rows->positions; first += b.positions) {
        b.positions = rows->positions - first < most ? rows->positions - first : most;
        gather(room, rows, first, b.positions);
        TRY(method->measure(&b, neighbours, method->regulariser));
        scatter(out, rows, first, &b);
        TRY(progress_report(p, "outlier factors", first + b.positions, rows->positions));
    }
    return IMIAD_OK;
}

imiad_status outlier_factors(float *out, const patch_rows *rows, const char *method,
                             int64_t neighbours, const progress *p)
{
    if (rows->images <= 2) {
        for (int64_t i = 0; i < rows->images * rows->positions; ++i)
            out[i] = 1;
        return IMIAD_OK;
    }
    int64_t each = rows->images * (rows->columns + 1); /* values of a position */
    int64_t most = BLOCK_BYTES / (each * (int64_t)sizeof(float)) + 1;
    most = most < rows->positions ? most : rows->positions;
    size_t bytes = (size_t)(most * each) * sizeof(float);
    float *room = malloc(bytes);
    if (!room)
        return fail_memory("outlier factors", bytes);
    imiad_status status = measure_blocks(out, rows, room, most, find_method(method), neighbours, p);
    free(room);
    return status;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

imiad_status outlier_threshold(double *out, const float *factors, int64_t count, double share)
{
    float *sorted = malloc((size_t)count * sizeof *sorted);
    if (!sorted)
        return fail_memory("outlier factors", (size_t)count * sizeof *sorted);
    memcpy(sorted, factors, (size_t)count * sizeof *sorted);
    qsort(sorted, (size_t)count, sizeof *sorted, compare_floats);
    double place = (1 - share) * (double)(count - 1);
    int64_t below = (int64_t)place, above = below + (below + 1 < count);
    double low = (double)sorted[below], high = (double)sorted[above];
    *out = low + (high - low) * (place - (double)below);
    free(sorted);
    return IMIAD_OK;
}
