#include "detectors/parts/ssim_loss.h"

#include <math.h>

/* 11 x 11 of deviation 1.5, for every channel: 3 x 1 x 11 x 11. */
static tensor *gaussian_window(device d)
{
    enum { SIDE = 11 };
    float line[SIDE], window[3 * SIDE * SIDE];
    double sum = 0;
    for (int i = 0; i < SIDE; ++i) {
        line[i] = (float)exp(-(double)((i - SIDE / 2) * (i - SIDE / 2)) / (2 * 1.5 * 1.5));
        sum += (double)line[i];
    }
    for (int i = 0; i < SIDE; ++i)
        line[i] /= (float)sum;
    for (int i = 0; i < 3 * SIDE * SIDE; ++i)
        window[i] = line[i / SIDE % SIDE] * line[i % SIDE];
    return t_from(window, 4, (int64_t[]){3, 1, SIDE, SIDE}, F32, d);
}

/* As DRAEM's code reads it from what a network made. */
static double value_range(tensor *made)
{
    tensor *values = t_detach(made);
    double high = t_item(t_max_all(values)) > 128 ? 255 : 1;
    double low = t_item(t_max_all(t_neg(values))) > 0.5 ? -1 : 0;
    return high - low;
}

tensor *ssim_loss(tensor *a, tensor *b)
{
    tensor *window = t_to(gaussian_window(t_device(a)), t_type(a));
    double range = value_range(a), c1 = pow(0.01 * range, 2), c2 = pow(0.03 * range, 2);
    tensor *products[] = {a, b, t_mul(a, a), t_mul(b, b), t_mul(a, b)}, *mean[5];
    for (int i = 0; i < 5; ++i)
        mean[i] = t_conv2d(products[i], window, NULL, 1, 5, 1, 3);
    tensor *aa = t_square(mean[0]), *bb = t_square(mean[1]), *ab = t_mul(mean[0], mean[1]);
    tensor *covariance = t_add_scalar(t_mul_scalar(t_sub(mean[4], ab), 2), c2);
    tensor *variances = t_add(t_sub(mean[2], aa), t_sub(mean[3], bb));
    tensor *above = t_mul(t_add_scalar(t_mul_scalar(ab, 2), c1), covariance);
    tensor *below = t_mul(t_add_scalar(t_add(aa, bb), c1), t_add_scalar(variances, c2));
    return t_add_scalar(t_neg(t_mean_all(t_div(above, below))), 1);
}
