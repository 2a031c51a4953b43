#include "detectors/parts/residual_swin.h"

#include <stdio.h>

residual_swin residual_swin_add(const builder *b, const residual_swin_spec *spec)
{
    residual_swin r = {.spec = *spec};
    const conv2d_spec pointwise = {
        .inputs = spec->inputs, .outputs = spec->width, .kernel = 1, .bias = true};
    builder embed = builder_below(b, "patch_embed"), layers = builder_below(b, "layers.0.blocks");
    r.embed = conv2d_add(&embed, "proj", pointwise);
    r.embedded = layer_norm_add(&embed, "norm", 1, &spec->width);
    layers.weights = INIT_TRUNC_NORMAL;
    layers.biases = INIT_ZEROS;
    for (int i = 0; i < spec->blocks; ++i) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        const swin_spec block = {
            .channels = spec->width,
            .heads = spec->heads,
            .window = spec->attention,
            .shift = i % 2 ? spec->shift : 0,
            .path_dropout = spec->blocks > 1 ? spec->path_dropout * i / (spec->blocks - 1) : 0};
        r.blocks[i] = swin_block_add(&layers, name, &block);
    }
    r.norm = layer_norm_add(b, "norm", 1, &spec->width);
    builder head = *b;
    head.weights = INIT_TRUNC_NORMAL;
    head.biases = INIT_ZEROS;
    head.std = 2e-5; /* every token begins as likely good as anomalous */
    r.head = linear_add(&head, "head", spec->width, 2, true);
    return r;
}

tensor *residual_swin_embed(const residual_swin *r, tensor *residuals)
{
    const int64_t shape[2] = {r->spec.width, r->spec.inputs};
    tensor *x = t_linear(residuals, t_view(r->embed.weight, 2, shape), r->embed.bias);
    return layer_norm_run(&r->embedded, x);
}

tensor *residual_swin_judge(const residual_swin *r, tensor *x, int64_t height, int64_t width,
                            bool training)
{
    for (int i = 0; i < r->spec.blocks; ++i)
        x = swin_block_run(&r->blocks[i], x, height, width, training);
    return linear_run(&r->head, layer_norm_run(&r->norm, x));
}
