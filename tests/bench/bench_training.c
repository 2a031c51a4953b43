/* A detector's training step beside the same step of PyTorch's Python front end, eager: ResNet-18,
 * random weights, procedural images in memory; the frozen network's features kept, and computed in
 * every step. One thread, seconds of CPU, the least of some rounds, so that a busy machine disturbs
 * little.
 * bench-training [IMAGES [BATCH [SIZE [DETECTOR]]]]    default: 16 8 256 stpm; or bgad, cfa,
 * csflow, cutpaste, devnet, dinomaly, dne, dra, draem, fastflow, favae, igd, prn, rd4ad, regad,
 * semirest, simplenet, supersimplenet, uniad. RegAD's images are of another category, and two more
 * are the target's; DNE's network is ViT-B/16, Dinomaly's ViT-S/14, and DRAEM has none, its
 * networks 16 channels wide. Every second image of BGAD, DevNet, DRA and SemiREST is defective, in
 * a corner; none is turned, and BGAD pastes none. SemiREST has its compact preset, and 256 pixels
 * are a window. IMIAD_PYTHON names the Python that has torch and torchvision, "/usr/bin/python3" by
 * default. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "imiad/imiad.h"
#include "measure.h"

enum { ROUNDS = 3, EPOCHS = 1 + 2 * ROUNDS, MOST_IMAGES = 256, TARGETS = 2 };

typedef struct plan {
    const char *detector;
    int images, batch, size;
    int targets; /* behind the images, of a category of their own */
    imiad_image pictures[MOST_IMAGES + TARGETS];
    imiad_image mask; /* of what is defective */
    imiad_labelled_image list[MOST_IMAGES + TARGETS];
} plan;

/* What a detector is told beside the sizes. */
typedef struct choice {
    const char *detector;
    imiad_option options[3];
    int count;
    bool labelled, by_steps; /* learns from labelled defects; its option `steps` is an epoch's */
} choice;

static const choice choices[] = {
    {"bgad", {{"sub_epochs", "1"}, {"repeats", "1"}, {"pasted", "0"}}, 3, true, false},
    /* CS-Flow's own 1024 hidden channels are for GPUs. */
    {"csflow", {{"hidden", "64"}}, 1, false, false},
    {"cutpaste", {{"frozen_steps", "0"}}, 1, false, true},
    {"devnet", {{"rotation", "0"}}, 1, true, true},
    {"dinomaly", {{NULL}}, 0, false, true},
    {"dra", {{"rotation", "0"}}, 1, true, true},
    /* Its own 128 and 64 channels are for GPUs, too. */
    {"draem", {{"reconstruction_width", "16"}, {"discrimination_width", "16"}}, 2, false, false},
    /* IGD's 64 channels are of images of 256 pixels. */
    {"igd", {{"width", "16"}}, 1, false, false},
    {"semirest", {{"preset", "compact"}, {"variants", "0"}}, 2, true, true},
};

static const choice *choice_of(const plan *p)
{
    static const choice plain;
    for (size_t i = 0; i < sizeof choices / sizeof *choices; ++i)
        if (strcmp(p->detector, choices[i].detector) == 0)
            return &choices[i];
    return &plain;
}

static bool is(const plan *p, const char *detector)
{
    return strcmp(p->detector, detector) == 0;
}

static void draw_mask(plan *p)
{
    uint8_t *pixels = calloc((size_t)p->size * (size_t)p->size, 1);
    for (int y = 0; y < p->size / 4; ++y)
        memset(pixels + y * p->size, 255, (size_t)p->size / 4);
    p->mask = (imiad_image){
        sizeof(imiad_image), IMIAD_PIXEL_GRAY8, p->size, p->size, (size_t)p->size, pixels};
}

static void draw(plan *p)
{
    bool labelled = choice_of(p)->labelled;
    draw_mask(p);
    p->targets = is(p, "regad") ? TARGETS : 0;
    for (int i = 0; i < p->images + p->targets; ++i) {
        size_t bytes = (size_t)(p->size * p->size * 3);
        uint8_t *pixels = malloc(bytes);
        for (size_t j = 0; j < bytes; ++j)
            pixels[j] = (uint8_t)((j * 7 + j / 769 * 13 + (size_t)i * 31) % 256);
        p->pictures[i] = (imiad_image){
            sizeof(imiad_image), IMIAD_PIXEL_RGB8, p->size, p->size, (size_t)p->size * 3, pixels};
        p->list[i] = (imiad_labelled_image)IMIAD_LABELLED_IMAGE_INIT;
        p->list[i].image = &p->pictures[i];
        p->list[i].category = p->targets && i < p->images;
        p->list[i].label = labelled && i % 2 == 1;
        p->list[i].mask = p->list[i].label ? &p->mask : NULL;
    }
}

/* PRN's epoch has as many damaged images again, which it draws and whose features it computes. */
static int steps_of(const plan *p)
{
    int images = is(p, "prn") ? 2 * p->images : p->images;
    return (images + p->batch - 1) / p->batch;
}

/* Seconds of CPU when an epoch of training has ended, counted from the begin of the fit. */
typedef struct epoch_marks {
    double begin, ends[EPOCHS];
    int steps;
} epoch_marks;

/* What comes after the last epoch is not training: the fit is stopped there. */
static int mark(void *user, const imiad_progress *progress)
{
    epoch_marks *m = user;
    if (strcmp(progress->stage, "train") != 0 || progress->done % m->steps != 0)
        return 0;
    m->ends[progress->done / m->steps - 1] = cpu_seconds() - m->begin;
    return progress->done == progress->total;
}

static epoch_marks fit(const plan *p, imiad_backbone *backbone, const char *cache)
{
    const choice *c = choice_of(p);
    char batch[16], size[16], epochs[16], steps[16];
    snprintf(batch, sizeof batch, "%d", p->batch);
    snprintf(size, sizeof size, "%d", p->size);
    snprintf(epochs, sizeof epochs, "%d", EPOCHS);
    snprintf(steps, sizeof steps, "%d", steps_of(p));
    imiad_option options[10] = {{"epochs", epochs},     {"feature_cache", cache},
                                {"train_batch", batch}, {"resize", size},
                                {"crop", "0"},          {"resize_mode", "squash"}};
    size_t count = 6;
    for (int i = 0; i < c->count; ++i)
        options[count++] = c->options[i];
    if (c->by_steps)
        options[count++] = (imiad_option){"steps", steps};
    imiad_detector *detector;
    check(imiad_detector_create(&detector, p->detector, backbone, options, count));
    epoch_marks marks = {.begin = cpu_seconds(), .steps = steps_of(p)};
    imiad_status status = imiad_detector_fit_labelled(
        detector, p->list, (size_t)(p->images + p->targets), mark, &marks);
    if (status != IMIAD_CANCELLED)
        check(status);
    imiad_detector_free(detector);
    return marks;
}

/* Of one step: two epochs over their steps, the least of the rounds after the first epoch. */
static double step_seconds(const epoch_marks *m)
{
    double best = 1e30;
    for (int i = 0; i < ROUNDS; ++i) {
        double two = m->ends[2 * i + 2] - m->ends[2 * i];
        best = two / (2 * m->steps) < best ? two / (2 * m->steps) : best;
    }
    return best;
}

/* Python's, with the frozen network in every step and without; false where it cannot run. */
static bool python_seconds(const plan *p, double out[2])
{
    const char *python = getenv("IMIAD_PYTHON");
    char command[512];
    snprintf(command, sizeof command, "%s tests/bench/time_training.py %s %d %d %d %d",
             python ? python : "/usr/bin/python3", p->detector, p->batch, p->size, ROUNDS,
             2 * steps_of(p));
    FILE *pipe = popen(command, "r");
    bool read = pipe && fscanf(pipe, "%lf %lf", &out[0], &out[1]) == 2;
    if (pipe)
        pclose(pipe);
    return read;
}

int main(int argc, char **argv)
{
    static plan p;
    p.images = argc > 1 ? atoi(argv[1]) : 16;
    p.batch = argc > 2 ? atoi(argv[2]) : 8;
    p.size = argc > 3 ? atoi(argv[3]) : 256;
    p.detector = argc > 4 ? argv[4] : "stpm";
    if (p.images < 1 || p.images > MOST_IMAGES || p.batch < 1 || p.size < 32) {
        fprintf(stderr, "bench-training [IMAGES [BATCH [SIZE [DETECTOR]]]]\n");
        return 1;
    }
    imiad_backbone *backbone;
    check(imiad_set_threads(1));
    const char *network = is(&p, "dne")        ? "vit_b_16"
                          : is(&p, "dinomaly") ? "dinov2_vits14"
                                               : "resnet18";
    check(imiad_backbone_create(&backbone, network, NULL));
    draw(&p);
    epoch_marks without = fit(&p, backbone, "0"), with = fit(&p, backbone, "2000");
    double computed = step_seconds(&without), kept = step_seconds(&with);
    double python[2] = {0, 0};
    int steps = steps_of(&p);
    printf("%s, %s, random weights, %d images of %d pixels, batch %d, 1 thread, CPU seconds\n",
           p.detector, network, p.images, p.size, p.batch);
    printf("step, frozen computed   %8.4f s\nstep, features kept     %8.4f s  %5.3f of that\n",
           computed, kept, kept / computed);
    printf(
        "epoch                   %8.4f s after the first, %.4f s with the features of the first\n",
        kept * steps, with.ends[0]);
    if (python_seconds(&p, python)) {
        printf("python, frozen computed %8.4f s  ours is %5.3f of it\n", python[0],
               computed / python[0]);
        printf("python, features kept   %8.4f s  ours is %5.3f of it\n", python[1],
               kept / python[1]);
    } else
        printf("nothing to compare with: see above, or name IMIAD_PYTHON\n");
    imiad_backbone_free(backbone);
    for (int i = 0; i < p.images + p.targets; ++i)
        free(p.pictures[i].pixels);
    free(p.mask.pixels);
    return 0;
}
