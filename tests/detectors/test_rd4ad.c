/* RD4AD against two public implementations, and against its own definition. */
#include "bridge/tensor.h"
#include "detectors/detector.h"
#include "golden_steps.h"
#include "image/preprocess.h"
#include "nn/network.h"
#include "nn/families/resnet.h"

#define GOLDEN "tests/golden/rd4ad.csv" /* made by tests/golden/make_rd4ad.py */

enum { LEVELS = 3, SEED = 66, SIDE = 64, TENSORS = 115 /* 23 convolutions, their norms' four */ };

#define STEPS                                                                                      \
    {"epochs", "1"}, {"resize", "64"},                                                             \
    {                                                                                              \
        "train_batch", "8"                                                                         \
    }

static const char *const teachers[LEVELS] = {"layer1", "layer2", "layer3"};
static const char *const decoders[LEVELS] = {"layer3", "layer2", "layer1"};

/* ---- bottleneck and decoder by themselves ---- */

typedef struct networks {
    params *store;
    network *bottleneck, *decoder;
} networks;

static networks make_networks(const char *encoder, bool wide)
{
    networks n;
    const architecture *a;
    ck_ok(architecture_find(&a, encoder));
    const architecture bottleneck = {
        "bottleneck", wide ? resnet_wide_fusion_build : resnet_fusion_build, a->variant, NULL};
    const architecture decoder = {"decoder", resnet_decoder_build, a->variant, NULL};
    ck_ok(params_create(&n.store));
    ck_ok(network_create(&n.bottleneck, &bottleneck, (const char *const[]){"bn_layer"}, 1, n.store,
                         "bn.", SEED, "rd4ad/bn", CPU));
    ck_ok(network_create(&n.decoder, &decoder, decoders, LEVELS, n.store, "decoder.", SEED,
                         "rd4ad/decoder", CPU));
    return n;
}

static void free_networks(networks *n)
{
    network_free(n->bottleneck);
    network_free(n->decoder);
    params_free(n->store);
}

/* The embedding, then what the decoder makes of it, the teacher's first level first. */
static void run_networks(const networks *n, tensor *const *features, tensor *out[1 + LEVELS],
                         bool learning)
{
    tensor *fused[LEVELS] = {network_part(n->bottleneck, features[0], "conv1", "conv2", learning),
                             network_part(n->bottleneck, features[1], "conv3", "conv3", learning),
                             features[2]};
    tensor *both = t_cat(fused, LEVELS, 1);
    out[0] = network_part(n->bottleneck, both, "bn_layer.0", "bn_layer", learning);
    network_features(n->decoder, out[0], decoders, LEVELS, out + 1, learning);
}

/* Relative error of a tensor's samples and norm, of the largest sample and the norm. */
static double tensor_error(tensor *t, const golden_line *l)
{
    size_t count = (size_t)t_count(t);
    double *values = malloc(count * sizeof *values);
    t_read(t_contiguous(t), values, count * sizeof *values);
    double square = 0, largest = 0, worst = 0;
    for (size_t i = 0; i < count; ++i)
        square += values[i] * values[i];
    for (size_t i = 0; i < GOLDEN_SAMPLES; ++i) {
        largest = fmax(largest, fabs(l->values[i + 1]));
        double found = values[i * (count - 1) / (GOLDEN_SAMPLES - 1)];
        worst = fmax(worst, fabs(found - l->values[i + 1]));
    }
    free(values);
    return fmax(worst / largest, fabs(sqrt(square) - l->values[0]) / l->values[0]);
}

/* The embedding of the authors' code is 1024 wide in a wide network, that of IM-IAD's 512. */
START_TEST(wide_networks_equal_the_public_implementations)
{
    static golden_case golden;
    static const char *const codes[] = {"wide_iad", "wide"};
    static const char *const outputs[] = {"embedding", "level1", "level2", "level3"};
    golden_read(&golden, GOLDEN, codes[_i]);
    networks n = make_networks("wide_resnet50_2", _i == 1);
    double worst = 0;
    int compared = 0;
    ck_ok(params_to(n.store, F64, CPU));
    scope s = scope_begin();
    tensor *features[LEVELS], *found[2][1 + LEVELS];
    for (int i = 0; i < LEVELS; ++i)
        features[i] = golden_procedural((int64_t[]){2, 256 << i, 16 >> i, 16 >> i}, i, F64);
    for (int eval = 0; eval < 2; ++eval) /* eval mode with the statistics that training moved */
        run_networks(&n, features, found[eval], eval == 0);
    for (size_t i = 0; i < golden.count; ++i) {
        const golden_line *l = &golden.lines[i];
        if (strcmp(l->kind, "count") == 0)
            ck_assert_double_eq((double)params_elements(n.store, true), l->values[0]);
        for (int j = 0; j < 2 * (1 + LEVELS); ++j) {
            char name[64];
            int eval = j / (1 + LEVELS), output = j % (1 + LEVELS);
            snprintf(name, sizeof name, "%s.%s", eval ? "eval" : "train", outputs[output]);
            if (strcmp(l->name, name) == 0) {
                worst = fmax(worst, tensor_error(found[eval][output], l));
                ++compared;
            }
        }
    }
    ck_ok(scope_end(&s));
    printf("%s: largest relative error of %d outputs %.2g\n", codes[_i], compared, worst);
    ck_assert_int_eq(compared, 2 * (1 + LEVELS));
    ck_assert_double_lt(worst, 1e-7);
    free_networks(&n);
}
END_TEST

/* ---- steps on real images ---- */

static const golden_training cases[] = {
    /* nothing moves but the running statistics: maps of given parameters */
    {"still", 8, 4, {STEPS, {"learning_rate", "0"}}, {1, 0, 3, 1e-6, 1, 1e-4, NULL, 0}},
    {"slow",
     80,
     4,
     {STEPS, {"learning_rate", "0.000005"}},
     {10, TENSORS, 3, 1e-4, 1e-3, 1e-3, NULL, 0}},
    {"official", 80, 4, {STEPS, {"preset", "official"}}, {10, TENSORS, 3, 0, 0, 0, NULL, 0}},
    {"open_iad", 80, 4, {STEPS, {"preset", "open_iad"}}, {10, TENSORS, 0, 0, 0, 0, NULL, 0}},
};

/* The acceptance is 1e-3 for losses and parameters. Adam divides a gradient by its size, so that
 * where gradients are small rounding moves parameters as far as learning does: at the codes' own
 * rate, they part from themselves in double precision by more than that. There the steps are
 * compared to that spread, and in double below. */
START_TEST(ten_steps_equal_the_public_implementations)
{
    golden_train("rd4ad", GOLDEN, "student.", &cases[_i]);
}
END_TEST

/* ---- the definition, in plain C ---- */

/* Procedural images of 64 x 64 and a random backbone. */
typedef struct small_set {
    imiad_dataset *dataset;
    imiad_backbone *backbone;
    imiad_image *images[4];
} small_set;

static small_set open_small(void)
{
    static const imiad_option options[] = {{"size", "64"}, {"train", "4"}};
    small_set s;
    ck_ok(imiad_dataset_open(&s.dataset, "synthetic", NULL, options, 2));
    ck_ok(imiad_backbone_create(&s.backbone, "resnet18", NULL));
    for (size_t i = 0; i < 4; ++i)
        ck_ok(imiad_dataset_read_image(&s.images[i], s.dataset, i));
    return s;
}

static void close_small(small_set *s)
{
    for (size_t i = 0; i < 4; ++i)
        imiad_image_free(s->images[i]);
    imiad_backbone_free(s->backbone);
    imiad_dataset_free(s->dataset);
}

static imiad_detector *make_small(const small_set *s, const imiad_option *more, size_t count)
{
    imiad_option options[12] = {{"resize", "64"}, {"epochs", "1"}, {"train_batch", "4"}};
    for (size_t i = 0; i < count; ++i)
        options[3 + i] = more[i];
    imiad_detector *d;
    ck_ok(imiad_detector_create(&d, "rd4ad", s->backbone, options, 3 + count));
    return d;
}

static void fit_small(imiad_detector *d, const small_set *s, size_t count)
{
    golden_steps = 0;
    imiad_set_log(golden_see, NULL);
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)s->images, count, NULL, NULL));
    imiad_set_log(NULL, NULL);
}

/* Teacher's and student's maps of the first images, in the order of memory n x c x h x w. */
typedef struct level {
    float *teacher, *student;
    int channels, side;
} level;

static void find_levels(level out[LEVELS], const small_set *set, const imiad_detector *d,
                        const networks *n, int count, bool learning)
{
    float *values = malloc(sizeof *values * 3 * SIDE * SIDE * (size_t)count);
    for (int i = 0; i < count; ++i)
        preprocess_normalize(values + i * 3 * SIDE * SIDE, set->images[i], &d->preprocessing);
    scope s = scope_begin();
    tensor *teacher[LEVELS], *found[1 + LEVELS];
    tensor *images = t_from(values, 4, (int64_t[]){count, 3, SIDE, SIDE}, F32, CPU);
    backbone_features(set->backbone, images, teachers, LEVELS, teacher);
    run_networks(n, teacher, found, learning);
    for (int i = 0; i < LEVELS; ++i) {
        size_t bytes = (size_t)t_count(teacher[i]) * sizeof(float);
        out[i] = (level){malloc(bytes), malloc(bytes), (int)t_size(teacher[i], 1),
                         (int)t_size(teacher[i], 2)};
        ck_assert_int_eq(out[i].side, SIDE / 4 >> i);
        t_read(t_contiguous(teacher[i]), out[i].teacher, bytes);
        t_read(t_contiguous(found[1 + i]), out[i].student, bytes);
    }
    ck_ok(scope_end(&s));
    free(values);
}

static void free_levels(level levels[LEVELS])
{
    for (int i = 0; i < LEVELS; ++i) {
        free(levels[i].teacher);
        free(levels[i].student);
    }
}

/* 1 - cos of `count` numbers that lie `stride` apart; a vector of zeros has distance 1. */
static double cosine_distance(const float *a, const float *b, int count, int stride)
{
    double product = 0, first = 0, second = 0;
    for (int i = 0; i < count; ++i) {
        double x = (double)a[i * stride], y = (double)b[i * stride];
        product += x * y;
        first += x * x;
        second += y * y;
    }
    return 1 - product / fmax(sqrt(first * second), 1e-8);
}

static double position_distance(const level *l, int image, int y, int x)
{
    int plane = l->side * l->side, at = image * l->channels * plane + y * l->side + x;
    return cosine_distance(l->teacher + at, l->student + at, l->channels, plane);
}

/* The authors' code flattens each map; the paper averages over positions. */
START_TEST(the_loss_follows_its_definition)
{
    static const imiad_option options[][1] = {{{"loss", "flattened"}}, {{"loss", "positions"}}};
    small_set s = open_small();
    imiad_detector *d = make_small(&s, options[_i], 1);
    networks n = make_networks("resnet18", false);
    level levels[LEVELS];
    find_levels(levels, &s, d, &n, 4, true);
    fit_small(d, &s, 4);
    double wanted = 0;
    for (int i = 0; i < LEVELS; ++i) {
        const level *l = &levels[i];
        int plane = l->side * l->side, size = l->channels * plane;
        for (int image = 0; image < 4; ++image)
            if (_i == 0)
                wanted +=
                    cosine_distance(l->teacher + image * size, l->student + image * size, size, 1) /
                    4;
            else
                for (int p = 0; p < plane; ++p)
                    wanted += position_distance(l, image, p / l->side, p % l->side) / (4 * plane);
    }
    ck_assert_int_eq(golden_steps, 1);
    ck_assert_double_eq_tol(golden_losses[0], wanted, 1e-5 * wanted);
    free_levels(levels);
    free_networks(&n);
    imiad_detector_free(d);
    close_small(&s);
}
END_TEST

/* Where output place i of `out` lies among `in` places whose corners coincide with the output's. */
static double interpolated(const level *l, int y, int x)
{
    double v = y * (double)(l->side - 1) / (SIDE - 1), u = x * (double)(l->side - 1) / (SIDE - 1);
    int top = (int)v, left = (int)u;
    int bottom = top + (top < l->side - 1), right = left + (left < l->side - 1);
    double above = position_distance(l, 0, top, left) * (1 - u + left) +
                   position_distance(l, 0, top, right) * (u - left);
    double below = position_distance(l, 0, bottom, left) * (1 - u + left) +
                   position_distance(l, 0, bottom, right) * (u - left);
    return above * (1 - v + top) + below * (v - top);
}

START_TEST(the_map_is_the_sum_of_the_levels_distances)
{
    static const imiad_option rough[] = {{"smoothing", "0"}};
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    small_set s = open_small();
    imiad_detector *d = make_small(&s, rough, 1);
    networks n = make_networks("resnet18", false);
    fit_small(d, &s, 4);
    ck_ok(imiad_detector_save(d, path));
    weights *file;
    ck_ok(weights_open(&file, path));
    ck_ok(params_load(n.store, file, "student.", PARAMS_EXTRA_ALLOWED));
    weights_free(file);
    unlink(path);
    level levels[LEVELS];
    find_levels(levels, &s, d, &n, 1, false);
    imiad_result result = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_score(&result, d, s.images[0]));
    double largest = 0;
    for (int y = 0; y < SIDE; ++y)
        for (int x = 0; x < SIDE; ++x) {
            double wanted = 0;
            for (int i = 0; i < LEVELS; ++i)
                wanted += interpolated(&levels[i], y, x);
            ck_assert_double_eq_tol((double)result.map[y * SIDE + x], wanted, 1e-5);
            largest = fmax(largest, (double)result.map[y * SIDE + x]);
        }
    ck_assert_double_eq((double)result.score, largest);
    free_levels(levels);
    free_networks(&n);
    imiad_detector_free(d);
    close_small(&s);
}
END_TEST

/* ---- steps in double precision ---- */

static void fill_step(train_step *step, tensor **frozen)
{
    step->count = 2;
    for (int i = 0; i < LEVELS; ++i)
        frozen[i] = golden_procedural((int64_t[]){2, 64 << i, 16 >> i, 16 >> i},
                                      (double)(step->index + i), F64);
}

/* The loss, the networks and the optimiser at the authors' rate, without rounding's share. */
START_TEST(steps_in_double_equal_the_official_code)
{
    static golden_case golden;
    static const imiad_option official[] = {{"preset", "official"}};
    golden_read(&golden, GOLDEN, "double");
    small_set s = open_small();
    imiad_detector *d = make_small(&s, official, 1);
    networks first = make_networks("resnet18", true);
    fit_small(d, &s, 1);
    golden_train_double(d->state, first.store, 10,
                        fill_step); /* its training is the first member */
    golden_hold(&golden, d, NULL, "student.",
                &(golden_limits){10, TENSORS, 0, 1e-7, 1e-6, 1, NULL, 0});
    free_networks(&first);
    imiad_detector_free(d);
    close_small(&s);
}
END_TEST

/* ---- its options ---- */

/* Spec, section 3: what the three codes set. */
START_TEST(presets_are_those_of_the_codes)
{
    static const struct {
        const char *preset, *beta1, *beta2, *decay, *batch, *wide;
    } wanted[] = {{"libimiad", "0.5", "0.999", "0", "16", "false"},
                  {"official", "0.5", "0.999", "0", "16", "true"},
                  {"open_iad", "0.9", "0.999", "0.000001", "8", "false"}};
    small_set s = open_small();
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; ++i) {
        imiad_option preset = {"preset", wanted[i].preset};
        imiad_detector *d;
        ck_ok(imiad_detector_create(&d, "rd4ad", s.backbone, &preset, 1));
        ck_assert_str_eq(imiad_detector_option(d, "beta1"), wanted[i].beta1);
        ck_assert_str_eq(imiad_detector_option(d, "beta2"), wanted[i].beta2);
        ck_assert_str_eq(imiad_detector_option(d, "weight_decay"), wanted[i].decay);
        ck_assert_str_eq(imiad_detector_option(d, "train_batch"), wanted[i].batch);
        ck_assert_str_eq(imiad_detector_option(d, "wide_embedding"), wanted[i].wide);
        ck_assert_str_eq(imiad_detector_option(d, "learning_rate"), "0.005");
        ck_assert_str_eq(imiad_detector_option(d, "epochs"), "200");
        imiad_detector_free(d);
    }
    close_small(&s);
}
END_TEST

START_TEST(inputs_must_be_multiples_of_32)
{
    static const imiad_option odd[] = {{"resize", "100"}}, cropped[] = {{"crop", "40"}},
                              any[] = {{"resize", "64"}, {"resize_mode", "shorter"}};
    static uint8_t pixels[100 * 64 * 3];
    imiad_image wide = {sizeof wide, IMIAD_PIXEL_RGB8, 100, 64, 300, pixels};
    const imiad_image *const images[1] = {&wide};
    small_set s = open_small();
    imiad_detector *d = NULL;
    ck_fails(imiad_detector_create(&d, "rd4ad", s.backbone, odd, 1), IMIAD_MISMATCH,
             "100 x 100 pixels: both must be multiples of 32");
    ck_fails(imiad_detector_create(&d, "rd4ad", s.backbone, cropped, 1), IMIAD_MISMATCH, "crop");
    d = make_small(&s, any, 2);
    ck_fails(imiad_detector_fit_images(d, images, 1, NULL, NULL), IMIAD_MISMATCH,
             "100 x 64 pixels");
    imiad_detector_free(d);
    close_small(&s);
}
END_TEST

/* One image of 64 pixels leaves batch norm four values a channel; one of 32 pixels only one. */
START_TEST(batch_norm_needs_two_values)
{
    static const imiad_option tiny[] = {{"resize", "32"}};
    small_set s = open_small();
    imiad_result result = IMIAD_RESULT_INIT;
    imiad_detector *d = make_small(&s, NULL, 0);
    fit_small(d, &s, 1);
    ck_ok(imiad_detector_score(&result, d, s.images[1]));
    ck_assert(isfinite(result.score));
    imiad_detector_free(d);
    d = make_small(&s, tiny, 1);
    const imiad_image *const images[1] = {s.images[0]};
    ck_fails(imiad_detector_fit_images(d, images, 1, NULL, NULL), IMIAD_OUT_OF_RANGE,
             "batch norm needs two");
    fit_small(d, &s, 2);
    ck_ok(imiad_detector_score(&result, d, s.images[1]));
    ck_assert(isfinite(result.score));
    imiad_detector_free(d);
    close_small(&s);
}
END_TEST

/* A detector's file, or the authors' checkpoint, begins another detector. */
START_TEST(initial_weights_are_taken_as_they_are)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    small_set s = open_small();
    imiad_detector *d = make_small(&s, NULL, 0), *other = NULL;
    fit_small(d, &s, 4);
    ck_ok(imiad_detector_save(d, path));
    const imiad_option none[] = {{"epochs", "0"}}, given[] = {{"epochs", "0"}, {"initial", path}};
    ck_fails(imiad_detector_create(&other, "rd4ad", s.backbone, none, 1), IMIAD_OUT_OF_RANGE,
             "epochs=0 needs initial weights");
    other = make_small(&s, given, 2);
    fit_small(other, &s, 1);
    ck_assert_int_eq(golden_steps, 0);
    imiad_result first = IMIAD_RESULT_INIT, second = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_score(&first, d, s.images[3]));
    ck_ok(imiad_detector_score(&second, other, s.images[3]));
    ck_assert_mem_eq(first.map, second.map, sizeof(float) * SIDE * SIDE);
    imiad_detector_free(other);
    imiad_detector_free(d);

    imiad_backbone *deeper; /* three blocks where the file has two */
    ck_ok(imiad_backbone_create(&deeper, "resnet34", NULL));
    ck_ok(imiad_detector_create(&d, "rd4ad", deeper, given, 2));
    const imiad_image *const images[1] = {s.images[0]};
    ck_fails(imiad_detector_fit_images(d, images, 1, NULL, NULL), IMIAD_MISMATCH, path);
    imiad_detector_free(d);
    imiad_backbone_free(deeper);
    close_small(&s);
    unlink(path);
}
END_TEST

START_TEST(another_task_goes_on_from_the_first)
{
    static const imiad_option longer[] = {{"epochs", "6"}};
    small_set s = open_small();
    imiad_split *split;
    ck_ok(imiad_split_create(&split, s.dataset, imiad_dataset_category(s.dataset, 0),
                             "unsupervised", NULL, 0));
    imiad_detector *d = make_small(&s, longer, 1);
    golden_steps = 0;
    imiad_set_log(golden_see, NULL);
    ck_ok(imiad_detector_fit(d, split, NULL, NULL));
    ck_ok(imiad_detector_fit_more(d, split, NULL, NULL));
    imiad_set_log(NULL, NULL);
    ck_assert_int_eq(golden_steps, 12);
    ck_assert_double_lt(golden_losses[6], 0.75 * golden_losses[0]);
    imiad_detector_free(d);
    imiad_split_free(split);
    close_small(&s);
}
END_TEST

SUITE("rd4ad", LOOP_TEST(wide_networks_equal_the_public_implementations, 2),
      LOOP_TEST(ten_steps_equal_the_public_implementations, 4),
      TEST(steps_in_double_equal_the_official_code), LOOP_TEST(the_loss_follows_its_definition, 2),
      TEST(the_map_is_the_sum_of_the_levels_distances), TEST(presets_are_those_of_the_codes),
      TEST(inputs_must_be_multiples_of_32), TEST(batch_norm_needs_two_values),
      TEST(initial_weights_are_taken_as_they_are), TEST(another_task_goes_on_from_the_first))
