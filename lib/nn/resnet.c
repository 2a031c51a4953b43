/* The residual networks of He, Zhang, Ren, Sun (CVPR 2016) and their wide variants (Zagoruyko,
 * Komodakis, BMVC 2016), with torchvision's names: the stride of a bottleneck is at its 3x3. */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "nn/backbone.h"

typedef struct resnet {
    int blocks[4];
    bool bottleneck;
    int width; /* of the first stage's inner convolutions: 64; 128 in the wide ones */
} resnet;

const architecture resnet_architectures[] = {
    {"resnet18", resnet_build, &(const resnet){{2, 2, 2, 2}, false, 64}},
    {"resnet34", resnet_build, &(const resnet){{3, 4, 6, 3}, false, 64}},
    {"resnet50", resnet_build, &(const resnet){{3, 4, 6, 3}, true, 64}},
    {"resnet101", resnet_build, &(const resnet){{3, 4, 23, 3}, true, 64}},
    {"wide_resnet50_2", resnet_build, &(const resnet){{3, 4, 6, 3}, true, 128}},
    {NULL, NULL, NULL},
};

static tensor *forward_stem(const node *self, tensor *x, bool training)
{
    return convolution_forward(&self->convolutions[0], x, training);
}

static tensor *forward_pool(const node *self, tensor *x, bool training)
{
    return t_max_pool2d(x, 3, 2, 1, false);
}

/* The branch, then the shortcut: the identity, or a 1x1 convolution where the shapes differ. */
static tensor *forward_block(const node *self, tensor *x, bool training)
{
    tensor *shortcut = x;
    if (self->convolution_count > self->branch_count)
        shortcut = convolution_forward(&self->convolutions[self->branch_count], x, training);
    for (int i = 0; i < self->branch_count; ++i) {
        x = convolution_forward(&self->convolutions[i], x, training);
        if (i < self->branch_count - 1)
            x = t_relu_(x);
    }
    if (training) /* recorded, unlike the sum in place */
        return t_add(x, shortcut);
    t_add_(x, shortcut, 1);
    return x;
}

static void add_convolution(node *n, const char *name, const char *norm, int64_t inputs,
                            int64_t outputs, int kernel, int stride)
{
    convolution *c = &n->convolutions[n->convolution_count++];
    char owner[sizeof n->name + 1] = ""; /* the stem's convolution has none */
    if (n->name[0])
        snprintf(owner, sizeof owner, "%s.", n->name);
    snprintf(c->name, sizeof c->name, "%s%s", owner, name);
    snprintf(c->norm, sizeof c->norm, "%s%s", owner, norm);
    c->inputs = inputs;
    c->outputs = outputs;
    c->kernel = kernel;
    c->stride = stride;
    c->padding = kernel / 2;
    n->channels = outputs;
}

static void make_block(node *n, const resnet *r, int stage, int block, int64_t inputs)
{
    int64_t planes = 64 << stage, outputs = r->bottleneck ? 4 * planes : planes;
    int64_t inner = r->bottleneck ? planes * r->width / 64 : planes;
    int stride = stage > 0 && block == 0 ? 2 : 1;
    snprintf(n->name, sizeof n->name, "layer%d.%d", stage + 1, block);
    if (block == r->blocks[stage] - 1)
        snprintf(n->stage, sizeof n->stage, "layer%d", stage + 1);
    n->forward = forward_block;
    n->activated = true;
    n->stride = stride;
    if (r->bottleneck) {
        add_convolution(n, "conv1", "bn1", inputs, inner, 1, 1);
        add_convolution(n, "conv2", "bn2", inner, inner, 3, stride);
        add_convolution(n, "conv3", "bn3", inner, outputs, 1, 1);
    } else {
        add_convolution(n, "conv1", "bn1", inputs, inner, 3, stride);
        add_convolution(n, "conv2", "bn2", inner, outputs, 3, 1);
    }
    n->branch_count = n->convolution_count;
    if (stride != 1 || inputs != outputs)
        add_convolution(n, "downsample.0", "downsample.1", inputs, outputs, 1, stride);
}

imiad_status resnet_build(node_chain *out, const architecture *self)
{
    const resnet *r = self->variant;
    size_t count = 2;
    for (int stage = 0; stage < 4; ++stage)
        count += (size_t)r->blocks[stage];
    node *nodes = calloc(count, sizeof *nodes);
    if (!nodes)
        return fail_memory("a backbone", count * sizeof *nodes);

    add_convolution(&nodes[0], "conv1", "bn1", 3, 64, 7, 2);
    nodes[0].branch_count = 1;
    snprintf(nodes[0].name, sizeof nodes[0].name, "relu");
    nodes[0].forward = forward_stem;
    nodes[0].activated = true;
    nodes[0].stride = 2;
    nodes[1] = (node){.name = "maxpool", .forward = forward_pool, .stride = 2, .channels = 64};

    node *n = &nodes[2];
    int64_t channels = 64;
    for (int stage = 0; stage < 4; ++stage)
        for (int block = 0; block < r->blocks[stage]; ++block, ++n) {
            make_block(n, r, stage, block, channels);
            channels = n->channels;
        }
    *out = (node_chain){nodes, count};
    return IMIAD_OK;
}
