/* The readers of datasets, one line each. */
#include "data/dataset.h"

/* clang-format off */
#define EACH_READER(DO) \
    DO(mvtec_ad) \
    DO(mvtec_loco) \
    DO(mpdd) \
    DO(btad) \
    DO(visa) \
    DO(mtd) \
    DO(dagm) \
    DO(mvtec_3d_rgb) \
    DO(real_iad) \
    DO(folder) \
    DO(list) \
    DO(synthetic)
/* clang-format on */

#define DECLARE(name) extern const dataset_ops name##_ops;
#define LIST(name)    &name##_ops,

EACH_READER(DECLARE)

const dataset_ops *const dataset_table[] = {EACH_READER(LIST) NULL};
