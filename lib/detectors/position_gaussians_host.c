/* position_gaussians.h on the CPU in float32: one position at a time, whose matrices stay in the
 * cache, and positions in parallel. Every position and image takes the same steps in the same order
 * whatever the batch and the number of threads. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/threads.h"
#include "detectors/position_gaussians.h"

#define CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#define INLINE static inline __attribute__((always_inline))

enum {
    LANES = 8,
    WIDE = 16,
    HIGH = 4, /* rows that share a load */
    GRAIN = 8 /* positions of a piece of work */
};
typedef double doubles __attribute__((vector_size(LANES * 8), aligned(8), may_alias));
typedef float floats __attribute__((vector_size(WIDE * 4), aligned(4), may_alias));

/* ---- fit ---- */

INLINE double dot(const double *a, const double *b, int64_t count)
{
    doubles parts = {0};
    double sum = 0;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES)
        parts += *(const doubles *)(a + i) * *(const doubles *)(b + i);
    for (int l = 0; l < LANES; ++l)
        sum += parts[l];
    for (; i < count; ++i)
        sum += a[i] * b[i];
    return sum;
}

/* The lower triangle of m m^T, m of `side` rows of `length`, a multiple of LANES, with HIGH - 1
 * rows of anything behind it. HIGH rows share each load. */
CLONES static void gram(double *out, const double *m, int64_t side, int64_t length)
{
    for (int64_t i = 0; i < side; i += HIGH)
        for (int64_t j = 0; j < side && j < i + HIGH; ++j) {
            doubles parts[HIGH] = {{0}};
            for (int64_t c = 0; c < length; c += LANES) {
                doubles other = *(const doubles *)(m + j * length + c);
                for (int h = 0; h < HIGH; ++h)
                    parts[h] += *(const doubles *)(m + (i + h) * length + c) * other;
            }
            for (int h = 0; h < HIGH && i + h < side; ++h) {
                double sum = 0;
                for (int l = 0; l < LANES; ++l)
                    sum += parts[h][l];
                if (j <= i + h)
                    out[(i + h) * side + j] = sum;
            }
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

/* a, side x length, becomes L^-1 a. */
CLONES static void solve(double *a, const double *l, int64_t side, int64_t length)
{
    for (int64_t i = 0; i < side; ++i) {
        double *row = a + i * length;
        const double *weights = l + i * side;
        int64_t j = 0;
        for (; j + HIGH <= i; j += HIGH) {
            const double *w = a + j * length;
            for (int64_t c = 0; c < length; ++c)
                row[c] -= weights[j] * w[c] + weights[j + 1] * w[length + c] +
                          weights[j + 2] * w[2 * length + c] + weights[j + 3] * w[3 * length + c];
        }
        for (; j < i; ++j)
            for (int64_t c = 0; c < length; ++c)
                row[c] -= weights[j] * a[j * length + c];
        for (int64_t c = 0; c < length; ++c)
            row[c] /= weights[i];
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
static void centre(double *m, float *mean, const fit_job *job, const float *rows, int64_t length)
{
    double scale = 1 / sqrt(job->n > 1 ? (double)(job->n - 1) : 1.0);
    memset(m, 0, (size_t)((job->few ? job->n : job->d) * length) * sizeof *m);
    for (int64_t c = 0; c < job->d; ++c) {
        double sum = 0;
        for (int64_t i = 0; i < job->n; ++i)
            sum += (double)rows[i * job->d + c];
        mean[c] = (float)(sum / (double)job->n);
        for (int64_t i = 0; i < job->n; ++i)
            m[job->few ? i * length + c : c * length + i] =
                ((double)rows[i * job->d + c] - sum / (double)job->n) * scale;
    }
}

static void fit_position(fit_job *job, size_t p, double *m, double *k)
{
    int64_t n = job->n, d = job->d, side = job->few ? n : d;
    int64_t length = ((job->few ? d : n) + LANES - 1) / LANES * LANES;
    float *rows = job->rows + p * (size_t)(n * d), *root = job->root + p * (size_t)(side * side);
    centre(m, job->mean + p * (size_t)d, job, rows, length);
    gram(k, m, side, length);
    for (int64_t i = 0; i < side; ++i)
        k[i * side + i] += job->epsilon;
    if (!factor(k, side))
        atomic_store(&job->trouble, IMIAD_NOT_FINITE);
    for (int64_t i = 0; i < side; ++i)
        for (int64_t j = 0; j <= i; ++j)
            root[i * side + j] = (float)k[i * side + j];
    if (!job->few)
        return;
    solve(m, k, side, length);
    for (int64_t i = 0; i < n; ++i)
        for (int64_t c = 0; c < d; ++c)
            rows[i * d + c] = (float)m[i * length + c];
}

static void fit_some(void *context, size_t begin, size_t end)
{
    fit_job *job = context;
    size_t side = (size_t)(job->few ? job->n : job->d);
    size_t length = (size_t)(job->few ? job->d : job->n) + LANES;
    double *m = calloc((side + HIGH) * length, sizeof *m), *k = malloc(side * side * sizeof *k);
    if (!m || !k)
        atomic_store(&job->trouble, IMIAD_NO_MEMORY);
    for (size_t p = begin; m && k && p < end; ++p)
        fit_position(job, job->first + p, m, k);
    free(m);
    free(k);
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

INLINE float dot_floats(const float *a, const float *b, int64_t count)
{
    floats parts[2] = {{0}, {0}};
    float sum = 0;
    int64_t i = 0;
    for (; i + 2 * WIDE <= count; i += 2 * WIDE)
        for (int h = 0; h < 2; ++h)
            parts[h] += *(const floats *)(a + i + h * WIDE) * *(const floats *)(b + i + h * WIDE);
    parts[0] += parts[1];
    for (int l = 0; l < WIDE; ++l)
        sum += parts[0][l];
    for (; i < count; ++i)
        sum += a[i] * b[i];
    return sum;
}

/* v: d values, overwritten; u: room for n. */
CLONES static double few_rows_square(float *v, float *u, const float *w, const float *l, int64_t n,
                                     int64_t d, double epsilon)
{
    for (int64_t i = 0; i < n; ++i)
        u[i] = dot_floats(w + i * d, v, d);
    int64_t i = 0;
    for (; i + HIGH <= n; i += HIGH) {
        const float *row = w + i * d;
        for (int64_t c = 0; c < d; ++c)
            v[c] -= u[i] * row[c] + u[i + 1] * row[d + c] + u[i + 2] * row[2 * d + c] +
                    u[i + 3] * row[3 * d + c];
    }
    for (; i < n; ++i)
        for (int64_t c = 0; c < d; ++c)
            v[c] -= u[i] * w[i * d + c];
    for (i = n - 1; i >= 0; --i) { /* u becomes L^-T u */
        const float *row = l + i * n;
        u[i] /= row[i];
        for (int64_t j = 0; j < i; ++j)
            u[j] -= row[j] * u[i];
    }
    return (double)dot_floats(v, v, d) / epsilon + (double)dot_floats(u, u, n);
}

CLONES static double many_rows_square(float *v, const float *l, int64_t d)
{
    for (int64_t i = 0; i < d; ++i) /* v becomes L^-1 v */
        v[i] = (v[i] - dot_floats(l + i * d, v, i)) / l[i * d + i];
    return (double)dot_floats(v, v, d);
}

typedef struct distance_job {
    const float *x, *mean, *root, *projection;
    int64_t positions, batch, n, d;
    double epsilon;
    float *out;
    atomic_bool starved;
} distance_job;

static void measure_some(void *context, size_t begin, size_t end)
{
    distance_job *job = context;
    int64_t n = job->n, d = job->d, side = job->projection ? n : d;
    float *v = malloc((size_t)(n + d) * sizeof *v);
    if (!v)
        atomic_store(&job->starved, true);
    for (int64_t p = (int64_t)begin; v && p < (int64_t)end; ++p) {
        const float *root = job->root + p * side * side;
        for (int64_t b = 0; b < job->batch; ++b) {
            const float *x = job->x + (p * job->batch + b) * d, *mean = job->mean + p * d;
            for (int64_t c = 0; c < d; ++c)
                v[c] = x[c] - mean[c];
            double square = job->projection ? few_rows_square(v, v + d, job->projection + p * n * d,
                                                              root, n, d, job->epsilon)
                                            : many_rows_square(v, root, d);
            job->out[b * job->positions + p] = (float)sqrt(square);
        }
    }
    free(v);
}

tensor *gaussians_distances_host(const position_gaussians *g, tensor *x)
{
    int64_t positions = t_size(x, 0), batch = t_size(x, 1);
    tensor *out = t_zeros(2, (int64_t[]){batch, positions}, F32, CPU);
    distance_job job = {t_data(t_contiguous(t_to(x, F32))),
                        t_data(g->mean),
                        t_data(g->root),
                        g->projection ? t_data(g->projection) : NULL,
                        positions,
                        batch,
                        g->projection ? t_size(g->projection, 1) : 0,
                        t_size(x, 2),
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
