/* Training beside a public implementation: steps on the first transistor images with the weights at
 * hand, held against the losses, parameters and maps that a script in tests/golden wrote. Its
 * lines:
 *
 *     loss,CASE,STEP,LOSS
 *     parameter,CASE,NAME,NORM,SAMPLES...    SAMPLES values evenly through the tensor
 *     map,CASE,IMAGE,SCORE,LARGEST,SAMPLES...    the largest magnitude, and so through the map */
#ifndef TESTS_DETECTORS_GOLDEN_STEPS_H
#define TESTS_DETECTORS_GOLDEN_STEPS_H

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "check_suite.h"
#include "imiad/imiad.h"
#include "nn/weights.h"

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

/* ---- comparing ---- */

/* The largest relative error of the steps' losses; how many there were. */
static inline double golden_compare_losses(const golden_case *g, int *steps)
{
    double worst = 0;
    *steps = 0;
    for (size_t i = 0; i < g->count; ++i)
        if (strcmp(g->lines[i].kind, "loss") == 0) {
            ck_assert_int_lt(*steps, golden_steps);
            double wanted = g->lines[i].values[0];
            worst = fmax(worst, fabs(golden_losses[(*steps)++] - wanted) / wanted);
        }
    ck_assert_int_eq(*steps, golden_steps);
    return worst;
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

/* Over the samples of each tensor, as many times as it has elements for each. `excused`: ends of
 * names, NULL last. */
static inline golden_parameters
golden_compare_parameters(const golden_case *g, const imiad_detector *d, const char *const *excused)
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
        const weight *w = weights_find(file, l->name);
        ck_assert_msg(w, "no %s", l->name);
        const float *found = w->data;
        size_t elements = w->bytes / sizeof *found;
        double error = 0, square = l->values[0] * l->values[0];
        for (size_t j = 0; j < GOLDEN_SAMPLES; ++j)
            error +=
                pow((double)found[j * (elements - 1) / (GOLDEN_SAMPLES - 1)] - l->values[j + 1], 2);
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

#endif
