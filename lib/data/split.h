/* Inside a split: what a setting of the benchmark fills in. */
#ifndef DATA_SPLIT_H
#define DATA_SPLIT_H

#include "data/dataset.h"
#include "image/augment.h"
#include "imiad/split.h"

/* How the method meets a sample. */
typedef enum split_role {
    ROLE_TRAIN,   /* a normal training image */
    ROLE_SHOT,    /* one of a few normal images that were drawn */
    ROLE_ANOMALY, /* drawn, told defective: the method may look at its ground truth */
    ROLE_NOISE,   /* drawn, told normal: mostly it is not */
    ROLE_TEST,
    ROLE_SOURCE, /* a normal training image of another category */
    ROLE_COUNT
} split_role;

typedef struct role_info {
    const char *name;
    int32_t label; /* what training is told; -1: nothing, it is a test image */
    bool drawn;
} role_info;
extern const role_info split_roles[ROLE_COUNT];

typedef struct split_entry {
    size_t sample;
    split_role role;
    augmentation augment;
} split_entry;

typedef struct entry_list {
    split_entry *entries;
    size_t count, room;
} entry_list;

/* One setting: a file in lib/data/settings and a line in the table there. */
typedef struct setting_ops {
    const char *name, *title;
    const option_spec *options; /* beside the seed, or NULL */
    imiad_status (*draw)(imiad_split *split);
} setting_ops;

extern const setting_ops *const setting_table[]; /* ends in NULL */
extern const option_spec setting_common_options[];

/* IMIAD_UNKNOWN_OPTION names all that there are. */
imiad_status setting_find(const setting_ops **out, const char *name);

struct imiad_split {
    const setting_ops *setting;
    option_set *options;
    imiad_dataset *dataset;
    size_t category;
    entry_list train, test;
    size_t drawn; /* images, however often augmented */
};

/* An empty split of a category, its options parsed. Errors: no such option or category, or one that
 * could not be listed. */
imiad_status split_begin(imiad_split **out, const imiad_dataset *dataset, const char *category,
                         const setting_ops *setting, const imiad_option *options,
                         size_t option_count);
/* Every split passes this before it is handed out: it trains on something and tests on something.
 * Counts what was drawn. */
imiad_status split_finish(imiad_split *split);
/* fail(), with "setting NAME of category NAME: " before the message. */
imiad_status split_fail(const imiad_split *split, imiad_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

imiad_status split_add(entry_list *list, split_entry entry);

/* ---- for settings, while they draw (split_draw.c) ---- */

/* The training normals in the dataset's order; the whole test set. */
imiad_status split_add_normals(imiad_split *split);
imiad_status split_add_tests(imiad_split *split);
/* The test set without these samples. */
imiad_status split_add_other_tests(imiad_split *split, const size_t *left_out, size_t count);
imiad_status split_add_drawn(imiad_split *split, split_role role, const size_t *samples,
                             size_t count);

/* The category's samples of a subset with this label (-1: any), sorted bytewise by path and then
 * shuffled by the stream "split/SETTING/DATASET/CATEGORY" of the option seed: the first n are a
 * draw of n, and begin every larger one. */
typedef struct draw_pool {
    size_t *samples;
    size_t count;
} draw_pool;
imiad_status split_shuffle(draw_pool *out, const imiad_split *split, imiad_subset subset,
                           int32_t label);

/* Samples of a category in a subset with a label; a label below 0 stands for any. */
bool split_is_one(const sample *s, size_t category, imiad_subset subset, int32_t label);
size_t split_count(const imiad_dataset *dataset, size_t category, imiad_subset subset,
                   int32_t label);
/* floor(ratio * count), where a product that binary rounding left just below a whole number counts
 * as that number: floor(0.15 * 60) is 9. */
size_t split_share(double ratio, size_t count);

#endif
