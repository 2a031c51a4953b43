/* Shapes, and picking by index. */
#include "bridge/bridge.h"

#include <vector>

tensor *t_view(tensor *a, int rank, const int64_t *shape)
{
    return operation("view", {a}, [&] { return a->value.reshape(shape_of(rank, shape)); });
}

tensor *t_permute(tensor *a, int rank, const int *order)
{
    return operation("permute", {a}, [&] {
        std::vector<int64_t> dims(order, order + (rank > 0 ? rank : 0));
        return a->value.permute(dims);
    });
}

tensor *t_transpose(tensor *a, int dim0, int dim1)
{
    return operation("transpose", {a}, [&] {
        return a->value.transpose(static_cast<int64_t>(dim0), static_cast<int64_t>(dim1));
    });
}

tensor *t_unsqueeze(tensor *a, int dim)
{
    return operation("unsqueeze", {a}, [&] { return a->value.unsqueeze(dim); });
}

tensor *t_squeeze(tensor *a, int dim)
{
    return operation("squeeze", {a}, [&] { return a->value.squeeze(static_cast<int64_t>(dim)); });
}

tensor *t_expand(tensor *a, int rank, const int64_t *shape)
{
    return operation("expand", {a}, [&] { return a->value.expand(shape_of(rank, shape)); });
}

tensor *t_repeat(tensor *a, int rank, const int64_t *times)
{
    return operation("repeat", {a}, [&] { return a->value.repeat(shape_of(rank, times)); });
}

tensor *t_flatten(tensor *a, int from, int to)
{
    return operation("flatten", {a}, [&] {
        return a->value.flatten(static_cast<int64_t>(from), static_cast<int64_t>(to));
    });
}

static std::vector<at::Tensor> list_of(tensor *const *parts, int count)
{
    std::vector<at::Tensor> list;
    for (int i = 0; i < count; ++i)
        list.push_back(parts[i]->value);
    return list;
}

tensor *t_cat(tensor *const *parts, int count, int dim)
{
    return operation("cat", {parts, count},
                     [&] { return at::cat(list_of(parts, count), static_cast<int64_t>(dim)); });
}

tensor *t_stack(tensor *const *parts, int count, int dim)
{
    return operation("stack", {parts, count},
                     [&] { return at::stack(list_of(parts, count), dim); });
}

tensor *t_einsum(const char *equation, tensor *const *parts, int count)
{
    return operation("einsum", {parts, count},
                     [&] { return at::einsum(equation, list_of(parts, count)); });
}

tensor *t_slice(tensor *a, int dim, int64_t begin, int64_t end)
{
    return operation("slice", {a}, [&] { return a->value.slice(dim, begin, end); });
}

tensor *t_flip(tensor *a, int dim)
{
    return operation("flip", {a}, [&] {
        int64_t one = dim;
        return at::flip(*a, at::IntArrayRef(one));
    });
}

tensor *t_roll(tensor *a, int64_t shift, int dim)
{
    return operation("roll", {a}, [&] {
        int64_t one = dim;
        return at::roll(*a, at::IntArrayRef(shift), at::IntArrayRef(one));
    });
}

tensor *t_rot90(tensor *a, int times, int dim0, int dim1)
{
    return operation("rot90", {a}, [&] { return at::rot90(*a, times, {dim0, dim1}); });
}

tensor *t_index_select(tensor *a, int dim, tensor *index)
{
    return operation("index_select", {a, index},
                     [&] { return at::index_select(*a, static_cast<int64_t>(dim), *index); });
}

tensor *t_gather(tensor *a, int dim, tensor *index)
{
    return operation("gather", {a, index},
                     [&] { return at::gather(*a, static_cast<int64_t>(dim), *index); });
}

tensor *t_scatter_add(tensor *a, int dim, tensor *index, tensor *source)
{
    return operation("scatter_add", {a, index, source}, [&] {
        return at::scatter_add(*a, static_cast<int64_t>(dim), *index, *source);
    });
}

tensor *t_masked_select(tensor *a, tensor *mask)
{
    return operation("masked_select", {a, mask}, [&] { return at::masked_select(*a, *mask); });
}

tensor *t_nonzero(tensor *a)
{
    return operation("nonzero", {a}, [&] { return at::nonzero(*a); });
}
