/* DRAEM against the authors' code, and what is its own. */
#include "../image/procedural.h"
#include "detectors/algorithm.h"
#include "golden_steps.h"
#include "weights/weights.h"

#define GOLDEN "tests/golden/draem.csv" /* made by tests/golden/make_draem.py */

enum { SIDE = 64, IMAGES = 4, STEPS = 10 };

#define SMALL                                                                                      \
    {"reconstruction_width", "4"}, {"discrimination_width", "4"}, {"resize", "64"},                \
    {                                                                                              \
        "epochs", "1"                                                                              \
    }

static imiad_detector *make(const imiad_option *more, size_t count)
{
    imiad_option options[16] = {SMALL};
    imiad_detector *d = NULL;
    for (size_t i = 0; i < count; ++i)
        options[4 + i] = more[i];
    ck_ok(imiad_detector_create(&d, "draem", NULL, options, 4 + count));
    return d;
}

static imiad_status fit_procedural(imiad_detector *d, size_t count)
{
    imiad_image *images[IMAGES] = {NULL};
    for (size_t i = 0; i < count; ++i)
        images[i] = procedural(IMIAD_PIXEL_RGB8, SIDE + (int)i, SIDE);
    imiad_status status =
        imiad_detector_fit_images(d, (const imiad_image *const *)images, count, NULL, NULL);
    for (size_t i = 0; i < count; ++i)
        imiad_image_free(images[i]);
    return status;
}

/* A detector whose networks are as they began, in double precision. */
static imiad_detector *begun(void)
{
    const imiad_option still[] = {{"learning_rate", "0"}};
    imiad_detector *d = make(still, 1);
    ck_ok(fit_procedural(d, IMAGES));
    training *t = d->state;
    for (int i = 0; i < t->store_count; ++i) {
        params *store = t->stores[i].parameters;
        scope s = scope_begin();
        for (size_t j = 0; j < params_count(store); ++j) {
            const param *p = params_at(store, j);
            if (golden_ends_in(p->name, (const char *const[]){"running_mean", NULL}))
                t_fill_(p->value, 0);
            if (golden_ends_in(p->name, (const char *const[]){"running_var", NULL}))
                t_fill_(p->value, 1);
        }
        ck_ok(scope_end(&s));
        ck_ok(params_to(store, F64, CPU));
        optimizer_free(t->rules[i].optimizer);
        t->rules[i].optimizer = NULL;
    }
    ck_ok(training_make_optimizers(t));
    return d;
}

/* Clean, damaged, mask: as the script makes them. */
static void make_batch(tensor *made[3])
{
    const int64_t shape[] = {IMAGES, 3, SIDE, SIDE}, plane[] = {IMAGES, 1, SIDE, SIDE};
    tensor *clean = t_mul_scalar(golden_procedural(shape, 0, F64), 0.5);
    tensor *other = t_mul_scalar(golden_procedural(shape, 2, F64), 0.5);
    made[0] = clean;
    made[2] = t_to(t_gt_scalar(golden_procedural(plane, 1, F64), 1.5), F64);
    tensor *rest = t_add_scalar(t_neg(made[2]), 1);
    made[1] = t_add(t_mul(clean, rest), t_mul(other, made[2]));
}

/* The loss before the step; its gradients stay where `look` is given. */
static double take_step(training *t, int index, void (*look)(const training *t))
{
    scope s = scope_begin_grad();
    tensor *made[3];
    make_batch(made);
    train_step step = {.count = IMAGES, .made = made, .index = index};
    tensor *loss = t->ops->loss(t->detector, &step);
    double value = t_item(loss);
    t_backward(loss);
    if (look)
        look(t);
    for (int i = 0; i < t->rule_count; ++i)
        optimizer_step(t->rules[i].optimizer, 1e-3);
    ck_ok(scope_end(&s));
    for (int i = 0; i < t->store_count; ++i)
        params_clear_grad(t->stores[i].parameters);
    return value;
}

/* ---- held against the table ---- */

static golden_case golden;

/* Relative error of norm and samples, of the largest sample and the norm. */
static double error_of(tensor *t, const golden_line *l)
{
    size_t count = (size_t)t_count(t);
    double *values = malloc(count * sizeof *values), square = 0, largest = 0, worst = 0;
    t_read(t_contiguous(t), values, count * sizeof *values);
    for (size_t i = 0; i < count; ++i)
        square += values[i] * values[i];
    for (size_t i = 0; i < GOLDEN_SAMPLES; ++i) {
        size_t place = i * (count - 1) / (GOLDEN_SAMPLES - 1);
        largest = fmax(largest, fabs(l->values[i + 1]));
        worst = fmax(worst, fabs(values[place] - l->values[i + 1]));
    }
    free(values);
    return fmax(worst / largest, fabs(sqrt(square) - l->values[0]) / l->values[0]);
}

/* The worst error of the lines of a kind; how many there were. */
static double compare_lines(const training *t, const char *kind, bool gradients, int *count)
{
    double worst = 0;
    *count = 0;
    for (size_t i = 0; i < golden.count; ++i) {
        const golden_line *l = &golden.lines[i];
        if (strcmp(l->kind, kind) != 0)
            continue;
        int store = strncmp(l->name, "reconstruction.", 15) == 0 ? 0 : 1;
        const param *p = params_find(t->stores[store].parameters, strchr(l->name, '.') + 1);
        ck_assert_msg(p, "no %s", l->name);
        worst = fmax(worst, error_of(gradients ? t_grad(p->value) : p->value, l));
        ++*count;
    }
    return worst;
}

static double gradients_error;
static int gradients_count;

static void look_at_gradients(const training *t)
{
    gradients_error = compare_lines(t, "gradient", true, &gradients_count);
}

/* In double precision on both sides: single precision parts from it by up to 0.6 % of a loss and
 * 5 % of a parameter in ten steps (the table's spread). */
START_TEST(losses_gradients_and_ten_steps_equal_the_authors_code)
{
    golden_read(&golden, GOLDEN, "steps");
    imiad_detector *d = begun();
    training *t = d->state;
    for (golden_steps = 0; golden_steps < STEPS; ++golden_steps)
        golden_losses[golden_steps] =
            take_step(t, golden_steps, golden_steps == 0 ? look_at_gradients : NULL);
    int steps, parameters;
    double losses = golden_compare_losses(&golden, &steps);
    scope s = scope_begin();
    double learned = compare_lines(t, "parameter", false, &parameters);
    ck_ok(scope_end(&s));
    printf(
        "largest relative error of %d losses %.2g, of %d gradients %.2g, of %d parameters %.2g\n",
        steps, losses, gradients_count, gradients_error, parameters, learned);
    ck_assert_int_eq(steps, STEPS);
    ck_assert_int_eq(gradients_count, 51);
    ck_assert_int_eq(parameters, 149);
    ck_assert_double_lt(losses, 1e-6);
    ck_assert_double_lt(gradients_error, 1e-9);
    ck_assert_double_lt(learned, 1e-4); /* Adam divides small gradients by their size */
    golden_read(&golden, GOLDEN, "fifty");
    ck_assert_int_eq(golden.count, 4); /* of every tenth step */
    double late = 0;
    for (int i = STEPS; i < 50; ++i) {
        double loss = take_step(t, i, NULL);
        if (i % 10 == 9)
            late = fmax(late, fabs(loss / golden.lines[i / 10 - 1].values[0] - 1));
    }
    printf("losses up to the fiftieth step: %.2g\n", late);
    ck_assert_double_lt(late, 0.01);
    imiad_detector_free(d);
}
END_TEST

/* What is repaired reaches below -0.5, or above 128: SSIM counts with a range of 2, or of 255. */
START_TEST(the_range_of_ssim_follows_what_was_repaired)
{
    static const struct {
        const char *name;
        double shift;
    } cases[] = {{"dark", -3}, {"bright", 200}};
    golden_read(&golden, GOLDEN, cases[_i].name);
    ck_assert_uint_eq(golden.count, 1);
    imiad_detector *d = begun();
    training *t = d->state;
    scope s = scope_begin();
    t_add_scalar_(params_find(t->stores[0].parameters, "decoder.fin_out.0.bias")->value,
                  cases[_i].shift);
    ck_ok(scope_end(&s));
    double wanted = golden.lines[0].values[0], found = take_step(t, 0, NULL);
    ck_assert_double_lt(fabs(found - wanted) / wanted, 1e-9);
    imiad_detector_free(d);
}
END_TEST

/* ---- checkpoints of the authors' ---- */

/* The parameters of the script's checkpoints: those that a detector begins with, the convolutions'
 * weights wider. */
static void write_checkpoint(const params *store, const char *path, double wider)
{
    weights_writer *w;
    scope s = scope_begin();
    ck_ok(weights_writer_create(&w));
    for (size_t i = 0; i < params_count(store); ++i) {
        const param *p = params_at(store, i);
        bool widened = t_rank(p->value) == 4;
        tensor *value = t_to(widened ? t_mul_scalar(p->value, wider) : p->value, F32);
        ck_ok(weights_writer_add_tensor(w, p->name, t_contiguous(value)));
    }
    ck_ok(weights_writer_commit(w, path));
    weights_writer_free(w);
    ck_ok(scope_end(&s));
}

START_TEST(imported_checkpoints_score_as_the_authors_code)
{
    char folder[64] = "/tmp/imiad-draem-XXXXXX", first[128], second[128];
    ck_assert(mkdtemp(folder) != NULL);
    snprintf(first, sizeof first, "%s/some.run.pckl", folder);
    snprintf(second, sizeof second, "%s/some.run_seg.pckl", folder);
    imiad_detector *source = begun();
    const training *t = source->state;
    write_checkpoint(t->stores[0].parameters, first, 0.13 / 0.02);
    write_checkpoint(t->stores[1].parameters, second, 0.13 / 0.02);
    const imiad_option import[] = {{"import", first}, {"epochs", "0"}};
    imiad_detector *d = make(import, 2);
    ck_ok(fit_procedural(d, 1));

    golden_read(&golden, GOLDEN, "import");
    ck_assert_uint_eq(golden.count, 1);
    const golden_line *l = &golden.lines[0];
    imiad_image *image = procedural(IMIAD_PIXEL_RGB8, SIDE, SIDE);
    imiad_result r = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_score(&r, d, image));
    double worst = fabs((double)r.score - l->values[0]);
    for (int i = 0; i < GOLDEN_SAMPLES; ++i)
        worst = fmax(worst, fabs((double)r.map[i * (SIDE * SIDE - 1) / (GOLDEN_SAMPLES - 1)] -
                                 l->values[i + 2]));
    printf("largest error of map and score: %.2g\n", worst);
    ck_assert_double_lt(worst, 1e-5);

    unlink(second);
    ck_fails(fit_procedural(d, 1), IMIAD_NOT_FOUND, second);
    unlink(first);
    rmdir(folder);
    imiad_image_free(image);
    imiad_detector_free(d);
    imiad_detector_free(source);
}
END_TEST

/* ---- options ---- */

static char last_log[512];

static void see_textures(void *user, imiad_log_level level, const char *message)
{
    (void)user;
    (void)level;
    if (strstr(message, "textures"))
        snprintf(last_log, sizeof last_log, "%s", message);
}

START_TEST(every_option_trains_from_one_image)
{
    static const imiad_option each[] = {{"target", "damaged"},    {"operations", "fixed"},
                                        {"sampling", "replaced"}, {"scaling", "open_iad"},
                                        {"image_score", "max"},   {"preset", "open_iad"},
                                        {"preset", "official"}};
    imiad_detector *d = make(&each[_i], 1);
    ck_ok(fit_procedural(d, 1));
    imiad_image *image = procedural(IMIAD_PIXEL_RGB8, 90, 70);
    imiad_result r = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_score(&r, d, image));
    ck_assert_int_eq(r.width, SIDE);
    ck_assert(r.score >= 0 && r.score <= 1);
    imiad_image_free(image);
    imiad_detector_free(d);
}
END_TEST

START_TEST(the_textures_are_said_and_kept_in_the_file)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    imiad_detector *d = make(NULL, 0);
    imiad_set_log(see_textures, NULL);
    ck_ok(fit_procedural(d, 2));
    imiad_set_log(NULL, NULL);
    ck_assert_str_eq(last_log, "draem: textures: procedural");
    ck_ok(imiad_detector_save(d, path));
    weights *file;
    ck_ok(weights_open(&file, path));
    ck_assert_str_eq(weights_metadata(file, "textures"), "procedural");
    weights_free(file);
    unlink(path);
    imiad_detector_free(d);
    const imiad_option nowhere[] = {{"textures", "/no/such/folder"}};
    d = make(nowhere, 1);
    ck_fails(fit_procedural(d, 1), IMIAD_NOT_FOUND, "/no/such/folder");
    imiad_detector_free(d);
}
END_TEST

START_TEST(what_cannot_be_is_refused_with_a_reason)
{
    imiad_detector *d = NULL;
    const imiad_option odd[] = {{"resize", "100"}}, nothing[] = {{"epochs", "0"}};
    ck_fails(imiad_detector_create(&d, "draem", NULL, odd, 1), IMIAD_MISMATCH, "multiples of 32");
    ck_fails(imiad_detector_create(&d, "draem", NULL, nothing, 1), IMIAD_OUT_OF_RANGE, "import");
}
END_TEST

SUITE("draem", TEST(losses_gradients_and_ten_steps_equal_the_authors_code),
      LOOP_TEST(the_range_of_ssim_follows_what_was_repaired, 2),
      TEST(imported_checkpoints_score_as_the_authors_code),
      LOOP_TEST(every_option_trains_from_one_image, 7),
      TEST(the_textures_are_said_and_kept_in_the_file),
      TEST(what_cannot_be_is_refused_with_a_reason))
