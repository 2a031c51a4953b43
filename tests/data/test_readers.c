/* What is odd about each dataset, and how its reader takes it. Sources: the publishers' layouts,
 * and what other projects report of them (empty masks, formats, class numbers in masks, byte-order
 * marks). Pictures are 11 x 7 pixels; see dataset_trees.c. */
#include "dataset_trees.h"
#include "trees.h"

#include "imiad/split.h"

#define KINDS(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, ""                                                                            \
    }

/* A tree of one small category. */
static void write_small(const char *layout, const char *category, const char *const *kinds)
{
    golden_counts row = golden_small(layout, category, kinds);
    if (strcmp(layout, "dagm") == 0)
        row.train_defective = 2;
    if (strcmp(layout, "mvtec_loco") == 0)
        row.validation = 3;
    tree_begin();
    dataset_tree_write(tree, layout, &row, 1);
}

static imiad_dataset *open_tree(const char *reader, const char *const *options)
{
    imiad_dataset *d;
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

static imiad_category_info info_of(const imiad_dataset *d)
{
    imiad_category_info info = IMIAD_CATEGORY_INFO_INIT;
    ck_ok(imiad_dataset_category_info(&info, d, 0));
    return info;
}

static int pixel(const imiad_image *image, int x, int y)
{
    return image->pixels[(size_t)y * image->stride + (size_t)x];
}

/* How many pixels of a sample's ground truth are defective. */
static int mask_area(const imiad_dataset *d, const char *path)
{
    imiad_image *mask;
    ck_ok(imiad_dataset_read_mask(&mask, d, index_of(d, path)));
    int area = 0;
    for (int y = 0; y < mask->height; ++y)
        for (int x = 0; x < mask->width; ++x)
            area += pixel(mask, x, y) == 255;
    imiad_image_free(mask);
    return area;
}
enum { WHOLE = TREE_WIDTH * TREE_HEIGHT };

static char logged[1 << 14];

static void remember_message(void *user, imiad_log_level level, const char *message)
{
    strncat(logged, message, sizeof logged - strlen(logged) - 1);
    strncat(logged, "\n", sizeof logged - strlen(logged) - 1);
}

/* Opens the tree and lists what the log says of it. */
static imiad_dataset *open_logged(const char *reader)
{
    imiad_set_log(remember_message, NULL);
    return open_tree(reader, NULL);
}

/* ---- BTAD ---- */

START_TEST(btad_calls_good_ok_and_defective_ko)
{
    write_small("btad", "01", KINDS("ko"));
    imiad_dataset *d = open_tree("btad", NULL);
    imiad_sample good = sample_of(d, index_of(d, "01/test/ok/0000.bmp"));
    imiad_sample bad = sample_of(d, index_of(d, "01/test/ko/0000.bmp"));
    ck_assert_int_eq(good.label, 0);
    ck_assert_str_eq(good.kind, "good");
    ck_assert_int_eq(bad.label, 1);
    ck_assert_str_eq(bad.kind, "ko");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(btad_masks_are_found_in_another_format_than_the_image)
{
    static const char *const products[] = {"01", "02", "03"};
    for (int i = 0; i < 3; ++i) {
        write_small("btad", products[i], KINDS("ko"));
        imiad_dataset *d = open_tree("btad", NULL);
        ck_assert_uint_eq(info_of(d).test_defective, 2);
        ck_assert_uint_eq(info_of(d).missing_masks, 0);
        imiad_dataset_free(d);
        tree_remove();
    }
}
END_TEST

START_TEST(btad_masks_of_zero_and_one_are_read_in_full)
{
    write_small("btad", "02", KINDS("ko"));
    imiad_dataset *d = open_tree("btad", NULL);
    ck_assert_int_eq(mask_area(d, "02/test/ko/0001.png"), WHOLE);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(an_empty_mask_leaves_a_defective_image_defective)
{
    write_small("btad", "03", KINDS("ko"));
    imiad_dataset *d = open_tree("btad", NULL);
    imiad_sample s = sample_of(d, index_of(d, "03/test/ko/0000.bmp"));
    ck_assert_int_eq(s.label, 1);
    ck_assert_int_eq(s.has_mask, 1);
    ck_assert_int_eq(mask_area(d, "03/test/ko/0000.bmp"), 0);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(extensions_are_compared_in_any_case)
{
    tree_begin();
    tree_image("01/train/ok/0000.BMP", 4, 4, 9);
    tree_image("01/test/ko/0000.Bmp", 4, 4, 9);
    tree_image("01/ground_truth/ko/0000.PNG", 4, 4, 255);
    imiad_dataset *d = open_tree("btad", NULL);
    ck_assert_uint_eq(imiad_dataset_sample_count(d), 2);
    ck_assert_int_eq(mask_area(d, "01/test/ko/0000.Bmp"), 16);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_stem_ends_at_the_last_dot)
{
    tree_begin();
    tree_image("01/test/ko/0.png.bmp", 4, 4, 9);
    tree_image("01/test/ko/0.bmp", 4, 4, 9);
    tree_image("01/ground_truth/ko/0.png.png", 4, 4, 255);
    imiad_dataset *d = open_tree("btad", NULL);
    ck_assert_int_eq(sample_of(d, index_of(d, "01/test/ko/0.png.bmp")).has_mask, 1);
    ck_assert_int_eq(sample_of(d, index_of(d, "01/test/ko/0.bmp")).has_mask, 0);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(of_two_masks_the_lossless_one_is_taken_png_first)
{
    tree_begin();
    tree_image("01/test/ko/0.bmp", 4, 4, 9);
    tree_image("01/ground_truth/ko/0.bmp", 4, 4, 0);
    tree_image("01/ground_truth/ko/0.jpg", 4, 4, 0);
    tree_image("01/ground_truth/ko/0.png", 4, 4, 255);
    imiad_dataset *d = open_tree("btad", NULL);
    ck_assert_int_eq(mask_area(d, "01/test/ko/0.bmp"), 16);
    imiad_dataset_free(d);
}
END_TEST

/* ---- all of them ---- */

static const struct {
    const char *layout, *reader, *category, *folder;
    const char *kinds[3];
} all[] = {
    {"mvtec_ad", "mvtec_ad", "grid", "grid/test/bent", {"bent", ""}},
    {"mvtec_loco", "mvtec_loco", "pushpins", "pushpins/test/good", {"logical_anomalies", ""}},
    {"mpdd", "mpdd", "tubes", "tubes/train/good", {"anomalous", ""}},
    {"btad", "btad", "02", "02/test/ko", {"ko", ""}},
    {"visa", "visa", "candle", "candle/Data/Images/Normal", {"bad", ""}},
    {"visa_converted", "visa", "cashew", "cashew/train/good", {"bad", ""}},
    {"mtd", "mtd", "mtd", "MT_Free/Imgs", {"MT_Crack", ""}},
    {"mtd_split", "mtd", "mtd", "train/good", {"MT_Fray", ""}},
    {"dagm", "dagm", "Class3", "Class3/Train", {"defective", ""}},
    {"mvtec_3d_rgb", "mvtec_3d_rgb", "tire", "tire/test/good/rgb", {"hole", ""}},
};
enum { ALL = sizeof all / sizeof *all };

START_TEST(nothing_of_an_official_tree_is_left_out)
{
    write_small(all[_i].layout, all[_i].category, all[_i].kinds);
    imiad_dataset_free(open_logged(all[_i].reader));
    ck_assert_str_eq(logged, "");
}
END_TEST

START_TEST(dot_files_and_thumbnails_are_passed_over_silently)
{
    static const char *const names[] = {".DS_Store", "._000.png", "Thumbs.db", "thumbs.DB"};
    write_small(all[_i].layout, all[_i].category, all[_i].kinds);
    imiad_dataset *before = open_tree(all[_i].reader, NULL);
    for (int i = 0; i < 4; ++i) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", all[_i].folder, names[i]);
        tree_bytes(path, "?", 1);
        tree_bytes(names[i], "?", 1);
    }
    imiad_dataset *after = open_logged(all[_i].reader);
    ck_assert_str_eq(logged, "");
    ck_assert_uint_eq(imiad_dataset_sample_count(after), imiad_dataset_sample_count(before));
    imiad_dataset_free(before);
    imiad_dataset_free(after);
}
END_TEST

START_TEST(a_file_that_is_no_image_is_left_out_by_name_and_reason)
{
    char path[256];
    write_small(all[_i].layout, all[_i].category, all[_i].kinds);
    imiad_dataset *before = open_tree(all[_i].reader, NULL);
    snprintf(path, sizeof path, "%s/notes.txt", all[_i].folder);
    tree_bytes(path, "?", 1);
    imiad_dataset *after = open_logged(all[_i].reader);
    char *line = strstr(logged, path);
    ck_assert_msg(line, "%s is not in: %s", path, logged);
    ck_assert_ptr_nonnull(strstr(line, ": "));
    ck_assert_uint_eq(imiad_dataset_sample_count(after), imiad_dataset_sample_count(before));
    imiad_dataset_free(before);
    imiad_dataset_free(after);
}
END_TEST

START_TEST(every_image_and_mask_of_a_tree_can_be_read)
{
    write_small(all[_i].layout, all[_i].category, all[_i].kinds);
    imiad_dataset *d = open_tree(all[_i].reader, NULL);
    ck_assert_uint_gt(imiad_dataset_sample_count(d), 0);
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i) {
        imiad_image *image, *mask;
        int32_t width, height;
        ck_ok(imiad_dataset_read_image(&image, d, i));
        ck_ok(imiad_dataset_read_mask(&mask, d, i));
        ck_ok(imiad_dataset_image_size(&width, &height, d, i));
        ck_assert_int_eq(width, image->width);
        ck_assert_int_eq(height, image->height);
        ck_assert_int_eq(mask->width, TREE_WIDTH);
        ck_assert_int_eq(mask->height, TREE_HEIGHT);
        imiad_image_free(image);
        imiad_image_free(mask);
    }
    imiad_dataset_free(d);
}
END_TEST

/* ---- MVTec AD, MVTec LOCO AD, MVTec 3D-AD ---- */

START_TEST(masks_without_image_are_left_out)
{
    write_small("mvtec_ad", "nut", KINDS("bent"));
    tree_image("nut/ground_truth/bent/777_mask.png", 4, 4, 255);
    tree_image("nut/ground_truth/rusty/000_mask.png", 4, 4, 255);
    imiad_dataset_free(open_logged("mvtec_ad"));
    ck_assert_ptr_nonnull(strstr(logged, "nut/ground_truth/bent/777_mask.png: it is no image's"));
    ck_assert_ptr_nonnull(strstr(logged, "nut/ground_truth/rusty: it is no image's mask"));
}
END_TEST

START_TEST(grey_products_stay_grey)
{
    write_small("mvtec_ad", "grid", KINDS("bent"));
    imiad_dataset *d = open_tree("mvtec_ad", NULL);
    imiad_image *image;
    ck_ok(imiad_dataset_read_image(&image, d, 0));
    ck_assert_int_eq(image->format, IMIAD_PIXEL_GRAY8);
    imiad_image_free(image);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(validation_images_are_kept_apart_from_training)
{
    write_small("mvtec_loco", "pushpins", KINDS("logical_anomalies", "structural_anomalies"));
    imiad_dataset *d = open_tree("mvtec_loco", NULL);
    ck_assert_uint_eq(info_of(d).validation, 3);
    ck_assert_uint_eq(info_of(d).train_good, 5);
    imiad_split *split;
    ck_ok(imiad_split_create(&split, d, "pushpins", "unsupervised", NULL, 0));
    ck_assert_uint_eq(imiad_split_train_count(split), 5);
    ck_assert_uint_eq(imiad_split_test_count(split), 6);
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

/* Two channels of an image: one at the upper left with value 7, one below it with value 200. */
START_TEST(loco_masks_are_channels_whose_union_is_the_ground_truth)
{
    tree_begin();
    uint8_t first[4 * 4] = {7, 7, 0, 0, 7, 7}, second[4 * 4] = {[4] = 200, 200, [8] = 200, 200};
    imiad_image mask = IMIAD_IMAGE_INIT;
    mask.format = IMIAD_PIXEL_GRAY8;
    mask.width = mask.height = 4;
    mask.stride = 4;
    tree_image("box/train/good/000.png", 4, 4, 9);
    tree_image("box/test/logical_anomalies/000.png", 4, 4, 9);
    mask.pixels = first;
    ck_ok(
        imiad_image_write_png(&mask, tree_path("box/ground_truth/logical_anomalies/000/000.png")));
    mask.pixels = second;
    ck_ok(
        imiad_image_write_png(&mask, tree_path("box/ground_truth/logical_anomalies/000/001.png")));
    imiad_dataset *d = open_tree("mvtec_loco", NULL);
    ck_assert_uint_eq(imiad_dataset_mask_channels(d, 1), 2);
    imiad_image *channel;
    ck_ok(imiad_dataset_read_mask_channel(&channel, d, 1, 0));
    ck_assert_int_eq(pixel(channel, 0, 0), 7);
    imiad_image_free(channel);
    ck_ok(imiad_dataset_read_mask_channel(&channel, d, 1, 1));
    ck_assert_int_eq(pixel(channel, 0, 1), 200);
    imiad_image_free(channel);
    ck_assert_int_eq(mask_area(d, "box/test/logical_anomalies/000.png"), 6); /* 4 + 4 - 2 shared */
    imiad_dataset_free(d);
}
END_TEST

START_TEST(loco_defects_are_found_by_their_pixel_value)
{
    write_small("mvtec_loco", "pushpins", KINDS("logical_anomalies"));
    imiad_dataset *d = open_tree("mvtec_loco", NULL);
    imiad_defect_info defect = IMIAD_DEFECT_INFO_INIT;
    ck_assert_uint_eq(imiad_dataset_defect_count(d, 0), 2);
    ck_ok(imiad_dataset_defect(&defect, d, 0, 0));
    ck_assert_str_eq(defect.name, "missing_part");
    ck_assert_int_eq(defect.pixel_value, 1);
    ck_assert_double_eq(defect.saturation_threshold, 37500);
    ck_assert_int_eq(defect.relative_saturation, 0);
    ck_ok(imiad_dataset_find_defect(&defect, d, 0, 255));
    ck_assert_str_eq(defect.name, "scratch");
    ck_assert_double_eq(defect.saturation_threshold, 0.7);
    ck_assert_int_eq(defect.relative_saturation, 1);
    ck_fails(imiad_dataset_find_defect(&defect, d, 0, 77), IMIAD_NOT_FOUND,
             "pushpins/defects_config.json has the pixel_value 77");
    ck_fails(imiad_dataset_defect(&defect, d, 0, 2), IMIAD_OUT_OF_RANGE, "2 of 2");
    ck_fails(imiad_dataset_defect(&defect, d, 1, 0), IMIAD_OUT_OF_RANGE, "category 1 of 1");
    ck_fails(imiad_dataset_defect(NULL, d, 0, 0), IMIAD_INVALID_ARGUMENT, "NULL");
    defect.struct_size = 0;
    ck_fails(imiad_dataset_find_defect(&defect, d, 0, 1), IMIAD_INVALID_ARGUMENT, "struct_size");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(loco_without_description_of_defects_can_still_be_listed)
{
    write_small("mvtec_loco", "pushpins", KINDS("logical_anomalies"));
    unlink(tree_path("pushpins/defects_config.json"));
    imiad_dataset *d = open_logged("mvtec_loco");
    ck_assert_ptr_nonnull(strstr(logged, "pushpins/defects_config.json"));
    ck_assert_uint_eq(info_of(d).test_defective, 2);
    imiad_defect_info defect = IMIAD_DEFECT_INFO_INIT;
    ck_fails(imiad_dataset_find_defect(&defect, d, 0, 1), IMIAD_NOT_FOUND,
             "pushpins/defects_config.json");
    imiad_dataset_free(d);
    write_small("btad", "01", KINDS("ko"));
    d = open_tree("btad", NULL);
    ck_assert_uint_eq(imiad_dataset_defect_count(d, 0), 0);
    ck_fails(imiad_dataset_find_defect(&defect, d, 0, 1), IMIAD_NOT_FOUND, "btad does not");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(loco_images_without_mask_folder_say_where_it_should_be)
{
    write_small("mvtec_loco", "pushpins", KINDS("logical_anomalies"));
    unlink(tree_path("pushpins/ground_truth/logical_anomalies/001/000.png"));
    unlink(tree_path("pushpins/ground_truth/logical_anomalies/001/001.png"));
    imiad_dataset *d = open_tree("mvtec_loco", NULL);
    ck_assert_uint_eq(info_of(d).missing_masks, 1);
    imiad_image *mask;
    ck_fails(
        imiad_dataset_read_mask(&mask, d, index_of(d, "pushpins/test/logical_anomalies/001.png")),
        IMIAD_NOT_FOUND, "no pushpins/ground_truth/logical_anomalies/001/000.png");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(mvtec_3d_masks_lie_beside_the_test_images)
{
    write_small("mvtec_3d_rgb", "tire", KINDS("hole"));
    imiad_dataset *d = open_tree("mvtec_3d_rgb", NULL);
    ck_assert_uint_eq(info_of(d).test_good, 2); /* and not its masks of zeros */
    ck_assert_int_eq(mask_area(d, "tire/test/good/rgb/000.png"), 0);
    ck_assert_int_eq(mask_area(d, "tire/test/hole/rgb/000.png"), WHOLE);
    imiad_dataset_free(d);
}
END_TEST

/* ---- VisA ---- */

START_TEST(visa_normal_and_defective_images_of_one_name_are_two)
{
    write_small("visa", "cashew", KINDS("bad"));
    imiad_dataset *d = open_tree("visa", NULL);
    imiad_sample good = sample_of(d, index_of(d, "cashew/Data/Images/Normal/000.JPG"));
    imiad_sample bad = sample_of(d, index_of(d, "cashew/Data/Images/Anomaly/000.JPG"));
    ck_assert_int_eq(good.label, 0);
    ck_assert_int_eq(good.subset, IMIAD_SUBSET_TRAIN);
    ck_assert_int_eq(bad.label, 1);
    ck_assert_int_eq(bad.subset, IMIAD_SUBSET_TEST);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(visa_masks_of_class_numbers_are_defective_above_zero)
{
    write_small("visa", "cashew", KINDS("bad"));
    imiad_dataset *d = open_tree("visa", NULL);
    const char *path = "cashew/Data/Images/Anomaly/001.JPG";
    imiad_image *channel;
    ck_ok(imiad_dataset_read_mask_channel(&channel, d, index_of(d, path), 0));
    ck_assert_int_eq(pixel(channel, 3, 3), 1); /* the class of the defect */
    imiad_image_free(channel);
    ck_assert_int_eq(mask_area(d, path), WHOLE);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(visa_gives_the_same_samples_raw_and_converted)
{
    imiad_category_info info[2];
    static const char *const layouts[] = {"visa", "visa_converted"};
    for (int i = 0; i < 2; ++i) {
        write_small(layouts[i], "cashew", KINDS("bad"));
        imiad_dataset *d = open_tree("visa", NULL);
        info[i] = info_of(d);
        ck_assert_str_eq(sample_of(d, info[i].train_good).kind, "bad"); /* both sort it first */
        imiad_dataset_free(d);
        tree_remove();
    }
    ck_assert_uint_eq(info[0].train_good, info[1].train_good);
    ck_assert_uint_eq(info[0].test_good, info[1].test_good);
    ck_assert_uint_eq(info[0].test_defective, info[1].test_defective);
}
END_TEST

static void put_text(const char *path, const char *text)
{
    tree_bytes(path, text, strlen(text));
}

#define CSV "object,split,label,image,mask\n"
#define FEW                                                                                        \
    "cashew,train,normal,cashew/Data/Images/Normal/000.JPG,\n"                                     \
    "cashew,train,anomaly,cashew/Data/Images/Anomaly/000.JPG,"                                     \
    "cashew/Data/Masks/Anomaly/000.png\n"                                                          \
    "cashew,test,normal,cashew/Data/Images/Normal/001.JPG,\n"                                      \
    "cashew,test,anomaly,cashew/Data/Images/Anomaly/001.JPG,"                                      \
    "cashew/Data/Masks/Anomaly/001.png\n"

START_TEST(visa_has_several_official_splits)
{
    write_small("visa", "cashew", KINDS("bad"));
    put_text("split_csv/2cls_highshot.csv", CSV FEW);
    imiad_dataset *d = open_tree("visa", OPTIONS("split", "2cls_highshot"));
    imiad_category_info info = info_of(d);
    ck_assert_uint_eq(info.train_good, 1);
    ck_assert_uint_eq(info.train_defective, 1);
    ck_assert_uint_eq(info.test_good, 1);
    ck_assert_uint_eq(info.test_defective, 1);
    imiad_official_counts official = IMIAD_OFFICIAL_COUNTS_INIT;
    ck_ok(imiad_dataset_official_counts(&official, d, 0));
    ck_assert_int_eq(official.has_split, 0); /* the published counts are of 1cls */
    ck_assert_uint_eq(official.good, 500);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(visa_images_that_the_split_does_not_list_are_left_out)
{
    write_small("visa", "cashew", KINDS("bad"));
    put_text("split_csv/1cls.csv", CSV FEW);
    imiad_dataset *d = open_logged("visa");
    ck_assert_uint_eq(imiad_dataset_sample_count(d), 4);
    ck_assert_ptr_nonnull(strstr(logged, "cashew/Data/Images/Normal/004.JPG: the split file"));
    imiad_dataset_free(d);
}
END_TEST

START_TEST(visa_splits_may_have_a_byte_order_mark_and_carriage_returns)
{
    write_small("visa", "cashew", KINDS("bad"));
    put_text("split_csv/1cls.csv", "\xEF\xBB\xBFobject,split,label,image,mask\r\n"
                                   "cashew,train,normal,cashew/Data/Images/Normal/000.JPG,\r\n\r\n"
                                   "cashew,test,anomaly,cashew/Data/Images/Anomaly/000.JPG,"
                                   "cashew/Data/Masks/Anomaly/000.png\r\n");
    imiad_dataset *d = open_tree("visa", NULL);
    ck_assert_uint_eq(imiad_dataset_sample_count(d), 2);
    ck_assert_int_eq(sample_of(d, 1).has_mask, 1);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(visa_masks_that_are_not_there_are_missing_masks)
{
    write_small("visa", "cashew", KINDS("bad"));
    unlink(tree_path("cashew/Data/Masks/Anomaly/001.png"));
    imiad_dataset *d = open_tree("visa", NULL);
    ck_assert_uint_eq(info_of(d).missing_masks, 1);
    imiad_image *mask;
    ck_fails(imiad_dataset_read_mask(&mask, d, index_of(d, "cashew/Data/Images/Anomaly/001.JPG")),
             IMIAD_NOT_FOUND, "no cashew/Data/Masks/Anomaly/001.png");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(visa_converted_for_two_classes_has_defective_training_images)
{
    write_small("visa_converted", "cashew", KINDS("bad"));
    tree_image("cashew/train/bad/050.JPG", 4, 4, 9);
    imiad_dataset *d = open_tree("visa", NULL);
    ck_assert_uint_eq(info_of(d).train_defective, 1);
    imiad_split *split;
    ck_ok(imiad_split_create(&split, d, "cashew", "unsupervised", NULL, 0));
    ck_assert_uint_eq(imiad_split_train_count(split), 5);
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

/* ---- DAGM 2007 ---- */

START_TEST(dagm_labels_come_from_the_text_file_with_or_without_byte_order_mark)
{
    static const char *const classes[] = {"Class1", "Class2", "Class7"};
    for (int i = 0; i < 3; ++i) { /* a mark; carriage returns; neither */
        write_small("dagm", classes[i], KINDS("defective"));
        imiad_dataset *d = open_tree("dagm", NULL);
        imiad_category_info info = info_of(d);
        ck_assert_uint_eq(info.train_good, 5);
        ck_assert_uint_eq(info.train_defective, 2);
        ck_assert_uint_eq(info.test_good, 2);
        ck_assert_uint_eq(info.test_defective, 2);
        ck_assert_uint_eq(info.missing_masks, 0);
        imiad_dataset_free(d);
        tree_remove();
    }
}
END_TEST

START_TEST(dagm_defective_training_images_train_nothing_unsupervised)
{
    write_small("dagm", "Class1", KINDS("defective"));
    imiad_dataset *d = open_tree("dagm", NULL);
    imiad_split *split;
    ck_ok(imiad_split_create(&split, d, "Class1", "unsupervised", NULL, 0));
    ck_assert_uint_eq(imiad_split_train_count(split), 5);
    ck_assert_uint_eq(imiad_split_test_count(split), 4);
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(dagm_may_be_nested_twice)
{
    write_small("dagm", "Class1", KINDS("defective"));
    char from[512];
    strcpy(from, tree_path("Class1"));
    ck_assert_int_eq(rename(from, tree_path("inner")), 0);
    strcpy(from, tree_path("inner"));
    ck_assert_int_eq(rename(from, tree_path("Class1/Class1")), 0);
    imiad_dataset *d = open_tree("dagm", NULL);
    ck_assert_str_eq(imiad_dataset_category(d, 0), "Class1");
    ck_assert_int_eq(mask_area(d, "Class1/Class1/Test/0001.PNG"), WHOLE);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(dagm_names_fit_in_any_case)
{
    write_small("dagm", "Class7", KINDS("defective"));
    char from[512];
    strcpy(from, tree_path("Class7/Test/0001.PNG"));
    ck_assert_int_eq(rename(from, tree_path("Class7/Test/0001.png")), 0);
    imiad_dataset *d = open_logged("dagm");
    ck_assert_str_eq(logged, "");
    ck_assert_int_eq(sample_of(d, index_of(d, "Class7/Test/0001.png")).label, 1);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(dagm_images_that_are_not_labelled_are_left_out)
{
    write_small("dagm", "Class7", KINDS("defective"));
    tree_image("Class7/Test/0999.PNG", 4, 4, 9);
    tree_image("Class7/Test/Label/0999_label.PNG", 4, 4, 255);
    imiad_dataset *d = open_logged("dagm");
    ck_assert_ptr_nonnull(strstr(logged, "Class7/Test/0999.PNG: Labels.txt"));
    ck_assert_ptr_nonnull(strstr(logged, "Class7/Test/Label/0999_label.PNG: Labels.txt"));
    ck_assert_uint_eq(imiad_dataset_sample_count(d), 11);
    imiad_dataset_free(d);
}
END_TEST

/* The older release: 10 good images, and one of the defects that its text file describes. */
static void write_older(const char *labels)
{
    tree_begin();
    for (int i = 1; i <= 10; ++i) {
        char path[64];
        snprintf(path, sizeof path, "Class1/%d.png", i);
        tree_image(path, TREE_WIDTH, TREE_HEIGHT, 9);
    }
    tree_image("Class1_def/1.png", TREE_WIDTH, TREE_HEIGHT, 9);
    put_text("Class1_def/labels.txt", labels);
}

START_TEST(dagm_older_release_is_split_by_share_and_seed)
{
    write_older("1\t3\t1\t0\t5\t3\n");
    imiad_dataset *d = open_tree("dagm", NULL),
                  *half = open_tree("dagm", OPTIONS("train_share", "0.5"));
    ck_assert_uint_eq(info_of(d).train_good, 8);
    ck_assert_uint_eq(info_of(d).test_good, 2);
    ck_assert_uint_eq(info_of(d).test_defective, 1);
    ck_assert_uint_eq(info_of(half).train_good, 5);
    imiad_dataset_free(d);
    imiad_dataset_free(half);
}
END_TEST

static imiad_image *drawn_mask(const char *labels)
{
    write_older(labels);
    imiad_dataset *d = open_tree("dagm", NULL);
    imiad_image *mask, *channel;
    size_t index = index_of(d, "Class1_def/1.png");
    ck_assert_uint_eq(imiad_dataset_mask_channels(d, index), 1);
    ck_ok(imiad_dataset_read_mask(&mask, d, index));
    ck_ok(imiad_dataset_read_mask_channel(&channel, d, index, 0));
    ck_assert_mem_eq(mask->pixels, channel->pixels, TREE_WIDTH * TREE_HEIGHT);
    imiad_image_free(channel);
    imiad_dataset_free(d);
    tree_remove();
    return mask;
}

/* Hand calculation: semi-axes 3.5 and 1.5 around the pixel (5, 3), which the file, counting from 1,
 * calls (6, 4). Row 3 holds |dx| <= 3.5; rows 2 and 4
 * |dx| <= 3.5 sqrt(1 - 1/2.25) = 2.6. A quarter turn exchanges dx and dy. */
START_TEST(dagm_older_masks_are_filled_ellipses)
{
    static const int reach[] = {3, 2}; /* at 0 and 1 beside the axis */
    imiad_image *flat = drawn_mask("1\t3.5\t1.5\t0\t6\t4\n");
    imiad_image *steep = drawn_mask("1\t3.5\t1.5\t1.5707963267948966\t6\t4\t\r\n");
    for (int y = 0; y < TREE_HEIGHT; ++y)
        for (int x = 0; x < TREE_WIDTH; ++x) {
            int dx = abs(x - 5), dy = abs(y - 3);
            ck_assert_int_eq(pixel(flat, x, y), dy <= 1 && dx <= reach[dy] ? 255 : 0);
            ck_assert_int_eq(pixel(steep, x, y), dx <= 1 && dy <= reach[dx] ? 255 : 0);
        }
    imiad_image_free(flat);
    imiad_image_free(steep);
}
END_TEST

/* At an eighth of a turn the first axis passes through (6, 4), below and to the right of the
 * centre: clockwise, as one sees it. The first axis may be the shorter one. */
START_TEST(dagm_ellipses_turn_clockwise)
{
    imiad_image *longer = drawn_mask("1\t3\t0.5\t0.7853981633974483\t6\t4\n");
    imiad_image *shorter = drawn_mask("1\t0.5\t3\t0.7853981633974483\t6\t4\n");
    ck_assert_int_eq(pixel(longer, 6, 4), 255);
    ck_assert_int_eq(pixel(longer, 6, 2), 0);
    ck_assert_int_eq(pixel(shorter, 6, 4), 0);
    ck_assert_int_eq(pixel(shorter, 6, 2), 255);
    imiad_image_free(longer);
    imiad_image_free(shorter);
}
END_TEST

START_TEST(dagm_has_no_option_about_the_angle)
{
    write_older("1\t3\t1\t0\t6\t4\n");
    imiad_dataset *d;
    ck_fails(tree_open(&d, "dagm", OPTIONS("angle", "clockwise")), IMIAD_UNKNOWN_OPTION,
             "dataset dagm has no option \"angle\"");
}
END_TEST

START_TEST(dagm_ellipses_may_be_cut_by_the_border)
{
    imiad_image *mask = drawn_mask("1\t2.5\t2.5\t0\t0\t0\n");
    ck_assert_int_eq(pixel(mask, 0, 0), 255); /* at a distance of 1.41 */
    ck_assert_int_eq(pixel(mask, 1, 1), 0);   /* 2.83 */
    ck_assert_int_eq(pixel(mask, 1, 0), 255); /* 2.24 */
    imiad_image_free(mask);
}
END_TEST

START_TEST(dagm_defective_images_without_ellipse_lack_their_mask)
{
    write_older("1\t3\t1\t0\t5\t3\n");
    tree_image("Class1_def/2.png", TREE_WIDTH, TREE_HEIGHT, 9);
    imiad_dataset *d = open_tree("dagm", NULL);
    imiad_image *mask;
    ck_assert_uint_eq(info_of(d).missing_masks, 1);
    ck_fails(imiad_dataset_read_mask(&mask, d, index_of(d, "Class1_def/2.png")), IMIAD_NOT_FOUND,
             "no Class1_def/labels.txt");
    imiad_dataset_free(d);
}
END_TEST

/* ---- sizes ---- */

START_TEST(sizes_are_read_from_headers_only)
{
    tree_begin();
    tree_image("nut/train/good/000.png", 30, 20, 9);
    ck_assert_int_eq(truncate(tree_path("nut/train/good/000.png"), 40), 0);
    tree_bytes("nut/train/good/001.png", "?", 1);
    imiad_dataset *d = open_tree("mvtec_ad", NULL);
    int32_t width, height;
    ck_ok(imiad_dataset_image_size(&width, &height, d, 0));
    ck_assert_int_eq(width, 30);
    ck_assert_int_eq(height, 20);
    ck_fails(imiad_dataset_image_size(&width, &height, d, 1), IMIAD_FORMAT, "001.png");
    ck_fails(imiad_dataset_image_size(&width, &height, d, 2), IMIAD_OUT_OF_RANGE, "2 of 2");
    ck_fails(imiad_dataset_image_size(NULL, &height, d, 0), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_fails(imiad_dataset_image_size(&width, NULL, d, 0), IMIAD_INVALID_ARGUMENT, "NULL");
    unlink(tree_path("nut/train/good/000.png"));
    ck_fails(imiad_dataset_image_size(&width, &height, d, 0), IMIAD_NOT_FOUND, "000.png");
    imiad_dataset_free(d);
    ck_ok(imiad_dataset_open(&d, "synthetic", NULL, &(imiad_option){"size", "48"}, 1));
    ck_ok(imiad_dataset_image_size(&width, &height, d, 0));
    ck_assert_int_eq(width, 48);
    imiad_dataset_free(d);
}
END_TEST

SUITE("readers", TEST(btad_calls_good_ok_and_defective_ko),
      TEST(btad_masks_are_found_in_another_format_than_the_image),
      TEST(btad_masks_of_zero_and_one_are_read_in_full),
      TEST(an_empty_mask_leaves_a_defective_image_defective),
      TEST(extensions_are_compared_in_any_case), TEST(a_stem_ends_at_the_last_dot),
      TEST(of_two_masks_the_lossless_one_is_taken_png_first),
      LOOP_TEST(nothing_of_an_official_tree_is_left_out, ALL),
      LOOP_TEST(dot_files_and_thumbnails_are_passed_over_silently, ALL),
      LOOP_TEST(a_file_that_is_no_image_is_left_out_by_name_and_reason, ALL),
      LOOP_TEST(every_image_and_mask_of_a_tree_can_be_read, ALL),
      TEST(masks_without_image_are_left_out), TEST(grey_products_stay_grey),
      TEST(validation_images_are_kept_apart_from_training),
      TEST(loco_masks_are_channels_whose_union_is_the_ground_truth),
      TEST(loco_defects_are_found_by_their_pixel_value),
      TEST(loco_without_description_of_defects_can_still_be_listed),
      TEST(loco_images_without_mask_folder_say_where_it_should_be),
      TEST(mvtec_3d_masks_lie_beside_the_test_images),
      TEST(visa_normal_and_defective_images_of_one_name_are_two),
      TEST(visa_masks_of_class_numbers_are_defective_above_zero),
      TEST(visa_gives_the_same_samples_raw_and_converted), TEST(visa_has_several_official_splits),
      TEST(visa_images_that_the_split_does_not_list_are_left_out),
      TEST(visa_splits_may_have_a_byte_order_mark_and_carriage_returns),
      TEST(visa_masks_that_are_not_there_are_missing_masks),
      TEST(visa_converted_for_two_classes_has_defective_training_images),
      TEST(dagm_labels_come_from_the_text_file_with_or_without_byte_order_mark),
      TEST(dagm_defective_training_images_train_nothing_unsupervised),
      TEST(dagm_may_be_nested_twice), TEST(dagm_names_fit_in_any_case),
      TEST(dagm_images_that_are_not_labelled_are_left_out),
      TEST(dagm_older_release_is_split_by_share_and_seed),
      TEST(dagm_older_masks_are_filled_ellipses), TEST(dagm_ellipses_turn_clockwise),
      TEST(dagm_has_no_option_about_the_angle), TEST(dagm_ellipses_may_be_cut_by_the_border),
      TEST(dagm_defective_images_without_ellipse_lack_their_mask),
      TEST(sizes_are_read_from_headers_only))
