/* Inside a split: what a setting of the benchmark fills in. */
#ifndef DATA_SPLIT_H
#define DATA_SPLIT_H

#include "data/dataset.h"
#include "imiad/split.h"

/* A sample as the method meets it. `label` is what training is told, which in the noisy setting is
 * not the truth: there a defective image counts as normal. `mask_allowed`: the method may look at
 * the ground truth (fully supervised setting). */
typedef struct split_entry {
    size_t sample;
    int32_t label;
    bool mask_allowed;
} split_entry;

typedef struct entry_list {
    split_entry *entries;
    size_t count, room;
} entry_list;

struct imiad_split {
    imiad_dataset *dataset;
    size_t category;
    const char *setting; /* static: "unsupervised" */
    entry_list train, test;
};

/* An empty split of a category. Errors: no such category, or one that could not be listed. */
imiad_status split_create(imiad_split **out, const imiad_dataset *dataset, const char *category,
                          const char *setting);
imiad_status split_add(entry_list *list, split_entry entry);

/* Adds the category's samples of a subset and label (-1: any), with their true label. */
imiad_status split_add_all(imiad_split *split, entry_list *list, imiad_subset subset,
                           int32_t label);
/* Every split passes this before it is handed out: it trains on something and tests on something.
 */
imiad_status split_check(const imiad_split *split);

#endif
