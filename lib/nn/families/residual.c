#include "nn/families/residual.h"

#include <stdio.h>

/* ---- running ---- */

static tensor *forward_convolution(const node *self, tensor *x, bool training)
{
    return convolution_forward(&self->convolutions[0], x, training);
}

/* The branch, then the shortcut: the identity, or a convolution where the shapes differ. */
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

/* ---- making ---- */

static convolution *add_convolution(node *n, int64_t inputs, int64_t outputs, int kernel,
                                    int stride)
{
    convolution *c = &n->convolutions[n->convolution_count++];
    c->inputs = inputs;
    c->outputs = outputs;
    c->kernel = kernel;
    c->stride = stride;
    c->padding = kernel / 2;
    n->channels = outputs;
    return c;
}

static void upsample(convolution *c)
{
    c->transposed = true;
    c->kernel = 2;
    c->padding = 0;
}

void convolution_make(node *n, const layer_names *names, int64_t inputs, int64_t outputs,
                      int kernel, int stride)
{
    snprintf(n->name, sizeof n->name, "%s", names->node);
    n->forward = forward_convolution;
    n->activated = true;
    n->stride = stride;
    convolution *c = add_convolution(n, inputs, outputs, kernel, stride);
    snprintf(c->name, sizeof c->name, "%s", names->convolution);
    snprintf(c->norm, sizeof c->norm, "%s", names->norm);
    n->branch_count = 1;
}

/* "conv1" and "bn1", "conv2" and "bn2", ... */
static void name_branch(node *n)
{
    n->branch_count = n->convolution_count;
    for (int i = 0; i < n->branch_count; ++i) {
        convolution *c = &n->convolutions[i];
        snprintf(c->name, sizeof c->name, "%s.conv%d", n->name, i + 1);
        snprintf(c->norm, sizeof c->norm, "%s.bn%d", n->name, i + 1);
    }
}

void residual_make(node *n, const char *stage, int block, bool last_of_stage, const residual *r)
{
    convolution *strided;
    snprintf(n->name, sizeof n->name, "%s.%d", stage, block);
    if (last_of_stage)
        snprintf(n->stage, sizeof n->stage, "%s", stage);
    n->forward = forward_block;
    n->activated = true;
    n->stride = r->stride;
    if (r->bottleneck) {
        add_convolution(n, r->inputs, r->inner, 1, 1);
        strided = add_convolution(n, r->inner, r->inner, 3, r->stride);
        add_convolution(n, r->inner, r->outputs, 1, 1);
    } else {
        strided = add_convolution(n, r->inputs, r->inner, 3, r->stride);
        add_convolution(n, r->inner, r->outputs, 3, 1);
    }
    name_branch(n);
    if (r->upsampling)
        upsample(strided);
    if (r->stride == 1 && r->inputs == r->outputs)
        return;
    convolution *shortcut = add_convolution(n, r->inputs, r->outputs, 1, r->stride);
    const char *what = r->upsampling ? "upsample" : "downsample";
    snprintf(shortcut->name, sizeof shortcut->name, "%s.%d.%s.0", stage, block, what);
    snprintf(shortcut->norm, sizeof shortcut->norm, "%s.%d.%s.1", stage, block, what);
    if (r->upsampling)
        upsample(shortcut);
}
