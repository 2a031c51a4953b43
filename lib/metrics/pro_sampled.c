/* The per-region-overlap area as MVTec 3D-AD's published evaluation samples it, and open-iad with
 * it: thresholds at `steps` equidistant ranks of the sorted normal scores, the false positive rate
 * of a threshold taken as 1 - (rank + 1) / N from its rank, the point (1, 1) added, trapezoids with
 * a straight line up to the limit. With ties among normal scores that rate is wrong; the variant
 * exists to compare with numbers made that way. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "metrics/pixels.h"

/* A pixel weighs 1/area of its region, in units of 2^-88: sums of at most 2^32 regions stay exact
 * whatever their order. */
enum { WEIGHT_BITS = 88 };

typedef struct overlap_sums {
    const uint32_t *thresholds; /* ascending */
    size_t steps, passed;
    const uint128 *weights; /* of a pixel of each region */
    uint128 *overlaps;      /* [j]: weight of the pixels above exactly the first j thresholds */
} overlap_sums;

static void add_groups(void *context, size_t lane, const tie_group *groups, size_t count,
                       const uint64_t *defects)
{
    overlap_sums *sums = context;
    for (size_t i = 0; i < count; ++i) {
        uint32_t key = score_key((float)groups[i].score);
        while (sums->passed < sums->steps && sums->thresholds[sums->passed] < key)
            sums->passed++;
        uint128 weight = 0;
        for (uint64_t j = 0; j < groups[i].positives; ++j)
            weight += sums->weights[defect_region(*defects++)];
        sums->overlaps[sums->passed] += weight;
    }
}

/* The points by ascending rate: x[0] is the rate of the highest threshold, the last one (1, 1). */
static void make_curve(double *x, double *y, const uint64_t *ranks, overlap_sums *sums,
                       uint64_t normals, size_t regions)
{
    uint128 above = 0;
    for (size_t i = 0; i < sums->steps; ++i) {
        size_t threshold = sums->steps - 1 - i;
        above += sums->overlaps[threshold + 1];
        x[i] = 1.0 - (double)(ranks[threshold] + 1) / (double)normals;
        y[i] = ldexp((double)above, -WEIGHT_BITS) / (double)regions;
    }
    x[sums->steps] = y[sums->steps] = 1.0;
}

static double area_below(const double *x, const double *y, size_t count, double limit)
{
    double area = 0;
    for (size_t i = 1; i < count && x[i - 1] < limit; ++i) {
        double end = fmin(x[i], limit), top = y[i];
        if (end < x[i])
            top = y[i - 1] + (y[i] - y[i - 1]) * (end - x[i - 1]) / (x[i] - x[i - 1]);
        area += 0.5 * (top + y[i - 1]) * (end - x[i - 1]);
    }
    return area;
}

/* Ranks as NumPy's linspace(0, N - 1, steps) cut to integers gives them. */
static void spread_ranks(uint64_t *ranks, size_t steps, uint64_t normals)
{
    double step = (double)(normals - 1) / (double)(steps - 1);
    for (size_t i = 0; i + 1 < steps; ++i)
        ranks[i] = (uint64_t)((double)i * step);
    ranks[steps - 1] = normals - 1;
}

imiad_status pro_area_sampled(double *out, pixel_store *store, double limit, int steps)
{
    size_t count = (size_t)steps, regions = store->region_count;
    uint64_t normals = score_set_total(store->normals);
    uint64_t *ranks = malloc(count * sizeof *ranks);
    uint32_t *thresholds = malloc(count * sizeof *thresholds);
    uint128 *overlaps = calloc(count + 1, sizeof *overlaps);
    uint128 *weights = malloc(regions * sizeof *weights);
    double *curve = malloc(2 * (count + 1) * sizeof *curve);
    imiad_status status =
        ranks && thresholds && overlaps && weights && curve
            ? IMIAD_OK
            : fail_memory("sampled thresholds", (count + regions) * sizeof *weights);
    if (status == IMIAD_OK) {
        spread_ranks(ranks, count, normals);
        for (size_t i = 0; i < regions; ++i)
            weights[i] = ((uint128)1 << WEIGHT_BITS) / store->areas[i];
        status = score_set_select(thresholds, store->normals, ranks, count);
    }
    overlap_sums sums = {thresholds, count, 0, weights, overlaps};
    if (status == IMIAD_OK)
        status = pixel_store_sweep(store, 1, add_groups, &sums);
    if (status == IMIAD_OK) {
        make_curve(curve, curve + count + 1, ranks, &sums, normals, regions);
        *out = area_below(curve, curve + count + 1, count + 1, limit) / limit;
    }
    free(ranks);
    free(thresholds);
    free(overlaps);
    free(weights);
    free(curve);
    return status;
}
