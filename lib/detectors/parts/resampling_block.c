#include "detectors/parts/resampling_block.h"

conv2d sided_conv(const builder *b, const char *name, int64_t inputs, int64_t outputs, int kernel,
                  int stride, bool bias)
{
    return conv2d_add(b, name,
                      (conv2d_spec){.inputs = inputs,
                                    .outputs = outputs,
                                    .kernel = kernel,
                                    .stride = stride,
                                    .padding = kernel / 2,
                                    .bias = bias});
}

up_block up_block_add(const builder *b, const char *name, int64_t inputs, int64_t outputs)
{
    const builder at = builder_below(b, "%s", name);
    return (up_block){
        .norms = {batch_norm_add(&at, "bn1", inputs), batch_norm_add(&at, "bn2", outputs)},
        .convs = {sided_conv(&at, "conv_1.conv.conv", inputs, outputs, 3, 1, false),
                  sided_conv(&at, "conv_2.conv", outputs, outputs, 3, 1, true)},
        .shortcut = sided_conv(&at, "conv_shortcut.conv.conv", inputs, outputs, 1, 1, true)};
}

down_block down_block_add(const builder *b, const char *name, int64_t inputs, int64_t outputs,
                          int64_t side)
{
    const builder at = builder_below(b, "%s", name);
    const int64_t shape[] = {inputs, side, side};
    return (down_block){
        .norms = {layer_norm_add(&at, "bn1", 3, shape), layer_norm_add(&at, "bn2", 3, shape)},
        .convs = {sided_conv(&at, "conv_1.conv", inputs, inputs, 3, 1, false),
                  sided_conv(&at, "conv_2.conv.conv", inputs, outputs, 3, 1, true)},
        .shortcut = sided_conv(&at, "conv_shortcut.conv.conv", inputs, outputs, 1, 1, true)};
}

/* ---- running ---- */

tensor *double_sides(tensor *x)
{
    return t_interpolate(x, 2 * t_size(x, 2), 2 * t_size(x, 3), NEAREST, false);
}

/* A 1x1 convolution gives the same before doubling as after it, at a quarter of the cost. */
tensor *up_block_run(const up_block *u, tensor *x)
{
    tensor *y = activate_(batch_norm_run(&u->norms[0], x, false), RELU);
    y = conv2d_run(&u->convs[0], double_sides(y));
    y = activate_(batch_norm_run(&u->norms[1], y, false), RELU);
    return t_add(double_sides(conv2d_run(&u->shortcut, x)), conv2d_run(&u->convs[1], y));
}

/* A convolution and the mean of 2x2 of its outputs: one of stride 2 whose kernel is the mean of the
 * first one's in the four places. */
static tensor *run_halving(const conv2d *c, tensor *x)
{
    tensor *kernel = t_avg_pool2d(c->weight, 2, 1, 1, true);
    return t_conv2d(x, kernel, c->bias, 2, 1, 1, 1);
}

tensor *down_block_run(const down_block *d, tensor *x)
{
    tensor *y = activate_(layer_norm_run(&d->norms[0], x), RELU);
    y = conv2d_run(&d->convs[0], y);
    y = activate_(layer_norm_run(&d->norms[1], y), RELU);
    tensor *shortcut = conv2d_run(&d->shortcut, t_avg_pool2d(x, 2, 2, 0, true));
    return t_add(shortcut, run_halving(&d->convs[1], y));
}
