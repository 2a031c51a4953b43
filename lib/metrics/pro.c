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
 * before the last step and no order matters.
 *
 * The saturated overlap of MVTec LOCO (Bergmann, Batzner, Fauser, Sattlegger, Steger, IJCV 2022) is
 *
 *     sPRO(t) = mean over channels c of min(|{x in c: s(x) > t}| / S_c, 1)
 *
 * The numerator counts a channel's pixels from the highest score on, until S_c of them are counted:
 * the |c| - S_c lowest never count. So it is PRO of each channel's S_c highest pixels. Which pixels
 * of a group of equal scores are left out makes no difference: their areas are the same. */
#include <stdlib.h>

#include "base/error.h"
#include "metrics/pixels.h"

/* One region's pixels: those whose area is in full, with the sum of 2 a + e, and those cut. */
typedef struct region_area {
    uint128 doubled;
    uint64_t full, cut;
    uint64_t saturated; /* pixels still to come that do not count */
} region_area;

typedef struct pro_sums {
    region_area *regions; /* of each lane, region_count of them */
    size_t region_count;
    uint64_t normals;
    double limit;   /* L N */
    bool saturated; /* then there is one lane, which sees all pixels in ascending order */
    double cut_area[MOST_LANES];
} pro_sums;

static void add_groups(void *context, size_t lane, const tie_group *groups, size_t count,
                       const uint64_t *defects)
{
    pro_sums *sums = context;
    region_area *regions = sums->regions + lane * sums->region_count;
    for (size_t i = 0; i < count; defects += groups[i++].positives) {
        uint64_t equal = groups[i].negatives;
        uint64_t above = sums->normals - groups[i].negatives_below - equal;
        bool outside = (double)above >= sums->limit;
        if (outside && !sums->saturated)
            continue;
        bool full = (double)(above + equal) <= sums->limit;
        double over = sums->limit - (double)above;
        if (!full && !outside)
            sums->cut_area[lane] = over * over / (2 * (double)equal);
        for (uint64_t j = 0; j < groups[i].positives; ++j) {
            region_area *region = &regions[defect_region(defects[j])];
            if (region->saturated > 0) {
                region->saturated--;
                continue;
            }
            if (outside)
                continue;
            region->doubled += full ? 2 * (uint128)above + equal : 0;
            region->full += full;
            region->cut += !full;
        }
    }
}

/* Everything into the first lane. */
static void join_lanes(pro_sums *sums, size_t lanes)
{
    for (size_t lane = 1; lane < lanes; ++lane) {
        sums->cut_area[0] += sums->cut_area[lane]; /* one group, so one lane, has it */
        for (size_t i = 0; i < sums->region_count; ++i) {
            const region_area *other = &sums->regions[lane * sums->region_count + i];
            sums->regions[i].doubled += other->doubled;
            sums->regions[i].full += other->full;
            sums->regions[i].cut += other->cut;
        }
    }
}

static int compare_reals(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Summed in ascending order, which does not depend on the order of the images. */
static double mean_of_regions(const pro_sums *sums, const uint64_t *counted, double *values)
{
    for (size_t i = 0; i < sums->region_count; ++i) {
        const region_area *r = &sums->regions[i];
        values[i] = ((double)r->full * sums->limit - (double)r->doubled / 2 +
                     (double)r->cut * sums->cut_area[0]) /
                    (double)counted[i];
    }
    qsort(values, sums->region_count, sizeof *values, compare_reals);
    double sum = 0;
    for (size_t i = 0; i < sums->region_count; ++i)
        sum += values[i];
    return sum / (double)sums->region_count;
}

imiad_status pro_area(double *out, pixel_store *store, double limit)
{
    size_t count = store->region_count, lanes = lanes_for(store->defect_count);
    const uint64_t *saturations = store->saturations;
    if (saturations || lanes * count > store->defect_count / 4)
        lanes = 1; /* dust: a lane's regions would outweigh the pixels */
    uint64_t normals = pixel_store_normals(store);
    pro_sums sums = {.region_count = count,
                     .normals = normals,
                     .limit = limit * (double)normals,
                     .saturated = saturations != NULL};
    sums.regions = calloc(lanes * count, sizeof *sums.regions);
    for (size_t i = 0; sums.regions && saturations && i < count; ++i)
        sums.regions[i].saturated = store->areas[i] - saturations[i];
    double *values = malloc(count * sizeof *values);
    imiad_status status = sums.regions && values
                              ? pixel_store_sweep(store, lanes, add_groups, &sums)
                              : fail_memory("the overlaps of regions", count * sizeof *values);
    if (status == IMIAD_OK) {
        join_lanes(&sums, lanes);
        const uint64_t *counted = saturations ? saturations : store->areas;
        double area = mean_of_regions(&sums, counted, values) / sums.limit;
        *out = area < 1 ? area : 1;
    }
    free(sums.regions);
    free(values);
    return status;
}
