/* Where a map and its ground truth differ in size. */
#ifndef METRICS_SIZES_H
#define METRICS_SIZES_H

#include "metrics/pixels.h"

#define SIZES_HELP "whose size counts where a mask and a map differ; equal: neither's, an error"

/* Of the option's value: equal, mask or map. */
size_rule size_rule_named(const char *name);

/* pixel_store_add for checked masks of any size, one of the two resized as rules.sizes says. A map
 * without ground truth counts at its own size. SIZES_MASK is for a mask, not for channels.
 * Errors: IMIAD_MISMATCH for SIZES_EQUAL, IMIAD_NOT_FINITE for a score that cannot be interpolated;
 * then nothing is added. */
imiad_status add_sized(pixel_store *store, const float *map, int32_t width, int32_t height,
                       ground_truth truth, pixel_rules rules);

#endif
