#include "data/dataset.h"

extern const dataset_ops mvtec_ad_ops, folder_ops, synthetic_ops;

const dataset_ops *const dataset_registry[] = {
    &mvtec_ad_ops,
    &folder_ops,
    &synthetic_ops,
    NULL,
};
