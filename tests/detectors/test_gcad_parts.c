/* What GCAD is made of, against plain PyTorch, a public U-Net and plain twins. */
#include "detectors/parts/channel_statistics.h"
#include "detectors/parts/gcad_images.h"
#include "detectors/parts/gcad_networks.h"
#include "detectors/parts/two_maps.h"
#include "golden_steps.h"

#define GOLDEN "tests/golden/gcad.csv" /* made by tests/golden/make_gcad.py */

enum { SIDE = 64, WIDTH = 4, NUMBERS = 5, CHANNELS = 10, EPOCHS = 10, STEPS = 3 };

static const int fields[] = {17, 33};
static golden_case golden;

/* Relative to the norm and the largest sample; of the tensor so many times. */
static double error_of_times(double times, tensor *t, const golden_line *l)
{
    double *values = golden_values(t), square = 0, largest = 0, worst = 0;
    size_t count = (size_t)t_count(t);
    for (size_t i = 0; i < count; ++i) {
        values[i] *= times;
        square += values[i] * values[i];
    }
    for (size_t i = 0; i < GOLDEN_SAMPLES; ++i) {
        largest = fmax(largest, fabs(l->values[i + 1]));
        worst = fmax(worst, fabs(values[golden_place(i, count)] - l->values[i + 1]));
    }
    free(values);
    return fmax(worst / largest, fabs(sqrt(square) - l->values[0]) / l->values[0]);
}

static double error_of(tensor *t, const golden_line *l)
{
    return error_of_times(1, t, l);
}

static const golden_line *line_named(const char *kind, const char *name)
{
    for (size_t i = 0; i < golden.count; ++i)
        if (strcmp(golden.lines[i].kind, kind) == 0 && strcmp(golden.lines[i].name, name) == 0)
            return &golden.lines[i];
    ck_abort_msg("no line %s,%s", kind, name);
    return NULL;
}

static tensor *wave(int64_t images, int64_t side, double phase, dtype type)
{
    return golden_procedural((const int64_t[]){images, 3, side, side}, phase, type);
}

/* ---- the U-Net: section 3 ---- */

START_TEST(the_u_net_is_the_public_one)
{
    golden_read(&golden, GOLDEN, "unet");
    params *store;
    ck_ok(params_create(&store));
    scope s = scope_begin();
    const builder b = {.store = store, .seed = 66, .purpose = "unet."};
    unet u = unet_add(&b, 3, WIDTH, CHANNELS);
    const golden_line *l = line_named("output", "whole");
    ck_ok(params_to(store, F64, CPU));
    for (size_t i = 0; i < params_count(store); ++i) {
        tensor *p = params_at(store, i)->value;
        if (t_rank(p) == 4) /* otherwise little of the image comes through so many layers */
            t_mul_(p, 2.5);
    }
    double exact = error_of(unet_run(&u, wave(2, SIDE, 0, F64)), l);
    ck_ok(params_to(store, F32, CPU));
    double single = error_of(unet_run(&u, wave(2, SIDE, 0, F32)), l);
    printf("U-Net: relative error %.2g, in single precision %.2g\n", exact, single);
    ck_assert_double_lt(exact, 1e-9);
    ck_assert_double_lt(single, 1e-5);
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

START_TEST(networks_have_as_many_parameters_as_they_should)
{
    static const struct {
        int64_t outputs, count;
    } nets[] = {{128, 31040000}, {10, 31032330}};
    static const int64_t descriptors[] = {2996480, 1616000};
    golden_read(&golden, GOLDEN, "unet");
    for (int i = 0; i < 2; ++i) {
        params *store;
        ck_ok(params_create(&store));
        scope s = scope_begin();
        const builder b = {.store = store};
        char name[8];
        unet_add(&b, 3, UNET_WIDTH, nets[i].outputs);
        snprintf(name, sizeof name, "%d", (int)nets[i].outputs);
        ck_assert_int_eq(params_elements(store, true), nets[i].count);
        ck_assert_int_eq((int64_t)line_named("count", name)->values[0], nets[i].count);
        const builder below = builder_below(&b, "descriptor");
        patch_descriptor_add(&below, fields[i], 128);
        ck_assert_int_eq(params_elements(store, true), nets[i].count + descriptors[i]);
        ck_ok(scope_end(&s));
        params_free(store);
    }
}
END_TEST

/* ---- descriptions of patches ---- */

/* The patch around a pixel, cut out of the reflected image. */
static tensor *patch_at(tensor *image, int field, int64_t x, int64_t y)
{
    int border = (field - 1) / 2;
    tensor *wide = t_pad2d(image, border, border, border, border, PAD_REFLECT);
    return t_slice(t_slice(wide, 2, y, y + field), 3, x, x + field);
}

START_TEST(every_pixel_is_described_as_its_patch_alone)
{
    enum { PIXELS = 104 };
    for (int f = 0; f < 2; ++f) {
        params *store;
        ck_ok(params_create(&store));
        scope s = scope_begin();
        const builder b = {.store = store, .seed = 3, .purpose = "descriptor/"};
        patch_descriptor d = patch_descriptor_add(&b, fields[f], 128);
        const int64_t shape[] = {1, 3, 48, 56};
        tensor *image = t_normal(4, shape, 0, 1, 5, "image", CPU), *patches[PIXELS];
        tensor *dense = patch_descriptor_dense(&d, image), *found[PIXELS];
        ck_assert_int_eq(t_size(dense, 2), 48);
        ck_assert_int_eq(t_size(dense, 3), 56);
        random_stream places = random_open(7, "places");
        for (int i = 0; i < PIXELS; ++i) {
            int64_t x = i < 4 ? 55 * (i % 2) : (int64_t)random_below(&places, 56);
            int64_t y = i < 4 ? 47 * (i / 2) : (int64_t)random_below(&places, 48);
            patches[i] = patch_at(image, fields[f], x, y);
            found[i] = t_slice(t_slice(dense, 2, y, y + 1), 3, x, x + 1);
        }
        tensor *alone = patch_descriptor_patches(&d, t_cat(patches, PIXELS, 0));
        tensor *apart = t_abs(t_sub(alone, t_cat(found, PIXELS, 0)));
        double worst = t_item(t_max_all(apart)) / t_item(t_max_all(t_abs(alone)));
        printf("patches of %d: dense and alone differ by %.2g\n", fields[f], worst);
        ck_assert_double_lt(worst, 1e-5);
        tensor *spread = t_std(t_flatten(alone, 1, 3), 0, true, false);
        ck_assert_double_gt(t_item(t_mean_all(spread)), 100 * worst); /* patches differ */
        ck_ok(scope_end(&s));
        params_free(store);
    }
}
END_TEST

START_TEST(folded_statistics_give_mean_0_and_deviation_1)
{
    params *store;
    channel_statistics before, after;
    ck_ok(params_create(&store));
    ck_ok(channel_statistics_open(&before, 8));
    ck_ok(channel_statistics_open(&after, 8));
    scope s = scope_begin();
    const builder b = {.store = store, .seed = 3, .purpose = "descriptor/"};
    patch_descriptor d = patch_descriptor_add(&b, 33, 8);
    const int64_t each[] = {1, 8, 1, 1};
    tensor *mean = t_zeros(4, each, F64, CPU), *deviation = t_zeros(4, each, F64, CPU);
    double values[16];
    for (int i = 0; i < 3; ++i)
        channel_statistics_add(&before, patch_descriptor_dense(&d, wave(1, SIDE, i, F32)));
    channel_statistics_finish(mean, deviation, &before);
    patch_descriptor_fold(&d, mean, deviation);
    for (int i = 0; i < 3; ++i)
        channel_statistics_add(&after, patch_descriptor_dense(&d, wave(1, SIDE, i, F32)));
    channel_statistics_finish(mean, deviation, &after);
    t_read(mean, values, 8 * sizeof *values);
    t_read(deviation, values + 8, 8 * sizeof *values);
    for (int i = 0; i < 8; ++i) {
        ck_assert_double_lt(fabs(values[i]), 1e-3);
        ck_assert_double_lt(fabs(values[8 + i] - 1), 1e-3);
    }
    ck_ok(scope_end(&s));
    channel_statistics_close(&before);
    channel_statistics_close(&after);
    params_free(store);
}
END_TEST

/* ---- what skips the bottleneck ---- */

START_TEST(skips_fade_level_by_level_within_a_fifth_of_the_epochs)
{
    static const struct {
        int64_t epoch;
        double weights[SQUEEZING_LEVELS];
    } cases[] = {{0, {1, 1, 1, 1, 1}},    {10, {.5, 1, 1, 1, 1}}, {20, {0, 1, 1, 1, 1}},
                 {45, {0, 0, .75, 1, 1}}, {80, {0, 0, 0, 0, 1}},  {99, {0, 0, 0, 0, .05}},
                 {100, {0, 0, 0, 0, 0}},  {499, {0, 0, 0, 0, 0}}};
    double found[SQUEEZING_LEVELS];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        squeezing_network_fade(found, cases[i].epoch, 500);
        for (int k = 0; k < SQUEEZING_LEVELS; ++k)
            ck_assert_double_eq_tol(found[k], cases[i].weights[k], 1e-12);
    }
    squeezing_network_fade(found, 0, 4); /* too few for any fading */
    ck_assert_double_eq(found[4], 0);
}
END_TEST

/* ---- losses, gradients, steps: section 4 ---- */

static gcad_spec small_spec(int field)
{
    return (gcad_spec){.field = field,
                       .side = SIDE,
                       .width = WIDTH,
                       .numbers = NUMBERS,
                       .channels = CHANNELS,
                       .local = true,
                       .global = true,
                       .learning = true};
}

static gcad_networks make_networks(params *store, const gcad_spec *spec)
{
    char purpose[32];
    snprintf(purpose, sizeof purpose, "gcad/p%d/", spec->field);
    const builder b = {.store = store, .seed = 66, .purpose = purpose};
    gcad_networks n = gcad_networks_add(&b, spec);
    params_set_trainable(store, "descriptor.", false);
    return n;
}

/* Gradients are those of a mean over positions, the script's of a sum. */
static double worst_of(params *store, const char *kind, double times, int *count)
{
    double worst = 0;
    *count = 0;
    for (size_t i = 0; i < golden.count; ++i) {
        const golden_line *l = &golden.lines[i];
        if (strcmp(l->kind, kind) != 0)
            continue;
        const param *p = params_find(store, l->name);
        ck_assert_msg(p, "no %s", l->name);
        tensor *t = kind[0] == 'g' ? t_grad(p->value) : p->value;
        ck_assert_msg(t, "%s has no gradient", l->name);
        worst = fmax(worst, error_of_times(times, t, l));
        ++*count;
    }
    return worst;
}

static void no_gradient_reaches_what_is_fixed(params *store)
{
    for (size_t i = 0; i < params_count(store); ++i) {
        const param *p = params_at(store, i);
        bool fixed = strncmp(p->name, "descriptor.", 11) == 0;
        ck_assert(!fixed || (!p->trainable && !t_grad(p->value)));
    }
}

static void take_step(const gcad_networks *n, params *store, int epoch, double *losses,
                      double *gradients)
{
    double skips[SQUEEZING_LEVELS];
    char name[16];
    squeezing_network_fade(skips, epoch, EPOCHS);
    tensor *images = wave(2, SIDE, 0, F64);
    tensor *described = patch_descriptor_dense(&n->descriptor, images);
    if (epoch == 0)
        ck_assert_double_lt(error_of(described, line_named("output", "described")), 1e-9);
    tensor *loss = gcad_loss(n, images, described, skips, epoch >= EPOCHS / 10);
    snprintf(name, sizeof name, "%d", epoch);
    double wanted = line_named("loss", name)->values[0] / (SIDE * SIDE);
    *losses = fmax(*losses, fabs(t_item(loss) / wanted - 1));
    t_backward(loss);
    no_gradient_reaches_what_is_fixed(store);
    if (epoch == 1) {
        int count;
        *gradients = worst_of(store, "gradient", SIDE * SIDE, &count);
        ck_assert_int_eq(count, 2 * 23 + 16 + 3); /* two U-Nets, E_glo with three skips, U */
    }
}

START_TEST(steps_are_those_of_plain_equations)
{
    for (int f = 0; f < 2; ++f) {
        params *store;
        optimizer *adam;
        char name[16];
        const gcad_spec spec = small_spec(fields[f]);
        const optimizer_options options = gcad_adam(1e-5, SIDE);
        double losses = 0, gradients = 1, parameters, maps = 0;
        int count;
        snprintf(name, sizeof name, "steps%d", fields[f]);
        golden_read(&golden, GOLDEN, name);
        ck_ok(params_create(&store));
        scope setting = scope_begin();
        gcad_networks n = make_networks(store, &spec);
        ck_ok(scope_end(&setting));
        ck_ok(params_to(store, F64, CPU));
        ck_ok(optimizer_create(&adam, store, NULL, &options));
        for (int epoch = 0; epoch < STEPS; ++epoch) {
            scope s = scope_begin_grad();
            take_step(&n, store, epoch, &losses, &gradients);
            optimizer_step(adam, 1e-4);
            ck_ok(scope_end(&s));
            params_clear_grad(store);
        }
        optimizer_free(adam);
        scope s = scope_begin();
        parameters = worst_of(store, "parameter", 1, &count);
        ck_assert_int_eq(count, 2 * 23 + 18 + 3);
        gcad_networks_finish(&n, store); /* the maps do without the helpers */
        ck_assert(!params_find(store, "squeezing.skip0.weight"));
        ck_assert(!params_find(store, "upscale.0.weight"));
        tensor *both[GCAD_MAPS];
        gcad_maps(&n, wave(1, SIDE, 7, F64), both);
        for (int k = 0; k < GCAD_MAPS; ++k)
            maps = fmax(maps, error_of(both[k], line_named("map", k == 0 ? "local" : "global")));
        ck_ok(scope_end(&s));
        params_free(store);
        printf("%s: relative error of losses %.2g, gradients %.2g, parameters %.2g, maps %.2g\n",
               name, losses, gradients, parameters, maps);
        ck_assert_double_lt(losses, 1e-9);
        ck_assert_double_lt(gradients, 1e-7);
        ck_assert_double_lt(parameters, 1e-7);
        ck_assert_double_lt(maps, 1e-7);
    }
}
END_TEST

START_TEST(a_detached_map_is_not_moved_by_the_network_that_restores_it)
{
    double norms[2][2]; /* of a gradient of E_glo: without and with R_glo, as it is and detached */
    for (int detached = 0; detached < 2; ++detached) {
        gcad_spec spec = small_spec(33);
        spec.detached = detached;
        for (int restoring = 0; restoring < 2; ++restoring) {
            params *store;
            ck_ok(params_create(&store));
            scope s = scope_begin_grad();
            gcad_networks n = make_networks(store, &spec);
            tensor *images = wave(1, SIDE, 0, F32);
            tensor *described = patch_descriptor_dense(&n.descriptor, images);
            t_backward(gcad_loss(&n, images, described, NULL, restoring));
            tensor *g = t_grad(n.squeezing.squeeze.weight);
            norms[detached][restoring] = t_item(t_sum_all(t_square(g)));
            ck_ok(scope_end(&s));
            params_free(store);
        }
    }
    ck_assert_double_gt(fabs(norms[0][1] / norms[0][0] - 1), 1e-3);
    ck_assert_double_lt(fabs(norms[1][1] / norms[1][0] - 1), 1e-6);
}
END_TEST

/* ---- distilling ---- */

START_TEST(the_loss_of_a_lesson_is_that_of_plain_equations)
{
    for (int f = 0; f < 2; ++f) {
        params *store;
        char name[16], purpose[32];
        snprintf(name, sizeof name, "lesson%d", fields[f]);
        snprintf(purpose, sizeof purpose, "gcad/p%d/descriptor.", fields[f]);
        golden_read(&golden, GOLDEN, name);
        ck_ok(params_create(&store));
        scope setting = scope_begin();
        const builder b = {.store = store, .seed = 66, .purpose = purpose};
        const builder d = {.store = store, .seed = 66, .purpose = "gcad/decoder."};
        described_patches learner = {.descriptor = patch_descriptor_add(&b, fields[f], 2 * WIDTH)};
        learner.decoder = conv2d_add(
            &d, "0", (conv2d_spec){.inputs = 2 * WIDTH, .outputs = 7, .kernel = 1, .bias = true});
        ck_ok(scope_end(&setting));
        ck_ok(params_to(store, F64, CPU));
        scope s = scope_begin_grad();
        tensor *wanted = golden_procedural((const int64_t[]){6, 7, 1, 1}, 1, F64);
        tensor *loss = gcad_lesson_loss(&learner, wave(6, fields[f], 0, F64), wanted);
        int count;
        double apart = fabs(t_item(loss) / line_named("loss", "0")->values[0] - 1);
        t_backward(loss);
        double gradients = worst_of(store, "gradient", 1, &count);
        printf("%s: relative error of the loss %.2g, of gradients %.2g\n", name, apart, gradients);
        ck_assert_int_eq(count, 4);
        ck_assert_double_lt(apart, 1e-6);
        ck_assert_double_lt(gradients, 1e-5);
        ck_ok(scope_end(&s));
        params_free(store);
    }
}
END_TEST

/* ---- maps on one scale: section 5 ---- */

START_TEST(places_come_of_means_and_deviations_or_of_quantiles)
{
    float ramp[1001], still[1001];
    for (int i = 0; i < 1001; ++i) {
        ramp[i] = (float)i;
        still[i] = 3;
    }
    map_values v = {.count = 2, .values = {ramp, still}, .used = 1001};
    map_place found[MOST_MAPS];
    ck_ok(map_values_places(found, &v, false));
    ck_assert_double_eq_tol((double)found[0].low, 500, 1e-9);
    ck_assert_double_eq_tol((double)found[0].width, sqrt((1001.0 * 1001 - 1) / 12), 1e-4);
    ck_assert_double_eq((double)found[1].low, 3);
    ck_assert_double_eq((double)found[1].width, 1); /* it never changes */
    ck_ok(map_values_places(found, &v, true));
    ck_assert_double_eq_tol((double)found[0].low, 900, 1e-3);
    ck_assert_double_eq_tol((double)found[0].width, 950, 1e-2); /* 995 becomes 0.1 */
}
END_TEST

SUITE("gcad-parts", TEST(the_u_net_is_the_public_one),
      TEST(networks_have_as_many_parameters_as_they_should),
      TEST(every_pixel_is_described_as_its_patch_alone),
      TEST(folded_statistics_give_mean_0_and_deviation_1),
      TEST(skips_fade_level_by_level_within_a_fifth_of_the_epochs),
      TEST(steps_are_those_of_plain_equations),
      TEST(a_detached_map_is_not_moved_by_the_network_that_restores_it),
      TEST(the_loss_of_a_lesson_is_that_of_plain_equations),
      TEST(places_come_of_means_and_deviations_or_of_quantiles))
