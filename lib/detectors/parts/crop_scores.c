#include "detectors/parts/crop_scores.h"

#include <math.h>

int64_t crops_along(int64_t pixels, int64_t side, int64_t stride)
{
    return (pixels - side) / stride + 1;
}

/* 1 x 1 x side x side */
static tensor *gaussian_window(int64_t side, device d)
{
    tensor *line = t_add_scalar(t_arange(side, F32, CPU), -((double)side - 1) / 2);
    line = t_exp(t_mul_scalar(t_square(line), -0.5 / pow((double)side / 8, 2)));
    tensor *window = t_mul(t_unsqueeze(line, 0), t_unsqueeze(line, 1));
    return t_to_device(t_view(window, 4, (int64_t[]){1, 1, side, side}), d);
}

tensor *crop_scores_spread(tensor *scores, int64_t side, int64_t stride, int64_t height,
                           int64_t width)
{
    tensor *grid = t_unsqueeze(scores, 1), *window = gaussian_window(side, t_device(scores));
    tensor *ones = t_add_scalar(t_mul_scalar(t_slice(grid, 0, 0, 1), 0), 1);
    tensor *sum = t_conv_transpose2d(grid, window, NULL, (int)stride, 0, 0, 1);
    tensor *share = t_conv_transpose2d(ones, window, NULL, (int)stride, 0, 0, 1);
    tensor *map = t_div(sum, t_clamp(share, 1e-12, INFINITY));
    int right = (int)(width - t_size(map, 3)), below = (int)(height - t_size(map, 2));
    return t_squeeze(t_pad2d(map, 0, right, 0, below, PAD_REPLICATE), 1);
}
