/* GCAD as a detector: what its options do, what its file holds, how it goes on. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "../image/procedural.h"
#include "detectors/detector.h"
#include "detectors/parts/gcad_networks.h"
#include "detectors/training/training.h"
#include "product_line.h"
#include "resumed.h"
#include "weights/weights.h"

enum { SIDE = 64, OPTIONS = 7, MOST_IMAGES = 4 };

#define SMALL                                                                                      \
    {"resize", "64"}, {"width", "4"}, {"epochs", "2"}, {"patches", "33"}, {"distil_steps", "2"},   \
        {"distil_batch", "2"},                                                                     \
    {                                                                                              \
        "distil_size", "32"                                                                        \
    }

static imiad_backbone *backbone;

static imiad_status create(imiad_detector **out, const imiad_option *more, size_t count)
{
    imiad_option options[16] = {SMALL};
    for (size_t i = 0; i < count; ++i)
        options[OPTIONS + i] = more[i];
    if (!backbone)
        ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    return imiad_detector_create(out, "gcad", backbone, options, OPTIONS + count);
}

static imiad_image *image_of(int number)
{
    return procedural(IMIAD_PIXEL_RGB8, SIDE + 4 * number, SIDE);
}

static imiad_detector *fit(const imiad_option *more, size_t count, int images)
{
    imiad_detector *d = NULL;
    imiad_image *shown[MOST_IMAGES];
    ck_ok(create(&d, more, count));
    for (int i = 0; i < images; ++i)
        shown[i] = image_of(i);
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)shown, (size_t)images, NULL,
                                    NULL));
    for (int i = 0; i < images; ++i)
        imiad_image_free(shown[i]);
    return d;
}

/* The maps of the training images, one behind the other; new memory. */
static float *maps_of(imiad_detector *d, int images)
{
    float *maps = malloc((size_t)images * SIDE * SIDE * sizeof *maps);
    for (int i = 0; i < images; ++i) {
        imiad_result result = IMIAD_RESULT_INIT;
        imiad_image *image = image_of(i);
        ck_ok(imiad_detector_score(&result, d, image));
        ck_assert_int_eq(result.width, SIDE);
        memcpy(maps + (size_t)i * SIDE * SIDE, result.map, SIDE * SIDE * sizeof *maps);
        imiad_image_free(image);
    }
    return maps;
}

/* ---- maps ---- */

START_TEST(good_maps_of_each_pair_have_mean_0_and_deviation_1)
{
    static const char *const networks[] = {"local", "global"};
    const imiad_option options[] = {{"networks", networks[_i]}, {"val_split", "0"}};
    imiad_detector *d = fit(options, 2, 3);
    float *maps = maps_of(d, 3);
    double mean = 0, square = 0, count = 3.0 * SIDE * SIDE;
    for (int i = 0; i < 3 * SIDE * SIDE; ++i)
        mean += (double)maps[i] / count;
    for (int i = 0; i < 3 * SIDE * SIDE; ++i)
        square += pow((double)maps[i] - mean, 2) / count;
    ck_assert_double_lt(fabs(mean), 1e-4);
    ck_assert_double_lt(fabs(sqrt(square) - 1), 1e-4);
    free(maps);
    imiad_detector_free(d);
}
END_TEST

START_TEST(a_tenth_of_good_maps_lies_above_0_with_quantiles)
{
    const imiad_option options[] = {
        {"networks", "local"}, {"val_split", "0"}, {"scaling", "quantile"}};
    imiad_detector *d = fit(options, 3, 3);
    float *maps = maps_of(d, 3);
    int above = 0, high = 0;
    for (int i = 0; i < 3 * SIDE * SIDE; ++i) {
        above += maps[i] > 0;
        high += maps[i] > 0.1F;
    }
    ck_assert_double_eq_tol(above / (3.0 * SIDE * SIDE), 0.1, 1e-3);
    ck_assert_double_eq_tol(high / (3.0 * SIDE * SIDE), 0.005, 1e-3);
    free(maps);
    imiad_detector_free(d);
}
END_TEST

START_TEST(both_pairs_add_up_and_both_sizes_of_patches_are_averaged)
{
    const imiad_option options[] = {{"patches", "both"}, {"val_split", "0"}};
    imiad_detector *d = fit(options, 2, 2);
    float *maps = maps_of(d, 2);
    double mean = 0, square = 0, count = 2.0 * SIDE * SIDE;
    for (int i = 0; i < 2 * SIDE * SIDE; ++i) {
        mean += (double)maps[i] / count;
        square += (double)maps[i] * (double)maps[i] / count;
    }
    ck_assert_double_lt(fabs(mean), 1e-4);
    ck_assert_double_lt(square, 4 + 1e-3); /* of two maps of deviation 1, the mean of such sums */
    free(maps);
    imiad_detector_free(d);
}
END_TEST

/* ---- the descriptions ---- */

START_TEST(channels_of_the_descriptions_have_mean_0_and_deviation_1_on_training_images)
{
    const imiad_option options[] = {{"val_split", "0"}, {"networks", "local"}};
    imiad_detector *d = fit(options, 2, 1);
    training *t = d->state;
    params *store = t->stores[0].parameters;
    patch_descriptor e = {.field = 33};
    scope s = scope_begin();
    for (int i = 0; i < DESCRIPTOR_LAYERS; ++i) {
        char name[40];
        snprintf(name, sizeof name, "descriptor.conv%d.weight", i + 1);
        e.convolutions[i].weight = params_find(store, name)->value;
        snprintf(name, sizeof name, "descriptor.conv%d.bias", i + 1);
        e.convolutions[i].bias = params_find(store, name)->value;
    }
    imiad_image *image = image_of(0);
    tensor *host = t_zeros(4, (int64_t[]){1, 3, SIDE, SIDE}, F32, CPU);
    preprocess_normalize(t_data(host), image, &d->preprocessing);
    imiad_image_free(image);
    tensor *rows = t_flatten(t_squeeze(patch_descriptor_dense(&e, host), 0), 1, 2);
    ck_assert_double_lt(t_item(t_max_all(t_abs(t_mean(rows, 1, false)))), 1e-3);
    tensor *off = t_abs(t_add_scalar(t_std(rows, 1, false, false), -1));
    ck_assert_double_lt(t_item(t_max_all(off)), 1e-3);
    ck_ok(scope_end(&s));
    imiad_detector_free(d);
}
END_TEST

START_TEST(a_saved_detector_holds_neither_skips_nor_upscaling_and_lends_its_descriptions)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    imiad_detector *d = fit(NULL, 0, 2), *other = NULL;
    ck_ok(imiad_detector_save(d, path));
    weights *file;
    ck_ok(weights_open(&file, path));
    ck_assert_ptr_nonnull(weights_find(file, "p33.descriptor.conv1.weight"));
    ck_assert_ptr_nonnull(weights_find(file, "p33.global.last.weight"));
    ck_assert_ptr_null(weights_find(file, "p33.squeezing.skip0.weight"));
    ck_assert_ptr_null(weights_find(file, "p33.upscale.0.weight"));
    ck_assert_ptr_nonnull(strstr(weights_metadata(file, "descriptors"), "p33: distilled from"));
    weights_free(file);
    const imiad_option options[] = {{"descriptors", path}};
    imiad_detector *lent = fit(options, 1, 2);
    float *maps[] = {maps_of(d, 1), maps_of(lent, 1)};
    for (int i = 0; i < SIDE * SIDE; ++i) /* the same training but for rounding in the fold */
        ck_assert_double_lt(fabs((double)(maps[0][i] - maps[1][i])), 0.05);
    free(maps[0]);
    free(maps[1]);
    imiad_detector_free(lent);
    imiad_detector_free(d);
    const imiad_option wrong[] = {{"descriptors", path}, {"patches", "17"}};
    imiad_image *image = image_of(0);
    ck_ok(create(&other, wrong, 2));
    ck_fails(imiad_detector_fit_images(other, (const imiad_image *const *)&image, 1, NULL, NULL),
             IMIAD_MISMATCH, "descriptors");
    imiad_image_free(image);
    imiad_detector_free(other);
    unlink(path);
}
END_TEST

/* ---- options ---- */

START_TEST(what_makes_no_sense_is_refused)
{
    static const struct {
        imiad_option option;
        const char *words;
    } cases[] = {{{"width", "5"}, "an even number"},
                 {{"resize", "80"}, "a multiple of 32"},
                 {{"resize", "32"}, "at least 64"},
                 {{"resize_mode", "shorter"}, "must be square"},
                 {{"layers", "layer9"}, "layer9"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        imiad_detector *d = NULL;
        imiad_status status = create(&d, &cases[i].option, 1);
        ck_assert_msg(status != IMIAD_OK, "%s=%s", cases[i].option.name, cases[i].option.value);
        ck_assert_ptr_nonnull(strstr(imiad_last_error(), cases[i].words));
    }
}
END_TEST

START_TEST(a_detector_of_one_pair_has_only_its_networks)
{
    for (int global = 0; global < 2; ++global) {
        const imiad_option options[] = {{"networks", global ? "global" : "local"}};
        imiad_detector *d = fit(options, 1, 1);
        const training *t = d->state;
        const params *store = t->stores[0].parameters;
        ck_assert_int_eq(params_find(store, "local.last.weight") != NULL, !global);
        ck_assert_int_eq(params_find(store, "global.last.weight") != NULL, global);
        ck_assert_int_eq(params_find(store, "squeezing.last0.weight") != NULL, global);
        imiad_detector_free(d);
    }
}
END_TEST

START_TEST(a_training_of_unchanged_images_goes_on_from_its_checkpoint_as_any)
{
    product_line l = product_line_open("64", "2", "1", "1", "unsupervised");
    const resumed_fit f = {.detector = "gcad",
                           .backbone = l.backbone,
                           .options = {SMALL, {"rotation", "0"}, {"jitter", "0"}},
                           .option_count = OPTIONS + 2,
                           .split = l.split};
    resumed_equals_undisturbed(&f, 3);
    product_line_close(&l);
}
END_TEST

SUITE("gcad", LOOP_TEST(good_maps_of_each_pair_have_mean_0_and_deviation_1, 2),
      TEST(a_tenth_of_good_maps_lies_above_0_with_quantiles),
      TEST(both_pairs_add_up_and_both_sizes_of_patches_are_averaged),
      TEST(channels_of_the_descriptions_have_mean_0_and_deviation_1_on_training_images),
      TEST(a_saved_detector_holds_neither_skips_nor_upscaling_and_lends_its_descriptions),
      TEST(what_makes_no_sense_is_refused), TEST(a_detector_of_one_pair_has_only_its_networks),
      TEST(a_training_of_unchanged_images_goes_on_from_its_checkpoint_as_any))
