/* STPM against two public implementations, and against its own definition. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "check_suite.h"
#include "imiad/imiad.h"
#include "nn/weights.h"

#define WEIGHTS "data/weights/resnet18_imagenet1k_v1_partial_bnfolded.safetensors"
#define GOLDEN  "tests/golden/stpm.csv" /* made by tests/golden/make_stpm.py */

enum { IMAGES = 80, STEPS = 10, SAMPLES = 16, MOST_LINES = 512, MAP = 256 * 256 };

/* ---- golden lines ---- */

typedef struct golden_line {
    char kind[16], code[16], name[64];
    double values[SAMPLES + 2];
    int count;
} golden_line;

static size_t read_golden(golden_line lines[MOST_LINES], const char *code)
{
    FILE *file = fopen(GOLDEN, "r");
    ck_assert_msg(file, "no %s: run from the checkout", GOLDEN);
    char text[1024];
    size_t count = 0;
    while (count < MOST_LINES && fgets(text, sizeof text, file)) {
        golden_line *l = &lines[count];
        int used = 0;
        ck_assert_int_eq(
            sscanf(text, "%15[^,],%15[^,],%63[^,]%n", l->kind, l->code, l->name, &used), 3);
        l->count = 0;
        for (char *at = text + used; *at == ',' && l->count < SAMPLES + 2;)
            l->values[l->count++] = strtod(at + 1, &at);
        count += strcmp(l->code, code) == 0;
    }
    fclose(file);
    return count;
}

/* ---- the losses of single steps, from the log ---- */

static double step_losses[64];
static int steps_seen;

static void see_step(void *user, imiad_log_level level, const char *message)
{
    const char *at = strstr(message, ": loss ");
    if (level == IMIAD_LOG_DEBUG && at && strstr(message, "stpm: step") && steps_seen < 64)
        step_losses[steps_seen++] = strtod(at + 7, NULL);
}

/* ---- ten steps on real images ---- */

static imiad_detector *ten_steps(const char *root, const imiad_backbone *backbone,
                                 const imiad_option *options, size_t count)
{
    imiad_detector *d = NULL;
    imiad_image *images[IMAGES];
    for (int i = 0; i < IMAGES; ++i) {
        char path[4200];
        snprintf(path, sizeof path, "%s/train/good/%03d.png", root, i);
        ck_ok(imiad_image_read(&images[i], path));
    }
    ck_ok(imiad_detector_create(&d, "stpm", (imiad_backbone *)backbone, options, count));
    steps_seen = 0;
    imiad_set_log(see_step, NULL);
    ck_ok(imiad_detector_fit_images(d, (const imiad_image *const *)images, IMAGES, NULL, NULL));
    imiad_set_log(NULL, NULL);
    for (int i = 0; i < IMAGES; ++i)
        imiad_image_free(images[i]);
    return d;
}

static void compare_losses(const golden_line *lines, size_t count)
{
    double worst = 0;
    int compared = 0;
    ck_assert_int_eq(steps_seen, STEPS);
    for (size_t i = 0; i < count; ++i)
        if (strcmp(lines[i].kind, "loss") == 0) {
            double wanted = lines[i].values[0];
            worst = fmax(worst, fabs(step_losses[compared++] - wanted) / wanted);
        }
    ck_assert_int_eq(compared, STEPS);
    printf("%s: largest relative error of %d losses %.2g\n", lines[0].code, compared, worst);
    ck_assert_double_lt(worst, 1e-3);
}

/* Relative L2 over the stored samples of all tensors, and every tensor's norm. */
static void compare_parameters(const golden_line *lines, size_t count, const imiad_detector *d)
{
    char path[] = "/tmp/imiad-test-XXXXXX", name[100];
    close(mkstemp(path));
    ck_ok(imiad_detector_save(d, path));
    weights *file;
    ck_ok(weights_open(&file, path));
    double above = 0, below = 0, worst_norm = 0;
    int compared = 0;
    for (size_t i = 0; i < count; ++i) {
        const golden_line *l = &lines[i];
        if (strcmp(l->kind, "parameter") != 0)
            continue;
        snprintf(name, sizeof name, "student.%s", l->name);
        const weight *w = weights_find(file, name);
        ck_assert_msg(w, "no %s", name);
        const float *found = w->data;
        size_t elements = w->bytes / sizeof *found;
        double square = 0;
        for (size_t j = 0; j < elements; ++j)
            square += (double)found[j] * (double)found[j];
        worst_norm = fmax(worst_norm, fabs(sqrt(square) - l->values[0]) / l->values[0]);
        for (size_t j = 0; j < SAMPLES; ++j) {
            double wanted = l->values[j + 1];
            double error = (double)found[j * (elements - 1) / (SAMPLES - 1)] - wanted;
            above += error * error;
            below += wanted * wanted;
        }
        ++compared;
    }
    printf("%s: relative L2 of %d tensors' samples %.2g, of their norms at most %.2g\n",
           lines[0].code, compared, sqrt(above / below), worst_norm);
    ck_assert_int_eq(compared, 75); /* 15 convolutions, each with its batch norm's four */
    ck_assert_double_lt(sqrt(above / below), 1e-3);
    ck_assert_double_lt(worst_norm, 1e-3);
    weights_free(file);
    unlink(path);
}

static void compare_maps(const golden_line *lines, size_t count, imiad_detector *d,
                         const char *root)
{
    int compared = 0;
    double worst = 0;
    for (size_t i = 0; i < count; ++i) {
        const golden_line *l = &lines[i];
        if (strcmp(l->kind, "map") != 0)
            continue;
        char path[4200];
        imiad_image *image;
        imiad_result result = IMIAD_RESULT_INIT;
        snprintf(path, sizeof path, "%s/%s", root, l->name);
        ck_ok(imiad_image_read(&image, path));
        ck_ok(imiad_detector_score(&result, d, image));
        worst = fmax(worst, fabs((double)result.score - l->values[0]) / l->values[0]);
        for (int j = 0; j < SAMPLES; ++j) {
            double error = (double)result.map[j * (MAP - 1) / (SAMPLES - 1)] - l->values[j + 2];
            worst = fmax(worst, fabs(error) / l->values[0]);
        }
        imiad_image_free(image);
        ++compared;
    }
    printf("%s: largest error of %d maps' samples and maxima %.2g of the maximum\n", lines[0].code,
           compared, worst);
    ck_assert_int_eq(compared, 3);
    ck_assert_double_lt(worst, 5e-3); /* running statistics carry ten steps' differences */
}

static const struct {
    const char *code;
    imiad_option options[4];
    size_t count;
    bool maps;
} codes[] = {
    {"stpm",
     {{"epochs", "1"}, {"train_batch", "8"}, {"loss", "sum"}, {"combine", "input"}},
     4,
     true},
    {"open_iad", {{"epochs", "1"}, {"preset", "open_iad"}}, 2, false},
};

/* The acceptance of the steps: losses and parameters to 1e-3. */
START_TEST(ten_steps_equal_the_public_implementations)
{
    static golden_line lines[MOST_LINES];
    char root[4096];
    snprintf(root, sizeof root, "%s", SHARED("data/mvtec_ad/transistor"));
    imiad_backbone *backbone;
    imiad_backbone_options b = IMIAD_BACKBONE_OPTIONS_INIT;
    b.weights = SHARED(WEIGHTS);
    ck_ok(imiad_backbone_create(&backbone, "resnet18", &b));
    size_t count = read_golden(lines, codes[_i].code);
    imiad_detector *d = ten_steps(root, backbone, codes[_i].options, codes[_i].count);
    compare_losses(lines, count);
    compare_parameters(lines, count, d);
    if (codes[_i].maps)
        compare_maps(lines, count, d, root);
    imiad_detector_free(d);
    imiad_backbone_free(backbone);
}
END_TEST

SUITE("stpm", LOOP_TEST(ten_steps_equal_the_public_implementations, 2))
