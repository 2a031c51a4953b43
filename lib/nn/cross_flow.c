#include "nn/cross_flow.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/mersenne.h"
#include "nn/init.h"

static const double slope = 0.1, two_over_pi = 0.636, largest = 1e6;

/* ---- making ---- */

typedef struct maker {
    params *store;
    uint64_t seed;
    const char *purpose;
    device device;
    char path[64]; /* "module_list.4.s1" */
} maker;

static tensor *add(const maker *m, const char *name, tensor *initial)
{
    return params_add(m->store, name, t_to_device(initial, m->device), true);
}

static cross_layer add_layer(const maker *m, const char *layer, int64_t inputs, int64_t outputs,
                             int kernel)
{
    const int64_t shape[] = {outputs, inputs, kernel, kernel};
    cross_layer out;
    for (int bias = 0; bias < 2; ++bias) {
        char name[128], purpose[200];
        snprintf(name, sizeof name, "%s.%s.%s", m->path, layer, bias ? "bias" : "weight");
        snprintf(purpose, sizeof purpose, "%s/%s", m->purpose ? m->purpose : "", name);
        tensor *initial;
        if (!m->purpose)
            initial = t_zeros(bias ? 1 : 4, shape, F32, CPU);
        else if (bias)
            initial = init_default_bias(outputs, inputs * kernel * kernel, m->seed, purpose);
        else
            initial = init_default(4, shape, m->seed, purpose);
        if (bias)
            out.bias = add(m, name, initial);
        else
            out.weight = add(m, name, t_channels_last(initial));
    }
    return out;
}

/* In the order of the authors' state dict. */
static void add_subnet(cross_subnet *s, const maker *m, int64_t inputs, int64_t hidden,
                       int64_t outputs, int kernel)
{
    static const char *const same[] = {"conv_scale0_1", "conv_scale1_1", "conv_scale2_1"};
    static const char *const first[] = {"conv_scale0_0", "conv_scale1_0", "conv_scale2_0"};
    static const char *const up[] = {"up_conv10", "up_conv21"};
    static const char *const down[] = {"down_conv01", "down_conv12"};
    const int64_t one = 1;
    for (int j = 0; j < CROSS_SCALES; ++j) {
        char name[128];
        snprintf(name, sizeof name, "%s.gamma%d", m->path, j);
        s->gamma[j] = add(m, name, t_zeros(1, &one, F32, CPU));
    }
    for (int j = 0; j < CROSS_SCALES; ++j)
        s->first[j] = add_layer(m, first[j], inputs, hidden, kernel);
    for (int j = 0; j < CROSS_SCALES; ++j)
        s->same[j] = add_layer(m, same[j], hidden, outputs, kernel);
    for (int j = 0; j + 1 < CROSS_SCALES; ++j)
        s->up[j] = add_layer(m, up[j], hidden, outputs, kernel);
    for (int j = 0; j + 1 < CROSS_SCALES; ++j)
        s->down[j] = add_layer(m, down[j], hidden, outputs, kernel);
}

/* One generator for a block, its scales one after the other. */
static void add_permutations(cross_block *b, int64_t channels, uint32_t seed, device d)
{
    mersenne numbers = mersenne_open(seed);
    int64_t *order = malloc((size_t)channels * sizeof *order);
    for (int j = 0; order && j < CROSS_SCALES && !t_failed(); ++j) {
        mersenne_permutation(&numbers, order, (size_t)channels);
        b->permutation[j] = t_keep(t_to_device(t_from(order, 1, &channels, I64, CPU), d));
    }
    if (!order)
        t_fail(IMIAD_NO_MEMORY, "out of memory for a permutation");
    free(order);
}

/* The authors' list of modules begins with three inputs; a permutation and a coupling follow each
 * other. */
static void add_block(cross_flow *f, const maker *m, int index)
{
    cross_block *b = &f->blocks[index];
    int64_t first = f->shape.channels / 2, second = f->shape.channels - first;
    b->kernel = index + 1 < f->shape.blocks ? 3 : 5;
    add_permutations(b, f->shape.channels, (uint32_t)index, m->device);
    maker own = *m;
    snprintf(own.path, sizeof own.path, "module_list.%d.s1", 4 + 2 * index);
    add_subnet(&b->s1, &own, first, f->shape.hidden, 2 * second, b->kernel);
    snprintf(own.path, sizeof own.path, "module_list.%d.s2", 4 + 2 * index);
    add_subnet(&b->s2, &own, second, f->shape.hidden, 2 * first, b->kernel);
}

imiad_status cross_flow_create(cross_flow **out, const cross_flow_shape *shape, params *store,
                               uint64_t seed, const char *purpose, device d)
{
    cross_flow *f = calloc(1, sizeof *f);
    if (f)
        f->blocks = calloc((size_t)shape->blocks, sizeof *f->blocks);
    if (!f || !f->blocks) {
        free(f);
        return fail_memory("a cross-scale flow", sizeof *f);
    }
    f->shape = *shape;
    const maker m = {.store = store, .seed = seed, .purpose = purpose, .device = d};
    scope s = scope_begin();
    for (int i = 0; i < shape->blocks && !t_failed(); ++i)
        add_block(f, &m, i);
    imiad_status status = scope_end(&s);
    if (status == IMIAD_OK)
        *out = f;
    else
        cross_flow_free(f);
    return status;
}

void cross_flow_free(cross_flow *f)
{
    if (!f)
        return;
    for (int i = 0; i < f->shape.blocks; ++i)
        for (int j = 0; j < CROSS_SCALES; ++j)
            t_free(f->blocks[i].permutation[j]);
    free(f->blocks);
    free(f);
}

/* ---- subnets ---- */

static tensor *convolve(const cross_layer *l, tensor *x, int stride, int kernel)
{
    return t_conv2d(x, l->weight, l->bias, stride, kernel / 2, 1, 1);
}

static tensor *twice_as_large(tensor *x)
{
    return t_interpolate(x, 2 * t_size(x, 2), 2 * t_size(x, 3), BILINEAR, false);
}

/* Every map's output hears of itself and of its neighbours. */
static void cross(const cross_subnet *s, tensor *const *x, int kernel, tensor **out)
{
    tensor *h[CROSS_SCALES];
    for (int j = 0; j < CROSS_SCALES; ++j)
        h[j] = t_leaky_relu(convolve(&s->first[j], x[j], 1, kernel), slope);
    for (int j = 0; j < CROSS_SCALES; ++j) {
        out[j] = convolve(&s->same[j], h[j], 1, kernel);
        if (j > 0)
            out[j] = t_add(out[j], convolve(&s->down[j - 1], h[j - 1], 2, kernel));
        if (j + 1 < CROSS_SCALES)
            out[j] = t_add(out[j], convolve(&s->up[j], twice_as_large(h[j + 1]), 1, kernel));
        out[j] = t_mul(out[j], s->gamma[j]);
    }
}

/* ---- couplings ---- */

static tensor *bounded(const cross_flow *f, tensor *s)
{
    double c = f->shape.clamp;
    return t_mul_scalar(t_atan(t_div_scalar(s, c)), c * two_over_pi);
}

/* exp(L) x + t of each map, from what the subnet made of the maps that it looks at. */
static void couple(const cross_flow *f, const cross_subnet *s, int kernel, tensor *const *looked,
                   tensor **moved, tensor **log_determinant)
{
    tensor *r[CROSS_SCALES];
    cross(s, looked, kernel, r);
    for (int j = 0; j < CROSS_SCALES; ++j) {
        int64_t half = t_size(moved[j], 1);
        tensor *log_scale = bounded(f, t_slice(r[j], 1, 0, half));
        moved[j] = t_add(t_mul(t_exp(log_scale), moved[j]), t_slice(r[j], 1, half, 2 * half));
        *log_determinant = t_plus(*log_determinant, t_sum(t_flatten(log_scale, 1, 3), 1, false));
    }
}

static void uncouple(const cross_flow *f, const cross_subnet *s, int kernel, tensor *const *looked,
                     tensor **moved)
{
    tensor *r[CROSS_SCALES];
    cross(s, looked, kernel, r);
    for (int j = 0; j < CROSS_SCALES; ++j) {
        int64_t half = t_size(moved[j], 1);
        tensor *log_scale = bounded(f, t_slice(r[j], 1, 0, half));
        moved[j] =
            t_mul(t_sub(moved[j], t_slice(r[j], 1, half, 2 * half)), t_exp(t_neg(log_scale)));
    }
}

/* Permuting and halving in one: every channel moves once. */
void cross_flow_forward(const cross_flow *f, tensor *const x[CROSS_SCALES], tensor *z[CROSS_SCALES],
                        tensor **log_determinant)
{
    int64_t half = f->shape.channels / 2;
    *log_determinant = NULL;
    for (int j = 0; j < CROSS_SCALES; ++j)
        z[j] = x[j];
    for (int i = 0; i < f->shape.blocks; ++i) {
        const cross_block *b = &f->blocks[i];
        tensor *first[CROSS_SCALES], *second[CROSS_SCALES];
        for (int j = 0; j < CROSS_SCALES; ++j) {
            tensor *order = b->permutation[j];
            first[j] = t_index_select(z[j], 1, t_slice(order, 0, 0, half));
            second[j] = t_index_select(z[j], 1, t_slice(order, 0, half, f->shape.channels));
        }
        couple(f, &b->s2, b->kernel, second, first, log_determinant);
        couple(f, &b->s1, b->kernel, first, second, log_determinant);
        for (int j = 0; j < CROSS_SCALES; ++j)
            z[j] = t_clamp(t_cat((tensor *[]){first[j], second[j]}, 2, 1), -largest, largest);
    }
}

void cross_flow_inverse(const cross_flow *f, tensor *const z[CROSS_SCALES], tensor *x[CROSS_SCALES])
{
    int64_t half = f->shape.channels / 2;
    for (int j = 0; j < CROSS_SCALES; ++j)
        x[j] = z[j];
    for (int i = f->shape.blocks - 1; i >= 0; --i) {
        const cross_block *b = &f->blocks[i];
        tensor *first[CROSS_SCALES], *second[CROSS_SCALES];
        for (int j = 0; j < CROSS_SCALES; ++j) {
            first[j] = t_slice(x[j], 1, 0, half);
            second[j] = t_slice(x[j], 1, half, f->shape.channels);
        }
        uncouple(f, &b->s1, b->kernel, first, second);
        uncouple(f, &b->s2, b->kernel, second, first);
        for (int j = 0; j < CROSS_SCALES; ++j)
            x[j] = t_index_select(t_cat((tensor *[]){first[j], second[j]}, 2, 1), 1,
                                  t_argsort(b->permutation[j], 0, false));
    }
}
