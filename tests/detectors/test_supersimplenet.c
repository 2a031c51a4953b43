/* SuperSimpleNet against the authors' two codes (tests/golden/make_supersimplenet.py), its quick
 * forms against the plain ones, and what its definition says. */
#include <math.h>

#include "base/random.h"
#include "bridge/tensor.h"
#include "detectors/detector.h"
#include "detectors/parts/distance_weights.h"
#include "detectors/parts/map_scores.h"
#include "detectors/parts/perlin_regions.h"
#include "detectors/parts/rare_draw.h"
#include "detectors/parts/supersimple_network.h"
#include "formula.h"
#include "golden_steps.h"
#include "nn/optimizer.h"
#include "product_line.h"
#include "resumed.h"
#include "seen.h"

#define GOLDEN "tests/golden/supersimplenet.csv"

enum { IMAGES = 3, HEIGHT = 10, WIDTH = 12, FEATURES = 8, HIDDEN = 6, AROUND = 128, STEPS = 5 };

/* ---- the numbers that the script computes too ---- */

static tensor *values(const int64_t s[4], uint32_t seed, double scale)
{
    size_t count = (size_t)(s[0] * s[1] * s[2] * s[3]);
    float *v = malloc(count * sizeof *v);
    for (size_t i = 0; i < count; ++i)
        v[i] = (float)(scale * formula_noise((uint32_t)i, seed));
    tensor *t = t_from(v, 4, s, F32, CPU);
    free(v);
    return t;
}

static void fill_levels(tensor *out[2], uint32_t seed)
{
    out[0] = t_relu(values((int64_t[]){IMAGES, 3, 5, 6}, 1000 * seed, 3));
    out[1] = t_relu(values((int64_t[]){IMAGES, 5, 3, 3}, 1000 * seed + 1, 3));
}

static tensor *masks(uint32_t seed, int64_t count, double share)
{
    tensor *v = values((int64_t[]){count, 1, HEIGHT, WIDTH}, seed, 1);
    return t_to(t_gt_scalar(v, 1 - 2 * share), F32);
}

/* The authors' batch, twice, with its noise: "good", "full", where all defects have masks, "mixed",
 * where the last has none. */
typedef struct step_of {
    tensor *levels[2], *masks, *labels, *weights, *drawn, *noise; /* noise: of all positions */
    supersimple_noise placed;
} step_of;

static tensor *column(const float v[IMAGES])
{
    tensor *t = t_from(v, 4, (int64_t[]){IMAGES, 1, 1, 1}, F32, CPU);
    return t_cat((tensor *[]){t, t}, 2, 0);
}

static step_of make_step(const char *kind, int step)
{
    bool good = strcmp(kind, "good") == 0, mixed = strcmp(kind, "mixed") == 0;
    const float labels[IMAGES] = {0, !good, !good}, segmented[IMAGES] = {1, 1, !mixed};
    const float shows[IMAGES] = {0, !good, !good && !mixed};
    uint32_t seed = 1 + (uint32_t)step;
    step_of s;
    fill_levels(s.levels, seed);
    tensor *mask = masks(9000 + seed, IMAGES, 0.1);
    mask = t_mul(mask, t_from(shows, 4, (int64_t[]){IMAGES, 1, 1, 1}, F32, CPU));
    tensor *weighed = values((int64_t[]){IMAGES, 1, HEIGHT, WIDTH}, 9500 + seed, 1);
    weighed = t_add_scalar(t_mul(mask, weighed), 1);
    s.weights = t_cat((tensor *[]){weighed, weighed}, 2, 0);
    s.drawn = column(segmented);
    mask = t_cat((tensor *[]){mask, mask}, 2, 0);
    tensor *regions = masks(8000 + 10 * (uint32_t)step, 2 * IMAGES, 0.15);
    regions = t_mul(regions, t_add_scalar(t_neg(mask), 1));
    s.masks = t_add(mask, regions);
    s.labels =
        t_maximum(t_flatten(column(labels), 0, 3), t_amax(t_flatten(s.masks, 1, 3), 1, false));
    const int64_t all[] = {2 * IMAGES, FEATURES, HEIGHT, WIDTH};
    tensor *noise = values(all, 7000 + 10 * (uint32_t)step, 0.2);
    s.noise = t_mul(noise, regions);
    supersimple_noise_place(&s.placed, regions);
    tensor *rows = t_view(t_permute(noise, 4, (int[]){0, 2, 3, 1}), 2, (int64_t[]){-1, FEATURES});
    tensor *places = t_slice(s.placed.places, 0, 0, s.placed.count);
    supersimple_noise_fill(&s.placed, t_index_select(rows, 0, places));
    return s;
}

/* The networks of the script; the caller's scope. */
static supersimple_network make_network(params **store, bool adapted)
{
    const supersimple_shape shape = {.levels = 2,
                                     .channels = {3, 5},
                                     .features = FEATURES,
                                     .hidden = HIDDEN,
                                     .width = AROUND,
                                     .patch = 3,
                                     .align = true,
                                     .adapted = adapted};
    ck_ok(params_create(store));
    const builder b = {.store = *store};
    supersimple_network n = supersimple_network_add(&b, &shape);
    formula_fill(*store);
    return n;
}

/* ---- comparing ---- */

static const golden_line *line_of(const golden_case *g, const char *kind, const char *name)
{
    for (size_t i = 0; i < g->count; ++i)
        if (strcmp(g->lines[i].kind, kind) == 0 && strcmp(g->lines[i].name, name) == 0)
            return &g->lines[i];
    ck_abort_msg("no line %s of %s in " GOLDEN, name, g->name);
    return NULL;
}

/* The largest difference of samples, of the tensor's root mean square. */
static double error_of(tensor *t, const golden_line *l)
{
    size_t count = (size_t)t_count(t);
    double *v = golden_values(t), worst = 0, size = l->values[0] / sqrt((double)count);
    for (size_t i = 0; i < GOLDEN_SAMPLES; ++i)
        worst = fmax(worst, fabs(v[golden_place(i, count)] - l->values[i + 1]));
    free(v);
    return worst / size;
}

/* |a - b| / |b| */
static double apart(tensor *a, tensor *b)
{
    return sqrt(t_item(t_sum_all(t_square(t_sub(a, b)))) / t_item(t_sum_all(t_square(b))));
}

/* Batch norm takes these out again: their gradient is rounding. */
static bool is_taken_out(const char *name)
{
    return formula_ends(name, "projection.bias") || formula_ends(name, "seg.0.bias") ||
           formula_ends(name, "dec_head.0.bias");
}

/* ---- modules ---- */

START_TEST(features_and_tested_heads_equal_the_authors)
{
    static golden_case g;
    params *store;
    scope s = scope_begin();
    tensor *levels[2], *map, *score;
    supersimple_folded folded = {NULL, NULL, NULL, NULL};
    fill_levels(levels, 1);
    supersimple_network n = make_network(&store, false);
    golden_read(&g, GOLDEN, "features");
    tensor *features = supersimple_features(&n.shape, levels);
    ck_assert_double_lt(error_of(features, line_of(&g, "map", "features")), 1e-5);
    tensor *adapted = supersimple_adapt(&n, levels);
    ck_assert_double_lt(error_of(adapted, line_of(&g, "map", "adapted")), 1e-5);
    /* before the levels are enlarged, and behind */
    ck_assert_double_lt(apart(adapted, conv2d_run(&n.adaptor, features)), 1e-5);
    for (int adapt = 0; adapt < 2; ++adapt) {
        golden_read(&g, GOLDEN, adapt ? "judge1" : "judge0");
        n.shape.adapted = adapt;
        supersimple_fold(&folded, &n);
        supersimple_judge(&n, &folded, levels, &map, &score);
        ck_assert_double_lt(error_of(map, line_of(&g, "map", "map")), 1e-4);
        ck_assert_double_lt(error_of(score, line_of(&g, "map", "score")), 1e-4);
        map = t_squeeze(t_interpolate(map, 32, 40, BILINEAR, false), 1);
        map = map_gaussian(map, 25, 4, PAD_REFLECT);
        ck_assert_double_lt(error_of(map, line_of(&g, "map", "blurred")), 1e-4);
    }
    supersimple_folded_free(&folded);
    params_free(store);
    ck_ok(scope_end(&s));
}
END_TEST

static tensor *loss_of(const supersimple_network *n, const step_of *s, bool stop, bool plainly,
                       bool weighed)
{
    tensor *map, *score;
    if (plainly)
        supersimple_learn_plainly(n, supersimple_features(&n->shape, s->levels), s->noise, stop,
                                  &map, &score);
    else
        supersimple_learn(n, s->levels, &s->placed, stop, &map, &score);
    return supersimple_loss(map, score, s->masks, s->labels, weighed ? s->weights : NULL,
                            weighed ? s->drawn : NULL);
}

/* A case of the script, in the quick and in the plain form: losses to 1e-5, gradients to 1e-3. */
static void hold_case(const char *name, const char *kind, bool adapted, bool stop, bool weighed)
{
    static golden_case g;
    golden_read(&g, GOLDEN, name);
    for (int plainly = 0; plainly < 2; ++plainly) {
        params *store;
        scope s = scope_begin_grad();
        supersimple_network n = make_network(&store, adapted);
        step_of step = make_step(kind, 0);
        tensor *loss = loss_of(&n, &step, stop, plainly, weighed);
        double wanted = line_of(&g, "loss", "0")->values[0], worst = 0;
        ck_assert_msg(fabs(t_item(loss) / wanted - 1) < 1e-5, "%s: loss %.9g, not %.9g", name,
                      t_item(loss), wanted);
        t_backward(loss);
        for (size_t i = 0; i < params_count(store); ++i) {
            const param *p = params_at(store, i);
            if (p->buffer || is_taken_out(p->name))
                continue;
            double error = error_of(t_grad(p->value), line_of(&g, "gradient", p->name));
            ck_assert_msg(error < 1e-3, "%s: gradient of %s: %g", name, p->name, error);
            worst = fmax(worst, error);
        }
        printf("%s, %s: loss %.2g, gradients %.2g\n", name, plainly ? "plain" : "quick",
               fabs(t_item(loss) / wanted - 1), worst);
        params_free(store);
        ck_ok(scope_end(&s));
    }
}

START_TEST(losses_and_gradients_equal_the_authors)
{
    static const char *const kinds[] = {"good", "full", "mixed"};
    bool adapted = _i / 2 % 2, stop = _i % 2;
    char name[16];
    snprintf(name, sizeof name, "%s%d%d", kinds[_i / 4], adapted, stop);
    hold_case(name, kinds[_i / 4], adapted, stop, true);
}
END_TEST

START_TEST(without_weights_they_equal_the_older_code)
{
    hold_case("icpr", "full", true, false, false);
}
END_TEST

START_TEST(the_score_does_not_teach_the_map_where_it_is_stopped)
{
    params *store;
    scope s = scope_begin_grad();
    supersimple_network n = make_network(&store, false);
    step_of step = make_step("full", 0);
    tensor *map, *score;
    supersimple_learn(&n, step.levels, &step.placed, true, &map, &score);
    t_backward(t_sum_all(score));
    ck_assert_ptr_null(t_grad(n.adaptor.weight));
    ck_assert_ptr_null(t_grad(n.first.weight));
    ck_assert_ptr_null(t_grad(n.last.weight));
    ck_assert_double_gt(t_item(t_sum_all(t_square(t_grad(n.around.weight)))), 0);
    params_free(store);
    ck_ok(scope_end(&s));
}
END_TEST

START_TEST(five_steps_equal_the_authors)
{
    static golden_case g;
    golden_read(&g, GOLDEN, "steps");
    params *store;
    optimizer *adaptor, *heads;
    const optimizer_options decays[] = {{.kind = OPTIMIZER_ADAMW, .weight_decay = 1e-2},
                                        {.kind = OPTIMIZER_ADAMW, .weight_decay = 1e-5}};
    scope s = scope_begin();
    supersimple_network n = make_network(&store, false);
    ck_ok(optimizer_create(&adaptor, store, "feature_adaptor.", &decays[0]));
    ck_ok(optimizer_create(&heads, store, "discriminator.", &decays[1]));
    for (int i = 0; i < STEPS; ++i) {
        scope within = scope_begin_grad();
        char name[8];
        snprintf(name, sizeof name, "%d", i);
        step_of step = make_step("mixed", i);
        tensor *loss = loss_of(&n, &step, false, false, true);
        ck_assert_double_lt(fabs(t_item(loss) / line_of(&g, "loss", name)->values[0] - 1), 2e-5);
        t_backward(loss);
        params_clip_grad(store, 1);
        optimizer_step(adaptor, 1e-4);
        optimizer_step(heads, 2e-4);
        params_clear_grad(store);
        ck_ok(scope_end(&within));
    }
    for (size_t i = 0; i < params_count(store); ++i) {
        const param *p = params_at(store, i);
        if (!is_taken_out(p->name))
            ck_assert_double_lt(error_of(p->value, line_of(&g, "parameter", p->name)), 1e-3);
    }
    optimizer_free(adaptor);
    optimizer_free(heads);
    params_free(store);
    ck_ok(scope_end(&s));
}
END_TEST

/* Where a sigmoid is 0 or 1 in single precision a logarithm is held at -100, and nothing learns. */
START_TEST(certain_and_wrong_costs_a_hundred_and_has_no_gradient)
{
    const float logits[] = {200, -200, 200, -200}, truth[] = {0, 1, 1, 0};
    scope s = scope_begin_grad();
    tensor *map = t_from(logits, 4, (int64_t[]){1, 1, 2, 2}, F32, CPU);
    tensor *score = t_zeros(1, (int64_t[]){1}, F32, CPU);
    t_require_grad(map, true);
    tensor *loss = supersimple_loss(map, score, t_from(truth, 4, (int64_t[]){1, 1, 2, 2}, F32, CPU),
                                    t_zeros(1, (int64_t[]){1}, F32, CPU), NULL, NULL);
    /* L1: (200.5 + 0) / 2 for either side; focal: 2 of 4 pixels; the score: log 2 / 16 */
    ck_assert_double_lt(fabs(t_item(loss) - (200.5 + 50 + log(2) / 16)), 1e-3);
    t_backward(loss);
    float gradient[4];
    t_read(t_grad(map), gradient, sizeof gradient);
    for (int i = 0; i < 4; ++i)
        ck_assert_float_eq(gradient[i], i == 0 ? 0.5F : i == 1 ? -0.5F : 0);
    ck_ok(scope_end(&s));
}
END_TEST

/* A bias before a batch norm is taken out again: its gradient is rounding, and Adam goes as far for
 * that as for any other. The running means follow, late, and so do maps of those statistics. */
static const char *const taken_out[] = {"projection.bias", "seg.0.bias", "dec_head.0.bias",
                                        "running_mean", NULL};

#define WHOLE(...)                                                                                 \
    20, 9 + (int)(sizeof((imiad_option[]){__VA_ARGS__}) / sizeof(imiad_option)),                   \
    {                                                                                              \
        {"resize", "64"}, {"hidden", "32"}, {"epochs", "2"}, {"train_batch", "4"},                 \
            {"noise_scale", "0"}, {"noise_std", "0.2"}, {"perlin_threshold", "0.2"},               \
            {"smoothing", "0"}, {"width", "128"}, __VA_ARGS__                                      \
    }

static const golden_training whole[] = {
    {"jims", WHOLE({"adapt_cls", "false"}), {10, 17, 3, 1e-4, 5e-3, 1e-2, taken_out, 1e-4}},
    {"icpr10", WHOLE({"adapt_cls", "true"}), {10, 17, 3, 1e-4, 5e-3, 1e-2, taken_out, 1e-4}},
};

START_TEST(ten_steps_of_the_detector_equal_the_authors)
{
    golden_train("supersimplenet", GOLDEN, "network.", &whole[_i]);
}
END_TEST

/* ---- masks, regions, draws ---- */

START_TEST(masks_are_dilated_and_weighed_as_the_authors_do)
{
    static golden_case g;
    static const double shares[] = {0.02, 0.05, 0.1, 0.2, 0.001};
    char name[16];
    snprintf(name, sizeof name, "weights%d", _i);
    golden_read(&g, GOLDEN, name);
    int32_t height = 40 + _i, width = 57 - 3 * _i;
    size_t pixels = (size_t)height * (size_t)width;
    uint8_t *mask = malloc(pixels);
    float *found = malloc(pixels * sizeof *found);
    for (size_t i = 0; i < pixels; ++i)
        mask[i] = formula_noise((uint32_t)i, 300 + (uint32_t)_i) > 1 - 2 * shares[_i] / 8;
    scope s = scope_begin();
    for (int dilated = 0; dilated < 2; ++dilated) {
        ck_ok(mask_dilate(mask, width, height, dilated ? 7 : 3));
        ck_ok(distance_weights(found, mask, width, height, 3, 2));
        tensor *t = t_from(found, 1, (int64_t[]){(int64_t)pixels}, F32, CPU);
        ck_assert_double_lt(error_of(t, line_of(&g, "map", dilated ? "weights" : "plain")), 1e-6);
        double size = line_of(&g, "map", dilated ? "weights" : "plain")->values[0];
        ck_assert_double_lt(fabs(sqrt(t_item(t_sum_all(t_square(t_to(t, F64))))) / size - 1), 1e-6);
    }
    for (size_t i = 0; i < pixels; ++i)
        found[i] = mask[i] > 0;
    const golden_line *l = line_of(&g, "map", "dilated");
    tensor *t = t_from(found, 1, (int64_t[]){(int64_t)pixels}, F32, CPU);
    ck_assert(l->values[0] > 0 ? error_of(t, l) == 0 : t_item(t_sum_all(t)) == 0);
    ck_assert_double_lt(fabs(sqrt(t_item(t_sum_all(t))) - l->values[0]), 1e-6);
    ck_ok(scope_end(&s));
    free(mask);
    free(found);
}
END_TEST

START_TEST(a_mask_without_an_outside_weighs_its_most)
{
    uint8_t mask[12];
    float found[12];
    memset(mask, 255, sizeof mask);
    ck_ok(distance_weights(found, mask, 4, 3, 3, 2));
    for (int i = 0; i < 12; ++i)
        ck_assert_float_eq(found[i], 3);
}
END_TEST

/* Half of 10,000 masks are emptied; the others are as the authors' generator makes them. */
START_TEST(regions_have_the_size_of_the_authors)
{
    static golden_case g;
    enum { COUNT = 10000 };
    const double threshold = _i ? 0.6 : 0.2;
    golden_read(&g, GOLDEN, _i ? "0.6" : "0.2");
    const double *expected = line_of(&g, "perlin", "masks")->values;
    static float areas[COUNT];
    double empty = 0, area = 0;
    scope s = scope_begin();
    random_stream stream = random_open(66, "test/regions");
    tensor *regions = perlin_regions(COUNT, 24, 20, threshold, &stream);
    t_read(t_mean(t_flatten(regions, 1, 3), 1, false), areas, sizeof areas);
    for (int i = 0; i < COUNT; ++i) {
        empty += areas[i] == 0;
        area += (double)areas[i];
    }
    printf("threshold %g: %.4f empty, mean share %.5f of the others\n", threshold, empty / COUNT,
           2 * area / COUNT);
    ck_assert_double_lt(fabs(empty / COUNT - (0.5 + 0.5 * expected[0])), 0.01);
    ck_assert_double_lt(fabs(2 * area / COUNT / expected[1] - 1), 0.02);
    ck_ok(scope_end(&s));
}
END_TEST

static const size_t draws[][2] = {{40, 50}, {160, 200}, {984, 2000}};

START_TEST(good_images_are_used_alike_often)
{
    size_t count = draws[_i][0], n = draws[_i][1];
    int64_t *uses = calloc(n, sizeof *uses), least = INT64_MAX, most = 0;
    size_t *out = malloc(count * sizeof *out);
    for (int epoch = 0; epoch < 20; ++epoch) {
        char purpose[32];
        snprintf(purpose, sizeof purpose, "test/draw/%d", epoch);
        random_stream stream = random_open(66, purpose);
        bool *taken = calloc(n, sizeof *taken);
        ck_ok(rare_draw(out, count, uses, n, &stream));
        for (size_t i = 0; i < count; ++i) {
            ck_assert(!taken[out[i]]); /* each once */
            taken[out[i]] = true;
        }
        free(taken);
    }
    for (size_t i = 0; i < n; ++i) {
        least = uses[i] < least ? uses[i] : least;
        most = uses[i] > most ? uses[i] : most;
    }
    ck_assert_int_le(most - least, 2);
    free(uses);
    free(out);
}
END_TEST

START_TEST(more_draws_than_images_repeat_some)
{
    int64_t uses[3] = {0, 0, 0};
    size_t out[10];
    random_stream stream = random_open(66, "test/draw");
    ck_ok(rare_draw(out, 10, uses, 3, &stream));
    ck_assert_int_eq(uses[0] + uses[1] + uses[2], 10);
}
END_TEST

/* ---- the detector ---- */

enum { SIDE = 64, GOOD = 5, BAD = 3 };

/* Good pictures, then defective ones, with a bright corner and its mask. */
typedef struct pictures {
    imiad_image *images[GOOD + BAD], *mask;
    imiad_labelled_image list[GOOD + BAD];
} pictures;

static void open_pictures(pictures *p)
{
    ck_ok(imiad_image_create(&p->mask, IMIAD_PIXEL_GRAY8, SIDE, SIDE));
    for (int y = 0; y < SIDE; ++y)
        memset(p->mask->pixels + (size_t)y * p->mask->stride, y < 20 ? 255 : 0, 24);
    for (int i = 0; i < GOOD + BAD; ++i) {
        p->images[i] = formula_image(i, SIDE);
        for (int y = 0; i >= GOOD && y < 20; ++y)
            memset(p->images[i]->pixels + (size_t)y * p->images[i]->stride, 250, (size_t)3 * 24);
        p->list[i] = (imiad_labelled_image)IMIAD_LABELLED_IMAGE_INIT;
        p->list[i].image = p->images[i];
        p->list[i].label = i >= GOOD;
        p->list[i].mask = i >= GOOD ? p->mask : NULL;
    }
}

static void close_pictures(pictures *p)
{
    for (int i = 0; i < GOOD + BAD; ++i)
        imiad_image_free(p->images[i]);
    imiad_image_free(p->mask);
}

/* The score of the first defective picture and its map's middle, after a fit with these options. */
static void learn(float out[2], const pictures *p, imiad_backbone *backbone,
                  const imiad_option *more, size_t count, const char *learned)
{
    imiad_option options[16] = {{"resize", "64"}, {"epochs", "2"}, {"hidden", "16"},
                                {"width", "8"},   {"seed", "3"},   {"train_batch", "5"}};
    imiad_detector *d;
    imiad_result result = IMIAD_RESULT_INIT;
    for (size_t i = 0; i < count; ++i)
        options[6 + i] = more[i];
    ck_ok(imiad_detector_create(&d, "supersimplenet", backbone, options, 6 + count));
    ck_ok(imiad_detector_fit_labelled(d, p->list, GOOD + BAD, NULL, NULL));
    ck_ok(imiad_detector_score(&result, d, p->images[GOOD]));
    out[0] = result.score;
    out[1] = result.map[32 * SIDE + 32];
    float most = 0;
    for (int i = 0; i < SIDE * SIDE; ++i)
        most = result.map[i] > most ? result.map[i] : most;
    if (count > 0 && strcmp(more[0].name, "score") == 0)
        ck_assert_float_eq(result.score, most);
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    ck_ok(imiad_detector_save(d, path));
    weights *file;
    ck_ok(weights_open(&file, path));
    ck_assert_str_eq(weights_metadata(file, "learned_from"), learned);
    weights_free(file);
    unlink(path);
    imiad_detector_free(d);
}

static imiad_backbone *open_backbone(void)
{
    imiad_backbone *b;
    imiad_backbone_options o = IMIAD_BACKBONE_OPTIONS_INIT;
    o.device = test_device();
    ck_ok(imiad_backbone_create(&b, "resnet18", &o));
    return b;
}

/* Without masks, with empty ones and with masks that are not to be read: the labels alone. */
START_TEST(a_defect_without_a_mask_teaches_by_its_label)
{
    static pictures p;
    float with[2], without[2], unread[2], empty[2], mixed[2];
    const imiad_option images = {"labels", "images"};
    imiad_backbone *backbone = open_backbone();
    open_pictures(&p);
    learn(with, &p, backbone, NULL, 0, "3 labelled defects, 3 of them with a mask, and noise");
    learn(unread, &p, backbone, &images, 1, "3 labelled defects, 0 of them with a mask, and noise");
    p.list[GOOD].mask = NULL;
    learn(mixed, &p, backbone, NULL, 0, "3 labelled defects, 2 of them with a mask, and noise");
    p.list[GOOD + 1].mask = p.list[GOOD + 2].mask = NULL;
    learn(without, &p, backbone, NULL, 0, "3 labelled defects, 0 of them with a mask, and noise");
    memset(p.mask->pixels, 0, (size_t)SIDE * p.mask->stride);
    for (int i = GOOD; i < GOOD + BAD; ++i)
        p.list[i].mask = p.mask;
    learn(empty, &p, backbone, NULL, 0, "3 labelled defects, 0 of them with a mask, and noise");
    ck_assert_mem_eq(without, unread, sizeof without);
    ck_assert_mem_eq(without, empty, sizeof without);
    ck_assert_float_ne(with[1], without[1]);
    ck_assert_float_ne(with[1], mixed[1]);
    close_pictures(&p);
    imiad_backbone_free(backbone);
}
END_TEST

/* Mirrored defects are computed in each step where there is no room to keep them: the same bytes.
 */
START_TEST(mirrored_defects_need_no_cache)
{
    static pictures p;
    static const imiad_option rooms[] = {
        {"feature_cache", "2000"}, {"feature_cache", "0"}, {"feature_cache", "1"}};
    float found[3][2];
    imiad_backbone *backbone = open_backbone();
    open_pictures(&p);
    for (int i = 0; i < 3; ++i)
        learn(found[i], &p, backbone, &rooms[i], 1,
              "3 labelled defects, 3 of them with a mask, and noise");
    ck_assert_mem_eq(found[0], found[1], sizeof found[0]);
    ck_assert_mem_eq(found[0], found[2], sizeof found[0]);
    close_pictures(&p);
    imiad_backbone_free(backbone);
}
END_TEST

START_TEST(an_image_can_score_its_maps_most)
{
    static pictures p;
    float found[2];
    const imiad_option map[] = {{"score", "map"}, {"noise_scale", "0.5"}, {"adapt_cls", "true"}};
    imiad_backbone *backbone = open_backbone();
    open_pictures(&p);
    learn(found, &p, backbone, map, 3, "3 labelled defects, 3 of them with a mask, and noise");
    close_pictures(&p);
    imiad_backbone_free(backbone);
}
END_TEST

START_TEST(a_resumed_training_draws_the_same)
{
    product_line l = product_line_open("64", "5", "2", "4", "supervised");
    const resumed_fit f = {.detector = "supersimplenet",
                           .backbone = l.backbone,
                           .options = {{"resize", "64"},
                                       {"epochs", "3"},
                                       {"hidden", "8"},
                                       {"width", "8"},
                                       {"noise_scale", "0.3"},
                                       {"train_batch", "3"}},
                           .option_count = 6,
                           .split = l.split};
    resumed_equals_undisturbed(&f, 5);
    product_line_close(&l);
}
END_TEST

SUITE("supersimplenet", TEST(features_and_tested_heads_equal_the_authors),
      LOOP_TEST(losses_and_gradients_equal_the_authors, 12),
      TEST(without_weights_they_equal_the_older_code),
      TEST(the_score_does_not_teach_the_map_where_it_is_stopped),
      TEST(five_steps_equal_the_authors), LOOP_TEST(ten_steps_of_the_detector_equal_the_authors, 2),
      TEST(certain_and_wrong_costs_a_hundred_and_has_no_gradient),
      LOOP_TEST(masks_are_dilated_and_weighed_as_the_authors_do, 5),
      TEST(a_mask_without_an_outside_weighs_its_most),
      LOOP_TEST(regions_have_the_size_of_the_authors, 2),
      LOOP_TEST(good_images_are_used_alike_often, 3), TEST(more_draws_than_images_repeat_some),
      TEST(a_defect_without_a_mask_teaches_by_its_label), TEST(mirrored_defects_need_no_cache),
      TEST(an_image_can_score_its_maps_most), TEST(a_resumed_training_draws_the_same))
