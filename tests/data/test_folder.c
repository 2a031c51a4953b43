/* The reader of any tree by patterns, on the layouts that people have. */
#include "trees.h"

static void expect_mask(const imiad_dataset *d, size_t index, size_t channels, int value)
{
    ck_assert_uint_eq(imiad_dataset_mask_channels(d, index), channels);
    imiad_image *mask;
    ck_ok(imiad_dataset_read_mask(&mask, d, index));
    ck_assert_int_eq(mask->pixels[0], value);
    imiad_image_free(mask);
}

static void expect_sample(const imiad_dataset *d, size_t index, imiad_subset subset, int label,
                          const char *kind)
{
    imiad_sample s = sample_of(d, index);
    ck_assert_int_eq(s.subset, subset);
    ck_assert_int_eq(s.label, label);
    ck_assert_str_eq(s.kind, kind);
}

START_TEST(two_flat_folders_need_two_options)
{
    tree_begin();
    const char *const images[] = {"ok/1.bmp.png", "ok/0.PNG", "nok/a.png", "nok/notes.txt"};
    for (int i = 0; i < 4; ++i)
        tree_image(images[i], 4, 4, i);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "folder",
                    OPTIONS("train", "ok/*", "test_defective", "nok/*", "category", "cap")));
    expect_paths(d, (const char *const[]){"ok/0.PNG", "ok/1.bmp.png", "nok/a.png", NULL});
    ck_assert_str_eq(imiad_dataset_category(d, 0), "cap");
    expect_sample(d, 0, IMIAD_SUBSET_TRAIN, 0, "good");
    expect_sample(d, 2, IMIAD_SUBSET_TEST, 1, "defective");
    ck_assert_int_eq(sample_of(d, 2).has_mask, 0);
    imiad_image *mask;
    ck_fails(imiad_dataset_read_mask(&mask, d, 2), IMIAD_NOT_FOUND, "nok/a.png has no mask");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(an_image_of_an_earlier_option_is_not_listed_again)
{
    tree_begin();
    tree_image("train/good/0.png", 4, 4, 1);
    tree_image("test/good/0.png", 4, 4, 1);
    tree_image("test/hole/0.png", 4, 4, 1);
    imiad_dataset *d; /* the default test_defective, test/{kind}/<any>, fits test/good too */
    ck_ok(tree_open(&d, "folder", NULL));
    expect_paths(
        d, (const char *const[]){"train/good/0.png", "test/good/0.png", "test/hole/0.png", NULL});
    expect_sample(d, 1, IMIAD_SUBSET_TEST, 0, "good");
    expect_sample(d, 2, IMIAD_SUBSET_TEST, 1, "hole");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(patterns_describe_the_layout_of_mvtec_ad)
{
    tree_begin();
    tree_category("nut");
    tree_category("bolt");
    imiad_dataset *a, *b;
    ck_ok(tree_open(&a, "mvtec_ad", NULL));
    ck_ok(tree_open(&b, "folder",
                    OPTIONS("train", "{category}/train/good/*", "test_good",
                            "{category}/test/good/*", "test_defective", "{category}/test/{kind}/*",
                            "masks", "{category}/ground_truth/{kind}/{stem}_mask.png")));
    ck_assert_uint_eq(imiad_dataset_sample_count(a), imiad_dataset_sample_count(b));
    for (size_t i = 0; i < imiad_dataset_sample_count(a); ++i) {
        imiad_sample s = sample_of(a, i), t = sample_of(b, i);
        ck_assert_str_eq(s.path, t.path);
        ck_assert_str_eq(s.kind, t.kind);
        ck_assert_int_eq(s.category, t.category);
        ck_assert_int_eq(s.subset, t.subset);
        ck_assert_int_eq(s.label, t.label);
        ck_assert_int_eq(s.has_mask, t.has_mask);
    }
    expect_mask(b, 3, 1, 255);
    imiad_dataset_free(a);
    imiad_dataset_free(b);
}
END_TEST

/* Image X.jpg and mask X.png side by side, as the magnetic tile data set has them. */
START_TEST(images_and_masks_may_lie_side_by_side)
{
    tree_begin();
    tree_image("MT_Free/Imgs/f.jpg", 4, 4, 9);
    tree_image("MT_Free/Imgs/f.png", 4, 4, 0);
    tree_image("MT_Crack/Imgs/c.jpg", 4, 4, 9);
    tree_image("MT_Crack/Imgs/c.png", 4, 4, 200);
    tree_image("MT_Crack/Imgs/cc.png", 4, 4, 0);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "folder",
                    OPTIONS("train", "MT_Free/Imgs/*.jpg", "test_good", "", "test_defective",
                            "MT_{kind}/Imgs/*.jpg", "masks", "MT_{kind}/Imgs/{stem}.png")));
    expect_paths(d, (const char *const[]){"MT_Free/Imgs/f.jpg", "MT_Crack/Imgs/c.jpg", NULL});
    expect_sample(d, 1, IMIAD_SUBSET_TEST, 1, "Crack");
    expect_mask(d, 1, 1, 255);
    imiad_dataset_free(d);
}
END_TEST

/* A folder of masks for each image, as MVTec LOCO has them. */
START_TEST(all_masks_that_fit_are_channels_of_the_ground_truth)
{
    tree_begin();
    tree_image("train/0.png", 4, 4, 9);
    tree_image("test/logical/007.png", 4, 4, 9);
    tree_image("gt/logical/007/000.png", 4, 4, 0);
    tree_image("gt/logical/007/001.png", 4, 4, 40);
    tree_image("gt/logical/008/000.png", 4, 4, 255);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "folder", OPTIONS("train", "train/*", "masks", "gt/{kind}/{stem}/*")));
    expect_mask(d, 1, 2, 255);
    imiad_image *channel;
    ck_ok(imiad_dataset_read_mask_channel(&channel, d, 1, 1));
    ck_assert_int_eq(channel->pixels[0], 40);
    imiad_image_free(channel);
    imiad_dataset_free(d);
}
END_TEST

/* What {stem} takes from an image's own pattern is put into its mask's. */
START_TEST(a_stem_may_be_a_part_of_the_name)
{
    tree_begin();
    tree_image("cam/p1_rgb.png", 4, 4, 9);
    tree_image("cam/p2_rgb.png", 4, 4, 9);
    tree_image("cam/p2_gt.PNG", 4, 4, 9);
    tree_image("good/x.png", 4, 4, 9);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "folder",
                    OPTIONS("train", "good/*", "test_defective", "cam/{stem}_rgb.png", "masks",
                            "cam/{stem}_gt.png", "missing_mask", "error")));
    expect_paths(d, (const char *const[]){"good/x.png", "cam/p1_rgb.png", "cam/p2_rgb.png", NULL});
    expect_mask(d, 2, 1, 255);
    imiad_image *mask;
    ck_fails(imiad_dataset_read_mask(&mask, d, 1), IMIAD_NOT_FOUND,
             "no file that fits cam/{stem}_gt.png");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(several_patterns_are_separated_by_semicolons)
{
    tree_begin();
    const char *const images[] = {"a/0.png", "b/0.png", "c/0.png", "v/0.png", "bad/0.png"};
    for (int i = 0; i < 5; ++i)
        tree_image(images[i], 4, 4, i);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "folder",
                    OPTIONS("train", "c/*;a/*;a/0.png", "test_good", "b/*;", "validation", "v/*",
                            "train_defective", "bad/*")));
    expect_paths(
        d, (const char *const[]){"a/0.png", "bad/0.png", "c/0.png", "v/0.png", "b/0.png", NULL});
    expect_sample(d, 1, IMIAD_SUBSET_TRAIN, 1, "defective");
    expect_sample(d, 3, IMIAD_SUBSET_VALIDATION, 0, "good");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(categories_may_lie_below_kinds_and_be_parts_of_names)
{
    tree_begin();
    tree_image("ok/line-a/0.png", 4, 4, 9);
    tree_image("ok/line-b/0.png", 4, 4, 9);
    tree_image("dent/line-b/0.png", 4, 4, 9);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "folder",
                    OPTIONS("train", "ok/line-{category}/*", "test_defective",
                            "{kind}/line-{category}/*", "categories", "b")));
    expect_paths(d, (const char *const[]){"ok/line-b/0.png", "dent/line-b/0.png", NULL});
    ck_assert_uint_eq(imiad_dataset_category_count(d), 1);
    ck_assert_str_eq(imiad_dataset_category(d, 0), "b");
    expect_sample(d, 1, IMIAD_SUBSET_TEST, 1, "dent");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(patterns_stay_below_the_root_and_find_something)
{
    tree_begin();
    tree_image("x/0.png", 4, 4, 9);
    imiad_dataset *d;
    static const char *const outside[] = {"/etc/*", "../*", "x/../../*", ".."};
    for (int i = 0; i < 4; ++i)
        ck_fails(tree_open(&d, "folder", OPTIONS("train", outside[i])), IMIAD_OUT_OF_RANGE,
                 "option train");
    ck_fails(tree_open(&d, "folder", NULL), IMIAD_NOT_FOUND,
             "fits train=train/good/*, test_good=test/good/* or test_defective=test/{kind}/*");
    ck_fails(tree_open(&d, "folder", OPTIONS("train", "x/0.png/*")), IMIAD_NOT_FOUND,
             "fits train=x/0.png/*,");
}
END_TEST

/* A misspelt placeholder would fit nothing, or only itself. */
START_TEST(a_placeholder_that_there_is_not_is_refused)
{
    static const char *const unknown[] = {"test/{sort}/*", "*;{kind}/{Stem}.png", "{}/*"};
    tree_begin();
    tree_image("train/good/a.png", 4, 4, 9);
    tree_image("test/bad/a.png", 4, 4, 9);
    imiad_dataset *d;
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; ++i) {
        ck_fails(tree_open(&d, "folder", OPTIONS("test_defective", unknown[i])), IMIAD_OUT_OF_RANGE,
                 "is none of {category}, {kind}, {group}, {domain} and {stem}");
        ck_fails(tree_open(&d, "folder", OPTIONS("masks", unknown[i])), IMIAD_OUT_OF_RANGE,
                 "option masks");
    }
    tree_image("train/{good/a.png", 4, 4, 9); /* one brace alone is part of a name */
    ck_ok(tree_open(&d, "folder", OPTIONS("train", "train/{good/*")));
    imiad_dataset_free(d);
}
END_TEST

/* ---- what is an image, and what a mask ---- */

static char logged[1 << 14];

static void remember_message(void *user, imiad_log_level level, const char *message)
{
    strncat(logged, message, sizeof logged - strlen(logged) - 2);
    strcat(logged, "\n");
}

static imiad_dataset *open_logged(const char *const *options)
{
    imiad_dataset *d;
    imiad_set_log(remember_message, NULL);
    ck_ok(tree_open(&d, "folder", options));
    return d;
}

/* KolektorSDD2: image and mask side by side, good and defective images in one folder. */
static void write_kolektor(void)
{
    static const char *const parts[] = {"train", "test"};
    char path[64];
    tree_begin();
    for (int p = 0; p < 2; ++p)
        for (int i = 0; i < 4; ++i) {
            snprintf(path, sizeof path, "%s/1000%d.png", parts[p], i);
            tree_image(path, 4, 4, 9);
            snprintf(path, sizeof path, "%s/1000%d_GT.png", parts[p], i);
            tree_image(path, 4, 4, i == 3 ? 255 : 0);
        }
}

START_TEST(masks_are_never_images)
{
    write_kolektor();
    imiad_dataset *d =
        open_logged(OPTIONS("train", "train/*", "test_good", "", "test_defective", "test/*",
                            "masks", "train/{stem}_GT.png;test/{stem}_GT.png"));
    ck_assert_uint_eq(imiad_dataset_sample_count(d), 8);
    for (size_t i = 0; i < 8; ++i)
        ck_assert_ptr_null(strstr(sample_of(d, i).path, "_GT"));
    ck_assert_str_eq(logged, "");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_mask_that_is_not_empty_may_say_which_images_are_defective)
{
    write_kolektor();
    tree_image("train/10002_GT.png", 4, 4, 255); /* another image than test/10002.png */
    tree_image("train/10003_GT.png", 4, 4, 0);
    tree_image("test/20000.png", 4, 4, 9); /* no mask, no defect */
    imiad_dataset *d =
        open_logged(OPTIONS("train", "train/*", "test_good", "test/*", "test_defective", "",
                            "masks", "train/{stem}_GT.png;test/{stem}_GT.png", "label", "mask"));
    imiad_category_info info = IMIAD_CATEGORY_INFO_INIT;
    ck_ok(imiad_dataset_category_info(&info, d, 0));
    ck_assert_uint_eq(info.train_good, 3);
    ck_assert_uint_eq(info.train_defective, 1);
    ck_assert_uint_eq(info.test_good, 4);
    ck_assert_uint_eq(info.test_defective, 1);
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i) {
        bool defective = strcmp(sample_of(d, i).path, "train/10002.png") == 0 ||
                         strcmp(sample_of(d, i).path, "test/10003.png") == 0;
        ck_assert_int_eq(sample_of(d, i).label, defective);
        ck_assert_str_eq(sample_of(d, i).kind, defective ? "defective" : "good");
    }
    expect_mask(d, 2, 1, 255);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(labels_by_masks_name_the_mask_that_cannot_be_read)
{
    write_kolektor();
    tree_bytes("test/10002_GT.png", "?", 1);
    imiad_dataset *d;
    ck_fails(tree_open(&d, "folder",
                       OPTIONS("train", "train/*", "test_good", "test/*", "masks",
                               "test/{stem}_GT.png", "label", "mask")),
             IMIAD_FORMAT, "test/10002_GT.png");
}
END_TEST

/* A folder of masks within the folder of the kinds of defects. */
START_TEST(a_folder_of_masks_beside_the_kinds_holds_no_defects)
{
    tree_begin();
    tree_image("train/good/0.png", 4, 4, 9);
    tree_image("test/crack/1.png", 4, 4, 9);
    tree_image("test/mask/1.png", 4, 4, 255);
    imiad_dataset *d = open_logged(OPTIONS("masks", "test/mask/{stem}.png"));
    expect_paths(d, (const char *const[]){"train/good/0.png", "test/crack/1.png", NULL});
    expect_mask(d, 1, 1, 255);
    imiad_dataset_free(d);
    ck_assert_str_eq(logged, "");
    imiad_dataset_free(open_logged(NULL));
    ck_assert_ptr_nonnull(strstr(logged, "1 images are of the kind of defect \"mask\""));
}
END_TEST

START_TEST(a_pattern_that_fits_nothing_is_told)
{
    tree_begin();
    tree_image("train/good/0.png", 4, 4, 9);
    tree_image("test/good/1.png", 4, 4, 9);
    imiad_dataset_free(open_logged(OPTIONS("test_good", "tset/good/*", "masks", "")));
    ck_assert_ptr_nonnull(strstr(logged, "fits test_good=tset/good/*"));
    ck_assert_ptr_null(strstr(logged, "fits train"));
    imiad_dataset *d;
    ck_fails(tree_open(&d, "folder",
                       OPTIONS("train", "{kind}/good/*", "test_good", "", "test_defective", "",
                               "masks", "{kind}/good/{stem}.png")),
             IMIAD_NOT_FOUND, "2 files do, but fit masks too");
}
END_TEST

START_TEST(what_is_excluded_is_neither_image_nor_mask)
{
    static const char *const images[] = {"train/good/0.png", "train/good/preview_0.png",
                                         "train/old/1.png",  "test/bad/2.png",
                                         "gt/bad/2.png",     "gt/old/2.png"};
    tree_begin();
    for (int i = 0; i < 6; ++i)
        tree_image(images[i], 4, 4, 9);
    imiad_dataset *d =
        open_logged(OPTIONS("train", "train/*/*", "exclude", "*/old;train/*/preview_*.png", "masks",
                            "gt/*/{stem}.png"));
    expect_paths(d, (const char *const[]){"train/good/0.png", "test/bad/2.png", NULL});
    expect_mask(d, 1, 1, 255);
    ck_assert_str_eq(logged, "");
    imiad_dataset_free(d);
}
END_TEST

/* The masks of two cameras have the good images' names too, and nobody looks for theirs. */
START_TEST(good_images_may_be_called_as_masks_of_several_domains)
{
    static const char *const images[] = {"train/front/1.png", "good/back/1.png",
                                         "bad/front/1.png",   "bad/back/1.png",
                                         "masks/front/1.png", "masks/back/1.png"};
    tree_begin();
    for (int i = 0; i < 6; ++i)
        tree_image(images[i], 4, 4, 40 * i);
    imiad_dataset *d =
        open_logged(OPTIONS("train", "train/*/*", "test_good", "good/*/*", "test_defective",
                            "bad/{domain}/*", "masks", "masks/{domain}/{stem}.png"));
    expect_paths(d, (const char *const[]){"train/front/1.png", "bad/back/1.png", "bad/front/1.png",
                                          "good/back/1.png", NULL});
    expect_mask(d, 1, 1, 255);
    imiad_dataset_free(d);
}
END_TEST

/* AeBAD: the same names in several domains. */
START_TEST(masks_of_another_domain_are_not_united_by_accident)
{
    static const char *const images[] = {
        "train/good/background/0.png",      "test/ablation/background/1.png",
        "test/ablation/view/1.png",         "ground_truth/ablation/background/1.png",
        "ground_truth/ablation/view/1.png",
    };
    tree_begin();
    for (int i = 0; i < 5; ++i)
        tree_image(images[i], 4, 4, i == 4 ? 255 : 0);
    imiad_dataset *d;
    ck_fails(tree_open(&d, "folder",
                       OPTIONS("train", "train/good/*/*", "test_defective", "test/{kind}/*/*",
                               "masks", "ground_truth/{kind}/*/{stem}.png")),
             IMIAD_FORMAT, "put {domain} where they differ");
    ck_ok(tree_open(&d, "folder",
                    OPTIONS("train", "train/good/*/*", "test_defective", "test/{kind}/{domain}/*",
                            "masks", "ground_truth/{kind}/{domain}/{stem}.png")));
    expect_mask(d, 1, 1, 0);
    expect_mask(d, 2, 1, 255);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_mask_without_suffix_is_taken_where_the_pattern_finds_none)
{
    tree_begin();
    tree_image("train/good/0.png", 4, 4, 9);
    tree_image("test/bad/1.png", 4, 4, 9);
    tree_image("test/bad/2.png", 4, 4, 9);
    tree_image("gt/1.png", 4, 4, 255);
    tree_image("gt/2.png", 4, 4, 0);
    tree_image("gt/2_mask.png", 4, 4, 255);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "folder", OPTIONS("masks", "gt/{stem}_mask.png")));
    expect_mask(d, 1, 1, 255);
    expect_mask(d, 2, 1, 255);
    imiad_dataset_free(d); /* an image itself is no mask */
    ck_ok(tree_open(&d, "folder", OPTIONS("masks", "test/{kind}/{stem}_mask.png")));
    ck_assert_int_eq(sample_of(d, 1).has_mask, 0);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_defective_image_that_alone_lacks_a_mask_is_warned_of)
{
    tree_begin();
    tree_image("train/good/0.png", 4, 4, 9);
    tree_image("test/bad/1.png", 4, 4, 9);
    tree_image("test/bad/2.png", 4, 4, 9);
    tree_image("gt/1.png", 4, 4, 255);
    imiad_dataset_free(open_logged(OPTIONS("masks", "gt/{stem}.png")));
    ck_assert_ptr_nonnull(strstr(logged, "1 of 2 defective images have no mask and count in no "
                                         "pixel metric, such as test/bad/2.png"));
    tree_image("gt/2.png", 4, 4, 255);
    logged[0] = '\0';
    imiad_dataset_free(open_logged(OPTIONS("masks", "gt/{stem}.png")));
    ck_assert_ptr_null(strstr(logged, "have no mask"));
}
END_TEST

START_TEST(nothing_is_left_out_silently)
{
    static const char *const files[] = {"train/good/0.png",  "train/good/notes.txt",
                                        "train/spare/1.png", "test/bad/2.png",
                                        "gt/3.png",          "readme.md"};
    tree_begin();
    for (int i = 0; i < 6; ++i)
        tree_image(files[i], 4, 4, 9);
    imiad_dataset_free(open_logged(OPTIONS("masks", "gt/{stem}.png")));
    static const char *const told[] = {"train/good/notes.txt: it is no ",
                                       "train/spare: no pattern looks into it",
                                       "gt/3.png: it is no image's mask", "readme.md: it is no "};
    for (int i = 0; i < 4; ++i)
        ck_assert_msg(strstr(logged, told[i]), "%s is not in %s", told[i], logged);
}
END_TEST

/* MANTA: five views of one thing lie in one folder, or its number is in their names. */
START_TEST(images_of_one_thing_form_a_group)
{
    tree_begin();
    tree_image("train/good/0.png", 4, 4, 9);
    tree_image("test/bad/s1/a.png", 4, 4, 9);
    tree_image("test/bad/s1/b.png", 4, 4, 9);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "folder", OPTIONS("test_defective", "test/{kind}/{group}/*")));
    ck_assert_ptr_null(imiad_dataset_sample_group(d, 0));
    ck_assert_str_eq(imiad_dataset_sample_group(d, 1), "s1");
    ck_assert_str_eq(imiad_dataset_sample_group(d, 2), "s1");
    ck_assert_ptr_null(imiad_dataset_sample_group(d, 3));
    ck_assert_ptr_null(imiad_dataset_sample_group(NULL, 0));
    imiad_dataset_free(d);
}
END_TEST

SUITE("folder", TEST(two_flat_folders_need_two_options),
      TEST(an_image_of_an_earlier_option_is_not_listed_again),
      TEST(patterns_describe_the_layout_of_mvtec_ad), TEST(images_and_masks_may_lie_side_by_side),
      TEST(all_masks_that_fit_are_channels_of_the_ground_truth),
      TEST(a_stem_may_be_a_part_of_the_name), TEST(several_patterns_are_separated_by_semicolons),
      TEST(categories_may_lie_below_kinds_and_be_parts_of_names),
      TEST(patterns_stay_below_the_root_and_find_something),
      TEST(a_placeholder_that_there_is_not_is_refused), TEST(masks_are_never_images),
      TEST(a_mask_that_is_not_empty_may_say_which_images_are_defective),
      TEST(labels_by_masks_name_the_mask_that_cannot_be_read),
      TEST(a_folder_of_masks_beside_the_kinds_holds_no_defects),
      TEST(a_pattern_that_fits_nothing_is_told), TEST(what_is_excluded_is_neither_image_nor_mask),
      TEST(good_images_may_be_called_as_masks_of_several_domains),
      TEST(masks_of_another_domain_are_not_united_by_accident),
      TEST(a_mask_without_suffix_is_taken_where_the_pattern_finds_none),
      TEST(a_defective_image_that_alone_lacks_a_mask_is_warned_of),
      TEST(nothing_is_left_out_silently), TEST(images_of_one_thing_form_a_group))
