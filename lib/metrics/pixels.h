/* What is kept of the maps that were added: the multiset of normal scores, every defective pixel's
 * score with its region, and the regions' areas. A region is a connected part of a mask, or a
 * channel of a ground truth that has them; a pixel in two channels is kept for each. */
#ifndef METRICS_PIXELS_H
#define METRICS_PIXELS_H

#include "metrics/defects.h"
#include "metrics/ranking.h"
#include "metrics/regions.h"

typedef struct pixel_store {
    score_set *normals;
    score_set *shared; /* another store's normals, which count here too; or NULL */
    defect_set *defects;
    uint64_t defect_count;
    uint64_t *areas, *saturations; /* of each region; saturations of channels only */
    size_t region_count, region_room;
    uint64_t map_count, defective_map_count;
    bool incomplete;   /* memory ran out in the middle of a map */
    mask_regions mask; /* of the last map */
} pixel_store;

imiad_status pixel_store_create(pixel_store **out);
void pixel_store_free(pixel_store *store);
uint64_t pixel_store_normals(const pixel_store *store);

/* Whose size counts where a mask and a map differ: sizes.h. */
typedef enum size_rule { SIZES_EQUAL, SIZES_MASK, SIZES_MAP } size_rule;

typedef struct pixel_rules {
    int connectivity; /* 8 or 4 */
    bool infinities;  /* allowed among the scores */
    size_rule sizes;
} pixel_rules;

/* What is defective, at the map's size: a mask, channels, or neither for a good image. All maps of
 * a store have the same. */
typedef struct ground_truth {
    const imiad_image *mask;
    const imiad_spro_channel *channels;
    size_t channel_count;
} ground_truth;

/* Errors: IMIAD_NOT_FINITE, then nothing is added;
 * IMIAD_NO_MEMORY, then the store may be incomplete and says so from then on. */
imiad_status pixel_store_add(pixel_store *store, const float *map, int32_t width, int32_t height,
                             ground_truth truth, pixel_rules rules);

/* Sees the groups of equal scores that have defective pixels, some of one page at a time; their
 * defects follow each other in `defects`. A lane is one thread: it sees its groups in ascending
 * order, and all of them above those of the lanes before it. */
typedef void group_visitor(void *context, size_t lane, const tie_group *groups, size_t count,
                           const uint64_t *defects);
imiad_status pixel_store_sweep(pixel_store *store, size_t lanes, group_visitor *visit,
                               void *context);

/* Lanes worth opening for so many pixels: at least 1, at most MOST_LANES. */
size_t lanes_for(uint64_t pixels);

imiad_status pixel_store_rank(ranking *out, pixel_store *store);
/* Areas under the per-region-overlap curve, saturated where the store has saturations: pro.c and
 * pro_sampled.c. */
imiad_status pro_area(double *out, pixel_store *store, double limit);
imiad_status pro_area_sampled(double *out, pixel_store *store, double limit, int steps);

#endif
