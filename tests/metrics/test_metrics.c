#include <stdbool.h>
#include <string.h>

#include "base/random.h"
#include "base/threads.h"
#include "check_suite.h"
#include "golden.h"
#include "imiad/metrics.h"

/* Every golden value is compared to 1e-12, as the specification asks. */
#define ck_close(value, expected, ...)                                                             \
    do {                                                                                           \
        double value_ = (value), expected_ = (expected);                                           \
        if (!isnan(expected_))                                                                     \
            ck_assert_msg(fabs(value_ - expected_) <= 1e-12, "%.17g is not %.17g: %s", value_,     \
                          expected_, __VA_ARGS__);                                                 \
    } while (0)

static imiad_metrics *create(const char *connectivity, const char *infinities)
{
    imiad_metrics *metrics = NULL;
    imiad_option options[] = {{"connectivity", connectivity}, {"infinities", infinities}};
    ck_ok(imiad_metrics_create(&metrics, options, 2));
    return metrics;
}

typedef imiad_status metric(double *out, const imiad_metrics *metrics);

static void expect(metric *compute, const imiad_metrics *metrics, double expected, const char *id)
{
    double value = -7;
    if (expected == UNDEFINED) {
        ck_fails(compute(&value, metrics), IMIAD_UNDEFINED, "is undefined: no ");
        ck_assert_double_eq(value, -7);
    } else {
        ck_ok(compute(&value, metrics));
        ck_close(value, expected, id);
    }
}

static void expect_images(const imiad_metrics *metrics, golden_ranking expected, const char *id)
{
    double f1 = -7, threshold = -7;
    expect(imiad_metrics_image_auroc, metrics, expected.auroc, id);
    expect(imiad_metrics_image_ap, metrics, expected.ap, id);
    imiad_status status = imiad_metrics_image_f1max(&f1, &threshold, metrics);
    if (expected.f1 == UNDEFINED) {
        ck_assert_int_eq(status, IMIAD_UNDEFINED);
        return;
    }
    ck_ok(status);
    ck_close(f1, expected.f1, id);
    ck_assert_double_eq(threshold, expected.threshold);
}

static void expect_pixels(const imiad_metrics *metrics, const golden_pixels *c, const double *pro)
{
    double value = -7, threshold = -7;
    expect(imiad_metrics_pixel_auroc, metrics, c->expected.auroc, c->id);
    expect(imiad_metrics_pixel_ap, metrics, c->expected.ap, c->id);
    if (!isnan(c->expected.f1)) {
        ck_ok(imiad_metrics_pixel_f1max(&value, &threshold, metrics));
        ck_close(value, c->expected.f1, c->id);
        ck_assert_double_eq(threshold, c->expected.threshold);
    }
    for (int i = 0; i < LIMITS; ++i) {
        ck_ok(imiad_metrics_aupro(&value, metrics, limits[i]));
        ck_close(value, pro[i], c->id);
    }
}

START_TEST(image_metrics_match_the_golden_values)
{
    const golden_images *c = &image_cases[_i];
    imiad_metrics *metrics = create("8", "reject");
    for (int i = 0; i < c->count; ++i)
        ck_ok(imiad_metrics_add_image(metrics, c->labels[i], c->scores[i]));
    expect_images(metrics, c->expected, c->id);
    imiad_metrics_free(metrics);
}
END_TEST

/* I12: doubles are compared as given; stored as float32 they would tie. */
START_TEST(scores_one_bit_apart_are_apart)
{
    double low = .1, high = nextafter(.1, 1);
    imiad_metrics *apart = create("8", "reject"), *tied = create("8", "reject");
    double scores[] = {low, high, low, .3};
    for (int i = 0; i < 4; ++i) {
        ck_ok(imiad_metrics_add_image(apart, i % 2, scores[i]));
        ck_ok(imiad_metrics_add_image(tied, i % 2, (float)scores[i]));
    }
    double value;
    expect_images(apart, (golden_ranking){1, 1, 1, high}, "I12");
    ck_ok(imiad_metrics_image_auroc(&value, tied));
    ck_assert_double_eq(value, .75);
    imiad_metrics_free(apart);
    imiad_metrics_free(tied);
}
END_TEST

/* I13 and I14 */
START_TEST(drawn_images_match_the_golden_values)
{
    double scores[200];
    uint32_t x = 2024;
    int positives = 0;
    imiad_metrics *metrics = create("8", "reject");
    for (int i = 0; i < 200; ++i)
        scores[i] = (next_drawn(&x) >> 16) % 64 / 64.0;
    for (int i = 0; i < 200; ++i) {
        int label = (next_drawn(&x) >> 16) % 100 < 30;
        positives += label;
        ck_ok(imiad_metrics_add_image(metrics, label, scores[i] + (_i ? 0.125 * label : 0)));
    }
    ck_assert_int_eq(positives, 54);
    expect_images(metrics, drawn_images[_i], _i ? "I14" : "I13");
    imiad_metrics_free(metrics);
}
END_TEST

static imiad_image gray(uint8_t *pixels, int width, int height)
{
    imiad_image image = IMIAD_IMAGE_INIT;
    image.format = IMIAD_PIXEL_GRAY8;
    image.width = width;
    image.height = height;
    image.stride = (size_t)width;
    image.pixels = pixels;
    return image;
}

static void add_golden(imiad_metrics *metrics, const golden_pixels *c)
{
    uint8_t pixels[MOST_PIXELS];
    size_t count = (size_t)c->width * c->height;
    for (size_t i = 0; i < count; ++i)
        pixels[i] = c->mask[i] == '1' ? 255 : 0;
    imiad_image mask = gray(pixels, c->width, c->height);
    ck_ok(imiad_metrics_add_map(metrics, c->scores, c->width, c->height, &mask));
    if (c->images == 2)
        ck_ok(imiad_metrics_add_map(metrics, c->scores + count, c->width, c->height, NULL));
}

START_TEST(pixel_metrics_match_the_golden_values)
{
    const golden_pixels *c = &pixel_cases[_i];
    imiad_metrics *eight = create("8", "reject"), *four = create("4", "reject");
    add_golden(eight, c);
    add_golden(four, c);
    expect_pixels(eight, c, c->eight);
    expect_pixels(four, c, c->four);
    double value;
    ck_ok(imiad_metrics_aupro_sampled(&value, eight, .3, 100));
    ck_close(value, c->sampled, c->id);
    imiad_metrics_free(eight);
    imiad_metrics_free(four);
}
END_TEST

/* P12: one region touches another only by a corner. */
static void add_drawn_pixels(imiad_metrics *metrics, bool backwards)
{
    float map[2][32 * 32];
    uint8_t pixels[2][32 * 32] = {{0}};
    for (int y = 4; y <= 9; ++y)
        memset(&pixels[0][y * 32 + 5], 1, 4);
    for (int y = 20; y <= 21; ++y)
        memset(&pixels[0][y * 32], 1, 3);
    pixels[0][10 * 32 + 9] = 1;
    memset(&pixels[1][30 * 32 + 30], 1, 2);
    memset(&pixels[1][31 * 32 + 30], 1, 2);
    uint32_t x = 12345;
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 32 * 32; ++j)
            map[i][j] = (float)((next_drawn(&x) >> 16) % 256) / 256 + .25f * pixels[i][j];
    for (int i = 0; i < 2; ++i) {
        int image = backwards ? 1 - i : i;
        imiad_image mask = gray(pixels[image], 32, 32);
        ck_ok(imiad_metrics_add_map(metrics, map[image], 32, 32, &mask));
    }
}

START_TEST(drawn_pixels_match_the_golden_values)
{
    imiad_metrics *eight = create("8", "reject"), *four = create("4", "reject");
    add_drawn_pixels(eight, _i == 1);
    add_drawn_pixels(four, _i == 1);
    expect_pixels(eight, &drawn_pixels, drawn_pixels.eight);
    expect_pixels(four, &drawn_pixels, drawn_pixels.four);
    double value;
    ck_ok(imiad_metrics_aupro_sampled(&value, eight, .3, 100));
    ck_close(value, drawn_pixels.sampled, drawn_pixels.id);
    imiad_metrics_counts counts = IMIAD_METRICS_COUNTS_INIT;
    ck_ok(imiad_metrics_count(&counts, eight));
    ck_assert_int_eq(counts.maps, 2);
    ck_assert_int_eq(counts.defective_maps, 2);
    ck_assert_int_eq(counts.regions, 3);
    ck_assert_int_eq(counts.defective_pixels, 35);
    ck_assert_int_eq(counts.normal_pixels, 2013);
    ck_ok(imiad_metrics_count(&counts, four));
    ck_assert_int_eq(counts.regions, 4);
    imiad_metrics_free(eight);
    imiad_metrics_free(four);
}
END_TEST

START_TEST(what_does_not_exist_is_undefined_and_never_a_number)
{
    float map[4] = {.1f, .2f, .3f, .4f};
    uint8_t pixels[4] = {1, 1, 1, 1};
    imiad_image mask = gray(pixels, 2, 2);
    imiad_metrics *metrics = create("8", "reject");
    double value = -7;
    expect_images(metrics, (golden_ranking){UNDEFINED, UNDEFINED, UNDEFINED, 0}, "no image");
    ck_fails(imiad_metrics_pixel_auroc(&value, metrics), IMIAD_UNDEFINED, "no defective pixel");
    ck_fails(imiad_metrics_aupro(&value, metrics, .3), IMIAD_UNDEFINED, "no defective pixel");
    ck_ok(imiad_metrics_add_map(metrics, map, 2, 2, &mask));
    ck_fails(imiad_metrics_pixel_auroc(&value, metrics), IMIAD_UNDEFINED, "no good pixel");
    ck_fails(imiad_metrics_aupro(&value, metrics, .3), IMIAD_UNDEFINED, "no good pixel");
    ck_fails(imiad_metrics_aupro_sampled(&value, metrics, .3, 100), IMIAD_UNDEFINED, "no good");
    ck_assert_double_eq(value, -7);
    expect(imiad_metrics_pixel_ap, metrics, 1, "all defective");
    double threshold;
    ck_ok(imiad_metrics_pixel_f1max(&value, &threshold, metrics));
    ck_assert_double_eq(value, 1);
    ck_assert_double_eq(threshold, .1f);
    imiad_metrics_free(metrics);

    metrics = create("8", "reject");
    memset(pixels, 0, sizeof pixels);
    ck_ok(imiad_metrics_add_map(metrics, map, 2, 2, &mask));
    ck_ok(imiad_metrics_add_map(metrics, map, 2, 2, NULL));
    expect(imiad_metrics_pixel_auroc, metrics, UNDEFINED, "all good");
    expect(imiad_metrics_pixel_ap, metrics, UNDEFINED, "all good");
    ck_fails(imiad_metrics_aupro(&value, metrics, .3), IMIAD_UNDEFINED, "no defective pixel");
    imiad_metrics_counts counts = IMIAD_METRICS_COUNTS_INIT;
    ck_ok(imiad_metrics_count(&counts, metrics));
    ck_assert_int_eq(counts.empty_masks, 1);
    ck_assert_int_eq(counts.maps, 2);
    ck_assert_int_eq(counts.regions, 0);
    imiad_metrics_free(metrics);
}
END_TEST

START_TEST(nan_is_refused_and_adds_nothing)
{
    imiad_metrics *metrics = create("8", "reject"), *allowing = create("8", "allow");
    float map[40];
    uint8_t pixels[40] = {1};
    imiad_image mask = gray(pixels, 20, 2);
    for (int i = 0; i < 40; ++i)
        map[i] = (float)i;
    ck_fails(imiad_metrics_add_image(metrics, 1, NAN), IMIAD_NOT_FINITE, "image 0 is NaN");
    ck_fails(imiad_metrics_add_image(allowing, 1, -NAN), IMIAD_NOT_FINITE, "NaN");
    ck_fails(imiad_metrics_add_image(metrics, 1, INFINITY), IMIAD_NOT_FINITE, "infinities=allow");
    map[33] = -NAN;
    ck_fails(imiad_metrics_add_map(metrics, map, 20, 2, &mask), IMIAD_NOT_FINITE,
             "row 1, column 13 is NaN");
    ck_fails(imiad_metrics_add_map(allowing, map, 20, 2, &mask), IMIAD_NOT_FINITE, "is NaN");
    map[33] = 0;
    map[7] = -INFINITY;
    ck_fails(imiad_metrics_add_map(metrics, map, 20, 2, &mask), IMIAD_NOT_FINITE,
             "row 0, column 7 is infinite");
    imiad_metrics_counts counts = IMIAD_METRICS_COUNTS_INIT;
    ck_ok(imiad_metrics_count(&counts, metrics));
    ck_assert_int_eq(counts.maps + counts.images + counts.normal_pixels, 0);
    ck_ok(imiad_metrics_add_map(allowing, map, 20, 2, &mask));
    imiad_metrics_free(metrics);
    imiad_metrics_free(allowing);
}
END_TEST

START_TEST(infinities_order_naturally_where_they_are_allowed)
{
    imiad_metrics *metrics = create("8", "allow");
    float map[4] = {INFINITY, 3.4e38f, -INFINITY, -3.4e38f};
    uint8_t pixels[4] = {1, 0, 0, 1};
    imiad_image mask = gray(pixels, 4, 1);
    ck_ok(imiad_metrics_add_map(metrics, map, 4, 1, &mask));
    for (int i = 0; i < 4; ++i)
        ck_ok(imiad_metrics_add_image(metrics, pixels[i], map[i]));
    expect(imiad_metrics_pixel_auroc, metrics, .75, "infinite pixels");
    expect(imiad_metrics_image_auroc, metrics, .75, "infinite images");
    imiad_metrics_free(metrics);
}
END_TEST

START_TEST(minus_zero_ties_with_zero)
{
    imiad_metrics *metrics = create("8", "reject");
    float map[2] = {-0.0f, 0.0f};
    uint8_t pixels[2] = {0, 1};
    imiad_image mask = gray(pixels, 2, 1);
    ck_ok(imiad_metrics_add_map(metrics, map, 2, 1, &mask));
    ck_ok(imiad_metrics_add_image(metrics, 0, -0.0));
    ck_ok(imiad_metrics_add_image(metrics, 1, 0.0));
    expect(imiad_metrics_pixel_auroc, metrics, .5, "pixels");
    expect(imiad_metrics_image_auroc, metrics, .5, "images");
    imiad_metrics_free(metrics);
}
END_TEST

START_TEST(wrong_arguments_are_named)
{
    imiad_metrics *metrics = NULL;
    float map[6] = {0};
    uint8_t pixels[18] = {1};
    imiad_image mask = gray(pixels, 3, 2);
    double value = -7;
    imiad_option bad = {"connectivity", "6"}, unknown = {"conectivity", "4"};
    ck_fails(imiad_metrics_create(&metrics, &bad, 1), IMIAD_OUT_OF_RANGE, "8|4");
    ck_fails(imiad_metrics_create(&metrics, &unknown, 1), IMIAD_UNKNOWN_OPTION, "conectivity");
    ck_fails(imiad_metrics_create(NULL, NULL, 0), IMIAD_INVALID_ARGUMENT, "NULL");
    ck_assert_ptr_null(metrics);
    ck_ok(imiad_metrics_create(&metrics, NULL, 0));
    ck_fails(imiad_metrics_add_image(metrics, 2, 0), IMIAD_OUT_OF_RANGE, "label is 2");
    ck_fails(imiad_metrics_add_map(metrics, NULL, 3, 2, NULL), IMIAD_INVALID_ARGUMENT, "map");
    ck_fails(imiad_metrics_add_map(metrics, map, 0, 2, NULL), IMIAD_INVALID_ARGUMENT, "0 x 2");
    ck_fails(imiad_metrics_add_map(metrics, map, 2, 3, &mask), IMIAD_MISMATCH,
             "the mask is 3 x 2 but the map is 2 x 3");
    mask.format = IMIAD_PIXEL_RGB8;
    ck_fails(imiad_metrics_add_map(metrics, map, 3, 2, &mask), IMIAD_MISMATCH, "GRAY8");
    mask.format = IMIAD_PIXEL_GRAY8;
    mask.stride = 2;
    ck_fails(imiad_metrics_add_map(metrics, map, 3, 2, &mask), IMIAD_INVALID_ARGUMENT, "stride");
    mask.stride = 3;
    mask.struct_size = 0;
    ck_fails(imiad_metrics_add_map(metrics, map, 3, 2, &mask), IMIAD_INVALID_ARGUMENT, "struct_");
    mask.struct_size = sizeof mask;
    ck_ok(imiad_metrics_add_map(metrics, map, 3, 2, &mask));
    ck_fails(imiad_metrics_aupro(&value, metrics, 0), IMIAD_OUT_OF_RANGE, "limit");
    ck_fails(imiad_metrics_aupro(&value, metrics, 1.5), IMIAD_OUT_OF_RANGE, "1.5");
    ck_fails(imiad_metrics_aupro(&value, metrics, NAN), IMIAD_OUT_OF_RANGE, "limit");
    ck_fails(imiad_metrics_aupro_sampled(&value, metrics, .3, 1), IMIAD_OUT_OF_RANGE, "1 thres");
    ck_fails(imiad_metrics_pixel_ap(NULL, metrics), IMIAD_INVALID_ARGUMENT, "out");
    ck_fails(imiad_metrics_pixel_ap(&value, NULL), IMIAD_INVALID_ARGUMENT, "metrics");
    ck_assert_double_eq(value, -7);
    imiad_metrics_free(metrics);
    imiad_metrics_free(NULL);
}
END_TEST

START_TEST(masks_may_have_a_stride_and_any_non_zero_value)
{
    imiad_metrics *plain = create("8", "reject"), *strided = create("8", "reject");
    const golden_pixels *c = &pixel_cases[5 + 4]; /* P9 */
    uint8_t pixels[4 * 9];
    memset(pixels, 77, sizeof pixels);
    for (int i = 0; i < 20; ++i)
        pixels[i / 5 * 9 + i % 5] = c->mask[i] == '1' ? (uint8_t)(1 + i * 12) : 0;
    imiad_image mask = gray(pixels, 5, 4);
    mask.stride = 9;
    add_golden(plain, c);
    ck_ok(imiad_metrics_add_map(strided, c->scores, 5, 4, &mask));
    double a, b;
    ck_ok(imiad_metrics_aupro(&a, plain, .3));
    ck_ok(imiad_metrics_aupro(&b, strided, .3));
    ck_assert_double_eq(a, b);
    imiad_metrics_free(plain);
    imiad_metrics_free(strided);
}
END_TEST

/* Image AUROC and AP of the official PatchCore, PaDiM and SPADE, recomputed from their scores. The
 * table is printed to nine places. */
START_TEST(recorded_scores_give_the_recorded_metrics)
{
    FILE *table = fopen(SHARED("golden/metrics.csv"), "r");
    char line[512], path[4096];
    snprintf(path, sizeof path, "%s", SHARED("golden/scores_transistor.csv"));
    ck_assert_ptr_nonnull(fgets(line, sizeof line, table));
    int rows = 0;
    while (fgets(line, sizeof line, table)) {
        char detector[64], variant[64];
        double auroc, ap, value;
        ck_assert_int_eq(sscanf(line, "%63[^,],%63[^,],%*[^,],%*d,%*d,%*d,%*d,%lf,%lf", detector,
                                variant, &auroc, &ap),
                         4);
        char prefix[160];
        int length = snprintf(prefix, sizeof prefix, "%s,%s,", detector, variant), label;
        imiad_metrics *metrics = create("8", "reject");
        FILE *scores = fopen(path, "r");
        while (fgets(line, sizeof line, scores))
            if (strncmp(line, prefix, (size_t)length) == 0) {
                ck_assert_int_eq(sscanf(line, "%*[^,],%*[^,],%*[^,],%*[^,],%d,%lf", &label, &value),
                                 2);
                ck_ok(imiad_metrics_add_image(metrics, label, (float)value));
            }
        fclose(scores);
        imiad_metrics_counts counts = IMIAD_METRICS_COUNTS_INIT;
        ck_ok(imiad_metrics_count(&counts, metrics));
        ck_assert_int_eq(counts.images, 100);
        ck_ok(imiad_metrics_image_auroc(&value, metrics));
        ck_assert_double_eq_tol(value, auroc, 1e-9);
        ck_ok(imiad_metrics_image_ap(&value, metrics));
        ck_assert_double_eq_tol(value, ap, 1e-9);
        imiad_metrics_free(metrics);
        ++rows;
    }
    fclose(table);
    ck_assert_int_eq(rows, 12);
}
END_TEST

SUITE("metrics",
      LOOP_TEST(image_metrics_match_the_golden_values, sizeof image_cases / sizeof *image_cases),
      TEST(scores_one_bit_apart_are_apart), LOOP_TEST(drawn_images_match_the_golden_values, 2),
      LOOP_TEST(pixel_metrics_match_the_golden_values, sizeof pixel_cases / sizeof *pixel_cases),
      LOOP_TEST(drawn_pixels_match_the_golden_values, 2),
      TEST(what_does_not_exist_is_undefined_and_never_a_number),
      TEST(nan_is_refused_and_adds_nothing),
      TEST(infinities_order_naturally_where_they_are_allowed), TEST(minus_zero_ties_with_zero),
      TEST(wrong_arguments_are_named), TEST(masks_may_have_a_stride_and_any_non_zero_value),
      TEST(recorded_scores_give_the_recorded_metrics))
