/* Detectors as functions: the example plug-in, and ones that misbehave. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "../../examples/plugin/example.h"
#include "base/files.h"
#include "bridge/tensor.h"
#include "check_suite.h"

static void register_examples(void)
{
    static bool done;
    if (!done) {
        ck_ok(register_mean_feature());
        ck_ok(register_pixel_classifier());
        ck_ok(register_stripes());
    }
    done = true;
}

typedef struct bench {
    imiad_dataset *dataset;
    imiad_split *split;
    imiad_backbone *backbone;
    imiad_detector *detector;
} bench;

static const imiad_option small[] = {{"resize", "64"}, {"crop", "64"}};

static bench open_bench(const char *detector)
{
    bench b;
    register_examples();
    ck_ok(imiad_dataset_open(&b.dataset, "stripes", NULL, NULL, 0));
    ck_ok(imiad_split_create(&b.split, b.dataset, "thin", "unsupervised", NULL, 0));
    ck_ok(imiad_backbone_create(&b.backbone, "resnet18", NULL));
    ck_ok(imiad_detector_create(&b.detector, detector, b.backbone, small, 2));
    return b;
}

static void close_bench(bench *b)
{
    imiad_detector_free(b->detector);
    imiad_backbone_free(b->backbone);
    imiad_split_free(b->split);
    imiad_dataset_free(b->dataset);
}

static void score_all(float scores[8], float *maps, imiad_detector *d, const bench *b)
{
    imiad_image *images[8];
    for (size_t i = 0; i < 8; ++i)
        ck_ok(imiad_dataset_read_image(&images[i], b->dataset, imiad_split_test(b->split, i)));
    ck_ok(imiad_detector_score_batch(scores, maps, 8 * 64 * 64, d,
                                     (const imiad_image *const *)images, 8, NULL));
    for (int i = 0; i < 8; ++i)
        imiad_image_free(images[i]);
}

START_TEST(a_detector_of_functions_finds_the_discs)
{
    bench b = open_bench("mean_feature");
    imiad_metrics *metrics;
    double auroc, pixels;
    ck_ok(imiad_detector_fit(b.detector, b.split, NULL, NULL));
    ck_ok(imiad_metrics_create(&metrics, NULL, 0));
    ck_ok(imiad_evaluate(metrics, b.detector, b.split, NULL, NULL, NULL, NULL, NULL));
    ck_ok(imiad_metrics_image_auroc(&auroc, metrics));
    ck_ok(imiad_metrics_pixel_auroc(&pixels, metrics));
    ck_assert_double_eq(auroc, 1); /* a grey disc in stripes is nothing subtle */
    ck_assert_double_gt(pixels, 0.8);
    imiad_metrics_free(metrics);
    close_bench(&b);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(its_file_gives_the_same_bytes_again)
{
    static float maps[2][8 * 64 * 64];
    bench b = open_bench("mean_feature");
    float scores[2][8];
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    ck_ok(imiad_detector_fit(b.detector, b.split, NULL, NULL));
    score_all(scores[0], maps[0], b.detector, &b);
    ck_ok(imiad_detector_save(b.detector, path));
    imiad_detector_free(b.detector);
    ck_ok(imiad_detector_load(&b.detector, path, NULL));
    unlink(path);
    ck_assert_str_eq(imiad_detector_name(b.detector), "mean_feature");
    score_all(scores[1], maps[1], b.detector, &b);
    ck_assert_mem_eq(scores[0], scores[1], sizeof scores[0]);
    ck_assert_mem_eq(maps[0], maps[1], sizeof maps[0]);
    close_bench(&b);
}
END_TEST

static int stop_at(void *user, const imiad_progress *p)
{
    return p->done >= *(const int64_t *)user;
}

START_TEST(fitting_is_cancelled_between_batches)
{
    bench b = open_bench("mean_feature");
    for (int64_t when = 0; when <= 8; when += 8)
        ck_assert_int_eq(imiad_detector_fit(b.detector, b.split, stop_at, &when), IMIAD_CANCELLED);
    ck_ok(imiad_detector_fit(b.detector, b.split, NULL, NULL));
    close_bench(&b);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(options_and_layers_are_checked)
{
    const imiad_option zero = {"epsilon", "0"}, other = {"layer", "layer9"};
    imiad_backbone *backbone;
    imiad_detector *d = NULL;
    register_examples();
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    ck_fails(imiad_detector_create(&d, "mean_feature", backbone, &zero, 1), IMIAD_OUT_OF_RANGE,
             "epsilon");
    ck_fails(imiad_detector_create(&d, "mean_feature", backbone, &other, 1), IMIAD_UNKNOWN_OPTION,
             "detector mean_feature: backbone resnet18 has no layer \"layer9\"");
    ck_fails(imiad_detector_create(&d, "mean_feature", NULL, NULL, 0), IMIAD_INVALID_ARGUMENT,
             "backbone");
    imiad_backbone_free(backbone);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

/* ---- a supervised one ---- */

static const imiad_option exact[] = {{"resize", "64"}, {"crop", "64"}, {"smoothing", "0"}};

static imiad_split *open_supervised(imiad_dataset **dataset)
{
    const imiad_option two = {"anomalies", "2"};
    imiad_split *split;
    register_examples();
    ck_ok(imiad_dataset_open(dataset, "stripes", NULL, NULL, 0));
    ck_ok(imiad_split_create(&split, *dataset, "thin", "supervised", &two, 1));
    return split;
}

/* Two labelled discs with their masks are enough to find the other two. */
START_TEST(labelled_defects_and_their_masks_teach_a_plugin)
{
    imiad_dataset *dataset;
    imiad_split *split = open_supervised(&dataset);
    imiad_detector *d;
    imiad_metrics *metrics;
    double auroc, precision;
    ck_ok(imiad_detector_create(&d, "pixel_classifier", NULL, exact, 3));
    ck_ok(imiad_detector_fit(d, split, NULL, NULL));
    ck_ok(imiad_metrics_create(&metrics, NULL, 0));
    ck_ok(imiad_evaluate(metrics, d, split, NULL, NULL, NULL, NULL, NULL));
    ck_ok(imiad_metrics_pixel_auroc(&auroc, metrics));
    ck_ok(imiad_metrics_pixel_ap(&precision, metrics));
    ck_assert_double_gt(auroc, 0.99);
    ck_assert_double_gt(precision, 0.9);
    imiad_metrics_free(metrics);
    imiad_detector_free(d);
    imiad_split_free(split);
    imiad_dataset_free(dataset);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

/* The same images in memory, with labels and masks, teach the same; without the defective ones the
 * plug-in refuses. */
START_TEST(labelled_images_in_memory_teach_the_same)
{
    enum { MOST = 16 };
    imiad_dataset *dataset;
    imiad_split *split = open_supervised(&dataset);
    imiad_labelled_image list[MOST];
    imiad_image *pixels[MOST], *masks[MOST];
    size_t count = imiad_split_train_count(split);
    imiad_detector *a, *b;
    float scores[2];
    ck_assert_uint_le(count, MOST);
    for (size_t i = 0; i < count; ++i) {
        size_t sample = imiad_split_train(split, i);
        list[i] = (imiad_labelled_image)IMIAD_LABELLED_IMAGE_INIT;
        list[i].label = imiad_split_train_label(split, i);
        masks[i] = NULL;
        ck_ok(imiad_dataset_read_image(&pixels[i], dataset, sample));
        if (list[i].label)
            ck_ok(imiad_dataset_read_mask(&masks[i], dataset, sample));
        list[i].image = pixels[i];
        list[i].mask = masks[i];
    }
    ck_ok(imiad_detector_create(&a, "pixel_classifier", NULL, exact, 3));
    ck_ok(imiad_detector_create(&b, "pixel_classifier", NULL, exact, 3));
    ck_ok(imiad_detector_fit(a, split, NULL, NULL));
    ck_ok(imiad_detector_fit_labelled(b, list, count, NULL, NULL));
    for (int i = 0; i < 2; ++i)
        ck_ok(imiad_detector_score_batch(&scores[i], NULL, 0, i ? b : a, &list[0].image, 1, NULL));
    ck_assert_double_eq((double)scores[0], (double)scores[1]);
    for (size_t i = 0; i < count; ++i)
        if (list[i].label)
            list[i].mask = NULL;
    ck_fails(imiad_detector_fit_labelled(b, list, count, NULL, NULL), IMIAD_INVALID_ARGUMENT,
             "learns from masks: defective image");
    ck_fails(imiad_detector_fit_labelled(b, list, 2, NULL, NULL), IMIAD_INVALID_ARGUMENT,
             "use the setting supervised");
    list[1].label = 2;
    ck_fails(imiad_detector_fit_labelled(b, list, 2, NULL, NULL), IMIAD_INVALID_ARGUMENT,
             "image 1 has the label 2");
    for (size_t i = 0; i < count; ++i) {
        imiad_image_free(pixels[i]);
        imiad_image_free(masks[i]);
    }
    imiad_detector_free(a);
    imiad_detector_free(b);
    imiad_split_free(split);
    imiad_dataset_free(dataset);
}
END_TEST

/* ---- one without a backbone, that does what it is told ---- */

enum { HONEST, NO_SCORES, FAILS, TWICE, NOT_FINITE, NO_BLOCK, SAME_BLOCK };

typedef struct puppet {
    int does, alive;
    size_t seen;
    int32_t width;
} puppet;

static puppet strings;

static imiad_status make(void *user, void **state, const imiad_detector *detector)
{
    *state = user;
    ck_assert_ptr_null(imiad_detector_backbone(detector));
    ++((puppet *)user)->alive;
    return IMIAD_OK;
}

static void unmake(void *state)
{
    --((puppet *)state)->alive;
}

static imiad_status count_images(void *state, imiad_batches *normals)
{
    puppet *p = state;
    const imiad_batch *batch;
    p->seen = 0;
    for (int pass = 0; pass < 2; ++pass) {
        for (;;) {
            imiad_status status = imiad_batches_next(&batch, normals);
            if (status != IMIAD_OK)
                return status;
            if (!batch)
                break;
            ck_assert_uint_eq(batch->layer_count, 0);
            ck_assert_int_eq(batch->images[0]->format, IMIAD_PIXEL_RGB8);
            p->width = batch->images[batch->count - 1]->width;
            p->seen += batch->count;
        }
        imiad_status status = imiad_batches_rewind(normals, NULL);
        if (status != IMIAD_OK)
            return status;
    }
    return p->does == FAILS ? imiad_fail(IMIAD_UNDEFINED, "the strings are cut") : IMIAD_OK;
}

static imiad_status score_red(const void *state, const imiad_batch *batch,
                              imiad_batch_scores *scores)
{
    const puppet *p = state;
    if (p->does == FAILS)
        return imiad_fail(IMIAD_UNDEFINED, "the strings are cut");
    if (p->does == NO_SCORES)
        return IMIAD_OK;
    float *images = imiad_batch_scores_images(scores);
    for (size_t i = 0; i < batch->count; ++i)
        images[i] = p->does == NOT_FINITE ? NAN : (float)batch->images[i]->pixels[0];
    if (p->does == TWICE)
        return imiad_batch_scores_images(scores) ? IMIAD_OK : IMIAD_INVALID_ARGUMENT;
    return IMIAD_OK;
}

static imiad_status put(const void *state, imiad_blocks *blocks)
{
    const puppet *p = state;
    if (p->does == NO_BLOCK)
        return IMIAD_OK;
    imiad_status status = imiad_blocks_put(blocks, "seen", &p->seen, sizeof p->seen);
    return p->does == SAME_BLOCK ? imiad_blocks_put(blocks, "seen", &p->seen, sizeof p->seen)
                                 : status;
}

static imiad_status get(void *state, const imiad_blocks *blocks)
{
    const void *bytes;
    size_t size;
    imiad_status status = imiad_blocks_get(&bytes, &size, blocks, "seen");
    if (status == IMIAD_OK)
        ck_assert_uint_eq(size, sizeof(size_t));
    return status;
}

static imiad_detector_functions puppet_functions(void)
{
    imiad_detector_functions f = IMIAD_DETECTOR_FUNCTIONS_INIT;
    f.name = "puppet";
    f.user = &strings;
    f.create = make;
    f.fit = count_images;
    f.score = score_red;
    f.save = put;
    f.load = get;
    f.destroy = unmake;
    return f;
}

static imiad_detector *new_puppet(const imiad_image **image)
{
    static uint8_t pixels[16 * 16];
    static const imiad_image grey = {sizeof grey, IMIAD_PIXEL_GRAY8, 16, 16, 16, pixels};
    static const imiad_option options[] = {{"resize", "16"}, {"crop", "16"}, {"batch", "2"}};
    static bool done;
    imiad_detector_functions f = puppet_functions();
    imiad_detector *d = NULL;
    if (!done)
        ck_ok(imiad_detector_register(&f));
    done = true;
    pixels[0] = 55;
    *image = &grey;
    strings = (puppet){0};
    ck_ok(imiad_detector_create(&d, "puppet", NULL, options, 3));
    return d;
}

START_TEST(without_layers_it_works_on_the_preprocessed_images)
{
    const imiad_image *image;
    imiad_detector *d = new_puppet(&image);
    const imiad_image *const five[5] = {image, image, image, image, image};
    float score, map[256];
    ck_ok(imiad_detector_fit_images(d, five, 5, NULL, NULL));
    ck_assert_uint_eq(strings.seen, 10);
    ck_assert_int_eq(strings.width, 16);
    ck_ok(imiad_detector_score_batch(&score, NULL, 0, d, five, 1, NULL));
    ck_assert_double_eq((double)score, 55);
    ck_fails(imiad_detector_score_batch(&score, map, 256, d, five, 1, NULL), IMIAD_UNSUPPORTED,
             "detector puppet makes no maps");
    imiad_detector_free(d);
    ck_assert_int_eq(strings.alive, 0);
}
END_TEST

START_TEST(what_its_functions_do_wrong_is_a_failure_of_the_call)
{
    const imiad_image *image;
    imiad_detector *d = new_puppet(&image);
    float score;
    strings.does = FAILS;
    ck_fails(imiad_detector_fit_images(d, &image, 1, NULL, NULL), IMIAD_UNDEFINED,
             "the strings are cut");
    strings.does = HONEST;
    ck_ok(imiad_detector_fit_images(d, &image, 1, NULL, NULL));
    static const struct {
        int does;
        imiad_status status;
        const char *text;
    } faults[] = {{FAILS, IMIAD_UNDEFINED, "the strings are cut"},
                  {NO_SCORES, IMIAD_INTERNAL, "gave neither maps nor image scores"},
                  {TWICE, IMIAD_INVALID_ARGUMENT, "asked for twice"},
                  {NOT_FINITE, IMIAD_NOT_FINITE, "puppet"}};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; ++i) {
        strings.does = faults[i].does;
        ck_fails(imiad_detector_score_batch(&score, NULL, 0, d, &image, 1, NULL), faults[i].status,
                 faults[i].text);
    }
    imiad_detector_free(d);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

START_TEST(a_block_that_is_missing_or_put_twice_is_told)
{
    const imiad_image *image;
    imiad_detector *d = new_puppet(&image), *again = NULL;
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    ck_ok(imiad_detector_fit_images(d, &image, 1, NULL, NULL));
    strings.does = SAME_BLOCK;
    ck_assert_int_ne(imiad_detector_save(d, path), IMIAD_OK);
    strings.does = NO_BLOCK;
    ck_ok(imiad_detector_save(d, path));
    ck_fails(imiad_detector_load(&again, path, NULL), IMIAD_FORMAT, "there is no block \"seen\"");
    ck_assert_ptr_null(again);
    imiad_detector_free(d);
    ck_assert_int_eq(strings.alive, 0);
    unlink(path);
}
END_TEST

START_TEST(incomplete_functions_are_refused)
{
    imiad_detector_functions f = puppet_functions();
    f.name = "other";
    f.score = NULL;
    ck_fails(imiad_detector_register(&f), IMIAD_INVALID_ARGUMENT,
             "detector other: there is no function score");
    f = puppet_functions();
    f.name = "patchcore";
    ck_fails(imiad_detector_register(&f), IMIAD_INVALID_ARGUMENT, "\"patchcore\" is taken");
    f.name = "no name";
    ck_fails(imiad_detector_register(&f), IMIAD_INVALID_ARGUMENT, "no name");
    f.name = NULL;
    ck_fails(imiad_detector_register(&f), IMIAD_INVALID_ARGUMENT, "name");
    f.struct_size = 8;
    ck_fails(imiad_detector_register(&f), IMIAD_INVALID_ARGUMENT, "struct_size");
    ck_fails(imiad_plugin_load("/dev/null/none.so"), IMIAD_NOT_FOUND, "none.so");
    ck_fails(imiad_plugin_load("meson.build"), IMIAD_FORMAT, "cannot be loaded");
}
END_TEST

SUITE("plugin", TEST(a_detector_of_functions_finds_the_discs),
      TEST(its_file_gives_the_same_bytes_again), TEST(fitting_is_cancelled_between_batches),
      TEST(options_and_layers_are_checked), TEST(labelled_defects_and_their_masks_teach_a_plugin),
      TEST(labelled_images_in_memory_teach_the_same),
      TEST(without_layers_it_works_on_the_preprocessed_images),
      TEST(what_its_functions_do_wrong_is_a_failure_of_the_call),
      TEST(a_block_that_is_missing_or_put_twice_is_told), TEST(incomplete_functions_are_refused))
