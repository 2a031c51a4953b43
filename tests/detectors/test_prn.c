/* PRN against the public re-implementation (tests/golden/make_prn.py), module by module, and what
 * its definition says. */
#include <zlib.h>

#include "bridge/tensor.h"
#include "detectors/detector.h"
#include "detectors/parts/k_means.h"
#include "detectors/parts/mixed_epoch.h"
#include "detectors/parts/prn_network.h"
#include "detectors/parts/prototypes.h"
#include "golden_steps.h"
#include "image/preprocess.h"
#include "product_line.h"
#include "resumed.h"

#define GOLDEN "tests/golden/prn.csv"

enum { IMAGES = 3, PROTOTYPES = 4, INPUT = 128, STEPS = 5 };

static const prn_shape shape = {.channels = {2, 4, 8, 16},
                                .heights = {32, 16, 8, 4},
                                .widths = {32, 16, 8, 4},
                                .side = INPUT,
                                .sizes = 4,
                                .blocks = 1};

/* ---- the numbers that the script computes too ---- */

static double noise(uint32_t index, uint32_t seed)
{
    uint32_t h = (index + seed) * 2654435761u;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    return (double)h / 0x1p31 - 1;
}

static tensor *values(const int64_t s[4], uint32_t seed, double scale, dtype type)
{
    size_t count = (size_t)(s[0] * s[1] * s[2] * s[3]);
    double *v = malloc(count * sizeof *v);
    for (size_t i = 0; i < count; ++i)
        v[i] = scale * noise((uint32_t)i, seed);
    tensor *t = t_to(t_from(v, 4, s, F64, CPU), type);
    free(v);
    return t;
}

static tensor *map_of(int level, int64_t count, uint32_t seed, dtype type)
{
    const int64_t s[] = {count, shape.channels[level], shape.heights[level], shape.widths[level]};
    return t_relu(values(s, seed + (uint32_t)level, 3, type));
}

static void fill_maps(tensor *out[PRN_MAPS], uint32_t seed, dtype type)
{
    for (int i = 0; i < PRN_MAPS; ++i)
        out[i] = map_of(i, IMAGES, 1000 * seed, type);
}

static void fill_prototypes(tensor *out[PRN_LEVELS], dtype type)
{
    for (int i = 0; i < PRN_LEVELS; ++i)
        out[i] = map_of(i, PROTOTYPES, 500, type);
}

static tensor *masks(uint32_t seed, dtype type)
{
    const int64_t s[] = {IMAGES, 1, INPUT, INPUT};
    return t_to(t_gt_scalar(values(s, 70000 + seed, 1, F64), 0.6), type);
}

static bool ends(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

static void fill(params *store)
{
    for (size_t i = 0; i < params_count(store); ++i) {
        const param *p = params_at(store, i);
        size_t count = (size_t)t_count(p->value);
        uint32_t seed =
            (uint32_t)(crc32(0, (const uint8_t *)p->name, (uInt)strlen(p->name)) % 100000);
        double *v = malloc(count * sizeof *v);
        for (size_t k = 0; k < count; ++k) {
            v[k] = noise((uint32_t)k, seed);
            if (ends(p->name, "running_var"))
                v[k] = 1 + 0.5 * v[k];
            else if (ends(p->name, "running_mean") || ends(p->name, "bias"))
                v[k] *= 0.1;
            else if (t_rank(p->value) == 1)
                v[k] = 1 + 0.1 * v[k];
            else
                v[k] *= sqrt(6 / (double)(count / (size_t)t_size(p->value, 0)));
        }
        int64_t sizes[4];
        for (int k = 0; k < t_rank(p->value); ++k)
            sizes[k] = t_size(p->value, k);
        t_copy_(p->value, t_from(v, t_rank(p->value), sizes, F64, CPU));
        free(v);
    }
}

/* ---- comparing ---- */

/* The largest difference of samples, of the tensor's root mean square. */
static double error_of(tensor *t, const golden_line *l)
{
    size_t count = (size_t)t_count(t);
    double *v = malloc(count * sizeof *v), worst = 0, size = l->values[0] / sqrt((double)count);
    t_read(t_contiguous(t_to(t, F64)), v, count * sizeof *v);
    for (size_t i = 0; i < GOLDEN_SAMPLES; ++i)
        worst = fmax(worst, fabs(v[i * (count - 1) / (GOLDEN_SAMPLES - 1)] - l->values[i + 1]));
    free(v);
    return worst / size;
}

static const golden_line *line_of(const golden_case *g, const char *kind, const char *name)
{
    for (size_t i = 0; i < g->count; ++i)
        if (strcmp(g->lines[i].kind, kind) == 0 && strcmp(g->lines[i].name, name) == 0)
            return &g->lines[i];
    ck_abort_msg("no %s,%s,%s", kind, g->name, name);
    return NULL;
}

/* In double precision as the script, and in single as detectors compute. */
static const dtype types[] = {F64, F32};
static const double most[] = {2e-8, 1e-4};

typedef struct built {
    params *store;
    builder builder;
} built;

static built build(void)
{
    built b = {.store = NULL};
    ck_ok(params_create(&b.store));
    b.builder = (builder){.store = b.store, .device = CPU};
    return b;
}

/* The values of a store that is complete. */
static void finish(const built *b, dtype type)
{
    ck_ok(params_to(b->store, F64, CPU));
    fill(b->store);
    ck_ok(params_to(b->store, type, CPU));
}

START_TEST(fusion_equals_the_public_code)
{
    static golden_case golden;
    golden_read(&golden, GOLDEN, "fusion");
    for (int k = 0; k < 2; ++k) {
        built b = build();
        scope s = scope_begin();
        scale_fusion f = scale_fusion_add(&b.builder, "", shape.channels);
        finish(&b, types[k]);
        tensor *maps[PRN_MAPS], *out[FUSED_MAPS];
        fill_maps(maps, 1, types[k]);
        scale_fusion_run(&f, maps, out);
        for (int i = 0; i < FUSED_MAPS; ++i) {
            char name[8];
            snprintf(name, sizeof name, "%d", i + 1);
            ck_assert_double_lt(error_of(out[i], line_of(&golden, "map", name)), most[k]);
        }
        ck_ok(scope_end(&s));
        params_free(b.store);
    }
}
END_TEST

START_TEST(attention_equals_the_public_code)
{
    static golden_case golden;
    const int64_t s[] = {2, 4, 8, 8};
    golden_read(&golden, GOLDEN, "attention");
    for (int k = 0; k < 2; ++k) {
        built b = build();
        scope within = scope_begin();
        size_attention a = size_attention_add(&b.builder, "", 4, 8, 8, 4);
        finish(&b, types[k]);
        tensor *x = values(s, 11, 3, types[k]);
        double eval = error_of(size_attention_run(&a, x, false), line_of(&golden, "map", "eval"));
        double train = error_of(size_attention_run(&a, x, true), line_of(&golden, "map", "train"));
        ck_ok(scope_end(&within));
        ck_assert_double_lt(eval, most[k]);
        ck_assert_double_lt(train, most[k]);
        params_free(b.store);
    }
}
END_TEST

START_TEST(decoder_and_network_equal_the_public_code)
{
    static golden_case decoder, whole;
    golden_read(&decoder, GOLDEN, "decoder");
    golden_read(&whole, GOLDEN, "network");
    for (int k = 0; k < 2; ++k) {
        built b = build();
        scope s = scope_begin();
        prn_network n = prn_network_add(&b.builder, &shape);
        finish(&b, types[k]);
        tensor *maps[PRN_MAPS], *prototypes[PRN_LEVELS], *levels[PRN_LEVELS];
        fill_maps(maps, 2, types[k]);
        fill_prototypes(prototypes, types[k]);
        for (int i = 0; i < PRN_LEVELS; ++i) {
            const int64_t size[] = {IMAGES, 2 * shape.channels[i], shape.heights[i],
                                    shape.widths[i]};
            levels[i] = values(size, 900 + (uint32_t)i, 1, types[k]);
        }
        tensor *decoded = prn_network_decode(&n, levels, maps[PRN_LEVELS], false);
        tensor *logits = prn_network_run(&n, maps, prototypes, false);
        double last = error_of(decoded, line_of(&decoder, "map", "logits"));
        double all = error_of(logits, line_of(&whole, "map", "logits"));
        ck_ok(scope_end(&s));
        printf("relative error of the decoder %.2g, of the network %.2g\n", last, all);
        ck_assert_double_lt(last, most[k]);
        ck_assert_double_lt(all, most[k]);
        params_free(b.store);
    }
}
END_TEST

START_TEST(splitting_into_patches_and_joining_changes_nothing)
{
    for (int level = 0; level < PRN_LEVELS; ++level)
        for (int parts = 1; parts <= 8; parts *= 2) {
            int64_t side = 64 >> level;
            const int64_t s[] = {2, 3, side, side};
            scope within = scope_begin();
            tensor *map = values(s, 7, 1, F32), *tokens = split_patches(map, parts);
            ck_assert_int_eq(t_size(tokens, 1), parts * parts);
            tensor *back = join_patches(tokens, parts, side, side);
            tensor *apart = t_max_all(t_abs(t_sub(map, back)));
            /* the second patch begins where the first row's second part does */
            tensor *first = t_slice(t_slice(tokens, 1, parts > 1, parts > 1 ? 2 : 1), 2, 0, 1);
            tensor *there =
                t_slice(t_slice(t_slice(map, 1, 0, 1), 2, 0, 1), 3, parts > 1 ? side / parts : 0,
                        (parts > 1 ? side / parts : 0) + 1);
            double moved =
                t_item(t_max_all(t_abs(t_sub(t_flatten(first, 0, 2), t_flatten(there, 0, 3)))));
            double changed = t_item(apart);
            ck_ok(scope_end(&within));
            ck_assert_double_eq(changed, 0);
            ck_assert_double_eq(moved, 0);
        }
}
END_TEST

START_TEST(losses_and_gradients_equal_the_public_code)
{
    static golden_case golden;
    static const char *const factors[] = {"0", "5"};
    const int64_t s[] = {IMAGES, 1, INPUT, INPUT};
    golden_read(&golden, GOLDEN, "losses");
    for (int k = 0; k < 2; ++k)
        for (int w = 0; w < 2; ++w) {
            size_t count = IMAGES * INPUT * INPUT;
            double *v = malloc(count * sizeof *v);
            for (size_t i = 0; i < count; ++i)
                v[i] = i % 11 == 3 ? 1000 : i % 7 == 0 ? -1000 : 4 * noise((uint32_t)i, 33);
            scope within = scope_begin_grad();
            tensor *logits = t_to(t_from(v, 4, s, F64, CPU), types[k]);
            t_require_grad(logits, true);
            tensor *loss = prn_loss(logits, masks(0, types[k]), strtod(factors[w], NULL));
            double value = t_item(loss), wanted = line_of(&golden, "loss", factors[w])->values[0];
            t_backward(loss);
            double error = error_of(t_grad(logits), line_of(&golden, "gradient", factors[w]));
            ck_ok(scope_end(&within));
            ck_assert_double_lt(fabs(value / wanted - 1), most[k]);
            ck_assert_double_lt(error, most[k]);
            free(v);
        }
}
END_TEST

/* A mask of soft values never makes a logarithm of nothing. */
START_TEST(certain_and_wrong_is_finite)
{
    const float logits[] = {-1000, 1000, -1000, 1000}, mask[] = {1, 0, 0, 1};
    const int64_t s[] = {1, 1, 2, 2};
    scope within = scope_begin_grad();
    tensor *x = t_from(logits, 4, s, F32, CPU);
    t_require_grad(x, true);
    tensor *loss = prn_loss(x, t_from(mask, 4, s, F32, CPU), 5);
    double value = t_item(loss);
    t_backward(loss);
    double gradient = t_item(t_max_all(t_abs(t_grad(x))));
    ck_ok(scope_end(&within));
    /* half of the pixels are wrong: 0.25 of smooth L1, and -log(2e-5) / 4 of the focal loss */
    ck_assert_double_eq_tol(value, 0.25 + 5 * -log(2e-5) / 4, 1e-2);
    ck_assert(isfinite(gradient));
}
END_TEST

START_TEST(nearest_prototypes_are_the_public_codes)
{
    static golden_case golden;
    golden_read(&golden, GOLDEN, "nearest");
    for (int k = 0; k < 2; ++k)
        for (int i = 0; i < PRN_LEVELS; ++i) {
            int64_t found[IMAGES];
            scope s = scope_begin();
            tensor *maps[PRN_MAPS], *prototypes[PRN_LEVELS];
            fill_maps(maps, 2, types[k]);
            fill_prototypes(prototypes, types[k]);
            t_read(nearest_prototypes(prototypes[i], maps[i]), found, sizeof found);
            tensor *residual = t_slice(prototype_residuals(prototypes[i], maps[i]), 0, 0, 1);
            tensor *own = t_slice(prototypes[i], 0, found[0], found[0] + 1);
            tensor *wanted = t_square(t_sub(t_slice(maps[i], 0, 0, 1), own));
            double apart = t_item(t_max_all(t_abs(t_sub(residual, wanted))));
            ck_ok(scope_end(&s));
            for (int j = 0; j < IMAGES; ++j)
                ck_assert_int_eq(found[j], (int)golden.lines[i].values[j]);
            ck_assert_double_eq(apart, 0);
        }
}
END_TEST

/* Five steps of Adam with its weight decay, on the batch norms too. */
START_TEST(steps_in_double_equal_the_public_code)
{
    static golden_case golden;
    golden_read(&golden, GOLDEN, "steps");
    built b = build();
    scope adding = scope_begin();
    prn_network n = prn_network_add(&b.builder, &shape);
    finish(&b, F64);
    ck_ok(scope_end(&adding));
    optimizer *adam;
    ck_ok(optimizer_create(&adam, b.store, NULL,
                           &(optimizer_options){.kind = OPTIMIZER_ADAM, .weight_decay = 1e-2}));
    double worst = 0, above = 0, below = 0;
    for (int step = 0; step < STEPS; ++step) {
        char name[8];
        snprintf(name, sizeof name, "%d", step);
        scope s = scope_begin_grad();
        tensor *maps[PRN_MAPS], *prototypes[PRN_LEVELS];
        fill_maps(maps, 10 + (uint32_t)step, F64);
        fill_prototypes(prototypes, F64);
        tensor *loss =
            prn_loss(prn_network_run(&n, maps, prototypes, true), masks((uint32_t)step, F64), 5);
        worst = fmax(worst, fabs(t_item(loss) / line_of(&golden, "loss", name)->values[0] - 1));
        t_backward(loss);
        optimizer_step(adam, 1e-4);
        ck_ok(scope_end(&s));
        params_clear_grad(b.store);
    }
    scope s = scope_begin();
    size_t compared = 0;
    for (size_t i = 0; i < golden.count; ++i) {
        const golden_line *l = &golden.lines[i];
        const param *p = params_find(b.store, l->name);
        if (strcmp(l->kind, "parameter") != 0 || !p)
            continue;
        above += pow(error_of(p->value, l) * l->values[0], 2);
        below += l->values[0] * l->values[0];
        ++compared;
    }
    ck_ok(scope_end(&s));
    printf("relative error of %d losses %.2g, of %zu tensors %.2g\n", STEPS, worst, compared,
           sqrt(above / below));
    /* the code's projections of queries and keys of the only patch there is change nothing */
    ck_assert_uint_eq(compared, golden.count - STEPS - PRN_LEVELS * 4);
    ck_assert_uint_eq(compared, params_count(b.store));
    ck_assert_double_lt(worst, 1e-7);
    ck_assert_double_lt(sqrt(above / below), 1e-7);
    optimizer_free(adam);
    params_free(b.store);
}
END_TEST

/* ---- on real features ---- */

/* The prototype whose distance is the smallest in double precision, by plain differences. */
static int64_t nearest_plainly(const float *map, const float *prototypes, int64_t count,
                               int64_t dimension)
{
    int64_t best = 0;
    double least = INFINITY;
    for (int64_t k = 0; k < count; ++k) {
        double sum = 0;
        for (int64_t i = 0; i < dimension; ++i)
            sum += pow((double)map[i] - (double)prototypes[k * dimension + i], 2);
        if (sum < least) {
            least = sum;
            best = k;
        }
    }
    return best;
}

START_TEST(nearest_prototypes_of_real_features_are_those_of_plain_differences)
{
    enum { TRAINED = 12, CENTRES = 5, SIDE = 64, DIMENSION = 64 * 16 * 16 };
    const char *layer = "layer1";
    char root[4096], path[4200];
    snprintf(root, sizeof root, "%s", SHARED("data/mvtec_ad/transistor"));
    imiad_backbone *backbone;
    imiad_backbone_options b = IMIAD_BACKBONE_OPTIONS_INIT;
    b.weights = SHARED(WEIGHTS);
    ck_ok(imiad_backbone_create(&backbone, "resnet18", &b));
    const imiad_option squashed[] = {{"resize", "64"}, {"resize_mode", "squash"}, {"crop", "0"}};
    imiad_detector *reader; /* prepares images and runs the backbone */
    ck_ok(imiad_detector_create(&reader, "stpm", backbone, squashed, 3));
    float *maps = malloc(TRAINED * DIMENSION * sizeof *maps);
    float *centres = malloc(CENTRES * DIMENSION * sizeof *centres);
    for (int i = 0; i < TRAINED; ++i) {
        imiad_image *image, *small;
        snprintf(path, sizeof path, "%s/train/good/%03d.png", root, i);
        ck_ok(imiad_image_read(&image, path));
        ck_ok(preprocess_image(&small, image, &reader->preprocessing));
        scope s = scope_begin();
        batch one;
        const imiad_image *const list[] = {small};
        tensor *features;
        detector_make_batch(&one, reader, list, 1);
        detector_features(reader, &one, &layer, 1, &features);
        t_read(t_contiguous(features), maps + i * DIMENSION, DIMENSION * sizeof *maps);
        ck_ok(scope_end(&s));
        imiad_image_free(image);
        imiad_image_free(small);
    }
    ck_ok(k_means(centres, CENTRES, maps, TRAINED, DIMENSION, 0, "test", NULL));
    int64_t found[TRAINED];
    const int64_t rows[] = {TRAINED, 64, 16, 16}, columns[] = {CENTRES, 64, 16, 16};
    scope s = scope_begin();
    t_read(
        nearest_prototypes(t_from(centres, 4, columns, F32, CPU), t_from(maps, 4, rows, F32, CPU)),
        found, sizeof found);
    ck_ok(scope_end(&s));
    for (int i = 0; i < TRAINED; ++i)
        ck_assert_int_eq(found[i],
                         nearest_plainly(maps + i * DIMENSION, centres, CENTRES, DIMENSION));
    free(maps);
    free(centres);
    imiad_detector_free(reader);
    imiad_backbone_free(backbone);
}
END_TEST

/* ---- epochs ---- */

/* Of 10 normal and 2 defective images: 10, 5 and 5; each defect twice as it is, then pasted. */
START_TEST(an_epoch_is_half_anomalous)
{
    size_t normal[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20, 21}, images[20];
    uint8_t slots[20];
    mixed_images m = {normal, normal + 10, 10, 2};
    random_stream s = random_open(1, "epoch");
    ck_assert_int_eq(mixed_epoch_items(&m), 20);
    ck_ok(mixed_epoch_draw(images, slots, 20, &m, 2, &s));
    int seen[22] = {0}, raw = 0, pasted = 0, damaged = 0;
    for (int i = 0; i < 20; ++i) {
        bool defective = images[i] >= 20;
        seen[images[i]] += slots[i] == AS_IT_IS;
        raw += defective && slots[i] == AS_IT_IS;
        pasted += slots[i] == PASTED;
        damaged += slots[i] == DAMAGED;
        ck_assert(slots[i] != PASTED || defective);
        ck_assert(slots[i] != DAMAGED || !defective);
    }
    for (int i = 0; i < 10; ++i)
        ck_assert_int_eq(seen[i], 1);
    ck_assert_int_eq(seen[20], 2);
    ck_assert_int_eq(seen[21], 2);
    ck_assert_int_eq(raw, 4);
    ck_assert_int_eq(pasted, 1);
    ck_assert_int_eq(damaged, 5);
    m.defective_count = 0;
    ck_ok(mixed_epoch_draw(images, slots, 20, &m, 2, &s));
    damaged = 0;
    for (int i = 0; i < 20; ++i)
        damaged += slots[i] == DAMAGED;
    ck_assert_int_eq(damaged, 10);
}
END_TEST

/* BGAD's: 3 normal images, 2 defective ones four times each, one of them pasted. */
START_TEST(repeats_end_with_pasted_ones)
{
    size_t normal[] = {0, 2, 4, 1, 3}, images[11];
    uint8_t slots[11];
    mixed_images m = {normal, normal + 3, 3, 2};
    random_stream s = random_open(1, "repeats");
    ck_assert_int_eq(mixed_repeated_items(&m, 4), 11);
    ck_ok(mixed_repeated_draw(images, slots, 11, &m, 4, 1, &s));
    int seen[5][2] = {{0}};
    for (int i = 0; i < 11; ++i)
        seen[images[i]][slots[i] == PASTED]++;
    for (int i = 0; i < 5; ++i) {
        ck_assert_int_eq(seen[i][0], i % 2 ? 3 : 1);
        ck_assert_int_eq(seen[i][1], i % 2);
    }
}
END_TEST

/* An image's number, as its only feature. */
static void read_number(imiad_detector *self, const batch *b, tensor **out)
{
    (void)self;
    out[0] = t_slice(t_slice(t_slice(b->images, 1, 0, 1), 2, 0, 1), 3, 0, 1);
}

static tensor *numbers(const float *each, int64_t channels)
{
    const int64_t s[] = {5, 1, 1, 1}, wide[] = {5, channels, 4, 4};
    return t_contiguous(t_expand(t_from(each, 4, s, F32, CPU), 4, wide));
}

/* Of five images two are made. Their frozen features and masks, those of what they were made of,
 * are not to be seen. */
START_TEST(what_was_made_comes_with_its_own_features_and_mask)
{
    static const float frozen[] = {0, 1, 2, 3, 4}, mask[] = {0, 0.1F, 0.2F, 0.3F, 0.4F},
                       made[] = {10, 11, 12, 13, 14}, made_mask[] = {1, 1.1F, 1.2F, 1.3F, 1.4F};
    static const uint8_t none[5] = {0}, some[] = {0, PASTED, 0, DAMAGED, 0},
                         all[] = {PASTED, PASTED, DAMAGED, DAMAGED, DAMAGED};
    static const struct {
        const uint8_t *slots;
        float features[5];
    } rows[] = {{none, {0, 1, 2, 3, 4}}, {some, {0, 11, 2, 13, 4}}, {all, {10, 11, 12, 13, 14}}};
    for (int r = 0; r < 3; ++r) {
        float seen[5], covered[5];
        scope s = scope_begin();
        tensor *first = t_slice(t_slice(numbers(frozen, 1), 2, 0, 1), 3, 0, 1), *features, *masks;
        tensor *both[] = {numbers(made, 3), numbers(made_mask, 1)};
        const train_step step = {.count = 5,
                                 .frozen = &first,
                                 .masks = numbers(mask, 1),
                                 .made = both,
                                 .pixels = {.height = 4, .width = 4}};
        mixed_gather(&features, &masks, NULL, &step, rows[r].slots, 1, read_number);
        t_read(t_contiguous(features), seen, sizeof seen);
        t_read(t_contiguous(t_slice(t_slice(masks, 2, 0, 1), 3, 0, 1)), covered, sizeof covered);
        ck_ok(scope_end(&s));
        for (int i = 0; i < 5; ++i) {
            ck_assert_float_eq(seen[i], rows[r].features[i]);
            ck_assert_float_eq_tol(covered[i], rows[r].features[i] / 10, 1e-6F);
        }
    }
}
END_TEST

/* ---- in use ---- */

static const imiad_option small[] = {{"resize", "64"},     {"width", "8"},
                                     {"epochs", "2"},      {"attention_blocks", "1"},
                                     {"train_batch", "4"}, {"repeats", "1"}};
enum { SMALL = sizeof small / sizeof *small };

static imiad_detector *create(const product_line *l, const imiad_option *more, size_t count)
{
    imiad_option options[SMALL + 4];
    imiad_detector *d;
    memcpy(options, small, sizeof small);
    for (size_t i = 0; i < count; ++i)
        options[SMALL + i] = more[i];
    ck_ok(imiad_detector_create(&d, "prn", l->backbone, options, SMALL + count));
    return d;
}

static char said[1024];

static void hear(void *user, imiad_log_level level, const char *message)
{
    (void)user;
    if (level == IMIAD_LOG_INFO && strstr(message, "learns from"))
        snprintf(said, sizeof said, "%s", message);
}

static void expect_learned_from(const char *setting, const char *text)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    product_line l = product_line_open("64", "6", "1", "3", setting);
    imiad_detector *d = create(&l, NULL, 0);
    imiad_set_log(hear, NULL);
    ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
    imiad_set_log(NULL, NULL);
    ck_assert_msg(strstr(said, text), "%s", said);
    ck_ok(imiad_detector_save(d, path));
    weights *file;
    ck_ok(weights_open(&file, path));
    ck_assert_msg(strstr(weights_metadata(file, "learned_from"), text), "%s", text);
    weights_free(file);
    unlink(path);
    imiad_detector_free(d);
    product_line_close(&l);
}

START_TEST(log_and_file_say_what_it_learned_from)
{
    expect_learned_from("unsupervised", "no labelled anomalies");
    expect_learned_from("supervised", "labelled anomalies (1)");
}
END_TEST

START_TEST(a_defect_without_its_mask_is_named)
{
    product_line l = product_line_open("64", "3", "1", "1", "unsupervised");
    imiad_detector *d = create(&l, NULL, 0);
    imiad_labelled_image told[3];
    imiad_image *images[3];
    for (size_t i = 0; i < 3; ++i) {
        ck_ok(imiad_dataset_read_image(&images[i], l.dataset, i));
        told[i] = (imiad_labelled_image)IMIAD_LABELLED_IMAGE_INIT;
        told[i].image = images[i];
        told[i].label = i == 2;
    }
    ck_fails(imiad_detector_fit_labelled(d, told, 3, NULL, NULL), IMIAD_INVALID_ARGUMENT,
             "image 2 has none");
    for (size_t i = 0; i < 3; ++i)
        imiad_image_free(images[i]);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(options_that_cannot_be_are_refused)
{
    static const imiad_option any[] = {{"resize_mode", "shorter"}},
                              three[] = {{"layers", "layer1,layer2,layer3"}},
                              uneven[] = {{"resize", "80"}},
                              many[] = {{"resize", "64"}, {"attention_sizes", "4"}},
                              most_sizes[] = {{"resize", "64"}, {"attention_sizes", "3"}};
    product_line l = product_line_open("64", "3", "1", "1", "unsupervised");
    imiad_detector *d = NULL;
    ck_fails(imiad_detector_create(&d, "prn", l.backbone, any, 1), IMIAD_OUT_OF_RANGE,
             "resize_mode=squash");
    ck_fails(imiad_detector_create(&d, "prn", l.backbone, three, 1), IMIAD_OUT_OF_RANGE,
             "names 3 layers");
    ck_fails(imiad_detector_create(&d, "prn", l.backbone, uneven, 1), IMIAD_MISMATCH,
             "multiple of 32");
    ck_fails(imiad_detector_create(&d, "prn", l.backbone, many, 2), IMIAD_OUT_OF_RANGE,
             "set at most 3");
    ck_ok(imiad_detector_create(&d, "prn", l.backbone, most_sizes, 2));
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

/* The public code trains its encoder's running statistics by accident. */
START_TEST(the_backbone_is_the_same_bytes_after_training)
{
    product_line l = product_line_open("64", "6", "1", "3", "supervised");
    const char *layers[] = {"layer1", "layer2", "layer3", "layer4"};
    imiad_detector *d = create(&l, NULL, 0);
    static float before[4][64 * 16 * 16], after[4][64 * 16 * 16];
    for (int round = 0; round < 2; ++round) {
        imiad_image *image;
        scope s = scope_begin();
        batch b;
        tensor *features[4];
        ck_ok(imiad_dataset_read_image(&image, l.dataset, 0));
        detector_make_batch(&b, d, (const imiad_image *const[]){image}, 1);
        detector_features(d, &b, layers, 4, features);
        for (int i = 0; i < 4; ++i)
            t_read(t_contiguous(features[i]), round ? after[i] : before[i],
                   (size_t)t_count(features[i]) * sizeof(float));
        ck_ok(scope_end(&s));
        imiad_image_free(image);
        if (round == 0)
            ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
    }
    ck_assert_mem_eq(before, after, sizeof before);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

/* Ten anomalies of sixteen: none of them is tested. */
START_TEST(no_anomaly_that_trains_is_tested)
{
    const imiad_option ten[] = {{"anomalies", "10"}};
    product_line l = product_line_open("64", "3", "4", "16", "unsupervised");
    imiad_split *split;
    int defective = 0;
    ck_ok(imiad_split_create(&split, l.dataset, imiad_dataset_category(l.dataset, 0), "supervised",
                             ten, 1));
    for (size_t i = 0; i < imiad_split_train_count(split); ++i) {
        size_t trained = imiad_split_train(split, i);
        imiad_sample told = IMIAD_SAMPLE_INIT;
        ck_ok(imiad_dataset_sample(&told, l.dataset, trained));
        defective += told.label;
        for (size_t k = 0; k < imiad_split_test_count(split); ++k)
            ck_assert_uint_ne(trained, imiad_split_test(split, k));
    }
    ck_assert_int_eq(defective, 10);
    imiad_split_free(split);
    product_line_close(&l);
}
END_TEST

START_TEST(stopped_and_continued_learns_the_same_bytes)
{
    product_line l = product_line_open("64", "3", "1", "3", "supervised");
    resumed_fit f = {.detector = "prn", .backbone = l.backbone, .split = l.split};
    memcpy(f.options, small, sizeof small);
    f.options[SMALL] = (imiad_option){"epochs", "3"};
    f.option_count = SMALL + 1;
    resumed_equals_undisturbed(&f, 4);
    product_line_close(&l);
}
END_TEST

SUITE("prn", TEST(fusion_equals_the_public_code), TEST(attention_equals_the_public_code),
      TEST(decoder_and_network_equal_the_public_code),
      TEST(splitting_into_patches_and_joining_changes_nothing),
      TEST(losses_and_gradients_equal_the_public_code), TEST(certain_and_wrong_is_finite),
      TEST(nearest_prototypes_are_the_public_codes), TEST(steps_in_double_equal_the_public_code),
      TEST(nearest_prototypes_of_real_features_are_those_of_plain_differences),
      TEST(an_epoch_is_half_anomalous), TEST(repeats_end_with_pasted_ones),
      TEST(what_was_made_comes_with_its_own_features_and_mask),
      TEST(log_and_file_say_what_it_learned_from), TEST(a_defect_without_its_mask_is_named),
      TEST(options_that_cannot_be_are_refused), TEST(the_backbone_is_the_same_bytes_after_training),
      TEST(no_anomaly_that_trains_is_tested), TEST(stopped_and_continued_learns_the_same_bytes))
