/* MTD: the rule by which it is split here, and its published files. Facts: Huang et al., and a
 * count of the published repository. */
#include "base/random.h"
#include "dataset_trees.h"
#include "trees.h"

#include "imiad/split.h"

static void write_tiles(size_t good)
{
    golden_counts row =
        golden_small("mtd", "mtd", (const char *const[]){"MT_Crack", "MT_Fray", ""});
    row.train_good = good;
    row.test_good = 0;
    tree_begin();
    dataset_tree_write(tree, "mtd", &row, 1);
}

static imiad_dataset *open_tiles(const char *const *options)
{
    imiad_dataset *d;
    ck_ok(tree_open(&d, "mtd", options));
    return d;
}

/* "train/test good, train/test defective" */
static const char *counts_of(const imiad_dataset *d)
{
    static char text[64];
    imiad_category_info i = IMIAD_CATEGORY_INFO_INIT;
    ck_ok(imiad_dataset_category_info(&i, d, 0));
    snprintf(text, sizeof text, "%zu/%zu good, %zu/%zu defective", i.train_good, i.test_good,
             i.train_defective, i.test_defective);
    return text;
}

static bool trains(const imiad_dataset *d, const char *path)
{
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i)
        if (strcmp(sample_of(d, i).path, path) == 0)
            return sample_of(d, i).subset == IMIAD_SUBSET_TRAIN;
    ck_abort_msg("no sample %s", path);
    return false;
}

/* ---- the split ---- */

START_TEST(good_images_are_split_by_share_rounded_down)
{
    static const struct {
        size_t good;
        const char *share, *counts;
    } cases[] = {{31, "0.8", "24/7 good, 0/4 defective"},
                 {10, "0.7", "7/3 good, 0/4 defective"},
                 {3, "0.5", "1/2 good, 0/4 defective"},
                 {7, "1", "7/0 good, 0/4 defective"},
                 {100, "0.29", "29/71 good, 0/4 defective"}};
    write_tiles(cases[_i].good);
    imiad_dataset *d = open_tiles(OPTIONS("train_share", cases[_i].share));
    ck_assert_str_eq(counts_of(d), cases[_i].counts);
    imiad_dataset_free(d);
}
END_TEST

/* The documented rule, done again: names sorted bytewise by stem, shuffled by the stream of the
 * seed and "dataset/mtd", the first floor(share * count) train. */
START_TEST(the_split_follows_its_documented_rule)
{
    enum { COUNT = 31 };
    write_tiles(COUNT);
    name_list names;
    char folder[512];
    size_t order[COUNT];
    const char *images[COUNT];
    strcpy(folder, tree_path("MT_Free/Imgs"));
    ck_ok(folder_list(&names, folder));
    size_t count = 0;
    for (size_t i = 0; i < names.count; ++i)
        if (strstr(names.names[i], ".jpg"))
            images[count++] = names.names[i];
    ck_assert_uint_eq(count, COUNT);
    for (size_t i = 0; i < COUNT; ++i)
        order[i] = i;
    random_stream stream = random_open(17, "dataset/mtd");
    random_shuffle(&stream, order, COUNT);
    imiad_dataset *d = open_tiles(OPTIONS("seed", "17"));
    for (size_t i = 0; i < COUNT; ++i) {
        char path[512];
        snprintf(path, sizeof path, "MT_Free/Imgs/%s", images[order[i]]);
        ck_assert_int_eq(trains(d, path), i < 24);
    }
    name_list_free(&names);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(another_seed_draws_another_split_and_the_same_seed_the_same)
{
    static const char *const seeds[] = {"0", "0", "1"};
    char digests[3][65];
    write_tiles(60);
    for (int i = 0; i < 3; ++i) {
        imiad_dataset *d = open_tiles(OPTIONS("seed", seeds[i]));
        ck_ok(imiad_dataset_digest(digests[i], d));
        imiad_dataset_free(d);
    }
    ck_assert_str_eq(digests[0], digests[1]);
    ck_assert_str_ne(digests[0], digests[2]);
}
END_TEST

/* Scenes of the tree are 1000 numbers apart, their six exposures 15. */
START_TEST(neighbouring_numbers_stay_together_where_asked_for)
{
    write_tiles(60);
    imiad_dataset *d = open_tiles(OPTIONS("group", "100"));
    ck_assert_str_eq(counts_of(d), "48/12 good, 0/4 defective");
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i) {
        size_t exposure, number;
        char first[64];
        if (sscanf(sample_of(d, i).path, "MT_Free/Imgs/exp%zu_num_%zu", &exposure, &number) != 2)
            continue;
        snprintf(first, sizeof first, "MT_Free/Imgs/exp1_num_%zu.jpg",
                 number - 15 * (exposure - 1));
        ck_assert_int_eq(sample_of(d, i).subset == IMIAD_SUBSET_TRAIN, trains(d, first));
    }
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_group_that_is_too_large_for_training_tests)
{
    write_tiles(60);
    imiad_dataset *d = open_tiles(OPTIONS("group", "1000000"));
    ck_assert_str_eq(counts_of(d), "0/60 good, 0/4 defective");
    imiad_split *split;
    ck_fails(imiad_split_create(&split, d, "mtd", "unsupervised", NULL, 0), IMIAD_NOT_FOUND,
             "no normal training images");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(names_without_number_are_groups_of_their_own)
{
    tree_begin();
    static const char *const names[] = {"a", "b_num_", "c_num_1x", "d", "exp1_num_5", "exp2_num_6"};
    for (int i = 0; i < 6; ++i) {
        char path[64];
        snprintf(path, sizeof path, "MT_Free/Imgs/%s.jpg", names[i]);
        tree_image(path, 4, 4, 9);
    }
    imiad_dataset *d = open_tiles(OPTIONS("group", "100", "train_share", "0.5"));
    ck_assert_str_eq(counts_of(d), "3/3 good, 0/0 defective");
    ck_assert_int_eq(trains(d, "MT_Free/Imgs/exp1_num_5.jpg"),
                     trains(d, "MT_Free/Imgs/exp2_num_6.jpg"));
    imiad_dataset_free(d);
}
END_TEST

/* ---- a split from a file ---- */

static const char *split_file(const char *text)
{
    static char path[512];
    tree_bytes(".split.txt", text, strlen(text));
    strcpy(path, tree_path(".split.txt"));
    return path;
}
#define TILE  "MT_Free/Imgs/exp1_num_115.jpg"
#define LATER "MT_Free/Imgs/exp2_num_130.jpg"
#define CRACK "MT_Crack/Imgs/exp1_num_500015.jpg"

START_TEST(a_split_can_come_from_a_file)
{
    write_tiles(12);
    imiad_dataset *d = open_tiles(
        OPTIONS("split_file", split_file(TILE "\ttrain\r\n" LATER "\ttest\n" CRACK "\ttrain\n")));
    ck_assert_str_eq(counts_of(d), "1/1 good, 1/0 defective");
    ck_assert(trains(d, TILE) && !trains(d, LATER) && trains(d, CRACK));
    imiad_dataset_free(d);
}
END_TEST

static const struct {
    const char *text;
    imiad_status status;
    const char *message;
} splits[] = {
    {TILE "\n", IMIAD_FORMAT, "/.split.txt, line 1: it must be a path, a tab"},
    {TILE " train\n", IMIAD_FORMAT, "line 1: it must be a path, a tab"},
    {TILE "\ttrain\n" LATER "\tvalidation\n", IMIAD_FORMAT, "line 2: \"validation\" is neither"},
    {TILE "\ttrain\n" TILE "\ttest\n", IMIAD_FORMAT, TILE " is listed twice"},
    {"MT_Free/Imgs/none.jpg\ttrain\n", IMIAD_NOT_FOUND, "there is no image MT_Free/Imgs/none.jpg"},
    {"../x.jpg\ttrain\n", IMIAD_NOT_FOUND, "there is no image ../x.jpg"},
    {"MT_Free/Imgs/exp1_num_115.png\ttrain\n", IMIAD_NOT_FOUND, "exp1_num_115.png"},
};

START_TEST(a_wrong_split_file_is_refused_by_line)
{
    write_tiles(12);
    imiad_dataset *d = open_tiles(OPTIONS("split_file", split_file(splits[_i].text)));
    imiad_split *split;
    ck_fails(imiad_split_create(&split, d, "mtd", "unsupervised", NULL, 0), splits[_i].status,
             splits[_i].message);
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_split_file_must_exist)
{
    write_tiles(12);
    imiad_dataset *d = open_tiles(OPTIONS("split_file", "/nowhere/split.txt"));
    imiad_split *split;
    ck_fails(imiad_split_create(&split, d, "mtd", "unsupervised", NULL, 0), IMIAD_NOT_FOUND,
             "/nowhere/split.txt");
    imiad_dataset_free(d);
}
END_TEST

START_TEST(a_tree_that_is_split_already_is_taken_as_it_is)
{
    golden_counts row = golden_small("mtd", "mtd", (const char *const[]){"MT_Crack", ""});
    tree_begin();
    dataset_tree_write(tree, "mtd_split", &row, 1);
    imiad_dataset *d = open_tiles(NULL);
    ck_assert_str_eq(counts_of(d), "5/2 good, 0/2 defective");
    ck_assert_str_eq(imiad_dataset_category(d, 0), "mtd");
    ck_assert_str_eq(sample_of(d, 0).path, "train/good/exp1_num_100.jpg");
    imiad_dataset_free(d);
    ck_fails(tree_open(&d, "mtd", OPTIONS("split_file", "x")), IMIAD_INVALID_ARGUMENT,
             "split_file");
}
END_TEST

/* ---- images and masks side by side ---- */

START_TEST(a_mask_is_no_image_and_belongs_to_the_image_of_its_stem)
{
    write_tiles(6);
    tree_image("MT_Crack/Imgs/lonely.png", TREE_WIDTH, TREE_HEIGHT, 255);
    tree_image("MT_Crack/Imgs/bare.jpg", TREE_WIDTH, TREE_HEIGHT, 9);
    imiad_dataset *d = open_tiles(NULL);
    imiad_category_info info = IMIAD_CATEGORY_INFO_INIT;
    ck_ok(imiad_dataset_category_info(&info, d, 0));
    ck_assert_uint_eq(info.test_defective, 5);
    ck_assert_uint_eq(info.missing_masks, 1);
    imiad_dataset_free(d);
}
END_TEST

static int first_mask_pixel(const imiad_dataset *d, const char *path)
{
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i) {
        imiad_image *mask;
        if (strcmp(sample_of(d, i).path, path) != 0)
            continue;
        ck_ok(imiad_dataset_read_mask(&mask, d, i));
        int value = mask->pixels[0];
        imiad_image_free(mask);
        return value;
    }
    ck_abort_msg("no sample %s", path);
    return 0;
}

START_TEST(soft_masks_are_defective_from_128_on_unless_told_otherwise)
{
    static const int cases[][3] = {{127, 0, 255}, {128, 255, 255}};
    const char *path = "MT_Crack/Imgs/soft.jpg";
    write_tiles(6);
    tree_image(path, 4, 4, 9);
    tree_image("MT_Crack/Imgs/soft.png", 4, 4, 0);
    imiad_dataset *usual = open_tiles(NULL), *any = open_tiles(OPTIONS("mask_threshold", "1"));
    for (int i = 0; i < 2; ++i) {
        tree_image("MT_Crack/Imgs/soft.png", 4, 4, cases[i][0]);
        ck_assert_int_eq(first_mask_pixel(usual, path), cases[i][1]);
        ck_assert_int_eq(first_mask_pixel(any, path), cases[i][2]);
    }
    imiad_dataset_free(usual);
    imiad_dataset_free(any);
}
END_TEST

/* ---- the published files ---- */

static imiad_dataset *open_published(const char *root, const char *const *options)
{
    imiad_option pairs[8] = {{0}};
    size_t count = 0;
    for (; options && options[2 * count]; ++count)
        pairs[count] = (imiad_option){options[2 * count], options[2 * count + 1]};
    imiad_dataset *d;
    ck_ok(imiad_dataset_open(&d, "mtd", root, pairs, count));
    return d;
}

START_TEST(published_tiles_have_the_published_counts)
{
    imiad_dataset *d = open_published(SHARED("data/mtd"), NULL);
    static const struct {
        const char *kind;
        size_t count;
    } kinds[] = {{"good", 952},    {"MT_Blowhole", 115}, {"MT_Break", 85},
                 {"MT_Crack", 57}, {"MT_Fray", 32},      {"MT_Uneven", 103}};
    ck_assert_str_eq(counts_of(d), "761/191 good, 0/392 defective");
    for (int k = 0; k < 6; ++k) {
        size_t count = 0;
        for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i) {
            imiad_sample s = sample_of(d, i);
            count += strcmp(s.kind, kinds[k].kind) == 0;
            ck_assert_int_eq(s.has_mask, 1);
            ck_assert_int_eq(s.label, strcmp(s.kind, "good") != 0);
        }
        ck_assert_uint_eq(count, kinds[k].count);
    }
    imiad_dataset_free(d);
}
END_TEST

static int peak(const imiad_image *mask)
{
    int most = 0;
    for (int y = 0; y < mask->height; ++y)
        for (int x = 0; x < mask->width; ++x)
            if (mask->pixels[(size_t)y * mask->stride + (size_t)x] > most)
                most = mask->pixels[(size_t)y * mask->stride + (size_t)x];
    return most;
}

/* Four masks of uneven tiles are all zero, and one peaks at 176. */
START_TEST(published_uneven_tiles_with_empty_masks_stay_defective)
{
    imiad_dataset *d = open_published(SHARED("data/mtd"), NULL);
    static const char *const empty[] = {"exp3_num_45042", "exp4_num_45057", "exp4_num_124690",
                                        "exp4_num_352527"};
    size_t zero = 0, soft = 0;
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i) {
        imiad_sample s = sample_of(d, i);
        if (strcmp(s.kind, "MT_Uneven") != 0)
            continue;
        imiad_image *channel;
        ck_ok(imiad_dataset_read_mask_channel(&channel, d, i, 0));
        bool listed = false;
        for (int k = 0; k < 4; ++k)
            listed |= strstr(s.path, empty[k]) != NULL;
        ck_assert_int_eq(peak(channel) == 0, listed);
        ck_assert_int_eq(s.label, 1);
        zero += listed;
        soft += peak(channel) == 176;
        imiad_image_free(channel);
    }
    ck_assert_uint_eq(zero, 4);
    ck_assert_uint_ge(soft, 1);
    imiad_dataset_free(d);
}
END_TEST

/* Widths 103..632, heights 222..403; every image is grey. */
START_TEST(published_tiles_have_the_published_sizes)
{
    imiad_dataset *d = open_published(SHARED("data/mtd"), NULL);
    int32_t low[2] = {INT32_MAX, INT32_MAX}, high[2] = {0, 0};
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i) {
        int32_t size[2];
        ck_ok(imiad_dataset_image_size(&size[0], &size[1], d, i));
        for (int k = 0; k < 2; ++k) {
            low[k] = size[k] < low[k] ? size[k] : low[k];
            high[k] = size[k] > high[k] ? size[k] : high[k];
        }
    }
    ck_assert_int_eq(low[0], 103);
    ck_assert_int_eq(high[0], 632);
    ck_assert_int_eq(low[1], 222);
    ck_assert_int_eq(high[1], 403);
    imiad_image *image;
    ck_ok(imiad_dataset_read_image(&image, d, 0));
    ck_assert_int_eq(image->format, IMIAD_PIXEL_GRAY8);
    imiad_image_free(image);
    imiad_dataset_free(d);
}
END_TEST

/* Median area of cracks: 0.3 % of the image, from 128 on; half as much again from 1 on. */
START_TEST(published_cracks_grow_when_soft_edges_count)
{
    char root[4096];
    strcpy(root, SHARED("data/mtd"));
    imiad_dataset *hard = open_published(root, NULL);
    imiad_dataset *soft = open_published(root, OPTIONS("mask_threshold", "1"));
    double areas[2] = {0, 0};
    for (size_t i = 0; i < imiad_dataset_sample_count(hard); ++i) {
        if (strcmp(sample_of(hard, i).kind, "MT_Crack") != 0)
            continue;
        for (int k = 0; k < 2; ++k) {
            imiad_image *mask;
            ck_ok(imiad_dataset_read_mask(&mask, k ? soft : hard, i));
            for (int y = 0; y < mask->height; ++y)
                for (int x = 0; x < mask->width; ++x)
                    areas[k] += mask->pixels[(size_t)y * mask->stride + (size_t)x] == 255;
            imiad_image_free(mask);
        }
    }
    ck_assert_double_ge(areas[1] / areas[0], 1.3);
    imiad_dataset_free(hard);
    imiad_dataset_free(soft);
}
END_TEST

/* Every tile was photographed under six lights: neighbouring numbers, no group torn apart. */
START_TEST(published_tiles_can_be_split_by_scene)
{
    imiad_dataset *d = open_published(SHARED("data/mtd"), OPTIONS("group", "100"));
    ck_assert_str_eq(counts_of(d), "761/191 good, 0/392 defective");
    long long numbers[952];
    bool train[952];
    size_t count = 0;
    for (size_t i = 0; i < imiad_dataset_sample_count(d); ++i) {
        imiad_sample s = sample_of(d, i);
        int exposure;
        if (s.label == 0 &&
            sscanf(s.path, "MT_Free/Imgs/exp%d_num_%lld", &exposure, &numbers[count]) == 2)
            train[count++] = s.subset == IMIAD_SUBSET_TRAIN;
    }
    ck_assert_uint_eq(count, 952);
    for (size_t i = 0; i < count; ++i)
        for (size_t k = 0; k < i; ++k)
            ck_assert(llabs(numbers[i] - numbers[k]) > 100 || train[i] == train[k]);
    imiad_dataset_free(d);
}
END_TEST

SUITE("mtd", LOOP_TEST(good_images_are_split_by_share_rounded_down, 5),
      TEST(the_split_follows_its_documented_rule),
      TEST(another_seed_draws_another_split_and_the_same_seed_the_same),
      TEST(neighbouring_numbers_stay_together_where_asked_for),
      TEST(a_group_that_is_too_large_for_training_tests),
      TEST(names_without_number_are_groups_of_their_own), TEST(a_split_can_come_from_a_file),
      LOOP_TEST(a_wrong_split_file_is_refused_by_line, sizeof splits / sizeof *splits),
      TEST(a_split_file_must_exist), TEST(a_tree_that_is_split_already_is_taken_as_it_is),
      TEST(a_mask_is_no_image_and_belongs_to_the_image_of_its_stem),
      TEST(soft_masks_are_defective_from_128_on_unless_told_otherwise),
      TEST(published_tiles_have_the_published_counts),
      TEST(published_uneven_tiles_with_empty_masks_stay_defective),
      TEST(published_tiles_have_the_published_sizes),
      TEST(published_cracks_grow_when_soft_edges_count),
      TEST(published_tiles_can_be_split_by_scene))
