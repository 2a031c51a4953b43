/* Transfer, the half of the target: a few normal images train, the whole test set tests. The half
 * of the source is an unsupervised split of the source category. */
#include <stdlib.h>

#include "base/error.h"
#include "data/split.h"

static const option_spec transfer_options[] = {
    {"shots", OPT_INT, "8", "1..", "normal images of the target, at most all of them"},
    {0},
};

static imiad_status draw(imiad_split *split)
{
    draw_pool pool;
    TRY(split_shuffle(&pool, split, IMIAD_SUBSET_TRAIN, 0));
    size_t shots = (size_t)options_int(split->options, "shots");
    imiad_status status =
        split_add_drawn(split, ROLE_SHOT, pool.samples, shots < pool.count ? shots : pool.count);
    free(pool.samples);
    TRY(status);
    return split_add_tests(split);
}

const setting_ops transfer_setting = {
    .name = "transfer",
    .title = "Transfer to a target: a few of its normal images",
    .options = transfer_options,
    .draw = draw,
};
