/* The dataset handle and the reader of MVTec AD. Rules: the common rules for every loader and the
 * layout of MVTec AD, as Bergmann et al. (CVPR 2019) distribute it. */
#include "trees.h"
#include "imiad/split.h"

/* ---- order, labels, masks ---- */

START_TEST(samples_come_in_category_subset_and_bytewise_path_order)
{
    tree_begin();
    const char *const paths[] = {"b/test/a-z/0.png",   "b/test/a/1.PNG",     "b/test/a/0.jpg",
                                 "b/test/good/9.png",  "b/train/good/b.png", "b/train/good/Z.png",
                                 "a/train/good/1.bmp", "a/test/good/1.Jpeg"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; ++i)
        tree_image(paths[i], 4, 4, 0);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    expect_paths(d, (const char *const[]){"a/train/good/1.bmp", "a/test/good/1.Jpeg",
                                          "b/train/good/Z.png", "b/train/good/b.png",
                                          "b/test/a/0.jpg", "b/test/a/1.PNG", "b/test/a-z/0.png",
                                          "b/test/good/9.png", NULL});
    ck_assert_uint_eq(imiad_dataset_category_count(d), 2);
    ck_assert_str_eq(imiad_dataset_category(d, 0), "a");
    ck_assert_str_eq(imiad_dataset_category(d, 1), "b");
    ck_assert_ptr_null(imiad_dataset_category(d, 2));
    imiad_dataset_free(d);
}
END_TEST

START_TEST(the_label_comes_from_the_folder_and_never_from_the_mask)
{
    tree_begin();
    tree_category("nut");
    tree_image("nut/ground_truth/hole/000_mask.png", 8, 6, 0); /* an all-zero mask */
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    imiad_sample hole = sample_of(d, 3), good = sample_of(d, 2);
    ck_assert_str_eq(hole.path, "nut/test/hole/000.png");
    ck_assert_int_eq(hole.label, 1);
    ck_assert_str_eq(hole.kind, "hole");
    ck_assert_int_eq(hole.has_mask, 1);
    ck_assert_int_eq(good.label, 0);
    ck_assert_str_eq(good.kind, "good");
    ck_assert_int_eq(good.has_mask, 1);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(files_without_a_place_in_the_layout_are_left_out)
{
    tree_begin();
    tree_category("nut");
    const char *const strangers[] = {"nut/train/good/.000.png",  "nut/train/good/Thumbs.db",
                                     "nut/train/good/notes.txt", "nut/train/odd/000.png",
                                     "nut/test/000.png",         "nut/test/good/list.csv",
                                     "other/readme.txt",         "license.txt"};
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; ++i)
        tree_bytes(strangers[i], "?", 1);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    ck_assert_uint_eq(imiad_dataset_sample_count(d), 4);
    ck_assert_uint_eq(imiad_dataset_category_count(d), 1);
    imiad_dataset_free(d);
}
END_TEST

static char logged[4096];

static void remember_message(void *user, imiad_log_level level, const char *message)
{
    strncat(logged, message, sizeof logged - strlen(logged) - 1);
}

START_TEST(what_is_left_out_is_logged_by_its_path)
{
    tree_begin();
    tree_category("nut");
    tree_bytes("nut/train/good/notes.txt", "?", 1);
    tree_bytes("nut/license.txt", "?", 1);
    imiad_set_log(remember_message, NULL);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    ck_assert_ptr_nonnull(strstr(logged, "nut/train/good/notes.txt"));
    ck_assert_ptr_null(strstr(logged, "license.txt"));
    imiad_dataset_free(d);
}
END_TEST

static int mask_value(const imiad_dataset *d, size_t index)
{
    imiad_image *mask;
    ck_ok(imiad_dataset_read_mask(&mask, d, index));
    ck_assert_int_eq(mask->format, IMIAD_PIXEL_GRAY8);
    ck_assert_int_eq(mask->width, 8);
    ck_assert_int_eq(mask->height, 6);
    int value = mask->pixels[0];
    for (int y = 0; y < mask->height; ++y)
        for (int x = 0; x < mask->width; ++x)
            ck_assert_int_eq(mask->pixels[(size_t)y * mask->stride + (size_t)x], value);
    imiad_image_free(mask);
    return value;
}

START_TEST(masks_are_defective_above_zero_or_from_the_chosen_threshold)
{
    tree_begin();
    tree_category("nut");
    imiad_dataset *any, *strict;
    ck_ok(tree_open(&any, "mvtec_ad", NULL));
    ck_ok(tree_open(&strict, "mvtec_ad", OPTIONS("mask_threshold", "128")));
    ck_assert_int_eq(mask_value(any, 2), 0); /* a good image's */
    static const int cases[][3] = {{0, 0, 0}, {1, 255, 0}, {127, 255, 0}, {128, 255, 255}};
    for (int i = 0; i < 4; ++i) {
        tree_image("nut/ground_truth/hole/000_mask.png", 8, 6, cases[i][0]);
        ck_assert_int_eq(mask_value(any, 3), cases[i][1]);
        ck_assert_int_eq(mask_value(strict, 3), cases[i][2]);
    }
    imiad_dataset_free(any);
    imiad_dataset_free(strict);
}
END_TEST

START_TEST(a_mask_channel_is_given_as_it_is_on_disk)
{
    tree_begin();
    tree_category("nut");
    tree_image("nut/ground_truth/hole/000_mask.png", 8, 6, 77);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    ck_assert_uint_eq(imiad_dataset_mask_channels(d, 2), 0);
    ck_assert_uint_eq(imiad_dataset_mask_channels(d, 3), 1);
    imiad_image *channel;
    ck_ok(imiad_dataset_read_mask_channel(&channel, d, 3, 0));
    ck_assert_int_eq(channel->pixels[0], 77);
    imiad_image_free(channel);
    ck_fails(imiad_dataset_read_mask_channel(&channel, d, 3, 1), IMIAD_OUT_OF_RANGE, "channel 1");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_mask_of_another_size_names_both_files_and_sizes)
{
    tree_begin();
    tree_category("nut");
    tree_image("nut/ground_truth/hole/000_mask.png", 6, 8, 255);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    imiad_image *mask;
    ck_fails(imiad_dataset_read_mask(&mask, d, 3), IMIAD_MISMATCH,
             "nut/ground_truth/hole/000_mask.png is 6x8");
    ck_assert_ptr_nonnull(strstr(imiad_last_error(), "nut/test/hole/000.png is 8x6"));
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_missing_mask_is_an_error_unknown_or_empty_as_the_caller_says)
{
    tree_begin();
    tree_category("nut");
    ck_assert_int_eq(unlink(tree_path("nut/ground_truth/hole/000_mask.png")), 0);
    static const char *const policies[] = {"error", "skip", "empty"};
    for (int i = 0; i < 3; ++i) {
        imiad_dataset *d;
        imiad_image *mask;
        ck_ok(tree_open(&d, "mvtec_ad", OPTIONS("missing_mask", policies[i])));
        ck_assert_int_eq(sample_of(d, 3).has_mask, 0);
        if (i == 2)
            ck_assert_int_eq(mask_value(d, 3), 0);
        else
            ck_fails(imiad_dataset_read_mask(&mask, d, 3), IMIAD_NOT_FOUND,
                     "no nut/ground_truth/hole/000_mask.png");
        imiad_dataset_free(d);
    }
}
END_TEST

/* ---- broken trees ---- */

static void break_nothing(void)
{
}
static void lose_training(void)
{
    unlink(tree_path("nut/train/good/000.png"));
    unlink(tree_path("nut/train/good/001.png"));
}
static void lose_test(void)
{
    unlink(tree_path("nut/test/good/000.png"));
    unlink(tree_path("nut/test/hole/000.png"));
}
static void cut_image(void)
{
    ck_assert_int_eq(truncate(tree_path("nut/test/hole/000.png"), 40), 0);
}
static void empty_image(void)
{
    ck_assert_int_eq(truncate(tree_path("nut/test/hole/000.png"), 0), 0);
}
static void remove_image(void)
{
    unlink(tree_path("nut/test/hole/000.png"));
}

static const struct {
    void (*before_opening)(void), (*after_opening)(void);
    imiad_status split, read;
    const char *message;
} broken[] = {
    {break_nothing, break_nothing, IMIAD_OK, IMIAD_OK, ""},
    {lose_training, break_nothing, IMIAD_NOT_FOUND, IMIAD_OK,
     "category nut has no normal training images; expected CATEGORY/train/good"},
    {lose_test, break_nothing, IMIAD_NOT_FOUND, IMIAD_OK, "category nut has no test images"},
    {cut_image, break_nothing, IMIAD_OK, IMIAD_FORMAT, "nut/test/hole/000.png"},
    {empty_image, break_nothing, IMIAD_OK, IMIAD_FORMAT, "nut/test/hole/000.png"},
    {break_nothing, remove_image, IMIAD_OK, IMIAD_NOT_FOUND, "nut/test/hole/000.png"},
};

START_TEST(a_broken_category_fails_by_name_and_leaves_the_others_alone)
{
    tree_begin();
    tree_category("bolt");
    tree_category("nut");
    broken[_i].before_opening();
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    broken[_i].after_opening();
    imiad_split *split;
    ck_ok(imiad_split_create(&split, d, "bolt", "unsupervised", NULL, 0));
    imiad_split_free(split);
    imiad_status status = imiad_split_create(&split, d, "nut", "unsupervised", NULL, 0);
    ck_assert_int_eq(status, broken[_i].split);
    if (status == IMIAD_OK) {
        imiad_image *image;
        size_t last = imiad_split_test(split, imiad_split_test_count(split) - 1);
        status = imiad_dataset_read_image(&image, d, last);
        ck_assert_int_eq(status, broken[_i].read);
        if (status == IMIAD_OK)
            imiad_image_free(image);
        imiad_split_free(split);
    }
    if (status != IMIAD_OK)
        ck_assert_msg(strstr(imiad_last_error(), broken[_i].message), "%s", imiad_last_error());
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_category_that_cannot_be_listed_says_so_when_it_is_asked_for)
{
    tree_begin();
    tree_category("bolt");
    tree_category("nut");
    ck_assert_int_eq(chmod(tree_path("nut/test/hole"), 0), 0);
    ck_assert_int_eq(chmod(tree, 0755), 0);
    uid_t user = geteuid();
    if (user == 0) /* nothing is closed to root */
        ck_assert_int_eq(seteuid(65534), 0);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    imiad_split *split;
    ck_ok(imiad_split_create(&split, d, "bolt", "unsupervised", NULL, 0));
    imiad_split_free(split);
    ck_fails(imiad_split_create(&split, d, "nut", "unsupervised", NULL, 0), IMIAD_IO,
             "nut/test/hole");
    imiad_dataset_free(d);
    ck_assert_int_eq(seteuid(user), 0);
    ck_assert_int_eq(chmod(tree_path("nut/test/hole"), 0700), 0);
}
END_TEST

START_TEST(opening_fails_with_what_was_wrong)
{
    tree_begin();
    imiad_dataset *d = NULL;
    ck_fails(imiad_dataset_open(&d, "mvtec_ad", "/nowhere/at/all", NULL, 0), IMIAD_NOT_FOUND,
             "/nowhere/at/all");
    ck_fails(imiad_dataset_open(&d, "mvtec_ad", NULL, NULL, 0), IMIAD_INVALID_ARGUMENT, "folder");
    ck_fails(imiad_dataset_open(&d, "synthetic", tree, NULL, 0), IMIAD_INVALID_ARGUMENT,
             "takes no folder");
    ck_fails(imiad_dataset_open(&d, "mvtec", tree, NULL, 0), IMIAD_UNKNOWN_OPTION, "mvtec_ad");
    ck_fails(imiad_dataset_open(&d, NULL, tree, NULL, 0), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_dataset_open(NULL, "mvtec_ad", tree, NULL, 0), IMIAD_INVALID_ARGUMENT, "out");
    ck_fails(tree_open(&d, "mvtec_ad", NULL), IMIAD_NOT_FOUND, "no category below /tmp/imiad-data");
    ck_fails(tree_open(&d, "mvtec_ad", OPTIONS("colour", "red")), IMIAD_UNKNOWN_OPTION,
             "missing_mask");
    ck_fails(tree_open(&d, "mvtec_ad", OPTIONS("missing_mask", "maybe")), IMIAD_OUT_OF_RANGE,
             "error|skip|empty");
    ck_assert_ptr_null(d);
}
END_TEST

START_TEST(the_root_may_be_a_category_by_mistake)
{
    tree_begin();
    tree_category("nut");
    char root[128];
    snprintf(root, sizeof root, "%s/nut", tree);
    imiad_dataset *d;
    ck_fails(imiad_dataset_open(&d, "mvtec_ad", root, NULL, 0), IMIAD_NOT_FOUND, "no category");
}
END_TEST

/* ---- the handle ---- */

START_TEST(categories_can_be_chosen_in_any_order)
{
    tree_begin();
    tree_category("a");
    tree_category("b");
    tree_category("c");
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", OPTIONS("categories", "c,a")));
    ck_assert_uint_eq(imiad_dataset_category_count(d), 2);
    ck_assert_str_eq(imiad_dataset_category(d, 0), "c");
    ck_assert_str_eq(imiad_dataset_category(d, 1), "a");
    ck_assert_str_eq(sample_of(d, 0).path, "c/train/good/000.png");
    ck_assert_str_eq(imiad_dataset_option(d, "categories"), "c,a");
    imiad_dataset_free(d);
    ck_fails(tree_open(&d, "mvtec_ad", OPTIONS("categories", "a,d")), IMIAD_NOT_FOUND, "\"d\"");
    ck_fails(tree_open(&d, "mvtec_ad", OPTIONS("categories", "a,a")), IMIAD_OUT_OF_RANGE, "twice");
}
END_TEST

START_TEST(a_category_counts_its_images)
{
    tree_begin();
    tree_category("nut");
    tree_image("nut/test/crack/000.png", 8, 6, 1); /* without mask */
    tree_image("nut/validation/good/000.png", 8, 6, 1);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    imiad_category_info info = IMIAD_CATEGORY_INFO_INIT;
    ck_ok(imiad_dataset_category_info(&info, d, 0));
    ck_assert_str_eq(info.name, "nut");
    ck_assert_uint_eq(info.train_good, 2);
    ck_assert_uint_eq(info.train_defective, 0);
    ck_assert_uint_eq(info.validation, 1);
    ck_assert_uint_eq(info.test_good, 1);
    ck_assert_uint_eq(info.test_defective, 2);
    ck_assert_uint_eq(info.missing_masks, 1);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_split_holds_training_normals_and_the_whole_test_set)
{
    tree_begin();
    tree_category("bolt");
    tree_category("nut");
    tree_image("nut/validation/good/000.png", 8, 6, 1);
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    imiad_split *split;
    ck_ok(imiad_split_create(&split, d, "nut", "unsupervised", NULL, 0));
    imiad_dataset_free(d); /* the split keeps it alive */
    const imiad_dataset *kept = imiad_split_dataset(split);
    ck_assert_str_eq(imiad_split_category(split), "nut");
    ck_assert_str_eq(imiad_split_setting(split), "unsupervised");
    ck_assert_uint_eq(imiad_split_train_count(split), 2);
    ck_assert_uint_eq(imiad_split_test_count(split), 2);
    ck_assert_str_eq(sample_of(kept, imiad_split_train(split, 1)).path, "nut/train/good/001.png");
    ck_assert_str_eq(sample_of(kept, imiad_split_test(split, 0)).path, "nut/test/good/000.png");
    ck_assert_str_eq(sample_of(kept, imiad_split_test(split, 1)).path, "nut/test/hole/000.png");
    ck_assert_int_eq(imiad_split_train_label(split, 0), 0);
    ck_assert_uint_eq(imiad_split_test(split, 2), SIZE_MAX);
    ck_assert_uint_eq(imiad_split_train(split, 2), SIZE_MAX);
    imiad_split *none;
    ck_fails(imiad_split_create(&none, kept, "nuts", "unsupervised", NULL, 0), IMIAD_NOT_FOUND,
             "bolt nut");
    ck_fails(imiad_split_create(&none, NULL, "nut", "unsupervised", NULL, 0),
             IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_split_create(NULL, kept, "nut", "unsupervised", NULL, 0), IMIAD_INVALID_ARGUMENT,
             "NULL");
    ck_fails(imiad_split_create(&none, kept, NULL, "unsupervised", NULL, 0), IMIAD_INVALID_ARGUMENT,
             "NULL");
    imiad_split_free(split);
    imiad_split_free(NULL);
    imiad_dataset_free(NULL);
}
END_TEST

static void digest_of_tree(char digest[65])
{
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    ck_ok(imiad_dataset_digest(digest, d));
    imiad_dataset_free(d);
}

START_TEST(the_digest_follows_names_and_sizes)
{
    tree_begin();
    tree_category("nut");
    char first[65], again[65], larger[65], more[65], kind[65];
    digest_of_tree(first);
    digest_of_tree(again);
    ck_assert_str_eq(first, again);
    ck_assert_uint_eq(strlen(first), 64);
    tree_bytes("nut/train/good/000.png", "something else", 14);
    digest_of_tree(larger);
    ck_assert_str_ne(first, larger);
    tree_bytes("nut/train/good/002.png", "", 0);
    digest_of_tree(more);
    ck_assert_str_ne(larger, more);
    char from[512];
    strcpy(from, tree_path("nut/test/hole"));
    ck_assert_int_eq(rename(from, tree_path("nut/test/halo")), 0);
    digest_of_tree(kind);
    ck_assert_str_ne(more, kind);
}
END_TEST

START_TEST(an_export_is_read_back_the_same)
{
    tree_begin();
    tree_category("in/nut");
    tree_image("in/nut/validation/good/7.png", 8, 6, 99);
    char root[128], copy[128];
    snprintf(root, sizeof root, "%s/in", tree);
    snprintf(copy, sizeof copy, "%s/out/deep", tree);
    imiad_dataset *a, *b;
    ck_ok(imiad_dataset_open(&a, "mvtec_ad", root, NULL, 0));
    ck_ok(imiad_dataset_export(a, copy));
    ck_ok(imiad_dataset_open(&b, "mvtec_ad", copy, NULL, 0));
    expect_paths(b, (const char *const[]){"nut/train/good/000.png", "nut/train/good/001.png",
                                          "nut/validation/good/000.png", "nut/test/good/000.png",
                                          "nut/test/hole/000.png", NULL});
    for (size_t i = 0; i < 5; ++i) {
        imiad_image *x, *y;
        ck_ok(imiad_dataset_read_image(&x, a, i));
        ck_ok(imiad_dataset_read_image(&y, b, i));
        ck_assert_int_eq(x->format, y->format);
        ck_assert_mem_eq(x->pixels, y->pixels, 8 * 6);
        imiad_image_free(x);
        imiad_image_free(y);
    }
    ck_assert_int_eq(mask_value(b, 4), 255);
    ck_fails(imiad_dataset_export(a, copy), IMIAD_INVALID_ARGUMENT, "not empty");
    ck_fails(imiad_dataset_export(a, ""), IMIAD_INVALID_ARGUMENT, "missing");
    ck_fails(imiad_dataset_export(NULL, copy), IMIAD_INVALID_ARGUMENT, "missing");
    imiad_dataset_free(a);
    imiad_dataset_free(b);
}
END_TEST

START_TEST(a_failed_export_tells_the_first_image_that_failed)
{
    tree_begin();
    for (int i = 0; i < 40; ++i) {
        char path[64];
        snprintf(path, sizeof path, "in/nut/train/good/%02d.png", i);
        if (i % 10 == 3)
            tree_bytes(path, "no picture", 10);
        else
            tree_image(path, 8, 6, i);
    }
    char root[128], copy[128];
    snprintf(root, sizeof root, "%s/in", tree);
    imiad_dataset *d;
    ck_ok(imiad_dataset_open(&d, "mvtec_ad", root, NULL, 0));
    for (int threads = 1; threads <= 4; ++threads) {
        ck_ok(imiad_set_threads(threads));
        snprintf(copy, sizeof copy, "%s/out%d", tree, threads);
        ck_fails(imiad_dataset_export(d, copy), IMIAD_FORMAT, "in/nut/train/good/03.png");
    }
    imiad_dataset_free(d);
}
END_TEST

START_TEST(every_registered_dataset_lists_its_options)
{
    size_t count = imiad_dataset_type_count();
    ck_assert_uint_ge(count, 2);
    for (size_t i = 0; i < count; ++i) {
        const char *name = imiad_dataset_type_name(i);
        ck_assert_uint_gt(strlen(imiad_dataset_type_title(i)), 0);
        imiad_option_info info = IMIAD_OPTION_INFO_INIT;
        size_t options = 0;
        while (imiad_dataset_option_info(&info, name, options) == IMIAD_OK) {
            ck_assert_uint_gt(strlen(info.help), 0);
            ++options;
        }
        ck_assert_uint_ge(options, 3);
    }
    ck_assert_ptr_null(imiad_dataset_type_name(count));
    ck_assert_ptr_null(imiad_dataset_type_title(count));
}
END_TEST

START_TEST(arguments_are_checked)
{
    tree_begin();
    tree_category("nut");
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mvtec_ad", NULL));
    imiad_sample s = IMIAD_SAMPLE_INIT;
    imiad_image *image;
    char digest[65];
    ck_fails(imiad_dataset_sample(&s, d, 4), IMIAD_OUT_OF_RANGE, "4 of 4");
    s.struct_size = 0;
    ck_fails(imiad_dataset_sample(&s, d, 0), IMIAD_INVALID_ARGUMENT, "struct_size");
    ck_fails(imiad_dataset_read_image(&image, d, 4), IMIAD_OUT_OF_RANGE, "4 of 4");
    ck_fails(imiad_dataset_read_mask(&image, d, 4), IMIAD_OUT_OF_RANGE, "4 of 4");
    ck_fails(imiad_dataset_read_image(NULL, d, 0), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_dataset_digest(digest, NULL), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_assert_uint_eq(imiad_dataset_sample_count(NULL), 0);
    ck_assert_ptr_null(imiad_dataset_name(NULL));
    ck_assert_str_eq(imiad_dataset_name(d), "mvtec_ad");
    ck_assert_str_eq(imiad_dataset_root(d), tree);
    imiad_dataset_free(d);
}
END_TEST

/* Counts: MVTec AD's distribution of the category (Bergmann et al., IJCV 2021, table 1). */
START_TEST(transistor_has_the_published_counts)
{
    const char *root = SHARED("data/mvtec_ad");
    imiad_dataset *d;
    ck_ok(imiad_dataset_open(&d, "mvtec_ad", root, &(imiad_option){"categories", "transistor"}, 1));
    imiad_category_info info = IMIAD_CATEGORY_INFO_INIT;
    ck_ok(imiad_dataset_category_info(&info, d, 0));
    ck_assert_uint_eq(info.train_good, 213);
    ck_assert_uint_eq(info.test_good, 60);
    ck_assert_uint_eq(info.test_defective, 40);
    ck_assert_uint_eq(info.missing_masks, 0);
    static const char *const kinds[] = {"bent_lead", "cut_lead", "damaged_case", "misplaced"};
    size_t counts[4] = {0};
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i)
        for (int k = 0; k < 4; ++k)
            counts[k] += strcmp(sample_of(d, i).kind, kinds[k]) == 0;
    for (int k = 0; k < 4; ++k)
        ck_assert_uint_eq(counts[k], 10);
    for (size_t i = 0; i < imiad_dataset_sample_count(d); i += 29) {
        imiad_image *mask;
        ck_ok(imiad_dataset_read_mask(&mask, d, i));
        imiad_image_free(mask);
    }
    imiad_dataset_free(d);
}
END_TEST

SUITE("dataset", TEST(samples_come_in_category_subset_and_bytewise_path_order),
      TEST(the_label_comes_from_the_folder_and_never_from_the_mask),
      TEST(files_without_a_place_in_the_layout_are_left_out),
      TEST(what_is_left_out_is_logged_by_its_path),
      TEST(masks_are_defective_above_zero_or_from_the_chosen_threshold),
      TEST(a_mask_channel_is_given_as_it_is_on_disk),
      TEST(a_mask_of_another_size_names_both_files_and_sizes),
      TEST(a_missing_mask_is_an_error_unknown_or_empty_as_the_caller_says),
      LOOP_TEST(a_broken_category_fails_by_name_and_leaves_the_others_alone,
                sizeof broken / sizeof *broken),
      TEST(a_category_that_cannot_be_listed_says_so_when_it_is_asked_for),
      TEST(opening_fails_with_what_was_wrong), TEST(the_root_may_be_a_category_by_mistake),
      TEST(categories_can_be_chosen_in_any_order), TEST(a_category_counts_its_images),
      TEST(a_split_holds_training_normals_and_the_whole_test_set),
      TEST(the_digest_follows_names_and_sizes), TEST(an_export_is_read_back_the_same),
      TEST(a_failed_export_tells_the_first_image_that_failed),
      TEST(every_registered_dataset_lists_its_options), TEST(arguments_are_checked),
      TEST(transistor_has_the_published_counts))
