/* UniAD beside the authors' code (tests/golden/make_uniad.py), and what its definition says. */
#include <math.h>
#include <string.h>
#include <zlib.h>

#include "../image/procedural.h"
#include "detectors/algorithm.h"
#include "detectors/parts/restorer.h"
#include "golden_steps.h"

#define GOLDEN "tests/golden/uniad.csv"

enum { IMAGES = 2, GRID = 14, CHANNELS = 64, SIDE = 224, POOL = 16, STEPS = 10 };

static golden_case golden;

/* ---- the numbers that the script computes too ---- */

/* Number `index` of a seed, in [-1, 1). */
static double noise(uint32_t index, uint32_t seed)
{
    uint32_t h = (index + seed) * 2654435761u;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    return (double)h / 0x1p31 - 1;
}

static tensor *make_features(int first)
{
    enum { EACH = CHANNELS * GRID * GRID };
    static float values[IMAGES * EACH];
    for (int i = 0; i < IMAGES * EACH; ++i)
        values[i] = (float)(1 + noise((uint32_t)(i % EACH), 1000 * (uint32_t)(first + i / EACH)));
    return t_from(values, 4, (int64_t[]){IMAGES, CHANNELS, GRID, GRID}, F32, CPU);
}

static void fill(const params *store)
{
    for (size_t j = 0; j < params_count(store); ++j) {
        const param *p = params_at(store, j);
        uint32_t seed =
            (uint32_t)(crc32(0, (const uint8_t *)p->name, (uInt)strlen(p->name)) % 100000);
        size_t count = (size_t)t_count(p->value), rows = (size_t)t_size(p->value, 0);
        int64_t shape[2] = {t_size(p->value, 0), (int64_t)(count / rows)};
        float *values = malloc(count * sizeof *values);
        for (size_t i = 0; i < count; ++i) {
            double v = noise((uint32_t)i, seed);
            if (strstr(p->name, "embed"))
                v *= 0.5;
            else if (golden_ends_in(p->name, (const char *const[]){"bias", NULL}))
                v *= 0.1;
            else if (t_rank(p->value) == 1)
                v = 1 + 0.1 * v;
            else
                v *= sqrt(3 / (double)(count / rows));
            values[i] = (float)v;
        }
        scope s = scope_begin();
        t_copy_(p->value, t_from(values, t_rank(p->value), shape, F32, CPU));
        ck_ok(scope_end(&s));
        free(values);
    }
}

/* ---- comparing ---- */

/* Error of norm and samples, of the largest sample and of the norm. */
static double error_of(tensor *t, const golden_line *l)
{
    tensor *exact = t_contiguous(t_to(t_contiguous(t), F64));
    size_t count = (size_t)t_count(exact);
    const double *values = t_data(exact);
    double square = 0, largest = 0, worst = 0;
    ck_ok(t_status());
    for (size_t i = 0; i < count; ++i)
        square += values[i] * values[i];
    for (size_t i = 0; i < GOLDEN_SAMPLES; ++i) {
        largest = fmax(largest, fabs(l->values[i + 1]));
        double found = values[i * (count - 1) / (GOLDEN_SAMPLES - 1)];
        worst = fmax(worst, fabs(found - l->values[i + 1]));
    }
    return fmax(worst / largest, fabs(sqrt(square) - l->values[0]) / l->values[0]);
}

static const golden_line *line_of(const char *kind, const char *name)
{
    for (size_t i = 0; i < golden.count; ++i)
        if (strcmp(golden.lines[i].kind, kind) == 0 && strcmp(golden.lines[i].name, name) == 0)
            return &golden.lines[i];
    ck_abort_msg("no line %s of %s", kind, name);
    return NULL;
}

static double compare_store(const params *store, const char *kind, int *count)
{
    double worst = 0;
    *count = 0;
    for (size_t i = 0; i < golden.count; ++i) {
        const golden_line *l = &golden.lines[i];
        if (strcmp(l->kind, kind) != 0)
            continue;
        const param *p = params_find(store, l->name);
        ck_assert_msg(p, "no %s", l->name);
        worst = fmax(worst, error_of(strcmp(kind, "gradient") ? p->value : t_grad(p->value), l));
        ++*count;
    }
    return worst;
}

/* ---- the authors' code ---- */

typedef struct transformer {
    params *store;
    restorer restorer;
} transformer;

static transformer make_transformer(const char *purpose)
{
    transformer t = {.store = NULL};
    const restorer_spec spec = {.channels = CHANNELS,
                                .grid = GRID,
                                .hidden = 32,
                                .wide = 48,
                                .heads = 4,
                                .encoder_layers = 2,
                                .decoder_layers = 2,
                                .neighbours = 7,
                                .dropout = 0.1};
    ck_ok(params_create(&t.store));
    const builder b = {.store = t.store, .seed = 66, .purpose = purpose};
    scope s = scope_begin();
    restorer_add(&t.restorer, &b, &spec);
    ck_ok(scope_end(&s));
    return t;
}

static void close_transformer(transformer *t)
{
    restorer_free(&t->restorer);
    params_free(t->store);
}

START_TEST(what_attention_does_not_see_is_what_the_authors_hide)
{
    golden_read(&golden, GOLDEN, "mask");
    transformer t = make_transformer(NULL);
    enum { COUNT = GRID * GRID };
    static float values[COUNT * COUNT];
    int counts[COUNT + 1] = {0}, kinds = 0;
    scope s = scope_begin();
    t_read(t.restorer.mask, values, sizeof values);
    ck_ok(scope_end(&s));
    for (int i = 0; i < COUNT; ++i) {
        int hidden = 0;
        for (int j = 0; j < COUNT; ++j) {
            bool near = abs(i / GRID - j / GRID) <= 3 && abs(i % GRID - j % GRID) <= 3;
            ck_assert_int_eq(isinf(values[i * COUNT + j]) != 0, near);
            hidden += near;
        }
        counts[hidden]++;
    }
    for (size_t i = 0; i < golden.count; ++i, ++kinds)
        ck_assert_int_eq(counts[(int)golden.lines[i].values[0]], atoi(golden.lines[i].name));
    ck_assert_int_eq(kinds, 10);
    close_transformer(&t);
}
END_TEST

START_TEST(what_is_restored_and_the_map_equal_the_authors)
{
    golden_read(&golden, GOLDEN, "eval");
    transformer t = make_transformer(NULL);
    fill(t.store);
    scope s = scope_begin();
    tensor *memory, *tokens = restorer_tokens(make_features(0));
    tensor *restored = restorer_run(&t.restorer, tokens, false, &memory);
    tensor *map = restorer_map(&t.restorer, tokens, SIDE, SIDE);
    ck_assert_double_lt(error_of(t_transpose(memory, 0, 1), line_of("encoder", "out")), 1e-5);
    ck_assert_double_lt(error_of(t_transpose(restored, 1, 2), line_of("reconstruction", "out")),
                        1e-5);
    ck_assert_double_lt(error_of(map, line_of("map", "out")), 1e-5);
    tensor *means = t_avg_pool2d(t_unsqueeze(map, 1), POOL, 1, 0, true);
    float found[IMAGES];
    t_read(t_amax(t_flatten(means, 1, 3), 1, false), found, sizeof found);
    for (int i = 0; i < IMAGES; ++i)
        ck_assert_double_lt(fabs((double)found[i] / line_of("scores", "max")->values[i] - 1), 1e-5);
    ck_ok(scope_end(&s));
    close_transformer(&t);
}
END_TEST

static imiad_detector *make_detector(imiad_backbone *backbone, const imiad_option *more,
                                     size_t count)
{
    imiad_option options[16] = {
        {"layers", "layer1"},    {"hidden", "32"},        {"heads", "4"}, {"feedforward", "48"},
        {"encoder_layers", "2"}, {"decoder_layers", "2"}, {"epochs", "1"}};
    imiad_detector *d = NULL;
    imiad_image *image = procedural(IMIAD_PIXEL_RGB8, 90, 70);
    for (size_t i = 0; i < count; ++i)
        options[7 + i] = more[i];
    ck_ok(imiad_detector_create(&d, "uniad", backbone, options, 7 + count));
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)&image, 1, NULL, NULL));
    imiad_image_free(image);
    return d;
}

/* The loss before a step at the authors' rate; *norm of its gradients. */
static double take_step(imiad_detector *d, int index, double *norm, double *gradients,
                        int *compared)
{
    training *t = d->state;
    scope s = scope_begin_grad();
    tensor *frozen[] = {make_features(10 + 2 * index)};
    const train_step step = {.count = IMAGES, .frozen = frozen, .index = index, .epochs = 1};
    tensor *loss = t->ops->loss(d, &step);
    double value = t_item(loss);
    t_backward(loss);
    if (gradients)
        *gradients = compare_store(t->stores[0].parameters, "gradient", compared);
    *norm = params_clip_grad(t->stores[0].parameters, 0.1);
    optimizer_step(t->rules[0].optimizer, t->ops->rate(d, t->rules[0].rate, &step, STEPS));
    ck_ok(scope_end(&s));
    params_clear_grad(t->stores[0].parameters);
    return value;
}

START_TEST(ten_steps_equal_the_authors)
{
    static const imiad_option exact[] = {{"dropout", "0"}};
    imiad_backbone *backbone = NULL;
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    golden_read(&golden, GOLDEN, "steps");
    imiad_detector *d = make_detector(backbone, exact, 1);
    training *t = d->state;
    double gradients = NAN, norms = 0;
    int compared, learned, steps;
    fill(t->stores[0].parameters);
    optimizer_free(t->rules[0].optimizer);
    t->rules[0].optimizer = NULL;
    ck_ok(training_make_optimizers(t));
    for (golden_steps = 0; golden_steps < STEPS; ++golden_steps) {
        char name[16];
        double norm;
        snprintf(name, sizeof name, "%d", golden_steps);
        golden_losses[golden_steps] =
            take_step(d, golden_steps, &norm, golden_steps == 0 ? &gradients : NULL, &compared);
        norms = fmax(norms, fabs(norm / line_of("norm", name)->values[0] - 1));
    }
    double losses = golden_compare_losses(&golden, &steps);
    scope s = scope_begin();
    double parameters = compare_store(t->stores[0].parameters, "parameter", &learned);
    ck_ok(scope_end(&s));
    printf("largest relative error of %d losses %.2g, of their gradients' norms %.2g, of %d "
           "gradients %.2g, of %d parameters %.2g\n",
           steps, losses, norms, compared, gradients, learned, parameters);
    ck_assert_int_eq(compared, learned);
    ck_assert_int_eq(learned, 70);
    ck_assert_double_lt(losses, 1e-6);
    ck_assert_double_lt(norms, 1e-4);
    ck_assert_double_lt(gradients, 1e-4);
    ck_assert_double_lt(parameters, 1e-3);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

/* ---- what the definition says ---- */

static bool equal(tensor *a, tensor *b)
{
    return t_item(t_max_all(t_abs(t_sub(a, b)))) == 0;
}

/* Layers of the code begin as copies; their linear parts are drawn anew. */
START_TEST(layers_begin_with_equal_queries_and_projections)
{
    transformer t = make_transformer("uniad/");
    const restorer_layer *e = t.restorer.encoder, *d = t.restorer.decoder;
    scope s = scope_begin();
    ck_assert(equal(e[0].first.in.weight, e[1].first.in.weight));
    ck_assert(equal(d[0].first.in.weight, d[1].first.in.weight));
    ck_assert(equal(d[0].second.in.weight, d[1].second.in.weight));
    ck_assert(equal(d[0].queries, d[1].queries));
    ck_assert(!equal(d[0].first.in.weight, d[0].second.in.weight));
    ck_assert(!equal(e[0].in.weight, e[1].in.weight));
    ck_assert(!equal(e[0].first.out.weight, e[1].first.out.weight));
    ck_assert_double_ge(t_item(t_neg(t_max_all(t_neg(t.restorer.rows)))), 0);
    ck_assert_double_lt(t_item(t_max_all(t.restorer.rows)), 1);
    ck_ok(scope_end(&s));
    close_transformer(&t);
}
END_TEST

/* A square that covers the whole grid would leave attention nothing. */
START_TEST(a_small_grid_is_seen_whole)
{
    static const imiad_option small[] = {{"resize", "64"}};
    imiad_backbone *backbone = NULL;
    imiad_result r = IMIAD_RESULT_INIT;
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    imiad_detector *d = make_detector(backbone, small, 1);
    imiad_image *image = procedural(IMIAD_PIXEL_RGB8, 64, 64);
    ck_ok(imiad_detector_score(&r, d, image));
    ck_assert(isfinite(r.score));
    imiad_image_free(image);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

/* From the map itself: the largest mean of a square, the deviation, the mean. */
START_TEST(an_images_score_is_what_is_asked_for)
{
    static const char *const names[] = {"max", "std", "mean"};
    const imiad_option options[] = {{"image_score", names[_i]}, {"resize", "64"}};
    imiad_backbone *backbone = NULL;
    imiad_result r = IMIAD_RESULT_INIT;
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    imiad_detector *d = make_detector(backbone, options, 2);
    imiad_image *image = procedural(IMIAD_PIXEL_RGB8, 64, 64);
    ck_ok(imiad_detector_score(&r, d, image));
    double sum = 0, squares = 0, largest = 0;
    for (int i = 0; i < 64 * 64; ++i) {
        sum += (double)r.map[i];
        squares += (double)r.map[i] * (double)r.map[i];
    }
    for (int y = 0; y + POOL <= 64; ++y)
        for (int x = 0; x + POOL <= 64; ++x) {
            double square = 0;
            for (int i = 0; i < POOL * POOL; ++i)
                square += (double)r.map[(y + i / POOL) * 64 + x + i % POOL];
            largest = fmax(largest, square / (POOL * POOL));
        }
    double mean = sum / 4096, wanted[] = {largest, sqrt(squares / 4096 - mean * mean), mean};
    ck_assert_double_lt(fabs((double)r.score / wanted[_i] - 1), 1e-3);
    imiad_image_free(image);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

/* Blocks 1, 5, 9 and 21 of EfficientNet-B4: 24, 32, 56 and 160 channels. */
START_TEST(an_efficientnets_layers_are_those_of_the_authors)
{
    static const char *const layers[2][4] = {
        {"blocks.0", "blocks.1", "blocks.2", "blocks.4"},
        {"features.1", "features.2", "features.3", "features.5"}};
    static const char *const names[] = {"tf_efficientnet_b4", "efficientnet_b4"};
    static const int64_t wanted[4][3] = {{24, 112, 112}, {32, 56, 56}, {56, 28, 28}, {160, 14, 14}};
    imiad_backbone *backbone = NULL;
    imiad_detector *d = NULL;
    ck_ok(imiad_backbone_create(&backbone, names[_i], NULL));
    for (int i = 0; i < 4; ++i) {
        int64_t shape[3];
        ck_ok(imiad_backbone_shape(shape, backbone, layers[_i][i], SIDE, SIDE));
        ck_assert_mem_eq(shape, wanted[i], sizeof shape);
    }
    ck_ok(imiad_detector_create(&d, "uniad", backbone, NULL, 0));
    int count;
    const char *const *used = d->ops->layers(d, &count);
    ck_assert_int_eq(count, 4);
    for (int i = 0; i < 4; ++i)
        ck_assert_str_eq(used[i], layers[_i][i]);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

START_TEST(what_cannot_be_is_refused_with_a_reason)
{
    static const struct {
        imiad_option options[2];
        size_t count;
        const char *text;
    } cases[] = {{{{"hidden", "30"}}, 1, "multiple of heads"},
                 {{{"neighbours", "4"}}, 1, "must be odd"},
                 {{{"resize_mode", "shorter"}}, 1, "square images"},
                 {{{"resize", "32"}, {"stride", "64"}}, 2, "no position"}};
    imiad_backbone *backbone = NULL;
    imiad_detector *d = NULL;
    ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        ck_assert(imiad_detector_create(&d, "uniad", backbone, cases[i].options, cases[i].count) !=
                  IMIAD_OK);
        ck_assert_msg(strstr(imiad_last_error(), cases[i].text), "%s", imiad_last_error());
    }
    imiad_backbone_free(backbone);
}
END_TEST

SUITE("uniad", TEST(what_attention_does_not_see_is_what_the_authors_hide),
      TEST(what_is_restored_and_the_map_equal_the_authors), TEST(ten_steps_equal_the_authors),
      TEST(layers_begin_with_equal_queries_and_projections), TEST(a_small_grid_is_seen_whole),
      LOOP_TEST(an_images_score_is_what_is_asked_for, 3),
      LOOP_TEST(an_efficientnets_layers_are_those_of_the_authors, 2),
      TEST(what_cannot_be_is_refused_with_a_reason))
