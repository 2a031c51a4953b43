#include "nn/families/residual.h"

#include <stdio.h>

enum { BRANCH_COUNT }; /* the setting: so many units form the main branch, the rest the shortcut */

/* ---- running ---- */

static tensor *forward_convolution(const node *self, tensor *x, bool training)
{
    return unit_run(&self->units[0], x, training);
}

/* The branch, then the shortcut: the identity, or a convolution where the shapes differ. */
static tensor *forward_block(const node *self, tensor *x, bool training)
{
    tensor *shortcut = x;
    int branch = self->settings[BRANCH_COUNT];
    if (self->unit_count > branch)
        shortcut = unit_run(&self->units[branch], x, training);
    for (int i = 0; i < branch; ++i) {
        x = unit_run(&self->units[i], x, training);
        if (i < branch - 1)
            x = t_relu_(x);
    }
    if (self->units[0].tensors[UNIT_MEAN]) /* trained: recorded, unlike the sum in place */
        return t_add(x, shortcut);
    t_add_(x, shortcut, 1);
    return x;
}

/* ---- making ---- */

static unit convolution(int64_t inputs, int64_t outputs, int kernel, int stride)
{
    return (unit){.kind = UNIT_CONVOLUTION,
                  .inputs = inputs,
                  .outputs = outputs,
                  .kernel = kernel,
                  .stride = stride,
                  .padding = kernel / 2};
}

static void upsample(unit *u)
{
    u->kind = UNIT_TRANSPOSED;
    u->kernel = 2;
    u->padding = 0;
}

void convolution_add(node_chain *chain, const layer_names *names, int64_t inputs, int64_t outputs,
                     int kernel, int stride)
{
    node *n = chain_add(chain, "%s", names->node);
    n->forward = forward_convolution;
    n->activated = true;
    n->stride = stride;
    n->channels = outputs;
    const unit c = convolution(inputs, outputs, kernel, stride);
    snprintf(chain_unit(chain, &c, names->convolution)->norm, sizeof c.norm, "%s", names->norm);
}

/* "conv1" and "bn1", "conv2" and "bn2", ... behind the node's name */
static void add_to_branch(node_chain *chain, const char *node_name, int number, unit u)
{
    char name[sizeof u.name];
    snprintf(name, sizeof name, "%.40s.conv%d", node_name, number);
    snprintf(u.norm, sizeof u.norm, "%.40s.bn%d", node_name, number);
    chain_unit(chain, &u, name);
}

/* The convolutions of the main branch; returns their number. */
static int list_branch(unit out[3], const residual *r)
{
    unit strided = convolution(r->bottleneck ? r->inner : r->inputs, r->inner, 3, r->stride);
    strided.groups = r->groups;
    if (r->upsampling)
        upsample(&strided);
    if (r->bottleneck) {
        out[0] = convolution(r->inputs, r->inner, 1, 1);
        out[1] = strided;
        out[2] = convolution(r->inner, r->outputs, 1, 1);
        return 3;
    }
    out[0] = strided;
    out[1] = convolution(r->inner, r->outputs, 3, 1);
    return 2;
}

void residual_add(node_chain *chain, const char *stage, int block, bool last_of_stage,
                  const residual *r)
{
    node *n = chain_add(chain, "%s.%d", stage, block);
    if (last_of_stage)
        snprintf(n->stage, sizeof n->stage, "%s", stage);
    unit branch[3];
    int count = list_branch(branch, r);
    n->forward = forward_block;
    n->activated = true;
    n->stride = r->stride;
    n->channels = r->outputs;
    n->settings[BRANCH_COUNT] = count;
    char name[sizeof branch->name];
    snprintf(name, sizeof name, "%.40s", n->name);
    for (int i = 0; i < count; ++i)
        add_to_branch(chain, name, i + 1, branch[i]);
    if (r->stride == 1 && r->inputs == r->outputs)
        return;
    unit shortcut = convolution(r->inputs, r->outputs, 1, r->stride);
    const char *what = r->upsampling ? "upsample" : "downsample";
    if (r->upsampling)
        upsample(&shortcut);
    snprintf(name, sizeof name, "%s.%d.%s.0", stage, block, what);
    snprintf(shortcut.norm, sizeof shortcut.norm, "%s.%d.%s.1", stage, block, what);
    chain_unit(chain, &shortcut, name);
}
