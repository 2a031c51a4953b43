#include "detectors/parts/patch_descriptor.h"

#include <stdio.h>

#include "base/error.h"
#include "nn/weights_tensor.h"

static const double slope = 0.005;

/* Channels in numbers of outputs. */
typedef struct descriptor_layer {
    int kernel, channels;
    bool pooled; /* the largest of 2 x 2 follows */
} descriptor_layer;

static const descriptor_layer layers_17[DESCRIPTOR_LAYERS] = {
    {6, 1, false}, {5, 2, false}, {5, 2, false}, {4, 1, false}};
static const descriptor_layer layers_33[DESCRIPTOR_LAYERS] = {
    {5, 1, true}, {5, 2, true}, {2, 2, false}, {4, 1, false}};

static const descriptor_layer *layers_of(int field)
{
    return field == 17 ? layers_17 : layers_33;
}

patch_descriptor patch_descriptor_add(const builder *b, int field, int64_t outputs)
{
    patch_descriptor d = {.field = field};
    const descriptor_layer *layers = layers_of(field);
    int64_t before = 3;
    for (int i = 0; i < DESCRIPTOR_LAYERS; ++i) {
        char name[16];
        snprintf(name, sizeof name, "conv%d", i + 1);
        int64_t channels = layers[i].channels * outputs;
        d.convolutions[i] = conv2d_add(
            b, name,
            (conv2d_spec){
                .inputs = before, .outputs = channels, .kernel = layers[i].kernel, .bias = true});
        before = channels;
    }
    return d;
}

tensor *patch_descriptor_patches(const patch_descriptor *d, tensor *x)
{
    const descriptor_layer *layers = layers_of(d->field);
    for (int i = 0; i < DESCRIPTOR_LAYERS; ++i) {
        x = conv2d_run(&d->convolutions[i], x);
        if (i + 1 < DESCRIPTOR_LAYERS)
            x = t_leaky_relu(x, slope);
        if (layers[i].pooled)
            x = t_max_pool2d(x, 2, 2, 0, false);
    }
    return x;
}

/* The larger of each value and the one so many places further along a dimension. */
static tensor *larger(tensor *x, int dim, int64_t step)
{
    int64_t size = t_size(x, dim);
    return t_maximum(t_slice(x, dim, 0, size - step), t_slice(x, dim, step, size));
}

/* Where the network for a patch halves its grid, the steps of all that follows are doubled instead.
 * At 33 the halves drop a row: the grid comes out one position too large. */
tensor *patch_descriptor_dense(const patch_descriptor *d, tensor *images)
{
    const descriptor_layer *layers = layers_of(d->field);
    int border = (d->field - 1) / 2, step = 1;
    int64_t height = t_size(images, 2), width = t_size(images, 3);
    tensor *x = t_pad2d(images, border, border, border, border, PAD_REFLECT);
    for (int i = 0; i < DESCRIPTOR_LAYERS; ++i) {
        const conv2d *c = &d->convolutions[i];
        x = t_conv2d(x, c->weight, c->bias, 1, 0, step, 1);
        if (i + 1 < DESCRIPTOR_LAYERS)
            x = t_leaky_relu(x, slope);
        if (layers[i].pooled) {
            x = larger(larger(x, 2, step), 3, step);
            step *= 2;
        }
    }
    return t_slice(t_slice(x, 2, 0, height), 3, 0, width);
}

void patch_descriptor_fold(const patch_descriptor *d, tensor *mean, tensor *deviation)
{
    const conv2d *last = &d->convolutions[DESCRIPTOR_LAYERS - 1];
    const int64_t count = t_size(last->weight, 0), each[] = {count, 1, 1, 1};
    tensor *scale = t_view(t_to(deviation, F64), 1, &count);
    tensor *bias = t_sub(t_to(last->bias, F64), t_view(t_to(mean, F64), 1, &count));
    tensor *kernel = t_div(t_to(last->weight, F64), t_view(scale, 4, each));
    t_copy_(last->weight, t_to(kernel, t_type(last->weight)));
    t_copy_(last->bias, t_to(t_div(bias, scale), t_type(last->bias)));
}

/* ---- files ---- */

static imiad_status take(tensor *into, const weights *file, const char *name)
{
    int64_t shape[4];
    for (int i = 0; i < t_rank(into); ++i)
        shape[i] = t_size(into, i);
    TRY(weights_expect(NULL, file, name, F32, t_rank(into), shape));
    tensor *read;
    TRY(weights_load_tensor(&read, file, name, t_device(into)));
    scope s = scope_begin();
    t_copy_(into, read);
    imiad_status status = scope_end(&s);
    t_free(read);
    return status;
}

static imiad_status take_all(const patch_descriptor *d, const weights *file)
{
    char prefix[40], name[80];
    snprintf(prefix, sizeof prefix, "p%d.descriptor.", d->field);
    snprintf(name, sizeof name, "%sconv1.weight", prefix);
    if (!weights_find(file, name))
        prefix[0] = '\0';
    for (int i = 0; i < DESCRIPTOR_LAYERS; ++i) {
        snprintf(name, sizeof name, "%sconv%d.weight", prefix, i + 1);
        TRY(take(d->convolutions[i].weight, file, name));
        snprintf(name, sizeof name, "%sconv%d.bias", prefix, i + 1);
        TRY(take(d->convolutions[i].bias, file, name));
    }
    return IMIAD_OK;
}

imiad_status patch_descriptor_import(const patch_descriptor *d, const char *path)
{
    weights *file;
    TRY(weights_open(&file, path));
    imiad_status status = take_all(d, file);
    weights_free(file);
    return status == IMIAD_OK ? status : fail_within(IMIAD_MISMATCH, "%s", path);
}
