#include "data/dataset.h"

extern const dataset_ops mvtec_ad_ops, mvtec_loco_ops, mpdd_ops, btad_ops, visa_ops, mtd_ops,
    dagm_ops, mvtec_3d_rgb_ops, folder_ops, synthetic_ops;

const dataset_ops *const dataset_registry[] = {
    &mvtec_ad_ops, &mvtec_loco_ops,   &mpdd_ops,   &btad_ops,      &visa_ops, &mtd_ops,
    &dagm_ops,     &mvtec_3d_rgb_ops, &folder_ops, &synthetic_ops, NULL,
};
