/* Splits: what a draw depends on, and what is refused. */
#include "base/random.h"
#include "splits.h"

/* ---- what all draws keep to ---- */

static const struct drawing {
    const char *setting, *option;
    const char *sizes[7]; /* rising */
    const char *role;
    imiad_subset subset;
    int32_t label;
} drawings[] = {
    {"noisy", "ratio", {"0.05", "0.1", "0.15", "0.2"}, "train_noise", IMIAD_SUBSET_TEST, 1},
    {"supervised",
     "anomalies",
     {"1", "2", "4", "5", "8", "10"},
     "train_anomaly",
     IMIAD_SUBSET_TEST,
     1},
    {"fewshot", "shots", {"1", "2", "4", "8"}, "train_shot", IMIAD_SUBSET_TRAIN, 0},
    {"transfer", "shots", {"1", "2", "4", "8"}, "train_shot", IMIAD_SUBSET_TRAIN, 0},
};
enum { DRAWINGS = sizeof drawings / sizeof *drawings };

/* The drawn images of a split, in their order. */
static size_t list_drawn(size_t out[64], const imiad_split *split, const char *role)
{
    size_t count = 0;
    for (size_t i = 0; i < imiad_split_train_count(split); ++i)
        if (strcmp(imiad_split_train_role(split, i), role) == 0) {
            ck_assert_uint_lt(count, 64);
            out[count++] = imiad_split_train(split, i);
        }
    return count;
}

START_TEST(a_larger_draw_begins_with_the_smaller_ones)
{
    const struct drawing *w = &drawings[_i];
    imiad_dataset *d = products(100, 12, 40);
    for (int seed = 0; seed < 5; ++seed) {
        char text[16];
        snprintf(text, sizeof text, "%d", seed);
        size_t before[64], count_before = 0;
        for (int s = 0; w->sizes[s]; ++s) {
            imiad_split *split =
                split_of(d, "fabric", w->setting, OPTIONS(w->option, w->sizes[s], "seed", text));
            size_t drawn[64], count = list_drawn(drawn, split, w->role);
            ck_assert_uint_eq(count, imiad_split_drawn_count(split));
            ck_assert_uint_gt(count, count_before);
            ck_assert_mem_eq(drawn, before, count_before * sizeof *drawn);
            memcpy(before, drawn, sizeof before);
            count_before = count;
            imiad_split_free(split);
        }
    }
    imiad_dataset_free(d);
}
END_TEST

START_TEST(what_is_drawn_is_what_the_setting_says)
{
    const struct drawing *w = &drawings[_i];
    imiad_dataset *d = products(100, 12, 40);
    imiad_split *split = split_of(d, "circuit", w->setting, NULL);
    size_t drawn[64], count = list_drawn(drawn, split, w->role);
    ck_assert_uint_gt(count, 0);
    for (size_t i = 0; i < count; ++i) {
        imiad_sample s = sample_of(d, drawn[i]);
        ck_assert_int_eq(s.subset, w->subset);
        ck_assert_int_eq(s.label, w->label);
        ck_assert_str_eq(imiad_dataset_category(d, (size_t)s.category), "circuit");
        for (size_t j = 0; j < i; ++j)
            ck_assert_uint_ne(drawn[i], drawn[j]);
    }
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The rule that docs/settings.md states, step by step. */
START_TEST(a_draw_is_a_shuffle_of_the_sorted_paths)
{
    const struct drawing *w = &drawings[_i];
    imiad_dataset *d = products(100, 12, 40);
    const char *paths[128];
    size_t order[128], count = 0;
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i) {
        imiad_sample s = sample_of(d, i);
        if (s.subset == w->subset && s.label == w->label &&
            strcmp(imiad_dataset_category(d, (size_t)s.category), "fabric") == 0)
            paths[count++] = s.path;
    }
    qsort(paths, count, sizeof *paths, compare_text);
    for (size_t i = 0; i < count; ++i)
        order[i] = i;
    char purpose[64];
    snprintf(purpose, sizeof purpose, "split/%s/synthetic/fabric", w->setting);
    random_stream stream = random_open(7, purpose);
    random_shuffle(&stream, order, count);
    imiad_split *split = split_of(d, "fabric", w->setting, OPTIONS("seed", "7"));
    size_t drawn[64], drawn_count = list_drawn(drawn, split, w->role);
    for (size_t i = 0; i < drawn_count; ++i)
        ck_assert_str_eq(sample_of(d, drawn[i]).path, paths[order[i]]);
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

/* The dataset's order goes folder by folder, in which "a/1" comes before "a-b/1". */
START_TEST(candidates_are_sorted_bytewise)
{
    tree_begin();
    static const char *const files[] = {"nut/train/good/0.png", "nut/test/good/0.png",
                                        "nut/test/a/1.png", "nut/test/a-b/1.png"};
    for (int i = 0; i < 4; ++i)
        tree_bytes(files[i], "", 0);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    size_t order[2] = {0, 1};
    random_stream stream = random_open(0, "split/supervised/mvtec_ad/nut");
    random_shuffle(&stream, order, 2);
    imiad_split *split = split_of(d, "nut", "supervised", NULL);
    const char *const sorted[2] = {"nut/test/a-b/1.png", "nut/test/a/1.png"};
    ck_assert_str_eq(sample_of(d, 1).path, "nut/test/a/1.png");
    ck_assert_str_eq(sample_of(d, 2).path, "nut/test/a-b/1.png");
    ck_assert_uint_eq(imiad_split_drawn_count(split), 1);
    ck_assert_str_eq(sample_of(d, imiad_split_train(split, 1)).path, sorted[order[0]]);
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(the_same_seed_draws_the_same_and_another_seed_does_not)
{
    const struct drawing *w = &drawings[_i];
    imiad_dataset *d = products(100, 12, 40), *again = products(100, 12, 40);
    imiad_split *a = split_of(d, "fabric", w->setting, OPTIONS("seed", "3"));
    imiad_split *b = split_of(again, "fabric", w->setting, OPTIONS("seed", "3"));
    imiad_split *c = split_of(d, "fabric", w->setting, OPTIONS("seed", "4"));
    expect_same_split(a, b);
    size_t drawn_a[64], drawn_c[64], count = list_drawn(drawn_a, a, w->role);
    ck_assert_uint_eq(list_drawn(drawn_c, c, w->role), count);
    ck_assert_mem_ne(drawn_a, drawn_c, count * sizeof *drawn_a);
    imiad_split_free(a);
    imiad_split_free(b);
    imiad_split_free(c);
    imiad_dataset_free(d);
    imiad_dataset_free(again);
}
END_TEST

START_TEST(other_categories_change_no_draw)
{
    const struct drawing *w = &drawings[_i];
    tree_begin();
    static const char *const categories[] = {"m", "a", "z"}; /* m alone, then with the others */
    imiad_dataset *alone, *all;
    for (int c = 0; c < 3; ++c) {
        for (int i = 0; i < 40; ++i) {
            char path[64];
            snprintf(path, sizeof path, "%s/train/good/%03d.png", categories[c], i);
            tree_bytes(path, "", 0);
            snprintf(path, sizeof path, "%s/test/hole/%03d.png", categories[c], i);
            tree_bytes(path, "", 0);
            snprintf(path, sizeof path, "%s/test/good/%03d.png", categories[c], i);
            tree_bytes(path, "", 0);
        }
        if (c == 0)
            ck_ok(tree_open(&alone, "mvtec_ad", NULL));
    }
    ck_ok(tree_open(&all, "mvtec_ad", NULL));
    ck_assert_uint_eq(imiad_dataset_category_count(all), 3);
    imiad_split *first = split_of(alone, "m", w->setting, NULL);
    for (size_t i = 0; i < imiad_setting_count(); ++i) /* nor do other settings */
        imiad_split_free(split_of(all, "a", imiad_setting_name(i), NULL));
    imiad_split *second = split_of(all, "m", w->setting, NULL);
    expect_same_split(first, second);
    imiad_split *other = split_of(all, "a", w->setting, NULL);
    size_t drawn_m[64], drawn_a[64], count = list_drawn(drawn_m, second, w->role), equal = 0;
    list_drawn(drawn_a, other, w->role);
    for (size_t i = 0; i < count; ++i)
        equal +=
            strcmp(sample_of(all, drawn_m[i]).path + 1, sample_of(all, drawn_a[i]).path + 1) == 0;
    ck_assert_uint_lt(equal, count); /* each category has a stream of its own */
    imiad_split_free(first);
    imiad_split_free(second);
    imiad_split_free(other);
    imiad_dataset_free(alone);
    imiad_dataset_free(all);
}
END_TEST

/* Source: tests/golden/draw.py, a second implementation of the rule in docs/settings.md. */
START_TEST(a_known_seed_draws_known_images)
{
    static const char *const known[] = {"hex_nut/train/good/028.png", "hex_nut/train/good/003.png",
                                        "hex_nut/train/good/012.png", "hex_nut/train/good/021.png"};
    imiad_dataset *d = products(40, 20, 20);
    imiad_split *split = split_of(d, "hex_nut", "fewshot", OPTIONS("seed", "42"));
    for (size_t i = 0; i < 4; ++i)
        ck_assert_str_eq(sample_of(d, imiad_split_train(split, i)).path, known[i]);
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(no_image_trains_and_tests_unless_overlap_is_asked_for)
{
    imiad_dataset *d = products(100, 12, 40);
    for (size_t s = 0; s < imiad_setting_count(); ++s) {
        const char *setting = imiad_setting_name(s);
        imiad_split *split = split_of(d, "fuse_box", setting, NULL);
        size_t drawn = imiad_split_drawn_count(split);
        for (size_t i = 0; i < imiad_split_train_count(split); ++i)
            ck_assert(!tests_on(split, imiad_split_train(split, i)));
        bool has_overlap = imiad_split_option(split, "overlap") != NULL;
        ck_assert_uint_eq(imiad_split_test_count(split), 52 - (has_overlap ? drawn : 0));
        imiad_split_free(split);
        if (!has_overlap)
            continue;
        split = split_of(d, "fuse_box", setting, OPTIONS("overlap", "true"));
        ck_assert_uint_eq(imiad_split_test_count(split), 52);
        size_t both = 0;
        for (size_t i = 0; i < imiad_split_test_count(split); ++i)
            both += trains_on(split, imiad_split_test(split, i));
        ck_assert_uint_eq(both, drawn);
        imiad_split_free(split);
    }
    imiad_dataset_free(d);
}
END_TEST

/* ---- options and arguments ---- */

static const struct {
    const char *setting;
    const char *options[7];
    imiad_status status;
    const char *message;
} refused[] = {
    {"few-shot", {NULL}, IMIAD_UNKNOWN_OPTION, "unsupervised supervised fewshot noisy transfer"},
    {"unsupervised", {"shots", "3"}, IMIAD_UNKNOWN_OPTION, "setting unsupervised has no option"},
    {"fewshot", {"seed", "-1"}, IMIAD_OUT_OF_RANGE, "seed"},
    {"fewshot", {"shots", "0"}, IMIAD_OUT_OF_RANGE, "shots"},
    {"fewshot", {"augmentation", "rotations"}, IMIAD_OUT_OF_RANGE, "none|rotation|flip"},
    {"fewshot", {"augmentation_count", "0"}, IMIAD_OUT_OF_RANGE, "augmentation_count"},
    {"fewshot", {"rotation_accumulate", "true"}, IMIAD_INVALID_ARGUMENT, "augmentation=rotation"},
    {"fewshot",
     {"rotation_accumulate", "true", "augmentation", "flip"},
     IMIAD_INVALID_ARGUMENT,
     "augmentation=rotation"},
    {"transfer", {"augmentation", "none"}, IMIAD_UNKNOWN_OPTION, "augmentation"},
    {"noisy", {"ratio", "0"}, IMIAD_OUT_OF_RANGE, "ratio"},
    {"noisy", {"ratio", "1.1"}, IMIAD_OUT_OF_RANGE, "ratio"},
    {"noisy", {"cap", "0"}, IMIAD_OUT_OF_RANGE, "cap"},
    {"noisy",
     {"fixed_test_set", "true", "overlap", "true"},
     IMIAD_INVALID_ARGUMENT,
     "fixed_test_set removes images that overlap keeps"},
    {"noisy",
     {"fixed_test_set", "true", "ratio", "0.3"},
     IMIAD_INVALID_ARGUMENT,
     "ratio 0.3 is above largest_ratio 0.2"},
    {"supervised", {"anomalies", "0"}, IMIAD_OUT_OF_RANGE, "anomalies"},
    {"supervised", {"pool", "validation"}, IMIAD_OUT_OF_RANGE, "test|train"},
    {"supervised", {"pool", "train", "overlap", "true"}, IMIAD_INVALID_ARGUMENT, "overlap needs"},
    {"supervised",
     {"pool", "train", "sampler_label_bug", "true"},
     IMIAD_INVALID_ARGUMENT,
     "sampler_label_bug needs"},
    {"supervised", {"pool", "train", "cap_leak", "true"}, IMIAD_INVALID_ARGUMENT, "cap_leak needs"},
};

START_TEST(options_that_cannot_be_are_refused)
{
    imiad_dataset *d = products(10, 5, 5);
    imiad_split *split = NULL;
    ck_fails(split_with(&split, d, "fabric", refused[_i].setting, refused[_i].options),
             refused[_i].status, refused[_i].message);
    ck_assert_ptr_null(split);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_hundred_copies_of_many_shots_cannot_accumulate)
{
    imiad_dataset *d = products(20, 5, 5);
    imiad_split *split = NULL;
    ck_fails(split_with(&split, d, "fabric", "fewshot",
                        OPTIONS("shots", "10", "augmentation", "rotation", "augmentation_count",
                                "100", "rotation_accumulate", "true")),
             IMIAD_OUT_OF_RANGE, "at most 1000 images");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(every_setting_lists_its_options)
{
    ck_assert_uint_eq(imiad_setting_count(), 5);
    imiad_dataset *d = products(10, 5, 5);
    for (size_t s = 0; s < imiad_setting_count(); ++s) {
        const char *name = imiad_setting_name(s);
        ck_assert_uint_gt(strlen(imiad_setting_title(s)), 0);
        imiad_split *split = split_of(d, "fabric", name, NULL);
        ck_assert_str_eq(imiad_split_setting(split), name);
        imiad_option_info info = IMIAD_OPTION_INFO_INIT;
        size_t i = 0;
        for (; imiad_setting_option_info(&info, name, i) == IMIAD_OK; ++i) {
            ck_assert_str_eq(imiad_split_option(split, info.name), info.default_value);
            ck_assert_uint_gt(strlen(info.help), 0);
        }
        ck_assert_uint_ge(i, 1);
        imiad_split_free(split);
        ck_fails(imiad_setting_option_info(&info, name, i), IMIAD_OUT_OF_RANGE, "option");
    }
    imiad_option_info info = IMIAD_OPTION_INFO_INIT;
    ck_fails(imiad_setting_option_info(&info, "vanilla", 0), IMIAD_UNKNOWN_OPTION, "vanilla");
    ck_fails(imiad_setting_option_info(&info, NULL, 0), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_assert_ptr_null(imiad_setting_name(5));
    ck_assert_ptr_null(imiad_setting_title(5));
    imiad_dataset_free(d);
}
END_TEST

/* Behind the shots, in the dataset's order; no test image of another category is among them. */
START_TEST(sources_are_the_normal_training_images_of_the_other_categories)
{
    const imiad_option options[] = {{"shots", "2"}, {"source", "others"}};
    imiad_dataset *d = products(4, 3, 3);
    imiad_split *split, *without;
    ck_ok(imiad_split_create(&split, d, "fabric", "fewshot", options, 2));
    ck_ok(imiad_split_create(&without, d, "fabric", "fewshot", options, 1));
    size_t others = imiad_dataset_category_count(d) - 1;
    ck_assert_uint_eq(imiad_split_train_count(split), 2 + 4 * others);
    ck_assert_uint_eq(imiad_split_drawn_count(split), 2);
    ck_assert_uint_eq(imiad_split_test_count(split), imiad_split_test_count(without));
    for (size_t i = 0; i < imiad_split_train_count(split); ++i) {
        imiad_sample sample = IMIAD_SAMPLE_INIT;
        ck_ok(imiad_dataset_sample(&sample, d, imiad_split_train(split, i)));
        bool own = strcmp(imiad_dataset_category(d, (size_t)sample.category), "fabric") == 0;
        ck_assert_int_eq(own, i < 2);
        ck_assert_str_eq(imiad_split_train_role(split, i), own ? "train_shot" : "train_source");
        ck_assert_int_eq(sample.label, 0);
        ck_assert_int_eq(sample.subset, IMIAD_SUBSET_TRAIN);
    }
    imiad_split_free(split);
    imiad_split_free(without);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(splits_that_are_joined_train_and_test_on_all_of_them)
{
    imiad_dataset *d = products(10, 5, 5), *other = products(10, 5, 5);
    const char *const names[] = {"hex_nut", "fabric"};
    imiad_split *splits[3], *joined;
    for (int i = 0; i < 2; ++i)
        ck_ok(imiad_split_create(&splits[i], d, names[i], "unsupervised", NULL, 0));
    ck_ok(imiad_split_create(&splits[2], other, "fabric", "unsupervised", NULL, 0));
    ck_ok(imiad_split_join(&joined, (const imiad_split *const *)splits, 2));
    ck_assert_str_eq(imiad_split_category(joined), "hex_nut");
    ck_assert_uint_eq(imiad_split_train_count(joined), 20);
    ck_assert_uint_eq(imiad_split_test_count(joined), 20);
    for (size_t i = 0; i < 20; ++i) {
        ck_assert_uint_eq(imiad_split_train(joined, i), imiad_split_train(splits[i / 10], i % 10));
        ck_assert_uint_eq(imiad_split_test(joined, i), imiad_split_test(splits[i / 10], i % 10));
    }
    imiad_split_free(joined);
    ck_fails(imiad_split_join(&joined, (const imiad_split *const *)splits, 3),
             IMIAD_INVALID_ARGUMENT, "split 2 is NULL, or of another dataset");
    ck_fails(imiad_split_join(&joined, (const imiad_split *const *)splits, 0),
             IMIAD_INVALID_ARGUMENT, "NULL");
    for (int i = 0; i < 3; ++i)
        imiad_split_free(splits[i]);
    imiad_dataset_free(d);
    imiad_dataset_free(other);
}
END_TEST

START_TEST(arguments_are_checked)
{
    imiad_dataset *d = products(10, 5, 5);
    imiad_split *split;
    ck_fails(imiad_split_create(&split, d, "fabric", NULL, NULL, 0), IMIAD_INVALID_ARGUMENT,
             "the setting's name is NULL");
    ck_fails(imiad_split_create(&split, d, "fabric", "noisy", NULL, 1), IMIAD_INVALID_ARGUMENT,
             "options is NULL");
    ck_fails(imiad_split_create(&split, d, "wool", "noisy", NULL, 0), IMIAD_NOT_FOUND, "wool");
    ck_assert_uint_eq(imiad_split_drawn_count(NULL), 0);
    ck_assert_double_eq(imiad_split_drawn_ratio(NULL), 0);
    ck_assert_ptr_null(imiad_split_option(NULL, "seed"));
    ck_assert_ptr_null(imiad_split_setting(NULL));
    ck_assert_int_eq(imiad_split_train_label(NULL, 0), -1);
    imiad_dataset_free(d);
}
END_TEST

SUITE("split", LOOP_TEST(a_larger_draw_begins_with_the_smaller_ones, DRAWINGS),
      LOOP_TEST(what_is_drawn_is_what_the_setting_says, DRAWINGS),
      LOOP_TEST(a_draw_is_a_shuffle_of_the_sorted_paths, DRAWINGS),
      TEST(candidates_are_sorted_bytewise),
      LOOP_TEST(the_same_seed_draws_the_same_and_another_seed_does_not, DRAWINGS),
      LOOP_TEST(other_categories_change_no_draw, DRAWINGS), TEST(a_known_seed_draws_known_images),
      TEST(no_image_trains_and_tests_unless_overlap_is_asked_for),
      LOOP_TEST(options_that_cannot_be_are_refused, sizeof refused / sizeof *refused),
      TEST(a_hundred_copies_of_many_shots_cannot_accumulate), TEST(every_setting_lists_its_options),
      TEST(splits_that_are_joined_train_and_test_on_all_of_them),
      TEST(sources_are_the_normal_training_images_of_the_other_categories),
      TEST(arguments_are_checked))
