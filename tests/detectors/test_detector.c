/* What every registered detector must do, on images that the library draws itself. */
#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"
#include "bridge/tensor.h"
#include "detectors/detector.h"
#include "detectors/parts/patch_embedding.h"
#include "product_line.h"

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

typedef struct seen {
    float scores[64];
    float maps[64][64 * 64];
    size_t count;
} seen;

static imiad_status keep(void *user, const imiad_scored *scored)
{
    seen *s = user;
    ck_assert_int_eq(scored->width, 64);
    ck_assert_int_eq(scored->height, 64);
    s->scores[s->count] = scored->score;
    if (scored->map)
        memcpy(s->maps[s->count], scored->map, sizeof s->maps[0]);
    ++s->count;
    return IMIAD_OK;
}

static void evaluate(seen *s, const product_line *l, imiad_detector *d)
{
    s->count = 0;
    ck_ok(imiad_evaluate(NULL, d, l->split, NULL, keep, s, NULL, NULL));
}

START_TEST(fitting_twice_gives_the_same)
{
    const char *name = imiad_detector_type_name((size_t)_i);
    static seen first, second;
    product_line l = open_line();
    imiad_detector *d = fitted(&l, name, NULL, 0);
    evaluate(&first, &l, d);
    ck_assert_uint_eq(first.count, imiad_split_test_count(l.split));
    ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
    evaluate(&second, &l, d);
    ck_assert_mem_eq(&first, &second, sizeof first);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

/* A batch passes through other kernels of libtorch than one image: equal up to rounding. */
START_TEST(a_batch_scores_as_each_image_alone)
{
    const char *name = imiad_detector_type_name((size_t)_i);
    static seen together;
    product_line l = open_line();
    imiad_detector *d = fitted(&l, name, NULL, 0);
    evaluate(&together, &l, d);
    for (size_t i = 0; i < together.count; ++i) {
        imiad_image *image;
        imiad_result alone = IMIAD_RESULT_INIT;
        ck_ok(imiad_dataset_read_image(&image, l.dataset, imiad_split_test(l.split, i)));
        ck_ok(imiad_detector_score(&alone, d, image));
        imiad_image_free(image);
        double score = (double)together.scores[i];
        ck_assert_double_lt(fabs((double)alone.score - score), 1e-4 * fabs(score) + 1e-6);
        for (int j = 0; alone.map && j < 64 * 64; ++j)
            ck_assert_double_lt(fabs((double)alone.map[j] - (double)together.maps[i][j]),
                                1e-4 * fabs(score) + 1e-6);
    }
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(a_saved_detector_scores_the_same_bytes)
{
    const char *name = imiad_detector_type_name((size_t)_i);
    static seen before, after;
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    product_line l = open_line();
    imiad_detector *d = fitted(&l, name, NULL, 0), *restored = NULL;
    evaluate(&before, &l, d);
    ck_ok(imiad_detector_save(d, path));
    ck_ok(imiad_detector_load(&restored, path, NULL));
    evaluate(&after, &l, restored);
    ck_assert_mem_eq(&before, &after, sizeof before);
    ck_assert_str_eq(imiad_detector_option(restored, "resize"), "64");
    ck_assert_str_eq(imiad_detector_name(restored), name);
    imiad_detector_free(d);
    imiad_detector_free(restored);
    product_line_close(&l);
    unlink(path);
}
END_TEST

START_TEST(damaged_files_are_refused)
{
    const char *name = imiad_detector_type_name((size_t)_i);
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    product_line l = open_line();
    imiad_detector *d = fitted(&l, name, NULL, 0), *restored = NULL;
    ck_ok(imiad_detector_save(d, path));
    imiad_detector_free(d);
    product_line_close(&l);
    file_view file;
    ck_ok(file_map(&file, path));
    uint8_t *bytes = malloc(file.size);
    size_t size = file.size;
    memcpy(bytes, file.bytes, size);
    file_unmap(&file);
    /* cut anywhere, or one bit wrong anywhere: never restored; a large file takes its time */
    for (int i = 0; i<24; i += size> 20000000 ? 3 : 1) {
        size_t at = size * (size_t)i / 24, length = i % 2 ? at : size;
        bytes[at] ^= 0x10;
        file_writer writer;
        ck_ok(file_write_begin(&writer, path));
        ck_assert_uint_eq(fwrite(bytes, 1, length, writer.stream), length);
        ck_ok(file_write_commit(&writer));
        bytes[at] ^= 0x10;
        ck_assert_msg(imiad_detector_load(&restored, path, NULL) != IMIAD_OK, "byte %zu", at);
        ck_assert_msg(strstr(imiad_last_error(), path), "%s", imiad_last_error());
    }
    free(bytes);
    unlink(path);
}
END_TEST

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

static int stop_after(void *user, const imiad_progress *p)
{
    int *calls = user;
    return (*calls)-- == 0;
}

START_TEST(fitting_can_be_cancelled_at_any_moment)
{
    const char *name = imiad_detector_type_name((size_t)_i);
    static seen whole, again;
    product_line l = open_line();
    imiad_detector *d = fitted(&l, name, NULL, 0);
    evaluate(&whole, &l, d);
    for (int calls = 0, stop; calls < 100; ++calls) {
        stop = calls;
        imiad_status status = imiad_detector_fit(d, l.split, stop_after, &stop);
        if (status == IMIAD_OK)
            break;
        ck_assert_int_eq(status, IMIAD_CANCELLED);
        imiad_result result = IMIAD_RESULT_INIT;
        imiad_image *image;
        ck_ok(imiad_dataset_read_image(&image, l.dataset, 0));
        ck_fails(imiad_detector_score(&result, d, image), IMIAD_WRONG_STATE, "must be fitted");
        imiad_image_free(image);
    }
    ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
    evaluate(&again, &l, d);
    ck_assert_mem_eq(&whole, &again, sizeof whole);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

/* A new detector's first task is a fit; a forgetful method's second one is a fit of that alone. */
START_TEST(another_task_is_learned_on_top_or_anew)
{
    const char *name = imiad_detector_type_name((size_t)_i);
    static seen first, second, again;
    product_line l = open_line();
    imiad_split *other;
    ck_ok(imiad_split_create(&other, l.dataset, imiad_dataset_category(l.dataset, 1),
                             "unsupervised", NULL, 0));
    imiad_detector *d = fitted(&l, name, NULL, 0),
                   *fresh = product_line_detector(&l, name, NULL, 0);
    evaluate(&first, &l, d);
    ck_ok(imiad_detector_fit_more(fresh, l.split, NULL, NULL));
    evaluate(&again, &l, fresh);
    ck_assert_mem_eq(&first, &again, sizeof first);

    ck_ok(imiad_detector_fit_more(d, other, NULL, NULL));
    evaluate(&second, &l, d);
    for (size_t i = 0; i < second.count; ++i)
        ck_assert(isfinite(second.scores[i]));
    ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
    evaluate(&again, &l, d);
    ck_assert_mem_eq(&first, &again, sizeof first);
    imiad_detector_free(fresh);
    imiad_detector_free(d);
    imiad_split_free(other);
    product_line_close(&l);
}
END_TEST

START_TEST(one_image_is_enough_to_fit)
{
    const char *name = imiad_detector_type_name((size_t)_i);
    product_line l = open_line();
    imiad_detector *d = product_line_detector(&l, name, NULL, 0);
    imiad_image *image;
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_dataset_read_image(&image, l.dataset, 0));
    const imiad_image *const images[1] = {image};
    ck_ok(imiad_detector_fit_images(d, images, 1, NULL, NULL));
    ck_ok(imiad_detector_score(&result, d, image));
    ck_assert(isfinite(result.score));
    imiad_image_free(image);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(no_tensor_outlives_its_detector)
{
    const char *name = imiad_detector_type_name((size_t)_i);
    static seen s;
    product_line l = open_line();
    size_t alive = t_live();
    imiad_detector *d = fitted(&l, name, NULL, 0);
    evaluate(&s, &l, d);
    imiad_detector_free(d);
    ck_assert_uint_eq(t_live(), alive);
    product_line_close(&l);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

/* ---- what PatchCore adds ---- */

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
    evaluate(&before, &l, d);

    int stop = 1; /* cancelled: what was learned stays */
    ck_assert_int_eq(imiad_detector_fit_more(d, other, stop_after, &stop), IMIAD_CANCELLED);
    evaluate(&after, &l, d);
    ck_assert_mem_eq(&before, &after, sizeof before);

    ck_ok(imiad_detector_fit_more(d, other, NULL, NULL));
    ck_ok(imiad_detector_bank(&bank, d));
    ck_assert_int_eq(imiad_bank_rows(bank) * imiad_bank_dimension(bank), 2 * (int64_t)values);
    ck_assert_mem_eq(imiad_bank_data(bank), first, values * sizeof *first);
    evaluate(&after, &l, d);
    for (size_t i = 0; i < after.count; ++i) /* more rows are never farther away */
        ck_assert_float_le(after.scores[i], before.scores[i]);
    free(first);
    imiad_detector_free(d);
    imiad_split_free(other);
    product_line_close(&l);
}
END_TEST

enum { GRID = 8, PATCHES = GRID * GRID, DIMENSION = 1024 };

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

SUITE("detector", LOOP_TEST(fitting_twice_gives_the_same, (int)imiad_detector_type_count()),
      LOOP_TEST(a_batch_scores_as_each_image_alone, (int)imiad_detector_type_count()),
      LOOP_TEST(a_saved_detector_scores_the_same_bytes, (int)imiad_detector_type_count()),
      LOOP_TEST(damaged_files_are_refused, (int)imiad_detector_type_count()),
      TEST(a_file_that_is_no_detector_is_told),
      LOOP_TEST(fitting_can_be_cancelled_at_any_moment, (int)imiad_detector_type_count()),
      LOOP_TEST(another_task_is_learned_on_top_or_anew, (int)imiad_detector_type_count()),
      LOOP_TEST(one_image_is_enough_to_fit, (int)imiad_detector_type_count()),
      LOOP_TEST(no_tensor_outlives_its_detector, (int)imiad_detector_type_count()),
      TEST(patchcores_options_are_checked), TEST(patchcores_bank_respects_its_budget_and_ratio),
      LOOP_TEST(a_forgotten_image_leaves_the_bank, 6), TEST(only_banks_of_patches_forget),
      TEST(patchcores_bank_keeps_every_task), TEST(the_reweighted_score_follows_the_paper),
      TEST(images_of_different_shapes_need_a_common_size))
