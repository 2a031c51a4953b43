/* MVTec 3D-AD, its colour images only. Bergmann, Jin, Sattlegger, Steger: VISAPP 2022. Good test
 * images have mask files too, all zero: nothing is lost by passing over them. */
#include "data/readers/layout.h"

static imiad_status list(imiad_dataset *dataset)
{
    static const char *const known[] = {"calibration", "license.txt", "readme.txt", "rgb",
                                        "xyz",         "gt",          NULL};
    return layout_list(dataset, &(folder_layout){.good = "good",
                                                 .images = "rgb",
                                                 .masks = "test",
                                                 .below_masks = "gt",
                                                 .mask_suffix = "",
                                                 .known = known});
}

const dataset_ops mvtec_3d_rgb_ops = {
    .name = "mvtec_3d_rgb",
    .title = "MVTec 3D-AD without its depth",
    .needs_root = true,
    .layout = "CATEGORY/train/good/rgb, CATEGORY/test/KIND/rgb and CATEGORY/test/KIND/gt",
    .list = list,
};
