/* DRA beside the authors' code (tests/golden/make_dra.py), and what its definition says. */
#include <math.h>
#include <string.h>

#include "data/split.h"
#include "detectors/detector.h"
#include "detectors/parts/dra_heads.h"
#include "formula.h"
#include "golden_steps.h"
#include "nn/network.h"
#include "product_line.h"
#include "resumed.h"

#define GOLDEN "tests/golden/dra.csv"

enum { STEPS = 10, TENSORS = 66, SUMS = 8, REFERENCES = 5, TESTED = 2 };

static const char *const head_names[DRA_HEADS] = {"holistic", "seen", "pseudo", "composite"};

static const golden_line *line_of(const golden_case *g, const char *kind, const char *name)
{
    for (size_t i = 0; i < g->count; ++i)
        if (strcmp(g->lines[i].kind, kind) == 0 && strcmp(g->lines[i].name, name) == 0)
            return &g->lines[i];
    ck_abort_msg("no %s,%s,%s", kind, g->name, name);
    return NULL;
}

/* ---- heads and losses ---- */

static dra_heads filled_heads(params *store, int64_t channels, dtype type)
{
    const builder b = {.store = store};
    dra_heads heads = dra_heads_add(&b, channels, 0.1);
    formula_fill(store);
    ck_ok(params_to(store, type, CPU));
    return heads;
}

/* A gradient's norm, and its sums weighed with noise, beside those of the line. */
static double gradient_error(tensor *gradient, const golden_line *l)
{
    size_t count = (size_t)t_count(gradient);
    double *values = malloc(count * sizeof *values), sums[1 + SUMS] = {0}, worst = 0;
    t_read(t_contiguous(gradient), values, count * sizeof *values);
    for (size_t i = 0; i < count; ++i) {
        sums[0] += values[i] * values[i];
        for (uint32_t seed = 0; seed < SUMS && values[i] != 0; ++seed)
            sums[1 + seed] += values[i] * formula_noise((uint32_t)i, seed);
    }
    sums[0] = sqrt(sums[0]);
    free(values);
    for (int k = 0; k <= SUMS; ++k)
        worst = fmax(worst, fabs(sums[k] - l->values[k]) / l->values[0]);
    return worst;
}

/* The residual is reference minus image, and references get their share of the gradient. */
START_TEST(heads_and_their_gradients_equal_the_authors)
{
    static golden_case golden;
    for (int side = 14; side >= 7; side -= 7) {
        char name[16];
        double worst = 0;
        snprintf(name, sizeof name, "heads%d", side);
        golden_read(&golden, GOLDEN, name);
        params *store;
        ck_ok(params_create(&store));
        scope s = scope_begin_grad();
        dra_heads heads = filled_heads(store, 128, F64);
        const int64_t shape[] = {REFERENCES + TESTED, 128, side, side};
        for (int h = 0; h < DRA_HEADS; ++h) {
            tensor *found[DRA_HEADS], *maps = golden_procedural(shape, side, F64);
            double values[TESTED];
            t_require_grad(maps, true);
            tensor *normal = t_mean(t_slice(maps, 0, 0, REFERENCES), 0, true);
            dra_heads_run(&heads, t_slice(maps, 0, REFERENCES, shape[0]), normal, true, found);
            t_backward_to(t_sum_all(found[h]), maps);
            t_read(t_contiguous(t_detach(found[h])), values, sizeof values);
            const golden_line *wanted = line_of(&golden, "score", head_names[h]);
            for (int i = 0; i < TESTED; ++i)
                worst = fmax(worst, fabs(values[i] / wanted->values[i] - 1));
            worst = fmax(worst,
                         gradient_error(t_grad(maps), line_of(&golden, "gradient", head_names[h])));
        }
        ck_ok(scope_end(&s));
        params_free(store);
        printf("dra: heads at %d x %d: %.2g\n", side, side, worst);
        ck_assert_double_lt(worst, 1e-6);
    }
}
END_TEST

/* Who learns from whom, and towards what. */
START_TEST(losses_of_a_table_of_labels_equal_the_authors)
{
    static const dra_kind kinds[] = {DRA_NORMAL, DRA_LABELLED, DRA_PASTED,
                                     DRA_NORMAL, DRA_LABELLED, DRA_PASTED};
    static golden_case golden;
    const int64_t count = 6;
    double numbers[5000];
    golden_read(&golden, GOLDEN, "losses");
    for (uint32_t i = 0; i < 5000; ++i)
        numbers[i] = 1.5 * formula_noise(i, 7) + 0.25;
    scope s = scope_begin();
    deviation_prior prior = deviation_prior_of(t_from(numbers, 1, (int64_t[]){5000}, F64, CPU));
    for (int h = 0; h < DRA_HEADS; ++h) {
        double given[6];
        for (uint32_t i = 0; i < 6; ++i)
            given[i] = 4 * (formula_noise(i, (uint32_t)h) + 1);
        tensor *loss =
            dra_head_loss(h, t_from(given, 1, &count, F64, CPU), kinds, count, &prior, 5);
        ck_assert_double_eq_tol(t_item(loss), line_of(&golden, "loss", head_names[h])->values[0],
                                1e-6);
    }
    ck_ok(scope_end(&s));
}
END_TEST

/* The mean over nothing is not a number in the authors' code. */
START_TEST(a_head_without_images_has_no_loss)
{
    static const dra_kind pasted[] = {DRA_PASTED, DRA_PASTED}, labelled[] = {DRA_LABELLED};
    const deviation_prior prior = {0, 1};
    scope s = scope_begin();
    tensor *two = t_full(1, (int64_t[]){2}, 3, F32, CPU), *one = t_slice(two, 0, 0, 1);
    ck_assert_double_eq(t_item(dra_head_loss(DRA_SEEN, two, pasted, 2, &prior, 5)), 0);
    ck_assert_double_eq(t_item(dra_head_loss(DRA_PSEUDO, one, labelled, 1, &prior, 5)), 0);
    ck_assert_double_eq(t_item(dra_head_loss(DRA_COMPOSITE, one, labelled, 1, &prior, 5)), 2);
    ck_ok(scope_end(&s));
}
END_TEST

/* ---- a detector ---- */

static const imiad_option quick[] = {{"resize", "64"},    {"epochs", "1"},    {"train_batch", "6"},
                                     {"steps", "1"},      {"rotation", "0"},  {"smoothing", "0"},
                                     {"layer", "layer2"}, {"references", "2"}};
enum { QUICK = sizeof quick / sizeof *quick };

static imiad_detector *create(const product_line *l, const imiad_option *more, size_t count)
{
    imiad_option options[16];
    imiad_detector *d;
    memcpy(options, quick, sizeof quick);
    for (size_t i = 0; i < count; ++i)
        options[QUICK + i] = more[i];
    ck_ok(imiad_detector_create(&d, "dra", l->backbone, options, QUICK + count));
    return d;
}

static product_line open_line(const char *setting)
{
    return product_line_open("64", "3", "2", "3", setting);
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

/* The four heads' scores of images, from parts of their own: `from` NULL takes the script's
 * weights, otherwise those of that store. */
static void score_apart(float out[DRA_HEADS][TESTED], const architecture *a, const char *layer,
                        int64_t channels, const params *from, tensor *references, tensor *images)
{
    params *store;
    network *net;
    ck_ok(params_create(&store));
    ck_ok(network_create(&net, a, &layer, 1, store, "feature_extractor.net.", 0, NULL, CPU));
    scope s = scope_begin();
    dra_heads heads = filled_heads(store, channels, F32);
    tensor *sums[DRA_HEADS] = {NULL};
    if (from)
        ck_ok(params_copy(store, from));
    for (int scale = 0; scale < 2; ++scale) {
        tensor *normal, *maps, *found[DRA_HEADS];
        network_features(net, deviation_scaled(references, scale), &layer, 1, &normal, false);
        network_features(net, deviation_scaled(images, scale), &layer, 1, &maps, false);
        dra_heads_run(&heads, maps, t_mean(normal, 0, true), false, found);
        for (int h = 0; h < DRA_HEADS; ++h)
            sums[h] = t_plus(sums[h], t_mul_scalar(found[h], 0.5));
    }
    for (int h = 0; h < DRA_HEADS; ++h)
        t_read(t_contiguous(sums[h]), out[h], (size_t)t_count(sums[h]) * sizeof **out);
    ck_ok(scope_end(&s));
    network_free(net);
    params_free(store);
}

START_TEST(scores_of_images_equal_the_authors)
{
    static golden_case golden;
    float found[DRA_HEADS][TESTED];
    golden_read(&golden, GOLDEN, "eval");
    product_line l = open_line("supervised");
    scope s = scope_begin();
    score_apart(found, l.backbone->architecture, "layer4", 512, NULL,
                formula_images(0, REFERENCES, 128, F32), formula_images(10, TESTED, 128, F32));
    ck_ok(scope_end(&s));
    for (int h = 0; h < DRA_HEADS; ++h)
        for (int i = 0; i < TESTED; ++i) {
            char name[32];
            snprintf(name, sizeof name, "%d-%s", i, head_names[h]);
            double wanted = line_of(&golden, "score", name)->values[0];
            ck_assert_double_eq_tol((double)found[h][i], wanted, 1e-5 * wanted);
        }
    product_line_close(&l);
}
END_TEST

/* Their sum, the holistic head's with the other sign, against the references that were kept: these
 * are all the normal images there are. */
START_TEST(a_detector_adds_the_heads_up)
{
    product_line l = open_line("unsupervised");
    imiad_detector *d = create(&l, NULL, 0);
    imiad_image *images[3] = {formula_image(0, 64), formula_image(1, 64), formula_image(2, 64)};
    imiad_result result = IMIAD_RESULT_INIT, again = IMIAD_RESULT_INIT;
    float found[DRA_HEADS][TESTED];
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)images, 2, NULL, NULL));
    ck_ok(imiad_detector_score(&result, d, images[2]));
    scope s = scope_begin();
    score_apart(found, l.backbone->architecture, "layer2", 128, store_of(d),
                formula_images(0, 2, 64, F32), formula_images(2, 1, 64, F32));
    ck_ok(scope_end(&s));
    double wanted = (double)(found[DRA_SEEN][0] + found[DRA_PSEUDO][0] + found[DRA_COMPOSITE][0] -
                             found[DRA_HOLISTIC][0]);
    ck_assert_double_eq_tol((double)result.score, wanted, 1e-5);
    float first = result.score;
    ck_ok(imiad_detector_score(&again, d, images[2]));
    ck_assert_mem_eq(&first, &again.score, sizeof first);
    for (int i = 0; i < 3; ++i)
        imiad_image_free(images[i]);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(learning_rates_are_the_authors)
{
    static golden_case golden;
    golden_read(&golden, GOLDEN, "rates");
    ck_assert_uint_eq(golden.count, 30);
    product_line l = open_line("supervised");
    imiad_detector *d = create(&l, NULL, 0);
    const training *t = d->state;
    for (size_t i = 0; i < golden.count; ++i) {
        train_step step = {.epoch = (int64_t)i, .epochs = 30, .index = (int64_t)i * 20};
        double wanted = golden.lines[i].values[0], found = t->ops->rate(d, 0.0002, &step, 600);
        ck_assert_double_eq_tol(found, wanted, 1e-8 * wanted);
    }
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

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

typedef struct followed {
    const char *name;
    int steps;
    float kinds[8]; /* of two references and six images */
    imiad_option options[1];
    size_t count;
    bool falling; /* the learning rate, with the steps as epochs */
} followed;

/* As before the first step. */
static void forget_kept(params *store)
{
    scope s = scope_begin();
    for (size_t i = 0; i < params_count(store); ++i)
        if (strncmp(params_at(store, i)->name, "left.", 5) == 0)
            t_zero_(params_at(store, i)->value);
    ck_ok(scope_end(&s));
}

/* Steps in double precision, from the script's weights, beside a case's. */
static void follow(const followed *f)
{
    static golden_case golden;
    golden_read(&golden, GOLDEN, f->name);
    product_line l = open_line("supervised");
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
        tensor *images[] = {formula_images(30, 2, 32, F64), formula_images(20, 6, 32, F64)};
        tensor *made[MADE_TENSORS] = {t_cat(images, 2, 0),
                                      t_from(f->kinds, 4, (int64_t[]){8, 1, 1, 1}, F32, CPU)};
        train_step step = {
            .count = 8, .index = i, .epoch = f->falling ? i : 0, .epochs = 30, .made = made};
        tensor *loss = t->ops->loss(d, &step);
        losses = fmax(losses, fabs(t_item(loss) / golden.lines[i].values[0] - 1));
        t_backward(loss);
        params_clip_grad(store, options_real(d->options, "gradient_clip"));
        t->ops->clipped(d, &step);
        optimizer_step(t->rules[0].optimizer, t->ops->rate(d, t->rules[0].rate, &step, 0));
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
    printf("dra: %s: losses %.2g, %d tensors %.2g, statistics at most %.2g\n", f->name, losses,
           compared, sqrt(above / below), statistics);
    ck_assert_int_eq(compared, TENSORS);
    ck_assert_double_lt(losses, 1e-6);
    ck_assert_double_lt(sqrt(above / below), 1e-6);
    ck_assert_double_lt(statistics, 1e-5);
    imiad_detector_free(d);
    product_line_close(&l);
}

/* References take part in the backbone's statistics and not in the composite head's. */
START_TEST(ten_steps_in_double_equal_the_authors)
{
    follow(&(followed){"steps", STEPS, {0, 0, 0, 2, 0, 2, 1, 1}, {{NULL, NULL}}, 0, true});
}
END_TEST

/* The heads stay as they began, and their gradients pile up in the clipped norm. */
START_TEST(steps_of_the_backbone_alone_equal_the_im_iad_code)
{
    follow(
        &(followed){"open_iad", 4, {0, 0, 0, 0, 0, 0, 1, 1}, {{"trained", "backbone"}}, 1, false});
}
END_TEST

/* ---- what the definition says ---- */

/* Counts what the maker says of places, and looks at whether the images are as they were. */
START_TEST(normal_images_make_place_for_pasted_ones)
{
    static const imiad_option wide[] = {{"train_batch", "60"}};
    product_line l = open_line("supervised");
    imiad_detector *d = create(&l, wide, 1);
    const training *t = d->state;
    train_set *set;
    image_source source = {
        .dataset = l.dataset, .entries = l.split->train.entries, .count = l.split->train.count};
    ck_ok(train_set_open(&set, d, &source));
    size_t list[8], order[62];
    for (size_t i = 0; i < source.count; ++i)
        list[i] = i;
    train_plan plan = {.steps = 1, .batch = 1, .images = list, .count = source.count, .set = set};
    random_stream stream = random_open(66, "dra/draw/0");
    ck_ok(t->ops->plan(d, &plan));
    plan.steps = 1;
    ck_assert_int_eq(plan.batch, 62);
    ck_ok(t->ops->draw(d, &plan, &stream, order));
    const train_pass pass = {.order = order, .count = 62, .batch = 62, .maker = t->maker};
    ck_ok(train_set_begin(set, &pass));
    scope s = scope_begin();
    batch b;
    float kinds[62];
    int pasted = 0;
    ck_assert(train_set_next(set, &b));
    t_read(t_contiguous(b.made[1]), kinds, sizeof kinds);
    for (int i = 0; i < 62; ++i) {
        int label = b.told[i].label;
        ck_assert_int_eq(label, i >= 42); /* two references, forty normal ones, twenty anomalies */
        ck_assert((int)kinds[i] == DRA_LABELLED ? label == 1 : label == 0);
        double moved = t_item(t_max_all(
            t_abs(t_sub(t_slice(b.made[0], 0, i, i + 1), t_slice(b.images, 0, i, i + 1)))));
        ck_assert(((int)kinds[i] == DRA_PASTED) == (moved > 0));
        pasted += (int)kinds[i] == DRA_PASTED;
    }
    ck_ok(scope_end(&s));
    ck_assert(pasted > 10 && pasted < 32); /* 21, give or take three deviations */
    train_set_close(set);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

/* With the options of open_iad: the same references in every step, every image once, and what
 * fills the last step is not looked at: its loss is that of its own images. */
START_TEST(a_pass_sees_every_image_once_behind_fixed_references)
{
    static const imiad_option pass[] = {
        {"steps", "0"}, {"ref", "fixed"}, {"pseudo", "0"}, {"train_batch", "3"}};
    product_line l = open_line("supervised"); /* three normal images and an anomaly */
    imiad_detector *d = create(&l, pass, 4);
    const training *t = d->state;
    train_set *set;
    image_source source = {
        .dataset = l.dataset, .entries = l.split->train.entries, .count = l.split->train.count};
    ck_ok(train_set_open(&set, d, &source));
    size_t list[4] = {0, 1, 2, 3}, order[10];
    int seen[4] = {0};
    ck_assert_uint_eq(source.count, 4);
    train_plan plan = {.steps = 9, .batch = 9, .images = list, .count = 4, .set = set};
    random_stream stream = random_open(66, "dra/draw/0");
    ck_ok(t->ops->plan(d, &plan));
    ck_assert_int_eq(plan.steps, 2);
    ck_assert_int_eq(plan.batch, 5);
    ck_ok(t->ops->draw(d, &plan, &stream, order));
    ck_assert_uint_eq(order[0], order[5]);
    ck_assert_uint_eq(order[1], order[6]);
    ck_assert_uint_ne(order[0], order[1]);
    ck_assert_int_eq(train_set_image(set, order[0]).label, 0);
    ++seen[order[2]], ++seen[order[3]], ++seen[order[4]], ++seen[order[7]];
    for (int i = 0; i < 4; ++i)
        ck_assert_int_eq(seen[i], 1);
    train_set_close(set);
    ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

static char told[4096];

static void listen(void *user, imiad_log_level level, const char *message)
{
    (void)user;
    if (level == IMIAD_LOG_INFO && strncmp(message, "dra: learns", 11) == 0)
        snprintf(told, sizeof told, "%s", message);
}

START_TEST(it_says_what_it_learned_from)
{
    static const struct {
        const char *setting, *words;
    } cases[] = {{"supervised", "labelled and pasted anomalies"},
                 {"unsupervised", "pasted anomalies"}};
    for (int i = 0; i < 2; ++i) {
        char path[] = "/tmp/imiad-test-XXXXXX";
        weights *file;
        close(mkstemp(path));
        product_line l = open_line(cases[i].setting);
        imiad_set_log(listen, NULL);
        imiad_detector *d = fitted(&l, NULL, 0);
        imiad_set_log(NULL, NULL);
        ck_assert_msg(strstr(told, cases[i].words), "%s", told);
        ck_ok(imiad_detector_save(d, path));
        ck_ok(weights_open(&file, path));
        ck_assert_str_eq(weights_metadata(file, "learned_from"), cases[i].words);
        weights_free(file);
        imiad_detector_free(d);
        product_line_close(&l);
        unlink(path);
    }
}
END_TEST

START_TEST(with_nothing_to_learn_from_it_names_the_setting)
{
    static const imiad_option none[] = {{"pseudo", "0"}};
    product_line l = open_line("unsupervised");
    imiad_detector *d = create(&l, none, 1);
    ck_fails(imiad_detector_fit(d, l.split, NULL, NULL), IMIAD_INVALID_ARGUMENT,
             "use the setting supervised");
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(references_of_the_official_kind_are_other_ones)
{
    static const imiad_option official[] = {{"ref", "official"}, {"rotation", "90"}},
                              clean[] = {{"ref", "clean"}, {"rotation", "90"}};
    product_line l = open_line("supervised");
    imiad_detector *a = fitted(&l, clean, 2), *b = fitted(&l, official, 2);
    imiad_image *image = formula_image(3, 64);
    imiad_result ra = IMIAD_RESULT_INIT, rb = IMIAD_RESULT_INIT;
    const training *ta = a->state, *tb = b->state;
    ck_ok(imiad_detector_score(&ra, a, image));
    ck_ok(imiad_detector_score(&rb, b, image));
    ck_assert_double_eq(ta->losses[0], tb->losses[0]); /* training is the same */
    ck_assert(ra.score != rb.score);
    imiad_image_free(image);
    imiad_detector_free(a);
    imiad_detector_free(b);
    product_line_close(&l);
}
END_TEST

START_TEST(an_image_of_another_size_is_told)
{
    static const imiad_option any[] = {{"resize_mode", "shorter"}};
    product_line l = open_line("supervised");
    imiad_detector *d = fitted(&l, any, 1);
    imiad_image *image;
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_image_create(&image, IMIAD_PIXEL_RGB8, 64, 128));
    ck_fails(imiad_detector_score(&result, d, image), IMIAD_MISMATCH, "resize_mode=squash");
    imiad_image_free(image);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(stopped_and_continued_learns_the_same_bytes)
{
    product_line l = open_line("supervised");
    resumed_fit f = {.detector = "dra", .backbone = l.backbone, .split = l.split};
    memcpy(f.options, quick, sizeof quick);
    f.options[QUICK] = (imiad_option){"epochs", "3"};
    f.options[QUICK + 1] = (imiad_option){"rotation", "90"};
    f.options[QUICK + 2] = (imiad_option){"steps", "2"};
    f.option_count = QUICK + 3;
    resumed_equals_undisturbed(&f, 2);
    product_line_close(&l);
}
END_TEST

SUITE("dra", TEST(heads_and_their_gradients_equal_the_authors),
      TEST(losses_of_a_table_of_labels_equal_the_authors), TEST(a_head_without_images_has_no_loss),
      TEST(scores_of_images_equal_the_authors), TEST(a_detector_adds_the_heads_up),
      TEST(learning_rates_are_the_authors), TEST(ten_steps_in_double_equal_the_authors),
      TEST(steps_of_the_backbone_alone_equal_the_im_iad_code),
      TEST(a_pass_sees_every_image_once_behind_fixed_references),
      TEST(normal_images_make_place_for_pasted_ones), TEST(it_says_what_it_learned_from),
      TEST(with_nothing_to_learn_from_it_names_the_setting),
      TEST(references_of_the_official_kind_are_other_ones), TEST(an_image_of_another_size_is_told),
      TEST(stopped_and_continued_learns_the_same_bytes))
