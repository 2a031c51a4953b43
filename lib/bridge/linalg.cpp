/* Linear algebra. */
#include "bridge/bridge.h"

tensor *t_matmul(tensor *a, tensor *b)
{
    return operation("matmul", {a, b}, [&] { return multiply(*a, *b); });
}

tensor *t_bmm(tensor *a, tensor *b)
{
    return operation("bmm", {a, b}, [&] {
        bool batched = a->value.dim() == 3 && b->value.dim() == 3;
        return batched && a->value.size(0) == b->value.size(0) ? multiply(*a, *b) : at::bmm(*a, *b);
    });
}

tensor *t_cdist(tensor *a, tensor *b)
{
    return operation("cdist", {a, b}, [&] { return at::cdist(*a, *b, 2.0); });
}

tensor *t_cholesky(tensor *a)
{
    return operation("cholesky", {a}, [&] { return at::linalg_cholesky(*a); });
}

tensor *t_solve_triangular(tensor *triangle, tensor *b, bool upper)
{
    return operation("solve_triangular", {triangle, b},
                     [&] { return at::linalg_solve_triangular(*triangle, *b, upper); });
}

tensor *t_cholesky_solve(tensor *b, tensor *lower)
{
    return operation("cholesky_solve", {b, lower}, [&] { return at::cholesky_solve(*b, *lower); });
}

tensor *t_inverse(tensor *a)
{
    return operation("inverse", {a}, [&] { return at::linalg_inv(*a); });
}

tensor *t_qr(tensor *a, tensor **r_or_null)
{
    clear(r_or_null);
    return operation("qr", {a}, [&] {
        auto factors = at::linalg_qr(*a, "reduced");
        also_give(r_or_null, std::get<1>(factors));
        return std::get<0>(factors);
    });
}

tensor *t_eigh(tensor *a, tensor **vectors_or_null)
{
    clear(vectors_or_null);
    return operation("eigh", {a}, [&] {
        auto pairs = at::linalg_eigh(*a);
        also_give(vectors_or_null, std::get<1>(pairs));
        return std::get<0>(pairs);
    });
}

tensor *t_svd(tensor *a, tensor **u_or_null, tensor **vt_or_null)
{
    clear(u_or_null);
    clear(vt_or_null);
    return operation("svd", {a}, [&] {
        auto factors = at::linalg_svd(*a, false);
        also_give(u_or_null, std::get<0>(factors));
        also_give(vt_or_null, std::get<2>(factors));
        return std::get<1>(factors);
    });
}

tensor *t_slogdet(tensor *a)
{
    return operation("slogdet", {a}, [&] { return std::get<1>(at::linalg_slogdet(*a)); });
}
