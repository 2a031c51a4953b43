/* Few-shot: a few normal training images train, the whole test set tests. */
#include <stdlib.h>

#include "base/error.h"
#include "data/split.h"

static const option_spec fewshot_options[] = {
    {"shots", OPT_INT, "4", "1..", "normal training images, at most all of them"},
    {0},
};

static imiad_status draw(imiad_split *split)
{
    candidates c;
    TRY(split_shuffle(&c, split, IMIAD_SUBSET_TRAIN, 0));
    size_t shots = (size_t)options_int(split->options, "shots");
    imiad_status status =
        split_add_drawn(split, ROLE_SHOT, c.samples, shots < c.count ? shots : c.count);
    free(c.samples);
    TRY(status);
    return split_add_tests(split);
}

const setting_ops fewshot_setting = {
    .name = "fewshot",
    .title = "Few-shot: train on a few normal images",
    .options = fewshot_options,
    .draw = draw,
};
