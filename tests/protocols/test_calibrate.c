/* Thresholds: chosen from scores by hand calculation, kept in files, held out of fits. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "check_suite.h"
#include "imiad/imiad.h"

/* PaDiM on a small procedural line; random weights. */
typedef struct line {
    imiad_dataset *dataset;
    imiad_split *split;
    imiad_backbone *backbone;
    imiad_detector *detector;
} line;

static line open_line(const char *setting, const imiad_option *options, size_t count)
{
    static const imiad_option few[] = {
        {"size", "64"}, {"train", "10"}, {"test_good", "2"}, {"test_defective", "6"}};
    static const imiad_option small[] = {{"resize", "64"}, {"crop", "64"}};
    line l;
    ck_ok(imiad_dataset_open(&l.dataset, "synthetic", NULL, few, 4));
    ck_ok(imiad_split_create(&l.split, l.dataset, "fabric", setting, options, count));
    ck_ok(imiad_backbone_create(&l.backbone, "resnet18", NULL));
    ck_ok(imiad_detector_create(&l.detector, "padim", l.backbone, small, 2));
    return l;
}

static void close_line(line *l)
{
    imiad_detector_free(l->detector);
    imiad_backbone_free(l->backbone);
    imiad_split_free(l->split);
    imiad_dataset_free(l->dataset);
}

static line fitted_line(void)
{
    line l = open_line("unsupervised", NULL, 0);
    ck_ok(imiad_detector_fit(l.detector, l.split, NULL, NULL));
    return l;
}

static imiad_calibration get(const imiad_detector *d)
{
    imiad_calibration c = IMIAD_CALIBRATION_INIT;
    ck_ok(imiad_detector_calibration(&c, d));
    return c;
}

/* Scores 0..100: NumPy's quantile(q) of them is 100 q. */
START_TEST(quantiles_of_normal_scores_are_numpys)
{
    line l = fitted_line();
    float values[101], maxima[101];
    imiad_calibration_options options = IMIAD_CALIBRATION_OPTIONS_INIT;
    for (int i = 0; i <= 100; ++i) {
        values[i] = (float)((i * 37) % 101);
        maxima[i] = 2 * values[i];
    }
    options.quantile = 0.975;
    ck_ok(imiad_detector_calibrate(l.detector, values, NULL, maxima, 101, "0 to 100", &options));
    imiad_calibration c = get(l.detector);
    ck_assert_int_eq(c.rule, IMIAD_THRESHOLD_QUANTILE);
    ck_assert_double_eq_tol(c.threshold, 97.5, 1e-9);
    ck_assert_double_eq_tol(c.low_threshold, 100, 1e-9);
    ck_assert_double_eq_tol(c.high_threshold, 95, 1e-9);
    ck_assert_double_eq_tol(c.map_threshold, 195, 1e-9);
    ck_assert_double_eq_tol(c.centre, 50, 1e-9);
    ck_assert_int_eq(c.normal_count, 101);
    ck_assert_int_eq(c.defective_count, 0);
    ck_assert_str_eq(c.source, "0 to 100");
    static const struct {
        float score;
        int32_t low, normal, high;
        double calibrated;
    } rows[] = {{0, 0, 0, 0, 0},        {50, 0, 0, 0, 0},       {97.5f, 0, 0, 1, 0.5},
                {96, 0, 0, 1, 0.48421}, {99, 0, 1, 1, 0.51579}, {145, 1, 1, 1, 1},
                {900, 1, 1, 1, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
        int32_t low, normal, high;
        double calibrated;
        ck_ok(imiad_detector_verdict(&low, l.detector, rows[i].score, IMIAD_SENSITIVITY_LOW));
        ck_ok(imiad_detector_verdict(&normal, l.detector, rows[i].score, IMIAD_SENSITIVITY_NORMAL));
        ck_ok(imiad_detector_verdict(&high, l.detector, rows[i].score, IMIAD_SENSITIVITY_HIGH));
        ck_ok(imiad_detector_calibrated_score(&calibrated, l.detector, rows[i].score));
        ck_assert_int_eq(low, rows[i].low);
        ck_assert_int_eq(normal, rows[i].normal);
        ck_assert_int_eq(high, rows[i].high);
        ck_assert_double_eq_tol(calibrated, rows[i].calibrated, 1e-4);
    }
    close_line(&l);
}
END_TEST

/* Normal 1 2 3 6, defective 5 7 8 9. Flagging from 5 on: 4 hits, 1 false alarm, F1 = 8/9; from 7 on
 * 3 hits, none false, 6/7. */
START_TEST(f1_is_largest_between_two_scores)
{
    line l = fitted_line();
    const float values[] = {7, 1, 5, 3, 8, 6, 2, 9};
    const int32_t labels[] = {1, 0, 1, 0, 1, 0, 0, 1}, none[8] = {0};
    imiad_calibration_options options = IMIAD_CALIBRATION_OPTIONS_INIT;
    options.rule = IMIAD_THRESHOLD_F1_MAX;
    ck_ok(imiad_detector_calibrate(l.detector, values, labels, NULL, 8, "eight", &options));
    imiad_calibration c = get(l.detector);
    ck_assert_double_eq(c.threshold, 4);
    ck_assert_double_eq(c.low_threshold, 6.5);
    ck_assert_double_eq(c.high_threshold, 4);
    ck_assert_double_eq(c.map_threshold, 4);
    ck_assert_double_eq(c.centre, 2.5);
    ck_assert_int_eq(c.normal_count, 4);
    ck_assert_int_eq(c.defective_count, 4);
    ck_fails(imiad_detector_calibrate(l.detector, values, none, NULL, 8, "eight", &options),
             IMIAD_UNDEFINED, "no defective image");
    ck_assert_double_eq(get(l.detector).threshold, 4); /* as it was */
    close_line(&l);
}
END_TEST

START_TEST(thresholds_are_in_the_file_and_go_with_another_fit)
{
    line l = fitted_line();
    char path[] = "/tmp/imiad-test-XXXXXX";
    const float values[] = {0.1f, 0.2f, 0.7f};
    close(mkstemp(path));
    ck_ok(imiad_detector_calibrate(l.detector, values, NULL, NULL, 3, "three \"images\"", NULL));
    imiad_calibration before = get(l.detector);
    ck_ok(imiad_detector_save(l.detector, path));
    imiad_detector *clone, *loaded;
    ck_ok(imiad_detector_clone(&clone, l.detector));
    ck_ok(imiad_detector_load(&loaded, path, NULL));
    unlink(path);
    for (int i = 0; i < 2; ++i) {
        imiad_calibration after = get(i ? clone : loaded);
        ck_assert_str_eq(after.source, before.source);
        after.source = before.source;
        ck_assert_mem_eq(&after, &before, sizeof before);
    }
    imiad_detector_free(clone);
    imiad_detector_free(loaded);
    ck_ok(imiad_detector_fit(l.detector, l.split, NULL, NULL));
    ck_fails(imiad_detector_calibration(&before, l.detector), IMIAD_WRONG_STATE, "fit_calibrated");
    int32_t verdict;
    ck_fails(imiad_detector_verdict(&verdict, l.detector, 1, IMIAD_SENSITIVITY_NORMAL),
             IMIAD_WRONG_STATE, "no thresholds");
    close_line(&l);
}
END_TEST

START_TEST(a_share_of_the_training_images_is_held_out)
{
    line l = open_line("unsupervised", NULL, 0);
    imiad_calibration_options options = IMIAD_CALIBRATION_OPTIONS_INIT;
    options.share = 0.3;
    options.seed = 5;
    ck_ok(imiad_detector_fit_calibrated(l.detector, l.split, &options, NULL, NULL));
    imiad_calibration first = get(l.detector);
    ck_assert_int_eq(first.normal_count, 3);
    ck_assert_int_eq(first.defective_count, 0);
    ck_assert_str_eq(first.source, "held out of the training images of synthetic/fabric: 3 of 10 "
                                   "normal ones, seed 5");
    ck_assert_double_gt(first.threshold, first.centre);
    double threshold = first.threshold;
    ck_ok(imiad_detector_fit_calibrated(l.detector, l.split, &options, NULL, NULL));
    ck_assert_double_eq(get(l.detector).threshold, threshold);
    options.seed = 6;
    ck_ok(imiad_detector_fit_calibrated(l.detector, l.split, &options, NULL, NULL));
    ck_assert_double_ne(get(l.detector).threshold, threshold);
    /* PaDiM's score is its map's maximum */
    imiad_calibration last = get(l.detector);
    ck_assert_double_eq(last.map_threshold, last.threshold);
    options.rule = IMIAD_THRESHOLD_F1_MAX;
    ck_fails(imiad_detector_fit_calibrated(l.detector, l.split, &options, NULL, NULL),
             IMIAD_UNDEFINED, "no defective image");
    close_line(&l);
}
END_TEST

START_TEST(told_defects_of_the_supervised_setting_give_f1)
{
    const imiad_option anomalies = {"anomalies", "3"};
    line l = open_line("supervised", &anomalies, 1);
    imiad_calibration_options options = IMIAD_CALIBRATION_OPTIONS_INIT;
    options.rule = IMIAD_THRESHOLD_F1_MAX;
    ck_ok(imiad_detector_fit_calibrated(l.detector, l.split, &options, NULL, NULL));
    imiad_calibration c = get(l.detector);
    ck_assert_int_eq(c.normal_count, 2);
    ck_assert_int_eq(c.defective_count, 3);
    ck_assert_ptr_nonnull(strstr(c.source, "3 training images told defective"));
    close_line(&l);
}
END_TEST

START_TEST(official_validation_images_are_used_and_no_test_images_needed)
{
    uint8_t pixels[7][64 * 64];
    imiad_image images[7];
    imiad_memory_sample samples[7];
    for (int i = 0; i < 7; ++i) {
        for (int j = 0; j < 64 * 64; ++j)
            pixels[i][j] = (uint8_t)(j * (3 + i % 3) + 9 * i);
        images[i] = (imiad_image){sizeof(imiad_image), IMIAD_PIXEL_GRAY8, 64, 64, 64, pixels[i]};
        samples[i] =
            (imiad_memory_sample){.struct_size = sizeof samples[i],
                                  .subset = i < 4 ? IMIAD_SUBSET_TRAIN : IMIAD_SUBSET_VALIDATION,
                                  .image = &images[i]};
    }
    line l = open_line("unsupervised", NULL, 0);
    imiad_dataset *memory;
    imiad_split *split;
    ck_ok(imiad_dataset_from_images(&memory, "station", samples, 7, NULL, 0));
    ck_ok(imiad_split_create(&split, memory, "default", "unsupervised", NULL, 0));
    ck_ok(imiad_detector_fit_calibrated(l.detector, split, NULL, NULL, NULL));
    imiad_calibration c = get(l.detector);
    ck_assert_int_eq(c.normal_count, 3);
    ck_assert_str_eq(c.source, "official validation images of station/default: 3");
    ck_fails(imiad_evaluate(NULL, l.detector, split, NULL, NULL, NULL, NULL, NULL), IMIAD_NOT_FOUND,
             "dataset station: category default has no test images");
    imiad_split_free(split);
    imiad_dataset_free(memory);
    close_line(&l);
}
END_TEST

/* Cameras that see nothing give such scores; a threshold from them would let every part pass. */
START_TEST(constant_scores_are_refused)
{
    line l = fitted_line();
    const float same[] = {5, 5, 5}, other[] = {5, 5, 9};
    const int32_t labels[] = {0, 0, 1};
    imiad_calibration_options options = IMIAD_CALIBRATION_OPTIONS_INIT;
    ck_fails(imiad_detector_calibrate(l.detector, same, NULL, NULL, 3, "three", NULL),
             IMIAD_UNDEFINED, "all 3 normal images score 5");
    ck_ok(imiad_detector_calibrate(l.detector, same, NULL, NULL, 1, "one", NULL));
    options.rule = IMIAD_THRESHOLD_F1_MAX;
    ck_ok(imiad_detector_calibrate(l.detector, other, labels, NULL, 3, "a defect", &options));
    close_line(&l);
}
END_TEST

static void count_guesses(void *user, imiad_log_level level, const char *message)
{
    *(int *)user += level == IMIAD_LOG_WARNING && strstr(message, "is a guess") != NULL;
}

START_TEST(a_threshold_from_few_images_is_called_a_guess)
{
    line l = fitted_line();
    float values[20];
    int guesses = 0;
    for (int i = 0; i < 20; ++i)
        values[i] = (float)i;
    imiad_set_log(count_guesses, &guesses);
    ck_ok(imiad_detector_calibrate(l.detector, values, NULL, NULL, 20, "twenty", NULL));
    ck_assert_int_eq(guesses, 0);
    ck_ok(imiad_detector_calibrate(l.detector, values, NULL, NULL, 19, "fewer", NULL));
    ck_assert_int_eq(guesses, 1);
    imiad_set_log(NULL, NULL);
    close_line(&l);
}
END_TEST

START_TEST(tiles_are_kept_with_the_thresholds)
{
    char path[64];
    line l = fitted_line();
    const float values[] = {1, 2, 3};
    imiad_detector *loaded;
    snprintf(path, sizeof path, "/tmp/imiad-tiles-%d.imiad", (int)getpid());
    ck_ok(imiad_detector_calibrate(l.detector, values, NULL, NULL, 3, "tiles", NULL));
    imiad_calibration c = get(l.detector);
    ck_assert_int_eq(c.tile_side, 0);
    c.tile_side = 96;
    c.tile_overlap = 0.125;
    ck_ok(imiad_detector_set_calibration(l.detector, &c));
    ck_ok(imiad_detector_save(l.detector, path));
    ck_ok(imiad_detector_load(&loaded, path, "cpu"));
    unlink(path);
    imiad_calibration found = get(loaded);
    ck_assert_int_eq(found.tile_side, 96);
    ck_assert_double_eq(found.tile_overlap, 0.125);
    c.tile_overlap = 0.75;
    ck_fails(imiad_detector_set_calibration(l.detector, &c), IMIAD_OUT_OF_RANGE, "tiles");
    /* a program that was compiled before there were these members */
    imiad_calibration old = {.struct_size = offsetof(imiad_calibration, tile_side)};
    ck_ok(imiad_detector_calibration(&old, loaded));
    ck_assert_int_eq(old.tile_side, 0);
    ck_ok(imiad_detector_set_calibration(l.detector, &old));
    imiad_detector_free(loaded);
    close_line(&l);
}
END_TEST

START_TEST(what_cannot_calibrate_is_refused)
{
    line l = open_line("unsupervised", NULL, 0);
    const float values[] = {1, NAN};
    imiad_calibration_options options = IMIAD_CALIBRATION_OPTIONS_INIT;
    ck_fails(imiad_detector_calibrate(l.detector, values, NULL, NULL, 1, "one", NULL),
             IMIAD_WRONG_STATE, "fitted");
    ck_ok(imiad_detector_fit(l.detector, l.split, NULL, NULL));
    ck_fails(imiad_detector_calibrate(l.detector, values, NULL, NULL, 2, "two", NULL),
             IMIAD_NOT_FINITE, "image 1");
    ck_fails(imiad_detector_calibrate(l.detector, values, NULL, NULL, 0, "none", NULL),
             IMIAD_UNDEFINED, "no normal image");
    options.quantile = 0.5;
    ck_fails(imiad_detector_calibrate(l.detector, values, NULL, NULL, 1, "one", &options),
             IMIAD_OUT_OF_RANGE, "quantiles");
    ck_fails(imiad_detector_calibrate(l.detector, values, NULL, NULL, 1, NULL, NULL),
             IMIAD_INVALID_ARGUMENT, "NULL");
    imiad_calibration wrong = IMIAD_CALIBRATION_INIT;
    wrong.rule = IMIAD_THRESHOLD_QUANTILE;
    wrong.source = "elsewhere";
    wrong.threshold = 2;
    wrong.low_threshold = 1;
    ck_fails(imiad_detector_set_calibration(l.detector, &wrong), IMIAD_OUT_OF_RANGE,
             "must not rise");
    close_line(&l);
}
END_TEST

SUITE("calibrate", TEST(quantiles_of_normal_scores_are_numpys),
      TEST(f1_is_largest_between_two_scores),
      TEST(thresholds_are_in_the_file_and_go_with_another_fit),
      TEST(a_share_of_the_training_images_is_held_out),
      TEST(told_defects_of_the_supervised_setting_give_f1),
      TEST(official_validation_images_are_used_and_no_test_images_needed),
      TEST(constant_scores_are_refused), TEST(a_threshold_from_few_images_is_called_a_guess),
      TEST(tiles_are_kept_with_the_thresholds), TEST(what_cannot_calibrate_is_refused))
