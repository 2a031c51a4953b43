/* Connected regions of a mask, as runs of defective pixels. */
#ifndef METRICS_REGIONS_H
#define METRICS_REGIONS_H

#include <stddef.h>
#include <stdint.h>

#include "imiad/image.h"

typedef struct mask_run {
    int32_t row, begin, end; /* the pixels begin..end-1 */
    uint32_t region;
} mask_run;

/* The buffers are kept from one mask to the next; begin with zeros. */
typedef struct mask_regions {
    mask_run *runs; /* rows ascending, then columns */
    size_t run_count, run_room;
    uint64_t *areas; /* pixels of each region; regions are numbered by their first pixel */
    size_t region_count, region_room;
} mask_regions;

/* connectivity is 4 or 8. Non-zero pixels of the GRAY8 mask are defective. */
imiad_status regions_find(mask_regions *regions, const imiad_image *mask, int connectivity);
void regions_free(mask_regions *regions);

#endif
