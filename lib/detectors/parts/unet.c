#include "detectors/parts/unet.h"

static unet_block add_block(const builder *b, int64_t inputs, int64_t outputs)
{
    conv2d_spec spec = {
        .inputs = inputs, .outputs = outputs, .kernel = 3, .padding = 1, .bias = true};
    unet_block out = {.first = conv2d_add(b, "0", spec)};
    spec.inputs = outputs;
    out.second = conv2d_add(b, "2", spec);
    return out;
}

unet unet_add(const builder *b, int64_t inputs, int64_t width, int64_t outputs)
{
    unet u;
    int64_t before = inputs;
    for (int i = 0; i < UNET_LEVELS; ++i) {
        const builder at = builder_below(b, "down_path.%d.block", i);
        u.down[i] = add_block(&at, before, width << i);
        before = width << i;
    }
    for (int i = 0; i < UNET_LEVELS - 1; ++i) {
        const builder at = builder_below(b, "up_path.%d", i);
        const builder block = builder_below(&at, "conv_block.block");
        int64_t channels = before / 2;
        u.enlarge[i] = conv2d_add(&at, "up",
                                  (conv2d_spec){.inputs = before,
                                                .outputs = channels,
                                                .kernel = 2,
                                                .stride = 2,
                                                .bias = true,
                                                .transposed = true});
        u.up[i] = add_block(&block, before, channels);
        before = channels;
    }
    u.last = conv2d_add(
        b, "last", (conv2d_spec){.inputs = before, .outputs = outputs, .kernel = 1, .bias = true});
    return u;
}

static tensor *run_block(const unet_block *b, tensor *x)
{
    x = activate_(conv2d_run(&b->first, x), RELU);
    return activate_(conv2d_run(&b->second, x), RELU);
}

tensor *unet_run(const unet *u, tensor *x)
{
    tensor *seen[UNET_LEVELS];
    for (int i = 0; i < UNET_LEVELS; ++i) {
        x = seen[i] = run_block(&u->down[i], i == 0 ? x : t_max_pool2d(x, 2, 2, 0, false));
    }
    for (int i = 0; i < UNET_LEVELS - 1; ++i) {
        tensor *both[] = {conv2d_run(&u->enlarge[i], x), seen[UNET_LEVELS - 2 - i]};
        x = run_block(&u->up[i], t_cat(both, 2, 1));
    }
    return conv2d_run(&u->last, x);
}
