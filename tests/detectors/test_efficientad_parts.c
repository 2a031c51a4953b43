/* What EfficientAD is made of, against the public code and against plain twins. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "detectors/parts/channel_statistics.h"
#include "detectors/parts/hard_loss.h"
#include "detectors/parts/patch_embedding.h"
#include "detectors/parts/pdn.h"
#include "detectors/parts/pdn_autoencoder.h"
#include "detectors/parts/two_maps.h"
#include "golden_steps.h"
#include "nn/weights_tensor.h"
#include "relative_l2.h"

#define GOLDEN "tests/golden/efficientad.csv" /* made by tests/golden/make_efficientad.py */

enum { SMALL_WIDTH = 8, SMALL_OUTPUTS = 24, SMALL_SIDE = 64 };

static builder builder_of(params *store, const char *purpose)
{
    return (builder){.store = store, .seed = 66, .purpose = purpose};
}

/* ---- sizes: section 3 ---- */

START_TEST(grids_are_those_of_the_paper)
{
    static const struct {
        int64_t side;
        bool padded;
        int64_t positions;
    } cases[] = {{256, false, 56}, {256, true, 64}, {512, false, 120}, {512, true, 128},
                 {257, false, 57}, {64, false, 8},  {64, true, 16},    {33, false, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        ck_assert_int_eq(pdn_positions(cases[i].side, cases[i].padded), cases[i].positions);
}
END_TEST

START_TEST(networks_have_as_many_parameters_as_the_papers)
{
    static const struct {
        pdn_size size;
        int64_t outputs, count;
    } cases[] = {{PDN_SMALL, 384, 2694144},
                 {PDN_SMALL, 768, 4267392},
                 {PDN_MEDIUM, 384, 8026624},
                 {PDN_MEDIUM, 768, 11615488}};
    scope s = scope_begin();
    params *store;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        ck_ok(params_create(&store));
        builder b = builder_of(store, NULL);
        pdn_add(&b, cases[i].size, PDN_WIDTH, cases[i].outputs);
        ck_assert_int_eq(params_elements(store, true), cases[i].count);
        params_free(store);
    }
    ck_ok(params_create(&store));
    builder b = builder_of(store, NULL);
    pdn_autoencoder_add(&b, PDN_WIDTH, PDN_OUTPUTS, 256, 56);
    ck_assert_int_eq(params_elements(store, true), 1096320);
    params_free(store);
    ck_ok(scope_end(&s));
}
END_TEST

/* ---- outputs ---- */

static golden_case golden;

/* Relative to the norm and the largest sample. */
static double error_of(tensor *t, const golden_line *l)
{
    double *values = golden_values(t), square = 0, largest = 0, worst = 0;
    size_t count = (size_t)t_count(t);
    for (size_t i = 0; i < count; ++i)
        square += values[i] * values[i];
    for (size_t i = 0; i < GOLDEN_SAMPLES; ++i) {
        largest = fmax(largest, fabs(l->values[i + 1]));
        worst = fmax(worst, fabs(values[golden_place(i, count)] - l->values[i + 1]));
    }
    free(values);
    return fmax(worst / largest, fabs(sqrt(square) - l->values[0]) / l->values[0]);
}

static const golden_line *line_named(const char *name)
{
    for (size_t i = 0; i < golden.count; ++i)
        if (strcmp(golden.lines[i].name, name) == 0)
            return &golden.lines[i];
    ck_abort_msg("no line %s", name);
    return NULL;
}

static tensor *corner(tensor *image)
{
    return t_slice(t_slice(image, 2, 0, SMALL_SIDE), 3, 0, SMALL_SIDE);
}

START_TEST(networks_give_what_the_public_code_gives)
{
    static const struct {
        const char *name;
        pdn_size size;
        bool padded, whole;
        int64_t positions;
    } cases[] = {{"small", PDN_SMALL, false, true, 56},
                 {"small_padded", PDN_SMALL, true, false, 16},
                 {"medium", PDN_MEDIUM, false, false, 8},
                 {"medium_padded", PDN_MEDIUM, true, false, 16}};
    golden_read(&golden, GOLDEN, "whole");
    scope s = scope_begin();
    tensor *image = golden_procedural((const int64_t[]){1, 3, 256, 256}, 0, F32);
    params *store;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        ck_ok(params_create(&store));
        builder b = builder_of(store, "efficientad/teacher/");
        pdn p = pdn_add(&b, cases[i].size, PDN_WIDTH, PDN_OUTPUTS);
        tensor *y = pdn_run(&p, cases[i].whole ? image : corner(image), cases[i].padded);
        ck_assert_int_eq(t_size(y, 2), cases[i].positions);
        double error = error_of(y, line_named(cases[i].name));
        printf("%s: relative error %.2g\n", cases[i].name, error);
        ck_assert_double_lt(error, 1e-5);
        params_free(store);
    }
    ck_ok(params_create(&store));
    builder b = builder_of(store, "efficientad/autoencoder/");
    pdn_autoencoder a = pdn_autoencoder_add(&b, PDN_WIDTH, PDN_OUTPUTS, 256, 56);
    double error = error_of(pdn_autoencoder_run(&a, image, false), line_named("autoencoder"));
    printf("autoencoder: relative error %.2g\n", error);
    ck_assert_double_lt(error, 1e-5);
    params_free(store);
    ck_ok(scope_end(&s));
}
END_TEST

/* The losses need only one half of the student's outputs. Which kernel multiplies depends on how
 * many there are: the last digits may differ, in the outputs and in the gradients. */
START_TEST(a_slice_of_the_last_layer_equals_the_whole)
{
    pdn_size size = _i == 0 ? PDN_SMALL : PDN_MEDIUM;
    params *store;
    ck_ok(params_create(&store));
    scope s = scope_begin_grad();
    builder b = builder_of(store, "efficientad/student/");
    pdn p = pdn_add(&b, size, SMALL_WIDTH, 2 * SMALL_OUTPUTS);
    tensor *image = golden_procedural((const int64_t[]){1, 3, SMALL_SIDE, SMALL_SIDE}, 0, F32);
    float *values[2][PDN_CONVOLUTIONS + 1];
    for (int sliced = 0; sliced < 2; ++sliced) {
        tensor *half = sliced ? pdn_head(&p, pdn_trunk(&p, image, false), 0, SMALL_OUTPUTS)
                              : t_slice(pdn_run(&p, image, false), 1, 0, SMALL_OUTPUTS);
        t_backward(t_mean_all(t_square(half)));
        for (int i = 0; i <= p.count; ++i) {
            tensor *t = i < p.count ? t_grad(p.convolutions[i].weight) : half;
            size_t bytes = (size_t)t_count(t) * sizeof(float);
            values[sliced][i] = malloc(bytes);
            t_read(t_contiguous(t), values[sliced][i], bytes);
            if (sliced)
                ck_assert_double_lt(relative_l2(values[1][i], values[0][i], (size_t)t_count(t)),
                                    1e-6);
        }
        params_clear_grad(store);
    }
    for (int i = 0; i <= p.count; ++i) {
        free(values[0][i]);
        free(values[1][i]);
    }
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

/* Mean and deviation in the last convolution, against both after it. */
START_TEST(a_folded_teacher_equals_one_that_is_standardised_afterwards)
{
    params *store;
    ck_ok(params_create(&store));
    scope s = scope_begin();
    builder b = builder_of(store, "efficientad/teacher/");
    pdn p = pdn_add(&b, PDN_SMALL, SMALL_WIDTH, SMALL_OUTPUTS);
    tensor *image = golden_procedural((const int64_t[]){1, 3, SMALL_SIDE, SMALL_SIDE}, 0, F32);
    tensor *plain = pdn_run(&p, image, false);
    const int64_t shape[] = {1, SMALL_OUTPUTS, 1, 1}, flat = SMALL_OUTPUTS;
    tensor *mean = t_zeros(4, shape, F32, CPU), *deviation = t_zeros(4, shape, F32, CPU);
    channel_statistics statistics;
    ck_ok(channel_statistics_open(&statistics, SMALL_OUTPUTS));
    channel_statistics_add(&statistics, plain);
    channel_statistics_finish(mean, deviation, &statistics);
    channel_statistics_close(&statistics);
    tensor *wanted = t_div(t_sub(plain, mean), deviation);
    conv2d folded;
    pdn_fold(&folded, &p, t_view(mean, 1, &flat), t_view(deviation, 1, &flat));
    tensor *found = t_conv2d(pdn_trunk(&p, image, false), folded.weight, folded.bias, 1, 0, 1, 1);
    ck_assert_double_lt(t_item(t_max_all(t_abs(t_sub(found, wanted)))), 2e-4);
    /* of what was standardised mean and deviation are 0 and 1 */
    tensor *rows = t_flatten(wanted, 2, 3);
    ck_assert_double_lt(t_item(t_max_all(t_abs(t_mean(rows, 2, false)))), 1e-4);
    tensor *off = t_add_scalar(t_std(rows, 2, false, false), -1);
    ck_assert_double_lt(t_item(t_max_all(t_abs(off))), 1e-4);
    t_free(folded.weight);
    t_free(folded.bias);
    ck_ok(scope_end(&s));
    params_free(store);
}
END_TEST

START_TEST(a_channel_that_never_changes_has_the_deviation_1)
{
    scope s = scope_begin();
    const int64_t shape[] = {1, 2, 1, 1};
    tensor *maps = t_full(4, (const int64_t[]){3, 2, 4, 4}, 0.7, F32, CPU);
    tensor *mean = t_zeros(4, shape, F32, CPU), *deviation = t_zeros(4, shape, F32, CPU);
    channel_statistics statistics;
    ck_ok(channel_statistics_open(&statistics, 2));
    channel_statistics_add(&statistics, maps);
    channel_statistics_finish(mean, deviation, &statistics);
    channel_statistics_close(&statistics);
    ck_assert_double_eq(t_item(t_slice(mean, 1, 0, 1)), (double)0.7f);
    ck_assert_double_eq(t_item(t_slice(deviation, 1, 0, 1)), 1);
    ck_ok(scope_end(&s));
}
END_TEST

/* ---- quantiles and the hard loss: section 4 ---- */

/* torch.quantile sorts; selecting gives the same number. */
START_TEST(the_quantile_is_that_of_torch_to_the_last_bit)
{
    static const int64_t counts[] = {1, 2, 3, 10, 999, 1000, 1001, 24 * 64, 65536};
    static const double qs[] = {0, 0.1, 0.5, 0.9, 0.995, 0.999, 0.9999, 1};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; ++i)
        for (size_t j = 0; j < sizeof qs / sizeof *qs; ++j)
            for (int type = 0; type < 2; ++type) {
                scope s = scope_begin();
                char purpose[32];
                snprintf(purpose, sizeof purpose, "%zu", i);
                tensor *values = t_square(t_normal(1, &counts[i], 0, 1, 1, purpose, CPU));
                values = t_to(values, type ? F64 : F32);
                double wanted = t_item(t_quantile(values, qs[j], 0, false));
                double found = quantile_select(values, qs[j]);
                ck_assert_msg(found == wanted, "%lld, %g: %.17g, not %.17g", (long long)counts[i],
                              qs[j], found, wanted);
                ck_ok(scope_end(&s));
            }
}
END_TEST

/* More elements than torch.quantile takes: 2^24. The multiples of 7 make a permutation. */
START_TEST(quantiles_of_any_number_of_elements_are_found)
{
    const int64_t count = (1 << 24) + 3;
    float *values = malloc((size_t)count * sizeof *values);
    for (int64_t i = 0; i < count; ++i)
        values[i] = (float)(i * 7 % count) / 1024;
    scope s = scope_begin();
    tensor *t = t_view_of(values, 1, &count, F32);
    ck_assert_double_lt(fabs(quantile_select(t, 0.999) - 0.999 * (double)(count - 1) / 1024), 0.01);
    ck_ok(scope_end(&s));
    free(values);
}
END_TEST

/* Against a loop over all elements; some are equal to the quantile itself. */
START_TEST(the_hard_loss_is_the_mean_of_the_elements_from_the_quantile_on)
{
    enum { COUNT = 4000 };
    const int64_t shape[] = {1, COUNT};
    float a[COUNT], b[COUNT], gradient[COUNT];
    scope s = scope_begin_grad();
    t_read(t_normal(2, shape, 0, 1, 1, "a", CPU), a, sizeof a);
    t_read(t_normal(2, shape, 0, 1, 1, "b", CPU), b, sizeof b);
    for (int i = 0; _i == 1 && i < COUNT; ++i) { /* few different values */
        a[i] = (float)(i % 3);
        b[i] = 0;
    }
    tensor *target = t_from(a, 2, shape, F32, CPU), *found = t_from(b, 2, shape, F32, CPU);
    t_require_grad(found, true);
    tensor *loss = hard_loss(target, found, 0.99);
    double value = t_item(loss);
    t_backward(loss);
    t_read(t_grad(found), gradient, sizeof gradient);
    tensor *squares = t_view(t_square(t_sub(target, t_detach(found))), 1, (int64_t[]){COUNT});
    double least = t_item(t_quantile(squares, 0.99, 0, false)), sum = 0, hard = 0;
    for (int i = 0; i < COUNT; ++i) {
        float square = (a[i] - b[i]) * (a[i] - b[i]);
        if ((double)square >= least) {
            sum += (double)square;
            ++hard;
        }
    }
    ck_assert_double_lt(fabs(value - sum / hard), 1e-6 * value);
    for (int i = 0; i < COUNT; ++i) {
        double difference = (double)b[i] - (double)a[i];
        double wanted = difference * difference >= least * (1 - 1e-7) ? 2 * difference / hard : 0;
        ck_assert_double_lt(fabs((double)gradient[i] - wanted), 1e-6);
    }
    ck_assert_double_eq(hard, _i == 1 ? COUNT / 3 : 40);
    ck_ok(scope_end(&s));
}
END_TEST

START_TEST(a_loss_that_is_no_number_stays_none)
{
    scope s = scope_begin();
    const float values[] = {1, NAN, 2, 3};
    tensor *t = t_from(values, 1, (int64_t[]){4}, F32, CPU);
    ck_assert(isnan(t_item(hard_loss(t, t_zeros(1, (int64_t[]){4}, F32, CPU), 0.5))));
    ck_ok(scope_end(&s));
}
END_TEST

/* ---- scale of the maps: section 5 ---- */

/* Each map alone; the other one is held at its low quantile, where it is 0. */
START_TEST(good_maps_have_their_quantiles_at_0_and_a_tenth)
{
    const int64_t count = 5000;
    scope s = scope_begin();
    tensor *maps[] = {t_square(t_normal(1, &count, 0, 2, 1, "first", CPU)),
                      t_square(t_normal(1, &count, 1, 3, 1, "second", CPU))};
    float q[MAP_QUANTILES];
    for (int i = 0; i < MAP_QUANTILES; ++i)
        q[i] = (float)quantile_select(maps[i / 2], i % 2 ? 0.995 : 0.9);
    map_scale scale = map_scale_of(q, 1);
    for (int i = 0; i < TWO_MAPS; ++i) {
        tensor *other = t_full(1, &count, (double)q[2 * (1 - i)], F32, CPU);
        tensor *pair[] = {i == 0 ? maps[0] : other, i == 0 ? other : maps[1]};
        tensor *scaled = t_mul_scalar(map_scale_apply(&scale, pair), TWO_MAPS);
        ck_assert_double_lt(fabs(quantile_select(scaled, 0.9)), 1e-6);
        ck_assert_double_lt(fabs(quantile_select(scaled, 0.995) - 0.1), 1e-6);
    }
    ck_ok(scope_end(&s));
}
END_TEST

START_TEST(a_map_without_spread_keeps_its_own_scale)
{
    const float quantiles[] = {2, 4, 3, 3};
    scope s = scope_begin();
    map_scale scale = map_scale_of(quantiles, 1);
    const float first[] = {2, 4}, second[] = {3, 5};
    const int64_t two = 2;
    tensor *maps[] = {t_from(first, 1, &two, F32, CPU), t_from(second, 1, &two, F32, CPU)};
    float both[2];
    t_read(map_scale_apply(&scale, maps), both, sizeof both);
    ck_assert_float_eq_tol(both[0], 0, 1e-6f);
    ck_assert_float_eq_tol(both[1], (0.1f + 2) / 2, 1e-6f);
    ck_ok(scope_end(&s));
}
END_TEST

/* ---- what is distilled: section 4 ---- */

START_TEST(targets_are_those_of_the_public_code)
{
    golden_read(&golden, GOLDEN, "target");
    patch_embedding *e;
    const int64_t channels[] = {5, 7};
    ck_ok(patch_embedding_create(&e, 2, channels, 3, 1024, SMALL_OUTPUTS));
    scope s = scope_begin();
    tensor *features[] = {golden_procedural((const int64_t[]){1, 5, 8, 8}, 0, F32),
                          golden_procedural((const int64_t[]){1, 7, 4, 4}, 1, F32)};
    tensor *rows = t_zeros(4, (const int64_t[]){1, 8, 8, SMALL_OUTPUTS}, F32, CPU);
    patch_embedding_apply(t_data(rows), e, features, false);
    tensor *maps = t_permute(rows, 4, (int[]){0, 3, 1, 2});
    ck_assert_double_lt(error_of(maps, line_named("embedding")), 1e-5);
    ck_ok(scope_end(&s));
    patch_embedding_free(e);
}
END_TEST

START_TEST(twenty_steps_of_distilling_equal_the_public_code)
{
    golden_read(&golden, GOLDEN, "distil");
    const optimizer_options options = {.kind = OPTIMIZER_ADAM, .weight_decay = 1e-5};
    params *store;
    optimizer *adam;
    ck_ok(params_create(&store));
    scope s = scope_begin();
    builder b = builder_of(store, "efficientad/teacher/");
    pdn p = pdn_add(&b, PDN_SMALL, SMALL_WIDTH, SMALL_OUTPUTS);
    ck_ok(scope_end(&s));
    ck_ok(params_to(store, F64, CPU));
    ck_ok(optimizer_create(&adam, store, NULL, &options));
    for (golden_steps = 0; golden_steps < 20; ++golden_steps) {
        scope step = scope_begin_grad();
        tensor *image = golden_procedural((const int64_t[]){2, 3, SMALL_SIDE, SMALL_SIDE}, 0, F64);
        tensor *wanted = golden_procedural((const int64_t[]){2, SMALL_OUTPUTS, 16, 16}, 1, F64);
        tensor *loss = t_mse_loss(pdn_run(&p, image, true), wanted);
        golden_losses[golden_steps] = t_item(loss);
        optimizer_zero_grad(adam);
        t_backward(loss);
        optimizer_step(adam, 1e-4);
        ck_ok(scope_end(&step));
    }
    int steps;
    double error = golden_compare_losses(&golden, &steps);
    printf("relative error of %d losses: %.2g\n", steps, error);
    ck_assert_int_eq(steps, 20);
    ck_assert_double_lt(error, 1e-9);
    params_clear_grad(store);
    optimizer_free(adam);
    params_free(store);
}
END_TEST

/* ---- files ---- */

/* Its parameters in a file under other names: "conv1" for the first one, or the places. */
static void write_teacher(const params *store, const char *path, const char *prefix, bool numbered)
{
    weights_writer *w;
    ck_ok(weights_writer_create(&w));
    scope s = scope_begin();
    for (size_t i = 0; i < params_count(store); ++i) {
        const param *p = params_at(store, i);
        char name[64];
        if (numbered)
            snprintf(name, sizeof name, "%sconv%zu.%s", prefix, i / 2 + 1,
                     i % 2 ? "bias" : "weight");
        else
            snprintf(name, sizeof name, "%s%s", prefix, p->name);
        ck_ok(weights_writer_add_tensor(w, name, t_contiguous(p->value)));
    }
    ck_ok(weights_writer_commit(w, path));
    weights_writer_free(w);
    ck_ok(scope_end(&s));
}

static pdn make_small(params **store, pdn_size size, const char *purpose)
{
    ck_ok(params_create(store));
    scope s = scope_begin();
    builder b = builder_of(*store, purpose);
    pdn p = pdn_add(&b, size, SMALL_WIDTH, SMALL_OUTPUTS);
    ck_ok(scope_end(&s));
    return p;
}

START_TEST(teachers_of_both_public_codes_are_read)
{
    static const struct {
        const char *prefix;
        bool numbered;
    } names[] = {{"", false}, {"", true}, {"teacher.", false}, {"model.teacher.", true}};
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    for (int medium = 0; medium < 2; ++medium) {
        pdn_size size = medium ? PDN_MEDIUM : PDN_SMALL;
        params *source, *store;
        make_small(&source, size, "efficientad/teacher/");
        write_teacher(source, path, names[_i].prefix, names[_i].numbered);
        pdn p = make_small(&store, size, NULL);
        ck_ok(pdn_import(&p, path));
        for (size_t i = 0; i < params_count(store); ++i) {
            scope s = scope_begin();
            tensor *apart = t_sub(params_at(store, i)->value, params_at(source, i)->value);
            ck_assert_double_eq(t_item(t_max_all(t_abs(apart))), 0);
            ck_ok(scope_end(&s));
        }
        params_free(store);
        pdn other = make_small(&store, medium ? PDN_SMALL : PDN_MEDIUM, NULL);
        ck_fails(pdn_import(&other, path), IMIAD_MISMATCH, path);
        params_free(store);
        params_free(source);
    }
    unlink(path);
}
END_TEST

START_TEST(a_file_without_a_teacher_is_refused)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    params *store;
    pdn p = make_small(&store, PDN_SMALL, NULL);
    write_teacher(store, path, "student.", false);
    ck_fails(pdn_import(&p, path), IMIAD_MISMATCH, "holds no patch description network");
    unlink(path);
    ck_fails(pdn_import(&p, path), IMIAD_NOT_FOUND, path);
    params_free(store);
}
END_TEST

SUITE("efficientad-parts", TEST(grids_are_those_of_the_paper),
      TEST(networks_have_as_many_parameters_as_the_papers),
      TEST(networks_give_what_the_public_code_gives),
      LOOP_TEST(a_slice_of_the_last_layer_equals_the_whole, 2),
      TEST(a_folded_teacher_equals_one_that_is_standardised_afterwards),
      TEST(a_channel_that_never_changes_has_the_deviation_1),
      TEST(the_quantile_is_that_of_torch_to_the_last_bit),
      TEST(quantiles_of_any_number_of_elements_are_found),
      LOOP_TEST(the_hard_loss_is_the_mean_of_the_elements_from_the_quantile_on, 2),
      TEST(a_loss_that_is_no_number_stays_none),
      TEST(good_maps_have_their_quantiles_at_0_and_a_tenth),
      TEST(a_map_without_spread_keeps_its_own_scale), TEST(targets_are_those_of_the_public_code),
      TEST(twenty_steps_of_distilling_equal_the_public_code),
      LOOP_TEST(teachers_of_both_public_codes_are_read, 4),
      TEST(a_file_without_a_teacher_is_refused))
