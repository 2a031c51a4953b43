/* Masks larger and smaller than their maps, by the rule of the option sizes. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "check_suite.h"
#include "image/frame.h"
#include "imiad/metrics.h"

enum { CASES = 200, MOST_SIDE = 24, MOST = MOST_SIDE * MOST_SIDE };

static imiad_image mask_of(uint8_t *pixels, int width, int height)
{
    return (imiad_image){
        sizeof(imiad_image), IMIAD_PIXEL_GRAY8, width, height, (size_t)width, pixels};
}

static imiad_metrics *create(const char *sizes, const char *infinities)
{
    imiad_metrics *metrics = NULL;
    const imiad_option options[] = {{"sizes", sizes}, {"infinities", infinities}};
    ck_ok(imiad_metrics_create(&metrics, options, 2));
    return metrics;
}

static imiad_metrics_counts counts_of(const imiad_metrics *metrics)
{
    imiad_metrics_counts counts = IMIAD_METRICS_COUNTS_INIT;
    ck_ok(imiad_metrics_count(&counts, metrics));
    return counts;
}

/* One row each, worked out by hand: centres of two pixels on four lie a quarter from the ends, and
 * Pillow's nearest neighbour of four pixels' halves is the second and the fourth. */
typedef struct by_hand {
    const char *sizes;
    int map_width, mask_width;
    float map[4];
    uint8_t mask[4];
    int64_t normal, defective, regions;
    double auroc, threshold; /* of F1-max */
} by_hand;
static const by_hand rows[] = {
    /* the map becomes 0 .25 .75 1 */
    {"mask", 2, 4, {0, 1}, {0, 9, 0, 9}, 2, 2, 2, .75, .25},
    /* the mask becomes 0 1: a defect of one pixel is lost */
    {"map", 2, 4, {0, 1}, {1, 0, 0, 1}, 1, 1, 1, 1, 1},
    /* the map becomes .25 .75 */
    {"mask", 4, 2, {0, .5f, 1, .5f}, {0, 9}, 1, 1, 1, 1, .75},
    /* the mask becomes 0 0 1 1, and .5 ties */
    {"map", 4, 2, {0, .5f, 1, .5f}, {0, 9}, 2, 2, 1, .875, .5},
};

START_TEST(small_cases_give_what_the_hand_calculates)
{
    by_hand c = rows[_i];
    imiad_metrics *metrics = create(c.sizes, "reject");
    imiad_image mask = mask_of(c.mask, c.mask_width, 1);
    ck_ok(imiad_metrics_add_map(metrics, c.map, c.map_width, 1, &mask));
    imiad_metrics_counts counts = counts_of(metrics);
    ck_assert_int_eq(counts.normal_pixels, c.normal);
    ck_assert_int_eq(counts.defective_pixels, c.defective);
    ck_assert_int_eq(counts.regions, c.regions);
    double auroc, f1, threshold;
    ck_ok(imiad_metrics_pixel_auroc(&auroc, metrics));
    ck_assert_double_eq(auroc, c.auroc);
    ck_ok(imiad_metrics_pixel_f1max(&f1, &threshold, metrics));
    ck_assert_double_eq(threshold, c.threshold);
    imiad_metrics_free(metrics);
}
END_TEST

/* ---- against resizing beforehand ---- */

typedef struct drawn {
    int map_width, map_height, mask_width, mask_height;
    float map[MOST];
    uint8_t mask[MOST];
} drawn;

static void draw(drawn *d, int seed, bool square)
{
    random_stream r = random_open((uint64_t)seed, "test/sizes");
    int *sides[] = {&d->map_width, &d->map_height, &d->mask_width, &d->mask_height};
    for (int i = 0; i < 4; ++i)
        *sides[i] = 1 + (int)random_below(&r, MOST_SIDE);
    d->map_height = square ? d->map_width : d->map_height;
    for (int i = 0; i < MOST; ++i) {
        d->map[i] = (float)random_below(&r, 9) / 4 - 1;
        d->mask[i] = random_below(&r, 3) == 0 ? (uint8_t)(1 + random_below(&r, 255)) : 0;
    }
}

typedef struct results {
    imiad_status status[4];
    double value[4], threshold;
    imiad_metrics_counts counts;
} results;

static results measure(const char *sizes, const float *map, int width, int height,
                       const imiad_image *mask)
{
    results r;
    memset(&r, 0, sizeof r);
    imiad_metrics *metrics = create(sizes, "reject");
    ck_ok(imiad_metrics_add_map(metrics, map, width, height, mask));
    r.status[0] = imiad_metrics_pixel_auroc(&r.value[0], metrics);
    r.status[1] = imiad_metrics_pixel_ap(&r.value[1], metrics);
    r.status[2] = imiad_metrics_pixel_f1max(&r.value[2], &r.threshold, metrics);
    r.status[3] = imiad_metrics_aupro(&r.value[3], metrics, 0.3);
    r.counts = counts_of(metrics);
    imiad_metrics_free(metrics);
    return r;
}

/* The resize is the one that evaluation at native size lays maps over images with. */
START_TEST(the_masks_size_is_that_of_a_map_resized_beforehand)
{
    static drawn d;
    static float resized[MOST], framed[MOST];
    for (int seed = 0; seed < CASES; ++seed) {
        draw(&d, seed, true);
        imiad_image mask = mask_of(d.mask, d.mask_width, d.mask_height);
        const preprocessing whole = {.squash = true, .resize = d.map_width};
        resize_map(resized, mask.width, mask.height, d.map, d.map_width, d.map_height);
        frame_map(framed, mask.width, mask.height, d.map, d.map_width, d.map_height, &whole,
                  mask.width, mask.height);
        for (int i = 0; i < mask.width * mask.height; ++i)
            ck_assert_float_eq_tol(resized[i], framed[i], 1e-6f);
        results before = measure("equal", resized, mask.width, mask.height, &mask);
        results after = measure("mask", d.map, d.map_width, d.map_height, &mask);
        ck_assert_mem_eq(&before, &after, sizeof before);
    }
}
END_TEST

/* Masks of data sets are resized by preprocess_mask. */
START_TEST(the_maps_size_is_that_of_a_mask_resized_beforehand)
{
    static drawn d;
    for (int seed = 0; seed < CASES; ++seed) {
        draw(&d, seed, true);
        imiad_image mask = mask_of(d.mask, d.mask_width, d.mask_height), *resized;
        const preprocessing square = {.squash = true, .resize = d.map_width};
        ck_ok(preprocess_mask(&resized, &mask, &square));
        results before = measure("equal", d.map, d.map_width, d.map_height, resized);
        results after = measure("map", d.map, d.map_width, d.map_height, &mask);
        ck_assert_mem_eq(&before, &after, sizeof before);
        imiad_image_free(resized);
    }
}
END_TEST

START_TEST(equal_sizes_are_left_alone_by_every_rule)
{
    static drawn d;
    for (int seed = 0; seed < CASES; ++seed) {
        draw(&d, seed, false);
        imiad_image mask = mask_of(d.mask, d.map_width, d.map_height);
        results equal = measure("equal", d.map, d.map_width, d.map_height, &mask);
        results by_mask = measure("mask", d.map, d.map_width, d.map_height, &mask);
        results by_map = measure("map", d.map, d.map_width, d.map_height, &mask);
        ck_assert_mem_eq(&equal, &by_mask, sizeof equal);
        ck_assert_mem_eq(&equal, &by_map, sizeof equal);
    }
}
END_TEST

START_TEST(a_good_image_counts_at_the_size_of_its_mask_or_else_its_own)
{
    uint8_t zeros[12] = {0};
    const float map[2] = {0, 1};
    imiad_image mask = mask_of(zeros, 4, 3);
    imiad_metrics *metrics = create("mask", "reject");
    ck_ok(imiad_metrics_add_map(metrics, map, 2, 1, NULL));
    ck_assert_int_eq(counts_of(metrics).normal_pixels, 2);
    ck_ok(imiad_metrics_add_map(metrics, map, 2, 1, &mask));
    ck_assert_int_eq(counts_of(metrics).normal_pixels, 2 + 12);
    ck_assert_int_eq(counts_of(metrics).empty_masks, 1);
    imiad_metrics_free(metrics);
}
END_TEST

/* ---- what is refused ---- */

START_TEST(another_size_is_refused_unless_asked_for)
{
    uint8_t pixels[4] = {0, 1, 0, 0};
    const float map[2] = {0, 1};
    imiad_image mask = mask_of(pixels, 4, 1);
    const imiad_option wrong = {"sizes", "larger"};
    imiad_metrics *metrics = NULL;
    ck_fails(imiad_metrics_create(&metrics, &wrong, 1), IMIAD_OUT_OF_RANGE, "equal|mask|map");
    ck_ok(imiad_metrics_create(&metrics, NULL, 0));
    ck_fails(imiad_metrics_add_map(metrics, map, 2, 1, &mask), IMIAD_MISMATCH,
             "the mask is 4 x 1 but the map is 2 x 1: option sizes");
    ck_assert_int_eq(counts_of(metrics).maps, 0);
    mask.width = 0;
    ck_fails(imiad_metrics_add_map(metrics, map, 2, 1, &mask), IMIAD_MISMATCH, "0 x 1");
    mask.width = mask.height = 1 << 30;
    ck_fails(imiad_metrics_add_map(metrics, map, 2, 1, &mask), IMIAD_MISMATCH, "at most");
    imiad_metrics_free(metrics);
}
END_TEST

START_TEST(scores_that_cannot_be_interpolated_are_named_in_the_map_that_was_given)
{
    static const struct {
        float score;
        const char *message;
    } bad[] = {{NAN, "row 1, column 0 is NaN"},
               {-INFINITY, "row 1, column 0 is infinite"},
               {FLT_MAX, "row 1, column 0 is beyond half"}};
    uint8_t pixels[8] = {0, 1, 0, 0, 1, 0, 0, 0};
    imiad_image mask = mask_of(pixels, 4, 2), same = mask_of(pixels, 2, 2);
    imiad_metrics *metrics = create("mask", "allow");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        const float map[4] = {0, 1, bad[i].score, 3};
        ck_fails(imiad_metrics_add_map(metrics, map, 2, 2, &mask), IMIAD_NOT_FINITE,
                 bad[i].message);
        ck_assert_int_eq(counts_of(metrics).maps, 0);
    }
    const float widest[4] = {FLT_MAX / 2, -FLT_MAX / 2, -FLT_MAX / 2, FLT_MAX / 2};
    ck_ok(imiad_metrics_add_map(metrics, widest, 2, 2, &mask));
    const float infinite[4] = {0, 1, INFINITY, 3}; /* nothing to interpolate */
    ck_ok(imiad_metrics_add_map(metrics, infinite, 2, 2, &same));
    imiad_metrics_free(metrics);
}
END_TEST

/* ---- sPRO ---- */

/* Two pixels of four by four, halved: the nearest of each pair is the second. */
START_TEST(channels_are_resized_to_the_map)
{
    const float map[4] = {0, 3, 2, 1};
    uint8_t large[16] = {0, 0, 0, 0, 0, 0, 0, 7}, small[4] = {0, 1, 0, 0}, lost[16] = {1};
    imiad_image mask = mask_of(large, 4, 4), halved = mask_of(small, 2, 2),
                gone = mask_of(lost, 4, 4);
    const imiad_spro_channel channels[] = {{&halved, 1, 0}, {&mask, 1, 0}, {&gone, 1, 0}};
    const imiad_option by_map = {"sizes", "map"}, by_mask = {"sizes", "mask"};
    imiad_spro *spro = NULL;
    ck_fails(imiad_spro_create(&spro, &by_mask, 1), IMIAD_OUT_OF_RANGE, "equal|map");
    ck_ok(imiad_spro_create(&spro, NULL, 0));
    ck_fails(imiad_spro_add_map(spro, map, 2, 2, IMIAD_SPRO_LOGICAL, channels, 3), IMIAD_MISMATCH,
             "channel 1: the mask is 4 x 4 but the map is 2 x 2: option sizes");
    imiad_spro_free(spro);
    ck_ok(imiad_spro_create(&spro, &by_map, 1));
    ck_ok(imiad_spro_add_map(spro, map, 2, 2, IMIAD_SPRO_LOGICAL, channels, 3));
    imiad_spro_counts counts = IMIAD_SPRO_COUNTS_INIT;
    ck_ok(imiad_spro_count(&counts, spro));
    ck_assert_int_eq(counts.channels[2], 2); /* the third is lost */
    ck_assert_int_eq(counts.empty_channels[2], 1);
    ck_assert_int_eq(counts.normal_pixels[2], 3); /* both show the same pixel */
    double area;
    ck_ok(imiad_spro_area(&area, spro, IMIAD_SPRO_LOGICAL, 0.3));
    ck_assert_double_eq(area, 1);
    imiad_spro_free(spro);
}
END_TEST

SUITE("metrics-sizes",
      LOOP_TEST(small_cases_give_what_the_hand_calculates, sizeof rows / sizeof *rows),
      TEST(the_masks_size_is_that_of_a_map_resized_beforehand),
      TEST(the_maps_size_is_that_of_a_mask_resized_beforehand),
      TEST(equal_sizes_are_left_alone_by_every_rule),
      TEST(a_good_image_counts_at_the_size_of_its_mask_or_else_its_own),
      TEST(another_size_is_refused_unless_asked_for),
      TEST(scores_that_cannot_be_interpolated_are_named_in_the_map_that_was_given),
      TEST(channels_are_resized_to_the_map))
