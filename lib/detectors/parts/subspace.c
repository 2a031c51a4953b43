#include "detectors/parts/subspace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clones.h"
#include "base/error.h"
#include "base/threads.h"

/* ---- the scatter, on the CPU ---- */

enum {
    LANES = 8,
    VECTORS = 3,
    WIDE = VECTORS * LANES, /* columns of a tile, whose sums stay in registers */
    HIGH = 6,               /* rows of a tile */
    SPAN = 256,             /* vectors between two looks at the sums: they stay in the cache */
    GRAIN = 8               /* rows of tiles of a piece of work */
};
typedef double doubles __attribute__((vector_size(LANES * 8), aligned(8), may_alias));

typedef struct scatter_job {
    double *scatter;
    const double *rows; /* count x pitch, centred; zeros behind the columns */
    int64_t count, columns, pitch;
} scatter_job;

/* The products of columns i.. and j.. over some of the rows. */
CLONES static void add_tile(const scatter_job *job, int64_t i, int64_t j, int64_t begin,
                            int64_t end)
{
    doubles sums[HIGH][VECTORS] = {{{0}}};
    for (int64_t r = begin; r < end; ++r) {
        const double *row = job->rows + r * job->pitch;
        for (int h = 0; h < HIGH; ++h)
            for (int v = 0; v < VECTORS; ++v)
                sums[h][v] += row[i + h] * *(const doubles *)(row + j + v * LANES);
    }
    for (int h = 0; h < HIGH && i + h < job->columns; ++h)
        for (int w = 0; w < WIDE && j + w <= i + h; ++w)
            job->scatter[(i + h) * job->columns + j + w] += sums[h][w / LANES][w % LANES];
}

static void add_tiles(void *context, size_t begin, size_t end)
{
    const scatter_job *job = context;
    for (int64_t first = 0; first < job->count; first += SPAN) {
        int64_t last = first + SPAN < job->count ? first + SPAN : job->count;
        for (int64_t i = (int64_t)begin * HIGH; i < (int64_t)end * HIGH; i += HIGH)
            for (int64_t j = 0; j < i + HIGH && j < job->columns; j += WIDE)
                add_tile(job, i, j, first, last);
    }
}

/* Their mean, and the rows without it. */
static void centre(double *centred, double *mean, const float *rows, const scatter_job *job)
{
    memset(mean, 0, (size_t)job->columns * sizeof *mean);
    for (int64_t r = 0; r < job->count; ++r)
        for (int64_t c = 0; c < job->columns; ++c)
            mean[c] += (double)rows[r * job->columns + c];
    for (int64_t c = 0; c < job->columns; ++c)
        mean[c] /= (double)job->count;
    for (int64_t r = 0; r < job->count; ++r)
        for (int64_t c = 0; c < job->columns; ++c)
            centred[r * job->pitch + c] = (double)rows[r * job->columns + c] - mean[c];
}

static void measure_host(double *scatter, double *mean, const float *rows, int64_t count,
                         int64_t columns)
{
    int64_t pitch = (columns + WIDE + HIGH) / LANES * LANES + LANES;
    size_t bytes = (size_t)(count * pitch) * sizeof(double);
    double *centred = calloc(1, bytes);
    if (!centred) {
        t_fail(IMIAD_NO_MEMORY, "out of memory: %zu bytes for centred rows", bytes);
        return;
    }
    scatter_job job = {scatter, centred, count, columns, pitch};
    centre(centred, mean, rows, &job);
    parallel_for((size_t)((columns + HIGH - 1) / HIGH), GRAIN, add_tiles, &job);
    free(centred);
}

/* ---- moments ---- */

static moments moments_of(tensor *rows)
{
    int64_t count = t_size(rows, 0), columns = t_size(rows, 1);
    device d = t_failed() ? CPU : t_device(rows);
    moments m = {.count = count};
    if (d.cuda) {
        tensor *exact = t_to(rows, F64);
        m.mean = t_mean(exact, 0, false);
        exact = t_sub(exact, m.mean);
        m.scatter = t_matmul(t_transpose(exact, 0, 1), exact);
        return m;
    }
    m.mean = t_zeros(1, &columns, F64, CPU);
    m.scatter = t_zeros(2, (int64_t[]){columns, columns}, F64, CPU);
    const float *values = t_data(t_contiguous(rows));
    double *mean = t_data(m.mean), *scatter = t_data(m.scatter);
    if (!t_failed())
        measure_host(scatter, mean, values, count, columns);
    return m;
}

/* Chan, Golub, LeVeque: what the distance of the means adds to the scatter. */
void moments_merge(moments *m, const moments *other)
{
    if (!m->mean) {
        tensor *mean = t_clone(other->mean), *scatter = t_clone(other->scatter);
        if (!t_failed())
            *m = (moments){other->count, t_keep(mean), t_keep(scatter)};
        return;
    }
    double before = (double)m->count, added = (double)other->count, all = before + added;
    tensor *apart = t_sub(other->mean, m->mean);
    t_add_(m->scatter, other->scatter, 1);
    t_add_(m->scatter, t_mul(t_unsqueeze(apart, 1), t_unsqueeze(apart, 0)), before * added / all);
    t_add_(m->mean, apart, added / all);
    m->count += other->count;
}

void moments_add(moments *m, tensor *rows)
{
    scope s = scope_begin();
    const moments more = moments_of(rows);
    if (!t_failed())
        moments_merge(m, &more);
    scope_return(&s, NULL);
}

void moments_free(moments *m)
{
    t_free(m->mean);
    t_free(m->scatter);
    *m = (moments){0};
}

static const char *const names[] = {"moments.count", "moments.mean", "moments.scatter"};

imiad_status moments_save(const moments *m, weights_writer *writer)
{
    TRY(weights_writer_add(writer, names[0], I64, 0, NULL, &m->count));
    TRY(weights_writer_add_tensor(writer, names[1], m->mean));
    return weights_writer_add_tensor(writer, names[2], m->scatter);
}

imiad_status moments_load(moments *out, int64_t columns, const weights *file, device d)
{
    const weight *count;
    TRY(weights_expect(&count, file, names[0], I64, 0, NULL));
    TRY(weights_expect(NULL, file, names[1], F64, 1, &columns));
    TRY(weights_expect(NULL, file, names[2], F64, 2, (int64_t[]){columns, columns}));
    memcpy(&out->count, count->data, sizeof out->count);
    if (out->count < 1)
        return fail(IMIAD_FORMAT, "moments of %lld rows", (long long)out->count);
    TRY(weights_load_tensor(&out->mean, file, names[1], d));
    return weights_load_tensor(&out->scatter, file, names[2], d);
}

/* ---- the subspace ---- */

int64_t components_for_share(const double *variances, int64_t columns, double share)
{
    double total = 0, sum = 0;
    for (int64_t i = 0; i < columns; ++i)
        total += variances[i];
    for (int64_t i = 0; i < columns; ++i) {
        sum += variances[i];
        if (sum / total >= share)
            return i + 1;
    }
    return columns;
}

static imiad_status refuse_all(int64_t columns, double share, int64_t wanted)
{
    if (wanted > 0)
        return fail(IMIAD_OUT_OF_RANGE,
                    "%lld components of %lld values a position leave nothing outside: keep fewer",
                    (long long)wanted, (long long)columns);
    return fail(IMIAD_OUT_OF_RANGE,
                "a share of %.17g of the variance keeps all %lld directions, so that nothing is "
                "left outside: lower it",
                share, (long long)columns);
}

/* What is kept of the falling variances and their directions, columns x columns, on the CPU. */
static imiad_status cut(subspace *out, const moments *m, tensor *variances, tensor *directions,
                        double share, int64_t wanted)
{
    int64_t columns = t_size(directions, 0);
    const double *values = t_data(variances);
    if (t_failed())
        return IMIAD_OK;
    bool flat = !(values[0] > 0);
    int64_t kept = flat ? 1 : wanted > 0 ? wanted : components_for_share(values, columns, share);
    if (!flat && kept >= columns)
        return refuse_all(columns, share, wanted);
    tensor *components = t_slice(directions, 1, 0, kept);
    out->mean = m->mean;
    out->components = flat ? t_mul_scalar(components, 0) : components;
    out->variances = t_slice(variances, 0, 0, kept);
    if (!flat && columns - kept < kept)
        out->complement = t_slice(directions, 1, kept, columns);
    return IMIAD_OK;
}

/* float32, on the device, out of the scope. */
static tensor *keep_on(tensor *t, device d)
{
    return t ? t_keep(t_clone(t_contiguous(t_to_device(t_to(t, F32), d)))) : NULL;
}

/* The decomposition is LAPACK's on the CPU wherever the rows are. */
tensor *moments_components(const moments *m, tensor **directions)
{
    tensor *covariance =
        t_div_scalar(t_to_device(m->scatter, CPU), m->count > 1 ? (double)(m->count - 1) : 1.0);
    tensor *variances = t_contiguous(t_flip(t_eigh(covariance, directions), 0));
    *directions = t_flip(*directions, 1);
    return variances;
}

imiad_status subspace_find(subspace *out, const moments *m, double share, int64_t wanted)
{
    scope s = scope_begin();
    device d = t_device(m->mean);
    tensor *directions = NULL, *variances = moments_components(m, &directions);
    subspace found = {NULL};
    imiad_status status = cut(&found, m, variances, directions, share, wanted);
    if (status == IMIAD_OK)
        *out = (subspace){keep_on(found.mean, d), keep_on(found.components, d),
                          keep_on(found.variances, d), keep_on(found.complement, d)};
    imiad_status failure = scope_end(&s);
    if (failure != IMIAD_OK)
        subspace_free(out);
    return failure != IMIAD_OK ? failure : status;
}

void subspace_free(subspace *s)
{
    t_free(s->mean);
    t_free(s->components);
    t_free(s->variances);
    t_free(s->complement);
    *s = (subspace){NULL};
}

/* ---- distances ---- */

static const double epsilon = 1e-6; /* the authors': keeps a division from zero */

static tensor *centred(const subspace *s, tensor *rows)
{
    return t_sub(rows, s->mean);
}

/* columns x those that count; NULL where none is left. */
static tensor *without_first(tensor *t, int dim, int64_t drop)
{
    int64_t count = t_size(t, dim);
    return drop < count ? t_slice(t, dim, drop, count) : NULL;
}

static tensor *lengths(tensor *rows)
{
    return t_sum(t_square(rows), 1, false);
}

/* The part within the subspace, from the mean; zeros where no component is left. */
static tensor *within(const subspace *s, tensor *from_mean, int64_t drop)
{
    tensor *axes = without_first(s->components, 1, drop);
    return axes ? t_matmul(t_matmul(from_mean, axes), t_contiguous(t_transpose(axes, 0, 1)))
                : t_mul_scalar(from_mean, 0);
}

tensor *subspace_residual_explicit(const subspace *s, tensor *rows, int64_t drop)
{
    tensor *from_mean = centred(s, rows);
    return lengths(t_sub(from_mean, within(s, from_mean, drop)));
}

tensor *subspace_residual(const subspace *s, tensor *rows, int64_t drop)
{
    if (!s->complement || drop > 0)
        return subspace_residual_explicit(s, rows, drop);
    return lengths(t_matmul(centred(s, rows), s->complement));
}

/* The coordinates of the components that count. */
static tensor *coordinates(const subspace *s, tensor *rows, int64_t drop)
{
    tensor *axes = without_first(s->components, 1, drop);
    return axes ? t_matmul(centred(s, rows), axes) : t_mul_scalar(t_slice(rows, 1, 0, 1), 0);
}

tensor *subspace_energy(const subspace *s, tensor *rows, int64_t drop)
{
    return lengths(coordinates(s, rows, drop));
}

tensor *subspace_mahalanobis(const subspace *s, tensor *rows, int64_t drop)
{
    tensor *squares = t_square(coordinates(s, rows, drop)),
           *variances = without_first(s->variances, 0, drop);
    return t_sum(variances ? t_div(squares, t_add_scalar(variances, epsilon)) : squares, 1, false);
}

static tensor *to_unit(tensor *rows)
{
    return t_div(rows, t_add_scalar(t_norm(rows, 2, 1, true), epsilon));
}

tensor *subspace_cosine(const subspace *s, tensor *rows, int64_t drop)
{
    tensor *nearest = t_add(within(s, centred(s, rows), drop), s->mean);
    tensor *cosine = t_sum(t_mul(to_unit(rows), to_unit(nearest)), 1, false);
    return t_add_scalar(t_neg(t_clamp(cosine, -1, 1)), 1);
}
