/* FastFlow against two public implementations, and against its own definition. */
#include "bridge/tensor.h"
#include "detectors/detector.h"
#include "resumed.h"
#include "small_set.h"

#define GOLDEN "tests/golden/fastflow.csv" /* made by tests/golden/make_fastflow.py */

/* Of a level: layer norm's two, and six of each of eight blocks. */
enum { LEVELS = 3, TENSORS = LEVELS * (2 + 8 * 6), SIDE = 64 };

#define STEPS                                                                                      \
    {"epochs", "1"}, {"resize", "32"},                                                             \
    {                                                                                              \
        "train_batch", "4"                                                                         \
    }

static const golden_training cases[] = {
    {"official", 40, 4, {STEPS, {"preset", "official"}}, {10, TENSORS, 3, 0, 0, 0, NULL, 0}},
    {"open_iad", 40, 4, {STEPS, {"preset", "open_iad"}}, {10, TENSORS, 3, 0, 0, 0, NULL, 0}},
};

START_TEST(ten_steps_equal_the_public_implementations)
{
    golden_train("fastflow", GOLDEN, "flow.", &cases[_i]);
}
END_TEST

/* ---- on images that the library draws, with a random backbone ---- */

static imiad_detector *make_small(const small_set *s, const imiad_option *more, size_t count)
{
    static const imiad_option basic[] = {{"resize", "64"}, {"epochs", "2"}, {"train_batch", "4"}};
    return create_small(s, "fastflow", basic, 3, more, count);
}

/* ---- in double precision ---- */

static void fill_step(train_step *step, tensor **frozen)
{
    step->count = 2;
    for (int i = 0; i < LEVELS; ++i)
        frozen[i] = golden_procedural((int64_t[]){2, 64 << i, 8 >> i, 8 >> i},
                                      (double)(step->index + i), F64);
}

static double gradient_error(const golden_case *g, const params *store, int *compared)
{
    double above = 0, below = 0;
    for (size_t i = 0; i < g->count; ++i) {
        const golden_line *l = &g->lines[i];
        if (strcmp(l->kind, "gradient") != 0)
            continue;
        const param *p = params_find(store, l->name);
        ck_assert_msg(p, "no %s", l->name);
        tensor *gradient = t_grad(p->value);
        size_t count = (size_t)t_count(gradient);
        double *values = golden_values(gradient), error = 0;
        for (size_t j = 0; j < GOLDEN_SAMPLES; ++j)
            error += pow(values[golden_place(j, count)] - l->values[j + 1], 2);
        free(values);
        above += error * (double)count / GOLDEN_SAMPLES;
        below += l->values[0] * l->values[0];
        ++*compared;
    }
    return sqrt(above / below);
}

/* A store of first parameters, from a detector that learned nothing. */
static void first_parameters(params **out, const small_set *s)
{
    static const imiad_option still[] = {{"learning_rate", "0"}, {"resize", "32"}};
    imiad_detector *d = make_small(s, still, 2);
    fit_small(d, s, 1);
    ck_ok(params_clone(out, ((training *)d->state)->stores[0].parameters));
    imiad_detector_free(d);
}

START_TEST(gradients_and_steps_in_double_equal_the_public_code)
{
    static golden_case golden;
    golden_read(&golden, GOLDEN, "double");
    small_set s = open_small();
    params *first;
    first_parameters(&first, &s);
    static const imiad_option small[] = {{"resize", "32"}};
    imiad_detector *d = make_small(&s, small, 1);
    fit_small(d, &s, 1);
    training *t = d->state;
    golden_train_double(t, first, 0, fill_step); /* the first parameters, no step */
    params *store = t->stores[0].parameters;
    ck_ok(params_to(store, F64, CPU));
    int compared = 0, steps;
    scope within = scope_begin_grad();
    tensor *frozen[FROZEN_TENSORS] = {NULL};
    train_step step = {.frozen = frozen};
    fill_step(&step, frozen);
    t_backward(t->ops->loss(d, &step));
    double error = gradient_error(&golden, store, &compared);
    ck_ok(scope_end(&within));
    params_clear_grad(store);
    ck_assert_int_eq(compared, TENSORS);
    golden_train_double(t, first, 10, fill_step);
    double losses = golden_compare_losses(&golden, &steps);
    printf("double: relative error of %d gradients %.2g, of %d losses %.2g\n", compared, error,
           steps, losses);
    ck_assert_int_eq(steps, 10);
    ck_assert_double_lt(error, 1e-6);
    ck_assert_double_lt(losses, 1e-6);
    params_free(first);
    imiad_detector_free(d);
    close_small(&s);
}
END_TEST

/* ---- its options ---- */

START_TEST(presets_are_those_of_the_codes)
{
    static const struct {
        const char *preset, *kernels, *drops;
    } wanted[] = {{"libimiad", "false", "false"},
                  {"official", "by_backbone", "true"},
                  {"open_iad", "false", "false"}};
    small_set s = open_small();
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; ++i) {
        imiad_option preset = {"preset", wanted[i].preset};
        imiad_detector *d;
        ck_ok(imiad_detector_create(&d, "fastflow", s.backbone, &preset, 1));
        ck_assert_str_eq(imiad_detector_option(d, "conv3x3_only"), wanted[i].kernels);
        ck_assert_str_eq(imiad_detector_option(d, "drop_last"), wanted[i].drops);
        ck_assert_str_eq(imiad_detector_option(d, "train_batch"), "32");
        ck_assert_str_eq(imiad_detector_option(d, "epochs"), "500");
        ck_assert_str_eq(imiad_detector_option(d, "flow_steps"), "8");
        ck_assert_str_eq(imiad_detector_option(d, "learning_rate"), "0.001");
        ck_assert_str_eq(imiad_detector_option(d, "weight_decay"), "0.00001");
        imiad_detector_free(d);
    }
    close_small(&s);
}
END_TEST

/* Both maps order positions alike where a probability does not underflow; one level suffices. */
START_TEST(the_maps_follow_their_definitions)
{
    static const imiad_option one[] = {{"layers", "layer2"}, {"map", "probability"}},
                              other[] = {{"layers", "layer2"}, {"map", "log_probability"}};
    small_set s = open_small();
    imiad_detector *d = make_small(&s, one, 2), *e = make_small(&s, other, 2);
    imiad_result p = IMIAD_RESULT_INIT, q = IMIAD_RESULT_INIT;
    fit_small(d, &s, 4);
    fit_small(e, &s, 4);
    ck_ok(imiad_detector_score(&p, d, s.images[0]));
    ck_ok(imiad_detector_score(&q, e, s.images[0]));
    for (int i = 0; i < SIDE * SIDE; ++i) {
        ck_assert(p.map[i] < 0 && p.map[i] > -1);
        ck_assert(q.map[i] > 0);
    }
    /* the corner's value is the nearest position's own */
    ck_assert_double_eq_tol((double)p.map[0], -exp(-(double)q.map[0]), 1e-5);
    ck_assert(p.score < 0 && q.score > 0);
    imiad_detector_free(d);
    imiad_detector_free(e);
    close_small(&s);
}
END_TEST

START_TEST(images_must_have_one_size)
{
    static const imiad_option any[] = {{"resize_mode", "shorter"}}, none[] = {{"epochs", "0"}};
    small_set s = open_small();
    imiad_detector *d = NULL;
    ck_fails(imiad_detector_create(&d, "fastflow", s.backbone, any, 1), IMIAD_OUT_OF_RANGE,
             "resize_mode=squash");
    ck_fails(imiad_detector_create(&d, "fastflow", s.backbone, none, 1), IMIAD_OUT_OF_RANGE,
             "epochs=0 needs flows to import");
    close_small(&s);
}
END_TEST

/* ---- checkpoints of the public codes' layout ---- */

/* A saved detector's flows as main.py names them; `indexed`: permutations as FrEIA has them since
 * its release 0.2. */
static void write_checkpoint(const char *path, const char *saved, bool indexed)
{
    weights *file;
    weights_writer *writer;
    float *matrices[64];
    size_t count = 0;
    ck_ok(weights_open(&file, saved));
    ck_ok(weights_writer_create(&writer));
    for (size_t i = 0; i < weights_count(file); ++i) {
        const weight *w = weights_get(file, i);
        const char *dot = strchr(w->name, '.');
        char name[160];
        bool mixes = strncmp(w->name, "permutation.", 12) == 0;
        if (!mixes && strncmp(w->name, "flow.", 5) != 0)
            continue;
        snprintf(name, sizeof name, "model_state_dict.%s", dot + 1);
        if (!mixes || indexed) {
            ck_ok(weights_writer_add(writer, name, w->type, w->rank, w->shape, w->data));
            continue;
        }
        int64_t n = w->shape[0], shape[] = {n, n, 1, 1};
        const int64_t *index = w->data;
        float *matrix = calloc((size_t)(n * n), sizeof *matrix);
        for (int64_t c = 0; c < n; ++c)
            matrix[c * n + index[c]] = 1;
        matrices[count++] = matrix;
        ck_ok(weights_writer_add(writer, name, F32, 4, shape, matrix));
    }
    ck_ok(weights_writer_commit(writer, path));
    weights_writer_free(writer);
    weights_free(file);
    for (size_t i = 0; i < count; ++i)
        free(matrices[i]);
}

START_TEST(published_checkpoints_score_alike)
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
    const imiad_option given[] = {{"epochs", "0"}, {"import", _i == 2 ? saved : path}};
    if (_i < 2)
        write_checkpoint(path, saved, _i == 1);
    imiad_detector *other = make_small(&s, given, 2);
    fit_small(other, &s, 1);
    ck_assert_int_eq(golden_steps, 0);
    ck_ok(imiad_detector_score(&second, other, s.images[3]));
    ck_assert_mem_eq(first.map, second.map, sizeof(float) * SIDE * SIDE);
    imiad_detector_free(other);

    const imiad_option wrong[] = {{"epochs", "0"}, {"import", given[1].value}, {"flow_steps", "9"}};
    const imiad_image *const images[1] = {s.images[0]};
    other = make_small(&s, wrong, 3);
    ck_fails(imiad_detector_fit_images(other, images, 1, NULL, NULL), IMIAD_MISMATCH,
             given[1].value);
    imiad_detector_free(other);
    imiad_detector_free(d);
    close_small(&s);
    unlink(saved);
    unlink(path);
}
END_TEST

/* ---- in use ---- */

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
    resumed_fit f = {"fastflow",
                     s.backbone,
                     {{"resize", "64"},
                      {"epochs", "3"},
                      {"train_batch", "2"},
                      {"flow_steps", "2"},
                      {"layers", "layer2,layer3"}},
                     5,
                     s.split};
    resumed_equals_undisturbed(&f, 2);
    close_small(&s);
}
END_TEST

SUITE("fastflow", LOOP_TEST(ten_steps_equal_the_public_implementations, 2),
      TEST(gradients_and_steps_in_double_equal_the_public_code),
      TEST(presets_are_those_of_the_codes), TEST(the_maps_follow_their_definitions),
      TEST(images_must_have_one_size), LOOP_TEST(published_checkpoints_score_alike, 3),
      TEST(another_task_goes_on_from_the_first), TEST(stopped_and_continued_learns_the_same_bytes))
