/* SimpleNet against the authors' code, and against its own definition in double. */
#include "bridge/tensor.h"
#include "detectors/detector.h"
#include "detectors/parts/patch_embedding.h"
#include "golden_steps.h"
#include "product_line.h"

#define GOLDEN "tests/golden/simplenet.csv" /* made by tests/golden/make_simplenet.py */

/* ---- the authors' code ---- */

#define SMALL_INPUT                                                                                \
    {"resize", "108"}, {"crop", "96"},                                                             \
    {                                                                                              \
        "train_batch", "4"                                                                         \
    }

/* Batch norm takes a bias before it out again: its gradient is rounding, and Adam goes as far for
 * that as for any other. The running mean follows it, late. So after ten steps the authors' code
 * with one thread and with two has maps that differ by 0.02, too. */
static const char *const taken_out[] = {"fc.bias", ".0.bias", "running_mean", NULL};

/* The acceptance: losses and parameters to 1e-3, maps of given parameters to 1e-4. */
static const golden_training cases[] = {
    {"script",
     40,
     4,
     {SMALL_INPUT, {"epochs", "1"}},
     {10, 9, 3, 1e-3, 1e-3, 5e-2, taken_out, 1e-3}},
    /* nothing moves but the running statistics: maps of given parameters */
    {"still",
     8,
     6,
     {SMALL_INPUT, {"epochs", "1"}, {"learning_rate", "0"}, {"discriminator_rate", "0"}},
     {2, 0, 3, 1e-3, 1e-3, 1e-4, taken_out, 1e-3}},
    {"variant",
     4,
     14,
     {SMALL_INPUT,
      {"epochs", "10"},
      {"pretrain_embed_dimension", "384"},
      {"target_embed_dimension", "96"},
      {"discriminator_hidden", "0"},
      {"discriminator_layers", "3"},
      {"margin", "0.8"},
      {"noise_std", "0.05"},
      {"mix_noise", "3"},
      {"adaptor_layers", "2"},
      {"adaptor_activation", "true"},
      {"schedule", "cosine"}},
     {10, 17, 3, 1e-3, 1e-3, 5e-2, taken_out, 5e-6}},
};

START_TEST(steps_equal_the_official_code)
{
    golden_train("simplenet", GOLDEN, "", &cases[_i]);
}
END_TEST

/* ---- its own definition ---- */

enum { SIDE = 64, GRID = 8, MOST_WIDE = 64 }; /* layer2 of 64 pixels has 8 x 8 positions */

static product_line open_line(void)
{
    return product_line_open("64", "6", "1", "1", "unsupervised");
}

/* 24 values a patch, 16 between the discriminator's layers, large noise for the random network. */
static imiad_detector *fitted(const product_line *l, const imiad_option *more, size_t count)
{
    imiad_option options[16] = {{"resize", "64"},
                                {"crop", "64"},
                                {"epochs", "3"},
                                {"train_batch", "4"},
                                {"pretrain_embed_dimension", "48"},
                                {"target_embed_dimension", "24"},
                                {"discriminator_hidden", "16"},
                                {"noise_std", "0.2"}};
    imiad_detector *d;
    for (size_t i = 0; i < count; ++i)
        options[8 + i] = more[i];
    ck_ok(imiad_detector_create(&d, "simplenet", l->backbone, options, 8 + count));
    ck_ok(imiad_detector_fit(d, l->split, NULL, NULL));
    return d;
}

static const float *entry(const weights *file, const char *layer, const char *name)
{
    char full[128];
    snprintf(full, sizeof full, "%s.%s", layer, name);
    const weight *w = weights_find(file, full);
    return w ? w->data : NULL;
}

/* y = W x + b, outputs at most MOST_WIDE; how many outputs. */
static int64_t linear(double *x, const weights *file, const char *layer, int64_t inputs)
{
    char full[128];
    snprintf(full, sizeof full, "%s.weight", layer);
    const weight *w = weights_find(file, full);
    const float *values = w->data, *bias = entry(file, layer, "bias");
    double y[MOST_WIDE];
    ck_assert_int_eq(w->shape[1], inputs);
    ck_assert_int_le(w->shape[0], MOST_WIDE);
    for (int64_t i = 0; i < w->shape[0]; ++i) {
        y[i] = bias ? (double)bias[i] : 0;
        for (int64_t j = 0; j < inputs; ++j)
            y[i] += (double)values[i * inputs + j] * x[j];
    }
    memcpy(x, y, sizeof y);
    return w->shape[0];
}

static void batch_norm(double *x, const weights *file, const char *layer, int64_t count)
{
    for (int64_t i = 0; i < count; ++i)
        x[i] = (x[i] - (double)entry(file, layer, "running_mean")[i]) /
                   sqrt((double)entry(file, layer, "running_var")[i] + 1e-5) *
                   (double)entry(file, layer, "weight")[i] +
               (double)entry(file, layer, "bias")[i];
}

static void leaky(double *x, int64_t count)
{
    for (int64_t i = 0; i < count; ++i)
        x[i] = x[i] > 0 ? x[i] : 0.2 * x[i];
}

/* Minus what the discriminator says, layer by layer. */
static double judge(const weights *file, const float *patch, int adaptor, bool activated,
                    int discriminator)
{
    double x[MOST_WIDE];
    char layer[64];
    int64_t width = 24;
    for (int i = 0; i < width; ++i)
        x[i] = (double)patch[i];
    for (int i = 0; i < adaptor; ++i) {
        snprintf(layer, sizeof layer, "pre_projection.layers.%dfc", i);
        width = linear(x, file, layer, width);
        if (activated && i + 1 < adaptor)
            leaky(x, width);
    }
    for (int i = 1; i < discriminator; ++i) {
        snprintf(layer, sizeof layer, "discriminator.body.block%d.0", i);
        width = linear(x, file, layer, width);
        snprintf(layer, sizeof layer, "discriminator.body.block%d.1", i);
        batch_norm(x, file, layer, width);
        leaky(x, width);
    }
    ck_assert_int_eq(linear(x, file, "discriminator.tail", width), 1);
    return -x[0];
}

static void embed(float rows[GRID * GRID * 24], const imiad_detector *d, const imiad_image *image)
{
    const char *layers[] = {"layer2", "layer3"};
    const int64_t channels[] = {128, 256};
    patch_embedding *e;
    batch b;
    tensor *features[2];
    ck_ok(patch_embedding_create(&e, 2, channels, 3, 48, 24));
    scope s = scope_begin();
    detector_make_batch(&b, d, &image, 1);
    backbone_features(d->backbone, b.images, layers, 2, features);
    ck_assert_int_eq(t_size(features[0], 2), GRID);
    patch_embedding_apply(rows, e, features, false);
    ck_ok(scope_end(&s));
    patch_embedding_free(e);
}

static const struct {
    const char *adaptor, *activated, *discriminator;
} shapes[] = {{"0", "false", "1"}, {"1", "false", "2"}, {"2", "true", "3"}, {"3", "false", "2"}};

/* Scoring multiplies linear layers and batch norm together beforehand. */
START_TEST(an_image_scores_its_worst_patch_as_the_layers_say)
{
    const imiad_option more[] = {{"adaptor_layers", shapes[_i].adaptor},
                                 {"adaptor_activation", shapes[_i].activated},
                                 {"discriminator_layers", shapes[_i].discriminator}};
    product_line l = open_line();
    imiad_detector *d = fitted(&l, more, 3);
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    ck_ok(imiad_detector_save(d, path));
    weights *file;
    ck_ok(weights_open(&file, path));
    for (size_t n = 0; n < imiad_split_test_count(l.split); ++n) {
        float rows[GRID * GRID * 24];
        imiad_image *image;
        imiad_result result = IMIAD_RESULT_INIT;
        ck_ok(imiad_dataset_read_image(&image, l.dataset, imiad_split_test(l.split, n)));
        ck_ok(imiad_detector_score(&result, d, image));
        embed(rows, d, image);
        double worst = -INFINITY, largest = 0;
        for (int i = 0; i < GRID * GRID; ++i) {
            double score =
                judge(file, rows + (ptrdiff_t)i * 24, atoi(shapes[_i].adaptor),
                      strcmp(shapes[_i].activated, "true") == 0, atoi(shapes[_i].discriminator));
            worst = fmax(worst, score);
            largest = fmax(largest, fabs(score));
        }
        ck_assert_double_lt(fabs((double)result.score - worst), 1e-5 * largest);
        imiad_image_free(image);
    }
    weights_free(file);
    unlink(path);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(features_made_again_train_as_kept_ones)
{
    double losses[2][6]; /* two steps in each of three epochs */
    product_line l = open_line();
    for (int i = 0; i < 2; ++i) {
        const imiad_option more[] = {{"feature_cache", i ? "0" : "2000"}, {"mix_noise", "2"}};
        golden_steps = 0;
        imiad_set_log(golden_see, NULL);
        imiad_detector_free(fitted(&l, more, 2));
        imiad_set_log(NULL, NULL);
        ck_assert_int_eq(golden_steps, 6);
        memcpy(losses[i], golden_losses, sizeof losses[i]);
    }
    ck_assert_mem_eq(losses[0], losses[1], sizeof losses[0]);
    ck_assert_double_lt(losses[0][5], losses[0][0]);
    product_line_close(&l);
}
END_TEST

/* Of the published configurations, each option that differs from the library's. */
START_TEST(presets_are_the_published_configurations)
{
    static const struct {
        const char *preset, *option, *value;
    } rows[] = {
        {"official", "resize", "329"},    {"official", "crop", "288"},
        {"official", "train_batch", "8"}, {"official", "margin", "0.5"},
        {"official", "epochs", "160"},    {"open_iad", "resize", "256"},
        {"open_iad", "crop", "0"},        {"open_iad", "resize_mode", "squash"},
        {"open_iad", "margin", "0.8"},    {"open_iad", "train_batch", "4"},
        {"open_iad", "epochs", "4"},
    };
    product_line l = open_line();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
        const imiad_option option = {"preset", rows[i].preset};
        imiad_detector *d;
        ck_ok(imiad_detector_create(&d, "simplenet", l.backbone, &option, 1));
        ck_assert_str_eq(imiad_detector_option(d, rows[i].option), rows[i].value);
        imiad_detector_free(d);
    }
    product_line_close(&l);
}
END_TEST

START_TEST(an_even_patch_is_refused)
{
    product_line l = open_line();
    const imiad_option even = {"patch_size", "4"};
    imiad_detector *d = NULL;
    ck_fails(imiad_detector_create(&d, "simplenet", l.backbone, &even, 1), IMIAD_OUT_OF_RANGE,
             "odd");
    ck_assert_ptr_null(d);
    product_line_close(&l);
}
END_TEST

SUITE("simplenet", LOOP_TEST(steps_equal_the_official_code, 3),
      LOOP_TEST(an_image_scores_its_worst_patch_as_the_layers_say, 4),
      TEST(features_made_again_train_as_kept_ones), TEST(presets_are_the_published_configurations),
      TEST(an_even_patch_is_refused))
