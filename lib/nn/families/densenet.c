/* DenseNet-121 of Huang, Liu, van der Maaten, Weinberger (CVPR 2017), with torchvision's names:
 * every layer of a block is given all that stands before it. */
#include <stdio.h>

#include "nn/chain.h"

typedef struct densenet {
    int blocks[4];
    int64_t growth, first;
} densenet;

enum { BOTTLENECK = 4, MOST_DENSE = 64 }; /* the 1x1 convolution's channels, in growths */

/* ---- running ---- */

static tensor *forward_convolution(const node *self, tensor *x, bool training)
{
    return unit_run(&self->units[0], x, training);
}

static tensor *forward_pool(const node *self, tensor *x, bool training)
{
    return t_max_pool2d(x, 3, 2, 1, false);
}

/* Norm, 1x1 convolution with the norm behind it, 3x3 convolution: three units a layer. */
static tensor *forward_block(const node *self, tensor *x, bool training)
{
    tensor *parts[MOST_DENSE + 1] = {x};
    int count = 1;
    for (const unit *u = self->units; u < self->units + self->unit_count; u += 3) {
        tensor *y = count == 1 ? x : t_cat(parts, count, 1);
        y = t_relu_(unit_run(&u[0], y, training));
        y = t_relu_(unit_run(&u[1], y, training));
        parts[count++] = unit_run(&u[2], y, training);
    }
    return t_cat(parts, count, 1);
}

static tensor *forward_transition(const node *self, tensor *x, bool training)
{
    x = t_relu_(unit_run(&self->units[0], x, training));
    return t_avg_pool2d(unit_run(&self->units[1], x, training), 2, 2, 0, true);
}

static imiad_status halve(const node *self, int64_t *height, int64_t *width)
{
    *height /= 2;
    *width /= 2;
    return IMIAD_OK;
}

/* ---- building ---- */

static unit convolution(int64_t inputs, int64_t outputs, int kernel)
{
    return (unit){.kind = UNIT_CONVOLUTION,
                  .inputs = inputs,
                  .outputs = outputs,
                  .kernel = kernel,
                  .stride = 1,
                  .padding = kernel / 2,
                  .unbiased = true};
}

static void add_norm(node_chain *out, int64_t channels, const char *name)
{
    chain_unit(out, &(unit){.kind = UNIT_BATCH_NORM, .outputs = channels}, name);
}

static void add_dense_layer(node_chain *out, int block, int layer, int64_t inputs, int64_t growth)
{
    char owner[48], name[64];
    snprintf(owner, sizeof owner, "features.denseblock%d.denselayer%d", block, layer);
    snprintf(name, sizeof name, "%s.norm1", owner);
    add_norm(out, inputs, name);
    unit narrow = convolution(inputs, BOTTLENECK * growth, 1);
    snprintf(narrow.norm, sizeof narrow.norm, "%s.norm2", owner);
    snprintf(name, sizeof name, "%s.conv1", owner);
    chain_unit(out, &narrow, name);
    const unit wide = convolution(BOTTLENECK * growth, growth, 3);
    snprintf(name, sizeof name, "%s.conv2", owner);
    chain_unit(out, &wide, name);
}

/* Returns the output's channels. */
static int64_t add_block(node_chain *out, const densenet *d, int block, int64_t inputs)
{
    node *n = chain_add(out, "features.denseblock%d", block);
    n->forward = forward_block;
    n->channels = inputs + d->blocks[block - 1] * d->growth;
    for (int i = 0; i < d->blocks[block - 1]; ++i)
        add_dense_layer(out, block, i + 1, inputs + i * d->growth, d->growth);
    return inputs + d->blocks[block - 1] * d->growth;
}

static int64_t add_transition(node_chain *out, int number, int64_t inputs)
{
    char name[64];
    node *n = chain_add(out, "features.transition%d", number);
    n->forward = forward_transition;
    n->grid = halve;
    n->stride = 2;
    n->channels = inputs / 2;
    snprintf(name, sizeof name, "features.transition%d.norm", number);
    add_norm(out, inputs, name);
    const unit c = convolution(inputs, inputs / 2, 1);
    snprintf(name, sizeof name, "features.transition%d.conv", number);
    chain_unit(out, &c, name);
    return inputs / 2;
}

static imiad_status densenet_build(node_chain *out, const architecture *self)
{
    const densenet *d = self->variant;
    int64_t channels = d->first;
    node *stem = chain_add(out, "features.relu0");
    stem->forward = forward_convolution;
    stem->activated = true;
    stem->stride = 2;
    stem->channels = channels;
    snprintf(stem->sum, sizeof stem->sum, "features.norm0");
    unit first = convolution(3, channels, 7);
    first.stride = 2;
    snprintf(first.norm, sizeof first.norm, "features.norm0");
    chain_unit(out, &first, "features.conv0");
    node *pool = chain_add(out, "features.pool0");
    pool->forward = forward_pool;
    pool->stride = 2;
    pool->channels = channels;
    for (int block = 1; block <= 4; ++block) {
        channels = add_block(out, d, block, channels);
        if (block < 4)
            channels = add_transition(out, block, channels);
    }
    node *last = chain_add(out, "features.norm5");
    last->forward = forward_convolution;
    last->channels = channels;
    add_norm(out, channels, "features.norm5");
    return out->status;
}

/* As torchvision's published file names them: of a time when parts could have dots. */
static const name_rule dotted[] = {
    {"features.denseblock#.denselayer#.norm1", "features.denseblock#.denselayer#.norm.1",
     RULE_NAME_ONLY},
    {"features.denseblock#.denselayer#.norm2", "features.denseblock#.denselayer#.norm.2",
     RULE_NAME_ONLY},
    {"features.denseblock#.denselayer#.conv1", "features.denseblock#.denselayer#.conv.1",
     RULE_NAME_ONLY},
    {"features.denseblock#.denselayer#.conv2", "features.denseblock#.denselayer#.conv.2",
     RULE_NAME_ONLY},
    {NULL, NULL, RULE_NAME_ONLY},
};
static const dialect dialects[] = {
    {.name = "torchvision"}, {.name = "torchvision's dotted", .rules = dotted}, {.name = NULL}};

const architecture densenet_architectures[] = {
    {"densenet121", densenet_build, &(const densenet){{6, 12, 24, 16}, 32, 64}, dialects},
    {.name = NULL},
};
