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

imiad_status gaussians_load(position_gaussians *g, int64_t grid[2], const gaussians_shape *shape,
                            const weights *file)
{
    const weight *mean, *projection = NULL;
    const dtype type = shape->type;
    const int64_t d = shape->dimension;
    TRY(weights_expect(&mean, file, "mean", type, 3, (int64_t[]){ANY_SIZE, ANY_SIZE, d}));
    const int64_t positions = mean->shape[0] * mean->shape[1];
    if (weights_find(file, "projection"))
        TRY(weights_expect(&projection, file, "projection", type, 3,
                           (int64_t[]){positions, ANY_SIZE, d}));
    const int64_t rows = projection ? projection->shape[1] : d;
    TRY(weights_expect(NULL, file, "root", type, 3, (int64_t[]){positions, rows, rows}));
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
