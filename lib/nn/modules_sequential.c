/* Layers in a row: perceptrons, and whatever a table lists. */
#include <stdio.h>

#include "nn/modules.h"

mlp mlp_add(const builder *b, const char *name, int count, const int64_t *widths, activation kind,
            const char *const *names)
{
    builder at = builder_below(b, "%s", name);
    mlp m = {.count = count, .activation = kind};
    if (count < 1 || count > MLP_LAYERS) {
        t_fail(IMIAD_INTERNAL, "%s: a perceptron of %d layers", at.path, count);
        m.count = 0;
    }
    for (int i = 0; i < m.count; ++i) {
        char place[16];
        snprintf(place, sizeof place, "%d", 2 * i);
        m.layers[i] = linear_add(&at, names ? names[i] : place, widths[i], widths[i + 1], true);
    }
    return m;
}

tensor *mlp_run(const mlp *m, tensor *x)
{
    for (int i = 0; i < m->count; ++i) {
        x = linear_run(&m->layers[i], x);
        if (i + 1 < m->count)
            x = activate_(x, m->activation);
    }
    return x;
}

/* ---- sequential ---- */

static module add_module(const builder *b, const layer_spec *spec, const char *name,
                         int64_t *channels)
{
    module m = {.spec = *spec};
    conv2d_spec *conv = &m.spec.conv;
    if (conv->inputs == 0)
        conv->inputs = *channels;
    switch (spec->kind) {
    case MODULE_CONV2D:
        m.conv = conv2d_add(b, name, *conv);
        *channels = conv->outputs;
        break;
    case MODULE_LINEAR:
        m.linear = linear_add(b, name, conv->inputs, conv->outputs, conv->bias);
        *channels = conv->outputs;
        break;
    case MODULE_BATCH_NORM:
        m.batch_norm = batch_norm_add(b, name, *channels);
        break;
    case MODULE_GROUP_NORM:
        m.group_norm = group_norm_add(b, name, spec->factor, *channels);
        break;
    case MODULE_INSTANCE_NORM:
        m.group_norm = instance_norm_add(b, name, *channels, spec->affine);
        break;
    default:
        break;
    }
    return m;
}

sequential sequential_add(const builder *b, const char *name, const layer_spec *layers, int count,
                          int64_t inputs)
{
    builder at = builder_below(b, "%s", name);
    sequential s = {.channels = inputs};
    if (count > SEQUENTIAL_MODULES) {
        t_fail(IMIAD_INTERNAL, "%s: a sequence of %d modules", at.path, count);
        return s;
    }
    for (; s.count < count; ++s.count) {
        char place[16];
        snprintf(place, sizeof place, "%d", s.count);
        s.modules[s.count] = add_module(&at, &layers[s.count], place, &s.channels);
    }
    return s;
}

static tensor *run_module(const module *m, tensor *x, bool training)
{
    const layer_spec *s = &m->spec;
    switch (s->kind) {
    case MODULE_CONV2D:
        return conv2d_run(&m->conv, x);
    case MODULE_LINEAR:
        return linear_run(&m->linear, x);
    case MODULE_BATCH_NORM:
        return batch_norm_run(&m->batch_norm, x, training);
    case MODULE_GROUP_NORM:
    case MODULE_INSTANCE_NORM:
        return group_norm_run(&m->group_norm, x);
    case MODULE_ACTIVATION:
        return activate(x, s->activation);
    case MODULE_MAX_POOL:
        return t_max_pool2d(x, s->kernel, s->stride, s->padding, false);
    case MODULE_AVG_POOL:
        return t_avg_pool2d(x, s->kernel, s->stride, s->padding, true);
    case MODULE_UPSAMPLE:
        return t_interpolate(x, t_size(x, 2) * s->factor, t_size(x, 3) * s->factor, NEAREST, false);
    case MODULE_DROPOUT:
        return t_dropout(x, s->rate, training);
    case MODULE_FLATTEN:
        return t_flatten(x, 1, -1);
    }
    return t_fail(IMIAD_INTERNAL, "%d is no kind of module", (int)s->kind);
}

tensor *sequential_part(const sequential *s, int first, int end, tensor *x, bool training)
{
    for (int i = first; i < end && i < s->count; ++i)
        x = run_module(&s->modules[i], x, training);
    return x;
}

tensor *sequential_run(const sequential *s, tensor *x, bool training)
{
    return sequential_part(s, 0, s->count, x, training);
}

void sequential_fold(sequential *s, params *store)
{
    for (int i = 0; i + 1 < s->count; ++i) {
        module *m = &s->modules[i], *next = m + 1;
        if (next->spec.kind != MODULE_BATCH_NORM)
            continue;
        if (m->spec.kind == MODULE_CONV2D)
            conv2d_fold(&m->conv, &next->batch_norm, store);
        if (m->spec.kind == MODULE_LINEAR)
            linear_fold(&m->linear, &next->batch_norm, store);
    }
}
