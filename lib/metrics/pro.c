/* The exact area under the per-region-overlap curve.
 *
 * Bergmann, Fauser, Sattlegger, Steger: "MVTec AD", CVPR 2019 and IJCV 2021. With R regions C_r,
 * N normal pixels and predictions s > t:
 *
 *     PRO(t) = (1/R) sum_r |{x in C_r: s(x) > t}| / |C_r|
 *     FPR(t) = |{x normal: s(x) > t}| / N
 *     AUPRO(L) = (1/L) area of PRO over FPR in [0, L], trapezoids between groups of equal scores
 *
 * The curve is a mean over regions of a mean over their pixels of one pixel's own curve: 0 up to
 * FPR a/N, where a normal pixels lie above its score, rising in a straight line to 1 at (a+e)/N
 * where e normal pixels share it. So the area is the same mean of
 *
 *     area(a, e) = (L N - a - e/2) / N          when a + e <= L N
 *                = (L N - a)^2 / (2 e N)        when L N cuts the group
 *                = 0                            when a >= L N
 *
 * Only one group can be cut; the sums over the others are whole numbers, so nothing is rounded
 * before the last step and no order matters. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "metrics/pixels.h"

/* One region's pixels: those whose area is in full, with the sum of 2 a + e, and those cut. */
typedef struct region_area {
    uint128 doubled;
    uint64_t full, cut;
} region_area;

typedef struct pro_sums {
    region_area *regions;
    uint64_t normals;
    double limit; /* L N */
    double cut_area;
} pro_sums;

static void add_groups(void *context, const tie_group *groups, size_t count,
                       const uint64_t *defects)
{
    pro_sums *sums = context;
    for (size_t i = 0; i < count; defects += groups[i++].positives) {
        uint64_t equal = groups[i].negatives;
        uint64_t above = sums->normals - groups[i].negatives_below - equal;
        if ((double)above >= sums->limit)
            continue;
        bool full = (double)(above + equal) <= sums->limit;
        double over = sums->limit - (double)above;
        if (!full)
            sums->cut_area = over * over / (2 * (double)equal);
        for (uint64_t j = 0; j < groups[i].positives; ++j) {
            region_area *region = &sums->regions[defect_region(defects[j])];
            region->doubled += full ? 2 * (uint128)above + equal : 0;
            region->full += full;
            region->cut += !full;
        }
    }
}

static int compare_reals(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Summed in ascending order, which does not depend on the order of the images. */
static double mean_of_regions(const pro_sums *sums, const uint64_t *areas, size_t count,
                              double *values)
{
    for (size_t i = 0; i < count; ++i) {
        const region_area *r = &sums->regions[i];
        values[i] = ((double)r->full * sums->limit - (double)r->doubled / 2 +
                     (double)r->cut * sums->cut_area) /
                    (double)areas[i];
    }
    qsort(values, count, sizeof *values, compare_reals);
    double sum = 0;
    for (size_t i = 0; i < count; ++i)
        sum += values[i];
    return sum / (double)count;
}

imiad_status pro_area(double *out, pixel_store *store, double limit)
{
    size_t count = store->region_count;
    uint64_t normals = score_set_total(store->normals);
    pro_sums sums = {.normals = normals, .limit = limit * (double)normals};
    sums.regions = calloc(count, sizeof *sums.regions);
    double *values = malloc(count * sizeof *values);
    imiad_status status = sums.regions && values
                              ? pixel_store_sweep(store, add_groups, &sums)
                              : fail_memory("the overlaps of regions", count * sizeof *values);
    if (status == IMIAD_OK)
        *out = fmin(1, mean_of_regions(&sums, store->areas, count, values) / sums.limit);
    free(sums.regions);
    free(values);
    return status;
}
