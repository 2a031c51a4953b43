/* What of a map is defective, as runs of pixels: the connected regions of a mask, or the channels
 * of MVTec LOCO's ground truth, each a region of its own whatever its shape. */
#ifndef METRICS_REGIONS_H
#define METRICS_REGIONS_H

#include <stddef.h>
#include <stdint.h>

#include "imiad/metrics.h"

typedef struct mask_run {
    int32_t row, begin, end; /* the pixels begin..end-1 */
    uint32_t region;
} mask_run;

/* The buffers are kept from one mask to the next; begin with zeros. */
typedef struct mask_regions {
    mask_run *runs; /* rows ascending, then first pixels; those of channels may overlap */
    size_t run_count, run_room;
    uint64_t *areas;       /* pixels of each region; regions are numbered by their first pixel */
    uint64_t *saturations; /* of channels: the pixels of each that count */
    size_t region_count, region_room;
    size_t empty_channels, raised_saturations; /* of the last channels */
} mask_regions;

/* That a mask is GRAY8, with pixels, a size and a stride. */
imiad_status mask_check(const imiad_image *mask);

/* connectivity is 4 or 8. Non-zero pixels of the GRAY8 mask are defective. */
imiad_status regions_find(mask_regions *regions, const imiad_image *mask, int connectivity);
/* At least one channel; all of one size. Empty ones become no region. A saturation area is
 * min(threshold, area), or threshold * area, cut to a whole number, and raised to 1. */
imiad_status channels_find(mask_regions *regions, const imiad_spro_channel *channels, size_t count);
void regions_free(mask_regions *regions);

#endif
