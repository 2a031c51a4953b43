#include "detectors/parts/foreground.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "detectors/parts/subspace.h"

/* ---- the component ---- */

/* The sign in which the largest score is positive. */
static double sign_of(const double *scores, int64_t count)
{
    int64_t largest = 0;
    for (int64_t i = 1; i < count; ++i)
        if (fabs(scores[i]) > fabs(scores[largest]))
            largest = i;
    return scores[largest] < 0 ? -1 : 1;
}

tensor *foreground_component(tensor *tokens)
{
    int64_t count = t_size(tokens, 0), columns = t_size(tokens, 1);
    tensor *rows = t_to_device(tokens, CPU), *directions = NULL;
    moments m = {0};
    moments_add(&m, rows);
    if (t_failed())
        return NULL;
    t_eigh(m.scatter, &directions);
    tensor *first = t_slice(directions, 1, columns - 1, columns);
    tensor *scores = t_contiguous(t_matmul(t_sub(t_to(rows, F64), m.mean), first));
    double *values = t_data(scores);
    moments_free(&m);
    if (!values)
        return NULL;
    double sign = sign_of(values, count);
    for (int64_t i = 0; i < count; ++i)
        values[i] *= sign;
    return scores;
}

/* ---- the object ---- */

typedef struct grid {
    int64_t height, width;
} grid;

static bool is_small_in_the_middle(const bool *mask, grid g)
{
    int64_t found = 0, all = 0;
    for (int64_t y = (int64_t)((double)g.height * 0.2); y < (int64_t)((double)g.height * 0.8); ++y)
        for (int64_t x = (int64_t)((double)g.width * 0.2); x < (int64_t)((double)g.width * 0.8);
             ++x, ++all)
            found += mask[y * g.width + x];
    return (double)found <= (double)all * 0.35;
}

/* Whether a place or one of its neighbours, those outside left out, is `wanted`. */
static bool is_near(const bool *mask, grid g, int64_t y, int64_t x, bool wanted)
{
    for (int64_t v = y - 1; v <= y + 1; ++v)
        for (int64_t u = x - 1; u <= x + 1; ++u)
            if (v >= 0 && v < g.height && u >= 0 && u < g.width && mask[v * g.width + u] == wanted)
                return true;
    return false;
}

/* Each place and its neighbours become `wanted` where one of them is. */
static void grow(bool *mask, bool *before, grid g, bool wanted)
{
    memcpy(before, mask, (size_t)(g.height * g.width) * sizeof *mask);
    for (int64_t y = 0; y < g.height; ++y)
        for (int64_t x = 0; x < g.width; ++x)
            mask[y * g.width + x] = is_near(before, g, y, x, wanted) == wanted;
}

void foreground_of_scores(bool *out, const double *scores, int64_t height, int64_t width,
                          const foreground_rule *rule)
{
    int64_t count = height * width;
    grid whole = {height, width}, g = rule->raster ? (grid){count, 1} : whole;
    bool *before = malloc((size_t)count * sizeof *before);
    if (!before) {
        t_fail(IMIAD_NO_MEMORY, "out of memory: the foreground of %lld places", (long long)count);
        return;
    }
    for (int64_t i = 0; i < count; ++i)
        out[i] = scores[i] > rule->threshold;
    if (is_small_in_the_middle(out, whole))
        for (int64_t i = 0; i < count; ++i)
            out[i] = -scores[i] > rule->threshold;
    grow(out, before, g, true);
    grow(out, before, g, true);
    grow(out, before, g, false);
    free(before);
}

void foreground_find(bool *out, tensor *tokens, int64_t height, int64_t width,
                     const foreground_rule *rule)
{
    const double *scores = t_data(foreground_component(tokens));
    if (scores)
        foreground_of_scores(out, scores, height, width, rule);
}
