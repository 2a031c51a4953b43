/* Blocks of a Swin transformer, with timm's names: Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo: "Swin
 * Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021. */
#include <math.h>
#include <stdlib.h>

#include "nn/modules.h"

enum { HIDDEN_PER_CHANNEL = 4 };
static const float apart = -100; /* added to products of places that are no neighbours */

swin_block swin_block_add(const builder *b, const char *name, const swin_spec *spec)
{
    builder at = builder_below(b, "%s", name);
    const int64_t c = spec->channels, offsets = (2 * spec->window - 1) * (2 * spec->window - 1);
    if (spec->window < 1 || spec->shift < 0 || spec->shift >= spec->window)
        t_fail(IMIAD_INTERNAL, "swin block %s: windows of %lld shifted by %lld", at.path,
               (long long)spec->window, (long long)spec->shift);
    swin_block s = {.spec = *spec};
    s.norm1 = layer_norm_add(&at, "norm1", 1, &c);
    builder inner = builder_below(&at, "attn");
    inner.std = 0.02;
    s.offsets = parameter_add(&inner, "relative_position_bias_table", 2,
                              (int64_t[]){offsets, spec->heads}, INIT_TRUNC_NORMAL);
    s.attention = attention_add(&at, "attn", c, spec->heads, ATTENTION_TIMM);
    s.norm2 = layer_norm_add(&at, "norm2", 1, &c);
    s.mlp = mlp_add(&at, "mlp", 2, (int64_t[]){c, HIDDEN_PER_CHANNEL * c, c}, GELU,
                    (const char *const[]){"fc1", "fc2"});
    return s;
}

/* ---- which places look at each other ---- */

/* heads x places x places: what the distance of two places of a window adds. */
static tensor *offset_bias(const swin_block *s)
{
    int64_t side = s->spec.window, places = side * side, pairs = places * places, n = 0;
    int64_t *row = malloc((size_t)pairs * sizeof *row);
    if (!row)
        return t_fail(IMIAD_NO_MEMORY, "out of memory for the offsets of %lld places",
                      (long long)places);
    for (int64_t i = 0; i < places; ++i)
        for (int64_t j = 0; j < places; ++j)
            row[n++] =
                (i / side - j / side + side - 1) * (2 * side - 1) + i % side - j % side + side - 1;
    tensor *index = t_to_device(t_from(row, 1, &pairs, I64, CPU), t_device(s->offsets));
    free(row);
    tensor *bias =
        t_view(t_index_select(s->offsets, 0, index), 3, (int64_t[]){places, places, s->spec.heads});
    return t_permute(bias, 3, (int[]){2, 0, 1});
}

/* Of the three stripes that a shifted side falls into: the last two came together by the shift. */
static int64_t stripe(const swin_spec *s, int64_t at, int64_t length)
{
    return at < length - s->window ? 0 : at < length - s->shift ? 1 : 2;
}

/* windows x 1 x places x places: 0, or -100 where the shift brought far places together. */
static tensor *shift_mask(const swin_block *s, int64_t height, int64_t width, device d)
{
    const swin_spec *spec = &s->spec;
    int64_t side = spec->window, across = width / side, windows = height / side * across;
    int64_t places = side * side, shape[4] = {windows, 1, places, places};
    tensor *host = t_zeros(4, shape, F32, CPU);
    float *value = t_data(host);
    int64_t *region = malloc((size_t)places * sizeof *region);
    if (!region)
        t_fail(IMIAD_NO_MEMORY, "out of memory for the regions of %lld places", (long long)places);
    for (int64_t w = 0; value && region && w < windows; ++w) {
        for (int64_t i = 0; i < places; ++i)
            region[i] = 3 * stripe(spec, w / across * side + i / side, height) +
                        stripe(spec, w % across * side + i % side, width);
        for (int64_t i = 0; i < places; ++i)
            for (int64_t j = 0; j < places; ++j)
                *value++ = region[i] == region[j] ? 0 : apart;
    }
    free(region);
    return t_to_device(host, d);
}

/* ---- running ---- */

/* n x height x width x channels to (n windows) x places x channels. */
static tensor *to_windows(tensor *x, int64_t side)
{
    int64_t n = t_size(x, 0), h = t_size(x, 1), w = t_size(x, 2), c = t_size(x, 3);
    if (t_failed())
        return NULL;
    x = t_view(x, 6, (int64_t[]){n, h / side, side, w / side, side, c});
    x = t_contiguous(t_permute(x, 6, (int[]){0, 1, 3, 2, 4, 5}));
    return t_view(x, 3, (int64_t[]){-1, side * side, c});
}

static tensor *from_windows(tensor *x, int64_t side, int64_t height, int64_t width)
{
    int64_t c = t_size(x, 2);
    if (t_failed())
        return NULL;
    x = t_view(x, 6, (int64_t[]){-1, height / side, width / side, side, side, c});
    x = t_contiguous(t_permute(x, 6, (int[]){0, 1, 3, 2, 4, 5}));
    return t_view(x, 4, (int64_t[]){-1, height, width, c});
}

/* x: (n windows) x places x channels. */
static tensor *attend(const swin_block *s, tensor *x, tensor *mask)
{
    int64_t rows = t_size(x, 0), places = t_size(x, 1), c = t_size(x, 2), heads = s->spec.heads;
    if (t_failed())
        return NULL;
    tensor *all =
        t_view(linear_run(&s->attention.in, x), 5, (int64_t[]){rows, places, 3, heads, c / heads});
    tensor *parts[3];
    for (int i = 0; i < 3; ++i)
        parts[i] = t_permute(t_squeeze(t_slice(all, 2, i, i + 1), 2), 4, (int[]){0, 2, 1, 3});
    tensor *q = t_mul_scalar(parts[0], 1 / sqrt((double)(c / heads)));
    tensor *products = t_add(t_matmul(q, t_transpose(parts[1], 2, 3)), offset_bias(s));
    if (mask) {
        const int64_t windows = t_size(mask, 0);
        products = t_view(products, 5, (int64_t[]){-1, windows, heads, places, places});
        products = t_view(t_add(products, mask), 4, (int64_t[]){rows, heads, places, places});
    }
    tensor *mixed = t_matmul(t_softmax(products, -1), parts[2]);
    mixed = t_contiguous(t_permute(mixed, 4, (int[]){0, 2, 1, 3}));
    return linear_run(&s->attention.out, t_view(mixed, 3, (int64_t[]){rows, places, c}));
}

/* Leaves the whole branch out for some of the inputs: stochastic depth. */
static tensor *sometimes(const swin_block *s, tensor *branch, bool training)
{
    if (!training || s->spec.path_dropout <= 0)
        return branch;
    tensor *ones =
        t_full(3, (int64_t[]){t_size(branch, 0), 1, 1}, 1, t_type(branch), t_device(branch));
    return t_mul(branch, t_dropout(ones, s->spec.path_dropout, true));
}

static tensor *look_around(const swin_block *s, tensor *x, int64_t height, int64_t width)
{
    const swin_spec *spec = &s->spec;
    int64_t c = spec->channels;
    x = t_view(layer_norm_run(&s->norm1, x), 4, (int64_t[]){-1, height, width, c});
    for (int dim = 1; dim <= 2 && spec->shift > 0; ++dim)
        x = t_roll(x, -spec->shift, dim);
    tensor *mask = spec->shift > 0 ? shift_mask(s, height, width, t_device(x)) : NULL;
    x = from_windows(attend(s, to_windows(x, spec->window), mask), spec->window, height, width);
    for (int dim = 1; dim <= 2 && spec->shift > 0; ++dim)
        x = t_roll(x, spec->shift, dim);
    return t_view(t_contiguous(x), 3, (int64_t[]){-1, height * width, c});
}

tensor *swin_block_run(const swin_block *s, tensor *x, int64_t height, int64_t width, bool training)
{
    if (height % s->spec.window || width % s->spec.window)
        return t_fail(IMIAD_INTERNAL, "a grid of %lld x %lld for windows of %lld", (long long)width,
                      (long long)height, (long long)s->spec.window);
    x = t_add(x, sometimes(s, look_around(s, x, height, width), training));
    return t_add(x, sometimes(s, mlp_run(&s->mlp, layer_norm_run(&s->norm2, x)), training));
}
