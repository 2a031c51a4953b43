#include "detectors/parts/whitening.h"

#include <math.h>

/* What a component is divided by. The floor keeps components without variance from infinity. */
static double deviation(double variance, double mean, double shrinkage)
{
    double least = 1e-8 * fmax(fabs(mean), 1e-12);
    return sqrt(fmax((1 - shrinkage) * variance + shrinkage * mean, least));
}

static tensor *keep_on(tensor *t, device d)
{
    return t_keep(t_clone(t_contiguous(t_to_device(t_to(t, F32), d))));
}

imiad_status whitening_find(whitening *out, const moments *m, double share, double shrinkage)
{
    scope s = scope_begin();
    device d = t_device(m->mean);
    tensor *directions = NULL, *variances = moments_components(m, &directions);
    const double *values = t_data(variances);
    if (values) {
        int64_t columns = t_count(variances);
        int64_t kept = values[0] > 0 ? components_for_share(values, columns, share) : 1;
        double mean = 0;
        for (int64_t i = 0; i < kept; ++i)
            mean += values[i] / (double)kept;
        tensor *scales = t_zeros(1, &kept, F64, CPU);
        double *scale = t_data(scales);
        for (int64_t i = 0; scale && i < kept; ++i)
            scale[i] = 1 / deviation(values[i], mean, shrinkage);
        tensor *matrix = t_mul(t_slice(directions, 1, 0, kept), scales);
        *out = (whitening){keep_on(m->mean, d), keep_on(matrix, d)};
    }
    imiad_status status = scope_end(&s);
    if (status != IMIAD_OK && values)
        whitening_free(out);
    return status;
}

void whitening_free(whitening *w)
{
    t_free(w->mean);
    t_free(w->matrix);
    *w = (whitening){NULL};
}

int64_t whitening_columns(const whitening *w)
{
    return t_size(w->matrix, 1);
}

tensor *whitening_apply(const whitening *w, const float *rows, int64_t count)
{
    tensor *given = t_from(rows, 2, (int64_t[]){count, t_size(w->matrix, 0)}, F32, CPU);
    given = t_sub(t_to_device(given, t_device(w->mean)), w->mean);
    return t_contiguous(t_to_device(t_matmul(given, w->matrix), CPU));
}
