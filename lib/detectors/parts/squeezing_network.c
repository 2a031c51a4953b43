#include "detectors/parts/squeezing_network.h"

#include <stdio.h>

static const double slope = 0.005;
static const int times[SQUEEZING_LEVELS] = {1, 2, 4, 8, 8}; /* as wide as the finest level */

static conv2d add(const builder *b, const char *what, int i, conv2d_spec spec)
{
    char name[32];
    snprintf(name, sizeof name, "%s%d", what, i);
    spec.bias = true;
    return conv2d_add(b, name, spec);
}

/* 4 x 4 kernels that halve a side, or double it. */
static conv2d_spec halving(int64_t inputs, int64_t outputs, bool transposed)
{
    return (conv2d_spec){.inputs = inputs,
                         .outputs = outputs,
                         .kernel = 4,
                         .stride = 2,
                         .padding = 1,
                         .transposed = transposed};
}

squeezing_network squeezing_network_add(const builder *b, int64_t side, int64_t width,
                                        int64_t numbers, int64_t outputs, bool with_skips)
{
    squeezing_network n = {.skips = {{NULL, NULL, {0}}}};
    int smallest = (int)(side / SQUEEZING_MULTIPLE);
    int64_t before = 3, deepest = times[SQUEEZING_LEVELS - 1] * width;
    for (int i = 0; i < SQUEEZING_LEVELS; ++i) {
        n.down[i] = add(b, "down", i, halving(before, times[i] * width, false));
        before = times[i] * width;
    }
    n.squeeze = add(b, "squeeze", 0,
                    (conv2d_spec){.inputs = before, .outputs = numbers, .kernel = smallest});
    n.widen =
        add(b, "widen", 0,
            (conv2d_spec){
                .inputs = numbers, .outputs = deepest, .kernel = smallest, .transposed = true});
    before = deepest;
    for (int i = 0; i < SQUEEZING_LEVELS; ++i) {
        int level = SQUEEZING_LEVELS - 2 - i;
        int64_t channels = times[level > 0 ? level : 0] * width;
        n.up[i] = add(b, "up", i, halving(before, channels, true));
        before = channels;
    }
    n.last = add(b, "last", 0, (conv2d_spec){.inputs = before, .outputs = outputs, .kernel = 1});
    for (int i = 0; with_skips && i < SQUEEZING_LEVELS; ++i)
        n.skips[i] = add(
            b, "skip", i,
            (conv2d_spec){.inputs = times[i] * width, .outputs = times[i] * width, .kernel = 1});
    return n;
}

/* The decoder's level with what skips the vector added to it, before the activation. */
static tensor *join(const squeezing_network *n, int level, tensor *x, tensor *seen,
                    const double *skips)
{
    if (skips && skips[level] > 0)
        x = t_add(x, t_mul_scalar(conv2d_run(&n->skips[level], seen), skips[level]));
    return t_leaky_relu(x, slope);
}

tensor *squeezing_network_run(const squeezing_network *n, tensor *x,
                              const double skips[SQUEEZING_LEVELS])
{
    tensor *seen[SQUEEZING_LEVELS];
    for (int i = 0; i < SQUEEZING_LEVELS; ++i)
        x = seen[i] = t_leaky_relu(conv2d_run(&n->down[i], x), slope);
    x = conv2d_run(&n->widen, conv2d_run(&n->squeeze, x));
    for (int i = SQUEEZING_LEVELS - 1; i >= 0; --i) {
        x = join(n, i, x, seen[i], skips);
        x = conv2d_run(&n->up[SQUEEZING_LEVELS - 1 - i], x);
    }
    return conv2d_run(&n->last, t_leaky_relu(x, slope));
}

void squeezing_network_fade(double out[SQUEEZING_LEVELS], int64_t epoch, int64_t epochs)
{
    double each = (double)(epochs / 5) / SQUEEZING_LEVELS;
    for (int i = 0; i < SQUEEZING_LEVELS; ++i) {
        double left = each > 0 ? 1 - ((double)epoch - i * each) / each : 0;
        out[i] = left < 0 ? 0 : left > 1 ? 1 : left;
    }
}
