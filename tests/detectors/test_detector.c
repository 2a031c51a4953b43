/* Detectors on images that the library draws itself: what is not asked of every one of them
 * (test_every_detector.c). */
#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"
#include "bridge/tensor.h"
#include "detectors/detector.h"
#include "detectors/parts/patch_embedding.h"
#include "product_line.h"
#include "seen.h"

/* 8 images train, 4 good and 4 defective ones test. */
static product_line open_line(void)
{
    return product_line_open("64", "8", "4", "4", "unsupervised");
}

static imiad_detector *fitted(const product_line *l, const char *name, const imiad_option *more,
                              size_t count)
{
    imiad_detector *d = product_line_detector(l, name, more, count);
    ck_ok(imiad_detector_fit(d, l->split, NULL, NULL));
    return d;
}

START_TEST(a_file_that_is_no_detector_is_told)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    int file = mkstemp(path);
    ck_assert_int_eq(write(file, "\x89PNG", 4), 4);
    close(file);
    imiad_detector *d = NULL;
    ck_fails(imiad_detector_load(&d, path, NULL), IMIAD_FORMAT,
             "loading a detector: /tmp/imiad-test-");
    unlink(path);
}
END_TEST

/* ---- what PatchCore adds ---- */

static int stop_after(void *user, const imiad_progress *p)
{
    int *calls = user;
    return (*calls)-- == 0;
}

START_TEST(patchcores_options_are_checked)
{
    static const struct {
        imiad_option option;
        imiad_status status;
        const char *text;
    } cases[] = {
        {{"coreset_ration", "0.1"}, IMIAD_UNKNOWN_OPTION, "no option \"coreset_ration\""},
        {{"coreset_ratio", "0"}, IMIAD_OUT_OF_RANGE, "coreset_ratio"},
        {{"coreset_ratio", "1.01"}, IMIAD_OUT_OF_RANGE, "coreset_ratio"},
        {{"neighbours", "0"}, IMIAD_OUT_OF_RANGE, "neighbours"},
        {{"patch_size", "4"}, IMIAD_OUT_OF_RANGE, "patch_size is 4: it must be odd"},
        {{"layers", "layer9"}, IMIAD_UNKNOWN_OPTION, "layer9"},
        {{"layers", ""}, IMIAD_OUT_OF_RANGE, "layers names no layer"},
        {{"image_score", "mean"}, IMIAD_OUT_OF_RANGE, "max|reweighted"},
    };
    product_line l = open_line();
    imiad_detector *d = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        ck_fails(imiad_detector_create(&d, "patchcore", l.backbone, &cases[i].option, 1),
                 cases[i].status, cases[i].text);
    ck_fails(imiad_detector_create(&d, "patchcore", NULL, NULL, 0), IMIAD_INVALID_ARGUMENT,
             "needs a backbone");
    ck_fails(imiad_detector_create(&d, "magic", l.backbone, NULL, 0), IMIAD_UNKNOWN_OPTION,
             "no detector is named \"magic\"; there are:");
    ck_assert_ptr_null(d);
    product_line_close(&l);
}
END_TEST

START_TEST(patchcores_bank_respects_its_budget_and_ratio)
{
    product_line l = open_line();
    const imiad_option none[] = {{"coreset_ratio", "1"}}, tenth[] = {{"coreset_ratio", "0.1"}};
    const imiad_bank *bank;
    imiad_detector *d = fitted(&l, "patchcore", none, 1);
    ck_ok(imiad_detector_bank(&bank, d));
    ck_assert_int_eq(imiad_bank_rows(bank), 8 * 8 * 8); /* 8 images of 8 x 8 patches */
    imiad_detector_free(d);
    d = fitted(&l, "patchcore", tenth, 1);
    ck_ok(imiad_detector_bank(&bank, d));
    ck_assert_int_eq(imiad_bank_rows(bank), 51);
    imiad_detector_free(d);

    imiad_option budget[] = {{"resize", "64"}, {"crop", "64"}, {"memory_budget", "1"}};
    ck_ok(imiad_detector_create(&d, "patchcore", l.backbone, budget, 3));
    ck_fails(imiad_detector_fit(d, l.split, NULL, NULL), IMIAD_OVER_BUDGET, "1000000");
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

/* Equation 7 of the paper, from the bank itself. */
/* Published forgetting of 0.003 fits a bank that keeps the coresets of all tasks. */
START_TEST(patchcores_bank_keeps_every_task)
{
    static seen before, after;
    product_line l = open_line();
    imiad_split *other;
    ck_ok(imiad_split_create(&other, l.dataset, imiad_dataset_category(l.dataset, 1),
                             "unsupervised", NULL, 0));
    imiad_detector *d = fitted(&l, "patchcore", NULL, 0);
    const imiad_bank *bank;
    ck_ok(imiad_detector_bank(&bank, d));
    size_t values = (size_t)(imiad_bank_rows(bank) * imiad_bank_dimension(bank));
    float *first = malloc(values * sizeof *first);
    memcpy(first, imiad_bank_data(bank), values * sizeof *first);
    evaluate(&before, d, l.split);

    int stop = 1; /* cancelled: what was learned stays */
    ck_assert_int_eq(imiad_detector_fit_more(d, other, stop_after, &stop), IMIAD_CANCELLED);
    evaluate(&after, d, l.split);
    ck_assert_mem_eq(&before, &after, sizeof before);

    ck_ok(imiad_detector_fit_more(d, other, NULL, NULL));
    ck_ok(imiad_detector_bank(&bank, d));
    ck_assert_int_eq(imiad_bank_rows(bank) * imiad_bank_dimension(bank), 2 * (int64_t)values);
    ck_assert_mem_eq(imiad_bank_data(bank), first, values * sizeof *first);
    evaluate(&after, d, l.split);
    for (size_t i = 0; i < after.count; ++i) /* more rows are never farther away */
        ck_assert_float_le(after.scores[i], before.scores[i]);
    free(first);
    imiad_detector_free(d);
    imiad_split_free(other);
    product_line_close(&l);
}
END_TEST

enum { GRID = 8, PATCHES = GRID * GRID, DIMENSION = 32 };

/* The patch features of an image, by way of the parts that PatchCore is made of. */
static void embed(float rows[PATCHES * DIMENSION], const product_line *l, const imiad_detector *d,
                  const imiad_image *image)
{
    static const char *const layers[] = {"layer2", "layer3"};
    static float values[3 * 64 * 64];
    imiad_image *input;
    patch_embedding *embedding;
    tensor *features[2];
    ck_ok(imiad_detector_preprocess(&input, d, image));
    preprocess_normalize(values, input, &d->preprocessing);
    ck_ok(patch_embedding_create(&embedding, 2, (int64_t[]){128, 256}, 3, DIMENSION, DIMENSION));
    scope s = scope_begin();
    tensor *images = t_from(values, 4, (int64_t[]){1, 3, 64, 64}, F32, CPU);
    backbone_features(l->backbone, images, layers, 2, features);
    patch_embedding_apply(rows, embedding, features, false);
    ck_ok(scope_end(&s));
    patch_embedding_free(embedding);
    imiad_image_free(input);
}

static double distance(const float *a, const float *b)
{
    double sum = 0;
    for (int c = 0; c < DIMENSION; ++c)
        sum += ((double)a[c] - (double)b[c]) * ((double)a[c] - (double)b[c]);
    return sqrt(sum);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Equation 7 in double precision: s = (1 - exp |p - m*| / sum over N_b(m*) of exp |p - m|) |p -
 * m*|, where N_b(m*) are the b rows of the bank nearest to m*, itself among them. */
static double equation_7(const float *rows, const float *bank, int64_t count, int around)
{
    double most = -1;
    int64_t patch = 0, nearest = 0;
    for (int64_t i = 0; i < PATCHES; ++i) {
        double least = INFINITY;
        int64_t at = 0;
        for (int64_t m = 0; m < count; ++m) {
            double d = distance(rows + i * DIMENSION, bank + m * DIMENSION);
            at = d < least ? m : at;
            least = d < least ? d : least;
        }
        patch = least > most ? i : patch;
        nearest = least > most ? at : nearest;
        most = least > most ? least : most;
    }
    double *near = malloc((size_t)count * sizeof *near), limit, sum = 0;
    for (int64_t m = 0; m < count; ++m)
        near[m] = distance(bank + nearest * DIMENSION, bank + m * DIMENSION);
    qsort(near, (size_t)count, sizeof *near, by_value);
    limit = near[around - 1];
    free(near);
    for (int64_t m = 0; m < count; ++m)
        if (distance(bank + nearest * DIMENSION, bank + m * DIMENSION) <= limit)
            sum += exp(distance(rows + patch * DIMENSION, bank + m * DIMENSION) - most);
    return (1 - 1 / sum) * most;
}

/* A saved detector's tensor, copied; its first size in *rows. */
static void *saved_tensor(const imiad_detector *d, const char *name, size_t *rows)
{
    char path[] = "/tmp/imiad-forget-XXXXXX";
    weights *file = NULL;
    int handle = mkstemp(path);
    close(handle);
    ck_ok(imiad_detector_save(d, path));
    ck_ok(weights_open(&file, path));
    const weight *found = weights_find(file, name);
    void *copy = NULL;
    if (found) {
        copy = malloc(found->bytes);
        memcpy(copy, found->data, found->bytes);
        *rows = (size_t)found->shape[0];
    }
    weights_free(file);
    unlink(path);
    return copy;
}

/* What stays of the bank, and of SoftPatch's weights beside it, is what other images left. */
START_TEST(a_forgotten_image_leaves_the_bank)
{
    enum { IMAGE = 3 };
    static const char *const names[] = {"patchcore", "softpatch"};
    static const char *const kinds[] = {"float32", "bfloat16", "float16"};
    const imiad_option options[] = {{"coreset_ratio", "0.3"}, {"storage", kinds[_i / 2]}};
    product_line l = open_line();
    imiad_detector *d = fitted(&l, names[_i % 2], options, 2), *clone = NULL;
    const imiad_bank *bank;
    int64_t removed = -1, stay = 0;
    size_t rows = 0, left = 0;
    ck_ok(imiad_detector_bank(&bank, d));
    ck_assert_int_eq(imiad_bank_storage(bank), 1 + _i / 2);
    int64_t *sources = saved_tensor(d, "bank.sources", &rows);
    float *before = saved_tensor(d, "weights", &rows);
    ck_assert_uint_eq(rows, (size_t)imiad_bank_rows(bank));
    for (size_t i = 0; i < rows; ++i) {
        ck_assert(sources[i] >= 0 && sources[i] < 8);
        stay += sources[i] != IMAGE;
    }
    ck_ok(imiad_detector_clone(&clone, d));
    ck_fails(imiad_detector_forget(d, IMAGE, NULL), IMIAD_WRONG_STATE, "clones");
    imiad_detector_free(clone);
    ck_ok(imiad_detector_forget(d, IMAGE, &removed));
    ck_assert_int_eq(removed, (int64_t)rows - stay);
    ck_assert_int_gt(removed, 0);
    ck_assert_int_eq(imiad_bank_rows(bank), stay);
    float *after = saved_tensor(d, "weights", &left);
    for (size_t i = 0, to = 0; before && i < rows; ++i)
        if (sources[i] != IMAGE)
            ck_assert_float_eq(after[to++], before[i]);
    for (size_t i = 0, to = 0; i < rows; ++i)
        if (sources[i] != IMAGE)
            ck_assert_int_eq(imiad_bank_sources(bank)[to++], sources[i]);
    ck_fails(imiad_detector_forget(d, 8, NULL), IMIAD_OUT_OF_RANGE, "image 8: it has learned 8");

    ck_ok(imiad_detector_fit_more(d, l.split, NULL, NULL)); /* the same images, with new numbers */
    ck_ok(imiad_detector_bank(&bank, d));
    int64_t last = 0;
    for (int64_t i = 0; i < imiad_bank_rows(bank); ++i)
        last = imiad_bank_sources(bank)[i] > last ? imiad_bank_sources(bank)[i] : last;
    ck_assert(last > 8 && last < 16);
    ck_ok(imiad_detector_forget(d, last, &removed));
    ck_assert_int_gt(removed, 0);
    free(after);
    free(before);
    free(sources);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(only_banks_of_patches_forget)
{
    product_line l = open_line();
    imiad_detector *d = product_line_detector(&l, "patchcore", NULL, 0);
    ck_fails(imiad_detector_forget(d, 0, NULL), IMIAD_WRONG_STATE, "before fit or load");
    ck_fails(imiad_detector_forget(NULL, 0, NULL), IMIAD_INVALID_ARGUMENT, "detector is NULL");
    imiad_detector_free(d);
    d = fitted(&l, "padim", NULL, 0);
    ck_fails(imiad_detector_forget(d, 0, NULL), IMIAD_UNSUPPORTED, "padim cannot forget");
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(the_reweighted_score_follows_the_paper)
{
    enum { AROUND = 5 };
    static float rows[PATCHES * DIMENSION];
    product_line l = open_line();
    const imiad_option options[] = {{"image_score", "reweighted"}, {"reweight_neighbours", "5"}};
    imiad_detector *weighted = fitted(&l, "patchcore", options, 2);
    imiad_detector *plain = fitted(&l, "patchcore", NULL, 0);
    const imiad_bank *bank;
    ck_ok(imiad_detector_bank(&bank, weighted));
    ck_assert_int_eq(imiad_bank_dimension(bank), DIMENSION);
    for (size_t i = 0; i < imiad_split_test_count(l.split); ++i) {
        imiad_image *image;
        imiad_result w = IMIAD_RESULT_INIT, p = IMIAD_RESULT_INIT;
        ck_ok(imiad_dataset_read_image(&image, l.dataset, imiad_split_test(l.split, i)));
        ck_ok(imiad_detector_score(&w, weighted, image));
        ck_ok(imiad_detector_score(&p, plain, image));
        embed(rows, &l, weighted, image);
        double expected = equation_7(rows, imiad_bank_data(bank), imiad_bank_rows(bank), AROUND);
        ck_assert_double_eq_tol((double)w.score, expected, 1e-4 * expected);
        ck_assert_float_lt(w.score, sqrtf(p.score)); /* that one is a square, unweighted */
        ck_assert_mem_eq(w.map, p.map, sizeof(float) * 64 * 64);
        imiad_image_free(image);
    }
    imiad_detector_free(weighted);
    imiad_detector_free(plain);
    product_line_close(&l);
}
END_TEST

START_TEST(images_of_different_shapes_need_a_common_size)
{
    product_line l = open_line();
    imiad_detector *d = NULL;
    static uint8_t pixels[200 * 200];
    imiad_image wide = {sizeof wide, IMIAD_PIXEL_GRAY8, 200, 100, 200, pixels};
    imiad_image tall = {sizeof tall, IMIAD_PIXEL_GRAY8, 100, 200, 100, pixels};
    imiad_image dot = {sizeof dot, IMIAD_PIXEL_GRAY8, 1, 1, 1, pixels};
    const imiad_image *const images[2] = {&wide, &tall};
    imiad_option uncropped[] = {{"resize", "64"}, {"crop", "0"}};
    ck_ok(imiad_detector_create(&d, "patchcore", l.backbone, uncropped, 2));
    ck_fails(imiad_detector_fit_images(d, images, 2, NULL, NULL), IMIAD_MISMATCH, "set crop");
    imiad_detector_free(d);
    d = product_line_detector(&l, "patchcore", NULL, 0);
    ck_ok(imiad_detector_fit_images(d, images, 2, NULL, NULL));
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_score(&result, d, &dot)); /* a 1-pixel image becomes a flat one */
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

SUITE("detector", TEST(a_file_that_is_no_detector_is_told), TEST(patchcores_options_are_checked),
      TEST(patchcores_bank_respects_its_budget_and_ratio), TEST(patchcores_bank_keeps_every_task),
      LOOP_TEST(a_forgotten_image_leaves_the_bank, 6), TEST(only_banks_of_patches_forget),
      TEST(the_reweighted_score_follows_the_paper),
      TEST(images_of_different_shapes_need_a_common_size))
