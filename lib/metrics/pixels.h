/* What is kept of the maps that were added: the multiset of normal scores, every defective pixel's
 * score with its region, and the regions' areas. */
#ifndef METRICS_PIXELS_H
#define METRICS_PIXELS_H

#include "metrics/ranking.h"
#include "metrics/regions.h"
#include "metrics/scores.h"

typedef struct pixel_store {
    score_set *normals;
    uint64_t *defects; /* score key << 32 | region */
    size_t defect_count, defect_room;
    bool sorted; /* the defects, by key */
    uint64_t *areas;
    size_t region_count, region_room;
    uint64_t map_count, defective_map_count;
    bool incomplete; /* memory ran out in the middle of a map */
    mask_regions mask;
} pixel_store;

imiad_status pixel_store_create(pixel_store **out);
void pixel_store_free(pixel_store *store);

/* mask may be NULL. The map must be free of NaN. Arguments are checked by the caller. */
imiad_status pixel_store_add(pixel_store *store, const float *map, int32_t width, int32_t height,
                             const imiad_image *mask, int connectivity);

/* Sees tie groups with defective pixels in ascending order, some at a time; the defects of the
 * groups follow each other in `defects`. */
typedef void group_visitor(void *context, const tie_group *groups, size_t count,
                           const uint64_t *defects);
imiad_status pixel_store_sweep(pixel_store *store, group_visitor *visit, void *context);

static inline uint32_t defect_region(uint64_t defect)
{
    return (uint32_t)defect;
}

/* Areas under the per-region-overlap curve: pro.c and pro_sampled.c. */
imiad_status pro_area(double *out, pixel_store *store, double limit);
imiad_status pro_area_sampled(double *out, pixel_store *store, double limit, int steps);

#endif
