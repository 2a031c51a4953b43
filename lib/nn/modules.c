/* Builders, activations, linear layers and convolutions. */
#include "nn/modules.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- builders ---- */

enum { NAME_BYTES = 256 };

builder builder_below(const builder *b, const char *format, ...)
{
    builder below = *b;
    size_t used = strlen(below.path), room = sizeof below.path - used;
    int dot = used ? snprintf(below.path + used, room, ".") : 0;
    va_list arguments;
    va_start(arguments, format);
    int more = vsnprintf(below.path + used + dot, room - (size_t)dot, format, arguments);
    va_end(arguments);
    if ((size_t)(dot + more) >= room)
        t_fail(IMIAD_INTERNAL, "the path of a module is too long: %s", below.path);
    if (more == 0)
        below.path[used] = '\0';
    return below;
}

/* "layer1.conv1.weight", or where the builder's path is empty, "weight". */
static void qualify(char out[NAME_BYTES], const char *front, const builder *b, const char *name)
{
    int length = snprintf(out, NAME_BYTES, "%s%s%s%s", front ? front : "", b->path,
                          b->path[0] && name[0] ? "." : "", name);
    if (length >= NAME_BYTES)
        t_fail(IMIAD_INTERNAL, "the name of a parameter is too long: %s", out);
}

/* The handle of a new parameter; images' kernels lie channels-last. */
static tensor *add(const builder *b, const char *name, tensor *initial, bool trainable)
{
    char whole[NAME_BYTES];
    qualify(whole, b->prefix, b, name);
    if (trainable && t_rank(initial) == 4)
        initial = t_channels_last(initial);
    return params_add(b->store, whole, t_to_device(initial, b->device), trainable);
}

static tensor *draw(const builder *b, const char *stream_end, initialisation how, int rank,
                    const int64_t *shape)
{
    char stream[NAME_BYTES];
    bool fixed = how == INIT_ZEROS || how == INIT_ONES;
    if (!b->purpose && !fixed)
        return t_zeros(rank, shape, F32, CPU);
    qualify(stream, b->purpose, b, stream_end);
    return init_weight(how, rank, shape, b->std > 0 ? b->std : 0.02, b->seed, stream);
}

tensor *parameter_add(const builder *b, const char *name, int rank, const int64_t *shape,
                      initialisation how)
{
    return add(b, name, draw(b, name, how, rank, shape), true);
}

tensor *buffer_add(const builder *b, const char *name, int rank, const int64_t *shape, double value)
{
    return add(b, name, t_full(rank, shape, value, F32, CPU), false);
}

/* "weight" of the module that the builder stands at, and its "bias". */
static tensor *add_weight(const builder *b, int rank, const int64_t *shape)
{
    const char *end = b->short_streams && b->path[0] ? "" : "weight";
    return add(b, "weight", draw(b, end, b->weights, rank, shape), true);
}

static tensor *add_bias(const builder *b, int64_t count, const tensor *weight)
{
    if (b->biases != INIT_DEFAULT || !b->purpose)
        return parameter_add(b, "bias", 1, &count, b->biases);
    char stream[NAME_BYTES];
    int64_t fan_in = t_count(weight) / (t_size(weight, 0) > 0 ? t_size(weight, 0) : 1);
    qualify(stream, b->purpose, b, "bias");
    return add(b, "bias", init_default_bias(count, fan_in, b->seed, stream), true);
}

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
    linear l = {add_weight(&at, 2, (int64_t[]){outputs, inputs}), NULL};
    if (biased)
        l.bias = add_bias(&at, outputs, l.weight);
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
    conv2d c = {add_weight(&at, 4, (int64_t[]){first, second, spec.kernel, spec.kernel}), NULL,
                spec};
    if (spec.bias)
        c.bias = add_bias(&at, spec.outputs, c.weight);
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
    if (s->transposed)
        return t_conv_transpose2d(x, c->weight, c->bias, s->stride, s->padding, s->output_padding,
                                  s->groups);
    if (s->padding == PADDING_SAME)
        return run_same(c, x);
    return t_conv2d(x, c->weight, c->bias, s->stride, s->padding, s->dilation, s->groups);
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
