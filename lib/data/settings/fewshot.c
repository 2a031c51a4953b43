/* Few-shot: a few normal training images train, augmented if asked for; the whole test set tests.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "data/split.h"

static const option_spec fewshot_options[] = {
    {"shots", OPT_INT, "4", "1..", "normal training images, at most all of them"},
    {"augmentation", OPT_CHOICE, "none",
     "none|rotation|flip|scale|translate|color_jitter|perspective",
     "train on copies of each shot, too"},
    {"augmentation_count", OPT_INT, "4", "1..100", "copies beside the original"},
    {"rotation_accumulate", OPT_BOOL, "false", "",
     "each copy is rotated by all earlier angles as well, as in open-iad"},
    {"source", OPT_CHOICE, "none", "none|others",
     "name the normal training images of the dataset's other categories as sources, too"},
    {0},
};

/* Beyond that many rotations in a row nothing new is left to compare with. */
enum { MOST_ROTATIONS = 1000 };

/* ---- what copy i of `count` is, i = 1..count ---- */

static augmentation rotation_of(int64_t i, int64_t count, random_stream *stream)
{
    double angle = 360.0 * (double)i / (double)(count + 1);
    return (augmentation){AUGMENT_ROTATION, {augment_value(angle)}};
}

/* Horizontal, vertical, both, then at random. */
static augmentation flip_of(int64_t i, int64_t count, random_stream *stream)
{
    uint64_t sides = i <= 3 ? (uint64_t)i : random_below(stream, 4);
    return (augmentation){
        AUGMENT_FLIP, {augment_value((double)(sides & 1)), augment_value((double)(sides >> 1))}};
}

static augmentation scale_of(int64_t i, int64_t count, random_stream *stream)
{
    return (augmentation){AUGMENT_SCALE, {augment_value(1 - 0.5 * (double)i / (double)count)}};
}

static augmentation random_of(augment_kind kind, int values, double low, double high,
                              random_stream *stream)
{
    augmentation a = {kind, {0}};
    for (int v = 0; v < values; ++v)
        a.values[v] = augment_value(random_between(stream, low, high));
    return a;
}

static augmentation translate_of(int64_t i, int64_t count, random_stream *stream)
{
    double most = 0.5 * (double)i / (double)count;
    return random_of(AUGMENT_TRANSLATE, 2, -most, most, stream);
}

static augmentation color_jitter_of(int64_t i, int64_t count, random_stream *stream)
{
    return random_of(AUGMENT_COLOR_JITTER, 2, 0.5, 1.5, stream);
}

/* A distortion of 1 would move the corners to the centre. */
static augmentation perspective_of(int64_t i, int64_t count, random_stream *stream)
{
    double distortion = 0.5 * (double)i / (double)count;
    return random_of(AUGMENT_PERSPECTIVE, 8, 0, distortion / 2, stream);
}

typedef augmentation copy_function(int64_t i, int64_t count, random_stream *stream);

static copy_function *const copies[AUGMENT_KINDS] = {
    [AUGMENT_ROTATION] = rotation_of,
    [AUGMENT_FLIP] = flip_of,
    [AUGMENT_SCALE] = scale_of,
    [AUGMENT_TRANSLATE] = translate_of,
    [AUGMENT_COLOR_JITTER] = color_jitter_of,
    [AUGMENT_PERSPECTIVE] = perspective_of,
};

/* ---- the shots ---- */

typedef struct plan {
    augment_kind kind;
    int64_t count; /* copies of each shot */
    bool accumulate;
} plan;

static imiad_status read_plan(plan *out, const imiad_split *split, size_t shots)
{
    const char *name = options_text(split->options, "augmentation");
    plan p = {AUGMENT_NONE, options_int(split->options, "augmentation_count"),
              options_bool(split->options, "rotation_accumulate")};
    while (strcmp(augment_names[p.kind], name) != 0)
        p.kind++;
    if (p.kind == AUGMENT_NONE)
        p.count = 0;
    if (p.accumulate && p.kind != AUGMENT_ROTATION)
        return split_fail(split, IMIAD_INVALID_ARGUMENT,
                          "rotation_accumulate needs augmentation=rotation");
    if (p.accumulate && shots * (size_t)(p.count + 1) > MOST_ROTATIONS)
        return split_fail(split, IMIAD_OUT_OF_RANGE,
                          "rotation_accumulate with %zu shots and %lld copies: at most %d images",
                          shots, (long long)p.count, MOST_ROTATIONS);
    *out = p;
    return IMIAD_OK;
}

/* Copy i of a shot depends on the seed, the kind, the image and i alone. */
static imiad_status open_stream(random_stream *out, const imiad_split *split, size_t shot,
                                augment_kind kind, int64_t i)
{
    char *purpose;
    if (asprintf(&purpose, "split/fewshot/%s/%s/%s/%lld", imiad_dataset_name(split->dataset),
                 split->dataset->samples[shot].path, augment_names[kind], (long long)i) < 0)
        return fail_memory("a split", 0);
    *out = random_open((uint64_t)options_int(split->options, "seed"), purpose);
    free(purpose);
    return IMIAD_OK;
}

static imiad_status add_copy(imiad_split *split, size_t shot, const plan *p, int64_t i)
{
    random_stream stream = {{0}, 0, {0}, 0};
    TRY(open_stream(&stream, split, shot, p->kind, i));
    return split_add(&split->train,
                     (split_entry){.sample = shot,
                                   .role = ROLE_SHOT,
                                   .augment = copies[p->kind](i, p->count, &stream)});
}

/* open-iad's list of transforms grows with every image it makes: the n-th, counted from 0 over all
 * shots, passes through the rotations n, n - 1, ..., 0. */
static imiad_status add_accumulated(imiad_split *split, size_t shot, const plan *p)
{
    for (int64_t i = 0; i <= p->count; ++i) {
        double rotations = (double)(split->train.count + 1), parts = (double)(p->count + 1);
        augmentation all = {AUGMENT_ROTATIONS, {augment_value(rotations), augment_value(parts)}};
        TRY(split_add(&split->train,
                      (split_entry){.sample = shot, .role = ROLE_SHOT, .augment = all}));
    }
    return IMIAD_OK;
}

static imiad_status add_shots(imiad_split *split, const draw_pool *pool)
{
    size_t shots = (size_t)options_int(split->options, "shots");
    if (shots > pool->count)
        shots = pool->count;
    plan p = {AUGMENT_NONE, 0, false};
    TRY(read_plan(&p, split, shots));
    for (size_t s = 0; s < shots; ++s) {
        if (p.accumulate) {
            TRY(add_accumulated(split, pool->samples[s], &p));
            continue;
        }
        TRY(split_add_drawn(split, ROLE_SHOT, &pool->samples[s], 1));
        for (int64_t i = 1; i <= p.count; ++i)
            TRY(add_copy(split, pool->samples[s], &p, i));
    }
    return IMIAD_OK;
}

/* What detectors may learn from that learn on other categories. */
static imiad_status add_sources(imiad_split *split)
{
    const imiad_dataset *dataset = split->dataset;
    size_t before = split->train.count;
    for (size_t i = 0; i < dataset->sample_count; ++i) {
        const sample *s = &dataset->samples[i];
        if (s->subset == IMIAD_SUBSET_TRAIN && s->label == 0 &&
            (size_t)s->category != split->category)
            TRY(split_add(&split->train, (split_entry){.sample = i, .role = ROLE_SOURCE}));
    }
    if (split->train.count == before)
        return split_fail(split, IMIAD_NOT_FOUND,
                          "source=others: the dataset has no other category with normal training "
                          "images");
    return IMIAD_OK;
}

static imiad_status draw(imiad_split *split)
{
    draw_pool pool;
    TRY(split_shuffle(&pool, split, IMIAD_SUBSET_TRAIN, 0));
    imiad_status status = add_shots(split, &pool);
    free(pool.samples);
    TRY(status);
    if (strcmp(options_text(split->options, "source"), "others") == 0)
        TRY(add_sources(split));
    return split_add_tests(split);
}

const setting_ops fewshot_setting = {
    .name = "fewshot",
    .title = "Few-shot: train on a few normal images",
    .options = fewshot_options,
    .draw = draw,
};
