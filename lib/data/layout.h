/* The folder layout that MVTec AD introduced and others share:
 *     CATEGORY/train/GOOD, CATEGORY/test/GOOD, CATEGORY/test/KIND,
 *     CATEGORY/ground_truth/KIND/STEM + suffix + any image extension */
#ifndef DATA_LAYOUT_H
#define DATA_LAYOUT_H

#include "data/dataset.h"

typedef struct folder_layout {
    const char *good;        /* the name of the folders of good images */
    const char *mask_suffix; /* between an image's stem and the extension of its mask */
} folder_layout;

imiad_status layout_list(imiad_dataset *dataset, const folder_layout *layout);

#endif
