#include "detectors/parts/deviation.h"

deviation_prior deviation_prior_of(tensor *numbers)
{
    tensor *exact = t_to(numbers, F64);
    return (deviation_prior){t_item(t_mean_all(exact)), t_item(t_std(exact, 0, true, false))};
}

deviation_prior deviation_prior_draw(int64_t count, uint64_t seed, const char *purpose)
{
    return deviation_prior_of(t_normal(1, &count, 0, 1, seed, purpose, CPU));
}

tensor *deviation_loss(tensor *scores, tensor *anomalous, const deviation_prior *prior,
                       double margin)
{
    if (t_count(scores) == 0)
        return t_sum_all(scores);
    tensor *d = t_div_scalar(t_add_scalar(scores, -prior->mean), prior->deviation);
    tensor *near = t_mul(t_add_scalar(t_neg(anomalous), 1), t_abs(d));
    tensor *far = t_mul(anomalous, t_relu(t_add_scalar(t_neg(d), margin)));
    return t_mean_all(t_add(near, far));
}

tensor *deviation_top_mean(tensor *patches, double share)
{
    tensor *flat = t_flatten(patches, 1, 3);
    if (share <= 0)
        return t_mean(flat, 1, false);
    int64_t most = (int64_t)((double)t_size(flat, 1) * share);
    tensor *sorted = t_sort(t_abs(flat), 1, true, NULL);
    return t_mean(t_slice(sorted, 1, 0, most > 1 ? most : 1), 1, false);
}

tensor *deviation_scaled(tensor *images, int scale)
{
    int64_t height = t_size(images, 2), width = t_size(images, 3);
    if (!t_failed() && (height >> scale == 0 || width >> scale == 0))
        return t_fail(IMIAD_MISMATCH, "an image of %lld x %lld pixels is too small for scales=%d",
                      (long long)width, (long long)height, scale + 1);
    return scale == 0 ? images
                      : t_interpolate(images, height >> scale, width >> scale, NEAREST, false);
}
