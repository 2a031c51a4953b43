#include "detectors/parts/scale_fusion.h"

#include <stdio.h>

static int64_t common_divisor(int64_t a, int64_t b)
{
    return b == 0 ? a : common_divisor(b, a % b);
}

/* To a larger map by 1x1, to one 2 or 4 times smaller by strides. A smaller map has a whole number
 * of times the channels where a backbone doubles them, so that each of its channels sees one; else
 * each sees as few as divide both. */
static conv2d_spec spec_of(int from, int to, const int64_t channels[FUSED_MAPS])
{
    conv2d_spec spec = {.inputs = channels[from], .outputs = channels[to], .bias = true};
    if (to < from) {
        spec.kernel = 1;
        return spec;
    }
    spec.stride = 1 << (to - from);
    spec.kernel = spec.stride + 1;
    spec.padding = spec.stride / 2;
    spec.groups = (int)common_divisor(channels[to], channels[from]);
    return spec;
}

scale_fusion scale_fusion_add(const builder *b, const char *name,
                              const int64_t channels[FUSED_MAPS])
{
    const builder at = builder_below(b, "%s", name);
    scale_fusion f;
    for (int from = 0; from < FUSED_MAPS; ++from)
        for (int to = 0; to < FUSED_MAPS; ++to) {
            char path[32];
            snprintf(path, sizeof path, to < from ? "l%d_to_l%d.conv" : "l%d_to_l%d", from + 1,
                     to + 1);
            if (from != to)
                f.paths[from][to] = conv2d_add(&at, path, spec_of(from, to, channels));
        }
    return f;
}

/* A 1x1 convolution gives the same before a map is enlarged as after it, at a fraction of the cost:
 * the weights of bilinear interpolation add up to 1. */
static tensor *move(const conv2d *path, tensor *map, tensor *like)
{
    tensor *moved = conv2d_run(path, map);
    if (path->spec.kernel > 1)
        return moved;
    return t_interpolate(moved, t_size(like, 2), t_size(like, 3), BILINEAR, true);
}

void scale_fusion_run(const scale_fusion *f, tensor *const maps[FUSED_MAPS],
                      tensor *out[FUSED_MAPS])
{
    for (int to = 0; to < FUSED_MAPS; ++to) {
        out[to] = maps[to];
        for (int from = 0; from < FUSED_MAPS; ++from)
            if (from != to)
                out[to] = t_add(out[to], move(&f->paths[from][to], maps[from], maps[to]));
    }
}
