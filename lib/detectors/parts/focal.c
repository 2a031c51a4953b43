#include "detectors/parts/focal.h"

tensor *probability_of_truth(tensor *probabilities, tensor *mask)
{
    const double smooth = 1e-5, low = (double)1e-5f, high = (double)(float)(1 - 1e-5);
    tensor *damaged = t_clamp(mask, low, high);
    tensor *whole = t_clamp(t_add_scalar(t_neg(mask), 1), low, high);
    tensor *right =
        t_sum(t_mul(t_cat((tensor *[]){whole, damaged}, 2, 1), probabilities), 1, false);
    return t_add_scalar(right, smooth);
}
