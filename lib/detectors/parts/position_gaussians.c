#include "detectors/parts/position_gaussians.h"

#include <math.h>

#include "base/error.h"

static bool on_host(const tensor *t)
{
    return !t_device(t).cuda && t_type(t) == F32;
}

bool gaussians_on_host(const position_gaussians *g)
{
    return on_host(g->mean);
}

enum { BLOCK_BYTES = 32 << 20 }; /* of one double matrix of a block of positions */

static bool few_rows(int64_t n, int64_t d)
{
    return n * d + n * n <= d * d;
}

static int64_t root_side(int64_t n, int64_t d)
{
    return few_rows(n, d) ? n : d;
}

uint64_t gaussians_bytes(int64_t positions, int64_t n, int64_t d, size_t type_bytes)
{
    int64_t side = root_side(n, d);
    return (uint64_t)positions * (uint64_t)(n * d + side * side + d) * type_bytes;
}

void gaussians_free(position_gaussians *g)
{
    t_free(g->mean);
    t_free(g->root);
    t_free(g->projection);
    *g = (position_gaussians){.epsilon = g->epsilon};
}

/* Positions begin..end-1. In the few-rows form the projection takes the place of the rows. */
static void fit_block(position_gaussians *g, tensor *rows, int64_t begin, int64_t end)
{
    int64_t n = t_size(rows, 1), d = t_size(rows, 2);
    tensor *block = t_slice(rows, 0, begin, end);
    tensor *x = t_to(block, F64);
    tensor *mean = t_mean(x, 1, true);
    t_copy_(t_slice(g->mean, 0, begin, end), mean);
    tensor *a = t_div_scalar(t_sub(x, mean), sqrt(n > 1 ? (double)(n - 1) : 1.0));
    tensor *transposed = t_transpose(a, 1, 2);
    tensor *scatter = few_rows(n, d) ? t_bmm(a, transposed) : t_bmm(transposed, a);
    tensor *ridge = t_mul_scalar(t_eye(root_side(n, d), F64, t_device(rows)), g->epsilon);
    tensor *root = t_cholesky(t_add(scatter, ridge));
    t_copy_(t_slice(g->root, 0, begin, end), root);
    if (few_rows(n, d))
        t_copy_(block, t_solve_triangular(root, a, false));
}

static imiad_status fit_blocks(position_gaussians *g, tensor *rows, const progress *p)
{
    int64_t positions = t_size(rows, 0), n = t_size(rows, 1), d = t_size(rows, 2);
    int64_t side = root_side(n, d), largest = n * d > side * side ? n * d : side * side;
    int64_t block = BLOCK_BYTES / (largest * (int64_t)sizeof(double)) + 1;
    for (int64_t begin = 0; begin < positions; begin += block) {
        int64_t end = begin + block < positions ? begin + block : positions;
        scope s = scope_begin();
        if (on_host(rows))
            gaussians_fit_host(g, rows, few_rows(n, d), begin, end);
        else
            fit_block(g, rows, begin, end);
        TRY(scope_end(&s));
        TRY(progress_report(p, "covariances", end, positions));
    }
    return IMIAD_OK;
}

imiad_status gaussians_fit(position_gaussians *out, tensor *rows, const progress *p)
{
    int64_t positions = t_size(rows, 0), n = t_size(rows, 1), d = t_size(rows, 2);
    int64_t side = root_side(n, d);
    position_gaussians g = {.epsilon = out->epsilon};
    scope s = scope_begin();
    tensor *mean = t_zeros(3, (int64_t[]){positions, 1, d}, t_type(rows), t_device(rows));
    tensor *root = t_zeros(3, (int64_t[]){positions, side, side}, t_type(rows), t_device(rows));
    if (!t_failed()) {
        g.mean = t_keep(mean);
        g.root = t_keep(root);
    }
    imiad_status status = scope_end(&s);
    if (status == IMIAD_OK)
        status = fit_blocks(&g, rows, p);
    if (status == IMIAD_OK && few_rows(n, d))
        g.projection = rows;
    else
        t_free(rows);
    if (status != IMIAD_OK) {
        gaussians_free(&g);
        return status;
    }
    *out = g;
    return IMIAD_OK;
}

tensor *gaussians_distances(const position_gaussians *g, tensor *x)
{
    if (gaussians_on_host(g))
        return gaussians_distances_host(g, x);
    tensor *v = t_contiguous(t_sub(t_to(x, t_type(g->mean)), g->mean)); /* positions, batch, d */
    tensor *squares;
    if (g->projection) {
        tensor *u = t_bmm(v, t_transpose(g->projection, 1, 2)); /* positions, batch, n */
        tensor *r = t_sub(v, t_bmm(u, g->projection));
        tensor *y = t_solve_triangular(t_transpose(g->root, 1, 2), t_transpose(u, 1, 2), true);
        squares = t_add(t_div_scalar(t_sum(t_square(r), 2, false), g->epsilon),
                        t_sum(t_square(y), 1, false));
    } else {
        tensor *z = t_solve_triangular(g->root, t_transpose(v, 1, 2), false);
        squares = t_sum(t_square(z), 1, false);
    }
    return t_contiguous(t_transpose(t_sqrt(squares), 0, 1));
}
