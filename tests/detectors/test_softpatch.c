/* SoftPatch against its definition, and against PatchCore where it must be PatchCore. */
#include <stdbool.h>
#include <string.h>

#include "product_line.h"

/* ---- the detector on images that the library draws ---- */

static product_line open_line(const char *size, const char *train, const char *setting)
{
    return product_line_open(size, train, "2", "8", setting);
}

static imiad_detector *make(const product_line *l, const char *name, const imiad_option *more,
                            size_t count)
{
    imiad_option options[8] = {{"resize", l->size}, {"crop", l->size}};
    imiad_detector *d = NULL;
    for (size_t i = 0; i < count; ++i)
        options[2 + i] = more[i];
    ck_ok(imiad_detector_create(&d, name, l->backbone, options, 2 + count));
    return d;
}

static imiad_detector *fitted(const product_line *l, const char *name, const imiad_option *more,
                              size_t count)
{
    imiad_detector *d = make(l, name, more, count);
    ck_ok(imiad_detector_fit(d, l->split, NULL, NULL));
    return d;
}

static const imiad_bank *bank_of(const imiad_detector *d)
{
    const imiad_bank *bank;
    ck_ok(imiad_detector_bank(&bank, d));
    return bank;
}

static void ck_same_detectors(imiad_detector *a, imiad_detector *b, const product_line *l)
{
    const imiad_bank *x = bank_of(a), *y = bank_of(b);
    size_t values = (size_t)(imiad_bank_rows(x) * imiad_bank_dimension(x));
    ck_assert_int_eq(imiad_bank_rows(x), imiad_bank_rows(y));
    ck_assert_mem_eq(imiad_bank_data(x), imiad_bank_data(y), values * sizeof(float));
    for (size_t i = 0; i < imiad_split_test_count(l->split); ++i) {
        imiad_image *image;
        imiad_result u = IMIAD_RESULT_INIT, v = IMIAD_RESULT_INIT;
        ck_ok(imiad_dataset_read_image(&image, l->dataset, imiad_split_test(l->split, i)));
        ck_ok(imiad_detector_score(&u, a, image));
        ck_ok(imiad_detector_score(&v, b, image));
        ck_assert_float_eq(u.score, v.score);
        ck_assert_mem_eq(u.map, v.map, 64 * 64 * sizeof(float));
        imiad_image_free(image);
    }
}

START_TEST(without_threshold_and_weights_it_is_patchcore)
{
    const imiad_option bare[] = {{"threshold", "0"}, {"soft_weights", "false"}};
    product_line l = open_line("64", "6", "unsupervised");
    imiad_detector *soft = fitted(&l, "softpatch", bare, 2);
    imiad_detector *core = fitted(&l, "patchcore", NULL, 0);
    ck_same_detectors(soft, core, &l);
    imiad_detector_free(soft);
    imiad_detector_free(core);
    product_line_close(&l);
}
END_TEST

START_TEST(with_one_or_two_images_it_is_patchcore)
{
    product_line l = open_line("64", _i == 0 ? "1" : "2", "unsupervised");
    imiad_detector *soft = fitted(&l, "softpatch", NULL, 0);
    imiad_detector *core = fitted(&l, "patchcore", NULL, 0);
    ck_same_detectors(soft, core, &l);
    imiad_detector_free(soft);
    imiad_detector_free(core);
    product_line_close(&l);
}
END_TEST

/* Of a whole bank, 15 % are left out; the others stay in order. */
START_TEST(the_threshold_sets_how_many_rows_stay)
{
    static const struct {
        const char *threshold;
        int64_t rows;
    } cases[] = {{"0", 384}, {"0.15", 326}, {"0.5", 192}}; /* 1 + floor((1 - t) 383) */
    product_line l = open_line("64", "6", "unsupervised");
    for (int m = 0; m < 3; ++m) {
        const imiad_option options[] = {{"coreset_ratio", "1"},
                                        {"threshold", cases[m].threshold},
                                        {"discriminator", m == 0   ? "lof"
                                                          : m == 1 ? "nearest"
                                                                   : "gaussian"}};
        imiad_detector *d = fitted(&l, "softpatch", options, 3);
        ck_assert_int_eq(imiad_bank_rows(bank_of(d)), cases[m].rows);
        imiad_detector_free(d);
    }
    product_line_close(&l);
}
END_TEST

/* A score is its distance times a weight: the map without weights is PatchCore's on the same bank,
 * and weighted scores scatter around it. */
START_TEST(weights_multiply_the_distances)
{
    product_line l = open_line("64", "6", "unsupervised");
    const imiad_option off[] = {{"soft_weights", "false"}};
    imiad_detector *hard = fitted(&l, "softpatch", off, 1),
                   *soft = fitted(&l, "softpatch", NULL, 0);
    const imiad_bank *bank = bank_of(soft);
    ck_assert_mem_eq(imiad_bank_data(bank), imiad_bank_data(bank_of(hard)),
                     (size_t)(imiad_bank_rows(bank) * imiad_bank_dimension(bank)) * sizeof(float));
    imiad_image *image;
    imiad_result a = IMIAD_RESULT_INIT, b = IMIAD_RESULT_INIT;
    ck_ok(imiad_dataset_read_image(&image, l.dataset, imiad_split_test(l.split, 0)));
    ck_ok(imiad_detector_score(&a, hard, image));
    ck_ok(imiad_detector_score(&b, soft, image));
    ck_assert_float_ne(a.score, b.score);
    ck_assert(b.score > 0.5f * a.score && b.score < 2 * a.score); /* factors are around 1 */
    imiad_image_free(image);
    imiad_detector_free(hard);
    imiad_detector_free(soft);
    product_line_close(&l);
}
END_TEST

/* How many rows of the detector's bank lie on the defects of the split's training images, by the
 * ground truth within each patch of 8 x 8. The whole bank of PatchCore numbers the patches.
 */
static bool defective(const imiad_image *mask, int64_t position)
{
    for (int64_t y = position / 16 * 8; y < position / 16 * 8 + 8; ++y)
        for (int64_t x = position % 16 * 8; x < position % 16 * 8 + 8; ++x)
            if (mask->pixels[y * mask->stride + x] != 0)
                return true;
    return false;
}

static int64_t defective_rows(const product_line *l, const imiad_detector *d)
{
    const imiad_option all[] = {{"coreset_ratio", "1"}};
    imiad_detector *whole = fitted(l, "patchcore", all, 1);
    const imiad_bank *patches = bank_of(whole), *bank = bank_of(d);
    int64_t count = imiad_bank_rows(bank), found = 0;
    float *squares = malloc((size_t)count * sizeof *squares);
    int64_t *rows = malloc((size_t)count * sizeof *rows);
    ck_ok(imiad_bank_search(squares, rows, patches, imiad_bank_data(bank), count, 1));
    for (int64_t i = 0; i < count; ++i) {
        imiad_image *mask;
        ck_assert_float_eq(squares[i], 0);
        ck_ok(imiad_dataset_read_mask(&mask, l->dataset,
                                      imiad_split_train(l->split, (size_t)(rows[i] / 256))));
        found += defective(mask, rows[i] % 256);
        imiad_image_free(mask);
    }
    free(rows);
    free(squares);
    imiad_detector_free(whole);
    return found;
}

START_TEST(defects_among_the_training_images_stay_out_of_the_bank)
{
    product_line l = open_line("128", "40", "noisy");
    imiad_detector *soft = fitted(&l, "softpatch", NULL, 0);
    imiad_detector *core = fitted(&l, "patchcore", NULL, 0);
    int64_t kept = defective_rows(&l, soft), without = defective_rows(&l, core);
    printf("softpatch: %lld patches on defects in the bank, PatchCore's has %lld\n",
           (long long)kept, (long long)without);
    ck_assert_int_gt(without, 0);
    ck_assert_int_le(4 * kept, without);
    imiad_detector_free(soft);
    imiad_detector_free(core);
    product_line_close(&l);
}
END_TEST

static int stop_at(void *user, const imiad_progress *p)
{
    return strcmp(p->stage, user) == 0;
}

START_TEST(another_task_joins_the_bank_and_its_weights)
{
    static const char *const stages[] = {"features", "outlier factors", "coreset"};
    product_line l = open_line("64", "6", "unsupervised");
    imiad_split *other;
    ck_ok(imiad_split_create(&other, l.dataset, imiad_dataset_category(l.dataset, 1),
                             "unsupervised", NULL, 0));
    imiad_detector *d = fitted(&l, "softpatch", NULL, 0), *first = fitted(&l, "softpatch", NULL, 0);
    int64_t rows = imiad_bank_rows(bank_of(d));
    for (size_t i = 0; i < 3; ++i) { /* cancelled anywhere: what was learned stays */
        ck_assert_int_eq(imiad_detector_fit_more(d, other, stop_at, (void *)stages[i]),
                         IMIAD_CANCELLED);
        ck_same_detectors(d, first, &l);
    }
    ck_ok(imiad_detector_fit_more(d, other, NULL, NULL));
    ck_assert_int_eq(imiad_bank_rows(bank_of(d)), 2 * rows);
    ck_assert_mem_eq(imiad_bank_data(bank_of(d)), imiad_bank_data(bank_of(first)),
                     (size_t)(rows * imiad_bank_dimension(bank_of(d))) * sizeof(float));
    imiad_detector_free(first);
    imiad_detector_free(d);
    imiad_split_free(other);
    product_line_close(&l);
}
END_TEST

START_TEST(softpatchs_options_are_checked)
{
    static const struct {
        imiad_option option;
        const char *text;
    } cases[] = {
        {{"discriminator", "magic"}, "lof|lof_gpu|nearest|gaussian"},
        {{"lof_k", "0"}, "lof_k"},
        {{"threshold", "1"}, "threshold"},
        {{"threshold", "-0.1"}, "threshold"},
        {{"first_pick", "best"}, "kept|any"},
        {{"patch_size", "4"}, "detector softpatch: option patch_size is 4: it must be odd"},
    };
    product_line l = open_line("64", "1", "unsupervised");
    imiad_detector *d = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        ck_fails(imiad_detector_create(&d, "softpatch", l.backbone, &cases[i].option, 1),
                 IMIAD_OUT_OF_RANGE, cases[i].text);
    ck_assert_ptr_null(d);
    const imiad_option budget[] = {{"memory_budget", "1"}};
    d = make(&l, "softpatch", budget, 1); /* 256 KB of patches, 33 KB projected: enough */
    ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(looking_for_outliers_needs_room_and_a_common_grid)
{
    static uint8_t pixels[200 * 200];
    imiad_image wide = {sizeof wide, IMIAD_PIXEL_GRAY8, 200, 100, 200, pixels};
    imiad_image tall = {sizeof tall, IMIAD_PIXEL_GRAY8, 100, 200, 100, pixels};
    const imiad_image *const images[] = {&wide, &tall, &tall, &tall};
    const imiad_option shapes[] = {{"crop", "0"}, {"batch", "1"}};
    const imiad_option budget[] = {{"memory_budget", "1"}, {"projection_dim", "512"}};
    product_line l = open_line("64", "3", "unsupervised");
    imiad_detector *d = make(&l, "softpatch", shapes, 2);
    ck_fails(imiad_detector_fit_images(d, images, 4, NULL, NULL), IMIAD_MISMATCH,
             "detector softpatch: an image of 8 x 16 positions beside others of 16 x 8: set crop");
    imiad_detector_free(d);
    d = make(&l, "softpatch", budget, 2); /* 786 KB of patches, 393 KB projected */
    ck_fails(imiad_detector_fit(d, l.split, NULL, NULL), IMIAD_OVER_BUDGET, "looking for outliers");
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

SUITE("softpatch", TEST(without_threshold_and_weights_it_is_patchcore),
      LOOP_TEST(with_one_or_two_images_it_is_patchcore, 2),
      TEST(the_threshold_sets_how_many_rows_stay), TEST(weights_multiply_the_distances),
      TEST(defects_among_the_training_images_stay_out_of_the_bank),
      TEST(another_task_joins_the_bank_and_its_weights), TEST(softpatchs_options_are_checked),
      TEST(looking_for_outliers_needs_room_and_a_common_grid))
