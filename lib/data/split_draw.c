/* What the settings share: counting, drawing and adding the samples of a category. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "data/split.h"

size_t split_share(double ratio, size_t count)
{
    return (size_t)floor(ratio * (double)count + 1e-9);
}

/* ---- adding ---- */

imiad_status split_add_normals(imiad_split *split)
{
    const imiad_dataset *dataset = split->dataset;
    for (size_t i = 0; i < dataset->sample_count; ++i)
        if (split_is_one(&dataset->samples[i], split->category, IMIAD_SUBSET_TRAIN, 0))
            TRY(split_add(&split->train, (split_entry){.sample = i, .role = ROLE_TRAIN}));
    return IMIAD_OK;
}

imiad_status split_add_tests(imiad_split *split)
{
    return split_add_other_tests(split, NULL, 0);
}

imiad_status split_add_other_tests(imiad_split *split, const size_t *left_out, size_t count)
{
    const imiad_dataset *dataset = split->dataset;
    bool *absent = calloc(dataset->sample_count + 1, sizeof *absent);
    if (!absent)
        return fail_memory("a split", dataset->sample_count);
    for (size_t i = 0; i < count; ++i)
        absent[left_out[i]] = true;
    imiad_status status = IMIAD_OK;
    for (size_t i = 0; status == IMIAD_OK && i < dataset->sample_count; ++i)
        if (!absent[i] &&
            split_is_one(&dataset->samples[i], split->category, IMIAD_SUBSET_TEST, -1))
            status = split_add(&split->test, (split_entry){.sample = i, .role = ROLE_TEST});
    free(absent);
    return status;
}

imiad_status split_add_drawn(imiad_split *split, split_role role, const size_t *samples,
                             size_t count)
{
    for (size_t i = 0; i < count; ++i)
        TRY(split_add(&split->train, (split_entry){.sample = samples[i], .role = role}));
    return IMIAD_OK;
}

/* ---- drawing ---- */

static int compare_paths(const void *left, const void *right, void *dataset)
{
    const sample *samples = ((const imiad_dataset *)dataset)->samples;
    return strcmp(samples[*(const size_t *)left].path, samples[*(const size_t *)right].path);
}

imiad_status split_shuffle(draw_pool *out, const imiad_split *split, imiad_subset subset,
                           int32_t label)
{
    const imiad_dataset *dataset = split->dataset;
    size_t wanted = split_count(dataset, split->category, subset, label);
    draw_pool pool = {malloc((wanted + 1) * sizeof *pool.samples), 0};
    char *purpose;
    if (asprintf(&purpose, "split/%s/%s/%s", split->setting->name, imiad_dataset_name(dataset),
                 imiad_split_category(split)) < 0)
        purpose = NULL;
    if (!pool.samples || !purpose) {
        free(pool.samples);
        free(purpose);
        return fail_memory("a split", wanted * sizeof *pool.samples);
    }
    for (size_t i = 0; i < dataset->sample_count; ++i)
        if (split_is_one(&dataset->samples[i], split->category, subset, label))
            pool.samples[pool.count++] = i;
    qsort_r(pool.samples, pool.count, sizeof *pool.samples, compare_paths, split->dataset);
    random_stream stream = random_open((uint64_t)options_int(split->options, "seed"), purpose);
    random_shuffle(&stream, pool.samples, pool.count);
    free(purpose);
    *out = pool;
    return IMIAD_OK;
}
