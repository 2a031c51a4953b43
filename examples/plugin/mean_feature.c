/* Mean feature: at every position of a backbone layer, the mean and the variance of each channel
 * over the normal images. A patch is as anomalous as its features are far from the mean:
 *     score(y, x) = mean over channels c of (f_c - mean_c)^2 / (variance_c + epsilon) */
#include <stdlib.h>
#include <string.h>

#include "example.h"

typedef struct mean_feature {
    const char *layer;
    float epsilon;
    int64_t shape[3]; /* channels, height, width of what was learned */
    size_t size;      /* their product; 0 before fit */
    float *mean, *variance;
} mean_feature;

static const imiad_option_info options[] = {
    {sizeof(imiad_option_info), IMIAD_OPTION_TEXT, "layer", "layer2", "", "backbone layer"},
    {sizeof(imiad_option_info), IMIAD_OPTION_REAL, "epsilon", "0.01", "0<..", "added to variances"},
};

static imiad_status create(void *user, void **state, const imiad_detector *detector)
{
    (void)user;
    mean_feature *m = calloc(1, sizeof *m);
    if (!m)
        return imiad_fail(IMIAD_NO_MEMORY, "mean_feature: out of memory");
    m->layer = imiad_detector_option(detector, "layer");
    m->epsilon = strtof(imiad_detector_option(detector, "epsilon"), NULL);
    *state = m;
    return IMIAD_OK;
}

static void destroy(void *state)
{
    mean_feature *m = state;
    free(m->mean);
    free(m->variance);
    free(m);
}

static const char *const *layers(void *state, size_t *count)
{
    mean_feature *m = state;
    *count = 1;
    return &m->layer;
}

static imiad_status allocate(mean_feature *m, const int64_t shape[3])
{
    free(m->mean);
    free(m->variance);
    m->size = (size_t)(shape[0] * shape[1] * shape[2]);
    m->mean = calloc(m->size, sizeof *m->mean);
    m->variance = calloc(m->size, sizeof *m->variance);
    memcpy(m->shape, shape, sizeof m->shape);
    return m->mean && m->variance ? IMIAD_OK
                                  : imiad_fail(IMIAD_NO_MEMORY, "mean_feature: out of memory");
}

static int has_shape(const mean_feature *m, const imiad_layer_features *f)
{
    return m->shape[0] == f->channels && m->shape[1] == f->height && m->shape[2] == f->width;
}

static imiad_status fail_shape(void)
{
    return imiad_fail(IMIAD_MISMATCH,
                      "mean_feature: images of several sizes: set crop, or resize_mode=squash");
}

static imiad_status add_batch(mean_feature *m, const imiad_batch *batch)
{
    const imiad_layer_features *f = &batch->layers[0];
    if (m->size == 0) {
        imiad_status status = allocate(m, (const int64_t[3]){f->channels, f->height, f->width});
        if (status != IMIAD_OK)
            return status;
    }
    if (!has_shape(m, f))
        return fail_shape();
    for (size_t n = 0; n < batch->count; ++n)
        for (size_t i = 0; i < m->size; ++i) {
            float value = f->values[n * m->size + i];
            m->mean[i] += value;
            m->variance[i] += value * value;
        }
    return IMIAD_OK;
}

static imiad_status fit(void *state, imiad_batches *normals)
{
    mean_feature *m = state;
    const imiad_batch *batch;
    float count = (float)imiad_batches_count(normals);
    m->size = 0; /* a second fit begins anew */
    for (;;) {
        imiad_status status = imiad_batches_next(&batch, normals);
        if (status == IMIAD_OK && batch)
            status = add_batch(m, batch);
        if (status != IMIAD_OK)
            return status;
        if (!batch)
            break;
    }
    for (size_t i = 0; i < m->size; ++i) {
        m->mean[i] /= count;
        m->variance[i] = m->variance[i] / count - m->mean[i] * m->mean[i];
        if (m->variance[i] < 0) /* by rounding */
            m->variance[i] = 0;
    }
    return IMIAD_OK;
}

static imiad_status score(const void *state, const imiad_batch *batch, imiad_batch_scores *scores)
{
    const mean_feature *m = state;
    const imiad_layer_features *f = &batch->layers[0];
    if (!has_shape(m, f))
        return fail_shape();
    size_t positions = (size_t)(f->height * f->width);
    float *maps = imiad_batch_scores_maps(scores, f->height, f->width);
    if (!maps)
        return IMIAD_NO_MEMORY;
    for (size_t n = 0; n < batch->count; ++n)
        for (size_t i = 0; i < m->size; ++i) {
            float distance = f->values[n * m->size + i] - m->mean[i];
            maps[n * positions + i % positions] +=
                distance * distance / (m->variance[i] + m->epsilon) / (float)f->channels;
        }
    return IMIAD_OK;
}

static imiad_status save(const void *state, imiad_blocks *blocks)
{
    const mean_feature *m = state;
    size_t bytes = m->size * sizeof *m->mean;
    imiad_status status = imiad_blocks_put(blocks, "shape", m->shape, sizeof m->shape);
    if (status == IMIAD_OK)
        status = imiad_blocks_put(blocks, "mean", m->mean, bytes);
    return status == IMIAD_OK ? imiad_blocks_put(blocks, "variance", m->variance, bytes) : status;
}

/* A file comes from outside: every block must have the size that belongs to the shape. */
static imiad_status read_block(void *out, size_t wanted, const imiad_blocks *blocks,
                               const char *name)
{
    const void *bytes;
    size_t size;
    imiad_status status = imiad_blocks_get(&bytes, &size, blocks, name);
    if (status != IMIAD_OK)
        return status;
    if (size != wanted)
        return imiad_fail(IMIAD_FORMAT, "mean_feature: a block of another size than its shape's");
    memcpy(out, bytes, size);
    return IMIAD_OK;
}

static imiad_status load(void *state, const imiad_blocks *blocks)
{
    mean_feature *m = state;
    int64_t shape[3];
    imiad_status status = read_block(shape, sizeof shape, blocks, "shape");
    if (status != IMIAD_OK)
        return status;
    for (int i = 0; i < 3; ++i)
        if (shape[i] < 1 || shape[i] > 1 << 16)
            return imiad_fail(IMIAD_FORMAT, "mean_feature: its shape cannot be");
    const void *bytes; /* what is there bounds what is allocated */
    size_t size;
    status = imiad_blocks_get(&bytes, &size, blocks, "mean");
    if (status == IMIAD_OK && size / sizeof *m->mean < (size_t)(shape[0] * shape[1] * shape[2]))
        status = imiad_fail(IMIAD_FORMAT, "mean_feature: a block is too short");
    if (status == IMIAD_OK)
        status = allocate(m, shape);
    if (status == IMIAD_OK)
        status = read_block(m->mean, m->size * sizeof *m->mean, blocks, "mean");
    if (status == IMIAD_OK)
        status = read_block(m->variance, m->size * sizeof *m->variance, blocks, "variance");
    return status;
}

imiad_status register_mean_feature(void)
{
    imiad_detector_functions f = IMIAD_DETECTOR_FUNCTIONS_INIT;
    f.name = "mean_feature";
    f.title = "Distance to the mean feature (example plug-in)";
    f.options = options;
    f.option_count = sizeof options / sizeof *options;
    f.create = create;
    f.layers = layers;
    f.fit = fit;
    f.score = score;
    f.save = save;
    f.load = load;
    f.destroy = destroy;
    return imiad_detector_register(&f);
}
