/* Devices and types, ours and libtorch's. */
#include "bridge/bridge.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
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

imiad_status device_parse(device *out, const char *text)
{
    if (!out || !text)
        return fail(IMIAD_INVALID_ARGUMENT, "device_parse: an argument is NULL");
    device parsed = {false, 0};
    if (strcmp(text, "cpu") != 0) {
        bool numbered = strncmp(text, "cuda:", 5) == 0 && text[5] >= '0' && text[5] <= '9';
        char *end = nullptr;
        long index = numbered ? strtol(text + 5, &end, 10) : 0;
        if (strcmp(text, "cuda") != 0 && (!numbered || *end != '\0' || index > 127))
            return fail(IMIAD_OUT_OF_RANGE, "device is \"%s\": it must be cpu, cuda or cuda:0, ...",
                        text);
        parsed = {true, static_cast<int>(index)};
        try {
            TRY(find_cuda(parsed.index));
            keep_float32();
        } catch (const std::exception &e) {
            return fail(IMIAD_UNSUPPORTED, "device %s: %s", text, e.what());
        }
    }
    *out = parsed;
    return IMIAD_OK;
}

const char *device_name(device d, char out[16])
{
    if (d.cuda)
        snprintf(out, 16, "cuda:%d", d.index);
    else
        snprintf(out, 16, "cpu");
    return out;
}

void device_synchronize(device d)
{
    if (d.cuda)
        action("synchronize", {}, [&] { torch::cuda::synchronize(d.index); });
}

imiad_status device_memory(device d, size_t *now, size_t *peak)
{
    char name[16];
    if (!now || !peak)
        return fail(IMIAD_INVALID_ARGUMENT, "device_memory: an argument is NULL");
    try {
        if (d.cuda && compat::cuda_memory(d.index, now, peak))
            return IMIAD_OK;
    } catch (const std::exception &e) {
        return fail(IMIAD_INTERNAL, "memory of device %s: %s", device_name(d, name), e.what());
    }
    return fail(IMIAD_UNSUPPORTED, "libtorch %s does not tell the memory of device %s",
                TORCH_VERSION, device_name(d, name));
}

const char *bridge_torch_version(void)
{
    return TORCH_VERSION;
}
