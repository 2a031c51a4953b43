/* Greedy k-center as PatchCore's official code runs it, without any short cut. */
#include "bank/coreset.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/threads.h"

enum { PIECE = 2048, PICKS_PER_REPORT = 256 };

/* What one piece of rows found: its largest distance and the first row that has it. */
typedef struct best {
    float distance;
    size_t row;
} best;

typedef struct pass {
    point_set points;
    const void *pick; /* NULL in the first pass, which only looks */
    float *distances;
    best *found; /* per piece */
    const kernels *kernels;
} pass;

static void lower_and_look(void *context, size_t begin, size_t end)
{
    pass *p = context;
    best b = {-1, begin};
    for (size_t i = begin; i < end; ++i) {
        float fresh = INFINITY;
        if (p->pick)
            fresh = sqrtf(p->kernels->distance_between[p->points.storage](
                p->pick, point_row(&p->points, i), p->points.columns));
        if (fresh < p->distances[i])
            p->distances[i] = fresh;
        if (p->distances[i] > b.distance)
            b = (best){p->distances[i], i};
    }
    p->found[begin / PIECE] = b;
}

static size_t first_maximum(const best *found, size_t pieces)
{
    best b = found[0];
    for (size_t i = 1; i < pieces; ++i)
        if (found[i].distance > b.distance)
            b = found[i];
    return b.row;
}

imiad_status greedy_plain(int64_t *picks, size_t wanted, point_set points, float *distances,
                          const kernels *k, const progress *p)
{
    size_t pieces = (points.count + PIECE - 1) / PIECE;
    best *found = malloc(pieces * sizeof *found);
    if (!found)
        return fail_memory("the coreset selection", pieces * sizeof *found);
    pass state = {points, NULL, distances, found, k};
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; i < wanted && status == IMIAD_OK; ++i) {
        parallel_for(points.count, PIECE, lower_and_look, &state);
        size_t row = first_maximum(found, pieces);
        picks[i] = (int64_t)row;
        state.pick = point_row(&points, row);
        if (i % PICKS_PER_REPORT == 0)
            status = progress_report(p, "coreset", (int64_t)i, (int64_t)wanted);
    }
    free(found);
    return status;
}
