/* Banks whose patches are compared with what was learned near their place. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "detectors/detector.h"
#include "product_line.h"
#include "seen.h"
#include "weights/weights.h"

enum { SIDE = 64, PLACES = 8 * 8 /* of layer2 */, DIMENSION = 32, MOST = 16 };

static const char *const banked[] = {"patchcore", "softpatch", "graphcore"};
enum { BANKED = sizeof banked / sizeof *banked };

static void same(const seen *a, const seen *b)
{
    ck_assert_mem_eq(a, b, sizeof *a);
}

static imiad_detector *make(const product_line *l, const char *name, const char *window,
                            const char *ratio)
{
    const imiad_option options[] = {
        {"position_window", window}, {"coreset_ratio", ratio}, {"smoothing", "0"}};
    return product_line_detector(l, name, options, 3);
}

static imiad_detector *fitted(const product_line *l, const char *name, const char *window,
                              const char *ratio)
{
    imiad_detector *d = make(l, name, window, ratio);
    ck_ok(imiad_detector_fit(d, l->split, NULL, NULL));
    return d;
}

/* A woven texture: what is like a patch may lie anywhere. */
static product_line open_line(void)
{
    product_line l = product_line_open("64", "6", "3", "3", "unsupervised");
    imiad_split_free(l.split);
    ck_ok(imiad_split_create(&l.split, l.dataset, "fabric", "unsupervised", NULL, 0));
    return l;
}

START_TEST(a_window_over_the_grid_changes_nothing)
{
    product_line l = open_line();
    imiad_detector *without = fitted(&l, banked[_i], "-1", "0.2"),
                   *whole = fitted(&l, banked[_i], "7", "0.2"),
                   *near = fitted(&l, banked[_i], "0", "0.2");
    seen *a = seen_of(without, l.split), *b = seen_of(whole, l.split), *c = seen_of(near, l.split);
    same(a, b);
    for (size_t i = 0; i < a->count; ++i)
        ck_assert_float_ge(c->scores[i], a->scores[i] * 0.999f); /* fewer rows are never nearer */
    ck_assert_mem_ne(a, c, sizeof *a);
    free(a), free(b), free(c);
    imiad_detector_free(without);
    imiad_detector_free(whole);
    imiad_detector_free(near);
    product_line_close(&l);
}
END_TEST

/* Its patches, PLACES x DIMENSION: a whole bank of it alone. */
static float *patches_of(const product_line *l, size_t number)
{
    imiad_detector *d = make(l, "patchcore", "-1", "1");
    const imiad_bank *bank;
    imiad_image *image;
    float *rows = malloc(sizeof(float) * PLACES * DIMENSION);
    ck_ok(imiad_dataset_read_image(&image, l->dataset, number));
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)&image, 1, NULL, NULL));
    ck_ok(imiad_detector_bank(&bank, d));
    ck_assert_int_eq(imiad_bank_rows(bank), PLACES);
    ck_ok(imiad_bank_read(rows, bank, 0, PLACES));
    imiad_image_free(image);
    imiad_detector_free(d);
    return rows;
}

static double square_between(const float *a, const float *b)
{
    double sum = 0;
    for (int c = 0; c < DIMENSION; ++c)
        sum += ((double)a[c] - (double)b[c]) * ((double)a[c] - (double)b[c]);
    return sum;
}

/* The largest over the places of the least distance to a row within the window. */
START_TEST(an_image_scores_what_loops_over_the_rows_of_its_windows_find)
{
    product_line l = open_line();
    char window[8];
    snprintf(window, sizeof window, "%d", _i);
    imiad_detector *d = fitted(&l, "patchcore", window, "1");
    const imiad_bank *bank;
    ck_ok(imiad_detector_bank(&bank, d));
    int64_t rows = imiad_bank_rows(bank);
    float *learned = malloc((size_t)rows * DIMENSION * sizeof *learned);
    ck_ok(imiad_bank_read(learned, bank, 0, rows));
    seen *s = seen_of(d, l.split);
    for (size_t i = 0; i < s->count; ++i) {
        float *patches = patches_of(&l, imiad_split_test(l.split, i));
        double most = 0;
        for (int p = 0; p < PLACES; ++p) {
            double least = INFINITY;
            for (int64_t r = 0; r < rows; ++r) { /* images, and the places of each in order */
                int64_t q = r % PLACES;
                if (llabs(q / 8 - p / 8) <= _i && llabs(q % 8 - p % 8) <= _i)
                    least = fmin(least,
                                 square_between(patches + p * DIMENSION, learned + r * DIMENSION));
            }
            most = fmax(most, least);
        }
        ck_assert_double_lt(fabs((double)s->scores[i] / most - 1), 1e-4);
        free(patches);
    }
    free(s);
    free(learned);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

static char *temporary(char out[32])
{
    strcpy(out, "/tmp/imiad-test-XXXXXX");
    close(mkstemp(out));
    return out;
}

START_TEST(a_file_keeps_the_places_and_one_without_a_window_is_as_before)
{
    char path[32];
    product_line l = open_line();
    for (int with = 0; with < 2; ++with) {
        imiad_detector *d = fitted(&l, banked[_i], with ? "1" : "-1", "0.2"), *restored = NULL;
        weights *file;
        ck_ok(imiad_detector_save(d, temporary(path)));
        ck_ok(weights_open(&file, path));
        ck_assert_int_eq(weights_find(file, "bank.places") != NULL, with);
        ck_assert_int_eq(weights_find(file, "bank.grid") != NULL, with);
        const char *options = weights_metadata(file, "options");
        ck_assert_int_eq(strstr(options, "position_window") != NULL, with);
        ck_assert_ptr_null(strstr(options, "coreset_scope"));
        weights_free(file);
        ck_ok(imiad_detector_load(&restored, path, NULL));
        ck_assert_str_eq(imiad_detector_option(restored, "position_window"), with ? "1" : "-1");
        seen *a = seen_of(d, l.split), *b = seen_of(restored, l.split);
        same(a, b);
        free(a), free(b);
        imiad_detector_free(d);
        imiad_detector_free(restored);
        unlink(path);
    }
    product_line_close(&l);
}
END_TEST

/* The rows of the first task stay what they were, and those of the second stand behind them. */
START_TEST(another_task_joins_and_nothing_is_forgotten)
{
    product_line l = open_line();
    imiad_split *other;
    const imiad_bank *bank;
    ck_ok(imiad_split_create(&other, l.dataset, "hex_nut", "unsupervised", NULL, 0));
    imiad_detector *d = fitted(&l, banked[_i], "1", "0.2");
    ck_ok(imiad_detector_bank(&bank, d));
    int64_t rows = imiad_bank_rows(bank), columns = imiad_bank_dimension(bank);
    size_t bytes = (size_t)(rows * columns) * sizeof(float);
    float *before = malloc(bytes), *after = malloc(bytes);
    ck_ok(imiad_bank_read(before, bank, 0, rows));
    seen *a = seen_of(d, l.split);
    ck_ok(imiad_detector_fit_more(d, other, NULL, NULL));
    ck_ok(imiad_detector_bank(&bank, d));
    ck_assert_int_gt(imiad_bank_rows(bank), rows);
    ck_ok(imiad_bank_read(after, bank, 0, rows));
    ck_assert_mem_eq(before, after, bytes);
    seen *b = seen_of(d, l.split);
    for (size_t i = 0; i < a->count && strcmp(banked[_i], "softpatch") != 0; ++i)
        ck_assert_float_le(b->scores[i], a->scores[i]); /* SoftPatch weighs by the nearest row */
    free(a), free(b), free(before), free(after);
    imiad_detector_free(d);
    imiad_split_free(other);
    product_line_close(&l);
}
END_TEST

START_TEST(forgetting_an_image_leaves_what_the_others_had_taught)
{
    product_line l = open_line();
    imiad_image *images[4];
    for (size_t i = 0; i < 4; ++i)
        ck_ok(imiad_dataset_read_image(&images[i], l.dataset, imiad_split_train(l.split, i)));
    imiad_detector *all = make(&l, "patchcore", "1", "1"), *less = make(&l, "patchcore", "1", "1");
    int64_t removed;
    ck_ok(imiad_detector_fit_images(all, (const imiad_image *const *)images, 4, NULL, NULL));
    ck_ok(imiad_detector_forget(all, 1, &removed));
    ck_assert_int_eq(removed, PLACES);
    imiad_image_free(images[1]);
    images[1] = images[2], images[2] = images[3];
    ck_ok(imiad_detector_fit_images(less, (const imiad_image *const *)images, 3, NULL, NULL));
    seen *a = seen_of(all, l.split), *b = seen_of(less, l.split);
    same(a, b);
    free(a), free(b);
    for (size_t i = 0; i < 3; ++i)
        imiad_image_free(images[i]);
    imiad_detector_free(all);
    imiad_detector_free(less);
    product_line_close(&l);
}
END_TEST

START_TEST(images_of_another_grid_are_refused)
{
    product_line l = open_line();
    const imiad_option free_sizes[] = {
        {"position_window", "1"}, {"crop", "0"}, {"resize_mode", "shorter"}};
    imiad_detector *d = product_line_detector(&l, "patchcore", free_sizes, 3);
    imiad_image *wide;
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
    ck_ok(imiad_image_create(&wide, IMIAD_PIXEL_RGB8, 2 * SIDE, SIDE));
    ck_fails(imiad_detector_score(&result, d, wide), IMIAD_MISMATCH, "16 x 8 positions");
    imiad_image_free(wide);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

static int warnings;

static void listen(void *user, imiad_log_level level, const char *message)
{
    (void)user;
    warnings += level == IMIAD_LOG_WARNING && strstr(message, "turns or moves") != NULL;
}

START_TEST(turned_training_images_and_a_window_are_warned_of)
{
    product_line l = open_line();
    imiad_set_log(listen, NULL);
    for (int turned = 0; turned < 2; ++turned) {
        const imiad_option few[] = {{"shots", "1"},
                                    {"augmentation", turned ? "rotation" : "color_jitter"}};
        imiad_split *split;
        imiad_detector *d = make(&l, "patchcore", "1", "1");
        ck_ok(imiad_split_create(&split, l.dataset, "fabric", "fewshot", few, 2));
        warnings = 0;
        ck_ok(imiad_detector_fit(d, split, NULL, NULL));
        ck_assert_int_eq(warnings, turned);
        imiad_detector_free(d);
        imiad_split_free(split);
    }
    imiad_set_log(NULL, NULL);
    product_line_close(&l);
}
END_TEST

/* The weight of equation 7 looks in the window too; over the grid it is the old one. */
START_TEST(reweighted_scores_look_near_the_patch)
{
    product_line l = open_line();
    seen *found[3];
    static const char *const windows[] = {"-1", "7", "0"};
    for (int i = 0; i < 3; ++i) {
        const imiad_option options[] = {{"position_window", windows[i]},
                                        {"image_score", "reweighted"},
                                        {"coreset_ratio", "0.5"}};
        imiad_detector *d = product_line_detector(&l, "patchcore", options, 3);
        ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
        found[i] = seen_of(d, l.split);
        imiad_detector_free(d);
    }
    same(found[0], found[1]);
    ck_assert_mem_ne(found[0], found[2], sizeof *found[0]);
    for (int i = 0; i < 3; ++i)
        free(found[i]);
    product_line_close(&l);
}
END_TEST

START_TEST(each_place_may_have_a_coreset_of_its_own)
{
    product_line l = open_line();
    const imiad_option options[] = {{"position_window", "1"},
                                    {"coreset_scope", "position"},
                                    {"coreset_ratio", "0.5"},
                                    {"min_rows", "1"}};
    imiad_detector *d = product_line_detector(&l, banked[_i], options, 4);
    const imiad_bank *bank;
    ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
    ck_ok(imiad_detector_bank(&bank, d));
    int64_t rows = imiad_bank_rows(bank);
    if (strcmp(banked[_i], "patchcore") == 0)
        ck_assert_int_eq(rows, 3 * PLACES);
    else /* what is left out is not kept */
        ck_assert(rows > 2 * PLACES && rows <= 3 * PLACES);
    seen *s = seen_of(d, l.split);
    for (size_t i = 0; i < s->count; ++i)
        ck_assert(isfinite(s->scores[i]));
    free(s);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

SUITE("position-window", LOOP_TEST(a_window_over_the_grid_changes_nothing, BANKED),
      LOOP_TEST(an_image_scores_what_loops_over_the_rows_of_its_windows_find, 3),
      LOOP_TEST(a_file_keeps_the_places_and_one_without_a_window_is_as_before, BANKED),
      LOOP_TEST(another_task_joins_and_nothing_is_forgotten, BANKED),
      TEST(forgetting_an_image_leaves_what_the_others_had_taught),
      TEST(images_of_another_grid_are_refused),
      TEST(turned_training_images_and_a_window_are_warned_of),
      TEST(reweighted_scores_look_near_the_patch),
      LOOP_TEST(each_place_may_have_a_coreset_of_its_own, 2))
