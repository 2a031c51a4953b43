/* Evaluation: where maps and masks meet. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../data/trees.h"
#include "../detectors/brightness.h"
#include "bridge/tensor.h"
#include "check_suite.h"
#include "imiad/imiad.h"
#include "image/frame.h"

static const preprocessing whole = {.squash = true, .resize = 8};

static void fill(float *map, int count)
{
    for (int i = 0; i < count; ++i)
        map[i] = sinf(0.7f * (float)i) + 0.01f * (float)i;
}

/* torch.nn.functional.interpolate(mode="bilinear", align_corners=False), run here. */
START_TEST(a_whole_map_is_laid_over_its_image_as_torch_interpolates)
{
    static const int32_t sizes[][2] = {{8, 8}, {20, 13}, {64, 64}, {5, 3}, {1, 1}};
    float map[64], ours[64 * 64], theirs[64 * 64];
    int32_t width = sizes[_i][0], height = sizes[_i][1];
    size_t count = (size_t)(width * height);
    fill(map, 64);
    frame_map(ours, width, height, map, 8, 8, &whole, width, height);
    scope s = scope_begin();
    tensor *t = t_from(map, 4, (int64_t[]){1, 1, 8, 8}, F32, CPU);
    t_read(t_contiguous(t_interpolate(t, height, width, BILINEAR, false)), theirs,
           count * sizeof *theirs);
    ck_ok(scope_end(&s));
    for (size_t i = 0; i < count; ++i)
        ck_assert_float_eq_tol(ours[i], theirs[i], 1e-5f);
}
END_TEST

/* Resize 8, crop 4 of a 16 x 16 image: the map shows its pixels 4 to 11. */
START_TEST(what_the_crop_cut_off_takes_the_lowest_value)
{
    const preprocessing cropped = {.resize = 8, .crop = 4};
    float map[16], out[16 * 16];
    fill(map, 16);
    map[5] = -3;
    frame_map(out, 16, 16, map, 4, 4, &cropped, 16, 16);
    for (int y = 0; y < 16; ++y)
        for (int x = 0; x < 16; ++x) {
            bool seen = x >= 4 && x < 12 && y >= 4 && y < 12;
            if (!seen)
                ck_assert_float_eq(out[y * 16 + x], -3);
        }
    ck_assert_float_eq(out[4 * 16 + 4], map[0]); /* a corner, beyond the last centre */
    ck_assert_float_eq(out[11 * 16 + 11], map[15]);
}
END_TEST

/* Shorter side to 8: a 32 x 16 image becomes 16 x 8, and the crop shows its middle half. */
START_TEST(a_wide_image_keeps_its_shape)
{
    const preprocessing cropped = {.resize = 8, .crop = 8};
    float map[64], out[32 * 16];
    for (int i = 0; i < 64; ++i)
        map[i] = 1 + (float)(i % 8);
    frame_map(out, 32, 16, map, 8, 8, &cropped, 32, 16);
    for (int y = 0; y < 16; ++y) {
        ck_assert_float_eq(out[y * 32 + 7], 1);  /* outside: the lowest */
        ck_assert_float_eq(out[y * 32 + 24], 1); /* outside */
        ck_assert_float_eq(out[y * 32 + 8], 1);
        ck_assert_float_eq(out[y * 32 + 23], 8);
        ck_assert_float_eq(out[y * 32 + 15], 4.25f); /* 7.5 / 2 - 0.5 pixels along */
    }
}
END_TEST

/* protocols.md, fault 3: the image is squashed, the mask keeps its shape and loses its ends. */
START_TEST(the_references_masks_lose_what_lies_outside_the_centre)
{
    const preprocessing square = {.resize = 8, .crop = 8};
    uint8_t pixels[16 * 32] = {0};
    imiad_image mask = {sizeof mask, IMIAD_PIXEL_GRAY8, 32, 16, 32, pixels}, *cropped;
    for (int y = 0; y < 16; ++y)
        memset(pixels + 32 * y, 255, 4); /* at the left end */
    pixels[8 * 32 + 16] = pixels[8 * 32 + 17] = pixels[9 * 32 + 16] = pixels[9 * 32 + 17] = 255;
    ck_ok(preprocess_mask_openiad(&cropped, &mask, &square));
    ck_assert_int_eq(cropped->width, 8);
    int defective = 0;
    for (int y = 0; y < 8; ++y)
        for (int x = 0; x < 8; ++x)
            defective += cropped->pixels[(size_t)y * cropped->stride + (size_t)x] == 255;
    ck_assert_int_eq(defective, 1); /* two pixels by two, halved */
    ck_assert_int_eq(cropped->pixels[4 * cropped->stride + 4], 255);
    imiad_image_free(cropped);
}
END_TEST

/* ---- the whole of it ---- */

typedef struct line {
    imiad_dataset *dataset;
    imiad_backbone *backbone;
    imiad_split *split;
    imiad_detector *detector;
} line;

static line open_line(const char *crop)
{
    static const imiad_option sizes[] = {
        {"size", "96"}, {"train", "4"}, {"test_good", "3"}, {"test_defective", "3"}};
    const imiad_option options[] = {{"resize", "64"}, {"crop", crop}};
    line l;
    ck_ok(imiad_dataset_open(&l.dataset, "synthetic", NULL, sizes, 4));
    ck_ok(imiad_backbone_create(&l.backbone, "resnet18", NULL));
    ck_ok(imiad_split_create(&l.split, l.dataset, imiad_dataset_category(l.dataset, 0),
                             "unsupervised", NULL, 0));
    ck_ok(imiad_detector_create(&l.detector, "patchcore", l.backbone, options, 2));
    ck_ok(imiad_detector_fit(l.detector, l.split, NULL, NULL));
    return l;
}

static void close_line(line *l)
{
    imiad_detector_free(l->detector);
    imiad_split_free(l->split);
    imiad_backbone_free(l->backbone);
    imiad_dataset_free(l->dataset);
}

typedef struct seen {
    const line *line;
    int32_t width, height;
    size_t count;
    double sum; /* of all map values */
    int distinct_above;
} seen;

static imiad_status look(void *user, const imiad_scored *scored)
{
    seen *s = user;
    ck_assert_int_eq(scored->width, s->width);
    ck_assert_int_eq(scored->height, s->height);
    ck_assert_int_eq(scored->image->width, s->width);
    ck_assert_int_eq(scored->image->height, s->height);
    ck_assert_int_eq(scored->mask->width, s->width);
    for (int i = 0; i < s->width * s->height; ++i) {
        s->sum += (double)scored->map[i];
        s->distinct_above += scored->map[i] != 0 && scored->map[i] != 1;
    }
    ++s->count;
    return IMIAD_OK;
}

START_TEST(masks_and_images_come_in_the_frame_that_was_asked_for)
{
    static const int32_t sizes[][2] = {
        {IMIAD_EVALUATE_INPUT, 48}, {IMIAD_EVALUATE_NATIVE, 96}, {40, 40}};
    line l = open_line("48");
    imiad_evaluation_options options = IMIAD_EVALUATION_OPTIONS_INIT;
    options.size = sizes[_i][0];
    seen s = {.line = &l, .width = sizes[_i][1], .height = sizes[_i][1]};
    imiad_metrics *metrics;
    imiad_metrics_counts counts = IMIAD_METRICS_COUNTS_INIT;
    ck_ok(imiad_metrics_create(&metrics, NULL, 0));
    ck_ok(imiad_evaluate(metrics, l.detector, l.split, &options, look, &s, NULL, NULL));
    ck_assert_uint_eq(s.count, 6);
    ck_ok(imiad_metrics_count(&counts, metrics));
    ck_assert_int_eq(counts.normal_pixels + counts.defective_pixels, 6LL * s.width * s.height);
    imiad_metrics_free(metrics);
    close_line(&l);
}
END_TEST

/* At the native size the mask is the one on disk. */
static imiad_status same_mask(void *user, const imiad_scored *scored)
{
    const line *l = user;
    imiad_image *mask;
    ck_ok(imiad_dataset_read_mask(&mask, l->dataset, scored->sample));
    for (int32_t y = 0; y < mask->height; ++y)
        ck_assert_mem_eq(mask->pixels + (size_t)y * mask->stride,
                         scored->mask->pixels + (size_t)y * scored->mask->stride,
                         (size_t)mask->width);
    imiad_image_free(mask);
    return IMIAD_OK;
}

START_TEST(native_masks_are_the_datasets_own)
{
    line l = open_line("0");
    imiad_evaluation_options options = IMIAD_EVALUATION_OPTIONS_INIT;
    options.size = IMIAD_EVALUATE_NATIVE;
    ck_ok(imiad_evaluate(NULL, l.detector, l.split, &options, same_mask, &l, NULL, NULL));
    close_line(&l);
}
END_TEST

/* Maps of the input, and the masks on disk. */
typedef struct own_masks {
    const line *line;
    imiad_metrics *metrics;
} own_masks;

static imiad_status add_own_mask(void *user, const imiad_scored *scored)
{
    const own_masks *o = user;
    imiad_image *mask;
    ck_ok(imiad_dataset_read_mask(&mask, o->line->dataset, scored->sample));
    ck_ok(imiad_metrics_add_map(o->metrics, scored->map, scored->width, scored->height, mask));
    imiad_image_free(mask);
    return IMIAD_OK;
}

START_TEST(masks_of_the_native_size_measure_as_a_native_evaluation_does)
{
    line l = open_line("64");
    imiad_evaluation_options options = IMIAD_EVALUATION_OPTIONS_INIT;
    const imiad_option by_mask = {"sizes", "mask"};
    own_masks o = {.line = &l};
    imiad_metrics *native;
    ck_ok(imiad_metrics_create(&o.metrics, &by_mask, 1));
    ck_ok(imiad_metrics_create(&native, NULL, 0));
    ck_ok(imiad_evaluate(NULL, l.detector, l.split, &options, add_own_mask, &o, NULL, NULL));
    options.size = IMIAD_EVALUATE_NATIVE;
    ck_ok(imiad_evaluate(native, l.detector, l.split, &options, NULL, NULL, NULL, NULL));
    imiad_metrics_counts a = IMIAD_METRICS_COUNTS_INIT, b = IMIAD_METRICS_COUNTS_INIT;
    ck_ok(imiad_metrics_count(&a, o.metrics));
    ck_ok(imiad_metrics_count(&b, native));
    ck_assert_int_eq(a.normal_pixels, b.normal_pixels);
    ck_assert_int_eq(a.regions, b.regions);
    imiad_status (*const metrics[])(double *, const imiad_metrics *) = {imiad_metrics_pixel_auroc,
                                                                        imiad_metrics_pixel_ap};
    for (int i = 0; i < 2; ++i) {
        double ours, theirs;
        ck_ok(metrics[i](&ours, o.metrics));
        ck_ok(metrics[i](&theirs, native));
        ck_assert_double_eq_tol(ours, theirs, 1e-6);
    }
    imiad_metrics_free(o.metrics);
    imiad_metrics_free(native);
    close_line(&l);
}
END_TEST

START_TEST(binarised_maps_hold_zeros_and_ones)
{
    line l = open_line("64");
    imiad_evaluation_options options = IMIAD_EVALUATION_OPTIONS_INIT;
    seen plain = {.line = &l, .width = 64, .height = 64}, cut = plain;
    ck_ok(imiad_evaluate(NULL, l.detector, l.split, &options, look, &plain, NULL, NULL));
    options.binarise_maps = 1;
    ck_ok(imiad_evaluate(NULL, l.detector, l.split, &options, look, &cut, NULL, NULL));
    ck_assert_int_gt(plain.distinct_above, 0);
    ck_assert_int_eq(cut.distinct_above, 0);
    ck_assert_double_gt(cut.sum, 0);
    ck_assert_double_lt(cut.sum, 6 * 64 * 64);
    close_line(&l);
}
END_TEST

START_TEST(contradicting_options_are_refused)
{
    line l = open_line("64");
    imiad_evaluation_options options = IMIAD_EVALUATION_OPTIONS_INIT;
    options.size = -2;
    ck_fails(imiad_evaluate(NULL, l.detector, l.split, &options, NULL, NULL, NULL, NULL),
             IMIAD_OUT_OF_RANGE, "size is -2");
    options.size = 64;
    options.binarise_maps = 1;
    ck_fails(imiad_evaluate(NULL, l.detector, l.split, &options, NULL, NULL, NULL, NULL),
             IMIAD_INVALID_ARGUMENT, "binarise_maps");
    options.struct_size = 0;
    ck_fails(imiad_evaluate(NULL, l.detector, l.split, &options, NULL, NULL, NULL, NULL),
             IMIAD_INVALID_ARGUMENT, "struct_size");
    close_line(&l);
}
END_TEST

/* Two views a part: one of the defective part's shows nothing. Scores are brightness. */
START_TEST(views_of_one_part_are_judged_together)
{
    static const struct {
        const char *path;
        int value;
    } images[] = {{"train/good/0.png", 9},    {"test/good/s1/a.png", 50},
                  {"test/good/s1/b.png", 40}, {"test/good/s2/a.png", 20},
                  {"test/good/s2/b.png", 15}, {"test/bad/s3/a.png", 10},
                  {"test/bad/s3/b.png", 90}};
    tree_begin();
    for (size_t i = 0; i < sizeof images / sizeof *images; ++i)
        tree_image(images[i].path, 16, 16, images[i].value);
    imiad_dataset *d;
    imiad_split *split;
    imiad_metrics *single, *groups;
    double auroc = 0;
    ck_ok(tree_open(
        &d, "folder",
        OPTIONS("test_good", "test/good/{group}/*", "test_defective", "test/{kind}/{group}/*")));
    ck_ok(imiad_split_create(&split, d, "all", "unsupervised", NULL, 0));
    ck_ok(imiad_metrics_create(&single, NULL, 0));
    ck_ok(imiad_metrics_create(&groups, NULL, 0));
    imiad_evaluation_options options = IMIAD_EVALUATION_OPTIONS_INIT;
    options.groups = groups;
    imiad_detector *bright = brightness("16", "0");
    ck_ok(imiad_evaluate(single, bright, split, &options, NULL, NULL, NULL, NULL));
    ck_ok(imiad_metrics_image_auroc(&auroc, single));
    ck_assert_double_eq(auroc, 0.5); /* 90 is above all four, 10 below */
    ck_ok(imiad_metrics_image_auroc(&auroc, groups));
    ck_assert_double_eq(auroc, 1); /* 90 is above 50 and 20 */
    imiad_detector_free(bright);
    imiad_metrics_free(groups);
    imiad_metrics_free(single);
    imiad_split_free(split);
    imiad_dataset_free(d);
}
END_TEST

/* A program that was compiled before there were groups. */
START_TEST(options_of_the_first_version_are_still_read)
{
    line l = open_line("64");
    imiad_evaluation_options options = {.struct_size = 16, .size = 32};
    options.groups = (imiad_metrics *)1; /* behind the end of what the caller has */
    seen s = {.line = &l, .width = 32, .height = 32};
    ck_ok(imiad_evaluate(NULL, l.detector, l.split, &options, look, &s, NULL, NULL));
    close_line(&l);
}
END_TEST

SUITE("evaluate", LOOP_TEST(a_whole_map_is_laid_over_its_image_as_torch_interpolates, 5),
      TEST(what_the_crop_cut_off_takes_the_lowest_value), TEST(a_wide_image_keeps_its_shape),
      TEST(the_references_masks_lose_what_lies_outside_the_centre),
      LOOP_TEST(masks_and_images_come_in_the_frame_that_was_asked_for, 3),
      TEST(native_masks_are_the_datasets_own),
      TEST(masks_of_the_native_size_measure_as_a_native_evaluation_does),
      TEST(binarised_maps_hold_zeros_and_ones), TEST(contradicting_options_are_refused),
      TEST(views_of_one_part_are_judged_together),
      TEST(options_of_the_first_version_are_still_read))
