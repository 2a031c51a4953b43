/* The residual networks of He, Zhang, Ren, Sun (CVPR 2016) and their wide variants (Zagoruyko,
 * Komodakis, BMVC 2016), with torchvision's names: the stride of a bottleneck is at its 3x3. */
#include "nn/families/resnet.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "nn/families/residual.h"

const architecture resnet_architectures[] = {
    {"resnet18", resnet_build, &(const resnet){{2, 2, 2, 2}, false, 64}},
    {"resnet34", resnet_build, &(const resnet){{3, 4, 6, 3}, false, 64}},
    {"resnet50", resnet_build, &(const resnet){{3, 4, 6, 3}, true, 64}},
    {"resnet101", resnet_build, &(const resnet){{3, 4, 23, 3}, true, 64}},
    {"wide_resnet50_2", resnet_build, &(const resnet){{3, 4, 6, 3}, true, 128}},
    {NULL, NULL, NULL},
};

const resnet *resnet_of(const architecture *a)
{
    return a->build == resnet_build ? a->variant : NULL;
}

static tensor *forward_pool(const node *self, tensor *x, bool training)
{
    return t_max_pool2d(x, 3, 2, 1, false);
}

static imiad_status make_nodes(node_chain *out, size_t count)
{
    node *nodes = calloc(count, sizeof *nodes);
    if (!nodes)
        return fail_memory("a network", count * sizeof *nodes);
    *out = (node_chain){nodes, count};
    return IMIAD_OK;
}

/* Blocks with 64, 128, 256 or 512 planes, the first one strided; returns the node behind them. */
static node *make_stage(node *n, const char *name, int blocks, int64_t planes, residual r)
{
    int64_t width = r.inner;
    r.outputs = r.bottleneck ? 4 * planes : planes;
    r.inner = r.bottleneck ? planes * width / 64 : planes;
    for (int i = 0; i < blocks; ++i) {
        residual_make(n++, name, i, i == blocks - 1, &r);
        r.inputs = r.outputs;
        r.stride = 1;
        r.upsampling = false;
    }
    return n;
}

imiad_status resnet_build(node_chain *out, const architecture *self)
{
    const resnet *r = self->variant;
    size_t count = 2;
    for (int stage = 0; stage < 4; ++stage)
        count += (size_t)r->blocks[stage];
    TRY(make_nodes(out, count));
    node *n = out->nodes;
    convolution_make(n++, &(layer_names){"relu", "conv1", "bn1"}, 3, 64, 7, 2);
    *n++ = (node){.name = "maxpool", .forward = forward_pool, .stride = 2, .channels = 64};
    for (int stage = 0; stage < 4; ++stage) {
        char name[16];
        snprintf(name, sizeof name, "layer%d", stage + 1);
        n = make_stage(n, name, r->blocks[stage], 64 << stage,
                       (residual){.inputs = n[-1].channels,
                                  .inner = r->width,
                                  .stride = stage > 0 ? 2 : 1,
                                  .bottleneck = r->bottleneck});
    }
    return IMIAD_OK;
}

/* ---- around a ResNet ---- */

/* Channels of layer4, of layer3's half, ...: of `planes`. */
static int64_t channels_of(const resnet *r, int64_t planes)
{
    return r->bottleneck ? 4 * planes : planes;
}

imiad_status resnet_decoder_build(node_chain *out, const architecture *encoder)
{
    const resnet *r = encoder->variant;
    TRY(make_nodes(out, (size_t)(r->blocks[0] + r->blocks[1] + r->blocks[2])));
    node *n = out->nodes;
    int64_t inputs = channels_of(r, 512);
    for (int stage = 0; stage < 3; ++stage) {
        char name[16];
        snprintf(name, sizeof name, "layer%d", stage + 1);
        n = make_stage(n, name, r->blocks[stage], 256 >> stage,
                       (residual){.inputs = inputs,
                                  .inner = r->width,
                                  .stride = 2,
                                  .bottleneck = r->bottleneck,
                                  .upsampling = true});
        inputs = n[-1].channels;
    }
    return IMIAD_OK;
}

static imiad_status build_fusion(node_chain *out, const resnet *r, int width)
{
    int64_t first = channels_of(r, 64), second = channels_of(r, 128), third = channels_of(r, 256);
    TRY(make_nodes(out, 3 + (size_t)r->blocks[0]));
    node *n = out->nodes;
    convolution_make(n++, &(layer_names){"conv1", "conv1", "bn1"}, first, second, 3, 2);
    convolution_make(n++, &(layer_names){"conv2", "conv2", "bn2"}, second, third, 3, 2);
    convolution_make(n++, &(layer_names){"conv3", "conv3", "bn3"}, second, third, 3, 2);
    make_stage(
        n, "bn_layer", r->blocks[0], 512,
        (residual){.inputs = 3 * third, .inner = width, .stride = 2, .bottleneck = r->bottleneck});
    return IMIAD_OK;
}

imiad_status resnet_fusion_build(node_chain *out, const architecture *encoder)
{
    return build_fusion(out, encoder->variant, 64);
}

imiad_status resnet_wide_fusion_build(node_chain *out, const architecture *encoder)
{
    const resnet *r = encoder->variant;
    return build_fusion(out, r, r->width);
}
