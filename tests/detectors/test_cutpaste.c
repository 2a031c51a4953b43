/* CutPaste against the public code, and what is its own. */
#include "../image/procedural.h"
#include "detectors/algorithm.h"
#include "detectors/parts/crop_scores.h"
#include "detectors/parts/shrunk_gaussian.h"
#include "golden_steps.h"
#include "nn/network.h"

#define GOLDEN "tests/golden/cutpaste.csv" /* made by tests/golden/make_cutpaste.py */

enum { SIDE = 64, VIEW = 32, IMAGES = 4, VIEWS = 3, STEPS = 10, VALUES = 32 };

static imiad_backbone *random_backbone(void)
{
    imiad_backbone *b = NULL;
    ck_ok(imiad_backbone_create(&b, "resnet18", NULL));
    return b;
}

static imiad_detector *make(imiad_backbone *backbone, const imiad_option *more, size_t count)
{
    imiad_option options[16] = {
        {"resize", "64"}, {"epochs", "1"}, {"steps", "1"}, {"train_batch", "4"}};
    imiad_detector *d = NULL;
    for (size_t i = 0; i < count; ++i)
        options[4 + i] = more[i];
    ck_ok(imiad_detector_create(&d, "cutpaste", backbone, options, 4 + count));
    return d;
}

static void fit_procedural(imiad_detector *d, size_t count)
{
    imiad_image *images[IMAGES] = {NULL};
    for (size_t i = 0; i < count; ++i)
        images[i] = procedural(IMIAD_PIXEL_RGB8, SIDE + (int)i, SIDE);
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)images, count, NULL, NULL));
    for (size_t i = 0; i < count; ++i)
        imiad_image_free(images[i]);
}

/* ---- ten steps ---- */

static golden_case golden;

/* Relative error of norm and samples, of the largest sample and the norm. */
static double error_of(tensor *t, const golden_line *l)
{
    tensor *exact = t_contiguous(t_to(t, F64));
    size_t count = (size_t)t_count(exact);
    const double *values = t_data(exact);
    double square = 0, largest = 0, worst = 0;
    for (size_t i = 0; values && i < count; ++i)
        square += values[i] * values[i];
    for (size_t i = 0; values && i < GOLDEN_SAMPLES; ++i) {
        largest = fmax(largest, fabs(l->values[i + 1]));
        double found = values[i * (count - 1) / (GOLDEN_SAMPLES - 1)];
        worst = fmax(worst, fabs(found - l->values[i + 1]));
    }
    return fmax(worst / largest, fabs(sqrt(square) - l->values[0]) / l->values[0]);
}

static double compare_lines(const params *store, const char *kind, bool gradients, int *count)
{
    double worst = 0;
    *count = 0;
    for (size_t i = 0; i < golden.count; ++i) {
        const golden_line *l = &golden.lines[i];
        if (strcmp(l->kind, kind) != 0)
            continue;
        const param *p = params_find(store, l->name);
        ck_assert_msg(p, "no %s", l->name);
        worst = fmax(worst, error_of(gradients ? t_grad(p->value) : p->value, l));
        ++*count;
    }
    return worst;
}

/* The detector's networks as they began, in double precision. */
static void begin_anew(imiad_detector *d)
{
    training *t = d->state;
    params *store = t->stores[0].parameters;
    scope s = scope_begin();
    for (size_t j = 0; j < params_count(store); ++j) {
        const param *p = params_at(store, j);
        if (golden_ends_in(p->name, (const char *const[]){"running_mean", NULL}))
            t_fill_(p->value, 0);
        if (golden_ends_in(p->name, (const char *const[]){"running_var", NULL}))
            t_fill_(p->value, 1);
    }
    ck_ok(scope_end(&s));
    ck_ok(params_to(store, F64, CPU));
    optimizer_free(t->rules[0].optimizer);
    t->rules[0].optimizer = NULL;
    ck_ok(training_make_optimizers(t));
}

/* The loss before a step at the public code's rate. */
static double take_step(imiad_detector *d, int index, double *gradients, int *compared)
{
    training *t = d->state;
    scope s = scope_begin_grad();
    tensor *made[VIEWS];
    for (int i = 0; i < VIEWS; ++i)
        made[i] = t_add_scalar(golden_procedural((int64_t[]){IMAGES, 3, VIEW, VIEW}, i, F64), -1);
    train_step step = {.count = IMAGES, .made = made, .index = index, .epochs = 1};
    tensor *loss = t->ops->loss(d, &step);
    double value = t_item(loss);
    t_backward(loss);
    if (gradients)
        *gradients = compare_lines(t->stores[0].parameters, "gradient", true, compared);
    optimizer_step(t->rules[0].optimizer, t->ops->rate(d, 0.03, &step, STEPS));
    ck_ok(scope_end(&s));
    params_clear_grad(t->stores[0].parameters);
    return value;
}

/* What the saved encoder makes of the first view in evaluation mode. */
static double compare_embedding(const imiad_detector *d, const imiad_backbone *backbone)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    const char *layer = "layer4";
    weights *file;
    params *store;
    network *encoder;
    close(mkstemp(path));
    ck_ok(imiad_detector_save(d, path));
    ck_ok(weights_open(&file, path));
    ck_ok(params_create(&store));
    ck_ok(network_create(&encoder, backbone->architecture, &layer, 1, store, "", 0, NULL, CPU));
    ck_ok(params_load(store, file, "network.encoder.", PARAMS_EXTRA_ALLOWED));
    scope s = scope_begin();
    tensor *map, *view = golden_procedural((int64_t[]){IMAGES, 3, VIEW, VIEW}, 0, F32);
    network_features(encoder, t_add_scalar(view, -1), &layer, 1, &map, false);
    tensor *embedding = t_mean(t_flatten(map, 2, 3), 2, false);
    double worst = NAN;
    for (size_t i = 0; i < golden.count; ++i)
        if (strcmp(golden.lines[i].kind, "embedding") == 0)
            worst = error_of(embedding, &golden.lines[i]);
    ck_ok(scope_end(&s));
    network_free(encoder);
    params_free(store);
    weights_free(file);
    unlink(path);
    return worst;
}

/* In double precision on both sides: at the public code's rate, a step of a fresh network amplifies
 * rounding so far that single precision parts from double by half of an embedding (the table's
 * spread). */
START_TEST(ten_steps_equal_the_public_code)
{
    golden_read(&golden, GOLDEN, "steps");
    imiad_backbone *backbone = random_backbone();
    const imiad_option still[] = {{"learning_rate", "0"}, {"pretrained", "false"}};
    imiad_detector *d = make(backbone, still, 2);
    fit_procedural(d, IMAGES);
    begin_anew(d);
    const training *t = d->state;
    double gradients = NAN;
    int steps, compared = 0, learned;
    for (golden_steps = 0; golden_steps < STEPS; ++golden_steps)
        golden_losses[golden_steps] =
            take_step(d, golden_steps, golden_steps == 0 ? &gradients : NULL, &compared);
    double losses = golden_compare_losses(&golden, &steps);
    scope s = scope_begin();
    double parameters = compare_lines(t->stores[0].parameters, "parameter", false, &learned);
    ck_ok(scope_end(&s));
    ck_ok(params_to(t->stores[0].parameters, F32, CPU));
    double embedding = compare_embedding(d, backbone);
    printf("largest relative error of %d losses %.2g, of %d gradients %.2g, of %d parameters %.2g, "
           "of the embeddings %.2g\n",
           steps, losses, compared, gradients, learned, parameters, embedding);
    ck_assert_int_eq(steps, STEPS);
    ck_assert_int_eq(compared, 23);
    ck_assert_int_eq(learned, 45);
    ck_assert_double_lt(losses, 1e-6);
    ck_assert_double_lt(gradients, 1e-7);
    ck_assert_double_lt(parameters, 1e-4);
    ck_assert_double_lt(embedding, 1e-4);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

/* ---- the density ---- */

/* The script's scattered(). */
static tensor *scattered(int rows, int first)
{
    double *values = malloc((size_t)rows * VALUES * sizeof *values);
    for (int i = 0; i < rows * VALUES; ++i) {
        double large = sin((i + first) * 12.9898) * 437.585453;
        values[i] = (large - floor(large)) * (1 + i % VALUES % 5);
    }
    tensor *t = t_from(values, 2, (int64_t[]){rows, VALUES}, F64, CPU);
    free(values);
    return t;
}

static const golden_line *line_of(const char *kind)
{
    for (size_t i = 0; i < golden.count; ++i)
        if (strcmp(golden.lines[i].kind, kind) == 0)
            return &golden.lines[i];
    ck_abort_msg("no line %s", kind);
    return NULL;
}

/* Source: scikit-learn's LedoitWolf, and the public code's distance. */
START_TEST(the_density_is_scikit_learns)
{
    static const struct {
        const char *name;
        int rows;
    } cases[] = {{"rows50", 50}, {"rows5", 5}};
    golden_read(&golden, GOLDEN, cases[_i].name);
    scope s = scope_begin();
    double rho;
    shrunk_gaussian g = shrunk_gaussian_fit(scattered(cases[_i].rows, 0), &rho);
    tensor *tested = t_to(scattered(5, 7777), F32);
    tensor *distances = shrunk_gaussian_distance(&g, tested);
    float found[5];
    t_read(distances, found, sizeof found);
    double wanted = line_of("shrinkage")->values[0];
    double precision = error_of(g.precision, line_of("precision"));
    ck_assert_double_lt(fabs(rho - wanted) / wanted, 1e-6);
    ck_assert_double_lt(precision, 1e-4);
    for (int i = 0; i < 5; ++i) {
        wanted = line_of("gaussian")->values[i];
        ck_assert_double_lt(fabs((double)found[i] - wanted) / wanted, 1e-4);
    }
    ck_ok(scope_end(&s));
}
END_TEST

/* One row has no covariance: every distance is 0, and nothing is NaN. */
START_TEST(one_normal_embedding_gives_no_distance)
{
    scope s = scope_begin();
    shrunk_gaussian g = shrunk_gaussian_fit(scattered(1, 0), NULL);
    tensor *tested = t_to(scattered(5, 7777), F32);
    ck_assert_double_eq(t_item(t_sum_all(t_abs(shrunk_gaussian_distance(&g, tested)))), 0);
    ck_assert_double_eq(t_item(t_sum_all(t_abs(shrunk_gaussian_gradient(&g, tested)))), 0);
    ck_ok(scope_end(&s));
}
END_TEST

START_TEST(the_gradient_of_a_distance_is_what_backward_finds)
{
    scope s = scope_begin_grad();
    shrunk_gaussian g = shrunk_gaussian_fit(scattered(50, 0), NULL);
    tensor *tested = t_to(scattered(5, 7777), F32);
    t_require_grad(tested, true);
    t_backward(t_sum_all(shrunk_gaussian_distance(&g, tested)));
    tensor *off = t_sub(t_grad(tested), shrunk_gaussian_gradient(&g, t_detach(tested)));
    ck_assert_double_lt(t_item(t_max_all(t_abs(off))), 1e-5);
    ck_ok(scope_end(&s));
}
END_TEST

/* ---- maps ---- */

/* A pixel's value is a mean of the crops that hold it, so that equal crops give an even map. */
START_TEST(crops_scores_are_spread_over_the_pixels_they_show)
{
    scope s = scope_begin();
    const int64_t rows = crops_along(40, 16, 4), columns = crops_along(31, 16, 4);
    tensor *even = t_full(3, (int64_t[]){2, rows, columns}, 3, F32, CPU);
    tensor *map = crop_scores_spread(even, 16, 4, 40, 31);
    ck_assert_int_eq(t_size(map, 1), 40);
    ck_assert_int_eq(t_size(map, 2), 31);
    ck_assert_double_lt(t_item(t_max_all(t_abs(t_add_scalar(map, -3)))), 1e-5);
    float one[7 * 4] = {0}, pixels[40 * 31];
    one[2 * 4 + 1] = 1; /* the crop from (4, 8) to (20, 24) */
    tensor *single = t_from(one, 3, (int64_t[]){1, rows, columns}, F32, CPU);
    t_read(t_contiguous(crop_scores_spread(single, 16, 4, 40, 31)), pixels, sizeof pixels);
    ck_ok(scope_end(&s));
    int largest = 0;
    for (int i = 0; i < 40 * 31; ++i) {
        int x = i % 31, y = i / 31;
        bool inside = x >= 4 && x < 20 && y >= 8 && y < 24;
        ck_assert(inside ? pixels[i] > 0 : pixels[i] == 0);
        largest = pixels[i] > pixels[largest] ? i : largest;
    }
    ck_assert_int_le(abs(largest % 31 - 11), 1);
    ck_assert_int_le(abs(largest / 31 - 15), 1);
}
END_TEST

START_TEST(every_option_trains_and_maps_are_made_where_they_are_asked_for)
{
    static const struct {
        imiad_option options[4];
        size_t count;
        bool maps;
    } cases[] = {
        {{{"variant", "patch"}}, 1, false},
        {{{"variant", "scar"}, {"density", "kernel"}}, 2, false},
        {{{"variant", "union"}, {"schedule", "epoch"}}, 2, false},
        {{{"localization", "gradcam"}}, 1, true},
        {{{"localization", "patches"}, {"patch_size", "32"}, {"patch_stride", "8"}}, 3, true},
        {{{"preset", "open_iad"}, {"epochs", "1"}, {"train_batch", "2"}}, 3, false},
        {{{"preset", "official"}, {"head_layers", "0"}}, 2, false},
        {{{"frozen_prefix", "conv1"}, {"schedule", "constant"}, {"pretrained", "false"}}, 3, false},
    };
    imiad_backbone *backbone = random_backbone();
    imiad_detector *d = make(backbone, cases[_i].options, cases[_i].count);
    fit_procedural(d, 2);
    imiad_image *image = procedural(IMIAD_PIXEL_RGB8, 90, 70);
    imiad_result r = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_score(&r, d, image));
    ck_assert(isfinite(r.score));
    ck_assert_int_eq(r.map != NULL, cases[_i].maps);
    imiad_image_free(image);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

/* A transformer from end to end, as the IM-IAD code trains its ViT-B/16; here a small one of random
 * weights, on tiny images. Two trainings of other draws leave the patch embedding the same, and all
 * else has moved. */
START_TEST(a_vision_transformer_learns_but_for_its_patch_embedding)
{
    imiad_backbone *backbone;
    imiad_detector *d[2];
    int frozen = 0, moved = 0;
    ck_ok(imiad_backbone_create(&backbone, "dinov2_vits14", NULL));
    imiad_image *image = procedural(IMIAD_PIXEL_RGB8, 40, 40);
    for (int i = 0; i < 2; ++i) {
        const imiad_option options[] = {
            {"preset", "open_iad"}, {"layer", "norm.cls_token"}, {"frozen_prefix", "patch_embed"},
            {"resize", "28"},       {"train_batch", "1"},        {"epochs", "1"},
            {"seed", i ? "2" : "1"}};
        imiad_result r = IMIAD_RESULT_INIT;
        ck_ok(imiad_detector_create(&d[i], "cutpaste", backbone, options, 7));
        fit_procedural(d[i], 2);
        ck_ok(imiad_detector_score(&r, d[i], image));
        ck_assert(isfinite(r.score) && r.score > 0);
        ck_assert_ptr_null(r.map);
    }
    const params *one = ((training *)d[0]->state)->stores[0].parameters;
    const params *two = ((training *)d[1]->state)->stores[0].parameters;
    for (size_t i = 0; i < params_count(one); ++i) {
        const param *p = params_at(one, i);
        scope s = scope_begin();
        double apart = t_item(t_sum_all(t_abs(t_sub(p->value, params_at(two, i)->value))));
        ck_ok(scope_end(&s));
        if (strncmp(p->name, "encoder.patch_embed", 19) == 0) {
            ck_assert_double_eq(apart, 0);
            ++frozen;
        } else
            moved += apart > 0;
    }
    ck_assert_int_eq(frozen, 2);
    ck_assert_int_gt(moved, 165); /* twelve blocks of fourteen, and what is around them */
    for (int i = 0; i < 2; ++i)
        imiad_detector_free(d[i]);
    imiad_image_free(image);
    imiad_backbone_free(backbone);
}
END_TEST

START_TEST(what_cannot_be_is_refused_with_a_reason)
{
    imiad_backbone *backbone = random_backbone();
    imiad_detector *d = NULL;
    const imiad_option both[] = {{"localization", "gradcam"}, {"density", "kernel"}};
    ck_fails(imiad_detector_create(&d, "cutpaste", backbone, both, 2), IMIAD_INVALID_ARGUMENT,
             "density=gaussian");
    const imiad_option frozen[] = {{"frozen_prefix", "nothing"}};
    d = make(backbone, frozen, 1);
    imiad_image *image = procedural(IMIAD_PIXEL_RGB8, SIDE, SIDE);
    ck_fails(imiad_detector_fit_images(d, (const imiad_image *const *)&image, 1, NULL, NULL),
             IMIAD_UNKNOWN_OPTION, "frozen_prefix=nothing");
    imiad_detector_free(d);
    imiad_image_free(image);
    imiad_backbone_free(backbone);
}
END_TEST

SUITE("cutpaste", TEST(ten_steps_equal_the_public_code), LOOP_TEST(the_density_is_scikit_learns, 2),
      TEST(one_normal_embedding_gives_no_distance),
      TEST(the_gradient_of_a_distance_is_what_backward_finds),
      TEST(crops_scores_are_spread_over_the_pixels_they_show),
      LOOP_TEST(every_option_trains_and_maps_are_made_where_they_are_asked_for, 8),
      TEST(a_vision_transformer_learns_but_for_its_patch_embedding),
      TEST(what_cannot_be_is_refused_with_a_reason))
