#include "detectors/parts/warp.h"

#include <math.h>

/* The middles of the pixels of a side, along the last of three dimensions or the one before, as
 * exact as x and where it is. */
static tensor *middles(int64_t side, bool across, const tensor *x)
{
    tensor *i = t_add_scalar(t_mul_scalar(t_arange(side, t_type(x), CPU), 2), 1 - (double)side);
    i = t_to_device(t_div_scalar(i, (double)side), t_device(x));
    return t_view(i, 3, across ? (int64_t[]){1, 1, side} : (int64_t[]){1, side, 1});
}

static tensor *places(tensor *x_factor, tensor *y_factor, tensor *shift, tensor *x)
{
    tensor *across = t_mul(t_unsqueeze(x_factor, 2), middles(t_size(x, 3), true, x));
    tensor *sum = t_add(across, t_mul(t_unsqueeze(y_factor, 2), middles(t_size(x, 2), false, x)));
    if (shift)
        sum = t_add(sum, t_unsqueeze(shift, 2));
    return t_expand(sum, 3, (int64_t[]){t_size(x, 0), t_size(x, 2), t_size(x, 3)});
}

tensor *warp(tensor *x, const affine *by)
{
    tensor *grid[2] = {places(by->a, by->b, by->tx, x), places(by->c, by->d, by->ty, x)};
    return t_grid_sample(x, t_stack(grid, 2, 3), BILINEAR, PAD_REFLECT, false);
}

affine affine_inverse(const affine *m)
{
    tensor *determinant = t_sub(t_mul(m->a, m->d), t_mul(m->b, m->c));
    if (!t_failed() && !(t_item(t_max_all(t_neg(t_abs(determinant)))) < -1e-9))
        t_fail(IMIAD_NOT_FINITE,
               "a spatial transformer maps its features onto a line: train with a smaller "
               "learning_rate");
    return (affine){t_div(m->d, determinant),
                    t_neg(t_div(m->b, determinant)),
                    t_neg(t_div(m->c, determinant)),
                    t_div(m->a, determinant),
                    NULL,
                    NULL};
}

affine affine_constant(device at, double angle, double tx, double ty)
{
    const double values[6] = {cos(angle), -sin(angle), sin(angle), cos(angle), tx, ty};
    tensor *t[6];
    for (int i = 0; i < 6; ++i)
        t[i] = t_full(2, (int64_t[]){1, 1}, values[i], F32, at);
    return (affine){t[0], t[1], t[2], t[3], t[4], t[5]};
}
