/* Layers: convolutions, normalisations, pools, patches, resizing. */
#include "bridge/bridge.h"

#include "base/random.h"

tensor *t_linear(tensor *x, tensor *weight, tensor *bias)
{
    return operation("linear", {2, {x, weight, bias}},
                     [&] { return linear(*x, *weight, optional(bias)); });
}

tensor *t_conv2d(tensor *x, tensor *weight, tensor *bias, int stride, int padding, int dilation,
                 int groups)
{
    return operation("conv2d", {2, {x, weight, bias}}, [&] {
        return convolve(*x, *weight, optional(bias), {stride, padding, dilation}, groups);
    });
}

tensor *t_conv_transpose2d(tensor *x, tensor *weight, tensor *bias, int stride, int padding,
                           int output_padding, int groups)
{
    return operation("conv_transpose2d", {2, {x, weight, bias}}, [&] {
        return convolve_transposed(*x, *weight, optional(bias), {stride, padding, 1},
                                   output_padding, groups);
    });
}

tensor *t_turned_kernels(tensor *weight, int stride, int padding)
{
    return operation("turned_kernels", {weight}, [&] {
        return turned_kernels(*weight, {stride, padding, 1});
    });
}

tensor *t_conv_turned2d(tensor *x, tensor *kernels, tensor *bias, int stride, int padding)
{
    return operation("conv_turned2d", {2, {x, kernels, bias}}, [&] {
        return convolve_turned(*x, *kernels, optional(bias), {stride, padding, 1});
    });
}

tensor *t_batch_norm(tensor *x, tensor *weight, tensor *bias, tensor *running_mean,
                     tensor *running_var, bool training, double momentum, double eps)
{
    return operation("batch_norm", {1, {x, weight, bias, running_mean, running_var}}, [&] {
        return at::batch_norm(*x, optional(weight), optional(bias), optional(running_mean),
                              optional(running_var), training, momentum, eps, true);
    });
}

tensor *t_group_norm(tensor *x, int groups, tensor *weight, tensor *bias, double eps)
{
    return operation("group_norm", {1, {x, weight, bias}}, [&] {
        return at::group_norm(*x, groups, optional(weight), optional(bias), eps);
    });
}

tensor *t_instance_norm(tensor *x, tensor *weight, tensor *bias, double eps)
{
    return operation("instance_norm", {1, {x, weight, bias}}, [&] {
        return at::instance_norm(*x, optional(weight), optional(bias), at::Tensor(), at::Tensor(),
                                 true, 0.0, eps, true);
    });
}

tensor *t_layer_norm(tensor *x, int last_dims, tensor *weight, tensor *bias, double eps)
{
    return operation("layer_norm", {1, {x, weight, bias}}, [&] {
        int64_t rank = x->value.dim();
        if (last_dims < 1 || last_dims > rank)
            refuse(IMIAD_MISMATCH, "cannot normalise the last %d of %d dimensions", last_dims,
                   static_cast<int>(rank));
        at::IntArrayRef shape = x->value.sizes().slice(static_cast<size_t>(rank - last_dims));
        return at::layer_norm(*x, shape, optional(weight), optional(bias), eps);
    });
}

tensor *t_max_pool2d(tensor *x, int kernel, int stride, int padding, bool ceil_mode)
{
    return operation("max_pool2d", {x}, [&] {
        return at::max_pool2d(*x, {kernel, kernel}, {stride, stride}, {padding, padding}, {1, 1},
                              ceil_mode);
    });
}

tensor *t_avg_pool2d(tensor *x, int kernel, int stride, int padding, bool count_padding)
{
    return operation("avg_pool2d", {x}, [&] {
        return at::avg_pool2d(*x, {kernel, kernel}, {stride, stride}, {padding, padding}, false,
                              count_padding);
    });
}

tensor *t_adaptive_avg_pool2d(tensor *x, int height, int width)
{
    return operation("adaptive_avg_pool2d", {x}, [&] {
        return at::adaptive_avg_pool2d(*x, {height, width});
    });
}

tensor *t_adaptive_avg_pool1d(tensor *x, int width)
{
    return operation("adaptive_avg_pool1d", {x}, [&] {
        int64_t one = width;
        return at::adaptive_avg_pool1d(*x, at::IntArrayRef(one));
    });
}

tensor *t_unfold(tensor *x, int kernel, int dilation, int padding, int stride)
{
    return operation("unfold", {x}, [&] {
        return at::im2col(*x, {kernel, kernel}, {dilation, dilation}, {padding, padding},
                          {stride, stride});
    });
}

tensor *t_fold(tensor *x, int height, int width, int kernel, int dilation, int padding, int stride)
{
    return operation("fold", {x}, [&] {
        return at::col2im(*x, {height, width}, {kernel, kernel}, {dilation, dilation},
                          {padding, padding}, {stride, stride});
    });
}

tensor *t_attention(tensor *q, tensor *k, tensor *v, double scale)
{
    return operation("attention", {q, k, v},
                     [&] { return compat::attention(*q, *k, *v, scale, multiply); });
}

tensor *t_pad2d(tensor *x, int left, int right, int top, int bottom, pad_mode mode)
{
    return operation("pad2d", {x}, [&] {
        const int64_t sides[] = {left, right, top, bottom};
        switch (mode) {
        case PAD_ZERO:
            return at::constant_pad_nd(*x, sides, 0);
        case PAD_REFLECT:
            return at::reflection_pad2d(*x, sides);
        case PAD_REPLICATE:
            return at::replication_pad2d(*x, sides);
        }
        refuse(IMIAD_INTERNAL, "%d is no way of padding", static_cast<int>(mode));
    });
}

tensor *t_interpolate(tensor *x, int64_t height, int64_t width, interpolation mode,
                      bool align_corners)
{
    return operation("interpolate", {x}, [&] {
        const int64_t sides[] = {height, width};
        at::IntArrayRef size(sides);
        switch (mode) {
        case NEAREST:
            return at::upsample_nearest2d(*x, size, {}, {});
        case BILINEAR:
            return at::upsample_bilinear2d(*x, size, align_corners, {}, {});
        case BICUBIC:
            return at::upsample_bicubic2d(*x, size, align_corners, {}, {});
        }
        refuse(IMIAD_INTERNAL, "%d is no interpolation", static_cast<int>(mode));
    });
}

/* libtorch's numbers of the modes, from GridSamplerInterpolation and GridSamplerPadding */
tensor *t_grid_sample(tensor *x, tensor *grid, interpolation mode, pad_mode padding,
                      bool align_corners)
{
    return operation("grid_sample", {x, grid}, [&] {
        int64_t sampled = mode == BILINEAR ? 0 : mode == NEAREST ? 1 : 2;
        int64_t outside = padding == PAD_ZERO ? 0 : padding == PAD_REPLICATE ? 1 : 2;
        return at::grid_sampler(*x, *grid, sampled, outside, align_corners);
    });
}
