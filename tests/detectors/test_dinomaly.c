/* Dinomaly and Dinomaly2 beside the authors' code (tests/golden/make_dinomaly.py), and what their
 * definitions say. */
#include <math.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "detectors/detector.h"
#include "detectors/parts/token_decoder.h"
#include "formula.h"
#include "golden_steps.h"
#include "nn/network.h"
#include "product_line.h"
#include "resumed.h"

#define GOLDEN "tests/golden/dinomaly.csv"

enum { STEPS = 5, TOTAL = 5000, IMAGES = 3, SIDE = 56, GRID = 4, PLACES = GRID * GRID, PREFIX = 5 };
enum { TOKENS = PREFIX + PLACES, CHANNELS = 384, RATES = 3 };

static const int64_t steps_of[STEPS] = {0, 50, 100, 500, 3000};
static const char *const versions[] = {"1", "2"};
static golden_case golden;

/* ---- the numbers that the script computes too ---- */

static double scale_of(const char *name, int rank, double fan)
{
    static const char *const tokens[] = {"pos_embed", "cls_token", "register_tokens", NULL};
    return golden_ends_in(name, tokens) ? 0.5
           : formula_ends(name, "bias") ? 0.1
           : rank == 1                  ? 0.1
                                        : sqrt(3 / fan);
}

static void fill(const params *store)
{
    for (size_t j = 0; j < params_count(store); ++j) {
        const param *p = params_at(store, j);
        uint32_t seed =
            (uint32_t)(crc32(0, (const uint8_t *)p->name, (uInt)strlen(p->name)) % 100000);
        size_t count = (size_t)t_count(p->value);
        int rank = t_rank(p->value);
        int64_t shape[4] = {0};
        for (int d = 0; d < rank; ++d)
            shape[d] = t_size(p->value, d);
        double scale = scale_of(p->name, rank, (double)count / (double)shape[0]);
        double offset = rank == 1 && !formula_ends(p->name, "bias") ? 1 : 0;
        float *values = malloc(count * sizeof *values);
        for (size_t i = 0; i < count; ++i)
            values[i] = (float)(offset + scale * formula_noise((uint32_t)i, seed));
        scope s = scope_begin();
        t_copy_(p->value, t_from(values, rank, shape, F32, CPU));
        ck_ok(scope_end(&s));
        free(values);
    }
}

/* IMAGES x TOKENS x CHANNELS */
static tensor *features(int first, int group)
{
    enum { EACH = TOKENS * CHANNELS };
    float *values = malloc(IMAGES * EACH * sizeof *values);
    for (int i = 0; i < IMAGES * EACH; ++i)
        values[i] = (float)formula_noise((uint32_t)(i % EACH),
                                         (uint32_t)(1000 * (first + i / EACH) + 77 * group));
    tensor *t = t_from(values, 3, (int64_t[]){IMAGES, TOKENS, CHANNELS}, F32, CPU);
    free(values);
    return t;
}

/* ViT-S/14 with registers, its weights by the formula, without the last two blocks. All tests share
 * it, and nobody frees it. */
static imiad_backbone *formula_backbone(void)
{
    static const char *const last = "blocks.9";
    char path[] = "/tmp/imiad-test-XXXXXX.safetensors";
    const architecture *a;
    params *store;
    network *n;
    weights_writer *w;
    static imiad_backbone *b;
    imiad_backbone_options o = IMIAD_BACKBONE_OPTIONS_INIT;
    if (b)
        return b;
    close(mkstemps(path, 12));
    ck_ok(architecture_find(&a, "dinov2_vits14_reg"));
    ck_ok(params_create(&store));
    ck_ok(network_create(&n, a, &last, 1, store, "", 0, NULL, CPU));
    fill(store);
    scope s = scope_begin();
    ck_ok(weights_writer_create(&w));
    ck_ok(params_save(store, "", w));
    ck_ok(weights_writer_commit(w, path));
    ck_ok(scope_end(&s));
    weights_writer_free(w);
    network_free(n);
    params_free(store);
    o.weights = path;
    ck_ok(imiad_backbone_create(&b, a->name, &o));
    unlink(path);
    return b;
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
        double found = values[golden_place(i, count)];
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

static const golden_line *numbered_line(const char *kind, int64_t number)
{
    char name[16];
    snprintf(name, sizeof name, "%d", (int)number);
    return line_of(kind, name);
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

static void read_version(int version)
{
    golden_read(&golden, GOLDEN, version == 2 ? "v2" : "v1");
    ck_assert_uint_lt(golden.count, GOLDEN_LINES);
}

/* ---- the authors' code ---- */

START_TEST(position_codes_come_to_another_grid_as_the_authors_take_them)
{
    enum { BEFORE = 37, AFTER = 28, EACH = 8 };
    static float values[BEFORE * BEFORE * EACH];
    golden_read(&golden, GOLDEN, "table");
    for (int i = 0; i < BEFORE * BEFORE * EACH; ++i)
        values[i] = (float)formula_noise((uint32_t)i, 3);
    scope s = scope_begin();
    tensor *codes = t_from(values, 3, (int64_t[]){1, BEFORE * BEFORE, EACH}, F32, CPU);
    tensor *found = position_codes_resize(codes, AFTER, AFTER, POSITIONS_OFFSET);
    ck_assert_double_lt(error_of(found, line_of("position", "28")), 1e-5);
    ck_ok(scope_end(&s));
}
END_TEST

/* With all layers, fitted so far that its parameters are there; then these are replaced by the
 * formula's. Shared as well. */
static imiad_detector *formula_detector(int version)
{
    static imiad_detector *made[2];
    const imiad_option options[] = {{"resize", "56"}, {"crop", "0"},
                                    {"epochs", "1"},  {"steps", "1"},
                                    {"dropout", "0"}, {"version", version == 2 ? "2" : "1"}};
    imiad_detector *d = made[version - 1];
    if (!d) {
        imiad_image *image = formula_image(1, SIDE);
        ck_ok(imiad_detector_create(&d, "dinomaly", formula_backbone(), options, 6));
        ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)&image, 1, NULL, NULL));
        imiad_image_free(image);
        made[version - 1] = d;
    }
    fill(((const training *)d->state)->stores[0].parameters);
    return d;
}

/* The parts of the network, of what the encoder sees. */
static double compare_parts(tensor *const *seen, int version)
{
    params *store;
    token_decoder decoder;
    const token_decoder_spec spec = {
        .channels = CHANNELS, .narrow = version == 2 ? 256 : 0, .blocks = 8, .dropout = 0.2};
    tensor *out[TOKEN_GROUPS];
    double worst = 0;
    ck_ok(params_create(&store));
    const builder b = {.store = store, .seed = 66, .purpose = NULL};
    scope s = scope_begin();
    token_decoder_add(&decoder, &b, &spec);
    fill(store);
    tensor *x = token_bottleneck_run(&decoder, t_mul_scalar(t_add(seen[0], seen[1]), 0.5), false);
    worst = fmax(worst, error_of(x, line_of("bottleneck", "out")));
    tensor *mixed = linear_attention_run(&decoder.blocks[0].attention,
                                         layer_norm_run(&decoder.blocks[0].norm1, x));
    worst = fmax(worst, error_of(mixed, line_of("attention", "out")));
    token_decoder_run(&decoder, t_mul_scalar(t_add(seen[0], seen[1]), 0.5), false, out);
    for (int i = 0; i < TOKEN_GROUPS; ++i) {
        tensor *patches = t_slice(out[i], 1, PREFIX, TOKENS);
        tensor *wanted =
            version == 2 ? token_recenter(seen[i], PLACES) : t_slice(seen[i], 1, PREFIX, TOKENS);
        worst = fmax(worst, error_of(patches, line_of("decoder", i ? "d2" : "d1")));
        worst = fmax(worst, error_of(wanted, line_of("wanted", i ? "e2" : "e1")));
    }
    ck_ok(scope_end(&s));
    params_free(store);
    return worst;
}

static double compare_maps(imiad_detector *d, const batch *b)
{
    scores found = {NULL};
    double worst = 0;
    float image[4];
    d->ops->score(d, b, &found);
    t_read(found.image, image, sizeof image);
    for (int i = 0; i < 4; ++i) {
        const golden_line *l = numbered_line("map", i);
        tensor *map = t_contiguous(t_slice(found.maps, 0, i, i + 1));
        const float *values = t_data(map);
        ck_ok(t_status());
        ck_assert_int_eq(t_count(map), 256 * 256);
        worst = fmax(worst, fabs((double)image[i] - l->values[0]) / l->values[1]);
        for (size_t k = 0; k < GOLDEN_SAMPLES; ++k) {
            double error = (double)values[golden_place(k, 256 * 256)] - l->values[k + 2];
            worst = fmax(worst, fabs(error) / l->values[1]);
        }
    }
    return worst;
}

START_TEST(what_is_seen_given_back_and_mapped_equals_the_authors)
{
    imiad_image *images[4];
    for (int i = 0; i < 4; ++i)
        images[i] = formula_image(i + 1, SIDE);
    read_version(_i + 1);
    imiad_detector *d = formula_detector(_i + 1);
    batch b;
    tensor *seen[TOKEN_GROUPS];
    scope s = scope_begin();
    detector_make_batch(&b, d, (const imiad_image *const *)images, 4);
    ((const training *)d->state)->ops->frozen(d, &b, seen);
    double encoder = fmax(error_of(seen[0], line_of("encoder", "e1")),
                          error_of(seen[1], line_of("encoder", "e2")));
    double parts = compare_parts(seen, _i + 1), maps = compare_maps(d, &b);
    printf("version %d: error of the encoder's groups %.2g, of the decoder's parts %.2g, of maps "
           "and scores %.2g\n",
           _i + 1, encoder, parts, maps);
    ck_assert_double_lt(encoder, 1e-5);
    ck_assert_double_lt(parts, 1e-5);
    ck_assert_double_lt(maps, 1e-5);
    ck_ok(scope_end(&s));
    for (int i = 0; i < 4; ++i)
        imiad_image_free(images[i]);
}
END_TEST

/* What is behind "mask,v1,GROUP,". */
static void read_mask(char out[IMAGES * PLACES + 1], int group)
{
    char line[4096], begin[32];
    FILE *file = fopen(GOLDEN, "r");
    ck_assert_ptr_nonnull(file);
    snprintf(begin, sizeof begin, "mask,v1,%d,", group + 1);
    *out = 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, begin, strlen(begin)) == 0)
            snprintf(out, IMAGES * PLACES + 1, "%s", line + strlen(begin));
    fclose(file);
    ck_assert_uint_eq(strlen(out), IMAGES * PLACES);
}

/* A leaf's gradient of the loss, IMAGES x PLACES x CHANNELS. */
static tensor *gradient_of(tensor *wanted, tensor *leaf, double easy, double *loss)
{
    t_clear_grad(leaf);
    tensor *l = token_hard_cosine(wanted, leaf, easy, 0.1);
    t_backward(t_div_scalar(l, TOKEN_GROUPS));
    *loss += t_item(l) / TOKEN_GROUPS;
    return t_clone(t_grad(leaf));
}

START_TEST(gradients_of_easy_points_are_a_tenth)
{
    char mask[IMAGES * PLACES + 1];
    double loss = 0, ignored = 0;
    read_version(1);
    scope s = scope_begin_grad();
    for (int group = 0; group < TOKEN_GROUPS; ++group) {
        tensor *wanted = t_slice(features(50, group), 1, PREFIX, TOKENS),
               *sum = t_add(wanted, t_slice(features(60, group), 1, PREFIX, TOKENS));
        tensor *leaf = t_clone(sum);
        t_require_grad(leaf, true);
        tensor *scaled = gradient_of(wanted, leaf, 0.9, &loss),
               *free_of = gradient_of(wanted, leaf, 0, &ignored);
        tensor *ratio =
            t_contiguous(t_div(t_norm(scaled, 2, 2, false), t_norm(free_of, 2, 2, false)));
        const float *ratios = t_data(ratio);
        ck_ok(t_status());
        read_mask(mask, group);
        for (int i = 0; i < IMAGES * PLACES; ++i)
            ck_assert_double_lt(fabs((double)ratios[i] - (mask[i] == '1' ? 0.1 : 1)), 1e-5);
        ck_assert_double_lt(error_of(scaled, numbered_line("point", group + 1)), 1e-5);
    }
    ck_assert_double_lt(fabs(loss / line_of("point", "loss")->values[0] - 1), 1e-6);
    ck_ok(scope_end(&s));
}
END_TEST

/* The loss of a step of the authors' schedule; *norm of its gradients before they are clipped. */
static double take_step(imiad_detector *d, int which, double *norm, double *gradients,
                        int *compared)
{
    training *t = d->state;
    params *learned = t->stores[0].parameters;
    scope s = scope_begin_grad();
    tensor *frozen[] = {features(10 + IMAGES * which, 0), features(10 + IMAGES * which, 1)};
    const train_step step = {
        .count = IMAGES, .frozen = frozen, .index = steps_of[which], .epochs = 1};
    tensor *loss = t->ops->loss(d, &step);
    double value = t_item(loss);
    t_backward(loss);
    if (gradients)
        *gradients = compare_store(learned, "gradient", compared);
    *norm = params_clip_grad(learned, 0.1);
    t->ops->clipped(d, &step);
    for (int i = 0; i < t->rule_count; ++i)
        optimizer_step(t->rules[i].optimizer, t->ops->rate(d, t->rules[i].rate, &step, TOTAL));
    ck_ok(scope_end(&s));
    params_clear_grad(learned);
    return value;
}

static void renew_optimizers(training *t)
{
    for (int i = 0; i < t->rule_count; ++i) {
        optimizer_free(t->rules[i].optimizer);
        t->rules[i].optimizer = NULL;
    }
    ck_ok(training_make_optimizers(t));
}

START_TEST(steps_equal_the_authors)
{
    read_version(_i + 1);
    imiad_detector *d = formula_detector(_i + 1);
    training *t = d->state;
    double losses = 0, norms = 0, gradients = NAN;
    int compared, learned;
    renew_optimizers(t);
    for (int i = 0; i < STEPS; ++i) {
        double norm, loss = take_step(d, i, &norm, i == 0 ? &gradients : NULL, &compared);
        losses = fmax(losses, fabs(loss / numbered_line("loss", steps_of[i])->values[0] - 1));
        norms = fmax(norms, fabs(norm / numbered_line("norm", steps_of[i])->values[0] - 1));
    }
    scope s = scope_begin();
    double parameters = compare_store(t->stores[0].parameters, "parameter", &learned);
    ck_ok(scope_end(&s));
    printf("version %d: largest relative error of %d losses %.2g, of their gradients' norms %.2g, "
           "of %d gradients %.2g, of %d parameters %.2g (single precision there: %.2g, %.2g, "
           "%.2g)\n",
           _i + 1, STEPS, losses, norms, compared, gradients, learned, parameters,
           golden_spread(&golden, "losses"), golden_spread(&golden, "gradients"),
           golden_spread(&golden, "parameters"));
    ck_assert_int_eq(learned, _i ? 102 : 100);
    ck_assert_int_eq(compared, _i ? 30 : 28);
    ck_assert_double_lt(losses, 1e-6);
    ck_assert_double_lt(norms, 1e-4);
    ck_assert_double_lt(gradients, 1e-4);
    ck_assert_double_lt(parameters, 1e-4);
}
END_TEST

START_TEST(stable_adamw_steps_as_the_authors_do)
{
    enum { VALUES = 6 };
    params *p = NULL;
    optimizer *o = NULL;
    double start[VALUES], found[VALUES], divided = 0;
    golden_read(&golden, GOLDEN, _i ? "o2" : "o1");
    for (int i = 0; i < VALUES; ++i)
        start[i] = formula_noise((uint32_t)i, 5);
    ck_ok(params_create(&p));
    scope s = scope_begin_grad();
    tensor *w = params_add(p, "w", t_from(start, 1, (int64_t[]){VALUES}, F64, CPU), true);
    const optimizer_options options = {
        .kind = OPTIMIZER_STABLE_ADAMW, .weight_decay = 0.05, .eps = 1e-10, .amsgrad = _i == 0};
    ck_ok(optimizer_create(&o, p, NULL, &options));
    for (int step = 0; step < 20; ++step) {
        double gradient[VALUES];
        const golden_line *l = numbered_line("optimiser", step);
        for (int i = 0; i < VALUES; ++i)
            gradient[i] = formula_noise((uint32_t)i, (uint32_t)(100 + step)) * pow(1.3, step % 7);
        optimizer_zero_grad(o);
        t_backward(t_sum_all(t_mul(w, t_from(gradient, 1, (int64_t[]){VALUES}, F64, CPU))));
        optimizer_step(o, 0.1 * (step < 5 ? step : 5) / 5);
        t_read(w, found, sizeof found);
        for (int i = 0; i < VALUES; ++i)
            ck_assert_msg(fabs(found[i] - l->values[i + 1]) < 1e-8, "step %d: %.9g, not %.9g", step,
                          found[i], l->values[i + 1]);
        divided = fmax(divided, l->values[0]);
    }
    ck_assert_double_gt(divided, 1.1);
    ck_ok(scope_end(&s));
    optimizer_free(o);
    params_free(p);
}
END_TEST

/* ---- small detectors ---- */

/* Two layers, hence two blocks, of a small network; all tests share it, and nobody frees it. */
static imiad_backbone *small_backbone(void)
{
    static imiad_backbone *shared;
    if (!shared)
        ck_ok(imiad_backbone_create(&shared, "dinov2_vits14", NULL));
    return shared;
}

static imiad_detector *small_detector(const imiad_option *more, size_t count)
{
    imiad_option options[16] = {
        {"layers", "blocks.0,blocks.1"}, {"resize", "28"}, {"crop", "0"}, {"epochs", "1"}};
    imiad_detector *d = NULL;
    for (size_t i = 0; i < count; ++i)
        options[4 + i] = more[i];
    ck_ok(imiad_detector_create(&d, "dinomaly", small_backbone(), options, 4 + count));
    return d;
}

START_TEST(learning_rates_are_the_authors)
{
    static const int64_t asked[] = {0, 1, 99, 100, TOTAL - 1};
    const imiad_option version = {"version", versions[_i]}, steps = {"steps", "1"};
    imiad_image *image = formula_image(1, 28);
    imiad_detector *d = small_detector((const imiad_option[]){version, steps}, 2);
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)&image, 1, NULL, NULL));
    const training *t = d->state;
    read_version(_i + 1);
    ck_assert_int_eq(t->rule_count, _i ? RATES : 1);
    for (size_t k = 0; k < sizeof asked / sizeof *asked; ++k)
        for (int i = 0; i < t->rule_count; ++i) {
            const train_step step = {.index = asked[k]};
            double wanted = numbered_line("schedule", asked[k])->values[i];
            double found = t->ops->rate(d, t->rules[i].rate, &step, TOTAL);
            ck_assert_double_lt(fabs(found - wanted), 1e-8 * wanted + 1e-18);
        }
    imiad_detector_free(d);
    imiad_image_free(image);
}
END_TEST

/* In passes of a shuffled order, whose last images are left out where they fill no step; where an
 * epoch ends makes no difference. */
START_TEST(an_epochs_end_does_not_cut_a_pass)
{
    enum { COUNT = 5, BATCH = 2, DRAWN = 12 };
    const size_t images[COUNT] = {0, 1, 2, 3, 4};
    size_t whole[DRAWN], halves[DRAWN];
    const imiad_option drops = {"drop_last", _i ? "true" : "false"};
    imiad_detector *d = small_detector(&drops, 1);
    const training *t = d->state;
    random_stream stream = random_open(0, "");
    train_plan plan = {.steps = 6, .batch = BATCH, .images = images, .count = COUNT};
    ck_ok(t->ops->draw(d, &plan, &stream, whole));
    for (plan.steps = 3; plan.epoch < 2; ++plan.epoch)
        ck_ok(t->ops->draw(d, &plan, &stream, halves + plan.epoch * DRAWN / 2));
    ck_assert_mem_eq(whole, halves, sizeof whole);
    int pass = _i ? 4 : COUNT;
    for (int i = 0; i < DRAWN; ++i)
        for (int j = i / pass * pass; j < i; ++j)
            ck_assert_uint_ne(whole[i], whole[j]);
    imiad_detector_free(d);
}
END_TEST

static int64_t planned;

static int stop_at_once(void *user, const imiad_progress *p)
{
    (void)user;
    if (strcmp(p->stage, "train") != 0)
        return 0;
    planned = (int64_t)p->total;
    return 1;
}

START_TEST(steps_are_those_of_one_of_several_categories_or_of_the_second_version)
{
    static const struct {
        const char *version;
        int categories, steps;
    } cases[] = {{"1", 1, 50}, {"1", 2, 100}, {"2", 1, 400}, {"2", 2, 400}};
    const imiad_option drawn[] = {
        {"size", "32"}, {"train", "2"}, {"test_good", "1"}, {"test_defective", "1"}};
    imiad_dataset *dataset;
    imiad_split *alone[2], *joined;
    ck_ok(imiad_dataset_open(&dataset, "synthetic", NULL, drawn, 4));
    for (size_t k = 0; k < 2; ++k)
        ck_ok(imiad_split_create(&alone[k], dataset, imiad_dataset_category(dataset, k),
                                 "unsupervised", NULL, 0));
    ck_ok(imiad_split_join(&joined, (const imiad_split *const *)alone, 2));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const imiad_option version = {"version", cases[i].version};
        imiad_detector *d = small_detector(&version, 1);
        ck_fails(
            imiad_detector_fit(d, cases[i].categories > 1 ? joined : alone[0], stop_at_once, NULL),
            IMIAD_CANCELLED, "");
        ck_assert_int_eq(planned, cases[i].steps);
        imiad_detector_free(d);
    }
    imiad_split_free(joined);
    for (int k = 0; k < 2; ++k)
        imiad_split_free(alone[k]);
    imiad_dataset_free(dataset);
}
END_TEST

/* Linear layers from N(0, 0.01^2) cut at three deviations, whose own is then 0.98658 of that; norms
 * and biases as they are wherever nothing was learned: the first step's rate is 0. */
START_TEST(parameters_begin_as_the_authors_begin_theirs)
{
    const imiad_option steps = {"steps", "1"};
    imiad_image *image = formula_image(1, 28);
    imiad_detector *d = small_detector(&steps, 1);
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)&image, 1, NULL, NULL));
    const params *store = ((const training *)d->state)->stores[0].parameters;
    scope s = scope_begin();
    for (size_t i = 0; i < params_count(store); ++i) {
        const param *p = params_at(store, i);
        double largest = t_item(t_max_all(t_abs(p->value)));
        if (t_rank(p->value) == 2) {
            double deviation = sqrt(t_item(t_mean_all(t_square(p->value))));
            ck_assert_double_le(largest, 0.03);
            ck_assert_double_lt(fabs(deviation / 0.0098658 - 1), 0.01);
        } else
            ck_assert_double_eq(largest, formula_ends(p->name, "bias") ? 0 : 1);
    }
    ck_ok(scope_end(&s));
    imiad_detector_free(d);
    imiad_image_free(image);
}
END_TEST

/* Without gradients the optimisers leave the parameters as they are. */
START_TEST(the_second_version_takes_no_step_that_is_not_finite)
{
    const imiad_option options[] = {{"version", versions[_i]}, {"steps", "1"}};
    imiad_image *image = formula_image(1, 28);
    imiad_detector *d = small_detector(options, 2);
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)&image, 1, NULL, NULL));
    training *t = d->state;
    tensor *value = params_at(t->stores[0].parameters, 0)->value;
    const train_step step = {.index = 1};
    scope s = scope_begin_grad();
    t_backward(t_mul_scalar(t_sum_all(value), (double)INFINITY));
    t->ops->clipped(d, &step);
    ck_assert_int_eq(t_grad(value) == NULL, _i == 1);
    params_clear_grad(t->stores[0].parameters);
    ck_ok(scope_end(&s));
    imiad_detector_free(d);
    imiad_image_free(image);
}
END_TEST

START_TEST(a_resumed_training_ends_with_the_same_bytes)
{
    const imiad_option drawn[] = {
        {"size", "32"}, {"train", "3"}, {"test_good", "1"}, {"test_defective", "1"}};
    char paths[3][32], digests[2][65];
    imiad_dataset *dataset;
    int threads = imiad_threads();
    resumed_fit f = {.detector = "dinomaly",
                     .backbone = small_backbone(),
                     .options = {{"layers", "blocks.0,blocks.1"},
                                 {"resize", "28"},
                                 {"crop", "0"},
                                 {"train_batch", "2"},
                                 {"warm_up", "0"},
                                 {"epochs", "2"},
                                 {"steps", "1"},
                                 {"version", "2"}},
                     .option_count = 8};
    for (int i = 0; i < 3; ++i) {
        snprintf(paths[i], sizeof paths[i], "/tmp/imiad-test-XXXXXX");
        close(mkstemp(paths[i]));
    }
    unlink(paths[0]);
    ck_ok(imiad_set_threads(1));
    ck_ok(imiad_dataset_open(&dataset, "synthetic", NULL, drawn, 4));
    ck_ok(imiad_split_create(&f.split, dataset, imiad_dataset_category(dataset, 0), "unsupervised",
                             NULL, 0));
    /* after the features, the first epoch's step and its checkpoint: in the second */
    resumed_save(&f, paths[0], paths[1], -1);
    ck_assert(resumed_save(&f, paths[0], paths[2], 2));
    for (int i = 0; i < 2; ++i)
        ck_ok(file_digest(digests[i], paths[1 + i]));
    ck_assert_str_eq(digests[0], digests[1]);
    for (int i = 1; i < 3; ++i)
        unlink(paths[i]);
    ck_ok(imiad_set_threads(threads));
    imiad_split_free(f.split);
    imiad_dataset_free(dataset);
}
END_TEST

START_TEST(initial_weights_are_taken_as_they_are)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    const imiad_option learned[] = {{"steps", "2"}, {"warm_up", "0"}},
                       given[] = {{"epochs", "0"}, {"initial", path}};
    imiad_image *image = formula_image(1, 28);
    imiad_detector *from = small_detector(learned, 2), *d = NULL;
    imiad_result wanted = IMIAD_RESULT_INIT, found = IMIAD_RESULT_INIT;
    ck_fails(imiad_detector_create(&d, "dinomaly", small_backbone(), given, 1), IMIAD_OUT_OF_RANGE,
             "epochs=0 needs initial weights");
    ck_ok(imiad_detector_fit_images(from, (const imiad_image *const *)&image, 1, NULL, NULL));
    ck_ok(imiad_detector_score(&wanted, from, image));
    ck_ok(imiad_detector_save(from, path));
    d = small_detector(given, 2);
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)&image, 1, NULL, NULL));
    ck_ok(imiad_detector_score(&found, d, image));
    ck_assert_float_eq(found.score, wanted.score);
    imiad_detector_free(from);
    imiad_detector_free(d);
    imiad_image_free(image);
    unlink(path);
}
END_TEST

START_TEST(layers_are_the_eight_in_the_middle)
{
    imiad_detector *d = NULL;
    int count;
    ck_ok(imiad_detector_create(&d, "dinomaly", small_backbone(), NULL, 0));
    const char *const *used = d->ops->layers(d, &count);
    ck_assert_int_eq(count, 8);
    for (int i = 0; i < count; ++i) {
        char name[32];
        snprintf(name, sizeof name, "blocks.%d", i + 2);
        ck_assert_str_eq(used[i], name);
    }
    imiad_detector_free(d);
}
END_TEST

START_TEST(what_cannot_be_is_refused_with_a_reason)
{
    static const struct {
        imiad_option options[2];
        size_t count;
        const char *text;
    } cases[] = {{{{"layers", "blocks.2"}}, 1, "even number"},
                 {{{"layers", "blocks.2,blocks.3.cls_token"}}, 1, "layers with positions"},
                 {{{"resize_mode", "shorter"}, {"crop", "0"}}, 2, "images of one size"},
                 {{{"resize", "13"}, {"crop", "0"}}, 2, "no patch of 14"}};
    imiad_backbone *other = NULL;
    imiad_detector *d = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        ck_assert(imiad_detector_create(&d, "dinomaly", small_backbone(), cases[i].options,
                                        cases[i].count) != IMIAD_OK);
        ck_assert_msg(strstr(imiad_last_error(), cases[i].text), "%s", imiad_last_error());
    }
    ck_ok(imiad_backbone_create(&other, "resnet18", NULL));
    ck_fails(imiad_detector_create(&d, "dinomaly", other, NULL, 0), IMIAD_INVALID_ARGUMENT,
             "a vision transformer, which resnet18 is not: take a backbone dinov2_... or vit_...");
    imiad_backbone_free(other);
}
END_TEST

SUITE("dinomaly", TEST(position_codes_come_to_another_grid_as_the_authors_take_them),
      LOOP_TEST(what_is_seen_given_back_and_mapped_equals_the_authors, 2),
      TEST(gradients_of_easy_points_are_a_tenth), LOOP_TEST(steps_equal_the_authors, 2),
      LOOP_TEST(stable_adamw_steps_as_the_authors_do, 2),
      LOOP_TEST(learning_rates_are_the_authors, 2), LOOP_TEST(an_epochs_end_does_not_cut_a_pass, 2),
      TEST(steps_are_those_of_one_of_several_categories_or_of_the_second_version),
      TEST(parameters_begin_as_the_authors_begin_theirs),
      LOOP_TEST(the_second_version_takes_no_step_that_is_not_finite, 2),
      TEST(a_resumed_training_ends_with_the_same_bytes),
      TEST(initial_weights_are_taken_as_they_are), TEST(layers_are_the_eight_in_the_middle),
      TEST(what_cannot_be_is_refused_with_a_reason))
