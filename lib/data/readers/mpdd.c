/* MPDD, painted metal parts. Jezek, Jonak, Burget, Dvorak, Skotak: ICUMT 2021. */
#include "data/readers/layout.h"

static imiad_status list(imiad_dataset *dataset)
{
    static const char *const known[] = {"license.txt", "readme.txt", NULL};
    return layout_list(dataset, &(folder_layout){.good = "good",
                                                 .images = "",
                                                 .masks = "ground_truth",
                                                 .below_masks = "",
                                                 .mask_suffix = "_mask",
                                                 .known = known});
}

const dataset_ops mpdd_ops = {
    .name = "mpdd",
    .title = "MPDD: painted metal parts in varying poses",
    .needs_root = true,
    .layout =
        "CATEGORY/train/good, CATEGORY/test/KIND and CATEGORY/ground_truth/KIND/NAME_mask.png",
    .list = list,
};
