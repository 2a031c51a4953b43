/* EfficientAD against the public code, and what is its own. */
#include <sys/stat.h>

#include "../image/procedural.h"
#include "detectors/detector.h"
#include "detectors/parts/channel_statistics.h"
#include "detectors/parts/hard_loss.h"
#include "detectors/parts/pdn.h"
#include "detectors/parts/pdn_autoencoder.h"
#include "golden_steps.h"
#include "nn/weights_tensor.h"
#include "resumed.h"

#define GOLDEN "tests/golden/efficientad.csv" /* made by tests/golden/make_efficientad.py */

enum { SIDE = 64, GRID = 8, WIDTH = 8, OUTPUTS = 24, STEPS = 10 };

#define SMALL                                                                                      \
    {"resize", "64"}, {"width", "8"}, {"epochs", "1"}, {"steps", "1"}, {"distil_steps", "1"},      \
    {                                                                                              \
        "distil_batch", "1"                                                                        \
    }
enum { SMALL_COUNT = 6, MOST_IMAGES = 8 };

static imiad_backbone *backbone;

static imiad_detector *make(const imiad_option *more, size_t count)
{
    imiad_option options[16] = {SMALL};
    imiad_detector *d = NULL;
    for (size_t i = 0; i < count; ++i)
        options[SMALL_COUNT + i] = more[i];
    if (!backbone)
        ck_ok(imiad_backbone_create(&backbone, "resnet18", NULL));
    ck_ok(imiad_detector_create(&d, "efficientad", backbone, options, SMALL_COUNT + count));
    return d;
}

static imiad_status fit_procedural(imiad_detector *d, size_t count)
{
    imiad_image *images[MOST_IMAGES] = {NULL};
    for (size_t i = 0; i < count; ++i)
        images[i] = procedural(IMIAD_PIXEL_RGB8, SIDE + (int)i, SIDE);
    imiad_status status =
        imiad_detector_fit_images(d, (const imiad_image *const *)images, count, NULL, NULL);
    for (size_t i = 0; i < count; ++i)
        imiad_image_free(images[i]);
    return status;
}

/* A new folder with two images. */
static void make_folder(char path[64])
{
    strcpy(path, "/tmp/imiad-efficientad-XXXXXX");
    ck_assert(mkdtemp(path) != NULL);
    for (int i = 0; i < 2; ++i) {
        char name[96];
        snprintf(name, sizeof name, "%s/%d.png", path, i);
        imiad_image *image = procedural(IMIAD_PIXEL_RGB8, 50 + 20 * i, 60);
        ck_ok(imiad_image_write_png(image, name));
        imiad_image_free(image);
    }
}

static void remove_folder(const char *path)
{
    for (int i = 0; i < 2; ++i) {
        char name[96];
        snprintf(name, sizeof name, "%s/%d.png", path, i);
        unlink(name);
    }
    rmdir(path);
}

/* ---- held against the public code ---- */

/* The networks once more, plain: in double, nothing folded, nothing sliced. */
typedef struct networks {
    params *stores[3];
    pdn teacher, student;
    pdn_autoencoder autoencoder;
} networks;

static networks networks_make(pdn_size size, const char *const purposes[3])
{
    networks n;
    scope s = scope_begin();
    builder b[3];
    for (int i = 0; i < 3; ++i) {
        ck_ok(params_create(&n.stores[i]));
        b[i] =
            (builder){.store = n.stores[i], .seed = 66, .purpose = purposes ? purposes[i] : NULL};
    }
    n.teacher = pdn_add(&b[0], size, WIDTH, OUTPUTS);
    n.student = pdn_add(&b[1], size, WIDTH, 2 * OUTPUTS);
    n.autoencoder = pdn_autoencoder_add(&b[2], WIDTH, OUTPUTS, SIDE, GRID);
    ck_ok(scope_end(&s));
    return n;
}

static void networks_free(networks *n)
{
    for (int i = 0; i < 3; ++i)
        params_free(n->stores[i]);
}

static tensor *wave(int64_t images, double phase, dtype type)
{
    return golden_procedural((const int64_t[]){images, 3, SIDE, SIDE}, phase, type);
}

typedef struct comparison {
    imiad_detector *detector;
    training *training;
    networks first; /* in double, as they begin */
    tensor *mean, *deviation;
} comparison;

static void write_teacher(const params *store, const char *path)
{
    weights_writer *w;
    ck_ok(weights_writer_create(&w));
    scope s = scope_begin();
    ck_ok(params_save(store, "", w));
    ck_ok(weights_writer_commit(w, path));
    ck_ok(scope_end(&s));
    weights_writer_free(w);
}

/* A detector whose networks are as they began, in double precision, with the teacher's statistics
 * over three images. */
static comparison compare_begin(pdn_size size, bool penalised)
{
    static const char *const purposes[] = {"efficientad/teacher/", "efficientad/student/",
                                           "efficientad/autoencoder/"};
    char path[] = "/tmp/imiad-test-XXXXXX", folder[64];
    close(mkstemp(path));
    make_folder(folder);
    comparison c = {.first = networks_make(size, purposes)};
    write_teacher(c.first.stores[0], path);
    const imiad_option options[] = {{"teacher", path},
                                    {"learning_rate", "0"},
                                    {"dropout", "0"},
                                    {"size", size == PDN_SMALL ? "small" : "medium"},
                                    {"penalty_images", penalised ? folder : ""}};
    c.detector = make(options, 5);
    ck_ok(fit_procedural(c.detector, 2));
    unlink(path);
    remove_folder(folder);
    training *t = c.training = c.detector->state;
    for (int i = 0; i < t->store_count; ++i)
        ck_ok(params_to(t->stores[i].parameters, F64, CPU));
    for (int i = 0; i < t->rule_count; ++i) {
        optimizer_free(t->rules[i].optimizer);
        t->rules[i].optimizer = NULL;
    }
    ck_ok(training_make_optimizers(t));
    ck_ok(params_to(c.first.stores[0], F64, CPU));
    c.mean = params_find(t->stores[0].parameters, "mean")->value;
    c.deviation = params_find(t->stores[0].parameters, "deviation")->value;
    static const double phases[] = {0, 3, 5};
    channel_statistics statistics;
    ck_ok(channel_statistics_open(&statistics, OUTPUTS));
    scope s = scope_begin();
    for (int i = 0; i < 3; ++i)
        channel_statistics_add(&statistics,
                               pdn_run(&c.first.teacher, wave(1, phases[i], F64), false));
    channel_statistics_finish(c.mean, c.deviation, &statistics);
    ck_ok(scope_end(&s));
    channel_statistics_close(&statistics);
    return c;
}

static void compare_end(comparison *c)
{
    imiad_detector_free(c->detector);
    networks_free(&c->first);
}

static golden_case golden;

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

static const golden_line *line_named(const char *kind, const char *name)
{
    for (size_t i = 0; i < golden.count; ++i)
        if (strcmp(golden.lines[i].kind, kind) == 0 && strcmp(golden.lines[i].name, name) == 0)
            return &golden.lines[i];
    ck_abort_msg("no line %s,%s", kind, name);
    return NULL;
}

/* The worst error of a kind's lines, of student and autoencoder; how many there were. */
static double compare_lines(const training *t, const char *kind, bool gradients, int *count)
{
    double worst = 0;
    *count = 0;
    for (size_t i = 0; i < golden.count; ++i) {
        const golden_line *l = &golden.lines[i];
        if (strcmp(l->kind, kind) != 0)
            continue;
        int store = strncmp(l->name, "student.", 8) == 0 ? 1 : 2;
        const param *p = params_find(t->stores[store].parameters, strchr(l->name, '.') + 1);
        ck_assert_msg(p, "no %s", l->name);
        worst = fmax(worst, error_of(gradients ? t_grad(p->value) : p->value, l));
        ++*count;
    }
    return worst;
}

static double take_step(comparison *c, bool look, double *gradients)
{
    training *t = c->training;
    scope s = scope_begin_grad();
    tensor *plain = wave(2, 0, F64), *made[] = {wave(2, 1, F64), wave(2, 2, F64)};
    tensor *frozen[] = {pdn_run(&c->first.teacher, plain, false)};
    train_step step = {.count = 2, .pixels = {.images = plain}, .made = made, .frozen = frozen};
    tensor *loss = t->ops->loss(t->detector, &step);
    double value = t_item(loss);
    t_backward(loss);
    if (look) {
        int count;
        *gradients = compare_lines(t, "gradient", true, &count);
        ck_assert_int_gt(count, 17);
    }
    for (int i = 0; i < t->rule_count; ++i)
        optimizer_step(t->rules[i].optimizer, 1e-4);
    ck_ok(scope_end(&s));
    for (int i = 0; i < t->store_count; ++i)
        params_clear_grad(t->stores[i].parameters);
    return value;
}

/* The four losses, each by its formula from the plain networks. */
static void check_terms(const comparison *c, pdn_size size, bool penalised)
{
    networks n = networks_make(size, NULL);
    ck_ok(params_to(n.stores[1], F64, CPU));
    ck_ok(params_to(n.stores[2], F64, CPU));
    ck_ok(params_copy(n.stores[1], c->training->stores[1].parameters));
    ck_ok(params_copy(n.stores[2], c->training->stores[2].parameters));
    scope s = scope_begin();
    tensor *images[] = {wave(2, 0, F64), wave(2, 1, F64), wave(2, 2, F64)}, *taught[2], *studied[3];
    for (int i = 0; i < 3; ++i)
        studied[i] = pdn_run(&n.student, images[i], false);
    for (int i = 0; i < 2; ++i)
        taught[i] =
            t_div(t_sub(pdn_run(&c->first.teacher, images[i], false), c->mean), c->deviation);
    tensor *given = pdn_autoencoder_run(&n.autoencoder, images[1], false);
    double terms[4];
    int count = 0;
    terms[count++] = t_item(hard_loss(taught[0], t_slice(studied[0], 1, 0, OUTPUTS), 0.999));
    if (penalised)
        terms[count++] = t_item(t_mean_all(t_square(t_slice(studied[2], 1, 0, OUTPUTS))));
    terms[count++] = t_item(t_mse_loss(given, taught[1]));
    terms[count++] = t_item(t_mse_loss(given, t_slice(studied[1], 1, OUTPUTS, 2 * OUTPUTS)));
    for (int i = 0; i < count; ++i) {
        char name[4];
        snprintf(name, sizeof name, "%d", i);
        ck_assert_double_lt(fabs(terms[i] / line_named("term", name)->values[0] - 1), 1e-9);
    }
    ck_ok(scope_end(&s));
    networks_free(&n);
}

/* Sums of both maps of an image by the plain networks, in double. */
static void plain_maps(const comparison *c, const networks *n, tensor *image, tensor *out[2])
{
    tensor *taught = t_div(t_sub(pdn_run(&n->teacher, image, false), c->mean), c->deviation);
    tensor *studied = pdn_run(&n->student, image, false);
    tensor *given = pdn_autoencoder_run(&n->autoencoder, image, false);
    out[0] = t_mean(t_square(t_sub(taught, t_slice(studied, 1, 0, OUTPUTS))), 1, true);
    out[1] = t_mean(t_square(t_sub(given, t_slice(studied, 1, OUTPUTS, 2 * OUTPUTS))), 1, true);
}

/* What was learned, put into the plain networks; quantiles over two images go into the detector. */
static void check_quantiles(comparison *c, networks *n)
{
    for (int i = 0; i < 3; ++i)
        ck_ok(params_to(n->stores[i], F64, CPU));
    ck_ok(params_copy(n->stores[0], c->first.stores[0]));
    for (int i = 1; i < 3; ++i)
        ck_ok(params_copy(n->stores[i], c->training->stores[i].parameters));
    scope s = scope_begin();
    tensor *maps[2][2],
        *wanted = params_find(c->training->stores[3].parameters, "quantiles")->value;
    plain_maps(c, n, wave(1, 3, F64), maps[0]);
    plain_maps(c, n, wave(1, 5, F64), maps[1]);
    double found[4];
    for (int i = 0; i < 4; ++i) {
        tensor *both = t_cat((tensor *[]){maps[0][i / 2], maps[1][i / 2]}, 2, 0);
        found[i] = quantile_select(both, i % 2 ? 0.995 : 0.9);
        double of_the_code = line_named("quantiles", "0")->values[i];
        ck_assert_double_lt(fabs(found[i] / of_the_code - 1), 1e-6);
    }
    t_copy_(wanted, t_from(found, 1, (int64_t[]){4}, F64, CPU));
    ck_ok(scope_end(&s));
}

/* The detector's own path, from its file on: folded, in single precision. */
static double check_maps(const comparison *c)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    for (int i = 0; i < 4; ++i)
        ck_ok(params_to(c->training->stores[i].parameters, F32, CPU));
    ck_ok(imiad_detector_save(c->detector, path));
    imiad_detector *restored;
    ck_ok(imiad_detector_load(&restored, path, NULL));
    unlink(path);
    scope s = scope_begin();
    batch b = {.images = wave(1, 7, F32), .count = 1, .height = SIDE, .width = SIDE};
    scores found = {NULL, NULL};
    restored->ops->score(restored, &b, &found);
    ck_assert_int_eq(t_size(found.maps, 1), GRID + 8);
    tensor *inner = t_slice(t_slice(found.maps, 1, 4, 4 + GRID), 2, 4, 4 + GRID);
    double error = error_of(inner, line_named("maps", "both"));
    tensor *whole = t_interpolate(t_unsqueeze(found.maps, 1), SIDE, SIDE, BILINEAR, false);
    const golden_line *l = line_named("finished", "0");
    double largest = t_item(t_max_all(whole));
    golden_line samples = *l;
    memmove(samples.values, samples.values + 1, (GOLDEN_SAMPLES + 1) * sizeof *samples.values);
    error = fmax(error, error_of(whole, &samples));
    error = fmax(error, fabs(largest / l->values[0] - 1));
    ck_ok(scope_end(&s));
    imiad_detector_free(restored);
    return error;
}

/* In double precision on both sides; the medium network runs without penalty images. */
START_TEST(losses_gradients_steps_and_maps_equal_the_public_code)
{
    pdn_size size = _i == 0 ? PDN_SMALL : PDN_MEDIUM;
    golden_read(&golden, GOLDEN, _i == 0 ? "steps" : "silent");
    comparison c = compare_begin(size, _i == 0);
    scope s = scope_begin();
    ck_assert_double_lt(error_of(c.mean, line_named("output", "mean")), 1e-9);
    ck_assert_double_lt(error_of(c.deviation, line_named("output", "deviation")), 1e-7);
    ck_ok(scope_end(&s));
    check_terms(&c, size, _i == 0);
    double gradients = 0, first = 0;
    int steps, parameters;
    for (golden_steps = 0; golden_steps < STEPS; ++golden_steps) {
        golden_losses[golden_steps] = take_step(&c, golden_steps == 0, &gradients);
        if (golden_steps == 0) {
            s = scope_begin();
            first = compare_lines(c.training, "first", false, &parameters);
            ck_ok(scope_end(&s));
        }
    }
    double losses = golden_compare_losses(&golden, &steps);
    s = scope_begin();
    double learned = compare_lines(c.training, "parameter", false, &parameters);
    ck_ok(scope_end(&s));
    networks n = networks_make(size, NULL);
    check_quantiles(&c, &n);
    double maps = check_maps(&c);
    printf("relative error of %d losses %.2g, of gradients %.2g, of %d parameters %.2g after one "
           "step and %.2g after ten, of maps %.2g\n",
           steps, losses, gradients, parameters, first, learned, maps);
    ck_assert_int_eq(steps, STEPS);
    ck_assert_double_lt(losses, 1e-7);
    ck_assert_double_lt(gradients, 1e-6);
    ck_assert_double_lt(first, 1e-7);
    ck_assert_double_lt(learned, 1e-5);
    ck_assert_double_lt(maps, 1e-3); /* the table's spread in single precision: 8e-5 */
    networks_free(&n);
    compare_end(&c);
}
END_TEST

/* ---- maps ---- */

/* The middle of position p's 33 pixels is 4 p + 16; its place in the finished map is 4 p + 17.5, as
 * in the public code. */
START_TEST(a_spot_comes_back_at_its_place)
{
    enum { LARGE = 128, LEFT = 76, TOP = 44, SPOT = 8 };
    imiad_option options[] = {{"resize", "128"}, {"steps", "8"}, {"learning_rate", "0.001"}};
    imiad_detector *d = make(options, 3);
    imiad_image *flat, *spotted;
    ck_ok(image_create(&flat, IMIAD_PIXEL_RGB8, LARGE, LARGE));
    memset(flat->pixels, 128, flat->stride * LARGE);
    ck_ok(image_to_rgb(&spotted, flat));
    for (int y = 0; y < SPOT; ++y)
        memset(image_row(spotted, TOP + y) + 3 * LEFT, 255, 3 * SPOT);
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)&flat, 1, NULL, NULL));
    imiad_result good = IMIAD_RESULT_INIT, bad = IMIAD_RESULT_INIT;
    float plain[LARGE * LARGE];
    ck_ok(imiad_detector_score(&good, d, flat));
    memcpy(plain, good.map, sizeof plain);
    ck_ok(imiad_detector_score(&bad, d, spotted));
    double sum = 0, x = 0, y = 0;
    for (int i = 0; i < LARGE * LARGE; ++i) {
        double more = fabs((double)bad.map[i] - (double)plain[i]);
        sum += more;
        x += more * (i % LARGE);
        y += more * (i / LARGE);
    }
    printf("the spot's middle: %.1f, %.1f\n", x / sum, y / sum);
    ck_assert_double_lt(fabs(x / sum - (LEFT + SPOT / 2 - 0.5)), 3);
    ck_assert_double_lt(fabs(y / sum - (TOP + SPOT / 2 - 0.5)), 3);
    imiad_image_free(flat);
    imiad_image_free(spotted);
    imiad_detector_free(d);
}
END_TEST

/* ---- training ---- */

START_TEST(a_resumed_training_ends_with_the_same_bytes)
{
    static const imiad_option drawn[] = {{"size", "64"}, {"train", "4"}};
    imiad_dataset *dataset;
    resumed_fit f = {.detector = "efficientad",
                     .options = {SMALL, {"epochs", "3"}, {"steps", "2"}, {"distil_steps", "3"}},
                     .option_count = SMALL_COUNT + 3};
    ck_ok(imiad_dataset_open(&dataset, "synthetic", NULL, drawn, 2));
    ck_ok(imiad_backbone_create(&f.backbone, "resnet18", NULL));
    ck_ok(imiad_split_create(&f.split, dataset, imiad_dataset_category(dataset, 0), "unsupervised",
                             NULL, 0));
    resumed_equals_undisturbed(&f, 3);
    imiad_split_free(f.split);
    imiad_backbone_free(f.backbone);
    imiad_dataset_free(dataset);
}
END_TEST

/* An interrupted lesson's file is refused by another lesson. */
START_TEST(a_lesson_that_is_not_the_same_is_refused)
{
    char checkpoint[] = "/tmp/imiad-test-XXXXXX", teacher[64];
    close(mkstemp(checkpoint));
    unlink(checkpoint);
    snprintf(teacher, sizeof teacher, "%s.teacher", checkpoint);
    imiad_image *image = procedural(IMIAD_PIXEL_RGB8, SIDE, SIDE);
    const imiad_option options[] = {{"checkpoint", checkpoint}, {"distil_steps", "2"}},
                       other[] = {{"checkpoint", checkpoint}, {"distil_steps", "3"}};
    imiad_detector *d = make(options, 2);
    resumed_countdown = 2; /* statistics, one step, another one */
    ck_fails(
        imiad_detector_fit_images(d, (const imiad_image *const *)&image, 1, resumed_stop, NULL),
        IMIAD_CANCELLED, "");
    ck_assert(file_exists(teacher));
    imiad_detector_free(d);
    d = make(other, 2);
    ck_fails(imiad_detector_fit_images(d, (const imiad_image *const *)&image, 1, NULL, NULL),
             IMIAD_MISMATCH, "of another lesson");
    imiad_detector_free(d);
    d = make(options, 2);
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)&image, 1, NULL, NULL));
    ck_assert(!file_exists(teacher));
    imiad_detector_free(d);
    imiad_image_free(image);
}
END_TEST

static char teacher_log[512], penalty_log[512];

static void see(void *user, imiad_log_level level, const char *message)
{
    (void)user;
    (void)level;
    if (strstr(message, "efficientad: teacher"))
        snprintf(teacher_log, sizeof teacher_log, "%s", message);
    if (strstr(message, "efficientad: penalty"))
        snprintf(penalty_log, sizeof penalty_log, "%s", message);
}

/* A target of mean 0 and deviation 1 has an error of 1 before anything is learned. */
START_TEST(a_teacher_learns_the_backbone)
{
    const imiad_option lesson[] = {{"distil_steps", "80"},
                                   {"distil_batch", "4"},
                                   {"learning_rate", "0.002"},
                                   {"distil_size", "96"}};
    imiad_detector *d = make(lesson, 4);
    imiad_set_log(see, NULL);
    ck_ok(fit_procedural(d, 4));
    imiad_set_log(NULL, NULL);
    const char *loss = strstr(teacher_log, "last loss ");
    ck_assert_msg(loss, "%s", teacher_log);
    printf("%s\n", teacher_log);
    ck_assert(strstr(teacher_log, "the training images"));
    ck_assert_double_lt(strtod(loss + 10, NULL), 0.8);
    imiad_detector_free(d);
}
END_TEST

START_TEST(a_saved_detector_is_another_ones_teacher)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    imiad_detector *d = make(NULL, 0);
    ck_ok(fit_procedural(d, 2));
    ck_ok(imiad_detector_save(d, path));
    const imiad_option teacher[] = {{"teacher", path}};
    imiad_detector *other = make(teacher, 1);
    ck_ok(fit_procedural(other, 2));
    const training *a = d->state, *b = other->state;
    scope s = scope_begin();
    for (size_t i = 0; i < params_count(a->stores[0].parameters); ++i) {
        tensor *apart = t_sub(params_at(a->stores[0].parameters, i)->value,
                              params_at(b->stores[0].parameters, i)->value);
        ck_assert_double_eq(t_item(t_max_all(t_abs(apart))), 0);
    }
    ck_ok(scope_end(&s));
    imiad_detector_free(d);
    imiad_detector_free(other);
    unlink(path);
}
END_TEST

/* ---- options ---- */

static void fits_and_scores(const imiad_option *options, size_t count)
{
    imiad_detector *d = make(options, count);
    ck_ok(fit_procedural(d, 1));
    imiad_image *image = procedural(IMIAD_PIXEL_RGB8, 90, 70);
    imiad_result r = IMIAD_RESULT_INIT;
    ck_ok(imiad_detector_score(&r, d, image));
    ck_assert_int_eq(r.width, SIDE);
    ck_assert(isfinite(r.score));
    imiad_image_free(image);
    imiad_detector_free(d);
}

START_TEST(every_option_trains_from_one_image)
{
    static const imiad_option each[] = {
        {"size", "medium"},       {"padding", "true"},    {"pad_maps", "false"},
        {"jitter", "resized"},    {"jitter", "none"},     {"val_split", "0"},
        {"schedule", "constant"}, {"hard_quantile", "0"}, {"hard_quantile", "1"},
        {"layers", "layer1"},     {"train_batch", "3"},   {"resize", "100"}};
    if (strcmp(each[_i].name, "resize") != 0) {
        fits_and_scores(&each[_i], 1);
        return;
    }
    const imiad_option odd[] = {each[_i], {"crop", "64"}}; /* the middle of a larger square */
    fits_and_scores(odd, 2);
}
END_TEST

START_TEST(folders_give_images_and_are_kept_in_the_file)
{
    char folder[64], path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    make_folder(folder);
    const imiad_option from[] = {
        {"penalty_images", folder}, {"quantile_images", folder}, {"distil_images", folder}};
    imiad_detector *d = make(from, 3);
    imiad_set_log(see, NULL);
    ck_ok(fit_procedural(d, 2));
    imiad_set_log(NULL, NULL);
    char wanted[128];
    snprintf(wanted, sizeof wanted, "2 images of %s", folder);
    ck_assert_msg(strstr(teacher_log, wanted), "%s", teacher_log);
    ck_assert_msg(strstr(penalty_log, wanted), "%s", penalty_log);
    ck_ok(imiad_detector_save(d, path));
    weights *file;
    ck_ok(weights_open(&file, path));
    ck_assert_str_eq(weights_metadata(file, "penalty_images"), wanted);
    ck_assert(strstr(weights_metadata(file, "teacher"), wanted));
    weights_free(file);
    remove_folder(folder);
    static const char *const names[] = {"penalty_images", "quantile_images", "distil_images"};
    for (int i = 0; i < 3; ++i) {
        imiad_detector_free(d);
        const imiad_option nowhere[] = {{names[i], "/no/such/folder"}};
        d = make(nowhere, 1);
        ck_fails(fit_procedural(d, 1), IMIAD_NOT_FOUND, "/no/such/folder");
    }
    imiad_detector_free(d);
    unlink(path);
}
END_TEST

START_TEST(without_penalty_images_the_record_says_none)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    imiad_detector *d = make(NULL, 0);
    imiad_set_log(see, NULL);
    ck_ok(fit_procedural(d, 1));
    imiad_set_log(NULL, NULL);
    ck_assert_str_eq(penalty_log, "efficientad: penalty images: none");
    ck_ok(imiad_detector_save(d, path));
    weights *file;
    ck_ok(weights_open(&file, path));
    ck_assert_str_eq(weights_metadata(file, "penalty_images"), "none");
    weights_free(file);
    imiad_detector_free(d);
    unlink(path);
}
END_TEST

START_TEST(what_cannot_be_is_refused_with_a_reason)
{
    static const struct {
        imiad_option option;
        imiad_status status;
        const char *reason;
    } cases[] = {{{"width", "10"}, IMIAD_OUT_OF_RANGE, "multiple of 4"},
                 {{"resize", "32"}, IMIAD_OUT_OF_RANGE, "too small"},
                 {{"resize_mode", "shorter"}, IMIAD_OUT_OF_RANGE, "square"},
                 {{"layers", "layer9"}, IMIAD_UNKNOWN_OPTION, "layer9"}};
    imiad_detector *d = make(NULL, 0);
    imiad_detector_free(d);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i)
        ck_fails(imiad_detector_create(&d, "efficientad", backbone, &cases[i].option, 1),
                 cases[i].status, cases[i].reason);
    const imiad_option nowhere[] = {{"teacher", "/no/such/teacher.pth"}};
    d = make(nowhere, 1);
    ck_fails(fit_procedural(d, 1), IMIAD_NOT_FOUND, "/no/such/teacher.pth");
    imiad_detector_free(d);
}
END_TEST

SUITE("efficientad", LOOP_TEST(losses_gradients_steps_and_maps_equal_the_public_code, 2),
      TEST(a_spot_comes_back_at_its_place), TEST(a_resumed_training_ends_with_the_same_bytes),
      TEST(a_lesson_that_is_not_the_same_is_refused), TEST(a_teacher_learns_the_backbone),
      TEST(a_saved_detector_is_another_ones_teacher),
      LOOP_TEST(every_option_trains_from_one_image, 12),
      TEST(folders_give_images_and_are_kept_in_the_file),
      TEST(without_penalty_images_the_record_says_none),
      TEST(what_cannot_be_is_refused_with_a_reason))
