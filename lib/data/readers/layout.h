/* The folder layout that MVTec AD introduced and others share:
 *     CATEGORY/train/GOOD, CATEGORY/test/GOOD, CATEGORY/test/KIND,
 *     CATEGORY/ground_truth/KIND/STEM + suffix + any image extension
 * Where no mask has the suffix in its name, one without it is taken. */
#ifndef DATA_READERS_LAYOUT_H
#define DATA_READERS_LAYOUT_H

#include "data/dataset.h"

typedef struct folder_layout {
    const char *good;        /* the name of the folders of good images */
    const char *images;      /* below part/KIND, the folder of the images; "" is KIND itself */
    const char *masks;       /* the part that masks lie in: "ground_truth" */
    const char *below_masks; /* below masks/KIND, the folder of the masks; "" is KIND itself */
    const char *mask_suffix; /* between an image's stem and the extension of its mask */
    bool mask_folders;       /* masks/KIND/STEM is a folder of masks, one a channel */
    bool masks_by_part;      /* masks/train/KIND and masks/test/KIND instead of masks/KIND */
    bool train_defective;    /* other folders of train than `good` are defective training images */
    /* what else is in the root, a category or a kind's folder and needs no mention; ends in NULL */
    const char *const *known;
} folder_layout;

/* Every folder of the root that has a train or a test folder is a category. */
imiad_status layout_set_categories(imiad_dataset *dataset, const folder_layout *layout);
/* Adds the samples of the category whose parts lie in `folder`; "" is the root. */
imiad_status layout_list_category(imiad_dataset *dataset, const folder_layout *layout,
                                  int32_t category, const char *folder);
/* Both, for datasets that are nothing but folders. */
imiad_status layout_list(imiad_dataset *dataset, const folder_layout *layout);

#endif
