/* libtorch's headers, and the only place that knows how its releases differ. What HAVE_... say was
 * found out by compiling, never by comparing version numbers (see meson.build). */
#ifndef BRIDGE_TORCH_COMPAT_H
#define BRIDGE_TORCH_COMPAT_H

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <torch/cuda.h>
#include <torch/version.h>

#include "torch_config.h" /* made by meson.build */

#if HAVE_DEVICE_ALLOCATOR
#include <c10/core/CachingDeviceAllocator.h>
#endif

namespace compat
{

/* Takes the place of libtorch's printing of warnings, for the calling thread. */
class warning_log : public c10::WarningHandler
{
  public:
    virtual void log(const char *message) = 0;

#if HAVE_WARNING_UTILS
    void process(const c10::Warning &warning) override
    {
        log(warning.msg().c_str());
    }
#else
    void process(const c10::SourceLocation &, const std::string &message, const bool) override
    {
        log(message.c_str());
    }
#endif
};

#if HAVE_WARNING_UTILS
namespace warnings = c10::WarningUtils;
#else
namespace warnings = c10::Warning;
#endif

/* softmax(scale q k^T) v, fused where this libtorch can, by way of `multiply` where not */
inline at::Tensor attention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v,
                            double scale,
                            at::Tensor (*multiply)(const at::Tensor &, const at::Tensor &))
{
#if HAVE_SCALED_ATTENTION
    static_cast<void>(multiply);
    return at::scaled_dot_product_attention(q, k, v, {}, 0.0, false, scale);
#else
    return multiply(at::softmax(multiply(at::mul(q, scale), k.transpose(-2, -1)), -1), v);
#endif
}

/* The bytes that tensors occupy on a CUDA device, and their peak, which begins anew. False where
 * this libtorch does not tell. */
inline bool cuda_memory(int index, size_t *now, size_t *peak)
{
#if HAVE_DEVICE_ALLOCATOR
    auto device = static_cast<c10::DeviceIndex>(index);
    c10::DeviceAllocator *allocator = c10::getDeviceAllocator(at::kCUDA);
    auto bytes = allocator->getDeviceStats(device).allocated_bytes[0]; /* of all pools together */
    *now = static_cast<size_t>(bytes.current);
    *peak = static_cast<size_t>(bytes.peak);
    allocator->resetPeakStats(device);
    return true;
#else
    static_cast<void>(index), static_cast<void>(now), static_cast<void>(peak);
    return false;
#endif
}

} // namespace compat

#endif
