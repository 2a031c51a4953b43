#include "detectors/parts/k_means.h"

#include <stdlib.h>
#include <string.h>

#include "bank/kernels.h"
#include "base/error.h"
#include "base/random.h"

enum { MOST_DISTANCES = 1 << 24 }; /* at once: 67 MB */
enum { MOST_STEPS = 3000 };

/* |x - c|^2 = |x|^2 + |c|^2 - 2 x c, and |x|^2 changes no order. */
tensor *nearest_centres(tensor *centres, tensor *points, int64_t k)
{
    scope s = scope_begin();
    int64_t rows = t_size(points, 0), count = t_size(centres, 0);
    int64_t block = count > 0 && count < MOST_DISTANCES ? MOST_DISTANCES / count : 1;
    tensor *squares = t_sum(t_square(centres), 1, false);
    tensor *doubled = t_mul_scalar(centres, -2);
    tensor *nearest = t_zeros(2, (int64_t[]){rows, k}, I64, t_device(centres));
    for (int64_t begin = 0; begin < rows && !t_failed(); begin += block) {
        int64_t end = begin + block < rows ? begin + block : rows;
        scope inner = scope_begin();
        tensor *index, *some = t_slice(points, 0, begin, end);
        t_topk(t_linear(some, doubled, squares), k, 1, false, &index);
        t_copy_(t_slice(nearest, 0, begin, end), index);
        scope_return(&inner, NULL);
    }
    return scope_return(&s, nearest);
}

typedef struct clustering {
    const float *points;
    float *centres;
    size_t count, clusters, dimension;
    float *apart;    /* of every point: from the nearest centre so far, squared; and a scratch */
    int64_t *owners; /* of every point: its centre; and those of the step before */
    double *sums;    /* clusters x dimension */
    size_t *sizes;   /* of clusters */
} clustering;

/* ---- k-means++ ---- */

/* A point drawn with its squared distance as weight; any one where all are zero. */
static size_t draw(const clustering *c, random_stream *stream)
{
    double total = 0, run = 0;
    for (size_t i = 0; i < c->count; ++i)
        total += (double)c->apart[i];
    if (!(total > 0))
        return (size_t)random_below(stream, c->count);
    double target = random_real(stream) * total;
    size_t last = 0;
    for (size_t i = 0; i < c->count; ++i) {
        if (c->apart[i] > 0)
            last = i;
        run += (double)c->apart[i];
        if (run > target)
            break;
    }
    return last;
}

static imiad_status spread(const clustering *c, random_stream *stream, const progress *p)
{
    const kernels *k = kernels_best();
    float *found = c->apart + c->count;
    for (size_t i = 0; i < c->count; ++i)
        c->apart[i] = 0;
    for (size_t j = 0; j < c->clusters; ++j) {
        const float *pick = c->points + draw(c, stream) * c->dimension;
        memcpy(c->centres + j * c->dimension, pick, c->dimension * sizeof *pick);
        k->squared_distances(found, pick, c->points, c->count, c->dimension);
        for (size_t i = 0; i < c->count; ++i)
            c->apart[i] = j > 0 && c->apart[i] < found[i] ? c->apart[i] : found[i];
        TRY(progress_report(p, "centres", (int64_t)j + 1, (int64_t)c->clusters));
    }
    return IMIAD_OK;
}

/* ---- Lloyd ---- */

static imiad_status assign(const clustering *c)
{
    int64_t rows[] = {(int64_t)c->count, (int64_t)c->dimension};
    int64_t columns[] = {(int64_t)c->clusters, (int64_t)c->dimension};
    scope s = scope_begin();
    tensor *points = t_view_of((void *)c->points, 2, rows, F32); /* only read */
    tensor *centres = t_from(c->centres, 2, columns, F32, CPU);
    t_read(nearest_centres(centres, points, 1), c->owners, c->count * sizeof *c->owners);
    return scope_end(&s);
}

static void move(const clustering *c)
{
    memset(c->sums, 0, c->clusters * c->dimension * sizeof *c->sums);
    memset(c->sizes, 0, c->clusters * sizeof *c->sizes);
    for (size_t i = 0; i < c->count; ++i) {
        const float *point = c->points + i * c->dimension;
        double *sum = c->sums + (size_t)c->owners[i] * c->dimension;
        c->sizes[c->owners[i]]++;
        for (size_t d = 0; d < c->dimension; ++d)
            sum[d] += (double)point[d];
    }
    for (size_t j = 0; j < c->clusters; ++j)
        for (size_t d = 0; c->sizes[j] > 0 && d < c->dimension; ++d)
            c->centres[j * c->dimension + d] =
                (float)(c->sums[j * c->dimension + d] / (double)c->sizes[j]);
}

static imiad_status settle(const clustering *c, const progress *p)
{
    int64_t *before = c->owners + c->count;
    for (int64_t step = 0; step < MOST_STEPS; ++step) {
        TRY(assign(c));
        if (step > 0 && memcmp(before, c->owners, c->count * sizeof *before) == 0)
            return IMIAD_OK;
        memcpy(before, c->owners, c->count * sizeof *before);
        move(c);
        TRY(progress_report(p, "k-means", step + 1, MOST_STEPS));
    }
    return IMIAD_OK;
}

imiad_status k_means(float *centres, int64_t clusters, const float *points, int64_t count,
                     int64_t dimension, uint64_t seed, const char *purpose, const progress *p)
{
    clustering c = {.points = points,
                    .centres = centres,
                    .count = (size_t)count,
                    .clusters = (size_t)clusters,
                    .dimension = (size_t)dimension};
    c.apart = malloc(2 * c.count * sizeof *c.apart);
    c.owners = malloc(2 * c.count * sizeof *c.owners);
    c.sums = malloc(c.clusters * c.dimension * sizeof *c.sums);
    c.sizes = malloc(c.clusters * sizeof *c.sizes);
    random_stream stream = random_open(seed, purpose);
    imiad_status status = c.apart && c.owners && c.sums && c.sizes
                              ? spread(&c, &stream, p)
                              : fail_memory("clusters", c.clusters * c.dimension * sizeof *c.sums);
    if (status == IMIAD_OK)
        status = settle(&c, p);
    free(c.apart);
    free(c.owners);
    free(c.sums);
    free(c.sizes);
    return status;
}
