/* The split handle. */
#include "data/split.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arrays.h"
#include "base/error.h"

const option_spec setting_common_options[] = {
    {"seed", OPT_INT, "0", "0..", "another seed draws other images; what is not drawn ignores it"},
    {0},
};

const role_info split_roles[ROLE_COUNT] = {
    [ROLE_TRAIN] = {"train", 0, false},          [ROLE_SHOT] = {"train_shot", 0, true},
    [ROLE_ANOMALY] = {"train_anomaly", 1, true}, [ROLE_NOISE] = {"train_noise", 0, true},
    [ROLE_TEST] = {"test", -1, false},           [ROLE_SOURCE] = {"train_source", 0, false},
};

imiad_status split_begin(imiad_split **out, const imiad_dataset *dataset, const char *category,
                         const setting_ops *setting, const imiad_option *options,
                         size_t option_count)
{
    if (!out || !dataset || !category)
        return fail(IMIAD_INVALID_ARGUMENT, "split: out, dataset or category is NULL");
    size_t index;
    TRY(dataset_find_category(&index, dataset, category));
    const category_entry *c = &dataset->categories[index];
    if (c->status != IMIAD_OK)
        return fail(c->status, "category %s could not be listed: %s", c->name, c->problem);
    char owner[64];
    snprintf(owner, sizeof owner, "setting %s", setting->name);
    option_set *parsed;
    TRY(options_parse(&parsed, owner,
                      (const option_spec *const[]){setting_common_options, setting->options, NULL},
                      options, option_count));
    imiad_split *split = calloc(1, sizeof *split);
    if (!split) {
        options_free(parsed);
        return fail_memory("a split", sizeof *split);
    }
    split->setting = setting;
    split->options = parsed;
    split->dataset = dataset_retain(dataset);
    split->category = index;
    *out = split;
    return IMIAD_OK;
}

void imiad_split_free(imiad_split *split)
{
    if (!split)
        return;
    imiad_dataset_free(split->dataset);
    options_free(split->options);
    free(split->train.entries);
    free(split->test.entries);
    free(split);
}

imiad_status split_add(entry_list *list, split_entry entry)
{
    TRY(array_reserve(&list->entries, list->count, &list->room, sizeof *list->entries, "a split"));
    list->entries[list->count++] = entry;
    return IMIAD_OK;
}

imiad_status split_fail(const imiad_split *split, imiad_status status, const char *format, ...)
{
    char message[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return fail(status, "setting %s of category %s: %s", split->setting->name,
                imiad_split_category(split), message);
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

static imiad_status count_drawn(imiad_split *split)
{
    bool *drawn = calloc(split->dataset->sample_count + 1, sizeof *drawn);
    if (!drawn)
        return fail_memory("a split", split->dataset->sample_count);
    for (size_t i = 0; i < split->train.count; ++i) {
        const split_entry *entry = &split->train.entries[i];
        if (split_roles[entry->role].drawn && !drawn[entry->sample]) {
            drawn[entry->sample] = true;
            split->drawn++;
        }
    }
    free(drawn);
    return IMIAD_OK;
}

bool split_is_one(const sample *s, size_t category, imiad_subset subset, int32_t label)
{
    return (size_t)s->category == category && s->subset == subset &&
           (label < 0 || s->label == label);
}

size_t split_count(const imiad_dataset *dataset, size_t category, imiad_subset subset,
                   int32_t label)
{
    size_t count = 0;
    for (size_t i = 0; i < dataset->sample_count; ++i)
        count += split_is_one(&dataset->samples[i], category, subset, label);
    return count;
}

imiad_status split_finish(imiad_split *split)
{
    if (split->train.count == 0)
        return fail_empty(split, "normal training images");
    if (split->test.count == 0 && !split->dataset->ops->may_lack_tests)
        return fail_empty(split, "test images");
    return count_drawn(split);
}

static imiad_status append(entry_list *list, const entry_list *more)
{
    for (size_t i = 0; i < more->count; ++i)
        TRY(split_add(list, more->entries[i]));
    return IMIAD_OK;
}

/* An empty split like this one. */
static imiad_status begin_like(imiad_split **out, const imiad_split *like)
{
    size_t count = options_count(like->options);
    imiad_option *given = calloc(count + 1, sizeof *given);
    if (!given)
        return fail_memory("a split", count * sizeof *given);
    for (size_t i = 0; i < count; ++i)
        given[i] = options_get(like->options, i);
    imiad_status status =
        split_begin(out, like->dataset, imiad_split_category(like), like->setting, given, count);
    free(given);
    return status;
}

imiad_status imiad_split_join(imiad_split **out, const imiad_split *const *splits, size_t count)
{
    if (!out || !splits || count == 0 || !splits[0])
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_split_join: out or a split is NULL");
    for (size_t i = 1; i < count; ++i)
        if (!splits[i] || splits[i]->dataset != splits[0]->dataset ||
            splits[i]->setting != splits[0]->setting)
            return fail(IMIAD_INVALID_ARGUMENT,
                        "imiad_split_join: split %zu is NULL, or of another dataset or setting", i);
    imiad_split *joined;
    TRY(begin_like(&joined, splits[0]));
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < count; ++i) {
        status = append(&joined->train, &splits[i]->train);
        if (status == IMIAD_OK)
            status = append(&joined->test, &splits[i]->test);
    }
    if (status == IMIAD_OK)
        status = split_finish(joined);
    if (status != IMIAD_OK) {
        imiad_split_free(joined);
        return status;
    }
    *out = joined;
    return IMIAD_OK;
}

imiad_status imiad_split_check(const imiad_split *split)
{
    if (!split)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_split_check: split is NULL");
    size_t count = 0, first = 0;
    for (size_t i = split->test.count; i > 0; --i)
        if (dataset_lacks_mask(split->dataset, split->test.entries[i - 1].sample)) {
            first = split->test.entries[i - 1].sample;
            ++count;
        }
    if (count == 0)
        return IMIAD_OK;
    imiad_status status = dataset_fail_missing_mask(split->dataset, first);
    return count > 1 ? fail_within(status, "%zu test images lack their masks", count) : status;
}

/* ---- looking at it ---- */

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
    return split ? split->setting->name : NULL;
}

const char *imiad_split_option(const imiad_split *split, const char *name)
{
    return split && name ? options_find(split->options, name) : NULL;
}

/* Past the end there is no sample: an index that no dataset has. */
static size_t sample_at(const entry_list *list, size_t index)
{
    return index < list->count ? list->entries[index].sample : SIZE_MAX;
}

static const role_info *train_role(const imiad_split *split, size_t index)
{
    return split && index < split->train.count ? &split_roles[split->train.entries[index].role]
                                               : NULL;
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
    const role_info *role = train_role(split, index);
    return role ? role->label : -1;
}

const char *imiad_split_train_role(const imiad_split *split, size_t index)
{
    const role_info *role = train_role(split, index);
    return role ? role->name : NULL;
}

size_t imiad_split_test_count(const imiad_split *split)
{
    return split ? split->test.count : 0;
}

size_t imiad_split_test(const imiad_split *split, size_t index)
{
    return split ? sample_at(&split->test, index) : SIZE_MAX;
}

imiad_status imiad_split_train_augmentation(char out[128], const imiad_split *split, size_t index)
{
    _Static_assert(AUGMENT_TEXT_BYTES == 128, "the public size");
    if (!out || !split)
        return fail(IMIAD_INVALID_ARGUMENT, "imiad_split_train_augmentation: NULL");
    if (index >= split->train.count)
        return fail(IMIAD_OUT_OF_RANGE, "training image %zu of %zu", index, split->train.count);
    augment_print(out, &split->train.entries[index].augment);
    return IMIAD_OK;
}

size_t imiad_split_drawn_count(const imiad_split *split)
{
    return split ? split->drawn : 0;
}

double imiad_split_drawn_ratio(const imiad_split *split)
{
    if (!split)
        return 0;
    size_t normals = split_count(split->dataset, split->category, IMIAD_SUBSET_TRAIN, 0);
    return normals > 0 ? (double)split->drawn / (double)normals : 0;
}
