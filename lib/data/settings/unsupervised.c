/* Unsupervised: all normal training images train, the whole test set tests. The continual setting
 * is a sequence of these, a category at a time, with one model. */
#include "base/error.h"
#include "data/split.h"

static imiad_status draw(imiad_split *split)
{
    TRY(split_add_normals(split));
    return split_add_tests(split);
}

const setting_ops unsupervised_setting = {
    .name = "unsupervised",
    .title = "Unsupervised: train on every normal image",
    .draw = draw,
};
