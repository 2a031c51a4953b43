/* Making splits in tests. */
#ifndef TESTS_DATA_SPLITS_H
#define TESTS_DATA_SPLITS_H

#include "imiad/split.h"
#include "trees.h"

/* With the options {name, value, ..., NULL}, or NULL for none. */
static inline imiad_status split_with(imiad_split **out, const imiad_dataset *dataset,
                                      const char *category, const char *setting,
                                      const char *const *options)
{
    imiad_option pairs[16] = {{0}};
    size_t count = 0;
    for (; options && options[2 * count]; ++count)
        pairs[count] = (imiad_option){options[2 * count], options[2 * count + 1]};
    return imiad_split_create(out, dataset, category, setting, pairs, count);
}

static inline imiad_split *split_of(const imiad_dataset *dataset, const char *category,
                                    const char *setting, const char *const *options)
{
    imiad_split *split = NULL;
    ck_ok(split_with(&split, dataset, category, setting, options));
    return split;
}

/* Procedural images; nothing is painted before it is read. */
static inline imiad_dataset *products(int train, int test_good, int test_defective)
{
    char numbers[3][16];
    snprintf(numbers[0], sizeof numbers[0], "%d", train);
    snprintf(numbers[1], sizeof numbers[1], "%d", test_good);
    snprintf(numbers[2], sizeof numbers[2], "%d", test_defective);
    const imiad_option options[] = {{"train", numbers[0]},
                                    {"test_good", numbers[1]},
                                    {"test_defective", numbers[2]},
                                    {"size", "32"}};
    imiad_dataset *dataset = NULL;
    ck_ok(imiad_dataset_open(&dataset, "synthetic", NULL, options, 4));
    return dataset;
}

static inline bool tests_on(const imiad_split *split, size_t wanted)
{
    for (size_t i = 0; i < imiad_split_test_count(split); ++i)
        if (imiad_split_test(split, i) == wanted)
            return true;
    return false;
}

static inline bool trains_on(const imiad_split *split, size_t wanted)
{
    for (size_t i = 0; i < imiad_split_train_count(split); ++i)
        if (imiad_split_train(split, i) == wanted)
            return true;
    return false;
}

static inline void expect_same_split(const imiad_split *a, const imiad_split *b)
{
    ck_assert_uint_eq(imiad_split_train_count(a), imiad_split_train_count(b));
    ck_assert_uint_eq(imiad_split_test_count(a), imiad_split_test_count(b));
    ck_assert_uint_eq(imiad_split_drawn_count(a), imiad_split_drawn_count(b));
    for (size_t i = 0; i < imiad_split_train_count(a); ++i) {
        char augment_a[128], augment_b[128];
        ck_assert_str_eq(sample_of(imiad_split_dataset(a), imiad_split_train(a, i)).path,
                         sample_of(imiad_split_dataset(b), imiad_split_train(b, i)).path);
        ck_assert_str_eq(imiad_split_train_role(a, i), imiad_split_train_role(b, i));
        ck_ok(imiad_split_train_augmentation(augment_a, a, i));
        ck_ok(imiad_split_train_augmentation(augment_b, b, i));
        ck_assert_str_eq(augment_a, augment_b);
    }
    for (size_t i = 0; i < imiad_split_test_count(a); ++i)
        ck_assert_str_eq(sample_of(imiad_split_dataset(a), imiad_split_test(a, i)).path,
                         sample_of(imiad_split_dataset(b), imiad_split_test(b, i)).path);
}

#endif
