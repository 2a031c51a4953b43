/* Fully supervised: all normal training images and a few defective ones, labelled and with their
 * ground truth. They are taken from the test set, at most floor(cap * D) of its D defective images,
 * or from a training set that has some. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "data/split.h"

static const option_spec supervised_options[] = {
    {"anomalies", OPT_INT, "10", "1..", "labelled defective images"},
    {"pool", OPT_CHOICE, "test", "test|train",
     "draw from the test set, or from the dataset's own defective training images"},
    {"cap", OPT_REAL, "0.75", "0<..1", "at most this share of the defective test images is drawn"},
    {"overlap", OPT_BOOL, "false", "", "what was drawn stays in the test set, too"},
    {"sampler_label_bug", OPT_BOOL, "false", "",
     "draw among all test images, the good ones too, as open-iad does"},
    {"cap_leak", OPT_BOOL, "false", "",
     "the cap of every earlier category of the dataset holds as well, as in open-iad"},
    {0},
};

static bool from_test(const imiad_split *split)
{
    return strcmp(options_text(split->options, "pool"), "test") == 0;
}

static imiad_status check_options(const imiad_split *split)
{
    static const char *const of_test[] = {"overlap", "sampler_label_bug", "cap_leak"};
    for (size_t i = 0; i < sizeof of_test / sizeof *of_test; ++i)
        if (!from_test(split) && options_bool(split->options, of_test[i]))
            return split_fail(split, IMIAD_INVALID_ARGUMENT, "%s needs pool=test", of_test[i]);
    return IMIAD_OK;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* min(n, floor(cap * D)). open-iad keeps the lowered n for the categories that follow. */
static size_t count_anomalies(const imiad_split *split, size_t found)
{
    size_t count = (size_t)options_int(split->options, "anomalies");
    if (!from_test(split))
        return smaller(count, found);
    size_t first = options_bool(split->options, "cap_leak") ? 0 : split->category;
    for (size_t i = first; i <= split->category; ++i)
        if (split->dataset->categories[i].status == IMIAD_OK)
            count =
                smaller(count, split_share(options_real(split->options, "cap"),
                                           split_count(split->dataset, i, IMIAD_SUBSET_TEST, 1)));
    return count;
}

/* The truth is told: a good image that the sampler's bug drew is normal. */
static imiad_status add_anomalies(imiad_split *split, const size_t *samples, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        split_role role = split->dataset->samples[samples[i]].label ? ROLE_ANOMALY : ROLE_NOISE;
        TRY(split_add_drawn(split, role, &samples[i], 1));
    }
    return IMIAD_OK;
}

static imiad_status draw_from(imiad_split *split, const draw_pool *pool)
{
    size_t count = count_anomalies(split, pool->count);
    if (count == 0)
        return split_fail(split, IMIAD_NOT_FOUND, "pool=%s cap=%s leave no defective image to draw",
                          options_text(split->options, "pool"),
                          options_text(split->options, "cap"));
    bool stays = !from_test(split) || options_bool(split->options, "overlap");
    TRY(split_add_normals(split));
    TRY(add_anomalies(split, pool->samples, count));
    return split_add_other_tests(split, pool->samples, stays ? 0 : count);
}

static imiad_status draw(imiad_split *split)
{
    TRY(check_options(split));
    draw_pool pool;
    TRY(split_shuffle(&pool, split, from_test(split) ? IMIAD_SUBSET_TEST : IMIAD_SUBSET_TRAIN,
                      options_bool(split->options, "sampler_label_bug") ? -1 : 1));
    imiad_status status = draw_from(split, &pool);
    free(pool.samples);
    return status;
}

const setting_ops supervised_setting = {
    .name = "supervised",
    .title = "Fully supervised: a few labelled defective images",
    .options = supervised_options,
    .draw = draw,
};
