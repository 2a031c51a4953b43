/* What each setting of the benchmark draws, and the faults of the reference code on request. */
#include "data/loader.h"
#include "splits.h"

/* ---- the noisy setting's arithmetic ---- */

static const char *const ratios[] = {"0.05", "0.1", "0.15", "0.2"};

/* Source: K = min(floor(r N), floor(0.75 D)) applied to the published counts of MVTec AD
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

SUITE("split-settings", TEST(noise_is_a_share_of_the_normals_up_to_a_cap),
      TEST(a_share_is_not_lost_to_binary_rounding),
      TEST(a_ratio_too_small_for_the_category_draws_nothing),
      TEST(the_unsupervised_setting_draws_nothing), TEST(shots_are_at_most_all_normals),
      TEST(anomalies_are_told_and_noise_is_not),
      LOOP_TEST(training_sees_the_masks_of_anomalies_alone, 2),
      TEST(a_fixed_test_set_is_the_same_for_all_ratios), TEST(anomalies_stop_at_the_cap),
      TEST(anomalies_can_come_from_the_training_set),
      TEST(a_supervised_split_without_anomalies_is_refused),
      TEST(the_label_bug_draws_good_images_in_the_test_sets_proportion),
      TEST(the_label_bug_leaves_fewer_anomalies_than_asked_for),
      TEST(the_cap_leak_lowers_what_later_categories_draw))
