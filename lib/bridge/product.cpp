/* Matrix products in float32 on the CPU.
 *
 * libtorch multiplies through MKL where it was built with it. Debian's was not: it calls the
 * system's BLAS, which may be the reference implementation, on one thread. The oneDNN that the same
 * libtorch convolves with is much faster (tests/bench/bench_bridge), so there a product of floats
 * is asked of it, as a 1x1 convolution over an image whose pixels are the rows. Small products and
 * those of doubles are summed by ordered_products.c. */
#include "bridge/bridge.h"

#include <algorithm>
#include <vector>

#include <torch/csrc/autograd/custom_function.h>

#include "base/threads.h"
#include "bridge/ordered_products.h"

namespace
{

/* Multiplications of a row, or of a matrix, from which preparing pays. How many rows or images
 * there are must not count: an image would score other bits alone than in a batch. */
enum : int64_t { WORTH_ROW = 1 << 11, WORTH_MATRIX = 1 << 20 };
enum : size_t { AT_ONCE = 1 << 18 }; /* multiplications that a thread takes */

bool goes_to_onednn(const at::Tensor &a, const at::Tensor &b)
{
    return a.numel() > 0 && b.numel() > 0 && a.is_cpu() && b.is_cpu() &&
           a.scalar_type() == at::kFloat && b.scalar_type() == at::kFloat && !at::hasMKL() &&
           at::hasMKLDNN() && at::globalContext().userEnabledMkldnn();
}

bool is_recorded(const at::Tensor &a, const at::Tensor &b)
{
    return at::GradMode::is_enabled() && (a.requires_grad() || b.requires_grad());
}

/* The reference BLAS takes seconds for a product of a thousand rows and columns of doubles, and
 * oneDNN has none. Recorded ones stay with libtorch, where tests take them for the truth. */
bool is_of_doubles(const at::Tensor &a, const at::Tensor &b)
{
    return a.numel() > 0 && b.numel() > 0 && a.is_cpu() && b.is_cpu() &&
           a.scalar_type() == at::kDouble && b.scalar_type() == at::kDouble && !at::hasMKL() &&
           !is_recorded(a, b);
}

/* x times the transpose of weight, matrices both. */
at::Tensor product(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias)
{
    at::Tensor image = x.unsqueeze(0).unsqueeze(0).permute({0, 3, 1, 2});
    /* as a matrix libtorch transposes by blocks, as an image's filters number by number */
    at::Tensor filters = weight.contiguous().view({weight.size(0), weight.size(1), 1, 1});
    return at::mkldnn_convolution(image, filters, bias, {0, 0}, {1, 1}, {1, 1}, 1)
        .permute({0, 2, 3, 1})
        .reshape({-1, weight.size(0)});
}

/* The same, recorded. libtorch's own backward of a 1x1 convolution goes back to the BLAS where
 * there is one thread; this one stays with oneDNN. It cannot be differentiated twice. */
struct recorded_product : torch::autograd::Function<recorded_product> {
    using context = torch::autograd::AutogradContext;
    using variables = torch::autograd::variable_list;

    static at::Tensor forward(context *c, const at::Tensor &x, const at::Tensor &weight)
    {
        c->save_for_backward({x, weight});
        return product(x, weight, at::Tensor());
    }

    static variables backward(context *c, variables gradients)
    {
        const variables saved = c->get_saved_variables();
        const at::Tensor &x = saved[0], &weight = saved[1];
        at::Tensor g = gradients[0].contiguous(), of_x, of_weight;
        if (c->needs_input_grad(0))
            of_x = product(g, weight.t(), at::Tensor());
        if (c->needs_input_grad(1))
            of_weight = product(g.t().contiguous(), x.t(), at::Tensor());
        return {of_x, of_weight};
    }
};

/* Where each of the matrices in the leading dimensions begins. */
std::vector<int64_t> begins_of(const at::Tensor &matrices)
{
    std::vector<int64_t> begins = {0};
    for (int64_t dim = 0; dim < matrices.dim() - 2; ++dim) {
        std::vector<int64_t> more;
        for (int64_t begin : begins)
            for (int64_t i = 0; i < matrices.size(dim); ++i)
                more.push_back(begin + i * matrices.stride(dim));
        begins = std::move(more);
    }
    return begins;
}

/* Summed in their order, so that every BLAS and processor gives what the reference BLAS gives.
 * OpenBLAS rounds a row otherwise alone than among others. */
at::Tensor multiply_in_order(const at::Tensor &a, const at::Tensor &b)
{
    const std::vector<int64_t> left = begins_of(a), right = begins_of(b);
    std::vector<int64_t> shape = a.sizes().vec();
    shape.back() = b.size(-1);
    at::Tensor out = at::empty(shape, a.options());
    ordered_products p = {a.scalar_type() == at::kDouble,
                          out.data_ptr(),
                          {a.data_ptr(), left.data(), a.stride(-2), a.stride(-1)},
                          {b.data_ptr(), right.data(), b.stride(-2), b.stride(-1)},
                          static_cast<int64_t>(left.size()),
                          a.size(-2),
                          a.size(-1),
                          b.size(-1)};
    const size_t parts = ordered_products_parts(&p),
                 one = static_cast<size_t>(out.numel() * p.inner) / parts;
    parallel_for(parts, one < AT_ONCE ? AT_ONCE / one : 1, ordered_products_piece, &p);
    return out;
}

/* It can be differentiated twice where its gradients' products are small as well. */
struct recorded_in_order : torch::autograd::Function<recorded_in_order> {
    using context = torch::autograd::AutogradContext;
    using variables = torch::autograd::variable_list;

    static at::Tensor forward(context *c, const at::Tensor &a, const at::Tensor &b)
    {
        c->save_for_backward({a, b});
        return multiply_in_order(a, b);
    }

    static variables backward(context *c, variables gradients)
    {
        const variables saved = c->get_saved_variables();
        at::Tensor of_a, of_b;
        if (c->needs_input_grad(0))
            of_a = ::multiply(gradients[0], saved[1].transpose(-2, -1));
        if (c->needs_input_grad(1))
            of_b = ::multiply(saved[0].transpose(-2, -1), gradients[0]);
        return {of_a, of_b};
    }
};

/* Matrices of equal shape in all leading dimensions, one by one. Unbound together: taken one after
 * the other, each would have a gradient of the size of all of them. */
at::Tensor multiply_each(const at::Tensor &a, const at::Tensor &b)
{
    std::vector<int64_t> shape = a.sizes().vec();
    shape.back() = b.size(-1);
    const auto left = a.reshape({-1, a.size(-2), a.size(-1)}).unbind();
    const auto right = b.reshape({-1, b.size(-2), b.size(-1)}).unbind();
    std::vector<at::Tensor> products;
    for (size_t i = 0; i < left.size(); ++i)
        products.push_back(linear(left[i], right[i].t(), at::Tensor()));
    return at::stack(products).view(shape);
}

} // namespace

at::Tensor linear(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias)
{
    bool fits = x.dim() > 0 && weight.dim() == 2 && x.size(-1) == weight.size(1) &&
                (!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(0)));
    const bool doubles = fits && is_of_doubles(x, weight);
    if (!doubles && (!fits || !goes_to_onednn(x, weight)))
        return at::linear(x, weight, bias);
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = weight.size(0);
    at::Tensor rows = x.reshape({-1, x.size(-1)}), out;
    const bool recorded = is_recorded(x, weight);
    if (doubles || weight.numel() < WORTH_ROW)
        out = recorded ? recorded_in_order::apply(rows, weight.t())
                       : multiply_in_order(rows, weight.t());
    else if (recorded)
        out = recorded_product::apply(rows, weight);
    else
        return product(rows, weight, bias).reshape(shape);
    out = out.reshape(shape);
    return bias.defined() ? out + bias : out;
}

at::Tensor multiply(const at::Tensor &a, const at::Tensor &b)
{
    bool fits = a.dim() > 1 && b.dim() > 1 && a.size(-1) == b.size(-2);
    int64_t one = fits ? a.size(-2) * a.size(-1) * b.size(-1) : 0;
    const bool doubles = fits && is_of_doubles(a, b);
    if (!doubles && (!fits || !goes_to_onednn(a, b)))
        return at::matmul(a, b);
    if (b.dim() == 2)
        return linear(a, b.t(), at::Tensor());
    if (a.dim() != b.dim() || a.sizes().slice(0, a.dim() - 2) != b.sizes().slice(0, b.dim() - 2))
        return at::matmul(a, b);
    if (one >= WORTH_MATRIX && !doubles)
        return multiply_each(a, b);
    return is_recorded(a, b) ? recorded_in_order::apply(a, b) : multiply_in_order(a, b);
}

/* libtorch leaves 1x1 convolutions of small batches on one thread to the BLAS as well, and those of
 * a single image of few numbers, which would so have other last bits alone than in a batch. */
static bool convolve_small(at::Tensor *out, const at::Tensor &x, const at::Tensor &weight,
                           const at::Tensor &bias, const window &w, int64_t groups)
{
    enum : int64_t { FEW = 20480 };
    bool fits = x.dim() == 4 && weight.dim() == 4 && groups > 0 && w.stride > 0 &&
                x.size(1) == weight.size(1) * groups && weight.size(0) % groups == 0 &&
                (!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(0)));
    if (!fits || (weight.size(2) * weight.size(3) > 1 && (x.size(0) > 1 || x.numel() > FEW)))
        return false;
    int64_t rows =
        (x.size(2) + 2 * w.padding - w.dilation * (weight.size(2) - 1) - 1) / w.stride + 1;
    int64_t columns =
        (x.size(3) + 2 * w.padding - w.dilation * (weight.size(3) - 1) - 1) / w.stride + 1;
    if (rows < 1 || columns < 1 || !goes_to_onednn(x, weight))
        return false;
    bool is_product = weight.size(2) * weight.size(3) == 1 && groups == 1 && w.stride == 1 &&
                      w.padding == 0 && is_recorded(x, weight);
    if (is_product) { /* of the pixels as rows */
        at::Tensor pixels = linear(x.permute({0, 2, 3, 1}), weight.flatten(1), bias);
        *out = pixels.permute({0, 3, 1, 2});
        return true;
    }
    *out = at::mkldnn_convolution(x, weight, bias, {w.padding, w.padding}, {w.stride, w.stride},
                                  {w.dilation, w.dilation}, groups);
    return true;
}

at::Tensor convolve(const at::Tensor &x, const at::Tensor &weight, const at::Tensor &bias,
                    const window &w, int64_t groups)
{
    at::Tensor out;
    if (convolve_small(&out, x, weight, bias, w, groups))
        return out;
    return at::conv2d(x, weight, bias, {w.stride, w.stride}, {w.padding, w.padding},
                      {w.dilation, w.dilation}, groups);
}

namespace
{

/* Of pixels alone, or with a kernel as wide as the stride: no two places of the kernel overlap, and
 * they are a product, the pixels as rows by the kernels. */
at::Tensor transpose_apart(const at::Tensor &x, const at::Tensor &weight)
{
    int64_t images = x.size(0), rows = x.size(2), columns = x.size(3);
    int64_t channels = weight.size(1), height = weight.size(2), width = weight.size(3);
    at::Tensor places = linear(x.permute({0, 2, 3, 1}), weight.flatten(1).t(), at::Tensor());
    return places.view({images, rows, columns, channels, height, width})
        .permute({0, 3, 1, 4, 2, 5})
        .reshape({images, channels, rows * height, columns * width});
}

/* The outputs `phase`, `phase` + stride, ... of a side meet every stride-th tap of the kernel.
 * Turned around, these are a convolution over the pixels from `from` to `end`. */
struct side_of_phase {
    int64_t from, end;
};

side_of_phase side(int64_t phase, int64_t taps, const window &w, int64_t outputs)
{
    int64_t ahead = (phase + w.padding) / w.stride;
    return {ahead - taps + 1, ahead + outputs};
}

/* Every stride-th tap from (row, column) on, turned around: [channels of the output, of x, v taps,
 * h taps]. Plain loops: libtorch would copy two or three numbers at a time, three times over. */
at::Tensor taps_of_phase(const at::Tensor &weight, int64_t row, int64_t column, int64_t stride)
{
    enum : int64_t { TILE = 16 };
    const int64_t inputs = weight.size(0), outputs = weight.size(1), height = weight.size(2),
                  width = weight.size(3), high = (height - row + stride - 1) / stride,
                  wide = (width - column + stride - 1) / stride, count = high * wide;
    std::vector<int64_t> places;
    for (int64_t y = high - 1; y >= 0; --y)
        for (int64_t x = wide - 1; x >= 0; --x)
            places.push_back((row + y * stride) * width + column + x * stride);
    at::Tensor taps = at::empty({outputs, inputs, high, wide}, weight.options());
    const float *from = weight.data_ptr<float>();
    float *to = taps.data_ptr<float>();
    for (int64_t first = 0; first < outputs; first += TILE)
        for (int64_t i = 0; i < inputs; ++i)
            for (int64_t o = first; o < std::min(outputs, first + TILE); ++o)
                for (int64_t k = 0; k < count; ++k)
                    to[(o * inputs + i) * count + k] =
                        from[(i * outputs + o) * height * width + places[k]];
    return taps;
}

/* Of all phases, row by row. */
std::vector<at::Tensor> taps_of_phases(const at::Tensor &weight, const window &w)
{
    const at::Tensor filters = weight.contiguous();
    std::vector<at::Tensor> taps;
    for (int64_t i = 0; i < w.stride; ++i)
        for (int64_t j = 0; j < w.stride; ++j)
            taps.push_back(taps_of_phase(filters, (i + w.padding) % w.stride,
                                         (j + w.padding) % w.stride, w.stride));
    return taps;
}

/* Phase by phase, and the phases put between one another. Not recorded. */
at::Tensor transpose_by_phases(const at::Tensor &x, const std::vector<at::Tensor> &taps,
                               const window &w, int64_t rows, int64_t columns)
{
    const int64_t s = w.stride, high = (rows + s - 1) / s, wide = (columns + s - 1) / s;
    std::vector<at::Tensor> phases;
    for (int64_t i = 0; i < s; ++i)
        for (int64_t j = 0; j < s; ++j) {
            const at::Tensor &own = taps[static_cast<size_t>(i * s + j)];
            side_of_phase v = side(i, own.size(2), w, high), h = side(j, own.size(3), w, wide);
            at::Tensor pixels =
                at::constant_pad_nd(x, {-h.from, h.end - x.size(3), -v.from, v.end - x.size(2)});
            phases.push_back(convolve(pixels, own, at::Tensor(), {1, 0, 1}, 1));
        }
    if (s == 1)
        return phases[0];
    const int64_t outputs = taps[0].size(0);
    return at::stack(phases)
        .view({s, s, x.size(0), outputs, high, wide})
        .permute({2, 3, 4, 0, 5, 1})
        .reshape({x.size(0), outputs, high * s, wide * s})
        .slice(2, 0, rows)
        .slice(3, 0, columns);
}

/* The same, recorded. What goes back is the convolution that this one is the transpose of. Recorded
 * phase by phase, every phase would have a gradient of the size of the whole kernel. */
struct recorded_transpose : torch::autograd::Function<recorded_transpose> {
    using context = torch::autograd::AutogradContext;
    using variables = torch::autograd::variable_list;

    static at::Tensor forward(context *c, const at::Tensor &x, const at::Tensor &weight,
                              int64_t stride, int64_t padding, int64_t rows, int64_t columns)
    {
        c->save_for_backward({x, weight});
        c->saved_data["stride"] = stride;
        c->saved_data["padding"] = padding;
        const window w = {stride, padding, 1};
        return transpose_by_phases(x, taps_of_phases(weight, w), w, rows, columns);
    }

    static variables backward(context *c, variables gradients)
    {
        const variables saved = c->get_saved_variables();
        const at::Tensor &x = saved[0], &weight = saved[1];
        const int64_t stride = c->saved_data["stride"].toInt(),
                      padding = c->saved_data["padding"].toInt();
        at::Tensor g = gradients[0].contiguous(), of_x, of_weight;
        if (c->needs_input_grad(0))
            of_x = convolve(g, weight, at::Tensor(), {stride, padding, 1}, 1);
        if (c->needs_input_grad(1))
            of_weight = std::get<1>(at::convolution_backward(
                x.contiguous(), g, weight, c10::nullopt, {stride, stride}, {padding, padding},
                {1, 1}, false, {0, 0}, 1, {false, true, false}));
        return {of_x, of_weight, {}, {}, {}, {}};
    }
};

} // namespace

/* libtorch leaves transposed convolutions to the BLAS. */
at::Tensor convolve_transposed(const at::Tensor &x, const at::Tensor &weight,
                               const at::Tensor &bias, const window &w, int64_t output_padding,
                               int64_t groups)
{
    bool fits = x.dim() == 4 && weight.dim() == 4 && x.numel() > 0 && groups == 1 && w.stride > 0 &&
                w.padding >= 0 && output_padding >= 0 && output_padding < w.stride &&
                x.size(1) == weight.size(0) && weight.size(2) >= w.stride &&
                weight.size(3) >= w.stride &&
                (!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(1)));
    int64_t rows = 0, columns = 0;
    if (fits) {
        int64_t more = output_padding - 2 * w.padding;
        rows = (x.size(2) - 1) * w.stride + more + weight.size(2);
        columns = (x.size(3) - 1) * w.stride + more + weight.size(3);
    }
    if (rows < 1 || columns < 1 || !goes_to_onednn(x, weight))
        return at::conv_transpose2d(x, weight, bias, {w.stride, w.stride}, {w.padding, w.padding},
                                    {output_padding, output_padding}, groups);
    bool is_pixel = x.size(2) == 1 && x.size(3) == 1;
    bool is_apart = w.padding == 0 && output_padding == 0 &&
                    (is_pixel || (weight.size(2) == w.stride && weight.size(3) == w.stride));
    at::Tensor out;
    if (is_apart)
        out = transpose_apart(x, weight);
    else if (is_recorded(x, weight))
        out = recorded_transpose::apply(x, weight, w.stride, w.padding, rows, columns);
    else
        out = transpose_by_phases(x, taps_of_phases(weight, w), w, rows, columns);
    return bias.defined() ? out + bias.view({-1, 1, 1}) : out;
}

at::Tensor turned_kernels(const at::Tensor &weight, const window &w)
{
    if (weight.dim() != 4 || weight.scalar_type() != at::kFloat || !weight.is_cpu() ||
        w.stride < 1 || w.padding < 0 || weight.size(2) % w.stride || weight.size(3) % w.stride)
        refuse(IMIAD_MISMATCH,
               "only kernels of floats on the host whose sides are multiples of the "
               "stride are turned");
    return at::cat(taps_of_phases(weight, w));
}

at::Tensor convolve_turned(const at::Tensor &x, const at::Tensor &kernels, const at::Tensor &bias,
                           const window &w)
{
    const int64_t s = w.stride, less = 2 * w.padding;
    const std::vector<at::Tensor> taps = kernels.chunk(s * s);
    at::Tensor out = transpose_by_phases(x, taps, w, (x.size(2) - 1 + taps[0].size(2)) * s - less,
                                         (x.size(3) - 1 + taps[0].size(3)) * s - less);
    return bias.defined() ? out + bias.view({-1, 1, 1}) : out;
}
