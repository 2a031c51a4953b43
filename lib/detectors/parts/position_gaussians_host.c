/* position_gaussians.h on the CPU in float32: one position at a time, whose matrices stay in the
 * cache, and positions in parallel. Every position and image takes the same steps in the same order
 * whatever the batch and the number of threads. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clones.h"
#include "base/error.h"
#include "base/threads.h"
#include "detectors/parts/position_gaussians.h"

#define INLINE static inline __attribute__((always_inline))

enum {
    LANES = 8,
    WIDE = 16,
    HIGH = 4,      /* rows that share a load */
    SPAN = 64,     /* columns that are solved together */
    IMAGES = 4,    /* that share a load of a position's statistics */
    RESIDUALS = 4, /* vectors */
    GRAIN = 8      /* positions of a piece of work */
};
typedef double doubles __attribute__((vector_size(LANES * 8), aligned(8), may_alias));
typedef float floats __attribute__((vector_size(WIDE * 4), aligned(4), may_alias));

/* ---- fit ---- */

INLINE double add_doubles(doubles s)
{
    typedef double four __attribute__((vector_size(32)));
    four a = __builtin_shufflevector(s, s, 0, 1, 2, 3) + __builtin_shufflevector(s, s, 4, 5, 6, 7);
    return (a[0] + a[2]) + (a[1] + a[3]);
}

INLINE double dot(const double *a, const double *b, int64_t count)
{
    doubles parts = {0};
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        parts += *(const doubles *)(a + i) * *(const doubles *)(b + i);
    double sum = add_doubles(parts);
    for (; i < count; ++i)
        sum += a[i] * b[i];
    return sum;
}

/* The lower triangle of m m^T, m of `side` rows of `length`, a multiple of LANES, with HIGH - 1
 * rows of anything behind it. HIGH rows share
 * each load. */
CLONES static void gram(double *out, const double *m, int64_t side, int64_t length)
{
    for (int64_t i = 0; i < side; i += HIGH)
        for (int64_t j = 0; j <= i; j += HIGH) {
            doubles parts[HIGH][HIGH] = {{{0}}};
            for (int64_t c = 0; c < length; c += LANES)
                for (int h = 0; h < HIGH; ++h)
                    for (int w = 0; w < HIGH; ++w)
                        parts[h][w] += *(const doubles *)(m + (i + h) * length + c) *
                                       *(const doubles *)(m + (j + w) * length + c);
            for (int h = 0; h < HIGH && i + h < side; ++h)
                for (int w = 0; w < HIGH && j + w <= i + h; ++w)
                    out[(i + h) * side + j + w] = add_doubles(parts[h][w]);
        }
}

/* The lower triangle becomes its Cholesky factor; false where it is not positive definite. */
CLONES static bool factor(double *k, int64_t side)
{
    for (int64_t i = 0; i < side; ++i)
        for (int64_t j = 0; j <= i; ++j) {
            double rest = k[i * side + j] - dot(k + i * side, k + j * side, j);
            if (i == j && !(rest > 0))
                return false;
            k[i * side + j] = i == j ? sqrt(rest) : rest / k[j * side + j];
        }
    return true;
}

/* out, side x columns, becomes L^-1 a, a of side x length, which is overwritten: SPAN columns at a
 * time, which stay in the nearest cache, a row of them in registers. */
CLONES static void solve(float *out, double *a, const double *l, int64_t side, int64_t length,
                         int64_t columns)
{
    for (int64_t c = 0; c < columns; c += SPAN)
        for (int64_t i = 0; i < side; ++i) {
            doubles row[SPAN / LANES];
            double *values = a + i * length + c;
            for (int v = 0; v < SPAN / LANES; ++v)
                row[v] = *(const doubles *)(values + v * LANES);
            for (int64_t j = 0; j < i; ++j)
                for (int v = 0; v < SPAN / LANES; ++v)
                    row[v] -= l[i * side + j] * *(const doubles *)(a + j * length + c + v * LANES);
            for (int v = 0; v < SPAN / LANES; ++v)
                *(doubles *)(values + v * LANES) = row[v] * (1 / l[i * side + i]);
            int64_t count = columns - c < SPAN ? columns - c : SPAN;
            for (int64_t k = 0; k < count; ++k)
                out[i * columns + c + k] = (float)values[k];
        }
}

typedef struct fit_job {
    float *rows, *mean, *root;
    int64_t n, d;
    bool few;
    double epsilon;
    size_t first; /* position of the block */
    atomic_int trouble;
} fit_job;

/* The centred rows over sqrt(n - 1), or their transpose; lines padded with zeros to `length`. */
CLONES static void centre(double *m, float *mean, double *means, const fit_job *job,
                          const float *rows, int64_t length)
{
    double scale = 1 / sqrt(job->n > 1 ? (double)(job->n - 1) : 1.0);
    int64_t n = job->n, d = job->d;
    memset(m, 0, (size_t)((job->few ? n : d) * length) * sizeof *m);
    memset(means, 0, (size_t)d * sizeof *means);
    for (int64_t i = 0; i < n; ++i)
        for (int64_t c = 0; c < d; ++c)
            means[c] += (double)rows[i * d + c];
    for (int64_t c = 0; c < d; ++c)
        mean[c] = (float)(means[c] /= (double)n);
    for (int64_t i = 0; i < n && job->few; ++i)
        for (int64_t c = 0; c < d; ++c)
            m[i * length + c] = ((double)rows[i * d + c] - means[c]) * scale;
    for (int64_t c = 0; c < d && !job->few; ++c)
        for (int64_t i = 0; i < n; ++i)
            m[c * length + i] = ((double)rows[i * d + c] - means[c]) * scale;
}

static int64_t line_length(const fit_job *job)
{
    return job->few ? (job->d + SPAN - 1) / SPAN * SPAN : (job->n + LANES - 1) / LANES * LANES;
}

static void fit_position(fit_job *job, size_t p, double *m, double *k, double *means)
{
    int64_t n = job->n, d = job->d, side = job->few ? n : d, length = line_length(job);
    float *rows = job->rows + p * (size_t)(n * d), *root = job->root + p * (size_t)(side * side);
    centre(m, job->mean + p * (size_t)d, means, job, rows, length);
    gram(k, m, side, length);
    for (int64_t i = 0; i < side; ++i)
        k[i * side + i] += job->epsilon;
    if (!factor(k, side))
        atomic_store(&job->trouble, IMIAD_NOT_FINITE);
    for (int64_t i = 0; i < side; ++i)
        for (int64_t j = 0; j <= i; ++j)
            root[i * side + j] = (float)k[i * side + j];
    if (job->few)
        solve(rows, m, k, side, length, d);
}

static void fit_some(void *context, size_t begin, size_t end)
{
    fit_job *job = context;
    size_t side = (size_t)(job->few ? job->n : job->d);
    size_t lines = (side + HIGH) * (size_t)line_length(job), matrix = side * side;
    double *m = calloc(lines + matrix + (size_t)job->d, sizeof *m);
    if (!m)
        atomic_store(&job->trouble, IMIAD_NO_MEMORY);
    for (size_t p = begin; m && p < end; ++p)
        fit_position(job, job->first + p, m, m + lines, m + lines + matrix);
    free(m);
}

void gaussians_fit_host(position_gaussians *g, tensor *rows, bool few, int64_t begin, int64_t end)
{
    fit_job job = {t_data(rows),    t_data(g->mean), t_data(g->root),
                   t_size(rows, 1), t_size(rows, 2), few,
                   g->epsilon,      (size_t)begin,   0};
    if (t_failed())
        return;
    parallel_for((size_t)(end - begin), GRAIN, fit_some, &job);
    int trouble = atomic_load(&job.trouble);
    if (trouble)
        t_fail((imiad_status)trouble, trouble == IMIAD_NO_MEMORY
                                          ? "out of memory: a covariance"
                                          : "a covariance is not positive definite");
}

/* ---- distances ---- */

/* In halves: lanes 0 + 8, ..., 7 + 15; and so on down to one. */
INLINE float add_lanes(floats s)
{
    typedef float eight __attribute__((vector_size(32)));
    typedef float four __attribute__((vector_size(16)));
    eight a = __builtin_shufflevector(s, s, 0, 1, 2, 3, 4, 5, 6, 7) +
              __builtin_shufflevector(s, s, 8, 9, 10, 11, 12, 13, 14, 15);
    four b = __builtin_shufflevector(a, a, 0, 1, 2, 3) + __builtin_shufflevector(a, a, 4, 5, 6, 7);
    b += __builtin_shufflevector(b, b, 2, 3, 0, 1);
    return b[0] + b[1];
}

INLINE float dot_floats(const float *a, const float *b, int64_t count)
{
    floats parts[2] = {{0}, {0}};
    int64_t i = 0;
    for (; i + 2 * WIDE <= count; i += 2 * WIDE)
        for (int h = 0; h < 2; ++h)
            parts[h] += *(const floats *)(a + i + h * WIDE) * *(const floats *)(b + i + h * WIDE);
    parts[0] += parts[1];
    float sum = add_lanes(parts[0]);
    for (; i < count; ++i)
        sum += a[i] * b[i];
    return sum;
}

/* Vectors of some images at one position; those of image g begin at v + g * stride. The last, which
 * is no whole vector, is taken with the values before it, which `tails` holds as zeros. */
typedef struct vectors {
    float *v, *tails, *u, *r;
    int64_t stride;
} vectors;

/* u[g][h] = w[h] . v[g] for `high` rows and `images` images at once: each load is used several
 * times. `ahead` is fetched meanwhile. A product's steps are the same in every tile. */
INLINE void product_tile(const vectors *x, int64_t row, const float *w, int64_t d, int high,
                         int images, int64_t ahead)
{
    floats sum[HIGH][IMAGES] = {{{0}}};
    int64_t c = 0;
    for (; c + WIDE <= d; c += WIDE)
        for (int h = 0; h < high; ++h) {
            floats values = *(const floats *)(w + h * d + c);
            if (h % 2 == 0)
                __builtin_prefetch(w + h * d + c + ahead, 0, 2);
            for (int g = 0; g < images; ++g)
                sum[h][g] += values * *(const floats *)(x->v + g * x->stride + c);
        }
    for (int h = 0; h < high; ++h)
        for (int g = 0; g < images; ++g) {
            float total = 0;
            if (d >= WIDE)
                sum[h][g] += *(const floats *)(w + h * d + d - WIDE) *
                             *(const floats *)(x->tails + g * WIDE);
            for (int64_t k = d < WIDE ? 0 : d; k < d; ++k)
                total += w[h * d + k] * x->v[g * x->stride + k];
            x->u[g * x->stride + row + h] = total + add_lanes(sum[h][g]);
        }
}

/* r = v - W^T u from column c on, `wide` vectors */
INLINE void residual_tile(const vectors *x, const float *w, int64_t n, int64_t d, int64_t c,
                          int wide, int images)
{
    floats rest[IMAGES][RESIDUALS];
    for (int g = 0; g < images; ++g)
        for (int k = 0; k < wide; ++k)
            rest[g][k] = *(const floats *)(x->v + g * x->stride + c + k * WIDE);
    for (int64_t i = 0; i < n; ++i)
        for (int k = 0; k < wide; ++k) {
            floats values = *(const floats *)(w + i * d + c + k * WIDE);
            if (i % 2)
                __builtin_prefetch(w + (n + i) * d + c + k * WIDE, 0, 2);
            for (int g = 0; g < images; ++g)
                rest[g][k] -= x->u[g * x->stride + i] * values;
        }
    for (int g = 0; g < images; ++g)
        for (int k = 0; k < wide; ++k)
            *(floats *)(x->r + g * x->stride + c + k * WIDE) = rest[g][k];
}

INLINE void residuals(const vectors *x, const float *w, int64_t n, int64_t d, int images)
{
    int64_t c = 0;
    for (; c + RESIDUALS * WIDE <= d; c += RESIDUALS * WIDE)
        residual_tile(x, w, n, d, c, RESIDUALS, images);
    for (; c + WIDE <= d; c += WIDE)
        residual_tile(x, w, n, d, c, 1, images);
    if (c < d && d >= WIDE)
        residual_tile(x, w, n, d, d - WIDE, 1, images);
    for (int g = 0; g < images && d < WIDE; ++g)
        for (int64_t k = 0; k < d; ++k) {
            float rest = x->v[g * x->stride + k];
            for (int64_t i = 0; i < n; ++i)
                rest -= x->u[g * x->stride + i] * w[i * d + k];
            x->r[g * x->stride + k] = rest;
        }
}

INLINE void few_rows_tile(double *squares, const vectors *x, const float *w, const float *l,
                          int64_t n, int64_t d, double epsilon, int images)
{
    int64_t i = 0;
    for (int g = 0; g < images; ++g)
        for (int64_t k = 0; k < WIDE && d >= WIDE; ++k)
            x->tails[g * WIDE + k] = k < WIDE - d % WIDE ? 0 : x->v[g * x->stride + d - WIDE + k];
    for (; i + HIGH <= n; i += HIGH)
        product_tile(x, i, w + i * d, d, HIGH, images, n * d);
    for (; i < n; ++i)
        product_tile(x, i, w + i * d, d, 1, images, n * d);
    residuals(x, w, n, d, images);
    for (i = n - 1; i >= 0; --i) /* u becomes L^-T u */
        for (int g = 0; g < images; ++g) {
            float *u = x->u + g * x->stride;
            u[i] /= l[i * n + i];
            for (int64_t j = 0; j < i; ++j)
                u[j] -= l[i * n + j] * u[i];
        }
    for (int g = 0; g < images; ++g) {
        const float *r = x->r + g * x->stride, *u = x->u + g * x->stride;
        squares[g] = (double)dot_floats(r, r, d) / epsilon + (double)dot_floats(u, u, n);
    }
}

/* As many images as there are, at most IMAGES. */
CLONES static void few_rows_squares(double *squares, const vectors *x, const float *w,
                                    const float *l, int64_t n, int64_t d, double epsilon,
                                    int images)
{
    if (images == IMAGES)
        few_rows_tile(squares, x, w, l, n, d, epsilon, IMAGES);
    for (int g = 0; g < images && images < IMAGES; ++g) {
        int64_t to = g * x->stride;
        vectors one = {x->v + to, x->tails, x->u + to, x->r + to, x->stride};
        few_rows_tile(squares + g, &one, w, l, n, d, epsilon, 1);
    }
}

CLONES static double many_rows_square(float *v, const float *l, int64_t d)
{
    for (int64_t i = 0; i < d; ++i) /* v becomes L^-1 v */
        v[i] = (v[i] - dot_floats(l + i * d, v, i)) / l[i * d + i];
    return (double)dot_floats(v, v, d);
}

CLONES static void subtract(float *v, const float *mean, int64_t count)
{
    for (int64_t c = 0; c < count; ++c)
        v[c] -= mean[c];
}

typedef struct distance_job {
    const position_vectors *source;
    const float *mean, *root, *projection;
    int64_t positions, n, d;
    double epsilon;
    float *out;
    atomic_bool starved;
} distance_job;

/* One position, whose vectors of all images begin at x->v. */
static void measure(const distance_job *job, int64_t p, const vectors *x)
{
    int64_t n = job->n, d = job->d, side = job->projection ? n : d, batch = job->source->batch;
    const float *root = job->root + p * side * side;
    for (int64_t b = 0; b < batch; b += IMAGES) {
        int images = batch - b < IMAGES ? (int)(batch - b) : IMAGES;
        double squares[IMAGES];
        vectors some = *x;
        some.v += b * d;
        for (int g = 0; g < images; ++g) {
            subtract(some.v + g * d, job->mean + p * d, d);
            if (!job->projection)
                squares[g] = many_rows_square(some.v + g * d, root, d);
        }
        if (job->projection)
            few_rows_squares(squares, &some, job->projection + p * n * d, root, n, d, job->epsilon,
                             images);
        for (int g = 0; g < images; ++g)
            job->out[(b + g) * job->positions + p] = (float)sqrt(squares[g]);
    }
}

static void measure_some(void *context, size_t begin, size_t end)
{
    distance_job *job = context;
    int64_t d = job->d, room = IMAGES * (d > job->n ? d : job->n);
    int64_t all = job->source->batch * d;
    float *memory = malloc((size_t)(all + 2 * room + IMAGES * WIDE) * sizeof *memory);
    if (!memory)
        atomic_store(&job->starved, true);
    vectors x = {memory, NULL, NULL, NULL, d};
    if (memory) {
        x.u = memory + all;
        x.r = x.u + room;
        x.tails = x.r + room;
    }
    for (int64_t p = (int64_t)begin; memory && p < (int64_t)end; ++p) {
        job->source->read(x.v, job->source->context, p);
        measure(job, p, &x);
    }
    free(memory);
}

tensor *gaussians_distances_from(const position_gaussians *g, const position_vectors *source)
{
    int64_t positions = t_size(g->mean, 0);
    tensor *out = t_zeros(2, (int64_t[]){source->batch, positions}, F32, CPU);
    distance_job job = {source,
                        t_data(g->mean),
                        t_data(g->root),
                        g->projection ? t_data(g->projection) : NULL,
                        positions,
                        g->projection ? t_size(g->projection, 1) : 0,
                        t_size(g->mean, 2),
                        g->epsilon,
                        t_data(out),
                        false};
    if (t_failed())
        return NULL;
    parallel_for((size_t)positions, GRAIN, measure_some, &job);
    return atomic_load(&job.starved)
               ? t_fail(IMIAD_NO_MEMORY, "out of memory: distances of %lld positions",
                        (long long)positions)
               : out;
}

typedef struct rows {
    const float *x;
    size_t count; /* floats of a position */
} rows;

static void read_rows(float *out, const void *context, int64_t position)
{
    const rows *r = context;
    memcpy(out, r->x + (size_t)position * r->count, r->count * sizeof *out);
}

tensor *gaussians_distances_host(const position_gaussians *g, tensor *x)
{
    rows r = {t_data(t_contiguous(t_to(x, F32))), (size_t)(t_size(x, 1) * t_size(x, 2))};
    if (t_failed())
        return NULL;
    return gaussians_distances_from(g, &(position_vectors){t_size(x, 1), read_rows, &r});
}
