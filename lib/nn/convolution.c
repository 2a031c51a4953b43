#include "nn/convolution.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "nn/init.h"

/* torchvision's batch norm */
#define NORM_EPSILON  1e-5
#define NORM_MOMENTUM 0.1

typedef struct part {
    const char *owner, *suffix;
} part;

static const weight *find(const weights *file, const char *prefix, part p, char name[128])
{
    snprintf(name, 128, "%s%s.%s", prefix, p.owner, p.suffix);
    return weights_find(file, name);
}

bool convolution_present(const convolution *c, const weights *file, const char *prefix,
                         char missing[128])
{
    if (!find(file, prefix, (part){c->name, "weight"}, missing))
        return false;
    if (find(file, prefix, (part){c->name, "bias"}, missing))
        return true;
    static const char *const statistics[] = {"weight", "bias", "running_mean", "running_var"};
    for (int i = 0; i < 4; ++i)
        if (!find(file, prefix, (part){c->norm, statistics[i]}, missing))
            return false;
    return true;
}

static bool follows(const char *name, const char *owner)
{
    size_t length = strlen(owner);
    return strncmp(name, owner, length) == 0 && name[length] == '.';
}

bool convolution_owns(const convolution *c, const char *name)
{
    return follows(name, c->name) || follows(name, c->norm);
}

/* "64 x 3 x 7 x 7" */
static void describe(char out[64], int rank, const int64_t *shape)
{
    out[0] = '\0';
    for (int i = 0, used = 0; i < rank && used < 50; ++i)
        used +=
            snprintf(out + used, 64 - (size_t)used, "%s%lld", i ? " x " : "", (long long)shape[i]);
}

static imiad_status check_shape(const weight *w, int rank, const int64_t *shape)
{
    bool same = w->rank == rank;
    for (int i = 0; same && i < rank; ++i)
        same = w->shape[i] == shape[i];
    if (same)
        return IMIAD_OK;
    char found[64], wanted[64];
    describe(found, w->rank, w->shape);
    describe(wanted, rank, shape);
    return fail(IMIAD_MISMATCH, "weight %s is %s, the architecture needs %s", w->name, found,
                wanted);
}

imiad_status convolution_check(const convolution *c, const weights *file, const char *prefix)
{
    const int64_t shape[4] = {c->outputs, c->inputs, c->kernel, c->kernel};
    char name[128];
    const weight *w = find(file, prefix, (part){c->name, "weight"}, name);
    return w ? check_shape(w, 4, shape) : IMIAD_OK;
}

/* A weight as a double tensor of the expected shape. */
static tensor *load(const weights *file, const char *prefix, part p, int rank, const int64_t *shape)
{
    char name[128];
    const weight *w = find(file, prefix, p, name);
    imiad_status status =
        w ? check_shape(w, rank, shape) : fail(IMIAD_MISMATCH, "there is no weight %s", name);
    if (status != IMIAD_OK)
        return t_fail(status, "%s", imiad_last_error());
    return t_to(t_from(w->data, rank, shape, w->type, CPU), F64);
}

/* Takes the double tensors over in their final type, order and place. */
static imiad_status place(convolution *c, scope *s, tensor *kernel, tensor *bias, device d,
                          dtype precision)
{
    kernel = t_channels_last(t_to_device(t_to(t_to(kernel, F32), precision), d));
    bias = t_to_device(t_to(t_to(bias, F32), precision), d);
    if (!t_failed()) {
        c->weight = t_keep(kernel);
        c->bias = t_keep(bias);
    }
    return scope_end(s);
}

imiad_status convolution_load(convolution *c, const weights *file, const char *prefix, device d,
                              dtype precision)
{
    const int64_t shape[4] = {c->outputs, c->inputs, c->kernel, c->kernel};
    const int64_t channels[1] = {c->outputs};
    scope s = scope_begin();
    tensor *kernel = load(file, prefix, (part){c->name, "weight"}, 4, shape);
    tensor *bias;
    char name[128];
    if (find(file, prefix, (part){c->name, "bias"}, name)) {
        bias = load(file, prefix, (part){c->name, "bias"}, 1, channels);
    } else {
        tensor *gamma = load(file, prefix, (part){c->norm, "weight"}, 1, channels);
        tensor *beta = load(file, prefix, (part){c->norm, "bias"}, 1, channels);
        tensor *mean = load(file, prefix, (part){c->norm, "running_mean"}, 1, channels);
        tensor *variance = load(file, prefix, (part){c->norm, "running_var"}, 1, channels);
        tensor *scale = t_div(gamma, t_sqrt(t_add_scalar(variance, NORM_EPSILON)));
        kernel = t_mul(kernel, t_view(scale, 4, (int64_t[]){c->outputs, 1, 1, 1}));
        bias = t_sub(beta, t_mul(mean, scale));
    }
    return place(c, &s, kernel, bias, d, precision);
}

imiad_status convolution_random(convolution *c, uint64_t seed, device d, dtype precision)
{
    const int64_t shape[4] = {c->outputs, c->inputs, c->kernel, c->kernel};
    double fan_out = (double)c->outputs * c->kernel * c->kernel;
    char purpose[sizeof c->name + 16];
    snprintf(purpose, sizeof purpose, "weights/%s", c->name);
    scope s = scope_begin();
    tensor *kernel = t_normal(4, shape, 0, sqrt(2 / fan_out), seed, purpose, CPU);
    tensor *bias = t_zeros(1, &c->outputs, F32, CPU);
    return place(c, &s, kernel, bias, d, precision);
}

void convolution_free(convolution *c)
{
    t_free(c->weight);
    t_free(c->bias);
    c->weight = c->bias = NULL;
}

static tensor *add_part(params *store, const char *prefix, part p, tensor *initial, bool trainable,
                        device d)
{
    char name[192];
    snprintf(name, sizeof name, "%s%s.%s", prefix, p.owner, p.suffix);
    return params_add(store, name, t_to_device(initial, d), trainable);
}

void convolution_train(convolution *c, params *store, const char *prefix, uint64_t seed,
                       const char *purpose, device d)
{
    int64_t first = c->transposed ? c->inputs : c->outputs;
    int64_t second = c->transposed ? c->outputs : c->inputs;
    const int64_t shape[4] = {first, second, c->kernel, c->kernel};
    char stream[192];
    snprintf(stream, sizeof stream, "%s/%s", purpose ? purpose : "", c->name);
    tensor *kernel = !purpose        ? t_zeros(4, shape, F32, CPU)
                     : c->transposed ? init_default(4, shape, seed, stream)
                                     : init_kaiming_normal(4, shape, seed, stream);
    tensor *ones = t_full(1, &c->outputs, 1, F32, CPU), *zeros = t_zeros(1, &c->outputs, F32, CPU);
    c->weight =
        add_part(store, prefix, (part){c->name, "weight"}, t_channels_last(kernel), true, d);
    c->bias = NULL;
    c->trained_norm.weight = add_part(store, prefix, (part){c->norm, "weight"}, ones, true, d);
    c->trained_norm.bias = add_part(store, prefix, (part){c->norm, "bias"}, zeros, true, d);
    c->trained_norm.mean =
        add_part(store, prefix, (part){c->norm, "running_mean"}, zeros, false, d);
    c->trained_norm.variance =
        add_part(store, prefix, (part){c->norm, "running_var"}, ones, false, d);
}

tensor *convolution_forward(const convolution *c, tensor *x, bool training)
{
    tensor *y = c->transposed
                    ? t_conv_transpose2d(x, c->weight, c->bias, c->stride, c->padding, 0, 1)
                    : t_conv2d(x, c->weight, c->bias, c->stride, c->padding, 1, 1);
    if (!c->trained_norm.weight)
        return y;
    return t_batch_norm(y, c->trained_norm.weight, c->trained_norm.bias, c->trained_norm.mean,
                        c->trained_norm.variance, training, NORM_MOMENTUM, NORM_EPSILON);
}
