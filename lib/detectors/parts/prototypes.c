#include "detectors/parts/prototypes.h"

#include <stdlib.h>

#include "base/error.h"

/* Of every map from one prototype, squared: n. Never all pairs at once, which would be as many
 * copies of the maps as there are prototypes. */
static tensor *distances_from(tensor *prototype, tensor *maps)
{
    scope s = scope_begin();
    tensor *squares = t_square(t_sub(maps, prototype));
    return scope_return(&s, t_sum(t_flatten(squares, 1, 3), 1, false));
}

tensor *nearest_prototypes(tensor *prototypes, tensor *maps)
{
    scope s = scope_begin();
    int64_t count = t_size(prototypes, 0);
    tensor **distances = calloc((size_t)count + 1, sizeof(tensor *)), *nearest = NULL;
    if (!distances)
        t_try(fail_memory("distances from prototypes", (size_t)count * sizeof(tensor *)));
    for (int64_t k = 0; distances && k < count; ++k)
        distances[k] = distances_from(t_slice(prototypes, 0, k, k + 1), maps);
    if (distances)
        nearest = t_argmin(t_stack(distances, (int)count, 1), 1);
    free(distances);
    return scope_return(&s, nearest);
}

tensor *prototype_residuals(tensor *prototypes, tensor *maps)
{
    scope s = scope_begin();
    tensor *own = t_index_select(prototypes, 0, nearest_prototypes(prototypes, maps));
    return scope_return(&s, t_square(t_sub(maps, own)));
}
