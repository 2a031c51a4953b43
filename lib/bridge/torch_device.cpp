/* Devices and types, ours and libtorch's. */
#include "bridge/bridge.h"

#include <mutex>

#include "base/error.h"

at::ScalarType scalar_type(dtype type)
{
    switch (type) {
    case F32:
        return at::kFloat;
    case F64:
        return at::kDouble;
    case F16:
        return at::kHalf;
    case BF16:
        return at::kBFloat16;
    case I64:
        return at::kLong;
    case I32:
        return at::kInt;
    case U8:
        return at::kByte;
    case BOOL:
        return at::kBool;
    }
    refuse(IMIAD_INTERNAL, "%d is no dtype", static_cast<int>(type));
}

at::Device torch_device(device d)
{
    return d.cuda ? at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(d.index))
                  : at::Device(at::kCPU);
}

at::TensorOptions options_of(dtype type, device d)
{
    return at::TensorOptions().dtype(scalar_type(type)).device(torch_device(d));
}

at::IntArrayRef shape_of(int rank, const int64_t *shape)
{
    if (rank < 0 || (rank > 0 && !shape))
        refuse(IMIAD_INTERNAL, "a shape of rank %d is missing", rank);
    for (int i = 0; i < rank; ++i)
        if (shape[i] < -1)
            refuse(IMIAD_MISMATCH, "dimension %d of the shape is %lld", i,
                   static_cast<long long>(shape[i]));
    return at::IntArrayRef(shape, static_cast<size_t>(rank));
}

/* float32 is float32: cuDNN's default would multiply in TF32, of 10 bits, and may add in any order.
 * These settings are the process's own, for whoever else uses this libtorch in it too. */
static void keep_float32()
{
    static std::once_flag done;
    std::call_once(done, [] {
        at::globalContext().setAllowTF32CuDNN(false);
        at::globalContext().setDeterministicCuDNN(true);
    });
}

static imiad_status find_cuda(int index)
{
    if (!at::hasCUDA())
        return fail(IMIAD_UNSUPPORTED, "device cuda:%d: libtorch %s was built without CUDA", index,
                    TORCH_VERSION);
    int count = static_cast<int>(torch::cuda::device_count());
    if (index >= count)
        return fail(IMIAD_UNSUPPORTED, "device cuda:%d: this machine has %d CUDA device%s", index,
                    count, count == 1 ? "" : "s");
    return IMIAD_OK;
}

imiad_status device_find(device d)
{
    if (!d.cuda)
        return IMIAD_OK;
    try {
        TRY(find_cuda(d.index));
        keep_float32();
    } catch (const std::exception &e) {
        return fail(IMIAD_UNSUPPORTED, "device cuda:%d: %s", d.index, e.what());
    }
    return IMIAD_OK;
}

void device_synchronize(device d)
{
    if (d.cuda)
        action("synchronize", {}, [&] { torch::cuda::synchronize(d.index); });
}

imiad_status device_memory(device d, size_t *now, size_t *peak)
{
    if (!now || !peak)
        return fail(IMIAD_INVALID_ARGUMENT, "device_memory: an argument is NULL");
    if (!d.cuda)
        return fail(IMIAD_UNSUPPORTED, "libtorch does not tell the memory of device cpu");
    try {
        if (compat::cuda_memory(d.index, now, peak))
            return IMIAD_OK;
    } catch (const std::exception &e) {
        return fail(IMIAD_INTERNAL, "memory of device cuda:%d: %s", d.index, e.what());
    }
    return fail(IMIAD_UNSUPPORTED, "libtorch %s does not tell the memory of device cuda:%d",
                TORCH_VERSION, d.index);
}
