#include "detectors/parts/shrunk_gaussian.h"

#include <float.h>
#include <math.h>

/* How far the covariance of n centred rows is drawn. beta is by how much it may be wrong: the sum
 * over all pairs of values of the squared rows' products is that of the rows' squared norms
 * squared.
 */
static double find_shrinkage(tensor *centred, tensor *covariance, double trace)
{
    double n = (double)t_size(centred, 0), p = (double)t_size(centred, 1);
    double square = t_item(t_sum_all(t_square(covariance))), mean = trace / p;
    double fourth = t_item(t_sum_all(t_square(t_sum(t_square(centred), 1, false))));
    double beta = (fourth / n - square) / (n * p);
    double delta = (square - 2 * mean * trace + p * mean * mean) / p;
    beta = fmin(beta, delta);
    return beta == 0 ? 0 : beta / delta;
}

/* As scipy.linalg.pinvh: eigenvalues that rounding may have made count as 0. */
static tensor *pseudo_inverse(tensor *symmetric)
{
    tensor *vectors, *values = t_eigh(symmetric, &vectors);
    double most = t_item(t_max_all(t_abs(values)));
    double least = most * (double)t_size(symmetric, 0) * DBL_EPSILON;
    tensor *kept = t_gt_scalar(t_abs(values), least);
    tensor *zero = t_mul_scalar(values, 0);
    tensor *safe = t_where(kept, values, t_add_scalar(zero, 1));
    tensor *inverse = t_where(kept, t_div(t_add_scalar(zero, 1), safe), zero);
    return t_matmul(t_mul(vectors, t_unsqueeze(inverse, 0)), t_transpose(vectors, 0, 1));
}

tensor *shrunk_covariance(tensor *rows, tensor **mean, double *shrinkage)
{
    tensor *exact = t_to(t_to_device(rows, CPU), F64);
    *mean = t_mean(exact, 0, false);
    tensor *centred = t_sub(exact, *mean);
    int64_t n = t_size(rows, 0), p = t_size(rows, 1);
    tensor *product = t_matmul(t_transpose(centred, 0, 1), centred);
    tensor *covariance = t_div_scalar(product, n > 0 ? (double)n : 1);
    tensor *eye = t_eye(p, F64, CPU);
    double trace = t_item(t_sum_all(t_mul(covariance, eye)));
    double rho = find_shrinkage(centred, covariance, trace);
    if (shrinkage)
        *shrinkage = rho;
    return t_add(t_mul_scalar(covariance, 1 - rho),
                 t_mul_scalar(eye, p > 0 ? rho * trace / (double)p : 0));
}

shrunk_gaussian shrunk_gaussian_of(tensor *mean, tensor *covariance, device d)
{
    tensor *precision = pseudo_inverse(t_to(t_to_device(covariance, CPU), F64));
    return (shrunk_gaussian){t_to_device(t_to(mean, F32), d), t_to_device(t_to(precision, F32), d)};
}

shrunk_gaussian shrunk_gaussian_fit(tensor *rows, double *shrinkage)
{
    tensor *mean, *covariance = shrunk_covariance(rows, &mean, shrinkage);
    return shrunk_gaussian_of(mean, covariance, t_device(rows));
}

tensor *shrunk_gaussian_distance(const shrunk_gaussian *g, tensor *rows)
{
    tensor *off = t_sub(rows, g->mean);
    tensor *square = t_sum(t_mul(t_matmul(off, g->precision), off), 1, false);
    return t_sqrt(t_clamp(square, 0, INFINITY)); /* rounding may take it below 0 */
}

tensor *shrunk_gaussian_gradient(const shrunk_gaussian *g, tensor *rows)
{
    tensor *distance = t_unsqueeze(shrunk_gaussian_distance(g, rows), 1);
    tensor *slope = t_matmul(t_sub(rows, g->mean), g->precision);
    return t_div(slope, t_clamp(distance, FLT_MIN, INFINITY));
}
