/* The VGG networks of Simonyan, Zisserman (ICLR 2015), with torchvision's names: convolutions,
 * batch norms, ReLUs and pools are numbered through. With batch norm a convolution's own number is
 * no layer: it is folded into the norm behind it. */
#include <stdio.h>

#include "nn/chain.h"

/* Channels of the convolutions; 0 is a pool, -1 the end. */
static const int of_11[] = {64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0, -1};
static const int of_13[] = {64, 64, 0, 128, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0, -1};
static const int of_16[] = {64,  64,  0,   128, 128, 0,   256, 256, 256, 0,
                            512, 512, 512, 0,   512, 512, 512, 0,   -1};
static const int of_19[] = {64,  64,  0,   128, 128, 0,   256, 256, 256, 256, 0,
                            512, 512, 512, 512, 0,   512, 512, 512, 512, 0,   -1};

typedef struct vgg {
    const int *channels;
    bool normed;
} vgg;

static tensor *forward_convolution(const node *self, tensor *x, bool training)
{
    return unit_run(&self->units[0], x, training);
}

static tensor *forward_pool(const node *self, tensor *x, bool training)
{
    return t_max_pool2d(x, 2, 2, 0, false);
}

/* The last odd row or column is left. */
static imiad_status halve(const node *self, int64_t *height, int64_t *width)
{
    *height /= 2;
    *width /= 2;
    return IMIAD_OK;
}

/* Returns the next free number. */
static int add_convolution(node_chain *out, int number, int64_t inputs, int64_t outputs,
                           bool normed)
{
    int relu = number + (normed ? 2 : 1);
    char name[64];
    unit u = {.kind = UNIT_CONVOLUTION,
              .inputs = inputs,
              .outputs = outputs,
              .kernel = 3,
              .stride = 1,
              .padding = 1,
              .biased = normed};
    if (normed)
        snprintf(u.norm, sizeof u.norm, "features.%d", number + 1);
    node *n = chain_add(out, "features.%d", relu);
    snprintf(n->sum, sizeof n->sum, "features.%d", relu - 1);
    n->forward = forward_convolution;
    n->activated = true;
    n->channels = outputs;
    snprintf(name, sizeof name, "features.%d", number);
    chain_unit(out, &u, name);
    return relu + 1;
}

static imiad_status vgg_build(node_chain *out, const architecture *self)
{
    const vgg *v = self->variant;
    int64_t inputs = 3;
    int number = 0;
    for (const int *channels = v->channels; *channels >= 0; ++channels) {
        if (*channels > 0) {
            number = add_convolution(out, number, inputs, *channels, v->normed);
            inputs = *channels;
            continue;
        }
        node *pool = chain_add(out, "features.%d", number++);
        pool->forward = forward_pool;
        pool->grid = halve;
        pool->stride = 2;
        pool->channels = inputs;
    }
    return out->status;
}

#define VGG(channels, normed) vgg_build, &(const vgg){channels, normed}, NULL

const architecture vgg_architectures[] = {
    {"vgg11", VGG(of_11, false)},   {"vgg11_bn", VGG(of_11, true)}, {"vgg13", VGG(of_13, false)},
    {"vgg13_bn", VGG(of_13, true)}, {"vgg16", VGG(of_16, false)},   {"vgg16_bn", VGG(of_16, true)},
    {"vgg19", VGG(of_19, false)},   {"vgg19_bn", VGG(of_19, true)}, {.name = NULL},
};
