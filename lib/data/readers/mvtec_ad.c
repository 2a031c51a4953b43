/* MVTec AD. Bergmann, Fauser, Sattlegger, Steger: CVPR 2019; with Batzner: IJCV 129, 2021. */
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

const dataset_ops mvtec_ad_ops = {
    .name = "mvtec_ad",
    .title = "MVTec AD, and any folder in its layout",
    .needs_root = true,
    .layout =
        "CATEGORY/train/good, CATEGORY/test/KIND and CATEGORY/ground_truth/KIND/NAME_mask.png",
    .list = list,
};
