#include "nn/backbone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/files.h"
#include "nn/weights_tensor.h"

static const architecture *const families[] = {resnet_architectures, NULL};

/* Weights of the classifier behind the last node: part of every torchvision file, never used here.
 */
static const char *const classifiers[] = {"fc.", "classifier.", NULL};

static const architecture *architecture_at(size_t index)
{
    for (const architecture *const *family = families; *family; ++family)
        for (const architecture *a = *family; a->name; ++a)
            if (index-- == 0)
                return a;
    return NULL;
}

size_t imiad_backbone_architecture_count(void)
{
    size_t count = 0;
    while (architecture_at(count))
        ++count;
    return count;
}

const char *imiad_backbone_architecture(size_t index)
{
    const architecture *a = architecture_at(index);
    return a ? a->name : NULL;
}

/* ---- nodes ---- */

/* A layer is a node, or a stage: its last node. */
const node *node_find(const node_chain *chain, const char *layer)
{
    for (size_t i = 0; i < chain->count; ++i)
        if (strcmp(chain->nodes[i].name, layer) == 0 ||
            (chain->nodes[i].stage[0] && strcmp(chain->nodes[i].stage, layer) == 0))
            return &chain->nodes[i];
    return NULL;
}

imiad_status backbone_require(const imiad_backbone *b, const char *layer)
{
    const node *n = node_find(&b->chain, layer);
    if (!n)
        return fail(IMIAD_UNKNOWN_OPTION,
                    "backbone %s has no layer \"%s\"; it has layer1, layer2, layer3, layer4, their "
                    "blocks such as layer1.0, relu and maxpool",
                    b->architecture->name, layer);
    if ((size_t)(n - b->chain.nodes) >= b->loaded)
        return fail(IMIAD_MISMATCH,
                    "layer \"%s\" of backbone %s needs weight %s, which is not in %s", layer,
                    b->architecture->name, b->missing, b->weights);
    return IMIAD_OK;
}

imiad_status backbone_layer_shape(int64_t out[3], const imiad_backbone *b, const char *layer,
                                  int64_t height, int64_t width)
{
    TRY(backbone_require(b, layer));
    const node *last = node_find(&b->chain, layer);
    for (const node *n = b->chain.nodes; n <= last; ++n) {
        /* all of odd kernels with half padding: ceil(size / stride) */
        height = (height + n->stride - 1) / n->stride;
        width = (width + n->stride - 1) / n->stride;
    }
    out[0] = last->channels;
    out[1] = height;
    out[2] = width;
    return IMIAD_OK;
}

const node *node_deepest(const node_chain *chain, const char *const *layers, int count)
{
    const node *last = chain->nodes;
    for (int i = 0; i < count; ++i) {
        const node *n = node_find(chain, layers[i]);
        if (n > last)
            last = n;
    }
    return last;
}

/* The named layers' outputs, or what their last ReLU is given. */
static void run(const imiad_backbone *b, tensor *images, const char *const *layers, int count,
                bool activated, tensor **out)
{
    for (int i = 0; i < count; ++i) {
        out[i] = NULL;
        imiad_status status = backbone_require(b, layers[i]);
        if (status != IMIAD_OK) {
            t_fail(status, "%s", imiad_last_error());
            return;
        }
    }
    const node *last = node_deepest(&b->chain, layers, count);
    tensor *x = images, *owned = NULL;
    for (const node *n = b->chain.nodes; n <= last; ++n) {
        scope s = scope_begin(); /* one a node: its intermediates go at once */
        tensor *y = n == b->chain.nodes ? t_channels_last(t_to(x, b->precision)) : x;
        y = t_keep(n->forward(n, y, false));
        scope_return(&s, NULL);
        t_free(owned);
        x = owned = y;
        bool shared = false; /* with a result that has to stay as it is */
        if (n->activated && activated)
            t_relu_(x);
        for (int i = 0; i < count; ++i)
            if (node_find(&b->chain, layers[i]) == n) {
                out[i] = t_to(x, F32);
                shared = true;
            }
        if (n->activated && !activated)
            x = shared ? t_relu(x) : t_relu_(x);
    }
    t_free(owned);
}

void backbone_features(const imiad_backbone *b, tensor *images, const char *const *layers,
                       int count, tensor **out)
{
    run(b, images, layers, count, true, out);
}

void backbone_sums(const imiad_backbone *b, tensor *images, const char *const *layers, int count,
                   tensor **out)
{
    run(b, images, layers, count, false, out);
}

/* ---- making ---- */

static void destroy(imiad_backbone *b)
{
    for (size_t i = 0; i < b->chain.count; ++i)
        for (int j = 0; j < b->chain.nodes[i].convolution_count; ++j)
            convolution_free(&b->chain.nodes[i].convolutions[j]);
    free(b->chain.nodes);
    free(b->missing);
    free(b->weights);
    free(b);
}

imiad_backbone *backbone_retain(const imiad_backbone *backbone)
{
    imiad_backbone *b = (imiad_backbone *)backbone;
    atomic_fetch_add(&b->references, 1);
    return b;
}

void imiad_backbone_free(imiad_backbone *b)
{
    if (b && atomic_fetch_sub(&b->references, 1) == 1)
        destroy(b);
}

static imiad_status parse_precision(dtype *out, const char *text)
{
    if (!text || strcmp(text, "float32") == 0)
        *out = F32;
    else if (strcmp(text, "bfloat16") == 0)
        *out = BF16;
    else
        return fail(IMIAD_UNKNOWN_OPTION, "precision \"%s\" is neither float32 nor bfloat16", text);
    return IMIAD_OK;
}

/* The network without weights. */
static imiad_status make(imiad_backbone **out, const char *name, const char *device_text,
                         const char *precision)
{
    const architecture *a = NULL;
    for (size_t i = 0; (a = architecture_at(i)) && strcmp(a->name, name) != 0; ++i)
        continue;
    if (!a)
        return fail(IMIAD_UNKNOWN_OPTION,
                    "no backbone \"%s\"; there are resnet18, resnet34, resnet50, resnet101 and "
                    "wide_resnet50_2",
                    name);
    dtype type = F32;
    device d = CPU;
    TRY(parse_precision(&type, precision));
    TRY(device_parse(&d, device_text ? device_text : "cpu"));
    imiad_backbone *b = calloc(1, sizeof *b);
    if (!b)
        return fail_memory("a backbone", sizeof *b);
    b->architecture = a;
    b->device = d;
    b->precision = type;
    device_name(d, b->device_text);
    atomic_init(&b->references, 1);
    imiad_status status = a->build(&b->chain, a);
    if (status != IMIAD_OK) {
        destroy(b);
        return status;
    }
    *out = b;
    return IMIAD_OK;
}

/* Whether a file's weight belongs to the architecture, loaded or not. */
static bool known(const imiad_backbone *b, const char *name)
{
    for (const char *const *prefix = classifiers; *prefix; ++prefix)
        if (strncmp(name, *prefix, strlen(*prefix)) == 0)
            return true;
    for (size_t i = 0; i < b->chain.count; ++i)
        for (int j = 0; j < b->chain.nodes[i].convolution_count; ++j)
            if (convolution_owns(&b->chain.nodes[i].convolutions[j], name))
                return true;
    return false;
}

/* A weight that the architecture has no place for, or of another shape, used or not, means that the
 * file is another architecture's. */
static imiad_status check_file(const imiad_backbone *b, const weights *file, const char *prefix)
{
    size_t length = strlen(prefix);
    for (size_t i = 0; i < weights_count(file); ++i) {
        const char *name = weights_get(file, i)->name;
        if (strncmp(name, prefix, length) == 0 && !known(b, name + length))
            return fail(IMIAD_MISMATCH, "weight %s is none of the architecture's", name);
    }
    for (size_t i = 0; i < b->chain.count; ++i)
        for (int j = 0; j < b->chain.nodes[i].convolution_count; ++j)
            TRY(convolution_check(&b->chain.nodes[i].convolutions[j], file, prefix));
    return IMIAD_OK;
}

static imiad_status load_nodes(imiad_backbone *b, const weights *file, const char *prefix)
{
    for (b->loaded = 0; b->loaded < b->chain.count; ++b->loaded) {
        node *n = &b->chain.nodes[b->loaded];
        char missing[128];
        for (int j = 0; j < n->convolution_count; ++j)
            if (!convolution_present(&n->convolutions[j], file, prefix, missing)) {
                b->missing = strdup(missing);
                return b->missing ? IMIAD_OK : fail_memory("a name", strlen(missing));
            }
        for (int j = 0; j < n->convolution_count; ++j)
            TRY(convolution_load(&n->convolutions[j], file, prefix, b->device, b->precision));
    }
    return IMIAD_OK;
}

imiad_status backbone_from_weights(imiad_backbone **out, const char *architecture_name,
                                   const weights *file, const char *prefix, const char *file_name,
                                   const char *device_text, const char *precision)
{
    imiad_backbone *b;
    TRY(make(&b, architecture_name, device_text, precision));
    imiad_status status = check_file(b, file, prefix);
    if (status == IMIAD_OK)
        status = load_nodes(b, file, prefix);
    if (status == IMIAD_OK && b->loaded == 0)
        status = fail(IMIAD_MISMATCH, "there is no weight %s", b->missing);
    if (status != IMIAD_OK)
        fail_within(status, "%s as weights of %s", file_name, architecture_name);
    if (status == IMIAD_OK && !(b->weights = strdup(file_name)))
        status = fail_memory("a path", strlen(file_name));
    if (status != IMIAD_OK) {
        destroy(b);
        return status;
    }
    *out = b;
    return IMIAD_OK;
}

static imiad_status from_file(imiad_backbone **out, const char *name,
                              const imiad_backbone_options *options)
{
    weights *file;
    char digest[65];
    TRY(weights_open(&file, options->weights));
    imiad_status status = file_digest(digest, options->weights);
    if (status == IMIAD_OK)
        status = backbone_from_weights(out, name, file, "", options->weights, options->device,
                                       options->precision);
    if (status == IMIAD_OK)
        memcpy((*out)->digest, digest, sizeof digest);
    weights_free(file);
    return status;
}

static imiad_status from_seed(imiad_backbone **out, const char *name,
                              const imiad_backbone_options *options)
{
    imiad_backbone *b;
    TRY(make(&b, name, options->device, options->precision));
    imiad_status status = IMIAD_OK;
    for (b->loaded = 0; status == IMIAD_OK && b->loaded < b->chain.count; ++b->loaded) {
        node *n = &b->chain.nodes[b->loaded];
        for (int j = 0; status == IMIAD_OK && j < n->convolution_count; ++j)
            status =
                convolution_random(&n->convolutions[j], options->seed, b->device, b->precision);
    }
    if (status == IMIAD_OK &&
        asprintf(&b->weights, "random weights, seed %llu", (unsigned long long)options->seed) < 0) {
        b->weights = NULL;
        status = fail_memory("a name", 64);
    }
    if (status != IMIAD_OK) {
        destroy(b);
        return status;
    }
    *out = b;
    return IMIAD_OK;
}

imiad_status imiad_backbone_create(imiad_backbone **out, const char *architecture_name,
                                   const imiad_backbone_options *options)
{
    imiad_backbone_options given = IMIAD_BACKBONE_OPTIONS_INIT;
    if (!out || !architecture_name)
        return fail(IMIAD_INVALID_ARGUMENT, "backbone: out or architecture is NULL");
    if (options) {
        if (options->struct_size < sizeof given)
            return fail(IMIAD_INVALID_ARGUMENT, "backbone options: struct_size is not set");
        given = *options;
    }
    return given.weights ? from_file(out, architecture_name, &given)
                         : from_seed(out, architecture_name, &given);
}

/* ---- looking ---- */

const char *imiad_backbone_name(const imiad_backbone *b)
{
    return b->architecture->name;
}

const char *imiad_backbone_weights(const imiad_backbone *b)
{
    return b->weights;
}

const char *imiad_backbone_digest(const imiad_backbone *b)
{
    return b->digest;
}

const char *imiad_backbone_device(const imiad_backbone *b)
{
    return b->device_text;
}

const char *imiad_backbone_precision(const imiad_backbone *b)
{
    return b->precision == F32 ? "float32" : "bfloat16";
}

imiad_status imiad_backbone_shape(int64_t out[3], const imiad_backbone *backbone, const char *layer,
                                  int32_t height, int32_t width)
{
    if (!out || !backbone || !layer || height < 1 || width < 1)
        return fail(IMIAD_INVALID_ARGUMENT, "backbone shape: NULL, or a size below 1");
    return backbone_layer_shape(out, backbone, layer, height, width);
}

imiad_status imiad_backbone_features(float *out, size_t capacity, const imiad_backbone *backbone,
                                     const char *layer, const float *images, int64_t count,
                                     int32_t height, int32_t width)
{
    int64_t shape[3];
    if (!out || !images || count < 1)
        return fail(IMIAD_INVALID_ARGUMENT, "backbone features: NULL, or no images");
    TRY(imiad_backbone_shape(shape, backbone, layer, height, width));
    size_t needed = (size_t)(count * shape[0] * shape[1] * shape[2]);
    if (capacity < needed)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "backbone features: out holds %zu floats, %s of %lld images needs %zu",
                    capacity, layer, (long long)count, needed);
    scope s = scope_begin();
    tensor *features;
    tensor *input = t_from(images, 4, (int64_t[]){count, 3, height, width}, F32, backbone->device);
    backbone_features(backbone, input, &layer, 1, &features);
    t_read(t_contiguous(features), out, needed * sizeof *out);
    return scope_end(&s);
}

/* ---- saving ---- */

static imiad_status save_part(weights_writer *writer, const char *prefix, const char *owner,
                              const char *suffix, tensor *t)
{
    char name[128];
    snprintf(name, sizeof name, "%s%s.%s", prefix, owner, suffix);
    return weights_writer_add_tensor(writer, name, t);
}

imiad_status backbone_save(const imiad_backbone *b, weights_writer *writer, const char *prefix,
                           const char *const *layers, int count)
{
    for (const node *n = b->chain.nodes; n <= node_deepest(&b->chain, layers, count); ++n)
        for (int j = 0; j < n->convolution_count; ++j) {
            const convolution *c = &n->convolutions[j];
            TRY(save_part(writer, prefix, c->name, "weight", c->weight));
            TRY(save_part(writer, prefix, c->name, "bias", c->bias));
        }
    return IMIAD_OK;
}

const char *imiad_torch_version(void)
{
    return bridge_torch_version();
}

imiad_status imiad_device_memory(uint64_t *now, uint64_t *peak, const char *device_text)
{
    if (!now || !peak || !device_text)
        return fail(IMIAD_INVALID_ARGUMENT, "device memory: NULL");
    device d;
    size_t bytes, most;
    TRY(device_parse(&d, device_text));
    TRY(device_memory(d, &bytes, &most));
    *now = bytes;
    *peak = most;
    return IMIAD_OK;
}
