/* Training beside a public implementation: steps on the first transistor images with the weights at
 * hand, held against the losses, parameters and maps that a script in tests/golden wrote. Its
 * lines:
 *
 *     loss,CASE,STEP,LOSS[,SPREAD]
 *     parameter,CASE,NAME,NORM,SAMPLES...    SAMPLES values evenly through the tensor
 *     map,CASE,IMAGE,SCORE,LARGEST,SAMPLES...    the largest magnitude, and so through the map
 *     spread,CASE,losses|parameters|maps,SPREAD
 *
 * Where training amplifies rounding, the values are the public code's in double precision, and
 * SPREAD is how far the same code in single precision comes to lie from them, in the measure of the
 * comparisons below. */
#ifndef TESTS_DETECTORS_GOLDEN_STEPS_H
#define TESTS_DETECTORS_GOLDEN_STEPS_H

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "bridge/tensor.h"
#include "check_suite.h"
#include "detectors/training/training_state.h"
#include "imiad/imiad.h"
#include "weights/weights.h"

#define WEIGHTS "data/weights/resnet18_imagenet1k_v1_partial_bnfolded.safetensors"

enum { GOLDEN_SAMPLES = 16, GOLDEN_LINES = 256, GOLDEN_IMAGES = 80 };

typedef struct golden_line {
    char kind[16], name[64];
    double values[GOLDEN_SAMPLES + 2];
} golden_line;

typedef struct golden_case {
    const char *name;
    golden_line lines[GOLDEN_LINES];
    size_t count;
} golden_case;

static inline void golden_read(golden_case *out, const char *path, const char *name)
{
    FILE *file = fopen(path, "r");
    ck_assert_msg(file, "no %s: run from the checkout", path);
    char text[1024], owner[16];
    *out = (golden_case){.name = name};
    while (out->count < GOLDEN_LINES && fgets(text, sizeof text, file)) {
        golden_line *l = &out->lines[out->count];
        int used = 0, values = 0;
        ck_assert_int_eq(sscanf(text, "%15[^,],%15[^,],%63[^,]%n", l->kind, owner, l->name, &used),
                         3);
        for (char *at = text + used; *at == ',' && values < GOLDEN_SAMPLES + 2;)
            l->values[values++] = strtod(at + 1, &at);
        out->count += strcmp(owner, name) == 0;
    }
    fclose(file);
}

/* ---- training ---- */

static double golden_losses[64]; /* of the steps, from the log */
static int golden_steps;

static inline void golden_see(void *user, imiad_log_level level, const char *message)
{
    (void)user;
    const char *at = strstr(message, ": loss ");
    if (level == IMIAD_LOG_DEBUG && at && strstr(message, ": step ") && golden_steps < 64)
        golden_losses[golden_steps++] = strtod(at + 7, NULL);
}

/* Fitted on training images 000, 001, ...; root is the category's folder. */
static inline imiad_detector *golden_fit(const char *detector, imiad_backbone *backbone,
                                         const imiad_option *options, size_t count,
                                         const char *root, size_t images)
{
    imiad_detector *d = NULL;
    imiad_image *read[GOLDEN_IMAGES];
    for (size_t i = 0; i < images; ++i) {
        char path[4200];
        snprintf(path, sizeof path, "%s/train/good/%03zu.png", root, i);
        ck_ok(imiad_image_read(&read[i], path));
    }
    ck_ok(imiad_detector_create(&d, detector, backbone, options, count));
    golden_steps = 0;
    imiad_set_log(golden_see, NULL);
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)read, images, NULL, NULL));
    imiad_set_log(NULL, NULL);
    for (size_t i = 0; i < images; ++i)
        imiad_image_free(read[i]);
    return d;
}

/* ---- training in double precision, on procedural values ---- */

/* 1 + sin(0.37 place + phase), as the scripts compute it. */
static inline tensor *golden_procedural(const int64_t shape[4], double phase, dtype type)
{
    size_t count = (size_t)(shape[0] * shape[1] * shape[2] * shape[3]);
    double *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; ++i)
        values[i] = 1 + sin(0.37 * (double)i + phase);
    tensor *t = t_to(t_from(values, 4, shape, F64, CPU), type);
    free(values);
    return t;
}

/* Steps of a fitted detector from other first parameters, `first`, of its only store, with a fresh
 * optimiser: its loss, its networks and its optimiser, without its images. `fill` makes the step.
 */
static inline void golden_train_double(training *t, const params *first, int steps,
                                       void (*fill)(train_step *step, tensor **frozen))
{
    params *learned = t->stores[0].parameters;
    ck_ok(params_copy(learned, first));
    ck_ok(params_to(learned, F64, CPU));
    optimizer_free(t->rules[0].optimizer);
    t->rules[0].optimizer = NULL;
    ck_ok(training_make_optimizers(t));
    for (golden_steps = 0; golden_steps < steps; ++golden_steps) {
        scope s = scope_begin_grad();
        tensor *frozen[FROZEN_TENSORS] = {NULL};
        train_step step = {.frozen = frozen, .index = golden_steps};
        fill(&step, frozen);
        tensor *loss = t->ops->loss(t->detector, &step);
        golden_losses[golden_steps] = t_item(loss);
        t_backward(loss);
        optimizer_step(t->rules[0].optimizer, t->rules[0].rate);
        ck_ok(scope_end(&s));
        params_clear_grad(learned);
    }
    ck_ok(params_to(learned, F32, CPU)); /* as a detector's file has them */
}

/* ---- comparing ---- */

static inline double golden_spread(const golden_case *g, const char *of)
{
    for (size_t i = 0; i < g->count; ++i)
        if (strcmp(g->lines[i].kind, "spread") == 0 && strcmp(g->lines[i].name, of) == 0)
            return g->lines[i].values[0];
    return 0;
}

/* The largest of the losses' relative errors, each divided by the largest spread up to its step:
 * once two runs have parted, how far they are from one step to the next is chance. */
static inline double golden_losses_to_spread(const golden_case *g)
{
    double worst = 0, spread = 1e-6; /* single precision itself */
    int step = 0;
    for (size_t i = 0; i < g->count; ++i)
        if (strcmp(g->lines[i].kind, "loss") == 0) {
            double wanted = g->lines[i].values[0];
            spread = fmax(spread, g->lines[i].values[1]);
            worst = fmax(worst, fabs(golden_losses[step++] / wanted - 1) / spread);
        }
    return worst;
}

/* The largest relative error of the steps' losses; how many there were. */
static inline double golden_compare_losses(const golden_case *g, int *steps)
{
    double worst = 0;
    *steps = 0;
    for (size_t i = 0; i < g->count; ++i)
        if (strcmp(g->lines[i].kind, "loss") == 0) {
            ck_assert_int_lt(*steps, golden_steps);
            double wanted = g->lines[i].values[0];
            worst = fmax(worst, fabs(golden_losses[(*steps)++] / wanted - 1));
        }
    ck_assert_int_eq(*steps, golden_steps);
    return worst;
}

/* A tensor's numbers in double, new memory. */
static inline double *golden_values(tensor *t)
{
    double *values = malloc((size_t)t_count(t) * sizeof *values);
    ck_assert_ptr_nonnull(values);
    t_read(t_to(t_contiguous(t), F64), values, (size_t)t_count(t) * sizeof *values);
    return values;
}

/* Which of `count` numbers the sample is. */
static inline size_t golden_place(size_t which, size_t count)
{
    return which * (count - 1) / (GOLDEN_SAMPLES - 1);
}

typedef struct golden_parameters {
    int tensors;
    double all, rest; /* relative L2: of all tensors, of those without an excused one */
} golden_parameters;

static inline bool golden_ends_in(const char *name, const char *const *suffixes)
{
    for (; *suffixes; ++suffixes) {
        size_t length = strlen(name), tail = strlen(*suffixes);
        if (length >= tail && strcmp(name + length - tail, *suffixes) == 0)
            return true;
    }
    return false;
}

/* Over the samples of each tensor, as many times as it has elements for each; in the detector's
 * file their names begin with the prefix. `excused`: ends of names, NULL last. */
static inline golden_parameters golden_compare_parameters(const golden_case *g,
                                                          const imiad_detector *d,
                                                          const char *prefix,
                                                          const char *const *excused)
{
    char path[] = "/tmp/imiad-test-XXXXXX";
    close(mkstemp(path));
    ck_ok(imiad_detector_save(d, path));
    weights *file;
    ck_ok(weights_open(&file, path));
    golden_parameters out = {0, 0, 0};
    double above = 0, below = 0, rest_above = 0, rest_below = 0;
    for (size_t i = 0; i < g->count; ++i) {
        const golden_line *l = &g->lines[i];
        if (strcmp(l->kind, "parameter") != 0)
            continue;
        char name[100];
        snprintf(name, sizeof name, "%s%s", prefix, l->name);
        const weight *w = weights_find(file, name);
        ck_assert_msg(w, "no %s", name);
        const float *found = w->data;
        size_t elements = w->bytes / sizeof *found;
        double error = 0, square = l->values[0] * l->values[0];
        for (size_t j = 0; j < GOLDEN_SAMPLES; ++j)
            error += pow((double)found[golden_place(j, elements)] - l->values[j + 1], 2);
        error *= (double)elements / GOLDEN_SAMPLES;
        above += error;
        below += square;
        rest_above += golden_ends_in(l->name, excused) ? 0 : error;
        rest_below += golden_ends_in(l->name, excused) ? 0 : square;
        ++out.tensors;
    }
    weights_free(file);
    unlink(path);
    if (out.tensors > 0) {
        out.all = sqrt(above / below);
        out.rest = sqrt(rest_above / rest_below);
    }
    return out;
}

/* The largest error of the maps' samples and of the image scores, of the map's largest magnitude.
 */
static inline double golden_compare_maps(const golden_case *g, imiad_detector *d, const char *root,
                                         int *maps)
{
    double worst = 0;
    *maps = 0;
    for (size_t i = 0; i < g->count; ++i) {
        const golden_line *l = &g->lines[i];
        if (strcmp(l->kind, "map") != 0)
            continue;
        char path[4200];
        imiad_image *image;
        imiad_result result = IMIAD_RESULT_INIT;
        snprintf(path, sizeof path, "%s/%s", root, l->name);
        ck_ok(imiad_image_read(&image, path));
        ck_ok(imiad_detector_score(&result, d, image));
        int size = result.width * result.height;
        worst = fmax(worst, fabs((double)result.score - l->values[0]) / l->values[1]);
        for (int j = 0; j < GOLDEN_SAMPLES; ++j) {
            double error =
                (double)result.map[j * (size - 1) / (GOLDEN_SAMPLES - 1)] - l->values[j + 2];
            worst = fmax(worst, fabs(error) / l->values[1]);
        }
        imiad_image_free(image);
        ++*maps;
    }
    return worst;
}

/* What a case must have, and how far it may lie from the table's values. A limit of 0 is
 * GOLDEN_MULTIPLE times the spread. */
typedef struct golden_limits {
    int steps, tensors, maps;
    double losses, parameters, scored;
    const char *const *excused; /* ends of parameters' names, NULL last; or NULL */
    double rest;                /* of the parameters without these */
} golden_limits;

enum { GOLDEN_MULTIPLE = 5 };

static inline double golden_limit(const golden_case *g, const char *of, double given)
{
    return given > 0 ? given : GOLDEN_MULTIPLE * golden_spread(g, of);
}

/* A detector trained as a case was; in its file parameters' names begin with the prefix. */
static inline void golden_hold(const golden_case *g, imiad_detector *d, const char *root,
                               const char *prefix, const golden_limits *l)
{
    int steps, maps;
    const char *const *excused = l->excused ? l->excused : (const char *const[]){NULL};
    double losses = golden_compare_losses(g, &steps), to_spread = golden_losses_to_spread(g);
    golden_parameters parameters = golden_compare_parameters(g, d, prefix, excused);
    double scored = golden_compare_maps(g, d, root, &maps);
    printf("%s: relative error of %d losses %.2g (%.2g of the spread), of %d tensors %.2g (spread "
           "%.2g), without those excused %.2g, of %d maps %.2g (spread %.2g)\n",
           g->name, steps, losses, to_spread, parameters.tensors, parameters.all,
           golden_spread(g, "parameters"), parameters.rest, maps, scored, golden_spread(g, "maps"));
    ck_assert_int_eq(steps, l->steps);
    ck_assert_int_eq(parameters.tensors, l->tensors);
    ck_assert_int_eq(maps, l->maps);
    if (l->losses > 0)
        ck_assert_double_lt(losses, l->losses);
    else
        ck_assert_double_lt(to_spread, GOLDEN_MULTIPLE);
    ck_assert_double_le(parameters.all, golden_limit(g, "parameters", l->parameters));
    if (l->excused)
        ck_assert_double_le(parameters.rest, l->rest);
    ck_assert_double_le(scored, golden_limit(g, "maps", l->scored));
}

/* One case of a table: what trains it, and how far from the table it may lie. */
typedef struct golden_training {
    const char *name;
    size_t images, count; /* the first training images; options */
    imiad_option options[16];
    golden_limits limits;
} golden_training;

/* Trained on the transistor images, with the ResNet-18 weights, and held against the table. */
static inline void golden_train(const char *detector, const char *table, const char *prefix,
                                const golden_training *c)
{
    static golden_case golden;
    const char *root = SHARED("data/mvtec_ad/transistor");
    imiad_backbone *backbone;
    imiad_backbone_options b = IMIAD_BACKBONE_OPTIONS_INIT;
    b.weights = SHARED(WEIGHTS);
    b.device = test_device();
    ck_ok(imiad_backbone_create(&backbone, "resnet18", &b));
    golden_read(&golden, table, c->name);
    imiad_detector *d = golden_fit(detector, backbone, c->options, c->count, root, c->images);
    golden_hold(&golden, d, root, prefix, &c->limits);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}

#endif
