/* Trees in the form that conversions and partial copies of the published data sets have. */
#include "trees.h"

#include "imiad/split.h"

static char logged[1 << 14];
static int warnings;

static void remember_message(void *user, imiad_log_level level, const char *message)
{
    warnings += level >= IMIAD_LOG_WARNING;
    strncat(logged, message, sizeof logged - strlen(logged) - 2);
    strcat(logged, "\n");
}

static imiad_dataset *open_logged(const char *reader, const char *const *options)
{
    imiad_dataset *d;
    imiad_set_log(remember_message, NULL);
    ck_ok(tree_open(&d, reader, options));
    return d;
}

static size_t index_of(const imiad_dataset *d, const char *path)
{
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i)
        if (strcmp(sample_of(d, i).path, path) == 0)
            return i;
    ck_abort_msg("no sample %s", path);
    return 0;
}

static int mask_at(const imiad_dataset *d, const char *path)
{
    imiad_image *mask;
    ck_ok(imiad_dataset_read_mask(&mask, d, index_of(d, path)));
    int value = mask->pixels[0];
    imiad_image_free(mask);
    return value;
}

static void put_text(const char *path, const char *text)
{
    tree_bytes(path, text, strlen(text));
}

/* ---- VisA ---- */

/* As the official program converts a two-class split. */
static void write_two_class_visa(void)
{
    static const char *const images[] = {"train/good/000.JPG", "train/bad/001.JPG",
                                         "test/good/002.JPG", "test/bad/001.JPG"};
    char path[128];
    tree_begin();
    for (int i = 0; i < 4; ++i) {
        snprintf(path, sizeof path, "candle/%s", images[i]);
        tree_image(path, 8, 6, 9);
    }
    tree_image("candle/ground_truth/train/bad/001.png", 8, 6, 255);
    tree_image("candle/ground_truth/test/bad/001.png", 8, 6, 0);
}

START_TEST(visa_converted_for_two_classes_keeps_masks_by_part)
{
    write_two_class_visa();
    imiad_dataset *d = open_logged("visa", NULL);
    imiad_category_info info = IMIAD_CATEGORY_INFO_INIT;
    ck_ok(imiad_dataset_category_info(&info, d, 0));
    ck_assert_uint_eq(info.train_defective, 1);
    ck_assert_uint_eq(info.test_defective, 1);
    ck_assert_uint_eq(info.missing_masks, 0);
    ck_assert_int_eq(mask_at(d, "candle/train/bad/001.JPG"), 255);
    ck_assert_int_eq(mask_at(d, "candle/test/bad/001.JPG"), 0);
    ck_assert_str_eq(logged, "");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(visa_converted_for_two_classes_is_not_held_against_the_one_class_split)
{
    write_two_class_visa();
    imiad_dataset *d = open_logged("visa", NULL);
    imiad_official_counts official = IMIAD_OFFICIAL_COUNTS_INIT;
    ck_ok(imiad_dataset_official_counts(&official, d, 0));
    ck_assert_int_eq(official.has_split, 0);
    ck_assert_uint_eq(official.good, 1000);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(visa_converted_may_have_masks_of_images_that_are_not_there)
{
    write_two_class_visa();
    tree_image("candle/ground_truth/train/odd/001.png", 8, 6, 255);
    imiad_dataset_free(open_logged("visa", NULL));
    ck_assert_ptr_nonnull(strstr(logged, "candle/ground_truth/train/odd: it is no image's mask"));
}
END_TEST

/* The published file lists twelve objects; here is one of them. */
START_TEST(visa_objects_that_a_copy_lacks_are_not_here)
{
    static const char list[] = "object,split,label,image,mask\n"
                               "candle,train,normal,candle/Data/Images/Normal/0000.JPG,\n"
                               "candle,test,normal,candle/Data/Images/Normal/0001.JPG,\n"
                               "cashew,train,normal,cashew/Data/Images/Normal/000.JPG,\n"
                               "pcb1,train,normal,pcb1/Data/Images/Normal/0000.JPG,\n";
    tree_begin();
    put_text("split_csv/1cls.csv", list);
    tree_image("candle/Data/Images/Normal/0000.JPG", 8, 6, 9);
    tree_image("candle/Data/Images/Normal/0001.JPG", 8, 6, 9);
    imiad_dataset *d = open_logged("visa", NULL);
    ck_assert_int_eq(warnings, 0);
    ck_assert_uint_eq(imiad_dataset_category_count(d), 1);
    ck_assert_str_eq(imiad_dataset_category(d, 0), "candle");
    imiad_dataset_free(d);
    ck_fails(tree_open(&d, "visa", OPTIONS("categories", "cashew")), IMIAD_NOT_FOUND,
             "has no category \"cashew\"");
}
END_TEST

/* ---- what listing knows ---- */

static imiad_split *split_of(const imiad_dataset *d)
{
    imiad_split *split;
    ck_ok(imiad_split_create(&split, d, imiad_dataset_category(d, 0), "unsupervised", NULL, 0));
    return split;
}

START_TEST(missing_masks_are_told_before_anything_is_read)
{
    tree_begin();
    for (int i = 0; i < 4; ++i) { /* no image could be decoded */
        static const char *const images[] = {"bag/train/good/000.png", "bag/test/good/000.png",
                                             "bag/test/logical_anomalies/000.png",
                                             "bag/test/logical_anomalies/001.png"};
        put_text(images[i], "?");
    }
    imiad_dataset *d = open_logged("mvtec_loco", NULL);
    imiad_split *split = split_of(d);
    ck_fails(imiad_split_check(split), IMIAD_NOT_FOUND,
             "2 test images lack their masks: dataset mvtec_loco");
    ck_fails(imiad_split_check(split), IMIAD_NOT_FOUND,
             "there is no bag/ground_truth/logical_anomalies/000/000.png");
    ck_fails(imiad_split_check(NULL), IMIAD_INVALID_ARGUMENT, "NULL");
    imiad_split_free(split);
    imiad_dataset_free(d);
    ck_ok(tree_open(&d, "mvtec_loco", OPTIONS("missing_mask", "skip")));
    split = split_of(d);
    ck_ok(imiad_split_check(split));
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(masks_that_are_there_pass_the_check)
{
    tree_begin();
    tree_category("nut");
    imiad_dataset *d = open_logged("mvtec_ad", NULL);
    imiad_split *split = split_of(d);
    ck_ok(imiad_split_check(split));
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

/* ---- masks ---- */

/* The published masks hold another value for each kind of defect. */
START_TEST(mvtec_3d_masks_of_any_value_are_defective)
{
    static const char *const kinds[] = {"contamination", "cut", "open"};
    char path[128];
    tree_begin();
    tree_image("rope/train/good/rgb/000.png", 8, 6, 9);
    for (int i = 0; i < 3; ++i) {
        snprintf(path, sizeof path, "rope/test/%s/rgb/000.png", kinds[i]);
        tree_image(path, 8, 6, 9);
        snprintf(path, sizeof path, "rope/test/%s/gt/000.png", kinds[i]);
        tree_image(path, 8, 6, 255 - i);
    }
    imiad_dataset *d = open_logged("mvtec_3d_rgb", NULL);
    for (int i = 0; i < 3; ++i) {
        imiad_image *channel;
        snprintf(path, sizeof path, "rope/test/%s/rgb/000.png", kinds[i]);
        ck_assert_int_eq(mask_at(d, path), 255);
        ck_ok(imiad_dataset_read_mask_channel(&channel, d, index_of(d, path), 0));
        ck_assert_int_eq(channel->pixels[0], 255 - i);
        imiad_image_free(channel);
    }
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_mask_without_the_suffix_is_taken_where_none_has_it)
{
    tree_begin();
    tree_category("nut");
    tree_image("nut/test/hole/001.png", 8, 6, 9);
    tree_image("nut/ground_truth/hole/001.png", 8, 6, 255);
    tree_image("nut/ground_truth/hole/000.png", 8, 6, 0); /* beside 000_mask.png */
    imiad_dataset *d = open_logged("mvtec_ad", NULL);
    ck_assert_int_eq(mask_at(d, "nut/test/hole/000.png"), 255);
    ck_assert_int_eq(mask_at(d, "nut/test/hole/001.png"), 255);
    ck_assert_ptr_nonnull(strstr(logged, "nut/ground_truth/hole/000.png: it is no image's mask"));
    imiad_dataset_free(d);
}
END_TEST

SUITE("layouts", TEST(visa_converted_for_two_classes_keeps_masks_by_part),
      TEST(visa_converted_for_two_classes_is_not_held_against_the_one_class_split),
      TEST(visa_converted_may_have_masks_of_images_that_are_not_there),
      TEST(visa_objects_that_a_copy_lacks_are_not_here),
      TEST(missing_masks_are_told_before_anything_is_read),
      TEST(masks_that_are_there_pass_the_check), TEST(mvtec_3d_masks_of_any_value_are_defective),
      TEST(a_mask_without_the_suffix_is_taken_where_none_has_it))
