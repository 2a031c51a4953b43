#include "nn/flows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/random.h"
#include "nn/flows_host.h"
#include "nn/init.h"
#include "weights/weights.h"

static int64_t moving(const flow_block *b)
{
    return b->shape.channels / 2;
}

static int64_t passive(const flow_block *b)
{
    return b->shape.channels - b->shape.channels / 2;
}

/* ---- making ---- */

static tensor *add(const flow_maker *m, params *store, const char *block, const char *part,
                   tensor *initial, bool trainable)
{
    char name[128];
    snprintf(name, sizeof name, "%s.%s", block, part);
    return params_add(store, name, t_to_device(initial, m->device), trainable);
}

/* One layer of the subnet, as PyTorch begins it. */
static void add_layer(flow_block *b, const flow_maker *m, const char *block, int layer,
                      int64_t inputs, int64_t outputs)
{
    int rank = b->shape.kernel > 0 ? 4 : 2, kernel = b->shape.kernel > 0 ? b->shape.kernel : 1;
    const int64_t shape[] = {outputs, inputs, kernel, kernel};
    char part[32], purpose[200];
    snprintf(part, sizeof part, "subnet.%d.weight", 2 * layer);
    snprintf(purpose, sizeof purpose, "%s/%s.%s", m->purpose ? m->purpose : "", block, part);
    tensor *initial =
        m->purpose ? init_default(rank, shape, m->seed, purpose) : t_zeros(rank, shape, F32, CPU);
    b->weight[layer] = add(m, m->learned, block, part, initial, true);
    snprintf(part, sizeof part, "subnet.%d.bias", 2 * layer);
    snprintf(purpose, sizeof purpose, "%s/%s.%s", m->purpose ? m->purpose : "", block, part);
    initial = m->purpose ? init_default_bias(outputs, inputs * kernel * kernel, m->seed, purpose)
                         : t_zeros(1, &outputs, F32, CPU);
    b->bias[layer] = add(m, m->learned, block, part, initial, true);
}

static tensor *make_permutation(int64_t channels, uint64_t seed, const char *purpose)
{
    size_t *order = malloc((size_t)channels * sizeof *order);
    if (!order)
        return t_fail(IMIAD_NO_MEMORY, "out of memory for a permutation");
    for (int64_t c = 0; c < channels; ++c)
        order[c] = (size_t)c;
    random_stream stream = random_open(seed, purpose);
    if (purpose[0])
        random_shuffle(&stream, order, (size_t)channels);
    tensor *permutation = t_from(order, 1, &channels, I64, CPU);
    free(order);
    return permutation;
}

/* Stewart's algorithm: a product of reflections, each of which takes a Gaussian vector to an axis;
 * the signs make the determinant 1. SIAM Journal on Numerical Analysis 17, 1980. */
static void rotate(double *h, double *x, double *sign, int64_t n, random_stream *stream)
{
    double determinant = n % 2 == 0 ? -1 : 1;
    for (int64_t i = 0; i < n * n; ++i)
        h[i] = i % (n + 1) == 0;
    for (int64_t k = 0; k + 1 < n; ++k) {
        double square = 0;
        for (int64_t i = k; i < n; ++i) {
            x[i] = random_normal(stream);
            square += x[i] * x[i];
        }
        double first = x[k];
        sign[k] = first < 0 ? -1 : 1;
        determinant *= sign[k];
        x[k] += sign[k] * sqrt(square);
        double norm = sqrt((square - first * first + x[k] * x[k]) / 2);
        for (int64_t i = k; i < n; ++i)
            x[i] /= norm;
        for (int64_t row = 0; row < n; ++row) {
            double product = 0;
            for (int64_t i = k; i < n; ++i)
                product += h[row * n + i] * x[i];
            for (int64_t i = k; i < n; ++i)
                h[row * n + i] -= product * x[i];
        }
    }
    sign[n - 1] = determinant;
    for (int64_t row = 0; row < n; ++row)
        for (int64_t i = 0; i < n; ++i)
            h[row * n + i] *= sign[row];
}

static tensor *make_rotation(int64_t channels, uint64_t seed, const char *purpose)
{
    const int64_t shape[] = {channels, channels};
    if (!purpose[0]) /* for a file to fill in */
        return t_zeros(2, shape, F32, CPU);
    double *h = malloc((size_t)(channels * (channels + 2)) * sizeof *h);
    if (!h)
        return t_fail(IMIAD_NO_MEMORY, "out of memory for a rotation");
    random_stream stream = random_open(seed, purpose);
    rotate(h, h + channels * channels, h + channels * (channels + 1), channels, &stream);
    tensor *rotation = t_to(t_from(h, 2, shape, F64, CPU), F32);
    free(h);
    return rotation;
}

void flow_block_add(flow_block *out, const flow_maker *maker, const char *name,
                    const flow_shape *shape)
{
    *out = (flow_block){.shape = *shape};
    bool maps = shape->kernel > 0;
    const int64_t each[] = {1, shape->channels, 1, 1};
    char purpose[200] = "";
    if (maker->purpose)
        snprintf(purpose, sizeof purpose, "%s/%s.w_perm", maker->purpose, name);
    double scale = maker->purpose ? 2 * log(exp(5) - 1) : 0; /* where g is 1 */
    out->scale = add(maker, maker->learned, name, "global_scale",
                     t_full(maps ? 4 : 2, each, scale, F32, CPU), true);
    out->offset = add(maker, maker->learned, name, "global_offset",
                      t_zeros(maps ? 4 : 2, each, F32, CPU), true);
    add_layer(out, maker, name, 0, passive(out) + shape->condition, shape->hidden);
    add_layer(out, maker, name, 1, shape->hidden, 2 * moving(out));
    tensor *mixing = shape->mixing == FLOW_ROTATION
                         ? make_rotation(shape->channels, maker->seed, purpose)
                         : make_permutation(shape->channels, maker->seed, purpose);
    out->mixing = add(maker, maker->fixed, name, "w_perm", mixing, false);
}

/* ---- the block ---- */

static tensor *layer(const flow_block *b, int i, tensor *x)
{
    return b->shape.kernel > 0 ? t_conv2d(x, b->weight[i], b->bias[i], 1, b->shape.kernel / 2, 1, 1)
                               : t_linear(x, b->weight[i], b->bias[i]);
}

/* What the passive half says of the other: j and t. */
static void couple(const flow_block *b, tensor *x1, tensor *condition, tensor **j, tensor **t)
{
    int64_t half = moving(b);
    double c = b->shape.clamp;
    tensor *input = condition ? t_cat((tensor *[]){x1, condition}, 2, 1) : x1;
    tensor *a = t_mul_scalar(layer(b, 1, t_relu_(layer(b, 0, input))), 0.1);
    tensor *s = t_slice(a, 1, 0, half);
    *j = t_mul_scalar(t_tanh(b->shape.form == FLOW_TANH ? s : t_div_scalar(s, c)), c);
    *t = t_slice(a, 1, half, 2 * half);
}

/* g: 0.1 softplus of beta 0.5. */
static tensor *global_scale(const flow_block *b)
{
    return t_mul_scalar(t_softplus(t_mul_scalar(b->scale, 0.5)), 0.2);
}

/* Of each of the n. */
static tensor *log_determinant_of(tensor *j, tensor *g)
{
    bool maps = t_rank(j) == 4;
    double positions = maps ? (double)(t_size(j, 2) * t_size(j, 3)) : 1;
    tensor *own = t_sum(maps ? t_flatten(j, 1, 3) : j, 1, false);
    return t_add(own, t_mul_scalar(t_sum_all(t_log(g)), positions));
}

static tensor *mix(const flow_block *b, tensor *y)
{
    return b->shape.mixing == FLOW_ROTATION ? t_linear(y, b->mixing, NULL)
                                            : t_index_select(y, 1, b->mixing);
}

static tensor *unmix(const flow_block *b, tensor *z)
{
    return b->shape.mixing == FLOW_ROTATION ? t_matmul(z, b->mixing)
                                            : t_index_select(z, 1, t_argsort(b->mixing, 0, false));
}

tensor *flow_block_forward(const flow_block *b, tensor *x, tensor *condition,
                           tensor **log_determinant)
{
    tensor *j, *t, *x1 = t_slice(x, 1, 0, passive(b));
    tensor *x2 = t_slice(x, 1, passive(b), b->shape.channels);
    couple(b, x1, condition, &j, &t);
    tensor *g = global_scale(b), *y = t_add(t_mul(x2, t_exp(j)), t);
    *log_determinant = log_determinant_of(j, g);
    return mix(b, t_add(t_mul(t_cat((tensor *[]){x1, y}, 2, 1), g), b->offset));
}

tensor *flow_block_inverse(const flow_block *b, tensor *z, tensor *condition)
{
    tensor *j, *t, *y = t_div(t_sub(unmix(b, z), b->offset), global_scale(b));
    tensor *x1 = t_slice(y, 1, 0, passive(b));
    couple(b, x1, condition, &j, &t);
    tensor *x2 = t_mul(t_sub(t_slice(y, 1, passive(b), b->shape.channels), t), t_exp(t_neg(j)));
    return t_cat((tensor *[]){x1, x2}, 2, 1);
}

/* ---- many blocks ---- */

tensor *flow_forward(const flow_block *blocks, int count, tensor *x, tensor *condition,
                     tensor **log_determinant)
{
    *log_determinant = NULL;
    for (int i = 0; i < count; ++i) {
        tensor *own;
        x = flow_block_forward(&blocks[i], x, condition, &own);
        *log_determinant = t_plus(*log_determinant, own);
    }
    return x;
}

/* exp(j) of what the subnet said before it is multiplied by 0.1. */
static tensor *factor_of(const flow_block *b, tensor *said)
{
    double c = b->shape.clamp;
    tensor *s = t_mul_scalar(t_slice(said, 1, 0, moving(b)), 0.1);
    tensor *j = t_tanh(b->shape.form == FLOW_TANH ? s : t_div_scalar(s, c));
    t_mul_(j, c);
    return t_exp(j);
}

static bool lies_in_planes(const flow_block *b, tensor *x)
{
    return t_rank(x) == 4 && t_type(x) == F32 && !t_device(x).cuda && moving(b) == passive(b);
}

/* g y + o, of a block that nobody learns from. */
static tensor *finish_in_planes(const flow_block *b, tensor *x, tensor *order, tensor *x1)
{
    tensor *said = t_contiguous(layer(b, 1, t_relu_(layer(b, 0, x1))));
    tensor *factor = t_contiguous(factor_of(b, said));
    x = t_contiguous(x);
    x1 = t_contiguous(x1);
    if (t_failed())
        return NULL;
    const flow_planes planes = {.images = t_size(x, 0),
                                .half = moving(b),
                                .size = t_size(x, 2) * t_size(x, 3),
                                .first = t_data(x1),
                                .x = t_data(x),
                                .order = order ? t_data(order) : NULL,
                                .factor = t_data(factor),
                                .scale = t_data(global_scale(b)),
                                .offset = t_data(b->offset),
                                .out = t_data(said)};
    if (t_failed())
        return NULL;
    flow_finish(&planes);
    return said;
}

tensor *flow_forward_unordered(const flow_block *blocks, int count, tensor *x,
                               tensor **log_determinant)
{
    tensor *order = NULL; /* of the channels of x that the next block sees */
    if (log_determinant)
        *log_determinant = NULL;
    for (int i = 0; i < count; ++i) {
        const flow_block *b = &blocks[i];
        tensor *j, *t, *halves[2];
        bool at_once = !log_determinant && lies_in_planes(b, x);
        int64_t from[] = {0, passive(b), b->shape.channels};
        for (int h = 0; h < (at_once ? 1 : 2); ++h)
            halves[h] = order ? t_index_select(x, 1, t_slice(order, 0, from[h], from[h + 1]))
                              : t_slice(x, 1, from[h], from[h + 1]);
        if (at_once) {
            x = finish_in_planes(b, x, order, halves[0]);
        } else {
            couple(b, halves[0], NULL, &j, &t);
            tensor *g = global_scale(b);
            halves[1] = t_add(t_mul(halves[1], t_exp(j)), t);
            if (log_determinant)
                *log_determinant = t_plus(*log_determinant, log_determinant_of(j, g));
            x = t_add(t_mul(t_cat(halves, 2, 1), g), b->offset);
        }
        order = b->mixing;
    }
    return x;
}

tensor *flow_inverse(const flow_block *blocks, int count, tensor *z, tensor *condition)
{
    for (int i = count - 1; i >= 0; --i)
        z = flow_block_inverse(&blocks[i], z, condition);
    return z;
}

/* ---- blocks over rows that learn no more ---- */

/* What a layer makes of each place's condition, with its bias: of its column and of its row, added.
 */
static tensor *of_places(tensor *first, tensor *bias, tensor *across, tensor *down)
{
    int64_t split = t_size(across, 1), hidden = t_size(first, 0);
    tensor *left = t_contiguous(t_slice(first, 1, 0, split));
    tensor *right = t_contiguous(t_slice(first, 1, split, t_size(first, 1)));
    tensor *columns = t_unsqueeze(t_linear(t_to(across, F64), left, NULL), 0);
    tensor *rows = t_unsqueeze(t_linear(t_to(down, F64), right, bias), 1);
    const int64_t shape[] = {t_size(across, 0) * t_size(down, 0), hidden};
    return t_view(t_add(rows, columns), 2, shape);
}

/* In double, each rounded once. */
imiad_status flow_fold(flow_folded *out, const flow_block *b, tensor *across, tensor *down)
{
    *out = (flow_folded){.shape = b->shape};
    scope s = scope_begin();
    int64_t split = passive(b), width = split + b->shape.condition;
    tensor *first = t_to(b->weight[0], F64), *bias = t_to(b->bias[0], F64);
    if (across)
        bias = of_places(t_slice(first, 1, split, width), bias, across, down);
    tensor *g = t_to(global_scale(b), F64), *r = t_to(b->mixing, F64);
    tensor *o = t_to(b->offset, F64);
    tensor *const folded[] = {t_contiguous(t_slice(first, 1, 0, split)),
                              bias,
                              t_mul_scalar(t_to(b->weight[1], F64), 0.1),
                              t_mul_scalar(t_to(b->bias[1], F64), 0.1),
                              t_mul(r, g),
                              t_squeeze(t_linear(o, r, NULL), 0)};
    tensor **const into[] = {&out->first,       &out->positional, &out->second,
                             &out->second_bias, &out->mixing,     &out->mixing_bias};
    out->log_scale = t_item(t_sum_all(t_log(g)));
    for (int i = 0; i < 6; ++i)
        *into[i] = t_keep(t_to(folded[i], t_type(b->scale)));
    imiad_status status = scope_end(&s);
    if (status != IMIAD_OK)
        flow_folded_free(out);
    return status;
}

void flow_folded_free(flow_folded *f)
{
    t_free(f->first);
    t_free(f->positional);
    t_free(f->second);
    t_free(f->second_bias);
    t_free(f->mixing);
    t_free(f->mixing_bias);
    *f = (flow_folded){.shape = f->shape};
}

tensor *flow_folded_forward(const flow_folded *blocks, int count, tensor *x,
                            tensor **log_determinant)
{
    double constant = 0;
    *log_determinant = NULL;
    for (int i = 0; i < count; ++i) {
        const flow_folded *f = &blocks[i];
        int64_t half = f->shape.channels / 2, split = f->shape.channels - half;
        double c = f->shape.clamp;
        tensor *x1 = t_slice(x, 2, 0, split);
        tensor *h = t_relu_(t_add(t_linear(x1, f->first, NULL), f->positional));
        tensor *a = t_linear(h, f->second, f->second_bias), *s = t_slice(a, 2, 0, half);
        s = t_tanh(f->shape.form == FLOW_TANH ? s : t_div_scalar(s, c));
        tensor *j = t_mul_scalar(s, c);
        tensor *y = t_add(t_mul(t_slice(x, 2, split, f->shape.channels), t_exp(j)),
                          t_slice(a, 2, half, 2 * half));
        x = t_linear(t_cat((tensor *[]){x1, y}, 2, 2), f->mixing, f->mixing_bias);
        *log_determinant = t_plus(*log_determinant, t_sum(j, 2, false));
        constant += f->log_scale;
    }
    *log_determinant = t_add_scalar(*log_determinant, constant);
    return x;
}

/* ---- checkpoints of FrEIA ---- */

/* True, with the permutation in `out`, where the values are one. */
static bool is_permutation(int64_t *out, const double *values, int64_t channels, bool matrix)
{
    bool *seen = calloc((size_t)channels, sizeof *seen);
    bool valid = seen;
    for (int64_t i = 0; valid && i < channels; ++i) {
        int64_t at = -1;
        for (int64_t c = 0; matrix && c < channels; ++c) {
            double value = values[i * channels + c];
            valid = valid && (value == 0 || (value == 1 && at < 0));
            at = value == 1 ? c : at;
        }
        if (!matrix && values[i] >= 0 && values[i] < (double)channels &&
            values[i] == floor(values[i]))
            at = (int64_t)values[i];
        valid = valid && at >= 0 && !seen[at];
        if (valid)
            seen[out[i] = at] = true;
    }
    free(seen);
    return valid;
}

imiad_status flow_load_permutation(const flow_block *b, const weights *file, const char *name)
{
    int64_t channels = b->shape.channels;
    const weight *w = weights_find(file, name);
    bool matrix = w && w->rank >= 2;
    int64_t count = matrix ? channels * channels : channels, elements = 1;
    for (int d = 0; w && d < w->rank; ++d)
        elements = d < 2 || w->shape[d] == 1 ? elements * w->shape[d] : 0;
    if (!w || w->rank < 1 || elements != count || w->shape[0] != channels)
        return fail(IMIAD_FORMAT, "%s is not there as a permutation of %lld channels", name,
                    (long long)channels);
    double *values = malloc((size_t)count * sizeof *values);
    int64_t *order = malloc((size_t)channels * sizeof *order);
    scope s = scope_begin();
    bool valid = values && order;
    if (valid) {
        t_read(t_to(t_from(w->data, w->rank, w->shape, w->type, CPU), F64), values,
               (size_t)count * sizeof *values);
        valid = !t_failed() && is_permutation(order, values, channels, matrix);
        if (valid)
            t_copy_(b->mixing, t_from(order, 1, &channels, I64, CPU));
    }
    imiad_status status = scope_end(&s);
    if (status == IMIAD_OK && (!values || !order))
        status = fail_memory(name, (size_t)count * sizeof *values);
    else if (status == IMIAD_OK && !valid)
        status = fail(IMIAD_FORMAT, "%s is no permutation", name);
    free(values);
    free(order);
    return status;
}
