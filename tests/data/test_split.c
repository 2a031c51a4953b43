/* The settings of the benchmark: what each draws, and what a draw depends on. */
#include <math.h>

#include "base/random.h"
#include "data/loader.h"
#include "splits.h"

/* ---- the noisy setting's arithmetic ---- */

static const char *const ratios[] = {"0.05", "0.1", "0.15", "0.2"};

/* Source: K = min(floor(r N), floor(0.75 D)) by hand from the published counts of MVTec AD
 * (Bergmann et al., IJCV 2021) and MPDD (Jezek et al., ICUMT 2021). */
static const struct {
    const char *category;
    int normals, defective, cap, drawn[4];
} noise_table[] = {
    {"bottle", 209, 63, 47, {10, 20, 31, 41}},
    {"cable", 224, 92, 69, {11, 22, 33, 44}},
    {"capsule", 219, 109, 81, {10, 21, 32, 43}},
    {"carpet", 280, 89, 66, {14, 28, 42, 56}},
    {"grid", 264, 57, 42, {13, 26, 39, 42}},
    {"hazelnut", 391, 70, 52, {19, 39, 52, 52}},
    {"leather", 245, 92, 69, {12, 24, 36, 49}},
    {"metal_nut", 220, 93, 69, {11, 22, 33, 44}},
    {"pill", 267, 141, 105, {13, 26, 40, 53}},
    {"screw", 320, 119, 89, {16, 32, 48, 64}},
    {"tile", 230, 84, 63, {11, 23, 34, 46}},
    {"toothbrush", 60, 30, 22, {3, 6, 9, 12}},
    {"transistor", 213, 40, 30, {10, 21, 30, 30}},
    {"wood", 247, 60, 45, {12, 24, 37, 45}},
    {"zipper", 240, 119, 89, {12, 24, 36, 48}},
    {"bracket_black", 289, 47, 35, {14, 28, 35, 35}},
    {"bracket_brown", 185, 51, 38, {9, 18, 27, 37}},
    {"bracket_white", 110, 30, 22, {5, 11, 16, 22}},
    {"connector", 128, 14, 10, {6, 10, 10, 10}},
    {"metal_plate", 54, 71, 53, {2, 5, 8, 10}},
    {"tubes", 122, 69, 51, {6, 12, 18, 24}},
};
enum { NOISE_ROWS = sizeof noise_table / sizeof *noise_table };

static void expect_noise(int row)
{
    int normals = noise_table[row].normals, defective = noise_table[row].defective;
    imiad_dataset *d = products(normals, 20, defective);
    for (int r = 0; r < 4; ++r) {
        size_t drawn = (size_t)noise_table[row].drawn[r];
        imiad_split *split = split_of(d, "hex_nut", "noisy", OPTIONS("ratio", ratios[r]));
        ck_assert_msg(imiad_split_drawn_count(split) == drawn, "%s at %s: %zu",
                      noise_table[row].category, ratios[r], imiad_split_drawn_count(split));
        ck_assert_uint_eq(imiad_split_train_count(split), (size_t)normals + drawn);
        ck_assert_uint_eq(imiad_split_test_count(split), 20 + (size_t)defective - drawn);
        ck_assert_double_eq_tol(imiad_split_drawn_ratio(split), (double)drawn / normals, 1e-15);
        imiad_split_free(split);
    }
    imiad_split *all = split_of(d, "hex_nut", "noisy", OPTIONS("ratio", "1"));
    int cap = noise_table[row].cap;
    ck_assert_uint_eq(imiad_split_drawn_count(all), (size_t)(cap < normals ? cap : normals));
    imiad_split_free(all);
    imiad_dataset_free(d);
}

START_TEST(noise_is_a_share_of_the_normals_up_to_a_cap)
{
    for (int row = 0; row < NOISE_ROWS; ++row)
        expect_noise(row);
}
END_TEST

START_TEST(a_share_is_not_lost_to_binary_rounding)
{
    ck_assert_uint_eq(split_share(0.15, 60), 9);
    ck_assert_uint_eq(split_share(0.29, 100), 29); /* 0.29 * 100 is below 29 in binary */
    ck_assert(0.29 * 100 < 29);
    ck_assert_uint_eq(split_share(0.75, 14), 10);
    ck_assert_uint_eq(split_share(0.05, 19), 0);
    size_t lost = 0;
    for (size_t count = 0; count <= 3000; ++count)
        for (size_t percent = 1; percent <= 100; ++percent)
            lost += split_share((double)percent / 100, count) != percent * count / 100;
    ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(a_ratio_too_small_for_the_category_draws_nothing)
{
    imiad_dataset *d = products(9, 2, 5);
    imiad_split *split = split_of(d, "hex_nut", "noisy", NULL);
    ck_assert_uint_eq(imiad_split_drawn_count(split), 0);
    ck_assert_double_eq(imiad_split_drawn_ratio(split), 0);
    ck_assert_uint_eq(imiad_split_test_count(split), 7);
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

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

/* ---- each setting ---- */

START_TEST(the_unsupervised_setting_draws_nothing)
{
    imiad_dataset *d = products(30, 5, 6);
    imiad_split *a = split_of(d, "fabric", "unsupervised", NULL);
    imiad_split *b = split_of(d, "fabric", "unsupervised", OPTIONS("seed", "9"));
    expect_same_split(a, b);
    ck_assert_uint_eq(imiad_split_train_count(a), 30);
    ck_assert_uint_eq(imiad_split_test_count(a), 11);
    ck_assert_uint_eq(imiad_split_drawn_count(a), 0);
    ck_assert_str_eq(imiad_split_train_role(a, 29), "train");
    ck_assert_str_eq(imiad_split_option(b, "seed"), "9");
    ck_assert_ptr_null(imiad_split_option(b, "ratio"));
    imiad_split_free(a);
    imiad_split_free(b);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(shots_are_at_most_all_normals)
{
    imiad_dataset *d = products(6, 5, 6);
    static const char *const settings[] = {"fewshot", "transfer"};
    for (int s = 0; s < 2; ++s) {
        imiad_split *split = split_of(d, "fabric", settings[s], OPTIONS("shots", "8"));
        ck_assert_uint_eq(imiad_split_drawn_count(split), 6);
        ck_assert_uint_eq(imiad_split_train_count(split), 6);
        ck_assert_double_eq(imiad_split_drawn_ratio(split), 1);
        imiad_split_free(split);
    }
    imiad_dataset_free(d);
}
END_TEST

START_TEST(anomalies_are_told_and_noise_is_not)
{
    imiad_dataset *d = products(100, 12, 40);
    imiad_split *noisy = split_of(d, "fabric", "noisy", NULL);
    imiad_split *supervised = split_of(d, "fabric", "supervised", NULL);
    for (size_t i = 0; i < 110; ++i) {
        ck_assert_int_eq(imiad_split_train_label(noisy, i), 0);
        ck_assert_int_eq(imiad_split_train_label(supervised, i), i >= 100);
    }
    ck_assert_int_eq(imiad_split_train_label(noisy, 110), -1);
    ck_assert_ptr_null(imiad_split_train_role(noisy, 110));
    imiad_split_free(noisy);
    imiad_split_free(supervised);
    imiad_dataset_free(d);
}
END_TEST

/* Through the loader: the mask of an anomaly is the truth, that of noise is empty. */
START_TEST(training_sees_the_masks_of_anomalies_alone)
{
    imiad_dataset *d = products(10, 4, 8);
    imiad_split *split = split_of(d, "fabric", _i ? "supervised" : "noisy",
                                  _i ? OPTIONS("anomalies", "3") : OPTIONS("ratio", "0.3"));
    image_source source = {.dataset = imiad_split_dataset(split),
                           .entries = split->train.entries,
                           .count = split->train.count};
    loader_settings settings = {
        .geometry = {.squash = true, .resize = 32}, .batch = 13, .with_masks = true};
    loader *l;
    const loaded *items;
    size_t count;
    ck_ok(loader_open(&l, &source, &settings));
    ck_ok(loader_next(&items, &count, l));
    ck_assert_uint_eq(count, 13);
    for (size_t i = 0; i < count; ++i) {
        size_t defective = 0;
        for (int p = 0; p < 32 * 32; ++p)
            defective += items[i].mask->pixels[p] != 0;
        ck_assert_int_eq(items[i].label, _i && i >= 10);
        ck_assert_int_eq(defective > 0, _i && i >= 10);
    }
    loader_close(l);
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_fixed_test_set_is_the_same_for_all_ratios)
{
    imiad_dataset *d = products(213, 60, 40);
    imiad_split *largest =
        split_of(d, "fabric", "noisy", OPTIONS("fixed_test_set", "true", "ratio", "0.2"));
    imiad_split *plain = split_of(d, "fabric", "noisy", OPTIONS("ratio", "0.2"));
    expect_same_split(largest, plain);
    static const size_t drawn[] = {10, 21, 30, 30};
    for (int r = 0; r < 4; ++r) {
        imiad_split *split =
            split_of(d, "fabric", "noisy", OPTIONS("fixed_test_set", "true", "ratio", ratios[r]));
        ck_assert_uint_eq(imiad_split_drawn_count(split), drawn[r]);
        ck_assert_uint_eq(imiad_split_test_count(split), 70);
        for (size_t i = 0; i < 70; ++i)
            ck_assert_uint_eq(imiad_split_test(split, i), imiad_split_test(largest, i));
        for (size_t i = 213; i < imiad_split_train_count(split); ++i)
            ck_assert_uint_eq(imiad_split_train(split, i), imiad_split_train(largest, i));
        imiad_split_free(split);
    }
    imiad_split_free(largest);
    imiad_split_free(plain);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(anomalies_stop_at_the_cap)
{
    imiad_dataset *d = products(128, 30, 14); /* MPDD's connector: floor(0.75 * 14) = 10 */
    static const int drawn[] = {1, 2, 4, 5, 8, 10, 10};
    static const char *const asked[] = {"1", "2", "4", "5", "8", "10", "11"};
    for (int i = 0; i < 7; ++i) {
        imiad_split *split = split_of(d, "fabric", "supervised", OPTIONS("anomalies", asked[i]));
        ck_assert_uint_eq(imiad_split_drawn_count(split), (size_t)drawn[i]);
        ck_assert_uint_eq(imiad_split_test_count(split), 44 - (size_t)drawn[i]);
        imiad_split_free(split);
    }
    imiad_split *all = split_of(d, "fabric", "supervised", OPTIONS("anomalies", "99", "cap", "1"));
    ck_assert_uint_eq(imiad_split_drawn_count(all), 14);
    imiad_split_free(all);
    imiad_dataset_free(d);
}
END_TEST

/* A dataset such as DAGM has defective training images of its own. */
START_TEST(anomalies_can_come_from_the_training_set)
{
    tree_begin();
    for (int i = 0; i < 8; ++i) {
        static const char *const folders[] = {"good", "bad", "more", "ok"};
        for (int f = 0; f < 4; ++f) {
            char path[32];
            snprintf(path, sizeof path, "%s/%d.png", folders[f], i);
            tree_bytes(path, "", 0);
        }
    }
    imiad_dataset *d;
    ck_ok(tree_open(&d, "folder",
                    OPTIONS("train", "good/*", "train_defective", "bad/*", "test_defective",
                            "more/*", "test_good", "ok/*")));
    const char *category = imiad_dataset_category(d, 0);
    imiad_split *split =
        split_of(d, category, "supervised", OPTIONS("pool", "train", "anomalies", "7"));
    ck_assert_uint_eq(imiad_split_drawn_count(split), 7); /* the cap is the test set's */
    ck_assert_uint_eq(imiad_split_train_count(split), 15);
    ck_assert_uint_eq(imiad_split_test_count(split), 16);
    for (size_t i = 8; i < 15; ++i)
        ck_assert(strncmp(sample_of(d, imiad_split_train(split, i)).path, "bad/", 4) == 0);
    imiad_split_free(split);
    imiad_dataset_free(d);
    d = products(10, 5, 5);
    ck_fails(split_with(&split, d, "fabric", "supervised", OPTIONS("pool", "train")),
             IMIAD_NOT_FOUND, "category fabric: pool=train");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_supervised_split_without_anomalies_is_refused)
{
    imiad_dataset *d = products(10, 5, 1); /* floor(0.75 * 1) = 0 */
    imiad_split *split;
    ck_fails(split_with(&split, d, "fabric", "supervised", NULL), IMIAD_NOT_FOUND,
             "setting supervised of category fabric");
    imiad_dataset_free(d);
}
END_TEST

/* ---- the faults of the reference code, on request ---- */

/* Source: open-iad's sampler run on a set of 60 good and 40 defective test images took 59.9 percent
 * good ones. 200 seeds of 21 draws: the share's standard deviation is below 0.008. */
START_TEST(the_label_bug_draws_good_images_in_the_test_sets_proportion)
{
    imiad_dataset *d = products(213, 60, 40);
    size_t good = 0, drawn = 0;
    for (int seed = 0; seed < 200; ++seed) {
        char text[16];
        snprintf(text, sizeof text, "%d", seed);
        imiad_split *split =
            split_of(d, "fabric", "noisy", OPTIONS("sampler_label_bug", "true", "seed", text));
        ck_assert_uint_eq(imiad_split_drawn_count(split), 21);
        ck_assert_uint_eq(imiad_split_test_count(split), 79);
        for (size_t i = 213; i < 234; ++i) {
            good += sample_of(d, imiad_split_train(split, i)).label == 0;
            ck_assert_int_eq(imiad_split_train_label(split, i), 0);
        }
        drawn += 21;
        imiad_split_free(split);
    }
    ck_assert_double_eq_tol((double)good / (double)drawn, 0.6, 0.025);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(the_label_bug_leaves_fewer_anomalies_than_asked_for)
{
    imiad_dataset *d = products(213, 60, 40);
    imiad_split *split = split_of(d, "fabric", "supervised", OPTIONS("sampler_label_bug", "true"));
    size_t anomalies = 0;
    for (size_t i = 213; i < 223; ++i) {
        int32_t label = sample_of(d, imiad_split_train(split, i)).label;
        ck_assert_int_eq(imiad_split_train_label(split, i), label);
        anomalies += label == 1;
    }
    ck_assert_uint_lt(anomalies, 10);
    ck_assert_uint_eq(imiad_split_drawn_count(split), 10);
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(the_cap_leak_lowers_what_later_categories_draw)
{
    tree_begin();
    static const struct {
        const char *category;
        int defective, drawn, leaked;
    } rows[] = {{"a", 30, 10, 10}, {"b", 6, 4, 4}, {"c", 30, 10, 4}, {"d", 8, 6, 4}};
    char path[64];
    for (int c = 0; c < 4; ++c) {
        snprintf(path, sizeof path, "%s/train/good/0.png", rows[c].category);
        tree_bytes(path, "", 0);
        for (int i = 0; i < rows[c].defective; ++i) {
            snprintf(path, sizeof path, "%s/test/hole/%d.png", rows[c].category, i);
            tree_bytes(path, "", 0);
        }
    }
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    for (int c = 0; c < 4; ++c) {
        imiad_split *split = split_of(d, rows[c].category, "supervised", NULL);
        imiad_split *leaky =
            split_of(d, rows[c].category, "supervised", OPTIONS("cap_leak", "true"));
        ck_assert_uint_eq(imiad_split_drawn_count(split), (size_t)rows[c].drawn);
        ck_assert_uint_eq(imiad_split_drawn_count(leaky), (size_t)rows[c].leaked);
        imiad_split_free(split);
        imiad_split_free(leaky);
    }
    imiad_dataset_free(d);
}
END_TEST

/* ---- augmentation ---- */

static void expect_augmentation(const imiad_split *split, size_t index, const char *expected)
{
    char text[128];
    ck_ok(imiad_split_train_augmentation(text, split, index));
    ck_assert_str_eq(text, expected);
}

START_TEST(rotation_turns_each_shot_evenly)
{
    static const char *const angles[] = {"", "rotation 72", "rotation 144", "rotation 216",
                                         "rotation 288"};
    imiad_dataset *d = products(20, 5, 5);
    imiad_split *plain = split_of(d, "fabric", "fewshot", NULL);
    imiad_split *split = split_of(d, "fabric", "fewshot", OPTIONS("augmentation", "rotation"));
    ck_assert_uint_eq(imiad_split_drawn_count(split), 4);
    ck_assert_uint_eq(imiad_split_train_count(split), 20);
    for (size_t i = 0; i < 20; ++i) {
        ck_assert_uint_eq(imiad_split_train(split, i), imiad_split_train(plain, i / 5));
        expect_augmentation(split, i, angles[i % 5]);
    }
    char text[128];
    ck_fails(imiad_split_train_augmentation(text, split, 20), IMIAD_OUT_OF_RANGE, "20 of 20");
    ck_fails(imiad_split_train_augmentation(text, NULL, 0), IMIAD_INVALID_ARGUMENT, "NULL");
    imiad_split_free(split);
    split = split_of(d, "fabric", "fewshot",
                     OPTIONS("augmentation", "rotation", "augmentation_count", "6"));
    expect_augmentation(split, 1, "rotation 51.428571");
    imiad_split_free(split);
    imiad_split_free(plain);
    imiad_dataset_free(d);
}
END_TEST

/* Net angles 0, 72, 216, 72, 0 of the first shot, and so on from there: copy n passes through n + 1
 * rotations. */
START_TEST(accumulated_rotations_grow_from_image_to_image)
{
    imiad_dataset *d = products(20, 5, 5);
    imiad_split *split =
        split_of(d, "fabric", "fewshot",
                 OPTIONS("augmentation", "rotation", "rotation_accumulate", "true", "shots", "2"));
    ck_assert_uint_eq(imiad_split_train_count(split), 10);
    ck_assert_uint_eq(imiad_split_drawn_count(split), 2);
    for (int i = 0; i < 10; ++i) {
        char expected[32];
        snprintf(expected, sizeof expected, "rotations %d 5", i + 1);
        expect_augmentation(split, (size_t)i, expected);
    }
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

static const struct {
    const char *kind;
    int values;
    double low[4], high[4]; /* of copies 1..4 */
} kinds[] = {
    {"scale", 1, {0.875, 0.75, 0.625, 0.5}, {0.875, 0.75, 0.625, 0.5}},
    {"translate", 2, {-0.125, -0.25, -0.375, -0.5}, {0.125, 0.25, 0.375, 0.5}},
    {"color_jitter", 2, {0.5, 0.5, 0.5, 0.5}, {1.5, 1.5, 1.5, 1.5}},
    {"perspective", 8, {0, 0, 0, 0}, {0.0625, 0.125, 0.1875, 0.25}},
    {"flip", 2, {0, 0, 1, 0}, {1, 1, 1, 1}},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

START_TEST(other_augmentations_stay_in_their_ranges)
{
    imiad_dataset *d = products(40, 5, 5);
    imiad_split *split =
        split_of(d, "fabric", "fewshot", OPTIONS("augmentation", kinds[_i].kind, "shots", "40"));
    double low[4] = {9, 9, 9, 9}, high[4] = {-9, -9, -9, -9};
    ck_assert_uint_eq(imiad_split_train_count(split), 200);
    for (size_t i = 0; i < 200; ++i) {
        char text[128], *value = strchr(text, ' ');
        ck_ok(imiad_split_train_augmentation(text, split, i));
        if (i % 5 == 0) {
            ck_assert_str_eq(text, "");
            continue;
        }
        size_t copy = i % 5 - 1, name = strlen(kinds[_i].kind);
        ck_assert(strncmp(text, kinds[_i].kind, name) == 0 && text[name] == ' ');
        value = text + name;
        for (int v = 0; v < kinds[_i].values; ++v) {
            double x = strtod(value, &value);
            low[copy] = fmin(low[copy], x);
            high[copy] = fmax(high[copy], x);
        }
        ck_assert_str_eq(value, "");
    }
    for (int copy = 0; copy < 4; ++copy) { /* within the range, and over most of it */
        double width = kinds[_i].high[copy] - kinds[_i].low[copy];
        ck_assert_double_ge(low[copy], kinds[_i].low[copy] - 1e-9);
        ck_assert_double_le(low[copy], kinds[_i].low[copy] + width / 4 + 1e-9);
        ck_assert_double_le(high[copy], kinds[_i].high[copy] + 1e-9);
        ck_assert_double_ge(high[copy], kinds[_i].high[copy] - width / 4 - 1e-9);
    }
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(flips_are_horizontal_vertical_and_both)
{
    imiad_dataset *d = products(20, 5, 5);
    imiad_split *split = split_of(d, "fabric", "fewshot", OPTIONS("augmentation", "flip"));
    expect_augmentation(split, 1, "flip 1 0");
    expect_augmentation(split, 2, "flip 0 1");
    expect_augmentation(split, 3, "flip 1 1");
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_shots_copies_do_not_depend_on_the_other_shots)
{
    imiad_dataset *d = products(20, 5, 5);
    imiad_split *few =
        split_of(d, "fabric", "fewshot", OPTIONS("augmentation", "translate", "shots", "2"));
    imiad_split *more =
        split_of(d, "fabric", "fewshot", OPTIONS("augmentation", "translate", "shots", "8"));
    for (size_t i = 0; i < imiad_split_train_count(few); ++i) {
        char text[128];
        ck_ok(imiad_split_train_augmentation(text, few, i));
        expect_augmentation(more, i, text);
    }
    imiad_split_free(few);
    imiad_split_free(more);
    imiad_dataset_free(d);
}
END_TEST

/* The pixels that training sees of an augmented split. */
static void digest_training(char digest[65], const imiad_split *split, int threads)
{
    enum { SIZE = 24, BYTES = 3 * SIZE * SIZE };
    image_source source = {.dataset = imiad_split_dataset(split),
                           .entries = split->train.entries,
                           .count = split->train.count};
    loader_settings settings = {.geometry = {.resize = 32, .crop = SIZE}, .batch = 4};
    uint8_t *all = malloc(source.count * BYTES), *at = all;
    loader *l;
    const loaded *items;
    size_t count;
    ck_ok(imiad_set_threads(threads));
    ck_ok(loader_open(&l, &source, &settings));
    for (;;) {
        ck_ok(loader_next(&items, &count, l));
        if (count == 0)
            break;
        for (size_t i = 0; i < count; ++i, at += BYTES)
            memcpy(at, items[i].image->pixels, BYTES);
    }
    loader_close(l);
    ck_assert_uint_eq((size_t)(at - all), source.count * BYTES);
    bytes_digest(digest, all, source.count * BYTES);
    free(all);
}

START_TEST(training_images_do_not_depend_on_threads)
{
    imiad_dataset *d = products(10, 5, 5);
    imiad_split *split = split_of(d, "fabric", "fewshot", OPTIONS("augmentation", "perspective"));
    imiad_split *plain = split_of(d, "fabric", "fewshot", NULL);
    char one[65], eight[65], none[65];
    digest_training(one, split, 1);
    digest_training(eight, split, 8);
    digest_training(none, plain, 8);
    ck_assert_str_eq(one, eight);
    ck_assert_str_ne(one, none);
    imiad_split_free(split);
    imiad_split_free(plain);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(the_loader_augments_after_resize_and_crop)
{
    imiad_dataset *d = products(10, 5, 5);
    imiad_split *split = split_of(d, "fabric", "supervised", OPTIONS("anomalies", "1"));
    size_t last = imiad_split_train_count(split) - 1;
    split_entry entries[2] = {split->train.entries[last], split->train.entries[last]};
    ck_ok(augment_parse(&entries[1].augment, "rotation 72"));
    image_source source = {.dataset = d, .entries = entries, .count = 2};
    loader_settings settings = {
        .geometry = {.resize = 40, .crop = 24}, .batch = 2, .with_masks = true};
    loader *l;
    const loaded *items;
    size_t count;
    ck_ok(loader_open(&l, &source, &settings));
    ck_ok(loader_next(&items, &count, l));
    imiad_image *image, *mask;
    ck_ok(augment_image(&image, items[0].image, &entries[1].augment));
    ck_ok(augment_mask(&mask, items[0].mask, &entries[1].augment));
    ck_assert_mem_eq(image->pixels, items[1].image->pixels, 3 * 24 * 24);
    ck_assert_mem_eq(mask->pixels, items[1].mask->pixels, 24 * 24);
    ck_assert_mem_ne(image->pixels, items[0].image->pixels, 3 * 24 * 24);
    imiad_image_free(image);
    imiad_image_free(mask);
    loader_close(l);
    imiad_split_free(split);
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

SUITE("split", TEST(noise_is_a_share_of_the_normals_up_to_a_cap),
      TEST(a_share_is_not_lost_to_binary_rounding),
      TEST(a_ratio_too_small_for_the_category_draws_nothing),
      LOOP_TEST(a_larger_draw_begins_with_the_smaller_ones, DRAWINGS),
      LOOP_TEST(what_is_drawn_is_what_the_setting_says, DRAWINGS),
      LOOP_TEST(a_draw_is_a_shuffle_of_the_sorted_paths, DRAWINGS),
      TEST(candidates_are_sorted_bytewise),
      LOOP_TEST(the_same_seed_draws_the_same_and_another_seed_does_not, DRAWINGS),
      LOOP_TEST(other_categories_change_no_draw, DRAWINGS), TEST(a_known_seed_draws_known_images),
      TEST(no_image_trains_and_tests_unless_overlap_is_asked_for),
      TEST(the_unsupervised_setting_draws_nothing), TEST(shots_are_at_most_all_normals),
      TEST(anomalies_are_told_and_noise_is_not),
      LOOP_TEST(training_sees_the_masks_of_anomalies_alone, 2),
      TEST(a_fixed_test_set_is_the_same_for_all_ratios), TEST(anomalies_stop_at_the_cap),
      TEST(anomalies_can_come_from_the_training_set),
      TEST(a_supervised_split_without_anomalies_is_refused),
      TEST(the_label_bug_draws_good_images_in_the_test_sets_proportion),
      TEST(the_label_bug_leaves_fewer_anomalies_than_asked_for),
      TEST(the_cap_leak_lowers_what_later_categories_draw), TEST(rotation_turns_each_shot_evenly),
      TEST(accumulated_rotations_grow_from_image_to_image),
      LOOP_TEST(other_augmentations_stay_in_their_ranges, KINDS),
      TEST(flips_are_horizontal_vertical_and_both),
      TEST(a_shots_copies_do_not_depend_on_the_other_shots),
      TEST(training_images_do_not_depend_on_threads),
      TEST(the_loader_augments_after_resize_and_crop),
      LOOP_TEST(options_that_cannot_be_are_refused, sizeof refused / sizeof *refused),
      TEST(a_hundred_copies_of_many_shots_cannot_accumulate), TEST(every_setting_lists_its_options),
      TEST(arguments_are_checked))
