#include "nn/backbone.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "bridge/load.h"
#include "nn/weights_tensor.h"
#include "weights/default_weights.h"

enum { MOST_FEATURES = 64 };

/* ---- layers ---- */

static imiad_status find_loaded(chain_layer *out, const imiad_backbone *b, const char *name)
{
    char owner[80];
    snprintf(owner, sizeof owner, "backbone %s", b->architecture->name);
    TRY(layer_require(out, &b->chain, owner, name));
    if ((size_t)(out->node - b->chain.nodes) >= b->loaded)
        return fail(IMIAD_MISMATCH,
                    "layer \"%s\" of backbone %s needs weight %s, which is not in %s", name,
                    b->architecture->name, b->missing, b->weights);
    return IMIAD_OK;
}

imiad_status backbone_require(const imiad_backbone *b, const char *name)
{
    chain_layer l;
    return find_loaded(&l, b, name);
}

imiad_status backbone_channels(int64_t *out, const imiad_backbone *b, const char *name)
{
    chain_layer l;
    TRY(find_loaded(&l, b, name));
    *out = l.node->channels;
    return IMIAD_OK;
}

imiad_status backbone_layer_shape(int64_t out[3], const imiad_backbone *b, const char *name,
                                  int64_t height, int64_t width)
{
    chain_layer l;
    TRY(find_loaded(&l, b, name));
    char owner[80];
    snprintf(owner, sizeof owner, "backbone %s", b->architecture->name);
    return layer_shape(out, &b->chain, &l, owner, height, width);
}

/* ---- running ---- */

typedef struct request {
    const imiad_backbone *backbone;
    tensor *images;
    chain_layer layers[MOST_FEATURES];
    int count;
    bool activated;     /* false: what each layer's last ReLU is given */
    bool tokens;        /* as they are, no maps of them */
    position_rule rule; /* with tokens */
    tensor **out;
} request;

/* A layer of the node whose output is x, as a map. */
static tensor *map_of(const request *r, const chain_layer *l, tensor *x)
{
    if (!l->node->map)
        return x;
    const chain_layer tokens = {l->node, false, false};
    int64_t shape[3];
    if (t_failed() ||
        !t_try(layer_shape(shape, &r->backbone->chain, &tokens, r->backbone->architecture->name,
                           t_size(r->images, 2), t_size(r->images, 3))))
        return NULL;
    return l->node->map(l->node, x, shape[1], shape[2], l->class_token);
}

/* What is asked for of the node's output, before or after the ReLU that ends it. True where x is
 * now part of a result and has to stay as it is. */
static bool hand_out(const request *r, const node *n, tensor *x, bool before)
{
    bool shared = false;
    for (int i = 0; i < r->count; ++i) {
        const chain_layer *l = &r->layers[i];
        bool wants_before = n->activated && (l->sum || !r->activated);
        if (l->node != n || wants_before != before)
            continue;
        r->out[i] = t_to(r->tokens ? x : map_of(r, l, x), F32);
        shared = true;
    }
    return shared;
}

/* A scope a node: its intermediates go at once. The result is the caller's to free. */
static tensor *run_node(const request *r, const node *n, tensor *x)
{
    scope s = scope_begin();
    node first = *n;
    if (n == r->backbone->chain.nodes) {
        x = t_channels_last(t_to(x, r->backbone->precision));
        if (r->tokens)
            first.settings[POSITION_RULE_SETTING] = (int)r->rule;
    }
    tensor *y = t_keep(n->forward(&first, x, false));
    scope_return(&s, NULL);
    return y;
}

static void run_chain(const request *r, const node *last)
{
    tensor *x = r->images, *owned = NULL;
    for (const node *n = r->backbone->chain.nodes; n <= last; ++n) {
        tensor *y = run_node(r, n, x);
        t_free(owned);
        x = owned = y;
        bool shared = n->activated && hand_out(r, n, x, true);
        if (n->activated)
            x = shared ? t_relu(x) : t_relu_(x);
        hand_out(r, n, x, false);
    }
    t_free(owned);
}

static void run(request r, const char *const *layers)
{
    const imiad_backbone *b = r.backbone;
    tensor **out = r.out, *images = r.images;
    int count = r.count;
    for (int i = 0; i < count; ++i)
        out[i] = NULL;
    if (count > MOST_FEATURES) {
        t_fail(IMIAD_OUT_OF_RANGE, "features of more than %d layers at once", MOST_FEATURES);
        return;
    }
    for (int i = 0; i < count; ++i) {
        int64_t shape[3];
        if (t_failed() || !t_try(find_loaded(&r.layers[i], b, layers[i])) ||
            !t_try(layer_shape(shape, &b->chain, &r.layers[i], b->architecture->name,
                               t_size(images, 2), t_size(images, 3))))
            return;
    }
    run_chain(&r, node_deepest(&b->chain, layers, count));
}

void backbone_features(const imiad_backbone *b, tensor *images, const char *const *layers,
                       int count, tensor **out)
{
    run((request){.backbone = b, .images = images, .count = count, .activated = true, .out = out},
        layers);
}

void backbone_sums(const imiad_backbone *b, tensor *images, const char *const *layers, int count,
                   tensor **out)
{
    run((request){.backbone = b, .images = images, .count = count, .out = out}, layers);
}

void backbone_tokens(const imiad_backbone *b, tensor *images, const char *const *layers, int count,
                     position_rule rule, tensor **out)
{
    for (int i = 0; i < count; ++i) {
        const node *n = node_find(&b->chain, layers[i]);
        if (n && !n->map)
            t_fail(IMIAD_INVALID_ARGUMENT, "layer %s of backbone %s has no tokens", layers[i],
                   b->architecture->name);
    }
    run((request){.backbone = b,
                  .images = images,
                  .count = count,
                  .activated = true,
                  .tokens = true,
                  .rule = rule,
                  .out = out},
        layers);
}

/* ---- handles ---- */

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

imiad_backbone *backbone_retain(const imiad_backbone *backbone)
{
    imiad_backbone *b = (imiad_backbone *)backbone;
    atomic_fetch_add(&b->references, 1);
    return b;
}

void imiad_backbone_free(imiad_backbone *b)
{
    if (b && atomic_fetch_sub(&b->references, 1) == 1)
        backbone_destroy(b);
}

static imiad_status with_default_weights(imiad_backbone **out, const char *name,
                                         imiad_backbone_options given)
{
    char *path;
    if (given.weights)
        return fail(IMIAD_INVALID_ARGUMENT,
                    "backbone: the default weights are asked for, and the file %s too",
                    given.weights);
    if (name && strcmp(name, default_weights_architecture) != 0)
        return fail(IMIAD_MISMATCH, "backbone: the default weights are %s's, not %s's",
                    default_weights_architecture, name);
    TRY(default_weights_find(&path));
    given.weights = path;
    imiad_status status = backbone_from_file(out, default_weights_architecture, &given);
    free(path);
    return status;
}

imiad_status imiad_backbone_create(imiad_backbone **out, const char *architecture_name,
                                   const imiad_backbone_options *options)
{
    imiad_backbone_options given = IMIAD_BACKBONE_OPTIONS_INIT;
    TRY(struct_read(&given, sizeof given, options, offsetof(imiad_backbone_options, mean),
                    "backbone options"));
    if (out && given.default_weights)
        return with_default_weights(out, architecture_name, given);
    if (!out || !architecture_name)
        return fail(IMIAD_INVALID_ARGUMENT, "backbone: out or architecture is NULL");
    return given.weights ? backbone_from_file(out, architecture_name, &given)
                         : backbone_from_seed(out, architecture_name, &given);
}

/* ---- looking ---- */

const char *imiad_backbone_name(const imiad_backbone *b)
{
    return b ? b->architecture->name : NULL;
}

const char *imiad_backbone_weights(const imiad_backbone *b)
{
    return b ? b->weights : NULL;
}

const char *imiad_backbone_provenance(const imiad_backbone *b)
{
    return b ? weights_provenance(b->digest) : NULL;
}

const char *imiad_backbone_digest(const imiad_backbone *b)
{
    return b ? b->digest : NULL;
}

const char *imiad_backbone_device(const imiad_backbone *b)
{
    return b ? b->device_text : NULL;
}

const char *imiad_backbone_precision(const imiad_backbone *b)
{
    return !b ? NULL : b->precision == F32 ? "float32" : "bfloat16";
}

const char *imiad_backbone_dialect(const imiad_backbone *b)
{
    return b ? b->dialect->name : NULL;
}

imiad_status imiad_backbone_input(float mean[3], float deviation[3], const imiad_backbone *b)
{
    if (!mean || !deviation || !b)
        return fail(IMIAD_INVALID_ARGUMENT, "backbone input: NULL");
    memcpy(mean, b->mean, sizeof b->mean);
    memcpy(deviation, b->std, sizeof b->std);
    return IMIAD_OK;
}

size_t imiad_backbone_layer_count(const imiad_backbone *b)
{
    return b ? layer_count(&b->chain) : 0;
}

imiad_status imiad_backbone_layer_info(imiad_backbone_layer *out, const imiad_backbone *b,
                                       size_t index)
{
    chain_layer l;
    imiad_backbone_layer found = {.struct_size = sizeof found};
    if (!b || !layer_at(&l, found.name, &b->chain, index))
        return fail(IMIAD_INVALID_ARGUMENT, "backbone layer: no backbone, or %zu is past the last",
                    index);
    found.channels = l.node->channels;
    found.stride = l.class_token ? 0 : layer_stride(&b->chain, &l);
    found.loaded = (size_t)(l.node - b->chain.nodes) < b->loaded;
    return struct_write(out, sizeof found, &found, sizeof found, "backbone layer");
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

imiad_status backbone_save(const imiad_backbone *b, weights_writer *writer, const char *prefix,
                           const char *const *layers, int count)
{
    for (const node *n = b->chain.nodes; n <= node_deepest(&b->chain, layers, count); ++n)
        for (int j = 0; j < n->unit_count; ++j)
            for (int k = 0; k < UNIT_TENSORS; ++k) {
                char own[LONGEST_NAME], name[2 * LONGEST_NAME];
                tensor *t = n->units[j].tensors[k];
                if (!t)
                    continue;
                snprintf(name, sizeof name, "%s%s", prefix, unit_tensor_name(own, &n->units[j], k));
                TRY(weights_writer_add_tensor(writer, name, t));
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
