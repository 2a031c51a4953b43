/* Few-shot splits with augmentation, up to what the loader makes of them. */
#include <math.h>

#include "data/loader.h"
#include "splits.h"

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

SUITE("split-augmentation", TEST(rotation_turns_each_shot_evenly),
      TEST(accumulated_rotations_grow_from_image_to_image),
      LOOP_TEST(other_augmentations_stay_in_their_ranges, KINDS),
      TEST(flips_are_horizontal_vertical_and_both),
      TEST(a_shots_copies_do_not_depend_on_the_other_shots),
      TEST(training_images_do_not_depend_on_threads),
      TEST(the_loader_augments_after_resize_and_crop))
