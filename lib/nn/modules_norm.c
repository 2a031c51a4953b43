/* Normalisations, and folding them away. */
#include <stdio.h>
#include <string.h>

#include "nn/modules.h"

/* ---- batch norm ---- */

batch_norm batch_norm_add(const builder *b, const char *name, int64_t channels)
{
    builder at = builder_below(b, "%s", name);
    return (batch_norm){.weight = parameter_add(&at, "weight", 1, &channels, INIT_ONES),
                        .bias = parameter_add(&at, "bias", 1, &channels, INIT_ZEROS),
                        .mean = buffer_add(&at, "running_mean", 1, &channels, 0),
                        .variance = buffer_add(&at, "running_var", 1, &channels, 1),
                        .momentum = 0.1,
                        .eps = 1e-5};
}

tensor *batch_norm_run(const batch_norm *n, tensor *x, bool training)
{
    if (!n->mean)
        return x;
    return t_batch_norm(x, n->weight, n->bias, n->mean, n->variance, training && !n->frozen,
                        n->momentum, n->eps);
}

/* ---- folding: w' = w s, b' = (b - mean) s + beta, with s = gamma / sqrt(variance + eps) ---- */

static tensor *scale_of(const batch_norm *n)
{
    tensor *deviation = t_sqrt(t_add_scalar(t_to(n->variance, F64), n->eps));
    return t_div(t_to(n->weight, F64), deviation);
}

static tensor *shift_of(const batch_norm *n, tensor *scale, tensor *bias)
{
    tensor *mean = t_to(n->mean, F64);
    if (bias)
        return t_add(t_mul(t_sub(t_to(bias, F64), mean), scale), t_to(n->bias, F64));
    return t_sub(t_to(n->bias, F64), t_mul(mean, scale));
}

/* The bias that belongs to a weight, under its name in the store. */
static tensor *add_bias(params *store, const tensor *weight, tensor *bias)
{
    static const char suffix[] = "weight";
    const param *owner = params_of(store, weight);
    char name[256];
    size_t length = owner ? strlen(owner->name) : 0;
    if (length < sizeof suffix - 1 || length >= sizeof name)
        return t_fail(IMIAD_INTERNAL, "a layer that is to be folded is not in the store");
    snprintf(name, sizeof name, "%.*sbias", (int)(length - (sizeof suffix - 1)), owner->name);
    return params_add(store, name, bias, owner->trainable);
}

/* Puts a layer's new values behind its handles, and the norm out of the store. */
static void replace(tensor *weight, tensor **bias, batch_norm *n, params *store, tensor *scaled,
                    tensor *shift)
{
    t_become_(weight, t_to(scaled, F32));
    if (*bias)
        t_become_(*bias, t_to(shift, F32));
    else
        *bias = add_bias(store, weight, t_to(shift, F32));
    if (t_failed())
        return;
    params_remove(store, n->weight);
    params_remove(store, n->bias);
    params_remove(store, n->mean);
    params_remove(store, n->variance);
    n->weight = n->bias = n->mean = n->variance = NULL;
}

/* A scale for each output of a kernel, where the kernel has its outputs. */
static tensor *scale_kernel(const conv2d *c, tensor *scale)
{
    int64_t kernel = c->spec.kernel, groups = c->spec.groups, outputs = c->spec.outputs;
    tensor *weight = t_to(c->weight, F64);
    if (!c->spec.transposed)
        return t_mul(weight, t_view(scale, 4, (int64_t[]){outputs, 1, 1, 1}));
    const int64_t inputs = c->spec.inputs, each = outputs / groups;
    weight = t_view(weight, 5, (int64_t[]){groups, inputs / groups, each, kernel, kernel});
    weight = t_mul(weight, t_view(scale, 5, (int64_t[]){groups, 1, each, 1, 1}));
    return t_view(weight, 4, (int64_t[]){inputs, each, kernel, kernel});
}

void conv2d_fold(conv2d *c, batch_norm *n, params *store)
{
    if (!n->mean || t_failed())
        return;
    scope s = scope_begin();
    tensor *scale = scale_of(n);
    replace(c->weight, &c->bias, n, store, t_channels_last(scale_kernel(c, scale)),
            shift_of(n, scale, c->bias));
    scope_return(&s, NULL);
}

void linear_fold(linear *l, batch_norm *n, params *store)
{
    if (!n->mean || t_failed())
        return;
    scope s = scope_begin();
    tensor *scale = scale_of(n);
    tensor *scaled = t_mul(t_to(l->weight, F64), t_unsqueeze(scale, 1));
    replace(l->weight, &l->bias, n, store, scaled, shift_of(n, scale, l->bias));
    scope_return(&s, NULL);
}

/* ---- the others ---- */

layer_norm layer_norm_add(const builder *b, const char *name, int rank, const int64_t *shape)
{
    builder at = builder_below(b, "%s", name);
    return (layer_norm){.weight = parameter_add(&at, "weight", rank, shape, INIT_ONES),
                        .bias = parameter_add(&at, "bias", rank, shape, INIT_ZEROS),
                        .dims = rank,
                        .eps = 1e-5};
}

tensor *layer_norm_run(const layer_norm *n, tensor *x)
{
    return t_layer_norm(x, n->dims, n->weight, n->bias, n->eps);
}

group_norm group_norm_add(const builder *b, const char *name, int groups, int64_t channels)
{
    builder at = builder_below(b, "%s", name);
    return (group_norm){.weight = parameter_add(&at, "weight", 1, &channels, INIT_ONES),
                        .bias = parameter_add(&at, "bias", 1, &channels, INIT_ZEROS),
                        .groups = groups,
                        .eps = 1e-5};
}

group_norm instance_norm_add(const builder *b, const char *name, int64_t channels, bool affine)
{
    if (!affine)
        return (group_norm){.eps = 1e-5};
    return group_norm_add(b, name, 0, channels);
}

tensor *group_norm_run(const group_norm *n, tensor *x)
{
    if (n->groups == 0)
        return t_instance_norm(x, n->weight, n->bias, n->eps);
    return t_group_norm(x, n->groups, n->weight, n->bias, n->eps);
}
