#include "detectors/parts/channel_statistics.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"

static const double rounding =
    1e-13; /* of a variance beside the mean square that it is taken from */

imiad_status channel_statistics_open(channel_statistics *out, int64_t channels)
{
    *out = (channel_statistics){.channels = channels};
    out->sums = calloc(2 * (size_t)channels, sizeof *out->sums);
    if (!out->sums)
        return fail_memory("means of channels", 2 * (size_t)channels * sizeof *out->sums);
    out->squares = out->sums + channels;
    return IMIAD_OK;
}

void channel_statistics_close(channel_statistics *s)
{
    free(s->sums);
    *s = (channel_statistics){NULL, NULL, 0, 0};
}

void channel_statistics_add(channel_statistics *s, tensor *maps)
{
    tensor *rows = t_to(t_flatten(t_permute(maps, 4, (int[]){1, 0, 2, 3}), 1, 3), F64);
    tensor *means = t_to_device(t_mean(rows, 1, false), CPU);
    tensor *squares = t_to_device(t_mean(t_square(rows), 1, false), CPU);
    const double *mean = t_data(means), *square = t_data(squares);
    double images = (double)t_size(maps, 0);
    for (int64_t c = 0; mean && square && c < s->channels; ++c) {
        s->sums[c] += mean[c] * images;
        s->squares[c] += square[c] * images;
    }
    s->images += t_size(maps, 0);
}

void channel_statistics_finish(tensor *mean, tensor *deviation, const channel_statistics *s)
{
    const int64_t shape[] = {1, s->channels, 1, 1};
    tensor *means = t_zeros(4, shape, F64, CPU), *deviations = t_zeros(4, shape, F64, CPU);
    double *m = t_data(means), *d = t_data(deviations), images = (double)s->images;
    for (int64_t c = 0; m && d && c < s->channels; ++c) {
        m[c] = s->sums[c] / images;
        double square = s->squares[c] / images, variance = square - m[c] * m[c];
        d[c] = variance > rounding * square ? sqrt(variance) : 1;
    }
    t_copy_(mean, means);
    t_copy_(deviation, deviations);
}
