/* Augmentation: against Pillow's bytes, by properties, and as text. */
#include "base/random.h"
#include "image/augment.h"
#include "procedural.h"

static augmentation parsed(const char *text)
{
    augmentation a;
    ck_ok(augment_parse(&a, text));
    return a;
}

static imiad_image *augmented(const imiad_image *image, const char *text)
{
    augmentation a = parsed(text);
    imiad_image *out = NULL;
    if (image->format == IMIAD_PIXEL_RGB8)
        ck_ok(augment_image(&out, image, &a));
    else
        ck_ok(augment_mask(&out, image, &a));
    return out;
}

static void expect_equal(const imiad_image *a, const imiad_image *b)
{
    ck_assert_int_eq(a->width, b->width);
    ck_assert_int_eq(a->height, b->height);
    ck_assert_mem_eq(a->pixels, b->pixels, a->stride * (size_t)a->height);
}

/* Source: Pillow's own results, tests/golden/augment.csv. */
START_TEST(augmentations_give_pillows_bytes)
{
    FILE *table = open_source("tests/golden/augment.csv");
    char line[512], text[AUGMENT_TEXT_BYTES], mode[8], expected[65], digest[65];
    int width, height, cases = 0;
    while (fgets(line, sizeof line, table)) {
        if (sscanf(line, "%127[^,],%7[A-Z],%d,%d,%64s", text, mode, &width, &height, expected) != 5)
            continue;
        imiad_image *image = procedural(
            strcmp(mode, "L") == 0 ? IMIAD_PIXEL_GRAY8 : IMIAD_PIXEL_RGB8, width, height);
        imiad_image *result = augmented(image, text);
        image_digest(digest, result);
        ck_assert_msg(strcmp(digest, expected) == 0, "differs from Pillow: %s", line);
        imiad_image_free(image);
        imiad_image_free(result);
        ++cases;
    }
    fclose(table);
    ck_assert_int_eq(cases, 498);
}
END_TEST

/* An image of one value that is the mask, too: they stay the same wherever they are moved. */
START_TEST(image_and_mask_move_together)
{
    static const char *const texts[] = {
        "rotation 72", "rotations 7 5",       "flip 1 0",
        "scale 0.6",   "translate -0.21 0.4", "perspective 0.1 0.2 0.05 0 0.25 0.25 0 0.125",
        "flip 0 1",    "color_jitter 1 1",    "rotation 51.428571",
    };
    imiad_image *mask = procedural(IMIAD_PIXEL_GRAY8, 53, 47), *image = NULL;
    ck_ok(image_to_rgb(&image, mask));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        imiad_image *moved_image = augmented(image, texts[i]);
        imiad_image *moved_mask = augmented(mask, texts[i]), *rgb = NULL;
        ck_ok(image_to_rgb(&rgb, moved_mask));
        expect_equal(moved_image, rgb);
        imiad_image_free(moved_image);
        imiad_image_free(moved_mask);
        imiad_image_free(rgb);
    }
    imiad_image_free(mask);
    imiad_image_free(image);
}
END_TEST

START_TEST(colours_leave_a_mask_alone)
{
    imiad_image *mask = procedural(IMIAD_PIXEL_GRAY8, 9, 7);
    imiad_image *same = augmented(mask, "color_jitter 0.5 1.5");
    expect_equal(mask, same);
    imiad_image_free(mask);
    imiad_image_free(same);
}
END_TEST

/* Nothing is invented: every pixel that is not zero has the value of some source pixel. */
START_TEST(an_empty_mask_stays_empty_and_a_full_one_gets_zeros)
{
    imiad_image *empty = NULL, *full = NULL;
    ck_ok(image_create(&empty, IMIAD_PIXEL_GRAY8, 40, 40));
    ck_ok(image_create(&full, IMIAD_PIXEL_GRAY8, 40, 40));
    memset(full->pixels, 255, 1600);
    static const char *const texts[] = {"rotation 45", "scale 0.5", "translate 0.5 0",
                                        "perspective 0.25 0 0.25 0 0 0 0 0", "rotations 3 5"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        imiad_image *nothing = augmented(empty, texts[i]), *part = augmented(full, texts[i]);
        expect_equal(nothing, empty);
        size_t zeros = 0;
        for (int p = 0; p < 1600; ++p) {
            ck_assert(part->pixels[p] == 0 || part->pixels[p] == 255);
            zeros += part->pixels[p] == 0;
        }
        ck_assert_uint_gt(zeros, 100);
        ck_assert_uint_lt(zeros, 1500);
        imiad_image_free(nothing);
        imiad_image_free(part);
    }
    imiad_image_free(empty);
    imiad_image_free(full);
}
END_TEST

START_TEST(repeated_rotations_cut_more_than_their_sum_does)
{
    imiad_image *full = NULL;
    ck_ok(image_create(&full, IMIAD_PIXEL_GRAY8, 64, 64));
    memset(full->pixels, 255, 64 * 64);
    imiad_image *once = augmented(full, "rotation 144"), *often = augmented(full, "rotations 3 5");
    size_t seen_once = 0, seen_often = 0; /* -72 - 144 is 144 degrees, too */
    for (int i = 0; i < 64 * 64; ++i) {
        seen_once += once->pixels[i] != 0;
        seen_often += often->pixels[i] != 0;
    }
    ck_assert_uint_lt(seen_often, seen_once);
    imiad_image_free(full);
    imiad_image_free(once);
    imiad_image_free(often);
}
END_TEST

START_TEST(text_and_memory_hold_the_same)
{
    static const char *const texts[] = {
        "rotation 72",
        "rotation -0.000001",
        "rotation 51.428571",
        "rotations 1000 5",
        "flip 1 0",
        "scale 0.625",
        "translate -0.5 0.1",
        "color_jitter 1.25 0",
        "perspective 0.25 0 0.000001 0.1 0.12 0.123 0.1234 0.24999",
    };
    char text[AUGMENT_TEXT_BYTES];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        augmentation a = parsed(texts[i]);
        augment_print(text, &a);
        ck_assert_str_eq(text, texts[i]);
    }
    augment_print(text, &(augmentation){AUGMENT_NONE, {0}});
    ck_assert_str_eq(text, "");
    augmentation widest = {AUGMENT_PERSPECTIVE, {0}};
    for (int i = 0; i < AUGMENT_VALUES; ++i)
        widest.values[i] = INT32_MIN;
    augment_print(text, &widest);
    ck_assert_uint_lt(strlen(text), AUGMENT_TEXT_BYTES - 1);
    random_stream stream = random_open(1, "test/augment");
    for (int i = 0; i < 10000; ++i) {
        augmentation a = {AUGMENT_ROTATION, {augment_value(random_between(&stream, -360, 360))}};
        augment_print(text, &a);
        ck_assert_int_eq(parsed(text).values[0], a.values[0]);
    }
}
END_TEST

static const struct {
    const char *text;
    imiad_status status;
    const char *message;
} refused[] = {
    {"", IMIAD_FORMAT, "no augmentation is named"},
    {"twirl 3", IMIAD_FORMAT, "\"twirl\""},
    {"rotationx 3", IMIAD_FORMAT, "\"rotationx\""},
    {"rotat 3", IMIAD_FORMAT, "\"rotat\""},
    {"rotation", IMIAD_FORMAT, "takes 1 values"},
    {"rotation 1 2", IMIAD_FORMAT, "takes 1 values"},
    {"rotation  1", IMIAD_FORMAT, "no decimal fraction"},
    {"rotation 1 ", IMIAD_FORMAT, "takes 1 values"},
    {"rotation x", IMIAD_FORMAT, "\"x\""},
    {"rotation 1e2", IMIAD_FORMAT, "\"1e2\""},
    {"rotation 1.", IMIAD_FORMAT, "\"1.\""},
    {"rotation .5", IMIAD_FORMAT, "\".5\""},
    {"rotation --5", IMIAD_FORMAT, "\"--5\""},
    {"rotation 1,5", IMIAD_FORMAT, "\"1,5\""},
    {"rotation 0.1234567", IMIAD_FORMAT, "0.1234567"},
    {"rotation nan", IMIAD_FORMAT, "nan"},
    {"rotation 99999", IMIAD_FORMAT, "99999"},
    {"rotation 9999", IMIAD_FORMAT, "9999"},
    {"rotation 360.1", IMIAD_OUT_OF_RANGE, "-360..360"},
    {"rotations 2.5 5", IMIAD_OUT_OF_RANGE, "value 1 must be a whole number"},
    {"rotations 0 5", IMIAD_OUT_OF_RANGE, "1..1000"},
    {"flip 1 2", IMIAD_OUT_OF_RANGE, "value 2"},
    {"flip 0.5 1", IMIAD_OUT_OF_RANGE, "a whole number in 0..1"},
    {"scale 0", IMIAD_OUT_OF_RANGE, "0.01..100"},
    {"translate 0 1.1", IMIAD_OUT_OF_RANGE, "-1..1"},
    {"color_jitter -1 1", IMIAD_OUT_OF_RANGE, "0..100"},
    {"perspective 0 0 0 0 0 0 0 0.3", IMIAD_OUT_OF_RANGE, "value 8"},
    {"none 1", IMIAD_FORMAT, "takes 0 values"},
};

START_TEST(what_is_no_augmentation_is_refused)
{
    augmentation a = {AUGMENT_FLIP, {7}};
    ck_fails(augment_parse(&a, refused[_i].text), refused[_i].status, refused[_i].message);
    ck_assert_int_eq(a.values[0], 7);
}
END_TEST

START_TEST(images_of_another_format_are_refused)
{
    imiad_image *grey = procedural(IMIAD_PIXEL_GRAY8, 4, 4), *out;
    imiad_image *rgb = procedural(IMIAD_PIXEL_RGB8, 4, 4);
    augmentation a = parsed("flip 1 0");
    ck_fails(augment_image(&out, grey, &a), IMIAD_INVALID_ARGUMENT, "RGB8");
    ck_fails(augment_mask(&out, rgb, &a), IMIAD_INVALID_ARGUMENT, "GRAY8");
    ck_fails(augment_mask(&out, NULL, &a), IMIAD_INVALID_ARGUMENT, "NULL");
    imiad_image_free(grey);
    imiad_image_free(rgb);
}
END_TEST

SUITE("augment", TEST(augmentations_give_pillows_bytes), TEST(image_and_mask_move_together),
      TEST(colours_leave_a_mask_alone), TEST(an_empty_mask_stays_empty_and_a_full_one_gets_zeros),
      TEST(repeated_rotations_cut_more_than_their_sum_does), TEST(text_and_memory_hold_the_same),
      LOOP_TEST(what_is_no_augmentation_is_refused, sizeof refused / sizeof *refused),
      TEST(images_of_another_format_are_refused))
