/* DNE beside the authors' code (tests/golden/make_dne.py), and what its definition says. */
#include <math.h>
#include <string.h>
#include <zlib.h>

#include "detectors/algorithm.h"
#include "detectors/parts/gaussian_replay.h"
#include "golden_steps.h"
#include "nn/network.h"
#include "product_line.h"

#define GOLDEN "tests/golden/dne.csv"

enum { IMAGES = 2, SIDE = 224, SMALL_SIDE = 64, TASK_STEPS = 5, VALUES = 32, TASKS = 3 };

static golden_case golden;

/* ---- the numbers that the script computes too ---- */

/* Number `index` of a seed, in [-1, 1). */
static double noise(uint32_t index, uint32_t seed)
{
    uint32_t h = (index + seed) * 2654435761u;
    h ^= h >> 15;
    h *= 2246822519u;
    h ^= h >> 13;
    return (double)h / 0x1p31 - 1;
}

/* count x 3 x side x side in [-2, 2). */
static tensor *make_images(int first, int64_t count, int64_t side)
{
    size_t each = (size_t)(3 * side * side);
    float *values = malloc((size_t)count * each * sizeof *values);
    for (size_t i = 0; i < (size_t)count * each; ++i)
        values[i] =
            (float)(2 * noise((uint32_t)(i % each), 1000 * (uint32_t)(first + (int)(i / each))));
    tensor *images = t_from(values, 4, (int64_t[]){count, 3, side, side}, F32, CPU);
    free(values);
    return images;
}

/* Every tensor from its name, without the prefix. */
static void fill(const params *store, const char *prefix)
{
    for (size_t j = 0; j < params_count(store); ++j) {
        const param *p = params_at(store, j);
        size_t length = strlen(prefix);
        const char *name = p->name + (strncmp(p->name, prefix, length) == 0 ? length : 0);
        uint32_t seed = (uint32_t)(crc32(0, (const uint8_t *)name, (uInt)strlen(name)) % 100000);
        size_t count = (size_t)t_count(p->value), rows = (size_t)t_size(p->value, 0);
        int64_t shape[4];
        for (int i = 0; i < t_rank(p->value); ++i)
            shape[i] = t_size(p->value, i);
        float *values = malloc(count * sizeof *values);
        for (size_t i = 0; i < count; ++i) {
            double v = noise((uint32_t)i, seed);
            if (strstr(name, "token") || strstr(name, "pos_embed"))
                v *= 0.5;
            else if (golden_ends_in(name, (const char *const[]){"bias", NULL}))
                v *= 0.1;
            else if (t_rank(p->value) == 1)
                v = 1 + 0.1 * v;
            else
                v *= sqrt(3 / (double)(count / rows));
            values[i] = (float)v;
        }
        scope s = scope_begin();
        t_copy_(p->value, t_from(values, t_rank(p->value), shape, F32, CPU));
        ck_ok(scope_end(&s));
        free(values);
    }
}

/* The script's rows(): embeddings around a direction of the task's own. */
static tensor *make_rows(int count, int which)
{
    float values[64 * VALUES];
    for (int i = 0; i < count * VALUES; ++i)
        values[i] = (float)(0.3 * noise((uint32_t)i, 500000 + 10000 * (uint32_t)which) +
                            noise((uint32_t)(i % VALUES), 700000 + 10000 * (uint32_t)which));
    return t_from(values, 2, (int64_t[]){count, VALUES}, F32, CPU);
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
        double found = values[i * (count - 1) / (GOLDEN_SAMPLES - 1)];
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

/* Of the parameters or their gradients, without the prefix of the detector's. */
static double compare_store(const params *store, const char *kind, int *count)
{
    double worst = 0;
    *count = 0;
    for (size_t i = 0; i < golden.count; ++i) {
        const golden_line *l = &golden.lines[i];
        char name[96];
        if (strcmp(l->kind, kind) != 0)
            continue;
        snprintf(name, sizeof name, "%s%s", strncmp(l->name, "head.", 5) ? "encoder." : "",
                 l->name);
        const param *p = params_find(store, name);
        ck_assert_msg(p, "no %s", name);
        worst = fmax(worst, error_of(strcmp(kind, "gradient") ? p->value : t_grad(p->value), l));
        ++*count;
    }
    return worst;
}

/* ---- the authors' code ---- */

START_TEST(a_transformers_tokens_are_those_of_the_authors_code)
{
    static const char *const layers[] = {"blocks.0",
                                         "blocks.11",
                                         "norm",
                                         "blocks.0.cls_token",
                                         "blocks.11.cls_token",
                                         "norm."
                                         "cls_token"};
    golden_read(&golden, GOLDEN, "vit");
    imiad_backbone *backbone = NULL;
    params *store;
    network *vit;
    ck_ok(imiad_backbone_create(&backbone, "vit_b_16", NULL));
    ck_ok(params_create(&store));
    ck_ok(network_create(&vit, backbone->architecture, layers, 6, store, "", 0, NULL, CPU));
    fill(store, "");
    scope s = scope_begin();
    tensor *maps[6];
    network_features(vit, make_images(0, 1, SIDE), layers, 6, maps, false);
    for (int i = 0; i < 6; ++i)
        ck_assert_double_lt(
            error_of(t_flatten(maps[i], 1, 3), line_of(i < 3 ? "tokens" : "class", layers[i % 3])),
            1e-4);
    ck_ok(scope_end(&s));
    network_free(vit);
    params_free(store);
    imiad_backbone_free(backbone);
}
END_TEST

static imiad_detector *one_block(imiad_backbone *backbone)
{
    static const imiad_option options[] = {{"resize", "64"},        {"layer", "blocks.0.cls_token"},
                                           {"pretrained", "false"}, {"epochs", "5"},
                                           {"train_batch", "2"},    {"learning_rate", "0"}};
    imiad_detector *d = NULL;
    imiad_image *image;
    ck_ok(imiad_detector_create(&d, "dne", backbone, options, sizeof options / sizeof *options));
    ck_ok(imiad_image_create(&image, IMIAD_PIXEL_RGB8, SMALL_SIDE, SMALL_SIDE));
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)&image, 1, NULL, NULL));
    imiad_image_free(image);
    return d;
}

/* The loss before a step at the authors' rates, as a detector takes it that has learned so many
 * tasks. */
static double take_step(imiad_detector *d, int which, double *gradients, int *compared)
{
    training *t = d->state;
    int index = which % TASK_STEPS;
    d->tasks = which / TASK_STEPS;
    scope s = scope_begin_grad();
    tensor *views = make_images(10 + 4 * which, 2 * IMAGES, SMALL_SIDE);
    tensor *made[] = {t_slice(views, 0, 0, IMAGES), t_slice(views, 0, IMAGES, 2 * IMAGES)};
    const train_step step = {
        .count = IMAGES, .made = made, .index = index, .epoch = index, .epochs = TASK_STEPS};
    tensor *loss = t->ops->loss(d, &step);
    double value = t_item(loss);
    t_backward(loss);
    if (gradients)
        *gradients = compare_store(t->stores[0].parameters, "gradient", compared);
    for (int i = 0; i < t->rule_count; ++i) {
        training_schedule rate = t->rules[i].schedule ? t->rules[i].schedule : t->ops->rate;
        optimizer_step(t->rules[i].optimizer, rate(d, 1e-4, &step, TASK_STEPS));
    }
    ck_ok(scope_end(&s));
    params_clear_grad(t->stores[0].parameters);
    return value;
}

/* Two tasks of five epochs of one step: the second leaves the classifier alone. */
START_TEST(ten_steps_of_two_tasks_equal_the_authors)
{
    golden_read(&golden, GOLDEN, "steps");
    imiad_backbone *backbone = NULL;
    ck_ok(imiad_backbone_create(&backbone, "vit_b_16", NULL));
    imiad_detector *d = one_block(backbone);
    training *t = d->state;
    fill(t->stores[0].parameters, "encoder.");
    for (int i = 0; i < t->rule_count; ++i) {
        optimizer_free(t->rules[i].optimizer);
        t->rules[i].optimizer = NULL;
    }
    ck_ok(training_make_optimizers(t));
    double gradients = NAN;
    int compared, learned, steps;
    for (golden_steps = 0; golden_steps < 2 * TASK_STEPS; ++golden_steps)
        golden_losses[golden_steps] =
            take_step(d, golden_steps, golden_steps == 0 ? &gradients : NULL, &compared);
    double losses = golden_compare_losses(&golden, &steps);
    scope s = scope_begin();
    double parameters = compare_store(t->stores[0].parameters, "parameter", &learned);
    ck_ok(scope_end(&s));
    printf("largest relative error of %d losses %.2g, of %d gradients %.2g, of %d parameters "
           "%.2g\n",
           steps, losses, compared, gradients, learned, parameters);
    ck_assert_int_eq(compared, 16);
    ck_assert_int_eq(learned, 18);
    ck_assert_double_lt(losses, 1e-5);
    ck_assert_double_lt(gradients, 1e-4);
    ck_assert_double_lt(parameters, 1e-5);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

/* Source: scikit-learn's LedoitWolf, of many and of few rows. */
START_TEST(the_covariance_is_scikit_learns)
{
    static const struct {
        const char *name;
        int rows;
    } cases[] = {{"wolf50", 50}, {"wolf5", 5}};
    golden_read(&golden, GOLDEN, cases[_i].name);
    scope s = scope_begin();
    double rho, wanted = line_of("shrinkage", "rho")->values[0];
    tensor *mean, *rows = t_to(make_rows(cases[_i].rows, 20), F64);
    tensor *covariance = shrunk_covariance(rows, &mean, &rho);
    shrunk_gaussian g = shrunk_gaussian_of(mean, covariance, CPU);
    ck_assert_double_lt(fabs(rho / wanted - 1), 1e-6);
    ck_assert_double_lt(error_of(covariance, line_of("covariance", "S")), 1e-6);
    ck_assert_double_lt(error_of(g.precision, line_of("precision", "P")), 1e-6);
    ck_ok(scope_end(&s));
}
END_TEST

static void add_rows(gaussian_replay *r, tensor *rows)
{
    ck_ok(gaussian_replay_add(r, t_normalize(rows, 1), 42, "dne/replay", CPU));
}

/* The authors' code in single precision, with this library's draws. */
START_TEST(what_is_kept_of_tasks_is_what_the_authors_keep)
{
    static const int counts[TASKS] = {12, 9, 10};
    golden_read(&golden, GOLDEN, "replay");
    gaussian_replay r = {.tasks = NULL};
    scope s = scope_begin();
    tensor *tested = t_normalize(make_rows(5, 9), 1);
    for (int task = 0; task < TASKS; ++task) {
        char name[8];
        float found[5];
        snprintf(name, sizeof name, "%d", task);
        add_rows(&r, make_rows(counts[task], task));
        t_read(shrunk_gaussian_distance(&r.all, tested), found, sizeof found);
        for (int i = 0; i < 5; ++i)
            ck_assert_double_lt(fabs((double)found[i] / line_of("scores", name)->values[i] - 1),
                                1e-4);
    }
    ck_assert_int_eq(r.count, TASKS);
    for (int task = 0; task < TASKS; ++task) {
        char name[8];
        snprintf(name, sizeof name, "%d", task);
        ck_assert_double_lt(error_of(r.tasks[task].mean, line_of("mean", name)), 1e-5);
        ck_assert_double_lt(error_of(r.tasks[task].covariance, line_of("covariance", name)), 1e-4);
        ck_assert_int_eq(r.tasks[task].images, counts[task]);
    }
    ck_assert_double_lt(error_of(r.all.precision, line_of("precision", "all")), 1e-3);
    ck_ok(scope_end(&s));
    gaussian_replay_clear(&r);
}
END_TEST

/* ---- what the definition says ---- */

/* Of rows of length 1 the trace is 1 - |mean|^2 and no variance reaches 1: a precision, which one
 * code keeps instead, has neither. */
START_TEST(a_covariance_is_kept_and_no_precision)
{
    gaussian_replay r = {.tasks = NULL};
    scope s = scope_begin();
    add_rows(&r, make_rows(12, 0));
    tensor *kept = r.tasks[0].covariance;
    double trace = t_item(t_sum_all(t_mul(kept, t_eye(VALUES, F32, CPU))));
    double mean = t_item(t_sum_all(t_square(r.tasks[0].mean)));
    ck_assert_double_lt(fabs(trace - (1 - mean)), 1e-6);
    ck_assert_double_lt(t_item(t_max_all(t_eigh(kept, NULL))), 1);
    ck_ok(scope_end(&s));
    gaussian_replay_clear(&r);
}
END_TEST

START_TEST(draws_have_the_mean_and_the_covariance_that_is_kept)
{
    enum { DRAWS = 20000 };
    gaussian_replay r = {.tasks = NULL};
    scope s = scope_begin();
    add_rows(&r, make_rows(12, 0));
    tensor *drawn = task_gaussian_draw(&r.tasks[0], DRAWS, 1, "draws");
    tensor *off = t_sub(drawn, t_to(r.tasks[0].mean, F64));
    tensor *found = t_div_scalar(t_matmul(t_transpose(off, 0, 1), off), DRAWS);
    tensor *kept = t_to(r.tasks[0].covariance, F64);
    double largest = t_item(t_max_all(kept));
    ck_assert_double_lt(t_item(t_max_all(t_abs(t_sub(found, kept)))), 0.05 * largest);
    ck_assert_double_lt(t_item(t_max_all(t_abs(t_mean(off, 0, false)))), 5 * sqrt(largest / DRAWS));
    ck_ok(scope_end(&s));
    gaussian_replay_clear(&r);
}
END_TEST

/* How often a normal row lies nearer than another one. */
static double auroc(const float *normal, const float *other, int count)
{
    double above = 0;
    for (int i = 0; i < count; ++i)
        for (int j = 0; j < count; ++j)
            above += other[j] > normal[i] ? 1 : other[j] == normal[i] ? 0.5 : 0;
    return above / (count * count);
}

/* Two tasks far apart in one space that nothing changes. */
START_TEST(a_task_is_not_forgotten_when_another_is_learned)
{
    float normal[40], other[40];
    gaussian_replay r = {.tasks = NULL};
    scope s = scope_begin();
    add_rows(&r, t_slice(make_rows(64, 0), 0, 0, 24));
    add_rows(&r, make_rows(24, 1));
    tensor *seen = t_normalize(t_slice(make_rows(64, 0), 0, 24, 64), 1);
    tensor *unseen = t_normalize(make_rows(40, 5), 1);
    t_read(shrunk_gaussian_distance(&r.all, seen), normal, sizeof normal);
    t_read(shrunk_gaussian_distance(&r.all, unseen), other, sizeof other);
    ck_ok(scope_end(&s));
    ck_assert_double_gt(auroc(normal, other, 40), 0.95);
    gaussian_replay_clear(&r);
}
END_TEST

/* The bytes of a saved detector's tensors whose names begin so. */
static size_t saved_bytes(const imiad_detector *d, const char *prefix)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    weights *file;
    size_t bytes = 0;
    close(mkstemp(path));
    ck_ok(imiad_detector_save(d, path));
    ck_ok(weights_open(&file, path));
    for (size_t i = 0; i < weights_count(file); ++i)
        if (strncmp(weights_get(file, i)->name, prefix, strlen(prefix)) == 0)
            bytes += weights_get(file, i)->bytes;
    weights_free(file);
    unlink(path);
    return bytes;
}

/* Of the store's tensors whose names begin so. */
static uint32_t checksum_of(const imiad_detector *d, const char *prefix)
{
    const params *store = ((training *)d->state)->stores[0].parameters;
    uint32_t crc = 0;
    for (size_t i = 0; i < params_count(store); ++i) {
        const param *p = params_at(store, i);
        if (strncmp(p->name, prefix, strlen(prefix)) != 0)
            continue;
        scope s = scope_begin();
        tensor *host = t_contiguous(p->value);
        crc = (uint32_t)crc32(crc, t_data(host), (uInt)t_count(host) * 4);
        ck_ok(scope_end(&s));
    }
    return crc;
}

/* A task adds its mean and its covariance and nothing else. */
START_TEST(two_tasks_are_two_gaussians_and_one_classifier)
{
    enum { WIDTH = 64 };
    const imiad_option narrow = {"layer", "layer1"};
    product_line l = product_line_open("64", "4", "1", "1", "unsupervised");
    imiad_detector *d = product_line_detector(&l, "dne", &narrow, 1);
    const size_t task = (WIDTH + WIDTH * WIDTH) * sizeof(float) + sizeof(int64_t);
    ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
    ck_assert_uint_eq(saved_bytes(d, "task."), task);
    size_t others = saved_bytes(d, "") - task;
    uint32_t head = checksum_of(d, "head."), encoder = checksum_of(d, "encoder.");
    ck_ok(imiad_detector_fit_more(d, l.split, NULL, NULL));
    ck_assert_uint_eq(saved_bytes(d, "task."), 2 * task);
    ck_assert_uint_eq(saved_bytes(d, "") - 2 * task, others);
    ck_assert_uint_eq(head, checksum_of(d, "head."));
    ck_assert_uint_ne(encoder, checksum_of(d, "encoder."));
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

/* The next task is learned by the optimisers' states that the file holds. */
START_TEST(a_detector_that_is_saved_to_learn_goes_on_as_it_would_have)
{
    const imiad_option narrow = {"layer", "layer1"};
    char path[] = "/tmp/imiad-test-XXXXXX";
    product_line l = product_line_open("64", "4", "1", "1", "unsupervised");
    imiad_detector *d = product_line_detector(&l, "dne", &narrow, 1), *restored = NULL;
    uint64_t before = 0, after = 0;
    close(mkstemp(path));
    ck_fails(imiad_detector_bytes(&before, d), IMIAD_WRONG_STATE, "learned nothing");
    ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
    ck_ok(imiad_detector_save_learning(d, path));
    ck_ok(imiad_detector_bytes(&before, d));
    ck_assert_uint_eq(before, saved_bytes(d, ""));
    ck_ok(imiad_detector_fit_more(d, l.split, NULL, NULL));
    ck_ok(imiad_detector_load(&restored, path, NULL));
    ck_ok(imiad_detector_fit_more(restored, l.split, NULL, NULL));
    ck_assert_uint_eq(checksum_of(restored, ""), checksum_of(d, ""));
    ck_ok(imiad_detector_bytes(&after, restored));
    ck_assert_uint_gt(after, before);
    imiad_detector_free(restored);
    imiad_detector_free(d);
    product_line_close(&l);
    unlink(path);
}
END_TEST

START_TEST(a_transformer_is_seen_through_its_class_token)
{
    static const imiad_option options[] = {{"resize", "28"}, {"epochs", "1"}};
    imiad_backbone *backbone = NULL;
    imiad_detector *d = NULL;
    imiad_image *image;
    imiad_result r = IMIAD_RESULT_INIT;
    ck_ok(imiad_backbone_create(&backbone, "dinov2_vits14", NULL));
    ck_ok(imiad_detector_create(&d, "dne", backbone, options, 2));
    ck_ok(imiad_image_create(&image, IMIAD_PIXEL_RGB8, 28, 28));
    memset(image->pixels, 90, (size_t)image->stride * 28);
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)&image, 1, NULL, NULL));
    ck_ok(imiad_detector_score(&r, d, image));
    ck_assert(!r.map);
    const params *store = ((training *)d->state)->stores[0].parameters;
    ck_assert(!params_find(store, "encoder.patch_embed.proj.weight")->trainable);
    ck_assert(params_find(store, "encoder.norm.weight")->trainable);
    imiad_image_free(image);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

START_TEST(every_option_learns_two_tasks)
{
    static const struct {
        imiad_option options[4];
        size_t count;
    } cases[] = {
        {{{"preset", "open_iad"}, {"layer", "layer1"}}, 2},
        {{{"embeddings", "final"}, {"layer", "layer1"}}, 2},
        {{{"layer", "layer1"}, {"pretrained", "false"}, {"rotation", "0"}}, 3},
    };
    product_line l = product_line_open("64", "4", "1", "1", "unsupervised");
    imiad_detector *d = product_line_detector(&l, "dne", cases[_i].options, cases[_i].count);
    imiad_image *image;
    imiad_result r = IMIAD_RESULT_INIT;
    uint32_t head = 0;
    ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
    head = checksum_of(d, "head.");
    ck_ok(imiad_detector_fit_more(d, l.split, NULL, NULL));
    ck_assert_int_eq(head == checksum_of(d, "head."), _i > 0); /* the first preset trains it on */
    ck_ok(imiad_dataset_read_image(&image, l.dataset, imiad_split_test(l.split, 0)));
    ck_ok(imiad_detector_score(&r, d, image));
    ck_assert(isfinite(r.score));
    imiad_image_free(image);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

SUITE("dne", TEST(a_transformers_tokens_are_those_of_the_authors_code),
      TEST(ten_steps_of_two_tasks_equal_the_authors), LOOP_TEST(the_covariance_is_scikit_learns, 2),
      TEST(what_is_kept_of_tasks_is_what_the_authors_keep),
      TEST(a_covariance_is_kept_and_no_precision),
      TEST(draws_have_the_mean_and_the_covariance_that_is_kept),
      TEST(a_task_is_not_forgotten_when_another_is_learned),
      TEST(two_tasks_are_two_gaussians_and_one_classifier),
      TEST(a_detector_that_is_saved_to_learn_goes_on_as_it_would_have),
      TEST(a_transformer_is_seen_through_its_class_token),
      LOOP_TEST(every_option_learns_two_tasks, 3))
