/* MVTec LOCO AD's description of its defects. */
#ifndef DATA_READERS_MVTEC_LOCO_H
#define DATA_READERS_MVTEC_LOCO_H

#include "imiad/dataset.h"

/* Larger files are refused: the official ones have a few KiB. */
enum { LOCO_CONFIG_BYTES_MAX = 1 << 20 };

typedef struct loco_defects {
    imiad_defect_info *entries; /* in the file's order, with names of their own */
    size_t count;
} loco_defects;

/* A defects_config.json in memory; name is what messages call it. */
imiad_status loco_parse_defects(loco_defects *out, const void *bytes, size_t size,
                                const char *name);
void loco_free_defects(loco_defects *defects);

#endif
