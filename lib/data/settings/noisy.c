/* Noisy: all normal training images, and among them, told normal, some defective ones taken from
 * the test set:
 *     K = min(floor(ratio * N), floor(cap * D))
 * of N normal training and D defective test images. */
#include <stdlib.h>

#include "base/error.h"
#include "data/split.h"

static const option_spec noisy_options[] = {
    {"ratio", OPT_REAL, "0.1", "0<..1", "images of noise for each normal training image"},
    {"cap", OPT_REAL, "0.75", "0<..1", "at most this share of the defective test images is drawn"},
    {"overlap", OPT_BOOL, "false", "", "what was drawn stays in the test set, too"},
    {"fixed_test_set", OPT_BOOL, "false", "",
     "remove what largest_ratio draws, whatever the ratio: all ratios test on the same images"},
    {"largest_ratio", OPT_REAL, "0.2", "0<..1", "the largest ratio that fixed_test_set serves"},
    {"sampler_label_bug", OPT_BOOL, "false", "",
     "draw among all test images, the good ones too, as open-iad does"},
    {0},
};

static imiad_status check_options(const imiad_split *split)
{
    const option_set *options = split->options;
    if (!options_bool(options, "fixed_test_set"))
        return IMIAD_OK;
    if (options_bool(options, "overlap"))
        return split_fail(split, IMIAD_INVALID_ARGUMENT,
                          "fixed_test_set removes images that overlap keeps: choose one");
    if (options_real(options, "ratio") > options_real(options, "largest_ratio"))
        return split_fail(split, IMIAD_INVALID_ARGUMENT,
                          "with fixed_test_set, ratio %s is above largest_ratio %s",
                          options_text(options, "ratio"), options_text(options, "largest_ratio"));
    return IMIAD_OK;
}

/* K at the ratio that an option states. */
static size_t count_noise(const imiad_split *split, const char *ratio)
{
    size_t normals = split_count(split->dataset, split->category, IMIAD_SUBSET_TRAIN, 0);
    size_t defective = split_count(split->dataset, split->category, IMIAD_SUBSET_TEST, 1);
    size_t wanted = split_share(options_real(split->options, ratio), normals);
    size_t most = split_share(options_real(split->options, "cap"), defective);
    return wanted < most ? wanted : most;
}

static imiad_status draw_from(imiad_split *split, const draw_pool *pool)
{
    const option_set *options = split->options;
    size_t count = count_noise(split, "ratio"), removed = count;
    if (options_bool(options, "fixed_test_set"))
        removed = count_noise(split, "largest_ratio");
    if (options_bool(options, "overlap"))
        removed = 0;
    if (count == 0)
        log_message(IMIAD_LOG_WARNING, "setting noisy of category %s: ratio %s draws no image",
                    imiad_split_category(split), options_text(options, "ratio"));
    TRY(split_add_normals(split));
    TRY(split_add_drawn(split, ROLE_NOISE, pool->samples, count));
    return split_add_other_tests(split, pool->samples, removed);
}

static imiad_status draw(imiad_split *split)
{
    TRY(check_options(split));
    draw_pool pool;
    TRY(split_shuffle(&pool, split, IMIAD_SUBSET_TEST,
                      options_bool(split->options, "sampler_label_bug") ? -1 : 1));
    imiad_status status = draw_from(split, &pool);
    free(pool.samples);
    return status;
}

const setting_ops noisy_setting = {
    .name = "noisy",
    .title = "Noisy: defective images among the normal ones",
    .options = noisy_options,
    .draw = draw,
};
