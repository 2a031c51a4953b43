/* Reductions, and order statistics. */
#include "bridge/bridge.h"

/* `dims` is the one dimension, as libtorch's lists of dimensions take it. */
#define OVER_DIM(name, parameters, expression)                                                     \
    tensor *t_##name parameters                                                                    \
    {                                                                                              \
        return operation(#name, {a}, [&] {                                                         \
            int64_t one = dim;                                                                     \
            at::IntArrayRef dims(one);                                                             \
            return at::expression;                                                                 \
        });                                                                                        \
    }

OVER_DIM(sum, (tensor * a, int dim, bool keep), sum(*a, dims, keep))
OVER_DIM(mean, (tensor * a, int dim, bool keep), mean(*a, dims, keep))
OVER_DIM(var, (tensor * a, int dim, bool unbiased, bool keep), var(*a, dims, unbiased, keep))
OVER_DIM(std, (tensor * a, int dim, bool unbiased, bool keep), std(*a, dims, unbiased, keep))
OVER_DIM(amax, (tensor * a, int dim, bool keep), amax(*a, dims, keep))
OVER_DIM(amin, (tensor * a, int dim, bool keep), amin(*a, dims, keep))
OVER_DIM(norm, (tensor * a, double p, int dim, bool keep), linalg_vector_norm(*a, p, dims, keep))
OVER_DIM(logsumexp, (tensor * a, int dim, bool keep), logsumexp(*a, dims, keep))

#define WHOLE(name, function)                                                                      \
    tensor *t_##name(tensor *a)                                                                    \
    {                                                                                              \
        return operation(#name, {a}, [&] { return at::function(*a); });                            \
    }

WHOLE(sum_all, sum)
WHOLE(mean_all, mean)
WHOLE(max_all, max)

tensor *t_argmax(tensor *a, int dim)
{
    return operation("argmax", {a}, [&] { return at::argmax(*a, dim); });
}

tensor *t_argmin(tensor *a, int dim)
{
    return operation("argmin", {a}, [&] { return at::argmin(*a, dim); });
}

tensor *t_normalize(tensor *a, int dim)
{
    return operation("normalize", {a}, [&] {
        int64_t one = dim;
        at::Tensor length = at::linalg_vector_norm(*a, 2, at::IntArrayRef(one), true);
        return at::div(*a, at::clamp_min(length, 1e-12));
    });
}

/* ---- order ---- */

tensor *t_topk(tensor *a, int64_t k, int dim, bool largest, tensor **index_or_null)
{
    clear(index_or_null);
    return operation("topk", {a}, [&] {
        auto found = at::topk(*a, k, dim, largest, true);
        also_give(index_or_null, std::get<1>(found));
        return std::get<0>(found);
    });
}

tensor *t_sort(tensor *a, int dim, bool descending, tensor **index_or_null)
{
    clear(index_or_null);
    return operation("sort", {a}, [&] {
        auto sorted = at::sort(*a, c10::optional<bool>(true), dim, descending);
        also_give(index_or_null, std::get<1>(sorted));
        return std::get<0>(sorted);
    });
}

tensor *t_argsort(tensor *a, int dim, bool descending)
{
    return operation("argsort", {a}, [&] { return std::get<1>(at::sort(*a, dim, descending)); });
}

tensor *t_quantile(tensor *a, double q, int dim, bool keep)
{
    return operation("quantile", {a},
                     [&] { return at::quantile(*a, q, static_cast<int64_t>(dim), keep); });
}

tensor *t_median(tensor *a, int dim)
{
    return operation("median", {a}, [&] { return std::get<0>(at::median(*a, dim, false)); });
}

tensor *t_searchsorted(tensor *sorted, tensor *values, bool right)
{
    return operation("searchsorted", {sorted, values},
                     [&] { return at::searchsorted(*sorted, values->value, false, right); });
}
