#include "detectors/parts/hard_loss.h"

#include <math.h>

/* torch.quantile's rank: in the type of the values, so that its rounding is the same. */
static double rank_of(double q, int64_t count, dtype type)
{
    return type == F64 ? q * (double)(count - 1) : (double)((float)q * (float)(count - 1));
}

double quantile_select(tensor *values, double q)
{
    int64_t count = t_count(values);
    if (t_failed() || count == 0)
        return NAN;
    double rank = rank_of(q, count, t_type(values));
    int64_t below = (int64_t)rank < count ? (int64_t)rank : count - 1, most = count - below;
    tensor *largest =
        t_topk(t_flatten(t_detach(values), 0, -1), most, 0, true, NULL); /* descending */
    if (most == 1)
        return t_item(largest);
    /* between the two by torch's own rounding: the quantile of these two alone */
    tensor *two = t_slice(largest, 0, most - 2, most);
    return t_item(t_quantile(two, rank - (double)below, 0, false));
}

tensor *hard_loss(tensor *target, tensor *found, double q)
{
    tensor *squares = t_square(t_sub(target, found));
    double least = quantile_select(squares, q);
    tensor *hard = t_logical_not(t_lt_scalar(t_detach(squares), least));
    return t_mean_all(t_masked_select(squares, hard));
}
