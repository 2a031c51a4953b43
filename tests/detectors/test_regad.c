/* RegAD beside the authors' code (tests/golden/make_regad.py), and what its definition says. */
#include <math.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "bridge/tensor.h"
#include "detectors/algorithm.h"
#include "base/random.h"
#include "detectors/parts/episodes.h"
#include "detectors/parts/position_gaussians.h"
#include "detectors/parts/warp.h"
#include "detectors/training/training_state.h"
#include "product_line.h"
#include "weights/weights.h"

#define GOLDEN "tests/golden/regad.csv"

enum { SIDE = 64, SAMPLES = 16, SUPPORTS = 2, QUERIES = 3 };

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

static void fill_image(uint8_t *pixels, int which)
{
    for (uint32_t i = 0; i < SIDE * SIDE * 3; ++i)
        pixels[i] = (uint8_t)floor((noise(i, 1000 * (uint32_t)which) + 1) * 128);
}

static imiad_image *make_image(int which)
{
    uint8_t pixels[SIDE * SIDE * 3];
    imiad_image *image;
    fill_image(pixels, which);
    ck_ok(imiad_image_create(&image, IMIAD_PIXEL_RGB8, SIDE, SIDE));
    for (int y = 0; y < SIDE; ++y)
        memcpy(image->pixels + (size_t)y * (size_t)image->stride, pixels + y * SIDE * 3, SIDE * 3);
    return image;
}

/* n x 3 x SIDE x SIDE from 0 to 1. */
static tensor *make_images(const int *which, int64_t count)
{
    float *values = malloc((size_t)count * 3 * SIDE * SIDE * sizeof *values), *at = values;
    uint8_t pixels[SIDE * SIDE * 3];
    for (int64_t i = 0; i < count; ++i) {
        fill_image(pixels, which[i]);
        for (int c = 0; c < 3; ++c)
            for (int p = 0; p < SIDE * SIDE; ++p)
                *at++ = (float)pixels[3 * p + c] / 255;
    }
    tensor *images = t_from(values, 4, (int64_t[]){count, 3, SIDE, SIDE}, F32, CPU);
    free(values);
    return images;
}

static bool ends(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);
    return length >= tail && strcmp(name + length - tail, end) == 0;
}

static void fill_weight(float *values, const weight *w)
{
    size_t count = w->bytes / sizeof *values, rows = (size_t)w->shape[0];
    uint32_t seed = (uint32_t)(crc32(0, (const uint8_t *)w->name, (uInt)strlen(w->name)) % 100000);
    for (size_t i = 0; i < count; ++i) {
        double v = noise((uint32_t)i, seed);
        if (ends(w->name, "running_var"))
            v = 1 + 0.5 * v;
        else if (ends(w->name, "fc.2.bias"))
            v = (i > 0) + 0.05 * v;
        else if (ends(w->name, "fc.2.weight"))
            v = 0.002 * v;
        else if (ends(w->name, "running_mean") || ends(w->name, "bias"))
            v = 0.1 * v;
        else if (w->rank == 1)
            v = 1 + 0.1 * v;
        else
            v *= sqrt(3 / (double)(count / rows));
        values[i] = (float)v;
    }
}

/* ---- golden values ---- */

typedef struct golden {
    char kind[16], name[64];
    double values[SAMPLES + 1];
    int count;
} golden;

static bool golden_next(golden *out, FILE *file)
{
    char text[1024];
    int used = 0;
    if (!fgets(text, sizeof text, file))
        return false;
    ck_assert_int_eq(sscanf(text, "%15[^,],%63[^,]%n", out->kind, out->name, &used), 2);
    out->count = 0;
    for (char *at = text + used; *at == ',' && out->count <= SAMPLES;)
        out->values[out->count++] = strtod(at + 1, &at);
    return true;
}

static FILE *golden_open(void)
{
    FILE *file = fopen(GOLDEN, "r");
    ck_assert_msg(file, "no " GOLDEN ": run from the checkout");
    return file;
}

static size_t sample_place(int k, size_t count)
{
    return (size_t)k * (count - 1) / (SAMPLES - 1);
}

/* ---- a detector with the script's weights ---- */

static const imiad_option small[] = {{"resize", "64"},    {"smoothing", "0"},
                                     {"epochs", "1"},     {"train_batch", "3"},
                                     {"momentum", "0.9"}, {"learning_rate", "0.0001"}};
enum { SMALL = sizeof small / sizeof *small };

static imiad_detector *create(const product_line *l, const imiad_option *more, size_t count)
{
    imiad_option options[SMALL + 4];
    imiad_detector *d;
    memcpy(options, small, sizeof small);
    for (size_t i = 0; i < count; ++i)
        options[SMALL + i] = more[i];
    ck_ok(imiad_detector_create(&d, "regad", l->backbone, options, SMALL + count));
    return d;
}

/* A file in the layout of the authors' checkpoints, of tensors that a trained one has. */
static void write_model(const char *path, const product_line *l)
{
    weights *file;
    weights_writer *writer;
    void *written[256];
    size_t count = 0;
    imiad_detector *d = create(l, NULL, 0);
    ck_ok(imiad_detector_fit(d, l->split, NULL, NULL));
    ck_ok(imiad_detector_save(d, path));
    imiad_detector_free(d);
    ck_ok(weights_open(&file, path));
    ck_ok(weights_writer_create(&writer));
    for (size_t i = 0; i < weights_count(file); ++i) {
        const weight *w = weights_get(file, i);
        if (strncmp(w->name, "STN.", 4) != 0 && strncmp(w->name, "ENC.", 4) != 0 &&
            strncmp(w->name, "PRED.", 5) != 0)
            continue;
        float *values = written[count++] = malloc(w->bytes);
        ck_assert_uint_lt(count, 256);
        fill_weight(values, w);
        ck_ok(weights_writer_add(writer, w->name, F32, w->rank, w->shape, values));
    }
    ck_ok(weights_writer_commit(writer, path));
    weights_writer_free(writer);
    weights_free(file);
    while (count > 0)
        free(written[--count]);
}

typedef struct described {
    product_line line;
    char path[32];
    imiad_detector *detector; /* that knows two images */
} described;

static described describe(void)
{
    described d = {.line = product_line_open("64", "2", "1", "1", "unsupervised"),
                   .path = "/tmp/imiad-test-XXXXXX"};
    close(mkstemp(d.path));
    write_model(d.path, &d.line);
    const imiad_option model = {"model", d.path};
    d.detector = create(&d.line, &model, 1);
    imiad_image *images[SUPPORTS] = {make_image(0), make_image(1)};
    ck_ok(imiad_detector_fit_images(d.detector, (const imiad_image *const *)images, SUPPORTS, NULL,
                                    NULL));
    for (int i = 0; i < SUPPORTS; ++i)
        imiad_image_free(images[i]);
    return d;
}

static void close_described(described *d)
{
    imiad_detector_free(d->detector);
    product_line_close(&d->line);
    unlink(d->path);
}

/* ---- the authors' code ---- */

START_TEST(images_are_turned_and_shifted_as_by_the_authors)
{
    static const double sixteenths[8] = {-4, -3, -2, -1, 1, 2, 3, 4};
    static const double shifts[8][2] = {{0.2, 0.2}, {-0.2, 0.2}, {-0.2, -0.2}, {0.2, -0.2},
                                        {0.1, 0.1}, {-0.1, 0.1}, {-0.1, -0.1}, {0.1, -0.1}};
    FILE *file = golden_open();
    golden g;
    int compared = 0;
    while (golden_next(&g, file)) {
        int form = atoi(g.name);
        if (strcmp(g.kind, "form") != 0)
            continue;
        scope s = scope_begin();
        double angle = form >= 1 && form <= 8 ? sixteenths[form - 1] * M_PI / 16 : 0;
        const double *shift = form > 8 ? shifts[form - 9] : (const double[]){0, 0};
        affine by = affine_constant(CPU, angle, shift[0], shift[1]);
        tensor *turned = t_contiguous(warp(make_images((const int[]){0}, 1), &by));
        const float *values = t_data(turned);
        for (int k = 0; values && k < SAMPLES; ++k)
            ck_assert_double_eq_tol((double)values[sample_place(k, 3 * SIDE * SIDE)],
                                    g.values[1 + k], 2e-5);
        ck_ok(scope_end(&s));
        ++compared;
    }
    fclose(file);
    ck_assert_int_eq(compared, 17);
}
END_TEST

/* Their Gaussians are inverted in single precision; the script does it in double. */
START_TEST(maps_equal_the_authors)
{
    described d = describe();
    FILE *file = golden_open();
    golden g;
    int compared = 0;
    while (golden_next(&g, file)) {
        if (strcmp(g.kind, "map") != 0)
            continue;
        imiad_image *image = make_image(10 + atoi(g.name));
        imiad_result result = IMIAD_RESULT_INIT;
        ck_ok(imiad_detector_score(&result, d.detector, image));
        ck_assert_double_eq_tol((double)result.score, g.values[0], 2e-4 * g.values[0]);
        for (int k = 0; k < SAMPLES; ++k)
            ck_assert_double_eq_tol((double)result.map[sample_place(k, SIDE * SIDE)],
                                    g.values[1 + k], 2e-4 * g.values[0]);
        imiad_image_free(image);
        ++compared;
    }
    fclose(file);
    ck_assert_int_eq(compared, 2);
    close_described(&d);
}
END_TEST

/* One step's loss; the gradients go down all three optimisers. */
static double take_step(imiad_detector *d, dtype type)
{
    static const int which[QUERIES * (1 + SUPPORTS)] = {20, 21, 22, 30, 31, 32, 33, 34, 35};
    static const size_t places[QUERIES * (1 + SUPPORTS)] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    training *t = d->state;
    scope s = scope_begin_grad();
    train_step step = {.count = QUERIES * (1 + SUPPORTS), .images = places};
    step.pixels.images = t_to(make_images(which, step.count), type);
    tensor *loss = t->ops->loss(d, &step);
    double value = t_item(loss);
    t_backward(loss);
    for (int i = 0; i < t->rule_count; ++i)
        optimizer_step(t->rules[i].optimizer, t->rules[i].rate);
    ck_ok(scope_end(&s));
    for (int i = 0; i < t->store_count; ++i)
        params_clear_grad(t->stores[i].parameters);
    return value;
}

static const param *find_parameter(const training *t, const char *name)
{
    for (int i = 0; i < t->store_count; ++i) {
        size_t length = strlen(t->stores[i].name);
        if (strncmp(name, t->stores[i].name, length) == 0 && name[length] == '.')
            return params_find(t->stores[i].parameters, name + length + 1);
    }
    return NULL;
}

static double farthest_sample(tensor *value, const golden *g)
{
    size_t count = (size_t)t_count(value);
    double *values = malloc(count * sizeof *values), worst = 0;
    t_read(t_contiguous(t_detach(value)), values, count * sizeof *values);
    for (int k = 0; k < SAMPLES; ++k)
        worst = fmax(worst, fabs(values[sample_place(k, count)] - g->values[1 + k]));
    free(values);
    return worst;
}

/* In double precision: in single precision the steps of the authors' code depend on the processor's
 * kernels by more than 1e-3 from the second on, because sampling has an edge at every pixel. */
START_TEST(ten_steps_equal_the_authors)
{
    described d = describe();
    training *t = d.detector->state;
    FILE *file = golden_open();
    golden g;
    int losses = 0, tensors = 0;
    double apart = 0, farthest = 0;
    for (int i = 0; i < t->store_count; ++i)
        ck_ok(params_to(t->stores[i].parameters, F64, CPU));
    ck_ok(training_make_optimizers(t));
    while (golden_next(&g, file)) {
        if (strcmp(g.kind, "loss") == 0) {
            farthest = fmax(farthest, fabs(take_step(d.detector, F64) - g.values[0]));
            ++losses;
        } else if (strcmp(g.kind, "parameter") == 0) {
            const param *p = find_parameter(t, g.name);
            ck_assert_msg(p, "no parameter %s", g.name);
            scope s = scope_begin();
            double worst = farthest_sample(p->value, &g);
            ck_ok(scope_end(&s));
            ck_assert_msg(worst < 1e-7, "%s is %g apart", g.name, worst);
            apart = fmax(apart, worst);
            ++tensors;
        }
    }
    fclose(file);
    printf("regad, ten steps: losses at most %.2g apart, %d tensors %.2g\n", farthest, tensors,
           apart);
    ck_assert_double_lt(farthest, 1e-9);
    ck_assert_int_eq(losses, 10);
    ck_assert_int_gt(tensors, 100);
    close_described(&d);
}
END_TEST

START_TEST(a_step_in_single_precision_equals_the_authors)
{
    described d = describe();
    FILE *file = golden_open();
    golden g;
    while (golden_next(&g, file) && strcmp(g.kind, "loss") != 0)
        ;
    fclose(file);
    ck_ok(training_make_optimizers(d.detector->state));
    ck_assert_double_eq_tol(take_step(d.detector, F32), g.values[0], 1e-6);
    close_described(&d);
}
END_TEST

/* ---- what the definition says ---- */

START_TEST(a_single_category_is_refused_without_a_model)
{
    product_line l = product_line_open("64", "2", "1", "1", "unsupervised");
    imiad_detector *d = create(&l, NULL, 0);
    imiad_image *image = make_image(0);
    ck_fails(imiad_detector_fit_images(d, (const imiad_image *const[]){image}, 1, NULL, NULL),
             IMIAD_INVALID_ARGUMENT, "other categories, and there are none: give model");
    imiad_image_free(image);
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

/* The same sources, whether the split names them or the detector takes them by itself; a detector
 * of normal images leaves them out. */
START_TEST(sources_that_a_split_names_are_those_that_are_taken_anyway)
{
    const imiad_option options[] = {{"shots", "2"}, {"source", "others"}};
    product_line l = product_line_open("64", "4", "2", "2", "unsupervised");
    const char *const names[] = {"regad", "padim"};
    imiad_image *image = make_image(0);
    for (int i = 0; i < 2; ++i) {
        float found[2];
        for (size_t named = 0; named < 2; ++named) {
            imiad_split *split;
            imiad_result r = IMIAD_RESULT_INIT;
            imiad_detector *d = product_line_detector(&l, names[i], NULL, 0);
            ck_ok(imiad_split_create(&split, l.dataset, imiad_split_category(l.split), "fewshot",
                                     options, 1 + named));
            ck_ok(imiad_detector_fit(d, split, NULL, NULL));
            ck_ok(imiad_detector_score(&r, d, image));
            found[named] = r.score;
            imiad_split_free(split);
            imiad_detector_free(d);
        }
        ck_assert_mem_eq(&found[0], &found[1], sizeof(float));
    }
    imiad_image_free(image);
    product_line_close(&l);
}
END_TEST

START_TEST(a_model_of_something_else_is_told)
{
    product_line l = product_line_open("64", "2", "1", "1", "unsupervised");
    char path[] = "/tmp/imiad-test-XXXXXX";
    weights_writer *writer;
    const float one = 1; /* the writer reads it when it commits */
    close(mkstemp(path));
    ck_ok(weights_writer_create(&writer));
    ck_ok(weights_writer_add(writer, "layer.weight", F32, 1, (const int64_t[]){1}, &one));
    ck_ok(weights_writer_commit(writer, path));
    weights_writer_free(writer);
    const imiad_option model = {"model", path};
    imiad_detector *d = create(&l, &model, 1);
    ck_fails(imiad_detector_fit(d, l.split, NULL, NULL), IMIAD_MISMATCH, path);
    imiad_detector_free(d);
    product_line_close(&l);
    unlink(path);
}
END_TEST

/* The last queries of a category that are too few repeat the last one. */
START_TEST(repeated_queries_are_not_counted)
{
    static const size_t whole[] = {4, 2, 9}, two[] = {4, 2, 2}, one[] = {7, 7, 7};
    ck_assert_int_eq(episode_queries(whole, 3), 3);
    ck_assert_int_eq(episode_queries(two, 3), 2);
    ck_assert_int_eq(episode_queries(one, 3), 1);
}
END_TEST

START_TEST(a_warp_and_its_inverse_cancel)
{
    scope s = scope_begin();
    double angle = 0.3;
    affine turn = affine_constant(CPU, angle, 0, 0);
    turn.a = t_mul_scalar(turn.a, 1.2);
    turn.d = t_mul_scalar(turn.d, 0.9);
    affine back = affine_inverse(&turn);
    double a = t_item(turn.a), b = t_item(turn.b), c = t_item(turn.c), d = t_item(turn.d);
    ck_assert_double_eq_tol(a * t_item(back.a) + b * t_item(back.c), 1, 1e-6);
    ck_assert_double_eq_tol(a * t_item(back.b) + b * t_item(back.d), 0, 1e-6);
    ck_assert_double_eq_tol(c * t_item(back.a) + d * t_item(back.c), 0, 1e-6);
    ck_assert_double_eq_tol(c * t_item(back.b) + d * t_item(back.d), 1, 1e-6);
    ck_ok(scope_end(&s));

    s = scope_begin();
    affine flat = affine_constant(CPU, 0, 0, 0);
    flat.d = t_mul_scalar(flat.d, 0);
    affine_inverse(&flat);
    ck_fails(scope_end(&s), IMIAD_NOT_FINITE, "onto a line");
}
END_TEST

/* Numbers of train.py's adjust_learning_rate for its epochs 1, 2, 25, 49 and 50. */
START_TEST(rates_end_at_nothing_in_the_last_epoch)
{
    static const struct {
        int64_t epoch; /* from 0 */
        double rate;
    } trace[] = {{0, 9.990133642141359e-05},
                 {1, 9.96057350657239e-05},
                 {24, 5e-05},
                 {48, 9.866357858642206e-08},
                 {49, 0}};
    product_line l = product_line_open("64", "2", "1", "1", "unsupervised");
    imiad_detector *d = create(&l, NULL, 0);
    const training *t = d->state;
    for (size_t i = 0; i < sizeof trace / sizeof *trace; ++i) {
        const train_step step = {.epoch = trace[i].epoch, .epochs = 50};
        ck_assert_double_eq_tol(t->ops->rate(d, 1e-4, &step, 0), trace[i].rate, 1e-18);
    }
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

START_TEST(a_new_transformer_turns_nothing)
{
    scope s = scope_begin();
    affine still = affine_constant(CPU, 0, 0, 0);
    tensor *x = t_normal(4, (int64_t[]){2, 3, 17, 14}, 0, 1, 5, "maps", CPU);
    ck_assert_double_lt(t_item(t_max_all(t_abs(t_sub(warp(x, &still), x)))), 1e-5);
    ck_ok(scope_end(&s));
    /* at the rate 0 a fit leaves the networks as they begin */
    product_line l = product_line_open("64", "2", "1", "1", "unsupervised");
    const imiad_option none = {"learning_rate", "0"};
    imiad_detector *d = create(&l, &none, 1);
    ck_ok(imiad_detector_fit(d, l.split, NULL, NULL));
    for (int i = 1; i <= 3; ++i) {
        char scales[32], shifts[32];
        float at[3];
        snprintf(scales, sizeof scales, "STN.stn%d.fc.2.weight", i);
        snprintf(shifts, sizeof shifts, "STN.stn%d.fc.2.bias", i);
        s = scope_begin();
        const param *w = find_parameter(d->state, scales), *b = find_parameter(d->state, shifts);
        ck_assert(t_item(t_max_all(t_abs(w->value))) == 0);
        t_read(t_detach(b->value), at, sizeof at);
        ck_assert(at[0] == 0 && at[1] == 1 && at[2] == 1);
        ck_ok(scope_end(&s));
    }
    imiad_detector_free(d);
    product_line_close(&l);
}
END_TEST

/* The square root of v^T S^-1 v by a Cholesky factor of S, WIDTH x WIDTH, in double. */
enum { WIDTH = 448, FORMS = 22 };
static double direct_distance(const float *rows, int n, const float *query)
{
    double mean[WIDTH] = {0}, v[WIDTH], square = 0;
    double(*s)[WIDTH] = calloc(WIDTH, sizeof *s);
    for (int i = 0; i < n * WIDTH; ++i)
        mean[i % WIDTH] += (double)rows[i] / n;
    for (int k = 0; k < n; ++k)
        for (int i = 0; i < WIDTH; ++i) {
            double x = ((double)rows[k * WIDTH + i] - mean[i]) / (n - 1);
            for (int j = 0; j <= i; ++j)
                s[i][j] += x * ((double)rows[k * WIDTH + j] - mean[j]);
        }
    for (int i = 0; i < WIDTH; ++i) {
        s[i][i] += 0.01;
        v[i] = (double)query[i] - mean[i];
        for (int j = 0; j <= i; ++j) {
            for (int k = 0; k < j; ++k)
                s[i][j] -= s[i][k] * s[j][k];
            s[i][j] = i == j ? sqrt(s[i][i]) : s[i][j] / s[j][j];
        }
        for (int k = 0; k < i; ++k)
            v[i] -= s[i][k] * v[k];
        v[i] /= s[i][i];
        square += v[i] * v[i];
    }
    free(s);
    return sqrt(square);
}

/* For 1, 2, 4 and 8 images in their forms. */
START_TEST(distances_are_those_of_the_inverted_covariance)
{
    int n = FORMS << _i;
    static float rows[8 * FORMS * WIDTH], query[WIDTH];
    random_stream stream = random_open(6, "forms");
    for (int i = 0; i < n; ++i) { /* correlated, as forms of an image are */
        double common = random_normal(&stream);
        for (int c = 0; c < WIDTH; ++c)
            rows[i * WIDTH + c] = (float)(common * (c % 7) + random_normal(&stream) / (1 + c % 5));
    }
    for (int c = 0; c < WIDTH; ++c)
        query[c] = (float)random_normal(&stream);
    scope s = scope_begin();
    position_gaussians g = {.epsilon = 0.01};
    ck_ok(gaussians_fit(&g, t_keep(t_from(rows, 3, (int64_t[]){1, n, WIDTH}, F32, CPU)), NULL));
    ck_assert_ptr_nonnull(g.projection);
    double found =
        t_item(gaussians_distances(&g, t_from(query, 3, (int64_t[]){1, 1, WIDTH}, F32, CPU)));
    ck_assert_double_eq_tol(found / direct_distance(rows, n, query), 1, 1e-6);
    gaussians_free(&g);
    ck_ok(scope_end(&s));
}
END_TEST

SUITE("regad", TEST(rates_end_at_nothing_in_the_last_epoch), TEST(a_new_transformer_turns_nothing),
      LOOP_TEST(distances_are_those_of_the_inverted_covariance, 4),
      TEST(images_are_turned_and_shifted_as_by_the_authors), TEST(maps_equal_the_authors),
      TEST(ten_steps_equal_the_authors), TEST(a_step_in_single_precision_equals_the_authors),
      TEST(a_single_category_is_refused_without_a_model), TEST(a_model_of_something_else_is_told),
      TEST(sources_that_a_split_names_are_those_that_are_taken_anyway),
      TEST(repeated_queries_are_not_counted), TEST(a_warp_and_its_inverse_cancel))
