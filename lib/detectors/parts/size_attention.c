#include "detectors/parts/size_attention.h"

#include <stdio.h>

/* ---- making ---- */

static coordinate_projection add_projection(const builder *b, const char *kind, int place,
                                            int64_t dimension)
{
    const builder at = builder_below(b, "%s_proj%d", kind, place + 1);
    coordinate_projection p;
    p.weight = weight_add(&at, 3, (int64_t[]){dimension, 1, 1});
    p.bias = bias_add(&at, dimension, p.weight);
    return p;
}

static conv2d_spec spec_of(int64_t inputs, int64_t outputs, int kernel)
{
    return (conv2d_spec){.inputs = inputs,
                         .outputs = outputs,
                         .kernel = kernel,
                         .padding = kernel / 2,
                         .bias = true};
}

size_attention size_attention_add(const builder *b, const char *name, int64_t channels,
                                  int64_t height, int64_t width, int sizes)
{
    const builder at = builder_below(b, "%s", name);
    size_attention a = {.count = sizes};
    for (int i = 0; i < sizes; ++i) {
        patch_attention *p = &a.sizes[i];
        p->parts = 1 << i;
        int64_t dimension = channels * (height / p->parts) * (width / p->parts);
        if (p->parts > 1) {
            p->q = add_projection(&at, "q", i, dimension);
            p->k = add_projection(&at, "k", i, dimension);
        }
        p->v = add_projection(&at, "v", i, dimension);
    }
    const builder block = builder_below(&at, "residual_block");
    a.first =
        conv_block_add(&block, "conv1", "norm1", spec_of(sizes * channels, channels, 3), RELU);
    a.second =
        conv_block_add(&block, "conv2", "norm2", spec_of(channels, channels, 3), NO_ACTIVATION);
    a.shortcut = conv2d_add(&block, "downsample", spec_of(sizes * channels, channels, 1));
    return a;
}

/* ---- running ---- */

tensor *split_patches(tensor *map, int parts)
{
    int64_t channels = t_size(map, 1), height = t_size(map, 2) / parts,
            width = t_size(map, 3) / parts;
    tensor *cut = t_view(map, 6, (int64_t[]){-1, channels, parts, height, parts, width});
    return t_view(t_permute(cut, 6, (int[]){0, 2, 4, 1, 3, 5}), 3,
                  (int64_t[]){-1, (int64_t)parts * parts, channels * height * width});
}

tensor *join_patches(tensor *tokens, int parts, int64_t height, int64_t width)
{
    int64_t h = height / parts, w = width / parts, channels = t_size(tokens, 2) / (h * w);
    tensor *cut = t_view(tokens, 6, (int64_t[]){-1, parts, parts, channels, h, w});
    return t_view(t_permute(cut, 6, (int[]){0, 3, 1, 4, 2, 5}), 4,
                  (int64_t[]){-1, channels, height, width});
}

static tensor *project(const coordinate_projection *p, tensor *tokens)
{
    tensor *weight = t_view(p->weight, 3, (int64_t[]){1, 1, -1});
    return t_add(t_mul(tokens, weight), p->bias);
}

/* The rows of softmax add up to 1, so that the values' projection gives the same after the sum over
 * patches as before it; products are divided by the dimension, not by its root. */
static tensor *attend(const patch_attention *p, tensor *map)
{
    tensor *tokens = split_patches(map, p->parts), *seen = tokens;
    if (p->parts > 1) {
        tensor *keys = t_transpose(project(&p->k, tokens), 1, 2);
        tensor *products = t_bmm(project(&p->q, tokens), keys);
        double dimension = (double)t_size(tokens, 2);
        seen = t_bmm(t_softmax(t_mul_scalar(products, 1 / dimension), 2), tokens);
    }
    return join_patches(project(&p->v, seen), p->parts, t_size(map, 2), t_size(map, 3));
}

tensor *size_attention_run(const size_attention *a, tensor *map, bool training)
{
    tensor *seen[ATTENTION_SIZES];
    for (int i = 0; i < a->count; ++i)
        seen[i] = attend(&a->sizes[i], map);
    tensor *all = t_cat(seen, a->count, 1);
    tensor *deep = conv_block_run(&a->second, conv_block_run(&a->first, all, training), training);
    return activate(t_add(deep, conv2d_run(&a->shortcut, all)), RELU);
}
