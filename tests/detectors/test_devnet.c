/* DevNet beside the authors' code (tests/golden/make_devnet.py), and what its definition says. */
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "data/split.h"
#include "detectors/detector.h"
#include "detectors/parts/deviation.h"
#include "detectors/parts/gradient_map.h"
#include "formula.h"
#include "golden_steps.h"
#include "nn/network.h"
#include "product_line.h"
#include "resumed.h"

#define GOLDEN "tests/golden/devnet.csv"

enum { STEPS = 10, TENSORS = 52, SCORES = 8 };

/* ---- a detector with the script's weights ---- */

static const imiad_option quick[] = {{"resize", "64"}, {"epochs", "1"},   {"train_batch", "2"},
                                     {"steps", "1"},   {"rotation", "0"}, {"smoothing", "0"}};
enum { QUICK = sizeof quick / sizeof *quick };

static imiad_detector *create(const product_line *l, const imiad_option *more, size_t count)
{
    imiad_option options[16];
    imiad_detector *d;
    memcpy(options, quick, sizeof quick);
    for (size_t i = 0; i < count; ++i)
        options[QUICK + i] = more[i];
    ck_ok(imiad_detector_create(&d, "devnet", l->backbone, options, QUICK + count));
    return d;
}

static product_line open_line(void)
{
    return product_line_open("64", "3", "2", "3", "supervised");
}

static params *store_of(const imiad_detector *d)
{
    return ((training *)d->state)->stores[0].parameters;
}

static imiad_detector *fitted(const product_line *l, const imiad_option *more, size_t count)
{
    imiad_detector *d = create(l, more, count);
    ck_ok(imiad_detector_fit(d, l->split, NULL, NULL));
    return d;
}

static imiad_detector *filled(const product_line *l, const imiad_option *more, size_t count)
{
    imiad_detector *d = fitted(l, more, count);
    formula_fill(store_of(d));
    return d;
}

/* ---- the authors' code ---- */

/* Relative L2 over the samples, as if they were all. */
static double apart(tensor *t, const golden_line *l)
{
    size_t count = (size_t)t_count(t);
    double *values = malloc(count * sizeof *values), square = 0;
    t_read(t_contiguous(t_to(t_detach(t), F64)), values, count * sizeof *values);
    for (size_t i = 0; i < GOLDEN_SAMPLES; ++i)
        square += pow(values[i * (count - 1) / (GOLDEN_SAMPLES - 1)] - l->values[i + 1], 2);
    free(values);
    return sqrt(square * (double)count / GOLDEN_SAMPLES) / l->values[0];
}

static const golden_line *line_of(const golden_case *g, const char *kind, const char *name)
{
    for (size_t i = 0; i < g->count; ++i)
        if (strcmp(g->lines[i].kind, kind) == 0 && strcmp(g->lines[i].name, name) == 0)
            return &g->lines[i];
    ck_abort_msg("no %s,%s,%s", kind, g->name, name);
    return NULL;
}

/* 448 x 448 as published. The features are looked at one by one through the layer's own name. */
START_TEST(features_and_scores_equal_the_authors)
{
    static golden_case golden;
    static const imiad_option whole[] = {{"resize", "448"}, {"localization", "none"}};
    golden_read(&golden, GOLDEN, "forward");
    product_line l = open_line();
    imiad_detector *d = filled(&l, whole, 2);
    scope s = scope_begin();
    network *net;
    params *store;
    ck_ok(params_create(&store));
    ck_ok(network_create(&net, l.backbone->architecture, (const char *const[]){"layer4"}, 1, store,
                         "feature_extractor.net.", 0, NULL, CPU));
    formula_fill(store);
    for (int scale = 0; scale < 2; ++scale) {
        tensor *map, *images = deviation_scaled(formula_images(0, 1, 448, F32), scale);
        network_features(net, images, (const char *const[]){"layer4"}, 1, &map, false);
        double error = apart(map, line_of(&golden, "feature", scale ? "s1" : "s0"));
        printf("devnet: layer4 at scale %d: %.2g\n", scale, error);
        ck_assert_double_lt(error, 1e-4);
    }
    ck_ok(scope_end(&s));
    network_free(net);
    params_free(store);
    imiad_image *image = formula_image(0, 448);
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_score(&result, d, image));
    double wanted = line_of(&golden, "score", "image")->values[0];
    ck_assert_double_eq_tol((double)result.score, wanted, 1e-5 * wanted);
    ck_assert_ptr_null(result.map);
    imiad_image_free(image);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

/* 196 patches have 19 in the top tenth, 49 four, 9 one. */
START_TEST(the_largest_patches_are_counted_as_by_the_authors)
{
    static const struct {
        int side;
        double share;
        const char *name;
    } maps[] = {{14, 0.1, "14-0.1"}, {7, 0.1, "7-0.1"}, {3, 0.1, "3-0.1"}, {7, 0, "7-0"}};
    static golden_case golden;
    golden_read(&golden, GOLDEN, "pool");
    scope s = scope_begin();
    for (size_t i = 0; i < sizeof maps / sizeof *maps; ++i) {
        const int64_t shape[] = {1, 1, maps[i].side, maps[i].side};
        tensor *patches = t_add_scalar(golden_procedural(shape, 0, F64), -1.25);
        ck_assert_double_eq_tol(t_item(deviation_top_mean(patches, maps[i].share)),
                                line_of(&golden, "pool", maps[i].name)->values[0], 1e-8);
    }
    ck_ok(scope_end(&s));
}
END_TEST

/* Among equal patches the first gets the gradient, with the sign of its score. */
START_TEST(of_equal_patches_the_first_counts)
{
    const float patches[] = {1, -3, 0, 2, 3, -3, 1, 1, 0, 1};
    const float expected[] = {0, -1, 0, 0, 0, 0, 0, 0, 0, 0};
    float found[10];
    scope s = scope_begin_grad();
    tensor *t = t_from(patches, 4, (int64_t[]){1, 1, 2, 5}, F32, CPU);
    t_require_grad(t, true);
    t_backward(t_sum_all(deviation_top_mean(t, 0.1)));
    t_read(t_contiguous(t_grad(t)), found, sizeof found);
    ck_ok(scope_end(&s));
    for (int i = 0; i < 10; ++i)
        ck_assert_float_eq(found[i], expected[i]);
}
END_TEST

static tensor *formula_prior(void)
{
    double numbers[5000];
    for (uint32_t i = 0; i < 5000; ++i)
        numbers[i] = 1.5 * formula_noise(i, 7) + 0.25;
    return t_from(numbers, 1, (int64_t[]){5000}, F64, CPU);
}

START_TEST(losses_and_gradients_equal_the_authors)
{
    static const double given[SCORES] = {-2, 0.1, 0.3, 4, 9, 12, -3, 1};
    static const double labels[][SCORES] = {
        {0, 0, 0, 0, 1, 1, 1, 1}, {0}, {1, 1, 1, 1, 1, 1, 1, 1}};
    static const char *const names[] = {"mixed", "normal", "anomalous"};
    static golden_case golden;
    const int64_t count = SCORES;
    golden_read(&golden, GOLDEN, "losses");
    for (int i = 0; i < 3; ++i) {
        double gradient[SCORES];
        scope s = scope_begin_grad();
        tensor *scored = t_from(given, 1, &count, F64, CPU);
        t_require_grad(scored, true);
        deviation_prior prior = deviation_prior_of(formula_prior());
        tensor *loss = deviation_loss(scored, t_from(labels[i], 1, &count, F64, CPU), &prior, 5);
        t_backward(loss);
        t_read(t_grad(scored), gradient, sizeof gradient);
        double value = t_item(loss);
        ck_ok(scope_end(&s));
        ck_assert_double_eq_tol(value, line_of(&golden, "loss", names[i])->values[0], 1e-6);
        const golden_line *wanted = line_of(&golden, "gradient", names[i]);
        for (int k = 0; k < SCORES; ++k)
            ck_assert_double_eq_tol(gradient[k], wanted->values[1 + k], 1e-6);
    }
}
END_TEST

START_TEST(a_loss_of_no_image_is_zero)
{
    const deviation_prior prior = {0, 1};
    const int64_t none = 0;
    scope s = scope_begin();
    tensor *nothing = t_zeros(1, &none, F32, CPU);
    ck_assert_double_eq(t_item(deviation_loss(nothing, nothing, &prior, 5)), 0);
    ck_ok(scope_end(&s));
}
END_TEST

START_TEST(learning_rates_are_the_authors)
{
    static golden_case golden;
    golden_read(&golden, GOLDEN, "rates");
    ck_assert_uint_eq(golden.count, 50);
    product_line l = open_line();
    imiad_detector *d = create(&l, NULL, 0);
    const training *t = d->state;
    for (size_t i = 0; i < golden.count; ++i) {
        train_step step = {.epoch = (int64_t)i, .epochs = 50, .index = (int64_t)i * 20};
        double wanted = golden.lines[i].values[0], found = t->ops->rate(d, 0.0002, &step, 1000);
        ck_assert_double_eq_tol(found, wanted, 1e-8 * wanted);
    }
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

/* As before the first step. */
static void forget_kept(params *store)
{
    scope s = scope_begin();
    for (size_t i = 0; i < params_count(store); ++i)
        if (strncmp(params_at(store, i)->name, "left.", 5) == 0)
            t_zero_(params_at(store, i)->value);
    ck_ok(scope_end(&s));
}

typedef struct followed {
    const char *name;
    int steps;
    imiad_option options[2];
    size_t count;
} followed;

/* Steps on four images in double precision, from the script's weights, beside a case's. */
static void follow(const followed *f)
{
    static golden_case golden;
    static const train_image told[4] = {{.label = 0}, {.label = 0}, {.label = 1}, {.label = 1}};
    golden_read(&golden, GOLDEN, f->name);
    product_line l = open_line();
    imiad_detector *d = fitted(&l, f->options, f->count);
    training *t = d->state;
    params *store = store_of(d);
    double losses = 0, above = 0, below = 0, statistics = 0;
    int compared = 0;
    formula_fill(store);
    ck_ok(params_to(store, F64, CPU));
    forget_kept(store);
    optimizer_free(t->rules[0].optimizer);
    t->rules[0].optimizer = NULL;
    ck_ok(training_make_optimizers(t));
    for (int i = 0; i < f->steps; ++i) {
        scope s = scope_begin_grad();
        train_step step = {.count = 4, .index = i, .epochs = 50, .told = told};
        step.pixels.images = formula_images(20, 4, 32, F64);
        tensor *loss = t->ops->loss(d, &step);
        double wanted = golden.lines[i].values[0];
        losses = fmax(losses, fabs(t_item(loss) / wanted - 1));
        t_backward(loss);
        params_clip_grad(store, options_real(d->options, "gradient_clip"));
        t->ops->clipped(d, &step);
        optimizer_step(t->rules[0].optimizer, t->rules[0].rate);
        ck_ok(scope_end(&s));
        params_clear_grad(store);
    }
    scope s = scope_begin();
    for (size_t i = 0; i < golden.count; ++i) {
        const golden_line *g = &golden.lines[i];
        if (strcmp(g->kind, "parameter") != 0)
            continue;
        const param *p = params_find(store, g->name);
        ck_assert_msg(p, "no %s", g->name);
        double error = apart(p->value, g);
        if (formula_ends(g->name, "running_mean") || formula_ends(g->name, "running_var"))
            statistics = fmax(statistics, error);
        above += pow(error * g->values[0], 2);
        below += pow(g->values[0], 2);
        ++compared;
    }
    ck_ok(scope_end(&s));
    printf("devnet: %s: losses %.2g, %d tensors %.2g, statistics at most %.2g\n", f->name, losses,
           compared, sqrt(above / below), statistics);
    ck_assert_int_eq(compared, TENSORS);
    ck_assert_double_lt(losses, 1e-6);
    ck_assert_double_lt(sqrt(above / below), 1e-6);
    ck_assert_double_lt(statistics, 1e-5);
    imiad_detector_free(d);
    product_line_close(&l);
}

/* Both scales move the running statistics, the larger one first; gradients are clipped. */
START_TEST(ten_steps_in_double_equal_the_authors)
{
    follow(&(followed){"steps", STEPS, {{"layer", "layer2"}}, 1});
}
END_TEST

/* What scores stays as it began, and its gradients pile up in the clipped norm. */
START_TEST(steps_of_the_backbone_alone_equal_the_im_iad_code)
{
    follow(&(followed){"open_iad", 4, {{"layer", "layer2"}, {"trained", "backbone"}}, 2});
}
END_TEST

static tensor *map_tensor(const imiad_result *r)
{
    return t_from(r->map, 3, (int64_t[]){1, r->height, r->width}, F32, CPU);
}

/* Before and after the scaling to the percentile, and smoothed. */
START_TEST(gradient_maps_equal_the_authors)
{
    static const imiad_option kinds[][3] = {
        {{"resize", "128"}, {"localization", "gradient_raw"}, {"smoothing", "0"}},
        {{"resize", "128"}, {"localization", "gradient"}, {"smoothing", "0"}},
        {{"resize", "128"}, {"localization", "gradient"}, {"smoothing", "4"}}};
    static const char *const names[] = {"gradient_raw", "gradient", "blurred"};
    static golden_case golden;
    golden_read(&golden, GOLDEN, "maps");
    product_line l = open_line();
    imiad_image *image = formula_image(40, 128);
    for (int i = 0; i < 3; ++i) {
        imiad_detector *d = filled(&l, kinds[i], 3);
        imiad_result result = IMIAD_RESULT_INIT;
        ck_ok(imiad_detector_score(&result, d, image));
        scope s = scope_begin();
        double error = apart(map_tensor(&result), line_of(&golden, "map", names[i]));
        ck_ok(scope_end(&s));
        printf("devnet: map %s: %.2g\n", names[i], error);
        ck_assert_double_lt(error, 1e-4);
        imiad_detector_free(d);
    }
    imiad_image_free(image);
    product_line_close(&l);
}
END_TEST

/* ---- what the definition says ---- */

START_TEST(flat_maps_stay_finite)
{
    scope s = scope_begin();
    tensor *ones = t_full(3, (int64_t[]){1, 10, 10}, 3, F32, CPU);
    ck_assert_double_eq(t_item(t_max_all(gradient_map_scale(ones))), 0);
    tensor *peak = t_zeros(3, (int64_t[]){1, 20, 20}, F32, CPU);
    t_fill_(t_slice(t_slice(peak, 1, 3, 4), 2, 4, 5), 7); /* its percentile is 0 */
    ck_assert_double_eq(t_item(t_max_all(gradient_map_scale(peak))), 7);
    ck_ok(scope_end(&s));
}
END_TEST

/* Over a hundred steps of 24 + 24, ten anomalies are seen equally often, but for one pass. */
START_TEST(batches_are_half_anomalies_and_use_all_alike)
{
    static const imiad_option ten[] = {{"anomalies", "10"}};
    static const imiad_option wide[] = {{"steps", "100"}, {"train_batch", "48"}};
    const imiad_option drawn[] = {
        {"size", "64"}, {"train", "30"}, {"test_good", "1"}, {"test_defective", "14"}};
    product_line l = open_line();
    imiad_detector *d = create(&l, wide, 2);
    imiad_dataset *dataset;
    imiad_split *split;
    train_set *set;
    ck_ok(imiad_dataset_open(&dataset, "synthetic", NULL, drawn, 4));
    ck_ok(imiad_split_create(&split, dataset, imiad_dataset_category(dataset, 0), "supervised", ten,
                             1));
    image_source source = {
        .dataset = dataset, .entries = split->train.entries, .count = split->train.count};
    ck_ok(train_set_open(&set, d, &source));
    static size_t order[4800], list[64];
    int seen[64] = {0}, fewest = 4800, most = 0;
    for (size_t i = 0; i < source.count; ++i)
        list[i] = i;
    train_plan plan = {.steps = 1, .batch = 1, .images = list, .count = source.count, .set = set};
    const training *t = d->state;
    random_stream stream = random_open(66, "devnet/draw/0");
    ck_ok(t->ops->plan(d, &plan));
    ck_assert_int_eq(plan.steps, 100);
    ck_assert_int_eq(plan.batch, 48);
    ck_ok(t->ops->draw(d, &plan, &stream, order));
    for (int i = 0; i < 4800; ++i) {
        ck_assert_int_eq(train_set_image(set, order[i]).label, i % 48 >= 24);
        ++seen[order[i]];
    }
    for (size_t i = 0; i < source.count; ++i) {
        if (train_set_image(set, i).label == 0)
            continue;
        fewest = seen[i] < fewest ? seen[i] : fewest;
        most = seen[i] > most ? seen[i] : most;
    }
    ck_assert_int_eq(fewest, 240);
    ck_assert_int_eq(most, 240);
    train_set_close(set);
    imiad_split_free(split);
    imiad_dataset_free(dataset);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(a_rotation_differs_from_place_to_place)
{
    static const imiad_option turned[] = {{"rotation", "180"}, {"train_batch", "4"}};
    product_line l = open_line();
    imiad_detector *still = fitted(&l, &turned[1], 1), *d = fitted(&l, turned, 2);
    const training *a = still->state, *b = d->state;
    ck_assert(a->losses[0] != b->losses[0]);
    imiad_detector_free(still);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(without_labelled_anomalies_it_names_the_setting)
{
    product_line l = product_line_open("64", "2", "1", "1", "unsupervised");
    imiad_detector *d = create(&l, NULL, 0);
    ck_fails(imiad_detector_fit(d, l.split, NULL, NULL), IMIAD_INVALID_ARGUMENT,
             "use the setting supervised");
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(a_scale_without_pixels_is_refused)
{
    static const imiad_option deep[] = {{"scales", "4"}, {"crop", "4"}};
    product_line l = open_line();
    imiad_detector *d = create(&l, deep, 2);
    ck_fails(imiad_detector_fit(d, l.split, NULL, NULL), IMIAD_MISMATCH, "scales");
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

typedef struct clone_job {
    imiad_detector *detector;
    const imiad_image *image;
    float *maps;
    imiad_status status;
} clone_job;

static void *score_often(void *argument)
{
    clone_job *job = argument;
    for (int i = 0; i < 5 && job->status == IMIAD_OK; ++i) {
        imiad_result result = IMIAD_RESULT_INIT;
        job->status = imiad_detector_score(&result, job->detector, job->image);
        if (job->status == IMIAD_OK)
            memcpy(job->maps, result.map, 64 * 64 * sizeof *job->maps);
    }
    return NULL;
}

/* Their parameters are one and the same, and must end without a gradient. */
START_TEST(clones_find_gradients_on_several_threads)
{
    static float maps[3][64 * 64];
    product_line l = open_line();
    imiad_detector *d = fitted(&l, NULL, 0), *clones[2];
    imiad_image *image = formula_image(1, 64);
    imiad_result alone = IMIAD_RESULT_INIT;
    pthread_t threads[2];
    clone_job jobs[2];
    ck_ok(imiad_detector_score(&alone, d, image));
    memcpy(maps[2], alone.map, sizeof maps[2]);
    for (int i = 0; i < 2; ++i) {
        ck_ok(imiad_detector_clone(&clones[i], d));
        jobs[i] = (clone_job){clones[i], image, maps[i], IMIAD_OK};
        pthread_create(&threads[i], NULL, score_often, &jobs[i]);
    }
    for (int i = 0; i < 2; ++i) {
        pthread_join(threads[i], NULL);
        ck_ok(jobs[i].status);
        ck_assert_mem_eq(maps[i], maps[2], sizeof maps[2]);
        imiad_detector_free(clones[i]);
    }
    scope s = scope_begin();
    for (size_t i = 0; i < params_count(store_of(d)); ++i)
        ck_assert_ptr_null(t_grad(params_at(store_of(d), i)->value));
    ck_ok(scope_end(&s));
    imiad_image_free(image);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(stopped_and_continued_learns_the_same_bytes)
{
    product_line l = open_line();
    resumed_fit f = {.detector = "devnet", .backbone = l.backbone, .split = l.split};
    memcpy(f.options, quick, sizeof quick);
    f.options[QUICK] = (imiad_option){"epochs", "3"};
    f.options[QUICK + 1] = (imiad_option){"rotation", "90"};
    f.options[QUICK + 2] = (imiad_option){"layer", "layer2"};
    f.options[QUICK + 3] = (imiad_option){"steps", "2"};
    f.option_count = QUICK + 4;
    resumed_equals_undisturbed(&f, 2);
    product_line_close(&l);
}
END_TEST

SUITE("devnet", TEST(features_and_scores_equal_the_authors),
      TEST(the_largest_patches_are_counted_as_by_the_authors),
      TEST(of_equal_patches_the_first_counts), TEST(losses_and_gradients_equal_the_authors),
      TEST(a_loss_of_no_image_is_zero), TEST(learning_rates_are_the_authors),
      TEST(ten_steps_in_double_equal_the_authors),
      TEST(steps_of_the_backbone_alone_equal_the_im_iad_code),
      TEST(gradient_maps_equal_the_authors), TEST(flat_maps_stay_finite),
      TEST(batches_are_half_anomalies_and_use_all_alike),
      TEST(a_rotation_differs_from_place_to_place),
      TEST(without_labelled_anomalies_it_names_the_setting),
      TEST(a_scale_without_pixels_is_refused), TEST(clones_find_gradients_on_several_threads),
      TEST(stopped_and_continued_learns_the_same_bytes))
