/* The settings of the benchmark, one line each. */
#include "data/split.h"

/* clang-format off */
#define EACH_SETTING(DO) \
    DO(unsupervised) \
    DO(supervised) \
    DO(fewshot) \
    DO(noisy) \
    DO(transfer)
/* clang-format on */

#define DECLARE(name) extern const setting_ops name##_setting;
#define LIST(name)    &name##_setting,

EACH_SETTING(DECLARE)

const setting_ops *const setting_table[] = {EACH_SETTING(LIST) NULL};
