#include "detectors/parts/ms_ssim.h"

#include <math.h>

enum { WINDOW = MS_SSIM_WINDOW };

static const double weights[MS_SSIM_SCALES] = {0.0448, 0.2856, 0.3001, 0.2363, 0.1333};

int ms_ssim_scales(int64_t side)
{
    int scales = 0;
    while (scales < MS_SSIM_SCALES && side > (WINDOW - 1) << scales)
        ++scales;
    return scales;
}

double ms_ssim_weight(int scale, int scales)
{
    double sum = 0;
    for (int i = 0; i < scales; ++i)
        sum += weights[i];
    return scales == MS_SSIM_SCALES ? weights[scale] : weights[scale] / sum;
}

/* A Gaussian of deviation 1.5 whose values sum to 1: 1 x 1 x WINDOW x 1. */
static tensor *make_window(const tensor *like)
{
    float bell[WINDOW], sum = 0;
    for (int i = 0; i < WINDOW; ++i) {
        bell[i] = expf((float)-((i - WINDOW / 2) * (i - WINDOW / 2)) / (2 * 1.5F * 1.5F));
        sum += bell[i];
    }
    for (int i = 0; i < WINDOW; ++i)
        bell[i] /= sum;
    tensor *window = t_from(bell, 4, (int64_t[]){1, 1, WINDOW, 1}, F32, CPU);
    return t_to_device(t_to(window, t_type(like)), t_device(like));
}

/* Weighted means over the window wherever it lies within the image, of every plane alone. */
static tensor *blur(tensor *images, tensor *window)
{
    const int64_t n = t_size(images, 0), channels = t_size(images, 1);
    const int64_t height = t_size(images, 2), width = t_size(images, 3);
    tensor *planes = t_view(images, 4, (int64_t[]){n * channels, 1, height, width});
    planes = t_conv2d(planes, window, NULL, 1, 0, 1, 1);
    planes = t_conv2d(planes, t_transpose(window, 2, 3), NULL, 1, 0, 1, 1);
    const int64_t shape[] = {n, channels, height - WINDOW + 1, width - WINDOW + 1};
    return t_view(planes, 4, shape);
}

/* A scale's similarity at every position; `structure` is that of contrast and structure alone. */
static tensor *compare(tensor *a, tensor *b, tensor *window, double range, tensor **structure)
{
    const double c1 = pow(0.01 * range, 2), c2 = pow(0.03 * range, 2);
    tensor *mean_a = blur(a, window), *mean_b = blur(b, window);
    tensor *square_a = t_square(mean_a), *square_b = t_square(mean_b);
    tensor *product = t_mul(mean_a, mean_b);
    tensor *variance_a = t_sub(blur(t_square(a), window), square_a);
    tensor *variance_b = t_sub(blur(t_square(b), window), square_b);
    tensor *covariance = t_sub(blur(t_mul(a, b), window), product);
    *structure = t_div(t_add_scalar(t_mul_scalar(covariance, 2), c2),
                       t_add_scalar(t_add(variance_a, variance_b), c2));
    tensor *luminance = t_div(t_add_scalar(t_mul_scalar(product, 2), c1),
                              t_add_scalar(t_add(square_a, square_b), c1));
    return t_mul(luminance, *structure);
}

/* max(x, 0) to a power; the gradient is 0 where x is not above 0. */
static tensor *positive_power(tensor *x, double exponent)
{
    tensor *positive = t_gt_scalar(x, 0);
    tensor *one = t_full(0, NULL, 1, t_type(x), t_device(x));
    tensor *nothing = t_full(0, NULL, 0, t_type(x), t_device(x));
    tensor *power = t_pow(t_where(positive, x, one), exponent);
    return t_where(positive, power, nothing);
}

/* Halves the sides; an odd one is padded by a zero at both ends, which counts. */
static tensor *halve(tensor *x)
{
    int rows = (int)(t_size(x, 2) % 2), columns = (int)(t_size(x, 3) % 2);
    if (rows == columns)
        return t_avg_pool2d(x, 2, 2, rows, true);
    return t_avg_pool2d(t_pad2d(x, columns, columns, rows, rows, PAD_ZERO), 2, 2, 0, true);
}

tensor *ms_ssim(tensor *a, tensor *b, double range, tensor *maps[MS_SSIM_SCALES])
{
    int64_t height = t_size(a, 2), width = t_size(a, 3);
    int scales = ms_ssim_scales(height < width ? height : width);
    tensor *window = make_window(a), *all = NULL;
    if (scales == 0)
        return t_fail(IMIAD_OUT_OF_RANGE, "MS-SSIM needs images of %d x %d pixels or more", WINDOW,
                      WINDOW);
    for (int i = 0; i < scales; ++i) {
        tensor *structure, *whole = compare(a, b, window, range, &structure);
        bool last = i + 1 == scales;
        tensor *counted = t_mean(t_flatten(last ? whole : structure, 2, 3), 2, false);
        all = t_times(all, positive_power(counted, ms_ssim_weight(i, scales)));
        if (maps)
            maps[i] = whole;
        if (!last) {
            a = halve(a);
            b = halve(b);
        }
    }
    return all;
}
