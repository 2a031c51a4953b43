#include "data/split.h"

#include <stdlib.h>

#include "base/error.h"

imiad_status split_create(imiad_split **out, const imiad_dataset *dataset, const char *category,
                          const char *setting)
{
    if (!out || !dataset || !category)
        return fail(IMIAD_INVALID_ARGUMENT, "split %s: out, dataset or category is NULL", setting);
    size_t index;
    TRY(dataset_find_category(&index, dataset, category));
    const category_entry *c = &dataset->categories[index];
    if (c->status != IMIAD_OK)
        return fail(c->status, "category %s could not be listed: %s", c->name, c->problem);
    imiad_split *split = calloc(1, sizeof *split);
    if (!split)
        return fail_memory("a split", sizeof *split);
    split->dataset = dataset_retain(dataset);
    split->category = index;
    split->setting = setting;
    *out = split;
    return IMIAD_OK;
}

imiad_status split_add(entry_list *list, split_entry entry)
{
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        split_entry *grown = realloc(list->entries, room * sizeof *grown);
        if (!grown)
            return fail_memory("a split", room * sizeof *grown);
        list->entries = grown;
        list->room = room;
    }
    list->entries[list->count++] = entry;
    return IMIAD_OK;
}

imiad_status split_add_all(imiad_split *split, entry_list *list, imiad_subset subset, int32_t label)
{
    const imiad_dataset *dataset = split->dataset;
    for (size_t i = 0; i < dataset->sample_count; ++i) {
        const sample *s = &dataset->samples[i];
        if ((size_t)s->category == split->category && s->subset == subset &&
            (label < 0 || s->label == label))
            TRY(split_add(list, (split_entry){.sample = i, .label = s->label}));
    }
    return IMIAD_OK;
}

static imiad_status fail_empty(const imiad_split *split, const char *what)
{
    const imiad_dataset *dataset = split->dataset;
    const char *layout = dataset->ops->layout;
    return fail(IMIAD_NOT_FOUND, "dataset %s%s%s: category %s has no %s%s%s", dataset->ops->name,
                *dataset->root ? " at " : "", dataset->root,
                dataset->categories[split->category].name, what, layout ? "; expected " : "",
                layout ? layout : "");
}

imiad_status split_check(const imiad_split *split)
{
    if (split->train.count == 0)
        return fail_empty(split, "normal training images");
    if (split->test.count == 0)
        return fail_empty(split, "test images");
    return IMIAD_OK;
}

imiad_status imiad_split_unsupervised(imiad_split **out, const imiad_dataset *dataset,
                                      const char *category)
{
    imiad_split *split = NULL;
    TRY(split_create(out ? &split : NULL, dataset, category, "unsupervised"));
    imiad_status status = split_add_all(split, &split->train, IMIAD_SUBSET_TRAIN, 0);
    if (status == IMIAD_OK)
        status = split_add_all(split, &split->test, IMIAD_SUBSET_TEST, -1);
    if (status == IMIAD_OK)
        status = split_check(split);
    if (status != IMIAD_OK) {
        imiad_split_free(split);
        return status;
    }
    *out = split;
    return IMIAD_OK;
}

void imiad_split_free(imiad_split *split)
{
    if (!split)
        return;
    imiad_dataset_free(split->dataset);
    free(split->train.entries);
    free(split->test.entries);
    free(split);
}

const imiad_dataset *imiad_split_dataset(const imiad_split *split)
{
    return split ? split->dataset : NULL;
}

const char *imiad_split_category(const imiad_split *split)
{
    return split ? split->dataset->categories[split->category].name : NULL;
}

const char *imiad_split_setting(const imiad_split *split)
{
    return split ? split->setting : NULL;
}

/* Past the end there is no sample: an index that no dataset has. */
static size_t sample_at(const entry_list *list, size_t index)
{
    return index < list->count ? list->entries[index].sample : SIZE_MAX;
}

size_t imiad_split_train_count(const imiad_split *split)
{
    return split ? split->train.count : 0;
}

size_t imiad_split_train(const imiad_split *split, size_t index)
{
    return split ? sample_at(&split->train, index) : SIZE_MAX;
}

int32_t imiad_split_train_label(const imiad_split *split, size_t index)
{
    return split && index < split->train.count ? split->train.entries[index].label : -1;
}

size_t imiad_split_test_count(const imiad_split *split)
{
    return split ? split->test.count : 0;
}

size_t imiad_split_test(const imiad_split *split, size_t index)
{
    return split ? sample_at(&split->test, index) : SIZE_MAX;
}
