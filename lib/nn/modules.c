/* Activations, linear layers and convolutions. */
#include "nn/modules.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- activations ---- */

tensor *activate(tensor *x, activation kind)
{
    switch (kind) {
    case NO_ACTIVATION:
        return x;
    case RELU:
        return t_relu(x);
    case RELU6:
        return t_relu6(x);
    case LEAKY_RELU:
        return t_leaky_relu(x, 0.01);
    case LEAKY_RELU_02:
        return t_leaky_relu(x, 0.2);
    case ELU:
        return t_elu(x, 1);
    case GELU:
        return t_gelu(x);
    case SILU:
        return t_silu(x);
    case HARD_SWISH:
        return t_hardswish(x);
    case HARD_SIGMOID:
        return t_hardsigmoid(x);
    case SIGMOID:
        return t_sigmoid(x);
    case TANH:
        return t_tanh(x);
    case SOFTPLUS:
        return t_softplus(x);
    }
    return t_fail(IMIAD_INTERNAL, "%d is no activation", (int)kind);
}

tensor *activate_(tensor *x, activation kind)
{
    return kind == RELU ? t_relu_(x) : activate(x, kind);
}

/* ---- linear ---- */

linear linear_add(const builder *b, const char *name, int64_t inputs, int64_t outputs, bool biased)
{
    builder at = builder_below(b, "%s", name);
    linear l = {weight_add(&at, 2, (int64_t[]){outputs, inputs}), NULL};
    if (biased)
        l.bias = bias_add(&at, outputs, l.weight);
    return l;
}

tensor *linear_run(const linear *l, tensor *x)
{
    return t_linear(x, l->weight, l->bias);
}

/* B (A x + a) + b */
linear linear_compose(const linear *a, const linear *b)
{
    tensor *first = t_to(a->weight, F64), *second = t_to(b->weight, F64);
    tensor *bias = b->bias ? t_to(b->bias, F64) : NULL;
    if (a->bias) {
        tensor *moved = t_matmul(second, t_unsqueeze(t_to(a->bias, F64), 1));
        bias = t_plus(bias, t_squeeze(moved, 1));
    }
    return (linear){t_to(t_matmul(second, first), F32), bias ? t_to(bias, F32) : NULL};
}

/* ---- convolutions ---- */

static int at_least_1(int given)
{
    return given > 1 ? given : 1;
}

conv2d conv2d_add(const builder *b, const char *name, conv2d_spec spec)
{
    builder at = builder_below(b, "%s", name);
    spec.stride = at_least_1(spec.stride);
    spec.dilation = at_least_1(spec.dilation);
    spec.groups = at_least_1(spec.groups);
    int64_t first = spec.transposed ? spec.inputs : spec.outputs;
    int64_t second = (spec.transposed ? spec.outputs : spec.inputs) / spec.groups;
    if (spec.inputs % spec.groups || spec.outputs % spec.groups ||
        (spec.transposed && (spec.dilation > 1 || spec.padding == PADDING_SAME)))
        t_fail(IMIAD_INTERNAL,
               "the convolution %s cannot be built: its groups do not divide its "
               "channels, or a transposed one has dilation or \"same\" padding",
               at.path);
    conv2d c = {weight_add(&at, 4, (int64_t[]){first, second, spec.kernel, spec.kernel}), NULL,
                spec};
    if (spec.bias)
        c.bias = bias_add(&at, spec.outputs, c.weight);
    return c;
}

/* Zeros that a side of the image needs for TensorFlow's "same". */
static int same_padding(int64_t side, const conv2d_spec *s)
{
    int64_t outputs = (side + s->stride - 1) / s->stride;
    int64_t reach = (outputs - 1) * s->stride + (int64_t)(s->kernel - 1) * s->dilation + 1;
    return reach > side ? (int)(reach - side) : 0;
}

static tensor *run_same(const conv2d *c, tensor *x)
{
    const conv2d_spec *s = &c->spec;
    int rows = same_padding(t_size(x, -2), s), columns = same_padding(t_size(x, -1), s);
    if (rows == columns && rows % 2 == 0)
        return t_conv2d(x, c->weight, c->bias, s->stride, rows / 2, s->dilation, s->groups);
    x = t_pad2d(x, columns / 2, columns - columns / 2, rows / 2, rows - rows / 2, PAD_ZERO);
    return t_conv2d(x, c->weight, c->bias, s->stride, 0, s->dilation, s->groups);
}

tensor *conv2d_run(const conv2d *c, tensor *x)
{
    const conv2d_spec *s = &c->spec;
    if (s->turned)
        return t_conv_turned2d(x, c->weight, c->bias, s->stride, s->padding);
    if (s->transposed)
        return t_conv_transpose2d(x, c->weight, c->bias, s->stride, s->padding, s->output_padding,
                                  s->groups);
    if (s->padding == PADDING_SAME)
        return run_same(c, x);
    return t_conv2d(x, c->weight, c->bias, s->stride, s->padding, s->dilation, s->groups);
}

void conv2d_turn(conv2d *c)
{
    const conv2d_spec *s = &c->spec;
    bool can = s->transposed && !s->turned && s->groups == 1 && s->output_padding == 0 &&
               s->kernel % s->stride == 0;
    if (!can || t_type(c->weight) != F32 || t_device(c->weight).cuda)
        return;
    scope opened = scope_begin();
    t_become_(c->weight, t_turned_kernels(c->weight, s->stride, s->padding));
    c->spec.turned = true;
    scope_return(&opened, NULL);
}

/* ---- blocks ---- */

conv_block conv_block_add(const builder *b, const char *conv, const char *norm, conv2d_spec spec,
                          activation kind)
{
    conv_block c = {.conv = conv2d_add(b, conv, spec), .activation = kind};
    if (norm)
        c.norm = batch_norm_add(b, norm, spec.outputs);
    return c;
}

tensor *conv_block_run(const conv_block *c, tensor *x, bool training)
{
    x = batch_norm_run(&c->norm, conv2d_run(&c->conv, x), training);
    return activate_(x, c->activation);
}

void conv_block_fold(conv_block *c, params *store)
{
    conv2d_fold(&c->conv, &c->norm, store);
}
