/* Pixel classifier, supervised: a logistic regression tells the pixels of labelled defects from all
 * others by their colour and by its difference to the surroundings. It learns in balanced batches,
 * half good, half defective images, from their masks:
 *     p = 1 / (1 + exp(-w x)),  loss = half the mean over defective pixels of -log p
 *                                    + half the mean over the others of -log(1 - p) */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "example.h"

enum { FEATURES = 7, REACH = 4 };

typedef struct pixel_classifier {
    long epochs, steps;
    size_t batch;
    unsigned long long seed;
    double rate;
    float weights[FEATURES];
} pixel_classifier;

static const imiad_option_info options[] = {
    {sizeof(imiad_option_info), IMIAD_OPTION_INT, "epochs", "10", "1..1000", "rounds of steps"},
    {sizeof(imiad_option_info), IMIAD_OPTION_INT, "steps", "5", "1..1000", "batches of a round"},
    {sizeof(imiad_option_info), IMIAD_OPTION_INT, "train_batch", "6", "2..64", "images of a step"},
    {sizeof(imiad_option_info), IMIAD_OPTION_REAL, "rate", "1", "0<..", "of the descent"},
    {sizeof(imiad_option_info), IMIAD_OPTION_INT, "seed", "0", "0..", "of the drawn batches"},
};

static imiad_status create(void *user, void **state, const imiad_detector *detector)
{
    (void)user;
    pixel_classifier *m = calloc(1, sizeof *m);
    if (!m)
        return imiad_fail(IMIAD_NO_MEMORY, "pixel_classifier: out of memory");
    m->epochs = strtol(imiad_detector_option(detector, "epochs"), NULL, 10);
    m->steps = strtol(imiad_detector_option(detector, "steps"), NULL, 10);
    m->batch = strtoul(imiad_detector_option(detector, "train_batch"), NULL, 10);
    m->seed = strtoull(imiad_detector_option(detector, "seed"), NULL, 10);
    m->rate = strtod(imiad_detector_option(detector, "rate"), NULL);
    *state = m;
    return IMIAD_OK;
}

static void destroy(void *state)
{
    free(state);
}

/* Sums of one channel over the rectangle above and left of each pixel: (height + 1) x (width + 1).
 */
static void integrate(double *sums, const imiad_image *image, int channel)
{
    size_t across = (size_t)image->width + 1;
    memset(sums, 0, across * sizeof *sums);
    for (int32_t y = 0; y < image->height; ++y) {
        double row = 0, *out = sums + ((size_t)y + 1) * across;
        out[0] = 0;
        for (int32_t x = 0; x < image->width; ++x) {
            row += image->pixels[(size_t)y * image->stride + 3 * (size_t)x + (size_t)channel];
            out[x + 1] = out[(size_t)x + 1 - across] + row;
        }
    }
}

static int32_t within(int32_t value, int32_t most)
{
    return value < 0 ? 0 : value > most ? most : value;
}

/* Colours, their distances to the mean of the surroundings, and 1: FEATURES values a pixel. */
static imiad_status describe(float *out, const imiad_image *image)
{
    size_t across = (size_t)image->width + 1;
    double *sums = malloc(across * ((size_t)image->height + 1) * sizeof *sums);
    if (!sums)
        return imiad_fail(IMIAD_NO_MEMORY, "pixel_classifier: out of memory");
    for (int c = 0; c < 3; ++c) {
        integrate(sums, image, c);
        for (int32_t y = 0; y < image->height; ++y)
            for (int32_t x = 0; x < image->width; ++x) {
                size_t top = (size_t)within(y - REACH, image->height) * across;
                size_t bottom = (size_t)within(y + REACH + 1, image->height) * across;
                size_t left = (size_t)within(x - REACH, image->width);
                size_t right = (size_t)within(x + REACH + 1, image->width);
                double area = (double)((bottom - top) / across * (right - left));
                double mean = (sums[bottom + right] - sums[top + right] - sums[bottom + left] +
                               sums[top + left]) /
                              area;
                double value = image->pixels[(size_t)y * image->stride + 3 * (size_t)x + (size_t)c];
                float *at = out + ((size_t)y * (size_t)image->width + (size_t)x) * FEATURES;
                at[c] = (float)(value / 255);
                at[3 + c] = (float)(fabs(value - mean) / 64);
                at[6] = 1;
            }
    }
    free(sums);
    return IMIAD_OK;
}

static double probability(const float *weights, const float *features)
{
    double sum = 0;
    for (int f = 0; f < FEATURES; ++f)
        sum += (double)weights[f] * (double)features[f];
    return 1 / (1 + exp(-sum));
}

/* Sums of the two kinds of pixels over one image: gradients and how many there are. */
typedef struct sums {
    double gradients[2][FEATURES], pixels[2];
} sums;

static imiad_status add_image(sums *s, const pixel_classifier *m, const imiad_image *image,
                              const imiad_image *mask)
{
    size_t count = (size_t)image->width * (size_t)image->height;
    float *features = malloc(count * FEATURES * sizeof *features);
    if (!features)
        return imiad_fail(IMIAD_NO_MEMORY, "pixel_classifier: out of memory");
    imiad_status status = describe(features, image);
    for (size_t i = 0; status == IMIAD_OK && i < count; ++i) {
        size_t row = i / (size_t)image->width, column = i % (size_t)image->width;
        int defective = mask->pixels[row * mask->stride + column] > 0;
        const float *at = features + i * FEATURES;
        double missed = probability(m->weights, at) - defective;
        for (int f = 0; f < FEATURES; ++f)
            s->gradients[defective][f] += missed * (double)at[f];
        s->pixels[defective] += 1;
    }
    free(features);
    return status;
}

static imiad_status step(pixel_classifier *m, const imiad_batch *batch)
{
    sums s = {{{0}}, {0}};
    for (size_t i = 0; i < batch->count; ++i) {
        imiad_status status = add_image(&s, m, batch->images[i], batch->masks[i]);
        if (status != IMIAD_OK)
            return status;
    }
    for (int kind = 0; kind < 2; ++kind)
        for (int f = 0; f < FEATURES && s.pixels[kind] > 0; ++f)
            m->weights[f] -= (float)(m->rate * s.gradients[kind][f] / s.pixels[kind] / 2);
    return IMIAD_OK;
}

/* A classifier of one class would learn that everything is good. */
static imiad_status require_defects(const imiad_batches *images)
{
    int32_t label = 0;
    for (size_t i = 0; i < imiad_batches_count(images); ++i) {
        imiad_status status = imiad_batches_image(&label, NULL, NULL, images, i);
        if (status != IMIAD_OK || label == 1)
            return status;
    }
    return imiad_fail(IMIAD_INVALID_ARGUMENT,
                      "detector pixel_classifier learns from labelled defects: use the setting "
                      "supervised");
}

static imiad_status fit(void *state, imiad_batches *images)
{
    pixel_classifier *m = state;
    const imiad_batch *batch;
    memset(m->weights, 0, sizeof m->weights);
    imiad_status status = require_defects(images);
    for (long epoch = 0; status == IMIAD_OK && epoch < m->epochs; ++epoch) {
        status = imiad_batches_draw_balanced(images, (size_t)m->steps, m->batch, m->seed, epoch);
        while (status == IMIAD_OK) {
            status = imiad_batches_next(&batch, images);
            if (status != IMIAD_OK || !batch)
                break;
            status = step(m, batch);
        }
    }
    return status;
}

static imiad_status score(const void *state, const imiad_batch *batch, imiad_batch_scores *scores)
{
    const pixel_classifier *m = state;
    size_t count = (size_t)batch->width * (size_t)batch->height;
    float *maps = imiad_batch_scores_maps(scores, batch->height, batch->width);
    float *features = malloc(count * FEATURES * sizeof *features);
    imiad_status status = maps && features ? IMIAD_OK : IMIAD_NO_MEMORY;
    for (size_t i = 0; status == IMIAD_OK && i < batch->count; ++i) {
        status = describe(features, batch->images[i]);
        for (size_t p = 0; p < count; ++p)
            maps[i * count + p] = (float)probability(m->weights, features + p * FEATURES);
    }
    free(features);
    return status;
}

static imiad_status save(const void *state, imiad_blocks *blocks)
{
    const pixel_classifier *m = state;
    return imiad_blocks_put(blocks, "weights", m->weights, sizeof m->weights);
}

static imiad_status load(void *state, const imiad_blocks *blocks)
{
    pixel_classifier *m = state;
    const void *bytes;
    size_t size;
    imiad_status status = imiad_blocks_get(&bytes, &size, blocks, "weights");
    if (status == IMIAD_OK && size != sizeof m->weights)
        return imiad_fail(IMIAD_FORMAT, "pixel_classifier: its weights are damaged");
    if (status == IMIAD_OK)
        memcpy(m->weights, bytes, size);
    return status;
}

imiad_status register_pixel_classifier(void)
{
    imiad_detector_functions functions = IMIAD_DETECTOR_FUNCTIONS_INIT;
    functions.name = "pixel_classifier";
    functions.title = "Logistic regression of labelled pixels (an example)";
    functions.options = options;
    functions.option_count = sizeof options / sizeof *options;
    functions.takes = IMIAD_TAKES_ANOMALIES | IMIAD_TAKES_MASKS;
    functions.create = create;
    functions.fit = fit;
    functions.score = score;
    functions.save = save;
    functions.load = load;
    functions.destroy = destroy;
    return imiad_detector_register(&functions);
}
