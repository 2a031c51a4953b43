/* The residual networks of He, Zhang, Ren, Sun (CVPR 2016) and their wide variants (Zagoruyko,
 * Komodakis, BMVC 2016), with torchvision's names: the stride of a bottleneck is at its 3x3. */
#include "nn/families/resnet.h"

#include <stdio.h>

#include "nn/families/residual.h"

static imiad_status resnet_build(node_chain *out, const architecture *self);

/* clang-format off */
#define BUILT(blocks, bottleneck, width, groups) \
    resnet_build, &(const resnet){blocks, bottleneck, width, groups}, NULL
#define BLOCKS(...) {__VA_ARGS__}

const architecture resnet_architectures[] = {
    {"resnet18", BUILT(BLOCKS(2, 2, 2, 2), false, 64, 1)},
    {"resnet34", BUILT(BLOCKS(3, 4, 6, 3), false, 64, 1)},
    {"resnet50", BUILT(BLOCKS(3, 4, 6, 3), true, 64, 1)},
    {"resnet101", BUILT(BLOCKS(3, 4, 23, 3), true, 64, 1)},
    {"wide_resnet50_2", BUILT(BLOCKS(3, 4, 6, 3), true, 128, 1)},
    {"resnet152", BUILT(BLOCKS(3, 8, 36, 3), true, 64, 1)},
    {"wide_resnet101_2", BUILT(BLOCKS(3, 4, 23, 3), true, 128, 1)},
    {"resnext50_32x4d", BUILT(BLOCKS(3, 4, 6, 3), true, 128, 32)},
    {.name = NULL},
};
/* clang-format on */

const resnet *resnet_of(const architecture *a)
{
    return a->build == resnet_build ? a->variant : NULL;
}

static tensor *forward_pool(const node *self, tensor *x, bool training)
{
    return t_max_pool2d(x, 3, 2, 1, false);
}

/* Blocks with 64, 128, 256 or 512 planes, the first one strided. */
static void add_stage(node_chain *chain, const char *name, int blocks, int64_t planes, residual r)
{
    int64_t width = r.inner;
    r.outputs = r.bottleneck ? 4 * planes : planes;
    r.inner = r.bottleneck ? planes * width / 64 : planes;
    for (int i = 0; i < blocks; ++i) {
        residual_add(chain, name, i, i == blocks - 1, &r);
        r.inputs = r.outputs;
        r.stride = 1;
        r.upsampling = false;
    }
}

static imiad_status resnet_build(node_chain *out, const architecture *self)
{
    const resnet *r = self->variant;
    convolution_add(out, &(layer_names){"relu", "conv1", "bn1"}, 3, 64, 7, 2);
    node *pool = chain_add(out, "maxpool");
    pool->forward = forward_pool;
    pool->stride = 2;
    pool->channels = 64;
    for (int stage = 0; stage < 4; ++stage) {
        char name[16];
        snprintf(name, sizeof name, "layer%d", stage + 1);
        add_stage(out, name, r->blocks[stage], 64 << stage,
                  (residual){.inputs = chain_last(out)->channels,
                             .inner = r->width,
                             .stride = stage > 0 ? 2 : 1,
                             .groups = r->groups,
                             .bottleneck = r->bottleneck});
    }
    return out->status;
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
    int64_t inputs = channels_of(r, 512);
    for (int stage = 0; stage < 3; ++stage) {
        char name[16];
        snprintf(name, sizeof name, "layer%d", stage + 1);
        add_stage(out, name, r->blocks[stage], 256 >> stage,
                  (residual){.inputs = inputs,
                             .inner = r->width,
                             .stride = 2,
                             .groups = r->groups,
                             .bottleneck = r->bottleneck,
                             .upsampling = true});
        inputs = chain_last(out)->channels;
    }
    return out->status;
}

static imiad_status build_fusion(node_chain *out, const resnet *r, int width)
{
    int64_t first = channels_of(r, 64), second = channels_of(r, 128), third = channels_of(r, 256);
    convolution_add(out, &(layer_names){"conv1", "conv1", "bn1"}, first, second, 3, 2);
    convolution_add(out, &(layer_names){"conv2", "conv2", "bn2"}, second, third, 3, 2);
    convolution_add(out, &(layer_names){"conv3", "conv3", "bn3"}, second, third, 3, 2);
    add_stage(out, "bn_layer", r->blocks[0], 512,
              (residual){.inputs = 3 * third,
                         .inner = width,
                         .stride = 2,
                         .groups = width == r->width ? r->groups : 1,
                         .bottleneck = r->bottleneck});
    return out->status;
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
