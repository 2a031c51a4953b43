#include "detectors/parts/map_scores.h"

#include <math.h>
#include <string.h>

#include "detectors/anomaly_map.h"

/* ---- Gaussian ---- */

tensor *map_gaussian(tensor *maps, int side, double sigma, pad_mode border)
{
    int radius = side / 2;
    double sum = 1;
    for (int k = 1; k <= radius; ++k)
        sum += 2 * exp(-0.5 * k * k / (sigma * sigma));
    maps = t_pad2d(t_unsqueeze(maps, 1), radius, radius, radius, radius, border);
    maps = t_squeeze(maps, 1);
    for (int dim = 1; dim <= 2; ++dim) {
        int64_t size = t_size(maps, dim) - 2 * radius;
        tensor *out = t_div_scalar(t_slice(maps, dim, radius, radius + size), sum);
        for (int k = 1; k <= radius; ++k) {
            tensor *pair = t_add(t_slice(maps, dim, radius - k, radius - k + size),
                                 t_slice(maps, dim, radius + k, radius + k + size));
            out = t_add(out, t_mul_scalar(pair, exp(-0.5 * k * k / (sigma * sigma)) / sum));
        }
        maps = out;
    }
    return maps;
}

tensor *map_smoothed(tensor *maps, double sigma)
{
    if (sigma <= 0)
        return maps;
    tensor *smooth = t_clone(t_contiguous(maps));
    float *values = t_data(smooth);
    if (values)
        t_try(map_smooth(values, t_size(smooth, 0), t_size(smooth, 1), t_size(smooth, 2), sigma));
    return smooth;
}

/* ---- image scores ---- */

/* Between the two values around it. */
static tensor *percentile(tensor *pixels, double share)
{
    int64_t count = t_size(pixels, 1);
    double place = share * (double)(count - 1);
    int64_t below = (int64_t)place, above = below + 1 < count ? below + 1 : below;
    tensor *sorted = t_sort(pixels, 1, false, NULL);
    tensor *low = t_squeeze(t_slice(sorted, 1, below, below + 1), 1),
           *high = t_squeeze(t_slice(sorted, 1, above, above + 1), 1);
    return t_add(low, t_mul_scalar(t_sub(high, low), place - (double)below));
}

static tensor *largest_mean(tensor *pixels, int64_t count)
{
    int64_t all = t_size(pixels, 1);
    count = count < 1 ? 1 : count > all ? all : count;
    return t_mean(t_topk(pixels, count, 1, true, NULL), 1, false);
}

tensor *map_image_scores(tensor *pixels, const char *how, double share)
{
    if (strcmp(how, "max") == 0)
        return t_amax(pixels, 1, false);
    if (strcmp(how, "mean") == 0)
        return t_mean(pixels, 1, false);
    if (strcmp(how, "p99") == 0)
        return percentile(pixels, 0.99);
    if (strcmp(how, "top5") == 0)
        return largest_mean(pixels, 5);
    return largest_mean(pixels, (int64_t)(share * (double)t_size(pixels, 1)));
}
