/* The Gaussians of a grid in a detector's file. */
#include <string.h>

#include "base/error.h"
#include "detectors/parts/position_gaussians.h"

imiad_status gaussians_save(const position_gaussians *g, const int64_t grid[2],
                            weights_writer *writer)
{
    const int64_t shape[3] = {grid[0], grid[1], t_size(g->mean, 2)};
    TRY(weights_writer_add_tensor(writer, "mean", t_view(g->mean, 3, shape)));
    TRY(weights_writer_add_tensor(writer, "root", g->root));
    return g->projection ? weights_writer_add_tensor(writer, "projection", g->projection)
                         : IMIAD_OK;
}

static bool shaped(const weight *w, dtype type, int64_t d0, int64_t d1, int64_t d2)
{
    return w && w->type == type && w->rank == 3 && w->shape[0] == d0 && w->shape[1] == d1 &&
           w->shape[2] == d2;
}

imiad_status gaussians_load(position_gaussians *g, int64_t grid[2], const gaussians_shape *shape,
                            const weights *file)
{
    const weight *mean = weights_find(file, "mean"), *root = weights_find(file, "root");
    const weight *projection = weights_find(file, "projection");
    int64_t d = shape->dimension;
    if (!mean || mean->rank != 3 || !shaped(mean, shape->type, mean->shape[0], mean->shape[1], d))
        return fail(IMIAD_FORMAT, "no means of %lld channels", (long long)d);
    int64_t positions = mean->shape[0] * mean->shape[1];
    int64_t n = projection && projection->rank == 3 ? projection->shape[1] : 0;
    int64_t rows = projection ? n : d;
    if (!shaped(root, shape->type, positions, rows, rows) ||
        (projection && !shaped(projection, shape->type, positions, n, d)))
        return fail(IMIAD_FORMAT, "no covariances of %lld positions and %lld channels",
                    (long long)positions, (long long)d);
    memcpy(grid, mean->shape, 2 * sizeof *grid);
    TRY(weights_load_tensor(&g->root, file, "root", shape->device));
    if (projection)
        TRY(weights_load_tensor(&g->projection, file, "projection", shape->device));
    scope s = scope_begin();
    tensor *means = t_from(mean->data, 3, (int64_t[]){positions, 1, d}, shape->type, CPU);
    means = t_to_device(means, shape->device);
    if (!t_failed())
        g->mean = t_keep(means);
    return scope_end(&s);
}
