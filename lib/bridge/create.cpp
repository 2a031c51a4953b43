/* Making, looking and copying. */
#include "bridge/bridge.h"

#include <cmath>
#include <cstring>

tensor *t_zeros(int rank, const int64_t *shape, dtype type, device d)
{
    return operation("zeros", {},
                     [&] { return at::zeros(shape_of(rank, shape), options_of(type, d)); });
}

tensor *t_full(int rank, const int64_t *shape, double value, dtype type, device d)
{
    return operation("full", {},
                     [&] { return at::full(shape_of(rank, shape), value, options_of(type, d)); });
}

tensor *t_arange(int64_t count, dtype type, device d)
{
    return operation("arange", {}, [&] { return at::arange(count, options_of(type, d)); });
}

tensor *t_eye(int64_t n, dtype type, device d)
{
    return operation("eye", {}, [&] { /* by way of f32: not every libtorch has all types */
                                      return at::eye(n, options_of(F32, d)).to(scalar_type(type));
    });
}

static at::Tensor over(const void *host, int rank, const int64_t *shape, dtype type)
{
    at::IntArrayRef sizes = shape_of(rank, shape);
    int64_t count = 1;
    for (int64_t size : sizes)
        count *= size;
    if (count > 0 && !host)
        refuse(IMIAD_INTERNAL, "the host memory is NULL");
    return at::from_blob(const_cast<void *>(host), sizes, options_of(type, {false, 0}));
}

tensor *t_from(const void *host, int rank, const int64_t *shape, dtype type, device d)
{
    return operation("from", {}, [&] {
        at::Tensor view = over(host, rank, shape, type);
        return d.cuda ? view.to(torch_device(d)) : view.clone();
    });
}

tensor *t_view_of(void *host, int rank, const int64_t *shape, dtype type)
{
    return operation("view_of", {}, [&] { return over(host, rank, shape, type); });
}

void t_read(tensor *t, void *host, size_t bytes)
{
    action("read", {t}, [&] {
        size_t size = static_cast<size_t>(t->value.numel()) * t->value.element_size();
        if (bytes != size)
            refuse(IMIAD_MISMATCH, "the tensor has %zu bytes, its destination %zu", size, bytes);
        at::Tensor rows = t->value.detach().to(at::kCPU).contiguous();
        if (size > 0)
            memcpy(host, rows.data_ptr(), size);
    });
}

void *t_data(tensor *t)
{
    void *data = nullptr;
    action("data", {t}, [&] {
        if (!t->value.device().is_cpu() || !t->value.is_contiguous())
            refuse(IMIAD_MISMATCH, "the tensor is not contiguous in host memory");
        data = t->value.data_ptr();
    });
    return data;
}

/* Where a side has one number its stride says nothing. */
static bool lie_alike(const at::Tensor &a, const at::Tensor &b)
{
    if (a.sizes() != b.sizes())
        return false;
    for (int64_t i = 0; i < a.dim(); ++i)
        if (a.size(i) != 1 && a.stride(i) != b.stride(i))
            return false;
    return true;
}

float *t_floats_like(tensor *t, tensor *like)
{
    float *data = nullptr;
    action("floats_like", {t, like}, [&] {
        const at::Tensor &given = t->value;
        if (given.device().is_cpu() && given.scalar_type() == at::kFloat &&
            given.is_non_overlapping_and_dense() && lie_alike(given, like->value))
            data = given.data_ptr<float>();
    });
    return data;
}

/* Looking needs no scope: only that no failure stands and the tensor is there. */
static bool may_look(const tensor *t, const char *what)
{
    if (!t_failed() && (!t || !handle_lives(t)))
        t_fail(IMIAD_INTERNAL, "%s: %s", what,
               t ? "the tensor's scope has ended" : "the tensor is NULL");
    return !t_failed();
}

int t_rank(const tensor *t)
{
    return may_look(t, "rank") ? static_cast<int>(t->value.dim()) : 0;
}

int64_t t_size(const tensor *t, int dim)
{
    if (!may_look(t, "size"))
        return 0;
    int rank = static_cast<int>(t->value.dim());
    if (dim < -rank || dim >= rank) {
        t_fail(IMIAD_MISMATCH, "size: a tensor of rank %d has no dimension %d", rank, dim);
        return 0;
    }
    return t->value.sizes()[static_cast<size_t>(dim < 0 ? dim + rank : dim)];
}

int64_t t_count(const tensor *t)
{
    return may_look(t, "count") ? t->value.numel() : 0;
}

dtype t_type(const tensor *t)
{
    static const dtype types[] = {F32, F64, F16, BF16, I64, I32, U8, BOOL};
    if (may_look(t, "type"))
        for (dtype type : types)
            if (t->value.scalar_type() == scalar_type(type))
                return type;
    return static_cast<dtype>(0);
}

device t_device(const tensor *t)
{
    if (!may_look(t, "device") || !t->value.is_cuda())
        return {false, 0};
    return {true, t->value.device().index()};
}

double t_item(tensor *t)
{
    double item = NAN;
    action("item", {t}, [&] { item = t->value.item().toDouble(); });
    return item;
}

tensor *t_to(tensor *t, dtype type)
{
    return operation("to", {t}, [&] { return t->value.to(scalar_type(type)); });
}

tensor *t_to_device(tensor *t, device d)
{
    return operation("to_device", {t}, [&] { return t->value.to(torch_device(d)); });
}

tensor *t_contiguous(tensor *t)
{
    return operation("contiguous", {t}, [&] { return t->value.contiguous(); });
}

tensor *t_channels_last(tensor *t)
{
    return operation("channels_last", {t},
                     [&] { return t->value.contiguous(at::MemoryFormat::ChannelsLast); });
}

tensor *t_clone(tensor *t)
{
    return operation("clone", {t}, [&] { return t->value.clone(); });
}

tensor *t_detach(tensor *t)
{
    return operation("detach", {t}, [&] { return t->value.detach(); });
}

void t_copy_(tensor *into, tensor *from)
{
    action("copy_", {into, from}, [&] {
        at::NoGradGuard guard;
        into->value.copy_(*from);
    });
}
