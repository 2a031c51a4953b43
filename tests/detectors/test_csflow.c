/* CS-Flow against the authors' code, and against its own inverse. */
#include "base/mersenne.h"
#include "bridge/tensor.h"
#include "detectors/detector.h"
#include "nn/cross_flow.h"
#include "resumed.h"
#include "small_set.h"

#define GOLDEN "tests/golden/csflow.csv" /* made by tests/golden/make_csflow.py */

/* Of a subnet: three gammas, ten convolutions; two subnets in each of four blocks. */
enum { TENSORS = 4 * 2 * (3 + 2 * 10), CHANNELS = 12, SIDE = 64 };

/* ---- the flow by itself ---- */

START_TEST(permutations_are_numpys)
{
    static golden_case golden;
    char name[8];
    snprintf(name, sizeof name, "seed%d", _i);
    golden_read(&golden, GOLDEN, name);
    ck_assert_uint_eq(golden.count, CROSS_SCALES);
    mersenne numbers = mersenne_open((uint32_t)_i);
    for (size_t scale = 0; scale < CROSS_SCALES; ++scale) {
        int64_t order[304];
        bool seen[304] = {false};
        mersenne_permutation(&numbers, order, 304);
        for (int i = 0; i < 17; ++i)
            ck_assert_int_eq(order[i], (int64_t)golden.lines[scale].values[i]);
        for (int i = 0; i < 304; ++i)
            seen[order[i]] = true;
        for (int i = 0; i < 304; ++i)
            ck_assert(seen[i]);
    }
}
END_TEST

typedef struct made {
    params *store;
    cross_flow *flow;
} made;

static made make(int64_t channels)
{
    const cross_flow_shape shape = {.channels = channels, .hidden = 10, .blocks = 4, .clamp = 3};
    made m;
    ck_ok(params_create(&m.store));
    ck_ok(cross_flow_create(&m.flow, &shape, m.store, 66, "csflow", CPU));
    return m;
}

static void free_made(made *m)
{
    cross_flow_free(m->flow);
    params_free(m->store);
}

/* Gammas away from 0, so that the flow does something. In double. */
static void stir(made *m)
{
    ck_ok(params_to(m->store, F64, CPU));
    scope s = scope_begin();
    for (int i = 0; i < 4; ++i)
        for (int j = 0; j < CROSS_SCALES; ++j) {
            t_fill_(m->flow->blocks[i].s1.gamma[j], 0.5 + 0.1 * j);
            t_fill_(m->flow->blocks[i].s2.gamma[j], 0.5 + 0.1 * j);
        }
    ck_ok(scope_end(&s));
}

static void fill_inputs(tensor **out, int64_t channels, double phase)
{
    for (int j = 0; j < CROSS_SCALES; ++j) {
        tensor *map = golden_procedural((int64_t[]){2, channels, 8 >> j, 8 >> j}, phase + j, F64);
        out[j] = t_add_scalar(map, -1);
    }
}

static double sample_error(tensor *t, const golden_line *l)
{
    size_t count = (size_t)t_count(t);
    double *values = golden_values(t), worst = 0;
    for (size_t i = 0; i < GOLDEN_SAMPLES; ++i)
        worst = fmax(worst, fabs(values[golden_place(i, count)] - l->values[i + 1]));
    free(values);
    return worst / fmax(l->values[0], 1e-12);
}

static tensor *energy(tensor *const *z, double *numbers)
{
    tensor *sum = NULL;
    *numbers = 0;
    for (int j = 0; j < CROSS_SCALES; ++j) {
        *numbers += (double)t_count(z[j]) / 2;
        sum = t_plus(sum, t_sum(t_square(t_flatten(z[j], 1, 3)), 1, false));
    }
    return t_mul_scalar(sum, 0.5);
}

/* Maps, log-determinant, score, loss and all gradients. */
START_TEST(the_flow_equals_the_authors_code)
{
    static golden_case golden;
    golden_read(&golden, GOLDEN, "small");
    made m = make(CHANNELS);
    stir(&m);
    double worst = 0, steepest = 0, numbers;
    int compared = 0, gradients = 0;
    scope s = scope_begin_grad();
    tensor *x[CROSS_SCALES], *z[CROSS_SCALES], *determinant;
    fill_inputs(x, CHANNELS, 0);
    cross_flow_forward(m.flow, x, z, &determinant);
    tensor *half = energy(z, &numbers);
    tensor *loss = t_div_scalar(t_mean_all(t_sub(half, determinant)), numbers);
    t_backward(loss);
    tensor *const outputs[] = {z[0], z[1], z[2], determinant, t_div_scalar(half, numbers), loss};
    static const char *const names[] = {"z0", "z1", "z2", "log_determinant", "score", "loss"};
    for (size_t i = 0; i < golden.count; ++i) {
        const golden_line *l = &golden.lines[i];
        for (int k = 0; k < 6; ++k)
            if (strcmp(l->kind, "network") == 0 && strcmp(l->name, names[k]) == 0) {
                worst = fmax(worst, sample_error(outputs[k], l));
                ++compared;
            }
        if (strcmp(l->kind, "gradient") == 0) {
            const param *p = params_find(m.store, l->name);
            ck_assert_msg(p, "no %s", l->name);
            steepest = fmax(steepest, sample_error(t_grad(p->value), l));
            ++gradients;
        }
    }
    ck_ok(scope_end(&s));
    printf("largest relative error of %d outputs %.2g, of %d gradients %.2g\n", compared, worst,
           gradients, steepest);
    ck_assert_int_eq(compared, 6);
    ck_assert_int_eq(gradients, TENSORS);
    ck_assert_double_lt(worst, 1e-7);
    ck_assert_double_lt(steepest, 1e-6);
    free_made(&m);
}
END_TEST

/* Odd channels too: the halves differ. In single precision, as detectors compute. */
START_TEST(the_inverse_gives_back_what_went_in)
{
    int64_t channels = _i == 0 ? CHANNELS : CHANNELS + 1;
    made m = make(channels);
    stir(&m);
    ck_ok(params_to(m.store, F32, CPU));
    double worst = 0, moved = 0;
    scope s = scope_begin();
    tensor *x[CROSS_SCALES], *z[CROSS_SCALES], *back[CROSS_SCALES], *determinant;
    fill_inputs(x, channels, 0);
    for (int j = 0; j < CROSS_SCALES; ++j)
        x[j] = t_to(x[j], F32);
    cross_flow_forward(m.flow, x, z, &determinant);
    cross_flow_inverse(m.flow, z, back);
    for (int j = 0; j < CROSS_SCALES; ++j) {
        worst = fmax(worst, t_item(t_max_all(t_abs(t_sub(back[j], x[j])))));
        moved = fmax(moved, t_item(t_max_all(t_abs(t_sub(z[j], x[j])))));
    }
    ck_ok(scope_end(&s));
    printf("%d channels: largest error of the inverse %.2g\n", (int)channels, worst);
    ck_assert_double_gt(moved, 0.1);
    ck_assert_double_lt(worst, 1e-4);
    free_made(&m);
}
END_TEST

START_TEST(an_untrained_flow_only_permutes)
{
    made m = make(CHANNELS);
    scope s = scope_begin();
    tensor *x[CROSS_SCALES], *z[CROSS_SCALES], *determinant;
    fill_inputs(x, CHANNELS, 0);
    for (int j = 0; j < CROSS_SCALES; ++j)
        x[j] = t_to(x[j], F32);
    cross_flow_forward(m.flow, x, z, &determinant);
    for (int j = 0; j < CROSS_SCALES; ++j) {
        tensor *wanted = x[j];
        for (int i = 0; i < 4; ++i)
            wanted = t_index_select(wanted, 1, m.flow->blocks[i].permutation[j]);
        ck_assert_double_eq(t_item(t_max_all(t_abs(t_sub(z[j], wanted)))), 0);
    }
    ck_assert_double_eq(t_item(t_max_all(t_abs(determinant))), 0);
    ck_ok(scope_end(&s));
    free_made(&m);
}
END_TEST

/* ---- steps ---- */

static const imiad_option basic[] = {
    {"layer", "layer2"}, {"resize", "64"}, {"hidden", "16"}, {"train_batch", "4"}, {"epochs", "2"}};
enum { BASIC = 5 };

static const imiad_option once[] = {
    {"layer", "layer2"}, {"resize", "64"}, {"hidden", "16"}, {"train_batch", "4"}, {"epochs", "1"}};

/* The authors' optimiser and clipping, on ResNet-18's layer2; scores and maps after it. */
START_TEST(ten_steps_equal_the_authors_code)
{
    static golden_case golden;
    imiad_backbone *backbone;
    imiad_backbone_options b = IMIAD_BACKBONE_OPTIONS_INIT;
    b.weights = SHARED(WEIGHTS);
    b.device = test_device();
    ck_ok(imiad_backbone_create(&backbone, "resnet18", &b));
    const char *root = SHARED("data/mvtec_ad/transistor");
    golden_read(&golden, GOLDEN, "official");
    imiad_detector *d = golden_fit("csflow", backbone, once, BASIC, root, 40);
    int steps, maps = 0;
    double losses = golden_compare_losses(&golden, &steps), apart = 0, worst = 0;
    for (size_t i = 0; i < golden.count; ++i) {
        const golden_line *l = &golden.lines[i];
        bool scored = strcmp(l->kind, "score") == 0;
        if (!scored && strcmp(l->kind, "map") != 0)
            continue;
        char path[4200];
        imiad_image *image;
        imiad_result result = IMIAD_RESULT_INIT;
        snprintf(path, sizeof path, "%s/%s", root, l->name);
        ck_ok(imiad_image_read(&image, path));
        ck_ok(imiad_detector_score(&result, d, image));
        if (scored)
            apart = fmax(apart, fabs((double)result.score / l->values[0] - 1));
        for (int j = 0; !scored && j < GOLDEN_SAMPLES; ++j) {
            int at = j * (result.width * result.height - 1) / (GOLDEN_SAMPLES - 1);
            worst = fmax(worst, fabs((double)result.map[at] - l->values[j + 2]) / l->values[1]);
        }
        imiad_image_free(image);
        ++maps;
    }
    printf("relative error of %d losses %.2g, of scores %.2g, of maps %.2g\n", steps, losses, apart,
           worst);
    ck_assert_int_eq(steps, 10);
    ck_assert_int_eq(maps, 6);
    ck_assert_double_lt(losses, 1e-4);
    ck_assert_double_lt(apart, 1e-4);
    ck_assert_double_lt(worst, 1e-4);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

/* ---- on images that the library draws, with a random backbone ---- */

static imiad_detector *make_small(const small_set *s, const imiad_option *more, size_t count)
{
    return create_small(s, "csflow", basic, BASIC, more, count);
}

/* Twenty steps of each optimiser in double precision, on procedural features. */
START_TEST(steps_in_double_equal_the_codes)
{
    static golden_case golden;
    static const imiad_option iad[] = {{"adam_eps", "0.00000001"}, {"gradient_clip", "0"}};
    golden_read(&golden, GOLDEN, _i == 0 ? "double" : "double_iad");
    const imiad_option narrow[] = {{"channels", "12"}, {"hidden", "10"}, iad[0], iad[1]};
    small_set s = open_small();
    imiad_detector *d = make_small(&s, narrow, _i == 0 ? 2 : 4);
    made first = make(CHANNELS);
    fit_small(d, &s, 1);
    training *t = d->state;
    params *learned = t->stores[0].parameters;
    ck_ok(params_copy(learned, first.store));
    ck_ok(params_to(learned, F64, CPU));
    optimizer_free(t->rules[0].optimizer);
    t->rules[0].optimizer = NULL;
    ck_ok(training_make_optimizers(t));
    for (golden_steps = 0; golden_steps < 20; ++golden_steps) {
        tensor *frozen[CROSS_SCALES];
        scope within = scope_begin_grad();
        fill_inputs(frozen, CHANNELS, golden_steps);
        train_step step = {.count = 2, .frozen = frozen, .index = golden_steps};
        tensor *loss = t->ops->loss(d, &step);
        golden_losses[golden_steps] = t_item(loss);
        t_backward(loss);
        if (_i == 0)
            params_clip_grad(learned, 1);
        optimizer_step(t->rules[0].optimizer, t->rules[0].rate);
        ck_ok(scope_end(&within));
        params_clear_grad(learned);
    }
    int steps;
    double losses = golden_compare_losses(&golden, &steps);
    printf("%s: relative error of %d losses %.2g\n", golden.name, steps, losses);
    ck_assert_int_eq(steps, 20);
    ck_assert_double_lt(losses, 1e-6);
    free_made(&first);
    imiad_detector_free(d);
    close_small(&s);
}
END_TEST

START_TEST(presets_are_those_of_the_codes)
{
    static const struct {
        const char *preset, *eps, *clip, *channels;
    } wanted[] = {{"libimiad", "0.0001", "1", "0"},
                  {"official", "0.0001", "1", "0"},
                  {"open_iad", "0.00000001", "0", "304"}};
    imiad_backbone *backbone;
    ck_ok(imiad_backbone_create(&backbone, "resnet50", NULL));
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; ++i) {
        const imiad_option options[] = {{"preset", wanted[i].preset}, {"layer", "layer2"}};
        imiad_detector *d;
        ck_ok(imiad_detector_create(&d, "csflow", backbone, options, 2));
        ck_assert_str_eq(imiad_detector_option(d, "adam_eps"), wanted[i].eps);
        ck_assert_str_eq(imiad_detector_option(d, "gradient_clip"), wanted[i].clip);
        ck_assert_str_eq(imiad_detector_option(d, "channels"), wanted[i].channels);
        ck_assert_str_eq(imiad_detector_option(d, "epochs"), "240");
        ck_assert_str_eq(imiad_detector_option(d, "train_batch"), "16");
        ck_assert_str_eq(imiad_detector_option(d, "learning_rate"), "0.0002");
        ck_assert_str_eq(imiad_detector_option(d, "weight_decay"), "0.00001");
        ck_assert_str_eq(imiad_detector_option(d, "resize"), "768");
        imiad_detector_free(d);
    }
    imiad_backbone_free(backbone);
}
END_TEST

START_TEST(three_sizes_must_be_halves)
{
    static const imiad_option odd[] = {{"layer", "layer2"}, {"resize", "80"}},
                              many[] = {{"layer", "layer2"}, {"resize", "64"}, {"channels", "200"}},
                              none[] = {{"layer", "layer2"}, {"resize", "64"}, {"epochs", "0"}};
    small_set s = open_small();
    imiad_detector *d = NULL;
    ck_fails(imiad_detector_create(&d, "csflow", s.backbone, odd, 2), IMIAD_MISMATCH,
             "half the one before");
    ck_fails(imiad_detector_create(&d, "csflow", s.backbone, many, 3), IMIAD_OUT_OF_RANGE,
             "128 channels");
    ck_fails(imiad_detector_create(&d, "csflow", s.backbone, none, 3), IMIAD_OUT_OF_RANGE,
             "epochs=0 needs a flow");
    close_small(&s);
}
END_TEST

/* The image's score is of all sizes, whatever the map is. */
START_TEST(maps_are_options)
{
    static const imiad_option kinds[][1] = {
        {{"map", "finest"}}, {{"map", "product"}}, {{"map", "none"}}};
    small_set s = open_small();
    float found[3], first[2] = {0};
    for (int i = 0; i < 3; ++i) {
        imiad_detector *d = make_small(&s, kinds[i], 1);
        imiad_result result = IMIAD_RESULT_INIT;
        fit_small(d, &s, 4);
        ck_ok(imiad_detector_score(&result, d, s.images[0]));
        found[i] = result.score;
        ck_assert((result.map == NULL) == (i == 2));
        if (i < 2)
            first[i] = result.map[0];
        imiad_detector_free(d);
    }
    ck_assert(found[0] == found[1] && found[1] == found[2]);
    ck_assert(first[0] != first[1]);
    close_small(&s);
}
END_TEST

/* By the authors' names, as their state dict has them, and as a saved detector has them. */
START_TEST(imported_flows_score_alike)
{
    char saved[] = "/tmp/imiad-test-XXXXXX", path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(saved));
    close(mkstemp(path));
    small_set s = open_small();
    imiad_detector *d = make_small(&s, NULL, 0);
    imiad_result first = IMIAD_RESULT_INIT, second = IMIAD_RESULT_INIT;
    fit_small(d, &s, 4);
    ck_ok(imiad_detector_save(d, saved));
    ck_ok(imiad_detector_score(&first, d, s.images[3]));
    weights *file;
    weights_writer *writer;
    ck_ok(weights_open(&file, saved));
    ck_ok(weights_writer_create(&writer));
    for (size_t i = 0; i < weights_count(file); ++i) {
        const weight *w = weights_get(file, i);
        if (strncmp(w->name, "flow.", 5) == 0)
            ck_ok(weights_writer_add(writer, w->name + 5, w->type, w->rank, w->shape, w->data));
    }
    ck_ok(weights_writer_commit(writer, path));
    weights_writer_free(writer);
    weights_free(file);
    for (int i = 0; i < 2; ++i) {
        const imiad_option given[] = {{"epochs", "0"}, {"import", i ? saved : path}};
        imiad_detector *other = make_small(&s, given, 2);
        fit_small(other, &s, 1);
        ck_assert_int_eq(golden_steps, 0);
        ck_ok(imiad_detector_score(&second, other, s.images[3]));
        ck_assert(first.score == second.score);
        ck_assert_mem_eq(first.map, second.map, sizeof(float) * SIDE * SIDE);
        imiad_detector_free(other);
    }
    const imiad_option wrong[] = {{"epochs", "0"}, {"import", path}, {"hidden", "17"}};
    const imiad_image *const images[1] = {s.images[0]};
    imiad_detector *other = make_small(&s, wrong, 3);
    ck_fails(imiad_detector_fit_images(other, images, 1, NULL, NULL), IMIAD_MISMATCH, path);
    imiad_detector_free(other);
    imiad_detector_free(d);
    close_small(&s);
    unlink(saved);
    unlink(path);
}
END_TEST

START_TEST(another_task_goes_on_from_the_first)
{
    static const imiad_option longer[] = {{"epochs", "6"}};
    small_set s = open_small();
    imiad_detector *d = make_small(&s, longer, 1);
    golden_steps = 0;
    imiad_set_log(golden_see, NULL);
    ck_ok(imiad_detector_fit(d, s.split, NULL, NULL));
    ck_ok(imiad_detector_fit_more(d, s.split, NULL, NULL));
    imiad_set_log(NULL, NULL);
    ck_assert_int_eq(golden_steps, 12);
    ck_assert_double_lt(golden_losses[6], golden_losses[3]);
    imiad_detector_free(d);
    close_small(&s);
}
END_TEST

START_TEST(stopped_and_continued_learns_the_same_bytes)
{
    small_set s = open_small();
    resumed_fit f = {"csflow",
                     s.backbone,
                     {{"layer", "layer2"},
                      {"resize", "64"},
                      {"hidden", "8"},
                      {"train_batch", "2"},
                      {"epochs", "3"}},
                     5,
                     s.split};
    resumed_equals_undisturbed(&f, 2);
    close_small(&s);
}
END_TEST

SUITE("csflow", LOOP_TEST(permutations_are_numpys, 4), TEST(the_flow_equals_the_authors_code),
      LOOP_TEST(the_inverse_gives_back_what_went_in, 2), TEST(an_untrained_flow_only_permutes),
      TEST(ten_steps_equal_the_authors_code), LOOP_TEST(steps_in_double_equal_the_codes, 2),
      TEST(presets_are_those_of_the_codes), TEST(three_sizes_must_be_halves),
      TEST(maps_are_options), TEST(imported_flows_score_alike),
      TEST(another_task_goes_on_from_the_first), TEST(stopped_and_continued_learns_the_same_bytes))
