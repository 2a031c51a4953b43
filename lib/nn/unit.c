#include "nn/unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "nn/modules.h"

/* PyTorch's */
#define NORM_EPSILON  1e-5
#define NORM_MOMENTUM 0.1
/* of the normal distribution from which transformers begin */
#define NARROW 0.02

static double epsilon_of(const unit *u)
{
    return u->epsilon > 0 ? u->epsilon : NORM_EPSILON;
}

static int groups_of(const unit *u)
{
    return u->groups > 0 ? u->groups : 1;
}

static bool is_convolution(const unit *u)
{
    return u->kind == UNIT_CONVOLUTION || u->kind == UNIT_TRANSPOSED;
}

static bool is_free(const unit *u)
{
    return u->kind == UNIT_FREE || u->kind == UNIT_POSITIONS;
}

/* ---- tensors ---- */

bool unit_has(const unit *u, int which)
{
    bool normed = is_convolution(u) ? u->norm[0] != '\0' : u->kind == UNIT_BATCH_NORM;
    if (which >= UNIT_SCALE)
        return normed;
    if (u->kind == UNIT_BATCH_NORM)
        return false;
    if (which == UNIT_BIAS)
        return !is_free(u) && (normed ? u->biased : !u->unbiased);
    return true;
}

int unit_shape(int64_t shape[4], const unit *u, int which)
{
    shape[0] = u->outputs;
    if (which != UNIT_WEIGHT || u->kind == UNIT_LAYER_NORM || u->kind == UNIT_BATCH_NORM)
        return 1;
    if (is_free(u)) {
        memcpy(shape, u->shape, sizeof u->shape);
        return u->rank;
    }
    shape[1] = u->inputs / groups_of(u);
    if (u->kind == UNIT_LINEAR)
        return 2;
    if (u->kind == UNIT_TRANSPOSED) {
        shape[0] = u->inputs;
        shape[1] = u->outputs;
    }
    shape[2] = shape[3] = u->kernel;
    return 4;
}

const char *unit_tensor_name(char out[LONGEST_NAME], const unit *u, int which)
{
    static const char *const suffixes[UNIT_TENSORS] = {"weight", "bias",         "weight",
                                                       "bias",   "running_mean", "running_var"};
    if (is_free(u))
        snprintf(out, LONGEST_NAME, "%s", u->name);
    else
        snprintf(out, LONGEST_NAME, "%s.%s", which >= UNIT_SCALE ? u->norm : u->name,
                 suffixes[which]);
    return out;
}

/* ---- in a file ---- */

static const weight *find(const unit *u, const weights_source *source, int which,
                          char theirs[LONGEST_NAME])
{
    char ours[LONGEST_NAME];
    return source_find(source, unit_tensor_name(ours, u, which), u->block, theirs);
}

/* Whether the file has it with its norm folded in: a bias stands for the norm. */
static bool is_folded(const unit *u, const weights_source *source)
{
    char name[LONGEST_NAME];
    bool biased_anyway = u->biased || u->kind == UNIT_BATCH_NORM;
    return unit_has(u, UNIT_MEAN) && find(u, source, UNIT_BIAS, name) &&
           !(biased_anyway && find(u, source, UNIT_MEAN, name));
}

/* A batch norm that was folded is a scale and a shift under the names of its own. */
static bool is_needed(const unit *u, const weights_source *source, int which)
{
    if (!is_folded(u, source))
        return unit_has(u, which);
    return u->kind == UNIT_BATCH_NORM ? which == UNIT_SCALE || which == UNIT_SHIFT
                                      : which <= UNIT_BIAS;
}

bool unit_present(const unit *u, const weights_source *source, char missing[LONGEST_NAME])
{
    for (int i = 0; i < UNIT_TENSORS; ++i)
        if (is_needed(u, source, i) && !find(u, source, i, missing))
            return false;
    return true;
}

/* The shape that the tensor has in this file: position codes are as many as they are there. */
static int shape_in(int64_t shape[4], const unit *u, const weights_source *source, int which)
{
    int rank = unit_shape(shape, u, which);
    char name[LONGEST_NAME];
    const weight *w = u->kind == UNIT_POSITIONS ? find(u, source, which, name) : NULL;
    if (!w || w->rank != rank)
        return rank;
    int64_t side = (int64_t)lround(sqrt((double)w->shape[1]));
    if (w->shape[1] > 0 && (side * side == w->shape[1] || side * side + 1 == w->shape[1]))
        shape[1] = w->shape[1];
    return rank;
}

imiad_status unit_check(const unit *u, const weights_source *source)
{
    for (int i = 0; i < UNIT_TENSORS; ++i) {
        char ours[LONGEST_NAME];
        int64_t shape[4];
        int rank = shape_in(shape, u, source, i);
        if (unit_has(u, i) || (i == UNIT_BIAS && is_folded(u, source)))
            TRY(source_check(source, unit_tensor_name(ours, u, i), u->block, rank, shape));
    }
    return IMIAD_OK;
}

static tensor *load(const unit *u, const weights_source *source, int which)
{
    char ours[LONGEST_NAME];
    int64_t shape[4];
    int rank = shape_in(shape, u, source, which);
    return source_load(source, unit_tensor_name(ours, u, which), u->block, rank, shape);
}

static tensor *load_double(const unit *u, const weights_source *source, int which)
{
    scope s = scope_begin();
    tensor *t = t_to(load(u, source, which), F64);
    if (which == UNIT_VARIANCE && !t_failed() && t_item(t_max_all(t_neg(t))) > 0) {
        char name[LONGEST_NAME];
        find(u, source, which, name);
        t_fail(IMIAD_FORMAT, "weight %s is a variance below zero", name);
    }
    return scope_return(&s, t);
}

/* ---- frozen ---- */

static tensor *settle(tensor *t, device d, dtype precision)
{
    tensor *typed = t_to(t_to(t, F32), precision);
    return t_keep(t_to_device(t_rank(typed) == 4 ? t_channels_last(typed) : typed, d));
}

static imiad_status place(unit *u, scope *s, tensor *kernel, tensor *bias, device d,
                          dtype precision)
{
    if (!t_failed()) {
        u->tensors[UNIT_WEIGHT] = settle(kernel, d, precision);
        u->tensors[UNIT_BIAS] = bias ? settle(bias, d, precision) : NULL;
    }
    return scope_end(s);
}

/* y = scale x + shift */
typedef struct affine {
    tensor *scale, *shift;
} affine;

static affine load_norm(const unit *u, const weights_source *source)
{
    tensor *gamma = load_double(u, source, UNIT_SCALE), *beta = load_double(u, source, UNIT_SHIFT);
    tensor *mean = load_double(u, source, UNIT_MEAN);
    tensor *variance = load_double(u, source, UNIT_VARIANCE);
    tensor *scale = t_div(gamma, t_sqrt(t_add_scalar(variance, epsilon_of(u))));
    return (affine){scale, t_sub(beta, t_mul(mean, scale))};
}

/* The kernel times a number an output: in double, and in place, since kernels are what is large. */
static tensor *load_scaled(const unit *u, const weights_source *source, tensor *scale)
{
    tensor *kernel = load(u, source, UNIT_WEIGHT);
    if (t_type(kernel) != F64)
        kernel = t_to(kernel, F32);
    const double *factors = t_data(t_contiguous(scale));
    float *plain = t_type(kernel) == F32 ? t_data(kernel) : NULL;
    double *exact = t_type(kernel) == F64 ? t_data(kernel) : NULL;
    const int64_t count = t_count(kernel), each = count / u->outputs;
    for (int64_t i = 0; plain && !t_failed() && i < count; ++i)
        plain[i] = (float)(plain[i] * factors[i / each]);
    for (int64_t i = 0; exact && !t_failed() && i < count; ++i)
        exact[i] *= factors[i / each];
    return kernel;
}

imiad_status unit_load(unit *u, const weights_source *source, device d, dtype precision)
{
    scope s = scope_begin();
    bool folded = is_folded(u, source);
    if (u->kind == UNIT_BATCH_NORM) {
        affine norm = folded ? (affine){load_double(u, source, UNIT_SCALE),
                                        load_double(u, source, UNIT_SHIFT)}
                             : load_norm(u, source);
        return place(u, &s, norm.scale, norm.shift, d, precision);
    }
    bool biased = folded || unit_has(u, UNIT_BIAS);
    if (folded || !unit_has(u, UNIT_MEAN)) {
        tensor *kernel = load(u, source, UNIT_WEIGHT);
        return place(u, &s, kernel, biased ? load(u, source, UNIT_BIAS) : NULL, d, precision);
    }
    affine norm = load_norm(u, source);
    tensor *kernel = load_scaled(u, source, norm.scale), *bias = norm.shift;
    if (biased)
        bias = t_add(bias, t_mul(load_double(u, source, UNIT_BIAS), norm.scale));
    return place(u, &s, kernel, bias, d, precision);
}

/* The first value of a unit's weight. */
static tensor *first_weight(const unit *u, uint64_t seed, const char *stream)
{
    int64_t shape[4];
    int rank = unit_shape(shape, u, UNIT_WEIGHT);
    switch (u->kind) {
    case UNIT_CONVOLUTION: {
        double fan_out = (double)(u->outputs / groups_of(u)) * u->kernel * u->kernel;
        return t_normal(rank, shape, 0, sqrt(2 / fan_out), seed, stream, CPU);
    }
    case UNIT_TRANSPOSED:
        return init_default(rank, shape, seed, stream);
    case UNIT_LAYER_NORM:
    case UNIT_BATCH_NORM:
        return t_full(rank, shape, 1, F32, CPU);
    case UNIT_LINEAR:
    case UNIT_FREE:
    case UNIT_POSITIONS:
        break;
    }
    return u->first != 0 ? t_full(rank, shape, u->first, F32, CPU)
                         : t_normal(rank, shape, 0, NARROW, seed, stream, CPU);
}

imiad_status unit_random(unit *u, uint64_t seed, device d, dtype precision)
{
    char purpose[sizeof u->name + 16];
    snprintf(purpose, sizeof purpose, "weights/%s", u->name);
    scope s = scope_begin();
    tensor *kernel = first_weight(u, seed, purpose);
    bool biased = unit_has(u, UNIT_BIAS) || unit_has(u, UNIT_MEAN);
    return place(u, &s, kernel, biased ? t_zeros(1, &u->outputs, F32, CPU) : NULL, d, precision);
}

void unit_free(unit *u)
{
    for (int i = 0; i < UNIT_TENSORS; ++i) {
        t_free(u->tensors[i]);
        u->tensors[i] = NULL;
    }
}

/* ---- trained ---- */

void unit_train(unit *u, params *store, const char *prefix, uint64_t seed, const char *purpose,
                device d)
{
    char stream[192];
    snprintf(stream, sizeof stream, "%s/%s", purpose ? purpose : "", u->name);
    for (int i = 0; i < UNIT_TENSORS; ++i) {
        u->tensors[i] = NULL;
        if (!unit_has(u, i))
            continue;
        int64_t shape[4];
        int rank = unit_shape(shape, u, i);
        bool one = i == UNIT_SCALE || i == UNIT_VARIANCE;
        tensor *first = i == UNIT_WEIGHT && purpose ? first_weight(u, seed, stream)
                                                    : t_full(rank, shape, one ? 1 : 0, F32, CPU);
        char ours[LONGEST_NAME], name[2 * LONGEST_NAME];
        snprintf(name, sizeof name, "%s%s", prefix, unit_tensor_name(ours, u, i));
        first = t_to_device(params_lay(store, first), d);
        u->tensors[i] = params_add(store, name, first, i < UNIT_MEAN);
    }
}

imiad_status unit_copy(unit *u, const weights_source *source)
{
    scope s = scope_begin();
    if (is_folded(u, source)) {
        char name[LONGEST_NAME];
        find(u, source, UNIT_BIAS, name);
        t_fail(IMIAD_MISMATCH,
               "%s: batch norm is folded into this file's weights, which cannot be "
               "trained",
               name);
    }
    for (int i = 0; i < UNIT_TENSORS && !t_failed(); ++i) {
        if (!u->tensors[i])
            continue;
        tensor *t = i == UNIT_VARIANCE ? load_double(u, source, i) : load(u, source, i);
        t_copy_(u->tensors[i], t);
    }
    return scope_end(&s);
}

/* ---- running ---- */

int unit_fixed_padding(const unit *u)
{
    int out = (u->side + u->stride - 1) / u->stride;
    int total = (out - 1) * u->stride + u->kernel - u->side;
    return total > 0 ? total : 0;
}

static tensor *convolve(const unit *u, tensor *x)
{
    if (u->fixed) {
        int total = unit_fixed_padding(u), before = total / 2;
        x = t_pad2d(x, before, total - before, before, total - before, PAD_ZERO);
    }
    const conv2d c = {u->tensors[UNIT_WEIGHT],
                      u->tensors[UNIT_BIAS],
                      {.inputs = u->inputs,
                       .outputs = u->outputs,
                       .kernel = u->kernel,
                       .stride = u->stride,
                       .dilation = 1,
                       .groups = groups_of(u),
                       .padding = u->fixed  ? 0
                                  : u->same ? PADDING_SAME
                                            : u->padding,
                       .transposed = u->kind == UNIT_TRANSPOSED}};
    return conv2d_run(&c, x);
}

static tensor *normalize(const unit *u, tensor *x, bool training)
{
    const batch_norm n = {.weight = u->tensors[UNIT_SCALE],
                          .bias = u->tensors[UNIT_SHIFT],
                          .mean = u->tensors[UNIT_MEAN],
                          .variance = u->tensors[UNIT_VARIANCE],
                          .momentum = u->momentum > 0 ? u->momentum : NORM_MOMENTUM,
                          .eps = epsilon_of(u)};
    return batch_norm_run(&n, x, training);
}

tensor *unit_run(const unit *u, tensor *x, bool training)
{
    const int64_t channels[4] = {1, u->outputs, 1, 1};
    tensor *scale = u->tensors[UNIT_WEIGHT], *shift = u->tensors[UNIT_BIAS];
    switch (u->kind) {
    case UNIT_CONVOLUTION:
    case UNIT_TRANSPOSED:
        x = convolve(u, x);
        return u->tensors[UNIT_SCALE] ? normalize(u, x, training) : x;
    case UNIT_BATCH_NORM:
        if (u->tensors[UNIT_SCALE])
            return normalize(u, x, training);
        return t_add(t_mul(x, t_view(scale, 4, channels)), t_view(shift, 4, channels));
    case UNIT_LINEAR:
        return linear_run(&(linear){scale, shift}, x);
    case UNIT_LAYER_NORM:
        return layer_norm_run(&(layer_norm){scale, shift, 1, epsilon_of(u)}, x);
    case UNIT_FREE:
    case UNIT_POSITIONS:
        break;
    }
    return scale;
}
