/* BTAD (beanTech). Mishra, Verk, Fornasier, Piciarelli, Foresti: VT-ADL, ISIE 2021. The format of
 * images and masks differs between the products; some masks are empty, some are 0/1. */
#include "data/readers/layout.h"

static imiad_status list(imiad_dataset *dataset)
{
    static const char *const known[] = {"readme.txt", "README.txt", NULL};
    return layout_list(dataset, &(folder_layout){.good = "ok",
                                                 .images = "",
                                                 .masks = "ground_truth",
                                                 .below_masks = "",
                                                 .mask_suffix = "",
                                                 .known = known});
}

const dataset_ops btad_ops = {
    .name = "btad",
    .title = "BTAD (beanTech): three products",
    .needs_root = true,
    .layout = "PRODUCT/train/ok, PRODUCT/test/ok, PRODUCT/test/ko and PRODUCT/ground_truth/ko",
    .list = list,
};
