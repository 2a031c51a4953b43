/* Optimisers and schedules against torch's own trajectories (tests/golden/optimizers.py), and
 * against steps by hand. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "check_suite.h"
#include "imiad/imiad.h"
#include "nn/optimizer.h"
#include "nn/schedule.h"
#include "weights/weights.h"

static const double start_w[] = {0.5, -1.0, 2.0, 1.5, 0.25, -0.75}, start_b[] = {1.0, -2.0, 0.5};

static params *start(void)
{
    params *p = NULL;
    ck_ok(params_create(&p));
    scope s = scope_begin();
    params_add(p, "w", t_from(start_w, 2, (int64_t[]){2, 3}, F64, CPU), true);
    params_add(p, "b", t_from(start_b, 1, (int64_t[]){3}, F64, CPU), true);
    ck_ok(scope_end(&s));
    return p;
}

/* One step on sum(cos(w) b) + sum(w^4) / 10, the loss of the Python script. */
static void descend(params *p, optimizer *o, int step, double rate)
{
    scope s = scope_begin_grad();
    tensor *w = params_find(p, "w")->value, *b = params_find(p, "b")->value;
    optimizer_zero_grad(o);
    tensor *bent = t_sum_all(t_mul(t_cos(w), step < 5 ? b : t_detach(b)));
    t_backward(t_add(bent, t_mul_scalar(t_sum_all(t_pow(w, 4)), 0.1)));
    optimizer_step(o, rate);
    ck_ok(scope_end(&s));
}

static void read_both(const params *p, double out[9])
{
    scope s = scope_begin();
    t_read(params_find(p, "w")->value, out, 6 * sizeof *out);
    t_read(params_find(p, "b")->value, out + 6, 3 * sizeof *out);
    ck_ok(scope_end(&s));
}

static FILE *golden(void)
{
    char path[4096];
    const char *source = getenv("IMIAD_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/optimizers.csv", source ? source : ".");
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "cannot read %s", path);
    return file;
}

/* The next line of that kind and case: its numbers after the step, or false. */
static bool golden_next(FILE *file, const char *kind, const char *name, int *step, double *numbers,
                        int count)
{
    char line[1024], begin[100];
    snprintf(begin, sizeof begin, "%s,%s,", kind, name);
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, begin, strlen(begin)) != 0)
            continue;
        char *at = line + strlen(begin);
        *step = (int)strtol(at, &at, 10);
        for (int i = 0; i < count; ++i) {
            ck_assert_int_eq(*at, ',');
            numbers[i] = strtod(at + 1, &at);
        }
        return true;
    }
    return false;
}

static const struct {
    const char *name;
    optimizer_options options;
} cases[] = {
    {"sgd", {.kind = OPTIMIZER_SGD}},
    {"sgd-decay", {.kind = OPTIMIZER_SGD, .weight_decay = 0.05}},
    {"sgd-momentum", {.kind = OPTIMIZER_SGD, .weight_decay = 0.05, .momentum = 0.9}},
    {"sgd-nesterov",
     {.kind = OPTIMIZER_SGD, .weight_decay = 0.05, .momentum = 0.9, .nesterov = true}},
    {"adam", {.kind = OPTIMIZER_ADAM}},
    {"adam-decay",
     {.kind = OPTIMIZER_ADAM, .weight_decay = 0.05, .beta1 = 0.5, .beta2 = 0.99, .eps = 1e-4}},
    {"adamw", {.kind = OPTIMIZER_ADAMW, .weight_decay = 0.05}},
    {"adamw-amsgrad", {.kind = OPTIMIZER_ADAMW, .weight_decay = 0.05, .amsgrad = true}},
};
enum { CASES = sizeof cases / sizeof *cases };

START_TEST(optimisers_follow_torch_step_for_step)
{
    params *p = start();
    optimizer *o = NULL;
    ck_ok(optimizer_create(&o, p, NULL, &cases[_i].options));
    FILE *file = golden();
    int step, lines = 0;
    double expected[9], got[9];
    while (golden_next(file, "optimiser", cases[_i].name, &step, expected, 9)) {
        descend(p, o, step, 0.1);
        read_both(p, got);
        for (int i = 0; i < 9; ++i)
            ck_assert_msg(fabs(got[i] - expected[i]) < 1e-14, "%s, step %d: %.17g, not %.17g",
                          cases[_i].name, step, got[i], expected[i]);
        ++lines;
    }
    ck_assert_int_eq(lines, 8);
    fclose(file);
    optimizer_free(o);
    params_free(p);
    ck_assert_uint_eq(t_live(), 0);
}
END_TEST

/* Eight steps in one go; and four, state through a file, four: the same bits. */
START_TEST(training_resumes_exactly_from_saved_state)
{
    char path[] = "/tmp/imiad-optimizer-XXXXXX";
    close(mkstemp(path));
    double whole[9], resumed[9];
    params *p = start();
    optimizer *o = NULL;
    ck_ok(optimizer_create(&o, p, NULL, &cases[_i].options));
    for (int step = 1; step <= 8; ++step) {
        if (step == 5) {
            weights_writer *w = NULL;
            scope s = scope_begin();
            ck_ok(weights_writer_create(&w));
            ck_ok(params_save(p, "net.", w));
            ck_ok(params_save(optimizer_state(o), "optimizer.", w));
            ck_ok(weights_writer_commit(w, path));
            ck_ok(scope_end(&s));
            weights_writer_free(w);
        }
        descend(p, o, step, 0.1 / step);
    }
    read_both(p, whole);
    optimizer_free(o);
    params_free(p);

    p = start();
    ck_ok(optimizer_create(&o, p, NULL, &cases[_i].options));
    weights *saved = NULL;
    ck_ok(weights_open(&saved, path));
    ck_ok(params_load(p, saved, "net.", PARAMS_EXACT));
    ck_ok(params_load(optimizer_state(o), saved, "optimizer.", PARAMS_EXACT));
    weights_free(saved);
    for (int step = 5; step <= 8; ++step)
        descend(p, o, step, 0.1 / step);
    read_both(p, resumed);
    ck_assert_mem_eq(whole, resumed, sizeof whole);
    optimizer_free(o);
    params_free(p);
    unlink(path);
}
END_TEST

START_TEST(a_step_of_sgd_is_the_gradient_times_the_rate)
{
    params *p = NULL;
    optimizer *o = NULL;
    optimizer_options options = {.kind = OPTIMIZER_SGD, .momentum = 0.5};
    ck_ok(params_create(&p));
    scope s = scope_begin_grad();
    tensor *w = params_add(p, "w", t_full(1, (int64_t[]){1}, 3, F32, CPU), true);
    ck_ok(optimizer_create(&o, p, NULL, &options));
    t_backward(t_sum_all(t_square(w))); /* 6 */
    optimizer_step(o, 0.25);
    ck_assert_double_eq(t_item(w), 1.5); /* 3 - 0.25 x 6 */
    optimizer_zero_grad(o);
    t_backward(t_sum_all(t_square(w))); /* 3 */
    optimizer_step(o, 0.25);
    ck_assert_double_eq(t_item(w), 0); /* 1.5 - 0.25 (0.5 x 6 + 3) */
    ck_ok(scope_end(&s));
    optimizer_free(o);
    params_free(p);
}
END_TEST

/* Kingma and Ba: the first step of Adam is the rate, whatever the gradient's size. */
START_TEST(the_first_step_of_adam_has_the_length_of_the_rate)
{
    params *p = NULL;
    optimizer *o = NULL;
    ck_ok(params_create(&p));
    scope s = scope_begin_grad();
    tensor *w = params_add(p, "w", t_from(start_w, 1, (int64_t[]){6}, F64, CPU), true);
    ck_ok(optimizer_create(&o, p, NULL, &(optimizer_options){.kind = OPTIMIZER_ADAM}));
    t_backward(t_sum_all(t_mul_scalar(t_square(w), 1000)));
    optimizer_step(o, 0.125);
    double after[6];
    t_read(w, after, sizeof after);
    for (int i = 0; i < 6; ++i)
        ck_assert_double_eq_tol(after[i], start_w[i] - copysign(0.125, start_w[i]), 1e-10);
    ck_ok(scope_end(&s));
    optimizer_free(o);
    params_free(p);
}
END_TEST

enum { HOST_KINDS = CASES + 2, HOST_ROWS = 3, HOST_COUNT = HOST_ROWS * 5 * 67 * 71 };

/* The cases above, and the two that they lack. */
static optimizer_options host_options(int i)
{
    return i < CASES ? cases[i].options
                     : (optimizer_options){.kind = OPTIMIZER_STABLE_ADAMW,
                                           .weight_decay = 0.05,
                                           .amsgrad = i > CASES};
}

/* Kernels, channels-last as trained networks have them, after four steps down a wave; with a norm
 * above the clipping's. */
static void step_down_a_wave(int i, dtype type, bool channels_last, double out[HOST_COUNT])
{
    static const int64_t shape[] = {HOST_ROWS, 5, 67, 71};
    optimizer_options options = host_options(i);
    params *p = NULL;
    optimizer *o = NULL;
    ck_ok(params_create(&p));
    scope s = scope_begin_grad();
    tensor *angles = t_view(t_arange(HOST_COUNT, F64, CPU), 4, shape);
    tensor *start = t_to(t_cos(t_mul_scalar(angles, 0.37)), type);
    tensor *w = params_add(p, "w", channels_last ? t_channels_last(start) : start, true);
    ck_ok(optimizer_create(&o, p, NULL, &options));
    for (int step = 1; step <= 4; ++step) {
        tensor *wave = t_to(t_sin(t_mul_scalar(angles, 0.11 * step)), type);
        optimizer_zero_grad(o);
        t_backward(t_sum_all(t_mul(t_mul(w, w), wave)));
        double norm = optimizer_clip_grad(o, 10);
        ck_assert_double_gt(norm, 10);
        optimizer_step(o, 0.01);
    }
    t_read(t_to(w, F64), out, HOST_COUNT * sizeof *out);
    ck_ok(scope_end(&s));
    optimizer_free(o);
    params_free(p);
}

START_TEST(floats_on_the_host_take_the_steps_of_doubles)
{
    static double exact[HOST_COUNT], floats[HOST_COUNT], more[HOST_COUNT];
    step_down_a_wave(_i, F64, false, exact); /* by libtorch's operations */
    ck_ok(imiad_set_threads(1));
    step_down_a_wave(_i, F32, false, floats);
    double largest = 0;
    for (int i = 0; i < HOST_COUNT; ++i)
        largest = fmax(largest, fabs(floats[i] - exact[i]));
    ck_assert_msg(largest < 2e-6, "%.2g", largest);
    ck_ok(imiad_set_threads(2));
    step_down_a_wave(_i, F32, false, more);
    ck_assert_mem_eq(more, floats, sizeof floats);
    step_down_a_wave(_i, F32, true, more);
    ck_ok(imiad_set_threads(0));
    largest = 0;
    for (int i = 0; i < HOST_COUNT; ++i)
        largest = fmax(largest, fabs(more[i] - exact[i]));
    ck_assert_msg(largest < 2e-6, "channels-last: %.2g", largest);
}
END_TEST

START_TEST(an_optimiser_moves_its_prefix_only)
{
    params *p = start();
    optimizer *o = NULL;
    ck_ok(optimizer_create(&o, p, "w", &(optimizer_options){.kind = OPTIMIZER_SGD}));
    descend(p, o, 1, 0.1);
    double after[9];
    read_both(p, after);
    ck_assert_double_ne(after[0], start_w[0]);
    ck_assert_mem_eq(after + 6, start_b, sizeof start_b);
    optimizer_free(o);
    params_free(p);
}
END_TEST

START_TEST(options_without_sense_are_refused)
{
    static const struct {
        optimizer_options options;
        const char *text;
    } wrong[] = {
        {{.kind = (optimizer_kind)9}, "no kind 9"},
        {{.kind = OPTIMIZER_SGD, .momentum = -1}, "momentum is -1"},
        {{.kind = OPTIMIZER_SGD, .nesterov = true}, "nesterov needs a momentum"},
        {{.kind = OPTIMIZER_ADAM, .beta2 = 1}, "beta2 is 1"},
        {{.kind = OPTIMIZER_ADAMW, .weight_decay = NAN}, "weight_decay is nan"},
    };
    params *p = start();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i) {
        optimizer *o = NULL;
        ck_fails(optimizer_create(&o, p, NULL, &wrong[i].options), IMIAD_OUT_OF_RANGE,
                 wrong[i].text);
        ck_assert_ptr_null(o);
    }
    params_free(p);
}
END_TEST

static double scheduled(const char *name, int64_t step)
{
    static const int64_t milestones[] = {2, 7};
    if (strcmp(name, "step") == 0)
        return schedule_step(0.8, step, 3, 0.5);
    if (strcmp(name, "multistep") == 0)
        return schedule_multistep(0.8, step, milestones, 2, 0.1);
    if (strcmp(name, "exponential") == 0)
        return schedule_exponential(0.8, step, 0.9);
    if (strcmp(name, "cosine") == 0)
        return schedule_cosine(0.8, 0.01, step, 10);
    return 0.8 * schedule_warm_up(step, 4, 0.25);
}

START_TEST(schedules_are_those_of_torch)
{
    static const char *const names[] = {"step", "multistep", "exponential", "cosine", "warm-up"};
    FILE *file = golden();
    int step, lines = 0;
    double expected;
    while (golden_next(file, "schedule", names[_i], &step, &expected, 1)) {
        ck_assert_double_eq_tol(scheduled(names[_i], step), expected, 1e-15);
        ++lines;
    }
    ck_assert_int_eq(lines, 11);
    fclose(file);
}
END_TEST

START_TEST(schedules_stay_at_their_end)
{
    ck_assert_double_eq(schedule_cosine(0.8, 0.01, 1000, 10), 0.01);
    ck_assert_double_eq(schedule_cosine(0.8, 0.01, 0, 0), 0.01);
    ck_assert_double_eq(schedule_warm_up(1000, 10, 0.1), 1);
    ck_assert_double_eq(schedule_warm_up(0, 0, 0.1), 1);
}
END_TEST

SUITE("optimizer", LOOP_TEST(optimisers_follow_torch_step_for_step, CASES),
      LOOP_TEST(training_resumes_exactly_from_saved_state, CASES),
      LOOP_TEST(floats_on_the_host_take_the_steps_of_doubles, HOST_KINDS),
      TEST(a_step_of_sgd_is_the_gradient_times_the_rate),
      TEST(the_first_step_of_adam_has_the_length_of_the_rate),
      TEST(an_optimiser_moves_its_prefix_only), TEST(options_without_sense_are_refused),
      LOOP_TEST(schedules_are_those_of_torch, 5), TEST(schedules_stay_at_their_end))
