#include "detectors/parts/push_pull.h"

#include <math.h>

/* Constants of the authors' weights. The weights divide by 10 whatever the normaliser is. */
static const double weight_normaliser = 10, least = 1e-6;

/* 1 above -0.2, 11.7 sqrt(1 - exp q) |q| below. */
static tensor *normal_weights(tensor *q)
{
    tensor *low = t_clamp(q, -INFINITY, -0.2);
    tensor *rest = t_add_scalar(t_neg(t_exp(low)), 1);
    tensor *hard = t_mul(t_mul_scalar(t_sqrt(rest), 11.7), t_abs(low));
    tensor *ones = t_full(1, (int64_t[]){t_count(q)}, 1, t_type(q), t_device(q));
    return t_where(t_gt_scalar(q, -0.2), ones, hard);
}

/* 1 up to -1, 0.53 (1 + exp q)^2 / |q| above; q near 0 is kept away from the pole. */
static tensor *defective_weights(tensor *q)
{
    tensor *size = t_clamp(t_abs(q), least, INFINITY);
    tensor *hard = t_div(t_mul_scalar(t_square(t_add_scalar(t_exp(q), 1)), 0.53), size);
    tensor *ones = t_full(1, (int64_t[]){t_count(q)}, 1, t_type(q), t_device(q));
    return t_where(t_gt_scalar(q, -1), hard, ones);
}

static tensor *softplus_below(tensor *log_likelihood)
{
    return t_neg(t_log_sigmoid(log_likelihood));
}

tensor *push_pull_likelihood(tensor *log_likelihood)
{
    return t_mean_all(softplus_below(log_likelihood));
}

/* The sum of what is chosen, over how much that is; 0 over nothing. */
static tensor *mean_of(tensor *values, tensor *chosen, double *count)
{
    *count = t_item(t_sum_all(chosen));
    return t_div_scalar(t_sum_all(t_mul(values, chosen)), fmax(*count, 1));
}

/* The entry number int(n beta) of the normal patches, the least likely first; the product is
 * rounded to single precision, as the authors' is. */
static double boundary(tensor *q, tensor *normal, double beta)
{
    tensor *sorted = t_sort(t_masked_select(q, t_gt_scalar(normal, 0.5)), 0, false, NULL);
    int64_t count = t_size(sorted, 0), at = (int64_t)((float)count * (float)beta);
    at = at < count ? at : count - 1;
    return t_item(t_slice(sorted, 0, at, at + 1));
}

tensor *push_pull_loss(tensor *log_likelihood, tensor *defective, const push_pull *o)
{
    double normals, defects, count;
    tensor *normal = t_add_scalar(t_neg(defective), 1);
    tensor *fixed = t_div_scalar(t_detach(log_likelihood), weight_normaliser);
    tensor *pull = softplus_below(log_likelihood), *of_normal = NULL, *of_defect = NULL;
    if (o->focal) {
        of_normal = normal_weights(fixed);
        of_defect = defective_weights(fixed);
        pull = t_mul(pull, of_normal);
    }
    tensor *loss = mean_of(pull, normal, &normals);
    defects = t_item(t_sum_all(defective));
    if (defects == 0 || normals == 0)
        return loss;
    tensor *q = t_div_scalar(log_likelihood, o->normaliser);
    double high = boundary(t_detach(q), normal, o->beta), low = high - o->margin;
    tensor *above = t_neg(t_add_scalar(q, -high));
    tensor *under = t_add_scalar(q, -low);
    tensor *inside = t_mul(normal, t_to(t_logical_not(t_gt_scalar(q, high)), t_type(q)));
    tensor *outside = t_mul(defective, t_to(t_logical_not(t_lt_scalar(q, low)), t_type(q)));
    if (o->focal) {
        above = t_mul(above, of_normal);
        under = t_mul(under, of_defect);
    }
    tensor *contrast = t_add(mean_of(above, inside, &count), mean_of(under, outside, &count));
    return t_add(loss, t_mul_scalar(contrast, o->weight));
}

tensor *push_pull_map(tensor *const *log_likelihoods, tensor *const *maxima, int levels,
                      int64_t height, int64_t width, bool logarithmic)
{
    tensor *sum = NULL;
    for (int i = 0; i < levels; ++i) {
        tensor *l = log_likelihoods[i];
        tensor *below = t_sub(l, maxima ? maxima[i] : t_max_all(l));
        tensor *share = logarithmic ? t_neg(below) : t_add_scalar(t_neg(t_exp(below)), 1);
        share = t_interpolate(t_unsqueeze(share, 1), height, width, BILINEAR, true);
        sum = t_plus(sum, t_squeeze(share, 1));
    }
    return sum;
}
